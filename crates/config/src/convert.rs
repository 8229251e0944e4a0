//! From the text of a value to the value, by the keyword's kind.

use crate::problem::Reason;
use crate::{Kind, Value};
use fairlead_types::{
    Expose, HostName, IfName, NetworkName, ObjectName, PortNames, ResourceName, Root,
};
use ipnet::IpNet;
use std::net::{IpAddr, SocketAddr};
use std::sync::OnceLock;
use std::time::Duration;

/// Converts a text without references. It is not empty: an empty value stands for
/// the default.
pub(crate) fn convert(kind: Kind, text: &str) -> Result<Value, Reason> {
    let words = || text.split_whitespace();
    let text_value = || Value::Text(text.to_owned());
    Ok(match kind {
        Kind::Text => text_value(),
        Kind::Bool => Value::Bool(boolean(text).ok_or(Reason::Bool)?),
        Kind::Int { min, max } => Value::Int(int(text, min, max)?),
        Kind::Cidr => Value::Cidr(cidr(text)?),
        Kind::Range { dual } => Value::Ranges(ranges(text, dual)?),
        Kind::Ip => Value::Ip(ip(text)?),
        Kind::Ips => Value::Ips(words().map(ip).collect::<Result<_, _>>()?),
        Kind::Host => match text.parse::<IpAddr>() {
            Ok(ip) => Value::Text(ip.to_string()),
            Err(_) => Value::Text(host(text)?),
        },
        Kind::Hosts => Value::List(words().map(host).collect::<Result<_, _>>()?),
        Kind::List => Value::List(words().map(str::to_owned).collect()),
        Kind::Choice(candidates) if candidates.contains(&text) => text_value(),
        Kind::Choice(candidates) => return Err(Reason::Choice(candidates)),
        Kind::Duration => Value::Duration(duration(text).ok_or(Reason::Duration)?),
        Kind::Path if text.starts_with('/') => text_value(),
        Kind::Path => return Err(Reason::Path),
        Kind::Device => Value::Text(IfName::new(text)?.into()),
        Kind::Domain => Value::Text(host(text)?.to_lowercase()),
        Kind::Uuid if is_uuid(text) => text_value(),
        Kind::Uuid => return Err(Reason::Uuid),
        Kind::Endpoints => Value::List(endpoints(text)?),
        Kind::Prefix if is_prefix(text) => text_value(),
        Kind::Prefix => return Err(Reason::Prefix),
        Kind::Cidrs => Value::Ranges(words().map(cidr).collect::<Result<_, _>>()?),
        Kind::Servers => Value::List(words().map(server).collect::<Result<_, _>>()?),
        Kind::Words => Value::List(shlex::split(text).ok_or(Reason::Quotes)?),
        Kind::Network => Value::Text(NetworkName::new(text)?.into()),
        Kind::Resource => Value::Text(ResourceName::new(text)?.into()),
        Kind::Object => Value::Text(ObjectName::new(text)?.into()),
        Kind::HostName => Value::Text(HostName::new(text)?.into()),
        Kind::Expose => Value::Expose(Expose::list(text, port_names())?),
    })
}

/// The names of ports are the system's, wherever our own files are.
fn port_names() -> &'static PortNames {
    static NAMES: OnceLock<PortNames> = OnceLock::new();
    NAMES.get_or_init(|| PortNames::read(&Root::default()))
}

/// One `ADDRESS` or `ADDRESS:PORT`, as `ADDRESS:PORT`.
fn server(text: &str) -> Result<String, Reason> {
    let with_port = text.parse::<SocketAddr>();
    let alone = || text.parse().map(|ip| SocketAddr::new(ip, 53));
    let server = with_port.or_else(|_| alone());
    let server = server.ok().filter(|server| server.port() != 0);
    server
        .map(|server| server.to_string())
        .ok_or_else(|| Reason::Server(text.to_owned()))
}

fn boolean(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "yes" | "on" | "1" | "t" | "y" => Some(true),
        "false" | "no" | "off" | "0" | "f" | "n" => Some(false),
        _ => None,
    }
}

fn int(text: &str, min: u64, max: u64) -> Result<u64, Reason> {
    // `parse` would take a sign.
    let digits = text.bytes().all(|b| b.is_ascii_digit());
    text.parse()
        .ok()
        .filter(|n| digits && (min..=max).contains(n))
        .ok_or(Reason::Int { min, max })
}

fn ip(text: &str) -> Result<IpAddr, Reason> {
    text.parse().map_err(|_| Reason::Ip(text.to_owned()))
}

