//! Spoilt lists: the first record of every list, or the list as a whole.

use lockstep::emulator::{
    Api, DefenderEdit, Fault, FaultKind, Malformed, RetryAfter, SentinelEdit, SentinelSeed, When,
};

use crate::rig::{Pair, Rig};
use crate::{assert_sound, counted};

const LISTS: [(Api, &str); 3] =
    [(Api::Graph, "list-incidents"), (Api::Graph, "list-alerts"), (Api::Sentinel, "list-incidents")];

fn spoil_lists(rig: &Rig, kind: &FaultKind, when: When) {
    for (api, operation) in LISTS {
        rig.emulator.add_fault(Fault::new(kind.clone()).on(api, operation).when(when));
    }
}

fn close_in_defender(rig: &Rig, pair: &Pair) {
    let close = DefenderEdit::resolve("truePositive", "phishing");
    rig.emulator.human_defender(pair.defender, "ana@example.org", &close).unwrap();
}

fn close_in_sentinel(rig: &Rig, pair: &Pair) {
    let close = SentinelEdit::close("BenignPositive", Some("SuspiciousButExpected"));
    rig.emulator.human_sentinel(&pair.sentinel, "ben@example.org", &close).unwrap();
}

/// Both pairs are closed on both sides, by one write on the side where nobody did it by hand.
fn both_arrive_once(rig: &Rig, one: &Pair, two: &Pair) {
    rig.until("both closes arrive", |rig| {
        rig.sentinel(one, "status") == "Closed" && rig.defender(two, "status") == "resolved"
    });
    rig.quiet();
    assert_eq!((rig.sentinel_writes(one).len(), rig.defender_writes(two).len()), (1, 1));
    assert_eq!((rig.defender_writes(one), rig.sentinel_writes(two)), (vec![], vec![]));
}

/// The oldest record of every list is spoilt for good, and the closes of others arrive all the same; the spoilt one's
/// own close arrives once it can be read again. Returns the rig for what is particular to the fault.
fn others_arrive_beside(how: Malformed) -> (Rig, Pair) {
    let mut rig = Rig::new();
    let bad = rig.pair();
    let (one, two) = (rig.pair(), rig.pair());
    rig.start();
    rig.quiet();
    spoil_lists(&rig, &FaultKind::Malformed { how }, When::Always);
    close_in_defender(&rig, &one);
    close_in_sentinel(&rig, &two);
    both_arrive_once(&rig, &one, &two);
    assert_eq!((rig.defender_writes(&bad), rig.sentinel_writes(&bad)), (vec![], vec![]), "{how:?}");
    assert_sound(&rig);
    (rig, bad)
}

fn recovers(rig: &Rig, bad: &Pair) {
    rig.emulator.clear_faults();
    close_in_defender(rig, bad);
    rig.until("the close of what was spoilt arrives", |rig| rig.sentinel(bad, "status") == "Closed");
    rig.quiet();
    assert_eq!((rig.sentinel_writes(bad).len(), rig.defender_writes(bad).len()), (1, 0));
    assert_sound(rig);
}

fn is_told_of(rig: &Rig) {
    assert!(counted(rig, "lockstep_malformed_total") >= 1.0, "{:?}", rig.get("/metrics"));
    assert!(rig.log().contains("a record could not be read"), "{}", rig.log());
}

#[test]
fn a_record_of_wrong_types_holds_up_no_other() {
    let (rig, bad) = others_arrive_beside(Malformed::WrongTypes);
    is_told_of(&rig);
    recovers(&rig, &bad);
}

#[test]
fn a_record_with_missing_fields_holds_up_no_other() {
    let (rig, bad) = others_arrive_beside(Malformed::MissingFields);
    is_told_of(&rig);
    recovers(&rig, &bad);
}

#[test]
fn a_record_of_nulls_holds_up_no_other() {
    let (rig, bad) = others_arrive_beside(Malformed::Nulls);
    is_told_of(&rig);
    recovers(&rig, &bad);
}

#[test]
fn a_record_listed_twice_is_taken_once() {
    let (rig, bad) = others_arrive_beside(Malformed::DuplicateIds);
    recovers(&rig, &bad);
}

#[test]
fn values_that_nobody_knows_are_left_alone_and_told_of() {
    let mut rig = Rig::new();
    let (bad, good) = (rig.pair(), rig.pair());
    rig.start();
    rig.quiet();
    let how = Malformed::UnknownEnum;
    spoil_lists(&rig, &FaultKind::Malformed { how }, When::Always);
    // The list's word counts only for what changed since it was read.
    let title = DefenderEdit::title("Renamed meanwhile");
    rig.emulator.human_defender(bad.defender, "ana@example.org", &title).unwrap();
    rig.emulator.human_defender(good.defender, "ana@example.org", &DefenderEdit::title("Too")).unwrap();
    close_in_defender(&rig, &good);
    rig.until("the close and the titles arrive", |rig| {
        rig.sentinel(&good, "status") == "Closed" && rig.sentinel(&bad, "title") == "Renamed meanwhile"
    });
    rig.quiet();
    assert_eq!(rig.sentinel(&bad, "status"), "New");
    assert_eq!(rig.defender_writes(&bad), []);
    assert_sound(&rig);
    recovers_from_unknown_values(&rig, &bad);
}

