//! HTTP/1.1 as far as the server needs it: one request in, one response out.

use std::rc::Rc;

/// A request, as far as anything here depends on it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::run::server) struct Request<'a> {
    pub(in crate::run::server) method: &'a str,
    /// The path, and behind a `?` the query.
    pub(in crate::run::server) target: &'a str,
    pub(in crate::run::server) host: Option<&'a str>,
    pub(in crate::run::server) origin: Option<&'a str>,
    pub(in crate::run::server) authorization: Option<&'a str>,
    pub(in crate::run::server) content_type: Option<&'a str>,
    pub(in crate::run::server) body: &'a [u8],
    /// Whether it is one of HTTP/1.0, which knows no chunks.
    pub(super) is_old: bool,
}

/// What the bytes that have come so far are.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Received<'a> {
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
    Unauthorized,
    Forbidden,
    NotFound,
    MethodNotAllowed,
    /// Only POST is.
    OnlyPost,
    LengthRequired,
    ContentTooLarge,
    UnsupportedMediaType,
    Misdirected,
    TooManyRequests,
    HeadTooLarge,
    ServerError,
    Unavailable,
}

/// A response. Its connection ends with it.
pub(in crate::run::server) struct Response<L> {
    pub(in crate::run::server) status: Status,
    /// The media type of the body.
    pub(in crate::run::server) media_type: &'static str,
    pub(in crate::run::server) body: Body<L>,
}

/// What a response says.
pub(in crate::run::server) enum Body<L> {
    Text(String),
    /// Part of the program.
    Static(&'static [u8]),
    /// One text for all who ask at the same time.
    Shared(Rc<str>),
    /// One that is made piece by piece while it is sent.
    Long(L),
}

/// Most bytes of the head of a request.
pub(super) const MAX_HEAD: usize = 8 * 1024;

/// Most bytes of the body of a request.
pub(super) const MAX_BODY: usize = 4 * 1024;

/// Most header fields of a request.
const MAX_FIELDS: usize = 64;

/// What a browser must not do with a response. It gets everything from this server alone, and sends nothing elsewhere.
const PRECAUTIONS: &str = "Content-Security-Policy: default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
                           connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'\r\n\
                           Cross-Origin-Resource-Policy: same-origin\r\n\
                           Referrer-Policy: no-referrer\r\n\
                           X-Content-Type-Options: nosniff\r\n\
                           Cache-Control: no-store\r\n";

/// Parses a request with its body.
pub(super) fn parse(bytes: &[u8]) -> Received<'_> {
    let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
    let mut parsed = httparse::Request::new(&mut fields);
    let head = match parsed.parse(bytes) {
        Ok(httparse::Status::Complete(head)) if head <= MAX_HEAD => head,
        Ok(httparse::Status::Partial) if bytes.len() < MAX_HEAD => return Received::Incomplete,
        Ok(_) | Err(httparse::Error::TooManyHeaders) => return Received::Refused(Status::HeadTooLarge),
        Err(_) => return Received::Refused(Status::BadRequest),
    };
    let (Some(method), Some(target)) = (parsed.method, parsed.path) else { return Received::Refused(Status::BadRequest) };
    let request = Request { method, target, is_old: parsed.version == Some(0), ..Request::default() };
    match request.with_fields(parsed.headers) {
        Ok((request, length)) => match bytes.get(head..head + length) {
            Some(body) => Received::Complete(Request { body, ..request }),
            None => Received::Incomplete,
        },
        Err(status) => Received::Refused(status),
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

impl<'a> Request<'a> {
    /// The target without its query.
    pub(in crate::run::server) fn path(&self) -> &'a str {
        self.target.split_once('?').map_or(self.target, |(path, _)| path)
    }

    /// What stands behind the `?` of the target.
    pub(in crate::run::server) fn query(&self) -> &'a str {
        self.target.split_once('?').map_or("", |(_, query)| query)
    }

