//! Containers are taken off again, whatever has become of them and of the files.

use fairlead_tests::{Place, eventually, patience};

use super::{Process, used, web};

#[test]
fn every_way_of_naming_it_detaches_and_twice_is_no_error() {
    let node = used();
    node.networks(&["db=10.40.0.0/24"]);
    let shop = node.sandbox("shop");
    let attach = "fairlead attach web --netns /run/netns/shop -p 8080:80 --object demo/svc/shop";
    node.sh(attach).done();
    node.sh("fairlead attach db --netns /run/netns/shop --ifname eth1")
        .done();
    node.sh("fairlead detach --id shop").done();
    let before = node.world();
    for target in [
        "--netns /run/netns/shop",
        "--id shop",
        "--object demo/svc/shop",
        "--netns /proc/self/root/run/netns/shop",
    ] {
        for network in ["", "web "] {
            node.sh(attach).done();
            let line = format!("fairlead detach {network}{target}");
            assert_eq!(
                node.sh(&line).done(),
                "detached container shop interface eth0 on network web\n",
                "{line}"
            );
            node.is_as_before(&before, &line);
            assert_eq!(node.sh(&line).done(), "nothing was attached\n", "{line}");
        }
    }
    // Another network, another interface, another object: not this one.
    node.sh(attach).done();
    for other in [
        "db --id shop",
        "--id shop --ifname eth1",
        "--object demo/svc/sho",
        "--id sho",
    ] {
        let line = format!("fairlead detach {other}");
        assert_eq!(node.sh(&line).done(), "nothing was attached\n", "{line}");
    }
    node.sh("fairlead attach db --netns /run/netns/shop --ifname eth1 --object demo/svc/shop")
        .done();
    let said = node.sh("fairlead detach --object demo/svc/shop").done();
    assert_eq!(said.lines().count(), 2, "{said}");
    assert_eq!(shop.link_names(), ["lo"]);
    node.is_as_before(&before, "both were detached");
}

#[test]
fn it_is_detached_though_the_container_is_gone() {
    let node = used();
    let before = node.world();
    let attach = "ip netns add shop && fairlead attach web --netns /run/netns/shop -p 8080:80 --object demo/svc/shop";
    for line in [
        "fairlead detach web --netns /run/netns/shop",
        "fairlead detach --id shop",
        "fairlead detach --object demo/svc/shop",
        "fairlead gc",
    ] {
        node.sh(attach).done();
        node.run("ip netns delete shop");
        let said = node.sh(line).done();
        assert!(
            said.contains("container shop interface eth0 on network web"),
            "{said}"
        );
        node.is_as_before(&before, line);
    }
    // A new container of the same name need not wait for gc.
    node.sh(attach).done();
    node.run("ip netns delete shop");
    node.sh(attach).done();
    assert_eq!(
        node.sh("fairlead ls -o json")
            .json()
            .as_array()
            .map(Vec::len),
        Some(1)
    );
    node.sh("fairlead detach --id shop").done();
    node.run("ip netns delete shop");
    node.is_as_before(&before, "the container was replaced");
}

#[test]
fn it_is_detached_though_the_configuration_is_gone() {
    let node = web();
    node.sh("fairlead cluster set --kw network#other.network=10.50.0.0/24")
        .silent();
    let shop = node.sandbox("shop");
    let conf = "/run/fairlead-root/etc/fairlead/cluster.conf";
    let text = node.read(conf);
    for damage in ["unset", "torn", "empty", "away"] {
        node.write(conf, &text);
        node.sh("fairlead attach web --netns /run/netns/shop -p 8080:80")
            .done();
        match damage {
            "unset" => drop(
                node.sh("fairlead cluster unset --kw network#web.network")
                    .done(),
            ),
            "torn" => node.write(conf, "[network#web\nnetwork = "),
            "empty" => node.write(conf, ""),
            _ => drop(node.run(&format!("rm {conf}"))),
        }
        // What is attached can be seen, to be detached.
        assert_eq!(
            node.sh("fairlead ls -o json").json()[0]["container"],
            "shop",
            "{damage}"
        );
        let given = node.sh("fairlead ip ls -o json").json();
        assert_eq!(given[0]["container"], "shop", "{damage}");
        let said = node.sh("fairlead detach web --netns /run/netns/shop");
        assert_eq!(
            said.done(),
            "detached container shop interface eth0 on network web\n",
            "{damage}"
        );
        assert_eq!(shop.link_names(), ["lo"], "{damage}");
        assert!(!node.run("nft list ruleset").contains("8080"), "{damage}");
    }
}

#[test]
fn a_namespace_may_be_given_from_where_one_stands() {
    let node = web();
    let shop = node.sandbox("shop");
    node.sh("cd /run/netns && fairlead attach web --netns shop")
        .done();
    shop.ping("10.30.0.1");
    // Seen from elsewhere it is as alive.
    node.sh("cd / && fairlead gc").done();
    shop.ping("10.30.0.1");
    let listed = node.sh("fairlead ls -o json").json();
    assert_eq!(listed[0]["netns"], "/run/netns/shop");
    node.sh("fairlead detach web --netns /run/netns/shop")
        .done();
    assert_eq!(shop.link_names(), ["lo"]);
}

#[test]
fn gc_leaves_the_living_alone() {
    let node = used();
    let shop = node.sandbox("shop");
    let process = Process::in_(&shop);
    node.sh(&format!(
        "fairlead attach web --pid {} -p 8080:80",
        process.id()
    ))
    .done();
    node.sh("fairlead attach default --netns /run/netns/shop --ifname eth1")
        .done();
    let before = node.world();
    node.sh("fairlead gc").warns(&["nothing to remove"]);
    node.sh("fairlead gc --dry-run")
        .warns(&["nothing to remove"]);
    node.is_as_before(&before, "gc");
    node.run("ip netns add dead");
    node.sh("fairlead attach web --netns /run/netns/dead")
        .done();
    node.run("ip netns delete dead");
    // The kernel takes the cable away some moments later.
    eventually(patience(), || {
        let cables = node.run("ip -br link show type veth").lines().count();
        if cables == 3 { Ok(()) } else { Err(cables) }
    });
    let with_dead = node.world();
    let said = node.sh("fairlead gc --dry-run").done();
    assert!(
        said.starts_with("would remove ") && said.contains("dead"),
        "{said}"
    );
    node.is_as_before(&with_dead, "gc --dry-run");
    let said = node.sh("fairlead gc").done();
    assert!(
        said.starts_with("removed ") && said.contains("dead"),
        "{said}"
    );
    node.is_as_before(&before, "gc after a container died");
}
