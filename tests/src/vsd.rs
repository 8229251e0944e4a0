//! A VSD in small on a node: the simulator, asked by its control socket.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::built::built_binary;
use crate::daemon::Daemon;
use crate::node::Node;
use crate::patience::{eventually, patience};
use crate::place::Place;

/// The folder of what this file makes on the node.
const DIR: &str = "/run/vsd";
/// Where it listens.
const ADDRESS: &str = "127.0.0.1:8443";

/// A running simulator of one node.
#[derive(Debug)]
pub struct Vsd {
    /// The process.
    pub daemon: Daemon,
    control: PathBuf,
    address: String,
}

impl Vsd {
    /// Starts it with these objects and waits until it listens. The seed is a tree of names:
    /// enterprises, domains, zones, subnets and their `address`, `netmask` and `gateway`; a
    /// list `policygroups` beside zones has the names of such, a list `users` beside domains
    /// has `userName` and `password` of each.
    ///
    /// # Panics
    /// With its log, if it does not listen within the test's patience.
    #[must_use]
    #[track_caller]
    pub fn start(node: &Node, seed: &Value) -> Self {
        Self::start_with(node, seed, "")
    }

    /// The same with more options, such as `--key-life 2` or `--plain`.
    ///
    /// # Panics
    /// With its log, if it does not listen within the test's patience.
    #[must_use]
    #[track_caller]
    pub fn start_with(node: &Node, seed: &Value, options: &str) -> Self {
        Self::start_at(node, seed, ADDRESS, options)
    }

    /// The same at another `ADDRESS:PORT` of the node, for others to reach.
    ///
    /// # Panics
    /// With its log, if it does not listen within the test's patience.
    #[must_use]
    #[track_caller]
    pub fn start_at(node: &Node, seed: &Value, address: &str, options: &str) -> Self {
        // What an earlier one has left would be taken for this one's.
        node.run(&format!("rm -rf {DIR}"));
        let seed_file = format!("{DIR}/seed.json");
        node.write(&seed_file, &seed.to_string());
        let mut command = node.command(built_binary("vsd-simulator"));
        command
            .args(["--listen", address, "--seed", &seed_file])
            .args(["--control", &format!("{DIR}/control.sock")])
            .args(options.split_whitespace());
        if !options.split_whitespace().any(|word| word == "--plain") {
            command.args(["--ca-out", &format!("{DIR}/ca.pem")]);
        }
        let log = node.path(&format!("{DIR}/log"));
        let mut vsd = Self {
            daemon: Daemon::start(&command, "VSD simulator", &log),
            control: node.path(&format!("{DIR}/control.sock")),
            address: address.to_owned(),
        };
        eventually(patience(), || {
            let log = vsd.daemon.log();
            let ended = vsd.daemon.ended();
            match log.lines().any(|line| line.ends_with(address)) {
                true => Ok(()),
                false => Err((ended, log)),
            }
        });
        vsd
    }

    /// Where it is, seen from the node, without `/nuage/api`.
    #[must_use]
    pub fn url(&self) -> String {
        let log = self.daemon.log();
        let url = log.lines().find(|line| line.ends_with(&self.address));
        url.unwrap_or_default().to_owned()
    }

