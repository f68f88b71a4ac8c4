//! The simulated world: services, the people in them, and what goes wrong on the way. It keeps a log of what really
//! changed; the judge reads that, and nothing that the worker says of itself.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use jiff::{SignedDuration, Timestamp};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::model::{Field, Natives, RecordId, RecordRef, SystemName};

use super::cases::Case;
use super::doubt::Doubts;
use super::habits::Habits;
use super::log::{Said, Wrote};
use super::plan::{Edit, Fault, Trouble};
use super::remote::{KEPT_OF_TITLES, Remote};
use super::scene::Scene;

/// The clock of a history; the worker's and everybody's.
#[derive(Debug, Clone, Default)]
pub(crate) struct SimClock(Arc<AtomicI64>);

impl SimClock {
    /// Now.
    pub(crate) fn now(&self) -> Timestamp {
        Timestamp::from_microsecond(self.0.load(Ordering::Relaxed)).unwrap_or(Timestamp::UNIX_EPOCH)
    }

    /// Lets time pass.
    pub(crate) fn advance(&self, by: SignedDuration) {
        let micros = i64::try_from(by.as_micros()).unwrap_or_default();
        self.0.fetch_add(micros, Ordering::Relaxed);
    }
}

/// Calls of the worker.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Calls {
    /// Lists.
    pub(crate) lists: u64,
    /// Reads and look-ups.
    pub(crate) reads: u64,
    /// Writes.
    pub(crate) writes: u64,
}

/// The world of one history.
pub(crate) struct World {
    /// What it is like.
    pub(crate) scene: Scene,
    /// The clock.
    pub(crate) clock: SimClock,
    /// The services, in the bridge's order.
    pub(crate) remotes: Vec<Remote>,
    /// The incidents.
    pub(crate) cases: Vec<Case>,
    /// Keys and derived ids, with their case and system.
    pub(crate) names: BTreeMap<RecordRef, (usize, usize)>,
    /// What people and native sync said.
    pub(crate) said: Vec<Said>,
    /// What the worker did.
    pub(crate) wrote: Vec<Wrote>,
    /// What the worker cannot know.
    pub(crate) doubts: Doubts,
    /// Records that were ever out of sight.
    pub(crate) hidden_once: BTreeSet<(usize, RecordId)>,
    /// Tickets in which somebody was at work before anybody was told that they are there.
    pub(crate) opened_amid: BTreeSet<(usize, RecordId)>,
    /// Records that nobody may write to: copies, other people's tickets.
    pub(crate) strangers: BTreeSet<(usize, RecordId)>,
    /// Records that an operator took out, and since when in the order of everything.
    pub(crate) apart: BTreeMap<(usize, RecordId), u64>,
    /// The end of the latest rest, in the order of everything.
    pub(crate) rested: u64,
    /// When that was.
    pub(crate) rested_at: Timestamp,
    /// How often the worker was started again.
    pub(crate) restarts: u64,
    /// When the worker's present store began, in the order of everything.
    pub(crate) store_began: u64,
    /// How many stores were lost.
    pub(crate) stores_lost: usize,
    /// Calls so far.
    pub(crate) calls: Calls,
    /// Calls that went wrong so far.
    pub(crate) faults: u64,
    /// Whether nothing goes wrong now.
    pub(crate) calm: bool,
    /// What happened, for people; only kept for a replay.
    pub(crate) timeline: Option<Vec<String>>,
    pub(super) away_until: Vec<Timestamp>,
    pub(super) denied_until: Vec<Timestamp>,
    pub(super) stranger_until: Vec<Timestamp>,
    /// How often each system took the worker for a stranger.
    pub(crate) estranged: Vec<u32>,
    pub(super) hidden_until: BTreeMap<(usize, RecordId), Timestamp>,
    pub(super) blocked_until: BTreeMap<(usize, RecordId), Timestamp>,
    pub(super) native_queue: Vec<(Timestamp, usize, usize, Vec<Field>)>,
    trouble: Trouble,
    call: u32,
    step: u32,
    pub(super) act_began: u64,
    seq: u64,
    rng: StdRng,
}

/// How a call begins.
pub(super) enum Begin {
    /// The worker is killed: there is no answer.
    Killed,
    /// The service cannot be reached.
    Away,
    /// It refuses the credential.
    Denied,
    /// It answers as it answers a stranger.
    Stranger,
    /// It answers; perhaps something goes wrong.
    Open(Option<Fault>),
}

