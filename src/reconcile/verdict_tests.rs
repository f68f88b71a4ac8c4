//! Which verdict stands: what is said in closing, what says nothing, and what a reopening takes back. And what is nobody's
//! word: left over, set by the system, or there before we met the ticket.

use super::decide_tests::{defender, see, sentinel, text};
use super::testing::{snapshot, ticket_rules};
use super::*;
use crate::model::{
    Field, Mapping, MappingId, MemberState, Natives, Patch, RecordRef, Snapshot, Status, Value,
};

const TICKET: &str = "tickets/ticket/42";

fn ticket(second: i64, status: &str, verdict: Option<&str>) -> Snapshot {
    let mut native = vec![(Field::Status, text(status))];
    native.extend(verdict.map(|verdict| (Field::Verdict, text(verdict))));
    snapshot(TICKET, defender(second, "active", None).modified, &native)
}

fn agreed(mapping: &Mapping, field: Field) -> String {
    mapping.agreed(field).map(ToString::to_string).unwrap_or_default()
}

fn told(decision: &Decision, part: &str) -> bool {
    format!("{:?}", decision.audit).contains(part)
}

/// What is wished for a record.
fn wish<'d>(decision: &'d Decision, record: &str) -> Option<&'d Natives> {
    decision.wishes.iter().find(|wish| wish.target.to_string() == record).map(|wish| &wish.patch.native)
}

fn answer(
    mapping: &Mapping,
    seen: &[Snapshot],
    in_flight: &[(RecordRef, Patch)],
    answered: bool,
) -> Decision {
    decide(mapping, Observed { snapshots: seen, in_flight, elsewhere: &[], answered }, &ticket_rules())
}

/// An incident with its ticket, not met yet, and the create that is under way.
fn opening() -> (Mapping, Vec<(RecordRef, Patch)>) {
    let rules = ticket_rules();
    let mapping = Mapping::new(MappingId(1), rules.policy.bridge.clone());
    let mapping = see(&mapping, &[defender(0, "active", None), sentinel(0, "New", None)], &rules).mapping;
    let key = mapping.members.iter().find(|m| m.state == MemberState::Planned).unwrap().record.clone();
    (mapping, vec![(key, Patch::default())])
}

fn opened(mapping: &Mapping, in_flight: &[(RecordRef, Patch)], seen: Snapshot) -> Decision {
    let seen = Snapshot { planned_as: Some(in_flight[0].0.clone()), ..seen };
    answer(mapping, &[seen], in_flight, true)
}

/// An incident in Defender and Sentinel with its ticket, all open.
fn three() -> Mapping {
    let (mapping, in_flight) = opening();
    opened(&mapping, &in_flight, ticket(0, "new", None)).mapping
}

#[test]
fn who_closes_a_ticket_before_we_have_met_it_has_closed_it() {
    let (mapping, in_flight) = opening();
    for answered in [true, false] {
        let seen = Snapshot {
            planned_as: Some(in_flight[0].0.clone()),
            modified_by: Some("dana".to_owned()),
            ..ticket(1, "resolved", Some("false"))
        };
        let decision = answer(&mapping, &[seen], &in_flight, answered);
        assert_eq!(agreed(&decision.mapping, Field::Status), "closed", "{:#?}", decision.audit);
        assert_eq!(agreed(&decision.mapping, Field::Verdict), "false-positive");
        assert_eq!(wish(&decision, TICKET), None, "it is not reopened");
        assert_eq!(wish(&decision, "defender/incident/1").unwrap()[&Field::Status], text("resolved"));
        assert!(told(&decision, "by: Some(\"dana\")"));
    }
}

#[test]
fn a_new_ticket_that_is_in_work_already_begins_so() {
    let (mapping, in_flight) = opening();
    let decision = opened(&mapping, &in_flight, ticket(1, "open", None));
    assert_eq!(agreed(&decision.mapping, Field::Status), "new", "where a status begins is no edit");
}

#[test]
fn what_a_system_does_by_itself_in_answer_to_a_write_of_ours_is_nobodys_edit() {
    let rules = ticket_rules();
    let reacted = |second, before: &str| {
        let mut seen = ticket(second, "open", None);
        seen.facts.before_reaction = Natives::from([(Field::Status, text(before))]);
        seen
    };
    let mapping = three();
    let decision = see(&mapping, &[reacted(3, "new")], &rules);
    assert_eq!(agreed(&decision.mapping, Field::Status), "new", "nobody has begun: {:#?}", decision.audit);
    assert!(told(&decision, "by itself") && decision.wishes.is_empty(), "{:#?}", decision.wishes);
    let again = see(&decision.mapping, &[reacted(3, "new")], &rules);
    assert!(again.audit.is_empty() && again.wishes.is_empty(), "it is told once: {:#?}", again.audit);
    let begun = see(&decision.mapping, &[sentinel(4, "Active", None)], &rules);
    assert_eq!(agreed(&begun.mapping, Field::Status), "active", "and whoever begins has begun");
    // Somebody closed it, and our reply opened it again: the close is what was said.
    let closed = see(&mapping, &[reacted(3, "resolved")], &rules);
    assert_eq!(agreed(&closed.mapping, Field::Status), "closed", "{:#?}", closed.audit);
    assert_eq!(wish(&closed, TICKET).unwrap()[&Field::Status], text("resolved"), "and it is closed again");
}

