//! What is broken, missing or hangs: one line for who starts a container, and no trace.

use super::case::{CRUN, Case, NET_D, RUNC, SETTINGS};
use fairlead_tests::{Place, eventually, patience};
use serde_json::json;

/// Where a case has plugins of other makers.
const PLUGINS: &str = "/run/none";

/// A plugin that does nothing, and passes the result on that it was given.
const GOOD: &str = "exec /usr/lib/cni/tuning";

/// Puts a plugin there whose ADD is `body`; it notes its calls, and who made them.
#[track_caller]
pub(crate) fn plugin(case: &Case, body: &str) {
    let script = format!(
        "#!/bin/sh\necho $CNI_COMMAND >>/run/noted\ncase $CNI_COMMAND in\nADD) {body};;\n\
         VERSION) {GOOD};;\nesac\n"
    );
    case.node.write(&format!("{PLUGINS}/odd"), &script);
    case.node.run(&format!("chmod 755 {PLUGINS}/odd"));
}

/// A node whose first network is of our bridge with the plugin behind it, and all that a
/// first container makes.
#[track_caller]
pub(crate) fn mixed(runtime: &str) -> (Case, Vec<String>) {
    let case = Case::new(runtime);
    let list = json!({"cniVersion": "1.0.0", "name": "mixed", "plugins": [
        {"type": "bridge", "bridge": "brmixed", "isGateway": true, "ipMasq": true,
         "ipam": {"type": "host-local", "ranges": [[{"subnet": "10.62.0.0/24"}]]}},
        {"type": "portmap", "capabilities": {"portMappings": true}},
        {"type": "odd"},
        {"type": "tuning"},
    ]});
    case.network("05-mixed.conflist", &list);
    // Garbage is collected by who knows nothing of the runtime's settings.
    let set = format!("fairlead node set --kw cni.plugins={PLUGINS}");
    case.node.sh(&set).silent();
    plugin(&case, GOOD);
    let before = case.warm();
    (case, before)
}

/// With each runtime a container is refused with these words in one line, as the runtime
/// itself refuses, and leaves nothing.
#[track_caller]
fn refused_without_a_trace(case: &Case, before: &[String], words: &[&str]) {
    for runtime in [RUNC, CRUN] {
        case.set(runtime, "hook_timeout: 6\n");
        let ran = case.refused("--rm busybox true", words);
        assert_eq!(ran.status, Some(125), "{ran:?}");
        case.is_as(before, &format!("{words:?}"));
    }
}

#[test]
fn plugins_that_fail_are_quoted() {
    let (case, before) = mixed(RUNC);
    let body =
        r#"echo '{"cniVersion":"1.0.0","code":117,"msg":"the weather","details":"rain"}'; exit 1"#;
    plugin(&case, body);
    case.node.run("rm -f /run/noted");
    refused_without_a_trace(
        &case,
        &before,
        &["mixed", "odd", "117", "the weather", "rain"],
    );
    // DEL is once before, for what could be left of another time, and undoes it.
    let noted = case.node.read("/run/noted");
    assert_eq!(noted.matches("ADD\nDEL\n").count(), 2, "{noted}");
    plugin(
        &case,
        "echo broken pipe dream >&2; echo second line >&2; exit 3",
    );
    refused_without_a_trace(
        &case,
        &before,
        &["mixed", "/run/none/odd", "broken pipe dream"],
    );
    plugin(&case, "kill -9 $$");
    refused_without_a_trace(&case, &before, &["mixed", "/run/none/odd", "signal"]);
}

