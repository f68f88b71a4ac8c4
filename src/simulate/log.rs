//! The log of what really changed: what people and services said, and what the worker wrote.

use std::collections::BTreeSet;

use jiff::Timestamp;

use crate::model::{Field, Native, Natives, Patch, RecordId, RecordKind, RecordRef};

use super::remote::{Actor, Changed, Refusal};
use super::world::World;

/// What somebody other than the worker said.
#[derive(Debug, Clone)]
pub(crate) struct Said {
    /// Its place in the order of everything.
    pub(crate) seq: u64,
    /// When (true time).
    pub(crate) at: Timestamp,
    /// The rest before it, in the order of everything, and when that ended.
    pub(crate) since: (u64, Timestamp),
    /// In which system.
    pub(crate) system: usize,
    /// On which record.
    pub(crate) id: RecordId,
    /// The fields, before and after.
    pub(crate) changed: Changed,
    /// The text of a comment.
    pub(crate) comment: Option<String>,
    /// Whether the record began with it, joined with it, or got it from native sync: then it is newer than nothing.
    pub(crate) joined: bool,
    /// Whether it was said on a closed ticket, which is spared what others say.
    pub(crate) on_closed_ticket: bool,
    /// Whether it was native sync that brought it.
    pub(crate) by_service: bool,
    /// Fields that a write of the worker's replaced before it could see them, or that pass for one: the windows that are
    /// stated.
    pub(crate) overrun: BTreeSet<Field>,
    /// Fields that a write of the worker's whose outcome was open was to change, so that nobody knows what it answered.
    pub(crate) in_doubt: BTreeSet<Field>,
}

/// What the worker changed.
#[derive(Debug, Clone)]
pub(crate) struct Wrote {
    /// Its place in the order of everything.
    pub(crate) seq: u64,
    /// In which system.
    pub(crate) system: usize,
    /// Which record.
    pub(crate) id: RecordId,
    /// The fields, before and after.
    pub(crate) changed: Changed,
    /// Whether the record was closed when the worker read it, and was to stay so.
    pub(crate) was_closed: bool,
    /// Whether the request was to change the status, whatever it changed.
    pub(crate) with_status: bool,
    /// When it was sent, in the order of everything.
    pub(crate) sent: u64,
    /// The key, or own id, under which a record was created.
    pub(crate) created: Option<RecordRef>,
    /// Whether the worker was told of it.
    pub(crate) told: bool,
    /// The verdict that its system set by itself with it.
    pub(crate) set: Option<Native>,
}

impl World {
    /// A record begins or joins with what it says.
    pub(super) fn joined(&mut self, system: usize, id: &RecordId) {
        let Some(version) = self.remotes[system].current(id).cloned() else { return };
        let changed = Changed { old: Natives::new(), new: version.native };
        self.hear(system, id, changed, None, true);
    }

    /// Whether a record was a closed ticket before its latest change.
    fn was_closed_ticket(&self, system: usize, id: &RecordId) -> bool {
        let remote = &self.remotes[system];
        let before = remote.records.get(id).and_then(|versions| versions.iter().rev().nth(1));
        remote.habits.main == RecordKind::Ticket && before.is_some_and(|v| remote.words.is_closed(&v.native))
    }

    pub(super) fn hear(
        &mut self,
        system: usize,
        id: &RecordId,
        changed: Changed,
        comment: Option<String>,
        joined: bool,
    ) {
        let at = self.remotes[system].current(id).map(|v| v.at).unwrap_or_default();
        let (seq, id) = (self.next_seq(), id.clone());
        let place = (system, id.clone());
        let (overrun, in_doubt) = (self.passes_for_ours(&place, &changed), self.doubts.open_fields(&place));
        // Until everything was met, for the first time or after a lost store, whatever is said is what a record joins with.
        let joined = joined || self.rested == 0 || self.store_began > self.rested;
        let (by_service, on_closed_ticket) = (false, self.was_closed_ticket(system, &id));
        self.said.push(Said {
            seq,
            at,
            since: (self.rested, self.rested_at),
            system,
            id,
            changed,
            comment,
            joined,
            on_closed_ticket,
            by_service,
            overrun,
            in_doubt,
        });
    }

    /// The worker's creation of a record, or its comment, is executed: it changes no field.
    pub(super) fn write_beside_fields(
        &mut self,
        (system, id): (usize, RecordId),
        created: Option<RecordRef>,
        told: bool,
    ) {
        let seq = self.next_seq();
        let (changed, was_closed, with_status) = (Changed::default(), false, false);
        self.wrote.push(Wrote {
            seq,
            system,
            id,
            changed,
            was_closed,
            with_status,
            created,
            told,
            sent: seq,
            set: None,
        });
    }

    /// A verdict that a system set at a close whose answer the worker was not told may pass for a person's later.
    pub(super) fn may_pass_for_a_word(&mut self, system: usize, id: &RecordId, set: Native) {
        let new = Natives::from([(Field::Verdict, set)]);
        self.hear(system, id, Changed { old: Natives::new(), new }, None, true);
    }

    /// The worker's write is executed. `shown` is when what the worker had read of the record was true.
    pub(super) fn write_as_worker(
        &mut self,
        system: usize,
        id: &RecordId,
        patch: &Patch,
        guard: Option<u64>,
        shown: Timestamp,
        told: bool,
    ) -> Result<(), Refusal> {
        let now = self.clock.now();
        let remote = &self.remotes[system];
        let before = remote.records.get(id).into_iter().flatten().rfind(|version| version.at <= shown);
        let with_status = patch.native.contains_key(&Field::Status);
        let was_closed =
            before.is_some_and(|version| remote.words.is_closed(&version.native)) && !with_status;
        let changed = self.remotes[system].write(now, Actor::Worker, id, patch, guard)?;
        if changed == Changed::default() {
            return Ok(());
        }
        self.mark_overrun(&(system, id.clone()), &changed, shown);
        self.queue_native(system, id, changed.new.keys().copied().collect());
        let seq = self.next_seq();
        let verdict = changed.new.get(&Field::Verdict).filter(|_| with_status).cloned();
        let set = verdict.filter(|verdict| patch.native.get(&Field::Verdict) != Some(verdict));
        if let Some(set) = set.clone().filter(|_| !told) {
            self.may_pass_for_a_word(system, id, set);
        }
        let (id, created) = (id.clone(), None);
        self.wrote.push(Wrote {
            seq,
            system,
            id,
            changed,
            was_closed,
            with_status,
            created,
            told,
            sent: seq,
            set,
        });
        Ok(())
    }
}
