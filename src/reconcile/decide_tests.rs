//! `decide` read as: what was there, what is seen, what follows. And its laws, over arbitrary edits.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

use super::testing::{self, rules};
use super::*;
use crate::model::{
    Action, AuditKind, Comment, CommentKey, Comments, Field, Lifecycle, Mapping, MappingId, MemberState,
    Native, Natives, Patch, RecordRef, Snapshot, SystemName,
};

use crate::translate::{Reading, Translation};

const START: i64 = 1_800_000_000;

pub(super) fn system(name: &str) -> SystemName {
    SystemName::new(name).unwrap()
}

pub(super) fn text(text: &str) -> Native {
    Native::text(Some(text))
}

pub(super) fn snapshot(record: &str, second: i64, native: &[(Field, Native)]) -> Snapshot {
    let modified = Timestamp::from_second(START + second).unwrap();
    Snapshot {
        modified_by: Some("alice@example.org".to_owned()),
        ..testing::snapshot(record, modified, native)
    }
}

pub(super) fn defender(second: i64, status: &str, verdict: Option<&str>) -> Snapshot {
    let native = [
        (Field::Status, text(status)),
        (Field::Severity, text("medium")),
        (Field::Verdict, Native::text(verdict)),
        (Field::Owner, Native::Empty),
        (Field::Tags, Native::Set(BTreeSet::new())),
        (Field::Title, text("Odd sign-in")),
    ];
    snapshot("defender/incident/1", second, &native)
}

pub(super) fn sentinel(second: i64, status: &str, verdict: Option<&str>) -> Snapshot {
    let mut seen = defender(second, status, None);
    seen.record = "sentinel/incident/g".parse().unwrap();
    seen.links = vec!["defender/incident/1".parse().unwrap()];
    seen.native.insert(Field::Severity, text("Medium"));
    seen.native.remove(&Field::Verdict);
    if let Some(verdict) = verdict {
        seen.native.insert(Field::Verdict, text(verdict));
    }
    seen
}

pub(super) fn see(mapping: &Mapping, seen: &[Snapshot], rules: &Rules) -> Decision {
    decide(mapping, Observed { snapshots: seen, ..Observed::default() }, rules)
}

pub(super) fn linked(rules: &Rules) -> Mapping {
    let bridge = rules.policy.bridge.clone();
    let id = MappingId::derive(&bridge, &"defender/incident/1".parse().unwrap());
    let both = [defender(0, "active", None), sentinel(0, "New", None)];
    let decision = see(&Mapping::new(id, bridge), &both, rules);
    assert_eq!(decision.wishes, [], "a pair that says the same needs nothing");
    decision.mapping
}

pub(super) fn only_patch(decision: &Decision) -> (String, Natives) {
    assert_eq!(decision.wishes.len(), 1, "{:#?}", decision.wishes);
    let wish = &decision.wishes[0];
    (wish.target.to_string(), wish.patch.native.clone())
}

#[test]
fn a_close_in_defender_closes_sentinel_with_the_verdict() {
    let rules = rules();
    let seen = defender(5, "resolved", Some("truePositive/phishing"));
    let (target, patch) = only_patch(&see(&linked(&rules), &[seen], &rules));
    assert_eq!(target, "sentinel/incident/g");
    let expected =
        [(Field::Status, text("Closed")), (Field::Verdict, text("TruePositive/SuspiciousActivity"))];
    assert_eq!(patch, Natives::from(expected));
}

#[test]
fn a_close_in_sentinel_closes_defender() {
    let rules = rules();
    let seen = sentinel(5, "Closed", Some("FalsePositive/InaccurateData"));
    let (target, patch) = only_patch(&see(&linked(&rules), &[seen], &rules));
    assert_eq!(target, "defender/incident/1");
    assert_eq!(patch.get(&Field::Status), Some(&text("resolved")));
    assert!(patch[&Field::Verdict].to_string().starts_with("falsePositive/"), "{patch:?}");
}

