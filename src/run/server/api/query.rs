//! The query of a request: what stands behind the `?` of its target.

use std::collections::HashMap;

/// The parameters, decoded. Each is given once.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Query(HashMap<String, String>);

impl Query {
    /// Reads a query with those parameters and no others.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn parse(query: &str, known: &[&str]) -> Result<Self, String> {
        let mut parameters = HashMap::new();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let (name, value) = (decode(name), decode(value));
            let (Some(name), Some(value)) = (name, value) else { return Err(format!("the query is no encoded text: \"{pair}\"")) };
            if !known.contains(&name.as_str()) {
                return Err(format!("there is no parameter \"{name}\"; there are {}", known.join(", ")));
            }
            if parameters.insert(name, value).is_some() {
                return Err(format!("a parameter is given twice: \"{pair}\""));
            }
        }
        Ok(Self(parameters))
    }

    /// The value of a parameter that is given and not empty.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// The value of a parameter, which `parse` reads.
    ///
    /// # Errors
    /// It cannot be read.
    pub(super) fn value<V>(&self, name: &str, expected: &str, parse: impl Fn(&str) -> Option<V>) -> Result<Option<V>, String> {
        let fault = |value| format!("{name}: expected {expected}, got \"{value}\"");
        self.get(name).map(|value| parse(value).ok_or_else(|| fault(value))).transpose()
    }
}

/// Undoes percent-encoding. `None` if it is none, or if the text is not UTF-8.
fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let mut digit = || u8::try_from(char::from(rest.next()?).to_digit(16)?).ok();
                digit()? << 4 | digit()?
            }
            byte => byte,
        });
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_decoded_and_empty_ones_are_not_given() {
        let query = Query::parse("host=nas*&tags=A%2CB&text=a+b%c3%BC&since=&&state", &["host", "tags", "text", "since", "state"]).unwrap();
        assert_eq!((query.get("host"), query.get("tags"), query.get("text")), (Some("nas*"), Some("A,B"), Some("a bü")));
        assert_eq!((query.get("since"), query.get("state"), query.get("limit")), (None, None, None));
        assert_eq!(Query::parse("", &[]).unwrap(), Query::default());
    }

    #[test]
    fn what_is_no_query_is_refused_with_a_reason() {
        for (query, reason) in [
            ("hots=a", "there is no parameter \"hots\"; there are host, limit"),
            ("host=a&host=b", "a parameter is given twice: \"host=b\""),
            ("host=%", "the query is no encoded text: \"host=%\""),
            ("host=%zz", "the query is no encoded text: \"host=%zz\""),
            ("host=%ff", "the query is no encoded text: \"host=%ff\""),
        ] {
            assert_eq!(Query::parse(query, &["host", "limit"]).unwrap_err(), reason);
        }
        let query = Query::parse("limit=x", &["limit"]).unwrap();
        let number = |text: &str| text.parse::<u32>().ok();
        assert_eq!(query.value("limit", "a number", number).unwrap_err(), "limit: expected a number, got \"x\"");
        assert_eq!(query.value("host", "a number", number), Ok(None));
    }
}
