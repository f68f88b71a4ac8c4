//! Many histories, on several threads.

use std::sync::{Mutex, PoisonError};

use super::history::{Outcome, play};
use super::plan::Plan;
use super::scene::Scenes;

/// Which histories to play.
#[derive(Debug, Clone, Copy)]
pub struct Campaign {
    /// The first seed.
    pub seed: u64,
    /// How many seeds from there.
    pub histories: u64,
    /// Threads.
    pub threads: u64,
}

/// What came of a campaign.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    /// Histories played.
    pub histories: u64,
    /// Edits and comments of people.
    pub edits: u64,
    /// Effective writes of the worker.
    pub writes: u64,
    /// Calls of the worker.
    pub calls: u64,
    /// Calls that went wrong.
    pub faults: u64,
    /// How often the worker was killed.
    pub kills: u64,
    /// The seeds that broke something, lowest first.
    pub broken: Vec<u64>,
}

impl Campaign {
    /// Plays all of them, and tells of each.
    ///
    /// # Errors
    /// Where a thread cannot get what it needs from the operating system.
    pub fn run(self, scenes: &Scenes, done: &(dyn Fn() + Sync)) -> std::io::Result<Tally> {
        let tally = Mutex::new(Tally::default());
        let results: Vec<std::io::Result<()>> = std::thread::scope(|scope| {
            let tally = &tally;
            let thread = |first| scope.spawn(move || self.thread(first, scenes, done, tally));
            let threads: Vec<_> = (0..self.threads.max(1)).map(thread).collect();
            threads
                .into_iter()
                .map(|t| t.join().unwrap_or_else(|_| Err(std::io::Error::other("a panic"))))
                .collect()
        });
        results.into_iter().collect::<std::io::Result<()>>()?;
        let mut tally = tally.into_inner().unwrap_or_else(PoisonError::into_inner);
        tally.broken.sort_unstable();
        Ok(tally)
    }

    /// Takes every n-th seed, so that what is played does not depend on which thread is quicker.
    fn thread(
        self,
        first: u64,
        scenes: &Scenes,
        done: &(dyn Fn() + Sync),
        tally: &Mutex<Tally>,
    ) -> std::io::Result<()> {
        let driver = super::driver()?;
        let _entered = driver.enter();
        let step = usize::try_from(self.threads.max(1)).unwrap_or(1);
        for number in (first..self.histories).step_by(step) {
            let seed = self.seed.wrapping_add(number);
            let outcome = play(&Plan::draw(seed, scenes), false);
            tally.lock().unwrap_or_else(PoisonError::into_inner).add(seed, &outcome);
            done();
        }
        Ok(())
    }
}

impl Tally {
    fn add(&mut self, seed: u64, outcome: &Outcome) {
        self.histories += 1;
        self.edits += outcome.edits;
        self.writes += outcome.writes;
        self.calls += outcome.calls;
        self.faults += outcome.faults;
        self.kills += outcome.kills;
        if !outcome.violations.is_empty() {
            self.broken.push(seed);
        }
    }
}