#[test]
fn plugins_that_answer_nonsense_are_told() {
    let (case, before) = mixed(RUNC);
    let bad = [
        ("echo well done", "answer"),
        ("true", "answer"),
        (r#"printf 'a\0b\nc\n'"#, "answer"),
        (
            r#"echo '{"cniVersion":"1.0.0","ips":[{"address":"here"}]}'"#,
            "here",
        ),
        ("yes | head -c 50000000", "killed"),
    ];
    for (body, word) in bad {
        plugin(&case, body);
        refused_without_a_trace(&case, &before, &["mixed", "/run/none/odd", word]);
    }
}

#[test]
fn a_plugin_that_hangs_is_ended_before_its_hook() {
    let (case, before) = mixed(RUNC);
    plugin(&case, "sleep 1000 & echo $! >/run/child; wait");
    let words = ["mixed", "/run/none/odd", "not done after 4s", "killed"];
    refused_without_a_trace(&case, &before, &words);
    let child = case.node.read("/run/child");
    let stat = case
        .node
        .try_run(&format!("cat /proc/{}/stat", child.trim()));
    let stat = String::from_utf8_lossy(&stat.stdout).into_owned();
    assert!(
        stat.is_empty() || stat.contains(") Z "),
        "its child lives: {stat}"
    );
}

#[test]
fn who_waits_for_one_whose_plugin_hangs_is_told_too() {
    let (case, before) = mixed(RUNC);
    plugin(&case, "sleep 1000");
    for runtime in [RUNC, CRUN] {
        case.set(runtime, "hook_timeout: 9\n");
        // Plugins of other makers run for one container at a time.
        let case = &case;
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    case.refused(
                        "--rm busybox true",
                        &["eru-barrel-cni: ", "mixed", "not done"],
                    )
                });
            }
        });
        eventually(patience(), || {
            let ran = case.node.sh("fairlead gc");
            let left = case.attached();
            match left {
                0 => Ok(()),
                _ => Err((ran, left)),
            }
        });
        case.is_as(&before, "three whose plugin hung");
    }
}

#[test]
fn a_plugin_that_is_missing_is_named_with_where_it_was_searched() {
    let (case, before) = mixed(RUNC);
    case.node.run("rm /run/none/odd");
    refused_without_a_trace(&case, &before, &["\"odd\"", "/run/none"]);
    case.node.run("rm -rf /run/none");
    refused_without_a_trace(&case, &before, &["\"odd\"", "/run/none"]);
    case.node.write("/run/none/odd", "no program");
    refused_without_a_trace(&case, &before, &["odd"]);
    case.node.run("chmod 755 /run/none/odd");
    refused_without_a_trace(&case, &before, &["odd"]);
    // Others do without it.
    case.run("--rm --label eru.cni/network=back busybox true");
}

#[test]
fn settings_that_are_missing_or_broken_are_named_and_end_no_container() {
    let case = Case::new(RUNC);
    let before = case.warm();
    let files: [(&str, &[&str]); 6] = [
        ("log_level: loud\n", &["log_level", "loud"]),
        ("oci_bin: runc\n", &["oci_bin", "no absolute path"]),
        ("cni_conf_dir: [\n", &["cni.yaml"]),
        ("- a\n", &["cni.yaml"]),
        ("log_driver: tcp://x\n", &["log_driver", "tcp://x"]),
        ("hook_timeout: 0\n", &["hook_timeout"]),
    ];
    for (text, words) in files {
        case.start("one", "");
        case.node.write(SETTINGS, text);
        let ran = case.refused("--rm busybox true", &[words, &[SETTINGS]].concat());
        assert_eq!(ran.status, Some(125), "{ran:?}");
        // What runs can be used and ended as ever.
        case.docker("exec one true");
        case.docker("rm -f one");
        case.is_as(&before, text);
        case.set(RUNC, "");
    }
    case.start("one", "");
    case.node.run(&format!("rm {SETTINGS}"));
    case.refused("--rm busybox true", &[SETTINGS, "No such file"]);
    case.docker("stop one");
    case.is_empty();
    let ran = case.docker.cli(&case.node, "start one");
    assert!(ran.stderr.contains(SETTINGS), "{ran:?}");
    case.set(RUNC, "");
    case.docker("start one");
    case.node.ping(&case.address("one"));
    case.docker("rm -f one");
    case.is_as(&before, "no settings");
}

#[test]
fn folders_without_a_network_are_named() {
    let case = Case::new(RUNC);
    let before = case.warm();
    let file = format!("{NET_D}/10-back.conflist");
    let good = case.node.read(&file);
    case.start("one", "");
    let broken = [
        ("{", "10-back.conflist"),
        ("[]", "10-back.conflist"),
        (
            r#"{"cniVersion":"1.0.0","name":"back","plugins":[]}"#,
            "10-back.conflist",
        ),
        (
            r#"{"cniVersion":"1.0.0","name":"a b","type":"bridge"}"#,
            "10-back.conflist",
        ),
    ];
    for runtime in [RUNC, CRUN] {
        case.set(runtime, "");
        for (text, word) in broken {
            case.node.write(&file, text);
            case.refused("--rm busybox true", &["no network", NET_D, word]);
        }
        case.node.run(&format!("rm {file}"));
        case.refused("--rm busybox true", &["no network", NET_D]);
        case.node.run(&format!("mv {NET_D} /run/away"));
        case.refused("--rm busybox true", &[NET_D]);
        case.node.run(&format!("mv /run/away {NET_D}"));
    }
    // One that runs needs none of them to end.
    case.docker("rm -f one");
    case.is_as(&before, "its network's file is gone");
    // A broken one is passed over for the next.
    case.node.write(&format!("{NET_D}/05-broken.conf"), "{");
    case.node.write(&file, &good);
    let seen = case.run("--rm busybox ip -o -4 address show dev eth0");
    assert!(seen.contains("inet 10.60.0."), "{seen}");
    let log = case.node.read("/run/docker-cni.log");
    assert!(log.contains("05-broken.conf"), "{log}");
    case.is_as(&before, "a broken file beside");
}

