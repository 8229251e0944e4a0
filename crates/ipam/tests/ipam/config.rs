//! The configuration, as the reference plugin reads it.

use fairlead_ipam::{IpamConfig, IpamError, ResolvConf, requested_by_args};
use serde_json::{Value, json};
use std::net::IpAddr;

fn load(ipam: Value) -> Result<IpamConfig, IpamError> {
    let config = json!({"cniVersion": "1.0.0", "name": "net1", "type": "bridge", "ipam": ipam});
    IpamConfig::from_value(&config, "")
}

fn set(ipam: Value) -> String {
    let config = load(ipam).unwrap();
    let sets: Vec<_> = config.ranges.iter().map(ToString::to_string).collect();
    sets.join(" / ")
}

#[test]
fn what_is_missing_is_filled_in() {
    assert_eq!(set(json!({"subnet": "10.1.2.0/24"})), "10.1.2.1-10.1.2.254");
    assert_eq!(
        set(json!({"subnet": "2001:db8:1::/64"})),
        "2001:db8:1::1-2001:db8:1:0:ffff:ffff:ffff:ffff"
    );
    assert_eq!(
        set(json!({"subnet": "10.1.2.0/24", "rangeStart": "10.1.2.9", "rangeEnd": "10.1.2.17"})),
        "10.1.2.9-10.1.2.17"
    );
    let config = load(json!({"subnet": "10.1.2.0/24", "gateway": ""})).unwrap();
    let range = config.ranges[0].ranges()[0];
    assert_eq!(range.gateway().to_string(), "10.1.2.1");
    // A gateway outside of the subnet is accepted, as there.
    let config = load(json!({"subnet": "10.1.2.0/24", "gateway": "192.0.2.1"})).unwrap();
    assert_eq!(config.ranges[0].size(), 254);
}

#[test]
fn range_sets_come_in_the_reference_order() {
    let config = json!({
        "cniVersion": "1.0.0", "name": "net1",
        "ipam": {
            "subnet": "10.1.0.0/24",
            "ranges": [[{"subnet": "10.2.0.0/24"}, {"subnet": "10.3.0.0/24"}], [{"subnet": "fd00::/64"}]],
            "routes": [{"dst": "0.0.0.0/0"}, {"dst": "10.9.0.0/16", "gw": "10.1.0.9", "mtu": 1400}],
            "dataDir": "/srv/ipam", "resolvConf": "/etc/resolv.conf", "somethingElse": 1
        },
        "runtimeConfig": {"ipRanges": [[{"subnet": "10.0.0.0/24"}]], "ips": ["10.1.0.7/24", "fd00::7"]},
        "args": {"cni": {"ips": ["10.1.0.7", "10.1.0.8"]}}
    });
    let config = IpamConfig::from_value(&config, "IgnoreUnknown=1;K8S=x;IP=10.1.0.6").unwrap();
    let sets: Vec<_> = config.ranges.iter().map(ToString::to_string).collect();
    assert_eq!(
        sets,
        [
            "10.0.0.1-10.0.0.254",
            "10.1.0.1-10.1.0.254",
            "10.2.0.1-10.2.0.254,10.3.0.1-10.3.0.254",
            "fd00::1-fd00::ffff:ffff:ffff:ffff"
        ]
    );
    let requested: Vec<_> = config.requested.iter().map(IpAddr::to_string).collect();
    assert_eq!(requested, ["10.1.0.6", "10.1.0.7", "10.1.0.8", "fd00::7"]);
    assert_eq!(config.routes[1].more["mtu"], 1400);
    let route = serde_json::to_value(&config.routes[1]).unwrap();
    assert_eq!(
        route,
        json!({"dst": "10.9.0.0/16", "gw": "10.1.0.9", "mtu": 1400})
    );
    assert_eq!(config.data_dir.unwrap().to_str(), Some("/srv/ipam"));
}

/// Each configuration is refused with these words in the message.
fn refused<const N: usize>(cases: [(Value, &str); N]) {
    for (ipam, words) in cases {
        let error = load(ipam.clone()).unwrap_err().to_string();
        assert!(error.contains(words), "{ipam}: {error}");
    }
}

