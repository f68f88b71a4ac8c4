//! `lockstep mappings link` and `unlink`: an operator knows better which records belong together.
//!
//! Both work on the store itself, so the worker must be stopped: it would not see the change.

use super::output::print;
use super::source::as_operator;
use crate::config::Config;
use crate::model::RecordRef;
use crate::store::{SledStore, Store};

/// Puts a record into the mapping of another.
pub(super) async fn link(config: &Config, record: &RecordRef, joining: &RecordRef) -> anyhow::Result<()> {
    let store = SledStore::open_existing(&config.store.path)?;
    let changes = as_operator(&*store, config, |operator| operator.link(record, joining))?;
    store.commit(changes).await?;
    print(&format!("{joining} is linked to {record}"))?;
    Ok(())
}

/// Takes a record out of its mapping.
pub(super) async fn unlink(config: &Config, record: &RecordRef) -> anyhow::Result<()> {
    let store = SledStore::open_existing(&config.store.path)?;
    let (mapping, changes) = as_operator(&*store, config, |operator| operator.unlink(record))?;
    store.commit(changes).await?;
    print(&format!("{record} is out of mapping {}; `lockstep mappings link` brings it back", mapping.id))?;
    Ok(())
}
