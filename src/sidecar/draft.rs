//! A change of the mailbox before it is committed: on top of what is there, and without touching it.

use std::collections::BTreeMap;

use jiff::Timestamp;
use uuid::Uuid;

use super::held::Held;
use super::mailbox::{Inner, META, Meta, Pending, State, StoredComment, message_key, unusable};
use super::message::{CommentView, Message, MessageData, MessageKind, TicketView};
use crate::connectors::sidecar::MailboxError;
use crate::model::Field;
use crate::store::{Change, Document};

/// Tickets that a mailbox holds at most.
pub(super) const MAX_TICKETS: usize = 50_000;
/// Messages that wait for the adapter at most.
pub(super) const MAX_PENDING: usize = 100_000;
/// Comments of one ticket at most.
pub(super) const MAX_COMMENTS: u32 = 5_000;

/// A change in the making.
pub(super) struct Draft<'a> {
    inner: &'a Inner,
    pub(super) state: &'a State,
    /// When it happens: later than anything before, whatever the clock says.
    pub(super) now: Timestamp,
    sequence: u64,
    tickets: BTreeMap<String, Option<Held>>,
    sent: Vec<Message>,
    acknowledged: Vec<u64>,
    /// Documents beside tickets and messages.
    others: Vec<Change>,
}

/// A change that is ready to be committed, and then applied.
pub(super) struct Staged {
    pub(super) changes: Vec<Change>,
    tickets: BTreeMap<String, Option<Held>>,
    sent: Vec<(u64, Pending)>,
    acknowledged: Vec<u64>,
    sequence: u64,
    now: Timestamp,
}

impl<'a> Draft<'a> {
    pub(super) fn new(inner: &'a Inner, state: &'a State, clock: Timestamp) -> Self {
        let next = state.clock.checked_add(jiff::SignedDuration::from_micros(1)).unwrap_or(state.clock);
        Self {
            inner,
            state,
            now: clock.max(next),
            sequence: state.sequence,
            tickets: BTreeMap::new(),
            sent: Vec::new(),
            acknowledged: Vec::new(),
            others: Vec::new(),
        }
    }

    /// A ticket as it is after what was drafted so far.
    pub(super) fn ticket(&self, key: &str) -> Result<Held, MailboxError> {
        let found = match self.tickets.get(key) {
            Some(drafted) => drafted.clone(),
            None => self.state.tickets.get(key).cloned(),
        };
        found.ok_or_else(|| MailboxError::Absent(key.to_owned()))
    }

    /// A ticket that can still be changed.
    pub(super) fn present(&self, key: &str) -> Result<Held, MailboxError> {
        let held = self.ticket(key)?;
        if held.ticket.gone { Err(MailboxError::Absent(key.to_owned())) } else { Ok(held) }
    }

    /// Stores a ticket.
    pub(super) fn put(&mut self, held: Held) {
        self.tickets.insert(held.ticket.key.clone(), Some(held));
    }

    /// Refuses what would make the mailbox grow without end.
    pub(super) fn room(&self, tickets: usize) -> Result<(), MailboxError> {
        let advice = "look whether the adapter runs and acknowledges (GET /v1/status)";
        if self.state.tickets.len() + tickets > MAX_TICKETS {
            return Err(MailboxError::Full(format!("the mailbox holds {MAX_TICKETS} tickets; {advice}")));
        }
        if self.state.pending.len() >= MAX_PENDING {
            return Err(MailboxError::Full(format!("{MAX_PENDING} messages wait for the adapter; {advice}")));
        }
        Ok(())
    }

    /// Tells the adapter.
    pub(super) fn tell(
        &mut self,
        kind: MessageKind,
        held: &mut Held,
        changed: Vec<Field>,
        (description, comment): (Option<String>, Option<CommentView>),
    ) {
        self.sequence += 1;
        held.tell(self.sequence, &changed);
        let ticket = TicketView::new(held, description);
        self.sent.push(Message {
            id: format!("msg_{}", Uuid::new_v4().simple()),
            sequence: self.sequence,
            kind,
            timestamp: self.now,
            data: MessageData { ticket, changed, comment },
        });
    }

    /// Keeps what a ticket is about.
    pub(super) fn describe(&mut self, key: &str, description: String) {
        self.others.push(Change::PutDocument(Box::new(Document {
            drawer: self.inner.drawers.descriptions.clone(),
            key: key.to_owned(),
            value: description.into(),
        })));
    }

