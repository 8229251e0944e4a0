//! Waiting for what must come.

use anyhow::{Result, bail};
use std::time::{Duration, Instant};

/// The longest wait for anything: what takes longer is a failure.
pub(super) const LIMIT: Duration = Duration::from_secs(60);

/// Asks every `pause` until it is so, and returns how long that took since `begun`.
///
/// # Errors
/// Those of `ask`; that it is not so after [`LIMIT`].
pub(super) fn until(
    what: &str,
    begun: Instant,
    pause: Duration,
    mut ask: impl FnMut() -> Result<bool>,
) -> Result<Duration> {
    loop {
        if ask()? {
            return Ok(begun.elapsed());
        }
        if begun.elapsed() > LIMIT {
            bail!("{what}: not within {} s", LIMIT.as_secs());
        }
        std::thread::sleep(pause);
    }
}
