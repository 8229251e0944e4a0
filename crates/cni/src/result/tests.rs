use super::*;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use serde_json::json;
use std::net::{Ipv4Addr, Ipv6Addr};

fn sample() -> CniResult {
    CniResult {
        interfaces: vec![
            Interface {
                mac: "02:00:00:00:00:01".into(),
                mtu: Some(1500),
                ..Interface::new("cni0")
            },
            Interface {
                mac: "02:00:00:00:00:02".into(),
                sandbox: "/run/netns/c1".into(),
                socket_path: "/run/s".into(),
                pci_id: "0000:00:01.0".into(),
                ..Interface::new("eth0")
            },
        ],
        ips: vec![
            IpConfig {
                gateway: Some("10.1.0.1".parse().unwrap()),
                interface: Some(1),
                ..IpConfig::new("10.1.0.5/16".parse().unwrap())
            },
            IpConfig::new("10.2.0.5/16".parse().unwrap()),
            IpConfig {
                interface: Some(1),
                ..IpConfig::new("fd00::5/64".parse().unwrap())
            },
        ],
        routes: vec![
            Route {
                gw: Some("10.1.0.1".parse().unwrap()),
                mtu: Some(1400),
                table: Some(0),
                scope: Some(253),
                ..Route::new("0.0.0.0/0".parse().unwrap())
            },
            Route::new("::/0".parse().unwrap()),
        ],
        dns: Dns {
            nameservers: vec!["10.1.0.1".into()],
            ..Dns::default()
        },
        extra: Map::new(),
    }
}

#[test]
fn the_old_versions_have_one_address_of_each_family() {
    for version in [SpecVersion::V0_1_0, SpecVersion::V0_2_0] {
        let text = sample().to_json(version).to_string();
        let wanted = r#"{"cniVersion":"VERSION","ip4":{"ip":"10.1.0.5/16","gateway":"10.1.0.1","routes":[{"dst":"0.0.0.0/0","gw":"10.1.0.1"}]},"ip6":{"ip":"fd00::5/64","routes":[{"dst":"::/0"}]},"dns":{"nameservers":["10.1.0.1"]}}"#;
        assert_eq!(text, wanted.replace("VERSION", version.as_str()));
    }
}

#[test]
fn the_middle_versions_say_the_family_and_no_mtu_of_an_interface() {
    for version in [
        SpecVersion::V0_3_0,
        SpecVersion::V0_3_1,
        SpecVersion::V0_4_0,
    ] {
        let text = sample().to_json(version).to_string();
        let wanted = r#"{"cniVersion":"VERSION","interfaces":[{"name":"cni0","mac":"02:00:00:00:00:01"},{"name":"eth0","mac":"02:00:00:00:00:02","sandbox":"/run/netns/c1"}],"ips":[{"version":"4","interface":1,"address":"10.1.0.5/16","gateway":"10.1.0.1"},{"version":"4","address":"10.2.0.5/16"},{"version":"6","interface":1,"address":"fd00::5/64"}],"routes":[{"dst":"0.0.0.0/0","gw":"10.1.0.1","mtu":1400,"table":0,"scope":253},{"dst":"::/0"}],"dns":{"nameservers":["10.1.0.1"]}}"#;
        assert_eq!(text, wanted.replace("VERSION", version.as_str()));
    }
}

#[test]
fn the_new_versions_have_everything() {
    for version in [SpecVersion::V1_0_0, SpecVersion::V1_1_0] {
        let text = sample().to_json(version).to_string();
        let wanted = r#"{"cniVersion":"VERSION","interfaces":[{"name":"cni0","mac":"02:00:00:00:00:01","mtu":1500},{"name":"eth0","mac":"02:00:00:00:00:02","sandbox":"/run/netns/c1","socketPath":"/run/s","pciID":"0000:00:01.0"}],"ips":[{"interface":1,"address":"10.1.0.5/16","gateway":"10.1.0.1"},{"address":"10.2.0.5/16"},{"interface":1,"address":"fd00::5/64"}],"routes":[{"dst":"0.0.0.0/0","gw":"10.1.0.1","mtu":1400,"table":0,"scope":253},{"dst":"::/0"}],"dns":{"nameservers":["10.1.0.1"]}}"#;
        assert_eq!(text, wanted.replace("VERSION", version.as_str()));
    }
}

