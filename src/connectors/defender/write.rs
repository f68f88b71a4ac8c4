//! Writes: only what changes, and nothing that the service must not be told.

use serde_json::{Map, Value, json};

use super::snapshot::{comments, snapshot};
use super::wire::WireComment;
use super::{Defender, collection};
use crate::connectors::microsoft::yielding::{Names, Yielding};
use crate::connectors::stated::{Stated, verdict_parts};
use crate::connectors::text::{MAX_COMMENT, cut, cut_keeping_last_line};
use crate::connectors::{OWN_TAG, Written};
use crate::http::{CallError, Method};
use crate::model::{Comments, Field, Native, Patch, RecordKind, Snapshot};

/// What an incident's status may be set to (2.5): `redirected` would make it unopenable in the portal.
const INCIDENT_STATUS: [&str; 3] = ["active", "inProgress", "resolved"];
/// What an alert's status may be set to (3.3).
const ALERT_STATUS: [&str; 3] = ["new", "inProgress", "resolved"];

/// What the service calls the fields that a change can do without. Mostly it names none (5.3).
const NAMES: &Names = &[
    (Field::Severity, &["severity"]),
    (Field::Verdict, &["classification", "determination"]),
    (Field::Owner, &["assignedTo"]),
    (Field::Tags, &["customTags"]),
    (Field::Title, &["displayName"]),
];

impl Defender {
    /// PATCH of the changed fields. What is refused is left out, and the rest sent again.
    pub(super) async fn patch(&self, current: &Snapshot, patch: &Patch) -> Result<Written, CallError> {
        let mut yielding = Yielding::new(patch);
        loop {
            let error = match self.send_patch(current, &yielding.patch).await {
                Ok(written) => return Ok(Written { declined: yielding.declined, ..written }),
                Err(error) => error,
            };
            if !yielding.leaves_out(&error, NAMES) && !yielding.narrows(&error, &[]) {
                return Err(error);
            }
            if yielding.patch.is_empty() {
                return Ok(Written {
                    declined: yielding.declined,
                    ..Written::new(Some(current.clone()), None)
                });
            }
        }
    }

    async fn send_patch(&self, current: &Snapshot, patch: &Patch) -> Result<Written, CallError> {
        let kind = current.record.kind;
        let operation = if kind == RecordKind::Alert { "alerts.update" } else { "incidents.update" };
        let body = patch_body(current, patch)
            .map_err(|what| self.endpoint.invalid(operation, format!("{}: {what}", current.record)))?;
        let segments = [collection(kind), current.record.id.as_str()];
        let call = self.write(operation, Method::PATCH, &segments, body)?;
        let answer = self.endpoint.send(call).await?;
        // The write was made; an answer that cannot be read only means that a read must tell.
        let read = snapshot(&self.endpoint.system, kind, &answer.body, true).ok();
        Ok(Written::new(read, answer.request_id))
    }

    /// POST of one comment; the answer lists all of them (2.9).
    pub(super) async fn add_comment(&self, current: &Snapshot, text: &str) -> Result<Written, CallError> {
        let segments = [collection(current.record.kind), current.record.id.as_str(), "comments"];
        let call = self.write("comments.create", Method::POST, &segments, comment_body(text))?;
        let answer = self.endpoint.send(call).await?;
        let listed: Stated<Vec<Stated<WireComment>>> =
            serde_json::from_value(answer.body["value"].clone()).unwrap_or_default();
        let read = match comments(&listed) {
            Comments::Listed(list) if !list.is_empty() => Some(with_comments(current, list, &answer.body)),
            _ => None,
        };
        Ok(Written::new(read, answer.request_id))
    }
}

fn with_comments(current: &Snapshot, list: Vec<crate::model::Comment>, body: &Value) -> Snapshot {
    let mut snapshot = current.clone();
    snapshot.comments = Comments::Listed(list);
    if let Some(raw) = snapshot.raw.as_object_mut() {
        raw.insert("comments".to_owned(), body["value"].clone());
    }
    snapshot
}

/// One object and not an array, which is what the generated clients wrongly send (section 7, item 8).
pub(super) fn comment_body(text: &str) -> Value {
    let text = cut_keeping_last_line(text, MAX_COMMENT);
    json!({"@odata.type": "microsoft.graph.security.alertComment", "comment": text})
}

