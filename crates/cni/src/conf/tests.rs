use super::*;
use crate::{CniError, Code, SpecVersion};
use fairlead_types::NetworkName;
use serde_json::{Map, Value, json};
use std::fs;
use std::path::Path;

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(object) => object,
        other => panic!("{other}"),
    }
}

fn net(value: Value) -> NetConf {
    NetConf::from_object(object(value)).unwrap()
}

#[test]
fn a_plugin_sees_what_it_shares_with_others() {
    let conf = net(json!({
        "cniVersion": "1.0.0", "name": "n", "type": "bridge",
        "ipam": {"type": "host-local"}, "dns": {"domain": "lan"},
        "capabilities": {"ips": true, "mac": false},
        "runtimeConfig": {"ips": ["10.0.0.2"], "mac": null},
        "args": {"cni": {"ips": ["10.0.0.3"]}},
        "prevResult": {"cniVersion": "1.0.0", "ips": [{"address": "10.0.0.2/24"}]},
        "cni.dev/valid-attachments": [{"containerID": "c", "ifname": "eth0"}],
        "mtu": 1400,
    }));
    assert_eq!(conf.version(), SpecVersion::V1_0_0);
    assert_eq!(conf.plugin_type(), "bridge");
    assert_eq!(conf.ipam_type(), Some("host-local"));
    assert_eq!(conf.dns().unwrap().domain, "lan");
    assert!(conf.has_capability("ips") && !conf.has_capability("mac"));
    assert_eq!(conf.runtime_config("ips"), Some(&json!(["10.0.0.2"])));
    assert_eq!(conf.runtime_config("mac"), None);
    assert_eq!(conf.cni_arg("ips"), Some(&json!(["10.0.0.3"])));
    assert_eq!(conf.previous().unwrap().unwrap().ips.len(), 1);
    let valid = conf.valid_attachments().unwrap().unwrap();
    assert_eq!(valid[0].ifname, "eth0");
    assert_eq!(conf.get::<u32>("mtu"), Ok(Some(1400)));
    let error = conf.get::<bool>("mtu").unwrap_err();
    assert_eq!(error.code, Code::INTERNAL);
    assert!(error.msg.starts_with("failed to load netconf: mtu: "));
}

#[test]
fn a_plugin_decodes_its_own_keys() {
    #[derive(serde::Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Own<'a> {
        #[serde(borrow)]
        bridge: &'a str,
        is_gateway: bool,
    }
    let conf = net(json!({"name": "n", "bridge": "cni0", "isGateway": true}));
    let own: Own<'_> = conf.decode().unwrap();
    assert_eq!((own.bridge, own.is_gateway), ("cni0", true));
    let conf = net(json!({"name": "n", "bridge": "cni0", "isGateway": "yes"}));
    let error = conf.decode::<Own<'_>>().map(|_| ()).unwrap_err();
    assert_eq!(error.code, Code::INTERNAL);
}

#[test]
fn the_result_before_is_the_same_in_memory_and_as_text() {
    let previous = crate::CniResult {
        interfaces: vec![crate::Interface::new("eth0")],
        ..Default::default()
    };
    let conf = NetConf::new(
        NetworkName::new("n").unwrap(),
        SpecVersion::V0_4_0,
        object(json!({"type": "portmap", "prevResult": "old"})),
    );
    let conf = conf.with_previous(Some(previous.clone()));
    assert_eq!(conf.previous().unwrap().as_deref(), Some(&previous));
    let text: Value = serde_json::from_slice(&conf.to_vec()).unwrap();
    assert_eq!(text["prevResult"]["cniVersion"], "0.4.0");
    let read = net(text);
    assert_eq!(read.previous().unwrap().as_deref(), Some(&previous));
    assert_eq!(read.name().as_str(), "n");
}

#[test]
fn a_bad_value_is_an_error_where_it_is_read() {
    let conf = net(json!({
        "name": "n", "prevResult": {"ips": 1}, "dns": 1, "cni.dev/valid-attachments": 1,
    }));
    let codes = [
        conf.previous().unwrap_err().code,
        conf.dns().unwrap_err().code,
        conf.valid_attachments().unwrap_err().code,
    ];
    assert_eq!(
        codes,
        [
            Code::DECODING_FAILURE,
            Code::DECODING_FAILURE,
            Code::INTERNAL
        ]
    );
    let error = NetConf::from_object(object(json!({"name": "n", "cniVersion": "8.0.0"})));
    assert_eq!(error.unwrap_err().code, Code::INCOMPATIBLE_VERSION);
    let long = "a".repeat(300);
    let error = NetConf::from_object(object(json!({"name": long})));
    assert_eq!(error.unwrap_err().code, Code::INVALID_NETWORK_CONFIG);
}

