//! The wrapper: what an engine takes for its runtime. Everything goes to the real one as it
//! came; only when a container is made, its bundle is changed before.

use crate::OciError;
use crate::bundle::{self, Bundle, Network};
use crate::choice::Choice;
use crate::door::Oci;
use crate::invocation::Invocation;
use crate::report;
use crate::settings::{DEFAULT_PATH, Settings};
use fairlead_types::{ContainerId, Root};
use std::ffi::OsString;
use std::io::ErrorKind;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use tracing::{debug, info, warn};

/// What a shell ends with where a program is not there.
const NOT_FOUND: u8 = 127;
/// What a shell ends with where it cannot be executed.
const NOT_EXECUTABLE: u8 = 126;

/// Is the runtime, for the arguments of one. Returns only when the real one could not be
/// become: with the status to end with.
///
/// `program` is what we were started as, `config` the settings' file.
#[must_use]
pub fn run(program: &Path, root: &Root, config: Option<&Path>, arguments: &[OsString]) -> u8 {
    let call = Invocation::of(arguments);
    let name = program
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let path = config.map_or_else(|| root.join(DEFAULT_PATH), Path::to_owned);
    let path = path.as_path();
    let settings = match Settings::read(path) {
        Ok(settings) => settings,
        // A container can always be stopped, whatever became of the file.
        Err(_) if !call.makes() => match Settings::for_stopping(path) {
            Ok(settings) => settings,
            Err(error) => return fail(&name, &call, &error),
        },
        Err(error) => return fail(&name, &call, &error),
    };
    if !call.makes() {
        return become_runtime(&name, &settings, &call, arguments);
    }
    report::begin(&settings, true);
    match prepare(program, root, &settings, &call) {
        Ok(taken) => {
            let status = match passes_reasons_on(&settings) {
                true => become_runtime(&name, &settings, &call, arguments),
                false => make_and_explain(&name, &settings, &call, arguments),
            };
            if let Some(container) = taken.filter(|_| status != 0) {
                leave(root, settings, &container);
            }
            status
        }
        Err(error) => {
            warn!("[oci] {error}");
            fail(&name, &call, &error)
        }
    }
}

fn fail(program: &str, call: &Invocation, error: &OciError) -> u8 {
    report::failure(program, call, &error.to_string());
    1
}

/// Changes the bundle of a container that is made; gives the container if it has taken an
/// endpoint.
fn prepare(
    program: &Path,
    root: &Root,
    settings: &Settings,
    call: &Invocation,
) -> Result<Option<ContainerId>, OciError> {
    let no_id = OciError::CommandLine("no container's id on the command line of the runtime");
    let container = ContainerId::new(call.id.as_deref().ok_or(no_id)?)?;
    let mut bundle = Bundle::read(&call.bundle())?;
    let _ = std::fs::remove_file(bundle.dir.join(report::REASON));
    let kept = root.run().join("netns");
    let choice = match bundle.network() {
        Network::Own => Choice::of(&bundle, settings)?,
        // A bundle that we changed before.
        Network::Joined(path) if path.starts_with(&kept) => Choice::of(&bundle, settings)?,
        other => {
            info!("[oci] {container} is left alone: {other:?}");
            return Ok(None);
        }
    };
    let program = match program.is_absolute() {
        true => program.to_owned(),
        false => std::env::current_exe().map_err(|source| OciError::Bundle {
            operation: "find",
            path: "/proc/self/exe".into(),
            source,
        })?,
    };
    let taken = match endpoint(root, settings, &container, &bundle, &choice)? {
        Some(netns) => {
            debug!("[oci] {container} joins {}", netns.display());
            bundle.join(&netns);
            Some(container)
        }
        None => {
            debug!("[oci] {container} gets a hook");
            let stage = settings.hook_stage.key();
            bundle.add_hook(stage, bundle::hook(&program, settings, root, "add"));
            None
        }
    };
    bundle.add_hook("poststop", bundle::hook(&program, settings, root, "del"));
    match (bundle.write(), &taken) {
        (Err(error), Some(container)) => {
            leave(root, settings.clone(), container);
            Err(error)
        }
        (written, _) => written.map(|()| taken),
    }
}

