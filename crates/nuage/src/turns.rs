//! One at a time: who works on a lease, or on a container's, waits for who does already.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::OwnedMutexGuard;

/// The turns that are taken or waited for.
#[derive(Debug, Default)]
pub(crate) struct Turns(Mutex<BTreeMap<String, Arc<tokio::sync::Mutex<()>>>>);

impl Turns {
    /// Waits for a turn at what has that name; it lasts as long as what is returned.
    pub(crate) async fn at(&self, name: &str) -> OwnedMutexGuard<()> {
        let turn = {
            let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            // What nobody holds or waits for is only here.
            all.retain(|_, turn| Arc::strong_count(turn) > 1);
            Arc::clone(all.entry(name.to_owned()).or_default())
        };
        turn.lock_owned().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering};

    #[tokio::test]
    async fn no_two_have_a_turn_at_once() {
        let turns = Arc::new(Turns::default());
        let inside = Arc::new(AtomicU32::new(0));
        let mut all = tokio::task::JoinSet::new();
        for index in 0..50 {
            let (turns, inside) = (Arc::clone(&turns), Arc::clone(&inside));
            all.spawn(async move {
                let _turn = turns.at("one").await;
                let _other = turns.at(&index.to_string()).await;
                assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0);
                tokio::task::yield_now().await;
                inside.fetch_sub(1, Ordering::SeqCst);
            });
        }
        while let Some(done) = all.join_next().await {
            done.unwrap();
        }
        drop(turns.at("last").await);
        assert_eq!(turns.0.lock().unwrap().len(), 1);
    }
}
