//! What a CNI plugin does, seen from outside: the same cases on Debian's plugins
//! (`reference::`), which judge the cases, and on ours (`ours::`).

#[path = "conformance/bridge.rs"]
mod bridge;
#[path = "conformance/bridge_check.rs"]
mod bridge_check;
#[path = "conformance/bridge_options.rs"]
mod bridge_options;
#[path = "conformance/errors.rs"]
mod errors;
#[path = "conformance/host_local.rs"]
mod host_local;
#[path = "conformance/host_local_config.rs"]
mod host_local_config;
#[path = "conformance/loopback.rs"]
mod loopback;
#[path = "conformance/masquerade.rs"]
mod masquerade;
#[path = "conformance/portmap.rs"]
mod portmap;
#[path = "conformance/portmap_config.rs"]
mod portmap_config;
#[path = "conformance/ptp.rs"]
mod ptp;
#[path = "conformance/static_ipam.rs"]
mod static_ipam;
#[path = "conformance/support.rs"]
mod support;
