//! `lockstep dead-letters`.

use clap::Subcommand;
use jiff::Timestamp;

use super::output::{self, BAD, FormatArg, clean, moment, styled};
use super::source::Source;
use super::{ConfigArg, Exit, Global};
use crate::model::{AuditEntry, AuditKind, Intent, IntentEvent, IntentId, IntentState};
use crate::server::views::IntentView;
use crate::store::{Change, SledStore, Store};

/// The commands of `dead-letters`.
#[derive(Debug, Subcommand)]
pub enum DeadLettersCommand {
    /// List the writes that were given up
    List {
        #[command(flatten)]
        config: ConfigArg,
        #[command(flatten)]
        format: FormatArg,
    },
    /// Try one again
    Retry {
        #[command(flatten)]
        config: ConfigArg,
        /// The intent, as listed
        intent: IntentId,
    },
    /// Forget one
    Discard {
        #[command(flatten)]
        config: ConfigArg,
        /// The intent, as listed
        intent: IntentId,
    },
}

pub(super) async fn run(command: DeadLettersCommand, global: &Global) -> anyhow::Result<Exit> {
    let _logs = global.quiet_logs()?;
    match command {
        DeadLettersCommand::List { config, format } => {
            let dead = Source::open(&config.load()?)?.dead_letters().await?;
            format.print(&dead, |dead| render(dead))?;
            Ok(Exit::Done)
        }
        DeadLettersCommand::Retry { config, intent } => change(&config, intent, true).await,
        DeadLettersCommand::Discard { config, intent } => change(&config, intent, false).await,
    }
}

/// Works on the store itself, so the worker must be stopped: it would not see the change.
async fn change(config: &ConfigArg, id: IntentId, retry: bool) -> anyhow::Result<Exit> {
    let store = SledStore::open_existing(config.load()?.store.path)?;
    let found = store.intents(id.mapping)?.into_iter().find(|intent| intent.id == id);
    let Some(intent) = found.filter(|intent| matches!(intent.state, IntentState::Dead { .. })) else {
        anyhow::bail!("there is no dead letter {id}; see `lockstep dead-letters list`");
    };
    let (mapping, record, now) = (id.mapping, intent.target.clone(), Timestamp::now());
    let mut changes = Vec::new();
    let reason = if retry {
        let state = intent.state.clone().on(IntentEvent::Retry)?;
        let again = Intent { state, due: now, attempts: 0, unreachable: 0, ..intent };
        changes.push(Change::PutIntent(Box::new(again)));
        "an operator asked for another try"
    } else {
        changes.push(Change::RemoveIntent(id));
        changes.extend(left_to_differ(&*store, &intent)?);
        "an operator discarded it; the record is left to differ until the agreed value changes"
    };
    let kind = AuditKind::Settled { intent: id, reason: reason.to_owned() };
    let entry = AuditEntry { at: now, mapping, record, kind };
    changes.push(Change::Audit(Box::new(entry)));
    store.commit(changes).await?;
    output::print(&format!("{id}: {reason}"))?;
    Ok(Exit::Done)
}

/// Else the next decision would wish the same again.
fn left_to_differ(store: &dyn Store, intent: &Intent) -> anyhow::Result<Option<Change>> {
    let IntentState::Dead { patch, .. } = &intent.state else { return Ok(None) };
    let Some(mut mapping) = store.mapping(intent.id.mapping)? else { return Ok(None) };
    let Some(member) = mapping.member_mut(&intent.target) else { return Ok(None) };
    member.exempt.extend(patch.native.keys().copied());
    Ok(Some(Change::PutMapping(Box::new(mapping))))
}

fn render(dead: &[IntentView]) -> String {
    if dead.is_empty() {
        return "no dead letters".to_owned();
    }
    let line = |intent: &IntentView| {
        let reason = clean(intent.reason.as_deref().unwrap_or("no reason recorded")).into_owned();
        let (id, action, record) = (styled(output::BOLD, intent.id), &intent.action, &intent.record);
        let tried = format!("{} tries, last {}", intent.attempts, moment(intent.due));
        format!("{id}  {action} of {record}: {}  {}", styled(BAD, reason), styled(output::DIM, tried))
    };
    dead.iter().map(line).collect::<Vec<_>>().join("\n")
}
