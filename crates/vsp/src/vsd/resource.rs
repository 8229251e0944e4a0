//! The objects of a VSD that we know. Fields that are not ours are let pass, those that are null
//! or empty count as missing, and what is there must be what it says.

use super::ids::{
    ContainerId, DomainId, EnterpriseId, InterfaceId, PolicyGroupId, ReservationId, SubnetId,
    VportId, ZoneId,
};
use fairlead_types::Mac;
use ipnet::IpNet;
use serde::{Deserialize, Deserializer, Serialize};
use std::fmt::Display;
use std::net::IpAddr;
use std::str::FromStr;

/// A text, empty where there is none.
fn text<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    Option::<String>::deserialize(from).map(Option::unwrap_or_default)
}

/// A value that is written as a text; none where the text is null or empty.
fn maybe<'de, D, T>(from: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: FromStr<Err: Display>,
{
    let text = Option::<String>::deserialize(from)?.filter(|text| !text.is_empty());
    text.map(|text| {
        text.parse()
            .map_err(|why| serde::de::Error::custom(format!("{text:?}: {why}")))
    })
    .transpose()
}

/// The length of a netmask's prefix: 24 of 255.255.255.0.
fn prefix<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u8>, D::Error> {
    let mask: Option<IpAddr> = maybe(from)?;
    mask.map(|mask| {
        ipnet::ip_mask_to_prefix(mask)
            .map_err(|_| serde::de::Error::custom(format!("{mask} is no netmask")))
    })
    .transpose()
}

fn interfaces<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<Interface>, D::Error> {
    Option::<Vec<Interface>>::deserialize(from).map(Option::unwrap_or_default)
}

/// Who is logged in.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Me {
    /// The user's id.
    #[serde(rename = "ID", default, deserialize_with = "text")]
    pub id: String,
    /// The user's name.
    #[serde(rename = "userName", default, deserialize_with = "text")]
    pub user: String,
    /// The id of the user's enterprise.
    #[serde(rename = "enterpriseID", default, deserialize_with = "maybe")]
    pub enterprise: Option<EnterpriseId>,
    /// The name of the user's enterprise.
    #[serde(rename = "enterpriseName", default, deserialize_with = "text")]
    pub enterprise_name: String,
    /// What the user is: `CSPROOT`.
    #[serde(default, deserialize_with = "text")]
    pub role: String,
}

macro_rules! named {
    ($($(#[$doc:meta])* $name:ident, $id:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
        pub struct $name {
            /// Its id.
            #[serde(rename = "ID")]
            pub id: $id,
            /// Its name.
            #[serde(default, deserialize_with = "text")]
            pub name: String,
        }
    )*};
}

named! {
    /// An enterprise: an organization that has domains.
    Enterprise, EnterpriseId;
    /// A layer-3 domain of an enterprise.
    Domain, DomainId;
    /// A zone of a domain.
    Zone, ZoneId;
    /// A policy group of a domain.
    PolicyGroup, PolicyGroupId;
}

/// A subnet of a zone.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Subnet {
    /// Its id.
    #[serde(rename = "ID")]
    pub id: SubnetId,
    /// Its name.
    #[serde(default, deserialize_with = "text")]
    pub name: String,
    /// The zone that it is in.
    #[serde(rename = "parentID", default, deserialize_with = "maybe")]
    pub zone: Option<ZoneId>,
    /// Its first address.
    #[serde(default, deserialize_with = "maybe")]
    pub address: Option<IpAddr>,
    /// The length of its prefix.
    #[serde(rename = "netmask", default, deserialize_with = "prefix")]
    pub prefix: Option<u8>,
    /// Its gateway.
    #[serde(default, deserialize_with = "maybe")]
    pub gateway: Option<IpAddr>,
}

/// An object that lacks what we need of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{object} has no {field}")]
pub struct Incomplete {
    /// Which object.
    pub object: String,
    /// What is missing.
    pub field: &'static str,
}

