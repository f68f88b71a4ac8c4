//! Which verdict may stand: the table of docs/exactly-once.md, "Which verdict stands", read once more.

use crate::model::{Field, Native};
use crate::reconcile::{Conflicts, Direction, Reopen};

use super::super::cases::Case;
use super::super::log::Said;
use super::Facts;

/// Something said of a verdict.
struct Word<'s> {
    said: &'s Said,
    /// What.
    native: &'s Native,
    /// Whether it was said of a closed record.
    closing: bool,
    /// Whether it says something, or takes back what was said.
    is_real: bool,
}

impl Facts<'_> {
    pub(super) fn verdict(&self, number: usize, case: &Case, found: &mut Vec<String>) {
        if !self.is_plain(case) {
            return;
        }
        let all: Vec<Word<'_>> = self.said_of_verdict(case);
        let certain = |word: &&Word<'_>| self.is_certain(case, word.said);
        if !all.iter().all(|word| certain(&word)) {
            return;
        }
        let revokes = |later: &Word<'_>| self.reopens(later.said, Field::Status);
        // What was said before the last rest is known to all, and so answered by whatever was said since.
        let now: Vec<&Word<'_>> = all.iter().filter(|word| word.said.seq > self.world.rested).collect();
        let untold = self.world.wrote.iter().any(|wrote| !wrote.told && wrote.created.is_none());
        // Which of a word and a reopening had seen the other is not known.
        if untold || now.len() > 1 && now.iter().any(|word| revokes(word)) {
            return;
        }
        let answered =
            |word: &Word<'_>| now.iter().any(|later| self.answers(later.said, word.said, Field::Verdict));
        let mut left: Vec<&Word<'_>> = now.iter().copied().filter(|word| !answered(word)).collect();
        // Who answers one of several may or may not have beaten the others with it.
        // Who says once more what stood already says nothing new, and who differs from it may have seen it.
        let unclear = now.iter().any(|word| {
            !word.closing && self.closes_later(case, word.said) || self.stood_at_rest(case, word)
        });
        if left.len() == now.len() && !unclear {
            self.rank(&mut left);
        }
        if left.is_empty() {
            return;
        }
        for (at, id) in self.members(case) {
            let stands = self.says((at, id), Field::Verdict);
            let Some(stands) = stands.filter(|_| !self.may_differ(case, (at, id), Field::Verdict)) else {
                continue;
            };
            let means =
                |word: &&Word<'_>| self.agree(Field::Verdict, (word.said.system, word.native), (at, stands));
            if !left.iter().any(means) {
                let words: Vec<String> = left.iter().map(|word| word.native.to_string()).collect();
                let record = self.world.remotes[at].record(id);
                let words = words.join(" or ");
                found.push(format!(
                    "case {number}: the verdict of {record} is {stands}, and what stands is {words}"
                ));
            }
        }
    }

    /// Of words that nobody answered those that the rules prefer.
    fn rank(&self, left: &mut Vec<&Word<'_>>) {
        for outranks in [|word: &Word<'_>| word.is_real || word.closing, |word: &Word<'_>| word.closing] {
            if left.iter().any(|word| outranks(word)) {
                left.retain(|word| outranks(word));
            }
        }
        if self.policy.conflicts != Conflicts::Latest && !self.reconfigured {
            // Words on one record follow each other; of several the order of the systems decides.
            let first = left.iter().map(|word| word.said.system).min();
            left.retain(|word| Some(word.said.system) == first);
        }
    }

    /// Whether the rules apply to a case without more ado.
    fn is_plain(&self, case: &Case) -> bool {
        let both = |field| *self.policy.direction(field) == Direction::Both;
        let whole = case.former.is_empty()
            && case.detached.is_empty()
            && case.left.is_empty()
            && case.changed_hands.is_empty();
        let coarse = self.world.remotes.iter().all(|remote| remote.words.carries(Field::Verdict));
        whole
            && coarse
            && both(Field::Verdict)
            && both(Field::Status)
            && self.policy.native_sync.is_none()
            && self.policy.closing.reopen == Reopen::Propagate
            && self.world.stores_lost == 0
            && self.dead.is_empty()
    }

    /// What people said of a case's verdict since the last rest, and what stood then.
    fn said_of_verdict<'s>(&'s self, case: &'s Case) -> Vec<Word<'s>> {
        const NONE: &Native = &Native::Empty;
        let mut words = Vec::new();
        for said in self.said(case, Field::Status).chain(self.said(case, Field::Verdict)) {
            let vocabulary = &self.world.remotes[said.system].words;
            let closing = self.was_closed(said);
            let (old, new) = (said.changed.old.get(&Field::Verdict), said.changed.new.get(&Field::Verdict));
            let is_vague = |native: Option<&Native>| native.is_none_or(|native| vocabulary.is_vague(native));
            let mut add = |native: &'s Native, closing| {
                let word = self.word(said.system, Field::Verdict, native);
                let is_real = word.is_some_and(|word| word != "undetermined");
                words.push(Word { said, native, closing, is_real });
            };
            match new {
                Some(new) if !(self.reopens(said, Field::Status) || is_vague(Some(new)) && is_vague(old)) => {
                    add(new, closing);
                }
                _ if self.reopens(said, Field::Status) => add(new.unwrap_or(NONE), false),
                _ => {}
            }
        }
        words.sort_by_key(|word| word.said.seq);
        words.dedup_by_key(|word| word.said.seq);
        words
    }

    /// Whether nothing about an edit is in doubt.
    fn is_certain(&self, case: &Case, said: &Said) -> bool {
        let field =
            if said.changed.new.contains_key(&Field::Verdict) { Field::Verdict } else { Field::Status };
        let seen = !self.reopens(said, Field::Status)
            || self.was_closed_at_rest(said) && !self.said_again(case, said);
        seen && said.overrun.is_empty()
            && said.in_doubt.is_empty()
            && !said.joined
            && self.counts(case, said, field)
    }

    /// Whether a record's status was changed once more in the same stretch: what stood in between nobody need have seen.
    fn said_again(&self, case: &Case, said: &Said) -> bool {
        let again = |later: &Said| later.seq > said.seq && later.since == said.since;
        self.said(case, Field::Status)
            .any(|later| (later.system, &later.id) == (said.system, &said.id) && again(later))
    }

    /// Whether some record said the same when everything rested last.
    fn stood_at_rest(&self, case: &Case, word: &Word<'_>) -> bool {
        self.members(case).into_iter().any(|(at, id)| {
            let versions = self.world.remotes[at].records.get(id).into_iter().flatten();
            let then = versions.take_while(|version| version.at <= word.said.since.1).last();
            let verdict = then.and_then(|version| version.native.get(&Field::Verdict));
            verdict.is_some_and(|v| {
                *v != Native::Empty && self.agree(Field::Verdict, (at, v), (word.said.system, word.native))
            })
        })
    }

    /// Whether a record was closed later in the same stretch: what is seen at once passes for said at once, and nobody knows
    /// whether it was.
    fn closes_later(&self, case: &Case, said: &Said) -> bool {
        let later = |close: &Said| close.seq > said.seq && close.since == said.since;
        self.said(case, Field::Status).any(|close| {
            (close.system, &close.id) == (said.system, &said.id)
                && later(close)
                && self.is_close(close, Field::Status)
        })
    }

    /// Whether a record was closed when something was said of it.
    fn was_closed(&self, said: &Said) -> bool {
        let remote = &self.world.remotes[said.system];
        let versions = remote.records.get(&said.id).into_iter().flatten();
        let then = versions.take_while(|version| version.at <= said.at).last();
        then.is_some_and(|version| remote.words.is_closed(&version.native))
    }

    /// Whether a record was closed when everything rested last: else nobody need have seen the close that was taken back.
    fn was_closed_at_rest(&self, said: &Said) -> bool {
        let remote = &self.world.remotes[said.system];
        let versions = remote.records.get(&said.id).into_iter().flatten();
        let then = versions.take_while(|version| version.at <= said.since.1).last();
        then.is_some_and(|version| remote.words.is_closed(&version.native))
    }
}
