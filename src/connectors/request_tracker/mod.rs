//! Request Tracker 5 over REST 2.0: the tickets of one queue (`ticketing.md` 3, `real-servers.md` 1).
//!
//! What is peculiar about it: writes answer 200 with sentences even where they were refused, so each is read back;
//! dates in searches are read in the service user's own time zone, which therefore must be UTC and is checked; lists
//! follow the feed of transactions, which also shows merges and deletions that the ticket search hides.

mod comments;
mod feed;
mod hint;
mod key;
mod people;
mod probe;
mod reaction;
mod sight;
mod snapshot;
mod sound;
mod write;
mod zone;

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod against_emulator_tests;
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
use super::hinting::shared_hook;
use super::{ConnectError, Connector, Depth, Hook, Opening, Page, PageToken, Probe, TicketSystem, Written};
use crate::http::{Answer, Budgets, Call, CallError, CallObserver, Http, Login, RequestIds, Scheme};
use crate::model::{CommentKey, Comments, Lifecycle, Patch, RecordKind, RecordRef, Snapshot, SystemName};

/// Budget class of all calls; Request Tracker has no limits (`ticketing.md` 3).
const CLASS: &str = "request-tracker";
/// Rows per page; the service gives no more (`ticketing.md` 3).
const PER_PAGE: &str = "100";
/// What is asked for beside the default members: an owner's e-mail address, so that no call per person is needed.
const OWNER: [(&str, &str); 1] = [("fields[Owner]", "Name,EmailAddress")];

/// Settings of one Request Tracker queue.
#[derive(Debug, Clone)]
pub struct RequestTrackerSettings {
    /// What all ticket systems have.
    pub system: TicketSystem,
    /// The queue by name: where tickets are opened, and whose tickets are listed.
    pub queue: String,
    /// The custom field that carries lockstep's key, by name.
    pub key_field: String,
    /// The custom field that carries the verdict, if there is one.
    pub verdict_field: Option<String>,
    /// The custom field that carries the note given at closing, if there is one.
    pub closing_field: Option<String>,
    /// Whether the priority carries the severity.
    pub severity: bool,
    /// The life that tickets of the queue lead.
    pub lifecycle: Lifecycles,
}

/// Which statuses the tickets of a queue have.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Lifecycles {
    /// Those that come with Request Tracker, and those of RTIR's incident reports.
    #[default]
    Default,
    /// Those of RTIR's incidents and investigations, which know no new ticket.
    Rtir,
}

impl RequestTrackerSettings {
    /// The key field's name where none is configured.
    pub const DEFAULT_KEY_FIELD: &'static str = "Lockstep Key";

    /// The name of the translation table that comes with the program.
    pub fn table(&self) -> &'static str {
        match self.lifecycle {
            Lifecycles::Default => "request-tracker",
            Lifecycles::Rtir => "rtir",
        }
    }
}

/// The connector to one Request Tracker queue.
#[derive(Debug)]
pub struct RequestTracker {
    endpoint: Endpoint,
    settings: RequestTrackerSettings,
    zone: zone::Checked,
    key: key::State,
    known: comments::Known,
    sight: sight::Sight,
    reactions: reaction::Reactions,
}

impl RequestTracker {
    /// Makes the connector. Sends nothing yet.
    pub fn new(
        settings: &RequestTrackerSettings,
        http: &Http,
        observer: Option<Arc<dyn CallObserver>>,
    ) -> Result<Self, ConnectError> {
        let system = &settings.system;
        let tokens = system.login.tokens(Scheme::Token, &system.url, http);
        let parts = Parts {
            system: &system.name,
            base: &system.url,
            example: "https://rt.example.org",
            budgets: Budgets::unlimited(),
            ids: RequestIds::GRAPH,
            sound: Box::new(sound::Answers),
        };
        let reactions = reaction::Reactions::default();
        if let Login::Basic { username, .. } = &system.login {
            reactions.set_account(username, true);
        }
        Ok(Self {
            endpoint: Endpoint::new(parts, tokens, http, observer)?,
            settings: settings.clone(),
            zone: zone::Checked::default(),
            key: key::State::default(),
            known: comments::Known::default(),
            sight: sight::Sight::default(),
            reactions,
        })
    }

    /// An address below `/REST/2.0`.
    fn url(&self, operation: &'static str, below: &[&str], query: &[(&str, &str)]) -> Result<Url, CallError> {
        let path: Vec<&str> = ["REST", "2.0"].into_iter().chain(below.iter().copied()).collect();
        self.endpoint.url(operation, &path, query)
    }

    /// A GET.
    async fn ask(
        &self,
        operation: &'static str,
        below: &[&str],
        query: &[(&str, &str)],
    ) -> Result<Answer, CallError> {
        let url = self.url(operation, below, query)?;
        self.endpoint.send(Call::get(operation, CLASS, url)).await
    }

