//! Hints followed against a system that answers by script.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::dispatch::Dispatcher;
use super::hint::{Hinted, Hints, follow};
use super::report::Report;
use super::shell::{Clock, Parts, Shell, Watched};
use super::testing::snapshot;
use crate::connectors::{Connector, Depth, Malformed, Opening, Page, PageToken, Probe, Written};
use crate::http::{CallError, CallSite};
use crate::model::{
    AuditEntry, CommentKey, Mapping, MappingId, Patch, RecordKind, RecordRef, Snapshot, SystemName,
};
use crate::reconcile::testing::rules;
use crate::store::{Change, Counts, MemoryStore};

const INCIDENT: &str = "defender/incident/1";

/// What one read answers.
#[derive(Clone)]
enum Answer {
    Shows(Box<Snapshot>),
    Missing,
    Denied,
}

/// Answers reads by script, each after a while, and remembers when it was asked.
struct Scripted {
    name: SystemName,
    answers: Mutex<VecDeque<Answer>>,
    takes: Duration,
    asked: Mutex<Vec<Instant>>,
    outcomes: Mutex<Vec<Hinted>>,
}

impl Scripted {
    fn error(&self, answer: &Answer) -> CallError {
        let site = Box::new(CallSite::new(self.name.as_str(), "read"));
        let (code, message) = (String::new(), String::new());
        match answer {
            Answer::Missing => CallError::Gone { site, status: 404, code, message },
            _ => CallError::Denied { site, status: 403, code, message },
        }
    }
}

#[async_trait]
impl Connector for Scripted {
    fn system(&self) -> &SystemName {
        &self.name
    }

    fn collections(&self) -> &[RecordKind] {
        &[]
    }

    fn settle_time(&self) -> Duration {
        Duration::ZERO
    }

    fn overlap(&self) -> Duration {
        Duration::ZERO
    }

    async fn list(&self, _: RecordKind, _: Timestamp, _: Option<&PageToken>) -> Result<Page, CallError> {
        Err(self.error(&Answer::Denied))
    }

    async fn read(&self, _: &RecordRef, depth: Depth) -> Result<Snapshot, CallError> {
        assert_eq!(depth, Depth::Record);
        self.asked.lock().unwrap().push(Instant::now());
        tokio::time::sleep(self.takes).await;
        match self.answers.lock().unwrap().pop_front().unwrap_or(Answer::Denied) {
            Answer::Shows(snapshot) => Ok(*snapshot),
            answer => Err(self.error(&answer)),
        }
    }

    async fn update(&self, _: &Snapshot, _: &Patch) -> Result<Written, CallError> {
        panic!("a hint writes nothing")
    }

    async fn create(&self, _: &RecordRef, _: &Opening) -> Result<Written, CallError> {
        panic!("a hint creates nothing")
    }

    async fn comment(&self, _: &Snapshot, _: &CommentKey, _: &str) -> Result<Written, CallError> {
        panic!("a hint writes nothing")
    }

    async fn probe(&self) -> Vec<Probe> {
        Vec::new()
    }
}

/// Hears what became of hints.
struct Ear(Arc<Scripted>);

