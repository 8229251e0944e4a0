//! `host-local`: addresses from ranges, kept in the node's state.

use crate::host::Host;
use crate::undo::all_or_nothing;
use crate::{cable, records};
use fairlead_cni::{Call, CniError, CniResult, Code, Dns, IpConfig, Plugin, Route};
use fairlead_ipam::{IpamConfig, IpamError, Pool, Request, ResolvConf};
use serde_json::Value;
use std::path::Path;
use std::sync::Arc;

/// The plugin `host-local`.
pub(crate) struct HostLocal {
    pub(crate) host: Arc<Host>,
}

impl HostLocal {
    fn config(call: &Call) -> Result<IpamConfig, CniError> {
        let config = Value::Object(call.config.raw().clone());
        IpamConfig::from_value(&config, call.args.raw()).map_err(ipam_error)
    }

    /// The pool, from the two keys that name it: DEL must work with a configuration and
    /// arguments that ADD would refuse.
    fn pool(&self, call: &Call) -> Pool {
        let dir = call.config.ipam().and_then(|ipam| ipam.get("dataDir"));
        let dir = dir.and_then(Value::as_str).filter(|dir| !dir.is_empty());
        Pool::new(self.host.root(), call.config.name(), dir.map(Path::new))
    }
}

impl Plugin for HostLocal {
    fn add(&self, call: &Call) -> Result<CniResult, CniError> {
        let config = Self::config(call)?;
        let owner = call.owner()?;
        let pool = self.pool(call);
        let dns = match &config.resolv_conf {
            Some(path) => dns(ResolvConf::read(path).map_err(ipam_error)?),
            None => Dns::default(),
        };
        let routes = routes(&config)?;
        let netns = self.host.netns_of(call)?;
        let request = Request {
            pool: &pool,
            sets: &config.ranges,
            owner: &owner,
            netns: netns.as_ref(),
            requested: &config.requested,
        };
        let given = all_or_nothing(|undo| {
            let given = self
                .host
                .with_ipam(|store| fairlead_ipam::allocate(store, &request))?;
            undo.push(|| self.del(call));
            // The addresses of containers that are gone may be ours now; what else those
            // containers left must not catch our packets.
            for gone in &given.reclaimed {
                records::release_dead(&self.host, gone)?;
                cable::remove(&cable::host_name(gone)?)?;
            }
            Ok(given)
        })?;
        let ips = given.leases.iter().map(|lease| IpConfig {
            gateway: lease.gateway,
            ..IpConfig::new(lease.address)
        });
        Ok(CniResult {
            ips: ips.collect(),
            routes,
            dns,
            ..CniResult::default()
        })
    }

    fn del(&self, call: &Call) -> Result<(), CniError> {
        let owner = call.owner()?;
        let pool = self.pool(call);
        self.host
            .with_ipam(|store| fairlead_ipam::release(store, &pool, &owner))?;
        self.host.fold_log().map_err(crate::host::store_error)
    }

    fn check(&self, call: &Call) -> Result<(), CniError> {
        Self::config(call)?;
        let owner = call.owner()?;
        let pool = self.pool(call);
        self.host
            .with_ipam(|store| fairlead_ipam::check(store, &pool, &owner))
            .map(drop)
    }

    fn gc(&self, call: &Call) -> Result<(), CniError> {
        let Some(valid) = call.config.valid_attachments()? else {
            return Ok(());
        };
        let pool = self.pool(call);
        for owner in self.host.stale_owners(call.config.name(), &valid)? {
            self.host
                .with_ipam(|store| fairlead_ipam::release(store, &pool, &owner))?;
        }
        Ok(())
    }

    fn status(&self, call: &Call) -> Result<(), CniError> {
        Self::config(call)?;
        // The state can be opened: an address could be given.
        self.host.with_store(|_| Ok(())).map_err(|error| CniError {
            code: Code::PLUGIN_NOT_AVAILABLE,
            ..error
        })
    }
}

fn routes(config: &IpamConfig) -> Result<Vec<Route>, CniError> {
    let routes = config.routes.iter().enumerate();
    routes
        .map(|(i, route)| {
            let value = serde_json::to_value(route).map_err(crate::error::internal)?;
            Route::from_json(&value, &format!("ipam.routes[{i}]")).map_err(crate::error::internal)
        })
        .collect()
}

fn dns(conf: ResolvConf) -> Dns {
    Dns {
        nameservers: conf.nameservers,
        domain: conf.domain.unwrap_or_default(),
        search: conf.search,
        options: conf.options,
    }
}

/// The words are those of the reference plugin, and so is the number, except for a
/// store that is busy.
pub(crate) fn ipam_error(error: IpamError) -> CniError {
    match error {
        IpamError::Store(error) => crate::host::store_error(error),
        error => CniError::internal(error),
    }
}