/// What the `static` plugin of Debian's containernetworking-plugins 1.1.1 prints.
#[test]
fn the_layout_is_that_of_the_reference_plugins() {
    let result = CniResult {
        ips: vec![
            IpConfig::new("10.0.0.2/24".parse().unwrap()),
            IpConfig {
                gateway: Some("fd00::1".parse().unwrap()),
                ..IpConfig::new("fd00::2/64".parse().unwrap())
            },
        ],
        ..CniResult::default()
    };
    let text = crate::json::pretty(&result.to_json(SpecVersion::V0_4_0));
    let wanted = r#"{
    "cniVersion": "0.4.0",
    "ips": [
        {
            "version": "4",
            "address": "10.0.0.2/24"
        },
        {
            "version": "6",
            "address": "fd00::2/64",
            "gateway": "fd00::1"
        }
    ],
    "dns": {}
}"#;
    assert_eq!(String::from_utf8(text).unwrap(), wanted);
}

#[test]
fn what_is_not_known_is_passed_on() {
    let given = json!({
        "cniVersion": "1.0.0",
        "interfaces": [{"name": "eth0", "vendor": {"a": 1}}],
        "ips": [{"address": "10.0.0.2/24", "note": "x"}],
        "routes": [{"dst": "0.0.0.0/0", "weight": 3}],
        "dns": {},
        "vendor": [1, 2],
    });
    let result = CniResult::from_json(&given).unwrap();
    assert_eq!(result.to_json(SpecVersion::V1_0_0), given);
}

#[test]
fn the_form_is_taken_from_the_keys_when_no_version_is_given() {
    let old = json!({"ip4": {"ip": "10.0.0.2/24"}});
    let new = json!({"ips": [{"address": "10.0.0.2/24"}]});
    for given in [old, new] {
        let result = CniResult::from_json(&given).unwrap();
        assert_eq!(result.ips[0].address, "10.0.0.2/24".parse().unwrap());
    }
    assert_eq!(
        CniResult::from_json(&json!({})).unwrap(),
        CniResult::default()
    );
}

#[test]
fn a_wrong_value_is_named_with_its_place() {
    let cases = [
        (json!([]), "read $ of the result: [] is not an object"),
        (
            json!({"cniVersion": "7.0.0"}),
            "read the result's cniVersion: \"7.0.0\" is no known CNI version: 0.1.0, 0.2.0, 0.3.0, 0.3.1, 0.4.0, 1.0.0, 1.1.0 are",
        ),
        (
            json!({"cniVersion": "1.0.0", "ips": [{"address": "10.0.0.2"}]}),
            "read ips[0].address of the result: \"10.0.0.2\" is not an address with a prefix length",
        ),
        (
            json!({"cniVersion": "1.0.0", "ips": [{"address": "10.0.0.2/24", "interface": -1}]}),
            "read ips[0].interface of the result: -1 is not a whole number that its field can hold",
        ),
        (
            json!({"cniVersion": "1.0.0", "ips": {}}),
            "read ips of the result: {} is not a list",
        ),
        (
            json!({"cniVersion": "0.2.0", "ip4": {"ip": "10.0.0.2/24", "gateway": 1}}),
            "read ip4.gateway of the result: 1 is not an address",
        ),
        (
            json!({"cniVersion": "1.0.0", "routes": [{"dst": "0.0.0.0/0", "scope": 256}]}),
            "read routes[0].scope of the result: 256 is not a whole number that its field can hold",
        ),
        (
            json!({"cniVersion": "1.0.0", "dns": {"search": ["a", 1]}}),
            "read dns.search[1] of the result: 1 is not a text",
        ),
    ];
    for (given, wanted) in cases {
        let error = CniResult::from_json(&given).unwrap_err();
        assert_eq!(error.to_string(), wanted);
    }
}