impl Report for Ear {
    fn polled(&self, _: &SystemName, _: RecordKind, _: usize, _: Duration, _: Option<Timestamp>) {}
    fn poll_failed(&self, _: &SystemName, _: RecordKind, _: &super::PollFailure, _: u32) {}
    fn malformed(&self, _: &SystemName, _: &Malformed) {}
    fn hinted(&self, _: &SystemName, outcome: Hinted) {
        self.0.outcomes.lock().unwrap().push(outcome);
    }
    fn history(&self, _: &AuditEntry, _: &Mapping) {}
    fn depths(&self, _: Counts) {}
    fn budget(&self, _: &SystemName, _: &[(&'static str, u32)]) {}
    fn defect(&self, _: MappingId, _: &str) {}
}

/// A worker that knows [`INCIDENT`] as of second 1, and its queue of hints.
struct World {
    shell: Arc<Shell>,
    connector: Arc<Scripted>,
    hints: Hints,
    began: Instant,
}

impl World {
    async fn new(answers: impl IntoIterator<Item = Answer>, takes: Duration) -> Self {
        let name = SystemName::new("defender").unwrap();
        let connector = Arc::new(Scripted {
            name: name.clone(),
            answers: Mutex::new(answers.into_iter().collect()),
            takes,
            asked: Mutex::default(),
            outcomes: Mutex::default(),
        });
        let watched = Watched { connector: connector.clone(), poll: Duration::from_hours(1) };
        let rules = rules();
        let parts = Parts {
            store: Arc::new(MemoryStore::new()),
            systems: BTreeMap::from([(name, watched)]),
            bridges: BTreeMap::from([(rules.policy.bridge.clone(), rules)]),
            report: Arc::new(Ear(connector.clone())),
            seed: 1,
            clock: Clock::system(),
        };
        let shell = Arc::new(Shell::new(parts, CancellationToken::new()));
        let known = Change::PushInbox(Box::new(snapshot(INCIDENT, 1, "active")));
        shell.store().commit(vec![known]).await.unwrap();
        Dispatcher::new(Arc::clone(&shell)).observe_all().await.unwrap();
        let hints = Hints::default();
        tokio::spawn(follow(Arc::clone(&shell), hints.clone()));
        Self { shell, connector, hints, began: Instant::now() }
    }

    fn hint(&self, record: &str) -> Hinted {
        self.hints.push(record.parse().unwrap())
    }

    /// Lets a minute pass; returns what became of the hints, and after how many seconds reads began.
    async fn minute(&self) -> (Vec<Hinted>, Vec<u64>) {
        tokio::time::sleep(Duration::from_mins(1)).await;
        let asked = self.connector.asked.lock().unwrap();
        let asked = asked.iter().map(|at| at.duration_since(self.began).as_secs()).collect();
        (self.connector.outcomes.lock().unwrap().clone(), asked)
    }

    fn inbox(&self) -> Vec<Snapshot> {
        self.shell.store().inbox(None, 100).unwrap().into_iter().map(|(_, snapshot)| snapshot).collect()
    }
}

fn shows(second: i64, status: &str) -> Answer {
    Answer::Shows(Box::new(snapshot(INCIDENT, second, status)))
}

#[tokio::test(start_paused = true)]
async fn a_hint_brings_what_the_record_says_now_into_the_inbox() {
    let world = World::new([shows(5, "resolved")], Duration::ZERO).await;
    assert_eq!(world.hint(INCIDENT), Hinted::Queued);
    assert_eq!(world.minute().await, (vec![Hinted::News], vec![0]));
    let inbox = world.inbox();
    assert_eq!((inbox.len(), inbox[0].revision.as_str()), (1, "1970-01-01T00:00:05Z"));
    assert!(!inbox[0].fresh, "by the time it is decided over it may be as old as a list's");
}

#[tokio::test(start_paused = true)]
async fn a_hint_that_comes_before_its_change_is_visible_looks_twice() {
    for early in [shows(1, "active"), Answer::Missing] {
        let world = World::new([early, shows(5, "resolved")], Duration::ZERO).await;
        world.hint(INCIDENT);
        assert_eq!(world.minute().await, (vec![Hinted::News], vec![0, 2]));
        assert_eq!(world.inbox().len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn an_echo_of_our_own_write_costs_two_reads_and_nothing_else() {
    let world =
        World::new([shows(1, "active"), shows(1, "active"), shows(1, "active")], Duration::ZERO).await;
    world.hint(INCIDENT);
    assert_eq!(world.minute().await, (vec![Hinted::NothingNew], vec![0, 2]));
    assert!(world.inbox().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_record_that_stays_away_or_cannot_be_read_is_left_to_polling() {
    let world = World::new([Answer::Missing, Answer::Missing, Answer::Denied], Duration::ZERO).await;
    world.hint(INCIDENT);
    assert_eq!(world.minute().await, (vec![Hinted::NothingNew], vec![0, 2]));
    world.hint(INCIDENT);
    assert_eq!(world.minute().await.0, [Hinted::NothingNew, Hinted::Failed]);
    assert!(world.inbox().is_empty());
}

#[tokio::test(start_paused = true)]
async fn many_hints_for_one_record_are_one_read_and_one_after_it() {
    let answers = [shows(5, "resolved"), shows(6, "active")];
    let world = World::new(answers, Duration::from_secs(10)).await;
    assert_eq!(world.hint(INCIDENT), Hinted::Queued);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(world.hint(INCIDENT), Hinted::Queued, "the read under way may be too early for this one");
    for _ in 0..50 {
        assert_eq!(world.hint(INCIDENT), Hinted::Coalesced);
    }
    assert_eq!(world.minute().await, (vec![Hinted::News, Hinted::News], vec![0, 10]));
}

#[tokio::test(start_paused = true)]
async fn a_lying_hint_reads_no_foreign_ticket_and_changes_nothing() {
    let foreign = shows(1, "active");
    let world = World::new([foreign.clone(), foreign], Duration::ZERO).await;
    world.hint("defender/ticket/4711");
    world.hint("elsewhere/incident/1");
    assert_eq!(world.minute().await, (vec![Hinted::Unknown, Hinted::Unknown], vec![]));
    assert!(world.inbox().is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_incident_that_nobody_knows_yet_is_read_and_taken_up() {
    let new = Answer::Shows(Box::new(snapshot("defender/incident/2", 5, "active")));
    let world = World::new([new], Duration::ZERO).await;
    world.hint("defender/incident/2");
    assert_eq!(world.minute().await.0, [Hinted::News]);
    Dispatcher::new(Arc::clone(&world.shell)).observe_all().await.unwrap();
    assert_eq!(world.shell.store().counts().mappings, 2);
}

#[tokio::test(start_paused = true)]
async fn the_queue_is_bounded() {
    let hints = Hints::default();
    let pushed: Vec<Hinted> =
        (0..1500).map(|n| hints.push(format!("defender/incident/{n}").parse().unwrap())).collect();
    assert_eq!(pushed.iter().filter(|hinted| **hinted == Hinted::Queued).count(), 1024);
    assert_eq!(pushed[1024..], [Hinted::Dropped; 476]);
    assert_eq!(hints.push("defender/incident/7".parse().unwrap()), Hinted::Coalesced);
}

#[tokio::test(start_paused = true)]
async fn so_many_records_are_looked_at_at_once_and_the_others_wait() {
    let world = World::new([], Duration::from_secs(30)).await;
    for n in 0..300 {
        assert_eq!(world.hint(&format!("defender/incident/{n}")), Hinted::Queued);
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(world.hints.waiting().len(), 300 - 256);
    assert_eq!(world.connector.asked.lock().unwrap().len(), 8, "and so many are read at once");
}

#[test]
fn each_outcome_has_a_word_of_its_own_for_metrics() {
    let all = [
        Hinted::Queued,
        Hinted::Coalesced,
        Hinted::Dropped,
        Hinted::News,
        Hinted::NothingNew,
        Hinted::Unknown,
        Hinted::Failed,
    ];
    let words = ["queued", "coalesced", "dropped", "news", "nothing-new", "unknown-record", "failed"];
    assert_eq!(all.map(Hinted::as_str), words);
}
