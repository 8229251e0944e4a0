//! Names of others: what the node's resolvers see, and what comes back.
#![forbid(unsafe_code)]

mod common;

use common::{Program, dig, free_port, instance, settings, start, wait};
use fairlead_dns::Settings;
use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Where resolvers are: not where those who ask are, who would be refused.
const RESOLVERS: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

/// What a resolver was asked: the question with its id, and from which port.
type Seen = Arc<Mutex<Vec<(Vec<u8>, u16)>>>;

/// How a resolver behaves.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Good,
    /// Sends wrong answers before the right one.
    Doubtful,
    /// Answers over UDP that the answer is too long.
    Long,
    Failing,
    Silent,
    /// Does not listen on TCP.
    OnlyUdp,
}

/// A resolver that answers any question with 203.0.113.99, for as long as the test runs.
fn resolver(kind: Kind) -> (SocketAddr, Seen) {
    let (udp, tcp) = loop {
        let udp = UdpSocket::bind((RESOLVERS, 0)).unwrap();
        if let Ok(tcp) = TcpListener::bind(udp.local_addr().unwrap()) {
            break (udp, tcp);
        }
    };
    let at = udp.local_addr().unwrap();
    let seen = Seen::default();
    let note = Arc::clone(&seen);
    std::thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok((length, from)) = udp.recv_from(&mut buffer) {
            let question = &buffer[..length];
            note.lock().unwrap().push((question.to_vec(), from.port()));
            if kind == Kind::Silent {
                continue;
            }
            let mut good = answer(question);
            if kind == Kind::Doubtful {
                let mut other_id = good.clone();
                other_id[0] ^= 1;
                let mut other_name = good.clone();
                other_name[13] ^= 1;
                let no_answer = question.to_vec();
                for wrong in [other_id, other_name, no_answer, vec![], vec![0; 11]] {
                    udp.send_to(&wrong, from).unwrap();
                }
                // And somebody else who knows the id, with an address of his own.
                let stranger = UdpSocket::bind("127.0.0.1:0").unwrap();
                let mut false_one = good.clone();
                *false_one.last_mut().unwrap() = 66;
                stranger.send_to(&false_one, from).unwrap();
            }
            if kind == Kind::Long {
                good[2] |= 2;
            }
            if kind == Kind::Failing {
                good[3] |= 2;
            }
            udp.send_to(&good, from).unwrap();
        }
    });
    if kind == Kind::OnlyUdp {
        return (at, seen);
    }
    serve_tcp(tcp, Arc::clone(&seen));
    (at, seen)
}

fn serve_tcp(tcp: TcpListener, note: Seen) {
    std::thread::spawn(move || {
        for stream in tcp.incoming() {
            let mut stream = stream.unwrap();
            let mut length = [0; 2];
            if stream.read_exact(&mut length).is_err() {
                continue;
            }
            let mut question = vec![0; usize::from(u16::from_be_bytes(length))];
            stream.read_exact(&mut question).unwrap();
            note.lock().unwrap().push((question.clone(), 0));
            let good = answer(&question);
            let length = u16::try_from(good.len()).unwrap().to_be_bytes();
            stream.write_all(&[&length[..], &good].concat()).unwrap();
        }
    });
}

/// Where no resolver listens.
fn nobody() -> SocketAddr {
    SocketAddr::new(RESOLVERS.into(), free_port().port())
}

/// The question, and an address for it.
fn answer(question: &[u8]) -> Vec<u8> {
    let end = 12 + question[12..].iter().position(|byte| *byte == 0).unwrap() + 5;
    let mut answer = question[..end].to_vec();
    answer[2] |= 0x80;
    answer[6..12].copy_from_slice(&[0, 1, 0, 0, 0, 0]);
    answer.extend_from_slice(&[0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 9, 0, 4, 203, 0, 113, 99]);
    answer
}

fn with(upstreams: &[SocketAddr]) -> Settings {
    Settings {
        upstreams: upstreams.to_vec(),
        ..settings()
    }
}

/// The names that a resolver was asked about, in lower case.
fn names(seen: &Seen) -> Vec<String> {
    let seen = seen.lock().unwrap();
    let name = |(question, _): &(Vec<u8>, u16)| {
        let message = hickory_proto::op::Message::from_vec(question).unwrap();
        message.queries[0].name().to_string().to_lowercase()
    };
    seen.iter().map(name).collect()
}

