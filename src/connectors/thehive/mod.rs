//! TheHive 5: the cases of one organisation over its REST API, version 1 (`ticketing.md` 4).
//!
//! A ticket is a case. It is opened by way of an alert, whose type, source and reference are unique: see `alert.rs`.
//! Status is the case's stage; while it is closed, the verdict is its status value. See `list.rs` for how changes are
//! learned of.

mod alert;
mod hint;
mod list;
mod markdown;
mod memory;
mod probe;
mod query;
mod sight;
mod snapshot;
mod sound;
mod wire;
mod write;

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod against_emulator_tests;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use serde_json::{Value, json};
use url::Url;

use super::endpoint::{Endpoint, Parts};
use super::{
    ConnectError, Connector, Depth, Hook, HookProof, Opening, Page, PageToken, Probe, TicketSystem, Written,
};
use crate::http::{Answer, Budgets, Call, CallError, CallObserver, Http, Login, RequestIds, Scheme};
use crate::model::{Comment, CommentKey, Comments, Patch, RecordKind, RecordRef, Snapshot, SystemName};
use memory::Memory;
use query::first;
use snapshot::{Reader, comment};
use wire::is_id;

/// Comments of a case asked for at once; more are asked for in one larger page, since pages by number shift when
/// somebody deletes one.
const COMMENTS: usize = 200;
const MAX_COMMENTS: usize = 12_800;

/// Settings of one organisation of a TheHive.
#[derive(Debug, Clone)]
pub struct TheHiveSettings {
    /// What all ticket systems have.
    pub system: TicketSystem,
    /// The organisation whose cases they are; without it the account's default one.
    pub organisation: Option<String>,
    /// The type of the alerts that cases are made of, at most 32 characters.
    pub alert_type: String,
    /// The source of those alerts, at most 32 characters. Two installations on one organisation need two.
    pub source: String,
    /// The template that cases are made with.
    pub case_template: Option<String>,
    /// The status of new cases; its stage must be `New`.
    pub new_status: String,
    /// The status of cases in work, reopened ones among them; its stage must be `InProgress`.
    pub in_progress_status: String,
    /// The status of a close without a verdict; its stage must be `Closed`.
    pub closed_status: String,
    /// What a close says of the impact where nobody said anything: `NotApplicable`, `WithImpact` or `NoImpact`.
    pub impact_status: String,
    /// Custom fields that a close fills where they are empty, such as those that TheHive demands.
    pub close_fields: BTreeMap<String, String>,
}

/// The connector to one organisation of a TheHive.
#[derive(Debug)]
pub struct TheHive {
    endpoint: Endpoint,
    settings: TheHiveSettings,
    memory: Memory,
}

impl TheHive {
    /// Makes the connector. Sends nothing yet.
    pub fn new(
        settings: &TheHiveSettings,
        http: &Http,
        observer: Option<Arc<dyn CallObserver>>,
    ) -> Result<Self, ConnectError> {
        let system = &settings.system;
        let tokens = system.login.tokens(Scheme::Bearer, &system.url, http);
        let parts = Parts {
            system: &system.name,
            base: &system.url,
            example: "https://thehive.example.org",
            budgets: Budgets::unlimited(),
            ids: RequestIds::GRAPH,
            sound: Box::new(sound::Answers),
        };
        let endpoint = Endpoint::new(parts, tokens, http, observer)?;
        let memory = Memory::default();
        if let Login::Basic { username, .. } = &system.login {
            memory.set_account(username);
        }
        Ok(Self { endpoint, settings: settings.clone(), memory })
    }

    fn endpoint_system(&self) -> &SystemName {
        &self.endpoint.system
    }

    fn url(&self, operation: &'static str, below: &[&str]) -> Result<Url, CallError> {
        let path: Vec<&str> = ["api", "v1"].into_iter().chain(below.iter().copied()).collect();
        self.endpoint.url(operation, &path, &[])
    }

    async fn send(&self, call: Call) -> Result<Answer, CallError> {
        match &self.settings.organisation {
            Some(organisation) => self.endpoint.send(call.header("x-organisation", organisation)).await,
            None => self.endpoint.send(call).await,
        }
    }

    fn account(&self) -> String {
        self.memory.account().unwrap_or_default()
    }

    /// Learns lockstep's own login, once.
    async fn learn_account(&self) -> Result<(), CallError> {
        if self.memory.account().is_some() {
            return Ok(());
        }
        self.ask_account().await
    }

    /// Learns who we are, and in which organisation. One call.
    async fn ask_account(&self) -> Result<(), CallError> {
        let operation = "account.get";
        let url = self.url(operation, &["user", "current"])?;
        let answer = self.send(Call::get(operation, "read", url)).await?;
        let login = answer.body["login"].as_str().or_else(|| answer.body["_id"].as_str());
        let login = login.filter(|login| !login.trim().is_empty());
        let login = login
            .ok_or_else(|| self.endpoint.malformed(operation, &answer, "login is missing".to_owned()))?;
        self.memory.set_account(login);
        if let Some(organisation) = answer.body["organisation"].as_str() {
            self.memory.set_organisation(organisation);
        }
        Ok(())
    }

