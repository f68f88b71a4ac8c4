//! `lockstep mappings link` and `unlink`: an operator knows better which records belong together.
//!
//! Both work on the store itself, so the worker must be stopped: it would not see the change.

use std::sync::Arc;

use anyhow::bail;

use super::output::print;
use super::source::as_operator;
use super::worker;
use crate::config::Config;
use crate::connectors::{Connector, Depth, connect};
use crate::http::{CallError, Http};
use crate::model::{Lifecycle, RecordRef};
use crate::store::{SledStore, Store};

/// Puts a record into the mapping of another. Its system is asked whether there is such a record, unless `unchecked`:
/// then the worker finds out, and drops the link again if there is none.
pub(super) async fn link(
    config: &Config,
    record: &RecordRef,
    joining: &RecordRef,
    unchecked: bool,
) -> anyhow::Result<()> {
    let store = SledStore::open_existing(&config.store.path)?;
    let changes =
        |joining: &RecordRef| as_operator(&*store, config, |operator| operator.link(record, joining));
    // What makes no sense is refused before anybody is asked.
    changes(joining)?;
    let joining = if unchecked { joining.clone() } else { existing(config, &store, joining).await? };
    store.commit(changes(&joining)?).await?;
    print(&format!("{joining} is linked to {record}; the worker reads it at its next start"))?;
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

/// The record under the name that its system gives it, such as the id of an issue that was named by its key.
async fn existing(config: &Config, store: &Arc<SledStore>, record: &RecordRef) -> anyhow::Result<RecordRef> {
    let connector = connector(config, store, record)?;
    let kinds = connector.collections();
    if !kinds.contains(&record.kind) {
        let kinds: Vec<&str> = kinds.iter().map(|kind| kind.as_str()).collect();
        bail!("{} has no {}s; it has: {}", record.system, record.kind.as_str(), kinds.join(", "));
    }
    match connector.read(record, Depth::Record).await {
        Ok(snapshot) => match snapshot.lifecycle {
            Lifecycle::Present => Ok(snapshot.record),
            Lifecycle::Redirected { to: Some(to) } => bail!("{record} was merged into {to}; link that one"),
            Lifecycle::Redirected { to: None } => {
                bail!("{record} was merged into another record; link that one")
            }
            Lifecycle::Gone => bail!("{record} was deleted; nothing was linked"),
        },
        Err(error @ CallError::Gone { .. }) => {
            bail!("nothing was linked, since there is no {record}: {error}")
        }
        Err(error) => bail!(
            "nothing was linked, since it cannot be told whether there is a {record}: {error}. Try again later, or link it \
             unseen with --unchecked"
        ),
    }
}

fn connector(
    config: &Config,
    store: &Arc<SledStore>,
    record: &RecordRef,
) -> anyhow::Result<Arc<dyn Connector>> {
    let Some(system) = config.system(&record.system) else {
        bail!("the configuration has no system `{}`", record.system);
    };
    let mailboxes = worker::mailboxes(config, &(Arc::clone(store) as Arc<dyn Store>))?;
    Ok(connect(&worker::settings(system, config, &mailboxes), &Http::new(&config.http)?, None)?)
}
