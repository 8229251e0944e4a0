//! What is to be done so that the networks of Docker's are on every node, or go: decided from
//! what is known, without asking anybody.

use fairlead_cluster::CarriedNetwork;
use fairlead_store::DockerNetwork;
use std::collections::BTreeSet;

/// What is known.
#[derive(Debug, Clone, Copy)]
pub(super) struct Known<'a> {
    /// The networks that are to be on every node.
    pub(super) carried: &'a [CarriedNetwork],
    /// The networks that this node has recorded.
    pub(super) records: &'a [DockerNetwork],
    /// The ids of those that the engine has.
    pub(super) here: &'a BTreeSet<String>,
    /// The origins of those that were removed here, until the cluster knows.
    pub(super) removed: &'a BTreeSet<String>,
    /// Whether networks are made on every node at all.
    pub(super) makes: bool,
}

/// Something to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// Have the network of this id made on every node.
    Carry(DockerNetwork),
    /// Make a copy here.
    Make(CarriedNetwork),
    /// Remove the network of this id from the engine.
    Remove(String),
    /// Forget a network that nobody has any more.
    Forget(CarriedNetwork),
    /// Forget the record of one that the engines share and somebody removed elsewhere.
    Drop(DockerNetwork),
}

impl Step {
    /// What it is about: a step that failed is not tried again at once.
    pub(super) fn about(&self) -> String {
        match self {
            Self::Carry(record) => format!("carry/{}", record.id),
            Self::Make(carried) => format!("make/{}", carried.origin),
            Self::Remove(id) => format!("remove/{id}"),
            Self::Forget(carried) => format!("forget/{}", carried.origin),
            Self::Drop(record) => format!("drop/{}", record.id),
        }
    }
}

/// Decides. What counts as being here is on the engine and recorded: a record alone may be
/// of an engine that lost everything, which then gets the network anew.
pub(super) fn plan(known: Known<'_>) -> Vec<Step> {
    let is_here = |record: &&DockerNetwork| known.here.contains(&record.id);
    let here = || known.records.iter().filter(is_here);
    let mut steps = Vec::new();
    if known.makes {
        let is_told = |record: &&DockerNetwork| {
            let mut carried = known.carried.iter();
            record.origin.is_some()
                || known.removed.contains(&record.id)
                || carried.any(|carried| carried.origin == record.id)
        };
        let untold = here().filter(|record| !is_told(record));
        steps.extend(untold.cloned().map(Step::Carry));
    }
    for carried in known.carried {
        let of_it = |record: &&DockerNetwork| record.first_id() == carried.origin;
        let copies: Vec<&DockerNetwork> = here().filter(of_it).collect();
        match &carried.request {
            // The engines took it from their store; ours tells of it to nobody here.
            None if carried.leaving => {
                let left = known.records.iter().filter(of_it);
                let left: Vec<Step> = left.cloned().map(Step::Drop).collect();
                if left.is_empty() {
                    steps.push(Step::Forget(carried.clone()));
                }
                steps.extend(left);
            }
            Some(_) if known.makes => {
                let leaving = carried.leaving || known.removed.contains(&carried.origin);
                match (leaving, copies.is_empty()) {
                    (true, true) if carried.leaving => steps.push(Step::Forget(carried.clone())),
                    (false, true) => steps.push(Step::Make(carried.clone())),
                    (true, false) => {
                        let ids = copies.iter().map(|record| record.id.clone());
                        steps.extend(ids.map(Step::Remove));
                    }
                    _ => {}
                }
            }
            _ => {}
        }
    }
    steps
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn record(id: &str, origin: Option<&str>) -> DockerNetwork {
        DockerNetwork {
            origin: origin.map(str::to_owned),
            ..crate::network::plain(id, "web")
        }
    }

    fn carried(origin: &str, shared: bool, leaving: bool) -> CarriedNetwork {
        CarriedNetwork {
            origin: origin.into(),
            name: origin.into(),
            node: "n1".into(),
            record: record(origin, None),
            request: (!shared).then(|| json!({"Name": origin})),
            leaving,
        }
    }

    fn steps(carried: &[CarriedNetwork], records: &[DockerNetwork], here: &[&str]) -> Vec<String> {
        planned(carried, records, here, &[], true)
    }

    fn planned(
        carried: &[CarriedNetwork],
        records: &[DockerNetwork],
        here: &[&str],
        removed: &[&str],
        makes: bool,
    ) -> Vec<String> {
        let set = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect();
        let (here, removed) = (set(here), set(removed));
        let known = Known {
            carried,
            records,
            here: &here,
            removed: &removed,
            makes,
        };
        plan(known).iter().map(Step::about).collect()
    }

    #[test]
    fn a_network_of_this_node_is_carried_once() {
        let records = [record("a", None)];
        assert_eq!(steps(&[], &records, &["a"]), ["carry/a"]);
        let known = [carried("a", false, false)];
        assert!(steps(&known, &records, &["a"]).is_empty());
        assert!(planned(&[], &records, &["a"], &[], false).is_empty());
        assert!(planned(&[], &records, &["a"], &["a"], true).is_empty());
        // A copy whose origin nobody knows any more stays what it is.
        assert!(steps(&[], &[record("b", Some("a"))], &["b"]).is_empty());
    }

    #[test]
    fn a_network_of_another_node_is_made_here_while_there_is_none() {
        let known = [carried("a", false, false)];
        assert_eq!(steps(&known, &[], &[]), ["make/a"]);
        let copy = [record("b", Some("a"))];
        assert!(steps(&known, &copy, &["b"]).is_empty());
        assert!(planned(&known, &[], &[], &["a"], true).is_empty());
        assert!(planned(&known, &[], &[], &[], false).is_empty());
        // The engine lost its copy, or the network that was made on it.
        assert_eq!(steps(&known, &copy, &[]), ["make/a"]);
        assert_eq!(steps(&known, &[record("a", None)], &[]), ["make/a"]);
    }

    #[test]
    fn a_network_that_leaves_goes_from_here_and_is_forgotten_then() {
        let known = [carried("a", false, true)];
        assert_eq!(steps(&known, &[record("a", None)], &["a"]), ["remove/a"]);
        assert_eq!(
            steps(&known, &[record("b", Some("a"))], &["b"]),
            ["remove/b"]
        );
        assert_eq!(steps(&known, &[], &[]), ["forget/a"]);
        // Removed here, which the cluster was not told yet.
        let known = [carried("a", false, false)];
        assert!(planned(&known, &[], &[], &["a"], true).is_empty());
        let copy = [record("b", Some("a"))];
        assert_eq!(planned(&known, &copy, &["b"], &["a"], true), ["remove/b"]);
    }

    #[test]
    fn a_network_that_engines_share_is_never_made_and_its_record_goes_after_it() {
        let mut known = [carried("a", true, false)];
        let records = [record("a", None)];
        assert!(steps(&known, &records, &[]).is_empty());
        assert!(steps(&known, &records, &["a"]).is_empty());
        known[0].leaving = true;
        // Whether the engine lists it still or not.
        for here in [&["a"][..], &[]] {
            assert_eq!(planned(&known, &records, here, &[], false), ["drop/a"]);
        }
        assert_eq!(planned(&known, &[], &[], &[], false), ["forget/a"]);
    }
}
