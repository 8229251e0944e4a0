//! nftables transactions on the real kernel, judged by what `nft` lists.

use fairlead_kernel::NetNs;
use fairlead_kernel::nft::{
    Base, Batch, Chain, ChainKind, Compare, Concatenation, Create, DataType, Element, Expression,
    Family, Header, Hook, Meta, Nft, Register, Set, Table, Verdict,
};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

const TABLE: Table<'static> = Table {
    family: Family::Inet,
    name: "trial",
};

/// Runs `test` in a namespace of its own.
fn inside(test: impl FnOnce(&mut Nft) + Send) {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let name = format!("fairlead-nft-{}-{number}", std::process::id());
    let path = std::env::temp_dir().join(name);
    let namespace = NetNs::create(&path).unwrap();
    NetNs::remove(&path).unwrap();
    namespace.run(|| test(&mut Nft::open().unwrap())).unwrap();
}

fn listed() -> String {
    let output = Command::new("nft").args(["list", "ruleset"]).output();
    String::from_utf8(output.unwrap().stdout).unwrap()
}

fn regular(name: &str) -> Chain {
    Chain {
        name: name.into(),
        base: None,
    }
}

fn set(name: &str, key: &[DataType]) -> Set {
    Set {
        name: name.into(),
        key: key.to_vec(),
        value: Vec::new(),
        interval: false,
    }
}

fn with_table() -> Batch {
    let mut batch = Batch::new();
    batch.add_table(TABLE, Create::IfAbsent, "a comment");
    batch.add_chain(TABLE, Create::IfAbsent, &regular("steps"));
    batch.add_set(TABLE, Create::IfAbsent, &set("ports", &[DataType::Port]));
    batch
}

fn load(key: Meta) -> Expression {
    Expression::Meta {
        key,
        to: Register(0),
    }
}

fn payload(header: Header, offset: u32, length: u32) -> Expression {
    Expression::Payload {
        header,
        offset,
        length,
        to: Register(0),
    }
}

fn compare(how: Compare, value: &[u8]) -> Expression {
    Expression::Compare {
        register: Register(0),
        how,
        value: value.to_vec(),
    }
}

fn verdict(verdict: Verdict) -> Expression {
    Expression::Verdict(verdict)
}

