//! Jira, Cloud and Data Center: the issues that lockstep opens in one project (`ticketing.md` 2).
//!
//! - `snapshot` reads an issue, `adf` and `wiki` are the two forms of its texts, `jql` the queries;
//! - `list` watches and finds, `create`, `update` and `transition` write, `users` knows who is meant by an e-mail;
//! - `sound` judges every answer, `refusal` reads what Jira says when it refuses;
//! - `hint` reads webhooks, `probe` tells what is wrong with the set-up.

mod adf;
mod comment;
mod create;
mod filling;
mod hint;
mod jql;
mod list;
mod permission;
mod probe;
mod refusal;
mod settings;
mod snapshot;
mod sound;
mod transition;
mod update;
mod users;
mod wiki;
mod wire;

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod against_emulator_tests;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod arbitrary_tests;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod belief_tests;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod sound_tests;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use serde_json::Value;
use url::Url;

use super::endpoint::{Endpoint, Parts};
use super::{ConnectError, Connector, Depth, Hook, HookProof, Opening, Page, PageToken, Probe, Written};
use crate::http::{Budget, Budgets, Call, CallError, CallObserver, Http, RequestIds, Scheme};
use crate::model::{CommentKey, Comments, Patch, RecordId, RecordKind, RecordRef, Snapshot, SystemName};

use create::Keys;
pub use settings::{Deployment, JiraSettings, Scope};
use users::Users;

/// The label of every issue that lockstep opens, and the name of the property with the key.
const MARK: &str = "lockstep";

/// Half of what Cloud publishes per second and method (`ticketing.md` 2.7), since others use the site, too.
const BUDGETS: &[Budget] = &[
    Budget { class: "jira-get", per: Duration::from_secs(1), amount: 25, burst: 25 },
    Budget { class: "jira-post", per: Duration::from_secs(1), amount: 25, burst: 25 },
    Budget { class: "jira-put", per: Duration::from_secs(1), amount: 12, burst: 13 },
];

/// The connector to one Jira.
#[derive(Debug)]
pub struct Jira {
    endpoint: Endpoint,
    settings: JiraSettings,
    keys: Keys,
    users: Users,
}

impl Jira {
    /// Makes the connector. Sends nothing yet.
    pub fn new(
        settings: &JiraSettings,
        http: &Http,
        observer: Option<Arc<dyn CallObserver>>,
    ) -> Result<Self, ConnectError> {
        let system = &settings.system;
        let tokens = system.login.tokens(Scheme::Bearer, &settings.token_url, http);
        let parts = Parts {
            system: &system.name,
            base: &system.url,
            example: "https://example.atlassian.net",
            budgets: Budgets::new(BUDGETS, system.budget_factor),
            ids: RequestIds::GRAPH,
            sound: Box::new(sound::Answers {
                deployment: settings.deployment,
                project: settings.project.clone(),
            }),
        };
        let endpoint = Endpoint::new(parts, tokens, http, observer)?;
        Ok(Self { endpoint, settings: settings.clone(), keys: Keys::default(), users: Users::default() })
    }

    /// An address below the REST API of the deployment's version.
    fn url(&self, operation: &'static str, below: &[&str], query: &[(&str, &str)]) -> Result<Url, CallError> {
        let mut path = vec!["rest", "api", self.settings.deployment.version()];
        path.extend(below);
        self.endpoint.url(operation, &path, query)
    }

    /// The numeric id of a ticket of this system; anything else never gets into an address.
    fn id<'a>(&self, operation: &'static str, record: &'a RecordRef) -> Result<&'a str, CallError> {
        let id = record.id.as_str();
        if record.kind == RecordKind::Ticket && id.bytes().all(|b| b.is_ascii_digit()) {
            return Ok(id);
        }
        Err(self.endpoint.invalid(operation, format!("{record}: Jira's tickets have numeric ids")))
    }

