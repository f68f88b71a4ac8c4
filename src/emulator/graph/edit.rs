//! Edits of incidents and alerts, as a PATCH body or a person in the portal makes them, and their rules.

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use super::super::wire::Refusal;
use super::record::{Alert, Incident};
use super::values;

/// `resolvingComment` and comments are cut here, silently (`graph-security.md` 2.5).
pub(super) const COMMENT_LIMIT: usize = 30_000;

/// An edit of a Defender incident, in Graph's own property names and values. What is `None` stays as it is.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct DefenderEdit {
    /// `active`, `inProgress` or `resolved`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// A user principal name, or `Some(None)` for nobody.
    #[serde(deserialize_with = "stated", skip_serializing_if = "Option::is_none")]
    pub assigned_to: Option<Option<String>>,
    /// Legal only together with a fitting determination.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub classification: Option<String>,
    /// See `classification`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub determination: Option<String>,
    /// `informational`, `low`, `medium` or `high`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub severity: Option<String>,
    /// All custom tags from now on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub custom_tags: Option<Vec<String>>,
    /// The note of the resolution.
    #[serde(deserialize_with = "stated", skip_serializing_if = "Option::is_none")]
    pub resolving_comment: Option<Option<String>>,
    /// The title.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// The description.
    #[serde(deserialize_with = "stated", skip_serializing_if = "Option::is_none")]
    pub description: Option<Option<String>>,
    /// The attack overview.
    #[serde(deserialize_with = "stated", skip_serializing_if = "Option::is_none")]
    pub summary: Option<Option<String>>,
    /// A comment to add. Only for people: the API has an operation of its own for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
}

/// Tells `null` from absent.
#[allow(clippy::option_option)]
pub(in super::super) fn stated<'de, D>(deserializer: D) -> Result<Option<Option<String>>, D::Error>
where
    D: Deserializer<'de>,
{
    Option::<String>::deserialize(deserializer).map(Some)
}

const READ_ONLY: &[&str] = &[
    "id",
    "tenantId",
    "incidentWebUrl",
    "redirectIncidentId",
    "createdDateTime",
    "lastUpdateDateTime",
    "systemTags",
    "lastModifiedBy",
    "priorityScore",
    "comments",
    "alerts",
];

pub(super) fn invalid_body() -> Refusal {
    Refusal::new(400, "InvalidRequestBody", "Request body is incorrect")
}

impl DefenderEdit {
    /// Sets the status.
    pub fn status(status: &str) -> Self {
        Self { status: Some(status.to_owned()), ..Self::default() }
    }

    /// Resolves with a verdict.
    pub fn resolve(classification: &str, determination: &str) -> Self {
        Self {
            classification: Some(classification.to_owned()),
            determination: Some(determination.to_owned()),
            ..Self::status("resolved")
        }
    }

    /// Assigns it to somebody or nobody.
    pub fn owner(owner: Option<&str>) -> Self {
        Self { assigned_to: Some(owner.map(str::to_owned)), ..Self::default() }
    }

    /// Sets the severity.
    pub fn severity(severity: &str) -> Self {
        Self { severity: Some(severity.to_owned()), ..Self::default() }
    }

    /// Sets all custom tags.
    pub fn tags<T: AsRef<str>>(tags: &[T]) -> Self {
        let tags = tags.iter().map(|tag| tag.as_ref().to_owned()).collect();
        Self { custom_tags: Some(tags), ..Self::default() }
    }

    /// Renames it.
    pub fn title(title: &str) -> Self {
        Self { display_name: Some(title.to_owned()), ..Self::default() }
    }

    /// Adds a comment.
    pub fn comment(text: &str) -> Self {
        Self { comment: Some(text.to_owned()), ..Self::default() }
    }

    /// With this closing comment besides.
    #[must_use]
    pub fn saying(mut self, closing_comment: &str) -> Self {
        self.resolving_comment = Some(Some(closing_comment.to_owned()));
        self
    }

    /// Reads the body of a PATCH.
    pub(super) fn from_patch(mut body: Value, ignore_read_only: bool) -> Result<Self, Refusal> {
        let members = body.as_object_mut().ok_or_else(invalid_body)?;
        members.retain(|name, _| !name.starts_with("@odata."));
        if ignore_read_only {
            members.retain(|name, _| !READ_ONLY.contains(&name.as_str()));
        }
        if let Some(name) =
            members.keys().find(|name| READ_ONLY.contains(&name.as_str()) || *name == "comment")
        {
            return Err(Refusal::bad_request(format!(
                "The property '{name}' is read-only and cannot be updated."
            )));
        }
        check_nulls(members)?;
        serde_json::from_value(body).map_err(|_| invalid_body())
    }

