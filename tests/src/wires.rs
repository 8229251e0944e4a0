//! The switch and the machines on it, as lines of `ip`.

use std::fmt::Write as _;

use crate::family::is_v6;
use crate::node::Node;
use crate::place::Place;

/// Lines of `ip` that make machines on the switch.
#[derive(Default)]
pub(crate) struct Wires {
    /// In the namespace of the switch, first.
    pub(crate) switch: String,
    /// In those of the machines.
    pub(crate) machines: String,
    ports: usize,
}

impl Wires {
    /// A namespace beside the switch.
    pub(crate) fn machine(&mut self, name: &str) {
        let _ = writeln!(self.switch, "ip netns add {name}");
        let _ = writeln!(self.machines, "ip -netns {name} link set lo up");
    }

    /// A cable from a bridge to the link of a machine, with addresses at that end.
    pub(crate) fn cable(&mut self, (bridge, machine, link): (&str, &str, &str), addresses: &str) {
        self.ports += 1;
        let port = format!("port{}", self.ports);
        let _ = writeln!(
            self.switch,
            "ip link add {port} type veth peer name {link} netns {machine}\n\
             ip link set {port} master {bridge} up"
        );
        for address in addresses.split_whitespace() {
            let nodad = if is_v6(address) { " nodad" } else { "" };
            let _ = writeln!(
                self.machines,
                "ip -netns {machine} address add {address} dev {link}{nodad}"
            );
        }
        let _ = writeln!(self.machines, "ip -netns {machine} link set {link} up");
    }

    pub(crate) fn default_routes(&mut self, machine: &str, v4: &str, v6: &str) {
        let _ = writeln!(
            self.machines,
            "ip -netns {machine} route add default via {v4}\n\
             ip -netns {machine} route add ::/0 via {v6}"
        );
    }
}

/// Runs lines of a shell that may not fail; lines of `ip` about one namespace that
/// follow each other are one process.
#[track_caller]
pub(crate) fn script(node: &Node, lines: &str) {
    let mut text = String::new();
    let mut open: Option<String> = None;
    for line in lines.lines() {
        let words: Vec<&str> = line.splitn(4, ' ').collect();
        let (head, rest) = match words.as_slice() {
            ["ip", "-netns", name, rest] => (Some(format!("ip -netns {name}")), *rest),
            ["ip", ..] => (Some("ip".to_owned()), &line[3..]),
            _ => (None, line),
        };
        if head != open {
            if open.is_some() {
                text += "END\n";
            }
            if let Some(head) = &head {
                let _ = writeln!(text, "{head} -batch - <<'END'");
            }
            open = head;
        }
        let _ = writeln!(text, "{rest}");
    }
    if open.is_some() {
        text += "END\n";
    }
    let output = node.command("sh").args(["-ec", &text]).output();
    let output = output.expect("a shell can be started");
    assert!(
        output.status.success(),
        "{text}\nfailed: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}
