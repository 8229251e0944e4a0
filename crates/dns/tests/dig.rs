//! What `dig` sees of the zones.
#![forbid(unsafe_code)]

mod common;

use common::{dig, instance, settings, start, wait};
use fairlead_dns::{Change, DnsError, RType, RecordData, Server, Settings, client};
use std::collections::BTreeSet;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(10);

fn web() -> (Server, SocketAddr) {
    let instances = vec![
        instance("web", "10.22.0.5", "", "80/tcp:8001"),
        instance("web", "10.22.0.6", "host.a", "80/tcp"),
        instance("six", "fd00:1::5", "", "53/udp"),
    ];
    start(settings(), instances)
}

#[test]
fn records_of_every_type_are_answered() {
    let (_server, at) = web();
    let cases: [(&[&str], &[&str]); 12] = [
        (&["web.ns1.svc.c1"], &["10.22.0.5", "10.22.0.6"]),
        (&["WEB.ns1.svc.n1.node.C1"], &["10.22.0.5", "10.22.0.6"]),
        (&["10-22-0-5.web.ns1.svc.c1"], &["10.22.0.5"]),
        (&["host.a.web.ns1.svc.c1"], &["10.22.0.6"]),
        (&["host.web.ns1.svc.n1.node.c1"], &["10.22.0.6"]),
        (&["0.web.ns1.svc.c1"], &["10.22.0.5"]),
        (&["six.ns1.svc.c1", "AAAA"], &["fd00:1::5"]),
        (
            &["_http._tcp.web.ns1.svc.c1", "SRV"],
            &[
                "0 10 80 10-22-0-5.web.ns1.svc.c1.",
                "0 10 80 10-22-0-6.web.ns1.svc.c1.",
            ],
        ),
        (
            &["_53._udp.six.ns1.svc.c1", "SRV"],
            &["0 10 53 fd00-1--5.six.ns1.svc.c1."],
        ),
        (
            &["-x", "10.22.0.6"],
            &["host.a.web.ns1.svc.c1.", "host.a.web.ns1.svc.n1.node.c1."],
        ),
        (
            &["-x", "fd00:1::5"],
            &["six.ns1.svc.c1.", "six.ns1.svc.n1.node.c1."],
        ),
        (&["22.10.in-addr.arpa", "NS"], &["ns0.c1."]),
    ];
    let ways: [&[&str]; 4] = [
        &[],
        &["+tcp"],
        &["+noedns"],
        &["+bufsize=4096", "+norecurse"],
    ];
    for way in ways {
        for (question, wanted) in cases {
            let arguments = [question, way].concat();
            let seen = dig(at, &arguments);
            assert_eq!(seen.status, "NOERROR", "{arguments:?}: {}", seen.text);
            assert_eq!(seen.data(), wanted, "{arguments:?}: {}", seen.text);
            assert!(seen.has("aa") && seen.has("ra"), "{}", seen.text);
            assert!(!seen.text.contains("WARNING"), "{}", seen.text);
        }
    }
}

#[test]
fn the_first_name_of_an_address_is_that_of_the_service() {
    let (_server, at) = web();
    for _ in 0..3 {
        let first = dig(at, &["-x", "10.22.0.5"]).answers.remove(0);
        assert!(first.ends_with(" PTR web.ns1.svc.c1."), "{first}");
    }
    let mut first: Vec<String> = (0..2)
        .map(|_| dig(at, &["web.ns1.svc.c1"]).answers.remove(0))
        .collect();
    first.sort();
    first.dedup();
    assert_eq!(first.len(), 2, "addresses take turns");
}

#[test]
fn what_is_not_there_is_told_with_the_zones_start() {
    let (_server, at) = web();
    let cases: [(&[&str], &str, &str); 6] = [
        (&["web.ns1.svc.c1", "AAAA"], "NOERROR", "c1."),
        (&["ns1.svc.c1"], "NOERROR", "c1."),
        (&["nix.ns1.svc.c1"], "NXDOMAIN", "c1."),
        (&["-x", "10.22.0.7"], "NXDOMAIN", "22.10.in-addr.arpa."),
        (&["-x", "10.23.0.7"], "NXDOMAIN", "10.in-addr.arpa."),
        (&["-x", "192.168.0.7"], "NXDOMAIN", "168.192.in-addr.arpa."),
    ];
    for (question, status, origin) in cases {
        let seen = dig(at, question);
        assert_eq!(seen.status, status, "{}", seen.text);
        assert!(seen.answers.is_empty() && seen.has("aa"), "{}", seen.text);
        let [soa] = seen.authority.as_slice() else {
            panic!("{}", seen.text);
        };
        assert!(
            soa.starts_with(&format!("{origin} ")) && soa.contains(" SOA "),
            "{soa}"
        );
    }
}

