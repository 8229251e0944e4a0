//! The door: from what a container wants to the core's calls, and what the core has of it.

use crate::OciError;
use crate::bundle::Bundle;
use crate::choice::Choice;
use crate::settings::{PoolMode, Settings};
use fairlead_attach::{Guest, Node, PublishedPort, Selector, Wanted};
use fairlead_cni::conf::load_directory;
use fairlead_cni::{CniResult, ConfList};
use fairlead_store::AttachmentFilter;
use fairlead_types::{ContainerId, IfName, Mac, NetworkName, Root};
use ipnet::IpNet;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use tracing::{error, warn};

/// The door of OCI on this node.
pub struct Oci {
    pub(crate) node: Node,
    pub(crate) settings: Settings,
}

/// One interface of a container, as the node's state has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attached {
    /// The network.
    pub network: NetworkName,
    /// The interface.
    pub ifname: IfName,
    /// Its addresses.
    pub addresses: Vec<IpNet>,
    /// The gateways of those that have one.
    pub gateways: Vec<IpAddr>,
    /// Its hardware address.
    pub mac: Option<Mac>,
    /// The ports of the host that lead to it.
    pub ports: Vec<PublishedPort>,
}

impl Oci {
    /// Opens the door with the settings of a file.
    ///
    /// # Errors
    /// [`OciError`] for settings or a configuration that cannot be read.
    pub fn open(root: &Root, settings: &Path) -> Result<Self, OciError> {
        Self::with(root, Settings::read(settings)?)
    }

    /// Opens the door with these settings.
    ///
    /// # Errors
    /// [`OciError::Attach`] for a configuration of the node that cannot be read.
    pub fn with(root: &Root, settings: Settings) -> Result<Self, OciError> {
        Ok(Self::on(Node::open(root)?, settings))
    }

    /// For taking away, which works from records whatever the files say.
    pub(crate) fn by_records(root: &Root, settings: Settings) -> Result<Self, OciError> {
        let node = Node::open(root).or_else(|error| {
            warn!("{error}; going on by the records alone");
            Node::without_config(root)
        });
        Ok(Self::on(node?, settings))
    }

    fn on(mut node: Node, settings: Settings) -> Self {
        // Ours are in the binary; what the node has beside is searched last.
        let mut path = settings.cni_bin_dir.clone();
        let more = node.plugin_path().iter().filter(|dir| !path.contains(dir));
        let more: Vec<PathBuf> = more.cloned().collect();
        path.extend(more);
        let limit = settings.plugin_limit();
        node.use_programs(path, limit);
        Self { node, settings }
    }

    /// The networks that containers can name: those of the folder, and the declared ones.
    ///
    /// # Errors
    /// [`OciError::Conf`] when the folder cannot be listed.
    pub fn networks(&self) -> Result<Vec<NetworkName>, OciError> {
        let folder = load_directory(&self.settings.cni_conf_dir)?;
        let (declared, _) = self.node.config().networks();
        let of_files = folder.lists.into_iter().map(|(_, list)| list.name);
        let all: BTreeSet<NetworkName> = of_files
            .chain(declared.into_iter().map(|n| n.name))
            .collect();
        Ok(all.into_iter().collect())
    }

    /// What a container wants, as lists and arguments for the core.
    pub(crate) fn wanted(&self, choice: &Choice) -> Result<Vec<Wanted>, OciError> {
        let mut lists = self.lists(choice)?.into_iter();
        let first = lists.next().map(|list| self.first(list, choice));
        let others = lists.enumerate().map(|(i, list)| {
            Ok(Wanted {
                list,
                ifname: numbered(&self.settings.cni_ifname, i + 1)?,
                args: arguments(choice),
                capabilities: Default::default(),
                addresses: Vec::new(),
            })
        });
        first.into_iter().chain(others).collect()
    }

