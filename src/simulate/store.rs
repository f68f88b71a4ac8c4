//! The memory store with a worker that can be killed before a commit, between commit and sync, and after it.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;

use crate::model::{
    AuditEntry, BridgeName, Intent, IntentId, Mapping, MappingId, RecordKind, RecordRef, Snapshot, SystemName,
};
use crate::store::{Change, Counts, MemoryStore, Store, StoreError};

use super::connector::{SharedWorld, killed, lock};

/// The store of one worker.
pub(crate) struct SimStore {
    inner: Arc<MemoryStore>,
    world: SharedWorld,
}

impl SimStore {
    /// A store that is killed when the world says so.
    pub(crate) fn new(inner: &Arc<MemoryStore>, world: &SharedWorld) -> Self {
        Self { inner: Arc::clone(inner), world: Arc::clone(world) }
    }

    /// Tells people who replay the history what lockstep notes in its own.
    fn tell(&self, changes: &[Change]) {
        let mut world = lock(&self.world);
        for change in changes {
            if let Change::Audit(entry) = change {
                world.say(|| format!("    notes on {}: {:?}", entry.record, entry.kind));
            }
        }
    }

    fn is_killed_here(&self) -> bool {
        lock(&self.world).is_killed_here()
    }
}

#[async_trait]
impl Store for SimStore {
    async fn commit(&self, changes: Vec<Change>) -> Result<(), StoreError> {
        if self.is_killed_here() {
            killed().await;
        }
        self.tell(&changes);
        if planted!(AckBeforeSync) {
            self.inner.sync()?;
            return self.inner.apply(changes);
        }
        self.inner.apply(changes)?;
        if self.is_killed_here() {
            killed().await;
        }
        self.inner.sync()?;
        if self.is_killed_here() {
            killed().await;
        }
        Ok(())
    }

    fn mapping(&self, id: MappingId) -> Result<Option<Mapping>, StoreError> {
        self.inner.mapping(id)
    }

    fn find(&self, bridge: &BridgeName, record: &RecordRef) -> Result<Option<MappingId>, StoreError> {
        self.inner.find(bridge, record)
    }

    fn mappings(&self, after: Option<MappingId>, limit: usize) -> Result<Vec<Mapping>, StoreError> {
        self.inner.mappings(after, limit)
    }

    fn intents(&self, mapping: MappingId) -> Result<Vec<Intent>, StoreError> {
        self.inner.intents(mapping)
    }

    fn outbox(&self, after: Option<IntentId>, limit: usize) -> Result<Vec<Intent>, StoreError> {
        self.inner.outbox(after, limit)
    }

    fn inbox(&self, after: Option<u64>, limit: usize) -> Result<Vec<(u64, Snapshot)>, StoreError> {
        self.inner.inbox(after, limit)
    }

    fn cursors(&self) -> Result<BTreeMap<(SystemName, RecordKind), Timestamp>, StoreError> {
        self.inner.cursors()
    }

    fn audit(&self, mapping: MappingId) -> Result<Vec<AuditEntry>, StoreError> {
        self.inner.audit(mapping)
    }

    fn document(&self, drawer: &str, key: &str) -> Result<Option<serde_json::Value>, StoreError> {
        self.inner.document(drawer, key)
    }

    fn documents(
        &self,
        drawer: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<(String, serde_json::Value)>, StoreError> {
        self.inner.documents(drawer, after, limit)
    }

    fn counts(&self) -> Counts {
        self.inner.counts()
    }

    fn marker_key(&self) -> [u8; 32] {
        self.inner.marker_key()
    }
}
