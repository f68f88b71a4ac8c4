//! How edits become what is agreed, and what a close says and brings.

use std::collections::BTreeSet;

use super::decide_tests::{defender, linked, only_patch, see, sentinel, system, text};
use super::testing::{rules, snapshot, ticket_rules};
use super::*;
use crate::model::{
    AuditKind, Comment, CommentKey, Comments, Field, Mapping, MappingId, MemberState, Native, Natives, Patch,
    RecordRef, Snapshot, Value, Verdict,
};

fn set(tags: &[&str]) -> Native {
    Native::Set(tags.iter().map(|tag| (*tag).to_owned()).collect())
}

fn tagged(mut seen: Snapshot, tags: &[&str]) -> Snapshot {
    seen.native.insert(Field::Tags, set(tags));
    seen
}

fn titled(mut seen: Snapshot, title: &str) -> Snapshot {
    seen.native.insert(Field::Title, text(title));
    seen
}

fn agreed(decision: &Decision, field: Field) -> String {
    decision.mapping.agreed(field).map(ToString::to_string).unwrap_or_default()
}

fn told(decision: &Decision, part: &str) -> usize {
    format!("{:?}", decision.audit).matches(part).count()
}

fn tags(decision: &Decision) -> BTreeSet<String> {
    match decision.mapping.agreed(Field::Tags) {
        Some(Value::Tags(tags)) => tags.clone(),
        other => panic!("{other:?}"),
    }
}

