//! Opening a ticket: one POST with the key inside (`ticketing.md` 1.3).

use serde_json::Value;
use url::Url;

use super::key::CORRELATION;
use super::people::{GROUPS, USERS};
use super::refusal::by_rule;
use super::snapshot::{filled, stated};
use super::write::{Body, MAX_TEXT};
use super::{CLASS, ServiceNow, markup};
use crate::connectors::text::cut;
use crate::connectors::{Opening, Written};
use crate::http::{Answer, Call, CallError, Method};
use crate::model::RecordRef;

pub(super) const CREATE: &str = "tickets.create";
/// What `correlation_display` says.
const DISPLAY: &str = "lockstep";

impl ServiceNow {
    /// POST of a new ticket with the key inside.
    pub(super) async fn open(&self, planned: &RecordRef, opening: &Opening) -> Result<Written, CallError> {
        let key = self.key(CREATE, planned)?;
        self.mend_lost_key().await?;
        self.prove_key_field().await?;
        let mut body = Body::default();
        for (field, value) in &self.settings.create_fields {
            body.set(field, value.as_str());
        }
        self.put_fields(CREATE, &mut body, &opening.patch).await?;
        self.put_people(&mut body).await?;
        body.set("description", cut(&markup::broken(&opening.description), MAX_TEXT));
        body.set(CORRELATION, key);
        body.set("correlation_display", DISPLAY);
        if let Some(field) = &self.settings.key_field {
            body.set(field, key);
        }
        let url = self.ticket_url(CREATE, None)?;
        let answer = match self.post(&url, &mut body).await {
            Ok(answer) => answer,
            Err(error) if is_duplicate(&error) => return self.already_there(planned, error).await,
            Err(error) => return Err(error),
        };
        let row = &answer.body["result"];
        let arrived = stated(row, self.settings.look_up_field()) == Some(key);
        match filled(row, "sys_id") {
            Some(id) if arrived => self.witness.keep(id),
            Some(id) => self.key_was_lost(id, key),
            None => {}
        }
        self.written(CREATE, planned, answer, None, body.declined).await
    }

    /// POST. Of a refusal nothing remains, so it goes once more without what is refused by name, or, where nothing is
    /// named, without what a ticket can do without. What is configured is never left out.
    async fn post(&self, url: &Url, body: &mut Body) -> Result<Answer, CallError> {
        let mut first = None;
        loop {
            let fields = Value::Object(body.fields.clone());
            let call = Call::write(CREATE, CLASS, Method::POST, url.clone(), fields);
            let refused = match self.endpoint.send(call).await.map_err(by_rule) {
                Err(error @ CallError::Refused { .. }) if !is_duplicate(&error) => error,
                sent => return sent,
            };
            let words = refused.words().to_owned();
            let refused = first.get_or_insert(refused);
            if !body.yields(&words) && !body.spares(&words) {
                return Err(refused.clone());
            }
        }
    }

    /// Caller and group of a new ticket, as configured.
    async fn put_people(&self, body: &mut Body) -> Result<(), CallError> {
        let wanted = [
            ("caller_id", "caller", USERS, &self.settings.caller),
            ("assignment_group", "assignment_group", GROUPS, &self.settings.assignment_group),
        ];
        for (field, setting, directory, name) in wanted {
            let Some(name) = name else { continue };
            match self.look_up(directory, name).await? {
                Ok(id) => body.set(field, id),
                Err(reason) => return Err(self.endpoint.to_mend(CREATE, format!("{setting}: {reason}"))),
            }
        }
        Ok(())
    }

    /// The unique index of the key field found the ticket before we did: an earlier request of ours was late.
    async fn already_there(&self, planned: &RecordRef, error: CallError) -> Result<Written, CallError> {
        match self.by_key(planned).await? {
            Some(read) => Ok(Written::new(Some(read), None)),
            None => Err(error),
        }
    }
}

/// The answer of a unique index (`ticketing.md` 1.3).
fn is_duplicate(error: &CallError) -> bool {
    let message = match error {
        CallError::Refused { message, .. } | CallError::Denied { message, .. } => message,
        CallError::Conflict { message, .. } => message,
        _ => return false,
    };
    message.to_ascii_lowercase().contains("unique key")
}
