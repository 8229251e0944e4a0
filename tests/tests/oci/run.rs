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

#[test]
#[ignore]
fn timing() {
    let case = Case::new(RUNC);
    let mut none = vec![];
    let mut ours = vec![];
    for _ in 0..12 {
        let t = std::time::Instant::now();
        case.docker("run --rm --net none busybox true");
        none.push(t.elapsed().as_millis());
        let t = std::time::Instant::now();
        case.run("--rm busybox true");
        ours.push(t.elapsed().as_millis());
    }
    none.sort();
    ours.sort();
    eprintln!("none {:?} {none:?}\nours {:?} {ours:?}", none[6], ours[6]);
    eprintln!(
        "{}",
        case.node.sh("cat /run/docker-cni.log | tail -20").stdout
    );
}
