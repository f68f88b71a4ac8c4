//! What an operator says of one Jira.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Map, Value};
use url::Url;

use crate::connectors::TicketSystem;

/// Settings of one Jira.
#[derive(Debug, Clone)]
pub struct JiraSettings {
    /// What all ticket systems have.
    pub system: TicketSystem,
    /// Cloud or Data Center: their APIs differ in version, text format and user names.
    pub deployment: Deployment,
    /// The key of the project in which issues are opened.
    pub project: String,
    /// The name of the issue type.
    pub issue_type: String,
    /// Which issues are watched.
    pub scope: Scope,
    /// Whether the project is one of Jira Service Management, where comments are for the customer unless they say
    /// otherwise (`ticketing.md` 2.6).
    pub service_desk: bool,
    /// Whether severity is carried in the priority.
    pub priority: bool,
    /// The id of a select field with the verdict (`customfield_10050`); else the resolution is the verdict.
    pub verdict_field: Option<String>,
    /// The resolution of a close whose own is not allowed; else the first that is.
    pub default_resolution: Option<String>,
    /// The status to prefer where several of a category (`new`, `indeterminate`, `done`) can be reached.
    pub statuses: BTreeMap<String, String>,
    /// Further fields of a new issue, as the API wants them.
    pub create_fields: Map<String, Value>,
    /// Fields that go with a close, where the transition's screen has them.
    pub close_fields: Map<String, Value>,
    /// The site as people open it; else it is the API's address.
    pub site_url: Option<Url>,
    /// The OAuth 2 token endpoint.
    pub token_url: Url,
}

impl JiraSettings {
    /// 5 minutes: a new issue may be missing in a search for as long (`ticketing.md` 2.2).
    pub const DEFAULT_SETTLE: Duration = Duration::from_mins(5);
    /// 5 minutes, for the same reason.
    pub const DEFAULT_OVERLAP: Duration = Duration::from_mins(5);
    /// Atlassian's own token endpoint.
    pub const DEFAULT_TOKEN_URL: &'static str = "https://auth.atlassian.com/oauth/token";

    /// The fields of an issue that lockstep asks for; searches give none that are not asked for (`ticketing.md` 2.2).
    pub(super) fn fields(&self) -> Vec<&str> {
        let fixed = [
            "summary",
            "status",
            "resolution",
            "priority",
            "assignee",
            "labels",
            "created",
            "updated",
            "comment",
            "project",
        ];
        fixed.into_iter().chain(self.verdict_field.as_deref()).collect()
    }
}

/// Which Jira it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Deployment {
    /// Jira Cloud: REST API version 3.
    #[default]
    Cloud,
    /// Jira Data Center (or Server): REST API version 2.
    DataCenter,
}

impl Deployment {
    pub(super) fn version(self) -> &'static str {
        match self {
            Self::Cloud => "3",
            Self::DataCenter => "2",
        }
    }
}

/// Which issues are watched.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Scope {
    /// All of the project, and those with lockstep's label elsewhere: who takes the label off loses nothing.
    #[default]
    Project,
    /// Only those with lockstep's label, for projects with much else in them.
    Labelled,
}
