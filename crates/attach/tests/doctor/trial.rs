//! A node of its own for one test: a root directory and a network namespace.

use fairlead_attach::{AttachRequest, Finding, Node, PublishSpec, Sandbox, Selector, Severity};
use fairlead_config::{Change, KeyOp, Target, change};
use fairlead_kernel::NetNs;
use fairlead_store::{Store, StoreError};
use fairlead_types::{ContainerId, IfName, NetworkName, Owner, Root};
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

/// The node.
pub(crate) struct Trial {
    /// Where its files are.
    pub(crate) root: Root,
    directory: PathBuf,
}

/// The namespace of a container, kept by its path.
pub(crate) struct Container(PathBuf);

impl Container {
    /// Its path.
    pub(crate) fn path(&self) -> &std::path::Path {
        &self.0
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        NetNs::remove(&self.0).unwrap();
    }
}

/// Runs `test` on a node with this `cluster.conf`.
pub(crate) fn inside(configuration: &str, test: impl FnOnce(&Trial) + Send) {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let directory = tempfile::tempdir().unwrap();
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let path =
        std::env::temp_dir().join(format!("fairlead-doctor-{}-{number}", std::process::id()));
    let namespace = NetNs::create(&path).unwrap();
    NetNs::remove(&path).unwrap();
    let trial = Trial {
        root: Root::new(directory.path()),
        directory: directory.path().into(),
    };
    trial.configure(configuration);
    namespace
        .run(|| {
            run("ip link set lo up");
            // The module bridge's filter is on in a new namespace where it is loaded.
            run("sysctl -qw net.bridge.bridge-nf-call-iptables=0 2>/dev/null || true");
            run("sysctl -qw net.bridge.bridge-nf-call-ip6tables=0 2>/dev/null || true");
            test(&trial);
        })
        .unwrap();
}

/// One network, and no other.
pub(crate) const WEB: &str =
    "[network#web]\nnetwork = 10.91.0.0/24\n\n[network#default]\nnetwork = none\n";

/// A node that is set up.
pub(crate) fn ready(test: impl FnOnce(&Trial) + Send) {
    inside(WEB, |trial| {
        trial.setup();
        test(trial);
    });
}

/// The attachment of `eth0` of a container.
pub(crate) fn owner(network: &str, container: &str) -> Owner {
    Owner {
        network: NetworkName::new(network).unwrap(),
        container: ContainerId::new(container).unwrap(),
        ifname: IfName::new("eth0").unwrap(),
    }
}

/// Runs a command line in the namespace of this thread and returns what it wrote.
pub(crate) fn run(line: &str) -> String {
    let output = Command::new("sh").args(["-c", line]).output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{line}: {error}");
    String::from_utf8(output.stdout).unwrap()
}

/// Runs a command line there and tells whether it succeeded.
pub(crate) fn try_run(line: &str) -> bool {
    let output = Command::new("sh").args(["-c", line]).output().unwrap();
    output.status.success()
}

impl Trial {
    /// Writes `cluster.conf`.
    pub(crate) fn configure(&self, text: &str) {
        std::fs::create_dir_all(self.root.etc()).unwrap();
        std::fs::write(Target::Cluster.path(&self.root), text).unwrap();
    }

    /// The node, read anew.
    pub(crate) fn node(&self) -> Node {
        Node::open(&self.root).unwrap()
    }

    /// Makes the node follow its configuration.
    pub(crate) fn setup(&self) {
        let report = fairlead_networks::setup(
            self.node().config(),
            &fairlead_networks::Known::default(),
            false,
        )
        .unwrap();
        assert!(report.is_complete(), "{:?}", report.problems);
    }

    /// Works on the node's state.
    pub(crate) fn store<T>(&self, work: impl FnOnce(&mut Store) -> Result<T, StoreError>) -> T {
        self.node().host().store(work).unwrap()
    }

    /// Feeds `nft` a ruleset.
    pub(crate) fn nft(&self, rules: &str) {
        let mut nft = Command::new("nft")
            .args(["-f", "-"])
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        nft.stdin
            .take()
            .unwrap()
            .write_all(rules.as_bytes())
            .unwrap();
        assert!(nft.wait().unwrap().success(), "{rules}");
    }

