//! The driver of addresses: they come from the controller.

use crate::door::Door;
use crate::error::DoorError;
use crate::pool::{Pool, PoolId};
use crate::records::is_there;
use crate::subnet::same_net;
use crate::target::{digest, is_same, target};
use fairlead_libnetwork::protocol::{GATEWAY_TYPE, OfAddress, RequestPool, address};
use fairlead_store::{VspNetwork, VspState, VspTarget};
use fairlead_vsp::vsd::VsdError;
use ipnet::Ipv4Net;
use serde_json::{Value, json};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tracing::warn;

/// How long a network may take from its pool to its making.
const MAKING: Duration = Duration::from_secs(120);

impl Door {
    /// Says what a network gives addresses from: the subnet, as the controller has it.
    pub(crate) async fn request_pool(&self, call: &RequestPool) -> Result<Value, DoorError> {
        if call.v6 {
            return Err(DoorError::V6);
        }
        let target = target(&call.options)?;
        let subnet = self.find_subnet(&target).await?;
        if let Some(asked) = net(&call.pool)? {
            same_net(&target, subnet.net, asked)?;
        }
        if let Some(range) = net(&call.sub_pool)?.filter(|range| *range != subnet.net) {
            return Err(DoorError::Range(range.to_string()));
        }
        let pool = Pool {
            target,
            net: subnet.net,
            gateway: subnet.gateway.filter(|_| self.settings().gateway_from_vsd),
            ids: Some(subnet.ids),
        };
        self.refuse_overlap(&pool.target, "").await?;
        let id = pool.id()?;
        let data = pool.gateway.map_or_else(
            || json!({}),
            |gateway| json!({GATEWAY_TYPE: format!("{gateway}/{}", pool.net.prefix_len())}),
        );
        let answer = json!({"PoolID": id, "Pool": pool.net.to_string(), "Data": data});
        let mut pending = self.pending();
        pending.retain(|_, (_, since)| since.elapsed() < MAKING);
        pending.insert(id, (pool, Instant::now()));
        Ok(answer)
    }

    /// A subnet is one network on a host. What Docker has removed meanwhile does not count.
    pub(crate) async fn refuse_overlap(
        &self,
        target: &VspTarget,
        own: &str,
    ) -> Result<(), DoorError> {
        for network in self.records.networks()? {
            if network.id == own || !is_same(&network.target, target) {
                continue;
            }
            if matches!(self.ask_network(&network.id).await, Ok(None)) {
                self.records.remove_network(&network.id)?;
                continue;
            }
            return Err(DoorError::Overlap(network.name.unwrap_or(network.id)));
        }
        Ok(())
    }

    /// Which subnet an id means. One of an earlier plugin's is a digest: the network that has
    /// it says the rest.
    async fn pool(&self, id: &str) -> Result<Pool, DoorError> {
        let wanted = match id.parse()? {
            PoolId::Whole(pool) => return Ok(*pool),
            PoolId::Digest(wanted) => wanted,
        };
        let is_it = |network: &VspNetwork| network.leased && digest(&network.target) == wanted;
        let mut found = self.records.networks()?.into_iter().find(is_it);
        if found.is_none() {
            self.learn_networks().await;
            found = self.records.networks()?.into_iter().find(is_it);
        }
        let network = found.ok_or(DoorError::NoPool(wanted))?;
        let ids = match network.ids {
            Some(ids) => ids,
            None => self.find_subnet(&network.target).await?.ids,
        };
        Ok(Pool {
            target: network.target,
            net: network.net,
            gateway: network.gateway,
            ids: Some(ids),
        })
    }

    /// Gives an address out.
    pub(crate) async fn request_address(&self, call: &OfAddress) -> Result<Value, DoorError> {
        let pool = self.pool(&call.pool_id).await?;
        let asked = asked(&call.address)?;
        let given = match asked {
            _ if call.is_gateway() => gateway(&pool, asked)?,
            // A network that is not made yet has no containers: it is kept from them.
            Some(asked) if self.is_pending(&call.pool_id).await => {
                self.keep_back(&pool, asked).await?
            }
            _ => {
                let lease = self.lease(&pool, asked, None).await?;
                let address = lease.address;
                address.ok_or_else(|| DoorError::NoAddress(lease.id))?
            }
        };
        let given = format!("{given}/{}", pool.net.prefix_len());
        Ok(json!({"Address": given, "Data": {}}))
    }

    /// Takes an address back. What is not known was given back: a gateway's never was taken.
    pub(crate) async fn release_address(
        self: &Arc<Self>,
        call: &OfAddress,
    ) -> Result<(), DoorError> {
        let Some(address) = asked(&call.address)? else {
            return Ok(());
        };
        let target = match call.pool_id.parse()? {
            PoolId::Whole(pool) => Some(pool.target),
            // Docker may be starting: it is not asked.
            PoolId::Digest(wanted) => {
                let mut leases = self.records.with_address(address)?.into_iter();
                let found = leases.find(|lease| digest(&lease.target) == wanted);
                found.map(|lease| lease.target)
            }
        };
        let Some(target) = target else { return Ok(()) };
        let leases = self.records.of_address(&target, address)?;
        let Some(lease) = leases.into_iter().find(is_there) else {
            return Ok(());
        };
        if lease.endpoint.is_some() {
            warn!(
                "{address} is given back while endpoint {:?} has it",
                lease.endpoint
            );
        }
        let door = Arc::clone(self);
        let give = async move { door.take_back(&lease.id).await };
        self.within(&format!("give {address} back"), give).await;
        Ok(())
    }

