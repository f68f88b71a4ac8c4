//! One lane under failures that go on for long.

use jiff::SignedDuration;

use super::lane::{Event, Failure, FailureKind};
use super::testing::{World, snapshot};
use crate::model::{AuditKind, IntentState, Lifecycle, RecordRef, SystemName};
use crate::reconcile::testing::rules;
use crate::reconcile::{Late, NativeSync};

fn closed_in_defender() -> World {
    let pair = [snapshot("defender/incident/1", 1, "active"), snapshot("sentinel/incident/g", 1, "New")];
    let mut world = World::new(rules(), pair.to_vec());
    let snapshots = vec![snapshot("defender/incident/1", 5, "resolved")];
    world.observe(snapshots);
    world
}

#[test]
fn a_write_that_is_not_permitted_waits_longer_and_is_told_once() {
    let mut world = closed_in_defender();
    let begun = world.now;
    for _ in 0..20 {
        let effect = world.read(Ok(snapshot("sentinel/incident/g", 1, "New"))).unwrap().effect.unwrap();
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
    let mut world = World::new(rules(), pair.to_vec());
    let snapshots = vec![snapshot("sentinel/incident/g", 5, "Active")];
    world.observe(snapshots);
    let effect = world.read(Ok(snapshot("defender/incident/1", 1, "active"))).unwrap().effect.unwrap();
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
    let mut world = World::new(rules(), Vec::new());
    world.rules.policy.native_sync = Some(NativeSync {
        writer: SystemName::new("defender").unwrap(),
        follower: SystemName::new("sentinel").unwrap(),
        deadline: SignedDuration::from_mins(15),
        late: Late::Report,
    });
    world.observe(pair.to_vec());
    let mut last = world.now;
    for (second, status) in [(2, "inProgress"), (3, "resolved")] {
        last = world.now;
        let snapshots = vec![snapshot("defender/incident/1", second, status)];
        world.observe(snapshots);
        world.now += SignedDuration::from_mins(14);
    }
    let (due, _) = world.lane.wake_at().unwrap();
    assert_eq!(due, last + SignedDuration::from_mins(15));
}

#[test]
fn a_read_that_does_not_give_what_was_asked_for_ends_after_some_tries() {
    let mut incident = snapshot("sentinel/incident/g", 1, "New");
    incident.links = vec!["defender/alert/a".parse().unwrap()];
    let mut world = World::new(rules(), vec![incident]);
    let begun = world.now;
    let mut reads = 0;
    while world.read(Ok(snapshot("defender/alert/A", 1, "new"))).is_some() {
        reads += 1;
        assert!(reads < 100, "it reads for ever");
    }
    assert!(world.now.duration_since(begun) > SignedDuration::from_secs(5), "{reads} reads in a row");
    assert!(matches!(world.lane.intents[0].state, IntentState::Dead { .. }), "{:?}", world.lane.intents);
}

/// A replica that lags may answer 404 for a record that was just made, as often as it is asked meanwhile.
#[test]
fn a_record_is_gone_when_two_reads_miss_it_with_settle_between_them() {
    let mut world = closed_in_defender();
    world.read(Err(FailureKind::Gone));
    let missed = world.now;
    world.next().unwrap();
    assert!(world.now.duration_since(missed) >= SignedDuration::from_secs(30), "both may come from one lag");
    world.lists();
    world.read(Err(FailureKind::Gone));
    assert!(world.told("it is not there any more"), "{:?}", world.audit);
}

#[test]
fn a_conflict_is_no_read_that_missed_the_record() {
    let mut world = closed_in_defender();
    let sent = world.read(Ok(snapshot("sentinel/incident/g", 1, "New"))).unwrap();
    world.wrote(&sent, Err(FailureKind::Conflict), Vec::new());
    world.read(Err(FailureKind::Gone));
    assert!(!world.told("it is not there any more"), "one read may be stale");
    assert!(world.read(Ok(snapshot("sentinel/incident/g", 1, "New"))).unwrap().effect.is_some());
}

#[test]
fn only_reads_in_a_row_miss_a_record() {
    let mut world = closed_in_defender();
    world.read(Err(FailureKind::Gone));
    let sent = world.read(Ok(snapshot("sentinel/incident/g", 1, "New"))).unwrap();
    world.wrote(&sent, Err(FailureKind::NotExecuted), Vec::new());
    world.read(Err(FailureKind::Gone));
    assert!(!world.told("it is not there any more"), "it was there in between");
}
