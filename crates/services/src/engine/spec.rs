//! What is to run, and what runs.

use fairlead_types::{ContainerId, ObjectName, ResourceName};
use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

/// How long a start may take unless it is said otherwise, the image's way here included.
const START: Duration = Duration::from_secs(120);

/// How long a container may take to end by itself unless it is said otherwise.
const STOP: Duration = Duration::from_secs(10);

/// Which engine runs a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// `docker`: the Docker daemon, by its API.
    Docker,
    /// `podman`: Podman's API service, which speaks Docker's API.
    Podman,
    /// `lxc`: LXC, by its tools.
    Lxc,
    /// `process`: a program in a control group of its own, with no engine but this one.
    Process,
}

impl Kind {
    /// The kind that a word of a configuration is for.
    #[must_use]
    pub fn of(word: &str) -> Option<Self> {
        [Self::Docker, Self::Podman, Self::Lxc, Self::Process]
            .into_iter()
            .find(|kind| kind.as_str() == word)
    }

    /// The word for it in a configuration.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Docker => "docker",
            Self::Podman => "podman",
            Self::Lxc => "lxc",
            Self::Process => "process",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// When an image is fetched from where it comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Pull {
    /// When the engine does not have it.
    #[default]
    Missing,
    /// Before each container is made.
    Always,
    /// Not at all.
    Never,
}

/// Which network namespace a container gets.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Network {
    /// One of its own with nothing in it but `lo`. A process, which no engine makes one
    /// for, stays in the one of who starts it.
    #[default]
    None,
    /// The host's.
    Host,
    /// The one of another container of the same engine, by that one's name.
    Of(String),
    /// The one that this file leads to; for a process only.
    Namespace(PathBuf),
}

/// What is in the container's `/etc/resolv.conf`. Empty: the engine's own choice.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Resolver {
    /// Who is asked, the first one first.
    pub servers: Vec<IpAddr>,
    /// What is added to a short name, the first one first.
    pub search: Vec<String>,
    /// Options, such as `ndots:2` (resolv.conf(5)).
    pub options: Vec<String>,
}

impl Resolver {
    /// Whether it says nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.servers.is_empty() && self.search.is_empty() && self.options.is_empty()
    }
}

/// What is to run. Fields that an engine has no use for say nothing to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerSpec {
    /// The service it is of, as `namespace/svc/name`.
    pub service: ObjectName,
    /// The resource of the service, as `container#0`.
    pub resource: ResourceName,
    /// The engine's name for it; for LXC that of a container that is there already.
    pub name: String,
    /// Which engine runs it.
    pub kind: Kind,
    /// The image it is made of; Docker and Podman only.
    pub image: Option<String>,
    /// The program and its arguments; empty: what the image says. LXC: in place of init.
    pub command: Vec<String>,
    /// What the command is given to; empty: what the image says. A process: put in front
    /// of the command.
    pub entrypoint: Vec<String>,
    /// The environment's variables.
    pub environment: Vec<(String, String)>,
    /// Its host name; `None`: what the engine gives.
    pub hostname: Option<String>,
    /// Who runs it, as `user`, `user:group` or the numbers of them.
    pub user: Option<String>,
    /// What is mounted into it, as `source:target[:options]`.
    pub volumes: Vec<String>,
    /// Whether it has all rights of the host.
    pub privileged: bool,
    /// Whether its standard input is kept open.
    pub interactive: bool,
    /// Whether it has a terminal.
    pub tty: bool,
    /// The engine's restart policy: `no`, `always`, `on-failure[:N]` or `unless-stopped`.
    pub restart: Option<String>,
    /// Whether it is removed when it is stopped.
    pub rm: bool,
    /// When its image is fetched.
    pub pull: Pull,
    /// Its network namespace.
    pub network: Network,
    /// How it resolves names.
    pub dns: Resolver,
    /// Where its program starts.
    pub cwd: Option<PathBuf>,
    /// Where LXC looks for its containers, if not at its default.
    pub lxcpath: Option<PathBuf>,
    /// How long a whole start may take, fetching an image included.
    pub start_timeout: Duration,
    /// How long it may take to end by itself before it is killed.
    pub stop_timeout: Duration,
}

