//! The simulated world: two sides, people who edit them, faults, and the real steps of the worker in between.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};

use crate::connectors::{Depth, Page};
use crate::engine::{Context, Effect, Event, Failure, FailureKind, Lane, Request, Watch};
use crate::model::{
    BridgeName, Field, Lifecycle, Mapping, MappingId, Native, Natives, Patch, RecordId, RecordKind,
    RecordRef, Snapshot, SystemName,
};
use crate::reconcile::TICKET_KEY;
use crate::reconcile::{
    ClosingPolicy, Direction, Filter, Late, MarkerKey, NativeSync, Policy, Route, Rules, SystemPolicy,
    TicketPolicy, route,
};
use crate::store::{Change, MemoryStore, Store};
use crate::translate::{Reading, Translation};

use super::profile::{Pairing, Profile};
use super::side::{Actor, Flavour, Refusal, Side, is_closed, tags};

/// How long after an unknown outcome the worker reads back; longer than any read is stale.
const SETTLE: SignedDuration = SignedDuration::from_secs(30);
/// How far before its cursor a list begins; longer than any list lags.
const OVERLAP: SignedDuration = SignedDuration::from_secs(120);
/// How long native sync takes.
const NATIVE_DELAY: SignedDuration = SignedDuration::from_secs(45);

/// What is watched, in the order of polling.
fn collections(pairing: Pairing) -> [(usize, RecordKind); 3] {
    [(0, RecordKind::Incident), (0, RecordKind::Alert), (1, other_kind(pairing))]
}

/// What stands for an incident on the other side.
fn other_kind(pairing: Pairing) -> RecordKind {
    if pairing == Pairing::Tickets { RecordKind::Ticket } else { RecordKind::Incident }
}

/// The worker was killed; what was not committed is gone.
#[derive(Debug)]
pub(super) struct Killed;

/// What a person did.
#[derive(Debug, Clone)]
pub struct HumanEdit {
    /// On which side.
    pub side: usize,
    /// On which incident, by its place.
    pub incident: usize,
    /// The fields set, or none for a comment.
    pub fields: Natives,
    /// The comment.
    pub comment: Option<String>,
}

/// The whole of one history.
pub struct World {
    /// Its seed.
    pub seed: u64,
    /// What it is like.
    pub profile: Profile,
    /// True time.
    pub now: Timestamp,
    /// Defender and Sentinel.
    pub sides: [Side; 2],
    /// The records of each incident, one per side.
    pub pairs: Vec<[RecordId; 2]>,
    /// How often a write to a ticket stopped half way, by ticket.
    pub half_way: BTreeMap<RecordId, usize>,
    /// Tickets that people copied, key and all.
    pub clones: BTreeSet<RecordId>,
    /// What people did.
    pub human: Vec<HumanEdit>,
    /// Requests whose outcome the worker could not know.
    pub unknowns: usize,
    /// The rules of the bridge.
    pub rules: Rules,
    /// The tables, by side.
    pub tables: [Arc<Translation>; 2],
    /// What happened, for people who replay a seed.
    pub trace: Vec<String>,
    rng: StdRng,
    store: MemoryStore,
    watches: Vec<Watch>,
    listed: [Option<Timestamp>; 2],
    away_until: [Timestamp; 2],
    native_queue: Vec<(Timestamp, usize, usize, Vec<Field>)>,
    calm: bool,
}

fn system(side: usize) -> SystemName {
    SystemName::new(["defender", "other"][side]).unwrap_or_else(|_| unreachable!("not blank"))
}

