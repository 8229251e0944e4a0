//! Names of ports, as `/etc/services` has them.

use crate::{Protocol, Root};
use std::collections::HashMap;

/// What is known where the system has no `/etc/services`, as in a minimal image.
const COMMON: &str = "
    ftp 21/tcp
    ssh 22/tcp
    telnet 23/tcp
    smtp 25/tcp mail
    domain 53/tcp
    domain 53/udp
    tftp 69/udp
    http 80/tcp www
    kerberos 88/tcp
    pop3 110/tcp
    ntp 123/udp
    imap2 143/tcp imap
    snmp 161/udp
    ldap 389/tcp
    https 443/tcp
    https 443/udp
    syslog 514/udp
    ldaps 636/tcp
    imaps 993/tcp
    pop3s 995/tcp
    mysql 3306/tcp
    postgresql 5432/tcp
    amqp 5672/tcp
    redis 6379/tcp
    http-alt 8080/tcp
";

/// The ports that have names, by both.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PortNames {
    ports: HashMap<(String, Protocol), u16>,
    names: HashMap<(u16, Protocol), String>,
}

impl PortNames {
    /// Those of `/etc/services` below `root`, or the best known ones where it is not there.
    #[must_use]
    pub fn read(root: &Root) -> Self {
        match std::fs::read(root.join("/etc/services")) {
            Ok(text) => Self::parse(&String::from_utf8_lossy(&text)),
            Err(_) => Self::common(),
        }
    }

    /// The best known ones.
    #[must_use]
    pub fn common() -> Self {
        Self::parse(COMMON)
    }

    /// From the text of such a file (services(5)): `NAME PORT/PROTOCOL [ALIAS]...`, `#`
    /// begins a comment. A line that is none is passed over, as the C library does.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let mut all = Self::default();
        for line in text.lines() {
            let mut words = line.split('#').next().unwrap_or("").split_whitespace();
            let (Some(name), Some(port)) = (words.next(), words.next()) else {
                continue;
            };
            let Some((port, protocol)) = port.split_once('/') else {
                continue;
            };
            let (Ok(port), Ok(protocol)) = (port.parse(), protocol.parse()) else {
                continue;
            };
            // The first line of a port or name counts.
            for name in std::iter::once(name).chain(words) {
                let key = (name.to_ascii_lowercase(), protocol);
                all.ports.entry(key).or_insert(port);
            }
            let name = name.to_ascii_lowercase();
            all.names.entry((port, protocol)).or_insert(name);
        }
        all
    }

    /// The port of a name, which may be an alias.
    #[must_use]
    pub fn port(&self, name: &str, protocol: Protocol) -> Option<u16> {
        let key = (name.to_ascii_lowercase(), protocol);
        self.ports.get(&key).copied()
    }

    /// The name of a port; that of the same port of TCP or UDP where this protocol has
    /// none, as the specification's 9.1 has it (a name goes by the number).
    #[must_use]
    pub fn name(&self, port: u16, protocol: Protocol) -> Option<&str> {
        [protocol, Protocol::Tcp, Protocol::Udp]
            .into_iter()
            .find_map(|protocol| self.names.get(&(port, protocol)))
            .map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_services_is_read_as_the_c_library_reads_it() {
        let text = "# comment\nhttp\t80/tcp\twww # web\nbad line\nhttp 81/tcp\nx 9/\ny z/tcp\nHTTP3 443/udp\n";
        let names = PortNames::parse(text);
        assert_eq!(names.port("www", Protocol::Tcp), Some(80));
        assert_eq!(names.port("HTTP", Protocol::Tcp), Some(80));
        assert_eq!(names.port("http", Protocol::Udp), None);
        assert_eq!(names.name(80, Protocol::Tcp), Some("http"));
        assert_eq!(names.name(80, Protocol::Udp), Some("http"));
        assert_eq!(names.name(443, Protocol::Tcp), Some("http3"));
        assert_eq!(names.name(1, Protocol::Tcp), None);
    }

    #[test]
    fn without_a_file_the_common_ones_are_known() {
        let names = PortNames::read(&Root::new("/does/not/exist"));
        assert_eq!(names.port("https", Protocol::Tcp), Some(443));
    }
}
