//! One `[ingress#N]`: which connections go to which service.

use crate::ServiceError;
use crate::service::Reader;
use fairlead_types::{Expose, ObjectName, Protocol, ResourceName};
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

/// Where connections come in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Listen {
    /// The address; every address where there is none.
    pub address: Option<IpAddr>,
    /// The port, from 1.
    pub port: u16,
}

impl Listen {
    /// Whether the two are not the same, and a connection could come in at either.
    pub(crate) fn overlaps(&self, other: &Self) -> bool {
        let any = |listen: &Self| listen.address.is_none_or(|ip| ip.is_unspecified());
        self != other && self.port == other.port && (any(self) || any(other))
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.address {
            Some(address) => SocketAddr::new(address, self.port).fmt(f),
            None => write!(f, ":{}", self.port),
        }
    }
}

/// One `[ingress#N]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// Its name.
    pub resource: ResourceName,
    /// Whether the connections speak HTTP, or are anything.
    pub http: bool,
    /// Where they come in.
    pub listen: Vec<Listen>,
    /// Files with certificate and key; TLS is spoken where there are any.
    pub certificates: Vec<PathBuf>,
    /// The names that requests are for; any where there are none.
    pub hosts: Vec<String>,
    /// How the paths begin that requests are for.
    pub path: Option<String>,
    /// The service that answers.
    pub backend: ObjectName,
    /// Its port.
    pub port: Expose,
    /// Which instance gets the next connection.
    pub balance: String,
    /// How many instances are used at the most.
    pub slots: String,
}

impl Rule {
    pub(crate) fn read(of: &Reader<'_>) -> Result<Self, ServiceError> {
        let http = of.text("mode")?.as_deref() != Some("tcp");
        let listen = listens(of)?;
        let backend = of.text("backend")?;
        let backend = backend.ok_or_else(|| of.wrong("backend", "a service is wanted"))?;
        let backend = crate::service_name(&backend);
        let backend = backend.map_err(|e| of.wrong("backend", e.to_string()))?;
        let port = match of.expose("port")?.as_slice() {
            [port] if port.host_port.is_none() && port.protocol == Protocol::Tcp => *port,
            _ => {
                let reason = "one TCP port of the service is wanted, as in 80/tcp";
                return Err(of.wrong("port", reason));
            }
        };
        let hosts = of.words("host")?;
        let path = path(of)?;
        if !http && (!hosts.is_empty() || path.is_some()) {
            let keyword = if path.is_some() { "path" } else { "host" };
            return Err(of.wrong(keyword, "only mode = http looks at names and paths"));
        }
        let certificates = certificates(of)?;
        Ok(Self {
            resource: of.resource.clone(),
            http,
            listen,
            certificates,
            hosts: hosts.iter().map(|host| host.to_lowercase()).collect(),
            path,
            backend,
            port,
            balance: of.text("balance")?.unwrap_or_default(),
            slots: of.text("slots")?.unwrap_or_default(),
        })
    }
}

fn listens(of: &Reader<'_>) -> Result<Vec<Listen>, ServiceError> {
    let wrong = |word: &str| {
        of.wrong(
            "listen",
            format!("{word:?} is neither PORT nor ADDRESS:PORT"),
        )
    };
    let mut all = Vec::new();
    for word in of.words("listen")? {
        let alone = word.parse::<u16>().ok();
        let whole = word.parse::<SocketAddr>().ok();
        let listen = match (alone, whole) {
            (Some(port), _) => Listen {
                address: None,
                port,
            },
            (None, Some(address)) => Listen {
                address: Some(address.ip()),
                port: address.port(),
            },
            (None, None) => return Err(wrong(&word)),
        };
        if listen.port == 0 {
            return Err(wrong(&word));
        }
        all.push(listen);
    }
    match all.is_empty() {
        true => Err(of.wrong("listen", "a port is wanted, as in 80")),
        false => Ok(all),
    }
}

/// A word of HAProxy's configuration has no white space, quotes or backslashes here: what
/// would need escapes is refused.
fn is_plain(text: &str) -> bool {
    text.chars()
        .all(|c| c.is_ascii_graphic() && !matches!(c, '"' | '\'' | '\\' | '#' | '$' | '{' | '}'))
}

fn path(of: &Reader<'_>) -> Result<Option<String>, ServiceError> {
    match of.text("path")? {
        Some(path) if !path.starts_with('/') || !is_plain(&path) => Err(of.wrong(
            "path",
            "a path that begins with '/', without white space, quotes, '\\', '#', '$' and braces is wanted",
        )),
        path => Ok(path),
    }
}

fn certificates(of: &Reader<'_>) -> Result<Vec<PathBuf>, ServiceError> {
    let words = of.words("certificate")?;
    for word in &words {
        if !word.starts_with('/') || !is_plain(word) {
            return Err(of.wrong("certificate", format!("{word:?} is no absolute path")));
        }
    }
    Ok(words.into_iter().map(PathBuf::from).collect())
}
