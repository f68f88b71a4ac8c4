//! From settings to connectors: the one place that names every kind of system.

use std::sync::Arc;

use super::defender::{Defender, DefenderSettings};
use super::jira::{Jira, JiraSettings};
use super::request_tracker::{RequestTracker, RequestTrackerSettings};
use super::sentinel::{Sentinel, SentinelSettings};
use super::servicenow::{ServiceNow, ServiceNowSettings};
use super::sidecar::{Sidecar, SidecarSettings};
use super::thehive::{TheHive, TheHiveSettings};
use super::{ConnectError, Connector, TicketSystem};
use crate::http::secret::SecretRef;
use crate::http::{CallObserver, Http};
use crate::model::RecordKind;

/// The settings of one system of any kind.
#[derive(Debug, Clone)]
pub enum SystemSettings {
    /// A Defender XDR tenant.
    Defender(DefenderSettings),
    /// A Sentinel workspace.
    Sentinel(SentinelSettings),
    /// A ServiceNow table.
    ServiceNow(ServiceNowSettings),
    /// A Jira project.
    Jira(JiraSettings),
    /// A Request Tracker queue.
    RequestTracker(RequestTrackerSettings),
    /// A TheHive organisation.
    TheHive(TheHiveSettings),
    /// A ticketing software of any kind, through the local API.
    Sidecar(SidecarSettings),
}

impl SystemSettings {
    /// The name of the translation table that comes with the program for it.
    pub fn table(&self) -> &'static str {
        match self {
            Self::Defender(_) => "defender",
            Self::Sentinel(_) => "sentinel",
            Self::ServiceNow(settings) => settings.table.translation(),
            Self::Jira(_) => "jira",
            Self::RequestTracker(settings) => settings.table(),
            Self::TheHive(_) => "thehive",
            Self::Sidecar(_) => "sidecar",
        }
    }

    /// What stands for an incident there.
    pub fn main_kind(&self) -> RecordKind {
        match self {
            Self::Defender(_) | Self::Sentinel(_) => RecordKind::Incident,
            _ => RecordKind::Ticket,
        }
    }

    /// What it shares with all ticket systems that are called over a network, if it is one.
    pub fn ticketing(&self) -> Option<&TicketSystem> {
        match self {
            Self::Defender(_) | Self::Sentinel(_) | Self::Sidecar(_) => None,
            Self::ServiceNow(settings) => Some(&settings.system),
            Self::Jira(settings) => Some(&settings.system),
            Self::RequestTracker(settings) => Some(&settings.system),
            Self::TheHive(settings) => Some(&settings.system),
        }
    }

    /// The secrets it is configured with.
    pub fn secrets(&self) -> Vec<&SecretRef> {
        let (mut secrets, hook) = match self {
            Self::Defender(settings) => (settings.credential.secrets(), settings.hook.as_ref()),
            Self::Sentinel(settings) => (settings.credential.secrets(), settings.hook.as_ref()),
            Self::Sidecar(settings) => {
                (settings.token.iter().collect(), settings.webhook.as_ref().map(|webhook| &webhook.secret))
            }
            _ => self.ticketing().map(|s| (s.login.secrets(), s.hook.as_ref())).unwrap_or_default(),
        };
        secrets.extend(hook);
        secrets
    }

    /// Why lockstep cannot create records there, if so (`graph-security.md` 2: no POST on incidents).
    pub fn refuses_creation(&self) -> Option<&'static str> {
        matches!(self, Self::Defender(_)).then_some("Defender creates its incidents itself, its API cannot")
    }
}

/// Makes the connector of a system. Sends nothing yet.
pub fn connect(
    settings: &SystemSettings,
    http: &Http,
    observer: Option<Arc<dyn CallObserver>>,
) -> Result<Arc<dyn Connector>, ConnectError> {
    Ok(match settings {
        SystemSettings::Defender(settings) => Arc::new(Defender::new(settings, http, observer)?),
        SystemSettings::Sentinel(settings) => Arc::new(Sentinel::new(settings, http, observer)?),
        SystemSettings::ServiceNow(settings) => Arc::new(ServiceNow::new(settings, http, observer)?),
        SystemSettings::Jira(settings) => Arc::new(Jira::new(settings, http, observer)?),
        SystemSettings::RequestTracker(settings) => Arc::new(RequestTracker::new(settings, http, observer)?),
        SystemSettings::TheHive(settings) => Arc::new(TheHive::new(settings, http, observer)?),
        SystemSettings::Sidecar(settings) => Arc::new(Sidecar::new(settings)),
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use url::Url;

    use super::*;
    use crate::connectors::testing::{credential, http};
    use crate::model::SystemName;

    fn settings(graph: &str) -> SystemSettings {
        SystemSettings::Defender(DefenderSettings {
            name: SystemName::new("xdr").unwrap(),
            tenant_id: "t".to_owned(),
            credential: credential(),
            authority_url: Url::parse("https://login.example").unwrap(),
            graph_url: Url::parse(graph).unwrap(),
            scope: "s/.default".to_owned(),
            budget_factor: 1.0,
            settle: DefenderSettings::DEFAULT_SETTLE,
            overlap: DefenderSettings::DEFAULT_OVERLAP,
            hook: None,
        })
    }

    #[test]
    fn settings_become_a_connector_or_an_error_that_names_the_system() {
        let connector = connect(&settings("https://graph.example"), &http(), None).unwrap();
        assert_eq!(connector.system().as_str(), "xdr");
        assert_eq!(connector.budget_left(), [("graph", 10)]);
        let error = connect(&settings("mailto:x"), &http(), None).err().unwrap().to_string();
        assert!(error.contains("system xdr") && error.contains("mailto:x"), "{error}");
        assert!(!format!("{:?}", settings("https://graph.example")).contains("\"p\""));
    }
}
