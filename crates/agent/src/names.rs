//! What names of nodes stand for, kept for a while: nameservers are not asked at every
//! reconciliation.

use fairlead_cluster::{Resolved, resolve};
use fairlead_types::Root;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::{Duration, Instant, SystemTime};

/// How long an answer serves.
const GOOD: Duration = Duration::from_secs(60);
/// How long a failure does.
const BAD: Duration = Duration::from_secs(5);
/// How long one look may take.
const LIMIT: Duration = Duration::from_secs(3);

/// The answers, by name.
#[derive(Debug, Default)]
pub(crate) struct Names {
    answers: BTreeMap<String, Answer>,
    /// When the hosts file was written that the answers are of, and its length.
    hosts: Option<(SystemTime, u64)>,
}

#[derive(Debug)]
struct Answer {
    at: Instant,
    found: Result<Vec<IpAddr>, String>,
}

impl Answer {
    fn serves(&self, now: Instant) -> bool {
        let time = if self.found.is_ok() { GOOD } else { BAD };
        now.saturating_duration_since(self.at) < time
    }
}

impl Names {
    /// Forgets all: somebody says that it is another way now.
    pub(crate) fn forget(&mut self) {
        self.answers.clear();
    }

    /// What the names stand for; only those are looked up of which no fresh answer is
    /// there.
    pub(crate) fn look_up(&mut self, root: &Root, names: &BTreeSet<String>) -> Resolved {
        let now = Instant::now();
        let hosts = stamp(root);
        if hosts != self.hosts {
            self.forget();
            self.hosts = hosts;
        }
        self.answers.retain(|name, _| names.contains(name));
        let is_fresh = |name: &&String| self.answers.get(*name).is_some_and(|a| a.serves(now));
        let wanted: BTreeSet<String> = names.iter().filter(|n| !is_fresh(n)).cloned().collect();
        if !wanted.is_empty() {
            for (name, found) in resolve(root, &wanted, LIMIT) {
                self.answers.insert(name, Answer { at: now, found });
            }
        }
        let answers = self.answers.iter();
        answers
            .map(|(name, answer)| (name.clone(), answer.found.clone()))
            .collect()
    }
}

/// The hosts file, the one below the root where there is one.
fn stamp(root: &Root) -> Option<(SystemTime, u64)> {
    let own = std::fs::metadata(root.join("/etc/hosts"));
    let file = own.or_else(|_| std::fs::metadata("/etc/hosts")).ok()?;
    Some((file.modified().ok()?, file.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_serves_for_a_while_and_what_is_wanted_no_more_is_forgotten() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("etc")).unwrap();
        let hosts = dir.path().join("etc/hosts");
        std::fs::write(&hosts, "192.0.2.1 n1\n").unwrap();
        let root = Root::new(dir.path());
        let both: BTreeSet<String> = ["n1", "n2"].map(str::to_owned).into();
        std::fs::write(dir.path().join("etc/resolv.conf"), "").unwrap();
        let mut names = Names::default();
        let first = names.look_up(&root, &both);
        assert!(first["n1"].is_ok() && first["n2"].is_err());
        assert_eq!(names.look_up(&root, &both), first, "both answers are fresh");
        std::fs::write(&hosts, "192.0.2.9 n1\n192.0.2.2 n2\n").unwrap();
        let now = names.look_up(&root, &both);
        assert_eq!(now["n1"], Ok(vec!["192.0.2.9".parse().unwrap()]));
        assert_eq!(names.look_up(&root, &BTreeSet::new()).len(), 0);
    }
}