#[test]
fn a_list_is_read_and_written() {
    let given = json!({
        "cniVersion": "1.1.0", "cniVersions": ["0.4.0", "1.1.0"], "name": "dbnet",
        "disableCheck": true, "vendor": {"a": 1},
        "plugins": [
            {"type": "bridge", "ipam": {"type": "host-local"}, "capabilities": {"ips": true}},
            {"type": "portmap", "capabilities": {"portMappings": true, "off": false}},
        ],
    });
    let list = ConfList::from_value(given.clone()).unwrap();
    assert_eq!(list.cni_version, SpecVersion::V1_1_0);
    assert!(list.disable_check && !list.disable_gc);
    assert_eq!(list.plugins[0].ipam_type(), Some("host-local"));
    assert_eq!(list.capabilities(), ["ips", "portMappings"]);
    assert_eq!(list.validate(), []);
    assert_eq!(list.to_value(), given);
    assert_eq!(ConfList::from_value(list.to_value()).unwrap(), list);
}

#[test]
fn a_request_has_name_version_and_the_capabilities_taken() {
    let list = ConfList::from_value(json!({
        "cniVersion": "0.4.0", "name": "n",
        "plugins": [{"type": "portmap", "own": [1], "capabilities": {"portMappings": true}}],
    }))
    .unwrap();
    let args = object(json!({"portMappings": [{"hostPort": 1}], "bandwidth": {}}));
    let conf = list.plugins[0].request(&list, &args, None);
    assert_eq!(
        Value::Object(conf.raw().clone()),
        json!({
            "type": "portmap", "own": [1], "capabilities": {"portMappings": true},
            "cniVersion": "0.4.0", "name": "n",
            "runtimeConfig": {"portMappings": [{"hostPort": 1}]},
        })
    );
    let conf = list.plugins[0].request(&list, &Map::new(), None);
    assert!(!conf.raw().contains_key("runtimeConfig"));
}

#[test]
fn the_newest_known_version_is_spoken() {
    let version = |one: Value, several: Value| {
        ConfList::from_value(json!({
            "cniVersion": one, "cniVersions": several, "name": "n",
            "plugins": [{"type": "a"}],
        }))
        .map(|l| l.cni_version)
    };
    let cases = [
        (
            json!("0.4.0"),
            json!(["0.3.1", "1.0.0"]),
            SpecVersion::V1_0_0,
        ),
        (json!("0.4.0"), json!(["9.0.0"]), SpecVersion::V0_4_0),
        (json!("9.0.0"), json!(["0.4.0"]), SpecVersion::V0_4_0),
        (json!(null), json!(["0.3.1"]), SpecVersion::V0_3_1),
        (json!(null), json!(null), SpecVersion::V0_1_0),
        (json!(""), json!([]), SpecVersion::V0_1_0),
    ];
    for (one, several, wanted) in cases {
        assert_eq!(version(one, several).unwrap(), wanted);
    }
    let error = version(json!("9.0.0"), json!([])).unwrap_err();
    assert_eq!(CniError::from(&error).code, Code::INCOMPATIBLE_VERSION);
    assert!(version(json!("junk"), json!(["0.4.0"])).is_err());
    assert!(version(json!("0.4.0"), json!(["junk"])).is_err());
}

#[test]
fn every_fault_is_found_at_once() {
    let error = ConfList::from_value(json!({
        "cniVersion": 1, "name": "a/b", "disableGC": "maybe",
        "plugins": [
            {"capabilities": {"ips": 1}},
            {"type": "../evil", "ipam": {"type": 3}},
            {"type": "ok", "dns": {"search": 1}, "ipam": []},
            "bridge",
        ],
    }))
    .unwrap_err();
    let ConfError::Invalid { faults, .. } = &error else {
        panic!("{error}");
    };
    let places: Vec<_> = faults.iter().map(|f| f.at.as_str()).collect();
    assert_eq!(
        places,
        [
            "name",
            "cniVersion",
            "disableGC",
            "plugins[0].capabilities.ips",
            "plugins[0].type",
            "plugins[1].ipam.type",
            "plugins[1].type",
            "plugins[2].ipam",
            "plugins[2].dns",
            "plugins[3]",
        ]
    );
    let text = error.to_string();
    assert!(text.contains("plugins[1].type: \"../evil\" cannot be the name of a plugin"));
    assert_eq!(CniError::from(&error).code, Code::INVALID_NETWORK_CONFIG);
}

