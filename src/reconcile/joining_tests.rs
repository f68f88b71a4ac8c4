//! How records join and leave a mapping, and what of a record counts as read.

use super::decide_tests::{alert, defender, linked, see, sentinel, system, text};
use super::testing::rules;
use super::*;
use crate::model::{
    Action, AuditKind, Comment, CommentKey, Comments, Field, Lifecycle, Mapping, MappingId, MappingState,
    MemberState, Native, RecordRef, Snapshot,
};

fn empty(rules: &Rules) -> Mapping {
    Mapping::new(MappingId(1), rules.policy.bridge.clone())
}

fn hows(decision: &Decision) -> Vec<String> {
    let how = |(record, kind): &(RecordRef, AuditKind)| match kind {
        AuditKind::Linked { how } => Some(format!("{record}: {how}")),
        _ => None,
    };
    decision.audit.iter().filter_map(how).collect()
}

fn told(decision: &Decision, part: &str) -> bool {
    format!("{:?}", decision.audit).contains(part)
}

fn actions(decision: &Decision) -> Vec<(String, Action)> {
    decision.wishes.iter().map(|wish| (wish.target.to_string(), wish.action.clone())).collect()
}

fn fetch(record: &str) -> (String, Action) {
    (record.to_owned(), Action::Fetch)
}

#[test]
fn the_history_says_why_each_record_was_linked() {
    let rules = rules();
    let first = see(&empty(&rules), &[defender(0, "active", None)], &rules);
    assert_eq!(hows(&first), ["defender/incident/1: first record of the mapping"]);
    let second = see(&first.mapping, &[sentinel(0, "New", None)], &rules);
    assert_eq!(hows(&second), ["sentinel/incident/g: it names defender/incident/1 as the same incident"]);
    let sentinel_first = see(&empty(&rules), &[sentinel(0, "New", None)], &rules);
    assert_eq!(
        hows(&sentinel_first),
        ["sentinel/incident/g: it names defender/incident/1 as the same incident"]
    );
    let named = see(&sentinel_first.mapping, &[defender(0, "active", None)], &rules);
    assert_eq!(hows(&named), ["defender/incident/1: another record names it as the same incident"]);
    let known = see(&named.mapping, &[sentinel(1, "New", None)], &rules);
    assert_eq!(hows(&known), [""; 0], "once");
}

#[test]
fn a_record_that_was_planned_is_told_as_found_or_as_ours() {
    let mut rules = rules();
    rules.policy.create_in.insert(system("sentinel"));
    let first = see(&empty(&rules), &[defender(0, "active", None)], &rules);
    let target = first.wishes[0].target.clone();
    assert_eq!(first.wishes[0].action, Action::Create);
    let seen = [Snapshot { record: target.clone(), links: Vec::new(), ..sentinel(1, "New", None) }];
    let found = see(&first.mapping, &seen, &rules);
    assert_eq!(hows(&found), [format!("{target}: found under the id that we derived for it")]);
    let in_flight = [(target.clone(), first.wishes[0].patch.clone())];
    let observed = Observed { snapshots: &seen, in_flight: &in_flight, elsewhere: &[], answered: false };
    let ours = decide(&first.mapping, observed, &rules);
    assert_eq!(hows(&ours), [format!("{target}: we created it")]);
}

#[test]
fn a_plan_falls_when_a_record_of_the_system_turns_up_unless_its_creation_may_be_under_way() {
    let mut rules = rules();
    rules.policy.create_in.insert(system("sentinel"));
    let first = see(&empty(&rules), &[defender(0, "active", None)], &rules);
    let planned =
        |mapping: &Mapping| mapping.members.iter().filter(|m| m.state == MemberState::Planned).count();
    assert_eq!(planned(&first.mapping), 1);
    let seen = [sentinel(1, "New", None)];
    let found = see(&first.mapping, &seen, &rules);
    assert_eq!((planned(&found.mapping), found.wishes), (0, vec![]));
    let in_flight = [(first.wishes[0].target.clone(), first.wishes[0].patch.clone())];
    let observed = Observed { snapshots: &seen, in_flight: &in_flight, elsewhere: &[], answered: false };
    assert_eq!(planned(&decide(&first.mapping, observed, &rules).mapping), 1);
    let unheard = see(&first.mapping, &[defender(1, "active", None)], &rules);
    assert_eq!(planned(&unheard.mapping), 1, "it stands while nothing of the system is known");
}

