//! Budgets: how many calls the published limits leave us, per class of operation.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use governor::clock::{Clock, Reference};
use governor::middleware::StateInformationMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};
use tokio::time::Instant;

use super::call::{Claim, Priority};
use super::pause::{Pauses, Scope};
use super::queue::Queue;
use super::retry::MAX_RETRY_AFTER;

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
    queue: Mutex<Queue>,
    /// The latest moment that a refused detail was given to come again.
    promised: Mutex<Instant>,
}

/// The budgets of one system. Classes without a budget are free, but are paused by a 429 all the same.
pub struct Budgets {
    classes: Vec<Class>,
    pauses: Pauses,
}

impl Budgets {
    /// From a table of published limits, each multiplied by `factor` (`budget_factor`; 1.0 changes nothing,
    /// values that are no positive number count as 1.0).
    pub fn new(table: &[Budget], factor: f64) -> Self {
        let factor = if factor.is_finite() && factor > 0.0 { factor } else { 1.0 };
        let clock = TokioClock { start: Instant::now() };
        let classes = table.iter().map(|b| Class::new(scale(*b, factor), &clock)).collect();
        Self { classes, pauses: Pauses::default() }
    }

    /// No limits at all.
    pub fn unlimited() -> Self {
        Self::new(&[], 1.0)
    }

    /// Calls that may leave at once, per class; 0 while a class is paused.
    pub fn left(&self) -> Vec<(&'static str, u32)> {
        let now = Instant::now();
        let is_paused = |c: &Class| self.pauses.rest(&Claim::new(c.budget.class)).is_some();
        let left = |c: &Class| if is_paused(c) { 0 } else { c.left(now) };
        self.classes.iter().map(|c| (c.budget.class, left(c))).collect()
    }

    /// The pauses that last, with their ends, but for those of single records.
    pub fn pauses(&self) -> BTreeMap<Scope, Instant> {
        self.pauses.lasting()
    }

    /// Waits until a pause begins or grows.
    pub async fn paused(&self) {
        self.pauses.grew().await;
    }

    /// Goes on with a pause from before a restart, for an hour at most.
    pub fn resume(&self, scope: Scope, rest: Duration) {
        self.pauses.resume(scope, rest);
    }

    /// Takes one call from a class, waiting up to `patience`. The error is how long to stay away. Polls go before work,
    /// and work before details.
    pub(crate) async fn take(&self, claim: &Claim<'_>, patience: Duration) -> Result<(), Duration> {
        let deadline = Instant::now() + patience;
        let class = self.classes.iter().find(|c| c.budget.class == claim.class);
        let _place = class.map(|class| Place::new(class, claim.priority));
        loop {
            let taken = match self.pauses.rest(claim) {
                Some(rest) => Err(rest),
                None => class.map_or(Ok(()), |class| class.take(claim.priority)),
            };
            let Err(wait) = taken else { return Ok(()) };
            // Timers tick in milliseconds; less would spin.
            let wait = wait.max(Duration::from_millis(1));
            if Instant::now() + wait > deadline {
                let detail = class.filter(|_| claim.priority == Priority::Detail);
                return Err(detail.map_or(wait, |class| class.promise(wait)));
            }
            tokio::time::sleep(wait).await;
        }
    }

    /// After a 429: stops what it speaks of as long as the service asked for, else for a growing while. Returns how long
    /// that is from now on.
    pub(crate) fn pause(&self, scope: Scope, asked: Option<Duration>) -> Duration {
        self.pauses.begin(scope, asked)
    }

    /// After anything but a 429: the next pause starts small again.
    pub(crate) fn served(&self, claim: &Claim<'_>) {
        self.pauses.served(claim);
    }
}

/// A caller's place in the queue of a class, until it went or gave up.
struct Place<'a> {
    class: &'a Class,
    priority: Priority,
}

impl<'a> Place<'a> {
    fn new(class: &'a Class, priority: Priority) -> Self {
        *class.queue().waiting(priority) += 1;
        Self { class, priority }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        *self.class.queue().waiting(self.priority) -= 1;
    }
}

impl Class {
    fn new(budget: Budget, clock: &TokioClock) -> Self {
        let burst = NonZeroU32::new(budget.burst).unwrap_or(NonZeroU32::MIN);
        // `with_period` refuses only zero, which `each` rules out.
        let quota = Quota::with_period(each(&budget)).unwrap_or(Quota::per_second(burst)).allow_burst(burst);
        let limiter = RateLimiter::direct_with_clock(quota, clock.clone())
            .with_middleware::<StateInformationMiddleware>();
        let now = Instant::now();
        let (last, queue) = (Mutex::new((burst.get(), now)), Mutex::default());
        Self { budget, limiter, last, queue, promised: Mutex::new(now) }
    }

    fn take(&self, priority: Priority) -> Result<(), Duration> {
        let mut queue = self.queue();
        if queue.yields(priority) {
            return Err(each(&self.budget));
        }
        match self.limiter.check() {
            Ok(state) => {
                queue.went(priority);
                *lock(&self.last) = (state.remaining_burst_capacity(), Instant::now());
                Ok(())
            }
            Err(not_until) => {
                Err(not_until.earliest_possible().duration_since(self.limiter.clock().now()).into())
            }
        }
    }

