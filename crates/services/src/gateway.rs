//! Ingress: a service whose container is HAProxy leads connections to other services.
//!
//! The configuration follows from the `ingress` sections alone: which instances there are,
//! HAProxy asks DNS itself, by the SRV records of the backends. It is written where HAProxy
//! takes it, checked by HAProxy before, and followed by a reload that drops no connection.

mod render;
mod rule;

pub use rule::{Listen, Rule};

use crate::engine::{ContainerSpec, Kind, Signal};
use crate::service::Service;
use crate::{Done, ServiceError, Services, file};
use fairlead_types::ObjectName;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The program, where the keyword `command` names no other.
const HAPROXY: &str = "/usr/sbin/haproxy";

impl Services<'_> {
    /// Writes the configuration of a gateway that is about to start, and makes its HAProxy
    /// the program of the container.
    pub(crate) fn prepare_gateway(
        &self,
        service: &Service,
        spec: &mut ContainerSpec,
    ) -> Result<(), ServiceError> {
        let path = self.gateway_file(&service.name);
        let text = self.gateway_text(service)?;
        let program = program(spec);
        self.put_gateway(service, &program, &path, &text)?;
        // One master that stays and workers that come and go with each reload.
        spec.command = vec![
            program,
            "-W".to_owned(),
            "-db".to_owned(),
            "-f".to_owned(),
            path.display().to_string(),
        ];
        Ok(())
    }

    /// Makes a started gateway follow its file, its certificates and the node's addresses;
    /// says whether anything was to do.
    ///
    /// # Errors
    /// [`ServiceError::Gateway`] with HAProxy's words, and then the configuration of before
    /// is in place and in force.
    pub fn follow_gateway(&self, object: &ObjectName) -> Result<Option<Done>, ServiceError> {
        let path = self.gateway_file(object);
        // Mostly it is none, which costs no more than this look.
        if !path.exists() {
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
        let text = self.gateway_text(&service)?;
        if std::fs::read_to_string(&path).is_ok_and(|now| now == text) {
            return Ok(None);
        }
        let spec = &container.spec;
        self.put_gateway(&service, &program(spec), &path, &text)?;
        let engine = self.engines.engine(Kind::Process);
        if engine
            .state(spec)
            .is_ok_and(|state| state.running().is_some())
        {
            let told = engine.signal(spec, Signal::User2);
            told.map_err(ServiceError::engine(object))?;
        }
        Ok(Some(self.tell(
            object,
            Some(&spec.resource),
            "haproxy reloaded",
        )))
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
        let port = self.dns_port().map_err(wrong)?;
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

    fn gateway_file(&self, object: &ObjectName) -> PathBuf {
        self.gateway_dir(object).join("haproxy.cfg")
    }

    /// Puts a configuration in place that HAProxy takes.
    fn put_gateway(
        &self,
        service: &Service,
        program: &str,
        path: &Path,
        text: &str,
    ) -> Result<(), ServiceError> {
        let trial = path.with_extension("cfg.new");
        file::replace(&trial, text)?;
        check(&service.name, program, &trial)?;
        std::fs::rename(&trial, path).map_err(ServiceError::file("write", path))
    }
}

/// The program that a gateway runs.
fn program(spec: &ContainerSpec) -> String {
    let first = spec.command.first().cloned();
    first.unwrap_or_else(|| HAPROXY.to_owned())
}

/// Has HAProxy look at a configuration.
fn check(object: &ObjectName, program: &str, path: &Path) -> Result<(), ServiceError> {
    let looked = Command::new(program)
        .args(["-c", "-f"])
        .arg(path)
        .stdin(Stdio::null())
        .output();
    let refused = |reason: String| ServiceError::Gateway {
        object: object.clone(),
        reason,
    };
    let output = looked.map_err(|e| refused(format!("{program} cannot be started: {e}")))?;
    match output.status.success() {
        true => Ok(()),
        false => {
            let words = String::from_utf8_lossy(&output.stderr);
            // `[ALERT]    (PID) : WORDS`; the last ones repeat that there were errors.
            let alerts = words
                .lines()
                .filter_map(|line| line.strip_prefix("[ALERT]"));
            let alerts = alerts.map(|line| line.split_once(" : ").map_or(line, |(_, text)| text));
            let alerts: Vec<&str> = alerts.take(3).map(str::trim).collect();
            Err(refused(match alerts.is_empty() {
                true => words.trim().to_owned(),
                false => alerts.join("; "),
            }))
        }
    }
}
