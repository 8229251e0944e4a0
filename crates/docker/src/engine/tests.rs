//! Following an engine that says what the test tells it to say.

use super::*;
use crate::Ground;
use crate::network::plain;
use crate::view::Container;
use fairlead_attach::{Node, owner};
use fairlead_cluster::{CarriedNetwork, Cluster};
use fairlead_config::{Change, Config, KeyOp, KeyPath, Operator, Target};
use fairlead_plugins::Host;
use fairlead_shared::Local;
use fairlead_store::{Attachment, DockerNetwork, NewAttachment};
use fairlead_types::{
    ContainerId, IfName, Naming, NetworkName, ObjectName, Owner, ResourceName, Root,
};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

/// What the engine says, and what it was told.
#[derive(Default)]
struct Says {
    answers: BTreeMap<String, Value>,
    listeners: Vec<UnixStream>,
    heard: Vec<String>,
}

#[derive(Default)]
struct FakeEngine(Mutex<Says>);

impl FakeEngine {
    fn begin(socket: &std::path::Path) -> Arc<Self> {
        let engine = Arc::new(Self::default());
        let listener = UnixListener::bind(socket).unwrap();
        let served = Arc::clone(&engine);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                served.serve(stream.unwrap());
            }
        });
        engine
    }

    fn says(&self) -> MutexGuard<'_, Says> {
        self.0.lock().unwrap()
    }

    fn serve(&self, mut stream: UnixStream) {
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        let (mut line, mut length) = (String::new(), 0);
        reader.read_line(&mut line).unwrap();
        loop {
            let mut header = String::new();
            reader.read_line(&mut header).unwrap();
            match header.trim().split_once(": ") {
                Some(("Content-Length", text)) => length = text.parse().unwrap(),
                Some(_) => {}
                None => break,
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).unwrap();
        let mut says = self.says();
        let question = line.trim().trim_end_matches(" HTTP/1.0");
        if question.starts_with("GET /events?since=") {
            stream.write_all(b"HTTP/1.0 200 OK\r\n\r\n").unwrap();
            says.listeners.push(stream);
            return;
        }
        let (status, answer) = match says.answers.get(question) {
            Some(answer) => ("200 OK", answer.to_string()),
            None => ("404 Not Found", String::new()),
        };
        if !question.starts_with("GET") {
            let body = String::from_utf8(body).unwrap();
            says.heard.push(format!("{question} {body}"));
        }
        let _ = write!(stream, "HTTP/1.0 {status}\r\n\r\n{answer}");
    }

    fn answer(&self, question: &str, answer: Value) {
        self.says().answers.insert(question.to_owned(), answer);
    }

    fn event(&self, kind: &str, action: &str, id: &str, container: &str) {
        let attributes = json!({"type": "fairlead", "container": container});
        let event =
            json!({"Type": kind, "Action": action, "Actor": {"ID": id, "Attributes": attributes}});
        for listener in &mut self.says().listeners {
            let _ = writeln!(listener, "{event}");
        }
    }

    /// All conversations end.
    fn hang_up(&self) {
        self.says().listeners.clear();
    }
}

struct Case {
    _dir: tempfile::TempDir,
    engine: Arc<FakeEngine>,
    door: Arc<Door>,
    cluster: Arc<Cluster>,
    /// Another node of the cluster.
    other: Cluster,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

struct Floor(Arc<Node>, Arc<Cluster>);

impl Ground for Floor {
    fn node(&self) -> Arc<Node> {
        Arc::clone(&self.0)
    }

    fn cluster(&self) -> Option<Arc<Cluster>> {
        Some(Arc::clone(&self.1))
    }

    fn set_up(&self, _: &NetworkName) -> Result<(), String> {
        Ok(())
    }

