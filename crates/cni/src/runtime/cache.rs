//! What the runtime keeps of an attachment between ADD and DEL.

use crate::{AttachmentParams, CniResult, ResultError};
use fairlead_types::{NetworkName, Owner};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::path::PathBuf;

/// Why a cache failed; its own error.
pub type CacheError = Box<dyn std::error::Error + Send + Sync>;

/// Everything DEL and CHECK need to know of an ADD.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CachedAttachment {
    /// The key.
    pub owner: Owner,
    /// The path of the container's namespace.
    pub netns: Option<PathBuf>,
    /// The network's configuration as JSON text, with the plugins of files
    /// beside it.
    pub config: Vec<u8>,
    /// `CNI_ARGS`.
    pub args: Vec<(String, String)>,
    /// What the runtime gave for capabilities.
    pub capability_args: Map<String, Value>,
    /// The result of the whole chain in the newest version's form; none from the
    /// start of ADD until its end.
    pub result: Option<Value>,
}

impl CachedAttachment {
    /// The result, when ADD came to its end.
    ///
    /// # Errors
    /// [`ResultError`] when the record is damaged.
    pub fn result(&self) -> Result<Option<CniResult>, ResultError> {
        self.result.as_ref().map(CniResult::from_json).transpose()
    }

    /// The parameters of the ADD.
    #[must_use]
    pub fn params(&self) -> AttachmentParams {
        AttachmentParams {
            container: self.owner.container.clone(),
            ifname: self.owner.ifname.clone(),
            netns: self.netns.clone(),
            args: self.args.clone(),
            capability_args: self.capability_args.clone(),
        }
    }
}

/// Where attachments are kept. Each method is one whole step.
pub trait AttachmentCache {
    /// Keeps an attachment; one with the same owner is replaced.
    ///
    /// # Errors
    /// The cache's own.
    fn store(&self, attachment: &CachedAttachment) -> Result<(), CacheError>;

    /// The attachment of an owner, when there is one.
    ///
    /// # Errors
    /// The cache's own.
    fn load(&self, owner: &Owner) -> Result<Option<CachedAttachment>, CacheError>;

    /// Forgets an attachment; one that is not there is no error.
    ///
    /// # Errors
    /// The cache's own.
    fn remove(&self, owner: &Owner) -> Result<(), CacheError>;

    /// Every attachment of a network.
    ///
    /// # Errors
    /// The cache's own.
    fn list(&self, network: &NetworkName) -> Result<Vec<CachedAttachment>, CacheError>;
}
