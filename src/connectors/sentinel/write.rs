//! Writes. A PUT replaces the whole incident, so all that can be written is sent again (`sentinel.md` 1.4).

use serde::Deserialize;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::Sentinel;
use super::snapshot::ORIGIN_TAG;
use super::snapshot::{CLOSED, incident, is_redirect_label, owner};
use crate::connectors::microsoft::yielding::{Names, Yielding, names};
use crate::connectors::stated::{Stated, verdict_parts};
use crate::connectors::text::{MAX_COMMENT, cut, cut_keeping_last_line};
use crate::connectors::{Declined, OWN_TAG, Opening, Written};
use crate::http::{Call, CallError, Method};
use crate::model::{CommentKey, Field, Native, Patch, RecordRef, Snapshot};

/// The properties that a PUT may set; the service would reset those left out.
const WRITABLE: [&str; 11] = [
    "title",
    "description",
    "severity",
    "status",
    "classification",
    "classificationReason",
    "classificationComment",
    "owner",
    "labels",
    "firstActivityTimeUtc",
    "lastActivityTimeUtc",
];
const VERDICT: [&str; 3] = ["classification", "classificationReason", "classificationComment"];

/// What the service calls the fields that a change can do without (`sentinel.md` 1.4, 1.6).
const NAMES: &Names = &[
    (Field::Severity, &["severity"]),
    (Field::Owner, &["owner", "userPrincipalName", "objectId", "assignedTo", "email"]),
    (Field::Tags, &["labels", "labelName"]),
    (Field::Title, &["title"]),
];
/// A refusal of one of these is of what a close demands, whatever else goes with it.
const OUTCOME: [&str; 3] = ["status", "classification", "classificationReason"];

/// What stands for a title that is blank. An incident of Defender may have such a one, and its twin here as well, but a
/// PUT must name one that is not. Read, it says nothing, like the blank one.
pub(super) const UNTITLED: &str = "(no title)";
/// Longest description that the service takes (`sentinel.md` 1.4). That of a twin comes from Defender, where it is not
/// limited.
const MAX_DESCRIPTION: usize = 5_000;

/// Properties that nobody edits here, and that are sent in a plainer form because the service refused what it itself had.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Plain {
    /// The owner by its object id alone, which is the safest form (`sentinel.md` 1.6).
    owner: bool,
    /// The description cut to what the service takes.
    description: bool,
}

impl Plain {
    /// Whether a refusal names one of them that is not sent so yet.
    fn takes(&mut self, error: &CallError, patch: &Patch) -> bool {
        let before = *self;
        self.description |= names(error, &["description"]);
        self.owner |= !patch.native.contains_key(&Field::Owner) && names(error, &["owner"]);
        *self != before
    }

    /// The body of an update with them.
    fn applied(self, mut body: Value) -> Value {
        let properties = &mut body["properties"];
        if let Some(text) = properties["description"].as_str().filter(|_| self.description) {
            properties["description"] = cut(text, MAX_DESCRIPTION).into_owned().into();
        }
        if let Some(id) = properties["owner"]["objectId"].as_str().filter(|_| self.owner) {
            properties["owner"] = json!({ "objectId": id });
        }
        body
    }
}

/// The id under which a comment goes to an incident: the key itself if it is a GUID, else one derived from both.
/// The same key always gives the same comment, so that a repeated write is harmless (`sentinel.md` 2.1).
///
/// `incident_id` is the incident's record id.
pub fn comment_id(incident_id: &str, key: &CommentKey) -> CommentKey {
    let id = Uuid::parse_str(key.as_str()).unwrap_or_else(|_| {
        let name = format!("Microsoft.SecurityInsights/incidents/{}", incident_id.to_ascii_lowercase());
        let namespace = Uuid::new_v5(&Uuid::NAMESPACE_URL, name.as_bytes());
        Uuid::new_v5(&namespace, key.as_str().as_bytes())
    });
    CommentKey::from_id(&id.to_string())
}

impl Sentinel {
    /// PUT of the merged incident with its etag; a stale one is a conflict. What is refused goes back to what it was, or
    /// into a form that is not, and the rest is sent again.
    pub(super) async fn replace(&self, current: &Snapshot, patch: &Patch) -> Result<Written, CallError> {
        let (operation, mut plain) = ("incidents.update", Plain::default());
        let (patch, mut declined) = takeable(patch, current.native.contains_key(&Field::Owner));
        let mut yielding = Yielding::new(&patch);
        while !yielding.patch.is_empty() {
            let body = update_body(current, &yielding.patch).map(|body| plain.applied(body));
            let error = match self.put(operation, &current.record, body).await {
                Ok(written) => {
                    declined.extend(yielding.declined);
                    return Ok(Written { declined, ..written });
                }
                Err(error) => error,
            };
            let smaller = yielding.leaves_out(&error, NAMES)
                || plain.takes(&error, &yielding.patch)
                || !names(&error, &OUTCOME) && yielding.narrows(&error, &[Field::Verdict]);
            if !smaller {
                return Err(error);
            }
        }
        // The record can take nothing of it, and stays as it was read.
        declined.extend(yielding.declined);
        Ok(Written { declined, ..Written::new(Some(current.clone()), None) })
    }

