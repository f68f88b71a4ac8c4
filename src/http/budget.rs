//! Budgets: how many calls the published limits leave us, per class of operation.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use governor::clock::{Clock, Reference};
use governor::middleware::StateInformationMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};
use tokio::time::Instant;

use super::retry::{Waits, growing};

/// Limit of one class: a bucket of `burst` calls that refills by `amount` per `per`.
///
/// So no window of length `per` sees more than `amount + burst` calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// Name, as calls give it.
    pub class: &'static str,
    /// Period of the refill.
    pub per: Duration,
    /// Calls that come back per period.
    pub amount: u32,
    /// Calls that may go at once.
    pub burst: u32,
}

const fn budget(class: &'static str, per_seconds: u64, amount: u32, burst: u32) -> Budget {
    Budget { class, per: Duration::from_secs(per_seconds), amount, burst }
}

/// Graph's security API: 150 calls a minute are published, shared with other workers of the tenant, so 100
/// and a small burst (graph-security.md 5.1).
pub const GRAPH_BUDGETS: &[Budget] = &[budget("graph", 60, 100, 10)];

/// Sentinel's own limits over 5 minutes, and ARM's token buckets (sentinel.md 8.1, 8.2). In the first five,
/// amount and burst together make the published limit.
pub const SENTINEL_BUDGETS: &[Budget] = &[
    budget("put-incident", 300, 60, 15),
    budget("put-comment", 300, 60, 15),
    budget("alerts", 300, 80, 20),
    budget("comments-get", 300, 80, 20),
    budget("entities", 300, 80, 20),
    budget("arm-read", 1, 25, 250),
    budget("arm-write", 1, 10, 200),
];

/// governor's view of tokio's clock, so that tests can pause it.
#[derive(Debug, Clone)]
struct TokioClock {
    start: Instant,
}

impl Clock for TokioClock {
    type Instant = Duration;

    fn now(&self) -> Duration {
        self.start.elapsed()
    }
}

type Limiter = RateLimiter<NotKeyed, InMemoryState, TokioClock, StateInformationMiddleware>;

struct Class {
    budget: Budget,
    limiter: Limiter,
    /// Calls left after the last one, and when that was: governor cannot be asked without taking.
    last: Mutex<(u32, Instant)>,
}

/// Set by a 429: nothing of the class leaves before `until`.
struct Pause {
    until: Instant,
    waits: Waits,
}

/// The budgets of one system. Classes without a budget are free, but are paused by a 429 all the same.
pub struct Budgets {
    classes: Vec<Class>,
    pauses: Mutex<HashMap<&'static str, Pause>>,
}

impl Budgets {
    /// From a table of published limits, each multiplied by `factor` (`budget_factor`; 1.0 changes nothing,
    /// values that are no positive number count as 1.0).
    pub fn new(table: &[Budget], factor: f64) -> Self {
        let factor = if factor.is_finite() && factor > 0.0 { factor } else { 1.0 };
        let clock = TokioClock { start: Instant::now() };
        let classes = table.iter().map(|b| Class::new(scale(*b, factor), &clock)).collect();
        Self { classes, pauses: Mutex::default() }
    }

    /// No limits at all.
    pub fn unlimited() -> Self {
        Self::new(&[], 1.0)
    }

    /// Calls that may leave at once, per class; 0 while a class is paused.
    pub fn left(&self) -> Vec<(&'static str, u32)> {
        let now = Instant::now();
        let left = |c: &Class| if self.paused(c.budget.class, now).is_some() { 0 } else { c.left(now) };
        self.classes.iter().map(|c| (c.budget.class, left(c))).collect()
    }

    /// Takes one call from a class, waiting up to `patience`. The error is how long it would have taken.
    pub(crate) async fn take(&self, class: &'static str, patience: Duration) -> Result<(), Duration> {
        let deadline = Instant::now() + patience;
        while let Err(wait) = self.try_take(class) {
            // Timers tick in milliseconds; less would spin.
            let wait = wait.max(Duration::from_millis(1));
            if Instant::now() + wait > deadline {
                return Err(wait);
            }
            tokio::time::sleep(wait).await;
        }
        Ok(())
    }

    fn try_take(&self, class: &str) -> Result<(), Duration> {
        if let Some(wait) = self.paused(class, Instant::now()) {
            return Err(wait);
        }
        self.classes.iter().find(|c| c.budget.class == class).map_or(Ok(()), Class::take)
    }

    fn paused(&self, class: &str, now: Instant) -> Option<Duration> {
        let pauses = self.pauses();
        pauses.get(class).filter(|p| now < p.until).map(|p| p.until - now)
    }

