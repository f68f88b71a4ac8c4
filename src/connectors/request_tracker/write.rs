//! Writes. A PUT answers 200 with sentences also for what it refused, so each is read back (`ticketing.md` 3).

use serde_json::{Map, Value, json};

use super::key::has_key;
use super::snapshot::{custom_field, number};
use super::sound::{PERMISSION_DENIED, transaction_of};
use super::{CLASS, RequestTracker};
use crate::connectors::endpoint::after_a_step;
use crate::connectors::text::{MAX_COMMENT, cut, cut_keeping_last_line, shown};
use crate::connectors::ticketing::is_key;
use crate::connectors::{Audience, Declined, Opening, Written};
use crate::http::{Answer, Call, CallError, Method};
use crate::model::{Field, Lifecycle, Native, Patch, RecordId, RecordRef, Snapshot};

/// Statuses in which a public reply changes nothing. In all others a scrip that comes with the service opens the
/// ticket: a closed one would be reopened, and a new one would count as begun, though nobody has (seen on 5.0.3).
const ACTIVE: [&str; 2] = ["open", "stalled"];
/// What it says of a close while a ticket that this one depends on is open. It can be closed as soon as that one is.
const BLOCKED: &str = "unresolved dependencies";
/// Longest description, in UTF-16 units.
const MAX_DESCRIPTION: usize = 60_000;

/// The steps of priority that stand for severities, highest first, with what is written for each. The service calls
/// 0 low, 50 medium and 100 high where nobody told it otherwise.
const STEPS: [(i64, &str, i64); 4] = [(75, "75", 100), (50, "50", 50), (25, "25", 25), (i64::MIN, "0", 0)];

/// The step of a priority.
pub(super) fn step(priority: i64) -> &'static str {
    STEPS.iter().find(|(from, ..)| priority >= *from).map_or("0", |(_, step, _)| step)
}

fn priority(step: &str) -> Option<i64> {
    STEPS.iter().find(|(_, own, _)| *own == step).map(|(.., written)| *written)
}

impl RequestTracker {
    /// PUT of the changed fields with the revision as condition, then a GET. The condition is no lock: writers at the
    /// same instant may all pass (`real-servers.md` 1).
    pub(super) async fn put(&self, current: &Snapshot, patch: &Patch) -> Result<Written, CallError> {
        let operation = "tickets.update";
        let (record, mut declined) = (&current.record, Vec::new());
        let number = self.number(operation, record)?;
        let id = number.to_string();
        let (mut body, later) = self.body(operation, record, patch, &mut declined).await?;
        if let Some(note) = self.note(current, patch) {
            put_field(&mut body, note.0, note.1);
        }
        if body.is_empty() {
            let written = Written::new(Some(current.clone()), None);
            return Ok(Written { declined, ..written });
        }
        let url = self.url(operation, &["ticket", &id], &[])?;
        let call = Call::write(operation, CLASS, Method::PUT, url, Value::Object(body));
        let call = call.header("If-Match", format!("\"{}\"", current.revision));
        let answer = self.endpoint.send(call).await?;
        let sentences = sentences(&answer.body);
        let natives = current.native.iter().chain(&patch.native);
        self.reactions.wrote(number, natives.map(|(field, native)| (*field, native.clone())).collect());
        let Ok(after) = self.get(record).await else {
            let written = Written::new(None, answer.request_id);
            return Ok(Written { declined, ..written });
        };
        if after.lifecycle == Lifecycle::Present {
            // Fields are refused one by one: where the ticket moved, others may have been taken.
            let moved = after.revision != current.revision;
            if refused(Field::Status, current, &after, patch) {
                let what = format!("{record}: the status stayed as it was; the service says: {sentences}");
                let error = self.stayed(operation, &answer, what);
                return Err(if moved { after_a_step(error) } else { error });
            }
            if !moved && sentences.contains(PERMISSION_DENIED) {
                let what = format!("{record}: nothing was changed; the service says: {sentences}");
                return Err(self.stayed(operation, &answer, what));
            }
            let left = left(current, &after, patch, &sentences, &declined);
            declined.extend(left.into_iter().filter(|one| !later.contains(&one.field)));
        }
        let written = Written::new(Some(after), answer.request_id);
        Ok(Written { declined, ..written })
    }

    /// Why a ticket stayed as it was, as the sentences tell: what can pass is tried again.
    fn stayed(&self, operation: &'static str, answer: &Answer, what: String) -> CallError {
        let (site, status) = (Box::new(self.endpoint.site(operation, Some(answer))), answer.status);
        if what.contains(BLOCKED) {
            let message = format!("{what}; it is tried again, and succeeds once those tickets are closed");
            return CallError::Blocked { site, status, code: String::new(), message };
        }
        if what.contains(PERMISSION_DENIED) {
            let message = format!("{what}; grant the service user ModifyTicket on the queue again");
            return CallError::Denied { site, status, code: String::new(), message };
        }
        self.endpoint.refused(operation, Some(answer), what)
    }