    /// The file, inside the node, of the authority that clients must trust.
    #[must_use]
    pub fn ca_path(&self) -> &'static str {
        "/run/vsd/ca.pem"
    }

    /// Lets something go wrong from now on, such as
    /// `{"method": "POST", "path": "^/containers$", "status": 503, "times": 3}`; what there is
    /// says `Fault` of the simulator.
    ///
    /// # Panics
    /// If it is no fault.
    #[track_caller]
    pub fn fault(&self, fault: &Value) {
        self.post("/faults", fault);
    }

    /// The faults that are still to come, each as it was given with what is left of it.
    ///
    /// # Panics
    /// If there is no answer.
    #[track_caller]
    #[must_use]
    pub fn faults(&self) -> Vec<Value> {
        self.list("/faults")
    }

    /// Nothing goes wrong any more.
    ///
    /// # Panics
    /// If there is no answer.
    #[track_caller]
    pub fn clear_faults(&self) {
        self.done("DELETE", "/faults", None);
    }

    /// Ends all API keys.
    ///
    /// # Panics
    /// If there is no answer.
    #[track_caller]
    pub fn expire_keys(&self) {
        self.post("/expire-keys", &json!({}));
    }

    /// Closes its listener and all connections, or opens it again; it is so when this returns.
    ///
    /// # Panics
    /// If there is no answer.
    #[track_caller]
    pub fn down(&self, down: bool) {
        self.post("/down", &json!({"down": down}));
    }

    /// Adds objects; those that are there already by their names stay.
    ///
    /// # Panics
    /// If they cannot be.
    #[track_caller]
    pub fn seed(&self, tree: &Value) {
        self.post("/seed", tree);
    }

    /// Switches rules that not every VSD has: `refuse_unchanged` (2039 to a PUT that changes
    /// nothing) and `unique_container_names`.
    ///
    /// # Panics
    /// If they are no rules.
    #[track_caller]
    pub fn strictness(&self, rules: &Value) {
        self.post("/strictness", rules);
    }

    /// All objects of a kind, such as `containers`, oldest first; vports have
    /// `policyGroupIDs` as well.
    ///
    /// # Panics
    /// If there is no such kind.
    #[track_caller]
    #[must_use]
    pub fn state(&self, kind: &str) -> Vec<Value> {
        self.list(&format!("/state/{kind}"))
    }

    /// The requests so far, oldest first: `method`, `path`, `query`, `filter`, `page`,
    /// `status`, `authorization` (`none`, `password` or `key`) and more, but no secret.
    ///
    /// # Panics
    /// If there is no answer.
    #[track_caller]
    #[must_use]
    pub fn requests(&self) -> Vec<Value> {
        self.list("/requests")
    }

    /// Forgets the requests so far.
    ///
    /// # Panics
    /// If there is no answer.
    #[track_caller]
    pub fn forget_requests(&self) {
        self.done("DELETE", "/requests", None);
    }

    #[track_caller]
    fn post(&self, path: &str, body: &Value) {
        self.done("POST", path, Some(body));
    }

    #[track_caller]
    fn done(&self, method: &str, path: &str, body: Option<&Value>) {
        let (status, told) = self.ask(method, path, body);
        assert_eq!(status, 204, "{method} {path}: {told}");
    }

    #[track_caller]
    fn list(&self, path: &str) -> Vec<Value> {
        match self.ask("GET", path, None) {
            (200, Value::Array(all)) => all,
            other => panic!("GET {path}: {other:?}"),
        }
    }

    #[track_caller]
    fn ask(&self, method: &str, path: &str, body: Option<&Value>) -> (u16, Value) {
        let question = fairlead_ask::question(method, path, body);
        let socket = self.control.display();
        let mut stream = UnixStream::connect(&self.control)
            .unwrap_or_else(|e| panic!("nobody answers at {socket}: {e}"));
        stream
            .write_all(question.as_bytes())
            .unwrap_or_else(|e| panic!("{method} {path}: {e}"));
        let mut answer = Vec::new();
        stream
            .read_to_end(&mut answer)
            .unwrap_or_else(|e| panic!("{method} {path}: {e}"));
        let (status, body) = fairlead_ask::parse(&answer)
            .unwrap_or_else(|| panic!("{method} {path}: not HTTP: {answer:?}"));
        (status, serde_json::from_slice(body).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `GET /me` by curl on the node; the answer's status, or why there is none.
    fn log_in(node: &Node, vsd: &Vsd, password: &str) -> Result<String, String> {
        let url = format!("{}/nuage/api/v6/me", vsd.url());
        let mut command = node.command("curl");
        command
            .args(["-sS", "-o", "/dev/null", "-w", "%{http_code}", "-m", "10"])
            .args(["--cacert", vsd.ca_path(), "-H", "X-Nuage-Organization: csp"])
            .args(["-u", &format!("csproot:{password}"), &url]);
        let output = command.output().expect("curl can be started");
        match output.status.success() {
            true => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
            false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
        }
    }

    #[test]
    fn it_is_reached_on_its_node_and_controlled_from_here() {
        let node = Node::unplugged("vsd");
        let seed = json!({"Enterprise": {"Domain": {"policygroups": ["web"], "Zone": {
            "Subnet 2": {"address": "10.21.59.0", "netmask": "255.255.255.0",
                         "gateway": "10.21.59.1"}}}}});
        let vsd = Vsd::start(&node, &seed);
        assert_eq!(vsd.url(), "https://127.0.0.1:8443");
        assert_eq!(vsd.state("subnets")[0]["name"], "Subnet 2");
        assert_eq!(log_in(&node, &vsd, "csproot").as_deref(), Ok("200"));
        assert_eq!(log_in(&node, &vsd, "wrong").as_deref(), Ok("401"));
        vsd.fault(&json!({"path": "^/me$", "status": 503, "times": 1}));
        assert_eq!(vsd.faults().len(), 1);
        assert_eq!(log_in(&node, &vsd, "csproot").as_deref(), Ok("503"));
        assert_eq!(vsd.faults(), Vec::<Value>::new());
        vsd.down(true);
        let refused = log_in(&node, &vsd, "csproot").expect_err("it is down");
        assert!(refused.contains("connect"), "{refused}");
        vsd.down(false);
        assert_eq!(log_in(&node, &vsd, "csproot").as_deref(), Ok("200"));
        let noted: Vec<Value> = vsd.requests().into_iter().collect();
        let statuses: Vec<&Value> = noted.iter().map(|one| &one["status"]).collect();
        assert_eq!(statuses, [200, 401, 503, 200]);
        vsd.forget_requests();
        assert_eq!(vsd.requests(), Vec::<Value>::new());
        drop(vsd);
        // The port is free again for another one.
        let vsd = Vsd::start(&node, &json!({"Other": {}}));
        assert_eq!(vsd.state("enterprises")[0]["name"], "Other");
    }

    #[test]
    #[should_panic(expected = "POST /faults")]
    fn what_is_no_fault_is_told() {
        let node = Node::unplugged("vsd");
        let vsd = Vsd::start(&node, &json!({}));
        vsd.fault(&json!({"stauts": 503}));
    }
}
