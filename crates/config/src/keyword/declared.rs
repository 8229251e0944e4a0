//! The keywords of `cluster.conf` and `node.conf`.

use super::{Keyword, Kind, Section, TYPES, plain};
use crate::network::NetworkKind;
use crate::network::NetworkKind::{Bridge, Lo, RoutedBridge, Weave};

pub(super) const ALL: &[NetworkKind] = &[Bridge, RoutedBridge, Weave, Lo];
const BRIDGES: &[NetworkKind] = &[Bridge, RoutedBridge];
const ROUTED: &[NetworkKind] = &[RoutedBridge];

/// A keyword of the networks of some types, without scope and default.
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

// Defaults and scopes: specification 1.4 and 2.
pub(super) const KEYWORDS: &[Keyword] = &[
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
        "socket of the Docker engine: of the containers of services, and of networks made with -d fairlead",
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
    plain(
        Section::Docker,
        "plugin",
        Kind::Path,
        "socket that Docker finds the driver of networks at",
    )
    .or("/run/docker/plugins/fairlead.sock")
    .scoped(),
    plain(
        Section::Docker,
        "scope",
        Kind::Choice(&["local", "global"]),
        "scope of the networks of Docker: global for engines with a cluster store, which they keep their networks in",
    )
    .or("local")
    .scoped(),
    plain(
        Section::Docker,
        "carry",
        Kind::Bool,
        "whether agents make a network of scope local on the engines of all nodes, when one of them has it",
    )
    .or("true")
    .scoped(),
    plain(
        Section::Docker,
        "pools",
        Kind::Cidrs,
        "ranges that networks without a subnet are cut from",
    )
    .or("10.192.0.0/12 fdfa:12ea:d000::/40")
    .scoped(),
    plain(
        Section::Docker,
        "pool_prefix",
        Kind::Int { min: 8, max: 30 },
        "prefix length of such a network of IPv4; one of IPv6 has 64",
    )
    .or("24")
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
        "gateway",
        &[Bridge],
        Kind::Ips,
        "address of the bridge, one of each range; default is the first one of the range",
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
