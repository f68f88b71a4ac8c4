//! Writes. There is no conditional one (`ticketing.md` 1.6): only what changes is sent, and the answer, which shows the
//! record, is compared. Where a rule refuses a write because of one field, that field is left, and the rest is written.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::create::CREATE;
use super::people::USERS;
use super::refusal::{by_rule, demands, field_of, refuses};
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

/// The fields of a request, what is held back, and what the ticket cannot take.
#[derive(Debug, Default)]
pub(super) struct Body {
    pub(super) fields: Map<String, Value>,
    /// What a close has to give if it is asked for.
    held: Map<String, Value>,
    /// The columns that a close brings beside status and code.
    closing: BTreeSet<String>,
    pub(super) declined: Vec<Declined>,
}

impl Body {
    pub(super) fn set(&mut self, column: &str, value: impl Into<Value>) {
        self.fields.insert(column.to_owned(), value.into());
    }

    /// What a close brings with it: at once where the ticket has nothing there, else where it is asked for.
    fn close_with(&mut self, column: &str, value: &str, is_empty: bool) {
        self.closing.insert(column.to_owned());
        let place = if is_empty { &mut self.fields } else { &mut self.held };
        place.insert(column.to_owned(), json!(value));
    }

    pub(super) fn decline(&mut self, field: Field, reason: String) {
        if self.declined.iter().all(|declined| declined.field != field) {
            self.declined.push(Declined { field, reason });
        }
    }

    /// Makes of it what a refusal leaves room for: without the columns that it is about, and with those that it asks for,
    /// as far as there are any. A status is never left out. Says whether that is another request.
    pub(super) fn yields(&mut self, message: &str) -> bool {
        let refused: Vec<String> = self
            .fields
            .iter()
            .filter(|(column, _)| self.can_spare(column))
            .filter(|(column, value)| refuses(message, column, value.as_str().unwrap_or_default()))
            .map(|(column, _)| column.clone())
            .collect();
        let fields: Vec<Field> = refused.iter().filter_map(|column| field_of(column)).collect();
        // Both halves of a severity go together.
        let goes_with = |column: &str| field_of(column).is_some_and(|field| fields.contains(&field));
        self.fields.retain(|column, _| !refused.contains(column) && !goes_with(column));
        for field in fields {
            self.decline(field, format!("ServiceNow refuses it: {message}"));
        }
        let asked: Vec<String> =
            self.held.keys().filter(|column| demands(message, column)).cloned().collect();
        for column in &asked {
            if let Some(value) = self.held.remove(column) {
                self.fields.insert(column.clone(), value);
            }
        }
        !refused.is_empty() || !asked.is_empty()
    }

    /// Whether a write makes sense without a column: never without the status, the key, or what is configured for new
    /// tickets.
    fn can_spare(&self, column: &str) -> bool {
        column != "state" && (field_of(column).is_some() || self.closing.contains(column))
    }

    /// Leaves out what a new ticket can do without, where a refusal names nothing. Says whether that is another request.
    pub(super) fn spares(&mut self, message: &str) -> bool {
        let mut left_out = false;
        for field in [Field::Severity, Field::Owner] {
            let before = self.fields.len();
            self.fields.retain(|column, _| field_of(column) != Some(field));
            if self.fields.len() < before {
                left_out = true;
                self.decline(field, format!("ServiceNow refused a ticket with it: {message}"));
            }
        }
        left_out
    }