#[test]
fn nothing_is_planned_for_a_mapping_of_which_no_record_was_read() {
    let mut rules = rules();
    rules.policy.create_in.insert(system("sentinel"));
    assert_eq!(see(&empty(&rules), &[], &rules).mapping.members, []);
    let merged = Mapping { state: MappingState::MergedInto(MappingId(2)), ..empty(&rules) };
    let decision = see(&merged, &[defender(0, "active", None)], &rules);
    assert_eq!(decision.mapping.members.len(), 1, "another mapping opens it");
    let gone = Snapshot { lifecycle: Lifecycle::Gone, ..defender(1, "active", None) };
    let mapping = see(&empty(&rules), &[defender(0, "active", None)], &rules).mapping;
    let left = see(&mapping, &[gone], &rules);
    assert!(told(&left, "it is not there any more"));
    assert_eq!(left.mapping.members[0].state, MemberState::Gone);
}

#[test]
fn records_named_by_one_join_unless_they_belong_elsewhere() {
    let rules = rules();
    let elsewhere: RecordRef = "defender/incident/1".parse().unwrap();
    let seen = [sentinel(0, "New", None)];
    let observed = Observed {
        snapshots: &seen,
        in_flight: &[],
        elsewhere: std::slice::from_ref(&elsewhere),
        answered: false,
    };
    let decision = decide(&empty(&rules), observed, &rules);
    assert_eq!(decision.mapping.members.len(), 1);
    let free = see(&empty(&rules), &seen, &rules);
    assert_eq!(actions(&free), [fetch("defender/incident/1")], "what is not known of it is read");
    let named: RecordRef = "defender/alert/a".parse().unwrap();
    let seen = [Snapshot { links: vec![named.clone()], ..sentinel(0, "New", None) }];
    let observed = Observed {
        snapshots: &seen,
        in_flight: &[],
        elsewhere: std::slice::from_ref(&named),
        answered: false,
    };
    let decision = decide(&empty(&rules), observed, &rules);
    assert_eq!(decision.mapping.members.len(), 2, "an alert may follow its own incident and stand here too");
}

#[test]
fn an_incident_that_has_more_to_name_than_its_list_shows_is_read_once_when_it_is_met() {
    let rules = rules();
    let more = |second, fresh| {
        let mut seen = sentinel(second, "New", None);
        seen.links.clear();
        seen.facts.more_links = true;
        seen.comments = Comments::Counted(0);
        seen.fresh = fresh;
        seen
    };
    let met = see(&empty(&rules), &[more(0, false)], &rules);
    assert_eq!(actions(&met), [fetch("sentinel/incident/g")]);
    let read = see(&empty(&rules), &[more(0, true)], &rules);
    assert_eq!(read.wishes, [], "a read by id named them all");
    let again = see(&read.mapping, &[more(1, false)], &rules);
    assert_eq!(again.wishes, [], "once");
    let mut plain = more(0, false);
    plain.facts.more_links = false;
    assert_eq!(see(&empty(&rules), &[plain], &rules).wishes, []);
    let beside = see(&empty(&rules), &[defender(0, "active", None), more(0, false)], &rules);
    assert!(!beside.mapping.members[0].unread, "its alerts follow the incident that is known");
}

