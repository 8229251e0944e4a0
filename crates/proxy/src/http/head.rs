//! What is read in the head of a request or an answer. Its bytes are passed on as they are.

use super::Framing;
use httparse::{EMPTY_HEADER, Error, Header, Request, Response, Status};

/// The longest head that is read, in bytes.
pub(crate) const HEAD_LIMIT: usize = 64 << 10;
/// The most lines that a head has.
const LINES: usize = 256;

/// What has come so far, as a head.
#[derive(Debug)]
pub(crate) enum Parsed<T> {
    /// There is more to come.
    Partial,
    /// A head.
    Whole(T),
    /// Nothing that is understood here, or too long a head.
    Unreadable,
}

/// The head of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RequestHead {
    pub(crate) method: String,
    /// Path and query.
    pub(crate) target: String,
    /// How many bytes it has.
    pub(crate) length: usize,
    pub(crate) body: Framing,
    /// Whether the body comes only after an answer of 100.
    pub(crate) expects: bool,
}

impl RequestHead {
    pub(crate) fn parse(bytes: &[u8]) -> Parsed<Self> {
        let mut lines = [EMPTY_HEADER; LINES];
        let mut request = Request::new(&mut lines);
        let length = match outcome(request.parse(bytes), bytes) {
            Parsed::Whole(length) => length,
            Parsed::Partial => return Parsed::Partial,
            Parsed::Unreadable => return Parsed::Unreadable,
        };
        let (Some(method), Some(target)) = (request.method, request.path) else {
            return Parsed::Unreadable;
        };
        let Some(body) = framing(request.headers) else {
            return Parsed::Unreadable;
        };
        let mut expect = values(request.headers, "expect");
        Parsed::Whole(Self {
            method: method.to_owned(),
            target: target.to_owned(),
            length,
            body: body.unwrap_or(Framing::NONE),
            expects: expect.any(|value| value.eq_ignore_ascii_case(b"100-continue")),
        })
    }

    /// The head of the same request with another body, of which all is there.
    pub(crate) fn with_body(&self, head: &[u8], body: &[u8]) -> Vec<u8> {
        replace(head, &["expect"], body)
    }
}

/// The head of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ResponseHead {
    pub(crate) status: u16,
    /// How many bytes it has.
    pub(crate) length: usize,
    pub(crate) body: Framing,
    /// The media type without its parameters.
    pub(crate) media: String,
    /// Whether the body is encoded in some way.
    pub(crate) encoded: bool,
}

impl ResponseHead {
    /// The head of an answer to a request of this method.
    pub(crate) fn parse(bytes: &[u8], method: &str) -> Parsed<Self> {
        let mut lines = [EMPTY_HEADER; LINES];
        let mut response = Response::new(&mut lines);
        let length = match outcome(response.parse(bytes), bytes) {
            Parsed::Whole(length) => length,
            Parsed::Partial => return Parsed::Partial,
            Parsed::Unreadable => return Parsed::Unreadable,
        };
        let (Some(status), Some(body)) = (response.code, framing(response.headers)) else {
            return Parsed::Unreadable;
        };
        let body = match status {
            100..=199 | 204 | 304 => Framing::NONE,
            _ if method == "HEAD" => Framing::NONE,
            _ => body.unwrap_or(Framing::Rest),
        };
        let media = values(response.headers, "content-type").next();
        let media = media.unwrap_or_default().split(|b| *b == b';').next();
        let media = String::from_utf8_lossy(media.unwrap_or_default().trim_ascii());
        Parsed::Whole(Self {
            status,
            length,
            body,
            media: media.to_ascii_lowercase(),
            encoded: values(response.headers, "content-encoding")
                .next()
                .is_some(),
        })
    }

    /// The whole answer with another body.
    pub(crate) fn with_body(head: &[u8], body: &[u8]) -> Vec<u8> {
        replace(head, &["trailer"], body)
    }
}

fn outcome(parsed: httparse::Result<usize>, bytes: &[u8]) -> Parsed<usize> {
    match parsed {
        Ok(Status::Complete(length)) if length <= HEAD_LIMIT => Parsed::Whole(length),
        Ok(Status::Partial) if bytes.len() <= HEAD_LIMIT => Parsed::Partial,
        Ok(_) | Err(Error::TooManyHeaders | _) => Parsed::Unreadable,
    }
}

fn values<'h>(lines: &'h [Header<'h>], name: &'h str) -> impl Iterator<Item = &'h [u8]> {
    let lines = lines.iter();
    lines
        .filter(move |line| line.name.eq_ignore_ascii_case(name))
        .map(|line| line.value.trim_ascii())
}

