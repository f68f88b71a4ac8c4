//! Answers lost, throttling, errors, stale reads, conflicts, expired tokens, outages.

use lockstep::emulator::{
    Api, DefenderEdit, Fault, FaultKind, Outage, RetryAfter, SentinelEdit, Settings, When,
};

use crate::rig::{Pair, Rig};
use crate::support::{comments, pause};

/// People do one thing of each kind on each side while a fault is in force; everything arrives once.
fn everything_arrives_once_despite(faults: &[Fault]) {
    let mut rig = Rig::new();
    let (one, two) = (rig.pair(), rig.pair());
    rig.start();
    rig.quiet();
    for fault in faults {
        rig.emulator.add_fault(fault.clone());
    }
    people_work(&rig, &one, &two);
    rig.until("both closes arrive", |rig| {
        rig.sentinel(&one, "status") == "Closed" && rig.defender(&two, "status") == "resolved"
    });
    rig.quiet();
    rig.emulator.clear_faults();
    rig.quiet();
    let (there, here) = (rig.sentinel_writes(&one), rig.defender_writes(&two));
    assert_eq!((comments(&there).len(), comments(&here).len()), (1, 1), "{faults:?}: {there:#?} {here:#?}");
    assert_eq!((there.len(), here.len()), (2, 2), "{faults:?}: {there:#?} {here:#?}");
    assert_eq!((rig.defender_writes(&one), rig.sentinel_writes(&two)), (vec![], vec![]), "{faults:?}");
}

/// A close and a comment in Defender, and the same in Sentinel, each on a pair of its own.
fn people_work(rig: &Rig, one: &Pair, two: &Pair) {
    let (ana, ben) = ("ana@example.org", "ben@example.org");
    let (id, name) = (one.defender, two.sentinel.as_str());
    rig.emulator.human_defender(id, ana, &DefenderEdit::resolve("truePositive", "phishing")).unwrap();
    rig.emulator.human_defender(id, ana, &DefenderEdit::comment("isolated host7")).unwrap();
    let close = SentinelEdit::close("BenignPositive", Some("SuspiciousButExpected"));
    rig.emulator.human_sentinel(name, ben, &close).unwrap();
    rig.emulator.human_sentinel(name, ben, &SentinelEdit::comment("mail purged")).unwrap();
}

const WRITES: [(Api, &str); 4] = [
    (Api::Graph, "update-incident"),
    (Api::Graph, "comment-incident"),
    (Api::Sentinel, "put-incident"),
    (Api::Sentinel, "put-comment"),
];

fn on_every_write(kind: &FaultKind) -> Vec<Fault> {
    WRITES.iter().map(|(api, operation)| Fault::new(kind.clone()).on(*api, operation)).collect()
}

#[test]
fn an_answer_lost_after_applying_on_every_kind_of_write() {
    everything_arrives_once_despite(&on_every_write(&FaultKind::DropAfter));
}

#[test]
fn a_request_lost_before_applying_on_every_kind_of_write() {
    everything_arrives_once_despite(&on_every_write(&FaultKind::DropBefore));
}

#[test]
fn an_error_after_applying_on_every_kind_of_write() {
    everything_arrives_once_despite(&on_every_write(&FaultKind::ErrorAfter { status: 503 }));
}

#[test]
fn an_error_before_applying_on_every_kind_of_write() {
    everything_arrives_once_despite(&on_every_write(&FaultKind::ErrorBefore { status: 500 }));
}

#[test]
fn throttling_with_and_without_advice() {
    for retry_after in
        [RetryAfter::Seconds(1), RetryAfter::Decimal(0.3), RetryAfter::HttpDate(1), RetryAfter::Absent]
    {
        everything_arrives_once_despite(&on_every_write(&FaultKind::Throttle { retry_after }));
    }
}

#[test]
fn stale_reads_stale_etags_and_stale_answers() {
    let stale = |kind, api, operation| Fault::new(kind).on(api, operation).when(When::Next(2));
    everything_arrives_once_despite(&[
        stale(FaultKind::StaleRead, Api::Graph, "get-incident"),
        stale(FaultKind::StaleRead, Api::Sentinel, "get-incident"),
        stale(FaultKind::StaleEtag, Api::Sentinel, "put-incident"),
        stale(FaultKind::StalePatchBody, Api::Graph, "update-incident"),
        stale(FaultKind::EtagMovesOn, Api::Sentinel, "put-incident"),
    ]);
}

#[test]
fn a_lost_answer_followed_by_a_stale_read() {
    let mut faults = on_every_write(&FaultKind::DropAfter);
    faults.push(Fault::new(FaultKind::StaleRead).on(Api::Graph, "get-incident").when(When::Next(2)));
    faults.push(Fault::new(FaultKind::StaleRead).on(Api::Sentinel, "list-comments").when(When::Next(1)));
    everything_arrives_once_despite(&faults);
}

#[test]
fn a_proxys_error_page_and_an_expired_token() {
    let html = |api| Fault::new(FaultKind::Html { status: 502 }).on_api(api).when(When::Next(3));
    let token = |api| Fault::new(FaultKind::ExpireToken).on_api(api).when(When::Next(1));
    everything_arrives_once_despite(&[
        html(Api::Graph),
        token(Api::Graph),
        html(Api::Sentinel),
        token(Api::Sentinel),
    ]);
}

