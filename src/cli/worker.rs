//! From a checked configuration to a running worker: connectors, store, server, engine.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use secrecy::ExposeSecret;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::config::{Config, System};
use crate::connectors::sidecar::Mailbox;
use crate::connectors::{Connector, SystemSettings, connect};
use crate::engine::{Clock, Engine, Hints, Parts, Watched};
use crate::http::{CallObserver, Http};
use crate::model::{BridgeName, SystemName};
use crate::reconcile::{MarkerKey, Rules};
use crate::server::{self, AppState, Hooks};
use crate::sidecar::{SecretFault, Service, SigningKey, StoreMailbox};
use crate::store::{SledStore, Store, StoreError};
use crate::telemetry::{Event, Telemetry};

/// How long a stopping worker may take for the writes that are under way.
const DRAIN: Duration = Duration::from_secs(9);
/// How often the worker looks whether its store is still where it was.
const LOOK_AFTER_STORE: Duration = Duration::from_secs(2);

/// Runs the worker until `stop` is cancelled, then lets writes in flight finish within ten seconds.
///
/// # Errors
/// What keeps it from starting (store, port, client), and a store that fails while it runs.
pub(super) async fn run(
    config: &Config,
    telemetry: &Telemetry,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    if let Some((system, fault)) = unfit_webhook_secrets(config).into_iter().next() {
        anyhow::bail!("{system}: {fault}");
    }
    let on_disk = SledStore::open(&config.store.path)?;
    let store: Arc<dyn Store> = Arc::clone(&on_disk) as Arc<dyn Store>;
    let observer: Arc<dyn CallObserver> = Arc::new(telemetry.metrics().clone());
    let mailboxes = mailboxes(config, &store)?;
    let systems = systems(config, Some(&observer), &mailboxes)?;
    for (name, watched) in &systems {
        for kind in watched.connector.collections() {
            telemetry.health().watch(name, *kind, watched.poll);
        }
    }
    for ((system, kind), cursor) in store.cursors()? {
        telemetry.set_cursor(&system, kind, cursor);
    }
    let listener = server::bind(config.server.listen).await?;
    tracing::info!(listen = %listener.local_addr().context("the server has no address")?, "lockstep runs; the status page is at /");
    let sidecars = sidecars(config, mailboxes).await?;
    let bridges = rules(config, &*store)?;
    let hints = Hints::default();
    let hooks = systems.values().filter_map(|s| Some((s.connector.system().clone(), s.connector.hook()?)));
    let state = AppState {
        store: Arc::clone(&store),
        telemetry: telemetry.clone(),
        bridges: bridges.keys().cloned().collect(),
        token: config.server.token.clone(),
        hooks: Hooks::new(hooks, hints.clone()),
    };
    telemetry.set_depths(store.counts());
    let report = Arc::new(telemetry.clone());
    let parts = Parts { store, systems, bridges, report, seed: rand::random(), clock: Clock::system() };
    // The server outlives the engine, so that whoever asks while it drains is told so.
    let ended = CancellationToken::new();
    let serving = tokio::spawn(server::serve(listener, state, ended.clone().cancelled_owned()));
    let http = Http::new(&config.http)?;
    let mailing: JoinSet<()> =
        sidecars.into_iter().map(|service| service.run(http.clone(), ended.clone())).collect();
    let health = telemetry.health().clone();
    let draining = stop.clone();
    tokio::spawn(async move {
        draining.cancelled().await;
        health.set_draining();
    });
    let outcome = tokio::select! {
        outcome = drained(Engine::new(parts, stop.clone()).following(hints), &stop) => outcome,
        // What is under way cannot be remembered any more, so nothing is gained by waiting for it.
        error = out_of_place(&on_disk) => Err(error.into()),
    };
    ended.cancel();
    let rest = async { (serving.await, mailing.join_all().await) };
    let _ = tokio::time::timeout(Duration::from_millis(500), rest).await;
    if let Err(error) = &outcome {
        telemetry.emit(&Event::StoreFailed { error: &error.to_string() });
    }
    outcome
}

/// The engine, but no longer than the drain time after it was told to stop. What a late write did is found out at the
/// next start, as after a kill.
async fn drained(engine: Engine, stop: &CancellationToken) -> anyhow::Result<()> {
    let patience = async {
        stop.cancelled().await;
        tokio::time::sleep(DRAIN).await;
    };
    tokio::select! {
        ended = engine.run() => Ok(ended?),
        () = patience => {
            tracing::warn!("a call did not end in time; its outcome is read back at the next start");
            Ok(())
        }
    }
}

