//! Plain programs: started in a namespace and a control group, watched by a record, ended
//! with all that they have started.
//!
//! The record is written before the program begins: a crash at any moment leaves nothing
//! that a later stop would not find. The program is a child of who starts it, and lives on
//! when that ends.

mod cgroup;
mod identity;
mod log;
mod record;
mod shim;
mod user;
pub(super) mod watch;

pub(super) use log::Log;
pub use shim::process_shim;

use crate::engine::digest::digest;
use crate::engine::{
    ContainerSpec, Engine, EngineError, Kind, Network, Running, Signal, Started, State,
};
use cgroup::Cgroup;
use fairlead_kernel::NetNs;
use fairlead_types::{ContainerId, ResourceName, Root};
use identity::Identity;
use record::{Place, Record};
use shim::{Fault, Request};
use std::fs::File;
use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// How long a program must live to count as started: one that has a bad configuration
/// ends sooner.
const SETTLING: Duration = Duration::from_millis(200);

/// How long a start or a stop waits for one of the same resource, beyond what that may
/// itself take.
const TURN: Duration = Duration::from_secs(5);

/// Where programs are looked for, unless the environment that is given says otherwise.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Runs programs.
#[derive(Debug, Clone)]
pub(super) struct Process {
    shim: PathBuf,
    root: Root,
}

impl Process {
    pub(super) fn new(shim: PathBuf, root: Root) -> Self {
        Self { shim, root }
    }

    /// The control group of a resource, where the system has control groups. Another root
    /// has other ones.
    fn cgroup(&self, spec: &ContainerSpec) -> Result<Option<Cgroup>, EngineError> {
        let slug = spec.slug();
        let name = if self.root == Root::default() {
            slug
        } else {
            format!("{}.{slug}", digest(&self.root.dir()))
        };
        Cgroup::named(&name).map_err(spec.failed("find a control group for", &name))
    }

    /// Ends what there is of a program: all processes of its control group.
    fn end(&self, spec: &ContainerSpec, look: &Look, grace: Duration) -> Result<(), EngineError> {
        let cgroup = match &look.record {
            Some(record) => Some(Cgroup::at(record.cgroup.clone())),
            None => self.cgroup(spec)?,
        };
        let Some(cgroup) = cgroup else {
            return Ok(());
        };
        cgroup
            .end(look.process.as_ref(), grace)
            .map_err(spec.failed("end the processes of", cgroup.dir().display()))
    }

    fn read(&self, spec: &ContainerSpec) -> Result<(Place, Option<Record>), EngineError> {
        let place = Place::of(&self.root, spec);
        let record = place
            .read()
            .map_err(spec.failed("read", place.path().display()))?;
        Ok((place, record))
    }

    fn lock(&self, spec: &ContainerSpec, limit: Duration) -> Result<File, EngineError> {
        let place = Place::of(&self.root, spec);
        let lock = place
            .lock(&self.root, limit)
            .map_err(spec.failed("lock", place.path().display()))?;
        lock.ok_or_else(|| EngineError::Busy {
            resource: spec.resource.clone(),
            limit,
        })
    }

    /// The record, with its process held if that lives.
    fn look(&self, spec: &ContainerSpec) -> Result<(Place, Look), EngineError> {
        let (place, record) = self.read(spec)?;
        let Some(record) = record else {
            return Ok((place, Look::default()));
        };
        let pid = record.process.pid();
        let process = record
            .process
            .live()
            .map_err(spec.failed("look at process", pid))?;
        Ok((
            place,
            Look {
                process,
                record: Some(record),
            },
        ))
    }

    fn spawn(
        &self,
        spec: &ContainerSpec,
        channel: UnixStream,
        output: &File,
    ) -> Result<Child, EngineError> {
        let shim = self.shim.display();
        let output = || {
            output
                .try_clone()
                .map_err(spec.failed("open the log of", &spec.name))
        };
        let mut command = Command::new(&self.shim);
        command
            .arg(shim::ARGUMENT)
            .env_clear()
            .stdin(Stdio::from(OwnedFd::from(channel)))
            .stdout(output()?)
            .stderr(output()?);
        let child = match &spec.network {
            // Who is born on the thread that is in the namespace is born there.
            Network::Namespace(path) => {
                let error = |source| EngineError::Kernel {
                    resource: spec.resource.clone(),
                    source,
                };
                let namespace = NetNs::open(path).map_err(error)?;
                namespace.run(|| command.spawn()).map_err(error)?
            }
            Network::None | Network::Host => command.spawn(),
            Network::Of(name) => {
                let reason = format!(
                    "a process cannot be in the network of a container of its engine, {name}; \
                     name a resource that has a namespace"
                );
                return Err(spec.bad("netns", reason));
            }
        };
        child.map_err(spec.failed("start", shim))
    }

