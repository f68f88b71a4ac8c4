//! Opening an issue. Jira offers no idempotency key, so the key goes into the issue twice: as a label, by which it can
//! be found, and as a property, which nobody takes off by accident (`ticketing.md` 2.3).

use std::collections::HashMap;
use std::sync::atomic::AtomicBool;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::{Map, Value, json};

use super::Jira;
use super::refusal::Complaint;
use super::update::{TITLE_FORM, label_set, plain_title};
use super::{MARK, update};
use crate::connectors::text::shown;
use crate::connectors::ticketing::is_key;
use crate::connectors::{Declined, Opening, Written};
use crate::http::{Call, CallError, Method};
use crate::model::{Field, Native, RecordRef, Snapshot};

pub(super) const CREATE: &str = "tickets.create";
/// Keys whose issue is remembered.
const MAX_KNOWN: usize = 10_000;

/// What the connector remembers of the issues that it opened.
#[derive(Debug, Default)]
pub(super) struct Keys {
    /// Issues by key, since a search may not show them for minutes.
    known: Mutex<HashMap<String, RecordRef>>,
    /// The last issue that came without its key.
    lost: Mutex<Option<(RecordRef, String)>>,
    /// Whether the customer saw an internal comment.
    pub(super) leaked: AtomicBool,
}

impl Keys {
    pub(super) fn known(&self, key: &str) -> Option<RecordRef> {
        lock(&self.known).get(key).cloned()
    }

    pub(super) fn forget(&self, key: &str) {
        lock(&self.known).remove(key);
    }

