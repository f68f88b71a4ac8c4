//! Microsoft's own sync between its two products.

use jiff::SignedDuration;

use crate::model::{Field, Native, Natives, Patch, RecordId};

use super::remote::Actor;
use super::world::{World, plain};

/// How long native sync takes.
const NATIVE_DELAY: SignedDuration = SignedDuration::from_secs(45);

impl World {
    fn native_pair(&self) -> Option<(usize, usize)> {
        let pair = self.scene.policy.native_sync.as_ref()?;
        Some((self.at(&pair.writer), self.at(&pair.follower)))
    }

    /// The sync will carry these to the other of its pair.
    pub(super) fn queue_native(&mut self, system: usize, id: &RecordId, fields: Vec<Field>) {
        let Some((writer, follower)) = self.native_pair() else { return };
        let Some(case) = self.case_of(system, id).filter(|_| system == writer || system == follower) else {
            return;
        };
        self.native_queue.push((self.clock.now() + NATIVE_DELAY, system, case, fields));
    }

    /// Whether native sync has something to carry.
    pub(super) fn native_waits(&self) -> bool {
        !self.native_queue.is_empty()
    }

    /// Microsoft's own sync: carries the present state of what changed, after its delay.
    pub(super) fn native_sync(&mut self) {
        let Some((writer, follower)) = self.native_pair() else { return };
        let now = self.clock.now();
        let due: Vec<_> = self.native_queue.iter().filter(|(at, ..)| *at <= now).cloned().collect();
        self.native_queue.retain(|(at, ..)| *at > now);
        for (_, from, case, fields) in due {
            let to = if from == writer { follower } else { writer };
            let records = &self.cases[case].records;
            let (Some(source), Some(target)) = (records[from].clone(), records[to].clone()) else { continue };
            let Some(version) = self.remotes[from].current(&source).cloned() else { continue };
            let patch = self.carried(from, to, &version.native, fields);
            let result = self.remotes[to].write(now, Actor::Service, &target, &patch, None);
            if let Ok(changed) = result.clone() {
                self.hear(to, &target, changed, None, true);
                if let Some(said) = self.said.last_mut() {
                    said.by_service = true;
                }
            }
            self.say(|| format!("native sync carries {} to {target}: {result:?}", plain(&patch.native)));
        }
    }

    fn carried(&self, from: usize, to: usize, native: &Natives, fields: Vec<Field>) -> Patch {
        let closed = self.remotes[from].words.is_closed(native);
        let mut patch = Patch::default();
        for field in fields.into_iter().chain(closed.then_some(Field::Verdict)) {
            let Some(said) = native.get(&field) else { continue };
            let word = self.remotes[from].words.meaning(field, said);
            let written = word.and_then(|word| self.remotes[to].words.native(field, &word));
            let shown = written.map(|native| match native {
                // What Graph calls unknown, records show as no verdict.
                Native::Text(text) if text == "unknown/unknown" => Native::Empty,
                native => native,
            });
            patch.native.extend(shown.map(|native| (field, native)));
        }
        let words = &self.remotes[to].words;
        if words.hides_verdict && patch.native.contains_key(&Field::Status) && !words.is_closed(&patch.native)
        {
            patch.native.remove(&Field::Verdict);
        }
        patch
    }
}
