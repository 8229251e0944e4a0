//! Chains and rules that the `nft` program made, as they are read.

use fairlead_kernel::NetNs;
use fairlead_kernel::nft::{
    Compare, Family, Hook, Interface, Nft, Outcome, ReadRule, Table, Test, Verdict,
};
use std::io::Write;
use std::process::{Command, Stdio};

const RULES: &str = r#"
table ip trial {
    chain other { }
    chain through {
        type filter hook forward priority 5; policy drop;
        iifname "br0" counter accept
        oifname != "br*" drop
        iifname { "br0", "br1" } jump other
        ip saddr 10.0.0.1 iifname "br0" goto other
        iifname . oifname { "br0" . "br1" } return
        counter reject
        ct state established accept
        log prefix "seen"
    }
    chain leave {
        type nat hook postrouting priority 100;
    }
}
table inet trial {
    chain through {
        type filter hook forward priority -10;
    }
}
"#;

/// Runs `test` in a namespace of its own that has [`RULES`].
fn inside(test: impl FnOnce(&mut Nft) + Send) {
    let thread = std::thread::current();
    let name = thread.name().unwrap_or_default().replace("::", "-");
    let path = std::env::temp_dir().join(format!("fairlead-{name}-{}", std::process::id()));
    let namespace = NetNs::create(&path).unwrap();
    NetNs::remove(&path).unwrap();
    let work = || {
        let mut nft = Command::new("nft");
        let mut nft = nft.args(["-f", "-"]).stdin(Stdio::piped()).spawn().unwrap();
        let mut input = nft.stdin.take().unwrap();
        input.write_all(RULES.as_bytes()).unwrap();
        drop(input);
        assert!(nft.wait().unwrap().success());
        test(&mut Nft::open().unwrap());
    };
    namespace.run(work).unwrap();
}

#[test]
fn chains_of_all_tables_are_listed() {
    inside(|nft| {
        let chains = nft.chains().unwrap();
        let find = |family, name: &str| {
            let mut chains = chains.iter();
            let is_it = |c: &&_| -> bool {
                let c: &fairlead_kernel::nft::ListedChain = c;
                c.family == family && c.table == "trial" && c.name == name
            };
            chains.find(is_it).unwrap()
        };
        assert_eq!(chains.len(), 4, "{chains:?}");
        let through = find(Family::Ipv4, "through");
        let base = through.base.unwrap();
        assert_eq!((base.hook, base.priority), (Hook::Forward, 5));
        assert!(through.drops);
        assert_eq!(find(Family::Ipv4, "other").base, None);
        let inet = find(Family::Inet, "through");
        assert_eq!(inet.base.unwrap().priority, -10);
        assert!(!inet.drops);
        let leave = find(Family::Ipv4, "leave").base.unwrap();
        assert_eq!(leave.hook, Hook::Postrouting);
    });
}

#[test]
fn rules_are_read_as_far_as_they_ask_for_interfaces() {
    inside(|nft| {
        let table = Table {
            family: Family::Ipv4,
            name: "trial",
        };
        let rules = nft.read_rules(table, "through").unwrap();
        let name = |which, how, value: &[u8]| Test::Name {
            which,
            how,
            value: value.to_vec(),
        };
        let br0 = || {
            let whole = b"br0\0\0\0\0\0\0\0\0\0\0\0\0\0";
            name(Interface::Input, Compare::Equal, whole)
        };
        let rule = |tests, verdict| ReadRule {
            tests,
            outcome: Outcome::Verdict(verdict),
        };
        assert_eq!(rules.len(), 8);
        assert_eq!(rules[0], rule(vec![br0()], Verdict::Accept));
        let not_br = name(Interface::Output, Compare::NotEqual, b"br");
        assert_eq!(rules[1], rule(vec![not_br], Verdict::Drop));
        let [
            Test::NameIn {
                which,
                set,
                inverted,
            },
        ] = &rules[2].tests[..]
        else {
            panic!("{:?}", rules[2]);
        };
        assert_eq!((*which, *inverted), (Interface::Input, false));
        assert_eq!(nft.elements(table, set).unwrap().len(), 2);
        let jump = Outcome::Verdict(Verdict::Jump("other".into()));
        assert_eq!(rules[2].outcome, jump);
        assert!(rules[3].tests.contains(&Test::Other));
        assert!(rules[3].tests.contains(&br0()));
        assert_eq!(rules[4].tests, [Test::Other]);
        assert_eq!(rules[5], rule(vec![], Verdict::Drop));
        assert!(rules[6].tests.contains(&Test::Other));
        assert_eq!(rules[7].outcome, Outcome::Other);
        assert!(nft.read_rules(table, "absent").unwrap().is_empty());
    });
}
