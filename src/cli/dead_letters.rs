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
    dead.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn line(intent: &IntentView) -> String {
    let reason = clean(intent.reason.as_deref().unwrap_or("no reason recorded")).into_owned();
    let (id, what) = (styled(output::BOLD, intent.id), output::what(intent));
    let count = if intent.attempts == 1 { "1 try".to_owned() } else { format!("{} tries", intent.attempts) };
    let tried = format!("{count}, last {}", moment(intent.due));
    format!("{id}  {what}: {}  {}", styled(BAD, reason), styled(output::DIM, tried))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::model::{Action, Field, Intent, IntentState, Native, Patch};
    use crate::server::sample::SampleStore;

    #[test]
    fn a_dead_letter_names_its_record_its_fields_and_its_tries() {
        let native = [Field::Title, Field::Status].map(|field| (field, Native::text(Some("x")))).into();
        let state = IntentState::Dead {
            reason: "refused (400): title must not be empty".into(),
            patch: Patch { native, ..Patch::default() },
        };
        let comment = SampleStore::new().intents.remove(0);
        let action = Action::Update { closing: true };
        let update = Intent { action, state, attempts: 1, ..comment.clone() };
        let text = render(&[IntentView::from(&update), IntentView::from(&comment)]);
        insta::assert_snapshot!(anstream::adapter::strip_str(&text), @r"
        86a7db672ae38118-1  update of defender/incident/4711 (status, title): refused (400): title must not be empty  1 try, last 2026-11-24 09:01:10Z
        86a7db672ae38118-1  comment of defender/incident/4711: refused (400 BadRequest)  5 tries, last 2026-11-24 09:01:10Z
        ");
    }
}
