//! Closes per second from one side to the other over loopback, by the whole worker, beside bare reads and PUTs of the
//! same number by a plain loop against the same emulators. The ratio is what durability and care cost.

use std::path::Path;
use std::time::{Duration, Instant};

use lockstep::emulator::{
    CLIENT_ID, CLIENT_SECRET, DefenderEdit, Emulator, EmulatorOptions, IncidentSeed, TENANT,
};
use lockstep::stage::{Pace, Stage};
use serde_json::{Value, json};

/// Closes per run.
const CLOSES: u16 = 500;

fn main() {
    // `cargo test --benches` only wants to know that it runs.
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    let worker = worker();
    let bare = bare();
    let rate = |took: Duration| f64::from(CLOSES) / took.as_secs_f64();
    println!("{CLOSES} closes by the worker: {:.0} a second", rate(worker));
    println!("{CLOSES} bare GETs and PUTs by a plain loop: {:.0} a second", rate(bare));
    println!("ratio: {:.2}", worker.as_secs_f64() / bare.as_secs_f64());
}

fn seeded() -> (Emulator, Vec<(u64, String)>) {
    let emulator = Emulator::start(EmulatorOptions::default()).expect("a free port");
    let pairs = (0..CLOSES).map(|_| emulator.add_linked(&IncidentSeed::default())).collect();
    (emulator, pairs)
}

/// From the first close to the last arrival, polls included.
fn worker() -> Duration {
    let (emulator, pairs) = seeded();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let program = Path::new(env!("CARGO_BIN_EXE_lockstep"));
    let pace = Pace { poll_ms: 50, settle_ms: 1000 };
    let mut stage = Stage::new(emulator, folder.path(), program, pace, "").expect("a stage");
    stage.start(None).expect("a worker");
    wait(|| stage.gauge("lockstep_mappings") == Some(f64::from(CLOSES)) && stage.is_idle());
    let started = Instant::now();
    for (defender, _) in &pairs {
        let close = DefenderEdit::resolve("truePositive", "malware");
        stage.emulator.human_defender(*defender, "ana@example.org", &close).expect("a legal edit");
    }
    wait(|| pairs.iter().all(|(_, name)| is_closed(&stage.emulator, name)));
    started.elapsed()
}

/// The same calls without anything around them, one after the other.
fn bare() -> Duration {
    let (emulator, pairs) = seeded();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder().build().expect("a client");
        let token = token(&client, &emulator).await;
        let started = Instant::now();
        for (_, name) in &pairs {
            let url = format!(
                "{}/subscriptions/22222222-3333-4444-8555-666666666666/resourceGroups/rg-soc/providers/\
                 Microsoft.OperationalInsights/workspaces/law-soc/providers/Microsoft.SecurityInsights/incidents/\
                 {name}?api-version=2025-09-01",
                emulator.arm_url()
            );
            let read = client.get(&url).bearer_auth(&token).send().await.expect("an answer");
            let mut incident: Value = read.json().await.expect("an incident");
            incident["properties"]["status"] = json!("Closed");
            incident["properties"]["classification"] = json!("Undetermined");
            let body = json!({ "etag": incident["etag"], "properties": incident["properties"] });
            let written = client.put(&url).bearer_auth(&token).json(&body).send().await.expect("an answer");
            assert!(written.status().is_success(), "{:?}", written.text().await);
        }
        started.elapsed()
    })
}

async fn token(client: &reqwest::Client, emulator: &Emulator) -> String {
    let url = format!("{}/{TENANT}/oauth2/v2.0/token", emulator.login_url());
    let form = [
        ("grant_type", "client_credentials"),
        ("client_id", CLIENT_ID),
        ("client_secret", CLIENT_SECRET),
        ("scope", "https://management.azure.com/.default"),
    ];
    let answer = client.post(url).form(&form).send().await.expect("an answer");
    let body: Value = answer.json().await.expect("a token");
    body["access_token"].as_str().expect("a token").to_owned()
}

fn is_closed(emulator: &Emulator, name: &str) -> bool {
    emulator.sentinel_incident(name).is_some_and(|incident| incident["properties"]["status"] == "Closed")
}

#[expect(clippy::disallowed_methods, reason = "a process is waited for, there is no clock to advance")]
fn wait(mut happened: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_mins(5);
    while !happened() {
        assert!(Instant::now() < deadline, "it took more than five minutes");
        std::thread::sleep(Duration::from_millis(5));
    }
}
