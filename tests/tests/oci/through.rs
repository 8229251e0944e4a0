//! What is passed to the real runtime as it came.

use std::io::Write;
use std::process::{Output, Stdio};

use fairlead_tests::{Node, Place};
use serde_json::{Value, json};

use super::case::{SETTINGS, settings};

/// A runtime that notes its arguments, what it reads and its environment, and answers.
const FAKE: &str = r#"#!/bin/sh
for word in "$@"; do printf '%s\n' "$word"; done >/run/args
pwd >/run/cwd
echo "$MARK" >/run/mark
cat >/run/input
echo out
echo err >&2
exit 7
"#;

/// A node with the names, and with the fake runtime.
fn with_fake(more: &str) -> Node {
    let node = Node::unplugged("one");
    node.sh("mkdir -p /run/bin && fairlead install --links /run/bin")
        .done();
    node.run("mount -t tmpfs none /var/log");
    node.write("/run/fake", FAKE);
    node.run("chmod 755 /run/fake");
    node.write(SETTINGS, &settings("/run/fake", more));
    node
}

/// Calls a name of ours as an engine does, with something to read.
#[track_caller]
fn call(node: &Node, program: &str, args: &[&str], input: &str) -> Output {
    let mut child = node
        .shell(&format!(
            "cd /run/bundle 2>/dev/null || cd /; exec {program} oci --config {SETTINGS} -- \"$@\""
        ))
        .arg("sh")
        .args(args)
        .env("MARK", "the caller's")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("a shell can be started");
    let mut pipe = child.stdin.take().expect("a pipe");
    // Who is refused reads nothing.
    let _ = pipe.write_all(input.as_bytes());
    drop(pipe);
    child.wait_with_output().expect("its end")
}

/// Asserts that a call reached the runtime as it was, and its answer the caller.
#[track_caller]
fn passes(node: &Node, program: &str, args: &[&str]) {
    node.run("rm -f /run/args /run/input");
    let output = call(node, program, args, "{\"in\":\n 1}");
    let told = format!("{program} {args:?}: {output:?}");
    assert_eq!(output.status.code(), Some(7), "{told}");
    assert_eq!(output.stdout, b"out\n", "{told}");
    assert_eq!(output.stderr, b"err\n", "{told}");
    let got = node.read("/run/args");
    assert_eq!(got.lines().collect::<Vec<_>>(), args, "{told}");
    assert_eq!(node.read("/run/input"), "{\"in\":\n 1}", "{told}");
    assert_eq!(node.read("/run/mark"), "the caller's\n", "{told}");
}

/// What engines, shims and people call, besides making containers.
const CALLS: [&[&str]; 14] = [
    &["features"],
    &["--version"],
    &[],
    &[
        "--root",
        "/r",
        "--log",
        "/run/log.json",
        "--log-format",
        "json",
        "start",
        "ID",
    ],
    &[
        "--root",
        "/r",
        "exec",
        "--process",
        "/p",
        "--detach",
        "--pid-file",
        "/f",
        "ID",
    ],
    &["exec", "-t", "ID", "sh", "-c", "a  b; $c 'd'", ""],
    &["--root", "/r", "update", "--resources", "-", "ID"],
    &["--root", "/r", "kill", "--all", "ID", "9"],
    &["checkpoint", "--image-path", "/create", "ID"],
    &["delete", "--force", "ID"],
    &["--systemd-cgroup", "state", "create"],
    &["list", "--format", "json"],
    &["--log", "create", "pause", "ID"],
    &["no-such-command", "--x=y", "--", "z"],
];

#[test]
fn every_call_that_is_not_its_own_passes_as_it_came() {
    let node = with_fake("");
    for program in [
        "/run/bin/eru-barrel-cni",
        "/run/bin/barrel-cni",
        "/run/bin/docker-cni",
        "fairlead",
    ] {
        for args in CALLS {
            passes(&node, program, args);
        }
    }
    // Nothing of ours was made for that.
    assert!(!node.path("/run/docker-cni.log").exists());
    assert!(!node.path(Node::ROOT).join("var").exists());
}

#[test]
fn arguments_of_the_settings_come_first() {
    let node = with_fake("oci_args: [--debug, --criu, /c]\n");
    let output = call(&node, "/run/bin/eru-barrel-cni", &["features"], "");
    assert_eq!(output.status.code(), Some(7));
    assert_eq!(node.read("/run/args"), "--debug\n--criu\n/c\nfeatures\n");
}

#[test]
fn a_runtime_that_cannot_be_started_is_told() {
    let node = with_fake("");
    node.run("mkdir -p /run/bundle");
    node.write("/run/bundle/config.json", "{}");
    let create: &[&str] = &[
        "--log",
        "/run/bundle/log",
        "create",
        "--bundle",
        "/run/bundle",
        "ID",
    ];
    let told = |args: &[&str], status: i32, word: &str| {
        node.run("rm -f /run/bundle/log");
        let output = call(&node, "/run/bin/eru-barrel-cni", args, "");
        assert_eq!(output.status.code(), Some(status), "{output:?}");
        let mut said = String::from_utf8_lossy(&output.stderr).into_owned();
        if args.contains(&"create") {
            // Its streams are the container's.
            assert_eq!((said.as_str(), output.stdout.as_slice()), ("", &b""[..]));
            said = node.read("/run/bundle/log");
        }
        assert_eq!(said.lines().count(), 1, "{said}");
        for word in ["eru-barrel-cni: ", "/run/fake", "oci_bin", SETTINGS, word] {
            assert!(said.contains(word), "{word}: {said}");
        }
    };
    node.run("chmod 644 /run/fake");
    for args in [&["features"], create] {
        told(args, 126, "denied");
    }
    node.run("rm /run/fake");
    for args in [&["features"], create] {
        told(args, 127, "No such file");
    }
}