    fn called(&self, _: &'static str, _: Duration, _: bool) {}
}

impl Drop for Case {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let begun = Instant::now();
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
        assert!(begun.elapsed() < Duration::from_secs(2), "it ends promptly");
    }
}

fn set(root: &Root, target: Target, name: (&str, &str), value: &str) {
    let change = Change::Set(KeyOp {
        path: KeyPath::new(name.0, name.1),
        operator: Operator::Assign,
        value: value.to_owned(),
    });
    fairlead_config::change(root, target, "n1", &[change], false).unwrap();
}

impl Case {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let root = Root::new(dir.path().join("n1"));
        let socket = dir.path().join("docker.sock");
        let text = socket.to_str().unwrap();
        set(&root, Target::Node, ("node", "docker_socket"), text);
        set(
            &root,
            Target::Cluster,
            ("network#back", "network"),
            "10.30.0.0/24",
        );
        let shared = Arc::new(Local::open(&dir.path().join("engine.db")).unwrap());
        let open = |root: &Root, node: &str| {
            Cluster::over(root, node, shared.clone(), Some("/fairlead".into())).unwrap()
        };
        let cluster = Arc::new(open(&root, "n1"));
        let other = open(&Root::new(dir.path().join("n2")), "n2");
        let config = Config::load(&root, "n1").unwrap();
        let node = Arc::new(Node::on(Arc::new(Host::new(root)), config).unwrap());
        let engine = FakeEngine::begin(&socket);
        engine.answer("GET /containers/json?all=1", json!([]));
        engine.answer("GET /networks", json!([]));
        let door = Arc::new(Door::new(Arc::new(Floor(node, Arc::clone(&cluster)))));
        Self {
            _dir: dir,
            engine,
            door,
            cluster,
            other,
            stop: Arc::default(),
            thread: None,
        }
    }

    fn follow(mut self) -> Self {
        let (door, stop) = (Arc::clone(&self.door), Arc::clone(&self.stop));
        let stop = move |time: Duration| {
            let end = Instant::now() + time;
            while !stop.load(Ordering::Relaxed) && Instant::now() < end {
                std::thread::sleep(Duration::from_millis(10));
            }
            stop.load(Ordering::Relaxed)
        };
        self.thread = Some(std::thread::spawn(move || follow(&door, &stop)));
        self
    }

    /// A network of the engine that is recorded here.
    fn network(&self, id: &str, name: &str) {
        let found = json!({"Id": id, "Name": name, "Driver": "fairlead", "Containers": {},
            "Options": {"network": "back"}, "IPAM": {"Driver": "fairlead",
            "Config": [{"Subnet": "10.30.0.0/24"}]}});
        self.engine.answer("GET /networks", json!([found]));
        self.engine.answer(&format!("GET /networks/{id}"), found);
        self.door.record(&record(id)).unwrap();
    }

    /// A running container with an endpoint on a network, and the record of its cable.
    fn container(&self, id: &str, network: &str, endpoint: &str) {
        let place = json!({"Networks": {"n": {"NetworkID": network, "EndpointID": endpoint}}});
        let found = json!({"Id": id, "Name": "/web", "State": {"Running": true, "Pid": 0},
            "Config": {"ExposedPorts": {"80/tcp": {}}}, "NetworkSettings": place});
        self.engine
            .answer(&format!("GET /containers/{id}/json"), found);
        let owner = owner(&back(), ContainerId::new(endpoint).unwrap()).unwrap();
        let config = r#"{"cniVersion":"1.0.0","name":"back","plugins":[{"type":"bridge","handover":"flp1"}]}"#;
        let new = NewAttachment::new(&owner, endpoint, config);
        let node = self.door.ground.node();
        let begun = |tx: &fairlead_store::Tx<'_>| {
            tx.begin_attachment(&new)?;
            tx.attachment_ready(&owner, "{}", None)
        };
        node.host().store(|store| store.write(begun)).unwrap();
    }

    fn attachment(&self, endpoint: &str) -> Attachment {
        let node = self.door.ground.node();
        let endpoint = ContainerId::new(endpoint).unwrap();
        node.plugs(Some(&endpoint)).unwrap().remove(0)
    }

    /// The networks that are to be on every node, and those that leave, marked.
    fn carried(&self) -> Vec<String> {
        let all = self.cluster.carried_now().unwrap().into_iter();
        let text = |one: CarriedNetwork| match one.leaving {
            true => format!("-{}", one.origin),
            false => one.origin,
        };
        all.map(text).collect()
    }
}

