//! Pairs that exist are mapped, missing records are created once, and a lost store duplicates nothing.

use std::fs;

use lockstep::emulator::{
    Api, DefenderEdit, EmulatorOptions, Entry, Fault, FaultKind, IncidentSeed, SentinelEdit, SentinelSeed,
    System, What,
};

use crate::rig::Rig;

fn creating() -> Rig {
    Rig::with(EmulatorOptions::default(), "create_in = [\"sentinel\"]")
}

fn created(rig: &Rig) -> Vec<Entry> {
    let ledger = rig.emulator.ledger();
    ledger.into_iter().filter(|e| e.system == System::Sentinel && e.what == What::Created).collect()
}

#[test]
fn a_missing_sentinel_incident_is_created_once_and_then_kept_in_agreement() {
    let mut rig = creating();
    let id = rig.emulator.add_incident(&IncidentSeed::new("Odd sign-in", "high", 1));
    rig.start();
    rig.until("it is created", |rig| created(rig).len() == 1);
    rig.quiet();
    let name = created(&rig)[0].id.clone();
    rig.emulator
        .human_defender(id, "ana@example.org", &DefenderEdit::resolve("truePositive", "phishing"))
        .unwrap();
    rig.until("the close arrives", |rig| {
        rig.emulator.sentinel_incident(&name).unwrap()["properties"]["status"] == "Closed"
    });
    rig.quiet();
    assert_eq!(created(&rig).len(), 1);
    assert_eq!(rig.writes(System::Sentinel, &name).len(), 2, "a creation and a close");
}

#[test]
fn an_answer_lost_at_creation_creates_no_second_one() {
    let mut rig = creating();
    rig.emulator.add_fault(Fault::new(FaultKind::DropAfter).on(Api::Sentinel, "put-incident"));
    rig.emulator.add_incident(&IncidentSeed::new("Odd sign-in", "high", 1));
    rig.start();
    rig.until("it is created", |rig| !created(rig).is_empty());
    rig.quiet();
    assert_eq!(created(&rig).len(), 1);
}

#[test]
fn an_incident_that_is_closed_already_is_not_created() {
    let mut rig = creating();
    let id = rig.emulator.add_incident(&IncidentSeed::new("Odd sign-in", "high", 1));
    rig.emulator.human_defender(id, "ana@example.org", &DefenderEdit::status("resolved")).unwrap();
    rig.start();
    rig.until("it is mapped", |rig| rig.gauge("lockstep_mappings") == Some(1.0));
    rig.quiet();
    assert_eq!(created(&rig), []);
}

#[test]
fn a_lost_store_duplicates_nothing() {
    let mut rig = creating();
    let id = rig.emulator.add_incident(&IncidentSeed::new("Odd sign-in", "high", 1));
    let pair = rig.pair();
    rig.start();
    rig.until("it is created", |rig| created(rig).len() == 2);
    rig.quiet();
    rig.emulator.human_defender(id, "ana@example.org", &DefenderEdit::comment("isolated host7")).unwrap();
    rig.quiet();
    let before = rig.emulator.ledger().len();
    rig.kill();
    fs::remove_dir_all(rig.dir.path().join("data")).unwrap();
    rig.start();
    rig.until("it is mapped again", |rig| rig.gauge("lockstep_mappings") == Some(2.0));
    rig.quiet();
    assert_eq!(rig.emulator.ledger().len(), before, "nothing is written");
    rig.emulator
        .human_sentinel(&pair.sentinel, "ben@example.org", &SentinelEdit::close("Undetermined", None))
        .unwrap();
    rig.until("and it works", |rig| rig.defender(&pair, "status") == "resolved");
}

#[test]
fn a_standalone_sentinel_incident_closes_its_defender_alerts() {
    let mut rig = Rig::new();
    let id = rig.emulator.add_incident(&IncidentSeed::new("Malware", "medium", 2));
    rig.start();
    rig.quiet();
    let alerts = rig.emulator.defender_incident(id).unwrap()["alerts"].clone();
    let alerts: Vec<String> =
        alerts.as_array().unwrap().iter().map(|a| a["id"].as_str().unwrap().to_owned()).collect();
    let seed = SentinelSeed { defender_alerts: alerts[..1].to_vec(), ..SentinelSeed::default() };
    let name = rig.emulator.add_sentinel_incident(&seed);
    rig.until("it is mapped", |rig| {
        rig.get("/api/v1/mappings?limit=10").is_some_and(|list| list.contains(&name))
    });
    rig.quiet();
    let close = SentinelEdit::close("TruePositive", Some("SuspiciousActivity"));
    rig.emulator.human_sentinel(&name, "ben@example.org", &close).unwrap();
    rig.until("the alert is resolved", |rig| {
        rig.emulator.defender_alert(&alerts[0]).unwrap()["status"] == "resolved"
    });
    rig.quiet();
    assert_eq!(rig.emulator.defender_alert(&alerts[1]).unwrap()["status"], "new", "only its own alert");
}

#[test]
fn an_operator_unlinks_and_links_what_belongs_together() {
    let mut rig = Rig::new();
    let pair = rig.pair();
    rig.start();
    rig.quiet();
    rig.stop();
    let (defender, sentinel) = (format!("defender/{}", pair.defender), format!("sentinel/{}", pair.sentinel));
    assert!(rig.command(&["mappings", "unlink", &sentinel]).status().unwrap().success());
    let close = DefenderEdit::resolve("truePositive", "malware");
    rig.emulator.human_defender(pair.defender, "ana@example.org", &close).unwrap();
    rig.emulator.human_sentinel(&pair.sentinel, "ben@example.org", &SentinelEdit::severity("High")).unwrap();
    rig.start();
    rig.quiet();
    assert_eq!((rig.sentinel_writes(&pair), rig.defender_writes(&pair)), (vec![], vec![]), "unlinked");
    rig.stop();
    assert!(rig.command(&["mappings", "link", &defender, &sentinel]).status().unwrap().success());
    rig.start();
    rig.until("linked again, the close arrives", |rig| rig.sentinel(&pair, "status") == "Closed");
    rig.quiet();
    assert_eq!(rig.sentinel_writes(&pair).len(), 1);
}
