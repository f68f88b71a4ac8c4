//! The real binary as a child process, against emulators over real HTTP: what every suite of it stands on. Verdicts
//! come from the emulators' ledger.

#![allow(dead_code, reason = "each suite uses a part")]

use std::ops::{Deref, DerefMut};
use std::path::Path;
use std::time::{Duration, Instant};

use lockstep::emulator::{Emulator, Entry, What};
use lockstep::stage::{Pace, Stage};
use serde_json::Value;
use tempfile::TempDir;

/// How long anything may take before a test is given up as hanging. Nothing is judged by it.
pub(crate) const PATIENCE: Duration = Duration::from_mins(2);
/// Quick polls, and a settle time that still outlasts every read.
pub(crate) const PACE: Pace = Pace { poll_ms: 100, settle_ms: 300 };

/// A stage in a temporary folder. Dropped first, the stage takes its worker along.
pub(crate) struct Base {
    stage: Stage,
    pub(crate) dir: TempDir,
}

impl Deref for Base {
    type Target = Stage;

    fn deref(&self) -> &Stage {
        &self.stage
    }
}

impl DerefMut for Base {
    fn deref_mut(&mut self) -> &mut Stage {
        &mut self.stage
    }
}

impl Base {
    /// `bridge` holds further lines of the bridge, `tickets` those of a third system.
    pub(crate) fn new(emulator: Emulator, bridge: &str, tickets: Option<&str>) -> Self {
        let dir = TempDir::new().unwrap();
        let program = Path::new(env!("CARGO_BIN_EXE_lockstep"));
        Self { stage: Stage::new(emulator, dir.path(), program, PACE, bridge, tickets).unwrap(), dir }
    }

    pub(crate) fn start(&mut self) {
        self.stage.start(None).unwrap();
    }

    /// Starts the worker; it dies at that crash point.
    pub(crate) fn start_to_die(&mut self, point: &str) {
        self.stage.start(Some(point)).unwrap();
    }

    /// SIGKILL, at whatever it is doing.
    pub(crate) fn kill(&mut self) {
        self.stage.kill().unwrap();
    }

    /// SIGTERM; returns the exit code.
    pub(crate) fn stop(&mut self) -> Option<i32> {
        self.stage.stop().unwrap().and_then(|status| status.code())
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
}

/// Waits for something that must happen.
pub(crate) fn until(stage: &Stage, what: &str, mut happened: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !happened() {
        if Instant::now() > deadline {
            let (log, ledger) = (stage.log(), stage.emulator.ledger());
            let tail: Vec<&str> = log.lines().rev().take(60).collect();
            let tail = tail.into_iter().rev().collect::<Vec<_>>().join("\n");
            panic!("never: {what}\nledger: {ledger:#?}\nlog:\n{tail}");
        }
        pause(Duration::from_millis(20));
    }
}

/// Waits until the worker has nothing left to do, and several fresh polls of everything brought nothing.
pub(crate) fn quiet(stage: &Stage) {
    let mut calm = 0;
    let mut last = (usize::MAX, 0);
    until(stage, "the worker rests", || {
        let (polls, ledger) = (stage.list_calls(), stage.emulator.ledger().len());
        if !stage.is_idle() || ledger != last.0 {
            calm = 0;
            last = (ledger, polls);
        } else if polls >= last.1 + 12 {
            calm += 1;
            last.1 = polls;
        }
        calm >= 2
    });
}

/// A JSON value as a test compares it: `null` and absent are empty.
pub(crate) fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
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
