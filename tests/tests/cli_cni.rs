//! `fairlead cni`: what a runtime does, by hand.

use fairlead_tests::{Node, Place, Server, Transport, UPLINK_V4};
use serde_json::{Value, json};

const NET_D: &str = "/run/fairlead-root/opt/cni/net.d";

/// A configuration list of both families.
fn list(name: &str, version: &str) -> Value {
    json!({"cniVersion": version, "name": name, "plugins": [
        {"type": "bridge", "bridge": "cni0", "isDefaultGateway": true, "ipMasq": true,
         "ipam": {"type": "host-local", "ranges": [[{"subnet": "10.63.0.0/24"}], [{"subnet": "fd00:63::/64"}]]}},
        {"type": "portmap", "capabilities": {"portMappings": true}},
    ]})
}

#[test]
fn a_file_or_a_name_is_added_checked_and_deleted() {
    let node = Node::new();
    let shop = node.sandbox("shop");
    let single = json!({"cniVersion": "0.4.0", "name": "plain", "type": "bridge", "bridge": "cni1", "isGateway": true,
        "ipam": {"type": "host-local", "subnet": "10.64.0.0/24"}});
    node.write("/run/plain.conf", &single.to_string());
    node.write("/run/double.conflist", &list("double", "1.1.0").to_string());
    node.write(
        &format!("{NET_D}/named.conflist"),
        &list("named", "1.0.0").to_string(),
    );
    for (config, version, address) in [
        ("/run/plain.conf", "0.4.0", "10.64.0.2/24"),
        ("/run/double.conflist", "1.1.0", "10.63.0.2/24"),
        ("named", "1.0.0", "10.63.0.2/24"),
    ] {
        for netns in ["/run/netns/shop", "shop"] {
            let result = node
                .sh(&format!("fairlead cni add {config} {netns}"))
                .json();
            assert_eq!(result["cniVersion"], version, "{config}");
            let first = &shop.addresses("eth0")[0];
            let octets: Vec<_> = first.split('.').take(3).collect();
            assert!(address.starts_with(&octets.join(".")), "{first}");
            assert_eq!(result["ips"][0]["address"], *first);
            node.sh(&format!("fairlead cni check {config} {netns}"))
                .silent();
            node.sh(&format!("fairlead cni add {config} {netns}"))
                .fails(&["attached already", "shop"]);
            shop.run("ip link set eth0 down");
            shop.run("ip address flush dev eth0 scope global");
            node.sh(&format!("fairlead cni check {config} {netns}"))
                .fails(&["CHECK", "eth0"]);
            node.sh(&format!("fairlead cni del {config} {netns}"))
                .silent();
            assert_eq!(shop.link_names(), ["lo"]);
            node.sh(&format!("fairlead cni del {config} {netns}"))
                .silent();
            node.sh(&format!("fairlead cni check {config} {netns}"))
                .fails(&["not attached"]);
        }
    }
    assert_eq!(node.sh("fairlead ip ls -o json").json(), json!([]));
}

