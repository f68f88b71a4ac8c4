//! What Jira says when it refuses: `{"errorMessages": ["..."], "errors": {"field": "..."}}` (`ticketing.md` 2.7).

use std::collections::BTreeMap;

use serde_json::Value;

use crate::connectors::text::shown;
use crate::http::CallError;

/// The code of a refusal that can pass by itself: sub-tasks that are open, an approval that is pending, a condition of the
/// workflow.
pub(super) const BLOCKED: &str = "blocked";

/// An error in Jira's form.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Complaint<'a> {
    /// What it says of no field.
    pub(super) general: Vec<&'a str>,
    /// What it says of fields, by their ids.
    pub(super) fields: BTreeMap<&'a str, &'a str>,
}

impl<'a> Complaint<'a> {
    /// `None` for what is not in Jira's form. An issue is none, though it may be empty of errors.
    pub(super) fn of(body: &'a Value) -> Option<Self> {
        let (general, fields) = (body["errorMessages"].as_array(), body["errors"].as_object());
        if general.is_none() && fields.is_none() {
            return None;
        }
        Some(Self {
            general: general.into_iter().flatten().filter_map(Value::as_str).collect(),
            fields: fields
                .into_iter()
                .flatten()
                .map(|(name, why)| (name.as_str(), why.as_str().unwrap_or_default()))
                .collect(),
        })
    }

    /// What was answered to a call that was refused.
    pub(super) fn behind(error: &'a CallError) -> Option<Self> {
        Self::of(error.evidence()?.body.as_ref()?)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.general.is_empty() && self.fields.is_empty()
    }

    /// All of it, for people.
    pub(super) fn words(&self) -> String {
        let fields = self.fields.iter().map(|(name, why)| format!("{}: {}", shown(name), shown(why)));
        self.general.iter().map(|text| shown(text)).chain(fields).collect::<Vec<_>>().join("; ")
    }
}

/// Whether Jira refused what was asked for, and nothing was changed.
pub(super) fn is_refusal(error: &CallError) -> bool {
    matches!(error, CallError::Refused { .. } | CallError::Denied { .. })
}

/// A refusal that names no field may pass: it speaks of the issue and its workflow, and not of what was sent.
pub(super) fn may_pass(error: &CallError) -> bool {
    let names_none = || Complaint::behind(error).is_some_and(|complaint| complaint.fields.is_empty());
    matches!(error, CallError::Refused { .. }) && names_none()
}

/// The same refusal as one that is tried again.
pub(super) fn blocked(error: &CallError) -> CallError {
    CallError::Denied {
        site: Box::new(error.site().clone()),
        status: error.status().unwrap_or_default(),
        code: BLOCKED.to_owned(),
        message: format!("the workflow does not let it through now: {}", error.words()),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_complaint_has_jiras_form() {
        let body = json!({"errorMessages": ["Something"], "errors": {"labels": "Field 'labels' cannot be set", "x": 7}});
        let complaint = Complaint::of(&body).unwrap();
        assert_eq!(complaint.general, ["Something"]);
        assert_eq!(complaint.fields, [("labels", "Field 'labels' cannot be set"), ("x", "")].into());
        assert_eq!(complaint.words(), "Something; labels: Field \\'labels\\' cannot be set; x: ");
        for none in
            [json!(null), json!("x"), json!({"message": "x", "status-code": 404}), json!({"errors": []})]
        {
            assert_eq!(Complaint::of(&none), None, "{none}");
        }
        assert!(Complaint::of(&json!({"errorMessages": [], "errors": {}})).unwrap().is_empty());
    }
}
