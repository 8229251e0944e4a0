//! An engine that remembers whether it was reached.

use fairlead_shared::{
    Committed, Entry, LeaseId, Revision, SharedError, SharedState, Snapshot, Txn, Watch,
};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

/// Passes every call on, and notes since when none was answered.
#[derive(Debug, Clone)]
pub(crate) struct Counted {
    engine: Arc<dyn SharedState>,
    silent: Arc<Mutex<Option<SystemTime>>>,
}

impl Counted {
    pub(crate) fn new(engine: Arc<dyn SharedState>) -> Self {
        Self {
            engine,
            silent: Arc::default(),
        }
    }

    /// Since when the engine has not answered; nothing if the last call was answered.
    pub(crate) fn silent_since(&self) -> Option<SystemTime> {
        *self.silent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note<T>(&self, result: Result<T, SharedError>) -> Result<T, SharedError> {
        let mut silent = self.silent.lock().unwrap_or_else(PoisonError::into_inner);
        match &result {
            Err(e) if e.is_unreachable() => {
                silent.get_or_insert_with(SystemTime::now);
            }
            _ => *silent = None,
        }
        result
    }
}

impl SharedState for Counted {
    fn get(&self, key: &str) -> Result<Option<Entry>, SharedError> {
        self.note(self.engine.get(key))
    }

    fn range(&self, prefix: &str) -> Result<Snapshot, SharedError> {
        self.note(self.engine.range(prefix))
    }

    fn keys(&self, prefix: &str) -> Result<Vec<String>, SharedError> {
        self.note(self.engine.keys(prefix))
    }

    fn count(&self, prefix: &str) -> Result<u64, SharedError> {
        self.note(self.engine.count(prefix))
    }

    fn put(
        &self,
        key: &str,
        value: &[u8],
        lease: Option<LeaseId>,
    ) -> Result<Revision, SharedError> {
        self.note(self.engine.put(key, value, lease))
    }

    fn delete(&self, key: &str) -> Result<bool, SharedError> {
        self.note(self.engine.delete(key))
    }

    fn commit(&self, txn: &Txn) -> Result<Committed, SharedError> {
        self.note(self.engine.commit(txn))
    }

    fn watch(&self, prefix: &str, after: Revision) -> Result<Watch, SharedError> {
        self.note(self.engine.watch(prefix, after))
    }

    fn grant(&self, ttl: Duration) -> Result<LeaseId, SharedError> {
        self.note(self.engine.grant(ttl))
    }

    fn keep_alive(&self, lease: LeaseId) -> Result<Duration, SharedError> {
        self.note(self.engine.keep_alive(lease))
    }

    fn revoke(&self, lease: LeaseId) -> Result<(), SharedError> {
        self.note(self.engine.revoke(lease))
    }
}
