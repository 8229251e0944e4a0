//! From environment and standard input to a call, and from its outcome to
//! standard output. The order of the checks, the codes and the messages are
//! those of the reference plugins.

use super::{Call, CniArgs, Command, DEFAULT_TIME_LIMIT, Plugin, missing};
use crate::conf::{NetConf, network_name, version_text};
use crate::version::triple;
use crate::{CniError, Code, MAX_INPUT, SpecVersion, json};
use fairlead_types::{ContainerId, IfName, NameError};
use serde_json::{Map, Value};
use std::io::{Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// What a plugin has of the outside.
pub struct PluginIo<'a> {
    /// The value of an environment variable.
    pub env: &'a dyn Fn(&str) -> Option<String>,
    /// Where the configuration comes from; at most [`MAX_INPUT`] bytes.
    pub stdin: &'a mut dyn Read,
    /// Where the result, or the error, goes.
    pub stdout: &'a mut dyn Write,
    /// Where words for people go.
    pub stderr: &'a mut dyn Write,
}

impl std::fmt::Debug for PluginIo<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PluginIo").finish_non_exhaustive()
    }
}

/// Answers one call and returns the exit status: 0, or 1 after an error, which
/// is then on `stdout`. `about` is what `stderr` gets when `CNI_COMMAND` is not
/// set, as in `CNI bridge plugin v1`; `versions` are those the plugin speaks,
/// oldest first.
pub fn serve(
    io: &mut PluginIo<'_>,
    about: &str,
    versions: &[SpecVersion],
    plugin: &dyn Plugin,
) -> i32 {
    let word = variable(io, "CNI_COMMAND");
    if word.is_empty() && !about.is_empty() {
        let known = SpecVersion::list(versions);
        let text = format!("{about}\nCNI protocol versions supported: {known}\n");
        // Nobody is left to tell when even this cannot be written.
        let _ = io.stderr.write_all(text.as_bytes());
        return 0;
    }
    let mut version = SpecVersion::LATEST;
    let answer = run(io, &word, versions, plugin, &mut version).unwrap_or_else(Answer::Error);
    let (text, status) = match answer {
        Answer::Nothing => return 0,
        Answer::Text(text) => (text, 0),
        Answer::Error(error) => (json::pretty(&error.to_json(version)), 1),
    };
    let written = io.stdout.write_all(&text).and_then(|()| io.stdout.flush());
    match written {
        Ok(()) => status,
        Err(e) => {
            let _ = writeln!(io.stderr, "write the answer to standard output: {e}");
            1
        }
    }
}

enum Answer {
    Nothing,
    Text(Vec<u8>),
    Error(CniError),
}

fn run(
    io: &mut PluginIo<'_>,
    word: &str,
    versions: &[SpecVersion],
    plugin: &dyn Plugin,
    version: &mut SpecVersion,
) -> Result<Answer, CniError> {
    let command = Command::parse(word);
    let variables = Variables::read(io, word, command)?;
    if command == Some(Command::Version) {
        return Ok(Answer::Text(versions_answer(versions)));
    }
    let raw = configuration(io.stdin)?;
    if let Ok(known) = version_text(&raw)?.parse() {
        // An error is answered in the version the configuration has.
        *version = known;
    }
    network_name(&raw)?;
    let Some(command) = command else {
        return Err(CniError::new(
            Code::INVALID_ENVIRONMENT,
            format!("unknown CNI_COMMAND: {word}"),
        ));
    };
    check_version(command, version_text(&raw)?, versions)?;
    let call = variables.into_call(command, NetConf::from_object(raw)?);
    if matches!(command, Command::Add | Command::Del) {
        refuse_own_namespace(&call)?;
    }
    match command {
        Command::Add => {
            let result = plugin.add(&call)?;
            if let Err(error) = result.check_version(call.version) {
                // The runtime is told of a failure, so nothing may stay behind.
                plugin.del(&call)?;
                return Err(error);
            }
            let text = json::pretty(&result.to_json(call.version));
            return Ok(Answer::Text(text));
        }
        Command::Del => plugin.del(&call)?,
        Command::Check => plugin.check(&call)?,
        Command::Gc => plugin.gc(&call)?,
        Command::Status => plugin.status(&call)?,
        Command::Version => {}
    }
    Ok(Answer::Nothing)
}

