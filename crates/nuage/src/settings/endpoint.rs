//! Where the switch's database and Docker are.

use std::fmt;
use std::net::Ipv6Addr;
use std::path::{Path, PathBuf};

/// Where the switch's database (OVSDB, RFC 7047) answers. Shown in the form that the tools of
/// Open vSwitch take: `unix:/PATH`, `tcp:HOST:PORT`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OvsdbAddress {
    /// A socket of this host.
    Unix(PathBuf),
    /// A port, opened with `ovs-appctl -t ovsdb-server ovsdb-server/add-remote ptcp:PORT`.
    Tcp {
        /// A name or an address, without brackets.
        host: String,
        /// The port.
        port: u16,
    },
}

impl OvsdbAddress {
    /// Reads `/PATH`, `unix:/PATH`, `tcp:HOST:PORT`, `HOST:PORT` and `HOST`, for which the
    /// port is `port`.
    pub(super) fn parse(given: &str, port: u16) -> Option<Self> {
        let rest = given.strip_prefix("unix:");
        if let Some(path) = rest.or_else(|| given.starts_with('/').then_some(given)) {
            return Some(Self::Unix(absolute(path)?));
        }
        if let Some(rest) = given.strip_prefix("tcp:") {
            let (host, port) = rest.trim_start_matches("//").rsplit_once(':')?;
            return Self::tcp(host, port.parse().ok()?);
        }
        match given.rsplit_once(':') {
            Some((host, own)) if !host.contains(':') || host.ends_with(']') => {
                Self::tcp(host, own.parse().ok()?)
            }
            _ => Self::tcp(given, port),
        }
    }

    fn tcp(host: &str, port: u16) -> Option<Self> {
        let bare = host.strip_prefix('[').and_then(|h| h.strip_suffix(']'));
        let named = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
        let good = match bare {
            Some(inner) => inner.parse::<Ipv6Addr>().is_ok(),
            None if host.contains(':') => host.parse::<Ipv6Addr>().is_ok(),
            None => !host.is_empty() && host.chars().all(named),
        };
        let host = bare.unwrap_or(host);
        (good && port != 0).then(|| Self::Tcp {
            host: host.to_owned(),
            port,
        })
    }
}

impl fmt::Display for OvsdbAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Tcp { host, port } if host.contains(':') => write!(f, "tcp:[{host}]:{port}"),
            Self::Tcp { host, port } => write!(f, "tcp:{host}:{port}"),
        }
    }
}

/// The socket of Docker's API. Shown as Docker's own tools take it: `unix:///PATH`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DockerSocket(PathBuf);

impl DockerSocket {
    /// Reads `unix:///PATH` and `/PATH`.
    pub(super) fn parse(given: &str) -> Option<Self> {
        let path = given.strip_prefix("unix:").unwrap_or(given);
        absolute(path).map(Self)
    }

    /// Its file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl fmt::Display for DockerSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "unix://{}", self.0.display())
    }
}

/// `/PATH` and `///PATH`.
fn absolute(path: &str) -> Option<PathBuf> {
    let rest = path.trim_start_matches('/');
    let good = path.starts_with('/') && !rest.is_empty() && !rest.contains('\0');
    good.then(|| Path::new("/").join(rest))
}