#[test]
fn an_address_points_at_its_interface() {
    let result = sample();
    assert_eq!(result.interface_of(&result.ips[0]).unwrap().name, "eth0");
    assert_eq!(result.interface_of(&result.ips[1]), None);
    let beyond = IpConfig {
        interface: Some(9),
        ..result.ips[0].clone()
    };
    assert_eq!(result.interface_of(&beyond), None);
}

fn network() -> impl Strategy<Value = IpNet> {
    let v4 = (any::<u32>(), 0u8..=32)
        .prop_map(|(ip, len)| IpNet::new(Ipv4Addr::from(ip).into(), len).unwrap());
    let v6 = (any::<u128>(), 0u8..=128)
        .prop_map(|(ip, len)| IpNet::new(Ipv6Addr::from(ip).into(), len).unwrap());
    prop_oneof![v4, v6]
}

fn address() -> impl Strategy<Value = IpAddr> {
    let v6 = any::<u128>().prop_map(|ip| IpAddr::from(Ipv6Addr::from(ip)).to_canonical());
    prop_oneof![any::<u32>().prop_map(|ip| Ipv4Addr::from(ip).into()), v6]
}

prop_compose! {
    fn interface()(
        name in "[a-z]{1,8}", mac in "([0-9a-f]{2}:?)?", mtu in option::of(1u32..),
        sandbox in "(/[a-z]{1,5})?", socket_path in "[a-z]{0,3}", pci_id in "[a-z]{0,3}",
    ) -> Interface {
        Interface { name, mac, mtu, sandbox, socket_path, pci_id, extra: Map::new() }
    }
}

prop_compose! {
    fn ip()(
        address in network(), gateway in option::of(address()),
        interface in option::of(0usize..4),
    ) -> IpConfig {
        IpConfig { gateway, interface, ..IpConfig::new(address) }
    }
}

prop_compose! {
    fn route()(
        dst in network(), gw in option::of(address()), mtu in option::of(1u32..),
        advmss in option::of(1u32..), priority in option::of(1u32..),
        table in option::of(any::<u32>()), scope in option::of(any::<u8>()),
    ) -> Route {
        Route { gw, mtu, advmss, priority, table, scope, ..Route::new(dst) }
    }
}

prop_compose! {
    fn any_result()(
        interfaces in vec(interface(), 0..4), ips in vec(ip(), 0..4),
        routes in vec(route(), 0..4), nameservers in vec("[a-z0-9.:]{1,9}", 0..3),
        domain in "[a-z.]{0,5}", search in vec("[a-z]{1,4}", 0..3),
        options in vec("[a-z:0-9]{1,4}", 0..3),
    ) -> CniResult {
        let dns = Dns { nameservers, domain, search, options };
        CniResult { interfaces, ips, routes, dns, extra: Map::new() }
    }
}

/// What is left of a result in a version that has no words for the rest.
fn in_words_of(version: SpecVersion, mut result: CniResult) -> CniResult {
    if version.has_single_addresses() {
        let mut single = CniResult {
            dns: result.dns,
            ..CniResult::default()
        };
        for v4 in [true, false] {
            let family = |net: &IpNet| net.addr().is_ipv4() == v4;
            let Some(ip) = result.ips.iter().find(|ip| family(&ip.address)) else {
                continue;
            };
            let mut ip = ip.clone();
            ip.interface = None;
            single.ips.push(ip);
            for route in result.routes.iter().filter(|r| family(&r.dst)) {
                let gw = route.gw;
                single.routes.push(Route {
                    gw,
                    ..Route::new(route.dst)
                });
            }
        }
        return single;
    }
    if version < SpecVersion::V1_0_0 {
        for interface in &mut result.interfaces {
            interface.mtu = None;
            interface.socket_path.clear();
            interface.pci_id.clear();
        }
    }
    result
}

proptest! {
    #[test]
    fn every_version_reads_back_what_it_has_words_for(result in any_result()) {
        for version in SpecVersion::ALL {
            let json = result.to_json(version);
            prop_assert_eq!(&json["cniVersion"], version.as_str());
            let read = CniResult::from_json(&json).unwrap();
            prop_assert_eq!(&read, &in_words_of(version, result.clone()));
            prop_assert_eq!(read.to_json(version), json);
        }
    }
}
