//! Systems in memory, and a worker on them that tests move on by hand.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use tokio_util::sync::CancellationToken;

use super::shell::{Clock, Parts, Shell, Watched};
use super::{Hinted, Report, Stepped};
use crate::connectors::{Brief, Connector, Depth, Malformed, Opening, Page, PageToken, Probe, Written};
use crate::http::{CallError, CallSite};
use crate::model::{
    AuditEntry, AuditKind, BridgeName, Comment, CommentKey, Field, Mapping, MappingId, Native, Patch,
    RecordKind, RecordRef, Snapshot, SystemName,
};
use crate::reconcile::Rules;
use crate::reconcile::testing::snapshot;
use crate::store::{Counts, MemoryStore, Store};

pub(super) const BEGIN: i64 = 1_000_000;

pub(super) fn second(n: i64) -> Timestamp {
    Timestamp::from_second(BEGIN + n).unwrap()
}

/// A system in memory.
pub(super) struct System {
    pub(super) name: SystemName,
    pub(super) kinds: Vec<RecordKind>,
    pub(super) chooses_comment_ids: bool,
    pub(super) state: Mutex<State>,
}

#[derive(Default)]
pub(super) struct State {
    /// What the next lists bring; after that, nothing.
    pub(super) pages: VecDeque<Result<Page, CallError>>,
    pub(super) records: BTreeMap<RecordRef, Snapshot>,
    /// The record that bears a key.
    pub(super) keyed: BTreeMap<RecordRef, RecordRef>,
    pub(super) brief: Option<Result<Brief, CallError>>,
    pub(super) fails_next: Option<CallError>,
    pub(super) fails_update: Option<CallError>,
    /// Every call but lists, in order.
    pub(super) calls: Vec<String>,
    /// How long each call but lists takes.
    pub(super) takes: Duration,
    /// Calls that are being answered, and the most that were at once.
    pub(super) inside: usize,
    pub(super) most: usize,
    /// Reads of this record panic.
    pub(super) panics: Option<RecordRef>,
    pub(super) opened: Vec<Opening>,
    pub(super) clock: i64,
}

impl System {
    async fn called(&self, call: String) -> Result<(), CallError> {
        let takes = {
            let mut state = self.state.lock().unwrap();
            state.calls.push(call);
            state.inside += 1;
            state.most = state.most.max(state.inside);
            state.takes
        };
        tokio::time::sleep(takes).await;
        let mut state = self.state.lock().unwrap();
        state.inside -= 1;
        state.fails_next.take().map_or(Ok(()), Err)
    }

    pub(super) fn take_calls(&self) -> Vec<String> {
        std::mem::take(&mut self.state.lock().unwrap().calls)
    }

    /// A list brings this, and reads show it.
    pub(super) fn shows(&self, seen: Snapshot) {
        let mut state = self.state.lock().unwrap();
        state.clock += 1;
        state.records.insert(seen.record.clone(), seen.clone());
        state.pages.push_back(Ok(Page {
            snapshots: vec![seen],
            server_time: Some(second(500)),
            ..Page::default()
        }));
    }

    pub(super) fn fails_next(&self, error: CallError) {
        self.state.lock().unwrap().fails_next = Some(error);
    }

    pub(super) fn record(&self, record: &str) -> Snapshot {
        self.state.lock().unwrap().records[&record.parse().unwrap()].clone()
    }

    pub(super) fn missing(&self) -> CallError {
        let (code, message) = (String::new(), String::new());
        CallError::Gone { site: Box::new(site(&self.name)), status: 404, code, message }
    }
}

pub(super) fn site(system: &SystemName) -> CallSite {
    let request_id = Some("request-7".to_owned());
    CallSite { request_id, ..CallSite::new(system.as_str(), "call") }
}

#[async_trait]
impl Connector for System {
    fn system(&self) -> &SystemName {
        &self.name
    }

    fn collections(&self) -> &[RecordKind] {
        &self.kinds
    }

    fn settle_time(&self) -> Duration {
        Duration::from_secs(42)
    }

    fn overlap(&self) -> Duration {
        Duration::from_secs(10)
    }

    async fn list(&self, _: RecordKind, _: Timestamp, _: Option<&PageToken>) -> Result<Page, CallError> {
        self.state.lock().unwrap().pages.pop_front().unwrap_or_else(|| Ok(Page::default()))
    }

