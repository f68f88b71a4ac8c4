//! Pauses: what a service asks for by a 429, and for whom.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::call::Claim;
use super::retry::{MAX_RETRY_AFTER, Waits, growing};

/// What a pause holds up.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scope {
    /// Every call to the system.
    System,
    /// The calls of one budget class.
    Class(String),
    /// The writes to one record, by the name that the connector gives it in [`super::Call::of_record`].
    Record(String),
}

impl Scope {
    fn holds(&self, claim: &Claim<'_>) -> bool {
        match self {
            Self::System => true,
            Self::Class(class) => class == claim.class,
            Self::Record(record) => Some(record.as_str()) == claim.record,
        }
    }
}

/// Nothing that it holds leaves before `until`.
struct Pause {
    until: Instant,
    waits: Waits,
}

impl Pause {
    fn new() -> Self {
        let waits = growing(Duration::from_secs(1), Duration::from_mins(1));
        Self { until: Instant::now(), waits }
    }
}

/// The pauses of one system.
#[derive(Default)]
pub(super) struct Pauses {
    list: Mutex<HashMap<Scope, Pause>>,
    grew: Notify,
}

impl Pauses {
    /// How long a call is held up from now on, if it is.
    pub(super) fn rest(&self, claim: &Claim<'_>) -> Option<Duration> {
        let now = Instant::now();
        let list = self.lock();
        let until =
            list.iter().filter(|(scope, _)| scope.holds(claim)).map(|(_, pause)| pause.until).max()?;
        (now < until).then(|| until - now)
    }

    /// After a 429: begins a pause as long as the service asked for, else of a growing length. What comes without
    /// advice during a pause belongs to the same burst, and makes it no longer. Returns how long it lasts.
    pub(super) fn begin(&self, scope: Scope, asked: Option<Duration>) -> Duration {
        let mut list = self.lock();
        let now = Instant::now();
        list.retain(|old, pause| !matches!(old, Scope::Record(_)) || now < pause.until);
        let pause = list.entry(scope).or_insert_with(Pause::new);
        let until = match asked {
            Some(asked) => now + asked.min(MAX_RETRY_AFTER),
            None if now < pause.until => pause.until,
            None => now + pause.waits.next(&mut rand::rng()),
        };
        pause.until = pause.until.max(until);
        let rest = pause.until - now;
        drop(list);
        self.grew.notify_one();
        rest
    }

    /// Goes on with a pause from before a restart, for an hour at most.
    pub(super) fn resume(&self, scope: Scope, rest: Duration) {
        let until = Instant::now() + rest.min(MAX_RETRY_AFTER);
        let mut list = self.lock();
        let pause = list.entry(scope).or_insert_with(Pause::new);
        pause.until = pause.until.max(until);
    }

    /// After anything but a 429: the next pause starts small again.
    pub(super) fn served(&self, claim: &Claim<'_>) {
        for (_, pause) in self.lock().iter_mut().filter(|(scope, _)| scope.holds(claim)) {
            pause.waits.reset();
        }
    }

    /// The pauses that last and are worth remembering, with their ends. One of a record is not: it is short, and the
    /// intents of the record remember it by themselves.
    pub(super) fn lasting(&self) -> BTreeMap<Scope, Instant> {
        let now = Instant::now();
        let list = self.lock();
        let lasting =
            list.iter().filter(|(scope, pause)| !matches!(scope, Scope::Record(_)) && now < pause.until);
        lasting.map(|(scope, pause)| (scope.clone(), pause.until)).collect()
    }

    /// Waits until a pause begins or grows; one that did since the last call counts.
    pub(super) async fn grew(&self) {
        self.grew.notified().await;
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Scope, Pause>> {
        self.list.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn class(name: &str) -> Scope {
        Scope::Class(name.to_owned())
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_holds_what_it_is_for() {
        let of = |class, record| Claim { record, ..Claim::new(class) };
        let pauses = Pauses::default();
        pauses.begin(class("put"), Some(10 * SECOND));
        assert_eq!(pauses.rest(&of("put", None)), Some(10 * SECOND));
        assert_eq!(pauses.rest(&of("get", None)), None);
        pauses.begin(Scope::Record("7".to_owned()), Some(5 * SECOND));
        assert_eq!(pauses.rest(&of("get", Some("7"))), Some(5 * SECOND));
        assert_eq!(pauses.rest(&of("put", Some("7"))), Some(10 * SECOND), "the longest counts");
        assert_eq!(pauses.rest(&of("get", Some("8"))), None);
        pauses.begin(Scope::System, Some(20 * SECOND));
        assert_eq!(pauses.rest(&of("get", Some("8"))), Some(20 * SECOND));
        tokio::time::advance(20 * SECOND).await;
        assert_eq!(pauses.rest(&of("put", Some("7"))), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_burst_without_advice_counts_as_one_and_the_next_one_grows() {
        let (pauses, claim) = (Pauses::default(), Claim::new("c"));
        let first = pauses.begin(class("c"), None);
        for _ in 0..8 {
            assert_eq!(pauses.begin(class("c"), None), first);
        }
        assert!(first < 2 * SECOND);
        tokio::time::advance(first).await;
        assert!(pauses.begin(class("c"), None) >= 2 * SECOND);
        tokio::time::advance(3 * SECOND).await;
        pauses.served(&claim);
        assert!(pauses.begin(class("c"), None) < 2 * SECOND);
    }

    #[tokio::test(start_paused = true)]
    async fn what_lasts_can_be_resumed_for_an_hour_at_most() {
        let pauses = Pauses::default();
        pauses.begin(class("c"), Some(10 * SECOND));
        pauses.begin(Scope::Record("7".to_owned()), Some(10 * SECOND));
        assert_eq!(pauses.lasting(), [(class("c"), Instant::now() + 10 * SECOND)].into());
        tokio::time::timeout(SECOND, pauses.grew()).await.expect("it grew");
        tokio::time::advance(10 * SECOND).await;
        assert_eq!(pauses.lasting(), BTreeMap::new());
        pauses.resume(Scope::System, Duration::MAX);
        assert_eq!(pauses.rest(&Claim::new("c")), Some(Duration::from_hours(1)));
        pauses.resume(Scope::System, SECOND);
        assert_eq!(pauses.rest(&Claim::new("c")), Some(Duration::from_hours(1)), "none is cut short");
    }
}
