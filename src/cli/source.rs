//! Where commands read from: the store, or the worker that has it open.

use std::fmt::Display;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use serde::de::DeserializeOwned;

use crate::config::Config;
use crate::engine::{Operator, OperatorError};
use crate::http::secret::SecretRef;
use crate::http::{ClientOptions, Http};
use crate::model::{BridgeName, MappingId, RecordRef};
use crate::reconcile::Policy;
use crate::server::views::{self, Explanation, IntentView, MappingList, MappingStory};
use crate::store::{SledStore, Store, StoreError};

/// Mappings per request to a worker.
const PAGE: usize = 1000;
/// Dead letters that are shown at most.
const DEAD_LETTERS: usize = 1000;

/// Opens the store to look into it; a missing one is not created.
fn open_store(path: &Path) -> Result<Arc<dyn Store>, StoreError> {
    SledStore::open_existing(path).map(|store| store as Arc<dyn Store>)
}

/// What an operator changes in a store, now.
pub(super) fn as_operator<T>(
    store: &dyn Store,
    config: &Config,
    work: impl FnOnce(Operator<'_>) -> Result<T, OperatorError>,
) -> Result<T, OperatorError> {
    let bridges: Vec<&Policy> = config.bridges.iter().collect();
    work(Operator { store, bridges: &bridges, now: Timestamp::now() })
}

/// Where commands read from.
pub(super) enum Source {
    /// The store itself, since no worker runs.
    Store(Arc<dyn Store>, Vec<BridgeName>),
    /// The worker that holds the store, and why the store could not be opened.
    Worker(Worker, StoreError),
}

impl Source {
    /// The store if it is free, else the worker that has it open.
    pub(super) fn open(config: &Config) -> anyhow::Result<Self> {
        match open_store(&config.store.path) {
            Ok(store) => Ok(Self::Store(store, config.bridges.iter().map(|b| b.bridge.clone()).collect())),
            Err(error) => Ok(Self::Worker(Worker::new(config)?, error)),
        }
    }

    /// Up to `limit` mappings after an id.
    pub(super) async fn mappings(
        &self,
        after: Option<MappingId>,
        limit: usize,
    ) -> anyhow::Result<MappingList> {
        match self {
            Self::Store(store, _) => Ok(views::list(&**store, after, limit)?),
            Self::Worker(worker, locked) => {
                let mut list = MappingList { mappings: Vec::new(), next: after };
                while list.mappings.len() < limit {
                    let after = list.next.map(|id| format!("&after={id}")).unwrap_or_default();
                    let page = PAGE.min(limit - list.mappings.len());
                    let path = format!("api/v1/mappings?limit={page}{after}");
                    let more: MappingList =
                        worker.fetch(&path, locked).await?.context("the worker is older")?;
                    list.mappings.extend(more.mappings);
                    list.next = more.next;
                    if list.next.is_none() {
                        break;
                    }
                }
                Ok(list)
            }
        }
    }

    /// A mapping with its history.
    pub(super) async fn story(&self, id: MappingId) -> anyhow::Result<MappingStory> {
        let found = match self {
            Self::Store(store, _) => views::story(&**store, id)?,
            Self::Worker(worker, locked) => worker.fetch(&format!("api/v1/mappings/{id}"), locked).await?,
        };
        found.ok_or_else(|| anyhow!("there is no mapping {id}; see `lockstep mappings list`"))
    }

    /// Everything known about a record.
    pub(super) async fn explain(&self, record: &RecordRef) -> anyhow::Result<Explanation> {
        let found = match self {
            Self::Store(store, bridges) => views::explain(&**store, bridges, record)?,
            Self::Worker(worker, locked) => worker.fetch(&explain_path(record), locked).await?,
        };
        found.ok_or_else(|| {
            anyhow!(
                "no bridge knows {record}; it may be older than `since`, filtered out, or not seen yet (see \
                 `lockstep mappings list`)"
            )
        })
    }

    /// The writes that were given up.
    pub(super) async fn dead_letters(&self) -> anyhow::Result<Vec<IntentView>> {
        match self {
            Self::Store(store, _) => Ok(views::dead_letters(&**store, DEAD_LETTERS)?),
            Self::Worker(worker, locked) => {
                Ok(worker.fetch("api/v1/dead-letters", locked).await?.unwrap_or_default())
            }
        }
    }
}

fn explain_path(record: &RecordRef) -> String {
    let encode = |part: &str| {
        percent_encoding::utf8_percent_encode(part, percent_encoding::NON_ALPHANUMERIC).to_string()
    };
    let (system, id) = (encode(record.system.as_str()), encode(record.id.as_str()));
    format!("api/v1/records/{system}/{}/{id}/explain", record.kind.as_str())
}

/// The running worker's server.
pub(super) struct Worker {
    http: Http,
    base: String,
    token: Option<SecretString>,
}

impl Worker {
    /// The worker that this configuration starts.
    pub(super) fn new(config: &Config) -> anyhow::Result<Self> {
        let options = ClientOptions { timeout: Duration::from_secs(10), ..ClientOptions::default() };
        let token = config.server.token.as_ref().map(SecretRef::resolve).transpose();
        Ok(Self {
            http: Http::new(&options)?,
            base: format!("http://{}", reachable(config.server.listen)),
            token: token.context("the server's token")?,
        })
    }

    /// Status and body of a GET.
    pub(super) async fn get(&self, path: &str) -> anyhow::Result<(u16, String)> {
        let mut request = self.http.direct().get(format!("{}/{path}", self.base));
        if let Some(token) = &self.token {
            request = request.bearer_auth(token.expose_secret());
        }
        let answer = request.send().await.map_err(|error| {
            let why = if error.is_connect() { "nobody listens there" } else { "no answer in time" };
            anyhow!("{}: {why} ({})", self.base, error.without_url())
        })?;
        let status = answer.status().as_u16();
        Ok((status, answer.text().await?))
    }

    /// A view; `None` for 404. `locked` is why the store was not asked.
    async fn fetch<T: DeserializeOwned>(&self, path: &str, locked: &StoreError) -> anyhow::Result<Option<T>> {
        let both = |error: &dyn Display| anyhow!("{locked}; and no worker can be asked: {error}");
        let (status, body) = self.get(path).await.map_err(|error| both(&super::with_causes(&error)))?;
        match status {
            200 => Ok(Some(serde_json::from_str(&body).map_err(|error| both(&error))?)),
            404 => Ok(None),
            401 => bail!("the worker at {} wants another token; set token in [server]", self.base),
            _ => {
                bail!("the worker at {} answered {status}: {}", self.base, super::output::clean(body.trim()))
            }
        }
    }
}

/// An address to connect to, for one to listen on.
fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::server::sample::{SampleStore, bridge, defender};
    use crate::server::{AppState, bind, serve};
    use crate::telemetry::{Metrics, Telemetry};

    /// A worker whose server is up, seen from another process.
    async fn worker() -> Source {
        let state = AppState {
            store: Arc::new(SampleStore::new()),
            telemetry: Telemetry::new(Metrics::local().unwrap()),
            bridges: vec![bridge()],
            token: None,
            hooks: crate::server::Hooks::default(),
        };
        let listener = bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(serve(listener, state, std::future::pending()));
        let http = Http::new(&ClientOptions::default()).unwrap();
        Source::Worker(Worker { http, base, token: None }, StoreError("the store is in use".into()))
    }

    #[tokio::test]
    async fn a_worker_answers_like_the_store() {
        let (worker, store) = (worker().await, Source::Store(Arc::new(SampleStore::new()), vec![bridge()]));
        let list = worker.mappings(None, 5000).await.unwrap();
        assert_eq!(list, store.mappings(None, 5000).await.unwrap());
        let id = list.mappings[0].id;
        assert_eq!(worker.story(id).await.unwrap(), store.story(id).await.unwrap());
        assert_eq!(worker.explain(&defender()).await.unwrap(), store.explain(&defender()).await.unwrap());
        assert_eq!(worker.dead_letters().await.unwrap(), store.dead_letters().await.unwrap());
        assert!(worker.story(MappingId(1)).await.unwrap_err().to_string().contains("no mapping"));
    }

    #[tokio::test]
    async fn without_worker_both_reasons_are_given() {
        let unused = bind("127.0.0.1:0".parse().unwrap()).await.unwrap().local_addr().unwrap();
        let http = Http::new(&ClientOptions::default()).unwrap();
        let worker = Worker { http, base: format!("http://{unused}"), token: None };
        let source = Source::Worker(worker, StoreError("the store is in use".into()));
        let error = source.mappings(None, 1).await.unwrap_err().to_string();
        assert!(
            error.starts_with("the store is in use; and no worker can be asked: http://127.0.0.1"),
            "{error}"
        );
        assert!(error.contains("nobody listens there"), "{error}");
    }

    #[test]
    fn addresses_to_listen_on_become_addresses_to_ask() {
        assert_eq!(reachable("0.0.0.0:1".parse().unwrap()).to_string(), "127.0.0.1:1");
        assert_eq!(reachable("[::]:1".parse().unwrap()).to_string(), "[::1]:1");
        assert_eq!(
            explain_path(&"s/incident/a/b?c".parse().unwrap()),
            "api/v1/records/s/incident/a%2Fb%3Fc/explain"
        );
    }
}
