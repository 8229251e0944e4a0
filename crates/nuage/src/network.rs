//! Networks of Docker: which subnet each stands for. Docker tells that the host where a network
//! is made, and only some of it; elsewhere its engine is asked, when there is time for it.

use crate::door::Door;
use crate::error::DoorError;
use crate::ipam::{asked, net};
use crate::pool::Pool;
use crate::subnet::same_net;
use crate::target::{is_same, names_any, target};
use fairlead_libnetwork::engine::short;
use fairlead_libnetwork::engine::{EngineError, Network};
use fairlead_libnetwork::protocol::{CreateNetwork, GENERIC, INTERNAL, IpamData};
use fairlead_store::{VspLease, VspNetwork, VspTarget};
use ipnet::IpNet;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;
use tracing::{debug, info, warn};

/// How long a call waits for Docker's engine, which does not answer while it starts.
const MOMENT: Duration = Duration::from_secs(2);

impl Door {
    /// Takes a network: with the options of `-o` it is new here, else its pool was given
    /// before.
    pub(crate) async fn create_network(&self, call: CreateNetwork) -> Result<(), DoorError> {
        if !call.ipv6_data.is_empty() {
            return Err(DoorError::V6);
        }
        let data = call.ipv4_data.first().ok_or(DoorError::NoSubnet)?;
        // Of two that are made at once, the second sees the first.
        let _turn = self.turns.at("networks").await;
        let generic = options(call.options.get(GENERIC));
        let internal = call.options.get(INTERNAL) == Some(&Value::Bool(true));
        let network = match self.of_pending(data, &generic)? {
            Some(pool) => VspNetwork {
                id: call.network_id,
                name: None,
                target: pool.target,
                net: pool.net,
                gateway: pool.gateway.or_else(|| gateway(data)),
                leased: true,
                internal,
                ids: pool.ids,
            },
            None if is_ours(data) && !names_any(&generic) => {
                // Two pools alike are on their way: the engine says later which it is.
                debug!("network {} is not told apart yet", short(&call.network_id));
                return Ok(());
            }
            None => {
                let target = target(&generic)?;
                self.by_options(call.network_id, target, data, internal)
                    .await?
            }
        };
        self.refuse_overlap(&network.target, &network.id).await?;
        info!(
            "network {} is subnet {:?} of {:?}",
            short(&network.id),
            network.target.subnet,
            network.target.organization
        );
        self.records.put_network(&network)
    }

    /// The pool that was given for a network which is made now.
    fn of_pending(
        &self,
        data: &IpamData,
        generic: &BTreeMap<String, String>,
    ) -> Result<Option<Pool>, DoorError> {
        if !is_ours(data) {
            return Ok(None);
        }
        let mut pending = self.pending();
        let alike = pending
            .iter()
            .filter(|(_, (pool, _))| IpNet::V4(pool.net) == data.pool);
        let ids: Vec<String> = alike.map(|(id, _)| id.clone()).collect();
        match ids.as_slice() {
            [id] => Ok(pending.remove(id).map(|(pool, _)| pool)),
            [] if !names_any(generic) => Err(DoorError::Missing(
                "organization, domain, zone, subnet, user".into(),
            )),
            _ => Ok(None),
        }
    }

    /// A network whose addresses are Docker's to give. They have to be the controller's.
    async fn by_options(
        &self,
        id: String,
        target: VspTarget,
        data: &IpamData,
        internal: bool,
    ) -> Result<VspNetwork, DoorError> {
        let IpNet::V4(asked) = data.pool.trunc() else {
            return Err(DoorError::V6);
        };
        let told = gateway(data);
        let mut network = VspNetwork {
            id,
            name: None,
            target,
            net: asked,
            gateway: told,
            leased: false,
            internal,
            ids: None,
        };
        if self.vsd.is_some() {
            let found = self.find_subnet(&network.target).await?;
            same_net(&network.target, found.net, asked)?;
            refuse_gateway(&network.target, found.gateway, told)?;
            if self.settings().gateway_from_vsd {
                network.gateway = found.gateway.or(told);
            }
            network.ids = Some(found.ids);
        }
        Ok(network)
    }

    /// The network of that id. `address` is what a container has on it: where the address was
    /// asked for here, that tells the network.
    pub(crate) async fn network(
        &self,
        id: &str,
        address: Option<Ipv4Addr>,
    ) -> Result<VspNetwork, DoorError> {
        if let Some(known) = self.records.network(id)? {
            return Ok(known);
        }
        let unknown = || DoorError::UnknownNetwork(short(id).to_owned());
        let error = match self.ask_network(id).await {
            Ok(told) => {
                return self
                    .learn(&told.ok_or_else(unknown)?)
                    .await?
                    .ok_or_else(unknown);
            }
            Err(error) => error,
        };
        // The engine starts, and tells nothing: of one free lease of that address it is the
        // network. That is not recorded: another's may be meant as well.
        let leases = match address {
            Some(address) => self.records.with_address(address)?,
            None => Vec::new(),
        };
        let mut free = leases.into_iter().filter(|lease| lease.endpoint.is_none());
        match (free.next(), free.next()) {
            (Some(lease), None) => Ok(by_lease(id, lease)),
            _ => Err(error.into()),
        }
    }

