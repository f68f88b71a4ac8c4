//! From configured systems to connectors.

use std::sync::Arc;

use crate::config::Config;
use crate::connectors::Connector;
use crate::http::CallObserver;

/// The connectors of all configured systems, in their order. Nothing is sent yet.
pub(super) fn connectors(
    config: &Config,
    observer: Option<&Arc<dyn CallObserver>>,
) -> anyhow::Result<Vec<Arc<dyn Connector>>> {
    let mut systems = super::worker::systems(config, observer, &super::worker::Mailboxes::new())?;
    Ok(config.systems.iter().filter_map(|s| Some(systems.remove(&s.name)?.connector)).collect())
}
