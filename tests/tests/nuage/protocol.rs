//! What Docker asks at the two sockets, asked by somebody else.

use crate::case::{SETTINGS, log_of, prepare, seed, start, tail, text};
use fairlead_tests::{Daemon, Node, Ovs, OvsPlan, Place as _, Vsd, eventually, patience};
use serde_json::{Value, json};

/// Where the driver of networks is found.
pub(crate) const NETWORK: &str = "/run/docker/plugins/nuage.sock";
/// Where that of addresses is.
pub(crate) const IPAM: &str = "/run/docker/plugins/nuage-ipam.sock";

/// Everything but an engine. What is dropped first is the drivers.
pub(crate) struct Bare {
    pub(crate) plugin: Daemon,
    pub(crate) vsd: Option<Vsd>,
    _ovs: Ovs,
    pub(crate) node: Node,
}

impl Bare {
    #[track_caller]
    pub(crate) fn new(settings: &str) -> Self {
        let node = Node::new();
        prepare(&node, settings);
        let vsd = Vsd::start(&node, &seed());
        let ovs = Ovs::start(&node, OvsPlan::default());
        let plugin = start(&node);
        let bare = Self {
            plugin,
            vsd: Some(vsd),
            _ovs: ovs,
            node,
        };
        if !settings.contains("pluginversion: v2") {
            bare.serves_both();
        }
        bare
    }

    /// Waits until the second socket is there as well.
    #[track_caller]
    pub(crate) fn serves_both(&self) {
        eventually(patience(), || match self.node.path(IPAM).exists() {
            true => Ok(()),
            false => Err(tail(&log_of(&self.node))),
        });
    }

    /// A call as Docker makes it: no host, no content type; its status and answer.
    #[track_caller]
    pub(crate) fn call(&self, socket: &str, method: &str, body: &str) -> (u16, Value) {
        let (status, kind, answer) = self.post(socket, method, body);
        assert_eq!(kind, "application/vnd.docker.plugins.v1.1+json");
        let answer = serde_json::from_str(&answer).unwrap_or_else(|e| panic!("{e}: {answer}"));
        (status, answer)
    }

    #[track_caller]
    fn post(&self, socket: &str, method: &str, body: &str) -> (u16, String, String) {
        let mut command = self.node.command("curl");
        command
            .args(["-sS", "-m", "60", "--unix-socket", socket, "-X", "POST"])
            .args(["-H", "Host;", "-H", "Content-Type:", "-H", "Expect:"])
            .args(["-H", "Accept: application/vnd.docker.plugins.v1.2+json"])
            .args(["-A", "Go-http-client/1.1", "--data-binary", body])
            .args(["-w", "\n%{http_code} %{content_type}"])
            .arg(format!("http://plugin/{method}"));
        let output = command.output().expect("curl");
        assert!(output.status.success(), "{method}: {output:?}");
        let printed = String::from_utf8(output.stdout).unwrap();
        let (answer, end) = printed.rsplit_once('\n').unwrap();
        let (status, kind) = end.split_once(' ').unwrap();
        (status.parse().unwrap(), kind.to_owned(), answer.to_owned())
    }

    /// It must succeed.
    #[track_caller]
    fn must(&self, socket: &str, method: &str, body: &Value) -> Value {
        // Docker ends a request with a line's end.
        let (status, answer) = self.call(socket, method, &format!("{body}\n"));
        assert_eq!(
            status,
            200,
            "{method}: {answer}\n{}",
            tail(&log_of(&self.node))
        );
        answer
    }

    #[track_caller]
    pub(crate) fn logs(&self, words: &str) {
        eventually(patience(), || {
            let log = log_of(&self.node);
            match log.contains(words) {
                true => Ok(()),
                false => Err(format!("{words:?}: {}", tail(&log))),
            }
        });
    }

    /// What the controller has of containers.
    fn held(&self) -> Vec<Value> {
        self.vsd.as_ref().expect("it runs").state("containers")
    }
}

