//! Podman's API service on a node, with an image.

use std::process::Command;

use serde_json::Value;

use crate::cgroups::Cgroups;
use crate::commands::Ran;
use crate::daemon::Daemon;
use crate::docker;
use crate::node::Node;
use crate::place::Place;

/// A container may have fewer open files and processes than Podman would give it: to
/// raise the limits is not every root's right.
const SETTINGS: &str = "[containers]\n\
    default_ulimits = [\"nofile=1024:1024\", \"nproc=1024:1024\"]\n";

/// `podman system service` on a node, with the image `busybox`. Its containers end with
/// this value.
#[derive(Debug)]
pub struct Podman {
    /// The process.
    pub daemon: Daemon,
    cgroups: Cgroups,
}

impl Podman {
    /// The service's socket inside the node, where everybody looks for it.
    pub const SOCKET: &'static str = "/run/podman/podman.sock";

    /// The image that it has.
    pub const IMAGE: &'static str = "busybox";

    /// Starts it and waits until it answers and has its image.
    ///
    /// # Panics
    /// With its log, if it does not within the test's patience.
    #[must_use]
    #[track_caller]
    pub fn start(node: &Node) -> Self {
        let cgroups = Cgroups::on(node);
        let settings = cgroups.folder().join("containers.conf");
        std::fs::write(&settings, SETTINGS).expect("the settings");
        node.run("mkdir -p /run/podman /dev/shm");
        // Podman's locks are there, and a first start frees all of them: those of the
        // services on other nodes, too.
        node.run("mount -t tmpfs none /dev/shm");
        let mut command = podman(node, &cgroups);
        command
            .args(["--runtime=crun", "system", "service", "--time=0"])
            .arg(format!("unix://{}", Self::SOCKET));
        let daemon = Daemon::start(&command, "podman", &node.path("/run/podman.log"));
        docker::wait_for(node, Self::SOCKET, &daemon);
        // As a name without a registry is read by who speaks Docker's API.
        let image = format!("docker.io/library/{}", Self::IMAGE);
        docker::import(node, Self::SOCKET, &cgroups, &image);
        Self { daemon, cgroups }
    }

    /// Types `podman LINE` at the node, words separated by spaces, beside the service.
    #[track_caller]
    pub fn cli(&self, node: &Node, line: &str) -> Ran {
        let mut command = podman(node, &self.cgroups);
        command.args(line.split_whitespace());
        Ran::of(line, &mut command)
    }

    /// What the service answers to a GET of Docker's API; null if there is no such thing.
    #[track_caller]
    #[must_use]
    pub fn get(node: &Node, path: &str) -> Value {
        docker::get(node, Self::SOCKET, path)
    }

    /// Makes a container as somebody else would, and starts it.
    ///
    /// # Panics
    /// If the service refuses.
    #[track_caller]
    pub fn run_foreign(node: &Node, name: &str) {
        docker::run_foreign(node, Self::SOCKET, name, Self::IMAGE);
    }
}

/// Podman with its storage in the folder, started in the part.
fn podman(node: &Node, cgroups: &Cgroups) -> Command {
    let data = cgroups.folder().join("data");
    let mut command = cgroups.command(node, "podman");
    command
        .args(["--root", &data.to_string_lossy()])
        .args(["--runroot", "/run/podman-storage"])
        .args(["--cgroup-manager=cgroupfs", "--events-backend=none"])
        .env("CONTAINERS_CONF", cgroups.folder().join("containers.conf"));
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_container_runs_and_ends_with_the_service() {
        let node = Node::unplugged("one");
        let podman = Podman::start(&node);
        Podman::run_foreign(&node, "box");
        let found = Podman::get(&node, "/containers/box/json");
        assert_eq!(found["State"]["Running"], true, "{found}");
        let pid = found["State"]["Pid"].as_u64().expect("a number");
        drop(podman);
        let left = std::fs::read_to_string(format!("/proc/{pid}/stat"));
        assert!(left.is_err() || left.is_ok_and(|stat| stat.contains(") Z ")));
    }
}
