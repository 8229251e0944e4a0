//! What a container chooses: its networks, addresses, ports.

use super::case::{CRUN, Case, NET_D, RUNC, bridge};
use fairlead_tests::{Docker, Place, UPLINK_V4, eventually, patience};
use serde_json::{Value, json};

/// With the networks `back` (10.60.0.0/24, the first) and `front` (10.61.0.0/24).
#[track_caller]
fn two(plan: fairlead_tests::DockerPlan, runtime: &str) -> Case {
    let case = Case::with(plan, runtime);
    case.ours();
    case.network("20-front.conflist", &bridge("front", "10.61.0", "brfront"));
    case
}

/// The start of the address of a container that is run with these options.
#[track_caller]
fn net(case: &Case, options: &str) -> String {
    let seen = case.run(&format!(
        "--rm {options} busybox ip -o -4 address show dev eth0"
    ));
    let words: Vec<&str> = seen.split_whitespace().collect();
    let at = words.iter().position(|word| *word == "inet");
    let address = at.and_then(|at| words.get(at + 1)).copied();
    let address = address.unwrap_or_else(|| panic!("no address: {seen}"));
    address.split('.').take(3).collect::<Vec<_>>().join(".")
}

#[test]
fn a_container_chooses_by_labels_and_variables() {
    for runtime in [RUNC, CRUN] {
        let case = two(Docker::plan(), runtime);
        assert_eq!(net(&case, ""), "10.60.0");
        assert_eq!(net(&case, "--label eru.cni/network=front"), "10.61.0");
        assert_eq!(net(&case, "-e IPPOOL=front"), "10.61.0");
        assert_eq!(net(&case, "--label eru.cni/ippool=front"), "10.61.0");
        // The label counts before the variable.
        let both = "-e IPPOOL=front --label eru.cni/ippool=back";
        assert_eq!(net(&case, both), "10.60.0");
        let seen = case.run("--rm -e IPV4=10.60.0.99 busybox ip -o -4 address show dev eth0");
        assert!(seen.contains("inet 10.60.0.99/24"), "{seen}");
        // Who does not want that says so in the settings.
        case.set(runtime, "env_keys: off\n");
        assert_eq!(net(&case, "-e IPPOOL=front -e IPV4=10.61.0.9"), "10.60.0");
        case.set(runtime, "label_keys: off\n");
        assert_eq!(net(&case, "--label eru.cni/network=front"), "10.60.0");
        // Another default than the first file.
        case.set(runtime, "network: front\n");
        assert_eq!(net(&case, ""), "10.61.0");
        assert_eq!(net(&case, "--label eru.cni/network=back"), "10.60.0");
        case.is_empty();
    }
}

#[test]
fn a_newer_engine_has_annotations_and_they_count_first() {
    let case = two(Docker::plan().newer(), RUNC);
    // The crun of Debian 12 does not know the version of this engine's bundles by itself.
    let line = "run --rm --runtime crun --net none busybox true";
    let bare = case.docker.cli(&case.node, line);
    assert!(bare.stderr.contains("unknown version"), "{bare:?}");
    let before = case.warm();
    let front = "--annotation eru.cni/network=front";
    assert_eq!(net(&case, front), "10.61.0");
    let all = format!("{front} --label eru.cni/network=back -e IPPOOL=back");
    let ran = case.run(&format!("--rm {front} busybox ip -o -4 address"));
    assert!(ran.contains("10.61.0."), "{ran}");
    case.refused(
        &format!("--rm {all} busybox true"),
        &["IPPOOL", "back", "front"],
    );
    let all = format!("{front} --label eru.cni/network=back");
    assert_eq!(net(&case, &all), "10.61.0");
    // All of a container's life on the newer engine, too.
    case.start("one", &format!("{front} --restart=always"));
    case.node.ping(&case.address("one"));
    case.docker("restart -t 0 one");
    case.node.ping(&case.address("one"));
    case.docker("rm -f one");
    case.node.run("ip link delete brfront");
    case.is_as(&before, "it is removed");
}

