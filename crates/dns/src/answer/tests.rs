//! Answers, read by a library that others use.

use super::*;
use crate::zones::tests::{instance, settings, with};
use hickory_proto::op::{Message, ResponseCode};
use proptest::prelude::*;

const NEAR: &str = "127.0.0.1";
const FAR: &str = "198.51.100.1";

fn view() -> View {
    let mut zones = Zones::new(&settings(), 7);
    for i in 1..=40 {
        let web = instance("ns1/svc/web", "n1", &format!("10.22.0.{i}"));
        zones.insert(&with(web, "", "", "80/tcp"));
    }
    zones.insert(&with(
        instance("ns1/svc/one", "n1", "10.22.1.1"),
        "",
        "",
        "53/udp",
    ));
    View {
        zones,
        access: Access::new(&settings()),
    }
}

fn question(name: &str, rtype: RType, edns: Option<u16>) -> Vec<u8> {
    let mut message = vec![0xab, 0xcd, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.split('.').filter(|label| !label.is_empty()) {
        message.push(u8::try_from(label.len()).unwrap());
        message.extend_from_slice(label.as_bytes());
    }
    message.push(0);
    message.extend_from_slice(&rtype.0.to_be_bytes());
    message.extend_from_slice(&[0, 1]);
    if let Some(size) = edns {
        message[11] = 1;
        message.extend_from_slice(&[0, 0, 41]);
        message.extend_from_slice(&size.to_be_bytes());
        message.extend_from_slice(&[0; 6]);
    }
    message
}

/// What comes of a message, and the answer.
fn ask(view: &View, message: &[u8], from: &str, over: Over) -> (Outcome, Vec<u8>) {
    // Something stands before it, as over TCP.
    let mut out = vec![1, 2, 3];
    let outcome = respond(view, message, (from.parse().unwrap(), over), 0, &mut out);
    assert_eq!(out[..3], [1, 2, 3]);
    (outcome, out.split_off(3))
}

fn answered(view: &View, message: &[u8], from: &str, over: Over) -> Message {
    let (outcome, bytes) = ask(view, message, from, over);
    assert_eq!(outcome, Outcome::Answered);
    Message::from_vec(&bytes).unwrap()
}

fn code(name: &str, rtype: RType, from: &str) -> ResponseCode {
    let message = question(name, rtype, None);
    answered(&view(), &message, from, Over::Udp).response_code
}

#[test]
fn what_is_not_there_has_the_zones_start_with_it() {
    let view = view();
    let cases = [
        // Another type, a name between two others, no such name.
        ("one.ns1.svc.c1", RType::AAAA, ResponseCode::NoError, "c1."),
        ("svc.c1", RType::A, ResponseCode::NoError, "c1."),
        ("nix.c1", RType::A, ResponseCode::NXDomain, "c1."),
        (
            "9.9.1.22.10.in-addr.arpa",
            RType::PTR,
            ResponseCode::NXDomain,
            "1.22.10.in-addr.arpa.",
        ),
        // Between an empty zone and ours, beside ours in it, and in it.
        (
            "22.10.in-addr.arpa",
            RType::PTR,
            ResponseCode::NoError,
            "10.in-addr.arpa.",
        ),
        (
            "1.23.10.in-addr.arpa",
            RType::PTR,
            ResponseCode::NXDomain,
            "10.in-addr.arpa.",
        ),
        (
            "1.1.168.192.in-addr.arpa",
            RType::PTR,
            ResponseCode::NXDomain,
            "168.192.in-addr.arpa.",
        ),
        (
            "168.192.in-addr.arpa",
            RType::A,
            ResponseCode::NoError,
            "168.192.in-addr.arpa.",
        ),
    ];
    for (name, rtype, code, origin) in cases {
        let message = question(name, rtype, None);
        let answer = answered(&view, &message, NEAR, Over::Udp);
        assert_eq!(answer.response_code, code, "{name}");
        assert!(answer.authoritative, "{name}");
        assert!(answer.answers.is_empty(), "{name}");
        let [soa] = answer.authorities.as_slice() else {
            panic!("{name}: {answer:?}");
        };
        assert_eq!(soa.name.to_string(), origin, "{name}");
        assert_eq!(soa.record_type().to_string(), "SOA", "{name}");
        // A name that was asked for too early is not absent for long.
        let wanted = if origin.starts_with("168") || origin.starts_with("10.") {
            60
        } else {
            5
        };
        assert_eq!(soa.ttl, wanted, "{name}");
    }
}

#[test]
fn names_of_others_go_on_for_who_may() {
    let view = view();
    let message = question("www.example.org", RType::A, None);
    assert_eq!(
        ask(&view, &message, NEAR, Over::Udp),
        (Outcome::Forward, vec![])
    );
    assert_eq!(
        code("www.example.org", RType::A, FAR),
        ResponseCode::Refused
    );
    assert_eq!(
        code("1.1.168.192.in-addr.arpa", RType::PTR, FAR),
        ResponseCode::Refused
    );
    // Ours are for all.
    let message = question("one.ns1.svc.c1", RType::A, None);
    let far = answered(&view, &message, FAR, Over::Udp);
    assert_eq!((far.answers.len(), far.recursion_available), (1, false));
    let near = answered(&view, &message, NEAR, Over::Udp);
    assert!(near.recursion_available && near.recursion_desired);
}

#[test]
fn what_does_not_fit_is_left_out_and_told() {
    let mut view = view();
    for i in 1..=5000 {
        let (high, low) = (i / 250, i % 250);
        let many = instance("ns1/svc/many", "n1", &format!("10.22.{high}.{low}"));
        view.zones.insert(&many);
    }
    // 40 addresses are 640 bytes, 5000 are more than any message.
    for (edns, is_cut) in [
        (None, true),
        (Some(512), true),
        (Some(700), false),
        (Some(4096), false),
    ] {
        let message = question("web.ns1.svc.c1", RType::A, edns);
        let answer = answered(&view, &message, NEAR, Over::Udp);
        assert_eq!(answer.truncation, is_cut, "{edns:?}");
        assert_eq!(
            answer.answers.len(),
            if is_cut { 0 } else { 40 },
            "{edns:?}"
        );
        assert_eq!(answer.edns.is_some(), edns.is_some());
    }
    let message = question("web.ns1.svc.c1", RType::A, None);
    assert_eq!(answered(&view, &message, NEAR, Over::Tcp).answers.len(), 40);
    let message = question("many.ns1.svc.c1", RType::A, Some(65_535));
    let (_, bytes) = ask(&view, &message, NEAR, Over::Udp);
    assert!(bytes.len() <= UDP_MOST);
    let (_, bytes) = ask(&view, &message, NEAR, Over::Tcp);
    assert!(bytes.len() <= TCP_MOST);
    let answer = Message::from_vec(&bytes).unwrap();
    assert!(answer.truncation && answer.answers.len() > 4000);
}

#[test]
fn services_bring_the_addresses_of_their_hosts_as_far_as_they_fit() {
    let view = view();
    let message = question("_http._tcp.web.ns1.svc.c1", RType::SRV, None);
    let answer = answered(&view, &message, NEAR, Over::Tcp);
    assert_eq!((answer.answers.len(), answer.additionals.len()), (40, 40));
    for (service, address) in answer.answers.iter().zip(&answer.additionals) {
        let host = address.name.to_string();
        assert!(service.data.to_string().ends_with(&host));
        let dashed = address.data.to_string().replace('.', "-");
        assert!(host.starts_with(&dashed), "{host} {dashed}");
    }
    let message = question("_domain._udp.one.ns1.svc.c1", RType::SRV, None);
    let answer = answered(&view, &message, NEAR, Over::Udp);
    assert_eq!((answer.answers.len(), answer.additionals.len()), (1, 1));
}

#[test]
fn the_first_of_several_addresses_changes() {
    let view = view();
    let message = question("web.ns1.svc.c1", RType::A, None);
    let first = |turn| {
        let mut out = Vec::new();
        let who = (NEAR.parse().unwrap(), Over::Tcp);
        respond(&view, &message, who, turn, &mut out);
        let answer = Message::from_vec(&out).unwrap();
        assert_eq!(answer.answers.len(), 40);
        answer.answers[0].data.to_string()
    };
    assert_eq!(first(0), "10.22.0.1");
    assert_eq!(first(1), "10.22.0.2");
    assert_eq!(first(39), "10.22.0.40");
    assert_eq!(first(40), "10.22.0.1");
}

#[test]
fn any_type_is_one_over_udp() {
    let view = view();
    let count = |name: &str, over| {
        let message = question(name, RType::ANY, None);
        answered(&view, &message, NEAR, over).answers.len()
    };
    assert_eq!(count("c1", Over::Udp), 1);
    assert_eq!(count("c1", Over::Tcp), 3);
    assert_eq!(count("svc.c1", Over::Tcp), 0);
}

#[test]
fn whole_zones_are_for_those_who_may() {
    let view = view();
    let message = question("c1", RType::AXFR, None);
    assert_eq!(
        ask(&view, &message, NEAR, Over::Tcp).0,
        Outcome::Transfer(view.zones.find(b"\x02c1\x00").unwrap().1)
    );
    let code = |message: &[u8], from, over| answered(&view, message, from, over).response_code;
    assert_eq!(
        code(&message, "127.0.0.2", Over::Tcp),
        ResponseCode::Refused
    );
    assert_eq!(code(&message, NEAR, Over::Udp), ResponseCode::NotImp);
    // Neither what is inside a zone nor the empty zones.
    for name in ["svc.c1", "168.192.in-addr.arpa", "example.org"] {
        let message = question(name, RType::AXFR, None);
        assert_eq!(
            code(&message, NEAR, Over::Tcp),
            ResponseCode::Refused,
            "{name}"
        );
    }
    let message = question("c1", RType::IXFR, None);
    let answer = answered(&view, &message, NEAR, Over::Udp);
    assert_eq!(answer.answers[0].record_type().to_string(), "SOA");
}

#[test]
fn odd_questions_have_their_codes() {
    let view = view();
    let mut chaos = question("version.bind", RType::TXT, None);
    let last = chaos.len() - 1;
    chaos[last] = 3;
    let code = |message: &[u8]| answered(&view, message, NEAR, Over::Udp).response_code;
    assert_eq!(code(&chaos), ResponseCode::Refused);
    let mut version = question("c1", RType::SOA, Some(1232));
    let at = version.len() - 5;
    version[at] = 1;
    // The library has two names for 16.
    assert_eq!(u16::from(code(&version)), 16);
    let mut notify = question("c1", RType::SOA, None);
    notify[2] = 0x21;
    assert_eq!(code(&notify), ResponseCode::NotImp);
    assert_eq!(
        code(&question("c1", RType::OPT, None)),
        ResponseCode::FormErr
    );
    assert_eq!(
        code(&question("c1", RType::A, None)[..19]),
        ResponseCode::FormErr
    );
}

#[test]
fn case_is_kept_and_does_not_count() {
    let view = view();
    let message = question("oNe.NS1.svc.C1", RType::A, None);
    let (_, bytes) = ask(&view, &message, NEAR, Over::Udp);
    assert_eq!(bytes[12..message.len()], message[12..]);
    assert_eq!(bytes[7], 1);
}

/// Messages of any shape: random, and good ones with some bytes changed, cut or added.
fn any_message() -> impl Strategy<Value = Vec<u8>> {
    let names = prop::sample::select(vec![
        "web.ns1.svc.c1",
        "_http._tcp.web.ns1.svc.c1",
        "c1",
        "5.0.22.10.in-addr.arpa",
        "0.10.in-addr.arpa",
        "example.org",
        "",
    ]);
    let types = prop::sample::select(vec![1u16, 2, 6, 12, 28, 33, 41, 251, 252, 255, 65]);
    let edns = prop::option::of(any::<u16>());
    let changes = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6);
    let tail = prop::collection::vec(any::<u8>(), 0..20);
    let good = (
        names,
        types,
        edns,
        changes,
        any::<prop::sample::Index>(),
        tail,
    );
    let mutated = good.prop_map(|(name, rtype, edns, changes, end, tail)| {
        let mut message = question(name, RType(rtype), edns);
        for (at, byte) in changes {
            let at = at.index(message.len());
            message[at] = byte;
        }
        // Half of them keep their length.
        let end = end.index(2 * message.len());
        if end < message.len() {
            message.truncate(end);
            message.extend(tail);
        }
        message
    });
    prop_oneof![prop::collection::vec(any::<u8>(), 0..600), mutated]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]
    #[test]
    fn a_message_of_any_shape_has_an_answer_that_can_be_read_or_none(
        message in any_message(), is_tcp in any::<bool>(), turn in any::<u32>()
    ) {
        thread_local!(static VIEW: View = view());
        let over = if is_tcp { Over::Tcp } else { Over::Udp };
        let mut out = Vec::new();
        let who = (NEAR.parse().unwrap(), over);
        match VIEW.with(|view| respond(view, &message, who, turn, &mut out)) {
            Outcome::Answered => {
                let most = if is_tcp { TCP_MOST } else { UDP_MOST };
                prop_assert!(out.len() <= most);
                prop_assert_eq!(&out[..2], &message[..2]);
                prop_assert!(out[2] & 0x80 != 0);
                // The judge does not take all names that may be asked for.
                if Message::from_vec(&out).is_err() {
                    let question = message::parse(&message);
                    prop_assert!(question.is_ok(), "{:?}", out);
                    let end = HEADER + question.map_or(0, |query| query.question.len());
                    let mut only = message[..end].to_vec();
                    only[6..12].fill(0);
                    prop_assert!(Message::from_vec(&only).is_err(), "{:?}", out);
                }
            }
            _ => prop_assert!(out.is_empty()),
        }
        let mut out = Vec::new();
        failure(&message, Rcode::SERVER_FAILURE, &mut out);
    }
}
