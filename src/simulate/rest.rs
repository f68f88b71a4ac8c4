//! A rest: faults end, and everything comes to an end that can be judged.

use std::sync::Arc;

use jiff::SignedDuration;

use crate::engine::Stepped;
use crate::model::{MemberState, RecordRef};
use crate::store::{MemoryStore, Store};

use super::connector::lock;
use super::history::History;
use super::judge::Judge;
use super::plan::Trouble;
use super::remote::Changed;

/// Rounds of a rest at most. Outages end with a rest, so whatever still moves after so many goes round in circles.
const ROUNDS: usize = 300;
/// How long nothing must move until everything rests; longer than any list lags.
const QUIET: SignedDuration = SignedDuration::from_secs(120);
/// Writes of a history at most; a sound one makes some dozens.
const MAX_WRITES: u64 = 1_000;
/// Turns of lanes in one round.
const TURNS: usize = 40;

impl History {
    /// Faults end. The worker goes on until a whole round of lists brings nothing, and nothing is due.
    pub(super) fn rest(&mut self) {
        lock(&self.world).set_calm(true);
        let now = |history: &Self| lock(&history.world).clock.now();
        let (mut still, mut rests) = (now(self), false);
        for _ in 0..ROUNDS {
            let before = self.movement();
            self.pass_to_next();
            self.trouble(&Trouble::default());
            for at in 0..self.policy.systems.len() {
                self.poll(at);
            }
            self.work(TURNS);
            // What is due in more than an hour only looks for what was taken for gone.
            let soon = lock(&self.world).clock.now() + SignedDuration::from_hours(1);
            let idle = self.worker.as_ref().is_some_and(|w| w.next_wake().is_none_or(|at| at > soon));
            let waits =
                lock(&self.world).native_waits() || self.store.counts().inbox > 0 || self.misses_one();
            if !idle || waits || before != self.movement() {
                still = now(self);
            }
            rests = now(self).duration_since(still) >= QUIET;
            let runs_away = lock(&self.world).calls.writes > MAX_WRITES;
            if rests || runs_away || self.is_over() {
                break;
            }
        }
        let mut world = lock(&self.world);
        world.say(|| "everything rests");
        if !rests && self.judge.violations.is_empty() {
            self.judge.found("it never came to rest".to_owned());
        }
        if let Some((wrote, said)) = self.lost.take()
            && said == world.said.len()
            // Comments are judged where they are counted.
            && let Some(first) = world.wrote[wrote..].iter().find(|w| w.changed != Changed::default() || w.created.is_some())
        {
            self.judge.found(format!("a lost store made lockstep write to {}: {first:?}", first.id));
        }
        self.judge.at_rest(&world, &self.policy, &self.store, self.reconfigured);
        world.rest_ends();
        world.set_calm(false);
    }

    /// Whether the worker takes a record for gone that is there. It is found again, since it is looked for.
    fn misses_one(&self) -> bool {
        let mappings = self.store.mappings(None, usize::MAX).unwrap_or_default();
        let world = lock(&self.world);
        let is_there = |record: &RecordRef| {
            let at = world.at(&record.system);
            world.remotes.get(at).is_some_and(|remote| remote.current(&record.id).is_some())
        };
        mappings.iter().flat_map(|m| &m.members).any(|m| m.state == MemberState::Gone && is_there(&m.record))
    }

    /// What a round without movement leaves as it is: reads and writes are movement, lists are not.
    fn movement(&self) -> (usize, u64) {
        let world = lock(&self.world);
        (world.said.len(), world.calls.reads + world.calls.writes)
    }

    /// Time passes: enough for every list and read to be current, or until a lane wants to be woken.
    fn pass_to_next(&mut self) {
        let wake = self.worker.as_ref().and_then(Stepped::next_wake);
        let mut world = lock(&self.world);
        let now = world.clock.now();
        let least = world.random(20, 70);
        let until = wake.map_or(0, |at| at.duration_since(now).as_secs().clamp(0, 3600));
        world.clock.advance(SignedDuration::from_secs(least.max(until + 1)));
        world.happen();
    }

    /// A new store finds everything again, and writes nothing.
    pub(super) fn lose_store(&mut self) {
        let differs = { Judge::differences(&lock(&self.world), &self.policy) };
        if differs || self.store.counts().outbox > 0 {
            return;
        }
        lock(&self.world).say(|| "the store is lost; lockstep starts on an empty one");
        self.store = Arc::new(MemoryStore::new());
        lock(&self.world).begin_store();
        let world = lock(&self.world);
        self.lost = Some((world.wrote.len(), world.said.len()));
        drop(world);
        self.start();
    }
}
