//! A subnet as the controller has it.

use crate::door::Door;
use crate::error::DoorError;
use fairlead_store::{VspSubnetIds, VspTarget};
use fairlead_vsp::vsd::Vsd;
use ipnet::{IpNet, Ipv4Net};
use std::net::{IpAddr, Ipv4Addr};

/// What the controller says of a subnet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) net: Ipv4Net,
    pub(crate) gateway: Option<Ipv4Addr>,
    pub(crate) ids: VspSubnetIds,
}

impl Door {
    /// The controller, asked for the user who wants that subnet, if the settings say so.
    pub(crate) fn vsd_for(&self, target: &VspTarget) -> Result<Vsd, DoorError> {
        Ok(self.vsd()?.as_user(&target.user, &target.organization)?)
    }

    /// Finds a subnet by its names, each within the one before.
    pub(crate) async fn find_subnet(&self, target: &VspTarget) -> Result<Found, DoorError> {
        let vsd = self.vsd_for(target)?;
        let enterprise = vsd.enterprise(&target.organization).await?;
        let domain = vsd.domain(&enterprise.id, &target.domain).await?;
        let zone = vsd.zone(&domain.id, &target.zone).await?;
        let subnet = vsd.subnet(&zone.id, &target.subnet).await?;
        let no_v4 = || DoorError::NoV4(target.subnet.clone());
        let net = match subnet.network()? {
            IpNet::V4(net) => net.trunc(),
            IpNet::V6(_) => return Err(no_v4()),
        };
        let gateway = match subnet.gateway {
            Some(IpAddr::V4(gateway)) => Some(gateway),
            Some(IpAddr::V6(_)) => return Err(no_v4()),
            None => None,
        };
        Ok(Found {
            net,
            gateway,
            ids: VspSubnetIds {
                domain: domain.id.to_string(),
                subnet: subnet.id.to_string(),
            },
        })
    }
}

/// Refuses a subnet that is not the controller's.
pub(crate) fn same_net(target: &VspTarget, net: Ipv4Net, asked: Ipv4Net) -> Result<(), DoorError> {
    match net == asked {
        true => Ok(()),
        false => Err(DoorError::OtherSubnet {
            name: target.subnet.clone(),
            net,
            asked,
        }),
    }
}