/// The body of a PATCH. The error says which value must not be sent.
pub(super) fn patch_body(current: &Snapshot, patch: &Patch) -> Result<Value, String> {
    let mut body = Map::new();
    for (field, native) in &patch.native {
        match current.record.kind {
            RecordKind::Incident => put_incident(&mut body, *field, native, &current.raw)?,
            RecordKind::Alert => put_alert(&mut body, *field, native)?,
            RecordKind::Ticket => return Err("Defender has no tickets".to_owned()),
        }
    }
    if let (RecordKind::Incident, Some(note)) = (current.record.kind, &patch.closing_comment) {
        body.insert("resolvingComment".to_owned(), cut(note, MAX_COMMENT).into());
    }
    if body.is_empty() {
        return Err("nothing in this change can be written there".to_owned());
    }
    Ok(Value::Object(body))
}

fn put_incident(
    body: &mut Map<String, Value>,
    field: Field,
    native: &Native,
    raw: &Value,
) -> Result<(), String> {
    match field {
        Field::Status => put(body, "status", one_of(native, &INCIDENT_STATUS)?),
        Field::Severity => put(body, "severity", plain(field, native)?),
        Field::Verdict => put_verdict(body, native)?,
        Field::Owner => put(body, "assignedTo", owner(native)),
        Field::Tags => put(body, "customTags", custom_tags(native, raw)),
        Field::Title => put(body, "displayName", plain(field, native)?),
    }
    Ok(())
}

/// Severity, title and tags of an alert cannot be written; they are left out.
fn put_alert(body: &mut Map<String, Value>, field: Field, native: &Native) -> Result<(), String> {
    match field {
        Field::Status => put(body, "status", one_of(native, &ALERT_STATUS)?),
        Field::Verdict => put_verdict(body, native)?,
        Field::Owner => put(body, "assignedTo", owner(native)),
        Field::Severity | Field::Tags | Field::Title => {}
    }
    Ok(())
}

fn put(body: &mut Map<String, Value>, name: &str, value: Value) {
    body.insert(name.to_owned(), value);
}

/// Classification and determination go together (2.5); `unknown/unknown` is the pair that says nothing.
fn put_verdict(body: &mut Map<String, Value>, native: &Native) -> Result<(), String> {
    let (class, det) = verdict_parts(native).unwrap_or(("unknown", None));
    for (name, value) in [("classification", class), ("determination", det.unwrap_or("unknown"))] {
        put(body, name, sendable(value)?.into());
    }
    Ok(())
}

fn one_of(native: &Native, allowed: &[&str]) -> Result<Value, String> {
    match native {
        Native::Text(text) if allowed.contains(&text.as_str()) => Ok(text.as_str().into()),
        other => Err(format!("status `{other}` must not be sent; only {} can", allowed.join(", "))),
    }
}

fn plain(field: Field, native: &Native) -> Result<Value, String> {
    match native {
        Native::Text(text) => sendable(text).map(Value::from),
        other => Err(format!("{field} cannot be `{other}`")),
    }
}

/// The service's stand-in for values it does not name; never valid in a request (2.4).
fn sendable(text: &str) -> Result<&str, String> {
    if text == "unknownFutureValue" {
        Err("`unknownFutureValue` must not be sent; correct the translation table".to_owned())
    } else {
        Ok(text)
    }
}

fn owner(native: &Native) -> Value {
    match native {
        Native::Text(account) => account.as_str().into(),
        Native::Empty | Native::Set(_) => Value::Null,
    }
}

/// The list replaces the whole list, so lockstep's own tags go along.
fn custom_tags(native: &Native, raw: &Value) -> Value {
    let present = raw["customTags"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let own = present.filter(|tag| tag.starts_with(OWN_TAG)).map(str::to_owned);
    let people: Vec<String> = match native {
        Native::Set(set) => set.iter().cloned().collect(),
        Native::Text(tag) => vec![tag.clone()],
        Native::Empty => Vec::new(),
    };
    own.chain(people).map(Value::from).collect()
}
