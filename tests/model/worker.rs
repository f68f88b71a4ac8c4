//! What the worker can do next, where it stands.

use super::acts::Act;
use super::faults::Planted;
use super::lanes::StepId;
use super::messages::{Due, Failed, Input, Work, Write};
use super::properties;
use super::protocol::{Moves, Protocol, Worker, fault};

impl Protocol {
    /// Nothing is under way: decide, deliver, or wait.
    pub(crate) fn idle(&mut self, moves: &mut Moves<'_>) {
        let from = moves.from;
        if !from.inbox.is_empty() {
            let seen = from.inbox.iter().map(|(side, place)| Self::seen(from, *side, *place, false, false));
            let step = self.lanes.step(from.lane, Input::Observed(seen.collect()));
            let taken = from.inbox.len();
            moves.push(Act::Decide, false, |state| {
                state.worker = Worker::Uncommitted(step, taken);
                Ok(())
            });
            if self.plants(Planted::InboxRemovedFirst) {
                moves.push(Act::DecideLate, false, |state| {
                    state.worker = Worker::Uncommitted(step, 0);
                    state.inbox.clear();
                    Ok(())
                });
            }
        }
        if let Some(due) = self.lanes.due(from.lane) {
            self.read(moves, due);
        }
        if let Some(lane) = self.lanes.wait(from.lane, false) {
            moves.push(Act::BackedOff, false, |state| {
                state.lane = lane;
                Ok(())
            });
        }
        // What has not arrived when `settle` is over is lost, and reads show everything: that is what `settle` means.
        let slow = self.scenario.slow;
        if let Some(lane) = self.lanes.wait(from.lane, true) {
            moves.push(Act::Settled, false, |state| {
                state.lane = lane;
                state.transit.clear();
                for record in &mut state.records {
                    record.settle(slow);
                }
                Ok(())
            });
        }
    }

    fn read(&mut self, moves: &mut Moves<'_>, due: Due) {
        let from = moves.from;
        let record = &from.records[due.side];
        let listed = from.listed && from.inbox.iter().all(|(side, _)| *side == 0);
        let (newest, blind) =
            (record.newest(), due.work == Work::Create && self.plants(Planted::CreateWithoutLookUp));
        for place in record.settled.max(0)..=newest {
            let stale = place < newest;
            if (stale && from.faults == 0) || blind {
                continue;
            }
            let seen = Self::seen(from, due.side, place, true, due.deep);
            let step = self.lanes.step(from.lane, Input::Read(due.intent, Ok(seen), listed));
            moves.push(Act::Read(due, place, newest), stale, |state| {
                state.faults -= u8::from(stale);
                state.worker = Worker::Uncommitted(step, 0);
                state.ghost.read(due.side, due.work);
                Ok(())
            });
        }
        let hidden = newest >= 0 && record.settled < 0 && from.faults > 0;
        if newest < 0 || hidden || blind {
            let step = self.lanes.step(from.lane, Input::Read(due.intent, Err(Failed::NotFound), listed));
            moves.push(Act::NotFound(due), hidden, |state| {
                state.faults -= u8::from(hidden);
                state.worker = Worker::Uncommitted(step, 0);
                state.ghost.read(due.side, due.work);
                Ok(())
            });
        }
        if from.faults > 0 {
            let step = self.lanes.step(from.lane, Input::Read(due.intent, Err(Failed::Throttled), listed));
            moves.push(Act::ReadThrottled(due), true, |state| {
                fault(state);
                state.worker = Worker::Uncommitted(step, 0);
                Ok(())
            });
        }
    }

