//! The address that `CNI_ARGS` asks for.

use crate::IpamError;
use std::net::IpAddr;

/// Reads `IP` out of `CNI_ARGS`, as host-local does: pairs joined by `;`, of which
/// `IP` and `IgnoreUnknown` mean something and others must be allowed by the latter.
///
/// # Errors
/// [`IpamError::Pair`], [`IpamError::Value`] or [`IpamError::UnknownArgs`].
pub fn requested_by_args(args: &str) -> Result<Option<IpAddr>, IpamError> {
    let mut requested = None;
    let mut ignore_unknown = false;
    let mut unknown = Vec::new();
    if args.is_empty() {
        return Ok(None);
    }
    for pair in args.split(';') {
        let bad = |reason| IpamError::Value {
            pair: pair.to_owned(),
            reason,
        };
        let (key, value) = pair
            .split_once('=')
            .filter(|(_, value)| !value.contains('='))
            .ok_or_else(|| IpamError::Pair(pair.to_owned()))?;
        match key {
            "IP" if value.is_empty() => requested = None,
            "IP" => {
                let addr =
                    parse_ip(value).ok_or_else(|| bad(format!("invalid IP address {value}")))?;
                requested = Some(addr);
            }
            "IgnoreUnknown" => {
                ignore_unknown = match value.to_ascii_lowercase().as_str() {
                    "1" | "true" => true,
                    "0" | "false" => false,
                    _ => {
                        return Err(bad(format!(
                            "boolean unmarshal error: invalid input {value}"
                        )));
                    }
                }
            }
            _ => unknown.push(pair.to_owned()),
        }
    }
    if unknown.is_empty() || ignore_unknown {
        Ok(requested)
    } else {
        Err(IpamError::UnknownArgs(unknown))
    }
}

/// An address, with or without a prefix length, which does not matter here.
pub(crate) fn parse_ip(text: &str) -> Option<IpAddr> {
    let addr = match text.parse::<ipnet::IpNet>() {
        Ok(net) => net.addr(),
        Err(_) => text.parse().ok()?,
    };
    Some(addr.to_canonical())
}
