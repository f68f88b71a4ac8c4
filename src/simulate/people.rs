//! People at work: what they change, and when.

use std::collections::BTreeSet;

use jiff::SignedDuration;

use crate::model::{Field, Native, Natives, Patch};
use crate::reconcile::Conflicts;

use super::doubt::Place;
use super::plan::{Edit, Spot};
use super::remote::{Actor, Changed, Remote};
use super::world::{World, plain};

/// Of so many edits one is made twice within milliseconds, so that both may share a time.
const SECOND_THOUGHTS: u32 = 6;
/// What passes between two changes at least; Defender's times tick in less.
pub(super) const MOMENT: SignedDuration = SignedDuration::from_millis(4);

impl World {
    /// A person changes a record; some think again at once.
    pub(super) fn edit(&mut self, edit: Edit) {
        if edit.choice.is_multiple_of(SECOND_THOUGHTS) {
            self.edit_once(Edit { choice: edit.choice / SECOND_THOUGHTS, ..edit });
            self.clock.advance(MOMENT);
        }
        self.edit_once(edit);
    }

    fn edit_once(&mut self, edit: Edit) {
        let Some((_, system, id)) = self.record_at(edit.spot) else { return };
        let Some(current) = self.remotes[system].current(&id).cloned() else { return };
        if current.merged_into.is_some() {
            return;
        }
        let count = self.said.len();
        let patch = patch_of(&self.remotes[system], &current.native, edit, count);
        let now = self.clock.now();
        let Ok(changed) = self.remotes[system].write(now, Actor::Person, &id, &patch, None) else { return };
        if changed == Changed::default() {
            return;
        }
        self.say(|| format!("a person sets {} on {}", plain(&changed.new), id));
        self.queue_native(system, &id, changed.new.keys().copied().collect());
        self.hear(system, &id, changed, None, false);
    }

    /// A person comments.
    pub(super) fn comment(&mut self, spot: Spot) {
        let Some((case, system, id)) = self.record_at(spot) else { return };
        if self.remotes[system].current(&id).is_none_or(|v| v.merged_into.is_some()) {
            return;
        }
        let text = format!("note {} on case {case}", self.said.len());
        let now = self.clock.now();
        if self.remotes[system].comment(now, Actor::Person, &id, None, &text) == Ok(true) {
            self.say(|| format!("a person comments on {id}: {text}"));
            self.hear(system, &id, Changed::default(), Some(text), false);
        }
    }

    /// A person answers the latest comment on a record by mail: the answer ends in what it answers, marks and all.
    pub(super) fn quote(&mut self, spot: Spot) {
        let Some((case, system, id)) = self.record_at(spot) else { return };
        let Some(current) = self.remotes[system].current(&id).filter(|v| v.merged_into.is_none()) else {
            return;
        };
        let Some(quoted) = current.comments.last().map(|comment| comment.text.clone()) else { return };
        if quoted.matches("wrote:").count() > 3 {
            return;
        }
        let own = format!("answer {} on case {case}", self.said.len());
        let text =
            format!("{own}\nsomebody wrote:\n{}", quoted.replace("note ", "n. ").replace("answer ", "a. "));
        let now = self.clock.now();
        if self.remotes[system].comment(now, Actor::Person, &id, None, &text) == Ok(true) {
            self.say(|| format!("a person answers a comment on {id}: {own}"));
            self.hear(system, &id, Changed::default(), Some(own), false);
        }
    }

    /// People act on a ticket that was just opened, before anybody has told of it.
    pub(super) fn act_at_opening(&mut self, place: &Place) {
        let (system, id) = place;
        let case = self.case_of(*system, id).and_then(|case| u8::try_from(case).ok());
        let (Some(case), Ok(at)) = (case, u8::try_from(*system)) else { return };
        for edit in self.take_openings() {
            self.pass_moment();
            self.opened_amid.insert(place.clone());
            let before = self.said.len();
            self.edit(Edit { spot: Spot { case, system: at }, ..edit });
            let words = self.remotes[*system].words.clone();
            // Until everything was met, another record may join with another word, and the policy prefer that.
            let certain = self.rested > 0 || self.scene.policy.conflicts == Conflicts::CloseWins;
            for said in &mut self.said[before..] {
                // What its system makes of the rest cannot be told from what a person makes of it.
                said.joined = !(certain && words.is_closed(&said.changed.new));
            }
        }
    }

