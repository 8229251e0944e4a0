//! Packets between containers: of full size, and without a gap.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Child, Command};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use crate::container::Container;
use crate::family::is_v6;
use crate::patience::{eventually, patience};
use crate::peer::{Server, Transport};
use crate::place::Place;

/// What an address family puts before the data of an echo request, in bytes.
fn headers(address: &str) -> u64 {
    if is_v6(address) { 48 } else { 28 }
}

/// A text longer than any packet.
const LONG: usize = 20_000;

/// Asserts that packets of full size and a TCP connection pass between two
/// containers, in both directions and with their own addresses, and that a
/// packet one byte larger is refused where it is sent and does not disappear.
///
/// # Panics
/// If not.
#[track_caller]
pub fn reach_each_other(one: &Container<'_>, two: &Container<'_>) {
    let ends = [one, two].map(|c| (c, c.address(), c.mtu()));
    let mtu = ends[0].2.min(ends[1].2);
    let text = "x".repeat(LONG);
    for (from, to) in [(&ends[0], &ends[1]), (&ends[1], &ends[0])] {
        let (place, address) = (&from.0.sandbox, to.1.as_str());
        place.ping(address);
        full_sized(place, address, mtu);
        too_long(place, address, from.2);
        let server = Server::start(&to.0.sandbox, Transport::Tcp, 0, &text);
        let reply = Transport::Tcp.ask(place, address, server.port());
        assert_eq!(reply.client.to_string(), from.1, "the source stays");
        assert_eq!(reply.text.len(), LONG);
    }
}

