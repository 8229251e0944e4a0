//! A real Open vSwitch in a node, its database with the two tables that Nuage's has.

use std::fs;
use std::process::Command;

use serde_json::{Map, Value, json};

use crate::daemon::Daemon;
use crate::node::Node;
use crate::patience::{eventually, patience};
use crate::place::{Place, json};

/// Open vSwitch's own schema.
const STOCK: &str = "/usr/share/openvswitch/vswitch.ovsschema";
/// What is kept, inside the node.
const CONF: &str = "/run/openvswitch/conf.db";

/// How a switch is to be.
#[derive(Debug, Clone)]
pub struct OvsPlan {
    /// The bridge.
    pub bridge: String,
    /// Where the database listens, inside the node.
    pub socket: String,
    /// `system-id` of `external_ids`.
    pub system_id: String,
    /// `hostname` of `external_ids`.
    pub hostname: String,
    /// Does `ovs-vswitchd` run too? Without it, the bridge is a row and nothing else, and what
    /// `ovs-vswitchd` would write (ports, controllers) is the test's.
    pub vswitchd: bool,
    /// Is the schema the stock one, without Nuage's tables?
    pub stock: bool,
}

impl Default for OvsPlan {
    fn default() -> Self {
        Self {
            bridge: "alubr0".to_owned(),
            socket: "/run/openvswitch/db.sock".to_owned(),
            system_id: "5a0f7f53-7a5c-4b4f-9b54-0c9a8e2b7a11".to_owned(),
            hostname: "node".to_owned(),
            vswitchd: true,
            stock: false,
        }
    }
}

/// `ovsdb-server`, and `ovs-vswitchd` with a bridge in user space. Both end with this value.
#[derive(Debug)]
pub struct Ovs {
    plan: OvsPlan,
    // Dropped in this order: the switch does not outlive its database.
    vswitchd: Option<Daemon>,
    server: Option<Daemon>,
}

impl Ovs {
    /// Both programs and the bridge; all is there when this returns.
    ///
    /// # Panics
    /// If Open vSwitch is not installed or does not come up.
    #[must_use]
    #[track_caller]
    pub fn start(node: &Node, plan: OvsPlan) -> Self {
        let mut ovs = Self {
            plan,
            vswitchd: None,
            server: None,
        };
        node.run("mkdir -p /run/openvswitch");
        ovs.create(node);
        ovs.start_server(node);
        ovs.vsctl(node, "--no-wait init");
        if ovs.plan.vswitchd {
            ovs.start_vswitchd(node);
        }
        ovs.furnish(node);
        ovs
    }

    fn create(&self, node: &Node) {
        let text = fs::read_to_string(STOCK).expect("install openvswitch-switch");
        let mut schema = json(&text);
        if !self.plan.stock {
            let tables = schema["tables"].as_object_mut().expect("tables");
            tables.insert("Nuage_Port_Table".to_owned(), port_table());
            tables.insert("Nuage_VM_Table".to_owned(), vm_table());
        }
        let file = "/run/openvswitch/vrs.ovsschema";
        fs::write(node.path(file), schema.to_string()).expect("the schema");
        node.run(&format!("ovsdb-tool create {CONF} {file}"));
    }

    /// The bridge, and what Open vSwitch's own scripts tell of the host.
    fn furnish(&self, node: &Node) {
        let OvsPlan {
            bridge,
            system_id,
            hostname,
            ..
        } = &self.plan;
        let wait = if self.plan.vswitchd { "" } else { "--no-wait " };
        self.vsctl(
            node,
            &format!(
                "{wait}set Open_vSwitch . external_ids:system-id={system_id} \
                 external_ids:hostname={hostname} -- --may-exist add-br {bridge} \
                 -- set Bridge {bridge} datapath_type=netdev"
            ),
        );
    }

    fn start_server(&mut self, node: &Node) {
        let socket = &self.plan.socket;
        // What a killed one left would be taken for a new one's.
        node.run(&format!("rm -f {socket}"));
        let mut command = node.command("ovsdb-server");
        command
            .arg(CONF)
            .arg(format!("--remote=punix:{socket}"))
            .args(["--pidfile", "-vconsole:warn", "-vsyslog:off"]);
        let log = node.path("/run/openvswitch/ovsdb-server.log");
        let mut server = Daemon::start(&command, "ovsdb-server", &log);
        eventually(patience(), || {
            assert_eq!(server.ended(), None, "{}", server.log());
            let listed = node.try_run(&format!("ovsdb-client list-dbs unix:{socket}"));
            match listed.status.success() {
                true => Ok(()),
                false => Err(String::from_utf8_lossy(&listed.stderr).into_owned()),
            }
        });
        self.server = Some(server);
    }

    fn start_vswitchd(&mut self, node: &Node) {
        let mut command = node.command("ovs-vswitchd");
        command.arg(format!("unix:{}", self.plan.socket)).args([
            "--pidfile",
            "-vconsole:warn",
            "-vsyslog:off",
        ]);
        let log = node.path("/run/openvswitch/ovs-vswitchd.log");
        self.vswitchd = Some(Daemon::start(&command, "ovs-vswitchd", &log));
    }