fn cidr(text: &str) -> Result<IpNet, Reason> {
    let given: IpNet = text.parse().map_err(|_| Reason::Cidr(text.to_owned()))?;
    match given.trunc() {
        base if base == given => Ok(given),
        base => Err(Reason::HostBits { given, base }),
    }
}

fn ranges(text: &str, dual: bool) -> Result<Vec<IpNet>, Reason> {
    if text.eq_ignore_ascii_case("none") {
        return Ok(Vec::new());
    }
    let words = text.split(|c: char| c.is_whitespace() || c == ',');
    let ranges: Vec<IpNet> = words
        .filter(|w| !w.is_empty())
        .map(cidr)
        .collect::<Result<_, _>>()?;
    let is_v4 = |n: &IpNet| matches!(n, IpNet::V4(_));
    match (dual, ranges.as_slice()) {
        (_, [_]) => Ok(ranges),
        (true, [a, b]) if is_v4(a) != is_v4(b) => Ok(ranges),
        (true, _) => Err(Reason::Ranges("one cidr, or one IPv4 and one IPv6 cidr,")),
        (false, _) => Err(Reason::Ranges("one cidr")),
    }
}

/// A host name: labels of letters, digits, '-' and '_', at most 253 bytes.
fn host(text: &str) -> Result<String, Reason> {
    let label = |label: &str| {
        let word = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
        (1..=63).contains(&label.len())
            && label.bytes().all(word)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    // Four numbers are a misspelt address, not a name.
    let named = text.bytes().any(|b| !b.is_ascii_digit() && b != b'.');
    match text.len() <= 253 && (named || !text.contains('.')) && text.split('.').all(label) {
        true => Ok(text.to_owned()),
        false => Err(Reason::Host(text.to_owned())),
    }
}

fn endpoints(text: &str) -> Result<Vec<String>, Reason> {
    let words = text.split(|c: char| c.is_whitespace() || c == ',');
    words.filter(|w| !w.is_empty()).map(endpoint).collect()
}

/// One `http://HOST:PORT`; an IPv6 address stands in brackets.
fn endpoint(text: &str) -> Result<String, Reason> {
    let rest = ["http://", "https://"]
        .iter()
        .find_map(|scheme| text.strip_prefix(scheme));
    let parts = rest.and_then(|r| r.trim_end_matches('/').rsplit_once(':'));
    let good = parts.is_some_and(|(name, port)| {
        let digits = port.bytes().all(|b| b.is_ascii_digit());
        let inner = name.strip_prefix('[').and_then(|n| n.strip_suffix(']'));
        let known = match inner {
            Some(inner) => inner.parse::<std::net::Ipv6Addr>().is_ok(),
            None => name.parse::<std::net::Ipv4Addr>().is_ok() || host(name).is_ok(),
        };
        known && digits && port.parse::<u16>().is_ok_and(|p| p != 0)
    });
    match good {
        true => Ok(text.trim_end_matches('/').to_owned()),
        false => Err(Reason::Endpoint(text.to_owned())),
    }
}

fn is_prefix(text: &str) -> bool {
    let word = |word: &str| !word.is_empty() && !word.contains(|c: char| c.is_whitespace());
    text.strip_prefix('/')
        .is_some_and(|rest| rest.split('/').all(word))
}

fn duration(text: &str) -> Option<Duration> {
    if text.bytes().all(|b| b.is_ascii_digit()) {
        return text.parse().ok().map(Duration::from_secs);
    }
    let mut total = Duration::ZERO;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let (number, tail) = rest.split_at(digits);
        let end = tail
            .find(|c: char| c.is_ascii_digit())
            .unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(end);
        let number: u64 = number.parse().ok()?;
        let scale = |seconds| number.checked_mul(seconds).map(Duration::from_secs);
        let part = match unit {
            "ms" => Some(Duration::from_millis(number)),
            "s" => scale(1),
            "m" => scale(60),
            "h" => scale(3600),
            "d" => scale(86400),
            _ => None,
        };
        total = total.checked_add(part?)?;
        rest = tail;
    }
    Some(total)
}

