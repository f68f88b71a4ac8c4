//! Writes of incidents: the rules of a PUT body, and a person's edit in the portal (`sentinel.md` 1.4 to 1.7).

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::super::graph::stated;
use super::super::wire::Refusal;
use super::record::{CLASSIFICATION, Incident, Owner, REASON, SEVERITY, STATUS};

/// Characters a description may have.
const DESCRIPTION_LIMIT: usize = 5_000;

/// A person's edit of a Sentinel incident, in the API's property names and values. What is `None` stays.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct SentinelEdit {
    /// `New`, `Active` or `Closed`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// `High`, `Medium`, `Low` or `Informational`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub severity: Option<String>,
    /// The title.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// A user principal name, or `Some(None)` for nobody.
    #[serde(deserialize_with = "stated", skip_serializing_if = "Option::is_none")]
    pub owner: Option<Option<String>>,
    /// The display name of a group that it is assigned to, instead of a user.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner_group: Option<String>,
    /// All labels from now on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub labels: Option<Vec<String>>,
    /// Needed to close.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub classification: Option<String>,
    /// Needed with every classification but `Undetermined`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub classification_reason: Option<String>,
    /// The closing comment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub classification_comment: Option<String>,
    /// The description.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// A comment to add.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
}

impl SentinelEdit {
    /// Sets the status. Opening an incident forgets its classification.
    pub fn status(status: &str) -> Self {
        Self { status: Some(status.to_owned()), ..Self::default() }
    }

    /// Closes with a classification and, except for `Undetermined`, its reason.
    pub fn close(classification: &str, reason: Option<&str>) -> Self {
        Self {
            classification: Some(classification.to_owned()),
            classification_reason: reason.map(str::to_owned),
            ..Self::status("Closed")
        }
    }

    /// Assigns it to somebody or nobody.
    pub fn owner(owner: Option<&str>) -> Self {
        Self { owner: Some(owner.map(str::to_owned)), ..Self::default() }
    }

    /// Sets the severity.
    pub fn severity(severity: &str) -> Self {
        Self { severity: Some(severity.to_owned()), ..Self::default() }
    }

    /// Sets all labels.
    pub fn labels<T: AsRef<str>>(labels: &[T]) -> Self {
        let labels = labels.iter().map(|label| label.as_ref().to_owned()).collect();
        Self { labels: Some(labels), ..Self::default() }
    }

    /// Renames it.
    pub fn title(title: &str) -> Self {
        Self { title: Some(title.to_owned()), ..Self::default() }
    }

    /// Adds a comment.
    pub fn comment(text: &str) -> Self {
        Self { comment: Some(text.to_owned()), ..Self::default() }
    }

    /// With this closing comment besides.
    #[must_use]
    pub fn saying(mut self, closing_comment: &str) -> Self {
        self.classification_comment = Some(closing_comment.to_owned());
        self
    }

    /// The incident with this edit, or why the portal would refuse it.
    pub(in super::super) fn applied(&self, incident: &Incident) -> Result<Incident, Refusal> {
        let mut next = incident.clone();
        let put = |target: &mut String, value: &Option<String>| {
            if let Some(value) = value {
                target.clone_from(value);
            }
        };
        put(&mut next.status, &self.status);
        put(&mut next.severity, &self.severity);
        put(&mut next.title, &self.title);
        if let Some(owner) = &self.owner {
            next.owner = Owner::user(owner.as_deref());
        }
        if let Some(group) = &self.owner_group {
            next.owner = Owner::group(group);
        }
        if let Some(labels) = &self.labels {
            next.labels.clone_from(labels);
        }
        if let Some(description) = &self.description {
            next.description = Some(description.clone());
        }
        if next.status != "Closed" {
            (next.classification, next.reason, next.closing_comment) = (None, None, None);
        }
        if self.classification.is_some() {
            next.classification.clone_from(&self.classification);
            next.reason.clone_from(&self.classification_reason);
        }
        if self.classification_comment.is_some() {
            next.closing_comment.clone_from(&self.classification_comment);
        }
        check(&next)?;
        Ok(next)
    }
}

/// Rules for every state an incident may be written to.
fn check(incident: &Incident) -> Result<(), Refusal> {
    if incident.title.trim().is_empty() {
        return Err(Refusal::bad_request("'Title' must have a non-empty value"));
    }
    member("severity", &incident.severity, SEVERITY)?;
    member("status", &incident.status, STATUS)?;
    if incident.description.as_ref().is_some_and(|text| text.chars().count() > DESCRIPTION_LIMIT) {
        return Err(Refusal::bad_request(format!(
            "'Description' must not exceed {DESCRIPTION_LIMIT} characters."
        )));
    }
    if incident.labels.iter().any(|label| label.trim().is_empty()) {
        return Err(Refusal::bad_request("'LabelName' must have a non-empty value"));
    }
    check_closing(incident)
}