    /// After a 429: stops the class as long as the service asked for, else for a growing while.
    pub(crate) fn pause(&self, class: &'static str, asked: Option<Duration>) -> Duration {
        let mut pauses = self.pauses();
        let fresh = || Pause {
            until: Instant::now(),
            waits: growing(Duration::from_secs(1), Duration::from_mins(1)),
        };
        let pause = pauses.entry(class).or_insert_with(fresh);
        let own = pause.waits.next(&mut rand::rng());
        let wait = asked.unwrap_or(own);
        pause.until = pause.until.max(Instant::now() + wait);
        wait
    }

    /// After anything but a 429: the next pause starts small again.
    pub(crate) fn served(&self, class: &str) {
        if let Some(pause) = self.pauses().get_mut(class) {
            pause.waits.reset();
        }
    }

    fn pauses(&self) -> MutexGuard<'_, HashMap<&'static str, Pause>> {
        self.pauses.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Class {
    fn new(budget: Budget, clock: &TokioClock) -> Self {
        let burst = NonZeroU32::new(budget.burst).unwrap_or(NonZeroU32::MIN);
        let each = (budget.per / budget.amount.max(1)).max(Duration::from_nanos(1));
        // `with_period` refuses only zero, which `max` ruled out.
        let quota = Quota::with_period(each).unwrap_or(Quota::per_second(burst)).allow_burst(burst);
        let limiter = RateLimiter::direct_with_clock(quota, clock.clone())
            .with_middleware::<StateInformationMiddleware>();
        Self { budget, limiter, last: Mutex::new((burst.get(), Instant::now())) }
    }

    fn take(&self) -> Result<(), Duration> {
        match self.limiter.check() {
            Ok(state) => {
                *self.last() = (state.remaining_burst_capacity(), Instant::now());
                Ok(())
            }
            Err(not_until) => {
                Err(not_until.earliest_possible().duration_since(self.limiter.clock().now()).into())
            }
        }
    }

    fn left(&self, now: Instant) -> u32 {
        let (left, at) = *self.last();
        let each = self.budget.per / self.budget.amount.max(1);
        let refilled = (now - at).as_nanos() / each.as_nanos().max(1);
        left.saturating_add(u32::try_from(refilled).unwrap_or(u32::MAX)).min(self.budget.burst)
    }

    fn last(&self) -> MutexGuard<'_, (u32, Instant)> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn scale(budget: Budget, factor: f64) -> Budget {
    let scaled = |n: u32| {
        let wanted = (f64::from(n) * factor).round().clamp(1.0, 1e6);
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // clamped just above
        let whole = wanted as u32;
        whole
    };
    Budget { amount: scaled(budget.amount), burst: scaled(budget.burst), ..budget }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const NOW: Duration = Duration::ZERO;

    #[tokio::test(start_paused = true)]
    async fn never_more_than_the_published_limit_in_any_window() {
        let budgets = Budgets::new(SENTINEL_BUDGETS, 1.0);
        let mut taken = Vec::new();
        for second in 0..900_u32 {
            while budgets.take("put-incident", NOW).await.is_ok() {
                taken.push(second);
            }
            tokio::time::advance(Duration::from_secs(1)).await;
        }
        for start in 0..600 {
            let window = taken.iter().filter(|t| (start..start + 300).contains(*t)).count();
            assert!(window <= 75, "{window} from {start}");
        }
        assert!(taken.len() > 180);
    }

    #[tokio::test(start_paused = true)]
    async fn waits_within_patience_else_says_how_long() {
        let budgets = Budgets::new(&[budget("x", 60, 60, 2)], 1.0);
        assert_eq!(budgets.left(), [("x", 2)]);
        budgets.take("x", NOW).await.unwrap();
        budgets.take("x", NOW).await.unwrap();
        assert_eq!(budgets.left(), [("x", 0)]);
        assert!(budgets.take("x", NOW).await.unwrap_err() <= Duration::from_secs(1));
        budgets.take("x", Duration::from_secs(2)).await.unwrap();
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(budgets.left(), [("x", 1)]);
        budgets.take("no such class", NOW).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_holds_its_class_only_and_grows_without_advice() {
        let budgets = Budgets::new(GRAPH_BUDGETS, 2.0);
        assert_eq!(budgets.left(), [("graph", 20)]);
        assert_eq!(budgets.pause("graph", Some(Duration::from_secs(10))), Duration::from_secs(10));
        assert_eq!(budgets.left(), [("graph", 0)]);
        assert_eq!(budgets.take("graph", NOW).await, Err(Duration::from_secs(10)));
        budgets.take("other", NOW).await.unwrap();
        assert!(budgets.pause("graph", None) >= Duration::from_secs(2));
        budgets.served("graph");
        assert!(budgets.pause("graph", None) < Duration::from_secs(2));
        tokio::time::advance(Duration::from_secs(10)).await;
        budgets.take("graph", NOW).await.unwrap();
    }
}
