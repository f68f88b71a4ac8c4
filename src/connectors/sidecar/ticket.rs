//! A ticket as the mailbox holds it, and the mailbox as the connector sees it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

use async_trait::async_trait;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::connectors::{Declined, stated};
use crate::model::{Comment, Field, Native, Natives, Severity, Status, Verdict};

/// The synced fields of a ticket, in lockstep's own words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct TicketState {
    /// Its name, on one line.
    pub title: String,
    /// Where the work stands.
    pub status: Status,
    /// How bad it is; null while nobody has said.
    pub severity: Option<Severity>,
    /// Whether it was an attack, and of which kind.
    #[schema(value_type = String, example = "true-positive/phishing")]
    pub verdict: Verdict,
    /// The account that works on it, lower case; null for nobody.
    pub owner: Option<String>,
    /// Labels that people use.
    pub tags: BTreeSet<String>,
}

impl TicketState {
    /// How a ticket begins.
    pub fn new(title: String) -> Self {
        Self {
            title,
            status: Status::New,
            severity: None,
            verdict: Verdict::UNDETERMINED,
            owner: None,
            tags: BTreeSet::new(),
        }
    }

    /// The fields in the form in which they are compared. A severity that nobody has stated is absent.
    pub fn natives(&self) -> Natives {
        let word = |text: &str| Native::Text(text.to_owned());
        let mut natives = BTreeMap::from([
            (Field::Status, word(self.status.as_str())),
            (Field::Verdict, word(&self.verdict.to_string())),
            (Field::Owner, Native::text(self.owner.as_deref())),
            (Field::Tags, Native::Set(self.tags.clone())),
            (Field::Title, word(&self.title)),
        ]);
        natives.extend(self.severity.map(|severity| (Field::Severity, word(severity.as_str()))));
        natives
    }

    /// What of a write a ticket can take, and why not the rest, which is left out: one value that no ticket has must not
    /// take a close with it. A status is never left out.
    pub(super) fn takes(fields: &Natives) -> (Natives, Vec<Declined>) {
        let (mut taken, mut declined) = (fields.clone(), Vec::new());
        taken.retain(|field, native| match Self::new(String::new()).set(*field, native) {
            Err(reason) if *field != Field::Status => {
                declined.push(Declined { field: *field, reason });
                false
            }
            _ => true,
        });
        (taken, declined)
    }

    /// Sets one field. Errors say which value is none of it.
    pub fn set(&mut self, field: Field, native: &Native) -> Result<(), String> {
        let wrong = || format!("`{native}` is no {field}");
        match (field, native) {
            (Field::Status, Native::Text(word)) => self.status = Status::from_word(word).ok_or_else(wrong)?,
            (Field::Severity, Native::Text(word)) => {
                self.severity = Some(Severity::from_word(word).ok_or_else(wrong)?);
            }
            (Field::Verdict, Native::Text(word)) => self.verdict = Verdict::try_from(word.clone())?,
            (Field::Verdict, Native::Empty) => self.verdict = Verdict::UNDETERMINED,
            (Field::Owner, Native::Empty) => self.owner = None,
            (Field::Owner, Native::Text(_)) => {
                let Native::Text(owner) = stated::account(Some(&native.to_string())) else {
                    return Err(wrong());
                };
                self.owner = Some(owner);
            }
            (Field::Tags, Native::Empty) => self.tags.clear(),
            (Field::Tags, Native::Set(tags)) => self.tags.clone_from(tags),
            (Field::Title, Native::Text(title)) if title.trim().is_empty() => {
                return Err("a ticket must have a title that is not blank".to_owned());
            }
            (Field::Title, Native::Text(title)) => self.title.clone_from(title),
            _ => return Err(wrong()),
        }
        Ok(())
    }
}

