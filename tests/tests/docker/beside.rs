//! Beside Docker's own networks, and on a newer engine.

use crate::case::Case;
use fairlead_tests::{Docker, Place as _, eventually, patience};

#[test]
fn docker_lets_through_what_our_bridges_forward_and_asks_its_user_first() {
    let case = Case::with(Docker::plan().with_bridge());
    let chain = "iptables -S DOCKER-USER";
    case.docker("network create -d fairlead --ipam-driver fairlead --subnet 10.60.0.0/24 net");
    let serve = "sh -c 'mkdir /www; echo web >/www/index.html; httpd -f -p 80 -h /www'";
    case.docker(&format!(
        "run -d --name web --stop-signal KILL --network net -p 8080:80 busybox {serve}"
    ));
    case.docker("run --rm --network net busybox ping -c 1 -w 5 198.51.100.2");
    let fetch = || {
        let outside = case.node.outside();
        let output = outside.try_run("curl -sS -m 2 http://198.51.100.1:8080/");
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    assert_eq!(fetch(), "web\n");
    let rules = case.node.run(chain);
    let ours: Vec<&str> = rules
        .lines()
        .filter(|rule| rule.contains("obr_d-"))
        .collect();
    assert_eq!(ours.len(), 2, "{rules}");
    assert!(rules.trim_end().ends_with("-j RETURN"), "{rules}");
    // What the user says there counts before.
    case.node
        .run("iptables -I DOCKER-USER -s 198.51.100.2 -j DROP");
    assert_eq!(fetch(), "");
    case.node
        .run("iptables -D DOCKER-USER -s 198.51.100.2 -j DROP");
    assert_eq!(fetch(), "web\n");
    // Taken away, it comes back.
    case.node.run("iptables -F DOCKER-USER");
    eventually(patience(), || {
        let rules = case.node.run(chain);
        let ours = rules.lines().filter(|rule| rule.contains("-j ACCEPT"));
        match ours.count() {
            2 => Ok(()),
            _ => Err(rules),
        }
    });
    assert_eq!(fetch(), "web\n");
    // Docker's own bridge works beside.
    case.docker("run --rm busybox ping -c 1 -w 5 198.51.100.2");
    case.docker("rm -f web");
    case.docker("network rm net");
    let rules = case.node.run(chain);
    assert!(!rules.contains("obr_d-"), "{rules}");
}

#[test]
fn a_newer_engine_has_all_of_it_too() {
    let case = Case::with(Docker::plan().newer());
    let before = case.warm();
    case.node.networks(&["back=10.30.0.0/24"]);
    case.docker("network create -d fairlead --ipam-driver fairlead -o network=back a");
    case.docker("network create -d fairlead --ipam-driver fairlead --ipam-opt network=back b");
    case.docker(
        "network create -d fairlead --ipam-driver fairlead --ipv6 --subnet 10.61.0.0/24 \
         --subnet fd00:61::/64 net",
    );
    case.run(
        "one",
        "--network net --ip 10.61.0.9 --ip6 fd00:61::9 -p 8080:80 -p 81",
    );
    case.run("two", "--network a");
    case.docker("network connect net two");
    case.docker("network connect b one");
    case.docker("exec two ping -c 1 -w 5 one");
    case.docker("exec two ping -6 -c 1 -w 5 fd00:61::9");
    case.docker("exec two ping -c 1 -w 5 198.51.100.2");
    case.refused(
        "run --rm --network net --ip 10.61.0.9 busybox true",
        &["address 10.61.0.9 is taken on this node"],
    );
    case.refused(
        "run --rm --network net -p 8080:80 busybox true",
        &["8080/tcp", "has it"],
    );
    let address = case.address("two", "net");
    case.docker("restart two");
    assert_eq!(case.address("two", "net"), address);
    case.docker("network disconnect net two");
    case.docker("rm -f one two");
    case.docker("network rm a b net");
    case.node
        .sh("fairlead cluster unset --kw network#back")
        .silent();
    case.node.sh("fairlead net setup").done();
    case.node.is_as_before(&before, "all of it is gone");
}
