//! Programs in a control group of their own.

use crate::common::{goes_down, lives, namespace, refused, shell, spec, start, words};
use fairlead_kernel::NetNs;
use fairlead_services::{ContainerSpec, Engine, Engines, Kind, Network, Settings, Signal, State};
use fairlead_tests::{eventually, patience};
use fairlead_types::Root;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// A program, ended with this value.
struct Case {
    dir: TempDir,
    engines: Engines,
    spec: ContainerSpec,
}

impl Case {
    fn new(command: Vec<String>) -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let mut settings = Settings::new(Root::new(dir.path()));
        settings.shim = shim();
        let mut spec = spec(Kind::Process);
        spec.command = command;
        Self {
            dir,
            engines: Engines::new(settings),
            spec,
        }
    }

    fn script(script: &str) -> Self {
        Self::new(shell(script))
    }

    fn engine(&self) -> &dyn Engine {
        self.engines.engine(Kind::Process)
    }

    fn log_path(&self) -> PathBuf {
        let (_, _, name) = self.spec.service.parts().expect("three parts");
        let file = format!("var/log/fairlead/test/{name}/container.0.log");
        self.dir.path().join(file)
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    /// Waits for a number that the program has printed after a word.
    fn printed(&self, word: &str) -> u32 {
        eventually(patience(), || {
            let log = self.log();
            let line = log.lines().find_map(|line| line.strip_prefix(word));
            line.and_then(|rest| rest.trim().parse().ok()).ok_or(log)
        })
    }

    /// The control groups of this case that are there.
    fn groups(&self) -> Vec<PathBuf> {
        let slug = self.spec.service.as_str().replace('/', ".");
        let mut found = Vec::new();
        for hierarchy in ["unified", "systemd", "."] {
            let dir = Path::new("/sys/fs/cgroup").join(hierarchy).join("fairlead");
            let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
            let paths = entries.map(|entry| entry.path());
            found.extend(paths.filter(|path| path.to_string_lossy().contains(&slug)));
        }
        found
    }
}

impl Drop for Case {
    fn drop(&mut self) {
        self.spec.stop_timeout = Duration::ZERO;
        // One that was stopped is stopped again, which does nothing.
        let _ = self.engine().stop(&self.spec);
    }
}

/// What programs are started through.
fn shim() -> PathBuf {
    env!("CARGO_BIN_EXE_process-shim").into()
}

#[test]
fn it_runs_until_it_is_stopped() {
    let case = Case::script("echo begun; exec sleep 1000");
    let engine = case.engine();
    assert_eq!(engine.state(&case.spec).unwrap(), State::Absent);
    let running = start(engine, &case.spec);
    assert_eq!(
        engine.state(&case.spec).unwrap(),
        State::Up(running.clone())
    );
    assert!(lives(running.pid));
    // Its own group, its own session, no terminal and nothing to read.
    let group = std::fs::read_to_string(format!("/proc/{}/cgroup", running.pid)).unwrap();
    assert!(group.contains("/fairlead/"), "{group}");
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", running.pid)).unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split(' ').collect();
    assert_eq!(fields[4], running.pid.to_string(), "session: {stat}");
    assert_eq!(fields[5], "0", "terminal: {stat}");
    let input = std::fs::read_link(format!("/proc/{}/fd/0", running.pid)).unwrap();
    assert_eq!(input, Path::new("/dev/null"));

    let again = engine.start(&case.spec).unwrap();
    assert!(!again.started && !again.outdated, "{again:?}");
    assert_eq!(again.running, running);
    assert!(engine.stop(&case.spec).unwrap());
    assert!(!lives(running.pid));
    assert_eq!(case.groups(), [] as [PathBuf; 0]);
    assert_eq!(engine.state(&case.spec).unwrap(), State::Absent);
    assert!(!engine.stop(&case.spec).unwrap());
    assert_eq!(case.log(), "begun\n");
}