    /// Takes the header fields that mean something here. Returns the length of the body as well.
    ///
    /// # Errors
    /// Two fields contradict each other, or the body has no length or too great a one.
    fn with_fields(mut self, fields: &[httparse::Header<'a>]) -> Result<(Self, usize), Status> {
        let mut length = None;
        for httparse::Header { name, value } in fields {
            let known = ["host", "origin", "authorization", "content-type", "content-length", "transfer-encoding"];
            let Some(known) = known.into_iter().find(|known| known.eq_ignore_ascii_case(name)) else { continue };
            let value = std::str::from_utf8(value).map_err(|_| Status::BadRequest)?;
            let field = match known {
                "host" => &mut self.host,
                "origin" => &mut self.origin,
                "authorization" => &mut self.authorization,
                "content-type" => &mut self.content_type,
                "content-length" => &mut length,
                _ => return Err(Status::LengthRequired),
            };
            if field.replace(value).is_some() {
                return Err(Status::BadRequest);
            }
        }
        if !self.has_body() {
            return Ok((self, 0));
        }
        let length = length.ok_or(Status::LengthRequired)?;
        let is_number = !length.is_empty() && length.bytes().all(|byte| byte.is_ascii_digit());
        let length = length.parse().ok().filter(|_| is_number).ok_or(Status::BadRequest)?;
        if length > MAX_BODY {
            return Err(Status::ContentTooLarge);
        }
        Ok((self, length))
    }

    /// Whether the method gives the body a meaning. The body of another request is not waited for.
    fn has_body(&self) -> bool {
        self.method == "POST"
    }
}

impl Status {
    fn line(self) -> &'static str {
        match self {
            Self::Ok => "200 OK",
            Self::BadRequest => "400 Bad Request",
            Self::Unauthorized => "401 Unauthorized",
            Self::Forbidden => "403 Forbidden",
            Self::NotFound => "404 Not Found",
            Self::MethodNotAllowed | Self::OnlyPost => "405 Method Not Allowed",
            Self::LengthRequired => "411 Length Required",
            Self::ContentTooLarge => "413 Content Too Large",
            Self::UnsupportedMediaType => "415 Unsupported Media Type",
            Self::Misdirected => "421 Misdirected Request",
            Self::TooManyRequests => "429 Too Many Requests",
            Self::HeadTooLarge => "431 Request Header Fields Too Large",
            Self::ServerError => "500 Internal Server Error",
            Self::Unavailable => "503 Service Unavailable",
        }
    }

    /// The header field without which a response of that status is incomplete.
    fn field(self) -> &'static str {
        match self {
            Self::Unauthorized => "WWW-Authenticate: Basic realm=\"ax436\", charset=\"UTF-8\"\r\n",
            Self::MethodNotAllowed => "Allow: GET, HEAD\r\n",
            Self::OnlyPost => "Allow: POST\r\n",
            Self::TooManyRequests => "Retry-After: 60\r\n",
            Self::Unavailable => "Retry-After: 1\r\n",
            _ => "",
        }
    }
}

impl<L> Response<L> {
    /// A text in plain words.
    const TEXT: &'static str = "text/plain; charset=utf-8";
    const JSON: &'static str = "application/json";

    /// A JSON text.
    pub(in crate::run::server) fn json(body: Body<L>) -> Self {
        Self { status: Status::Ok, media_type: Self::JSON, body }
    }

    /// A response that says no more than its status.
    pub(in crate::run::server) fn of(status: Status) -> Self {
        Self { status, media_type: Self::TEXT, body: Body::Text([status.line(), "\n"].concat()) }
    }

    /// A response that says why it is no other one.
    pub(in crate::run::server) fn refusal(status: Status, reason: &str) -> Self {
        Self { status, media_type: Self::TEXT, body: Body::Text([reason, "\n"].concat()) }
    }

