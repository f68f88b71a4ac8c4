//! What operators do beside a worker, before it starts, or to it.

use std::fs;
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use lockstep::emulator::{
    Api, DefenderEdit, Fault, FaultKind, IncidentSeed, Outage, SentinelSeed, Settings, System, When,
};

use crate::rig::Rig;
use crate::support::{PATIENCE, pause};

/// Runs a command; returns its exit code, and stdout and stderr together.
fn command(rig: &Rig, arguments: &[&str]) -> (Option<i32>, String) {
    let output = rig.command(arguments).output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(text).unwrap())
}

/// An incident of Defender's that the stopped worker knows, and one of Sentinel's that names no twin.
fn apart() -> (Rig, String, String) {
    let mut rig = Rig::new();
    let defender = rig.emulator.add_incident(&IncidentSeed::new("Odd sign-in", "high", 1));
    rig.start();
    rig.until("it is mapped", |rig| rig.gauge("lockstep_mappings") == Some(1.0));
    rig.quiet();
    assert_eq!(rig.stop(), Some(0));
    let sentinel = rig.emulator.add_sentinel_incident(&SentinelSeed::new("Odd sign-in", "High"));
    (rig, format!("defender/{defender}"), sentinel)
}

#[test]
fn a_link_to_a_record_that_is_not_there_is_refused() {
    let (rig, known, _) = apart();
    let absent = "sentinel/00000000-0000-4000-8000-00000000dead";
    let (code, said) = command(&rig, &["mappings", "link", &known, absent]);
    assert!(code == Some(1) && said.contains("there is no sentinel/incident/00000000"), "{code:?} {said}");
    let (code, said) = command(&rig, &["mappings", "link", &known, "defender/99"]);
    assert!(code == Some(1) && said.contains("one incident has one record of a kind"), "{code:?} {said}");
    let (code, said) = command(&rig, &["mappings", "link", &known, "sentinel/alert/x"]);
    assert!(code == Some(1) && said.contains("sentinel has no alerts"), "{code:?} {said}");
    let (code, said) = command(&rig, &["plan"]);
    assert!(code == Some(0) && said.contains("nothing to write;"), "nothing was linked: {code:?} {said}");
}

#[test]
fn a_link_is_made_once_its_system_confirms_the_record() {
    let (mut rig, known, sentinel) = apart();
    let other = format!("sentinel/{sentinel}");
    rig.emulator.set_settings(Settings { sentinel_outage: Outage::Refuse, ..rig.emulator.settings() });
    let (code, said) = command(&rig, &["mappings", "link", &known, &other]);
    assert!(code == Some(1) && said.contains("--unchecked"), "{code:?} {said}");
    rig.emulator.set_settings(Settings { sentinel_outage: Outage::Off, ..rig.emulator.settings() });
    let (code, said) = command(&rig, &["mappings", "link", &known, &other]);
    assert!(code == Some(0) && said.contains("is linked to"), "{code:?} {said}");
    let (code, said) = command(&rig, &["mappings", "list"]);
    assert!(code == Some(0) && said.contains(&format!("{sentinel} (not read yet)")), "{code:?} {said}");
    rig.start();
    rig.quiet();
    let id = known.trim_start_matches("defender/").parse().unwrap();
    rig.emulator
        .human_defender(id, "ana@example.org", &DefenderEdit::resolve("truePositive", "phishing"))
        .unwrap();
    rig.until("the close arrives", |rig| {
        rig.emulator.sentinel_incident(&sentinel).unwrap()["properties"]["status"] == "Closed"
    });
    rig.quiet();
    assert_eq!(rig.writes(System::Sentinel, &sentinel).len(), 1);
}

