//! The store over sled.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::path::Path;
use std::sync::{Arc, PoisonError};
use std::thread::JoinHandle;

use async_trait::async_trait;
use jiff::Timestamp;
use tokio::sync::{mpsc, oneshot};

use super::committer::{self, Request, Shared, Writer};
use super::database::Trees;
use super::directory::{self, Found, Making};
use super::layout::{
    Tree, document_end, document_key, inbox_key, inbox_number, index_key, intent_key, mapping_key,
};
use super::opening::{self, Opened};
use super::owner::Owner;
use super::plan::StoredCursor;
use super::{Change, Counts, Document, Store, StoreError};
use crate::model::{
    AuditEntry, BridgeName, Intent, IntentId, Mapping, MappingId, RecordKind, RecordRef, Snapshot, SystemName,
};

/// The store on disk. One process at a time; local disks only (network file systems may not honour the lock).
///
/// Guarantees beyond those of [`Store`]: what a read returns may not be durable yet, so everything that leads to a
/// remote call must itself be committed first; a commit whose future is dropped may still take effect. Dropping the
/// store writes what is under way, then closes it.
pub struct SledStore {
    sender: Option<mpsc::Sender<Request>>,
    committer: Option<JoinHandle<()>>,
    pub(super) shared: Arc<Shared>,
    marker_key: [u8; 32],
    /// Held as long as anything may be written.
    _owner: Owner,
}

impl std::fmt::Debug for SledStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SledStore").field("dir", &self.shared.dir).finish_non_exhaustive()
    }
}

impl SledStore {
    /// Opens the store in a directory; an empty or missing one becomes a new store. Blocks while all rows are read
    /// and checked (a second or two per 100 000 mappings), and needs the store's size once more on disk for that time.
    ///
    /// Errors: the directory is in use by another process (which is named), belongs to something else, was written by
    /// a newer version, or is damaged. It then stays as it was, byte for byte.
    pub fn open(path: impl AsRef<Path>) -> Result<Arc<Self>, StoreError> {
        Self::start(opening::open(path.as_ref(), true)?)
    }

    /// Like [`SledStore::open`], but a missing store is an error: for commands that only look.
    pub fn open_existing(path: impl AsRef<Path>) -> Result<Arc<Self>, StoreError> {
        Self::start(opening::open(path.as_ref(), false)?)
    }

    fn start(opened: Opened) -> Result<Arc<Self>, StoreError> {
        let Opened { dir, database, witness, contents, owner } = opened;
        let shared = Arc::new(Shared::new(dir, database.trees.clone(), contents.totals.counts)?);
        let writer = Writer::new(database, witness, contents.totals, Arc::clone(&shared));
        let (sender, committer) = committer::start(writer)?;
        Ok(Arc::new(Self {
            sender: Some(sender),
            committer: Some(committer),
            shared,
            marker_key: contents.marker_key,
            _owner: owner,
        }))
    }

    /// Whether there is a store in a directory, complete or being imported. Changes nothing.
    ///
    /// # Errors
    /// The directory cannot be read, belongs to something else, or was written by a newer version.
    pub fn is_at(path: impl AsRef<Path>) -> Result<bool, StoreError> {
        let found = directory::inspect(path.as_ref())?;
        Ok(!matches!(found, Found::Nothing | Found::Unfinished(Making::Creating)))
    }

    /// Whether the store is still at its path. Each commit looks as well; a worker without news has to ask.
    ///
    /// # Errors
    /// It was removed or replaced. That is final, like the error of a commit.
    pub fn in_place(&self) -> Result<(), StoreError> {
        self.shared.in_place()
    }

    /// How often the data file was synced for commits since the store was opened. Commits that arrive together share
    /// one sync.
    pub fn syncs(&self) -> u64 {
        self.shared.syncs()
    }

    /// Reads under the gate, so that no commit is half visible. An error is final, like that of a commit.
    fn read<T>(&self, read: impl FnOnce(&Trees) -> Result<T, String>) -> Result<T, StoreError> {
        self.shared.check()?;
        let _gate = self.shared.counts.read().unwrap_or_else(PoisonError::into_inner);
        read(&self.shared.trees).map_err(|why| self.shared.fail(&why))
    }

    fn stopped(&self) -> StoreError {
        self.shared.fail("its committer stopped without an answer")
    }
}

