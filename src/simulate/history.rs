//! Plays a plan: the real worker, step by step, in the simulated world.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use futures_util::FutureExt;
use jiff::Timestamp;

use crate::connectors::{Connector, Malformed};
use crate::engine::{Clock, Hinted, Parts, Report, Stepped, Watched};
use crate::model::{AuditEntry, IntentState, Mapping, MappingId, RecordKind, SystemName};
use crate::reconcile::{Conflicts, MarkerKey, Policy, Rules};
use crate::store::{Counts, MemoryStore, Store, StoreError};

use super::connector::{SharedWorld, SimConnector, lock};
use super::judge::{Judge, Violation};
use super::plan::{Plan, Spot, Trouble, What};
use super::store::SimStore;
use super::world::{World, id};

/// What came of a history.
#[derive(Debug, Clone, Default)]
pub struct Outcome {
    /// What it broke.
    pub violations: Vec<Violation>,
    /// What happened, where it was asked for.
    pub timeline: Vec<String>,
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
}

/// Plays a plan to its end.
pub fn play(plan: &Plan, keep_timeline: bool) -> Outcome {
    let mut history = History::new(plan, keep_timeline);
    history.start();
    for act in &plan.acts {
        if history.is_over() {
            break;
        }
        lock(&history.world).clock.advance(act.after);
        lock(&history.world).happen();
        history.act(&act.what);
    }
    if !history.is_over() {
        history.rest();
    }
    history.conclude()
}

/// A history being played.
pub(super) struct History {
    seed: u64,
    pub(super) policy: Policy,
    pub(super) world: SharedWorld,
    pub(super) store: Arc<MemoryStore>,
    pub(super) worker: Option<Stepped>,
    pub(super) judge: Judge,
    kills: u64,
    /// Whether the worker runs on another policy than it began with.
    pub(super) reconfigured: bool,
    /// How much had been written and said when the store was lost, until the next rest.
    pub(super) lost: Option<(usize, usize)>,
}

impl History {
    fn new(plan: &Plan, keep_timeline: bool) -> Self {
        let world = World::new(plan.seed, &plan.scene, keep_timeline);
        Self {
            seed: plan.seed,
            policy: plan.scene.policy.clone(),
            world: Arc::new(Mutex::new(world)),
            store: Arc::new(MemoryStore::new()),
            worker: None,
            judge: Judge::default(),
            kills: 0,
            reconfigured: false,
            lost: None,
        }
    }

    /// One violation is enough; what follows from it only confuses.
    pub(super) fn is_over(&self) -> bool {
        !self.judge.violations.is_empty()
    }

    fn parts(&self) -> Parts {
        let mut systems = BTreeMap::new();
        for (at, system) in self.policy.systems.iter().enumerate() {
            let connector: Arc<dyn Connector> = Arc::new(SimConnector::new(&self.world, at));
            let poll = std::time::Duration::from_secs(15);
            systems.insert(system.name.clone(), Watched { connector, poll });
        }
        let rules = Rules { policy: self.policy.clone(), marker: MarkerKey::new([7; 32]) };
        let clock = lock(&self.world).clock.clone();
        Parts {
            store: Arc::new(SimStore::new(&self.store, &self.world)),
            systems,
            bridges: BTreeMap::from([(self.policy.bridge.clone(), rules)]),
            report: Arc::new(Nobody),
            seed: self.seed,
            clock: Clock::of(move || clock.now()),
        }
    }

    /// Starts the worker on what is durable, until it survives that.
    pub(super) fn start(&mut self) {
        self.worker = None;
        lock(&self.world).restart();
        for _ in 0..3 {
            let started = Stepped::start(self.parts()).now_or_never();
            match started {
                Some(Ok(worker)) => {
                    self.worker = Some(worker);
                    return;
                }
                Some(Err(error)) => return self.judge.found(format!("the worker cannot start: {error}")),
                None => self.die(),
            }
        }
    }

    /// What was not synced is gone.
    pub(super) fn die(&mut self) {
        self.kills += 1;
        lock(&self.world).say(|| "lockstep is killed");
        lock(&self.world).forget_answers();
        self.worker = None;
        self.store.crash();
        // What was promised and perhaps not sent is of unknown outcome, too.
        let promised = self.store.outbox(None, usize::MAX).unwrap_or_default().into_iter();
        for intent in promised {
            if let IntentState::Sending { patch } = &intent.state {
                lock(&self.world).doubt(&intent.target, patch);
            }
        }
    }

    fn restart(&mut self) {
        self.die();
        self.start();
    }

    pub(super) fn trouble(&mut self, trouble: &Trouble) {
        lock(&self.world).begin_act(trouble.clone());
    }

    /// Lets the worker do one thing; it may be killed on the way.
    fn with_worker<T>(&mut self, work: impl AsyncFnOnce(&mut Stepped) -> Result<T, StoreError>) -> Option<T> {
        let worker = self.worker.as_mut()?;
        let done = work(worker).now_or_never();
        match done {
            Some(Ok(result)) => Some(result),
            Some(Err(error)) => {
                self.judge.found(format!("the worker ended: {error}"));
                None
            }
            None => {
                self.restart();
                None
            }
        }
    }