impl World {
    /// The history of a seed, at its beginning.
    pub fn new(seed: u64, tables: &[Arc<Translation>; 2]) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let profile = Profile::draw(&mut rng);
        let now = Timestamp::UNIX_EPOCH + SignedDuration::from_hours(24 * 365 * 50);
        let tickets = profile.pairing == Pairing::Tickets;
        let flavours = [Flavour::Defender, if tickets { Flavour::Ticket } else { Flavour::Sentinel }];
        let tables =
            if tickets { [Arc::clone(&tables[0]), tickets_like(&tables[1])] } else { tables.clone() };
        let side = |at: usize| Side {
            name: system(at),
            flavour: flavours[at],
            skew: profile.skew[at],
            lag: profile.lag,
            records: BTreeMap::new(),
            twins: BTreeMap::new(),
            alerts: BTreeMap::new(),
            keys: BTreeMap::new(),
            log: Vec::new(),
            calls: 0,
        };
        let rules = rules(&profile, &tables);
        let mut world = Self {
            seed,
            now,
            sides: [side(0), side(1)],
            pairs: Vec::new(),
            half_way: BTreeMap::new(),
            clones: BTreeSet::new(),
            human: Vec::new(),
            unknowns: 0,
            rules,
            tables,
            trace: Vec::new(),
            rng,
            store: MemoryStore::new(),
            watches: Vec::new(),
            listed: [None; 2],
            away_until: [now; 2],
            native_queue: Vec::new(),
            calm: false,
            profile,
        };
        world.seed_incidents();
        world.restart();
        world
    }

    fn seed_incidents(&mut self) {
        for n in 0..self.profile.incidents {
            let id = |text: String| RecordId::new(text).unwrap_or_else(|_| unreachable!("not blank"));
            let (defender, mut sentinel) = (id(format!("{}", 100 + n)), id(format!("5e9a0000-{n}")));
            self.sides[0].create(self.now, Actor::Human, &defender, initial(Flavour::Defender, n));
            if matches!(self.profile.pairing, Pairing::Created | Pairing::Tickets) {
                let root = RecordRef::incident(&system(0), defender.clone());
                let mapping = MappingId::derive(&self.rules.policy.bridge, &root);
                sentinel = crate::reconcile::derived_record(mapping, &system(1), 0, &self.rules.policy).id;
            } else {
                self.sides[1].create(self.now, Actor::Human, &sentinel, initial(Flavour::Sentinel, n));
                let link = RecordRef::incident(&system(0), defender.clone());
                self.sides[1].twins.insert(sentinel.clone(), link);
            }
            self.sides[0].raise(self.now, &id(format!("alert-{n}")), &defender);
            self.pairs.push([defender, sentinel]);
        }
    }

    /// Runs the history: link, edit under faults, then rest until nothing moves any more.
    pub fn run(&mut self) {
        if matches!(self.profile.pairing, Pairing::Created | Pairing::Tickets) {
            self.chaos(25);
        }
        self.calm = true;
        self.settle();
        self.calm = false;
        let mut edits = self.profile.edits;
        while edits > 0 {
            self.now += SignedDuration::from_millis(self.rng.random_range(1..20_000));
            if self.rng.random_bool(0.3) {
                self.human_edit();
                edits -= 1;
                if self.profile.sequential {
                    self.chaos(20);
                    self.calm = true;
                    self.settle();
                    self.calm = false;
                }
            }
            self.chaos(2);
        }
        self.chaos(10);
        self.calm = true;
        self.settle();
    }

    /// Some turns of the worker under faults.
    fn chaos(&mut self, turns: usize) {
        for _ in 0..turns {
            self.now += SignedDuration::from_millis(self.rng.random_range(1..15_000));
            if self.dice(self.profile.outage) {
                let side = self.rng.random_range(0..2);
                self.away_until[side] = self.now + SignedDuration::from_mins(self.rng.random_range(1..240));
                self.say(format!("side {side} is away until {}", self.away_until[side]));
            }
            self.turn();
        }
    }

    /// Turns without new faults until a whole round of fresh polls brings nothing and nothing is due.
    pub fn settle(&mut self) {
        let mut quiet = 0;
        for _ in 0..400 {
            self.now += SignedDuration::from_secs(self.rng.random_range(20..70));
            self.away_until = [self.now; 2];
            let before = (self.sides[0].log.len(), self.sides[1].log.len(), self.native_queue.len());
            self.turn();
            let idle = self.store.counts().inbox == 0 && self.next_due().is_none() && self.pending() == 0;
            let same = before == (self.sides[0].log.len(), self.sides[1].log.len(), 0);
            quiet = if idle && same { quiet + 1 } else { 0 };
            if quiet > 4 {
                return;
            }
        }
        self.say("it never went quiet".to_owned());
    }

    /// Intents that are alive.
    pub fn pending(&self) -> u64 {
        let counts = self.store.counts();
        counts.outbox - counts.dead
    }

    /// Intents that were given up.
    pub fn dead(&self) -> u64 {
        self.store.counts().dead
    }

    fn turn(&mut self) {
        self.native_sync();
        if self.dice(self.profile.merges) {
            self.merge();
        }
        if self.dice(self.profile.clones) {
            self.clone_ticket();
        }
        let outcome = self.work();
        if outcome.is_err() {
            self.say("killed".to_owned());
            self.store.crash();
            self.restart();
        }
    }

    fn work(&mut self) -> Result<(), Killed> {
        for (at, (side, kind)) in collections(self.profile.pairing).into_iter().enumerate() {
            if self.calm || self.rng.random_bool(0.5) {
                self.poll(at, side, kind)?;
            }
        }
        // A lane that is busy lets its inbox grow.
        if self.calm || self.rng.random_bool(0.7) {
            self.route_inbox()?;
        }
        for _ in 0..self.rng.random_range(1..6) {
            let Some((id, _)) = self.next_due() else { break };
            self.deliver(id)?;
        }
        Ok(())
    }

    fn restart(&mut self) {
        let cursors = self.store.cursors().unwrap_or_default();
        let watch = |(side, kind): (usize, RecordKind)| {
            let cursor = cursors.get(&(system(side), kind)).copied();
            Watch::new(system(side), kind, OVERLAP, cursor, self.rules.policy.since)
        };
        self.watches = collections(self.profile.pairing).map(watch).into();
        self.listed = [None; 2];
        for mapping in self.store.mappings(None, 1000).unwrap_or_default() {
            let mut lane = Lane { intents: self.store.intents(mapping.id).unwrap_or_default(), mapping };
            let step = self.step(&mut lane, Event::Restarted);
            self.persist(step.changes);
        }
    }

    fn poll(&mut self, at: usize, side: usize, kind: RecordKind) -> Result<(), Killed> {
        if self.now < self.away_until[side] || self.dice(self.profile.throttled) {
            self.watches[at].abandon();
            return Ok(());
        }
        let since = self.watches[at].since();
        let snapshots = self.sides[side].list(self.now, kind, since);
        let server_time = Some(self.now + self.sides[side].skew);
        let taken = self.watches[at].take(Page { snapshots, server_time, ..Page::default() });
        if !taken.changes.is_empty() {
            self.commit(taken.changes)?;
        }
        if kind != RecordKind::Alert {
            self.listed[side] = Some(self.now);
        }
        Ok(())
    }

    /// Routes the whole inbox, as the dispatcher does: new mappings begin at once, and each lane then takes everything
    /// that waits for it in one step.
    fn route_inbox(&mut self) -> Result<(), Killed> {
        let mut waiting: BTreeMap<MappingId, Vec<(u64, Snapshot)>> = BTreeMap::new();
        for (number, snapshot) in self.store.inbox(None, usize::MAX).unwrap_or_default() {
            let policy = &self.rules.policy;
            match route(policy, &snapshot, |record| self.store.find(&policy.bridge, record)) {
                Ok(Route::Known(id)) => waiting.entry(id).or_default().push((number, snapshot)),
                Ok(Route::New(id)) => self.observe(id, vec![(number, snapshot)])?,
                Ok(Route::Ignored(_)) | Err(_) => self.commit(vec![Change::RemoveInbox(number)])?,
            }
        }
        for (id, entries) in waiting {
            self.observe(id, entries)?;
        }
        Ok(())
    }

    fn observe(&mut self, id: MappingId, entries: Vec<(u64, Snapshot)>) -> Result<(), Killed> {
        let mapping = self.store.mapping(id).ok().flatten();
        let mapping = mapping.unwrap_or_else(|| Mapping::new(id, self.rules.policy.bridge.clone()));
        let mut lane = Lane { intents: self.store.intents(id).unwrap_or_default(), mapping };
        let (numbers, snapshots): (Vec<u64>, Vec<Snapshot>) = entries.into_iter().unzip();
        let mut changes: Vec<Change> = numbers.into_iter().map(Change::RemoveInbox).collect();
        let elsewhere = snapshots.iter().flat_map(|snapshot| self.elsewhere(id, snapshot)).collect();
        let event = Event::Observed { snapshots, elsewhere };
        changes.extend(self.step(&mut lane, event).changes);
        self.commit(changes)
    }

    /// The records a snapshot names that belong to other mappings.
    fn elsewhere(&self, id: MappingId, snapshot: &Snapshot) -> Vec<RecordRef> {
        let to = if let Lifecycle::Redirected { to } = &snapshot.lifecycle { to.as_ref() } else { None };
        let theirs = |record: &&RecordRef| {
            let found = self.store.find(&self.rules.policy.bridge, record).ok().flatten();
            found.is_some_and(|other| other != id)
        };
        snapshot.links.iter().chain(to).filter(theirs).cloned().collect()
    }

    fn next_due(&self) -> Option<(MappingId, u8)> {
        let mappings = self.store.mappings(None, 1000).unwrap_or_default();
        let lanes = mappings
            .into_iter()
            .map(|mapping| Lane { intents: self.store.intents(mapping.id).unwrap_or_default(), mapping });
        let due = lanes.filter_map(|lane| lane.wake_at().map(|(at, p)| (at, p, lane.mapping.id)));
        due.filter(|(at, _, _)| *at <= self.now).min_by_key(|(at, p, _)| (*p, *at)).map(|(_, p, id)| (id, p))
    }

    fn deliver(&mut self, id: MappingId) -> Result<(), Killed> {
        let Some(mapping) = self.store.mapping(id).ok().flatten() else { return Ok(()) };
        let mut lane = Lane { intents: self.store.intents(id).unwrap_or_default(), mapping };
        let Some((intent, target, depth)) = lane.next_due(self.now, &|_| false) else { return Ok(()) };
        let result = self.read(&target, depth);
        let elsewhere = result.as_ref().map_or(Vec::new(), |snapshot| self.elsewhere(id, snapshot));
        let step = self.step(&mut lane, Event::Read { intent, result, elsewhere });
        self.commit(step.changes)?;
        let Some(effect) = step.effect else { return Ok(()) };
        if self.dice(self.profile.race) {
            self.human_edit();
        }
        self.now += SignedDuration::from_millis(self.rng.random_range(1..2_000));
        let result = self.write(&effect);
        if self.dice(self.profile.crash) {
            return Err(Killed);
        }
        let answer = result.as_ref().ok().and_then(Option::as_ref);
        let elsewhere = answer.map_or(Vec::new(), |snapshot| self.elsewhere(id, snapshot));
        let step = self.step(
            &mut lane,
            Event::Wrote { intent, result, request_id: None, declined: Vec::new(), elsewhere },
        );
        self.commit(step.changes)
    }

    fn read(&mut self, target: &RecordRef, depth: Depth) -> Result<Box<Snapshot>, Failure> {
        let side = usize::from(target.system != system(0));
        if self.now < self.away_until[side] || self.dice(self.profile.throttled) {
            return Err(failure(FailureKind::NotExecuted));
        }
        let stale = self.dice(self.profile.stale);
        if target.id.as_str().starts_with(TICKET_KEY) {
            let found = self.sides[side].find(self.now, target, depth, stale);
            return found.map(Box::new).ok_or_else(|| failure(FailureKind::NotFound));
        }
        let found = self.sides[side].read(self.now, &target.id, depth, stale);
        found.map(Box::new).ok_or_else(|| failure(FailureKind::NotFound))
    }

    fn write(&mut self, effect: &Effect) -> Result<Option<Box<Snapshot>>, Failure> {
        let side = usize::from(effect.target.system != system(0));
        if self.now < self.away_until[side] || self.dice(self.profile.throttled) {
            return Err(failure(FailureKind::NotExecuted));
        }
        if self.dice(self.profile.lost_before) {
            self.unknowns += 1;
            return Err(failure(FailureKind::Unknown));
        }
        if self.stops_half_way(side, effect) {
            self.unknowns += 1;
            return Err(failure(FailureKind::Unknown));
        }
        let applied = self.apply(side, effect);
        self.say(format!("worker writes {} {:?}: {applied:?}", effect.target, effect.request));
        match applied {
            Err(Refusal::Conflict) => return Err(failure(FailureKind::Conflict)),
            Err(Refusal::Invalid) => return Err(failure(FailureKind::Refused)),
            Err(Refusal::NotFound) => return Err(failure(FailureKind::NotFound)),
            Ok(_) => {}
        }
        let Ok(written) = applied else { return Ok(None) };
        if self.dice(self.profile.lost_after) {
            self.unknowns += 1;
            return Err(failure(FailureKind::Unknown));
        }
        if matches!(effect.request, Request::Comment(..)) && self.sides[side].flavour != Flavour::Defender {
            return Ok(None);
        }
        Ok(self.sides[side].read(self.now, &written, Depth::Record, false).map(Box::new))
    }

    /// A workflow may want a ticket to be in work before it is closed; then something can happen in between.
    fn stops_half_way(&mut self, side: usize, effect: &Effect) -> bool {
        let Request::Update(patch) = &effect.request else { return false };
        let id = &effect.target.id;
        let current = self.sides[side].current(id).and_then(|version| version.native.get(&Field::Status));
        let [new, active] = ["New", "Active"].map(|word| Native::Text(word.to_owned()));
        let two_steps = is_closed(&patch.native) && current == Some(&new);
        if self.sides[side].flavour != Flavour::Ticket || !two_steps || !self.dice(self.profile.lost_before) {
            return false;
        }
        let step = Patch { native: Natives::from([(Field::Status, active)]), closing_comment: None };
        let done = self.sides[side].write(self.now, Actor::Worker, id, &step, None);
        self.say(format!("a write to {} stops half way: {done:?}", effect.target));
        *self.half_way.entry(id.clone()).or_default() += 1;
        true
    }

    /// Applies a write; returns the id of the record it concerned.
    fn apply(&mut self, side: usize, effect: &Effect) -> Result<RecordId, Refusal> {
        let (now, id) = (self.now, &effect.target.id);
        let guard = effect.current.as_ref().and_then(|s| s.revision.parse().ok());
        match &effect.request {
            Request::Update(patch) => {
                let written = self.sides[side].write(now, Actor::Worker, id, patch, guard);
                self.queue_native(side, id, patch.native.keys().copied().collect());
                written.map(|()| id.clone())
            }
            Request::Create(patch) if self.profile.pairing == Pairing::Tickets => {
                Ok(self.open_ticket(&effect.target, patch))
            }
            Request::Create(patch) if self.sides[side].current(id).is_none() => {
                let mut native = initial(Flavour::Sentinel, 0);
                native.extend(patch.native.clone());
                self.sides[side].create(now, Actor::Worker, id, native);
                Ok(id.clone())
            }
            Request::Create(_) => Ok(id.clone()),
            Request::Comment(key, text) => {
                let chosen = self.sides[side].flavour == Flavour::Sentinel;
                let written =
                    self.sides[side].comment(now, Actor::Worker, id, chosen.then(|| key.clone()), text);
                written.map(|()| id.clone())
            }
        }
    }

    /// A ticket gets an id of its system's own, whether or not there is one with that key already.
    fn open_ticket(&mut self, key: &RecordRef, patch: &Patch) -> RecordId {
        let text = format!("T{}", self.sides[1].records.len() + 1);
        let id = RecordId::new(text).unwrap_or_else(|_| unreachable!("not blank"));
        let mut native = initial(Flavour::Ticket, 0);
        native.extend(patch.native.clone());
        self.sides[1].create(self.now, Actor::Worker, &id, native);
        self.sides[1].keys.insert(id.clone(), key.clone());
        if let Some(pair) = self.pairs.iter_mut().find(|pair| pair[1] == key.id) {
            pair[1] = id.clone();
        }
        id
    }

    /// Somebody copies a ticket, and its key with it.
    fn clone_ticket(&mut self) {
        let original = self.pairs[self.rng.random_range(0..self.pairs.len())][1].clone();
        let (Some(current), Some(key)) =
            (self.sides[1].current(&original).cloned(), self.sides[1].keys.get(&original).cloned())
        else {
            return;
        };
        let text = format!("T{}", self.sides[1].records.len() + 1);
        let id = RecordId::new(text).unwrap_or_else(|_| unreachable!("not blank"));
        self.say(format!("a person copies ticket {original} to {id}"));
        self.sides[1].create(self.now, Actor::Human, &id, current.native);
        self.sides[1].keys.insert(id.clone(), key);
        self.clones.insert(id);
    }

    fn commit(&mut self, changes: Vec<Change>) -> Result<(), Killed> {
        if self.dice(self.profile.crash / 2.0) {
            return Err(Killed);
        }
        for change in &changes {
            if let Change::Audit(entry) = change {
                self.trace.push(format!("{} {} {:?}", self.now, entry.record, entry.kind));
            }
        }
        self.persist(changes);
        if self.dice(self.profile.crash / 2.0) { Err(Killed) } else { Ok(()) }
    }

    fn persist(&self, changes: Vec<Change>) {
        if self.store.apply(changes).and_then(|()| self.store.sync()).is_err() {
            unreachable!("the memory store does not fail");
        }
    }

    fn step(&mut self, lane: &mut Lane, event: Event) -> crate::engine::Step {
        let mut rng = StdRng::seed_from_u64(self.rng.random());
        let mut context = Context {
            rules: &self.rules,
            now: self.now,
            settle: &|_| SETTLE,
            listed: &|name| self.listed[usize::from(*name != system(0))],
            chooses_comment_ids: &|_| false,
            rng: &mut rng,
        };
        lane.step(event, &mut context)
    }

    fn dice(&mut self, probability: f64) -> bool {
        !self.calm && probability > 0.0 && self.rng.random_bool(probability.min(1.0))
    }

    fn say(&mut self, what: impl std::fmt::Display) {
        self.trace.push(format!("{} {what}", self.now));
    }

    /// Whether an incident was merged into another one.
    pub fn is_merged(&self, incident: usize) -> bool {
        self.sides[0].current(&self.pairs[incident][0]).is_some_and(|version| version.merged_into.is_some())
    }

    /// The service merges an open incident into another open one.
    fn merge(&mut self) {
        let [source, target] = [0, 0].map(|_| self.rng.random_range(0..self.pairs.len()));
        let open = |at: usize| {
            let current = self.sides[0].current(&self.pairs[at][0]);
            current.is_some_and(|v| !is_closed(&v.native)) && !self.is_merged(at)
        };
        if source != target && open(source) && open(target) {
            let [from, to] = [source, target].map(|at| self.pairs[at][0].clone());
            self.sides[0].merge(self.now, &from, &to);
            self.say(format!("{from} is merged into {to}"));
        }
    }

    fn human_edit(&mut self) {
        let incident = self.rng.random_range(0..self.pairs.len());
        if self.is_merged(incident) {
            return;
        }
        let side = self.rng.random_range(0..2);
        let id = self.pairs[incident][side].clone();
        let Some(current) = self.sides[side].current(&id).cloned() else { return };
        let (now, actor) = (self.now, Actor::Human);
        let count = self.human.len();
        if self.rng.random_bool(0.2) {
            let text = format!("note {count} of seed {}", self.seed);
            let added = self.sides[side].comment(now, actor, &id, None, &text).is_ok();
            self.say(format!("a person comments on {side}/{id}: {text} ({added})"));
            let (fields, comment) = (Natives::new(), Some(text));
            self.human.push(HumanEdit { side, incident, fields, comment });
            return;
        }
        let patch = random_edit(&mut self.rng, self.sides[side].flavour, &current.native, count);
        let changed: Natives = patch
            .native
            .iter()
            .filter(|(f, v)| current.native.get(f) != Some(v))
            .map(|(f, v)| (*f, v.clone()))
            .collect();
        if changed.is_empty() || self.sides[side].write(now, actor, &id, &patch, None).is_err() {
            return;
        }
        self.say(format!("a person edits {side}/{id}: {changed:?}"));
        self.queue_native(side, &id, changed.keys().copied().collect());
        self.human.push(HumanEdit { side, incident, fields: changed, comment: None });
    }

    fn queue_native(&mut self, side: usize, id: &RecordId, fields: Vec<Field>) {
        let Some(incident) = self.pairs.iter().position(|p| p[side] == *id) else { return };
        if self.profile.pairing == Pairing::NativeSync {
            self.native_queue.push((self.now + NATIVE_DELAY, side, incident, fields));
        }
    }

    /// Microsoft's own sync: carries the present state of what changed, after its delay.
    fn native_sync(&mut self) {
        let due: Vec<_> = self.native_queue.iter().filter(|(at, ..)| *at <= self.now).cloned().collect();
        self.native_queue.retain(|(at, ..)| *at > self.now);
        for (_, side, incident, fields) in due {
            let other = 1 - side;
            let (from, to) = (self.pairs[incident][side].clone(), self.pairs[incident][other].clone());
            let Some(source) = self.sides[side].current(&from).cloned() else { continue };
            let mut patch = Patch::default();
            let verdict = is_closed(&source.native).then_some(Field::Verdict);
            for field in fields.into_iter().chain(verdict) {
                let native = source.native.get(&field).and_then(|native| self.carry(side, field, native));
                patch.native.extend(native.map(|native| (field, native)));
            }
            let target_closed = |p: &Patch| is_closed(&p.native) || !p.native.contains_key(&Field::Status);
            if other == 1 && !target_closed(&patch) {
                patch.native.remove(&Field::Verdict);
            }
            let result = self.sides[other].write(self.now, Actor::Native, &to, &patch, None);
            self.say(format!("native sync writes {other}/{to}: {patch:?} {result:?}"));
        }
    }

    /// What stands for an incident on a side.
    pub(super) fn main_kind(&self, side: usize) -> RecordKind {
        if side == 0 { RecordKind::Incident } else { other_kind(self.profile.pairing) }
    }

    fn carry(&self, side: usize, field: Field, native: &Native) -> Option<Native> {
        match self.tables[side].read(RecordKind::Incident, field, native) {
            Reading::Known(value) => {
                self.tables[1 - side].write(RecordKind::Incident, &value).map(|native| {
                    // What Graph calls unknown, records show as no verdict.
                    if native == Native::Text("unknown/unknown".to_owned()) { Native::Empty } else { native }
                })
            }
            Reading::Unknown(_) => None,
        }
    }
}

