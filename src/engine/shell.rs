//! The async shell: moves events into the pure steps and their effects out, and commits in between.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use rand::SeedableRng;
use rand::rngs::StdRng;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::connectors::Connector;
use crate::model::{BridgeName, Lifecycle, Mapping, MappingId, RecordRef, Snapshot, SystemName};
use crate::reconcile::Rules;
use crate::store::{Change, Store, StoreError};

use super::lane::{Context, Event, Lane, Step};
use super::report::Report;

/// One configured system with how often it is polled.
#[derive(Clone)]
pub struct Watched {
    /// Its connector.
    pub connector: Arc<dyn Connector>,
    /// How often its collections are listed.
    pub poll: Duration,
}

/// What tells our time (UTC). The simulation has a clock of its own.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> Timestamp + Send + Sync>);

impl Clock {
    /// The machine's clock.
    pub fn system() -> Self {
        Self::of(Timestamp::now)
    }

    /// A clock that shows what `now` says.
    pub fn of(now: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    pub(super) fn now(&self) -> Timestamp {
        (self.0)()
    }
}

/// What the engine runs on.
pub struct Parts {
    /// The store.
    pub store: Arc<dyn Store>,
    /// The systems, by name.
    pub systems: BTreeMap<SystemName, Watched>,
    /// The bridges.
    pub bridges: BTreeMap<BridgeName, Rules>,
    /// Who is told.
    pub report: Arc<dyn Report>,
    /// Seed of all jitter.
    pub seed: u64,
    /// Our clock.
    pub clock: Clock,
}

/// By system: when the last complete list began (our clock).
pub(super) type Listed = HashMap<SystemName, Timestamp>;

/// What the engine's tasks share.
pub(super) struct Shell {
    pub(super) parts: Parts,
    pub(super) stop: CancellationToken,
    /// Rung when the inbox grew.
    pub(super) inbox_grew: Notify,
    /// By system: when the last complete list began (our clock).
    listed: Mutex<Listed>,
    rng: Mutex<StdRng>,
    settle: HashMap<SystemName, SignedDuration>,
}

impl Shell {
    pub(super) fn new(parts: Parts, stop: CancellationToken) -> Self {
        let settle = parts
            .systems
            .iter()
            .map(|(name, s)| {
                (name.clone(), SignedDuration::try_from(s.connector.settle_time()).unwrap_or_default())
            })
            .collect();
        let rng = Mutex::new(StdRng::seed_from_u64(parts.seed));
        Self { parts, stop, inbox_grew: Notify::new(), listed: Mutex::default(), rng, settle }
    }

    pub(super) fn store(&self) -> &dyn Store {
        &*self.parts.store
    }

    pub(super) fn now(&self) -> Timestamp {
        self.parts.clock.now()
    }

    /// A system's connector. Systems that the configuration no longer has are `None`.
    pub(super) fn connector(&self, system: &SystemName) -> Option<&Arc<dyn Connector>> {
        self.parts.systems.get(system).map(|watched| &watched.connector)
    }

    /// Whether a system takes comment ids of our choice.
    pub(super) fn chooses_comment_ids(&self, system: &SystemName) -> bool {
        self.connector(system).is_some_and(|connector| connector.chooses_comment_ids())
    }

    /// Loads a lane. `None` where the mapping or its bridge is unknown (removed from the configuration).
    pub(super) fn load(&self, id: MappingId) -> Result<Option<Lane>, StoreError> {
        let Some(mapping) = self.store().mapping(id)? else { return Ok(None) };
        if !self.parts.bridges.contains_key(&mapping.bridge) {
            return Ok(None);
        }
        Ok(Some(Lane { mapping, intents: self.store().intents(id)? }))
    }

    /// What has been listed so far; to be taken before the inbox is routed.
    pub(super) fn listed(&self) -> Listed {
        self.listed.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Everything that a system showed from `began` on is in the inbox.
    pub(super) fn set_listed(&self, system: &SystemName, began: Timestamp) {
        self.listed.lock().unwrap_or_else(PoisonError::into_inner).insert(system.clone(), began);
    }

    /// One pure step of a lane, by our clock. `listed` is what was listed and routed before the lane began its turn.
    pub(super) fn step(&self, lane: &mut Lane, event: Event, listed: &Listed) -> Step {
        let Some(rules) = self.parts.bridges.get(&lane.mapping.bridge) else { return Step::default() };
        let settle =
            |system: &SystemName| self.settle.get(system).copied().unwrap_or(SignedDuration::from_mins(1));
        let mut rng = self.rng.lock().unwrap_or_else(PoisonError::into_inner);
        let mut context = Context {
            rules,
            now: self.now(),
            settle: &settle,
            listed: &|system| listed.get(system).copied(),
            chooses_comment_ids: &|system| self.chooses_comment_ids(system),
            rng: &mut rng,
        };
        lane.step(event, &mut context)
    }

    /// Commits, and then tells about what became history.
    pub(super) async fn commit(&self, lane: &Mapping, changes: Vec<Change>) -> Result<(), StoreError> {
        self.commit_of(changes, |_| Some(lane)).await
    }

    /// The same for several mappings at once; `lane` finds the one that an entry of the history belongs to.
    pub(super) async fn commit_of<'a>(
        &self,
        changes: Vec<Change>,
        lane: impl Fn(MappingId) -> Option<&'a Mapping>,
    ) -> Result<(), StoreError> {
        if changes.is_empty() {
            return Ok(());
        }
        let history: Vec<_> = changes
            .iter()
            .filter_map(
                |change| if let Change::Audit(entry) = change { Some((**entry).clone()) } else { None },
            )
            .collect();
        self.store().commit(changes).await?;
        for (entry, lane) in history.iter().filter_map(|entry| Some((entry, lane(entry.mapping)?))) {
            self.parts.report.history(entry, lane);
        }
        self.parts.report.depths(self.store().counts());
        Ok(())
    }
}

/// The records a snapshot links to that belong to other mappings of the bridge. `find` looks them up.
pub(super) fn elsewhere(
    mapping: &Mapping,
    snapshot: &Snapshot,
    find: impl Fn(&RecordRef) -> Result<Option<MappingId>, StoreError>,
) -> Result<Vec<RecordRef>, StoreError> {
    let redirect = match &snapshot.lifecycle {
        Lifecycle::Redirected { to } => to.as_ref(),
        Lifecycle::Present | Lifecycle::Gone => None,
    };
    let mut elsewhere = Vec::new();
    for link in snapshot.links.iter().chain(redirect) {
        if find(link)?.is_some_and(|id| id != mapping.id) {
            elsewhere.push(link.clone());
        }
    }
    Ok(elsewhere)
}
