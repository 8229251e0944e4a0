//! A Docker daemon on a node, with an image.

use std::process::Command;

use serde_json::Value;

use crate::cgroups::Cgroups;
use crate::daemon::Daemon;
use crate::node::Node;
use crate::patience::{eventually, patience};
use crate::place::Place;
use crate::rootfs;

/// `dockerd` on a node, with the image `busybox`. Its containers end with this value.
#[derive(Debug)]
pub struct Docker {
    /// The process.
    pub daemon: Daemon,
    cgroups: Cgroups,
}

impl Docker {
    /// The daemon's socket inside the node, where everybody looks for it.
    pub const SOCKET: &'static str = "/run/docker.sock";

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
        let docker = Self {
            daemon: daemon(node, &cgroups),
            cgroups,
        };
        wait_for(node, Self::SOCKET, &docker.daemon);
        import(node, Self::SOCKET, &docker.cgroups, Self::IMAGE);
        docker
    }

    /// Starts it again after it has ended, with the containers that it had.
    ///
    /// # Panics
    /// With its log, if it does not answer within the test's patience.
    #[track_caller]
    pub fn start_again(&mut self, node: &Node) {
        // Its containerd has ended with it; where nobody has waited for that one, its
        // number still looks like that of a process that runs.
        node.run("rm -f /run/docker/containerd/containerd.pid");
        self.daemon = daemon(node, &self.cgroups);
        wait_for(node, Self::SOCKET, &self.daemon);
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

#[track_caller]
fn daemon(node: &Node, cgroups: &Cgroups) -> Daemon {
    let data = cgroups.folder().join("data");
    let mut command = cgroups.command(node, "dockerd");
    command
        .args(["--host", &format!("unix://{}", Docker::SOCKET)])
        .args(["--data-root", &data.to_string_lossy()])
        .args(["--exec-root", "/run/docker", "--pidfile", "/run/docker.pid"])
        // Networks are ours to give; nothing is to be changed on the node.
        .args(["--bridge=none", "--iptables=false", "--ip6tables=false"])
        .args(["--ip-forward=false", "--ip-masq=false"])
        // The node sees a part of the control groups only, and a container with the
        // host's view of them would look for them elsewhere.
        .arg("--default-cgroupns-mode=private")
        .arg("--log-level=warn");
    Daemon::start(&command, "dockerd", &node.path("/run/docker.log"))
}

/// Waits until a daemon answers.
#[track_caller]
pub(crate) fn wait_for(node: &Node, socket: &str, daemon: &Daemon) {
    eventually(patience(), || {
        let output = curl(node, socket, "GET", "/_ping").output();
        let output = output.expect("curl can be started");
        if output.stdout == b"OK" {
            Ok(())
        } else {
            Err(daemon.log())
        }
    });
}

/// Gives it an image in which there is nothing but busybox.
#[track_caller]
pub(crate) fn import(node: &Node, socket: &str, cgroups: &Cgroups, image: &str) {
    let root = cgroups.folder().join("rootfs");
    rootfs::make(&root);
    let archive = cgroups.folder().join("rootfs.tar");
    let tar = Command::new("tar")
        .arg("-C")
        .arg(&root)
        .arg("-cf")
        .arg(&archive)
        .arg(".")
        .status();
    assert!(tar.expect("tar can be started").success());
    let path = format!("/images/create?fromSrc=-&repo={image}&tag=latest");
    let mut command = curl(node, socket, "POST", &path);
    command
        .args([
            "--header",
            "Content-Type: application/x-tar",
            "--data-binary",
        ])
        .arg(format!("@{}", archive.display()));
    must(command);
}

/// What it answers to a GET; null for 'not found'.
#[track_caller]
pub(crate) fn get(node: &Node, socket: &str, path: &str) -> Value {
    let output = curl(node, socket, "GET", path).output();
    let output = output.expect("curl can be started");
    // 22: the server has answered with a failure.
    if output.status.code() == Some(22) {
        return Value::Null;
    }
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{path}: {text}");
    serde_json::from_str(&text).unwrap_or_else(|e| panic!("{path}: {e}: {text}"))
}

#[track_caller]
pub(crate) fn run_foreign(node: &Node, socket: &str, name: &str, image: &str) {
    let body = format!(
        "{{\"Image\": \"{image}\", \"Cmd\": [\"sleep\", \"1000\"], \
         \"HostConfig\": {{\"NetworkMode\": \"none\"}}}}"
    );
    let path = format!("/containers/create?name={name}");
    let mut command = curl(node, socket, "POST", &path);
    command.args([
        "--header",
        "Content-Type: application/json",
        "--data",
        &body,
    ]);
    must(command);
    must(curl(
        node,
        socket,
        "POST",
        &format!("/containers/{name}/start"),
    ));
}

fn curl(node: &Node, socket: &str, method: &str, path: &str) -> Command {
    let mut command = node.command("curl");
    command
        .args([
            "-sS",
            "--fail-with-body",
            "-m",
            "30",
            "--unix-socket",
            socket,
        ])
        .args(["--request", method])
        .arg(format!("http://engine{path}"));
    command
}

#[track_caller]
fn must(mut command: Command) {
    let output = command.output().expect("curl can be started");
    assert!(
        output.status.success(),
        "{command:?}: {}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_container_runs_and_ends_with_the_daemon() {
        let node = Node::unplugged("one");
        let docker = Docker::start(&node);
        Docker::run_foreign(&node, "box");
        let found = Docker::get(&node, "/containers/box/json");
        assert_eq!(found["State"]["Running"], true, "{found}");
        let pid = found["State"]["Pid"].as_u64().expect("a number");
        assert!(Docker::get(&node, "/containers/nobody/json").is_null());
        drop(docker);
        let left = std::fs::read_to_string(format!("/proc/{pid}/stat"));
        assert!(left.is_err() || left.is_ok_and(|stat| stat.contains(") Z ")));
    }
}