    /// The first interface, which has everything that the container asked for.
    fn first(&self, mut list: ConfList, choice: &Choice) -> Result<Wanted, OciError> {
        let mut args = arguments(choice);
        let mut capabilities = serde_json::Map::new();
        if let Some(ports) = &choice.ports {
            list = fairlead_networks::publishing(list)?;
            capabilities.insert("portMappings".into(), ports.clone());
        }
        let known = list.capabilities();
        let has = |name: &str| known.iter().any(|known| known == name);
        if let Some(mac) = choice.mac {
            match has("mac") {
                true => drop(capabilities.insert("mac".into(), json!(mac))),
                false => args.push(("MAC".into(), mac.to_string())),
            }
        }
        if choice.addresses.len() > 1 && !has("ips") {
            return Err(OciError::Choice {
                key: crate::keys::IPV6.into(),
                value: choice.addresses[1].to_string(),
                reason: format!("network {} takes one address at a time", list.name),
            });
        }
        let mut wanted = Wanted {
            list,
            ifname: numbered(&self.settings.cni_ifname, 0)?,
            args,
            capabilities,
            addresses: Vec::new(),
        };
        if !choice.addresses.is_empty() {
            wanted.ask_for(choice.addresses.clone());
        }
        Ok(wanted)
    }

    fn lists(&self, choice: &Choice) -> Result<Vec<ConfList>, OciError> {
        let named: Result<Vec<_>, _> = choice.networks.iter().map(|n| self.find(n)).collect();
        let mut named = named?;
        let Some(pool) = &choice.pool else {
            if named.is_empty() {
                named.push(self.default_list()?);
            }
            return Ok(named);
        };
        if named.is_empty() && self.settings.pool_mode == PoolMode::Name {
            return Ok(vec![self.find(&NetworkName::new(&pool.name)?)?]);
        }
        let base = match named.is_empty() {
            false => named.remove(0),
            true => match (self.default_list(), self.settings.pool_mode) {
                (Ok(list), _) => list,
                (Err(error), PoolMode::CalicoPool) => return Err(error),
                (Err(_), _) => return Ok(vec![self.find(&NetworkName::new(&pool.name)?)?]),
            },
        };
        let is_calicos = base.plugins.first().and_then(|p| p.ipam_type()) == Some("calico-ipam");
        let first = match is_calicos || self.settings.pool_mode == PoolMode::CalicoPool {
            true => with_pool(base, &pool.name)?,
            false if choice.networks.is_empty() => self.find(&NetworkName::new(&pool.name)?)?,
            false => {
                return Err(OciError::Choice {
                    key: pool.key.clone(),
                    value: pool.name.clone(),
                    reason: format!("network {} has no pools", base.name),
                });
            }
        };
        named.insert(0, first);
        Ok(named)
    }

    fn find(&self, name: &NetworkName) -> Result<ConfList, OciError> {
        let unknown = match fairlead_networks::find(self.node.config(), name) {
            Ok(list) => return Ok(list),
            Err(error) => error,
        };
        let folder = load_directory(&self.settings.cni_conf_dir)?;
        match folder.find(name) {
            Ok(list) => Ok(list.clone()),
            Err(_) if folder.lists.is_empty() => Err(unknown.into()),
            Err(error) => Err(error.into()),
        }
    }

    /// The network of a container that names none.
    fn default_list(&self) -> Result<ConfList, OciError> {
        if let Some(name) = &self.settings.network {
            return self.find(&NetworkName::new(name)?);
        }
        let folder = load_directory(&self.settings.cni_conf_dir)?;
        let first = folder.lists.first();
        let before = |path: &PathBuf| first.is_none_or(|(first, _)| path < first);
        for (path, reason) in folder.broken.iter().filter(|(path, _)| before(path)) {
            error!("skipped {}: {reason}", path.display());
        }
        match folder.lists.into_iter().next() {
            Some((_, list)) => Ok(list),
            None => Err(OciError::NoNetwork {
                dir: folder.dir,
                broken: folder.broken.iter().map(|(_, e)| e.to_string()).collect(),
            }),
        }
    }

    /// What the core is told of a container.
    pub(crate) fn guest(&self, container: &ContainerId, bundle: &Bundle) -> Guest {
        Guest {
            container: container.clone(),
            bundle: bundle.dir.clone(),
            home: home(bundle),
        }
    }