    /// The `items` of a list's answer.
    fn items<'a>(&self, operation: &'static str, answer: &'a Answer) -> Result<&'a [Value], CallError> {
        answer.body["items"].as_array().map(Vec::as_slice).ok_or_else(|| {
            let what = "the list has no `items`; is the address Request Tracker's root?".to_owned();
            self.endpoint.malformed(operation, answer, what)
        })
    }

    /// The number by which the service knows a ticket.
    fn number(&self, operation: &'static str, record: &RecordRef) -> Result<u64, CallError> {
        let number = record.id.as_str().parse().ok().filter(|_| record.kind == RecordKind::Ticket);
        number.ok_or_else(|| {
            self.endpoint.invalid(operation, format!("{record}: Request Tracker's tickets have numbers"))
        })
    }

    /// A ticket as it is now, without its comments. One call; more where it is not there, or another one is.
    async fn get(&self, record: &RecordRef) -> Result<Snapshot, CallError> {
        let operation = "tickets.get";
        let number = self.number(operation, record)?;
        let query: Vec<_> = [("fields", "Owner")].into_iter().chain(OWNER).collect();
        let answer = match self.ask(operation, &["ticket", &number.to_string()], &query).await {
            // Another Request Tracker at the old address says the same of every ticket.
            Err(gone @ CallError::Gone { .. }) => {
                self.still_sees_tickets(operation).await?;
                return Err(gone);
            }
            answer => answer?,
        };
        let bad = |what: String| self.endpoint.malformed(operation, &answer, format!("{record}: {what}"));
        let read = snapshot::asked_for(&self.view(), record, &answer.body, answer.etag.as_deref());
        let read = read.map_err(bad)?;
        if let Lifecycle::Redirected { to } = &read.lifecycle
            && !self.was_merged(number).await?
        {
            let to = to.as_ref().map(ToString::to_string).unwrap_or_default();
            return Err(bad(format!("the answer is about {to}, into which it was not merged")));
        }
        self.explained(number, read).await
    }

    /// Whether a ticket was merged into another one, as its own history tells. A merge is the only reason for an answer
    /// about another ticket. One call.
    async fn was_merged(&self, number: u64) -> Result<bool, CallError> {
        let operation = "tickets.merge";
        let merge = format!(
            "ObjectType = 'RT::Ticket' AND ObjectId = {number} AND Type = 'AddLink' AND Field = 'MergedInto'"
        );
        let query = [("query", merge.as_str()), ("fields", "ObjectId"), ("per_page", PER_PAGE)];
        let answer = self.ask(operation, &["transactions"], &query).await?;
        let is_it = |row: &Value| snapshot::number(&row["ObjectId"]) == Some(number);
        Ok(self.items(operation, &answer)?.iter().any(is_it))
    }

    /// What reading a ticket depends on.
    fn view(&self) -> snapshot::View<'_> {
        snapshot::View { system: &self.endpoint.system, settings: &self.settings }
    }
}

#[async_trait]
impl Connector for RequestTracker {
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

    /// One page of the feed of transactions, one search for the tickets that it names, and one call for each new
    /// comment and each ticket that was merged, deleted or moved away. One call in all where nothing happened.
    async fn list(
        &self,
        _kind: RecordKind,
        since: Timestamp,
        page: Option<&PageToken>,
    ) -> Result<Page, CallError> {
        self.changes(since, page).await
    }

    /// At the depth of comments, a call for the history and one for each comment that was not read before.
    async fn read(&self, record: &RecordRef, depth: Depth) -> Result<Snapshot, CallError> {
        let mut read = self.get(record).await?;
        if depth == Depth::Comments && read.lifecycle == Lifecycle::Present {
            read.comments = Comments::Listed(self.comments(&read.record).await?);
        }
        Ok(read)
    }

    /// A PUT with the revision as condition, and a GET that shows what came of it.
    async fn update(&self, current: &Snapshot, patch: &Patch) -> Result<Written, CallError> {
        self.put(current, patch).await
    }

    async fn find(&self, planned: &RecordRef, depth: Depth) -> Result<Option<Snapshot>, CallError> {
        self.find_by_key(planned, depth).await
    }

    async fn create(&self, planned: &RecordRef, opening: &Opening) -> Result<Written, CallError> {
        self.open(planned, opening).await
    }

    fn hook(&self) -> Option<Hook> {
        shared_hook(self.settings.system.hook.as_ref(), hint::records)
    }

    async fn comment(&self, current: &Snapshot, _key: &CommentKey, text: &str) -> Result<Written, CallError> {
        self.post_comment(current, text).await
    }

    async fn probe(&self) -> Vec<Probe> {
        self.probes().await
    }

    fn budgets(&self) -> Option<&Budgets> {
        Some(self.endpoint.budgets())
    }
}
