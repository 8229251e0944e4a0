//! LXC containers, which are there before the service is.

use crate::common::{
    file_of, goes_down, inside, is_not_there, links, lives, namespace, refused, spec, start, words,
};
use fairlead_services::{ContainerSpec, Engine, Engines, Kind, Network, Settings, Signal, State};
use fairlead_tests::{Lxc, Node};
use fairlead_types::Root;
use std::path::PathBuf;
use std::time::Duration;
use tempfile::TempDir;

/// Containers of a node, with what is asked for.
struct Case {
    lxc: Lxc,
    engines: Engines,
    _dir: TempDir,
    node: Node,
}

impl Case {
    fn new() -> Self {
        let node = Node::unplugged("one");
        let lxc = Lxc::new(&node);
        let dir = tempfile::tempdir().expect("a folder");
        let mut settings = Settings::new(Root::new(dir.path()));
        settings.lxc = Some(lxc.tools(&node));
        Self {
            lxc,
            engines: Engines::new(settings),
            _dir: dir,
            node,
        }
    }

    fn engine(&self) -> &dyn Engine {
        self.engines.engine(Kind::Lxc)
    }

    /// The container of that name, which need not be there.
    fn spec(&self, name: &str) -> ContainerSpec {
        let mut spec = spec(Kind::Lxc);
        spec.name = name.into();
        spec.lxcpath = Some(self.lxc.path().to_owned());
        // What is in it does not look for a signal.
        spec.stop_timeout = Duration::ZERO;
        spec
    }

    fn of(pid: u32) -> u64 {
        namespace(&PathBuf::from(format!("/proc/{pid}/ns/net")))
    }
}

#[test]
fn it_runs_until_it_is_stopped() {
    let case = Case::new();
    case.lxc.make("box");
    let engine = case.engine();
    let mut spec = case.spec("box");
    engine.is_there(&spec.resource).unwrap();
    assert_eq!(engine.state(&spec).unwrap(), State::Down);
    let running = start(engine, &spec);
    assert_eq!(engine.state(&spec).unwrap(), State::Up(running.clone()));
    assert!(case.lxc.info(&case.node, "box").contains("RUNNING"));
    // The networks of its configuration are not made.
    assert_eq!(links(running.pid), ["lo"]);
    assert_ne!(namespace(&running.sandbox), Case::of(case.node.holder()));
    assert_eq!(running.hostname.as_deref(), Some("box"));
    assert_eq!(inside(running.pid, "--uts", &["hostname"]), "box\n");

    let again = engine.start(&spec).unwrap();
    assert!(!again.started && !again.created, "{again:?}");
    assert_eq!(again.running, running);
    // By itself, this time: its init has a signal for that.
    spec.stop_timeout = Duration::from_secs(20);
    assert!(engine.stop(&spec).unwrap());
    assert!(!lives(running.pid));
    assert_eq!(engine.state(&spec).unwrap(), State::Down);
    assert!(!engine.stop(&spec).unwrap());
}

#[test]
fn it_is_down_when_it_dies_and_can_be_started_again() {
    let case = Case::new();
    case.lxc.make("box");
    let spec = case.spec("box");
    let first = start(case.engine(), &spec);
    case.engine().signal(&spec, Signal::Kill).unwrap();
    goes_down(case.engine(), &spec);
    let error = case.engine().signal(&spec, Signal::Hangup).unwrap_err();
    assert!(error.to_string().contains("does not run"), "{error}");
    let second = start(case.engine(), &spec);
    assert_ne!(first.pid, second.pid);
    assert!(case.engine().remove(&spec).unwrap());
    assert!(!lives(second.pid));
}

