//! The hooks: what a runtime calls while it makes a container, and after it took one away.
//! They also serve engines that call hooks themselves, without the wrapper.

use crate::bundle::Bundle;
use crate::choice::Choice;
use crate::door::Oci;
use crate::error::one_line;
use crate::settings::{DEFAULT_PATH, Settings};
use crate::{OciError, hosts, report};
use fairlead_attach::Wanted;
use fairlead_kernel::{NetNs, Route};
use fairlead_store::{Actor, AttachmentFilter};
use fairlead_types::{ContainerId, Root};
use ipnet::IpNet;
use serde::Deserialize;
use serde_json::json;
use std::fs::TryLockError;
use std::io::{Read, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::str::FromStr;
use std::time::{Duration, Instant};
use tracing::{debug, info, warn};

/// How long the state of a container may be, in bytes.
const MAX_STATE: u64 = 4 << 20;
/// How long to wait for what the container had in its last run to be gone.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// What a hook does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HookCommand {
    /// Gives the container its interfaces.
    Add,
    /// Takes them away: says so in the record, and has another process do it, since the
    /// kernel takes longer than everything else of a container's end.
    Del,
    /// Does at once what `del` began.
    Finish,
    /// Looks whether they are as they were made.
    Check,
}

impl FromStr for HookCommand {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.to_ascii_lowercase().as_str() {
            "add" => Ok(Self::Add),
            "del" => Ok(Self::Del),
            "finish" => Ok(Self::Finish),
            "check" => Ok(Self::Check),
            _ => Err(format!("--command {text:?} is none of add, del, check")),
        }
    }
}

/// The state of a container as a hook reads it from standard input (OCI runtime
/// specification, "State").
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct State {
    /// The container's id.
    pub id: String,
    /// Its first process; 0 once that is gone.
    #[serde(default)]
    pub pid: u32,
    /// How far it is.
    #[serde(default)]
    pub status: String,
    /// The folder of its bundle.
    #[serde(default)]
    pub bundle: PathBuf,
}

/// Runs a hook for the container whose state is on standard input. A failure is told in one
/// line on standard error, which runtimes pass on, and in the bundle for the wrapper.
///
/// # Errors
/// The line; it has been written.
pub fn run(program: &str, root: &Root, settings: Option<&Path>, command: HookCommand) -> bool {
    let mut bundle = None;
    let done = state(&mut std::io::stdin()).and_then(|state| {
        bundle = Some(state.bundle.clone());
        of(root, settings, command, &state)
    });
    let Err(error) = done else { return true };
    let line = one_line(&error.to_string());
    warn!("[hook] {command:?}: {line}");
    if let Some(bundle) = bundle.filter(|_| command == HookCommand::Add) {
        let _ = std::fs::write(bundle.join(report::REASON), &line);
    }
    eprintln!("{program}: {line}");
    false
}

fn state(from: &mut dyn Read) -> Result<State, OciError> {
    let form = |reason: String| OciError::Form {
        path: "state of the container on standard input".into(),
        reason,
    };
    let mut text = Vec::new();
    let read = from.take(MAX_STATE).read_to_end(&mut text);
    read.map_err(|error| form(error.to_string()))?;
    serde_json::from_slice(&text).map_err(|error| form(error.to_string()))
}

fn of(
    root: &Root,
    path: Option<&Path>,
    command: HookCommand,
    state: &State,
) -> Result<(), OciError> {
    let path = path.map_or_else(|| root.join(DEFAULT_PATH), Path::to_owned);
    let path = path.as_path();
    let container = ContainerId::new(&state.id)?;
    let settings = match (Settings::read(path), command) {
        // What was taken on is given back whatever became of the file.
        (Err(_), HookCommand::Del | HookCommand::Finish) => Settings::parse(path, "")?,
        (settings, _) => settings?,
    };
    report::begin(&settings, false);
    debug!("[hook] {command:?} {container} {}", state.status);
    let told = settings.clone();
    let done = match command {
        HookCommand::Add => Oci::with(root, settings)?.add(&container, state),
        HookCommand::Del => Oci::by_records(root, settings)?.del(&container, state),
        HookCommand::Finish => Oci::by_records(root, settings)?.finish(&container),
        HookCommand::Check => Oci::with(root, settings)?.check(&container),
    };
    match &done {
        Ok(what) => report::plugins(&told, &format!("{command:?} {container}: {what}")),
        Err(error) => report::plugins(&told, &format!("{command:?} {container}: {error}")),
    }
    done.map(drop)
}

