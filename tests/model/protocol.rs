//! Everything that can happen: the worker with what is on its disk and what is not, the two services, requests under
//! way, people, and faults.
//!
//! Left out, since nobody can tell the difference:
//! - a moment between an answer and the step that takes it, since the step reads nothing else;
//! - a list that lags: it is the same as one that was read earlier and waits in the inbox;
//! - people, lists and late requests while a step waits for its commit, while a promised request has not left, while an
//!   answer that states a fixed version is on its way, and while the worker is down. Nothing that the worker does there
//!   depends on them, so they can as well come right after.

use super::acts::Act;
use super::checker::{Broken, Model, Move};
use super::faults::Planted;
use super::lanes::{LaneId, Lanes, StepId};
use super::messages::{Input, Write};
use super::properties::{self, Ghost, Windows};
use super::services::edited;
use super::world::{Record, Scenario, Seen, Version};

/// Where the worker stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Worker {
    /// Killed; nothing but the disk is left.
    Down,
    /// Nothing under way.
    Idle,
    /// A step is computed, and lost if the worker is killed now. It takes so many entries from the inbox.
    Uncommitted(StepId, usize),
    /// The intent is on the disk; its request has not left.
    Promised(Write),
    /// The request is under way.
    Flying(Write),
    /// The service has answered: with the version that the write led to, or with a conflict.
    Answered(Write, Option<i8>),
}

/// What was listed and not decided over yet, oldest first: side and version.
type Inbox = Vec<(usize, i8)>;

/// Everything.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct State {
    /// The lane on the disk.
    pub(crate) lane: LaneId,
    /// Under a planted fault: what the disk really holds, if that is older. The commit of a list brings it up to date.
    pub(crate) synced: Option<Box<(LaneId, Inbox)>>,
    /// The worker.
    pub(crate) worker: Worker,
    /// The inbox, on the disk.
    pub(crate) inbox: Inbox,
    /// The records.
    pub(crate) records: [Record; 2],
    /// Requests that nobody waits for any more, and that may still arrive.
    pub(crate) transit: Vec<Write>,
    /// Whether the second side was listed to its end since a creation was planned.
    pub(crate) listed: bool,
    /// Faults left.
    pub(crate) faults: u8,
    /// Crashes left.
    pub(crate) crashes: u8,
    /// What the properties remember.
    pub(crate) ghost: Ghost,
}

/// The whole model.
pub(crate) struct Protocol {
    /// What is explored.
    pub(crate) scenario: Scenario,
    /// The real steps.
    pub(crate) lanes: Lanes,
    /// How often the windows that the documents state were entered.
    pub(crate) windows: Windows,
}

/// The moves out of one state.
pub(crate) struct Moves<'a> {
    /// That state.
    pub(crate) from: &'a State,
    all: Vec<Move<Act, State>>,
}

impl Moves<'_> {
    /// One more: what happens, whether that uses up a fault, a crash or an edit, and what it changes.
    pub(crate) fn push(
        &mut self,
        action: Act,
        costs: bool,
        change: impl FnOnce(&mut State) -> Result<(), Broken>,
    ) {
        let mut state = self.from.clone();
        let broken = change(&mut state).err();
        self.all.push(Move { action, state, costs, broken });
    }
}

/// A fault is used up.
pub(crate) fn fault(state: &mut State) {
    state.faults -= 1;
}

impl Protocol {
    /// The model of a scenario.
    pub(crate) fn new(scenario: Scenario) -> Self {
        Self { lanes: Lanes::new(scenario.clone()), scenario, windows: Windows::default() }
    }

    pub(crate) fn plants(&self, planted: Planted) -> bool {
        self.scenario.planted == Some(planted)
    }

    /// Whether what others do can make a difference to what the worker does next.
    fn is_open_to_others(&self, worker: Worker) -> bool {
        match worker {
            Worker::Idle | Worker::Flying(_) => true,
            Worker::Answered(write, _) => self.reads_after(&write),
            Worker::Down | Worker::Uncommitted(..) | Worker::Promised(_) => false,
        }
    }

    pub(crate) fn seen(state: &State, side: usize, place: i8, fresh: bool, deep: bool) -> Seen {
        Seen { side, place, version: state.records[side].at(place), fresh, deep }
    }

    /// People, and lists: at any time, whatever the worker is at.
    fn outside(&self, moves: &mut Moves<'_>) {
        let from = moves.from;
        for (at, item) in self.scenario.menu.iter().enumerate() {
            let Some(now) = from.records[item.side].now().filter(|_| !from.ghost.made(at)) else { continue };
            let Some(after) = edited(now, at, *item) else { continue };
            moves.push(Act::Person(*item), true, |state| {
                state.records[item.side].versions.push(after);
                let open = |field| self.lanes.is_open(state.lane, item.side, field);
                let base = |field| self.lanes.acknowledged(state.lane, item.side, field);
                state.ghost.person(&self.scenario.menu, at, open, base);
                Ok(())
            });
        }
        for side in 0..2 {
            self.list(moves, side);
        }
    }

