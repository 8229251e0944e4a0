//! Which plugins there are, and running one as a program.

use crate::bridge::Bridge;
use crate::host::Host;
use crate::host_local::HostLocal;
use crate::ipam::Ipam;
use crate::loopback::Loopback;
use crate::portmap::Portmap;
use crate::ptp::PointToPoint;
use crate::static_ipam::Static;
use fairlead_cni::{Builtins, Plugin, PluginIo, SpecVersion, serve};
use fairlead_types::Root;
use std::sync::Arc;

/// The types of the built-in plugins, which are also the names the binary answers to.
pub const NAMES: [&str; 6] = [
    "bridge",
    "host-local",
    "loopback",
    "portmap",
    "ptp",
    "static",
];

/// The built-in plugins, sharing one node.
pub struct PluginSet {
    bridge: Bridge,
    host_local: HostLocal,
    loopback: Loopback,
    portmap: Portmap,
    ptp: PointToPoint,
    fixed: Static,
    host: Arc<Host>,
}

impl PluginSet {
    /// The plugins on the node whose files are below `root`. Nothing is opened yet.
    #[must_use]
    pub fn new(root: Root) -> Self {
        Self::on(Arc::new(Host::new(root)))
    }

    /// The plugins on a node that is shared with others.
    #[must_use]
    pub fn on(host: Arc<Host>) -> Self {
        let ipam = Arc::new(Ipam::new(Arc::clone(&host)));
        Self {
            bridge: Bridge {
                host: Arc::clone(&host),
                ipam: Arc::clone(&ipam),
            },
            host_local: HostLocal {
                host: Arc::clone(&host),
            },
            loopback: Loopback,
            portmap: Portmap {
                host: Arc::clone(&host),
            },
            ptp: PointToPoint {
                host: Arc::clone(&host),
                ipam,
            },
            fixed: Static,
            host,
        }
    }

    /// The node the plugins share.
    #[must_use]
    pub fn host(&self) -> &Arc<Host> {
        &self.host
    }
}

impl Builtins for PluginSet {
    fn get(&self, plugin_type: &str) -> Option<&dyn Plugin> {
        Some(match plugin_type {
            "bridge" => &self.bridge,
            "host-local" => &self.host_local,
            "loopback" => &self.loopback,
            "portmap" => &self.portmap,
            "ptp" => &self.ptp,
            "static" => &self.fixed,
            _ => return None,
        })
    }
}

/// Answers as the plugin `name` does when a runtime executes it; returns the exit
/// status, or `None` when there is no such plugin.
pub fn run_program(name: &str, root: Root, io: &mut PluginIo<'_>) -> Option<i32> {
    let set = PluginSet::new(root);
    let about = format!("CNI {name} plugin (fairlead {})", env!("CARGO_PKG_VERSION"));
    Some(serve(io, &about, &SpecVersion::ALL, set.get(name)?))
}
