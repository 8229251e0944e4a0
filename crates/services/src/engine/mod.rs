//! Container engines behind one blocking trait: Docker, Podman, LXC and our own for plain
//! programs. It owns how a container is made, started, watched and ended; which ones and
//! in which order is the service's.
//!
//! A call may come from any thread that is no worker of an asynchronous runtime. Nothing
//! is kept between two calls but files: two processes may ask about the same container.

mod digest;
mod docker;
mod error;
mod lxc;
mod process;
mod resolv;
mod spec;
pub(crate) mod tool;

pub use error::EngineError;
pub use process::process_shim;
pub use spec::{
    ContainerSpec, Kind, Network, Pull, Resolver, Running, Signal, Started, State, default_name,
};

use fairlead_types::{ResourceName, Root};
use std::path::PathBuf;

/// What runs containers.
pub trait Engine: std::fmt::Debug + Send + Sync {
    /// Whether the engine can be used at all, for `resource`, which errors are about.
    ///
    /// # Errors
    /// [`EngineError`] says what is missing.
    fn is_there(&self, resource: &ResourceName) -> Result<(), EngineError>;

    /// Makes it run. One that runs is left as it is; one that is down is started, made
    /// anew first if it is ours and was made from something else.
    ///
    /// # Errors
    /// [`EngineError`]; what this call made has been taken away again.
    fn start(&self, spec: &ContainerSpec) -> Result<Started, EngineError>;

    /// Makes it end, by force after [`ContainerSpec::stop_timeout`]; and removes it if
    /// [`ContainerSpec::rm`] says so. Returns whether it was up. May be repeated.
    ///
    /// # Errors
    /// [`EngineError`].
    fn stop(&self, spec: &ContainerSpec) -> Result<bool, EngineError>;

    /// Stops it, and takes away what the engine keeps of it; an LXC container, which was
    /// not made here, is only stopped. Returns whether there was anything.
    ///
    /// # Errors
    /// [`EngineError`].
    fn remove(&self, spec: &ContainerSpec) -> Result<bool, EngineError>;

    /// How it is.
    ///
    /// # Errors
    /// [`EngineError`], also when the name is somebody else's.
    fn state(&self, spec: &ContainerSpec) -> Result<State, EngineError>;

    /// Sends a signal to its first process.
    ///
    /// # Errors
    /// [`EngineError::NotUp`] if there is none.
    fn signal(&self, spec: &ContainerSpec, signal: Signal) -> Result<(), EngineError>;
}

/// Where the engines of this node are.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The Docker daemon's socket.
    pub docker: PathBuf,
    /// The socket of Podman's API service.
    pub podman: PathBuf,
    /// The folder of LXC's tools; `None`: they are looked for in `PATH`.
    pub lxc: Option<PathBuf>,
    /// What starts a program in its place: a binary that calls [`process_shim`] first of
    /// all. It is the running one unless a test says otherwise.
    pub shim: PathBuf,
    /// Where records and output of programs are.
    pub root: Root,
}

impl Settings {
    /// The usual places; records below `root`.
    #[must_use]
    pub fn new(root: Root) -> Self {
        Self {
            docker: "/var/run/docker.sock".into(),
            podman: "/run/podman/podman.sock".into(),
            lxc: None,
            shim: "/proc/self/exe".into(),
            root,
        }
    }
}

/// The engines of this node. Making it asks none of them.
#[derive(Debug)]
pub struct Engines {
    docker: docker::Docker,
    podman: docker::Docker,
    lxc: lxc::Lxc,
    process: process::Process,
}

impl Engines {
    /// The engines in these places.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        let root = &settings.root;
        Self {
            docker: docker::Docker::new(Kind::Docker, settings.docker, root.clone()),
            podman: docker::Docker::new(Kind::Podman, settings.podman, root.clone()),
            lxc: lxc::Lxc::new(settings.lxc, root.clone()),
            process: process::Process::new(settings.shim, settings.root),
        }
    }

    /// The engine of that kind.
    #[must_use]
    pub fn engine(&self, kind: Kind) -> &dyn Engine {
        match kind {
            Kind::Docker => &self.docker,
            Kind::Podman => &self.podman,
            Kind::Lxc => &self.lxc,
            Kind::Process => &self.process,
        }
    }
}