#[test]
fn output_of_one_run_is_added_to_that_of_the_last() {
    let mut case = Case::script("echo out; echo err >&2; exec sleep 1000");
    start(case.engine(), &case.spec);
    case.engine().stop(&case.spec).unwrap();
    case.spec.command = shell("echo again; exec sleep 1000");
    start(case.engine(), &case.spec);
    assert_eq!(case.log(), "out\nerr\nagain\n");
}

#[test]
fn it_is_down_when_it_dies_and_can_be_started_again() {
    let case = Case::script("echo begun; exec sleep 1000");
    let engine = case.engine();
    let first = start(engine, &case.spec);
    engine.signal(&case.spec, Signal::Kill).unwrap();
    goes_down(engine, &case.spec);
    // It was a child of this process, and yet no zombie is left.
    assert!(!Path::new(&format!("/proc/{}", first.pid)).exists());
    let error = engine.signal(&case.spec, Signal::Hangup).unwrap_err();
    assert!(error.to_string().contains("does not run"), "{error}");
    let second = start(engine, &case.spec);
    assert_ne!(first.pid, second.pid);
    assert!(engine.remove(&case.spec).unwrap());
    assert!(!engine.remove(&case.spec).unwrap());
}

#[test]
fn a_signal_reaches_it() {
    let case = Case::script("trap 'echo told' USR2; echo begun; while :; do sleep 0.05; done");
    start(case.engine(), &case.spec);
    eventually(patience(), || {
        (case.log() == "begun\n").then_some(()).ok_or(case.log())
    });
    case.engine().signal(&case.spec, Signal::User2).unwrap();
    eventually(patience(), || {
        case.log().contains("told").then_some(()).ok_or(case.log())
    });
}

#[test]
fn what_it_has_started_ends_with_it() {
    // A grandchild in a session of its own, whose parent has gone, and that is deaf.
    let script = "(setsid sh -c 'trap \"\" TERM; echo deaf $$; while :; do sleep 0.05; done' &); \
                  echo begun; exec sleep 1000";
    let mut case = Case::script(script);
    case.spec.stop_timeout = Duration::from_millis(300);
    let running = start(case.engine(), &case.spec);
    let deaf = case.printed("deaf ");
    assert!(lives(deaf));
    let begin = Instant::now();
    assert!(case.engine().stop(&case.spec).unwrap());
    assert!(
        begin.elapsed() >= Duration::from_millis(300),
        "{:?}",
        begin.elapsed()
    );
    assert!(!lives(deaf) && !lives(running.pid));
    assert_eq!(case.groups(), [] as [PathBuf; 0]);
}

#[test]
fn what_a_dead_one_has_left_ends_with_the_next_start() {
    let case = Case::script("setsid sleep 1001 & echo left $!; exec sleep 1000");
    start(case.engine(), &case.spec);
    let left = case.printed("left ");
    case.engine().signal(&case.spec, Signal::Kill).unwrap();
    goes_down(case.engine(), &case.spec);
    assert!(lives(left));
    start(case.engine(), &case.spec);
    assert!(!lives(left));
}

#[test]
fn it_is_born_in_the_namespace_that_was_given() {
    let mut case = Case::new(words(&["sleep", "1000"]));
    let path = case.dir.path().join("netns");
    NetNs::create(&path).unwrap();
    case.spec.network = Network::Namespace(path.clone());
    let running = start(case.engine(), &case.spec);
    let its = namespace(Path::new(&format!("/proc/{}/ns/net", running.pid)));
    assert_eq!(its, namespace(&path));
    assert_ne!(its, namespace(Path::new("/proc/self/ns/net")));
    assert_eq!(running.sandbox, path);
    NetNs::remove(&path).unwrap();
    // The namespace lives on with the process; by the process it is still found.
    let state = case.engine().state(&case.spec).unwrap();
    let sandbox = state.running().unwrap().sandbox.clone();
    assert_eq!(namespace(&sandbox), its);
}

