//! A first start under the published limits: the real connectors, doors and budgets on the emulators, in virtual time.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::report::Report;
use super::shell::{Clock, Parts, Watched};
use super::{Engine, Hinted};
use crate::config::Config;
use crate::connectors::{Malformed, SystemSettings, connect};
use crate::emulator::{
    AlertFacts, AlertSeed, Api, Clock as EmulatorClock, Emulator, EmulatorOptions, Fault, FaultKind,
    IncidentSeed, RetryAfter, Settings, System,
};
use crate::http::Http;
use crate::model::{AuditEntry, Mapping, MappingId, RecordKind, SystemName};
use crate::reconcile::{MarkerKey, Rules};
use crate::stage::{Pace, configuration};
use crate::store::{Counts, MemoryStore};

const POLL: Duration = Duration::from_secs(15);
const JIRA: &str = "kind = \"jira\"\nproject = \"SOC\"\nissue_type = \"Task\"\n\
    credential = { kind = \"basic\", username = \"lockstep\", password = \"emulator-secret\" }\n";

/// The emulators, whose clock follows the test's.
struct Rig {
    emulator: Arc<Emulator>,
    began: (Instant, Timestamp),
    told: Arc<Polls>,
    stop: CancellationToken,
}

/// When which collection was listed to its end, in seconds from the start, and which polls failed.
#[derive(Default)]
struct Polls {
    began: Mutex<Option<Instant>>,
    listed: Mutex<BTreeMap<(String, RecordKind), Vec<f64>>>,
    failed: Mutex<Vec<(f64, String)>>,
}

impl Polls {
    fn now(&self) -> f64 {
        self.began.lock().unwrap().unwrap().elapsed().as_secs_f64()
    }
}

