//! Deterministic simulation of the real steps (watch, route, decide, deliver, commit) under a virtual clock.
//!
//! One seed is one history: two sides with the consistency of the real ones, people who edit them, lost requests and
//! answers, throttling, outages, stale reads, lagging lists, skewed clocks, and a worker that is killed anywhere with
//! everything not committed lost. The judge counts in the sides' own write logs.

mod judge;
mod profile;
mod side;
mod world;

use std::sync::Arc;

pub use judge::{Violation, judge};
pub use profile::{Pairing, Profile};
pub use world::World;

use crate::translate::Translation;

/// Plays one history to its end.
pub fn history(seed: u64, tables: &[Arc<Translation>; 2]) -> (World, Vec<Violation>) {
    let mut world = World::new(seed, tables);
    world.run();
    let violations = judge(&world);
    (world, violations)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// How many histories the suite plays; `LOCKSTEP_HISTORIES` and `LOCKSTEP_SEED` say otherwise.
    fn number(name: &str, default: u64) -> u64 {
        std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
    }

    #[test]
    fn twenty_thousand_histories_break_nothing() {
        let tables = ["defender", "sentinel"].map(|kind| Arc::new(Translation::builtin(kind).unwrap()));
        let (first, count) = (number("LOCKSTEP_SEED", 0), number("LOCKSTEP_HISTORIES", 20_000));
        let threads = 2;
        std::thread::scope(|scope| {
            for thread in 0..threads {
                let tables = &tables;
                scope.spawn(move || {
                    for seed in (first + thread..first + count).step_by(usize::try_from(threads).unwrap()) {
                        let (world, violations) = history(seed, tables);
                        assert!(
                            violations.is_empty(),
                            "seed {seed} ({:?}): {violations:#?}\n{}\nreplay: LOCKSTEP_SEED={seed} LOCKSTEP_HISTORIES=1",
                            world.profile,
                            world.trace.join("\n")
                        );
                    }
                });
            }
        });
    }

    #[test]
    fn the_same_seed_is_the_same_history() {
        let tables = ["defender", "sentinel"].map(|kind| Arc::new(Translation::builtin(kind).unwrap()));
        for seed in 0..20 {
            assert_eq!(history(seed, &tables).0.trace, history(seed, &tables).0.trace, "seed {seed}");
        }
    }
}
