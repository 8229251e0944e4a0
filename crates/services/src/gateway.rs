//! Ingress: a service whose container is HAProxy leads connections to other services.
//!
//! The configuration follows from the `ingress` sections alone: which instances there are,
//! HAProxy asks DNS itself, by the SRV records of the backends. It is written where HAProxy
//! takes it, checked by HAProxy before, and followed by a reload that drops no connection.

mod render;
mod rule;

pub use rule::{Listen, Rule};

use crate::engine::{ContainerSpec, Kind, Signal, tool};
use crate::service::{Container, Service};
use crate::{Done, ServiceError, Services, file};
use fairlead_types::ObjectName;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// The program, where the keyword `command` names no other.
const HAPROXY: &str = "/usr/sbin/haproxy";
/// What HAProxy reads.
const CONFIGURATION: &str = "haproxy.cfg";
/// What it has read last.
const IN_FORCE: &str = "in-force";
/// What it is asked about, or has refused, and why.
const REFUSED: &str = "refused.cfg";
const REASON: &str = "refused.why";

/// How long HAProxy may look at a configuration.
const LOOK: Duration = Duration::from_secs(10);

impl Services<'_> {
    /// What the container of a gateway runs: one master that stays, and workers that come
    /// and go with each reload.
    pub(crate) fn gateway_command(&self, service: &Service, container: &Container) -> Vec<String> {
        let path = self.gateway_file(&service.name, CONFIGURATION);
        let words = ["-W", "-db", "-f"].map(str::to_owned);
        let program = program(&container.spec);
        let mut command = vec![program];
        command.extend(words);
        command.push(path.display().to_string());
        command
    }

    /// Writes the configuration of a gateway that is about to start.
    pub(crate) fn put_gateway(
        &self,
        service: &Service,
        container: &Container,
    ) -> Result<(), ServiceError> {
        let text = self.gateway_text(service)?;
        self.put(service, container, &text)
    }

    /// Refuses what HAProxy would refuse, before anything is stopped for it.
    pub(crate) fn try_gateway(&self, service: &Service) -> Result<(), ServiceError> {
        let Some(container) = service.containers.iter().find(|c| c.is_gateway) else {
            return Ok(());
        };
        let text = self.gateway_text(service)?;
        let trial = self.tried(service, container, &text)?;
        std::fs::remove_file(&trial).map_err(ServiceError::file("remove", &trial))
    }

    /// Notes that a gateway that was just started has what was written.
    pub(crate) fn gateway_in_force(&self, service: &Service) -> Result<(), ServiceError> {
        let path = self.gateway_file(&service.name, CONFIGURATION);
        let text = std::fs::read_to_string(&path).map_err(ServiceError::file("read", &path))?;
        file::replace(&self.gateway_file(&service.name, IN_FORCE), &text)
    }

    /// Makes a gateway that runs have what its file says now; says whether that was to do.
    pub(crate) fn reload_gateway(
        &self,
        service: &Service,
        container: &Container,
    ) -> Result<bool, ServiceError> {
        let object = &service.name;
        let text = self.gateway_text(service)?;
        // What is in force is noted behind the signal: after a crash in between it is sent again.
        if self.gateway_has(object, IN_FORCE, &text) {
            return Ok(false);
        }
        if self.gateway_has(object, REFUSED, &text) {
            let reason = std::fs::read_to_string(self.gateway_file(object, REASON));
            return Err(ServiceError::Gateway {
                object: object.clone(),
                reason: reason.unwrap_or_default(),
            });
        }
        self.put(service, container, &text)?;
        let engine = self.engines.engine(Kind::Process);
        let told = engine.signal(&container.spec, Signal::User2);
        told.map_err(ServiceError::engine(object))?;
        file::replace(&self.gateway_file(object, IN_FORCE), &text)?;
        Ok(true)
    }

    /// Makes a started gateway follow its file, its certificates and the node's addresses;
    /// says whether anything was to do.
    ///
    /// # Errors
    /// [`ServiceError::Gateway`] with HAProxy's words, and then the configuration of before
    /// is in place and in force.
    pub fn follow_gateway(&self, object: &ObjectName) -> Result<Option<Done>, ServiceError> {
        // Mostly it is none, which costs no more than this look.
        if !self.gateway_file(object, CONFIGURATION).exists() {
            return Ok(None);
        }
        let Some(_lock) = file::try_lock(self.config().root(), object)? else {
            return Ok(None);
        };
        if self.record(object)?.is_none() {
            return Ok(None);
        }
        let service = self.read(object)?;
        let mut containers = service.containers.iter();
        let Some(container) = containers.find(|c| c.is_gateway) else {
            return Ok(None);
        };
        if !self.is_up(container)? || !self.reload_gateway(&service, container)? {
            return Ok(None);
        }
        let resource = &container.spec.resource;
        Ok(Some(self.tell(object, Some(resource), "haproxy reloaded")))
    }

    /// Why HAProxy does not take what the file of a gateway says now; nothing where it does.
    pub(crate) fn gateway_refused(&self, service: &Service) -> Option<String> {
        let text = self.gateway_text(service).ok()?;
        let is_refused = self.gateway_has(&service.name, REFUSED, &text);
        let reason = || std::fs::read_to_string(self.gateway_file(&service.name, REASON)).ok();
        is_refused.then(reason).flatten()
    }

    /// Removes what a gateway kept.
    pub(crate) fn remove_gateway(&self, object: &ObjectName) -> Result<(), ServiceError> {
        let dir = self.gateway_dir(object);
        match std::fs::remove_dir_all(&dir) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                Err(ServiceError::file("remove", dir)(e))
            }
            _ => Ok(()),
        }
    }

    /// The configuration that the sections of a gateway yield.
    ///
    /// # Errors
    /// A keyword that cannot be.
    pub fn gateway_text(&self, service: &Service) -> Result<String, ServiceError> {
        let config = self.config();
        let wrong = |source| ServiceError::Config {
            object: service.name.clone(),
            source,
        };
        let cluster = config.cluster_name().map_err(wrong)?;
        let port = config.dns_port().map_err(wrong)?;
        let servers = self.gateway_servers(service)?;
        let servers: Vec<SocketAddr> = servers
            .into_iter()
            .map(|ip| SocketAddr::new(ip, port))
            .collect();
        let socket = self.gateway_dir(&service.name).join("admin.sock");
        Ok(render::text(service, &cluster, &servers, &socket))
    }

    /// Whom HAProxy asks: the agent at the gateways of the service's own networks, or at
    /// those of any network of the node, then the servers of `cluster.dns`.
    fn gateway_servers(&self, service: &Service) -> Result<Vec<IpAddr>, ServiceError> {
        let config = self.config();
        let mut networks: Vec<_> = service.ips.iter().map(|ip| ip.network.clone()).collect();
        if networks.is_empty() {
            networks = config.networks().0.into_iter().map(|n| n.name).collect();
        }
        let mut servers: Vec<IpAddr> = networks
            .iter()
            .flat_map(|network| crate::resolver::gateways(config, network))
            .collect();
        let declared = config.dns().map_err(|source| ServiceError::Config {
            object: service.name.clone(),
            source,
        })?;
        servers.extend(declared);
        let mut unique: Vec<IpAddr> = Vec::new();
        for server in servers {
            if !unique.contains(&server) {
                unique.push(server);
            }
        }
        Ok(unique)
    }

    fn gateway_dir(&self, object: &ObjectName) -> PathBuf {
        let dir = self.config().root().state().join("gateways");
        dir.join(file::slug(object))
    }

    fn gateway_file(&self, object: &ObjectName, name: &str) -> PathBuf {
        self.gateway_dir(object).join(name)
    }

    fn gateway_has(&self, object: &ObjectName, name: &str, text: &str) -> bool {
        let file = std::fs::read_to_string(self.gateway_file(object, name));
        file.is_ok_and(|file| file == text)
    }

    /// Puts a configuration in place that HAProxy takes. One that it refuses is kept aside,
    /// with the reason: it is not tried again before it is another.
    fn put(
        &self,
        service: &Service,
        container: &Container,
        text: &str,
    ) -> Result<(), ServiceError> {
        let trial = self.tried(service, container, text)?;
        let path = self.gateway_file(&service.name, CONFIGURATION);
        std::fs::rename(&trial, &path).map_err(ServiceError::file("write", path))
    }

    /// A file with a configuration that HAProxy takes.
    fn tried(
        &self,
        service: &Service,
        container: &Container,
        text: &str,
    ) -> Result<PathBuf, ServiceError> {
        let object = &service.name;
        let trial = self.gateway_file(object, REFUSED);
        file::replace(&trial, text)?;
        let why = self.gateway_file(object, REASON);
        if let Err(reason) = check(&program(&container.spec), &trial) {
            file::replace(&why, &reason)?;
            let object = object.clone();
            return Err(ServiceError::Gateway { object, reason });
        }
        match std::fs::remove_file(&why) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                Err(ServiceError::file("remove", why)(e))
            }
            _ => Ok(trial),
        }
    }
}

