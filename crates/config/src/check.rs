//! The check of a whole configuration: every fault at once.

use crate::file::{Layer, Target};
use crate::keyword::{Lookup, lookup};
use crate::{Config, ConfigError, NetworkKind, Problem, Reason, Section};
use fairlead_types::NetworkName;
use std::collections::BTreeSet;

/// Everything that is wrong with what `target` declares, as this node and, for the
/// cluster's file, every other node sees it.
pub(crate) fn problems(config: &Config, target: Target) -> Vec<Problem> {
    let mut found = stored(config, target.into());
    found.extend(config.networks().1);
    if let (Target::Node, Err(ConfigError::Value(problem))) = (target, config.etcd()) {
        found.push(*problem);
    }
    if target == Target::Cluster {
        // A reference may lead into node.conf, which other nodes have their own of.
        let judged =
            |p: &Problem| !matches!(*p.reason, Reason::Reference(_) | Reason::Index { .. });
        for node in views(config) {
            let (_, other) = config.of_cluster(&node).networks();
            found.extend(other.into_iter().filter(judged));
        }
    }
    let mut unique = Vec::new();
    for problem in found {
        if !unique.contains(&problem) {
            unique.push(problem);
        }
    }
    unique
}

/// The nodes whose networks may differ: this one, and those that a range is
/// scoped to, one for each group.
fn views(config: &Config) -> BTreeSet<String> {
    let document = config.document(Target::Cluster);
    let mut nodes = BTreeSet::from([config.node().to_owned()]);
    let first = |group| {
        let text = document.get("cluster", group).unwrap_or_default();
        text.split_whitespace().next().map(str::to_owned)
    };
    for section in document.sections().filter(|s| s.starts_with("network#")) {
        let keys = document.options(section).map(|(key, _)| key);
        for scope in keys.filter_map(|key| key.strip_prefix("network@")) {
            match scope {
                "nodes" | "drpnodes" => nodes.extend(first(scope)),
                node => {
                    nodes.insert(node.to_owned());
                }
            }
        }
    }
    nodes
}

/// What is wrong with the keywords stored in one file, each for itself.
pub(crate) fn stored(config: &Config, layer: Layer) -> Vec<Problem> {
    let Some(document) = config.layer(layer) else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for name in document.sections() {
        let problem = |reason| Problem {
            section: name.to_owned(),
            option: None,
            value: None,
            reason: Box::new(reason),
        };
        let (section, unknown) = match layer {
            Layer::File(_) => (Section::of(name), Reason::UnknownSection),
            Layer::Service => (Section::of_service(name), Reason::NoResource),
        };
        let Some(section) = section else {
            found.push(problem(unknown));
            continue;
        };
        if section == Section::Env {
            continue;
        }
        if (section, layer) == (Section::Etcd, Target::Cluster.into()) {
            found.push(problem(Reason::NodeOnly));
        }
        let own_type = document.get(name, "type").map(NetworkKind::parse);
        let kind = own_type.unwrap_or_else(|| config.kind_of(name)).ok();
        let network = name.strip_prefix("network#").map(NetworkName::new);
        if let Some(Err(e)) = network {
            found.push(problem(e.into()));
        }
        for (key, raw) in document.options(name) {
            let problem = |reason| Problem {
                option: Some(key.to_owned()),
                value: Some(raw.to_owned()),
                ..problem(reason)
            };
            keyword(config, section, kind, key, &mut |reason| {
                found.push(problem(reason));
            });
            let option = key.split('@').next().unwrap_or(key);
            let node = evaluating_node(config, key);
            let pair = (key.to_owned(), Some(raw.to_owned()));
            let known = matches!(lookup(section, option, kind), Lookup::Known(_));
            if known {
                found.extend(config.convert_stored(name, option, pair, node).err());
            }
        }
    }
    found
}

/// The node that a key is for, as far as it names one.
fn evaluating_node<'a>(config: &'a Config, key: &'a str) -> &'a str {
    match key.split_once('@') {
        Some((_, "nodes" | "drpnodes")) | None => config.node(),
        Some((_, node)) => node,
    }
}

/// Judges the name and scope of a key.
fn keyword(
    config: &Config,
    section: Section,
    kind: Option<NetworkKind>,
    key: &str,
    report: &mut dyn FnMut(Reason),
) {
    let (option, scope) = match key.split_once('@') {
        Some((option, scope)) => (option, Some(scope)),
        None => (key, None),
    };
    let scopable = match lookup(section, option, kind) {
        Lookup::Known(keyword) => keyword.scopable,
        Lookup::OtherType(types) => {
            if let Some(kind) = kind {
                report(Reason::OtherType { kind, types });
            }
            return;
        }
        Lookup::Unknown => return report(Reason::UnknownKeyword),
    };
    let Some(scope) = scope else { return };
    if !scopable {
        return report(Reason::Unscopable);
    }
    // The segment of a node that left is its own until it is released.
    let known = config.is_in("nodes", scope)
        || config.is_in("drpnodes", scope)
        || matches!(scope, "nodes" | "drpnodes")
        || option == "subnet";
    if known {
        return;
    }
    let nodes = config.cluster_nodes();
    if !nodes.is_empty() {
        report(Reason::UnknownNode {
            scope: scope.to_owned(),
            nodes: nodes.join(" "),
        });
    }
}