    /// The head of the response. `Body::Long` has no length; it ends with its last chunk, or for HTTP/1.0 with the connection.
    pub(super) fn emit_head(&self, is_old: bool) -> Vec<u8> {
        let Self { status, media_type, body } = self;
        let length = match body {
            Body::Text(text) => Some(text.len()),
            Body::Static(bytes) => Some(bytes.len()),
            Body::Shared(text) => Some(text.len()),
            Body::Long(_) => None,
        };
        let framing = match length {
            Some(length) => format!("Content-Length: {length}\r\n"),
            None if is_old => String::new(),
            None => "Transfer-Encoding: chunked\r\n".into(),
        };
        let (line, field) = (status.line(), status.field());
        format!("HTTP/1.1 {line}\r\nContent-Type: {media_type}\r\n{framing}{field}{PRECAUTIONS}Connection: close\r\n\r\n").into_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REQUEST: &[u8] = b"GET /status?x=1 HTTP/1.1\r\nHost: localhost\r\nUser-Agent: curl\r\n\r\n";
    const POST: &[u8] = b"POST /api/silence HTTP/1.0\r\nhost: a\r\nOrigin: http://a\r\nContent-Length: 3\r\n\r\nabc";

    #[test]
    fn a_request_is_complete_with_its_last_byte() {
        for (request, end) in [(REQUEST, REQUEST.len()), (POST, POST.len())].into_iter().flat_map(|(r, end)| (0..end).map(move |e| (r, e)))
        {
            assert_eq!(parse(&request[..end]), Received::Incomplete, "{end}");
        }
        let complete = Request { method: "GET", target: "/status?x=1", host: Some("localhost"), ..Request::default() };
        assert_eq!((complete.path(), complete.query()), ("/status", "x=1"));
        assert_eq!(parse(REQUEST), Received::Complete(complete));
        assert_eq!(parse(&[REQUEST, b"more"].concat()), Received::Complete(complete));
        let (method, target, host, origin) = ("POST", "/api/silence", Some("a"), Some("http://a"));
        let complete = Request { method, target, host, origin, body: b"abc", is_old: true, ..Request::default() };
        assert_eq!(parse(&[POST, b"more"].concat()), Received::Complete(complete));
    }

    #[test]
    fn what_is_no_request_is_refused() {
        let fields = "A: b\r\n".repeat(MAX_FIELDS + 1);
        let post = |fields: &str| format!("POST / HTTP/1.1\r\n{fields}\r\n").into_bytes();
        for (bytes, status) in [
            (b"\x16\x03\x01\x02\x00".to_vec(), Status::BadRequest),
            (b"GET\r\n\r\n".to_vec(), Status::BadRequest),
            (b"GET / HTTP/9.9\r\n\r\n".to_vec(), Status::BadRequest),
            (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n".to_vec(), Status::BadRequest),
            (b"GET / HTTP/1.1\r\nHost: \xff\r\n\r\n".to_vec(), Status::BadRequest),
            (format!("GET / HTTP/1.1\r\n{fields}\r\n").into_bytes(), Status::HeadTooLarge),
            (format!("GET /{} ", "x".repeat(MAX_HEAD)).into_bytes(), Status::HeadTooLarge),
            (format!("GET /{} HTTP/1.1\r\n\r\n", "x".repeat(MAX_HEAD)).into_bytes(), Status::HeadTooLarge),
            (post(""), Status::LengthRequired),
            (post("Transfer-Encoding: chunked\r\nContent-Length: 3\r\n"), Status::LengthRequired),
            (post("Content-Length: 3\r\nContent-Length: 3\r\n"), Status::BadRequest),
            (post("Content-Length: +3\r\n"), Status::BadRequest),
            (post("Content-Length: -1\r\n"), Status::BadRequest),
            (post("Content-Length: 4097\r\n"), Status::ContentTooLarge),
        ] {
            assert_eq!(parse(&bytes), Received::Refused(status), "{:?}", String::from_utf8_lossy(&bytes));
        }
    }

    #[test]
    fn a_response_is_read_back_and_a_cut_one_is_none() {
        let response = Response::<()>::json(Body::Shared("{\"ü\":1}\n".into()));
        let bytes = [response.emit_head(false), "{\"ü\":1}\n".into()].concat();
        assert_eq!(parse_response(&bytes), Ok((200, "{\"ü\":1}\n")));
        for end in 0..bytes.len() {
            assert!(parse_response(&bytes[..end]).is_err(), "{end}");
        }
        let head = |status| String::from_utf8(Response::<()>::of(status).emit_head(false)).unwrap();
        assert!(head(Status::MethodNotAllowed).starts_with("HTTP/1.1 405 Method Not Allowed\r\n"));
        assert!(head(Status::MethodNotAllowed).contains("\r\nAllow: GET, HEAD\r\n"));
        assert!(head(Status::Unauthorized).contains("\r\nWWW-Authenticate: Basic "));
    }

    #[test]
    fn a_body_without_a_length_is_chunked_where_the_other_end_knows_that() {
        let head = |is_old| String::from_utf8(Response::json(Body::Long(())).emit_head(is_old)).unwrap();
        assert!(head(false).contains("\r\nTransfer-Encoding: chunked\r\n") && !head(true).contains("chunked"));
        assert!(!head(false).contains("Content-Length"));
    }
}
