//! Records, their journal, users and close codes.

use std::collections::BTreeMap;

use jiff::Timestamp;
use uuid::Uuid;

use super::settings::CodeSet;

/// Columns of both tables that the emulator knows; others do not exist.
pub(super) const COLUMNS: [&str; 34] = [
    "sys_id",
    "number",
    "state",
    "incident_state",
    "active",
    "impact",
    "urgency",
    "priority",
    "short_description",
    "description",
    "assigned_to",
    "assignment_group",
    "caller_id",
    "opened_by",
    "category",
    "subcategory",
    "close_code",
    "close_notes",
    "hold_reason",
    "correlation_id",
    "correlation_display",
    "resolved_at",
    "resolved_by",
    "closed_at",
    "closed_by",
    "reopen_count",
    "contact_type",
    "work_notes",
    "comments",
    "sys_created_on",
    "sys_created_by",
    "sys_updated_on",
    "sys_updated_by",
    "sys_mod_count",
];

/// Columns that nobody writes directly.
pub(super) const COMPUTED: [&str; 14] = [
    "sys_id",
    "number",
    "active",
    "priority",
    "incident_state",
    "resolved_at",
    "resolved_by",
    "closed_at",
    "closed_by",
    "reopen_count",
    "sys_created_on",
    "sys_created_by",
    "sys_updated_on",
    "sys_updated_by",
];

/// What a change of which is not told in the ledger.
pub(super) const BOOKKEEPING: [&str; 14] = [
    "sys_updated_on",
    "sys_updated_by",
    "sys_mod_count",
    "active",
    "priority",
    "incident_state",
    "resolved_at",
    "resolved_by",
    "closed_at",
    "closed_by",
    "reopen_count",
    "opened_by",
    "number",
    "sys_created_on",
];

/// One entry of a record's journal.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) sys_id: String,
    /// `work_notes` or `comments`.
    pub(super) element: String,
    pub(super) text: String,
    pub(super) at: Timestamp,
    pub(super) by: String,
}

/// One ticket. Every value is a text.
#[derive(Debug, Clone)]
pub(super) struct Record {
    pub(super) table: String,
    pub(super) fields: BTreeMap<String, String>,
    pub(super) journal: Vec<Entry>,
    /// Whether access rules hide it from the service user.
    pub(super) hidden: bool,
}

impl Record {
    pub(super) fn get(&self, field: &str) -> &str {
        self.fields.get(field).map_or("", String::as_str)
    }

    pub(super) fn set(&mut self, field: &str, value: impl Into<String>) {
        self.fields.insert(field.to_owned(), value.into());
    }

    pub(super) fn is_incident(&self) -> bool {
        self.table == "incident"
    }

    /// Resolved, closed or canceled.
    pub(super) fn is_closed(&self) -> bool {
        is_closed(&self.table, self.get("state"))
    }
}

pub(super) fn is_closed(table: &str, state: &str) -> bool {
    if table == "incident" { matches!(state, "6" | "7" | "8") } else { matches!(state, "3" | "7") }
}

/// The steps of a security incident.
pub(super) const STEPS: [&str; 7] = ["10", "16", "18", "19", "20", "100", "3"];

/// A time as ServiceNow states it.
pub(super) fn stamp(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%S").to_string()
}

/// A made-up `sys_id` that is the same in every run.
pub(super) fn sys_id(what: &str) -> String {
    Uuid::new_v5(&Uuid::NAMESPACE_OID, what.as_bytes()).simple().to_string()
}

/// The priority that the base system looks up by impact and urgency.
pub(super) fn priority(impact: &str, urgency: &str) -> &'static str {
    match (impact, urgency) {
        ("1", "1") => "1",
        ("1", "2") | ("2", "1") => "2",
        ("1", "3") | ("2", "2") | ("3", "1") => "3",
        ("2", "3") | ("3", "2") => "4",
        _ => "5",
    }
}

/// Close codes of a table: value, label, and the common word for what it means.
pub(super) fn codes(table: &str, set: CodeSet) -> &'static [(&'static str, &'static str, &'static str)] {
    match (table, set) {
        ("incident", CodeSet::Recent) => &[
            ("Solution provided", "Solution provided", "true-positive"),
            ("Workaround provided", "Workaround provided", "true-positive"),
            ("Resolved by change", "Resolved by change", "true-positive"),
            ("Resolved by problem", "Resolved by problem", "true-positive"),
            ("Resolved by request", "Resolved by request", "true-positive"),
            ("Resolved by caller", "Resolved by caller", "benign-positive"),
            ("User error", "User error", "benign-positive"),
            ("Known error", "Known error", "false-positive"),
            ("No resolution provided", "No resolution provided", "undetermined"),
            ("Duplicate", "Duplicate", "undetermined"),
        ],
        ("incident", CodeSet::Older) => &[
            ("Solved (Permanently)", "Solved (Permanently)", "true-positive"),
            ("Solved (Work Around)", "Solved (Work Around)", "true-positive"),
            ("Closed/Resolved by Caller", "Closed/Resolved by Caller", "benign-positive"),
            ("Not Solved (Not Reproducible)", "Not Solved (Not Reproducible)", "false-positive"),
            ("Not Solved (Too Costly)", "Not Solved (Too Costly)", "undetermined"),
        ],
        // Numbers, as a published sample of security incidents shows them (`ticketing.md` 1.5).
        _ => &[
            ("101", "Investigation completed", "benign-positive"),
            ("102", "Threat mitigated", "true-positive"),
            ("103", "Patched vulnerability", "true-positive"),
            ("104", "Invalid vulnerability", "false-positive"),
            ("105", "Not resolved", "undetermined"),
            ("106", "False positive", "false-positive"),
        ],
    }
}
