//! Numbers with a unit, as people write limits and commands print them: percentages, and sizes in bytes.

use super::decimal::Decimal;

/// A number and what it measures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quantity {
    /// The number; of a size the bytes.
    pub number: Decimal,
    /// What it measures.
    pub measure: Measure,
}

/// What numbers measure. Only numbers of one measure compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measure {
    /// A number without a unit.
    Number,
    /// A number with `%`.
    Percentage,
    /// A number with a unit of bytes, such as `1.5G`.
    Size,
}

impl Quantity {
    /// Reads a number of any measure. `None` for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        [Measure::Number, Measure::Percentage, Measure::Size]
            .into_iter()
            .find_map(|measure| measure.read_with_unit(text).map(|number| Self { number, measure }))
    }
}

impl Measure {
    /// Reads a number of that measure; of a size the bytes. 0 needs no unit, as `df -h` and others print it.
    pub fn read(self, text: &str) -> Option<Decimal> {
        self.read_with_unit(text).or_else(|| Decimal::parse(text).filter(Decimal::is_zero))
    }

    fn read_with_unit(self, text: &str) -> Option<Decimal> {
        match self {
            Self::Number => Decimal::parse(text),
            Self::Percentage => Decimal::parse(text.trim_end().strip_suffix('%')?),
            Self::Size => size(text.trim_end()),
        }
    }

    /// What a text is not that cannot be read.
    pub fn noun(self) -> &'static str {
        match self {
            Self::Number => "number",
            Self::Percentage => "number with %",
            Self::Size => "size such as 1.5G",
        }
    }
}

/// Reads a number of bytes with its unit, as GNU's programs take them: `K`, `Ki` and `KiB` are 1024, and `KB` is 1000.
fn size(text: &str) -> Option<Decimal> {
    let (number, unit) = text.split_at(text.trim_end_matches(|c: char| c.is_ascii_alphabetic()).len());
    let without_b = unit.strip_suffix('B').unwrap_or(unit);
    let prefix = without_b.strip_suffix('i').unwrap_or(without_b);
    let power = match prefix {
        "" if unit == "B" => 0,
        "k" | "K" => 1,
        "M" => 2,
        "G" => 3,
        "T" => 4,
        "P" => 5,
        _ => return None,
    };
    let is_decimal = unit.len() == prefix.len() + 1 && unit.ends_with('B');
    let mut bytes = Decimal::parse(number)?;
    (0..power).for_each(|_| bytes.multiply(if is_decimal { 1000 } else { 1024 }));
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_with_a_unit_are_read_as_df_free_and_others_print_them() {
        for (text, measure, number) in [
            ("90", Measure::Number, "90"),
            ("-1.5e3", Measure::Number, "-1500"),
            ("90%", Measure::Percentage, "90"),
            (" 7.25 % ", Measure::Percentage, "7.25"),
            ("0B", Measure::Size, "0"),
            ("512B", Measure::Size, "512"),
            ("1K", Measure::Size, "1024"),
            ("1k", Measure::Size, "1024"),
            ("1Ki", Measure::Size, "1024"),
            ("1KiB", Measure::Size, "1024"),
            ("1kB", Measure::Size, "1000"),
            ("1.5G", Measure::Size, "1610612736"),
            ("1.5 GB", Measure::Size, "1500000000"),
            ("15Gi", Measure::Size, "16106127360"),
            ("0.1M", Measure::Size, "104857.6"),
            ("-3T", Measure::Size, "-3298534883328"),
            ("2P", Measure::Size, "2251799813685248"),
            ("999999999999999999999PB", Measure::Size, "999999999999999999999e15"),
        ] {
            let number = Decimal::parse(number).unwrap();
            assert_eq!(Quantity::parse(text), Some(Quantity { number, measure }), "{text}");
        }
        for text in
            ["", "%", "K", "B", "1iB", "1i", "1Bi", "1GG", "1E", "1X", "1 bytes", "1b", "1%%", "1,5G", "G1", "1KK", "é", "1é", "infB"]
        {
            assert_eq!(Quantity::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_number_is_read_only_in_its_measure_and_0_in_each() {
        let measures = [Measure::Number, Measure::Percentage, Measure::Size];
        for (at, text) in ["90", "90%", "90K"].iter().enumerate() {
            let read: Vec<bool> = measures.iter().map(|measure| measure.read(text).is_some()).collect();
            assert_eq!(read.iter().position(|is_read| *is_read), Some(at), "{text}");
            assert_eq!(read.iter().filter(|is_read| **is_read).count(), 1, "{text}");
        }
        assert!(measures.iter().all(|measure| measure.read("0").is_some_and(|number| number.is_zero())));
    }
}
