//! What a change elsewhere costs here.

use super::findings::{Findings, Line, Table};
use super::host::Host;
use super::registry::published;
use super::stage::{NETWORK, Stage, moved};
use super::start::settle;
use super::wait::until;
use anyhow::{Context, Result, ensure};
use fairlead_kernel::{Monitor, Route};
use fairlead_shared::{Local, SharedState};
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// The most steps for a change of one node. One is what it takes; another reconciliation
/// may see to something of its own.
const STEPS: f64 = 2.0;
/// The most memory of the agent, in MiB.
const MEMORY: f64 = 150.0;
/// The first node that moves.
const FIRST: u32 = 500;
/// How long the agent is watched while nothing changes, and after a change, for what it
/// computes.
const WATCH: Duration = Duration::from_secs(4);

/// What changes of nodes took.
#[derive(Debug, Default)]
struct Times {
    set: Vec<Duration>,
    entry: Vec<Duration>,
    cpu: Vec<Duration>,
    reconciling: Vec<Duration>,
    steps: Vec<f64>,
}

/// Measures changes of nodes and of addresses.
///
/// # Errors
/// When the agent does not follow.
pub(super) fn measure(stage: &mut Stage, findings: &mut Findings) -> Result<()> {
    let mut table = Table::new(
        "A change elsewhere",
        "Another node calls `fairlead cluster set --kw network#big.addr@nK=ADDRESS` (new segments, tunnels and policies \
         go the same way). The entry is there when the kernel has it; the processor time is the agent's in the four \
         seconds from the call on, less what it uses in that time when nothing changes. An address is seen here when the \
         node's mirror has it, from which `net status` reads.",
    );
    let agent = stage.agent.as_mut().context("no agent runs")?;
    settle(agent)?;
    let idle = idle(stage)?;
    table
        .lines
        .push(Line::once("the agent, idle for 4 s: processor time", idle));
    let mut times = Times::default();
    for round in 0..stage.extent.rounds {
        one_node(stage, FIRST + round, idle, &mut times)?;
    }
    let steps = times.steps.iter().copied().fold(0.0, f64::max);
    let note = format!("at most {steps} steps for one change");
    let rows = [
        Line::times("`cluster set` elsewhere", times.set),
        Line::times("from its start until the entry is here", times.entry).note(note),
        Line::times("processor time of the agent for it", times.cpu),
        Line::times("of it, reconciling", times.reconciling),
    ];
    table.lines.extend(rows);
    let what = "steps of the agent for a change of one node";
    findings.at_most(what, STEPS, Some(steps));
    let line = seen(stage)?;
    table.lines.push(line);
    let memory = stage.agent()?.daemon.memory()?;
    let note = format!("{:.1} MiB, {:.1} at most", memory.now, memory.peak);
    table
        .lines
        .push(Line::fact("the agent's memory after it", note));
    findings.at_most(
        "the agent's memory after changes, MiB",
        MEMORY,
        Some(memory.now),
    );
    findings.at_most(
        "the agent's memory at most until then, MiB",
        MEMORY,
        Some(memory.peak),
    );
    findings.tables.push(table);
    Ok(())
}

/// What the agent computes while nothing changes.
fn idle(stage: &Stage) -> Result<Duration> {
    let daemon = &stage.agent()?.daemon;
    let before = daemon.cpu()?;
    std::thread::sleep(WATCH);
    Ok(daemon.cpu()?.saturating_sub(before))
}

/// Moves one node, and waits until the node's endpoint knows where it is.
fn one_node(stage: &Stage, k: u32, idle: Duration, times: &mut Times) -> Result<()> {
    let mut route = stage.node.route()?;
    let link = endpoint(&mut route)?;
    let mut monitor = stage.node.netns.run(|| {
        let mut monitor = Monitor::open()?;
        monitor.watch_neighbours()?;
        anyhow::Ok(monitor)
    })??;
    let (cpu, counted) = (stage.agent()?.daemon.cpu()?, stage.node.counted()?);
    let wanted = IpAddr::from(moved(k));
    let begun = Instant::now();
    let line = format!("cluster set --kw network#{NETWORK}.addr@n{k}={wanted}");
    times.set.push(stage.twin.run(&line)?.0);
    let entry = until(
        "the entry of a node that moved",
        begun,
        Duration::ZERO,
        || {
            let all = route.neighbours(link)?;
            if all
                .iter()
                .any(|entry| entry.forwarding && entry.address == wanted)
            {
                return Ok(true);
            }
            // Sleeps until something has changed, or a while.
            monitor.wait(Duration::from_millis(100))?;
            Ok(false)
        },
    )?;
    times.entry.push(entry);
    // What comes after it, as the look at what the agent itself changed, belongs to it.
    std::thread::sleep(WATCH.saturating_sub(begun.elapsed()));
    let used = stage.agent()?.daemon.cpu()? - cpu;
    times.cpu.push(used.saturating_sub(idle));
    let now = stage.node.counted()?;
    times.steps.push(now.steps - counted.steps);
    let seconds = (now.seconds - counted.seconds).max(0.0);
    times.reconciling.push(Duration::from_secs_f64(seconds));
    ensure!(
        Host::routes(&mut route)? == stage.others(),
        "a route is missing"
    );
    Ok(())
}

/// The index of the network's VXLAN endpoint.
fn endpoint(route: &mut Route) -> Result<u32> {
    let links = route.links()?;
    let endpoint = links.iter().find(|link| link.vxlan.is_some());
    Ok(endpoint.context("there is no VXLAN endpoint")?.index)
}

/// Publishes addresses elsewhere, one after the other, until each is seen here.
fn seen(stage: &Stage) -> Result<Line> {
    let engine = stage.engine()?;
    let mirror = Local::open(&stage.node.root.state().join("mirror.db"))?;
    let mut times = Vec::new();
    for round in 0..stage.extent.rounds {
        let (key, mut value) = published(stage, round)?;
        // The same with another text at its end.
        value.pop();
        value.extend_from_slice(format!(",\"round\":{round}}}").as_bytes());
        let begun = Instant::now();
        let at = engine.put(&key, &value, None)?;
        let pause = Duration::from_millis(1);
        times.push(until("an address is seen", begun, pause, || {
            Ok(mirror.mirrored()?.is_some_and(|seen| seen >= at))
        })?);
    }
    Ok(Line::times(
        "an address published elsewhere is seen here",
        times,
    ))
}