#[test]
fn an_older_list_entry_takes_nothing_back() {
    let rules = rules();
    let closed = see(&linked(&rules), &[defender(5, "resolved", None)], &rules);
    let mut late = defender(3, "inProgress", None);
    late.fresh = false;
    let decision = see(&closed.mapping, &[late], &rules);
    assert_eq!(decision.mapping, closed.mapping);
    assert_eq!(decision.stale.len(), 1);
}

#[test]
fn the_same_instant_with_other_values_is_read_again() {
    let rules = rules();
    let mut tied = defender(0, "inProgress", None);
    tied.fresh = false;
    let decision = see(&linked(&rules), &[tied.clone()], &rules);
    assert_eq!(decision.wishes[0].action, Action::Fetch);
    tied.fresh = true;
    let decision = see(&decision.mapping, &[tied], &rules);
    assert_eq!(only_patch(&decision).1, Natives::from([(Field::Status, text("Active"))]));
}

/// Seen with Request Tracker, whose times are whole seconds: a read that lagged undid a close.
#[test]
fn of_two_versions_in_one_second_the_lower_count_is_the_older() {
    let rules = rules();
    for (count, is_old) in [("9", true), ("10", false), ("11", false), ("9 2027-01-15", true), ("x9", false)]
    {
        let mut closed = defender(5, "resolved", None);
        closed.revision = "10".to_owned();
        let closed = see(&linked(&rules), &[closed], &rules);
        let mut read = defender(5, "active", None);
        read.revision = count.to_owned();
        let decision = see(&closed.mapping, &[read], &rules);
        assert_eq!((decision.stale.len() == 1, decision.mapping.is_closed()), (is_old, is_old), "{count}");
    }
}

#[test]
fn of_two_who_say_the_same_the_winner_stands_for_it() {
    let mut rules = rules();
    rules.policy.conflicts = Conflicts::Latest;
    let both = [defender(5, "inProgress", None), sentinel(9, "Active", None)];
    let agreed = see(&linked(&rules), &both, &rules).mapping.agreed[&Field::Status].clone();
    assert_eq!((agreed.from.as_str(), agreed.at), ("sentinel", both[1].modified));
}

#[test]
fn a_close_beats_a_concurrent_reopening_and_the_loser_is_recorded() {
    let rules = rules();
    let both = [sentinel(5, "Active", None), defender(6, "resolved", Some("truePositive/malware"))];
    let decision = see(&linked(&rules), &both, &rules);
    assert_eq!(only_patch(&decision).0, "sentinel/incident/g");
    let lost = |(record, kind): &(RecordRef, AuditKind)| {
        record.system.as_str() == "sentinel"
            && matches!(kind, AuditKind::NotCarried { reason, .. } if reason.contains("conflict"))
    };
    assert!(decision.audit.iter().any(lost), "{:#?}", decision.audit);
}

#[test]
fn an_edit_made_before_a_pending_close_arrived_does_not_undo_it() {
    let rules = rules();
    let closed = see(&linked(&rules), &[defender(5, "resolved", None)], &rules);
    assert_eq!(closed.wishes.len(), 1, "the close is on its way");
    let decision = see(&closed.mapping, &[sentinel(6, "Active", None)], &rules);
    assert!(decision.mapping.is_closed());
    assert_eq!(only_patch(&decision).0, "sentinel/incident/g");
    let arrived = see(&decision.mapping, &[sentinel(8, "Closed", Some("Undetermined"))], &rules);
    let reopened = see(&arrived.mapping, &[sentinel(9, "Active", None)], &rules);
    assert!(!reopened.mapping.is_closed(), "but whoever saw the close may reopen");
}

#[test]
fn a_field_that_was_not_stated_for_once_is_no_edit_when_it_is_stated_again() {
    let rules = rules();
    let closed = see(&linked(&rules), &[defender(5, "resolved", None)], &rules);
    let mut spoilt = sentinel(6, "New", None);
    spoilt.native.remove(&Field::Status);
    let spoilt = see(&closed.mapping, &[spoilt], &rules);
    let again = see(&spoilt.mapping, &[sentinel(7, "New", None)], &rules);
    assert!(again.mapping.is_closed(), "{:#?}", again.audit);
    assert_eq!(only_patch(&again).0, "sentinel/incident/g");
}

