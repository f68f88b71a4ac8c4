//! The real binary as a child process on a bridge of three systems.

use std::ops::{Deref, DerefMut};
use std::path::Path;
use std::time::{Duration, Instant};

use lockstep::emulator::{DefenderEdit, Emulator, EmulatorOptions, Entry, IncidentSeed, System, What};
use lockstep::stage::{Pace, Stage, Third};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::desks::Desk;

/// How long anything may take before a test is given up as hanging. Nothing is judged by it.
const PATIENCE: Duration = Duration::from_mins(2);
/// Quick polls, and a settle time that still outlasts every read.
const PACE: Pace = Pace { poll_ms: 100, settle_ms: 300 };

/// Who works for lockstep in every emulated ticket system.
pub(crate) const LOCKSTEP: &str = "lockstep";
pub(crate) const ANA: &str = "ana@example.org";
pub(crate) const BEN: &str = "ben@example.org";

/// A stage with a third system in a temporary folder.
pub(crate) struct Rig {
    stage: Stage,
    pub(crate) desk: &'static Desk,
    pub(crate) dir: TempDir,
}

/// The three records of one incident.
#[derive(Debug, Clone)]
pub(crate) struct Trio {
    pub(crate) defender: u64,
    pub(crate) sentinel: String,
    pub(crate) ticket: String,
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
    pub(crate) fn new(desk: &'static Desk) -> Self {
        Self::with(desk, EmulatorOptions::default(), "")
    }

    /// With these lines added to the bridge.
    pub(crate) fn with(desk: &'static Desk, options: EmulatorOptions, bridge: &str) -> Self {
        let (emulator, dir) = (Emulator::start(options).unwrap(), TempDir::new().unwrap());
        let imperfections = serde_json::from_str(desk.imperfections).unwrap();
        emulator.set_ticketing(desk.system, &imperfections).unwrap();
        let settings = desk.settings.replace("URL", &emulator.ticket_url(desk.system));
        let third = Third { system: Some(desk.system), settings: &settings };
        let bridge = format!("create_in = [\"tickets\"]\n{bridge}");
        let program = Path::new(env!("CARGO_BIN_EXE_lockstep"));
        let stage = Stage::new(emulator, dir.path(), program, PACE, &bridge, Some(third)).unwrap();
        Self { stage, desk, dir }
    }

    pub(crate) fn start(&mut self) {
        self.stage.start(None).unwrap();
    }

    /// Starts the worker; it dies at that crash point.
    pub(crate) fn start_to_die(&mut self, point: &str) {
        self.stage.start(Some(point)).unwrap();
    }

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

    /// A linked pair of incidents, without a ticket yet.
    pub(crate) fn pair(&self) -> (u64, String) {
        self.emulator.add_linked(&IncidentSeed::new("Mailbox rule hides mail", "medium", 2))
    }

    /// Starts the worker on one pair of incidents, and waits until its ticket is open and everything rests.
    pub(crate) fn trio(&mut self) -> Trio {
        let (defender, sentinel) = self.pair();
        self.start();
        self.until("the ticket is opened", |rig| rig.tickets().len() == 1);
        self.quiet();
        Trio { defender, sentinel, ticket: self.tickets()[0].clone() }
    }

    pub(crate) fn tickets(&self) -> Vec<String> {
        self.emulator.tickets(self.desk.system)
    }

    /// A member of a ticket in the words that all systems share.
    pub(crate) fn ticket(&self, id: &str, member: &str) -> String {
        let Some(ticket) = self.emulator.ticket(self.desk.system, id) else { return "(gone)".to_owned() };
        text(&ticket["common"][member])
    }

    /// The comments of a ticket.
    pub(crate) fn ticket_comments(&self, id: &str) -> Vec<Value> {
        let ticket = self.emulator.ticket(self.desk.system, id).unwrap_or_default();
        ticket["common"]["comments"].as_array().cloned().unwrap_or_default()
    }

    /// A person does something to a ticket, in the words that all systems share.
    pub(crate) fn at_ticket(&self, id: &str, edit: &Value) {
        self.emulator.human_ticket(self.desk.system, id, BEN, edit).unwrap();
    }

    pub(crate) fn close_ticket(&self, id: &str, verdict: &str) {
        let mut close = json!({"status": "closed", "verdict": verdict});
        if self.desk.has_closing_note {
            close["notes"] = "Seen in the queue".into();
        }
        self.at_ticket(id, &close);
    }

    pub(crate) fn in_defender(&self, id: u64, edit: &DefenderEdit) {
        self.emulator.human_defender(id, ANA, edit).unwrap();
    }

    /// What lockstep did to a ticket, comments left out, and the comments.
    pub(crate) fn ticket_edits(&self, id: &str) -> (Vec<Entry>, Vec<Entry>) {
        let all = self.ticket_writes(self.desk.system, id, LOCKSTEP);
        all.into_iter()
            .filter(|e| e.what != What::Created)
            .partition(|e| !matches!(e.what, What::Commented { .. }))
    }

    pub(crate) fn defender_writes(&self, id: u64) -> Vec<Entry> {
        self.writes(System::Defender, &id.to_string())
    }

    pub(crate) fn sentinel_writes(&self, name: &str) -> Vec<Entry> {
        self.writes(System::Sentinel, name)
    }

    pub(crate) fn defender(&self, id: u64, field: &str) -> String {
        text(&self.emulator.defender_incident(id).unwrap()[field])
    }

    pub(crate) fn sentinel(&self, name: &str, field: &str) -> String {
        text(&self.emulator.sentinel_incident(name).unwrap()["properties"][field])
    }

    /// Whether all three records say that it is closed.
    pub(crate) fn all_closed(&self, trio: &Trio) -> bool {
        self.ticket(&trio.ticket, "status") == "closed"
            && self.defender(trio.defender, "status") == "resolved"
            && self.sentinel(&trio.sentinel, "status") == "Closed"
    }

    /// Waits for something that must happen.
    pub(crate) fn until(&self, what: &str, mut happened: impl FnMut(&Self) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !happened(self) {
            if Instant::now() > deadline {
                let log = self.log();
                let tail: Vec<&str> = log.lines().rev().take(60).collect();
                let ledger = self.emulator.ledger();
                let tail = tail.into_iter().rev().collect::<Vec<_>>().join("\n");
                panic!("never: {what}\nledger: {ledger:#?}\nlog:\n{tail}");
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
            } else if polls >= last.1 + 12 {
                calm += 1;
                last.1 = polls;
            }
            calm >= 2
        });
    }
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
