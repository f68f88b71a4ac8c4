//! Writes. There is no conditional one (`ticketing.md` 1.6): only what changes is sent, and the answer, which shows the
//! record, is compared.

use serde_json::{Map, Value, json};

use super::create::CREATE;
use super::people::USERS;
use super::snapshot::{filled, stated};
use super::{CLASS, ServiceNow, markup};
use crate::connectors::endpoint::after_a_step;
use crate::connectors::text::{MAX_COMMENT, cut, cut_keeping_last_line, shown};
use crate::connectors::{Audience, Declined, Written};
use crate::http::{Answer, Call, CallError, Method};
use crate::model::{Comments, Field, Native, Patch, RecordRef, Snapshot};

/// What `description` and `close_notes` keep, in characters.
pub(super) const MAX_TEXT: usize = 4_000;

const UPDATE: &str = "tickets.update";
const COMMENT: &str = "comments.create";

/// The fields of a request, and what the ticket cannot take.
#[derive(Debug, Default)]
pub(super) struct Body {
    pub(super) fields: Map<String, Value>,
    pub(super) declined: Vec<Declined>,
}

impl Body {
    pub(super) fn set(&mut self, field: &str, value: impl Into<Value>) {
        self.fields.insert(field.to_owned(), value.into());
    }

    fn decline(&mut self, field: Field, reason: String) {
        self.declined.push(Declined { field, reason });
    }
}

impl ServiceNow {
    /// PATCH of the changed fields.
    pub(super) async fn change(&self, current: &Snapshot, patch: &Patch) -> Result<Written, CallError> {
        let id = self.id(UPDATE, &current.record)?;
        let mut body = Body::default();
        self.put_fields(UPDATE, &mut body, patch).await?;
        self.put_closing(&mut body, current, patch).await?;
        let from = stated(&current.raw, "state").unwrap_or_default();
        let to = body.fields.get("state").and_then(Value::as_str).map(str::to_owned);
        if let Some(to) = &to
            && self.settings.table.is_final(from)
        {
            let what = format!(
                "{}: a closed incident of ServiceNow cannot be changed to state {to}; set `reopen = \"new-ticket\"` or \
                 \"ignore\" for the bridge, or keep incidents resolved for longer",
                current.record
            );
            return Err(self.endpoint.refused(UPDATE, None, what));
        }
        if body.fields.is_empty() {
            return Ok(Written {
                snapshot: Some(current.clone()),
                request_id: None,
                declined: body.declined,
            });
        }
        let answer = self.patch(UPDATE, id, &body.fields).await;
        let answer = match to {
            Some(to) => self.step_by_step(id, (from, &to), &body.fields, answer).await?,
            None => answer?,
        };
        self.written(UPDATE, &current.record, answer, Some((current, patch)), body.declined).await
    }

    async fn patch(
        &self,
        operation: &'static str,
        id: &str,
        fields: &Map<String, Value>,
    ) -> Result<Answer, CallError> {
        let url = self.ticket_url(operation, Some(id))?;
        let body = Value::Object(fields.clone());
        let sent = self.endpoint.send(Call::write(operation, CLASS, Method::PATCH, url, body)).await;
        sent.map_err(by_rule)
    }

    /// Where the process of a security incident did not let it jump to a later state, it is led there step by step;
    /// each step is a write of its own (`ticketing.md` 1.5).
    async fn step_by_step(
        &self,
        id: &str,
        (from, to): (&str, &str),
        fields: &Map<String, Value>,
        direct: Result<Answer, CallError>,
    ) -> Result<Answer, CallError> {
        let steps = self.settings.table.steps(from, to);
        let jumped = match &direct {
            Ok(answer) => stated(&answer.body["result"], "state") != Some(from),
            // A field that is missing would be missing at the last step, too.
            Err(CallError::Refused { message, .. }) => message.to_ascii_lowercase().contains("mandatory"),
            Err(_) => true,
        };
        if jumped || steps.len() < 2 {
            return direct;
        }
        tracing::info!(system = %self.endpoint.system, ticket = id, from, to, "the process takes one step at a time");
        // A jump that was answered and undone was carried out all the same: its other fields may have stayed.
        let mut began = direct.is_ok();
        for step in &steps[..steps.len() - 1] {
            let only = Map::from_iter([("state".to_owned(), json!(step))]);
            let stepped = self.patch(UPDATE, id, &only).await;
            stepped.map_err(|error| if began { after_a_step(error) } else { error })?;
            began = true;
        }
        self.patch(UPDATE, id, fields).await.map_err(after_a_step)
    }

    /// Status, severity, title and owner. A close code is put by [`Self::put_closing`].
    pub(super) async fn put_fields(
        &self,
        operation: &'static str,
        body: &mut Body,
        patch: &Patch,
    ) -> Result<(), CallError> {
        for (field, native) in &patch.native {
            match (field, native) {
                (Field::Status, Native::Text(state)) => body.set("state", state.as_str()),
                (Field::Title, Native::Text(title)) => body.set("short_description", title.as_str()),
                (Field::Severity, Native::Text(pair)) if pair.contains('/') => {
                    let (impact, urgency) = pair.split_once('/').unwrap_or_default();
                    body.set("impact", impact);
                    body.set("urgency", urgency);
                }
                (Field::Owner, Native::Empty) => body.set("assigned_to", ""),
                (Field::Owner, Native::Text(name)) => match self.look_up(USERS, name).await? {
                    Ok(id) => body.set("assigned_to", id),
                    Err(reason) => body.decline(Field::Owner, reason),
                },
                (Field::Verdict, _) => {}
                (field, native) => {
                    let what = format!("{field} cannot be `{native}` in ServiceNow");
                    return Err(self.endpoint.invalid(operation, what));
                }
            }
        }
        Ok(())
    }