/// A ticket of the mailbox: what lockstep wants and the adapter reports, in one state.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Ticket {
    /// Its name in the mailbox: the key under which lockstep planned it.
    pub key: String,
    /// Counts its changes, from 1.
    pub revision: u64,
    /// When lockstep opened it (UTC).
    pub created: Timestamp,
    /// When it last changed (UTC); no two changes in a mailbox have the same time.
    pub modified: Timestamp,
    /// Who changed it last, where the adapter tells.
    pub modified_by: Option<String>,
    /// The fields.
    pub state: TicketState,
    /// The note of the close, while it is closed.
    pub closing_note: Option<String>,
    /// How many comments it has.
    pub comments: u32,
    /// Its number in the ticketing software, as the adapter reported it.
    pub number: Option<String>,
    /// Its page for people.
    pub url: Option<String>,
    /// Whether the adapter says that it is not there any more.
    pub gone: bool,
}

/// What lockstep changes in a ticket.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TicketWrite {
    /// The fields to set.
    pub fields: Natives,
    /// The note of a close.
    pub closing_note: Option<String>,
}

/// A comment of lockstep's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TicketComment {
    /// Its name; the same name again is the same comment.
    pub id: String,
    /// Its text; the last line proves that lockstep wrote it.
    pub text: String,
    /// Whether only those who work on the ticket may read it.
    pub internal: bool,
}

/// Why the mailbox did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MailboxError {
    /// It holds no such ticket.
    #[error("the mailbox has no ticket {0}; it was never opened, or was removed some time after its close")]
    Absent(String),
    /// The ticket changed since it was read.
    #[error("ticket {key} is at revision {present} by now, not at {expected}; read it again")]
    Stale {
        /// Which ticket.
        key: String,
        /// The revision it was expected to have.
        expected: u64,
        /// The revision it has.
        present: u64,
    },
    /// It takes no more.
    #[error("{0}")]
    Full(String),
    /// What was asked makes no sense.
    #[error("{0}")]
    Invalid(String),
    /// The store failed, or the mailbox is not open in this process.
    #[error("{0}")]
    Unusable(String),
}

/// The mailbox as the connector sees it. Each write is one durable commit, done when it returns, all or nothing.
#[async_trait]
pub trait Mailbox: Debug + Send + Sync {
    /// Up to `limit` tickets that changed at `from` or later (after `from`, if `beyond`), in the order of their
    /// change, and the mailbox's clock.
    async fn changed(
        &self,
        from: Timestamp,
        beyond: bool,
        limit: usize,
    ) -> Result<(Vec<Ticket>, Timestamp), MailboxError>;

    /// A ticket.
    async fn ticket(&self, key: &str) -> Result<Ticket, MailboxError>;

    /// A ticket with all its comments, oldest first.
    async fn with_comments(&self, key: &str) -> Result<(Ticket, Vec<Comment>), MailboxError>;

    /// Opens a ticket. One that is open under the key already is returned as it is.
    async fn open(&self, key: &str, state: TicketState, description: String) -> Result<Ticket, MailboxError>;

    /// Changes a ticket that is at this revision.
    async fn update(&self, key: &str, revision: u64, write: TicketWrite) -> Result<Ticket, MailboxError>;

    /// Adds a comment, once.
    async fn comment(&self, key: &str, comment: TicketComment) -> Result<Ticket, MailboxError>;
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_state_survives_the_way_over_its_fields() {
        let mut state = TicketState::new("Phishing".to_owned());
        state.severity = Some(Severity::High);
        state.verdict = Verdict::try_from("true-positive/phishing".to_owned()).unwrap();
        state.owner = Some("ana@example.org".to_owned());
        state.tags = BTreeSet::from(["vip".to_owned()]);
        let mut copy = TicketState::new("x".to_owned());
        for (field, native) in state.natives() {
            copy.set(field, &native).unwrap();
        }
        assert_eq!(copy, state);
        assert!(copy.set(Field::Status, &Native::Text("paused".to_owned())).unwrap_err().contains("paused"));
        assert!(copy.set(Field::Title, &Native::Text(" \t".to_owned())).unwrap_err().contains("blank"));
        copy.set(Field::Owner, &Native::Text(" Ben@Example.ORG".to_owned())).unwrap();
        assert_eq!(copy.owner.as_deref(), Some("ben@example.org"));
    }
}
