//! Polling a system one of whose collections cannot be listed.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use tokio_util::sync::CancellationToken;

use super::poll::{list_once, poll};
use super::report::Report;
use super::shell::{Clock, Parts, Shell, Watched};
use super::watch::Watch;
use crate::connectors::{Connector, Depth, Malformed, Page, PageToken, Probe, Written};
use crate::http::{CallError, CallSite, NotSentCause};
use crate::model::{
    AuditEntry, CommentKey, Mapping, MappingId, Patch, RecordKind, RecordRef, Snapshot, SystemName,
};
use crate::store::{Counts, MemoryStore};

const KINDS: [RecordKind; 2] = [RecordKind::Incident, RecordKind::Alert];

/// Lists nothing, refuses one kind, and remembers what was asked for.
struct Partly {
    name: SystemName,
    refused: RecordKind,
    /// How long lockstep's own budget holds what is refused up; else it is denied.
    delay: Option<Duration>,
    asked: Mutex<Vec<RecordKind>>,
}

impl Partly {
    fn denied(&self) -> CallError {
        let site = CallSite::new(self.name.as_str(), "list");
        if self.delay.is_some() {
            let cause = NotSentCause::Budget("graph");
            return CallError::NotSent { site: Box::new(site), cause, retry_after: self.delay };
        }
        CallError::Denied { site: Box::new(site), status: 403, code: String::new(), message: String::new() }
    }

    fn count(&self, kind: RecordKind) -> usize {
        self.asked.lock().unwrap().iter().filter(|asked| **asked == kind).count()
    }
}

#[async_trait]
impl Connector for Partly {
    fn system(&self) -> &SystemName {
        &self.name
    }

    fn collections(&self) -> &[RecordKind] {
        &KINDS
    }

    fn settle_time(&self) -> Duration {
        Duration::ZERO
    }

    fn overlap(&self) -> Duration {
        Duration::ZERO
    }

    async fn list(&self, kind: RecordKind, _: Timestamp, _: Option<&PageToken>) -> Result<Page, CallError> {
        self.asked.lock().unwrap().push(kind);
        if kind == self.refused { Err(self.denied()) } else { Ok(Page::default()) }
    }

    async fn read(&self, _: &RecordRef, _: Depth) -> Result<Snapshot, CallError> {
        Err(self.denied())
    }

    async fn update(&self, _: &Snapshot, _: &Patch) -> Result<Written, CallError> {
        Err(self.denied())
    }

    async fn create(&self, _: &RecordRef, _: &crate::connectors::Opening) -> Result<Written, CallError> {
        Err(self.denied())
    }

    async fn comment(&self, _: &Snapshot, _: &CommentKey, _: &str) -> Result<Written, CallError> {
        Err(self.denied())
    }

    async fn probe(&self) -> Vec<Probe> {
        Vec::new()
    }
}

pub(super) struct Nobody;

