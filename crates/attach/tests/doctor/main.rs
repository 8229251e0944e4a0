//! Each thing that `doctor` knows is provoked on a real kernel, found, mended by the
//! very command that `doctor` names, and found no more.

mod forward;
mod trial;

use fairlead_attach::{Finding, Severity};
use fairlead_firewall::Element;
use fairlead_store::{NetnsRef, NewAddress, NewAttachment};
use fairlead_types::Owner;
use trial::{WEB, inside, owner, ready, run};

#[test]
fn a_healthy_node_has_no_problem_and_a_look_changes_nothing() {
    ready(|trial| {
        let container = trial.container("c1");
        trial.attach(&container, &["8080:80/tcp", "5300:53/udp"]);
        let links = run("ip -o link");
        let rules = run("nft list ruleset");
        let found = trial.look();
        let problems: Vec<_> = found
            .iter()
            .filter(|f| f.severity == Severity::Problem)
            .collect();
        assert!(problems.is_empty(), "{problems:#?}");
        assert!(
            found.iter().filter(|f| f.severity == Severity::Ok).count() >= 12,
            "{found:#?}"
        );
        assert!(
            found.is_sorted_by_key(|f| std::cmp::Reverse(f.severity)),
            "{found:#?}"
        );
        assert!(
            Finding::summary(&found).starts_with("no problem, "),
            "{found:#?}"
        );
        assert_eq!((links, rules), (run("ip -o link"), run("nft list ruleset")));
        let left = std::fs::read_dir(trial.root.run()).unwrap();
        let left: Vec<_> = left.map(|e| e.unwrap().file_name()).collect();
        assert!(
            left.iter()
                .all(|name| !name.to_string_lossy().starts_with("probe")),
            "{left:?}"
        );
    });
}

#[test]
fn what_a_killed_look_left_does_not_hold_up_the_next() {
    ready(|trial| {
        let probe = trial
            .root
            .run()
            .join(format!("probe-{}", std::process::id()));
        std::fs::create_dir_all(trial.root.run()).unwrap();
        std::fs::write(&probe, "").unwrap();
        trial.no_problem("kernel");
        assert!(!probe.exists());
    });
}

#[test]
fn a_network_that_is_not_set_up() {
    inside(WEB, |trial| {
        let finding = trial.problem("networks");
        assert!(finding.what.contains("create bridge obr_web"), "{finding}");
        assert_eq!(finding.cure.as_deref(), Some("fairlead net setup"));
        trial.mend(&finding);
        trial.all_well();
    });
}

#[test]
fn forwarding_that_is_off() {
    let both =
        "[network#default]\nnetwork = none\n[network#six]\nnetwork = 10.92.0.0/24 fd00:92::/64\n";
    inside(both, |trial| {
        trial.setup();
        for name in ["net.ipv4.ip_forward", "net.ipv6.conf.all.forwarding"] {
            run(&format!("sysctl -w {name}=0"));
            let finding = trial.problem(name);
            assert_eq!(finding.cure, Some(format!("sysctl -w {name}=1")));
            trial.mend(&finding);
            trial.no_problem(name);
        }
        trial.all_well();
    });
}

#[test]
fn frames_that_pass_the_hosts_rules_are_noted() {
    ready(|trial| {
        let name = "net.bridge.bridge-nf-call-iptables";
        run(&format!("sysctl -w {name}=1"));
        let finding = trial.finding(Severity::Note, name);
        trial.mend(&finding);
        trial.none(Severity::Note, name);
    });
}

#[test]
fn a_container_that_is_gone() {
    ready(|trial| {
        let container = trial.container("c1");
        trial.attach(&container, &["8080:80/tcp"]);
        trial.end(container);
        let finding = trial.problem("dead attachment");
        assert_eq!(finding.cure.as_deref(), Some("fairlead gc"));
        trial.mend(&finding);
        trial.all_well();
    });
}

#[test]
fn an_attachment_that_was_never_finished() {
    ready(|trial| {
        let owner = owner("web", "c1");
        let list = fairlead_networks::find(trial.node().config(), &owner.network).unwrap();
        let config = list.to_value().to_string();
        let new = NewAttachment::new(&owner, "c1", &config);
        trial.store(|store| store.write(|tx| tx.begin_attachment(&new)));
        let finding = trial.problem("unfinished attachment");
        trial.mend(&finding);
        trial.all_well();
    });
}