#[test]
fn a_bad_subnet_gets_the_words_of_the_reference() {
    refused([
        (json!({}), "no IP ranges specified"),
        (json!({"ranges": []}), "no IP ranges specified"),
        (
            json!({"ranges": [[]]}),
            "invalid range set 0: empty range set",
        ),
        (
            json!({"subnet": "10.1.0.0/33"}),
            "invalid CIDR address: 10.1.0.0/33",
        ),
        (json!({"ranges": [[{}]]}), "invalid CIDR address: "),
        (
            json!({"subnet": "10.1.0.5/24"}),
            "invalid range set 0: Network has host bits set. For a subnet mask of length 24 the network address is 10.1.0.0",
        ),
        (
            json!({"subnet": "10.1.0.0/31"}),
            "invalid range set 0: Network 10.1.0.0/31 too small to allocate from",
        ),
        (json!({"subnet": "10.1.0.1/32"}), "too small"),
        (json!({"subnet": "fd00::/127"}), "too small"),
        (
            json!({"subnet": "::ffff:10.0.0.0/120"}),
            "IPNet IP and Mask version mismatch",
        ),
    ]);
    let error = IpamConfig::from_slice(br#"{"name":"net1"}"#, "").unwrap_err();
    assert_eq!(error.to_string(), "IPAM config missing 'ipam' key");
    let truncated = IpamConfig::from_slice(br#"{"name":"net1","ip"#, "");
    assert!(matches!(truncated, Err(IpamError::Json(_))));
}

#[test]
fn a_bad_range_gets_the_words_of_the_reference() {
    refused([
        (
            json!({"subnet": "10.1.0.0/24", "rangeStart": "10.2.0.1"}),
            "invalid range set 0: RangeStart 10.2.0.1 not in network 10.1.0.0/24",
        ),
        (
            json!({"subnet": "10.1.0.0/24", "rangeStart": "10.1.0.9", "rangeEnd": "10.1.0.8"}),
            "RangeStart 10.1.0.9 not in network 10.1.0.0/24",
        ),
        (
            json!({"subnet": "10.1.0.0/24", "rangeEnd": "10.2.0.1"}),
            "RangeEnd 10.2.0.1 not in network 10.1.0.0/24",
        ),
        (
            json!({"subnet": "10.1.0.0/24", "rangeEnd": "fd00::1"}),
            "RangeEnd fd00::1 not in network",
        ),
        (
            json!({"subnet": "10.1.0.0/24", "gateway": "zz"}),
            "invalid IP address: zz",
        ),
        (
            json!({"ranges": [[{"subnet": "10.1.0.0/24"}, {"subnet": "fd00::/64"}]]}),
            "invalid range set 0: mixed address families",
        ),
        (
            json!({"ranges": [[{"subnet": "10.1.0.0/24"}, {"subnet": "10.1.0.0/25"}]]}),
            "invalid range set 0: subnets 10.1.0.1-10.1.0.254 and 10.1.0.1-10.1.0.126 overlap",
        ),
        (
            json!({"subnet": "10.1.0.0/24", "ranges": [[{"subnet": "fd00::/64"}], [{"subnet": "10.1.0.0/25"}]]}),
            "range set 0 overlaps with 2",
        ),
        (
            json!({"subnet": "10.1.0.0/24", "routes": [{"dst": "x"}]}),
            "invalid CIDR address: x",
        ),
        (json!({"subnet": 7}), "invalid type"),
    ]);
}

#[test]
fn an_old_version_has_one_address_of_each_family() {
    let config = |version: &str, second: &str| {
        let ranges = json!([[{"subnet": "10.1.0.0/24"}], [{"subnet": second}]]);
        let config = json!({"cniVersion": version, "name": "n", "ipam": {"ranges": ranges}});
        IpamConfig::from_value(&config, "")
    };
    let error = config("0.2.0", "10.2.0.0/24").unwrap_err().to_string();
    assert_eq!(
        error,
        "CNI version 0.2.0 does not support more than 1 address per family"
    );
    assert!(config("0.1.0", "10.2.0.0/24").is_err());
    assert!(config("0.2.0", "fd00::/64").is_ok());
    assert!(config("0.3.0", "10.2.0.0/24").is_ok());
}

#[test]
fn the_arguments_ask_for_one_address() {
    let ok = |args| requested_by_args(args).unwrap().map(|ip| ip.to_string());
    assert_eq!(ok(""), None);
    assert_eq!(ok("IP=10.0.0.1").as_deref(), Some("10.0.0.1"));
    assert_eq!(ok("IP=fd00::1/64").as_deref(), Some("fd00::1"));
    assert_eq!(ok("FOO=1;IgnoreUnknown=true"), None);
    for (args, words) in [
        ("nope", r#"ARGS: invalid pair "nope""#),
        ("IP=1=2", r#"ARGS: invalid pair "IP=1=2""#),
        ("FOO=1;BAR=2", r#"ARGS: unknown args ["FOO=1" "BAR=2"]"#),
        (
            "IP=zz",
            r#"ARGS: error parsing value of pair "IP=zz": invalid IP address zz"#,
        ),
        (
            "IgnoreUnknown=maybe",
            r#"ARGS: error parsing value of pair "IgnoreUnknown=maybe""#,
        ),
    ] {
        let error = requested_by_args(args).unwrap_err().to_string();
        assert!(error.starts_with(words), "{error}");
    }
}

#[test]
fn a_resolv_conf_is_read() {
    let conf = ResolvConf::parse(
        "# x\n; y\nnameserver 192.0.2.1\n nameserver\tfd00::1 \ndomain a\ndomain b.c\nsearch d e\nsearch f\noptions ndots:2 edns0\nsortlist 1\nnameserver\n",
    );
    assert_eq!(conf.nameservers, ["192.0.2.1", "fd00::1"]);
    assert_eq!(conf.domain.as_deref(), Some("b.c"));
    assert_eq!(conf.search, ["d", "e", "f"]);
    assert_eq!(conf.options, ["ndots:2", "edns0"]);
    let error = ResolvConf::read(std::path::Path::new("/nope")).unwrap_err();
    assert!(error.to_string().starts_with("open /nope: "), "{error}");
}