    async fn read(&self, record: &RecordRef, depth: Depth) -> Result<Snapshot, CallError> {
        let panics = self.state.lock().unwrap().panics.clone();
        assert_ne!(panics.as_ref(), Some(record), "a defect of the connector");
        self.called(format!("read {record} {depth:?}")).await?;
        self.state.lock().unwrap().records.get(record).cloned().ok_or_else(|| self.missing())
    }

    async fn find(&self, planned: &RecordRef, _: Depth) -> Result<Option<Snapshot>, CallError> {
        self.called("find".to_owned()).await?;
        let state = self.state.lock().unwrap();
        let record = state.keyed.get(planned).unwrap_or(planned);
        Ok(state.records.get(record).cloned())
    }

    async fn update(&self, current: &Snapshot, patch: &Patch) -> Result<Written, CallError> {
        assert!(current.fresh, "it was just read");
        self.called(format!("update {}", current.record)).await?;
        let mut state = self.state.lock().unwrap();
        if let Some(error) = state.fails_update.take() {
            return Err(error);
        }
        state.clock += 1;
        let modified = second(state.clock);
        let record = state.records.get_mut(&current.record).unwrap();
        record.native.extend(patch.native.clone());
        (record.modified, record.revision) = (modified, modified.to_string());
        Ok(Written::new(Some(Snapshot { fresh: false, ..record.clone() }), None))
    }

    async fn create(&self, planned: &RecordRef, opening: &Opening) -> Result<Written, CallError> {
        self.called("create".to_owned()).await?;
        let mut state = self.state.lock().unwrap();
        state.opened.push(opening.clone());
        let record: RecordRef = if planned.kind == RecordKind::Ticket {
            format!("{}/ticket/42", self.name).parse().unwrap()
        } else {
            planned.clone()
        };
        let native: Vec<(Field, Native)> = opening.patch.native.clone().into_iter().collect();
        let made = snapshot(&record.to_string(), second(0), &native);
        state.keyed.insert(planned.clone(), record.clone());
        state.records.insert(record, made.clone());
        Ok(Written::new(Some(made), None))
    }

    async fn comment(&self, current: &Snapshot, _: &CommentKey, text: &str) -> Result<Written, CallError> {
        self.called(format!("comment {} {}", current.record, text.lines().next().unwrap())).await?;
        Ok(Written::new(None, None))
    }

    async fn brief(&self, _: &RecordRef) -> Result<Option<Brief>, CallError> {
        self.state.lock().unwrap().brief.clone().transpose()
    }

    fn chooses_comment_ids(&self) -> bool {
        self.chooses_comment_ids
    }

    async fn probe(&self) -> Vec<Probe> {
        Vec::new()
    }
}

/// Remembers what it is told.
#[derive(Default)]
pub(super) struct Ear {
    pub(super) history: Mutex<Vec<(RecordRef, AuditKind)>>,
    pub(super) polled: Mutex<Vec<usize>>,
    pub(super) malformed: Mutex<usize>,
    pub(super) depths: Mutex<Counts>,
    pub(super) defects: Mutex<Vec<String>>,
}

