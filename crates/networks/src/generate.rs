//! The CNI configuration list that a declared network yields.

use crate::NetworkError;
use crate::address::bridge_address;
use crate::routed::local_ranges;
use fairlead_cni::{ConfList, PluginEntry, SpecVersion};
use fairlead_config::{Network, NetworkKind};
use ipnet::IpNet;
use serde_json::{Value, json};

/// The top-level key that marks a configuration as generated.
pub const MARKER: &str = "x-fairlead";

/// How the value of [`MARKER`] begins.
const MADE_BY: &str = "made by fairlead";

/// The configuration list that a declared network yields on a node. `mtu` is the greatest
/// packet of its containers, in bytes, where that is known; else what is declared counts.
///
/// # Errors
/// [`NetworkError::NoSegment`] for a routed bridge of which the node has no segment.
pub fn generate(network: &Network, node: &str, mtu: Option<u32>) -> Result<ConfList, NetworkError> {
    let plugins = match network.kind {
        NetworkKind::Bridge | NetworkKind::RoutedBridge => {
            let ranges = local_ranges(network, node);
            if ranges.is_empty() {
                let (network, node) = (network.name.clone(), node.to_owned());
                return Err(NetworkError::NoSegment { network, node });
            }
            vec![bridge(network, &ranges, mtu.or(network.mtu)), portmap()]
        }
        NetworkKind::Lo => vec![json!({"type": "loopback"})],
        NetworkKind::Weave => vec![weave(network), portmap()],
    };
    let mark = format!(
        "{MADE_BY} from network#{}; changes are overwritten",
        network.name
    );
    let list = ConfList::from_value(json!({
        "cniVersion": "1.0.0",
        "name": network.name.as_str(),
        MARKER: mark,
        "plugins": plugins,
    }))?;
    Ok(list)
}

fn bridge(network: &Network, ranges: &[IpNet], mtu: Option<u32>) -> Value {
    let bridge = network.bridge.as_ref().map_or("", |name| name.as_str());
    // One range set for each family: a container gets one address of each.
    let sets = ranges.iter().map(|range| match network.gateway(*range) {
        Some(gateway) => json!([{"subnet": range.to_string(), "gateway": gateway}]),
        None => json!([{"subnet": range.to_string()}]),
    });
    let mut routes: Vec<Value> = ranges
        .iter()
        .map(|range| json!({"dst": default_route(*range)}))
        .collect();
    let is_routed = network.kind == NetworkKind::RoutedBridge;
    if is_routed {
        // With interfaces in several networks the way back would be another one
        // (specification 6.2).
        routes.extend(network.ranges.iter().zip(ranges).map(|(whole, segment)| {
            json!({"dst": whole.to_string(), "gw": bridge_address(*segment).addr().to_string()})
        }));
    }
    let mut plugin = json!({
        "type": "bridge",
        "bridge": bridge,
        "isGateway": true,
        // Between the segments of a routed bridge nothing may be translated, and other
        // implementations of the plugin know only this node's: setup declares its range.
        "ipMasq": !network.public && !is_routed,
        // Where bridged frames pass the host's rules (br_netfilter, on every host of Docker),
        // a container's own published port leads out by the port of the bridge it came in by.
        "hairpinMode": true,
    });
    if let Some(mtu) = mtu {
        plugin["mtu"] = mtu.into();
    }
    plugin["capabilities"] = json!({"ips": true, "mac": true});
    plugin["ipam"] = json!({
        "type": "host-local",
        "ranges": sets.collect::<Vec<_>>(),
        "routes": routes,
    });
    plugin
}

fn weave(network: &Network) -> Value {
    let range = network.ranges.first().map(IpNet::to_string);
    json!({"type": "weave-net", "ipam": {"subnet": range}})
}