#[test]
fn odd_questions_have_answers() {
    let (_server, at) = web();
    let chaos = dig(at, &["version.bind", "CH", "TXT"]);
    assert_eq!(chaos.status, "REFUSED");
    let other = dig(at, &["www.example.org"]);
    assert_eq!(other.status, "SERVFAIL", "there is nobody to ask");
    let any = dig(at, &["web.ns1.svc.c1", "ANY", "+notcp"]);
    assert_eq!(any.data(), ["10.22.0.5", "10.22.0.6"]);
    let any = dig(at, &["c1", "ANY", "+notcp"]);
    assert_eq!(any.answers.len(), 1, "{}", any.text);
    let any = dig(at, &["c1", "ANY", "+tcp"]);
    assert_eq!(any.answers.len(), 2, "{}", any.text);
    let version = dig(at, &["c1", "SOA", "+edns=1", "+noednsnegotiation"]);
    assert_eq!(version.status, "BADVERS");
    assert_eq!(dig(at, &["c1", "SOA", "+opcode=notify"]).status, "NOTIMP");
    assert_eq!(dig(at, &["c1", "SOA", "+opcode=update"]).status, "NOTIMP");
    let cookie = dig(
        at,
        &["c1", "SOA", "+cookie=0011223344556677", "+dnssec", "+nsid"],
    );
    assert_eq!(cookie.status, "NOERROR", "{}", cookie.text);
}

#[test]
fn a_long_answer_is_cut_and_had_over_tcp() {
    let many = (1..=150).map(|i| instance("many", &format!("10.22.1.{i}"), "", ""));
    let (server, at) = start(settings(), many.collect());
    let cut = dig(at, &["many.ns1.svc.c1", "+ignore"]);
    assert!(cut.has("tc") && cut.answers.is_empty(), "{}", cut.text);
    assert_eq!(dig(at, &["many.ns1.svc.c1"]).answers.len(), 150);
    let answer = client::ask(at, "many.ns1.svc.c1", RType::A, LIMIT).unwrap();
    assert!(answer.authoritative);
    assert_eq!((answer.rcode, answer.records.len()), (0, 150));
    // What came is counted after it was answered.
    wait("all are counted", || {
        let stats = server.stats();
        stats.udp >= 3 && stats.tcp >= 2 && stats.answers[0] >= 5
    });
}

#[test]
fn our_own_client_reads_what_dig_reads() {
    let (_server, at) = web();
    let answer = client::ask(at, "_80._tcp.web.ns1.svc.c1.", RType::SRV, LIMIT).unwrap();
    let target = |record: &fairlead_dns::Record| match &record.data {
        RecordData::Srv { target, port, .. } => (target.clone(), *port),
        other => panic!("{other}"),
    };
    let mut targets: Vec<_> = answer.records.iter().map(target).collect();
    targets.sort();
    assert_eq!(targets[0], ("10-22-0-5.web.ns1.svc.c1.".to_owned(), 80));
    let none = client::ask(at, "nix.c1", RType::A, LIMIT).unwrap();
    assert_eq!(none.rcode_name(), "NXDOMAIN");
    let bad = client::ask(at, "a..b", RType::A, LIMIT).unwrap_err();
    assert!(bad.to_string().contains("is no name"), "{bad}");
    // Nobody listens there, and one who never answers does.
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let limit = Duration::from_millis(200);
    let late = client::ask(silent.local_addr().unwrap(), "c1", RType::A, limit).unwrap_err();
    assert!(matches!(late, DnsError::Late { .. }), "{late}");
    let closed = silent.local_addr().unwrap();
    drop(silent);
    let error = client::ask(closed, "c1", RType::A, LIMIT).unwrap_err();
    assert!(matches!(error, DnsError::Ask { .. }), "{error}");
}

#[test]
fn whole_zones_are_sent_to_those_who_may() {
    let many = (0..3000).map(|i| {
        let ip = format!("10.22.{}.{}", 1 + i / 250, 1 + i % 250);
        instance(&format!("s{i}"), &ip, "", "80/tcp")
    });
    let (server, at) = start(settings(), many.collect());
    let mut all = Vec::new();
    for origin in ["c1", "22.10.in-addr.arpa"] {
        let sent = dig(at, &[origin, "AXFR"]);
        let (first, last) = (sent.answers.first().unwrap(), sent.answers.last().unwrap());
        assert!(first == last && first.contains(" SOA "), "{first} {last}");
        all.extend_from_slice(&sent.answers[1..]);
    }
    let line = |record: fairlead_dns::Record| {
        let (name, ttl, data) = (record.name, record.ttl, record.data);
        format!("{name} {ttl} {} {data}", data.type_name())
    };
    let records = server.records().into_iter().map(line);
    let mut wanted: Vec<_> = records.filter(|line| !line.contains("ip6.arpa")).collect();
    all.sort();
    wanted.sort();
    assert_eq!(all.len(), wanted.len());
    assert_eq!(all, wanted);
    assert_eq!(server.stats().transfers, 2);
    server.configure(Settings {
        axfr: Vec::new(),
        ..settings()
    });
    let refused = dig(at, &["c1", "AXFR"]);
    assert!(refused.text.contains("Transfer failed"), "{}", refused.text);
}

