//! One folder per kind of system, behind one trait. A connector knows its remote API and nothing of the store.

pub mod defender;
mod endpoint;
mod registry;
pub mod sentinel;
mod stated;
mod text;

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod testing;

use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;

use crate::http::CallError;
use crate::model::{CommentKey, Patch, RecordKind, RecordRef, Snapshot, SystemName};

pub use endpoint::ConnectError;
pub use registry::{SystemSettings, connect};

/// Tags and labels that begin so are lockstep's own notes: never part of [`crate::model::Field::Tags`], and kept
/// by every write.
pub const OWN_TAG: &str = "lockstep:";

/// Where a list goes on: opaque to everyone but the connector that made it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageToken(pub String);

/// One page of changed records.
#[derive(Debug, Clone, Default)]
pub struct Page {
    /// The records that could be read, in the order received. A list may lag and repeat itself.
    pub snapshots: Vec<Snapshot>,
    /// Records of the page that could not be read, and why. They never hold up the others.
    pub malformed: Vec<Malformed>,
    /// The next page, if there is one. The cursor moves only after the last page.
    pub next: Option<PageToken>,
    /// The server's clock at this answer (UTC).
    pub server_time: Option<Timestamp>,
}

/// A record that could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Malformed {
    /// Its id, where at least that could be read.
    pub id: Option<String>,
    /// What is wrong, shortened and escaped for logs.
    pub reason: String,
}

/// How much of a record to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// The record; comments only where they come with it.
    Record,
    /// The record with the list of its comments.
    Comments,
    /// The record with what it links to, where finding that costs calls of its own (a Sentinel incident's alerts).
    Links,
}

/// What a write brought.
#[derive(Debug, Clone)]
pub struct Written {
    /// The record as the answer states it. A comment's answer may lack it.
    pub snapshot: Option<Snapshot>,
    /// The service's id of the request.
    pub request_id: Option<String>,
}

/// One finding of `lockstep check --online`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probe {
    /// What was tried, such as `list incidents`.
    pub what: String,
    /// `Err` says what is wrong and what to mend.
    pub result: Result<String, String>,
}

/// One configured system, as watch and deliver see it.
///
/// Guarantees: each method makes the calls its documentation names and no more; a write leaves at most once (the
/// door sees to it); a record that cannot be read is an error, never an empty record.
#[async_trait]
pub trait Connector: Send + Sync {
    /// The system's configured name.
    fn system(&self) -> &SystemName;

    /// The kinds of record to watch, in the order in which they are to be polled: one list call each per poll.
    fn collections(&self) -> &[RecordKind];

    /// How long after a request of unknown outcome a read is certain to show its effect.
    fn settle_time(&self) -> Duration;

    /// How far before the cursor a list begins again, to catch what the service's index showed late.
    fn overlap(&self) -> Duration;

    /// One page of what changed at or after `since` (the server's clock), oldest change first. One call.
    async fn list(
        &self,
        kind: RecordKind,
        since: Timestamp,
        page: Option<&PageToken>,
    ) -> Result<Page, CallError>;

    /// The record as it is now, read by id; one call, or two where `depth` asks for more than the record.
    async fn read(&self, record: &RecordRef, depth: Depth) -> Result<Snapshot, CallError>;

    /// One conditional write (where the service offers a condition) of only the changed fields. `current` is the
    /// snapshot just read. One call.
    async fn update(&self, current: &Snapshot, patch: &Patch) -> Result<Written, CallError>;

    /// Creates a record under the client-chosen id of `record`. One call; repeating it is harmless.
    async fn create(&self, record: &RecordRef, patch: &Patch) -> Result<Written, CallError>;

    /// Adds a comment. Where the API takes client-chosen comment ids, `key` is the id. One call.
    async fn comment(&self, current: &Snapshot, key: &CommentKey, text: &str) -> Result<Written, CallError>;

    /// The key under which a comment written with `key` shows in the record's list of comments, where the API takes
    /// client-chosen comment ids; `None` where the copy is told by the marker in its text.
    fn comment_key(&self, _record: &RecordRef, _key: &CommentKey) -> Option<CommentKey> {
        None
    }

    /// Whether credentials, permissions and addresses work; writes nothing.
    async fn probe(&self) -> Vec<Probe>;

    /// Calls that may leave at once, per budget class.
    fn budget_left(&self) -> Vec<(&'static str, u32)>;
}
