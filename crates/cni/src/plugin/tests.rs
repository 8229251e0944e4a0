use super::*;
use crate::result::IpConfig;
use proptest::prelude::*;
use serde_json::{Value, json};
use std::cell::RefCell;
use std::collections::BTreeMap;

/// Answers every call and keeps the last.
#[derive(Default)]
struct Recorder {
    call: RefCell<Option<Call>>,
    fails: Option<CniError>,
}

impl Recorder {
    fn outcome(&self, call: &Call) -> Result<(), CniError> {
        *self.call.borrow_mut() = Some(call.clone());
        self.fails.clone().map_or(Ok(()), Err)
    }
}

impl Plugin for Recorder {
    fn add(&self, call: &Call) -> Result<CniResult, CniError> {
        self.outcome(call)?;
        Ok(CniResult {
            ips: vec![IpConfig::new("10.0.0.2/24".parse().unwrap())],
            ..CniResult::default()
        })
    }
    fn del(&self, call: &Call) -> Result<(), CniError> {
        self.outcome(call)
    }
    fn check(&self, call: &Call) -> Result<(), CniError> {
        self.outcome(call)
    }
    fn gc(&self, call: &Call) -> Result<(), CniError> {
        self.outcome(call)
    }
    fn status(&self, call: &Call) -> Result<(), CniError> {
        self.outcome(call)
    }
}

struct Outcome {
    status: i32,
    stdout: String,
    stderr: String,
}

impl Outcome {
    fn error(&self) -> (u64, String, String) {
        assert_eq!(self.status, 1, "{}", self.stdout);
        let json: Value = serde_json::from_str(&self.stdout).unwrap();
        let text = |key: &str| json[key].as_str().unwrap_or_default().to_owned();
        assert!(json["cniVersion"].is_string());
        (json["code"].as_u64().unwrap(), text("msg"), text("details"))
    }
}

fn answer(env: &BTreeMap<String, String>, stdin: &[u8], plugin: &Recorder) -> Outcome {
    answer_of(env, stdin, plugin, &SpecVersion::ALL)
}

fn answer_of(
    env: &BTreeMap<String, String>,
    mut stdin: &[u8],
    plugin: &Recorder,
    versions: &[SpecVersion],
) -> Outcome {
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    let mut io = PluginIo {
        env: &|name| env.get(name).cloned(),
        stdin: &mut stdin,
        stdout: &mut stdout,
        stderr: &mut stderr,
    };
    let status = serve(&mut io, "CNI test plugin v1", versions, plugin);
    Outcome {
        status,
        stdout: String::from_utf8(stdout).unwrap(),
        stderr: String::from_utf8(stderr).unwrap(),
    }
}

fn env(command: &str) -> BTreeMap<String, String> {
    [
        ("CNI_COMMAND", command),
        ("CNI_CONTAINERID", "c1"),
        ("CNI_NETNS", "/no/such/namespace"),
        ("CNI_IFNAME", "eth0"),
        ("CNI_PATH", "/opt/a:/opt/b"),
        ("CNI_ARGS", "IP=10.0.0.9;IgnoreUnknown=1"),
    ]
    .map(|(k, v)| (k.to_owned(), v.to_owned()))
    .into()
}

fn conf(version: &str) -> Vec<u8> {
    json!({"cniVersion": version, "name": "net", "type": "test", "own": 1})
        .to_string()
        .into_bytes()
}

#[test]
fn a_call_has_what_environment_and_stdin_say() {
    let plugin = Recorder::default();
    let outcome = answer(&env("ADD"), &conf("1.0.0"), &plugin);
    assert_eq!(outcome.status, 0);
    let wanted = "{\n    \"cniVersion\": \"1.0.0\",\n    \"ips\": [\n        {\n            \"address\": \"10.0.0.2/24\"\n        }\n    ],\n    \"dns\": {}\n}";
    assert_eq!(outcome.stdout, wanted);
    assert_eq!(outcome.stderr, "");
    let call = plugin.call.take().unwrap();
    assert_eq!(call.command, Command::Add);
    let owner = call.owner().unwrap();
    assert_eq!(
        owner.to_string(),
        "container c1 interface eth0 on network net"
    );
    assert_eq!(call.netns().unwrap(), Path::new("/no/such/namespace"));
    assert_eq!(call.args.get("IP"), Some("10.0.0.9"));
    assert_eq!(call.path, [Path::new("/opt/a"), Path::new("/opt/b")]);
    assert_eq!(call.version, SpecVersion::V1_0_0);
    assert!(!call.netns_override);
    assert_eq!(call.config.get("own"), Ok(Some(1)));
}

