//! After a rest all sides say the same, and every comment is everywhere once.

use crate::model::{Field, RecordKind};
use crate::reconcile::{Direction, Reopen};

use super::super::cases::Case;
use super::super::remote::KEPT_OF_TITLES;
use super::Facts;

impl Facts<'_> {
    pub(super) fn agreement(&self, number: usize, case: &Case, found: &mut Vec<String>) {
        self.nobody_lacks(number, case, found);
        let members = self.members(case);
        for field in Field::ALL {
            let differs = |of: &(usize, &crate::model::RecordId)| self.may_differ(case, *of, field);
            let held: Vec<_> = members.iter().copied().filter(|of| !differs(of)).collect();
            for pair in held.windows(2) {
                let [left, right] = [pair[0], pair[1]];
                if let (Some(a), Some(b)) = (self.says(left, field), self.says(right, field))
                    && !self.agree(field, (left.0, a), (right.0, b))
                {
                    let [left, right] = [left, right].map(|(at, id)| self.world.remotes[at].record(id));
                    found.push(format!("case {number}: {field} is {a} in {left} and {b} in {right}"));
                }
            }
        }
    }

    /// Whether two values mean the same, as well as both systems can say it.
    pub(super) fn agree(
        &self,
        field: Field,
        (left, a): (usize, &crate::model::Native),
        (right, b): (usize, &crate::model::Native),
    ) -> bool {
        let (left_words, right_words) = (&self.world.remotes[left].words, &self.world.remotes[right].words);
        // A word that no table knows is left alone.
        let (Some(said), Some(other)) = (self.word(left, field, a), self.word(right, field, b)) else {
            return true;
        };
        right_words.says(field, b, &said)
            || left_words.says(field, a, &other)
            || self.through_a_third(field, &said, &other)
    }

    /// Two coarse systems can say the same only as well as each of them says a third word.
    fn through_a_third(&self, field: Field, said: &str, other: &str) -> bool {
        if field == Field::Verdict {
            let class = |word: &str| word.split('/').next().map(str::to_owned);
            return class(said) == class(other);
        }
        let silently = self.world.scene.cuts_titles.is_some();
        let is_cut = |word: &str| word.ends_with('…') || silently && word.chars().count() == KEPT_OF_TITLES;
        let begins = |short: &str, long: &str| {
            is_cut(short) && long.starts_with(short.trim_end_matches('…').trim_end())
        };
        field == Field::Title && (begins(said, other) || begins(other, said))
    }

    /// Where lockstep opens records there is one, unless the incident was closed before.
    fn nobody_lacks(&self, number: usize, case: &Case, found: &mut Vec<String>) {
        let members = self.members(case);
        let open =
            members.iter().any(|of| !self.is_closed(*of) && !self.may_differ(case, *of, Field::Status));
        let incident =
            members.iter().any(|(at, _)| self.world.remotes[*at].habits.main == RecordKind::Incident);
        let ignored = self.policy.closing.reopen == Reopen::Ignore
            && self.said(case, Field::Status).any(|said| self.reopens(said, Field::Status));
        let one_way = *self.policy.direction(Field::Status) != Direction::Both;
        if !open || !incident || ignored || one_way || !case.detached.is_empty() {
            return;
        }
        for (at, record) in case.records.iter().enumerate() {
            let system = &self.world.remotes[at].name;
            if record.is_none() && self.policy.create_in.contains(system) {
                found.push(format!("case {number} has no record in {system}"));
            }
        }
    }

    /// Each comment of a person is on every other record once, and on its own once.
    pub(super) fn comments(&self, number: usize, case: &Case, found: &mut Vec<String>) {
        let members = self.members(case);
        for said in self.world.said.iter().filter(|said| said.comment.is_some()) {
            let own = members.contains(&(said.system, &said.id));
            let Some(text) = said.comment.as_ref().filter(|_| own && !said.joined) else { continue };
            for (at, id) in members.iter().copied() {
                let remote = &self.world.remotes[at];
                let version = remote.current(id);
                let has = |comments: &[crate::model::Comment]| {
                    comments.iter().filter(|c| c.text.contains(text)).count()
                };
                let count = version.map_or(0, |version| has(&version.comments));
                let optional = self.may_lack_comments(case, said.system, at, id);
                if count > 1 || count == 0 && !optional {
                    let record = remote.record(id);
                    found.push(format!("case {number}: comment `{text}` is {count} times on {record}"));
                }
            }
        }
    }

    fn may_lack_comments(&self, case: &Case, from: usize, to: usize, id: &crate::model::RecordId) -> bool {
        let moved = |at: &usize| {
            case.changed_hands.contains(at) || case.detached.contains(at) || case.left.contains(at)
        };
        let openings = self.world.wrote.iter().filter(|w| w.system == to && w.created.is_some());
        let generations = openings.filter(|w| {
            w.created.as_ref().is_some_and(|name| {
                self.world
                    .names
                    .get(name)
                    .is_some_and(|(of, _)| self.world.cases[*of].records == case.records)
            })
        });
        self.policy.comments != Direction::Both
            || self.is_native(from)
            || self.is_native(to)
            || self.is_superseded((to, id))
            || moved(&from)
            || moved(&to)
            || generations.count() > 1
            || self.dead.contains(&self.world.remotes[to].record(id))
    }

    /// Whether anything differs in a case, or one of its records stands alone.
    pub(super) fn differs(&self, case: &Case) -> bool {
        let members = self.members(case);
        let whole = case.former.is_empty()
            && case.detached.is_empty()
            && case.left.is_empty()
            && case.changed_hands.is_empty();
        if !whole || case.merged_into.is_some() || members.len() < case.records.len() {
            return true;
        }
        Field::ALL.into_iter().any(|field| {
            let said: Vec<_> = members.iter().filter_map(|of| Some((of.0, self.says(*of, field)?))).collect();
            let words = said.iter().map(|(at, native)| self.word(*at, field, native));
            let known = words.clone().all(|word| word.is_some());
            !known
                || said.windows(2).any(|pair| !self.agree(field, pair[0], pair[1]))
                || words.collect::<std::collections::BTreeSet<_>>().len() > 1
        })
    }

    /// The records that are left over from a merged incident are closed.
    pub(super) fn merged(&self, number: usize, case: &Case, found: &mut Vec<String>) {
        if !case.detached.is_empty() || *self.policy.direction(Field::Status) != Direction::Both {
            return;
        }
        let reopened = self.said(case, Field::Status).any(|said| !said.joined);
        let stayed = self.members(case).into_iter().filter(|(at, _)| !case.changed_hands.contains(at));
        for (at, id) in stayed {
            if !reopened
                && !self.is_closed((at, id))
                && !self.dead.contains(&self.world.remotes[at].record(id))
            {
                let record = self.world.remotes[at].record(id);
                found.push(format!("case {number} was merged away, and {record} was left open"));
            }
        }
    }
}
