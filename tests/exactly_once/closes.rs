//! Closes and other edits from either side, bursts and conflicts.

use lockstep::emulator::{DefenderEdit, SentinelEdit};

use crate::rig::Rig;
use crate::support::comments;

#[test]
fn a_close_in_defender_reaches_sentinel_with_verdict_and_comment() {
    let mut rig = Rig::new();
    let pair = rig.pair();
    rig.start();
    rig.quiet();
    let edit = DefenderEdit::resolve("truePositive", "phishing").saying("User reported it");
    rig.emulator.human_defender(pair.defender, "ana@example.org", &edit).unwrap();
    rig.until("the close arrives", |rig| rig.sentinel(&pair, "status") == "Closed");
    rig.quiet();
    assert_eq!(rig.sentinel(&pair, "classification"), "TruePositive");
    assert_eq!(rig.sentinel(&pair, "classificationReason"), "SuspiciousActivity");
    let comment = rig.sentinel(&pair, "classificationComment");
    assert!(comment.contains("ana@example.org") && comment.contains("User reported it"), "{comment}");
    assert_eq!(rig.sentinel_writes(&pair).len(), 1, "{:#?}", rig.sentinel_writes(&pair));
    assert_eq!(rig.defender_writes(&pair), [], "nothing bounces back");
}

#[test]
fn a_close_in_sentinel_reaches_defender_and_its_alerts() {
    let mut rig = Rig::new();
    let pair = rig.pair();
    rig.start();
    rig.quiet();
    let edit = SentinelEdit::close("FalsePositive", Some("InaccurateData")).saying("Test traffic");
    rig.emulator.human_sentinel(&pair.sentinel, "ben@example.org", &edit).unwrap();
    rig.until("the close arrives", |rig| rig.defender(&pair, "status") == "resolved");
    rig.quiet();
    assert_eq!(rig.defender(&pair, "classification"), "falsePositive");
    assert!(rig.defender(&pair, "resolvingComment").contains("Test traffic"));
    let alerts = rig.emulator.defender_incident(pair.defender).unwrap()["alerts"].clone();
    for alert in alerts.as_array().unwrap() {
        assert_eq!(alert["status"], "resolved", "{alert:#}");
    }
    assert_eq!(rig.defender_writes(&pair).len(), 1, "{:#?}", rig.defender_writes(&pair));
    assert_eq!(rig.sentinel_writes(&pair), [], "nothing bounces back");
}

#[test]
fn every_field_travels_once_in_both_directions() {
    let mut rig = Rig::new();
    let pair = rig.pair();
    rig.start();
    rig.quiet();
    let (id, name) = (pair.defender, pair.sentinel.as_str());
    let from_defender = [
        DefenderEdit::owner(Some("ana@example.org")),
        DefenderEdit::severity("high"),
        DefenderEdit::tags(&["vip"]),
        DefenderEdit::title("Mailbox rule hides mail"),
        DefenderEdit::status("inProgress"),
    ];
    for (n, edit) in from_defender.iter().enumerate() {
        rig.emulator.human_defender(id, "ana@example.org", edit).unwrap();
        rig.until("the edit arrives", |rig| rig.sentinel_writes(&pair).len() == n + 1);
    }
    rig.quiet();
    assert_eq!(rig.sentinel(&pair, "owner"), "ana@example.org");
    assert_eq!(rig.sentinel(&pair, "severity"), "High");
    assert_eq!(rig.sentinel(&pair, "title"), "Mailbox rule hides mail");
    assert_eq!(rig.sentinel(&pair, "status"), "Active");
    assert!(rig.sentinel(&pair, "labels").contains("vip"));
    let from_sentinel = [
        SentinelEdit::owner(None),
        SentinelEdit::severity("Low"),
        SentinelEdit::labels(&["vip", "lab"]),
        SentinelEdit::title("Renamed again"),
    ];
    for (n, edit) in from_sentinel.iter().enumerate() {
        rig.emulator.human_sentinel(name, "ben@example.org", edit).unwrap();
        rig.until("the edit arrives", |rig| rig.defender_writes(&pair).len() == n + 1);
    }
    rig.quiet();
    assert_eq!(rig.defender(&pair, "assignedTo"), "");
    assert_eq!(rig.defender(&pair, "severity"), "low");
    assert_eq!(rig.defender(&pair, "displayName"), "Renamed again");
    assert!(rig.defender(&pair, "customTags").contains("lab"));
    assert_eq!((rig.sentinel_writes(&pair).len(), rig.defender_writes(&pair).len()), (5, 4));
}

