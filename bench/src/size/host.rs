//! A host: a network namespace with the product in it.

use super::daemon::Daemon;
use super::wait::until;
use crate::program::{Call, Meter};
use anyhow::{Context, Result, bail};
use fairlead_control::{Client, METRICS};
use fairlead_kernel::{NetNs, Route};
use fairlead_types::Root;
use std::ffi::OsString;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// The number by which our routes are known from those of others.
const PROTOCOL: u8 = 70;

/// A host with the product.
#[derive(Debug)]
pub(super) struct Host {
    /// Its network.
    pub(super) netns: NetNs,
    /// Its files.
    pub(super) root: Root,
    /// The product.
    pub(super) fairlead: PathBuf,
}

/// A running agent.
#[derive(Debug)]
pub(super) struct Agent {
    /// The process.
    pub(super) daemon: Daemon,
    /// When it was started.
    pub(super) begun: Instant,
    /// Until it is ready: who listens no longer must not hold it up.
    readiness: Option<UnixDatagram>,
}

/// What the agent counts.
#[derive(Debug, Clone, Copy)]
pub(super) struct Counted {
    /// Changes made to the node.
    pub(super) steps: f64,
    /// Time spent in those looks, in seconds.
    pub(super) seconds: f64,
}

impl Host {
    fn environment(&self) -> Vec<(&'static str, OsString)> {
        vec![
            ("FAIRLEAD_ROOT", self.root.dir().into()),
            ("PATH", "/usr/sbin:/usr/bin:/sbin:/bin".into()),
        ]
    }

    /// A call of the product; words are separated by blanks.
    pub(super) fn call(&self, line: &str) -> Call {
        Call {
            program: self.fairlead.clone(),
            arguments: line.split_whitespace().map(OsString::from).collect(),
            environment: self.environment(),
            input: Vec::new(),
        }
    }

    /// Calls the product, and returns how long it took and what it printed.
    ///
    /// # Errors
    /// When it fails.
    pub(super) fn run(&self, line: &str) -> Result<(Duration, String)> {
        let mut meter = Meter::time(&self.netns);
        let output = meter
            .run(&self.call(line))
            .with_context(|| line.to_owned())?;
        Ok((meter.elapsed, String::from_utf8_lossy(&output).into_owned()))
    }

    /// Starts the agent.
    ///
    /// # Errors
    /// When it cannot be started.
    pub(super) fn start_agent(&self) -> Result<Agent> {
        let dir = self.root.dir();
        let socket = dir.join("notify");
        // The one of an earlier start, if there was any.
        let _ = std::fs::remove_file(&socket);
        let readiness = UnixDatagram::bind(&socket)
            .with_context(|| format!("listen on {}", socket.display()))?;
        let mut environment = self.environment();
        environment.push(("NOTIFY_SOCKET", socket.into()));
        let begun = Instant::now();
        let log = dir.join("agent.log");
        let arguments = ["agent".into()];
        let daemon = Daemon::start(&self.netns, &self.fairlead, &arguments, &environment, &log)?;
        Ok(Agent {
            daemon,
            begun,
            readiness: Some(readiness),
        })
    }

    /// The agent's client.
    pub(super) fn client(&self) -> Client {
        Client::new(&self.root)
    }

    /// What its agent has counted until now.
    ///
    /// # Errors
    /// When no agent answers.
    pub(super) fn counted(&self) -> Result<Counted> {
        let text = self
            .client()
            .get_text(METRICS)?
            .context("no agent answers")?;
        let value = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name));
            let value = line.and_then(|line| line.trim().parse().ok());
            value.with_context(|| format!("the agent has no metric {name}"))
        };
        Ok(Counted {
            steps: value("fairlead_reconcile_steps_total ")?,
            seconds: value("fairlead_reconcile_duration_seconds_sum ")?,
        })
    }

    /// A socket to its network.
    ///
    /// # Errors
    /// When it cannot be had.
    pub(super) fn route(&self) -> Result<Route> {
        Ok(Route::open_in(&self.netns)?)
    }

    /// How many routes of ours it has.
    ///
    /// # Errors
    /// When the kernel does not tell.
    pub(super) fn routes(route: &mut Route) -> Result<usize> {
        let family = fairlead_kernel::route::IpFamily::V4;
        Ok(route.routes_by(PROTOCOL, family)?.len())
    }

    /// Deletes every link but those of the stage: what the product made goes with them.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub(super) fn strip(&self) -> Result<()> {
        let mut route = self.route()?;
        for link in route.links()? {
            if !["lo", "eth0"].contains(&link.name.as_str()) {
                route.delete_link(link.index, &link.name)?;
            }
        }
        Ok(())
    }
}

impl Agent {
    /// Waits until it says that it is ready, as it says it to systemd; returns how long
    /// that took from its start.
    ///
    /// # Errors
    /// When it ends or does not say so.
    pub(super) fn ready(&mut self) -> Result<Duration> {
        let mut buffer = [0; 4096];
        let readiness = self.readiness.take().context("it was ready already")?;
        readiness.set_nonblocking(true).context("a socket")?;
        let pause = Duration::from_millis(1);
        until("the agent is ready", self.begun, pause, || {
            self.daemon.runs()?;
            match readiness.recv(&mut buffer) {
                Ok(length) => {
                    let told = String::from_utf8_lossy(&buffer[..length]);
                    Ok(told.lines().any(|line| line == "READY=1"))
                }
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => Ok(false),
                Err(error) => bail!("listen to the agent: {error}"),
            }
        })
    }
}
