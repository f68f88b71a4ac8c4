//! Issues and comments as the emulator keeps and shows them (`ticketing.md` 2.2).

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use jiff::tz::Offset;
use serde_json::{Map, Value, json};

use super::super::desk::is_own_tag;
use super::settings::{Deployment, Settings};
use super::text::plain;
use super::workflow::{STATUSES, Status};

/// The select field of the site, with the verdict.
pub(super) const VERDICT_FIELD: &str = "customfield_10050";

/// One issue.
#[derive(Debug, Clone)]
pub(super) struct Issue {
    pub(super) id: u64,
    pub(super) project: String,
    pub(super) number: u64,
    pub(super) kind: String,
    pub(super) summary: String,
    pub(super) description: Value,
    pub(super) status: usize,
    pub(super) resolution: Option<String>,
    pub(super) priority: String,
    /// By e-mail.
    pub(super) assignee: Option<String>,
    pub(super) labels: BTreeSet<String>,
    /// Custom fields, as the API takes and shows them.
    pub(super) custom: BTreeMap<String, Value>,
    pub(super) properties: BTreeMap<String, Value>,
    pub(super) comments: Vec<Comment>,
    pub(super) created: Timestamp,
    pub(super) updated: Timestamp,
    pub(super) archived: bool,
    /// The comment that the last close went with.
    pub(super) closing_note: Option<String>,
}

/// One comment.
#[derive(Debug, Clone)]
pub(super) struct Comment {
    pub(super) id: u64,
    /// By e-mail, or the name of the service account.
    pub(super) author: String,
    pub(super) created: Timestamp,
    pub(super) body: Value,
    pub(super) internal: bool,
    pub(super) properties: Vec<Value>,
}

impl Issue {
    pub(super) fn key(&self) -> String {
        format!("{}-{}", self.project, self.number)
    }

    pub(super) fn status(&self) -> &'static Status {
        &STATUSES[self.status.min(STATUSES.len() - 1)]
    }

    pub(super) fn is_done(&self) -> bool {
        self.status().category == "done"
    }

    /// What the ledger compares.
    pub(super) fn plain(&self) -> Value {
        json!({
            "summary": self.summary, "description": self.description, "status": self.status().name,
            "resolution": self.resolution, "priority": self.priority, "assignee": self.assignee,
            "labels": self.labels, "custom": self.custom, "project": self.project, "archived": self.archived,
        })
    }

    /// The fields that are asked for; `*all` and an empty list mean all of them.
    pub(super) fn fields(&self, wanted: &[String], settings: &Settings, base: &str) -> Value {
        let all = json!({
            "summary": self.summary,
            "description": self.description,
            "status": self.status().json(base),
            "resolution": self.resolution.as_ref().map(|name| json!({
                "self": format!("{base}/resolution/{name}"), "id": number_of(name), "name": name,
            })),
            "priority": {"self": format!("{base}/priority/3"), "id": number_of(&self.priority), "name": self.priority},
            "assignee": self.assignee.as_ref().map(|mail| user(mail, settings, base)),
            "labels": self.labels,
            "created": time(self.created, settings),
            "updated": time(self.updated, settings),
            "project": {"id": "10000", "key": self.project, "name": self.project},
            "issuetype": {"id": "10001", "name": self.kind, "subtask": false},
            "comment": self.comment_field(settings, base),
        });
        let mut fields: Map<String, Value> = all.as_object().cloned().unwrap_or_default();
        fields.insert(VERDICT_FIELD.to_owned(), self.custom.get(VERDICT_FIELD).cloned().unwrap_or_default());
        fields.extend(self.custom.iter().map(|(name, value)| (name.clone(), value.clone())));
        if !wanted.is_empty() && !wanted.iter().any(|name| name == "*all") {
            fields.retain(|name, _| wanted.contains(name));
        }
        Value::Object(fields)
    }

    fn comment_field(&self, settings: &Settings, base: &str) -> Value {
        let most = settings.comments_inline;
        let some: Vec<Value> =
            self.comments.iter().take(most).map(|c| c.json(self.id, false, settings, base)).collect();
        json!({"comments": some, "self": format!("{base}/issue/{}/comment", self.id),
               "maxResults": some.len(), "total": self.comments.len(), "startAt": 0})
    }

    pub(super) fn json(
        &self,
        wanted: &[String],
        properties: &[String],
        settings: &Settings,
        base: &str,
    ) -> Value {
        let mut json = json!({
            "expand": "renderedFields,names,schema,operations,editmeta,changelog,versionedRepresentations",
            "id": self.id.to_string(), "self": format!("{base}/issue/{}", self.id), "key": self.key(),
            "fields": self.fields(wanted, settings, base),
        });
        if !properties.is_empty() {
            let asked = self.properties.iter().filter(|(name, _)| properties.contains(name));
            json["properties"] = asked.map(|(name, value)| (name.clone(), value.clone())).collect();
        }
        json
    }

    /// What one suite reads of all systems.
    pub(super) fn common(&self) -> Value {
        let status = match self.status().category {
            "done" => "closed",
            "indeterminate" => "active",
            _ => "new",
        };
        let severity = match self.priority.as_str() {
            "Lowest" => "informational",
            "Low" => "low",
            "Medium" => "medium",
            _ => "high",
        };
        let own = self.custom.get(VERDICT_FIELD).and_then(|v| v["value"].as_str());
        let verdict = own.or(self.resolution.as_deref()).filter(|_| self.is_done()).map(|word| match word {
            "True Positive" => "true-positive",
            "Benign Positive" => "benign-positive",
            "False Positive" => "false-positive",
            _ => "undetermined",
        });
        let tags: Vec<&String> = self.labels.iter().filter(|label| !is_own_tag(label)).collect();
        let key = self.labels.iter().find(|label| label.starts_with("lockstep-"));
        let comments: Vec<Value> = self
            .comments
            .iter()
            .map(|c| json!({"author": c.author, "text": plain(&c.body), "internal": c.internal}))
            .collect();
        json!({
            "status": status, "verdict": verdict, "severity": severity, "title": self.summary,
            "owner": self.assignee, "tags": tags, "key": key, "closing_note": self.closing_note,
            "comments": comments,
        })
    }
}

