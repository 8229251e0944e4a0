//! What goes through between two containers, as `iperf3` sees it. The host's program runs in the
//! containers' namespaces.

use super::engine::{Engine, Who};
use crate::turns::turns;
use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long a server has for its start.
const START: Duration = Duration::from_secs(10);

/// What went through between two containers.
#[derive(Debug)]
pub(super) struct Rates {
    pub(super) what: String,
    /// In Gbit/s, in the order of the rounds.
    pub(super) all: Vec<f64>,
}

/// A way between two containers.
#[derive(Debug)]
pub(super) struct Path {
    what: String,
    from: String,
    to: String,
    /// It ends with this value.
    _server: Server,
}

/// A running `iperf3 -s`.
#[derive(Debug)]
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A command in the network namespace of a process, on one processor.
fn inside(pid: &str, processor: &str) -> Command {
    let mut command = Command::new("setpriv");
    // Each replaces itself by what it starts, so it is the child.
    command
        .args(["--pdeathsig", "KILL", "--", "nsenter"])
        .arg(format!("--net=/proc/{pid}/ns/net"))
        .args(["taskset", "-c", processor, "iperf3"])
        .stdin(Stdio::null());
    command
}

impl Path {
    /// Starts a container at each end, and a server in the second one.
    pub(super) fn lay(what: String, who: Who, ends: [(&Engine<'_>, &str); 2]) -> Result<Self> {
        let [(one, from), (two, to)] = ends;
        let (from, _) = one.stay(who, from)?;
        let (server, to) = two.stay(who, to)?;
        let server = inside(&server, "0")
            .arg("-s")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("start iperf3")?;
        let path = Self {
            what,
            from,
            to,
            _server: Server(server),
        };
        let begun = Instant::now();
        while let Err(error) = path.once(1) {
            if begun.elapsed() > START {
                return Err(error.context(path.what));
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        Ok(path)
    }

    /// What goes through now, in Gbit/s.
    fn once(&self, seconds: u32) -> Result<f64> {
        let output = inside(&self.from, "1")
            .args(["-c", &self.to, "-J", "--connect-timeout", "2000"])
            .args(["-t", &seconds.to_string()])
            .output()
            .context("start iperf3")?;
        let told: Value = serde_json::from_slice(&output.stdout).context("read iperf3's report")?;
        let rate = &told["end"]["sum_received"]["bits_per_second"];
        match rate.as_f64() {
            Some(rate) if output.status.success() && rate > 0.0 => Ok(rate / 1e9),
            _ => bail!("iperf3 from {}: {}", self.what, told["error"]),
        }
    }
}

/// Measures all of them, in turns.
pub(super) fn measure<const N: usize>(
    paths: [Path; N],
    rounds: u32,
    seconds: u32,
) -> Result<Vec<Rates>> {
    let mut found = paths.each_ref().map(|path| Rates {
        what: path.what.clone(),
        all: Vec::new(),
    });
    let order: [usize; N] = std::array::from_fn(|at| at);
    for round in 0..rounds {
        eprintln!("throughput: round {round} of {rounds}");
        for at in turns(order, round) {
            found[at].all.push(paths[at].once(seconds)?);
        }
    }
    Ok(found.into())
}

/// Between two containers of one node, first on Docker's bridge and then on a network of ours.
pub(super) fn on_one_node(engine: &Engine<'_>, rounds: u32, seconds: u32) -> Result<Vec<Rates>> {
    let lay = |who: Who| {
        let [from, to] = ["from", "to"].map(|end| format!("{end}-{}", who.network()));
        Path::lay(who.to_string(), who, [(engine, &from), (engine, &to)])
    };
    measure([lay(Who::Bridge)?, lay(Who::Ours)?], rounds, seconds)
}
