//! The dispatcher: routes the inbox to lanes, and runs lanes side by side, each by one task at a time.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::task::{Id, JoinSet};

use crate::model::{BridgeName, Mapping, MappingId, RecordRef, Snapshot};
use crate::reconcile::{Route, Rules, route};
use crate::store::{Change, StoreError};

use super::lane::{Event, Lane};
use super::orphans::Orphans;
use super::shell::{Listed, Shell, elsewhere};
use super::{crash, work};

/// Lanes worked on at the same time.
const MAX_LANES: usize = 32;
/// Inbox entries routed at a time.
const BATCH: usize = 256;
/// Longest sleep without news; a safety net only.
const MAX_SLEEP: Duration = Duration::from_secs(30);

type Woken = Option<(Timestamp, u8)>;
/// How a lane's turn ended: when it wants the next, and which shared entries it took.
type Turn = Result<(Woken, Vec<u64>), StoreError>;

/// State of the dispatcher; one task owns it.
pub(super) struct Dispatcher {
    shell: Arc<Shell>,
    /// Inbox entries by the lane that is to take them, oldest first.
    waiting: HashMap<MappingId, Vec<(u64, Snapshot)>>,
    /// Lanes by when they want to be woken.
    timers: BTreeSet<(Timestamp, u8, MappingId)>,
    wakes: HashMap<MappingId, (Timestamp, u8)>,
    running: HashMap<Id, MappingId>,
    busy: HashSet<MappingId>,
    /// Lanes that panicked; they rest until the next start.
    broken: HashSet<MappingId>,
    /// Entries that several bridges read: how many lanes have not taken them yet.
    shared: BTreeMap<u64, usize>,
    tasks: JoinSet<Turn>,
    routed: Option<u64>,
    listed: Arc<Listed>,
    orphans: Orphans,
}

/// A batch of inbox entries being routed. New mappings begin here, so that what follows them finds them.
#[derive(Default)]
struct Batch {
    adopted: BTreeMap<MappingId, Lane>,
    index: HashMap<(BridgeName, RecordRef), MappingId>,
    changes: Vec<Change>,
}

impl Batch {
    /// The mapping of a record, in this batch or in the store.
    fn find(
        &self,
        shell: &Shell,
        bridge: &BridgeName,
        record: &RecordRef,
    ) -> Result<Option<MappingId>, StoreError> {
        match self.index.get(&(bridge.clone(), record.clone())) {
            Some(id) => Ok(Some(*id)),
            None => shell.store().find(bridge, record),
        }
    }
}

impl Dispatcher {
    pub(super) fn new(shell: Arc<Shell>) -> Self {
        Self {
            shell,
            waiting: HashMap::new(),
            timers: BTreeSet::new(),
            wakes: HashMap::new(),
            running: HashMap::new(),
            busy: HashSet::new(),
            broken: HashSet::new(),
            shared: BTreeMap::new(),
            tasks: JoinSet::new(),
            routed: None,
            listed: Arc::default(),
            orphans: Orphans::default(),
        }
    }

    /// Runs until the worker stops, then lets the lanes in work finish their write.
    pub(super) async fn run(mut self) -> Result<(), StoreError> {
        self.recover().await?;
        let shell = Arc::clone(&self.shell);
        while !shell.stop.is_cancelled() {
            self.route().await?;
            self.start_lanes();
            tokio::select! {
                () = shell.stop.cancelled() => {}
                () = shell.inbox_grew.notified() => {}
                () = tokio::time::sleep(self.sleep()) => {}
                Some(done) = self.tasks.join_next_with_id() => self.finished(done).await?,
            }
        }
        while let Some(done) = self.tasks.join_next_with_id().await {
            self.finished(done).await?;
        }
        Ok(())
    }

    /// What was being sent when the worker ended may have been sent.
    pub(super) async fn recover(&mut self) -> Result<(), StoreError> {
        self.orphans = Orphans::load(self.shell.store())?;
        let mut lanes = BTreeSet::new();
        let mut after = None;
        loop {
            let intents = self.shell.store().outbox(after, BATCH)?;
            let Some(last) = intents.last() else { break };
            after = Some(last.id);
            lanes.extend(intents.iter().map(|intent| intent.id.mapping));
        }
        for id in lanes {
            let Some(mut lane) = self.shell.load(id)? else { continue };
            let step = self.shell.step(&mut lane, Event::Restarted, &self.listed);
            self.shell.commit(&lane.mapping, step.changes).await?;
            self.wake(id, lane.wake_at());
        }
        Ok(())
    }

    /// Routes the whole inbox.
    pub(super) async fn route(&mut self) -> Result<(), StoreError> {
        // Taken first, so that everything listed until then is routed when the lanes begin.
        self.listed = Arc::new(self.shell.listed());
        loop {
            while self.route_batch().await? {}
            let found = self.orphans.found(&self.shell)?;
            if found.is_empty() {
                return Ok(());
            }
            self.shell.store().commit(found).await?;
        }
    }

