//! A place where commands run: a fake host or a container in it.

use std::ffi::OsStr;
use std::process::{Command, Output};
use std::time::Duration;

use serde_json::Value;

use crate::patience::{eventually, patience};

/// A network namespace (and more) that commands can be run in.
pub trait Place {
    /// A command that will run in this place.
    fn command(&self, program: impl AsRef<OsStr>) -> Command;

    /// Runs `line`, words separated by spaces, and returns all there is to know.
    ///
    /// # Panics
    /// If the program cannot be started.
    #[track_caller]
    fn try_run(&self, line: &str) -> Output {
        let mut words = line.split_whitespace();
        let program = words.next().expect("a command line has a first word");
        self.command(program)
            .args(words)
            .output()
            .unwrap_or_else(|e| panic!("cannot start '{line}': {e}"))
    }

    /// Runs `line` and returns what it printed.
    ///
    /// # Panics
    /// If it fails.
    #[track_caller]
    fn run(&self, line: &str) -> String {
        let output = self.try_run(line);
        assert!(
            output.status.success(),
            "'{line}' failed: {} {}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).expect("output is text")
    }

    /// Runs `ip -details -json ARGS`; an empty answer is an empty list.
    ///
    /// # Panics
    /// If it fails.
    #[track_caller]
    fn ip_json(&self, args: &str) -> Value {
        json(&self.run(&format!("ip -details -json {args}")))
    }

    /// The one link of this name, as `ip -details -json address show` has it.
    ///
    /// # Panics
    /// If there is none.
    #[track_caller]
    fn link(&self, name: &str) -> Value {
        self.ip_json(&format!("address show dev {name}"))[0].take()
    }

    /// The same, or null when there is none at this moment.
    fn find_link(&self, name: &str) -> Value {
        let output = self.try_run(&format!("ip -details -json address show dev {name}"));
        serde_json::from_slice::<Value>(&output.stdout).map_or(Value::Null, |mut all| all[0].take())
    }

    /// Is there a link of this name?
    fn has_link(&self, name: &str) -> bool {
        self.try_run(&format!("ip link show dev {name}"))
            .status
            .success()
    }

    /// The names of all links, sorted.
    #[track_caller]
    fn link_names(&self) -> Vec<String> {
        let links = self.ip_json("link show");
        let mut names: Vec<String> = links
            .as_array()
            .expect("a list of links")
            .iter()
            .map(|link| text(&link["ifname"]))
            .collect();
        names.sort();
        names
    }

    /// The addresses of a link as `ADDRESS/LENGTH`, without link-local ones, sorted.
    #[track_caller]
    fn addresses(&self, link: &str) -> Vec<String> {
        let link = self.link(link);
        let mut addresses: Vec<String> = link["addr_info"]
            .as_array()
            .expect("addr_info is a list")
            .iter()
            .filter(|a| a["scope"] != "link")
            .map(|a| format!("{}/{}", text(&a["local"]), a["prefixlen"]))
            .collect();
        addresses.sort();
        addresses
    }

    /// A value of `/proc/sys`, such as `net/ipv4/ip_forward`.
    #[track_caller]
    fn sysctl(&self, name: &str) -> String {
        self.run(&format!("cat /proc/sys/{name}")).trim().to_owned()
    }

    /// Sets a value of `/proc/sys`.
    #[track_caller]
    fn set_sysctl(&self, name: &str, value: &str) {
        self.run(&format!("sysctl --quiet --write {name}={value}"));
    }

    /// Waits until `address` answers a ping.
    ///
    /// # Panics
    /// If it does not within the test's patience.
    #[track_caller]
    fn ping(&self, address: &str) {
        eventually(patience(), || {
            self.try_ping(address, Duration::from_secs(1))
        });
    }

    /// One ping with one wait.
    ///
    /// # Errors
    /// What `ping` printed.
    fn try_ping(&self, address: &str, wait: Duration) -> Result<(), String> {
        let output = self.try_run(&format!("ping -n -c 1 -W {} {address}", wait.as_secs_f32()));
        if output.status.success() {
            Ok(())
        } else {
            Err(format!(
                "{}{}",
                String::from_utf8_lossy(&output.stdout),
                String::from_utf8_lossy(&output.stderr)
            ))
        }
    }
}

/// Text as JSON; some tools print nothing for an empty list.
#[track_caller]
pub(crate) fn json(printed: &str) -> Value {
    if printed.trim().is_empty() {
        return Value::Array(Vec::new());
    }
    serde_json::from_str(printed).unwrap_or_else(|e| panic!("not JSON ({e}): {printed}"))
}

/// A JSON string without its quotes.
#[track_caller]
pub(crate) fn text(value: &Value) -> String {
    value
        .as_str()
        .unwrap_or_else(|| panic!("a text is expected, not {value}"))
        .to_owned()
}
