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
