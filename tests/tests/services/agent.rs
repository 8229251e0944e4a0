//! What the agent does for services while they are started, and what it leaves alone.

use super::{WEB, answers, create, node};
use fairlead_tests::{Agent, Node, Place, eventually, patience};
use std::time::{Duration, Instant};

/// So long the agent is watched that is to do nothing: it looks every half second.
const WATCH: Duration = Duration::from_secs(2);

/// The state of the service as people see it.
fn avail(node: &Node) -> String {
    let status = node.sh("fairlead svc status shop/svc/web -o json").json();
    status["avail"].as_str().unwrap_or_default().to_owned()
}

fn is_attached(node: &Node) -> bool {
    node.sh("fairlead ls").done().contains("shop/svc/web")
}

/// Asserts that nothing is attached for as long as the agent would need to do so.
#[track_caller]
fn stays_detached(node: &Node) {
    let end = Instant::now() + WATCH;
    while Instant::now() < end {
        assert!(!is_attached(node), "somebody put it back");
    }
}

#[test]
fn what_was_taken_away_on_purpose_stays_away() {
    let (node, _cgroups) = node();
    let _agent = Agent::start(&node);
    node.sh(&create("shop/svc/web", WEB)).silent();
    node.sh("fairlead svc start shop/svc/web").done();
    node.sh("fairlead svc stop shop/svc/web --rid ip#0").done();
    stays_detached(&node);
    node.sh("fairlead svc start shop/svc/web").done();
    answers(&node, "web.shop.svc.clu", "10.30.0.3");
    // A start that fails takes back what it did, also where the service was started before.
    node.sh("fairlead svc stop shop/svc/web --rid ip#0").done();
    node.sh("fairlead svc set shop/svc/web --kw ip#1.network=back --kw ip#1.ipaddr=192.0.2.1")
        .silent();
    node.sh("fairlead svc start shop/svc/web").fails(&["ip#1"]);
    stays_detached(&node);
    assert_eq!(avail(&node), "warn", "the program runs on");
}

#[test]
fn a_program_that_ends_loses_its_name_and_one_that_is_to_run_is_started_again() {
    let (node, _cgroups) = node();
    let _agent = Agent::start(&node);
    node.sh(&create("shop/svc/web", WEB)).silent();
    node.sh("fairlead svc start shop/svc/web").done();
    answers(&node, "web.shop.svc.clu", "10.30.0.3");
    kill(&node);
    answers(&node, "web.shop.svc.clu", "");
    eventually(patience(), || {
        if avail(&node) == "down" {
            Ok(())
        } else {
            Err(avail(&node))
        }
    });
    node.sh("fairlead svc set shop/svc/web --kw container#0.restart=always")
        .silent();
    answers(&node, "web.shop.svc.clu", "10.30.0.3");
    kill(&node);
    eventually(patience(), || {
        let shown = node
            .outside()
            .try_run("curl -sS --max-time 2 http://198.51.100.1:8001/")
            .stdout;
        if shown == b"hello from web\n" {
            Ok(())
        } else {
            Err(shown)
        }
    });
    node.sh("fairlead svc set shop/svc/web --kw container#0.restart=on-failure")
        .fails(&["container#0.restart", "always"]);
    node.sh("fairlead svc stop shop/svc/web").done();
    stays_detached(&node);
}

/// Ends the program from outside.
fn kill(node: &Node) {
    let status = node.sh("fairlead svc status shop/svc/web -o json").json();
    let log = status["resources"][0]["log"][0]
        .as_str()
        .unwrap_or_default();
    let pid = log.strip_prefix("process ").expect("it runs");
    node.run(&format!("kill -9 {pid}"));
}

/// Whether a process runs; one that only waits for its parent does not.
fn runs(node: &Node, pid: &str) -> bool {
    let shown = node.try_run(&format!("ps -o stat= -p {}", pid.trim()));
    let state = String::from_utf8_lossy(&shown.stdout).trim().to_owned();
    !state.is_empty() && !state.starts_with('Z')
}

#[test]
fn a_stop_ends_what_the_file_has_no_more() {
    let (node, _cgroups) = node();
    node.sh(&create("shop/svc/web", WEB)).silent();
    node.sh("fairlead svc start shop/svc/web").done();
    let inside = || node.sh("ip netns pids shop.svc.web").done();
    assert!(!inside().is_empty());
    node.sh("fairlead svc unset shop/svc/web --kw container#0")
        .silent();
    let pid = inside();
    let told = node.sh("fairlead svc stop shop/svc/web").done();
    assert!(told.contains("container#0: process"), "{told}");
    assert!(!runs(&node, &pid), "{pid} runs on");
    // The same where the whole file is gone.
    let more = "--kw container#0.type=process --kw container#0.command='sleep 600'";
    node.sh(&format!("fairlead svc set shop/svc/web {more}"))
        .silent();
    node.sh("fairlead svc start shop/svc/web").done();
    let pid = inside();
    node.sh("rm $FAIRLEAD_ROOT/etc/fairlead/namespaces/shop/svc/web.conf")
        .silent();
    node.sh("fairlead svc stop shop/svc/web").done();
    assert!(!runs(&node, &pid), "{pid} runs on");
    assert!(!is_attached(&node));
}
