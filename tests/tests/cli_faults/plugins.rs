//! Plugins of other makers that fail, hang or answer nonsense half-way in a chain.

use fairlead_tests::{Node, Place};
use serde_json::json;

use super::inhabited;

/// A node with a network `mixed` whose third plugin is the script `body`; it may run
/// for a second.
fn with_plugin(body: &str) -> Node {
    let node = inhabited();
    let set = "fairlead node set --kw cni.plugins=/run/cni --kw cni.config=/run/net.d --kw cni.timeout=1s";
    node.sh(set).silent();
    node.sh("fairlead net setup").done();
    let script = format!(
        "#!/bin/sh\necho $CNI_COMMAND >>/run/noted\ncase $CNI_COMMAND in\nADD) {body};;\nesac\n"
    );
    node.write("/run/cni/odd", &script);
    node.run("chmod 755 /run/cni/odd");
    let list = json!({"cniVersion": "1.0.0", "name": "mixed", "plugins": [
        {"type": "bridge", "bridge": "mix0", "isGateway": true, "ipMasq": true,
         "capabilities": {"ips": true}, "ipam": {"type": "host-local", "ranges": [[{"subnet": "10.61.0.0/24"}]]}},
        {"type": "portmap", "capabilities": {"portMappings": true}},
        {"type": "odd"},
        {"type": "tuning"},
    ]});
    node.write("/run/net.d/mixed.conflist", &list.to_string());
    node.run("ip netns add shop");
    // A first round leaves what stays: the bridge by hand, the sets of its range.
    let good = script.replace(body, "exec /usr/lib/cni/tuning");
    node.write("/run/cni/odd", &good);
    node.sh("fairlead attach mixed --netns /run/netns/shop --publish 7000:70")
        .done();
    node.sh("fairlead detach --id shop").done();
    node.write("/run/cni/odd", &script);
    node.run("rm -f /run/noted");
    node
}

/// Attaches, expects these words, and that nothing is left.
#[track_caller]
fn fails_without_a_trace(body: &str, words: &[&str]) {
    let node = with_plugin(body);
    let before = node.world();
    let line = "fairlead attach mixed --netns /run/netns/shop --publish 7000:70";
    node.sh(line).fails(words);
    node.is_as_before(&before, body);
    assert_eq!(node.read("/run/noted"), "ADD\nDEL\n", "it is undone too");
    // The address and the port can be had at once.
    let taken = "fairlead attach web --netns /run/netns/shop --publish 7000:70";
    node.sh(taken).done();
}

#[test]
fn a_plugin_that_fails_is_quoted() {
    let body =
        r#"echo '{"cniVersion":"1.0.0","code":117,"msg":"the weather","details":"rain"}'; exit 1"#;
    fails_without_a_trace(body, &["mixed", "odd", "the weather"]);
}

#[test]
fn a_plugin_that_dies_without_a_word_is_told() {
    fails_without_a_trace(
        "echo broken pipe dream >&2; exit 3",
        &["mixed", "/run/cni/odd", "broken pipe dream", "3"],
    );
    fails_without_a_trace("kill -9 $$", &["mixed", "/run/cni/odd", "signal"]);
}

#[test]
fn a_plugin_that_hangs_is_ended_with_its_children() {
    let body = "sleep 1000 & echo $! >/run/child; wait";
    let node = with_plugin(body);
    let before = node.world();
    let line = "fairlead attach mixed --netns /run/netns/shop --publish 7000:70";
    node.sh(line)
        .fails(&["mixed", "/run/cni/odd", "1s", "killed"]);
    node.is_as_before(&before, body);
    let child = node.read("/run/child");
    let state = node.try_run(&format!("cat /proc/{}/stat", child.trim()));
    let state = String::from_utf8_lossy(&state.stdout).into_owned();
    assert!(
        state.is_empty() || state.contains(") Z "),
        "its child lives: {state}"
    );
}

#[test]
fn a_plugin_that_answers_nonsense_is_told() {
    fails_without_a_trace("echo well done", &["mixed", "/run/cni/odd", "answer"]);
    fails_without_a_trace(
        "echo '{\"cniVersion\":\"1.0.0\",\"ips\":[{\"address\":\"here\"}]}'",
        &["mixed", "/run/cni/odd", "here"],
    );
    fails_without_a_trace("true", &["mixed", "/run/cni/odd", "answer"]);
    fails_without_a_trace(
        "yes | head -c 50000000",
        &["mixed", "/run/cni/odd", "killed"],
    );
}

#[test]
fn a_plugin_that_is_missing_is_found_missing_before_anything_is_done() {
    let node = with_plugin("true");
    node.run("rm /run/cni/odd");
    let before = node.world();
    let line = "fairlead attach mixed --netns /run/netns/shop --publish 7000:70";
    node.sh(line).fails(&[
        "\"odd\"",
        "/run/cni, /usr/lib/cni, /usr/libexec/cni",
        "cni.plugins",
    ]);
    node.is_as_before(&before, line);
    node.write("/run/cni/odd", "no program");
    node.sh(line).fails(&["odd"]);
    node.is_as_before(&before, line);
}

#[test]
fn a_plugin_whose_undoing_fails_is_kept_for_gc() {
    let node = with_plugin("exit 4");
    let before = node.world();
    let line = "fairlead attach mixed --netns /run/netns/shop --publish 7000:70";
    let stubborn = "#!/bin/sh\ntest -e /run/mended || { echo stubborn >&2; exit 5; }\n";
    node.write("/run/cni/odd", stubborn);
    node.sh(line)
        .fails(&["mixed", "stubborn", "undoing it failed too"]);
    // The other plugins are undone all the same, and what is left is listed.
    let listed = node.sh("fairlead ls mixed -o json").json();
    assert_eq!(
        (&listed[0]["container"], &listed[0]["addresses"]),
        (&json!("shop"), &json!([]))
    );
    node.sh("fairlead gc").fails(&["stubborn"]);
    node.sh("fairlead detach --id shop").fails(&["stubborn"]);
    node.write("/run/mended", "");
    node.sh("fairlead gc").done();
    node.is_as_before(&before, "gc after the plugin was mended");
}
