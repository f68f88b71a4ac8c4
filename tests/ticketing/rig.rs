//! A bridge of three systems on the real binary.

use std::ops::{Deref, DerefMut};

use lockstep::emulator::{DefenderEdit, Emulator, EmulatorOptions, Entry, IncidentSeed, System, What};
use lockstep::stage::SERVICE_USER;
use serde_json::{Value, json};

use crate::desks::Desk;
use crate::support::{self, Base, PACE, text};

/// Who works for lockstep in every emulated ticket system.
pub(crate) const LOCKSTEP: &str = SERVICE_USER;
pub(crate) const ANA: &str = "ana@example.org";
pub(crate) const BEN: &str = "ben@example.org";

/// The stage with a ticket system.
pub(crate) struct Rig {
    base: Base,
    pub(crate) desk: &'static Desk,
}

/// The three records of one incident.
#[derive(Debug, Clone)]
pub(crate) struct Trio {
    pub(crate) defender: u64,
    pub(crate) sentinel: String,
    pub(crate) ticket: String,
}

impl Deref for Rig {
    type Target = Base;

    fn deref(&self) -> &Base {
        &self.base
    }
}

impl DerefMut for Rig {
    fn deref_mut(&mut self) -> &mut Base {
        &mut self.base
    }
}

impl Rig {
    pub(crate) fn new(desk: &'static Desk) -> Self {
        Self::with(desk, EmulatorOptions::default(), "")
    }

    /// With these lines added to the bridge.
    pub(crate) fn with(desk: &'static Desk, options: EmulatorOptions, bridge: &str) -> Self {
        let emulator = Emulator::start(options).unwrap();
        let imperfections = serde_json::from_str(desk.imperfections).unwrap();
        emulator.set_ticketing(desk.system, &imperfections).unwrap();
        let settings = desk.settings.replace("URL", &emulator.ticket_url(desk.system));
        let tickets = format!("{}\n{settings}", PACE.keys());
        let bridge = format!("create_in = [\"tickets\"]\n{bridge}");
        Self { base: Base::new(emulator, &bridge, Some(&tickets)), desk }
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
        support::until(self, what, || happened(self));
    }

    /// Waits until nothing is left to do.
    pub(crate) fn quiet(&self) {
        support::quiet(self);
    }
}
