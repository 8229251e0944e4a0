//! Ranges that are nearly used up.

use super::{Finding, configuration};
use crate::{AttachError, Node};
use fairlead_cni::ConfList;
use fairlead_ipam::{IpamConfig, IpamError, Usage, pool_usage};
use fairlead_networks::{Catalog, Source};
use serde_json::Value;

pub(super) fn pools(node: &Node, found: &mut Vec<Finding>) -> Result<(), AttachError> {
    for entry in Catalog::read(node.config())?.networks {
        let list = match &entry.source {
            // One that cannot be generated has no addresses, and is a finding elsewhere.
            Source::Declared { network, .. } => {
                fairlead_networks::generate(network, node.config().node(), None).ok()
            }
            Source::Found(file) => Some(file.list.clone()),
            Source::Broken { .. } => None,
        };
        let wider = match &entry.source {
            Source::Declared { .. } => {
                configuration::set_of_network(node, &entry.name, "network=WIDER_CIDR")
            }
            _ => "widen the range in its CNI file".to_owned(),
        };
        for usage in list.iter().flat_map(|list| usages(node, list)) {
            match usage {
                Ok(usage) => found.extend(judge(&entry.name, &wider, usage)),
                Err(IpamError::Store(error)) => return Err(error.into()),
                Err(error) => {
                    let subject = format!("pool of network {}", entry.name);
                    found.push(Finding::problem(subject, error.to_string()));
                }
            }
        }
    }
    Ok(())
}

/// How much of each range set of a list is used.
fn usages(node: &Node, list: &ConfList) -> Vec<Result<Usage, IpamError>> {
    let plugins = list
        .plugins
        .iter()
        .filter(|p| p.ipam_type() == Some("host-local"));
    let of = |plugin: &fairlead_cni::PluginEntry| {
        let config = IpamConfig::from_value(&Value::Object(plugin.raw().clone()), "")?;
        let pool = config.pool(node.host().root(), &list.name);
        let usage = node
            .host()
            .store(|store| Ok(pool_usage(&store.view(), &pool, &config.ranges)));
        usage?
    };
    plugins
        .flat_map(|plugin| match of(plugin) {
            Ok(usages) => usages.into_iter().map(Ok).collect(),
            Err(error) => vec![Err(error)],
        })
        .collect()
}

fn judge(network: &str, wider: &str, usage: Usage) -> Option<Finding> {
    let Usage { used, size } = usage;
    let used = u128::from(used);
    // Nine tenths, without overflow at any size.
    if used < size - size / 10 {
        return None;
    }
    let what = format!("{used} of {size} addresses are used");
    let subject = format!("pool of network {network}");
    let finding = match used < size {
        true => Finding::note(subject, what),
        false => Finding::problem(subject, format!("{what}: nothing more can be attached")),
    };
    Some(finding.cured_by(format!(
        "fairlead gc, and where that frees too little, {wider}"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Severity;

    #[test]
    fn a_pool_is_noted_from_nine_tenths_on() {
        let severity = |used, size| judge("web", "", Usage { used, size }).map(|f| f.severity);
        assert_eq!(severity(0, 253), None);
        assert_eq!(severity(227, 253), None);
        assert_eq!(severity(228, 253), Some(Severity::Note));
        assert_eq!(severity(9, 10), Some(Severity::Note));
        assert_eq!(severity(253, 253), Some(Severity::Problem));
        assert_eq!(severity(u64::MAX, u128::MAX), None);
        assert_eq!(severity(1, 1), Some(Severity::Problem));
    }
}
