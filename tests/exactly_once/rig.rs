//! The real binary as a child process, against emulators over real HTTP. Verdicts come from the emulators' ledger.

use std::fs::{self, File};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use lockstep::emulator::{
    CLIENT_ID, CLIENT_SECRET, Emulator, EmulatorOptions, Entry, IncidentSeed, Kind, System, TENANT, What,
};
use tempfile::TempDir;

/// How long anything may take before a test is given up as hanging. Nothing is judged by it.
const PATIENCE: Duration = Duration::from_secs(120);

/// Emulators, a configuration and, while started, a worker.
pub(crate) struct Rig {
    pub(crate) emulator: Emulator,
    pub(crate) dir: TempDir,
    port: u16,
    worker: Option<Child>,
    starts: usize,
}

/// One pair of incidents that describe the same thing.
#[derive(Debug, Clone)]
pub(crate) struct Pair {
    pub(crate) defender: u64,
    pub(crate) sentinel: String,
}

impl Rig {
    pub(crate) fn new() -> Self {
        Self::with(EmulatorOptions::default(), "")
    }

    /// With these lines added to the bridge.
    pub(crate) fn with(options: EmulatorOptions, bridge: &str) -> Self {
        let emulator = Emulator::start(options).unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let rig = Self { emulator, dir: TempDir::new().unwrap(), port, worker: None, starts: 0 };
        fs::write(rig.config(), rig.config_text(bridge)).unwrap();
        rig
    }

    pub(crate) fn config(&self) -> PathBuf {
        self.dir.path().join("lockstep.toml")
    }

    fn config_text(&self, bridge: &str) -> String {
        let (login, graph, arm) =
            (self.emulator.login_url(), self.emulator.graph_url(), self.emulator.arm_url());
        let (data, port) = (self.dir.path().join("data").display().to_string(), self.port);
        let credential = format!(
            "{{ kind = \"client-secret\", client_id = \"{CLIENT_ID}\", secret = \"{CLIENT_SECRET}\" }}"
        );
        format!(
            r#"
[store]
path = "{data}"

[http]
timeout = "5s"

[server]
listen = "127.0.0.1:{port}"

[[systems]]
name = "defender"
kind = "defender"
tenant_id = "{TENANT}"
poll = "100ms"
settle = "300ms"
overlap = "10s"
budget_factor = 1000.0
credential = {credential}
authority_url = "{login}"
graph_url = "{graph}"

[[systems]]
name = "sentinel"
kind = "sentinel"
tenant_id = "{TENANT}"
subscription_id = "22222222-3333-4444-8555-666666666666"
resource_group = "rg-soc"
workspace = "law-soc"
poll = "100ms"
settle = "300ms"
overlap = "10s"
budget_factor = 1000.0
credential = {credential}
authority_url = "{login}"
arm_url = "{arm}"

[[bridges]]
name = "corp"
systems = ["defender", "sentinel"]
since = "2020-01-01T00:00:00Z"
{bridge}
"#
        )
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_lockstep"));
        command.args(arguments).env("LOCKSTEP_CONFIG", self.config()).env_remove("RUST_LOG");
        command
    }

    /// Starts the worker; with a crash point it dies there.
    pub(crate) fn start_with(&mut self, crash_at: Option<&str>) {
        assert!(self.worker.is_none(), "one worker at a time");
        let log = File::options().create(true).append(true).open(self.log_path()).unwrap();
        let mut command = self.command(&["--log-level", "lockstep=debug,info", "run"]);
        if let Some(point) = crash_at {
            command.env("LOCKSTEP_CRASH_AT", point);
        }
        self.worker = Some(command.stdout(Stdio::null()).stderr(log).spawn().unwrap());
        self.starts += 1;
    }

    pub(crate) fn start(&mut self) {
        self.start_with(None);
    }

