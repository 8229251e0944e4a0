//! What networks are made of, for `net ls` and `net show` (specification 5.1, 5.3).

use crate::address::bridge_address;
use crate::known::{Known, nodes};
use crate::routed::{Share, Underlay};
use crate::{Catalog, Entry, Source};
use fairlead_config::{Config, KeyPath, Network, NetworkKind, Section, keywords};
use fairlead_kernel::Route;
use serde::Serialize;
use serde_json::{Map, Value, json};

/// The networks by name, each with its configuration and its CNI file.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Listing(pub Map<String, Value>);

/// A node of a tree to show.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Branch {
    /// The key, or the place in a list.
    pub label: String,
    /// The value, for a leaf.
    pub value: Option<String>,
    /// What is below.
    pub branches: Vec<Branch>,
}

impl Listing {
    /// All networks, or the one with that name; an unknown name gives none. `known` says
    /// where the other nodes are.
    #[must_use]
    pub fn new(config: &Config, known: &Known, catalog: &Catalog, name: Option<&str>) -> Self {
        let place = Place::of(config, known);
        let asked = |entry: &&Entry| name.is_none_or(|name| entry.name == name);
        let entries = catalog.networks.iter().filter(asked);
        Self(
            entries
                .map(|entry| (entry.name.clone(), describe(&place, entry)))
                .collect(),
        )
    }

    /// The names, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// The same as a tree titled `networks`; none when there is no network.
    #[must_use]
    pub fn tree(&self) -> Option<Branch> {
        let title = "networks".to_owned();
        (!self.0.is_empty()).then(|| branch(title, &Value::Object(self.0.clone())))
    }
}

fn branch(label: String, value: &Value) -> Branch {
    let branches = match value {
        Value::Object(map) => map.iter().map(|(key, v)| branch(key.clone(), v)).collect(),
        Value::Array(list) => {
            let items = list.iter().enumerate();
            items.map(|(i, v)| branch(i.to_string(), v)).collect()
        }
        _ => Vec::new(),
    };
    let text = match value {
        Value::Object(_) | Value::Array(_) => None,
        Value::Null => Some(String::new()),
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    };
    Branch {
        label,
        value: text,
        branches,
    }
}

/// This node, as far as it decides by which ways others are reached.
struct Place<'a> {
    config: &'a Config,
    known: &'a Known,
    nodes: Vec<String>,
    underlay: Underlay,
}

impl<'a> Place<'a> {
    fn of(config: &'a Config, known: &'a Known) -> Self {
        // Without a look at the kernel there are no ways to show.
        let look = || {
            let mut route = Route::open().ok()?;
            Some((route.links().ok()?, route.addresses(0).ok()?))
        };
        let (links, addresses) = look().unwrap_or_default();
        Self {
            config,
            known,
            nodes: nodes(config),
            underlay: Underlay::of(&links, &addresses),
        }
    }

    /// The routes of a routed bridge (specification 5.1), and what cannot be reached.
    fn routes(&self, network: &Network, tables: &[String]) -> (Vec<Value>, Vec<Value>) {
        let node = (self.config.node(), self.nodes.as_slice());
        let (share, problems) = Share::of(network, node, self.known, &self.underlay);
        let errors = problems.iter().map(|p| p.to_string().into()).collect();
        let Some(share) = share else {
            return (Vec::new(), errors);
        };
        let bridge = network.bridge.as_ref().map(ToString::to_string);
        let own = bridge_address(share.segment).addr();
        let mut routes = Vec::new();
        for table in tables {
            routes.push(json!({"node": node.0, "dst": share.segment, "dev": bridge,
                "brdev": bridge, "table": table}));
            for path in &share.paths {
                let (gw, local, tunnel) = path.way.parts(share.device.as_ref());
                routes.push(json!({"node": path.node, "dst": path.segment, "gw": gw,
                    "local_ip": local, "brdev": bridge, "brip": own, "table": table,
                    "tunnel": tunnel, "mtu": path.mtu}));
            }
        }
        (routes, errors)
    }
}

fn describe(place: &Place<'_>, entry: &Entry) -> Value {
    let config = place.config;
    let mut all = Map::new();
    if let Some(file) = entry.file() {
        all.insert(
            "cni".into(),
            json!({
                "cf": file.path.display().to_string(),
                "mtime": file.modified,
                "data": file.list.to_value(),
            }),
        );
    }
    let mut own = Map::new();
    own.insert("type".into(), entry.kind().into());
    own.insert("network".into(), entry.network().into());
    match &entry.source {
        Source::Declared { network, .. } => {
            declared(config, network, &mut own);
            all.insert("config".into(), own.into());
            if let Some(routed) = &network.routed {
                let (routes, errors) = place.routes(network, &routed.tables);
                all.insert("routes".into(), routes.into());
                if !errors.is_empty() {
                    all.insert("errors".into(), errors.into());
                }
                all.insert("tables".into(), json!(routed.tables));
            }
        }
        Source::Found(_) => {
            all.insert("config".into(), own.into());
        }
        Source::Broken { path, reason } => {
            all.insert("config".into(), own.into());
            all.insert(
                "cni".into(),
                json!({"cf": path.display().to_string(), "error": reason.to_string()}),
            );
        }
    }
    Value::Object(all)
}

/// Every keyword of the type as it counts on this node; one without a value is null.
/// Those that each node has a value of are objects by node.
fn declared(config: &Config, network: &Network, own: &mut Map<String, Value>) {
    let section = format!("network#{}", network.name);
    let keywords = keywords().iter().filter(|k| k.section == Section::Network);
    for keyword in keywords.filter(|k| k.networks.contains(&network.kind)) {
        let option = keyword.option;
        if matches!(option, "type" | "network" | "subnet" | "gateway" | "addr") {
            continue;
        }
        let value = config.eval(&KeyPath::new(&section, option)).ok().flatten();
        own.insert(option.into(), json!(value));
    }
    if let (NetworkKind::RoutedBridge, Some(routed)) = (network.kind, &network.routed) {
        own.insert("subnets".into(), json!(routed.subnets));
        own.insert("gateway".into(), json!(routed.gateways));
        own.insert("addr".into(), json!(routed.endpoints));
    }
    if let Some(bridge) = &network.bridge {
        own.insert("dev".into(), json!(bridge.as_str()));
    }
}
