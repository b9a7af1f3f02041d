//! HTTP/1.1 as far as the control socket needs it: one request in, one response out.

/// The first line of a request. Its header fields and its body mean nothing here.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::run::server) struct Request<'a> {
    pub(in crate::run::server) method: &'a str,
    /// The path, and behind a `?` the query.
    pub(in crate::run::server) target: &'a str,
}

/// What the bytes that have come so far are.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Head<'a> {
    /// The start of a request.
    Incomplete,
    /// A whole request.
    Complete(Request<'a>),
    /// Something else: this is the answer.
    Refused(Status),
}

/// The status of a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::run::server) enum Status {
    Ok,
    BadRequest,
    NotFound,
    MethodNotAllowed,
    HeadTooLarge,
}

/// A response. Its connection ends with it.
pub(in crate::run::server) struct Response {
    pub(in crate::run::server) status: Status,
    /// The media type of the body.
    pub(in crate::run::server) media_type: &'static str,
    pub(in crate::run::server) body: String,
}

/// Most bytes of the head of a request.
pub(super) const MAX_HEAD: usize = 8 * 1024;

/// Most header fields of a request.
const MAX_FIELDS: usize = 64;

/// Parses the head of a request.
pub(super) fn parse(bytes: &[u8]) -> Head<'_> {
    let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
    let mut request = httparse::Request::new(&mut fields);
    match request.parse(bytes) {
        Ok(httparse::Status::Complete(_)) => match (request.method, request.path) {
            (Some(method), Some(target)) => Head::Complete(Request { method, target }),
            _ => Head::Refused(Status::BadRequest),
        },
        Ok(httparse::Status::Partial) if bytes.len() < MAX_HEAD => Head::Incomplete,
        Ok(httparse::Status::Partial) | Err(httparse::Error::TooManyHeaders) => Head::Refused(Status::HeadTooLarge),
        Err(_) => Head::Refused(Status::BadRequest),
    }
}

/// The body of a response with status 200, or the text of another response and its status.
///
/// # Errors
/// The bytes are no response, or one that is cut off.
pub(in crate::run::server) fn parse_response(bytes: &[u8]) -> Result<(u16, &str), &'static str> {
    let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
    let mut response = httparse::Response::new(&mut fields);
    let Ok(httparse::Status::Complete(head)) = response.parse(bytes) else { return Err("no HTTP response") };
    let length = response.headers.iter().find(|field| field.name.eq_ignore_ascii_case("content-length"));
    let length: usize = length.and_then(|field| std::str::from_utf8(field.value).ok()?.parse().ok()).ok_or("a response without length")?;
    let body = bytes.get(head..).filter(|body| body.len() == length).ok_or("a response that is cut off")?;
    Ok((response.code.unwrap_or_default(), std::str::from_utf8(body).map_err(|_| "a response that is not UTF-8")?))
}

impl Request<'_> {
    /// The target without its query.
    pub(in crate::run::server) fn path(&self) -> &str {
        self.target.split_once('?').map_or(self.target, |(path, _)| path)
    }
}

impl Status {
    fn line(self) -> &'static str {
        match self {
            Self::Ok => "200 OK",
            Self::BadRequest => "400 Bad Request",
            Self::NotFound => "404 Not Found",
            Self::MethodNotAllowed => "405 Method Not Allowed",
            Self::HeadTooLarge => "431 Request Header Fields Too Large",
        }
    }
}

impl Response {
    /// A JSON text.
    pub(in crate::run::server) fn json(body: String) -> Self {
        Self { status: Status::Ok, media_type: "application/json", body }
    }

    /// A response that says no more than its status.
    pub(in crate::run::server) fn of(status: Status) -> Self {
        Self { status, media_type: "text/plain; charset=utf-8", body: [status.line(), "\n"].concat() }
    }

    /// The bytes. A response to HEAD has no body, but its length.
    pub(super) fn emit(&self, is_head: bool) -> Vec<u8> {
        let Self { status, media_type, body } = self;
        let allow = if *status == Status::MethodNotAllowed { "Allow: GET, HEAD\r\n" } else { "" };
        let (line, length) = (status.line(), body.len());
        let head = format!("HTTP/1.1 {line}\r\nContent-Type: {media_type}\r\nContent-Length: {length}\r\n{allow}Connection: close\r\n\r\n");
        [head.as_str(), if is_head { "" } else { body }].concat().into_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REQUEST: &[u8] = b"GET /status?x=1 HTTP/1.1\r\nHost: localhost\r\nUser-Agent: curl\r\n\r\n";

    #[test]
    fn a_request_is_complete_with_its_last_byte() {
        for end in 0..REQUEST.len() {
            assert_eq!(parse(&REQUEST[..end]), Head::Incomplete, "{end}");
        }
        let complete = Head::Complete(Request { method: "GET", target: "/status?x=1" });
        assert_eq!(parse(REQUEST), complete);
        assert_eq!(parse(&[REQUEST, b"more"].concat()), complete);
    }

    #[test]
    fn what_is_no_request_is_refused() {
        let fields = "A: b\r\n".repeat(MAX_FIELDS + 1);
        for (bytes, status) in [
            (b"\x16\x03\x01\x02\x00".to_vec(), Status::BadRequest),
            (b"GET\r\n\r\n".to_vec(), Status::BadRequest),
            (b"GET / HTTP/9.9\r\n\r\n".to_vec(), Status::BadRequest),
            (format!("GET / HTTP/1.1\r\n{fields}\r\n").into_bytes(), Status::HeadTooLarge),
            (format!("GET /{} ", "x".repeat(MAX_HEAD)).into_bytes(), Status::HeadTooLarge),
        ] {
            assert_eq!(parse(&bytes), Head::Refused(status), "{:?}", String::from_utf8_lossy(&bytes));
        }
    }

    #[test]
    fn emit_and_parse_of_a_response_are_inverses_and_a_cut_one_is_none() {
        let response = Response { status: Status::Ok, media_type: "application/json", body: "{\"ü\":1}\n".into() };
        let bytes = response.emit(false);
        assert_eq!(parse_response(&bytes), Ok((200, "{\"ü\":1}\n")));
        for end in 0..bytes.len() {
            assert!(parse_response(&bytes[..end]).is_err(), "{end}");
        }
        assert!(response.emit(true).ends_with(b"Content-Length: 9\r\nConnection: close\r\n\r\n"));
        let refusal = String::from_utf8(Response::of(Status::MethodNotAllowed).emit(false)).unwrap();
        assert!(refusal.starts_with("HTTP/1.1 405 Method Not Allowed\r\n") && refusal.contains("\r\nAllow: GET, HEAD\r\n"));
    }
}
