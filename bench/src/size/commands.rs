//! What commands take, on the node with its agent and on its twin without.

use super::findings::{Findings, Line, Table};
use super::host::Host;
use super::stage::Stage;
use crate::program::Meter;
use anyhow::{Context, Result, ensure};
use std::time::Duration;

/// The longest time of a status, in milliseconds.
const STATUS: f64 = 200.0;

/// A command, whether it has to be quick, and how many lines it prints at least.
struct Command {
    line: &'static str,
    is_status: bool,
    lines: fn(&Stage) -> usize,
}

const COMMANDS: [Command; 5] = [
    Command {
        line: "net status",
        is_status: true,
        lines: |_| 2,
    },
    Command {
        line: "net status --verbose",
        is_status: true,
        lines: |stage| stage.extent.addresses as usize,
    },
    Command {
        line: "net status -o json",
        is_status: false,
        lines: |_| 1,
    },
    Command {
        line: "node ls",
        is_status: false,
        lines: |stage| stage.extent.nodes as usize,
    },
    Command {
        line: "net setup --dry-run",
        is_status: false,
        lines: |_| 1,
    },
];

/// Measures each command with and without an agent, in turns.
///
/// # Errors
/// When one fails, or prints less than it must.
pub(super) fn measure(stage: &mut Stage, findings: &mut Findings) -> Result<()> {
    let mut table = Table::new(
        "Commands",
        "From the start of the process to its end, on the node with its agent and on a twin of it without one, in \
         turns. Without an agent, what others wrote comes from etcd.",
    );
    // The twin has its networks, as a node without agent has them.
    let (took, _) = stage.twin.run("net setup")?;
    let setup = Line::once("`net setup`, nothing there, without agent", took);
    let hosts = [(&stage.node, "with agent"), (&stage.twin, "without agent")];
    for command in &COMMANDS {
        let mut times: [Vec<Duration>; 2] = [Vec::new(), Vec::new()];
        for round in 0..stage.extent.rounds {
            for turn in 0..hosts.len() {
                let at = (turn + round as usize) % hosts.len();
                let (took, printed) = hosts[at].0.run(command.line)?;
                times[at].push(took);
                let (lines, least) = (printed.lines().count(), (command.lines)(stage));
                ensure!(lines >= least, "'{}' printed {lines} lines", command.line);
            }
        }
        for ((host, with), times) in hosts.iter().zip(times) {
            let peak = peak(host, command.line).context("measure memory")?;
            let what = format!("`{}`, {with}", command.line);
            let line = Line::times(what.clone(), times).note(format!("{peak:.0} MiB at most"));
            if command.is_status {
                findings.at_most(format!("{what}, ms"), STATUS, line.median());
            }
            table.lines.push(line);
        }
    }
    table.lines.push(setup);
    findings.tables.push(table);
    Ok(())
}

/// What a command has resident at most, in MiB.
fn peak(host: &Host, line: &str) -> Result<f64> {
    let mut meter = Meter::memory(&host.netns);
    meter.run(&host.call(line))?;
    Ok(f64::from(u32::try_from(meter.peak)?) / 1024.0)
}