fn failure(kind: FailureKind) -> Failure {
    Failure { kind, message: "simulated".to_owned(), request_id: None, retry_after: None }
}

/// The same words for tickets.
fn tickets_like(table: &Arc<Translation>) -> Arc<Translation> {
    let text =
        include_str!("../../config/translations/sentinel.toml").replace("[incident", "[ticket").replace(
            "verdict_only_when_closed = true",
            "verdict_only_when_closed = true\nstatus_in_steps = true",
        );
    Translation::parse(&text, "tickets").map_or_else(|_| Arc::clone(table), Arc::new)
}

fn rules(profile: &Profile, tables: &[Arc<Translation>; 2]) -> Rules {
    let names = [system(0), system(1)];
    let systems = names
        .iter()
        .zip(tables)
        .map(|(name, table)| SystemPolicy {
            name: name.clone(),
            main: if *name == system(0) { RecordKind::Incident } else { other_kind(profile.pairing) },
            translation: Arc::clone(table),
        })
        .collect();
    let native_sync = (profile.pairing == Pairing::NativeSync).then(|| NativeSync {
        writer: system(0),
        follower: system(1),
        deadline: SignedDuration::from_mins(15),
        late: Late::Report,
    });
    let creates = matches!(profile.pairing, Pairing::Created | Pairing::Adopted | Pairing::Tickets);
    let create_in = creates.then(|| system(1)).into_iter().collect();
    let policy = Policy {
        bridge: BridgeName::new("sim").unwrap_or_else(|_| unreachable!("not blank")),
        systems,
        native_sync,
        create_in,
        since: Timestamp::UNIX_EPOCH,
        filter: Filter::default(),
        fields: BTreeMap::new(),
        comments: Direction::Both,
        conflicts: profile.conflicts,
        closing: ClosingPolicy::default(),
        tickets: TicketPolicy::default(),
        scope: String::new(),
    };
    Rules { policy, marker: MarkerKey::new([7; 32]) }
}

