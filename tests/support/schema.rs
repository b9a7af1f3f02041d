//! Checks each line of an event stream in JSON against the schema in `docs`. Knows the keywords of that schema, and fails at any other.

#![allow(clippy::cast_precision_loss, dead_code, unreachable_pub, reason = "tests share it")]

use std::collections::BTreeMap;
use std::iter::Peekable;
use std::str::Chars;
use std::sync::OnceLock;

/// Fails unless a line is what the schema says.
pub fn check(line: &str) {
    static SCHEMA: OnceLock<Json> = OnceLock::new();
    let schema = SCHEMA.get_or_init(|| Json::parse(include_str!("../../docs/event-stream.schema.json")));
    validate(schema, &Json::parse(line)).unwrap_or_else(|reason| panic!("{reason}: {line}"));
}

fn openapi() -> &'static Json {
    static OPENAPI: OnceLock<Json> = OnceLock::new();
    OPENAPI.get_or_init(|| Json::parse(include_str!("../../docs/openapi.json")))
}

/// Fails unless an answer of the server with status 200 is what the OpenAPI file says.
pub fn check_answer(path: &str, method: &str, body: &str) {
    let operation = openapi().get("paths").and_then(|paths| paths.get(path)?.get(method)).expect("a documented path");
    let content = operation.get("responses").and_then(|responses| responses.get("200")?.get("content")).unwrap();
    let schema = content.get("application/json").and_then(|content| content.get("schema")).unwrap();
    validate(schema, &Json::parse(body)).unwrap_or_else(|reason| panic!("{reason}: {body}"));
}

/// The parameters of a path in the OpenAPI file.
pub fn parameters(path: &str) -> Vec<String> {
    let operation = openapi().get("paths").and_then(|paths| paths.get(path)?.get("get")).unwrap();
    let Some(Json::List(parameters)) = operation.get("parameters") else { panic!("no parameters: {path}") };
    let name = |parameter: &Json| if let Some(Json::Text(name)) = parameter.get("name") { name.clone() } else { panic!("no name") };
    parameters.iter().map(name).collect()
}

#[derive(Clone, Debug, PartialEq)]
enum Json {
    Text(String),
    Number(f64),
    Flag(bool),
    Null,
    List(Vec<Json>),
    Object(BTreeMap<String, Json>),
}

impl Json {
    fn parse(text: &str) -> Self {
        let mut rest = text.chars().peekable();
        let value = Self::value(&mut rest);
        assert_eq!(rest.find(|c| !c.is_whitespace()), None, "more than one value: {text}");
        value
    }

    fn value(rest: &mut Peekable<Chars<'_>>) -> Self {
        match next(rest) {
            '"' => Self::Text(text(rest)),
            '{' => Self::Object(
                members(rest, '}', |rest| {
                    assert_eq!(next(rest), '"');
                    let key = text(rest);
                    assert_eq!(next(rest), ':');
                    (key, Self::value(rest))
                })
                .into_iter()
                .collect(),
            ),
            '[' => Self::List(members(rest, ']', Self::value)),
            first => {
                let mut word = String::from(first);
                while let Some(c) = rest.next_if(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '+' | '-')) {
                    word.push(c);
                }
                match &*word {
                    "true" | "false" => Self::Flag(word == "true"),
                    "null" => Self::Null,
                    number => Self::Number(number.parse().unwrap_or_else(|_| panic!("no value: {word}"))),
                }
            }
        }
    }

    fn get(&self, key: &str) -> Option<&Self> {
        match self {
            Self::Object(members) => members.get(key),
            other => panic!("no object: {other:?}"),
        }
    }

    fn texts(&self) -> Vec<&str> {
        let Self::List(list) = self else { panic!("no list: {self:?}") };
        list.iter().map(|text| if let Self::Text(text) = text { &**text } else { panic!("no text: {text:?}") }).collect()
    }
}

fn next(rest: &mut Peekable<Chars<'_>>) -> char {
    rest.find(|c| !c.is_whitespace()).expect("the value ends early")
}

/// The members of a list or an object behind its opening bracket.
fn members<T>(rest: &mut Peekable<Chars<'_>>, end: char, mut member: impl FnMut(&mut Peekable<Chars<'_>>) -> T) -> Vec<T> {
    let mut members = Vec::new();
    while rest.next_if(|c| c.is_whitespace()).is_some() {}
    if rest.next_if_eq(&end).is_some() {
        return members;
    }
    loop {
        members.push(member(rest));
        match next(rest) {
            ',' => {}
            c => {
                assert_eq!(c, end);
                return members;
            }
        }
    }
}

