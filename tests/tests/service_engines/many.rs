//! Many services at once, and how long one takes.

use super::case::{Case, Kind};
use fairlead_tests::{Docker, patience};
use std::collections::BTreeSet;
use std::process::Stdio;
use std::time::Instant;

/// How many are started and stopped at once.
const MANY: usize = 20;

fn name(number: usize) -> String {
    format!("w{number}")
}

/// Types the command for all of them at once, and waits for all.
fn all_at_once(case: &Case, what: &str) {
    let begin = |number| {
        let mut command = case
            .node
            .shell(&format!("fairlead svc {what} shop/svc/{}", name(number)));
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().expect("a shell")
    };
    let all: Vec<_> = (0..MANY).map(begin).collect();
    for child in all {
        let output = child.wait_with_output().expect("its output");
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{what}: {told}");
    }
}

#[test]
fn many_services_start_and_stop_at_once() {
    let case = Case::new(Kind::Docker);
    let before = case.node.world();
    for number in 0..MANY {
        let port = 8000 + u16::try_from(number).expect("a small number");
        let web = case.web(&name(number), port);
        let web = web.replace("[ip#0]", &format!("hostname = box{number}\n[ip#0]"));
        case.create(&name(number), &web);
    }
    let begin = Instant::now();
    all_at_once(&case, "start");
    println!("{MANY} services started in {:?}", begin.elapsed());
    let mut addresses = BTreeSet::new();
    for number in 0..MANY {
        let status = case.status(&name(number));
        let ip = status["resources"][1]["info"]["ipaddr"][0].as_str();
        let ip = ip
            .unwrap_or_else(|| panic!("no address: {status}"))
            .to_owned();
        case.answers(&format!("{}.shop.svc.clu", name(number)), &ip);
        addresses.insert(ip);
    }
    assert_eq!(addresses.len(), MANY, "{addresses:?}");
    for number in 0..MANY {
        let port = 8000 + u16::try_from(number).expect("a small number");
        assert_eq!(case.serves(port), format!("box{number}"));
    }
    all_at_once(&case, "stop");
    for number in 0..MANY {
        case.answers(&format!("{}.shop.svc.clu", name(number)), "");
    }
    all_at_once(&case, "rm");
    assert_eq!(case.all(), [""; 0]);
    case.node.sh("rm /run/w*.conf").silent();
    case.forget_runs();
    case.node.is_as_before(&before, "many services");
}

/// How long it takes is printed; how long it may take is another question.
#[test]
fn a_start_takes_little_more_than_the_engine() {
    let case = Case::new(Kind::Docker);
    case.create("web", &case.web("web", 8001));
    // What only the first container of a daemon costs.
    Docker::run_foreign(&case.node, "first");
    let begin = Instant::now();
    Docker::run_foreign(&case.node, "second");
    let engine = begin.elapsed();
    let begin = Instant::now();
    case.start("web");
    let started = begin.elapsed();
    case.answers("web.shop.svc.clu", "10.30.0.3");
    let named = begin.elapsed();
    assert!(named < patience());
    println!("docker alone {engine:?}; service started {started:?}, its name answers {named:?}");
    case.stop("web");
}