#[test]
fn the_answer_comes_back_as_it_is() {
    let (upstream, seen) = resolver(Kind::Good);
    let (server, at) = start(with(&[upstream]), vec![]);
    for way in ["+notcp", "+tcp"] {
        let mixed = dig(at, &["wWw.Example.org", way]);
        assert_eq!(
            mixed.answers,
            ["wWw.Example.org. 9 A 203.0.113.99"],
            "{way}"
        );
        assert!(mixed.has("ra") && !mixed.has("aa"), "{}", mixed.text);
    }
    assert_eq!(names(&seen), ["www.example.org."; 2]);
    assert_eq!(server.stats().forwarded, 2);
}

#[test]
fn each_question_has_an_id_and_a_port_of_its_own() {
    let (upstream, seen) = resolver(Kind::Good);
    let (_server, at) = start(with(&[upstream]), vec![]);
    for _ in 0..8 {
        assert_eq!(
            dig(at, &["www.example.org", "+qid=7"]).data(),
            ["203.0.113.99"]
        );
    }
    let seen = seen.lock().unwrap();
    let ids: BTreeSet<&[u8]> = seen.iter().map(|(question, _)| &question[..2]).collect();
    let ports: BTreeSet<u16> = seen.iter().map(|(_, port)| *port).collect();
    // Two of eight may be the same by chance.
    assert!(ids.len() >= 6 && ports.len() >= 6, "{ids:?} {ports:?}");
}

#[test]
fn an_answer_to_another_question_is_not_taken() {
    let (upstream, _) = resolver(Kind::Doubtful);
    let (_server, at) = start(with(&[upstream]), vec![]);
    for _ in 0..5 {
        assert_eq!(dig(at, &["www.example.org"]).data(), ["203.0.113.99"]);
    }
}

#[test]
fn a_long_answer_is_asked_for_again_over_tcp() {
    let (upstream, seen) = resolver(Kind::Long);
    let (_server, at) = start(with(&[upstream]), vec![]);
    assert!(dig(at, &["www.example.org", "+ignore"]).has("tc"));
    assert_eq!(dig(at, &["www.example.org"]).data(), ["203.0.113.99"]);
    let ways: Vec<bool> = seen.lock().unwrap().iter().map(|one| one.1 == 0).collect();
    // Asked by UDP twice; by TCP only for who came by it.
    assert_eq!(ways, [false, false, false, true], "over TCP");
}

#[test]
fn who_asks_over_tcp_needs_no_resolver_that_does() {
    let (upstream, seen) = resolver(Kind::OnlyUdp);
    let (_server, at) = start(with(&[upstream]), vec![]);
    let answer = dig(at, &["www.example.org", "+tcp", "+bufsize=1400"]);
    assert_eq!(answer.data(), ["203.0.113.99"]);
    let seen = seen.lock().unwrap();
    assert_eq!(seen.len(), 1);
    let question = hickory_proto::op::Message::from_vec(&seen[0].0).unwrap();
    // As it came.
    assert_eq!(question.edns.unwrap().max_payload(), 1400);
}

#[test]
fn two_that_have_each_other_as_resolvers_do_not_go_on_for_ever() {
    let (one, at) = start(settings(), vec![]);
    let web = instance("web", "10.22.0.5", "", "");
    let (other, other_at) = start(with(&[at]), vec![web]);
    one.configure(with(&[other_at]));
    for (way, forwarded) in [("+notcp", 1), ("+tcp", 2)] {
        let asked = dig(at, &["www.example.org", way, "-b", "127.0.0.2"]);
        assert_eq!(asked.status, "REFUSED", "{}", asked.text);
        assert_eq!(one.stats().forwarded, forwarded, "{way}");
        assert_eq!(other.stats().forwarded, 0, "{way}");
        let asked = dig(other_at, &["www.example.org", way]);
        assert_eq!(asked.status, "REFUSED", "{}", asked.text);
        // Names of the cluster are for all.
        let known = dig(other_at, &["web.ns1.svc.c1", way]);
        assert_eq!(known.data(), ["10.22.0.5"]);
    }
}

#[test]
fn the_next_resolver_is_asked_where_one_fails() {
    let (silent, _) = resolver(Kind::Silent);
    let (failing, _) = resolver(Kind::Failing);
    let (good, _) = resolver(Kind::Good);
    let closed = nobody();
    let (_server, at) = start(with(&[closed, failing, silent, good]), vec![]);
    assert_eq!(dig(at, &["www.example.org"]).data(), ["203.0.113.99"]);
    assert_eq!(
        dig(at, &["www.example.org", "+tcp"]).data(),
        ["203.0.113.99"]
    );
}

#[test]
fn nobody_who_knows_is_a_failure_that_is_told() {
    let (failing, _) = resolver(Kind::Failing);
    for upstreams in [vec![], vec![nobody()], vec![failing]] {
        let (_server, at) = start(with(&upstreams), vec![]);
        for way in ["+notcp", "+tcp"] {
            let seen = dig(at, &["www.example.org", way]);
            assert_eq!(seen.status, "SERVFAIL", "{upstreams:?} {way}");
        }
    }
}

