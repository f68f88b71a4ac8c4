//! What lockstep does with the mailbox: the remote system of the sidecar connector.

use async_trait::async_trait;
use jiff::Timestamp;
use std::ops::Bound;

use super::held::Held;
use super::mailbox::{StoreMailbox, StoredComment, unusable};
use super::message::{CommentView, MessageKind};
use crate::connectors::sidecar::{Mailbox, MailboxError, Ticket, TicketComment, TicketState, TicketWrite};
use crate::model::{Comment, Field};

#[async_trait]
impl Mailbox for StoreMailbox {
    async fn changed(
        &self,
        from: Timestamp,
        beyond: bool,
        limit: usize,
    ) -> Result<(Vec<Ticket>, Timestamp), MailboxError> {
        let state = self.0.state.lock().await;
        let begin = if beyond { Bound::Excluded(from) } else { Bound::Included(from) };
        let keys = state.by_time.range((begin, Bound::Unbounded)).take(limit);
        let tickets = keys.filter_map(|(_, key)| state.tickets.get(key)).map(|held| held.ticket.clone());
        Ok((tickets.collect(), Timestamp::now().max(state.clock)))
    }

    async fn ticket(&self, key: &str) -> Result<Ticket, MailboxError> {
        let state = self.0.state.lock().await;
        let held = state.tickets.get(key);
        held.map(|held| held.ticket.clone()).ok_or_else(|| MailboxError::Absent(key.to_owned()))
    }

    async fn with_comments(&self, key: &str) -> Result<(Ticket, Vec<Comment>), MailboxError> {
        let state = self.0.state.lock().await;
        let held = state.tickets.get(key).ok_or_else(|| MailboxError::Absent(key.to_owned()))?;
        let comments = self.0.comments(key).map_err(|error| unusable(&error))?;
        Ok((held.ticket.clone(), comments.into_iter().map(plain).collect()))
    }

    async fn open(&self, key: &str, state: TicketState, description: String) -> Result<Ticket, MailboxError> {
        let key = key.to_owned();
        self.change(move |draft| {
            if let Ok(held) = draft.ticket(&key) {
                return Ok(held.ticket);
            }
            draft.room(1)?;
            let mut held = Held::open(&key, state, draft.now);
            draft.describe(&key, description.clone());
            draft.tell(MessageKind::Opened, &mut held, Field::ALL.to_vec(), (Some(description), None));
            draft.put(held.clone());
            Ok(held.ticket)
        })
        .await
    }

    async fn update(&self, key: &str, revision: u64, write: TicketWrite) -> Result<Ticket, MailboxError> {
        let key = key.to_owned();
        self.change(move |draft| {
            let mut held = draft.present(&key)?;
            let present = held.ticket.revision;
            if present != revision {
                return Err(MailboxError::Stale { key, expected: revision, present });
            }
            let before = held.ticket.state.status;
            let changed = held.write(&write, draft.now)?;
            if !changed.is_empty() {
                draft.room(0)?;
                let kind = MessageKind::of_change(before, held.ticket.state.status);
                draft.tell(kind, &mut held, changed, (None, None));
                draft.put(held.clone());
            }
            Ok(held.ticket)
        })
        .await
    }

    async fn comment(&self, key: &str, comment: TicketComment) -> Result<Ticket, MailboxError> {
        let key = key.to_owned();
        self.change(move |draft| {
            let mut held = draft.present(&key)?;
            let view = CommentView::from(comment);
            if draft.comment(&mut held, true, view.clone())? {
                draft.room(0)?;
                draft.tell(MessageKind::Commented, &mut held, Vec::new(), (None, Some(view)));
                draft.put(held.clone());
            }
            Ok(held.ticket)
        })
        .await
    }
}

fn plain(stored: StoredComment) -> Comment {
    let key = stored.key();
    let author = if stored.ours { Some("lockstep".to_owned()) } else { stored.comment.author };
    Comment { key, author, created: Some(stored.created), text: stored.comment.text }
}
