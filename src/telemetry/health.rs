//! Whether the worker makes progress, what its systems say to it, and what the status page shows of both.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::Event;
use crate::engine::{LONGEST_REST, PollFailure, PollFailureKind};
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
    /// What the last failed poll said, though it may be no more than that lockstep held it back.
    said: Option<String>,
    /// What keeps it from being listed; ended by a success only.
    trouble: Option<Trouble>,
    /// The last error that was the system's own; stays when the trouble is over.
    last_error: Option<LastError>,
    /// How far the cursor was behind, in seconds, and when that was.
    lag: Option<(f64, Instant)>,
}

#[derive(Debug)]
struct Trouble {
    denied: bool,
    since: Timestamp,
    error: String,
}

/// How a watched collection is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CollectionState {
    /// No poll has ended yet.
    Starting,
    /// It was listed, and nothing has been wrong since.
    Ok,
    /// The system does not let lockstep in: a person must mend the credential or its permissions.
    Denied,
    /// It cannot be listed for another reason: the system is not reached, throttles, or answers with what is of no use.
    Failing,
}

/// An error that was the system's own, as opposed to lockstep holding a request back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastError {
    /// When it was met (UTC, our clock).
    pub at: Timestamp,
    /// What happened, to which call, and what to do.
    pub message: String,
}

/// One watched collection, for people and programs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CollectionView {
    /// The system.
    pub system: SystemName,
    /// What is watched there.
    pub kind: RecordKind,
    /// How it is doing.
    pub state: CollectionState,
    /// Since when it is denied or failing (UTC, our clock).
    pub since: Option<Timestamp>,
    /// Why it is not listed, while it is not.
    pub error: Option<String>,
    /// The last error of the system's own, also after it is over.
    pub last_error: Option<LastError>,
    /// Seconds since the last successful poll.
    pub last_success: Option<f64>,
    /// How far its cursor is behind our clock, in seconds: what it was at the last complete list, and the time since.
    pub lag: Option<f64>,
    /// Polls that failed in a row.
    pub failures: u32,
    /// Calls that may leave at once, per class.
    pub budget: Vec<(&'static str, u32)>,
}

impl Collection {
    fn new(poll: Duration) -> Self {
        Self {
            poll,
            watched_since: Instant::now(),
            last_try: None,
            last_success: None,
            failures: 0,
            said: None,
            trouble: None,
            last_error: None,
            lag: None,
        }
    }

    fn succeeded(&mut self) {
        self.last_try = Some(Instant::now());
        self.last_success = self.last_try;
        (self.failures, self.said, self.trouble) = (0, None, None);
    }

    fn failed(&mut self, failure: &PollFailure, consecutive: u32) {
        self.last_try = Some(Instant::now());
        (self.failures, self.said) = (consecutive, Some(failure.message.clone()));
        let denied = match failure.kind {
            PollFailureKind::HeldBack => return,
            PollFailureKind::Denied => true,
            PollFailureKind::Failed => false,
        };
        let (at, message) = (Timestamp::now(), failure.message.clone());
        match &mut self.trouble {
            // An outage does not mend a credential: only a success shows that it is good again.
            Some(trouble) if trouble.denied && !denied => {}
            Some(trouble) if trouble.denied == denied => trouble.error.clone_from(&message),
            _ => self.trouble = Some(Trouble { denied, since: at, error: message.clone() }),
        }
        self.last_error = Some(LastError { at, message });
    }

    fn state(&self) -> CollectionState {
        match &self.trouble {
            Some(trouble) if trouble.denied => CollectionState::Denied,
            Some(_) => CollectionState::Failing,
            None if self.last_success.is_some() => CollectionState::Ok,
            None => CollectionState::Starting,
        }
    }

    /// Why it is not listed.
    fn error(&self) -> Option<&str> {
        self.trouble.as_ref().map(|trouble| trouble.error.as_str()).or(self.said.as_deref())
    }

    /// Why the worker is not ready, as far as this collection goes.
    fn not_ready(&self, system: &SystemName, kind: RecordKind) -> Option<String> {
        let kind = kind.as_str();
        match &self.trouble {
            Some(Trouble { denied: true, since, error }) => {
                Some(format!("{kind}s of {system} are denied since {since:.0}: {error}"))
            }
            _ if self.last_success.is_some() => None,
            _ => {
                let error = self.error().unwrap_or("no poll has ended yet");
                Some(format!("{kind}s of {system} have not been polled successfully: {error}"))
            }
        }
    }

