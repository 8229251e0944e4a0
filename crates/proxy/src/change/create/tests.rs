use super::*;

fn networks() -> BTreeSet<String> {
    ["back", "front"].map(str::to_owned).into()
}

fn rewritten(body: &str, version: ApiVersion) -> Value {
    let new = rewrite(body.as_bytes(), version, &networks(), "barrel-cni");
    serde_json::from_slice(&new.unwrap().unwrap()).unwrap()
}

fn refused(body: &Value) -> String {
    let body = body.to_string();
    let refusal = rewrite(body.as_bytes(), (1, 43), &networks(), "barrel-cni");
    refusal.unwrap_err().to_string()
}

#[test]
fn a_container_on_a_cni_network_has_none_of_dockers_and_a_word_for_the_runtime() {
    let body = r#"{"Image":"x","HostConfig":{"NetworkMode":"back"},"NetworkingConfig":{"EndpointsConfig":{"back":{}}}}"#;
    let new = rewritten(body, (1, 43));
    assert_eq!(
        new,
        json!({
            "Image": "x",
            "HostConfig": {
                "NetworkMode": "none", "Runtime": "barrel-cni",
                "Annotations": {"eru.cni/network": "back", "eru.cni/mode": "back"},
            },
            "NetworkingConfig": {"EndpointsConfig": {}},
        })
    );
    // Before annotations there were labels.
    let new = rewritten(body, (1, 42));
    assert_eq!(
        new["Labels"],
        json!({"eru.cni/network": "back", "eru.cni/mode": "back"})
    );
    assert!(new["HostConfig"].get("Annotations").is_none());
}

#[test]
fn what_else_is_said_is_kept_as_it_was_written() {
    let body = r#"{"New":{"b":1.50,"a":18446744073709551616},"Labels":{"a":"b"},"HostConfig":{"Memory":9007199254740993,"NetworkMode":"back","Annotations":{"c":"d"},"X":[1e3]}}"#;
    let new = rewrite(body.as_bytes(), (1, 45), &networks(), "barrel-cni");
    let new = String::from_utf8(new.unwrap().unwrap()).unwrap();
    for kept in [
        r#"{"New":{"b":1.50,"a":18446744073709551616},"Labels":{"a":"b"},"HostConfig":{"Memory":9007199254740993,"#,
        r#""X":[1e3]"#,
        r#""c":"d""#,
    ] {
        assert!(new.contains(kept), "{kept} is missing: {new}");
    }
}

#[test]
fn addresses_ports_and_labels_become_keys() {
    let body = json!({
        "Image": "x", "MacAddress": "02:00:00:00:00:01", "Labels": {"fixed-ip": ""},
        "HostConfig": {"NetworkMode": "back", "Runtime": "barrel-cni", "PortBindings": {
            "80/tcp": [{"HostIp": "", "HostPort": "8080"}, {"HostIp": "127.0.0.1", "HostPort": "81"}],
            "53/udp": [{"HostPort": "53"}], "9/tcp": null,
        }},
        "NetworkingConfig": {"EndpointsConfig": {"back": {
            "IPAMConfig": {"IPv4Address": "10.0.0.7", "IPv6Address": "fd00::0007"}, "Aliases": ["web"],
        }}},
    });
    let new = rewritten(&body.to_string(), (1, 44));
    let keys = &new["HostConfig"]["Annotations"];
    assert_eq!(keys["eru.cni/ipv4"], "10.0.0.7");
    assert_eq!(keys["eru.cni/ipv6"], "fd00::7");
    assert_eq!(keys["eru.cni/mac"], "02:00:00:00:00:01");
    assert_eq!(keys["eru.cni/fixed-ip"], "1");
    let ports: Value = serde_json::from_str(keys["eru.cni/ports"].as_str().unwrap()).unwrap();
    assert_eq!(
        ports,
        json!([
            {"hostPort": 8080, "containerPort": 80, "protocol": "tcp"},
            {"hostPort": 81, "containerPort": 80, "protocol": "tcp", "hostIP": "127.0.0.1"},
            {"hostPort": 53, "containerPort": 53, "protocol": "udp"},
        ])
    );
    // Docker would refuse it without a network.
    assert_eq!(new["MacAddress"], "");
    assert_eq!(
        new["HostConfig"]["PortBindings"],
        body["HostConfig"]["PortBindings"]
    );
}

