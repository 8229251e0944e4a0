//! The words by which a container says what it wants: OCI annotations, and labels of Docker.

use serde_json::Value;

/// What all of them begin with.
pub const PREFIX: &str = "eru.cni/";
/// The networks, by name, with a comma between two: each gives an interface.
pub const NETWORK: &str = "eru.cni/network";
/// The pool of addresses: of Calico's, or a network's name.
pub const IPPOOL: &str = "eru.cni/ippool";
/// The IPv4 address.
pub const IPV4: &str = "eru.cni/ipv4";
/// The IPv6 address.
pub const IPV6: &str = "eru.cni/ipv6";
/// The hardware address.
pub const MAC: &str = "eru.cni/mac";
/// Whether the address is kept while the container is stopped; see [`is_fixed`].
pub const FIXED: &str = "eru.cni/fixed-ip";
/// The ports to publish: a JSON array as the capability `portMappings` has it.
pub const PORTS: &str = "eru.cni/ports";
/// More of `CNI_ARGS`: `K=V;K=V`.
pub const ARGS: &str = "eru.cni/args";
/// The network as the client of Docker's API named it, for showing it so.
pub const MODE: &str = "eru.cni/mode";

/// Whether a value says that an address is kept: everything but nothing, `null`, `false`,
/// 0, and the words `0` and `false`, whatever their case.
#[must_use]
pub fn is_fixed(value: Option<&Value>) -> bool {
    match value {
        None | Some(Value::Null | Value::Bool(false)) => false,
        Some(Value::String(text)) => !(text == "0" || text.eq_ignore_ascii_case("false")),
        Some(Value::Number(number)) => number.as_f64() != Some(0.0),
        Some(_) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_address_is_kept_unless_the_value_says_no() {
        assert!(!is_fixed(None));
        for no in [
            json!(null),
            json!("0"),
            json!("false"),
            json!("FALSE"),
            json!(0),
            json!(false),
        ] {
            assert!(!is_fixed(Some(&no)), "{no}");
        }
        for yes in [
            json!("1"),
            json!(""),
            json!("no"),
            json!(1),
            json!(-3),
            json!(true),
            json!([]),
            json!({}),
        ] {
            assert!(is_fixed(Some(&yes)), "{yes}");
        }
    }
}
