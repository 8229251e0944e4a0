//! Where a server listens, as `ovsdb(7)` writes it ("Active database connection methods").

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// Why a text is no place of a server.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EndpointError {
    /// The way of reaching it is unknown.
    #[error("'{text}' names no server; write unix:/PATH, /PATH, tcp:HOST:PORT or ssl:HOST:PORT")]
    Form {
        /// The text.
        text: String,
    },
    /// There is no port, or it is no number of one.
    #[error("'{text}' has no port from 1 to 65535 at its end")]
    Port {
        /// The text.
        text: String,
    },
    /// An address of version 6 needs brackets.
    #[error("'{text}' has no host, or an address of version 6 without [brackets]")]
    Host {
        /// The text.
        text: String,
    },
    /// The list is empty.
    #[error("no server is named")]
    Empty,
}

/// Where one server listens.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// A unix socket.
    Unix(PathBuf),
    /// TCP, in the clear.
    Tcp {
        /// A name or an address, without brackets.
        host: String,
        /// The port.
        port: u16,
    },
    /// TLS.
    Ssl {
        /// A name or an address, without brackets.
        host: String,
        /// The port.
        port: u16,
    },
}

impl Endpoint {
    /// A unix socket.
    #[must_use]
    pub fn unix(path: impl AsRef<Path>) -> Self {
        Self::Unix(path.as_ref().to_owned())
    }
}

impl FromStr for Endpoint {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, EndpointError> {
        let text = text.trim();
        let path = text.strip_prefix("unix:").unwrap_or(text);
        if path.starts_with('/') {
            return Ok(Self::unix(path));
        }
        if let Some(rest) = text.strip_prefix("tcp:") {
            let (host, port) = host_port(text, rest)?;
            return Ok(Self::Tcp { host, port });
        }
        if let Some(rest) = text.strip_prefix("ssl:") {
            let (host, port) = host_port(text, rest)?;
            return Ok(Self::Ssl { host, port });
        }
        Err(EndpointError::Form {
            text: text.to_owned(),
        })
    }
}

fn host_port(text: &str, rest: &str) -> Result<(String, u16), EndpointError> {
    let no_port = || EndpointError::Port {
        text: text.to_owned(),
    };
    let no_host = || EndpointError::Host {
        text: text.to_owned(),
    };
    let (host, port) = match rest.strip_prefix('[') {
        Some(inner) => {
            let (host, after) = inner.split_once(']').ok_or_else(no_host)?;
            host.parse::<std::net::Ipv6Addr>().map_err(|_| no_host())?;
            (host, after.strip_prefix(':').ok_or_else(no_port)?)
        }
        None => rest.rsplit_once(':').ok_or_else(no_port)?,
    };
    let wrong = |c: char| c.is_whitespace() || c == '[' || c == ']' || c == '/';
    if host.is_empty() || host.contains(wrong) || (host.contains(':') && !rest.starts_with('[')) {
        return Err(no_host());
    }
    match port.parse() {
        Ok(port) if port > 0 => Ok((host.to_owned(), port)),
        _ => Err(no_port()),
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, host, port) = match self {
            Self::Unix(path) => return write!(f, "unix:{}", path.display()),
            Self::Tcp { host, port } => ("tcp", host, port),
            Self::Ssl { host, port } => ("ssl", host, port),
        };
        match host.contains(':') {
            true => write!(f, "{scheme}:[{host}]:{port}"),
            false => write!(f, "{scheme}:{host}:{port}"),
        }
    }
}

/// Servers of one database, at least one, that are tried in this order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoints(Vec<Endpoint>);

impl Endpoints {
    /// A list.
    ///
    /// # Errors
    /// It is empty.
    pub fn new(endpoints: Vec<Endpoint>) -> Result<Self, EndpointError> {
        match endpoints.is_empty() {
            true => Err(EndpointError::Empty),
            false => Ok(Self(endpoints)),
        }
    }

    /// All of them.
    #[must_use]
    pub fn as_slice(&self) -> &[Endpoint] {
        &self.0
    }

    /// The one for an attempt, which are counted from 0.
    pub(crate) fn turn(&self, attempt: usize) -> Endpoint {
        self.0[attempt % self.0.len()].clone()
    }
}

impl From<Endpoint> for Endpoints {
    fn from(endpoint: Endpoint) -> Self {
        Self(vec![endpoint])
    }
}

impl FromStr for Endpoints {
    type Err = EndpointError;

    /// Several are separated by commas.
    fn from_str(text: &str) -> Result<Self, EndpointError> {
        let parts = text.split(',').filter(|part| !part.trim().is_empty());
        Self::new(parts.map(str::parse).collect::<Result<_, _>>()?)
    }
}

impl fmt::Display for Endpoints {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let texts: Vec<String> = self.0.iter().map(Endpoint::to_string).collect();
        f.write_str(&texts.join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_is_read_and_written() {
        for (text, shown) in [
            ("unix:/run/db.sock", "unix:/run/db.sock"),
            ("/run/db.sock", "unix:/run/db.sock"),
            ("tcp:localhost:6633", "tcp:localhost:6633"),
            ("tcp:[2001:db8::1]:6640", "tcp:[2001:db8::1]:6640"),
            ("ssl:192.0.2.1:6640", "ssl:192.0.2.1:6640"),
        ] {
            let endpoint: Endpoint = text.parse().expect(text);
            assert_eq!(endpoint.to_string(), shown);
            assert_eq!(shown.parse(), Ok(endpoint));
        }
        let list: Endpoints = "tcp:a:1, ssl:[::1]:2".parse().expect("a list");
        assert_eq!(list.to_string(), "tcp:a:1,ssl:[::1]:2");
        assert_eq!(list.turn(3).to_string(), "ssl:[::1]:2");
    }

    #[test]
    fn every_fault_has_its_own_words() {
        for (text, words) in [
            ("localhost", "write unix:/PATH"),
            ("unix:db.sock", "write unix:/PATH"),
            ("tcp:localhost", "no port"),
            ("tcp:localhost:0", "no port"),
            ("tcp:localhost:65536", "no port"),
            ("tcp:[::1]", "no port"),
            ("tcp::6640", "no host"),
            ("tcp:::1:6640", "without [brackets]"),
            ("tcp:[x]:1", "without [brackets]"),
            ("tcp:a b:1", "no host"),
            ("", "no server is named"),
            (" , ", "no server is named"),
        ] {
            let error = text.parse::<Endpoints>().expect_err(text);
            assert!(error.to_string().contains(words), "{text}: {error}");
        }
    }
}
