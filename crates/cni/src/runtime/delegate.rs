//! Delegation: a plugin that has another do a part of its work, as `bridge` has
//! `host-local` give the addresses (CNI specification, section 4).

use super::invoke::Invoker;
use crate::{Builtins, Call, CniError, CniResult, Command};

/// Has the plugin `plugin_type` do `command` with the call's own configuration
/// and parameters: in process when it is built in, else as a program of the
/// call's path, at most for the call's time limit. ADD has a result, the other
/// commands have none.
///
/// # Errors
/// The delegated plugin's own error unchanged; what kept it from answering as
/// another.
pub fn delegate(
    call: &Call,
    command: Command,
    plugin_type: &str,
    builtins: &dyn Builtins,
) -> Result<Option<CniResult>, CniError> {
    let invoker = Invoker {
        builtins,
        prefer_external: false,
        own_group: false,
    };
    invoker
        .invoke(call, command, plugin_type)
        .map_err(|e| CniError::from(&e))
}
