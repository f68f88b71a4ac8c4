//! What really changed, and what was called: the judge of "exactly once".

use std::collections::{BTreeMap, VecDeque};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Calls kept one by one; the counts are of all of them.
const KEPT_CALLS: usize = 10_000;

/// Which product holds a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum System {
    /// Defender, behind the Graph security API.
    Defender,
    /// Sentinel, behind Azure Resource Manager.
    Sentinel,
    /// ServiceNow's tickets.
    #[serde(rename = "servicenow")]
    ServiceNow,
    /// Jira's tickets.
    Jira,
    /// Request Tracker's tickets.
    #[serde(rename = "request-tracker")]
    RequestTracker,
    /// TheHive's cases.
    #[serde(rename = "thehive")]
    TheHive,
}

impl System {
    /// The ticket systems.
    pub const TICKETING: [Self; 4] = [Self::ServiceNow, Self::Jira, Self::RequestTracker, Self::TheHive];

    /// The word of paths, faults and counts.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Defender => "defender",
            Self::Sentinel => "sentinel",
            Self::ServiceNow => "servicenow",
            Self::Jira => "jira",
            Self::RequestTracker => "request-tracker",
            Self::TheHive => "thehive",
        }
    }
}

/// Which API a request goes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Api {
    /// The token endpoint, `/login`.
    Login,
    /// Graph security, `/graph`.
    Graph,
    /// Sentinel behind Azure Resource Manager, `/arm`.
    Sentinel,
    /// ServiceNow, `/servicenow`.
    #[serde(rename = "servicenow")]
    ServiceNow,
    /// Jira, `/jira`.
    Jira,
    /// Request Tracker, `/request-tracker`.
    #[serde(rename = "request-tracker")]
    RequestTracker,
    /// TheHive, `/thehive`.
    #[serde(rename = "thehive")]
    TheHive,
}

impl Api {
    /// The word of paths, faults and counts.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Login => "login",
            Self::Graph => "graph",
            Self::Sentinel => "sentinel",
            Self::ServiceNow => System::ServiceNow.as_str(),
            Self::Jira => System::Jira.as_str(),
            Self::RequestTracker => System::RequestTracker.as_str(),
            Self::TheHive => System::TheHive.as_str(),
        }
    }

    /// The ticket system behind it.
    pub(super) fn ticketing(self) -> Option<System> {
        System::TICKETING.into_iter().find(|system| system.as_str() == self.as_str())
    }
}

/// What a record is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// An incident.
    Incident,
    /// A Defender alert.
    Alert,
    /// A ticket.
    Ticket,
}

/// Who wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Actor {
    /// A program, by its application (client) id.
    App(String),
    /// A person, by user principal name.
    Human(String),
    /// Microsoft's own connector between the two products.
    NativeSync,
    /// The service itself: fan-out, automatic resolution, correlation.
    Service,
}

impl Actor {
    /// As written into the ledger: client id, user principal name, `native-sync` or `service`.
    pub(super) fn as_str(&self) -> &str {
        match self {
            Self::App(id) | Self::Human(id) => id,
            Self::NativeSync => "native-sync",
            Self::Service => "service",
        }
    }
}

/// One field that changed, in native values.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// The native property name.
    pub field: String,
    /// Before.
    pub old: Value,
    /// After.
    pub new: Value,
}

/// What one write did.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "what")]
pub enum What {
    /// The record came into being.
    Created,
    /// Fields got other values.
    Changed {
        /// Which.
        changes: Vec<Change>,
    },
    /// A comment was added.
    Commented {
        /// Its id, where the API has one.
        comment: Option<String>,
        /// Its text.
        text: String,
    },
    /// A comment got another text (Sentinel only).
    CommentEdited {
        /// Its id.
        comment: String,
        /// The new text.
        text: String,
    },
    /// A comment was deleted (Sentinel only).
    CommentDeleted {
        /// Its id.
        comment: String,
    },
    /// The record was deleted.
    Deleted,
    /// The write was accepted and changed nothing.
    Ineffective,
}

/// One line of the ledger.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// Counts from 1 without gaps.
    pub seq: u64,
    /// When, by the emulator's clock (UTC).
    pub at: Timestamp,
    /// Where.
    pub system: System,
    /// What the record is.
    pub kind: Kind,
    /// Its native id.
    pub id: String,
    /// Client id, user principal name, `native-sync` or `service`.
    pub actor: String,
    /// What happened.
    #[serde(flatten)]
    pub what: What,
}

impl Entry {
    /// Whether it changed something.
    pub fn is_effective(&self) -> bool {
        self.what != What::Ineffective
    }

    /// The new value of a field, if this write changed it.
    pub fn new_value(&self, field: &str) -> Option<&Value> {
        let What::Changed { changes } = &self.what else { return None };
        changes.iter().find(|change| change.field == field).map(|change| &change.new)
    }
}

/// One request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Call {
    /// When it was answered, by the emulator's clock (UTC).
    pub at: Timestamp,
    /// To which API.
    pub api: Api,
    /// Which operation, such as `update-incident`.
    pub operation: String,
    /// The HTTP method.
    pub method: String,
    /// Path below the API's prefix.
    pub path: String,
    /// The answer's status; 0 where the connection was closed without one.
    pub status: u16,
}

/// Writes and calls.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    entries: Vec<Entry>,
    calls: VecDeque<Call>,
    counts: BTreeMap<String, u64>,
}

impl Ledger {
    pub(super) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    pub(super) fn record(
        &mut self,
        at: Timestamp,
        (system, kind, id): (System, Kind, &str),
        actor: &Actor,
        what: What,
    ) {
        let seq = self.entries.len() as u64 + 1;
        let actor = actor.as_str().to_owned();
        self.entries.push(Entry { seq, at, system, kind, id: id.to_owned(), actor, what });
    }

    pub(super) fn called(&mut self, call: Call) {
        *self.counts.entry(operation_key(call.api, &call.operation)).or_default() += 1;
        if self.calls.len() == KEPT_CALLS {
            self.calls.pop_front();
        }
        self.calls.push_back(call);
    }

    pub(super) fn counts(&self) -> &BTreeMap<String, u64> {
        &self.counts
    }

    pub(super) fn calls(&self) -> Vec<Call> {
        self.calls.iter().cloned().collect()
    }

    pub(super) fn reset_calls(&mut self) {
        self.calls.clear();
        self.counts.clear();
    }
}

/// The key of a count: `graph/update-incident`.
fn operation_key(api: Api, operation: &str) -> String {
    format!("{}/{operation}", api.as_str())
}

/// The properties in which two renderings of a record differ; bookkeeping properties are left out.
pub(super) fn changes(before: &Value, after: &Value, bookkeeping: &[&str]) -> Vec<Change> {
    let (Some(old), Some(new)) = (before.as_object(), after.as_object()) else { return Vec::new() };
    let mut names: Vec<&String> = old.keys().chain(new.keys()).collect();
    names.sort();
    names.dedup();
    names
        .into_iter()
        .filter(|name| !bookkeeping.contains(&name.as_str()) && old.get(*name) != new.get(*name))
        .map(|name| Change {
            field: name.clone(),
            old: old.get(name).cloned().unwrap_or(Value::Null),
            new: new.get(name).cloned().unwrap_or(Value::Null),
        })
        .collect()
}

/// Ledger entry of a finished write.
pub(super) fn outcome(changes: Vec<Change>) -> What {
    if changes.is_empty() { What::Ineffective } else { What::Changed { changes } }
}
