//! Defender's incidents and alerts, and how Graph prints them (`graph-security.md` 2.1, 3.1).

use jiff::Timestamp;
use serde_json::{Value, json};

use super::super::clock::trimmed;
use super::super::odata::Operand;
use super::evidence::AlertFacts;
use super::values::{product_name, shown_detection, shown_source, shown_status};

/// A comment. It has no id and cannot be changed.
#[derive(Debug, Clone, PartialEq)]
pub(in super::super) struct Comment {
    pub(in super::super) text: String,
    pub(in super::super) author: String,
    pub(in super::super) created: Timestamp,
}

impl Comment {
    fn json(&self) -> Value {
        json!({
            "@odata.type": "#microsoft.graph.security.alertComment",
            "comment": self.text,
            "createdByDisplayName": self.author,
            "createdDateTime": trimmed(self.created),
        })
    }
}

pub(super) fn comments_json(comments: &[Comment]) -> Value {
    comments.iter().map(Comment::json).collect()
}

/// An incident.
#[derive(Debug, Clone)]
pub(in super::super) struct Incident {
    pub(in super::super) id: u64,
    pub(in super::super) status: String,
    pub(in super::super) redirect: Option<u64>,
    pub(in super::super) title: String,
    pub(in super::super) created: Timestamp,
    pub(in super::super) updated: Timestamp,
    pub(in super::super) owner: Option<String>,
    pub(in super::super) classification: String,
    pub(in super::super) determination: String,
    pub(in super::super) severity: String,
    pub(in super::super) tags: Vec<String>,
    pub(in super::super) system_tags: Vec<String>,
    pub(in super::super) description: Option<String>,
    pub(in super::super) resolving_comment: Option<String>,
    pub(in super::super) summary: Option<String>,
    pub(in super::super) modified_by: String,
    pub(in super::super) comments: Vec<Comment>,
    /// Ids of its alerts.
    pub(in super::super) alerts: Vec<String>,
}

/// The link for people; opaque to callers.
pub(in super::super) fn incident_url(id: u64, tenant: &str) -> String {
    format!("https://security.microsoft.com/incident2/{id}/overview?tid={tenant}")
}

impl Incident {
    /// As Graph prints it. Without `all_members`, newer enumeration members show as `unknownFutureValue`.
    pub(in super::super) fn json(&self, tenant: &str, all_members: bool) -> Value {
        json!({
            "id": self.id.to_string(),
            "tenantId": tenant,
            "status": shown_status(&self.status, all_members),
            "incidentWebUrl": incident_url(self.id, tenant),
            "redirectIncidentId": self.redirect.map(|id| id.to_string()),
            "displayName": self.title,
            "createdDateTime": trimmed(self.created),
            "lastUpdateDateTime": trimmed(self.updated),
            "assignedTo": self.owner,
            "classification": self.classification,
            "determination": self.determination,
            "severity": self.severity,
            "customTags": self.tags,
            "systemTags": self.system_tags,
            "description": self.description,
            "lastModifiedBy": self.modified_by,
            "resolvingComment": self.resolving_comment,
            "summary": self.summary,
            "priorityScore": null,
            "comments": comments_json(&self.comments),
        })
    }

    /// A property to filter or sort by.
    pub(super) fn property(&self, name: &str) -> Operand {
        match name {
            "id" => Operand::Number(i64::try_from(self.id).unwrap_or(i64::MAX)),
            "status" => Operand::text(Some(&self.status)),
            "severity" => Operand::text(Some(&self.severity)),
            "classification" => Operand::text(Some(&self.classification)),
            "determination" => Operand::text(Some(&self.determination)),
            "assignedTo" => Operand::text(self.owner.as_deref()),
            "displayName" => Operand::text(Some(&self.title)),
            "createdDateTime" => Operand::Time(self.created),
            "lastUpdateDateTime" => Operand::Time(self.updated),
            _ => Operand::Null,
        }
    }
}

/// An alert.
#[derive(Debug, Clone)]
pub(in super::super) struct Alert {
    pub(in super::super) id: String,
    pub(in super::super) provider_id: String,
    pub(in super::super) incident: u64,
    pub(in super::super) status: String,
    pub(in super::super) severity: String,
    pub(in super::super) classification: Option<String>,
    pub(in super::super) determination: Option<String>,
    pub(in super::super) source: String,
    pub(in super::super) detection: String,
    pub(in super::super) title: String,
    pub(in super::super) facts: AlertFacts,
    pub(in super::super) owner: Option<String>,
    pub(in super::super) created: Timestamp,
    pub(in super::super) updated: Timestamp,
    pub(in super::super) resolved: Option<Timestamp>,
    pub(in super::super) comments: Vec<Comment>,
}

impl Alert {
    /// As Graph prints it.
    pub(in super::super) fn json(&self, tenant: &str, all_members: bool) -> Value {
        let mut value = self.stated(tenant, all_members);
        if let (Value::Object(all), Value::Object(unstated)) = (&mut value, self.unstated()) {
            all.extend(unstated);
            all.extend(self.facts.stated(self.created));
        }
        value
    }

    /// What no seed and no edit touches.
    fn unstated(&self) -> Value {
        json!({
            "description": null, "recommendedActions": "", "detectorId": "e91ad94b-1ed1-4ef4-8ffa-9a2b5b0f2a10",
            "actorDisplayName": null, "threatDisplayName": null, "threatFamilyName": null,
            "systemTags": [], "alertPolicyId": null, "investigationState": null,
            "customDetails": {}, "additionalData": {},
            "firstActivityDateTime": trimmed(self.created), "lastActivityDateTime": trimmed(self.created),
        })
    }

    fn stated(&self, tenant: &str, all_members: bool) -> Value {
        json!({
            "id": self.id,
            "providerAlertId": self.provider_id,
            "incidentId": self.incident.to_string(),
            "status": self.status,
            "severity": self.severity,
            "classification": self.classification,
            "determination": self.determination,
            "serviceSource": shown_source(&self.source, all_members),
            "detectionSource": shown_detection(&self.detection, all_members),
            "productName": self.product(),
            "tenantId": tenant,
            "title": self.title,
            "assignedTo": self.owner,
            "alertWebUrl": format!("https://security.microsoft.com/alerts/{}?tid={tenant}", self.id),
            "incidentWebUrl": incident_url(self.incident, tenant),
            "createdDateTime": trimmed(self.created),
            "lastUpdateDateTime": trimmed(self.updated),
            "resolvedDateTime": self.resolved.map(trimmed),
            "comments": comments_json(&self.comments),
        })
    }

    pub(in super::super) fn product(&self) -> &'static str {
        product_name(&self.source)
    }

    pub(super) fn property(&self, name: &str) -> Operand {
        match name {
            "id" => Operand::text(Some(&self.id)),
            "status" => Operand::text(Some(&self.status)),
            "severity" => Operand::text(Some(&self.severity)),
            "serviceSource" => Operand::text(Some(&self.source)),
            "classification" => Operand::text(self.classification.as_deref()),
            "determination" => Operand::text(self.determination.as_deref()),
            "assignedTo" => Operand::text(self.owner.as_deref()),
            "createdDateTime" => Operand::Time(self.created),
            "lastUpdateDateTime" => Operand::Time(self.updated),
            _ => Operand::Null,
        }
    }
}
