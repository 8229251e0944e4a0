//! The protocol itself, spoken as Docker speaks it: answers to the letter, bad input, and an
//! agent that is killed between any two calls and in the middle of each.

use crate::case::SETTINGS;
use fairlead_tests::{Agent, Node, Place as _, eventually, patience};
use serde_json::{Value, json};
use std::process::Command;

const NETWORK: &str = "8f8127c363669e8b2c07c5025386a574cbab23a194267bdc6b8d5e54658a8985";
const ENDPOINT: &str = "2b4fb640e6299ae5e00f7cbebebbef112490813cb57cd05a2e9fde5316208076";

/// A node without an engine: the test is the engine.
struct Engine {
    agent: Agent,
    node: Node,
}

impl Engine {
    #[track_caller]
    fn new() -> Self {
        let node = Node::new();
        node.sh(&format!("fairlead node set {SETTINGS}")).silent();
        let agent = Agent::start(&node);
        Self { agent, node }
    }

    fn command(&self, method: &str, body: &str) -> Command {
        let mut command = self.node.command("curl");
        // As Docker: an empty host, and no media type.
        command.args(["-sS", "-m", "20", "-H", "Host:", "-H", "Content-Type:"]);
        command.args(["--unix-socket", "/run/docker/plugins/fairlead.sock"]);
        command.args(["-w", "\n%{http_code}", "--data-binary", body]);
        command.arg(format!("http://docker/{method}"));
        command
    }

    /// The status of an answer, and what it says.
    #[track_caller]
    fn ask(&self, method: &str, body: &str) -> (u16, Value) {
        let output = self.command(method, body).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let (answer, status) = text.rsplit_once('\n').unwrap();
        let answer =
            serde_json::from_str(answer).unwrap_or_else(|e| panic!("{method}: {e}: {text}"));
        (status.parse().unwrap(), answer)
    }

    #[track_caller]
    fn call(&self, method: &str, body: &Value) -> Value {
        let (status, answer) = self.ask(method, &body.to_string());
        assert_eq!(status, 200, "{method} {body}: {answer}");
        answer
    }

    /// Takes the sandbox's part: the container's end goes into a namespace and comes back.
    fn kill_and_start(&mut self) {
        self.agent.daemon.kill();
        self.agent = Agent::start(&self.node);
    }
}