/// A list that can publish ports: that of a network of another maker, or of a hand-written
/// file, with the plugin `portmap` behind its own. A list that has one, and that of the
/// loopback interface, are left as they are.
/// Chains need specification 0.3.0, so an older list is run by 0.3.1.
///
/// # Errors
/// [`NetworkError::Conf`], which a list that was read does not have.
pub fn publishing(list: ConfList) -> Result<ConfList, NetworkError> {
    // To what only the container has for itself no port leads.
    let stays = |p: &PluginEntry| matches!(p.plugin_type(), "portmap" | "loopback");
    if list.plugins.iter().any(stays) {
        return Ok(list);
    }
    let is_old = list.cni_version < SpecVersion::V0_3_0;
    let mut value = list.to_value();
    if is_old {
        value["cniVersion"] = json!("0.3.1");
    }
    if let Some(plugins) = value["plugins"].as_array_mut() {
        plugins.push(portmap());
    }
    Ok(ConfList::from_value(value)?)
}

fn portmap() -> Value {
    json!({"type": "portmap", "capabilities": {"portMappings": true}, "snat": true})
}

const fn default_route(range: IpNet) -> &'static str {
    match range {
        IpNet::V4(_) => "0.0.0.0/0",
        IpNet::V6(_) => "::/0",
    }
}

/// The text of a list as it is written to its file.
pub(crate) fn text(list: &ConfList) -> String {
    // '#' asks for the form with line breaks, which cannot fail.
    format!("{:#}\n", list.to_value())
}

/// Whether a list has the mark of a generated one.
pub(crate) fn is_marked(list: &ConfList) -> bool {
    let mark = list.extra.get(MARKER).and_then(Value::as_str);
    mark.is_some_and(|mark| mark.starts_with(MADE_BY))
}

/// The ranges that routes of a configuration's `host-local` parts lead to, but for the
/// default ones: for a routed bridge the whole range.
pub(crate) fn destinations(list: &ConfList) -> Vec<IpNet> {
    let ipams = list.plugins.iter().filter_map(|p| p.raw().get("ipam"));
    let routes = ipams.filter_map(|ipam| ipam.get("routes")?.as_array());
    let destinations = routes.flatten().filter_map(|route| {
        let text = route.get("dst")?.as_str()?;
        text.parse::<IpNet>().ok()
    });
    destinations.filter(|net| net.prefix_len() > 0).collect()
}