    /// The longest time between two tries in which nothing is wrong with the loop that makes them.
    fn patience(&self) -> Duration {
        let rest = if self.failures > 0 { LONGEST_REST } else { Duration::ZERO };
        self.poll * 4 + rest + PATIENCE
    }
}

impl Health {
    /// Announces a collection that is polled with this pause. Until its first success the worker is not ready.
    pub fn watch(&self, system: &SystemName, kind: RecordKind, poll: Duration) {
        self.lock().collections.insert((system.clone(), kind), Collection::new(poll));
    }

    /// Takes note of polls and of a failed store.
    pub(super) fn observe(&self, event: &Event<'_>) {
        let mut inner = self.lock();
        match event {
            Event::Polled { system, kind, .. } => inner.with(system, *kind, Collection::succeeded),
            Event::PollFailed { system, kind, failure, consecutive } => {
                inner.with(system, *kind, |collection| collection.failed(failure, *consecutive));
            }
            Event::StoreFailed { error } => inner.store_failure = Some((*error).to_owned()),
            _ => {}
        }
    }

    /// Since when a collection is denied or failing (UTC, our clock).
    pub(super) fn trouble_since(&self, system: &SystemName, kind: RecordKind) -> Option<Timestamp> {
        let inner = self.lock();
        Some(inner.collections.get(&(system.clone(), kind))?.trouble.as_ref()?.since)
    }

