//! CNI 1.1.0, which Debian's plugins do not speak: GC, STATUS, and its codes.

use fairlead_tests::{
    Attachment, Chain, Node, Place, Plugins, Sandbox, Server, Transport, UPLINK_V4,
};
use serde_json::{Value, json};

fn bridge() -> Value {
    json!({
        "cniVersion": "1.1.0",
        "name": "web",
        "type": "bridge",
        "bridge": "br0",
        "isDefaultGateway": true,
        "ipMasq": true,
        "ipam": {"type": "host-local",
            "ranges": [[{"subnet": "10.88.0.0/24", "rangeStart": "10.88.0.10", "rangeEnd": "10.88.0.11"}]]},
    })
}

fn attachment<'a>(plugins: &'a Plugins, node: &'a Node, sandbox: &Sandbox<'_>) -> Attachment<'a> {
    Attachment::new(plugins, node, sandbox, bridge())
}

/// The key of the attachments that still exist, as a runtime gives it to GC.
fn valid(attachments: &[&Attachment<'_>]) -> Value {
    let list: Vec<Value> = attachments
        .iter()
        .map(|a| json!({"containerID": a.container, "ifname": a.ifname}))
        .collect();
    json!({"cni.dev/valid-attachments": list})
}

#[test]
fn every_version_is_spoken() {
    assert_eq!(
        Plugins::ours().versions(),
        [
            "0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"
        ]
    );
}

#[test]
fn gc_takes_what_is_not_valid_and_nothing_else() {
    let plugins = Plugins::ours();
    let node = Node::new();
    let (one, two, three) = (
        node.sandbox("one"),
        node.sandbox("two"),
        node.sandbox("three"),
    );
    let (kept, lost) = (
        attachment(&plugins, &node, &one),
        attachment(&plugins, &node, &two),
    );
    let (kept_view, lost_view) = (kept.view(), lost.view());
    // The range is full, and whoever holds an address is still there.
    let late = attachment(&plugins, &node, &three);
    late.try_add().fails(999, &["no IP addresses available"]);
    kept.clone().with(valid(&[&kept])).command("GC").done();
    assert!(!node.rules_mention(lost_view.hosts()[0]));
    assert_eq!(late.view().hosts(), lost_view.hosts());
    one.ping("10.88.0.1");
    assert_eq!(one.addresses("eth0"), [kept_view.ips[0].address.clone()]);
    kept.clone()
        .with(valid(&[&kept, &late]))
        .command("GC")
        .done();
    three.ping("10.88.0.1");
}

#[test]
fn gc_of_one_network_leaves_another_alone() {
    let plugins = Plugins::ours();
    let node = Node::new();
    let (one, two) = (node.sandbox("one"), node.sandbox("two"));
    let web = attachment(&plugins, &node, &one);
    let mut mail = attachment(&plugins, &node, &two).with(json!({"name": "mail", "bridge": "br1"}));
    mail.config["ipam"]["ranges"] = json!([[{"subnet": "10.89.0.0/24"}]]);
    web.add();
    mail.add();
    web.clone().with(valid(&[])).command("GC").done();
    two.ping("10.89.0.1");
    let again = mail.try_add();
    // Its address is still held: the same attachment is refused.
    again.failure();
}

#[test]
fn gc_frees_the_ports_of_what_is_not_valid() {
    let plugins = Plugins::ours();
    let node = Node::new();
    let (one, two) = (node.sandbox("one"), node.sandbox("two"));
    let mappings = json!([{"hostPort": 8080, "containerPort": 80, "protocol": "tcp"}]);
    let mut lost = Chain::new(attachment(&plugins, &node, &one), mappings.clone());
    lost.view();
    one.vanish();
    lost.main.clone().with(valid(&[])).command("GC").done();
    lost.portmap.clone().with(valid(&[])).command("GC").done();
    let mut chain = Chain::new(attachment(&plugins, &node, &two), mappings);
    chain.view();
    let _server = Server::start(&two, Transport::Tcp, 80, "two");
    assert_eq!(
        Transport::Tcp.ask(&node.outside(), UPLINK_V4, 8080).text,
        "two"
    );
}

#[test]
fn gc_and_status_are_refused_before_1_1_0() {
    let plugins = Plugins::ours();
    let node = Node::new();
    let one = node.sandbox("one");
    for version in ["0.4.0", "1.0.0"] {
        for command in ["GC", "STATUS"] {
            let old = attachment(&plugins, &node, &one).with(json!({"cniVersion": version}));
            old.command(command).fails(1, &["does not allow", command]);
        }
    }
}

#[test]
fn status_says_yes_and_needs_no_container() {
    let plugins = Plugins::ours();
    let node = Node::new();
    let one = node.sandbox("one");
    for kind in [
        "bridge",
        "ptp",
        "loopback",
        "portmap",
        "host-local",
        "static",
    ] {
        let ready = attachment(&plugins, &node, &one).with(json!({"type": kind}));
        ready
            .without("STATUS", &["CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME"])
            .done();
    }
}

#[test]
fn status_says_no_when_add_could_not_work() {
    let plugins = Plugins::ours();
    let node = Node::new();
    let one = node.sandbox("one");
    let broken = attachment(&plugins, &node, &one).with(json!({"ipam": {"type": "nobody"}}));
    let failure = broken.command("STATUS").failure();
    assert!(failure.msg.contains("nobody"), "{failure:?}");
}
