//! An etcd of one member on an address of loopback, for tests without a node.

use crate::patience::{eventually, patience};
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU8, Ordering};
use tempfile::TempDir;

/// An address of loopback that no other test of this machine has: whatever port is taken
/// there is free.
#[must_use]
pub fn own_loopback() -> Ipv4Addr {
    static NEXT: AtomicU8 = AtomicU8::new(1);
    let [.., high, low] = std::process::id().to_be_bytes();
    // What programs have by themselves is in 127.0.
    Ipv4Addr::new(127, 128 | high, low, NEXT.fetch_add(1, Ordering::Relaxed))
}

/// One server with data of its own, both gone with this value.
#[derive(Debug)]
pub struct LoneEtcd {
    dir: TempDir,
    url: String,
    peer: String,
    extra: Vec<String>,
    child: Option<Child>,
}

impl LoneEtcd {
    /// One that serves.
    ///
    /// # Panics
    /// If it does not within the test's patience.
    #[must_use]
    #[track_caller]
    pub fn start() -> Self {
        let dir = tempfile::tempdir().expect("a folder can be made");
        let server = Self::start_with("http", own_loopback(), dir, &[]);
        server.wait(&[]);
        server
    }

    /// One with more options, which may not serve yet; its data are below `dir`.
    ///
    /// # Panics
    /// If it cannot be started.
    #[must_use]
    #[track_caller]
    pub fn start_with(scheme: &str, address: Ipv4Addr, dir: TempDir, extra: &[String]) -> Self {
        let mut server = Self {
            dir,
            url: format!("{scheme}://{address}:2379"),
            peer: format!("http://{address}:2380"),
            extra: extra.to_vec(),
            child: None,
        };
        server.spawn();
        server
    }

    /// The clients' address.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// A folder that goes with it.
    #[must_use]
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Starts it again on the data that are there, and waits until it serves.
    ///
    /// # Panics
    /// If it does not within the test's patience.
    #[track_caller]
    pub fn run(&mut self) {
        self.spawn();
        self.wait(&[]);
    }

    #[track_caller]
    fn spawn(&mut self) {
        let log = std::fs::File::create(self.dir.path().join("log")).expect("a log can be made");
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
            .spawn();
        self.child = Some(child.expect("etcd can be started"));
    }

    /// Waits until it serves whoever has these options of `etcdctl`.
    ///
    /// # Panics
    /// If it does not within the test's patience.
    #[track_caller]
    pub fn wait(&self, etcdctl: &[&str]) {
        eventually(patience() * 3, || {
            let output = self.ctl_with(etcdctl, &["endpoint", "health"]);
            match output.status.success() {
                true => Ok(()),
                false => Err((output, std::fs::read_to_string(self.dir.path().join("log")))),
            }
        });
    }

    /// Ends it at once; its data stay.
    ///
    /// # Panics
    /// If the system refuses.
    #[track_caller]
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().expect("etcd can be killed");
            child.wait().expect("etcd can be waited for");
        }
    }

    /// Ends it at once and removes all it knew.
    ///
    /// # Panics
    /// If the data cannot be removed.
    #[track_caller]
    pub fn wipe(&mut self) {
        self.kill();
        let data = self.dir.path().join("data");
        std::fs::remove_dir_all(data).expect("the data can be removed");
    }

    /// Sends a signal, such as `-STOP`.
    ///
    /// # Panics
    /// If it does not run.
    #[track_caller]
    pub fn signal(&self, signal: &str) {
        let child = self.child.as_ref().expect("a server that runs");
        let pid = child.id().to_string();
        let done = Command::new("kill").args([signal, &pid]).status();
        assert!(done.expect("kill can be started").success());
    }

    fn ctl_with(&self, before: &[&str], args: &[&str]) -> Output {
        let output = Command::new("etcdctl")
            .env("ETCDCTL_API", "3")
            .args(["--endpoints", &self.url])
            .args(before)
            .args(args)
            .output();
        output.expect("etcdctl can be started")
    }

    /// What `etcdctl ARGS` prints.
    ///
    /// # Panics
    /// If it fails.
    #[track_caller]
    pub fn ctl(&self, args: &[&str]) -> Vec<u8> {
        let output = self.ctl_with(&[], args);
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "etcdctl {args:?}: {told}");
        output.stdout
    }

    /// The value of a key; none if it is not there.
    ///
    /// # Panics
    /// If it cannot be asked.
    #[must_use]
    #[track_caller]
    pub fn value(&self, key: &str) -> Option<Vec<u8>> {
        let printed = self.ctl(&["get", key, "--print-value-only"]);
        printed.strip_suffix(b"\n").map(<[u8]>::to_vec)
    }
}

impl Drop for LoneEtcd {
    fn drop(&mut self) {
        self.kill();
    }
}
