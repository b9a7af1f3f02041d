//! Reads an object of JSON field by field, as far as `journalctl` prints JSON: texts, bytes, lists of these, and null. nanoserde reads
//! numbers with a point too, for which it brings a table of 10 KB.

use crate::text::number;

/// Calls `take` with the name and the value of each field. `None` if the text is no such object, or has no field.
pub(super) fn read_object(json: &[u8], take: &mut dyn FnMut(&[u8], &[u8])) -> Option<()> {
    let mut reader = Reader { rest: json };
    let (mut name, mut value) = (Vec::new(), Vec::new());
    reader.symbol(b'{')?;
    loop {
        name.clear();
        value.clear();
        reader.symbol(b'"')?;
        reader.text(&mut name)?;
        reader.symbol(b':')?;
        reader.value(&mut value)?;
        take(&name, &value);
        if reader.symbol(b',').is_none() {
            break;
        }
    }
    reader.symbol(b'}')?;
    reader.rest.trim_ascii().is_empty().then_some(())
}

struct Reader<'a> {
    rest: &'a [u8],
}

impl Reader<'_> {
    /// Reads that byte, and white space before it.
    fn symbol(&mut self, byte: u8) -> Option<()> {
        self.rest = self.rest.trim_ascii_start();
        self.rest = self.rest.strip_prefix(&[byte])?;
        Some(())
    }

    /// Appends the bytes of a value: of a text, of a list of bytes, which is no text, or of a list of several values, with a space before
    /// each text. Null, which stands for a value that is too long, has none.
    fn value(&mut self, value: &mut Vec<u8>) -> Option<()> {
        let mut depth = 0_usize;
        loop {
            if self.symbol(b'[').is_some() {
                depth += 1;
                if self.symbol(b']').is_none() {
                    continue;
                }
                depth -= 1;
            } else if self.symbol(b'"').is_some() {
                if !value.is_empty() {
                    value.push(b' ');
                }
                self.text(value)?;
            } else if let Some(rest) = self.rest.strip_prefix(b"null") {
                self.rest = rest;
            } else {
                value.push(self.byte()?);
            }
            while depth > 0 && self.symbol(b',').is_none() {
                self.symbol(b']')?;
                depth -= 1;
            }
            if depth == 0 {
                return Some(());
            }
        }
    }

    /// Reads a number up to 255.
    fn byte(&mut self) -> Option<u8> {
        let length = self.rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let (digits, rest) = self.rest.split_at(length);
        self.rest = rest;
        u8::try_from(number(std::str::from_utf8(digits).ok()?, 10)?).ok()
    }

    /// Appends a text, behind its first quotation mark.
    fn text(&mut self, text: &mut Vec<u8>) -> Option<()> {
        loop {
            let plain = self.rest.iter().position(|byte| matches!(byte, b'"' | b'\\'))?;
            text.extend_from_slice(&self.rest[..plain]);
            let is_end = self.rest[plain] == b'"';
            self.rest = &self.rest[plain + 1..];
            if is_end {
                return Some(());
            }
            let (escape, rest) = self.rest.split_first()?;
            self.rest = rest;
            text.push(match escape {
                b'"' | b'\\' | b'/' => *escape,
                b'b' => 8,
                b'f' => 12,
                b'n' => b'\n',
                b'r' => b'\r',
                b't' => b'\t',
                b'u' => {
                    text.extend_from_slice(self.characters()?.as_bytes());
                    continue;
                }
                _ => return None,
            });
        }
    }

    /// Reads characters by their numbers: `0041\u00e9`. Two numbers make a character of more than 16 bits, and U+FFFD stands for one of two.
    fn characters(&mut self) -> Option<String> {
        let mut numbers = vec![self.hexadecimal()?];
        while let Some(rest) = self.rest.strip_prefix(b"\\u") {
            self.rest = rest;
            numbers.push(self.hexadecimal()?);
        }
        Some(String::from_utf16_lossy(&numbers))
    }

    fn hexadecimal(&mut self) -> Option<u16> {
        let (digits, rest) = self.rest.split_at_checked(4)?;
        self.rest = rest;
        let digits = std::str::from_utf8(digits).ok()?.to_ascii_lowercase();
        u16::try_from(number(&digits, 16)?).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Option<Vec<(String, String)>> {
        let mut fields = Vec::new();
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        read_object(json.as_bytes(), &mut |name, value| fields.push((text(name), text(value)))).map(|()| fields)
    }

    #[test]
    fn values_are_texts_bytes_lists_and_null() {
        for (value, expected) in [
            (r#""a b""#, "a b"),
            (r#""\"\\\/\b\f\n\r\t""#, "\"\\/\u{8}\u{c}\n\r\t"),
            (r#""\u0041\u00E9\u20ac\ud83d\ude00x""#, "Aé€😀x"),
            (r#""\ud83d\u0041\ude00""#, "\u{fffd}A\u{fffd}"),
            ("[97, 98,10 ]", "ab\n"),
            (r#"[ "two" , "three" ]"#, "two three"),
            (r#"[[97,98],"c",[],null,[[100]]]"#, "ab cd"),
            ("null", ""),
            ("[]", ""),
            ("\"\"", ""),
        ] {
            for json in [format!("{{\"a\":{value},\"b\":\"c\"}}"), format!("{{ \"a\" : {value} , \"b\" : \"c\" }}\n")] {
                assert_eq!(read(&json), Some(vec![("a".into(), expected.into()), ("b".into(), "c".into())]), "{json}");
            }
        }
    }

    #[test]
    fn all_else_is_no_such_object() {
        for value in [
            "",
            "256",
            "-1",
            "1.5",
            "1e2",
            "true",
            "nul",
            "{}",
            "[",
            "]",
            "[97",
            "[97 98]",
            "[,]",
            "[97,]",
            "[97]]",
            "\"",
            r#""\x""#,
            r#""\u12""#,
        ] {
            assert_eq!(read(&format!("{{\"a\":{value}}}")), None, "{value}");
        }
        for json in ["", "{", "{}", "{\"a\"}", "{\"a\" 1}", "{\"a\":1,}", "{\"a\":1}}", "{a:1}", r#"{"a":"\u00e"}"#, r#"{"a":"\uzzzz"}"#] {
            assert_eq!(read(json), None, "{json}");
        }
    }

    #[test]
    fn lists_may_be_nested_however_deep() {
        let (open, close) = ("[".repeat(100_000), "]".repeat(100_000));
        assert_eq!(read(&format!("{{\"a\":{open}97{close}}}")), Some(vec![("a".into(), "a".into())]));
    }
}
