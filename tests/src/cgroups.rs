//! Control groups for what runs on a node: the machine's hierarchies, of which the node
//! sees only a part that is its own.

use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use crate::node::Node;
use crate::place::Place;

/// Where a node keeps the name of its part.
const NAME: &str = "/run/control-groups";

/// Mounts the part `$2` of the hierarchy of kind `$3` and options `$4` on `$1`. One that
/// gives out processors gives none to a new part by itself.
const MOUNT: &str = r#"
set -e
mkdir -p "$1"
mount -t "$3" -o "$4" none "$1"
mkdir -p "$1/$2"
if [ -e "$1/cpuset.cpus" ] && [ "$3" = cgroup ]; then
    for file in cpuset.cpus cpuset.mems; do cat "$1/$file" >"$1/$2/$file"; done
fi
mount --bind "$1/$2" "$1"
"#;

/// Waits until its input ends, which it does with the test, however that ends. Then kills
/// all processes of the part `$0` and removes that, and the folders that are left of `$@`.
const CLEAN: &str = r#"
cat >/dev/null
part=$0
tree() { for top in $tops; do find "$top/$part" -depth -type d 2>/dev/null; done; }
tops=$(awk '$3 == "cgroup" || $3 == "cgroup2" { print $2 }' /proc/mounts)
round=0
while [ $round -lt 200 ]; do
    left=$(tree | while read -r dir; do cat "$dir/cgroup.procs" 2>/dev/null; done)
    [ -n "$left" ] || break
    kill -9 $left 2>/dev/null
    round=$((round + 1))
    sleep 0.02
done
round=0
while [ $round -lt 50 ]; do
    tree | while read -r dir; do rmdir "$dir" 2>/dev/null; done
    [ -n "$(tree)" ] || break
    round=$((round + 1))
    sleep 0.02
done
for folder in "$@"; do rm -rf "$folder"; done
"#;

/// A part of the machine's control groups, and a folder on its disk, for one node. With
/// this value all processes in the part end, and both go.
#[derive(Debug)]
pub struct Cgroups {
    name: String,
    folder: PathBuf,
    cleaner: Child,
    /// What the cleaner waits on.
    lifeline: Option<ChildStdin>,
}

impl Cgroups {
    /// Mounts control groups on the node, which has none by itself. What has mounted them
    /// there first also ends what runs in them: its value must live longest.
    ///
    /// # Panics
    /// If they cannot be mounted.
    #[must_use]
    #[track_caller]
    pub fn on(node: &Node) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let own = format!("fairlead-test-{}-{number}", std::process::id());
        let folder = std::env::temp_dir().join(&own);
        std::fs::create_dir_all(&folder).expect("a folder on the disk");
        let known = std::fs::read_to_string(node.path(NAME)).ok();
        let mut cleaner = Command::new("setsid")
            .args(["sh", "-c", CLEAN, &own])
            .arg(&folder)
            .stdin(Stdio::piped())
            .spawn()
            .expect("setsid can be started: install util-linux");
        let lifeline = cleaner.stdin.take();
        if known.is_none() {
            mount(node, &own);
        }
        Self {
            name: known.unwrap_or(own),
            folder,
            cleaner,
            lifeline,
        }
    }

    /// The part's name, which is a folder of each hierarchy of the machine.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A new folder on the disk, seen by the node and the machine alike; it goes with this
    /// value.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// A command in the node, and in the part, so that it ends with it.
    #[must_use]
    pub fn command(&self, node: &Node, program: &str) -> Command {
        let enter = "for group in $(awk '$3 ~ /^cgroup2?$/ { print $2 }' /proc/mounts); do \
                     echo $$ >$group/cgroup.procs 2>/dev/null; done; exec \"$@\"";
        let mut command = node.command("sh");
        command.args(["-c", enter, "sh", program]);
        command
    }
}

/// As the machine has them, at the same places.
#[track_caller]
fn mount(node: &Node, name: &str) {
    let mounts = std::fs::read_to_string("/proc/self/mounts").expect("the mounts");
    if !mounts.contains(" /sys/fs/cgroup cgroup2 ") {
        node.run("mount -t tmpfs none /sys/fs/cgroup");
    }
    for line in mounts.lines() {
        let fields: Vec<&str> = line.split(' ').collect();
        let (path, kind) = (fields[1], fields[2]);
        let options = match kind {
            "cgroup2" => "rw".to_owned(),
            "cgroup" => controllers(fields[3]),
            _ => continue,
        };
        let output = node
            .command("sh")
            .args(["-c", MOUNT, "sh", path, name, kind, &options])
            .output()
            .expect("sh can be started");
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "cannot mount {path}: {told}");
    }
    std::fs::write(node.path(NAME), name).expect("the part's name");
}

/// The options of a mount that say which hierarchy of version 1 it is.
fn controllers(options: &str) -> String {
    let general = ["rw", "ro", "relatime", "nosuid", "nodev", "noexec", "xattr"];
    let which: Vec<&str> = options
        .split(',')
        .filter(|option| !general.contains(option) && !option.starts_with("release_agent"))
        .collect();
    let named = which.iter().all(|option| option.starts_with("name="));
    let none = if named { "none," } else { "" };
    format!("{none}{}", which.join(","))
}

impl Drop for Cgroups {
    fn drop(&mut self) {
        drop(self.lifeline.take());
        // It ends by itself, whatever it could not remove.
        let _ = self.cleaner.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::patience::{eventually, patience};

    #[test]
    fn what_runs_in_the_part_ends_with_it() {
        let node = Node::unplugged("one");
        let cgroups = Cgroups::on(&node);
        let again = Cgroups::on(&node);
        assert_eq!(cgroups.name(), again.name());
        let mut child = again
            .command(&node, "sleep")
            .arg("1000")
            .spawn()
            .expect("sleep");
        let list = || {
            let all = std::fs::read_to_string(format!("/proc/{}/cgroup", child.id()));
            all.unwrap_or_default()
        };
        eventually(patience(), || {
            list()
                .contains(cgroups.name())
                .then_some(())
                .ok_or_else(list)
        });
        let folder = cgroups.folder().to_owned();
        drop(again);
        assert!(child.try_wait().expect("a state").is_none());
        drop(cgroups);
        assert!(!child.wait().expect("an end").success());
        assert!(!folder.exists());
    }
}