/// A text behind its opening quotation mark.
fn text(rest: &mut Peekable<Chars<'_>>) -> String {
    let mut text = String::new();
    loop {
        match rest.next().expect("the text ends early") {
            '"' => return text,
            '\\' => text.push(match rest.next().unwrap() {
                'n' => '\n',
                't' => '\t',
                'u' => {
                    let digits: String = rest.take(4).collect();
                    char::from_u32(u32::from_str_radix(&digits, 16).unwrap()).unwrap_or('\u{fffd}')
                }
                other => other,
            }),
            c => text.push(c),
        }
    }
}

/// Whether a text is a time of RFC 3339 with its offset.
fn is_date_time(text: &str) -> bool {
    let form: String = text.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    ["0000-00-00T00:00:00Z", "0000-00-00T00:00:00+00:00", "0000-00-00T00:00:00-00:00"].contains(&&*form)
}

/// Why a value is not what a schema says.
fn validate(schema: &Json, value: &Json) -> Result<(), String> {
    let Json::Object(keywords) = schema else { panic!("no schema: {schema:?}") };
    for (keyword, argument) in keywords {
        let is_right = match (&**keyword, argument, value) {
            ("$schema" | "title" | "description", ..) => true,
            ("$ref", Json::Text(name), value) => {
                let name = name.strip_prefix("#/components/schemas/").unwrap();
                let schemas = openapi().get("components").and_then(|components| components.get("schemas"));
                validate(schemas.and_then(|schemas| schemas.get(name)).expect("a schema"), value)?;
                true
            }
            ("items", schema, Json::List(items)) => {
                items.iter().try_for_each(|item| validate(schema, item))?;
                true
            }
            ("type", Json::List(names), value) => {
                let is_of = |name: &Json| validate(&Json::Object([("type".to_string(), name.clone())].into()), value).is_ok();
                names.iter().any(is_of)
            }
            ("type", Json::Text(name), value) => match (&**name, value) {
                ("object", Json::Object(_)) | ("string", Json::Text(_)) | ("number", Json::Number(_)) => true,
                ("array", Json::List(_)) | ("boolean", Json::Flag(_)) | ("null", Json::Null) => true,
                ("integer", Json::Number(number)) => number.fract() == 0.0,
                _ => false,
            },
            ("enum", Json::List(list), value) => list.contains(value),
            ("format", Json::Text(format), value) if format == "date-time" => matches!(value, Json::Text(text) if is_date_time(text)),
            ("minLength", Json::Number(least), Json::Text(text)) => text.chars().count() as f64 >= *least,
            ("minimum", Json::Number(least), Json::Number(number)) => number >= least,
            ("required", list, value) => list.texts().iter().all(|key| value.get(key).is_some()),
            ("dependentRequired", Json::Object(keys), value) => {
                keys.iter().all(|(key, others)| value.get(key).is_none() || others.texts().iter().all(|other| value.get(other).is_some()))
            }
            ("additionalProperties", Json::Flag(false), Json::Object(members)) => {
                members.keys().all(|key| schema.get("properties").unwrap().get(key).is_some())
            }
            ("properties", Json::Object(properties), value) => {
                for (key, schema) in properties {
                    value.get(key).map_or(Ok(()), |value| validate(schema, value).map_err(|reason| format!("{key}: {reason}")))?;
                }
                true
            }
            (other, ..) => panic!("no keyword that is known here, or not for such a value: {other}"),
        };
        if !is_right {
            return Err(format!("not as {keyword} says: {value:?}"));
        }
    }
    Ok(())
}

#[test]
fn the_schema_takes_what_a_server_writes_and_nothing_else() {
    let event = r#"{"received":"2026-11-22T12:35:36+01:00","received_unix":1,"host":"h","uid":"u","time":"2026-11-22T11:35:36Z",
        "time_unix":1,"tags":"T","text":"\u00fc"MORE}"#;
    check(&event.replace("MORE", ""));
    check(&event.replace("MORE", r#","file":"/f","kind":"limit","state":"opened","key":"k","at":"""#));
    check(&event.replace("MORE", r#","kind":"metric","value":-4.50"#));
    let schema = Json::parse(include_str!("../../docs/event-stream.schema.json"));
    for more in [r#","kind":"odd""#, r#","state":"opened""#, r#","other":1"#, r#","value":"5","kind":"count""#, r#","file":"""#] {
        assert!(validate(&schema, &Json::parse(&event.replace("MORE", more))).is_err(), "{more}");
    }
    for (right, wrong) in [("unix\":1", "unix\":1.5"), ("36Z", "36"), ("T12", " 12"), ("\"2026-11-22T11:35:36Z\"", "1")] {
        assert!(validate(&schema, &Json::parse(&event.replace("MORE", "").replace(right, wrong))).is_err(), "{wrong}");
    }
}
