//! When to try again: the door's back-off for reads, and the services' `Retry-After`.

use std::time::Duration;

use backoff::ExponentialBackoff;
use backoff::backoff::Backoff;
use rand::Rng;

use super::call::Priority;

/// Longest wait that a service may ask for; more is taken for a mistake.
pub(super) const MAX_RETRY_AFTER: Duration = Duration::from_hours(1);

/// How reads are repeated, and how long any call may wait for its budget.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Attempts of a read in all, at least 1. Default 3.
    pub attempts: u32,
    /// First wait between attempts. Default 0.5 s, doubling.
    pub initial: Duration,
    /// Longest wait between attempts. Default 5 s.
    pub max: Duration,
    /// A `Retry-After` up to this is waited out by a read. Default 5 s.
    pub short_wait: Duration,
    /// How long a call waits for its budget before it gives up. Default 2 s.
    pub budget_wait: Duration,
    /// How long a list waits instead, for its budget, a pause or a `Retry-After`: a list that is given up begins again
    /// with its first page. Default 1 minute.
    pub list_wait: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            attempts: 3,
            initial: Duration::from_millis(500),
            max: Duration::from_secs(5),
            short_wait: Duration::from_secs(5),
            budget_wait: Duration::from_secs(2),
            list_wait: Duration::from_mins(1),
        }
    }
}

impl RetryPolicy {
    /// How long a call waits for its budget.
    pub(super) fn patience(&self, priority: Priority) -> Duration {
        if priority == Priority::Poll { self.list_wait } else { self.budget_wait }
    }

    /// The longest `Retry-After` that a read waits out. Details can come later, and wait where they hold nothing up.
    pub(super) fn longest_advice(&self, priority: Priority) -> Duration {
        match priority {
            Priority::Poll => self.list_wait,
            Priority::Work => self.short_wait,
            Priority::Detail => Duration::ZERO,
        }
    }

    /// The waits of one call, in order.
    pub(crate) fn waits(&self) -> Waits {
        growing(self.initial, self.max)
    }
}

/// Doubling waits from `initial` to `max`, each with up to a quarter more by chance.
pub(crate) fn growing(initial: Duration, max: Duration) -> Waits {
    // The crate's own jitter uses a global generator, and its default gives up after 15 minutes.
    Waits(ExponentialBackoff {
        current_interval: initial,
        initial_interval: initial,
        randomization_factor: 0.0,
        multiplier: 2.0,
        max_interval: max,
        max_elapsed_time: None,
        ..ExponentialBackoff::default()
    })
}

/// An endless series of growing waits.
#[derive(Debug)]
pub(crate) struct Waits(ExponentialBackoff);

impl Waits {
    /// The next wait, with jitter from `rng`.
    pub(crate) fn next(&mut self, rng: &mut impl Rng) -> Duration {
        let base = self.0.next_backoff().unwrap_or(self.0.max_interval);
        base.mul_f64(1.0 + rng.random_range(0.0..0.25))
    }

    /// Starts again with the first wait.
    pub(crate) fn reset(&mut self) {
        self.0.reset();
    }
}

/// Reads a `Retry-After`: whole seconds, decimal seconds ("2.128", graph-security.md 5.2) or an HTTP date.
///
/// A date is measured against the answer's own `Date` when there is one, so that clock differences do not
/// matter. `None` for anything else. At most one hour.
pub fn parse_retry_after(value: &str, server_date: Option<jiff::Timestamp>) -> Option<Duration> {
    let value = value.trim();
    if let Ok(seconds) = value.parse::<f64>() {
        let wait = if seconds == f64::INFINITY {
            MAX_RETRY_AFTER
        } else {
            Duration::try_from_secs_f64(seconds).ok()?
        };
        return Some(wait.min(MAX_RETRY_AFTER));
    }
    let until = parse_http_date(value)?;
    let from = server_date.unwrap_or_else(jiff::Timestamp::now);
    let wait = Duration::try_from(until.duration_since(from)).unwrap_or(Duration::ZERO);
    Some(wait.min(MAX_RETRY_AFTER))
}

/// Reads an HTTP date ("Sun, 06 Nov 1994 08:49:37 GMT").
pub(crate) fn parse_http_date(value: &str) -> Option<jiff::Timestamp> {
    jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(value.trim()).ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;
    use proptest::test_runner::RngSeed;
    use rand::SeedableRng;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig { cases: 1_000, failure_persistence: None, rng_seed: RngSeed::Fixed(4711), ..ProptestConfig::default() })]

        #[test]
        fn advice_of_any_text_is_short_or_none(text in prop_oneof![any::<String>(), any::<f64>().prop_map(|n| n.to_string())]) {
            let wait = parse_retry_after(&text, None);
            prop_assert!(wait.is_none_or(|wait| wait <= MAX_RETRY_AFTER));
        }
    }

    #[test]
    fn retry_after_forms() {
        let date = parse_http_date("Mon, 02 Nov 2026 08:15:30 GMT");
        let parse = |s| parse_retry_after(s, date).map(|d| d.as_millis());
        assert_eq!(parse("10"), Some(10_000));
        assert_eq!(parse(" 2.128 "), Some(2_128));
        assert_eq!(parse("Mon, 02 Nov 2026 08:15:37 GMT"), Some(7_000));
        assert_eq!(parse("Mon, 02 Nov 2026 08:15:00 GMT"), Some(0));
        assert_eq!(parse("999999999"), Some(3_600_000));
        assert_eq!(parse("1e400"), Some(3_600_000));
        for nonsense in ["", "soon", "-1", "NaN"] {
            assert_eq!(parse(nonsense), None, "{nonsense}");
        }
    }

    #[test]
    fn waits_grow_to_the_limit_and_never_end() {
        let mut rng = rand::rngs::StdRng::seed_from_u64(1);
        let mut waits = growing(Duration::from_secs(1), Duration::from_mins(1));
        let seen: Vec<_> = (0..50).map(|_| waits.next(&mut rng)).collect();
        assert!(seen[0] >= Duration::from_secs(1) && seen[0] < Duration::from_millis(1250));
        assert!(seen[1] >= Duration::from_secs(2));
        assert!(seen[49] >= Duration::from_mins(1) && seen[49] <= Duration::from_secs(75));
        waits.reset();
        assert!(waits.next(&mut rng) < Duration::from_millis(1250));
    }
}
