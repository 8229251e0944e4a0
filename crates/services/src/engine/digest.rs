//! Telling two declarations apart by a short text.

use serde::Serialize;

/// A digest of what something is made from: 64 bits of FNV-1a over its JSON, which tell
/// two declarations of one person from each other and need no more than that.
pub(super) fn digest(declared: &impl Serialize) -> String {
    // What is declared has only maps with text keys, so it can always be written.
    let text = serde_json::to_vec(declared).unwrap_or_default();
    let hash = text.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("{hash:016x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_published_function() {
        // Test vectors of FNV-1a; JSON puts the text in quotes, a number stands bare.
        assert_eq!(digest(&1), "af63ac4c86019afc");
        assert_ne!(digest(&"a"), digest(&"b"));
    }
}
