//! What an engine told of its containers, for the choice of addresses. It is changed by who
//! follows the engine, and read while the engine waits: nothing here asks anybody.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long a container that was made and never started counts as one that starts now.
const NEW: Duration = Duration::from_secs(30);

/// How far a container is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Container {
    /// It was made at that moment, and did not run yet.
    New(Instant),
    /// It runs, or is about to.
    Running,
    /// It ran, and may again.
    Stopped,
}

/// The containers of an engine, as far as it was heard.
#[derive(Debug, Default)]
pub(crate) struct View {
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    /// Whether the engine is followed at this moment.
    followed: bool,
    containers: BTreeMap<String, Container>,
}

/// What the choice of an address depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Heard {
    /// The engine is not followed: nothing is known.
    Nothing,
    /// A container that never ran is about to start, or may be.
    Starting,
    /// Whoever asks ran before.
    Again,
}

impl View {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says that the engine is followed from now on, with all containers that it has; or,
    /// with none, that it is not.
    pub(crate) fn set(&self, containers: Option<BTreeMap<String, Container>>) {
        let mut known = self.known();
        known.followed = containers.is_some();
        known.containers = containers.unwrap_or_default();
    }

    /// Says how far one container is; none is gone.
    pub(crate) fn tell(&self, id: &str, container: Option<Container>) {
        let mut known = self.known();
        match container {
            Some(container) => {
                known.containers.insert(id.to_owned(), container);
            }
            None => {
                known.containers.remove(id);
            }
        }
    }

    pub(crate) fn heard(&self) -> Heard {
        let known = self.known();
        let is_new =
            |container: &Container| matches!(container, Container::New(at) if at.elapsed() < NEW);
        match known.followed {
            false => Heard::Nothing,
            true if known.containers.values().any(is_new) => Heard::Starting,
            true => Heard::Again,
        }
    }

    /// How far one container is, if it is known.
    pub(crate) fn container(&self, id: &str) -> Option<Container> {
        self.known().containers.get(id).copied()
    }
}
