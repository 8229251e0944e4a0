//! What is wrong with a settings file, and what is only odd.

use std::io;
use std::path::PathBuf;

use fairlead_types::NameError;

/// Why there are no settings.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The file cannot be read.
    #[error(
        "cannot read the settings in {path}: {source}; name the file with -config FILE", path = path.display()
    )]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is not one of its format.
    #[error("the settings in {path} are broken at line {line}: {reason}", path = path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// The line, from 1; 0 if it is not known.
        line: usize,
        /// What was found; no value is in it.
        reason: String,
    },
    /// Values are wrong: all of them are listed.
    #[error("the settings in {path} cannot be used: {}", list(faults), path = path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// What is wrong, at least one.
        faults: Vec<Fault>,
    },
}

fn list(faults: &[Fault]) -> String {
    let faults: Vec<String> = faults.iter().map(ToString::to_string).collect();
    faults.join("; ")
}

/// A value that is wrong. Those of secret keys are not in it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// A key that has to be there.
    #[error("{key} is missing or empty: {cure}")]
    Missing {
        /// The key.
        key: &'static str,
        /// What to write.
        cure: &'static str,
    },
    /// A key is there in two spellings that mean the same.
    #[error("{key} is there twice: remove one of them")]
    Twice {
        /// The key.
        key: String,
    },
    /// A value that is not the base64 of a text.
    #[error("{key} is not base64 of a text: write the output of: printf %s VALUE | base64")]
    NotBase64 {
        /// The key.
        key: &'static str,
    },
    /// The address of the document's sample.
    #[error("url still has the placeholder of the sample: put the host of the VSD in its place")]
    Placeholder,
    /// Not an address of a VSD.
    #[error("url {given:?} is no address of a VSD, {reason}: write https://HOST:8443")]
    Url {
        /// What was given.
        given: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// An address with a name or a password in it.
    #[error("url has a user in it: put that into username and password, as base64")]
    UrlUser,
    /// Not a number of the range.
    #[error("{key} {given:?} is not a number from {least} to {most}")]
    Number {
        /// The key.
        key: &'static str,
        /// What was given.
        given: String,
        /// The least that is allowed.
        least: u64,
        /// The most that is allowed.
        most: u64,
    },
    /// Neither yes nor no.
    #[error("{key} {given:?} is neither true nor false")]
    Switch {
        /// The key.
        key: &'static str,
        /// What was given.
        given: String,
    },
    /// None of the words that the key takes.
    #[error("{key} {given:?} is none of {words}")]
    Word {
        /// The key.
        key: &'static str,
        /// What was given.
        given: String,
        /// The words.
        words: &'static str,
    },
    /// Not a name of a bridge.
    #[error("vrsbridge: {0}")]
    Bridge(#[from] NameError),
    /// Not an address of the switch's database.
    #[error("{key} {given:?} is no address of the switch's database: write /PATH or HOST")]
    Ovsdb {
        /// The key.
        key: &'static str,
        /// What was given.
        given: String,
    },
    /// Not a socket of Docker.
    #[error(
        "dockersocketfile {given:?} is no unix socket, and Docker is asked by that only: \
         write unix:///var/run/docker.sock"
    )]
    Docker {
        /// What was given.
        given: String,
    },
    /// A path that depends on where the program was started.
    #[error("{key} {given:?} is no absolute path")]
    Path {
        /// The key.
        key: &'static str,
        /// What was given.
        given: String,
    },
    /// A list or a table where a value belongs.
    #[error("{key} is no single value")]
    Kind {
        /// The key.
        key: String,
    },
}

/// What the settings can be used in spite of, to be told.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Warning {
    /// A key that means nothing.
    #[error("the key {key} is not known and ignored{}", hint(*nearest))]
    Unknown {
        /// The key.
        key: String,
        /// What may have been meant.
        nearest: Option<&'static str>,
    },
    /// A key by a name that it had in older documents.
    #[error("the key {alias} is taken as {key}: write {key}")]
    Alias {
        /// As it is written.
        alias: &'static str,
        /// As it is called.
        key: &'static str,
    },
    /// The same by two names.
    #[error("the key {alias} is ignored, for {key} is there too: remove it")]
    Shadowed {
        /// As it is written.
        alias: &'static str,
        /// The one that counts.
        key: &'static str,
    },
    /// A value that should be there.
    #[error("{key} is missing: {default:?} is taken")]
    Defaulted {
        /// The key.
        key: &'static str,
        /// What is taken.
        default: &'static str,
    },
    /// A value that is none of the words that the key takes.
    #[error("{key} {given:?} is none of {words}: {default} is taken")]
    Word {
        /// The key.
        key: &'static str,
        /// What was given.
        given: String,
        /// The words.
        words: &'static str,
        /// What is taken.
        default: &'static str,
    },
    /// The file with the password can be read by others.
    #[error(
        "{path} holds a password and has the mode {mode:04o}, so that others can read it: \
         chmod 0600 {path}", path = path.display()
    )]
    Readable {
        /// The file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// There is no file.
    #[error("{path} is not there: the defaults are taken", path = path.display())]
    NoFile {
        /// The file.
        path: PathBuf,
    },
    /// Whoever answers as the VSD is believed.
    #[error(
        "whoever answers as the VSD is believed, and told the password: set vsdinsecure to false, and vsdcafile"
    )]
    Unverified,
    /// Nothing is encrypted.
    #[error("url begins with http: the password is sent for everybody to read; use https")]
    Clear,
}

fn hint(nearest: Option<&str>) -> String {
    nearest.map_or_else(String::new, |key| format!("; is {key} meant?"))
}
