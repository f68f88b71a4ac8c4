//! A record as read at one revision.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{Natives, RecordRef};

/// A record as read at one revision: its native values and what surrounds them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Snapshot {
    /// Which record.
    pub record: RecordRef,
    /// The revision read (an etag, a count, or the text of the last-update time); equal revisions are equal records.
    /// One that is a number, or begins with one and a space, counts up.
    pub revision: String,
    /// The system's own last-update time of the record (UTC). Only compared with other times of the same record.
    pub modified: Timestamp,
    /// Who changed it last, where the system tells.
    pub modified_by: Option<String>,
    /// Whether it was read by id just now (`true`), or came from a list that may lag (`false`).
    pub fresh: bool,
    /// The stated fields.
    pub native: Natives,
    /// Values that the record has but does not state now, such as a resolution left over on an open issue. What comes to
    /// be stated just as it was hidden is nobody's edit.
    #[serde(default, skip_serializing_if = "Natives::is_empty")]
    pub hidden: Natives,
    /// The note given at closing, where the system has one.
    pub closing_comment: Option<String>,
    /// The comments.
    pub comments: Comments,
    /// Whether the record is there, merged away or deleted.
    pub lifecycle: Lifecycle,
    /// Other records that this one names as the same incident.
    pub links: Vec<RecordRef>,
    /// The incident an alert belongs to.
    pub parent: Option<RecordRef>,
    /// The name under which lockstep planned a ticket, read from the key inside the ticket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub planned_as: Option<RecordRef>,
    /// What adoption and people want to know.
    pub facts: Facts,
    /// The answer as received, for connectors whose write replaces the whole record. Never stored.
    #[serde(skip)]
    pub raw: serde_json::Value,
}

/// Whether a revision is known to come before another one of the same record: both count up, and it has the lower
/// count.
pub fn is_earlier_revision(revision: &str, other: &str) -> bool {
    let count = |text: &str| text.split(' ').next().and_then(|first| first.parse::<u64>().ok());
    count(revision).zip(count(other)).is_some_and(|(one, other)| one < other)
}

/// What adoption filters on and people want to see.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Facts {
    /// When the record was created (UTC), by the system's clock.
    pub created: Option<Timestamp>,
    /// The link for people, as the API gives it.
    pub url: Option<String>,
    /// The products that raised it, in the system's spelling.
    pub products: BTreeSet<String>,
    /// Whether it links to records that only a read at the depth of links would name.
    #[serde(default)]
    pub more_links: bool,
    /// What the fields said before that the system changed by itself, in answer to a write of ours, where it tells.
    /// Their values now are nobody's word; those before are the last that anybody said.
    #[serde(default, skip_serializing_if = "Natives::is_empty")]
    pub before_reaction: Natives,
}

/// Whether a record is there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Lifecycle {
    /// It is there.
    Present,
    /// It was merged into another record; this is no analyst's close (`graph-security.md` 2.8).
    Redirected {
        /// The record it was merged into, where the system tells.
        to: Option<RecordRef>,
    },
    /// It is not there any more.
    Gone,
}

/// The comments of a record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Comments {
    /// All of them.
    Listed(Vec<Comment>),
    /// How many there are; the list needs a call of its own.
    Counted(u32),
    /// Those that were written lately; there may be older ones.
    Recent(Vec<Comment>),
    /// Nothing is said of comments; only a read at the depth of comments tells.
    Untold,
}

/// One comment as read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Comment {
    /// Tells it from the other comments of its record.
    pub key: CommentKey,
    /// The author's name as the system shows it.
    pub author: Option<String>,
    /// When it was written, by the system's clock (UTC).
    pub created: Option<Timestamp>,
    /// Its text.
    pub text: String,
}

/// Tells a comment from the others of its record: the system's id, or a digest where it has none.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct CommentKey(String);

impl CommentKey {
    /// A comment that has an id of its own.
    pub fn from_id(id: &str) -> Self {
        Self(id.to_ascii_lowercase())
    }

    /// A comment without id is told by author, time and text (`graph-security.md` 2.1: no id, no edits).
    pub fn from_content(author: Option<&str>, created: &str, text: &str) -> Self {
        let digest = Sha256::digest(format!("{}\n{created}\n{text}", author.unwrap_or_default()));
        Self(short_hex(&digest))
    }

    /// The key as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The first 12 bytes of a digest in 24 hexadecimal digits: enough to tell comments apart.
pub fn short_hex(digest: &[u8]) -> String {
    use std::fmt::Write as _;
    digest.iter().take(12).fold(String::with_capacity(24), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