#[test]
fn both_sockets_answer_as_docker_asks() {
    let bare = Bare::new(SETTINGS);
    let none = |socket: &str, method: &str| {
        let (status, answer) = bare.call(socket, method, "");
        assert_eq!(status, 200, "{method}: {answer}");
        answer
    };
    assert_eq!(
        none(NETWORK, "Plugin.Activate"),
        json!({"Implements": ["NetworkDriver"]})
    );
    assert_eq!(
        none(IPAM, "Plugin.Activate"),
        json!({"Implements": ["IpamDriver"]})
    );
    none(NETWORK, "Plugin.Deactivate");
    let own = none(NETWORK, "NetworkDriver.GetCapabilities");
    assert_eq!(
        (&own["Scope"], &own["ConnectivityScope"]),
        (&json!("local"), &json!(""))
    );
    let own = none(IPAM, "IpamDriver.GetCapabilities");
    assert_eq!(own["RequiresMACAddress"], false);
    assert_eq!(own["RequiresRequestReplay"], false);
    assert_eq!(
        none(IPAM, "IpamDriver.GetDefaultAddressSpaces"),
        json!({"LocalDefaultAddressSpace": "local", "GlobalDefaultAddressSpace": "global"})
    );
    calls_that_need_nothing_are_done(&bare);
    what_is_no_call_is_refused(&bare);
    let back = bare.must(
        IPAM,
        "IpamDriver.ReleasePool",
        &json!({"PoolID": "unknown"}),
    );
    assert_eq!(back, json!({}));
}

#[track_caller]
fn calls_that_need_nothing_are_done(bare: &Bare) {
    let ok = |socket: &str, method: &str, body: Value| bare.must(socket, method, &body);
    let network = "8f8127c363669e8b2c07c5025386a574cbab23a194267bdc6b8d5e54658a8985";
    let node = json!({"DiscoveryType": 1,
        "DiscoveryData": {"Address": "192.0.2.1", "BindAddress": "192.0.2.1", "Self": true}});
    for (method, body) in [
        ("DiscoverNew", node.clone()),
        ("DiscoverDelete", node),
        ("FreeNetwork", json!({"NetworkID": network})),
        ("DeleteNetwork", json!({"NetworkID": network})),
    ] {
        let method = format!("NetworkDriver.{method}");
        assert_eq!(ok(NETWORK, &method, body), json!({}), "{method}");
    }
    let of_endpoint = json!({"NetworkID": network, "EndpointID": "e".repeat(64)});
    for method in [
        "Leave",
        "DeleteEndpoint",
        "ProgramExternalConnectivity",
        "RevokeExternalConnectivity",
    ] {
        let method = format!("NetworkDriver.{method}");
        assert_eq!(
            ok(NETWORK, &method, of_endpoint.clone()),
            json!({}),
            "{method}"
        );
    }
    assert_eq!(
        ok(
            NETWORK,
            "NetworkDriver.EndpointOperInfo",
            of_endpoint.clone()
        ),
        json!({"Value": {}})
    );
    assert_eq!(
        ok(
            NETWORK,
            "NetworkDriver.GwAllocCheck",
            json!({"Options": {}})
        ),
        json!({"SkipIPv4": false, "SkipIPv6": false})
    );
    let allocate = json!({"NetworkID": network, "Options": {}, "IPv4Data": [], "IPv6Data": []});
    ok(NETWORK, "NetworkDriver.AllocateNetwork", allocate);
}

#[track_caller]
fn what_is_no_call_is_refused(bare: &Bare) {
    let of_endpoint = json!({"NetworkID": "n", "EndpointID": "e".repeat(64)});
    let both = |(status, answer): (u16, Value), wanted: u16, words: &str| {
        assert_eq!(status, wanted, "{answer}");
        assert!(text(&answer["Err"]).contains(words), "{answer}");
        assert_eq!(answer["Err"], answer["Error"]);
    };
    for socket in [NETWORK, IPAM] {
        both(
            bare.call(socket, "NetworkDriver.Nothing", "{}"),
            404,
            "Nothing",
        );
        both(bare.call(socket, "a/b", "{}"), 404, "");
        for garbage in ["", "{", "[]", "\"text\"", "{\"NetworkID\": 7}", "\u{0}"] {
            let garbage = garbage.replace('\0', "nul");
            both(
                bare.call(socket, "NetworkDriver.Join", &garbage),
                400,
                "NetworkDriver.Join",
            );
            both(
                bare.call(socket, "IpamDriver.RequestAddress", &garbage),
                400,
                "RequestAddress",
            );
        }
    }
    let join = bare.call(NETWORK, "NetworkDriver.Join", &of_endpoint.to_string());
    both(join, 500, "has no cable on this host");
    let endpoint = json!({"NetworkID": "n", "EndpointID": "e",
        "Interface": {"Address": "10.21.59.3/24", "AddressIPv6": "", "MacAddress": ""}});
    let made = bare.call(
        NETWORK,
        "NetworkDriver.CreateEndpoint",
        &endpoint.to_string(),
    );
    assert_eq!(made.0, 500, "{made:?}");
    assert!(!text(&made.1["Err"]).is_empty());
    let request = json!({"PoolID": "foreign", "Address": "", "Options": null});
    let address = bare.call(IPAM, "IpamDriver.RequestAddress", &request.to_string());
    both(address, 500, "no pool of this driver");
    let pool =
        json!({"AddressSpace": "local", "Pool": "", "SubPool": "", "Options": {}, "V6": false});
    let pool = bare.call(IPAM, "IpamDriver.RequestPool", &pool.to_string());
    both(pool, 500, "organization, domain, zone, subnet, user");
}

