//! Whose doing a changed value is.

use crate::model::{Field, Member, Native, Patch, Snapshot, Value};
use crate::translate::Translation;

use super::decide::Work;
use super::merge::Contender;
use super::needs;
use super::policy::is_beginning;

/// How many values of native sync are remembered per record. More than that and the oldest is forgotten.
const MAX_EXPECTED: usize = 16;

/// Whose doing a changed value is.
pub(super) enum Cause {
    /// A write of ours whose outcome was open.
    Ours,
    /// Native sync, as foretold.
    NativeSync,
    /// A write of ours that goes there in steps, and whose outcome is open.
    HalfWay,
    /// A write of ours of which the system kept less than was written.
    Shortened,
    /// Somebody's.
    Edit,
}

impl Work<'_> {
    /// Whose doing it is that a field of a record says something new.
    pub(super) fn cause(&mut self, at: usize, snapshot: &Snapshot, field: Field, new: &Native) -> Cause {
        let (policy, record) = (self.policy(), &snapshot.record);
        let same = |written: &Native| !planted!(EchoIsAnEdit) && policy.same(record, field, written, new);
        if self.in_flight(at).any(|patch| patch.native.get(&field).is_some_and(same)) {
            self.doubt_all_foretold(at, field);
            return Cause::Ours;
        }
        let kept = |patch: &Patch| patch.native.get(&field).is_some_and(|written| is_beginning(new, written));
        if self.in_flight(at).any(kept) && !planted!(ShortenedIsAnEdit) {
            return Cause::Shortened;
        }
        if planted!(OpenOutcomeWins) && self.in_flight(at).next().is_some() {
            return Cause::Ours;
        }
        if field == Field::Status && self.is_step(at, new) {
            return Cause::HalfWay;
        }
        if self.was_foretold(at, field, new) { Cause::NativeSync } else { Cause::Edit }
    }

    /// Whether native sync was to bring a value. What lost a conflict at the other of the pair, or may lose it, and comes
    /// to stand here in place of what is agreed, is the later word all the same: of the pair or of somebody.
    fn was_foretold(&mut self, at: usize, field: Field, new: &Native) -> bool {
        let undecided = self.twin_contends(at, field);
        let agreed = self.mapping.members[at].native(field).is_some_and(|old| self.satisfied(at, field, old));
        let Member { expected, doubtful, .. } = &mut self.mapping.members[at];
        let brings = |(f, native): &(Field, Native)| {
            *f == field && (native == new || is_beginning(new, native) && !planted!(ShortenedIsAnEdit))
        };
        let Some(found) = expected.iter().position(brings) else { return false };
        let doubted = undecided || doubtful.iter().any(brings);
        // What was foretold before it was skipped over: the sync only carries the last state.
        let mut index = 0;
        expected.retain(|(f, _)| {
            index += 1;
            *f != field || index > found + 1
        });
        doubtful.retain(|doubtful| expected.contains(doubtful));
        !(doubted && agreed)
    }

    /// Whether the other of a natively synced pair says something right now that may lose a conflict.
    fn twin_contends(&self, at: usize, field: Field) -> bool {
        let twin = needs::native_twin(&self.mapping, &self.rules.policy, at);
        let of_twin = |c: &Contender| Some(c.member) == twin && c.value.field() == field && !c.saw_agreed;
        self.contenders.iter().any(of_twin)
    }

    /// Whether a status may be a step of a write of ours: the workflow may want several, and none of them closes what the
    /// write leaves open.
    fn is_step(&self, at: usize, new: &Native) -> bool {
        let table = self.policy().translation(&self.mapping.members[at].record.system);
        let closes = self.closes(at, Field::Status, new) && !planted!(CloseIsAStep);
        let mut written = self.in_flight(at).filter_map(|patch| patch.native.get(&Field::Status));
        table.is_some_and(Translation::status_in_steps)
            && written.any(|written| !closes || self.closes(at, Field::Status, written))
    }

    /// The other of a natively synced pair will take this value by itself; then it is no edit there.
    pub(super) fn foretell_native_sync(&mut self, at: usize, field: Field, new: &Native) {
        let Some(twin) = needs::native_twin(&self.mapping, &self.rules.policy, at) else { return };
        let Some(value) = self.read(at, field, new) else { return };
        let record = self.mapping.members[twin].record.clone();
        let Some(table) = self.policy().translation(&record.system) else { return };
        let Some(native) = table.write(record.kind, &value) else { return };
        let member = &mut self.mapping.members[twin];
        member.expected.push((field, native));
        if member.expected.len() > MAX_EXPECTED {
            member.expected.remove(0);
        }
        member.doubtful.retain(|doubtful| member.expected.contains(doubtful));
    }

    /// What was foretold of a record before a write of ours replaced it need not come any more.
    fn doubt_all_foretold(&mut self, at: usize, field: Field) {
        let Member { expected, doubtful, .. } = &mut self.mapping.members[at];
        *doubtful = expected.iter().filter(|e| e.0 == field || doubtful.contains(e)).cloned().collect();
    }

    /// What one of the pair says is not carried, so it is not certain that the sync brings it to the other.
    pub(super) fn doubt_foretold(&mut self, at: usize, field: Field, value: &Value) {
        let Some(twin) = needs::native_twin(&self.mapping, &self.rules.policy, at) else { return };
        let record = &self.mapping.members[twin].record;
        let native = self.policy().translation(&record.system).and_then(|t| t.write(record.kind, value));
        let Member { expected, doubtful, .. } = &mut self.mapping.members[twin];
        let lost = native
            .map(|native| (field, native))
            .filter(|lost| expected.contains(lost) && !doubtful.contains(lost));
        doubtful.extend(lost);
    }
}
