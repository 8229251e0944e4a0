//! `fairlead agent` on a node.

use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use serde_json::Value;

use crate::commands::search_path;
use crate::daemon::Daemon;
use crate::node::Node;
use crate::patience::patience;
use crate::place::{Place, json};

/// The folder of what this file makes on the node.
const DIR: &str = "/run";

/// A running agent of one node.
#[derive(Debug)]
pub struct Agent {
    /// The process.
    pub daemon: Daemon,
}

impl Agent {
    /// The agent's control socket on every node.
    pub const SOCKET: &'static str = "/run/fairlead-root/run/fairlead/agent.sock";

    /// Starts it and waits until it says that it is ready, as it says to systemd.
    ///
    /// # Panics
    /// With its log, if it does not within the test's patience.
    #[must_use]
    #[track_caller]
    pub fn start(node: &Node) -> Self {
        Self::start_with(node, "")
    }

    /// The same with more options.
    ///
    /// # Panics
    /// With its log, if it is not ready within the test's patience.
    #[must_use]
    #[track_caller]
    pub fn start_with(node: &Node, options: &str) -> Self {
        let (mut agent, ready) = Self::begin(node, options);
        if !ready.comes_within(patience()) {
            let ended = agent.daemon.ended();
            panic!(
                "no agent is ready ({ended:?}); its log: {}",
                agent.daemon.log()
            );
        }
        agent
    }

    /// Starts it; whether and when it is ready is for the caller to ask.
    #[must_use]
    #[track_caller]
    pub fn begin(node: &Node, options: &str) -> (Self, Readiness) {
        let readiness = Readiness::listen(node);
        let mut command = node.command("fairlead");
        command
            .arg("agent")
            .args(options.split_whitespace())
            .env("PATH", search_path())
            .env("NOTIFY_SOCKET", format!("{DIR}/notify"));
        let host = node.run("hostname");
        let name = format!("agent of {}", host.trim());
        let log = node.path(&format!("{DIR}/agent.log"));
        let daemon = Daemon::start(&command, &name, &log);
        (Self { daemon }, readiness)
    }

    /// What its control socket answers to a GET, as text.
    ///
    /// # Panics
    /// If there is no answer, or one of failure.
    #[track_caller]
    #[must_use]
    pub fn get(node: &Node, path: &str) -> String {
        let socket = Self::SOCKET;
        node.run(&format!(
            "curl -sS --fail -m 5 --unix-socket {socket} http://agent{path}"
        ))
    }

    /// The same as JSON.
    #[track_caller]
    #[must_use]
    pub fn get_json(node: &Node, path: &str) -> Value {
        json(&Self::get(node, path))
    }
}

/// Where a service says that it is ready: the other end of `NOTIFY_SOCKET`.
#[derive(Debug)]
pub struct Readiness(UnixDatagram);

impl Readiness {
    #[track_caller]
    fn listen(node: &Node) -> Self {
        let path = node.path(&format!("{DIR}/notify"));
        // The one of an earlier start, if there was any.
        let _ = std::fs::remove_file(&path);
        let socket = UnixDatagram::bind(&path);
        Self(socket.unwrap_or_else(|e| panic!("cannot listen on {}: {e}", path.display())))
    }

    /// Is it said within this time?
    ///
    /// # Panics
    /// If the socket fails.
    #[must_use]
    pub fn comes_within(&self, limit: Duration) -> bool {
        let start = std::time::Instant::now();
        let mut buffer = [0; 4096];
        while let Some(left) = limit.checked_sub(start.elapsed()).filter(|l| !l.is_zero()) {
            self.0.set_read_timeout(Some(left)).expect("a time limit");
            let Ok(length) = self.0.recv(&mut buffer) else {
                return false;
            };
            let told = String::from_utf8_lossy(&buffer[..length]);
            if told.lines().any(|line| line == "READY=1") {
                return true;
            }
        }
        false
    }
}
