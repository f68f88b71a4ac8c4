//! Microsoft Defender XDR: incidents and alerts of one tenant over the Graph security API.

mod brief;
mod hint;
mod list;
mod paging;
mod snapshot;
mod sound;
mod wire;
mod write;

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod against_emulator_tests;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod arbitrary_tests;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod brief_tests;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod paging_tests;
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
use super::hinting::shared_hook;
use super::{Brief, ConnectError, Connector, Depth, Hook, Opening, Page, PageToken, Probe, Written};
use crate::http::secret::SecretRef;
use crate::http::{
    Budgets, Call, CallError, CallObserver, Credential, GRAPH_BUDGETS, Http, Method, RequestIds, token_source,
};
use crate::model::{CommentKey, Comments, Patch, RecordKind, RecordRef, Snapshot, SystemName};

/// Settings of one Defender tenant. The addresses and the scope depend on the cloud (`graph-security.md` 1.1).
#[derive(Debug, Clone)]
pub struct DefenderSettings {
    /// The system's configured name.
    pub name: SystemName,
    /// The Entra tenant: GUID or verified domain.
    pub tenant_id: String,
    /// How lockstep proves who it is.
    pub credential: Credential,
    /// The login host, such as `https://login.microsoftonline.com`.
    pub authority_url: Url,
    /// Graph's root, such as `https://graph.microsoft.com`; `/v1.0/security/...` is appended.
    pub graph_url: Url,
    /// Such as `https://graph.microsoft.com/.default`.
    pub scope: String,
    /// Multiplies the published call limits; 1.0 changes nothing.
    pub budget_factor: f64,
    /// How long until a read is certain to show an earlier write.
    pub settle: Duration,
    /// How far lists reach back before the cursor, for what the index shows late.
    pub overlap: Duration,
    /// What its webhooks prove themselves with; without it none are taken.
    pub hook: Option<SecretRef>,
}

impl DefenderSettings {
    /// 30 s. No figure is published (`graph-security.md` section 11); reads by id were not seen to lag.
    pub const DEFAULT_SETTLE: Duration = Duration::from_secs(30);
    /// 2 minutes. No figure is published for the lag of lists either.
    pub const DEFAULT_OVERLAP: Duration = Duration::from_mins(2);
}

/// The connector to one Defender tenant.
#[derive(Debug)]
pub struct Defender {
    endpoint: Endpoint,
    settle: Duration,
    overlap: Duration,
    hook: Option<SecretRef>,
}

impl Defender {
    /// Makes the connector. Sends nothing yet.
    pub fn new(
        settings: &DefenderSettings,
        http: &Http,
        observer: Option<Arc<dyn CallObserver>>,
    ) -> Result<Self, ConnectError> {
        let tokens = token_source(
            &settings.credential,
            &settings.tenant_id,
            &settings.authority_url,
            &settings.scope,
            http,
        );
        let parts = Parts {
            system: &settings.name,
            base: &settings.graph_url,
            example: "https://graph.microsoft.com",
            budgets: Budgets::new(GRAPH_BUDGETS, settings.budget_factor),
            ids: RequestIds::GRAPH,
            sound: Box::new(sound::Answers::of(&settings.tenant_id)),
        };
        let endpoint = Endpoint::new(parts, tokens, http, observer)?;
        Ok(Self { endpoint, settle: settings.settle, overlap: settings.overlap, hook: settings.hook.clone() })
    }

    fn url(
        &self,
        operation: &'static str,
        segments: &[&str],
        query: &[(&str, &str)],
    ) -> Result<Url, CallError> {
        let path: Vec<_> = ["v1.0", "security"].iter().chain(segments).copied().collect();
        self.endpoint.url(operation, &path, query)
    }

    fn get(
        &self,
        operation: &'static str,
        segments: &[&str],
        query: &[(&str, &str)],
    ) -> Result<Call, CallError> {
        Ok(known_members(Call::get(operation, "graph", self.url(operation, segments, query)?)))
    }

    fn write(
        &self,
        operation: &'static str,
        method: Method,
        segments: &[&str],
        body: Value,
    ) -> Result<Call, CallError> {
        let url = self.url(operation, segments, &[])?;
        Ok(known_members(Call::write(operation, "graph", method, url, body)))
    }
}

