//! The configuration of `bridge`: every key of the reference plugin, checked whole
//! before anything is done.

use fairlead_cni::{Call, CniError, Code};
use fairlead_kernel::route::VlanRange;
use fairlead_types::{IfName, Mac, NameError};
use serde::Deserialize;

/// The keys as they stand in the configuration.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Keys {
    bridge: Option<String>,
    is_gateway: Option<bool>,
    is_default_gateway: Option<bool>,
    force_address: Option<bool>,
    ip_masq: Option<bool>,
    ip_masq_backend: Option<String>,
    mtu: Option<i64>,
    hairpin_mode: Option<bool>,
    promisc_mode: Option<bool>,
    vlan: Option<i64>,
    vlan_trunk: Option<Vec<Trunk>>,
    preserve_default_vlan: Option<bool>,
    macspoofchk: Option<bool>,
    enabledad: Option<bool>,
    disable_container_interface: Option<bool>,
    port_isolation: Option<bool>,
    handover: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Trunk {
    #[serde(rename = "minID")]
    min_id: Option<i64>,
    #[serde(rename = "maxID")]
    max_id: Option<i64>,
    id: Option<i64>,
}

/// What a call asks of `bridge`.
#[derive(Debug)]
pub(super) struct BridgeConf {
    pub(super) bridge: IfName,
    pub(super) gateway: bool,
    pub(super) default_gateway: bool,
    pub(super) force_address: bool,
    pub(super) masquerade: bool,
    pub(super) mtu: Option<u32>,
    pub(super) hairpin: bool,
    pub(super) promiscuous: bool,
    /// The VLAN of frames without a tag.
    pub(super) vlan: Option<u16>,
    /// The VLANs that pass with their tags; `Some` also when the list is empty.
    pub(super) trunk: Option<Vec<VlanRange>>,
    pub(super) preserve_default_vlan: bool,
    pub(super) mac_check: bool,
    pub(super) dad: bool,
    pub(super) without_container_interface: bool,
    pub(super) isolated: bool,
    /// The name that the container's end has until an engine takes it from this namespace
    /// and sets it up. The reference plugin has no such key: [`crate::handover`] writes it.
    pub(super) handover: Option<IfName>,
    pub(super) mac: Option<Mac>,
    pub(super) ipam: Option<String>,
}

impl BridgeConf {
    /// Reads and checks the whole configuration of a call.
    pub(super) fn of(call: &Call) -> Result<Self, CniError> {
        let keys: Keys = call.config.decode()?;
        masquerade_backend(keys.ip_masq_backend.as_deref())?;
        let yes = |key: Option<bool>| key.unwrap_or(false);
        let default_gateway = yes(keys.is_default_gateway);
        let conf = Self {
            bridge: bridge_name(keys.bridge.as_deref())?,
            gateway: yes(keys.is_gateway) || default_gateway,
            default_gateway,
            force_address: yes(keys.force_address),
            masquerade: yes(keys.ip_masq),
            mtu: mtu(keys.mtu)?,
            hairpin: yes(keys.hairpin_mode),
            promiscuous: yes(keys.promisc_mode),
            vlan: vlan(keys.vlan)?,
            trunk: keys.vlan_trunk.as_deref().map(trunk).transpose()?,
            preserve_default_vlan: yes(keys.preserve_default_vlan),
            mac_check: yes(keys.macspoofchk),
            dad: yes(keys.enabledad),
            without_container_interface: yes(keys.disable_container_interface),
            isolated: yes(keys.port_isolation),
            handover: keys.handover.as_deref().map(handover_name).transpose()?,
            mac: mac(call)?,
            ipam: call.config.ipam_type().map(str::to_owned),
        };
        conf.check_together()?;
        Ok(conf)
    }

    fn check_together(&self) -> Result<(), CniError> {
        if self.ipam.is_some() && self.without_container_interface {
            return Err(CniError::internal(
                "cannot use IPAM when DisableContainerInterface flag is set",
            ));
        }
        if self.hairpin && self.promiscuous {
            return Err(CniError::internal(
                "cannot set hairpin mode and promiscuous mode at the same time",
            ));
        }
        Ok(())
    }

    /// Whether the bridge must filter by VLAN.
    pub(super) fn filters_vlans(&self) -> bool {
        self.vlan.is_some() || self.trunk.is_some()
    }

