//! What people do around the spoilt answers, and what must have come of it.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use lockstep::emulator::{
    DefenderEdit, Emulator, EmulatorOptions, Entry, IncidentSeed, SentinelEdit, System, What,
};
use lockstep::model::{AuditKind, MemberState, RecordKind};
use lockstep::stage::SERVICE_USER;
use serde_json::{Value, json};

use crate::support::pause;
use crate::targets::Target;
use crate::worker::Worker;

const ANA: &str = "ana@example.org";
const BEN: &str = "ben@example.org";
/// How long anything may take before a cell is given up as hanging. Nothing is judged by it.
const PATIENCE: Duration = Duration::from_mins(3);
/// How long the system under test is left alone before people work there.
const ALONE: Duration = Duration::from_millis(600);
/// How the history begins to tell that a value need not be carried, as all say so.
const AGREED: &str = "the others say so already";
/// The fields of a ticket that say whether it is closed, in every system's own words.
const STATUS_FIELDS: [&str; 3] = ["status", "Status", "state"];

/// The two incidents of one case; its ticket is found by the mapping.
pub(crate) struct Case {
    what: &'static str,
    defender: u64,
    sentinel: String,
}

/// What a case must have come to.
struct Expected {
    closed_in: Option<System>,
    comment: Option<&'static str>,
    owner: bool,
}

/// Emulators, a worker, and the cases that people work on.
pub(crate) struct Scene<'a> {
    pub(crate) emulator: Emulator,
    pub(crate) worker: Worker,
    target: &'a Target,
    cases: Vec<Case>,
}

impl<'a> Scene<'a> {
    /// Emulators with three linked pairs of incidents and a worker that begins to work. `before` is done to the emulators
    /// before it starts.
    pub(crate) fn begin<E>(
        target: &'a Target,
        before: impl FnOnce(&Emulator) -> Result<(), E>,
    ) -> Result<Self, E> {
        let emulator = Emulator::start(EmulatorOptions::default()).unwrap();
        let config = target.configure(&emulator);
        let case = |what| {
            let (defender, sentinel) = emulator.add_linked(&IncidentSeed::new(what, "medium", 1));
            Case { what, defender, sentinel }
        };
        let cases =
            ["closed in Defender", "closed at the ticket", "closed in Sentinel", "assigned in Defender"];
        let cases = cases.map(case).into();
        before(&emulator)?;
        let worker = Worker::start(&config);
        Ok(Self { emulator, worker, target, cases })
    }

    /// People work: each side closes an incident and says something, one is assigned, and a new one appears. What is done in
    /// the system under test comes last and alone: if a list does not show it, nothing else will.
    pub(crate) fn act(&mut self) {
        self.emulator.human_defender(self.cases[3].defender, ANA, &DefenderEdit::owner(Some(ANA))).unwrap();
        self.appear("appeared meanwhile");
        let mut sides = [System::Defender, self.target.desk.system, System::Sentinel];
        sides.sort_by_key(|side| *side == self.target.side);
        for side in sides {
            if side == self.target.side {
                pause(ALONE);
            }
            self.close_in(side);
        }
    }

    fn close_in(&self, side: System) {
        let [first, second, third, ..] = &self.cases[..] else { panic!("four cases") };
        match side {
            System::Defender => {
                let edit = |edit| self.emulator.human_defender(first.defender, ANA, &edit).unwrap();
                edit(DefenderEdit::comment("isolated host7"));
                edit(DefenderEdit::resolve("truePositive", "phishing"));
            }
            System::Sentinel => {
                let edit = |edit| self.emulator.human_sentinel(&third.sentinel, BEN, &edit).unwrap();
                edit(SentinelEdit::comment("as expected"));
                edit(SentinelEdit::close("BenignPositive", Some("SuspiciousButExpected")));
            }
            desk => {
                let ticket = self.ticket_id(second).unwrap();
                let edit = |edit: &Value| self.emulator.human_ticket(desk, &ticket, BEN, edit).unwrap();
                edit(&json!({"comment": "mail purged"}));
                let mut close = json!({"status": "closed", "verdict": "true-positive"});
                if self.target.desk.has_closing_note {
                    close["notes"] = "Seen in the queue".into();
                }
                edit(&close);
            }
        }
    }

    /// A new pair of incidents.
    pub(crate) fn appear(&mut self, what: &'static str) {
        let (defender, sentinel) = self.emulator.add_linked(&IncidentSeed::new(what, "medium", 1));
        self.cases.push(Case { what, defender, sentinel });
    }

    /// Time goes by, here and at the emulators, and an incident appears: whoever waited for the time is woken.
    pub(crate) fn time_passes(&mut self) {
        self.emulator.advance(120.0);
        self.worker.advance(120);
        self.appear("appeared afterwards");
    }

