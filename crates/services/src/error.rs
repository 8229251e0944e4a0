//! Why a service could not be what was asked.

use crate::engine::EngineError;
use fairlead_attach::AttachError;
use fairlead_config::{ConfigError, Problem};
use fairlead_kernel::KernelError;
use fairlead_store::StoreError;
use fairlead_types::{ObjectName, ResourceName};
use std::path::PathBuf;

/// A failure; the message names the service, the section and the keyword, and the cure.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// A name that is no service's.
    #[error("{name:?} is no service: {reason}; NAMESPACE/svc/NAME is wanted, as in shop/svc/web")]
    Name {
        /// The name as given.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
    /// There is no such service on this node.
    #[error("{object}: there is no {path}; make it with 'fairlead svc create {object}'")]
    Missing {
        /// The service.
        object: ObjectName,
        /// Where it would be.
        path: PathBuf,
    },
    /// There is one of that name already.
    #[error(
        "{object}: {path} is there already; change it with 'fairlead svc set {object} --kw ...'"
    )]
    Exists {
        /// The service.
        object: ObjectName,
        /// Where it is.
        path: PathBuf,
    },
    /// Another changed the file meanwhile.
    #[error("{object}: {path} was changed by another meanwhile; edit it again")]
    Changed {
        /// The service.
        object: ObjectName,
        /// Where it is.
        path: PathBuf,
    },
    /// The service is started, and must not be for this.
    #[error("{object}: it is started; stop it first with 'fairlead svc stop {object}'")]
    Started {
        /// The service.
        object: ObjectName,
    },
    /// Another process has the service.
    #[error("{object}: another process starts or stops it, for {} s already; try again", .seconds)]
    Busy {
        /// The service.
        object: ObjectName,
        /// How long was waited.
        seconds: u64,
    },
    /// The file is no configuration, or the node's is none.
    #[error("{object}: {source}")]
    Config {
        /// The service.
        object: ObjectName,
        /// The cause.
        source: ConfigError,
    },
    /// A keyword of the node cannot be.
    #[error("{source}")]
    Node {
        /// The cause.
        source: ConfigError,
    },
    /// Keywords that are wrong for themselves.
    #[error("{object}: {}", list(.problems))]
    Problems {
        /// The service.
        object: ObjectName,
        /// Each of them.
        problems: Vec<Problem>,
    },
    /// A section that is no resource.
    #[error("{object}: section [{section}]: {reason}")]
    Section {
        /// The service.
        object: ObjectName,
        /// The section.
        section: String,
        /// What is wrong.
        reason: String,
    },
    /// A keyword that does not go with the rest.
    #[error("{object}: {resource}.{keyword}{}: {reason}", given(.value.as_ref()))]
    Keyword {
        /// The service.
        object: ObjectName,
        /// The section.
        resource: ResourceName,
        /// The keyword.
        keyword: &'static str,
        /// Its value, where it has one.
        value: Option<String>,
        /// What is wrong, and what would be right.
        reason: String,
    },
    /// A resource that nobody knows.
    #[error("{object}: it has no resource {resource}; it has {}", words(.known))]
    NoResource {
        /// The service.
        object: ObjectName,
        /// The resource.
        resource: ResourceName,
        /// Those that it has.
        known: Vec<ResourceName>,
    },
    /// An engine could not.
    #[error("{object}: {source}")]
    Engine {
        /// The service.
        object: ObjectName,
        /// The cause; it names section and keyword.
        source: Box<EngineError>,
    },
    /// An address could not be had or given back.
    #[error("{object}: {resource}.{keyword}: {source}")]
    Attach {
        /// The service.
        object: ObjectName,
        /// The section.
        resource: ResourceName,
        /// The keyword that decides.
        keyword: &'static str,
        /// The cause.
        source: Box<AttachError>,
    },
    /// The container that is to have the address does not run.
    #[error("{object}: {resource}.netns = {container}: it is down; start it, or the whole service")]
    ContainerDown {
        /// The service.
        object: ObjectName,
        /// The section.
        resource: ResourceName,
        /// The container.
        container: ResourceName,
    },
    /// DNS does not know the address in time.
    #[error("{object}: {resource}.wait_dns: {name} is not in DNS after {seconds} s: {reason}")]
    Dns {
        /// The service.
        object: ObjectName,
        /// The section.
        resource: ResourceName,
        /// The name that was asked for.
        name: String,
        /// How long was waited.
        seconds: u64,
        /// Which server says what.
        reason: String,
    },
    /// HAProxy does not take the configuration; the one before is in place.
    #[error("{object}: haproxy refuses what its ingress sections yield: {reason}")]
    Gateway {
        /// The service.
        object: ObjectName,
        /// HAProxy's words.
        reason: String,
    },
    /// The kernel refused.
    #[error("{object}: {source}")]
    Kernel {
        /// The service.
        object: ObjectName,
        /// The cause.
        source: Box<KernelError>,
    },
    /// The node's state cannot be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A file could not be read or written.
    #[error("{operation} {}: {source}", .path.display())]
    File {
        /// What was done.
        operation: &'static str,
        /// The file.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// A start that failed, and what of it could not be taken back.
    #[error("{cause}; and of what was started {}", all(.left))]
    Left {
        /// Why the start failed.
        cause: Box<ServiceError>,
        /// What could not be undone.
        left: Vec<ServiceError>,
    },
    /// A stop went on to the end, and these could not be done.
    #[error("{}", all(.0))]
    Several(Vec<ServiceError>),
}

impl ServiceError {
    pub(crate) fn file(
        operation: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(std::io::Error) -> Self {
        move |source| Self::File {
            operation,
            path: path.into(),
            source,
        }
    }

    pub(crate) fn engine(object: &ObjectName) -> impl Fn(EngineError) -> Self + '_ {
        |source| Self::Engine {
            object: object.clone(),
            source: Box::new(source),
        }
    }

    pub(crate) fn kernel(object: &ObjectName) -> impl Fn(KernelError) -> Self + '_ {
        |source| Self::Kernel {
            object: object.clone(),
            source: Box::new(source),
        }
    }

    /// Nothing, the only failure, or all of them.
    pub(crate) fn all(mut errors: Vec<Self>) -> Result<(), Self> {
        match errors.len() {
            0 => Ok(()),
            1 => Err(errors.remove(0)),
            _ => Err(Self::Several(errors)),
        }
    }
}

fn all(errors: &[ServiceError]) -> String {
    let texts: Vec<String> = errors.iter().map(ToString::to_string).collect();
    texts.join("; ")
}

fn list(problems: &[Problem]) -> String {
    let texts: Vec<String> = problems.iter().map(ToString::to_string).collect();
    texts.join("; ")
}

fn given(value: Option<&String>) -> String {
    value.map_or_else(String::new, |value| format!(" = {value:?}"))
}

fn words(names: &[ResourceName]) -> String {
    match names {
        [] => "none".to_owned(),
        _ => {
            let names: Vec<&str> = names.iter().map(ResourceName::as_str).collect();
            names.join(", ")
        }
    }
}
