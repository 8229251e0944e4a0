//! Docker and Podman's service: the same cases for both.

use crate::common::{
    file_of, goes_down, inside, is_not_there, links, lives, namespace, refused, shell, spec, start,
    words,
};
use fairlead_services::{
    ContainerSpec, Engine, Engines, Kind, Network, Pull, Settings, Signal, State,
};
use fairlead_tests::{Docker, Node, Podman, eventually, patience};
use fairlead_types::{ResourceName, Root};
use serde_json::Value;
use std::path::PathBuf;
use std::time::Duration;
use tempfile::TempDir;

/// An image that nobody has, at a registry that nobody runs.
const NO_IMAGE: &str = "127.0.0.1:1/nope:1";

/// A daemon on a node of its own, with what is asked for.
struct Case {
    daemon: Option<Daemon>,
    engines: Engines,
    kind: Kind,
    socket: PathBuf,
    _dir: TempDir,
    node: Node,
}

enum Daemon {
    Docker(Docker),
    Podman(Podman),
}

impl Case {
    fn new(kind: Kind) -> Self {
        let node = Node::unplugged("one");
        let dir = tempfile::tempdir().expect("a folder");
        let daemon = match kind {
            Kind::Docker => Daemon::Docker(Docker::start(&node)),
            _ => Daemon::Podman(Podman::start(&node)),
        };
        let mut settings = Settings::new(Root::new(dir.path()));
        settings.docker = node.path(Docker::SOCKET);
        settings.podman = node.path(Podman::SOCKET);
        let socket = match kind {
            Kind::Docker => settings.docker.clone(),
            _ => settings.podman.clone(),
        };
        Self {
            daemon: Some(daemon),
            engines: Engines::new(settings),
            kind,
            socket,
            _dir: dir,
            node,
        }
    }

    fn engine(&self) -> &dyn Engine {
        self.engines.engine(self.kind)
    }

    fn spec(&self, script: &str) -> ContainerSpec {
        let mut spec = spec(self.kind);
        spec.image = Some(Docker::IMAGE.into());
        spec.command = shell(script);
        spec.stop_timeout = Duration::from_secs(1);
        spec
    }

    /// What the daemon itself tells of a container; null if there is none.
    fn found(&self, name: &str) -> Value {
        let path = format!("/containers/{name}/json");
        match self.kind {
            Kind::Docker => Docker::get(&self.node, &path),
            _ => Podman::get(&self.node, &path),
        }
    }

    fn run_foreign(&self, name: &str) {
        match self.kind {
            Kind::Docker => Docker::run_foreign(&self.node, name),
            _ => Podman::run_foreign(&self.node, name),
        }
    }

    /// Ends the daemon at once; its socket stays.
    fn kill(&mut self) {
        match self.daemon.as_mut().expect("a daemon") {
            Daemon::Docker(docker) => docker.daemon.kill(),
            Daemon::Podman(podman) => podman.daemon.kill(),
        }
    }
}

/// From nothing to running, and back.
fn it_runs_until_it_is_stopped(case: &Case) {
    let engine = case.engine();
    let spec = case.spec("exec sleep 1000");
    engine.is_there(&spec.resource).unwrap();
    assert_eq!(engine.state(&spec).unwrap(), State::Absent);
    let started = engine.start(&spec).unwrap();
    assert!(
        started.created && started.started && !started.outdated,
        "{started:?}"
    );
    let running = started.running;
    assert_eq!(engine.state(&spec).unwrap(), State::Up(running.clone()));
    // Nothing is there but the loopback interface, in a namespace of its own.
    assert_eq!(links(running.pid), ["lo"]);
    let by_pid = PathBuf::from(format!("/proc/{}/ns/net", running.pid));
    assert_eq!(namespace(&running.sandbox), namespace(&by_pid));
    let on_node = PathBuf::from(format!("/proc/{}/ns/net", case.node.holder()));
    assert_ne!(namespace(&running.sandbox), namespace(&on_node));
    let found = case.found(&spec.name);
    assert_eq!(found["Id"], running.id.as_str());
    assert_eq!(
        found["Config"]["Labels"]["fairlead.service"],
        spec.service.as_str()
    );
    assert_eq!(
        found["Config"]["Labels"]["fairlead.resource"],
        "container#0"
    );
    let hostname = inside(running.pid, "--uts", &["hostname"]);
    assert_eq!(running.hostname.as_deref(), Some(hostname.trim()));

    let again = engine.start(&spec).unwrap();
    assert!(
        !again.started && !again.created && !again.outdated,
        "{again:?}"
    );
    assert_eq!(again.running, running);
    assert!(engine.stop(&spec).unwrap());
    assert!(!lives(running.pid));
    assert_eq!(engine.state(&spec).unwrap(), State::Down);
    assert!(!engine.stop(&spec).unwrap());
    let third = engine.start(&spec).unwrap();
    assert!(third.started && !third.created, "{third:?}");
    assert_eq!(third.running.id, running.id);
    assert!(engine.remove(&spec).unwrap());
    assert!(!engine.remove(&spec).unwrap());
    assert!(case.found(&spec.name).is_null());
}

