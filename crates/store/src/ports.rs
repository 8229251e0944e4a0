//! Published ports: which attachment a port of the host leads to.

use crate::attachments::owner_columns;
use crate::key::Key;
use crate::{NetnsRef, StoreError, Tx, View, row};
use fairlead_types::{Owner, Protocol};
use ipnet::IpNet;
use rusqlite::types::{FromSqlError, ToSql, ToSqlOutput, ValueRef};
use rusqlite::{Row, params};
use serde::{Deserialize, Serialize};
use std::net::{IpAddr, SocketAddr};

/// The two kinds of addresses. Each has its own ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl Family {
    /// The family of an address.
    #[must_use]
    pub const fn of(addr: IpAddr) -> Self {
        match addr {
            IpAddr::V4(_) => Self::V4,
            IpAddr::V6(_) => Self::V6,
        }
    }

    const fn number(self) -> i64 {
        match self {
            Self::V4 => 4,
            Self::V6 => 6,
        }
    }
}

/// A host port and where it leads. Its family is that of the target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PortClaim {
    /// The protocol.
    pub protocol: Protocol,
    /// The host address it is published on, none for every address.
    pub host: Option<IpAddr>,
    /// The port on the host, 1 to 65535.
    pub port: u16,
    /// The container's address and port.
    pub target: SocketAddr,
    /// The container's own network, whose connections to the port are masqueraded so
    /// that the answers come back by the host; none where that is not wanted.
    pub hairpin: Option<IpNet>,
    /// What a connection's addresses must fulfil for the port to lead there, in the
    /// words of `nft`; none for a port that is for everyone. It is claimed either way.
    pub conditions: Option<String>,
}

/// A published port as recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Port {
    /// The attachment it leads to.
    pub owner: Owner,
    /// The port and where it leads.
    pub claim: PortClaim,
    /// The container's namespace, as far as it is known.
    pub netns: Option<NetnsRef>,
}

const COLUMNS: &str = "SELECT container, ifname, network, protocol, port, host, target, target_port, hairpin, netns, conditions FROM ports";
const OWNER: &str = " WHERE container = ? AND ifname = ? AND network = ?";
const SAME_PORT: &str = "SELECT container, ifname, network, host FROM ports WHERE protocol = ? AND family = ? AND port = ?";

/// An address of the host as the column holds it; for every address an empty
/// blob, since a key column tells no two nulls apart.
struct Host(Option<Key>);

impl ToSql for Host {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        match &self.0 {
            Some(key) => key.to_sql(),
            None => Ok(ToSqlOutput::Borrowed(ValueRef::Blob(&[]))),
        }
    }
}

fn read_host(row: &Row<'_>, index: usize) -> rusqlite::Result<Option<IpAddr>> {
    if row.get_ref(index)?.as_blob()?.is_empty() {
        return Ok(None);
    }
    row.get::<_, Key>(index).map(|key| Some(key.addr()))
}

fn read_hairpin(row: &Row<'_>) -> rusqlite::Result<Option<IpNet>> {
    let text = row.get_ref(8)?.as_str_or_null()?;
    text.map(|text| text.parse().map_err(|error| row::bad(8, error)))
        .transpose()
}

fn read(row: &Row<'_>) -> rusqlite::Result<Port> {
    let number: u8 = row.get(3)?;
    let protocol = [Protocol::Tcp, Protocol::Udp, Protocol::Sctp]
        .into_iter()
        .find(|protocol| protocol.number() == number)
        .ok_or_else(|| row::bad(3, FromSqlError::OutOfRange(number.into())))?;
    Ok(Port {
        owner: row::owner(row, 0)?,
        claim: PortClaim {
            protocol,
            port: row.get(4)?,
            host: read_host(row, 5)?,
            target: SocketAddr::new(row.get::<_, Key>(6)?.addr(), row.get(7)?),
            hairpin: read_hairpin(row)?,
            conditions: row.get(10)?,
        },
        netns: row.get(9)?,
    })
}

impl View<'_> {
    /// The ports published for one attachment.
    ///
    /// # Errors
    /// [`StoreError`] when the file cannot be read.
    pub fn ports_of(&self, owner: &Owner) -> Result<Vec<Port>, StoreError> {
        let sql = [COLUMNS, OWNER].concat();
        self.rows(owner, &sql, owner_columns(owner), read)
    }

    /// Every published port of the node, by protocol, family and port.
    ///
    /// # Errors
    /// [`StoreError`] when the file cannot be read.
    pub fn ports(&self) -> Result<Vec<Port>, StoreError> {
        let sql = [COLUMNS, " ORDER BY protocol, family, port, host"].concat();
        self.rows(&"ports", &sql, [], read)
    }
}

impl Tx<'_> {
    /// Claims host ports for one attachment. A port it holds already leads to the
    /// new target from now on.
    ///
    /// # Errors
    /// [`StoreError::PortTaken`] when another attachment holds one: the same port
    /// of the same protocol and family, on the same host address, or on every
    /// address where one is wanted, or the other way round.
    pub fn claim_ports(
        &self,
        owner: &Owner,
        netns: Option<&NetnsRef>,
        claims: &[PortClaim],
    ) -> Result<(), StoreError> {
        let sql = "INSERT OR REPLACE INTO ports(protocol, family, port, host, container, ifname, network, target, target_port, hairpin, netns, conditions) VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
        let [container, ifname, network] = owner_columns(owner);
        for claim in claims {
            let family = Family::of(claim.target.ip()).number();
            let protocol = claim.protocol.number();
            self.refuse_taken(owner, claim, family)?;
            let params = params![
                protocol,
                family,
                claim.port,
                Host(claim.host.map(Key::from)),
                container,
                ifname,
                network,
                Key::from(claim.target.ip()),
                claim.target.port(),
                claim.hairpin.map(|net| net.to_string()),
                netns,
                claim.conditions,
            ];
            self.change("publish port", &claim.port, sql, params)?;
        }
        Ok(())
    }

    fn refuse_taken(
        &self,
        owner: &Owner,
        claim: &PortClaim,
        family: i64,
    ) -> Result<(), StoreError> {
        let params = params![claim.protocol.number(), family, claim.port];
        let held = self.rows(&claim.port, SAME_PORT, params, |row| {
            Ok((row::owner(row, 0)?, read_host(row, 3)?))
        })?;
        let clash = |host: &Option<IpAddr>| match (claim.host, *host) {
            (Some(wanted), Some(held)) => wanted == held,
            _ => true,
        };
        let taken = held
            .into_iter()
            .find(|(holder, host)| holder != owner && clash(host));
        match taken {
            None => Ok(()),
            Some((holder, held)) => Err(StoreError::PortTaken {
                protocol: claim.protocol,
                port: claim.port,
                wanted: claim.host,
                held,
                holder: Box::new(holder),
            }),
        }
    }

    /// Releases the ports of one attachment and returns them.
    ///
    /// # Errors
    /// [`StoreError`] when the file cannot be written.
    pub fn release_ports(&self, owner: &Owner) -> Result<Vec<Port>, StoreError> {
        let held = self.ports_of(owner)?;
        if !held.is_empty() {
            let sql = ["DELETE FROM ports", OWNER].concat();
            self.change("release ports of", owner, &sql, owner_columns(owner))?;
        }
        Ok(held)
    }
}
