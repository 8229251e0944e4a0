//! What can go wrong when the kernel is asked for something.

use rustix::io::Errno;
use std::fmt;

/// A request that the kernel refused or that could not be made. Every variant says
/// which operation it was and on which object.
#[derive(Debug, thiserror::Error)]
pub enum KernelError {
    /// The kernel answered with an error number.
    #[error("{operation} {object}: {}", Refusal { errno: *.errno, text: text.as_deref() })]
    Refused {
        /// What was asked, as a verb: `create link`, `add address`.
        operation: &'static str,
        /// What it was asked of, as a user would name it.
        object: String,
        /// The kernel's error number.
        errno: Errno,
        /// The kernel's own words (`NLMSGERR_ATTR_MSG`), where it has any.
        text: Option<String>,
    },
    /// A system call or a file outside netlink failed.
    #[error("{operation} {object}: {source}")]
    Io {
        /// What was done.
        operation: &'static str,
        /// On which file, socket or namespace.
        object: String,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// The kernel's answer could not be understood.
    #[error("{operation} {object}: the kernel's answer cannot be read: {reason}")]
    Answer {
        /// What was asked.
        operation: &'static str,
        /// Of what.
        object: String,
        /// What is wrong with the answer.
        reason: String,
    },
    /// A dump was changed under our eyes each time it was repeated.
    #[error("{operation} {object}: interrupted by changes {attempts} times in a row")]
    Interrupted {
        /// What was listed.
        operation: &'static str,
        /// Of what.
        object: String,
        /// How often it was tried.
        attempts: u32,
    },
    /// What was asked for cannot be; the kernel was not asked.
    #[error("{operation} {object}: {reason}")]
    Invalid {
        /// What was asked, as a verb.
        operation: &'static str,
        /// Of what.
        object: String,
        /// What is wrong with it, and what would be right.
        reason: String,
    },
    /// The thing that was asked for does not exist.
    #[error("{operation} {object}: not found")]
    Absent {
        /// What was asked.
        operation: &'static str,
        /// Of what.
        object: String,
    },
}

impl KernelError {
    /// The error number, where there is one.
    #[must_use]
    pub fn errno(&self) -> Option<Errno> {
        match self {
            Self::Refused { errno, .. } => Some(*errno),
            Self::Io { source, .. } => Errno::from_io_error(source),
            Self::Absent { .. } => Some(Errno::NOENT),
            Self::Answer { .. } | Self::Interrupted { .. } | Self::Invalid { .. } => None,
        }
    }

    /// Whether what was to be made is there already (`EEXIST`).
    #[must_use]
    pub fn is_exists(&self) -> bool {
        self.errno() == Some(Errno::EXIST)
    }

    /// Whether what was to be changed or removed is not there (`ENOENT`, `ENODEV`,
    /// `ESRCH`, `EADDRNOTAVAIL`, which the kernel uses for an absent address, and
    /// `ENXIO`).
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        matches!(
            self.errno(),
            Some(Errno::NOENT | Errno::NODEV | Errno::SRCH | Errno::ADDRNOTAVAIL | Errno::NXIO)
        )
    }

    /// Whether this kernel lacks what was asked (`EOPNOTSUPP`, `EAFNOSUPPORT`,
    /// `EPROTONOSUPPORT`).
    #[must_use]
    pub fn is_unsupported(&self) -> bool {
        matches!(
            self.errno(),
            Some(Errno::OPNOTSUPP | Errno::AFNOSUPPORT | Errno::PROTONOSUPPORT)
        )
    }

    /// Whether there is no way to an address (`ENETUNREACH`, `EHOSTUNREACH`): the
    /// kernel has no route to it, or one that says so.
    #[must_use]
    pub fn is_unreachable(&self) -> bool {
        matches!(self.errno(), Some(Errno::NETUNREACH | Errno::HOSTUNREACH))
    }

    /// Whether the caller lacks the right (`EPERM`, `EACCES`).
    #[must_use]
    pub fn is_forbidden(&self) -> bool {
        matches!(self.errno(), Some(Errno::PERM | Errno::ACCESS))
    }

    pub(crate) fn io(
        operation: &'static str,
        object: impl fmt::Display,
        source: impl Into<std::io::Error>,
    ) -> Self {
        Self::Io {
            operation,
            object: object.to_string(),
            source: source.into(),
        }
    }
}

/// The kernel's words and the number's meaning in one phrase.
struct Refusal<'a> {
    errno: Errno,
    text: Option<&'a str>,
}

impl fmt::Display for Refusal<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let meaning = std::io::Error::from(self.errno);
        match self.text {
            Some(text) => write!(f, "{text} ({meaning})"),
            None => write!(f, "{meaning}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_has_operation_object_and_the_kernels_words() {
        let error = KernelError::Refused {
            operation: "create link",
            object: "obr_default".into(),
            errno: Errno::EXIST,
            text: Some("Interface already exists".into()),
        };
        assert_eq!(
            error.to_string(),
            "create link obr_default: Interface already exists (File exists (os error 17))"
        );
        assert!(error.is_exists() && !error.is_not_found());
    }
}