#[test]
fn a_list_entry_of_the_acknowledged_instant_that_says_the_same_is_no_news() {
    let rules = rules();
    let listed = |mut seen: Snapshot| {
        seen.fresh = false;
        seen
    };
    let mapping = linked(&rules);
    let same =
        see(&mapping, &[listed(defender(0, "active", None)), listed(sentinel(0, "New", None))], &rules);
    assert_eq!((&same.mapping, same.wishes), (&mapping, vec![]));
    let mut partly = listed(defender(0, "active", None));
    partly.native.remove(&Field::Owner);
    assert_eq!(see(&mapping, &[partly], &rules).wishes, [], "what is not stated says nothing");
    let closed = [defender(5, "resolved", None), sentinel(5, "Closed", Some("Undetermined"))];
    let closed = see(&mapping, &closed, &rules).mapping;
    let hidden = see(&closed, &[listed(sentinel(5, "Closed", None))], &rules);
    assert_eq!(actions(&hidden), [fetch("sentinel/incident/g")], "a verdict that went away says more");
}

#[test]
fn a_verdict_that_shows_while_closed_goes_and_comes_without_being_an_edit_of_its_own() {
    let rules = rules();
    let closed = [defender(5, "resolved", None), sentinel(5, "Closed", Some("Undetermined"))];
    let mapping = see(&linked(&rules), &closed, &rules).mapping;
    let reopened = see(&mapping, &[sentinel(6, "Active", None)], &rules);
    let member = &reopened.mapping.members[1];
    assert_eq!(member.native(Field::Verdict), None, "it is not stated any more");
    let patch = &reopened.wishes[0].patch.native;
    assert_eq!(patch.get(&Field::Status), Some(&text("inProgress")));
    let again =
        see(&reopened.mapping, &[sentinel(7, "Closed", Some("TruePositive/SuspiciousActivity"))], &rules);
    let agreed = again.mapping.agreed(Field::Verdict).map(ToString::to_string);
    assert_eq!(agreed.as_deref(), Some("true-positive"), "it came with the close");
}

#[test]
fn a_verdict_of_a_record_that_states_it_at_all_times_stays_acknowledged_when_it_is_left_out() {
    let rules = rules();
    let judged = defender(5, "active", Some("truePositive/phishing"));
    let mapping = see(&linked(&rules), &[judged], &rules).mapping;
    let mut silent = defender(6, "active", None);
    silent.native.remove(&Field::Verdict);
    let decision = see(&mapping, &[silent], &rules);
    assert_eq!(decision.mapping.members[0].native(Field::Verdict), Some(&text("truePositive/phishing")));
    assert_eq!(decision.audit, []);
}

#[test]
fn a_field_that_the_table_does_not_carry_is_no_word_that_nobody_knows() {
    let rules = rules();
    let mut seen = alert("a", 0, "new");
    seen.native.insert(Field::Title, text("of the alert"));
    seen.native.insert(Field::Owner, text("ana@example.org"));
    seen.parent = "defender/incident/1".parse().ok();
    let decision = see(&linked(&rules), &[seen], &rules);
    assert!(!told(&decision, "does not know this value"), "{:#?}", decision.audit);
    let mut renamed = alert("a", 5, "new");
    renamed.native.insert(Field::Title, text("again"));
    let decision = see(&decision.mapping, &[renamed], &rules);
    assert_eq!(decision.wishes, []);
    assert!(!told(&decision, "does not know this value"), "{:#?}", decision.audit);
}

#[test]
fn a_record_that_joins_with_nothing_to_say_takes_what_is_agreed() {
    let rules = rules();
    let mut owned = defender(0, "active", None);
    owned.native.insert(Field::Owner, text("ana@example.org"));
    let mut latest = rules.clone();
    latest.policy.conflicts = Conflicts::Latest;
    let first = see(&empty(&rules), &[owned], &rules);
    let decision = see(&first.mapping, &[sentinel(9, "New", None)], &latest);
    assert_eq!(decision.wishes[0].patch.native[&Field::Owner], text("ana@example.org"));
    assert_eq!(decision.wishes[0].target, "sentinel/incident/g".parse().unwrap());
    let mut theirs = sentinel(0, "New", None);
    theirs.native.insert(Field::Owner, text("ben@example.org"));
    let first = see(&empty(&rules), &[defender(0, "active", None)], &rules);
    let decision = see(&first.mapping, &[theirs], &rules);
    assert_eq!(decision.wishes[0].target, "defender/incident/1".parse().unwrap());
    assert_eq!(decision.wishes[0].patch.native[&Field::Owner], text("ben@example.org"));
    assert!(!told(&decision, "conflict"), "what nobody has said yet, anybody may say");
}

