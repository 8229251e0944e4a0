//! The login: a key that the VSD gives for the password and that is good for a day. It is renewed
//! before its end, and once when the VSD refuses it. However many calls want a key at
//! once, one of them logs in and the others wait for what it gets.

use super::call::Failure;
use super::resource::Me;
use reqwest::header::HeaderValue;
use serde_json::Value;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::sync::Mutex;
use tokio::time::Instant;

/// What a login gives.
pub(super) struct Key {
    /// The header of further requests.
    pub(super) authorization: HeaderValue,
    /// Who is logged in.
    pub(super) me: Me,
    /// From when on it is not used any more, if the VSD says how long it is good.
    pub(super) until: Option<Instant>,
}

impl Key {
    fn is_good(&self) -> bool {
        self.until.is_none_or(|until| Instant::now() < until)
    }
}

/// The key there is, behind a lock that is held during a login.
#[derive(Default)]
pub(super) struct Session {
    slot: Mutex<Slot>,
    /// How many logins have come to an end.
    ended: AtomicU64,
}

#[derive(Default)]
struct Slot {
    key: Option<Arc<Key>>,
    failure: Option<Failure>,
}

impl Session {
    /// A key that is good and is not `refused`, which the VSD did not take. `login` is awaited
    /// if there is none.
    pub(super) async fn key<F>(
        &self,
        refused: Option<&Arc<Key>>,
        login: F,
    ) -> Result<Arc<Key>, Failure>
    where
        F: Future<Output = Result<Key, Failure>>,
    {
        let ended = self.ended.load(Ordering::Acquire);
        let mut slot = self.slot.lock().await;
        let other = |key: &Arc<Key>| refused.is_none_or(|refused| !Arc::ptr_eq(refused, key));
        if let Some(key) = slot.key.as_ref().filter(|key| key.is_good() && other(key)) {
            return Ok(Arc::clone(key));
        }
        // A login that failed while this call waited for it has failed for this call too: else a
        // hundred calls would try one after the other, each with its own wait.
        if let Some(failure) = &slot.failure
            && self.ended.load(Ordering::Acquire) != ended
        {
            return Err(failure.clone());
        }
        slot.key = None;
        let got = login.await;
        self.ended.fetch_add(1, Ordering::AcqRel);
        match got {
            Ok(key) => {
                let key = Arc::new(key);
                *slot = Slot {
                    key: Some(Arc::clone(&key)),
                    failure: None,
                };
                Ok(key)
            }
            Err(failure) => {
                slot.failure = Some(failure.clone());
                Err(failure)
            }
        }
    }
}

/// How long a key is used that is good until `expiry` (milliseconds since 1970, a number or a text):
/// up to five minutes before, or a tenth of its life if that is less. None where the VSD does not
/// say, or its clock is so far off that it says nonsense: then it is used until it is refused.
pub(super) fn used_for(expiry: Option<&Value>, now: SystemTime) -> Option<Duration> {
    let expiry = expiry?;
    let millis = expiry
        .as_u64()
        .or_else(|| expiry.as_str()?.trim().parse().ok())?;
    let end = UNIX_EPOCH.checked_add(Duration::from_millis(millis))?;
    let life = end
        .duration_since(now)
        .ok()
        .filter(|life| !life.is_zero())?;
    let margin = Duration::from_secs(300).min(life / 10);
    Some(life - margin)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_key_is_renewed_before_its_end() {
        let now = UNIX_EPOCH + Duration::from_secs(1_000_000);
        let used = |millis: u64| used_for(Some(&json!(1_000_000_000 + millis)), now);
        let day = 24 * 3600 * 1000;
        assert_eq!(used(day), Some(Duration::from_millis(day - 300_000)));
        assert_eq!(used(10_000), Some(Duration::from_millis(9_000)));
        assert_eq!(
            used_for(Some(&json!("1000001000")), now),
            Some(Duration::from_millis(900))
        );
        for nonsense in [
            json!(0),
            json!(null),
            json!(-1),
            json!("x"),
            json!(u64::MAX),
            json!([]),
        ] {
            let used = used_for(Some(&nonsense), now);
            assert!(
                used.is_none_or(|used| used > Duration::from_secs(3600)),
                "{nonsense}"
            );
        }
        assert_eq!(used_for(None, now), None);
        assert_eq!(used(0), None);
    }
}