#[test]
fn a_networks_and_an_endpoints_life_by_the_protocol() {
    let bare = Bare::new(SETTINGS);
    let ask = |socket: &str, method: &str, body: Value| bare.must(socket, method, &body);
    let options = crate::documents::options();
    let pool = ask(
        IPAM,
        "IpamDriver.RequestPool",
        json!({"AddressSpace": "local",
        "Pool": "10.21.59.0/24", "SubPool": "", "Options": options, "V6": false}),
    );
    assert_eq!(pool["Pool"], "10.21.59.0/24");
    assert_eq!(pool["Data"]["com.docker.network.gateway"], "10.21.59.1/24");
    let id = text(&pool["PoolID"]);
    // What an earlier plugin looks for: the digest of organization, domain and subnet.
    assert!(id.starts_with("9f5655ccbb6e0ad383c5738985a5e479-"), "{id}");
    let gateway = json!({"PoolID": id, "Address": "",
        "Options": {"RequestAddressType": "com.docker.network.gateway"}});
    let gateway = ask(IPAM, "IpamDriver.RequestAddress", gateway);
    assert_eq!(gateway["Address"], "10.21.59.1/24");
    assert_eq!(bare.held(), Vec::<Value>::new());
    let network = "n".repeat(64);
    let made = json!({"NetworkID": network,
        "Options": {"com.docker.network.enable_ipv6": false, "com.docker.network.generic": {}},
        "IPv4Data": [{"AddressSpace": "local", "Pool": "10.21.59.0/24", "Gateway": "10.21.59.1/24"}],
        "IPv6Data": []});
    assert_eq!(ask(NETWORK, "NetworkDriver.CreateNetwork", made), json!({}));
    let any = json!({"PoolID": id, "Address": "", "Options": null});
    let given = text(&ask(IPAM, "IpamDriver.RequestAddress", any)["Address"]);
    assert!(
        given.starts_with("10.21.59.") && given.ends_with("/24"),
        "{given}"
    );
    let held = bare.held()[0].clone();
    // Nobody knows yet whose it is: 64 digits, not all of the first twelve decimal.
    assert_eq!(held["UUID"], held["name"]);
    assert_eq!(text(&held["UUID"]).len(), 64);
    let interface = held["interfaces"][0].clone();
    let port = text(&interface["name"]);
    assert!(port.starts_with("nln") && port.ends_with("-1"), "{port}");
    an_endpoint_comes_and_goes(&bare, &network, &given, &interface);
    let address = given.trim_end_matches("/24");
    // Twice is as once, and the gateway's is none of ours.
    for address in [address, address, "10.21.59.1"] {
        let back = json!({"PoolID": id, "Address": address});
        assert_eq!(ask(IPAM, "IpamDriver.ReleaseAddress", back), json!({}));
    }
    assert_eq!(bare.held(), Vec::<Value>::new());
    assert_eq!(
        ask(IPAM, "IpamDriver.ReleasePool", json!({"PoolID": id})),
        json!({})
    );
    assert_eq!(
        ask(
            NETWORK,
            "NetworkDriver.DeleteNetwork",
            json!({"NetworkID": network})
        ),
        json!({})
    );
    assert_eq!(
        bare.node.sh("fairlead nuage networks -o json").json(),
        json!([])
    );
}