    fn learn(&self, key: &str, record: RecordRef) {
        let mut known = lock(&self.known);
        if known.len() >= MAX_KNOWN {
            known.clear();
        }
        known.insert(key.to_owned(), record);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Jira {
    /// One POST, and one GET to see whether the key arrived. Fields that the create screen lacks are left out and told.
    pub(super) async fn open(&self, planned: &RecordRef, opening: &Opening) -> Result<Written, CallError> {
        let key = planned.id.as_str();
        if !is_key(key) {
            return Err(self.endpoint.invalid(CREATE, format!("{planned}: this is no key of a ticket")));
        }
        self.key_works().await?;
        let mut declined = Vec::new();
        let mut fields = self.new_fields(key, opening, &mut declined).await?;
        let answer = loop {
            let body = json!({
                "fields": fields,
                "properties": [{"key": MARK, "value": {"key": key}}],
            });
            let url = self.url(CREATE, &["issue"], &[])?;
            match self.endpoint.send(Call::write(CREATE, "jira-post", Method::POST, url, body)).await {
                Ok(answer) => break answer,
                Err(error) => match self.leave_out(error, &mut fields, &mut declined) {
                    Err(error @ CallError::Refused { .. }) => {
                        let at = ("projectKey", self.settings.project.as_str());
                        return Err(self.unless_lacking("CREATE_ISSUES", at, error).await);
                    }
                    left_out => left_out?,
                },
            }
        };
        let record = answer.body["id"].as_str().map(|id| self.ticket(id));
        // The issue exists; without its id a search by the key must tell.
        let Some(Ok(record)) = record else { return Ok(Written::new(None, answer.request_id)) };
        let snapshot = self.get(&record).await.ok();
        if snapshot.as_ref().is_some_and(|read| carries_another(read, key)) {
            // The answer named another issue. To give that one the key would take it from its own incident.
            let site = Box::new(self.endpoint.site(CREATE, Some(&answer)));
            let message =
                format!("{record}, which the answer names, bears another key; the new issue is looked up");
            return Err(CallError::Unknown { site, status: Some(answer.status), message, retry_after: None });
        }
        self.keys.learn(key, record.clone());
        if let Some(read) = &snapshot
            && !carries(read, key)
        {
            tracing::warn!(%record, %planned, "the issue came without the label that is its key; no further issues are opened until that works");
            *lock(&self.keys.lost) = Some((record, key.to_owned()));
        }
        Ok(Written { snapshot, request_id: answer.request_id, declined })
    }

    /// A refusal that names fields which the issue can do without: they are left out. A refusal means that nothing was
    /// made, so another try makes no second issue. What else it names is for somebody to mend: the issue waits for that.
    fn leave_out(
        &self,
        error: CallError,
        fields: &mut Map<String, Value>,
        declined: &mut Vec<Declined>,
    ) -> Result<(), CallError> {
        let complaint = Complaint::behind(&error).filter(|_| matches!(error, CallError::Refused { .. }));
        let Some(complaint) = complaint else { return Err(error) };
        let optional =
            [("priority", Some(Field::Severity)), ("assignee", Some(Field::Owner)), ("description", None)];
        let mut left_out = false;
        for (name, field) in optional {
            let Some(why) = complaint.fields.get(name) else { continue };
            if fields.remove(name).is_none() {
                continue;
            }
            left_out = true;
            match field {
                Some(field) => declined.push(Declined { field, reason: format!("{name}: {}", shown(why)) }),
                None => {
                    tracing::warn!(system = %self.endpoint.system, why, "the issue is opened without a description");
                }
            }
        }
        if left_out {
            return Ok(());
        }
        let demand = complaint.fields.iter().find(|(name, _)| **name != "summary");
        match demand {
            Some((&"labels", _)) => Err(self.endpoint.to_mend(
                CREATE,
                format!(
                    "the key cannot be stored: {}. Put the field Labels on the create screen of {} in {}",
                    complaint.words(),
                    self.settings.issue_type,
                    self.settings.project
                ),
            )),
            Some(_) => Err(self.endpoint.to_mend(
                CREATE,
                format!(
                    "a new {} in {} is refused: {}. Give values under create_fields, or change its create screen",
                    self.settings.issue_type,
                    self.settings.project,
                    complaint.words()
                ),
            )),
            None => Err(error),
        }
    }

    async fn new_fields(
        &self,
        key: &str,
        opening: &Opening,
        declined: &mut Vec<Declined>,
    ) -> Result<Map<String, Value>, CallError> {
        let mut fields = self.settings.create_fields.clone();
        let mut labels: Vec<String> = [MARK, key].map(str::to_owned).into();
        let given = fields.get("labels").and_then(Value::as_array).into_iter().flatten();
        labels.extend(given.filter_map(Value::as_str).map(str::to_owned));
        let mut title = "Security incident".to_owned();
        for (field, native) in &opening.patch.native {
            match (field, native) {
                (Field::Title, Native::Text(text)) => {
                    title = plain_title(text);
                    if title != *text {
                        declined.push(Declined { field: *field, reason: TITLE_FORM.to_owned() });
                    }
                }
                (Field::Severity, Native::Text(name)) if self.settings.priority => {
                    fields.insert("priority".to_owned(), json!({"name": name}));
                }
                (Field::Owner, Native::Text(mail)) => {
                    match self.assignee(mail, ("project", &self.settings.project)).await? {
                        Ok(user) => drop(fields.insert("assignee".to_owned(), user)),
                        Err(reason) => declined.push(Declined { field: *field, reason }),
                    }
                }
                (Field::Tags, Native::Set(tags)) => {
                    let (fit, refused) = label_set(tags);
                    labels.extend(fit);
                    declined.extend(refused);
                }
                _ => {}
            }
        }
        labels.sort();
        labels.dedup();
        let own = [
            ("project", json!({"key": self.settings.project})),
            ("issuetype", json!({"name": self.settings.issue_type})),
            ("summary", title.into()),
            ("description", self.rich(&opening.description)),
            ("labels", labels.into()),
        ];
        fields.extend(own.map(|(name, value)| (name.to_owned(), value)));
        if opening.description.trim().is_empty() {
            fields.remove("description");
        }
        Ok(fields)
    }

    /// Whether the last issue that came without its key can be given it now. Until then none is opened: it could not be
    /// found again, and would be opened twice.
    async fn key_works(&self) -> Result<(), CallError> {
        let Some((record, key)) = lock(&self.keys.lost).clone() else { return Ok(()) };
        let add = [MARK, &key].map(|label| json!({"add": label}));
        let body = json!({"update": {"labels": add}});
        let sent = self.put(update::UPDATE, &record, body).await;
        let kept = match sent {
            Ok(_) => self.get(&record).await.map(|read| carries(&read, &key)),
            Err(error) => Err(error),
        };
        match kept {
            // Nobody needs the key of an issue that is not there any more.
            Ok(true) | Err(CallError::Gone { .. }) => {
                *lock(&self.keys.lost) = None;
                Ok(())
            }
            Ok(false) => Err(self.endpoint.to_mend(CREATE, lost(&record))),
            Err(error) => Err(self.endpoint.to_mend(CREATE, format!("{} ({error})", lost(&record)))),
        }
    }
}

fn lost(record: &RecordRef) -> String {
    format!(
        "{record} lost the label that is its key, and without labels no issue can be found again; see what removes \
         labels (an automation rule, a field configuration) and permit them"
    )
}

/// Whether an issue has the key as a label: only labels can be searched for.
fn carries_another(read: &Snapshot, key: &str) -> bool {
    let labels = read.raw.pointer("/fields/labels").and_then(Value::as_array).into_iter().flatten();
    !carries(read, key) && labels.filter_map(Value::as_str).any(is_key)
}

fn carries(read: &Snapshot, key: &str) -> bool {
    let labels = read.raw.pointer("/fields/labels").and_then(Value::as_array);
    labels.is_some_and(|labels| labels.iter().any(|label| label == key))
}
