//! Owners that are no accounts.

use lockstep::emulator::{DefenderEdit, SentinelEdit};

use crate::rig::Rig;

/// A group is assigned in Sentinel: Defender hears nothing of it, and what lockstep writes besides keeps it.
#[test]
fn a_group_that_owns_an_incident_is_left_alone_and_kept() {
    let mut rig = Rig::new();
    let pair = rig.pair();
    rig.start();
    rig.quiet();
    let group = SentinelEdit { owner_group: Some("SOC Tier 2".to_owned()), ..SentinelEdit::default() };
    rig.emulator.human_sentinel(&pair.sentinel, "ben@example.org", &group).unwrap();
    rig.quiet();
    assert_eq!(rig.defender_writes(&pair).len(), 0);
    rig.emulator.human_defender(pair.defender, "ana@example.org", &DefenderEdit::severity("high")).unwrap();
    rig.until("the edit arrives", |rig| rig.sentinel_writes(&pair).len() == 1);
    rig.quiet();
    assert_eq!(rig.sentinel(&pair, "severity"), "High");
    let owner = &rig.emulator.sentinel_incident(&pair.sentinel).unwrap()["properties"]["owner"];
    assert_eq!(
        (owner["assignedTo"].as_str(), owner["ownerType"].as_str()),
        (Some("SOC Tier 2"), Some("Group"))
    );
    assert_eq!(rig.defender(&pair, "assignedTo"), "");
    let ana = DefenderEdit::owner(Some("ana@example.org"));
    rig.emulator.human_defender(pair.defender, "ana@example.org", &ana).unwrap();
    rig.quiet();
    let owner = &rig.emulator.sentinel_incident(&pair.sentinel).unwrap()["properties"]["owner"];
    assert_eq!(owner["ownerType"], "Group", "what is not stated is not written");
    assert_eq!(
        (rig.defender(&pair, "assignedTo"), rig.sentinel_writes(&pair).len()),
        ("ana@example.org".to_owned(), 1)
    );
}
