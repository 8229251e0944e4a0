use super::*;

fn config(cluster: &str, local: &str) -> Config {
    config_at(&Root::default(), cluster, local)
}

fn config_at(root: &Root, cluster: &str, local: &str) -> Config {
    let read = |text| Document::parse(text).unwrap();
    Config::from_documents(root, "n1", read(cluster), read(local))
}

fn eval(config: &Config, path: &str) -> String {
    eval_as(config, path, "n1")
}

fn eval_as(config: &Config, path: &str, node: &str) -> String {
    match config.eval_for(&path.parse().unwrap(), node) {
        Ok(Some(value)) => value.to_string(),
        Ok(None) => "None".to_owned(),
        Err(e) => e.to_string(),
    }
}

const NODES: &str = "[cluster]\nnodes = n1 n2\ndrpnodes = d1\n";

#[test]
fn the_node_overlays_the_cluster_key_by_key() {
    let c = config(
        "[cluster]\nname = c1\nnodes = n1 n2\n[network#a]\nnetwork = 10.1.0.0/16\n",
        "[cluster]\nname = mine\n[network#a]\npublic = true\n[network#b]\n",
    );
    assert_eq!(eval(&c, "cluster.name"), "mine");
    assert_eq!(eval(&c, "network#a.network"), "10.1.0.0/16");
    assert_eq!(eval(&c, "network#a.public"), "true");
    assert_eq!(c.sections(), ["cluster", "network#a", "network#b"]);
    let get = |target, path: &str| c.get(target, &path.parse().unwrap()).map(str::to_owned);
    assert_eq!(get(Target::Cluster, "cluster.name").as_deref(), Some("c1"));
    assert_eq!(get(Target::Node, "cluster.name").as_deref(), Some("mine"));
    assert_eq!(get(Target::Node, "cluster.nodes").as_deref(), Some("n1 n2"));
    assert_eq!(get(Target::Node, "cluster.nodes[1]").as_deref(), Some("n2"));
    assert_eq!(get(Target::Node, "cluster.nodes[2]"), None);
    assert_eq!(get(Target::Cluster, "cni.plugins"), None, "no default");
}

#[test]
fn the_nearest_scope_counts() {
    let text = format!(
        "{NODES}[network#a]\ntype = routed_bridge\n\
         addr = 1.0.0.1\naddr@nodes = 1.0.0.2\naddr@drpnodes = 1.0.0.3\naddr@n2 = 1.0.0.4\n"
    );
    let c = config(&text, "");
    for (node, wanted) in [
        ("n1", "1.0.0.2"),
        ("n2", "1.0.0.4"),
        ("d1", "1.0.0.3"),
        ("other", "1.0.0.1"),
    ] {
        assert_eq!(eval_as(&c, "network#a.addr", node), wanted, "{node}");
    }
    assert_eq!(eval(&c, "network#a.addr@n2"), "1.0.0.4");
    assert_eq!(eval(&c, "network#a.addr@n3"), "None");
    // Without the keyword's leave a scope has no effect.
    let c = config("[cluster]\nname = a\nname@n1 = b\n", "");
    assert_eq!(eval(&c, "cluster.name"), "a");
}

#[test]
fn defaults_are_those_of_the_specification() {
    let root = Root::new("/r");
    let c = config_at(&root, "[network#w]\ntype = weave\n[network#b]\ndev =\n", "");
    for (path, wanted) in [
        ("cni.plugins", "/r/opt/cni/bin"),
        ("cni.config", "/r/opt/cni/net.d"),
        ("cni.timeout", "60s"),
        ("cluster.name", "default"),
        ("cluster.dns", "None"),
        ("listener.dns_sock_uid", "953"),
        ("network#default.network", "10.22.0.0/16"),
        ("network#b.network", "None"),
        ("network#b.type", "bridge"),
        ("network#b.dev", "None"),
        ("network#w.network", "10.32.0.0/12"),
        ("network#lo.type", "lo"),
        ("network#lo.network", "127.0.0.1/32"),
    ] {
        assert_eq!(eval(&c, path), wanted, "{path}");
    }
    assert_eq!(c.cni_plugins().unwrap(), PathBuf::from("/r/opt/cni/bin"));
    let set = config_at(&root, "[cni]\nplugins = /usr/libexec/cni\n", "");
    assert_eq!(
        set.cni_plugins().unwrap(),
        PathBuf::from("/usr/libexec/cni")
    );
    assert_eq!(set.cni_config().unwrap(), PathBuf::from("/r/opt/cni/net.d"));
    assert_eq!(set.cni_timeout().unwrap(), Duration::from_secs(60));
}

