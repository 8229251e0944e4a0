use super::*;
use crate::NetNs;
use crate::nft::{
    Base, Batch, Chain, ChainKind, Create, Expression, Family, Hook, Nft, Register, Table,
};
use std::net::UdpSocket;
use std::process::Command;

fn entry(filter: &Filter) -> Vec<u8> {
    // A filter's own tuples stand for an entry that has just these values.
    filter.payload()[4..].to_vec()
}

#[test]
fn an_entry_matches_when_every_given_part_is_the_same() {
    let ip = |text: &str| text.parse::<IpAddr>().unwrap();
    let full = Filter::to_port(false, Protocol::Udp, 53)
        .and_to_address(ip("192.0.2.1"))
        .and_answered_by(ip("10.0.0.2"))
        .and_answered_from(Protocol::Udp, 5353);
    let bytes = entry(&full);
    for good in [
        full,
        Filter::to_port(false, Protocol::Udp, 53),
        Filter::to_address(ip("192.0.2.1")),
        Filter::answered_by(ip("10.0.0.2")).and_protocol(Protocol::Udp),
    ] {
        assert!(good.matches(&bytes), "{good}");
    }
    for bad in [
        Filter::to_port(false, Protocol::Tcp, 53),
        Filter::to_port(false, Protocol::Udp, 54),
        Filter::from_address(ip("192.0.2.1")),
        Filter::to_address(ip("192.0.2.2")),
        Filter::answered_by(ip("fd00::2")),
        full.and_answered_from(Protocol::Udp, 1),
    ] {
        assert!(!bad.matches(&bytes), "{bad}");
        assert!(!bad.matches(&[]), "{bad}");
    }
    assert_eq!(
        full.to_string(),
        "IPv4 udp to 192.0.2.1 port 53, answered udp from 10.0.0.2 port 5353"
    );
}

#[test]
fn only_matching_connections_are_flushed_with_and_without_the_kernels_filter() {
    let path = std::env::temp_dir().join(format!("fairlead-conntrack-{}", std::process::id()));
    let ns = NetNs::create(&path).unwrap();
    NetNs::remove(&path).unwrap();
    ns.run(|| {
        for flush in [Conntrack::flush, Conntrack::flush_listed] {
            flushes_only_matching(flush);
        }
    })
    .unwrap();
}

type Flush = fn(&mut Conntrack, &Filter) -> Result<(), KernelError>;

fn flushes_only_matching(flush: Flush) {
    start_tracking();
    let sockets: Vec<UdpSocket> = ["127.0.0.1:0", "127.0.0.2:0", "[::1]:0"]
        .map(|a| UdpSocket::bind(a).unwrap())
        .into();
    let ports: Vec<u16> = sockets
        .iter()
        .map(|s| s.local_addr().unwrap().port())
        .collect();
    let fill = || {
        for target in &sockets {
            let to = target.local_addr().unwrap();
            let any = if to.is_ipv6() {
                "[::1]:0"
            } else {
                "127.0.0.1:0"
            };
            let sender = UdpSocket::bind(any).unwrap();
            sender.send_to(b"x", to).unwrap();
        }
    };
    let mut conntrack = Conntrack::open().unwrap();
    let mut gone = |filter: Filter, expected: [bool; 3]| {
        fill();
        assert!(ports.iter().all(|port| tracked(*port)));
        flush(&mut conntrack, &filter).unwrap();
        let left: Vec<bool> = ports.iter().map(|port| !tracked(*port)).collect();
        assert_eq!(left, expected, "{filter}");
    };
    let ip = |text: &str| text.parse::<IpAddr>().unwrap();
    let port = Filter::to_port(false, Protocol::Udp, ports[0]);
    gone(port, [true, false, false]);
    gone(Filter::to_port(true, Protocol::Udp, ports[0]), [false; 3]);
    gone(Filter::to_port(false, Protocol::Tcp, ports[0]), [false; 3]);
    gone(port.and_to_address(ip("127.0.0.2")), [false; 3]);
    gone(port.and_to_address(ip("::1")), [false; 3]);
    gone(Filter::answered_by(ip("127.0.0.2")), [false, true, false]);
    gone(Filter::from_address(ip("127.0.0.1")), [true, true, false]);
    gone(Filter::to_address(ip("fd00::1")), [false; 3]);
    gone(Filter::to_address(ip("::1")), [false, false, true]);
    gone(Filter::answered_by(ip("::1")), [false, false, true]);
}

/// Whether there is a connection to `port`. The source port may be any, so the
/// original direction, which comes first, is looked at alone.
fn tracked(port: u16) -> bool {
    let table = std::fs::read_to_string("/proc/thread-self/net/nf_conntrack").unwrap();
    table.lines().any(|line| {
        let original = line.split("dport=").nth(1).unwrap_or_default();
        original.split_whitespace().next() == Some(&port.to_string())
    })
}

/// Connections are tracked where a rule asks for their status.
fn start_tracking() {
    let up = Command::new("ip")
        .args(["link", "set", "lo", "up"])
        .status();
    assert!(up.unwrap().success());
    let table = Table {
        family: Family::Inet,
        name: "test",
    };
    let mut batch = Batch::new();
    batch.add_table(table, Create::IfAbsent, "");
    let chain = Chain {
        name: "output".into(),
        base: Some(Base {
            kind: ChainKind::Nat,
            hook: Hook::Output,
            priority: -100,
        }),
    };
    batch.add_chain(table, Create::IfAbsent, &chain);
    let status = Expression::ConnectionStatus { to: Register(0) };
    batch.add_rule(table, "output", &[status], "");
    Nft::open().unwrap().commit(&batch).unwrap();
}