#[test]
fn a_merge_is_not_a_close() {
    let rules = rules();
    let mut merged = defender(5, "redirected", None);
    merged.lifecycle = Lifecycle::Redirected { to: Some("defender/incident/9".parse().unwrap()) };
    let decision = see(&linked(&rules), &[merged], &rules);
    assert!(!decision.mapping.is_closed());
    let states: Vec<_> = decision.mapping.members.iter().map(|m| m.state.clone()).collect();
    assert_eq!(states, [MemberState::Redirected, MemberState::Linked, MemberState::Awaited]);
    let actions: Vec<_> = decision.wishes.iter().map(|w| w.action.as_str()).collect();
    assert_eq!(actions, ["fetch"], "the incident goes on under its new id");
}

#[test]
fn an_unknown_native_value_is_left_alone_and_said() {
    let rules = rules();
    let decision = see(&linked(&rules), &[defender(5, "somethingNew", None)], &rules);
    assert_eq!(decision.wishes, []);
    let said = |(_, kind): &(RecordRef, AuditKind)| matches!(kind, AuditKind::NotCarried { value, .. } if value == "somethingNew");
    assert!(decision.audit.iter().any(said));
}

#[test]
fn an_unknown_word_that_goes_again_is_no_reopening() {
    let rules = rules();
    let closed = see(&linked(&rules), &[defender(5, "resolved", None)], &rules);
    let odd = see(&closed.mapping, &[sentinel(0, "somethingNew", None)], &rules);
    assert_eq!(odd.wishes, [], "nothing is written over a word that nobody knows");
    assert_eq!(see(&odd.mapping, &[sentinel(0, "somethingNew", None)], &rules).audit, [], "told once");
    let back = see(&odd.mapping, &[sentinel(0, "New", None)], &rules);
    assert!(back.mapping.is_closed(), "the close was undone: {:#?}", back.audit);
    assert_eq!(only_patch(&back).0, "sentinel/incident/g");
}

#[test]
fn a_value_that_may_be_our_own_write_is_no_edit() {
    let rules = rules();
    let closed = see(&linked(&rules), &[defender(5, "resolved", None)], &rules);
    let patch = closed.wishes[0].patch.clone();
    let seen = [sentinel(7, "Closed", Some("Undetermined"))];
    let in_flight = [(seen[0].record.clone(), Patch { ..patch })];
    let observed = Observed { snapshots: &seen, in_flight: &in_flight, elsewhere: &[], answered: false };
    let decision = decide(&closed.mapping, observed, &rules);
    assert!(
        !decision.audit.iter().any(|(_, kind)| matches!(kind, AuditKind::Edit { .. })),
        "{:#?}",
        decision.audit
    );
    assert_eq!(decision.wishes, []);
}

#[test]
fn a_comment_is_copied_once_and_a_planted_mark_suppresses_nothing() {
    let rules = rules();
    let mapping = linked(&rules);
    let comment = |key: &str, text: &str| Comment {
        key: CommentKey::from_id(key),
        author: Some("bob".to_owned()),
        created: Timestamp::from_second(START + 4).ok(),
        text: text.to_owned(),
    };
    let mut seen = defender(5, "active", None);
    seen.comments = Comments::Listed(vec![comment("c1", "isolate the host")]);
    let first = see(&mapping, &[seen.clone()], &rules);
    assert_eq!(first.copies.len(), 1);
    assert_eq!(see(&first.mapping, &[seen.clone()], &rules).copies, [], "told once");
    let Action::Comment { text, .. } = &first.copies[0].action else { panic!("no comment") };
    let mut echo = sentinel(6, "New", None);
    echo.comments = Comments::Listed(vec![comment("c2", text)]);
    assert_eq!(see(&first.mapping, &[echo.clone()], &rules).copies, [], "our own copy is not copied back");
    echo.comments = Comments::Listed(vec![comment("c3", "isolate the host")]);
    assert_eq!(
        see(&first.mapping, &[echo], &rules).copies.len(),
        1,
        "the same words by a person are a comment"
    );
}

