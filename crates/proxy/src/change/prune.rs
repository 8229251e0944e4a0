//! The answer to `POST /containers/prune`.

use serde_json::Value;

/// The ids of the containers that were removed.
pub(crate) fn removed(body: &[u8]) -> Vec<String> {
    let answer: Value = serde_json::from_slice(body).unwrap_or_default();
    let ids = answer.get("ContainersDeleted").and_then(Value::as_array);
    let ids = ids.into_iter().flatten();
    ids.filter_map(Value::as_str).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_names_them_or_is_null() {
        let body = br#"{"ContainersDeleted":["a","b"],"SpaceReclaimed":7}"#;
        assert_eq!(removed(body), ["a", "b"]);
        assert!(removed(br#"{"ContainersDeleted":null}"#).is_empty());
        assert!(removed(b"nonsense").is_empty());
    }
}
