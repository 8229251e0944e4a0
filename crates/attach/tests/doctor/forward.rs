//! Forward chains of others, judged by packets.

use crate::trial::{Trial, WEB, inside, ready, run, try_run};
use fairlead_attach::{Finding, Severity};

/// Rulesets of others that drop what a container sends or gets.
const DROPPING: [(&str, &str); 6] = [
    (
        "ip filter FORWARD",
        "add table ip filter
        add chain ip filter FORWARD { type filter hook forward priority 0; policy drop; }",
    ),
    (
        "inet firewalld pass",
        "add table inet firewalld
        add chain inet firewalld pass { type filter hook forward priority 10; }
        add rule inet firewalld pass ct state established,related accept
        add rule inet firewalld pass iifname \"lo\" accept
        add rule inet firewalld pass counter reject with icmpx admin-prohibited",
    ),
    (
        "inet f pass",
        "add table inet f
        add chain inet f pass { type filter hook forward priority 0; policy drop; }
        add rule inet f pass ip saddr 10.91.0.0/24 iifname \"obr_web\" accept
        add rule inet f pass oifname \"obr_we\" accept
        add rule inet f pass oifname != \"obr_web\" accept",
    ),
    (
        "inet f pass",
        "add table inet f
        add chain inet f user
        add rule inet f user iifname \"obr_web\" return
        add rule inet f user accept
        add chain inet f pass { type filter hook forward priority 0; policy drop; }
        add rule inet f pass jump user",
    ),
    (
        "inet f pass",
        "add table inet f
        add chain inet f pass { type filter hook forward priority 0; policy drop; }
        add rule inet f pass iifname \"obr_web\" accept",
    ),
    (
        "ip f pass",
        "add table ip f
        add chain ip f pass { type filter hook forward priority 0; policy drop; }
        add rule ip f pass iifname { \"docker0\", \"br0\" } accept
        add rule ip f pass oifname != { \"obr_web\", \"br0\" } accept",
    ),
];

/// Rulesets of others that let everything of a container pass.
const PASSING: [&str; 6] = [
    "add table ip6 f
     add chain ip6 f pass { type filter hook forward priority 0; policy drop; }",
    "add table inet f
     add chain inet f in { type filter hook input priority 0; policy drop; }",
    "add table inet f
     add chain inet f pass { type filter hook forward priority 0; policy drop; }
     add rule inet f pass counter iifname \"obr_*\" counter accept
     add rule inet f pass oifname \"obr_*\" log prefix \"x\" accept",
    "add table inet f
     add chain inet f pass { type filter hook forward priority 0; policy drop; }
     add rule inet f pass iifname { \"br0\", \"obr_web\" } accept
     add rule inet f pass oifname != { \"br0\", \"br1\" } accept",
    "add table inet f
     add chain inet f user
     add rule inet f user iifname \"obr_web\" accept
     add rule inet f user oifname \"obr_web\" accept
     add chain inet f pass { type filter hook forward priority 0; policy drop; }
     add rule inet f pass jump user
     add rule inet f pass drop",
    "add table bridge f
     add chain bridge f pass { type filter hook forward priority 0; policy drop; }",
];

/// A node with a container on each of two networks; `test` gets a way to ask whether
/// packets of the first come to the second and back.
fn between(test: impl FnOnce(&Trial, &dyn Fn() -> bool) + Send) {
    let both = format!("{WEB}[network#zone]\nnetwork = 10.92.0.0/24\n");
    inside(&both, |trial| {
        trial.setup();
        let (one, other) = (trial.container("c1"), trial.container("c2"));
        trial.attach(&one, &[]);
        trial.attach_to("zone", &other, &[]);
        let netns = one.path().display();
        let line = format!("nsenter --net={netns} ping -q -c 1 -W 0.5 10.92.0.2");
        test(trial, &|| try_run(&line));
    });
}

/// The findings about forward chains that see what bridge `obr_web` sends or gets.
fn about_web(trial: &Trial) -> Vec<Finding> {
    let mut found = trial.look();
    found.retain(|f| f.subject.starts_with("forward chain ") && f.what.contains("obr_web"));
    found
}

#[test]
fn forward_chains_that_drop() {
    between(|trial, packets_pass| {
        assert!(packets_pass());
        for (place, rules) in DROPPING {
            trial.nft(rules);
            let found = about_web(trial);
            assert_eq!(found.len(), 1, "{rules}: {found:#?}");
            assert_eq!(found[0].subject, format!("forward chain {place}"));
            assert_eq!(found[0].severity, Severity::Problem);
            assert!(!packets_pass(), "{rules}");
            trial.mend(&found[0]);
            assert!(about_web(trial).is_empty(), "{rules}");
            assert!(packets_pass(), "{rules}");
            let table = place.rsplit_once(' ').unwrap().0;
            run(&format!("nft delete table {table}"));
        }
    });
}

#[test]
fn forward_chains_that_let_pass() {
    between(|trial, packets_pass| {
        for rules in PASSING {
            trial.nft(rules);
            let found = about_web(trial);
            assert!(found.is_empty(), "{rules}: {found:#?}");
            assert!(packets_pass(), "{rules}");
            let table = rules.lines().next().unwrap().strip_prefix("add ").unwrap();
            run(&format!("nft delete {table}"));
        }
    });
}

#[test]
fn one_cure_names_just_what_is_missing() {
    ready(|trial| {
        trial.nft(DROPPING[4].1);
        let cure = trial.problem("forward chain inet f pass").cure;
        let wanted = "nft 'insert rule inet f pass oifname \"obr_web\" accept'";
        assert_eq!(cure.as_deref(), Some(wanted));
    });
}
