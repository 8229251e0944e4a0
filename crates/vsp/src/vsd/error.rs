//! Why a question to the VSD was not answered: what was being done, to which object, at which
//! host, and the cause. No message has a password, a key or a header in it.

use super::filter::FilterError;
use std::fmt;
use std::time::Duration;

/// What was being done when it failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct At {
    /// The operation: `find subnet`.
    pub operation: &'static str,
    /// On which object: its name, id or UUID.
    pub object: String,
    /// The VSD's host and port.
    pub host: String,
}

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            operation,
            object,
            host,
        } = self;
        let gap = if object.is_empty() { "" } else { " " };
        write!(f, "cannot {operation}{gap}{object} at VSD {host}")
    }
}

/// What kind of object is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// An enterprise.
    Enterprise,
    /// A layer-3 domain.
    Domain,
    /// A zone.
    Zone,
    /// A subnet.
    Subnet,
    /// A policy group.
    PolicyGroup,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Enterprise => "enterprise",
            Self::Domain => "domain",
            Self::Zone => "zone",
            Self::Subnet => "subnet",
            Self::PolicyGroup => "policy group",
        })
    }
}

/// The `internalErrorCode` of an answer: why the VSD refused. As Nuage's client for OpenStack
/// reads them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Code {
    /// 2039: nothing would change.
    NothingChanged,
    /// 2506: there is such a VM or container.
    VmExists,
    /// 2510: there is an object of that name.
    Exists,
    /// 2702: the subnet is full.
    SubnetFull,
    /// 2703: the address is not one of the subnet's.
    AddressOutside,
    /// 2704: the address is in use.
    AddressInUse,
    /// 2705: no address is free.
    NoFreeAddress,
    /// 2748: the UUID is in use.
    UuidInUse,
    /// 5001: a value is missing.
    NullValue,
    /// 7006: there is such an interface.
    InterfaceExists,
    /// 7010: the virtual port has a VM or container.
    VportTaken,
    /// 7097: the policy group is in use.
    GroupInUse,
    /// 7309: policy group and virtual port are in different domains.
    OtherDomain,
    /// 9501: there is such an object, a policy group for instance.
    Duplicate,
    /// Another one.
    Other(i64),
}

impl From<i64> for Code {
    fn from(number: i64) -> Self {
        match number {
            2039 => Self::NothingChanged,
            2506 => Self::VmExists,
            2510 => Self::Exists,
            2702 => Self::SubnetFull,
            2703 => Self::AddressOutside,
            2704 => Self::AddressInUse,
            2705 => Self::NoFreeAddress,
            2748 => Self::UuidInUse,
            5001 => Self::NullValue,
            7006 => Self::InterfaceExists,
            7010 => Self::VportTaken,
            7097 => Self::GroupInUse,
            7309 => Self::OtherDomain,
            9501 => Self::Duplicate,
            other => Self::Other(other),
        }
    }
}

/// How the way to the VSD failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Transport {
    /// No connection came to be: nothing was sent.
    #[error("no connection: {0}; is the url right, and the VSD up?")]
    Connect(String),
    /// The VSD's certificate is not believed: nothing was sent.
    #[error(
        "its certificate is not trusted ({0}): give the file of its CA by vsdcafile, or go on unchecked by vsdinsecure"
    )]
    Certificate(String),
    /// No answer in time: whether the request was carried out is not known.
    #[error("no answer within {} ms", .0.as_millis())]
    Timeout(Duration),
    /// The connection broke: whether the request was carried out is not known.
    #[error("the connection broke before the answer was complete: {0}")]
    Broken(String),
    /// The time for the whole call is over before the request was sent.
    #[error("the {} ms that a call may take are over", .0.as_millis())]
    Limit(Duration),
}