    /// A step waits for its commit.
    pub(crate) fn uncommitted(&mut self, moves: &mut Moves<'_>, step: StepId, taken: usize) {
        let stepped = self.lanes.stepped(step).clone();
        let rested = self.lanes.renumbered(stepped.lane);
        let plans = self.lanes.plans_creation(stepped.lane) && !self.lanes.plans_creation(moves.from.lane);
        let (menu, unsynced) = (self.scenario.menu.clone(), self.plants(Planted::AckBeforeSync));
        moves.push(Act::Commit, false, |state| {
            state.synced = unsynced.then(|| Box::new((state.lane, state.inbox.clone())));
            state.inbox.drain(..taken);
            state.listed &= !plans;
            state.ghost.told(&menu, &stepped.told);
            (state.lane, state.worker) = match stepped.write {
                Some(write) => (stepped.lane, Worker::Promised(write)),
                None => (rested, Worker::Idle),
            };
            if stepped.complete || self.scenario.planted.is_some() {
                Ok(())
            } else {
                Err(properties::incomplete())
            }
        });
        if let Some(write) = stepped.write.filter(|_| self.plants(Planted::SendBeforeCommit)) {
            self.send(moves, write);
        }
        if self.plants(Planted::TornCommit) && moves.from.crashes > 0 {
            let torn = self.lanes.torn(moves.from.lane, stepped.lane);
            moves.push(Act::KillInCommit, true, |state| {
                state.inbox.drain(..taken);
                state.lane = torn;
                Self::kill(state);
                Ok(())
            });
        }
    }

    /// A promised request leaves.
    pub(crate) fn send(&self, moves: &mut Moves<'_>, write: Write) {
        let promised =
            self.lanes.has_promised(moves.from.lane, &write) || self.plants(Planted::ForgetWhenSent);
        moves.push(Act::Send(write), false, |state| {
            state.worker = Worker::Flying(write);
            properties::may_leave(state, &write, promised)
        });
    }

    /// A request is under way, and the worker waits for its answer.
    pub(crate) fn flying(&mut self, moves: &mut Moves<'_>, write: Write) {
        let landed = self.land(moves.from, &write);
        let place = landed.1;
        moves.push(Act::Land(write, place), false, |state| {
            *state = landed.0;
            state.worker = Worker::Answered(write, place);
            landed.2.map_or(Ok(()), Err)
        });
        if moves.from.faults == 0 {
            return;
        }
        self.unknown(moves, Act::Lose(write), write, false);
        self.unknown(moves, Act::TimeOut(write), write, true);
        let step = self.lanes.step(moves.from.lane, Input::Wrote(write.intent, Err(Failed::Throttled)));
        moves.push(Act::Throttle(write), true, |state| {
            fault(state);
            state.worker = Worker::Uncommitted(step, 0);
            Ok(())
        });
    }

    /// The worker does not learn what became of a request.
    fn unknown(&mut self, moves: &mut Moves<'_>, action: Act, write: Write, under_way: bool) {
        let again = self.plants(Planted::ResendWithoutRead);
        let step = self.lanes.step(moves.from.lane, Input::Wrote(write.intent, Err(Failed::Unknown)));
        moves.push(action, true, |state| {
            fault(state);
            if under_way {
                state.transit.push(write);
            }
            state.ghost.open(write.side, write.body.work());
            state.worker = if again { Worker::Promised(write) } else { Worker::Uncommitted(step, 0) };
            Ok(())
        });
    }

    /// The service has answered.
    pub(crate) fn answered(&mut self, moves: &mut Moves<'_>, write: Write, landed: Option<i8>) {
        for shown in self.answers(moves.from, &write, landed) {
            let result = match (landed, shown) {
                (None, _) => Err(Failed::Conflict),
                (_, shown) => Ok(shown.map(|place| Self::seen(moves.from, write.side, place, true, false))),
            };
            let step = self.lanes.step(moves.from.lane, Input::Wrote(write.intent, result));
            let stale = landed.zip(shown).is_some_and(|(landed, shown)| shown < landed);
            if stale && moves.from.faults == 0 {
                continue;
            }
            moves.push(Act::Answer(shown), stale, |state| {
                state.worker = Worker::Uncommitted(step, 0);
                if stale {
                    fault(state);
                    state.ghost.open(write.side, write.body.work());
                }
                Ok(())
            });
        }
        if moves.from.faults > 0 {
            self.unknown(moves, Act::LoseAnswer(write), write, false);
        }
    }
}
