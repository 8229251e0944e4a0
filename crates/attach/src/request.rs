//! What a door asks for: one container on one network.

use fairlead_plugins::PortMapping;
use fairlead_types::{
    ContainerId, IfName, Mac, NameError, Naming, NetworkName, ObjectName, ProtocolError,
    ResourceName,
};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// The network namespace of a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sandbox {
    /// By the path of its file.
    Path(PathBuf),
    /// By a process that is in it.
    Pid(u32),
}

impl Sandbox {
    /// The path by which it is opened, from wherever one stands.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        match self {
            Self::Path(path) => std::path::absolute(path).unwrap_or_else(|_| path.clone()),
            Self::Pid(pid) => PathBuf::from(format!("/proc/{pid}/ns/net")),
        }
    }

    /// The id a container has where nobody gives one: the last part of the path, or
    /// `pid-` and the number.
    ///
    /// # Errors
    /// [`NameError`] when the path ends in something that is no id.
    pub fn default_id(&self) -> Result<ContainerId, NameError> {
        match self {
            Self::Pid(pid) => ContainerId::new(format!("pid-{pid}")),
            Self::Path(path) => match pid_of(path) {
                Some(pid) => ContainerId::new(format!("pid-{pid}")),
                None => {
                    let name = path.file_name().unwrap_or_default();
                    ContainerId::new(name.to_string_lossy())
                }
            },
        }
    }
}

/// The process of a path `/proc/PID/ns/net`.
fn pid_of(path: &Path) -> Option<u32> {
    let text = path
        .to_str()?
        .strip_prefix("/proc/")?
        .strip_suffix("/ns/net")?;
    text.parse().ok()
}

/// What a door asks of the core.
#[derive(Debug, Clone, PartialEq)]
pub struct AttachRequest {
    /// The network.
    pub network: NetworkName,
    /// The container's namespace.
    pub sandbox: Sandbox,
    /// The container's id.
    pub container: ContainerId,
    /// The interface's name in the container.
    pub ifname: IfName,
    /// The addresses asked for, one of a family at most; free ones where it is empty.
    pub ips: Vec<IpAddr>,
    /// The hardware address asked for.
    pub mac: Option<Mac>,
    /// The ports to publish.
    pub publish: Vec<PortMapping>,
    /// What it is for.
    pub object: Option<ObjectName>,
    /// The resource of the object.
    pub resource: Option<ResourceName>,
    /// What DNS is told of it.
    pub naming: Naming,
}

/// A published port as a person writes it: `[HOSTIP:]HOSTPORT[-LAST]:PORT[-LAST][/PROTO]`,
/// an IPv6 address in brackets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublishSpec(pub PortMapping);

/// Why a text is no [`PublishSpec`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PublishError {
    /// It has not the form.
    #[error(
        "{0:?} publishes nothing: [HOSTIP:]HOSTPORT[-LAST]:PORT[-LAST][/tcp|udp|sctp] is wanted, as in 8080:80/tcp"
    )]
    Form(String),
    /// A port is no number from 1 to 65535.
    #[error("{text:?}: {port:?} is no port; a number from 1 to 65535 is")]
    Port {
        /// The whole text.
        text: String,
        /// The part that is wrong.
        port: String,
    },
    /// The two ranges have different lengths, or one runs backwards.
    #[error("{0:?}: the two ranges of ports differ in length, or one runs backwards")]
    Range(String),
    /// The host's address is no address.
    #[error("{text:?}: {address:?} is no address; write an IPv6 address in brackets")]
    Address {
        /// The whole text.
        text: String,
        /// The part that is wrong.
        address: String,
    },
    /// The protocol is not known.
    #[error(transparent)]
    Protocol(#[from] ProtocolError),
}

impl FromStr for PublishSpec {
    type Err = PublishError;