    /// Gives the most urgent lane its turn, right here. Returns whether there was one.
    pub(super) async fn work_one(&mut self) -> Result<bool, StoreError> {
        let Some(id) = self.next_lane() else { return Ok(false) };
        let (wake, taken) = self.turn(id).await?;
        self.wake(id, wake);
        self.release(taken).await?;
        Ok(true)
    }

    /// When the next lane wants to be woken.
    pub(super) fn next_wake(&self) -> Option<Timestamp> {
        self.timers.first().map(|(at, _, _)| *at)
    }

    /// Routes the next entries of the inbox. Returns whether there may be more.
    async fn route_batch(&mut self) -> Result<bool, StoreError> {
        let entries = self.shell.store().inbox(self.routed, BATCH)?;
        let Some(last) = entries.last().map(|(number, _)| *number) else { return Ok(false) };
        let full = entries.len() == BATCH;
        let mut batch = Batch::default();
        for (number, snapshot) in entries {
            self.route_entry(&mut batch, number, &snapshot)?;
        }
        let wakes: Vec<_> = batch.adopted.iter().map(|(id, lane)| (*id, lane.wake_at())).collect();
        crash::point("decide-before-commit");
        self.commit_batch(batch).await?;
        crash::point("decide-after-commit");
        for (id, wake) in wakes {
            self.wake(id, wake);
        }
        self.routed = Some(last);
        Ok(full)
    }

    fn route_entry(&mut self, batch: &mut Batch, number: u64, snapshot: &Snapshot) -> Result<(), StoreError> {
        let shell = Arc::clone(&self.shell);
        let mut lanes = Vec::new();
        for (bridge, rules) in &shell.parts.bridges {
            if !rules.policy.has(&snapshot.record.system) {
                continue;
            }
            match route(&rules.policy, snapshot, |record| batch.find(&shell, bridge, record))? {
                Route::Known(id) if !batch.adopted.contains_key(&id) => lanes.push(id),
                // Its records left it, but it is there, and may be in work.
                Route::New(id) if shell.store().mapping(id)?.is_some() => lanes.push(id),
                Route::Known(id) | Route::New(id) => Self::adopt(&shell, batch, id, rules, snapshot)?,
                Route::Ignored(reason) => {
                    batch.changes.extend(self.orphans.keep(snapshot));
                    tracing::debug!(record = %snapshot.record, bridge = %bridge, reason, "not taken up");
                }
            }
        }
        match lanes.len() {
            0 => batch.changes.push(Change::RemoveInbox(number)),
            1 => {}
            several => {
                self.shared.insert(number, several);
            }
        }
        for id in lanes {
            self.waiting.entry(id).or_default().push((number, snapshot.clone()));
        }
        Ok(())
    }

    /// A mapping that begins in this batch takes its records in right here.
    fn adopt(
        shell: &Shell,
        batch: &mut Batch,
        id: MappingId,
        rules: &Rules,
        snapshot: &Snapshot,
    ) -> Result<(), StoreError> {
        let bridge = &rules.policy.bridge;
        let mut lane = batch
            .adopted
            .remove(&id)
            .unwrap_or_else(|| Lane { mapping: Mapping::new(id, bridge.clone()), intents: Vec::new() });
        let elsewhere = elsewhere(&lane.mapping, snapshot, |record| batch.find(shell, bridge, record))?;
        let event = Event::Observed { snapshots: vec![snapshot.clone()], elsewhere };
        let step = shell.step(&mut lane, event, &Listed::new());
        batch.changes.extend(step.changes);
        for (name, _) in lane.mapping.names() {
            batch.index.insert((bridge.clone(), name.clone()), id);
        }
        batch.adopted.insert(id, lane);
        Ok(())
    }

    async fn commit_batch(&mut self, batch: Batch) -> Result<(), StoreError> {
        let Batch { adopted, changes, .. } = batch;
        if adopted.is_empty() && !changes.is_empty() {
            return self.shell.store().commit(changes).await;
        }
        self.shell.commit_of(changes, |id| Some(&adopted.get(&id)?.mapping)).await
    }

    /// Routes everything, and lets every lane take its entries in, but deliver nothing.
    pub(super) async fn observe_all(&mut self) -> Result<(), StoreError> {
        while self.route_batch().await? {}
        for (id, inbox) in std::mem::take(&mut self.waiting) {
            work::take_in(&self.shell, id, inbox).await?;
        }
        Ok(())
    }

    fn start_lanes(&mut self) {
        while self.tasks.len() < MAX_LANES {
            let Some(id) = self.next_lane() else { return };
            let turn = self.turn(id);
            let task = self.tasks.spawn(turn);
            self.running.insert(task.id(), id);
            self.busy.insert(id);
        }
    }

