//! Changing a file: several changes are one, checked as a whole, written at once.

use crate::check::problems;
use crate::file::{self, Layer, Target};
use crate::names;
use crate::{
    Config, ConfigError, DocumentError, KeyError, KeyOp, KeyPath, Operator, Problem, Reason,
};
use fairlead_types::Root;

/// One change of a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Sets a keyword, or changes it as a list.
    Set(KeyOp),
    /// Removes a keyword in exactly this scope. One that is not stored stays so.
    Unset(KeyPath),
    /// Removes a section with all its keywords.
    Delete(String),
}

/// What a change did, or would do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// Whether the file has (or, on a dry run, would have) another content now.
    pub changed: bool,
    /// What is odd about the change, but no reason to refuse it.
    pub warnings: Vec<Problem>,
}

/// A changed configuration that is not written yet.
#[derive(Debug, Clone)]
pub struct Changed {
    /// Both files as they are to be.
    pub config: Config,
    /// What the change does.
    pub outcome: Outcome,
}

/// Makes all changes to one of the files, or none of them, as [`changed`] does. A
/// dry run takes no lock and writes nothing.
///
/// # Errors
/// [`ConfigError::Refused`] with all faults; else a file that cannot be read or
/// written. The files are as they were in any case.
pub fn change(
    root: &Root,
    target: Target,
    node: &str,
    changes: &[Change],
    dry_run: bool,
) -> Result<Outcome, ConfigError> {
    if dry_run {
        let config = Config::load(root, node)?;
        return Ok(changed(&config, target, changes)?.outcome);
    }
    update(root, node, |config| {
        let Changed {
            config: after,
            outcome,
        } = changed(config, target, changes)?;
        *config = after;
        Ok(outcome)
    })
}

/// Both files in one go: `work` gets them as they are and leaves them as they are to
/// be, while no one else can change them. A file that it leaves alone is not written.
///
/// # Errors
/// What `work` fails with, and then nothing is written; else a file that cannot be
/// read or written.
pub fn update<T, E: From<ConfigError>>(
    root: &Root,
    node: &str,
    work: impl FnOnce(&mut Config) -> Result<T, E>,
) -> Result<T, E> {
    // Held to the end of the function.
    let _lock = file::lock(root)?;
    let before = Config::load(root, node)?;
    let mut after = before.clone();
    let done = work(&mut after)?;
    for target in [Target::Cluster, Target::Node] {
        let document = after.document(target);
        if document != before.document(target) {
            file::write(&target.path(root), &document.to_string())?;
        }
    }
    Ok(done)
}

/// Makes all changes to one of the files in memory, or none of them.
///
/// The list operators start from the stored value, for `node.conf` from the merged
/// one, and from the keyword's default if none is stored. The result is checked
/// as a whole, together with the other file. A fault refuses the change if the
/// change brings it or sets the keyword it is at: a fault elsewhere does not keep
/// anyone from mending this one. The first change of `cluster.conf` gives it its
/// identity, `DEFAULT.id`.
///
/// # Errors
/// [`ConfigError::Refused`] with all faults; [`ConfigError::Key`].
pub fn changed(
    config: &Config,
    target: Target,
    changes: &[Change],
) -> Result<Changed, ConfigError> {
    let mut after = config.clone();
    let mut refused = Vec::new();
    for change in changes {
        refused.extend(apply(&mut after, target.into(), change)?);
    }
    let found = [problems(config, target), problems(&after, target)];
    let warnings = judge(changes, found, &mut refused);
    if !refused.is_empty() {
        return Err(ConfigError::Refused {
            path: target.path(config.root()),
            problems: refused,
        });
    }
    let changed = after.document(target) != config.document(target);
    if changed && target == Target::Cluster {
        identify(&mut after)?;
    }
    Ok(Changed {
        config: after,
        outcome: Outcome { changed, warnings },
    })
}

/// Of the problems before and after a change, those that concern it: adds the faults to
/// `refused` and gives the warnings.
pub(crate) fn judge(
    changes: &[Change],
    [before, after]: [Vec<Problem>; 2],
    refused: &mut Vec<Problem>,
) -> Vec<Problem> {
    let is_new = |p: &Problem| !before.iter().any(|old| old.is_same_as(p));
    let concerning = after
        .into_iter()
        .filter(|p| changes.iter().any(|c| c.sets(p)) || is_new(p));
    let (warnings, mut faults): (Vec<_>, Vec<_>) = concerning.partition(Problem::is_warning);
    refused.append(&mut faults);
    warnings
}

impl Change {
    /// Whether this sets the keyword that a problem is at, or one in the section if
    /// the section is meant.
    fn sets(&self, problem: &Problem) -> bool {
        let Self::Set(op) = self else { return false };
        let key = op.path.key();
        op.path.section == problem.section && problem.option.as_ref().is_none_or(|o| *o == key)
    }
}

/// Makes one change in memory; gives the fault of a value that a file cannot hold.
pub(crate) fn apply(
    config: &mut Config,
    layer: Layer,
    change: &Change,
) -> Result<Option<Problem>, ConfigError> {
    let op = match change {
        Change::Set(op) => op,
        Change::Unset(path) if path.index.is_some() => {
            return Err(KeyError::IndexedUnset(path.to_string()).into());
        }
        Change::Unset(path) => {
            if let Some(document) = config.layer_mut(layer) {
                document.unset(&path.section, &path.key());
            }
            return Ok(None);
        }
        Change::Delete(section) => {
            if let Some(document) = config.layer_mut(layer) {
                document.remove_section(section);
            }
            return Ok(None);
        }
    };
    let (section, key) = (&op.path.section, op.path.key());
    let given = match names::is_list(section, &op.path.option) {
        true => &op.value.to_lowercase(),
        false => &op.value,
    };
    let stored = match layer {
        Layer::File(target) => config.get(target, &op.path),
        Layer::Service => config.stored(section, &key),
    };
    let stored = stored.map(str::to_owned);
    let value = match op.operator {
        Operator::Assign => given.clone(),
        operator => {
            let default = || config.default_of(section, &op.path.option);
            let start = stored.clone().or_else(default).unwrap_or_default();
            let value = operator.apply(&start, given);
            let same = value.split_whitespace().eq(start.split_whitespace());
            // No element came or went: the value keeps its layout and its file.
            if same {
                return Ok(None);
            }
            value
        }
    };
    let Some(document) = config.layer_mut(layer) else {
        return Ok(None);
    };
    let set = document.set(section, &key, &value);
    Ok(set.err().map(|e: DocumentError| Problem {
        section: section.clone(),
        option: Some(key),
        value: Some(value),
        reason: Box::new(Reason::Unwritable(e)),
    }))
}

impl Config {
    /// The same with an identity for `cluster.conf` if it had none.
    ///
    /// # Errors
    /// [`ConfigError::Uuid`].
    pub fn identified(mut self) -> Result<Self, ConfigError> {
        identify(&mut self)?;
        Ok(self)
    }
}

/// Gives `cluster.conf` its identity if it has none.
fn identify(config: &mut Config) -> Result<(), ConfigError> {
    let document = config.document_mut(Target::Cluster);
    if document
        .get("DEFAULT", "id")
        .is_some_and(|id| !id.is_empty())
    {
        return Ok(());
    }
    let uuid =
        std::fs::read_to_string("/proc/sys/kernel/random/uuid").map_err(ConfigError::Uuid)?;
    document
        .set("DEFAULT", "id", uuid.trim())
        .map(|_| ())
        .map_err(|source| ConfigError::Malformed {
            path: Target::Cluster.path(config.root()),
            source,
        })
}

#[cfg(test)]
mod tests;
