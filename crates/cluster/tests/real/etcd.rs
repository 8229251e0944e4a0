//! A real etcd, for one test.

use crate::place::wait_for;
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};

/// One server on ports and data of its own.
pub(crate) struct Server {
    dir: tempfile::TempDir,
    pub(crate) url: String,
    peer: String,
    child: Option<Child>,
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

impl Server {
    pub(crate) fn start() -> Self {
        let mut server = Self {
            dir: tempfile::tempdir().unwrap(),
            url: format!("http://127.0.0.1:{}", free_port()),
            peer: format!("http://127.0.0.1:{}", free_port()),
            child: None,
        };
        server.run();
        server
    }

    /// Starts it on the data that are there, and waits until it answers.
    pub(crate) fn run(&mut self) {
        let log = std::fs::File::create(self.dir.path().join("log")).unwrap();
        let child = Command::new("etcd")
            .args(["--name", "one", "--data-dir"])
            .arg(self.dir.path().join("data"))
            .args(["--listen-client-urls", &self.url])
            .args(["--advertise-client-urls", &self.url])
            .args(["--listen-peer-urls", &self.peer])
            .args(["--initial-advertise-peer-urls", &self.peer])
            .args(["--initial-cluster", &format!("one={}", self.peer)])
            .args(["--heartbeat-interval", "20", "--election-timeout", "200"])
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        self.child = Some(child);
        wait_for("etcd", || {
            let done = self.command(&["endpoint", "health"]).output().unwrap();
            done.status.success().then_some(())
        });
    }

    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// Kills it and removes all it knew.
    pub(crate) fn wipe(&mut self) {
        self.kill();
        std::fs::remove_dir_all(self.dir.path().join("data")).unwrap();
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new("etcdctl");
        command.env("ETCDCTL_API", "3");
        command.args(["--endpoints", &self.url]).args(args);
        command
    }

    /// What etcdctl says.
    pub(crate) fn ctl(&self, args: &[&str]) -> String {
        let output = self.command(args).output().unwrap();
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "etcdctl {args:?}: {told}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// The keys below the default prefix, without it.
    pub(crate) fn keys(&self) -> Vec<String> {
        let text = self.ctl(&["get", "/fairlead/", "--prefix", "--keys-only"]);
        let lines = text.lines().filter_map(|l| l.strip_prefix("/fairlead/"));
        lines.map(str::to_owned).collect()
    }

    /// The value of a key below the default prefix.
    pub(crate) fn value(&self, key: &str) -> String {
        let text = self.ctl(&["get", &format!("/fairlead/{key}"), "--print-value-only"]);
        text.strip_suffix('\n').unwrap_or(&text).to_owned()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}