impl Oci {
    fn add(&mut self, container: &ContainerId, state: &State) -> Result<String, OciError> {
        let since = Instant::now();
        let bundle = Bundle::read(&state.bundle)?;
        // The wrapper has given it a namespace with everything in it.
        if self.node.find_endpoint(container, &[])?.is_some() {
            return Ok("it has its endpoint".into());
        }
        let netns = NetNs::of_pid(state.pid)?;
        if netns.id()? == NetNs::current()?.id()? {
            info!("[hook] {container} is on the host's network: left alone");
            return Ok("it is on the host's network".into());
        }
        let choice = Choice::of(&bundle, &self.settings)?;
        if choice.fixed {
            return Err(OciError::Choice {
                key: crate::keys::FIXED.into(),
                value: "on".into(),
                reason:
                    "an address is kept by the runtime wrapper only, and not in a user namespace"
                        .into(),
            });
        }
        let wanted = self.wanted(&choice)?;
        check_free(&netns, container, &wanted)?;
        self.wait_for_others(container, &wanted)?;
        let _turn = self.turns(&wanted)?;
        let taken = since.elapsed();
        if taken > self.settings.hook_timeout / 10 {
            // Who had to wait has less time for its plugins.
            let limit = self.settings.plugin_limit_after(taken);
            self.node
                .use_programs(self.node.plugin_path().to_vec(), limit);
        }
        let path = PathBuf::from(format!("/proc/{}/ns/net", state.pid));
        for one in &wanted {
            // What cannot be taken away, ADD tells.
            let _ = self.node.clear_leftovers(container, one);
        }
        let given = self.node.attach_all(container, &path, &wanted)?;
        self.tell_hosts(&bundle, &given);
        let given: Vec<String> = given.iter().flatten().map(IpNet::to_string).collect();
        info!("[hook] {container} has {}", given.join(" "));
        Ok(given.join(" "))
    }

    fn del(&self, container: &ContainerId, state: &State) -> Result<String, OciError> {
        if let Some(home) = Bundle::read(&state.bundle)
            .ok()
            .and_then(|b| b.docker_home())
            && let Err(error) = hosts::remove(&home.join("hosts"))
        {
            debug!("[hook] hosts of {container}: {error}");
        }
        if self.node.leave_endpoint(container)? {
            return Ok("it left its endpoint".into());
        }
        if let Err(error) = self.leave_to_another(container, state) {
            debug!("[hook] {container}: {error}; it is detached here");
            return self.finish(container);
        }
        Ok("another process detaches it".into())
    }

    fn finish(&self, container: &ContainerId) -> Result<String, OciError> {
        self.node.finish_detach(container)?;
        info!("[hook] {container} is detached");
        Ok("detached".into())
    }

    /// Starts a process that takes everything of a container away, and records that it does,
    /// before it may. Should it die, `gc` finds what is left.
    fn leave_to_another(&self, container: &ContainerId, state: &State) -> Result<(), OciError> {
        let failed = |source| OciError::Bundle {
            operation: "start",
            path: "/proc/self/exe".into(),
            source,
        };
        let program = std::env::args_os().next().unwrap_or_default();
        let mut child = Command::new("/proc/self/exe")
            .arg0(program)
            .args(["cni", "--command", "finish", "--config"])
            .arg(&self.settings.path)
            .env(Root::ENV, self.node.host().root().dir())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .map_err(failed)?;
        // A child that has ended already is nobody to hand anything to.
        let actor = Actor::of(child.id()).map_err(failed)?;
        if let Some(actor) = actor
            && self.node.hand_detach(container, actor)?
            && let Some(mut input) = child.stdin.take()
        {
            let told = json!({"id": state.id, "bundle": state.bundle, "status": state.status});
            input
                .write_all(told.to_string().as_bytes())
                .map_err(failed)?;
        }
        Ok(())
    }

    fn check(&self, container: &ContainerId) -> Result<String, OciError> {
        let filter = AttachmentFilter {
            container: Some(container),
            ..AttachmentFilter::default()
        };
        let host = self.node.host();
        let records = host.store(|store| store.view().attachments(&filter))?;
        let cache = self.node.cache(None);
        for record in &records {
            let checked = self.node.runtime(&cache).check_recorded(&record.owner);
            checked.map_err(fairlead_attach::AttachError::from)?;
        }
        Ok(format!(
            "{} interfaces are as they were made",
            records.len()
        ))
    }

