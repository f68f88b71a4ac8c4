//! The real step of the lane, as a table: lanes are numbered, and each `(lane, event)` is computed once.
//!
//! The step has no clock and no randomness of its own, so the same lane and the same event always give the same. What
//! grows without meaning (moments of our clock, back-offs, numbers of intents) is brought to one form, so that lanes
//! that behave alike are one.

use std::collections::HashMap;

use jiff::{SignedDuration, Timestamp};
use lockstep::connectors::Depth;
use lockstep::engine::{Context, Event, Failure, FailureKind, Lane};
use lockstep::model::{Action, AuditKind, IntentId, IntentState, Mapping, SystemName};
use lockstep::store::Change;
use rand::SeedableRng;
use rand::rngs::StdRng;

use super::bridge::{Bridge, mapping_id, system};
use super::faults::Planted;
use super::messages::{Body, Due, Failed, Input, Told, Work, Write};
use super::world::{FIELDS, Scenario, fields, value};

/// The moment at which everything happens, by the worker's clock.
const NOW: Timestamp = Timestamp::UNIX_EPOCH;
/// What is due after this is waiting for `settle`; what is due earlier but not now waits for a back-off.
const SETTLE: SignedDuration = SignedDuration::from_hours(24);

/// A lane by its number.
pub(crate) type LaneId = u32;
/// A step by its number.
pub(crate) type StepId = u32;

/// What a step did.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Stepped {
    /// The lane after it.
    pub(crate) lane: LaneId,
    /// What leaves after the commit.
    pub(crate) write: Option<Write>,
    /// What the history tells.
    pub(crate) told: Vec<Told>,
    /// Whether its changes, applied to the lane before, give the lane after.
    pub(crate) complete: bool,
}

/// All lanes that were met.
pub(crate) struct Lanes {
    bridge: Bridge,
    met: Vec<Lane>,
    numbers: HashMap<String, LaneId>,
    steps: Vec<Stepped>,
    step_numbers: HashMap<Stepped, StepId>,
    table: HashMap<(LaneId, Input), StepId>,
    due: HashMap<LaneId, Option<Due>>,
    elapsed: HashMap<(LaneId, bool), Option<LaneId>>,
    renumbered: HashMap<LaneId, LaneId>,
}

impl Lanes {
    /// None met yet.
    pub(crate) fn new(scenario: Scenario) -> Self {
        Self {
            bridge: Bridge::new(scenario),
            met: Vec::new(),
            numbers: HashMap::new(),
            steps: Vec::new(),
            step_numbers: HashMap::new(),
            table: HashMap::new(),
            due: HashMap::new(),
            elapsed: HashMap::new(),
            renumbered: HashMap::new(),
        }
    }

    /// The lane before anything was seen.
    pub(crate) fn empty(&mut self) -> LaneId {
        let mapping = Mapping::new(mapping_id(), self.bridge.rules.policy.bridge.clone());
        self.number(Lane { mapping, intents: Vec::new() })
    }

    /// What a step did.
    pub(crate) fn stepped(&self, step: StepId) -> &Stepped {
        &self.steps[step as usize]
    }

    /// How many lanes and how many different steps were met.
    pub(crate) fn counts(&self) -> (usize, usize) {
        (self.met.len(), self.table.len())
    }

    /// The real step, once for each lane and event.
    pub(crate) fn step(&mut self, lane: LaneId, input: Input) -> StepId {
        if let Some(step) = self.table.get(&(lane, input.clone())) {
            return *step;
        }
        let stepped = self.compute(lane, &input);
        let next = StepId::try_from(self.steps.len()).expect("few steps");
        let id = *self.step_numbers.entry(stepped.clone()).or_insert(next);
        if id == next {
            self.steps.push(stepped);
        }
        self.table.insert((lane, input), id);
        id
    }

