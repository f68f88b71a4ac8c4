//! The mailbox: tickets, comments and messages of one system, in memory and in the store. Every change is one commit,
//! and memory follows the disk.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::sync::{Mutex, watch};

use super::draft::Draft;
use super::held::Held;
use super::message::Message;
use crate::connectors::sidecar::MailboxError;
use crate::model::{CommentKey, SystemName, short_hex};
use crate::store::{Store, StoreError};

/// Documents read at a time.
const BATCH: usize = 500;

/// One mailbox. A cheap handle.
#[derive(Clone)]
pub struct StoreMailbox(pub(super) Arc<Inner>);

pub(super) struct Inner {
    pub(super) system: SystemName,
    pub(super) store: Arc<dyn Store>,
    pub(super) drawers: Drawers,
    pub(super) state: Mutex<State>,
    /// The sequence number of the last message.
    pub(super) latest: watch::Sender<u64>,
}

impl std::fmt::Debug for StoreMailbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("StoreMailbox").field(&self.0.system).finish()
    }
}

/// What is kept in memory; descriptions, comments and the texts of messages are not.
#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) tickets: BTreeMap<String, Held>,
    /// Tickets by the time of their last change, which is unique.
    pub(super) by_time: BTreeMap<Timestamp, String>,
    /// Messages that are not acknowledged: sequence number to name and ticket.
    pub(super) pending: BTreeMap<u64, Pending>,
    pub(super) sequence: u64,
    /// The latest time that was given out.
    pub(super) clock: Timestamp,
}

/// A message that is not acknowledged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pending {
    pub(super) id: String,
    pub(super) ticket: String,
}

/// Where in the store a mailbox keeps what.
#[derive(Debug, Clone)]
pub(super) struct Drawers {
    pub(super) meta: String,
    pub(super) tickets: String,
    pub(super) descriptions: String,
    pub(super) messages: String,
}

impl Drawers {
    fn of(system: &SystemName) -> Self {
        let meta = format!("sidecar/{system}");
        Self {
            tickets: format!("{meta}/tickets"),
            descriptions: format!("{meta}/descriptions"),
            messages: format!("{meta}/messages"),
            meta,
        }
    }

    /// The drawer of a ticket's comments.
    pub(super) fn comments(&self, key: &str) -> String {
        format!("{}/comments/{key}", self.meta)
    }
}

/// The key of the document that counts.
pub(super) const META: &str = "meta";

/// What is counted beyond what is kept.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Meta {
    pub(super) sequence: u64,
}

/// A comment as stored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct StoredComment {
    /// Its place among the comments of its ticket.
    pub(super) number: u32,
    pub(super) created: Timestamp,
    /// Whether lockstep wrote it.
    pub(super) ours: bool,
    pub(super) comment: super::message::CommentView,
}

impl StoredComment {
    /// Its name in the store; the adapter's ids and lockstep's cannot meet.
    pub(super) fn document_key(ours: bool, id: &str) -> String {
        format!("{}/{id}", if ours { "lockstep" } else { "adapter" })
    }

    /// Tells it from other comments. The adapter's ids may differ in case only, so their digest is taken.
    pub(super) fn key(&self) -> CommentKey {
        if self.ours {
            return CommentKey::from_id(&self.comment.id);
        }
        CommentKey::from_id(&short_hex(&<sha2::Sha256 as sha2::Digest>::digest(&self.comment.id)))
    }
}

pub(super) fn unusable(error: &StoreError) -> MailboxError {
    MailboxError::Unusable(error.to_string())
}

fn decode<T: DeserializeOwned>(what: &str, value: serde_json::Value) -> Result<T, StoreError> {
    serde_json::from_value(value).map_err(|error| {
        StoreError(format!("{what} in the store makes no sense to this version of lockstep: {error}"))
    })
}

impl Inner {
    /// All documents of a drawer.
    pub(super) fn drawer<T: DeserializeOwned>(&self, drawer: &str) -> Result<Vec<(String, T)>, StoreError> {
        let (mut all, mut after) = (Vec::new(), None::<String>);
        loop {
            let batch = self.store.documents(drawer, after.as_deref(), BATCH)?;
            after = batch.last().map(|(key, _)| key.clone());
            let full = batch.len() == BATCH;
            for (key, value) in batch {
                let value = decode(&format!("{key} in drawer {drawer}"), value)?;
                all.push((key, value));
            }
            if !full {
                return Ok(all);
            }
        }
    }

    /// One document.
    pub(super) fn document<T: DeserializeOwned>(
        &self,
        drawer: &str,
        key: &str,
    ) -> Result<Option<T>, StoreError> {
        let found = self.store.document(drawer, key)?;
        found.map(|value| decode(&format!("{key} in drawer {drawer}"), value)).transpose()
    }

