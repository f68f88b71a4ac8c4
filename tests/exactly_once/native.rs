//! Native sync on: Microsoft's own connector carries changes, and only one side may be written.

use lockstep::emulator::{DefenderEdit, EmulatorOptions, NativeSync, SentinelEdit};

use crate::rig::{Pair, Rig};
use crate::support::pause;

fn natively_synced(delay: f64) -> (Rig, Pair) {
    let options = EmulatorOptions { native_sync: NativeSync::on(0.2, delay), ..EmulatorOptions::default() };
    let rig = Rig::with(options, "native_sync = [\"defender\", \"sentinel\"]\nnative_sync_deadline = \"4s\"");
    let pair = rig.pair();
    (rig, pair)
}

#[test]
fn what_native_sync_carries_is_not_written_again() {
    let (mut rig, pair) = natively_synced(0.5);
    rig.start();
    rig.quiet();
    let (id, name) = (pair.defender, pair.sentinel.as_str());
    rig.emulator
        .human_defender(id, "ana@example.org", &DefenderEdit::owner(Some("ana@example.org")))
        .unwrap();
    rig.emulator.human_sentinel(name, "ben@example.org", &SentinelEdit::severity("High")).unwrap();
    rig.quiet();
    rig.emulator.human_defender(id, "ana@example.org", &DefenderEdit::comment("isolated host7")).unwrap();
    rig.emulator
        .human_defender(id, "ana@example.org", &DefenderEdit::resolve("truePositive", "malware"))
        .unwrap();
    rig.until("the close arrives", |rig| rig.sentinel(&pair, "status") == "Closed");
    rig.quiet();
    assert_eq!((rig.defender_writes(&pair), rig.sentinel_writes(&pair)), (vec![], vec![]));
}

#[test]
fn people_on_both_sides_of_a_slow_native_sync_start_no_oscillation() {
    let (mut rig, pair) = natively_synced(1.0);
    rig.start();
    rig.quiet();
    let (id, name) = (pair.defender, pair.sentinel.as_str());
    for n in 0..6 {
        let title = DefenderEdit::title(&format!("Title {n}"));
        rig.emulator.human_defender(id, "ana@example.org", &title).unwrap();
        let status = SentinelEdit::status(if n % 2 == 0 { "Active" } else { "New" });
        rig.emulator.human_sentinel(name, "ben@example.org", &status).unwrap();
        pause(std::time::Duration::from_millis(300));
    }
    rig.quiet();
    let ledger = rig.emulator.ledger().len();
    rig.quiet();
    assert_eq!(rig.emulator.ledger().len(), ledger, "it stays quiet");
    assert_eq!((rig.defender_writes(&pair), rig.sentinel_writes(&pair)), (vec![], vec![]));
}

#[test]
fn a_native_sync_that_does_not_come_is_reported_and_not_written() {
    let (mut rig, pair) = natively_synced(3600.0);
    rig.start();
    rig.until("it runs", |rig| rig.gauge("lockstep_ready") == Some(1.0));
    rig.until("both are linked", |rig| {
        rig.get("/api/v1/mappings?limit=10").is_some_and(|list| list.contains(&pair.sentinel))
    });
    let close = DefenderEdit::resolve("truePositive", "malware");
    rig.emulator.human_defender(pair.defender, "ana@example.org", &close).unwrap();
    let path = format!("/api/v1/records/sentinel/incident/{}/explain", pair.sentinel);
    rig.until("it is reported", |rig| rig.get(&path).is_some_and(|told| told.contains("not-converged")));
    assert_eq!((rig.defender_writes(&pair), rig.sentinel_writes(&pair)), (vec![], vec![]));
}
