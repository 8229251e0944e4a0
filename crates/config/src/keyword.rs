//! Every keyword that is known: what it takes, where it may stand, what it means.

mod declared;
mod services;

use crate::network::NetworkKind;

/// A section whose keywords are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Section {
    /// `[DEFAULT]`
    Default,
    /// `[cluster]`
    Cluster,
    /// `[node]`
    Node,
    /// `[cni]`
    Cni,
    /// `[listener]`
    Listener,
    /// `[etcd]`, in `node.conf` only.
    Etcd,
    /// `[dns]`
    Dns,
    /// `[docker]`
    Docker,
    /// `[network#NAME]`, one for each network.
    Network,
    /// `[DEFAULT]` of a service.
    Service,
    /// `[container#N]` of a service.
    Container,
    /// `[ip#N]` of a service.
    Ip,
    /// `[ingress#N]` of a service that is a gateway.
    Ingress,
    /// `[env]` of a service: whatever its author likes.
    Env,
}

impl Section {
    /// The kind of section that `name` is, if it is a known one.
    #[must_use]
    pub fn of(name: &str) -> Option<Self> {
        match name {
            "DEFAULT" => Some(Self::Default),
            "cluster" => Some(Self::Cluster),
            "node" => Some(Self::Node),
            "cni" => Some(Self::Cni),
            "listener" => Some(Self::Listener),
            "etcd" => Some(Self::Etcd),
            "dns" => Some(Self::Dns),
            "docker" => Some(Self::Docker),
            _ => name.starts_with("network#").then_some(Self::Network),
        }
    }

    /// The kind of section that `name` is in the file of a service.
    #[must_use]
    pub fn of_service(name: &str) -> Option<Self> {
        match name.split('#').next() {
            Some("DEFAULT") if name == "DEFAULT" => Some(Self::Service),
            Some("env") if name == "env" => Some(Self::Env),
            Some("container") => Some(Self::Container),
            Some("ip") => Some(Self::Ip),
            Some("ingress") => Some(Self::Ingress),
            _ => None,
        }
    }

    /// The name as a listing shows it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Default => "DEFAULT",
            Self::Cluster => "cluster",
            Self::Node => "node",
            Self::Cni => "cni",
            Self::Listener => "listener",
            Self::Etcd => "etcd",
            Self::Dns => "dns",
            Self::Docker => "docker",
            Self::Network => "network#NAME",
            Self::Service => "service DEFAULT",
            Self::Container => "service container#N",
            Self::Ip => "service ip#N",
            Self::Ingress => "service ingress#N",
            Self::Env => "service env",
        }
    }
}

/// What a keyword's value has to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Any text.
    Text,
    /// `true` or `false`, also `yes`, `no`, `on`, `off`, `1`, `0`, `t`, `f`, `y`, `n`.
    Bool,
    /// A whole number from `min` to `max`.
    Int {
        /// The least value.
        min: u64,
        /// The greatest value.
        max: u64,
    },
    /// A network in prefix notation without host bits.
    Cidr,
    /// The range of a network: a cidr, or `none`; with `dual`, one of each family.
    Range {
        /// Whether two cidrs, one of each family, may stand there.
        dual: bool,
    },
    /// An IPv4 or IPv6 address.
    Ip,
    /// Addresses separated by white space.
    Ips,
    /// An address or a host name.
    Host,
    /// Host names separated by white space.
    Hosts,
    /// Words separated by white space.
    List,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// A time as `30`, `1500ms`, `10s`, `2m`, `1h30m`, `1d`; a bare number is seconds.
    Duration,
    /// An absolute path.
    Path,
    /// The name of a network interface.
    Device,
    /// A DNS domain, kept in lower case.
    Domain,
    /// A universally unique identifier.
    Uuid,
    /// Addresses of servers as `http://HOST:PORT` or `https://HOST:PORT`, separated
    /// by white space or commas.
    Endpoints,
    /// The beginning of keys: `/` and words between slashes.
    Prefix,
    /// Networks in prefix notation, separated by white space.
    Cidrs,
    /// Addresses of servers of names as `ADDRESS` or `ADDRESS:PORT`, an IPv6 one with a port
    /// in brackets; separated by white space.
    Servers,
    /// Words as a shell splits them: quotes and backslashes keep white space together.
    Words,
    /// The name of a network.
    Network,
    /// A resource of the service, as `container#0`.
    Resource,
    /// The name of an object, as `shop/svc/web`.
    Object,
    /// A name in DNS, or the beginning of one.
    HostName,
    /// Ports that are offered, as `80/tcp` or `80:8001/tcp`.
    Expose,
}