    /// PUT under an id of our choice, without etag: harmless to repeat until somebody edits the incident, so
    /// whoever is in doubt reads first.
    pub(super) async fn put_new(&self, record: &RecordRef, opening: &Opening) -> Result<Written, CallError> {
        let (patch, declined) = takeable(&opening.patch, true);
        let opening = Opening { patch, ..opening.clone() };
        let written = self.put("incidents.create", record, create_body(&opening)).await?;
        Ok(Written { declined, ..written })
    }

    async fn put(
        &self,
        operation: &'static str,
        record: &RecordRef,
        body: Result<Value, String>,
    ) -> Result<Written, CallError> {
        let body = body.map_err(|what| self.endpoint.invalid(operation, format!("{record}: {what}")))?;
        let url = self.url(operation, &[record.id.as_str()], &[])?;
        let call = Call::write(operation, "put-incident", Method::PUT, url, body);
        let answer = self.endpoint.send(call).await?;
        // The write was made; an answer that cannot be read only means that a read must tell.
        let read = incident(&self.endpoint.system, self.peer.as_ref(), &answer.body, true).ok();
        Ok(Written::new(read, answer.request_id))
    }

    /// PUT of one comment. Its answer says nothing of the incident, whose etag it moves (`sentinel.md` 1.4).
    pub(super) async fn put_comment(
        &self,
        record: &RecordRef,
        key: &CommentKey,
        text: &str,
    ) -> Result<PutComment, CallError> {
        let operation = "comments.create";
        let id = comment_id(record.id.as_str(), key);
        let url = self.url(operation, &[record.id.as_str(), "comments", id.as_str()], &[])?;
        let call = Call::write(operation, "put-comment", Method::PUT, url, comment_body(text));
        let answer = self.endpoint.send(call).await?;
        Ok(PutComment { is_new: answer.status == 201, request_id: answer.request_id })
    }
}

/// The changes that the service can take, and what it cannot. `states_owner` says whether the record as it is names an
/// account, or nobody.
fn takeable(patch: &Patch, states_owner: bool) -> (Patch, Vec<Declined>) {
    let reason = match patch.native.get(&Field::Owner) {
        // What is not stated is not written: a group that somebody chose would be lost.
        Some(_) if !states_owner => {
            "the incident is assigned to a group, or to somebody without principal name and e-mail, and stays so; assign it \
             by hand"
        }
        // The service resolves principal names. One that is none, such as the name of a group in Defender, whose owner is
        // free text, would cost the whole update.
        Some(Native::Text(account)) if !account.contains('@') => {
            "Sentinel assigns by user principal name (name@domain), and this owner is none; assign the incident by hand"
        }
        _ => return (patch.clone(), Vec::new()),
    };
    let mut patch = patch.clone();
    patch.native.remove(&Field::Owner);
    (patch, vec![Declined { field: Field::Owner, reason: reason.to_owned() }])
}

/// What became of a comment (`sentinel.md` 2.1: 201, and 200 from the second time on).
pub(super) struct PutComment {
    pub(super) is_new: bool,
    pub(super) request_id: Option<String>,
}

pub(super) fn comment_body(text: &str) -> Value {
    json!({"properties": {"message": cut_keeping_last_line(text, MAX_COMMENT)}})
}

/// What was read, without what cannot be written and without nulls, and then the changes.
pub(super) fn update_body(current: &Snapshot, patch: &Patch) -> Result<Value, String> {
    let read = current.raw["properties"].as_object().ok_or("the snapshot lacks the record as received")?;
    let kept = WRITABLE.iter().filter_map(|name| Some((*name, read.get(*name)?)));
    let mut properties: Map<String, Value> =
        kept.map(|(name, value)| (name.to_owned(), without_nulls(value))).collect();
    properties.retain(|_, value| !value.is_null());
    let labels = read.get("labels").cloned().unwrap_or_default();
    properties.insert("labels".to_owned(), named_labels(label_names(&labels)));
    apply(&mut properties, patch)?;
    let mut body = json!({"properties": properties});
    if let Some(etag) = current.raw["etag"].as_str() {
        body["etag"] = etag.into();
    }
    Ok(body)
}

/// The body of a creation; the service refuses one without title, severity and status.
pub(super) fn create_body(opening: &Opening) -> Result<Value, String> {
    let mut properties = Map::new();
    if let Some(origin) = &opening.origin {
        properties.insert("labels".to_owned(), named_labels(vec![format!("{ORIGIN_TAG}{origin}")]));
    }
    apply(&mut properties, &opening.patch)?;
    let missing: Vec<_> =
        ["title", "severity", "status"].into_iter().filter(|name| !properties.contains_key(*name)).collect();
    if missing.is_empty() {
        Ok(json!({"properties": properties}))
    } else {
        Err(format!("an incident cannot be created without {}", missing.join(" and ")))
    }
}

