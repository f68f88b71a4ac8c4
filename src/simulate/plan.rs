//! One history as data: what happens, in which order, and which calls fail how. Drawn from a seed; a part of it can be
//! left out, so that a failing history shrinks.

use jiff::SignedDuration;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};

use crate::model::Field;

use super::scene::Scene;

/// Worker acts at most between two acts of the world.
const MAX_PAUSE_MS: i64 = 15_000;

/// One history, before it is played.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Its seed, which also decides the small things: jitter, delays of calls.
    pub seed: u64,
    /// The bridge it plays, and its world.
    pub scene: Scene,
    /// What happens, in order. A quiet phase follows in any case.
    pub acts: Vec<Act>,
}

/// Something that happens a while after what went before.
#[derive(Debug, Clone, PartialEq)]
pub struct Act {
    /// How long after.
    pub after: SignedDuration,
    /// What.
    pub what: What,
}

/// What happens. Numbers of cases and systems are taken modulo how many there are.
#[derive(Debug, Clone, PartialEq)]
pub enum What {
    /// A person, or another program, changes a record.
    Edit(Edit),
    /// A person changes the record of every case in one system at the same instant.
    BulkEdit(Edit),
    /// A person comments.
    Comment(Spot),
    /// The worker lists a system's collections.
    Poll(u8, Trouble),
    /// The worker routes its inbox, and gives some lanes their turns.
    Work(u8, Trouble),
    /// A webhook names a record; a lying one names a record that nobody knows.
    Hint(Spot, bool, Trouble),
    /// The worker is killed, and starts again.
    Kill(Trouble),
    /// A system cannot be reached for some minutes.
    Outage(u8, u16),
    /// A system refuses the worker's credential for some minutes.
    Denied(u8, u16),
    /// A system answers the worker as it answers a stranger for some minutes: to him no record is there, in the very form in
    /// which it says that one is gone, and he may list nothing.
    Stranger(u8, u16),
    /// Whoever asks for a record by its id is told for some minutes that it is gone. Lists show what changes in it.
    Hide(Spot, u16),
    /// A record cannot be closed for some minutes: something that it depends on is open.
    Block(Spot, u16),
    /// A person answers the latest comment on a record, and quotes it whole.
    Quote(Spot),
    /// The service merges a case's incident into another one.
    Merge(u8, u8),
    /// A person merges a case's ticket into a ticket of somebody else.
    MergeTicket(Spot),
    /// A person deletes a case's ticket.
    Delete(Spot),
    /// A person copies a case's ticket, key and all.
    Copy(Spot),
    /// An operator takes a record out of its mapping, with the worker stopped.
    Unlink(Spot),
    /// An operator puts it back.
    Link(Spot),
    /// An operator lets every dead letter be tried again.
    Retry,
    /// The worker is started with another conflict policy.
    Reconfigure,
    /// The store is lost, and the worker starts on an empty one. Only where everything agrees.
    LoseStore,
    /// Faults end, and the worker goes on until nothing moves any more; then everything is judged.
    Rest,
}

/// A record: the case and the system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spot {
    /// Which case.
    pub case: u8,
    /// In which system.
    pub system: u8,
}

/// A change by a person. What exactly is decided when it is played, from what the record says then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Edit {
    /// Where.
    pub spot: Spot,
    /// Which field; every second one is the status.
    pub field: u8,
    /// Which of its words.
    pub choice: u32,
}

/// What goes wrong during an act of the worker, by the number of the call or step.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Trouble {
    /// The worker is killed at this step; a step is one side of a call, of a commit, or of its sync.
    pub kill: Option<u32>,
    /// Calls that go wrong.
    pub faults: Vec<(u32, Fault)>,
    /// People who act just before a call.
    pub people: Vec<(u32, Edit)>,
    /// People who act on a record that a call has just opened, before its answer is on its way.
    pub openings: Vec<(u32, Edit)>,
}

/// How a call goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The request is lost: not executed, and the worker cannot know.
    LostBefore,
    /// The answer is lost: executed, and the worker cannot know.
    LostAfter,
    /// The answer is lost, and the request is executed only seconds later.
    Late,
    /// 429.
    Throttled,
    /// The service answers with success, and has done nothing.
    Swallowed,
    /// A read or look-up brings what was true a moment ago.
    Stale,
    /// A write that takes several requests stops half way.
    HalfWay,
    /// A read fails on the way.
    Broken,
    /// A gateway answers in the service's place that there is no such page.
    Elsewhere,
    /// The status says success, and the body is of no use.
    Nonsense,
}