impl Comment {
    pub(super) fn json(&self, issue: u64, properties: bool, settings: &Settings, base: &str) -> Value {
        let mut json = json!({
            "self": format!("{base}/issue/{issue}/comment/{}", self.id), "id": self.id.to_string(),
            "author": user(&self.author, settings, base), "body": self.body,
            "updateAuthor": user(&self.author, settings, base),
            "created": time(self.created, settings), "updated": time(self.created, settings),
            "jsdPublic": !self.internal,
        });
        if properties {
            json["properties"] = self.properties.clone().into();
        }
        json
    }
}

/// A user as the deployment shows one. The account id of Cloud says nothing of the e-mail.
pub(super) fn user(mail: &str, settings: &Settings, base: &str) -> Value {
    let account = account(mail);
    let mut json = json!({
        "self": format!("{base}/user?accountId={account}"), "displayName": mail.split('@').next(),
        "active": true, "timeZone": zone_name(settings),
    });
    match settings.deployment {
        Deployment::Cloud => {
            json["accountId"] = account.into();
            json["accountType"] = "atlassian".into();
        }
        Deployment::DataCenter => {
            json["name"] = mail.split('@').next().into();
            json["key"] = format!("JIRAUSER{}", number_of(mail)).into();
        }
    }
    if !settings.hide_emails && mail.contains('@') {
        json["emailAddress"] = mail.into();
    }
    json
}

/// The account id behind an e-mail.
pub(super) fn account(mail: &str) -> String {
    format!("712020:{}", number_of(mail))
}

/// A number that is the same for the same text.
pub(super) fn number_of(text: &str) -> String {
    text.bytes()
        .fold(10_007_u64, |sum, b| sum.wrapping_mul(31).wrapping_add(u64::from(b)) % 1_000_000_007)
        .to_string()
}

fn zone_name(settings: &Settings) -> String {
    format!("Etc/GMT{:+}", -i16::from(settings.zone_hours))
}

/// Milliseconds, with the offset of the account (`ticketing.md` 2.2).
pub(super) fn time(at: Timestamp, settings: &Settings) -> String {
    let offset = Offset::from_hours(settings.zone_hours).unwrap_or(Offset::UTC);
    offset.to_datetime(at).strftime("%Y-%m-%dT%H:%M:%S%.3f").to_string() + &offset_text(settings)
}

fn offset_text(settings: &Settings) -> String {
    let sign = if settings.zone_hours < 0 { '-' } else { '+' };
    format!("{sign}{:02}00", settings.zone_hours.unsigned_abs())
}

/// Cut to the millisecond, the resolution that Jira keeps.
pub(super) fn to_millis(at: Timestamp) -> Timestamp {
    Timestamp::from_millisecond(at.as_millisecond()).unwrap_or(at)
}