    /// How it was planned.
    #[must_use]
    pub fn plan(&self) -> &OvsPlan {
        &self.plan
    }

    /// The database's socket as this process can open it.
    #[must_use]
    pub fn socket(&self, node: &Node) -> std::path::PathBuf {
        node.path(&self.plan.socket)
    }

    /// Ends `ovsdb-server` alone (SIGTERM).
    ///
    /// # Panics
    /// If it does not run or does not end.
    #[track_caller]
    pub fn stop_server(&mut self) {
        let mut server = self.server.take().expect("it runs");
        server.terminate();
    }

    /// Ends `ovsdb-server` alone (SIGKILL).
    ///
    /// # Panics
    /// If it does not run.
    #[track_caller]
    pub fn kill_server(&mut self) {
        let mut server = self.server.take().expect("it runs");
        server.kill();
    }

    /// Starts `ovsdb-server` again, with its data.
    ///
    /// # Panics
    /// If it runs, or does not come up.
    #[track_caller]
    pub fn restart_server(&mut self, node: &Node) {
        assert!(self.server.is_none(), "it runs");
        self.start_server(node);
    }

    /// Takes the data away, and makes the bridge anew after the restart: `ovsdb-server` must
    /// not run.
    ///
    /// # Panics
    /// If it runs, or does not come up.
    #[track_caller]
    pub fn restart_server_without_data(&mut self, node: &Node) {
        assert!(self.server.is_none(), "it runs");
        node.run(&format!("rm -f {CONF}"));
        self.create(node);
        self.start_server(node);
        self.vsctl(node, "--no-wait init");
        self.furnish(node);
    }

    /// Listens on TCP too, in the words of the plugin's first document; its port is 6633.
    ///
    /// # Panics
    /// If it fails.
    #[track_caller]
    pub fn listen_on_tcp(&self, node: &Node) {
        node.run("ovs-appctl -t ovsdb-server ovsdb-server/add-remote ptcp:6633");
    }

    /// What `ovs-vsctl WORDS` prints, words separated by spaces.
    ///
    /// # Panics
    /// If it fails.
    #[track_caller]
    pub fn vsctl(&self, node: &Node, words: &str) -> String {
        let words: Vec<&str> = words.split_whitespace().collect();
        self.vsctl_words(node, &words)
    }

    /// The same for words that have spaces.
    ///
    /// # Panics
    /// If it fails.
    #[track_caller]
    pub fn vsctl_words(&self, node: &Node, words: &[&str]) -> String {
        let mut command = node.command("ovs-vsctl");
        let limit = patience().as_secs().max(1);
        command
            .arg(format!("--db=unix:{}", self.plan.socket))
            .arg(format!("--timeout={limit}"))
            .args(words);
        run(command)
    }

    /// The names of the bridge's ports, sorted.
    #[must_use]
    #[track_caller]
    pub fn ports(&self, node: &Node) -> Vec<String> {
        let printed = self.vsctl(node, &format!("list-ports {}", self.plan.bridge));
        let mut names: Vec<String> = printed.lines().map(str::to_owned).collect();
        names.sort();
        names
    }

    /// All rows of a table, as `ovsdb-client` reads them: maps as objects, sets as lists but
    /// for those of one element, which are that element, identities as texts.
    ///
    /// # Panics
    /// If there is no such table.
    #[must_use]
    #[track_caller]
    pub fn rows(&self, node: &Node, table: &str) -> Vec<Value> {
        let server = format!("unix:{}", self.plan.socket);
        let mut command = node.command("ovsdb-client");
        command.args(["--format=json", "dump", &server, "Open_vSwitch", table]);
        let dump = json(&run(command));
        let headings = dump["headings"].as_array().expect("headings");
        let rows = dump["data"].as_array().expect("data");
        let object = |row: &Value| {
            let cells = headings.iter().zip(row.as_array().expect("a row"));
            let cells =
                cells.map(|(name, cell)| (name.as_str().expect("a name").to_owned(), plain(cell)));
            Value::Object(cells.collect())
        };
        rows.iter().map(object).collect()
    }

    /// Does operations on the database by `ovsdb-client`, and returns what each answered.
    ///
    /// # Panics
    /// If one fails.
    #[track_caller]
    pub fn transact(&self, node: &Node, operations: &[Value]) -> Vec<Value> {
        let mut all = vec![json!("Open_vSwitch")];
        all.extend(operations.iter().cloned());
        let server = format!("unix:{}", self.plan.socket);
        let mut command = node.command("ovsdb-client");
        command.args(["transact", &server, &Value::from(all).to_string()]);
        let printed = run(command);
        let answer = json(&printed);
        let results = answer.as_array().expect("a list").clone();
        let good = results
            .iter()
            .all(|result| result.is_object() && result["error"].is_null());
        assert!(good && results.len() == operations.len(), "{printed}");
        results
    }

