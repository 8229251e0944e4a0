//! LXC, by its tools. A container is there already, made by hand; here it is started with
//! what the service says put over its configuration, and stopped.

use crate::engine::process::{Log, watch};
use crate::engine::tool::{self, Outcome};
use crate::engine::{
    ContainerSpec, Engine, EngineError, Kind, Network, Running, Signal, Started, State, resolv,
};
use fairlead_types::{ContainerId, ResourceName, Root};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// How long a tool may take that only looks.
const QUICK: Duration = Duration::from_secs(10);

/// How long stopping may take beyond the time that the container has to end.
const KILLING: Duration = Duration::from_secs(20);

/// How long a container must live to count as started.
const SETTLING: Duration = Duration::from_millis(100);

/// LXC's tools.
#[derive(Debug, Clone)]
pub(super) struct Lxc {
    /// The folder of the tools; `None`: they are looked for as a shell does.
    tools: Option<PathBuf>,
    root: Root,
}

/// What `lxc-info` tells of a container that is there.
struct Info {
    /// Its first process, if it has one.
    pid: Option<u32>,
    hostname: Option<String>,
}

impl Lxc {
    pub(super) fn new(tools: Option<PathBuf>, root: Root) -> Self {
        Self { tools, root }
    }

    fn tool(&self, name: &str) -> Command {
        match &self.tools {
            Some(dir) => Command::new(dir.join(name)),
            None => Command::new(name),
        }
    }

    /// Runs one of the tools on the container of the resource.
    fn run(&self, call: &Call<'_>) -> Result<Outcome, EngineError> {
        let spec = call.spec;
        let mut command = self.tool(call.tool);
        if let Some(path) = &spec.lxcpath {
            command.arg("-P").arg(path);
        }
        command.args(["-n", call.name]).args(&call.arguments);
        let outcome = tool::run(&mut command, call.limit);
        let outcome = outcome.map_err(|error| not_there(&spec.resource, call.tool, error))?;
        outcome.ok_or_else(|| EngineError::Late {
            resource: spec.resource.clone(),
            engine: Kind::Lxc,
            operation: call.operation,
            name: call.name.to_owned(),
            limit: call.limit,
        })
    }

    /// How a container is; `None` if there is none.
    fn look(&self, spec: &ContainerSpec, name: &str) -> Result<Option<Info>, EngineError> {
        let call = Call {
            spec,
            name,
            tool: "lxc-info",
            operation: "look at",
            arguments: ["-s", "-p", "-c", "lxc.uts.name"].map(Into::into).into(),
            limit: QUICK,
        };
        let outcome = self.run(&call)?;
        if outcome.status.success() {
            return Ok(Some(Info::parse(&outcome.printed)));
        }
        if outcome.printed.ends_with("doesn't exist") {
            return Ok(None);
        }
        Err(call.refused(outcome.printed))
    }

    fn must_look(&self, spec: &ContainerSpec, name: &str) -> Result<Info, EngineError> {
        self.look(spec, name)?.ok_or_else(|| EngineError::Absent {
            resource: spec.resource.clone(),
            name: name.to_owned(),
            path: spec.lxcpath.clone(),
        })
    }

    fn launch(&self, spec: &ContainerSpec) -> Result<Running, EngineError> {
        let resolv = resolv::write(&self.root, spec)?;
        let path = Log::path(&self.root, spec);
        let shown = path.display().to_string();
        let (log, _) = Log::open(path).map_err(spec.failed("open", &shown))?;
        let mut arguments: Vec<OsString> = ["-d", "-l", "ERROR", "-o"].map(Into::into).into();
        arguments.push(shown.into());
        for setting in self.settings(spec, resolv.as_deref())? {
            arguments.push("-s".into());
            arguments.push(setting.into());
        }
        let program: Vec<&String> = spec.entrypoint.iter().chain(&spec.command).collect();
        if !program.is_empty() {
            arguments.push("--".into());
            arguments.extend(program.into_iter().map(Into::into));
        }
        let call = Call {
            spec,
            name: &spec.name,
            tool: "lxc-start",
            operation: "start",
            arguments,
            limit: spec.start_timeout,
        };
        let outcome = self.run(&call)?;
        if !outcome.status.success() {
            let words = log.last_words();
            let told = if words.is_empty() {
                outcome.printed
            } else {
                words
            };
            return Err(call.refused(told));
        }
        let info = self.must_look(spec, &spec.name)?;
        if let Some(running) = running(spec, &info)? {
            let settled = watch::settles(running.pid, SETTLING);
            if settled.map_err(spec.failed("wait for process", running.pid))? {
                return Ok(running);
            }
        }
        Err(EngineError::Ended {
            resource: spec.resource.clone(),
            name: spec.name.clone(),
            status: "its init has gone".to_owned(),
            output: log.last_words(),
        })
    }

