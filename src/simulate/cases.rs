//! The incidents of a world: how each begins, and which records stand for it.

use std::collections::BTreeSet;

use crate::model::{Field, MappingId, Natives, RecordId, RecordKind};
use crate::reconcile::derived_record;

use super::plan::Spot;
use super::remote::{Actor, Remote, initial};
use super::world::{World, id};

/// Tickets that may follow each other for one incident, as the judge tells their keys.
const GENERATIONS: usize = 8;

/// One security incident.
#[derive(Debug, Clone, Default)]
pub(crate) struct Case {
    /// Its records, by system. Of tickets that follow each other the last.
    pub(crate) records: Vec<Option<RecordId>>,
    /// Tickets that others followed.
    pub(crate) former: BTreeSet<(usize, RecordId)>,
    /// Systems whose record an operator took out.
    pub(crate) detached: BTreeSet<usize>,
    /// Systems whose record was deleted, or merged into another one.
    pub(crate) left: BTreeSet<usize>,
    /// Systems whose record was taken out and put back, or is another one now.
    pub(crate) changed_hands: BTreeSet<usize>,
    /// The case into which its incident was merged.
    pub(crate) merged_into: Option<usize>,
}

impl World {
    /// The incident systems of a case: the one whose incident is the root, and those that name it.
    pub(super) fn begin_case(&mut self, n: usize) {
        let incidents: Vec<usize> = (0..self.remotes.len())
            .filter(|at| self.remotes[*at].habits.main == RecordKind::Incident)
            .collect();
        let root = incidents.iter().copied().find(|at| self.remotes[*at].habits.has_alerts);
        let Some(root) = root.or(incidents.first().copied()) else { return };
        let mut records = vec![None; self.remotes.len()];
        for at in incidents {
            if at != root && !self.scene.has_twins {
                continue;
            }
            let id = id(format!("{}-{n}", 100 * (at + 1) + n));
            let mut native = initial(&self.remotes[at], &format!("incident {n}"));
            if n == 0 && self.scene.begins_closed {
                close(&self.remotes[at], &mut native);
            }
            self.remotes[at].create(self.clock.now(), Actor::Person, &id, native.clone());
            self.joined(at, &id);
            if self.remotes[at].habits.has_alerts {
                let alert = RecordId::new(format!("alert-{n}")).unwrap_or_else(|_| unreachable!("not blank"));
                self.remotes[at].raise(self.clock.now(), &alert, &id);
            }
            records[at] = Some(id);
        }
        self.link_twins(&records, root);
        self.name_what_may_follow(n, &records, root);
        self.cases.push(Case { records, ..Case::default() });
    }

    fn link_twins(&mut self, records: &[Option<RecordId>], root: usize) {
        let Some(root_id) = records[root].clone() else { return };
        let link = self.remotes[root].record(&root_id);
        for (at, record) in records.iter().enumerate().filter(|(at, _)| *at != root) {
            if let Some(id) = record {
                self.remotes[at].twins.insert(id.clone(), link.clone());
            }
        }
    }

    /// The names under which lockstep may create records for a case.
    fn name_what_may_follow(&mut self, case: usize, records: &[Option<RecordId>], root: usize) {
        let Some(root_id) = &records[root] else { return };
        let policy = &self.scene.policy;
        let mapping = MappingId::derive(&policy.bridge, &self.remotes[root].record(root_id));
        for system in &policy.create_in {
            for generation in 0..GENERATIONS {
                let name = derived_record(mapping, system, generation, policy);
                self.names.insert(name, (case, policy.rank(system)));
            }
        }
    }

    /// The case and system of a spot, and the record there.
    pub(crate) fn record_at(&self, spot: Spot) -> Option<(usize, usize, RecordId)> {
        let case = usize::from(spot.case) % self.cases.len().max(1);
        let system = usize::from(spot.system) % self.remotes.len();
        let id = self.cases.get(case)?.records.get(system)?.clone()?;
        Some((case, system, id))
    }

    /// The case of a record, as it is now.
    pub(crate) fn case_of(&self, system: usize, id: &RecordId) -> Option<usize> {
        self.cases.iter().position(|case| case.records[system].as_ref() == Some(id))
    }
}

/// A record that was closed as an attack.
fn close(remote: &Remote, native: &mut Natives) {
    native.insert(Field::Status, remote.words.status("closed"));
    native.extend(
        remote.words.native(Field::Verdict, "true-positive").map(|verdict| (Field::Verdict, verdict)),
    );
}
