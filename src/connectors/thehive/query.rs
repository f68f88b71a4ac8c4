//! The query API: steps in, an array of objects out (`ticketing.md` 4).

use jiff::Timestamp;
use serde_json::{Value, json};

use super::TheHive;
use crate::http::{Answer, Call, CallError};

/// Objects with a date at or after `from`, in milliseconds.
pub(super) fn since(field: &str, from: i64) -> Value {
    json!({"_gte": {"_field": field, "_value": from}})
}

/// Objects whose field is this text.
pub(super) fn is(field: &str, value: &str) -> Value {
    json!({"_eq": {"_field": field, "_value": value}})
}

/// A step that keeps what passes.
pub(super) fn filter(mut condition: Value) -> Value {
    condition["_name"] = "filter".into();
    condition
}

/// A step that sorts by rising dates.
pub(super) fn rising(fields: &[&str]) -> Value {
    let fields: Value = fields.iter().map(|field| json!({*field: "asc"})).collect();
    json!({"_name": "sort", "_fields": fields})
}

/// A step that keeps the first so many.
pub(super) fn first(most: usize) -> Value {
    json!({"_name": "page", "from": 0, "to": most})
}

/// A time as the API counts it: whole milliseconds, never later than the time itself.
pub(super) fn millis(at: Timestamp) -> i64 {
    at.as_nanosecond().div_euclid(1_000_000).try_into().unwrap_or(i64::MAX)
}

impl TheHive {
    /// Asks, and gives the rows with the answer.
    pub(super) async fn query(
        &self,
        operation: &'static str,
        steps: &[Value],
    ) -> Result<(Vec<Value>, Answer), CallError> {
        let url = self.url(operation, &["query"])?;
        let body = json!({"query": steps, "excludeFields": ["description"]});
        let mut answer = self.send(Call::query(operation, "query", url, Some(body))).await?;
        if let Value::Array(rows) = answer.body.take() {
            return Ok((rows, answer));
        }
        let what = "the answer to a query is no array; is the address right?".to_owned();
        Err(self.endpoint.malformed(operation, &answer, what))
    }
}
