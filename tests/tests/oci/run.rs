//! What a person does with containers under our runtime.

use super::case::{CRUN, Case, RUNC};

fn a_container_has_an_address_and_gives_it_back(runtime: &str) {
    let case = Case::new(runtime);
    let seen = case.run("--rm busybox ip -o -4 address show dev eth0");
    assert!(seen.contains("inet 10.60.0.2/24"), "{seen}");
    case.is_empty();
    let seen = case.run("--rm busybox ip route");
    assert!(seen.contains("default via 10.60.0.1"), "{seen}");
    case.is_empty();
}

#[test]
fn a_container_has_an_address_and_gives_it_back_with_runc() {
    a_container_has_an_address_and_gives_it_back(RUNC);
}

#[test]
fn a_container_has_an_address_and_gives_it_back_with_crun() {
    a_container_has_an_address_and_gives_it_back(CRUN);
}
