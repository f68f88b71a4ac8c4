//! Answers that are not what the documentation promises.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::wire::{Body, Reply};

/// How an answer is spoilt. In a list it hits the first record, elsewhere the record itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Malformed {
    /// Numbers where texts belong and the other way round.
    WrongTypes,
    /// JSON that ends in the middle.
    Truncated,
    /// Required properties are not there.
    MissingFields,
    /// The first record of a list appears twice.
    DuplicateIds,
    /// Enumerations with members that no documentation knows.
    UnknownEnum,
    /// Every property null that is not the id.
    Nulls,
    /// A text of 20 million characters.
    Huge,
    /// An empty body with the status of success.
    EmptyBody,
    /// JSON, but not an object.
    NotAnObject,
    /// The status of success, and the system's own error for a body.
    ErrorBody,
    /// A list that lacks the second half of its rows, while its counts and links stay as they were.
    HalfList,
    /// What is there is said of another record: every id of the record that the answer is about is another one.
    OtherRecord,
}

/// Where the services put the rows of a list.
const ROWS: [&str; 4] = ["value", "result", "issues", "items"];
/// Where they put the id of a record.
const IDS: [&str; 6] = ["id", "name", "key", "sys_id", "_id", "number"];

impl Malformed {
    /// Spoils a successful answer; errors stay as they are. `error` is the body with which the system reports an error.
    pub(super) fn spoil(self, mut reply: Reply, error: impl FnOnce() -> Value) -> Reply {
        let Body::Json(value) = &mut reply.body else { return reply };
        if reply.status >= 400 {
            return reply;
        }
        match self {
            Self::Truncated => {
                let text = value.to_string();
                let cut = (0..=text.len() / 2).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
                reply.body = Body::Raw("application/json; charset=utf-8", text[..cut].to_owned());
            }
            Self::EmptyBody => reply.body = Body::Empty,
            Self::NotAnObject => *value = json!("ok"),
            Self::DuplicateIds => duplicate_first(value),
            Self::ErrorBody => *value = error(),
            Self::HalfList => {
                if let Some(rows) = rows(value) {
                    rows.truncate(rows.len() / 2);
                }
            }
            Self::OtherRecord => rename(record(value)),
            Self::WrongTypes | Self::MissingFields | Self::UnknownEnum | Self::Nulls | Self::Huge => {
                self.spoil_record(record(value));
            }
        }
        reply
    }

    fn spoil_record(self, record: &mut Value) {
        const STATES: [&str; 4] = ["status", "severity", "classification", "determination"];
        let Some(members) = record.as_object_mut() else { return };
        match self {
            Self::WrongTypes => {
                for (name, value) in members.iter_mut().filter(|(name, _)| *name != "id") {
                    *value = if value.is_string() { json!(4711) } else { json!(format!("not a {name}")) };
                }
            }
            Self::MissingFields => {
                for name in ["status", "lastUpdateDateTime", "lastModifiedTimeUtc", "etag", "properties"] {
                    members.remove(name);
                }
            }
            Self::UnknownEnum => {
                let target = members.get_mut("properties").and_then(Value::as_object_mut);
                let target = match target {
                    Some(_) => members.get_mut("properties").and_then(Value::as_object_mut),
                    None => Some(members),
                };
                for (_, value) in
                    target.into_iter().flatten().filter(|(name, _)| STATES.contains(&name.as_str()))
                {
                    *value = json!("somethingNew");
                }
            }
            Self::Nulls => {
                for (_, value) in members.iter_mut().filter(|(name, _)| *name != "id") {
                    *value = Value::Null;
                }
            }
            _ => {
                members.insert("description".to_owned(), json!("x".repeat(20_000_000)));
            }
        }
    }
}

/// The rows of a list, if an answer is one.
fn rows(value: &mut Value) -> Option<&mut Vec<Value>> {
    if value.is_array() {
        return value.as_array_mut();
    }
    let name = ROWS.into_iter().find(|name| value.get(*name).is_some_and(Value::is_array))?;
    value.get_mut(name)?.as_array_mut()
}

/// The record an answer is about: the first row of a list, else what is there.
fn record(value: &mut Value) -> &mut Value {
    if rows(value).is_some_and(|rows| !rows.is_empty()) {
        return match rows(value) {
            Some(rows) => &mut rows[0],
            None => unreachable!("it was there a moment ago"),
        };
    }
    if value.get("result").is_some_and(Value::is_object) {
        return &mut value["result"];
    }
    value
}

fn duplicate_first(value: &mut Value) {
    if let Some(rows) = rows(value)
        && let Some(first) = rows.first().cloned()
    {
        rows.push(first);
    }
}

/// Makes it another record of the same kind: the last character of each of its ids is another one.
fn rename(record: &mut Value) {
    for (_, id) in
        record.as_object_mut().into_iter().flatten().filter(|(name, _)| IDS.contains(&name.as_str()))
    {
        match id {
            Value::String(text) => {
                let last = text.pop();
                text.push(if last == Some('1') { '2' } else { '1' });
            }
            Value::Number(number) => *id = json!(number.as_u64().unwrap_or_default() + 1),
            _ => {}
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn list() -> Reply {
        Reply::json(200, json!({"value": [{"id": "1", "status": "active"}, {"id": "2", "status": "active"}]}))
    }

    #[test]
    fn spoils_as_told() {
        let ids = |reply: &Reply| reply.value()["value"].as_array().unwrap().len();
        assert_eq!(ids(&Malformed::DuplicateIds.spoil(list(), || json!({}))), 3);
        assert_eq!(
            Malformed::UnknownEnum.spoil(list(), || json!({})).value()["value"][0]["status"],
            "somethingNew"
        );
        assert_eq!(Malformed::WrongTypes.spoil(list(), || json!({})).value()["value"][0]["status"], 4711);
        assert!(
            Malformed::MissingFields.spoil(list(), || json!({})).value()["value"][0].get("status").is_none()
        );
        let Body::Raw(_, text) = Malformed::Truncated.spoil(list(), || json!({})).body else { panic!("raw") };
        assert!(serde_json::from_str::<Value>(&text).is_err());
        assert_eq!(Malformed::EmptyBody.spoil(list(), || json!({})).body, Body::Empty);
        assert_eq!(ids(&Malformed::HalfList.spoil(list(), || json!({}))), 1);
        let error = Malformed::ErrorBody.spoil(list(), || json!({"error": "failed"}));
        assert_eq!((error.status, &error.value()["error"]), (200, &json!("failed")));
        assert_eq!(Malformed::OtherRecord.spoil(list(), || json!({})).value()["value"][0]["id"], "2");
    }

    #[test]
    fn reaches_into_the_properties_of_arm_resources() {
        let reply = Reply::json(200, json!({"id": "x", "properties": {"status": "New", "title": "t"}}));
        let spoilt = Malformed::UnknownEnum.spoil(reply, || json!({}));
        assert_eq!(spoilt.value()["properties"], json!({"status": "somethingNew", "title": "t"}));
    }
}