fn a_moment_of_life_is_no_start(case: &Case) {
    let spec = case.spec("echo the reason; sleep 0.03; exit 3");
    let text = refused(case.engine(), &spec);
    assert!(
        text.contains("exit status 3") && text.contains("the reason"),
        "{text}"
    );
    assert!(case.found(&spec.name).is_null());
}

fn it_dies_by_itself(case: &Case) {
    let engine = case.engine();
    let spec = case.spec("trap 'exit 1' USR1; while :; do sleep 0.1; done");
    start(engine, &spec);
    eventually(patience(), || {
        // Again, for the script may not be listening yet; until there is nothing to tell.
        let told = engine.signal(&spec, Signal::User1);
        match engine.state(&spec) {
            Ok(State::Down) => Ok(()),
            other => Err((told.map_err(|e| e.to_string()), other)),
        }
    });
    goes_down(engine, &spec);
    let error = engine.signal(&spec, Signal::Hangup).unwrap_err();
    assert!(error.to_string().contains("does not run"), "{error}");
    start(engine, &spec);
}

fn one_that_ends_at_once_is_not_started(case: &Case) {
    let mut spec = case.spec("echo the reason; exit 3");
    let text = refused(case.engine(), &spec);
    assert!(
        text.contains("exit status 3") && text.contains("the reason"),
        "{text}"
    );
    assert!(case.found(&spec.name).is_null());
    spec.command = words(&["/no/such/program"]);
    let text = refused(case.engine(), &spec);
    assert!(
        text.starts_with("container#0: ") && text.contains("/no/such/program"),
        "{text}"
    );
    assert!(case.found(&spec.name).is_null());
}

fn what_is_declared_arrives(case: &Case) {
    let mut spec =
        case.spec("pwd >/tmp/said; id -u >>/tmp/said; echo $COLOUR >>/tmp/said; exec sleep 1000");
    let shared = tempfile::tempdir().unwrap();
    std::fs::write(shared.path().join("file"), "shared").unwrap();
    spec.volumes = vec![format!("{}:/mnt/it:ro", shared.path().display())];
    spec.environment = vec![("COLOUR".into(), "blue sky".into())];
    spec.hostname = Some("web-1".into());
    spec.cwd = Some("/usr".into());
    spec.user = Some("12:34".into());
    spec.dns.servers = vec!["10.99.0.1".parse().unwrap(), "10.99.0.2".parse().unwrap()];
    spec.dns.search = vec!["shop.svc.c1".into(), "svc.c1".into()];
    spec.dns.options = vec!["ndots:2".into(), "use-vc".into()];
    // The image's /tmp is root's alone.
    spec.volumes
        .push(format!("{}:/tmp", open_folder(&shared).display()));
    let running = start(case.engine(), &spec);
    assert_eq!(running.hostname.as_deref(), Some("web-1"));
    assert_eq!(inside(running.pid, "--uts", &["hostname"]), "web-1\n");
    assert_eq!(file_of(running.pid, "/mnt/it/file"), "shared");
    let resolv = file_of(running.pid, "/etc/resolv.conf");
    let mut lines: Vec<&str> = resolv
        .lines()
        .filter(|line| !line.starts_with('#'))
        .collect();
    lines.sort_unstable();
    assert_eq!(
        lines,
        [
            "nameserver 10.99.0.1",
            "nameserver 10.99.0.2",
            "options ndots:2 use-vc",
            "search shop.svc.c1 svc.c1"
        ]
    );
    eventually(patience(), || {
        match file_of(running.pid, "/tmp/said").as_str() {
            "/usr\n12\nblue sky\n" => Ok(()),
            other => Err(other.to_owned()),
        }
    });
}

/// A folder in which everybody may write.
fn open_folder(dir: &TempDir) -> PathBuf {
    use std::os::unix::fs::PermissionsExt;
    let path = dir.path().join("open");
    std::fs::create_dir(&path).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o777)).unwrap();
    path
}

fn an_image_that_is_not_there_is_told(case: &Case) {
    let mut spec = case.spec("exec sleep 1000");
    spec.image = Some(NO_IMAGE.into());
    for pull in [Pull::Missing, Pull::Always, Pull::Never] {
        spec.pull = pull;
        let text = refused(case.engine(), &spec);
        let begin = format!(
            "container#0.image: {} has no image {NO_IMAGE:?} and ",
            case.kind
        );
        assert!(text.starts_with(&begin), "{text}");
        assert!(text.ends_with("; load it or correct the keyword"), "{text}");
        assert!(case.found(&spec.name).is_null());
    }
}