fn recovers_from_unknown_values(rig: &Rig, bad: &Pair) {
    let before = rig.sentinel_writes(bad).len();
    rig.emulator.clear_faults();
    close_in_defender(rig, bad);
    rig.until("the close arrives", |rig| rig.sentinel(bad, "status") == "Closed");
    rig.quiet();
    assert_eq!(rig.sentinel_writes(bad).len(), before + 1);
    assert_eq!(rig.defender_writes(bad), []);
}

/// A list of which nothing can be used costs time and nothing else.
fn nothing_is_lost_when_lists_are(kind: &FaultKind) {
    let mut rig = Rig::new();
    let (one, two) = (rig.pair(), rig.pair());
    rig.start();
    rig.quiet();
    spoil_lists(&rig, kind, When::Next(3));
    close_in_defender(&rig, &one);
    close_in_sentinel(&rig, &two);
    both_arrive_once(&rig, &one, &two);
    assert!(rig.log().contains("poll failed"), "{kind:?}: {}", rig.log());
    assert!(
        counted(&rig, "lockstep_polls_total{collection=\"incident\",outcome=\"failed\"") >= 1.0,
        "{kind:?}"
    );
    assert_sound(&rig);
}

#[test]
fn lists_that_break_off_are_listed_again() {
    nothing_is_lost_when_lists_are(&FaultKind::Malformed { how: Malformed::Truncated });
}

#[test]
fn lists_without_a_body_are_listed_again() {
    nothing_is_lost_when_lists_are(&FaultKind::Malformed { how: Malformed::EmptyBody });
}

#[test]
fn lists_that_are_no_object_are_listed_again() {
    nothing_is_lost_when_lists_are(&FaultKind::Malformed { how: Malformed::NotAnObject });
}

#[test]
fn a_login_page_in_place_of_a_list_is_no_empty_list() {
    nothing_is_lost_when_lists_are(&FaultKind::Html { status: 200 });
}

#[test]
fn throttled_lists_are_listed_again_whatever_the_advice() {
    for retry_after in [RetryAfter::Decimal(0.25), RetryAfter::HttpDate(1), RetryAfter::Absent] {
        let mut rig = Rig::new();
        let (one, two) = (rig.pair(), rig.pair());
        rig.start();
        rig.quiet();
        spoil_lists(&rig, &FaultKind::Throttle { retry_after }, When::Next(2));
        close_in_defender(&rig, &one);
        close_in_sentinel(&rig, &two);
        both_arrive_once(&rig, &one, &two);
        assert_sound(&rig);
    }
}

/// More Sentinel incidents than a page holds, and a token that dies between the pages, and links that lead away.
#[test]
fn lists_of_several_pages_survive_a_dying_token_and_links_that_lead_away() {
    let mut rig = Rig::new();
    let pairs: Vec<Pair> = (0..60).map(|_| rig.pair()).collect();
    for n in 0..200 {
        rig.emulator
            .add_sentinel_incident(&SentinelSeed { title: format!("Rule {n}"), ..SentinelSeed::default() });
    }
    for (api, operation) in [LISTS[0], LISTS[2]] {
        rig.emulator.add_fault(Fault::new(FaultKind::ExpireToken).on(api, operation).when(When::Next(2)));
    }
    let away = Fault::new(FaultKind::ForeignNextLink).on(Api::Sentinel, "list-incidents");
    rig.emulator.add_fault(away.when(When::Next(4)));
    rig.start();
    rig.quiet();
    let (one, two) = (&pairs[0], &pairs[59]);
    close_in_defender(&rig, one);
    close_in_sentinel(&rig, two);
    both_arrive_once(&rig, one, two);
    assert!(rig.log().contains("leads away"), "{}", rig.log());
    assert_sound(&rig);
}

/// Fifty incidents of a page can hold 100 comments of 30,000 characters each, far more than an answer may.
#[test]
fn pages_that_are_too_large_are_asked_for_in_smaller_ones() {
    let mut rig = Rig::new();
    let pairs: Vec<Pair> = (0..4).map(|_| rig.pair()).collect();
    rig.start();
    rig.quiet();
    let long = "€".repeat(29_000);
    for pair in &pairs[..3] {
        for _ in 0..80 {
            let comment = DefenderEdit::comment(&long);
            rig.emulator.human_defender(pair.defender, "ana@example.org", &comment).unwrap();
        }
    }
    close_in_defender(&rig, &pairs[3]);
    rig.until("the close arrives", |rig| rig.sentinel(&pairs[3], "status") == "Closed");
    assert_eq!(rig.sentinel_writes(&pairs[3]).len(), 1);
    assert_sound(&rig);
}
