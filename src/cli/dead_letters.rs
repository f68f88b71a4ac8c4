//! `lockstep dead-letters`.

use clap::Subcommand;

use super::output::{self, BAD, FormatArg, clean, moment, styled};
use super::source::Source;
use super::{ConfigArg, Exit, Global};
use crate::model::IntentId;
use crate::server::views::IntentView;

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
        DeadLettersCommand::Retry { config, intent } | DeadLettersCommand::Discard { config, intent } => {
            config.load()?;
            anyhow::bail!("not built yet ({intent})")
        }
    }
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