#[test]
fn a_direction_keeps_an_edit_where_it_is() {
    let mut rules = rules();
    rules.policy.fields.insert(Field::Title, Direction::From(system("defender")));
    let mut seen = sentinel(5, "New", None);
    seen.native.insert(Field::Title, text("renamed"));
    let decision = see(&linked(&rules), &[seen], &rules);
    assert_eq!(decision.wishes, [], "neither carried over nor undone");
    let mut renamed = defender(6, "active", None);
    renamed.native.insert(Field::Title, text("Worse"));
    let decision = see(&decision.mapping, &[renamed], &rules);
    assert_eq!(only_patch(&decision).1, Natives::from([(Field::Title, text("Worse"))]));
}

/// One of two records that both say otherwise than agreed, since reopenings do not travel.
fn both_reopened(rules: &Rules) -> Mapping {
    let closed = [defender(5, "resolved", None), sentinel(6, "Closed", Some("Undetermined"))];
    let mapping = see(&linked(rules), &closed, rules).mapping;
    let reopened = [defender(7, "active", None), sentinel(8, "Active", None)];
    let decision = see(&mapping, &reopened, rules);
    assert_eq!(decision.wishes, [], "a reopening that does not travel is not undone either");
    decision.mapping
}

#[test]
fn later_versions_of_one_record_follow_each_other_and_do_not_compete() {
    for conflicts in [Conflicts::CloseWins, Conflicts::Order, Conflicts::Latest] {
        let mut rules = rules();
        rules.policy.conflicts = conflicts;
        let (mut first, mut second) = (defender(5, "resolved", None), defender(9, "inProgress", None));
        first.native.insert(Field::Title, text("First thought"));
        second.native.insert(Field::Title, text("Second thought"));
        let decision = see(&linked(&rules), &[first, second], &rules);
        let expected = [(Field::Status, text("Active")), (Field::Title, text("Second thought"))];
        let (target, patch) = only_patch(&decision);
        assert_eq!(
            (target.as_str(), patch),
            ("sentinel/incident/g", Natives::from(expected)),
            "{conflicts:?}"
        );
    }
}

#[test]
fn a_value_taken_back_before_anyone_decided_leaves_nothing_to_write() {
    let rules = rules();
    let (mut there, back) = (defender(5, "active", None), defender(9, "active", None));
    there.native.insert(Field::Title, text("Oops"));
    let decision = see(&linked(&rules), &[there, back], &rules);
    assert_eq!(decision.wishes, [], "{:#?}", decision.audit);
}

#[test]
fn an_ignored_reopening_does_not_stop_a_close_that_meets_another_edit() {
    let mut rules = rules();
    rules.policy.closing.reopen = Reopen::Ignore;
    let closed = see(&linked(&rules), &[sentinel(5, "Closed", Some("Undetermined"))], &rules);
    let decision = see(&closed.mapping, &[defender(6, "inProgress", None)], &rules);
    let (target, patch) = only_patch(&decision);
    assert_eq!((target.as_str(), &patch[&Field::Status]), ("defender/incident/1", &text("resolved")));
}

#[test]
fn a_second_close_reaches_a_record_whose_reopening_was_ignored() {
    let mut rules = rules();
    rules.policy.closing.reopen = Reopen::Ignore;
    let decision = see(&both_reopened(&rules), &[defender(9, "resolved", None)], &rules);
    let (target, patch) = only_patch(&decision);
    assert_eq!((target.as_str(), &patch[&Field::Status]), ("sentinel/incident/g", &text("Closed")));
}

#[test]
fn a_field_that_comes_from_one_system_does_so_from_the_beginning() {
    let mut rules = rules();
    rules.policy.fields.insert(Field::Title, Direction::From(system("sentinel")));
    let mut theirs = sentinel(0, "New", None);
    theirs.native.insert(Field::Title, text("Renamed by the SOC"));
    let mapping = Mapping::new(MappingId(1), rules.policy.bridge.clone());
    let decision = see(&mapping, &[defender(0, "active", None), theirs], &rules);
    let expected = Natives::from([(Field::Title, text("Renamed by the SOC"))]);
    assert_eq!(only_patch(&decision), ("defender/incident/1".to_owned(), expected));
}

