//! Proof that lockstep's user reads the table. A rule before each query may take every row from a caller who lost a role,
//! and count none: that answer looks just like one that found nothing. So whoever asks for tickets also asks for one that was
//! shown before, the witness, in the same request. An answer without any row proves nothing.

use std::sync::{Mutex, PoisonError};

use serde_json::Value;

use super::ServiceNow;
use super::query::{Query, is_sys_id};
use super::snapshot::{fields, filled, stated};
use crate::connectors::text::shown;
use crate::http::{Answer, CallError};

const FIND: &str = "tickets.find";
/// Questions with another witness each, before an instance is believed not to understand the question.
const TRIES: usize = 2;

/// The `sys_id` of a ticket that was shown before.
#[derive(Debug, Default)]
pub(super) struct Witness(Mutex<Option<String>>);

impl Witness {
    /// Remembers a ticket that was just shown.
    pub(super) fn keep(&self, id: &str) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(id.to_owned());
    }

    pub(super) fn forget(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    fn get(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Rows of the ticket table, of a caller who reads it.
pub(super) struct Shown {
    /// What was asked for, and the witness.
    pub(super) rows: Vec<Value>,
    /// Which of them is the witness.
    pub(super) witness: String,
    pub(super) answer: Answer,
}

impl ServiceNow {
    /// The tickets of which a condition holds, in an order. One call; another one or two where no ticket is known that
    /// could be the witness, or the one that was is gone.
    pub(super) async fn tickets(
        &self,
        operation: &'static str,
        (condition, order): (&str, &str),
        limit: &str,
    ) -> Result<Shown, CallError> {
        for _ in 0..TRIES {
            let witness = self.witness().await?;
            let encoded = format!("{condition}^NQsys_id={witness}{order}");
            let (rows, answer) = self.ask(operation, &encoded, limit).await?;
            if !rows.is_empty() {
                return Ok(Shown { rows, witness, answer });
            }
            self.witness.forget();
        }
        let table = self.settings.table.name();
        let what = format!("{table} does not show what it showed a moment ago; is the query understood?");
        Err(self.endpoint.to_mend(operation, what))
    }

    /// Whether lockstep's user reads the table now.
    pub(super) async fn prove_reading(&self) -> Result<(), CallError> {
        self.witness.forget();
        self.witness().await.map(drop)
    }

    /// A ticket that was shown before; any ticket of the table, if none was.
    async fn witness(&self) -> Result<String, CallError> {
        if let Some(id) = self.witness.get() {
            return Ok(id);
        }
        let (rows, _) = self.ask(FIND, "ORDERBYsys_id", "1").await?;
        let (table, field) = (self.settings.table.name(), self.settings.look_up_field());
        let Some(row) = rows.first() else {
            let what = format!(
                "no ticket of {table} is shown to lockstep's user, so that its answers say nothing: give it the role that \
                 reads {table}. If the table is new, open a first ticket by hand"
            );
            return Err(self.endpoint.to_mend(FIND, what));
        };
        // On an instance that answers bad queries with nothing, only a row tells whether the field exists.
        if stated(row, field).is_none() {
            let what =
                format!("tickets of {table} show no field {field}: add it, or let lockstep's user read it");
            return Err(self.endpoint.to_mend(FIND, what));
        }
        let id = filled(row, "sys_id").filter(|id| is_sys_id(id)).ok_or_else(|| {
            let what = format!("sys_id is `{}`", shown(filled(row, "sys_id").unwrap_or_default()));
            self.endpoint.to_mend(FIND, what)
        })?;
        self.witness.keep(id);
        Ok(id.to_owned())
    }

    async fn ask(
        &self,
        operation: &'static str,
        encoded: &str,
        limit: &str,
    ) -> Result<(Vec<Value>, Answer), CallError> {
        let fields = fields(&self.settings);
        let query = Query { encoded, fields: &fields, limit };
        self.rows(operation, self.settings.table.name(), &query).await
    }
}
