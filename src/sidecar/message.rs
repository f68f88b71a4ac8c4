//! What lockstep tells the adapter: one message per change, with a name that never changes.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::held::Held;
use crate::connectors::sidecar::{Ticket, TicketComment, TicketState};
use crate::model::{Field, Status};

/// What happened to a ticket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(super) enum MessageKind {
    /// lockstep wants a ticket.
    #[serde(rename = "ticket.opened")]
    Opened,
    /// Fields changed.
    #[serde(rename = "ticket.updated")]
    Updated,
    /// It is to be closed; other fields may have changed with it.
    #[serde(rename = "ticket.closed")]
    Closed,
    /// It is to be opened again; other fields may have changed with it.
    #[serde(rename = "ticket.reopened")]
    Reopened,
    /// A comment is to be added.
    #[serde(rename = "ticket.commented")]
    Commented,
}

impl MessageKind {
    /// What a change of fields amounts to.
    pub(super) fn of_change(before: Status, after: Status) -> Self {
        match (before == Status::Closed, after == Status::Closed) {
            (false, true) => Self::Closed,
            (true, false) => Self::Reopened,
            _ => Self::Updated,
        }
    }
}

/// One change that the adapter is to carry out. Repeated until it is acknowledged, each time the same.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub(super) struct Message {
    /// Its name, the same at each repetition.
    #[schema(example = "msg_5f1c0e0f0a6b4f1f9d0a1b2c3d4e5f60")]
    pub id: String,
    /// Counts the messages of this system. A ticket's messages are to be carried out in this order.
    pub sequence: u64,
    /// What happened.
    #[serde(rename = "type")]
    pub kind: MessageKind,
    /// When (UTC).
    #[schema(value_type = String, format = DateTime)]
    pub timestamp: Timestamp,
    /// The ticket.
    pub data: MessageData,
}

/// What a message says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub(super) struct MessageData {
    /// The ticket as it is to be.
    pub ticket: TicketView,
    /// The fields that this change changed; an adapter writes these and leaves the others alone.
    pub changed: Vec<Field>,
    /// The comment to add, in `ticket.commented`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comment: Option<CommentView>,
}

/// A ticket as the API shows it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub(super) struct TicketView {
    /// lockstep's name for it. It belongs into the ticket, where the software can find it again.
    pub key: String,
    /// Counts the changes of its fields.
    pub revision: u64,
    /// When lockstep opened it (UTC).
    #[schema(value_type = String, format = DateTime)]
    pub created: Timestamp,
    /// When it last changed (UTC).
    #[schema(value_type = String, format = DateTime)]
    pub modified: Timestamp,
    /// Who changed it last, as the adapter reported it; null for lockstep.
    pub modified_by: Option<String>,
    /// The fields.
    #[serde(flatten)]
    pub state: TicketState,
    /// The note of the close, while it is closed.
    pub closing_note: Option<String>,
    /// How many comments it has.
    pub comments: u32,
    /// Its number in the ticketing software, as the adapter reported it.
    pub number: Option<String>,
    /// Its page for people, as the adapter reported it.
    pub url: Option<String>,
    /// Whether the adapter said that it is not there any more.
    pub gone: bool,
    /// What the adapter said it cannot carry out, and why.
    #[serde(default, skip_serializing_if = "std::collections::BTreeMap::is_empty")]
    pub declined: std::collections::BTreeMap<Field, String>,
    /// What the incident is about, plain text from outside; in `ticket.opened` and when a ticket is read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

impl TicketView {
    pub(super) fn new(held: &Held, description: Option<String>) -> Self {
        let Ticket {
            key,
            revision,
            created,
            modified,
            modified_by,
            state,
            closing_note,
            comments,
            number,
            url,
            gone,
        } = held.ticket.clone();
        let declined = held.declined.clone();
        Self {
            key,
            revision,
            created,
            modified,
            modified_by,
            state,
            closing_note,
            comments,
            number,
            url,
            gone,
            declined,
            description,
        }
    }
}

/// A comment as the API shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(super) struct CommentView {
    /// Its name: the adapter's own, or lockstep's.
    pub id: String,
    /// Who wrote it, as the adapter reported it; null for lockstep.
    pub author: Option<String>,
    /// Its text. What lockstep wrote ends in a mark, which must be kept as it is.
    pub text: String,
    /// Whether only those who work on the ticket may read it.
    pub internal: bool,
}

impl From<TicketComment> for CommentView {
    fn from(comment: TicketComment) -> Self {
        let TicketComment { id, text, internal } = comment;
        Self { id, author: None, text, internal }
    }
}
