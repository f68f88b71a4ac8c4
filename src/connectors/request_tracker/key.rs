//! lockstep's key in a custom field: looking a ticket up by it, and noticing when the field does not work.
//!
//! A wrong field name or a missing right drops the key from a creation that answers 201 all the same, and a search by
//! an unknown field finds nothing: after a rename of the field the two would open tickets without end
//! (`ticketing.md` 3). So "there is none" is believed only where the queue has the field, and after a creation that
//! lost its key no other leaves until that ticket takes the key.

use std::sync::Mutex;

use serde_json::{Value, json};

use super::snapshot::{custom_field, number, ticket};
use super::{CLASS, OWNER, PER_PAGE, RequestTracker};
use crate::connectors::Depth;
use crate::connectors::text::shown;
use crate::connectors::ticketing::is_key;
use crate::http::{Call, CallError, Method};
use crate::model::{Comments, RecordRef, Snapshot};

/// The operation of a look-up.
const FIND: &str = "tickets.find";
/// The fields that make a snapshot of a row.
pub(super) const ROW: &str = "Subject,Status,Priority,Owner,Created,LastUpdated,LastUpdatedBy,CustomFields";

/// A ticket that was opened without its key, or out of this user's sight, until it is seen with its key.
#[derive(Debug, Default)]
pub(super) struct State(Mutex<Option<(u64, String)>>);

impl State {
    fn lost(&self) -> Option<(u64, String)> {
        self.0.lock().ok().and_then(|lost| lost.clone())
    }

    /// Remembers a ticket without its key, or that all is well.
    pub(super) fn set(&self, lost: Option<(u64, String)>) {
        if let Ok(mut state) = self.0.lock() {
            *state = lost;
        }
    }
}

/// A text as `TicketSQL` takes it.
pub(super) fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
}

impl RequestTracker {
    /// The ticket with a key. One call; one more where there is none. That there is none is believed of a user only who
    /// sees the queue's tickets at that.
    pub(super) async fn find_by_key(
        &self,
        planned: &RecordRef,
        depth: Depth,
    ) -> Result<Option<Snapshot>, CallError> {
        let key = planned.id.as_str();
        if !is_key(key) {
            return Err(self.endpoint.invalid(FIND, format!("{planned}: `{}` is no key", shown(key))));
        }
        let Some(mut found) = self.search(planned, key).await? else {
            self.key_field_exists().await?;
            return Ok(None);
        };
        if depth == Depth::Comments {
            found.comments = Comments::Listed(self.comments(&found.record).await?);
        }
        Ok(Some(found))
    }

    async fn search(&self, planned: &RecordRef, key: &str) -> Result<Option<Snapshot>, CallError> {
        let witness = self.sight.get().ticket;
        let beside = witness.map(|ticket| format!(" OR id = {ticket}")).unwrap_or_default();
        let query = format!("CF.{{{}}} = {}{beside}", self.settings.key_field, quoted(key));
        let query = [("query", query.as_str()), ("orderby", "id"), ("order", "ASC"), ("per_page", PER_PAGE)];
        let query: Vec<_> = query.into_iter().chain([("fields", ROW)]).chain(OWNER).collect();
        let answer = self.ask(FIND, &["tickets"], &query).await?;
        let (mut oldest, mut sees): (Option<Snapshot>, bool) = (None, false);
        for row in self.items(FIND, &answer)? {
            let bad = |what: String| self.endpoint.malformed(FIND, &answer, format!("{planned}: {what}"));
            let is_witness = witness.is_some() && number(&row["id"]) == witness;
            sees |= is_witness;
            // A service that ignored the query would have us take over somebody's ticket.
            if !has_key(row, &self.settings.key_field, key) {
                if is_witness {
                    continue;
                }
                let what = "the search by key brought a ticket without the key; nothing is created or linked";
                return Err(bad(what.to_owned()));
            }
            let read = ticket(&self.view(), row, "", false).map_err(bad)?;
            let is_older = |known: &Snapshot| number_of(&read) < number_of(known);
            if oldest.as_ref().is_none_or(is_older) {
                oldest = Some(read);
            }
        }
        let Some(oldest) = oldest else {
            if !sees {
                self.still_sees_tickets(FIND).await?;
            }
            return Ok(None);
        };
        // The search tells no revision.
        self.get(&oldest.record).await.map(Some)
    }

    /// Whether the queue's tickets have the key field. The error says what to mend.
    pub(super) async fn key_field_exists(&self) -> Result<(), CallError> {
        let fields = self.queue_fields().await?;
        if fields.contains(&self.settings.key_field) {
            return Ok(());
        }
        let what = format!(
            "the tickets of queue {} have no custom field `{}` that this user may see, so no ticket can be looked up \
             or opened; apply the field to the queue and grant SeeCustomField, or correct key_field",
            self.settings.queue, self.settings.key_field
        );
        Err(self.endpoint.to_mend("queue.get", what))
    }

    /// The names of the custom fields of the queue's tickets. One call.
    pub(super) async fn queue_fields(&self) -> Result<Vec<String>, CallError> {
        let operation = "queue.get";
        let answer = self.ask(operation, &["queue", &self.settings.queue], &[]).await?;
        let fields = answer.body["TicketCustomFields"].as_array().ok_or_else(|| {
            let what = "the queue states no TicketCustomFields; lockstep needs the right SeeCustomField";
            self.endpoint.malformed(operation, &answer, what.to_owned())
        })?;
        let names = fields.iter().filter_map(|field| field["name"].as_str());
        Ok(names.map(str::to_owned).collect())
    }

    /// Refuses a creation while the ticket that lost its key still does not take it, or cannot be seen. No call unless
    /// there is one.
    pub(super) async fn key_field_works(&self) -> Result<(), CallError> {
        let Some((lost, key)) = self.key.lost() else { return Ok(()) };
        if self.give_key(lost, &key).await? {
            self.key.set(None);
            return Ok(());
        }
        let what = format!(
            "ticket {lost} was opened without its key, since the custom field `{}` does not take one; no other ticket \
             is opened until it does: check the field and the rights ModifyCustomField and SetInitialCustomField",
            self.settings.key_field
        );
        Err(self.endpoint.to_mend("tickets.create", what))
    }

    /// Writes a key into a ticket, and tells whether it arrived. Two calls.
    pub(super) async fn give_key(&self, ticket: u64, key: &str) -> Result<bool, CallError> {
        let (operation, id) = ("tickets.key", ticket.to_string());
        let url = self.url(operation, &["ticket", &id], &[])?;
        let body = json!({"CustomFields": {self.settings.key_field.as_str(): key}});
        self.endpoint.send(Call::write(operation, CLASS, Method::PUT, url, body)).await?;
        let answer = self.ask(operation, &["ticket", &id], &[]).await?;
        Ok(has_key(&answer.body, &self.settings.key_field, key))
    }
}

/// Whether a ticket carries the key.
pub(super) fn has_key(json: &Value, field: &str, key: &str) -> bool {
    custom_field(json, field).flatten() == Some(key)
}

fn number_of(snapshot: &Snapshot) -> Option<u64> {
    number(&snapshot.raw["id"])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_quoted() {
        assert_eq!(quoted("it's \\"), "'it\\'s \\\\'");
    }
}