    fn list(&self, moves: &mut Moves<'_>, side: usize) {
        let (from, newest) = (moves.from, moves.from.records[side].newest());
        let cursor = from.records[side].cursor;
        if cursor < newest {
            moves.push(Act::Listed(side, newest), false, |state| {
                state.inbox.push((side, newest));
                state.records[side].cursor = newest;
                state.synced = None;
                state.listed |= side == 1;
                Ok(())
            });
            if self.plants(Planted::CursorFirst) && from.crashes > 0 {
                moves.push(Act::CursorMoved(side), true, |state| {
                    state.records[side].cursor = newest;
                    Self::kill(state);
                    Ok(())
                });
            }
        } else if side == 1 && self.scenario.created && !from.listed {
            moves.push(Act::ListedNothing, false, |state| {
                state.listed = true;
                Ok(())
            });
        }
        if from.faults > 0 {
            for place in 0..=cursor.min(newest) {
                if from.inbox.contains(&(side, place)) {
                    continue;
                }
                moves.push(Act::ListedAgain(side, place), true, |state| {
                    fault(state);
                    state.inbox.push((side, place));
                    Ok(())
                });
            }
        }
    }

    fn under_way(&mut self, moves: &mut Moves<'_>) {
        for (at, write) in moves.from.transit.clone().into_iter().enumerate() {
            let (mut landed, _, broken) = self.land(moves.from, &write);
            landed.transit.remove(at);
            moves.push(Act::Arrive(write), false, |state| {
                *state = landed;
                broken.map_or(Ok(()), Err)
            });
        }
    }

    /// Everything that is not on the disk is gone; what was under way stays under way.
    pub(crate) fn kill(state: &mut State) {
        state.crashes -= 1;
        state.listed = false;
        match state.worker {
            Worker::Promised(write) | Worker::Answered(write, _) => {
                state.ghost.open(write.side, write.body.work());
            }
            Worker::Flying(write) => {
                state.ghost.open(write.side, write.body.work());
                state.transit.push(write);
            }
            _ => {}
        }
        state.worker = Worker::Down;
        if let Some(synced) = state.synced.take() {
            (state.lane, state.inbox) = *synced;
        }
    }
}

impl Model for Protocol {
    type State = State;
    type Action = Act;

    fn initial(&mut self) -> State {
        let version = Version::default();
        let there = Record { versions: vec![version], settled: 0, settling: 0, cursor: 0 };
        let missing = Record { versions: Vec::new(), settled: -1, settling: -1, cursor: -1 };
        let records = [there.clone(), if self.scenario.created { missing } else { there }];
        let sides = if self.scenario.created { 0..1 } else { 0..2 };
        let mut lane = self.lanes.empty();
        // One after the other: a ticket is routed here by its key, which is stored once its incident was met.
        for side in sides {
            let seen = Seen { side, place: 0, version, fresh: true, deep: true };
            let step = self.lanes.step(lane, Input::Observed(vec![seen]));
            lane = self.lanes.stepped(step).lane;
        }
        State {
            lane,
            synced: None,
            worker: Worker::Idle,
            inbox: Vec::new(),
            records,
            transit: Vec::new(),
            listed: false,
            faults: self.scenario.faults,
            crashes: self.scenario.crashes,
            ghost: Ghost::new(self.scenario.menu.len()),
        }
    }

    fn moves(&mut self, state: &State) -> Vec<Move<Act, State>> {
        let mut moves = Moves { from: state, all: Vec::new() };
        match state.worker {
            Worker::Down => {
                let step = self.lanes.step(state.lane, Input::Restarted);
                moves.push(Act::Start, false, |state| {
                    state.worker = Worker::Uncommitted(step, 0);
                    Ok(())
                });
            }
            Worker::Idle => self.idle(&mut moves),
            Worker::Uncommitted(step, taken) => self.uncommitted(&mut moves, step, taken),
            Worker::Promised(write) => self.send(&mut moves, write),
            Worker::Flying(write) => self.flying(&mut moves, write),
            Worker::Answered(write, landed) => self.answered(&mut moves, write, landed),
        }
        if state.worker != Worker::Down && state.crashes > 0 {
            moves.push(Act::Kill, true, |state| {
                Self::kill(state);
                state.lane = self.lanes.renumbered(state.lane);
                Ok(())
            });
        }
        if self.is_open_to_others(state.worker) {
            self.under_way(&mut moves);
            self.outside(&mut moves);
        }
        moves.all
    }

    fn at_rest(&mut self, state: &State) -> Result<bool, Broken> {
        let listed = state.records.iter().all(|record| record.cursor == record.newest());
        let rests = state.worker == Worker::Idle
            && state.inbox.is_empty()
            && listed
            && self.lanes.is_idle(state.lane);
        if rests { properties::settled(state, &self.scenario).map(|()| true) } else { Ok(false) }
    }
}