    /// The status with all that a change of it demands, and each other field by itself.
    fn in_parts(&self) -> Vec<(Option<Field>, Map<String, Value>)> {
        let moves = self.fields.contains_key("state");
        let part_of = |column: &str| match field_of(column) {
            Some(Field::Status | Field::Verdict) | None if moves => None,
            field => field,
        };
        let mut parts: Vec<(Option<Field>, Map<String, Value>)> = Vec::new();
        for (column, value) in &self.fields {
            let field = part_of(column);
            match parts.iter_mut().find(|(own, _)| *own == field) {
                Some((_, part)) => {
                    part.insert(column.clone(), value.clone());
                }
                None => parts.push((field, Map::from_iter([(column.clone(), value.clone())]))),
            }
        }
        parts.sort_by_key(|(field, _)| *field);
        parts
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
            return Ok(nothing(current, body));
        }
        let sent = self.send(id, (from, to.as_deref()), &mut body).await;
        let Some(answer) = sent.map_err(|error| self.explained(error, &body))? else {
            return Ok(nothing(current, body));
        };
        let asked = Some((current, patch, &body.fields));
        self.written(UPDATE, &current.record, answer, asked, body.declined).await
    }

    /// Sends a body. What the ticket refuses by name is left out of it, and what it asks for is added; where it names
    /// nothing, each part goes by itself, the status first. `None` where nothing of it could be written.
    async fn send(
        &self,
        id: &str,
        moves: (&str, Option<&str>),
        body: &mut Body,
    ) -> Result<Option<Answer>, CallError> {
        let mut first = None;
        while !body.fields.is_empty() {
            let refused = match self.whole(id, moves, &body.fields).await {
                Err(error @ CallError::Refused { .. }) => error,
                sent => return sent.map(Some),
            };
            let yields = body.yields(refused.words());
            tracing::info!(system = %self.endpoint.system, ticket = id, error = %refused, "a rule refuses the write as it is");
            let first = first.get_or_insert(refused);
            if !yields {
                return self.part_by_part(id, moves, body, first.clone()).await;
            }
        }
        Ok(None)
    }

    /// A refusal for lack of a close code, with the reason why there is none.
    fn explained(&self, error: CallError, body: &Body) -> CallError {
        let unknown = body.declined.iter().find(|declined| declined.field == Field::Verdict);
        match (&error, unknown) {
            (CallError::Refused { message, .. }, Some(unknown)) => {
                self.endpoint.refused(UPDATE, None, format!("{}; {message}", unknown.reason))
            }
            _ => error,
        }
    }

    /// Nobody knows which of several fields it is that a rule refuses. Those that go through are written, each by itself.
    async fn part_by_part(
        &self,
        id: &str,
        moves: (&str, Option<&str>),
        body: &mut Body,
        refused: CallError,
    ) -> Result<Option<Answer>, CallError> {
        let parts = body.in_parts();
        if parts.len() < 2 {
            return Err(refused);
        }
        let mut last = None;
        for (field, part) in &parts {
            let sent = match field {
                None => self.whole(id, moves, part).await,
                Some(_) => self.patch(UPDATE, id, part).await,
            };
            match (sent, field) {
                (Ok(answer), _) => last = Some(answer),
                (Err(CallError::Refused { message, .. }), Some(field)) => {
                    body.decline(*field, format!("ServiceNow refuses it: {message}"));
                    body.fields.retain(|column, _| !part.contains_key(column));
                }
                (Err(error), _) if last.is_some() => return Err(after_a_step(error)),
                (Err(error), _) => return Err(error),
            }
        }
        // A refusal of every single one is one of the whole.
        last.map(Some).ok_or(refused)
    }

    async fn whole(
        &self,
        id: &str,
        (from, to): (&str, Option<&str>),
        fields: &Map<String, Value>,
    ) -> Result<Answer, CallError> {
        let answer = self.patch(UPDATE, id, fields).await;
        match to {
            Some(to) => self.step_by_step(id, (from, to), fields, answer).await,
            None => answer,
        }
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
            // A field that is missing or refused would be so at the last step, too.
            Err(CallError::Refused { message, .. }) => {
                message.to_ascii_lowercase().contains("mandatory")
                    || fields.iter().any(|(column, value)| {
                        column != "state" && refuses(message, column, value.as_str().unwrap_or_default())
                    })
            }
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
        let closes = body
            .fields
            .get("state")
            .and_then(Value::as_str)
            .is_some_and(|s| self.settings.table.is_closed(s));
        if let Some(Native::Text(label)) = patch.native.get(&Field::Verdict) {
            match self.codes().await?.value(self.settings.table, label) {
                Ok(value) => body.set("close_code", value),
                // The close may do without; where it may not, the refusal tells what is missing.
                Err(reason) => body.decline(Field::Verdict, reason),
            }
        }
        if !closes {
            return Ok(());
        }
        if let Some(note) = patch.closing_comment.as_deref() {
            body.close_with("close_notes", &cut(note, MAX_TEXT), current.closing_comment.is_none());
        }
        for (column, value) in &self.settings.close_fields {
            if !body.fields.contains_key(column) {
                body.close_with(column, value, filled(&current.raw, column).is_none());
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
        asked: Option<(&Snapshot, &Patch, &Map<String, Value>)>,
        mut declined: Vec<Declined>,
    ) -> Result<Written, CallError> {
        let snapshot = match self.snapshot(operation, &answer, record).await {
            Ok(read) => Some(read),
            Err(_) if operation != CREATE => self.get(record).await.ok(),
            Err(_) => None,
        };
        if let (Some((current, patch, sent)), Some(read)) = (asked, &snapshot) {
            declined.extend(made_otherwise((current, read), patch, sent, &declined));
        }
        Ok(Written { snapshot, request_id: answer.request_id, declined })
    }
}

/// The ticket can take nothing of it.
fn nothing(current: &Snapshot, body: Body) -> Written {
    Written { snapshot: Some(current.clone()), request_id: None, declined: body.declined }
}

/// Fields that a write left as they were without a word, since an access rule keeps them (`ticketing.md` 1.4), and those
/// that a business rule made something else of. The answer is from the very transaction that carried the write out, so
/// nobody else had a say in it. A state that did not move is left to the core, which tries again and then says so, and so
/// is a title that was cut.
fn made_otherwise(
    (current, read): (&Snapshot, &Snapshot),
    patch: &Patch,
    sent: &Map<String, Value>,
    declined: &[Declined],
) -> Vec<Declined> {
    let differs = |column: &str| {
        let now = stated(&read.raw, column);
        now.is_some() && now != sent.get(column).and_then(Value::as_str)
    };
    let kept = |column: &str| stated(&read.raw, column) == stated(&current.raw, column);
    let mut found = Vec::new();
    for (field, wanted) in patch.native.iter().filter(|(field, _)| **field != Field::Status) {
        let mut columns = sent.keys().filter(|column| field_of(column) == Some(*field) && differs(column));
        let Some(column) = columns.next().filter(|_| declined.iter().all(|d| d.field != *field)) else {
            continue;
        };
        let wanted = shown(&wanted.to_string());
        let reason = if kept(column) {
            format!(
                "ServiceNow took `{wanted}` and kept what was there: an access rule (ACL) of the field, or a business rule; \
                 let lockstep's user write it"
            )
        } else if *field == Field::Title {
            continue;
        } else {
            let now = shown(stated(&read.raw, column).unwrap_or_default());
            format!(
                "a rule of ServiceNow made `{now}` in {column} of `{wanted}`; it does so at each such write"
            )
        };
        found.push(Declined { field: *field, reason });
    }
    found
}
