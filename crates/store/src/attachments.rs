//! Attachments: the record that is written before the kernel is touched, and
//! from which a detach works.

use crate::{Actor, NetnsRef, StoreError, Tx, View, row};
use fairlead_types::{ContainerId, IfName, Naming, NetworkName, ObjectName, Owner, ResourceName};
use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, ValueRef};
use rusqlite::{Row, params};
use serde::{Deserialize, Serialize};
use std::fmt;

/// How far an attachment is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AttachmentState {
    /// Being made: the kernel may hold any part of it.
    Pending,
    /// Made, its result is known.
    Ready,
    /// Being taken away: the kernel may hold any part of it.
    Detaching,
}

impl AttachmentState {
    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Ready => "ready",
            Self::Detaching => "detaching",
        }
    }
}

impl fmt::Display for AttachmentState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl ToSql for AttachmentState {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::from(match self {
            Self::Pending => 0,
            Self::Ready => 1,
            Self::Detaching => 2,
        }))
    }
}

impl FromSql for AttachmentState {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        match value.as_i64()? {
            0 => Ok(Self::Pending),
            1 => Ok(Self::Ready),
            2 => Ok(Self::Detaching),
            other => Err(FromSqlError::OutOfRange(other)),
        }
    }
}

/// An attachment as recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attachment {
    /// Which interface of which container on which network.
    pub owner: Owner,
    /// The name that kernel objects made for it carry.
    pub id: String,
    /// The container's namespace, as far as it is known.
    pub netns: Option<NetnsRef>,
    /// The object it is for.
    pub object: Option<ObjectName>,
    /// The resource of the object.
    pub resource: Option<ResourceName>,
    /// What DNS is told of it.
    pub naming: Naming,
    /// How far it is.
    pub state: AttachmentState,
    /// The process that last began to make it or to take it away.
    pub actor: Option<Actor>,
    /// The name of its interface on the host, where it has one.
    pub host_ifname: Option<IfName>,
    /// When it was begun, in seconds since 1970.
    pub since: u64,
    /// The configuration it was made from, JSON.
    pub config: String,
    /// `CNI_ARGS`, where given.
    pub args: Option<String>,
    /// The capability arguments, JSON, where given.
    pub capability_args: Option<String>,
    /// What the chain returned, JSON, once it is ready.
    pub result: Option<String>,
}

/// An attachment to begin.
#[derive(Debug, Clone, Copy)]
pub struct NewAttachment<'a> {
    /// Which interface of which container on which network.
    pub owner: &'a Owner,
    /// The name that kernel objects made for it will carry.
    pub id: &'a str,
    /// The container's namespace.
    pub netns: Option<&'a NetnsRef>,
    /// The object it is for.
    pub object: Option<&'a ObjectName>,
    /// The resource of the object.
    pub resource: Option<&'a ResourceName>,
    /// What DNS is told of it, where it is told anything.
    pub naming: Option<&'a Naming>,
    /// The process at work, as a rule [`Actor::current`].
    pub actor: Option<Actor>,
    /// The name of its interface on the host, when it is known beforehand.
    pub host_ifname: Option<&'a IfName>,
    /// The configuration, JSON.
    pub config: &'a str,
    /// `CNI_ARGS`.
    pub args: Option<&'a str>,
    /// The capability arguments, JSON.
    pub capability_args: Option<&'a str>,
}

impl<'a> NewAttachment<'a> {
    /// One of which nothing else is known.
    #[must_use]
    pub const fn new(owner: &'a Owner, id: &'a str, config: &'a str) -> Self {
        Self {
            owner,
            id,
            netns: None,
            object: None,
            resource: None,
            naming: None,
            actor: None,
            host_ifname: None,
            config,
            args: None,
            capability_args: None,
        }
    }
}

/// What an engine tells of an attachment after it was made.
#[derive(Debug, Clone, Copy)]
pub struct Identity<'a> {
    /// The engine's id of the container.
    pub id: &'a str,
    /// The container's namespace; what is known stays where this is none.
    pub netns: Option<&'a NetnsRef>,
    /// The object it is for.
    pub object: Option<&'a ObjectName>,
    /// What DNS is told of it.
    pub naming: &'a Naming,
}

/// What became of a claim on an attachment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claim {
    /// There is no record: it is taken away already.
    Gone,
    /// Another process works on it.
    Busy(Actor),
    /// It is not what the claim was for any more.
    Changed,
    /// It is the claimer's, and marked as being taken away.
    Taken,
}

/// Which attachments to list: those that match every field given.
#[derive(Debug, Clone, Copy, Default)]
pub struct AttachmentFilter<'a> {
    /// On this network.
    pub network: Option<&'a NetworkName>,
    /// Of this container.
    pub container: Option<&'a ContainerId>,
    /// For this object.
    pub object: Option<&'a ObjectName>,
    /// This far.
    pub state: Option<AttachmentState>,
}

const COLUMNS: &str = "SELECT container, ifname, network, id, netns, object, state, pid, started, host_ifname, since, config, args, capabilities, result, resource, naming FROM attachments";
const OWNER: &str = " WHERE container = ? AND ifname = ? AND network = ?";