#[test]
fn an_element_that_is_nobodys() {
    ready(|trial| {
        let (address, subnet) = (
            "10.91.0.9".parse().unwrap(),
            "10.91.0.0/24".parse().unwrap(),
        );
        let element = Element::Masquerade { address, subnet };
        trial
            .node()
            .host()
            .firewall(|firewall| firewall.add(&[element]))
            .unwrap();
        let finding = trial.problem("nftables element");
        assert!(finding.what.contains("10.91.0.9"), "{finding}");
        trial.mend(&finding);
        trial.all_well();
    });
}

#[test]
fn rules_that_somebody_flushed() {
    ready(|trial| {
        let container = trial.container("c1");
        trial.attach(&container, &["8080:80/tcp"]);
        run("nft flush ruleset");
        let finding = trial.problem("rules of container c1");
        for part in ["masquerade 10.91.0.2", "publish 8080/tcp", "hairpin"] {
            assert!(finding.what.contains(part), "{finding}");
        }
        // What the networks share is mended by setup, and so is what is the container's.
        trial.mend(&finding);
        trial.all_well();
    });
}

#[test]
fn chains_of_ours_that_somebody_emptied() {
    ready(|trial| {
        let container = trial.container("c1");
        trial.attach(&container, &["8080:80/tcp"]);
        for (chain, part) in [
            ("prerouting", "chain prerouting"),
            ("masquerading", "masq-10.91.0.0-24"),
        ] {
            run(&format!("nft flush chain inet fairlead {chain}"));
            let finding = trial.problem("table inet fairlead");
            assert!(finding.what.contains(part), "{finding}");
            trial.mend(&finding);
            trial.all_well();
        }
    });
}

#[test]
fn a_cable_without_a_record() {
    ready(|trial| {
        run("ip link add veth0123456789a master obr_web type veth peer name other");
        run("ip link add vethforeign master obr_web type veth peer name another");
        let finding = trial.problem("link veth0123456789a");
        trial.mend(&finding);
        trial.all_well();
        assert!(run("ip -o link").contains("vethforeign"));
    });
}

#[test]
fn a_record_without_its_cable() {
    ready(|trial| {
        let container = trial.container("c1");
        trial.attach(&container, &[]);
        let name = fairlead_plugins::host_name(&owner("web", "c1")).unwrap();
        run(&format!("ip link delete {name}"));
        let finding = trial.problem("container c1");
        assert!(finding.what.contains(name.as_str()), "{finding}");
        trial.mend(&finding);
        trial.all_well();
    });
}

#[test]
fn a_bridge_of_a_network_that_is_no_more() {
    ready(|trial| {
        trial.configure("[network#default]\nnetwork = none\n");
        let finding = trial.problem("link obr_web");
        assert_eq!(finding.cure.as_deref(), Some("fairlead net setup"));
        trial.mend(&finding);
        trial.all_well();
        assert!(!run("ip -o link").contains("obr_web"));
    });
}

#[test]
fn a_cable_on_a_bridge_of_a_network_that_is_no_more() {
    ready(|trial| {
        run("ip link add veth0123456789a master obr_web type veth peer name other");
        trial.configure("[network#default]\nnetwork = none\n");
        assert!(trial.problem("network web").what.contains("still on it"));
        trial.mend(&trial.problem("link veth0123456789a"));
        trial.mend(&trial.problem("link obr_web"));
        trial.all_well();
    });
}

#[test]
fn an_address_that_is_not_the_gateways_is_noted() {
    ready(|trial| {
        run("ip address add 10.99.0.1/24 dev obr_web");
        let finding = trial.finding(Severity::Note, "address 10.99.0.1/24");
        trial.mend(&finding);
        trial.none(Severity::Note, "address");
        assert_eq!(run("ip -o -4 address show dev obr_web").lines().count(), 1);
    });
}

#[test]
fn a_bridges_name_that_another_link_has() {
    inside(WEB, |trial| {
        run("ip link add obr_web type veth peer name other");
        let finding = trial.problem("network web");
        assert!(finding.what.contains("no bridge"), "{finding}");
        let cure = finding.cure.clone().unwrap().replace("NAME", "br_web");
        trial.mend(&Finding {
            cure: Some(cure),
            ..finding
        });
        trial.setup();
        trial.all_well();
    });
}

#[test]
fn files_that_cannot_be_loaded() {
    ready(|trial| {
        let dir = trial.node().config().cni_config().unwrap();
        std::fs::write(dir.join("bad.conf"), "{\"name\": ").unwrap();
        let finding = trial.problem("file ");
        assert!(finding.subject.contains("bad.conf"), "{finding}");
        trial.mend(&finding);
        trial.all_well();
    });
}

