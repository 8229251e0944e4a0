//! LXC containers of a node.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::cgroups::Cgroups;
use crate::node::Node;
use crate::place::Place;
use crate::rootfs;

/// A folder of LXC containers for a node. What runs of them ends with this value.
#[derive(Debug)]
pub struct Lxc {
    cgroups: Cgroups,
}

impl Lxc {
    /// A folder without a container.
    #[must_use]
    #[track_caller]
    pub fn new(node: &Node) -> Self {
        Self {
            cgroups: Cgroups::on(node),
        }
    }

    /// The folder, as `lxc-start -P` takes it; on the node and on the machine.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.cgroups.folder()
    }

    /// Makes a container with nothing in it but busybox, whose init does nothing. It is
    /// declared to be on a bridge that there is not.
    ///
    /// # Panics
    /// If it cannot be made.
    #[track_caller]
    pub fn make(&self, name: &str) {
        let dir = self.path().join(name);
        let root = dir.join("rootfs");
        rootfs::make(&root);
        let config = format!(
            "lxc.rootfs.path = dir:{}\n\
             lxc.uts.name = {name}\n\
             lxc.net.0.type = veth\n\
             lxc.net.0.link = no-such-bridge\n\
             lxc.signal.halt = SIGUSR1\n\
             lxc.mount.auto = proc:mixed sys:ro\n",
            root.display()
        );
        std::fs::write(dir.join("config"), config).expect("the container's config");
    }

    /// A folder with LXC's tools, which run on the node wherever they are started.
    ///
    /// # Panics
    /// If it cannot be made.
    #[must_use]
    #[track_caller]
    pub fn tools(&self, node: &Node) -> PathBuf {
        let dir = self.path().join("tools");
        std::fs::create_dir_all(&dir).expect("a folder of tools");
        for tool in ["lxc-start", "lxc-stop", "lxc-info"] {
            let path = dir.join(tool);
            let script = format!(
                "#!/bin/sh\nexec nsenter --target={} --mount --uts --net --wd=/ -- {tool} \"$@\"\n",
                node.holder()
            );
            std::fs::write(&path, script).expect("a tool");
            let mode = std::fs::Permissions::from_mode(0o755);
            std::fs::set_permissions(&path, mode).expect("a tool's mode");
        }
        dir
    }

    /// What `lxc-info` prints of a container.
    #[track_caller]
    #[must_use]
    pub fn info(&self, node: &Node, name: &str) -> String {
        node.run(&format!("lxc-info -P {} -n {name}", self.path().display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_container_runs_and_ends_with_the_folder() {
        let node = Node::unplugged("one");
        let lxc = Lxc::new(&node);
        lxc.make("box");
        let path = lxc.path().display();
        node.run(&format!(
            "lxc-start -P {path} -n box -d -s lxc.net.0.type=empty"
        ));
        let info = lxc.info(&node, "box");
        let pid = info.lines().find_map(|line| line.strip_prefix("PID:"));
        let pid = pid.expect("a number").trim();
        let stat = format!("/proc/{pid}/stat");
        assert!(Path::new(&stat).exists());
        drop(lxc);
        let left = std::fs::read_to_string(&stat);
        assert!(left.is_err() || left.is_ok_and(|stat| stat.contains(") Z ")));
    }
}