fn variable(io: &PluginIo<'_>, name: &str) -> String {
    (io.env)(name).unwrap_or_default()
}

/// The variables of a call, checked as far as its command needs them.
struct Variables {
    container: Option<ContainerId>,
    netns: Option<PathBuf>,
    ifname: Option<IfName>,
    args: CniArgs,
    path: Vec<PathBuf>,
    netns_override: bool,
}

impl Variables {
    fn read(io: &PluginIo<'_>, word: &str, command: Option<Command>) -> Result<Self, CniError> {
        use Command::{Add, Check, Del, Gc, Status};
        let needed = |by: &[Command]| command.is_some_and(|c| by.contains(&c));
        let mut lacking = Vec::new();
        if word.is_empty() {
            lacking.push("CNI_COMMAND");
        }
        let mut take = |name, by: &[Command]| {
            let value = variable(io, name);
            if value.is_empty() && needed(by) {
                lacking.push(name);
            }
            value
        };
        let container = take("CNI_CONTAINERID", &[Add, Check, Del]);
        let netns = take("CNI_NETNS", &[Add, Check]);
        let ifname = take("CNI_IFNAME", &[Add, Check, Del]);
        let path = take("CNI_PATH", &[Add, Check, Del, Gc, Status]);
        // A value that is not needed is not looked at: GC of a runtime that
        // leaves rubbish in CNI_IFNAME works.
        let attachment = needed(&[Add, Check, Del]);
        let container = checked(&container, attachment, |t| {
            ContainerId::new(t).map_err(|e| bad_container(&e, t))
        })?;
        let ifname = checked(&ifname, attachment, |t| {
            IfName::new(t).map_err(|e| bad_ifname(&e))
        })?;
        if !lacking.is_empty() {
            return Err(missing(&lacking));
        }
        let own = variable(io, "CNI_NETNS_OVERRIDE");
        Ok(Self {
            container,
            netns: Some(netns).filter(|n| !n.is_empty()).map(PathBuf::from),
            ifname,
            args: CniArgs::parse(&variable(io, "CNI_ARGS")),
            path: split_path(&path),
            netns_override: own == "1" || own.eq_ignore_ascii_case("true"),
        })
    }

    fn into_call(self, command: Command, config: NetConf) -> Call {
        Call {
            command,
            container: self.container,
            netns: self.netns,
            ifname: self.ifname,
            args: self.args,
            path: self.path,
            netns_override: self.netns_override,
            version: config.version(),
            config,
            time_limit: DEFAULT_TIME_LIMIT,
        }
    }
}

fn checked<T>(
    text: &str,
    needed: bool,
    check: impl Fn(&str) -> Result<T, CniError>,
) -> Result<Option<T>, CniError> {
    if text.is_empty() || !needed {
        return Ok(None);
    }
    check(text).map(Some)
}

fn split_path(path: &str) -> Vec<PathBuf> {
    std::env::split_paths(path)
        .filter(|p| !p.as_os_str().is_empty())
        .collect()
}

fn bad_container(error: &NameError, text: &str) -> CniError {
    let environment = |msg: &str| CniError::new(Code::INVALID_ENVIRONMENT, msg);
    match error {
        NameError::TooLong { .. } => {
            environment("CNI_CONTAINERID is too long").with_details(error.to_string())
        }
        NameError::Empty { .. } | NameError::Character { .. } | NameError::Reserved { .. } => {
            environment("invalid characters in containerID").with_details(text)
        }
    }
}