/// Waits until the store is not at its path any more. A worker without news commits nothing, and would not notice.
async fn out_of_place(store: &SledStore) -> StoreError {
    loop {
        tokio::time::sleep(LOOK_AFTER_STORE).await;
        if let Err(error) = store.in_place() {
            return error;
        }
    }
}

/// The connectors of all configured systems. Nothing is sent yet.
pub(super) fn systems(
    config: &Config,
    observer: Option<&Arc<dyn CallObserver>>,
    mailboxes: &Mailboxes,
) -> anyhow::Result<BTreeMap<SystemName, Watched>> {
    let http = Http::new(&config.http)?;
    let mut systems = BTreeMap::new();
    for system in &config.systems {
        let connector: Arc<dyn Connector> =
            connect(&settings(system, config, mailboxes), &http, observer.cloned())?;
        systems.insert(system.name.clone(), Watched { connector, poll: system.poll });
    }
    Ok(systems)
}

/// The rules of all bridges.
pub(super) fn rules(config: &Config, store: &dyn Store) -> anyhow::Result<BTreeMap<BridgeName, Rules>> {
    let marker = match &config.store.marker_key {
        Some(secret) => MarkerKey::from_secret(secret.resolve()?.expose_secret()),
        None => MarkerKey::new(store.marker_key()),
    };
    let rules = |policy: &crate::reconcile::Policy| Rules { policy: policy.clone(), marker: marker.clone() };
    Ok(config.bridges.iter().map(|policy| (policy.bridge.clone(), rules(policy))).collect())
}

/// The settings of a system, with what only the whole configuration tells.
pub(super) fn settings(system: &System, config: &Config, mailboxes: &Mailboxes) -> SystemSettings {
    let mut settings = system.settings.clone();
    match &mut settings {
        SystemSettings::Sentinel(sentinel) => {
            sentinel.peer = peer(&system.name, &sentinel.tenant_id, config);
        }
        SystemSettings::Sidecar(sidecar) => {
            let mailbox = mailboxes.get(&system.name).cloned();
            sidecar.mailbox = mailbox.map(|mailbox| Arc::new(mailbox) as Arc<dyn Mailbox>);
        }
        _ => {}
    }
    settings
}

/// The mailboxes of the sidecars.
pub(super) type Mailboxes = BTreeMap<SystemName, StoreMailbox>;

/// Opens the mailboxes of all sidecars.
pub(super) fn mailboxes(config: &Config, store: &Arc<dyn Store>) -> anyhow::Result<Mailboxes> {
    let mut mailboxes = Mailboxes::new();
    for system in &config.systems {
        if let SystemSettings::Sidecar(settings) = &system.settings {
            mailboxes.insert(settings.name.clone(), StoreMailbox::open(&settings.name, Arc::clone(store))?);
        }
    }
    Ok(mailboxes)
}

/// The webhooks' secrets with which no message could ever be signed. One that cannot be read now is none of them: a
/// file may still come.
pub(super) fn unfit_webhook_secrets(config: &Config) -> Vec<(SystemName, SecretFault)> {
    let fault = |system: &System| {
        let SystemSettings::Sidecar(settings) = &system.settings else { return None };
        let secret = settings.webhook.as_ref()?.secret.resolve().ok()?;
        Some((system.name.clone(), SigningKey::parse(&secret).err()?))
    };
    config.systems.iter().filter_map(fault).collect()
}

/// Takes the addresses of all sidecars' APIs.
async fn sidecars(config: &Config, mut mailboxes: Mailboxes) -> anyhow::Result<Vec<Service>> {
    let mut services = Vec::new();
    for system in &config.systems {
        if let (SystemSettings::Sidecar(settings), Some(mailbox)) =
            (&system.settings, mailboxes.remove(&system.name))
        {
            services.push(Service::bind(settings, mailbox).await?);
        }
    }
    Ok(services)
}

/// The Defender system whose incidents a Sentinel workspace names: one of its bridges, of the same tenant.
fn peer(sentinel: &SystemName, tenant: &str, config: &Config) -> Option<SystemName> {
    let bridged =
        |other: &System| config.bridges.iter().any(|policy| policy.has(&other.name) && policy.has(sentinel));
    let tenant_of = |system: &System| match &system.settings {
        SystemSettings::Defender(settings) => Some((system.name.clone(), settings.tenant_id.clone())),
        _ => None,
    };
    let defenders: Vec<(SystemName, String)> =
        config.systems.iter().filter(|s| bridged(s)).filter_map(tenant_of).collect();
    let same = defenders.iter().find(|(_, own)| own.eq_ignore_ascii_case(tenant));
    // One may name its tenant by a domain, or leave it to the environment: a sole candidate is meant all the same.
    let sole = if let [sole] = &defenders[..] { Some(sole) } else { None };
    same.or(sole).map(|(name, _)| name.clone())
}