#[test]
fn slow_resolvers_hold_up_nobody_else() {
    let (silent, seen) = resolver(Kind::Silent);
    let web = instance("web", "10.22.0.5", "", "");
    let (server, at) = start(with(&[silent]), vec![web]);
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let mut question = vec![0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    question.extend_from_slice(b"\x01x\x07example\x00\x00\x01\x00\x01");
    for id in 0..200u8 {
        question[1] = id;
        socket.send_to(&question, at).unwrap();
    }
    // One who asks for too much is told at once, and has no more than his share under way.
    wait("the rest is told", || server.stats().answers[2] >= 72);
    assert_eq!(server.stats().forwarded, 128);
    assert_eq!(dig(at, &["web.ns1.svc.c1"]).data(), ["10.22.0.5"]);
    assert_eq!(dig(at, &["web.ns1.svc.c1", "+tcp"]).data(), ["10.22.0.5"]);
    // In the end all have an answer, and there is room again.
    wait("all is told", || server.stats().answers[2] >= 200);
    assert!(seen.lock().unwrap().len() <= 128);
    socket.send_to(&question, at).unwrap();
    wait("there is room again", || server.stats().forwarded == 129);
}

#[test]
fn nothing_of_private_addresses_goes_outside() {
    let (upstream, seen) = resolver(Kind::Good);
    let web = instance("web", "10.22.0.5", "", "");
    let (_server, at) = start(with(&[upstream]), vec![web]);
    let private = [
        "10.0.0.1",
        "10.22.0.5",
        "10.22.99.99",
        "10.255.255.255",
        "172.16.0.1",
        "172.31.255.255",
        "192.168.1.1",
        "169.254.1.1",
        "127.0.0.1",
        "0.0.0.0",
        "100.64.0.1",
        "100.127.255.1",
        "192.0.2.1",
        "198.51.100.1",
        "203.0.113.1",
        "255.255.255.255",
        "::",
        "::1",
        "fd12::1",
        "fc00::1",
        "fe80::1",
        "febf::1",
        "2001:db8::1",
        "fd00:1::7",
    ];
    for ip in private {
        for way in ["+notcp", "+tcp"] {
            let seen = dig(at, &["-x", ip, way]);
            // Some are zones themselves, where there is nothing.
            let is_there = ["10.22.0.5", "255.255.255.255", "::", "::1"].contains(&ip);
            let wanted = if is_there { "NOERROR" } else { "NXDOMAIN" };
            assert_eq!(seen.status, wanted, "{ip}");
            assert_eq!(seen.answers.is_empty(), ip != "10.22.0.5", "{}", seen.text);
        }
    }
    // Names between, and names of the cluster.
    for name in [
        "10.in-addr.arpa",
        "16.172.in-addr.arpa",
        "nix.c1",
        "c1",
        "d.f.ip6.arpa",
    ] {
        dig(at, &[name, "PTR"]);
    }
    assert_eq!(names(&seen), [""; 0]);
    for public in [
        "172.15.0.1",
        "172.32.0.1",
        "100.63.0.1",
        "11.0.0.1",
        "2001:db7::1",
    ] {
        dig(at, &["-x", public]);
    }
    assert_eq!(names(&seen).len(), 5);
}

#[test]
fn a_real_resolver_is_asked() {
    let resolver = nobody();
    let mut program = Program::start(
        Command::new("dnsmasq")
            .args([
                "--keep-in-foreground",
                "--conf-file=/dev/null",
                "--no-resolv",
                "--no-hosts",
            ])
            .args(["--bind-interfaces", "--user=root"])
            .arg(format!("--listen-address={}", resolver.ip()))
            .args(["--host-record=real.example,198.18.0.7", "--pid-file="])
            .arg(format!("--port={}", resolver.port())),
    );
    let asked = || dig(resolver, &["real.example", "+time=1"]).data() == ["198.18.0.7"];
    wait("dnsmasq answers", asked);
    assert!(program.is_running());
    let (_server, at) = start(with(&[resolver]), vec![]);
    for way in ["+notcp", "+tcp"] {
        assert_eq!(dig(at, &["real.example", way]).data(), ["198.18.0.7"]);
    }
    let limit = Duration::from_secs(10);
    let rtype = fairlead_dns::RType::A;
    let answer = fairlead_dns::client::ask(at, "real.example", rtype, limit).unwrap();
    assert_eq!(answer.records.len(), 1);
}
