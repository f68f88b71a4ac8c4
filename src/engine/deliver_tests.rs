//! What each answer, and each lack of one, means for an intent.

use jiff::{SignedDuration, Timestamp};

use super::lane::{Event, Failure, FailureKind, Request, Step};
use super::testing::{World, sends_until_the_end, snapshot};
use crate::connectors::Depth;
use crate::model::{
    Action, AuditKind, Comment, CommentKey, Comments, Field, IntentState, MemberState, Native, Snapshot,
    SystemName,
};
use crate::reconcile::testing::rules;
use crate::reconcile::{Late, NativeSync, Rules};
use crate::store::Change;

const TARGET: &str = "sentinel/incident/g";

fn sentinel(second: i64, status: &str) -> Snapshot {
    snapshot(TARGET, second, status)
}

fn defender(second: i64, status: &str) -> Snapshot {
    snapshot("defender/incident/1", second, status)
}

/// A pair whose Defender incident was closed.
fn closed() -> World {
    let mut world = World::new(rules(), vec![defender(1, "active"), sentinel(1, "New")]);
    world.observe(vec![defender(5, "resolved")]);
    world
}

fn shows_it(second: i64) -> Snapshot {
    let mut seen = sentinel(second, "Closed");
    seen.native.insert(Field::Verdict, Native::text(Some("Undetermined")));
    seen
}

fn comment(key: &str, text: &str) -> Comment {
    Comment {
        key: CommentKey::from_id(key),
        author: None,
        created: Some(Timestamp::from_second(900).unwrap()),
        text: text.to_owned(),
    }
}

fn state(world: &World) -> &IntentState {
    &world.lane.intents[0].state
}

fn is_unknown(world: &World) -> bool {
    matches!(state(world), IntentState::Unknown { .. })
}

fn failures(world: &World) -> usize {
    world.audit.iter().filter(|(_, kind)| matches!(kind, AuditKind::Failed { .. })).count()
}

#[test]
fn after_an_open_outcome_two_reads_must_agree_that_there_was_no_effect() {
    let mut world = closed();
    let mut sent = world.read(Ok(sentinel(1, "New"))).unwrap();
    for attempt in 1..=2 {
        let begun = world.now;
        world.wrote(&sent, Err(FailureKind::Unknown), Vec::new());
        assert!(is_unknown(&world));
        assert!(world.read(Ok(sentinel(1, "New"))).unwrap().effect.is_none(), "one read may be stale");
        assert_eq!(world.lane.intents[0].misses, 1);
        sent = world.read(Ok(sentinel(1, "New"))).unwrap();
        assert!(sent.effect.is_some(), "the second agrees");
        assert_eq!(
            world.now.duration_since(begun),
            SignedDuration::from_secs(60),
            "each after the settle time"
        );
        let intent = &world.lane.intents[0];
        assert_eq!((intent.attempts, intent.misses), (attempt, 0));
    }
    world.wrote(&sent, Err(FailureKind::Unknown), Vec::new());
    assert!(world.read(Ok(shows_it(9))).unwrap().effect.is_none());
    assert!(world.lane.intents.is_empty() && world.told("read back after an open outcome"));
}