#[test]
fn arguments_and_capabilities_reach_the_plugins() {
    let node = Node::new();
    let shop = node.sandbox("shop");
    node.write("/run/double.conflist", &list("double", "1.0.0").to_string());
    let line = r#"fairlead cni add /run/double.conflist shop --id c1 --ifname net0 --args 'IP=10.63.0.50' \
        --capabilities '{"portMappings":[{"hostPort":8080,"containerPort":80,"protocol":"tcp"}]}'"#;
    let result = node.sh(line).json();
    assert_eq!(result["ips"][0]["address"], "10.63.0.50/24");
    let _server = Server::start(&shop, Transport::Tcp, 80, "shop");
    assert_eq!(
        Transport::Tcp.ask(&node.outside(), UPLINK_V4, 8080).text,
        "shop"
    );
    let listed = node.sh("fairlead ls -o json").json();
    assert_eq!(
        (
            &listed[0]["container"],
            &listed[0]["ifname"],
            &listed[0]["ports"][0]["host_port"]
        ),
        (&json!("c1"), &json!("net0"), &json!(8080))
    );
    // As a runtime has them, in the environment.
    let line = "CNI_CONTAINERID=c1 CNI_IFNAME=net0 fairlead cni del /run/double.conflist shop";
    node.sh(line).silent();
    assert_eq!(shop.link_names(), ["lo"]);
    for (line, words) in [
        (
            "fairlead cni add /run/double.conflist shop --capabilities '[1]'",
            ["--capabilities", "JSON object"],
        ),
        (
            "fairlead cni add /run/away.conflist shop",
            ["/run/away.conflist", "No such file"],
        ),
        ("fairlead cni add away shop", ["away", "default, lo"]),
        (
            "fairlead cni add /run/double.conflist away",
            ["/run/netns/away", "double"],
        ),
    ] {
        node.sh(line).fails(&words);
    }
    node.sh("fairlead cni add /run/double.conflist")
        .is_no_command(&["NETNS"]);
    assert_eq!(node.sh("fairlead ls -o json").json(), json!([]));
}

#[test]
fn delete_works_though_the_file_is_gone() {
    let node = Node::new();
    let shop = node.sandbox("shop");
    let file = format!("{NET_D}/named.conflist");
    node.write(&file, &list("named", "1.0.0").to_string());
    node.sh("fairlead cni add named shop").done();
    node.run(&format!("rm {file}"));
    node.sh("fairlead cni del named shop").silent();
    assert_eq!(shop.link_names(), ["lo"]);
    assert_eq!(node.sh("fairlead ip ls -o json").json(), json!([]));
}

#[test]
fn garbage_is_what_no_living_container_has() {
    let node = Node::new();
    let names = ["one", "two", "three"];
    node.write("/run/double.conflist", &list("double", "1.1.0").to_string());
    let _alive = node.sandbox("one");
    for name in names {
        node.try_run(&format!("ip netns add {name}"));
        node.sh(&format!("fairlead cni add /run/double.conflist {name}"))
            .done();
    }
    let nothing = node.sh("fairlead cni gc /run/double.conflist").done();
    assert_eq!(nothing, "");
    node.run("ip netns delete two");
    node.run("ip netns delete three");
    let said = node.sh("fairlead cni gc /run/double.conflist").done();
    assert!(
        said.contains("container two") && said.contains("container three"),
        "{said}"
    );
    let listed = node.sh("fairlead ip ls -o json").json();
    let left: Vec<_> = listed
        .as_array()
        .expect("a list")
        .iter()
        .map(|a| &a["container"])
        .collect();
    assert_eq!(left, ["one", "one"]);
    node.sh("fairlead cni check /run/double.conflist one")
        .silent();
    node.sh("fairlead cni del /run/double.conflist one")
        .silent();
}

#[test]
fn status_asks_whether_an_add_can_be_served() {
    let node = Node::new();
    node.write("/run/double.conflist", &list("double", "1.1.0").to_string());
    node.sh("fairlead cni status /run/double.conflist").silent();
    let mut bad = list("bad", "1.1.0");
    bad["plugins"][0]["ipam"]["type"] = json!("no-such-ipam");
    node.write("/run/bad.conflist", &bad.to_string());
    node.sh("fairlead cni status /run/bad.conflist")
        .fails(&["no-such-ipam"]);
}

#[test]
fn validate_names_each_fault_with_its_place() {
    let node = Node::new();
    let good = node.sh("fairlead cni validate default").done();
    assert!(good.ends_with("nothing is wrong with it\n"), "{good}");
    let mut odd = list("odd", "1.0.0");
    odd["plugins"][1]["type"] = json!("no-such-plugin");
    odd["plugins"][0]["ipam"]["type"] = json!("no-such-ipam");
    node.write("/run/odd.conflist", &odd.to_string());
    let ran = node.sh("fairlead cni validate /run/odd.conflist");
    let said = format!("{}{}", ran.stdout, ran.stderr);
    assert_eq!(ran.status, Some(1), "{said}");
    for words in [
        "\"no-such-plugin\"",
        "\"no-such-ipam\"",
        "/opt/cni/bin",
        "/usr/lib/cni",
        "/usr/libexec/cni",
        "cni.plugins",
    ] {
        assert!(said.contains(words), "{words}: {said}");
    }
}

