//! Docker, and Podman's service that speaks Docker's API: how a container of ours is
//! found, made, started and ended there.
//!
//! A container of ours has labels with its service and resource, and one with a digest of
//! what it was made from. One of the same name without them is somebody else's, and is
//! never touched.

mod body;
mod found;
mod talk;

use crate::engine::digest::digest;
use crate::engine::process::watch;
use crate::engine::{
    ContainerSpec, Engine, EngineError, Kind, Network, Pull, Running, Signal, Started, State,
    resolv,
};
use body::Labels;
use bollard::models::ContainerCreateBody;
use fairlead_kernel::NetNs;
use fairlead_types::{ContainerId, ResourceName, Root};
use found::Found;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use talk::{Talk, quick};

/// How long the engine may take beyond the time that the container has to end.
const KILLING: Duration = Duration::from_secs(20);

/// A daemon that speaks Docker's API on a socket.
#[derive(Debug, Clone)]
pub(super) struct Docker {
    kind: Kind,
    socket: PathBuf,
    root: Root,
}

impl Docker {
    pub(super) fn new(kind: Kind, socket: PathBuf, root: Root) -> Self {
        Self { kind, socket, root }
    }

    /// The resolver's file to be mounted. Docker makes one itself; Podman makes none for a
    /// container without a network.
    fn resolv(&self, spec: &ContainerSpec) -> Result<Option<PathBuf>, EngineError> {
        match self.kind {
            Kind::Podman => resolv::write(&self.root, spec),
            _ => Ok(None),
        }
    }

    /// Removes the resolver's file of a container that could not be made. One that is there
    /// has it mounted still.
    fn forget_resolv(&self, spec: &ContainerSpec) {
        let state = self.state(spec);
        let is_made = !matches!(state, Ok(State::Absent) | Err(EngineError::Foreign { .. }));
        if !is_made && let Err(error) = resolv::remove(&self.root, spec) {
            tracing::warn!("{error}");
        }
    }

    /// Does `work` in one conversation with the engine, on a runtime of its own: who calls
    /// may be any thread.
    fn talk<T>(
        &self,
        resource: &ResourceName,
        work: impl AsyncFnOnce(Talk<'_>) -> Result<T, EngineError>,
    ) -> Result<T, EngineError> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|source| EngineError::Io {
                resource: resource.clone(),
                operation: "prepare to talk to",
                object: self.socket.display().to_string(),
                source,
            })?;
        runtime.block_on(async {
            let talk = Talk::begin(self.kind, &self.socket, resource).await?;
            work(talk).await
        })
    }
}

impl Engine for Docker {
    fn is_there(&self, resource: &ResourceName) -> Result<(), EngineError> {
        self.talk(resource, async |_| Ok(()))
    }

    fn start(&self, spec: &ContainerSpec) -> Result<Started, EngineError> {
        body::check(spec)?;
        let deadline = Instant::now() + spec.start_timeout;
        let resolv = self.resolv(spec)?;
        let started = self.talk(&spec.resource, async |talk| {
            let start = Start {
                talk,
                spec,
                resolv,
                deadline,
            };
            start.run().await
        });
        if started.is_err() {
            self.forget_resolv(spec);
        }
        started
    }

    fn stop(&self, spec: &ContainerSpec) -> Result<bool, EngineError> {
        body::check_name(spec)?;
        self.talk(&spec.resource, async |talk| {
            let Some(found) = ours(&talk, spec).await? else {
                return Ok(false);
            };
            let up = found.is_up();
            if up {
                talk.stop(&spec.name, spec.stop_timeout, KILLING).await?;
            }
            if spec.rm {
                talk.remove(&spec.name).await?;
            }
            Ok(up)
        })
    }

    fn remove(&self, spec: &ContainerSpec) -> Result<bool, EngineError> {
        self.stop(spec)?;
        let removed = self.talk(&spec.resource, async |talk| {
            if ours(&talk, spec).await?.is_none() {
                return Ok(false);
            }
            talk.remove(&spec.name).await.map(|()| true)
        })?;
        resolv::remove(&self.root, spec)?;
        Ok(removed)
    }

    fn state(&self, spec: &ContainerSpec) -> Result<State, EngineError> {
        body::check_name(spec)?;
        self.talk(&spec.resource, async |talk| {
            let Some(found) = ours(&talk, spec).await? else {
                return Ok(State::Absent);
            };
            Ok(running(&found, spec)?.map_or(State::Down, State::Up))
        })
    }

