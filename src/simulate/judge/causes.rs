//! No write without a cause, and none twice: each write of the worker uses up one edit that somebody made elsewhere.

use std::collections::BTreeSet;

use crate::model::{Field, RecordId};

use super::super::cases::Case;
use super::super::log::{Said, Wrote};
use super::Facts;

impl Facts<'_> {
    pub(super) fn causes(&self, number: usize, case: &Case, field: Field, found: &mut Vec<String>) {
        for (at, id) in case.records.iter().enumerate().filter_map(|(at, id)| Some((at, id.as_ref()?))) {
            let writes: Vec<&Wrote> = self
                .world
                .wrote
                .iter()
                .filter(|w| w.system == at && w.id == *id && w.changed.new.contains_key(&field))
                .collect();
            let mut spare = self.spare(case, (at, id), field);
            let mut used = BTreeSet::new();
            for wrote in writes {
                // A close brings its verdict.
                if field == Field::Verdict && wrote.with_status {
                    continue;
                }
                if self.use_cause(case, field, wrote, &mut used) {
                    continue;
                }
                if spare == 0 {
                    let record = self.world.remotes[at].record(id);
                    let native = &wrote.changed.new[&field];
                    found.push(format!(
                        "case {number}: {field} = {native} was written to {record} without a cause, or a second time"
                    ));
                    return;
                }
                spare -= 1;
            }
        }
    }

    /// Uses up the latest edit elsewhere that a write can have carried.
    fn use_cause(&self, case: &Case, field: Field, wrote: &Wrote, used: &mut BTreeSet<u64>) -> bool {
        let native = &wrote.changed.new[&field];
        let elsewhere = self
            .said(case, field)
            .filter(|s| (s.system, &s.id) != (wrote.system, &wrote.id) && s.seq < wrote.seq);
        let fits = elsewhere.filter(|said| {
            let word = &said.changed.new[&field];
            // Tags of several sides are merged.
            field == Field::Tags || self.agree(field, (said.system, word), (wrote.system, native))
        });
        // A reopening takes the verdict back on every side.
        let revokes = |said: &&Said| {
            let none = self.word(wrote.system, field, native).as_deref() == Some("undetermined");
            field == Field::Verdict && none && said.seq < wrote.seq && self.reopens(said, Field::Status)
        };
        // Where a close with a verdict that says nothing followed, a record's own earlier word is brought back to it.
        let vague = self.said(case, Field::Verdict).any(|said| {
            let words = &self.world.remotes[said.system].words;
            (said.system, &said.id) == (wrote.system, &wrote.id)
                && said.seq < wrote.seq
                && said.changed.new.get(&Field::Verdict).is_some_and(|native| words.is_vague(native))
        });
        let own = self.said(case, field).filter(|said| vague && said.seq < wrote.seq).filter(|said| {
            self.agree(field, (said.system, &said.changed.new[&field]), (wrote.system, native))
        });
        let fits = fits.chain(own.filter(|_| field == Field::Verdict));
        let fits = fits.chain(self.said(case, Field::Status).filter(revokes));
        let Some(seq) = fits.filter(|said| !used.contains(&said.seq)).map(|said| said.seq).last() else {
            return false;
        };
        used.insert(seq)
    }

    /// Writes that may come a second time: those whose outcome could not be known, those to a record that joins anew after
    /// a lost store, and those that native sync replaced by what lost.
    fn spare(&self, case: &Case, (at, id): (usize, &RecordId), field: Field) -> usize {
        if !case.changed_hands.is_empty() {
            return usize::MAX;
        }
        let untold = self.world.wrote.iter().filter(|w| w.system == at && w.id == *id && !w.told).count();
        let here = |said: &&Said| said.by_service && said.system == at && said.id == *id;
        let replaced = self.said(case, field).filter(here).count();
        let unknown = self.world.doubts.unknown.get(&(at, id.clone())).copied().unwrap_or(0);
        // A close whose verdict says nothing is brought the agreed one again.
        let vague = |said: &&Said| {
            let words = &self.world.remotes[said.system].words;
            said.system == at
                && said.id == *id
                && said.changed.new.get(&Field::Verdict).is_some_and(|native| words.is_vague(native))
        };
        let vague = if field == Field::Verdict { self.said(case, field).filter(vague).count() } else { 0 };
        unknown + untold + vague + replaced + self.late(case, field) + self.world.stores_lost
    }

    /// Writes that were carried out over what a person had set since they were sent: they pass for a person's.
    fn late(&self, case: &Case, field: Field) -> usize {
        let late = |wrote: &&Wrote| {
            let meanwhile = |said: &Said| {
                let here = (said.system, &said.id) == (wrote.system, &wrote.id) && !said.by_service;
                here && said.seq > wrote.sent && said.seq < wrote.seq
            };
            wrote.changed.new.contains_key(&field) && self.said(case, field).any(meanwhile)
        };
        self.world.wrote.iter().filter(late).count()
    }
}