    fn launch(
        &self,
        spec: &ContainerSpec,
        request: &Request,
        place: Place,
    ) -> Result<Running, EngineError> {
        let path = Log::path(&self.root, spec);
        let shown = path.display().to_string();
        let (log, output) = Log::open(path).map_err(spec.failed("open", shown))?;
        let pair = UnixStream::pair();
        let (ours, theirs) = pair.map_err(spec.failed("make a socket for", &spec.name))?;
        let cgroup = self
            .cgroup(spec)?
            .ok_or_else(|| no_cgroups(&spec.resource))?;
        let child = self.spawn(spec, theirs, &output)?;
        let mut newborn = Newborn {
            spec,
            child,
            cgroup,
            place,
        };
        let grown = newborn
            .introduce(request)
            .and_then(|record| newborn.begin(request, &ours).map(|()| record))
            .and_then(|record| newborn.settle(request, &log).map(|()| record));
        if grown.is_err() {
            newborn.give_up();
        }
        running(spec, &grown?)
    }
}

/// What is found of a program.
#[derive(Default)]
struct Look {
    /// Its first process, if it lives.
    process: Option<OwnedFd>,
    record: Option<Record>,
}

impl Engine for Process {
    fn is_there(&self, resource: &ResourceName) -> Result<(), EngineError> {
        match Cgroup::named("any") {
            Ok(Some(_)) => Ok(()),
            Ok(None) => Err(no_cgroups(resource)),
            Err(source) => Err(EngineError::Io {
                resource: resource.clone(),
                operation: "look for",
                object: "control groups".to_owned(),
                source,
            }),
        }
    }

    fn start(&self, spec: &ContainerSpec) -> Result<Started, EngineError> {
        let request = request(spec)?;
        let _lock = self.lock(spec, spec.start_timeout)?;
        let (place, look) = self.look(spec)?;
        if let (Some(_), Some(record)) = (&look.process, &look.record) {
            return Ok(Started {
                running: running(spec, record)?,
                created: false,
                started: false,
                outdated: record.digest != declared(spec, &request),
            });
        }
        // What the last run has left would be in this one's way.
        self.end(spec, &look, Duration::ZERO)?;
        Ok(Started {
            running: self.launch(spec, &request, place)?,
            created: true,
            started: true,
            outdated: false,
        })
    }

    fn stop(&self, spec: &ContainerSpec) -> Result<bool, EngineError> {
        let _lock = self.lock(spec, spec.stop_timeout + TURN)?;
        let (place, look) = self.look(spec)?;
        self.end(spec, &look, spec.stop_timeout)?;
        if let Some(record) = &look.record {
            record.process.bury();
        }
        place
            .remove()
            .map_err(spec.failed("remove", place.path().display()))?;
        Ok(look.process.is_some())
    }

    fn remove(&self, spec: &ContainerSpec) -> Result<bool, EngineError> {
        let (_, record) = self.read(spec)?;
        self.stop(spec)?;
        Ok(record.is_some())
    }

    fn state(&self, spec: &ContainerSpec) -> Result<State, EngineError> {
        let (_, look) = self.look(spec)?;
        Ok(match (look.process, look.record) {
            (Some(_), Some(record)) => State::Up(running(spec, &record)?),
            (_, Some(_)) => State::Down,
            (_, None) => State::Absent,
        })
    }

    fn signal(&self, spec: &ContainerSpec, signal: Signal) -> Result<(), EngineError> {
        let (_, look) = self.look(spec)?;
        let process = look.process.ok_or_else(|| spec.not_up())?;
        watch::send(&process, signal.number()).map_err(spec.failed("send a signal to", &spec.name))
    }
}

/// A child that does not run its program yet.
struct Newborn<'a> {
    spec: &'a ContainerSpec,
    child: Child,
    cgroup: Cgroup,
    place: Place,
}

