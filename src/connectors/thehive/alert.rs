//! Opening a ticket: an alert whose type, source and reference are unique, and the case made of it.
//!
//! A case has no unique key (`ticketing.md` 4), so the alert is the anchor: however often it is sent, there is one. Its
//! promotion is not safe to repeat on all versions; it is made only after the alert itself was read without a case, and
//! no case bears the key. An alert without a case is a creation half done: the look-up says that there is no ticket,
//! and the next try goes on with the promotion.

use serde::Deserialize;
use serde_json::{Value, json};

use super::TheHive;
use super::list::record_id;
use super::markdown;
use super::query::{filter, first, is, rising};
use super::snapshot::OWN;
use super::wire::{WireAlert, is_id};
use super::write::is_about_owner;
use crate::connectors::endpoint::after_a_step;
use crate::connectors::text::{cut, shown};
use crate::connectors::ticketing::is_key;
use crate::connectors::{Declined, Opening, Written};
use crate::http::{Call, CallError, Method};
use crate::model::{Field, Native, RecordRef, Snapshot};

const CREATE: &str = "tickets.create";
const FIND: &str = "tickets.find";
/// Longest description sent, in UTF-16 units; the service's own limit is not published.
const MAX_DESCRIPTION: usize = 60_000;
/// Alerts or cases with one key that are looked at, to find the one that counts.
const MAX_TWINS: usize = 50;

/// The case that an alert was made into.
pub(super) fn case_id(alert: Option<&Value>) -> Option<String> {
    let wire = WireAlert::deserialize(alert?).ok()?;
    wire.case_id.text().filter(|id| is_id(id)).map(str::to_owned)
}