fn back() -> NetworkName {
    NetworkName::new("back").unwrap()
}

fn record(id: &str) -> DockerNetwork {
    plain(id, "back")
}

#[track_caller]
fn soon(what: &str, is_so: impl Fn() -> bool) {
    let end = Instant::now() + Duration::from_secs(20);
    while !is_so() {
        assert!(Instant::now() < end, "{what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn containers_are_known_from_the_first_look_and_from_events() {
    let case = Case::new();
    let list = json!([{"Id": "c1", "State": "exited", "Created": 1}]);
    case.engine.answer("GET /containers/json?all=1", list);
    let case = case.follow();
    let view = &case.door.view;
    soon("the look", || {
        view.container("c1") == Some(Container::Stopped)
    });
    case.engine.event("container", "start", "c1", "");
    soon("a start", || {
        view.container("c1") == Some(Container::Running)
    });
    case.engine.event("container", "create", "c1", "");
    case.engine.event("container", "create", "c2", "");
    soon("a new one", || {
        matches!(view.container("c2"), Some(Container::New(_)))
    });
    assert_eq!(
        view.container("c1"),
        Some(Container::Running),
        "it ran before"
    );
    case.engine.event("container", "die", "c1", "");
    case.engine.event("container", "destroy", "c2", "");
    soon("an end", || {
        view.container("c1") == Some(Container::Stopped)
    });
    soon("one is gone", || view.container("c2").is_none());
    // Lost, nothing is known; found again, what it has then.
    case.engine.answer("GET /containers/json?all=1", json!([]));
    case.engine.hang_up();
    soon("the engine is lost", || view.container("c1").is_none());
    soon("it is found", || view.heard() == crate::view::Heard::Again);
}

#[test]
fn who_a_container_is_is_noted_and_not_written_again() {
    let case = Case::new();
    case.network("n1", "My Net");
    case.container("c1", "n1", "e1");
    let case = case.follow();
    soon("the name of the network", || {
        let found = case.door.recorded("n1").unwrap().unwrap();
        found.name.as_deref() == Some("My Net")
    });
    case.engine.event("network", "connect", "n1", "c1");
    soon("who it is", || case.attachment("e1").id == "c1");
    let noted = case.attachment("e1");
    assert_eq!(noted.object.unwrap().as_str(), "docker/svc/web");
    assert_eq!(noted.naming.expose[0].to_string(), "80/tcp");
    let store = fairlead_store::Store::open(case.door.ground.node().host().root()).unwrap();
    let before = store.data_version().unwrap();
    case.engine.event("container", "rename", "c1", "");
    case.engine.event("network", "connect", "n1", "c1");
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(store.data_version().unwrap(), before);
}

#[test]
fn what_is_for_a_resource_of_a_service_keeps_its_names() {
    let case = Case::new();
    case.network("n1", "My Net");
    case.container("c1", "n1", "e1");
    let node = case.door.ground.node();
    let object = ObjectName::new("shop/svc/web").unwrap();
    let resource = ResourceName::new("ip#0").unwrap();
    let attach = |ifname: &str, of_service: bool| {
        let own = owner(&back(), ContainerId::new("c1").unwrap()).unwrap();
        let ifname = IfName::new(ifname).unwrap();
        let own = Owner { ifname, ..own };
        let config = r#"{"cniVersion":"1.0.0","name":"back","plugins":[{"type":"bridge"}]}"#;
        let new = NewAttachment {
            object: of_service.then_some(&object),
            resource: of_service.then_some(&resource),
            ..NewAttachment::new(&own, "c1", config)
        };
        let begun = |tx: &fairlead_store::Tx<'_>| {
            tx.begin_attachment(&new)?;
            tx.attachment_ready(&own, "{}", None)
        };
        node.host().store(|store| store.write(begun)).unwrap();
        own
    };
    // One that the runtime made, which comes after it in each look, tells when it was looked.
    let (by_service, by_runtime) = (attach("eth0", true), attach("eth1", false));
    let case = case.follow();
    soon("the first look", || {
        let found = case.door.recorded("n1").unwrap().unwrap();
        found.name.is_some()
    });
    case.engine.event("container", "start", "c1", "");
    let find = |owner: &Owner| {
        let found = node.host().store(|store| store.view().attachment(owner));
        found.unwrap().unwrap()
    };
    let object_of = |owner: &Owner| find(owner).object.map(|object| object.to_string());
    soon("the other has a name", || {
        object_of(&by_runtime).as_deref() == Some("docker/svc/web")
    });
    assert_eq!(object_of(&by_service).as_deref(), Some("shop/svc/web"));
    assert_eq!(find(&by_service).naming, Naming::default());
}

#[test]
fn a_network_is_carried_until_the_engine_tells_that_it_was_removed() {
    let case = Case::new();
    case.network("n1", "web");
    let case = case.follow();
    soon("it is carried", || case.carried() == ["n1"]);
    let carried = case.cluster.carried_now().unwrap().remove(0);
    let request = carried.request.unwrap();
    assert_eq!(request["Options"]["origin"], "n1");
    assert_eq!(request["IPAM"]["Options"]["network"], "back");
    // An engine that lost everything removes nothing.
    case.engine.answer("GET /networks", json!([]));
    case.engine.hang_up();
    soon("it is made anew", || !case.engine.says().heard.is_empty());
    assert_eq!(case.carried(), ["n1"]);
    case.network("n1", "web");
    case.engine.hang_up();
    soon("it is heard again", || {
        !case.engine.says().listeners.is_empty()
    });
    case.engine.event("network", "destroy", "n1", "");
    soon("it leaves", || case.carried() == ["-n1"]);
    case.door.forget(&record("n1")).unwrap();
    soon("it is gone", || case.carried().is_empty());
}

#[test]
fn a_network_of_another_node_is_made_here_and_goes_with_it() {
    let case = Case::new();
    let wanted = CarriedNetwork {
        origin: "o1".into(),
        name: "web".into(),
        node: "n2".into(),
        record: record("o1"),
        request: Some(json!({"Name": "web"})),
        leaving: false,
    };
    case.other.carry(&wanted).unwrap();
    let case = case.follow();
    soon("it is told that it fails", || {
        let problems = case.door.carried_problems();
        let wanted = "make network web of Docker here, which node n2 has: make network web: ";
        problems.iter().any(|problem| problem.starts_with(wanted))
    });
    let made = || case.engine.says().heard.clone();
    assert_eq!(made(), [r#"POST /networks/create {"Name":"web"}"#]);
    // The engine has it now.
    case.network("b1", "web");
    let copy = DockerNetwork {
        origin: Some("o1".into()),
        ..record("b1")
    };
    case.door.record(&copy).unwrap();
    case.engine.event("network", "create", "b1", "");
    soon("no problem is left", || {
        case.door.recorded("b1").unwrap().unwrap().name.is_some()
    });
    case.other.stop_carrying("o1").unwrap();
    soon("it is removed here", || {
        made().last().unwrap() == "DELETE /networks/b1 "
    });
    assert!(
        !case.carried().contains(&"b1".to_owned()),
        "a copy is no origin"
    );
}

#[test]
fn a_network_that_the_engine_lost_for_a_minute_is_forgotten_here_and_nowhere_else() {
    let case = Case::new();
    case.network("n1", "web");
    let follower = Follower {
        door: Arc::clone(&case.door),
        memory: Mutex::default(),
    };
    follower.memory().origins.insert("n1".into(), "n1".into());
    let lost = look::Look::of(&json!([]), &json!([]));
    follower.tidy(&lost);
    assert!(
        case.door.recorded("n1").unwrap().is_some(),
        "it was just lost"
    );
    let long_ago = Instant::now().checked_sub(Duration::from_secs(61)).unwrap();
    follower.memory().missing.insert("n1".into(), long_ago);
    follower.tidy(&lost);
    assert!(case.door.recorded("n1").unwrap().is_none());
    assert!(follower.memory().removed.is_empty());
    // One that the driver was asked to forget was removed, heard or not.
    follower.memory().origins.insert("n2".into(), "o2".into());
    follower.tidy(&lost);
    assert!(follower.memory().removed.contains("o2"));
    assert!(case.door.carried_problems().is_empty());
}