#[test]
fn a_program_that_cannot_run_ends_as_without_us() {
    let case = Case::new(RUNC);
    let before = case.warm();
    for runtime in [RUNC, CRUN] {
        case.set(runtime, "");
        let bare = if runtime == RUNC { "runc" } else { "crun" };
        for program in ["no-such-program", "/etc/passwd"] {
            let run = |runtime: &str| {
                let line = format!("run --rm --runtime {runtime} --net none busybox {program}");
                let ran = case.docker.cli(&case.node, &line);
                let told = ran.stderr.lines().next().map(str::to_owned);
                (told.expect("a line"), ran.status)
            };
            let (bare, ours) = (run(bare), run("barrel-cni"));
            assert_eq!(bare, ours);
            let is_expected = matches!(ours.1, Some(125..=127));
            assert!(
                is_expected && bare.0.contains("OCI runtime create failed"),
                "{bare:?}"
            );
            case.is_as(&before, program);
        }
    }
}

#[test]
fn what_plugins_do_not_take_away_stays_listed_until_they_do() {
    let (case, before) = mixed(RUNC);
    case.start("one", "");
    let stubborn = "#!/bin/sh\ntest -e /run/mended || { echo stubborn >&2; exit 5; }\n";
    case.node.write("/run/none/odd", stubborn);
    // The container ends all the same, and its engine forgets it.
    case.docker("rm -f one");
    eventually(patience(), || {
        let ran = case.node.sh("fairlead gc");
        match ran.stderr.contains("stubborn") && ran.status == Some(1) {
            true => Ok(()),
            false => Err(ran),
        }
    });
    assert_eq!(case.attached(), 1);
    // Its address and cable are not kept from others meanwhile.
    assert_eq!(case.node.sh("fairlead ip ls -o json").done().trim(), "[]");
    case.node.write("/run/mended", "");
    case.is_as(&before, "the plugin was mended");
}

#[test]
fn secrets_are_written_to_no_log() {
    let (case, before) = mixed(RUNC);
    let secret = "hunter2";
    for runtime in [RUNC, CRUN] {
        case.set(runtime, "log_level: trace\n");
        plugin(
            &case,
            "echo \"$CNI_ARGS\" >/run/args; exec /usr/lib/cni/tuning",
        );
        case.run(&format!(
            "--rm --label 'eru.cni/args=TOKEN={secret};A=1' busybox true"
        ));
        let args = case.node.read("/run/args");
        assert!(args.contains(&format!("TOKEN={secret};A=1")), "{args}");
        plugin(&case, "exit 3");
        let line = format!("--rm --label eru.cni/args=TOKEN={secret} busybox true");
        let ran = case.refused(&line, &["odd"]);
        assert!(!ran.stderr.contains(secret), "{ran:?}");
        let line = format!("--rm --label eru.cni/args={secret} busybox true");
        let ran = case.refused(&line, &["eru.cni/args", "***"]);
        assert!(!ran.stderr.contains(secret), "{ran:?}");
        for log in ["/run/docker-cni.log", "/run/cni.log", "/run/docker.log"] {
            let text = case.node.read(log);
            assert!(!text.contains(secret), "{log}: {text}");
        }
    }
    case.is_as(&before, "secrets");
}

#[test]
fn logs_that_cannot_be_written_are_no_reason_to_fail() {
    let case = Case::new(RUNC);
    for runtime in [RUNC, CRUN] {
        let dark = case_settings(runtime);
        case.node.write(SETTINGS, &dark);
        let seen = case.run("--rm busybox ip -o -4 address show dev eth0");
        assert!(seen.contains("inet 10.60.0."), "{seen}");
    }
    case.is_empty();
}

fn case_settings(runtime: &str) -> String {
    format!(
        "oci_bin: {runtime}\ncni_conf_dir: {NET_D}\ncni_bin_dir: /run/none\n\
         cni_log: /proc/no/cni.log\nlog_driver: file:///proc/no/docker-cni.log\n"
    )
}
