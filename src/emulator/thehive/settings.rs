//! What is switched on and off. The defaults are the harder reading of what is not published, or the common one.

use serde::{Deserialize, Serialize};

/// Lasting imperfections.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[allow(clippy::struct_excessive_bools, reason = "independent switches, not states of one thing")]
pub(super) struct Settings {
    /// The one organisation; another name in `X-Organisation` is refused.
    pub(super) organisation: String,
    /// Seconds until a change shows in lists. Objects named by id are shown as they are.
    pub(super) index_lag: f64,
    /// Whether a comment moves `_updatedAt` of its case (not published).
    pub(super) comment_moves_case: bool,
    /// Whether listed comments name their case in `extraData.links` (named in the documentation, form not published).
    pub(super) comment_links: bool,
    /// Whether an alert that has a case can be promoted again, as in older versions.
    pub(super) promotes_twice: bool,
    /// Whether two alerts with one name can come about, as in two truly parallel requests.
    pub(super) duplicate_alerts: bool,
    /// Whether cases lose the tags of lockstep when they are made, as a careless function would do it.
    pub(super) drops_key: bool,
    /// Custom fields without which a case cannot be closed.
    pub(super) mandatory_fields: Vec<String>,
    /// Whether the service user may reopen cases (`manageCase/reopen`).
    pub(super) may_reopen: bool,
    /// Whether an assignee can be taken off.
    pub(super) can_unassign: bool,
    /// Whether filters are ignored, so that lists show everything.
    pub(super) ignores_filters: bool,
    /// Accounts of this domain exist; all others do not.
    pub(super) accounts_at: String,
    /// The most rows of a page, whatever is asked for.
    pub(super) page_cap: usize,
    /// Whether the service user is not known any more: every call is answered 401.
    pub(super) anonymous: bool,
    /// The organisation in which the service user acts where `X-Organisation` names none. In another one than
    /// `organisation` it sees nothing: lists are empty, and a case is not there.
    pub(super) acts_in: String,
    /// Whether the index shows nothing, as while it is rebuilt. Objects named by id are shown.
    pub(super) index_empty: bool,
    /// Permissions that the service user lacks, of `manageCase/update` and `manageComment`.
    pub(super) lacks: Vec<String>,
    /// Members of a change that are refused, whatever their value.
    pub(super) refuses: Vec<String>,
    /// Whether a refusal names the member that it is about.
    pub(super) names_refused: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            organisation: "soc".to_owned(),
            index_lag: 0.1,
            comment_moves_case: false,
            comment_links: true,
            promotes_twice: true,
            duplicate_alerts: false,
            drops_key: false,
            mandatory_fields: Vec::new(),
            may_reopen: true,
            can_unassign: true,
            ignores_filters: false,
            accounts_at: "example.org".to_owned(),
            page_cap: 100_000,
            anonymous: false,
            acts_in: "soc".to_owned(),
            index_empty: false,
            lacks: Vec::new(),
            refuses: Vec::new(),
            names_refused: true,
        }
    }
}