#[test]
fn references_are_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let root = Root::new(dir.path());
    std::fs::create_dir(dir.path().join("etc")).unwrap();
    std::fs::write(
        dir.path().join("etc/hosts"),
        "10.0.0.1 x n1 # n2\n10.0.0.2\tn2\n10.0.0.9 d1\n",
    )
    .unwrap();
    let cluster = "\
[DEFAULT]
id = 01234567-89ab-4cde-8f01-23456789abcd
[cluster]
name = C1
nodes = n1 n2
dns = 10.0.0.1 10.0.0.2
[x]
addr@n2 = two
addr = one
";
    for (text, wanted) in [
        ("{clustername}", "c1"),
        ("{cluster.name}", "C1"),
        ("{clusternodes}", "n1 n2"),
        ("{clusterdrpnodes}-", "-"),
        ("{nodename}", "n1"),
        ("{fqdn}", "n1.node.c1"),
        ("{dns}", "10.0.0.1 10.0.0.2"),
        ("{dns[1]}", "10.0.0.2"),
        ("{#dns}{#cluster.nodes}", "22"),
        ("{dnsnodes}", "n1 n2"),
        ("{id}", "01234567-89ab-4cde-8f01-23456789abcd"),
        ("{name} {namespace}", "cluster root"),
        ("<{x.addr}{x.addr@n2}>", "<onetwo>"),
        ("{x.addr", "{x.addr"),
        ("{} { } {\"a\": 1} {{x.addr}}", "{} { } {\"a\": 1} {one}"),
        ("{listener.dns_sock_uid}", "953"),
    ] {
        let c = config_at(&root, &format!("{cluster}t = {text}\n"), "");
        assert_eq!(eval(&c, "x.t"), wanted, "{text}");
    }
    let c = config_at(
        &root,
        &format!("{cluster}t = {{dnsuxsock}} {{dnsuxsockd}}\n"),
        "",
    );
    let dns = root.dns();
    let wanted = format!("{}/pdns.sock {}", dns.display(), dns.display());
    assert_eq!(eval(&c, "x.t"), wanted);
    let c = config_at(
        &root,
        &format!("{cluster}t = {{x.addr}} {{nodename}}\n"),
        "",
    );
    assert_eq!(eval_as(&c, "x.t", "n2"), "two n2", "as the other node");
}

#[test]
fn what_cannot_be_evaluated_is_named() {
    for (text, wanted) in [
        (
            "a = {x.b}\nb = {x.c}\nc = {x.a}",
            "x.a -> x.b -> x.c -> x.a",
        ),
        ("a = {x.a}", "x.a -> x.a"),
        ("a = {x.nope}", "the reference {x.nope} has no value"),
        (
            "a = {dns[3]}",
            "the index 3 is out of range: the list has 0 elements",
        ),
        ("a = {x.b@}", "the reference {x.b@} has no value"),
    ] {
        let c = config(&format!("[x]\n{text}\n"), "");
        let message = eval(&c, "x.a");
        assert!(message.starts_with("evaluate x.a = \"{"), "{message}");
        assert!(message.contains(wanted), "{message}");
    }
    let c = config("[cluster]\ndns = 10.0.0.1 here\n", "");
    assert_eq!(
        eval(&c, "cluster.dns"),
        "evaluate cluster.dns = \"10.0.0.1 here\": \"here\" is no IP address"
    );
    assert!(c.dns().is_err());
    let c = config("[cluster]\ndns = 10.0.0.1\n", "");
    assert!(eval(&c, "cluster.dns[1]").contains("out of range"));
    assert_eq!(eval(&c, "cluster.dns[0]"), "10.0.0.1");
}

#[test]
fn references_cannot_blow_up() {
    let mut text = String::from("[x]\na0 = lol\n");
    let mut empty = String::from("[x]\na0 = {#cluster.dns}\n");
    for i in 1..40 {
        let line = format!("a{i} = {{x.a{0}}}{{x.a{0}}}\n", i - 1);
        text.push_str(&line);
        empty.push_str(&line);
    }
    for text in [text, empty] {
        assert!(eval(&config(&text, ""), "x.a39").contains("expand to too much"));
        assert!(!eval(&config(&text, ""), "x.a5").contains("expand to too much"));
    }
}

#[test]
fn a_type_that_refers_to_itself_ends() {
    let c = config(
        "[network#a]\ntype = {network#a.tunnel}\n[cluster]\nnodes = {cluster.dns}\ndns = {clusternodes}\n",
        "",
    );
    assert!(eval(&c, "network#a.type").contains("one of bridge"));
    assert!(eval(&c, "network#a.tunnel").contains("auto"));
    assert!(eval(&c, "cluster.nodes").contains("host name"));
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let root = Root::new(dir.path());
    let path = Target::Cluster.path(&root);
    assert!(Config::load(&root, "n1").unwrap().sections().is_empty());
    std::fs::create_dir_all(root.etc()).unwrap();
    for (bytes, reason) in [
        (&b"[a]\nb\n"[..], "line 2, \"b\""),
        (&b"[a]\nb = \xff\n"[..], "line 2 is not UTF-8"),
    ] {
        std::fs::write(&path, bytes).unwrap();
        let message = Config::load(&root, "n1").unwrap_err().to_string();
        assert!(message.contains(reason), "{message}");
        assert!(message.contains(path.to_str().unwrap()), "{message}");
    }
    std::fs::remove_file(&path).unwrap();
    std::fs::create_dir(&path).unwrap();
    assert!(matches!(
        Config::load(&root, "n1"),
        Err(ConfigError::Read { .. })
    ));
}

#[test]
fn a_value_has_a_natural_json_form() {
    let c = config(
        "[cluster]\ndns = 10.0.0.1\n[network#a]\nnetwork = 10.1.0.0/16\n",
        "",
    );
    for (path, wanted) in [
        ("cluster.dns", "[\"10.0.0.1\"]"),
        ("network#a.network", "[\"10.1.0.0/16\"]"),
        ("network#a.public", "false"),
        ("cni.timeout", "60.0"),
        ("cluster.name", "\"default\""),
    ] {
        let value = c.eval(&path.parse().unwrap()).unwrap();
        assert_eq!(serde_json::to_string(&value).unwrap(), wanted, "{path}");
    }
}

#[test]
fn the_node_has_a_name() {
    let name = nodename();
    assert!(!name.is_empty());
    assert_eq!(name, name.to_lowercase());
}
