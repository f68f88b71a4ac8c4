//! Operators at work on the store, with the worker stopped.

use std::sync::Arc;

use crate::engine::{Operator, OperatorError};
use crate::model::{IntentId, IntentState};
use crate::store::{Change, Store};

use super::connector::lock;
use super::history::History;
use super::plan::Spot;

impl History {
    /// An operator works on the store, with the worker stopped.
    pub(super) fn operate(
        &mut self,
        work: impl FnOnce(&Operator<'_>, &[IntentId]) -> Result<Vec<Change>, OperatorError>,
    ) {
        self.die();
        let now = lock(&self.world).clock.now();
        let dead: Vec<_> = self
            .store
            .outbox(None, usize::MAX)
            .unwrap_or_default()
            .into_iter()
            .filter(|intent| matches!(intent.state, IntentState::Dead { .. }))
            .map(|intent| intent.id)
            .collect();
        let operator = Operator { store: &*self.store, bridges: &[&self.policy], now };
        if let Ok(changes) = work(&operator, &dead) {
            let done = self.store.apply(changes).and_then(|()| self.store.sync());
            if let Err(error) = done {
                self.judge.found(format!("an operator's change was refused: {error}"));
            }
        }
        self.start();
    }

    pub(super) fn unlink(&mut self, spot: Spot) {
        let Some((case, system, id)) = lock(&self.world).record_at(spot) else { return };
        let record = lock(&self.world).remotes[system].record(&id);
        let world = Arc::clone(&self.world);
        self.operate(|operator, _| {
            let (_, changes) = operator.unlink(&record)?;
            let mut world = lock(&world);
            world.say(|| format!("an operator takes {record} out of its mapping"));
            world.detach(case, system);
            Ok(changes)
        });
    }

    pub(super) fn link(&mut self, spot: Spot) {
        let found = {
            let world = lock(&self.world);
            let Some((case, system, id)) = world.record_at(spot) else { return };
            let here = &world.cases[case];
            let mut others =
                (0..world.remotes.len()).filter(|at| *at != system && !here.detached.contains(at));
            let other = others.find_map(|at| Some(world.remotes[at].record(here.records[at].as_ref()?)));
            let joins = here.detached.contains(&system) && !here.left.contains(&system);
            other.filter(|_| joins).map(|other| (case, system, world.remotes[system].record(&id), other))
        };
        let Some((case, system, record, other)) = found else { return };
        let world = Arc::clone(&self.world);
        self.operate(|operator, _| {
            let changes = operator.link(&other, &record)?;
            let mut world = lock(&world);
            world.say(|| format!("an operator links {record} to {other}"));
            world.attach(case, system);
            Ok(changes)
        });
    }
}
