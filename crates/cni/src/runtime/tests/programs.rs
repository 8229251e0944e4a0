//! Plugins that are programs.

use super::*;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde_json::Value;
use std::fs;
use std::os::unix::fs::OpenOptionsExt;
use tempfile::TempDir;

const RESULT: &str = r#"echo '{"cniVersion":"1.0.0","interfaces":[{"name":"from-script"}]}'"#;

struct Fixture {
    dir: TempDir,
    cache: MemoryCache,
}

impl Fixture {
    fn new(scripts: &[(&str, &str)]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        for (name, body) in scripts {
            script(dir.path(), name, body);
        }
        Self {
            dir,
            cache: MemoryCache::default(),
        }
    }

    fn runtime(&self) -> Runtime<'_> {
        runtime(&NoBuiltins, &self.cache, self.dir.path())
    }

    fn file(&self, name: &str) -> String {
        fs::read_to_string(self.dir.path().join(name)).unwrap()
    }

    fn json(&self, name: &str) -> Value {
        serde_json::from_str(&self.file(name)).unwrap()
    }

    /// The failure of ADD with one plugin, without what is put around it.
    fn add_fails(&self) -> RuntimeError {
        let list = list("1.0.0", &["x"]);
        match self.runtime().add_list(&list, &params()) {
            Err(RuntimeError::Add { failed, .. }) => *failed,
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_program_is_given_variables_and_configuration() {
    let f = Fixture::new(&[("x", RESULT), ("y", RESULT)]);
    let list = list("1.1.0", &["x", "y"]);
    let result = f.runtime().add_list(&list, &params()).unwrap();
    assert_eq!(result.interfaces[0].name, "from-script");
    let dir = f.dir.path().display();
    assert_eq!(
        f.file("x.ADD.env"),
        format!(
            "CNI_ARGS=IP=10.0.0.9\nCNI_COMMAND=ADD\nCNI_CONTAINERID=c1\nCNI_IFNAME=eth0\n\
             CNI_NETNS=/run/netns/c1\nCNI_PATH={dir}\n"
        )
    );
    let mut wanted = json!({
        "type": "x", "capabilities": {"mac": true}, "cniVersion": "1.1.0", "name": "net",
        "runtimeConfig": {"mac": "02:00:00:00:00:01"},
    });
    assert_eq!(f.json("x.ADD.stdin"), wanted);
    wanted["type"] = json!("y");
    wanted["prevResult"] = json!({
        "cniVersion": "1.1.0", "interfaces": [{"name": "from-script"}], "dns": {},
    });
    assert_eq!(f.json("y.ADD.stdin"), wanted);
    f.runtime().gc_list(&list, &[]).unwrap();
    assert_eq!(
        f.file("x.GC.env"),
        format!("CNI_COMMAND=GC\nCNI_PATH={dir}\n")
    );
    let conf = f.json("x.GC.stdin");
    assert_eq!(conf["cni.dev/valid-attachments"], json!([]));
    assert_eq!(conf["cni.dev/attachments"], json!([]));
}

#[test]
fn a_result_without_a_version_is_read_by_its_keys() {
    let f = Fixture::new(&[("x", r#"echo '{"ip4":{"ip":"10.0.0.2/24"}}'"#)]);
    let result = f
        .runtime()
        .add_list(&list("0.2.0", &["x"]), &params())
        .unwrap();
    assert_eq!(result.ips[0].address, "10.0.0.2/24".parse().unwrap());
    let f = Fixture::new(&[("x", r#"echo '{"cniVersion":"","routes":[{"dst":"::/0"}]}'"#)]);
    let result = f
        .runtime()
        .add_list(&list("1.0.0", &["x"]), &params())
        .unwrap();
    assert_eq!(result.routes.len(), 1);
    let f = Fixture::new(&[("x", "echo null")]);
    let result = f.runtime().add_list(&list("1.0.0", &["x"]), &params());
    assert_eq!(result.unwrap(), CniResult::default());
}

#[test]
fn an_answer_that_is_none_is_a_decoding_failure() {
    for (body, reason) in [
        ("echo hello; echo why >&2", "\"hello\"; it said: why"),
        ("true", "EOF while parsing"),
        ("echo '[1]'", "no object: \"[1]\""),
        ("echo '{\"ips\":[{}]}'", "ips[0].address"),
        ("echo '{\"cniVersion\":\"9.0.0\"}'", "\"9.0.0\" is no known"),
        ("printf '{\"cniVersion\":\"1.0'", "EOF while parsing"),
    ] {
        let f = Fixture::new(&[("x", body)]);
        let error = f.add_fails();
        assert!(matches!(error, RuntimeError::Answer { .. }), "{error}");
        assert!(error.to_string().contains(reason), "{error}");
        assert_eq!(CniError::from(&error).code, Code::DECODING_FAILURE);
        assert_eq!(f.cache.records.borrow().len(), 0);
    }
}

#[test]
fn the_error_of_a_program_keeps_its_code_and_what_it_said() {
    let f = Fixture::new(&[(
        "x",
        r#"[ $CNI_COMMAND = DEL ] && exit 0; echo oops >&2; echo '{"code":7,"msg":"no range","details":"at x"}'; exit 1"#,
    )]);
    let error = CniError::from(&f.add_fails());
    assert_eq!(
        error,
        CniError::new(Code(7), "no range").with_details("at x; standard error: oops")
    );
    assert_eq!(f.cache.records.borrow().len(), 0);
}

#[test]
fn a_failure_without_an_error_object_says_how_it_ended() {
    for (body, words) in [
        (
            "echo broken >&2; exit 3",
            "exit status: 3 without an error on standard output; it said: broken",
        ),
        ("echo broken; exit 3", "it said: broken"),
        ("exit 3", "exit status: 3 without"),
        ("kill -9 $$", "signal: 9"),
        ("echo '{}'; exit 1", "exit status: 1"),
    ] {
        let error = Fixture::new(&[("x", body)]).add_fails();
        assert!(matches!(error, RuntimeError::Exit { .. }), "{error}");
        assert!(error.to_string().contains(words), "{error}");
    }
}

#[test]
fn what_is_said_is_bounded_to_its_end() {
    let body = "i=0; while [ $i -lt 2000 ]; do echo line-$i; i=$((i+1)); done >&2; exit 1";
    let text = Fixture::new(&[("x", body)]).add_fails().to_string();
    assert!(text.ends_with("line-1999"));
    assert!(text.len() < 5000, "{}", text.len());
}

/// Waits until every process that holds the other end is gone.
fn hangs_up(pipe: &fs::File) -> bool {
    let patience = Timespec {
        tv_sec: 30,
        tv_nsec: 0,
    };
    let mut fds = [PollFd::new(pipe, PollFlags::empty())];
    poll(&mut fds, Some(&patience)).unwrap() == 1 && fds[0].revents().contains(PollFlags::HUP)
}

#[test]
fn a_program_that_hangs_is_killed_with_its_children() {
    let dir = tempfile::tempdir().unwrap();
    let fifo = dir.path().join("fifo");
    let mode = rustix::fs::Mode::from_raw_mode(0o600);
    rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, mode, 0).unwrap();
    // Held open by us too, so that the script's open does not wait; closed below.
    let ours = fs::OpenOptions::new()
        .read(true)
        .write(true)
        .open(&fifo)
        .unwrap();
    let body = format!(
        "echo waiting >&2; exec 9>'{}'; sleep 1000 & wait",
        fifo.display()
    );
    script(dir.path(), "x", &body);
    let cache = MemoryCache::default();
    let mut runtime = runtime(&NoBuiltins, &cache, dir.path());
    runtime.time_limit = Duration::from_millis(300);
    let error = runtime
        .del_list(&list("1.0.0", &["x"]), &params())
        .unwrap_err();
    let text = error.to_string();
    assert!(text.contains("not done after 300ms, killed"), "{text}");
    let reader = fs::OpenOptions::new()
        .read(true)
        .custom_flags(rustix::fs::OFlags::NONBLOCK.bits().cast_signed())
        .open(&fifo)
        .unwrap();
    drop(ours);
    assert!(hangs_up(&reader), "a child lives on");
}

#[test]
fn what_a_program_leaves_in_the_background_is_not_waited_for() {
    let body = format!("sleep 1000 & echo $! > \"${{0}}.pid\"; {RESULT}");
    let f = Fixture::new(&[("x", &body)]);
    let list = list("1.0.0", &["x"]);
    let ran = f.runtime().add_list(&list, &params());
    let left: i32 = f.file("x.pid").trim().parse().unwrap();
    let left = rustix::process::Pid::from_raw(left).unwrap();
    rustix::process::kill_process(left, rustix::process::Signal::KILL).unwrap();
    assert_eq!(ran.unwrap().interfaces[0].name, "from-script");
}

#[test]
fn a_program_that_does_not_read_its_input_is_heard_all_the_same() {
    let f = Fixture::new(&[]);
    let text = format!("#!/bin/sh\nexec 0<&-\n{RESULT}\n");
    raw_script(f.dir.path(), "x", &text);
    let large = "a".repeat(1 << 20);
    let list = ConfList::from_value(json!({
        "cniVersion": "1.0.0", "name": "net", "plugins": [{"type": "x", "large": large}],
    }))
    .unwrap();
    let result = f.runtime().add_list(&list, &params()).unwrap();
    assert_eq!(result.interfaces[0].name, "from-script");
}

#[test]
fn a_large_input_and_output_pass_at_once() {
    let f = Fixture::new(&[]);
    // Answers with its whole input while it is still being sent.
    raw_script(f.dir.path(), "x", "#!/bin/sh\nexec cat\n");
    let large = "a".repeat(2 << 20);
    let list = ConfList::from_value(json!({
        "cniVersion": "1.0.0", "name": "net", "plugins": [{"type": "x", "large": large}],
    }))
    .unwrap();
    let result = f.runtime().add_list(&list, &params()).unwrap();
    assert_eq!(result.extra["large"], json!(large));
}

#[test]
fn an_answer_over_the_limit_is_refused() {
    let f = Fixture::new(&[("x", "exec cat /dev/zero")]);
    let error = f.add_fails();
    assert!(
        matches!(error, RuntimeError::TooMuchOutput { .. }),
        "{error}"
    );
}

#[test]
fn a_missing_plugin_is_named_with_where_it_was_searched() {
    let f = Fixture::new(&[]);
    fs::create_dir(f.dir.path().join("x")).unwrap();
    let plugins = Recorders::new();
    let runtime = runtime(&plugins, &f.cache, f.dir.path());
    let list = list("1.0.0", &["a", "x"]);
    let error = runtime.add_list(&list, &params()).unwrap_err();
    assert_eq!(plugins.words(), [""; 0], "nothing runs when one is missing");
    assert_eq!(f.cache.stores.get(), 0);
    let dir = f.dir.path().display();
    assert_eq!(
        error.to_string(),
        format!(
            "find plugin \"x\": not built in and not in {dir}; install it there or set cni.plugins"
        )
    );
    let call = call(&f, "1.0.0");
    for bad in ["../x", "a/b", "..", ""] {
        let error = delegate(&call, Command::Add, bad, &NoBuiltins).unwrap_err();
        assert_eq!(error.code, Code::INVALID_NETWORK_CONFIG);
    }
}

#[test]
fn a_file_that_cannot_be_run_is_an_error_with_the_reason() {
    let f = Fixture::new(&[]);
    fs::write(f.dir.path().join("x"), "no program").unwrap();
    let error = f.add_fails();
    let text = error.to_string();
    assert!(
        text.starts_with("start ") && text.contains("denied"),
        "{text}"
    );
    assert_eq!(CniError::from(&error).code, Code::IO_FAILURE);
    assert_eq!(f.cache.records.borrow().len(), 0);
}

#[test]
fn a_plugin_that_refuses_the_version_is_not_undone() {
    let body = r#"echo '{"code":1,"msg":"incompatible CNI versions"}'; exit 1"#;
    let f = Fixture::new(&[("x", body)]);
    assert_eq!(CniError::from(&f.add_fails()).code, Code(1));
    assert!(!f.dir.path().join("x.DEL.env").exists());
    assert_eq!(f.cache.records.borrow().len(), 0);
}

#[test]
fn the_first_directory_wins_and_built_in_before_programs_unless_told() {
    let first = Fixture::new(&[("a", RESULT)]);
    let second = Fixture::new(&[("a", "exit 1"), ("x", RESULT)]);
    let plugins = Recorders::new();
    let mut runtime = runtime(&plugins, &first.cache, first.dir.path());
    runtime.path.push(second.dir.path().to_owned());
    let add = |runtime: &Runtime<'_>, types: &[&str]| {
        first.cache.records.borrow_mut().clear();
        let list = list("1.0.0", types);
        let result = runtime.add_list(&list, &params()).unwrap();
        result.interfaces[0].name.clone()
    };
    assert_eq!(add(&runtime, &["a"]), "a");
    assert_eq!(add(&runtime, &["x"]), "from-script");
    runtime.time_limit = Duration::MAX;
    runtime.prefer_external = true;
    assert_eq!(add(&runtime, &["a"]), "from-script");
    assert_eq!(add(&runtime, &["b"]), "b");
}

#[test]
fn validate_asks_programs_and_finds_what_is_missing() {
    let speaks = |versions: &str| {
        format!("echo '{{\"cniVersion\":\"1.0.0\",\"supportedVersions\":{versions}}}'")
    };
    let f = Fixture::new(&[
        ("good", &speaks(r#"["0.4.0","1.0.0"]"#)),
        ("old", &speaks(r#"["0.3.1"]"#)),
        ("second", "echo '{\"cniVersion\":\"0.2.0\"}'"),
        (
            "first",
            r#"echo '{"code":4,"msg":"unknown CNI_COMMAND: VERSION"}'; exit 1"#,
        ),
        ("mute", "true"),
    ]);
    let plugins = Recorders::new();
    let runtime = runtime(&plugins, &f.cache, f.dir.path());
    let reports = runtime
        .validate_list(&list("1.0.0", &["a", "good", "a"]))
        .unwrap();
    assert_eq!(reports.len(), 2);
    assert_eq!(reports[0].program, None);
    assert_eq!(reports[0].versions.len(), 7);
    assert_eq!(reports[1].program, Some(f.dir.path().join("good")));
    assert_eq!(reports[1].versions, ["0.4.0", "1.0.0"]);
    let reports = runtime
        .validate_list(&list("0.1.0", &["first", "second"]))
        .unwrap();
    assert_eq!(reports[0].versions, ["0.1.0"]);
    assert_eq!(reports[1].versions, ["0.1.0", "0.2.0"]);
    assert_eq!(
        f.json("first.VERSION.stdin"),
        json!({"cniVersion": "1.1.0"})
    );
    let mut bad = list("1.0.0", &["old", "mute"]).to_value();
    bad["plugins"][0]["ipam"] = json!({"type": "nowhere"});
    let bad = ConfList::from_value(bad).unwrap();
    let text = runtime.validate_list(&bad).unwrap_err().to_string();
    assert!(text.contains("plugin old does not speak cniVersion 1.0.0: it speaks 0.3.1"));
    assert!(text.contains("find plugin \"nowhere\""));
    assert!(
        text.contains("VERSION of ") && text.contains("mute: the answer"),
        "{text}"
    );
}

fn call(f: &Fixture, version: &str) -> Call {
    let list = list(version, &["outer"]);
    let conf = list.plugins[0].request(&list, &Map::new(), None);
    Call {
        container: Some(ContainerId::new("c1").unwrap()),
        ifname: Some(IfName::new("eth0").unwrap()),
        netns: Some("/run/netns/c1".into()),
        args: CniArgs::parse("IP=10.0.0.9"),
        path: vec![f.dir.path().to_owned()],
        netns_override: true,
        ..Call::new(Command::Add, conf)
    }
}

#[test]
fn a_delegated_program_is_given_the_same_call() {
    let f = Fixture::new(&[("ipam", RESULT)]);
    let call = call(&f, "1.0.0");
    let result = delegate(&call, Command::Add, "ipam", &NoBuiltins).unwrap();
    assert_eq!(result.unwrap().interfaces[0].name, "from-script");
    assert_eq!(
        f.json("ipam.ADD.stdin"),
        Value::Object(call.config.raw().clone())
    );
    let dir = f.dir.path().display();
    assert_eq!(
        f.file("ipam.ADD.env"),
        format!(
            "CNI_ARGS=IP=10.0.0.9\nCNI_COMMAND=ADD\nCNI_CONTAINERID=c1\nCNI_IFNAME=eth0\n\
             CNI_NETNS=/run/netns/c1\nCNI_NETNS_OVERRIDE=1\nCNI_PATH={dir}\n"
        )
    );
    assert_eq!(delegate(&call, Command::Del, "ipam", &NoBuiltins), Ok(None));
    assert!(f.file("ipam.DEL.env").contains("CNI_COMMAND=DEL"));
}

#[test]
fn a_delegated_plugin_that_is_built_in_answers_in_process() {
    let f = Fixture::new(&[]);
    let plugins = Recorders::new();
    let call = call(&f, "1.0.0");
    delegate(&call, Command::Del, "b", &plugins).unwrap();
    assert_eq!(plugins.words(), ["b DEL"]);
    plugins.fail("b ADD");
    let error = delegate(&call, Command::Add, "b", &plugins).unwrap_err();
    assert_eq!(error, CniError::new(Code(117), "no b ADD"));
    let error = delegate(&call, Command::Add, "none", &plugins).unwrap_err();
    assert_eq!(error.code, Code::INTERNAL);
}

#[test]
fn a_delegated_program_has_the_time_of_the_call() {
    let f = Fixture::new(&[("ipam", "exec sleep 1000")]);
    let mut call = call(&f, "1.0.0");
    call.time_limit = Duration::from_millis(200);
    let error = delegate(&call, Command::Add, "ipam", &NoBuiltins).unwrap_err();
    assert!(error.msg.contains("not done after 200ms"), "{error}");
}
