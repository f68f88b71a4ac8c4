//! ServiceNow: incidents or security incidents over the Table API (`ticketing.md` 1).
//!
//! What it must be watched for: a query part that cannot be understood is dropped and the rest is carried out, so each
//! row is checked against the key that was asked for; rows that access rules hide are counted, or not even that; an error
//! may stand behind the rows of a 200; a field that the user may not write is dropped without a word, or takes the whole
//! write with it; there is no conditional write.

mod codes;
mod create;
mod hint;
mod journal;
mod key;
mod list;
mod markup;
mod page;
mod people;
mod probe;
mod query;
mod refusal;
mod snapshot;
mod sound;
mod table;
mod witness;
mod write;

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod against_emulator_tests;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod belief_tests;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod change_tests;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod refusal_tests;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use serde_json::Value;
use url::Url;

use super::endpoint::{Endpoint, Parts};
use super::hinting::shared_hook;
use super::{ConnectError, Connector, Depth, Hook, Opening, Page, PageToken, Probe, TicketSystem, Written};
use crate::http::{Answer, Budgets, Call, CallError, CallObserver, Http, RequestIds, Scheme};
use crate::model::{CommentKey, Comments, Patch, RecordKind, RecordRef, Snapshot, SystemName};

use codes::CodeCache;
use key::KeyState;
use people::People;
use query::Query;
use snapshot::Reader;
pub use table::Table;
use witness::Witness;

/// The budget class of all calls: rate rules of ServiceNow are per API (`ticketing.md` 1.8).
const CLASS: &str = "table-api";

/// Settings of one ServiceNow table.
#[derive(Debug, Clone)]
pub struct ServiceNowSettings {
    /// What all ticket systems have.
    pub system: TicketSystem,
    /// The table whose records are the tickets.
    pub table: Table,
    /// A field of the customer's own, with a unique index, that holds the key beside `correlation_id`.
    pub key_field: Option<String>,
    /// Who calls: `sys_id`, user name or e-mail of the `caller_id` of new tickets.
    pub caller: Option<String>,
    /// `sys_id` or name of the group that new tickets go to.
    pub assignment_group: Option<String>,
    /// Further fields of new tickets.
    pub create_fields: BTreeMap<String, String>,
    /// Further fields that a close sends where they are empty.
    pub close_fields: BTreeMap<String, String>,
}

impl ServiceNowSettings {
    /// 90 s: a request that was given up may be carried out for 60 s more (`ticketing.md` 1.2).
    pub const DEFAULT_SETTLE: Duration = Duration::from_secs(90);
    /// 3 minutes: rows of long transactions appear behind the cursor (`ticketing.md` 1.2).
    pub const DEFAULT_OVERLAP: Duration = Duration::from_mins(3);

    /// The field by which tickets are looked up.
    pub(super) fn look_up_field(&self) -> &str {
        self.key_field.as_deref().unwrap_or(key::CORRELATION)
    }
}

/// The connector to one ServiceNow table.
#[derive(Debug)]
pub struct ServiceNow {
    endpoint: Endpoint,
    settings: ServiceNowSettings,
    codes: CodeCache,
    people: People,
    key: KeyState,
    witness: Witness,
}

impl ServiceNow {
    /// Makes the connector. Sends nothing yet.
    pub fn new(
        settings: &ServiceNowSettings,
        http: &Http,
        observer: Option<Arc<dyn CallObserver>>,
    ) -> Result<Self, ConnectError> {
        let system = &settings.system;
        let tokens = system.login.tokens(Scheme::Bearer, &token_url(&system.url), http);
        let parts = Parts {
            system: &system.name,
            base: &system.url,
            example: "https://example.service-now.com",
            budgets: Budgets::unlimited(),
            ids: RequestIds::GRAPH,
            sound: Box::new(sound::Answers),
        };
        let endpoint = Endpoint::new(parts, tokens, http, observer)?;
        let (codes, people) = (CodeCache::default(), People::default());
        let (key, witness) = (KeyState::default(), Witness::default());
        Ok(Self { endpoint, settings: settings.clone(), codes, people, key, witness })
    }

