//! Plugging a port in, and giving its entity another name.

use super::change::{Change, still};
use super::entity::{Entity, Port};
use super::{ENTITIES, PORTS, Vrs, VrsError};
use fairlead_ovsdb::{Atom, Condition, Mutation, OpResult, Operation, Row, Uuid, Value};

/// What an entity's rows are compared by.
const OWNED: &[&str] = &["_uuid", "vm_uuid", "ports"];

impl Vrs {
    /// Plugs a port in: it is on the bridge, with its row and that of its entity, which may
    /// have others. What another port of this name left is replaced; a port that is as it
    /// should be is not touched. It may be repeated.
    ///
    /// Where the rows tell the controller everything, the event follows in a transaction of
    /// its own, as such a controller expects a change.
    ///
    /// # Errors
    /// The bridge is not there, or the database refuses; then nothing has changed. Or there is
    /// no answer, and it is as [`VrsError::may_have_happened`] says.
    pub async fn add(&self, entity: &Entity, port: &Port) -> Result<(), VrsError> {
        if entity.uuid.is_empty() || entity.name.is_empty() {
            return Err(VrsError::Empty {
                uuid: entity.uuid.clone(),
                name: entity.name.clone(),
            });
        }
        let name = port.name.as_str();
        let reads = [
            Operation::select("Bridge", [Condition::eq("name", self.bridge.as_str())])
                .columns(&["_uuid", "ports"]),
            Operation::select("Port", [Condition::eq("name", name)])
                .columns(&["_uuid", "interfaces"]),
            Operation::select("Interface", [Condition::eq("name", name)])
                .columns(&["_uuid", "external_ids"]),
            Operation::select(PORTS, [Condition::eq("name", name)]),
            Operation::select(ENTITIES, [Condition::eq("vm_uuid", &entity.uuid)]),
            Operation::select(ENTITIES, [Condition::includes("ports", name)]).columns(OWNED),
        ];
        let plan = |found: &[OpResult]| self.plan_add(entity, port, found);
        self.change("plug in port", name, &reads, plan).await?;
        let Some(event) = entity.afterwards() else {
            return Ok(());
        };
        let told = Operation::update(ENTITIES, [Condition::eq("vm_uuid", &entity.uuid)], event);
        self.transact("tell the start of", &entity.uuid, &[told])
            .await?;
        Ok(())
    }

    fn plan_add(
        &self,
        entity: &Entity,
        port: &Port,
        found: &[OpResult],
    ) -> Result<Change, VrsError> {
        let [bridge, ports, interfaces, rows, own, owners] = found else {
            return Err(self.no_bridge());
        };
        let Some(bridge) = bridge.rows().first() else {
            return Err(self.no_bridge());
        };
        let name = port.name.as_str();
        let named = || vec![Condition::eq("name", name)];
        let mut change = Change {
            if_still: vec![
                self.bridge_is_there(),
                still("Port", named(), &["_uuid", "interfaces"], ports.rows()),
                still(PORTS, named(), &["_uuid"], rows.rows()),
                still(
                    ENTITIES,
                    vec![Condition::eq("vm_uuid", &entity.uuid)],
                    OWNED,
                    own.rows(),
                ),
                still(
                    ENTITIES,
                    vec![Condition::includes("ports", name)],
                    OWNED,
                    owners.rows(),
                ),
            ],
            then: Vec::new(),
            on_bridge: true,
        };
        let ids = port.external_ids(entity);
        if !is_plugged(bridge, ports.rows(), interfaces.rows(), &ids) {
            change
                .then
                .extend(self.put_on_bridge(name, ports.rows(), ids));
        }
        let wanted = port.row(entity.activation, &self.bridge);
        if !matches!(rows.rows(), [row] if lacks(row, &wanted).is_none()) {
            change.then.push(Operation::delete(PORTS, named()));
            // What the controller said of the port that was is not for this one.
            let unresolved = ["ip_addr", "subnet_mask", "gateway"];
            let wanted = unresolved
                .iter()
                .fold(wanted, |row, name| row.with(name, ""));
            change.then.push(Operation::insert(PORTS, wanted));
        }
        let others = owners.rows().iter();
        let others = others.filter(|row| row.text("vm_uuid") != Some(&entity.uuid));
        change
            .then
            .extend(others.flat_map(|row| take_from(row, name)));
        change.then.extend(give_to(entity, name, own.rows()));
        Ok(change)
    }

