//! Sentinel's incidents, comments and alerts, and how Azure Resource Manager prints them (`sentinel.md` 1.2, 2).

use jiff::Timestamp;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::super::clock::seven;
use super::super::graph::AlertFacts;
use super::super::odata::Operand;

/// Members of the incident's enumerations.
pub(super) const SEVERITY: &[&str] = &["High", "Medium", "Low", "Informational"];
pub(super) const STATUS: &[&str] = &["New", "Active", "Closed"];
pub(super) const CLASSIFICATION: &[&str] =
    &["Undetermined", "TruePositive", "BenignPositive", "FalsePositive"];
pub(super) const REASON: &[&str] =
    &["SuspiciousActivity", "SuspiciousButExpected", "IncorrectAlertLogic", "InaccurateData"];

/// What may stand among tactics (`sentinel.md` 1.2); Defender has further categories.
const TACTICS: &[&str] = &[
    "Reconnaissance",
    "ResourceDevelopment",
    "InitialAccess",
    "Execution",
    "Persistence",
    "PrivilegeEscalation",
    "DefenseEvasion",
    "CredentialAccess",
    "Discovery",
    "LateralMovement",
    "Collection",
    "Exfiltration",
    "CommandAndControl",
    "Impact",
    "PreAttack",
    "ImpairProcessControl",
    "InhibitResponseFunction",
];

/// An id that always comes out the same for the same name, in the form of a directory's object id.
pub(super) fn object_id(name: &str) -> String {
    Uuid::new_v5(&Uuid::NAMESPACE_OID, name.to_lowercase().as_bytes()).to_string()
}

/// Who an incident is assigned to; all absent when nobody.
#[derive(Debug, Clone, Default, PartialEq)]
pub(in super::super) struct Owner {
    pub(in super::super) object_id: Option<String>,
    pub(in super::super) email: Option<String>,
    pub(in super::super) name: Option<String>,
    pub(in super::super) upn: Option<String>,
    pub(in super::super) is_group: bool,
}

impl Owner {
    /// A user by user principal name, or nobody.
    pub(in super::super) fn user(upn: Option<&str>) -> Self {
        let Some(upn) = upn.filter(|upn| !upn.is_empty()) else { return Self::default() };
        Self {
            object_id: Some(object_id(upn)),
            email: Some(upn.to_owned()),
            name: Some(upn.split('@').next().unwrap_or(upn).replace('.', " ")),
            upn: Some(upn.to_owned()),
            is_group: false,
        }
    }

    /// A group by its display name; it has no address.
    pub(in super::super) fn group(name: &str) -> Self {
        let object_id = Some(object_id(&format!("group {name}")));
        Self { object_id, name: Some(name.to_owned()), is_group: true, ..Self::default() }
    }

    /// Four nulls when nobody is assigned, as real answers show.
    fn json(&self) -> Value {
        let mut value = json!({
            "objectId": self.object_id, "email": self.email, "assignedTo": self.name, "userPrincipalName": self.upn,
        });
        if *self != Self::default() {
            value["ownerType"] = json!(if self.is_group { "Group" } else { "User" });
        }
        value
    }
}

/// A comment.
#[derive(Debug, Clone)]
pub(in super::super) struct Comment {
    pub(in super::super) id: String,
    pub(in super::super) text: String,
    pub(in super::super) created: Timestamp,
    pub(in super::super) modified: Timestamp,
    pub(in super::super) etag: String,
    /// Author as printed.
    pub(in super::super) author: Value,
}

/// An alert of an incident. Nobody can change it here.
#[derive(Debug, Clone)]
pub(in super::super) struct Alert {
    pub(in super::super) id: String,
    pub(in super::super) provider_id: String,
    pub(in super::super) title: String,
    pub(in super::super) product: String,
    pub(in super::super) severity: String,
    pub(in super::super) at: Timestamp,
    pub(in super::super) facts: AlertFacts,
}