#[test]
fn a_bridge_takes_in_no_record_of_a_system_that_is_not_its_own() {
    let mut rules = rules();
    rules.policy.systems.retain(|s| s.name == system("sentinel"));
    let mapping = Mapping::new(MappingId(1), rules.policy.bridge.clone());
    let decision = see(&mapping, &[sentinel(0, "New", None)], &rules);
    assert_eq!((decision.mapping.members.len(), decision.wishes), (1, vec![]));
}

#[test]
fn a_determination_travels_although_the_classification_was_agreed_before() {
    let mut rules = rules();
    rules.policy.systems.push(SystemPolicy {
        name: system("other"),
        main: crate::model::RecordKind::Incident,
        translation: Arc::new(Translation::builtin("defender").unwrap()),
    });
    let mut third = defender(0, "active", None);
    third.record = "other/incident/7".parse().unwrap();
    let mut mapping = see(&linked(&rules), &[third.clone()], &rules).mapping;
    third.native.extend(defender(6, "resolved", Some("falsePositive/other")).native);
    third.modified += SignedDuration::from_secs(6);
    let closed = [
        sentinel(5, "Closed", Some("FalsePositive/InaccurateData")),
        defender(6, "resolved", Some("falsePositive/other")),
        third,
    ];
    mapping = see(&mapping, &closed, &rules).mapping;
    let decision = see(&mapping, &[defender(9, "resolved", Some("falsePositive/notMalicious"))], &rules);
    let expected = Natives::from([(Field::Verdict, text("falsePositive/notMalicious"))]);
    assert_eq!(only_patch(&decision), ("other/incident/7".to_owned(), expected));
}

#[test]
fn unread_comments_do_not_hold_up_a_close() {
    let rules = rules();
    let mut commented = sentinel(4, "New", None);
    commented.comments = Comments::Counted(1);
    let decision = see(&linked(&rules), &[commented, defender(5, "resolved", None)], &rules);
    let wished: Vec<_> = decision.wishes.iter().map(|w| (w.target.to_string(), w.action.clone())).collect();
    let target = || "sentinel/incident/g".to_owned();
    assert_eq!(wished, [(target(), Action::Fetch), (target(), Action::Update { closing: true })]);
}

fn merged(second: i64, into: &str) -> Snapshot {
    let mut merged = defender(second, "redirected", None);
    merged.lifecycle = Lifecycle::Redirected { to: Some(into.parse().unwrap()) };
    merged
}

pub(super) fn alert(id: &str, second: i64, status: &str) -> Snapshot {
    let native = [(Field::Status, text(status)), (Field::Verdict, Native::Empty)];
    snapshot(&format!("defender/alert/{id}"), second, &native)
}

#[test]
fn the_alerts_of_a_merged_incident_went_with_it_and_are_not_closed() {
    let rules = rules();
    let mut known = alert("a", 1, "new");
    known.parent = Some("defender/incident/1".parse().unwrap());
    let mapping = see(&linked(&rules), &[known], &rules).mapping;
    let target: RecordRef = "defender/incident/9".parse().unwrap();
    let observed = Observed {
        snapshots: &[merged(5, "defender/incident/9")],
        in_flight: &[],
        elsewhere: std::slice::from_ref(&target),
        answered: false,
    };
    let decision = decide(&mapping, observed, &rules);
    assert_eq!(only_patch(&decision).0, "sentinel/incident/g", "only the leftover is closed, as merged");
}

#[test]
fn an_old_list_entry_does_not_bring_a_merged_incident_back() {
    let rules = rules();
    let mapping = see(&linked(&rules), &[merged(5, "defender/incident/9")], &rules).mapping;
    let mut late = defender(4, "active", None);
    late.fresh = false;
    let decision = see(&mapping, &[late], &rules);
    assert_eq!(decision.mapping, mapping);
}

#[test]
fn an_open_incident_is_not_closed_since_a_closed_one_was_merged_into_it() {
    let rules = rules();
    let closed = [defender(3, "resolved", None), sentinel(4, "Closed", Some("Undetermined"))];
    let mapping = see(&linked(&rules), &closed, &rules).mapping;
    let mapping = see(&mapping, &[merged(5, "defender/incident/9")], &rules).mapping;
    let mut target = defender(6, "inProgress", None);
    target.record = "defender/incident/9".parse().unwrap();
    let decision = see(&mapping, &[target.clone()], &rules);
    assert_eq!(decision.wishes, [], "{:#?}", decision.wishes);
    let said = |(_, kind): &(RecordRef, AuditKind)| matches!(kind, AuditKind::NotCarried { reason, .. } if reason.contains("merge"));
    assert!(decision.audit.iter().any(said), "{:#?}", decision.audit);
}