#[test]
fn without_settings_a_container_can_be_ended_but_not_made() {
    let node = with_fake("");
    node.write(SETTINGS, "log_level: loud\n");
    // The first of the usual runtimes is taken.
    let output = call(&node, "/run/bin/eru-barrel-cni", &["--version"], "");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success() && said.starts_with("runc version"),
        "{output:?}"
    );
    let output = call(&node, "/run/bin/eru-barrel-cni", &["kill", "ID", "9"], "");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        said.contains("container does not exist"),
        "runc's: {output:?}"
    );
    let output = call(&node, "/run/bin/eru-barrel-cni", &["create", "ID"], "");
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        said.contains("log_level") && said.lines().count() == 1,
        "{said}"
    );
}

/// A bundle of which we know little: what is in it has to stay.
const BUNDLE: &str = r#"{"ociVersion":"1.2.0","x-unknown":{"deep":[1,2.50,"é",null]},
"process":{"args":["true"],"env":["PATH=/bin"],"user":{"uid":0,"gid":0,"umask":18},"ioPriority":{"class":"IOPRIO_CLASS_IDLE"}},
"root":{"path":"rootfs"},"hooks":{"createRuntime":[{"path":"/bin/true"}],"startContainer":[{"path":"/x"}]},
"linux":{"namespaces":[{"type":"mount"},{"type":"network"},{"type":"time"}],
"resources":{"memory":{"limit":9223372036854775807},"unified":{"memory.high":"1"}},
"timeOffsets":{"monotonic":{"secs":18446744073709551615}}}}"#;

#[test]
fn a_bundle_gains_hooks_and_loses_nothing() {
    let node = with_fake("hook_timeout: 5\n");
    let before: Value = serde_json::from_str(BUNDLE).expect("JSON");
    for verb in ["create", "run", "restore"] {
        node.write("/run/bundle/config.json", BUNDLE);
        node.run("chmod 640 /run/bundle/config.json");
        for args in [
            vec!["--root", "/r", verb, "--bundle", "/run/bundle", "ID"],
            vec![verb, "-b=/run/bundle", "ID"],
            vec!["--log=/run/bundle/log", verb, "ID"],
            vec![verb, "ID"],
        ] {
            // Being called again for the same bundle changes nothing more.
            passes(&node, "/run/bin/eru-barrel-cni", &args);
            let text = node.read("/run/bundle/config.json");
            let mut now: Value = serde_json::from_str(&text).expect("JSON");
            let hooks = now["hooks"].take();
            assert_eq!(hooks["createRuntime"][0], json!({"path": "/bin/true"}));
            assert_eq!(hooks["startContainer"], json!([{"path": "/x"}]));
            let counts = ["createRuntime", "poststop"].map(|at| hooks[at].as_array().map(Vec::len));
            assert_eq!(counts, [Some(2), Some(1)], "{hooks}");
            assert_eq!(hooks["createRuntime"][1]["path"], "/run/bin/eru-barrel-cni");
            assert_eq!(hooks["poststop"][0]["timeout"], 5);
            let mut was = before.clone();
            was["hooks"] = Value::Null;
            assert_eq!(now, was, "{verb}");
        }
        let mode = node.run("stat -c %a /run/bundle/config.json");
        assert_eq!(mode.trim(), "640");
    }
    // What joins a namespace or has the host's stays to the byte.
    for text in [
        r#"{ "linux": {"namespaces": [{"type":"network", "path":"/proc/1/ns/net"}]}}"#,
        r#"{ "linux": {"namespaces": [{"type":"mount"}]} }"#,
    ] {
        node.write("/run/bundle/config.json", text);
        passes(&node, "/run/bin/eru-barrel-cni", &["create", "ID"]);
        assert_eq!(node.read("/run/bundle/config.json"), text);
    }
}

#[test]
fn a_bundle_that_is_none_is_told() {
    let node = with_fake("");
    node.run("mkdir -p /run/bundle");
    let refused = |args: &[&str], words: &[&str]| {
        let output = call(&node, "/run/bin/docker-cni", args, "");
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(
            said.starts_with("docker-cni: ") && said.lines().count() == 1,
            "{said}"
        );
        for word in words {
            assert!(said.contains(word), "{word}: {said}");
        }
        assert!(!node.path("/run/args").exists(), "the runtime was called");
    };
    refused(
        &["create", "ID"],
        &["/run/bundle/config.json", "No such file"],
    );
    for text in ["", "[]", "{", "{\"a\":1}}", "\0"] {
        node.write("/run/bundle/config.json", text);
        refused(&["create", "ID"], &["/run/bundle/config.json"]);
        assert_eq!(node.read("/run/bundle/config.json"), text);
    }
    node.write("/run/bundle/config.json", BUNDLE);
    refused(&["create"], &["id"]);
    refused(&["create", "--no-pivot"], &["id"]);
    refused(&["create", "../x"], &["../x"]);
    refused(&["create", "--bundle"], &["id"]);
    assert_eq!(node.read("/run/bundle/config.json"), BUNDLE);
}
