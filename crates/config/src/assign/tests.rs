use super::*;
use fairlead_types::Root;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

fn config(cluster: &str, local: &str) -> Config {
    let read = |text| Document::parse(text).unwrap();
    Config::from_documents(&Root::default(), "n1", read(cluster), read(local))
}

fn texts(assignment: &Assignment) -> Vec<String> {
    let text = |a: &Assigned| format!("{} {} {}", a.network, a.node, a.segment);
    assignment.assigned.iter().map(text).collect()
}

/// What the cluster's networks of this text get.
fn given(cluster: &str) -> Vec<String> {
    let assignment = assign_segments(&config(cluster, ""), Target::Cluster);
    assert_eq!(assignment.problems, []);
    texts(&assignment)
}

#[test]
fn the_documents_examples_come_out() {
    let v4 = "[cluster]\nnodes = n1 n2 n3\n[network#b]\ntype = routed_bridge\nnetwork = 10.11.0.0/16\nips_per_node = 1024\n";
    assert_eq!(
        given(v4),
        [
            "b n1 10.11.0.0/22",
            "b n2 10.11.4.0/22",
            "b n3 10.11.8.0/22"
        ]
    );
    let v6 =
        "[cluster]\nnodes = n1 n2 n3\n[network#b]\ntype = routed_bridge\nnetwork = fd00:1::/112\n";
    assert_eq!(
        given(v6),
        [
            "b n1 fd00:1::/118",
            "b n2 fd00:1::400/118",
            "b n3 fd00:1::800/118"
        ]
    );
}

#[test]
fn what_is_taken_stays_and_the_first_free_slot_is_next() {
    let network = "[network#b]\ntype = routed_bridge\nnetwork = 10.11.0.0/16\n";
    let text = format!(
        "[cluster]\nnodes = n4 n1 n5\n{network}subnet@n1 = 10.11.4.0/22\nsubnet@gone = 10.11.0.0/22\nsubnet@odd = 10.11.9.0/24\n"
    );
    assert_eq!(given(&text), ["b n4 10.11.12.0/22", "b n5 10.11.16.0/22"]);
    let wide = format!("[cluster]\nnodes = n1 n2\n{network}subnet@n1 = 10.11.0.0/17\n");
    assert_eq!(given(&wide), ["b n2 10.11.128.0/22"]);
}

#[test]
fn a_node_of_its_own_is_the_cluster() {
    let network = "[network#b]\ntype = routed_bridge\nnetwork = 10.11.0.0/16\n";
    assert_eq!(given(network), ["b n1 10.11.0.0/22"]);
    let local = config("[cluster]\nnodes = n2 n1\n", network);
    assert_eq!(
        assign_segments(&local, Target::Cluster),
        Assignment::default()
    );
    assert_eq!(
        texts(&assign_segments(&local, Target::Node)),
        ["b n1 10.11.0.0/22"],
        "a network of node.conf is this node's"
    );
    let both = config(
        &format!("[cluster]\nnodes = n2 n1\n{network}"),
        "[network#b]\nnetwork = 10.12.0.0/16\n",
    );
    assert_eq!(
        texts(&assign_segments(&both, Target::Cluster)),
        ["b n2 10.11.0.0/22", "b n1 10.11.4.0/22"],
        "node.conf decides nothing in the cluster"
    );
    assert_eq!(assign_segments(&both, Target::Node), Assignment::default());
}

#[test]
fn a_full_range_names_network_node_and_cure() {
    let text = "[cluster]\nnodes = n1 n2\n[network#b]\ntype = routed_bridge\nnetwork = 10.11.0.0/23\nips_per_node = 256\n\
                subnet@gone = 10.11.0.0/24\n";
    let assignment = assign_segments(&config(text, ""), Target::Cluster);
    assert_eq!(texts(&assignment), ["b n1 10.11.1.0/24"]);
    assert_eq!(
        assignment.problems[0].to_string(),
        "network#b.subnet@n2: node n2 can have no segment of /24 in 10.11.0.0/23: all are taken; widen the range, \
         set ips_per_node lower, or free the segment of a node that left with 'fairlead net release' (nodes that left: gone)"
    );
    assert_eq!(assignment.problems.len(), 1);
}

