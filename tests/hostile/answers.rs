//! Spoilt answers to reads by id and to writes. A write whose answer cannot be read may have been executed.

use lockstep::emulator::{Api, DefenderEdit, Fault, FaultKind, Malformed, SentinelEdit, When};

use crate::assert_sound;
use crate::rig::{Pair, Rig};
use crate::support::comments;

const READS: [(Api, &str); 3] =
    [(Api::Graph, "get-incident"), (Api::Sentinel, "get-incident"), (Api::Sentinel, "list-comments")];
const WRITES: [(Api, &str); 4] = [
    (Api::Graph, "update-incident"),
    (Api::Graph, "comment-incident"),
    (Api::Sentinel, "put-incident"),
    (Api::Sentinel, "put-comment"),
];
/// How answers are spoilt; `Huge` has a test of its own, since it is slow.
const KINDS: [Malformed; 8] = [
    Malformed::WrongTypes,
    Malformed::Truncated,
    Malformed::MissingFields,
    Malformed::DuplicateIds,
    Malformed::UnknownEnum,
    Malformed::Nulls,
    Malformed::EmptyBody,
    Malformed::NotAnObject,
];

fn spoil(rig: &Rig, kind: &FaultKind, operations: &[(Api, &str)]) {
    for (api, operation) in operations {
        rig.emulator.add_fault(Fault::new(kind.clone()).on(*api, operation).when(When::Next(1)));
    }
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

/// One close and one comment each way, whatever became of the answers.
fn all_arrives_once(rig: &Rig, (one, two): (&Pair, &Pair), why: &str) {
    rig.until("closes and comments arrive", |rig| {
        rig.sentinel(one, "status") == "Closed"
            && rig.defender(two, "status") == "resolved"
            && !comments(&rig.sentinel_writes(one)).is_empty()
            && !comments(&rig.defender_writes(two)).is_empty()
    });
    rig.quiet();
    rig.emulator.clear_faults();
    rig.quiet();
    let (there, here) = (rig.sentinel_writes(one), rig.defender_writes(two));
    assert_eq!((there.len(), here.len()), (2, 2), "{why}: {there:#?} {here:#?}");
    assert_eq!((comments(&there).len(), comments(&here).len()), (1, 1), "{why}");
    assert_eq!((rig.defender_writes(one), rig.sentinel_writes(two)), (vec![], vec![]), "{why}");
    assert_sound(rig);
}

fn everything_arrives_once_despite(kind: &FaultKind, operations: &[(Api, &str)]) {
    let mut rig = Rig::new();
    let (one, two) = (rig.pair(), rig.pair());
    rig.start();
    rig.quiet();
    spoil(&rig, kind, operations);
    people_work(&rig, &one, &two);
    all_arrives_once(&rig, (&one, &two), &format!("{kind:?}"));
}

#[test]
fn spoilt_answers_to_writes() {
    for how in KINDS {
        everything_arrives_once_despite(&FaultKind::Malformed { how }, &WRITES);
    }
}

#[test]
fn spoilt_answers_to_reads() {
    for how in KINDS {
        everything_arrives_once_despite(&FaultKind::Malformed { how }, &READS);
    }
}

#[test]
fn answers_of_twenty_million_characters() {
    let all: Vec<_> = READS.iter().chain(&WRITES).copied().collect();
    everything_arrives_once_despite(&FaultKind::Malformed { how: Malformed::Huge }, &all);
}

#[test]
fn a_login_page_in_place_of_answers() {
    let all: Vec<_> = READS.iter().chain(&WRITES).copied().collect();
    everything_arrives_once_despite(&FaultKind::Html { status: 200 }, &all);
}

/// Old comments, spoilt in the list, must not look like new ones, nor hide that a copy is there already.
#[test]
fn spoilt_comments_are_neither_copied_nor_missed() {
    for how in [Malformed::WrongTypes, Malformed::Nulls, Malformed::MissingFields, Malformed::DuplicateIds] {
        let mut rig = Rig::new();
        let (one, two) = (rig.pair(), rig.pair());
        rig.start();
        rig.quiet();
        people_work(&rig, &one, &two);
        all_arrives_once(&rig, (&one, &two), "before");
        // Each next look at a record's comments shows the first of them spoilt, while news keep coming.
        let looks = [(Api::Sentinel, "list-comments"), (Api::Graph, "get-incident")];
        for (api, operation) in looks {
            let fault = Fault::new(FaultKind::Malformed { how }).on(api, operation);
            rig.emulator.add_fault(fault.when(When::Next(3)));
        }
        rig.emulator
            .human_sentinel(&two.sentinel, "ben@example.org", &SentinelEdit::comment("second thought"))
            .unwrap();
        rig.until("the second comment arrives", |rig| comments(&rig.defender_writes(&two)).len() >= 2);
        rig.quiet();
        rig.emulator.clear_faults();
        rig.quiet();
        let copies = comments(&rig.defender_writes(&two));
        assert_eq!(copies.len(), 2, "{how:?}: {copies:#?}");
        assert!(copies[1].contains("second thought"), "{how:?}: {copies:#?}");
        assert_eq!(rig.sentinel_writes(&two), [], "{how:?}");
        assert_sound(&rig);
    }
}
