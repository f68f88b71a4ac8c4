//! The lasting imperfections of the emulated ServiceNow, switched by `PATCH /control/servicenow/settings`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Which close codes an instance has (`ticketing.md` 1.4).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum CodeSet {
    /// Those of Utah and later.
    #[default]
    Recent,
    /// Those before.
    Older,
}

/// How a security incident may move between states (`ticketing.md` 1.5).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Process {
    /// Forward only, one step at a time.
    #[default]
    Stateful,
    /// The same, but a jump is taken back without a word.
    Undone,
    /// Any way.
    Open,
}

/// What an instance answers a user who lost the role that reads tickets. The user directory and the choices stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum LostRole {
    /// Access rules hide every row, which is counted all the same; a record is a 404, a write a 403.
    Hidden,
    /// A rule before each query leaves no row, and none is counted; a record is a 404, a write a 403.
    Filtered,
    /// Rows and records come without fields; a write is a 403.
    Bare,
    /// 403 for everything.
    Refused,
    /// 400, as if there were no such table.
    NoTable,
}

/// What answers in the place of the instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Front {
    /// A redirect to the log-in page of a single sign-on.
    SignOn,
    /// The log-in page itself, with the status of success.
    LogInPage,
    /// The page of an instance that was put to rest, with the status of success.
    Hibernating,
    /// The same, with a 404.
    HibernatingNotFound,
}

/// See the head of the room for what each member does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
// Independent switches, not states of one thing.
#[allow(clippy::struct_excessive_bools)]
pub(super) struct Settings {
    /// The table that people open tickets in.
    pub(super) table: String,
    /// Whether the instance does not know its caller any more.
    pub(super) anonymous: bool,
    /// What the service user lost.
    pub(super) lost_role: Option<LostRole>,
    /// What answers in the place of the instance.
    pub(super) front: Option<Front>,
    /// Rows after which each list is cut off by an error, which stands behind them in the body of a 200.
    pub(super) cut_lists: Option<usize>,
    /// Whether lists bear `X-Total-Count` and `Link`.
    pub(super) page_headers: bool,
    /// Fields that a rule refuses to have changed by the service user, with all that comes with them.
    pub(super) refused_fields: Vec<String>,
    /// Whether such a refusal names the field.
    pub(super) refusals_name_fields: bool,
    /// What stands in the way of a close, in the words of the rule that refuses it; nothing if it is empty.
    pub(super) blocked_close: String,
    /// What a rule sets at each close, whatever was sent.
    pub(super) rewritten_on_close: BTreeMap<String, String>,
    /// Whether close code and notes are cleared when a ticket is reopened; else they stay.
    pub(super) cleared_on_reopen: bool,
    /// Whether a bad part of a query finds nothing, instead of being dropped.
    pub(super) strict_queries: bool,
    /// Most rows of a page, whatever was asked for.
    pub(super) page_cap: Option<usize>,
    /// Whether closing without code and notes is refused.
    pub(super) data_policy: bool,
    /// Further fields that a close demands.
    pub(super) mandatory_on_close: Vec<String>,
    /// Fields that the service user may not write: dropped without a word.
    pub(super) readonly_fields: Vec<String>,
    /// Fields that the service user may not read: not in any answer.
    pub(super) hidden_fields: Vec<String>,
    /// Tables that the service user may not read: their rows are counted and not shown.
    pub(super) hidden_tables: Vec<String>,
    /// Fields of the customer's own.
    pub(super) custom_fields: Vec<String>,
    /// A field with a unique index.
    pub(super) unique_field: Option<String>,
    /// The close codes there are.
    pub(super) codes: CodeSet,
    /// Whether On Hold demands its reason (the state model since Geneva); the older one has states for it.
    pub(super) hold_reason: bool,
    /// How security incidents move.
    pub(super) process: Process,
    /// Days until a resolved incident closes by itself; 0 for never.
    pub(super) autoclose_days: f64,
    /// Whether that is counted from the last update instead of the resolution.
    pub(super) autoclose_by_update: bool,
    /// Seconds by which people's changes carry an earlier time than when they can first be seen.
    pub(super) commit_lag: f64,
    /// So many of the next writes are cut off after 60 s, and carried out later.
    pub(super) late_writes: u32,
    /// How much later, in seconds.
    pub(super) late_seconds: f64,
    /// Requests per hour that the rate rule allows.
    pub(super) rate_per_hour: Option<u32>,
    /// Whether the client credentials grant is enabled.
    pub(super) client_credentials: bool,
    /// Seconds an access token is good for.
    pub(super) token_lifetime: f64,
    /// Hours that display values are off UTC, as in the user's time zone.
    pub(super) display_offset_hours: f64,
    /// Mail domains whose accounts the user directory has.
    pub(super) directory: Vec<String>,
    /// Accounts of those domains that it does not have.
    pub(super) strangers: Vec<String>,
    /// Addresses that a second active account has, too: the administrator's account of the same person.
    pub(super) shared_emails: Vec<String>,
    /// Whether people write journal entries in an editor for HTML (`glide.ui.journal.use_html`): what they say arrives
    /// as markup between `[code]` and `[/code]`.
    pub(super) use_html: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            table: "incident".to_owned(),
            anonymous: false,
            lost_role: None,
            front: None,
            cut_lists: None,
            page_headers: true,
            refused_fields: Vec::new(),
            refusals_name_fields: true,
            blocked_close: String::new(),
            rewritten_on_close: BTreeMap::new(),
            cleared_on_reopen: false,
            strict_queries: false,
            page_cap: None,
            data_policy: true,
            mandatory_on_close: Vec::new(),
            readonly_fields: Vec::new(),
            hidden_fields: Vec::new(),
            hidden_tables: Vec::new(),
            custom_fields: Vec::new(),
            unique_field: None,
            codes: CodeSet::Recent,
            hold_reason: true,
            process: Process::Stateful,
            autoclose_days: 7.0,
            autoclose_by_update: false,
            commit_lag: 0.0,
            late_writes: 0,
            late_seconds: 60.0,
            rate_per_hour: None,
            client_credentials: false,
            token_lifetime: 1799.0,
            display_offset_hours: -8.0,
            directory: vec!["example.org".to_owned()],
            strangers: vec!["stranger@example.org".to_owned()],
            shared_emails: Vec::new(),
            use_html: false,
        }
    }
}

impl Settings {
    /// Whether the user directory has an account.
    pub(super) fn has_account(&self, mail: &str) -> bool {
        let domain = mail.rsplit_once('@').map(|(_, domain)| domain.to_ascii_lowercase());
        domain.is_some_and(|domain| self.directory.contains(&domain))
            && !self.strangers.iter().any(|stranger| stranger.eq_ignore_ascii_case(mail))
    }
}
