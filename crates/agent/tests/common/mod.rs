//! A node of a test's own: a root directory, a network namespace, containers.

#![allow(
    dead_code,
    reason = "each test program uses its own part of this module"
)]

use fairlead_agent::{Agent, Options};
use fairlead_attach::{AttachRequest, Attachment, Node, Sandbox, Selector};
use fairlead_control::{Client, Reconciled, Status};
use fairlead_kernel::NetNs;
use fairlead_types::Root;
use serde_json::Value;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// A network with all that an attachment can have in the kernel.
pub(crate) const WEB: &str = "[network#default]\nnetwork = none\n\
     [network#web]\ntype = bridge\nnetwork = 10.93.0.0/22\n";

pub(crate) struct Trial {
    dir: tempfile::TempDir,
    pub(crate) root: Root,
    pub(crate) ns: NetNs,
    name: String,
}

/// A namespace that ends with this value.
pub(crate) struct Container(pub(crate) PathBuf);

impl Drop for Container {
    fn drop(&mut self) {
        let _ = NetNs::remove(&self.0);
    }
}

impl Drop for Trial {
    fn drop(&mut self) {
        let _ = NetNs::remove(self.path());
    }
}

impl Trial {
    pub(crate) fn new(declared: &str) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("fla-{}-{number}", std::process::id());
        let dir = tempfile::tempdir().unwrap();
        let root = Root::new(dir.path());
        let ns = NetNs::create(format!("/run/netns/{name}"))
            .expect("tests need root: run them by 'sudo make test'");
        let trial = Self {
            dir,
            root,
            ns,
            name,
        };
        trial.declare(declared);
        trial
    }

    pub(crate) fn path(&self) -> PathBuf {
        PathBuf::from(format!("/run/netns/{}", self.name))
    }

    pub(crate) fn declare(&self, text: &str) {
        std::fs::create_dir_all(self.root.etc()).unwrap();
        std::fs::write(self.root.etc().join("cluster.conf"), text).unwrap();
    }

    pub(crate) fn inside<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        self.ns.run(work).unwrap()
    }

    /// An agent that reconciles only when it has a cause.
    pub(crate) fn agent(&self) -> Agent {
        let options = Options {
            interval: Duration::from_secs(3600),
            ..Options::default()
        };
        let agent = self.inside(|| Agent::start(&self.root, &options)).unwrap();
        until("the agent is ready", || {
            self.status().is_some_and(|s| s.ready)
        });
        agent
    }

    pub(crate) fn client(&self) -> Client {
        Client::new(&self.root)
    }

    pub(crate) fn status(&self) -> Option<Status> {
        self.client().get(fairlead_control::STATUS).unwrap()
    }

    pub(crate) fn reconcile(&self) -> Reconciled {
        let nothing = serde_json::json!(null);
        let done = self.client().post(fairlead_control::RECONCILE, &nothing);
        done.unwrap().expect("an agent runs")
    }

    pub(crate) fn container(&self, id: &str) -> Container {
        let path = PathBuf::from(format!("/run/netns/{}-{id}", self.name));
        NetNs::create(&path).unwrap();
        Container(path)
    }

    pub(crate) fn attach(&self, container: &Container, id: &str, publish: &[&str]) -> Attachment {
        let request = AttachRequest {
            network: "web".parse().unwrap(),
            sandbox: Sandbox::Path(container.0.clone()),
            container: id.parse().unwrap(),
            ifname: "eth0".parse().unwrap(),
            ips: Vec::new(),
            mac: None,
            publish: publish
                .iter()
                .map(|text| text.parse::<fairlead_attach::PublishSpec>().unwrap().0)
                .collect(),
            object: None,
            resource: None,
            naming: Default::default(),
        };
        self.inside(|| Node::open(&self.root).unwrap().attach(&request))
            .unwrap()
    }

    /// Detaches as a command does.
    pub(crate) fn detach(&self, id: &str) {
        let done = self.inside(|| {
            let node = Node::open(&self.root).or_else(|_| Node::without_config(&self.root));
            node.unwrap().detach(&of(id))
        });
        assert_eq!(done.unwrap().owners.len(), 1, "{id}");
    }

    /// Runs a program in the namespace.
    pub(crate) fn run(&self, line: &str) -> String {
        let output = Command::new("nsenter")
            .arg(format!("--net={}", self.path().display()))
            .args(line.split_whitespace())
            .output()
            .unwrap();
        assert!(output.status.success(), "{line}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    pub(crate) fn ip(&self, line: &str) -> Value {
        let text = self.run(&format!("ip -j -d {line}"));
        serde_json::from_str(if text.trim().is_empty() { "[]" } else { &text }).unwrap()
    }

    /// The names of the links but `lo`, sorted.
    pub(crate) fn links(&self) -> Vec<String> {
        let links = self.ip("link");
        let names = links.as_array().unwrap().iter();
        let names = names.map(|link| link["ifname"].as_str().unwrap());
        let mut names: Vec<_> = names.filter(|n| *n != "lo").map(str::to_owned).collect();
        names.sort();
        names
    }

    pub(crate) fn cables(&self) -> usize {
        let links = self.links();
        links.iter().filter(|name| name.starts_with("veth")).count()
    }

    /// How many elements of published ports and masquerades the kernel has.
    pub(crate) fn elements(&self) -> usize {
        let text = self.run("nft -j list ruleset");
        let rules: Value = serde_json::from_str(&text).unwrap();
        let all = rules["nftables"].as_array().unwrap().iter();
        let sets = all.filter_map(|item| item.get("set").or_else(|| item.get("map")));
        let wanted = sets.filter(|set| {
            let name = set["name"].as_str().unwrap();
            name.starts_with("publish") || name.contains("10.93")
        });
        wanted
            .map(|set| set["elem"].as_array().map_or(0, Vec::len))
            .sum()
    }

    /// What the records have: attachments, addresses, masquerades, ports.
    pub(crate) fn records(&self) -> [usize; 4] {
        let mut store = fairlead_store::Store::open(&self.root).unwrap();
        store
            .read::<_, fairlead_store::StoreError>(|view| {
                Ok([
                    view.attachments(&Default::default())?.len(),
                    view.addresses()?.len(),
                    view.masquerades()?.len(),
                    view.ports()?.len(),
                ])
            })
            .unwrap()
    }

    /// This program, as the test `name`, with the node in its environment.
    pub(crate) fn program(&self, name: &str, argument: &str) -> Child {
        let mut command = Command::new("nsenter");
        command
            .arg(format!("--net={}", self.path().display()))
            .arg(std::env::current_exe().unwrap())
            .args(["--ignored", "--exact", name, "--nocapture"])
            .env("FAIRLEAD_TEST_ROOT", self.root.dir())
            .env("FAIRLEAD_TEST_ARGUMENT", argument)
            .stdout(Stdio::null());
        command.spawn().unwrap()
    }
}

/// What [`Trial::program`] gave; none where the test was started by hand.
pub(crate) fn given() -> Option<(Root, String)> {
    let root = std::env::var_os("FAIRLEAD_TEST_ROOT")?;
    let argument = std::env::var("FAIRLEAD_TEST_ARGUMENT").unwrap();
    Some((Root::new(root), argument))
}

/// The attachments of a container.
pub(crate) fn of(id: &str) -> Selector {
    Selector {
        container: Some(id.parse().unwrap()),
        ..Selector::default()
    }
}

/// Waits for a condition, 20 s at most.
pub(crate) fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(20);
    while !is_so() {
        assert!(Instant::now() < end, "in vain: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}
