//! The keys: their names, former names, and what may have been meant by others.

use std::collections::BTreeMap;

use super::error::{Fault, Warning};
use super::format::{Format, Pair};

/// Every key.
pub(super) const KEYS: [&str; 24] = [
    "auditinterval",
    "dockersocketfile",
    "gatewayfromvsd",
    "logfilesize",
    "loglevel",
    "mtu",
    "numofretries",
    "organization",
    "password",
    "pluginversion",
    "port",
    "proxyuser",
    "requesttimeout",
    "scope",
    "statedir",
    "timeinterval",
    "url",
    "username",
    "vrsbridge",
    "vrsport",
    "vrssocketfile",
    "vsdapiversion",
    "vsdcafile",
    "vsdinsecure",
];

/// Names in samples of older documents (the second one with its slip), and what they mean.
/// The first one that is there counts.
pub(super) const ALIASES: [(&str, &str); 3] = [
    ("vrsendpoint", "vrssocketfile"),
    ("dockerdndpoint", "dockersocketfile"),
    ("dockerendpoint", "dockersocketfile"),
];

/// More slips than this make another word.
const NEAR: usize = 3;

/// What a file says, by the keys' own names; what is empty is not there.
#[derive(Debug, Default)]
pub(super) struct Entries {
    pub(super) values: BTreeMap<&'static str, String>,
    pub(super) warnings: Vec<Warning>,
    pub(super) faults: Vec<Fault>,
}

impl Entries {
    /// Sorts pairs. Names of the older format are taken in any case, and its own ones without
    /// a word.
    pub(super) fn of(format: Format, pairs: Vec<Pair>) -> Self {
        let mut entries = Self::default();
        let mut found = BTreeMap::new();
        for pair in pairs {
            let name = match format {
                Format::Yaml => pair.key.clone(),
                Format::Old => pair.key.to_ascii_lowercase(),
            };
            let Some(known) = known(&name) else {
                let nearest = nearest(&pair.key);
                let key = pair.key;
                entries.warnings.push(Warning::Unknown { key, nearest });
                continue;
            };
            match pair.value {
                Err(_) => entries.faults.push(Fault::Kind { key: pair.key }),
                Ok(value) => {
                    if found.insert(known, value).is_some() {
                        entries.faults.push(Fault::Twice { key: pair.key });
                    }
                }
            }
        }
        entries.fold_aliases(format, &mut found);
        let given = found.into_iter().filter(|(_, value)| !value.is_empty());
        entries.values.extend(given);
        entries
    }

    fn fold_aliases(&mut self, format: Format, found: &mut BTreeMap<&'static str, String>) {
        for (alias, key) in ALIASES {
            let Some(value) = found.remove(alias) else {
                continue;
            };
            if found.contains_key(key) {
                self.warnings.push(Warning::Shadowed { alias, key });
                continue;
            }
            // The older format calls them so.
            if format == Format::Yaml || alias == "dockerdndpoint" {
                self.warnings.push(Warning::Alias { alias, key });
            }
            found.insert(key, value);
        }
    }
}

fn known(name: &str) -> Option<&'static str> {
    let aliases = ALIASES.iter().map(|(alias, _)| *alias);
    KEYS.into_iter().chain(aliases).find(|key| *key == name)
}

/// The key that is written almost like this.
fn nearest(name: &str) -> Option<&'static str> {
    let name = name.to_lowercase();
    // What is far too long is not compared: that takes the product of both lengths.
    let near = KEYS
        .into_iter()
        .filter(|key| name.len() <= key.len() + NEAR);
    near.map(|key| (strsim::damerau_levenshtein(&name, key), key))
        .filter(|(slips, key)| *slips <= NEAR && *slips < key.len() / 2 + 1)
        .min()
        .map(|(_, key)| key)
}
