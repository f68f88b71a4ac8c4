//! What a bridge wants, as `decide` reads it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use crate::model::{BridgeName, Field, Native, RecordKind, RecordRef, Severity, SystemName, Verdict};
use crate::translate::{Reading, Translation};

/// What a bridge wants.
#[derive(Debug, Clone)]
pub struct Policy {
    /// The bridge.
    pub bridge: BridgeName,
    /// Its systems, in order of precedence.
    pub systems: Vec<SystemPolicy>,
    /// Two systems that Microsoft's own connector keeps in agreement.
    pub native_sync: Option<NativeSync>,
    /// Where missing records are created.
    pub create_in: BTreeSet<SystemName>,
    /// Records last changed before this are not taken up (the systems' clocks, UTC).
    pub since: Timestamp,
    /// Which incidents are taken up.
    pub filter: Filter,
    /// Directions of fields; a field that is absent goes both ways.
    pub fields: BTreeMap<Field, Direction>,
    /// Direction of comments.
    pub comments: Direction,
    /// Who wins when several edited the same field.
    pub conflicts: Conflicts,
    /// How closes and reopenings travel.
    pub closing: ClosingPolicy,
    /// How tickets are opened and let go.
    pub tickets: TicketPolicy,
    /// What tells the keys of this bridge's tickets from those of another installation with equal names, such as the
    /// tenant.
    pub scope: String,
}

/// How tickets are opened and let go.
#[derive(Debug, Clone)]
pub struct TicketPolicy {
    /// Whether an incident that is closed already when it is met gets a ticket.
    pub open_closed: bool,
    /// What becomes of the mapping when a ticket was merged into another one.
    pub gone: TicketGone,
    /// Template of the description (see [`super::description`]).
    pub description: String,
}

/// What becomes of the mapping when a ticket was merged into another one. A deleted ticket leaves in any case, and no
/// new one is opened for it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TicketGone {
    /// The ticket leaves the mapping.
    #[default]
    Detach,
    /// The ticket it was merged into takes its place.
    Follow,
}

impl Default for TicketPolicy {
    fn default() -> Self {
        Self {
            open_closed: false,
            gone: TicketGone::Detach,
            description: super::description::DEFAULT.to_owned(),
        }
    }
}

/// One system of a bridge.
#[derive(Debug, Clone)]
pub struct SystemPolicy {
    /// Its name.
    pub name: SystemName,
    /// What stands for an incident there: an incident, or a ticket.
    pub main: RecordKind,
    /// Its table.
    pub translation: Arc<Translation>,
}

/// Microsoft's own sync between two systems of the bridge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NativeSync {
    /// The one lockstep writes to.
    pub writer: SystemName,
    /// The one that follows by itself.
    pub follower: SystemName,
    /// How long it may take.
    pub deadline: SignedDuration,
    /// What happens when it took longer.
    pub late: Late,
}

/// What happens when native sync is late.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Late {
    /// It is reported.
    Report,
    /// lockstep writes.
    Write,
}

/// Which incidents a bridge takes up. Applied once, when a record is met; what is mapped stays mapped.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// The mildest severity.
    pub severity_at_least: Option<Severity>,
    /// At least one of these products raised it; empty takes all. Compared without regard to case.
    pub products: BTreeSet<String>,
}

/// Which way a field travels.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Direction {
    /// From everywhere to everywhere.
    #[default]
    Both,
    /// From one system to the others.
    From(SystemName),
    /// Not at all.
    Off,
}

/// Who wins a conflict.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Conflicts {
    /// A close beats anything else, then the order of the systems decides.
    #[default]
    CloseWins,
    /// The order of the systems decides.
    Order,
    /// The later edit wins, by the systems' own clocks.
    Latest,
}

