//! The product's command line, typed at a fake host as a person types it.

use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use serde_json::Value;

use crate::built::fairlead_binary;
use crate::node::Node;
use crate::patience::{eventually, patience};
use crate::place::Place;
use crate::plugins::link_names;

/// The names of command lines.
const NAMES: [&str; 6] = [
    "fairlead",
    "om",
    "nodemgr",
    "eru-barrel",
    "nuage-libnetwork",
    "plugin",
];

/// How a line ended.
#[derive(Debug)]
pub struct Ran {
    /// What was typed, for messages.
    line: String,
    /// What it printed.
    pub stdout: String,
    /// What it told people.
    pub stderr: String,
    /// Its exit status; none if a signal ended it.
    pub status: Option<i32>,
}

impl Ran {
    /// Runs a command to its end; `line` is what was typed.
    #[track_caller]
    pub(crate) fn of(line: &str, command: &mut Command) -> Self {
        let output = command.output();
        let output = output.unwrap_or_else(|e| panic!("cannot start {command:?}: {e}"));
        Self {
            line: line.to_owned(),
            stdout: String::from_utf8(output.stdout).expect("output is text"),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
            status: output.status.code(),
        }
    }

    /// What it printed.
    ///
    /// # Panics
    /// If it failed.
    #[track_caller]
    pub fn done(self) -> String {
        assert_eq!(self.status, Some(0), "it shall succeed: {self:#?}");
        self.stdout
    }

    /// Asserts that it did its work without a word.
    ///
    /// # Panics
    /// If not.
    #[track_caller]
    pub fn silent(self) {
        let said = (self.status, self.stdout.as_str(), self.stderr.as_str());
        assert_eq!(said, (Some(0), "", ""), "{self:#?}");
    }

    /// What it printed, read as JSON.
    ///
    /// # Panics
    /// If it failed or printed something else.
    #[track_caller]
    #[must_use]
    pub fn json(self) -> Value {
        let line = self.line.clone();
        crate::place::json(&{
            let printed = self.done();
            assert!(!printed.is_empty(), "{line} printed nothing");
            printed
        })
    }

    /// Asserts that it succeeded and told these words besides; returns what it printed.
    ///
    /// # Panics
    /// If not.
    #[track_caller]
    pub fn warns(self, words: &[&str]) -> String {
        self.told(words);
        self.done()
    }

    /// Asserts that it failed (exit status 1) and told these words.
    ///
    /// # Panics
    /// If not.
    #[track_caller]
    pub fn fails(self, words: &[&str]) {
        assert_eq!(self.status, Some(1), "it shall fail: {self:#?}");
        assert!(self.stderr.starts_with("fairlead: "), "{self:#?}");
        self.told(words);
    }

    /// Asserts that the line was refused as no command of ours (exit status 2).
    ///
    /// # Panics
    /// If not.
    #[track_caller]
    pub fn is_no_command(self, words: &[&str]) {
        assert_eq!(self.status, Some(2), "it shall be refused: {self:#?}");
        self.told(words);
    }

    #[track_caller]
    fn told(&self, words: &[&str]) {
        for word in words {
            assert!(
                self.stderr.contains(word),
                "'{word}' was not told: {self:#?}"
            );
        }
    }
}

/// Where the names are, before every other program.
pub(crate) fn search_path() -> OsString {
    static DIR: OnceLock<PathBuf> = OnceLock::new();
    let dir = DIR.get_or_init(|| link_names(&fairlead_binary(), "commands", &NAMES));
    let mut path = dir.clone().into_os_string();
    path.push(":/usr/sbin:/usr/bin:/sbin:/bin");
    path
}

/// A container's links, addresses and routes, and those of the host, its rule set, and
/// what the product lists, file names included: for comparing before and after. Without
/// what the kernel changes by itself some time after a cable was plugged or pulled, and
/// without the id that a node is given once.
const WORLD: &str = r#"
look() {
    ip $1 -oneline link; ip $1 -oneline address
    ip $1 -4 route show table all; ip $1 -6 route show table all; ip $1 rule
}
look | sed 's/^/host: /'
for name in $(ls /run/netns | grep -vx outside); do look "-netns $name" | sed "s/^/$name: /"; done
nft --stateless list ruleset | sed 's/^/nft: /'
fairlead ls -o json; fairlead ip ls -o json
find "$FAIRLEAD_ROOT" -type f ! -path '*/node.db*' ! -path '*/shared.db*' ! -path '*/mirror.*' ! -name node.id ! -name '*.lock' | sort
"#;

impl Node {
    /// Types `line`, for a shell.
    #[track_caller]
    pub fn sh(&self, line: &str) -> Ran {
        Ran::of(line, &mut self.shell(line))
    }

    /// The same, not yet started.
    #[must_use]
    pub fn shell(&self, line: &str) -> Command {
        let mut command = self.command("sh");
        command.args(["-c", line]).env("PATH", search_path());
        command
    }

    /// Declares networks, each `NAME=RANGES`, and makes them.
    #[track_caller]
    pub fn networks(&self, networks: &[&str]) {
        let mut line = "fairlead cluster set".to_owned();
        for network in networks {
            let (name, ranges) = network.split_once('=').expect("NAME=RANGES");
            line += &format!(" --kw 'network#{name}.network={ranges}'");
        }
        self.sh(&line).silent();
        self.sh("fairlead net setup").done();
    }

