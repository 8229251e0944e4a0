//! Every keyword that is known: what it takes, where it may stand, what it means.

mod services;

use crate::network::NetworkKind;
use crate::network::NetworkKind::{Bridge, Lo, RoutedBridge, Weave};

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
    KEYWORDS
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
        _ => KEYWORDS,
    }
}

/// The keywords of services, as [`keywords`] has those of cluster and node.
#[must_use]
pub fn service_keywords() -> &'static [Keyword] {
    services::KEYWORDS
}

/// The types of networks, as a person writes them.
pub(crate) const TYPES: &[&str] = &["bridge", "routed_bridge", "weave", "lo"];

const ALL: &[NetworkKind] = &[Bridge, RoutedBridge, Weave, Lo];
const BRIDGES: &[NetworkKind] = &[Bridge, RoutedBridge];
const ROUTED: &[NetworkKind] = &[RoutedBridge];

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

/// The same for the networks of some types.
const fn network(
    option: &'static str,
    networks: &'static [NetworkKind],
    kind: Kind,
    text: &'static str,
) -> Keyword {
    Keyword {
        networks,
        ..plain(Section::Network, option, kind, text)
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

// Defaults and scopes: specification 1.4 and 2.
const KEYWORDS: &[Keyword] = &[
    plain(
        Section::Default,
        "id",
        Kind::Uuid,
        "identity of the cluster's configuration, made at its first change",
    ),
    plain(
        Section::Cluster,
        "name",
        Kind::Domain,
        "name of the cluster and its DNS zone, in lower case",
    )
    .or("default"),
    plain(Section::Cluster, "id", Kind::Uuid, "identity of the cluster"),
    plain(
        Section::Cluster,
        "nodes",
        Kind::Hosts,
        "names of the nodes, in order, without references",
    ),
    plain(
        Section::Cluster,
        "drpnodes",
        Kind::Hosts,
        "names of the disaster recovery nodes, without references",
    ),
    plain(
        Section::Cluster,
        "dns",
        Kind::Ips,
        "addresses of the nameservers that containers use",
    )
    .scoped(),
    plain(
        Section::Cni,
        "plugins",
        Kind::Path,
        "directory of the CNI plugin programs",
    )
    .or("/opt/cni/bin"),
    plain(
        Section::Cni,
        "config",
        Kind::Path,
        "directory of the CNI network configurations",
    )
    .or("/opt/cni/net.d"),
    plain(
        Section::Cni,
        "timeout",
        Kind::Duration,
        "how long one call of a CNI plugin program may take",
    )
    .or("60s"),
    plain(
        Section::Listener,
        "dns_sock_uid",
        Kind::Text,
        "user, by name or number, that owns the DNS backend socket",
    )
    .or("953"),
    plain(
        Section::Listener,
        "dns_sock_gid",
        Kind::Text,
        "group, by name or number, that owns the DNS backend socket",
    )
    .or("953"),
    plain(
        Section::Etcd,
        "endpoints",
        Kind::Endpoints,
        "urls of the etcd servers that hold the cluster's state",
    ),
    plain(
        Section::Etcd,
        "ca",
        Kind::Path,
        "file of the certificate authorities that the servers are checked with",
    ),
    plain(
        Section::Etcd,
        "cert",
        Kind::Path,
        "file of this node's certificate for etcd, with key",
    ),
    plain(
        Section::Etcd,
        "key",
        Kind::Path,
        "file of the private key of cert",
    ),
    plain(
        Section::Etcd,
        "user",
        Kind::Text,
        "name of the user at etcd, with password_file",
    ),
    plain(
        Section::Etcd,
        "password_file",
        Kind::Path,
        "file that holds the password of user",
    ),
    plain(
        Section::Etcd,
        "prefix",
        Kind::Prefix,
        "what every key of the cluster in etcd begins with",
    )
    .or("/fairlead"),
    plain(
        Section::Node,
        "docker_socket",
        Kind::Path,
        "socket of the Docker engine that runs the containers of services",
    )
    .or("/var/run/docker.sock"),
    plain(
        Section::Node,
        "podman_socket",
        Kind::Path,
        "socket of Podman's service that runs the containers of services",
    )
    .or("/run/podman/podman.sock"),
    plain(
        Section::Dns,
        "allow_axfr",
        Kind::Cidrs,
        "who may transfer the cluster's zones; nobody by default",
    )
    .scoped(),
    plain(
        Section::Dns,
        "allow_recursion",
        Kind::Cidrs,
        "who may have names outside of the cluster looked up, besides private addresses and the cluster's networks",
    )
    .scoped(),
    plain(
        Section::Dns,
        "upstreams",
        Kind::Servers,
        "servers that are asked for names outside of the cluster; default is /etc/resolv.conf",
    )
    .scoped(),
    plain(
        Section::Dns,
        "port",
        Kind::Int { min: 1, max: 65535 },
        "port that the agent answers at",
    )
    .or("53")
    .scoped(),
    network("type", ALL, Kind::Choice(TYPES), "type of the network").or("bridge"),
    network(
        "network",
        &[Bridge],
        Kind::Range { dual: true },
        "range of the network: a cidr, one of each family for dual stack, or none to hide the network",
    )
    .scoped(),
    network(
        "network",
        ROUTED,
        Kind::Range { dual: false },
        "range that is cut into one segment a node, or none to hide the network",
    ),
    network(
        "network",
        &[Weave],
        Kind::Range { dual: false },
        "range of the network, or none to hide it",
    )
    .or("10.32.0.0/12"),
    network(
        "network",
        &[Lo],
        Kind::Range { dual: false },
        "range of the loopback network, or none to hide it",
    )
    .or("127.0.0.1/32"),
    network(
        "dev",
        BRIDGES,
        Kind::Device,
        "bridge to use instead of obr_NAME",
    ),
    network(
        "public",
        BRIDGES,
        Kind::Bool,
        "whether the range is routed outside, so nothing is masqueraded",
    )
    .or("false"),
    network(
        "ips_per_node",
        ROUTED,
        Kind::Int {
            min: 1,
            max: 1 << 63,
        },
        "addresses in the segment of one node, a power of two",
    )
    .or("1024"),
    network(
        "mask_per_node",
        ROUTED,
        Kind::Int { min: 0, max: 128 },
        "prefix length of the segment of one node, before ips_per_node; 0 is unset",
    )
    .or("0"),
    network(
        "subnet",
        ROUTED,
        Kind::Cidr,
        "segment of a node, normally written by the first setup",
    )
    .scoped(),
    network(
        "addr",
        ROUTED,
        Kind::Host,
        "tunnel endpoint of a node; default is what its name resolves to",
    )
    .scoped(),
    network(
        "gateway",
        ROUTED,
        Kind::Ip,
        "next hop to the segment of a node",
    )
    .scoped(),
    network(
        "tables",
        ROUTED,
        Kind::List,
        "routing tables that get the routes, by name or number",
    )
    .or("main"),
    network(
        "tunnel",
        ROUTED,
        Kind::Choice(&["auto", "always", "never"]),
        "whether packets to other nodes go through a tunnel",
    )
    .or("auto"),
    network(
        "tunnel_mode",
        ROUTED,
        Kind::Choice(&["ipip", "gre", "ip6ip6", "vxlan"]),
        "kind of the tunnels",
    )
    .or("ipip"),
    network(
        "vni",
        ROUTED,
        Kind::Int {
            min: 1,
            max: (1 << 24) - 1,
        },
        "number of the network on the wire, for tunnel_mode vxlan",
    ),
    network(
        "mtu",
        BRIDGES,
        Kind::Int {
            min: 1280,
            max: 65535,
        },
        "largest packet of the network's links, in bytes; default is what the paths to the other nodes take",
    ),
];

#[cfg(test)]
mod tests;