/// Which classification and reason go together, and when (`sentinel.md` 1.5).
fn check_closing(incident: &Incident) -> Result<(), Refusal> {
    let reason = incident.reason.as_deref();
    let Some(classification) = incident.classification.as_deref() else {
        return match reason {
            Some(_) => Err(Refusal::bad_request("classificationReason needs a classification.")),
            None if incident.status == "Closed" => {
                Err(Refusal::bad_request("classification must not be empty when status is 'Closed'."))
            }
            None => Ok(()),
        };
    };
    member("classification", classification, CLASSIFICATION)?;
    if incident.status != "Closed" {
        return Err(Refusal::bad_request("classification can only be set when status is 'Closed'."));
    }
    if let Some(reason) = reason {
        member("classificationReason", reason, REASON)?;
    }
    let legal = matches!(
        (classification, reason),
        ("TruePositive", Some("SuspiciousActivity"))
            | ("BenignPositive", Some("SuspiciousButExpected"))
            | ("FalsePositive", Some("IncorrectAlertLogic" | "InaccurateData"))
            | ("Undetermined", None)
    );
    match reason {
        _ if legal => Ok(()),
        None => Err(Refusal::bad_request(format!(
            "classification '{classification}' must have classificationReason."
        ))),
        Some(reason) => Err(Refusal::bad_request(format!(
            "classificationReason '{reason}' does not match classification '{classification}'."
        ))),
    }
}

fn member(name: &str, value: &str, members: &[&str]) -> Result<(), Refusal> {
    if value.is_empty() {
        return Err(Refusal::bad_request(format!("{name} must not be empty.")));
    }
    if members.contains(&value) {
        return Ok(());
    }
    Err(Refusal::bad_request(format!("Error converting value \"{value}\" to type of property '{name}'.")))
}

/// The incident a PUT makes of `current`: every writable property is replaced, what the body lacks is lost.
pub(super) fn replaced(
    current: &Incident,
    properties: &Value,
    directory: &dyn Fn(&str) -> Option<Owner>,
) -> Result<Incident, Refusal> {
    let text = |name: &str| match &properties[name] {
        Value::Null => Ok(None),
        Value::String(text) => Ok(Some(text.clone()).filter(|text| !text.is_empty())),
        _ => Err(Refusal::bad_request(format!("Error converting value of property '{name}'."))),
    };
    let mut next = current.clone();
    text("title")?.unwrap_or_default().trim().clone_into(&mut next.title);
    next.severity = text("severity")?.unwrap_or_default();
    next.status = text("status")?.unwrap_or_default();
    next.description = text("description")?;
    next.classification = text("classification")?;
    next.reason = text("classificationReason")?;
    next.closing_comment = text("classificationComment")?;
    next.first_activity = time(text("firstActivityTimeUtc")?)?;
    next.last_activity = time(text("lastActivityTimeUtc")?)?;
    next.owner = owner(&properties["owner"], directory)?;
    next.labels = labels(&properties["labels"])?;
    check(&next)?;
    Ok(next)
}

fn time(text: Option<String>) -> Result<Option<String>, Refusal> {
    match text {
        Some(text) if text.parse::<jiff::Timestamp>().is_err() => {
            Err(Refusal::bad_request(format!("Could not convert string to DateTime: {text}.")))
        }
        other => Ok(other),
    }
}

/// Any one of object id, user principal name and e-mail names a user; the directory fills in the others.
fn owner(value: &Value, directory: &dyn Fn(&str) -> Option<Owner>) -> Result<Owner, Refusal> {
    let members = match value {
        Value::Null => return Ok(Owner::default()),
        Value::Object(members) => members,
        _ => return Err(Refusal::bad_request("Error converting value of property 'owner'.")),
    };
    let text = |name: &str| members.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    if let Some(upn) = text("userPrincipalName").or(text("email")) {
        // Nobody is called so. That it is refused is the harder reading; nothing is published.
        return match upn.split_once('@') {
            Some(_) => Ok(Owner::user(Some(upn))),
            None => Err(Refusal::bad_request(format!("owner '{upn}' was not found."))),
        };
    }
    let is_group = text("ownerType") == Some("Group");
    match text("objectId") {
        None => Ok(Owner::default()),
        Some(id) if uuid::Uuid::parse_str(id).is_err() => {
            Err(Refusal::bad_request(format!("Error converting value \"{id}\" to type 'System.Guid'.")))
        }
        // A user nobody named before: the directory has no more than the id.
        Some(id) => {
            let blank = Owner { object_id: Some(id.to_owned()), is_group, ..Owner::default() };
            Ok(directory(id).unwrap_or(blank))
        }
    }
}

fn labels(value: &Value) -> Result<Vec<String>, Refusal> {
    let rows = match value {
        Value::Null => return Ok(Vec::new()),
        Value::Array(rows) => rows,
        _ => return Err(Refusal::bad_request("Error converting value of property 'labels'.")),
    };
    let mut labels: Vec<String> = Vec::new();
    for row in rows {
        let name = row["labelName"].as_str().ok_or_else(|| Refusal::bad_request("labelName is required."))?;
        if !labels.iter().any(|label| label == name) {
            labels.push(name.to_owned());
        }
    }
    Ok(labels)
}
