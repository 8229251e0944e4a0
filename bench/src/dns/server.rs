//! The servers that are measured, each a process on one processor.

use super::zone;
use anyhow::{Context, Result, bail};
use fairlead_dns::{RType, client};
use nix::time::{clock_getcpuclockid, clock_gettime};
use nix::unistd::Pid;
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fmt;
use std::io::Read;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The option by which the program starts our server in a process of its own.
pub const SERVE: &str = "--serve";
/// How long a server has for its start, with many names.
const START: Duration = Duration::from_secs(120);

/// Whose server it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Fairlead,
    PowerDns,
    Dnsmasq,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Fairlead => "Fairlead",
            Self::PowerDns => "PowerDNS",
            Self::Dnsmasq => "dnsmasq",
        })
    }
}

/// A running server. It ends with this value.
#[derive(Debug)]
pub(super) struct Subject {
    pub(super) kind: Kind,
    pub(super) services: u32,
    pub(super) at: SocketAddr,
    pub(super) questions: PathBuf,
    child: Child,
}

impl Drop for Subject {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The body of our server's process: `--serve ADDRESS:PORT SERVICES`. It ends with its
/// standard input.
///
/// # Errors
/// When it cannot listen.
pub fn serve(arguments: &[OsString]) -> Result<()> {
    let arguments: Vec<&str> = arguments.iter().filter_map(|a| a.to_str()).collect();
    let [at, services] = arguments.as_slice() else {
        bail!("an address and a number of services are wanted");
    };
    let server = zone::server(services.parse()?)?;
    let errors = server.listen(&BTreeSet::from([at.parse()?]));
    if let Some(error) = errors.into_iter().next() {
        return Err(error.into());
    }
    std::io::stdin().read_to_end(&mut Vec::new())?;
    server.stop();
    Ok(())
}

fn free_port() -> Result<SocketAddr> {
    loop {
        let udp = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).context("find a port")?;
        let at = udp.local_addr().context("find a port")?;
        if TcpListener::bind(at).is_ok() {
            return Ok(at);
        }
    }
}

impl Subject {
    pub(super) fn start(kind: Kind, services: u32, dir: &Path) -> Result<Self> {
        let own = dir.join(format!("{kind}-{services}"));
        std::fs::create_dir(&own).with_context(|| format!("make {}", own.display()))?;
        let at = free_port()?;
        let mut command = Command::new("setpriv");
        // Each replaces itself by what it starts, so it is the child.
        command.args(["--pdeathsig", "KILL", "--", "taskset", "-c", "0"]);
        command.args(program(kind, services, at, &own)?);
        let child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .with_context(|| format!("start {kind}"))?;
        let mut subject = Self {
            kind,
            services,
            at,
            questions: zone::questions(services, dir)?,
            child,
        };
        subject.wait()?;
        Ok(subject)
    }

    /// Waits until the last service is known.
    fn wait(&mut self) -> Result<()> {
        let end = Instant::now() + START;
        let i = self.services - 1;
        let name = format!("web{i}.ns{}.svc.c1", i % 50);
        loop {
            let limit = Duration::from_secs(1);
            let answer = client::ask(self.at, &name, RType::A, limit);
            if answer.is_ok_and(|answer| answer.records.len() == 1) {
                return Ok(());
            }
            if let Some(status) = self.child.try_wait().context("wait for a server")? {
                bail!("{} ended with {status}", self.kind);
            }
            if Instant::now() > end {
                bail!("{} does not answer about {name}", self.kind);
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// How long it has been computing, all of its threads together.
    pub(super) fn cpu(&self) -> Result<Duration> {
        let pid = Pid::from_raw(self.child.id().try_into().context("a process id")?);
        let clock = clock_getcpuclockid(pid).context("find a process's clock")?;
        let time = clock_gettime(clock).context("read a process's clock")?;
        Ok(Duration::from(time))
    }
}

fn program(kind: Kind, services: u32, at: SocketAddr, dir: &Path) -> Result<Vec<OsString>> {
    let text = |words: &[&str]| words.iter().map(OsString::from).collect::<Vec<_>>();
    let (ip, port, place) = (at.ip(), at.port(), dir.display());
    Ok(match kind {
        Kind::Fairlead => {
            let own = std::env::current_exe().context("find the program itself")?;
            let mut words = vec![own.into_os_string()];
            words.extend(text(&[SERVE, &at.to_string(), &services.to_string()]));
            words
        }
        Kind::PowerDns => text(&[
            "pdns_server",
            "--daemon=no",
            "--guardian=no",
            "--write-pid=no",
            "--security-poll-suffix=",
            "--loglevel=0",
            "--launch=bind",
            // What it has for one processor.
            "--receiver-threads=1",
            "--distributor-threads=1",
            &format!("--config-dir={place}"),
            &format!("--socket-dir={place}"),
            &format!("--bind-config={}", zone::bind(services, dir)?.display()),
            &format!("--local-address={ip}"),
            &format!("--local-port={port}"),
        ]),
        Kind::Dnsmasq => text(&[
            "dnsmasq",
            "--keep-in-foreground",
            "--no-resolv",
            "--no-hosts",
            "--bind-interfaces",
            "--user=root",
            "--pid-file=",
            &format!("--conf-file={}", zone::dnsmasq(services, dir)?.display()),
            &format!("--listen-address={ip}"),
            &format!("--port={port}"),
        ]),
    })
}