fn network(object: &str, address: Option<IpAddr>, prefix: Option<u8>) -> Result<IpNet, Incomplete> {
    let lacks = |field| Incomplete {
        object: object.to_owned(),
        field,
    };
    let address = address.ok_or_else(|| lacks("address"))?;
    let prefix = prefix.ok_or_else(|| lacks("netmask"))?;
    IpNet::new(address, prefix).map_err(|_| lacks("netmask of its address's family"))
}

impl Subnet {
    /// Its range, as the VSD has it: host bits and all.
    ///
    /// # Errors
    /// The VSD told no address or no netmask.
    pub fn network(&self) -> Result<IpNet, Incomplete> {
        network(&format!("subnet {}", self.name), self.address, self.prefix)
    }
}

/// One interface of a container.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Interface {
    /// Its id; a container's answer need not have it.
    #[serde(rename = "ID", default, deserialize_with = "maybe")]
    pub id: Option<InterfaceId>,
    /// Its name: that of the host's end of the cable.
    #[serde(default, deserialize_with = "text")]
    pub name: String,
    /// Its hardware address.
    #[serde(rename = "MAC", default, deserialize_with = "maybe")]
    pub mac: Option<Mac>,
    /// Its address.
    #[serde(rename = "IPAddress", default, deserialize_with = "maybe")]
    pub address: Option<IpAddr>,
    /// The length of its prefix.
    #[serde(rename = "netmask", default, deserialize_with = "prefix")]
    pub prefix: Option<u8>,
    /// Its gateway.
    #[serde(default, deserialize_with = "maybe")]
    pub gateway: Option<IpAddr>,
    /// The virtual port that the VSD made for it.
    #[serde(rename = "VPortID", default, deserialize_with = "maybe")]
    pub vport: Option<VportId>,
    /// The subnet that it is attached to.
    #[serde(rename = "attachedNetworkID", default, deserialize_with = "maybe")]
    pub subnet: Option<SubnetId>,
    /// The name of that subnet.
    #[serde(rename = "networkName", default, deserialize_with = "text")]
    pub network_name: String,
    /// The name of its zone.
    #[serde(rename = "zoneName", default, deserialize_with = "text")]
    pub zone_name: String,
    /// Its domain.
    #[serde(rename = "domainID", default, deserialize_with = "maybe")]
    pub domain: Option<DomainId>,
    /// The name of its domain.
    #[serde(rename = "domainName", default, deserialize_with = "text")]
    pub domain_name: String,
}

impl Interface {
    /// Its address with the length of the prefix.
    ///
    /// # Errors
    /// The VSD told no address or no netmask; an address without one is none of a /0.
    pub fn network(&self) -> Result<IpNet, Incomplete> {
        network(
            &format!("interface {}", self.name),
            self.address,
            self.prefix,
        )
    }
}

/// A container.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Container {
    /// Its id, which the VSD chose.
    #[serde(rename = "ID")]
    pub id: ContainerId,
    /// Its UUID, which its maker chose: 64 hex digits.
    #[serde(rename = "UUID", default, deserialize_with = "text")]
    pub uuid: String,
    /// Its name.
    #[serde(default, deserialize_with = "text")]
    pub name: String,
    /// Who made it: one host's mark.
    #[serde(rename = "externalID", default, deserialize_with = "text")]
    pub external_id: String,
    /// The id of a task of an orchestrator.
    #[serde(rename = "orchestrationID", default, deserialize_with = "text")]
    pub orchestration_id: String,
    /// What has become of it: `INIT`, `RUNNING`.
    #[serde(default, deserialize_with = "text")]
    pub status: String,
    /// The name of its enterprise.
    #[serde(rename = "enterpriseName", default, deserialize_with = "text")]
    pub enterprise_name: String,
    /// Its interfaces.
    #[serde(default, deserialize_with = "interfaces")]
    pub interfaces: Vec<Interface>,
}

