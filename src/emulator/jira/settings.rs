//! The lasting imperfections of the emulated Jira.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What can be switched. Defaults are the harder or the common reading.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[allow(clippy::struct_excessive_bools)] // independent switches
pub(super) struct Settings {
    /// `cloud` or `data-center`.
    pub(super) deployment: Deployment,
    /// Whether the project is one of Jira Service Management.
    pub(super) service_desk: bool,
    /// Whether the property that makes a comment internal is ignored.
    pub(super) ignore_internal: bool,
    /// Seconds until a search shows a write (`ticketing.md` 2.2); real ones take up to minutes.
    pub(super) index_lag: f64,
    /// The same for single issues, by id.
    pub(super) index_lag_of: BTreeMap<String, f64>,
    /// Data Center: every other search is answered by a node whose index lags behind by as much more.
    pub(super) node_lag: f64,
    /// Rows per page at most, whatever was asked for.
    pub(super) page_cap: usize,
    /// Comments that come with an issue in a search or a GET.
    pub(super) comments_inline: usize,
    /// The offset of the account's time zone from UTC, in hours.
    pub(super) zone_hours: i8,
    /// Whether every caller is a stranger, as after a token has expired.
    pub(super) anonymous: bool,
    /// Whether the service user does not see the projects any more.
    pub(super) project_lost: bool,
    /// How a search of Cloud says that it ends.
    pub(super) page_end: PageEnd,
    /// Which workflow the project has.
    pub(super) workflow: Workflow,
    /// Whether the closing transition has a screen (resolution and comment).
    pub(super) closing_screen: bool,
    /// Fields that this screen lacks, such as `resolution`.
    pub(super) off_closing_screen: Vec<String>,
    /// The resolution that a post function sets where there is no screen.
    pub(super) post_resolution: Option<String>,
    /// The resolutions of the site.
    pub(super) resolutions: Vec<String>,
    /// Further fields that the closing screen demands, such as `customfield_10051`.
    pub(super) required_on_close: Vec<String>,
    /// Fields that the metadata of transitions leave out.
    pub(super) hidden_fields: Vec<String>,
    /// Whether sub-tasks are open, which keeps issues from being closed.
    pub(super) blocked: Blocked,
    /// Whether a reopening clears the resolution.
    pub(super) reopen_clears_resolution: bool,
    /// Whether issues in a status of the category done refuse edits.
    pub(super) closed_readonly: bool,
    /// Fields that are on neither create nor edit screen.
    pub(super) locked_fields: Vec<String>,
    /// Whether every edit is refused in words that name no field.
    pub(super) refuse_edits: bool,
    /// Fields that the create screen demands.
    pub(super) required_on_create: Vec<String>,
    /// Whether an automation takes the labels off every new issue.
    pub(super) strip_labels: bool,
    /// Whether users hide their e-mail.
    pub(super) hide_emails: bool,
    /// Addresses that a second active account has, too: the administrator's account of the same person.
    pub(super) shared_emails: Vec<String>,
    /// What an automation does to issues that were just moved to Done.
    pub(super) automation: Automation,
    /// So many of the next writes collide (409).
    pub(super) conflicts: u32,
    /// Whether searches ignore their query and bring everything.
    pub(super) ignore_jql: bool,
    /// Whether writes to one issue are limited: 20 in 2 s, 100 in 30 s (`ticketing.md` 2.7).
    pub(super) per_issue_limit: bool,
    /// Which limit a 429 that a fault brings speaks of; without it none is named, as by the gateway and Data Center.
    pub(super) rate_limit_reason: Option<RateLimitReason>,
    /// Whether the account may change an issue's status.
    pub(super) may_transition: bool,
    /// Whether it may edit fields.
    pub(super) may_edit: bool,
    /// Whether it may comment.
    pub(super) may_comment: bool,
    /// Whether it may open issues.
    pub(super) may_create: bool,
}

impl Default for Settings {
    fn default() -> Self {
        let resolutions = [
            "Done",
            "Won't Do",
            "Duplicate",
            "Cannot Reproduce",
            "True Positive",
            "Benign Positive",
            "False Positive",
            "Undetermined",
        ];
        Self {
            deployment: Deployment::Cloud,
            service_desk: false,
            ignore_internal: false,
            index_lag: 0.1,
            index_lag_of: BTreeMap::new(),
            node_lag: 0.0,
            page_cap: 20,
            comments_inline: 20,
            zone_hours: 1,
            anonymous: false,
            project_lost: false,
            page_end: PageEnd::Stated,
            workflow: Workflow::Open,
            closing_screen: true,
            off_closing_screen: Vec::new(),
            post_resolution: None,
            resolutions: resolutions.map(str::to_owned).into(),
            required_on_close: Vec::new(),
            hidden_fields: Vec::new(),
            blocked: Blocked::Off,
            reopen_clears_resolution: false,
            closed_readonly: false,
            locked_fields: Vec::new(),
            refuse_edits: false,
            required_on_create: Vec::new(),
            strip_labels: false,
            hide_emails: false,
            shared_emails: Vec::new(),
            automation: Automation::Off,
            conflicts: 0,
            ignore_jql: false,
            per_issue_limit: true,
            rate_limit_reason: Some(RateLimitReason::JiraBurstBased),
            may_transition: true,
            may_edit: true,
            may_comment: true,
            may_create: true,
        }
    }
}

/// Which Jira it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Deployment {
    Cloud,
    DataCenter,
}

/// Which limit Cloud speaks of, as its header spells it (`ticketing.md` 2.7).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[allow(clippy::enum_variant_names)] // the header's own words
pub(super) enum RateLimitReason {
    JiraQuotaGlobalBased,
    JiraQuotaTenantBased,
    JiraBurstBased,
    JiraPerIssueOnWrite,
}

impl RateLimitReason {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::JiraQuotaGlobalBased => "jira-quota-global-based",
            Self::JiraQuotaTenantBased => "jira-quota-tenant-based",
            Self::JiraBurstBased => "jira-burst-based",
            Self::JiraPerIssueOnWrite => "jira-per-issue-on-write",
        }
    }
}

/// How a search of Cloud says that it ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum PageEnd {
    /// The last page says so, and has no token.
    Stated,
    /// No page has a token, and none says that it is the last.
    Unclear,
    /// No page has a token or a word.
    Silent,
    /// The last page says so, and has a token.
    Both,
}

/// Whether issues can be closed now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Blocked {
    /// They can.
    Off,
    /// A condition hides the transitions.
    NotOffered,
    /// A validator refuses them, and names no field.
    Refused,
}

/// The workflow of the project.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Workflow {
    /// Every status can be reached from every other.
    Open,
    /// To Do, In Progress, Done, one after the other, and back the same way.
    Steps,
}

/// What an automation does to issues that were just moved to Done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Automation {
    Off,
    /// It moves them on to Closed.
    Close,
    /// It moves them back to In Review.
    Back,
}
