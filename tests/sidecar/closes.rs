//! Closes, reopenings, bursts and comments in both directions.

use lockstep::emulator::{DefenderEdit, SentinelEdit, What};
use serde_json::json;

use crate::rig::{Adapter, Rig};

#[test]
fn a_close_in_defender_reaches_the_ticket_once_with_its_verdict() {
    let (mut rig, mut adapter) = (Rig::new(), Adapter::default());
    let (defender, _, key) = rig.opened(&mut adapter);
    let edit = DefenderEdit::resolve("truePositive", "phishing").saying("User reported it");
    rig.emulator.human_defender(defender, "ana@example.org", &edit).unwrap();
    rig.quiet(&mut adapter);
    let ticket = &adapter.tickets[&key];
    assert_eq!((&ticket["status"], &ticket["verdict"]), (&json!("closed"), &json!("true-positive/phishing")));
    assert!(ticket["closing_note"].as_str().unwrap().contains("User reported it"), "{ticket}");
    assert_eq!(adapter.count("ticket.closed"), 1, "{:?}", adapter.effects);
    assert_eq!(rig.defender_writes(defender), [], "nothing bounces back");
}

#[test]
fn a_close_in_the_ticket_closes_both_incidents_once() {
    let (mut rig, mut adapter) = (Rig::new(), Adapter::default());
    let (defender, sentinel, key) = rig.opened(&mut adapter);
    let (before, told) = (rig.sentinel_writes(&sentinel).len(), adapter.effects.len());
    let close = json!({
        "status": "closed", "verdict": "false-positive/not-malicious", "closing_note": "Test traffic",
        "by": "ben@example.org", "event_id": "e1",
    });
    // The adapter is not sure that it was heard.
    for _ in 0..3 {
        rig.report(&key, &close);
    }
    rig.quiet(&mut adapter);
    rig.report(&key, &close);
    rig.quiet(&mut adapter);
    assert_eq!(rig.defender(defender, "status"), "resolved");
    assert_eq!(rig.defender(defender, "determination"), "notMalicious");
    assert!(rig.defender(defender, "resolvingComment").contains("Test traffic"));
    assert_eq!(rig.sentinel(&sentinel, "status"), "Closed");
    assert_eq!(rig.sentinel(&sentinel, "classification"), "FalsePositive");
    assert_eq!(rig.defender_writes(defender).len(), 1, "{:#?}", rig.defender_writes(defender));
    assert_eq!(rig.sentinel_writes(&sentinel).len(), before + 1, "{:#?}", rig.sentinel_writes(&sentinel));
    assert_eq!(adapter.effects.len(), told, "nothing bounces back: {:?}", adapter.effects);
}

#[test]
fn reopenings_travel_both_ways() {
    let (mut rig, mut adapter) = (Rig::new(), Adapter::default());
    let (defender, sentinel, key) = rig.opened(&mut adapter);
    rig.emulator
        .human_sentinel(
            &sentinel,
            "ben@example.org",
            &SentinelEdit::close("TruePositive", Some("SuspiciousActivity")),
        )
        .unwrap();
    rig.quiet(&mut adapter);
    rig.report(&key, &json!({ "status": "active", "by": "ana@example.org" }));
    rig.quiet(&mut adapter);
    assert_eq!(rig.defender(defender, "status"), "inProgress");
    assert_eq!(rig.sentinel(&sentinel, "status"), "Active");
    rig.report(&key, &json!({ "status": "closed", "verdict": "true-positive/malware" }));
    rig.quiet(&mut adapter);
    assert_eq!(rig.defender(defender, "status"), "resolved");
    rig.emulator.human_defender(defender, "ana@example.org", &DefenderEdit::status("inProgress")).unwrap();
    rig.quiet(&mut adapter);
    assert_eq!(adapter.tickets[&key]["status"], "active");
    assert_eq!(
        (adapter.count("ticket.closed"), adapter.count("ticket.reopened")),
        (1, 1),
        "{:?}",
        adapter.effects
    );
}

#[test]
fn a_burst_of_edits_ends_in_agreement() {
    let (mut rig, mut adapter) = (Rig::new(), Adapter::default());
    let (defender, _, key) = rig.opened(&mut adapter);
    for n in 0..20 {
        let severity = ["low", "medium", "high"][n % 3];
        rig.report(&key, &json!({ "severity": severity, "owner": format!("user{n}@example.org"), "title": format!("Take {n}") }));
    }
    rig.report(&key, &json!({ "tags": ["vip"] }));
    rig.quiet(&mut adapter);
    assert_eq!(rig.defender(defender, "severity"), "medium");
    assert_eq!(rig.defender(defender, "assignedTo"), "user19@example.org");
    assert_eq!(rig.defender(defender, "displayName"), "Take 19");
    assert!(rig.defender(defender, "customTags").contains("vip"));
    assert_eq!(adapter.count("ticket.updated"), 0, "nothing bounces back: {:?}", adapter.effects);
}