/// A question to the VSD that failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VsdError {
    /// A setting with which no client can be made.
    #[error("VSD setting {key}: {reason}")]
    Setting {
        /// Its key in the configuration.
        key: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// The VSD knows no such user, or the password is another.
    #[error(
        "VSD {host} refuses the login of user {user} of organization {organization} (status {status}): check username, password and organization"
    )]
    Login {
        /// The VSD.
        host: String,
        /// The user.
        user: String,
        /// Its organization.
        organization: String,
        /// 401, or 403.
        status: u16,
    },
    /// The VSD was not reached, or did not answer.
    #[error("{at}: {cause}")]
    Unreachable {
        /// What was being done.
        at: At,
        /// What failed.
        cause: Transport,
    },
    /// The VSD answers, but only that it cannot now: 500, 502, 503, 504.
    #[error("{at}: it is out of order (status {status})")]
    Down {
        /// What was being done.
        at: At,
        /// The status.
        status: u16,
    },
    /// The VSD does not let this user do it: 403, or 401 and 419 after a fresh login.
    #[error("{at}: the user may not (status {status})")]
    Denied {
        /// What was being done.
        at: At,
        /// The status.
        status: u16,
    },
    /// The object, or what it belongs to, is not there: 404.
    #[error("{at}: it is not there: {text}")]
    Gone {
        /// What was being done.
        at: At,
        /// The VSD's words.
        text: String,
    },
    /// The VSD refused: 409 mostly.
    #[error("{at}: {text}{}", refusal(*.status, *.code))]
    Refused {
        /// What was being done.
        at: At,
        /// The status.
        status: u16,
        /// Why, as a number of the VSD's.
        code: Option<Code>,
        /// Why, in the VSD's words.
        text: String,
    },
    /// Nothing has that name.
    #[error("no {kind}s found with name {name}{}", within(.parent.as_deref()))]
    NoSuch {
        /// What was looked for.
        kind: Kind,
        /// Its name.
        name: String,
        /// The id of the object within which it was looked for.
        parent: Option<String>,
    },
    /// More than one has that name.
    #[error(
        "{count} {kind}s found with name {name}{}: which one is meant cannot be told; rename one, or for a subnet name its zone",
        within(.parent.as_deref())
    )]
    Several {
        /// What was looked for.
        kind: Kind,
        /// Its name.
        name: String,
        /// The id of the object within which it was looked for.
        parent: Option<String>,
        /// How many there are.
        count: usize,
    },
    /// The answer is none that a VSD gives.
    #[error("{at}: the answer makes no sense: {reason}; is the url that of a VSD?")]
    Answer {
        /// What was being done.
        at: At,
        /// What is wrong with it.
        reason: String,
    },
    /// A name for which the VSD cannot be asked.
    #[error("{at}: {cause}")]
    Name {
        /// What was being done.
        at: At,
        /// What is wrong with it.
        cause: FilterError,
    },
}

fn refusal(status: u16, code: Option<Code>) -> String {
    match code {
        Some(Code::Other(number)) => format!(" (status {status}, code {number})"),
        Some(code) => format!(" (status {status}, {code:?})"),
        None => format!(" (status {status})"),
    }
}

fn within(parent: Option<&str>) -> String {
    parent.map(|id| format!(" (in {id})")).unwrap_or_default()
}

impl VsdError {
    /// Whether the VSD cannot be had now; later the same call may well go through. A certificate that
    /// is not trusted will not be later.
    #[must_use]
    pub fn is_unreachable(&self) -> bool {
        match self {
            Self::Unreachable { cause, .. } => !matches!(cause, Transport::Certificate(_)),
            Self::Down { .. } => true,
            _ => false,
        }
    }

    /// Whether the object, or what it belongs to, is not there.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        matches!(self, Self::Gone { .. } | Self::NoSuch { .. })
    }

    /// Whether the address, UUID or name is another's already.
    #[must_use]
    pub fn is_taken(&self) -> bool {
        matches!(
            self.code(),
            Some(
                Code::AddressInUse
                    | Code::UuidInUse
                    | Code::VmExists
                    | Code::Exists
                    | Code::InterfaceExists
                    | Code::VportTaken
                    | Code::Duplicate
            )
        )
    }

    /// Whether the subnet has no address left.
    #[must_use]
    pub fn is_full(&self) -> bool {
        matches!(self.code(), Some(Code::SubnetFull | Code::NoFreeAddress))
    }

    /// Whether the VSD does not know the user, or does not let it do this: the cure is in the
    /// configuration.
    #[must_use]
    pub fn is_denied(&self) -> bool {
        matches!(self, Self::Login { .. } | Self::Denied { .. })
    }

    /// Why the VSD refused, if it did and said so.
    #[must_use]
    pub fn code(&self) -> Option<Code> {
        match self {
            Self::Refused { code, .. } => *code,
            _ => None,
        }
    }
}
