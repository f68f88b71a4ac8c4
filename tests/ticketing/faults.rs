//! Answers lost, throttling, errors, stale reads and outages at the ticket system.

use std::collections::BTreeMap;

use lockstep::emulator::{
    DefenderEdit, Fault, FaultKind, IncidentSeed, Outage, RetryAfter, SentinelEdit, Settings, When,
};
use serde_json::json;

use crate::desks::Desk;
use crate::rig::{ANA, Rig};
use crate::support::{comments, pause};

/// People do one thing of each kind on each side while a fault is in force; everything arrives once.
fn everything_arrives_once_despite(desk: &'static Desk, faults: &[Fault]) {
    let mut rig = Rig::new(desk);
    let trio = rig.trio();
    for fault in faults {
        rig.emulator.add_fault(fault.clone());
    }
    rig.in_defender(trio.defender, &DefenderEdit::comment("isolated host7"));
    rig.in_defender(trio.defender, &DefenderEdit::resolve("truePositive", "phishing"));
    rig.until("the close arrives", |rig| rig.all_closed(&trio));
    rig.until("the comment arrives", |rig| !rig.ticket_edits(&trio.ticket).1.is_empty());
    rig.quiet();
    rig.at_ticket(&trio.ticket, &json!({"status": "active"}));
    rig.at_ticket(&trio.ticket, &json!({"comment": "mail purged"}));
    rig.until("the reopening arrives", |rig| rig.defender(trio.defender, "status") == "inProgress");
    rig.quiet();
    rig.emulator.clear_faults();
    rig.quiet();
    let (edits, copies) = rig.ticket_edits(&trio.ticket);
    let texts = comments(&copies);
    assert_eq!(texts.iter().filter(|t| t.contains("isolated host7")).count(), 1, "{faults:?}: {texts:#?}");
    // The reopening takes the verdict back, also from the ticket itself where that states one while it is open.
    assert!((1..=desk.close_writes + 1).contains(&edits.len()), "{faults:?}: {edits:#?}");
    assert!(copies.len() <= 2, "one copy, and the note of the close where it is a comment: {copies:#?}");
    let back = rig.defender_writes(trio.defender);
    assert_eq!(comments(&back).len(), 1, "{faults:?}: {back:#?}");
    assert_eq!(back.len(), 2, "{faults:?}: {back:#?}");
    assert_eq!(rig.tickets().len(), 1);
}

fn on_every_write(desk: &Desk, kind: &FaultKind) -> Vec<Fault> {
    let operations = desk.editing.iter().chain(desk.commenting);
    operations.map(|operation| Fault::new(kind.clone()).on(desk.api, operation)).collect()
}

pub(crate) fn answers_lost_after_applying(desk: &'static Desk) {
    everything_arrives_once_despite(desk, &on_every_write(desk, &FaultKind::DropAfter));
}

pub(crate) fn requests_lost_before_applying(desk: &'static Desk) {
    everything_arrives_once_despite(desk, &on_every_write(desk, &FaultKind::DropBefore));
}

pub(crate) fn errors_after_applying(desk: &'static Desk) {
    everything_arrives_once_despite(desk, &on_every_write(desk, &FaultKind::ErrorAfter { status: 502 }));
}

pub(crate) fn errors_before_applying(desk: &'static Desk) {
    everything_arrives_once_despite(desk, &on_every_write(desk, &FaultKind::ErrorBefore { status: 500 }));
}

pub(crate) fn throttling_in_every_form(desk: &'static Desk) {
    let throttle = |retry_after| FaultKind::Throttle { retry_after };
    let faults = [RetryAfter::Seconds(1), RetryAfter::Absent, RetryAfter::HttpDate(1)]
        .map(|form| Fault::new(throttle(form)).on_api(desk.api).when(When::Next(2)));
    everything_arrives_once_despite(desk, &faults);
}

pub(crate) fn stale_reads(desk: &'static Desk) {
    let stale = Fault::new(FaultKind::StaleRead).on_api(desk.api).when(When::Probability(0.3));
    everything_arrives_once_despite(desk, &[stale]);
}

pub(crate) fn an_answer_lost_at_opening_opens_no_second_ticket(desk: &'static Desk) {
    for kind in [FaultKind::DropAfter, FaultKind::ErrorAfter { status: 504 }, FaultKind::DropBefore] {
        for operation in desk.opening {
            let mut rig = Rig::new(desk);
            rig.emulator.add_fault(Fault::new(kind.clone()).on(desk.api, operation));
            let (defender, _) = rig.pair();
            rig.start();
            rig.until("it is opened", |rig| !rig.tickets().is_empty());
            rig.quiet();
            assert_eq!(rig.tickets().len(), 1, "{kind:?} at {operation}");
            let id = rig.tickets()[0].clone();
            rig.close_ticket(&id, "true-positive");
            rig.until("and it is linked", |rig| rig.defender(defender, "status") == "resolved");
        }
    }
}

pub(crate) fn a_look_up_that_fails_opens_nothing(desk: &'static Desk) {
    for status in [404, 500, 403] {
        let mut rig = Rig::new(desk);
        let fault = Fault::new(FaultKind::ErrorBefore { status }).on(desk.api, desk.finding);
        rig.emulator.add_fault(fault.when(When::Always));
        rig.pair();
        rig.start();
        rig.until("it is looked up in vain", |rig| {
            let key = format!("{}/{}", desk.system.as_str(), desk.finding);
            rig.emulator.calls().get(&key).is_some_and(|n| *n >= 1)
        });
        pause(std::time::Duration::from_millis(700));
        assert_eq!(rig.tickets(), [] as [String; 0], "{status}");
    }
}

pub(crate) fn an_outage_of_the_ticket_system_holds_up_nobody_else(desk: &'static Desk) {
    for outage in [Outage::Refuse, Outage::Drop] {
        let mut rig = Rig::new(desk);
        let trio = rig.trio();
        let down = BTreeMap::from([(desk.system, outage)]);
        rig.emulator.set_settings(Settings { ticketing_outage: down, ..Settings::default() });
        rig.in_defender(trio.defender, &DefenderEdit::resolve("truePositive", "malware"));
        rig.until("the others are closed", |rig| rig.sentinel(&trio.sentinel, "status") == "Closed");
        let (_, other) = rig.emulator.add_linked(&IncidentSeed::new("Password spray", "low", 1));
        let close = SentinelEdit::close("Undetermined", None);
        rig.until("the next pair is mapped", |rig| rig.gauge("lockstep_mappings") == Some(2.0));
        rig.emulator.human_sentinel(&other, ANA, &close).unwrap();
        assert_eq!(rig.ticket(&trio.ticket, "status"), "new");
        rig.emulator.set_settings(Settings::default());
        rig.until("the ticket is closed in the end", |rig| rig.all_closed(&trio));
        rig.quiet();
        assert!((1..=desk.close_writes).contains(&rig.ticket_edits(&trio.ticket).0.len()));
        assert!(rig.tickets().len() <= 2);
    }
}
