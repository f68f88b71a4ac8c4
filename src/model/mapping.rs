//! The records of one bridge that describe the same incident.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{
    BridgeName, CommentKey, Field, IntentId, MappingId, Native, Natives, RecordKind, RecordRef, Status,
    SystemName, Value, short_hex,
};

/// The records of one bridge that describe the same incident; the unit of storage and of work.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Mapping {
    /// Its name.
    pub id: MappingId,
    /// The bridge it belongs to.
    pub bridge: BridgeName,
    /// Whether it is in work.
    pub state: MappingState,
    /// Its records.
    pub members: Vec<Member>,
    /// What all its records should say now, and whose word that is.
    pub agreed: BTreeMap<Field, Agreed>,
    /// Who closed the incident, while it is closed.
    pub closing: Option<Closing>,
    /// The number of the next intent.
    pub next_intent: u32,
}

/// Whether a mapping is in work.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MappingState {
    /// Yes.
    Live,
    /// Its records went to another mapping, since the incident was merged or turned out to be the same.
    MergedInto(MappingId),
}

/// A value that all records should have, and where it came from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Agreed {
    /// The value.
    pub value: Value,
    /// The system in which it was edited.
    pub from: SystemName,
    /// That system's time of the edit (UTC).
    pub at: Timestamp,
    /// Whether it was said of a record that was closed, or in closing it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub closed: bool,
}

/// How the incident was closed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Closing {
    /// The system in which it was closed.
    pub system: SystemName,
    /// Who closed it, where that system tells.
    pub actor: Option<String>,
    /// The note the analyst left.
    pub comment: Option<String>,
}

/// One record of a mapping.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Member {
    /// Which record.
    pub record: RecordRef,
    /// The name under which lockstep planned it, where the system gave it an id of its own. It is inside the record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<RecordRef>,
    /// Where it stands.
    pub state: MemberState,
    /// What this mapping last acknowledged of it. `None` until it was read.
    pub base: Option<Base>,
    /// Fields in which this record is left to differ (by direction, reopen policy, or a lost word), until the
    /// agreed value changes next.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub exempt: BTreeSet<Field>,
    /// Fields in which this record still lacks what is agreed, though its people had seen all that people said: it was
    /// closed when that was agreed, or Microsoft's own sync settled it. Whoever edits one of them here has the later word.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub owed: BTreeSet<Field>,
    /// Values that native sync will bring here on its own, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub expected: Vec<(Field, Native)>,
    /// Those of them that need not come any more: they lost a conflict where they come from, or a write of ours came here.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub doubtful: Vec<(Field, Native)>,
    /// Fields that state a word no table knows, with that word. The base keeps the last known value: an odd word that
    /// comes and goes is no edit, and nothing is written over it while it is there.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub unknown: Natives,
    /// Something that only a read by id can tell is not known: a list hinted at it (a tie of times, new comments), or the
    /// record was taken for gone and may be found again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unread: bool,
    /// A digest of the closing note that we wrote last: read again, it is nobody's word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub own_note: Option<String>,
    /// Records that we created and that still lack this one's earlier comments.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub backfill: BTreeSet<RecordRef>,
}

/// Where a member stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MemberState {
    /// Named by another record, but not read yet.
    Awaited,
    /// To be created by us under this id.
    Planned,
    /// Read and kept in agreement.
    Linked,
    /// Merged away.
    Redirected,
    /// Deleted, or not visible any more.
    Gone,
    /// Another ticket stands for the incident here: an older one with the same key, or the one that followed it after a
    /// reopening. Nothing is written to it.
    Superseded,
    /// Taken out by an operator: nothing it says counts here, and nothing is written to it.
    Detached,
}

/// What was last acknowledged of a record: the measure of an edit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Base {
    /// The revision acknowledged.
    pub revision: String,
    /// The record's own last-update time at that revision (UTC).
    pub modified: Timestamp,
    /// The native values acknowledged.
    pub native: Natives,
    /// The values that it had but did not state.
    #[serde(default, skip_serializing_if = "Natives::is_empty")]
    pub hidden: Natives,
    /// The comments acknowledged.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub comments: BTreeSet<CommentKey>,
    /// How many comments the record had.
    #[serde(default)]
    pub comment_count: u32,
    /// Comments up to this time of the record's clock were there when it was linked, and are not carried over.
    pub linked_at: Timestamp,
    /// When the record was created, by its own clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<Timestamp>,
    /// The link for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
}

