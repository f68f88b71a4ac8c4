//! The two tables and what differs between them.

/// The table whose records are the tickets.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Table {
    /// `incident`.
    #[default]
    Incident,
    /// `sn_si_incident`, Security Incident Response.
    SecurityIncident,
}

/// How a security incident goes on, step by step: Draft, Analysis, Contain, Eradicate, Recover, Review, Closed
/// (`ticketing.md` 1.5).
const FORWARD: [&str; 7] = ["10", "16", "18", "19", "20", "100", "3"];

impl Table {
    /// The table's name in the API.
    pub fn name(self) -> &'static str {
        match self {
            Self::Incident => "incident",
            Self::SecurityIncident => "sn_si_incident",
        }
    }

    /// The name of the translation table that comes with the program.
    pub fn translation(self) -> &'static str {
        match self {
            Self::Incident => "servicenow",
            Self::SecurityIncident => "servicenow-sir",
        }
    }

    /// Whether a ticket in this state is done: Resolved, Closed or Canceled; Closed or Cancelled.
    pub(super) fn is_closed(self, state: &str) -> bool {
        match self {
            Self::Incident => matches!(state, "6" | "7" | "8"),
            Self::SecurityIncident => matches!(state, "3" | "7"),
        }
    }

    /// The state in which a ticket cannot be reopened any more (`ticketing.md` 1.4).
    pub(super) fn is_final(self, state: &str) -> bool {
        self == Self::Incident && state == "7"
    }

    /// The states between two, where the process only goes forward one step at a time. Empty where there are none.
    pub(super) fn steps(self, from: &str, to: &str) -> &'static [&'static str] {
        let at = |state: &str| FORWARD.iter().position(|s| *s == state);
        match (self, at(from), at(to)) {
            (Self::SecurityIncident, Some(from), Some(to)) if from < to => &FORWARD[from + 1..=to],
            _ => &[],
        }
    }

    /// Codes that say the same on instances with the other set of labels (`ticketing.md` 1.4).
    pub(super) fn alternatives(self, label: &str) -> &'static [&'static str] {
        match (self, label) {
            (Self::Incident, "Solution provided") => &["Solved (Permanently)"],
            (Self::Incident, "Resolved by caller") => &["Closed/Resolved by Caller"],
            (Self::Incident, "Known error") => &["Not Solved (Not Reproducible)"],
            (Self::Incident, "No resolution provided") => &["Not Solved (Too Costly)"],
            _ => &[],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn security_incidents_go_forward_only() {
        let sir = Table::SecurityIncident;
        assert_eq!(sir.steps("20", "3"), ["100", "3"]);
        assert_eq!(sir.steps("3", "16"), [""; 0]);
        assert_eq!(sir.steps("7", "3"), [""; 0]);
        assert_eq!(Table::Incident.steps("10", "3"), [""; 0]);
    }
}