    /// A container.
    pub(crate) fn container(&self, name: &str) -> Container {
        let path = self.directory.join("netns").join(name);
        NetNs::create(&path).unwrap();
        Container(path)
    }

    /// The container ends.
    pub(crate) fn end(&self, container: Container) {
        drop(container);
    }

    /// Puts `eth0` of a container on network `web`.
    pub(crate) fn attach(&self, container: &Container, publish: &[&str]) {
        self.attach_to("web", container, publish);
    }

    /// Puts `eth0` of a container on a network.
    pub(crate) fn attach_to(&self, network: &str, container: &Container, publish: &[&str]) {
        let sandbox = Sandbox::Path(container.path().into());
        let request = AttachRequest {
            network: NetworkName::new(network).unwrap(),
            container: sandbox.default_id().unwrap(),
            sandbox,
            ifname: IfName::new("eth0").unwrap(),
            ips: Vec::new(),
            mac: None,
            publish: publish
                .iter()
                .map(|p| p.parse::<PublishSpec>().unwrap().0)
                .collect(),
            object: None,
            resource: None,
            naming: Default::default(),
        };
        self.node().attach(&request).unwrap();
    }

    /// What there is to find.
    pub(crate) fn look(&self) -> Vec<Finding> {
        self.node().doctor().unwrap()
    }

    /// The one finding of that severity whose subject begins so.
    pub(crate) fn finding(&self, severity: Severity, subject: &str) -> Finding {
        let all = self.look();
        let is_meant = |f: &&Finding| f.severity == severity && f.subject.starts_with(subject);
        let found: Vec<_> = all.iter().filter(is_meant).collect();
        let Some(first) = found.first() else {
            panic!("{severity} {subject}: not in {all:#?}")
        };
        (*first).clone()
    }

    /// The problem whose subject begins so.
    pub(crate) fn problem(&self, subject: &str) -> Finding {
        self.finding(Severity::Problem, subject)
    }

    /// There is no finding of that severity whose subject begins so.
    pub(crate) fn none(&self, severity: Severity, subject: &str) {
        let all = self.look();
        let is_meant = |f: &&Finding| f.severity == severity && f.subject.starts_with(subject);
        let found: Vec<_> = all.iter().filter(is_meant).collect();
        assert!(found.is_empty(), "{found:#?}");
    }

    /// There is no problem whose subject begins so.
    pub(crate) fn no_problem(&self, subject: &str) {
        self.none(Severity::Problem, subject);
    }

    /// There is no problem at all.
    pub(crate) fn all_well(&self) {
        self.no_problem("");
    }

    /// Does what a finding says. The program itself is called as a library.
    pub(crate) fn mend(&self, finding: &Finding) {
        let cure = finding
            .cure
            .as_ref()
            .unwrap_or_else(|| panic!("{finding}: no cure"));
        let commands = if cure.starts_with("nft '") {
            vec![&**cure]
        } else {
            cure.split("; ").collect()
        };
        for command in commands {
            self.command(command);
        }
    }

    fn command(&self, command: &str) {
        let Some(ours) = command.strip_prefix("fairlead ") else {
            run(command);
            return;
        };
        let ours = ours.strip_suffix(", then attach it again").unwrap_or(ours);
        match ours.split(' ').collect::<Vec<_>>()[..] {
            ["gc"] => drop(self.node().gc(false).unwrap()),
            ["doctor"] => drop(self.look()),
            ["net", "setup"] => {
                self.setup();
                self.node().restore(false).unwrap();
            }
            ["cluster", "set", "--kw", keyword] => {
                let changes = [Change::Set(keyword.parse::<KeyOp>().unwrap())];
                let node = fairlead_config::nodename();
                let outcome = change(&self.root, Target::Cluster, &node, &changes, false);
                assert!(outcome.unwrap().changed);
            }
            ["detach", network, "--id", container, "--ifname", ifname] => {
                let selector = Selector {
                    network: Some(NetworkName::new(network).unwrap()),
                    container: Some(ContainerId::new(container).unwrap()),
                    ifname: Some(IfName::new(ifname).unwrap()),
                    ..Selector::default()
                };
                assert_eq!(self.node().detach(&selector).unwrap().owners.len(), 1);
            }
            ref other => panic!("{other:?}: the program has no such command"),
        }
    }
}