#[test]
fn what_is_declared_arrives() {
    let case = Case::new();
    case.lxc.make("box");
    let mut spec = case.spec("box");
    let shared = tempfile::tempdir().unwrap();
    std::fs::write(shared.path().join("file"), "shared").unwrap();
    spec.volumes = vec![format!("{}:/mnt/it:ro", shared.path().display())];
    spec.environment = vec![("COLOUR".into(), "blue sky".into())];
    spec.hostname = Some("web-1".into());
    spec.dns.servers = vec!["10.99.0.1".parse().unwrap()];
    spec.dns.search = vec!["shop.svc.c1".into(), "svc.c1".into()];
    spec.dns.options = vec!["ndots:2".into()];
    spec.command = words(&["/bin/sleep", "1000"]);
    let running = start(case.engine(), &spec);
    assert_eq!(running.hostname.as_deref(), Some("web-1"));
    assert_eq!(inside(running.pid, "--uts", &["hostname"]), "web-1\n");
    assert_eq!(file_of(running.pid, "/mnt/it/file"), "shared");
    assert_eq!(
        file_of(running.pid, "/etc/resolv.conf"),
        "nameserver 10.99.0.1\nsearch shop.svc.c1 svc.c1\noptions ndots:2\n"
    );
    let environment = std::fs::read(format!("/proc/{}/environ", running.pid)).unwrap();
    let environment = String::from_utf8_lossy(&environment);
    assert!(environment.contains("COLOUR=blue sky\0"), "{environment}");
    let command = std::fs::read(format!("/proc/{}/cmdline", running.pid)).unwrap();
    assert_eq!(command, b"/bin/sleep\x001000\0");
}

#[test]
fn one_is_in_anothers_network_or_the_hosts() {
    let case = Case::new();
    ["one", "two", "three"]
        .iter()
        .for_each(|name| case.lxc.make(name));
    let (one, mut two, mut three) = (case.spec("one"), case.spec("two"), case.spec("three"));
    two.network = Network::Of("one".into());
    let text = refused(case.engine(), &two);
    assert!(text.starts_with("container#0.netns: "), "{text}");
    let one = start(case.engine(), &one);
    let two = start(case.engine(), &two);
    assert_eq!(Case::of(one.pid), Case::of(two.pid));
    three.network = Network::Host;
    let three = start(case.engine(), &three);
    assert_eq!(Case::of(three.pid), Case::of(case.node.holder()));
}

#[test]
fn one_that_is_not_there_is_told_with_the_cure() {
    let case = Case::new();
    let spec = case.spec("nobody");
    assert_eq!(case.engine().state(&spec).unwrap(), State::Absent);
    assert!(!case.engine().stop(&spec).unwrap());
    let text = refused(case.engine(), &spec);
    assert!(
        text.starts_with("container#0.name: there is no container nobody in "),
        "{text}"
    );
    assert!(text.contains("lxc-create"), "{text}");
}

#[test]
fn what_lxc_says_against_a_start_is_told() {
    let case = Case::new();
    case.lxc.make("box");
    std::fs::remove_dir_all(case.lxc.path().join("box/rootfs")).unwrap();
    let text = refused(case.engine(), &case.spec("box"));
    assert!(
        text.starts_with("container#0: lxc cannot start box: "),
        "{text}"
    );
    assert!(text.contains("rootfs"), "{text}");
    assert_eq!(case.engine().state(&case.spec("box")).unwrap(), State::Down);
}

#[test]
fn one_that_ends_at_once_is_not_started() {
    let case = Case::new();
    case.lxc.make("box");
    let mut spec = case.spec("box");
    spec.command = words(&["/bin/false"]);
    let text = refused(case.engine(), &spec);
    assert!(text.starts_with("container#0: "), "{text}");
    assert_eq!(case.engine().state(&spec).unwrap(), State::Down);
}

#[test]
fn tools_that_are_not_there_are_told() {
    let dir = tempfile::tempdir().unwrap();
    let mut settings = Settings::new(Root::new(dir.path()));
    settings.lxc = Some(dir.path().to_owned());
    let engines = Engines::new(settings);
    let engine = engines.engine(Kind::Lxc);
    let spec = spec(Kind::Lxc);
    is_not_there(engine.start(&spec).unwrap_err(), "lxc-info");
    is_not_there(engine.is_there(&spec.resource).unwrap_err(), "lxc-info");
}
