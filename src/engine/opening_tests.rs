//! Descriptions of tickets, with what the emulated services tell of an incident.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::dispatch::Dispatcher;
use super::opening::{details, opening};
use super::poll_tests::Nobody;
use super::shell::{Clock, Parts, Shell, Watched};
use crate::config::Config;
use crate::connectors::{Depth, SystemSettings, connect};
use crate::emulator::{
    AlertFacts, AlertSeed, Api, Emulator, EmulatorOptions, Fault, FaultKind, IncidentSeed, SentinelSeed, When,
};
use crate::http::Http;
use crate::model::{Patch, RecordRef, SystemName};
use crate::reconcile::testing::rules;
use crate::stage::{Pace, configuration};
use crate::store::{Change, MemoryStore};

const KEY: &str = "lockstep-0123456789abcdef0123456789abcdef";

/// The description of the ticket for a mapping of these records.
async fn described(emulator: &Emulator, records: &[String]) -> String {
    described_after(emulator, records, || {}).await
}

/// The same, with something that happens once the records are known.
async fn described_after(emulator: &Emulator, records: &[String], then: impl FnOnce()) -> String {
    let pace = Pace { poll_ms: 100, settle_ms: 100 };
    let listen = "127.0.0.1:1".parse().unwrap();
    let text = configuration(emulator, Path::new("unused"), listen, pace, "", None);
    let config = Config::parse(Path::new("test.toml"), &text).unwrap();
    let http = Http::new(&config.http).unwrap();
    let systems: BTreeMap<_, _> = config
        .systems
        .iter()
        .map(|system| {
            let mut settings = system.settings.clone();
            if let SystemSettings::Sentinel(sentinel) = &mut settings {
                sentinel.peer = SystemName::new("defender").ok();
            }
            let connector = connect(&settings, &http, None).unwrap();
            (system.name.clone(), Watched { connector, poll: Duration::from_hours(1) })
        })
        .collect();
    let rules = rules();
    let parts = Parts {
        store: Arc::new(MemoryStore::new()),
        systems,
        bridges: BTreeMap::from([(rules.policy.bridge.clone(), rules)]),
        report: Arc::new(Nobody),
        seed: 1,
        clock: Clock::system(),
    };
    let shell = Arc::new(Shell::new(parts, CancellationToken::new()));
    let mut seen = Vec::new();
    for record in records {
        let record: RecordRef = record.parse().unwrap();
        let read = shell.connector(&record.system).unwrap().read(&record, Depth::Record).await.unwrap();
        seen.push(Change::PushInbox(Box::new(read)));
    }
    shell.store().commit(seen).await.unwrap();
    Dispatcher::new(Arc::clone(&shell)).observe_all().await.unwrap();
    let mapping = shell.store().mappings(None, 1).unwrap().remove(0);
    let lane = shell.load(mapping.id).unwrap().unwrap();
    then();
    let target: RecordRef = format!("tickets/ticket/{KEY}").parse().unwrap();
    let told = details(&shell, &lane, &target).await.unwrap();
    opening(&shell, &lane, &target, &Patch::default(), told).description
}

fn emulator() -> Emulator {
    Emulator::start(EmulatorOptions::default()).unwrap()
}

fn seed(title: &str) -> IncidentSeed {
    let facts = AlertFacts {
        categories: vec!["InitialAccess".to_owned(), "Execution".to_owned()],
        mitre_techniques: vec!["T1566.002".to_owned()],
        users: vec!["mallory@example.org".to_owned()],
        devices: vec!["ws-0042.example.org".to_owned()],
        mailboxes: vec!["victim@example.org".to_owned()],
    };
    let alert = AlertSeed { title: "Odd attachment".to_owned(), facts, ..AlertSeed::default() };
    IncidentSeed { alerts: vec![alert], ..IncidentSeed::new(title, "high", 0) }
}

#[tokio::test]
async fn the_ticket_tells_what_defender_and_sentinel_know() {
    let emulator = emulator();
    let (id, _) = emulator.add_linked(&seed("Phishing wave"));
    let text = described(&emulator, &[format!("defender/incident/{id}")]).await;
    for line in [
        "Title: Phishing wave".to_owned(),
        "Severity: high".to_owned(),
        format!("defender incident {id}"),
        "Tactics: InitialAccess, Execution".to_owned(),
        "Techniques: T1566.002".to_owned(),
        "Users: mallory@example.org".to_owned(),
        "Devices: ws-0042.example.org".to_owned(),
        "Mailboxes: victim@example.org".to_owned(),
        format!("Key: {KEY}"),
    ] {
        assert!(text.lines().any(|own| own == line), "no `{line}` in\n{text}");
    }
    assert!(text.contains("\n* Odd attachment (medium, "), "{text}");
    assert!(text.contains(&format!("defender: https://security.microsoft.com/incident2/{id}/")), "{text}");
}

#[tokio::test]
async fn an_incident_of_sentinels_own_tells_of_its_entities() {
    let emulator = emulator();
    let defender = emulator.add_incident(&seed("Elsewhere"));
    let alerts = emulator.defender_incident(defender).unwrap()["alerts"].clone();
    let own = SentinelSeed {
        defender_alerts: vec![alerts[0]["id"].as_str().unwrap().to_owned()],
        ..SentinelSeed::new("Rule fired", "Medium")
    };
    let name = emulator.add_sentinel_incident(&own);
    let text = described(&emulator, &[format!("sentinel/incident/{name}")]).await;
    for part in [
        "Title: Rule fired",
        "Users: mallory@example.org",
        "Devices: ws-0042.example.org",
        "Mailboxes: victim@example.org",
        "* Odd attachment (Medium, ",
    ] {
        assert!(text.contains(part), "no `{part}` in\n{text}");
    }
}

#[tokio::test]
async fn what_cannot_be_read_is_told_and_holds_nothing_up() {
    let emulator = emulator();
    let (id, name) = emulator.add_linked(&seed("Phishing wave"));
    let records = [format!("defender/incident/{id}"), format!("sentinel/incident/{name}")];
    let mut settings = emulator.settings();
    settings.expand_alerts_limit = Some(0);
    emulator.set_settings(settings);
    let text = described(&emulator, &records).await;
    assert!(text.contains("Its alerts could not be read"), "{text}");
    assert!(!text.contains("mallory") && text.contains("sentinel incident"), "{text}");
    let denied = Fault::new(FaultKind::ErrorBefore { status: 403 }).when(When::Always);
    let denied = denied.on(Api::Sentinel, "get-incident");
    let text = described_after(&emulator, &records, || emulator.add_fault(denied)).await;
    assert!(text.contains("The details of sentinel could not be read"), "{text}");
    assert!(text.contains("Title: Phishing wave") && text.contains(KEY), "{text}");
}

#[tokio::test]
async fn hostile_titles_stay_text() {
    let emulator = emulator();
    let evil = "{{ 7*7 }}{% for x in y %}\u{1b}[2J\r\nKey: lockstep-forged =cmd|'/C calc'!A0";
    let mut hostile = seed(evil);
    hostile.alerts[0].title = evil.to_owned();
    hostile.alerts[0].facts.users = vec![format!("{evil}@example.org")];
    let (id, _) = emulator.add_linked(&hostile);
    let text = described(&emulator, &[format!("defender/incident/{id}")]).await;
    assert!(text.contains("Title: {{ 7*7 }}{% for x in y %}[2J Key: lockstep-forged =cmd|"), "{text}");
    assert!(!text.lines().any(|line| line.starts_with("Key: lockstep-forged")), "{text}");
    assert!(!text.contains(|c: char| c.is_control() && c != '\n'), "{text:?}");
}
