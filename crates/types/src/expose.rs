//! What a service offers: ports, and whether the node shows them outside.

use crate::{PortNames, Protocol};
use serde::{Deserialize, Serialize};
use std::fmt;

/// The most ports that one list may name: each is a record in DNS on every node.
const MOST: usize = 1024;

/// A port that something in a container listens at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Expose {
    /// The port in the container, from 1.
    pub port: u16,
    /// TCP or UDP.
    pub protocol: Protocol,
    /// The port of the node that leads there, where one does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host_port: Option<u16>,
}

/// Why a text is no list of [`Expose`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExposeError {
    /// It has not the form.
    #[error(
        "{0:?} exposes nothing: PORT/PROTOCOL, PORT/PROTOCOL:HOSTPORT or PORT:HOSTPORT/PROTOCOL is wanted, as in 80/tcp"
    )]
    Form(String),
    /// A protocol without ports, or one that is not carried.
    #[error("{text:?}: {protocol:?} is no protocol to expose; tcp and udp are")]
    Protocol {
        /// The whole element.
        text: String,
        /// The part that is wrong.
        protocol: String,
    },
    /// A port that is neither number nor known name.
    #[error(
        "{text:?}: {port:?} is no port: a number from 1 to 65535, or a name of /etc/services for {protocol}, is wanted"
    )]
    Port {
        /// The whole element.
        text: String,
        /// The part that is wrong.
        port: String,
        /// The protocol by which the name was looked up.
        protocol: Protocol,
    },
    /// Ranges that do not match.
    #[error("{0:?}: the two ranges of ports differ in length, or one runs backwards")]
    Range(String),
    /// A port that stands twice.
    #[error("{text:?}: {what} {port}/{protocol} is exposed twice")]
    Twice {
        /// The element that repeats it.
        text: String,
        /// `port` or `port of the node`.
        what: &'static str,
        /// The port.
        port: u16,
        /// Its protocol.
        protocol: Protocol,
    },
    /// More ports than a service may have.
    #[error("{count} ports are exposed and {MOST} are possible")]
    TooMany {
        /// How many.
        count: usize,
    },
}

impl Expose {
    /// Reads a list, words separated by white space (specification 8.1): `80/tcp`,
    /// `80/tcp:8001`, `80:8001/tcp`; a name of `/etc/services` for either port; ranges as
    /// `100-110/tcp` and `100-110:200-210/tcp`.
    ///
    /// # Errors
    /// [`ExposeError`] with the element that is wrong.
    pub fn list(text: &str, names: &PortNames) -> Result<Vec<Self>, ExposeError> {
        let mut all: Vec<Self> = Vec::new();
        for element in text.split_whitespace() {
            for one in read(element, names)? {
                let twice = |what, port| ExposeError::Twice {
                    text: element.to_owned(),
                    what,
                    port,
                    protocol: one.protocol,
                };
                let same = all.iter().filter(|other| other.protocol == one.protocol);
                for other in same {
                    if other.port == one.port && other.host_port == one.host_port {
                        return Err(twice("port", one.port));
                    }
                    if let Some(port) = one.host_port.filter(|_| other.host_port == one.host_port) {
                        return Err(twice("port of the node", port));
                    }
                }
                all.push(one);
                if all.len() > MOST {
                    let count = all.len();
                    return Err(ExposeError::TooMany { count });
                }
            }
        }
        Ok(all)
    }
}

impl fmt::Display for Expose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.port, self.protocol)?;
        self.host_port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

