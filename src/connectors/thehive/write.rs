//! Updates and comments. A PATCH answers 204 and shows nothing, so the case is read again after each
//! (`ticketing.md` 4).

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::TheHive;
use super::alert::severity;
use super::markdown;
use super::snapshot::{CLOSED, is_own_tag};
use super::sound::named;
use crate::connectors::text::{MAX_COMMENT, cut, cut_keeping_last_line};
use crate::connectors::{Declined, Written};
use crate::http::{Call, CallError, Method};
use crate::model::{Field, Native, Patch, RecordRef, Snapshot};

const UPDATE: &str = "tickets.update";
const COMMENT: &str = "comments.create";

impl TheHive {
    /// One PATCH of what changed; refused ones change nothing. A field that the service refuses by name is left out
    /// and told, and the rest sent again. Where it names none, the status goes alone with what a close demands, and
    /// the rest is what the next read still lacks.
    pub(super) async fn patch(&self, current: &Snapshot, patch: &Patch) -> Result<Written, CallError> {
        let record = &current.record;
        let body = self.body(current, patch);
        let mut body = body.map_err(|what| self.endpoint.invalid(UPDATE, format!("{record}: {what}")))?;
        let (mut declined, mut request_id): (Vec<Declined>, _) = (Vec::new(), None);
        while !body.is_empty() {
            let error = match self.patch_case(record, &body).await {
                Ok(answer) => {
                    request_id = answer;
                    break;
                }
                Err(error) => error,
            };
            if !is_about_fields(&error) {
                return Err(advised(error, current, patch));
            }
            let mut left: Vec<String> = named(&error, body.keys()).into_iter().map(str::to_owned).collect();
            if left.is_empty() && body.contains_key("status") {
                let rest = body.keys().filter(|member| !OF_CLOSE.contains(&member.as_str()));
                let rest: Vec<String> = rest.cloned().collect();
                if rest.is_empty() {
                    return Err(advised(error, current, patch));
                }
                tracing::warn!(%record, %error, "the status is written alone; the rest follows");
                body.retain(|member, _| !rest.contains(member));
                continue;
            }
            if left.is_empty() && body.contains_key("assignee") {
                left.push("assignee".to_owned());
            }
            if left.is_empty() {
                return Err(advised(error, current, patch));
            }
            for member in left {
                body.remove(&member);
                let told = |field: &Field| declined.iter().any(|one| one.field == *field);
                if let Some(field) = field_of(&member).filter(|field| !told(field)) {
                    declined.push(Declined { field, reason: format!("TheHive does not take it: {error}") });
                }
            }
        }
        let wrote = !body.is_empty();
        let snapshot = match self.get(record).await {
            Ok(snapshot) => Some(snapshot),
            // Written; that it cannot be read now only means that a later read must tell.
            Err(_) if wrote => None,
            // Nothing was, and the owner may not be why: a case that is gone is refused in the same words.
            Err(error) => return Err(error),
        };
        declined.extend(snapshot.as_ref().and_then(|now| still_owned(patch, now)));
        Ok(Written { snapshot, request_id, declined })
    }

    async fn patch_case(
        &self,
        record: &RecordRef,
        body: &Map<String, Value>,
    ) -> Result<Option<String>, CallError> {
        let url = self.url(UPDATE, &["case", record.id.as_str()])?;
        let call = Call::write(UPDATE, "write", Method::PATCH, url, Value::Object(body.clone()));
        self.send(call).await.map(|answer| answer.request_id)
    }