#[test]
fn several_networks_give_several_interfaces() {
    for runtime in [RUNC, CRUN] {
        let case = two(Docker::plan(), runtime);
        case.start("one", "--label eru.cni/network=front,back");
        case.start("two", "--label eru.cni/network=back");
        let first = case.addresses("one", "eth0");
        let second = case.addresses("one", "eth1");
        assert!(first[0].starts_with("10.61.0."), "{first:?}");
        assert!(second[0].starts_with("10.60.0."), "{second:?}");
        // Each leads where it says.
        case.docker(&format!(
            "exec one ping -c 1 -w 5 -I eth1 {}",
            case.address("two")
        ));
        case.docker("exec one ping -c 1 -w 5 -I eth0 10.61.0.1");
        let route = case.docker("exec one ip route show default");
        assert!(route.contains("via 10.61.0.1"), "the first's: {route}");
        let hosts = case.docker("exec one cat /etc/hosts");
        for net in [&first[0], &second[0]] {
            let address = net.split('/').next().unwrap_or_default();
            assert!(hosts.contains(&format!("{address}\t")), "{hosts}");
        }
        let listed = case.node.sh("fairlead ls -o json").json();
        let ifnames = listed.as_array().unwrap().iter().map(|one| &one["ifname"]);
        assert_eq!(ifnames.filter(|name| **name == json!("eth1")).count(), 1);
        // With another first name they are counted on from it.
        case.set(runtime, "cni_ifname: net3\n");
        let seen = case.run("--rm --label eru.cni/network=front,back busybox ls /sys/class/net");
        assert!(seen.contains("net3") && seen.contains("net4"), "{seen}");
        // The second cannot be: nothing of the first stays.
        let none = "--rm --label eru.cni/network=front,none busybox true";
        case.refused(none, &["none"]);
        case.refused(
            "--rm --label eru.cni/network=back,back busybox true",
            &["eru.cni/network", "back stands there twice"],
        );
        case.docker("rm -f one two");
        case.node.sh("fairlead gc").done();
        case.is_empty();
    }
}

const SERVE: &str = "sh -c 'mkdir /www; echo shop >/www/index.html; httpd -f -p 80 -h /www'";

#[test]
fn ports_are_published_by_a_label() {
    for runtime in [RUNC, CRUN] {
        let case = Case::new(runtime);
        let before = case.warm();
        let ports = r#"[{"hostPort":8080,"containerPort":80,"protocol":"tcp"}]"#;
        let web = format!("-d --stop-signal KILL --label 'eru.cni/ports={ports}'");
        case.run(&format!("{web} --name web busybox {SERVE}"));
        let fetch = || {
            let outside = case.node.outside();
            let output = outside.try_run(&format!("curl -sS -m 2 http://{UPLINK_V4}:8080/"));
            String::from_utf8_lossy(&output.stdout).into_owned()
        };
        eventually(patience(), || match fetch().as_str() {
            "shop\n" => Ok(()),
            other => Err(other.to_owned()),
        });
        // Another cannot have it, and leaves nothing.
        case.refused(
            &format!("--rm --label 'eru.cni/ports={ports}' busybox true"),
            &["8080"],
        );
        assert_eq!(case.attached(), 1);
        case.docker("restart -t 0 web");
        eventually(patience(), || match fetch().as_str() {
            "shop\n" => Ok(()),
            other => Err(other.to_owned()),
        });
        case.docker("rm -f web");
        assert_eq!(fetch(), "");
        case.is_as(&before, "it is removed");
        for bad in [
            "80",
            "{}",
            "[{\"hostPort\":8080}]",
            "[{\"hostPort\":99999,\"containerPort\":1}]",
        ] {
            case.refused(
                &format!("--rm --label 'eru.cni/ports={bad}' busybox true"),
                &["ort"],
            );
        }
        case.is_as(&before, "bad ports");
    }
}