/// Asserts that packets of `mtu` bytes that may not be fragmented are answered.
///
/// # Panics
/// With what `ping` printed.
#[track_caller]
pub fn full_sized(place: &impl Place, address: &str, mtu: u64) {
    let size = mtu - headers(address);
    let line = format!("ping -n -c 3 -i 0.01 -W 2 -M do -s {size} {address}");
    let output = place.try_run(&line);
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        printed.contains("3 received"),
        "{line}: {printed}{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// Asserts that a packet one byte longer than `mtu` is refused with a word.
///
/// # Panics
/// With what `ping` printed.
#[track_caller]
pub fn too_long(place: &impl Place, address: &str, mtu: u64) {
    let size = mtu + 1 - headers(address);
    // It waits that long even after an error of its own.
    let line = format!("ping -n -c 1 -W 0.2 -M do -s {size} {address}");
    let output = place.try_run(&line);
    let printed = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(
        printed.contains(&format!("message too long, mtu={mtu}"))
            || printed.contains(&format!("message too long, mtu: {mtu}")),
        "{line}: {printed}"
    );
}

/// A ping that goes on until it is asked how it went.
#[derive(Debug)]
pub struct Pinging {
    child: Child,
    /// Where it prints: a pipe would be full after a minute.
    log: PathBuf,
    what: String,
}

impl Pinging {
    /// Starts it, twenty times a second, and waits for the first answer.
    ///
    /// # Panics
    /// If there is none.
    #[must_use]
    #[track_caller]
    pub fn start(from: &Container<'_>, to: &Container<'_>) -> Self {
        let address = to.address();
        from.sandbox.ping(&address);
        static STARTED: AtomicU32 = AtomicU32::new(0);
        let number = STARTED.fetch_add(1, Ordering::Relaxed);
        let log = from.sandbox.node().path(&format!("/run/ping.{number}"));
        let file = File::create(&log).expect("a file on the node");
        let child = from
            .sandbox
            .command("ping")
            .args(["-n", "-i", "0.05", &address])
            .stdout(file)
            .spawn()
            .expect("ping can be started");
        let pinging = Self {
            child,
            log,
            what: format!("{} -> {address}", from.address()),
        };
        // From here on an interruption makes it say how it went.
        eventually(patience(), || match pinging.printed() {
            printed if printed.contains("icmp_seq=") => Ok(()),
            printed => Err(printed),
        });
        pinging
    }

    fn printed(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Ends it and returns the numbers of the packets without an answer. The
    /// last one sent does not count: its answer may be on the way.
    ///
    /// # Panics
    /// If nothing was sent.
    #[must_use]
    #[track_caller]
    pub fn lost(mut self) -> Vec<u64> {
        let interrupt = Command::new("kill")
            .args(["-s", "INT", &self.child.id().to_string()])
            .status();
        assert!(interrupt.expect("kill can be started").success());
        self.child.wait().expect("the end of ping");
        let printed = self.printed();
        let sent: u64 = printed
            .lines()
            .find_map(|line| line.split_once(" packets transmitted")?.0.parse().ok())
            .unwrap_or_else(|| panic!("{}: {printed}", self.what));
        let answered: Vec<u64> = printed.lines().filter_map(answer).collect();
        assert!(answered.contains(&1), "{}: {printed}", self.what);
        (1..sent).filter(|n| !answered.contains(n)).collect()
    }

    /// Ends it.
    ///
    /// # Panics
    /// If a packet had no answer.
    #[track_caller]
    pub fn lost_nothing(self) {
        let what = self.what.clone();
        let lost = self.lost();
        assert!(lost.is_empty(), "{what}: no answer to the packets {lost:?}");
    }
}

/// The number of the packet that a line of ping is the answer to.
fn answer(line: &str) -> Option<u64> {
    let (_, rest) = line.split_once("bytes from ")?;
    let (_, rest) = rest.split_once("icmp_seq=")?;
    rest.split_whitespace().next()?.parse().ok()
}

impl Drop for Pinging {
    fn drop(&mut self) {
        // It has ended if it was asked.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Asserts that no packet arrives for a while, because the way is cut.
///
/// # Panics
/// If one does within the test's patience each time.
#[track_caller]
pub fn is_cut_off(place: &impl Place, address: &str) {
    eventually(patience(), || {
        match place.try_ping(address, Duration::from_millis(300)) {
            Ok(()) => Err("it answers"),
            Err(_) => Ok(()),
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::{Cluster, Plan};

    /// A container with a routed link, by hand.
    fn plugged<'c>(cluster: &'c Cluster, k: usize, mtu: u64) -> Container<'c> {
        let node = cluster.node(k);
        let sandbox = node.sandbox("c");
        node.run(&format!(
            "ip link add veth mtu {mtu} type veth peer name eth0 mtu {mtu} netns c"
        ));
        node.run(&format!("ip address add 10.11.{k}.1/24 dev veth"));
        node.run("ip link set veth up");
        sandbox.run(&format!("ip address add 10.11.{k}.2/24 dev eth0"));
        sandbox.run("ip link set eth0 up");
        sandbox.run(&format!("ip route add default via 10.11.{k}.1"));
        node.set_sysctl("net/ipv4/ip_forward", "1");
        let other = 3 - k;
        let via = cluster.v4(other);
        node.run(&format!("ip route add 10.11.{other}.0/24 via {via}"));
        Container::of(sandbox)
    }

    #[test]
    fn a_good_way_is_good_and_a_gap_is_seen() {
        let cluster = Cluster::new(Plan {
            nodes: 2,
            far: 0,
            etcd: 0,
        });
        let (one, two) = (plugged(&cluster, 1, 1500), plugged(&cluster, 2, 1500));
        one.sandbox.ping(&two.address());
        reach_each_other(&one, &two);
        let pinging = Pinging::start(&one, &two);
        cluster.cut_off(2);
        is_cut_off(&one.sandbox, &two.address());
        cluster.reconnect(2);
        one.sandbox.ping(&two.address());
        assert!(!pinging.lost().is_empty());
        Pinging::start(&two, &one).lost_nothing();
    }

    #[test]
    #[should_panic(expected = "0 received")]
    fn a_full_sized_packet_that_disappears_is_seen() {
        let cluster = Cluster::new(Plan {
            nodes: 2,
            far: 0,
            etcd: 0,
        });
        let (one, two) = (plugged(&cluster, 1, 1500), plugged(&cluster, 2, 1500));
        // A way that takes less than its ends believe.
        cluster.node(1).run("nft add table ip t");
        cluster
            .node(1)
            .run("nft add chain ip t f { type filter hook forward priority 0 ; }");
        cluster
            .node(1)
            .run("nft add rule ip t f meta length > 1480 drop");
        reach_each_other(&one, &two);
    }
}