impl Report for Polls {
    fn polled(&self, system: &SystemName, kind: RecordKind, _: usize, _: Duration, _: Option<Timestamp>) {
        let key = (system.to_string(), kind);
        self.listed.lock().unwrap().entry(key).or_default().push(self.now());
    }
    fn poll_failed(
        &self,
        system: &SystemName,
        kind: RecordKind,
        failure: &crate::engine::PollFailure,
        _: u32,
    ) {
        self.failed.lock().unwrap().push((self.now(), format!("{system} {kind:?}: {}", failure.message)));
    }
    fn malformed(&self, _: &SystemName, _: &Malformed) {}
    fn hinted(&self, _: &SystemName, _: Hinted) {}
    fn history(&self, _: &AuditEntry, _: &Mapping) {}
    fn depths(&self, _: Counts) {}
    fn budget(&self, _: &SystemName, _: &[(&'static str, u32)]) {}
    fn defect(&self, _: MappingId, what: &str) {
        panic!("{what}");
    }
}

impl Rig {
    /// So many linked pairs, one more each `apart` seconds, and the published limits in force.
    fn new(pairs: usize, apart: f64) -> Self {
        let settings = Settings { quota: true, ..Settings::default() };
        let clock = EmulatorClock::Manual("2026-11-02T08:00:00Z".parse().unwrap());
        let options = EmulatorOptions { clock, settings, ..EmulatorOptions::default() };
        let emulator = Arc::new(Emulator::start(options).unwrap());
        for n in 0..pairs {
            let facts = AlertFacts { users: vec![format!("user{n}@example.org")], ..AlertFacts::default() };
            let alert = AlertSeed { title: "Odd attachment".to_owned(), facts, ..AlertSeed::default() };
            let seed =
                IncidentSeed { alerts: vec![alert], ..IncidentSeed::new(&format!("Case {n}"), "high", 0) };
            emulator.add_linked(&seed);
            emulator.advance(apart);
        }
        // What was seeded is older than any overlap.
        emulator.advance(3600.0);
        let began = (Instant::now(), emulator.now());
        let told = Arc::new(Polls::default());
        *told.began.lock().unwrap() = Some(began.0);
        Self { emulator, began, told, stop: CancellationToken::new() }
    }

    /// A client that the emulators answer, at the time of the test.
    fn http(&self, config: &Config) -> Http {
        let (emulator, (began, start)) = (Arc::clone(&self.emulator), self.began);
        Http::new(&config.http).unwrap().scripted(Arc::new(move |request| {
            let now = start + SignedDuration::try_from(began.elapsed()).unwrap();
            emulator.advance(now.duration_since(emulator.now()).as_secs_f64());
            emulator.answer_in_process(request)
        }))
    }

    fn engine(&self, store: Arc<MemoryStore>) -> Engine {
        let pace = Pace { poll_ms: 15_000, settle_ms: 60_000 };
        let (listen, nowhere) = ("127.0.0.1:1".parse().unwrap(), Path::new("unused"));
        let jira = format!("{JIRA}url = \"{}\"\n{}", self.emulator.ticket_url(System::Jira), pace.keys());
        let bridge = "create_in = [\"tickets\"]";
        let text = configuration(&self.emulator, nowhere, listen, pace, bridge, Some(&jira));
        let text = text.replace("budget_factor = 1000.0", "budget_factor = 1.0");
        let config = Config::parse(Path::new("test.toml"), &text).unwrap();
        let http = self.http(&config);
        let mut systems = BTreeMap::new();
        for system in &config.systems {
            let mut settings = system.settings.clone();
            if let SystemSettings::Sentinel(sentinel) = &mut settings {
                sentinel.peer = SystemName::new("defender").ok();
            }
            let connector = connect(&settings, &http, None).unwrap();
            systems.insert(system.name.clone(), Watched { connector, poll: POLL });
        }
        let rules = |policy: &crate::reconcile::Policy| Rules {
            policy: policy.clone(),
            marker: MarkerKey::new([7; 32]),
        };
        let (began, start) = self.began;
        let parts = Parts {
            store,
            systems,
            bridges: config.bridges.iter().map(|policy| (policy.bridge.clone(), rules(policy))).collect(),
            report: self.told.clone(),
            seed: 1,
            clock: Clock::of(move || start + SignedDuration::try_from(began.elapsed()).unwrap()),
        };
        Engine::new(parts, self.stop.clone())
    }

    /// Lets the worker run for so long.
    async fn run(&self, time: Duration) {
        let worker = self.engine(Arc::new(MemoryStore::new())).run();
        assert!(tokio::time::timeout(time, worker).await.is_err(), "it ended");
        println!("tickets {:?}, 429s {}, lists {:?}", self.tickets(), self.throttled(), self.gaps());
        println!("calls {:?}", self.emulator.calls());
        println!("failed {:#?}", self.told.failed.lock().unwrap());
    }

    /// The tickets there are, and how many of them tell what Defender knows.
    fn tickets(&self) -> (usize, usize) {
        let ids = self.emulator.tickets(System::Jira);
        let told = |id: &&String| {
            let text = self.emulator.ticket(System::Jira, id).unwrap().to_string();
            text.contains("Odd attachment") && !text.contains("could not be read")
        };
        (ids.len(), ids.iter().filter(told).count())
    }

    fn throttled(&self) -> usize {
        self.emulator.call_log().iter().filter(|call| call.status == 429).count()
    }

    /// Per collection: when it was first listed to its end, and the longest time between two lists after that.
    fn gaps(&self) -> BTreeMap<(String, RecordKind), (f64, f64)> {
        let end = self.told.now();
        let gap = |times: &Vec<f64>| {
            let ends = times.iter().skip(1).copied().chain([end]);
            (times[0], times.iter().zip(ends).map(|(a, b)| b - a).fold(0.0, f64::max))
        };
        self.told.listed.lock().unwrap().iter().map(|(key, times)| (key.clone(), gap(times))).collect()
    }
}

#[tokio::test(start_paused = true)]
async fn every_ticket_waits_for_its_details_while_only_the_budget_delays_them() {
    let rig = Rig::new(60, 1.0);
    rig.run(Duration::from_mins(10)).await;
    assert_eq!(rig.tickets(), (60, 60));
    assert_eq!(rig.throttled(), 0);
    let calls = rig.emulator.calls();
    assert!(calls["jira/find-ticket"] <= 150, "{calls:?}");
}

#[tokio::test(start_paused = true)]
async fn a_pause_that_a_service_asked_for_outlasts_a_restart() {
    let rig = Rig::new(3, 1.0);
    let store = Arc::new(MemoryStore::new());
    let throttle = FaultKind::Throttle { retry_after: RetryAfter::Seconds(300) };
    rig.emulator.add_fault(Fault::new(throttle).on(Api::Graph, "list-incidents"));
    let killed = rig.engine(store.clone()).run();
    assert!(tokio::time::timeout(Duration::from_secs(2), killed).await.is_err());
    assert_eq!(rig.throttled(), 1);
    rig.emulator.reset_calls();
    for life in 0..20 {
        store.crash();
        let killed = rig.engine(store.clone()).run();
        assert!(tokio::time::timeout(Duration::from_secs(14), killed).await.is_err());
        let calls = rig.emulator.calls();
        assert!(!calls.keys().any(|call| call.starts_with("graph/")), "life {life}: {calls:?}");
        assert!(calls["sentinel/list-incidents"] > 0, "others go on: {calls:?}");
    }
    let last = rig.engine(store).run();
    assert!(tokio::time::timeout(Duration::from_secs(30), last).await.is_err());
    let calls = rig.emulator.call_log();
    let first = calls.iter().find(|call| call.api == Api::Graph).unwrap();
    let after = first.at.duration_since(rig.began.1).as_secs_f64();
    assert!((300.0..302.0).contains(&after), "{after}");
}

/// With 5,000 pairs, which take a minute and a half to play, the incidents were first listed after 70 s, the alerts after
/// 89 s, and the longest time between two lists was 20 s.
#[tokio::test(start_paused = true)]
async fn polls_come_first_whatever_waits_behind_them() {
    let rig = Rig::new(1_000, 60.0);
    rig.run(Duration::from_mins(5)).await;
    let gaps = rig.gaps();
    assert_eq!(gaps.len(), 4, "{gaps:?}");
    for (collection, (first, longest)) in gaps {
        assert!(first < 60.0, "{collection:?} was listed first after {first} s");
        assert!(longest <= 2.0 * POLL.as_secs_f64(), "{collection:?} was not listed for {longest} s");
    }
    assert_eq!(rig.throttled(), 0);
}