#[test]
fn an_unseen_link_is_unknown_to_a_plan_and_dropped_aloud_if_the_record_is_not_there() {
    let (mut rig, known, _) = apart();
    let absent = "sentinel/incident/00000000-0000-4000-8000-00000000dead";
    let (code, said) = command(&rig, &["mappings", "link", &known, absent, "--unchecked"]);
    assert!(code == Some(0), "{code:?} {said}");
    let (code, said) = command(&rig, &["plan"]);
    let unknown = format!("unknown until it is read: {absent}");
    assert!(
        code == Some(0) && said.contains(&unknown) && !said.contains("nothing to write"),
        "{code:?} {said}"
    );
    rig.start();
    let left = r#"lockstep_records_left_total{reason="gone",system="sentinel"} 1"#;
    rig.until("it is dropped", |rig| rig.get("/metrics").is_some_and(|text| text.contains(left)));
    let warned =
        |line: &str| line.contains("WARN") && line.contains("left its mapping") && line.contains(absent);
    assert!(rig.log().lines().any(warned), "{}", rig.log());
}

#[test]
fn a_plan_beside_a_worker_is_refused() {
    let mut rig = Rig::new();
    rig.pair();
    rig.start();
    rig.quiet();
    let (code, said) = command(&rig, &["plan"]);
    assert!(code == Some(1) && said.contains("is in use by lockstep (pid "), "{code:?} {said}");
    assert!(said.contains("stop it") && !said.contains("write"), "{said}");
}

#[test]
fn a_hangup_ends_nothing_and_is_told() {
    let mut rig = Rig::new();
    let pair = rig.pair();
    rig.start();
    rig.quiet();
    rig.signal("HUP").unwrap();
    rig.until("it is told", |rig| rig.log().contains("SIGHUP is ignored"));
    rig.emulator
        .human_defender(pair.defender, "ana@example.org", &DefenderEdit::resolve("truePositive", "phishing"))
        .unwrap();
    rig.until("it works on", |rig| rig.sentinel(&pair, "status") == "Closed");
    assert_eq!(rig.stop(), Some(0));
}

/// Waits until the worker has ended by itself.
fn end(rig: &mut Rig) -> ExitStatus {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(ended) = rig.ended().unwrap() {
            return ended;
        }
        assert!(Instant::now() < deadline, "it never ends:\n{}", rig.log());
        pause(Duration::from_millis(20));
    }
}

#[test]
fn a_worker_whose_store_is_removed_stops_and_sends_nothing_more() {
    for with_news in [true, false] {
        let mut rig = Rig::new();
        let pair = rig.pair();
        rig.start();
        rig.quiet();
        fs::remove_dir_all(rig.dir.path().join("data")).unwrap();
        if with_news {
            let resolve = DefenderEdit::resolve("truePositive", "phishing");
            rig.emulator.human_defender(pair.defender, "ana@example.org", &resolve).unwrap();
        }
        let status = end(&mut rig);
        assert_eq!(status.code(), Some(1), "{}", rig.log());
        assert!(rig.log().contains("was removed or replaced while lockstep had it open"), "{}", rig.log());
        assert_eq!(rig.sentinel_writes(&pair), [], "what cannot be remembered is not sent");
    }
}

#[test]
fn a_denied_system_turns_readiness_at_once_and_heals_by_itself() {
    let mut rig = Rig::new();
    let pair = rig.pair();
    rig.start();
    rig.quiet();
    let denied = Fault::new(FaultKind::ErrorBefore { status: 403 }).on(Api::Graph, "list-incidents");
    rig.emulator.add_fault(denied.when(When::Always));
    let shows = |rig: &Rig, path: &str, part: &str| rig.get(path).is_some_and(|text| text.contains(part));
    rig.until("readiness turns", |rig| shows(rig, "/readyz", "incidents of defender are denied since 2"));
    assert!(shows(&rig, "/", "denied since 2") && shows(&rig, "/api/v1/systems", r#""state":"denied""#));
    assert!(shows(&rig, "/metrics", r#"lockstep_denied{collection="incident",system="defender"} 1"#));
    assert!(shows(&rig, "/healthz", r#""ok""#), "a restart would mend nothing");
    rig.emulator.clear_faults();
    rig.until("readiness comes back", |rig| shows(rig, "/readyz", r#""ok""#));
    assert!(shows(&rig, "/", "last error at 2"), "it is kept");
    rig.emulator
        .human_defender(pair.defender, "ana@example.org", &DefenderEdit::resolve("truePositive", "phishing"))
        .unwrap();
    rig.until("the close arrives", |rig| rig.sentinel(&pair, "status") == "Closed");
}
