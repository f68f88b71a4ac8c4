//! What people want to read about an incident before they open it.

use serde::Serialize;

/// What people want to read about an incident before they open it. All of it is remote text: data, never markup.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Brief {
    /// The system that tells.
    pub system: String,
    /// The incident's own id there, as people know it (a number where it has one).
    pub number: String,
    /// Its title.
    pub title: String,
    /// Its severity, in the system's spelling.
    pub severity: String,
    /// The link for people.
    pub url: Option<String>,
    /// When it was created (RFC 3339, UTC).
    pub created: Option<String>,
    /// The system's own description.
    pub description: Option<String>,
    /// Products that raised it.
    pub products: Vec<String>,
    /// MITRE ATT&CK tactics.
    pub tactics: Vec<String>,
    /// MITRE ATT&CK techniques (`T1059.001`).
    pub techniques: Vec<String>,
    /// Users concerned.
    pub users: Vec<String>,
    /// Devices concerned.
    pub devices: Vec<String>,
    /// Mailboxes concerned.
    pub mailboxes: Vec<String>,
    /// Its alerts, newest last, at most [`Brief::MAX_ALERTS`].
    pub alerts: Vec<AlertBrief>,
    /// How many further alerts it has.
    pub more_alerts: usize,
    /// Whether only the incident itself could be read: what its alerts would tell is missing.
    pub incomplete: bool,
}

impl Brief {
    /// 50.
    pub const MAX_ALERTS: usize = 50;
}

/// One alert of a [`Brief`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct AlertBrief {
    /// Its title.
    pub title: String,
    /// Its severity, in the system's spelling.
    pub severity: String,
    /// The product that raised it.
    pub product: Option<String>,
    /// The link for people.
    pub url: Option<String>,
}