    fn body(&self, current: &Snapshot, patch: &Patch) -> Result<Map<String, Value>, String> {
        let mut body = Map::new();
        for (field, native) in &patch.native {
            match (field, native) {
                (Field::Status | Field::Verdict, _) => {}
                (Field::Title, Native::Text(title)) => {
                    body.insert("title".into(), title.as_str().into());
                }
                (Field::Severity, _) => {
                    let number = severity(native).ok_or_else(|| format!("severity cannot be `{native}`"))?;
                    body.insert("severity".into(), number.into());
                }
                (Field::Owner, Native::Text(owner)) => {
                    body.insert("assignee".into(), owner.as_str().into());
                }
                (Field::Owner, _) => drop(body.insert("assignee".into(), Value::Null)),
                (Field::Tags, _) => body.extend(tag_changes(current, native)),
                (Field::Title, _) => return Err(format!("title cannot be `{native}`")),
            }
        }
        if let Some(status) = self.status(current, patch)? {
            body.insert("status".into(), status.into());
            if closes(current, patch) {
                body.extend(self.closing(current, patch));
            }
        }
        Ok(body)
    }

    /// The status value to write: a status belongs to a stage, and a closed one is the verdict.
    fn status(&self, current: &Snapshot, patch: &Patch) -> Result<Option<String>, String> {
        let verdict = |natives: &crate::model::Natives| match natives.get(&Field::Verdict) {
            Some(Native::Text(value)) => Some(value.clone()),
            _ => None,
        };
        match patch.native.get(&Field::Status) {
            Some(Native::Text(stage)) if stage == CLOSED => {
                let value = verdict(&patch.native).or_else(|| verdict(&current.native));
                Ok(Some(value.unwrap_or_else(|| self.settings.closed_status.clone())))
            }
            Some(Native::Text(stage)) if stage == "New" => Ok(Some(self.settings.new_status.clone())),
            Some(Native::Text(stage)) if stage == "InProgress" => {
                Ok(Some(self.settings.in_progress_status.clone()))
            }
            Some(other) => Err(format!("status cannot be `{other}`")),
            None if is_closed(current) => Ok(verdict(&patch.native)),
            None => Ok(None),
        }
    }

    /// What goes with a close, and only where the case has none of its own (F13).
    fn closing(&self, current: &Snapshot, patch: &Patch) -> Map<String, Value> {
        let mut body = Map::new();
        if let Some(note) = patch.closing_comment.as_deref().filter(|_| current.closing_comment.is_none()) {
            body.insert("summary".into(), markdown::escape(&cut(note, MAX_COMMENT)).into());
        }
        if current.raw["impactStatus"].as_str().is_none_or(str::is_empty) {
            body.insert("impactStatus".into(), self.settings.impact_status.as_str().into());
        }
        let present: Vec<&Value> = current.raw["customFields"].as_array().into_iter().flatten().collect();
        let has = |name: &str| present.iter().any(|f| f["name"] == name && !f["value"].is_null());
        let missing: Vec<Value> = (self.settings.close_fields.iter())
            .filter(|(name, _)| !has(name))
            .map(|(name, value)| json!({"name": name, "value": value}))
            .collect();
        if !missing.is_empty() {
            // Those that are there go along: whether the list replaces the whole is not published.
            let kept = present.iter().filter(|f| !f["value"].is_null());
            let kept = kept.map(|f| json!({"name": f["name"], "value": f["value"]}));
            body.insert("customFields".into(), kept.chain(missing).collect());
        }
        body
    }

    /// Adds a comment. Its answer shows the comment and not the case.
    pub(super) async fn add_comment(&self, record: &RecordRef, text: &str) -> Result<Written, CallError> {
        let url = self.url(COMMENT, &["case", record.id.as_str(), "comment"])?;
        let message = cut_keeping_last_line(text, MAX_COMMENT);
        let body = json!({"message": markdown::write(&message)});
        let answer = self.send(Call::write(COMMENT, "write", Method::POST, url, body)).await?;
        Ok(Written::new(None, answer.request_id))
    }
}

fn is_closed(snapshot: &Snapshot) -> bool {
    snapshot.native.get(&Field::Status) == Some(&Native::Text(CLOSED.to_owned()))
}

