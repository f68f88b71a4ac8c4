//! Waits of intents. The interval follows from the number of tries, which is stored; so a restart changes nothing.

use std::time::Duration;

use backoff::ExponentialBackoff;
use backoff::backoff::Backoff;
use jiff::SignedDuration;
use rand::Rng;
use rand::rngs::StdRng;

/// After the `tries`-th time in a row (from 1) that a system could not be reached: 1 s, doubling to 1 minute.
pub(super) fn unreachable(tries: u32, rng: &mut StdRng) -> SignedDuration {
    nth(Duration::from_secs(1), Duration::from_mins(1), tries, rng)
}

/// After a conflict, `tries` of which went before: 50 ms, doubling to 5 s.
pub(super) fn after_conflict(tries: u32, rng: &mut StdRng) -> SignedDuration {
    nth(Duration::from_millis(50), Duration::from_secs(5), tries + 1, rng)
}

fn nth(initial: Duration, max: Duration, n: u32, rng: &mut StdRng) -> SignedDuration {
    // Jitter comes from the engine's generator, so that a seed replays; the crate would use a global one.
    let mut policy = ExponentialBackoff {
        current_interval: initial,
        initial_interval: initial,
        randomization_factor: 0.0,
        multiplier: 2.0,
        max_interval: max,
        max_elapsed_time: None,
        ..ExponentialBackoff::default()
    };
    let mut wait = initial;
    for _ in 0..n.clamp(1, 32) {
        wait = policy.next_backoff().unwrap_or(max);
    }
    let jittered = wait.mul_f64(1.0 + rng.random_range(0.0..0.25));
    SignedDuration::try_from(jittered).unwrap_or(SignedDuration::from_mins(1))
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
}
