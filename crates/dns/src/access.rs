//! Who may have what.

use crate::Settings;
use ipnet::IpNet;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

/// Who may have names of others looked up wherever that is not said: private addresses.
const PRIVATE: [&str; 9] = [
    "10.0.0.0/8",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "127.0.0.0/8",
    "100.64.0.0/10",
    "169.254.0.0/16",
    "fc00::/7",
    "fe80::/10",
    "::1/128",
];

/// The rights of those who ask, and who is asked in turn.
#[derive(Debug, Clone)]
pub(crate) struct Access {
    recursion: Vec<IpNet>,
    transfer: Vec<IpNet>,
    pub(crate) upstreams: Arc<[SocketAddr]>,
}

impl Access {
    pub(crate) fn new(settings: &Settings) -> Self {
        let private = PRIVATE.iter().filter_map(|text| text.parse().ok());
        let more = settings.ranges.iter().chain(&settings.recursion).copied();
        Self {
            recursion: private.chain(more).collect(),
            transfer: settings.axfr.clone(),
            upstreams: settings.upstreams.as_slice().into(),
        }
    }

    /// Whether names of others are looked up for that address.
    #[inline]
    pub(crate) fn may_recurse(&self, from: IpAddr) -> bool {
        let from = from.to_canonical();
        self.recursion.iter().any(|net| net.contains(&from))
    }

    /// Whether that address is of one who is asked in turn.
    pub(crate) fn is_upstream(&self, from: IpAddr) -> bool {
        let from = from.to_canonical();
        let mut upstreams = self.upstreams.iter();
        upstreams.any(|upstream| upstream.ip().to_canonical() == from)
    }

    /// Whether a whole zone is sent to that address.
    pub(crate) fn may_transfer(&self, from: IpAddr) -> bool {
        let from = from.to_canonical();
        self.transfer.iter().any(|net| net.contains(&from))
    }
}
