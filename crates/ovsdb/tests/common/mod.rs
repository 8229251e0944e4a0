//! A real `ovsdb-server`, and servers that are none.
#![allow(dead_code, reason = "each test program uses a part of it")]

use fairlead_ovsdb::{Client, Cluster, Endpoint, Framer, Monitor, Settings, Update};
use serde_json::{Value as Json, json};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::time::{Instant, timeout};

pub(crate) const DB: &str = "Open_vSwitch";
const SCHEMA: &str = "/usr/share/openvswitch/vswitch.ovsschema";
/// How long a test waits for what must come.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A real server with a database of its own; it ends with this value.
pub(crate) struct Server {
    pub(crate) dir: tempfile::TempDir,
    options: Vec<String>,
    child: Option<Child>,
    clustered: bool,
}

impl Server {
    /// One that listens on a unix socket, and by these options.
    pub(crate) fn start(options: &[&str]) -> Self {
        Self::with(options, false)
    }

    /// A cluster of one.
    pub(crate) fn start_clustered() -> Self {
        Self::with(&[], true)
    }

    fn with(options: &[&str], clustered: bool) -> Self {
        let mut server = Self {
            dir: tempfile::tempdir().expect("a folder"),
            options: options.iter().map(|&o| o.to_owned()).collect(),
            child: None,
            clustered,
        };
        server.create();
        server.run();
        server
    }

    pub(crate) fn option(&mut self, option: String) {
        self.options.push(option);
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.path("db.sock")
    }

    pub(crate) fn endpoint(&self) -> Endpoint {
        Endpoint::unix(self.socket())
    }

    pub(crate) fn client(&self) -> Client {
        let settings = Settings {
            // A member of a cluster answers before it knows what is committed.
            cluster: self.clustered.then(|| Cluster {
                database: DB.to_owned(),
                leader_only: true,
            }),
            ..quick()
        };
        Client::new(self.endpoint(), settings).expect("a client")
    }

    fn create(&self) {
        let db = self.path("conf.db");
        let db = db.to_str().expect("a path");
        let raft = format!("unix:{}", self.path("raft.sock").display());
        let args = match self.clustered {
            true => vec!["create-cluster", db, SCHEMA, &raft],
            false => vec!["create", db, SCHEMA],
        };
        run("ovsdb-tool", &args);
    }

    /// Starts it; it is there when this returns.
    pub(crate) fn run(&mut self) {
        self.run_at(&self.socket());
    }

