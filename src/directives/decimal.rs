//! Decimal numbers as people and commands write them, compared exactly. Written by hand because `f64` rounds, so that
//! 18446744073709551617 would not be above 18446744073709551616, and because reading an `f64` would add 16 KB to the agent (x86_64).

use crate::text::number;
use std::cmp::Ordering;

/// A decimal number of any length.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decimal {
    /// How the number compares with 0.
    sign: Ordering,
    /// The number is 0.DIGITS × 10^magnitude. 0 for the number 0.
    magnitude: i64,
    /// The digits from the first to the last that is not 0.
    digits: Vec<u8>,
}

impl Decimal {
    /// Reads a number with optional sign, point and exponent, such as `-3`, `.5`, `1e3` or `2.50E-7`. White space around it is ignored.
    /// `None` for anything else, also for `inf` and `nan`.
    pub fn parse(text: &str) -> Option<Self> {
        let (negative, unsigned) = signed(text.trim_ascii());
        let (mantissa, exponent) = match unsigned.bytes().position(|byte| byte.eq_ignore_ascii_case(&b'e')) {
            Some(at) => (&unsigned[..at], exponent(&unsigned[at + 1..])?),
            None => (unsigned, 0),
        };
        let (mut digits, mut magnitude, mut has_digits, mut has_point) = (Vec::new(), 0, false, false);
        for byte in mantissa.bytes() {
            match byte {
                b'.' if !has_point => {
                    has_point = true;
                    continue;
                }
                // Zeros before the first digit that counts.
                b'0' if digits.is_empty() => magnitude -= i64::from(has_point),
                b'0'..=b'9' => {
                    digits.push(byte);
                    magnitude += i64::from(!has_point);
                }
                _ => return None,
            }
            has_digits = true;
        }
        while digits.last() == Some(&b'0') {
            digits.pop();
        }
        if digits.is_empty() {
            return has_digits.then_some(Self { sign: Ordering::Equal, magnitude: 0, digits });
        }
        let sign = if negative { Ordering::Less } else { Ordering::Greater };
        Some(Self { sign, magnitude: magnitude.saturating_add(exponent), digits })
    }

    /// Multiplies the number, exactly.
    pub fn multiply(&mut self, factor: u16) {
        let mut carry = 0;
        for digit in self.digits.iter_mut().rev() {
            carry += u32::from(*digit - b'0') * u32::from(factor);
            // The remainder is below 10.
            *digit = b'0' + u8::try_from(carry % 10).unwrap_or_default();
            carry /= 10;
        }
        while carry > 0 {
            self.digits.insert(0, b'0' + u8::try_from(carry % 10).unwrap_or_default());
            self.magnitude = self.magnitude.saturating_add(1);
            carry /= 10;
        }
        while self.digits.last() == Some(&b'0') {
            self.digits.pop();
        }
    }

    /// Whether the number is 0.
    pub fn is_zero(&self) -> bool {
        self.sign == Ordering::Equal
    }

    /// Whether the number is below 0.
    pub fn is_negative(&self) -> bool {
        self.sign == Ordering::Less
    }
}

impl Ord for Decimal {
    fn cmp(&self, other: &Self) -> Ordering {
        let sizes = (self.magnitude, &self.digits).cmp(&(other.magnitude, &other.digits));
        let alike = if self.sign == Ordering::Less { sizes.reverse() } else { sizes };
        self.sign.cmp(&other.sign).then(alike)
    }
}

