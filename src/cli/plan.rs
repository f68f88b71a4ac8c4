//! `lockstep plan`: what `run` would write now, as a diff per mapping.

use std::sync::Arc;

use anyhow::Context;
use clap::Args;

use super::output::{BOLD, DIM, FormatArg, GOOD, WARN, clean, styled};
use super::{ConfigArg, Exit, Global, worker};
use crate::config::Config;
use crate::engine::{Clock, Parts, PlannedWrite, Preview, Unread, preview};
use crate::store::{Change, MemoryStore, SledStore, Store, StoreError};
use crate::telemetry::{Metrics, Telemetry};

/// Rows copied at a time.
const BATCH: usize = 500;

/// Arguments of `plan`.
#[derive(Debug, Args)]
pub struct PlanArgs {
    #[command(flatten)]
    pub(super) config: ConfigArg,
    #[command(flatten)]
    pub(super) format: FormatArg,
}

pub(super) async fn run(args: PlanArgs, global: &Global) -> anyhow::Result<Exit> {
    let config = args.config.load()?;
    let _logs = global.quiet_logs()?;
    let store = Arc::new(MemoryStore::new());
    let path = &config.store.path;
    let mailboxes = if SledStore::is_at(path)? {
        // A store that a worker holds, or that is damaged: a plan without it would open everything a second time.
        let on_disk = copy(&config, &store).context("there is no plan without the store")?;
        // A plan only reads them, so they can be looked at where they are.
        worker::mailboxes(&config, &(on_disk as Arc<dyn Store>))?
    } else {
        tracing::warn!("planned as if nothing were mapped yet: there is no store at {}", path.display());
        worker::mailboxes(&config, &(Arc::clone(&store) as Arc<dyn Store>))?
    };
    let parts = Parts {
        systems: worker::systems(&config, None, &mailboxes)?,
        bridges: worker::rules(&config, &*store)?,
        store,
        report: Arc::new(Telemetry::new(Metrics::local()?)),
        seed: 0,
        clock: Clock::system(),
    };
    let plan = preview(parts).await?;
    args.format.print(&plan, render)?;
    Ok(if plan.unreached.is_empty() { Exit::Done } else { Exit::Failed })
}

/// What is mapped already, copied into memory: a plan writes nothing, not even to the store.
fn copy(config: &Config, memory: &MemoryStore) -> Result<Arc<SledStore>, StoreError> {
    let store = SledStore::open_existing(&config.store.path)?;
    let mut after = None;
    loop {
        let mappings = store.mappings(after, BATCH)?;
        let Some(last) = mappings.last() else { break };
        after = Some(last.id);
        let mut changes = Vec::new();
        for mapping in mappings {
            let intents = store.intents(mapping.id)?;
            changes.push(Change::PutMapping(Box::new(mapping)));
            changes.extend(intents.into_iter().map(|intent| Change::PutIntent(Box::new(intent))));
        }
        memory.apply(changes)?;
    }
    let cursors = store.cursors()?;
    memory.apply(
        cursors.into_iter().map(|((system, kind), at)| Change::PutCursor(system, kind, at)).collect(),
    )?;
    let waiting = store.inbox(None, usize::MAX)?;
    memory.apply(waiting.into_iter().map(|(_, snapshot)| Change::PushInbox(Box::new(snapshot))).collect())?;
    Ok(store)
}

fn render(plan: &Preview) -> String {
    let mut lines: Vec<String> =
        plan.unreached.iter().map(|why| styled(WARN, format!("not reached: {}", clean(why)))).collect();
    lines.extend(plan.writes.iter().map(write));
    lines.extend(plan.unread.iter().map(unread));
    lines.push(format!(
        "{}; {} mappings looked at, nothing was written anywhere",
        summary(plan),
        plan.mappings
    ));
    lines.join("\n")
}

fn summary(plan: &Preview) -> String {
    let writes = match plan.writes.len() {
        0 if plan.unread.is_empty() => return styled(GOOD, "nothing to write"),
        0 => "no write is certain".to_owned(),
        1 => "1 write".to_owned(),
        count => format!("{count} writes"),
    };
    match plan.unread.len() {
        0 => writes,
        1 => format!("{writes}, and what follows from 1 record is unknown until it is read"),
        count => format!("{writes}, and what follows from {count} records is unknown until they are read"),
    }
}

fn unread(unread: &Unread) -> String {
    let (mapping, target) = (styled(DIM, format!("mapping {}", unread.mapping)), &unread.target);
    format!("{} {}  {mapping}", styled(WARN, "unknown until it is read:"), clean(&target.to_string()))
}

fn write(write: &PlannedWrite) -> String {
    let mapping = styled(DIM, format!("mapping {}", write.mapping));
    let mut lines = vec![format!("{} {}  {mapping}", write.action, styled(BOLD, &write.target))];
    for (field, old, new) in &write.fields {
        let old = old.as_ref().map_or_else(|| "(not stated)".to_owned(), ToString::to_string);
        lines.push(format!("    {field}: {} → {}", clean(&old), clean(&new.to_string())));
    }
    lines.extend(write.text.iter().map(|comment| format!("    {}", clean(comment))));
    lines.extend(write.causes.iter().map(|cause| styled(DIM, format!("    because of {}", clean(cause)))));
    lines.join("\n")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::model::MappingId;

    #[test]
    fn nothing_to_write_is_said_only_when_all_was_read() {
        let said = |plan: &Preview| anstream::adapter::strip_str(&render(plan)).to_string();
        let mut plan = Preview { mappings: 3, ..Preview::default() };
        assert_eq!(said(&plan), "nothing to write; 3 mappings looked at, nothing was written anywhere");
        let target = "sentinel/incident/new".parse().unwrap();
        plan.unread.push(Unread { bridge: crate::server::sample::bridge(), mapping: MappingId(7), target });
        assert_eq!(
            said(&plan),
            "unknown until it is read: sentinel/incident/new  mapping 0000000000000007\n\
             no write is certain, and what follows from 1 record is unknown until it is read; 3 mappings looked at, \
             nothing was written anywhere"
        );
    }
}