#[test]
fn validate_refuses_what_is_no_configuration() {
    let node = Node::new();
    for (name, text, words) in [
        (
            "torn.conflist",
            r#"{"cniVersion": "1.0.0", "name": "#,
            vec!["torn.conflist", "line 1"],
        ),
        ("empty.conf", "", vec!["empty.conf"]),
        ("array.conf", "[]", vec!["array.conf"]),
        (
            "noname.conf",
            r#"{"cniVersion": "1.0.0", "type": "bridge"}"#,
            vec!["noname.conf", "name"],
        ),
        (
            "badname.conf",
            r#"{"cniVersion": "1.0.0", "name": "a/b", "type": "bridge"}"#,
            vec!["badname.conf", "a/b"],
        ),
        (
            "version.conf",
            r#"{"cniVersion": "9.0.0", "name": "a", "type": "bridge"}"#,
            vec!["version.conf", "9.0.0"],
        ),
        (
            "notype.conflist",
            r#"{"cniVersion": "1.0.0", "name": "a", "plugins": [{}]}"#,
            vec!["notype.conflist", "plugins[0]", "type"],
        ),
        (
            "notlist.conflist",
            r#"{"cniVersion": "1.0.0", "name": "a", "plugins": 3}"#,
            vec!["notlist.conflist", "plugins"],
        ),
        (
            "path.conf",
            r#"{"cniVersion": "1.0.0", "name": "a", "type": "../bridge"}"#,
            vec!["../bridge"],
        ),
    ] {
        node.write(&format!("/run/{name}"), text);
        let ran = node.sh(&format!("fairlead cni validate /run/{name}"));
        let said = format!("{}{}", ran.stdout, ran.stderr);
        assert_eq!(ran.status, Some(1), "{name}: {said}");
        for words in words {
            assert!(said.contains(words), "{name}: '{words}' is not in {said}");
        }
    }
}

#[test]
fn a_list_of_an_old_version_works_and_cannot_be_checked() {
    let node = Node::new();
    let shop = node.sandbox("shop");
    let conf = json!({"cniVersion": "0.2.0", "name": "old", "type": "bridge", "bridge": "cni1",
        "ipam": {"type": "host-local", "subnet": "10.64.0.0/24"}});
    node.write("/run/old.json", &conf.to_string());
    let result = node.sh("fairlead cni add /run/old.json shop").json();
    assert_eq!(result["cniVersion"], "0.2.0");
    assert_eq!(result["ip4"]["ip"], "10.64.0.2/24");
    node.sh("fairlead cni check /run/old.json shop")
        .fails(&["0.2.0", "CHECK", "0.4.0"]);
    node.sh("fairlead cni del /run/old.json shop").silent();
    assert_eq!(shop.link_names(), ["lo"]);
}

#[test]
fn addresses_of_the_reference_are_taken_over() {
    let node = Node::new();
    let dir = "/var/lib/cni/networks/web";
    node.write(&format!("{dir}/10.30.0.2"), "old-container\r\neth0");
    node.write(&format!("{dir}/last_reserved_ip.0"), "10.30.0.2");
    node.networks(&["web=10.30.0.0/24"]);
    let said = node.sh(&format!("fairlead ip import {dir}")).done();
    assert_eq!(
        said,
        "10.30.0.2 of container old-container interface eth0 on network web\n"
    );
    let shop = node.sandbox("shop");
    node.sh("fairlead attach web --netns /run/netns/shop")
        .done();
    assert_eq!(shop.addresses("eth0"), ["10.30.0.3/24"]);
    node.sh("fairlead ip import /run/nothing/web")
        .fails(&["/run/nothing/web", "no directory"]);
}
