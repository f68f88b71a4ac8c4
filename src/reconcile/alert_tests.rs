//! Alerts follow their incident, and stand for it where it is not there.

use super::decide_tests::{alert, defender, linked, see, sentinel, text};
use super::testing::rules;
use super::*;
use crate::model::{
    AuditKind, Field, Lifecycle, Mapping, MappingId, MemberState, Native, Natives, RecordRef, Snapshot,
    SystemName,
};

/// An incident of Sentinel alone, which names these records, and what is read of them.
fn standing_for(rules: &Rules, links: &[&str], seen: &[Snapshot]) -> Mapping {
    let incident = incident(0, links);
    let mapping = Mapping::new(MappingId(1), rules.policy.bridge.clone());
    let all: Vec<Snapshot> = std::iter::once(incident).chain(seen.iter().cloned()).collect();
    let decision = see(&mapping, &all, rules);
    assert_eq!(decision.wishes, []);
    decision.mapping
}

fn incident(second: i64, links: &[&str]) -> Snapshot {
    let links = links.iter().map(|link| link.parse().unwrap()).collect();
    Snapshot { links, ..sentinel(second, "New", None) }
}

fn two_alerts(rules: &Rules) -> Mapping {
    let links = ["defender/alert/a", "defender/alert/b"];
    standing_for(rules, &links, &[alert("a", 0, "new"), alert("b", 0, "new")])
}

fn judged(mut seen: Snapshot, verdict: &str) -> Snapshot {
    seen.native.insert(Field::Verdict, text(verdict));
    seen
}

fn told(decision: &Decision, part: &str) -> bool {
    format!("{:?}", decision.audit).contains(part)
}

fn verdict(decision: &Decision) -> Option<String> {
    decision.mapping.agreed(Field::Verdict).map(ToString::to_string)
}

#[test]
fn all_alerts_closed_is_a_close_of_the_incident_that_they_stand_for() {
    let rules = rules();
    let one = see(&two_alerts(&rules), &[judged(alert("a", 5, "resolved"), "truePositive/malware")], &rules);
    assert!(!one.mapping.is_closed(), "the other is open");
    assert_eq!(one.wishes, []);
    let all = see(&one.mapping, &[judged(alert("b", 6, "resolved"), "truePositive/malware")], &rules);
    assert!(all.mapping.is_closed(), "{:#?}", all.audit);
    assert_eq!(verdict(&all).as_deref(), Some("true-positive/malware"), "they say the same");
    let wish = all.wishes.iter().find(|wish| wish.target.to_string() == "sentinel/incident/g").unwrap();
    assert_eq!(wish.patch.native[&Field::Status], text("Closed"));
    assert!(told(&all, "Agreed { field: Status"), "{:#?}", all.audit);
    let closing = all.mapping.closing.as_ref().unwrap();
    assert_eq!(closing.actor.as_deref(), Some("all alerts closed"));
    assert_eq!(closing.system, SystemName::new("defender").unwrap());
    let modified = alert("a", 5, "resolved").modified;
    assert_eq!(all.mapping.agreed[&Field::Status].at, modified, "the time of the first alert's record");
}

#[test]
fn alerts_that_were_closed_with_different_verdicts_close_without_one() {
    let rules = rules();
    let closed = [
        judged(alert("a", 5, "resolved"), "truePositive/malware"),
        judged(alert("b", 6, "resolved"), "falsePositive/other"),
    ];
    let decision = see(&two_alerts(&rules), &closed, &rules);
    assert!(decision.mapping.is_closed());
    assert_eq!(verdict(&decision), None);
}

#[test]
fn alerts_that_were_closed_without_a_verdict_say_none() {
    let rules = rules();
    let closed = [alert("a", 5, "resolved"), alert("b", 6, "resolved")];
    let decision = see(&two_alerts(&rules), &closed, &rules);
    assert!(decision.mapping.is_closed());
    assert_eq!(verdict(&decision), None);
}

#[test]
fn an_alert_that_is_gone_holds_up_no_close() {
    let rules = rules();
    let gone = Snapshot { lifecycle: Lifecycle::Gone, ..alert("b", 5, "new") };
    let decision = see(&two_alerts(&rules), &[gone, alert("a", 6, "resolved")], &rules);
    assert!(decision.mapping.is_closed(), "{:#?}", decision.audit);
}

#[test]
fn alerts_of_another_tenant_stand_for_themselves() {
    let mut rules = rules();
    let mut other = rules.policy.systems[0].clone();
    other.name = SystemName::new("other").unwrap();
    rules.policy.systems.push(other);
    let foreign = |second, status| {
        let record = "other/alert/x".parse().unwrap();
        Snapshot { record, ..alert("x", second, status) }
    };
    let links = ["defender/alert/a", "other/alert/x"];
    let mapping = standing_for(&rules, &links, &[alert("a", 0, "new"), foreign(0, "new")]);
    let decision = see(&mapping, &[alert("a", 5, "resolved")], &rules);
    assert!(decision.mapping.is_closed(), "all of its system are closed");
    let mapping = standing_for(&rules, &links, &[alert("a", 0, "new"), foreign(0, "new")]);
    assert!(see(&mapping, &[foreign(5, "resolved")], &rules).mapping.is_closed());
}

