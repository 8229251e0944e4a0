//! A kernel without netfilter, then with netfilter but without nftables.

use crate::Case;
use fairlead_kernel::nft::{Family, Nft, Table};
use fairlead_kernel::{Monitor, Socket, SocketKind};
use std::process::Command;
use std::time::Duration;

pub(crate) const CASES: [Case; 2] = [
    ("without netfilter", a_kernel_without_netfilter_is_watched),
    ("without nftables", a_kernel_without_nftables_is_told),
];

/// What is not loaded stays so.
fn load_no_more() {
    std::fs::write("/proc/sys/kernel/modprobe", "/bin/false").expect("root");
}

fn run(command: &str) {
    let mut words = command.split_whitespace();
    let status = Command::new(words.next().expect("a word"))
        .args(words)
        .status();
    assert!(status.expect("it starts").success(), "{command}");
}

#[track_caller]
fn is_watched(monitor: &mut Monitor, link: &str) {
    run(&format!("ip link add {link} type veth peer name {link}p"));
    let seen = monitor.wait(Duration::from_secs(10)).expect("a socket");
    assert!(seen.expect("news").links);
}

fn a_kernel_without_netfilter_is_watched() {
    load_no_more();
    let error = Socket::open(SocketKind::Netfilter).expect_err("netfilter");
    assert!(error.is_unsupported(), "{error}");
    is_watched(&mut Monitor::open().expect("a monitor"), "m0");
}

fn a_kernel_without_nftables_is_told() {
    // The kernel's request for it is of no use, so it is loaded by name.
    run("modprobe -d /run/modules nfnetlink");
    is_watched(&mut Monitor::open().expect("a monitor"), "m1");
    let table = Table {
        family: Family::Inet,
        name: "fairlead",
    };
    let mut nft = Nft::open().expect("a socket");
    let error = nft.elements(table, "networks4").expect_err("no nftables");
    assert!(error.is_unsupported(), "{error}");
    let error = nft.sets(table).expect_err("no nftables");
    assert!(error.is_unsupported(), "{error}");
    let error = nft.has_table(table).expect_err("no nftables");
    assert!(error.is_unsupported(), "{error}");
}