impl Drop for SledStore {
    fn drop(&mut self) {
        // Without senders the committer finishes what it has and ends; only then may the lock go.
        self.sender.take();
        if let Some(committer) = self.committer.take() {
            let _ = committer.join();
        }
    }
}

fn after(key: Option<Vec<u8>>) -> (Bound<Vec<u8>>, Bound<Vec<u8>>) {
    (key.map_or(Bound::Unbounded, Bound::Excluded), Bound::Unbounded)
}

#[async_trait]
impl Store for SledStore {
    async fn commit(&self, changes: Vec<Change>) -> Result<(), StoreError> {
        self.shared.check()?;
        let Some(sender) = &self.sender else { return Err(self.stopped()) };
        let (answer, answered) = oneshot::channel();
        sender.send(Request { changes, answer }).await.map_err(|_| self.stopped())?;
        answered.await.map_err(|_| self.stopped())?
    }

    fn mapping(&self, id: MappingId) -> Result<Option<Mapping>, StoreError> {
        self.read(|trees| trees.value(Tree::Mapping, &mapping_key(id)))
    }

    fn find(&self, bridge: &BridgeName, record: &RecordRef) -> Result<Option<MappingId>, StoreError> {
        self.read(|trees| trees.value(Tree::Index, &index_key(bridge, record)))
    }

    fn mappings(&self, after_id: Option<MappingId>, limit: usize) -> Result<Vec<Mapping>, StoreError> {
        let found =
            self.read(|trees| trees.values(Tree::Mapping, after(after_id.map(mapping_key)), limit))?;
        Ok(found.into_iter().map(|(_, mapping)| mapping).collect())
    }

    fn intents(&self, mapping: MappingId) -> Result<Vec<Intent>, StoreError> {
        self.read(|trees| trees.values_of(Tree::Intent, mapping))
    }

    fn outbox(&self, after_id: Option<IntentId>, limit: usize) -> Result<Vec<Intent>, StoreError> {
        let found = self.read(|trees| trees.values(Tree::Intent, after(after_id.map(intent_key)), limit))?;
        Ok(found.into_iter().map(|(_, intent)| intent).collect())
    }

    fn inbox(&self, after_number: Option<u64>, limit: usize) -> Result<Vec<(u64, Snapshot)>, StoreError> {
        self.read(|trees| {
            let found = trees.values(Tree::Inbox, after(after_number.map(inbox_key)), limit)?;
            let numbered = |(key, snapshot): (sled::IVec, Snapshot)| {
                let number = inbox_number(&key).ok_or("an inbox key is no number")?;
                Ok((number, snapshot))
            };
            found.into_iter().map(numbered).collect()
        })
    }

    fn cursors(&self) -> Result<BTreeMap<(SystemName, RecordKind), Timestamp>, StoreError> {
        let found: Vec<(_, StoredCursor)> = self.read(|trees| trees.values(Tree::Cursor, .., usize::MAX))?;
        Ok(found.into_iter().map(|(_, cursor)| ((cursor.system, cursor.kind), cursor.at)).collect())
    }

    fn audit(&self, mapping: MappingId) -> Result<Vec<AuditEntry>, StoreError> {
        self.read(|trees| trees.values_of(Tree::Audit, mapping))
    }

    fn document(&self, drawer: &str, key: &str) -> Result<Option<serde_json::Value>, StoreError> {
        let found: Option<Document> =
            self.read(|trees| trees.value(Tree::Document, &document_key(drawer, key)))?;
        Ok(found.map(|document| document.value))
    }

    fn documents(
        &self,
        drawer: &str,
        after_key: Option<&str>,
        limit: usize,
    ) -> Result<Vec<(String, serde_json::Value)>, StoreError> {
        let begin = match after_key {
            Some(key) => Bound::Excluded(document_key(drawer, key)),
            None => Bound::Included(document_key(drawer, "")),
        };
        let range = (begin, Bound::Excluded(document_end(drawer)));
        let found: Vec<(_, Document)> = self.read(|trees| trees.values(Tree::Document, range, limit))?;
        Ok(found.into_iter().map(|(_, document)| (document.key, document.value)).collect())
    }

    fn counts(&self) -> Counts {
        *self.shared.counts.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn marker_key(&self) -> [u8; 32] {
        self.marker_key
    }
}