    fn signal(&self, spec: &ContainerSpec, signal: Signal) -> Result<(), EngineError> {
        body::check_name(spec)?;
        self.talk(&spec.resource, async |talk| {
            match ours(&talk, spec).await? {
                Some(found) if found.is_up() => talk.kill(&spec.name, signal.as_str()).await,
                _ => Err(spec.not_up()),
            }
        })
    }
}

/// The container of that name, if there is one and it is ours.
async fn ours(talk: &Talk<'_>, spec: &ContainerSpec) -> Result<Option<Found>, EngineError> {
    let Some(found) = talk.find(&spec.name).await? else {
        return Ok(None);
    };
    if Labels::of(&found).are_of(spec) {
        return Ok(Some(found));
    }
    Err(EngineError::Foreign {
        resource: spec.resource.clone(),
        engine: spec.kind,
        name: spec.name.clone(),
        id: found.id().chars().take(12).collect(),
    })
}

/// How long a container must live to count as started: one with a bad command ends sooner.
const SETTLING: Duration = Duration::from_millis(100);

/// One start.
struct Start<'a> {
    talk: Talk<'a>,
    spec: &'a ContainerSpec,
    /// What is mounted as its `/etc/resolv.conf`, if anything is.
    resolv: Option<PathBuf>,
    deadline: Instant,
}

