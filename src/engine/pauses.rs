//! Pauses outlast a restart: a service that asked for one and is called before it ends makes it longer.
//!
//! The budgets of a system know its pauses; here their ends are kept, by our clock, in a document of the store.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

use crate::http::{Budgets, Scope};
use crate::model::SystemName;
use crate::store::{Change, Document, StoreError};

use super::shell::Shell;

/// Where the documents lie, one per system.
const DRAWER: &str = "engine/pauses";
/// Least time between two commits for one system, however many calls are throttled meanwhile.
const REST: Duration = Duration::from_secs(1);

/// What is paused, and until when.
type Ends = BTreeMap<Scope, Timestamp>;

/// Goes on with the pauses that lasted when the worker ended. To be called before anything is sent.
pub(super) fn resume(shell: &Shell) -> Result<(), StoreError> {
    for (system, watched) in &shell.parts.systems {
        let Some(budgets) = watched.connector.budgets() else { continue };
        let Some(kept) = shell.store().document(DRAWER, system.as_str())? else { continue };
        go_on(budgets, system.as_str(), kept, shell.now());
    }
    Ok(())
}

fn go_on(budgets: &Budgets, system: &str, kept: serde_json::Value, now: Timestamp) {
    // One that another version wrote in its own way is lost, and the service says it again.
    let kept: Vec<(Scope, Timestamp)> = serde_json::from_value(kept).unwrap_or_default();
    for (scope, until) in kept {
        // A span below zero is no duration: it is over.
        let rest = Duration::try_from(until.duration_since(now)).unwrap_or_default();
        if !rest.is_zero() {
            tracing::info!(system, ?scope, %until, "a pause from before the restart goes on");
            budgets.resume(scope, rest);
        }
    }
}

/// Keeps the pauses of a system as they begin and grow, until the worker stops.
pub(super) async fn keep(shell: Arc<Shell>, system: SystemName) -> Result<(), StoreError> {
    let Some(connector) = shell.connector(&system) else { return Ok(()) };
    match connector.budgets() {
        Some(budgets) => remember(&shell, &system, budgets).await,
        None => Ok(()),
    }
}

async fn remember(shell: &Shell, system: &SystemName, budgets: &Budgets) -> Result<(), StoreError> {
    let mut kept = Ends::new();
    while !shell.stop.is_cancelled() {
        tokio::select! {
            () = shell.stop.cancelled() => {}
            () = budgets.paused() => {}
        }
        let ends = ends(budgets, shell.now());
        if ends.iter().any(|(scope, until)| kept.get(scope).is_none_or(|known| known < until)) {
            let value = serde_json::to_value(ends.iter().collect::<Vec<_>>());
            let value = value.map_err(|error| StoreError(format!("the pauses of {system}: {error}")))?;
            let (drawer, key) = (DRAWER.to_owned(), system.to_string());
            shell
                .store()
                .commit(vec![Change::PutDocument(Box::new(Document { drawer, key, value }))])
                .await?;
            kept = ends;
        }
        tokio::select! {
            () = shell.stop.cancelled() => {}
            () = tokio::time::sleep(REST) => {}
        }
    }
    Ok(())
}

/// By our clock, rounded up to whole seconds: pauses of one burst end at slightly different times, and one commit is
/// enough for them.
fn ends(budgets: &Budgets, now: Timestamp) -> Ends {
    let rest = |until: Instant| until.saturating_duration_since(Instant::now());
    let end = |until| now + SignedDuration::try_from(rest(until)).unwrap_or(SignedDuration::from_hours(1));
    let whole = |at: Timestamp| Timestamp::from_second(at.as_second() + 1).unwrap_or(at);
    budgets.pauses().into_iter().map(|(scope, until)| (scope, whole(end(until)))).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::engine::memory_systems::World;
    use crate::reconcile::testing::rules;
    use crate::store::Store;

    #[tokio::test(start_paused = true)]
    async fn a_pause_is_kept_at_once_and_however_many_follow_cost_a_commit_a_second() {
        let world = World::new(rules());
        let (shell, system) = (world.shell(), SystemName::new("defender").unwrap());
        let budgets = Budgets::unlimited();
        let mut seen = BTreeSet::new();
        let throttled = async {
            tokio::time::sleep(Duration::from_millis(10)).await;
            for call in 0..1_000 {
                let asked = Duration::from_secs(10 + call);
                budgets.pause(Scope::Class("graph".to_owned()), Some(asked));
                tokio::time::sleep(Duration::from_millis(10)).await;
                let kept = world.store.document(DRAWER, "defender").unwrap();
                seen.insert(kept.expect("it is kept at once").to_string());
            }
            shell.stop.cancel();
        };
        let (kept, ()) = tokio::join!(remember(&shell, &system, &budgets), throttled);
        kept.unwrap();
        assert!((2..=11).contains(&seen.len()), "{seen:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn what_cannot_be_read_or_is_over_pauses_nothing() {
        let at = Timestamp::from_second(1_000).unwrap();
        for (kept, rest) in [
            (serde_json::json!("of another version"), None),
            (serde_json::json!([["system", at]]), None),
            (
                serde_json::json!([[{"class": "c"}, at + SignedDuration::from_mins(2)]]),
                Some(Duration::from_mins(1)),
            ),
            (serde_json::json!([["system", Timestamp::MAX]]), Some(Duration::from_hours(1))),
        ] {
            let budgets = Budgets::unlimited();
            go_on(&budgets, "defender", kept.clone(), at + SignedDuration::from_mins(1));
            let lasts = budgets.pauses().into_values().next();
            assert_eq!(lasts.map(|until| until - Instant::now()), rest, "{kept}");
        }
    }
}
