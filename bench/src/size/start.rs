//! The agent's start: with nothing there, again, and with etcd down.

use super::findings::{Findings, Line, Table};
use super::host::{Agent, Host};
use super::registry::published;
use super::stage::Stage;
use super::wait::until;
use anyhow::{Context, Result};
use fairlead_shared::{Local, Revision, SharedState};
use std::time::{Duration, Instant};

/// The most memory of the agent, in MiB.
const MEMORY: f64 = 150.0;
/// How often it is looked whether something has come.
const LOOK: Duration = Duration::from_millis(5);

/// How the agent is started.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Case {
    /// Nothing of the network is there, and no mirror.
    New,
    /// Everything is there from before.
    Again,
    /// Everything is there, and etcd is not.
    NoEtcd,
}

/// What starts took.
#[derive(Debug, Default)]
struct Times {
    ready: Vec<Duration>,
    routes: Vec<Duration>,
    mirror: Vec<Duration>,
    cpu: Vec<Duration>,
    memory: String,
}

/// Measures starts with etcd; the last agent goes on.
///
/// # Errors
/// When an agent does not start, or does not make all routes.
pub(super) fn measure(stage: &mut Stage, findings: &mut Findings) -> Result<()> {
    let mut table = Table::new(
        "The agent's start",
        "From the start of the process. Ready is what it tells systemd. New: no bridge, no endpoint, no route and no \
         mirror are there. Again: all of it is there, and one address has changed meanwhile.",
    );
    for case in [Case::New, Case::Again] {
        let mut times = Times::default();
        for _ in 0..stage.extent.rounds.min(3) {
            once(stage, case, &mut times)?;
        }
        lines(&mut table, case, times);
    }
    let memory = stage.agent()?.daemon.memory()?;
    findings.at_most(
        "the agent's memory after its start, MiB",
        MEMORY,
        Some(memory.now),
    );
    findings.tables.push(table);
    Ok(())
}

/// Measures starts while etcd is down; etcd is back and no agent runs after it.
///
/// # Errors
/// As [`measure`].
pub(super) fn without_etcd(stage: &mut Stage, findings: &mut Findings) -> Result<()> {
    let mut table = Table::new(
        "The agent's start without etcd",
        "etcd is down; what is declared and the other nodes are as the mirror has them.",
    );
    let mut times = Times::default();
    stage.stop_agent()?;
    stage.stop_etcd()?;
    let mut status = Vec::new();
    for _ in 0..stage.extent.rounds.min(3) {
        once(stage, Case::NoEtcd, &mut times)?;
        for _ in 0..3 {
            status.push(stage.node.run("net status")?.0);
        }
    }
    lines(&mut table, Case::NoEtcd, times);
    table.lines.push(Line::times("`net status` then", status));
    findings.tables.push(table);
    stage.stop_agent()?;
    stage.start_etcd()
}

fn lines(table: &mut Table, case: Case, times: Times) {
    let name = match case {
        Case::New => "new",
        Case::Again => "again",
        Case::NoEtcd => "without etcd",
    };
    let rows = [
        ("ready", times.ready),
        ("all routes are there", times.routes),
        ("the mirror is complete", times.mirror),
        ("processor time until then", times.cpu),
    ];
    for (what, times) in rows.into_iter().filter(|(_, times)| !times.is_empty()) {
        table
            .lines
            .push(Line::times(format!("{name}: {what}"), times));
    }
    table
        .lines
        .push(Line::fact(format!("{name}: memory"), times.memory));
}

fn once(stage: &mut Stage, case: Case, times: &mut Times) -> Result<()> {
    stage.stop_agent()?;
    let mirror = stage.node.root.state().join("mirror.db");
    if case == Case::New {
        stage.node.strip()?;
        for ending in ["", "-wal", "-shm"] {
            let mut path = mirror.clone().into_os_string();
            path.push(ending);
            // There was none, or there is none now.
            let _ = std::fs::remove_file(path);
        }
    }
    let upto = match case {
        Case::NoEtcd => None,
        Case::New | Case::Again => {
            let (key, value) = published(stage, 0)?;
            Some(stage.engine()?.put(&key, &value, None)?)
        }
    };
    let mut agent = stage.node.start_agent()?;
    let ready = agent.ready()?;
    times.ready.push(ready);
    times
        .routes
        .push(all_routes(stage, agent.begun)?.max(ready));
    if let Some(upto) = upto {
        times.mirror.push(mirrored(&mirror, upto, agent.begun)?);
    }
    times.cpu.push(agent.daemon.cpu()?);
    settle(&mut agent)?;
    let memory = agent.daemon.memory()?;
    times.memory = format!("{:.1} MiB, {:.1} at most", memory.now, memory.peak);
    stage.agent = Some(agent);
    Ok(())
}

/// Waits until the node has a route to each other one.
///
/// # Errors
/// When it does not get them.
pub(super) fn all_routes(stage: &Stage, begun: Instant) -> Result<Duration> {
    let mut route = stage.node.route()?;
    until("a route to each node", begun, LOOK, || {
        Ok(Host::routes(&mut route)? == stage.others())
    })
}

/// Waits until the mirror has come to a revision.
fn mirrored(path: &std::path::Path, upto: Revision, begun: Instant) -> Result<Duration> {
    let mut mirror: Option<Local> = None;
    until("the mirror is complete", begun, LOOK, || {
        if mirror.is_none() && path.exists() {
            mirror = Some(Local::open(path).context("open the mirror")?);
        }
        let Some(mirror) = &mirror else {
            return Ok(false);
        };
        Ok(mirror.mirrored()?.is_some_and(|at| at >= upto))
    })
}

/// Waits until the agent has nothing to do: for a second it has computed next to nothing.
///
/// # Errors
/// When it never rests.
pub(super) fn settle(agent: &mut Agent) -> Result<()> {
    let pause = Duration::from_millis(1500);
    let mut before = agent.daemon.cpu()?;
    std::thread::sleep(pause);
    until("the agent rests", Instant::now(), pause, || {
        agent.daemon.runs()?;
        let now = agent.daemon.cpu()?;
        let used = now - before;
        before = now;
        Ok(used < pause / 10)
    })?;
    Ok(())
}