impl World {
    /// The world of a scene at its beginning.
    pub(crate) fn new(seed: u64, scene: &Scene, keep_timeline: bool) -> Self {
        let clock = SimClock::default();
        clock.advance(SignedDuration::from_hours(24 * 365 * 50));
        let now = clock.now();
        let remote = |(at, system): (usize, &crate::reconcile::SystemPolicy)| Remote {
            name: system.name.clone(),
            habits: Habits { main: system.main, ..Habits::of(&scene.kinds[at]) },
            words: scene.words[at].clone(),
            skew: scene.skew[at],
            lag: scene.lag[at],
            keeps_of_titles: (scene.cuts_titles == Some(at)).then_some(KEPT_OF_TITLES),
            keeps_verdicts: scene.keeps_verdicts == Some(at),
            sets_verdict: scene.sets_verdict.as_ref().filter(|(of, _)| *of == at).map(|(_, v)| v.clone()),
            records: BTreeMap::new(),
            twins: BTreeMap::new(),
            alerts: BTreeMap::new(),
            keys: BTreeMap::new(),
        };
        let remotes: Vec<Remote> = scene.policy.systems.iter().enumerate().map(remote).collect();
        let count = remotes.len();
        let mut world = Self {
            scene: scene.clone(),
            clock,
            remotes,
            cases: Vec::new(),
            names: BTreeMap::new(),
            said: Vec::new(),
            wrote: Vec::new(),
            doubts: Doubts::default(),
            hidden_once: BTreeSet::new(),
            opened_amid: BTreeSet::new(),
            strangers: BTreeSet::new(),
            apart: BTreeMap::new(),
            rested: 0,
            rested_at: now,
            restarts: 0,
            store_began: 0,
            stores_lost: 0,
            calls: Calls::default(),
            faults: 0,
            calm: false,
            timeline: keep_timeline.then(Vec::new),
            away_until: vec![now; count],
            denied_until: vec![now; count],
            stranger_until: vec![now; count],
            estranged: vec![0; count],
            hidden_until: BTreeMap::new(),
            blocked_until: BTreeMap::new(),
            native_queue: Vec::new(),
            trouble: Trouble::default(),
            call: 0,
            step: 0,
            act_began: 0,
            seq: 0,
            rng: StdRng::seed_from_u64(seed ^ 0x5157_0000),
        };
        for case in 0..scene.cases {
            world.begin_case(case);
        }
        world
    }

    /// The place of a system.
    pub(crate) fn at(&self, system: &SystemName) -> usize {
        self.scene.policy.rank(system)
    }

    /// Everything of an act begins anew: its calls and steps are counted from 0.
    pub(super) fn begin_act(&mut self, trouble: Trouble) {
        (self.trouble, self.call, self.step) = (trouble, 0, 0);
        self.act_began = self.seq;
    }

    /// The worker starts on an empty store.
    pub(super) fn begin_store(&mut self) {
        self.store_began = self.next_seq();
        self.stores_lost += 1;
        // What it had not seen yet is what its record joins with.
        let unseen = self.said.iter_mut().filter(|said| said.seq > self.rested);
        unseen.for_each(|said| said.joined = true);
    }

    /// Everything rests: what was said before is known to all.
    pub(super) fn rest_ends(&mut self) {
        self.rested = self.next_seq();
        self.rested_at = self.clock.now();
    }

    /// Whether the worker is killed at this step.
    pub(super) fn is_killed_here(&mut self) -> bool {
        let killed = !self.calm && self.trouble.kill == Some(self.step);
        self.step += 1;
        killed
    }

    /// A call begins.
    pub(super) fn begin_call(&mut self, system: usize) -> Begin {
        self.pass_time();
        let call = self.call;
        self.call += 1;
        let people: Vec<Edit> =
            self.trouble.people.iter().filter(|(at, _)| *at == call).map(|(_, edit)| *edit).collect();
        for edit in people {
            self.edit(edit);
            self.pass_time();
        }
        if self.is_killed_here() {
            return Begin::Killed;
        }
        let now = self.clock.now();
        if now < self.away_until[system] {
            return Begin::Away;
        }
        if now < self.denied_until[system] {
            return Begin::Denied;
        }
        if now < self.stranger_until[system] {
            return Begin::Stranger;
        }
        let fault = self.trouble.faults.iter().find(|(at, _)| *at == call).map(|(_, fault)| *fault);
        self.faults += u64::from(fault.is_some());
        Begin::Open(fault)
    }

    /// A moment passes, and what was due happens.
    pub(super) fn pass_time(&mut self) {
        self.clock.advance(SignedDuration::from_micros(self.rng.random_range(1_000..400_000)));
        self.happen();
    }

    /// Who acts on what the call under way has opened.
    pub(super) fn take_openings(&mut self) -> Vec<Edit> {
        let call = self.call.saturating_sub(1);
        let quiet = self.calm;
        self.trouble.openings.extract_if(.., |(at, _)| *at == call && !quiet).map(|(_, edit)| edit).collect()
    }

    /// Some milliseconds pass.
    pub(super) fn pass_moment(&mut self) {
        self.clock.advance(super::people::MOMENT);
    }

    /// Whether a record is out of the worker's sight.
    pub(super) fn is_hidden(&self, system: usize, id: &RecordId) -> bool {
        let until = self.hidden_until.get(&(system, id.clone()));
        until.is_some_and(|until| self.clock.now() < *until)
    }

    /// Whether a record cannot be closed now.
    pub(super) fn is_blocked(&self, system: usize, id: &RecordId) -> bool {
        let until = self.blocked_until.get(&(system, id.clone()));
        until.is_some_and(|until| self.clock.now() < *until)
    }

    /// What is due by now happens: late writes, native sync.
    pub(super) fn happen(&mut self) {
        self.carry_out_late();
        self.react();
        self.native_sync();
    }

    pub(super) fn random(&mut self, from: i64, to: i64) -> i64 {
        self.rng.random_range(from..to)
    }

    /// Tells people who replay the history.
    pub(super) fn say<T: std::fmt::Display>(&mut self, what: impl FnOnce() -> T) {
        if let Some(lines) = &mut self.timeline {
            lines.push(format!("{}  {}", self.clock.now().strftime("%d %H:%M:%S%.3f"), what()));
        }
    }

    pub(super) fn next_seq(&mut self) -> u64 {
        self.seq += 1;
        self.seq
    }
}

/// A record's id.
pub(super) fn id(text: String) -> RecordId {
    RecordId::new(text).unwrap_or_else(|_| unreachable!("not blank"))
}

/// Fields with their values, for people.
pub(super) fn plain(natives: &Natives) -> String {
    let pairs: Vec<String> = natives.iter().map(|(field, native)| format!("{field} = {native}")).collect();
    pairs.join(", ")
}
