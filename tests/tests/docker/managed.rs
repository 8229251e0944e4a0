//! The driver as a plugin that Docker runs by itself.

use fairlead_tests::{Docker, DockerPlan, Node, Place as _, eventually, fairlead_binary, patience};
use std::path::Path;
use std::process::Command;

#[test]
fn try_it() {
    let node = Node::new();
    node.run("mount --make-rshared /");
    node.sh("mkdir /run/etc && cp -a /etc/. /run/etc && mount --bind /run/etc /etc && mount -t tmpfs none /opt").silent();
    let out = node.sh(&format!(
        "{}/../scripts/make-docker-plugin {} /run/plugin",
        env!("CARGO_MANIFEST_DIR"),
        fairlead_binary().display()
    ));
    eprintln!("{out:?}");
    let docker = {
        let plan = Docker::plan().with_plugins();
        let plan = if std::env::var_os("NEWER").is_some() {
            plan.newer()
        } else {
            plan
        };
        plan.start(&node)
    };
    eprintln!(
        "{:?}",
        docker.cli(&node, "plugin create fairlead /run/plugin")
    );
    eprintln!("{:?}", docker.cli(&node, "plugin enable fairlead"));
    eprintln!("{:?}", docker.cli(&node, "plugin ls"));
    let script = std::env::var("TRY").unwrap_or_default();
    if !script.is_empty() {
        let file = std::fs::read_to_string(&script).unwrap();
        let file = format!(
            "unset FAIRLEAD_ROOT\nexport DOCKER_HOST=unix:///run/docker.sock\nset -x\n{file}"
        );
        let ran = node.sh(&file);
        eprintln!("{}\n{}", ran.stdout, ran.stderr);
    }
    eprintln!("{}", node.read("/run/docker.log"));
}
