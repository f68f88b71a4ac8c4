//! Whether this user still sees the queue's tickets and their comments.
//!
//! Who loses the right to see them is answered 200 and an empty list, by searches, the feed and histories alike; a
//! ticket can even still be opened, and only a read by number says 403 (seen on 5.0.3). So an empty answer proves
//! nothing by itself. Each search by key, and each first page of the feed, therefore also asks for a *witness*: a
//! ticket that this user saw before, and a comment. That costs no call. A witness that is missing is looked into
//! before anything is concluded.

use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::Value;

use super::RequestTracker;
use super::key::quoted;
use super::snapshot::number;
use crate::http::{Answer, CallError};

/// What this user was seen to see. Lost with the process, and found again by the first look.
#[derive(Debug, Default)]
pub(super) struct Sight(Mutex<Witnesses>);

#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Witnesses {
    /// A ticket of the queue.
    pub(super) ticket: Option<u64>,
    /// The transaction of an internal comment in the queue.
    pub(super) comment: Option<u64>,
    /// Whether comments were found to be out of sight.
    pub(super) blind: bool,
}

impl Sight {
    pub(super) fn get(&self) -> Witnesses {
        *self.lock()
    }

    /// A ticket was seen.
    pub(super) fn saw_ticket(&self, number: u64) {
        self.lock().ticket.get_or_insert(number);
    }

    /// An internal comment was seen.
    pub(super) fn saw_comment(&self, transaction: u64) {
        let mut witnesses = self.lock();
        witnesses.comment.get_or_insert(transaction);
        witnesses.blind = false;
    }

    /// The comment is to be seen, once it was written.
    pub(super) fn wrote_comment(&self, transaction: u64) {
        self.lock().comment.get_or_insert(transaction);
    }

    fn set_ticket(&self, number: Option<u64>) {
        self.lock().ticket = number;
    }

    fn set_comment(&self, comment: Option<u64>, blind: bool) {
        let mut witnesses = self.lock();
        (witnesses.comment, witnesses.blind) = (comment, blind);
    }

    fn lock(&self) -> MutexGuard<'_, Witnesses> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Witnesses {
    /// The condition under which the feed brings them, beside what it is asked for.
    pub(super) fn in_feed(&self) -> String {
        let ticket = self.ticket.map(|ticket| format!(" OR (ObjectId = {ticket} AND Type = 'Create')"));
        let comment = self.comment.map(|comment| format!(" OR id = {comment}"));
        format!("{}{}", ticket.unwrap_or_default(), comment.unwrap_or_default())
    }

    /// Whether a transaction is one of them.
    pub(super) fn include(&self, row: &Value) -> bool {
        let is_ticket = row["Type"] == "Create" && number(&row["ObjectId"]) == self.ticket;
        self.ticket.is_some() && is_ticket || self.is_comment(row)
    }

    pub(super) fn is_comment(&self, row: &Value) -> bool {
        self.comment.is_some() && number(&row["id"]) == self.comment
    }
}

impl RequestTracker {
    /// The newest ticket of the queue that this user sees, which is the witness from now on. One call.
    pub(super) async fn newest(
        &self,
        operation: &'static str,
    ) -> Result<Option<(u64, Value, Answer)>, CallError> {
        let queue = format!("Queue = {}", quoted(&self.settings.queue));
        let query = [("query", queue.as_str()), ("orderby", "id"), ("order", "DESC"), ("per_page", "1")];
        let query: Vec<_> = query.into_iter().chain([("fields", "Created")]).collect();
        // A page of one row of many is what is asked for here.
        let answer = self.ask(operation, &["tickets"], &query).await?;
        let Some(row) = self.items(operation, &answer)?.first().cloned() else { return Ok(None) };
        let id = number(&row["id"]);
        let id = id.ok_or_else(|| {
            self.endpoint.malformed(operation, &answer, "a ticket without a number".to_owned())
        })?;
        self.sight.set_ticket(Some(id));
        Ok(Some((id, row, answer)))
    }

    /// Makes sure that this user still sees the queue's tickets, where an answer did not show it. An error says that it
    /// does not, or that it cannot be told. One call, or three where the queue shows none.
    pub(super) async fn still_sees_tickets(&self, operation: &'static str) -> Result<(), CallError> {
        let before = self.sight.get().ticket;
        if self.newest(operation).await?.is_some() {
            return Ok(());
        }
        self.sees_empty_queue(before).await
    }

    /// Whether a queue without a ticket to be seen is an empty one. It must be there itself, and what was seen before
    /// must be gone from it, and not out of sight: deleted, moved or merged, which a read by number shows.
    pub(super) async fn sees_empty_queue(&self, before: Option<u64>) -> Result<(), CallError> {
        self.queue_fields().await?;
        if let Some(before) = before {
            match self.ask("tickets.get", &["ticket", &before.to_string()], &[]).await {
                Ok(_) | Err(CallError::Gone { .. }) => self.sight.set_ticket(None),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Makes sure that this user still sees internal comments, where the feed did not show the one it showed before.
    pub(super) async fn still_sees_comments(&self, comment: u64) -> Result<(), CallError> {
        let operation = "comments.check";
        match self.ask(operation, &["transaction", &comment.to_string()], &[]).await {
            // Its ticket left the queue.
            Ok(_) => self.sight.set_comment(None, false),
            Err(CallError::Denied { .. }) => {
                self.sight.set_comment(Some(comment), true);
                return Err(self.blind(operation));
            }
            // One that does not exist is answered by 500; it is not asked for again.
            Err(error) => {
                self.sight.set_comment(None, false);
                return Err(error);
            }
        }
        Ok(())
    }

    /// Refuses to look for a comment while comments are out of sight: it would look as if there were none.
    pub(super) fn sees_comments(&self, operation: &'static str) -> Result<(), CallError> {
        if self.sight.get().blind { Err(self.blind(operation)) } else { Ok(()) }
    }

    fn blind(&self, operation: &'static str) -> CallError {
        let what = "the service user does not see internal comments any more, so they could neither be carried nor be \
                    looked up; grant ShowTicketComments on the queue again";
        self.endpoint.to_mend(operation, what.to_owned())
    }
}