    /// Writes the container's name into its engine's file of hosts. A container starts
    /// without, if that cannot be.
    pub(crate) fn tell_hosts(&self, bundle: &Bundle, given: &[Vec<IpNet>]) {
        let (Some(home), Some(name)) = (bundle.docker_home(), bundle.hostname()) else {
            return;
        };
        let addresses: Vec<_> = given.iter().flatten().map(IpNet::addr).collect();
        if let Err(error) = hosts::put(&home.join("hosts"), &addresses, name) {
            warn!("[hook] hosts of {name}: {error}");
        }
    }

    /// Waits while what the container had in its last run is taken away, and what others had
    /// that it asks for by name.
    pub(crate) fn wait_for_others(
        &self,
        container: &ContainerId,
        wanted: &[Wanted],
    ) -> Result<(), OciError> {
        let limit = PATIENCE.min(self.settings.hook_timeout / 3);
        self.node.wait_for_detach(container, limit)?;
        for one in wanted {
            for address in &one.addresses {
                for held in self.node.held(*address, Some(&one.list.name))? {
                    self.node.wait_for_detach(&held.owner.container, limit)?;
                }
            }
        }
        Ok(())
    }

    /// Plugins of other makers are run for one container of a network at a time: some are
    /// in each other's way. The files of these locks stay. One that hangs is not waited for
    /// to the end of the hook, which would be no message.
    pub(crate) fn turns(&self, wanted: &[Wanted]) -> Result<Vec<std::fs::File>, OciError> {
        let mut names: Vec<&str> = Vec::new();
        for one in wanted.iter().filter(|one| !one.has_only_built_in()) {
            names.push(one.list.name.as_str());
        }
        // In one order, so that nobody waits in a circle.
        names.sort_unstable();
        let (since, limit) = (Instant::now(), self.settings.plugin_limit());
        let lock = |name: &str| -> std::io::Result<std::fs::File> {
            let dir = self.node.host().root().make_run()?;
            let path = dir.join(format!("cni-{name}.lock"));
            let file = std::fs::OpenOptions::new()
                .create(true)
                .append(true)
                .open(path)?;
            loop {
                match file.try_lock() {
                    Ok(()) => return Ok(file),
                    Err(TryLockError::Error(error)) => return Err(error),
                    Err(TryLockError::WouldBlock) if since.elapsed() > limit => {
                        let told = format!(
                            "network {name}: the plugins of another container are not done after {limit:?}"
                        );
                        return Err(std::io::Error::new(std::io::ErrorKind::TimedOut, told));
                    }
                    // A plugin takes some ten milliseconds at least.
                    Err(TryLockError::WouldBlock) => std::thread::sleep(Duration::from_millis(2)),
                }
            }
        };
        let failed = |source| OciError::Bundle {
            operation: "lock plugins below",
            path: self.node.host().root().run(),
            source,
        };
        names
            .into_iter()
            .map(lock)
            .collect::<Result<_, _>>()
            .map_err(failed)
    }
}

/// An engine that gave the container an interface itself meant another runtime.
fn check_free(netns: &NetNs, container: &ContainerId, wanted: &[Wanted]) -> Result<(), OciError> {
    let mut route = netns.run(Route::open)??;
    for one in wanted {
        if route.link(&one.ifname)?.is_some() {
            return Err(OciError::HasInterface {
                container: container.to_string(),
                ifname: one.ifname.to_string(),
            });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_is_read_and_what_is_none_is_named() {
        let read = |text: &str| state(&mut text.as_bytes());
        let full = r#"{"ociVersion":"1.0.2","id":"abc","status":"creating","pid":7,"bundle":"/b","annotations":{"x":"y"}}"#;
        let full = read(full).unwrap();
        assert_eq!(
            (full.id.as_str(), full.pid, full.bundle.as_path()),
            ("abc", 7, Path::new("/b"))
        );
        let short = read(r#"{"id":"abc"}"#).unwrap();
        assert_eq!((short.pid, short.bundle), (0, PathBuf::new()));
        for bad in ["", "[]", "{}", r#"{"id":7}"#, r#"{"id":"a","pid":-1}"#] {
            let error = read(bad).unwrap_err().to_string();
            assert!(
                error.starts_with("state of the container on standard input"),
                "{bad}: {error}"
            );
        }
        assert!("ADD".parse::<HookCommand>().is_ok());
        assert_eq!("finish".parse(), Ok(HookCommand::Finish));
        assert!(
            "gc".parse::<HookCommand>()
                .unwrap_err()
                .contains("add, del, check")
        );
    }
}
