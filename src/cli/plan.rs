//! `lockstep plan`: what `run` would write now, as a diff per mapping.

use std::sync::Arc;

use clap::Args;

use super::output::{BOLD, DIM, FormatArg, GOOD, WARN, clean, styled};
use super::{ConfigArg, Exit, Global, worker};
use crate::config::Config;
use crate::engine::{Clock, Parts, PlannedWrite, Preview, preview};
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
    let mailboxes = match copy(&config, &store) {
        // A plan only reads them, so they can be looked at where they are.
        Ok(on_disk) => worker::mailboxes(&config, &(on_disk as Arc<dyn Store>))?,
        Err(error) => {
            tracing::warn!("planned as if nothing were mapped yet: {error}");
            worker::mailboxes(&config, &(Arc::clone(&store) as Arc<dyn Store>))?
        }
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
    let count = plan.writes.len();
    let summary = match count {
        0 => styled(GOOD, "nothing to write"),
        1 => "1 write".to_owned(),
        _ => format!("{count} writes"),
    };
    lines.push(format!("{summary}; {} mappings looked at, nothing was written anywhere", plan.mappings));
    lines.join("\n")
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
