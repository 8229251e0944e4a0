//! The keywords of services (specification 7 to 10).

use super::{Keyword, Kind, Section, plain};

const fn container(option: &'static str, kind: Kind, text: &'static str) -> Keyword {
    plain(Section::Container, option, kind, text).scoped()
}

const fn ip(option: &'static str, kind: Kind, text: &'static str) -> Keyword {
    plain(Section::Ip, option, kind, text).scoped()
}

const fn ingress(option: &'static str, kind: Kind, text: &'static str) -> Keyword {
    plain(Section::Ingress, option, kind, text).scoped()
}

pub(super) const KEYWORDS: &[Keyword] = &[
    plain(
        Section::Service,
        "id",
        Kind::Uuid,
        "identity of the service",
    ),
    plain(
        Section::Service,
        "app",
        Kind::HostName,
        "application, which older names in DNS have in place of the namespace",
    ),
    container(
        "type",
        Kind::Choice(&["docker", "podman", "lxc", "process", "haproxy"]),
        "what runs the container: an engine, the node itself, or HAProxy for the service's ingress sections",
    )
    .or("docker"),
    container("image", Kind::Text, "image to run"),
    container(
        "command",
        Kind::Words,
        "program and its arguments; of docker and podman default is the image's",
    ),
    container("entrypoint", Kind::Words, "entry point instead of the image's"),
    container(
        "name",
        Kind::Text,
        "name of the container at its engine; default is NAMESPACE..NAME.container.N, for lxc NAME",
    ),
    container("hostname", Kind::HostName, "the container's own name"),
    container(
        "environment",
        Kind::Words,
        "variables of the container, each NAME=VALUE",
    ),
    container("user", Kind::Text, "user, by name or number, that the program runs as"),
    container(
        "volumes",
        Kind::Words,
        "folders or volumes to mount, each SOURCE:TARGET[:OPTIONS]",
    ),
    container("privileged", Kind::Bool, "whether it may do all that the node may").or("false"),
    container("tty", Kind::Bool, "whether it has a terminal").or("false"),
    container("interactive", Kind::Bool, "whether its standard input stays open").or("false"),
    container(
        "restart",
        Kind::Text,
        "when the engine starts it again: no, always, unless-stopped, on-failure[:TIMES]",
    )
    .or("no"),
    container("rm", Kind::Bool, "whether stopping it removes it").or("false"),
    container(
        "pull",
        Kind::Choice(&["missing", "always", "never"]),
        "when its image is pulled",
    )
    .or("missing"),
    container(
        "netns",
        Kind::Text,
        "network namespace to share: container#N, or host; its own when it is not set",
    ),
    container("cwd", Kind::Path, "working directory of the program"),
    container("lxcpath", Kind::Path, "directory of lxc's containers"),
    container("start_timeout", Kind::Duration, "how long its start may take").or("60s"),
    container(
        "stop_timeout",
        Kind::Duration,
        "how long it may take to end by itself before it is killed",
    )
    .or("10s"),
    ip("type", Kind::Choice(&["cni"]), "how the address is had").or("cni"),
    ip("network", Kind::Network, "network that the address is of").or("default"),
    ip(
        "netns",
        Kind::Resource,
        "container that gets the address; the service's own namespace when it is not set",
    ),
    ip("container_rid", Kind::Resource, "older name of netns"),
    ip(
        "nsdev",
        Kind::Device,
        "interface in the container; default is the first free ethN",
    ),
    ip("ipdev", Kind::Device, "older name of nsdev"),
    ip("ipaddr", Kind::Ips, "addresses to have, one of a family; default are free ones"),
    ip(
        "expose",
        Kind::Expose,
        "ports that are offered: 80/tcp has a record in DNS, 80:8001/tcp is also port 8001 of the node",
    ),
    ip(
        "wait_dns",
        Kind::Duration,
        "how long the start waits for the address to be in DNS; 0 does not wait",
    )
    .or("0"),
    ip(
        "dns_name_suffix",
        Kind::HostName,
        "what the container's name in DNS has behind its hostname",
    ),
    ingress(
        "mode",
        Kind::Choice(&["http", "tcp"]),
        "what is understood of the connections",
    )
    .or("http"),
    ingress(
        "listen",
        Kind::List,
        "where connections come in, each PORT or ADDRESS:PORT",
    ),
    ingress(
        "certificate",
        Kind::List,
        "files with certificate and key; the clients speak TLS then",
    ),
    ingress("host", Kind::Hosts, "names that requests are for; any by default"),
    ingress("path", Kind::Text, "beginning of the paths that requests are for"),
    ingress("backend", Kind::Object, "service that answers, as shop/svc/web"),
    ingress("port", Kind::Expose, "port that the service exposes, as 80/tcp"),
    ingress(
        "balance",
        Kind::Choice(&["roundrobin", "leastconn", "source", "random"]),
        "which instance gets the next connection",
    )
    .or("roundrobin"),
    ingress(
        "slots",
        Kind::Int { min: 1, max: 100 },
        "how many instances are used at the most: as many as one answer of DNS tells HAProxy",
    )
    .or("20"),
];
