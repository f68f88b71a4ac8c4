//! What several benches need: the rules of a bridge between one Defender tenant and one Sentinel workspace.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;
use lockstep::model::{BridgeName, SystemName};
use lockstep::reconcile::{
    ClosingPolicy, Conflicts, Direction, Filter, MarkerKey, Policy, Rules, SystemPolicy, TicketPolicy,
};
use lockstep::translate::Translation;

pub(crate) fn system(name: &str) -> SystemName {
    SystemName::new(name).expect("a valid name")
}

pub(crate) fn bridge() -> BridgeName {
    BridgeName::new("corp").expect("a valid name")
}

/// The defaults, for systems called `defender` and `sentinel`.
pub(crate) fn rules() -> Rules {
    let table = |kind: &str| SystemPolicy {
        name: system(kind),
        main: lockstep::model::RecordKind::Incident,
        translation: Arc::new(Translation::builtin(kind).expect("a sound table")),
    };
    let policy = Policy {
        bridge: bridge(),
        systems: vec![table("defender"), table("sentinel")],
        native_sync: None,
        create_in: BTreeSet::new(),
        since: Timestamp::UNIX_EPOCH,
        filter: Filter::default(),
        fields: BTreeMap::new(),
        comments: Direction::Both,
        conflicts: Conflicts::CloseWins,
        closing: ClosingPolicy::default(),
        tickets: TicketPolicy::default(),
        scope: String::new(),
    };
    Rules { policy, marker: MarkerKey::new([1; 32]) }
}