    fn log_path(&self) -> PathBuf {
        self.dir.path().join("worker.log")
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    /// SIGKILL, at whatever it is doing.
    pub(crate) fn kill(&mut self) {
        let mut worker = self.worker.take().expect("a worker runs");
        worker.kill().unwrap();
        worker.wait().unwrap();
    }

    /// Waits until the worker died by itself. Returns whether it did.
    pub(crate) fn wait_for_death(&mut self, patience: Duration) -> bool {
        let deadline = Instant::now() + patience;
        while Instant::now() < deadline {
            if self.worker.as_mut().is_some_and(|w| w.try_wait().unwrap().is_some()) {
                self.worker = None;
                return true;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        false
    }

    /// SIGTERM; returns the exit code.
    pub(crate) fn stop(&mut self) -> Option<i32> {
        let mut worker = self.worker.take().expect("a worker runs");
        let status = Command::new("kill").arg(worker.id().to_string()).status().unwrap();
        assert!(status.success());
        worker.wait().unwrap().code()
    }

    /// One pair in agreement.
    pub(crate) fn pair(&self) -> Pair {
        let (defender, sentinel) = self.emulator.add_linked(&IncidentSeed::default());
        Pair { defender, sentinel }
    }

    /// What lockstep did to a record, in order; a write that changed nothing is not among it.
    pub(crate) fn writes(&self, system: System, id: &str) -> Vec<Entry> {
        self.emulator
            .ledger()
            .into_iter()
            .filter(|e| is_ours(e) && e.system == system && e.id == id)
            .collect()
    }

    pub(crate) fn defender_writes(&self, pair: &Pair) -> Vec<Entry> {
        self.writes(System::Defender, &pair.defender.to_string())
    }

    pub(crate) fn sentinel_writes(&self, pair: &Pair) -> Vec<Entry> {
        self.writes(System::Sentinel, &pair.sentinel)
    }

    pub(crate) fn defender(&self, pair: &Pair, field: &str) -> String {
        text(&self.emulator.defender_incident(pair.defender).unwrap()[field])
    }

    pub(crate) fn sentinel(&self, pair: &Pair, field: &str) -> String {
        let incident = self.emulator.sentinel_incident(&pair.sentinel).unwrap();
        if field == "owner" {
            return text(&incident["properties"]["owner"]["userPrincipalName"]);
        }
        text(&incident["properties"][field])
    }

    /// Waits for something that must happen.
    pub(crate) fn until(&self, what: &str, mut happened: impl FnMut(&Self) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !happened(self) {
            if Instant::now() > deadline {
                let log = self.log();
                let tail: Vec<&str> = log.lines().rev().take(60).collect();
                let ledger = self.emulator.ledger();
                panic!(
                    "never: {what}\nledger: {ledger:#?}\nlog:\n{}",
                    tail.into_iter().rev().collect::<Vec<_>>().join("\n")
                );
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Waits until the worker has nothing left to do, and several fresh polls of everything brought nothing.
    pub(crate) fn quiet(&self) {
        let mut calm = 0;
        let mut last = (usize::MAX, 0);
        self.until("the worker rests", |rig| {
            let polls = rig.list_calls();
            let ledger = rig.emulator.ledger().len();
            let idle = rig.gauge("lockstep_inbox_depth") == Some(0.0)
                && rig.gauge("lockstep_outbox_depth") == rig.gauge("lockstep_dead_letters")
                && rig.gauge("lockstep_ready") == Some(1.0)
                && rig.emulator.pending() == 0;
            if !idle || ledger != last.0 {
                calm = 0;
                last = (ledger, polls);
            } else if polls >= last.1 + 9 {
                calm += 1;
                last.1 = polls;
            }
            calm >= 2
        });
    }

    pub(crate) fn list_calls(&self) -> u64 {
        let calls = self.emulator.calls();
        ["graph/list-incidents", "graph/list-alerts", "sentinel/list-incidents"]
            .iter()
            .map(|operation| calls.get(*operation).copied().unwrap_or(0))
            .sum()
    }

    /// A metric without labels, if the worker answers.
    pub(crate) fn gauge(&self, name: &str) -> Option<f64> {
        self.get("/metrics")?.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok())
    }

    /// A page of the worker's server, if it answers.
    pub(crate) fn get(&self, path: &str) -> Option<String> {
        use std::io::{Read, Write};
        let mut stream = std::net::TcpStream::connect(("127.0.0.1", self.port)).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
        write!(stream, "GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n").ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned())
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        if let Some(mut worker) = self.worker.take() {
            let _ = worker.kill();
            let _ = worker.wait();
        }
    }
}

fn is_ours(entry: &Entry) -> bool {
    entry.actor == CLIENT_ID && entry.is_effective() && entry.kind == Kind::Incident
}

/// A JSON value as a test compares it: `null` and absent are empty.
pub(crate) fn text(value: &serde_json::Value) -> String {
    match value {
        serde_json::Value::Null => String::new(),
        serde_json::Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// The texts of added comments among ledger entries.
pub(crate) fn comments(entries: &[Entry]) -> Vec<String> {
    let text = |e: &Entry| if let What::Commented { text, .. } = &e.what { Some(text.clone()) } else { None };
    entries.iter().filter_map(text).collect()
}