impl ContainerSpec {
    /// A container about which nothing is said: default name, a network of its own, 120 s
    /// to start and 10 s to stop.
    #[must_use]
    pub fn new(service: ObjectName, resource: ResourceName, kind: Kind) -> Self {
        Self {
            name: default_name(&service, &resource),
            service,
            resource,
            kind,
            image: None,
            command: Vec::new(),
            entrypoint: Vec::new(),
            environment: Vec::new(),
            hostname: None,
            user: None,
            volumes: Vec::new(),
            privileged: false,
            interactive: false,
            tty: false,
            restart: None,
            rm: false,
            pull: Pull::default(),
            network: Network::default(),
            dns: Resolver::default(),
            cwd: None,
            lxcpath: None,
            start_timeout: START,
            stop_timeout: STOP,
        }
    }

    /// A word for the resource on this node: `shop.svc.web.container.0`.
    pub(super) fn slug(&self) -> String {
        let service = self.service.as_str().replace('/', ".");
        format!("{service}.{}", self.resource_word())
    }

    /// The resource's name as a part of a file's: `container.0`.
    pub(super) fn resource_word(&self) -> String {
        self.resource.as_str().replace('#', ".")
    }
}

/// The name that a container has unless it is given one: `shop..web.container.0` for
/// `container#0` of `shop/svc/web`.
#[must_use]
pub fn default_name(service: &ObjectName, resource: &ResourceName) -> String {
    let resource = resource.as_str().replace('#', ".");
    match service.parts() {
        Some((namespace, _, name)) => format!("{namespace}..{name}.{resource}"),
        None => format!("{}.{resource}", service.as_str().replace('/', ".")),
    }
}

/// A container that is up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Running {
    /// The engine's identifier; the name for LXC, service and resource for a process.
    pub id: ContainerId,
    /// Its first process, as the host numbers it.
    pub pid: u32,
    /// Its network namespace: the engine's file for it where that can be opened, else the
    /// one below `/proc`.
    pub sandbox: PathBuf,
    /// Its host name; `None` for a process, which has the host's.
    pub hostname: Option<String>,
}

/// How a container is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// The engine has none of the name.
    Absent,
    /// It is there and does not run.
    Down,
    /// It runs.
    Up(Running),
}

impl State {
    /// What runs, if anything does.
    #[must_use]
    pub fn running(&self) -> Option<&Running> {
        match self {
            Self::Up(running) => Some(running),
            Self::Absent | Self::Down => None,
        }
    }
}

/// What a start came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Started {
    /// What runs now.
    pub running: Running,
    /// Whether this start made the container.
    pub created: bool,
    /// Whether this start made it run; `false`: it ran already.
    pub started: bool,
    /// Whether it was made from something else than what is asked for now. It is left as
    /// it is while it runs, and made anew by the next start after a stop.
    pub outdated: bool,
}

/// What a process is told by a signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// `SIGHUP`: read the configuration again, by habit.
    Hangup,
    /// `SIGINT`.
    Interrupt,
    /// `SIGTERM`: end.
    Terminate,
    /// `SIGKILL`: the kernel ends it.
    Kill,
    /// `SIGUSR1`.
    User1,
    /// `SIGUSR2`: reload, for a master of haproxy.
    User2,
}

impl Signal {
    /// Its name, as signal(7) has it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Hangup => "SIGHUP",
            Self::Interrupt => "SIGINT",
            Self::Terminate => "SIGTERM",
            Self::Kill => "SIGKILL",
            Self::User1 => "SIGUSR1",
            Self::User2 => "SIGUSR2",
        }
    }

    pub(super) fn number(self) -> rustix::process::Signal {
        use rustix::process::Signal as Number;
        match self {
            Self::Hangup => Number::HUP,
            Self::Interrupt => Number::INT,
            Self::Terminate => Number::TERM,
            Self::Kill => Number::KILL,
            Self::User1 => Number::USR1,
            Self::User2 => Number::USR2,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_container_has_a_name_of_service_and_resource() {
        let service = ObjectName::new("shop/svc/web").unwrap();
        let resource = ResourceName::new("container#0").unwrap();
        assert_eq!(default_name(&service, &resource), "shop..web.container.0");
        let spec = ContainerSpec::new(service, resource, Kind::Docker);
        assert_eq!(spec.slug(), "shop.svc.web.container.0");
    }
}