    /// The VLANs to set on the port.
    pub(super) fn port_vlans(&self) -> Vec<VlanRange> {
        let native = |id| VlanRange {
            first: id,
            last: id,
            pvid: true,
            untagged: true,
        };
        let mut vlans: Vec<VlanRange> = self.vlan.map(native).into_iter().collect();
        let trunk = self.trunk.as_deref().unwrap_or_default();
        // A trunk without a VLAN of its own has 1 as the native one.
        if self.vlan.is_none() && !trunk.is_empty() {
            vlans.push(native(1));
        }
        vlans.extend(
            trunk
                .iter()
                .filter(|range| range.first == range.last)
                .filter(|range| {
                    // The native VLAN stays untagged.
                    !vlans_contain_native(self.vlan, range.first)
                }),
        );
        vlans.extend(trunk.iter().filter(|range| range.first != range.last));
        vlans
    }
}

fn vlans_contain_native(native: Option<u16>, id: u16) -> bool {
    native.unwrap_or(1) == id
}

fn bridge_name(name: Option<&str>) -> Result<IfName, CniError> {
    let name = name.filter(|name| !name.is_empty()).unwrap_or("cni0");
    IfName::new(name).map_err(|error: NameError| {
        CniError::internal(format!("bridge {name:?} cannot be made: {error}"))
    })
}

fn handover_name(name: &str) -> Result<IfName, CniError> {
    IfName::new(name).map_err(|error| CniError::internal(format!("handover {name:?}: {error}")))
}

/// The size of the greatest packet, as `bridge` and `ptp` take it; 0 is the default.
pub(crate) fn mtu(mtu: Option<i64>) -> Result<Option<u32>, CniError> {
    match mtu.unwrap_or(0) {
        0 => Ok(None),
        mtu => u32::try_from(mtu)
            .ok()
            .filter(|mtu| *mtu <= 65535)
            .map(Some)
            .ok_or_else(|| {
                CniError::internal(format!(
                    "invalid mtu {mtu}: it must be between 68 and 65535"
                ))
            }),
    }
}

/// Masquerading is nftables here; a configuration that insists on iptables is told.
pub(crate) fn masquerade_backend(backend: Option<&str>) -> Result<(), CniError> {
    match backend {
        None | Some("" | "nftables") => Ok(()),
        Some(other) => Err(CniError::new(
            Code::UNSUPPORTED_FIELD,
            format!("ipMasqBackend {other:?} is not supported: leave it out or set \"nftables\""),
        )),
    }
}

fn vlan(id: Option<i64>) -> Result<Option<u16>, CniError> {
    match id.unwrap_or(0) {
        0 => Ok(None),
        id => vlan_id(id).map(Some).ok_or_else(|| {
            CniError::internal(format!("invalid VLAN ID {id} (must be between 0 and 4094)"))
        }),
    }
}

fn vlan_id(id: i64) -> Option<u16> {
    u16::try_from(id).ok().filter(|id| (1..=4094).contains(id))
}

fn trunk(items: &[Trunk]) -> Result<Vec<VlanRange>, CniError> {
    let bad = |text: &str| CniError::internal(text);
    let id = |id: i64, key: &str| {
        vlan_id(id).ok_or_else(|| bad(&format!("incorrect trunk {key} parameter")))
    };
    let range = |first, last| VlanRange {
        first,
        last,
        pvid: false,
        untagged: false,
    };
    let mut ranges = Vec::new();
    for item in items {
        match (item.min_id, item.max_id) {
            (Some(min), Some(max)) => {
                let (min, max) = (id(min, "minID")?, id(max, "maxID")?);
                if max < min {
                    return Err(bad("minID is greater than maxID in trunk parameter"));
                }
                ranges.push(range(min, max));
            }
            (None, Some(_)) => {
                return Err(bad(
                    "minID and maxID should be configured simultaneously, minID is missing",
                ));
            }
            (Some(_), None) => {
                return Err(bad(
                    "minID and maxID should be configured simultaneously, maxID is missing",
                ));
            }
            (None, None) => {}
        }
        if let Some(single) = item.id {
            let single = id(single, "id")?;
            ranges.push(range(single, single));
        }
    }
    Ok(ranges)
}

