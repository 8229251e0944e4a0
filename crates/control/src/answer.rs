//! Reading an answer: one status line, headers, a body of known length.

/// An answer's status and body.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Answer<'a> {
    pub(crate) status: u16,
    pub(crate) body: &'a [u8],
}

/// How much there may be of an answer, in bytes: more than the list of a thousand nodes.
pub(crate) const LIMIT: usize = 64 * 1024 * 1024;

/// Reads what has come so far; `None` while it is not whole.
pub(crate) fn read(bytes: &[u8]) -> Result<Option<Answer<'_>>, String> {
    let mut headers = [httparse::EMPTY_HEADER; 32];
    let mut response = httparse::Response::new(&mut headers);
    let head = match response.parse(bytes) {
        Ok(httparse::Status::Complete(head)) => head,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(error) => return Err(format!("it is not HTTP: {error}")),
    };
    let status = response.code.unwrap_or_default();
    let length = content_length(response.headers)?;
    let Some(end) = head.checked_add(length).filter(|end| *end <= LIMIT) else {
        return Err(format!("its body has {length} bytes"));
    };
    Ok(bytes.get(head..end).map(|body| Answer { status, body }))
}

fn content_length(headers: &[httparse::Header<'_>]) -> Result<usize, String> {
    let mut lengths = headers
        .iter()
        .filter(|header| header.name.eq_ignore_ascii_case("content-length"));
    let (Some(length), None) = (lengths.next(), lengths.next()) else {
        return Err("it does not say its length once".into());
    };
    let text = String::from_utf8_lossy(length.value);
    // `parse` alone would take a sign.
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(format!("content-length is {text:?}"));
    }
    text.parse()
        .map_err(|_| format!("content-length is {text:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";

    #[test]
    fn an_answer_is_whole_when_its_body_is() {
        for end in 0..WHOLE.len() {
            assert_eq!(read(&WHOLE[..end]), Ok(None), "{end}");
        }
        let answer = read(WHOLE).unwrap().unwrap();
        assert_eq!((answer.status, answer.body), (200, &b"{}"[..]));
        let more = [WHOLE, b"more"].concat();
        assert_eq!(read(&more).unwrap().unwrap().body, b"{}");
    }

    #[test]
    fn what_is_no_answer_is_refused() {
        for bad in [
            &b"garbage\r\n\r\n"[..],
            b"\0\0\0\0",
            b"HTTP/1.1 200 OK\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: +1\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
            b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999999\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551615\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: 999999999\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        ] {
            assert!(read(bad).is_err(), "{}", String::from_utf8_lossy(bad));
        }
    }
}