#[test]
fn the_end_of_the_numbers_is_no_overflow() {
    let v4 = "[cluster]\nnodes = n1 n2 n3\n[network#b]\ntype = routed_bridge\nnetwork = 255.255.0.0/16\nmask_per_node = 18\n\
              ips_per_node = 4\nsubnet@x = 255.255.128.0/17\n";
    let v4 = v4
        .replace("mask_per_node = 18\n", "")
        .replace("ips_per_node = 4", "ips_per_node = 16384");
    let assignment = assign_segments(&config(&v4, ""), Target::Cluster);
    assert_eq!(
        texts(&assignment),
        ["b n1 255.255.0.0/18", "b n2 255.255.64.0/18"]
    );
    assert_eq!(assignment.problems.len(), 1);
    let v6 = "[cluster]\nnodes = n1 n2\n[network#b]\ntype = routed_bridge\nnetwork = ffff:ffff:ffff:ffff:ffff:ffff:ffff:fff8/125\nips_per_node = 4\n";
    let v6 = v6.replace(
        "ffff:ffff:ffff:ffff:ffff:ffff:ffff:fff8/125",
        "fdff:ffff:ffff:ffff:ffff:ffff:ffff:fff8/125",
    );
    assert_eq!(given(&v6).len(), 2);
}

#[test]
fn a_faulty_network_gets_nothing_and_keeps_nobody_else_from_it() {
    let text = "[cluster]\nnodes = n1\n[network#a]\ntype = routed_bridge\nnetwork = 10.11.0.0/16\nips_per_node = 1000\n\
                [network#c]\ntype = routed_bridge\nnetwork = none\n[network#d]\ntype = routed_bridge\n\
                [network#e]\ntype = routed_bridge\nnetwork = 10.12.0.0/16\nsubnet@n9 = 10.13.0.0/24\n\
                [network#b]\ntype = routed_bridge\nnetwork = 10.14.0.0/16\n";
    assert_eq!(given(text), ["b n1 10.14.0.0/22"]);
}

#[test]
fn a_change_gives_segments_and_a_later_one_moves_none() {
    let set = |text: &str| Change::Set(text.parse().unwrap());
    let first = [
        set("cluster.nodes=n1 n2"),
        set("network#b.type=routed_bridge"),
        set("network#b.network=10.11.0.0/22"),
        set("network#b.ips_per_node=512"),
    ];
    let (one, assigned) = changed_with_segments(&config("", ""), &first).unwrap();
    assert_eq!(assigned.len(), 2);
    let (two, assigned) = changed_with_segments(&one.config, &[set("cluster.nodes=n2")]).unwrap();
    assert_eq!(assigned, []);
    assert_eq!(
        stored_segments(two.config.document(Target::Cluster), "b"),
        [("n1", "10.11.0.0/23"), ("n2", "10.11.2.0/23")]
    );
    let full = changed_with_segments(&two.config, &[set("cluster.nodes+=n3")]);
    let Err(ConfigError::Refused { problems, .. }) = full else {
        panic!("{full:?}");
    };
    assert!(
        problems[0].to_string().contains("nodes that left: n1"),
        "{problems:?}"
    );
    let drop = Change::Unset("network#b.subnet@n1".parse().unwrap());
    // What a release does.
    let free = changed(&two.config, Target::Cluster, &[drop])
        .unwrap()
        .config;
    let (_, assigned) = changed_with_segments(&free, &[set("cluster.nodes+=n3")]).unwrap();
    assert_eq!(assigned[0].segment.to_string(), "10.11.0.0/23");
}

#[test]
fn a_thousand_nodes_and_several_networks_are_quick() {
    use std::fmt::Write;
    let names: Vec<String> = (0..1000).map(|i| format!("node{i}")).collect();
    let mut text = format!("[cluster]\nnodes = {}\n", names.join(" "));
    for i in 0..5 {
        let _ = write!(
            text,
            "[network#b{i}]\ntype = routed_bridge\nnetwork = 10.{}.0.0/14\nips_per_node = 256\n",
            32 + 4 * i
        );
    }
    let start = Instant::now();
    let (result, assigned) = changed_with_segments(&config(&text, ""), &[]).unwrap();
    assert_eq!(assigned.len(), 5000);
    let again = assign_segments(&result.config, Target::Cluster);
    assert_eq!(again, Assignment::default());
    // An unoptimised build on a busy machine; quadratic work takes minutes.
    assert!(
        start.elapsed() < Duration::from_secs(10),
        "{:?}",
        start.elapsed()
    );
    eprintln!("5,000 segments of 1,000 nodes: {:?}", start.elapsed());
}

