//! Judges a history whenever everything rests, from the services' own logs. It shares no code with what it judges:
//! it reads the tables itself, and knows nothing of bases, intents or merges.
//!
//! Of the worker's own words it takes one thing: the reasons in its history, where it may leave an edit alone.

mod agreement;
mod bounds;
mod causes;
mod last_word;
mod verdict;

use std::collections::BTreeSet;

use crate::model::{
    AuditEntry, AuditKind, Field, Intent, IntentState, MappingId, MemberState, Native, RecordId, RecordKind,
    RecordRef,
};
use crate::reconcile::{Direction, Policy, Reopen};
use crate::store::{MemoryStore, Store};

use super::cases::Case;
use super::log::{Said, Wrote};
use super::world::World;

/// What a history broke.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation(pub String);

/// What was found so far.
#[derive(Debug, Default)]
pub(super) struct Judge {
    pub(super) violations: Vec<Violation>,
}

/// Everything that is judged by.
struct Facts<'a> {
    world: &'a World,
    policy: &'a Policy,
    reconfigured: bool,
    /// The history that the worker keeps.
    told: Vec<AuditEntry>,
    /// Records for which a write was given up.
    dead: BTreeSet<RecordRef>,
}

impl Judge {
    pub(super) fn found(&mut self, what: String) {
        self.violations.push(Violation(what));
    }

    /// Everything rests: all sides must agree, each edit must have arrived once, and nothing else may have happened.
    pub(super) fn at_rest(
        &mut self,
        world: &World,
        policy: &Policy,
        store: &MemoryStore,
        reconfigured: bool,
    ) {
        let intents = store.outbox(None, usize::MAX).unwrap_or_default();
        let dead = intents.iter().filter(|i| matches!(i.state, IntentState::Dead { .. }));
        let dead: BTreeSet<RecordRef> = dead.map(|intent| intent.target.clone()).collect();
        // What waits for a record that is gone may wait for ever.
        let all = store.mappings(None, usize::MAX).unwrap_or_default();
        let gone: BTreeSet<&RecordRef> = all
            .iter()
            .flat_map(|mapping| &mapping.members)
            .filter(|member| member.state == MemberState::Gone)
            .map(|member| &member.record)
            .collect();
        let waits = |i: &&Intent| !matches!(i.state, IntentState::Dead { .. }) && !gone.contains(&i.target);
        let live = intents.iter().filter(waits).count();
        if live > 0 {
            self.found(format!("{live} intents are left in a rest"));
        }
        let told = mappings(store).into_iter().flat_map(|id| store.audit(id).unwrap_or_default()).collect();
        let facts = Facts { world, policy, reconfigured, told, dead };
        facts.judge(&mut self.violations);
    }

    /// Whether records of a case differ in anything, or one of them stands alone.
    pub(super) fn differences(world: &World, policy: &Policy) -> bool {
        let (told, dead) = (Vec::new(), BTreeSet::new());
        let facts = Facts { world, policy, reconfigured: false, told, dead };
        !world.strangers.is_empty() || world.cases.iter().any(|case| facts.differs(case))
    }
}

fn mappings(store: &MemoryStore) -> Vec<MappingId> {
    store.mappings(None, usize::MAX).unwrap_or_default().iter().map(|mapping| mapping.id).collect()
}

