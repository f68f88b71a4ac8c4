//! The bridge between the two sides: its rules, the names of its records, and snapshots and requests in the engine's
//! own words.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use lockstep::engine::{Effect, Request};
use lockstep::model::{
    BridgeName, Comment, CommentKey, MappingId, RecordId, RecordKind, RecordRef, Snapshot, SystemName,
};
use lockstep::reconcile::{
    ClosingPolicy, Conflicts, Direction, Filter, MarkerKey, Policy, Rules, SystemPolicy, TicketPolicy,
    copy_name, derived_record,
};
use lockstep::translate::Translation;

use super::messages::{Body, Write};
use super::world::{Flavour, Item, Scenario, Seen, fields, note, snapshot};

/// The bridge.
pub(crate) struct Bridge {
    /// What is explored.
    pub(crate) scenario: Scenario,
    /// Its rules.
    pub(crate) rules: Rules,
    /// The name under which the record of the second side is planned.
    key: RecordRef,
}

/// The name of a side's system.
pub(crate) fn system(side: usize) -> SystemName {
    SystemName::new(["defender", "other"][side]).expect("not blank")
}

/// The one mapping.
pub(crate) fn mapping_id() -> MappingId {
    MappingId(1)
}

impl Bridge {
    /// The bridge of a scenario.
    pub(crate) fn new(scenario: Scenario) -> Self {
        let rules = rules(&scenario);
        let key = derived_record(mapping_id(), &system(1), 0, &rules.policy);
        Self { scenario, rules, key }
    }

    /// Whether a system takes comment ids of our choice.
    pub(crate) fn chooses_ids(&self, name: &SystemName) -> bool {
        let side = usize::from(*name != system(0));
        self.scenario.flavours[side] == Flavour::Sentinel
    }

    /// The name of a side's record.
    fn record(&self, side: usize) -> RecordRef {
        let id = |text: &str| RecordId::new(text).expect("not blank");
        match (side, self.scenario.flavours[side]) {
            (0, _) => RecordRef::incident(&system(0), id("1")),
            (_, Flavour::Ticket) => RecordRef::ticket(&system(1), id("T1")),
            _ if self.scenario.created => self.key.clone(),
            _ => RecordRef::incident(&system(1), id("g")),
        }
    }

    /// What a list or a read shows, in the engine's words.
    pub(crate) fn snapshot(&self, seen: Seen) -> Snapshot {
        let flavour = self.scenario.flavours[seen.side];
        let items = 0..self.scenario.menu.len();
        let has = |bit: usize| seen.version.notes & (1 << bit) != 0;
        let people = items.clone().filter(|item| has(*item)).map(note);
        let copies = items.filter(|item| has(8 + item)).map(|item| self.copy(item));
        let comments = people.chain(copies).collect();
        let mut snapshot = snapshot(seen, self.record(seen.side), flavour, comments);
        if seen.side == 1 && flavour == Flavour::Ticket {
            snapshot.planned_as = Some(self.key.clone());
        } else if seen.side == 1 {
            snapshot.links = vec![self.record(0)];
        }
        snapshot
    }

    /// The comment that the copy of an item's comment becomes.
    fn copy(&self, item: usize) -> Comment {
        let (origin, comment) = (self.record(self.scenario.menu[item].side), note(item));
        let name = copy_name(&origin, &comment.key);
        let text = self.rules.marker.copy_text(&name, &origin, &comment);
        let chooses = self.scenario.flavours[1 - self.scenario.menu[item].side] == Flavour::Sentinel;
        let key = if chooses { name } else { CommentKey::from_id(&format!("k{item}")) };
        Comment { key, text, author: Some("lockstep".to_owned()), ..comment }
    }

    /// What a step sends.
    pub(crate) fn write(&self, effect: &Effect) -> Write {
        let read = effect.current.as_ref().and_then(|current| current.revision.parse().ok());
        let body = match &effect.request {
            Request::Update(patch) => Body::Fields(fields(patch)),
            Request::Create(patch) => Body::Create(fields(patch)),
            Request::Comment(key, _) => Body::Comment(self.item_of(key)),
        };
        let side = usize::from(effect.target.system != system(0));
        Write { intent: effect.intent.number, side, guard: read.unwrap_or(-1), body }
    }

    /// Whose comment a copy is of.
    pub(crate) fn item_of(&self, key: &CommentKey) -> usize {
        let items = self.scenario.menu.iter().enumerate();
        let named = |(item, by): (usize, &Item)| {
            (copy_name(&self.record(by.side), &note(item).key) == *key).then_some(item)
        };
        items.into_iter().find_map(named).expect("a copy of a comment that a person wrote")
    }
}

/// The two tables differ in their words, so that neither side's can be taken for the other's.
const TABLES: [&str; 2] = [
    r#"
kind = "model-defender"
[incident]
owner = "identity"
[incident.status]
read = { active = "active", resolved = "closed" }
write = { new = "active", active = "active", closed = "resolved" }
legal = ["active", "resolved"]
"#,
    r#"
kind = "model-other"
[incident]
owner = "identity"
[incident.status]
read = { New = "active", Closed = "closed" }
write = { new = "New", active = "New", closed = "Closed" }
legal = ["New", "Closed"]
[ticket]
owner = "identity"
status = "as-incident"
"#,
];

fn rules(scenario: &Scenario) -> Rules {
    let policy_of = |side: usize| SystemPolicy {
        name: system(side),
        main: if scenario.flavours[side] == Flavour::Ticket {
            RecordKind::Ticket
        } else {
            RecordKind::Incident
        },
        translation: Arc::new(Translation::parse(TABLES[side], "model").expect("a valid table")),
    };
    let policy = Policy {
        bridge: BridgeName::new("model").expect("not blank"),
        systems: vec![policy_of(0), policy_of(1)],
        native_sync: None,
        // A ticket is always one of ours.
        create_in: (scenario.created || scenario.flavours[1] == Flavour::Ticket)
            .then(|| system(1))
            .into_iter()
            .collect(),
        since: Timestamp::UNIX_EPOCH,
        filter: Filter::default(),
        fields: BTreeMap::new(),
        comments: Direction::Both,
        conflicts: Conflicts::CloseWins,
        closing: ClosingPolicy::default(),
        tickets: TicketPolicy::default(),
        scope: String::new(),
    };
    Rules { policy, marker: MarkerKey::new([7; 32]) }
}
