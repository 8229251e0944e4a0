//! Names of nodes are lower case, as a node's own name is: a file may say `Node1`.

use crate::Document;

/// The keywords of `[cluster]` that hold names of nodes.
const LISTS: [&str; 2] = ["nodes", "drpnodes"];

/// Whether an option holds names of nodes.
pub(crate) fn is_list(section: &str, option: &str) -> bool {
    section == "cluster" && LISTS.contains(&option.split('@').next().unwrap_or(option))
}

/// The document with the names of nodes in lower case: those in lists, and the scopes. A
/// scope that is there in lower case too is left alone, as nothing reads it.
pub(crate) fn lowered(mut document: Document) -> Document {
    let mut changes = Vec::new();
    for section in document.sections() {
        for (option, value) in document.options(section) {
            let (name, scope) = match option.split_once('@') {
                Some((name, scope)) => (name, Some(scope)),
                None => (option, None),
            };
            let scope = scope.filter(|s| s.chars().any(char::is_uppercase));
            let key = scope.map_or_else(
                || option.to_owned(),
                |scope| format!("{name}@{}", scope.to_lowercase()),
            );
            let to = match is_list(section, option) {
                true => value.to_lowercase(),
                false => value.to_owned(),
            };
            let is_taken = scope.is_some() && document.get(section, &key).is_some();
            if (key != option || to != value) && !is_taken {
                changes.push((section.to_owned(), option.to_owned(), key, to));
            }
        }
    }
    for (section, option, key, value) in changes {
        // The new one goes first: a section without options would end.
        let set = document.set(&section, &key, &value);
        if set.is_ok() && key != option {
            document.unset(&section, &option);
        }
    }
    document
}

#[cfg(test)]
mod tests {
    use crate::{Config, Document, Target, assign_segments, changed};
    use fairlead_types::Root;

    fn config(text: &str) -> Config {
        let document = Document::parse(text).unwrap();
        Config::from_documents(&Root::new("/nowhere"), "node1", document, <_>::default())
    }

    #[test]
    fn nodes_are_the_same_in_capitals() {
        let config = config(
            "[cluster]\nnodes = Node1 NODE2\n[network#b]\ntype = routed_bridge\n\
             network = 10.11.0.0/16\nsubnet@Node1 = 10.11.8.0/22\naddr@NODE2 = 192.0.2.2\n",
        );
        assert_eq!(config.cluster_nodes(), ["node1", "node2"]);
        let (networks, problems) = config.networks();
        assert_eq!(problems, []);
        let network = networks.iter().find(|n| n.name.as_str() == "b").unwrap();
        let routed = network.routed.as_ref().unwrap();
        assert_eq!(routed.subnets["node1"].to_string(), "10.11.8.0/22");
        assert_eq!(routed.endpoints["node2"], "192.0.2.2");
        let given = assign_segments(&config, Target::Cluster).assigned;
        assert_eq!(given.len(), 1);
        assert_eq!(given[0].node, "node2");
    }

    #[test]
    fn nodes_are_set_in_lower_case() {
        let before = config("[cluster]\nnodes = node1\n");
        let set = |text: &str| crate::Change::Set(text.parse().unwrap());
        let changes = [
            set("cluster.nodes|=Node1"),
            set("cluster.nodes+=Node2"),
            set("network#b.addr@Node2=192.0.2.2"),
        ];
        let after = changed(&before, Target::Cluster, &changes).unwrap().config;
        assert_eq!(after.cluster_nodes(), ["node1", "node2"]);
        let document = after.document(Target::Cluster);
        assert_eq!(document.get("network#b", "addr@node2"), Some("192.0.2.2"));
    }

    #[test]
    fn a_scope_that_is_there_in_lower_case_counts() {
        let text = "[network#b]\naddr@Node1 = n1\naddr@node1 = n2\n";
        let config = config(text);
        assert_eq!(config.document(Target::Cluster).to_string(), text);
    }
}