/// Without this header newer enum members arrive as `unknownFutureValue` (`graph-security.md` 2.4).
fn known_members(call: Call) -> Call {
    call.header("Prefer", "include-unknown-enum-members")
}

/// The path segment of a collection.
fn collection(kind: RecordKind) -> &'static str {
    if kind == RecordKind::Alert { "alerts_v2" } else { "incidents" }
}

#[async_trait]
impl Connector for Defender {
    fn system(&self) -> &SystemName {
        &self.endpoint.system
    }

    fn collections(&self) -> &[RecordKind] {
        &[RecordKind::Incident, RecordKind::Alert]
    }

    fn settle_time(&self) -> Duration {
        self.settle
    }

    fn overlap(&self) -> Duration {
        self.overlap
    }

    async fn list(
        &self,
        kind: RecordKind,
        since: Timestamp,
        page: Option<&PageToken>,
    ) -> Result<Page, CallError> {
        self.changes(kind, since, page).await
    }

    /// A merged incident still answers (`graph-security.md` 2.8); its snapshot says where it went.
    async fn read(&self, record: &RecordRef, depth: Depth) -> Result<Snapshot, CallError> {
        let operation = if record.kind == RecordKind::Alert { "alerts.get" } else { "incidents.get" };
        let call = self.get(operation, &[collection(record.kind), record.id.as_str()], &[])?;
        let answer = self.endpoint.send(call).await?;
        let bad = |what: String| self.endpoint.malformed(operation, &answer, format!("{record}: {what}"));
        let read = snapshot::snapshot(self.system(), record.kind, &answer.body, true).map_err(&bad)?;
        if !read.record.id.as_str().eq_ignore_ascii_case(record.id.as_str()) {
            return Err(bad(format!("the answer is about {}", read.record)));
        }
        if depth == Depth::Comments && !matches!(read.comments, Comments::Listed(_)) {
            return Err(bad("the answer has no list of comments".to_owned()));
        }
        Ok(read)
    }

    async fn update(&self, current: &Snapshot, patch: &Patch) -> Result<Written, CallError> {
        self.patch(current, patch).await
    }

    async fn create(&self, planned: &RecordRef, _opening: &Opening) -> Result<Written, CallError> {
        let what =
            format!("{planned}: Defender makes its incidents and alerts itself; take it out of `create_in`");
        Err(self.endpoint.invalid("incidents.create", what))
    }

    async fn comment(&self, current: &Snapshot, _: &CommentKey, text: &str) -> Result<Written, CallError> {
        self.add_comment(current, text).await
    }

    /// One call; a second one where the alerts of the incident cannot be read along.
    async fn brief(&self, record: &RecordRef) -> Result<Option<Brief>, CallError> {
        self.tell(record).await
    }

    fn hook(&self) -> Option<Hook> {
        shared_hook(self.hook.as_ref(), hint::records)
    }

    async fn probe(&self) -> Vec<Probe> {
        let mut probes = vec![self.endpoint.probe_token().await];
        if probes[0].result.is_err() {
            return probes;
        }
        let one = [("$top", "1")];
        let role = "SecurityIncident.Read.All (to write: SecurityIncident.ReadWrite.All) with admin consent";
        let call = self.get("incidents.list", &["incidents"], &one);
        probes.push(self.endpoint.probe_read("list incidents", call, role).await);
        let role = "SecurityAlert.Read.All (to write: SecurityAlert.ReadWrite.All) with admin consent";
        let call = self.get("alerts.list", &["alerts_v2"], &one);
        probes.push(self.endpoint.probe_read("list alerts", call, role).await);
        let result =
            Ok("not tried, since trying would write; lockstep needs SecurityIncident.ReadWrite.All, and \
                         SecurityAlert.ReadWrite.All to close alerts"
                .to_owned());
        probes.push(Probe { what: "write permission".to_owned(), result });
        probes
    }

    fn budgets(&self) -> Option<&Budgets> {
        Some(self.endpoint.budgets())
    }
}