/// A container that is to be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NewContainer {
    /// 64 hex digits that nothing else has.
    #[serde(rename = "UUID")]
    pub uuid: String,
    /// Its name.
    pub name: String,
    /// Its interfaces.
    pub interfaces: Vec<NewInterface>,
    /// The mark of this host.
    #[serde(rename = "externalID")]
    pub external_id: String,
}

/// An interface that is to be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NewInterface {
    /// Its name: that of the host's end of the cable.
    pub name: String,
    /// Its hardware address.
    #[serde(rename = "MAC")]
    pub mac: Mac,
    /// The address that it must have; otherwise the VSD chooses one.
    #[serde(rename = "IPAddress", skip_serializing_if = "Option::is_none")]
    pub address: Option<IpAddr>,
    /// The subnet that it is attached to.
    #[serde(rename = "attachedNetworkID")]
    pub subnet: SubnetId,
}

/// What becomes of a container whose true name is known now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rename {
    /// Its UUID from now on: the engine's id.
    pub uuid: String,
    /// Its name from now on.
    pub name: String,
    /// The id of a task of an orchestrator; without one the old is left.
    pub orchestration_id: Option<String>,
}

/// An address that is kept for a MAC: no container gets it by chance.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Reservation {
    /// Its id.
    #[serde(rename = "ID")]
    pub id: ReservationId,
    /// The address.
    #[serde(rename = "IPAddress", default, deserialize_with = "maybe")]
    pub address: Option<IpAddr>,
    /// The MAC.
    #[serde(rename = "MAC", default, deserialize_with = "maybe")]
    pub mac: Option<Mac>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn interface(fields: serde_json::Value) -> Result<Interface, serde_json::Error> {
        serde_json::from_value(fields)
    }

    #[test]
    fn a_missing_netmask_is_no_prefix_of_zero() {
        let full =
            interface(json!({"name": "n", "IPAddress": "10.0.0.2", "netmask": "255.255.255.0"}));
        assert_eq!(full.unwrap().network().unwrap().to_string(), "10.0.0.2/24");
        for mask in [json!(null), json!("")] {
            let bare = interface(json!({"name": "n", "IPAddress": "10.0.0.2", "netmask": mask}));
            assert_eq!(
                bare.unwrap().network().unwrap_err().to_string(),
                "interface n has no netmask"
            );
        }
        let none = interface(json!({"name": "n", "netmask": "255.255.255.0"})).unwrap();
        assert_eq!(none.network().unwrap_err().field, "address");
        for bad in [json!("255.0.255.0"), json!("24"), json!(24)] {
            assert!(interface(json!({"netmask": bad})).is_err(), "{bad}");
        }
    }

    #[test]
    fn null_unknown_and_missing_fields_are_let_pass() {
        let container: Container = serde_json::from_value(json!({
            "ID": "a1", "UUID": null, "interfaces": null, "fancy": {"x": [1]}
        }))
        .unwrap();
        assert_eq!(
            (container.uuid.as_str(), container.interfaces.len()),
            ("", 0)
        );
        assert!(serde_json::from_value::<Container>(json!({"ID": null})).is_err());
        assert!(
            serde_json::from_value::<Container>(json!({"ID": "a", "interfaces": ["b"]})).is_err()
        );
    }

    #[test]
    fn a_new_container_has_what_the_original_sends() {
        let new = NewContainer {
            uuid: "ab".to_owned(),
            name: "ab".to_owned(),
            external_id: "h-1".to_owned(),
            interfaces: vec![NewInterface {
                name: "nln1-1".to_owned(),
                mac: Mac([2, 0, 0, 0, 0, 1]),
                address: None,
                subnet: "s1".parse().unwrap(),
            }],
        };
        let want = json!({"UUID": "ab", "name": "ab", "externalID": "h-1", "interfaces": [
            {"name": "nln1-1", "MAC": "02:00:00:00:00:01", "attachedNetworkID": "s1"}]});
        assert_eq!(serde_json::to_value(new).unwrap(), want);
    }
}