fn closes(current: &Snapshot, patch: &Patch) -> bool {
    patch.native.get(&Field::Status) == Some(&Native::Text(CLOSED.to_owned())) && !is_closed(current)
}

/// Tags one by one: the whole list would undo what others do meanwhile (`ticketing.md` 4).
fn tag_changes(current: &Snapshot, wanted: &Native) -> Map<String, Value> {
    let set = |native: Option<&Native>| match native {
        Some(Native::Set(tags)) => tags.clone(),
        _ => BTreeSet::new(),
    };
    let (now, wanted) = (set(current.native.get(&Field::Tags)), set(Some(wanted)));
    let people = |tag: &&String| !is_own_tag(tag);
    let add: Vec<&String> = wanted.difference(&now).filter(people).collect();
    let remove: Vec<&String> = now.difference(&wanted).filter(people).collect();
    let mut changes = Map::new();
    if !add.is_empty() {
        changes.insert("addTags".into(), json!(add));
    }
    if !remove.is_empty() {
        changes.insert("removeTags".into(), json!(remove));
    }
    changes
}

/// What a close demands, and what goes with it.
const OF_CLOSE: [&str; 4] = ["status", "summary", "impactStatus", "customFields"];

/// The field that a member of a change stands for.
fn field_of(member: &str) -> Option<Field> {
    match member {
        "title" => Some(Field::Title),
        "severity" => Some(Field::Severity),
        "assignee" => Some(Field::Owner),
        "addTags" | "removeTags" => Some(Field::Tags),
        _ => None,
    }
}

/// Whether a refusal may be about a value in the request, and not about the case or about who we are.
fn is_about_fields(error: &CallError) -> bool {
    matches!(error, CallError::Refused { .. }) || is_about_owner(error)
}

/// Whether a refusal may be about the owner: an account that is not there is not found, as the service says it.
pub(super) fn is_about_owner(error: &CallError) -> bool {
    let owner = ["assignee".to_owned()];
    match error {
        CallError::Refused { .. } => true,
        CallError::NotFound { .. } => {
            let body = error.evidence().and_then(|evidence| evidence.body.as_ref());
            body.is_some_and(|body| body["type"] == "NotFoundError") && !named(error, owner.iter()).is_empty()
        }
        _ => false,
    }
}

/// An owner who was to be taken off and is still there.
fn still_owned(patch: &Patch, now: &Snapshot) -> Option<Declined> {
    let taken_off = patch.native.get(&Field::Owner) == Some(&Native::Empty);
    let stays = matches!(now.native.get(&Field::Owner), Some(Native::Text(_)));
    (taken_off && stays).then(|| Declined {
        field: Field::Owner,
        reason: "the case keeps its assignee; this TheHive does not let one be taken off".to_owned(),
    })
}

/// A refusal with what to do about it. One that a person can undo, by a permission or by filling in a field, is tried
/// again.
fn advised(error: CallError, current: &Snapshot, patch: &Patch) -> CallError {
    let status = patch.native.contains_key(&Field::Status);
    match error {
        CallError::Denied { site, status: code @ 403, code: name, message } if status => {
            let advice = if is_closed(current) {
                "to reopen a case the account's profile needs the permission manageCase/reopen"
            } else {
                "to change a case the account's profile needs the permission manageCase/update"
            };
            CallError::Denied { site, status: code, code: name, message: format!("{message}; {advice}") }
        }
        CallError::Refused { site, status, message, .. }
            if closes(current, patch) && message.to_lowercase().contains("mandatory") =>
        {
            let advice = "fill them in, or give them in close_fields; the close is tried again";
            CallError::Blocked { site, status, code: String::new(), message: format!("{message}; {advice}") }
        }
        CallError::Refused { site, status: code, code: name, message } if closes(current, patch) => {
            let advice = "if mandatory custom fields are lacking, give them in close_fields";
            CallError::Refused { site, status: code, code: name, message: format!("{message}; {advice}") }
        }
        error => error,
    }
}