#[test]
fn changes_are_seen_and_move_the_serial() {
    let (server, at) = web();
    let serial = || {
        let soa = dig(at, &["c1", "SOA"]);
        let number = soa.data()[0].split(' ').nth(2).unwrap().to_owned();
        number.parse::<u32>().unwrap()
    };
    let before = serial();
    let gone = instance("web", "10.22.0.5", "", "80/tcp:8001");
    server.apply([Change::Remove(gone.clone())]);
    assert_eq!(dig(at, &["web.ns1.svc.c1"]).data(), ["10.22.0.6"]);
    assert_eq!(dig(at, &["0.web.ns1.svc.c1"]).status, "NXDOMAIN");
    assert_eq!(dig(at, &["-x", "10.22.0.5"]).status, "NXDOMAIN");
    let after = serial();
    assert!(after > before);
    // What changes nothing moves nothing.
    server.apply([Change::Remove(gone)]);
    server.apply([]);
    assert_eq!(serial(), after);
    assert_eq!(server.serial(), after);
    server.configure(Settings {
        cluster: "c2".into(),
        ..settings()
    });
    assert_eq!(dig(at, &["web.ns1.svc.c2"]).data(), ["10.22.0.6"]);
    assert!(server.serial() > after);
}

#[test]
fn a_name_that_is_changed_is_never_absent() {
    let (server, at) = start(settings(), vec![instance("web", "10.22.0.5", "", "")]);
    let others = (0..200).map(|i| instance("other", &format!("10.22.1.{i}"), "", ""));
    let others: Vec<Change> = others.map(Change::Insert).collect();
    let seen = std::cell::RefCell::new(Vec::new());
    let ask = || {
        let data = dig(at, &["web.ns1.svc.c1"]);
        seen.borrow_mut().push(data.data().join(" "));
    };
    // What is asked while changes are taken is answered from what was made of those before.
    let changes = std::iter::once(Change::Remove(instance("web", "10.22.0.5", "", "")))
        .chain(others.iter().cloned())
        .chain(std::iter::once_with(|| {
            ask();
            Change::Insert(instance("web", "10.22.0.6", "", ""))
        }))
        .chain(others.iter().cloned())
        .chain(std::iter::once_with(|| {
            ask();
            others[0].clone()
        }));
    server.apply(changes);
    ask();
    let wanted = ["10.22.0.5", "10.22.0.5 10.22.0.6", "10.22.0.6"];
    assert_eq!(*seen.borrow(), wanted);
}

#[test]
fn addresses_come_and_go() {
    let (server, first) = web();
    let second = common::free_port();
    let six = SocketAddr::new("::1".parse().unwrap(), second.port());
    let absent = SocketAddr::new("192.0.2.1".parse().unwrap(), second.port());
    let both = BTreeSet::from([first, second, six, absent]);
    let errors = server.listen(&both);
    assert_eq!(errors.len(), 1, "{errors:?}");
    assert!(errors[0].to_string().contains("192.0.2.1"), "{}", errors[0]);
    for at in [first, second, six] {
        assert_eq!(dig(at, &["web.ns1.svc.c1"]).status, "NOERROR", "{at}");
        assert_eq!(
            dig(at, &["web.ns1.svc.c1", "+tcp"]).status,
            "NOERROR",
            "{at}"
        );
    }
    // Tried again, told again.
    assert_eq!(server.listen(&both).len(), 1);
    assert!(server.listen(&BTreeSet::from([second])).is_empty());
    // The old one is free for others. A program that is just being started, or another test,
    // may have it for a moment.
    let is_free = |at| UdpSocket::bind(at).is_ok() && TcpListener::bind(at).is_ok();
    wait("the address is free", || is_free(first));
    assert_eq!(dig(second, &["web.ns1.svc.c1"]).status, "NOERROR");
    server.stop();
    wait("the address is free", || is_free(second));
}

#[test]
fn garbage_of_any_kind_stops_nobody() {
    use std::io::Write;
    let (server, at) = web();
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let mut state = 88_172_645_463_325_252_u64;
    let mut random = || {
        // xorshift64: the same garbage each time.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    for _ in 0..20_000 {
        let length = (random() % 600) as usize;
        let mut garbage: Vec<u8> = (0..length).map(|_| random() as u8).collect();
        if random().is_multiple_of(2) && length > 12 {
            garbage[2..12].copy_from_slice(&[1, 0, 0, 1, 0, 0, 0, 0, 0, 1]);
        }
        socket.send_to(&garbage, at).unwrap();
        if random().is_multiple_of(50) {
            let mut stream = std::net::TcpStream::connect(at).unwrap();
            // It may be closed before all is written.
            let _ = stream.write_all(&garbage);
        }
    }
    socket.send_to(&[0; 0], at).unwrap();
    socket.send_to(&[7; 60_000], at).unwrap();
    wait("all is read", || server.stats().udp >= 1000);
    assert_eq!(dig(at, &["web.ns1.svc.c1"]).status, "NOERROR");
    assert_eq!(dig(at, &["web.ns1.svc.c1", "+tcp"]).status, "NOERROR");
    assert!(server.stats().dropped > 0);
}
