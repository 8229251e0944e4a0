//! Waiting until the servers of names know an address (specification 7.6).

use crate::service::{IpResource, Service};
use crate::{ServiceError, Services};
use fairlead_dns::{RType, client};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

/// How often a server is asked that does not know it yet.
const PAUSE: Duration = Duration::from_millis(100);
/// How long one answer is waited for.
const ANSWER: Duration = Duration::from_secs(1);

impl Services<'_> {
    /// Waits until every server of `cluster.dns`, or else the agent at the network's
    /// gateway, gives all of `addresses` for the service.
    pub(crate) fn wait_dns(
        &self,
        service: &Service,
        ip: &IpResource,
        addresses: &[IpAddr],
    ) -> Result<(), ServiceError> {
        if ip.wait_dns.is_zero() {
            return Ok(());
        }
        let wrong = |source| ServiceError::Config {
            object: service.name.clone(),
            source,
        };
        let config = self.config();
        let mut servers = config.dns().map_err(wrong)?;
        if servers.is_empty() {
            servers = crate::resolver::gateways(config, &ip.network);
        }
        if servers.is_empty() {
            return Err(ServiceError::Keyword {
                object: service.name.clone(),
                resource: ip.resource.clone(),
                keyword: "wait_dns",
                value: None,
                reason: "there is no server to ask; set cluster.dns".to_owned(),
            });
        }
        let port = config.dns_port().map_err(wrong)?;
        let cluster = config.cluster_name().map_err(wrong)?;
        let (namespace, _, name) = service.name.parts().unwrap_or_default();
        let name = format!("{name}.{namespace}.svc.{cluster}").to_lowercase();
        let end = Instant::now() + ip.wait_dns;
        for server in servers {
            let server = SocketAddr::new(server, port);
            let failed = |reason: String| ServiceError::Dns {
                object: service.name.clone(),
                resource: ip.resource.clone(),
                name: name.clone(),
                seconds: ip.wait_dns.as_secs(),
                reason,
            };
            until_known(server, &name, addresses, end).map_err(failed)?;
        }
        Ok(())
    }
}

/// Asks one server until it knows all addresses, or until the time is over.
fn until_known(
    server: SocketAddr,
    name: &str,
    addresses: &[IpAddr],
    end: Instant,
) -> Result<(), String> {
    loop {
        let reason = match lacking(server, name, addresses) {
            Ok(None) => return Ok(()),
            Ok(Some(ip)) => format!("{server} does not give {ip}"),
            Err(reason) => format!("{server}: {reason}"),
        };
        if Instant::now() + PAUSE >= end {
            return Err(reason);
        }
        std::thread::sleep(PAUSE);
    }
}

/// The first address that a server does not give.
fn lacking(server: SocketAddr, name: &str, addresses: &[IpAddr]) -> Result<Option<IpAddr>, String> {
    for ip in addresses {
        let kind = match ip {
            IpAddr::V4(_) => RType::A,
            IpAddr::V6(_) => RType::AAAA,
        };
        let answer = client::ask(server, name, kind, ANSWER).map_err(|e| e.to_string())?;
        let text = ip.to_string();
        if !answer.records.iter().any(|r| r.data.to_string() == text) {
            return Ok(Some(*ip));
        }
    }
    Ok(None)
}