impl What {
    /// What goes wrong in it, if it is an act of the worker.
    pub fn trouble(&self) -> Option<&Trouble> {
        match self {
            Self::Poll(_, trouble)
            | Self::Work(_, trouble)
            | Self::Hint(_, _, trouble)
            | Self::Kill(trouble) => Some(trouble),
            _ => None,
        }
    }

    pub(super) fn trouble_mut(&mut self) -> Option<&mut Trouble> {
        match self {
            Self::Poll(_, trouble)
            | Self::Work(_, trouble)
            | Self::Hint(_, _, trouble)
            | Self::Kill(trouble) => Some(trouble),
            _ => None,
        }
    }
}

const FAULTS: [Fault; 8] = [
    Fault::LostBefore,
    Fault::LostAfter,
    Fault::Late,
    Fault::Throttled,
    Fault::Swallowed,
    Fault::Stale,
    Fault::HalfWay,
    Fault::Broken,
];

/// What a history may believe too easily: drawn from a stream of its own, so that the rest of a history does not depend on it.
struct Beliefs {
    rng: StdRng,
    lie: f64,
    fault: f64,
    opening: f64,
}

impl Beliefs {
    fn draw(seed: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed ^ 0xbe11_ef5e);
        let mut danger = |most: f64| if rng.random_bool(0.5) { 0.0 } else { rng.random_range(0.0..most) };
        let (lie, fault, opening) = (danger(0.1), danger(0.2), danger(0.6));
        Self { rng, lie, fault, opening }
    }

    /// What a scene's systems make of verdicts.
    fn habits(&mut self, scene: &mut Scene) {
        let hiding: Vec<usize> = (0..scene.words.len()).filter(|at| scene.words[*at].hides_verdict).collect();
        let rng = &mut self.rng;
        scene.keeps_verdicts = hiding.choose(rng).copied().filter(|_| rng.random_bool(0.2));
        let choices = hiding.choose(rng).map(|at| (*at, scene.words[*at].choices(Field::Verdict)));
        scene.sets_verdict = choices
            .filter(|_| rng.random_bool(0.08))
            .and_then(|(at, words)| Some((at, words.choose(rng)?.clone())));
    }

    /// Something that the worker must not conclude too much from.
    fn lie(&mut self) -> Option<What> {
        let rng = &mut self.rng;
        if !rng.random_bool(self.lie) {
            return None;
        }
        let minutes = rng.random_range(1..90);
        Some(match rng.random_range(0..5) {
            0 => What::Stranger(rng.random_range(0..12), minutes),
            1 => What::Hide(spot(rng), minutes),
            2 => What::Block(spot(rng), minutes),
            _ => What::Quote(spot(rng)),
        })
    }

    fn trouble(&mut self, trouble: &mut Trouble) {
        let rng = &mut self.rng;
        while trouble.faults.len() < 6 && rng.random_bool(self.fault) {
            let fault = if rng.random_bool(0.5) { Fault::Elsewhere } else { Fault::Nonsense };
            trouble.faults.push((rng.random_range(0..8), fault));
        }
        while trouble.openings.len() < 2 && rng.random_bool(self.opening) {
            trouble.openings.push((rng.random_range(0..8), edit(rng)));
        }
    }
}

/// How likely what is in one history: some dangers are switched off entirely, so that others meet.
struct Weights {
    faults: Vec<Fault>,
    fault: f64,
    kill: f64,
    race: f64,
    outage: f64,
    operator: f64,
    disaster: f64,
    hints: f64,
    one_at_a_time: bool,
}

impl Weights {
    fn draw(rng: &mut StdRng) -> Self {
        let one_at_a_time = rng.random_bool(0.5);
        let mut danger = |most: f64| if rng.random_bool(0.4) { 0.0 } else { rng.random_range(0.0..most) };
        let (fault, kill, race, outage) = (danger(0.8), danger(0.2), danger(0.3), danger(0.06));
        let (operator, disaster, hints) = (danger(0.06), danger(0.05), danger(0.3));
        let mut faults: Vec<Fault> = FAULTS.into_iter().filter(|_| rng.random_bool(0.6)).collect();
        if faults.is_empty() {
            faults.push(Fault::LostAfter);
        }
        let race = if one_at_a_time { 0.0 } else { race };
        Self { faults, fault, kill, race, outage, operator, disaster, hints, one_at_a_time }
    }
}