#[test]
fn the_first_network_is_the_mode_or_the_first_endpoint() {
    let with = |mode: Value, endpoints: &[&str]| {
        let endpoints: Map<String, Value> = endpoints
            .iter()
            .map(|name| ((*name).to_owned(), json!({})))
            .collect();
        let body = json!({
            "HostConfig": {"NetworkMode": mode},
            "NetworkingConfig": {"EndpointsConfig": endpoints},
        });
        let keys = rewritten(&body.to_string(), (1, 44))["HostConfig"]["Annotations"].clone();
        (
            keys["eru.cni/network"].as_str().unwrap().to_owned(),
            keys["eru.cni/mode"].clone(),
        )
    };
    assert_eq!(
        with(json!("front"), &["back", "front"]),
        ("front,back".to_owned(), json!("front"))
    );
    assert_eq!(
        with(json!("front"), &[]),
        ("front".to_owned(), json!("front"))
    );
    assert_eq!(
        with(json!("default"), &["front", "back"]),
        ("front,back".to_owned(), json!("default"))
    );
    assert_eq!(with(json!(null), &["back"]), ("back".to_owned(), json!("")));
}

#[test]
fn what_is_not_on_a_cni_network_is_left_alone() {
    for body in [
        r#"{"Image":"x"}"#,
        r#"{"HostConfig":null}"#,
        r#"{"HostConfig":{"NetworkMode":"other"},"NetworkingConfig":{"EndpointsConfig":{"back":{}}}}"#,
        r#"{"HostConfig":{"NetworkMode":"none"}}"#,
        r#"{"HostConfig":{"NetworkMode":"container:back"}}"#,
        r#"{"HostConfig":{"NetworkMode":"BACK"}}"#,
        r#"{"HostConfig":{"NetworkMode":7}}"#,
        r#"{"HostConfig":{"NetworkMode":"back"}"#,
        r#"[]"#,
        r#""#,
    ] {
        assert!(!concerns(body.as_bytes(), &networks()), "{body}");
        let new = rewrite(body.as_bytes(), (1, 43), &networks(), "barrel-cni");
        assert_eq!(new, Ok(None), "{body}");
    }
}

#[test]
fn what_cannot_be_had_is_refused_with_its_name() {
    let host = |key: &str, value: Value| {
        let mut body = json!({"HostConfig": {"NetworkMode": "back"}});
        body["HostConfig"][key] = value;
        refused(&body)
    };
    let endpoint = |of: Value| {
        refused(&json!({
            "HostConfig": {"NetworkMode": "back"},
            "NetworkingConfig": {"EndpointsConfig": {"back": of}},
        }))
    };
    let binding = |port: &str| host("PortBindings", json!({"80/tcp": [{"HostPort": port}]}));
    let cases = [
        (host("Links", json!(["other"])), "--link"),
        (host("PublishAllPorts", json!(true)), "-P"),
        (
            host("Runtime", json!("runc")),
            "needs the runtime barrel-cni: runc",
        ),
        (binding(""), "container port 80"),
        (binding("0"), "container port 80"),
        (binding("8000-8010"), "container port 80"),
        (binding("70000"), "HostPort=\"70000\""),
        (endpoint(json!({"Links": ["a:b"]})), "links"),
        (
            endpoint(json!({"DriverOpts": {"a": "b"}})),
            "options of a driver",
        ),
        (
            endpoint(json!({"IPAMConfig": {"IPv4Address": "fd00::1"}})),
            "IPv4Address=\"fd00::1\"",
        ),
        (endpoint(json!({"MacAddress": "02"})), "MacAddress=\"02\""),
    ];
    for (told, word) in cases {
        assert!(told.contains(word), "{word} is missing: {told}");
        assert_eq!(told.lines().count(), 1, "{told}");
    }
    let second = json!({"HostConfig": {"NetworkMode": "back"}, "NetworkingConfig": {"EndpointsConfig": {
        "back": {}, "front": {"IPAMConfig": {"IPv4Address": "10.0.0.1"}},
    }}});
    assert!(refused(&second).contains("second network"));
    let mixed = json!({"HostConfig": {"NetworkMode": "back"},
        "NetworkingConfig": {"EndpointsConfig": {"back": {}, "other": {}}}});
    assert!(refused(&mixed).contains("other is not"));
}

#[test]
fn null_is_nothing_that_is_asked_for() {
    let body = json!({
        "Labels": null,
        "HostConfig": {"NetworkMode": "back", "Links": null, "PortBindings": {}, "Runtime": "",
            "PublishAllPorts": false, "Annotations": null},
        "NetworkingConfig": {"EndpointsConfig": {"back": null}},
    });
    let new = rewritten(&body.to_string(), (1, 44));
    assert_eq!(new["HostConfig"]["Annotations"]["eru.cni/network"], "back");
}
