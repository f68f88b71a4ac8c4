//! Whether this account still sees lockstep's cases, and the index still shows them.
//!
//! A case that an account may not see is answered as one that is not there, and lists just leave it out: after its
//! default organisation was changed, say, or while the index is rebuilt. So that there is none is believed only while
//! a *witness* is shown: a case of lockstep's that a list brought before. Lists and look-ups ask for it beside what
//! they want, which costs no call; one that is missing is looked into.

use serde_json::{Value, json};

use super::TheHive;
use super::query::{filter, first, is, since};
use super::snapshot::OWN;
use crate::http::{Call, CallError};
use crate::model::RecordId;

impl TheHive {
    /// Makes sure that this account still sees cases that lockstep opened, where an answer did not show the witness.
    /// One call, or three where none is to be seen.
    pub(super) async fn still_sees(&self, operation: &'static str) -> Result<(), CallError> {
        let before = self.memory.witness();
        let newest = json!({"_name": "sort", "_fields": [{"_createdAt": "desc"}]});
        let steps = [json!({"_name": "listCase"}), filter(is("tags", OWN)), newest, first(1)];
        let (rows, answer) = self.query(operation, &steps).await?;
        match (rows.first().and_then(id_of), before) {
            (Some(newest), before) if before.as_ref() != Some(&newest) => {
                self.memory.set_witness(Some(newest));
                Ok(())
            }
            (Some(witness), _) => {
                let what = format!(
                    "one query shows case {witness} and another one does not; is the index being rebuilt?"
                );
                Err(self.endpoint.malformed(operation, &answer, what))
            }
            (None, Some(before)) => {
                self.same_account().await?;
                let url = self.url(operation, &["case", before.as_str()])?;
                match self.send(Call::get(operation, "read", url)).await {
                    Err(CallError::Gone { .. }) => {
                        self.memory.set_witness(None);
                        Ok(())
                    }
                    Ok(_) => {
                        let what = format!(
                            "case {before} is there, and no list shows it; is the index being rebuilt?"
                        );
                        Err(self.endpoint.malformed(operation, &answer, what))
                    }
                    Err(error) => Err(error),
                }
            }
            (None, None) => self.same_account().await,
        }
    }

    /// Makes sure that a case which is said not to be there is not just out of sight.
    pub(super) async fn certainly_gone(&self, gone: CallError) -> CallError {
        let operation = gone.site().operation;
        if let Err(error) = self.confirm_witness(operation).await {
            return error;
        }
        if self.memory.saw_cases() {
            return gone;
        }
        let what = "this account sees no case that lockstep opened, so nothing can be said of one; is it in the right \
                    organisation? Set `organisation`";
        self.endpoint.to_mend(operation, what.to_owned())
    }

    /// A fresh look at the witness; another one where there is none.
    async fn confirm_witness(&self, operation: &'static str) -> Result<(), CallError> {
        let Some(witness) = self.memory.witness() else { return self.still_sees(operation).await };
        let steps = [json!({"_name": "listCase"}), filter(json!({"_id": witness.as_str()})), first(1)];
        let (rows, _) = self.query(operation, &steps).await?;
        if rows.first().and_then(id_of).as_ref() == Some(&witness) {
            return Ok(());
        }
        self.still_sees(operation).await
    }

    /// Asks afresh who we are, and where.
    async fn same_account(&self) -> Result<(), CallError> {
        let before = (self.memory.account(), self.memory.organisation());
        self.ask_account().await?;
        let now = (self.memory.account(), self.memory.organisation());
        if before.1.is_none() || before == now {
            return Ok(());
        }
        let (before, now) = (before.1.unwrap_or_default(), now.1.unwrap_or_default());
        self.memory.set_organisation(&before);
        let what = format!(
            "the account is in organisation {now} now, and was in {before}; set `organisation`, or change it back"
        );
        Err(self.endpoint.to_mend("account.get", what))
    }

    /// A condition that also lets the witness pass.
    pub(super) fn or_witness(&self, condition: Value) -> Value {
        match self.memory.witness() {
            Some(witness) => json!({"_or": [condition, {"_id": witness.as_str()}]}),
            None => condition,
        }
    }

    /// Whether a row is the witness.
    pub(super) fn is_witness(&self, row: &Value) -> bool {
        id_of(row).is_some_and(|id| self.memory.witness() == Some(id))
    }

    /// Rows as a list brought them: lockstep's own cases among them can be witnesses.
    pub(super) fn saw_rows(&self, rows: &[Value]) {
        let own = |row: &&Value| row["tags"].as_array().is_some_and(|tags| tags.iter().any(|tag| tag == OWN));
        if let Some(id) = rows.iter().filter(own).find_map(id_of) {
            self.memory.witness_if_none(&id);
        }
    }
}

/// Changed or opened at or after a time.
pub(super) fn touched(from: i64) -> Value {
    json!({"_or": [since("_updatedAt", from), since("_createdAt", from)]})
}

fn id_of(row: &Value) -> Option<RecordId> {
    row["_id"].as_str().filter(|id| super::is_id(id)).and_then(|id| RecordId::new(id).ok())
}