impl TheHive {
    /// The key of a planned ticket. Anything else must not get into a query: an empty one would find all (F1).
    pub(super) fn key<'r>(
        &self,
        operation: &'static str,
        planned: &'r RecordRef,
    ) -> Result<&'r str, CallError> {
        let key = planned.id.as_str();
        if is_key(key) {
            return Ok(key);
        }
        let what = format!("{planned}: `{}` is no key of lockstep's", shown(key));
        Err(self.endpoint.invalid(operation, what))
    }

    /// The case of a key: the one that the alert leads to, else the oldest that bears the key as a tag.
    pub(super) async fn case_of_key(&self, key: &str) -> Result<Option<Snapshot>, CallError> {
        let alert = self.alert_of(FIND, key).await?;
        if let Some(id) = case_id(alert.as_ref()).and_then(|id| record_id(&id)) {
            match self.get(&RecordRef::ticket(self.endpoint_system(), id)).await {
                Ok(snapshot) => return Ok(Some(snapshot)),
                Err(CallError::Gone { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        self.tagged(key).await
    }

    /// The alert of a key, by its unique triple. An answer about another one is an error: then the filter was ignored.
    pub(super) async fn alert_of(
        &self,
        operation: &'static str,
        key: &str,
    ) -> Result<Option<Value>, CallError> {
        let (kind, source) = (&self.settings.alert_type, &self.settings.source);
        let triple = json!({"_and": [is("type", kind), is("source", source), is("sourceRef", key)]});
        let steps =
            [json!({"_name": "listAlert"}), filter(triple), rising(&["_createdAt"]), first(MAX_TWINS)];
        let (rows, answer) = self.query(operation, &steps).await?;
        let is_it = |row: &Value| {
            WireAlert::deserialize(row).is_ok_and(|alert| {
                alert.source_ref.text() == Some(key)
                    && alert.kind.text() == Some(kind)
                    && alert.source.text() == Some(source)
            })
        };
        if let Some(foreign) = rows.iter().find(|row| !is_it(row)) {
            let id = foreign["_id"].as_str().unwrap_or_default();
            let what = format!("asked for the alert {kind};{source};{key}, got {}", shown(id));
            return Err(self.endpoint.malformed(operation, &answer, what));
        }
        // Two truly parallel requests can make two of them; the one with a case is it, else the oldest.
        let with_case = rows.iter().position(|row| case_id(Some(row)).is_some());
        Ok(rows.into_iter().nth(with_case.unwrap_or(0)))
    }

    /// The oldest case that bears a key as a tag.
    async fn tagged(&self, key: &str) -> Result<Option<Snapshot>, CallError> {
        let steps = [
            json!({"_name": "listCase"}),
            filter(self.or_witness(is("tags", key))),
            rising(&["_createdAt"]),
            first(MAX_TWINS),
        ];
        let (rows, answer) = self.query(FIND, &steps).await?;
        let mut found: Vec<Snapshot> = Vec::new();
        for row in &rows {
            let read = self.reader().case(row, false);
            let read = read.map_err(|e| self.endpoint.malformed(FIND, &answer, format!("{key}: {e}")))?;
            if !row["tags"].as_array().is_some_and(|tags| tags.iter().any(|tag| tag == key)) {
                if self.is_witness(row) {
                    continue;
                }
                let what = format!("asked for cases with the tag {key}, got {} without it", read.record);
                return Err(self.endpoint.malformed(FIND, &answer, what));
            }
            found.push(read);
        }
        if found.is_empty() && !rows.iter().any(|row| self.is_witness(row)) {
            self.still_sees(FIND).await?;
        }
        Ok(found.into_iter().min_by_key(|case| (case.facts.created, case.record.id.clone())))
    }

    /// Opens the ticket, or goes on where an earlier try ended.
    pub(super) async fn open(&self, planned: &RecordRef, opening: &Opening) -> Result<Written, CallError> {
        let key = self.key(CREATE, planned)?;
        self.check_keyless().await?;
        let url = self.url(CREATE, &["alert"])?;
        let body = self.alert_body(key, opening);
        match self.send(Call::write(CREATE, "write", Method::POST, url, body)).await {
            Ok(answer) => self.go_on(key, Some(answer.body), opening).await.map_err(after_a_step),
            Err(CallError::Refused { message, .. }) if is_taken(&message) => {
                self.go_on(key, None, opening).await
            }
            Err(error) => Err(error),
        }
    }

    /// Opens the case of an alert that is there: `made` now, or by an earlier try.
    async fn go_on(&self, key: &str, made: Option<Value>, opening: &Opening) -> Result<Written, CallError> {
        let has_id = |alert: &Value| WireAlert::deserialize(alert).is_ok_and(|a| a.id.text().is_some());
        let alert = match made.filter(has_id) {
            Some(alert) => alert,
            // Either way it has its name.
            None => self.alert_named(key).await?,
        };
        if let Some(id) = case_id(Some(&alert)).and_then(|id| record_id(&id)) {
            return self.opened(key, &RecordRef::ticket(self.endpoint_system(), id), None).await;
        }
        if let Some(case) = self.tagged(key).await? {
            return self.opened(key, &case.record, None).await;
        }
        self.promote(key, &alert, opening).await
    }

    /// The alert as the database has it, by its name; the index may not show it yet.
    async fn alert_named(&self, key: &str) -> Result<Value, CallError> {
        let name = format!("{};{};{key}", self.settings.alert_type, self.settings.source);
        let (rows, answer) = self.query(FIND, &[json!({"_name": "getAlert", "idOrName": name})]).await?;
        let found = rows.into_iter().find(|row| row["sourceRef"] == key);
        found.ok_or_else(|| {
            let what =
                format!("the alert {name} exists, but is not shown; it may belong to another organisation");
            self.endpoint.malformed(FIND, &answer, what)
        })
    }

    async fn promote(&self, key: &str, alert: &Value, opening: &Opening) -> Result<Written, CallError> {
        let id = alert["_id"].as_str().filter(|id| is_id(id)).unwrap_or_default();
        let url = self.url(CREATE, &["alert", id, "case"])?;
        let mut body = json!({"tags": tags(key, opening)});
        if let Some(template) = &self.settings.case_template {
            body["caseTemplate"] = template.as_str().into();
        }
        let owner = match opening.patch.native.get(&Field::Owner) {
            Some(Native::Text(owner)) => Some(owner),
            _ => None,
        };
        let mut declined = None;
        let post = |body| Call::write(CREATE, "write", Method::POST, url.clone(), body);
        let answer = if let Some(owner) = owner {
            let mut with = body.clone();
            with["assignee"] = owner.as_str().into();
            match self.send(post(with)).await {
                Err(error) if is_about_owner(&error) => {
                    declined = Some(Declined { field: Field::Owner, reason: error.to_string() });
                    self.send(post(body)).await?
                }
                answer => answer?,
            }
        } else {
            self.send(post(body)).await?
        };
        match self.reader().case(&answer.body, true) {
            Ok(case) => self.opened(key, &case.record, declined).await.map_err(after_a_step),
            // It was made; that the answer does not show it only means that a look-up must.
            Err(_) => Ok(Written::new(None, answer.request_id)),
        }
    }

    /// A case that was opened, as it is now, with its key in it.
    async fn opened(
        &self,
        key: &str,
        case: &RecordRef,
        declined: Option<Declined>,
    ) -> Result<Written, CallError> {
        let mut snapshot = self.get(case).await?;
        if !super::snapshot::keys(&snapshot.raw).contains(&key) {
            // An answer about another case must not give it our key.
            let alert = self.alert_named(key).await.map_err(after_a_step)?;
            if case_id(Some(&alert)).is_none_or(|id| id != case.id.as_str()) {
                let (site, status) = (Box::new(self.endpoint.site(CREATE, None)), None);
                let message = format!("the answer named {case}, to which the alert of {key} does not lead");
                return Err(CallError::Unknown { site, status, message, retry_after: None });
            }
            self.tag(case, &json!({"addTags": [OWN, key]})).await?;
            snapshot = self.get(case).await.map_err(after_a_step)?;
        }
        if !super::snapshot::keys(&snapshot.raw).contains(&key) {
            tracing::warn!(%case, key, "the case does not keep the tag by which lockstep finds it again; no further \
                case is opened until it does. Does a case template or a function take tags away?");
            self.memory.set_keyless(Some(case.id.clone()));
        }
        self.memory.set_home(key, &case.id);
        self.memory.set_saw_cases();
        snapshot.planned_as = record_id(key).map(|key| RecordRef::ticket(self.endpoint_system(), key));
        let request_id = None;
        Ok(Written { snapshot: Some(snapshot), request_id, declined: declined.into_iter().collect() })
    }

    async fn tag(&self, case: &RecordRef, body: &Value) -> Result<(), CallError> {
        let url = self.url(CREATE, &["case", case.id.as_str()])?;
        self.send(Call::write(CREATE, "write", Method::PATCH, url, body.clone())).await.map(|_| ())
    }

    /// While a case without its key stands, no further ones are opened: a lost answer would open them twice.
    async fn check_keyless(&self) -> Result<(), CallError> {
        let Some(id) = self.memory.keyless() else { return Ok(()) };
        let case = RecordRef::ticket(self.endpoint_system(), id);
        let cured = match self.get(&case).await {
            Ok(snapshot) => !super::snapshot::keys(&snapshot.raw).is_empty(),
            Err(CallError::Gone { .. }) => true,
            Err(error) => return Err(error),
        };
        if !cured {
            let message =
                format!("{case} lost the tag by which lockstep finds it; let it keep the tag, or delete it");
            return Err(self.endpoint.to_mend(CREATE, message));
        }
        self.memory.set_keyless(None);
        Ok(())
    }

    fn alert_body(&self, key: &str, opening: &Opening) -> Value {
        let native = &opening.patch.native;
        let title = match native.get(&Field::Title) {
            // A blank title is refused.
            Some(Native::Text(title)) if !title.trim().is_empty() => title.as_str(),
            _ => "Incident",
        };
        let description = match opening.description.trim() {
            "" => "Opened by lockstep.".to_owned(),
            text => markdown::escape(&cut(text, MAX_DESCRIPTION)),
        };
        let mut body = json!({
            "type": self.settings.alert_type, "source": self.settings.source, "sourceRef": key,
            "title": title, "description": description, "tags": tags(key, opening),
        });
        if let Some(severity) = native.get(&Field::Severity).and_then(severity) {
            body["severity"] = severity.into();
        }
        body
    }
}

/// The tags that a ticket begins with.
fn tags(key: &str, opening: &Opening) -> Vec<String> {
    let people = match opening.patch.native.get(&Field::Tags) {
        Some(Native::Set(tags)) => tags.iter().cloned().collect(),
        _ => Vec::new(),
    };
    [OWN.to_owned(), key.to_owned()].into_iter().chain(people).collect()
}

/// A severity as the API wants it.
pub(super) fn severity(native: &Native) -> Option<u8> {
    match native {
        Native::Text(text) => text.parse().ok(),
        _ => None,
    }
}

/// `CreateError - Alert type:source:ref already exists in organisation org`.
fn is_taken(message: &str) -> bool {
    message.to_ascii_lowercase().contains("already exist")
}
