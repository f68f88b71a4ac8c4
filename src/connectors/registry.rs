//! From settings to connectors: the one place that names every kind of system.

use std::sync::Arc;

use super::defender::{Defender, DefenderSettings};
use super::sentinel::{Sentinel, SentinelSettings};
use super::{ConnectError, Connector};
use crate::http::{CallObserver, Http};

/// The settings of one system of any kind.
#[derive(Debug, Clone)]
pub enum SystemSettings {
    /// A Defender XDR tenant.
    Defender(DefenderSettings),
    /// A Sentinel workspace.
    Sentinel(SentinelSettings),
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
