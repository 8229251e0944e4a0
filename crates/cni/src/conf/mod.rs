//! Configurations: the one a plugin is given, and the lists that files hold.

mod fault;
mod list;
mod load;
mod net;

pub use fault::{Broken, ConfError, Fault, FaultReason, Origin};
pub(crate) use list::is_program_name;
pub use list::{ConfList, PluginEntry};
pub use load::{ConfDirectory, load_directory, load_file};
pub use net::{AttachmentId, NetConf};
pub(crate) use net::{network_name, version_text};
#[cfg(test)]
mod tests;
