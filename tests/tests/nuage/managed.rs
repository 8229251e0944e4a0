//! The drivers as a plugin that Docker manages: made by `make nuage-plugin`'s script, created and
//! enabled, with a container on a network of it.

use crate::case::{Case, FILE, SETTINGS, prepare, seed, text};
use fairlead_tests::{
    Docker, Node, Ovs, OvsPlan, Place as _, Vsd, eventually, fairlead_binary, patience,
};

#[test]
fn a_container_is_on_a_network_of_the_plugin_that_docker_manages() {
    let node = Node::new();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../scripts/make-nuage-package");
    let binary = fairlead_binary();
    node.sh(&format!("{script} plugin {} /run/plugin", binary.display()))
        .done();
    // As systemd has it: a plugin sees what is mounted later.
    node.run("mount --make-rshared /");
    node.run("mount -t tmpfs none /var/log");
    prepare(&node, &format!("{SETTINGS}pluginversion: v2\n"));
    let vsd = Vsd::start(&node, &seed());
    let ovs = Ovs::start(&node, OvsPlan::default());
    let docker = Docker::plan().with_plugins().start(&node);
    let case = Case {
        plugin: None,
        docker,
        vsd,
        ovs,
        node,
    };
    assert!(case.node.read(FILE).contains("pluginversion: v2"));
    case.docker("plugin create nuage /run/plugin");
    case.docker("plugin enable nuage");
    case.docker(
        "network create --driver=nuage:latest --ipam-driver=nuage:latest \
         --ipam-opt organization=Enterprise --ipam-opt domain=Domain --ipam-opt zone=Zone \
         --ipam-opt subnet=\"Subnet 2\" --ipam-opt user=admin --subnet=10.21.59.0/24 \
         --gateway=10.21.59.1 MyNet",
    );
    let shown = case.json("network inspect MyNet")[0].clone();
    assert_eq!(shown["Driver"], "nuage:latest");
    assert_eq!(shown["IPAM"]["Driver"], "nuage:latest");
    for name in ["one", "two"] {
        case.run(name, "--net MyNet");
    }
    case.is_up(2);
    let names: Vec<String> = case
        .vsd
        .state("containers")
        .iter()
        .map(|c| text(&c["name"]))
        .collect();
    assert_eq!(names.len(), 2, "{names:?}");
    let address = case.address("two");
    eventually(patience(), || {
        let ran = case
            .docker
            .cli(&case.node, &format!("exec one ping -c 1 -w 2 {address}"));
        if ran.status == Some(0) {
            Ok(())
        } else {
            Err(ran)
        }
    });
    case.docker("rm -f one two");
    case.is_up(0);
    case.docker("network rm MyNet");
    case.docker("plugin disable nuage");
    case.docker("plugin rm nuage");
}