/// Nodes come, go and change places; the result of each step goes into the next.
fn grow(network: &str, per_node: u64, steps: &[Vec<u8>]) -> Vec<BTreeMap<String, IpNet>> {
    let mut text = format!(
        "[network#b]\ntype = routed_bridge\nnetwork = {network}\nips_per_node = {per_node}\n"
    );
    let mut states = Vec::new();
    for nodes in steps {
        let mut names: Vec<String> = nodes.iter().map(|n| format!("n{n}")).collect();
        names.dedup();
        let mut document = Document::parse(&text).unwrap();
        document.set("cluster", "nodes", &names.join(" ")).unwrap();
        let before = config(&document.to_string(), "");
        let assignment = assign_segments(&before, Target::Cluster);
        assert_eq!(assignment, assign_segments(&before, Target::Cluster));
        for a in &assignment.assigned {
            document
                .set(
                    "network#b",
                    &format!("subnet@{}", a.node),
                    &a.segment.to_string(),
                )
                .unwrap();
        }
        text = document.to_string();
        let stored = stored_segments(&document, "b");
        states.push(
            stored
                .iter()
                .map(|(n, s)| ((*n).to_owned(), s.parse().unwrap()))
                .collect(),
        );
    }
    states
}

proptest! {
    #[test]
    fn segments_are_apart_inside_aligned_and_never_move(
        v4 in any::<bool>(),
        bits in 2u32..7,
        room in 3u32..6,
        steps in proptest::collection::vec(proptest::collection::vec(0u8..12, 1..8), 1..8),
    ) {
        let prefix = if v4 { 32 } else { 128 } - bits - room;
        let range: IpNet = match v4 {
            true => format!("10.9.0.0/{prefix}"),
            false => format!("fd00:9::/{prefix}"),
        }
        .parse()
        .unwrap();
        let states = grow(&range.to_string(), 1 << bits, &steps);
        let wanted = range.max_prefix_len() - u8::try_from(bits).unwrap();
        let mut before: BTreeMap<String, IpNet> = BTreeMap::new();
        for (state, nodes) in states.iter().zip(&steps) {
            for (node, segment) in &before {
                prop_assert_eq!(state.get(node), Some(segment), "moved");
            }
            let all: Vec<_> = state.values().collect();
            for (i, a) in all.iter().enumerate() {
                prop_assert!(range.contains(*a));
                prop_assert_eq!((a.prefix_len(), a.trunc()), (wanted, **a));
                for b in &all[..i] {
                    prop_assert!(!a.contains(*b) && !b.contains(*a));
                }
            }
            // A node goes without only where everything is taken.
            let slots = 1_usize << room;
            let lacking = nodes.iter().any(|n| !state.contains_key(&format!("n{n}")));
            prop_assert!(!lacking || state.len() == slots);
            before.clone_from(state);
        }
    }
}

#[test]
fn a_segment_stays_while_its_network_is_declared() {
    let text = "[cluster]\nnodes = n1 n2\n[network#b]\ntype = routed_bridge\n\
                network = 10.11.0.0/16\nsubnet@n1 = 10.11.0.0/22\nsubnet@n2 = bad\n";
    let before = Config::from_documents(
        &Root::new("/nowhere"),
        "n1",
        Document::parse(text).unwrap(),
        Document::default(),
    );
    let set = |text: &str| Change::Set(text.parse().unwrap());
    let unset = |text: &str| Change::Unset(text.parse().unwrap());
    for refused in [
        set("network#b.subnet@n1=10.11.8.0/22"),
        set("network#b.subnet@N1=10.11.8.0/22"),
        unset("network#b.subnet@n1"),
    ] {
        let told = changed_with_segments(&before, std::slice::from_ref(&refused))
            .unwrap_err()
            .to_string();
        let cure = "net release --name b --node n1";
        assert!(told.contains(cure), "{refused:?}: {told}");
    }
    for allowed in [
        vec![set("network#b.subnet@n1=10.11.0.0/22")],
        vec![set("network#b.subnet@n3=10.11.8.0/22")],
        vec![set("network#b.subnet@n2=10.11.4.0/22")],
        vec![Change::Delete("network#b".to_owned())],
    ] {
        changed_with_segments(&before, &allowed).unwrap();
    }
}