#[test]
fn a_person_who_reopens_an_alert_of_its_own_is_not_overwritten() {
    let rules = rules();
    let mut incident = sentinel(0, "New", None);
    incident.links = vec!["defender/alert/a".parse().unwrap()];
    let mapping = Mapping::new(MappingId(1), rules.policy.bridge.clone());
    let both = [incident.clone(), alert("a", 0, "new")];
    let mapping = see(&mapping, &both, &rules).mapping;
    incident.native.extend(sentinel(5, "Closed", Some("Undetermined")).native);
    incident.modified += SignedDuration::from_secs(5);
    let mapping = see(&mapping, &[incident, alert("a", 6, "resolved")], &rules).mapping;
    let decision = see(&mapping, &[alert("a", 9, "inProgress")], &rules);
    assert_eq!(decision.wishes, []);
    let said = |(r, kind): &(RecordRef, AuditKind)| {
        r.to_string() == "defender/alert/a" && matches!(kind, AuditKind::NotCarried { .. })
    };
    assert!(decision.audit.iter().any(said), "{:#?}", decision.audit);
}

/// An edit of one field on one side.
fn edits() -> impl Strategy<Value = Vec<(bool, u8)>> {
    proptest::collection::vec((any::<bool>(), 0_u8..12), 1..8)
}

fn apply(sides: &mut [Snapshot; 2], at_sentinel: bool, what: u8, second: i64) {
    let side = &mut sides[usize::from(at_sentinel)];
    let (field, native) = match (at_sentinel, what) {
        (false, 0) => (Field::Status, text("active")),
        (false, 1) => (Field::Status, text("inProgress")),
        (false, 2 | 3) => (Field::Status, text("resolved")),
        (true, 0) => (Field::Status, text("New")),
        (true, 1) => (Field::Status, text("Active")),
        (true, 2 | 3) => (Field::Status, text("Closed")),
        (false, 4) => (Field::Verdict, text("truePositive/phishing")),
        (false, 5) => (Field::Verdict, text("falsePositive/notMalicious")),
        (_, 6) => (Field::Owner, text("alice@example.org")),
        (_, 7) => (Field::Owner, text("bob@example.org")),
        (_, 8) => (Field::Tags, Native::Set(["vip".to_owned()].into())),
        (_, 9) => (Field::Tags, Native::Set(["lab".to_owned(), "vip".to_owned()].into())),
        (_, 10) => (Field::Title, text("Renamed")),
        _ => (Field::Owner, Native::Empty),
    };
    side.native.insert(field, native);
    if at_sentinel && field == Field::Status {
        side.native.remove(&Field::Verdict);
        if what >= 2 {
            side.native.insert(Field::Verdict, text("TruePositive/SuspiciousActivity"));
        }
    }
    side.modified = Timestamp::from_second(START + second).unwrap();
    side.revision = second.to_string();
}

/// Writes what is wished and shows the result, as a service without faults would.
fn deliver(mapping: &Mapping, wishes: &[Wish], sides: &mut [Snapshot; 2], rules: &Rules) -> Decision {
    let mut in_flight = Vec::new();
    for wish in wishes {
        let side = sides.iter_mut().find(|s| s.record == wish.target).unwrap();
        side.native.extend(wish.patch.native.clone());
        let open = side.native.get(&Field::Status) != Some(&text("Closed"));
        if side.record.system.as_str() == "sentinel" && open {
            side.native.remove(&Field::Verdict);
        }
        side.modified += SignedDuration::from_secs(1);
        in_flight.push((wish.target.clone(), wish.patch.clone()));
    }
    decide(
        mapping,
        Observed { snapshots: &sides[..], in_flight: &in_flight, elsewhere: &[], answered: false },
        rules,
    )
}

