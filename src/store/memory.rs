//! The memory twin: the same answers as the store on disk, and a power cut on demand.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use jiff::Timestamp;

use super::plan::is_dead;
use super::{AUDIT_LIMIT, Change, Counts, Document, Store, StoreError};
use crate::model::{
    AuditEntry, BridgeName, Intent, IntentId, Mapping, MappingId, RecordKind, RecordRef, Snapshot, SystemName,
};

/// A store in memory, for simulation. [`Store::commit`] applies and syncs; a simulator calls the steps one by one:
/// [`MemoryStore::apply`] makes changes visible, [`MemoryStore::sync`] durable, and [`MemoryStore::crash`] forgets
/// what was not synced.
#[derive(Debug)]
pub struct MemoryStore {
    inner: Mutex<Inner>,
    marker_key: [u8; 32],
}

#[derive(Debug, Default)]
struct Inner {
    visible: State,
    durable: State,
    /// What `visible` has and `durable` has not.
    unsynced: Vec<Change>,
    failure: Option<StoreError>,
}

#[derive(Debug, Clone, Default)]
struct State {
    mappings: BTreeMap<MappingId, Mapping>,
    index: BTreeMap<(BridgeName, RecordRef), MappingId>,
    intents: BTreeMap<IntentId, Intent>,
    inbox: BTreeMap<u64, Snapshot>,
    last_inbox: u64,
    cursors: BTreeMap<(SystemName, RecordKind), Timestamp>,
    audit: BTreeMap<MappingId, VecDeque<AuditEntry>>,
    documents: BTreeMap<(String, String), serde_json::Value>,
    dead: u64,
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

impl MemoryStore {
    /// An empty store. Its marker key is fixed, so that simulations repeat.
    pub fn new() -> Self {
        Self { inner: Mutex::default(), marker_key: *b"a fixed key of the memory store " }
    }

    /// Makes changes visible, all or none, but not durable.
    pub fn apply(&self, changes: Vec<Change>) -> Result<(), StoreError> {
        let mut inner = self.usable()?;
        for change in &changes {
            inner.visible.apply(change);
        }
        inner.unsynced.extend(changes);
        Ok(())
    }

    /// Makes durable what was applied.
    pub fn sync(&self) -> Result<(), StoreError> {
        let mut guard = self.usable()?;
        let inner = &mut *guard;
        for change in inner.unsynced.drain(..) {
            inner.durable.apply(&change);
        }
        Ok(())
    }

    /// A power cut and a new start: what was not synced is gone, and so is a failure.
    pub fn crash(&self) {
        let mut inner = self.lock();
        inner.unsynced.clear();
        inner.durable.last_inbox = inner.durable.inbox.last_key_value().map_or(0, |(number, _)| *number);
        inner.visible = inner.durable.clone();
        inner.failure = None;
    }

    /// From now on everything fails with this reason, as after a disk error, until [`MemoryStore::crash`].
    pub fn fail(&self, why: &str) {
        self.lock().failure.get_or_insert_with(|| StoreError(format!("the store in memory failed: {why}")));
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn usable(&self) -> Result<MutexGuard<'_, Inner>, StoreError> {
        let inner = self.lock();
        inner.failure.clone().map_or(Ok(inner), Err)
    }
}

impl State {
    fn apply(&mut self, change: &Change) {
        match change {
            Change::PutMapping(mapping) => self.put_mapping(mapping),
            Change::PutIntent(intent) => {
                self.remove_intent(intent.id);
                self.dead += u64::from(is_dead(intent));
                self.intents.insert(intent.id, (**intent).clone());
            }
            Change::RemoveIntent(id) => self.remove_intent(*id),
            Change::PushInbox(snapshot) => {
                self.last_inbox += 1;
                // The answer as received is never stored.
                let snapshot = Snapshot { raw: serde_json::Value::Null, ..(**snapshot).clone() };
                self.inbox.insert(self.last_inbox, snapshot);
            }
            Change::RemoveInbox(number) => {
                self.inbox.remove(number);
            }
            Change::PutCursor(system, kind, at) => {
                self.cursors.insert((system.clone(), *kind), *at);
            }
            Change::Audit(entry) => {
                let entries = self.audit.entry(entry.mapping).or_default();
                entries.push_back((**entry).clone());
                if entries.len() as u64 > AUDIT_LIMIT {
                    entries.pop_front();
                }
            }
            Change::PutDocument(document) => {
                let Document { drawer, key, value } = (**document).clone();
                self.documents.insert((drawer, key), value);
            }
            Change::RemoveDocument(drawer, key) => {
                self.documents.remove(&(drawer.clone(), key.clone()));
            }
        }
    }

