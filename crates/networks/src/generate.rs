//! The CNI configuration list that a declared network yields.

use crate::NetworkError;
use fairlead_cni::ConfList;
use fairlead_config::{Network, NetworkKind};
use ipnet::IpNet;
use serde_json::{Value, json};

/// The top-level key that marks a configuration as generated.
pub const MARKER: &str = "x-fairlead";

/// How the value of [`MARKER`] begins.
const MADE_BY: &str = "made by fairlead";

/// The configuration list of a declared network.
///
/// # Errors
/// [`NetworkError::NotRealised`] for a type that cannot be made yet.
pub fn generate(network: &Network) -> Result<ConfList, NetworkError> {
    let plugins = match network.kind {
        NetworkKind::Bridge => vec![bridge(network), portmap()],
        NetworkKind::Lo => vec![json!({"type": "loopback"})],
        NetworkKind::RoutedBridge | NetworkKind::Weave => {
            return Err(NetworkError::NotRealised {
                network: network.name.clone(),
                kind: network.kind,
            });
        }
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

fn bridge(network: &Network) -> Value {
    let bridge = network.bridge.as_ref().map_or("", |name| name.as_str());
    // One range set for each family: a container gets one address of each.
    let sets = network
        .ranges
        .iter()
        .map(|range| json!([{"subnet": range.to_string()}]));
    let routes = network
        .ranges
        .iter()
        .map(|range| json!({"dst": default_route(*range)}));
    json!({
        "type": "bridge",
        "bridge": bridge,
        "isGateway": true,
        "ipMasq": !network.public,
        // Where bridged frames pass the host's rules (br_netfilter, on every host of Docker),
        // a container's own published port leads out by the port of the bridge it came in by.
        "hairpinMode": true,
        "capabilities": {"ips": true, "mac": true},
        "ipam": {
            "type": "host-local",
            "ranges": sets.collect::<Vec<_>>(),
            "routes": routes.collect::<Vec<_>>(),
        },
    })
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
    use crate::setup::testing::network;

    #[test]
    fn a_bridge_yields_bridge_and_portmap() {
        let list = generate(&network("default", &["10.22.0.0/16"])).unwrap();
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
        let list = generate(&dual).unwrap();
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
    fn loopback_is_generated_and_what_is_not_realised_says_so() {
        let mut lo = network("lo", &["127.0.0.1/32"]);
        lo.kind = NetworkKind::Lo;
        assert_eq!(generate(&lo).unwrap().plugins[0].plugin_type(), "loopback");
        for kind in [NetworkKind::RoutedBridge, NetworkKind::Weave] {
            lo.kind = kind;
            let error = generate(&lo).unwrap_err();
            assert!(matches!(error, NetworkError::NotRealised { .. }), "{error}");
        }
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
