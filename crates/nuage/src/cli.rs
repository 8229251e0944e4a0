//! The command line. Flags are written as the earlier programs had them: `-config FILE`,
//! `--config FILE` and `-config=FILE` are one.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Task {
    /// Serve Docker.
    Serve(PathBuf),
    /// Compare everything once.
    Audit(PathBuf),
    /// Read the settings, and say what is wrong with them.
    Check(PathBuf),
    /// Say how it is called.
    Help,
    /// Say which release it is.
    Version,
}

/// A command line that is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CliError {
    /// A flag that is not known.
    #[error("flag {0:?} is not known; -help lists those there are")]
    Unknown(String),
    /// A flag without its value.
    #[error("flag -{0} needs a file: -{0} FILE")]
    NoValue(&'static str),
    /// A flag with a value that it cannot have.
    #[error("flag -{flag} is true or false, not {value:?}")]
    Bool {
        /// The flag.
        flag: &'static str,
        /// Its value.
        value: String,
    },
    /// An argument that is no flag.
    #[error("{0:?} is no flag; -help lists those there are")]
    Argument(String),
    /// No file was given.
    #[error(
        "No configuration file specified: -config FILE is needed, for instance -config /etc/default/nuage-libnetwork.yaml"
    )]
    NoFile,
}

const FILE_FLAGS: [&str; 2] = ["config", "f"];
const BOOL_FLAGS: [&str; 4] = ["audit", "check", "help", "version"];

/// Reads a command line. `default` is read where no file is given.
pub(crate) fn read(arguments: &[OsString], default: Option<&Path>) -> Result<Task, CliError> {
    let mut file = default.map(Path::to_owned);
    let mut given = Vec::new();
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        let text = argument.to_string_lossy();
        let Some(flag) = text.strip_prefix("--").or_else(|| text.strip_prefix('-')) else {
            return Err(CliError::Argument(text.into_owned()));
        };
        let (name, value) = match flag.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (flag, None),
        };
        let name = if name == "h" { "help" } else { name };
        if let Some(flag) = FILE_FLAGS.into_iter().find(|known| *known == name) {
            let value = value.map(PathBuf::from);
            let value = value.or_else(|| rest.next().map(PathBuf::from));
            let value = value.filter(|path| !path.as_os_str().is_empty());
            file = Some(value.ok_or(CliError::NoValue(flag))?);
        } else if let Some(flag) = BOOL_FLAGS.into_iter().find(|known| *known == name) {
            if is_set(flag, value.as_deref())? {
                given.push(flag);
            }
        } else {
            return Err(CliError::Unknown(text.into_owned()));
        }
    }
    let is = |flag: &str| given.contains(&flag);
    match file {
        _ if is("help") => Ok(Task::Help),
        _ if is("version") => Ok(Task::Version),
        None => Err(CliError::NoFile),
        Some(file) if is("check") => Ok(Task::Check(file)),
        Some(file) if is("audit") => Ok(Task::Audit(file)),
        Some(file) => Ok(Task::Serve(file)),
    }
}

fn is_set(flag: &'static str, value: Option<&str>) -> Result<bool, CliError> {
    match value {
        None | Some("true" | "1" | "t" | "T" | "TRUE" | "True") => Ok(true),
        Some("false" | "0" | "f" | "F" | "FALSE" | "False") => Ok(false),
        Some(value) => Err(CliError::Bool {
            flag,
            value: value.to_owned(),
        }),
    }
}

/// How the program is called.
pub(crate) fn help(program: &str) -> String {
    format!(
        "\
{program}: Docker networks that are subnets of Nuage VSP (drivers nuage and nuage-ipam)

  {program} -config FILE           serve Docker, until SIGTERM
  {program} -config FILE -audit    compare VSD, switch, kernel and Docker once, and mend
  {program} -config FILE -check    read the file, and say what is wrong with it
  {program} -help | -version

  FILE is YAML (/etc/default/nuage-libnetwork.yaml) or the older nuage.cfg, which is also
  given by -f FILE. docs/nuage.md tells every key.

  docker network create --driver=nuage --ipam-driver=nuage-ipam \\
      --ipam-opt organization=Enterprise --ipam-opt domain=Domain --ipam-opt zone=Zone \\
      --ipam-opt subnet=\"Subnet 2\" --ipam-opt user=admin \\
      --subnet=10.21.59.0/24 --gateway=10.21.59.1 MyNet

  SIGUSR1 reads the file again (log, retries, credentials), SIGUSR2 begins an audit.
  Exit codes: 0 done; 1 it could not start, or the audit found a problem; 2 wrong usage.
"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(line: &str) -> Result<Task, CliError> {
        let arguments: Vec<OsString> = line.split_whitespace().map(OsString::from).collect();
        read(&arguments, None)
    }

    #[test]
    fn flags_are_read_in_every_form() {
        let file = || PathBuf::from("/a.yaml");
        for line in [
            "-config /a.yaml",
            "--config=/a.yaml",
            "-f /a.yaml",
            "-audit=false -f=/a.yaml",
        ] {
            assert_eq!(task(line), Ok(Task::Serve(file())), "{line}");
        }
        assert_eq!(task("-audit -config /a.yaml"), Ok(Task::Audit(file())));
        assert_eq!(task("--check --config /a.yaml"), Ok(Task::Check(file())));
        assert_eq!(task("-h"), Ok(Task::Help));
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (line, part) in [
            ("", "No configuration file specified"),
            ("-config", "-config FILE"),
            ("-config=", "-config FILE"),
            ("-conf /a", "\"-conf\""),
            ("serve", "\"serve\""),
            ("-audit=maybe -f /a", "maybe"),
        ] {
            let told = task(line).unwrap_err().to_string();
            assert!(told.contains(part), "{line}: {told}");
        }
    }
}