    /// Asks Docker's engine about a network, for no longer than a moment.
    pub(crate) async fn ask_network(&self, id: &str) -> Result<Option<Network>, EngineError> {
        let asked = tokio::time::timeout(MOMENT, self.engine.network(id)).await;
        asked.unwrap_or_else(|_| {
            Err(EngineError::Late {
                operation: "look at network",
                object: short(id).to_owned(),
                limit: MOMENT,
            })
        })
    }

    /// Asks the engine for all networks of the driver, for no longer than a moment, and records
    /// what is new.
    pub(crate) async fn learn_networks(&self) {
        let networks = match tokio::time::timeout(MOMENT, self.engine.networks()).await {
            Ok(Ok(networks)) => networks,
            Ok(Err(error)) => return debug!("{error}"),
            Err(_) => return debug!("Docker's engine does not answer now"),
        };
        for network in networks {
            if let Err(error) = self.learn(&network).await {
                warn!("network {}: {error}", network.name());
            }
        }
    }

    /// Records what the engine tells of a network, unless it is known; none if it is not the
    /// driver's.
    pub(crate) async fn learn(&self, told: &Network) -> Result<Option<VspNetwork>, DoorError> {
        if !told.is_of(crate::DRIVER) {
            return Ok(None);
        }
        let name = Some(told.name().to_owned()).filter(|name| !name.is_empty());
        if let Some(mut known) = self.records.network(told.id())? {
            if known.name != name && name.is_some() {
                known.name = name;
                self.records.put_network(&known)?;
            }
            return Ok(Some(known));
        }
        let ipam = told.get("IPAM").cloned().unwrap_or_default();
        let driver = ipam
            .get("Driver")
            .and_then(Value::as_str)
            .unwrap_or_default();
        let leased = crate::DRIVER.is(driver) || crate::IPAM_DRIVER.is(driver);
        let options = match leased {
            true => options(ipam.get("Options")),
            false => options(told.get("Options")),
        };
        let config = ipam.pointer("/Config/0").cloned().unwrap_or_default();
        let word = |key| config.get(key).and_then(Value::as_str).unwrap_or_default();
        let mut network = VspNetwork {
            id: told.id().to_owned(),
            name,
            target: target(&options)?,
            net: net(word("Subnet"))?.ok_or(DoorError::NoSubnet)?,
            gateway: asked(word("Gateway"))?,
            leased,
            internal: told.get("Internal") == Some(&Value::Bool(true)),
            ids: None,
        };
        if self.vsd.is_some() {
            let found = self.find_subnet(&network.target).await?;
            if self.settings().gateway_from_vsd {
                network.gateway = found.gateway.or(network.gateway);
            }
            network.ids = Some(found.ids);
        }
        self.records.put_network(&network)?;
        // What could not be told apart when it was made is known now.
        self.pending()
            .retain(|_, (pool, _)| !is_same(&pool.target, &network.target));
        Ok(Some(network))
    }
}

/// Whether addresses come from the driver; Docker's own spaces are called otherwise.
fn is_ours(data: &IpamData) -> bool {
    [crate::LOCAL_SPACE, crate::GLOBAL_SPACE].contains(&data.address_space.as_str())
}

fn gateway(data: &IpamData) -> Option<Ipv4Addr> {
    match data.gateway {
        Some(IpAddr::V4(gateway)) => Some(gateway),
        _ => None,
    }
}

fn refuse_gateway(
    target: &VspTarget,
    own: Option<Ipv4Addr>,
    told: Option<Ipv4Addr>,
) -> Result<(), DoorError> {
    match (own, told) {
        // Docker would give the controller's gateway to a container.
        (Some(gateway), Some(asked)) if gateway != asked => Err(DoorError::OtherGateway {
            name: target.subnet.clone(),
            gateway,
            asked,
        }),
        _ => Ok(()),
    }
}

fn by_lease(id: &str, lease: VspLease) -> VspNetwork {
    VspNetwork {
        id: id.to_owned(),
        name: None,
        target: lease.target,
        net: lease.net,
        gateway: lease.gateway,
        leased: true,
        internal: false,
        ids: lease.subnet,
    }
}

/// Options as texts; Docker knows no others.
fn options(value: Option<&Value>) -> BTreeMap<String, String> {
    let all: Option<&Map<String, Value>> = value.and_then(Value::as_object);
    let all = all.into_iter().flatten();
    let text = |value: &Value| match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    all.map(|(key, value)| (key.clone(), text(value))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn options_are_texts() {
        let all = options(Some(&json!({"subnet": "Subnet 2", "mtu": 1400})));
        assert_eq!(all["subnet"], "Subnet 2");
        assert_eq!(all["mtu"], "1400");
        assert!(options(None).is_empty() && options(Some(&json!(null))).is_empty());
    }

    #[test]
    fn a_gateway_has_to_be_the_controllers_where_that_has_one() {
        let target = VspTarget {
            organization: "E".into(),
            domain: "D".into(),
            zone: "Z".into(),
            subnet: "S".into(),
            user: "u".into(),
        };
        let address = |text: &str| text.parse().ok();
        let (own, other) = (address("10.1.0.1"), address("10.1.0.254"));
        assert!(refuse_gateway(&target, own, other).is_err());
        for (own, told) in [(own, own), (None, other), (own, None)] {
            assert!(refuse_gateway(&target, own, told).is_ok());
        }
    }
}