/// `back` with a range of each family.
fn dual() -> Value {
    let mut list = bridge("back", "10.60.0", "brback");
    let plugin = &mut list["plugins"][0];
    plugin["ipam"]["ranges"] = json!([[{"subnet": "10.60.0.0/24"}], [{"subnet": "fd60::/64"}]]);
    plugin["ipam"]["routes"] = json!([{"dst": "0.0.0.0/0"}, {"dst": "::/0"}]);
    list
}

#[test]
fn a_container_has_an_address_of_each_family() {
    for runtime in [RUNC, CRUN] {
        let case = Case::with(Docker::plan(), runtime);
        case.network("10-back.conflist", &dual());
        let before = case.warm();
        let asked = "--label eru.cni/ipv4=10.60.0.77 --label eru.cni/ipv6=fd60::77 \
                     --label eru.cni/mac=02:00:00:00:00:77";
        case.start("one", &format!("--hostname box {asked}"));
        let seen = case.docker("exec one ip -o address show dev eth0");
        for has in ["10.60.0.77/24", "fd60::77/64"] {
            assert!(seen.contains(has), "{seen}");
        }
        let link = case.docker("exec one ip link show dev eth0");
        assert!(link.contains("02:00:00:00:00:77"), "{link}");
        let hosts = case.docker("exec one cat /etc/hosts");
        for has in ["10.60.0.77\tbox", "fd60::77\tbox"] {
            assert!(hosts.contains(has), "{hosts}");
        }
        case.node.ping("fd60::77");
        case.docker("exec one ping -6 -c 1 -w 5 fd60::1");
        case.start("two", "");
        case.docker("exec two ping -6 -c 1 -w 5 fd60::77");
        case.docker("exec two ping -6 -c 1 -w 5 2001:db8::2");
        case.docker("rm -f one two");
        case.is_as(&before, "both are removed");
    }
}

#[test]
fn what_a_container_cannot_have_is_named_with_its_key() {
    let case = Case::new(RUNC);
    let before = case.warm();
    let bad: [(&str, &[&str]); 9] = [
        (
            "--label eru.cni/network=a/b",
            &["label eru.cni/network", "a/b"],
        ),
        ("--label eru.cni/network=none", &["none"]),
        (
            "--label eru.cni/ipv4=fd60::7",
            &["label eru.cni/ipv4", "no IPv4 address"],
        ),
        ("-e IPV4=300.1.1.1", &["IPV4", "300.1.1.1"]),
        ("--label eru.cni/ipv4=10.99.0.7", &["10.99.0.7"]),
        (
            "--label eru.cni/ipv6=10.60.0.7",
            &["label eru.cni/ipv6", "no IPv6 address"],
        ),
        (
            "--label eru.cni/mac=01:00:00:00:00:01",
            &["label eru.cni/mac", "one station"],
        ),
        ("--label eru.cni/args=word", &["label eru.cni/args", "K=V"]),
        ("-e IPPOOL=none", &["none"]),
    ];
    for runtime in [RUNC, CRUN] {
        case.set(runtime, "");
        for (options, words) in bad {
            let ran = case.refused(&format!("--rm {options} busybox true"), words);
            assert_eq!(ran.status, Some(125), "{ran:?}");
        }
    }
    case.is_as(&before, "nine that were refused");
}

#[test]
fn a_declared_network_can_be_named() {
    let case = Case::with(Docker::plan(), RUNC);
    case.node
        .sh("fairlead cluster set --kw cluster.name=clu")
        .done();
    case.node.networks(&["shop=10.63.0.0/24"]);
    case.node.run(&format!("rm {NET_D}/README"));
    assert_eq!(net(&case, "--label eru.cni/network=shop"), "10.63.0");
    assert_eq!(net(&case, "-e IPPOOL=shop"), "10.63.0");
    case.refused("--rm busybox true", &["no network", NET_D]);
    case.set(RUNC, "network: shop\n");
    assert_eq!(net(&case, ""), "10.63.0");
    case.is_empty();
}
