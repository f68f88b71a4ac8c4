//! `lockstep dead-letters`.

use clap::Subcommand;

use super::output::{self, BAD, FormatArg, clean, moment, styled};
use super::source::{Source, as_operator};
use super::{ConfigArg, Exit, Global};
use crate::model::IntentId;
use crate::server::views::IntentView;
use crate::store::{SledStore, Store};

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
    let config = config.load()?;
    let store = SledStore::open_existing(&config.store.path)?;
    let (reason, changes) =
        as_operator(
            &*store,
            &config,
            |operator| {
                if retry { operator.retry(id) } else { operator.discard(id) }
            },
        )?;
    store.commit(changes).await?;
    output::print(&format!("{id}: {reason}"))?;
    Ok(Exit::Done)
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
