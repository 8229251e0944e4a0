//! Two histories of the configuration that become one, after etcd was restored from an
//! older state: what nodes were given in either stays theirs.

use crate::cluster::Stored;
use crate::{Cluster, ClusterError};
use fairlead_config::{
    Change, Config, ConfigError, Document, KeyOp, KeyPath, Mirror, Operator, Target, changed,
    stored_segments,
};
use std::collections::BTreeSet;

impl Cluster {
    /// The text and the generation that come of what etcd has and of what was mirrored,
    /// where the first is older. The one that was changed more often counts; segments
    /// that only the other one has are kept as far as they are free.
    ///
    /// # Errors
    /// [`ClusterError::SegmentLost`] if this node's own segment is another's there.
    pub(crate) fn reconciled(
        &self,
        stored: &Stored,
        record: &Mirror,
    ) -> Result<(String, u64), ClusterError> {
        let local = Target::Node.read(&self.root)?;
        let config = Config::from_documents(&self.root, &self.node, Document::default(), local);
        let ours = config.with_text(Target::Cluster, &record.text)?;
        let theirs = config.with_text(Target::Cluster, &stored.text)?;
        let is_newer = stored.generation >= record.generation;
        let (base, text, generation) = match is_newer {
            true => (&theirs, &stored.text, stored.generation),
            false => (&ours, &record.text, record.generation),
        };
        let other = if is_newer { &ours } else { &theirs };
        let merged = merged(base, other.document(Target::Cluster), is_newer)?;
        if is_newer {
            self.check_own_segments(ours.document(Target::Cluster), &merged)?;
        }
        let (before, after) = (
            base.document(Target::Cluster),
            merged.document(Target::Cluster),
        );
        match before == after {
            true => Ok((text.clone(), generation)),
            false => Ok((after.to_string(), generation + 1)),
        }
    }

    /// Refuses a configuration in which a segment of this node is another's or moved.
    fn check_own_segments(&self, own: &Document, merged: &Config) -> Result<(), ClusterError> {
        let merged = merged.document(Target::Cluster);
        let key = format!("subnet@{}", self.node);
        for section in networks(own).filter(|section| merged.has_section(section)) {
            let (before, after) = (own.get(section, &key), merged.get(section, &key));
            if let Some(before) = before.filter(|before| after != Some(*before)) {
                return Err(ClusterError::SegmentLost {
                    network: section.trim_start_matches("network#").to_owned(),
                    node: self.node.clone(),
                    segment: before.to_owned(),
                });
            }
        }
        Ok(())
    }
}

fn networks(document: &Document) -> impl Iterator<Item = &str> {
    document.sections().filter(|s| s.starts_with("network#"))
}

/// `base` with the segments that only `other` has, and the nodes that only it knows. With
/// `sections` also the networks with segments that only it has: what is torn down is not
/// given back to containers.
fn merged(base: &Config, other: &Document, sections: bool) -> Result<Config, ClusterError> {
    let own = base.document(Target::Cluster);
    let mut additions: Vec<Vec<Change>> = Vec::new();
    let mut nodes: BTreeSet<&str> = BTreeSet::new();
    for section in networks(other) {
        let stored = stored_segments(other, section.trim_start_matches("network#"));
        let is_new = !own.has_section(section);
        if stored.is_empty() || (is_new && !sections) {
            continue;
        }
        let mut whole = Vec::new();
        for (node, segment) in stored {
            let key = KeyPath::new(section, "subnet").at(node);
            if own.get(section, &key.key()).is_none() {
                nodes.insert(node);
                if !is_new {
                    additions.push(vec![set(key, Operator::Assign, segment)]);
                }
            }
        }
        if is_new {
            for (option, value) in other.options(section) {
                let path = match option.split_once('@') {
                    Some((option, scope)) => KeyPath::new(section, option).at(scope),
                    None => KeyPath::new(section, option),
                };
                whole.push(set(path, Operator::Assign, value));
            }
            additions.push(whole);
        }
    }
    let list = other.get("cluster", "nodes").unwrap_or_default();
    let is_unknown = |node: &&str| {
        let key = format!("subnet@{node}");
        !base.cluster_nodes().contains(node) && networks(own).all(|s| own.get(s, &key).is_none())
    };
    let members = list.split_whitespace().filter(|n| nodes.contains(n));
    for node in members.filter(is_unknown) {
        let path = KeyPath::new("cluster", "nodes");
        additions.push(vec![set(path, Operator::Merge, node)]);
    }
    added(base, &additions)
}

/// All additions at once, or else those that fit, one after the other.
fn added(base: &Config, additions: &[Vec<Change>]) -> Result<Config, ClusterError> {
    match changed(base, Target::Cluster, &additions.concat()) {
        Ok(done) => return Ok(done.config),
        Err(ConfigError::Refused { .. }) => {}
        Err(e) => return Err(e.into()),
    }
    let mut config = base.clone();
    for addition in additions {
        match changed(&config, Target::Cluster, addition) {
            Ok(done) => config = done.config,
            // What others have by now.
            Err(ConfigError::Refused { .. }) => {}
            Err(e) => return Err(e.into()),
        }
    }
    Ok(config)
}

fn set(path: KeyPath, operator: Operator, value: &str) -> Change {
    Change::Set(KeyOp {
        path,
        operator,
        value: value.to_owned(),
    })
}
