//! Incidents, comments and alerts as ARM sends them (`sentinel.md` 1.2, 2.1, 2.4), every property optional.

use serde::Deserialize;

use crate::connectors::stated::{IdText, Stated};

/// The envelope that all resources share.
#[derive(Debug, Deserialize)]
#[serde(default)]
pub(super) struct Resource<P> {
    pub(super) name: Stated<IdText>,
    pub(super) etag: Stated<String>,
    pub(super) properties: P,
}

impl<P: Default> Default for Resource<P> {
    fn default() -> Self {
        Self { name: Stated::Absent, etag: Stated::Absent, properties: P::default() }
    }
}

/// Properties of an incident.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct WireIncident {
    pub(super) title: Stated<String>,
    pub(super) severity: Stated<String>,
    pub(super) status: Stated<String>,
    pub(super) classification: Stated<String>,
    pub(super) classification_reason: Stated<String>,
    pub(super) classification_comment: Stated<String>,
    pub(super) owner: Stated<WireOwner>,
    pub(super) labels: Stated<Vec<Stated<WireLabel>>>,
    pub(super) created_time_utc: Stated<String>,
    pub(super) last_modified_time_utc: Stated<String>,
    pub(super) incident_number: Stated<IdText>,
    pub(super) incident_url: Stated<String>,
    pub(super) provider_name: Stated<String>,
    pub(super) provider_incident_id: Stated<IdText>,
    pub(super) additional_data: Stated<WireAdditional>,
}

/// `additionalData` of an incident; some answers lack it.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct WireAdditional {
    pub(super) alerts_count: Stated<u32>,
    pub(super) comments_count: Stated<u32>,
    pub(super) alert_product_names: Stated<Vec<Stated<String>>>,
    pub(super) provider_incident_url: Stated<String>,
}

/// An owner; nobody is stated as four nulls, or not at all (`sentinel.md` 1.6).
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct WireOwner {
    pub(super) email: Stated<String>,
    pub(super) assigned_to: Stated<String>,
    pub(super) user_principal_name: Stated<String>,
    pub(super) object_id: Stated<IdText>,
    pub(super) owner_type: Stated<String>,
}

/// A label.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct WireLabel {
    pub(super) label_name: Stated<String>,
}

/// Properties of a comment.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct WireComment {
    pub(super) message: Stated<String>,
    pub(super) created_time_utc: Stated<String>,
    pub(super) author: Stated<WireAuthor>,
}

/// Who wrote a comment.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct WireAuthor {
    pub(super) name: Stated<String>,
    pub(super) user_principal_name: Stated<String>,
    pub(super) email: Stated<String>,
}

/// Properties of an incident's alert.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct WireAlert {
    pub(super) provider_alert_id: Stated<IdText>,
    pub(super) product_name: Stated<String>,
}
