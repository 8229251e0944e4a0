//! Detaches: one, and many at once, through the agent and without.

use super::findings::{Findings, Line, Table};
use super::host::Host;
use super::stage::{NETWORK, Stage};
use super::start::settle;
use crate::program::Call;
use anyhow::{Context, Result, bail, ensure};
use fairlead_control::{DETACH, DetachRequest, Detached};
use std::process::{Child, Command, Stdio};
use std::sync::Barrier;
use std::time::{Duration, Instant};

/// Many at once take at most so many times one.
const AT_ONCE: f64 = 5.0;
/// The most memory of the agent, in MiB.
const MEMORY: f64 = 150.0;
/// How many attach at the same time before what is measured.
const HANDS: usize = 4;

/// Who detaches, and how.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Way {
    /// Clients of the agent, each a connection of this process.
    Clients,
    /// `fairlead detach` where an agent runs.
    Processes,
    /// `fairlead detach` where none runs.
    WithoutAgent,
}

const WAYS: [Way; 3] = [Way::Clients, Way::Processes, Way::WithoutAgent];

impl Way {
    const fn name(self) -> &'static str {
        match self {
            Self::Clients => "through the agent, connections of one process",
            Self::Processes => "through the agent, `fairlead detach`",
            Self::WithoutAgent => "without agent, `fairlead detach`",
        }
    }

    const fn host(self, stage: &Stage) -> &Host {
        match self {
            Self::Clients | Self::Processes => &stage.node,
            Self::WithoutAgent => &stage.twin,
        }
    }
}

/// Measures one detach and many, each way, in turns.
///
/// # Errors
/// When one fails, or leaves its link.
pub(super) fn measure(stage: &mut Stage, findings: &mut Findings) -> Result<()> {
    let mut table = Table::new(
        "Detaches",
        "Containers on the node's bridge, each with a namespace of its own and one interface. At once: from the start of \
         the first to the end of the last. A process's start and end count where `fairlead detach` is called, on as \
         many processors as the report's head says.",
    );
    let many = stage.containers.len();
    let counts = [1, many];
    let mut times: [[Vec<Duration>; 2]; 3] = Default::default();
    for round in 0..stage.extent.rounds as usize {
        for turn in 0..WAYS.len() {
            let at = (turn + round) % WAYS.len();
            for (which, count) in counts.into_iter().enumerate() {
                let took = once(stage, WAYS[at], count)
                    .with_context(|| format!("{count} {}", WAYS[at].name()))?;
                times[at][which].push(took);
            }
        }
    }
    for (way, [one, all]) in WAYS.into_iter().zip(times) {
        let one = Line::times(format!("one, {}", way.name()), one);
        let all = Line::times(format!("{many} at once, {}", way.name()), all);
        let ratio = all.median().zip(one.median()).map(|(all, one)| all / one);
        let note = ratio.map_or_else(String::new, |ratio| format!("{ratio:.1} times one"));
        if way != Way::WithoutAgent {
            let what = format!("{many} detaches at once, {}, times one", way.name());
            findings.at_most(what, AT_ONCE, ratio);
        }
        table.lines.extend([one, all.note(note)]);
    }
    let starts = (0..stage.extent.rounds).map(|_| starts(&stage.node, many));
    let starts = starts.collect::<Result<Vec<_>>>()?;
    let what = format!("{many} `fairlead --version` at once: starting processes alone");
    table.lines.push(Line::times(what, starts));
    let agent = stage.agent.as_mut().context("no agent runs")?;
    settle(agent)?;
    let memory = agent.daemon.memory()?;
    let note = format!("{:.1} MiB, {:.1} at most", memory.now, memory.peak);
    table
        .lines
        .push(Line::fact("the agent's memory after it", note));
    findings.at_most(
        "the agent's memory after detaches, MiB",
        MEMORY,
        Some(memory.now),
    );
    findings.tables.push(table);
    Ok(())
}

