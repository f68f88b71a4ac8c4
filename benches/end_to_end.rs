//! Closes per second through the whole worker, beside the same number of bare requests.
//!
//! The engine polls, decides, reads, writes and settles, every step durable on disk; the plain loop only sends the
//! write, one after the other, with a client of the same settings. Both talk to the same emulator, which serves on
//! one thread. Requests per second depend on the machine; the ratio hardly does.

mod support;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use lockstep::connectors::defender::DefenderSettings;
use lockstep::connectors::sentinel::SentinelSettings;
use lockstep::connectors::{SystemSettings, connect};
use lockstep::emulator::{
    CLIENT_ID, CLIENT_SECRET, DefenderEdit, Emulator, EmulatorOptions, Entry, IncidentSeed, SentinelEdit,
    System, TENANT,
};
use lockstep::engine::{Clock, Engine, Parts, Watched};
use lockstep::http::secret::SecretRef;
use lockstep::http::{ClientOptions, Credential, Http};
use lockstep::store::{SledStore, Store};
use lockstep::telemetry::{Metrics, Telemetry};
use reqwest::Method;
use secrecy::SecretString;
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;
use url::Url;

/// Incidents that are closed in each direction.
const CLOSES: usize = 200;
/// Rounds, of which the median counts.
const ROUNDS: usize = 3;
/// How long a round may take.
const PATIENCE: Duration = Duration::from_mins(2);

/// Which way closes travel: the operation that the emulator counts, and where it writes.
#[derive(Clone, Copy)]
enum Way {
    ToSentinel,
    ToDefender,
}

impl Way {
    fn operation(self) -> &'static str {
        match self {
            Self::ToSentinel => "sentinel/put-incident",
            Self::ToDefender => "graph/update-incident",
        }
    }

    fn target(self) -> System {
        match self {
            Self::ToSentinel => System::Sentinel,
            Self::ToDefender => System::Defender,
        }
    }
}

/// One emulator with pairs in agreement.
struct Scene {
    emulator: Emulator,
    pairs: Vec<(u64, String)>,
    runtime: Runtime,
}

impl Scene {
    fn new() -> Self {
        let emulator = Emulator::start(EmulatorOptions::default()).expect("a free port");
        let pairs = (0..CLOSES).map(|_| emulator.add_linked(&IncidentSeed::default())).collect();
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
        Self { emulator, pairs, runtime }
    }

    fn wait_for(&self, what: &str, mut happened: impl FnMut() -> bool) {
        let begun = Instant::now();
        while !happened() {
            assert!(begun.elapsed() < PATIENCE, "never: {what}");
            self.runtime.block_on(async { tokio::time::sleep(Duration::from_millis(1)).await });
        }
    }

    fn written(&self, way: Way) -> usize {
        let ours = |e: &Entry| e.actor == CLIENT_ID && e.is_effective() && e.system == way.target();
        let entries = self.emulator.ledger();
        let ids = self.pairs.iter().map(|(defender, sentinel)| match way {
            Way::ToSentinel => sentinel.clone(),
            Way::ToDefender => defender.to_string(),
        });
        let ids: std::collections::BTreeSet<_> = ids.collect();
        entries.iter().filter(|e| ours(e) && ids.contains(&e.id)).count()
    }

    fn count(&self, way: Way) -> usize {
        let calls = self.emulator.calls();
        calls.get(way.operation()).map_or(0, |count| usize::try_from(*count).unwrap_or(usize::MAX))
    }

    fn people_close_all(&self, way: Way) {
        for (defender, sentinel) in &self.pairs {
            let done = match way {
                Way::ToSentinel => {
                    let close = DefenderEdit::resolve("truePositive", "phishing");
                    self.emulator.human_defender(*defender, "ana@example.org", &close)
                }
                Way::ToDefender => {
                    let close = SentinelEdit::close("FalsePositive", Some("InaccurateData"));
                    self.emulator.human_sentinel(sentinel, "ben@example.org", &close)
                }
            };
            done.expect("a legal edit");
        }
    }
}

fn credential() -> Credential {
    let secret = SecretRef::Inline(SecretString::from(CLIENT_SECRET.to_owned()));
    Credential::ClientSecret { client_id: CLIENT_ID.to_owned(), secret }
}

fn url(text: &str) -> Url {
    Url::parse(text).expect("a valid address")
}

fn settings(emulator: &Emulator) -> [SystemSettings; 2] {
    let EmulatorOptions { subscription_id, resource_group, workspace, .. } = EmulatorOptions::default();
    let (settle, overlap) = (Duration::from_millis(300), Duration::from_secs(10));
    let (tenant_id, authority_url, budget_factor) = (TENANT.to_owned(), url(&emulator.login_url()), 1e6);
    let defender = DefenderSettings {
        name: support::system("defender"),
        tenant_id: tenant_id.clone(),
        credential: credential(),
        authority_url: authority_url.clone(),
        graph_url: url(&emulator.graph_url()),
        scope: GRAPH_SCOPE.to_owned(),
        budget_factor,
        settle,
        overlap,
        hook: None,
    };
    let sentinel = SentinelSettings {
        name: support::system("sentinel"),
        tenant_id,
        subscription_id,
        resource_group,
        workspace,
        credential: credential(),
        authority_url,
        arm_url: url(&emulator.arm_url()),
        scope: ARM_SCOPE.to_owned(),
        api_version: SentinelSettings::DEFAULT_API_VERSION.to_owned(),
        budget_factor,
        settle,
        overlap,
        hook: None,
        peer: Some(support::system("defender")),
    };
    [SystemSettings::Defender(defender), SystemSettings::Sentinel(sentinel)]
}

const GRAPH_SCOPE: &str = "https://graph.microsoft.com/.default";
const ARM_SCOPE: &str = "https://management.azure.com/.default";