#[test]
fn a_plugin_that_is_not_there() {
    ready(|trial| {
        let dir = trial.node().config().cni_config().unwrap();
        let text = r#"{"cniVersion": "1.0.0", "name": "odd", "type": "no-such-plugin", "ipam": {"type": "host-local"}}"#;
        std::fs::write(dir.join("odd.conf"), text).unwrap();
        let finding = trial.problem("network odd");
        assert!(finding.what.contains("no-such-plugin"), "{finding}");
        let plugins = trial.node().config().cni_plugins().unwrap();
        assert!(finding.cure.unwrap().contains(plugins.to_str().unwrap()));
        std::fs::create_dir_all(&plugins).unwrap();
        std::fs::write(plugins.join("no-such-plugin"), "").unwrap();
        trial.no_problem("network odd");
    });
}

#[test]
fn declarations_that_cannot_be() {
    inside(
        "[network#default]\nnetwork = none\n[network#web]\nnetwork = 10.91.0.7/24\n",
        |trial| {
            let finding = trial.problem("declaration");
            let cure = "fairlead cluster set --kw network#web.network=10.91.0.0/24";
            assert_eq!(finding.cure.as_deref(), Some(cure));
            trial.mend(&finding);
            trial.no_problem("declaration");
        },
    );
    let overlap = "[network#default]\nnetwork = none\n[network#a]\nnetwork = 10.91.0.0/24\n[network#b]\nnetwork = 10.91.0.0/16\n";
    inside(overlap, |trial| {
        let finding = trial.problem("declaration");
        let cure = finding
            .cure
            .clone()
            .unwrap()
            .replace("FREE_CIDR", "10.93.0.0/24");
        trial.mend(&Finding {
            cure: Some(cure),
            ..finding
        });
        trial.no_problem("declaration");
    });
}

#[test]
fn a_pool_that_is_nearly_full() {
    inside(
        "[network#default]\nnetwork = none\n[network#web]\nnetwork = 10.91.0.0/28\n",
        |trial| {
            trial.setup();
            let container = trial.container("gone");
            let netns = NetnsRef::of(container.path()).unwrap();
            trial.end(container);
            let take = |last: u8| {
                let owner: Owner = owner("web", &format!("c{last}"));
                let address = NewAddress {
                    pool: "web",
                    addr: format!("10.91.0.{last}").parse().unwrap(),
                    owner: &owner,
                    netns: Some(&netns),
                    boot_lived: true,
                };
                trial.store(|store| store.write(|tx| tx.take_address(&address)));
            };
            // 13 addresses are left besides network, gateway and broadcast.
            (2..13).for_each(take);
            trial.none(Severity::Note, "pool");
            take(13);
            let finding = trial.finding(Severity::Note, "pool of network web");
            assert!(finding.what.starts_with("12 of 13"), "{finding}");
            take(14);
            let finding = trial.problem("pool of network web");
            assert!(finding.what.starts_with("13 of 13"), "{finding}");
            let cure = finding.cure.clone().unwrap();
            let (first, _) = cure.split_once(", and").unwrap();
            trial.mend(&Finding {
                cure: Some(first.into()),
                ..finding
            });
            trial.none(Severity::Note, "pool");
            trial.all_well();
        },
    );
}

#[test]
fn a_state_file_that_is_damaged_is_one_finding() {
    ready(|trial| {
        let path = trial.root.state().join("node.db");
        std::fs::create_dir_all(trial.root.state()).unwrap();
        std::fs::write(
            &path,
            "no database at all, and long enough to be read as one".repeat(100),
        )
        .unwrap();
        let found = trial.look();
        let problems: Vec<_> = found
            .iter()
            .filter(|f| f.severity == Severity::Problem)
            .collect();
        assert_eq!(problems.len(), 1, "{problems:#?}");
        assert!(problems[0].what.contains("damaged"), "{problems:#?}");
        let finding = trial.problem("state");
        trial.mend(&finding);
        trial.all_well();
    });
}

#[test]
fn what_the_kernel_lacks_is_a_note_with_what_needs_it() {
    ready(|trial| {
        let lacks_vlans =
            !run("ip link add b0 type bridge vlan_filtering 1 2>&1 || true").is_empty();
        run("ip link delete b0 2>/dev/null || true");
        let found = trial.look();
        let noted = found
            .iter()
            .any(|f| f.subject == "kernel feature bridge VLAN filtering");
        assert_eq!(noted, lacks_vlans, "{found:#?}");
        let features = found
            .iter()
            .filter(|f| f.subject.starts_with("kernel feature"));
        assert!(features.into_iter().all(|f| f.cure.is_some()), "{found:#?}");
    });
}
