//! Routed bridges between two namespaces of this kernel, as others see them.

mod common;

use common::Node;
use fairlead_networks::Known;
use serde_json::json;

/// Two nodes on one cable, with a network between them.
struct Pair {
    nodes: [Node; 2],
    known: Known,
}

const NAMES: [&str; 2] = ["n1", "n2"];

impl Pair {
    fn new() -> Self {
        let nodes = [Node::new(), Node::new()];
        let peer = nodes[1].netns().rsplit('/').next().unwrap().to_owned();
        nodes[0].run(&format!(
            "ip link add wire type veth peer name wire netns {peer}"
        ));
        let mut known = Known::default();
        for (i, node) in nodes.iter().enumerate() {
            let number = i + 1;
            node.run(&format!("ip address add 192.168.7.{number}/24 dev wire"));
            node.run(&format!(
                "ip address add 2001:db8::{number}/64 dev wire nodad"
            ));
            node.run("ip link set wire up");
            node.run("ip link set lo up");
            let addresses = [format!("192.168.7.{number}"), format!("2001:db8::{number}")];
            let addresses = addresses.map(|a| a.parse().unwrap());
            known.insert(NAMES[i], addresses.to_vec());
        }
        Self { nodes, known }
    }

    /// Sets both up with these keywords of the network `back`.
    fn setup(&self, keywords: &str) -> [Vec<String>; 2] {
        let text =
            format!("[cluster]\nnodes = n1 n2\n[network#back]\ntype = routed_bridge\n{keywords}");
        let all = [0, 1].map(|i| {
            self.nodes[i].files.declare(&text);
            self.nodes[i].setup_as(NAMES[i], &self.known)
        });
        for i in [0, 1] {
            let again = self.nodes[i].setup_as(NAMES[i], &self.known);
            assert_eq!(again, Vec::<String>::new(), "{keywords}");
        }
        all
    }

    /// A full packet of that many bytes with don't-fragment passes, and one more byte
    /// is refused with a word.
    fn passes(&self, from: &str, to: &str, mtu: usize) {
        let headers = if to.contains(':') { 48 } else { 28 };
        let size = mtu - headers;
        let node = &self.nodes[0];
        node.run(&format!("ping -c 1 -W 5 -M do -s {size} -I {from} {to}"));
        let more = format!(
            "ping -c 1 -W 5 -M do -s {} -I {from} {to} || true",
            size + 1
        );
        let args = [
            "--net".to_owned() + "=" + node.netns(),
            "sh".into(),
            "-c".into(),
            more,
        ];
        let said = std::process::Command::new("nsenter")
            .args(args)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&said.stdout).into_owned()
            + &String::from_utf8_lossy(&said.stderr);
        assert!(
            said.contains("oo long") || said.contains("oo big"),
            "{said}"
        );
    }

    fn links(&self) -> Vec<String> {
        self.nodes[0].links()
    }
}

const FOUR: &str = "network = 10.11.0.0/16\nsubnet@n1 = 10.11.0.0/22\nsubnet@n2 = 10.11.4.0/22\n";
const SIX: &str = "network = fd00:1::/112\nsubnet@n1 = fd00:1::/118\nsubnet@n2 = fd00:1::400/118\n";

#[test]
fn a_common_link_needs_no_tunnel() {
    let pair = Pair::new();
    pair.setup(FOUR);
    assert_eq!(pair.links(), ["obr_back", "wire"]);
    let routes = pair.nodes[0].ip("route show proto 70");
    assert_eq!(routes.as_array().unwrap().len(), 1);
    assert_eq!(routes[0]["dst"], "10.11.4.0/22");
    assert_eq!(routes[0]["gateway"], "192.168.7.2");
    pair.passes("10.11.0.1", "10.11.4.1", 1500);
    pair.setup("network = none\n");
    assert_eq!(pair.links(), ["wire"]);
    assert_eq!(pair.nodes[0].ip("route show proto 70"), json!([]));
}

#[test]
fn vxlan_carries_full_packets_and_floods_nothing() {
    let pair = Pair::new();
    for (text, from, to, mtu) in [
        (FOUR, "10.11.0.1", "10.11.4.1", 1450),
        (SIX, "fd00:1::1", "fd00:1::401", 1430),
    ] {
        pair.setup(&format!("{text}tunnel = always\ntunnel_mode = vxlan\n"));
        assert_eq!(pair.links(), ["obr_back", "ovx_back", "wire"]);
        let shown = pair.nodes[0].ip("link show ovx_back")[0].clone();
        assert_eq!(shown["mtu"], mtu, "{shown}");
        assert_eq!(shown["linkinfo"]["info_data"]["learning"], false, "{shown}");
        let fdb = pair.nodes[0].run("bridge fdb show dev ovx_back");
        assert!(!fdb.contains("00:00:00:00:00:00"), "{fdb}");
        pair.passes(from, to, mtu);
        assert_eq!(pair.nodes[0].ip("link show obr_back")[0]["mtu"], mtu);
    }
    // What somebody deletes comes back, and what is set by hand goes.
    pair.nodes[0].run("ip link set ovx_back mtu 1300");
    pair.nodes[0].run("ip -6 route flush proto 70");
    let steps = pair.nodes[0].setup_as("n1", &pair.known);
    assert_eq!(steps.len(), 2, "{steps:?}");
    pair.nodes[0].run("ip link delete ovx_back");
    let steps = pair.nodes[0].setup_as("n1", &pair.known);
    assert_eq!(steps.len(), 3, "{steps:?}");
    pair.passes("fd00:1::1", "fd00:1::401", 1430);
    pair.setup("network = none\n");
    assert_eq!(pair.links(), ["wire"]);
}

/// One route of ours, and one of somebody else to another place.
#[test]
fn routes_of_others_stay() {
    let pair = Pair::new();
    let node = &pair.nodes[0];
    node.run("ip route add 10.99.0.0/16 via 192.168.7.2 proto static");
    node.run("ip route add 10.11.4.0/22 via 192.168.7.9 proto static");
    let text = format!("[cluster]\nnodes = n1 n2\n[network#back]\ntype = routed_bridge\n{FOUR}");
    node.files.declare(&text);
    let (_, problems) = {
        let config = node.files.config();
        let report = node.within(|| fairlead_networks::setup(&config, &pair.known, false));
        let report = report.unwrap();
        (report.steps, report.problems)
    };
    assert_eq!(problems.len(), 1, "{problems:?}");
    let text = problems[0].to_string();
    assert!(
        text.starts_with("network back: a route to 10.11.4.0/22 in table 254 that is not ours"),
        "{text}"
    );
    let routes = node.ip("route show 10.11.4.0/22");
    assert_eq!(routes[0]["gateway"], "192.168.7.9");
    node.run("ip route delete 10.11.4.0/22");
    node.setup_as("n1", &pair.known);
    node.files.declare("");
    node.setup_as("n1", &pair.known);
    let left = node.ip("route show proto static");
    assert_eq!(left[0]["dst"], "10.99.0.0/16", "{left}");
}