fn read(row: &Row<'_>) -> rusqlite::Result<Attachment> {
    let actor = match (row.get(7)?, row.get(8)?) {
        (Some(pid), Some(started)) => Some(Actor { pid, started }),
        _ => None,
    };
    Ok(Attachment {
        owner: row::owner(row, 0)?,
        id: row.get(3)?,
        netns: row.get(4)?,
        object: row::optional_name(row, 5)?,
        state: row.get(6)?,
        actor,
        host_ifname: row::optional_name(row, 9)?,
        since: row.get(10)?,
        config: row.get(11)?,
        args: row.get(12)?,
        capability_args: row.get(13)?,
        result: row.get(14)?,
        resource: row::optional_name(row, 15)?,
        naming: naming(row, 16)?,
    })
}

fn naming(row: &Row<'_>, index: usize) -> rusqlite::Result<Naming> {
    match row.get_ref(index)?.as_str_or_null()? {
        Some(text) => serde_json::from_str(text).map_err(|error| row::bad(index, error)),
        None => Ok(Naming::default()),
    }
}

/// The three columns of an owner, in the order of every key.
pub(crate) fn owner_columns(owner: &Owner) -> [&str; 3] {
    [
        owner.container.as_str(),
        owner.ifname.as_str(),
        owner.network.as_str(),
    ]
}

/// Now as records have it, in seconds since 1970; a clock before that counts as 1970.
#[must_use]
pub fn now() -> u64 {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

impl View<'_> {
    /// The record of one attachment.
    ///
    /// # Errors
    /// [`StoreError`] when the file cannot be read.
    pub fn attachment(&self, owner: &Owner) -> Result<Option<Attachment>, StoreError> {
        let sql = [COLUMNS, OWNER].concat();
        self.first(owner, &sql, owner_columns(owner), read)
    }

    /// The result that the CNI cache has for an attachment: none when there is no
    /// record or it is not ready yet.
    ///
    /// # Errors
    /// [`StoreError`] when the file cannot be read.
    pub fn cached_result(&self, owner: &Owner) -> Result<Option<String>, StoreError> {
        let sql = ["SELECT result FROM attachments", OWNER].concat();
        let result = self.first(owner, &sql, owner_columns(owner), |row| row.get(0))?;
        Ok(result.flatten())
    }

    /// The attachments of one container, by interface.
    ///
    /// # Errors
    /// [`StoreError`] when the file cannot be read.
    pub fn attachments_of(&self, container: &ContainerId) -> Result<Vec<Attachment>, StoreError> {
        self.attachments(&AttachmentFilter {
            container: Some(container),
            ..AttachmentFilter::default()
        })
    }

    /// The attachments that are for one object.
    ///
    /// # Errors
    /// [`StoreError`] when the file cannot be read.
    pub fn attachments_for(&self, object: &ObjectName) -> Result<Vec<Attachment>, StoreError> {
        self.attachments(&AttachmentFilter {
            object: Some(object),
            ..AttachmentFilter::default()
        })
    }

    /// The attachments that match, by container and interface. A container or an
    /// object is found by index; else every record is looked at.
    ///
    /// # Errors
    /// [`StoreError`] when the file cannot be read.
    pub fn attachments(
        &self,
        filter: &AttachmentFilter<'_>,
    ) -> Result<Vec<Attachment>, StoreError> {
        let mut sql = COLUMNS.to_owned();
        let mut values: Vec<&dyn ToSql> = Vec::new();
        let container = filter.container.map(ContainerId::as_str);
        let object = filter.object.map(ObjectName::as_str);
        let network = filter.network.map(NetworkName::as_str);
        let fields: [(&str, Option<&dyn ToSql>); 4] = [
            ("container", container.as_ref().map(|v| v as _)),
            ("object", object.as_ref().map(|v| v as _)),
            ("network", network.as_ref().map(|v| v as _)),
            ("state", filter.state.as_ref().map(|v| v as _)),
        ];
        for (column, value) in fields {
            let Some(value) = value else { continue };
            sql += if values.is_empty() {
                " WHERE "
            } else {
                " AND "
            };
            sql += column;
            sql += " = ?";
            values.push(value);
        }
        sql += " ORDER BY container, ifname, network";
        self.rows(&"attachments", &sql, values.as_slice(), read)
    }
}