impl PartialOrd for Decimal {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Takes the sign off a number. Returns whether it was a minus, and the rest.
fn signed(text: &str) -> (bool, &str) {
    let negative = text.starts_with('-');
    (negative, if negative || text.starts_with('+') { &text[1..] } else { text })
}

/// Reads an exponent. Those beyond 2⁶⁰ count as 2⁶⁰.
fn exponent(text: &str) -> Option<i64> {
    const LARGE: i64 = 1 << 60;
    let (negative, digits) = signed(text);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let size = number(digits, 10).and_then(|size| i64::try_from(size).ok()).unwrap_or(LARGE).min(LARGE);
    Some(if negative { -size } else { size })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_ordered_by_their_values() {
        let ascending = [
            "-1e99999999999999999999",
            "-1000.5",
            "-1e3",
            "-3",
            "-2.99",
            "-1e-9",
            "0",
            "1E-400",
            ".05",
            "0.5",
            "0.5000000000000000000000000001",
            "5.",
            "+12",
            "99.9",
            "100",
            "18446744073709551616",
            "18446744073709551617",
            "1e30",
            "1e99999999999999999999",
        ];
        let numbers = ascending.map(|text| Decimal::parse(text).unwrap());
        for (i, a) in numbers.iter().enumerate() {
            for (j, b) in numbers.iter().enumerate() {
                assert_eq!(a.cmp(b), i.cmp(&j), "{} and {}", ascending[i], ascending[j]);
            }
        }
    }

    #[test]
    fn a_value_has_many_ways_to_be_written() {
        for alike in [&["0", "-0", "+0.000", "0e7", ".0"][..], &["1000", "1e3", "0.01E+5", "1000.000", "10000e-1", "+1000", " 01000 "]] {
            for text in alike {
                assert_eq!(Decimal::parse(text), Decimal::parse(alike[0]), "{text}");
            }
        }
    }

    #[test]
    fn the_standard_library_reads_the_same_numbers() {
        let parts = ["", "-", "+", "1", "0", "20", ".", "e", "E", "5", "+-"];
        let mut random = crate::random::Random::new(436);
        let mut pick = || usize::try_from(random.bits() >> 33).unwrap();
        let mut numbers: Vec<(f64, Decimal, String)> = Vec::new();
        for _ in 0..20_000 {
            let text: String = (0..pick() % 8).map(|_| parts[pick() % parts.len()]).collect();
            let (float, decimal) = (text.parse::<f64>().ok(), Decimal::parse(&text));
            assert_eq!(float.is_some(), decimal.is_some(), "{text:?}");
            numbers.extend(float.zip(decimal).filter(|(float, _)| float.is_finite()).map(|(float, decimal)| (float, decimal, text)));
        }
        assert!(numbers.len() > 2000, "{}", numbers.len());
        for pair in numbers.windows(2) {
            let [(float, decimal, text), (other_float, other, other_text)] = pair else { continue };
            // What a binary number rounds to 0 is none.
            if float != other_float && (float.abs() > 1e-300 || other_float.abs() > 1e-300) {
                assert_eq!(float.partial_cmp(other_float), Some(decimal.cmp(other)), "{text} and {other_text}");
            }
        }
    }

    #[test]
    fn a_product_is_exact() {
        let mut random = crate::random::Random::new(436);
        for _ in 0..2000 {
            let (number, factor) = (random.bits() >> 40, u16::try_from(random.bits() >> 50).unwrap().max(1));
            for (before, after) in [("", ""), ("-", ""), ("", "e-7"), ("-0.00", ""), ("", "000e3")] {
                let mut product = Decimal::parse(&format!("{before}{number}{after}")).unwrap();
                product.multiply(factor);
                let digits = after.strip_prefix("000").map_or(number, |_| number * 1000);
                let expected = match before {
                    "-0.00" => format!("-{}e-{}", number * u64::from(factor), number.to_string().len() + 2),
                    _ => format!("{before}{}{}", digits * u64::from(factor), after.trim_start_matches("000")),
                };
                assert_eq!(Some(product), Decimal::parse(&expected), "{before}{number}{after} * {factor}");
            }
        }
    }

    #[test]
    fn what_is_no_number_is_refused() {
        for text in ["", ".", "e5", "1e", "1e+", "inf", "NaN", "1,5", "0x10", "1 2", "--1", "1e1.5", "٣", "5%"] {
            assert_eq!(Decimal::parse(text), None, "{text}");
        }
    }
}