/// Seconds from the first close by people to the last one carried over.
fn by_the_engine(way: Way) -> Duration {
    let scene = Scene::new();
    let dir = tempfile::tempdir().expect("a temporary directory");
    let store = SledStore::open(dir.path().join("data")).expect("a new store");
    let http = Http::new(&ClientOptions::default()).expect("a client");
    let mut systems = BTreeMap::new();
    for (name, settings) in ["defender", "sentinel"].into_iter().zip(settings(&scene.emulator)) {
        let connector = connect(&settings, &http, None).expect("sound settings");
        systems.insert(support::system(name), Watched { connector, poll: Duration::from_millis(50) });
    }
    let rules = support::rules();
    let parts = Parts {
        store: store.clone(),
        systems,
        bridges: BTreeMap::from([(rules.policy.bridge.clone(), rules)]),
        report: Arc::new(Telemetry::new(Metrics::local().expect("metrics"))),
        seed: 1,
        clock: Clock::system(),
    };
    let stop = CancellationToken::new();
    let engine = scene.runtime.spawn(Engine::new(parts, stop.clone()).run());
    let at_rest = || {
        let counts = store.counts();
        let mappings = u64::try_from(CLOSES).unwrap_or_default();
        (counts.mappings, counts.inbox, counts.outbox) == (mappings, 0, 0) && is_all_linked(&*store)
    };
    scene.wait_for("all pairs are linked", at_rest);
    let begun = Instant::now();
    scene.people_close_all(way);
    scene.wait_for("all closes arrive", || scene.count(way) >= CLOSES && scene.written(way) >= CLOSES);
    let took = begun.elapsed();
    stop.cancel();
    scene.runtime.block_on(engine).expect("no panic").expect("a sound store");
    assert_eq!(scene.written(way), CLOSES, "exactly once");
    took
}

fn is_all_linked(store: &dyn Store) -> bool {
    let mappings = store.mappings(None, usize::MAX).expect("a sound store");
    mappings
        .iter()
        .all(|mapping| mapping.members.len() >= 2 && mapping.members.iter().all(|m| m.base.is_some()))
}

/// Seconds that the same writes take when nothing is read, decided or remembered.
fn by_a_plain_loop(way: Way) -> Duration {
    let scene = Scene::new();
    let client = reqwest::Client::builder()
        .timeout(ClientOptions::default().timeout)
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .expect("a client");
    scene.runtime.block_on(async {
        let token = token(&client, &scene.emulator, way).await;
        let requests: Vec<_> = scene.pairs.iter().map(|pair| request(&scene.emulator, way, pair)).collect();
        let begun = Instant::now();
        for (method, url, body) in requests {
            let sent = client.request(method, url).bearer_auth(&token).json(&body).send().await;
            let answer = sent.expect("an answer").error_for_status().expect("a success");
            answer.json::<Value>().await.expect("a record");
        }
        let took = begun.elapsed();
        assert_eq!(scene.written(way), CLOSES);
        took
    })
}

async fn token(client: &reqwest::Client, emulator: &Emulator, way: Way) -> String {
    let scope = match way {
        Way::ToSentinel => ARM_SCOPE,
        Way::ToDefender => GRAPH_SCOPE,
    };
    let form = [
        ("grant_type", "client_credentials"),
        ("client_id", CLIENT_ID),
        ("client_secret", CLIENT_SECRET),
        ("scope", scope),
    ];
    let url = format!("{}/{TENANT}/oauth2/v2.0/token", emulator.login_url());
    let answer = client.post(url).form(&form).send().await.expect("an answer");
    let body: Value = answer.json().await.expect("a token");
    body["access_token"].as_str().expect("a token").to_owned()
}

fn request(emulator: &Emulator, way: Way, (defender, sentinel): &(u64, String)) -> (Method, String, Value) {
    match way {
        Way::ToSentinel => {
            let now = emulator.sentinel_incident(sentinel).expect("it is there");
            let place = now["id"].as_str().expect("an id");
            let url = format!("{}{place}?api-version=2025-09-01", emulator.arm_url());
            let [title, severity] = ["title", "severity"].map(|name| &now["properties"][name]);
            let properties = json!({"title": title, "severity": severity, "status": "Closed",
                "classification": "TruePositive", "classificationReason": "SuspiciousActivity"});
            (Method::PUT, url, json!({"etag": now["etag"], "properties": properties}))
        }
        Way::ToDefender => {
            let url = format!("{}/v1.0/security/incidents/{defender}", emulator.graph_url());
            let verdict = json!({"status": "resolved", "classification": "falsePositive",
                "determination": "notEnoughDataToValidate"});
            (Method::PATCH, url, verdict)
        }
    }
}

fn median(mut round: impl FnMut() -> Duration) -> f64 {
    let mut times: Vec<_> = (0..ROUNDS).map(|_| round().as_secs_f64()).collect();
    times.sort_by(f64::total_cmp);
    times[ROUNDS / 2]
}

fn main() {
    // `cargo test` runs benches too, to see that they work; it gives no `--bench`.
    let measured = std::env::args().any(|argument| argument == "--bench");
    for (name, way) in [("Defender to Sentinel", Way::ToSentinel), ("Sentinel to Defender", Way::ToDefender)]
    {
        if !measured {
            continue;
        }
        let (engine, plain) = (median(|| by_the_engine(way)), median(|| by_a_plain_loop(way)));
        #[allow(clippy::cast_precision_loss)] // a few hundred
        let per_second = |seconds: f64| CLOSES as f64 / seconds;
        println!(
            "{name}: {:.0} closes per second, bare requests one by one: {:.0}, so a close costs {:.1} of those",
            per_second(engine),
            per_second(plain),
            engine / plain
        );
    }
}