#[test]
fn a_closed_record_that_meets_an_open_one_is_a_close_unless_a_merge_brought_them_together() {
    let rules = rules();
    let met = see(&empty(&rules), &[sentinel(0, "Closed", Some("Undetermined"))], &rules);
    let decision = see(&met.mapping, &[defender(0, "active", None)], &rules);
    assert!(decision.mapping.is_closed() && !told(&decision, "a merge carries no close"));
    assert_eq!(decision.wishes[0].patch.native[&Field::Status], text("resolved"));
    // A merge within another system brought these not together.
    let mut mapping = met.mapping.clone();
    let mut merged = sentinel(0, "Closed", None);
    merged.record = "sentinel/incident/old".parse().unwrap();
    merged.links.clear();
    merged.lifecycle = Lifecycle::Redirected { to: None };
    mapping = see(&mapping, &[merged], &rules).mapping;
    let decision = see(&mapping, &[defender(0, "active", None)], &rules);
    assert!(!told(&decision, "a merge carries no close"), "{:#?}", decision.audit);
}

#[test]
fn who_states_the_agreed_value_anew_speaks_to_a_record_that_was_left_to_differ() {
    let mut rules = rules();
    rules.policy.closing.reopen = Reopen::Ignore;
    let closed = [defender(5, "resolved", None), sentinel(5, "Closed", Some("Undetermined"))];
    let mapping = see(&linked(&rules), &closed, &rules).mapping;
    let left = see(&mapping, &[defender(6, "active", None)], &rules);
    assert_eq!(left.wishes, [], "left to differ");
    let back = see(&left.mapping, &[defender(7, "resolved", None)], &rules);
    assert!(told(&back, "the others say so already"), "{:#?}", back.audit);
    assert!(back.mapping.members[0].exempt.is_empty(), "it differs no more");
}

#[test]
fn a_comment_count_that_grew_is_read_and_one_that_did_not_is_not() {
    let rules = rules();
    let counted = |second, count, fresh| Snapshot {
        comments: Comments::Counted(count),
        fresh,
        ..sentinel(second, "New", None)
    };
    let joined = see(&empty(&rules), &[counted(0, 3, false)], &rules).mapping;
    assert_eq!(joined.members[0].base.as_ref().unwrap().comment_count, 3, "those were there before");
    assert!(!joined.members[0].unread);
    let mut pair = see(&joined, &[defender(0, "active", None)], &rules).mapping;
    let grew = see(&pair, &[counted(1, 4, false)], &rules);
    assert_eq!(actions(&grew), [fetch("sentinel/incident/g")]);
    assert_eq!(see(&pair, &[counted(1, 3, false)], &rules).wishes, []);
    assert_eq!(
        see(&pair, &[counted(1, 2, true)], &rules).mapping.members[0].base.as_ref().unwrap().comment_count,
        2
    );
    // Still owed: a list that counts no more does not settle it, a read by id does.
    pair.members[0].unread = true;
    assert_eq!(actions(&see(&pair, &[counted(2, 3, false)], &rules)), [fetch("sentinel/incident/g")]);
    assert_eq!(see(&pair, &[counted(2, 3, true)], &rules).wishes, []);
    pair.members[0].backfill.insert("defender/incident/1".parse().unwrap());
    assert_eq!(actions(&see(&pair, &[counted(3, 3, true)], &rules)), [fetch("sentinel/incident/g")]);
    // Where comments go nowhere, they are not read.
    let mut silent = rules.clone();
    silent.policy.comments = Direction::Off;
    pair.members[0].unread = false;
    let off = see(&pair, &[counted(4, 9, false)], &silent);
    assert_eq!((off.wishes, off.mapping.members[0].base.as_ref().unwrap().comment_count), (vec![], 9));
}