    fn put_on_bridge(&self, name: &str, stale: &[Row], ids: Value) -> Vec<Operation> {
        let mut operations = Vec::new();
        for port in stale.iter().filter_map(|row| row.uuid("_uuid")) {
            // It may be on another bridge, and no two ports have one name.
            operations.push(Operation::mutate(
                "Bridge",
                [Condition::includes("ports", port)],
                [Mutation::delete("ports", port)],
            ));
        }
        let interface = Row::new().with("name", name).with("external_ids", ids);
        let port = Row::new()
            .with("name", name)
            .with("interfaces", Value::named("interface"));
        operations.push(Operation::insert_as("Interface", "interface", interface));
        operations.push(Operation::insert_as("Port", "port", port));
        operations.push(Operation::mutate(
            "Bridge",
            [Condition::eq("name", self.bridge.as_str())],
            [Mutation::insert("ports", Value::named("port"))],
        ));
        operations
    }

    /// Gives the entity that has this port another identity and name, as when an engine tells
    /// them after the port was made. All its ports go with it; where an entity of that identity
    /// is there already, they are added to it. It may be repeated.
    ///
    /// # Errors
    /// No entity has the port, or the database refuses; then nothing has changed.
    pub async fn rename(&self, port: &str, uuid: &str, name: &str) -> Result<(), VrsError> {
        if uuid.is_empty() || name.is_empty() {
            return Err(VrsError::Empty {
                uuid: uuid.to_owned(),
                name: name.to_owned(),
            });
        }
        let reads = [
            Operation::select(ENTITIES, [Condition::includes("ports", port)]),
            Operation::select(ENTITIES, [Condition::eq("vm_uuid", uuid)]),
            Operation::select("Interface", []).columns(&["_uuid", "name", "external_ids"]),
        ];
        let plan = |found: &[OpResult]| plan_rename(port, uuid, name, found);
        self.change("rename the entity of port", port, &reads, plan)
            .await
    }
}

/// Is the port on this bridge, with one interface that says what it should?
fn is_plugged(bridge: &Row, ports: &[Row], interfaces: &[Row], ids: &Value) -> bool {
    let ([port], [interface]) = (ports, interfaces) else {
        return false;
    };
    let on_bridge = |port: Uuid| bridge.uuids("ports").any(|on| on == port);
    port.uuid("_uuid").is_some_and(on_bridge)
        && port.uuid("interfaces").is_some()
        && port.uuid("interfaces") == interface.uuid("_uuid")
        && interface.get("external_ids") == Some(ids)
}

/// The columns that the row has not as wanted. What is wanted empty or 0 is the switch's to
/// fill, and so are more pairs of a map.
fn lacks(row: &Row, wanted: &Row) -> Option<Row> {
    let empty = |atom: &Atom| atom.as_str() == Some("") || atom.as_integer() == Some(0);
    let pair_is_there = |column: &str, key: &Atom, value: &Atom| {
        let mut there = row.get(column).into_iter().flat_map(Value::pairs);
        empty(value) || there.any(|(k, v)| k == key && v == value)
    };
    let is_there = |column: &str, value: &Value| match value {
        Value::Atom(atom) => empty(atom) || row.get(column) == Some(value),
        Value::Set(_) => row.get(column) == Some(value),
        Value::Map(pairs) => pairs.iter().all(|(k, v)| pair_is_there(column, k, v)),
    };
    let lacking = wanted
        .columns()
        .filter(|(name, value)| !is_there(name, value));
    let lacking = lacking.fold(Row::new(), |row, (name, value)| {
        row.with(name, value.clone())
    });
    (lacking != Row::new()).then_some(lacking)
}