    /// Asks for rows of a table. [`sound`] has seen that there are some, or none.
    async fn rows(
        &self,
        operation: &'static str,
        table: &str,
        query: &Query<'_>,
    ) -> Result<(Vec<Value>, Answer), CallError> {
        let url = self.endpoint.url(operation, &["api", "now", "table", table], &query.pairs())?;
        let answer = self.endpoint.send(Call::get(operation, CLASS, url)).await?;
        let rows = answer.body["result"].as_array().cloned().unwrap_or_default();
        Ok((rows, answer))
    }

    /// The address of one ticket, which asks for the fields that a snapshot is made of.
    fn ticket_url(&self, operation: &'static str, id: Option<&str>) -> Result<Url, CallError> {
        let fields = snapshot::fields(&self.settings);
        let query = Query { fields: &fields, ..Query::default() };
        let mut path = vec!["api", "now", "table", self.settings.table.name()];
        path.extend(id);
        self.endpoint.url(operation, &path, &query.shape())
    }

    /// The `sys_id` of a ticket; anything else is no id of this system.
    fn id<'r>(&self, operation: &'static str, record: &'r RecordRef) -> Result<&'r str, CallError> {
        let id = record.id.as_str();
        if record.kind == RecordKind::Ticket && query::is_sys_id(id) {
            return Ok(id);
        }
        Err(self.endpoint.invalid(operation, format!("{record}: a ticket's id has 32 hexadecimal digits")))
    }

    /// A snapshot of the one row of an answer.
    async fn snapshot(
        &self,
        operation: &'static str,
        answer: &Answer,
        record: &RecordRef,
    ) -> Result<Snapshot, CallError> {
        let row = &answer.body["result"];
        let codes = self.codes_for(std::slice::from_ref(row)).await?;
        let reader = Reader { settings: &self.settings, codes: &codes };
        let bad = |what: String| self.endpoint.malformed(operation, answer, format!("{record}: {what}"));
        reader.ticket(row, true).map_err(bad)
    }

    async fn get(&self, record: &RecordRef) -> Result<Snapshot, CallError> {
        let operation = "tickets.get";
        let url = self.ticket_url(operation, Some(self.id(operation, record)?))?;
        let answer = self.endpoint.send(Call::get(operation, CLASS, url)).await?;
        let read = self.snapshot(operation, &answer, record).await?;
        self.witness.keep(read.record.id.as_str());
        Ok(read)
    }

    /// Adds the comments where they are asked for. They are read after the ticket, so they are never older.
    async fn deepened(&self, mut read: Snapshot, depth: Depth) -> Result<Snapshot, CallError> {
        if depth == Depth::Comments {
            read.comments = Comments::Listed(self.comments(&read.record).await?);
        }
        Ok(read)
    }
}

/// `{url}/oauth_token.do` (`ticketing.md` 1.1). An address that takes no path is refused elsewhere.
fn token_url(root: &Url) -> Url {
    let mut url = root.clone();
    if let Ok(mut path) = url.path_segments_mut() {
        path.pop_if_empty().push("oauth_token.do");
    }
    url
}

#[async_trait]
impl Connector for ServiceNow {
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
            return Err(self.endpoint.invalid(list::LIST, "ServiceNow keeps tickets only".to_owned()));
        }
        self.changes(since, page).await
    }

    async fn read(&self, record: &RecordRef, depth: Depth) -> Result<Snapshot, CallError> {
        let read = self.get(record).await?;
        self.deepened(read, depth).await
    }

    async fn update(&self, current: &Snapshot, patch: &Patch) -> Result<Written, CallError> {
        self.change(current, patch).await
    }

    async fn find(&self, planned: &RecordRef, depth: Depth) -> Result<Option<Snapshot>, CallError> {
        match self.by_key(planned).await? {
            Some(read) => self.deepened(read, depth).await.map(Some),
            None => Ok(None),
        }
    }

    async fn create(&self, planned: &RecordRef, opening: &Opening) -> Result<Written, CallError> {
        self.open(planned, opening).await
    }

    fn hook(&self) -> Option<Hook> {
        shared_hook(self.settings.system.hook.as_ref(), hint::records)
    }

    async fn comment(&self, current: &Snapshot, _: &CommentKey, text: &str) -> Result<Written, CallError> {
        self.append(current, text).await
    }

    async fn probe(&self) -> Vec<Probe> {
        self.probes().await
    }

    fn budgets(&self) -> Option<&Budgets> {
        Some(self.endpoint.budgets())
    }
}
