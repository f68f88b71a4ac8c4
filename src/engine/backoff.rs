//! Waits of intents. The interval follows from the number of tries, which is stored; so a restart changes nothing.

use std::time::Duration;

use jiff::SignedDuration;
use rand::rngs::StdRng;

use crate::http::growing;

/// After the `tries`-th time in a row (from 1) that a system could not be reached: 1 s, doubling to 1 minute.
pub(super) fn unreachable(tries: u32, rng: &mut StdRng) -> SignedDuration {
    nth(Duration::from_secs(1), Duration::from_mins(1), tries, rng)
}

/// After a conflict, `tries` of which went before: 50 ms, doubling to 5 s.
pub(super) fn after_conflict(tries: u32, rng: &mut StdRng) -> SignedDuration {
    nth(Duration::from_millis(50), Duration::from_secs(5), tries + 1, rng)
}

/// Before a write that is blocked for now is tried for the `tries`-th time in a row (from 1): 1 minute, doubling to a day.
pub(super) fn blocked(tries: u32, rng: &mut StdRng) -> SignedDuration {
    nth(Duration::from_mins(1), Duration::from_hours(24), tries, rng)
}

/// Before a record that was taken for gone is looked for again, `looks` of which went before: 1 hour, doubling to a day.
pub(super) fn look_again(looks: u32) -> SignedDuration {
    SignedDuration::from_hours(1 << looks.min(5)).min(SignedDuration::from_hours(24))
}

fn nth(initial: Duration, max: Duration, n: u32, rng: &mut StdRng) -> SignedDuration {
    let mut waits = growing(initial, max);
    let mut wait = waits.next(rng);
    for _ in 1..n.clamp(1, 32) {
        wait = waits.next(rng);
    }
    SignedDuration::try_from(wait).unwrap_or(SignedDuration::from_mins(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    #[test]
    fn waits_follow_from_the_number_of_tries() {
        let mut rng = StdRng::seed_from_u64(1);
        let mut at = |n| unreachable(n, &mut rng).as_secs_f64();
        assert!((1.0..1.25).contains(&at(1)));
        assert!((4.0..5.0).contains(&at(3)));
        assert!((60.0..75.0).contains(&at(1000)));
    }

    #[test]
    fn the_first_conflict_waits_least() {
        let mut rng = StdRng::seed_from_u64(1);
        let mut after = |n| after_conflict(n, &mut rng).as_secs_f64();
        assert!((0.05..0.0625).contains(&after(0)));
        assert!((0.2..0.25).contains(&after(2)));
        assert!((5.0..6.25).contains(&after(1000)));
    }
}
