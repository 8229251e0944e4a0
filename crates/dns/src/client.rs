//! One question to one server: over UDP, and over TCP where the answer is too long for it.

use crate::forward::random_id;
use crate::message::{self, HEADER};
use crate::name::{self, Name};
use crate::record::{RType, Record, RecordData};
use crate::{DnsError, answer::UDP_MOST};
use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

/// What a server answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// What came of it (RFC 1035, 4.1.1): 0 is well, 2 the server failed, 3 there is no
    /// such name, 5 it refuses.
    pub rcode: u8,
    /// Whether the server is one of the zone's.
    pub authoritative: bool,
    /// The answers, in the order they came.
    pub records: Vec<Record>,
}

impl Answer {
    /// The code in words, as `NXDOMAIN`.
    #[must_use]
    pub fn rcode_name(&self) -> String {
        const NAMES: [&str; 6] = [
            "NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED",
        ];
        let name = NAMES.get(usize::from(self.rcode));
        name.map_or_else(|| format!("RCODE{}", self.rcode), |name| (*name).to_owned())
    }
}

/// Asks `server` for the records of type `rtype` of `name`; it has `timeout` in all.
///
/// # Errors
/// [`DnsError::Name`] for what is no name, [`DnsError::Ask`] where nobody listens,
/// [`DnsError::Late`] and [`DnsError::Answer`].
pub fn ask(
    server: SocketAddr,
    name: &str,
    rtype: RType,
    timeout: Duration,
) -> Result<Answer, DnsError> {
    let wire = Name::new(name).ok_or_else(|| DnsError::Name { name: name.into() })?;
    let asking = Asking {
        server,
        name,
        limit: timeout,
        end: Instant::now() + timeout,
    };
    let question = asking.question(&wire, rtype)?;
    let mut message = asking.udp(&question)?;
    // Truncated.
    if message.get(2).is_some_and(|flags| flags & 2 != 0) {
        message = asking.tcp(&question)?;
    }
    read(&message).ok_or_else(|| DnsError::Answer {
        server,
        name: name.into(),
    })
}

struct Asking<'a> {
    server: SocketAddr,
    name: &'a str,
    limit: Duration,
    end: Instant,
}

impl Asking<'_> {
    fn question(&self, name: &Name, rtype: RType) -> Result<Vec<u8>, DnsError> {
        let id = random_id().map_err(self.failed("choose a number for the question to"))?;
        let mut question = id.to_vec();
        // Recursion desired; one question, one additional record.
        question.extend_from_slice(&[1, 0, 0, 1, 0, 0, 0, 0, 0, 1]);
        question.extend_from_slice(name.wire());
        question.extend_from_slice(&rtype.0.to_be_bytes());
        question.extend_from_slice(&[0, 1]);
        let [size0, size1] = (UDP_MOST as u16).to_be_bytes();
        question.extend_from_slice(&[0, 0, 41, size0, size1, 0, 0, 0, 0, 0, 0]);
        Ok(question)
    }

    fn failed(&self, operation: &'static str) -> impl Fn(io::Error) -> DnsError {
        let (server, name, limit) = (self.server, self.name.to_owned(), self.limit);
        move |source| match source.kind() {
            ErrorKind::WouldBlock | ErrorKind::TimedOut => DnsError::Late {
                server,
                name: name.clone(),
                limit,
            },
            _ => DnsError::Ask {
                operation,
                server,
                name: name.clone(),
                source,
            },
        }
    }

    /// The time that is left.
    fn left(&self) -> io::Result<Duration> {
        let left = self.end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(ErrorKind::TimedOut.into());
        }
        Ok(left)
    }

    fn udp(&self, question: &[u8]) -> Result<Vec<u8>, DnsError> {
        let any: IpAddr = match self.server {
            SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        let asked = || {
            let socket = UdpSocket::bind((any, 0))?;
            socket.connect(self.server)?;
            socket.send(question)?;
            let mut buffer = vec![0; 65_535];
            loop {
                // A datagram may be lost: the question is asked again each second.
                let left = self.left()?;
                socket.set_read_timeout(Some(left.min(Duration::from_secs(1))))?;
                match socket.recv(&mut buffer) {
                    Ok(length) if is_answer(&buffer[..length], question) => {
                        buffer.truncate(length);
                        return Ok(buffer);
                    }
                    Ok(_) => {}
                    Err(error) if error.kind() == ErrorKind::WouldBlock => {
                        self.left()?;
                        socket.send(question)?;
                    }
                    Err(error) => return Err(error),
                }
            }
        };
        asked().map_err(self.failed("ask"))
    }

    fn tcp(&self, question: &[u8]) -> Result<Vec<u8>, DnsError> {
        let asked = || {
            let mut stream = TcpStream::connect_timeout(&self.server, self.left()?)?;
            stream.set_write_timeout(Some(self.left()?))?;
            let length = u16::try_from(question.len()).map_err(io::Error::other)?;
            stream.write_all(&[&length.to_be_bytes()[..], question].concat())?;
            loop {
                let mut length = [0; 2];
                self.fill(&mut stream, &mut length)?;
                let mut answer = vec![0; usize::from(u16::from_be_bytes(length))];
                self.fill(&mut stream, &mut answer)?;
                if is_answer(&answer, question) {
                    return Ok(answer);
                }
            }
        };
        asked().map_err(self.failed("ask over TCP"))
    }

    /// Reads all of `buffer` in the time that is left.
    fn fill(&self, stream: &mut TcpStream, buffer: &mut [u8]) -> io::Result<()> {
        let mut at = 0;
        while at < buffer.len() {
            stream.set_read_timeout(Some(self.left()?))?;
            match stream.read(&mut buffer[at..])? {
                0 => return Err(ErrorKind::UnexpectedEof.into()),
                length => at += length,
            }
        }
        Ok(())
    }
}

/// Whether that is an answer to this question, which has no records but the last.
fn is_answer(answer: &[u8], question: &[u8]) -> bool {
    let Some(header) = answer.first_chunk::<HEADER>() else {
        return false;
    };
    let is_response = header[..2] == question[..2] && header[2] & 0x80 != 0;
    match (is_response, u16::from_be_bytes([header[4], header[5]])) {
        (true, 0) => header[3] & 15 != 0,
        (true, 1) => {
            let end = message::skip_name(question, HEADER).map_or(HEADER, |end| end + 4);
            let asked = answer.get(HEADER..end);
            asked.is_some_and(|asked| asked.eq_ignore_ascii_case(&question[HEADER..end]))
        }
        _ => false,
    }
}

/// Reads the answers of a message.
fn read(message: &[u8]) -> Option<Answer> {
    let header: &[u8; HEADER] = message.first_chunk()?;
    let word = |i: usize| u16::from_be_bytes([header[i], header[i + 1]]);
    let mut at = HEADER;
    for _ in 0..word(4) {
        at = message::skip_name(message, at)? + 4;
    }
    let mut records = Vec::new();
    for _ in 0..word(6) {
        let (owner, next) = message::read_name(message, at)?;
        let head = message.get(next..)?.first_chunk::<10>()?;
        let length = usize::from(u16::from_be_bytes([head[8], head[9]]));
        let rtype = RType(u16::from_be_bytes([head[0], head[1]]));
        records.push(Record {
            name: name::text(&owner),
            ttl: u32::from_be_bytes([head[4], head[5], head[6], head[7]]),
            data: RecordData::read(message, next + 10, length, rtype)?,
        });
        at = next + 10 + length;
    }
    Some(Answer {
        rcode: header[3] & 15,
        authoritative: header[2] & 4 != 0,
        records,
    })
}