    /// Sets keywords of one network in the cluster's configuration, each `OPTION=VALUE`.
    #[track_caller]
    pub fn declare(&self, network: &str, options: &[&str]) {
        let mut line = "fairlead cluster set".to_owned();
        for option in options {
            line += &format!(" --kw 'network#{network}.{option}'");
        }
        self.sh(&line).done();
    }

    /// The text of a file of the node.
    ///
    /// # Panics
    /// If it cannot be read.
    #[track_caller]
    #[must_use]
    pub fn read(&self, file: &str) -> String {
        fs::read_to_string(self.path(file)).unwrap_or_else(|e| panic!("cannot read {file}: {e}"))
    }

    /// Writes a file of the node, with the folders around it.
    ///
    /// # Panics
    /// If it cannot be written.
    #[track_caller]
    pub fn write(&self, file: &str, text: &str) {
        let path = self.path(file);
        let dir = path.parent().expect("a folder");
        fs::create_dir_all(dir)
            .and_then(|()| fs::write(&path, text))
            .unwrap_or_else(|e| panic!("cannot write {file}: {e}"));
    }

    /// All that others see of the node and of the containers in it.
    #[must_use]
    #[track_caller]
    pub fn world(&self) -> Vec<String> {
        // What changes while it is listed is listed again.
        let printed = eventually(patience(), || {
            let ran = self.sh(WORLD);
            let torn = ran.stderr.contains("Dump was interrupted");
            assert!(torn || ran.stderr.is_empty(), "{ran:#?}");
            if torn { Err("torn") } else { Ok(ran.done()) }
        });
        let by_itself = [": anycast ", ": multicast ff00::/8 ", "fe80::"];
        let kept = printed
            .lines()
            .filter(|line| !by_itself.iter().any(|part| line.contains(part)));
        kept.map(without_noise).collect()
    }

    /// Asserts that all is as it was; the kernel may need some moments for that.
    ///
    /// # Panics
    /// With the lines that differ.
    #[track_caller]
    pub fn is_as_before(&self, before: &[String], what: &str) {
        eventually(patience(), || differences(before, &self.world(), what));
    }

    /// The same within `limit`, but links may have been made again: their numbers do
    /// not count.
    ///
    /// # Panics
    /// With the lines that differ.
    #[track_caller]
    pub fn is_alike(&self, before: &[String], what: &str, limit: Duration) {
        let alike = |world: &[String]| -> Vec<String> {
            world.iter().map(|line| without_numbers(line)).collect()
        };
        let before = alike(before);
        eventually(limit, || differences(&before, &alike(&self.world()), what));
    }
}

/// The lines that one has and the other has not.
fn differences(before: &[String], now: &[String], what: &str) -> Result<(), Vec<String>> {
    let gone = before.iter().filter(|line| !now.contains(line));
    let new = now.iter().filter(|line| !before.contains(line));
    let differs: Vec<String> = gone
        .map(|line| format!("gone: {line}"))
        .chain(new.map(|line| format!("new: {line}")))
        .chain([format!("after: {what}")])
        .collect();
    if differs.len() == 1 {
        Ok(())
    } else {
        Err(differs)
    }
}

/// A line without the numbers of links.
fn without_numbers(line: &str) -> String {
    let mut words = line.split_whitespace();
    let place = words.next().unwrap_or_default();
    let rest: Vec<&str> = words
        .filter(|word| {
            word.strip_suffix(':')
                .is_none_or(|n| n.parse::<u32>().is_err())
        })
        .collect();
    format!("{place} {}", rest.join(" "))
}

/// A line without times, and without what tells whether a bridge has a port that is up.
fn without_noise(line: &str) -> String {
    let mut words = Vec::new();
    let mut skip = false;
    for word in line.split_whitespace() {
        let carrier = word.starts_with('<') && word.ends_with('>');
        let noise = skip || carrier || word.ends_with("sec") || word == "linkdown";
        skip = matches!(word, "state" | "qlen" | "expires");
        if !noise && !skip {
            words.push(word);
        }
    }
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_cable_changes_later_is_no_difference() {
        let up = "host: 3: br0: <BROADCAST,UP,LOWER_UP> mtu 1500 state UP mode DEFAULT";
        let down = "host: 3: br0: <NO-CARRIER,BROADCAST,UP> mtu 1500 state DOWN mode DEFAULT";
        assert_eq!(without_noise(up), without_noise(down));
        assert_eq!(without_noise(up), "host: 3: br0: mtu 1500 mode DEFAULT");
        let route = "host: 10.0.0.0/24 dev br0 proto kernel";
        assert_eq!(without_noise(&format!("{route} linkdown")), route);
        let link = "host: 9: vx0: mtu 1450";
        assert_eq!(without_numbers(link), "host: vx0: mtu 1450");
    }

    #[test]
    fn a_world_sees_what_appears() {
        let node = Node::new();
        let before = node.world();
        node.is_as_before(&before, "nothing");
        node.run("ip link add new type veth peer name end");
        let now = node.world();
        assert!(
            now.iter().any(|line| line.contains(" new@end: ")),
            "{now:?}"
        );
    }
}
