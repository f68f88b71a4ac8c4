//! Microsoft Sentinel: the incidents of one workspace over Azure Resource Manager.

mod brief;
mod hint;
mod list;
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
mod sound_tests;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use url::Url;

use super::endpoint::{Endpoint, Parts};
use super::hinting::shared_hook;
use super::{Brief, ConnectError, Connector, Depth, Hook, Opening, Page, PageToken, Probe, Written};
use crate::http::secret::SecretRef;
use crate::http::{
    Budgets, Call, CallError, CallObserver, Credential, Http, RequestIds, SENTINEL_BUDGETS, token_source,
};
use crate::model::{CommentKey, Comments, Patch, RecordKind, RecordRef, Snapshot, SystemName};

pub use write::comment_id;

/// Settings of one Sentinel workspace. The addresses and the scope depend on the cloud (`sentinel.md` 9).
#[derive(Debug, Clone)]
pub struct SentinelSettings {
    /// The system's configured name.
    pub name: SystemName,
    /// The Entra tenant: GUID or verified domain.
    pub tenant_id: String,
    /// The subscription of the workspace.
    pub subscription_id: String,
    /// The resource group of the workspace.
    pub resource_group: String,
    /// The workspace's name (not its GUID).
    pub workspace: String,
    /// How lockstep proves who it is.
    pub credential: Credential,
    /// The login host, such as `https://login.microsoftonline.com`.
    pub authority_url: Url,
    /// ARM's root, such as `https://management.azure.com`; `/subscriptions/...` is appended.
    pub arm_url: Url,
    /// Such as `https://management.azure.com/.default`.
    pub scope: String,
    /// See [`SentinelSettings::DEFAULT_API_VERSION`].
    pub api_version: String,
    /// Multiplies the published call limits; 1.0 changes nothing.
    pub budget_factor: f64,
    /// How long until a read is certain to show an earlier write.
    pub settle: Duration,
    /// How far lists reach back before the cursor, for what became visible late.
    pub overlap: Duration,
    /// The Defender system of the same tenant, whose incidents this workspace mirrors.
    pub peer: Option<SystemName>,
    /// What its webhooks prove themselves with; without it none are taken.
    pub hook: Option<SecretRef>,
}

impl SentinelSettings {
    /// The newest stable version (`sentinel.md` 1.1).
    pub const DEFAULT_API_VERSION: &'static str = "2025-09-01";
    /// 60 s.
    pub const DEFAULT_SETTLE: Duration = Duration::from_mins(1);
    /// 10 minutes: the longest batching window of the native sync (`sentinel.md` 3.2).
    pub const DEFAULT_OVERLAP: Duration = Duration::from_mins(10);
}

/// The connector to one Sentinel workspace.
#[derive(Debug)]
pub struct Sentinel {
    endpoint: Endpoint,
    workspace: [String; 3],
    api_version: String,
    settle: Duration,
    overlap: Duration,
    peer: Option<SystemName>,
    hook: Option<SecretRef>,
}

