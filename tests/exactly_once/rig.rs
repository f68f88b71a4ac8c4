//! The real binary as a child process, against emulators over real HTTP. Verdicts come from the emulators' ledger.

use std::ops::{Deref, DerefMut};
use std::path::Path;
use std::time::{Duration, Instant};

use lockstep::emulator::{Emulator, EmulatorOptions, Entry, IncidentSeed, System, What};
use lockstep::stage::{Pace, Stage};
use tempfile::TempDir;

/// How long anything may take before a test is given up as hanging. Nothing is judged by it.
const PATIENCE: Duration = Duration::from_mins(2);
/// Quick polls, and a settle time that still outlasts every read.
const PACE: Pace = Pace { poll_ms: 100, settle_ms: 300 };

/// A stage in a temporary folder. Dropped first, the stage takes its worker along.
pub(crate) struct Rig {
    stage: Stage,
    pub(crate) dir: TempDir,
}

/// One pair of incidents that describe the same thing.
#[derive(Debug, Clone)]
pub(crate) struct Pair {
    pub(crate) defender: u64,
    pub(crate) sentinel: String,
}

impl Deref for Rig {
    type Target = Stage;

    fn deref(&self) -> &Stage {
        &self.stage
    }
}

impl DerefMut for Rig {
    fn deref_mut(&mut self) -> &mut Stage {
        &mut self.stage
    }
}

impl Rig {
    pub(crate) fn new() -> Self {
        Self::with(EmulatorOptions::default(), "")
    }

    /// With these lines added to the bridge.
    pub(crate) fn with(options: EmulatorOptions, bridge: &str) -> Self {
        let (emulator, dir) = (Emulator::start(options).unwrap(), TempDir::new().unwrap());
        let program = Path::new(env!("CARGO_BIN_EXE_lockstep"));
        Self { stage: Stage::new(emulator, dir.path(), program, PACE, bridge, None).unwrap(), dir }
    }

    /// Starts the worker; with a crash point it dies there.
    pub(crate) fn start_with(&mut self, crash_at: Option<&str>) {
        self.stage.start(crash_at).unwrap();
    }

    pub(crate) fn start(&mut self) {
        self.start_with(None);
    }

    /// SIGKILL, at whatever it is doing.
    pub(crate) fn kill(&mut self) {
        self.stage.kill().unwrap();
    }

    /// Waits until the worker died by itself. Returns whether it did.
    pub(crate) fn wait_for_death(&mut self, patience: Duration) -> bool {
        let deadline = Instant::now() + patience;
        while Instant::now() < deadline {
            if self.stage.has_died().unwrap() {
                return true;
            }
            pause(Duration::from_millis(10));
        }
        false
    }

    /// SIGTERM; returns the exit code.
    pub(crate) fn stop(&mut self) -> Option<i32> {
        self.stage.stop().unwrap().and_then(|status| status.code())
    }

    /// One pair in agreement.
    pub(crate) fn pair(&self) -> Pair {
        let (defender, sentinel) = self.emulator.add_linked(&IncidentSeed::default());
        Pair { defender, sentinel }
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
            pause(Duration::from_millis(20));
        }
    }

    /// Waits until the worker has nothing left to do, and several fresh polls of everything brought nothing.
    pub(crate) fn quiet(&self) {
        let mut calm = 0;
        let mut last = (usize::MAX, 0);
        self.until("the worker rests", |rig| {
            let (polls, ledger) = (rig.list_calls(), rig.emulator.ledger().len());
            if !rig.is_idle() || ledger != last.0 {
                calm = 0;
                last = (ledger, polls);
            } else if polls >= last.1 + 9 {
                calm += 1;
                last.1 = polls;
            }
            calm >= 2
        });
    }
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

/// People and processes take their time in the real world; no verdict depends on how long.
#[expect(clippy::disallowed_methods, reason = "tests of processes have no clock to advance")]
pub(crate) fn pause(duration: Duration) {
    std::thread::sleep(duration);
}