#[test]
fn user_folder_and_environment_are_as_they_are_told() {
    let script = "id -u; id -g; id -G; pwd; umask; env | sort; exec sleep 1000";
    let mut case = Case::script(script);
    case.spec.user = Some("daemon".into());
    case.spec.cwd = Some("/usr".into());
    case.spec.environment = vec![("COLOUR".into(), "blue sky".into())];
    start(case.engine(), &case.spec);
    let path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    let expected = format!(
        "1\n1\n1\n/usr\n0022\nCOLOUR=blue sky\nHOME=/usr/sbin\nLOGNAME=daemon\nPATH={path}\n\
         PWD=/usr\nUSER=daemon\n"
    );
    eventually(patience(), || {
        let log = case.log();
        let known = log
            .lines()
            .filter(|line| !line.starts_with("_=") && !line.starts_with("SHLVL"));
        let told: String = known.map(|line| format!("{line}\n")).collect();
        (told == expected).then_some(()).ok_or(log)
    });
}

#[test]
fn a_program_that_cannot_run_is_told_with_its_keyword() {
    let mut case = Case::new(words(&["no-such-program", "x"]));
    let text = refused(case.engine(), &case.spec);
    assert_eq!(
        text,
        "container#0.command: cannot run \"no-such-program\": No such file or directory (os error 2)"
    );
    case.spec.command = words(&["/etc/passwd"]);
    let text = refused(case.engine(), &case.spec);
    assert!(text.contains("Permission denied"), "{text}");
    case.spec.entrypoint = words(&["/no/such"]);
    let text = refused(case.engine(), &case.spec);
    assert!(text.starts_with("container#0.entrypoint: "), "{text}");
    case.spec.entrypoint.clear();
    case.spec.cwd = Some("/no/such".into());
    let text = refused(case.engine(), &case.spec);
    assert!(text.starts_with("container#0.cwd: "), "{text}");
    case.spec.user = Some("nobody-of-that-name".into());
    let text = refused(case.engine(), &case.spec);
    assert!(text.starts_with("container#0.user: "), "{text}");
    case.spec.command.clear();
    let text = refused(case.engine(), &case.spec);
    assert!(text.starts_with("container#0.command: "), "{text}");
    // Nothing is left of all that.
    assert_eq!(case.engine().state(&case.spec).unwrap(), State::Absent);
    assert_eq!(case.groups(), [] as [PathBuf; 0]);
}

#[test]
fn one_that_ends_at_once_is_not_started() {
    let mut case = Case::script("sleep 1001 & echo the reason; exit 3");
    let text = refused(case.engine(), &case.spec);
    assert!(text.contains("exit status: 3"), "{text}");
    assert!(text.ends_with("the reason"), "{text}");
    assert_eq!(case.engine().state(&case.spec).unwrap(), State::Absent);
    assert_eq!(case.groups(), [] as [PathBuf; 0]);
    // Nor is one that goes into the background, which cannot be watched.
    case.spec.command = shell("sleep 1001 & exit 0");
    let text = refused(case.engine(), &case.spec);
    assert!(text.contains("exit status: 0"), "{text}");
    assert_eq!(case.groups(), [] as [PathBuf; 0]);
}

#[test]
fn a_running_one_that_was_declared_anew_is_left_and_said_to_be_outdated() {
    let mut case = Case::new(words(&["sleep", "1000"]));
    let running = start(case.engine(), &case.spec);
    case.spec.command = words(&["sleep", "1001"]);
    let again = case.engine().start(&case.spec).unwrap();
    assert!(again.outdated && !again.started, "{again:?}");
    assert_eq!(again.running, running);
}

#[test]
fn two_starts_at_once_make_one_process() {
    let case = Case::new(words(&["sleep", "1000"]));
    let all: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4)
            .map(|_| scope.spawn(|| case.engine().start(&case.spec).unwrap()))
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect()
    });
    assert_eq!(
        all.iter().filter(|started| started.started).count(),
        1,
        "{all:?}"
    );
    assert!(
        all.iter().all(|started| started.running == all[0].running),
        "{all:?}"
    );
}

#[test]
fn a_shim_that_nobody_has_started_says_so() {
    let output = std::process::Command::new(shim())
        .arg("process-shim")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(told.contains("by services only"), "{told}");
}
