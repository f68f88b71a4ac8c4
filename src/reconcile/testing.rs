//! What tests of several rooms decide by: the default rules of a bridge, and snapshots.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;

use super::{
    ClosingPolicy, Conflicts, Direction, Filter, MarkerKey, Policy, Rules, SystemPolicy, TicketPolicy,
};
use crate::model::{BridgeName, Comments, Facts, Field, Lifecycle, Native, RecordKind, Snapshot, SystemName};
use crate::translate::Translation;

/// A bridge `corp` of `defender` and `sentinel`, with every default.
pub(crate) fn rules() -> Rules {
    let system = |kind: &str| SystemPolicy {
        name: SystemName::new(kind).unwrap(),
        main: RecordKind::Incident,
        translation: Arc::new(Translation::builtin(kind).unwrap()),
    };
    let policy = Policy {
        bridge: BridgeName::new("corp").unwrap(),
        systems: vec![system("defender"), system("sentinel")],
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

/// A record read by id just now, without comments.
pub(crate) fn snapshot(record: &str, modified: Timestamp, native: &[(Field, Native)]) -> Snapshot {
    Snapshot {
        record: record.parse().unwrap(),
        revision: modified.to_string(),
        modified,
        modified_by: None,
        fresh: true,
        native: native.iter().cloned().collect(),
        closing_comment: None,
        comments: Comments::Listed(Vec::new()),
        lifecycle: Lifecycle::Present,
        links: Vec::new(),
        parent: None,
        planned_as: None,
        facts: Facts::default(),
        raw: serde_json::Value::Null,
    }
}
