//! What cannot be done for an engine at this moment. It is tried again and again, and told
//! once.

use crate::Door;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use tracing::{info, warn};

/// Problems, by what they are about.
#[derive(Debug, Default)]
pub(crate) struct Problems(Mutex<BTreeMap<String, String>>);

impl Problems {
    /// Notes what is wrong with something, or that nothing is any more; tells what changed.
    pub(super) fn set(&self, about: &str, problem: Option<String>) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match problem {
            Some(text) if known.get(about) == Some(&text) => {}
            Some(text) => {
                warn!("{text}");
                known.insert(about.to_owned(), text);
            }
            None => {
                if let Some(text) = known.remove(about) {
                    info!("mended: {text}");
                }
            }
        }
    }

    /// The same for a piece of work.
    pub(super) fn note<T, E: std::fmt::Display>(&self, about: &str, done: Result<T, E>) {
        self.set(about, done.err().map(|error| format!("{about}: {error}")));
    }

    /// Forgets a problem without a word: what it is about is gone.
    pub(super) fn forget(&self, about: &str) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.remove(about);
    }

    /// Forgets problems of one kind that are about nothing any more.
    pub(super) fn keep(&self, kind: &str, is_there: impl Fn(&str) -> bool) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|about, _| about.strip_prefix(kind).is_none_or(&is_there));
    }
}

impl Door {
    /// What could not be done for Docker's networks and containers, each in a sentence.
    #[must_use]
    pub fn carried_problems(&self) -> Vec<String> {
        let known = self.problems.0.lock();
        let known = known.unwrap_or_else(PoisonError::into_inner);
        known.values().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_is_known_until_it_is_mended_or_about_nothing() {
        let problems = Problems::default();
        let known = || problems.0.lock().unwrap().len();
        problems.set("carry/a", Some("no".into()));
        problems.note("tidy", Err::<(), _>("late"));
        assert_eq!(known(), 2);
        problems.keep("carry/", |id| id == "a");
        assert_eq!(known(), 2);
        problems.keep("carry/", |_| false);
        assert_eq!(known(), 1);
        problems.note("tidy", Ok::<_, String>(()));
        assert_eq!(known(), 0);
    }
}