proptest! {
    #[test]
    fn deciding_again_without_news_changes_nothing(edits in edits()) {
        let rules = rules();
        let mut sides = [defender(0, "active", None), sentinel(0, "New", None)];
        for (i, (at, what)) in edits.into_iter().enumerate() {
            apply(&mut sides, at, what, 10 + i64::try_from(i).unwrap());
        }
        let once = see(&linked(&rules), &sides, &rules);
        let again = see(&once.mapping, &sides, &rules);
        prop_assert_eq!(&again.mapping, &once.mapping);
        prop_assert_eq!(again.wishes, once.wishes);
        prop_assert_eq!(again.audit, []);
    }

    #[test]
    fn one_round_of_writes_brings_agreement_and_yields_no_edit(edits in edits()) {
        let rules = rules();
        let mut mapping = linked(&rules);
        let mut sides = [defender(0, "active", None), sentinel(0, "New", None)];
        for (i, (at, what)) in edits.into_iter().enumerate() {
            apply(&mut sides, at, what, 10 * (i64::try_from(i).unwrap() + 1));
            let decision = see(&mapping, &sides, &rules);
            let after = deliver(&decision.mapping, &decision.wishes, &mut sides, &rules);
            prop_assert_eq!(&after.wishes, &[], "after {:?}", decision.wishes);
            let echoed = after.audit.iter().any(|(_, kind)| matches!(kind, AuditKind::Edit { .. }));
            prop_assert!(!echoed, "an echo was taken for an edit: {:?}", after.audit);
            mapping = after.mapping;
        }
    }

    #[test]
    fn the_order_of_reading_does_not_matter(edits in edits(), conflicts in 0..3_usize) {
        let mut rules = rules();
        rules.policy.conflicts = [Conflicts::CloseWins, Conflicts::Order, Conflicts::Latest][conflicts];
        let mut sides = [defender(0, "active", None), sentinel(0, "New", None)];
        for (i, (at, what)) in edits.into_iter().enumerate() {
            apply(&mut sides, at, what, 10 + i64::try_from(i).unwrap());
        }
        let mapping = linked(&rules);
        let forth = see(&mapping, &sides, &rules);
        sides.reverse();
        let back = see(&mapping, &sides, &rules);
        let values = |d: &Decision| d.mapping.agreed.iter().map(|(f, a)| (*f, a.value.clone())).collect::<Vec<_>>();
        prop_assert_eq!(values(&forth), values(&back));
        prop_assert_eq!(forth.wishes, back.wishes);
    }

    #[test]
    fn every_edit_is_written_or_explained(edits in edits()) {
        let rules = rules();
        let mut sides = [defender(0, "active", None), sentinel(0, "New", None)];
        for (i, (at, what)) in edits.into_iter().enumerate() {
            apply(&mut sides, at, what, 10 + i64::try_from(i).unwrap());
        }
        let decision = see(&linked(&rules), &sides, &rules);
        for (record, kind) in &decision.audit {
            let AuditKind::Edit { field, .. } = kind else { continue };
            let carried = decision.wishes.iter().any(|w| w.target != *record && w.patch.native.contains_key(field));
            let explained = decision.audit.iter().any(|(_, k)| match k {
                AuditKind::NotCarried { what_of, .. } => what_of == field.as_str(),
                AuditKind::Agreed { field: agreed, .. } => agreed == field,
                _ => false,
            });
            prop_assert!(carried || explained, "{record}: {kind:?} vanished; {:#?}", decision.audit);
        }
    }

    /// Whatever is written to a record, the other one says in its own words; of tags, one of the two says each.
    #[test]
    fn nothing_is_written_that_nobody_said(edits in edits(), conflicts in 0..3_usize) {
        let mut rules = rules();
        rules.policy.conflicts = [Conflicts::CloseWins, Conflicts::Order, Conflicts::Latest][conflicts];
        let mut sides = [defender(0, "active", None), sentinel(0, "New", None)];
        for (i, (at, what)) in edits.into_iter().enumerate() {
            apply(&mut sides, at, what, 10 + i64::try_from(i).unwrap());
        }
        let decision = see(&linked(&rules), &sides, &rules);
        for wish in &decision.wishes {
            let [this, other] = [true, false].map(|this| sides.iter().find(|s| (s.record == wish.target) == this).unwrap());
            for (field, written) in &wish.patch.native {
                prop_assert!(is_said(&rules, *field, written, this, other), "{field} {written} to {}; {sides:#?}", this.record);
            }
        }
    }

    #[test]
    fn a_close_is_never_lost_to_what_is_said_at_the_same_time(edits in edits()) {
        let rules = rules();
        let mut sides = [defender(0, "active", None), sentinel(0, "New", None)];
        for (i, (at, what)) in edits.into_iter().enumerate() {
            apply(&mut sides, at, what, 10 + i64::try_from(i).unwrap());
        }
        let is_closed = |side: &Snapshot| [text("resolved"), text("Closed")].contains(&side.native[&Field::Status]);
        let closed = sides.iter().any(is_closed);
        let decision = see(&linked(&rules), &sides, &rules);
        prop_assert_eq!(decision.mapping.is_closed(), closed);
        let after = deliver(&decision.mapping, &decision.wishes, &mut sides, &rules);
        prop_assert_eq!(&after.wishes, &[]);
        prop_assert!(sides.iter().all(|side| is_closed(side) == closed), "{sides:#?}");
    }
}

