//! What is wrong on this node, and what mends it.
//!
//! A check looks and changes nothing of the node: kernel features are tried in a
//! namespace that ends with the check. What a check finds is a [`Finding`]; that it
//! could not look is one too, so one broken thing never hides the others.

mod configuration;
mod features;
mod forward;
mod leftovers;
mod links;
mod pools;
mod settings;

use crate::{AttachError, Node};
use fairlead_store::StoreError;
use serde::Serialize;
use std::cmp::Reverse;
use std::fmt;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// As it should be.
    Ok,
    /// Good to know; everything declared works.
    Note,
    /// Something does not work, or is left over.
    Problem,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Ok => "ok",
            Self::Note => "note",
            Self::Problem => "problem",
        })
    }
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// What it is about: `forwarding`, `link veth0123456789a`.
    pub subject: String,
    /// What is so.
    pub what: String,
    /// The command or the edit that mends it.
    pub cure: Option<String>,
}

impl Finding {
    fn ok(subject: impl Into<String>, what: impl Into<String>) -> Self {
        Self {
            severity: Severity::Ok,
            subject: subject.into(),
            what: what.into(),
            cure: None,
        }
    }

    fn note(subject: impl Into<String>, what: impl Into<String>) -> Self {
        Self {
            severity: Severity::Note,
            ..Self::ok(subject, what)
        }
    }

    fn problem(subject: impl Into<String>, what: impl Into<String>) -> Self {
        Self {
            severity: Severity::Problem,
            ..Self::ok(subject, what)
        }
    }

    fn cured_by(self, cure: impl Into<String>) -> Self {
        Self {
            cure: Some(cure.into()),
            ..self
        }
    }

    /// One line on all of them: `2 problems, 1 note, 9 checks without a finding`.
    #[must_use]
    pub fn summary(findings: &[Self]) -> String {
        let count = |severity| findings.iter().filter(|f| f.severity == severity).count();
        let number = |severity, word: &str| match count(severity) {
            0 => format!("no {word}"),
            1 => format!("1 {word}"),
            n => format!("{n} {word}s"),
        };
        let (problems, notes) = (
            number(Severity::Problem, "problem"),
            number(Severity::Note, "note"),
        );
        format!(
            "{problems}, {notes}, {} as it should be",
            count(Severity::Ok)
        )
    }
}

/// `problem: forwarding: IPv4 packets are not forwarded; mend it by: sysctl ...`.
impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}", self.severity, self.subject, self.what)?;
        match &self.cure {
            Some(cure) => write!(f, "; mend it by: {cure}"),
            None => Ok(()),
        }
    }
}

/// One look at the node. It adds what it finds; nothing when all is well.
struct Check {
    subject: &'static str,
    /// What is so when nothing is found.
    fine: &'static str,
    look: fn(&Node, &mut Vec<Finding>) -> Result<(), AttachError>,
}

const CHECKS: [Check; 16] = [
    Check {
        subject: "rights",
        fine: "this process may configure networks and enter namespaces",
        look: features::rights,
    },
    Check {
        subject: "kernel",
        fine: "it has every feature that networks may need",
        look: features::features,
    },
    Check {
        subject: "forwarding",
        fine: "packets pass between containers and the outside",
        look: settings::forwarding,
    },
    Check {
        subject: "bridge filter",
        fine: "frames within a bridge do not pass the host's ip rules",
        look: settings::bridge_filter,
    },
    Check {
        subject: "forward chains",
        fine: "no chain of others drops what containers send or get",
        look: forward::chains,
    },
    Check {
        subject: "declarations",
        fine: "every declared network can be read",
        look: configuration::declarations,
    },
    Check {
        subject: "networks",
        fine: "bridges, addresses and CNI files are as declared",
        look: configuration::setup,
    },
    Check {
        subject: "cni.config",
        fine: "every CNI file can be loaded",
        look: configuration::files,
    },
    Check {
        subject: "cni.plugins",
        fine: "every plugin that a network needs is there",
        look: configuration::plugins,
    },
    Check {
        subject: "state",
        fine: "it can be read",
        look: leftovers::state,
    },
    Check {
        subject: "records",
        fine: "each is of a living container",
        look: leftovers::records,
    },
    Check {
        subject: "tables",
        fine: "our nftables are whole",
        look: leftovers::damaged_tables,
    },
    Check {
        subject: "rules",
        fine: "each record has its nftables elements",
        look: leftovers::missing_elements,
    },
    Check {
        subject: "links",
        fine: "each link of a container has its record, and each record its link",
        look: links::links,
    },
    Check {
        subject: "addresses",
        fine: "bridges have their gateway's address only",
        look: links::addresses,
    },
    Check {
        subject: "pools",
        fine: "every network has free addresses",
        look: pools::pools,
    },
];

impl Node {
    /// Looks at everything that is known to go wrong, in the network namespace of the
    /// calling thread. The worst comes first; a check that found nothing is one finding
    /// with [`Severity::Ok`].
    ///
    /// # Errors
    /// None so far: a check that cannot be made is a finding.
    pub fn doctor(&self) -> Result<Vec<Finding>, AttachError> {
        let mut all = Vec::new();
        for check in &CHECKS {
            let mut found = Vec::new();
            match (check.look)(self, &mut found) {
                // The state that one check cannot read, others cannot read either.
                Err(error) if all.iter().any(|f| is_same_failure(f, &error)) => {}
                Err(error) => found.push(failure(check.subject, &error)),
                Ok(()) if found.is_empty() => found.push(Finding::ok(check.subject, check.fine)),
                Ok(()) => {}
            }
            all.append(&mut found);
        }
        all.sort_by_key(|finding| Reverse(finding.severity));
        Ok(all)
    }
}

fn failure_text(error: &AttachError) -> String {
    format!("it could not be checked: {error}")
}

fn is_same_failure(finding: &Finding, error: &AttachError) -> bool {
    finding.what == failure_text(error)
}

fn failure(subject: &str, error: &AttachError) -> Finding {
    let finding = Finding::problem(subject, failure_text(error));
    match error {
        AttachError::Store(StoreError::Damaged { path, .. }) => {
            let path = path.display();
            let cure =
                format!("mv {path} {path}.damaged; rm -f {path}-wal {path}-shm; fairlead gc");
            finding.cured_by(cure)
        }
        AttachError::Kernel(error) if error.is_forbidden() => {
            finding.cured_by("sudo fairlead doctor")
        }
        _ => finding,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn findings_are_summed_up_and_shown_with_their_cure() {
        let findings = [
            Finding::problem("forwarding", "it is off").cured_by("sysctl -w a=1"),
            Finding::note("pool", "it is nearly full"),
            Finding::note("pool", "it is nearly full"),
            Finding::ok("links", "all there"),
        ];
        assert_eq!(
            Finding::summary(&findings),
            "1 problem, 2 notes, 1 as it should be"
        );
        assert_eq!(
            Finding::summary(&[]),
            "no problem, no note, 0 as it should be"
        );
        let text = findings[0].to_string();
        assert_eq!(
            text,
            "problem: forwarding: it is off; mend it by: sysctl -w a=1"
        );
        assert_eq!(
            serde_json::to_value(&findings[3]).unwrap(),
            serde_json::json!({"severity": "ok", "subject": "links", "what": "all there", "cure": null})
        );
    }
}
