//! Where a message ends.

/// What is left of a message's body. It is asked about the bytes as they come, each once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Framing {
    /// So many bytes.
    Length(u64),
    /// Chunks, with trailers behind the last one.
    Chunked(Chunk),
    /// All that comes until the connection ends.
    Rest,
}

/// Where in a chunked body the next byte is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Chunk {
    /// In the size of a chunk; none before its first digit.
    Size(Option<u64>),
    /// Behind the size, in what may follow it on its line.
    Extension(u64),
    /// In the data, of which so much is left.
    Data(u64),
    /// In the end of line behind the data.
    Behind,
    /// At the begin of a line behind the last chunk.
    Trailer,
    /// Within such a line.
    TrailerLine,
    /// Behind the carriage return of the line that ends it all.
    LastLine,
    /// Nowhere: it has ended.
    End,
}

impl Framing {
    pub(crate) const NONE: Self = Self::Length(0);
    pub(crate) const CHUNKED: Self = Self::Chunked(Chunk::Size(None));

    pub(crate) const fn is_done(&self) -> bool {
        matches!(self, Self::Length(0) | Self::Chunked(Chunk::End))
    }

    /// How many of the bytes that follow belong to the message. A body that breaks the rules
    /// of chunks is one without an end: who receives it has to judge it.
    pub(crate) fn scan(&mut self, bytes: &[u8]) -> usize {
        self.take(bytes, &mut |_| ())
    }

    /// The same; what is data among them goes to `data`.
    fn take(&mut self, bytes: &[u8], data: &mut dyn FnMut(&[u8])) -> usize {
        match self {
            Self::Rest => {
                data(bytes);
                bytes.len()
            }
            Self::Length(left) => {
                let taken = at_most(bytes.len(), *left);
                *left -= taken as u64;
                data(&bytes[..taken]);
                taken
            }
            Self::Chunked(_) => self.chunks(bytes, data),
        }
    }

    fn chunks(&mut self, bytes: &[u8], data: &mut dyn FnMut(&[u8])) -> usize {
        let mut at = 0;
        while at < bytes.len() {
            let Self::Chunked(chunk) = self else {
                return bytes.len();
            };
            match chunk {
                Chunk::End => return at,
                Chunk::Data(left) => {
                    let taken = at_most(bytes.len() - at, *left);
                    data(&bytes[at..at + taken]);
                    at += taken;
                    *chunk = match *left - taken as u64 {
                        0 => Chunk::Behind,
                        left => Chunk::Data(left),
                    };
                }
                _ => {
                    match chunk.next(bytes[at]) {
                        Some(next) => *chunk = next,
                        None => *self = Self::Rest,
                    }
                    at += 1;
                }
            }
        }
        at
    }
}

impl Chunk {
    /// Where one is behind a byte that is no data; none if it must not be here.
    fn next(self, byte: u8) -> Option<Self> {
        let behind_size = |size| match size {
            0 => Self::Trailer,
            size => Self::Data(size),
        };
        Some(match (self, byte) {
            (Self::Size(Some(size)) | Self::Extension(size), b'\n') => behind_size(size),
            (Self::Size(Some(size)), b';' | b' ' | b'\t' | b'\r') => Self::Extension(size),
            (Self::Size(size), digit) => {
                let digit = char::from(digit).to_digit(16)?;
                let size = size.unwrap_or(0).checked_mul(16)?;
                Self::Size(Some(size.checked_add(u64::from(digit))?))
            }
            (Self::Extension(_) | Self::TrailerLine, _) if byte != b'\n' => self,
            (Self::TrailerLine | Self::Extension(_), _) => Self::Trailer,
            (Self::Behind, b'\r') => Self::Behind,
            (Self::Behind, b'\n') => Self::Size(None),
            (Self::Trailer, b'\r') => Self::LastLine,
            (Self::Trailer | Self::LastLine, b'\n') => Self::End,
            (Self::Trailer, _) => Self::TrailerLine,
            _ => return None,
        })
    }
}

fn at_most(length: usize, left: u64) -> usize {
    usize::try_from(left).map_or(length, |left| left.min(length))
}

/// The data of a whole body that is framed so.
pub(crate) fn decode(mut framing: Framing, raw: &[u8]) -> Vec<u8> {
    let mut data = Vec::with_capacity(raw.len());
    framing.take(raw, &mut |bytes| data.extend_from_slice(bytes));
    data
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_is_counted_down() {
        let mut framing = Framing::Length(5);
        assert_eq!(framing.scan(b"abc"), 3);
        assert!(!framing.is_done());
        assert_eq!(framing.scan(b"defgh"), 2);
        assert!(framing.is_done());
        assert_eq!(framing.scan(b"more"), 0);
    }

    #[test]
    fn chunks_end_behind_their_trailers_wherever_they_are_cut() {
        let bodies: [&[u8]; 4] = [
            b"3\r\nabc\r\n0\r\n\r\n",
            b"3;name=value\r\nabc\r\n0\r\nX-Sum: 7\r\nX-More: 8\r\n\r\n",
            b"1\nabc"[..2].as_ref(),
            b"00003\r\nabc\r\n1A\r\nabcdefghijklmnopqrstuvwxyz\r\n000\r\n\r\n",
        ];
        for (number, body) in bodies.iter().enumerate() {
            let whole = number != 2;
            let mut sent = body.to_vec();
            sent.extend_from_slice(b"GET / HTTP/1.1\r\n");
            for cut in 0..sent.len() {
                let mut framing = Framing::CHUNKED;
                let first = framing.scan(&sent[..cut]);
                let second = framing.scan(&sent[first..]);
                match whole {
                    true => assert_eq!(first + second, body.len(), "cut at {cut}"),
                    false => assert!(!framing.is_done()),
                }
                assert_eq!(framing.is_done(), whole, "cut at {cut}");
            }
        }
        assert_eq!(
            decode(Framing::CHUNKED, bodies[3]),
            b"abcabcdefghijklmnopqrstuvwxyz"
        );
    }

    #[test]
    fn what_is_no_chunk_has_no_end() {
        for broken in [
            b"x\r\n".as_slice(),
            b"\r\n",
            b"3\r\nabcd\r\n",
            b"fffffffffffffffff\r\n",
            b"0\r\n\rx",
        ] {
            let mut framing = Framing::CHUNKED;
            assert_eq!(framing.scan(broken), broken.len());
            assert_eq!(framing, Framing::Rest);
        }
    }
}
