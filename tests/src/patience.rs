//! Waiting for something that takes an unknown, short time.

use std::fmt::Debug;
use std::time::{Duration, Instant};

/// How long a test waits for what must come: `FAIRLEAD_PATIENCE` in seconds, or 10.
///
/// # Panics
/// If the variable is not a number.
#[must_use]
pub fn patience() -> Duration {
    let seconds = std::env::var("FAIRLEAD_PATIENCE").map_or(10, |text| {
        text.parse()
            .unwrap_or_else(|_| panic!("FAIRLEAD_PATIENCE is '{text}'; give whole seconds"))
    });
    Duration::from_secs(seconds)
}

/// Asks again until the answer is `Ok`, and returns it.
///
/// # Panics
/// With the last `Err`, once `limit` has passed.
#[track_caller]
pub fn eventually<T, E: Debug>(limit: Duration, mut ask: impl FnMut() -> Result<T, E>) -> T {
    let start = Instant::now();
    loop {
        match ask() {
            Ok(answer) => return answer,
            Err(error) => assert!(
                start.elapsed() < limit,
                "not after {limit:?}; the last answer was {error:?}"
            ),
        }
        // A short rest between two questions; what is waited for is the answer.
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn asks_until_it_is_so() {
        let mut left = 3;
        let answer = eventually(Duration::from_secs(5), || {
            left -= 1;
            if left == 0 { Ok("now") } else { Err(left) }
        });
        assert_eq!(answer, "now");
    }

    #[test]
    #[should_panic(expected = "the last answer was \"no\"")]
    fn gives_up_with_the_last_answer() {
        eventually(Duration::from_millis(50), || Err::<(), _>("no"));
    }
}