    /// The closing note and its field, where the queue has one and the ticket has no note yet.
    fn note<'a>(&'a self, current: &Snapshot, patch: &'a Patch) -> Option<(&'a str, String)> {
        let (field, note) = self.settings.closing_field.as_deref().zip(patch.closing_comment.as_deref())?;
        let present = custom_field(&current.raw, field)?;
        present.is_none().then(|| (field, cut(note, MAX_COMMENT).into_owned()))
    }

    /// POST of a ticket with its key inside, then a GET that shows whether the key arrived.
    pub(super) async fn open(&self, planned: &RecordRef, opening: &Opening) -> Result<Written, CallError> {
        let operation = "tickets.create";
        let key = planned.id.as_str();
        if !is_key(key) {
            return Err(self.endpoint.invalid(operation, format!("{planned}: `{}` is no key", shown(key))));
        }
        self.key_field_works().await?;
        let mut declined = Vec::new();
        let (mut body, _) = self.body(operation, planned, &opening.patch, &mut declined).await?;
        body.insert("Queue".to_owned(), self.settings.queue.as_str().into());
        body.insert("ContentType".to_owned(), "text/plain".into());
        body.insert("Content".to_owned(), cut(&opening.description, MAX_DESCRIPTION).into());
        put_field(&mut body, &self.settings.key_field, key.to_owned());
        let url = self.url(operation, &["ticket"], &[])?;
        let call = Call::write(operation, CLASS, Method::POST, url, Value::Object(body));
        let answer = self.endpoint.send(call).await?;
        let id = number(&answer.body["id"]).unwrap_or_default();
        let opened = self.opened(planned, id).await.map_err(after_a_step)?;
        if let Some(opened) = &opened {
            let missed = |(field, wanted): &(&Field, &Native)| opened.native.get(field) != Some(*wanted);
            let told: Vec<Field> = declined.iter().map(|declined: &Declined| declined.field).collect();
            let left = opening.patch.native.iter().filter(missed).map(|(field, _)| *field);
            let reason = "Request Tracker opened the ticket without it; check the user's rights".to_owned();
            declined.extend(
                left.filter(|field| !told.contains(field))
                    .map(|field| Declined { field, reason: reason.clone() }),
            );
        }
        let written = Written::new(opened, answer.request_id);
        Ok(Written { declined, ..written })
    }

    /// The ticket just opened. One whose key was dropped is given it again; if that fails, no other is opened.
    async fn opened(&self, planned: &RecordRef, number: u64) -> Result<Option<Snapshot>, CallError> {
        let (key, field) = (planned.id.as_str(), &self.settings.key_field);
        let id = RecordId::new(number.to_string());
        let id = id.map_err(|e| self.endpoint.invalid("tickets.create", e.to_string()))?;
        let record = RecordRef::ticket(&self.endpoint.system, id);
        let read = match self.get(&record).await {
            Ok(read) => read,
            Err(error) => {
                // Who may open tickets and not see them would open this one again and again.
                if matches!(error, CallError::Denied { .. }) {
                    tracing::warn!(
                        system = %self.endpoint.system, ticket = number, %error,
                        "the ticket was opened and cannot be seen; no other is opened until it can"
                    );
                    self.key.set(Some((number, key.to_owned())));
                }
                return Ok(None);
            }
        };
        self.sight.saw_ticket(number);
        if let Some(creator) = read.raw["Creator"]["id"].as_str() {
            self.reactions.set_account(creator, true);
        }
        if has_key(&read.raw, field, key) {
            return Ok(Some(read));
        }
        // The answer named another ticket. To give that one the key would take it from its own incident.
        if custom_field(&read.raw, field).flatten().is_some_and(is_key) {
            let site = Box::new(self.endpoint.site("tickets.create", None));
            let message =
                format!("{record}, which the answer names, bears another key; the new ticket is looked up");
            return Err(CallError::Unknown { site, status: None, message, retry_after: None });
        }
        if self.give_key(number, key).await.unwrap_or(false) {
            return Ok(self.get(&record).await.ok());
        }
        tracing::warn!(
            system = %self.endpoint.system, ticket = number, key_field = field.as_str(),
            "the ticket was opened, but its key was dropped; no other is opened until the field takes it"
        );
        self.key.set(Some((number, key.to_owned())));
        Ok(Some(read))
    }

    /// POST of a comment: internal, or public where the configuration wants that and the ticket is in work. On a
    /// closed or a new one it is internal, since a reply would open it; that is nobody's word, and would be carried
    /// as one.
    pub(super) async fn post_comment(&self, current: &Snapshot, text: &str) -> Result<Written, CallError> {
        let operation = "comments.create";
        let number = self.number(operation, &current.record)?;
        let id = number.to_string();
        let in_work = matches!(current.native.get(&Field::Status), Some(Native::Text(status)) if ACTIVE.contains(&status.as_str()));
        let wants_public = self.settings.system.comments == Audience::Public;
        let public = wants_public && in_work;
        if wants_public && !public {
            tracing::info!(
                ticket = %current.record,
                "the copied comment is an internal one: a reply would open the ticket, which is new or closed"
            );
        }
        let way = if public { "correspond" } else { "comment" };
        let url = self.url(operation, &["ticket", &id, way], &[])?;
        let body = json!({"Content": cut_keeping_last_line(text, MAX_COMMENT), "ContentType": "text/plain"});
        let answer = self.endpoint.send(Call::write(operation, CLASS, Method::POST, url, body)).await?;
        self.reactions.wrote(number, current.native.clone());
        if let Some(comment) = transaction_of(&answer).filter(|_| !public) {
            self.sight.wrote_comment(comment);
        }
        Ok(Written::new(None, answer.request_id))
    }

    /// The members that a patch becomes, and the fields that must follow in a write of their own. What this ticket
    /// cannot take goes to `declined`.
    async fn body(
        &self,
        operation: &'static str,
        record: &RecordRef,
        patch: &Patch,
        declined: &mut Vec<Declined>,
    ) -> Result<(Map<String, Value>, Vec<Field>), CallError> {
        let (mut body, mut later) = (Map::new(), Vec::new());
        for (field, native) in &patch.native {
            let illegal =
                || self.endpoint.invalid(operation, format!("{record}: {field} cannot be `{native}`"));
            match (field, native) {
                (Field::Status, Native::Text(status)) => put(&mut body, "Status", status.as_str()),
                // Line breaks would be taken out (seen on 5.0.3).
                (Field::Title, Native::Text(title)) => put(&mut body, "Subject", title.as_str()),
                (Field::Severity, Native::Text(step)) if self.settings.severity => {
                    put(&mut body, "Priority", priority(step).ok_or_else(illegal)?);
                }
                (Field::Owner, Native::Text(_) | Native::Empty) => match self.owner_name(native).await {
                    Ok(Ok(name)) => put(&mut body, "Owner", name),
                    Ok(Err(unknown)) => declined.push(unknown),
                    // The owner follows in a write of its own; a close does not wait for it.
                    Err(error) if patch.native.contains_key(&Field::Status) => {
                        tracing::warn!(%record, %error, "the owner could not be looked up, and is written later");
                        later.push(*field);
                    }
                    Err(error) => return Err(error),
                },
                (Field::Verdict, Native::Text(_) | Native::Empty) => match &self.settings.verdict_field {
                    Some(name) => put_field(&mut body, name, text(native)),
                    None => declined.push(without(*field, "no verdict_field is configured")),
                },
                (Field::Severity, Native::Text(_)) => {
                    declined.push(without(*field, "the configuration says severity = false"));
                }
                (Field::Tags, _) => declined.push(without(*field, "its tickets have no labels")),
                _ => return Err(illegal()),
            }
        }
        Ok((body, later))
    }
}