/// The hardware address asked for: the capability before `args` before `CNI_ARGS`.
fn mac(call: &Call) -> Result<Option<Mac>, CniError> {
    let text = |value: &serde_json::Value| value.as_str().map(str::to_owned);
    let asked = [
        call.config.runtime_config("mac").and_then(text),
        call.config.cni_arg("mac").and_then(text),
        call.args.get("MAC").map(str::to_owned),
    ];
    let Some(asked) = asked.into_iter().flatten().find(|mac| !mac.is_empty()) else {
        return Ok(None);
    };
    let mac: Mac = asked
        .parse()
        .map_err(|_| CniError::internal(format!("address {asked}: invalid MAC address")))?;
    if mac.is_unicast() {
        Ok(Some(mac))
    } else {
        Err(CniError::internal(format!(
            "invalid MAC address {mac}: it is not the address of one interface"
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fairlead_cni::{Command, NetConf};
    use serde_json::{Value, json};

    fn parse(extra: Value) -> Result<BridgeConf, CniError> {
        let mut raw = json!({"cniVersion": "1.0.0", "name": "net", "type": "bridge"});
        raw.as_object_mut()
            .unwrap()
            .extend(extra.as_object().unwrap().clone());
        let config = NetConf::from_object(raw.as_object().unwrap().clone()).unwrap();
        BridgeConf::of(&Call::new(Command::Add, config))
    }

    #[test]
    fn defaults_are_those_of_the_reference() {
        let conf = parse(json!({})).unwrap();
        assert_eq!(conf.bridge.as_str(), "cni0");
        assert!(!conf.gateway && !conf.masquerade && conf.mtu.is_none() && conf.ipam.is_none());
        assert!(parse(json!({"isDefaultGateway": true})).unwrap().gateway);
        assert!(parse(json!({"bridge": null, "mtu": null, "vlan": null})).is_ok());
    }

    #[test]
    fn what_cannot_be_is_refused_with_key_and_value() {
        let cases = [
            (json!({"vlan": 5000}), "invalid VLAN ID 5000"),
            (json!({"vlan": -1}), "invalid VLAN ID -1"),
            (
                json!({"hairpinMode": true, "promiscMode": true}),
                "hairpin mode and promiscuous",
            ),
            (json!({"bridge": "a/b"}), "bridge \"a/b\""),
            (json!({"mtu": 70000}), "invalid mtu 70000"),
            (json!({"mtu": "x"}), "failed to load netconf"),
            (
                json!({"ipMasqBackend": "iptables"}),
                "ipMasqBackend \"iptables\"",
            ),
            (json!({"vlanTrunk": [{"minID": 3}]}), "maxID is missing"),
            (json!({"vlanTrunk": [{"maxID": 3}]}), "minID is missing"),
            (
                json!({"vlanTrunk": [{"minID": 5, "maxID": 3}]}),
                "minID is greater",
            ),
            (json!({"vlanTrunk": [{"id": 0}]}), "incorrect trunk id"),
            (
                json!({"runtimeConfig": {"mac": "zz"}}),
                "invalid MAC address",
            ),
            (
                json!({"runtimeConfig": {"mac": "01:00:5e:00:00:01"}}),
                "invalid MAC address",
            ),
            (
                json!({"disableContainerInterface": true, "ipam": {"type": "static"}}),
                "cannot use IPAM when DisableContainerInterface",
            ),
        ];
        for (keys, text) in cases {
            let error = parse(keys.clone()).unwrap_err();
            assert!(error.msg.contains(text), "{keys}: {error}");
        }
    }

    #[test]
    fn the_capability_wins_over_the_argument_for_the_hardware_address() {
        let conf = parse(json!({
            "runtimeConfig": {"mac": "02:00:00:00:00:01"},
            "args": {"cni": {"mac": "02:00:00:00:00:02"}},
        }));
        assert_eq!(conf.unwrap().mac.unwrap().to_string(), "02:00:00:00:00:01");
    }

    #[test]
    fn a_trunk_keeps_a_native_vlan() {
        let trunk = parse(json!({"vlanTrunk": [{"minID": 10, "maxID": 12}, {"id": 20}]})).unwrap();
        let vlans = trunk.port_vlans();
        assert_eq!(
            vlans
                .iter()
                .filter(|v| v.pvid)
                .map(|v| v.first)
                .collect::<Vec<_>>(),
            [1]
        );
        assert_eq!(vlans.len(), 3);
        let tagged = parse(json!({"vlan": 100, "vlanTrunk": [{"id": 20}]})).unwrap();
        let pvid: Vec<_> = tagged.port_vlans().into_iter().filter(|v| v.pvid).collect();
        assert_eq!(
            (pvid.len(), pvid[0].first, pvid[0].untagged),
            (1, 100, true)
        );
        assert!(parse(json!({"vlanTrunk": []})).unwrap().filters_vlans());
    }
}
