//! One folder per kind of system, behind one trait. A connector knows its remote API and nothing of the store.

mod briefing;
pub mod defender;
mod endpoint;
mod hinting;
mod html;
pub mod jira;
mod microsoft;
mod people;
mod registry;
pub mod request_tracker;
mod rich_text;
pub mod sentinel;
pub mod servicenow;
pub mod sidecar;
mod sound;
mod stated;
mod text;
pub mod thehive;
mod ticketing;

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod testing;

use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;

use crate::http::secret::SecretRef;
use crate::http::{Budgets, CallError};
use crate::model::{CommentKey, Field, Patch, RecordId, RecordKind, RecordRef, Snapshot, SystemName};

pub use crate::model::{AlertBrief, Brief};
pub use endpoint::ConnectError;
pub use registry::{SystemSettings, connect};
pub use ticketing::{Audience, TicketSystem};

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
    /// What of the write this record cannot take, and why; the rest was written. It is left to differ, and told.
    pub declined: Vec<Declined>,
}

impl Written {
    /// Everything was written.
    pub fn new(snapshot: Option<Snapshot>, request_id: Option<String>) -> Self {
        Self { snapshot, request_id, declined: Vec::new() }
    }
}

/// A field that a record cannot take: an owner whom the system does not know, a field that this user may not set.
/// Never the status: a close that cannot be written is an error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Declined {
    /// Which.
    pub field: Field,
    /// Why, and what to do about it.
    pub reason: String,
}

/// What a record is opened with.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Opening {
    /// The fields. Of a ticket never status and verdict: it begins as the system begins it.
    pub patch: Patch,
    /// The description of a ticket, plain text; the connector brings it into the form of its system, and escapes it.
    pub description: String,
    /// The incident that it is opened for. A system without keys notes it in the record, so that a lost store finds
    /// again what belongs together.
    pub origin: Option<RecordRef>,
}

/// What a webhook must bring before it is believed to come from the system. It is never believed beyond that.
#[derive(Debug, Clone)]
pub struct Hook {
    /// What proves where it comes from.
    pub proof: HookProof,
    /// The secret that both sides share.
    pub secret: SecretRef,
    /// The ids of the records that a body names; pure, and total on any JSON.
    pub records: fn(&serde_json::Value) -> Vec<(RecordKind, RecordId)>,
    /// The header with an id that is the same when the delivery is repeated.
    pub delivery_id: Option<&'static str>,
}

/// What proves that a webhook comes from the system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HookProof {
    /// A header with `sha256=` and the HMAC-SHA256 of the raw body in hexadecimal digits.
    Hmac(&'static str),
    /// A header with the secret itself.
    Shared(&'static str),
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

    /// The record as it is now, read by id; one call, or two where `depth` asks for more than the record. It is
    /// [`CallError::Gone`] only where the answer speaks of that very record, in the form that the service uses for it.
    async fn read(&self, record: &RecordRef, depth: Depth) -> Result<Snapshot, CallError>;

    /// One conditional write (where the service offers a condition) of only the changed fields. `current` is the
    /// snapshot just read. One call, and another where a refusal shows that the rest can do without a value.
    async fn update(&self, current: &Snapshot, patch: &Patch) -> Result<Written, CallError>;

    /// Looks for a record that is planned under a name derived by us: the client-chosen id, or the key that a
    /// ticket carries inside it. `None` says that there certainly is none, by a complete and coherent answer; anything
    /// less is an error, and stops the creation. Of several tickets with the key the oldest is it. The snapshot bears the record's own id.
    async fn find(&self, planned: &RecordRef, depth: Depth) -> Result<Option<Snapshot>, CallError> {
        match self.read(planned, depth).await {
            Ok(snapshot) => Ok(Some(snapshot)),
            Err(CallError::Gone { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Creates the record planned under `planned`: under that id where the client chooses ids, else with that id as
    /// key inside. One write; a ticket may be read back to learn whether the key arrived.
    async fn create(&self, planned: &RecordRef, opening: &Opening) -> Result<Written, CallError>;

    /// What people want to read about a record, for the description of a ticket. One call, or a few.
    async fn brief(&self, _record: &RecordRef) -> Result<Option<Brief>, CallError> {
        Ok(None)
    }

    /// How this system's webhooks are told from others, where they are configured.
    fn hook(&self) -> Option<Hook> {
        None
    }

    /// Whether comments carry ids of our choice, so that a repeated one is harmless. Else each copy is looked up
    /// before it is written.
    fn chooses_comment_ids(&self) -> bool {
        false
    }

    /// Adds a comment. Where the API takes client-chosen comment ids, `key` is the id. One call.
    async fn comment(&self, current: &Snapshot, key: &CommentKey, text: &str) -> Result<Written, CallError>;

    /// Whether credentials, permissions and addresses work; writes nothing.
    async fn probe(&self) -> Vec<Probe>;

    /// What its calls are paid from, where it makes any.
    fn budgets(&self) -> Option<&Budgets> {
        None
    }

    /// Calls that may leave at once, per budget class.
    fn budget_left(&self) -> Vec<(&'static str, u32)> {
        self.budgets().map(Budgets::left).unwrap_or_default()
    }
}
