//! Why an engine did not do what it was asked.

use crate::engine::{ContainerSpec, Kind};
use fairlead_kernel::KernelError;
use fairlead_types::ResourceName;
use std::path::PathBuf;
use std::time::Duration;

/// A failure of an engine. Every variant begins with the resource, and with the keyword
/// where one is at fault.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// Nobody answers on the engine's socket.
    #[error("{resource}: {engine} does not answer on {socket}: {reason}; start {engine}")]
    Unreachable {
        /// The resource.
        resource: ResourceName,
        /// The engine.
        engine: Kind,
        /// Where it was asked.
        socket: PathBuf,
        /// The cause.
        reason: String,
    },
    /// The engine, or one of its tools, took too long.
    #[error("{resource}: {engine} did not {operation} {name} within {} s", .limit.as_secs_f32())]
    Late {
        /// The resource.
        resource: ResourceName,
        /// The engine.
        engine: Kind,
        /// What was asked, as a verb.
        operation: &'static str,
        /// Of which container.
        name: String,
        /// How long was waited.
        limit: Duration,
    },
    /// The engine says no.
    #[error("{resource}: {engine} cannot {operation} {name}: {reason}")]
    Refused {
        /// The resource.
        resource: ResourceName,
        /// The engine.
        engine: Kind,
        /// What was asked, as a verb.
        operation: &'static str,
        /// Of which container.
        name: String,
        /// The engine's words.
        reason: String,
    },
    /// A container of that name is somebody else's.
    #[error(
        "{resource}.name: {engine} has a container {name} ({id}) that this service has not \
         made; remove or rename it, or give another name"
    )]
    Foreign {
        /// The resource.
        resource: ResourceName,
        /// The engine.
        engine: Kind,
        /// The name that is taken.
        name: String,
        /// The identifier of who has it.
        id: String,
    },
    /// There is no such image and there is no way to it.
    #[error(
        "{resource}.image: {engine} has no image {image:?} and {reason}; load it or correct \
         the keyword"
    )]
    Image {
        /// The resource.
        resource: ResourceName,
        /// The engine.
        engine: Kind,
        /// The image.
        image: String,
        /// Why it was not fetched.
        reason: String,
    },
    /// A keyword whose value cannot be.
    #[error("{resource}.{keyword}: {reason}")]
    Keyword {
        /// The resource.
        resource: ResourceName,
        /// The keyword.
        keyword: &'static str,
        /// What is wrong with its value, and what would be right.
        reason: String,
    },
    /// There is no container of that name, and this engine's are made by hand.
    #[error(
        "{resource}.name: there is no container {name}{}; make it with lxc-create, or \
         correct the name", within(.path.as_ref())
    )]
    Absent {
        /// The resource.
        resource: ResourceName,
        /// The name.
        name: String,
        /// Where it was looked for, if not at the default.
        path: Option<PathBuf>,
    },
    /// It was started and ended right away.
    #[error("{resource}: {name} ended as soon as it had started ({status}){}", told(.output))]
    Ended {
        /// The resource.
        resource: ResourceName,
        /// The container, or the program.
        name: String,
        /// How it ended.
        status: String,
        /// The last lines that it printed.
        output: String,
    },
    /// It should run and does not.
    #[error("{resource}: {name} does not run; start the service first")]
    NotUp {
        /// The resource.
        resource: ResourceName,
        /// The container.
        name: String,
    },
    /// Another process starts or stops the same resource.
    #[error(
        "{resource}: another process has been starting or stopping it for {} s; try again",
        .limit.as_secs()
    )]
    Busy {
        /// The resource.
        resource: ResourceName,
        /// How long was waited.
        limit: Duration,
    },
    /// A file or a system call failed.
    #[error("{resource}: {operation} {object}: {source}")]
    Io {
        /// The resource.
        resource: ResourceName,
        /// What was done.
        operation: &'static str,
        /// To what.
        object: String,
        /// The cause.
        source: std::io::Error,
    },
    /// A network namespace could not be entered.
    #[error("{resource}: {source}")]
    Kernel {
        /// The resource.
        resource: ResourceName,
        /// The cause.
        source: KernelError,
    },
}

impl EngineError {
    /// The resource that it is about.
    #[must_use]
    pub fn resource(&self) -> &ResourceName {
        match self {
            Self::Unreachable { resource, .. }
            | Self::Late { resource, .. }
            | Self::Refused { resource, .. }
            | Self::Foreign { resource, .. }
            | Self::Image { resource, .. }
            | Self::Keyword { resource, .. }
            | Self::Absent { resource, .. }
            | Self::Ended { resource, .. }
            | Self::NotUp { resource, .. }
            | Self::Busy { resource, .. }
            | Self::Io { resource, .. }
            | Self::Kernel { resource, .. } => resource,
        }
    }

    /// Whether the engine itself is not there, so that nothing is known of the container.
    #[must_use]
    pub fn is_unreachable(&self) -> bool {
        matches!(self, Self::Unreachable { .. })
    }
}

/// Errors about a container say of which resource it is.
impl ContainerSpec {
    pub(super) fn bad(&self, keyword: &'static str, reason: String) -> EngineError {
        EngineError::Keyword {
            resource: self.resource.clone(),
            keyword,
            reason,
        }
    }

    pub(super) fn not_up(&self) -> EngineError {
        EngineError::NotUp {
            resource: self.resource.clone(),
            name: self.name.clone(),
        }
    }

    /// For `map_err`: what was done, and to what.
    pub(super) fn failed(
        &self,
        operation: &'static str,
        object: impl std::fmt::Display,
    ) -> impl FnOnce(std::io::Error) -> EngineError {
        let resource = self.resource.clone();
        let object = object.to_string();
        move |source| EngineError::Io {
            resource,
            operation,
            object,
            source,
        }
    }
}

/// Where, as a part of a sentence.
fn within(path: Option<&PathBuf>) -> String {
    path.map_or_else(String::new, |path| format!(" in {}", path.display()))
}

/// What it printed, as the end of a sentence.
fn told(output: &str) -> String {
    match output.trim_end() {
        "" => ", without a word".to_owned(),
        output => format!("; its last words: {output}"),
    }
}