fn names(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[test]
fn tags_are_added_and_removed_as_sets_and_never_compete() {
    let rules = rules();
    let first = see(&linked(&rules), &[tagged(defender(5, "active", None), &["a", "b"])], &rules);
    assert_eq!(only_patch(&first).1, Natives::from([(Field::Tags, set(&["a", "b"]))]));
    let both =
        [tagged(defender(6, "active", None), &["b", "c"]), tagged(sentinel(6, "New", None), &["b", "d"])];
    let second = see(&first.mapping, &both, &rules);
    // Defender took `a` away and added `c`; Sentinel added `b` and `d`, and did not know `a` yet.
    assert_eq!(tags(&second), names(&["b", "c", "d"]));
    assert_eq!(told(&second, "lost a conflict"), 0);
    assert_eq!(told(&second, "Agreed { field: Tags"), 1);
    let targets: Vec<String> = second.wishes.iter().map(|wish| wish.target.to_string()).collect();
    assert_eq!(targets, ["defender/incident/1", "sentinel/incident/g"]);
}

#[test]
fn tags_that_the_others_have_already_are_no_news() {
    let rules = rules();
    let first = see(&linked(&rules), &[tagged(defender(5, "active", None), &["a", "b"])], &rules);
    let second = see(&first.mapping, &[tagged(sentinel(6, "New", None), &["a"])], &rules);
    assert_eq!(tags(&second), names(&["a", "b"]));
    assert_eq!((told(&second, "the others say so already"), told(&second, "Agreed {")), (1, 0));
    assert_eq!(
        only_patch(&second),
        ("sentinel/incident/g".to_owned(), Natives::from([(Field::Tags, set(&["a", "b"]))]))
    );
    let removed = see(&first.mapping, &[tagged(defender(6, "active", None), &[])], &rules);
    assert_eq!(tags(&removed), names(&[]));
}

#[test]
fn a_record_without_tags_agrees_on_none() {
    let rules = rules();
    let mapping = Mapping::new(MappingId(1), rules.policy.bridge.clone());
    let decision = see(&mapping, &[defender(0, "active", None)], &rules);
    assert_eq!(tags(&decision), names(&[]));
}

#[test]
fn the_order_of_the_systems_decides_between_edits_of_the_same_time() {
    for (order, wins) in [(["defender", "sentinel"], "A"), (["sentinel", "defender"], "B")] {
        for conflicts in [Conflicts::Order, Conflicts::CloseWins, Conflicts::Latest] {
            let mut rules = rules();
            rules.policy.conflicts = conflicts;
            rules.policy.systems.sort_by_key(|s| order.iter().position(|name| *name == s.name.as_str()));
            let both = [titled(defender(5, "active", None), "A"), titled(sentinel(5, "New", None), "B")];
            let decision = see(&linked(&rules), &both, &rules);
            assert_eq!(agreed(&decision, Field::Title), wins, "{conflicts:?} {order:?}");
        }
    }
}

#[test]
fn an_agreed_value_that_loses_is_told_of_the_record_that_said_it() {
    let mut rules = rules();
    rules.policy.conflicts = Conflicts::Latest;
    let first = see(&linked(&rules), &[titled(defender(5, "active", None), "A")], &rules);
    let second = see(&first.mapping, &[titled(sentinel(6, "New", None), "B")], &rules);
    assert_eq!(agreed(&second, Field::Title), "B");
    let losers: Vec<String> = second
        .audit
        .iter()
        .filter(|(_, kind)| matches!(kind, AuditKind::NotCarried { value, .. } if value == "A"))
        .map(|(record, _)| record.to_string())
        .collect();
    assert_eq!(losers, ["defender/incident/1"]);
}

#[test]
fn a_close_without_a_verdict_gets_that_of_the_bridge_and_one_with_a_verdict_keeps_it() {
    let mut rules = rules();
    rules.policy.closing.default_verdict = Verdict::try_from("benign-positive".to_owned()).unwrap();
    let closed = see(&linked(&rules), &[defender(5, "resolved", None)], &rules);
    assert_eq!(agreed(&closed, Field::Verdict), "benign-positive");
    let (target, patch) = (closed.wishes[1].target.to_string(), &closed.wishes[1].patch.native);
    assert_eq!(
        (target.as_str(), &patch[&Field::Verdict]),
        ("sentinel/incident/g", &text("BenignPositive/SuspiciousButExpected"))
    );
    let judged = see(&linked(&rules), &[defender(5, "resolved", Some("truePositive/phishing"))], &rules);
    assert_eq!(agreed(&judged, Field::Verdict), "true-positive/phishing");
    let open = see(&linked(&rules), &[defender(5, "inProgress", None)], &rules);
    assert_eq!(agreed(&open, Field::Verdict), "undetermined", "an open incident has none yet");
}

#[test]
fn a_close_carries_the_bridges_comment_unless_the_record_has_a_note_of_its_own() {
    let rules = rules();
    let closed = see(&linked(&rules), &[defender(5, "resolved", None)], &rules);
    let patch = |mapping: &Mapping, seen: &Snapshot| patch_for(mapping, &rules, seen, false);
    let open = sentinel(0, "New", None);
    let expected = "Closed in defender by alice@example.org";
    assert_eq!(patch(&closed.mapping, &open).closing_comment.as_deref(), Some(expected));
    assert_eq!(closed.wishes[0].patch.closing_comment, None, "it is filled in when it is sent");
    let noted = |note: &str| Snapshot { closing_comment: Some(note.to_owned()), ..open.clone() };
    assert_eq!(patch(&closed.mapping, &noted("false alarm")).closing_comment, None);
    assert_eq!(patch(&closed.mapping, &noted(" ")).closing_comment.as_deref(), Some(expected));
    // What is written to a closed record is no second close.
    let both = [defender(5, "resolved", None), sentinel(6, "Closed", Some("Undetermined"))];
    let mapping = see(&linked(&rules), &both, &rules).mapping;
    let renamed = see(&mapping, &[titled(defender(7, "resolved", None), "Renamed")], &rules).mapping;
    let written = patch(&renamed, &sentinel(6, "Closed", Some("Undetermined")));
    assert_eq!(written, Patch { native: [(Field::Title, text("Renamed"))].into(), ..Patch::default() });
}

#[test]
fn a_blank_closing_comment_is_none() {
    let mut rules = rules();
    rules.policy.closing.comment = " {{ origin.comment }} ".to_owned();
    let closed = see(&linked(&rules), &[defender(5, "resolved", None)], &rules);
    assert_eq!(patch_for(&closed.mapping, &rules, &sentinel(0, "New", None), false).closing_comment, None);
}

#[test]
fn a_closing_comment_leaves_out_who_closed_where_the_system_does_not_tell() {
    let mut rules = rules();
    rules.policy.closing.comment = "Closed in {{ origin.system }} by {{ origin.actor }}".to_owned();
    let untold = Snapshot { modified_by: None, ..sentinel(5, "Closed", Some("Undetermined")) };
    let closed = see(&linked(&rules), &[untold], &rules);
    let patch = patch_for(&closed.mapping, &rules, &defender(0, "active", None), false);
    assert_eq!(patch.closing_comment.as_deref(), Some("Closed in sentinel by "));
}

#[test]
fn a_verdict_is_written_to_sentinel_with_a_close_or_while_it_is_closed_only() {
    let rules = rules();
    let both = [defender(5, "resolved", None), sentinel(6, "Closed", Some("Undetermined"))];
    let mapping = see(&linked(&rules), &both, &rules).mapping;
    let judged = see(&mapping, &[defender(7, "resolved", Some("truePositive/phishing"))], &rules);
    let verdict = (Field::Verdict, text("TruePositive/SuspiciousActivity"));
    assert_eq!(only_patch(&judged).1, Natives::from([verdict]), "it is closed");
    let reopened = see(&mapping, &[defender(7, "inProgress", Some("truePositive/phishing"))], &rules);
    assert_eq!(only_patch(&reopened).1, Natives::from([(Field::Status, text("Active"))]), "it opens");
    let stated = see(&linked(&rules), &[sentinel(5, "New", Some("Undetermined"))], &rules).mapping;
    let judged = see(&stated, &[defender(6, "active", Some("truePositive/phishing"))], &rules);
    assert!(
        judged.wishes.iter().all(|w| !w.patch.native.contains_key(&Field::Verdict)),
        "it is open: {:?}",
        judged.wishes
    );
}

#[test]
fn a_closed_sentinel_incident_whose_status_does_not_travel_gets_the_verdict_all_the_same() {
    let mut rules = rules();
    rules.policy.fields.insert(Field::Status, Direction::Off);
    let mapping = Mapping::new(MappingId(1), rules.policy.bridge.clone());
    let mapping = see(&mapping, &[defender(0, "active", None)], &rules).mapping;
    let mapping = see(&mapping, &[sentinel(0, "Closed", Some("Undetermined"))], &rules).mapping;
    let judged = see(&mapping, &[defender(5, "active", Some("truePositive/phishing"))], &rules);
    let verdict = (Field::Verdict, text("TruePositive/SuspiciousActivity"));
    assert_eq!(only_patch(&judged), ("sentinel/incident/g".to_owned(), Natives::from([verdict])));
}

fn ticket(second: i64, status: &str, title: &str) -> Snapshot {
    let mut native =
        vec![(Field::Status, text(status)), (Field::Owner, Native::Empty), (Field::Title, text(title))];
    if status == "resolved" {
        native.push((Field::Verdict, text("unclear")));
    }
    snapshot("tickets/ticket/42", defender(second, "active", None).modified, &native)
}

/// An incident of Defender with its ticket.
fn ticketed(rules: &Rules, incident: Snapshot) -> Mapping {
    let mapping = Mapping::new(MappingId(1), rules.policy.bridge.clone());
    let mapping = see(&mapping, &[incident], rules).mapping;
    let key = mapping.members.iter().find(|m| m.state == MemberState::Planned).unwrap().record.clone();
    let opened = Snapshot { planned_as: Some(key.clone()), ..ticket(0, "new", "Odd sign-in") };
    let in_flight = [(key, Patch::default())];
    decide(
        &mapping,
        Observed { snapshots: &[opened], in_flight: &in_flight, elsewhere: &[], answered: false },
        rules,
    )
    .mapping
}

const SPARED: &str = "not touched for that";

#[test]
fn a_closed_ticket_that_says_so_already_is_not_told_as_spared() {
    let rules = ticket_rules();
    let mapping = ticketed(&rules, defender(0, "active", None));
    let both = [defender(5, "resolved", None), ticket(6, "resolved", "Odd sign-in")];
    let mapping = see(&mapping, &both, &rules).mapping;
    let away = see(&mapping, &[titled(defender(7, "resolved", None), "Renamed")], &rules);
    assert_eq!((told(&away, SPARED), away.wishes.len()), (1, 0));
    let back = see(&away.mapping, &[titled(defender(8, "resolved", None), "Odd sign-in")], &rules);
    assert_eq!(told(&back, SPARED), 0, "{:#?}", back.audit);
    let severe = {
        let mut seen = titled(defender(9, "resolved", None), "Odd sign-in");
        seen.native.insert(Field::Severity, text("high"));
        see(&back.mapping, &[seen], &rules)
    };
    assert_eq!(told(&severe, SPARED), 0, "the ticket has no such field");
    let theirs = see(&back.mapping, &[ticket(9, "resolved", "By the desk")], &rules);
    assert_eq!((told(&theirs, SPARED), agreed(&theirs, Field::Title)), (0, "By the desk".to_owned()));
}

#[test]
fn an_open_ticket_is_not_spared_what_comes_with_its_close() {
    let rules = ticket_rules();
    let mapping = ticketed(&rules, defender(0, "active", None));
    let open = see(&mapping, &[titled(defender(5, "active", None), "Renamed")], &rules);
    assert_eq!((told(&open, SPARED), open.wishes.len()), (0, 1));
    let closed = see(&mapping, &[titled(defender(5, "resolved", None), "Renamed")], &rules);
    assert_eq!(told(&closed, SPARED), 0);
    let patch = &closed.wishes[0].patch.native;
    assert_eq!((&patch[&Field::Title], &patch[&Field::Status]), (&text("Renamed"), &text("resolved")));
}

#[test]
fn a_second_close_retires_no_ticket() {
    let mut rules = ticket_rules();
    rules.policy.closing.reopen = Reopen::NewTicket;
    let mapping = ticketed(&rules, defender(0, "active", None));
    let both = [defender(5, "resolved", None), ticket(6, "resolved", "Odd sign-in")];
    let mut mapping = see(&mapping, &both, &rules).mapping;
    // Something left the incident's status to differ, and it is closed again.
    let incident: RecordRef = "defender/incident/1".parse().unwrap();
    mapping
        .member_mut(&incident)
        .unwrap()
        .base
        .as_mut()
        .unwrap()
        .native
        .insert(Field::Status, text("active"));
    mapping.members[1].exempt.insert(Field::Status);
    let again = see(&mapping, &[defender(9, "resolved", None)], &rules);
    assert!(again.mapping.members.iter().all(|member| member.state == MemberState::Linked));
    assert_eq!(told(&again, "Agreed { field: Status"), 1, "{:#?}", again.audit);
}

#[test]
fn an_open_ticket_found_again_after_a_lost_store_is_linked() {
    let rules = ticket_rules();
    let mapping = Mapping::new(MappingId(1), rules.policy.bridge.clone());
    let mapping = see(&mapping, &[defender(0, "active", None)], &rules).mapping;
    let key = mapping.members[1].record.clone();
    let found = Snapshot { planned_as: Some(key), ..ticket(5, "new", "Odd sign-in") };
    let decision = see(&mapping, &[found], &rules);
    assert_eq!(decision.mapping.members[1].state, MemberState::Linked, "{:#?}", decision.audit);
}

#[test]
fn earlier_comments_are_owed_by_records_that_count_them_too_and_by_none_that_have_none() {
    let rules = ticket_rules();
    let counted = |count| Snapshot { comments: Comments::Counted(count), ..sentinel(0, "New", None) };
    let owing = |incidents: &[Snapshot]| -> Vec<String> {
        let mapping = Mapping::new(MappingId(1), rules.policy.bridge.clone());
        let mapping = see(&mapping, incidents, &rules).mapping;
        let key = mapping.members.iter().find(|m| m.state == MemberState::Planned).unwrap().record.clone();
        let opened = Snapshot { planned_as: Some(key.clone()), ..ticket(1, "new", "Odd sign-in") };
        let in_flight = [(key, Patch::default())];
        let observed =
            Observed { snapshots: &[opened], in_flight: &in_flight, elsewhere: &[], answered: false };
        let members = decide(&mapping, observed, &rules).mapping.members;
        members.iter().filter(|m| !m.backfill.is_empty()).map(|m| m.record.to_string()).collect()
    };
    assert_eq!(owing(&[defender(0, "active", None), counted(2)]), ["sentinel/incident/g"]);
    assert_eq!(owing(&[defender(0, "active", None), counted(0)]), [""; 0]);
}

#[test]
fn a_record_of_whose_comments_nothing_is_told_is_read_when_its_revision_moved() {
    let rules = ticket_rules();
    let mapping = ticketed(&rules, defender(0, "active", None));
    let untold = |revision: &str| Snapshot {
        comments: Comments::Untold,
        revision: revision.to_owned(),
        ..ticket(0, "new", "Odd sign-in")
    };
    let same = untold(&ticket(0, "new", "Odd sign-in").revision);
    assert_eq!(see(&mapping, &[same], &rules).wishes, []);
    assert_eq!(see(&mapping, &[untold("another")], &rules).wishes[0].action.as_str(), "fetch");
}

#[test]
fn the_writer_of_a_comment_is_named_where_the_system_tells() {
    let rules = rules();
    let mut seen = defender(5, "active", None);
    seen.comments = Comments::Listed(vec![Comment {
        key: CommentKey::from_id("c"),
        author: None,
        created: Some(seen.modified),
        text: "isolated host7".to_owned(),
    }]);
    let decision = see(&linked(&rules), &[seen], &rules);
    assert_eq!(decision.copies[0].cause, "comment by someone on defender/incident/1");
}

#[test]
fn values_that_mean_the_same_are_the_same_however_they_are_spelt() {
    let policy = rules().policy;
    let record: RecordRef = "defender/incident/1".parse().unwrap();
    let same = |field, a: &Native, b: &Native| policy.same(&record, field, a, b);
    assert!(same(Field::Verdict, &text("unknown/unknown"), &Native::Empty));
    assert!(same(Field::Status, &text("odd"), &text("odd")), "though nobody knows it");
    assert!(!same(Field::Status, &text("odd"), &text("other")));
    assert!(!same(Field::Status, &text("active"), &text("resolved")));
    let foreign: RecordRef = "elsewhere/incident/1".parse().unwrap();
    assert!(policy.same(&foreign, Field::Status, &text("a"), &text("a")));
    assert!(!policy.same(&foreign, Field::Status, &text("a"), &text("b")));
}

#[test]
fn a_direction_lets_edits_out_of_one_system_and_into_the_others() {
    let (one, other) = (system("defender"), system("sentinel"));
    let from = Direction::From(one.clone());
    assert!(Direction::Both.leaves(&one) && Direction::Both.reaches(&one));
    assert!(from.leaves(&one) && !from.reaches(&one));
    assert!(!from.leaves(&other) && from.reaches(&other));
    assert!(!Direction::Off.leaves(&one) && !Direction::Off.reaches(&one));
}