    /// Waits until the worker has nothing left to do, and several fresh polls of everything brought nothing; or until it
    /// has waited too long for something. Returns whether it rests.
    pub(crate) fn rests(&self, patience: Duration) -> bool {
        let deadline = Instant::now() + patience;
        let (mut calm, mut last) = (0, (usize::MAX, 0));
        while calm < 2 {
            if Instant::now() > deadline {
                return false;
            }
            let (lists, ledger) = (self.lists(), self.emulator.ledger().len());
            if !self.worker.is_idle() || ledger != last.0 {
                (calm, last) = (0, (ledger, lists));
            } else if lists >= last.1 + 8 {
                calm += 1;
                last.1 = lists;
            }
            pause(Duration::from_millis(20));
        }
        true
    }

    /// How often a collection was listed.
    fn lists(&self) -> u64 {
        let calls = self.emulator.calls();
        let is_list = |name: &str| {
            ["graph/list-incidents", "graph/list-alerts", "sentinel/list-incidents"].contains(&name)
                || name.ends_with("/list-tickets")
        };
        calls.iter().filter(|(name, _)| is_list(name)).map(|(_, count)| count).sum()
    }

    /// Waits until everything that is known here is mapped and has its ticket.
    pub(crate) fn until_opened(&self) -> Result<(), String> {
        let deadline = Instant::now() + PATIENCE;
        while !self.cases.iter().all(|case| self.is_whole(case)) {
            if Instant::now() > deadline {
                return Err(format!("never opened: {}", self.worker.outbox()));
            }
            pause(Duration::from_millis(20));
        }
        if self.rests(PATIENCE) { Ok(()) } else { Err("never rests".to_owned()) }
    }

    /// Waits, with the answers sound again, until nothing lacks any more or nothing more will come.
    pub(crate) fn until_healed(&mut self, acted: bool) {
        let deadline = Instant::now() + PATIENCE;
        for _ in 0..4 {
            self.time_passes();
            let resting = self.rests(Duration::from_secs(12));
            if (resting && self.lacks(acted).is_empty()) || Instant::now() > deadline {
                return;
            }
        }
    }

    fn record(case: &Case) -> String {
        format!("defender/incident/{}", case.defender)
    }

    /// The native id of a case's ticket.
    fn ticket_id(&self, case: &Case) -> Option<String> {
        let mapping = self.worker.mapping(&Self::record(case))?;
        let is_ticket = |member: &&lockstep::model::Member| member.record.system.as_str() == "tickets";
        let linked = mapping.members.iter().filter(is_ticket).find(|m| m.state == MemberState::Linked)?;
        Some(linked.record.id.as_str().to_owned())
    }

    /// Whether the three records of a case are linked.
    fn is_whole(&self, case: &Case) -> bool {
        let mapping = self.worker.mapping(&Self::record(case));
        let linked = |system: &str| {
            let members = mapping.iter().flat_map(|mapping| &mapping.members);
            members.filter(|m| m.record.system.as_str() == system && m.state == MemberState::Linked).count()
        };
        linked("defender") >= 1 && linked("sentinel") == 1 && linked("tickets") == 1
    }

    fn expected(&self, index: usize, acted: bool) -> Expected {
        let of = |closed_in, comment| Expected {
            closed_in: Some(closed_in),
            comment: Some(comment),
            owner: false,
        };
        match index {
            0 if acted => of(System::Defender, "isolated host7"),
            1 if acted => of(self.target.desk.system, "mail purged"),
            2 if acted => of(System::Sentinel, "as expected"),
            3 if acted => Expected { closed_in: None, comment: None, owner: true },
            _ => Expected { closed_in: None, comment: None, owner: false },
        }
    }

