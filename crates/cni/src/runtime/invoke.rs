//! One plugin, built in or a program: found, called, its answer read.

use super::error::{RuntimeError, Said};
use super::program::{Ended, Program};
use crate::conf::is_program_name;
use crate::plugin::refuse_own_namespace;
use crate::{Builtins, Call, CniError, CniResult, Command, Plugin, SpecVersion};
use serde_json::{Value, json};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How plugins are found and run.
#[derive(Clone, Copy)]
pub(super) struct Invoker<'a> {
    pub(super) builtins: &'a dyn Builtins,
    /// A program of the same name wins over a built-in plugin.
    pub(super) prefer_external: bool,
    /// A program leads a process group, so that a time limit ends its children
    /// too. Not for a delegated one: who kills the plugin that delegated would
    /// not reach it any more.
    pub(super) own_group: bool,
}

/// Where a plugin is.
pub(super) enum Found<'a> {
    BuiltIn(&'a dyn Plugin),
    Program(PathBuf),
}

impl<'a> Invoker<'a> {
    pub(super) fn find(&self, plugin: &str, path: &[PathBuf]) -> Result<Found<'a>, RuntimeError> {
        let built_in = self.builtins.get(plugin);
        match (built_in, self.prefer_external) {
            (Some(plugin), false) => Ok(Found::BuiltIn(plugin)),
            (Some(built_in), true) => {
                Ok(search(plugin, path).map_or_else(|_| Found::BuiltIn(built_in), Found::Program))
            }
            (None, _) => search(plugin, path).map(Found::Program),
        }
    }

    /// Calls a plugin. ADD has a result, the others have none. `command` may
    /// differ from the call's: a plugin undoes its own ADD by a DEL.
    pub(super) fn invoke(
        &self,
        call: &Call,
        command: Command,
        plugin: &str,
    ) -> Result<Option<CniResult>, RuntimeError> {
        match self.find(plugin, &call.path)? {
            Found::BuiltIn(built_in) => {
                run_built_in(call, command, built_in).map_err(|source| RuntimeError::Plugin {
                    command,
                    plugin: plugin.to_owned(),
                    source,
                })
            }
            Found::Program(path) => self.run_program(call, command, plugin, path),
        }
    }

    fn run_program(
        &self,
        call: &Call,
        command: Command,
        plugin: &str,
        path: PathBuf,
    ) -> Result<Option<CniResult>, RuntimeError> {
        let ended = Program {
            path: &path,
            command,
            input: &call.config.to_vec(),
            environment: environment(call, command),
            limit: call.time_limit,
            own_group: self.own_group,
        }
        .run()?;
        let output = successful(ended, command, plugin, &path)?;
        if command != Command::Add {
            return Ok(None);
        }
        result(&output.stdout)
            .map(Some)
            .map_err(|reason| RuntimeError::Answer {
                command,
                program: path,
                reason,
                said: output.said,
            })
    }

    /// The versions a program speaks, by VERSION.
    pub(super) fn versions(
        &self,
        plugin: &str,
        path: &Path,
        limit: Duration,
    ) -> Result<Vec<String>, RuntimeError> {
        let command = Command::Version;
        let input = json!({"cniVersion": SpecVersion::LATEST.as_str()}).to_string();
        // Programs from before VERSION look for these before they say so.
        let environment = ["CNI_NETNS", "CNI_IFNAME", "CNI_PATH"]
            .map(|name| (name, OsString::from("dummy")))
            .into_iter()
            .chain([("CNI_COMMAND", command.as_str().into())])
            .collect();
        let ended = Program {
            path,
            command,
            input: input.as_bytes(),
            environment,
            limit,
            own_group: self.own_group,
        }
        .run()?;
        let output = match successful(ended, command, plugin, path) {
            Ok(output) => output,
            Err(RuntimeError::Plugin { source, .. })
                if source.msg == "unknown CNI_COMMAND: VERSION" =>
            {
                return Ok(vec![SpecVersion::V0_1_0.to_string()]);
            }
            Err(error) => return Err(error),
        };
        spoken(&output.stdout).map_err(|reason| RuntimeError::Answer {
            command,
            program: path.to_owned(),
            reason,
            said: output.said,
        })
    }
}

