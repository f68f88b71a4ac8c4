//! Whether the worker makes progress, and what the status page shows of it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::Serialize;
use tokio::time::Instant;

use super::Event;
use crate::model::{RecordKind, SystemName};

/// What a poll may take on top of its pause before the loop counts as stalled: time-outs and retries of all its pages.
const PATIENCE: Duration = Duration::from_mins(3);

/// The state of the worker as seen from outside. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Health(Arc<Mutex<Inner>>);

#[derive(Debug, Default)]
struct Inner {
    collections: BTreeMap<(SystemName, RecordKind), Collection>,
    budgets: BTreeMap<SystemName, Vec<(&'static str, u32)>>,
    store_failure: Option<String>,
    draining: bool,
}

#[derive(Debug)]
struct Collection {
    poll: Duration,
    watched_since: Instant,
    last_try: Option<Instant>,
    last_success: Option<Instant>,
    failures: u32,
    error: Option<String>,
    lag: Option<f64>,
}

/// One watched collection, for people.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CollectionView {
    /// The system.
    pub system: SystemName,
    /// What is watched there.
    pub kind: RecordKind,
    /// Seconds since the last successful poll.
    pub last_success: Option<f64>,
    /// How far its cursor is behind the server's clock, in seconds.
    pub lag: Option<f64>,
    /// Polls that failed in a row.
    pub failures: u32,
    /// What the last failed poll said.
    pub error: Option<String>,
    /// Calls that may leave at once, per class.
    pub budget: Vec<(&'static str, u32)>,
}

impl Health {
    /// Announces a collection that is polled with this pause. Until its first success the worker is not ready.
    pub fn watch(&self, system: &SystemName, kind: RecordKind, poll: Duration) {
        let collection = Collection {
            poll,
            watched_since: Instant::now(),
            last_try: None,
            last_success: None,
            failures: 0,
            error: None,
            lag: None,
        };
        self.lock().collections.insert((system.clone(), kind), collection);
    }

    /// Takes note of polls and of a failed store.
    pub(super) fn observe(&self, event: &Event<'_>) {
        let mut inner = self.lock();
        match event {
            Event::Polled { system, kind, .. } => inner.with(system, *kind, |collection| {
                collection.last_try = Some(Instant::now());
                collection.last_success = collection.last_try;
                (collection.failures, collection.error) = (0, None);
            }),
            Event::PollFailed { system, kind, error, consecutive } => {
                inner.with(system, *kind, |collection| {
                    collection.last_try = Some(Instant::now());
                    (collection.failures, collection.error) = (*consecutive, Some((*error).to_owned()));
                });
            }
            Event::StoreFailed { error } => inner.store_failure = Some((*error).to_owned()),
            _ => {}
        }
    }

    pub(super) fn set_cursor_lag(&self, system: &SystemName, kind: RecordKind, seconds: f64) {
        self.lock().with(system, kind, |collection| collection.lag = Some(seconds));
    }

    pub(super) fn set_budget(&self, system: &SystemName, class: &'static str, left: u32) {
        let mut inner = self.lock();
        let classes = inner.budgets.entry(system.clone()).or_default();
        match classes.iter_mut().find(|(known, _)| *known == class) {
            Some((_, known)) => *known = left,
            None => classes.push((class, left)),
        }
    }

    /// Says that the worker is about to end; it is no longer ready.
    pub fn set_draining(&self) {
        self.lock().draining = true;
    }

    /// Why the worker makes no progress; empty when it does. A failing remote system is no reason: trying is progress.
    pub fn stalled(&self) -> Vec<String> {
        let inner = self.lock();
        let mut reasons: Vec<String> =
            inner.store_failure.iter().map(|e| format!("the store failed: {e}")).collect();
        for ((system, kind), collection) in &inner.collections {
            let since = collection.last_try.unwrap_or(collection.watched_since).elapsed();
            if since > collection.poll * 4 + PATIENCE {
                let (kind, seconds) = (kind.as_str(), since.as_secs());
                reasons.push(format!("{kind}s of {system} have not been polled for {seconds} s"));
            }
        }
        reasons
    }

    /// What is missing before the worker does its work; empty when it is ready.
    pub fn not_ready(&self) -> Vec<String> {
        let inner = self.lock();
        let mut reasons: Vec<String> =
            inner.store_failure.iter().map(|e| format!("the store failed: {e}")).collect();
        if inner.draining {
            reasons.push("the worker is ending".to_owned());
        }
        if inner.collections.is_empty() {
            reasons.push("nothing is watched yet".to_owned());
        }
        let unseen = inner.collections.iter().filter(|(_, collection)| collection.last_success.is_none());
        reasons.extend(unseen.map(|((system, kind), collection)| {
            let error = collection.error.as_deref().unwrap_or("no poll has ended yet");
            format!("{}s of {system} have not been polled successfully: {error}", kind.as_str())
        }));
        reasons
    }

    /// Every watched collection.
    pub fn collections(&self) -> Vec<CollectionView> {
        let inner = self.lock();
        let view = |((system, kind), collection): (&(SystemName, RecordKind), &Collection)| CollectionView {
            system: system.clone(),
            kind: *kind,
            last_success: collection.last_success.map(|at| at.elapsed().as_secs_f64()),
            lag: collection.lag,
            failures: collection.failures,
            error: collection.error.clone(),
            budget: inner.budgets.get(system).cloned().unwrap_or_default(),
        };
        inner.collections.iter().map(view).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn with(&mut self, system: &SystemName, kind: RecordKind, change: impl FnOnce(&mut Collection)) {
        if let Some(collection) = self.collections.get_mut(&(system.clone(), kind)) {
            change(collection);
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn trying_is_progress_and_success_is_readiness() {
        let (health, system) = (Health::default(), SystemName::new("defender").unwrap());
        let kind = RecordKind::Incident;
        assert_eq!(health.not_ready(), ["nothing is watched yet"]);
        health.watch(&system, kind, Duration::from_secs(15));
        tokio::time::advance(Duration::from_secs(241)).await;
        assert_eq!(health.stalled(), ["incidents of defender have not been polled for 241 s"]);
        health.observe(&Event::PollFailed { system: &system, kind, error: "no route", consecutive: 1 });
        assert!(health.stalled().is_empty());
        assert_eq!(health.not_ready(), ["incidents of defender have not been polled successfully: no route"]);
        health.observe(&Event::Polled { system: &system, kind, records: 0, elapsed: Duration::ZERO });
        assert!(health.not_ready().is_empty());
        health.observe(&Event::StoreFailed { error: "disk full" });
        assert_eq!(health.stalled(), ["the store failed: disk full"]);
    }
}
