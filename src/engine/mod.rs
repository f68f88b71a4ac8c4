//! Watch, decide, deliver: the pure steps and their async shell.
//!
//! * [`Watch`] (pure): pages of a list in, inbox entries and the moved cursor out.
//! * [`Lane`] (pure): events of one mapping in, changes to commit and at most one write out.
//! * [`Hints`]: records that a webhook named, to be read now.
//! * [`Engine`]: polls every system, routes the inbox to lanes, and runs the lanes side by side.

mod backoff;
mod crash;
mod deliver;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod deliver_tests;
mod dispatch;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod dispatch_tests;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod first_start_tests;
mod hint;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod hint_tests;
mod lane;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod lane_tests;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod memory_systems;
mod opening;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod opening_tests;
mod operator;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod operator_tests;
mod orphans;
mod outbox;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod outbox_tests;
mod pauses;
mod poll;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod poll_tests;
mod preview;
mod report;
mod retry;
mod settle;
mod shell;
mod stepped;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod testing;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod ticket_tests;
mod watch;
mod work;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod worker_tests;

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

pub use crash::POINTS as CRASH_POINTS;
pub use hint::{Hinted, Hints};
pub use lane::{Context, Effect, Event, Failure, FailureKind, Lane, Request, Step};
pub use operator::{Operator, OperatorError};
pub use poll::LONGEST_REST;
pub use preview::{PlannedWrite, Preview, Unread, preview};
pub use report::{PollFailure, PollFailureKind, Report};
pub use shell::{Clock, Parts, Watched};
pub use stepped::Stepped;
pub use watch::{Taken, Watch};

use crate::model::SystemName;
use crate::store::StoreError;

/// The worker.
pub struct Engine {
    shell: Arc<shell::Shell>,
    hints: Hints,
}

impl Engine {
    /// A worker that runs until `stop` is cancelled.
    pub fn new(parts: Parts, stop: CancellationToken) -> Self {
        Self { shell: Arc::new(shell::Shell::new(parts, stop)), hints: Hints::default() }
    }

    /// A worker that also follows the hints that are put into this queue.
    #[must_use]
    pub fn following(mut self, hints: Hints) -> Self {
        self.hints = hints;
        self
    }

    /// Polls and delivers until stopped; writes in flight are finished and settled first.
    ///
    /// # Errors
    /// Only a failing store ends it early: nothing may be sent that cannot be remembered.
    pub async fn run(self) -> Result<(), StoreError> {
        let stop = self.shell.stop.clone();
        pauses::resume(&self.shell)?;
        let mut tasks = JoinSet::new();
        for (system, watched) in self.shell.parts.systems.clone() {
            let watches = watches(&self.shell, &system, &watched)?;
            tasks.spawn(pauses::keep(Arc::clone(&self.shell), system.clone()));
            let shell = Arc::clone(&self.shell);
            tasks.spawn(async move { poll::poll(&shell, &watched, watches).await });
        }
        tasks.spawn(hint::follow(Arc::clone(&self.shell), self.hints));
        tasks.spawn(dispatch::Dispatcher::new(Arc::clone(&self.shell)).run());
        let mut outcome = Ok(());
        while let Some(ended) = tasks.join_next().await {
            let result =
                ended.unwrap_or_else(|panic| Err(StoreError(format!("a task of the worker ended: {panic}"))));
            if let Err(error) = result {
                outcome = outcome.and(Err(error));
                stop.cancel();
            }
        }
        outcome
    }
}

/// The watches of a system's collections, where they were left.
fn watches(
    shell: &shell::Shell,
    system: &SystemName,
    watched: &Watched,
) -> Result<Vec<(crate::model::RecordKind, Watch)>, StoreError> {
    let cursors = shell.store().cursors()?;
    let overlap =
        SignedDuration::try_from(watched.connector.overlap()).unwrap_or(SignedDuration::from_mins(5));
    let bridges = shell.parts.bridges.values().filter(|r| r.policy.has(system));
    let since = bridges.map(|r| r.policy.since).min().unwrap_or(Timestamp::MAX);
    let watch = |kind| {
        let cursor = cursors.get(&(system.clone(), kind)).copied();
        (kind, Watch::new(system.clone(), kind, overlap, cursor, since))
    };
    Ok(watched.connector.collections().iter().map(|kind| watch(*kind)).collect())
}
