//! Cases, alerts and comments, and how they look in answers (`ticketing.md` 4).

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Value, json};

/// The built-in case statuses with their stages.
pub(super) const STATUSES: [(&str, &str); 7] = [
    ("New", "New"),
    ("InProgress", "InProgress"),
    ("TruePositive", "Closed"),
    ("FalsePositive", "Closed"),
    ("Indeterminate", "Closed"),
    ("Other", "Closed"),
    ("Duplicated", "Closed"),
];
/// Members that move with every write and are nobody's edit.
pub(super) const BOOKKEEPING: &[&str] =
    &["_updatedAt", "_updatedBy", "closedDate", "endDate", "inProgressDate", "stage", "extraData"];

const SEVERITIES: [&str; 4] = ["LOW", "MEDIUM", "HIGH", "CRITICAL"];

/// A case.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Case {
    pub(super) id: u64,
    pub(super) number: u64,
    pub(super) title: String,
    pub(super) description: String,
    pub(super) severity: i64,
    pub(super) status: String,
    pub(super) summary: Option<String>,
    pub(super) impact: Option<String>,
    pub(super) assignee: Option<String>,
    pub(super) tags: Vec<String>,
    pub(super) fields: BTreeMap<String, Value>,
    pub(super) created: Timestamp,
    pub(super) created_by: String,
    pub(super) updated: Option<(Timestamp, String)>,
    /// The first closing, which a reopening does not undo, and the last.
    pub(super) closed: Option<Timestamp>,
    pub(super) ended: Option<Timestamp>,
}

/// An alert.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Alert {
    pub(super) id: u64,
    pub(super) kind: String,
    pub(super) source: String,
    pub(super) reference: String,
    pub(super) title: String,
    pub(super) description: String,
    pub(super) severity: i64,
    pub(super) tags: Vec<String>,
    pub(super) case: Option<u64>,
    pub(super) created: Timestamp,
    pub(super) created_by: String,
}

/// A comment on a case.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Comment {
    pub(super) id: u64,
    pub(super) case: u64,
    pub(super) author: String,
    pub(super) text: String,
    pub(super) created: Timestamp,
}

/// An id as the API writes it.
pub(super) fn id(number: u64) -> String {
    format!("~{number}")
}

/// An id as the API reads it.
pub(super) fn number(id: &str) -> Option<u64> {
    id.strip_prefix('~')?.parse().ok()
}

/// A date as the API writes it.
pub(super) fn date(at: Timestamp) -> Value {
    at.as_millisecond().into()
}

/// The stage of a status.
pub(super) fn stage(status: &str) -> Option<&'static str> {
    STATUSES.iter().find(|(value, _)| *value == status).map(|(_, stage)| *stage)
}

impl Case {
    pub(super) fn is_closed(&self) -> bool {
        stage(&self.status) == Some("Closed")
    }

    /// As the API shows it; what was never set is left out.
    pub(super) fn json(&self) -> Value {
        let label = usize::try_from(self.severity - 1).ok().and_then(|at| SEVERITIES.get(at));
        let fields: Vec<Value> = (self.fields.iter())
            .map(|(name, value)| json!({"_id": name, "name": name, "type": "string", "value": value, "order": 0}))
            .collect();
        let mut json = json!({
            "_id": id(self.id), "_type": "Case", "_createdBy": self.created_by, "_createdAt": date(self.created),
            "number": self.number, "title": self.title, "description": self.description,
            "severity": self.severity, "severityLabel": label, "startDate": date(self.created),
            "flag": false, "tlp": 2, "tlpLabel": "AMBER", "pap": 2, "papLabel": "AMBER",
            "status": self.status, "stage": stage(&self.status), "tags": self.tags, "customFields": fields,
            "extraData": {}, "newDate": date(self.created), "timeToDetect": 0,
        });
        let optional = [
            ("summary", self.summary.clone().map(Value::from)),
            ("impactStatus", self.impact.clone().map(Value::from)),
            ("assignee", self.assignee.clone().map(Value::from)),
            ("_updatedAt", self.updated.as_ref().map(|(at, _)| date(*at))),
            ("_updatedBy", self.updated.as_ref().map(|(_, by)| by.as_str().into())),
            ("closedDate", self.closed.map(date)),
            ("endDate", self.ended.map(date)),
        ];
        for (name, value) in optional {
            if let Some(value) = value {
                json[name] = value;
            }
        }
        json
    }
}

impl Alert {
    pub(super) fn json(&self) -> Value {
        let mut json = json!({
            "_id": id(self.id), "_type": "Alert", "_createdBy": self.created_by, "_createdAt": date(self.created),
            "type": self.kind, "source": self.source, "sourceRef": self.reference, "title": self.title,
            "description": self.description, "severity": self.severity, "tags": self.tags, "date": date(self.created),
            "follow": true, "observableCount": 0, "extraData": {},
            "status": if self.case.is_some() { "Imported" } else { "New" },
            "stage": if self.case.is_some() { "Imported" } else { "New" },
        });
        if let Some(case) = self.case {
            json["caseId"] = id(case).into();
        }
        json
    }
}

impl Comment {
    /// `createdAt` and not `_createdAt`, as the published types have it.
    pub(super) fn json(&self, links: bool) -> Value {
        let mut json = json!({
            "_id": id(self.id), "_type": "Comment", "createdBy": self.author, "createdAt": date(self.created),
            "message": self.text, "isEdited": false, "extraData": {},
        });
        if links {
            json["extraData"]["links"] = json!({"case": {"_id": id(self.case), "_type": "Case"}});
        }
        json
    }
}
