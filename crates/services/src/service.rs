//! A service as its file declares it: checked as a whole, its resources in the order in
//! which they start.

use crate::engine::{ContainerSpec, Kind, Network, Pull, default_name};
use crate::gateway::Rule;
use crate::{ServiceError, order};
use fairlead_config::{Config, KeyPath, Problem, Value};
use fairlead_types::{Expose, HostName, IfName, NetworkName, ObjectName, ResourceName};
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

/// A service that can be started.
#[derive(Debug, Clone)]
pub struct Service {
    /// Its name.
    pub name: ObjectName,
    /// Its application, which older names in DNS have.
    pub app: Option<HostName>,
    /// Its containers, those first that others share the namespace of.
    pub containers: Vec<Container>,
    /// Its addresses, by the order of the file.
    pub ips: Vec<IpResource>,
    /// What it leads to other services, where it is a gateway.
    pub rules: Vec<Rule>,
}

/// One `[container#N]`.
#[derive(Debug, Clone)]
pub struct Container {
    /// What the engine is told, but for its resolver.
    pub spec: ContainerSpec,
    /// Whose namespace it shares.
    pub shares: Option<ResourceName>,
    /// Whether it is the HAProxy of the service's ingress sections.
    pub is_gateway: bool,
}

/// One `[ip#N]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IpResource {
    /// Its name.
    pub resource: ResourceName,
    /// The network that the address is of.
    pub network: NetworkName,
    /// The container that gets it; the service's own namespace where there is none.
    pub container: Option<ResourceName>,
    /// The keyword that named the container.
    pub netns_keyword: &'static str,
    /// The interface; the first free `ethN` where there is none.
    pub ifname: Option<IfName>,
    /// The addresses asked for.
    pub ips: Vec<IpAddr>,
    /// The ports that are offered.
    pub expose: Vec<Expose>,
    /// How long the start waits for DNS.
    pub wait_dns: Duration,
    /// What the container's name has behind it in DNS.
    pub suffix: Option<HostName>,
}

impl Service {
    /// Reads the service that `config` looks at.
    ///
    /// # Errors
    /// [`ServiceError::Problems`] with every keyword that is wrong for itself, else the
    /// first that does not go with the rest, by section and keyword.
    pub fn read(config: &Config, object: &ObjectName) -> Result<Self, ServiceError> {
        let problems = config.service_problems().into_iter();
        let faults: Vec<Problem> = problems.filter(|p| !p.is_warning()).collect();
        if !faults.is_empty() {
            return Err(ServiceError::Problems {
                object: object.clone(),
                problems: faults,
            });
        }
        let document = config.service_document().cloned().unwrap_or_default();
        let sections = |kind: &str| -> Vec<String> {
            let of = |section: &&str| section.split('#').next() == Some(kind);
            document.sections().filter(of).map(str::to_owned).collect()
        };
        let mut containers = Vec::new();
        for section in sections("container") {
            containers.push(container(&Reader::of(config, object, &section)?)?);
        }
        let mut ips = Vec::new();
        for section in sections("ip") {
            ips.push(ip(&Reader::of(config, object, &section)?)?);
        }
        let mut rules = Vec::new();
        for section in sections("ingress") {
            rules.push(Rule::read(&Reader::of(config, object, &section)?)?);
        }
        let app = Reader::default_of(config, object).text("app")?;
        let service = Self {
            name: object.clone(),
            app: app.and_then(|app| HostName::new(app).ok()),
            containers: order::containers(object, containers)?,
            ips,
            rules,
        };
        order::check(&service)?;
        Ok(service)
    }

    /// The container of this name.
    #[must_use]
    pub fn container(&self, resource: &ResourceName) -> Option<&Container> {
        let mut all = self.containers.iter();
        all.find(|container| container.spec.resource == *resource)
    }

    /// The names of all its resources.
    #[must_use]
    pub fn resources(&self) -> Vec<ResourceName> {
        let containers = self.containers.iter().map(|c| c.spec.resource.clone());
        let ips = self.ips.iter().map(|ip| ip.resource.clone());
        containers.chain(ips).collect()
    }

    /// Whether it has a namespace of its own, beside those of its containers.
    #[must_use]
    pub fn has_namespace(&self) -> bool {
        let of_service = |c: &Container| c.spec.kind == Kind::Process && c.is_alone();
        self.ips.iter().any(|ip| ip.container.is_none()) || self.containers.iter().any(of_service)
    }

    /// The file of that namespace, as `ip netns` has it.
    #[must_use]
    pub fn namespace(&self) -> PathBuf {
        namespace(&self.name)
    }
}