/// Rules, and how `nft` writes them.
fn rules() -> [(Vec<Expression>, &'static str); 5] {
    let equal = |value: &[u8]| compare(Compare::Equal, value);
    let not_in_ports = Expression::Lookup {
        set: "ports".into(),
        key: Register(0),
        value: None,
        inverted: true,
    };
    let status_mask = Expression::Mask {
        register: Register(0),
        mask: 32_u32.to_ne_bytes().to_vec(),
    };
    let accepted = vec![
        load(Meta::InputName),
        equal(b"eth0\0\0\0\0\0\0\0\0\0\0\0\0"),
        Expression::Counter,
        verdict(Verdict::Accept),
    ];
    let dropped = vec![
        load(Meta::Protocol),
        equal(&[6]),
        payload(Header::Transport, 2, 2),
        not_in_ports,
        verdict(Verdict::Drop),
    ];
    let local = vec![
        Expression::DestinationType { to: Register(0) },
        equal(&2_u32.to_ne_bytes()),
        verdict(Verdict::Goto("steps".into())),
    ];
    let translated = vec![
        Expression::ConnectionStatus { to: Register(0) },
        status_mask,
        compare(Compare::NotEqual, &[0; 4]),
        verdict(Verdict::Return),
    ];
    let address = vec![
        load(Meta::Family),
        equal(&[10]),
        payload(Header::Network, 8, 16),
        equal(&[0xfe; 16]),
        verdict(Verdict::Jump("steps".into())),
    ];
    [
        (
            accepted,
            "iifname \"eth0\" counter packets 0 bytes 0 accept",
        ),
        (dropped, "tcp dport != @ports drop"),
        (local, "fib daddr type local goto steps"),
        (translated, "ct status dnat return"),
        (
            address,
            "ip6 saddr fefe:fefe:fefe:fefe:fefe:fefe:fefe:fefe jump steps",
        ),
    ]
}

fn forward() -> Chain {
    Chain {
        name: "forward".into(),
        base: Some(Base {
            kind: ChainKind::Filter,
            hook: Hook::Forward,
            priority: -5,
        }),
    }
}

#[test]
fn every_expression_is_read_by_nft_as_it_was_meant() {
    inside(|nft| {
        let mut batch = with_table();
        batch.add_chain(TABLE, Create::Exclusive, &forward());
        for (expressions, _) in &rules() {
            batch.add_rule(TABLE, "forward", expressions, "");
        }
        nft.commit(&batch).unwrap();
        let text = listed();
        let lines: Vec<&str> = text.lines().map(str::trim).collect();
        assert!(lines.contains(&"comment \"a comment\""), "{text}");
        assert!(lines.contains(&"type filter hook forward priority filter - 5; policy accept;"));
        for (_, rule) in &rules() {
            assert!(lines.contains(rule), "{rule}\n{text}");
        }
    });
}

#[test]
fn a_rule_is_found_by_its_comment_and_deleted_by_its_handle() {
    inside(|nft| {
        let mut batch = with_table();
        for comment in ["one", "", "two"] {
            batch.add_rule(TABLE, "steps", &[verdict(Verdict::Return)], comment);
        }
        nft.commit(&batch).unwrap();
        let rules = nft.rules(TABLE, "steps").unwrap();
        let comments: Vec<&str> = rules.iter().map(|rule| rule.comment.as_str()).collect();
        assert_eq!(comments, ["one", "", "two"]);
        let mut batch = Batch::new();
        batch.delete_rule(TABLE, "steps", rules[0].handle);
        nft.commit(&batch).unwrap();
        assert_eq!(nft.rules(TABLE, "steps").unwrap(), rules[1..]);
        let mut batch = Batch::new();
        batch.flush_chain(TABLE, "steps");
        batch.delete_chain(TABLE, "steps");
        nft.commit(&batch).unwrap();
        assert!(!nft.has_chain(TABLE, "steps").unwrap());
    });
}

#[test]
fn a_refusal_names_the_message_and_nothing_is_done() {
    inside(|nft| {
        let mut batch = with_table();
        let wanted = batch.len();
        batch.add_elements(TABLE, "absent", &[Element::key(vec![0, 80])]);
        batch.add_chain(TABLE, Create::IfAbsent, &regular("more"));
        let refusal = nft.commit(&batch).unwrap_err();
        assert_eq!(refusal.message, Some(wanted));
        assert!(refusal.error.is_not_found());
        assert_eq!(
            refusal.error.to_string(),
            "add element to set absent: No such file or directory (os error 2)"
        );
        assert!(!nft.has_table(TABLE).unwrap());
        assert_eq!(listed(), "");
        // The answers to the refused transaction do not disturb the next.
        nft.commit(&with_table()).unwrap();
        assert!(nft.has_table(TABLE).unwrap());
        assert!(nft.has_chain(TABLE, "steps").unwrap());
        assert!(nft.has_set(TABLE, "ports").unwrap());
        assert!(!nft.has_set(TABLE, "absent").unwrap());
        let mut batch = Batch::new();
        batch.add_set(TABLE, Create::Exclusive, &set("ports", &[DataType::Port]));
        assert!(nft.commit(&batch).unwrap_err().error.is_exists());
        nft.commit(&Batch::new()).unwrap();
    });
}

#[test]
fn what_is_absent_lists_as_empty() {
    inside(|nft| {
        assert_eq!(nft.sets(TABLE).unwrap(), [""; 0]);
        assert_eq!(nft.elements(TABLE, "ports").unwrap(), []);
        assert_eq!(nft.rules(TABLE, "steps").unwrap(), []);
    });
}

#[test]
fn elements_are_removed_only_from_who_holds_them() {
    inside(|nft| {
        let mut batch = with_table();
        batch.add_set(
            TABLE,
            Create::Exclusive,
            &Set {
                value: vec![DataType::Ipv4Address, DataType::Port],
                ..set("map", &[DataType::Protocol, DataType::Port])
            },
        );
        let pair = |host: u8| {
            let key = Concatenation::new().then(&[6]).then(&[31, 144]).finish();
            let value = Concatenation::new().then(&[10, 0, 0, host]).then(&[0, 80]);
            Element::pair(key, value.finish())
        };
        batch.add_elements(TABLE, "map", &[pair(2)]);
        nft.commit(&batch).unwrap();
        assert!(listed().contains("elements = { tcp . 8080 : 10.0.0.2 . 80 }"));
        let remove = |element| {
            let mut batch = Batch::new();
            batch.remove_elements(TABLE, "map", &[element]);
            batch
        };
        let refusal = nft.commit(&remove(pair(3))).unwrap_err();
        assert!(refusal.error.is_exists());
        assert_eq!(nft.elements(TABLE, "map").unwrap(), [pair(2)]);
        for _ in 0..2 {
            nft.commit(&remove(pair(2))).unwrap();
            assert_eq!(nft.elements(TABLE, "map").unwrap(), []);
        }
        let mut batch = Batch::new();
        batch.delete_elements(TABLE, "map", &[pair(2)]);
        assert!(nft.commit(&batch).unwrap_err().error.is_not_found());
    });
}

#[test]
fn a_long_list_of_elements_is_split_and_all_arrive() {
    inside(|nft| {
        let mut batch = with_table();
        let before = batch.len();
        let ports: Vec<Element> = (1..=20_000_u16)
            .map(|port| Element::key(port.to_be_bytes().to_vec()))
            .collect();
        batch.add_elements(TABLE, "ports", &ports);
        assert!(batch.len() - before > 1);
        nft.commit(&batch).unwrap();
        let mut found = nft.elements(TABLE, "ports").unwrap();
        found.sort_by(|a, b| a.key.cmp(&b.key));
        assert_eq!(found, ports);
        let mut batch = Batch::new();
        batch.delete_set(TABLE, "ports", true);
        let refusal = nft.commit(&batch).unwrap_err();
        assert_eq!(
            refusal
                .error
                .errno()
                .map(std::io::Error::from)
                .unwrap()
                .kind(),
            std::io::ErrorKind::ResourceBusy
        );
        let mut batch = Batch::new();
        batch.flush_set(TABLE, "ports");
        nft.commit(&batch).unwrap();
        let mut batch = Batch::new();
        batch.delete_set(TABLE, "ports", true);
        batch.delete_table(TABLE);
        nft.commit(&batch).unwrap();
        assert!(!nft.has_table(TABLE).unwrap());
    });
}