impl Sentinel {
    /// Makes the connector. Sends nothing yet.
    pub fn new(
        settings: &SentinelSettings,
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
            base: &settings.arm_url,
            example: "https://management.azure.com",
            budgets: Budgets::new(SENTINEL_BUDGETS, settings.budget_factor),
            ids: RequestIds::ARM,
            sound: Box::new(sound::Answers),
        };
        let names = [&settings.subscription_id, &settings.resource_group, &settings.workspace];
        Ok(Self {
            endpoint: Endpoint::new(parts, tokens, http, observer)?,
            workspace: names.map(Clone::clone),
            api_version: settings.api_version.clone(),
            settle: settings.settle,
            overlap: settings.overlap,
            peer: settings.peer.clone(),
            hook: settings.hook.clone(),
        })
    }

    /// An address at or below the workspace's incidents.
    fn url(&self, operation: &'static str, below: &[&str], query: &[(&str, &str)]) -> Result<Url, CallError> {
        let [subscription, group, workspace] = &self.workspace;
        let mut path = vec!["subscriptions", subscription, "resourceGroups", group];
        path.extend(["providers", "Microsoft.OperationalInsights", "workspaces", workspace]);
        path.extend(["providers", "Microsoft.SecurityInsights", "incidents"]);
        path.extend(below);
        let query: Vec<_> =
            [("api-version", self.api_version.as_str())].into_iter().chain(query.iter().copied()).collect();
        self.endpoint.url(operation, &path, &query)
    }

    fn only_incidents(&self, operation: &'static str, record: &RecordRef) -> Result<(), CallError> {
        if record.kind == RecordKind::Incident {
            return Ok(());
        }
        // Sentinel's alerts cannot be written, and are read with their incident (`sentinel.md` 2.4).
        Err(self.endpoint.invalid(operation, format!("{record}: Sentinel keeps incidents only")))
    }

    async fn get(&self, record: &RecordRef) -> Result<Snapshot, CallError> {
        let operation = "incidents.get";
        self.only_incidents(operation, record)?;
        let url = self.url(operation, &[record.id.as_str()], &[])?;
        let answer = self.endpoint.send(Call::get(operation, "arm-read", url)).await?;
        let bad = |what: String| self.endpoint.malformed(operation, &answer, format!("{record}: {what}"));
        let read = snapshot::incident(self.system(), self.peer.as_ref(), &answer.body, true).map_err(&bad)?;
        if !read.record.id.as_str().eq_ignore_ascii_case(record.id.as_str()) {
            return Err(bad(format!("the answer is about {}", read.record)));
        }
        Ok(read)
    }
}

#[async_trait]
impl Connector for Sentinel {
    fn system(&self) -> &SystemName {
        &self.endpoint.system
    }

    fn collections(&self) -> &[RecordKind] {
        &[RecordKind::Incident]
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
        if kind != RecordKind::Incident {
            return Err(self.endpoint.invalid("incidents.list", "Sentinel keeps incidents only".to_owned()));
        }
        self.changes(since, page).await
    }

    /// The comments are read after the record, so that they are never older than its etag.
    async fn read(&self, record: &RecordRef, depth: Depth) -> Result<Snapshot, CallError> {
        let mut read = self.get(record).await?;
        match (depth, &self.peer) {
            (Depth::Comments, _) => read.comments = Comments::Listed(self.comments(&read.record).await?),
            (Depth::Links, Some(peer)) if snapshot::is_standalone(&read.raw) => {
                read.links.extend(self.alert_links(&read.record, peer).await?);
            }
            (Depth::Record | Depth::Links, _) => {}
        }
        Ok(read)
    }

    async fn update(&self, current: &Snapshot, patch: &Patch) -> Result<Written, CallError> {
        self.only_incidents("incidents.update", &current.record)?;
        self.replace(current, patch).await
    }

    async fn create(&self, planned: &RecordRef, opening: &Opening) -> Result<Written, CallError> {
        self.only_incidents("incidents.create", planned)?;
        self.put_new(planned, opening).await
    }

    async fn comment(&self, current: &Snapshot, key: &CommentKey, text: &str) -> Result<Written, CallError> {
        self.only_incidents("comments.create", &current.record)?;
        let put = self.put_comment(&current.record, key, text).await?;
        // It was there already, so it does not add to the count by which others are noticed.
        let snapshot =
            if put.is_new { None } else { Some(self.read(&current.record, Depth::Comments).await?) };
        Ok(Written::new(snapshot, put.request_id))
    }

    fn chooses_comment_ids(&self) -> bool {
        true
    }

    /// One call for an incident that mirrors a Defender one, else three.
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
        let call = self.url("incidents.list", &[], &[("$top", "1")]);
        let call = call.map(|url| Call::get("incidents.list", "arm-read", url));
        let role = "the role Microsoft Sentinel Responder, assigned at the workspace's resource group";
        probes.push(self.endpoint.probe_read("list incidents", call, role).await);
        let result = Ok("not tried, since trying would write; lockstep needs the role Microsoft Sentinel \
                         Responder at the workspace's resource group"
            .to_owned());
        probes.push(Probe { what: "write permission".to_owned(), result });
        probes
    }

    fn budgets(&self) -> Option<&Budgets> {
        Some(self.endpoint.budgets())
    }
}