impl Start<'_> {
    async fn run(&self) -> Result<Started, EngineError> {
        let found = ours(&self.talk, self.spec).await?;
        let up = match &found {
            Some(found) => running(found, self.spec)?,
            None => None,
        };
        let network = self.network().await;
        if let (Some(found), Some(running)) = (&found, up) {
            let outdated = match network {
                Ok(network) => self.is_outdated(found, &network).await?,
                // Whose network it has is gone; the next start will say so.
                Err(_) => true,
            };
            return Ok(Started {
                running,
                created: false,
                started: false,
                outdated,
            });
        }
        let network = network?;
        if self.spec.pull == Pull::Always {
            self.pull().await?;
        }
        let created = match &found {
            Some(found) if self.spec.rm || self.is_outdated(found, &network).await? => {
                self.make_way(found).await?;
                true
            }
            found => found.is_none(),
        };
        if created {
            self.create(&network).await?;
        }
        let running = self.make_it_run().await;
        if running.is_err() && created {
            self.take_away().await;
        }
        Ok(Started {
            running: running?,
            created,
            started: true,
            outdated: false,
        })
    }

    /// The network mode, as the API takes it. Another container's is told by its
    /// identifier: a name could belong to another one the next time.
    async fn network(&self) -> Result<String, EngineError> {
        let spec = self.spec;
        let error = |reason| spec.bad("netns", reason);
        match &spec.network {
            Network::None => Ok("none".to_owned()),
            Network::Host => Ok("host".to_owned()),
            Network::Namespace(path) => Err(error(format!(
                "{} does not take a namespace's file, {}; name a container",
                spec.kind,
                path.display()
            ))),
            Network::Of(name) => match self.talk.find(name).await? {
                Some(found) => Ok(format!("container:{}", found.id())),
                _ => Err(error(format!(
                    "{} has no container {name}; start that one first, or correct the keyword",
                    spec.kind
                ))),
            },
        }
    }

    /// Whether it was made from something else than what is asked for, or from an older
    /// image of the same name.
    async fn is_outdated(&self, found: &Found, network: &str) -> Result<bool, EngineError> {
        let wanted = self.body(network)?;
        if Labels::of(found).digest != Some(digest(&wanted)) {
            return Ok(true);
        }
        let image = self.talk.image(body::image(self.spec)?).await?;
        let made_of = found.image().map(bare);
        // An image that is gone is no reason: the container has all that it needs.
        Ok(image.is_some_and(|image| made_of != Some(bare(&image))))
    }

    /// Removes what is to be made anew. Podman lets nothing go that others are declared to
    /// be in the network of; those of this service that are down go first, and are made
    /// anew by their own start.
    async fn make_way(&self, found: &Found) -> Result<(), EngineError> {
        if self.spec.kind == Kind::Podman {
            let label = Labels::of_service(self.spec);
            for guest in self.talk.guests(label, found.id()).await? {
                if !guest.is_up() {
                    self.talk.remove(guest.id()).await?;
                }
            }
        }
        self.talk.remove(&self.spec.name).await
    }

    async fn make_it_run(&self) -> Result<Running, EngineError> {
        let spec = self.spec;
        self.talk.start(&spec.name, self.left()).await?;
        let found = ours(&self.talk, spec).await?;
        let up = match &found {
            Some(found) => running(found, spec)?,
            None => None,
        };
        let settled = match &up {
            Some(running) => watch::settles(running.pid, SETTLING)
                .map_err(spec.failed("wait for process", running.pid))?,
            None => false,
        };
        if let Some(running) = up.filter(|_| settled) {
            return Ok(running);
        }
        let found = self.talk.find_ended(&spec.name).await?;
        let code = found.map_or(0, |found| found.exit_code());
        Err(EngineError::Ended {
            resource: spec.resource.clone(),
            name: spec.name.clone(),
            status: format!("exit status {code}"),
            output: self.talk.last_words(&spec.name).await,
        })
    }

    async fn create(&self, network: &str) -> Result<(), EngineError> {
        let spec = self.spec;
        let image = body::image(spec)?;
        if self.talk.image(image).await?.is_none() {
            if spec.pull == Pull::Never {
                let reason = "must not fetch it (pull never)".to_owned();
                return Err(self.no_image(image, reason));
            }
            self.pull().await?;
        }
        let mut wanted = self.body(network)?;
        wanted.labels = Some(Labels::write(spec, &digest(&wanted)));
        let made = self.talk.create(&spec.name, wanted, self.left()).await;
        if let Err(EngineError::Late { .. }) = made {
            // It may have been made all the same.
            self.take_away().await;
        }
        made
    }

    fn body(&self, network: &str) -> Result<ContainerCreateBody, EngineError> {
        body::of(self.spec, network, self.resolv.as_deref())
    }

    async fn pull(&self) -> Result<(), EngineError> {
        let image = body::image(self.spec)?;
        let pulled = self.talk.pull(&body::with_tag(image), self.left()).await;
        pulled.map_err(|reason| self.no_image(image, format!("could not fetch it: {reason}")))
    }

    fn no_image(&self, image: &str, reason: String) -> EngineError {
        EngineError::Image {
            resource: self.spec.resource.clone(),
            engine: self.spec.kind,
            image: image.to_owned(),
            reason,
        }
    }

    /// Removes what this start has made.
    async fn take_away(&self) {
        let name = &self.spec.name;
        if matches!(ours(&self.talk, self.spec).await, Ok(Some(_)))
            && let Err(error) = self.talk.remove(name).await
        {
            tracing::warn!("{name} stays, though it could not be started: {error}");
        }
    }

    fn left(&self) -> Duration {
        self.deadline
            .saturating_duration_since(Instant::now())
            .max(quick())
    }
}

/// Image identifiers come with and without the name of their hash.
fn bare(id: &str) -> &str {
    id.strip_prefix("sha256:").unwrap_or(id)
}

/// What runs of a container, if it has a process at this moment: one that is between two
/// restarts has none.
fn running(found: &Found, spec: &ContainerSpec) -> Result<Option<Running>, EngineError> {
    let Some(pid) = found.pid() else {
        return Ok(None);
    };
    let id = ContainerId::new(found.id()).map_err(|error| EngineError::Refused {
        resource: spec.resource.clone(),
        engine: spec.kind,
        operation: "tell about",
        name: spec.name.clone(),
        reason: error.to_string(),
    })?;
    Ok(Some(Running {
        id,
        pid,
        sandbox: sandbox(found, pid),
        hostname: found.hostname().map(str::to_owned),
    }))
}

/// The engine's own file of the namespace outlives the container's first process; it is
/// the better one where it is seen from here.
fn sandbox(found: &Found, pid: u32) -> PathBuf {
    let by_pid = PathBuf::from(format!("/proc/{pid}/ns/net"));
    let id = |path: &Path| NetNs::open(path).ok()?.id().ok();
    match found.sandbox().map(PathBuf::from) {
        Some(key) if id(&key).is_some() && id(&key) == id(&by_pid) => key,
        _ => by_pid,
    }
}