/// An incident.
#[derive(Debug, Clone)]
pub(in super::super) struct Incident {
    /// As first given by its creator.
    pub(in super::super) name: String,
    pub(in super::super) number: u32,
    pub(in super::super) etag: String,
    pub(in super::super) title: String,
    pub(in super::super) description: Option<String>,
    pub(in super::super) severity: String,
    pub(in super::super) status: String,
    pub(in super::super) classification: Option<String>,
    pub(in super::super) reason: Option<String>,
    pub(in super::super) closing_comment: Option<String>,
    pub(in super::super) owner: Owner,
    pub(in super::super) labels: Vec<String>,
    pub(in super::super) first_activity: Option<String>,
    pub(in super::super) last_activity: Option<String>,
    pub(in super::super) created: Timestamp,
    pub(in super::super) modified: Timestamp,
    pub(in super::super) provider: String,
    pub(in super::super) defender: Option<u64>,
    pub(in super::super) alerts: Vec<Alert>,
    pub(in super::super) comments: Vec<Comment>,
}

/// Where resources live, as their ids say. Lists print it in other case than single answers, as the service does.
#[derive(Debug, Clone)]
pub(in super::super) struct Place {
    pub(in super::super) prefix: String,
    pub(in super::super) collection: &'static str,
}

impl Place {
    pub(super) fn of(subscription: &str, group: &str, workspace: &str, in_list: bool) -> Self {
        let groups = if in_list { "resourcegroups" } else { "resourceGroups" };
        let prefix = format!(
            "/subscriptions/{subscription}/{groups}/{group}/providers/Microsoft.OperationalInsights/workspaces/{workspace}"
        );
        Self { prefix, collection: if in_list { "Incidents" } else { "incidents" } }
    }

    pub(super) fn entity(&self, kind: &str, properties: &Value) -> Value {
        let name = object_id(&format!("{kind}{properties}"));
        json!({
            "id": self.resource(&format!("Entities/{name}")), "name": name,
            "type": "Microsoft.SecurityInsights/Entities", "kind": kind, "properties": properties,
        })
    }

    fn resource(&self, rest: &str) -> String {
        format!("{}/providers/Microsoft.SecurityInsights/{rest}", self.prefix)
    }
}

impl Incident {
    /// As printed in an answer.
    pub(in super::super) fn json(&self, place: &Place, tenant: &str) -> Value {
        json!({
            "id": place.resource(&format!("{}/{}", place.collection, self.name)),
            "name": self.name,
            "type": format!("Microsoft.SecurityInsights/{}", place.collection),
            "etag": self.etag,
            "properties": self.properties(place, tenant),
        })
    }

    /// With its comments and alerts, for those who look behind the API.
    pub(in super::super) fn whole(&self, place: &Place, tenant: &str) -> Value {
        let mut value = self.json(place, tenant);
        value["comments"] = self.comments.iter().map(|comment| self.comment_json(comment, place)).collect();
        value["alerts"] = self.alerts.iter().map(|alert| alert.json(place)).collect();
        value
    }

    fn properties(&self, place: &Place, tenant: &str) -> Value {
        let mut all = Map::new();
        let mut put = |name: &str, value: Value| all.insert(name.to_owned(), value);
        put("title", json!(self.title));
        put("severity", json!(self.severity));
        put("status", json!(self.status));
        put("owner", self.owner.json());
        put("labels", self.labels.iter().map(|l| json!({"labelName": l, "labelType": "User"})).collect());
        put("createdTimeUtc", json!(seven(self.created)));
        put("lastModifiedTimeUtc", json!(seven(self.modified)));
        put("incidentNumber", json!(self.number));
        let url = "https://portal.azure.com/#asset/Microsoft_Azure_Security_Insights/Incident";
        put("incidentUrl", json!(format!("{url}{}", place.resource(&format!("Incidents/{}", self.name)))));
        put("providerName", json!(self.provider));
        put("providerIncidentId", json!(self.defender.unwrap_or(u64::from(self.number)).to_string()));
        put("relatedAnalyticRuleIds", json!([]));
        put("additionalData", self.additional_data(tenant));
        let optional = [
            ("description", &self.description),
            ("classification", &self.classification),
            ("classificationReason", &self.reason),
            ("classificationComment", &self.closing_comment),
            ("firstActivityTimeUtc", &self.first_activity),
            ("lastActivityTimeUtc", &self.last_activity),
        ];
        for (name, value) in optional.into_iter().filter_map(|(name, value)| Some((name, value.as_ref()?))) {
            put(name, json!(value));
        }
        Value::Object(all)
    }

