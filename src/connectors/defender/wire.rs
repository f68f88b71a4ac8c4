//! Incidents and alerts as Graph sends them (`graph-security.md` 2.1, 3.1), every property optional.

use serde::Deserialize;

use crate::connectors::stated::{IdText, Stated};

/// `microsoft.graph.security.incident`, as far as it concerns us.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct WireIncident {
    pub(super) id: Stated<IdText>,
    pub(super) status: Stated<String>,
    pub(super) incident_web_url: Stated<String>,
    pub(super) redirect_incident_id: Stated<IdText>,
    pub(super) display_name: Stated<String>,
    pub(super) created_date_time: Stated<String>,
    pub(super) last_update_date_time: Stated<String>,
    pub(super) assigned_to: Stated<String>,
    pub(super) classification: Stated<String>,
    pub(super) determination: Stated<String>,
    pub(super) severity: Stated<String>,
    pub(super) custom_tags: Stated<Vec<Stated<String>>>,
    pub(super) last_modified_by: Stated<String>,
    pub(super) resolving_comment: Stated<String>,
    pub(super) comments: Stated<Vec<Stated<WireComment>>>,
    /// Only with `$expand=alerts`, which lists never ask for (section 7, item 3).
    pub(super) alerts: Stated<Vec<Stated<WireAlert>>>,
}

/// `microsoft.graph.security.alert`, as far as it concerns us.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct WireAlert {
    pub(super) id: Stated<IdText>,
    pub(super) incident_id: Stated<IdText>,
    pub(super) status: Stated<String>,
    pub(super) severity: Stated<String>,
    pub(super) classification: Stated<String>,
    pub(super) determination: Stated<String>,
    pub(super) service_source: Stated<String>,
    pub(super) title: Stated<String>,
    pub(super) assigned_to: Stated<String>,
    pub(super) alert_web_url: Stated<String>,
    pub(super) created_date_time: Stated<String>,
    pub(super) last_update_date_time: Stated<String>,
    pub(super) comments: Stated<Vec<Stated<WireComment>>>,
}

/// `microsoft.graph.security.alertComment`; it has no id.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct WireComment {
    pub(super) comment: Stated<String>,
    pub(super) created_by_display_name: Stated<String>,
    pub(super) created_date_time: Stated<String>,
}