    /// What a close demands: code, notes and the configured fields. Notes and fields only where the ticket has none:
    /// what people wrote stays (`ticketing.md` F13).
    async fn put_closing(&self, body: &mut Body, current: &Snapshot, patch: &Patch) -> Result<(), CallError> {
        let state = body.fields.get("state").and_then(Value::as_str);
        let closes = state.is_some_and(|state| self.settings.table.is_closed(state));
        if let Some(Native::Text(label)) = patch.native.get(&Field::Verdict) {
            match self.codes().await?.value(self.settings.table, label) {
                Ok(value) => body.set("close_code", value),
                Err(reason) if closes => {
                    return Err(self.endpoint.refused(UPDATE, None, format!("{}: {reason}", current.record)));
                }
                Err(reason) => body.decline(Field::Verdict, reason),
            }
        }
        if !closes {
            return Ok(());
        }
        if let Some(note) = patch.closing_comment.as_deref().filter(|_| current.closing_comment.is_none()) {
            body.set("close_notes", cut(note, MAX_TEXT));
        }
        for (field, value) in &self.settings.close_fields {
            if filled(&current.raw, field).is_none() && !body.fields.contains_key(field) {
                body.set(field, value.as_str());
            }
        }
        Ok(())
    }

    /// PATCH of one journal entry. There is no id of ours and no edit: a repeated one is a second entry
    /// (`ticketing.md` 1.7). The journal is read afterwards, since the answer does not show it.
    pub(super) async fn append(&self, current: &Snapshot, text: &str) -> Result<Written, CallError> {
        let id = self.id(COMMENT, &current.record)?;
        let field = match self.settings.system.comments {
            Audience::Internal => "work_notes",
            Audience::Public => "comments",
        };
        let text = cut_keeping_last_line(text, MAX_COMMENT);
        let body = Map::from_iter([(field.to_owned(), json!(markup::broken(&text)))]);
        let answer = self.patch(COMMENT, id, &body).await?;
        let mut written = self.written(COMMENT, &current.record, answer, None, Vec::new()).await?;
        if let Some(read) = &mut written.snapshot {
            // Unread is not unwritten: the core reads it back before it writes again.
            let listed = self.comments(&current.record).await;
            read.comments = listed.map_or(Comments::Untold, Comments::Listed);
        }
        Ok(written)
    }

    /// What a write brought. The answer shows the record; one that does not is followed by one read.
    pub(super) async fn written(
        &self,
        operation: &'static str,
        record: &RecordRef,
        answer: Answer,
        asked: Option<(&Snapshot, &Patch)>,
        mut declined: Vec<Declined>,
    ) -> Result<Written, CallError> {
        let snapshot = match self.snapshot(operation, &answer, record).await {
            Ok(read) => Some(read),
            Err(_) if operation != CREATE => self.get(record).await.ok(),
            Err(_) => None,
        };
        if let (Some((current, patch)), Some(read)) = (asked, &snapshot) {
            declined.extend(dropped(current, patch, read, &declined));
        }
        Ok(Written { snapshot, request_id: answer.request_id, declined })
    }
}

/// Fields that a write left as they were without a word: an access rule keeps them (`ticketing.md` 1.4). A state that
/// did not move is left to the core, which tries again and then says so.
fn dropped(current: &Snapshot, patch: &Patch, read: &Snapshot, declined: &[Declined]) -> Vec<Declined> {
    let kept = |field: &Field, wanted: &Native| {
        let (before, after) = (current.native.get(field), read.native.get(field));
        after.is_some() && before == after && after != Some(wanted)
    };
    let fields = patch.native.iter().filter(|(field, _)| **field != Field::Status);
    fields
        .filter(|(field, _)| !declined.iter().any(|d| d.field == **field))
        .filter(|(field, wanted)| kept(field, wanted))
        .map(|(field, wanted)| {
            let reason = format!(
                "ServiceNow took `{}` and kept what was there: an access rule (ACL) of the field, or a business rule; \
                 let lockstep's user write it",
                shown(&wanted.to_string())
            );
            Declined { field: *field, reason }
        })
        .collect()
}

/// 403 stands for missing permissions and for refusals by a data policy or business rule alike; only the text tells
/// (`ticketing.md` 1.4). The second kind is not mended by trying again.
pub(super) fn by_rule(error: CallError) -> CallError {
    match error {
        CallError::Denied { site, status: status @ 403, code, message } if is_rule(&message) => {
            CallError::Refused { site, status, code, message }
        }
        error => error,
    }
}

fn is_rule(message: &str) -> bool {
    let text = message.to_ascii_lowercase();
    let permission = ["acl", "security constraint", "not authorized", "insufficient rights"];
    let rule =
        ["data policy", "mandatory", "business rule", "aborted", "unique key", "invalid", "operation failed"];
    rule.iter().any(|word| text.contains(word)) && !permission.iter().any(|word| text.contains(word))
}