    /// One GET of the issue, with its comments as far as they come along.
    async fn get(&self, record: &RecordRef) -> Result<Snapshot, CallError> {
        let operation = sound::READ;
        let id = self.id(operation, record)?;
        let me = self.me().await?;
        let fields = self.settings.fields().join(",");
        let url = self.url(operation, &["issue", id], &[("fields", &fields), ("properties", MARK)])?;
        let answer = self.endpoint.send(Call::get(operation, "jira-get", url)).await?;
        let bad = |what: String| self.endpoint.malformed(operation, &answer, format!("{record}: {what}"));
        self.snapshot(me, &answer.body, true).map_err(bad)
    }

    /// The record with all its comments: one call, or more where they do not all come along.
    async fn get_with_comments(&self, record: &RecordRef) -> Result<Snapshot, CallError> {
        let mut read = self.get(record).await?;
        if !matches!(read.comments, Comments::Listed(_)) {
            read.comments = Comments::Listed(self.comments(&read.record).await?);
        }
        Ok(read)
    }

    fn snapshot(&self, me: &str, json: &Value, fresh: bool) -> Result<Snapshot, String> {
        snapshot::issue(&self.settings, Some(me), json, fresh)
    }

    /// The ticket with this id.
    fn ticket(&self, id: &str) -> Result<RecordRef, String> {
        let id = RecordId::new(id).map_err(|e| e.to_string())?;
        Ok(RecordRef::ticket(self.system(), id))
    }
}

#[async_trait]
impl Connector for Jira {
    fn system(&self) -> &SystemName {
        &self.endpoint.system
    }

    fn collections(&self) -> &[RecordKind] {
        &[RecordKind::Ticket]
    }

    fn settle_time(&self) -> Duration {
        self.settings.system.settle
    }

    fn overlap(&self) -> Duration {
        self.settings.system.overlap
    }

    async fn list(
        &self,
        kind: RecordKind,
        since: Timestamp,
        page: Option<&PageToken>,
    ) -> Result<Page, CallError> {
        if kind != RecordKind::Ticket {
            return Err(self.endpoint.invalid("tickets.list", "Jira keeps tickets only".to_owned()));
        }
        self.changes(since, page).await
    }

    async fn read(&self, record: &RecordRef, depth: Depth) -> Result<Snapshot, CallError> {
        match depth {
            Depth::Comments => self.get_with_comments(record).await,
            Depth::Record | Depth::Links => self.get(record).await,
        }
    }

    async fn update(&self, current: &Snapshot, patch: &Patch) -> Result<Written, CallError> {
        self.write(current, patch).await
    }

    async fn find(&self, planned: &RecordRef, depth: Depth) -> Result<Option<Snapshot>, CallError> {
        if let Some(known) = self.keys.known(planned.id.as_str()) {
            // Read by its id, since a search may not show it yet.
            match self.read(&known, depth).await {
                Err(CallError::Gone { .. }) => self.keys.forget(planned.id.as_str()),
                read => return read.map(Some),
            }
        }
        let Some(found) = self.find_by_key(planned).await? else { return Ok(None) };
        let read = self.read(&found, depth).await?;
        if read.planned_as.as_ref() != Some(planned) {
            // The index lags, or the search spoke of another issue.
            let what = format!("{planned}: the search for the key brought {found}, which does not bear it");
            let site = Box::new(self.endpoint.site(list::FIND, None));
            return Err(CallError::Malformed { site, status: 200, message: what, too_large: false });
        }
        Ok(Some(read))
    }

    async fn create(&self, planned: &RecordRef, opening: &Opening) -> Result<Written, CallError> {
        self.open(planned, opening).await
    }

    fn hook(&self) -> Option<Hook> {
        let secret = self.settings.system.hook.clone()?;
        Some(Hook {
            proof: HookProof::Hmac("x-hub-signature"),
            secret,
            records: hint::records,
            delivery_id: Some("x-atlassian-webhook-identifier"),
        })
    }

    async fn comment(&self, current: &Snapshot, key: &CommentKey, text: &str) -> Result<Written, CallError> {
        self.add_comment(current, key, text).await
    }

    async fn probe(&self) -> Vec<Probe> {
        self.probes().await
    }

    fn budgets(&self) -> Option<&Budgets> {
        Some(self.endpoint.budgets())
    }
}
