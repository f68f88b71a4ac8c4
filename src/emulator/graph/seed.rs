//! Defender records to begin with.

use serde::{Deserialize, Serialize};

use super::evidence::AlertFacts;

/// A Defender incident to begin with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct IncidentSeed {
    /// The title.
    pub display_name: String,
    /// `informational`, `low`, `medium` or `high`.
    pub severity: String,
    /// `active`, `inProgress` or `resolved`.
    pub status: String,
    /// The owner.
    pub assigned_to: Option<String>,
    /// A member of `alertClassification`.
    pub classification: String,
    /// A member of `alertDetermination`.
    pub determination: String,
    /// The custom tags.
    pub custom_tags: Vec<String>,
    /// The description.
    pub description: Option<String>,
    /// Its alerts.
    pub alerts: Vec<AlertSeed>,
}

impl Default for IncidentSeed {
    fn default() -> Self {
        Self {
            display_name: "Multi-stage incident on one endpoint".to_owned(),
            severity: "medium".to_owned(),
            status: "active".to_owned(),
            assigned_to: None,
            classification: "unknown".to_owned(),
            determination: "unknown".to_owned(),
            custom_tags: Vec::new(),
            description: Some("Suspicious activity on one endpoint.".to_owned()),
            alerts: vec![AlertSeed::default()],
        }
    }
}

impl IncidentSeed {
    /// An active incident of this title and severity with so many alerts.
    pub fn new(title: &str, severity: &str, alerts: usize) -> Self {
        let alert = AlertSeed { severity: severity.to_owned(), ..AlertSeed::default() };
        Self {
            display_name: title.to_owned(),
            severity: severity.to_owned(),
            alerts: vec![alert; alerts],
            ..Self::default()
        }
    }
}

/// A Defender alert to begin with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct AlertSeed {
    /// The title.
    pub title: String,
    /// A member of `alertSeverity`.
    pub severity: String,
    /// `new`, `inProgress` or `resolved`.
    pub status: String,
    /// A member of `serviceSource`.
    pub service_source: String,
    /// A member of `detectionSource`.
    pub detection_source: String,
    /// The provider's own id. If absent, one in the form of Defender for Endpoint, equal to the alert's id.
    pub provider_alert_id: Option<String>,
    /// What it tells beside its state.
    pub facts: AlertFacts,
}

impl Default for AlertSeed {
    fn default() -> Self {
        Self {
            title: "Suspicious process".to_owned(),
            severity: "medium".to_owned(),
            status: "new".to_owned(),
            service_source: "microsoftDefenderForEndpoint".to_owned(),
            detection_source: "microsoftDefenderForEndpoint".to_owned(),
            provider_alert_id: None,
            facts: AlertFacts::default(),
        }
    }
}