impl Tx<'_> {
    /// Records an attachment as pending.
    ///
    /// # Errors
    /// [`StoreError::AttachmentExists`] with the state of the one recorded already.
    pub fn begin_attachment(&self, new: &NewAttachment<'_>) -> Result<(), StoreError> {
        let sql = "INSERT OR IGNORE INTO attachments(container, ifname, network, id, netns, object, state, pid, started, host_ifname, since, config, args, capabilities, resource, naming) VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
        let [container, ifname, network] = owner_columns(new.owner);
        let naming = new.naming.filter(|naming| !naming.is_empty());
        // Checked names and numbers are always written.
        let naming = naming.map(|naming| serde_json::to_string(naming).unwrap_or_default());
        let params = params![
            container,
            ifname,
            network,
            new.id,
            new.netns,
            new.object.map(ObjectName::as_str),
            AttachmentState::Pending,
            new.actor.map(|actor| actor.pid),
            new.actor.map(|actor| actor.started),
            new.host_ifname.map(IfName::as_str),
            now(),
            new.config,
            new.args,
            new.capability_args,
            new.resource.map(ResourceName::as_str),
            naming,
        ];
        if self.change("begin attachment of", new.owner, sql, params)? > 0 {
            return Ok(());
        }
        let state = self.first(
            new.owner,
            &["SELECT state FROM attachments", OWNER].concat(),
            owner_columns(new.owner),
            |row| row.get(0),
        )?;
        Err(StoreError::AttachmentExists {
            owner: Box::new(new.owner.clone()),
            state: state.unwrap_or(AttachmentState::Pending),
        })
    }

    /// Marks an attachment ready and keeps what its chain returned.
    ///
    /// # Errors
    /// [`StoreError::AttachmentMissing`] when it was not begun.
    pub fn attachment_ready(
        &self,
        owner: &Owner,
        result: &str,
        host_ifname: Option<&IfName>,
    ) -> Result<(), StoreError> {
        let sql = "UPDATE attachments SET state = ?, result = ?, host_ifname = ifnull(?, host_ifname), pid = NULL, started = NULL WHERE container = ? AND ifname = ? AND network = ?";
        let [container, ifname, network] = owner_columns(owner);
        let params = params![
            AttachmentState::Ready,
            result,
            host_ifname.map(IfName::as_str),
            container,
            ifname,
            network,
        ];
        self.mark(owner, AttachmentState::Ready, sql, params)
    }

    /// Notes what was heard of an attachment after it was made: an engine tells late which
    /// container an endpoint is for. Says whether there is such an attachment.
    ///
    /// # Errors
    /// [`StoreError`] when the file cannot be written.
    pub fn identify_attachment(
        &self,
        owner: &Owner,
        identity: &Identity<'_>,
    ) -> Result<bool, StoreError> {
        let sql = "UPDATE attachments SET id = ?, netns = ifnull(?, netns), object = ?, naming = ? WHERE container = ? AND ifname = ? AND network = ?";
        let [container, ifname, network] = owner_columns(owner);
        let naming = (!identity.naming.is_empty())
            .then(|| serde_json::to_string(identity.naming).unwrap_or_default());
        let params = params![
            identity.id,
            identity.netns,
            identity.object.map(ObjectName::as_str),
            naming,
            container,
            ifname,
            network,
        ];
        Ok(self.change("identify attachment of", owner, sql, params)? > 0)
    }

    /// Marks an attachment as being taken away by `actor`.
    ///
    /// # Errors
    /// [`StoreError::AttachmentMissing`] when there is no record.
    pub fn attachment_detaching(
        &self,
        owner: &Owner,
        actor: Option<Actor>,
    ) -> Result<(), StoreError> {
        let sql = "UPDATE attachments SET state = ?, pid = ?, started = ? WHERE container = ? AND ifname = ? AND network = ?";
        let [container, ifname, network] = owner_columns(owner);
        let params = params![
            AttachmentState::Detaching,
            actor.map(|actor| actor.pid),
            actor.map(|actor| actor.started),
            container,
            ifname,
            network,
        ];
        self.mark(owner, AttachmentState::Detaching, sql, params)
    }

    /// Claims an attachment for taking it away, when no living process works on it and
    /// it is still `as_expected`. Looking and marking are one step, so of several that
    /// try at once one has it.
    ///
    /// # Errors
    /// [`StoreError`] when the file cannot be read or written.
    pub fn claim_attachment(
        &self,
        owner: &Owner,
        actor: Actor,
        as_expected: impl FnOnce(&Attachment) -> bool,
    ) -> Result<Claim, StoreError> {
        let Some(record) = self.attachment(owner)? else {
            return Ok(Claim::Gone);
        };
        let others = record.actor.filter(|other| *other != actor);
        if let Some(other) = others.filter(Actor::is_live) {
            return Ok(Claim::Busy(other));
        }
        if !as_expected(&record) {
            return Ok(Claim::Changed);
        }
        self.attachment_detaching(owner, Some(actor))?;
        Ok(Claim::Taken)
    }

    fn mark(
        &self,
        owner: &Owner,
        wanted: AttachmentState,
        sql: &str,
        params: impl rusqlite::Params,
    ) -> Result<(), StoreError> {
        match self.change("mark attachment of", owner, sql, params)? {
            0 => Err(StoreError::AttachmentMissing {
                owner: Box::new(owner.clone()),
                wanted,
            }),
            _ => Ok(()),
        }
    }

    /// Removes the record; says whether there was one. Addresses, masquerades and
    /// ports have records of their own.
    ///
    /// # Errors
    /// [`StoreError`] when the file cannot be written.
    pub fn remove_attachment(&self, owner: &Owner) -> Result<bool, StoreError> {
        let sql = ["DELETE FROM attachments", OWNER].concat();
        let removed = self.change("remove attachment of", owner, &sql, owner_columns(owner))?;
        Ok(removed > 0)
    }
}
