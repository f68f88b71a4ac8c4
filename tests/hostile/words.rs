//! Words that no table knows, in one answer and gone in the next.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;
use lockstep::model::{
    BridgeName, Comments, Facts, Field, Lifecycle, Mapping, MappingId, Native, Snapshot, SystemName,
};
use lockstep::reconcile::{
    ClosingPolicy, Conflicts, Decision, Direction, Filter, MarkerKey, Observed, Policy, Rules, SystemPolicy,
    decide,
};
use lockstep::translate::Translation;

fn rules() -> Rules {
    let table = |kind: &str| SystemPolicy {
        name: SystemName::new(kind).unwrap(),
        translation: Arc::new(Translation::builtin(kind).unwrap()),
    };
    let policy = Policy {
        bridge: BridgeName::new("corp").unwrap(),
        systems: vec![table("defender"), table("sentinel")],
        native_sync: None,
        create_in: BTreeSet::new(),
        since: Timestamp::UNIX_EPOCH,
        filter: Filter::default(),
        fields: BTreeMap::new(),
        comments: Direction::Both,
        conflicts: Conflicts::CloseWins,
        closing: ClosingPolicy::default(),
    };
    Rules { policy, marker: MarkerKey::from_secret("k") }
}

fn snapshot(record: &str, second: i64, status: &str) -> Snapshot {
    Snapshot {
        record: record.parse().unwrap(),
        revision: second.to_string(),
        modified: Timestamp::from_second(1_800_000_000 + second).unwrap(),
        modified_by: None,
        fresh: true,
        native: [(Field::Status, Native::Text(status.to_owned()))].into(),
        closing_comment: None,
        comments: Comments::Counted(0),
        lifecycle: Lifecycle::Present,
        links: Vec::new(),
        parent: None,
        facts: Facts::default(),
        raw: serde_json::Value::Null,
    }
}

fn defender(second: i64, status: &str) -> Snapshot {
    snapshot("defender/incident/1", second, status)
}

fn sentinel(second: i64, status: &str) -> Snapshot {
    let links = vec!["defender/incident/1".parse().unwrap()];
    Snapshot { links, ..snapshot("sentinel/incident/g", second, status) }
}

fn see(mapping: &Mapping, snapshots: &[Snapshot]) -> Decision {
    decide(mapping, Observed { snapshots, ..Observed::default() }, &rules())
}

/// An analyst closed in Defender. The read of the Sentinel incident before the write states a word that nobody knows,
/// and the next one states what was there all the time: nobody edited anything, and the close stands.
#[test]
fn an_unknown_word_that_goes_again_is_no_reopening() {
    let bridge = BridgeName::new("corp").unwrap();
    let id = MappingId::derive(&bridge, &"defender/incident/1".parse().unwrap());
    let linked = see(&Mapping::new(id, bridge), &[defender(0, "active"), sentinel(0, "New")]).mapping;
    let closed = see(&linked, &[defender(5, "resolved")]);
    assert_eq!(closed.wishes.len(), 1);
    let odd = see(&closed.mapping, &[sentinel(0, "somethingNew")]);
    let back = see(&odd.mapping, &[sentinel(0, "New")]);
    assert!(back.mapping.is_closed(), "the close was undone: {:#?}", back.audit);
    let targets: Vec<_> = back.wishes.iter().map(|wish| wish.target.to_string()).collect();
    assert_eq!(targets, ["sentinel/incident/g"]);
}