/// Whether `other` says what is written to `this`.
fn is_said(rules: &Rules, field: Field, written: &Native, this: &Snapshot, other: &Snapshot) -> bool {
    let set = |side: &Snapshot| match side.native.get(&Field::Tags) {
        Some(Native::Set(tags)) => tags.clone(),
        _ => BTreeSet::new(),
    };
    if let Native::Set(tags) = written {
        return tags.is_subset(&(&set(this) | &set(other)));
    }
    let [to, from] = [this, other].map(|side| rules.policy.translation(&side.record.system).unwrap());
    // A record that has no verdict to state says that there is none.
    let stated = other.native.get(&field).unwrap_or(&Native::Empty);
    match from.read(other.record.kind, field, stated) {
        Reading::Known(said) => to.satisfies(this.record.kind, written, &said),
        Reading::Unknown(_) => false,
    }
}

// What the simulation found; each failed before it was mended.

#[test]
fn a_verdict_from_elsewhere_goes_to_the_writer_of_a_native_pair_though_its_open_twin_states_none() {
    let mut rules = testing::ticket_rules();
    let (writer, follower) = (system("defender"), system("sentinel"));
    let deadline = SignedDuration::from_mins(15);
    rules.policy.native_sync = Some(NativeSync { writer, follower, deadline, late: Late::Report });
    let mapping = Mapping::new(MappingId(7), rules.policy.bridge.clone());
    let met = see(&mapping, &[defender(1, "active", None), sentinel(1, "New", None)], &rules).mapping;
    let key = met.members.iter().find(|member| member.key.is_some()).unwrap().record.clone();
    let mut opened = snapshot("tickets/ticket/42", 2, &[(Field::Status, text("new"))]);
    opened.planned_as = Some(key);
    let linked = see(&met, &[opened.clone()], &rules).mapping;
    opened.modified = Timestamp::from_second(START + 3).unwrap();
    opened.native = Natives::from([(Field::Status, text("resolved")), (Field::Verdict, text("false"))]);
    let closed = see(&linked, &[opened], &rules);
    let wish = closed.wishes.iter().find(|wish| wish.target.system.as_str() == "defender").unwrap();
    assert_eq!(wish.patch.native.keys().copied().collect::<Vec<_>>(), [Field::Status, Field::Verdict]);
}

#[test]
fn a_closed_incident_is_created_with_the_verdict_that_its_system_demands() {
    let mut rules = rules();
    rules.policy.create_in.insert(system("sentinel"));
    rules.policy.tickets.open_closed = true;
    let mapping = Mapping::new(MappingId(7), rules.policy.bridge.clone());
    let met = see(&mapping, &[defender(1, "resolved", None)], &rules);
    let creation = met.wishes.iter().find(|wish| wish.action == Action::Create).unwrap();
    assert_eq!(creation.patch.native[&Field::Verdict], text("Undetermined"), "{creation:#?}");
}
