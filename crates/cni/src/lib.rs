//! The Container Network Interface: types of every specification version, plugin side protocol, runtime.
//!
//! Owns the words of the protocol and nothing of the kernel: [`CniResult`],
//! [`CniError`] and [`NetConf`] are its values, [`serve`] is how a program
//! answers as a plugin, [`Runtime`] how a list of plugins is run.
#![forbid(unsafe_code)]

pub mod conf;
mod error;
mod json;
pub mod plugin;
pub mod result;
pub mod runtime;
mod version;

pub use conf::{ConfList, NetConf, PluginEntry};
pub use error::{CniError, Code};
pub use plugin::{Builtins, Call, CniArgs, Command, NoBuiltins, Plugin, PluginIo, serve};
pub use result::{CniResult, Dns, Interface, IpConfig, ResultError, Route};
pub use runtime::{
    AttachmentCache, AttachmentParams, CacheError, CachedAttachment, Runtime, RuntimeError,
    delegate,
};
pub use version::{SpecVersion, UnknownVersion};

/// The most bytes that a configuration or a plugin's answer may have: 8 MiB.
pub const MAX_INPUT: u64 = 8 << 20;