    /// What is put over the container's configuration.
    fn settings(
        &self,
        spec: &ContainerSpec,
        resolv: Option<&Path>,
    ) -> Result<Vec<String>, EngineError> {
        // No value: all networks that the configuration has are forgotten.
        let mut settings = vec!["lxc.net=".to_owned()];
        settings.push(match &spec.network {
            Network::None => "lxc.net.0.type=empty".to_owned(),
            Network::Host => "lxc.net.0.type=none".to_owned(),
            Network::Of(name) => {
                let pid = self.must_look(spec, name)?.pid.ok_or_else(|| {
                    spec.bad(
                        "netns",
                        format!("the container {name} does not run; start it first"),
                    )
                })?;
                format!("lxc.namespace.share.net={pid}")
            }
            Network::Namespace(path) => {
                let path = path.display();
                let reason = format!("lxc does not take a namespace's file, {path}");
                return Err(spec.bad("netns", reason));
            }
        });
        if let Some(hostname) = &spec.hostname {
            settings.push(format!("lxc.uts.name={hostname}"));
        }
        if let Some(cwd) = &spec.cwd {
            settings.push(format!("lxc.init.cwd={}", cwd.display()));
        }
        for (name, value) in &spec.environment {
            settings.push(format!("lxc.environment={name}={value}"));
        }
        for volume in &spec.volumes {
            settings.push(mount(volume).map_err(|reason| spec.bad("volumes", reason))?);
        }
        if let Some(path) = resolv {
            let path = path.display();
            let entry = mount(&format!("{path}:/etc/resolv.conf:ro"));
            settings.push(entry.map_err(|reason| spec.bad("lxcpath", reason))?);
        }
        // A line's end would begin another setting.
        match settings.iter().find(|text| text.contains(char::is_control)) {
            Some(text) => Err(spec.bad("environment", format!("{text:?} is more than a line"))),
            None => Ok(settings),
        }
    }
}

/// One call of a tool.
struct Call<'a> {
    spec: &'a ContainerSpec,
    name: &'a str,
    tool: &'static str,
    /// What it is for, as a verb.
    operation: &'static str,
    arguments: Vec<OsString>,
    limit: Duration,
}

impl Call<'_> {
    fn refused(&self, reason: String) -> EngineError {
        EngineError::Refused {
            resource: self.spec.resource.clone(),
            engine: Kind::Lxc,
            operation: self.operation,
            name: self.name.to_owned(),
            reason,
        }
    }
}

impl Info {
    /// Reads `State:  RUNNING`, `PID:  25233` and `lxc.uts.name = box`.
    fn parse(printed: &str) -> Self {
        let value = |key: &str| {
            let rest = printed.lines().find_map(|line| line.strip_prefix(key))?;
            Some(rest.trim_start_matches([':', ' ', '=']).trim()).filter(|text| !text.is_empty())
        };
        let runs = value("State").is_some_and(|state| state != "STOPPED");
        Self {
            pid: value("PID")
                .filter(|_| runs)
                .and_then(|pid| pid.parse().ok()),
            hostname: value("lxc.uts.name").map(str::to_owned),
        }
    }
}

impl Engine for Lxc {
    fn is_there(&self, resource: &ResourceName) -> Result<(), EngineError> {
        let tool = "lxc-info";
        let outcome = tool::run(self.tool(tool).arg("--version"), QUICK);
        outcome
            .map(drop)
            .map_err(|error| not_there(resource, tool, error))
    }

    fn start(&self, spec: &ContainerSpec) -> Result<Started, EngineError> {
        let info = self.must_look(spec, &spec.name)?;
        let up = running(spec, &info)?;
        let started = up.is_none();
        Ok(Started {
            running: match up {
                Some(running) => running,
                None => self.launch(spec).inspect_err(|_| {
                    // It was for this start alone.
                    if let Err(error) = resolv::remove(&self.root, spec) {
                        tracing::warn!("{error}");
                    }
                })?,
            },
            created: false,
            started,
            outdated: false,
        })
    }

