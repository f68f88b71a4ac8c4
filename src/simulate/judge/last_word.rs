//! What stands in the end is the word of somebody whom nobody answered: a later edit is never undone by an older one.

use crate::model::{Field, Native};
use crate::reconcile::Conflicts;

use super::super::cases::Case;
use super::super::log::Said;
use super::Facts;

impl Facts<'_> {
    pub(super) fn last_word(&self, number: usize, case: &Case, field: Field, found: &mut Vec<String>) {
        // A verdict goes with the close, and tags are merged.
        if matches!(field, Field::Verdict | Field::Tags) || !case.changed_hands.is_empty() {
            return;
        }
        let edits: Vec<&Said> =
            self.said(case, field).filter(|said| !said.by_service && self.is_edit(said, field)).collect();
        let (people, doubtful): (Vec<&Said>, Vec<&Said>) =
            edits.iter().partition(|said| self.counts(case, said, field));
        let both_of_pair = self.policy.native_sync.is_some()
            && people.windows(2).any(|pair| pair[0].system != pair[1].system);
        if both_of_pair || people.is_empty() || self.sync_had_it(case, &people, field) {
            return;
        }
        let unanswered: Vec<&Said> = people
            .iter()
            .copied()
            .filter(|said| !people.iter().any(|later| self.answers(later, said, field)))
            .collect();
        // Nothing is certain of what a doubtful word followed: it may stand as well as that.
        let followed = |said: &&Said| doubtful.iter().any(|later| follows(later, said));
        let standing: Vec<&Said> = unanswered.iter().copied().filter(|said| !followed(said)).collect();
        for (at, id) in self.members(case) {
            let Some(stands) = self.says((at, id), field).filter(|_| !self.may_differ(case, (at, id), field))
            else {
                continue;
            };
            let means = |said: &&Said| {
                said.changed
                    .new
                    .get(&field)
                    .is_some_and(|native| self.agree(field, (said.system, native), (at, stands)))
            };
            let record = self.world.remotes[at].record(id);
            let settled = self.sync_settled(case, field, (at, stands));
            if !settled && !standing.is_empty() && !unanswered.iter().chain(&doubtful).any(means) {
                let words: Vec<String> = unanswered
                    .iter()
                    .filter_map(|said| said.changed.new.get(&field))
                    .map(Native::to_string)
                    .collect();
                found.push(format!(
                    "case {number}: {field} of {record} is {stands}, and the last word on it was {}",
                    words.join(" or ")
                ));
            }
            let closes = |said: &&Said| self.is_close(said, field);
            let decided = self.policy.conflicts == Conflicts::CloseWins
                && !self.reconfigured
                && self.policy.native_sync.is_none();
            let optional = !doubtful.is_empty();
            let unanswered = |said: &&Said| !people.iter().any(|later| self.may_answer(later, said, field));
            let ended = standing.iter().copied().filter(unanswered).any(|said| closes(&said));
            if decided && !optional && ended && !self.is_closed((at, id)) {
                found.push(format!("case {number}: somebody closed it, and {record} is {stands}"));
            }
        }
        if self.policy.native_sync.is_none() {
            self.losers_are_told(number, case, field, &standing, found);
        }
    }

    /// Whether Microsoft's own sync brought another word after the last one of a person; what it makes of them stands.
    fn sync_had_it(&self, case: &Case, people: &[&Said], field: Field) -> bool {
        let Some(last) = people.last() else { return false };
        let Some(word) = last.changed.new.get(&field) else { return false };
        self.said(case, field).filter(|said| said.by_service && said.seq > last.seq).any(|said| {
            let brought = said.changed.new.get(&field);
            brought.is_some_and(|brought| !self.agree(field, (said.system, brought), (last.system, word)))
        })
    }

    /// Whether Microsoft's own sync put back over somebody's word what stands now. Who had lost to that word stays the
    /// loser, and is told.
    fn sync_settled(&self, case: &Case, field: Field, stands: (usize, &Native)) -> bool {
        let brought = self.said(case, field).filter(|said| said.by_service && said.seq > self.world.rested);
        brought.into_iter().any(|sync| {
            let over = |said: &Said| !said.by_service && !said.joined && follows(sync, said);
            let is_it =
                sync.changed.new.get(&field).is_some_and(|new| self.agree(field, (sync.system, new), stands));
            let replaced = self.said(case, field).any(over);
            let told = self
                .members(case)
                .into_iter()
                .any(|(at, id)| self.reason(&self.world.remotes[at].record(id), field));
            is_it && replaced && told
        })
    }

    /// Who lost a conflict is told so.
    fn losers_are_told(
        &self,
        number: usize,
        case: &Case,
        field: Field,
        standing: &[&Said],
        found: &mut Vec<String>,
    ) {
        for said in standing.iter().filter(|said| said.seq > self.world.rested) {
            let Some(word) = said.changed.new.get(&field) else { continue };
            let own = (said.system, &said.id);
            let Some(stands) = self.says(own, field) else { continue };
            let record = self.world.remotes[said.system].record(&said.id);
            let lost = !self.agree(field, (said.system, word), (said.system, stands));
            let here = self.members(case).contains(&own);
            let agreed =
                self.word(said.system, field, word).is_some_and(|word| self.was_agreed(field, &word));
            if lost && here && !agreed && !self.reason(&record, field) {
                found.push(format!(
                    "case {number}: nobody says why {field} = {word} of {record} is not carried"
                ));
            }
        }
    }

    /// Whether the others must hear of an edit. They may hear of those as well that a write of ours replaced in the stated
    /// window, that were made in a record which left, or that look like a step of a workflow of ours.
    pub(super) fn counts(&self, case: &Case, said: &Said, field: Field) -> bool {
        let Some(native) = said.changed.new.get(&field) else { return false };
        let Some(word) = self.word(said.system, field, native) else { return false };
        let words = &self.world.remotes[said.system].words;
        let open = self.world.doubts.unknown.contains_key(&(said.system, said.id.clone()));
        let a_step = field == Field::Status && words.in_steps && open && word != "closed";
        let left = case.left.contains(&said.system)
            || case.detached.contains(&said.system)
            || case.former.contains(&(said.system, said.id.clone()))
            || self.is_superseded((said.system, &said.id));
        // One that came after it, and is not carried, may have hidden it.
        let hidden = self.said(case, field).any(|later| {
            later.seq > said.seq
                && (later.system, &later.id) == (said.system, &said.id)
                && !self.travels(later, field)
        });
        // Microsoft's own sync brought another word over it.
        let replaced = self.said(case, field).any(|later| {
            later.by_service
                && follows(later, said)
                && later.changed.new.get(&field) != said.changed.new.get(&field)
        });
        // A close is nobody's doing but a person's, whoever knows that the ticket is there.
        let blindly = self.was_opened_blindly((said.system, &said.id)) && !self.is_close(said, field);
        let unclear = said.joined || replaced || blindly || a_step || left || hidden;
        !unclear && !said.overrun.contains(&field) && !self.is_return(said, field)
    }

    /// Whether it says another thing than before, and may leave its system.
    fn is_edit(&self, said: &Said, field: Field) -> bool {
        let word = |native: Option<&Native>| native.and_then(|native| self.word(said.system, field, native));
        let (old, new) = (word(said.changed.old.get(&field)), word(said.changed.new.get(&field)));
        // What a record began with is nobody's edit.
        !said.changed.old.is_empty() && (old != new || new.is_none()) && self.travels(said, field)
    }

    pub(super) fn is_close(&self, said: &Said, field: Field) -> bool {
        let native = said.changed.new.get(&field).filter(|_| field == Field::Status);
        native.and_then(|native| self.word(said.system, field, native)).as_deref() == Some("closed")
    }

    /// Whether an edit was made in the knowledge of an earlier one: on the same record, after a rest, or on a record to
    /// which the worker had brought it.
    pub(super) fn answers(&self, later: &Said, earlier: &Said, field: Field) -> bool {
        if later.seq <= earlier.seq {
            return false;
        }
        if later.in_doubt.contains(&field) {
            return follows(later, earlier);
        }
        // What a closed ticket was spared nobody saw there; who edits it is newer all the same.
        let rested = earlier.seq < later.since.0;
        let spared = later.on_closed_ticket && !self.was_reopened(later);
        let after_a_rest = rested && (spared || self.may_answer(later, earlier, field));
        follows(later, earlier) || after_a_rest || self.was_brought(later, earlier, field)
    }

    /// Whether the record went back, within one stretch without rest, to what it had said before: the worker need not have
    /// seen that it ever said another thing.
    fn is_return(&self, said: &Said, field: Field) -> bool {
        let Some(versions) = self.world.remotes[said.system].records.get(&said.id) else { return false };
        let word = |native: Option<&Native>| native.and_then(|native| self.word(said.system, field, native));
        let now = word(said.changed.new.get(&field));
        let before = versions.iter().rev().skip_while(|version| version.at >= said.at);
        for version in before {
            if word(version.native.get(&field)) == now {
                return true;
            }
            if version.at <= said.since.1 {
                return false;
            }
        }
        false
    }

    /// Whether an edit was made where the record said the same as another one, by whoever's doing.
    fn may_answer(&self, later: &Said, earlier: &Said, field: Field) -> bool {
        let (Some(old), Some(word)) = (later.changed.old.get(&field), earlier.changed.new.get(&field)) else {
            return false;
        };
        // Clocks of different systems do not compare, so of two edits between two polls either may be the later one.
        later.seq != earlier.seq && self.agree(field, (later.system, old), (earlier.system, word))
    }

    /// Whether a ticket was reopened, and perhaps closed again, since the last rest and before an edit.
    fn was_reopened(&self, said: &Said) -> bool {
        let before = self.world.said.iter().filter(|s| s.seq > said.since.0 && s.seq < said.seq);
        before.filter(|s| same_record(s, said)).any(|s| self.reopens(s, Field::Status))
    }

    fn was_brought(&self, later: &Said, earlier: &Said, field: Field) -> bool {
        let wrote = self.world.wrote.iter().rev().find(|w| {
            w.seq < later.seq
                && w.system == later.system
                && w.id == later.id
                && w.changed.new.contains_key(&field)
        });
        let said = self.world.said.iter().rev().find(|s| {
            s.seq < later.seq
                && s.system == later.system
                && s.id == later.id
                && s.changed.new.contains_key(&field)
        });
        let Some(wrote) = wrote.filter(|w| said.is_none_or(|s| s.seq < w.seq)) else { return false };
        let (Some(brought), Some(word)) = (wrote.changed.new.get(&field), earlier.changed.new.get(&field))
        else {
            return false;
        };
        let of = |said: &Said| self.world.case_of(said.system, &said.id);
        let in_case = |said: &Said| of(said).is_none() || of(said) == of(later);
        // Somebody else's same word may be the one that was brought.
        let another = self.world.said.iter().any(|s| {
            let same = s
                .changed
                .new
                .get(&field)
                .is_some_and(|w| self.agree(field, (s.system, w), (later.system, brought)));
            same && s.seq < wrote.seq && s.seq > earlier.since.0 && !same_record(s, earlier) && in_case(s)
        });
        wrote.told
            && !another
            && wrote.seq > earlier.seq
            && self.agree(field, (earlier.system, word), (later.system, brought))
    }
}

/// Whether two edits are of the same record.
fn same_record(one: &Said, other: &Said) -> bool {
    one.system == other.system && one.id == other.id
}

/// Whether an edit came after another one on the same record.
fn follows(later: &Said, earlier: &Said) -> bool {
    later.seq > earlier.seq && later.system == earlier.system && later.id == earlier.id
}