/// How closes and reopenings travel.
#[derive(Debug, Clone)]
pub struct ClosingPolicy {
    /// Template of the closing comment; `{{ origin.system }}`, `{{ origin.actor }}` and `{{ origin.comment }}`.
    pub comment: String,
    /// The verdict of a close that came without one.
    pub default_verdict: Verdict,
    /// Whether a reopening travels.
    pub reopen: Reopen,
    /// Whether the incident is closed when all its alerts are, where the service does not do so itself.
    pub when_all_alerts_closed: bool,
}

/// Whether a reopening travels.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reopen {
    /// Yes.
    #[default]
    Propagate,
    /// No; the other records stay closed.
    Ignore,
    /// Yes, but closed tickets stay closed: a new one is opened.
    NewTicket,
}

impl Default for ClosingPolicy {
    fn default() -> Self {
        Self {
            comment: "Closed in {{ origin.system }}{% if origin.actor %} by {{ origin.actor }}{% endif %}"
                .to_owned()
                + "{% if origin.comment %}: {{ origin.comment }}{% endif %}",
            default_verdict: Verdict::UNDETERMINED,
            reopen: Reopen::Propagate,
            when_all_alerts_closed: false,
        }
    }
}

impl Policy {
    /// The place of a system in the order of precedence; lower goes first.
    pub fn rank(&self, system: &SystemName) -> usize {
        self.systems.iter().position(|s| s.name == *system).unwrap_or(usize::MAX)
    }

    /// Whether a system is one of the bridge's.
    pub fn has(&self, system: &SystemName) -> bool {
        self.systems.iter().any(|s| s.name == *system)
    }

    /// Whether a system is one of a natively synced pair.
    pub fn is_natively_synced(&self, system: &SystemName) -> bool {
        self.native_sync.as_ref().is_some_and(|pair| [&pair.writer, &pair.follower].contains(&system))
    }

    /// What stands for an incident in a system.
    pub fn main_kind(&self, system: &SystemName) -> RecordKind {
        self.systems.iter().find(|s| s.name == *system).map_or(RecordKind::Incident, |s| s.main)
    }

    /// The table of a system.
    pub fn translation(&self, system: &SystemName) -> Option<&Translation> {
        self.systems.iter().find(|s| s.name == *system).map(|s| &*s.translation)
    }

    /// Whether two native values of a record mean the same. What a service makes of a written value may be spelt
    /// otherwise (`unknown/unknown` comes back as no verdict).
    pub fn same(&self, record: &RecordRef, field: Field, a: &Native, b: &Native) -> bool {
        let Some(table) = self.translation(&record.system).filter(|_| a != b) else { return a == b };
        match (table.read(record.kind, field, a), table.read(record.kind, field, b)) {
            (Reading::Known(a), Reading::Known(b)) => a == b,
            _ => false,
        }
    }

    /// The direction of a field.
    pub fn direction(&self, field: Field) -> &Direction {
        self.fields.get(&field).unwrap_or(&Direction::Both)
    }
}

/// No system is known that keeps fewer characters of a text; who keeps fewer is a person.
const KEPT_AT_LEAST: usize = 20;

/// Whether a text is the beginning of another one, as it is where a system keeps less than was written, and says nothing.
pub fn is_beginning(kept: &Native, written: &Native) -> bool {
    let (Native::Text(kept), Native::Text(written)) = (kept, written) else { return false };
    let head = kept.trim_end_matches(['…', '.']).trim_end();
    let cut = head.len() < written.len() && written.starts_with(head);
    cut && head.chars().count() >= KEPT_AT_LEAST && written.contains(' ')
}

impl Direction {
    /// Whether edits made in this system travel.
    pub fn leaves(&self, system: &SystemName) -> bool {
        match self {
            Self::Both => true,
            Self::From(from) => from == system,
            Self::Off => false,
        }
    }

    /// Whether this system receives edits.
    pub fn reaches(&self, system: &SystemName) -> bool {
        match self {
            Self::Both => true,
            Self::From(from) => from != system,
            Self::Off => false,
        }
    }
}
