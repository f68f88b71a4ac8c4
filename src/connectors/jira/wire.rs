//! Issues, comments and transitions as Jira sends them (`ticketing.md` 2.2 to 2.6), every property optional.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use crate::connectors::stated::{IdText, Stated};

/// An issue.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct WireIssue {
    pub(super) id: Stated<IdText>,
    pub(super) key: Stated<String>,
    pub(super) fields: WireFields,
    pub(super) properties: Stated<BTreeMap<String, Value>>,
}

/// The fields that are asked for.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct WireFields {
    pub(super) summary: Stated<String>,
    pub(super) status: Stated<WireStatus>,
    pub(super) resolution: Stated<WireNamed>,
    pub(super) priority: Stated<WireNamed>,
    pub(super) assignee: Stated<WireUser>,
    pub(super) labels: Stated<Vec<Stated<String>>>,
    pub(super) created: Stated<String>,
    pub(super) updated: Stated<String>,
    pub(super) comment: Stated<WireComments>,
}

/// Something with a name: a resolution, a priority; a select field's option calls it `value`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct WireNamed {
    #[serde(alias = "value")]
    pub(super) name: Stated<String>,
}

/// A status.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct WireStatus {
    pub(super) id: Stated<IdText>,
    pub(super) name: Stated<String>,
    pub(super) status_category: Stated<WireCategory>,
}

/// What kind of status it is.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct WireCategory {
    pub(super) key: Stated<String>,
}

impl WireStatus {
    /// The key of the status category: `new`, `indeterminate`, `done` or `undefined`.
    pub(super) fn category(&self) -> Option<&str> {
        self.status_category.value()?.key.text()
    }
}

/// A user; the e-mail is there only where the user shows it.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct WireUser {
    pub(super) account_id: Stated<String>,
    pub(super) name: Stated<String>,
    pub(super) email_address: Stated<String>,
    pub(super) display_name: Stated<String>,
    pub(super) active: Stated<bool>,
    pub(super) time_zone: Stated<String>,
}

impl WireUser {
    /// What tells the account: `accountId` in Cloud, `name` in Data Center.
    pub(super) fn account(&self) -> Option<&str> {
        self.account_id.text().or_else(|| self.name.text())
    }
}

/// Comments of an issue, or a page of them.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct WireComments {
    pub(super) comments: Stated<Vec<Value>>,
    pub(super) total: Stated<u32>,
}

/// One comment. `body` is a document in Cloud and a text in Data Center.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct WireComment {
    pub(super) id: Stated<IdText>,
    pub(super) author: Stated<WireUser>,
    pub(super) body: Value,
    pub(super) created: Stated<String>,
    pub(super) jsd_public: Stated<bool>,
}

/// What can be done to an issue now.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct WireTransitions {
    pub(super) transitions: Stated<Vec<WireTransition>>,
}

/// One transition.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct WireTransition {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) to: WireTarget,
    pub(super) has_screen: bool,
    pub(super) is_available: Option<bool>,
    pub(super) is_global: bool,
    pub(super) fields: BTreeMap<String, WireField>,
}

/// The status that a transition leads to.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct WireTarget {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) status_category: WireTargetCategory,
}

/// Its category.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct WireTargetCategory {
    pub(super) key: String,
}

/// A field of a screen.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct WireField {
    pub(super) required: bool,
    pub(super) has_default_value: bool,
    pub(super) name: String,
    pub(super) allowed_values: Option<Vec<Value>>,
}

impl WireField {
    /// Whether the field takes this word; one without a list takes any.
    pub(super) fn allows(&self, word: &str) -> bool {
        self.allowed_values.as_ref().is_none_or(|values| values.iter().any(|v| word_of(v) == Some(word)))
    }

    /// The words that it takes, in the site's order.
    pub(super) fn words(&self) -> impl Iterator<Item = &str> {
        self.allowed_values.iter().flatten().filter_map(word_of)
    }
}

fn word_of(value: &Value) -> Option<&str> {
    value["name"].as_str().or_else(|| value["value"].as_str())
}
