//! What the cases of all engines share.

use fairlead_services::{ContainerSpec, Engine, EngineError, Kind, Running, State};
use fairlead_tests::{eventually, patience};
use fairlead_types::{ObjectName, ResourceName};
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// `container#0` of a service that no other test has.
pub(crate) fn spec(kind: Kind) -> ContainerSpec {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let service = format!("test/svc/s{}-{number}", std::process::id());
    let service = ObjectName::new(service).expect("a service's name");
    let resource = ResourceName::new("container#0").expect("a resource's name");
    let mut spec = ContainerSpec::new(service, resource, kind);
    spec.stop_timeout = Duration::from_secs(5);
    spec
}

/// Words as a command.
pub(crate) fn words(line: &[&str]) -> Vec<String> {
    line.iter().map(|word| (*word).to_owned()).collect()
}

/// A shell with this script.
pub(crate) fn shell(script: &str) -> Vec<String> {
    words(&["sh", "-c", script])
}

/// Starts it; it must not have run.
#[track_caller]
pub(crate) fn start(engine: &dyn Engine, spec: &ContainerSpec) -> Running {
    let started = engine.start(spec).unwrap_or_else(|e| panic!("{e}"));
    assert!(started.started, "{started:?}");
    started.running
}

/// The message of a start that must fail.
#[track_caller]
pub(crate) fn refused(engine: &dyn Engine, spec: &ContainerSpec) -> String {
    match engine.start(spec) {
        Ok(started) => panic!("it was started: {started:?}"),
        Err(error) => error.to_string(),
    }
}

/// Waits until it is down by itself.
#[track_caller]
pub(crate) fn goes_down(engine: &dyn Engine, spec: &ContainerSpec) {
    eventually(patience(), || match engine.state(spec) {
        Ok(State::Down) => Ok(()),
        other => Err(other),
    });
}

/// Is there such a process, dead ones that wait for their parent not counted?
pub(crate) fn lives(pid: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}

/// The first process of another network namespace, in which to look with Debian's tools.
#[track_caller]
pub(crate) fn inside(pid: u32, namespace: &str, line: &[&str]) -> String {
    let output = Command::new("nsenter")
        .args(["-t", &pid.to_string(), namespace, "--"])
        .args(line)
        .output()
        .expect("nsenter can be started");
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{line:?} in {pid}: {told}");
    String::from_utf8(output.stdout).expect("output is text")
}

/// The names of the links that a process sees.
#[track_caller]
pub(crate) fn links(pid: u32) -> Vec<String> {
    let printed = inside(pid, "--net", &["ip", "-o", "link"]);
    let name = |line: &str| line.split(": ").nth(1).map(str::to_owned);
    printed.lines().filter_map(name).collect()
}

/// A file as a process sees it.
#[track_caller]
pub(crate) fn file_of(pid: u32, path: &str) -> String {
    let path = format!("/proc/{pid}/root{path}");
    std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{path}: {e}"))
}

/// Which network namespace a path leads to.
#[track_caller]
pub(crate) fn namespace(path: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt;
    let data = std::fs::metadata(path);
    data.unwrap_or_else(|e| panic!("{}: {e}", path.display()))
        .ino()
}

/// What every engine without a daemon says.
#[track_caller]
pub(crate) fn is_not_there(error: EngineError, socket: &str) {
    assert!(error.is_unreachable(), "{error}");
    let text = error.to_string();
    assert!(text.starts_with("container#0: "), "{text}");
    assert!(text.contains(socket), "{text}");
}
