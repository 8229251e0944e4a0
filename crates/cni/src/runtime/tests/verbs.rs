//! The verbs, on plugins in process.

use super::*;
use serde_json::Value;

struct Fixture {
    plugins: Recorders,
    cache: MemoryCache,
}

impl Fixture {
    fn new() -> Self {
        Self {
            plugins: Recorders::new(),
            cache: MemoryCache::default(),
        }
    }

    fn runtime(&self) -> Runtime<'_> {
        runtime(&self.plugins, &self.cache, Path::new("/no/such/dir"))
    }

    fn records(&self) -> usize {
        self.cache.records.borrow().len()
    }
}

#[test]
fn add_hands_the_result_from_plugin_to_plugin() {
    for version in ["0.2.0", "0.3.1", "1.1.0"] {
        let f = Fixture::new();
        let list = list(version, &["a", "b", "c"]);
        let result = f.runtime().add_list(&list, &params()).unwrap();
        let names: Vec<_> = result.interfaces.iter().map(|i| i.name.as_str()).collect();
        assert_eq!(names, ["a", "b", "c"]);
        let calls = f.plugins.take();
        assert_eq!(previous(&calls[0].1), None);
        assert_eq!(previous(&calls[1].1).unwrap(), ["a"]);
        assert_eq!(previous(&calls[2].1).unwrap(), ["a", "b"]);
        for (word, call) in calls {
            assert!(word.ends_with(" ADD"));
            assert_eq!(call.owner().unwrap(), params().owner(&list.name));
            assert_eq!(call.netns().unwrap(), Path::new("/run/netns/c1"));
            assert_eq!(call.args.raw(), "IP=10.0.0.9");
            assert_eq!(call.version.as_str(), version);
            let mac = json!({"mac": "02:00:00:00:00:01"});
            assert_eq!(call.config.raw().get("runtimeConfig"), Some(&mac));
        }
        let records = f.cache.records.borrow();
        let record = records.values().next().unwrap();
        assert_eq!(record.result().unwrap(), Some(result));
        assert_eq!(record.params(), params());
        let config: Value = serde_json::from_slice(&record.config).unwrap();
        assert_eq!(config, list.to_value());
    }
}

#[test]
fn a_chain_that_fails_is_undone_in_reverse_but_for_the_built_in_plugin_that_failed() {
    type Case = (
        &'static str,
        &'static [&'static str],
        Option<&'static [&'static str]>,
    );
    let cases: [Case; 3] = [
        ("a ADD", &["a ADD"], None),
        ("b ADD", &["a ADD", "b ADD", "a DEL"], Some(&["a"])),
        (
            "c ADD",
            &["a ADD", "b ADD", "c ADD", "b DEL", "a DEL"],
            Some(&["a", "b"]),
        ),
    ];
    for (failing, words, result) in cases {
        for version in ["0.3.1", "0.4.0"] {
            let f = Fixture::new();
            f.plugins.fail(failing);
            let list = list(version, &["a", "b", "c"]);
            let error = f.runtime().add_list(&list, &params()).unwrap_err();
            let protocol = CniError::from(&error);
            assert_eq!(protocol.code, Code(117));
            let name = &failing[..1];
            assert_eq!(
                error.to_string(),
                format!("add to network net: ADD of plugin {name} (its error 117): no {failing}")
            );
            let calls = f.plugins.take();
            let found: Vec<_> = calls.iter().map(|(w, _)| w.as_str()).collect();
            assert_eq!(found, words);
            let wanted = result.filter(|_| version == "0.4.0");
            for (_, call) in calls.iter().filter(|(w, _)| w.ends_with("DEL")) {
                let names = previous(call);
                assert_eq!(names.is_some(), wanted.is_some());
                assert_eq!(names.unwrap_or_default(), wanted.unwrap_or_default());
            }
            assert_eq!(f.records(), 0);
        }
    }
}

#[test]
fn an_undo_that_fails_goes_on_and_both_errors_are_kept() {
    let f = Fixture::new();
    for failing in ["c ADD", "b DEL"] {
        f.plugins.fail(failing);
    }
    let list = list("1.0.0", &["a", "b", "c"]);
    let error = f.runtime().add_list(&list, &params()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "add to network net: ADD of plugin c (its error 117): no c ADD; undoing it failed too: \
         DEL of plugin b (its error 117): no b DEL"
    );
    assert_eq!(f.plugins.words().last().unwrap(), "a DEL");
    // The record stays for whoever cleans up.
    assert_eq!(f.records(), 1);
    f.plugins.mend();
    let owner = params().owner(&list.name);
    f.runtime().del_recorded(&owner).unwrap();
    assert_eq!(f.plugins.words(), ["c DEL", "b DEL", "a DEL"]);
    assert_eq!(f.records(), 0);
}

