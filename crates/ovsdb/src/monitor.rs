//! Following tables: what is asked for, and the stream of what changes.
//!
//! The newest way that the server knows is used: `monitor_cond_since`, which goes on where it
//! was after a connection is lost; `monitor_cond`; `monitor` (`ovsdb-server(7)` and RFC 7047
//! sections 4.1.5 and 4.1.6). The reader sees no difference.

use crate::atom::ValueError;
use crate::client::Client;
use crate::error::OvsdbError;
use crate::operation::Condition;
use crate::replica::{Form, Origin, Replica, Update};
use crate::schema::Schema;
use serde_json::{Map, Value as Json, json};
use std::sync::Arc;
use tokio::sync::mpsc;
use uuid::Uuid;

/// Which changes of a table are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Select {
    /// The rows that are there at the beginning.
    pub initial: bool,
    /// New rows.
    pub insert: bool,
    /// Rows that change.
    pub modify: bool,
    /// Rows that go.
    pub delete: bool,
}

impl Select {
    /// Everything.
    pub const ALL: Self = Self {
        initial: true,
        insert: true,
        modify: true,
        delete: true,
    };
}

/// What of a table is followed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TablePlan {
    table: String,
    columns: Vec<String>,
    conditions: Vec<Condition>,
    select: Select,
}

impl TablePlan {
    /// All of a table.
    #[must_use]
    pub fn new(table: &str) -> Self {
        Self {
            table: table.to_owned(),
            columns: Vec::new(),
            conditions: Vec::new(),
            select: Select::ALL,
        }
    }

    /// These columns only.
    #[must_use]
    pub fn columns(mut self, names: &[&str]) -> Self {
        self.columns = names.iter().map(|&name| name.to_owned()).collect();
        self
    }

    /// Rows only for which **any** of these holds; here a server wants one, where an operation
    /// wants all. A row that comes to hold one is told as new, one that ceases to as gone.
    #[must_use]
    pub fn any_of(mut self, conditions: impl IntoIterator<Item = Condition>) -> Self {
        self.conditions = conditions.into_iter().collect();
        self
    }

    /// These changes only. What is then known of the table is not its content; conditions do
    /// not go with it, because servers tell their changes as differences.
    #[must_use]
    pub fn select(mut self, select: Select) -> Self {
        self.select = select;
        self
    }
}

/// What of a database is followed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MonitorPlan {
    tables: Vec<TablePlan>,
}

impl MonitorPlan {
    /// Nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// And this table.
    #[must_use]
    pub fn table(mut self, table: TablePlan) -> Self {
        self.tables.push(table);
        self
    }
}

/// The ways of the protocol, from the oldest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    Plain,
    Conditional,
    Since,
}

impl Level {
    pub(crate) const BEST: Self = Self::Since;

    pub(crate) fn method(self) -> &'static str {
        match self {
            Self::Plain => "monitor",
            Self::Conditional => "monitor_cond",
            Self::Since => "monitor_cond_since",
        }
    }

    pub(crate) fn lower(self) -> Option<Self> {
        match self {
            Self::Plain => None,
            Self::Conditional => Some(Self::Plain),
            Self::Since => Some(Self::Conditional),
        }
    }
}

/// A plan that fits the schema.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) schema: Arc<Schema>,
    tables: Vec<TablePlan>,
}

impl Plan {
    pub(crate) fn new(schema: Arc<Schema>, plan: MonitorPlan) -> Result<Self, OvsdbError> {
        for table in &plan.tables {
            let columns: Vec<&str> = table.columns.iter().map(String::as_str).collect();
            schema.require(&[(&table.table, &columns)])?;
        }
        let plan = Self {
            schema,
            tables: plan.tables,
        };
        plan.fits(plan.best())?;
        Ok(plan)
    }

    /// The newest way that the plan can be followed by: only the oldest tells whole rows of a
    /// table whose content is not known.
    pub(crate) fn best(&self) -> Level {
        match self.tables.iter().all(|table| table.select == Select::ALL) {
            true => Level::BEST,
            false => Level::Plain,
        }
    }

    /// Can the plan be followed in this way?
    pub(crate) fn fits(&self, level: Level) -> Result<(), OvsdbError> {
        let conditional = self
            .tables
            .iter()
            .find(|table| !table.conditions.is_empty());
        match conditional {
            Some(table) if level == Level::Plain => Err(OvsdbError::Plan {
                database: self.schema.name.clone(),
                table: table.table.clone(),
                why: "conditions need a server that knows monitor_cond, and all changes selected",
            }),
            _ => Ok(()),
        }
    }

    pub(crate) fn request(
        &self,
        id: u64,
        level: Level,
        last: Option<Uuid>,
    ) -> (&'static str, Json) {
        let mut tables = Map::new();
        for plan in &self.tables {
            let Select {
                initial,
                insert,
                modify,
                delete,
            } = plan.select;
            let mut request = json!({"select": {
                "initial": initial, "insert": insert, "modify": modify, "delete": delete}});
            if !plan.columns.is_empty() {
                request["columns"] = json!(plan.columns);
            }
            if level > Level::Plain && !plan.conditions.is_empty() {
                request["where"] = plan.conditions.iter().map(Condition::encode).collect();
            }
            tables.insert(plan.table.clone(), json!([request]));
        }
        let mut params = vec![json!(self.schema.name), json!(id), Json::Object(tables)];
        if level == Level::Since {
            params.push(json!(last.unwrap_or(Uuid::nil()).to_string()));
        }
        (level.method(), Json::Array(params))
    }

