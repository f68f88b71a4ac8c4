//! The real worker within this process, so that its clock can be moved and hundreds of them can run: connectors, engine and
//! telemetry as the program puts them together, over a store in memory.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use lockstep::config::{Config, System};
use lockstep::connectors::{Connector, SystemSettings, connect};
use lockstep::engine::{Clock, Engine, Parts, Watched};
use lockstep::http::{CallObserver, Http};
use lockstep::model::{AuditEntry, BridgeName, Mapping, RecordRef};
use lockstep::reconcile::{MarkerKey, Rules};
use lockstep::store::{MemoryStore, Store, StoreError};
use lockstep::telemetry::{Metrics, Telemetry};
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
});

/// A running worker. It ends with this.
pub(crate) struct Worker {
    store: Arc<MemoryStore>,
    pub(crate) telemetry: Telemetry,
    /// How far its clock is ahead, in seconds.
    ahead: Arc<AtomicI64>,
    stop: CancellationToken,
    engine: Option<JoinHandle<Result<(), StoreError>>>,
}

impl Worker {
    pub(crate) fn start(config: &Config) -> Self {
        let _entered = RUNTIME.enter();
        let telemetry = Telemetry::new(Metrics::local().unwrap());
        let store = Arc::new(MemoryStore::new());
        let (ahead, stop) = (Arc::new(AtomicI64::new(0)), CancellationToken::new());
        let http = Http::new(&config.http).unwrap();
        let observer: Arc<dyn CallObserver> = Arc::new(telemetry.metrics().clone());
        let mut systems = BTreeMap::new();
        for system in &config.systems {
            let connector: Arc<dyn Connector> =
                connect(&settings(system), &http, Some(observer.clone())).unwrap();
            for kind in connector.collections() {
                telemetry.health().watch(&system.name, *kind, system.poll);
            }
            systems.insert(system.name.clone(), Watched { connector, poll: system.poll });
        }
        let marker = MarkerKey::new(store.marker_key());
        let rules =
            |policy: &lockstep::reconcile::Policy| Rules { policy: policy.clone(), marker: marker.clone() };
        let bridges = config.bridges.iter().map(|policy| (policy.bridge.clone(), rules(policy))).collect();
        let moved = Arc::clone(&ahead);
        let clock =
            Clock::of(move || Timestamp::now() + SignedDuration::from_secs(moved.load(Ordering::SeqCst)));
        let report = Arc::new(telemetry.clone());
        let parts = Parts { store: store.clone(), systems, bridges, report, seed: 1, clock };
        let engine = RUNTIME.spawn(Engine::new(parts, stop.clone()).run());
        Self { store, telemetry, ahead, stop, engine: Some(engine) }
    }

    /// So much time goes by at once, as on a machine that was suspended.
    pub(crate) fn advance(&self, seconds: i64) {
        self.ahead.fetch_add(seconds, Ordering::SeqCst);
    }

    /// The mapping of a record, such as `defender/incident/1`.
    pub(crate) fn mapping(&self, record: &str) -> Option<Mapping> {
        let (bridge, record): (_, RecordRef) = (BridgeName::new("corp").unwrap(), record.parse().unwrap());
        self.store.mapping(self.store.find(&bridge, &record).unwrap()?).unwrap()
    }

    /// Everything that happened to a mapping.
    pub(crate) fn history(&self, mapping: &Mapping) -> Vec<AuditEntry> {
        self.store.audit(mapping.id).unwrap()
    }

    /// Whether nothing is left to do, but for what was given up.
    pub(crate) fn is_idle(&self) -> bool {
        let counts = self.store.counts();
        counts.inbox == 0 && counts.outbox <= counts.dead
    }

    /// What waits to be done, for people.
    pub(crate) fn outbox(&self) -> String {
        let intents = self.store.outbox(None, 100).unwrap();
        let line =
            |i: &lockstep::model::Intent| format!("{} {} {}", i.action.as_str(), i.target, i.state.as_str());
        intents.iter().map(line).collect::<Vec<_>>().join("; ")
    }

    /// How often the metrics complained about a system: failed polls and calls, records that could not be read, tries that
    /// failed.
    pub(crate) fn complaints(&self, system: &str) -> f64 {
        let (of_system, text) = (format!("system=\"{system}\""), self.telemetry.metrics().text().unwrap());
        let complains = |line: &&str| {
            let failed_call = line.starts_with("lockstep_calls_total") && !line.contains("outcome=\"2");
            let failed_poll = line.starts_with("lockstep_polls_total") && !line.contains("outcome=\"ok\"");
            let others = ["lockstep_malformed", "lockstep_intents_failed", "lockstep_intents_dead"];
            line.contains(&of_system)
                && (failed_call || failed_poll || others.iter().any(|name| line.starts_with(name)))
        };
        let value = |line: &str| line.rsplit(' ').next().and_then(|value| value.parse::<f64>().ok());
        text.lines().filter(complains).filter_map(value).sum()
    }

    /// What the last polls of a system that failed said.
    pub(crate) fn poll_errors(&self, system: &str) -> Vec<String> {
        let collections = self.telemetry.health().collections();
        collections.into_iter().filter(|c| c.system.as_str() == system).filter_map(|c| c.error).collect()
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.stop.cancel();
        if let Some(engine) = self.engine.take() {
            // One that does not end in time ends with the process.
            let _ = RUNTIME.block_on(async { tokio::time::timeout(Duration::from_secs(10), engine).await });
        }
    }
}

/// A workspace knows the incidents of the tenant beside it.
fn settings(system: &System) -> SystemSettings {
    let mut settings = system.settings.clone();
    if let SystemSettings::Sentinel(sentinel) = &mut settings {
        sentinel.peer = Some(lockstep::model::SystemName::new("defender").unwrap());
    }
    settings
}
