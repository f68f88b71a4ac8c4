//! The intents of a lane follow what is wished.

use jiff::{SignedDuration, Timestamp};

use super::lane::{Event, Failure, FailureKind};
use super::testing::{World, snapshot};
use crate::model::{
    Action, AuditKind, Comment, CommentKey, Comments, Field, IntentState, Lifecycle, Native, RecordRef,
    Snapshot, SystemName,
};
use crate::reconcile::testing::{rules, ticket_rules};
use crate::reconcile::{Late, NativeSync};

fn sentinel(second: i64, status: &str) -> Snapshot {
    snapshot("sentinel/incident/g", second, status)
}

fn defender(second: i64, status: &str) -> Snapshot {
    snapshot("defender/incident/1", second, status)
}

fn pair() -> World {
    World::new(rules(), vec![defender(1, "active"), sentinel(1, "New")])
}

fn targets(world: &World) -> Vec<String> {
    world.lane.intents.iter().map(|intent| intent.target.to_string()).collect()
}

fn settled(world: &World) -> usize {
    world.audit.iter().filter(|(_, kind)| matches!(kind, AuditKind::Settled { .. })).count()
}

fn commented(second: i64) -> Snapshot {
    let note = Comment {
        key: CommentKey::from_id("c"),
        author: Some("ana".to_owned()),
        created: Timestamp::from_second(4).ok(),
        text: "isolated host7".to_owned(),
    };
    Snapshot { comments: Comments::Listed(vec![note]), ..defender(second, "active") }
}

#[test]
fn a_burst_of_edits_is_one_write_and_one_taken_back_is_none() {
    let mut world = pair();
    world.observe(vec![defender(5, "inProgress")]);
    let first = world.lane.intents[0].id;
    world.observe(vec![defender(6, "resolved")]);
    assert_eq!(world.lane.intents.len(), 1);
    let intent = &world.lane.intents[0];
    assert_eq!((intent.id, &intent.action), (first, &Action::Update { closing: true }));
    assert_eq!(intent.causes, ["status closed from defender"]);
    world.observe(vec![defender(7, "active")]);
    assert_eq!(targets(&world), [""; 0]);
    assert_eq!(settled(&world), 1);
    assert!(world.told("there is nothing left to write"));
}

#[test]
fn what_is_no_longer_to_be_read_is_dropped_without_a_word() {
    let mut named = sentinel(1, "New");
    named.links = vec!["defender/incident/1".parse().unwrap()];
    let mut world = World::new(rules(), vec![named]);
    assert_eq!(world.lane.intents[0].action, Action::Fetch);
    world.observe(vec![defender(1, "active")]);
    assert_eq!((targets(&world).len(), settled(&world)), (0, 0), "{:#?}", world.audit);
}

#[test]
fn each_record_has_an_intent_of_its_own() {
    let mut rules = rules();
    let mut other = rules.policy.systems[1].clone();
    other.name = SystemName::new("other").unwrap();
    rules.policy.systems.push(other);
    let third = snapshot("other/incident/x", 1, "New");
    let mut world = World::new(rules, vec![defender(1, "active"), sentinel(1, "New"), third]);
    world.observe(vec![defender(5, "resolved")]);
    assert_eq!(targets(&world), ["sentinel/incident/g", "other/incident/x"]);
    let ids: Vec<u32> = world.lane.intents.iter().map(|intent| intent.id.number).collect();
    assert_eq!(ids, [0, 1]);
}

#[test]
fn a_write_that_waits_goes_on_waiting_when_more_is_to_be_written() {
    let mut world = pair();
    world.observe(vec![defender(5, "inProgress")]);
    let sent = world.read(Ok(sentinel(1, "New"))).unwrap();
    let throttled = Failure {
        kind: FailureKind::NotExecuted,
        message: "429".to_owned(),
        request_id: None,
        retry_after: Some(SignedDuration::from_mins(5)),
    };
    let (intent, result, elsewhere) = (sent.effect.unwrap().intent, Err(throttled), Vec::new());
    world.step(Event::Wrote { intent, result, request_id: None, declined: Vec::new(), elsewhere });
    let due = world.now + SignedDuration::from_mins(5);
    assert_eq!(world.lane.intents[0].due, due, "as the service asked");
    world.now += SignedDuration::from_secs(1);
    world.observe(vec![defender(6, "resolved")]);
    assert_eq!(world.lane.intents[0].due, due);
}

#[test]
fn seeing_the_same_again_does_not_put_native_sync_off() {
    let mut rules = rules();
    rules.policy.native_sync = Some(NativeSync {
        writer: SystemName::new("defender").unwrap(),
        follower: SystemName::new("sentinel").unwrap(),
        deadline: SignedDuration::from_mins(15),
        late: Late::Report,
    });
    let mut world = World::new(rules, vec![defender(1, "active"), sentinel(1, "New")]);
    world.observe(vec![defender(5, "resolved")]);
    let due = world.lane.intents[0].due;
    world.now += SignedDuration::from_mins(1);
    world.observe(vec![defender(6, "resolved")]);
    assert_eq!(world.lane.intents[0].due, due);
}

#[test]
fn a_copy_waits_through_other_decisions_and_falls_with_its_record() {
    let mut world = pair();
    world.observe(vec![commented(5)]);
    assert_eq!(targets(&world), ["sentinel/incident/g"]);
    world.observe(vec![defender(6, "inProgress")]);
    let comments = world.lane.intents.iter().filter(|i| matches!(i.action, Action::Comment { .. })).count();
    assert_eq!((comments, world.lane.intents.len()), (1, 2));
    world.observe(vec![Snapshot { lifecycle: Lifecycle::Gone, ..sentinel(7, "New") }]);
    assert_eq!(targets(&world), [""; 0]);
    assert!(world.told("the record left the mapping") && world.told("comment by ana"));
}

#[test]
fn a_copy_that_may_be_under_way_stays_though_its_record_left() {
    let mut world = pair();
    world.observe(vec![commented(5)]);
    let sent = world.read(Ok(sentinel(1, "New"))).unwrap();
    world.wrote(&sent, Err(FailureKind::Unknown), Vec::new());
    world.observe(vec![Snapshot { lifecycle: Lifecycle::Gone, ..sentinel(7, "New") }]);
    assert!(matches!(world.lane.intents[0].state, IntentState::Unknown { .. }));
    assert!(!world.told("the record left the mapping"));
}

#[test]
fn intents_follow_a_ticket_from_its_key_to_its_id() {
    let incident = {
        let mut seen = defender(1, "active");
        seen.native.insert(Field::Title, Native::text(Some("Odd sign-in")));
        seen
    };
    let mut world = World::new(ticket_rules(), vec![incident]);
    let sent = world.read(Err(FailureKind::Gone)).unwrap();
    let key: RecordRef = sent.effect.as_ref().unwrap().target.clone();
    world.wrote(&sent, Err(FailureKind::Unknown), Vec::new());
    assert_eq!(world.lane.intents[0].target, key);
    let mut listed = snapshot("tickets/ticket/42", 5, "new");
    listed.planned_as = Some(key);
    world.observe(vec![listed]);
    assert_eq!(targets(&world), ["tickets/ticket/42"]);
}
