//! Polling one system: its collections one after the other, then a rest.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use crate::connectors::Page;
use crate::http::CallError;
use crate::model::{RecordKind, SystemName};
use crate::store::StoreError;

use super::crash;
use super::report::{PollFailure, PollFailureKind};
use super::shell::{Shell, Watched};
use super::watch::Watch;

/// Pages of one cycle at most; what is left comes with the next cycle, since the cursor stays.
const MAX_PAGES: usize = 2_000;
/// Least rest after a limit, since a service may ask for none.
const LEAST_REST: Duration = Duration::from_secs(1);
/// Longest rest after failures, unless a system is polled less often than that.
pub const LONGEST_REST: Duration = Duration::from_mins(5);

/// Why a list was not read to its end.
#[derive(Debug)]
pub(super) struct Unlisted {
    pub(super) failure: PollFailure,
    /// How long to stay away, where a limit is all that stands in the way.
    delay: Option<Duration>,
}

impl From<CallError> for Unlisted {
    fn from(error: CallError) -> Self {
        Self { delay: error.only_delayed(), failure: PollFailure::from(&error) }
    }
}

/// One collection and when it is listed next. A collection that cannot be listed waits longer and longer, and with it
/// those after it (an alert is known by its incident), but none before it.
struct Turn {
    kind: RecordKind,
    watch: Watch,
    failures: u32,
    /// Those of them that no limit explains.
    outages: u32,
    due: Instant,
}

/// Polls until the worker stops. Only a failing store ends it earlier.
pub(super) async fn poll(
    shell: &Shell,
    watched: &Watched,
    collections: Vec<(RecordKind, Watch)>,
) -> Result<(), StoreError> {
    let due = Instant::now();
    let first = |(kind, watch)| Turn { kind, watch, failures: 0, outages: 0, due };
    let mut turns: Vec<Turn> = collections.into_iter().map(first).collect();
    loop {
        let turn_began = Instant::now();
        for turn in &mut turns {
            if turn.due > turn_began || !listed(shell, watched, turn, turn_began).await? {
                break;
            }
        }
        let system = watched.connector.system();
        shell.parts.report.budget(system, &watched.connector.budget_left());
        let next = turns.first().map_or(turn_began + watched.poll, |turn| turn.due);
        tokio::select! {
            () = shell.stop.cancelled() => return Ok(()),
            () = sleep_until(next) => {}
        }
    }
}

/// Lists one collection, and says when it is due again. Returns whether it was listed to its end.
async fn listed(
    shell: &Shell,
    watched: &Watched,
    turn: &mut Turn,
    turn_began: Instant,
) -> Result<bool, StoreError> {
    let (system, report, kind) = (watched.connector.system(), &shell.parts.report, turn.kind);
    let stopwatch = Instant::now();
    let outcome = list_once(shell, watched, kind, &mut turn.watch).await?;
    match &outcome {
        Ok(news) => {
            (turn.failures, turn.outages) = (0, 0);
            turn.due = turn_began + watched.poll;
            report.polled(system, kind, *news, stopwatch.elapsed(), turn.watch.cursor());
        }
        Err(unlisted) => {
            turn.failures += 1;
            turn.due = if let Some(delay) = unlisted.delay {
                // The system is well, and it is known when to come again.
                Instant::now() + delay.max(LEAST_REST)
            } else {
                turn.outages += 1;
                turn_began + rest_after(watched.poll, turn.outages)
            };
            report.poll_failed(system, kind, &unlisted.failure, turn.failures);
        }
    }
    Ok(outcome.is_ok())
}

/// Lists a collection once. A list that was read to its end is known to the lanes; one that was not begins again.
pub(super) async fn list_once(
    shell: &Shell,
    watched: &Watched,
    kind: RecordKind,
    watch: &mut Watch,
) -> Result<Result<usize, Unlisted>, StoreError> {
    let began = shell.now();
    let outcome = cycle(shell, watched, kind, watch).await?;
    match &outcome {
        Ok(_) if kind != RecordKind::Alert => shell.set_listed(watched.connector.system(), began),
        Ok(_) => {}
        Err(_) => watch.abandon(),
    }
    Ok(outcome)
}

/// The poll interval, doubled with each failure in a row.
fn rest_after(poll: Duration, failures: u32) -> Duration {
    poll.saturating_mul(1 << failures.min(6)).min(LONGEST_REST.max(poll))
}

/// One cycle: all pages since the cursor. The inner error is the system's, the outer one the store's.
pub(super) async fn cycle(
    shell: &Shell,
    watched: &Watched,
    kind: RecordKind,
    watch: &mut Watch,
) -> Result<Result<usize, Unlisted>, StoreError> {
    let (since, mut page, mut news) = (watch.since(), None, 0);
    let system: &SystemName = watched.connector.system();
    for _ in 0..MAX_PAGES {
        let listed = tokio::select! {
            () = shell.stop.cancelled() => return Ok(Ok(news)),
            listed = watched.connector.list(kind, since, page.as_ref()) => listed,
        };
        let listed = match listed {
            Ok(listed) => listed,
            Err(_) if planted!(BrokenListCounts) => {
                Page { server_time: Some(shell.now()), ..Page::default() }
            }
            Err(error) => return Ok(Err(error.into())),
        };
        for malformed in &listed.malformed {
            shell.parts.report.malformed(system, malformed);
        }
        let taken = watch.take(listed);
        news += taken.news;
        if !taken.changes.is_empty() {
            crash::point("inbox-before-commit");
            shell.store().commit(taken.changes).await?;
            crash::point("inbox-after-commit");
        }
        if taken.news > 0 {
            shell.inbox_grew.notify_one();
        }
        page = taken.next;
        if page.is_none() {
            return Ok(Ok(news));
        }
    }
    let message = format!("more than {MAX_PAGES} pages in one cycle; narrow the bridge's `since`");
    let failure = PollFailure { kind: PollFailureKind::Failed, message };
    Ok(Err(Unlisted { failure, delay: None }))
}