    pub(super) fn set_cursor_lag(&self, system: &SystemName, kind: RecordKind, seconds: f64) {
        let now = Instant::now();
        self.lock().with(system, kind, |collection| collection.lag = Some((seconds, now)));
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
    /// One loop polls all collections of a system, and one that fails holds up those after it, so any try counts.
    pub fn stalled(&self) -> Vec<String> {
        let inner = self.lock();
        let mut systems: BTreeMap<&SystemName, (Duration, Duration)> = BTreeMap::new();
        for ((system, _), collection) in &inner.collections {
            let since = collection.last_try.unwrap_or(collection.watched_since).elapsed();
            let seen = systems.entry(system).or_insert((since, collection.patience()));
            *seen = (seen.0.min(since), seen.1.max(collection.patience()));
        }
        let stalled = systems.into_iter().filter(|(_, (since, patience))| since > patience);
        let stalled = stalled
            .map(|(system, (since, _))| format!("{system} has not been polled for {} s", since.as_secs()));
        inner.store_failure().chain(stalled).collect()
    }

    /// What is missing before the worker does its work; empty when it is ready.
    pub fn not_ready(&self) -> Vec<String> {
        let inner = self.lock();
        let mut reasons: Vec<String> = inner.store_failure().collect();
        if inner.draining {
            reasons.push("the worker is ending".to_owned());
        }
        if inner.collections.is_empty() {
            reasons.push("nothing is watched yet".to_owned());
        }
        let collections = inner.collections.iter();
        reasons.extend(collections.filter_map(|((system, kind), it)| it.not_ready(system, *kind)));
        reasons
    }

    /// Every watched collection.
    pub fn collections(&self) -> Vec<CollectionView> {
        let inner = self.lock();
        let view = |((system, kind), collection): (&(SystemName, RecordKind), &Collection)| CollectionView {
            system: system.clone(),
            kind: *kind,
            state: collection.state(),
            since: collection.trouble.as_ref().map(|trouble| trouble.since),
            error: collection.error().map(str::to_owned),
            last_error: collection.last_error.clone(),
            last_success: collection.last_success.map(|at| at.elapsed().as_secs_f64()),
            lag: collection.lag.map(|(then, at)| then + at.elapsed().as_secs_f64()),
            failures: collection.failures,
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

    fn store_failure(&self) -> impl Iterator<Item = String> {
        self.store_failure.iter().map(|error| format!("the store failed: {error}"))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const KIND: RecordKind = RecordKind::Incident;

    /// The health of a worker that watches the incidents of one system every 15 s.
    fn watching() -> (Health, SystemName) {
        let (health, system) = (Health::default(), SystemName::new("defender").unwrap());
        health.watch(&system, KIND, Duration::from_secs(15));
        (health, system)
    }

    fn fails(health: &Health, system: &SystemName, kind: PollFailureKind, message: &str, consecutive: u32) {
        let failure = PollFailure { kind, message: message.to_owned() };
        health.observe(&Event::PollFailed { system, kind: KIND, failure: &failure, consecutive });
    }

    fn succeeds(health: &Health, system: &SystemName) {
        health.observe(&Event::Polled { system, kind: KIND, records: 0, elapsed: Duration::ZERO });
    }

    fn view(health: &Health) -> CollectionView {
        health.collections().remove(0)
    }

    #[tokio::test(start_paused = true)]
    async fn trying_is_progress_and_success_is_readiness() {
        assert_eq!(Health::default().not_ready(), ["nothing is watched yet"]);
        let (health, system) = watching();
        tokio::time::advance(Duration::from_secs(241)).await;
        assert_eq!(health.stalled(), ["defender has not been polled for 241 s"]);
        fails(&health, &system, PollFailureKind::Failed, "no route", 1);
        assert!(health.stalled().is_empty());
        assert_eq!(health.not_ready(), ["incidents of defender have not been polled successfully: no route"]);
        succeeds(&health, &system);
        assert!(health.not_ready().is_empty());
        health.observe(&Event::StoreFailed { error: "disk full" });
        assert_eq!(health.stalled(), ["the store failed: disk full"]);
    }

    #[tokio::test(start_paused = true)]
    async fn the_longest_rest_of_an_outage_is_no_stall_and_neither_is_what_waits_behind_it() {
        let (health, system) = watching();
        health.watch(&system, RecordKind::Alert, Duration::from_secs(15));
        for consecutive in 1..20 {
            fails(&health, &system, PollFailureKind::Failed, "no route", consecutive);
            tokio::time::advance(LONGEST_REST).await;
            assert!(health.stalled().is_empty(), "{consecutive}: {:?}", health.stalled());
        }
        tokio::time::advance(Duration::from_secs(241)).await;
        assert_eq!(health.stalled().len(), 1, "nothing was tried any more");
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_denied_poll_turns_readiness_and_only_a_success_turns_it_back() {
        let (health, system) = watching();
        succeeds(&health, &system);
        fails(&health, &system, PollFailureKind::Denied, "denied (401): token expired", 1);
        let denied = view(&health);
        assert_eq!(denied.state, CollectionState::Denied);
        let since = denied.since.unwrap();
        assert_eq!(
            health.not_ready(),
            [format!("incidents of defender are denied since {since:.0}: denied (401): token expired")]
        );
        fails(&health, &system, PollFailureKind::Failed, "no route", 2);
        let later = view(&health);
        assert_eq!(
            (later.state, later.since),
            (CollectionState::Denied, Some(since)),
            "an outage mends nothing"
        );
        assert_eq!(later.last_error.unwrap().message, "no route");
        succeeds(&health, &system);
        assert!(health.not_ready().is_empty());
        let mended = view(&health);
        assert_eq!((mended.state, mended.since, mended.error), (CollectionState::Ok, None, None));
        assert_eq!(mended.last_error.unwrap().message, "no route", "it is kept");
    }

    #[tokio::test(start_paused = true)]
    async fn what_lockstep_holds_back_replaces_no_error_of_the_system() {
        let (health, system) = watching();
        fails(&health, &system, PollFailureKind::HeldBack, "the budget is used up", 1);
        assert_eq!(view(&health).state, CollectionState::Starting);
        assert!(health.not_ready()[0].ends_with("the budget is used up"));
        fails(&health, &system, PollFailureKind::Failed, "it answered 503", 2);
        fails(&health, &system, PollFailureKind::HeldBack, "given a rest", 3);
        let failing = view(&health);
        assert_eq!((failing.state, failing.failures), (CollectionState::Failing, 3));
        assert_eq!(failing.error.as_deref(), Some("it answered 503"));
        assert_eq!(failing.last_error.unwrap().message, "it answered 503");
        fails(&health, &system, PollFailureKind::Denied, "denied (403)", 4);
        assert_eq!(
            view(&health).error.as_deref(),
            Some("denied (403)"),
            "being denied is the graver trouble"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_cursor_falls_behind_while_polls_fail() {
        let (health, system) = watching();
        assert_eq!(view(&health).lag, None);
        health.set_cursor_lag(&system, KIND, 2.0);
        for minutes in 1..4 {
            tokio::time::advance(Duration::from_mins(1)).await;
            fails(&health, &system, PollFailureKind::Failed, "no route", minutes);
            assert_eq!(view(&health).lag, Some(2.0 + 60.0 * f64::from(minutes)));
        }
        health.set_cursor_lag(&system, KIND, 3.0);
        assert_eq!(view(&health).lag, Some(3.0));
    }
}
