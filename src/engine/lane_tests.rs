//! One lane under failures that go on for long.

use jiff::{SignedDuration, Timestamp};
use rand::SeedableRng;
use rand::rngs::StdRng;

use super::lane::{Context, Event, Failure, FailureKind, Lane, Step};
use crate::model::{
    AuditKind, Field, IntentState, Lifecycle, Mapping, MappingId, Native, RecordRef, Snapshot, SystemName,
};
use crate::reconcile::testing::{self, rules};
use crate::reconcile::{Late, NativeSync, Rules};
use crate::store::Change;

pub(super) fn snapshot(record: &str, second: i64, status: &str) -> Snapshot {
    let modified = Timestamp::from_second(second).unwrap();
    testing::snapshot(record, modified, &[(Field::Status, Native::text(Some(status)))])
}

/// A lane and its clock.
struct World {
    lane: Lane,
    rules: Rules,
    now: Timestamp,
    rng: StdRng,
    audit: Vec<(RecordRef, AuditKind)>,
}

impl World {
    fn new(seen: Vec<Snapshot>) -> Self {
        let rules = rules();
        let mapping = Mapping::new(MappingId(1), rules.policy.bridge.clone());
        let mut world = Self {
            lane: Lane { mapping, intents: Vec::new() },
            rules,
            now: Timestamp::from_second(1_000_000).unwrap(),
            rng: StdRng::seed_from_u64(1),
            audit: Vec::new(),
        };
        world.step(Event::Observed { snapshots: seen, elsewhere: Vec::new() });
        world
    }

    fn step(&mut self, event: Event) -> Step {
        let mut context = Context {
            rules: &self.rules,
            now: self.now,
            settle: &|_| SignedDuration::from_secs(30),
            listed: &|_| None,
            chooses_comment_ids: &|_| false,
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

    /// Goes on to when the lane wants to be worked on, and answers its read. `None` when nothing is left to do.
    fn read(&mut self, answer: Snapshot) -> Option<Step> {
        self.now = self.now.max(self.lane.wake_at()?.0);
        let (intent, _, _) = self.lane.next_due(self.now, &|_| false)?;
        Some(self.step(Event::Read { intent, result: Ok(Box::new(answer)), elsewhere: Vec::new() }))
    }
}

fn closed_in_defender() -> World {
    let pair = [snapshot("defender/incident/1", 1, "active"), snapshot("sentinel/incident/g", 1, "New")];
    let mut world = World::new(pair.to_vec());
    let snapshots = vec![snapshot("defender/incident/1", 5, "resolved")];
    world.step(Event::Observed { snapshots, elsewhere: Vec::new() });
    world
}

#[test]
fn a_write_that_is_not_permitted_waits_longer_and_is_told_once() {
    let mut world = closed_in_defender();
    let begun = world.now;
    for _ in 0..20 {
        let effect = world.read(snapshot("sentinel/incident/g", 1, "New")).unwrap().effect.unwrap();
        let denied = Failure {
            kind: FailureKind::Denied,
            message: "403".to_owned(),
            request_id: None,
            retry_after: None,
        };
        let (intent, result, elsewhere) = (effect.intent, Err(denied), Vec::new());
        world.step(Event::Wrote { intent, result, request_id: None, declined: Vec::new(), elsewhere });
    }
    let told = world.audit.iter().filter(|(_, kind)| matches!(kind, AuditKind::Failed { .. })).count();
    assert_eq!(told, 1, "the history keeps a thousand entries, and has better ones");
    assert!(world.now.duration_since(begun) >= SignedDuration::from_mins(19));
}

#[test]
fn a_merge_that_only_the_answer_to_a_write_tells_of_takes_no_record_from_its_mapping() {
    let pair = [snapshot("defender/incident/1", 1, "active"), snapshot("sentinel/incident/g", 1, "New")];
    let mut world = World::new(pair.to_vec());
    let snapshots = vec![snapshot("sentinel/incident/g", 5, "Active")];
    world.step(Event::Observed { snapshots, elsewhere: Vec::new() });
    let effect = world.read(snapshot("defender/incident/1", 1, "active")).unwrap().effect.unwrap();
    let target: RecordRef = "defender/incident/9".parse().unwrap();
    let mut answer = snapshot("defender/incident/1", 6, "redirected");
    answer.lifecycle = Lifecycle::Redirected { to: Some(target.clone()) };
    let (intent, result) = (effect.intent, Ok(Some(Box::new(answer))));
    world.step(Event::Wrote {
        intent,
        result,
        request_id: None,
        declined: Vec::new(),
        elsewhere: vec![target.clone()],
    });
    assert_eq!(world.lane.mapping.member(&target), None, "it has a mapping of its own");
    assert!(world.lane.mapping.is_closed(), "what is left here is closed as merged");
}

#[test]
fn each_edit_gives_native_sync_its_full_time() {
    let pair = [snapshot("defender/incident/1", 1, "active"), snapshot("sentinel/incident/g", 1, "New")];
    let mut world = World::new(Vec::new());
    world.rules.policy.native_sync = Some(NativeSync {
        writer: SystemName::new("defender").unwrap(),
        follower: SystemName::new("sentinel").unwrap(),
        deadline: SignedDuration::from_mins(15),
        late: Late::Report,
    });
    world.step(Event::Observed { snapshots: pair.to_vec(), elsewhere: Vec::new() });
    let mut last = world.now;
    for (second, status) in [(2, "inProgress"), (3, "resolved")] {
        last = world.now;
        let snapshots = vec![snapshot("defender/incident/1", second, status)];
        world.step(Event::Observed { snapshots, elsewhere: Vec::new() });
        world.now += SignedDuration::from_mins(14);
    }
    let (due, _) = world.lane.wake_at().unwrap();
    assert_eq!(due, last + SignedDuration::from_mins(15));
}

#[test]
fn a_read_that_does_not_give_what_was_asked_for_ends_after_some_tries() {
    let mut incident = snapshot("sentinel/incident/g", 1, "New");
    incident.links = vec!["defender/alert/a".parse().unwrap()];
    let mut world = World::new(vec![incident]);
    let begun = world.now;
    let mut reads = 0;
    while world.read(snapshot("defender/alert/A", 1, "new")).is_some() {
        reads += 1;
        assert!(reads < 100, "it reads for ever");
    }
    assert!(world.now.duration_since(begun) > SignedDuration::from_secs(5), "{reads} reads in a row");
    assert!(matches!(world.lane.intents[0].state, IntentState::Dead { .. }), "{:?}", world.lane.intents);
}