    fn compute(&mut self, id: LaneId, input: &Input) -> Stepped {
        let planted = self.bridge.scenario.planted;
        let mut lane = self.met[id as usize].clone();
        if let (Some(planted), Input::Read(intent, ..)) = (planted, input) {
            planted.before_read(&mut lane, *intent);
        }
        let before = lane.clone();
        let (event, listed) = self.event(input);
        let settle = if planted == Some(Planted::NoSettle) { SignedDuration::ZERO } else { SETTLE };
        let chooses = |system: &SystemName| self.bridge.chooses_ids(system);
        let mut context = Context {
            rules: &self.bridge.rules,
            now: NOW,
            settle: &|_| settle,
            listed: &|_| listed.then_some(NOW),
            chooses_comment_ids: &chooses,
            rng: &mut StdRng::seed_from_u64(1),
        };
        let step = lane.step(event, &mut context);
        let complete = applied(&before, &step.changes) == lane;
        if let Some(planted) = planted {
            planted.after_step(&before, &mut lane, input, &step);
        }
        let told = step.changes.iter().filter_map(told).collect();
        let write = step.effect.as_ref().map(|effect| self.bridge.write(effect));
        Stepped { lane: self.number(lane), write, told, complete }
    }

    fn event(&self, input: &Input) -> (Event, bool) {
        let elsewhere = Vec::new();
        let id = |number: u32| IntentId { mapping: mapping_id(), number };
        match input {
            Input::Observed(seen) => {
                let snapshots = seen.iter().map(|seen| self.bridge.snapshot(*seen)).collect();
                (Event::Observed { snapshots, elsewhere }, false)
            }
            Input::Read(intent, result, listed) => {
                let result = result.map(|seen| Box::new(self.bridge.snapshot(seen))).map_err(failure);
                (Event::Read { intent: id(*intent), result, elsewhere }, *listed)
            }
            Input::Wrote(intent, result) => {
                let result =
                    result.map(|seen| seen.map(|seen| Box::new(self.bridge.snapshot(seen)))).map_err(failure);
                let (intent, request_id, declined) = (id(*intent), None, Vec::new());
                (Event::Wrote { intent, result, request_id, declined, elsewhere }, false)
            }
            Input::Restarted => (Event::Restarted, false),
        }
    }

    /// What is to be done now.
    pub(crate) fn due(&mut self, lane: LaneId) -> Option<Due> {
        if let Some(due) = self.due.get(&lane) {
            return *due;
        }
        let due = self.find_due(&self.met[lane as usize]);
        self.due.insert(lane, due);
        due
    }

    fn find_due(&self, lane: &Lane) -> Option<Due> {
        let (id, target, depth) = lane.next_due(NOW, &|system| self.bridge.chooses_ids(system))?;
        let intent = lane.intents.iter().find(|intent| intent.id == id)?;
        let work = match &intent.action {
            Action::Comment { key, .. } => Work::Comment(self.bridge.item_of(key)),
            Action::Create => Work::Create,
            Action::Fetch => Work::Fetch,
            Action::Update { .. } | Action::Converge => Work::Update,
        };
        let side = usize::from(target.system != system(0));
        Some(Due { intent: id.number, side, deep: depth == Depth::Comments, work })
    }

    /// Whether nothing is left to do.
    pub(crate) fn is_idle(&self, lane: LaneId) -> bool {
        self.met[lane as usize].intents.is_empty()
    }

    /// Whether a record is waiting to be made.
    pub(crate) fn plans_creation(&self, lane: LaneId) -> bool {
        self.met[lane as usize].intents.iter().any(|i| i.action == Action::Create)
    }

    /// Whether the lane holds the request's intent as sending, with exactly what it says.
    pub(crate) fn has_promised(&self, lane: LaneId, write: &Write) -> bool {
        let intents = &self.met[lane as usize].intents;
        intents.iter().filter(|intent| intent.id.number == write.intent).any(|intent| {
            let IntentState::Sending { patch } = &intent.state else { return false };
            match write.body {
                Body::Fields(said) | Body::Create(said) => fields(patch) == said,
                Body::Comment(_) => true,
            }
        })
    }

    /// Whether a write of a field to a side may have been executed, for all that is stored.
    pub(crate) fn is_open(&self, lane: LaneId, side: usize, field: usize) -> bool {
        self.met[lane as usize].intents.iter().any(|intent| {
            let patch = intent.state.in_flight();
            intent.target.system == system(side)
                && patch.is_some_and(|p| p.native.contains_key(&FIELDS[field]))
        })
    }

