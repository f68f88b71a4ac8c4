//! What the adapter does with the mailbox.

use std::time::Duration;

use super::held::{Held, Report};
use super::mailbox::{StoreMailbox, unusable};
use super::message::{CommentView, Message, MessageKind, TicketView};
use crate::connectors::sidecar::MailboxError;

/// How a mailbox stands.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
pub(super) struct MailboxStatus {
    /// The system's name in lockstep's configuration.
    pub system: String,
    /// Tickets it holds, closed ones included.
    pub tickets: usize,
    /// Messages that are not acknowledged.
    pub pending: usize,
    /// The sequence number of the oldest of them.
    pub oldest: Option<u64>,
    /// The sequence number of the latest message, acknowledged or not.
    pub latest: u64,
}

impl StoreMailbox {
    /// How the mailbox stands.
    pub(super) async fn status(&self) -> MailboxStatus {
        let state = self.0.state.lock().await;
        MailboxStatus {
            system: self.0.system.to_string(),
            tickets: state.tickets.len(),
            pending: state.pending.len(),
            oldest: state.pending.first_key_value().map(|(sequence, _)| *sequence),
            latest: state.sequence,
        }
    }

    /// A ticket with its description.
    pub(super) async fn view(&self, key: &str) -> Result<TicketView, MailboxError> {
        let state = self.0.state.lock().await;
        let held = state.tickets.get(key).ok_or_else(|| MailboxError::Absent(key.to_owned()))?;
        self.described(held)
    }

    fn described(&self, held: &Held) -> Result<TicketView, MailboxError> {
        let description = self.0.document(&self.0.drawers.descriptions, &held.ticket.key);
        Ok(TicketView::new(held, description.map_err(|error| unusable(&error))?))
    }

    /// Up to `limit` tickets with keys after `after`, in order of key, without descriptions.
    pub(super) async fn views(&self, after: &str, limit: usize) -> Vec<TicketView> {
        let state = self.0.state.lock().await;
        let beyond = (std::ops::Bound::Excluded(after), std::ops::Bound::Unbounded);
        state
            .tickets
            .range::<str, _>(beyond)
            .take(limit)
            .map(|(_, held)| TicketView::new(held, None))
            .collect()
    }

    /// A ticket's comments, oldest first.
    pub(super) async fn comment_views(&self, key: &str) -> Result<Vec<CommentView>, MailboxError> {
        let state = self.0.state.lock().await;
        if !state.tickets.contains_key(key) {
            return Err(MailboxError::Absent(key.to_owned()));
        }
        let comments = self.0.comments(key).map_err(|error| unusable(&error))?;
        Ok(comments.into_iter().map(|stored| stored.comment).collect())
    }

    /// Takes in what the adapter says of a ticket, and returns the ticket as it is then.
    pub(super) async fn report(&self, key: &str, report: Report) -> Result<TicketView, MailboxError> {
        let owned = key.to_owned();
        self.change(move |draft| {
            let mut held = draft.ticket(&owned)?;
            let (revision, before) = (held.ticket.revision, held.ticket.state.status);
            let again = held.report(&report, draft.now)?;
            if report.revision == Some(revision) {
                draft.acknowledge_fields(&owned)?;
            }
            if !again.is_empty() {
                draft.room(0)?;
                let kind = MessageKind::of_change(before, held.ticket.state.status);
                draft.tell(kind, &mut held, again, (None, None));
            }
            draft.put(held);
            Ok(())
        })
        .await?;
        self.view(key).await
    }

    /// Takes in a comment. Returns whether it is new.
    pub(super) async fn add_comment(&self, key: &str, comment: CommentView) -> Result<bool, MailboxError> {
        let key = key.to_owned();
        self.change(move |draft| {
            let mut held = draft.ticket(&key)?;
            let new = draft.comment(&mut held, false, comment)?;
            if new {
                held.take_up(draft.now);
                draft.put(held);
            }
            Ok(new)
        })
        .await
    }

    /// The ticket is gone, says the adapter. Said again it changes nothing.
    pub(super) async fn remove(&self, key: &str) -> Result<(), MailboxError> {
        let key = key.to_owned();
        self.change(move |draft| {
            let mut held = draft.ticket(&key)?;
            if held.remove(draft.now) {
                draft.put(held);
            }
            Ok(())
        })
        .await
    }

    /// Up to `limit` messages after `after` that are not acknowledged, oldest first.
    pub(super) async fn pending(&self, after: u64, limit: usize) -> Result<Vec<Message>, MailboxError> {
        let state = self.0.state.lock().await;
        let beyond = (std::ops::Bound::Excluded(after), std::ops::Bound::Unbounded);
        let messages = state.pending.range(beyond).take(limit).map(|(sequence, _)| self.0.message(*sequence));
        messages.filter_map(Result::transpose).collect::<Result<_, _>>().map_err(|error| unusable(&error))
    }

    /// Like `pending`, but where there are none waits for some, at most so long.
    pub(super) async fn await_pending(
        &self,
        after: u64,
        limit: usize,
        wait: Duration,
    ) -> Result<Vec<Message>, MailboxError> {
        // Taken before the first look, so that no message slips in between.
        let mut latest = self.0.latest.subscribe();
        let deadline = tokio::time::Instant::now() + wait;
        loop {
            latest.borrow_and_update();
            let found = self.pending(after, limit).await?;
            if !found.is_empty() || tokio::time::timeout_at(deadline, latest.changed()).await.is_err() {
                return Ok(found);
            }
        }
    }

    /// The adapter has carried out messages. Returns how many of them were open; said again that is none.
    pub(super) async fn acknowledge(&self, ids: Vec<String>) -> Result<usize, MailboxError> {
        self.change(move |draft| Ok(draft.acknowledge(&ids))).await
    }
}