    /// When a detail that cannot go now may come again, not before `wait`. Each has a moment of its own: thousands can
    /// wait, and what they come back to costs calls of other systems too.
    fn promise(&self, wait: Duration) -> Duration {
        let now = Instant::now();
        let mut promised = lock(&self.promised);
        *promised = (*promised + each(&self.budget)).max(now + wait).min(now + MAX_RETRY_AFTER);
        *promised - now
    }

    fn left(&self, now: Instant) -> u32 {
        let (left, at) = *lock(&self.last);
        let refilled = (now - at).as_nanos() / each(&self.budget).as_nanos();
        left.saturating_add(u32::try_from(refilled).unwrap_or(u32::MAX)).min(self.budget.burst)
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        lock(&self.queue)
    }
}

/// How long a call takes to come back.
fn each(budget: &Budget) -> Duration {
    (budget.per / budget.amount.max(1)).max(Duration::from_nanos(1))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
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
    use std::sync::Arc;

    use super::*;

    const NOW: Duration = Duration::ZERO;

    #[tokio::test(start_paused = true)]
    async fn never_more_than_the_published_limit_in_any_window() {
        let budgets = Budgets::new(SENTINEL_BUDGETS, 1.0);
        let mut taken = Vec::new();
        for second in 0..900_u32 {
            while budgets.take(&Claim::new("put-incident"), NOW).await.is_ok() {
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
        budgets.take(&Claim::new("x"), NOW).await.unwrap();
        budgets.take(&Claim::new("x"), NOW).await.unwrap();
        assert_eq!(budgets.left(), [("x", 0)]);
        assert!(budgets.take(&Claim::new("x"), NOW).await.unwrap_err() <= Duration::from_secs(1));
        budgets.take(&Claim::new("x"), Duration::from_secs(2)).await.unwrap();
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(budgets.left(), [("x", 1)]);
        budgets.take(&Claim::new("no such class"), NOW).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_holds_its_class_only() {
        let budgets = Budgets::new(GRAPH_BUDGETS, 2.0);
        assert_eq!(budgets.left(), [("graph", 20)]);
        let wait = Duration::from_secs(10);
        assert_eq!(budgets.pause(Scope::Class("graph".to_owned()), Some(wait)), wait);
        assert_eq!(budgets.left(), [("graph", 0)]);
        assert_eq!(budgets.take(&Claim::new("graph"), NOW).await, Err(wait));
        budgets.take(&Claim::new("other"), NOW).await.unwrap();
        tokio::time::advance(wait).await;
        budgets.take(&Claim::new("graph"), NOW).await.unwrap();
    }

    fn claim(priority: Priority) -> Claim<'static> {
        Claim { priority, ..Claim::new("x") }
    }

    /// A budget of one call a second that is used up, shared by tasks.
    async fn used_up() -> Arc<Budgets> {
        let budgets = Arc::new(Budgets::new(&[budget("x", 60, 60, 1)], 1.0));
        budgets.take(&Claim::new("x"), NOW).await.unwrap();
        budgets
    }

    #[tokio::test(start_paused = true)]
    async fn a_poll_takes_the_next_call_whatever_waits() {
        let budgets = used_up().await;
        let went = Arc::new(Mutex::new(Vec::new()));
        let mut tasks = tokio::task::JoinSet::new();
        for priority in [Priority::Detail, Priority::Work, Priority::Work, Priority::Poll] {
            let (budgets, went) = (Arc::clone(&budgets), Arc::clone(&went));
            tasks.spawn(async move {
                budgets.take(&claim(priority), Duration::from_mins(1)).await.unwrap();
                went.lock().unwrap().push(priority);
            });
        }
        tasks.join_all().await;
        assert_eq!(*went.lock().unwrap(), [Priority::Poll, Priority::Work, Priority::Work, Priority::Detail]);
        let took = Instant::now();
        budgets.take(&claim(Priority::Detail), Duration::from_mins(1)).await.unwrap();
        assert!(took.elapsed() <= Duration::from_secs(1), "nobody waits in its way any more");
    }

    #[tokio::test(start_paused = true)]
    async fn who_gives_up_waits_no_more() {
        let budgets = used_up().await;
        budgets.take(&claim(Priority::Poll), Duration::from_millis(10)).await.unwrap_err();
        let poll = claim(Priority::Poll);
        let long = budgets.take(&poll, Duration::from_secs(9));
        tokio::time::timeout(Duration::from_millis(10), long).await.unwrap_err();
        budgets.take(&claim(Priority::Detail), Duration::from_secs(1)).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn details_that_must_wait_are_given_a_moment_each() {
        let budgets = used_up().await;
        let mut waits = Vec::new();
        for _ in 0..5 {
            waits.push(budgets.take(&claim(Priority::Detail), NOW).await.unwrap_err().as_secs());
        }
        assert_eq!(waits, [1, 2, 3, 4, 5]);
        assert!(budgets.take(&claim(Priority::Work), NOW).await.unwrap_err() <= Duration::from_secs(1));
        for _ in 0..5 {
            tokio::time::advance(Duration::from_secs(1)).await;
            budgets.take(&claim(Priority::Detail), NOW).await.unwrap();
        }
        let pause = Duration::from_mins(30);
        budgets.pause(Scope::System, Some(pause));
        let wait = budgets.take(&claim(Priority::Detail), NOW).await.unwrap_err();
        assert!(wait >= pause && wait <= pause + Duration::from_secs(1), "{wait:?}");
    }
}
