//! Keys and prefixes.

use crate::SharedError;

/// The greatest length of a key, in bytes.
pub(crate) const MAX: usize = 4096;

/// Refuses what no engine takes as a key.
///
/// # Errors
/// [`SharedError::BadKey`].
pub(crate) fn check(key: &str) -> Result<(), SharedError> {
    let reason = if key.is_empty() {
        "it is empty"
    } else if key.len() > MAX {
        "it is longer than 4096 bytes"
    } else {
        return Ok(());
    };
    Err(SharedError::BadKey {
        key: key.chars().take(64).collect(),
        reason,
    })
}

/// The first key after all that begin with `prefix`, none where nothing is after
/// them.
pub(crate) fn end_of(prefix: &[u8]) -> Option<Vec<u8>> {
    let last = prefix.iter().rposition(|byte| *byte < u8::MAX)?;
    let mut end = prefix[..=last].to_vec();
    end[last] += 1;
    Some(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_prefix_is_after_all_that_have_it() {
        assert_eq!(end_of(b""), None);
        assert_eq!(end_of(&[0xff, 0xff]), None);
        assert_eq!(end_of(b"nodes/"), Some(b"nodes0".to_vec()));
        assert_eq!(end_of(&[b'a', 0xff]), Some(b"b".to_vec()));
        // Not text any more, and still in its place.
        assert_eq!(end_of("é".as_bytes()), Some(vec![0xc3, 0xaa]));
    }

    #[test]
    fn a_key_is_not_empty_and_not_endless() {
        assert!(check("").is_err());
        assert!(check(&"x".repeat(MAX)).is_ok());
        let error = check(&"x".repeat(MAX + 1)).unwrap_err().to_string();
        assert!(error.len() < 200, "{error}");
    }
}