/// Found by the simulation (seed 1552921): a close by somebody passed for ours.
#[test]
fn what_somebody_wrote_over_an_open_outcome_ends_it() {
    let mut world = closed();
    let sent = world.read(Ok(sentinel(1, "New"))).unwrap();
    world.wrote(&sent, Err(FailureKind::Unknown), Vec::new());
    let again = world.read(Ok(sentinel(9, "Active"))).unwrap();
    assert!(again.effect.is_some(), "the close wins, and need not wait for a second read");
    world.wrote(&again, Err(FailureKind::NotExecuted), Vec::new());
    world.observe(vec![shows_it(12)]);
    assert!(world.told(r#"old: "Active", new: "Closed""#), "this is somebody's: {:?}", world.audit);
}

/// Found by the simulation (seed 3029895).
#[test]
fn what_a_list_showed_of_somebody_counts_at_the_read_back() {
    let mut world = closed();
    let sent = world.read(Ok(sentinel(1, "New"))).unwrap();
    world.wrote(&sent, Err(FailureKind::Unknown), Vec::new());
    world.observe(vec![sentinel(9, "Active")]);
    assert!(world.read(Ok(sentinel(9, "Active"))).unwrap().effect.is_some(), "one read is enough");
}

#[test]
fn what_a_list_shows_does_not_end_an_open_outcome() {
    let mut world = closed();
    let sent = world.read(Ok(sentinel(1, "New"))).unwrap();
    world.wrote(&sent, Err(FailureKind::Unknown), Vec::new());
    world.observe(vec![sentinel(9, "Active")]);
    assert!(is_unknown(&world));
    world.observe(vec![shows_it(12)]);
    assert!(!world.told(r#"new: "Closed""#), "our write may have come late: {:?}", world.audit);
}

#[test]
fn an_open_outcome_waits_for_the_longer_of_settle_time_and_what_the_service_asks_for() {
    for (asked, expected) in [(5, 30), (300, 300)] {
        let mut world = closed();
        let sent = world.read(Ok(sentinel(1, "New"))).unwrap();
        let intent = sent.effect.unwrap().intent;
        let failure = Failure {
            kind: FailureKind::Unknown,
            message: "503".to_owned(),
            request_id: None,
            retry_after: Some(SignedDuration::from_secs(asked)),
        };
        let (result, declined, elsewhere) = (Err(failure), Vec::new(), Vec::new());
        world.step(Event::Wrote { intent, result, request_id: None, declined, elsewhere });
        assert_eq!(world.lane.wake_at().unwrap().0, world.now + SignedDuration::from_secs(expected));
    }
}

#[test]
fn an_answer_that_does_not_show_what_was_written_proves_nothing() {
    for answer in [None, Some(sentinel(6, "New")), Some(Snapshot { fresh: true, ..shows_it(0) })] {
        let mut world = closed();
        let sent = world.read(Ok(sentinel(1, "New"))).unwrap();
        world.wrote(&sent, Ok(answer.clone()), Vec::new());
        assert!(is_unknown(&world), "{answer:?}: {:?}", world.lane.intents);
        assert!(!world.told("Wrote"));
    }
    let mut world = closed();
    let sent = world.read(Ok(sentinel(1, "New"))).unwrap();
    world.wrote(&sent, Ok(Some(shows_it(6))), Vec::new());
    assert!(world.lane.intents.is_empty() && world.told("the answer shows it"));
}

#[test]
fn an_answer_ends_a_row_of_failures() {
    let mut world = closed();
    let mut sent = world.read(Ok(sentinel(1, "New"))).unwrap();
    for _ in 0..3 {
        world.wrote(&sent, Err(FailureKind::NotExecuted), Vec::new());
        sent = world.read(Ok(sentinel(1, "New"))).unwrap();
    }
    assert_eq!((world.lane.intents[0].unreachable, failures(&world)), (3, 1));
    world.wrote(&sent, Ok(None), Vec::new());
    assert_eq!(world.lane.intents[0].unreachable, 0);
}

#[test]
fn a_target_that_cannot_be_read_is_told_once_and_asked_again_later_and_later() {
    let mut world = closed();
    let begun = world.now;
    for _ in 0..4 {
        assert!(world.read(Err(FailureKind::Denied)).unwrap().effect.is_none());
    }
    world.next();
    assert_eq!(world.now.duration_since(begun), SignedDuration::from_mins(4), "permissions change slowly");
    assert_eq!(failures(&world), 1);
    let mut world = closed();
    let begun = world.now;
    for _ in 0..4 {
        world.read(Err(FailureKind::Unknown));
    }
    world.next();
    let waited = world.now.duration_since(begun).as_secs_f64();
    assert!((15.0..19.0).contains(&waited), "1, 2, 4 and 8 s, and a little more: {waited}");
}

#[test]
fn a_target_that_is_not_found_twice_is_gone_and_is_not_created() {
    let mut world = closed();
    assert!(world.read(Err(FailureKind::Gone)).unwrap().effect.is_none());
    assert_eq!(world.lane.mapping.members[1].state, MemberState::Linked, "once is no proof");
    world.lists();
    assert!(world.read(Err(FailureKind::Gone)).unwrap().effect.is_none());
    assert_eq!(world.lane.mapping.members[1].state, MemberState::Gone);
    assert!(world.told("it is not there any more"));
    assert!(world.lane.mapping.is_closed(), "nothing is concluded for the others");
    let left: Vec<&Action> = world.lane.intents.iter().map(|intent| &intent.action).collect();
    assert_eq!(left, [&Action::Fetch], "it is looked for, and nothing is written to it");
}

#[test]
fn a_record_is_not_gone_while_the_same_caller_cannot_list_its_system() {
    let mut world = closed();
    world.lists();
    for _ in 0..50 {
        assert!(world.read(Err(FailureKind::Gone)).unwrap().effect.is_none());
    }
    assert_eq!(
        world.lane.mapping.members[1].state,
        MemberState::Linked,
        "it may be the caller who sees nothing"
    );
    let sent = world.read(Ok(sentinel(1, "New"))).unwrap();
    assert!(sent.effect.is_some(), "and what was to be written is written once the record is seen again");
}

/// What was said of the others meanwhile waits for it, comments included, and what was said of it counts.
#[test]
fn a_record_that_was_taken_for_gone_is_taken_up_again_with_everything() {
    let mut world = closed();
    world.read(Err(FailureKind::Gone));
    world.lists();
    world.read(Err(FailureKind::Gone));
    let mut commented = defender(7, "resolved");
    commented.comments = Comments::Listed(vec![comment("c1", "contained")]);
    world.observe(vec![commented]);
    let missed = world.now;
    world.read(Err(FailureKind::Gone)).unwrap();
    assert!(world.now.duration_since(missed) >= SignedDuration::from_mins(59), "it is looked for seldom");
    let back = Snapshot { comments: Comments::Listed(vec![comment("s1", "seen it")]), ..sentinel(1, "New") };
    world.read(Ok(back)).unwrap();
    assert!(world.told("it was taken for gone, and is there again"));
    assert_eq!(world.lane.mapping.members[1].state, MemberState::Linked);
    let work: Vec<(&str, &str)> =
        world.lane.intents.iter().map(|i| (i.action.as_str(), i.target.system.as_str())).collect();
    for due in [("update", "sentinel"), ("comment", "sentinel"), ("comment", "defender")] {
        assert!(work.contains(&due), "{due:?} of {work:?}");
    }
}

#[test]
fn a_record_that_stays_gone_is_looked_for_some_weeks_and_then_left() {
    let mut world = closed();
    world.read(Err(FailureKind::Gone));
    world.lists();
    world.read(Err(FailureKind::Gone));
    let (began, mut looks) = (world.now, 0);
    while world.read(Err(FailureKind::Gone)).is_some() {
        looks += 1;
        assert!(looks < 100, "it is looked for without end");
    }
    let days = world.now.duration_since(began).as_hours() / 24;
    assert!(world.lane.intents.is_empty() && (30..60).contains(&days), "{looks} looks in {days} days");
}

#[test]
fn a_write_without_effect_is_tried_eight_times() {
    let as_before = || Ok(sentinel(1, "New"));
    for answer in [Err(FailureKind::Unknown), Err(FailureKind::Conflict), as_before().map(Some)] {
        let mut world = closed();
        let sends = sends_until_the_end(&mut world, &as_before, &|| answer.clone());
        assert_eq!(sends, 8, "{answer:?}");
        assert!(matches!(state(&world), IntentState::Dead { .. }) && world.told("8 tries had no effect"));
    }
}

#[test]
fn a_refusal_at_the_first_try_is_one_try() {
    let mut world = closed();
    let sent = world.read(Ok(sentinel(1, "New"))).unwrap();
    world.wrote(&sent, Err(FailureKind::Refused), Vec::new());
    let dead = &world.lane.intents[0];
    assert!(matches!(&dead.state, IntentState::Dead { patch, .. } if !patch.is_empty()), "{dead:?}");
    assert_eq!(dead.attempts, 1);
}

#[test]
fn a_dead_letter_rests_until_something_else_is_to_be_written() {
    let mut world = closed();
    sends_until_the_end(&mut world, &|| Ok(sentinel(1, "New")), &|| Err(FailureKind::Conflict));
    world.now += SignedDuration::from_hours(1);
    world.observe(vec![defender(6, "resolved")]);
    assert!(matches!(state(&world), IntentState::Dead { .. }), "the same again is no reason");
    assert_eq!(world.lane.wake_at(), None);
    assert_eq!(world.lane.next_due(world.now, &|_| false), None, "though it is due");
    let mut judged = defender(7, "resolved");
    judged.native.insert(Field::Verdict, Native::text(Some("truePositive/phishing")));
    world.observe(vec![judged]);
    let intent = &world.lane.intents[0];
    assert_eq!((&intent.state, intent.attempts, intent.unreachable), (&IntentState::Planned, 0, 0));
    assert_eq!(intent.due, world.now);
    assert!(world.read(Ok(sentinel(1, "New"))).unwrap().effect.is_some());
}

#[test]
fn nothing_is_due_before_its_time() {
    let mut world = closed();
    let sent = world.read(Ok(sentinel(1, "New"))).unwrap();
    world.wrote(&sent, Err(FailureKind::Unknown), Vec::new());
    let due = world.lane.wake_at().unwrap().0;
    let early = due - SignedDuration::from_nanos(1);
    assert_eq!(world.lane.next_due(early, &|_| false), None);
    assert!(world.lane.next_due(due, &|_| false).is_some());
}

#[test]
fn what_was_being_sent_when_the_worker_ended_is_of_unknown_outcome() {
    let mut world = closed();
    world.read(Ok(sentinel(1, "New"))).unwrap();
    world.now += SignedDuration::from_secs(100);
    let step = world.step(Event::Restarted);
    assert!(is_unknown(&world));
    assert_eq!(world.lane.intents[0].due, world.now + SignedDuration::from_secs(30));
    assert!(matches!(&step.changes[..], [Change::PutIntent(_)]), "{:?}", step.changes);
    let mut planned = closed();
    assert!(planned.step(Event::Restarted).changes.is_empty(), "what was not sent was not lost");
}

fn creating(rules: &mut Rules) {
    rules.policy.create_in.insert(SystemName::new("sentinel").unwrap());
}

#[test]
fn an_incident_is_created_once_its_system_was_listed_after_the_plan() {
    for (listed, creates) in [(None, false), (Some(-1), false), (Some(0), true), (Some(1), true)] {
        let mut rules = rules();
        creating(&mut rules);
        let mut world = World::new(rules, vec![defender(1, "active")]);
        let planned = world.lane.intents[0].planned;
        world.listed = listed.map(|second| planned + SignedDuration::from_secs(second));
        let step = world.read(Err(FailureKind::Gone)).unwrap();
        assert_eq!(step.effect.is_some(), creates, "{listed:?}");
    }
}

#[test]
fn an_incident_that_was_created_otherwise_than_asked_for_is_read_back() {
    let mut rules = rules();
    creating(&mut rules);
    let mut world = World::new(rules, vec![defender(1, "active")]);
    world.listed = Some(Timestamp::MAX);
    let sent = world.read(Err(FailureKind::Gone)).unwrap();
    let effect = sent.effect.as_ref().unwrap();
    assert!(matches!(effect.request, Request::Create(_)));
    let answer = Snapshot { record: effect.target.clone(), ..sentinel(5, "Active") };
    world.wrote(&sent, Ok(Some(answer)), Vec::new());
    assert!(!world.told("the answer shows it"), "{:#?}", world.audit);
}

#[test]
fn a_creation_that_never_shows_is_tried_eight_times() {
    let mut rules = rules();
    creating(&mut rules);
    let mut world = World::new(rules, vec![defender(1, "active")]);
    world.listed = Some(Timestamp::MAX);
    let sends = sends_until_the_end(&mut world, &|| Err(FailureKind::Gone), &|| Err(FailureKind::Unknown));
    assert_eq!(sends, 8);
    assert!(matches!(state(&world), IntentState::Dead { .. }));
}

fn synced(late: Late) -> World {
    let mut rules = rules();
    rules.policy.native_sync = Some(NativeSync {
        writer: SystemName::new("defender").unwrap(),
        follower: SystemName::new("sentinel").unwrap(),
        deadline: SignedDuration::from_mins(15),
        late,
    });
    let mut world = World::new(rules, vec![defender(1, "active"), sentinel(1, "New")]);
    world.observe(vec![defender(5, "resolved")]);
    assert_eq!(world.lane.intents[0].action, Action::Converge);
    assert_eq!(world.lane.intents[0].due, world.now + SignedDuration::from_mins(15));
    world
}

#[test]
fn native_sync_that_is_late_is_reported_and_the_record_left_to_differ() {
    let mut world = synced(Late::Report);
    let step = world.read(Ok(sentinel(1, "New"))).unwrap();
    assert!(step.effect.is_none() && world.lane.intents.is_empty());
    assert!(world.told("NotConverged { fields: [Status"), "{:#?}", world.audit);
    assert!(world.lane.mapping.members[1].exempt.contains(&Field::Status));
}

#[test]
fn native_sync_that_is_late_is_done_by_lockstep_if_the_bridge_says_so() {
    let mut world = synced(Late::Write);
    let step = world.read(Ok(sentinel(1, "New"))).unwrap();
    assert!(matches!(step.effect.unwrap().request, Request::Update(_)));
    assert!(!world.told("NotConverged"));
}

#[test]
fn native_sync_has_its_full_time_though_the_record_is_read_before() {
    for late in [Late::Report, Late::Write] {
        let mut world = synced(late);
        let intent = world.lane.intents[0].id;
        let (result, elsewhere) = (Ok(Box::new(sentinel(1, "New"))), Vec::new());
        let step = world.step(Event::Read { intent, result, elsewhere });
        assert!(step.effect.is_none() && world.lane.intents.len() == 1, "{late:?}");
    }
}

fn note(text: &str) -> Comment {
    Comment {
        key: CommentKey::from_id("c"),
        author: Some("ana".to_owned()),
        created: Timestamp::from_second(4).ok(),
        text: text.to_owned(),
    }
}

/// A pair with a comment on its way to Sentinel, which counts its comments.
fn commented() -> World {
    let counted = Snapshot { comments: Comments::Counted(2), ..sentinel(1, "New") };
    let mut world = World::new(rules(), vec![defender(1, "active"), counted]);
    let comments = Comments::Listed(vec![note("isolated host7")]);
    world.observe(vec![Snapshot { comments, ..defender(5, "active") }]);
    assert!(matches!(world.lane.intents[0].action, Action::Comment { .. }));
    world
}

#[test]
fn a_copy_that_was_answered_is_there_and_counts_as_ours() {
    let mut world = commented();
    let sent = world.read(Ok(sentinel(1, "New"))).unwrap();
    assert!(matches!(sent.effect.as_ref().unwrap().request, Request::Comment(..)));
    let count = |world: &World| world.lane.mapping.members[1].base.as_ref().unwrap().comment_count;
    let before = count(&world);
    world.wrote(&sent, Ok(None), Vec::new());
    assert!(world.lane.intents.is_empty() && world.told("Wrote"));
    assert_eq!(count(&world), before + 1, "so the record's own count is no news");
}

fn depth(world: &mut World) -> Depth {
    world.next().unwrap().2
}

#[test]
fn comments_are_read_where_the_copy_must_be_looked_up() {
    let mut world = commented();
    assert_eq!(depth(&mut world), Depth::Comments);
    world.chooses_comment_ids = true;
    assert_eq!(depth(&mut world), Depth::Record, "a repeated one is harmless there");
    let sent = world.read(Ok(sentinel(1, "New"))).unwrap();
    world.wrote(&sent, Err(FailureKind::Unknown), Vec::new());
    assert_eq!(depth(&mut world), Depth::Comments, "after an open outcome it is looked up all the same");
}

#[test]
fn of_a_record_that_is_read_for_its_own_sake_as_much_is_read_as_is_wanted() {
    let mut named = sentinel(1, "New");
    named.links = vec!["defender/incident/1".parse().unwrap()];
    let mut world = World::new(rules(), vec![named]);
    assert_eq!(depth(&mut world), Depth::Record, "nothing is known of it yet");
    let mut more = Snapshot { comments: Comments::Counted(0), fresh: false, ..sentinel(1, "New") };
    more.facts.more_links = true;
    let mut world = World::new(rules(), vec![more]);
    assert_eq!(depth(&mut world), Depth::Links, "it may name more than its list shows");
    let counted = |second, count| {
        let comments = Comments::Counted(count);
        Snapshot { comments, fresh: false, ..sentinel(second, "New") }
    };
    let mut world = World::new(rules(), vec![defender(1, "active"), counted(1, 0)]);
    world.observe(vec![counted(2, 1)]);
    assert_eq!(depth(&mut world), Depth::Comments);
}

fn puts(step: &Step) -> usize {
    step.changes.iter().filter(|change| matches!(change, Change::PutIntent(_))).count()
}

fn removals(step: &Step) -> usize {
    step.changes.iter().filter(|change| matches!(change, Change::RemoveIntent(_))).count()
}

#[test]
fn a_step_stores_the_intents_that_it_changed_and_no_others() {
    let mut world = closed();
    let comments = Comments::Listed(vec![note("isolated host7")]);
    world.observe(vec![Snapshot { comments, ..defender(5, "resolved") }]);
    assert_eq!(world.lane.intents.len(), 2);
    let sent = world.read(Ok(sentinel(1, "New"))).unwrap();
    assert_eq!((puts(&sent), removals(&sent)), (1, 0), "{:?}", sent.changes);
    let settled = world.wrote(&sent, Ok(Some(shows_it(6))), Vec::new());
    assert_eq!((puts(&settled), removals(&settled)), (0, 1), "{:?}", settled.changes);
    let again = world.step(Event::Observed { snapshots: vec![shows_it(6)], elsewhere: Vec::new() });
    assert!(again.changes.is_empty(), "{:?}", again.changes);
}