    /// Adds a comment. Returns whether it is new.
    ///
    /// Errors: the id stands for another text, or the ticket has too many.
    pub(super) fn comment(
        &mut self,
        held: &mut Held,
        ours: bool,
        comment: CommentView,
    ) -> Result<bool, MailboxError> {
        let drawer = self.inner.drawers.comments(&held.ticket.key);
        let key = StoredComment::document_key(ours, &comment.id);
        let found: Option<StoredComment> =
            self.inner.document(&drawer, &key).map_err(|error| unusable(&error))?;
        if let Some(found) = found {
            if ours || found.comment.text == comment.text {
                return Ok(false);
            }
            let reason = format!("comment {} of {} is there with another text", comment.id, held.ticket.key);
            return Err(MailboxError::Invalid(reason));
        }
        if held.ticket.comments >= MAX_COMMENTS {
            let key = &held.ticket.key;
            return Err(MailboxError::Full(format!(
                "ticket {key} has {MAX_COMMENTS} comments, and takes no more"
            )));
        }
        held.commented(self.now);
        let stored = StoredComment { number: held.ticket.comments, created: self.now, ours, comment };
        self.others.push(put(&drawer, &key, &stored)?);
        Ok(true)
    }

    /// The adapter has carried out messages. Returns how many of them were open.
    pub(super) fn acknowledge(&mut self, ids: &[String]) -> usize {
        let open = self.state.pending.iter().filter(|(_, pending)| ids.contains(&pending.id));
        let sequences: Vec<u64> = open.map(|(sequence, _)| *sequence).collect();
        for sequence in &sequences {
            let ticket = self.state.pending.get(sequence).map(|pending| pending.ticket.clone());
            if let Some(Ok(mut held)) = ticket.map(|key| self.ticket(&key)) {
                held.acknowledge(*sequence);
                self.put(held);
            }
        }
        self.acknowledged.extend(&sequences);
        sequences.len()
    }

    /// The adapter says that it shows the present revision of a ticket, and so has carried out what led there. Comments
    /// do not, and wait on.
    pub(super) fn acknowledge_fields(&mut self, key: &str) -> Result<(), MailboxError> {
        let of_ticket = self.state.pending.iter().filter(|(_, pending)| pending.ticket == key);
        for (sequence, _) in of_ticket {
            let message = self.inner.message(*sequence).map_err(|error| unusable(&error))?;
            if message.is_none_or(|message| message.kind != MessageKind::Commented) {
                self.acknowledged.push(*sequence);
            }
        }
        Ok(())
    }

    /// Removes a ticket with all that belongs to it.
    pub(super) fn forget(&mut self, key: &str) -> Result<(), MailboxError> {
        let drawer = self.inner.drawers.comments(key);
        let comments: Vec<(String, StoredComment)> =
            self.inner.drawer(&drawer).map_err(|error| unusable(&error))?;
        self.others.extend(comments.into_iter().map(|(id, _)| Change::RemoveDocument(drawer.clone(), id)));
        let descriptions = self.inner.drawers.descriptions.clone();
        self.others.push(Change::RemoveDocument(descriptions, key.to_owned()));
        self.tickets.insert(key.to_owned(), None);
        Ok(())
    }

    /// What is to be committed.
    pub(super) fn finish(self) -> Result<Staged, MailboxError> {
        let drawers = &self.inner.drawers;
        let mut changes = self.others;
        for (key, held) in &self.tickets {
            changes.push(match held {
                Some(held) if self.state.tickets.get(key) == Some(held) => continue,
                Some(held) => put(&drawers.tickets, key, held)?,
                None => Change::RemoveDocument(drawers.tickets.clone(), key.clone()),
            });
        }
        for message in &self.sent {
            changes.push(put(&drawers.messages, &message_key(message.sequence), message)?);
        }
        if !self.sent.is_empty() {
            changes.push(put(&drawers.meta, META, &Meta { sequence: self.sequence })?);
        }
        let removed =
            |sequence: &u64| Change::RemoveDocument(drawers.messages.clone(), message_key(*sequence));
        changes.extend(self.acknowledged.iter().map(removed));
        let sent =
            self.sent.into_iter().map(|m| (m.sequence, Pending { id: m.id, ticket: m.data.ticket.key }));
        Ok(Staged {
            changes,
            tickets: self.tickets,
            sent: sent.collect(),
            acknowledged: self.acknowledged,
            sequence: self.sequence,
            now: self.now,
        })
    }
}

impl Staged {
    /// Shows what was committed.
    pub(super) fn apply(self, state: &mut State) {
        for (key, held) in self.tickets {
            if let Some(before) = state.tickets.remove(&key) {
                state.by_time.remove(&before.ticket.modified);
            }
            if let Some(held) = held {
                state.by_time.insert(held.ticket.modified, key.clone());
                state.tickets.insert(key, held);
            }
        }
        for sequence in self.acknowledged {
            state.pending.remove(&sequence);
        }
        state.pending.extend(self.sent);
        state.sequence = self.sequence;
        state.clock = state.clock.max(self.now);
    }
}

fn put<T: serde::Serialize>(drawer: &str, key: &str, value: &T) -> Result<Change, MailboxError> {
    let value = serde_json::to_value(value)
        .map_err(|error| MailboxError::Unusable(format!("{key} cannot be stored: {error}")))?;
    Ok(Change::PutDocument(Box::new(Document { drawer: drawer.to_owned(), key: key.to_owned(), value })))
}