    fn from_str(text: &str) -> Result<Self, PublishError> {
        let form = || PublishError::Form(text.to_owned());
        let (ports, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
        let protocol = protocol.parse()?;
        let (left, container) = ports.rsplit_once(':').ok_or_else(form)?;
        let (host_ip, host) = match left.rsplit_once(':') {
            None => (None, left),
            Some((address, host)) => (Some(host_address(text, address)?), host),
        };
        let (host_port, last_host) = range(text, host)?;
        let (container_port, last_container) = range(text, container)?;
        let length = |first: u16, last: u16| last.checked_sub(first).and_then(|n| n.checked_add(1));
        let range = length(host_port, last_host);
        if range.is_none() || range != length(container_port, last_container) {
            return Err(PublishError::Range(text.to_owned()));
        }
        let range = range.unwrap_or(1);
        Ok(Self(PortMapping {
            host_port,
            container_port,
            protocol,
            host_ip,
            range,
        }))
    }
}

fn host_address(text: &str, address: &str) -> Result<IpAddr, PublishError> {
    let inner = address
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    // Without brackets a colon would be taken for the one before the port.
    let parsed = match inner {
        Some(inner) => inner.parse().ok().filter(IpAddr::is_ipv6),
        None => address.parse().ok().filter(IpAddr::is_ipv4),
    };
    let error = || PublishError::Address {
        text: text.to_owned(),
        address: address.to_owned(),
    };
    parsed.ok_or_else(error)
}

fn range(text: &str, ports: &str) -> Result<(u16, u16), PublishError> {
    let port = |part: &str| {
        let error = || PublishError::Port {
            text: text.to_owned(),
            port: part.to_owned(),
        };
        let digits = !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        let number: Option<u16> = digits.then(|| part.parse().ok()).flatten();
        number.filter(|port| *port > 0).ok_or_else(error)
    };
    match ports.split_once('-') {
        None => port(ports).map(|port| (port, port)),
        Some((first, last)) => Ok((port(first)?, port(last)?)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fairlead_types::Protocol;

    fn read(text: &str) -> PortMapping {
        text.parse::<PublishSpec>().unwrap().0
    }

    #[test]
    fn a_port_is_published_as_people_write_it() {
        let plain = read("8080:80");
        assert_eq!(
            (plain.host_port, plain.container_port, plain.range),
            (8080, 80, 1)
        );
        assert_eq!(plain.protocol, Protocol::Tcp);
        let full = read("192.0.2.1:5000-5003:53-56/udp");
        assert_eq!(
            (full.host_port, full.container_port, full.range),
            (5000, 53, 4)
        );
        assert_eq!(
            (full.protocol, full.host_ip),
            (Protocol::Udp, "192.0.2.1".parse().ok())
        );
        assert_eq!(read("[::1]:1:2").host_ip, "::1".parse().ok());
    }

    #[test]
    fn what_is_wrong_with_it_is_named() {
        let bad = [
            ("80", "publishes nothing"),
            ("", "publishes nothing"),
            ("0:80", "\"0\" is no port"),
            ("80:70000", "\"70000\" is no port"),
            ("+80:80", "\"+80\" is no port"),
            ("80:80/icmp", "\"icmp\""),
            ("1-3:1-2", "differ in length"),
            ("3-1:3-1", "runs backwards"),
            ("host:1:2", "\"host\" is no address"),
            ("::1:1:2", "brackets"),
            ("[10.0.0.1]:1:2", "is no address"),
        ];
        for (text, reason) in bad {
            let error = text.parse::<PublishSpec>().unwrap_err().to_string();
            assert!(error.contains(reason), "{text}: {error}");
        }
    }

    #[test]
    fn a_container_without_an_id_is_called_after_its_namespace() {
        let id = |sandbox: Sandbox| sandbox.default_id().map(|id| id.to_string());
        assert_eq!(id(Sandbox::Path("/run/netns/shop".into())).unwrap(), "shop");
        assert_eq!(
            id(Sandbox::Path("/proc/42/ns/net".into())).unwrap(),
            "pid-42"
        );
        assert_eq!(id(Sandbox::Pid(42)).unwrap(), "pid-42");
        assert!(id(Sandbox::Path("/".into())).is_err());
    }
}