impl Report for Nobody {
    fn polled(&self, _: &SystemName, _: RecordKind, _: usize, _: Duration, _: Option<Timestamp>) {}
    fn poll_failed(&self, _: &SystemName, _: RecordKind, _: &super::PollFailure, _: u32) {}
    fn malformed(&self, _: &SystemName, _: &Malformed) {}
    fn hinted(&self, _: &SystemName, _: super::Hinted) {}
    fn history(&self, _: &AuditEntry, _: &Mapping) {}
    fn depths(&self, _: Counts) {}
    fn budget(&self, _: &SystemName, _: &[(&'static str, u32)]) {}
    fn defect(&self, _: MappingId, _: &str) {}
}

/// Polls every 10 s for an hour; returns the connector and whether the system counts as listed.
async fn an_hour(refused: RecordKind) -> (Arc<Partly>, bool) {
    an_hour_delayed(refused, None).await
}

async fn an_hour_delayed(refused: RecordKind, delay: Option<Duration>) -> (Arc<Partly>, bool) {
    let name = SystemName::new("defender").unwrap();
    let connector = Arc::new(Partly { name: name.clone(), refused, delay, asked: Mutex::default() });
    let watched = Watched { connector: connector.clone(), poll: Duration::from_secs(10) };
    let parts = Parts {
        store: Arc::new(MemoryStore::new()),
        systems: BTreeMap::from([(name.clone(), watched.clone())]),
        bridges: BTreeMap::new(),
        report: Arc::new(Nobody),
        seed: 1,
        clock: Clock::system(),
    };
    let shell = Shell::new(parts, CancellationToken::new());
    let watch =
        |kind| (kind, Watch::new(name.clone(), kind, SignedDuration::ZERO, None, Timestamp::UNIX_EPOCH));
    let endless = poll(&shell, &watched, KINDS.map(watch).into());
    assert!(tokio::time::timeout(Duration::from_secs(3605), endless).await.is_err());
    (connector, shell.listed().contains_key(&name))
}

#[tokio::test(start_paused = true)]
async fn alerts_that_cannot_be_listed_slow_down_no_incident() {
    let (connector, listed) = an_hour(RecordKind::Alert).await;
    assert_eq!(connector.count(RecordKind::Incident), 361, "every 10 s");
    assert!((10..20).contains(&connector.count(RecordKind::Alert)), "less and less often");
    assert!(listed, "records may be created: all incidents were seen");
}

#[tokio::test(start_paused = true)]
async fn alerts_wait_for_their_incidents() {
    let (connector, listed) = an_hour(RecordKind::Incident).await;
    assert!((10..20).contains(&connector.count(RecordKind::Incident)), "less and less often");
    assert_eq!((connector.count(RecordKind::Alert), listed), (0, false));
}

#[tokio::test(start_paused = true)]
async fn a_list_that_only_the_budget_holds_up_is_asked_for_when_the_budget_says_so() {
    let cases = [
        (Duration::from_secs(4), 900..=902),
        (Duration::from_mins(20), 4..=4),
        // A service may ask for no wait at all; it is not called without end.
        (Duration::ZERO, 3_600..=3_606),
    ];
    for (delay, times) in cases {
        let (connector, _) = an_hour_delayed(RecordKind::Incident, Some(delay)).await;
        let asked = connector.count(RecordKind::Incident);
        assert!(times.contains(&asked), "{asked} times, {delay:?} apart");
    }
}

#[tokio::test(start_paused = true)]
async fn a_system_without_collections_is_looked_at_once_per_poll() {
    let name = SystemName::new("defender").unwrap();
    let connector = Arc::new(Partly {
        name: name.clone(),
        refused: RecordKind::Alert,
        delay: None,
        asked: Mutex::default(),
    });
    let watched = Watched { connector, poll: Duration::from_secs(10) };
    let budgets = Arc::new(Budgets::default());
    let parts = Parts {
        store: Arc::new(MemoryStore::new()),
        systems: BTreeMap::from([(name, watched.clone())]),
        bridges: BTreeMap::new(),
        report: budgets.clone(),
        seed: 1,
        clock: Clock::system(),
    };
    let shell = Shell::new(parts, CancellationToken::new());
    let endless = poll(&shell, &watched, Vec::new());
    assert!(tokio::time::timeout(Duration::from_secs(95), endless).await.is_err());
    assert_eq!(*budgets.0.lock().unwrap(), 10, "every 10 s");
}

/// Counts how often it was told of a budget.
#[derive(Default)]
struct Budgets(Mutex<usize>);

impl Report for Budgets {
    fn polled(&self, _: &SystemName, _: RecordKind, _: usize, _: Duration, _: Option<Timestamp>) {}
    fn poll_failed(&self, _: &SystemName, _: RecordKind, _: &super::PollFailure, _: u32) {}
    fn malformed(&self, _: &SystemName, _: &Malformed) {}
    fn hinted(&self, _: &SystemName, _: super::Hinted) {}
    fn history(&self, _: &AuditEntry, _: &Mapping) {}
    fn depths(&self, _: Counts) {}
    fn budget(&self, _: &SystemName, _: &[(&'static str, u32)]) {
        let mut times = self.0.lock().unwrap();
        *times += 1;
        assert!(*times < 100, "it spins");
    }
    fn defect(&self, _: MappingId, _: &str) {}
}

#[tokio::test]
async fn a_list_of_alerts_says_nothing_of_the_incidents_that_a_system_has() {
    for (kind, listed) in [(RecordKind::Alert, false), (RecordKind::Incident, true)] {
        let name = SystemName::new("defender").unwrap();
        let connector =
            Partly { name: name.clone(), refused: RecordKind::Ticket, delay: None, asked: Mutex::default() };
        let watched = Watched { connector: Arc::new(connector), poll: Duration::from_secs(10) };
        let parts = Parts {
            store: Arc::new(MemoryStore::new()),
            systems: BTreeMap::from([(name.clone(), watched.clone())]),
            bridges: BTreeMap::new(),
            report: Arc::new(Nobody),
            seed: 1,
            clock: Clock::system(),
        };
        let shell = Shell::new(parts, CancellationToken::new());
        let mut watch = Watch::new(name.clone(), kind, SignedDuration::ZERO, None, Timestamp::UNIX_EPOCH);
        list_once(&shell, &watched, kind, &mut watch).await.unwrap().unwrap();
        assert_eq!(shell.listed().contains_key(&name), listed, "{kind:?}");
    }
}
