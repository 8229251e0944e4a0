//! The kernel by netlink: namespaces, links, addresses, routes, rules, neighbours, sysctl, nftables, conntrack.
#![forbid(unsafe_code)]
