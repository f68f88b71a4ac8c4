//! How the services behave, one entry for each kind (the reference file of each system tells why).

use crate::model::RecordKind;

/// How a service tells of comments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Telling {
    /// All of them come with the record.
    Listed,
    /// Their number comes with the record.
    Counted,
    /// A list brings those that were written since it begins.
    Recent,
    /// Only a read of them tells.
    Untold,
}

/// How a service behaves.
#[derive(Debug, Clone, Copy)]
#[allow(clippy::struct_excessive_bools)] // each is a habit of its own, and all combinations exist
pub(crate) struct Habits {
    /// What stands for an incident.
    pub(crate) main: RecordKind,
    /// Whether a write is refused if the record moved since it was read.
    pub(crate) guarded: bool,
    /// How often times tick a second, where that is seldom enough for changes to share one.
    pub(crate) ticks: Option<i64>,
    /// Whether a revision tells how often the record was changed.
    pub(crate) counts: bool,
    /// How it tells of comments.
    pub(crate) comments: Telling,
    /// Whether comments bear ids of the client's choice.
    pub(crate) chosen_comment_ids: bool,
    /// Whether a second record under the same name cannot be created.
    pub(crate) unique_names: bool,
    /// Whether its incidents have alerts, and are merged by the service.
    pub(crate) has_alerts: bool,
    /// Whether a close without verdict is refused.
    pub(crate) wants_verdict: bool,
    /// Whether the answer to a comment brings the record.
    pub(crate) answers_comments: bool,
}

const TICKET: Habits = Habits {
    main: RecordKind::Ticket,
    guarded: false,
    ticks: None,
    counts: false,
    comments: Telling::Recent,
    chosen_comment_ids: false,
    unique_names: false,
    has_alerts: false,
    wants_verdict: false,
    answers_comments: false,
};

impl Habits {
    /// Those of a kind of system, by the name of its table.
    pub(crate) fn of(kind: &str) -> Self {
        match kind {
            "defender" => Self {
                main: RecordKind::Incident,
                // SQL datetime (`graph-security.md` 2.3).
                ticks: Some(300),
                comments: Telling::Listed,
                has_alerts: true,
                answers_comments: true,
                ..TICKET
            },
            "sentinel" => Self {
                main: RecordKind::Incident,
                guarded: true,
                comments: Telling::Counted,
                chosen_comment_ids: true,
                unique_names: true,
                wants_verdict: true,
                ..TICKET
            },
            "jira" => Self { ticks: Some(1000), comments: Telling::Untold, ..TICKET },
            "request-tracker" | "rtir" => Self { ticks: Some(1), counts: true, ..TICKET },
            "thehive" => Self { ticks: Some(1000), unique_names: true, ..TICKET },
            "sidecar" => Self {
                guarded: true,
                comments: Telling::Counted,
                chosen_comment_ids: true,
                unique_names: true,
                ..TICKET
            },
            "servicenow" | "servicenow-sir" => {
                Self { ticks: Some(1), counts: true, wants_verdict: true, ..TICKET }
            }
            _ => TICKET,
        }
    }
}