#[test]
fn a_record_that_cannot_be_kept_undoes_the_chain() {
    for (failing, words) in [(1, &[][..]), (2, &["a ADD", "b ADD", "b DEL", "a DEL"][..])] {
        let f = Fixture::new();
        f.cache.store_fails.set(failing);
        let list = list("1.0.0", &["a", "b"]);
        let error = f.runtime().add_list(&list, &params()).unwrap_err();
        let wanted =
            "store the record of container c1 interface eth0 on network net: the disk is full";
        assert!(error.to_string().ends_with(wanted), "{error}");
        assert_eq!(CniError::from(&error).code, Code::IO_FAILURE);
        assert_eq!(f.plugins.words(), words);
        assert_eq!(f.records(), 0);
    }
}

#[test]
fn a_second_add_is_refused_and_touches_nothing() {
    let f = Fixture::new();
    let list = list("1.0.0", &["a"]);
    f.runtime().add_list(&list, &params()).unwrap();
    f.plugins.take();
    let error = f.runtime().add_list(&list, &params()).unwrap_err();
    assert!(matches!(error, RuntimeError::AlreadyAttached { .. }));
    assert_eq!(f.plugins.words(), [""; 0]);
    assert_eq!(f.records(), 1);
}

#[test]
fn arguments_that_cannot_be_passed_are_refused_first() {
    let f = Fixture::new();
    let mut params = params();
    params.args.push(("A".into(), "1;B=2".into()));
    let error = f
        .runtime()
        .add_list(&list("1.0.0", &["a"]), &params)
        .unwrap_err();
    assert!(matches!(error, RuntimeError::Arguments { .. }));
    assert_eq!((f.plugins.words().len(), f.records()), (0, 0));
}

#[test]
fn del_runs_in_reverse_with_the_result_of_add_from_0_4_0_on() {
    for (version, wanted) in [("0.3.1", None), ("0.4.0", Some(["a", "b"]))] {
        let f = Fixture::new();
        let list = list(version, &["a", "b"]);
        f.runtime().add_list(&list, &params()).unwrap();
        f.plugins.take();
        f.runtime().del_list(&list, &params()).unwrap();
        let calls = f.plugins.take();
        let words: Vec<_> = calls.iter().map(|(w, _)| w.as_str()).collect();
        assert_eq!(words, ["b DEL", "a DEL"]);
        for (_, call) in &calls {
            let wanted = wanted.map(|w| w.map(str::to_owned).to_vec());
            assert_eq!(previous(call), wanted);
        }
        assert_eq!(f.records(), 0);
        // Once more, with nothing attached.
        f.runtime().del_list(&list, &params()).unwrap();
        assert_eq!(f.plugins.words(), ["b DEL", "a DEL"]);
    }
}

#[test]
fn del_goes_on_to_the_end_and_keeps_the_record_of_a_failure() {
    let f = Fixture::new();
    let list = list("1.0.0", &["a", "b", "c"]);
    f.runtime().add_list(&list, &params()).unwrap();
    f.plugins.take();
    f.plugins.fail("c DEL");
    f.plugins.fail("a DEL");
    let error = f.runtime().del_list(&list, &params()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "DEL on network net: DEL of plugin c (its error 117): no c DEL; DEL of plugin a (its error 117): no a DEL"
    );
    assert_eq!(CniError::from(&error).code, Code(117));
    assert_eq!(f.plugins.words(), ["c DEL", "b DEL", "a DEL"]);
    assert_eq!(f.records(), 1);
}

#[test]
fn del_works_from_the_record_alone() {
    let f = Fixture::new();
    let list = list("1.0.0", &["a", "b"]);
    let owner = params().owner(&list.name);
    f.runtime().del_recorded(&owner).unwrap();
    assert_eq!(f.plugins.words(), [""; 0]);
    f.runtime().add_list(&list, &params()).unwrap();
    f.plugins.take();
    f.runtime().del_recorded(&owner).unwrap();
    let calls = f.plugins.take();
    assert_eq!(calls[0].0, "b DEL");
    assert_eq!(calls[0].1.args.raw(), "IP=10.0.0.9");
    assert_eq!(previous(&calls[1].1).unwrap(), ["a", "b"]);
    assert_eq!(f.records(), 0);
}

#[test]
fn a_damaged_record_is_an_error_of_its_own_and_no_hindrance_to_del() {
    let f = Fixture::new();
    let list = list("1.0.0", &["a"]);
    let owner = params().owner(&list.name);
    f.runtime().add_list(&list, &params()).unwrap();
    f.plugins.take();
    let damage = |config: bool| {
        let mut records = f.cache.records.borrow_mut();
        let record = records.get_mut(&owner).unwrap();
        record.result = Some(json!({"ips": 3}));
        if config {
            record.config = b"{".to_vec();
        }
    };
    damage(false);
    let error = f.runtime().check_list(&list, &params()).unwrap_err();
    assert!(matches!(error, RuntimeError::RecordedResult { .. }));
    damage(true);
    let error = f.runtime().del_recorded(&owner).unwrap_err();
    assert!(matches!(error, RuntimeError::RecordedConfig { .. }));
    f.runtime().del_list(&list, &params()).unwrap();
    assert_eq!(f.plugins.words(), ["a DEL"]);
    assert_eq!(f.records(), 0);
}

