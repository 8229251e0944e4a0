use super::*;
use crate::Document;
use fairlead_types::Root;

fn config(cluster: &str, local: &str) -> Config {
    let read = |text| Document::parse(text).unwrap();
    Config::from_documents(&Root::default(), "n1", read(cluster), read(local))
}

fn networks(cluster: &str) -> (Vec<Network>, Vec<Problem>) {
    config(cluster, "").networks()
}

fn names(networks: &[Network]) -> Vec<&str> {
    networks.iter().map(|n| n.name.as_str()).collect()
}

/// One network beside the implied ones, without problems.
fn one(cluster: &str) -> Network {
    let (mut networks, problems) = networks(cluster);
    assert_eq!(problems, []);
    networks.retain(|n| n.origin != Origin::Implied);
    assert_eq!(networks.len(), 1);
    networks.remove(0)
}

#[test]
fn two_networks_are_there_without_being_declared() {
    let (networks, problems) = networks("");
    assert_eq!(problems, []);
    assert_eq!(names(&networks), ["default", "lo"]);
    let [default, lo] = networks.try_into().unwrap();
    assert_eq!(default.kind, NetworkKind::Bridge);
    assert_eq!(default.cidr().unwrap().to_string(), "10.22.0.0/16");
    assert_eq!(default.bridge.unwrap().as_str(), "obr_default");
    assert_eq!(default.origin, Origin::Implied);
    assert_eq!(lo.kind, NetworkKind::Lo);
    assert_eq!(lo.cidr().unwrap().to_string(), "127.0.0.1/32");
    assert_eq!(lo.bridge, None);
}

#[test]
fn none_hides_a_network() {
    for none in ["none", "None"] {
        let (networks, problems) = networks(&format!(
            "[network#default]\nnetwork = {none}\n[network#a]\nnetwork = 10.22.0.0/16\n"
        ));
        assert_eq!(problems, []);
        assert_eq!(names(&networks), ["a", "lo"]);
    }
}

#[test]
fn a_section_overrides_the_implied_network() {
    let n = one("[network#default]\ntype = weave\n");
    assert_eq!(n.kind, NetworkKind::Weave);
    assert_eq!(n.cidr().unwrap().to_string(), "10.32.0.0/12");
    let n = one("[network#default]\npublic = yes\n");
    assert_eq!(n.cidr().unwrap().to_string(), "10.22.0.0/16");
    assert!(n.public);
}

#[test]
fn a_bridge_may_be_named_and_dual_stack() {
    let n = one("[network#a-long-network-name]\ndev = br0\nnetwork = 10.1.0.0/16 fd00::/64\n");
    assert_eq!(n.bridge.unwrap().as_str(), "br0");
    assert!(n.foreign_bridge);
    assert_eq!(n.ranges.len(), 2);
    assert_eq!(n.origin, Origin::Cluster);
}

#[test]
fn the_node_sees_its_own_range() {
    let c = config(
        "[cluster]\nnodes = n1 n2\n[network#a]\nnetwork = 10.2.0.0/16\nnetwork@n1 = 10.1.0.0/16\n",
        "[network#b]\nnetwork = 10.3.0.0/16\n",
    );
    let (networks, problems) = c.networks();
    assert_eq!(problems, []);
    assert_eq!(names(&networks), ["a", "b", "default", "lo"]);
    assert_eq!(networks[0].cidr().unwrap().to_string(), "10.1.0.0/16");
    assert_eq!(networks[1].origin, Origin::Node);
}