/// The program that a gateway runs.
fn program(spec: &ContainerSpec) -> String {
    let first = spec.command.first().cloned();
    first.unwrap_or_else(|| HAPROXY.to_owned())
}

/// Has HAProxy look at a configuration; why it refuses it.
fn check(program: &str, path: &Path) -> Result<(), String> {
    let mut command = Command::new(program);
    command.args(["-c", "-f"]).arg(path);
    let looked = tool::run(&mut command, LOOK);
    let outcome = match looked {
        Ok(Some(outcome)) => outcome,
        Ok(None) => return Err(format!("{program} looked at it for {} s", LOOK.as_secs())),
        Err(e) => return Err(format!("{program} cannot be started: {e}")),
    };
    if outcome.status.success() {
        return Ok(());
    }
    // `[ALERT]    (PID) : WORDS`; the last ones repeat that there were errors.
    let words = outcome.printed.lines();
    let alerts = words.filter_map(|line| line.trim_start().strip_prefix("[ALERT]"));
    let alerts = alerts.map(|line| line.split_once(" : ").map_or(line, |(_, text)| text));
    let alerts: Vec<&str> = alerts.take(3).map(str::trim).collect();
    Err(match alerts.is_empty() {
        true => outcome.printed.trim().to_owned(),
        false => alerts.join("; "),
    })
}