#[test]
fn the_result_is_in_the_version_of_the_configuration() {
    for version in SpecVersion::ALL {
        let outcome = answer(&env("ADD"), &conf(version.as_str()), &Recorder::default());
        let json: Value = serde_json::from_str(&outcome.stdout).unwrap();
        assert_eq!(json["cniVersion"], version.as_str());
        assert_eq!(
            json.get("ip4").is_some(),
            version.has_single_addresses(),
            "{version}"
        );
    }
    let without = br#"{"name":"net","type":"test"}"#;
    let outcome = answer(&env("ADD"), without, &Recorder::default());
    assert!(outcome.stdout.contains("\"cniVersion\": \"0.1.0\""));
}

#[test]
fn each_command_needs_its_variables_and_names_those_missing() {
    let cases = [
        ("ADD", "CNI_CONTAINERID,CNI_NETNS,CNI_IFNAME,CNI_PATH"),
        ("CHECK", "CNI_CONTAINERID,CNI_NETNS,CNI_IFNAME,CNI_PATH"),
        ("DEL", "CNI_CONTAINERID,CNI_IFNAME,CNI_PATH"),
        ("GC", "CNI_PATH"),
        ("STATUS", "CNI_PATH"),
    ];
    for (command, missing) in cases {
        let only = [("CNI_COMMAND".to_owned(), command.to_owned())].into();
        let plugin = Recorder::default();
        let outcome = answer(&only, &conf("1.1.0"), &plugin);
        let wanted = format!("required env variables [{missing}] missing");
        assert_eq!(outcome.error(), (4, wanted, String::new()));
        assert!(plugin.call.take().is_none());
        // With exactly these the plugin is called.
        let mut enough = env(command);
        enough.retain(|k, _| k == "CNI_COMMAND" || missing.split(',').any(|m| m == k));
        let outcome = answer(&enough, &conf("1.1.0"), &plugin);
        assert_eq!(outcome.status, 0, "{}", outcome.stdout);
        assert_eq!(plugin.call.take().unwrap().command.as_str(), command);
    }
}

#[test]
fn a_bad_name_is_refused_where_it_is_needed() {
    let cases = [
        (
            "CNI_CONTAINERID",
            "a/b",
            "invalid characters in containerID",
        ),
        ("CNI_CONTAINERID", "-a", "invalid characters in containerID"),
        (
            "CNI_IFNAME",
            "0123456789abcdef",
            "interface name is too long",
        ),
        ("CNI_IFNAME", "..", "interface name is . or .."),
        (
            "CNI_IFNAME",
            "a b",
            "interface name contains / or : or whitespace characters",
        ),
    ];
    for (name, value, wanted) in cases {
        for command in ["ADD", "DEL", "CHECK"] {
            let mut env = env(command);
            env.insert(name.into(), value.into());
            let (code, msg, _) = answer(&env, &conf("1.1.0"), &Recorder::default()).error();
            assert_eq!((code, msg.as_str()), (4, wanted));
        }
        for command in ["GC", "STATUS"] {
            let mut env = env(command);
            env.insert(name.into(), value.into());
            let outcome = answer(&env, &conf("1.1.0"), &Recorder::default());
            assert_eq!(outcome.status, 0);
        }
    }
}

