//! What the worker cannot know: what became of a write, and what was said since it last read.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use crate::model::{Field, Native, Natives, Patch, RecordId, RecordRef};

use super::connector::SETTLE;
use super::log::Said;
use super::people::MOMENT;
use super::plan::{Edit, Trouble};
use super::remote::Changed;
use super::world::World;

/// A record, by its system.
pub(super) type Place = (usize, RecordId);

/// What the worker cannot know of the records.
#[derive(Default)]
pub(crate) struct Doubts {
    /// How many of the writes to them had an outcome that it could not know.
    pub(crate) unknown: BTreeMap<Place, usize>,
    /// The last of those that it has not read back.
    open: BTreeMap<Place, Open>,
    /// When the state that it last read of them was true.
    shown: BTreeMap<Place, Timestamp>,
    late: Vec<LateWrite>,
    /// Whether the worker reads because of a webhook. When that is decided upon it does not know when it was read.
    pub(super) hinting: bool,
    /// What people are about to do.
    pub(super) reactions: Vec<(Timestamp, Edit)>,
}

/// A write that was not read back.
struct Open {
    /// When it was sent, or read back in vain.
    since: Timestamp,
    patch: Patch,
    /// What the record said then.
    before: Natives,
    /// How many reads did not show it.
    misses: u8,
}

/// A request that is executed after its sender gave up.
pub(super) struct LateWrite {
    pub(super) at: Timestamp,
    pub(super) place: Place,
    /// Its place in the order of everything.
    pub(super) sent: u64,
    /// When the state was true that the worker had read before.
    pub(super) shown: Timestamp,
    pub(super) patch: Patch,
    pub(super) guard: Option<u64>,
}

impl Doubts {
    /// A write leaves for a record that says this.
    pub(super) fn sent(&mut self, place: &Place, now: Timestamp, patch: &Patch, before: Natives) {
        self.open.insert(place.clone(), Open { since: now, patch: patch.clone(), before, misses: 0 });
    }

    /// The worker was told what became of a write.
    pub(super) fn told(&mut self, place: &Place) {
        self.open.remove(place);
    }

    /// The worker cannot know what became of a write.
    pub(super) fn count(&mut self, place: Place) {
        *self.unknown.entry(place).or_default() += 1;
    }

    /// The worker reads a record as it was at a time. Two reads that are certain settle an open outcome, or one that shows
    /// what somebody wrote since.
    pub(super) fn read(&mut self, place: &Place, now: Timestamp, shown: Timestamp, native: &Natives) {
        self.shown.insert(place.clone(), shown);
        let certain = |open: &&mut Open| !self.hinting && now >= open.since + SETTLE;
        let Some(open) = self.open.get_mut(place).filter(certain) else { return };
        (open.since, open.misses) = (now, open.misses + 1);
        let others = |(field, written): (&Field, &Native)| {
            native.get(field).is_some_and(|is| is != written && Some(is) != open.before.get(field))
        };
        if open.misses == 2 || open.patch.native.iter().any(others) {
            self.open.remove(place);
        }
    }

    /// The fields of a record that a write of open outcome was to change.
    pub(super) fn open_fields(&self, place: &Place) -> BTreeSet<Field> {
        self.open.get(place).into_iter().flat_map(|open| open.patch.native.keys().copied()).collect()
    }

    /// When the state that the worker last read was true.
    pub(super) fn shown(&self, place: &Place, now: Timestamp) -> Timestamp {
        self.shown.get(place).copied().unwrap_or(now)
    }

    /// A request is under way though its sender gave up.
    pub(super) fn late(&mut self, late: LateWrite) {
        self.late.push(late);
    }

    /// A worker that starts again waits as if everything had just been sent.
    pub(super) fn restarted(&mut self, now: Timestamp) {
        self.open.values_mut().for_each(|open| open.since = now);
    }

    fn due(&mut self, now: Timestamp) -> Vec<LateWrite> {
        self.late.extract_if(.., |late| late.at <= now).collect()
    }
}

impl World {
    /// The worker is killed: what it wrote in this act it may not remember.
    pub(super) fn forget_answers(&mut self) {
        let mut untold = Vec::new();
        for wrote in self.wrote.iter_mut().rev().take_while(|wrote| wrote.seq > self.act_began) {
            untold.extend(
                wrote.set.clone().filter(|_| wrote.told).map(|set| (wrote.system, wrote.id.clone(), set)),
            );
            wrote.told = false;
        }
        for (system, id, set) in untold {
            self.may_pass_for_a_word(system, &id, set);
        }
        self.restarts += 1;
        self.begin_act(Trouble::default());
    }

    /// The worker starts.
    pub(super) fn restart(&mut self) {
        self.doubts.restarted(self.clock.now());
    }

    /// The worker cannot know what became of its write to a record.
    pub(super) fn doubt(&mut self, record: &RecordRef, patch: &Patch) {
        let place = (self.at(&record.system), record.id.clone());
        self.send(&place, patch);
        self.doubt_write(place);
    }

    /// The worker begins a write.
    pub(super) fn send(&mut self, place: &Place, patch: &Patch) {
        let before = self.remotes[place.0].current(&place.1).map(|v| v.native.clone()).unwrap_or_default();
        self.doubts.sent(place, self.clock.now(), patch, before);
    }

    /// An answer to the worker is lost; often somebody is at work on the record just then.
    pub(super) fn doubt_write(&mut self, place: Place) {
        for _ in 0..self.random(0, 3) {
            self.provoke(&place);
        }
        self.doubts.count(place);
    }

    /// Requests that were given up are carried out.
    pub(super) fn carry_out_late(&mut self) {
        for late in self.doubts.due(self.clock.now()) {
            let (system, id) = &late.place;
            self.say(|| format!("the write to {id} that was given up is carried out"));
            let before = self.wrote.len();
            let done = self.write_as_worker(*system, id, &late.patch, late.guard, late.shown, false);
            self.say(|| format!("    {done:?}"));
            self.wrote[before..].iter_mut().for_each(|wrote| wrote.sent = late.sent);
            self.clock.advance(MOMENT);
        }
    }

    /// Fields of an edit that pass for a write of the worker's, since its outcome is open.
    pub(super) fn passes_for_ours(&self, place: &Place, changed: &Changed) -> BTreeSet<Field> {
        let words = &self.remotes[place.0].words;
        let Some(Open { patch, .. }) = self.doubts.open.get(place) else { return BTreeSet::new() };
        let same = |(field, new): &(&Field, &Native)| {
            let written = patch.native.get(*field).and_then(|native| words.meaning(**field, native));
            written.is_some() && written == words.meaning(**field, new)
        };
        changed.new.iter().filter(same).map(|(field, _)| *field).collect()
    }

    /// What a person set after the worker's read, and the write replaced unseen.
    pub(super) fn mark_overrun(&mut self, place: &Place, changed: &Changed, shown: Timestamp) {
        let unseen = |said: &&mut Said| (said.system, &said.id) == (place.0, &place.1) && said.at > shown;
        for said in self.said.iter_mut().filter(unseen) {
            let replaced = said.changed.new.keys().filter(|field| changed.new.contains_key(field));
            said.overrun.extend(replaced.copied().collect::<Vec<_>>());
        }
    }
}
