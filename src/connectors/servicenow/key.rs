//! The key inside a ticket: what it looks like, how a ticket is found by it, and the proof that it can be relied on.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use serde_json::{Value, json};

use super::snapshot::{Reader, filled, stated};
use super::witness::Shown;
use super::{CLASS, ServiceNow};
use crate::connectors::text::shown;
use crate::connectors::ticketing::{IMPOSSIBLE_KEY, is_key};
use crate::http::{Answer, Call, CallError, Method};
use crate::model::{RecordRef, Snapshot};

/// The field of every task that holds the key of another system (100 characters, `ticketing.md` 1.3).
pub(super) const CORRELATION: &str = "correlation_id";
/// Tickets with one key that are looked at. More than one is rare, a hundred is a field that is not ours.
const MOST: &str = "20";

const FIND: &str = "tickets.find";

/// What is known of the key field.
#[derive(Debug, Default)]
pub(super) struct KeyState {
    /// An impossible key found nothing, since this process began.
    proven: AtomicBool,
    /// A ticket whose key did not arrive, and the key.
    lost: Mutex<Option<(String, String)>>,
}

impl ServiceNow {
    /// The key that a planned ticket goes by. Anything else is refused: a blank one would match every ticket without
    /// (`ticketing.md` F1).
    pub(super) fn key<'r>(
        &self,
        operation: &'static str,
        planned: &'r RecordRef,
    ) -> Result<&'r str, CallError> {
        let key = planned.id.as_str();
        if is_key(key) {
            return Ok(key);
        }
        Err(self.endpoint.invalid(operation, format!("{planned}: this is no key of lockstep's")))
    }

    /// The oldest ticket with the key.
    pub(super) async fn by_key(&self, planned: &RecordRef) -> Result<Option<Snapshot>, CallError> {
        let key = self.key(FIND, planned)?;
        let (rows, answer) = self.with_key(key).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        let codes = self.codes_for(std::slice::from_ref(row)).await?;
        let reader = Reader { settings: &self.settings, codes: &codes };
        let bad = |what: String| self.endpoint.malformed(FIND, &answer, format!("{planned}: {what}"));
        reader.ticket(row, true).map(Some).map_err(bad)
    }

    /// The tickets with a key, oldest first. Rows that do not carry it show that the condition was dropped.
    async fn with_key(&self, key: &str) -> Result<(Vec<Value>, Answer), CallError> {
        let field = self.settings.look_up_field();
        let by = (&*format!("{field}={key}"), "^ORDERBYsys_created_on^ORDERBYsys_id");
        let Shown { mut rows, witness, answer } = self.tickets(FIND, by, MOST).await?;
        let beside = |row: &Value| {
            filled(row, "sys_id") == Some(&witness) && stated(row, field).is_some_and(|own| own != key)
        };
        rows.retain(|row| !beside(row));
        if let Some(foreign) = rows.iter().find(|row| stated(row, field) != Some(key)) {
            let id = shown(filled(foreign, "sys_id").unwrap_or("(none)"));
            let what = format!(
                "the look-up by {field} brought ticket {id}, which does not carry the key: does the field exist, and \
                 may lockstep's user read it? Nothing is created until it does"
            );
            return Err(self.endpoint.to_mend(FIND, what));
        }
        Ok((rows, answer))
    }

    /// Whether the key field can be relied on: an impossible key finds nothing. That the field is there, the witness shows.
    /// Asked once per process.
    pub(super) async fn prove_key_field(&self) -> Result<(), CallError> {
        if self.key.proven.load(Ordering::Relaxed) {
            return Ok(());
        }
        let (rows, _) = self.with_key(IMPOSSIBLE_KEY).await?;
        if !rows.is_empty() {
            let what = "an impossible key was found in a ticket; take it out".to_owned();
            return Err(self.endpoint.to_mend(FIND, what));
        }
        self.key.proven.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// Remembers a ticket that was created without its key.
    pub(super) fn key_was_lost(&self, id: &str, key: &str) {
        let field = self.settings.look_up_field();
        tracing::warn!(
            system = %self.endpoint.system, ticket = id, field,
            "the key did not arrive in a new ticket; no further ones are created until the field takes it: let \
             lockstep's user write it"
        );
        self.key.proven.store(false, Ordering::Relaxed);
        *self.key.lost.lock().unwrap_or_else(PoisonError::into_inner) = Some((id.to_owned(), key.to_owned()));
    }

    /// Gives a ticket that was created without its key the key. Until that works, nothing is created.
    pub(super) async fn mend_lost_key(&self) -> Result<(), CallError> {
        let operation = "tickets.update";
        let lost = self.key.lost.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let Some((id, key)) = lost else { return Ok(()) };
        let url = self.ticket_url(operation, Some(&id))?;
        let field = self.settings.look_up_field();
        let body = json!({ field: key });
        match self.endpoint.send(Call::write(operation, CLASS, Method::PATCH, url, body)).await {
            Ok(answer) if stated(&answer.body["result"], field) == Some(&key) => {}
            Err(CallError::Gone { .. }) => self.prove_reading().await?,
            Err(error @ (CallError::NotSent { .. } | CallError::Throttled { .. })) => return Err(error),
            Ok(_) | Err(_) => {
                let what = format!(
                    "ticket {id} was created, but its key did not arrive in {field}; nothing more is created until \
                     lockstep's user may write that field"
                );
                return Err(self.endpoint.to_mend("tickets.create", what));
            }
        }
        *self.key.lost.lock().unwrap_or_else(PoisonError::into_inner) = None;
        Ok(())
    }
}
