use super::*;
use fairlead_attach::PublishedPort;
use fairlead_types::Protocol;

fn attached() -> BTreeMap<String, Vec<Attached>> {
    let one = Attached {
        network: "back".to_owned(),
        ifname: "eth0".to_owned(),
        addresses: vec!["10.60.0.7/24".parse().unwrap()],
        gateways: Vec::new(),
        mac: None,
        ports: vec![PublishedPort {
            host_ip: Some("127.0.0.1".parse().unwrap()),
            host_port: 8080,
            container_port: 80,
            protocol: Protocol::Tcp,
        }],
    };
    [("abc".to_owned(), vec![one])].into()
}

#[test]
fn one_is_filled_and_the_others_stay_as_they_were_written() {
    let ours = r#"{"Id":"abc","State":"running","Created":12,"Labels":{},"Ports":[{"PrivatePort":80,"Type":"tcp"}],"HostConfig":{"NetworkMode":"none"},"NetworkSettings":{"Networks":{"none":{}}}}"#;
    let other = r#"{"Id":"def", "Large":18446744073709551616,"HostConfig":{"NetworkMode":"none"}}"#;
    let body = format!("[{other},{ours}]\n");
    let new = String::from_utf8(fill(body.as_bytes(), &attached()).unwrap()).unwrap();
    assert!(new.starts_with(&format!("[{other},")), "{new}");
    let new: Value = serde_json::from_str(&new.replace("18446744073709551616", "0")).unwrap();
    let ours = &new[1];
    assert_eq!(
        ours["NetworkSettings"]["Networks"]["back"]["IPAddress"],
        "10.60.0.7"
    );
    assert_eq!(ours["HostConfig"]["NetworkMode"], "back");
    assert_eq!(
        ours["Ports"],
        json!([{"IP": "127.0.0.1", "PrivatePort": 80, "PublicPort": 8080, "Type": "tcp"}])
    );
    assert_eq!(ours["Created"], 12);
}

#[test]
fn a_stopped_one_has_no_address_and_no_ports() {
    let body = r#"[{"Id":"abc","State":"exited","Labels":{"eru.cni/network":"back","eru.cni/mode":"back"},"Ports":[],"HostConfig":{"NetworkMode":"none"},"NetworkSettings":{"Networks":{}}}]"#;
    let new = fill(body.as_bytes(), &attached()).unwrap();
    let new: Value = serde_json::from_slice(&new).unwrap();
    assert_eq!(
        new[0]["NetworkSettings"]["Networks"]["back"]["IPAddress"],
        ""
    );
    assert_eq!(new[0]["Ports"], json!([]));
    assert_eq!(new[0]["HostConfig"]["NetworkMode"], "back");
}

#[test]
fn a_list_without_any_of_ours_is_left_alone() {
    for body in ["[]", "{}", "", r#"[{"Id":"def"}]"#, r#"[7]"#] {
        assert!(fill(body.as_bytes(), &attached()).is_none(), "{body}");
    }
}
