//! Bad input: a change, and the fault that refuses it.

pub(super) const TABLE: &[(&str, &str)] = &[
    (
        "network#a.type=vlan",
        "network#a.type = \"vlan\": one of bridge, routed_bridge, weave, lo is wanted",
    ),
    (
        "network#a.type@n1=bridge",
        "network#a.type@n1 = \"bridge\": the keyword takes no scope; set it without '@...'",
    ),
    (
        "network#r.network@n1=10.12.0.0/16",
        "network#r.network@n1 = \"10.12.0.0/16\": the keyword takes no scope; set it without '@...'",
    ),
    (
        "network#a.public=perhaps",
        "network#a.public = \"perhaps\": true or false is wanted",
    ),
    (
        "network#a.network=10.1.0.0",
        "network#a.network = \"10.1.0.0\": \"10.1.0.0\" is no cidr: ADDRESS/PREFIX is wanted, as in 10.22.0.0/16",
    ),
    (
        "network#a.network=172.10.10.0/22",
        "network#a.network = \"172.10.10.0/22\": 172.10.10.0/22 has host bits set, the base address is 172.10.8.0/22",
    ),
    (
        "network#a.network=10.2.0.0/16 10.3.0.0/16",
        "network#a.network = \"10.2.0.0/16 10.3.0.0/16\": one cidr, or one IPv4 and one IPv6 cidr, is wanted",
    ),
    (
        "network#r.network=10.2.0.0/16 fd00::/64",
        "network#r.network = \"10.2.0.0/16 fd00::/64\": one cidr is wanted",
    ),
    (
        "network#a.dev=br/0",
        "network#a.dev = \"br/0\": interface name \"br/0\" has the character '/'; '/', ':', '%', white space and control characters are not allowed",
    ),
    (
        "network#abcdefghijkl.network=10.2.0.0/16",
        "network#abcdefghijkl: its bridge obr_abcdefghijkl has a name of 16 bytes and at most 15 are allowed; choose a network name of at most 11 bytes or set network#abcdefghijkl.dev",
    ),
    (
        "network#abcdefghijkl.type=bridge",
        "network#abcdefghijkl: its bridge obr_abcdefghijkl has a name of 16 bytes and at most 15 are allowed; choose a network name of at most 11 bytes or set network#abcdefghijkl.dev",
    ),
    (
        "network#a b.type=weave",
        "network#a b: network name \"a b\" has the character ' '; letters, digits, '_', '.' and '-' are allowed",
    ),
    (
        "network#r.ips_per_node=many",
        "network#r.ips_per_node = \"many\": a whole number from 1 to 9223372036854775808 is wanted",
    ),
    (
        "network#r.ips_per_node=1000",
        "network#r.ips_per_node = \"1000\": 1000 is no power of two; the next are 512 and 1024",
    ),
    (
        "network#r.ips_per_node=2",
        "network#r.ips_per_node = \"2\": a segment of 2 addresses has no room for a gateway and one container; at least 4 are wanted",
    ),
    (
        "network#r.ips_per_node=32768",
        "network#r.ips_per_node = \"32768\": a segment of /17 does not fit 3 times in 10.11.0.0/16; set ips_per_node lower or the range wider",
    ),
    (
        "network#r.network=10.11.0.0/22",
        "network#r.ips_per_node: a segment of /22 does not fit 3 times in 10.11.0.0/22; set ips_per_node lower or the range wider",
    ),
    (
        "network#s.mask_per_node=22",
        "network#s.mask_per_node = \"22\": 22 can be read as a prefix length and as a number of host bits; set ips_per_node instead: 1024 for /22, 4194304 for 22 host bits",
    ),
    (
        "network#r.mask_per_node=10",
        "network#r.mask_per_node = \"10\": a prefix length from 16 to 30 is wanted within 10.11.0.0/16; a number of addresses goes in ips_per_node",
    ),
    (
        "network#r.subnet@n1=10.12.0.0/22",
        "network#r.subnet@n1 = \"10.12.0.0/22\": 10.12.0.0/22 is not inside the network's range 10.11.0.0/16",
    ),
    (
        "network#r.tunnel=sometimes",
        "network#r.tunnel = \"sometimes\": one of auto, always, never is wanted",
    ),
    (
        "network#r.gateway@n2=gw",
        "network#r.gateway@n2 = \"gw\": \"gw\" is no IP address",
    ),
    (
        "network#r.addr@n2=1.2.3",
        "network#r.addr@n2 = \"1.2.3\": \"1.2.3\" is neither an IP address nor a host name",
    ),
    (
        "cluster.dns+=ns",
        "cluster.dns = \"ns\": \"ns\" is no IP address",
    ),
    (
        "cluster.dns={cluster.dns}",
        "cluster.dns = \"{cluster.dns}\": the references run in a circle: cluster.dns -> cluster.dns",
    ),
    (
        "cluster.name={x.y}",
        "cluster.name = \"{x.y}\": the reference {x.y} has no value",
    ),
    (
        "cluster.nodes+=n/4",
        "cluster.nodes = \"n1 n2 n3 n/4\": \"n/4\" is neither an IP address nor a host name",
    ),
    (
        "cluster.name=my cluster",
        "cluster.name = \"my cluster\": \"my cluster\" is neither an IP address nor a host name",
    ),
    (
        "cni.plugins=bin",
        "cni.plugins = \"bin\": an absolute path is wanted",
    ),
    (
        "cni.timeout=soon",
        "cni.timeout = \"soon\": a time is wanted, as in 30s, 1500ms or 1h30m",
    ),
    (
        "etcd.endpoints=http://n1:2379",
        "etcd: the section counts in node.conf only; remove it from cluster.conf",
    ),
    (
        "id=1",
        "DEFAULT.id = \"1\": a uuid is wanted, as in 01234567-89ab-4cde-8f01-23456789abcd",
    ),
    (
        "cluster.dns=10.0.0.1\n#2",
        "cluster.dns = \"10.0.0.1\\n#2\": the line \"#2\" of the value would be a comment in the file: a line after the first cannot start with '#' or ';'",
    ),
];