/// An endpoint at the address that was given, to its end; `held` is what the controller has.
#[track_caller]
fn an_endpoint_comes_and_goes(bare: &Bare, network: &str, given: &str, held: &Value) {
    let ask = |socket: &str, method: &str, body: Value| bare.must(socket, method, &body);
    let port = text(&held["name"]);
    let endpoint = "e".repeat(64);
    let made = ask(
        NETWORK,
        "NetworkDriver.CreateEndpoint",
        json!({"NetworkID": network,
        "EndpointID": endpoint, "Options": {"com.docker.network.portmap": []},
        "Interface": {"Address": given, "AddressIPv6": "", "MacAddress": ""}}),
    );
    assert_eq!(made["Interface"]["Address"], "");
    let mac = text(&held["MAC"]).to_lowercase();
    assert_eq!(made["Interface"]["MacAddress"], mac);
    let join = json!({"NetworkID": network, "EndpointID": endpoint,
        "SandboxKey": "/var/run/docker/netns/0123456789ab", "Options": {}});
    let joined = ask(NETWORK, "NetworkDriver.Join", join);
    let peer = port.replace("-1", "-2");
    assert_eq!(
        joined["InterfaceName"],
        json!({"SrcName": peer, "DstPrefix": "eth"})
    );
    assert_eq!(joined["Gateway"], "10.21.59.1");
    assert_eq!(joined["DisableGatewayService"], false);
    let link = bare.node.link(&peer);
    assert_eq!(text(&link["address"]), mac);
    let of = json!({"NetworkID": network, "EndpointID": endpoint});
    for method in ["Leave", "DeleteEndpoint", "DeleteEndpoint"] {
        let method = format!("NetworkDriver.{method}");
        assert_eq!(ask(NETWORK, &method, of.clone()), json!({}), "{method}");
    }
    assert!(!bare.node.has_link(&port));
}

#[test]
fn networks_of_one_range_that_are_made_at_once_are_both_taken() {
    let bare = Bare::new(SETTINGS);
    let mut pools = Vec::new();
    for domain in ["Domain", "Twin"] {
        let mut options = crate::documents::options();
        options["domain"] = json!(domain);
        let body = json!({"AddressSpace": "local", "Pool": "10.21.59.0/24", "SubPool": "",
            "Options": options, "V6": false});
        pools.push(text(
            &bare.must(IPAM, "IpamDriver.RequestPool", &body)["PoolID"],
        ));
    }
    // Which is which is not said, whatever else is.
    for (network, generic) in [
        ("1", json!({})),
        ("2", json!({"com.docker.network.x": "y"})),
    ] {
        let body = json!({"NetworkID": network.repeat(64),
            "Options": {"com.docker.network.generic": generic},
            "IPv4Data": [{"AddressSpace": "local", "Pool": "10.21.59.0/24"}], "IPv6Data": []});
        let made = bare.must(NETWORK, "NetworkDriver.CreateNetwork", &body);
        assert_eq!(made, json!({}));
    }
    // One without a pool, and without a subnet's names, is refused.
    let body = json!({"NetworkID": "3".repeat(64),
        "Options": {"com.docker.network.generic": {"com.docker.network.x": "y"}},
        "IPv4Data": [{"AddressSpace": "local", "Pool": "10.21.60.0/24"}], "IPv6Data": []});
    let (status, told) = bare.call(NETWORK, "NetworkDriver.CreateNetwork", &body.to_string());
    assert_eq!(status, 500);
    assert!(
        text(&told["Err"]).contains("these options are missing"),
        "{told}"
    );
    // An address of each, by their pools.
    let mut given = Vec::new();
    for pool in &pools {
        let body = json!({"PoolID": pool, "Address": "", "Options": null});
        let address = bare.must(IPAM, "IpamDriver.RequestAddress", &body)["Address"].clone();
        given.push(text(&address).replace("/24", ""));
    }
    assert_eq!(bare.held().len(), 2);
    for (pool, address) in pools.iter().zip(given) {
        let body = json!({"PoolID": pool, "Address": address});
        bare.must(IPAM, "IpamDriver.ReleaseAddress", &body);
        bare.must(IPAM, "IpamDriver.ReleasePool", &json!({"PoolID": pool}));
    }
    assert_eq!(bare.held(), Vec::<Value>::new());
}

#[test]
fn as_a_managed_plugin_one_socket_answers_for_both_drivers() {
    let bare = Bare::new(&format!("{SETTINGS}\npluginversion: v2\n"));
    let both = json!({"Implements": ["NetworkDriver", "IpamDriver"]});
    assert_eq!(bare.call(NETWORK, "Plugin.Activate", ""), (200, both));
    assert!(!bare.node.path(IPAM).exists());
    let own = bare.call(NETWORK, "IpamDriver.GetCapabilities", "");
    assert_eq!(own.0, 200, "{own:?}");
}