impl Newborn<'_> {
    /// Puts it into its control group and writes down which one it is. It still waits.
    fn introduce(&self, request: &Request) -> Result<Record, EngineError> {
        let spec = self.spec;
        let pid = self.child.id();
        let record = Record {
            process: Identity::of(pid).map_err(spec.failed("look at process", pid))?,
            cgroup: self.cgroup.dir().to_owned(),
            digest: declared(spec, request),
            namespace: match &spec.network {
                Network::Namespace(path) => Some(path.clone()),
                _ => None,
            },
        };
        self.place
            .write(&record)
            .map_err(spec.failed("write", self.place.path().display()))?;
        self.cgroup
            .make()
            .and_then(|()| self.cgroup.join(pid))
            .map_err(spec.failed("use the control group", self.cgroup.dir().display()))?;
        Ok(record)
    }

    /// Tells it what to run, and waits until it does.
    fn begin(&self, request: &Request, mut channel: &UnixStream) -> Result<(), EngineError> {
        let spec = self.spec;
        let mut told = Vec::new();
        serde_json::to_vec(request)
            .map_err(Into::into)
            .and_then(|text| channel.write_all(&text))
            .and_then(|()| channel.shutdown(Shutdown::Write))
            .and_then(|()| channel.set_read_timeout(Some(spec.start_timeout)))
            .and_then(|()| channel.read_to_end(&mut told))
            .map_err(spec.failed("hand over to", &request.program))?;
        if told.is_empty() {
            return Ok(());
        }
        let fault = serde_json::from_slice(&told).unwrap_or_else(|error| Fault {
            keyword: request.keyword.clone(),
            reason: error.to_string(),
        });
        let known = ["user", "cwd", "entrypoint"];
        let keyword = known.into_iter().find(|keyword| *keyword == fault.keyword);
        Err(spec.bad(keyword.unwrap_or("command"), fault.reason))
    }

    /// Waits whether it ends right away.
    fn settle(&mut self, request: &Request, log: &Log) -> Result<(), EngineError> {
        let spec = self.spec;
        let pid = self.child.id();
        let failed = || spec.failed("wait for process", pid);
        if watch::settles(pid, SETTLING).map_err(failed())? {
            return Ok(());
        }
        let status = self.child.wait().map_err(failed())?;
        Err(EngineError::Ended {
            resource: spec.resource.clone(),
            name: request.program.clone(),
            status: status.to_string(),
            output: log.last_words(),
        })
    }

    /// Takes away what there is of it.
    fn give_up(mut self) {
        // It may have ended already, which is what is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let ended = self.cgroup.end(None, Duration::ZERO);
        if let Err(error) = ended.and_then(|()| self.place.remove()) {
            let service = &self.spec.service;
            tracing::warn!(
                "{service} {}: something is left: {error}",
                self.spec.resource
            );
        }
    }
}

/// What the shim is told.
fn request(spec: &ContainerSpec) -> Result<Request, EngineError> {
    let mut words = spec.entrypoint.iter().chain(&spec.command).cloned();
    let keyword = if spec.entrypoint.is_empty() {
        "command"
    } else {
        "entrypoint"
    };
    let program = words.next().filter(|program| !program.is_empty());
    let program = program
        .ok_or_else(|| spec.bad(keyword, "a process needs a program; name one".to_owned()))?;
    let user = match spec.user.as_deref() {
        Some(user) => Some(user::find(user).map_err(|reason| spec.bad("user", reason))?),
        None => None,
    };
    let mut environment = vec![("PATH".to_owned(), PATH.to_owned())];
    let (name, home) = match &user {
        Some(user) => (user.name.as_str(), user.home.as_str()),
        None => ("root", "/root"),
    };
    for (variable, value) in [("HOME", home), ("USER", name), ("LOGNAME", name)] {
        environment.push((variable.to_owned(), value.to_owned()));
    }
    environment.extend(spec.environment.iter().cloned());
    Ok(Request {
        keyword: keyword.to_owned(),
        program,
        arguments: words.collect(),
        environment,
        cwd: spec.cwd.clone().unwrap_or_else(|| "/".into()),
        who: user.map(|user| user.who),
    })
}

/// A digest of what a program is started from.
fn declared(spec: &ContainerSpec, request: &Request) -> String {
    let namespace = match &spec.network {
        Network::Namespace(path) => path.to_string_lossy(),
        _ => "".into(),
    };
    digest(&(request, namespace))
}

fn no_cgroups(resource: &ResourceName) -> EngineError {
    EngineError::Refused {
        resource: resource.clone(),
        engine: Kind::Process,
        operation: "hold",
        name: "a program's processes together".to_owned(),
        reason: "no control groups are mounted; mount -t cgroup2 none /sys/fs/cgroup".to_owned(),
    }
}

fn running(spec: &ContainerSpec, record: &Record) -> Result<Running, EngineError> {
    let pid = record.process.pid();
    let by_pid = PathBuf::from(format!("/proc/{pid}/ns/net"));
    let id = |path: &PathBuf| NetNs::open(path).ok()?.id().ok();
    let sandbox = match &record.namespace {
        Some(path) if id(path).is_some() && id(path) == id(&by_pid) => path.clone(),
        _ => by_pid,
    };
    let id = ContainerId::new(spec.slug()).map_err(|error| spec.bad("name", error.to_string()))?;
    Ok(Running {
        id,
        pid,
        sandbox,
        hostname: None,
    })
}