fn search(plugin: &str, path: &[PathBuf]) -> Result<PathBuf, RuntimeError> {
    if !is_program_name(plugin) {
        return Err(RuntimeError::PluginName {
            plugin: plugin.to_owned(),
        });
    }
    path.iter()
        .map(|dir| dir.join(plugin))
        .find(|file| file.is_file())
        .ok_or_else(|| RuntimeError::NotFound {
            plugin: plugin.to_owned(),
            searched: path.to_vec(),
        })
}

fn run_built_in(
    call: &Call,
    command: Command,
    plugin: &dyn Plugin,
) -> Result<Option<CniResult>, CniError> {
    match command {
        Command::Add => {
            refuse_own_namespace(call)?;
            return plugin.add(call).map(Some);
        }
        Command::Del => plugin.del(call)?,
        Command::Check => plugin.check(call)?,
        Command::Gc => plugin.gc(call)?,
        Command::Status => plugin.status(call)?,
        Command::Version => {}
    }
    Ok(None)
}

fn environment(call: &Call, command: Command) -> Vec<(&'static str, OsString)> {
    let dirs: Vec<_> = call.path.iter().map(|p| p.as_os_str()).collect();
    let mut variables = vec![
        ("CNI_COMMAND", command.as_str().into()),
        ("CNI_PATH", dirs.join(OsStr::from_bytes(b":"))),
    ];
    if let Some(container) = &call.container {
        variables.push(("CNI_CONTAINERID", container.as_str().into()));
    }
    if let Some(netns) = &call.netns {
        variables.push(("CNI_NETNS", netns.into()));
    }
    if let Some(ifname) = &call.ifname {
        variables.push(("CNI_IFNAME", ifname.as_str().into()));
    }
    if !call.args.raw().is_empty() {
        variables.push(("CNI_ARGS", call.args.raw().into()));
    }
    if call.netns_override {
        variables.push(("CNI_NETNS_OVERRIDE", "1".into()));
    }
    variables
}

struct Output {
    stdout: Vec<u8>,
    said: Said,
}

fn successful(
    ended: Ended,
    command: Command,
    plugin: &str,
    program: &Path,
) -> Result<Output, RuntimeError> {
    let said = Said(ended.stderr);
    if ended.status.success() {
        return Ok(Output {
            stdout: ended.stdout,
            said,
        });
    }
    let answer = serde_json::from_slice(&ended.stdout).ok();
    if let Some(mut source) = answer.as_ref().and_then(CniError::from_json) {
        if !said.0.is_empty() {
            let before = if source.details.is_empty() { "" } else { "; " };
            source.details += &format!("{before}standard error: {}", said.0);
        }
        return Err(RuntimeError::Plugin {
            command,
            plugin: plugin.to_owned(),
            source,
        });
    }
    let said = if said.0.is_empty() {
        Said(super::program::shortened(&ended.stdout))
    } else {
        said
    };
    Err(RuntimeError::Exit {
        command,
        program: program.to_owned(),
        status: ended.status,
        said,
    })
}

/// Reads what ADD printed. Null is an empty result, as the reference runtime
/// takes it; without a version the keys show the form.
fn result(stdout: &[u8]) -> Result<CniResult, String> {
    let quoted = || super::program::shortened(stdout);
    match serde_json::from_slice(stdout) {
        Ok(Value::Null) => Ok(CniResult::default()),
        Ok(value @ Value::Object(_)) => CniResult::from_json(&value).map_err(|e| e.to_string()),
        Ok(_) => Err(format!("no object: {:?}", quoted())),
        Err(e) => Err(format!("{e} in {:?}", quoted())),
    }
}

/// Reads what VERSION printed.
fn spoken(stdout: &[u8]) -> Result<Vec<String>, String> {
    let value: Value = serde_json::from_slice(stdout)
        .map_err(|e| format!("{e} in {:?}", super::program::shortened(stdout)))?;
    let own = value.get("cniVersion").and_then(Value::as_str);
    let own = own.ok_or("cniVersion is missing")?;
    let list = value.get("supportedVersions").and_then(Value::as_array);
    let versions: Vec<String> = list
        .into_iter()
        .flatten()
        .filter_map(|v| v.as_str().map(str::to_owned))
        .collect();
    match versions.is_empty() {
        false => Ok(versions),
        // 0.2.0 brought VERSION without the list.
        true if own == "0.2.0" => Ok(vec!["0.1.0".into(), "0.2.0".into()]),
        true => Err("supportedVersions is missing".into()),
    }
}