impl Kind {
    /// The kind in a word, for a listing.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Text => "string",
            Self::Bool => "bool",
            Self::Int { .. } => "int",
            Self::Cidr => "cidr",
            Self::Range { dual: false } => "cidr or none",
            Self::Range { dual: true } => "cidr, two cidrs, or none",
            Self::Ip => "ip",
            Self::Ips => "list of ip",
            Self::Host => "ip or name",
            Self::Hosts => "list of names",
            Self::List => "list",
            Self::Choice(_) => "choice",
            Self::Duration => "duration",
            Self::Path => "path",
            Self::Device => "interface",
            Self::Domain => "domain",
            Self::Uuid => "uuid",
            Self::Endpoints => "list of urls",
            Self::Prefix => "prefix of keys",
            Self::Cidrs => "list of cidrs",
            Self::Servers => "list of ip or ip:port",
            Self::Words => "command line",
            Self::Network => "network",
            Self::Resource => "resource",
            Self::Object => "object",
            Self::HostName => "host name",
            Self::Expose => "list of ports",
        }
    }

    /// The words of a choice; none for any other kind.
    #[must_use]
    pub const fn candidates(self) -> &'static [&'static str] {
        match self {
            Self::Choice(words) => words,
            _ => &[],
        }
    }
}

/// One keyword.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keyword {
    /// The kind of section it stands in.
    pub section: Section,
    /// The option name, without scope.
    pub option: &'static str,
    /// What the value has to be.
    pub kind: Kind,
    /// The value when none is stored. A default path is moved below the root
    /// directory.
    pub default: Option<&'static str>,
    /// Whether the option may carry a scope, as `option@node`.
    pub scopable: bool,
    /// The network types it is for; empty outside of networks.
    pub networks: &'static [NetworkKind],
    /// One line for people.
    pub text: &'static str,
}

/// The keywords in the order a listing shows them. An option whose meaning differs
/// by network type has one entry a meaning.
#[must_use]
pub fn keywords() -> &'static [Keyword] {
    declared::KEYWORDS
}

/// What the table says about an option.
pub(crate) enum Lookup {
    Known(&'static Keyword),
    /// Known, but for these network types only.
    OtherType(Vec<NetworkKind>),
    Unknown,
}

/// The keyword of an option, which must not carry a scope. Without a network type
/// the first meaning counts.
pub(crate) fn lookup(section: Section, option: &str, network: Option<NetworkKind>) -> Lookup {
    let same = |k: &&Keyword| k.section == section && k.option == option;
    let mut named = table(section).iter().filter(same).peekable();
    if named.peek().is_none() {
        return Lookup::Unknown;
    }
    let applies = |k: &&Keyword| match network {
        Some(kind) if k.section == Section::Network => k.networks.contains(&kind),
        _ => true,
    };
    match named.clone().find(applies) {
        Some(keyword) => Lookup::Known(keyword),
        None => Lookup::OtherType(named.flat_map(|k| k.networks).copied().collect()),
    }
}

/// The keywords that a section's may be among.
const fn table(section: Section) -> &'static [Keyword] {
    match section {
        Section::Service | Section::Container | Section::Ip | Section::Ingress | Section::Env => {
            services::KEYWORDS
        }
        _ => declared::KEYWORDS,
    }
}

/// The keywords of services, as [`keywords`] has those of cluster and node.
#[must_use]
pub fn service_keywords() -> &'static [Keyword] {
    services::KEYWORDS
}

/// The types of networks, as a person writes them.
pub(crate) const TYPES: &[&str] = &["bridge", "routed_bridge", "weave", "lo"];

/// A keyword that takes no scope and has no default.
const fn plain(section: Section, option: &'static str, kind: Kind, text: &'static str) -> Keyword {
    Keyword {
        section,
        option,
        kind,
        default: None,
        scopable: false,
        networks: &[],
        text,
    }
}

impl Keyword {
    const fn or(self, default: &'static str) -> Self {
        Self {
            default: Some(default),
            ..self
        }
    }

    const fn scoped(self) -> Self {
        Self {
            scopable: true,
            ..self
        }
    }
}

#[cfg(test)]
mod tests;
