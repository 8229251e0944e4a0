//! A node of a test's own: a root directory and a network namespace.

#![allow(
    dead_code,
    reason = "each test program uses its own part of this module"
)]

use fairlead_config::Config;
use fairlead_kernel::NetNs;
use fairlead_networks::{Known, NetworkError, Report, setup};
use fairlead_types::Root;
use serde_json::Value;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

/// A directory with configuration and files. Networks come from `declare`.
pub(crate) struct Files {
    dir: tempfile::TempDir,
}

impl Files {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("etc/fairlead")).unwrap();
        Self { dir }
    }

    /// Writes `cluster.conf`. `default` is hidden unless it is declared.
    pub(crate) fn declare(&self, text: &str) {
        let hide = match text.contains("[network#default]") {
            true => "",
            false => "[network#default]\nnetwork = none\n",
        };
        let path = self.dir.path().join("etc/fairlead/cluster.conf");
        std::fs::write(path, format!("{hide}{text}")).unwrap();
    }

    pub(crate) fn config(&self) -> Config {
        self.config_of("n1")
    }

    /// The same as another node has it.
    pub(crate) fn config_of(&self, node: &str) -> Config {
        Config::load(&Root::new(self.dir.path()), node).unwrap()
    }

    /// A path in the directory of CNI files.
    pub(crate) fn cni(&self, name: &str) -> PathBuf {
        self.dir.path().join("opt/cni/net.d").join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        std::fs::create_dir_all(self.cni("")).unwrap();
        std::fs::write(self.cni(name), text).unwrap();
    }

    /// The names in the directory of CNI files, sorted.
    pub(crate) fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.cni("")).into_iter().flatten();
        let name = |e: std::io::Result<std::fs::DirEntry>| e.unwrap().file_name();
        let mut names: Vec<_> = entries.map(|e| name(e).into_string().unwrap()).collect();
        names.sort();
        names
    }
}

/// The same with a namespace, which ends with this value.
pub(crate) struct Node {
    pub(crate) files: Files,
    ns: NetNs,
    path: PathBuf,
}

impl Node {
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = PathBuf::from(format!("/run/netns/fln-{}-{number}", std::process::id()));
        let ns = NetNs::create(&path).expect("tests need root: run them by 'sudo make test'");
        Self {
            files: Files::new(),
            ns,
            path,
        }
    }

    /// Sets up as that node of a cluster, where nothing is wrong.
    pub(crate) fn setup_as(&self, node: &str, known: &Known) -> Vec<String> {
        let config = self.files.config_of(node);
        let report = self.ns.run(|| setup(&config, known, false)).unwrap();
        let report = report.unwrap();
        assert!(report.is_complete(), "{:?}", report.problems);
        report.steps.iter().map(ToString::to_string).collect()
    }

    /// Runs `work` in the namespace.
    pub(crate) fn within<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        self.ns.run(work).unwrap()
    }

    /// The path of the namespace.
    pub(crate) fn netns(&self) -> &str {
        self.path.to_str().unwrap()
    }

    pub(crate) fn try_setup(&self, dry_run: bool) -> Result<Report, NetworkError> {
        let config = self.files.config();
        self.ns
            .run(|| setup(&config, &Known::default(), dry_run))
            .unwrap()
    }

    /// Sets up and returns the steps and the problems as texts.
    pub(crate) fn setup(&self) -> (Vec<String>, Vec<String>) {
        let report = self.try_setup(false).unwrap();
        let steps = report.steps.iter().map(ToString::to_string).collect();
        (
            steps,
            report.problems.iter().map(ToString::to_string).collect(),
        )
    }

    /// Sets up where nothing is wrong.
    pub(crate) fn complete(&self) -> Vec<String> {
        let (steps, problems) = self.setup();
        assert_eq!(problems, Vec::<String>::new());
        steps
    }

    /// Runs a program in the namespace.
    pub(crate) fn run(&self, line: &str) -> String {
        let net = format!("--net={}", self.path.display());
        let output = Command::new("nsenter")
            .arg(net)
            .args(line.split_whitespace())
            .output()
            .unwrap();
        assert!(output.status.success(), "{line}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// What `ip -j` says.
    pub(crate) fn ip(&self, line: &str) -> Value {
        let text = self.run(&format!("ip -j -d {line}"));
        serde_json::from_str(if text.trim().is_empty() { "[]" } else { &text }).unwrap()
    }

    /// The names of the links but `lo`, sorted.
    pub(crate) fn links(&self) -> Vec<String> {
        let links = self.ip("link");
        let names = links
            .as_array()
            .unwrap()
            .iter()
            .map(|l| l["ifname"].as_str().unwrap());
        let mut names: Vec<_> = names.filter(|n| *n != "lo").map(str::to_owned).collect();
        names.sort();
        names
    }

    /// The addresses of a link that are no link-local ones.
    pub(crate) fn addresses(&self, link: &str) -> Vec<String> {
        let shown = self.ip(&format!("address show dev {link}"));
        let list = shown[0]["addr_info"].as_array().unwrap().clone();
        let own = list.iter().filter(|a| a["scope"] != "link");
        own.map(|a| format!("{}/{}", a["local"].as_str().unwrap(), a["prefixlen"]))
            .collect()
    }

    /// All of the kernel's state that a setup may change, without what changes by itself.
    pub(crate) fn state(&self) -> String {
        let links = self.run("ip -d -o link");
        let addresses = self.run("ip -o address");
        let firewall = self.run("nft list ruleset");
        let own = self.files.names().into_iter().map(|name| {
            let text = std::fs::read_to_string(self.files.cni(&name)).unwrap();
            format!("{name}: {text}")
        });
        let timers = [
            "hello_timer",
            "gc_timer",
            "tcn_timer",
            "topology_change_timer",
        ];
        let mut words = links.split_whitespace().peekable();
        let mut kept = Vec::new();
        while let Some(word) = words.next() {
            match timers.contains(&word) {
                true => drop(words.next()),
                false => kept.push(word),
            }
        }
        format!(
            "{}\n{addresses}\n{firewall}\n{}",
            kept.join(" "),
            own.collect::<String>()
        )
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        NetNs::remove(&self.path).expect("remove the namespace of a test");
    }
}
