//! Microsoft's own connector, step by step.

use super::graph::{DefenderEdit, IncidentSeed};
use super::ledger::{Actor, System, What};
use super::options::{EmulatorOptions, NativeSync};
use super::sentinel::{Incident, SentinelEdit};
use super::testing::Caller;

fn ana() -> Actor {
    Actor::Human("ana@example.org".to_owned())
}

fn linked(batch: bool) -> (Caller, u64, String) {
    let native_sync = NativeSync { batch, ..NativeSync::on(60.0, 10.0) };
    let mut caller = Caller::with(EmulatorOptions { native_sync, ..EmulatorOptions::default() });
    let id = caller.world.create_defender(&IncidentSeed::new("Phishing", "high", 1));
    caller.world.edit_defender(id, &DefenderEdit::comment("early"), &ana()).unwrap();
    caller.advance(59.0);
    assert_eq!(caller.world.sentinel.twin(id), None);
    caller.advance(1.0);
    let twin = caller.world.sentinel.twin(id).unwrap();
    (caller, id, twin)
}

fn twin<'a>(caller: &'a Caller, name: &str) -> &'a Incident {
    caller.world.sentinel.incident(name).unwrap()
}

#[test]
fn a_twin_appears_with_what_was_said_so_far() {
    let (caller, id, name) = linked(false);
    let twin = twin(&caller, &name);
    assert_eq!((twin.provider.as_str(), twin.defender), ("Microsoft XDR", Some(id)));
    assert_eq!((twin.severity.as_str(), twin.status.as_str()), ("High", "New"));
    assert_eq!((twin.comments.len(), twin.alerts.len()), (1, 1));
}

#[test]
fn a_close_travels_from_defender_and_loses_its_determination() {
    let (mut caller, id, name) = linked(false);
    let edit = DefenderEdit::resolve("falsePositive", "notMalicious").saying("noise");
    caller.world.edit_defender(id, &edit, &ana()).unwrap();
    caller.world.edit_defender(id, &DefenderEdit::comment("done"), &ana()).unwrap();
    caller.advance(9.0);
    assert_eq!(twin(&caller, &name).status, "New");
    caller.advance(1.0);
    let twin = twin(&caller, &name);
    assert_eq!((twin.status.as_str(), twin.reason.as_deref()), ("Closed", Some("InaccurateData")));
    assert_eq!(twin.closing_comment.as_deref(), Some("noise"));
    assert_eq!(twin.comments.len(), 2);
    caller.advance(1000.0);
    assert_eq!(caller.world.agenda.len(), 0, "nothing bounces");
}

#[test]
fn a_close_travels_from_sentinel_resolves_alerts_and_comes_back_coarser() {
    let (mut caller, id, name) = linked(false);
    let edit = SentinelEdit::close("FalsePositive", Some("IncorrectAlertLogic"));
    caller.world.edit_sentinel(&name, &edit, &ana()).unwrap();
    caller.advance(10.0);
    let incident = caller.world.defender.incident(id).unwrap();
    assert_eq!((incident.status.as_str(), incident.classification.as_str()), ("resolved", "falsePositive"));
    let alert = caller.world.defender.alert(&incident.alerts[0]).unwrap();
    assert_eq!(alert.status, "resolved");
    assert_eq!(twin(&caller, &name).reason.as_deref(), Some("IncorrectAlertLogic"));
    caller.advance(10.0);
    assert_eq!(twin(&caller, &name).reason.as_deref(), Some("InaccurateData"));
    caller.advance(1000.0);
    assert_eq!(caller.world.agenda.len(), 0);
}

#[test]
fn the_later_of_two_edits_of_a_field_wins_on_both_sides() {
    let (mut caller, id, name) = linked(false);
    caller.world.edit_defender(id, &DefenderEdit::owner(Some("ana@example.org")), &ana()).unwrap();
    caller.advance(2.0);
    caller.world.edit_sentinel(&name, &SentinelEdit::owner(Some("ben@example.org")), &ana()).unwrap();
    caller.advance(100.0);
    assert_eq!(caller.world.defender.incident(id).unwrap().owner.as_deref(), Some("ben@example.org"));
    assert_eq!(twin(&caller, &name).owner.upn.as_deref(), Some("ben@example.org"));
}

#[test]
fn batching_carries_the_last_state_only() {
    let (mut caller, id, name) = linked(true);
    let before = caller.world.ledger.entries().len();
    for status in ["inProgress", "active", "inProgress"] {
        caller.world.edit_defender(id, &DefenderEdit::status(status), &ana()).unwrap();
        caller.advance(1.0);
    }
    caller.world.edit_defender(id, &DefenderEdit::tags(&["vip"]), &ana()).unwrap();
    caller.advance(10.0);
    assert_eq!(twin(&caller, &name).status, "Active");
    let writes: Vec<_> = caller.world.ledger.entries()[before..]
        .iter()
        .filter(|entry| entry.system == System::Sentinel)
        .map(|entry| entry.actor.as_str())
        .collect();
    assert_eq!(writes, ["native-sync"]);
}

#[test]
fn a_merge_closes_the_source_with_a_label_and_keeps_its_comments() {
    let (mut caller, a, source) = linked(false);
    let b = caller.world.create_defender(&IncidentSeed::new("Other", "low", 1));
    caller.advance(60.0);
    let target = caller.world.sentinel.twin(b).unwrap();
    caller.world.merge_defender(a, b, &ana()).unwrap();
    caller.advance(10.0);
    let from = twin(&caller, &source);
    assert_eq!(
        (from.status.as_str(), from.labels.as_slice()),
        ("Closed", ["Redirected".to_owned()].as_slice())
    );
    assert_eq!((from.alerts.len(), from.comments.len()), (0, 1));
    assert_eq!(twin(&caller, &target).alerts.len(), 2);
    assert_eq!(caller.world.defender.incident(a).unwrap().status, "redirected");
}

#[test]
fn without_native_sync_pairs_drift() {
    let mut caller = Caller::new();
    let (id, name) = caller.world.create_linked(&IncidentSeed::new("t", "low", 0));
    caller.world.edit_defender(id, &DefenderEdit::status("inProgress"), &ana()).unwrap();
    caller.advance(1000.0);
    assert_eq!(twin(&caller, &name).status, "New");
    let created = caller.world.ledger.entries().iter().filter(|entry| entry.what == What::Created).count();
    assert_eq!(created, 2);
}
