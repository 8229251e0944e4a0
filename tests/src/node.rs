//! A fake host and the containers in it.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};

use serde_json::Value;

use crate::patience::{eventually, patience};
use crate::place::{Place, json};

/// The node's address on the cable to the outside.
pub const UPLINK_V4: &str = "198.51.100.1";
/// The same, version 6.
pub const UPLINK_V6: &str = "2001:db8::1";
/// The address of the machine at the other end of the cable.
pub const OUTSIDE_V4: &str = "198.51.100.2";
/// The same, version 6.
pub const OUTSIDE_V6: &str = "2001:db8::2";

/// Makes the inside of a node named `$0`, in its new namespaces. Duplicate address
/// detection is off for what the node and the outside make: it would only cost a
/// second for each version 6 address.
const INSIDE: &str = r#"
set -e
mount -t tmpfs none /run
mount -t tmpfs none /var/lib
mount -t sysfs sys /sys
mkdir -p /run/netns /run/lock
hostname "$0"
echo 0 >/proc/sys/net/ipv6/conf/default/accept_dad
ip link set lo up
"#;

/// Makes the cable to the outside.
const CABLE: &str = r"
ip netns add outside
ip netns exec outside sh -c 'echo 0 >/proc/sys/net/ipv6/conf/default/accept_dad'
ip -batch - <<END
link add uplink type veth peer name cable netns outside
address add 198.51.100.1/24 dev uplink
address add 2001:db8::1/64 dev uplink
link set uplink up
END
ip -netns outside -batch - <<END
link set lo up
address add 198.51.100.2/24 dev cable
address add 2001:db8::2/64 dev cable
link set cable up
END
";

/// Stays until its standard input ends.
const STAY: &str = r"
echo ready
exec cat >/dev/null
";

/// A fake host: network, mount and UTS namespaces of its own, with `lo` and
/// `uplink` up, a private `/run`, `/var/lib` and `/sys`, and a machine `outside`
/// at the other end of `uplink` that knows no way to the containers.
#[derive(Debug)]
pub struct Node {
    holder: Child,
    /// What the holder reads: it ends when this is closed, however this process ends.
    lifeline: Option<ChildStdin>,
}

impl Node {
    /// Where the product keeps its state, inside the node.
    pub const ROOT: &'static str = "/run/fairlead-root";
    /// Where the reference's host-local keeps its state, inside the node.
    pub const HOST_LOCAL: &'static str = "/run/host-local";

    /// A new host.
    ///
    /// # Panics
    /// If the namespaces cannot be made: root is needed.
    #[must_use]
    #[track_caller]
    pub fn new() -> Self {
        let node = Self::with_inside("node", CABLE);
        eventually(patience(), || node.cable_is_ready());
        node
    }

    /// A new host with no link but `lo`: what is plugged into it is the caller's.
    ///
    /// # Panics
    /// If the namespaces cannot be made: root is needed.
    #[must_use]
    #[track_caller]
    pub fn unplugged(name: &str) -> Self {
        Self::with_inside(name, "")
    }

    #[track_caller]
    fn with_inside(name: &str, more: &str) -> Self {
        let mut holder = Command::new("unshare")
            .args(["--net", "--mount", "--uts", "--propagation", "private"])
            .args(["sh", "-c", &format!("{INSIDE}{more}{STAY}"), name])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("unshare can be started: install util-linux");
        let lifeline = holder.stdin.take();
        let mut line = String::new();
        BufReader::new(holder.stdout.take().expect("a pipe"))
            .read_line(&mut line)
            .expect("the holder's output");
        let node = Self { holder, lifeline };
        assert_eq!(
            line, "ready\n",
            "no node could be made; root is needed, and what scripts/install-deps installs"
        );
        node
    }

    /// The process that holds the namespaces, as `ip link ... netns` takes it.
    #[must_use]
    pub fn holder(&self) -> u32 {
        self.holder.id()
    }

    /// The kernel raises a cable some moments after its second end.
    fn cable_is_ready(&self) -> Result<(), Value> {
        let link = self.link("uplink");
        let addresses = link["addr_info"].as_array().map_or(0, Vec::len);
        if link["operstate"] == "UP" && addresses == 3 && !link.to_string().contains("tentative") {
            Ok(())
        } else {
            Err(link)
        }
    }

