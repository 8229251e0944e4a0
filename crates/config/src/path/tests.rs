use super::*;
use proptest::prelude::*;

fn path(text: &str) -> KeyPath {
    text.parse().unwrap()
}

#[test]
fn a_path_splits_on_the_last_dot_before_the_scope() {
    assert_eq!(path("cluster.dns"), KeyPath::new("cluster", "dns"));
    assert_eq!(path("id"), KeyPath::new("DEFAULT", "id"));
    assert_eq!(
        path("network#a.b.type"),
        KeyPath::new("network#a.b", "type")
    );
    assert_eq!(
        path("network#a.b.addr@n1.example.org"),
        KeyPath::new("network#a.b", "addr").at("n1.example.org")
    );
    let indexed = path("cluster.dns@n1[2]");
    assert_eq!(indexed.index, Some(2));
    assert_eq!(indexed.key(), "dns@n1");
    assert_eq!(indexed.to_string(), "cluster.dns@n1[2]");
}

#[test]
fn a_bad_change_is_named() {
    for (text, reason) in [
        ("cluster.name", "no operator"),
        ("", "no operator"),
        ("=1", "names no keyword"),
        ("cluster.=1", "names no keyword"),
        (".name=1", "names no keyword"),
        ("cluster.na me=1", "character ' '"),
        ("cluster.name@=1", "empty scope"),
        ("cluster.name@a/b=1", "character '/'"),
        ("cluster.dns[x]=1", "no usable index"),
        ("cluster.dns[-1]=1", "no usable index"),
        ("cluster.dns[]=1", "no usable index"),
        ("cluster.dns]=1", "no usable index"),
        ("cluster.dns[99999999999999999999]=1", "no usable index"),
        ("cluster.dns[0]-=1", "index with the operator '-='"),
        ("cluster.dns[0]|=1", "index with the operator '|='"),
        ("network#.type=bridge", "names no network"),
        ("a]b.type=1", "section name"),
        ("a\n.type=1", "section name"),
    ] {
        let message = text.parse::<KeyOp>().unwrap_err().to_string();
        assert!(message.contains(reason), "{text:?}: {message}");
        assert!(
            message.contains(&format!("{text:?}")),
            "{text:?}: {message}"
        );
    }
}

#[test]
fn the_operators_are_read() {
    let op = |text: &str| {
        let op: KeyOp = text.parse().unwrap();
        (op.path.to_string(), op.operator, op.value)
    };
    let dns = || "cluster.dns".to_owned();
    assert_eq!(op("cluster.dns=1"), (dns(), Operator::Assign, "1".into()));
    assert_eq!(op("cluster.dns+=1"), (dns(), Operator::Append, "1".into()));
    assert_eq!(
        op("cluster.dns|=1 2"),
        (dns(), Operator::Merge, "1 2".into())
    );
    assert_eq!(op("cluster.dns-=1"), (dns(), Operator::Remove, "1".into()));
    assert_eq!(op("cluster.dns^=1"), (dns(), Operator::Toggle, "1".into()));
    assert_eq!(
        op("cluster.dns[0]+=9"),
        (dns(), Operator::Insert(0), "9".into())
    );
    assert_eq!(
        op("cluster.dns[3]=9"),
        (dns(), Operator::Insert(3), "9".into())
    );
    assert_eq!(
        op("cluster.dns=a=b"),
        (dns(), Operator::Assign, "a=b".into())
    );
    assert_eq!(op("cluster.dns="), (dns(), Operator::Assign, String::new()));
}

/// The results that the specification (1.3) notes from a run of the Python agent.
#[test]
fn the_operators_do_what_the_agent_did() {
    let mut dns = Operator::Assign.apply("", "1");
    for _ in 0..2 {
        dns = Operator::Append.apply(&dns, "2");
    }
    assert_eq!(dns, "1 2 2");
    assert_eq!(Operator::Merge.apply(&dns, "2"), "1 2 2");
    assert_eq!(Operator::Merge.apply(&dns, "3 4"), "1 2 2 3 4");
    assert_eq!(Operator::Insert(0).apply(&dns, "9"), "9 1 2 2");
    assert_eq!(Operator::Insert(7).apply(&dns, "9"), "1 2 2 9");
    assert_eq!(Operator::Remove.apply(&dns, "2"), "1 2");
    assert_eq!(Operator::Remove.apply(&dns, "5"), "1 2 2");
    assert_eq!(Operator::Toggle.apply(&dns, "2"), "1");
    assert_eq!(Operator::Toggle.apply(&dns, "3 1"), "2 2 3");
}

proptest! {
    #[test]
    fn a_path_reads_back(
        section in "(cluster|network#[a-z.]{1,6}x)",
        option in "[a-z_]{1,8}",
        scope in proptest::option::of("[a-z][a-z.-]{0,8}"),
        index in proptest::option::of(0usize..100),
    ) {
        let path = KeyPath { section, option, scope, index };
        prop_assert_eq!(path.to_string().parse::<KeyPath>(), Ok(path));
    }

    #[test]
    fn any_text_is_read_or_refused_by_name(text in "(?s).{0,30}") {
        if let Err(error) = text.parse::<KeyOp>() {
            let quoted = format!("{text:?}");
            prop_assert!(error.to_string().contains(&quoted), "{}", error);
        }
    }

    #[test]
    fn toggle_twice_and_merge_then_remove_are_nothing(list in "([a-d] ){0,5}", new in "[e-h]") {
        let list = list.split_whitespace().collect::<Vec<_>>().join(" ");
        let twice = |op: Operator| op.apply(&op.apply(&list, &new), &new);
        prop_assert_eq!(twice(Operator::Toggle), list.clone());
        prop_assert_eq!(Operator::Remove.apply(&Operator::Merge.apply(&list, &new), &new), list.clone());
        prop_assert_eq!(twice(Operator::Merge), Operator::Append.apply(&list, &new));
    }
}
