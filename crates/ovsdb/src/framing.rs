//! Messages in a stream of bytes: JSON objects, one after the other, with nothing or white
//! space between them (RFC 7047 section 4).
//!
//! The end of a message is found by brackets and strings, and each byte is looked at once,
//! however small the pieces are in which a large message comes.

use serde_json::Value as Json;

/// What a stream of messages must not have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FramingError {
    /// Something stands where a message should begin.
    #[error("a message should begin, but there is {found}: this is no OVSDB server")]
    NoMessage {
        /// The first bytes, quoted.
        found: String,
    },
    /// Something has the brackets of a message and is no JSON.
    #[error("a message is not JSON: {cause}")]
    NotJson {
        /// What is wrong with it, and where.
        cause: String,
    },
    /// A message is longer than the settings allow.
    #[error("a message is longer than {most} bytes; raise max_message")]
    TooLong {
        /// The limit in bytes.
        most: usize,
    },
}

/// Cuts a stream into messages.
#[derive(Debug)]
pub struct Framer {
    bytes: Vec<u8>,
    /// Where the next message begins.
    start: usize,
    /// How far it has been looked at.
    seen: usize,
    depth: usize,
    in_string: bool,
    escaped: bool,
    most: usize,
}

impl Framer {
    /// One whose messages have `most` bytes at most.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self {
            bytes: Vec::new(),
            start: 0,
            seen: 0,
            depth: 0,
            in_string: false,
            escaped: false,
            most,
        }
    }

    /// Adds what has been read.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.start > 0 {
            self.bytes.drain(..self.start);
            self.seen -= self.start;
            self.start = 0;
        }
        self.bytes.extend_from_slice(bytes);
    }

    /// Has a message begun that has not ended?
    #[must_use]
    pub fn inside(&self) -> bool {
        self.depth > 0
    }

    /// The next whole message; none if more must be read first. After an error the stream is
    /// of no use.
    ///
    /// # Errors
    /// What comes is no message, or too long.
    pub fn next_message(&mut self) -> Result<Option<Json>, FramingError> {
        while let Some(&byte) = self.bytes.get(self.seen) {
            if self.depth == 0 && !self.begins(byte)? {
                continue;
            }
            self.seen += 1;
            self.step(byte);
            if self.seen - self.start > self.most {
                return Err(FramingError::TooLong { most: self.most });
            }
            if self.depth == 0 {
                let message = &self.bytes[self.start..self.seen];
                let message = serde_json::from_slice(message);
                self.start = self.seen;
                return message.map(Some).map_err(|e| FramingError::NotJson {
                    cause: e.to_string(),
                });
            }
        }
        Ok(None)
    }

    /// Is this the first byte of a message? White space is passed over.
    fn begins(&mut self, byte: u8) -> Result<bool, FramingError> {
        match byte {
            b'{' => Ok(true),
            b' ' | b'\t' | b'\r' | b'\n' => {
                self.seen += 1;
                self.start = self.seen;
                Ok(false)
            }
            _ => {
                let rest = &self.bytes[self.seen..];
                let some = &rest[..rest.len().min(40)];
                Err(FramingError::NoMessage {
                    found: format!("{:?}", String::from_utf8_lossy(some)),
                })
            }
        }
    }

    fn step(&mut self, byte: u8) {
        if self.in_string {
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' => self.escaped = true,
                b'"' => self.in_string = false,
                _ => {}
            }
            return;
        }
        match byte {
            b'"' => self.in_string = true,
            b'{' | b'[' => self.depth += 1,
            b'}' | b']' => self.depth -= 1,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn all(framer: &mut Framer) -> Result<Vec<Json>, FramingError> {
        let mut messages = Vec::new();
        while let Some(message) = framer.next_message()? {
            messages.push(message);
        }
        Ok(messages)
    }

    #[test]
    fn messages_are_found_wherever_the_stream_is_cut() {
        let text = r#"{"a":"}\"{é\\"}{"b":[[],{}]}
             {"c":"\u0007]"}"#
            .as_bytes();
        let expected = [
            json!({"a": "}\"{é\\"}),
            json!({"b": [[], {}]}),
            json!({"c": "\u{7}]"}),
        ];
        for cut in 0..=text.len() {
            let mut framer = Framer::new(100);
            framer.push(&text[..cut]);
            let mut found = all(&mut framer).expect("messages");
            framer.push(&text[cut..]);
            found.extend(all(&mut framer).expect("messages"));
            assert_eq!(found, expected, "cut at {cut}");
            assert!(!framer.inside());
        }
        let mut framer = Framer::new(100);
        let mut found = Vec::new();
        for byte in text {
            framer.push(&[*byte]);
            found.extend(all(&mut framer).expect("messages"));
        }
        assert_eq!(found, expected, "byte by byte");
    }

    #[test]
    fn what_is_no_message_is_named() {
        let mut framer = Framer::new(100);
        framer.push(b"{} HTTP/1.1 400 Bad Request\r\n");
        assert_eq!(framer.next_message(), Ok(Some(json!({}))));
        let error = framer.next_message().expect_err("no message");
        assert!(error.to_string().contains("HTTP/1.1 400"), "{error}");

        let mut framer = Framer::new(100);
        framer.push(b"{]");
        assert!(matches!(
            framer.next_message(),
            Err(FramingError::NotJson { .. })
        ));
    }

    #[test]
    fn a_message_has_a_limit_and_a_stream_has_none() {
        let mut framer = Framer::new(10);
        for _ in 0..5 {
            framer.push(b"{\"a\":1234}");
            assert_eq!(framer.next_message(), Ok(Some(json!({"a": 1234}))));
        }
        framer.push(b"{\"a\":12345");
        assert_eq!(framer.next_message(), Ok(None));
        assert!(framer.inside());
        framer.push(b"}");
        assert_eq!(
            framer.next_message(),
            Err(FramingError::TooLong { most: 10 })
        );
    }
}