    /// The columns of a table that are told.
    pub(crate) fn columns(&self, table: &str) -> Vec<&str> {
        let plan = self.tables.iter().find(|plan| plan.table == table);
        match plan {
            Some(plan) if !plan.columns.is_empty() => {
                plan.columns.iter().map(String::as_str).collect()
            }
            _ => {
                let table = self.schema.tables.get(table);
                let columns = table.into_iter().flat_map(|table| table.columns.keys());
                columns.map(String::as_str).collect()
            }
        }
    }
}

/// What the task tells a reader.
#[derive(Debug)]
pub(crate) enum Event {
    Rows {
        origin: Origin,
        form: Form,
        last: Option<Uuid>,
        tables: Json,
    },
    Failed(OvsdbError),
}

impl Event {
    /// The answer to the request for a monitor.
    pub(crate) fn begin(level: Level, mut content: Json) -> Self {
        let rows = |origin, form, last, tables| Self::Rows {
            origin,
            form,
            last,
            tables,
        };
        match level {
            Level::Plain => rows(Origin::Reset, Form::Whole, None, content),
            Level::Conditional => rows(Origin::Reset, Form::Difference, None, content),
            Level::Since => {
                let origin = match content[0] == true {
                    true => Origin::Resumed,
                    false => Origin::Reset,
                };
                let last = transaction(&content[1]);
                rows(origin, Form::Difference, last, content[2].take())
            }
        }
    }

    /// A notification, and for which monitor; none if it is about something else.
    pub(crate) fn notice(method: &str, mut params: Json) -> Option<(u64, Self)> {
        let id = params.get(0)?.as_u64()?;
        let (form, last, at) = match method {
            "update" => (Form::Whole, None, 1),
            "update2" => (Form::Difference, None, 1),
            "update3" => (Form::Difference, transaction(params.get(1)?), 2),
            _ => return None,
        };
        let event = Self::Rows {
            origin: Origin::Live,
            form,
            last,
            tables: params.get_mut(at)?.take(),
        };
        Some((id, event))
    }

    pub(crate) fn last(&self) -> Option<Uuid> {
        match self {
            Self::Rows { last, .. } => *last,
            Self::Failed(_) => None,
        }
    }
}

fn transaction(json: &Json) -> Option<Uuid> {
    // The nil identity means that the server names none.
    let id = Uuid::try_parse(json.as_str()?).ok()?;
    (!id.is_nil()).then_some(id)
}

/// A stream of changes, and what is known by them. A lost connection does not end it.
///
/// A reader that is more than [`crate::Settings::max_behind`] updates behind does not hold
/// up anybody: the server is told to end the monitor, and when the reader has read what was
/// kept for it, it asks for the rest, which is what has changed since if the server knows
/// that, or all ([`Origin`]).
#[derive(Debug)]
pub struct Monitor {
    client: Client,
    plan: Arc<Plan>,
    replica: Replica,
    last: Option<Uuid>,
    source: Option<(u64, mpsc::Receiver<Event>)>,
}

impl Monitor {
    pub(crate) fn new(client: Client, plan: Arc<Plan>) -> Self {
        Self {
            client,
            plan,
            replica: Replica::default(),
            last: None,
            source: None,
        }
    }

    pub(crate) async fn subscribe(&mut self) -> Result<(), OvsdbError> {
        self.source = Some(self.client.watch(&self.plan, self.last).await?);
        Ok(())
    }

    /// The next update; it is in [`Monitor::replica`] already. It may be left and called again
    /// at any time.
    ///
    /// # Errors
    /// The server refuses the monitor, or told what is no update. What is known stays as it
    /// was; the next call begins anew with all of the content.
    pub async fn next(&mut self) -> Result<Update, OvsdbError> {
        loop {
            let Some((_, events)) = &mut self.source else {
                self.subscribe().await?;
                continue;
            };
            let event = events.recv().await;
            match event {
                None if self.client.is_closed() => return Err(OvsdbError::Closed),
                // This reader was too far behind.
                None => self.source = None,
                Some(Event::Failed(error)) => {
                    self.forget();
                    return Err(error);
                }
                Some(Event::Rows {
                    origin,
                    form,
                    last,
                    tables,
                }) => {
                    let applied = self.replica.apply(&self.plan, origin, form, &tables);
                    let update = applied.map_err(|e| self.nonsense(e))?;
                    self.last = last;
                    if origin != Origin::Live || !update.changes.is_empty() {
                        return Ok(update);
                    }
                }
            }
        }
    }

    /// What is known now, by the updates that were read.
    #[must_use]
    pub fn replica(&self) -> &Replica {
        &self.replica
    }

    fn nonsense(&mut self, error: ValueError) -> OvsdbError {
        self.forget();
        OvsdbError::value("monitor", self.client.endpoints())(error)
    }

    /// The next call begins anew.
    fn forget(&mut self) {
        self.last = None;
        if let Some((id, _)) = self.source.take() {
            self.client.unwatch(id);
        }
    }
}

impl Drop for Monitor {
    fn drop(&mut self) {
        self.forget();
    }
}