#[test]
fn comments_are_copied_once_each_way_and_never_back() {
    let mut rig = Rig::new();
    let pair = rig.pair();
    rig.start();
    rig.quiet();
    rig.emulator
        .human_defender(pair.defender, "ana@example.org", &DefenderEdit::comment("isolated host7"))
        .unwrap();
    rig.emulator
        .human_sentinel(&pair.sentinel, "ben@example.org", &SentinelEdit::comment("mail purged"))
        .unwrap();
    rig.until("both arrive", |rig| rig.sentinel_writes(&pair).len() + rig.defender_writes(&pair).len() >= 2);
    rig.quiet();
    let (there, here) = (comments(&rig.sentinel_writes(&pair)), comments(&rig.defender_writes(&pair)));
    assert_eq!((there.len(), here.len()), (1, 1), "{there:?} {here:?}");
    assert!(there[0].contains("isolated host7") && there[0].contains("ana@example.org"), "{there:?}");
    assert!(here[0].contains("mail purged"), "{here:?}");
}

#[test]
fn a_reopening_travels_and_the_next_close_too() {
    let mut rig = Rig::new();
    let pair = rig.pair();
    rig.start();
    rig.quiet();
    let edit = DefenderEdit::resolve("truePositive", "malware");
    rig.emulator.human_defender(pair.defender, "ana@example.org", &edit).unwrap();
    rig.until("closed", |rig| rig.sentinel(&pair, "status") == "Closed");
    rig.quiet();
    rig.emulator.human_sentinel(&pair.sentinel, "ben@example.org", &SentinelEdit::status("Active")).unwrap();
    rig.until("reopened", |rig| rig.defender(&pair, "status") == "inProgress");
    rig.quiet();
    rig.emulator.human_defender(pair.defender, "ana@example.org", &DefenderEdit::status("resolved")).unwrap();
    rig.until("closed again", |rig| rig.sentinel(&pair, "status") == "Closed");
    rig.quiet();
    assert_eq!((rig.sentinel_writes(&pair).len(), rig.defender_writes(&pair).len()), (2, 1));
}

#[test]
fn a_burst_of_edits_ends_in_the_last_state_with_no_more_writes_than_edits() {
    let mut rig = Rig::new();
    let pair = rig.pair();
    rig.start();
    rig.quiet();
    for n in 0..20 {
        let edit = DefenderEdit::title(&format!("Title {n}"));
        rig.emulator.human_defender(pair.defender, "ana@example.org", &edit).unwrap();
    }
    let close = DefenderEdit::resolve("falsePositive", "notMalicious");
    rig.emulator.human_defender(pair.defender, "ana@example.org", &close).unwrap();
    rig.until("the close arrives", |rig| rig.sentinel(&pair, "status") == "Closed");
    rig.quiet();
    assert_eq!(rig.sentinel(&pair, "title"), "Title 19");
    let writes = rig.sentinel_writes(&pair).len();
    assert!((1..=21).contains(&writes), "{writes}");
    assert_eq!(rig.defender_writes(&pair), []);
}

#[test]
fn of_two_concurrent_edits_the_close_wins_and_the_loser_is_told_of() {
    let mut rig = Rig::new();
    let pair = rig.pair();
    rig.start();
    rig.quiet();
    rig.stop();
    rig.emulator.human_sentinel(&pair.sentinel, "ben@example.org", &SentinelEdit::status("Active")).unwrap();
    let close = DefenderEdit::resolve("truePositive", "malware");
    rig.emulator.human_defender(pair.defender, "ana@example.org", &close).unwrap();
    rig.start();
    rig.until("the close wins", |rig| rig.sentinel(&pair, "status") == "Closed");
    rig.quiet();
    assert_eq!(rig.defender(&pair, "status"), "resolved");
    assert_eq!((rig.sentinel_writes(&pair).len(), rig.defender_writes(&pair).len()), (1, 0));
    let told = rig.command(&["explain", &format!("sentinel/{}", pair.sentinel)]).output().unwrap();
    let told = String::from_utf8_lossy(&told.stdout).into_owned();
    assert!(told.contains("lost a conflict"), "{told}");
}

#[test]
fn a_merge_is_not_taken_for_a_close() {
    let mut rig = Rig::new();
    let (source, target) = (rig.pair(), rig.pair());
    rig.start();
    rig.quiet();
    rig.emulator.merge(source.defender, target.defender, "ana@example.org").unwrap();
    rig.until("the merge is seen", |rig| {
        rig.get("/api/v1/mappings?limit=10").is_some_and(|list| list.contains("redirected"))
    });
    rig.quiet();
    assert_eq!(rig.sentinel(&target, "status"), "New", "the attack goes on in the target");
    assert_eq!(rig.defender(&target, "status"), "active");
    assert_eq!(rig.sentinel_writes(&target), []);
}
