//! What the cases need to know of each ticket system.

use lockstep::emulator::{Api, System};

/// One ticket system of the suite.
pub(crate) struct Desk {
    /// Which emulator.
    pub(crate) system: System,
    /// Its API, for faults.
    pub(crate) api: Api,
    /// Lines of its `[[systems]]` table; `URL` stands for its root.
    pub(crate) settings: &'static str,
    /// Its lasting imperfections in these tests: what it does at worst, at a pace that a test can wait for.
    pub(crate) imperfections: &'static str,
    /// Operations that open a ticket, edit one, and comment on one.
    pub(crate) opening: &'static [&'static str],
    pub(crate) editing: &'static [&'static str],
    pub(crate) commenting: &'static [&'static str],
    /// The look-up by key.
    pub(crate) finding: &'static str,
    /// Whether it tells internal comments from those that customers read.
    pub(crate) has_internal_comments: bool,
    /// Whether it has a place for a closing note; else what people say at closing is a comment like any other.
    pub(crate) has_closing_note: bool,
    /// Writes that a close may take (a Jira workflow may want several transitions).
    pub(crate) close_writes: usize,
}

pub(crate) const SERVICENOW: Desk = Desk {
    system: System::ServiceNow,
    api: Api::ServiceNow,
    settings: "kind = \"servicenow\"\nurl = \"URL\"\n\
               credential = { kind = \"basic\", username = \"lockstep\", password = \"emulator-secret\" }",
    imperfections: "{}",
    opening: &["create-ticket"],
    editing: &["update-ticket"],
    commenting: &["comment-ticket"],
    finding: "find-ticket",
    has_internal_comments: true,
    has_closing_note: true,
    close_writes: 1,
};

pub(crate) const JIRA: Desk = Desk {
    system: System::Jira,
    api: Api::Jira,
    settings: "kind = \"jira\"\nurl = \"URL\"\nproject = \"SOC\"\nissue_type = \"Task\"\n\
               credential = { kind = \"basic\", username = \"lockstep\", password = \"emulator-secret\" }",
    imperfections: "{}",
    opening: &["create-ticket"],
    editing: &["update-ticket", "transition-ticket"],
    commenting: &["comment-ticket"],
    finding: "find-ticket",
    has_internal_comments: false,
    has_closing_note: false,
    close_writes: 2,
};

pub(crate) const REQUEST_TRACKER: Desk = Desk {
    system: System::RequestTracker,
    api: Api::RequestTracker,
    settings: "kind = \"request-tracker\"\nurl = \"URL\"\nqueue = \"SOC\"\nverdict_field = \"Verdict\"\n\
               closing_field = \"Closing Note\"\n\
               credential = { kind = \"token\", token = \"emulator-secret\" }",
    imperfections: "{}",
    opening: &["create-ticket"],
    editing: &["update-ticket"],
    commenting: &["comment-ticket"],
    finding: "find-ticket",
    has_internal_comments: true,
    has_closing_note: true,
    close_writes: 1,
};

pub(crate) const THEHIVE: Desk = Desk {
    system: System::TheHive,
    api: Api::TheHive,
    settings: "kind = \"thehive\"\nurl = \"URL\"\norganisation = \"soc\"\n\
               credential = { kind = \"token\", token = \"emulator-secret\" }",
    imperfections: "{}",
    opening: &["create-alert", "create-ticket"],
    editing: &["update-ticket"],
    commenting: &["comment-ticket"],
    finding: "find-ticket",
    has_internal_comments: true,
    has_closing_note: true,
    close_writes: 1,
};