#[test]
fn what_is_said_in_the_very_second_in_which_a_record_joined_is_news() {
    let rules = rules();
    let note = |key: &str| Comment {
        key: CommentKey::from_id(key),
        author: None,
        created: Some(sentinel(3, "New", None).modified),
        text: key.to_owned(),
    };
    let before = see(&empty(&rules), &[defender(0, "active", None)], &rules).mapping;
    let joins = |comments, fresh| {
        let mut joined = Snapshot { fresh, comments, ..sentinel(3, "New", None) };
        joined.links = vec!["defender/incident/1".parse().unwrap()];
        see(&before, &[joined], &rules).mapping
    };
    let news = |mapping: &Mapping, fresh| {
        let comments = Comments::Listed(vec![note("earlier"), note("later")]);
        let seen = Snapshot { fresh, comments, ..sentinel(3, "New", None) };
        let copies = see(mapping, &[seen], &rules).copies.into_iter();
        copies.map(|copy| format!("{:?}", copy.action)).collect::<Vec<_>>()
    };
    for told in [Comments::Recent(vec![note("earlier")]), Comments::Listed(vec![note("earlier")])] {
        let copies = news(&joins(told.clone(), false), true);
        assert!(copies.len() == 1 && copies[0].contains("later"), "{told:?}: {copies:?}");
    }
    // A read by id that told of none, and a count, leave open which of them were there.
    for untold in [Comments::Counted(1), Comments::Untold] {
        assert!(news(&joins(untold, false), true).is_empty());
    }
    assert!(news(&joins(Comments::Recent(vec![]), true), true).is_empty());
}

#[test]
fn what_an_operator_took_out_is_not_written_to() {
    let rules = rules();
    let mut mapping = linked(&rules);
    mapping.member_mut(&"sentinel/incident/g".parse().unwrap()).unwrap().state = MemberState::Detached;
    let closed = see(&mapping, &[defender(5, "resolved", None)], &rules);
    assert!(closed.mapping.is_closed());
    assert_eq!(closed.wishes, []);
}

#[test]
fn an_incident_is_created_with_a_verdict_only_where_it_is_closed() {
    let mut rules = rules();
    rules.policy.create_in.insert(system("sentinel"));
    rules.policy.tickets.open_closed = true;
    let created = |seen: Snapshot| see(&empty(&rules), &[seen], &rules).wishes.remove(0).patch.native;
    let open = created(defender(1, "active", Some("truePositive/phishing")));
    assert_eq!((open.get(&Field::Status), open.get(&Field::Verdict)), (Some(&text("New")), None));
    let closed = created(defender(1, "resolved", None));
    assert_eq!(closed[&Field::Status], text("Closed"));
    assert_eq!(closed[&Field::Verdict], text("Undetermined"));
}

#[test]
fn comments_travel_only_where_the_bridge_lets_them() {
    let mut rules = rules();
    rules.policy.comments = Direction::From(system("defender"));
    let note = |key: &str| Comment {
        key: CommentKey::from_id(key),
        author: Some("ana".to_owned()),
        created: Some(defender(4, "active", None).modified),
        text: "isolated host7".to_owned(),
    };
    let with = |seen: Snapshot, key| Snapshot { comments: Comments::Listed(vec![note(key)]), ..seen };
    let out = see(&linked(&rules), &[with(defender(5, "active", None), "d")], &rules);
    assert_eq!(out.copies.len(), 1);
    assert_eq!(out.copies[0].cause, "comment by ana on defender/incident/1");
    let back = see(&linked(&rules), &[with(sentinel(5, "New", None), "s")], &rules);
    assert_eq!(back.copies, []);
    assert!(told(&back, "there is no record that comments of this one go to"));
    // Comments of an alert go nowhere, and none come to it.
    let rules = super::testing::rules();
    let mut named = alert("a", 1, "new");
    named.parent = "defender/incident/1".parse().ok();
    let mapping = see(&linked(&rules), &[named], &rules).mapping;
    assert_eq!(see(&mapping, &[with(alert("a", 5, "new"), "a")], &rules).copies, []);
    let targets: Vec<String> = see(&mapping, &[with(defender(5, "active", None), "d")], &rules)
        .copies
        .iter()
        .map(|copy| copy.target.to_string())
        .collect();
    assert_eq!(targets, ["sentinel/incident/g"]);
}

