//! What must survive a power cut: mappings, outbox, inbox, cursors, audit. sled, and a memory twin.
//!
//! ```text
//! sled_store   the Store over sled: reads here, commits through the committer
//! committer    one thread: gathers commits, plans, one transaction, flush, fsync, answers
//! plan         changes -> rows, pure but for reading what is there
//! codec, layout   how a value and a key look
//! database     sled itself: guarded opening, transaction, sync, integrity check
//! opening      look, lock, try on a copy, take over what sled made of it, open in place
//! directory, owner   what lies beside sled's files: schema, witness, unfinished creation; the lock
//! place        whether the open files are still those that the path names
//! transfer, verify   export, import, and the check behind `lockstep store verify`
//! memory       the twin for simulation
//! ```

mod codec;
mod committer;
mod database;
mod directory;
mod layout;
mod memory;
mod opening;
mod owner;
mod place;
mod plan;
mod sled_store;
mod transfer;
mod verify;

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod conformance_tests;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod kill_tests;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod model_tests;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod opening_tests;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod power_cut_tests;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod testing;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod transfer_tests;

pub use memory::MemoryStore;
pub use sled_store::SledStore;
pub use transfer::import;
pub use verify::Report;

use std::collections::BTreeMap;

use async_trait::async_trait;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::model::{
    AuditEntry, BridgeName, Intent, IntentId, Mapping, MappingId, RecordKind, RecordRef, Snapshot, SystemName,
};

/// One change of the store. A list of them is committed whole or not at all.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// Stores a mapping and its index entries (bridge and record of each member to mapping). Entries of members that
    /// it no longer has are removed, unless another mapping took them over. A mapping that was merged into another
    /// takes no record away from one that is live, whichever of the two is stored first.
    PutMapping(Box<Mapping>),
    /// Stores an intent of the outbox.
    PutIntent(Box<Intent>),
    /// Removes an intent.
    RemoveIntent(IntentId),
    /// Adds an observed change to the inbox; the store numbers it.
    PushInbox(Box<Snapshot>),
    /// Removes an inbox entry.
    RemoveInbox(u64),
    /// Moves the cursor of a collection (the system's clock, UTC).
    PutCursor(SystemName, RecordKind, Timestamp),
    /// Appends to the history of a mapping.
    Audit(Box<AuditEntry>),
    /// Stores a document, in place of the one that is there.
    PutDocument(Box<Document>),
    /// Removes a document: drawer and key.
    RemoveDocument(String, String),
}

/// What a part of lockstep keeps that is neither a mapping nor an intent, such as the sidecar's mailbox. The store does
/// not look into it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Document {
    /// Whose it is and of which sort; its first half names the part: `sidecar/tickets/messages`. At most 200 bytes.
    pub drawer: String,
    /// Its name there; documents of a drawer are in the order of their keys' bytes. At most 300 bytes, no NUL.
    pub key: String,
    /// What it says.
    pub value: serde_json::Value,
}

/// How much the store holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Mappings.
    pub mappings: u64,
    /// Intents, dead ones included.
    pub outbox: u64,
    /// Dead letters.
    pub dead: u64,
    /// Inbox entries.
    pub inbox: u64,
}

/// Why the store cannot be used. Each text names the place and what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct StoreError(pub String);

/// How many audit entries a mapping keeps; the oldest ones go first.
pub const AUDIT_LIMIT: u64 = 1000;

/// The store. Reads block for microseconds; a commit waits for the disk.
///
/// Guarantees: [`Store::commit`] returns only when the changes would survive a power cut; commits take effect in the
/// order in which they were called; after any error the store refuses all further work (fail stop).
#[async_trait]
pub trait Store: Send + Sync {
    /// Makes the changes durable, all or none.
    async fn commit(&self, changes: Vec<Change>) -> Result<(), StoreError>;

    /// A mapping.
    fn mapping(&self, id: MappingId) -> Result<Option<Mapping>, StoreError>;

    /// The mapping that a record belongs to in a bridge.
    fn find(&self, bridge: &BridgeName, record: &RecordRef) -> Result<Option<MappingId>, StoreError>;

    /// Up to `limit` mappings with ids after `after`, in order of id.
    fn mappings(&self, after: Option<MappingId>, limit: usize) -> Result<Vec<Mapping>, StoreError>;

    /// The intents of a mapping, oldest first.
    fn intents(&self, mapping: MappingId) -> Result<Vec<Intent>, StoreError>;

    /// Up to `limit` intents with ids after `after`, in order of id.
    fn outbox(&self, after: Option<IntentId>, limit: usize) -> Result<Vec<Intent>, StoreError>;

    /// Up to `limit` inbox entries with numbers after `after`, in order of number.
    fn inbox(&self, after: Option<u64>, limit: usize) -> Result<Vec<(u64, Snapshot)>, StoreError>;

    /// All cursors.
    fn cursors(&self) -> Result<BTreeMap<(SystemName, RecordKind), Timestamp>, StoreError>;

    /// The history of a mapping, oldest first.
    fn audit(&self, mapping: MappingId) -> Result<Vec<AuditEntry>, StoreError>;

    /// A document.
    fn document(&self, drawer: &str, key: &str) -> Result<Option<serde_json::Value>, StoreError>;

    /// Up to `limit` documents of a drawer with keys after `after`, in order of key.
    fn documents(
        &self,
        drawer: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<(String, serde_json::Value)>, StoreError>;

    /// How much it holds; kept as counters, so asking is cheap.
    fn counts(&self) -> Counts;

    /// 32 random bytes, drawn when the store was created: the key of comment markers unless one is configured.
    fn marker_key(&self) -> [u8; 32];
}