impl Mapping {
    /// A mapping without records.
    pub fn new(id: MappingId, bridge: BridgeName) -> Self {
        Self {
            id,
            bridge,
            state: MappingState::Live,
            members: Vec::new(),
            agreed: BTreeMap::new(),
            closing: None,
            next_intent: 0,
        }
    }

    /// The member for a record.
    pub fn member(&self, record: &RecordRef) -> Option<&Member> {
        self.members.iter().find(|member| member.record == *record)
    }

    /// The member for a record, to change it.
    pub fn member_mut(&mut self, record: &RecordRef) -> Option<&mut Member> {
        self.members.iter_mut().find(|member| member.record == *record)
    }

    /// The agreed value of a field.
    pub fn agreed(&self, field: Field) -> Option<&Value> {
        self.agreed.get(&field).map(|agreed| &agreed.value)
    }

    /// Whether the incident is agreed to be closed.
    pub fn is_closed(&self) -> bool {
        self.agreed(Field::Status) == Some(&Value::Status(Status::Closed))
    }

    /// Whether a system has, or had, an incident or ticket here. Its alerts follow that one, also where it was merged
    /// away: then they went along, and this mapping has no say in them any more (`graph-security.md` 2.8).
    pub fn has_main_record(&self, system: &SystemName) -> bool {
        self.members.iter().any(|m| m.record.system == *system && m.record.kind != RecordKind::Alert)
    }

    /// Whether snapshots of a record of this mapping belong here before anywhere else. A mapping that was merged away
    /// yields, so does an incident's mapping over an alert that another mapping keeps for itself, and a record that an
    /// operator took out goes wherever else it belongs.
    pub fn claims(&self, record: &RecordRef) -> bool {
        let follows_incident = record.kind == RecordKind::Alert && self.has_main_record(&record.system);
        let detached = self.member(record).is_some_and(|m| m.state == MemberState::Detached);
        self.state == MappingState::Live && !follows_incident && !detached
    }

    /// Every name under which a record of this mapping can be met, keys of planned tickets included, and whether it
    /// [claims](Self::claims) what is met.
    pub fn names(&self) -> impl Iterator<Item = (&RecordRef, bool)> {
        let keys = self.members.iter().filter_map(|member| member.key.as_ref());
        self.members.iter().map(|member| &member.record).chain(keys).map(|name| (name, self.claims(name)))
    }

    /// Takes the next intent number.
    pub fn take_intent_id(&mut self) -> IntentId {
        let number = self.next_intent;
        self.next_intent += 1;
        IntentId { mapping: self.id, number }
    }
}

impl Member {
    /// A member in a state, not read yet.
    pub fn new(record: RecordRef, state: MemberState) -> Self {
        Self {
            record,
            key: None,
            state,
            base: None,
            exempt: BTreeSet::new(),
            owed: BTreeSet::new(),
            expected: Vec::new(),
            doubtful: Vec::new(),
            unknown: Natives::new(),
            unread: false,
            own_note: None,
            backfill: BTreeSet::new(),
        }
    }

    /// Whether a closing note is the one that we wrote. White space does not count, since services re-wrap.
    pub fn wrote_note(&self, note: &str) -> bool {
        self.own_note.as_deref() == Some(note_digest(note).as_str())
    }

    /// Remembers the closing note that we wrote.
    pub fn set_own_note(&mut self, note: &str) {
        self.own_note = Some(note_digest(note));
    }

    /// Whether it was taken for gone and is still looked for: it may only have been out of sight. What was meant for it
    /// waits until it is found again, or given up.
    pub fn is_missed(&self) -> bool {
        self.state == MemberState::Gone && self.unread
    }

    /// Whether it takes part: neither merged away nor gone.
    pub fn is_live(&self) -> bool {
        matches!(self.state, MemberState::Awaited | MemberState::Planned | MemberState::Linked)
    }

    /// The acknowledged native value of a field.
    pub fn native(&self, field: Field) -> Option<&Native> {
        self.base.as_ref()?.native.get(&field)
    }
}

fn note_digest(note: &str) -> String {
    let words: Vec<&str> = note.split_whitespace().collect();
    short_hex(&Sha256::digest(words.join(" ")))
}