#[test]
fn what_a_list_should_not_have_is_reported() {
    let list = ConfList::from_value(json!({
        "cniVersion": "0.3.1", "name": "n", "disableCheck": true, "disableGC": "TRUE",
        "plugins": [{
            "type": "a", "runtimeConfig": {}, "prevResult": {}, "cni.dev/x": 1,
            "name": "m", "cniVersion": "0.3.1",
        }],
    }))
    .unwrap();
    let faults: Vec<_> = list.validate().iter().map(Fault::to_string).collect();
    assert_eq!(
        faults,
        [
            "disableCheck: needs cniVersion 0.4.0 or later, the list has 0.3.1",
            "disableGC: needs cniVersion 1.1.0 or later, the list has 0.3.1",
            "plugins[0].runtimeConfig: is set by the runtime, remove it",
            "plugins[0].prevResult: is set by the runtime, remove it",
            "plugins[0].cni.dev/x: is set by the runtime, remove it",
            "plugins[0].name: is \"m\", but the list has \"n\"; remove it",
        ]
    );
}

fn write(dir: &Path, name: &str, text: &str) {
    let path = dir.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

#[test]
fn a_directory_is_loaded_in_order_and_a_broken_file_hides_no_other() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    write(
        dir,
        "20-b.conf",
        r#"{"cniVersion":"0.4.0","name":"b","type":"bridge"}"#,
    );
    write(
        dir,
        "10-a.conflist",
        r#"{"name":"a","plugins":[{"type":"ptp"}]}"#,
    );
    write(dir, "30-c.json", r#"{"name":"c","type":"macvlan"}"#);
    write(dir, "05-bad.conflist", "{\"name\":");
    write(dir, "06-bad.conf", r#"{"name":"x"}"#);
    write(dir, "note.txt", "nothing");
    fs::create_dir(dir.join("sub.conf")).unwrap();
    let loaded = load_directory(dir).unwrap();
    let names: Vec<_> = loaded.lists.iter().map(|(_, l)| l.name.as_str()).collect();
    assert_eq!(names, ["a", "b", "c"]);
    let broken: Vec<_> = loaded.broken.iter().map(|(_, e)| e.to_string()).collect();
    assert!(broken[0].contains("05-bad.conflist") && broken[0].contains("line 1"));
    assert!(broken[1].contains("06-bad.conf"), "{}", broken[1]);
    assert_eq!(broken.len(), 2);
    let b = loaded.find(&NetworkName::new("b").unwrap()).unwrap();
    assert_eq!(b.plugins[0].plugin_type(), "bridge");
    let missing = loaded.find(&NetworkName::new("d").unwrap()).unwrap_err();
    assert!(missing.to_string().contains("05-bad.conflist"));
    let empty = load_directory(&dir.join("none")).unwrap();
    assert!(empty.lists.is_empty() && empty.broken.is_empty());
}

#[test]
fn of_two_files_with_one_network_the_list_wins() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "10.conf", r#"{"name":"a","type":"single"}"#);
    write(
        dir.path(),
        "20.conflist",
        r#"{"name":"a","plugins":[{"type":"first"}]}"#,
    );
    write(
        dir.path(),
        "30.conflist",
        r#"{"name":"a","plugins":[{"type":"second"}]}"#,
    );
    let loaded = load_directory(dir.path()).unwrap();
    let list = loaded.find(&NetworkName::new("a").unwrap()).unwrap();
    assert_eq!(list.plugins[0].plugin_type(), "first");
}

#[test]
fn files_beside_a_list_add_plugins_to_it() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    write(
        dir,
        "a.conflist",
        r#"{"name":"a","plugins":[{"type":"one"}]}"#,
    );
    write(dir, "a/20.conf", r#"{"type":"three"}"#);
    write(dir, "a/10.conf", r#"{"type":"two"}"#);
    let list = load_file(&dir.join("a.conflist")).unwrap();
    let types: Vec<_> = list.plugins.iter().map(PluginEntry::plugin_type).collect();
    assert_eq!(types, ["one", "two", "three"]);
    write(
        dir,
        "b.conflist",
        r#"{"name":"a","loadOnlyInlinedPlugins":true,"plugins":[{"type":"one"}]}"#,
    );
    assert_eq!(load_file(&dir.join("b.conflist")).unwrap().plugins.len(), 1);
    write(dir, "c.conflist", r#"{"name":"none"}"#);
    let error = load_file(&dir.join("c.conflist")).unwrap_err();
    assert!(error.to_string().ends_with("plugins: has no plugin"));
    write(dir, "a/30.conf", r#"{"no":"type"}"#);
    let error = load_file(&dir.join("a.conflist")).unwrap_err().to_string();
    assert!(error.contains("a/30.conf") && error.ends_with("type: is missing"));
    let error = load_file(&dir.join("gone.conf")).unwrap_err();
    assert_eq!(CniError::from(&error).code, Code::IO_FAILURE);
}