    fn put_mapping(&mut self, mapping: &Mapping) {
        let key = |record: &RecordRef| (mapping.bridge.clone(), record.clone());
        if let Some(before) = self.mappings.insert(mapping.id, mapping.clone()) {
            for (name, _) in before.names().filter(|(name, _)| mapping.names().all(|(kept, _)| kept != *name))
            {
                if self.index.get(&key(name)) == Some(&mapping.id) {
                    self.index.remove(&key(name));
                }
            }
        }
        for (name, claimed) in mapping.names() {
            let entry = self.index.entry(key(name)).or_insert(mapping.id);
            if claimed {
                *entry = mapping.id;
            }
        }
    }

    fn remove_intent(&mut self, id: IntentId) {
        if let Some(before) = self.intents.remove(&id) {
            self.dead -= u64::from(is_dead(&before));
        }
    }
}

fn after<T>(key: Option<T>) -> (Bound<T>, Bound<T>) {
    (key.map_or(Bound::Unbounded, Bound::Excluded), Bound::Unbounded)
}

#[async_trait]
impl Store for MemoryStore {
    async fn commit(&self, changes: Vec<Change>) -> Result<(), StoreError> {
        self.apply(changes)?;
        self.sync()
    }

    fn mapping(&self, id: MappingId) -> Result<Option<Mapping>, StoreError> {
        Ok(self.usable()?.visible.mappings.get(&id).cloned())
    }

    fn find(&self, bridge: &BridgeName, record: &RecordRef) -> Result<Option<MappingId>, StoreError> {
        Ok(self.usable()?.visible.index.get(&(bridge.clone(), record.clone())).copied())
    }

    fn mappings(&self, after_id: Option<MappingId>, limit: usize) -> Result<Vec<Mapping>, StoreError> {
        let inner = self.usable()?;
        Ok(inner
            .visible
            .mappings
            .range(after(after_id))
            .take(limit)
            .map(|(_, mapping)| mapping.clone())
            .collect())
    }

    fn intents(&self, mapping: MappingId) -> Result<Vec<Intent>, StoreError> {
        let all = IntentId { mapping, number: 0 }..=IntentId { mapping, number: u32::MAX };
        Ok(self.usable()?.visible.intents.range(all).map(|(_, intent)| intent.clone()).collect())
    }

    fn outbox(&self, after_id: Option<IntentId>, limit: usize) -> Result<Vec<Intent>, StoreError> {
        let inner = self.usable()?;
        Ok(inner
            .visible
            .intents
            .range(after(after_id))
            .take(limit)
            .map(|(_, intent)| intent.clone())
            .collect())
    }

    fn inbox(&self, after_number: Option<u64>, limit: usize) -> Result<Vec<(u64, Snapshot)>, StoreError> {
        let inner = self.usable()?;
        let entries = inner.visible.inbox.range(after(after_number)).take(limit);
        Ok(entries.map(|(number, snapshot)| (*number, snapshot.clone())).collect())
    }

    fn cursors(&self) -> Result<BTreeMap<(SystemName, RecordKind), Timestamp>, StoreError> {
        Ok(self.usable()?.visible.cursors.clone())
    }

    fn audit(&self, mapping: MappingId) -> Result<Vec<AuditEntry>, StoreError> {
        let inner = self.usable()?;
        Ok(inner
            .visible
            .audit
            .get(&mapping)
            .map(|entries| entries.iter().cloned().collect())
            .unwrap_or_default())
    }

    fn document(&self, drawer: &str, key: &str) -> Result<Option<serde_json::Value>, StoreError> {
        Ok(self.usable()?.visible.documents.get(&(drawer.to_owned(), key.to_owned())).cloned())
    }

    fn documents(
        &self,
        drawer: &str,
        after_key: Option<&str>,
        limit: usize,
    ) -> Result<Vec<(String, serde_json::Value)>, StoreError> {
        let first = (drawer.to_owned(), after_key.unwrap_or_default().to_owned());
        let begin = if after_key.is_some() { Bound::Excluded(first) } else { Bound::Included(first) };
        let inner = self.usable()?;
        let found = inner.visible.documents.range((begin, Bound::Unbounded));
        let in_drawer = found.take_while(|((on, _), _)| on == drawer).take(limit);
        Ok(in_drawer.map(|((_, key), value)| (key.clone(), value.clone())).collect())
    }

    fn counts(&self) -> Counts {
        let state = &self.lock().visible;
        Counts {
            mappings: state.mappings.len() as u64,
            outbox: state.intents.len() as u64,
            dead: state.dead,
            inbox: state.inbox.len() as u64,
        }
    }

    fn marker_key(&self) -> [u8; 32] {
        self.marker_key
    }
}