/// The file of the namespace that a service has for itself.
#[must_use]
pub(crate) fn namespace(object: &ObjectName) -> PathBuf {
    PathBuf::from("/run/netns").join(crate::file::slug(object))
}

impl Container {
    /// Whether it has a namespace of its own, or that of its service.
    pub(crate) fn is_alone(&self) -> bool {
        self.shares.is_none() && self.spec.network != Network::Host
    }
}

/// The keywords of one section.
pub(crate) struct Reader<'a> {
    config: &'a Config,
    pub(crate) object: &'a ObjectName,
    section: &'a str,
    pub(crate) resource: ResourceName,
}

impl<'a> Reader<'a> {
    fn of(
        config: &'a Config,
        object: &'a ObjectName,
        section: &'a str,
    ) -> Result<Self, ServiceError> {
        let resource = ResourceName::new(section).map_err(|e| ServiceError::Section {
            object: object.clone(),
            section: section.to_owned(),
            reason: e.to_string(),
        })?;
        Ok(Self {
            config,
            object,
            section,
            resource,
        })
    }

    /// The section that is no resource.
    fn default_of(config: &'a Config, object: &'a ObjectName) -> DefaultReader<'a> {
        DefaultReader { config, object }
    }

    /// The value of a keyword, its default where none is set.
    pub(crate) fn value(&self, option: &str) -> Result<Option<Value>, ServiceError> {
        value(self.config, self.object, self.section, option)
    }

    pub(crate) fn text(&self, option: &str) -> Result<Option<String>, ServiceError> {
        Ok(self.value(option)?.map(|value| value.to_string()))
    }

    pub(crate) fn words(&self, option: &str) -> Result<Vec<String>, ServiceError> {
        let value = self.value(option)?;
        Ok(value.map(|value| value.elements()).unwrap_or_default())
    }

    fn is_set(&self, option: &str) -> Result<bool, ServiceError> {
        Ok(matches!(self.value(option)?, Some(Value::Bool(true))))
    }

    fn duration(&self, option: &str) -> Result<Duration, ServiceError> {
        Ok(match self.value(option)? {
            Some(Value::Duration(time)) => time,
            _ => Duration::ZERO,
        })
    }

    pub(crate) fn expose(&self, option: &str) -> Result<Vec<Expose>, ServiceError> {
        Ok(match self.value(option)? {
            Some(Value::Expose(list)) => list,
            _ => Vec::new(),
        })
    }

    /// A keyword whose value does not go with the rest.
    pub(crate) fn wrong(&self, keyword: &'static str, reason: impl Into<String>) -> ServiceError {
        let stored = self.config.service_document();
        let stored = stored.and_then(|d| d.get(self.section, keyword));
        ServiceError::Keyword {
            object: self.object.clone(),
            resource: self.resource.clone(),
            keyword,
            value: stored.map(str::to_owned),
            reason: reason.into(),
        }
    }
}

/// The keywords of `[DEFAULT]`.
struct DefaultReader<'a> {
    config: &'a Config,
    object: &'a ObjectName,
}

impl DefaultReader<'_> {
    fn text(&self, option: &str) -> Result<Option<String>, ServiceError> {
        let value = value(self.config, self.object, "DEFAULT", option)?;
        Ok(value.map(|value| value.to_string()))
    }
}

fn value(
    config: &Config,
    object: &ObjectName,
    section: &str,
    option: &str,
) -> Result<Option<Value>, ServiceError> {
    let path = KeyPath::new(section, option);
    config.eval(&path).map_err(|source| ServiceError::Config {
        object: object.clone(),
        source,
    })
}