type Calls = Vec<(&'static str, Value)>;

/// The pool of the network.
const POOL: &str = "subnet/10.95.0.0/24";

/// One container from its network's making to its end, as Docker 20.10 asks it.
fn life() -> Calls {
    let mut calls = beginning();
    calls.extend(end());
    calls
}

fn beginning() -> Calls {
    let pool = POOL;
    let endpoint = json!({"NetworkID": NETWORK, "EndpointID": ENDPOINT});
    let ports = json!([{"Proto": 6, "IP": "", "Port": 80, "HostIP": "", "HostPort": 8080, "HostPortEnd": 8080}]);
    let with = |key: &str, value: Value| {
        let mut call = endpoint.clone();
        call[key] = value;
        call
    };
    vec![
        (
            "IpamDriver.RequestPool",
            json!({"AddressSpace": "fairlead-local", "Pool": "10.95.0.0/24", "SubPool": "", "Options": {}, "V6": false}),
        ),
        (
            "IpamDriver.RequestAddress",
            json!({"PoolID": pool, "Address": "", "Options": {"RequestAddressType": "com.docker.network.gateway"}}),
        ),
        (
            "IpamDriver.RequestAddress",
            json!({"PoolID": pool, "Address": "10.95.0.9", "Options": null}),
        ),
        (
            "NetworkDriver.CreateNetwork",
            json!({"NetworkID": NETWORK, "Options": {"com.docker.network.enable_ipv6": false, "com.docker.network.generic": {}},
            "IPv4Data": [{"AddressSpace": "fairlead-local", "Pool": "10.95.0.0/24", "Gateway": "10.95.0.1/24", "AuxAddresses": {"a": "10.95.0.9/24"}}], "IPv6Data": []}),
        ),
        (
            "IpamDriver.RequestAddress",
            json!({"PoolID": pool, "Address": "10.95.0.7", "Options": null}),
        ),
        (
            "NetworkDriver.CreateEndpoint",
            with(
                "Interface",
                json!({"Address": "10.95.0.7/24", "AddressIPv6": "", "MacAddress": ""}),
            ),
        ),
        (
            "NetworkDriver.Join",
            with("SandboxKey", json!("/var/run/docker/netns/0123456789ab")),
        ),
        (
            "NetworkDriver.ProgramExternalConnectivity",
            with("Options", json!({"com.docker.network.portmap": ports})),
        ),
        ("NetworkDriver.EndpointOperInfo", endpoint.clone()),
    ]
}

fn end() -> Calls {
    let pool = POOL;
    let endpoint = json!({"NetworkID": NETWORK, "EndpointID": ENDPOINT});
    vec![
        ("NetworkDriver.RevokeExternalConnectivity", endpoint.clone()),
        ("NetworkDriver.Leave", endpoint.clone()),
        ("NetworkDriver.DeleteEndpoint", endpoint.clone()),
        (
            "IpamDriver.ReleaseAddress",
            json!({"PoolID": pool, "Address": "10.95.0.7"}),
        ),
        (
            "IpamDriver.ReleaseAddress",
            json!({"PoolID": pool, "Address": "10.95.0.1"}),
        ),
        (
            "IpamDriver.ReleaseAddress",
            json!({"PoolID": pool, "Address": "10.95.0.9"}),
        ),
        ("IpamDriver.ReleasePool", json!({"PoolID": pool})),
        ("NetworkDriver.DeleteNetwork", json!({"NetworkID": NETWORK})),
    ]
}

/// The node after one whole life, which made what stays: empty sets of nftables.
#[track_caller]
fn lived(engine: &Engine) -> Vec<String> {
    for (method, body) in life() {
        engine.call(method, &body);
    }
    engine.node.world()
}

#[test]
fn every_call_is_answered_to_the_letter() {
    let engine = Engine::new();
    let fixed = [
        (
            "Plugin.Activate",
            json!({"Implements": ["NetworkDriver", "IpamDriver"]}),
        ),
        (
            "NetworkDriver.GetCapabilities",
            json!({"Scope": "local", "ConnectivityScope": "local", "GwAllocChecker": false}),
        ),
        (
            "IpamDriver.GetCapabilities",
            json!({"RequiresMACAddress": false, "RequiresRequestReplay": false}),
        ),
        (
            "IpamDriver.GetDefaultAddressSpaces",
            json!({"LocalDefaultAddressSpace": "fairlead-local", "GlobalDefaultAddressSpace": "fairlead-global"}),
        ),
    ];
    for (method, wanted) in fixed {
        let (status, answer) = engine.ask(method, "");
        assert_eq!((status, answer), (200, wanted), "{method}");
    }
    for method in ["DiscoverNew", "DiscoverDelete"] {
        let data = json!({"DiscoveryType": 1, "DiscoveryData": {"Address": "192.0.2.1", "BindAddress": "", "Self": true}});
        assert_eq!(
            engine.call(&format!("NetworkDriver.{method}"), &data),
            json!({})
        );
    }
    let inner = "flpdf14f9fb2f4";
    for (method, body) in life() {
        let answer = engine.call(method, &body);
        let address = body["Address"].as_str().unwrap_or_default();
        let wanted = match method {
            "IpamDriver.RequestPool" => {
                json!({"PoolID": "subnet/10.95.0.0/24", "Pool": "10.95.0.0/24", "Data": {}})
            }
            "IpamDriver.RequestAddress" if address.is_empty() => {
                json!({"Address": "10.95.0.1/24", "Data": {}})
            }
            "IpamDriver.RequestAddress" => json!({"Address": format!("{address}/24"), "Data": {}}),
            "NetworkDriver.CreateEndpoint" => {
                json!({"Interface": {"Address": "", "AddressIPv6": "", "MacAddress": "02:42:0a:5f:00:07"}})
            }
            "NetworkDriver.Join" => {
                let name = answer["InterfaceName"]["SrcName"].as_str().unwrap();
                assert_eq!(name.len(), inner.len());
                engine.node.run(&format!("ip link show {name}"));
                json!({"InterfaceName": {"SrcName": name, "DstPrefix": "eth"}, "Gateway": "10.95.0.1", "GatewayIPv6": "", "StaticRoutes": [], "DisableGatewayService": false})
            }
            "NetworkDriver.EndpointOperInfo" => json!({"Value": {
                "com.docker.network.endpoint.macaddress": "02:42:0a:5f:00:07",
                "com.docker.network.endpoint.exposedports": [{"Proto": 6, "Port": 80}],
                "com.docker.network.portmap": [{"Proto": 6, "IP": "10.95.0.7", "Port": 80, "HostIP": "0.0.0.0", "HostPort": 8080, "HostPortEnd": 8080}],
            }}),
            _ => json!({}),
        };
        assert_eq!(answer, wanted, "{method}");
    }
}

/// No calls: what is sent, and the status and words of the answer.
const BAD: [(&str, &str, u16, &str); 13] = [
    ("NetworkDriver.Nonsense", "{}", 404, "not known"),
    ("nonsense", "", 404, "not known"),
    ("NetworkDriver.Join", "", 400, "NetworkDriver.Join"),
    ("NetworkDriver.Join", "{\"NetworkID\": 7}", 400, "NetworkID"),
    (
        "NetworkDriver.CreateNetwork",
        "[1, 2",
        400,
        "cannot be read",
    ),
    (
        "NetworkDriver.CreateNetwork",
        "{\"NetworkID\": \"\"}",
        500,
        "no subnet",
    ),
    (
        "NetworkDriver.CreateNetwork",
        "{\"NetworkID\": \"../../etc\", \"IPv4Data\": [{\"Pool\": \"10.95.0.0/24\"}]}",
        500,
        "..",
    ),
    (
        "NetworkDriver.Join",
        "{\"NetworkID\": \"8f81\", \"EndpointID\": \"2b4f\"}",
        500,
        "no cable on this node",
    ),
    (
        "NetworkDriver.CreateEndpoint",
        "{\"NetworkID\": \"8f81\", \"EndpointID\": \"2b4f\"}",
        500,
        "not known on this node",
    ),
    (
        "IpamDriver.RequestAddress",
        "{\"PoolID\": \"LocalDefault/172.18.0.0/16\"}",
        500,
        "no network here has the pool",
    ),
    (
        "IpamDriver.RequestPool",
        "{\"Pool\": \"10.95.0.7/24\"}",
        500,
        "host bits",
    ),
    (
        "IpamDriver.RequestPool",
        "{\"Pool\": \"x\"}",
        500,
        "no subnet",
    ),
    (
        "IpamDriver.RequestPool",
        "{\"Options\": {\"network\": \"a b\"}}",
        500,
        "a b",
    ),
];

#[test]
fn what_is_no_call_is_refused_in_the_form_that_docker_shows() {
    let engine = Engine::new();
    let before = lived(&engine);
    for (method, body, wanted, words) in BAD {
        let (status, answer) = engine.ask(method, body);
        assert_eq!(status, wanted, "{method} {body}: {answer}");
        assert_eq!(answer["Err"], answer["Error"]);
        let text = answer["Err"].as_str().unwrap();
        assert!(
            text.contains(words) && text.lines().count() == 1,
            "{method} {body}: {text}"
        );
    }
    // What is gone already is gone.
    for method in [
        "DeleteNetwork",
        "DeleteEndpoint",
        "Leave",
        "RevokeExternalConnectivity",
        "EndpointOperInfo",
    ] {
        engine.call(
            &format!("NetworkDriver.{method}"),
            &json!({"NetworkID": NETWORK, "EndpointID": ENDPOINT}),
        );
    }
    engine.node.is_as_before(&before, "nothing was made");
}

#[test]
fn an_agent_killed_between_any_two_calls_goes_on() {
    let mut engine = Engine::new();
    let before = lived(&engine);
    for (method, body) in life() {
        engine.call(method, &body);
        engine.kill_and_start();
    }
    engine
        .node
        .is_as_before(&before, "one life with a new agent for each call");
    let left = engine.node.sh("fairlead ip ls -o json").json();
    assert_eq!(left.as_array().unwrap().len(), 0, "{left}");
}

#[test]
fn an_agent_killed_in_a_call_serves_it_when_it_is_repeated() {
    let mut engine = Engine::new();
    let before = lived(&engine);
    for round in 0..3_u64 {
        for (at, (method, body)) in life().into_iter().enumerate() {
            let mut asking = engine.command(method, &body.to_string());
            asking.stdout(std::process::Stdio::null());
            asking.stderr(std::process::Stdio::null());
            let mut asking = asking.spawn().unwrap();
            // Some moment of it, another one each time: nobody waits for anything here.
            let moment = (round * 7 + at as u64 * 3) % 12;
            std::thread::sleep(std::time::Duration::from_millis(5 + moment));
            engine.agent.daemon.kill();
            let _ = asking.kill();
            let _ = asking.wait();
            engine.agent = Agent::start(&engine.node);
            engine.call(method, &body);
        }
        engine
            .node
            .is_as_before(&before, "one life with each call cut off");
    }
}

#[test]
fn what_an_engine_never_went_on_with_is_garbage() {
    let engine = Engine::new();
    let before = lived(&engine);
    let calls = life();
    // A container whose start was given up after `Join`, and an address before that.
    for (method, body) in &calls[..8] {
        engine.call(method, body);
    }
    let pool = "subnet/10.95.0.0/24";
    engine.call(
        "IpamDriver.RequestAddress",
        &json!({"PoolID": pool, "Address": ""}),
    );
    let found = engine.node.sh("fairlead gc --dry-run -o json").stdout;
    assert!(!found.contains(ENDPOINT), "it may be going on yet: {found}");
    let aged = "sqlite3 /run/fairlead-root/var/lib/fairlead/node.db \
                'UPDATE attachments SET since = since - 100; UPDATE addresses SET since = since - 100'";
    engine.node.sh(aged).done();
    let found = engine.node.sh("fairlead gc --dry-run").stdout;
    assert!(found.contains("no engine took its interface"), "{found}");
    engine.node.sh("fairlead gc").done();
    engine.call(
        "NetworkDriver.DeleteNetwork",
        &json!({"NetworkID": NETWORK}),
    );
    eventually(patience(), || {
        let left = engine.node.sh("fairlead ip ls -o json").stdout;
        if left.trim() == "[]" {
            Ok(())
        } else {
            Err(left)
        }
    });
    engine.node.is_as_before(&before, "it is collected");
}