fn somebody_elses_container_is_left_alone(case: &Case) {
    let spec = case.spec("exec sleep 1000");
    case.run_foreign(&spec.name);
    let engine = case.engine();
    let errors = [
        engine.start(&spec).map(drop).unwrap_err(),
        engine.stop(&spec).map(drop).unwrap_err(),
        engine.remove(&spec).map(drop).unwrap_err(),
        engine.state(&spec).map(drop).unwrap_err(),
        engine.signal(&spec, Signal::Kill).unwrap_err(),
    ];
    for error in errors {
        let text = error.to_string();
        assert!(text.starts_with("container#0.name: "), "{text}");
        assert!(text.contains(&spec.name), "{text}");
    }
    assert_eq!(case.found(&spec.name)["State"]["Running"], true);
}

fn one_that_was_declared_anew_is_made_anew_when_it_is_down(case: &Case) {
    let engine = case.engine();
    let mut spec = case.spec("exec sleep 1000");
    let first = start(engine, &spec);
    spec.command = shell("exec sleep 1001");
    let again = engine.start(&spec).unwrap();
    assert!(again.outdated && !again.started, "{again:?}");
    assert_eq!(again.running, first);
    engine.stop(&spec).unwrap();
    let started = engine.start(&spec).unwrap();
    assert!(
        started.created && started.started && !started.outdated,
        "{started:?}"
    );
    assert_ne!(started.running.id, first.id);
    // And one that is to go when it is stopped goes.
    spec.rm = true;
    engine.stop(&spec).unwrap();
    assert!(case.found(&spec.name).is_null());
}

fn one_is_in_anothers_network(case: &Case) {
    let engine = case.engine();
    let mut first = case.spec("exec sleep 1000");
    let mut second = case.spec("exec sleep 1000");
    // Another resource of the same service.
    second.service = first.service.clone();
    second.resource = ResourceName::new("container#1").unwrap();
    second.network = Network::Of(first.name.clone());
    second.hostname = Some("ignored".into());
    second.dns.servers = vec!["10.99.0.1".parse().unwrap()];
    let text = refused(engine, &second);
    assert!(
        text.starts_with("container#1.netns: ") && text.contains(&first.name),
        "{text}"
    );
    let one = start(engine, &first);
    let two = start(engine, &second);
    let of = |pid| namespace(&PathBuf::from(format!("/proc/{pid}/ns/net")));
    assert_eq!(of(one.pid), of(two.pid));
    assert_eq!(namespace(&two.sandbox), of(one.pid));
    // The first one made anew is another network: so is the second's then.
    assert!(!engine.start(&second).unwrap().outdated);
    first.environment = vec![("COLOUR".into(), "blue".into())];
    engine.stop(&second).unwrap();
    engine.stop(&first).unwrap();
    let one = start(engine, &first);
    let two = start(engine, &second);
    assert_eq!(of(one.pid), of(two.pid));
    // The host's, which here is the node's.
    let mut third = case.spec("exec sleep 1000");
    third.network = Network::Host;
    let three = start(engine, &third);
    assert_eq!(of(three.pid), of(case.node.holder()));
}

fn a_daemon_that_has_gone_is_told(case: &mut Case) {
    let spec = case.spec("exec sleep 1000");
    case.kill();
    let socket = case.socket.display().to_string();
    let error = case.engine().start(&spec).unwrap_err();
    is_not_there(error, &socket);
    std::fs::remove_file(&case.socket).unwrap();
    is_not_there(case.engine().state(&spec).unwrap_err(), &socket);
    is_not_there(case.engine().is_there(&spec.resource).unwrap_err(), &socket);
}

macro_rules! cases {
    ($($name:ident)*) => {
        mod docker {
            $(#[test] fn $name() { super::$name(&super::Case::new(super::Kind::Docker)); })*
            #[test]
            fn a_daemon_that_has_gone_is_told() {
                super::a_daemon_that_has_gone_is_told(&mut super::Case::new(super::Kind::Docker));
            }
        }
        mod podman {
            $(#[test] fn $name() { super::$name(&super::Case::new(super::Kind::Podman)); })*
            #[test]
            fn a_daemon_that_has_gone_is_told() {
                super::a_daemon_that_has_gone_is_told(&mut super::Case::new(super::Kind::Podman));
            }
        }
    };
}

cases! {
    it_runs_until_it_is_stopped
    it_dies_by_itself
    a_moment_of_life_is_no_start
    one_that_ends_at_once_is_not_started
    what_is_declared_arrives
    an_image_that_is_not_there_is_told
    somebody_elses_container_is_left_alone
    one_that_was_declared_anew_is_made_anew_when_it_is_down
    one_is_in_anothers_network
}