/// Takes a port out of an entity's row, and the row away with its last one.
pub(super) fn take_from(row: &Row, port: &str) -> Option<Operation> {
    let is = [Condition::eq("_uuid", row.uuid("_uuid")?)];
    Some(match row.texts("ports").any(|other| other != port) {
        true => Operation::mutate(ENTITIES, is, [Mutation::delete("ports", port)]),
        false => Operation::delete(ENTITIES, is),
    })
}

fn give_to(entity: &Entity, port: &str, own: &[Row]) -> Vec<Operation> {
    let Some(row) = own.first() else {
        return vec![Operation::insert(ENTITIES, entity.row(port))];
    };
    let is = || [Condition::eq("vm_uuid", &entity.uuid)];
    let mut operations = Vec::new();
    if !row.texts("ports").any(|there| there == port) {
        let more = [Mutation::insert("ports", port)];
        operations.push(Operation::mutate(ENTITIES, is(), more));
    }
    if let Some(names) = lacks(row, &entity.names()) {
        operations.push(Operation::update(ENTITIES, is(), names));
    }
    operations
}

fn plan_rename(port: &str, uuid: &str, name: &str, found: &[OpResult]) -> Result<Change, VrsError> {
    let none = || VrsError::NoEntity {
        port: port.to_owned(),
    };
    let [of_port, of_uuid, interfaces] = found else {
        return Err(none());
    };
    let entity = of_port.rows().first().ok_or_else(none)?;
    let row = entity.uuid("_uuid").ok_or_else(none)?;
    let named = Row::new().with("vm_uuid", uuid).with("vm_name", name);
    let mut then = Vec::new();
    match of_uuid.rows().first() {
        Some(there) if there.uuid("_uuid") != Some(row) => {
            then.push(Operation::delete(ENTITIES, [Condition::eq("_uuid", row)]));
            let ports = Value::set(entity.texts("ports"));
            let is = || [Condition::eq("vm_uuid", uuid)];
            let more = [Mutation::insert("ports", ports)];
            then.push(Operation::mutate(ENTITIES, is(), more));
            then.push(Operation::update(ENTITIES, is(), named));
        }
        _ if lacks(entity, &named).is_none() => {}
        _ => then.push(Operation::update(
            ENTITIES,
            [Condition::eq("_uuid", row)],
            named,
        )),
    }
    for interface in interfaces.rows() {
        let is_its = |own: &str| interface.text("name") == Some(own);
        if entity.texts("ports").any(is_its) {
            then.extend(rename_interface(interface, uuid, name));
        }
    }
    let if_still = vec![
        still(
            ENTITIES,
            vec![Condition::includes("ports", port)],
            OWNED,
            of_port.rows(),
        ),
        still(
            ENTITIES,
            vec![Condition::eq("vm_uuid", uuid)],
            OWNED,
            of_uuid.rows(),
        ),
    ];
    Ok(Change {
        if_still,
        then,
        on_bridge: false,
    })
}

/// An interface tells the names under the keys that it has.
fn rename_interface(interface: &Row, uuid: &str, name: &str) -> Option<Operation> {
    let ids = interface.get("external_ids")?;
    let new = ids.pairs().map(|(key, value)| {
        let new = match key.as_str() {
            Some("vm_uuid" | "vm-uuid") => uuid.into(),
            Some("vm_name" | "vm-name") => name.into(),
            _ => value.clone(),
        };
        (key.clone(), new)
    });
    let new = Value::map(new);
    (new != *ids).then_some(())?;
    Some(Operation::update(
        "Interface",
        [Condition::eq("_uuid", interface.uuid("_uuid")?)],
        Row::new().with("external_ids", new),
    ))
}
