//! Polling one system: its collections one after the other, then a rest.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::{Instant, sleep};

use crate::model::{RecordKind, SystemName};
use crate::store::StoreError;

use super::crash;
use super::shell::{Shell, Watched};
use super::watch::Watch;

/// Pages of one cycle at most; what is left comes with the next cycle, since the cursor stays.
const MAX_PAGES: usize = 2_000;
/// Longest rest after failures.
const MAX_REST: Duration = Duration::from_mins(5);

/// Polls until the worker stops. Only a failing store ends it earlier.
pub(super) async fn poll(
    shell: &Shell,
    watched: &Watched,
    mut collections: Vec<(RecordKind, Watch)>,
) -> Result<(), StoreError> {
    let system = watched.connector.system().clone();
    let mut failures = 0;
    loop {
        let (started_at, began) = (Instant::now(), Timestamp::now());
        let mut failed = false;
        for (kind, watch) in &mut collections {
            let started = Instant::now();
            match cycle(shell, watched, *kind, watch).await? {
                Ok(news) => {
                    shell.parts.report.polled(&system, *kind, news, started.elapsed(), watch.cursor());
                }
                Err(error) => {
                    watch.abandon();
                    failed = true;
                    shell.parts.report.poll_failed(&system, *kind, &error, failures + 1);
                    break;
                }
            }
        }
        if !failed {
            shell.set_listed(&system, began);
        }
        failures = if failed { failures + 1 } else { 0 };
        shell.parts.report.budget(&system, &watched.connector.budget_left());
        let rest = rest_after(watched.poll, failures).saturating_sub(started_at.elapsed());
        tokio::select! {
            () = shell.stop.cancelled() => return Ok(()),
            () = sleep(rest) => {}
        }
    }
}

/// The poll interval, doubled with each failure in a row.
fn rest_after(poll: Duration, failures: u32) -> Duration {
    poll.saturating_mul(1 << failures.min(6)).min(MAX_REST.max(poll))
}

/// One cycle: all pages since the cursor. The inner error is the system's, the outer one the store's.
pub(super) async fn cycle(
    shell: &Shell,
    watched: &Watched,
    kind: RecordKind,
    watch: &mut Watch,
) -> Result<Result<usize, String>, StoreError> {
    let (since, mut page, mut news) = (watch.since(), None, 0);
    let system: &SystemName = watched.connector.system();
    for _ in 0..MAX_PAGES {
        let listed = tokio::select! {
            () = shell.stop.cancelled() => return Ok(Ok(news)),
            listed = watched.connector.list(kind, since, page.as_ref()) => listed,
        };
        let listed = match listed {
            Ok(listed) => listed,
            Err(error) => return Ok(Err(error.to_string())),
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
    Ok(Err(format!("more than {MAX_PAGES} pages in one cycle; narrow the bridge's `since`")))
}