#[test]
fn an_alert_that_is_closed_when_it_is_met_counts() {
    let rules = rules();
    let mapping = Mapping::new(MappingId(1), rules.policy.bridge.clone());
    let seen = [incident(0, &["defender/alert/a"]), alert("a", 0, "resolved")];
    assert!(see(&mapping, &seen, &rules).mapping.is_closed());
}

/// Both incidents and an alert of Defender's.
fn followed(rules: &Rules) -> Mapping {
    let parent = "defender/incident/1".parse().ok();
    let decision = see(&linked(rules), &[Snapshot { parent, ..alert("a", 1, "new") }], rules);
    assert!(told(&decision, "it is an alert of defender/incident/1"));
    decision.mapping
}

#[test]
fn an_alert_beside_its_incident_closes_nothing_unless_the_bridge_says_so() {
    let mut rules = rules();
    let decision = see(&followed(&rules), &[alert("a", 5, "resolved")], &rules);
    assert!(!decision.mapping.is_closed());
    assert!(told(&decision, "alerts follow their incident"));
    rules.policy.closing.when_all_alerts_closed = true;
    let decision = see(&followed(&rules), &[alert("a", 5, "resolved")], &rules);
    assert!(decision.mapping.is_closed());
    let targets: Vec<String> = decision.wishes.iter().map(|wish| wish.target.to_string()).collect();
    assert_eq!(targets, ["defender/incident/1", "sentinel/incident/g"], "its alerts follow by themselves");
}

#[test]
fn an_incident_that_is_closed_already_is_not_closed_again_by_its_alerts() {
    let mut rules = rules();
    rules.policy.closing.when_all_alerts_closed = true;
    let closed = see(&followed(&rules), &[defender(5, "resolved", None)], &rules);
    let decision = see(&closed.mapping, &[alert("a", 6, "resolved")], &rules);
    assert_eq!(decision.mapping.closing, closed.mapping.closing);
    assert_eq!(decision.audit, [], "what the incident says arrives at its alerts");
}

#[test]
fn a_single_alert_carries_its_verdict_nowhere_but_with_its_close() {
    let rules = rules();
    let mapping = two_alerts(&rules);
    let alone = see(&mapping, &[judged(alert("a", 5, "new"), "truePositive/malware")], &rules);
    assert!(told(&alone, "alerts follow their incident"), "{:#?}", alone.audit);
    let member = alone.mapping.member(&"defender/alert/a".parse().unwrap()).unwrap();
    assert!(member.exempt.contains(&Field::Verdict), "the analyst's word on it stands");
    let closed = see(&mapping, &[judged(alert("a", 5, "resolved"), "truePositive/malware")], &rules);
    assert!(!told(&closed, "alerts follow their incident"), "{:#?}", closed.audit);
    let begun = see(&mapping, &[judged(alert("a", 5, "inProgress"), "truePositive/malware")], &rules);
    let left = |(_, kind): &&(RecordRef, AuditKind)| matches!(kind, AuditKind::NotCarried { .. });
    assert_eq!(begun.audit.iter().filter(left).count(), 2, "{:#?}", begun.audit);
}

#[test]
fn a_close_of_the_incident_is_written_to_the_alerts_that_stand_for_it() {
    let rules = rules();
    let mapping = two_alerts(&rules);
    let mut renamed = incident(4, &[]);
    renamed.native.insert(Field::Title, text("Renamed"));
    renamed.native.insert(Field::Status, text("Active"));
    let decision = see(&mapping, &[renamed], &rules);
    assert_eq!(decision.wishes, [], "an open incident asks nothing of its alerts");
    let mut closed = sentinel(5, "Closed", Some("FalsePositive/InaccurateData"));
    closed.links.clear();
    closed.native.insert(Field::Title, text("Renamed"));
    let decision = see(&decision.mapping, &[closed], &rules);
    let expected =
        Natives::from([(Field::Status, text("resolved")), (Field::Verdict, text("falsePositive/other"))]);
    assert_eq!(decision.wishes.len(), 2);
    for wish in &decision.wishes {
        assert_eq!(wish.patch.native, expected, "{}", wish.target);
    }
}

#[test]
fn alerts_do_not_take_the_place_of_the_incident_that_is_to_be_opened() {
    let mut rules = rules();
    rules.policy.create_in.insert(SystemName::new("sentinel").unwrap());
    let mapping = Mapping::new(MappingId(1), rules.policy.bridge.clone());
    let record = "sentinel/alert/s".parse().unwrap();
    let stray =
        Snapshot { record, native: Natives::from([(Field::Owner, Native::Empty)]), ..alert("s", 1, "new") };
    let decision = see(&mapping, &[defender(0, "active", None), stray], &rules);
    let planned = decision.mapping.members.iter().filter(|m| m.state == MemberState::Planned).count();
    assert_eq!(planned, 1, "{:#?}", decision.mapping.members);
}