#[test]
fn check_asks_in_order_with_the_result_of_add() {
    let f = Fixture::new();
    let mut list = list("0.4.0", &["a", "b", "c"]);
    let error = f.runtime().check_list(&list, &params()).unwrap_err();
    assert!(matches!(error, RuntimeError::NotAttached { .. }));
    f.runtime().add_list(&list, &params()).unwrap();
    f.plugins.take();
    f.runtime().check_list(&list, &params()).unwrap();
    let calls = f.plugins.take();
    assert_eq!(calls.len(), 3);
    for (_, call) in calls {
        assert_eq!(previous(&call).unwrap(), ["a", "b", "c"]);
    }
    f.plugins.fail("b CHECK");
    let error = f.runtime().check_list(&list, &params()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "CHECK of plugin b (its error 117): no b CHECK"
    );
    assert_eq!(f.plugins.words(), ["a CHECK", "b CHECK"]);
    list.disable_check = true;
    f.runtime().check_list(&list, &params()).unwrap();
    assert_eq!(f.plugins.words(), [""; 0]);
    list.cni_version = SpecVersion::V0_3_1;
    let error = f.runtime().check_list(&list, &params()).unwrap_err();
    assert!(matches!(error, RuntimeError::CheckTooEarly { .. }));
}

fn attach(f: &Fixture, list: &ConfList, container: &str) -> AttachmentId {
    let mut params = params();
    params.container = ContainerId::new(container).unwrap();
    f.runtime().add_list(list, &params).unwrap();
    f.plugins.take();
    AttachmentId {
        container: container.to_owned(),
        ifname: "eth0".to_owned(),
    }
}

#[test]
fn gc_takes_off_who_is_not_valid_and_tells_the_plugins_who_is() {
    let f = Fixture::new();
    let list = list("1.1.0", &["a", "b"]);
    let keep = attach(&f, &list, "keep");
    attach(&f, &list, "gone");
    let mut other = list.clone();
    other.name = NetworkName::new("other").unwrap();
    attach(&f, &other, "elsewhere");
    let valid = [keep];
    let gone = f.runtime().gc_list(&list, &valid).unwrap();
    assert_eq!(gone.len(), 1);
    assert_eq!(gone[0].container.as_str(), "gone");
    let calls = f.plugins.take();
    let words: Vec<_> = calls.iter().map(|(w, _)| w.as_str()).collect();
    assert_eq!(words, ["b DEL", "a DEL", "a GC", "b GC"]);
    for (_, call) in &calls[2..] {
        let named = call.config.valid_attachments().unwrap().unwrap();
        assert_eq!(named, valid);
        assert!(call.owner().is_err() && call.netns().is_err());
    }
    assert_eq!(f.records(), 2);
}

#[test]
fn gc_goes_on_to_the_end() {
    let f = Fixture::new();
    let list = list("1.1.0", &["a", "b"]);
    attach(&f, &list, "one");
    f.plugins.fail("b DEL");
    f.plugins.fail("a GC");
    let error = f.runtime().gc_list(&list, &[]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "GC on network net: DEL on network net: DEL of plugin b (its error 117): no b DEL; GC of plugin a (its error 117): no a GC"
    );
    assert_eq!(f.plugins.words(), ["b DEL", "a DEL", "a GC", "b GC"]);
    assert_eq!(f.records(), 1);
}

#[test]
fn gc_is_as_the_list_and_its_version_allow() {
    let f = Fixture::new();
    let mut list = list("1.0.0", &["a"]);
    attach(&f, &list, "one");
    list.disable_gc = true;
    assert_eq!(f.runtime().gc_list(&list, &[]).unwrap(), []);
    assert_eq!(f.plugins.words(), [""; 0]);
    list.disable_gc = false;
    f.cache
        .records
        .borrow_mut()
        .values_mut()
        .next()
        .unwrap()
        .config = b"{".to_vec();
    assert_eq!(f.runtime().gc_list(&list, &[]).unwrap().len(), 1);
    assert_eq!(f.plugins.words(), ["a DEL"]);
}

#[test]
fn status_ends_at_the_first_that_says_no() {
    let f = Fixture::new();
    let mut list = list("1.1.0", &["a", "b", "c"]);
    f.runtime().status_list(&list).unwrap();
    assert_eq!(f.plugins.words(), ["a STATUS", "b STATUS", "c STATUS"]);
    f.plugins.fail("b STATUS");
    let error = f.runtime().status_list(&list).unwrap_err();
    assert_eq!(CniError::from(&error).code, Code(117));
    assert_eq!(f.plugins.words(), ["a STATUS", "b STATUS"]);
    list.cni_version = SpecVersion::V1_0_0;
    f.runtime().status_list(&list).unwrap();
    assert_eq!(f.plugins.words(), [""; 0]);
}

#[test]
fn a_list_without_plugins_is_refused() {
    let f = Fixture::new();
    let mut list = list("1.0.0", &["a"]);
    list.plugins.clear();
    let error = f.runtime().add_list(&list, &params()).unwrap_err();
    assert!(matches!(error, RuntimeError::NoPlugin { .. }));
    assert_eq!(f.records(), 0);
}