    /// Every container that has an interface, by its id: those that run, and those for which
    /// one is kept.
    ///
    /// # Errors
    /// [`OciError::Attach`] when the state cannot be read.
    pub fn attached(&self) -> Result<BTreeMap<String, Vec<Attached>>, OciError> {
        let host = self.node.host();
        let (records, endpoints, ports) = host.store(|store| {
            store.read(|view| {
                let records = view.attachments(&AttachmentFilter::default())?;
                Ok((records, view.endpoints()?, view.ports()?))
            })
        })?;
        let mut all: BTreeMap<String, Vec<Attached>> = BTreeMap::new();
        for record in records {
            let Some(mut one) = record.result.as_deref().and_then(shown) else {
                continue;
            };
            one.network = record.owner.network.clone();
            one.ifname = record.owner.ifname.clone();
            let own = ports.iter().filter(|port| port.owner == record.owner);
            one.ports = own.map(PublishedPort::of).collect();
            one.ports.dedup();
            let id = record.owner.container.to_string();
            all.entry(id).or_default().push(one);
        }
        for endpoint in endpoints {
            let Some(places) = all.remove(endpoint.owner.as_str()) else {
                continue;
            };
            let tenant = endpoint.tenant.into_iter().map(|t| t.container);
            for id in endpoint
                .connected
                .into_iter()
                .map(|c| c.container)
                .chain(tenant)
            {
                all.insert(id.to_string(), places.clone());
            }
        }
        Ok(all)
    }

    /// Says that an engine has a container no more: everything it had is taken away.
    /// Repeating it is no error.
    ///
    /// # Errors
    /// [`OciError`] with what could not be taken away.
    pub fn removed(&self, id: &str) -> Result<(), OciError> {
        let container = ContainerId::new(id)?;
        if self.node.forget_endpoint(&container)? {
            return Ok(());
        }
        self.detach(&container)
    }

    pub(crate) fn detach(&self, container: &ContainerId) -> Result<(), OciError> {
        self.node
            .wait_for_detach(container, crate::hook::PATIENCE)?;
        let selector = Selector {
            container: Some(container.clone()),
            ..Selector::default()
        };
        self.node.detach(&selector)?;
        Ok(())
    }

    /// Takes away what no container has any more, whoever forgot to say so; gives what that
    /// was, a line each.
    ///
    /// # Errors
    /// [`OciError`] with what could not be taken away.
    pub fn reconcile(&self) -> Result<Vec<String>, OciError> {
        let report = self.node.gc(false)?;
        Ok(report.actions.iter().map(ToString::to_string).collect())
    }
}

/// Where an engine keeps a container as long as it has it: Docker, nerdctl and Podman each
/// have a folder of the container's.
fn home(bundle: &Bundle) -> Option<PathBuf> {
    if let Some(home) = bundle.docker_home() {
        return Some(home);
    }
    let annotations = bundle.annotations();
    let nerdctl = annotations.and_then(|all| all.get("nerdctl/state-dir")?.as_str());
    if let Some(dir) = nerdctl.map(PathBuf::from).filter(|dir| dir.is_absolute()) {
        return Some(dir);
    }
    let is_podmans = bundle.dir.ends_with("userdata");
    bundle
        .dir
        .parent()
        .filter(|_| is_podmans)
        .map(PathBuf::from)
}

fn arguments(choice: &Choice) -> Vec<(String, String)> {
    let mut args = vec![("IgnoreUnknown".to_owned(), "1".to_owned())];
    if let Some(pool) = &choice.pool {
        args.push(("IPPOOL".into(), pool.name.clone()));
    }
    args.extend(choice.args.iter().cloned());
    args
}

/// The interface that comes `i` after the first.
fn numbered(first: &str, i: usize) -> Result<IfName, OciError> {
    let name = first.trim_end_matches(|c: char| c.is_ascii_digit());
    let number: usize = first[name.len()..].parse().unwrap_or(0);
    Ok(match i {
        0 => IfName::new(first)?,
        _ => IfName::new(format!("{name}{}", number + i))?,
    })
}

/// The list with addresses of one of Calico's pools.
fn with_pool(list: ConfList, pool: &str) -> Result<ConfList, OciError> {
    let mut value = list.to_value();
    value["plugins"][0]["ipam"]["ipv4_pools"] = json!([pool]);
    Ok(ConfList::from_value(value)?)
}

/// What the result of an ADD shows.
fn shown(result: &str) -> Option<Attached> {
    let value: Value = serde_json::from_str(result).ok()?;
    let result = CniResult::from_json(&value).ok()?;
    let inside = result.interfaces.iter().find(|i| !i.sandbox.is_empty());
    Some(Attached {
        network: NetworkName::new("none").ok()?,
        ifname: IfName::new("eth0").ok()?,
        addresses: result.ips.iter().map(|ip| ip.address).collect(),
        gateways: result.ips.iter().filter_map(|ip| ip.gateway).collect(),
        mac: inside.and_then(|interface| interface.mac.parse().ok()),
        ports: Vec::new(),
    })
}