    /// What the lane last acknowledged of a field of a side.
    pub(crate) fn acknowledged(&self, lane: LaneId, side: usize, field: usize) -> Option<u8> {
        let members = &self.met[lane as usize].mapping.members;
        let member = members.iter().find(|member| member.record.system == system(side))?;
        value(field, &member.native(FIELDS[field])?.to_string())
    }

    /// The lane after a back-off (`settled` false) or after `settle` has passed, if it waits for that.
    pub(crate) fn wait(&mut self, lane: LaneId, settled: bool) -> Option<LaneId> {
        if let Some(after) = self.elapsed.get(&(lane, settled)) {
            return *after;
        }
        let mut after = self.met[lane as usize].clone();
        let waits = |due: Timestamp| due > NOW && (settled || due < NOW + SETTLE);
        let waiting = after
            .intents
            .iter()
            .any(|intent| if settled { intent.due >= NOW + SETTLE } else { waits(intent.due) });
        for intent in after.intents.iter_mut().filter(|intent| waits(intent.due)) {
            intent.due = NOW;
        }
        let result = waiting.then(|| self.number(after));
        self.elapsed.insert((lane, settled), result);
        result
    }

    /// The same lane with its intents numbered from nought. Only where nothing names an intent.
    pub(crate) fn renumbered(&mut self, id: LaneId) -> LaneId {
        if let Some(renumbered) = self.renumbered.get(&id) {
            return *renumbered;
        }
        let mut lane = self.met[id as usize].clone();
        let counted = lane.intents.iter_mut().zip(0..);
        lane.mapping.next_intent =
            counted.map(|(intent, n)| intent.id.number = n).count().try_into().expect("few");
        let renumbered = self.number(lane);
        self.renumbered.insert(id, renumbered);
        renumbered
    }

    /// What is on the disk when only the mapping of a step was stored.
    pub(crate) fn torn(&mut self, before: LaneId, after: LaneId) -> LaneId {
        let mapping = self.met[after as usize].mapping.clone();
        let intents = self.met[before as usize].intents.clone();
        self.number(Lane { mapping, intents })
    }

    fn number(&mut self, mut lane: Lane) -> LaneId {
        for intent in &mut lane.intents {
            intent.planned = NOW;
            intent.unreachable = 0;
            intent.due = match intent.due {
                due if due <= NOW => NOW,
                due if due < NOW + SETTLE => NOW + SignedDuration::from_secs(1),
                _ => NOW + SETTLE,
            };
        }
        let text = serde_json::to_string(&(&lane.mapping, &lane.intents)).expect("serializable");
        let next = LaneId::try_from(self.met.len()).expect("few lanes");
        let id = *self.numbers.entry(text).or_insert(next);
        if id == next {
            self.met.push(lane);
        }
        id
    }
}

/// The lane that a store would hold after a commit of these changes.
fn applied(before: &Lane, changes: &[Change]) -> Lane {
    let mut lane = before.clone();
    for change in changes {
        match change {
            Change::PutMapping(mapping) => lane.mapping = (**mapping).clone(),
            Change::PutIntent(intent) => {
                lane.intents.retain(|old| old.id != intent.id);
                lane.intents.push((**intent).clone());
                lane.intents.sort_by_key(|intent| intent.id);
            }
            Change::RemoveIntent(id) => lane.intents.retain(|intent| intent.id != *id),
            _ => {}
        }
    }
    lane
}

fn told(change: &Change) -> Option<Told> {
    let Change::Audit(entry) = change else { return None };
    let side = usize::from(entry.record.system != system(0));
    let place = |name: &str| FIELDS.iter().position(|field| field.as_str() == name);
    match &entry.kind {
        AuditKind::Edit { field, new, .. } => {
            let field = place(field.as_str())?;
            Some(Told::Edit(side, field, value(field, new)?))
        }
        AuditKind::NotCarried { what_of, value: said, .. } => {
            let field = place(what_of)?;
            Some(Told::NotCarried(side, field, value(field, said)?))
        }
        _ => None,
    }
}

fn failure(failed: Failed) -> Failure {
    let kind = match failed {
        Failed::Throttled => FailureKind::NotExecuted,
        Failed::Conflict => FailureKind::Conflict,
        Failed::NotFound => FailureKind::Gone,
        Failed::Unknown => FailureKind::Unknown,
    };
    Failure { kind, message: String::new(), request_id: None, retry_after: None }
}