    /// The three records of a case as they are now, by name.
    fn shown(&self, case: &Case) -> [(&'static str, Value); 3] {
        let ticket = self.ticket_id(case).and_then(|id| self.emulator.ticket(self.target.desk.system, &id));
        let common = ticket.map(|ticket| ticket["common"].clone()).unwrap_or_default();
        [
            ("Defender", self.emulator.defender_incident(case.defender).unwrap_or_default()),
            ("Sentinel", self.emulator.sentinel_incident(&case.sentinel).unwrap_or_default()),
            ("the ticket", common),
        ]
    }

    /// What should be there and is not.
    pub(crate) fn lacks(&self, acted: bool) -> Vec<String> {
        let mut lacks = Vec::new();
        for (index, case) in self.cases.iter().enumerate() {
            let expected = self.expected(index, acted);
            if !self.is_whole(case) {
                let mapping = self.worker.mapping(&Self::record(case));
                let state = |m: &lockstep::model::Member| format!("{} {:?}", m.record, m.state);
                let members: Vec<String> = mapping.iter().flat_map(|m| &m.members).map(state).collect();
                lacks.push(format!("`{}` is not mapped as a whole: {}", case.what, members.join(", ")));
            }
            for (place, record) in self.shown(case) {
                if record.is_null() {
                    lacks.push(format!("`{}`: {place} is not there", case.what));
                }
                lacks.extend(
                    missing(&expected, place, &record).map(|what| format!("`{}`: {what}", case.what)),
                );
            }
        }
        lacks
    }

    /// What should not be there.
    pub(crate) fn excess(&self, acted: bool) -> Vec<String> {
        let mut excess = Vec::new();
        let tickets = self.emulator.tickets(self.target.desk.system).len();
        if tickets > self.cases.len() {
            excess.push(format!("{tickets} tickets for {} incidents", self.cases.len()));
        }
        for (index, case) in self.cases.iter().enumerate() {
            let expected = self.expected(index, acted);
            excess.extend(self.doubled(case, &expected));
            excess.extend(self.regrets(case));
        }
        excess
    }

    /// Comments and status changes of which there are too many.
    fn doubled(&self, case: &Case, expected: &Expected) -> Vec<String> {
        let mut doubled = Vec::new();
        for (place, record) in self.shown(case) {
            let count = expected.comment.map_or(0, |text| comments(&record).matches(text).count());
            if count > 1 {
                doubled.push(format!("`{}`: {count} copies of a comment in {place}", case.what));
            }
        }
        let ticket = self.ticket_id(case).unwrap_or_default();
        let places = [
            (System::Defender, case.defender.to_string()),
            (System::Sentinel, case.sentinel.clone()),
            (self.target.desk.system, ticket),
        ];
        let ledger = self.emulator.ledger();
        for (system, id) in places {
            let ours = |e: &&Entry| e.system == system && e.id == id && is_ours(e) && changes_status(e);
            let count = ledger.iter().filter(ours).count();
            let right = usize::from(expected.closed_in.is_some_and(|origin| origin != system));
            if count > right {
                let name = system.as_str();
                doubled.push(format!("`{}`: {count} status changes by us in {name}, not {right}", case.what));
            }
        }
        doubled
    }

    /// What the history of a case should not tell.
    fn regrets(&self, case: &Case) -> Vec<String> {
        let Some(mapping) = self.worker.mapping(&Self::record(case)) else { return Vec::new() };
        let told = self.worker.history(&mapping).into_iter().filter_map(|entry| match entry.kind {
            AuditKind::Left { reason } => Some(format!("{} left: {reason}", entry.record)),
            AuditKind::Dead { reason, .. } => Some(format!("given up, {}: {reason}", entry.record)),
            // Alerts follow their incident, and have no say; whether one is listed first is chance.
            AuditKind::NotCarried { what_of, value, reason }
                if entry.record.kind != RecordKind::Alert && !reason.starts_with(AGREED) =>
            {
                Some(format!("{}: {what_of} {value} not carried: {reason}", entry.record))
            }
            _ => None,
        });
        told.collect::<BTreeSet<_>>().into_iter().map(|told| format!("`{}`: {told}", case.what)).collect()
    }
}

/// What a record lacks of what is expected.
fn missing(expected: &Expected, place: &'static str, record: &Value) -> impl Iterator<Item = String> {
    let mut missing = Vec::new();
    let status = [&record["status"], &record["properties"]["status"]];
    let is_closed =
        status.iter().any(|s| ["resolved", "Closed", "closed"].contains(&s.as_str().unwrap_or_default()));
    if expected.closed_in.is_some() != is_closed {
        missing.push(if is_closed { format!("{place} is closed") } else { format!("{place} is not closed") });
    }
    if let Some(text) = expected.comment.filter(|text| !comments(record).contains(text)) {
        missing.push(format!("{place} lacks the comment `{text}`"));
    }
    let owners = ["assignedTo", "owner"].map(|name| record[name].to_string());
    let owner = format!("{}{}{}", owners[0], owners[1], record["properties"]["owner"]);
    if expected.owner && !owner.contains("ana") {
        missing.push(format!("{place} lacks the owner"));
    }
    missing.into_iter()
}

/// The comments of a record, as one text.
fn comments(record: &Value) -> String {
    record["comments"].to_string()
}

fn is_ours(entry: &Entry) -> bool {
    [SERVICE_USER, lockstep::emulator::CLIENT_ID].contains(&entry.actor.as_str())
        && entry.kind != lockstep::emulator::Kind::Alert
}

fn changes_status(entry: &Entry) -> bool {
    let What::Changed { changes } = &entry.what else { return false };
    changes.iter().any(|change| STATUS_FIELDS.contains(&change.field.as_str()))
}