    fn act(&mut self, what: &What) {
        match what {
            What::Edit(edit) => lock(&self.world).edit(*edit),
            What::BulkEdit(edit) => {
                let cases = u8::try_from(lock(&self.world).cases.len()).unwrap_or(1);
                for case in 0..cases {
                    let spot = Spot { case, ..edit.spot };
                    lock(&self.world).edit(super::plan::Edit { spot, ..*edit });
                }
            }
            What::Comment(spot) => lock(&self.world).comment(*spot),
            What::Quote(spot) => lock(&self.world).quote(*spot),
            What::Poll(system, trouble) => {
                self.trouble(trouble);
                let at = usize::from(*system) % self.policy.systems.len();
                self.poll(at);
            }
            What::Work(turns, trouble) => {
                self.trouble(trouble);
                self.work(usize::from(*turns));
            }
            What::Hint(spot, lies, trouble) => {
                self.trouble(trouble);
                self.hint(*spot, *lies);
            }
            What::Kill(trouble) => {
                self.die();
                self.trouble(trouble);
                self.start();
            }
            What::Rest => self.rest(),
            What::Retry => self.operate(|operator, dead| {
                let mut changes = Vec::new();
                for intent in dead {
                    changes.extend(operator.retry(*intent)?.1);
                }
                Ok(changes)
            }),
            What::Reconfigure => {
                self.reconfigured = true;
                self.policy.conflicts = match self.policy.conflicts {
                    Conflicts::CloseWins => Conflicts::Order,
                    Conflicts::Order => Conflicts::Latest,
                    Conflicts::Latest => Conflicts::CloseWins,
                };
                let now = self.policy.conflicts;
                lock(&self.world).say(|| format!("lockstep is started with conflicts = {now:?}"));
                self.restart();
            }
            What::LoseStore => self.lose_store(),
            What::Unlink(spot) => self.unlink(*spot),
            What::Link(spot) => self.link(*spot),
            other => lock(&self.world).disaster(other),
        }
    }

    pub(super) fn poll(&mut self, at: usize) {
        let system = self.policy.systems[at].name.clone();
        let main = self.policy.systems[at].main;
        let alerts = lock(&self.world).remotes[at].habits.has_alerts;
        for kind in [Some(main), alerts.then_some(RecordKind::Alert)].into_iter().flatten() {
            let listed = self.with_worker(async |worker| worker.poll(&system, kind).await);
            // A collection that cannot be listed holds up those after it.
            if !matches!(listed, Some(Ok(_))) {
                return;
            }
        }
    }

    pub(super) fn work(&mut self, turns: usize) {
        if self.with_worker(async |worker| worker.route().await).is_none() {
            return;
        }
        for _ in 0..turns {
            if self.with_worker(async |worker| worker.work().await) != Some(true) {
                return;
            }
        }
    }

    fn hint(&mut self, spot: Spot, lies: bool) {
        let named = {
            let world = lock(&self.world);
            match world.record_at(spot) {
                Some((_, system, _)) if lies => {
                    Some(world.remotes[system].record(&id("nobody-knows-it".to_owned())))
                }
                Some((_, system, id)) => Some(world.remotes[system].record(&id)),
                None => None,
            }
        };
        let Some(record) = named else { return };
        lock(&self.world).say(|| format!("a webhook names {record}"));
        lock(&self.world).doubts.hinting = true;
        self.with_worker(async |worker| worker.hint(&record).await);
        lock(&self.world).doubts.hinting = false;
    }

    fn conclude(self) -> Outcome {
        let mut world = lock(&self.world);
        Outcome {
            violations: self.judge.violations,
            timeline: world.timeline.take().unwrap_or_default(),
            edits: world.said.iter().filter(|said| !said.joined).count() as u64,
            writes: world.wrote.len() as u64,
            calls: world.calls.lists + world.calls.reads + world.calls.writes,
            faults: world.faults,
            kills: self.kills,
        }
    }
}

/// Nobody is told.
struct Nobody;

impl Report for Nobody {
    fn polled(&self, _: &SystemName, _: RecordKind, _: usize, _: std::time::Duration, _: Option<Timestamp>) {}
    fn poll_failed(&self, _: &SystemName, _: RecordKind, _: &crate::engine::PollFailure, _: u32) {}
    fn malformed(&self, _: &SystemName, _: &Malformed) {}
    fn hinted(&self, _: &SystemName, _: Hinted) {}
    fn history(&self, _: &AuditEntry, _: &Mapping) {}
    fn depths(&self, _: Counts) {}
    fn budget(&self, _: &SystemName, _: &[(&'static str, u32)]) {}
    fn defect(&self, _: MappingId, _: &str) {}
}