    /// A message that is not acknowledged.
    pub(super) fn message(&self, sequence: u64) -> Result<Option<Message>, StoreError> {
        self.document(&self.drawers.messages, &message_key(sequence))
    }

    /// A ticket's comments, oldest first.
    pub(super) fn comments(&self, key: &str) -> Result<Vec<StoredComment>, StoreError> {
        let found: Vec<(String, StoredComment)> = self.drawer(&self.drawers.comments(key))?;
        let mut comments: Vec<StoredComment> = found.into_iter().map(|(_, comment)| comment).collect();
        comments.sort_by_key(|comment| comment.number);
        Ok(comments)
    }

    fn load(&self) -> Result<State, StoreError> {
        let mut state = State::default();
        let tickets: Vec<(String, Held)> = self.drawer(&self.drawers.tickets)?;
        for (key, held) in tickets {
            state.clock = state.clock.max(held.ticket.modified);
            state.by_time.insert(held.ticket.modified, key.clone());
            state.tickets.insert(key, held);
        }
        let messages: Vec<(String, Message)> = self.drawer(&self.drawers.messages)?;
        for (_, message) in messages {
            let pending = Pending { id: message.id, ticket: message.data.ticket.key };
            state.pending.insert(message.sequence, pending);
        }
        let meta: Option<Meta> = self.document(&self.drawers.meta, META)?;
        let last = state.pending.last_key_value().map_or(0, |(sequence, _)| *sequence);
        state.sequence = meta.map_or(0, |meta| meta.sequence).max(last);
        Ok(state)
    }
}

/// The key of a message: its number, so that the order of keys is theirs.
pub(super) fn message_key(sequence: u64) -> String {
    format!("{sequence:020}")
}

impl StoreMailbox {
    /// The mailbox of a system, as the store holds it.
    ///
    /// Errors: the store fails, or holds what this version cannot read.
    pub fn open(system: &SystemName, store: Arc<dyn Store>) -> Result<Self, StoreError> {
        let (latest, _) = watch::channel(0);
        let drawers = Drawers::of(system);
        let inner = Inner { system: system.clone(), store, drawers, state: Mutex::default(), latest };
        let state = inner.load()?;
        inner.latest.send_replace(state.sequence);
        Ok(Self(Arc::new(Inner { state: Mutex::new(state), ..inner })))
    }

    /// Makes one change: drafts it, commits it, and only then shows it. Goes on to its end even if whoever asked for it
    /// has gone away, since a commit under way cannot be taken back.
    pub(super) async fn change<T: Send + 'static>(
        &self,
        change: impl FnOnce(&mut Draft<'_>) -> Result<T, MailboxError> + Send + 'static,
    ) -> Result<T, MailboxError> {
        let inner = Arc::clone(&self.0);
        let task = tokio::spawn(async move {
            let mut state = inner.state.lock().await;
            let (outcome, mut staged) = {
                let mut draft = Draft::new(&inner, &state, Timestamp::now());
                let outcome = change(&mut draft)?;
                (outcome, draft.finish()?)
            };
            if !staged.changes.is_empty() {
                let changes = std::mem::take(&mut staged.changes);
                inner.store.commit(changes).await.map_err(|error| unusable(&error))?;
                staged.apply(&mut state);
                inner.latest.send_replace(state.sequence);
            }
            Ok(outcome)
        });
        task.await
            .map_err(|error| MailboxError::Unusable(format!("a change of the mailbox failed: {error}")))?
    }

    /// Removes tickets that are over, have nothing left to tell, and last changed longer than `keep` ago. Returns how
    /// many.
    pub(super) async fn prune(&self, keep: Duration) -> Result<usize, MailboxError> {
        let keep = SignedDuration::try_from(keep).unwrap_or(SignedDuration::MAX);
        self.change(move |draft| {
            let oldest = draft.now.checked_sub(keep).unwrap_or(Timestamp::MIN);
            let busy: BTreeSet<&String> =
                draft.state.pending.values().map(|pending| &pending.ticket).collect();
            let over = |key: &&String| {
                draft.state.tickets.get(*key).is_some_and(Held::is_over) && !busy.contains(*key)
            };
            let keys: Vec<String> = draft
                .state
                .by_time
                .range(..oldest)
                .map(|(_, key)| key)
                .filter(over)
                .take(BATCH)
                .cloned()
                .collect();
            for key in &keys {
                draft.forget(key)?;
            }
            Ok(keys.len())
        })
        .await
    }
}
