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

/// A table of tickets that begin as `new`, and state why they were closed only while they are.
const TICKETS: &str = r#"
kind = "tickets"
verdict_only_when_closed = true
status_in_steps = true

[ticket]
owner = "identity"
title = { max = 40 }

[ticket.status]
read = { new = "new", open = "active", resolved = "closed", closed = "closed" }
write = { new = "new", active = "open", closed = "resolved" }
legal = ["new", "open", "resolved", "closed"]

[ticket.verdict]
read = { real = "true-positive", harmless = "benign-positive", false = "false-positive", unclear = "undetermined" }
write = { "true-positive/*" = "real", "benign-positive/*" = "harmless", "false-positive/*" = "false", "undetermined" = "unclear" }
legal = ["real", "harmless", "false", "unclear"]
vague = ["unclear"]
"#;

/// The same bridge with a ticket system `tickets`, in which it opens tickets.
pub(crate) fn ticket_rules() -> Rules {
    let mut rules = rules();
    let name = SystemName::new("tickets").unwrap();
    rules.policy.systems.push(SystemPolicy {
        name: name.clone(),
        main: RecordKind::Ticket,
        translation: Arc::new(Translation::parse(TICKETS, "tickets.toml").unwrap()),
    });
    rules.policy.create_in.insert(name);
    rules
}

/// A record read by id just now, without comments.
pub(crate) fn snapshot(record: &str, modified: Timestamp, native: &[(Field, Native)]) -> Snapshot {
    Snapshot {
        record: record.parse().unwrap(),
        revision: modified.to_string(),
        modified,
        modified_by: None,
        fresh: true,
        hidden: crate::model::Natives::new(),
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