    fn reader(&self) -> OwnedReader<'_> {
        OwnedReader { hive: self, account: self.account() }
    }

    /// A case by id, from the database and not from the index.
    async fn get(&self, record: &RecordRef) -> Result<Snapshot, CallError> {
        let operation = "tickets.get";
        if record.kind != RecordKind::Ticket || !is_id(record.id.as_str()) {
            return Err(self.endpoint.invalid(operation, format!("{record} names no case of TheHive")));
        }
        self.learn_account().await?;
        let url = self.url(operation, &["case", record.id.as_str()])?;
        let answer = self.send(Call::get(operation, "read", url)).await?;
        let bad = |what: String| self.endpoint.malformed(operation, &answer, format!("{record}: {what}"));
        let read = self.reader().case(&answer.body, true).map_err(&bad)?;
        if read.record != *record {
            return Err(bad(format!("the answer is about {}", read.record)));
        }
        if read.planned_as.is_some() {
            self.memory.set_saw_cases();
        }
        Ok(read)
    }

    /// All comments of a case, oldest first. One that cannot be read is an error: a look-up must not overlook a copy.
    async fn comments(&self, record: &RecordRef) -> Result<Vec<Comment>, CallError> {
        let operation = "comments.list";
        let mut most = COMMENTS;
        loop {
            let case = json!({"_name": "getCase", "idOrName": record.id.as_str()});
            let (rows, answer) =
                self.query(operation, &[case, json!({"_name": "comments"}), first(most)]).await?;
            if rows.len() >= most && most < MAX_COMMENTS {
                most *= 8;
                continue;
            }
            let bad = |e: String| self.endpoint.malformed(operation, &answer, format!("{record}: {e}"));
            if rows.len() >= most {
                return Err(bad(format!("it has more than {MAX_COMMENTS} comments")));
            }
            let read: Result<Vec<Comment>, String> = rows.iter().map(comment).collect();
            let mut read = read.map_err(bad)?;
            read.sort_by(|a, b| (a.created, a.key.as_str()).cmp(&(b.created, b.key.as_str())));
            return Ok(read);
        }
    }

    /// A case that is not there was merged into another, if its alert leads there now.
    async fn gone_where(&self, record: &RecordRef) -> Result<Option<Snapshot>, CallError> {
        let Some(key) = self.memory.key_of(&record.id) else { return Ok(None) };
        let alert = self.alert_of("tickets.find", &key).await?;
        let Some(id) = alert::case_id(alert.as_ref()).and_then(|id| list::record_id(&id)) else {
            return Ok(None);
        };
        if id == record.id {
            return Ok(None);
        }
        match self.get(&RecordRef::ticket(self.endpoint_system(), id)).await {
            Ok(into) => Ok(Some(list::redirected(record, &into))),
            Err(CallError::Gone { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// A [`Reader`] that owns what it needs to know.
struct OwnedReader<'a> {
    hive: &'a TheHive,
    account: String,
}

impl OwnedReader<'_> {
    fn case(&self, json: &Value, fresh: bool) -> Result<Snapshot, String> {
        let (system, base) = (&self.hive.endpoint.system, &self.hive.settings.system.url);
        Reader { system, base, account: &self.account }.case(json, fresh)
    }
}

#[async_trait]
impl Connector for TheHive {
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
            return Err(self.endpoint.invalid("tickets.list", "TheHive keeps tickets only".to_owned()));
        }
        self.changes(since, page).await
    }

    /// The comments are read after the case, so that they are never older than it.
    async fn read(&self, record: &RecordRef, depth: Depth) -> Result<Snapshot, CallError> {
        let mut read = match self.get(record).await {
            Err(gone @ CallError::Gone { .. }) => {
                return match self.gone_where(record).await? {
                    Some(merged) => Ok(merged),
                    None => Err(self.certainly_gone(gone).await),
                };
            }
            read => read?,
        };
        if depth == Depth::Comments {
            read.comments = Comments::Listed(self.comments(record).await?);
        }
        Ok(read)
    }

    async fn find(&self, planned: &RecordRef, depth: Depth) -> Result<Option<Snapshot>, CallError> {
        let key = self.key("tickets.find", planned)?;
        self.learn_account().await?;
        let Some(mut found) = self.case_of_key(key).await? else { return Ok(None) };
        self.memory.set_home(key, &found.record.id);
        found.planned_as = Some(planned.clone());
        if depth == Depth::Comments {
            found.comments = Comments::Listed(self.comments(&found.record).await?);
        }
        Ok(Some(found))
    }

    async fn update(&self, current: &Snapshot, patch: &Patch) -> Result<Written, CallError> {
        self.patch(current, patch).await
    }

    async fn create(&self, planned: &RecordRef, opening: &Opening) -> Result<Written, CallError> {
        self.open(planned, opening).await
    }

    async fn comment(&self, current: &Snapshot, _key: &CommentKey, text: &str) -> Result<Written, CallError> {
        self.add_comment(&current.record, text).await
    }

    fn hook(&self) -> Option<Hook> {
        let secret = self.settings.system.hook.clone()?;
        let proof = HookProof::Shared("authorization");
        Some(Hook { proof, secret, records: hint::records, delivery_id: None })
    }

    async fn probe(&self) -> Vec<Probe> {
        self.probes().await
    }

    fn budgets(&self) -> Option<&Budgets> {
        Some(self.endpoint.budgets())
    }
}