/// One element: one port, or those of a range.
fn read(text: &str, names: &PortNames) -> Result<Vec<Expose>, ExposeError> {
    let form = || ExposeError::Form(text.to_owned());
    let (left, right) = text.split_once('/').ok_or_else(form)?;
    // The host's port is behind the protocol, or between the port and the protocol.
    let (port, protocol, host) = match (left.split_once(':'), right.split_once(':')) {
        (None, None) => (left, right, None),
        (None, Some((protocol, host))) => (left, protocol, Some(host)),
        (Some((port, host)), None) => (port, right, Some(host)),
        (Some(_), Some(_)) => return Err(form()),
    };
    let known = protocol.parse().ok().filter(|p| *p != Protocol::Sctp);
    let protocol: Protocol = known.ok_or_else(|| ExposeError::Protocol {
        text: text.to_owned(),
        protocol: protocol.to_owned(),
    })?;
    let (first, last) = ports(text, port, protocol, names)?;
    let host = host.map(|host| ports(text, host, protocol, names));
    let host = host.transpose()?;
    let length = |(first, last): (u16, u16)| last.checked_sub(first);
    let count = length((first, last));
    if count.is_none() || host.is_some_and(|host| length(host) != count) {
        return Err(ExposeError::Range(text.to_owned()));
    }
    let at = |port: u16| Expose {
        port,
        protocol,
        host_port: host.map(|(start, _)| start + (port - first)),
    };
    Ok((first..=last).map(at).collect())
}

/// One port, or the first and last of a range.
fn ports(
    text: &str,
    part: &str,
    protocol: Protocol,
    names: &PortNames,
) -> Result<(u16, u16), ExposeError> {
    let wrong = |port: &str| ExposeError::Port {
        text: text.to_owned(),
        port: port.to_owned(),
        protocol,
    };
    let number = |port: &str| {
        let digits = !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit());
        let number: Option<u16> = digits.then(|| port.parse().ok()).flatten();
        number.filter(|port| *port > 0)
    };
    // A name may have a dash in it, so it is looked up as a whole first.
    if let Some(port) = number(part).or_else(|| names.port(part, protocol)) {
        return Ok((port, port));
    }
    let (first, last) = part.split_once('-').ok_or_else(|| wrong(part))?;
    let first = number(first).ok_or_else(|| wrong(part))?;
    Ok((first, number(last).ok_or_else(|| wrong(part))?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(text: &str) -> Result<Vec<String>, String> {
        let all = Expose::list(text, &PortNames::common());
        all.map(|all| all.iter().map(ToString::to_string).collect())
            .map_err(|error| error.to_string())
    }

    #[test]
    fn what_the_documents_write_is_read() {
        let good = [
            ("", vec![]),
            ("80/tcp", vec!["80/tcp"]),
            ("80/tcp:8001", vec!["80/tcp:8001"]),
            ("80:8001/tcp", vec!["80/tcp:8001"]),
            ("http/tcp:http-alt", vec!["80/tcp:8080"]),
            ("domain/udp 53/tcp", vec!["53/udp", "53/tcp"]),
            ("8/TCP", vec!["8/tcp"]),
            ("7-9/tcp", vec!["7/tcp", "8/tcp", "9/tcp"]),
            ("7-8:17-18/udp", vec!["7/udp:17", "8/udp:18"]),
            ("7-8/udp:17-18", vec!["7/udp:17", "8/udp:18"]),
            ("80/tcp:81 80/tcp:82", vec!["80/tcp:81", "80/tcp:82"]),
        ];
        for (text, wanted) in good {
            assert_eq!(list(text).unwrap(), wanted, "{text}");
        }
    }

    #[test]
    fn anything_else_is_refused_with_the_reason() {
        let bad = [
            ("80", "exposes nothing"),
            ("53-udp", "exposes nothing"),
            ("80/tcp:1:2", "\"1:2\" is no port"),
            ("80:1/tcp:2", "exposes nothing"),
            ("80/sctp", "\"sctp\" is no protocol"),
            ("80/tcp4", "\"tcp4\" is no protocol"),
            ("0/tcp", "\"0\" is no port"),
            ("70000/tcp", "\"70000\" is no port"),
            ("+80/tcp", "\"+80\" is no port"),
            ("nothing/tcp", "\"nothing\" is no port"),
            ("80/tcp:", "\"\" is no port"),
            ("1-3:1-2/tcp", "differ in length"),
            ("3-1/tcp", "runs backwards"),
            ("80/tcp http/tcp", "port 80/tcp is exposed twice"),
            (
                "80/tcp:9 81/tcp:9",
                "port of the node 9/tcp is exposed twice",
            ),
            ("1-2000/tcp", "are possible"),
        ];
        for (text, reason) in bad {
            let error = list(text).unwrap_err();
            assert!(error.contains(reason), "{text}: {error}");
        }
    }
}
