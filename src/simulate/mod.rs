//! Deterministic simulation of the real worker under a virtual clock: one seed is one history.
//!
//! ```text
//! plan        what happens, and which calls fail how: data, drawn from the seed
//! scene       the bridge it is played on: one of ours, or of a configuration
//! history     plays a plan: the real worker (engine::Stepped), step by step
//! world, mishap, remote, habits, vocabulary
//!             the services, their people, and what goes wrong
//! connector, store
//!             what the worker meets instead of HTTP and disk
//! judge       whether everybody got what is promised
//! shrink      the smallest part of a plan that still breaks something
//! ```
//!
//! The worker is the one that runs in production: its lists, routing, lanes, decisions, deliveries and commits. Only the
//! connectors and the disk are models.

mod connector;
mod habits;
mod history;
mod judge;
mod mishap;
mod plan;
mod remote;
mod scene;
mod shrink;
mod store;
mod vocabulary;
mod world;

pub use history::{Outcome, play};
pub use judge::Violation;
pub use plan::{Act, Plan};
pub use scene::{Scene, Scenes};
pub use shrink::shrink;

/// The time driver that some of the worker's waits want to see, though nothing ever waits here. Held while histories
/// are played on a thread.
pub fn driver() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_time().build()
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
    fn many_histories_break_nothing() {
        let scenes = Scenes::ours().unwrap();
        let (first, count) = (number("LOCKSTEP_SEED", 0), number("LOCKSTEP_HISTORIES", 2_000));
        let driver = driver().unwrap();
        let _entered = driver.enter();
        let mut bad = Vec::new();
        for seed in first..first + count {
            let plan = Plan::draw(seed, &scenes);
            let outcome = play(&plan, count == 1);
            if count == 1 {
                println!("{:#?}\n{}", plan.scene.policy.closing, outcome.timeline.join("\n"));
            }
            if !outcome.violations.is_empty() {
                bad.push((seed, outcome.violations));
            }
        }
        for (seed, v) in bad.iter().take(40) {
            println!("seed {seed}: {v:?}");
        }
        assert!(bad.is_empty(), "{} of {count} histories", bad.len());
    }

    #[test]
    fn the_same_seed_is_the_same_history() {
        let scenes = Scenes::ours().unwrap();
        let driver = driver().unwrap();
        let _entered = driver.enter();
        for seed in 0..20 {
            let timeline = || play(&Plan::draw(seed, &scenes), true).timeline;
            assert_eq!(timeline(), timeline(), "seed {seed}");
        }
    }
}