    /// The incident with this edit, or why it is refused.
    pub(super) fn applied(
        &self,
        incident: &Incident,
        accept_illegal_pairs: bool,
    ) -> Result<Incident, Refusal> {
        let mut next = incident.clone();
        // `redirected` is taken although nothing good comes of it (graph-security.md 2.5).
        set(&mut next.status, self.status.as_deref(), &["active", "inProgress", "resolved", "redirected"])?;
        set(&mut next.severity, self.severity.as_deref(), &["informational", "low", "medium", "high"])?;
        set(&mut next.classification, self.classification.as_deref(), sendable(values::CLASSIFICATION))?;
        set(&mut next.determination, self.determination.as_deref(), sendable(values::DETERMINATION))?;
        let verdict_stated = self.classification.is_some() || self.determination.is_some();
        if verdict_stated
            && !accept_illegal_pairs
            && !values::is_legal_pair(&next.classification, &next.determination)
        {
            return Err(invalid_body());
        }
        if let Some(owner) = &self.assigned_to {
            next.owner.clone_from(owner);
        }
        if let Some(tags) = &self.custom_tags {
            next.tags.clone_from(tags);
        }
        if let Some(title) = &self.display_name {
            next.title.clone_from(title);
        }
        if let Some(description) = &self.description {
            next.description.clone_from(description);
        }
        if let Some(summary) = &self.summary {
            next.summary.clone_from(summary);
        }
        if let Some(comment) = &self.resolving_comment {
            next.resolving_comment = comment.as_deref().map(cut);
        }
        Ok(next)
    }
}

/// The first 30,000 characters.
pub(super) fn cut(text: &str) -> String {
    text.chars().take(COMMENT_LIMIT).collect()
}

/// Without the last member, the sentinel `unknownFutureValue`, which is never sent.
fn sendable(members: &'static [&'static str]) -> &'static [&'static str] {
    &members[..members.len() - 1]
}

fn set(target: &mut String, value: Option<&str>, legal: &[&str]) -> Result<(), Refusal> {
    match value {
        Some(value) if !legal.contains(&value) => Err(invalid_body()),
        Some(value) => {
            value.clone_into(target);
            Ok(())
        }
        None => Ok(()),
    }
}

/// `null` clears a verdict; where it can clear nothing it is refused.
fn check_nulls(members: &mut serde_json::Map<String, Value>) -> Result<(), Refusal> {
    let is_null = |name: &&str| members.get(*name).is_some_and(Value::is_null);
    if ["status", "severity", "customTags", "displayName"].iter().any(is_null) {
        return Err(invalid_body());
    }
    for name in ["classification", "determination"] {
        if let Some(value) = members.get_mut(name)
            && value.is_null()
        {
            *value = Value::from("unknown");
        }
    }
    Ok(())
}

/// An edit of a Defender alert, in Graph's own property names and values. What is `None` stays as it is.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct AlertEdit {
    /// `new`, `inProgress` or `resolved`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// A user principal name, or `Some(None)` for nobody.
    #[serde(deserialize_with = "stated", skip_serializing_if = "Option::is_none")]
    pub assigned_to: Option<Option<String>>,
    /// Legal only together with a fitting determination.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub classification: Option<String>,
    /// See `classification`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub determination: Option<String>,
    /// A comment to add. Only for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
}

impl AlertEdit {
    /// Sets the status.
    pub fn status(status: &str) -> Self {
        Self { status: Some(status.to_owned()), ..Self::default() }
    }

    /// Resolves with a verdict.
    pub fn resolve(classification: &str, determination: &str) -> Self {
        Self {
            classification: Some(classification.to_owned()),
            determination: Some(determination.to_owned()),
            ..Self::status("resolved")
        }
    }

    /// Reads the body of a PATCH.
    pub(super) fn from_patch(mut body: Value, ignore_read_only: bool) -> Result<Self, Refusal> {
        const WRITABLE: &[&str] = &["status", "assignedTo", "classification", "determination"];
        let members = body.as_object_mut().ok_or_else(invalid_body)?;
        members.retain(|name, _| !name.starts_with("@odata."));
        if ignore_read_only {
            members.retain(|name, _| WRITABLE.contains(&name.as_str()));
        }
        if let Some(name) = members.keys().find(|name| !WRITABLE.contains(&name.as_str())) {
            return Err(Refusal::bad_request(format!(
                "The property '{name}' is read-only and cannot be updated."
            )));
        }
        check_nulls(members)?;
        serde_json::from_value(body).map_err(|_| invalid_body())
    }

    /// The alert with this edit, or why it is refused.
    pub(super) fn applied(&self, alert: &Alert, accept_illegal_pairs: bool) -> Result<Alert, Refusal> {
        let mut next = alert.clone();
        set(&mut next.status, self.status.as_deref(), &["new", "inProgress", "resolved"])?;
        let mut class = next.classification.take().unwrap_or_else(|| "unknown".to_owned());
        let mut det = next.determination.take().unwrap_or_else(|| "unknown".to_owned());
        set(&mut class, self.classification.as_deref(), sendable(values::CLASSIFICATION))?;
        set(&mut det, self.determination.as_deref(), sendable(values::DETERMINATION))?;
        if self.classification.is_none() && self.determination.is_none() {
            next.classification.clone_from(&alert.classification);
            next.determination.clone_from(&alert.determination);
        } else if accept_illegal_pairs || values::is_legal_pair(&class, &det) {
            next.classification = Some(class);
            next.determination = Some(det);
        } else {
            return Err(invalid_body());
        }
        if let Some(owner) = &self.assigned_to {
            next.owner.clone_from(owner);
        }
        Ok(next)
    }
}