fn initial(flavour: Flavour, n: usize) -> Natives {
    let text = |t: &str| Native::Text(t.to_owned());
    let (status, severity) = match flavour {
        Flavour::Defender => ("active", "medium"),
        Flavour::Sentinel | Flavour::Ticket => ("New", "Medium"),
    };
    Natives::from([
        (Field::Status, text(status)),
        (Field::Severity, text(severity)),
        (Field::Verdict, Native::Empty),
        (Field::Owner, Native::Empty),
        (Field::Tags, tags([])),
        (Field::Title, text(&format!("incident {n}"))),
    ])
}

fn random_edit(rng: &mut StdRng, flavour: Flavour, now: &Natives, count: usize) -> Patch {
    let defender = flavour == Flavour::Defender;
    let pick = |rng: &mut StdRng, of: &[&str]| Native::text(of.choose(rng).copied());
    let verdicts: &[&str] = if defender {
        &[
            "truePositive/phishing",
            "truePositive/malware",
            "falsePositive/notMalicious",
            "informationalExpectedActivity/securityTesting",
        ]
    } else {
        &[
            "TruePositive/SuspiciousActivity",
            "FalsePositive/InaccurateData",
            "FalsePositive/IncorrectAlertLogic",
            "BenignPositive/SuspiciousButExpected",
        ]
    };
    let mut patch = Patch::default();
    let mut set = |field, native| patch.native.insert(field, native);
    match rng.random_range(0..8) {
        0..3 => {
            let closed = if defender { "resolved" } else { "Closed" };
            let others: [&str; 3] =
                if defender { ["active", "inProgress", closed] } else { ["New", "Active", closed] };
            let status = if rng.random_bool(0.6) { Native::text(Some(closed)) } else { pick(rng, &others) };
            if status == Native::text(Some(closed)) && !is_closed(now) && (!defender || rng.random_bool(0.7))
            {
                let verdict = pick(rng, verdicts);
                set(Field::Verdict, verdict);
            }
            set(Field::Status, status);
        }
        3 => {
            let severities = if defender { ["low", "medium", "high"] } else { ["Low", "Medium", "High"] };
            set(Field::Severity, pick(rng, &severities));
        }
        4 if defender || is_closed(now) => {
            set(Field::Verdict, pick(rng, verdicts));
        }
        5 => {
            set(Field::Owner, pick(rng, &["", "alice@example.org", "bob@example.org"]));
        }
        6 => {
            let old = if let Some(Native::Set(set)) = now.get(&Field::Tags) {
                set.clone()
            } else {
                BTreeSet::new()
            };
            let tag = ["vip", "phish", "lab"][rng.random_range(0..3)].to_owned();
            let mut new = old;
            if !new.remove(&tag) {
                new.insert(tag);
            }
            set(Field::Tags, Native::Set(new));
        }
        _ => {
            set(Field::Title, Native::Text(format!("title {count}")));
        }
    }
    patch
}
