//! Where interface plugins get their addresses from: the plugin that `ipam.type`
//! names, in process where it is built in.

use crate::host::Host;
use crate::host_local::HostLocal;
use crate::static_ipam::Static;
use crate::undo::Undo;
use fairlead_cni::{Builtins, Call, CniError, CniResult, Command, Plugin, delegate};
use std::sync::Arc;

/// The address plugins that are built in.
pub(crate) struct Ipam {
    host_local: HostLocal,
    fixed: Static,
}

impl Builtins for Ipam {
    fn get(&self, plugin_type: &str) -> Option<&dyn Plugin> {
        match plugin_type {
            "host-local" => Some(&self.host_local),
            "static" => Some(&self.fixed),
            _ => None,
        }
    }
}

impl Ipam {
    pub(crate) fn new(host: Arc<Host>) -> Self {
        Self {
            host_local: HostLocal { host },
            fixed: Static,
        }
    }

    fn add(&self, call: &Call) -> Result<CniResult, CniError> {
        Ok(self.ask(call, Command::Add)?.unwrap_or_default())
    }

    /// ADD for a plugin that puts the addresses on an interface, the one at `interface`
    /// in its result. Name service of the configuration wins over that of the addresses.
    pub(crate) fn take<'a>(
        &'a self,
        call: &'a Call,
        interface: usize,
        undo: &mut Undo<'a>,
    ) -> Result<CniResult, CniError> {
        let dns = call.config.dns()?;
        if call.config.ipam_type().is_none() {
            return Ok(CniResult {
                dns,
                ..CniResult::default()
            });
        }
        let mut result = self.add(call)?;
        undo.push(|| self.del(call));
        if result.ips.is_empty() {
            return Err(CniError::internal("IPAM plugin returned missing IP config"));
        }
        for ip in &mut result.ips {
            ip.interface = Some(interface);
        }
        if !dns.is_empty() {
            result.dns = dns;
        }
        Ok(result)
    }

    pub(crate) fn del(&self, call: &Call) -> Result<(), CniError> {
        self.ask(call, Command::Del).map(drop)
    }

    pub(crate) fn check(&self, call: &Call) -> Result<(), CniError> {
        self.ask(call, Command::Check).map(drop)
    }

    pub(crate) fn gc(&self, call: &Call) -> Result<(), CniError> {
        self.ask(call, Command::Gc).map(drop)
    }

    pub(crate) fn status(&self, call: &Call) -> Result<(), CniError> {
        self.ask(call, Command::Status).map(drop)
    }

    /// Without `ipam.type` there is nothing to ask.
    fn ask(&self, call: &Call, command: Command) -> Result<Option<CniResult>, CniError> {
        match call.config.ipam_type() {
            None => Ok(None),
            Some(plugin) => delegate(call, command, plugin, self),
        }
    }
}
