//! What the proxy says itself.

use serde_json::json;

/// An answer that a client shows as `Error response from daemon: MESSAGE`. The connection ends
/// with it unless `keep`. One to a HEAD is without its body.
pub(crate) fn message(method: &str, status: u16, message: &str, keep: bool) -> Vec<u8> {
    let body = json!({ "message": message }).to_string() + "\n";
    let connection = match keep {
        true => "",
        false => "Connection: close\r\n",
    };
    let (reason, length) = (reason(status), body.len());
    let body = match method {
        "HEAD" => "",
        _ => &body,
    };
    format!(
        "HTTP/1.1 {status} {reason}\r\nContent-Type: application/json\r\n\
         {connection}Content-Length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}

const fn reason(status: u16) -> &'static str {
    match status {
        400 => "Bad Request",
        413 => "Request Entity Too Large",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        _ => "Internal Server Error",
    }
}