/// The namespace that is kept for a container, if it wants one or has an address that is
/// kept.
fn endpoint(
    root: &Root,
    settings: &Settings,
    container: &ContainerId,
    bundle: &Bundle,
    choice: &Choice,
) -> Result<Option<PathBuf>, OciError> {
    if !choice.fixed && choice.addresses.is_empty() {
        return Ok(None);
    }
    let oci = Oci::with(root, settings.clone())?;
    let wanted = oci.wanted(choice)?;
    let known = oci.node.find_endpoint(container, &wanted)?.is_some();
    if !choice.fixed && !known {
        return Ok(None);
    }
    // The namespace is made here, where the container's user is nobody.
    if bundle.has_user_namespace() {
        return Err(OciError::Choice {
            key: crate::keys::FIXED.into(),
            value: "on".into(),
            reason: "an address is not kept for a container in a user namespace".into(),
        });
    }
    oci.wait_for_others(container, &wanted)?;
    let _turn = oci.turns(&wanted)?;
    let guest = oci.guest(container, bundle);
    let netns = oci.node.take_endpoint(&guest, &wanted, choice.fixed)?;
    let given = oci.node.find_endpoint(container, &wanted)?;
    let given = given
        .into_iter()
        .flat_map(|e| e.places)
        .map(|place| place.addresses);
    oci.tell_hosts(bundle, &given.collect::<Vec<_>>());
    Ok(Some(netns))
}

/// The container was not made: its endpoint is free for another.
fn leave(root: &Root, settings: Settings, container: &ContainerId) {
    let left =
        Oci::by_records(root, settings).and_then(|oci| Ok(oci.node.leave_endpoint(container)?));
    if let Err(error) = left {
        warn!("[oci] {container}: {error}");
    }
}

/// Whether a runtime puts what its hooks say into the reason that it tells its caller. Only
/// runc does; of crun and youki one hears that a hook failed.
fn passes_reasons_on(settings: &Settings) -> bool {
    let name = settings.oci_bin.file_name().unwrap_or_default();
    name.to_string_lossy().contains("runc")
}

fn command(settings: &Settings, arguments: &[OsString]) -> Command {
    let mut command = Command::new(&settings.oci_bin);
    command.args(&settings.oci_args).args(arguments);
    command
}

/// Becomes the real runtime: its process, its streams, its status are ours from here on.
fn become_runtime(
    name: &str,
    settings: &Settings,
    call: &Invocation,
    arguments: &[OsString],
) -> u8 {
    let error = command(settings, arguments).exec();
    not_started(name, settings, call, &error)
}

fn not_started(name: &str, settings: &Settings, call: &Invocation, error: &std::io::Error) -> u8 {
    let message = format!(
        "cannot execute the runtime {}: {error}; see oci_bin in {}",
        settings.oci_bin.display(),
        settings.path.display()
    );
    report::failure(name, call, &message);
    match error.kind() {
        ErrorKind::NotFound => NOT_FOUND,
        ErrorKind::PermissionDenied => NOT_EXECUTABLE,
        _ => 1,
    }
}

/// Has the real runtime make the container, and says after it why a hook of ours failed.
fn make_and_explain(
    name: &str,
    settings: &Settings,
    call: &Invocation,
    arguments: &[OsString],
) -> u8 {
    let status = match command(settings, arguments).status() {
        Ok(status) => status,
        Err(error) => return not_started(name, settings, call, &error),
    };
    if !status.success() {
        let reason = call.bundle().join(report::REASON);
        if let Ok(reason) = std::fs::read_to_string(reason) {
            report::failure(name, call, &reason);
        }
    }
    // A runtime that a signal ended has no status of its own.
    status
        .code()
        .and_then(|code| u8::try_from(code).ok())
        .unwrap_or(1)
}
