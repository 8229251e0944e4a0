//! Waiting for the controller to give a port its address.

use super::{DATABASE, PORTS, Vrs, VrsError};
use fairlead_ovsdb::{Monitor, MonitorPlan, OvsdbError, Row, TablePlan};
use fairlead_types::Mac;
use std::net::Ipv4Addr;
use std::str::FromStr;
use std::time::Duration;

/// What the controller gave a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolved {
    /// Its address.
    pub ip: Ipv4Addr,
    /// The mask of its subnet.
    pub mask: Ipv4Addr,
    /// The gateway of its subnet.
    pub gateway: Ipv4Addr,
    /// Its hardware address.
    pub mac: Mac,
}

/// What a column says, if it says anything: the controller writes nothing or `0.0.0.0` as long
/// as it does not know.
pub(super) fn told<'r>(row: &'r Row, column: &str) -> Option<&'r str> {
    let text = row.text(column)?;
    (!text.is_empty() && text != "0.0.0.0").then_some(text)
}

impl Vrs {
    /// Waits until the controller has given this port its address.
    ///
    /// # Errors
    /// It has not within the limit, or the port was taken away meanwhile, or what it wrote is
    /// no address.
    pub async fn resolved(&self, port: &str, limit: Duration) -> Result<Resolved, VrsError> {
        let follow = self.follow(port);
        let resolved = tokio::time::timeout(limit, follow).await;
        resolved.unwrap_or_else(|_| {
            Err(VrsError::Unresolved {
                port: port.to_owned(),
                limit,
            })
        })
    }

    async fn follow(&self, port: &str) -> Result<Resolved, VrsError> {
        let failed = |source: OvsdbError| VrsError::Ovsdb {
            doing: "wait for the address of",
            object: format!("port {port}"),
            source: Box::new(source),
        };
        // The whole table, for it is small: old servers know no conditions.
        let columns = ["name", "mac", "ip_addr", "subnet_mask", "gateway"];
        let plan = MonitorPlan::new().table(TablePlan::new(PORTS).columns(&columns));
        let mut monitor: Monitor = self.client.monitor(DATABASE, plan).await.map_err(failed)?;
        let mut seen = false;
        loop {
            monitor.next().await.map_err(failed)?;
            match monitor.replica().find(PORTS, "name", &port.into()) {
                Some((_, row)) => match read(port, row)? {
                    Some(resolved) => return Ok(resolved),
                    None => seen = true,
                },
                None if seen => {
                    return Err(VrsError::Unregistered {
                        port: port.to_owned(),
                    });
                }
                None => {}
            }
        }
    }
}

/// What the row says; none as long as a part of it is missing.
fn read(port: &str, row: &Row) -> Result<Option<Resolved>, VrsError> {
    let [Some(ip), Some(mask), Some(gateway), Some(mac)] =
        ["ip_addr", "subnet_mask", "gateway", "mac"].map(|column| told(row, column))
    else {
        return Ok(None);
    };
    Ok(Some(Resolved {
        ip: parsed(port, "ip_addr", ip)?,
        mask: parsed(port, "subnet_mask", mask)?,
        gateway: parsed(port, "gateway", gateway)?,
        mac: parsed(port, "mac", mac)?,
    }))
}

fn parsed<T: FromStr>(port: &str, column: &'static str, text: &str) -> Result<T, VrsError> {
    text.parse().map_err(|_| VrsError::Unreadable {
        port: port.to_owned(),
        column,
        text: text.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(ip: &str, mask: &str, gateway: &str) -> Row {
        Row::new()
            .with("mac", "7a:42:01:02:03:04")
            .with("ip_addr", ip)
            .with("subnet_mask", mask)
            .with("gateway", gateway)
    }

    #[test]
    fn a_port_is_resolved_when_nothing_is_missing() {
        for (ip, mask, gateway) in [
            ("", "", ""),
            ("0.0.0.0", "0.0.0.0", "0.0.0.0"),
            ("0.0.0.0", "255.255.255.0", "10.21.59.1"),
            ("10.21.59.3", "", "10.21.59.1"),
            ("10.21.59.3", "255.255.255.0", "0.0.0.0"),
        ] {
            let read = read("p", &row(ip, mask, gateway)).expect("no fault");
            assert_eq!(read, None, "{ip} {mask} {gateway}");
        }
        let row = row("10.21.59.3", "255.255.255.0", "10.21.59.1");
        let read = read("p", &row).expect("no fault").expect("an address");
        assert_eq!(read.ip, Ipv4Addr::new(10, 21, 59, 3));
        assert_eq!(read.gateway, Ipv4Addr::new(10, 21, 59, 1));
    }
}
