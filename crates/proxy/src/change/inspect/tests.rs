use super::*;
use fairlead_attach::PublishedPort;
use fairlead_types::Protocol;

/// What `shop` has on the network `back`.
fn attached(id: &str) -> BTreeMap<String, Vec<Attached>> {
    let one = Attached {
        network: "back".to_owned(),
        ifname: "eth0".to_owned(),
        addresses: vec![
            "10.60.0.7/24".parse().unwrap(),
            "fd60::7/64".parse().unwrap(),
        ],
        gateways: vec!["10.60.0.1".parse().unwrap(), "fd60::1".parse().unwrap()],
        mac: Some("02:00:00:00:00:07".parse().unwrap()),
        ports: vec![PublishedPort {
            host_ip: None,
            host_port: 8080,
            container_port: 80,
            protocol: Protocol::Tcp,
        }],
    };
    [(id.to_owned(), vec![one])].into()
}

fn inspected(running: bool, annotations: &Value) -> Value {
    json!({
        "Id": "abc", "State": {"Running": running}, "Config": {"Labels": {}},
        "HostConfig": {"NetworkMode": "none", "Annotations": annotations, "Memory": 7},
        "NetworkSettings": {
            "Ports": {"80/tcp": null, "81/tcp": null}, "IPAddress": "", "Gateway": "", "MacAddress": "",
            "Networks": {"none": {"NetworkID": "x"}},
        },
        "Large": 9_007_199_254_740_993_u64,
    })
}

fn filled(body: &Value, attached: &BTreeMap<String, Vec<Attached>>) -> Value {
    let new = fill(body.to_string().as_bytes(), attached).unwrap();
    serde_json::from_slice(&new).unwrap()
}

#[test]
fn a_running_container_is_shown_with_all_it_has() {
    let keys =
        json!({"eru.cni/network": "back", "eru.cni/mode": "back", "eru.cni/ipv4": "10.60.0.7"});
    let new = filled(&inspected(true, &keys), &attached("abc"));
    let back = &new["NetworkSettings"]["Networks"]["back"];
    assert_eq!(
        new["NetworkSettings"]["Networks"]
            .as_object()
            .unwrap()
            .len(),
        1
    );
    let wanted = json!({
        "IPAddress": "10.60.0.7", "IPPrefixLen": 24, "Gateway": "10.60.0.1",
        "GlobalIPv6Address": "fd60::7", "GlobalIPv6PrefixLen": 64, "IPv6Gateway": "fd60::1",
        "MacAddress": "02:00:00:00:00:07", "IPAMConfig": {"IPv4Address": "10.60.0.7"},
    });
    for (key, value) in wanted.as_object().unwrap() {
        assert_eq!(&back[key], value, "{key}");
    }
    assert_eq!(back["EndpointID"].as_str().unwrap().len(), 64);
    let settings = &new["NetworkSettings"];
    assert_eq!(settings["IPAddress"], "10.60.0.7");
    assert_eq!(settings["MacAddress"], "02:00:00:00:00:07");
    assert!(
        settings.get("GlobalIPv6Address").is_none(),
        "engines of today have none"
    );
    assert_eq!(
        settings["Ports"],
        json!({"80/tcp": [{"HostIp": "0.0.0.0", "HostPort": "8080"}], "81/tcp": null})
    );
    assert_eq!(new["HostConfig"]["NetworkMode"], "back");
    assert_eq!(new["Large"], 9_007_199_254_740_993_u64);
}

#[test]
fn a_stopped_one_is_shown_with_what_it_keeps() {
    let keys = json!({"eru.cni/network": "back", "eru.cni/mode": "back", "eru.cni/fixed-ip": "1"});
    let new = filled(&inspected(false, &keys), &attached("abc"));
    let back = &new["NetworkSettings"]["Networks"]["back"];
    assert_eq!(
        back["IPAMConfig"],
        json!({"IPv4Address": "10.60.0.7", "IPv6Address": "fd60::7"})
    );
    assert_eq!(back["IPAddress"], "");
    assert_eq!(new["NetworkSettings"]["IPAddress"], "");
    // One that keeps nothing is still on its network.
    let keys = json!({"eru.cni/network": "back, front", "eru.cni/mode": "back"});
    let new = filled(&inspected(false, &keys), &BTreeMap::new());
    let networks = new["NetworkSettings"]["Networks"].as_object().unwrap();
    assert_eq!(networks.keys().collect::<Vec<_>>(), ["back", "front"]);
    assert_eq!(networks["back"]["IPAMConfig"], Value::Null);
}

#[test]
fn labels_say_the_same_and_a_record_alone_is_enough() {
    let mut body = inspected(true, &Value::Null);
    body["Config"]["Labels"] = json!({"eru.cni/network": "back", "eru.cni/mode": "default"});
    assert_eq!(
        filled(&body, &attached("abc"))["HostConfig"]["NetworkMode"],
        "default"
    );
    // Started with --runtime by hand: nobody asked for anything else than 'none'.
    let body = inspected(true, &Value::Null);
    let new = filled(&body, &attached("abc"));
    assert_eq!(new["HostConfig"]["NetworkMode"], "none");
    assert_eq!(
        new["NetworkSettings"]["Networks"]["back"]["IPAddress"],
        "10.60.0.7"
    );
}

#[test]
fn whoever_is_not_ours_is_left_alone() {
    let body = inspected(true, &Value::Null);
    assert!(fill(body.to_string().as_bytes(), &attached("other")).is_none());
    // A container of a driver of Docker's has a record too.
    let mut body = inspected(true, &Value::Null);
    body["HostConfig"]["NetworkMode"] = json!("web");
    assert!(fill(body.to_string().as_bytes(), &attached("abc")).is_none());
    for broken in [
        "",
        "[]",
        "{}",
        r#"{"Id":"abc"}"#,
        r#"{"Id":7,"HostConfig":{}}"#,
    ] {
        assert!(
            fill(broken.as_bytes(), &attached("abc")).is_none(),
            "{broken}"
        );
    }
}