/// How a body is framed: `Some(None)` where the head does not say, none where it says what
/// nobody understands.
#[expect(clippy::option_option, reason = "two different absences")]
fn framing(lines: &[Header<'_>]) -> Option<Option<Framing>> {
    let mut codings = values(lines, "transfer-encoding");
    if let Some(coding) = codings.next() {
        let chunked = coding.eq_ignore_ascii_case(b"chunked") && codings.next().is_none();
        return chunked.then_some(Some(Framing::CHUNKED));
    }
    let mut length = None;
    for value in values(lines, "content-length") {
        if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
            return None;
        }
        let value: u64 = std::str::from_utf8(value).ok()?.parse().ok()?;
        if length.is_some_and(|length| length != value) {
            return None;
        }
        length = Some(value);
    }
    Some(length.map(Framing::Length))
}

/// A message with these bytes of a head, without the lines of these names, and another body.
fn replace(head: &[u8], without: &[&str], body: &[u8]) -> Vec<u8> {
    let framed = ["content-length", "transfer-encoding"];
    let mut message = Vec::with_capacity(head.len() + body.len() + 32);
    for line in head.split_inclusive(|byte| *byte == b'\n') {
        let name = line.split(|byte| *byte == b':').next().unwrap_or_default();
        let is = |other: &&str| name.eq_ignore_ascii_case(other.as_bytes());
        if !line.trim_ascii().is_empty() && !framed.iter().chain(without).any(is) {
            message.extend_from_slice(line);
        }
    }
    message.extend_from_slice(format!("Content-Length: {}\r\n\r\n", body.len()).as_bytes());
    message.extend_from_slice(body);
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(text: &str) -> RequestHead {
        match RequestHead::parse(text.as_bytes()) {
            Parsed::Whole(head) => head,
            other => panic!("{text:?}: {other:?}"),
        }
    }

    fn response(text: &str, method: &str) -> ResponseHead {
        match ResponseHead::parse(text.as_bytes(), method) {
            Parsed::Whole(head) => head,
            other => panic!("{text:?}: {other:?}"),
        }
    }

    #[test]
    fn a_request_says_what_it_wants_and_how_long_it_is() {
        let text = "POST /v1.41/x?a=b HTTP/1.1\r\nHost: d\r\nexpect: 100-Continue\r\nContent-Length: 7\r\n\r\nabc";
        let head = request(text);
        assert_eq!(head.method, "POST");
        assert_eq!(head.target, "/v1.41/x?a=b");
        assert_eq!(head.length, text.len() - 3);
        assert_eq!(head.body, Framing::Length(7));
        assert!(head.expects);
        let chunked = "POST / HTTP/1.1\r\nContent-Length: 7\r\nTransfer-Encoding: chunked\r\n\r\n";
        assert_eq!(request(chunked).body, Framing::CHUNKED);
        assert_eq!(request("GET / HTTP/1.1\r\n\r\n").body, Framing::NONE);
    }

    #[test]
    fn what_is_understood_in_two_ways_is_not_read() {
        for lines in [
            "Content-Length: 7\r\nContent-Length: 8\r\n",
            "Content-Length: +7\r\n",
            "Content-Length: 99999999999999999999\r\n",
            "Transfer-Encoding: gzip, chunked\r\n",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        ] {
            let text = format!("POST / HTTP/1.1\r\n{lines}\r\n");
            let parsed = RequestHead::parse(text.as_bytes());
            assert!(matches!(parsed, Parsed::Unreadable), "{lines}");
        }
        let long = format!("GET / HTTP/1.1\r\nX: {}", "x".repeat(HEAD_LIMIT));
        let parsed = RequestHead::parse(long.as_bytes());
        assert!(matches!(parsed, Parsed::Unreadable));
        let parsed = RequestHead::parse(b"GET / HTTP/1.1\r\nX: ");
        assert!(matches!(parsed, Parsed::Partial));
        let parsed = RequestHead::parse(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
        assert!(matches!(parsed, Parsed::Unreadable));
    }

    #[test]
    fn an_answer_has_a_body_by_its_status_and_its_question() {
        let sized = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n";
        assert_eq!(response(sized, "GET").body, Framing::Length(3));
        assert_eq!(response(sized, "HEAD").body, Framing::NONE);
        for status in ["100 Continue", "101 UPGRADED", "204 No Content", "304 x"] {
            let text = format!("HTTP/1.1 {status}\r\nContent-Length: 3\r\n\r\n");
            assert_eq!(response(&text, "GET").body, Framing::NONE);
        }
        let raw = "HTTP/1.1 200 OK\r\nContent-Type: application/VND.docker.raw-stream; x=y\r\n\r\n";
        let head = response(raw, "POST");
        assert_eq!(head.body, Framing::Rest);
        assert_eq!(head.media, "application/vnd.docker.raw-stream");
    }

    #[test]
    fn another_body_changes_the_length_alone() {
        let head = "POST /x HTTP/1.1\r\nHost: a\r\nexpect: 100-continue\r\ntransfer-Encoding: chunked\r\nX: y\r\n\r\n";
        let new = request(head).with_body(head.as_bytes(), b"{}");
        assert_eq!(
            String::from_utf8(new).unwrap(),
            "POST /x HTTP/1.1\r\nHost: a\r\nX: y\r\nContent-Length: 2\r\n\r\n{}"
        );
    }
}