#[test]
fn a_bad_configuration_has_the_code_of_the_specification() {
    let cases: [(&[u8], u64, &str); 9] = [
        (b"", 6, "error unmarshall network config: EOF"),
        (b"{\"name\":\"ne", 6, "error unmarshall network config: EOF"),
        (b"[]", 6, "error unmarshall network config: invalid type"),
        (b"{} {}", 6, "error unmarshall network config: trailing"),
        (br#"{"name":1}"#, 6, "error unmarshall network config: name"),
        (b"{}", 7, "missing network name"),
        (br#"{"name":""}"#, 7, "missing network name"),
        (
            br#"{"name":"a/b"}"#,
            7,
            "invalid characters found in network name",
        ),
        (br#"{"name":"a","cniVersion":1}"#, 6, "decoding version"),
    ];
    for (stdin, code, start) in cases {
        for command in ["ADD", "DEL", "CHECK", "GC", "STATUS"] {
            let plugin = Recorder::default();
            let (found, msg, _) = answer(&env(command), stdin, &plugin).error();
            assert_eq!(found, code, "{msg}");
            assert!(msg.starts_with(start), "{msg}");
            assert!(plugin.call.take().is_none());
        }
    }
}

#[test]
fn a_configuration_over_the_limit_is_refused() {
    let mut stdin = br#"{"name":"net","x":""#.to_vec();
    stdin.resize(usize::try_from(crate::MAX_INPUT).unwrap() + 1, b'a');
    let (code, msg, _) = answer(&env("ADD"), &stdin, &Recorder::default()).error();
    assert_eq!(code, 6);
    assert!(msg.ends_with("more than 8388608 bytes"), "{msg}");
}

#[test]
fn a_version_the_plugin_does_not_speak_is_refused() {
    let versions = [SpecVersion::V0_3_1, SpecVersion::V0_4_0];
    for command in ["ADD", "DEL"] {
        for version in ["1.0.0", "9.0.0", "junk"] {
            let plugin = Recorder::default();
            let outcome = answer_of(&env(command), &conf(version), &plugin, &versions);
            let details = format!("config is \"{version}\", plugin supports [\"0.3.1\" \"0.4.0\"]");
            assert_eq!(
                outcome.error(),
                (1, "incompatible CNI versions".to_owned(), details)
            );
        }
    }
}

#[test]
fn check_gc_and_status_exist_from_their_version_on() {
    let cases = [
        ("CHECK", "0.3.1", 1, "config version does not allow CHECK"),
        ("CHECK", "", 1, "config version does not allow CHECK"),
        ("GC", "1.0.0", 1, "config version does not allow GC"),
        ("STATUS", "1.0.0", 1, "config version does not allow STATUS"),
        ("CHECK", "1.2.0", 1, "plugin version does not allow CHECK"),
        ("GC", "1.2.0", 1, "plugin version does not allow GC"),
        ("CHECK", "0.9.0", 1, "incompatible CNI versions"),
        ("GC", "junk", 6, "cniVersion \"junk\" is no version"),
    ];
    for (command, version, code, start) in cases {
        let outcome = answer(&env(command), &conf(version), &Recorder::default());
        let (found, msg, _) = outcome.error();
        assert_eq!(found, code);
        assert!(msg.starts_with(start), "{msg}");
    }
    for (command, version) in [("CHECK", "0.4.0"), ("GC", "1.1.0"), ("STATUS", "1.1.0")] {
        let outcome = answer(&env(command), &conf(version), &Recorder::default());
        assert_eq!((outcome.status, outcome.stdout.as_str()), (0, ""));
    }
}

#[test]
fn version_needs_no_configuration() {
    let only = [("CNI_COMMAND".to_owned(), "VERSION".to_owned())].into();
    let versions = [SpecVersion::V0_4_0, SpecVersion::V1_0_0];
    let outcome = answer_of(&only, b"junk", &Recorder::default(), &versions);
    assert_eq!(
        outcome.stdout,
        "{\"cniVersion\":\"1.1.0\",\"supportedVersions\":[\"0.4.0\",\"1.0.0\"]}\n"
    );
    assert_eq!(outcome.status, 0);
}

#[test]
fn without_a_command_the_plugin_says_what_it_is() {
    let versions = [SpecVersion::V0_4_0, SpecVersion::V1_0_0];
    let none = BTreeMap::new();
    let outcome = answer_of(&none, b"", &Recorder::default(), &versions);
    assert_eq!((outcome.status, outcome.stdout.as_str()), (0, ""));
    assert_eq!(
        outcome.stderr,
        "CNI test plugin v1\nCNI protocol versions supported: 0.4.0, 1.0.0\n"
    );
}

#[test]
fn an_unknown_command_is_refused() {
    for word in ["UPDATE", "add"] {
        let outcome = answer(&env(word), &conf("1.0.0"), &Recorder::default());
        let wanted = format!("unknown CNI_COMMAND: {word}");
        assert_eq!(outcome.error(), (4, wanted, String::new()));
    }
}

#[test]
fn the_error_of_the_plugin_is_printed_with_its_version() {
    let plugin = Recorder {
        fails: Some(CniError::new(Code(117), "no port").with_details("8080/tcp")),
        ..Recorder::default()
    };
    for command in ["ADD", "DEL", "CHECK"] {
        let outcome = answer(&env(command), &conf("0.4.0"), &plugin);
        let wanted = "{\n    \"cniVersion\": \"0.4.0\",\n    \"code\": 117,\n    \"msg\": \"no port\",\n    \"details\": \"8080/tcp\"\n}";
        assert_eq!((outcome.status, outcome.stdout.as_str()), (1, wanted));
    }
}

#[test]
fn the_namespace_of_the_plugin_itself_is_refused() {
    for command in ["ADD", "DEL"] {
        let mut env = env(command);
        env.insert("CNI_NETNS".into(), "/proc/self/ns/net".into());
        let plugin = Recorder::default();
        let (code, msg, _) = answer(&env, &conf("1.0.0"), &plugin).error();
        assert_eq!(code, 8);
        assert!(msg.contains("should not be the same"));
        assert!(plugin.call.take().is_none());
        for yes in ["1", "true", "TRUE"] {
            env.insert("CNI_NETNS_OVERRIDE".into(), yes.into());
            assert_eq!(answer(&env, &conf("1.0.0"), &plugin).status, 0);
            assert!(plugin.call.take().unwrap().netns_override);
        }
    }
}

#[test]
fn bad_arguments_reach_the_plugin_that_reads_them() {
    let mut env = env("DEL");
    env.insert("CNI_ARGS".into(), "rubbish".into());
    let plugin = Recorder::default();
    assert_eq!(answer(&env, &conf("1.0.0"), &plugin).status, 0);
    let args = plugin.call.take().unwrap().args;
    assert_eq!(args.check(&[]).unwrap_err().code, Code::INTERNAL);
}

struct Broken;

impl std::io::Read for Broken {
    fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
        Err(std::io::Error::other("gone"))
    }
}

impl std::io::Write for Broken {
    fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
        Err(std::io::Error::other("gone"))
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn broken_streams_are_errors() {
    let env = env("ADD");
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    let mut io = PluginIo {
        env: &|name| env.get(name).cloned(),
        stdin: &mut Broken,
        stdout: &mut stdout,
        stderr: &mut stderr,
    };
    assert_eq!(
        serve(&mut io, "", &SpecVersion::ALL, &Recorder::default()),
        1
    );
    let json: Value = serde_json::from_slice(&stdout).unwrap();
    assert_eq!(json["code"], 5);

    let conf = conf("1.0.0");
    let mut io = PluginIo {
        env: &|name| env.get(name).cloned(),
        stdin: &mut conf.as_slice(),
        stdout: &mut Broken,
        stderr: &mut stderr,
    };
    assert_eq!(
        serve(&mut io, "", &SpecVersion::ALL, &Recorder::default()),
        1
    );
    assert!(String::from_utf8(stderr).unwrap().contains("gone"));
}

fn stdin() -> impl Strategy<Value = Vec<u8>> {
    let text =
        r#"\{("(name|cniVersion|prevResult|args)":("[a-z0-9./]{0,5}"|1|null|\{\}),?){0,4}\}?"#;
    prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..64),
        text.prop_map(String::into_bytes),
        (0usize..60).prop_map(|n| {
            let mut whole = conf("1.1.0");
            whole.truncate(n);
            whole
        }),
    ]
}

proptest! {
    #[test]
    fn whatever_comes_in_an_answer_goes_out(
        stdin in stdin(),
        command in "(ADD|DEL|CHECK|GC|STATUS|VERSION|[A-Z]{0,3})",
        values in proptest::collection::vec(option_of_text(), 6),
    ) {
        let names = [
            "CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME", "CNI_PATH", "CNI_ARGS",
            "CNI_NETNS_OVERRIDE",
        ];
        let mut env = BTreeMap::from([("CNI_COMMAND".to_owned(), command)]);
        for (name, value) in names.iter().zip(values) {
            env.extend(value.map(|v| ((*name).to_owned(), v)));
        }
        let outcome = answer(&env, &stdin, &Recorder::default());
        if outcome.status == 1 {
            prop_assert!(outcome.error().0 > 0);
        } else {
            prop_assert_eq!(outcome.status, 0);
        }
    }
}

fn option_of_text() -> impl Strategy<Value = Option<String>> {
    proptest::option::of("(c1|eth0|/x|IP=1;A|\\PC{0,8})")
}