    /// Somebody is at work on a record, and about to change it.
    pub(super) fn provoke(&mut self, (system, id): &Place) {
        let case = self.case_of(*system, id).and_then(|case| u8::try_from(case).ok());
        let (Some(case), Ok(system)) = (case, u8::try_from(*system)) else { return };
        let at = self.clock.now() + SignedDuration::from_secs(self.random(1, 40));
        let field = u8::try_from(self.random(0, 12)).unwrap_or_default();
        let choice = u32::try_from(self.random(0, 1 << 32)).unwrap_or_default();
        self.doubts.reactions.push((at, Edit { spot: Spot { case, system }, field, choice }));
    }

    /// Who is at work does something.
    pub(super) fn react(&mut self) {
        let now = self.clock.now();
        let due: Vec<_> = self.doubts.reactions.extract_if(.., |(at, _)| *at <= now).collect();
        for (_, edit) in due {
            self.edit(edit);
            self.clock.advance(MOMENT);
        }
    }
}

/// What a person's edit says, given what the record says now.
fn patch_of(remote: &Remote, now: &Natives, edit: Edit, count: usize) -> Patch {
    let words = &remote.words;
    let field = match edit.field % 12 {
        6 => Field::Severity,
        7 => Field::Verdict,
        8 => Field::Owner,
        9 => Field::Tags,
        10 | 11 => Field::Title,
        _ => Field::Status,
    };
    let field = if words.carries(field) { field } else { Field::Status };
    let choice = edit.choice as usize;
    let pick = |of: Vec<Native>| {
        let at = (choice / 16) % of.len().max(1);
        of.into_iter().nth(at).unwrap_or(Native::Empty)
    };
    let closed = words.is_closed(now);
    let mut patch = Patch::default();
    match field {
        Field::Status => {
            let wanted =
                if choice % 10 < 6 { words.status("closed") } else { pick(words.choices(Field::Status)) };
            patch.native.insert(Field::Status, wanted);
            let ends = words.is_closed(&patch.native) && !closed;
            let says_why = remote.habits.wants_verdict || !choice.is_multiple_of(3);
            if ends && says_why && words.carries(Field::Verdict) {
                patch.native.insert(Field::Verdict, pick(words.choices(Field::Verdict)));
            }
            if ends && choice.is_multiple_of(4) {
                patch.closing_comment = Some(format!("closing note {count}"));
            }
        }
        Field::Verdict if words.hides_verdict && !closed => {}
        Field::Verdict | Field::Severity => {
            patch.native.insert(field, pick(words.choices(field)));
        }
        Field::Owner => {
            let owners = ["", "alice@example.org", "bob@example.org"];
            patch.native.insert(field, Native::text(Some(owners[choice % owners.len()])));
        }
        Field::Tags => {
            let mut tags = match now.get(&Field::Tags) {
                Some(Native::Set(tags)) => tags.clone(),
                _ => BTreeSet::new(),
            };
            let tag = ["vip", "phish", "lab"][choice % 3].to_owned();
            if !tags.remove(&tag) {
                tags.insert(tag);
            }
            patch.native.insert(field, Native::Set(tags));
        }
        Field::Title => {
            patch.native.insert(field, Native::Text(title(now, choice, count)));
        }
    }
    patch
}

/// A new title. Some systems keep only the beginning, so what matters is what titles have in common.
fn title(now: &Natives, choice: usize, count: usize) -> String {
    let head: Vec<String> = match now.get(&Field::Title) {
        Some(Native::Text(title)) => title.split(' ').take(2).map(str::to_owned).collect(),
        _ => Vec::new(),
    };
    let head = head.join(" ");
    match choice % 8 {
        0 => format!("title {count} that goes on for longer than some services keep"),
        1 => format!("a title that goes on for longer than some services keep {count}"),
        2 if !head.is_empty() => format!("{head} with more to say of {count}"),
        3 if !head.is_empty() => head,
        _ => format!("title {count}"),
    }
}
