//! A real etcd, for one test.

use crate::engine::{Engine, wait_for};
use fairlead_shared::{Etcd, EtcdOptions, SharedState};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

pub(crate) struct Server {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) url: String,
    peer: String,
    extra: Vec<String>,
    child: Option<Child>,
}

pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

impl Server {
    pub(crate) fn start() -> Self {
        let server = Self::start_with("http", tempfile::tempdir().unwrap(), &[]);
        server.wait(&[]);
        server
    }

    /// Does not wait until it is ready.
    pub(crate) fn start_with(scheme: &str, dir: tempfile::TempDir, extra: &[String]) -> Self {
        let mut server = Self {
            dir,
            url: format!("{scheme}://127.0.0.1:{}", free_port()),
            peer: format!("http://127.0.0.1:{}", free_port()),
            extra: extra.to_vec(),
            child: None,
        };
        server.run();
        server
    }

    /// Starts it on the data that are there.
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
            .args(&self.extra)
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        self.child = Some(child);
    }

    pub(crate) fn wait(&self, etcdctl: &[&str]) {
        wait_for("etcd", || {
            let output = self.ctl_with(etcdctl, &["endpoint", "health"]);
            output.status.success().then_some(())
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

    pub(crate) fn signal(&self, signal: &str) {
        let pid = self.child.as_ref().unwrap().id().to_string();
        let done = Command::new("kill").args([signal, &pid]).status().unwrap();
        assert!(done.success());
    }

    fn ctl_with(&self, before: &[&str], args: &[&str]) -> Output {
        Command::new("etcdctl")
            .env("ETCDCTL_API", "3")
            .args(["--endpoints", &self.url])
            .args(before)
            .args(args)
            .output()
            .unwrap()
    }

    pub(crate) fn ctl(&self, args: &[&str]) -> Vec<u8> {
        let output = self.ctl_with(&[], args);
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "etcdctl {args:?}: {told}");
        output.stdout
    }

    pub(crate) fn options(&self) -> EtcdOptions {
        EtcdOptions {
            endpoints: vec![self.url.clone()],
            ..EtcdOptions::default()
        }
    }

    pub(crate) fn etcd(&self) -> Etcd {
        Etcd::open(&self.options()).unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

impl Engine for Server {
    fn open(&self) -> Box<dyn SharedState> {
        Box::new(self.etcd())
    }

    fn seen(&self, key: &str) -> Option<Vec<u8>> {
        let text = self.ctl(&["get", &format!("/fairlead/{key}"), "--print-value-only"]);
        text.strip_suffix(b"\n").map(<[u8]>::to_vec)
    }

    fn compact(&self, state: &dyn SharedState) {
        let revision = state.put("filler", b"", None).unwrap();
        self.ctl(&["compact", &revision.to_string()]);
    }

    fn tell(&self, command: &mut Command) {
        command.env("SHARED_ETCD", &self.url);
    }
}

/// Options for quick failures.
pub(crate) fn hasty(endpoints: &[&str]) -> EtcdOptions {
    EtcdOptions {
        endpoints: endpoints.iter().map(|url| (*url).to_owned()).collect(),
        timeout: Duration::from_secs(2),
        ..EtcdOptions::default()
    }
}

pub(crate) fn text(path: &Path) -> String {
    path.display().to_string()
}