fn bad_ifname(error: &NameError) -> CniError {
    let msg = match error {
        NameError::Empty { .. } => "interface name is empty",
        NameError::TooLong { .. } => "interface name is too long",
        NameError::Reserved { .. } => "interface name is . or ..",
        NameError::Character { .. } => "interface name contains / or : or whitespace characters",
    };
    CniError::new(Code::INVALID_ENVIRONMENT, msg).with_details(format!("CNI_IFNAME: {error}"))
}

fn configuration(stdin: &mut dyn Read) -> Result<Map<String, Value>, CniError> {
    let mut text = Vec::new();
    stdin
        .take(MAX_INPUT + 1)
        .read_to_end(&mut text)
        .map_err(|e| CniError::new(Code::IO_FAILURE, format!("error reading from stdin: {e}")))?;
    let error = |why: String| {
        CniError::new(
            Code::DECODING_FAILURE,
            format!("error unmarshall network config: {why}"),
        )
    };
    if text.len() as u64 > MAX_INPUT {
        return Err(error(format!("more than {MAX_INPUT} bytes")));
    }
    serde_json::from_slice(&text).map_err(|e| error(e.to_string()))
}

fn versions_answer(versions: &[SpecVersion]) -> Vec<u8> {
    let names: Vec<_> = versions.iter().map(|v| v.as_str()).collect();
    let answer = serde_json::json!({
        "cniVersion": SpecVersion::LATEST.as_str(),
        "supportedVersions": names,
    });
    format!("{answer}\n").into_bytes()
}

/// Whether the command exists in the configuration's version, and the plugin
/// speaks that version.
fn check_version(command: Command, config: &str, versions: &[SpecVersion]) -> Result<(), CniError> {
    let incompatible = |msg: String| CniError::new(Code::INCOMPATIBLE_VERSION, msg);
    let since = match command {
        Command::Check => Some(SpecVersion::V0_4_0),
        Command::Gc | Command::Status => Some(SpecVersion::V1_1_0),
        Command::Add | Command::Del | Command::Version => None,
    };
    if let Some(since) = since {
        let Some(given) = triple(config) else {
            return Err(CniError::new(
                Code::DECODING_FAILURE,
                format!("cniVersion {config:?} is no version: numbers as in 1.0.0 are wanted"),
            ));
        };
        if Some(given) < triple(since.as_str()) {
            return Err(incompatible(format!(
                "config version does not allow {command}"
            )));
        }
        if !versions.iter().any(|v| triple(v.as_str()) >= Some(given)) {
            return Err(incompatible(format!(
                "plugin version does not allow {command}"
            )));
        }
    }
    let known = config.parse().is_ok_and(|v| versions.contains(&v));
    if known {
        return Ok(());
    }
    let names: Vec<_> = versions.iter().map(|v| format!("\"{v}\"")).collect();
    let config = if config.is_empty() { "0.1.0" } else { config };
    Err(
        incompatible("incompatible CNI versions".into()).with_details(format!(
            "config is {config:?}, plugin supports [{}]",
            names.join(" ")
        )),
    )
}

/// A plugin that took the host's namespace for the container's would move or
/// delete the host's own interfaces.
pub(crate) fn refuse_own_namespace(call: &Call) -> Result<(), CniError> {
    let Some(netns) = call.netns.as_deref().filter(|_| !call.netns_override) else {
        return Ok(());
    };
    let identity = |path: &Path| std::fs::metadata(path).ok().map(|m| (m.dev(), m.ino()));
    // A path that is not there is for the plugin to judge: DEL takes it as done.
    let Some(given) = identity(netns) else {
        return Ok(());
    };
    if identity(Path::new("/proc/thread-self/ns/net")) != Some(given) {
        return Ok(());
    }
    Err(CniError::new(
        Code::INVALID_NETNS,
        "plugin's netns and netns from CNI_NETNS should not be the same",
    )
    .with_details(format!(
        "CNI_NETNS is {}; set CNI_NETNS_OVERRIDE=1 when that is meant",
        netns.display()
    )))
}