impl Plan {
    /// The history of a seed, played on one of these scenes.
    pub fn draw(seed: u64, scenes: &super::scene::Scenes) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut scene = scenes.draw(&mut rng);
        let mut beliefs = Beliefs::draw(seed);
        beliefs.habits(&mut scene);
        let weights = Weights::draw(&mut rng);
        let mut acts = Vec::new();
        worker(&mut rng, &weights, 12, &mut acts);
        push(&mut rng, What::Rest, &mut acts);
        let edits = rng.random_range(1..=if weights.one_at_a_time { 5 } else { 12 });
        for _ in 0..edits {
            let what = person(&mut rng, &weights);
            push(&mut rng, what, &mut acts);
            let turns = if weights.one_at_a_time { 10 } else { rng.random_range(0..6) };
            worker(&mut rng, &weights, turns, &mut acts);
            if weights.one_at_a_time || rng.random_bool(0.1) {
                push(&mut rng, What::Rest, &mut acts);
                if rng.random_bool(weights.disaster) {
                    push(&mut rng, What::LoseStore, &mut acts);
                    worker(&mut rng, &weights, 10, &mut acts);
                    push(&mut rng, What::Rest, &mut acts);
                }
            }
        }
        worker(&mut rng, &weights, 8, &mut acts);
        beliefs.disturb(&mut acts);
        Self { seed, scene, acts }
    }
}

impl Beliefs {
    /// Puts what may be believed too easily in between.
    fn disturb(&mut self, acts: &mut Vec<Act>) {
        for act in std::mem::take(acts) {
            if let Some(what) = self.lie() {
                push(&mut self.rng, what, acts);
            }
            let mut act = act;
            if let Some(trouble) = act.what.trouble_mut() {
                self.trouble(trouble);
            }
            acts.push(act);
        }
    }
}

fn push(rng: &mut StdRng, what: What, acts: &mut Vec<Act>) {
    let after = SignedDuration::from_millis(rng.random_range(1..MAX_PAUSE_MS));
    acts.push(Act { after, what });
}

fn spot(rng: &mut StdRng) -> Spot {
    Spot { case: rng.random_range(0..12), system: rng.random_range(0..12) }
}

fn edit(rng: &mut StdRng) -> Edit {
    Edit { spot: spot(rng), field: rng.random_range(0..12), choice: rng.random() }
}

/// What people, services and operators do.
fn person(rng: &mut StdRng, weights: &Weights) -> What {
    if rng.random_bool(weights.disaster) {
        return match rng.random_range(0..4) {
            0 => What::Merge(rng.random_range(0..12), rng.random_range(0..12)),
            1 => What::MergeTicket(spot(rng)),
            2 => What::Delete(spot(rng)),
            _ => What::Copy(spot(rng)),
        };
    }
    if rng.random_bool(weights.operator) {
        return match rng.random_range(0..4) {
            0 => What::Unlink(spot(rng)),
            1 => What::Link(spot(rng)),
            2 => What::Retry,
            _ => What::Reconfigure,
        };
    }
    match rng.random_range(0..10) {
        0..2 => What::Comment(spot(rng)),
        2 => What::BulkEdit(edit(rng)),
        _ => What::Edit(edit(rng)),
    }
}

/// Some turns of the worker, with what goes wrong in them.
fn worker(rng: &mut StdRng, weights: &Weights, turns: usize, acts: &mut Vec<Act>) {
    for _ in 0..turns {
        if rng.random_bool(weights.outage) {
            let (system, minutes) = (rng.random_range(0..12), rng.random_range(1..240));
            let what = if rng.random_bool(0.7) {
                What::Outage(system, minutes)
            } else {
                What::Denied(system, minutes)
            };
            push(rng, what, acts);
        }
        let trouble = trouble(rng, weights);
        let what = match rng.random_range(0..10) {
            0..5 => What::Poll(rng.random_range(0..12), trouble),
            9 if rng.random_bool(weights.hints) => What::Hint(spot(rng), rng.random_bool(0.2), trouble),
            8 if rng.random_bool(weights.kill) => What::Kill(trouble),
            _ => What::Work(rng.random_range(1..5), trouble),
        };
        push(rng, what, acts);
    }
}

fn trouble(rng: &mut StdRng, weights: &Weights) -> Trouble {
    let mut trouble = Trouble::default();
    if rng.random_bool(weights.kill) {
        trouble.kill = Some(rng.random_range(0..16));
    }
    while trouble.faults.len() < 6 && rng.random_bool(weights.fault) {
        let fault = weights.faults.choose(rng).copied().unwrap_or(Fault::LostAfter);
        trouble.faults.push((rng.random_range(0..8), fault));
    }
    while trouble.people.len() < 3 && rng.random_bool(weights.race) {
        trouble.people.push((rng.random_range(0..8), edit(rng)));
    }
    trouble
}