#[test]
fn a_routed_bridge_has_what_the_nodes_declare() {
    let n = one("\
[cluster]
nodes = n1 n2 n3
[network#b]
type = routed_bridge
network = 10.11.0.0/16
ips_per_node = 1024
subnet@n1 = 10.11.0.0/22
subnet@gone = 10.11.4.0/22
addr@n2 = 192.0.2.2
addr@n3 = n3.example.org
gateway@n2 = 192.0.2.1
tables = main 100
tunnel = always
tunnel_mode = gre
");
    let r = n.routed.unwrap();
    assert_eq!(r.segment_prefix, 22);
    let subnets: Vec<_> = r.subnets.iter().map(|(n, s)| format!("{n} {s}")).collect();
    assert_eq!(subnets, ["gone 10.11.4.0/22", "n1 10.11.0.0/22"]);
    let endpoints: Vec<_> = r
        .endpoints
        .iter()
        .map(|(n, a)| format!("{n} {a}"))
        .collect();
    assert_eq!(endpoints, ["n2 192.0.2.2", "n3 n3.example.org"]);
    assert_eq!(r.gateways["n2"].to_string(), "192.0.2.1");
    assert_eq!(r.tables, ["main", "100"]);
    assert_eq!((r.tunnel, r.tunnel_mode), (Tunnel::Always, TunnelMode::Gre));
    let n = one(
        "[network#b]\ntype = routed_bridge\nnetwork = 10.11.0.0/16\ntunnel_mode = vxlan\nvni = 16777215\nmtu = 9000\n",
    );
    let r = n.routed.unwrap();
    assert_eq!(
        (r.tunnel_mode, r.vni),
        (TunnelMode::Vxlan, Some(16_777_215))
    );
    assert_eq!(n.mtu, Some(9000));
    let n = one("[network#b]\ntype = routed_bridge\nnetwork = fd00:1::/112\nmask_per_node = 118\n");
    assert_eq!(n.mtu, None);
    let r = n.routed.unwrap();
    assert_eq!((r.segment_prefix, r.tunnel), (118, Tunnel::Auto));
    assert_eq!(r.tables, ["main"]);
}

#[test]
fn one_bad_network_hides_no_other() {
    let (networks, problems) = networks(
        "\
[network#good]
network = 10.1.0.0/16
[network#bits]
network = 172.10.10.0/22
[network#kind]
type = vlan
[network#empty]
[network#much-too-long]
network = 10.2.0.0/16
[network#-x]
network = 10.3.0.0/16
[network#small]
network = 10.4.0.0/31
[network#multi]
network = 224.0.0.0/16
[network#loop]
network = 127.1.0.0/16
",
    );
    assert_eq!(names(&networks), ["default", "good", "lo"]);
    let texts: Vec<String> = problems.iter().map(ToString::to_string).collect();
    for wanted in [
        "network#bits.network = \"172.10.10.0/22\": 172.10.10.0/22 has host bits set, the base address is 172.10.8.0/22",
        "network#kind.type = \"vlan\": one of bridge, routed_bridge, weave, lo is wanted",
        "network#empty: the network has no range; set network#empty.network",
        "network#much-too-long: its bridge obr_much-too-long has a name of 17 bytes and at most 15 are allowed; \
         choose a network name of at most 11 bytes or set network#much-too-long.dev",
        "network#-x: network name \"-x\" has the character '-'; the first must be a letter or a digit",
        "network#small.network = \"10.4.0.0/31\": 10.4.0.0/31 is too small for a network: it has no room for a gateway and one container",
        "network#multi.network = \"224.0.0.0/16\": 224.0.0.0/16 is a multicast range, containers cannot have such addresses",
        "network#loop.network = \"127.1.0.0/16\": 127.1.0.0/16 is a loopback range, containers cannot have such addresses",
    ] {
        assert!(
            texts.iter().any(|t| t == wanted),
            "{wanted}\nis not in {texts:#?}"
        );
    }
    assert_eq!(texts.len(), 8, "{texts:#?}");
    let warnings: Vec<_> = problems.iter().filter(|p| p.is_warning()).collect();
    assert_eq!(warnings.len(), 1);
    assert_eq!(warnings[0].network(), Some("empty"));
}

#[test]
fn both_of_an_overlapping_pair_are_named() {
    let (networks, problems) = networks(
        "[network#a]\nnetwork = 10.1.0.0/16\n[network#b]\nnetwork = 10.1.2.0/24\n\
         [network#c]\nnetwork = 10.2.0.0/16\n[network#d]\nnetwork = 10.22.8.0/24\n",
    );
    assert_eq!(names(&networks), ["c", "lo"]);
    let texts: Vec<String> = problems.iter().map(ToString::to_string).collect();
    assert_eq!(
        texts,
        [
            "network#a.network = \"10.1.0.0/16\": 10.1.0.0/16 overlaps 10.1.2.0/24 of network b",
            "network#b.network = \"10.1.2.0/24\": 10.1.2.0/24 overlaps 10.1.0.0/16 of network a",
            "network#d.network = \"10.22.8.0/24\": 10.22.8.0/24 overlaps 10.22.0.0/16 of network default, \
             which is there unless network#default.network is none",
            "network#default.network: 10.22.0.0/16 overlaps 10.22.8.0/24 of network d",
        ]
    );
}

#[test]
fn the_faults_of_a_routed_bridge_are_told_at_once() {
    let (_, problems) = networks(
        "\
[cluster]
nodes = n1 n2 n3
[network#b]
type = routed_bridge
network = 10.11.0.0/16
ips_per_node = 1000
subnet@n1 = 10.12.0.0/22
subnet@n2 = 10.11.4.0/22
subnet@n3 = 10.11.4.0/24
gateway@n2 = nowhere
tunnel = maybe
public = perhaps
vni = 0
mtu = 1279
",
    );
    let texts: Vec<String> = problems.iter().map(ToString::to_string).collect();
    for wanted in [
        "network#b.ips_per_node = \"1000\": 1000 is no power of two; the next are 512 and 1024",
        "network#b.subnet@n1 = \"10.12.0.0/22\": 10.12.0.0/22 is not inside the network's range 10.11.0.0/16",
        "network#b.subnet@n2 = \"10.11.4.0/22\": 10.11.4.0/22 of node n2 overlaps 10.11.4.0/24 of node n3",
        "network#b.subnet@n3 = \"10.11.4.0/24\": 10.11.4.0/24 of node n3 overlaps 10.11.4.0/22 of node n2",
        "network#b.gateway@n2 = \"nowhere\": \"nowhere\" is no IP address",
        "network#b.tunnel = \"maybe\": one of auto, always, never is wanted",
        "network#b.public = \"perhaps\": true or false is wanted",
        "network#b.vni = \"0\": a whole number from 1 to 16777215 is wanted",
        "network#b.mtu = \"1279\": a whole number from 1280 to 65535 is wanted",
    ] {
        assert!(
            texts.iter().any(|t| t == wanted),
            "{wanted}\nis not in {texts:#?}"
        );
    }
    assert_eq!(texts.len(), 9, "{texts:#?}");
}
