//! A simulated service as the worker meets it: the same trait as the real connectors.
//!
//! A call that is killed never answers. All others answer at once, so no step of the worker ever waits.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;

use crate::connectors::{Brief, Connector, Depth, Opening, Page, PageToken, Probe, Written};
use crate::http::{CallError, CallSite, NotSentCause};
use crate::model::{CommentKey, Patch, RecordId, RecordKind, RecordRef, Snapshot, SystemName};

use super::plan::Fault;
use super::remote::{Refusal, count};
use super::world::{Begin, World, plain};

/// How long after an unknown outcome the worker reads back; longer than any read is stale and any request late.
pub(crate) const SETTLE: Duration = Duration::from_secs(30);
/// How far before its cursor a list begins; longer than any list lags.
pub(crate) const OVERLAP: Duration = Duration::from_mins(2);

/// The world, shared by the worker's connectors, its store and whoever plays the history.
pub(crate) type SharedWorld = Arc<Mutex<World>>;

/// The world, to look at and to change.
pub(crate) fn lock(world: &SharedWorld) -> MutexGuard<'_, World> {
    world.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Nothing comes back from a worker that was killed.
pub(super) async fn killed() -> ! {
    std::future::pending::<std::convert::Infallible>().await;
    unreachable!("it never ends")
}

/// One simulated service.
pub(crate) struct SimConnector {
    pub(super) world: SharedWorld,
    pub(super) at: usize,
    name: SystemName,
    collections: Vec<RecordKind>,
    chosen_comment_ids: bool,
}

pub(super) type Call<T> = Option<Result<T, CallError>>;

impl SimConnector {
    /// The service at a place of the bridge.
    pub(crate) fn new(world: &SharedWorld, at: usize) -> Self {
        let guard = lock(world);
        let remote = &guard.remotes[at];
        let mut collections = vec![remote.habits.main];
        collections.extend(remote.habits.has_alerts.then_some(RecordKind::Alert));
        let (name, chosen_comment_ids) = (remote.name.clone(), remote.habits.chosen_comment_ids);
        drop(guard);
        Self { world: Arc::clone(world), at, name, collections, chosen_comment_ids }
    }

    pub(super) fn site(&self, operation: &'static str) -> CallSite {
        CallSite::new(self.name.as_str(), operation)
    }

    pub(super) fn unknown(&self, operation: &'static str) -> CallError {
        let message = "simulated".to_owned();
        CallError::Unknown { site: Box::new(self.site(operation)), status: None, message, retry_after: None }
    }

    pub(super) fn not_found(&self, operation: &'static str) -> CallError {
        let (site, message) = (Box::new(self.site(operation)), "simulated".to_owned());
        CallError::Gone { site, status: 404, code: String::new(), message }
    }

    pub(super) fn refused(&self, refusal: Refusal, operation: &'static str) -> CallError {
        let (site, code, message) = (Box::new(self.site(operation)), String::new(), "simulated".to_owned());
        match refusal {
            Refusal::Conflict => CallError::Conflict { site, status: 412, code, message },
            Refusal::Invalid => CallError::Refused { site, status: 400, code, message },
            Refusal::NotFound => CallError::Gone { site, status: 404, code, message },
        }
    }

    /// What keeps a call from being executed at all; else the fault that lies on it.
    pub(super) fn begin(&self, world: &mut World, operation: &'static str) -> Call<Option<Fault>> {
        let site = || Box::new(self.site(operation));
        Some(match world.begin_call(self.at) {
            Begin::Killed => return None,
            Begin::Away => Err(CallError::NotSent {
                site: site(),
                cause: NotSentCause::Connect("simulated".to_owned()),
                retry_after: None,
            }),
            Begin::Denied => {
                let (code, message) = (String::new(), "simulated".to_owned());
                Err(CallError::Denied { site: site(), status: 403, code, message })
            }
            Begin::Stranger if operation == "read" => Err(self.not_found(operation)),
            Begin::Stranger => {
                let (code, message) = (String::new(), "simulated: a stranger".to_owned());
                Err(CallError::Denied { site: site(), status: 401, code, message })
            }
            Begin::Open(Some(Fault::Elsewhere)) => {
                let (code, message) = (String::new(), "simulated: 404 page not found".to_owned());
                Err(CallError::NotFound { site: site(), status: 404, code, message })
            }
            Begin::Open(Some(Fault::Nonsense)) if matches!(operation, "list" | "read" | "find") => {
                let (message, too_large) = ("simulated: a success of no use".to_owned(), false);
                Err(CallError::Malformed { site: site(), status: 200, message, too_large })
            }
            Begin::Open(Some(Fault::Throttled)) => Err(CallError::Throttled {
                site: site(),
                retry_after: Some(Duration::from_secs(u64::try_from(world.random(1, 40)).unwrap_or(1))),
                message: "simulated".to_owned(),
            }),
            Begin::Open(fault) => Ok(fault),
        })
    }