/// A close of ours that is under way: false positive.
fn closing(mapping: &Mapping) -> (Mapping, Vec<(RecordRef, Patch)>) {
    let rules = ticket_rules();
    let closed = see(mapping, &[defender(5, "resolved", Some("falsePositive/notMalicious"))], &rules);
    let native = wish(&closed, TICKET).unwrap().clone();
    assert_eq!(native[&Field::Verdict], text("false"));
    (closed.mapping, vec![(TICKET.parse().unwrap(), Patch { native, closing_comment: None })])
}

#[test]
fn a_verdict_that_the_ticket_had_before_our_close_is_nobodys_word() {
    let rules = ticket_rules();
    let mut left_over = ticket(1, "new", None);
    left_over.hidden = Natives::from([(Field::Verdict, text("real"))]);
    let mapping = see(&three(), &[left_over], &rules).mapping;
    let (mapping, in_flight) = closing(&mapping);
    for answered in [true, false] {
        let decision = answer(&mapping, &[ticket(6, "resolved", Some("real"))], &in_flight, answered);
        assert_eq!(agreed(&decision.mapping, Field::Verdict), "false-positive/not-malicious");
        assert!(told(&decision, "the record had it before"), "{:#?}", decision.audit);
        assert_eq!(wish(&decision, TICKET), None, "what it does not take is not written for ever");
    }
    let person = answer(&mapping, &[ticket(6, "resolved", Some("harmless"))], &in_flight, false);
    assert_eq!(agreed(&person.mapping, Field::Verdict), "benign-positive", "that one it did not have");
}

#[test]
fn a_verdict_that_the_system_sets_at_each_close_is_nobodys_word() {
    let (mapping, in_flight) = closing(&three());
    let decision = answer(&mapping, &[ticket(6, "resolved", Some("real"))], &in_flight, true);
    assert_eq!(agreed(&decision.mapping, Field::Verdict), "false-positive/not-malicious");
    assert!(told(&decision, "the system set it by itself"), "{:#?}", decision.audit);
    let later = answer(&mapping, &[ticket(6, "resolved", Some("real"))], &in_flight, false);
    assert_eq!(agreed(&later.mapping, Field::Verdict), "true-positive", "a later read may show a person's");
}

/// The same two edits in both orders, and at once.
fn in_every_order(mapping: &Mapping, one: &Snapshot, other: &Snapshot) -> [Decision; 3] {
    let rules = ticket_rules();
    let after = |first: &Snapshot, second: &Snapshot| {
        let between = see(mapping, std::slice::from_ref(first), &rules).mapping;
        see(&between, std::slice::from_ref(second), &rules)
    };
    [after(one, other), after(other, one), see(mapping, &[one.clone(), other.clone()], &rules)]
}

#[test]
fn a_verdict_that_was_demanded_and_says_nothing_yields_whatever_came_first() {
    let judged = defender(5, "active", Some("truePositive/phishing"));
    for vague in [ticket(6, "resolved", Some("unclear")), sentinel(6, "Closed", Some("Undetermined"))] {
        for decision in in_every_order(&three(), &judged, &vague) {
            assert_eq!(agreed(&decision.mapping, Field::Verdict), "true-positive/phishing");
            assert_eq!(agreed(&decision.mapping, Field::Status), "closed");
            let record = vague.record.to_string();
            let wanted = wish(&decision, &record).map(|native| native.contains_key(&Field::Verdict));
            assert_eq!(wanted, Some(true), "it is brought the verdict: {:#?}", decision.wishes);
        }
    }
}

#[test]
fn a_verdict_said_in_closing_outranks_one_that_was_not() {
    let mapping = three();
    let older = defender(5, "active", Some("truePositive/phishing"));
    for said in
        [ticket(6, "resolved", Some("false")), sentinel(6, "Closed", Some("FalsePositive/InaccurateData"))]
    {
        for decision in in_every_order(&mapping, &older, &said) {
            assert_eq!(agreed(&decision.mapping, Field::Verdict), "false-positive", "{:#?}", decision.audit);
        }
    }
}