fn is_uuid(text: &str) -> bool {
    let lengths = [8, 4, 4, 4, 12];
    let mut groups = text.split('-');
    let fits = |len| {
        groups
            .next()
            .is_some_and(|g: &str| g.len() == len && g.bytes().all(|b| b.is_ascii_hexdigit()))
    };
    lengths.into_iter().all(fits) && groups.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn good_values_are_converted() {
        let text = |kind, text| convert(kind, text).unwrap().to_string();
        assert_eq!(text(Kind::Bool, "Yes"), "true");
        assert_eq!(text(Kind::Int { min: 0, max: 9 }, "7"), "7");
        assert_eq!(text(Kind::Range { dual: false }, "None"), "none");
        let dual = Kind::Range { dual: true };
        assert_eq!(
            text(dual, "10.1.0.0/16, fd00::/64"),
            "10.1.0.0/16 fd00::/64"
        );
        assert_eq!(
            text(Kind::Ips, "1.1.1.1\n2001:DB8::1"),
            "1.1.1.1 2001:db8::1"
        );
        assert_eq!(text(Kind::Host, "node-1.example.org"), "node-1.example.org");
        assert_eq!(text(Kind::Domain, "MyCluster"), "mycluster");
        assert_eq!(text(Kind::Duration, "1h30m"), "5400s");
        assert_eq!(text(Kind::Duration, "1s500ms"), "1500ms");
        assert_eq!(text(Kind::Duration, "2"), "2s");
        assert_eq!(text(Kind::Duration, "1d"), "86400s");
        assert_eq!(
            text(
                Kind::Endpoints,
                "http://n1:2379,https://[::1]:2379/ http://10.0.0.1:1"
            ),
            "http://n1:2379 https://[::1]:2379 http://10.0.0.1:1"
        );
        assert_eq!(text(Kind::Prefix, "/a/b"), "/a/b");
        assert_eq!(
            text(Kind::Servers, "10.0.0.1 [::1]:5353 ::1"),
            "10.0.0.1:53 [::1]:5353 [::1]:53"
        );
        let words = convert(Kind::Words, r#"sh -c 'a b' "c d" e\ f"#).unwrap();
        assert_eq!(words.elements(), ["sh", "-c", "a b", "c d", "e f"]);
        assert_eq!(
            text(Kind::Expose, "80:8001/tcp\n53/udp"),
            "80/tcp:8001 53/udp"
        );
    }

    #[test]
    fn bad_values_are_refused() {
        let dual = Kind::Range { dual: true };
        let single = Kind::Range { dual: false };
        for (kind, text) in [
            (Kind::Bool, "maybe"),
            (Kind::Int { min: 1, max: 9 }, "0"),
            (Kind::Int { min: 1, max: 9 }, "+1"),
            (Kind::Int { min: 1, max: 9 }, "1.5"),
            (Kind::Cidr, "10.0.0.0"),
            (Kind::Cidr, "10.0.0.0/33"),
            (Kind::Cidr, "10.0.0.1/24"),
            (single, "10.0.0.0/24 fd00::/64"),
            (dual, "10.0.0.0/24 10.1.0.0/24"),
            (dual, "10.0.0.0/24 none"),
            (Kind::Ip, "10.0.0"),
            (Kind::Ips, "10.0.0.1 n1"),
            (Kind::Host, "10.0.0.256"),
            (Kind::Host, "-a"),
            (Kind::Hosts, "n1 n/2"),
            (Kind::Choice(&["a", "b"]), "c"),
            (Kind::Duration, "1x"),
            (Kind::Duration, "s"),
            (Kind::Duration, "1m3"),
            (Kind::Duration, "99999999999999999999d"),
            (Kind::Path, "bin"),
            (Kind::Device, "a/b"),
            (Kind::Device, "0123456789abcdef"),
            (Kind::Endpoints, "n1:2379"),
            (Kind::Endpoints, "http://n1"),
            (Kind::Endpoints, "http://:2379"),
            (Kind::Endpoints, "http://n1:0"),
            (Kind::Endpoints, "http://n1:70000"),
            (Kind::Endpoints, "http://n1:+1"),
            (Kind::Endpoints, "http://u:p@n1:2379"),
            (Kind::Endpoints, "http://n1:2379/x"),
            (Kind::Endpoints, "http://::1:2379"),
            (Kind::Endpoints, "http://10.0.0.256:2379"),
            (Kind::Endpoints, "ftp://n1:2379"),
            (Kind::Prefix, "fairlead"),
            (Kind::Prefix, "/"),
            (Kind::Prefix, "/a/"),
            (Kind::Prefix, "/a//b"),
            (Kind::Prefix, "/a b"),
            (Kind::Cidrs, "10.0.0.0/8 10.0.0.1/8"),
            (Kind::Servers, "10.0.0.1:0"),
            (Kind::Servers, "n1"),
            (Kind::Words, "a 'b"),
            (Kind::Network, "a/b"),
            (Kind::Resource, "container"),
            (Kind::Object, "a//b"),
            (Kind::HostName, "a b"),
            (Kind::Expose, "80"),
            (Kind::Uuid, "01234567-89ab-4cde-8f01-23456789abc"),
        ] {
            assert!(convert(kind, text).is_err(), "{kind:?} {text}");
        }
    }
}
