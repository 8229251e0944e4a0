//! What a transaction answers, as RFC 7047 section 4.1.3 has it.

use crate::error::OvsdbError;
use crate::operation::Operation;
use crate::row::Row;
use serde_json::Value as Json;
use uuid::Uuid;

/// What one operation did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OpResult {
    count: u64,
    uuid: Option<Uuid>,
    rows: Vec<Row>,
}

impl OpResult {
    /// How many rows an update, a mutate or a delete found; 0 of other operations.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The row that an insert made.
    #[must_use]
    pub fn uuid(&self) -> Option<Uuid> {
        self.uuid
    }

    /// What a select found.
    #[must_use]
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// The same, to keep.
    #[must_use]
    pub fn into_rows(self) -> Vec<Row> {
        self.rows
    }

    fn decode(json: &Json) -> Result<Self, String> {
        let rows = json["rows"].as_array().map_or(&[][..], Vec::as_slice);
        let rows: Result<Vec<Row>, _> = rows.iter().map(Row::decode).collect();
        let uuid = match &json["uuid"] {
            Json::Null => None,
            json => {
                let id = json[1].as_str().and_then(|id| Uuid::try_parse(id).ok());
                Some(id.ok_or_else(|| format!("'{json}' is no identity of a row"))?)
            }
        };
        Ok(Self {
            count: json["count"].as_u64().unwrap_or(0),
            uuid,
            rows: rows.map_err(|e| e.to_string())?,
        })
    }
}

/// Reads the whole answer. It is a success only if there are just as many results as there
/// are operations and none is an error: what fails at the commit is one more element, after
/// results that all look well.
pub(crate) fn decode(
    endpoint: &str,
    database: &str,
    operations: &[Operation],
    answer: &Json,
) -> Result<Vec<OpResult>, OvsdbError> {
    let wrong = |what: String| OvsdbError::answer("transact", endpoint, what);
    let results = answer
        .as_array()
        .ok_or_else(|| wrong(format!("'{answer}' is no list")))?;
    for (index, result) in results.iter().enumerate() {
        let Some(error) = result.get("error").filter(|error| !error.is_null()) else {
            continue;
        };
        let error = error
            .as_str()
            .map_or_else(|| error.to_string(), str::to_owned);
        let details = result["details"].as_str().map(str::to_owned);
        let database = database.to_owned();
        return Err(match operations.get(index) {
            None => OvsdbError::Commit {
                database,
                error,
                details,
            },
            Some(operation) => OvsdbError::Operation {
                database,
                index,
                object: object(operation),
                error,
                details,
            },
        });
    }
    let (found, asked) = (results.len(), operations.len());
    if found != asked {
        return Err(wrong(format!("{found} results for {asked} operations")));
    }
    let results = results.iter().enumerate();
    let decoded = results.map(|(index, result)| match result.is_object() {
        true => OpResult::decode(result).map_err(|what| format!("result {index}: {what}")),
        false => Err(format!("result {index} is '{result}'")),
    });
    decoded.collect::<Result<_, _>>().map_err(wrong)
}

fn object(operation: &Operation) -> String {
    match operation.table() {
        Some(table) => format!("{} of {table}", operation.verb()),
        None => operation.verb().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(answer: &Json) -> Result<Vec<OpResult>, OvsdbError> {
        let operations = [
            Operation::insert("T", Row::new()),
            Operation::delete("U", []),
        ];
        decode("unix:/x", "DB", &operations, answer)
    }

    #[test]
    fn a_success_has_a_result_for_each_operation() {
        let id = "0f0f0f0f-0000-4000-8000-000000000001";
        let results = read(&json!([{"uuid": ["uuid", id]}, {"count": 2}])).expect("results");
        assert_eq!(
            results[0].uuid().map(|id| id.to_string()).as_deref(),
            Some(id)
        );
        assert_eq!(results[1].count(), 2);
    }

    #[test]
    fn an_error_says_where_it_is() {
        let words = |answer: Json| read(&answer).expect_err("an error").to_string();
        assert_eq!(
            words(json!([{}, {"error": "constraint violation", "details": "no"}])),
            "operation 1 (delete of U) on DB failed: constraint violation: no"
        );
        assert_eq!(
            words(json!([{"error": "timed out"}, null])),
            "operation 0 (insert of T) on DB failed: timed out"
        );
        assert_eq!(
            words(json!([{}, {"count": 0}, {"error": "constraint violation"}])),
            "the transaction on DB was not committed: constraint violation"
        );
        assert!(words(json!([{}])).contains("1 results for 2 operations"));
        assert!(words(json!([{}, {}, {}])).contains("3 results for 2 operations"));
        assert!(words(json!([{}, null])).contains("result 1 is 'null'"));
        assert!(words(json!({})).contains("is no list"));
        assert!(words(json!([{"uuid": 1}, {}])).contains("result 0: '1' is no identity"));
    }
}