impl Facts<'_> {
    fn judge(&self, found: &mut Vec<Violation>) {
        let mut texts = Vec::new();
        self.bounds(&mut texts);
        for (number, case) in self.world.cases.iter().enumerate() {
            if case.merged_into.is_some() {
                self.merged(number, case, &mut texts);
                continue;
            }
            self.agreement(number, case, &mut texts);
            for field in Field::ALL {
                self.last_word(number, case, field, &mut texts);
                self.causes(number, case, field, &mut texts);
            }
            self.verdict(number, case, &mut texts);
            self.comments(number, case, &mut texts);
        }
        found.extend(texts.into_iter().map(Violation));
    }

    /// The records of a case that must agree: system and id.
    fn members<'c>(&self, case: &'c Case) -> Vec<(usize, &'c RecordId)> {
        let here = case.records.iter().enumerate().filter_map(|(at, id)| Some((at, id.as_ref()?)));
        here.filter(|(at, id)| {
            !case.detached.contains(at)
                && !case.left.contains(at)
                && self.world.remotes[*at].current(id).is_some_and(|v| v.merged_into.is_none())
                && !self.is_superseded((*at, id))
        })
        .collect()
    }

    /// Whether a reopening left a closed ticket behind, or what that was merged into since; another one follows only while
    /// the incident is open.
    fn is_superseded(&self, (at, id): (usize, &RecordId)) -> bool {
        let remote = &self.world.remotes[at];
        let left = |id: &RecordId, merged: bool| {
            self.told.iter().any(|entry| match &entry.kind {
                AuditKind::Left { reason } if entry.record == remote.record(id) => {
                    merged || !reason.starts_with("merged into")
                }
                _ => false,
            })
        };
        let into = |from: &RecordId| remote.current(from).and_then(|v| v.merged_into.as_ref()) == Some(id);
        self.policy.closing.reopen == Reopen::NewTicket
            && remote.habits.main == RecordKind::Ticket
            && (left(id, true) || remote.records.keys().any(|from| into(from) && left(from, false)))
    }

    /// What a record says of a field, if it says anything.
    fn says(&self, (at, id): (usize, &RecordId), field: Field) -> Option<&Native> {
        let remote = &self.world.remotes[at];
        let native = &remote.current(id)?.native;
        let hidden = field == Field::Verdict && remote.words.hides_verdict && !remote.words.is_closed(native);
        native.get(&field).filter(|_| !hidden && remote.words.carries(field))
    }

    /// The meaning of that, in a word.
    fn word(&self, at: usize, field: Field, native: &Native) -> Option<String> {
        self.world.remotes[at].words.meaning(field, native)
    }

    fn is_closed(&self, (at, id): (usize, &RecordId)) -> bool {
        let remote = &self.world.remotes[at];
        remote.current(id).is_some_and(|version| remote.words.is_closed(&version.native))
    }

    /// What was said of a case's records in a field, in order; also by those that left since.
    fn said<'s>(&'s self, case: &'s Case, field: Field) -> impl Iterator<Item = &'s Said> {
        let of_case = |said: &&Said| {
            case.records[said.system].as_ref() == Some(&said.id)
                || case.former.contains(&(said.system, said.id.clone()))
        };
        self.world.said.iter().filter(of_case).filter(move |said| said.changed.new.contains_key(&field))
    }

    /// Whether an edit may leave its system.
    fn travels(&self, said: &Said, field: Field) -> bool {
        let name = &self.world.remotes[said.system].name;
        let leaves = match self.policy.direction(field) {
            Direction::Both => true,
            Direction::From(from) => from == name,
            Direction::Off => false,
        };
        leaves && !(self.policy.closing.reopen == Reopen::Ignore && self.reopens(said, field))
    }

    /// Whether it reopened its record.
    fn reopens(&self, said: &Said, field: Field) -> bool {
        let closed = |native: Option<&Native>| {
            native.and_then(|n| self.word(said.system, field, n)).as_deref() == Some("closed")
        };
        field == Field::Status
            && closed(said.changed.old.get(&field))
            && !closed(said.changed.new.get(&field))
    }

    /// Whether a field of a record may differ, for a reason that the world knows of.
    fn may_differ(&self, case: &Case, (at, id): (usize, &RecordId), field: Field) -> bool {
        let (world, remote) = (self.world, &self.world.remotes[at]);
        let outcome = matches!(field, Field::Status | Field::Verdict);
        // A closed ticket is spared everything else.
        let spared = remote.habits.main == RecordKind::Ticket && !outcome && self.is_closed((at, id));
        let one_way = *self.policy.direction(field) != Direction::Both;
        let ignored = self.policy.closing.reopen == Reopen::Ignore
            && outcome
            && self.said(case, Field::Status).any(|said| self.reopens(said, Field::Status));
        // What its system keeps or sets by itself, and takes nothing else for.
        let by_itself = field == Field::Verdict
            && (world.scene.keeps_verdicts == Some(at)
                || world.scene.sets_verdict.as_ref().is_some_and(|(of, _)| *of == at))
            && self.reason(&remote.record(id), field);
        spared
            || by_itself
            || one_way
            || ignored
            || (case.changed_hands.contains(&at) || self.is_native(at))
                && self.reason(&remote.record(id), field)
            || self.was_opened_blindly((at, id)) && self.reason(&remote.record(id), field)
            || field == Field::Title
                && world.scene.cuts_titles == Some(at)
                && self.reason(&remote.record(id), field)
            || field == Field::Owner && world.scene.lacks_owners.is_some()
            || self.dead.contains(&remote.record(id))
    }

    /// Whether the worker was not told that it had opened a record, or people were at work in it just then: what is edited in
    /// it meanwhile may pass for what its system made of the opening.
    fn was_opened_blindly(&self, (at, id): (usize, &RecordId)) -> bool {
        let of = |w: &&Wrote| w.system == at && w.id == *id && w.created.is_some();
        let amid = self.world.opened_amid.contains(&(at, id.clone()));
        amid || self.world.wrote.iter().filter(of).any(|wrote| !wrote.told)
    }

    /// Whether Microsoft's own sync keeps a system in agreement with another one.
    fn is_native(&self, at: usize) -> bool {
        let name = &self.world.remotes[at].name;
        let pair = self.policy.native_sync.as_ref();
        pair.is_some_and(|pair| *name == pair.writer || *name == pair.follower)
    }

    /// Whether the worker told that a word was agreed to once, by whoever's doing.
    fn was_agreed(&self, field: Field, word: &str) -> bool {
        let text = if field == Field::Owner && word.is_empty() { "(nobody)" } else { word };
        self.told.iter().any(|entry| {
            matches!(&entry.kind, AuditKind::Agreed { field: of, value } if *of == field && value == text)
        })
    }

    /// Whether the worker told why an edit of a record's field is not carried.
    fn reason(&self, record: &RecordRef, field: Field) -> bool {
        self.told.iter().any(|entry| {
            let of_field = match &entry.kind {
                AuditKind::NotCarried { what_of, .. } => what_of == field.as_str(),
                AuditKind::NotConverged { fields } => fields.contains(&field),
                _ => false,
            };
            of_field && entry.record == *record
        })
    }
}