fn apply(properties: &mut Map<String, Value>, patch: &Patch) -> Result<(), String> {
    for (field, native) in &patch.native {
        match field {
            Field::Status => put_text(properties, "status", *field, native)?,
            Field::Severity => put_text(properties, "severity", *field, native)?,
            Field::Title => put_text(properties, "title", *field, native)?,
            Field::Verdict => put_verdict(properties, native),
            Field::Owner => put_owner(properties, native),
            Field::Tags => put_labels(properties, native),
        }
    }
    if let Some(note) = &patch.closing_comment {
        properties.insert("classificationComment".to_owned(), cut(note, MAX_COMMENT).into());
    }
    settle_title(properties);
    settle_verdict(properties);
    Ok(())
}

/// An incident must have a title, and its blank one is nobody's edit.
fn settle_title(properties: &mut Map<String, Value>) {
    let blank = |title: &Value| title.as_str().is_none_or(|text| text.trim().is_empty());
    if properties.get("title").is_none_or(blank) {
        properties.insert("title".to_owned(), UNTITLED.into());
    }
}

fn put_text(
    properties: &mut Map<String, Value>,
    name: &str,
    field: Field,
    native: &Native,
) -> Result<(), String> {
    let Native::Text(text) = native else { return Err(format!("{field} cannot be `{native}`")) };
    properties.insert(name.to_owned(), text.as_str().into());
    Ok(())
}

/// Reason and classification go together; `Undetermined` takes no reason (`sentinel.md` 1.5).
fn put_verdict(properties: &mut Map<String, Value>, native: &Native) {
    let (class, reason) = verdict_parts(native).unwrap_or(("Undetermined", None));
    properties.insert("classification".to_owned(), class.into());
    match reason {
        Some(reason) => properties.insert("classificationReason".to_owned(), reason.into()),
        None => properties.remove("classificationReason"),
    };
}

/// Closed demands a classification, and each but one demands a reason, which an incident that was closed by Microsoft's
/// own sync or by a merge may lack; the same reasons as the sync's (3.1). In any other status nothing of it is sent, since
/// what the service makes of it then is not known (`sentinel.md` 1.4, 1.5).
fn settle_verdict(properties: &mut Map<String, Value>) {
    if properties.get("status").and_then(Value::as_str) != Some(CLOSED) {
        properties.retain(|name, _| !VERDICT.contains(&name.as_str()));
        return;
    }
    let class = properties.entry("classification").or_insert_with(|| "Undetermined".into());
    let reason = match class.as_str().unwrap_or_default() {
        "TruePositive" => "SuspiciousActivity",
        "BenignPositive" => "SuspiciousButExpected",
        "FalsePositive" => "InaccurateData",
        "Undetermined" => {
            properties.remove("classificationReason");
            return;
        }
        _ => return,
    };
    properties.entry("classificationReason").or_insert_with(|| reason.into());
}

/// The owner as read where it is the same account, since its object id is the safest form; else by UPN alone,
/// which the service resolves. `{}` means nobody (`sentinel.md` 1.6).
fn put_owner(properties: &mut Map<String, Value>, native: &Native) {
    let present = properties.get("owner").map(Stated::deserialize).and_then(Result::ok).unwrap_or_default();
    let value = match native {
        Native::Text(_) if owner(&present).as_ref() == Some(native) => return,
        Native::Text(account) => json!({"userPrincipalName": account}),
        Native::Empty | Native::Set(_) => json!({}),
    };
    properties.insert("owner".to_owned(), value);
}

/// The list replaces the whole list: lockstep's own labels and the mark of a merge go along.
fn put_labels(properties: &mut Map<String, Value>, native: &Native) {
    let present = label_names(properties.get("labels").unwrap_or(&Value::Null));
    let kept = present.into_iter().filter(|l| l.starts_with(OWN_TAG) || is_redirect_label(l));
    let people: Vec<String> = match native {
        Native::Set(set) => set.iter().cloned().collect(),
        Native::Text(label) => vec![label.clone()],
        Native::Empty => Vec::new(),
    };
    let labels = named_labels(kept.chain(people).collect());
    properties.insert("labels".to_owned(), labels);
}

fn label_names(labels: &Value) -> Vec<String> {
    let names = labels.as_array().into_iter().flatten().filter_map(|label| label["labelName"].as_str());
    names.filter(|name| !name.trim().is_empty()).map(str::to_owned).collect()
}

/// `labelType` is read-only (`sentinel.md` 1.7).
fn named_labels(names: Vec<String>) -> Value {
    names.into_iter().map(|name| json!({"labelName": name})).collect()
}

/// Real answers state an absent owner as four nulls, which the schema does not allow in a request.
fn without_nulls(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            map.iter().filter(|(_, v)| !v.is_null()).map(|(k, v)| (k.clone(), v.clone())).collect()
        }
        other => other.clone(),
    }
}