    /// The next turn of a lane, with what waits for it.
    fn turn(&mut self, id: MappingId) -> impl Future<Output = Turn> + Send + use<> {
        let inbox = self.waiting.remove(&id).unwrap_or_default();
        self.forget_timer(id);
        let keep: Vec<u64> = inbox.iter().map(|(n, _)| *n).filter(|n| self.shared.contains_key(n)).collect();
        let (shell, listed) = (Arc::clone(&self.shell), Arc::clone(&self.listed));
        async move {
            let wake = work::work(&shell, id, inbox, &keep, &listed).await?;
            Ok((wake, keep))
        }
    }

    /// The most urgent lane that is not in work: news first, then what is due, by priority.
    fn next_lane(&self) -> Option<MappingId> {
        let free = |id: &MappingId| !self.busy.contains(id) && !self.broken.contains(id);
        if let Some(id) = self.waiting.keys().copied().filter(free).min() {
            return Some(id);
        }
        let now = self.shell.now();
        let due = self.timers.iter().take_while(|(at, _, _)| *at <= now);
        due.filter(|(_, _, id)| free(id))
            .min_by_key(|(at, priority, _)| (*priority, *at))
            .map(|(_, _, id)| *id)
    }

    async fn finished(&mut self, done: Result<(Id, Turn), tokio::task::JoinError>) -> Result<(), StoreError> {
        let (task, result) = match done {
            Ok((task, result)) => (task, Some(result?)),
            Err(error) => {
                let id = self.running.get(&error.id()).copied();
                if let Some(id) = id {
                    self.broken.insert(id);
                    self.shell.parts.report.defect(id, &error.to_string());
                }
                (error.id(), None)
            }
        };
        let Some(id) = self.running.remove(&task) else { return Ok(()) };
        self.busy.remove(&id);
        let Some((wake, taken)) = result else { return Ok(()) };
        self.wake(id, wake);
        self.release(taken).await
    }

    /// Entries that every bridge's lane has taken leave the inbox.
    async fn release(&mut self, taken: Vec<u64>) -> Result<(), StoreError> {
        let mut changes = Vec::new();
        for number in taken {
            if let Some(left) = self.shared.get_mut(&number) {
                *left -= 1;
                if *left == 0 {
                    self.shared.remove(&number);
                    changes.push(Change::RemoveInbox(number));
                }
            }
        }
        if changes.is_empty() { Ok(()) } else { self.shell.store().commit(changes).await }
    }

    fn wake(&mut self, id: MappingId, wake: Woken) {
        self.forget_timer(id);
        if let Some((at, priority)) = wake {
            self.timers.insert((at, priority, id));
            self.wakes.insert(id, (at, priority));
        }
    }

    fn forget_timer(&mut self, id: MappingId) {
        if let Some((at, priority)) = self.wakes.remove(&id) {
            self.timers.remove(&(at, priority, id));
        }
    }

    fn sleep(&self) -> Duration {
        // A lane in work, or one that panicked in its work, has no timer.
        let first = self.next_wake().filter(|_| self.tasks.len() < MAX_LANES);
        let Some(at) = first else { return MAX_SLEEP };
        let wait = at.duration_since(self.shell.now());
        Duration::try_from(wait).unwrap_or(Duration::ZERO).clamp(Duration::from_millis(1), MAX_SLEEP)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::engine::poll_tests::Nobody;
    use crate::engine::shell::{Clock, Parts};
    use crate::engine::testing::snapshot;
    use crate::model::Lifecycle;
    use crate::reconcile::testing::rules;
    use crate::store::MemoryStore;
    use tokio_util::sync::CancellationToken;

    #[tokio::test]
    async fn a_merge_that_comes_in_one_batch_with_both_incidents_leaves_each_record_one_mapping() {
        let rules = rules();
        let (bridge, target) = (rules.policy.bridge.clone(), "defender/incident/9".parse().unwrap());
        let parts = Parts {
            store: Arc::new(MemoryStore::new()),
            systems: BTreeMap::new(),
            bridges: BTreeMap::from([(bridge.clone(), rules)]),
            report: Arc::new(Nobody),
            seed: 1,
            clock: Clock::system(),
        };
        let shell = Arc::new(Shell::new(parts, CancellationToken::new()));
        let mut merged = snapshot("defender/incident/1", 3, "redirected");
        merged.lifecycle = Lifecycle::Redirected { to: Some(target) };
        let seen = [
            snapshot("defender/incident/1", 1, "active"),
            snapshot("defender/incident/9", 2, "active"),
            merged,
        ];
        let pushed = seen.map(|snapshot| Change::PushInbox(Box::new(snapshot)));
        shell.store().commit(pushed.into()).await.unwrap();
        Dispatcher::new(Arc::clone(&shell)).route_batch().await.unwrap();
        let mappings = shell.store().mappings(None, 10).unwrap();
        let members: Vec<usize> = mappings.iter().map(|mapping| mapping.members.len()).collect();
        assert_eq!(members, [1, 1], "{mappings:#?}");
        assert_eq!(shell.store().counts().inbox, 0);
    }
}
