//! A Docker daemon on a node, with an image, and the command line that people type.

mod api;
mod plan;
mod release;

use std::process::ExitStatus;
use std::time::Duration;

use serde_json::Value;

pub(crate) use api::{get, import, run_foreign, wait_for};
pub use plan::DockerPlan;

use crate::cgroups::Cgroups;
use crate::commands::Ran;
use crate::daemon::Daemon;
use crate::node::Node;
use crate::patience::{eventually, patience};
use crate::place::Place;

/// How long Docker waits for its containers when it is told to end.
const FAREWELL: Duration = Duration::from_secs(15);

/// `dockerd` on a node, with the image `busybox`. Its containers end with this value.
#[derive(Debug)]
pub struct Docker {
    /// The process.
    pub daemon: Daemon,
    plan: DockerPlan,
    cgroups: Cgroups,
}

impl Docker {
    /// The daemon's socket inside the node, where everybody looks for it.
    pub const SOCKET: &'static str = "/run/docker.sock";

    /// The image that it has.
    pub const IMAGE: &'static str = "busybox";

    /// Where the command line has its settings, inside the node.
    const CLIENT_SETTINGS: &'static str = "/run/docker-client";

    /// Starts Debian 12's, which leaves all networks to others, and waits until it answers
    /// and has its image.
    ///
    /// # Panics
    /// With its log, if it does not within the test's patience.
    #[must_use]
    #[track_caller]
    pub fn start(node: &Node) -> Self {
        Self::plan().start(node)
    }

    /// The same, to be changed before it is started.
    #[must_use]
    pub fn plan() -> DockerPlan {
        DockerPlan::default()
    }

    /// Starts it again as it was planned after it has ended, with the containers that it
    /// had.
    ///
    /// # Panics
    /// With its log, if it does not answer within the test's patience.
    #[track_caller]
    pub fn start_again(&mut self, node: &Node) {
        // Its containerd has ended with it; where nobody has waited for that one, its
        // number still looks like that of a process that runs.
        node.run("rm -f /run/docker/containerd/containerd.pid");
        self.daemon = self.plan.daemon(node, &self.cgroups);
        // It first ends the containers that run and are not to, and starts those that are.
        let limit = patience() * 6 + FAREWELL;
        eventually(limit, || api::answers(node, Self::SOCKET, &self.daemon));
    }

    /// Ends the daemon at once (SIGKILL). Its containers run on until it is started again,
    /// and then as its plan says.
    ///
    /// # Panics
    /// If that fails.
    #[track_caller]
    pub fn kill(&mut self) {
        self.daemon.kill();
    }

    /// Asks the daemon to end, which ends its containers first, unless they are to run on.
    ///
    /// # Panics
    /// If it does not end.
    #[track_caller]
    pub fn stop(&mut self) -> ExitStatus {
        self.daemon.signal("TERM");
        let limit = patience() + FAREWELL;
        eventually(limit, || self.daemon.ended().ok_or("dockerd runs on"))
    }

    /// Types `docker LINE` at the node, for a shell: the command line of the same release.
    #[track_caller]
    pub fn cli(&self, node: &Node, line: &str) -> Ran {
        self.cli_at(node, Self::SOCKET, line)
    }

    /// The same, where another socket leads to the daemon.
    #[track_caller]
    pub fn cli_at(&self, node: &Node, socket: &str, line: &str) -> Ran {
        node.sh(&format!("{} {line}", self.client(socket)))
    }

    /// The same; returns what it printed, without blanks around.
    ///
    /// # Panics
    /// If it fails.
    #[track_caller]
    pub fn must(&self, node: &Node, line: &str) -> String {
        self.cli(node, line).done().trim().to_owned()
    }

    /// Types lines of the docker command line, some at a time.
    ///
    /// # Panics
    /// If one fails.
    #[track_caller]
    pub fn at_once(&self, node: &Node, lines: &[String]) {
        const WORKERS: usize = 12;
        std::thread::scope(|scope| {
            for worker in 0..WORKERS {
                scope.spawn(move || {
                    for line in lines.iter().skip(worker).step_by(WORKERS) {
                        self.must(node, line);
                    }
                });
            }
        });
    }

    /// Removes a network whose endpoints went at once, and starts the daemon again before:
    /// where several go in one moment it can lose one from its count of them, with its own
    /// drivers too, and then refuses until a start has it counted anew (moby's issue 43286).
    ///
    /// # Panics
    /// If the daemon lists an endpoint of it, or refuses.
    #[track_caller]
    pub fn remove_emptied(&mut self, node: &Node, network: &str) {
        let line = format!("network inspect --format '{{{{json .Containers}}}}' {network}");
        assert_eq!(self.must(node, &line), "{}", "endpoints of {network}");
        let _ = self.stop();
        self.start_again(node);
        self.must(node, &format!("network rm {network}"));
    }

    /// Types `docker compose LINE` in a folder of the node, which has the project's file.
    #[track_caller]
    pub fn compose(&self, node: &Node, folder: &str, line: &str) -> Ran {
        self.compose_at(node, Self::SOCKET, folder, line)
    }

    /// The same, where another socket leads to the daemon.
    #[track_caller]
    pub fn compose_at(&self, node: &Node, socket: &str, folder: &str, line: &str) -> Ran {
        let client = self.client(socket);
        node.sh(&format!("cd {folder} && {client} compose {line}"))
    }

    /// How a shell starts the command line on another socket.
    #[must_use]
    #[track_caller]
    pub fn client(&self, socket: &str) -> String {
        format!(
            "DOCKER_CONFIG={} {} -H unix://{socket}",
            Self::CLIENT_SETTINGS,
            self.plan.release.client()
        )
    }

    /// What the daemon answers to a GET, such as `/containers/NAME/json`; null if there is
    /// no such thing.
    #[track_caller]
    #[must_use]
    pub fn get(node: &Node, path: &str) -> Value {
        get(node, Self::SOCKET, path)
    }

    /// Makes a container as somebody else would, and starts it.
    ///
    /// # Panics
    /// If the daemon refuses.
    #[track_caller]
    pub fn run_foreign(node: &Node, name: &str) {
        run_foreign(node, Self::SOCKET, name, Self::IMAGE);
    }
}

#[cfg(test)]
mod tests;
