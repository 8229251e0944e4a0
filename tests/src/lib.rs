//! Helpers of the end-to-end tests: fake hosts, containers in them, packets
//! between them, and the CNI plugins under test.
//!
//! Everything that a test makes is inside the namespaces of its [`Node`], which
//! end with the process that holds them: nothing is left on the machine, even
//! after a kill. The helpers panic with what they saw, for they only serve tests.
#![forbid(unsafe_code)]

mod agent;
mod attachment;
mod built;
mod certificates;
mod cgroups;
mod cluster;
mod commands;
mod container;
mod daemon;
mod docker;
mod etcd;
mod family;
mod kill;
mod lone_etcd;
mod lxc;
mod node;
mod ovs;
mod patience;
mod peer;
mod place;
mod plugins;
mod podman;
mod reach;
mod result;
mod rootfs;
mod uml;
mod vsd;
mod wires;

pub use agent::{Agent, Readiness};
pub use attachment::{Attachment, Chain};
pub use built::{built_binary, fairlead_binary};
pub use certificates::Authority;
pub use cgroups::Cgroups;
pub use cluster::{Cluster, Plan, gateway};
pub use commands::Ran;
pub use container::Container;
pub use daemon::Daemon;
pub use docker::{Docker, DockerPlan};
pub use etcd::{Etcd, MemberPlan};
pub use family::Family;
pub use kill::killed_at_each;
pub use lone_etcd::{LoneEtcd, own_loopback};
pub use lxc::Lxc;
pub use node::{Node, OUTSIDE_V4, OUTSIDE_V6, Sandbox, UPLINK_V4, UPLINK_V6};
pub use ovs::{Ovs, OvsPlan};
pub use patience::{eventually, patience};
pub use peer::{Reply, Server, Transport};
pub use place::Place;
pub use plugins::{Call, Failure, Outcome, Plugins};
pub use podman::Podman;
pub use reach::{Pinging, full_sized, is_cut_off, reach_each_other, too_long};
pub use result::{Address, Interface, Route, View};
pub use uml::{UmlCase, run_under_uml, uml_main};
pub use vsd::Vsd;

/// Writes each case as two tests, `reference::NAME` on Debian's plugins and
/// `ours::NAME` on this workspace's binary.
///
/// A case is `fn name(plugins: &Plugins) { .. }`.
#[macro_export]
macro_rules! conformance {
    ($($(#[$meta:meta])* fn $name:ident($plugins:ident: &Plugins) $body:block)*) => {
        $($(#[$meta])* fn $name($plugins: &$crate::Plugins) $body)*

        mod reference {
            $(#[test] fn $name() { super::$name(&$crate::Plugins::reference()); })*
        }
        mod ours {
            $(#[test] fn $name() { super::$name(&$crate::Plugins::ours()); })*
        }
    };
}