    /// Whether a pool's network is not made yet. Of two that are alike Docker's calls do not say
    /// which was made; its engine does.
    async fn is_pending(&self, id: &str) -> bool {
        let is_so = || {
            let pending = self.pending();
            let since = pending.get(id).map(|(_, since)| since.elapsed());
            since.is_some_and(|since| since < MAKING)
        };
        if is_so() {
            self.learn_networks().await;
        }
        is_so()
    }

    /// Keeps an address from containers, for what Docker calls an auxiliary address.
    async fn keep_back(&self, pool: &Pool, address: Ipv4Addr) -> Result<Ipv4Addr, DoorError> {
        if !pool.net.contains(&address) {
            let net = pool.net;
            return Err(DoorError::Outside { address, net });
        }
        let mut lease = self.new_lease(pool, Some(address), None)?;
        lease.state = VspState::Kept;
        self.records.put(&lease)?;
        let Some(ids) = &pool.ids else {
            return Ok(address);
        };
        let subnet = ids.subnet.parse()?;
        let vsd = self.vsd_for(&pool.target)?;
        let kept = vsd.reserve(&subnet, IpAddr::V4(address), lease.mac).await;
        match kept {
            Ok(_) => Ok(address),
            Err(error @ VsdError::Refused { .. }) => {
                self.records.remove(&lease.id)?;
                // Another host's reservation, or an administrator's, keeps it as well.
                let others = vsd.reservation(&subnet, IpAddr::V4(address)).await;
                match matches!(others, Ok(Some(_))) {
                    true => Ok(address),
                    false => Err(error.into()),
                }
            }
            // It may be reserved all the same: the record says so until the audit.
            Err(error) => Err(error.into()),
        }
    }
}

/// The gateway's address: the controller's own.
fn gateway(pool: &Pool, asked: Option<Ipv4Addr>) -> Result<Ipv4Addr, DoorError> {
    match (pool.gateway, asked) {
        (Some(gateway), Some(asked)) if gateway != asked => Err(DoorError::OtherGateway {
            name: pool.target.subnet.clone(),
            gateway,
            asked,
        }),
        (Some(gateway), _) => Ok(gateway),
        (None, Some(asked)) => Ok(asked),
        (None, None) => {
            let first = pool.net.hosts().next();
            first.ok_or_else(|| DoorError::Subnet(pool.net.to_string()))
        }
    }
}

/// A subnet; empty is none.
pub(crate) fn net(text: &str) -> Result<Option<Ipv4Net>, DoorError> {
    if text.is_empty() {
        return Ok(None);
    }
    let net: Ipv4Net = text
        .parse()
        .map_err(|_| DoorError::Subnet(text.to_owned()))?;
    match net.trunc() == net {
        true => Ok(Some(net)),
        false => Err(DoorError::Subnet(text.to_owned())),
    }
}

/// An address with or without a prefix; empty is none.
pub(crate) fn asked(text: &str) -> Result<Option<Ipv4Addr>, DoorError> {
    match address(text) {
        Some(IpAddr::V4(address)) => Ok(Some(address)),
        None if text.is_empty() => Ok(None),
        _ => Err(DoorError::Address(text.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pool(gateway: Option<&str>) -> Pool {
        Pool {
            target: VspTarget {
                organization: "E".into(),
                domain: "D".into(),
                zone: "Z".into(),
                subnet: "Subnet 2".into(),
                user: "admin".into(),
            },
            net: "10.21.0.0/16".parse().unwrap(),
            gateway: gateway.and_then(|text| text.parse().ok()),
            ids: None,
        }
    }

    #[test]
    fn a_gateway_is_the_controllers_or_the_first_address() {
        let asked = |text: &str| text.parse().ok();
        let own = pool(Some("10.21.3.1"));
        assert_eq!(gateway(&own, None).unwrap().to_string(), "10.21.3.1");
        let told = gateway(&own, asked("10.21.0.1")).unwrap_err().to_string();
        assert!(told.contains("--gateway 10.21.3.1"), "{told}");
        assert_eq!(gateway(&pool(None), None).unwrap().to_string(), "10.21.0.1");
    }

    #[test]
    fn texts_of_docker_are_read_or_refused() {
        assert_eq!(net("").unwrap(), None);
        assert!(net("10.21.59.7/24").is_err() && net("fd00::/64").is_err() && net("x").is_err());
        assert_eq!(asked("").unwrap(), None);
        assert_eq!(asked("10.1.0.2/24").unwrap(), "10.1.0.2".parse().ok());
        assert!(asked("fd00::1").is_err() && asked("nonsense").is_err());
    }
}
