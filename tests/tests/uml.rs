//! What this machine's kernel lacks is tested under User Mode Linux, not skipped:
//! a kernel that runs as a process (`scripts/uml-run`).

use fairlead_tests::{Plugins, run_under_uml};

const MODULES: [&str; 3] = ["bridge", "veth", "8021q"];

#[test]
fn vlans_of_the_reference() {
    let passed = run_under_uml("vlan-cases", &Plugins::reference(), &MODULES);
    // Counted here too, so that a case that did not run cannot pass.
    assert_eq!(passed.len(), 6, "{passed:?}");
}

#[test]
fn vlans_of_ours() {
    let passed = run_under_uml("vlan-cases", &Plugins::ours(), &MODULES);
    assert_eq!(passed.len(), 10, "{passed:?}");
}

#[test]
fn tunnels_of_routed_bridges() {
    let modules = [
        "bridge",
        "veth",
        "ipip",
        "ip_gre",
        "ip6_tunnel",
        "ip6_gre",
        "vxlan",
    ];
    let passed = run_under_uml("tunnel-cases", &Plugins::ours(), &modules);
    assert_eq!(passed.len(), 3, "{passed:?}");
}