/// The ranges that a configuration's `host-local` parts give addresses from.
pub(crate) fn ranges(list: &ConfList) -> Vec<IpNet> {
    let ipams = list
        .plugins
        .iter()
        .filter(|p| p.ipam_type() == Some("host-local"));
    let mut unique: Vec<IpNet> = Vec::new();
    for ipam in ipams.filter_map(|p| p.raw().get("ipam")) {
        let subnet = |value: &Value| value.get("subnet")?.as_str()?.parse::<IpNet>().ok();
        let sets = ipam.get("ranges").and_then(Value::as_array);
        let sets = sets.into_iter().flatten().filter_map(Value::as_array);
        for range in subnet(ipam)
            .into_iter()
            .chain(sets.flatten().filter_map(subnet))
        {
            if !unique.contains(&range.trunc()) {
                unique.push(range.trunc());
            }
        }
    }
    unique
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::setup::testing::{network, routed};

    #[test]
    fn a_bridge_yields_bridge_and_portmap() {
        let list = generate(&network("default", &["10.22.0.0/16"]), "n1", None).unwrap();
        let wanted = concat!(
            "{\n",
            "  \"cniVersion\": \"1.0.0\",\n",
            "  \"name\": \"default\",\n",
            "  \"x-fairlead\": \"made by fairlead from network#default; changes are overwritten\",\n",
            "  \"plugins\": [\n",
            "    {\n",
            "      \"type\": \"bridge\",\n",
            "      \"bridge\": \"obr_default\",\n",
            "      \"isGateway\": true,\n",
            "      \"ipMasq\": true,\n",
            "      \"hairpinMode\": true,\n",
            "      \"capabilities\": {\n",
            "        \"ips\": true,\n",
            "        \"mac\": true\n",
            "      },\n",
            "      \"ipam\": {\n",
            "        \"type\": \"host-local\",\n",
            "        \"ranges\": [\n",
            "          [\n",
            "            {\n",
            "              \"subnet\": \"10.22.0.0/16\"\n",
            "            }\n",
            "          ]\n",
            "        ],\n",
            "        \"routes\": [\n",
            "          {\n",
            "            \"dst\": \"0.0.0.0/0\"\n",
            "          }\n",
            "        ]\n",
            "      }\n",
            "    },\n",
            "    {\n",
            "      \"type\": \"portmap\",\n",
            "      \"capabilities\": {\n",
            "        \"portMappings\": true\n",
            "      },\n",
            "      \"snat\": true\n",
            "    }\n",
            "  ]\n",
            "}\n",
        );
        assert_eq!(text(&list), wanted);
        assert!(list.validate().is_empty());
        assert_eq!(ConfList::from_slice(wanted.as_bytes()).unwrap(), list);
        assert!(is_marked(&list));
    }

    #[test]
    fn two_families_give_two_range_sets_and_two_routes_and_public_no_masquerade() {
        let mut dual = network("web", &["10.1.0.0/24", "fd00:1::/64"]);
        dual.public = true;
        let list = generate(&dual, "n1", None).unwrap();
        let ipam = &list.plugins[0].raw()["ipam"];
        assert_eq!(
            ipam["ranges"],
            json!([[{"subnet": "10.1.0.0/24"}], [{"subnet": "fd00:1::/64"}]])
        );
        assert_eq!(
            ipam["routes"],
            json!([{"dst": "0.0.0.0/0"}, {"dst": "::/0"}])
        );
        assert_eq!(list.plugins[0].raw()["ipMasq"], json!(false));
        assert_eq!(ranges(&list), dual.ranges);
    }

    #[test]
    fn loopback_and_weave_are_generated() {
        let mut other = network("lo", &["127.0.0.1/32"]);
        other.kind = NetworkKind::Lo;
        let list = generate(&other, "n1", None).unwrap();
        assert_eq!(list.plugins[0].plugin_type(), "loopback");
        let mut other = network("weave1", &["10.32.0.0/12"]);
        other.kind = NetworkKind::Weave;
        let list = generate(&other, "n1", None).unwrap();
        assert_eq!(
            *list.plugins[0].raw(),
            *json!({"type": "weave-net", "ipam": {"subnet": "10.32.0.0/12"}})
                .as_object()
                .unwrap()
        );
    }

    /// Specification 6.2.
    #[test]
    fn a_routed_bridge_yields_the_segment_of_the_node() {
        let back = routed("back", "10.11.0.0/16", 22, &["n1", "n2"]);
        let list = generate(&back, "n2", Some(1480)).unwrap();
        let plugin = list.plugins[0].raw();
        assert_eq!(plugin["bridge"], "obr_back");
        assert_eq!(
            (&plugin["isGateway"], &plugin["ipMasq"]),
            (&json!(true), &json!(false))
        );
        assert_eq!(plugin["mtu"], 1480);
        let routes = json!([{"dst": "0.0.0.0/0"}, {"dst": "10.11.0.0/16", "gw": "10.11.4.1"}]);
        assert_eq!(
            plugin["ipam"]["ranges"],
            json!([[{"subnet": "10.11.4.0/22"}]])
        );
        assert_eq!(plugin["ipam"]["routes"], routes);
        assert_eq!(ranges(&list), ["10.11.4.0/22".parse::<IpNet>().unwrap()]);
        assert_eq!(
            destinations(&list),
            ["10.11.0.0/16".parse::<IpNet>().unwrap()]
        );
        let error = generate(&back, "n3", None).unwrap_err();
        assert!(matches!(error, NetworkError::NoSegment { .. }), "{error}");
    }

    #[test]
    fn ranges_are_read_from_both_forms_and_only_from_host_local() {
        let read = |ipam: Value| {
            let value = json!({"cniVersion": "0.3.1", "name": "a", "type": "bridge", "ipam": ipam});
            ranges(&ConfList::from_value(value).unwrap())
        };
        let net: IpNet = "10.1.0.0/24".parse().unwrap();
        assert_eq!(
            read(json!({"type": "host-local", "subnet": "10.1.0.7/24"})),
            [net]
        );
        let both = json!({"type": "host-local", "subnet": "10.1.0.0/24",
            "ranges": [[{"subnet": "10.1.0.0/24"}, {"subnet": "nonsense"}, 7], "x"]});
        assert_eq!(read(both), [net]);
        assert!(read(json!({"type": "dhcp", "subnet": "10.1.0.0/24"})).is_empty());
        assert!(read(json!({"type": "host-local", "ranges": 3})).is_empty());
    }
}