impl Report for Ear {
    fn polled(&self, _: &SystemName, _: RecordKind, news: usize, _: Duration, _: Option<Timestamp>) {
        self.polled.lock().unwrap().push(news);
    }
    fn poll_failed(&self, _: &SystemName, _: RecordKind, _: &super::PollFailure, _: u32) {}
    fn malformed(&self, _: &SystemName, _: &Malformed) {
        *self.malformed.lock().unwrap() += 1;
    }
    fn hinted(&self, _: &SystemName, _: Hinted) {}
    fn history(&self, entry: &AuditEntry, _: &Mapping) {
        self.history.lock().unwrap().push((entry.record.clone(), entry.kind.clone()));
    }
    fn depths(&self, counts: Counts) {
        *self.depths.lock().unwrap() = counts;
    }
    fn budget(&self, _: &SystemName, _: &[(&'static str, u32)]) {}
    fn defect(&self, _: MappingId, what: &str) {
        self.defects.lock().unwrap().push(what.to_owned());
    }
}

/// A worker that is moved on by hand, and its systems.
pub(super) struct World {
    pub(super) store: Arc<MemoryStore>,
    pub(super) systems: BTreeMap<&'static str, Arc<System>>,
    pub(super) bridges: BTreeMap<BridgeName, Rules>,
    pub(super) ear: Arc<Ear>,
    pub(super) now: Arc<Mutex<Timestamp>>,
    pub(super) worker: Option<Stepped>,
}

impl World {
    pub(super) fn new(rules: Rules) -> Self {
        Self::choosing(rules, false)
    }

    pub(super) fn choosing(rules: Rules, chooses_comment_ids: bool) -> Self {
        let mut systems = BTreeMap::new();
        for (name, kind) in [
            ("defender", RecordKind::Incident),
            ("sentinel", RecordKind::Incident),
            ("tickets", RecordKind::Ticket),
        ] {
            let system = System {
                name: SystemName::new(name).unwrap(),
                kinds: vec![kind],
                chooses_comment_ids,
                state: Mutex::default(),
            };
            system.state.lock().unwrap().clock = 100;
            systems.insert(name, Arc::new(system));
        }
        Self {
            store: Arc::new(MemoryStore::new()),
            systems,
            bridges: BTreeMap::from([(rules.policy.bridge.clone(), rules)]),
            ear: Arc::default(),
            now: Arc::new(Mutex::new(second(1000))),
            worker: None,
        }
    }

    pub(super) fn parts(&self) -> Parts {
        let now = Arc::clone(&self.now);
        let watched = |system: &Arc<System>| {
            let connector: Arc<dyn Connector> = system.clone();
            (system.name.clone(), Watched { connector, poll: Duration::from_secs(10) })
        };
        Parts {
            store: self.store.clone(),
            systems: self.systems.values().map(watched).collect(),
            bridges: self.bridges.clone(),
            report: self.ear.clone(),
            seed: 1,
            clock: Clock::of(move || *now.lock().unwrap()),
        }
    }

    pub(super) fn shell(&self) -> Shell {
        Shell::new(self.parts(), CancellationToken::new())
    }

    pub(super) fn system(&self, name: &str) -> &System {
        &self.systems[name]
    }

    pub(super) async fn worker(&mut self) -> &mut Stepped {
        if self.worker.is_none() {
            self.worker = Some(Stepped::start(self.parts()).await.unwrap());
        }
        self.worker.as_mut().unwrap()
    }

    /// Lists every system once.
    pub(super) async fn poll(&mut self) -> usize {
        let mut news = 0;
        for (name, system) in self.systems.clone() {
            let name = SystemName::new(name).unwrap();
            news += self.worker().await.poll(&name, system.kinds[0]).await.unwrap().unwrap();
        }
        news
    }

    /// Lists, routes, and works on everything that is due now. Returns how many turns there were.
    pub(super) async fn round(&mut self) -> usize {
        self.poll().await;
        let worker = self.worker().await;
        worker.route().await.unwrap();
        let mut turns = 0;
        while worker.work().await.unwrap() {
            turns += 1;
            assert!(turns < 100, "it works for ever");
        }
        turns
    }

    pub(super) fn wait(&self, seconds: i64) {
        *self.now.lock().unwrap() += SignedDuration::from_secs(seconds);
    }

    pub(super) fn mapping(&self) -> Mapping {
        let mappings = self.store.mappings(None, 10).unwrap();
        assert_eq!(mappings.len(), 1, "{mappings:#?}");
        mappings.into_iter().next().unwrap()
    }

    pub(super) fn told(&self, part: &str) -> bool {
        format!("{:?}", self.ear.history.lock().unwrap()).contains(part)
    }

    /// Both incidents, known to agree.
    pub(super) async fn pair(rules: Rules) -> Self {
        let mut world = Self::new(rules);
        world.meet().await;
        world
    }

    pub(super) async fn meet(&mut self) {
        self.system("defender").shows(defender(1, "active"));
        self.system("sentinel").shows(sentinel(1, "New"));
        self.round().await;
        assert_eq!(self.store.counts(), Counts { mappings: 1, outbox: 0, dead: 0, inbox: 0 });
        self.system("defender").take_calls();
    }
}

pub(super) const DEFENDER: &str = "defender/incident/1";
pub(super) const SENTINEL: &str = "sentinel/incident/g";

pub(super) fn incident(record: &str, n: i64, status: &str) -> Snapshot {
    let native =
        [(Field::Status, Native::text(Some(status))), (Field::Title, Native::text(Some("Odd sign-in")))];
    snapshot(record, second(n), &native)
}

pub(super) fn defender(n: i64, status: &str) -> Snapshot {
    incident(DEFENDER, n, status)
}

pub(super) fn sentinel(n: i64, status: &str) -> Snapshot {
    Snapshot { links: vec![DEFENDER.parse().unwrap()], ..incident(SENTINEL, n, status) }
}

pub(super) fn note(n: i64) -> Comment {
    let (author, text) = (Some("ana".to_owned()), "isolated host7".to_owned());
    Comment { key: CommentKey::from_id("c"), author, created: Some(second(n)), text }
}
