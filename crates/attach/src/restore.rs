//! Putting back what somebody took away: `nft flush ruleset`, as a restart of the system's
//! nftables service does, takes our elements too; a bridge that was deleted and made anew
//! has lost its ports. The records have them all.

use crate::{AttachError, Node};
use fairlead_cni::ConfList;
use fairlead_firewall::Element;
use fairlead_kernel::Route;
use fairlead_kernel::route::{Link, LinkChange, LinkKind, PortOptions};
use fairlead_types::{IfName, Owner};
use serde_json::Value;
use std::collections::{BTreeSet, HashMap};

impl Node {
    /// Puts back what records stand for and the kernel lacks, elements of nftables and
    /// ports of bridges; returns them. With `dry_run` only says which.
    ///
    /// # Errors
    /// [`AttachError`] when the state cannot be read or the kernel refuses.
    pub fn restore(&self, dry_run: bool) -> Result<Vec<String>, AttachError> {
        let mut restored = self.restore_elements(dry_run)?;
        restored.extend(self.restore_ports(dry_run)?);
        if !dry_run {
            restored.extend(self.restore_passage()?);
        }
        Ok(restored)
    }

    /// Where Docker forwards nothing for others, the bridges of its networks that are ours
    /// are let through.
    fn restore_passage(&self) -> Result<Vec<String>, AttachError> {
        let docker = self.host().store(|store| store.view().docker_networks())?;
        let (networks, _) = self.config.networks();
        let carried = networks
            .into_iter()
            .filter(|network| docker.iter().any(|d| d.network == network.name));
        let bridges = carried.filter_map(|network| network.bridge).collect();
        Ok(self
            .host()
            .firewall(|firewall| firewall.let_pass(&bridges))?)
    }

    fn restore_elements(&self, dry_run: bool) -> Result<Vec<String>, AttachError> {
        let recorded = self
            .host()
            .store(|store| store.read(fairlead_plugins::recorded))?;
        let recorded = elements(recorded);
        if recorded.is_empty() {
            return Ok(Vec::new());
        }
        let mut missing: Vec<Element> = self
            .host()
            .firewall(|firewall| Ok(firewall.missing(&recorded)?.into_iter().cloned().collect()))?;
        if !missing.is_empty() && !dry_run {
            self.add_recorded(&mut missing)?;
        }
        Ok(missing.iter().map(ToString::to_string).collect())
    }

    /// Adds those that are recorded still, while nobody else changes records: a detach
    /// takes elements and records away in one step.
    fn add_recorded(&self, missing: &mut Vec<Element>) -> Result<(), AttachError> {
        let mut added = Ok(());
        self.host().store(|store| {
            added = store.write(|tx| {
                let recorded: BTreeSet<Element> = elements(fairlead_plugins::recorded(tx)?)
                    .into_iter()
                    .collect();
                missing.retain(|element| recorded.contains(element));
                self.host().firewall(|firewall| {
                    firewall.ensure()?;
                    firewall.add(missing)
                })?;
                Ok::<_, AttachError>(())
            });
            Ok(())
        })?;
        added
    }

    /// Cables that are no port of any bridge although their network has one.
    fn restore_ports(&self, dry_run: bool) -> Result<Vec<String>, AttachError> {
        let owners = self.host().store(|store| store.view().owners())?;
        if owners.is_empty() {
            return Ok(Vec::new());
        }
        let mut route = Route::open()?;
        let links: HashMap<String, Link> = route
            .links()?
            .into_iter()
            .map(|link| (link.name.clone(), link))
            .collect();
        let mut restored = Vec::new();
        for record in &owners {
            let name = fairlead_plugins::host_name(&record.owner)?;
            let Some(link) = links
                .get(name.as_str())
                .filter(|link| link.master.is_none())
            else {
                continue;
            };
            let Some(port) = self.port_of(&record.owner) else {
                continue;
            };
            let bridge = links.get(port.bridge.as_str());
            let Some(bridge) = bridge.filter(|link| link.kind == Some(LinkKind::Bridge)) else {
                continue;
            };
            if !dry_run && !connect(&mut route, link, bridge, &name, &port)? {
                continue;
            }
            restored.push(format!("port {name} of bridge {}", port.bridge));
        }
        Ok(restored)
    }

    /// What an attachment's cable is connected to, by its record or its network.
    fn port_of(&self, owner: &Owner) -> Option<Port> {
        let record = self.host().store(|store| store.view().attachment(owner));
        let recorded = record.ok().flatten();
        let list = match recorded {
            Some(record) => ConfList::from_slice(record.config.as_bytes()).ok()?,
            None => fairlead_networks::find(&self.config, &owner.network).ok()?,
        };
        Port::of(&list.to_value())
    }
}

/// Each once: one hairpin serves all ports of an address.
fn elements(recorded: Vec<(Owner, Element)>) -> Vec<Element> {
    let all: BTreeSet<Element> = recorded.into_iter().map(|(_, element)| element).collect();
    all.into_iter().collect()
}

/// The bridge's end of a cable.
struct Port {
    bridge: IfName,
    options: PortOptions,
}

impl Port {
    /// As a list's plugin `bridge` makes it. One in a VLAN is left alone: in the wrong one
    /// it would be where it must not be.
    fn of(list: &Value) -> Option<Self> {
        let plugins = list.get("plugins")?.as_array()?;
        let plugin = plugins.iter().find(|plugin| plugin["type"] == "bridge")?;
        let is_set = |key: &str| plugin.get(key).is_some_and(|value| !value.is_null());
        if is_set("vlan") || is_set("vlanTrunk") {
            return None;
        }
        let option = |key: &str| (plugin[key] == true).then_some(true);
        Some(Self {
            bridge: plugin["bridge"].as_str().unwrap_or("cni0").parse().ok()?,
            options: PortOptions {
                hairpin: option("hairpinMode"),
                isolated: option("portIsolation"),
            },
        })
    }
}

/// Returns false when the cable or the bridge has gone since.
fn connect(
    route: &mut Route,
    link: &Link,
    bridge: &Link,
    name: &IfName,
    port: &Port,
) -> Result<bool, AttachError> {
    let change = LinkChange {
        master: Some(bridge.index),
        up: Some(true),
        ..LinkChange::default()
    };
    let mut connected = route.change_link(link.index, &change, name);
    if connected.is_ok() && port.options != PortOptions::default() {
        connected = route.set_port(link.index, port.options, name);
    }
    match connected {
        Err(error) if error.is_not_found() => Ok(false),
        other => other.map(|()| true).map_err(AttachError::from),
    }
}
