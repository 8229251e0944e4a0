//! What tests ask an engine by Docker's API, whoever serves it.

use std::process::Command;

use serde_json::Value;

use crate::cgroups::Cgroups;
use crate::daemon::Daemon;
use crate::node::Node;
use crate::patience::{eventually, patience};
use crate::place::Place;
use crate::rootfs;

/// Waits until a daemon answers.
#[track_caller]
pub(crate) fn wait_for(node: &Node, socket: &str, daemon: &Daemon) {
    eventually(patience(), || answers(node, socket, daemon));
}

/// Does a daemon answer at this moment? If not, its log.
#[track_caller]
pub(super) fn answers(node: &Node, socket: &str, daemon: &Daemon) -> Result<(), String> {
    let output = curl(node, socket, "GET", "/_ping").output();
    let output = output.expect("curl can be started");
    if output.stdout == b"OK" {
        Ok(())
    } else {
        Err(daemon.log())
    }
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
