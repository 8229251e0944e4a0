//! What detaches cost, one and many at once, with the agent and without. Run as root:
//! `cargo run --release -p fairlead-agent --example detach-cost [COUNT]`.

use fairlead_agent::{Agent, Options};
use fairlead_attach::{AttachRequest, Node, Sandbox, Selector};
use fairlead_control::{Client, DETACH, DetachRequest, Detached};
use fairlead_kernel::NetNs;
use fairlead_types::Root;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Barrier;
use std::time::{Duration, Instant};

const NETWORKS: &str = "[network#default]\nnetwork = none\n\
     [network#web]\ntype = bridge\nnetwork = 10.93.0.0/16\n";

struct Bench {
    root: Root,
    ns: NetNs,
    containers: Vec<PathBuf>,
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    // As one of many processes: detaches what it is told.
    if let [_, verb, root, id] = arguments.as_slice()
        && verb == "detach"
    {
        detach(&Root::new(root), id);
        return;
    }
    let count: usize = arguments.get(1).map_or(100, |text| text.parse().unwrap());
    let dir = tempfile::tempdir().unwrap();
    let root = Root::new(dir.path());
    std::fs::create_dir_all(root.etc()).unwrap();
    std::fs::write(root.etc().join("cluster.conf"), NETWORKS).unwrap();
    let name = format!("/run/netns/flc-{}", std::process::id());
    let containers: Vec<PathBuf> = (0..count)
        .map(|i| PathBuf::from(format!("{name}-{i}")))
        .collect();
    for path in &containers {
        NetNs::create(path).unwrap();
    }
    let bench = Bench {
        root,
        ns: NetNs::create(&name).unwrap(),
        containers,
    };
    bench.ns.run(|| bench.measure()).unwrap();
    for path in bench.containers.iter().chain([&PathBuf::from(name)]) {
        NetNs::remove(path).unwrap();
    }
}

fn detach(root: &Root, id: &str) {
    let selector = Selector {
        container: Some(id.parse().unwrap()),
        ..Selector::default()
    };
    let done = Node::open(root).unwrap().detach(&selector).unwrap();
    assert_eq!(done.owners.len(), 1, "{id}");
}

impl Bench {
    fn measure(&self) {
        let node = Node::open(&self.root).unwrap();
        let known = fairlead_networks::Known::default();
        fairlead_networks::setup(node.config(), &known, false).unwrap();
        let count = self.containers.len();
        self.best("without agent: 1 detach, in process", || {
            detach(&self.root, "c0")
        });
        self.best("without agent: 1 process", || self.processes(1));
        self.best("without agent: all, one after another", || {
            (0..count).for_each(|i| detach(&self.root, &format!("c{i}")));
        });
        self.best("without agent: all, as many processes", || {
            self.processes(count);
        });
        let agent = Agent::start(&self.root, &Options::default()).unwrap();
        self.best("agent: 1 detach by its socket", || self.ask("c0"));
        self.best("agent: 1 process", || self.processes(1));
        self.best("agent: all, as many connections", || self.connections());
        self.best("agent: all, as many processes", || self.processes(count));
        agent.stop();
    }

    /// The least and the middle of several times; each begins with all attached.
    fn best(&self, what: &str, work: impl Fn()) {
        let mut times: Vec<Duration> = (0..7)
            .map(|_| {
                self.attach_all();
                let begun = Instant::now();
                work();
                begun.elapsed()
            })
            .collect();
        times.sort();
        let ms = |time: Duration| time.as_secs_f64() * 1e3;
        println!(
            "{what:45} least {:8.2} ms  middle {:8.2} ms",
            ms(times[0]),
            ms(times[3])
        );
    }

    fn attach_all(&self) {
        let node = Node::open(&self.root).unwrap();
        let attached = node.attachments().unwrap().len();
        for (i, path) in self.containers.iter().enumerate() {
            let request = AttachRequest {
                network: "web".parse().unwrap(),
                sandbox: Sandbox::Path(path.clone()),
                container: format!("c{i}").parse().unwrap(),
                ifname: "eth0".parse().unwrap(),
                ips: Vec::new(),
                mac: None,
                publish: Vec::new(),
                object: None,
                resource: None,
                naming: Default::default(),
            };
            match node.attach(&request) {
                Err(_) if attached > 0 => {}
                done => drop(done.unwrap()),
            }
        }
    }

    fn ask(&self, id: &str) {
        let question = DetachRequest {
            node: None,
            network: None,
            container: Some(id.parse().unwrap()),
            sandbox: None,
            object: None,
            ifname: None,
        };
        let client = Client::new(&self.root);
        let done: Option<Detached> = client.post(DETACH, &question).unwrap();
        let done = done.unwrap();
        assert_eq!((done.owners.len(), done.errors), (1, vec![]), "{id}");
    }

    fn connections(&self) {
        let ready = Barrier::new(self.containers.len());
        std::thread::scope(|scope| {
            for i in 0..self.containers.len() {
                let ready = &ready;
                scope.spawn(move || {
                    ready.wait();
                    self.ask(&format!("c{i}"));
                });
            }
        });
    }

    fn processes(&self, count: usize) {
        let program = std::env::current_exe().unwrap();
        let children: Vec<_> = (0..count)
            .map(|i| {
                Command::new(&program)
                    .arg("detach")
                    .arg(self.root.dir())
                    .arg(format!("c{i}"))
                    .stdout(Stdio::null())
                    .spawn()
                    .unwrap()
            })
            .collect();
        for mut child in children {
            assert!(child.wait().unwrap().success());
        }
    }
}
