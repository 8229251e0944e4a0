//! Taking a port away.

use super::change::{Change, still};
use super::plug::take_from;
use super::{ENTITIES, PORTS, Vrs, VrsError};
use fairlead_ovsdb::{Condition, Mutation, OpResult, Operation};

impl Vrs {
    /// Takes a port away: from the bridge, its row, and its name from its entity's row, which
    /// goes with the last one. What is not there is no error, not even the bridge, so that it
    /// may be repeated.
    ///
    /// # Errors
    /// The database refuses; then nothing has changed. Or there is no answer, and it is as
    /// [`VrsError::may_have_happened`] says.
    pub async fn remove(&self, port: &str) -> Result<(), VrsError> {
        let named = || vec![Condition::eq("name", port)];
        let having = || vec![Condition::includes("ports", port)];
        let reads = [
            Operation::select("Port", named()).columns(&["_uuid"]),
            Operation::select(PORTS, named()).columns(&["_uuid"]),
            Operation::select(ENTITIES, having()).columns(&["_uuid", "ports"]),
        ];
        let plan = |found: &[OpResult]| {
            let [ports, rows, owners] = found else {
                return Ok(Change {
                    if_still: Vec::new(),
                    then: Vec::new(),
                    on_bridge: false,
                });
            };
            let mut then: Vec<Operation> = ports
                .rows()
                .iter()
                .filter_map(|row| row.uuid("_uuid"))
                .map(|uuid| {
                    // Of this bridge only: another's port of this name is not ours.
                    let on = [
                        Condition::eq("name", self.bridge.as_str()),
                        Condition::includes("ports", uuid),
                    ];
                    Operation::mutate("Bridge", on, [Mutation::delete("ports", uuid)])
                })
                .collect();
            if !rows.rows().is_empty() {
                then.push(Operation::delete(PORTS, named()));
            }
            then.extend(owners.rows().iter().filter_map(|row| take_from(row, port)));
            Ok(Change {
                if_still: vec![
                    still("Port", named(), &["_uuid"], ports.rows()),
                    still(ENTITIES, having(), &["_uuid", "ports"], owners.rows()),
                ],
                then,
                on_bridge: false,
            })
        };
        self.change("take away port", port, &reads, plan).await
    }
}