    /// A new container without any link but `lo`, which is down. Duplicate address
    /// detection is off there too; a case about it says so.
    #[must_use]
    #[track_caller]
    pub fn sandbox(&self, name: &str) -> Sandbox<'_> {
        self.run(&format!("ip netns add {name}"));
        let sandbox = Sandbox {
            node: self,
            name: name.to_owned(),
            ends: true,
        };
        sandbox.set_sysctl("net/ipv6/conf/default/accept_dad", "0");
        sandbox
    }

    /// The machine at the other end of the cable.
    #[must_use]
    pub fn outside(&self) -> Sandbox<'_> {
        self.existing("outside")
    }

    /// A container that is there already and stays.
    #[must_use]
    pub fn existing(&self, name: &str) -> Sandbox<'_> {
        Sandbox {
            node: self,
            name: name.to_owned(),
            ends: false,
        }
    }

    /// A path inside the node as this process can open it.
    #[must_use]
    pub fn path(&self, inside: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/root{inside}", self.holder.id()))
    }

    /// The whole rule set, as `nft -j list ruleset` has it.
    #[must_use]
    #[track_caller]
    pub fn nft_json(&self) -> Value {
        json(&self.run("nft --json list ruleset"))["nftables"].take()
    }

    /// Does the rule set, in any table, mention this text?
    #[must_use]
    #[track_caller]
    pub fn rules_mention(&self, text: &str) -> bool {
        // Both readers: nft shows some of iptables' extensions only as a name.
        self.nft_json().to_string().contains(&format!("\"{text}\""))
            || self.run("nft list ruleset").contains(text)
            || self.run("iptables-save").contains(text)
            || self.run("ip6tables-save").contains(text)
    }

    /// Links, addresses, routes of every table and rules of the node, for
    /// comparing before and after. Without what changes by itself.
    #[must_use]
    #[track_caller]
    pub fn snapshot(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for what in [
            "link show",
            "address show",
            "-4 route show table all",
            "-6 route show table all",
            "rule show",
        ] {
            let printed = self.run(&format!("ip -oneline {what}"));
            // Anycast routes come and go with the forwarding switch.
            let kept = printed.lines().filter(|line| !line.starts_with("anycast "));
            lines.extend(kept.map(without_noise));
        }
        lines.sort();
        lines
    }
}

/// A line of `ip -oneline` without times and queue lengths.
fn without_noise(line: &str) -> String {
    line.split_whitespace()
        .filter(|word| !word.ends_with("sec") && !word.starts_with("qlen"))
        .collect::<Vec<_>>()
        .join(" ")
}

impl Default for Node {
    fn default() -> Self {
        Self::new()
    }
}

impl Place for Node {
    fn command(&self, program: impl AsRef<OsStr>) -> Command {
        enter(self, "--net", program.as_ref())
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        drop(self.lifeline.take());
        // An error means that it has ended already, which is what is wanted.
        let _ = self.holder.wait();
    }
}

/// A container: a network namespace in a node.
#[derive(Debug)]
pub struct Sandbox<'n> {
    node: &'n Node,
    name: String,
    /// Is it removed with this value?
    ends: bool,
}

impl Sandbox<'_> {
    /// What a runtime gives as `CNI_NETNS`.
    #[must_use]
    pub fn netns(&self) -> String {
        format!("/run/netns/{}", self.name)
    }

    /// The host that it is on.
    #[must_use]
    pub fn node(&self) -> &Node {
        self.node
    }

    /// Its name, which the tests also use as container id.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Ends the namespace while this value lives on, as when a container dies
    /// before the runtime says DEL.
    #[track_caller]
    pub fn vanish(&self) {
        self.node.run(&format!("ip netns delete {}", self.name));
    }
}

impl Place for Sandbox<'_> {
    fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let path = self.node.path(&self.netns());
        enter(
            self.node,
            &format!("--net={}", path.display()),
            program.as_ref(),
        )
    }
}

impl Drop for Sandbox<'_> {
    fn drop(&mut self) {
        if self.ends {
            // It may have vanished; and nothing outlives the node.
            self.node.try_run(&format!("ip netns delete {}", self.name));
        }
    }
}

fn enter(node: &Node, net: &str, program: &OsStr) -> Command {
    let mut command = Command::new("nsenter");
    command
        .arg(format!("--target={}", node.holder.id()))
        .args(["--mount", "--uts", net, "--wd=/", "--"])
        .arg(program)
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .env("FAIRLEAD_ROOT", Node::ROOT)
        .stdin(Stdio::null());
    command
}
