//! A real etcd cluster, each member in a container of its own.

use std::collections::BTreeMap;
use std::process::Command;

use serde_json::Value;

use crate::daemon::Daemon;
use crate::node::Node;
use crate::patience::{eventually, patience};
use crate::place::{Place, json};

/// The folder of the members' data, one below it for each.
const DATA: &str = "/run/etcd";

/// One member's place and how it is reached.
#[derive(Debug, Clone)]
pub struct MemberPlan {
    /// The namespace in the holder.
    pub sandbox: String,
    /// Its address there.
    pub address: String,
}

/// Members of etcd in sandboxes of one node; each can be ended and started again.
#[derive(Debug)]
pub struct Etcd {
    plans: Vec<MemberPlan>,
    running: BTreeMap<usize, Daemon>,
    /// More options of each member, such as those about certificates.
    options: Vec<String>,
    scheme: &'static str,
}

impl Etcd {
    /// Members that are not running yet.
    #[must_use]
    pub fn new(plans: Vec<MemberPlan>) -> Self {
        Self {
            plans,
            running: BTreeMap::new(),
            options: Vec::new(),
            scheme: "http",
        }
    }

    /// From the next start on, for clients by TLS only: these files are inside the holder.
    pub fn use_tls(&mut self, ca: &str, cert: &str, key: &str) {
        self.scheme = "https";
        self.options = vec![
            format!("--trusted-ca-file={ca}"),
            format!("--cert-file={cert}"),
            format!("--key-file={key}"),
            "--client-cert-auth".to_owned(),
        ];
    }

    /// From the next start on, they also speak the interface of before version 3, as Docker
    /// does.
    pub fn speak_v2(&mut self) {
        self.options.push("--enable-v2".to_owned());
    }

    /// All clients' addresses, as `node join --etcd` takes them.
    #[must_use]
    pub fn urls(&self) -> String {
        let urls: Vec<String> = (0..self.plans.len()).map(|i| self.url(i)).collect();
        urls.join(",")
    }

    /// The clients' address of one member.
    #[must_use]
    pub fn url(&self, member: usize) -> String {
        format!("{}://{}:2379", self.scheme, self.plans[member].address)
    }

    /// Starts one member; it serves when enough others run too.
    ///
    /// # Panics
    /// If it cannot be started.
    #[track_caller]
    pub fn start(&mut self, holder: &Node, member: usize) {
        let plan = &self.plans[member];
        let peers: Vec<String> = self
            .plans
            .iter()
            .map(|p| format!("{}=http://{}:2380", p.sandbox, p.address))
            .collect();
        holder.run(&format!("mkdir -p -m 700 {DATA}/{}", plan.sandbox));
        let mut command = holder.existing(&plan.sandbox).command("etcd");
        command
            .args(["--name", &plan.sandbox])
            .args(["--data-dir", &format!("{DATA}/{}", plan.sandbox)])
            .args(["--listen-client-urls", &self.url(member)])
            .args(["--advertise-client-urls", &self.url(member)])
            .args([
                "--listen-peer-urls",
                &format!("http://{}:2380", plan.address),
            ])
            .args([
                "--initial-advertise-peer-urls",
                &format!("http://{}:2380", plan.address),
            ])
            .args(["--initial-cluster", &peers.join(",")])
            // A loaded machine is slow to answer; a lonely one shall not wait long.
            .args(["--heartbeat-interval", "50", "--election-timeout", "500"])
            .args(["--logger", "zap", "--log-level", "error"])
            .args(&self.options);
        let log = holder.path(&format!("/run/{}.log", plan.sandbox));
        let daemon = Daemon::start(&command, &plan.sandbox, &log);
        self.running.insert(member, daemon);
    }

    /// Starts all members that do not run and waits until each serves.
    ///
    /// # Panics
    /// If they do not within the test's patience.
    #[track_caller]
    pub fn start_all(&mut self, holder: &Node) {
        for member in 0..self.plans.len() {
            if !self.running.contains_key(&member) {
                self.start(holder, member);
            }
        }
        for member in 0..self.plans.len() {
            self.wait_for(holder, member);
        }
    }

    /// Waits until this member has a leader.
    ///
    /// # Panics
    /// If it has none within the test's patience.
    #[track_caller]
    pub fn wait_for(&self, holder: &Node, member: usize) {
        let health = format!("{}/health", self.url(member));
        let place = holder.existing(&self.plans[member].sandbox);
        eventually(patience(), || {
            if self.scheme == "https" {
                // Who has no certificate is refused, so that is asked elsewhere.
                let listens = place
                    .command("ss")
                    .args(["-Htln", "sport = :2379"])
                    .output();
                let listens = listens.expect("ss can be started").stdout;
                return if listens.is_empty() {
                    Err("nobody listens".to_owned())
                } else {
                    Ok(())
                };
            }
            let output = place.try_run(&format!("curl -s -m 2 {health}"));
            let answer = String::from_utf8_lossy(&output.stdout).into_owned();
            if answer.contains("true") {
                Ok(())
            } else {
                Err(answer)
            }
        });
    }

    /// Ends one member at once (SIGKILL); its data stays.
    ///
    /// # Panics
    /// If it does not run.
    #[track_caller]
    pub fn kill(&mut self, member: usize) {
        let mut daemon = self.running.remove(&member).expect("a running member");
        daemon.kill();
    }

    /// Ends all members at once; their data stays.
    pub fn kill_all(&mut self) {
        self.running.clear();
    }

    /// Takes away all that the members, which do not run, have stored.
    ///
    /// # Panics
    /// If one runs.
    #[track_caller]
    pub fn wipe(&self, holder: &Node) {
        assert!(self.running.is_empty(), "members run: {self:?}");
        holder.run(&format!("rm -rf {DATA}"));
    }

    /// `etcdctl` on all members, not yet started.
    #[must_use]
    pub fn ctl(&self, holder: &Node) -> Command {
        let mut command = holder.existing(&self.plans[0].sandbox).command("etcdctl");
        command
            .args(["--endpoints", &self.urls()])
            .env("ETCDCTL_API", "3");
        command
    }

    /// What `etcdctl ARGS` prints.
    ///
    /// # Panics
    /// If it fails.
    #[track_caller]
    pub fn run(&self, holder: &Node, args: &str) -> String {
        let output = self.ctl(holder).args(args.split_whitespace()).output();
        let output = output.expect("etcdctl can be started");
        assert!(
            output.status.success(),
            "etcdctl {args}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).expect("output is text")
    }

    /// The keys below a prefix, sorted.
    #[track_caller]
    #[must_use]
    pub fn keys(&self, holder: &Node, prefix: &str) -> Vec<String> {
        let printed = self.run(holder, &format!("get --prefix --keys-only {prefix}"));
        let mut keys: Vec<String> = printed.split_whitespace().map(str::to_owned).collect();
        keys.sort();
        keys
    }

    /// The value of a key, read as JSON.
    #[track_caller]
    #[must_use]
    pub fn json(&self, holder: &Node, key: &str) -> Value {
        json(&self.run(holder, &format!("get --print-value-only {key}")))
    }
}