fn container(of: &Reader<'_>) -> Result<Container, ServiceError> {
    let kind = of.text("type")?.unwrap_or_default();
    let is_gateway = kind == "haproxy";
    let kind = match kind.as_str() {
        "docker" => Kind::Docker,
        "podman" => Kind::Podman,
        "lxc" => Kind::Lxc,
        _ => Kind::Process,
    };
    let mut spec = ContainerSpec::new(of.object.clone(), of.resource.clone(), kind);
    spec.name = match (of.text("name")?, kind) {
        (Some(name), _) => name,
        (None, Kind::Lxc) => of.object.parts().map_or("", |parts| parts.2).to_owned(),
        (None, _) => default_name(of.object, &of.resource),
    };
    spec.image = of.text("image")?;
    spec.command = of.words("command")?;
    spec.entrypoint = of.words("entrypoint")?;
    spec.environment = environment(of)?;
    spec.hostname = of.text("hostname")?;
    spec.user = of.text("user")?;
    spec.volumes = of.words("volumes")?;
    spec.privileged = of.is_set("privileged")?;
    spec.tty = of.is_set("tty")?;
    spec.interactive = of.is_set("interactive")?;
    spec.restart = restart(of)?;
    spec.rm = of.is_set("rm")?;
    spec.pull = match of.text("pull")?.as_deref() {
        Some("always") => Pull::Always,
        Some("never") => Pull::Never,
        _ => Pull::Missing,
    };
    spec.cwd = of.text("cwd")?.map(PathBuf::from);
    spec.lxcpath = of.text("lxcpath")?.map(PathBuf::from);
    spec.start_timeout = of.duration("start_timeout")?;
    spec.stop_timeout = of.duration("stop_timeout")?;
    let netns = of.text("netns")?;
    let shares = match netns.as_deref() {
        None => None,
        Some("host") => {
            spec.network = Network::Host;
            None
        }
        Some(other) => {
            let resource = ResourceName::new(other);
            Some(resource.map_err(|e| of.wrong("netns", e.to_string()))?)
        }
    };
    wanted(of, &spec, is_gateway)?;
    Ok(Container {
        spec,
        shares,
        is_gateway,
    })
}

/// What an engine cannot do without.
fn wanted(of: &Reader<'_>, spec: &ContainerSpec, is_gateway: bool) -> Result<(), ServiceError> {
    match spec.kind {
        Kind::Docker | Kind::Podman if spec.image.is_none() => Err(of.wrong(
            "image",
            format!("a container of type {} needs one", spec.kind),
        )),
        Kind::Process
            if spec
                .restart
                .as_deref()
                .is_some_and(|r| r.starts_with("on-failure")) =>
        {
            let reason = "of a program nobody learns whether it failed; no, always or unless-stopped is wanted";
            Err(of.wrong("restart", reason))
        }
        Kind::Process if spec.command.is_empty() && !is_gateway => {
            Err(of.wrong("command", "a container of type process needs one"))
        }
        _ => Ok(()),
    }
}

fn environment(of: &Reader<'_>) -> Result<Vec<(String, String)>, ServiceError> {
    let words = of.words("environment")?.into_iter();
    let pairs = words.map(|word| match word.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err(of.wrong("environment", format!("{word:?} is no NAME=VALUE"))),
    });
    pairs.collect()
}

/// The policy, checked here: the engines' own words name no keyword.
fn restart(of: &Reader<'_>) -> Result<Option<String>, ServiceError> {
    let Some(policy) = of.text("restart")? else {
        return Ok(None);
    };
    let (name, times) = match policy.split_once(':') {
        Some((name, times)) => (name, Some(times)),
        None => (policy.as_str(), None),
    };
    let good = match (name, times) {
        ("no" | "always" | "unless-stopped" | "on-failure", None) => true,
        ("on-failure", Some(times)) => times.parse::<u32>().is_ok(),
        _ => false,
    };
    match good {
        true => Ok(Some(policy)),
        false => Err(of.wrong(
            "restart",
            "no, always, unless-stopped or on-failure[:TIMES] is wanted",
        )),
    }
}

fn ip(of: &Reader<'_>) -> Result<IpResource, ServiceError> {
    let (container, netns_keyword) = either(of, "netns", "container_rid")?;
    let (ifname, _) = either(of, "nsdev", "ipdev")?;
    // What the kinds of the keywords have checked is checked again by the types.
    let network = of.text("network")?.unwrap_or_default();
    let network = NetworkName::new(network).map_err(|e| of.wrong("network", e.to_string()))?;
    let ips = match of.value("ipaddr")? {
        Some(Value::Ips(ips)) => ips,
        _ => Vec::new(),
    };
    Ok(IpResource {
        resource: of.resource.clone(),
        network,
        container: container.and_then(|name| ResourceName::new(name).ok()),
        netns_keyword,
        ifname: ifname.and_then(|name| IfName::new(name).ok()),
        ips,
        expose: of.expose("expose")?,
        wait_dns: of.duration("wait_dns")?,
        suffix: of
            .text("dns_name_suffix")?
            .and_then(|name| HostName::new(name).ok()),
    })
}

/// The value of a keyword or else of its older name, and which of the two it was.
fn either(
    of: &Reader<'_>,
    keyword: &'static str,
    older: &'static str,
) -> Result<(Option<String>, &'static str), ServiceError> {
    Ok(match (of.text(keyword)?, of.text(older)?) {
        (None, Some(value)) => (Some(value), older),
        (value, _) => (value, keyword),
    })
}

#[cfg(test)]
mod tests;