    fn stop(&self, spec: &ContainerSpec) -> Result<bool, EngineError> {
        let up = self.look(spec, &spec.name)?.and_then(|info| info.pid);
        if up.is_none() {
            return Ok(false);
        }
        let seconds = spec.stop_timeout.as_secs();
        let arguments = match seconds {
            0 => vec!["-k".into()],
            _ => vec!["-t".into(), seconds.to_string().into()],
        };
        let call = Call {
            spec,
            name: &spec.name,
            tool: "lxc-stop",
            operation: "stop",
            arguments,
            limit: spec.stop_timeout + KILLING,
        };
        let outcome = self.run(&call)?;
        // It may have ended by itself in between.
        let gone = outcome.printed.ends_with("is not running");
        if outcome.status.success() || gone {
            return Ok(!gone);
        }
        Err(call.refused(outcome.printed))
    }

    fn remove(&self, spec: &ContainerSpec) -> Result<bool, EngineError> {
        let stopped = self.stop(spec)?;
        resolv::remove(&self.root, spec)?;
        Ok(stopped)
    }

    fn state(&self, spec: &ContainerSpec) -> Result<State, EngineError> {
        let Some(info) = self.look(spec, &spec.name)? else {
            return Ok(State::Absent);
        };
        Ok(running(spec, &info)?.map_or(State::Down, State::Up))
    }

    fn signal(&self, spec: &ContainerSpec, signal: Signal) -> Result<(), EngineError> {
        let pid = || -> Result<_, EngineError> {
            let info = self.look(spec, &spec.name)?;
            info.and_then(|info| info.pid).ok_or_else(|| spec.not_up())
        };
        let first = pid()?;
        let failed = || spec.failed("send a signal to", &spec.name);
        let process = watch::open(first).map_err(failed())?;
        // Asked again once it is held: the number might have become another's.
        let process = process.filter(|_| pid().is_ok_and(|pid| pid == first));
        let process = process.ok_or_else(|| spec.not_up())?;
        watch::send(&process, signal.number()).map_err(failed())
    }
}

fn running(spec: &ContainerSpec, info: &Info) -> Result<Option<Running>, EngineError> {
    let Some(pid) = info.pid else {
        return Ok(None);
    };
    let id = ContainerId::new(&spec.name).map_err(|error| spec.bad("name", error.to_string()))?;
    let hostname = spec.hostname.as_ref().or(info.hostname.as_ref());
    Ok(Some(Running {
        id,
        pid,
        sandbox: format!("/proc/{pid}/ns/net").into(),
        hostname: Some(hostname.unwrap_or(&spec.name).clone()),
    }))
}

fn not_there(resource: &ResourceName, tool: &str, error: std::io::Error) -> EngineError {
    EngineError::Unreachable {
        resource: resource.clone(),
        engine: Kind::Lxc,
        socket: tool.into(),
        reason: error.to_string(),
    }
}

/// `source:target[:options]` as an entry of fstab(5), the target below the container's
/// root.
fn mount(volume: &str) -> Result<String, String> {
    let mut parts = volume.splitn(3, ':');
    let (Some(source), Some(target)) = (parts.next(), parts.next()) else {
        return Err(format!(
            "{volume:?} is no volume; write source:target[:options]"
        ));
    };
    let options = parts
        .next()
        .map_or_else(String::new, |options| format!(",{options}"));
    let kind = match std::fs::metadata(source) {
        Ok(data) if data.is_dir() => "dir",
        Ok(_) => "file",
        Err(error) => return Err(format!("{source}: {error}")),
    };
    let escaped = |text: &str| text.replace('\\', "\\134").replace(' ', "\\040");
    let target = escaped(target.trim_start_matches('/'));
    let source = escaped(source);
    Ok(format!(
        "lxc.mount.entry={source} {target} none bind{options},create={kind} 0 0"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lxc_info_prints_is_read() {
        let info =
            Info::parse("State:          RUNNING\nPID:            25233\nlxc.uts.name = box");
        assert_eq!(info.pid, Some(25233));
        assert_eq!(info.hostname.as_deref(), Some("box"));
        let info = Info::parse("State:          STOPPED\nlxc.uts.name =");
        assert!(info.pid.is_none() && info.hostname.is_none());
    }

    #[test]
    fn a_volume_becomes_an_entry() {
        assert_eq!(
            mount("/etc:/mnt/x y:ro").unwrap(),
            "lxc.mount.entry=/etc mnt/x\\040y none bind,ro,create=dir 0 0"
        );
        assert_eq!(
            mount("/etc/passwd:/p").unwrap(),
            "lxc.mount.entry=/etc/passwd p none bind,create=file 0 0"
        );
        assert!(mount("/etc").is_err() && mount("/no/such:/x").is_err());
    }
}
