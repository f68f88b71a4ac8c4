//! Cases, alerts and comments as TheHive sends them (`ticketing.md` 4), every property optional. All dates are epoch
//! milliseconds.

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use crate::connectors::stated::Stated;

/// A case.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct WireCase {
    #[serde(rename = "_id")]
    pub(super) id: Stated<String>,
    #[serde(rename = "_createdAt")]
    pub(super) created_at: Stated<i64>,
    #[serde(rename = "_updatedAt")]
    pub(super) updated_at: Stated<i64>,
    #[serde(rename = "_updatedBy")]
    pub(super) updated_by: Stated<String>,
    pub(super) title: Stated<String>,
    pub(super) severity: Stated<i64>,
    pub(super) status: Stated<String>,
    pub(super) stage: Stated<String>,
    pub(super) summary: Stated<String>,
    pub(super) assignee: Stated<String>,
    pub(super) tags: Stated<Vec<Stated<String>>>,
}

/// An alert, as far as it leads to its case.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct WireAlert {
    #[serde(rename = "_id")]
    pub(super) id: Stated<String>,
    #[serde(rename = "type")]
    pub(super) kind: Stated<String>,
    pub(super) source: Stated<String>,
    pub(super) source_ref: Stated<String>,
    pub(super) case_id: Stated<String>,
}

/// A comment. The published types have `createdAt` where other objects have `_createdAt`; either is read.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct WireComment {
    #[serde(rename = "_id")]
    pub(super) id: Stated<String>,
    pub(super) created_at: Stated<i64>,
    #[serde(rename = "_createdAt")]
    pub(super) entity_created_at: Stated<i64>,
    pub(super) created_by: Stated<String>,
    #[serde(rename = "_createdBy")]
    pub(super) entity_created_by: Stated<String>,
    pub(super) message: Stated<String>,
    pub(super) extra_data: Value,
}

/// A date of the API.
pub(super) fn date(stated: &Stated<i64>) -> Option<Timestamp> {
    stated.value().and_then(|millis| Timestamp::from_millisecond(*millis).ok())
}

/// An id such as `~4711`, or the number that older objects bear; nothing that could change the meaning of an address
/// or a query.
pub(super) fn is_id(text: &str) -> bool {
    let digits = text.strip_prefix('~').unwrap_or(text);
    !digits.is_empty() && text.len() <= 64 && digits.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}
