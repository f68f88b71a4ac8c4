//! What holds for the history as a whole: who may be written to at all, one record per name, calls within bounds, and a
//! history that accounts for every write.

use std::collections::BTreeMap;

use crate::model::{AuditKind, Field, RecordKind, RecordRef};
use crate::reconcile::{Direction, Reopen};

use super::super::log::Wrote;
use super::Facts;

/// Calls that an edit, a failed call or a kill may cost in each system, reads and writes together.
const CALLS: u64 = 30;
/// Tries after which a write may be given up.
const TRIES: usize = 8;

impl Facts<'_> {
    pub(super) fn bounds(&self, found: &mut Vec<String>) {
        self.only_gone(found);
        self.only_ours(found);
        self.only_as_told(found);
        self.one_of_each(found);
        self.calls(found);
        self.accounts(found);
        self.dead_letters(found);
    }

    /// Nothing is taken for gone that is there, and was never out of sight.
    fn only_gone(&self, found: &mut Vec<String>) {
        for entry in &self.told {
            let AuditKind::Left { reason } = &entry.kind else { continue };
            let at = self.world.at(&entry.record.system);
            let hidden = self.world.hidden_once.contains(&(at, entry.record.id.clone()));
            // Twice a stranger, and known in between: that looks just like a record that is gone.
            let estranged = self.world.estranged.get(at).is_some_and(|times| *times > 1);
            let there = self.world.remotes.get(at).is_some_and(|r| r.current(&entry.record.id).is_some());
            if reason.starts_with("it is not there any more") && there && !hidden && !estranged {
                found.push(format!("{} was taken for gone, and is there", entry.record));
            }
        }
    }

    /// Nothing is written to copies, other people's tickets, alerts, and records that an operator took out.
    fn only_ours(&self, found: &mut Vec<String>) {
        for wrote in &self.world.wrote {
            let (key, remote) = ((wrote.system, wrote.id.clone()), &self.world.remotes[wrote.system]);
            let apart = self.world.apart.get(&key).is_some_and(|since| wrote.sent > *since);
            let stranger = self.world.strangers.contains(&key);
            if stranger || apart || remote.kind(&wrote.id) == RecordKind::Alert {
                let record = remote.record(&wrote.id);
                found.push(format!("{record} is not lockstep's to write to: {:?}", wrote.changed.new));
            }
        }
    }

    /// Nothing goes to a system that a field is not to reach, and a closed ticket gets nothing but status and verdict.
    fn only_as_told(&self, found: &mut Vec<String>) {
        for wrote in &self.world.wrote {
            let remote = &self.world.remotes[wrote.system];
            for field in wrote.changed.new.keys() {
                let reaches = match self.policy.direction(*field) {
                    Direction::Both => true,
                    Direction::From(from) => *from != remote.name,
                    Direction::Off => false,
                };
                let outcome = matches!(field, Field::Status | Field::Verdict);
                let ticket = remote.habits.main == RecordKind::Ticket;
                let certain = *self.policy.direction(Field::Status) == Direction::Both
                    && self.policy.closing.reopen != Reopen::Ignore;
                let more = !outcome && !wrote.changed.new.contains_key(&Field::Status);
                let spared = certain && ticket && more && wrote.was_closed;
                let with_the_close = *field == Field::Verdict && wrote.with_status;
                if !reaches && !with_the_close || spared {
                    let record = remote.record(&wrote.id);
                    let why = if spared { "a closed ticket is left alone" } else { "it goes another way" };
                    found.push(format!("{field} was written to {record}, though {why}"));
                }
            }
        }
    }

    /// One record for each name under which one may be created, and none without such a name.
    fn one_of_each(&self, found: &mut Vec<String>) {
        let mut opened: BTreeMap<&RecordRef, usize> = BTreeMap::new();
        for (wrote, name) in
            self.world.wrote.iter().filter_map(|wrote| Some((wrote, wrote.created.as_ref()?)))
        {
            *opened.entry(name).or_default() += usize::from(!self.was_never_met(wrote));
            if !self.world.names.contains_key(name) {
                found.push(format!("{name} was created for no incident"));
            }
        }
        for (name, count) in opened.into_iter().filter(|(_, count)| *count > 1) {
            found.push(format!("{name} was created {count} times"));
        }
    }

    /// Whether a record was deleted before lockstep has met it: nobody can know of that.
    fn was_never_met(&self, wrote: &Wrote) -> bool {
        !wrote.told && self.world.remotes[wrote.system].current(&wrote.id).is_none()
    }

    fn calls(&self, found: &mut Vec<String>) {
        let world = self.world;
        let reasons =
            world.said.len() as u64 + world.faults + world.doubts.unknown.len() as u64 + world.restarts;
        let most = CALLS * (1 + reasons) * world.remotes.len() as u64;
        let calls = world.calls.reads + world.calls.writes;
        if calls > most {
            found.push(format!("{calls} reads and writes, and {most} are the most for what happened"));
        }
    }

    /// Every write that the worker was told of is in its history.
    fn accounts(&self, found: &mut Vec<String>) {
        let mut entries: BTreeMap<&RecordRef, usize> = BTreeMap::new();
        for entry in &self.told {
            if matches!(entry.kind, AuditKind::Wrote { .. }) {
                *entries.entry(&entry.record).or_default() += 1;
            }
        }
        let mut writes: BTreeMap<RecordRef, usize> = BTreeMap::new();
        for wrote in self
            .world
            .wrote
            .iter()
            .filter(|w| w.told && w.created.is_none() && w.seq > self.world.store_began)
        {
            *writes.entry(self.world.remotes[wrote.system].record(&wrote.id)).or_default() += 1;
        }
        let edits = |record: &RecordRef| {
            let at = self.world.at(&record.system);
            self.world.said.iter().filter(|said| said.system == at && said.id == record.id).count()
        };
        for (record, told) in &entries {
            // Somebody may have said the same just before.
            let done =
                self.world.wrote.iter().filter(|w| self.world.remotes[w.system].record(&w.id) == **record);
            let done = done.count();
            if *told > done + edits(record) {
                found.push(format!("the history tells of {told} writes to {record}, and there were {done}"));
            }
        }
        for (record, count) in writes {
            let told = entries.get(&record).copied().unwrap_or(0);
            let given_up = self
                .told
                .iter()
                .any(|entry| entry.record == record && matches!(entry.kind, AuditKind::Dead { .. }));
            if told < count && !given_up {
                found.push(format!("{record} was written to {count} times, and the history tells of {told}"));
            }
        }
    }

    /// A write is given up only after many tries, or where the name of a ticket that is no more cannot be had again.
    fn dead_letters(&self, found: &mut Vec<String>) {
        for record in &self.dead {
            let at = self.world.at(&record.system);
            let of = |wrote: &&Wrote| wrote.created.as_ref() == Some(record) && self.was_never_met(wrote);
            if self.world.remotes[at].habits.unique_names && self.world.wrote.iter().any(|wrote| of(&wrote)) {
                continue;
            }
            let tries = self.world.doubts.unknown.get(&(at, record.id.clone())).copied().unwrap_or(0);
            let met = self.world.said.iter().filter(|said| said.system == at && said.id == record.id).count();
            if tries + met < TRIES {
                found.push(format!("a write to {record} was given up after {tries} failures"));
            }
        }
    }
}
