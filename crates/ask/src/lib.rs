//! Questions to daemons of this host that speak HTTP over a unix socket, as Docker and Podman
//! do. Each has a connection of its own and the oldest form of the protocol, HTTP/1.0, in
//! which the answer is what comes until the end; time limits are the caller's.
#![forbid(unsafe_code)]

use serde_json::Value;
use std::io;
use std::path::Path;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

/// The text of a question; `path` is encoded already.
#[must_use]
pub fn question(method: &str, path: &str, body: Option<&Value>) -> String {
    let head = format!("{method} {path} HTTP/1.0\r\nHost: engine\r\n");
    match body.map(Value::to_string) {
        None => format!("{head}\r\n"),
        Some(body) => format!(
            "{head}Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        ),
    }
}

/// Asks, and leaves the answer to be read: for one that does not end.
///
/// # Errors
/// Nobody is there, or no longer.
pub async fn begin(socket: &Path, question: &str) -> io::Result<UnixStream> {
    let mut stream = UnixStream::connect(socket).await?;
    stream.write_all(question.as_bytes()).await?;
    Ok(stream)
}

/// Asks; the whole answer, of which no more than `most` bytes are read.
///
/// # Errors
/// Nobody is there, or no longer.
pub async fn ask(socket: &Path, question: &str, most: u64) -> io::Result<Vec<u8>> {
    let stream = begin(socket, question).await?;
    let mut answer = Vec::new();
    stream.take(most).read_to_end(&mut answer).await?;
    Ok(answer)
}

/// Status and body of an answer; none of what is not one of HTTP.
#[must_use]
pub fn parse(answer: &[u8]) -> Option<(u16, &[u8])> {
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&answer[..end]).ok()?;
    let status = head.strip_prefix("HTTP/1.")?.split(' ').nth(1)?;
    Some((status.get(..3)?.parse().ok()?, &answer[end + 4..]))
}

/// The words of an answer that says no.
#[must_use]
pub fn reason(status: u16, body: &[u8]) -> String {
    let told: Value = serde_json::from_slice(body).unwrap_or_default();
    let told = told.get("message").and_then(Value::as_str);
    told.map_or_else(|| format!("status {status}"), |text| text.trim().to_owned())
}

/// A text as a part of an address.
#[must_use]
pub fn encoded(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    text.bytes()
        .map(|byte| match plain(byte) {
            true => char::from(byte).to_string(),
            false => format!("%{byte:02X}"),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_question_has_its_body_and_its_length() {
        let text = question("POST", "/networks/create", Some(&json!({"Name": "é"})));
        assert!(text.starts_with("POST /networks/create HTTP/1.0\r\n"));
        assert!(
            text.ends_with("Content-Length: 13\r\n\r\n{\"Name\":\"é\"}"),
            "{text}"
        );
        assert_eq!(encoded("a/b?c d"), "a%2Fb%3Fc%20d");
    }

    #[test]
    fn an_answer_has_a_status_and_a_body_or_is_none() {
        let answer = b"HTTP/1.0 200 OK\r\nServer: x\r\n\r\n{}";
        assert_eq!(parse(answer), Some((200, b"{}".as_slice())));
        assert_eq!(parse(b"HTTP/1.1 204\r\n\r\n"), Some((204, b"".as_slice())));
        assert_eq!(parse(b"HTTP/1.0 200 OK\r\n"), None);
        assert_eq!(parse(b"nonsense\r\n\r\n"), None);
    }

    #[test]
    fn a_refusal_has_the_daemons_words_or_its_status() {
        assert_eq!(
            reason(409, b"{\"message\":\"it is taken\\n\"}"),
            "it is taken"
        );
        assert_eq!(reason(500, b"nonsense"), "status 500");
    }
}
