//! The three records of one incident, what people do to them, and what the ledger says of each.

use std::fmt;

use serde_json::json;

use crate::emulator::{DefenderEdit, EditRefused, Entry, SentinelEdit, System, What};
use crate::stage::{SERVICE_USER, Stage};

/// The ticket system of the demo.
pub(super) const TICKETS: System = System::ServiceNow;

/// Where somebody did something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    /// In the Defender portal.
    Defender,
    /// In the Sentinel portal.
    Sentinel,
    /// In the ticket.
    Ticket,
}

impl Side {
    /// All of them.
    pub(super) const ALL: [Self; 3] = [Self::Defender, Self::Sentinel, Self::Ticket];
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Defender => "in Defender",
            Self::Sentinel => "in Sentinel",
            Self::Ticket => "in ServiceNow",
        })
    }
}

/// What somebody did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Act {
    /// Closed it, with a verdict.
    Close,
    /// Set it to be in work.
    Reopen,
    /// Raised its severity.
    Severity,
    /// Wrote a comment.
    Comment(&'static str),
}

impl Act {
    pub(super) fn is_comment(self) -> bool {
        matches!(self, Self::Comment(_))
    }
}

/// The records of one incident.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Trio {
    pub(super) defender: u64,
    pub(super) sentinel: String,
    pub(super) ticket: String,
}

/// What somebody did.
#[derive(Debug, Clone)]
pub(super) struct Deed {
    pub(super) side: Side,
    pub(super) trio: Trio,
    pub(super) act: Act,
    pub(super) comes: Comes,
}

/// What must come of a deed on each other side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Comes {
    /// One effective write.
    Once,
    /// None where the edit that beats it is seen together with it; one where it was carried before that was seen.
    AtMostOnce,
}

impl Trio {
    /// What lockstep wrote to the record of a side after it was opened.
    pub(super) fn writes(&self, stage: &Stage, side: Side) -> Vec<Entry> {
        let mut writes = match side {
            Side::Defender => stage.writes(System::Defender, &self.defender.to_string()),
            Side::Sentinel => stage.writes(System::Sentinel, &self.sentinel),
            Side::Ticket => stage.ticket_writes(TICKETS, &self.ticket, SERVICE_USER),
        };
        writes.retain(|entry| entry.what != What::Created);
        writes
    }

    /// Whether the record of each side says closed.
    pub(super) fn closed(&self, stage: &Stage) -> [Option<bool>; 3] {
        let defender = stage.emulator.defender_incident(self.defender);
        let sentinel = stage.emulator.sentinel_incident(&self.sentinel);
        let ticket = stage.emulator.ticket(TICKETS, &self.ticket);
        [
            defender.map(|i| i["status"] == "resolved"),
            sentinel.map(|i| i["properties"]["status"] == "Closed"),
            ticket.map(|t| t["common"]["status"] == "closed"),
        ]
    }

    pub(super) fn are_all_closed(&self, stage: &Stage) -> bool {
        self.closed(stage) == [Some(true); 3]
    }
}

/// A person does something on one side.
pub(super) fn act(stage: &Stage, side: Side, trio: &Trio, by: &str, act: Act) -> Result<(), EditRefused> {
    match side {
        Side::Defender => {
            let edit = match act {
                Act::Close => DefenderEdit::resolve("truePositive", "malware"),
                Act::Reopen => DefenderEdit::status("inProgress"),
                Act::Severity => DefenderEdit::severity("high"),
                Act::Comment(text) => DefenderEdit::comment(text),
            };
            stage.emulator.human_defender(trio.defender, by, &edit)
        }
        Side::Sentinel => {
            let edit = match act {
                Act::Close => SentinelEdit::close("BenignPositive", Some("SuspiciousButExpected")),
                Act::Reopen => SentinelEdit::status("Active"),
                Act::Severity => SentinelEdit::severity("High"),
                Act::Comment(text) => SentinelEdit::comment(text),
            };
            stage.emulator.human_sentinel(&trio.sentinel, by, &edit)
        }
        Side::Ticket => {
            let edit = match act {
                Act::Close => {
                    json!({"status": "closed", "verdict": "false-positive", "notes": "Nothing found"})
                }
                Act::Reopen => json!({"status": "active"}),
                Act::Severity => json!({"severity": "high"}),
                Act::Comment(text) => json!({ "comment": text }),
            };
            stage.emulator.human_ticket(TICKETS, &trio.ticket, by, &edit)
        }
    }
}
