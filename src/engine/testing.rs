//! One lane with its clock, for tests that move it on step by step.

use jiff::{SignedDuration, Timestamp};
use rand::SeedableRng;
use rand::rngs::StdRng;

use super::lane::{Context, Event, Failure, FailureKind, Lane, Step};
use crate::connectors::{Declined, Depth};
use crate::model::{AuditKind, Field, IntentId, Mapping, MappingId, Native, RecordRef, Snapshot};
use crate::reconcile::{Rules, testing};
use crate::store::Change;

/// A record that states its status only.
pub(super) fn snapshot(record: &str, second: i64, status: &str) -> Snapshot {
    let modified = Timestamp::from_second(second).unwrap();
    testing::snapshot(record, modified, &[(Field::Status, Native::text(Some(status)))])
}

/// A lane, its clock, and its history.
pub(super) struct World {
    pub(super) lane: Lane,
    pub(super) rules: Rules,
    pub(super) now: Timestamp,
    pub(super) audit: Vec<(RecordRef, AuditKind)>,
    /// When the last complete list of every system began.
    pub(super) listed: Option<Timestamp>,
    /// Whether systems take comment ids of our choice.
    pub(super) chooses_comment_ids: bool,
    rng: StdRng,
}

impl World {
    /// A mapping that begins with these.
    pub(super) fn new(rules: Rules, seen: Vec<Snapshot>) -> Self {
        let mapping = Mapping::new(MappingId(1), rules.policy.bridge.clone());
        let lane = Lane { mapping, intents: Vec::new() };
        let now = Timestamp::from_second(1_000_000).unwrap();
        let mut world = Self {
            lane,
            rules,
            now,
            audit: Vec::new(),
            listed: None,
            chooses_comment_ids: false,
            rng: StdRng::seed_from_u64(1),
        };
        world.observe(seen);
        world
    }

    /// Takes listed records in.
    pub(super) fn observe(&mut self, snapshots: Vec<Snapshot>) {
        self.step(Event::Observed { snapshots, elsewhere: Vec::new() });
    }

    pub(super) fn step(&mut self, event: Event) -> Step {
        let (listed, chooses) = (self.listed, self.chooses_comment_ids);
        let mut context = Context {
            rules: &self.rules,
            now: self.now,
            settle: &|_| SignedDuration::from_secs(30),
            listed: &|_| listed,
            chooses_comment_ids: &|_| chooses,
            rng: &mut self.rng,
        };
        let step = self.lane.step(event, &mut context);
        let audited = step.changes.iter().filter_map(|change| match change {
            Change::Audit(entry) => Some((entry.record.clone(), entry.kind.clone())),
            _ => None,
        });
        self.audit.extend(audited);
        step
    }

    /// Goes on to when the lane wants to be worked on; `None` when nothing is left to do.
    pub(super) fn next(&mut self) -> Option<(IntentId, RecordRef, Depth)> {
        self.now = self.now.max(self.lane.wake_at()?.0);
        self.lane.next_due(self.now, &|_| self.chooses_comment_ids)
    }

    /// Goes on, and answers the read that is due. `None` when nothing is left to do.
    pub(super) fn read(&mut self, result: Result<Snapshot, FailureKind>) -> Option<Step> {
        let (intent, _, _) = self.next()?;
        let result = result.map(Box::new).map_err(failure);
        Some(self.step(Event::Read { intent, result, elsewhere: Vec::new() }))
    }

    /// Every system is listed to its end.
    pub(super) fn lists(&mut self) {
        self.now += SignedDuration::from_secs(1);
        self.listed = Some(self.now);
    }

    /// Answers the write that a step sent.
    pub(super) fn wrote(
        &mut self,
        sent: &Step,
        result: Result<Option<Snapshot>, FailureKind>,
        declined: Vec<Declined>,
    ) -> Step {
        let intent = sent.effect.as_ref().unwrap().intent;
        let result = result.map(|answer| answer.map(Box::new)).map_err(failure);
        self.step(Event::Wrote { intent, result, request_id: None, declined, elsewhere: Vec::new() })
    }

    /// Whether the history holds this.
    pub(super) fn told(&self, part: &str) -> bool {
        format!("{:?}", self.audit).contains(part)
    }
}

/// Goes on until nothing is left to do; how often something was sent, each time answered like this.
pub(super) fn sends_until_the_end(
    world: &mut World,
    read: &dyn Fn() -> Result<Snapshot, FailureKind>,
    answer: &dyn Fn() -> Result<Option<Snapshot>, FailureKind>,
) -> usize {
    let mut sends = 0;
    while let Some(step) = world.read(read()) {
        if step.effect.is_some() {
            sends += 1;
            assert!(sends < 100, "it sends for ever");
            world.wrote(&step, answer(), Vec::new());
        }
    }
    sends
}

fn failure(kind: FailureKind) -> Failure {
    Failure { kind, message: format!("{kind:?}"), request_id: None, retry_after: None }
}