#[test]
fn comments_arrive_once_on_each_side() {
    let (mut rig, mut adapter) = (Rig::new(), Adapter::default());
    let (defender, sentinel, key) = rig.opened(&mut adapter);
    rig.emulator
        .human_defender(defender, "ana@example.org", &DefenderEdit::comment("isolated host7"))
        .unwrap();
    let own = json!({ "id": "77", "author": "ben", "text": "called the user" });
    for _ in 0..2 {
        rig.insist("POST", &format!("/v1/tickets/{key}/comments"), Some(&own));
    }
    rig.quiet(&mut adapter);
    // The software shows what lockstep wrote there, and the adapter reports all that it sees.
    let comments = adapter.tickets[&key]["comments"].as_array().unwrap().clone();
    assert!(
        comments.len() == 1 && comments[0]["text"].as_str().unwrap().contains("isolated host7"),
        "{comments:?}"
    );
    let seen = json!({ "id": "78", "author": "lockstep", "text": comments[0]["text"] });
    rig.insist("POST", &format!("/v1/tickets/{key}/comments"), Some(&seen));
    rig.quiet(&mut adapter);
    let count = |entries: Vec<lockstep::emulator::Entry>, what: &str| {
        entries
            .iter()
            .filter(|e| matches!(&e.what, What::Commented { text, .. } if text.contains(what)))
            .count()
    };
    assert_eq!(count(rig.defender_writes(defender), "called the user"), 1);
    assert_eq!(count(rig.sentinel_writes(&sentinel), "called the user"), 1);
    assert_eq!(count(rig.sentinel_writes(&sentinel), "isolated host7"), 1);
    assert_eq!(count(rig.defender_writes(defender), "isolated host7"), 0);
    assert_eq!(adapter.count("ticket.commented"), 1, "{:?}", adapter.effects);
}

#[test]
fn an_adapter_that_was_away_finds_everything_in_order_and_one_that_forgot_repeats_harmlessly() {
    let (mut rig, mut adapter) = (Rig::new(), Adapter::default());
    let (defender, sentinel, key) = rig.opened(&mut adapter);
    let pending = |rig: &Rig| rig.insist("GET", "/v1/status", None).1["pending"].as_u64().unwrap();
    let steps = [
        DefenderEdit::status("inProgress"),
        DefenderEdit::resolve("truePositive", "malware"),
        DefenderEdit::status("inProgress"),
    ];
    for (n, step) in (1..).zip(&steps) {
        rig.emulator.human_defender(defender, "ana@example.org", step).unwrap();
        rig.until("it waits for the adapter", |rig| pending(rig) == n);
    }
    rig.restart();
    // Back again, it first says what it sees, which is old, and that undoes nothing.
    rig.report(&key, &json!({ "status": "new", "verdict": "undetermined" }));
    adapter.carry_out(&rig).unwrap();
    rig.restart();
    rig.until("lockstep answers", |rig| adapter.work(rig).is_some());
    assert_eq!(adapter.repetitions, 3, "told again under the same names");
    rig.quiet(&mut adapter);
    let kinds: Vec<&str> = adapter.effects.iter().map(|(kind, _)| kind.as_str()).rev().take(3).collect();
    assert_eq!(kinds, ["ticket.reopened", "ticket.closed", "ticket.updated"]);
    assert_eq!(adapter.tickets[&key]["status"], "active");
    assert_eq!(rig.defender(defender, "status"), "inProgress");
    assert_eq!(rig.sentinel(&sentinel, "status"), "Active");
    // Ana's reopening took her verdict back, and nothing else was written there.
    assert_eq!(rig.defender(defender, "classification"), "unknown");
    assert_eq!(rig.defender_writes(defender).len(), 1);
}

#[test]
fn a_ticket_that_is_gone_closes_nothing() {
    let (mut rig, mut adapter) = (Rig::new(), Adapter::default());
    let (defender, _, key) = rig.opened(&mut adapter);
    assert_eq!(rig.insist("DELETE", &format!("/v1/tickets/{key}"), None).0, 204);
    rig.quiet(&mut adapter);
    rig.emulator
        .human_defender(defender, "ana@example.org", &DefenderEdit::resolve("truePositive", "malware"))
        .unwrap();
    rig.quiet(&mut adapter);
    assert_eq!(rig.defender_writes(defender), []);
    assert_eq!(adapter.effects.len(), 1, "{:?}", adapter.effects);
}