    /// Does the controller's part for a port: it has its address.
    ///
    /// # Panics
    /// If the port has no row.
    #[track_caller]
    pub fn resolve(&self, node: &Node, port: &str, address: &str, mask: &str, gateway: &str) {
        let row = json!({"ip_addr": address, "subnet_mask": mask, "gateway": gateway});
        let operation = json!({"op": "update", "table": "Nuage_Port_Table",
            "where": [["name", "==", port]], "row": row});
        let results = self.transact(node, &[operation]);
        assert_eq!(results[0]["count"], 1, "port {port} has no row");
    }
}

#[track_caller]
fn run(mut command: Command) -> String {
    let output = command.output().expect("Open vSwitch's programs start");
    assert!(
        output.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).expect("output is text")
}

/// A value of the protocol without its tags.
fn plain(value: &Value) -> Value {
    match value.as_array().map(Vec::as_slice) {
        Some([tag, Value::Array(parts)]) if tag == "set" => {
            let parts: Vec<Value> = parts.iter().map(plain).collect();
            match <[Value; 1]>::try_from(parts) {
                Ok([one]) => one,
                Err(parts) => parts.into(),
            }
        }
        Some([tag, Value::Array(pairs)]) if tag == "map" => {
            let pairs = pairs.iter().map(|pair| {
                let key = plain(&pair[0]);
                let key = key.as_str().map_or_else(|| key.to_string(), str::to_owned);
                (key, plain(&pair[1]))
            });
            Value::Object(pairs.collect::<Map<_, _>>())
        }
        Some([tag, id]) if tag == "uuid" => id.clone(),
        _ => value.clone(),
    }
}

fn table(texts: &[&str], numbers: &[&str], key: &str) -> Value {
    let mut columns = Map::new();
    for name in texts {
        columns.insert((*name).to_owned(), json!({"type": "string"}));
    }
    for name in numbers {
        columns.insert((*name).to_owned(), json!({"type": "integer"}));
    }
    let map = json!({"key": "string", "value": "string", "min": 0, "max": "unlimited"});
    columns.insert("metadata".to_owned(), json!({ "type": map }));
    json!({"columns": columns, "indexes": [[key]], "isRoot": true})
}

fn port_table() -> Value {
    table(
        &[
            "name",
            "mac",
            "bridge",
            "ip_addr",
            "subnet_mask",
            "gateway",
            "alias",
            "nuage_domain",
            "nuage_network",
            "nuage_zone",
            "nuage_network_type",
        ],
        &["evpn_id", "vrf_id", "dirty", "vm_domain"],
        "name",
    )
}

fn vm_table() -> Value {
    let mut table = table(
        &["vm_uuid", "vm_name", "nuage_user", "nuage_enterprise"],
        &[
            "type",
            "domain",
            "event",
            "event_type",
            "state",
            "reason",
            "dirty",
        ],
        "vm_uuid",
    );
    table["columns"]["ports"] = json!({"type": {"key": "string", "min": 0, "max": "unlimited"}});
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_switch_has_its_bridge_and_both_tables_and_comes_back() {
        let node = Node::unplugged("switch");
        let mut ovs = Ovs::start(&node, OvsPlan::default());
        let bridge = &ovs.rows(&node, "Bridge")[0];
        assert_eq!(bridge["name"], "alubr0");
        assert_eq!(bridge["datapath_type"], "netdev");
        assert!(node.has_link("alubr0"));
        let root = &ovs.rows(&node, "Open_vSwitch")[0];
        let plan = ovs.plan().clone();
        let ids = json!({"hostname": plan.hostname, "system-id": plan.system_id});
        assert_eq!(root["external_ids"], ids);

        node.run("ip link add nln1-1 type veth peer name nln1-2");
        ovs.vsctl(&node, "add-port alubr0 nln1-1");
        assert_eq!(ovs.ports(&node), ["nln1-1"]);
        let row = json!({"name": "nln1-1", "mac": "7a:42:00:00:00:01"});
        let insert = json!({"op": "insert", "table": "Nuage_Port_Table", "row": row});
        ovs.transact(&node, std::slice::from_ref(&insert));
        ovs.resolve(&node, "nln1-1", "192.0.2.7", "255.255.255.0", "192.0.2.1");
        ovs.kill_server();
        ovs.restart_server(&node);
        ovs.listen_on_tcp(&node);
        let names = node.run("ovsdb-client list-dbs tcp:127.0.0.1:6633");
        assert!(names.starts_with("Open_vSwitch\n"), "{names}");
        let port = &ovs.rows(&node, "Nuage_Port_Table")[0];
        assert_eq!(port["ip_addr"], "192.0.2.7");
        assert_eq!(port["metadata"], json!({}));
        ovs.stop_server();
        ovs.restart_server_without_data(&node);
        assert_eq!(ovs.rows(&node, "Nuage_Port_Table"), Vec::<Value>::new());
        assert_eq!(ovs.rows(&node, "Nuage_VM_Table"), Vec::<Value>::new());
        assert_eq!(ovs.rows(&node, "Bridge")[0]["name"], "alubr0");
    }
}