#[test]
fn the_empty_owner_is_a_value_and_a_title_is_kept_as_it_is() {
    let rules = rules();
    let mut owned = defender(5, "active", None);
    owned.native.insert(Field::Owner, text("Ana@Example.org"));
    let owned = see(&linked(&rules), &[owned], &rules);
    assert_eq!(owned.mapping.agreed(Field::Owner).unwrap().to_string(), "ana@example.org");
    let dropped = see(&owned.mapping, &[defender(6, "active", None)], &rules);
    assert_eq!(dropped.mapping.agreed(Field::Owner).unwrap(), &crate::model::Value::Owner(None));
    assert_eq!(dropped.mapping.members[0].native(Field::Owner), Some(&Native::Empty));
}

#[test]
fn a_field_that_is_stated_for_the_first_time_joins_like_a_record() {
    let rules = rules();
    let mut owned = defender(0, "active", None);
    owned.native.insert(Field::Owner, text("ana@example.org"));
    let mut silent = sentinel(0, "New", None);
    silent.native.remove(&Field::Owner);
    let mapping = see(&empty(&rules), &[owned], &rules).mapping;
    let mapping = see(&mapping, &[silent], &rules).mapping;
    let mut stated = sentinel(5, "New", None);
    stated.native.insert(Field::Owner, text("ben@example.org"));
    let decision = see(&mapping, &[stated], &rules);
    assert_eq!(decision.mapping.agreed(Field::Owner).unwrap().to_string(), "ana@example.org");
    assert!(told(&decision, "lost a conflict"), "it may have said so all along: {:#?}", decision.audit);
}

#[test]
fn a_verdict_that_comes_with_a_close_is_newer_than_what_was_agreed() {
    let rules = rules();
    let judged = defender(5, "active", Some("falsePositive/other"));
    let mapping = see(&linked(&rules), &[judged], &rules).mapping;
    let closed = sentinel(6, "Closed", Some("TruePositive/SuspiciousActivity"));
    let decision = see(&mapping, &[closed], &rules);
    assert_eq!(decision.mapping.agreed(Field::Verdict).unwrap().to_string(), "true-positive");
}

#[test]
fn nothing_is_planned_before_the_incident_that_the_mapping_follows_was_read() {
    let mut rules = rules();
    rules.policy.create_in.insert(system("sentinel"));
    let merged = Snapshot {
        lifecycle: Lifecycle::Redirected { to: "defender/incident/9".parse().ok() },
        ..defender(0, "redirected", None)
    };
    let decision = see(&empty(&rules), &[merged], &rules);
    assert_eq!(actions(&decision), [fetch("defender/incident/9")]);
}

#[test]
fn a_field_that_does_not_travel_is_left_to_differ_from_the_beginning() {
    let mut rules = rules();
    rules.policy.fields.insert(Field::Title, Direction::Off);
    let mut theirs = sentinel(0, "New", None);
    theirs.native.insert(Field::Title, text("Another title"));
    let first = see(&empty(&rules), &[defender(0, "active", None)], &rules);
    let decision = see(&first.mapping, &[theirs], &rules);
    assert_eq!(decision.wishes, []);
}