    /// The answer is on its way; the worker may be killed before it arrives.
    pub(super) fn answer<T>(world: &mut World, result: Result<T, CallError>) -> Call<T> {
        (!world.is_killed_here()).then_some(result)
    }

    fn listed(&self, kind: RecordKind, since: Timestamp, page: Option<&PageToken>) -> Call<Page> {
        let mut world = lock(&self.world);
        world.calls.lists += 1;
        match self.begin(&mut world, "list")? {
            Ok(Some(Fault::Broken | Fault::LostAfter | Fault::LostBefore)) => {
                return Some(Err(self.unknown("list")));
            }
            Ok(_) => {}
            Err(error) => return Some(Err(error)),
        }
        let after = page.and_then(|token| {
            let (at, id) = token.0.split_once(' ')?;
            Some((at.parse::<Timestamp>().ok()?, RecordId::new(id).ok()?))
        });
        let (now, size) = (world.clock.now(), world.scene.page);
        let remote = &world.remotes[self.at];
        let (snapshots, more) = remote.list(now, kind, since, after.as_ref(), size);
        let last = snapshots.last().map(|s| PageToken(format!("{} {}", s.modified, s.record.id)));
        let server_time = Some(now + remote.skew);
        let page = Page { snapshots, server_time, next: last.filter(|_| more), ..Page::default() };
        Self::answer(&mut world, Ok(page))
    }

    fn read_now(&self, record: &RecordRef, depth: Depth, by_key: bool) -> Call<Snapshot> {
        let mut world = lock(&self.world);
        world.calls.reads += 1;
        let operation = if by_key { "find" } else { "read" };
        let fault = match self.begin(&mut world, operation)? {
            Ok(fault) => fault,
            Err(error) => return Some(Err(error)),
        };
        if matches!(fault, Some(Fault::Broken | Fault::LostBefore | Fault::LostAfter)) {
            return Some(Err(self.unknown(operation)));
        }
        let (now, stale) = (world.clock.now(), fault == Some(Fault::Stale));
        let remote = &world.remotes[self.at];
        let is_ticket = record.kind == RecordKind::Ticket;
        let found = if by_key && is_ticket {
            remote.find(now, record, depth, stale)
        } else {
            remote.read(now, &record.id, depth, stale).filter(|_| !world.is_hidden(self.at, &record.id))
        };
        if let Some(snapshot) = &found {
            // A stale read shows what was true before the latest change.
            let id = &snapshot.record.id;
            let is_last = remote.current(id).is_some_and(|v| Some(v.revision) == count(&snapshot.revision));
            let shown = if is_last { now } else { remote.began(id, &snapshot.revision).unwrap_or(now) };
            let place = (self.at, id.clone());
            world.doubts.read(&place, now, shown, &snapshot.native);
        }
        let result = found.ok_or_else(|| self.not_found(operation));
        world.say(|| match &result {
            Ok(s) => format!(
                "lockstep reads {}{}: {}",
                s.record,
                if stale { " (stale)" } else { "" },
                plain(&s.native)
            ),
            Err(_) => format!("lockstep finds no {record}{}", if stale { " (stale)" } else { "" }),
        });
        Self::answer(&mut world, result)
    }
}

async fn or_killed<T>(call: Call<T>) -> Result<T, CallError> {
    match call {
        Some(result) => result,
        None => killed().await,
    }
}

#[async_trait]
impl Connector for SimConnector {
    fn system(&self) -> &SystemName {
        &self.name
    }

    fn collections(&self) -> &[RecordKind] {
        &self.collections
    }

    fn settle_time(&self) -> Duration {
        SETTLE
    }

    fn overlap(&self) -> Duration {
        OVERLAP
    }

    async fn list(
        &self,
        kind: RecordKind,
        since: Timestamp,
        page: Option<&PageToken>,
    ) -> Result<Page, CallError> {
        or_killed(self.listed(kind, since, page)).await
    }

    async fn read(&self, record: &RecordRef, depth: Depth) -> Result<Snapshot, CallError> {
        or_killed(self.read_now(record, depth, false)).await
    }

    async fn update(&self, current: &Snapshot, patch: &Patch) -> Result<Written, CallError> {
        or_killed(self.updated(current, patch)).await
    }

    async fn find(&self, planned: &RecordRef, depth: Depth) -> Result<Option<Snapshot>, CallError> {
        match or_killed(self.read_now(planned, depth, true)).await {
            Ok(snapshot) => Ok(Some(snapshot)),
            Err(CallError::Gone { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn create(&self, planned: &RecordRef, opening: &Opening) -> Result<Written, CallError> {
        or_killed(self.created(planned, opening)).await
    }

    async fn brief(&self, _record: &RecordRef) -> Result<Option<Brief>, CallError> {
        Ok(None)
    }

    fn chooses_comment_ids(&self) -> bool {
        self.chosen_comment_ids
    }

    async fn comment(&self, current: &Snapshot, key: &CommentKey, text: &str) -> Result<Written, CallError> {
        or_killed(self.commented(current, key, text)).await
    }

    async fn probe(&self) -> Vec<Probe> {
        Vec::new()
    }
}