    fn additional_data(&self, tenant: &str) -> Value {
        let mut products: Vec<&str> = self.alerts.iter().map(|alert| alert.product.as_str()).collect();
        products.sort_unstable();
        products.dedup();
        // The stable API versions do not tell the techniques.
        let mut tactics: Vec<&str> = self.alerts.iter().flat_map(Alert::tactics).collect();
        tactics.sort_unstable();
        tactics.dedup();
        let mut data = json!({
            "alertsCount": self.alerts.len(), "bookmarksCount": 0, "commentsCount": self.comments.len(),
            "alertProductNames": products, "tactics": tactics,
        });
        if let Some(id) = self.defender {
            data["providerIncidentUrl"] = json!(super::super::graph::incident_url(id, tenant));
        }
        data
    }

    /// What people and programs can change, by native name, for the ledger.
    pub(in super::super) fn editable(&self) -> Value {
        json!({
            "title": self.title, "description": self.description, "severity": self.severity, "status": self.status,
            "classification": self.classification, "classificationReason": self.reason,
            "classificationComment": self.closing_comment, "owner": self.owner.upn.as_ref().or(self.owner.email.as_ref()).or(self.owner.object_id.as_ref()),
            "labels": self.labels, "firstActivityTimeUtc": self.first_activity,
            "lastActivityTimeUtc": self.last_activity, "alertsCount": self.alerts.len(),
        })
    }

    /// A property to filter or sort by, without the `properties/` before it.
    pub(super) fn property(&self, name: &str) -> Operand {
        match name {
            "title" => Operand::text(Some(&self.title)),
            "severity" => Operand::text(Some(&self.severity)),
            "status" => Operand::text(Some(&self.status)),
            "classification" => Operand::text(self.classification.as_deref()),
            "owner/assignedTo" => Operand::text(self.owner.name.as_deref()),
            "incidentNumber" => Operand::Number(i64::from(self.number)),
            "createdTimeUtc" => Operand::Time(self.created),
            "lastModifiedTimeUtc" => Operand::Time(self.modified),
            "labels" => Operand::Names(self.labels.clone()),
            _ => Operand::Null,
        }
    }

    pub(super) fn comment_json(&self, comment: &Comment, place: &Place) -> Value {
        let rest = format!("{}/{}/comments/{}", place.collection, self.name, comment.id);
        json!({
            "id": place.resource(&rest),
            "name": comment.id,
            "type": format!("Microsoft.SecurityInsights/{}/comments", place.collection),
            "etag": comment.etag,
            "properties": {
                "message": comment.text,
                "createdTimeUtc": seven(comment.created),
                "lastModifiedTimeUtc": seven(comment.modified),
                "author": comment.author,
            },
        })
    }
}

impl Alert {
    fn tactics(&self) -> impl Iterator<Item = &str> {
        self.facts.categories.iter().map(String::as_str).filter(|category| TACTICS.contains(category))
    }

    pub(super) fn json(&self, place: &Place) -> Value {
        let at = seven(self.at);
        json!({
            "id": place.resource(&format!("Entities/{}", self.id)),
            "name": self.id,
            "type": "Microsoft.SecurityInsights/Entities",
            "kind": "SecurityAlert",
            "properties": {
                "systemAlertId": self.id, "providerAlertId": self.provider_id, "alertDisplayName": self.title,
                "friendlyName": self.title, "alertType": "SuspiciousActivity", "severity": self.severity,
                "status": "New", "vendorName": "Microsoft", "productName": self.product,
                "confidenceLevel": "Unknown", "tactics": self.tactics().collect::<Vec<_>>(), "intent": "Unknown",
                "alertLink": format!("https://security.microsoft.com/alerts/{}", self.provider_id),
                "startTimeUtc": at, "endTimeUtc": at, "timeGenerated": at, "processingEndTime": at,
                "resourceIdentifiers": [], "additionalData": { "AlertMessageEnqueueTime": at },
            },
        })
    }
}