/// Attaches containers and measures how long it takes to detach them.
fn once(stage: &Stage, way: Way, count: usize) -> Result<Duration> {
    let host = way.host(stage);
    let links = || anyhow::Ok(host.route()?.links()?.len());
    let before = links()?;
    attach(stage, host, count)?;
    let attached = links()?;
    ensure!(
        attached == before + count,
        "{before} links, then {attached}"
    );
    let took = match way {
        Way::Clients => clients(host, count)?,
        Way::Processes | Way::WithoutAgent => processes(host, count)?,
    };
    let after = links()?;
    ensure!(after == before, "{} links are left", after - before);
    Ok(took)
}

/// The name of container `at`, which is also its id.
fn name(at: usize) -> String {
    format!("detached{at}")
}

fn attach(stage: &Stage, host: &Host, count: usize) -> Result<()> {
    let hands = HANDS.min(count);
    let containers = &stage.containers[..count];
    std::thread::scope(|scope| {
        let hands: Vec<_> = (0..hands)
            .map(|hand| {
                scope.spawn(move || {
                    let own = containers.iter().enumerate().skip(hand).step_by(hands);
                    own.into_iter().try_for_each(|(at, container)| {
                        let (path, id) = (container.path().display(), name(at));
                        let line = format!("attach {NETWORK} --netns {path} --id {id}");
                        host.run(&line).map(drop)
                    })
                })
            })
            .collect();
        hands.into_iter().try_for_each(|hand| match hand.join() {
            Ok(done) => done,
            Err(_) => bail!("a thread panicked"),
        })
    })
}

/// Each asks by a connection of its own, all at the same moment.
fn clients(host: &Host, count: usize) -> Result<Duration> {
    let start = Barrier::new(count + 1);
    let client = host.client();
    std::thread::scope(|scope| {
        let askers: Vec<_> = (0..count)
            .map(|at| {
                let (start, client) = (&start, &client);
                scope.spawn(move || {
                    let asked = DetachRequest {
                        node: None,
                        network: Some(NETWORK.parse()?),
                        container: Some(name(at).parse()?),
                        sandbox: None,
                        object: None,
                        ifname: None,
                    };
                    start.wait();
                    let done: Option<Detached> = client.post(DETACH, &asked)?;
                    let done = done.context("no agent answers")?;
                    ensure!(
                        done.owners.len() == 1 && done.errors.is_empty(),
                        "the agent answers {done:?}"
                    );
                    Ok(())
                })
            })
            .collect();
        start.wait();
        let begun = Instant::now();
        let done = askers.into_iter().try_for_each(|asker| match asker.join() {
            Ok(done) => done,
            Err(_) => bail!("a thread panicked"),
        });
        done.map(|()| begun.elapsed())
    })
}

/// Starts one process after the other without waiting, then waits for all.
fn processes(host: &Host, count: usize) -> Result<Duration> {
    let calls = (0..count).map(|at| host.call(&format!("detach {NETWORK} --id {}", name(at))));
    at_once(host, calls.collect())
}

/// Starts as many processes that do nothing.
fn starts(host: &Host, count: usize) -> Result<Duration> {
    at_once(host, (0..count).map(|_| host.call("--version")).collect())
}

fn at_once(host: &Host, calls: Vec<Call>) -> Result<Duration> {
    let count = calls.len();
    host.netns.run(|| {
        let begun = Instant::now();
        let started: std::io::Result<Vec<Child>> = calls.iter().map(spawn).collect();
        let mut failed = 0;
        for mut child in started.context("start fairlead")? {
            let status = child.wait().context("wait for fairlead")?;
            failed += usize::from(!status.success());
        }
        let took = begun.elapsed();
        ensure!(failed == 0, "{failed} of {count} failed");
        Ok(took)
    })?
}

fn spawn(call: &Call) -> std::io::Result<Child> {
    Command::new(&call.program)
        .args(&call.arguments)
        .env_clear()
        .envs(call.environment.iter().map(|(name, value)| (*name, value)))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
}