    /// Starts it on another socket than clients know.
    pub(crate) fn run_at(&mut self, socket: &Path) {
        assert!(self.child.is_none(), "it runs");
        // The file of a server that was killed would be taken for a new one's.
        let _ = std::fs::remove_file(self.socket());
        let _ = std::fs::remove_file(socket);
        let child = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "--", "ovsdb-server"])
            .arg(self.path("conf.db"))
            .arg(format!("--remote=punix:{}", socket.display()))
            .arg(format!("--unixctl={}", self.path("ctl").display()))
            .arg(format!("--log-file={}", self.path("log").display()))
            .args(&self.options)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("ovsdb-server can be started: install openvswitch-switch");
        self.child = Some(child);
        self.wait_for(|_| socket.exists());
    }

    fn wait_for(&mut self, is: impl Fn(&Self) -> bool) {
        let begun = Instant::now();
        while !is(self) {
            let ended = self
                .child
                .as_mut()
                .and_then(|c| c.try_wait().ok().flatten());
            assert!(
                ended.is_none() && begun.elapsed() < PATIENCE,
                "{ended:?}: {}",
                self.log()
            );
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    /// The port that it listens on by `ptcp:0` or `pssl:0`.
    pub(crate) fn port(&mut self) -> u16 {
        let find = |log: String| {
            let (_, after) = log.split_once("listening on port ")?;
            after.split_whitespace().next()?.parse().ok()
        };
        self.wait_for(|server| find(server.log()).is_some());
        find(self.log()).expect("a port")
    }

    /// SIGKILL.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Loses all data; it must not run.
    pub(crate) fn lose_data(&self) {
        assert!(self.child.is_none(), "it runs");
        std::fs::remove_file(self.path("conf.db")).expect("the database");
        self.create();
    }

    /// Asked by `ovs-appctl`.
    pub(crate) fn appctl(&self, args: &[&str]) -> String {
        let ctl = self.path("ctl");
        let mut all = vec!["-t", ctl.to_str().expect("a path")];
        all.extend(args);
        run("ovs-appctl", &all)
    }

    /// Makes a bridge by Open vSwitch's own program.
    pub(crate) fn vsctl(&self, args: &[&str]) -> String {
        let db = format!("--db=unix:{}", self.socket().display());
        let mut all = vec!["--no-wait", "--timeout=20", db.as_str()];
        all.extend(args);
        run("ovs-vsctl", &all)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

fn run(program: &str, args: &[&str]) -> String {
    let Output {
        status,
        stdout,
        stderr,
    } = Command::new(program).args(args).output().expect(program);
    let error = String::from_utf8_lossy(&stderr);
    assert!(status.success(), "{program} {args:?}: {error}");
    String::from_utf8(stdout).expect("text")
}

/// Settings whose waits are short.
pub(crate) fn quick() -> Settings {
    Settings {
        call_limit: PATIENCE,
        back_off_first: Duration::from_millis(10),
        back_off_most: Duration::from_millis(50),
        ..Settings::default()
    }
}

/// The next update, or a failure.
pub(crate) async fn next(monitor: &mut Monitor) -> Update {
    let update = timeout(PATIENCE, monitor.next()).await;
    update.expect("an update in time").expect("an update")
}

/// A server whose answers are the test's.
pub(crate) struct Fake {
    dir: tempfile::TempDir,
    listener: UnixListener,
}

impl Fake {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let listener = UnixListener::bind(dir.path().join("sock")).expect("a socket");
        Self { dir, listener }
    }

    pub(crate) fn endpoint(&self) -> Endpoint {
        Endpoint::unix(self.socket())
    }

    pub(crate) fn socket(&self) -> PathBuf {
        Path::new(self.dir.path()).join("sock")
    }

    pub(crate) async fn accept(&self) -> FakeLink {
        let accepted = timeout(PATIENCE, self.listener.accept()).await;
        let (stream, _) = accepted.expect("a client in time").expect("a client");
        FakeLink {
            stream,
            framer: Framer::new(1 << 20),
        }
    }
}

pub(crate) struct FakeLink {
    stream: UnixStream,
    framer: Framer,
}

impl FakeLink {
    /// What the client says next; none when it has gone.
    pub(crate) async fn hear(&mut self) -> Option<Json> {
        loop {
            if let Some(message) = self.framer.next_message().expect("a message") {
                return Some(message);
            }
            let mut chunk = [0; 1024];
            let size = timeout(PATIENCE, self.stream.read(&mut chunk)).await;
            match size.expect("words in time") {
                Ok(0) | Err(_) => return None,
                Ok(size) => self.framer.push(&chunk[..size]),
            }
        }
    }

    /// The next request of this method; others before it are a failure.
    pub(crate) async fn asked(&mut self, method: &str) -> Json {
        let message = self.hear().await.expect("a request");
        assert_eq!(message["method"], method, "{message}");
        message
    }

    pub(crate) async fn say(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.expect("it is heard");
    }

    pub(crate) async fn answer(&mut self, request: &Json, result: Json) {
        let answer = json!({"id": request["id"], "result": result, "error": null});
        self.say(answer.to_string().as_bytes()).await;
    }

    pub(crate) async fn refuse(&mut self, request: &Json, error: &str) {
        let answer = json!({"id": request["id"], "error": error});
        self.say(answer.to_string().as_bytes()).await;
    }
}