#[test]
fn of_two_closes_with_a_verdict_the_policy_decides_and_not_the_list() {
    let (one, other) =
        (sentinel(6, "Closed", Some("FalsePositive/InaccurateData")), ticket(7, "resolved", Some("real")));
    for decision in in_every_order(&three(), &one, &other) {
        assert_eq!(
            agreed(&decision.mapping, Field::Verdict),
            "false-positive",
            "sentinel goes before tickets"
        );
        assert!(told(&decision, "lost a conflict"), "{:#?}", decision.audit);
    }
}

/// An incident that was closed as true positive everywhere.
fn closed_as_true_positive() -> Mapping {
    let rules = ticket_rules();
    let closed = [
        defender(5, "resolved", Some("truePositive/phishing")),
        sentinel(5, "Closed", Some("TruePositive/SuspiciousActivity")),
        ticket(5, "resolved", Some("real")),
    ];
    let mapping = see(&three(), &closed, &rules).mapping;
    assert_eq!(agreed(&mapping, Field::Verdict), "true-positive/phishing");
    mapping
}

#[test]
fn a_reopening_revokes_the_verdict_on_every_side() {
    let rules = ticket_rules();
    for reopened in [sentinel(7, "Active", None), ticket(7, "open", None)] {
        let decision = see(&closed_as_true_positive(), std::slice::from_ref(&reopened), &rules);
        assert_eq!(agreed(&decision.mapping, Field::Verdict), "undetermined", "{:#?}", decision.audit);
        let defender_gets = wish(&decision, "defender/incident/1").unwrap();
        assert_eq!(defender_gets[&Field::Verdict], text("unknown/unknown"));
        assert!(told(&decision, "the reopening revokes"));
        // Closed again without a verdict, it is not closed with the one that was taken back.
        let both = [defender(8, "inProgress", None), sentinel(8, "Active", None), ticket(8, "open", None)];
        let open = see(&decision.mapping, &both, &rules).mapping;
        let again = see(&open, &[defender(9, "resolved", None)], &rules);
        assert_eq!(wish(&again, TICKET).unwrap()[&Field::Verdict], text("unclear"));
        assert_eq!(wish(&again, "sentinel/incident/g").unwrap()[&Field::Verdict], text("Undetermined"));
    }
}

#[test]
fn a_reopening_revokes_nothing_where_its_systems_verdicts_do_not_travel() {
    let mut rules = ticket_rules();
    let defender = crate::model::SystemName::new("defender").unwrap();
    rules.policy.fields.insert(Field::Verdict, Direction::From(defender));
    let decision = see(&closed_as_true_positive(), &[ticket(7, "open", None)], &rules);
    assert_eq!(agreed(&decision.mapping, Field::Status), "active");
    assert_eq!(agreed(&decision.mapping, Field::Verdict), "true-positive/phishing");
}

#[test]
fn a_verdict_that_comes_with_a_reopening_or_was_not_seen_by_it_stands() {
    let rules = ticket_rules();
    let judged_anew = defender(7, "inProgress", Some("falsePositive/notMalicious"));
    let decision = see(&closed_as_true_positive(), &[judged_anew], &rules);
    assert_eq!(agreed(&decision.mapping, Field::Verdict), "false-positive/not-malicious");
    let corrected = sentinel(7, "Closed", Some("FalsePositive/InaccurateData"));
    for decision in in_every_order(&closed_as_true_positive(), &corrected, &ticket(8, "open", None)) {
        assert_eq!(agreed(&decision.mapping, Field::Status), "active");
        assert_eq!(agreed(&decision.mapping, Field::Verdict), "false-positive", "{:#?}", decision.audit);
    }
}

#[test]
fn undetermined_is_a_word_where_one_could_have_said_nothing() {
    let mut rules = ticket_rules();
    let table = rules.policy.systems[2].translation.text().replace("vague = [\"unclear\"]\n", "");
    let table = crate::translate::Translation::parse(&table, "tickets.toml").unwrap();
    rules.policy.systems[2].translation = std::sync::Arc::new(table);
    let judged = see(&three(), &[defender(5, "active", Some("truePositive/phishing"))], &rules).mapping;
    let closed = see(&judged, &[ticket(6, "resolved", Some("unclear"))], &rules);
    assert_eq!(closed.mapping.agreed(Field::Status), Some(&Value::Status(Status::Closed)));
    assert_eq!(agreed(&closed.mapping, Field::Verdict), "undetermined");
    let left_out = see(&judged, &[ticket(6, "resolved", None)], &rules);
    assert_eq!(agreed(&left_out.mapping, Field::Verdict), "true-positive/phishing");
}