#[test]
fn a_fifth_of_all_requests_fail_somehow() {
    let often = |kind| Fault::new(kind).when(When::Probability(0.04));
    everything_arrives_once_despite(&[
        often(FaultKind::DropAfter),
        often(FaultKind::DropBefore),
        often(FaultKind::ErrorAfter { status: 504 }),
        often(FaultKind::StaleRead),
        often(FaultKind::Throttle { retry_after: RetryAfter::Decimal(0.1) }),
    ]);
}

#[test]
fn lists_that_lag_behind() {
    let mut rig = Rig::new();
    let (one, two) = (rig.pair(), rig.pair());
    let settings = Settings { graph_list_lag: 1.0, sentinel_list_lag: 2.0, ..rig.emulator.settings() };
    rig.emulator.set_settings(settings);
    rig.start();
    rig.until("both pairs are linked", |rig| {
        let list = rig.get("/api/v1/mappings?limit=10").unwrap_or_default();
        list.contains(&one.sentinel) && list.contains(&two.sentinel)
    });
    rig.quiet();
    people_work(&rig, &one, &two);
    rig.until("both closes arrive", |rig| {
        rig.sentinel(&one, "status") == "Closed" && rig.defender(&two, "status") == "resolved"
    });
    pause(std::time::Duration::from_secs(3)); // the lag passes, and lists show our own writes
    rig.quiet();
    assert_eq!((rig.sentinel_writes(&one).len(), rig.defender_writes(&two).len()), (2, 2));
    assert_eq!((rig.defender_writes(&one), rig.sentinel_writes(&two)), (vec![], vec![]));
}

#[test]
fn one_side_is_down_while_people_go_on_working_on_both() {
    for outage in [Outage::Refuse, Outage::Drop] {
        let mut rig = Rig::new();
        let (one, two) = (rig.pair(), rig.pair());
        rig.start();
        rig.quiet();
        rig.emulator.set_settings(Settings { sentinel_outage: outage, ..rig.emulator.settings() });
        people_work(&rig, &one, &two);
        rig.until("the worker has met the outage", |rig| rig.gauge("lockstep_outbox_depth") >= Some(2.0));
        rig.kill();
        rig.start();
        rig.emulator.set_settings(Settings { sentinel_outage: Outage::Off, ..rig.emulator.settings() });
        rig.until("both closes arrive", |rig| {
            rig.sentinel(&one, "status") == "Closed" && rig.defender(&two, "status") == "resolved"
        });
        rig.quiet();
        assert_eq!((rig.sentinel_writes(&one).len(), rig.defender_writes(&two).len()), (2, 2));
        assert_eq!((rig.defender_writes(&one), rig.sentinel_writes(&two)), (vec![], vec![]));
    }
}

#[test]
fn one_incident_that_is_always_refused_holds_up_no_other() {
    let mut rig = Rig::new();
    let (bad, good) = (rig.pair(), rig.pair());
    rig.start();
    rig.quiet();
    rig.emulator
        .add_fault(Fault::new(FaultKind::ErrorBefore { status: 400 }).on(Api::Sentinel, "put-incident"));
    let close = DefenderEdit::resolve("truePositive", "phishing");
    rig.emulator.human_defender(bad.defender, "ana@example.org", &close).unwrap();
    rig.until("it is given up", |rig| rig.gauge("lockstep_dead_letters") == Some(1.0));
    rig.emulator.human_defender(good.defender, "ana@example.org", &close).unwrap();
    rig.until("the other arrives", |rig| rig.sentinel(&good, "status") == "Closed");
    assert_eq!(rig.stop(), Some(0));
    let list = rig.command(&["dead-letters", "list"]).output().unwrap();
    let list = String::from_utf8_lossy(&list.stdout).into_owned();
    assert!(list.contains(&bad.sentinel), "{list}");
    let id = list.split_whitespace().next().unwrap().to_owned();
    assert!(rig.command(&["dead-letters", "retry", &id]).status().unwrap().success());
    rig.start();
    rig.until("the retry arrives", |rig| rig.sentinel(&bad, "status") == "Closed");
    rig.quiet();
    assert_eq!((rig.sentinel_writes(&bad).len(), rig.sentinel_writes(&good).len()), (1, 1));
}

#[test]
fn a_flood_is_carried_over_one_write_each() {
    let mut rig = Rig::new();
    let pairs: Vec<Pair> = (0..120).map(|_| rig.pair()).collect();
    rig.start();
    rig.quiet();
    for (n, pair) in pairs.iter().enumerate() {
        if n % 2 == 0 {
            let close = DefenderEdit::resolve("falsePositive", "notMalicious");
            rig.emulator.human_defender(pair.defender, "ana@example.org", &close).unwrap();
        } else {
            let close = SentinelEdit::close("Undetermined", None);
            rig.emulator.human_sentinel(&pair.sentinel, "ben@example.org", &close).unwrap();
        }
    }
    rig.until("all arrive", |rig| {
        pairs.iter().all(|p| rig.sentinel(p, "status") == "Closed" && rig.defender(p, "status") == "resolved")
    });
    rig.quiet();
    for (n, pair) in pairs.iter().enumerate() {
        let counts = (rig.sentinel_writes(pair).len(), rig.defender_writes(pair).len());
        assert_eq!(counts, if n % 2 == 0 { (1, 0) } else { (0, 1) }, "pair {n}");
    }
}
