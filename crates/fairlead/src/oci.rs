//! The binary as an OCI runtime and as its hook. Both are short processes on the path of
//! every container's start, so they are recognised before the command line is looked at.

use fairlead_oci::hook::HookCommand;
use fairlead_types::Root;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// The name that is a runtime's with every argument. An engine that has none to add calls it
/// without a shell in between.
pub(crate) const RUNTIME: &str = "fairlead-runtime";

/// Answers as the runtime or the hook, when `arguments` are those of one:
/// `oci [--config FILE] -- RUNTIME'S ARGUMENTS`, or
/// `cni [--config FILE] --command add|del|check`; or when the program is called [`RUNTIME`].
pub(crate) fn run(program: &OsStr, arguments: &[OsString]) -> Option<ExitCode> {
    let first = arguments.first().and_then(|first| first.to_str());
    let is_runtime = Path::new(program).file_name() == Some(OsStr::new(RUNTIME));
    if !is_runtime && !matches!(first, Some("oci" | "cni")) {
        return None;
    }
    let root = Root::from_env_value(std::env::var_os(Root::ENV));
    // The hooks of its containers have its name, too.
    if is_runtime && first != Some("cni") {
        let status = fairlead_oci::wrapper::run(Path::new(program), &root, None, arguments);
        return Some(ExitCode::from(status));
    }
    below(&root, program, arguments)
}

/// The same, with every file of ours below `root`.
pub(crate) fn below(root: &Root, program: &OsStr, arguments: &[OsString]) -> Option<ExitCode> {
    let (first, rest) = arguments.split_first()?;
    let program = Path::new(program);
    if first == "oci" {
        let (config, rest) = runtime(rest)?;
        let status = fairlead_oci::wrapper::run(program, root, config.as_deref(), rest);
        return Some(ExitCode::from(status));
    }
    if first == "cni" {
        let (config, command) = hook(rest)?;
        let name = program.file_name().unwrap_or_default().to_string_lossy();
        let done = fairlead_oci::hook::run(&name, root, config.as_deref(), command);
        return Some(if done {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        });
    }
    None
}

/// The file of the settings and the runtime's own arguments; none of a call for help.
fn runtime(arguments: &[OsString]) -> Option<(Option<PathBuf>, &[OsString])> {
    let (config, used) = config(arguments);
    match arguments[used..].split_first() {
        Some((separator, rest)) if separator == "--" => Some((config, rest)),
        _ => None,
    }
}

/// The file of the settings and the command; none where that is not one of a hook.
fn hook(arguments: &[OsString]) -> Option<(Option<PathBuf>, HookCommand)> {
    let mut file = None;
    let mut command = None;
    let mut rest = arguments;
    while !rest.is_empty() {
        let (found, used) = config(rest);
        if used > 0 {
            file = found;
        } else {
            let (value, used) = value(rest, "--command");
            command = Some(value?.to_str()?.parse().ok()?);
            rest = &rest[used..];
            continue;
        }
        rest = &rest[used..];
    }
    command.map(|command| (file, command))
}

fn config(arguments: &[OsString]) -> (Option<PathBuf>, usize) {
    let (value, used) = value(arguments, "--config");
    (value.map(PathBuf::from), used)
}

/// The value of an option that stands first, and how many arguments it takes.
fn value(arguments: &[OsString], name: &str) -> (Option<OsString>, usize) {
    let Some(first) = arguments.first() else {
        return (None, 0);
    };
    if first == name {
        return match arguments.get(1) {
            Some(value) => (Some(value.clone()), 2),
            None => (None, 0),
        };
    }
    let inline = first
        .to_str()
        .and_then(|text| text.strip_prefix(name)?.strip_prefix('='));
    match inline {
        Some(value) => (Some(value.into()), 1),
        None => (None, 0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<OsString> {
        line.split_whitespace().map(OsString::from).collect()
    }

    #[test]
    fn a_runtimes_arguments_stand_behind_two_dashes() {
        let line = words("--config /etc/docker/cni.yaml -- --root R create ID");
        let (config, rest) = runtime(&line).unwrap();
        assert_eq!(config.as_deref(), Some(Path::new("/etc/docker/cni.yaml")));
        assert_eq!(rest, words("--root R create ID"));
        let line = words("-- features");
        assert_eq!(runtime(&line), Some((None, &line[1..])));
        for help in ["", "--help", "--config", "--config f", "create ID"] {
            assert_eq!(runtime(&words(help)), None, "{help}");
        }
    }

    #[test]
    fn a_hook_has_a_command_and_nothing_else() {
        let found = hook(&words("--config F --command add"));
        assert_eq!(found, Some((Some("F".into()), HookCommand::Add)));
        let found = hook(&words("--command=del --config=F"));
        assert_eq!(found, Some((Some("F".into()), HookCommand::Del)));
        assert_eq!(
            hook(&words("--command check")),
            Some((None, HookCommand::Check))
        );
        for other in [
            "",
            "--command",
            "--command x",
            "add back ns",
            "--config F",
            "--command add x",
        ] {
            assert_eq!(hook(&words(other)), None, "{other}");
        }
    }
}