/// The fields that stayed as they were although they were to change.
fn left(
    current: &Snapshot,
    after: &Snapshot,
    patch: &Patch,
    sentences: &str,
    known: &[Declined],
) -> Vec<Declined> {
    let told = |field: &Field| known.iter().any(|declined| declined.field == *field);
    let fields = patch.native.keys().filter(|field| **field != Field::Status && !told(field));
    let left = fields.filter(|field| refused(**field, current, after, patch));
    let reason = format!("Request Tracker left it as it was and says: {sentences}");
    left.map(|field| Declined { field: *field, reason: reason.clone() }).collect()
}

fn put_field(body: &mut Map<String, Value>, field: &str, value: String) {
    let fields = body.entry("CustomFields").or_insert_with(|| json!({}));
    fields[field] = value.into();
}

fn put(body: &mut Map<String, Value>, name: &str, value: impl Into<Value>) {
    body.insert(name.to_owned(), value.into());
}

fn text(native: &Native) -> String {
    if let Native::Text(text) = native { text.clone() } else { String::new() }
}

fn without(field: Field, why: &str) -> Declined {
    Declined { field, reason: format!("Request Tracker cannot take it: {why}") }
}

/// Whether a field was to change and did not. One that shows a third value was changed by somebody else meanwhile.
fn refused(field: Field, current: &Snapshot, after: &Snapshot, patch: &Patch) -> bool {
    let Some(wanted) = patch.native.get(&field) else { return false };
    let (before, now) = (current.native.get(&field), after.native.get(&field));
    now != Some(wanted) && now == before && after.lifecycle == Lifecycle::Present
}

/// What the service says of a write, shortened for messages.
fn sentences(body: &Value) -> String {
    let told: Vec<&str> = body.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    if told.is_empty() { "nothing".to_owned() } else { shown(&told.join("; ")).replace("\\'", "'") }
}
