//! sled itself, used the way it is safe: guarded opening, one transaction over all trees, and an fsync
//! after each flush, since sled's own flush is not one.

use std::fs::{File, TryLockError};
use std::ops::{Bound, RangeBounds};
use std::panic;
use std::path::Path;
use std::sync::Once;
use std::thread;
use std::time::Duration;

use serde::de::DeserializeOwned;
use sled::transaction::{TransactionError, Transactional};

use super::codec::{self, Rows};
use super::layout::{
    MARKER_KEY, SCHEMA, SCHEMA_KEY, TOTALS_KEY, Tree, audit_sequence, inbox_number, mapping_key,
};
use super::plan::{Plan, Tally, Totals, is_dead};
use crate::model::{Intent, MappingId};

/// sled's page cache, in bytes. Its default of 1 GiB does not see container limits.
const CACHE_BYTES: u64 = 32 * 1024 * 1024;

/// How often sled's own thread writes what waits and cleans up, in milliseconds.
const FLUSH_EVERY_MS: u64 = 500;

/// The thread that sled is opened on; panics there become errors and are not printed.
const OPENING_THREAD: &str = "store-opening";

/// The trees of an open database.
#[derive(Clone)]
pub(super) struct Trees(Vec<sled::Tree>);

/// An open database.
pub(super) struct Database {
    db: sled::Db,
    /// Its trees.
    pub(super) trees: Trees,
    /// Our own handle of sled's data file, to sync it.
    file: File,
}

/// What a database was found to hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Contents {
    pub(super) totals: Totals,
    pub(super) marker_key: [u8; 32],
}

/// What a database says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Recorded {
    tally: Tally,
    transactions: u64,
    marker_key: [u8; 32],
}

impl Contents {
    /// What a database with these contents says of itself.
    pub(super) fn recorded(&self) -> Recorded {
        let Totals { tally, transactions, .. } = self.totals;
        Recorded { tally, transactions, marker_key: self.marker_key }
    }
}

impl Rows for Trees {
    type Error = String;

    fn row(&self, tree: Tree, key: &[u8]) -> Result<Option<Vec<u8>>, String> {
        let value = self.tree(tree).get(key).map_err(|error| error.to_string())?;
        Ok(value.map(|value| value.to_vec()))
    }
}

impl Trees {
    fn tree(&self, tree: Tree) -> &sled::Tree {
        &self.0[tree as usize]
    }

    /// The value at a key.
    pub(super) fn value<T: DeserializeOwned>(&self, tree: Tree, key: &[u8]) -> Result<Option<T>, String> {
        codec::load(self, tree, key)
    }

    /// The rows in a range of keys, as stored, in order.
    pub(super) fn rows(
        &self,
        tree: Tree,
        range: impl RangeBounds<Vec<u8>>,
    ) -> impl Iterator<Item = Result<(sled::IVec, sled::IVec), String>> {
        self.tree(tree).range(range).map(|row| row.map_err(|error| error.to_string()))
    }

    /// Up to `limit` values in a range of keys with their keys, in order.
    pub(super) fn values<T: DeserializeOwned>(
        &self,
        tree: Tree,
        range: impl RangeBounds<Vec<u8>>,
        limit: usize,
    ) -> Result<Vec<(sled::IVec, T)>, String> {
        self.rows(tree, range)
            .take(limit)
            .map(|row| row.and_then(|(key, head)| Ok((key.clone(), codec::decode(self, tree, &key, &head)?))))
            .collect()
    }

    /// The values whose keys begin with a mapping's id, in order.
    pub(super) fn values_of<T: DeserializeOwned>(&self, tree: Tree, id: MappingId) -> Result<Vec<T>, String> {
        let end = id.0.checked_add(1).map(|next| mapping_key(MappingId(next)));
        let range = (Bound::Included(mapping_key(id)), end.map_or(Bound::Unbounded, Bound::Excluded));
        Ok(self.values(tree, range, usize::MAX)?.into_iter().map(|(_, value)| value).collect())
    }

    /// The first sequence number that a mapping's audit holds, and the next one to use.
    pub(super) fn audit_bounds(&self, mapping: MappingId) -> Result<(u64, u64), String> {
        let mut keys = self.tree(Tree::Audit).scan_prefix(mapping_key(mapping)).keys();
        let sequence = |key: Option<sled::Result<sled::IVec>>| -> Result<Option<u64>, String> {
            Ok(key.transpose().map_err(|error| error.to_string())?.and_then(|key| audit_sequence(&key)))
        };
        let Some(first) = sequence(keys.next())? else { return Ok((0, 0)) };
        let last = sequence(keys.next_back())?.unwrap_or(first);
        Ok((first, last + 1))
    }

    /// Reads all rows and compares them with what was recorded about them.
    pub(super) fn contents(&self) -> Result<Contents, String> {
        let recorded = self.recorded()?;
        let totals = Totals { transactions: recorded.transactions, ..self.totals()? };
        if totals.tally != recorded.tally {
            return Err(format!(
                "{} rows were written and {} are there, or their contents differ",
                recorded.tally.rows, totals.tally.rows
            ));
        }
        Ok(Contents { totals, marker_key: recorded.marker_key })
    }

    /// Reads what every transaction recorded about all rows. Three rows, however large the database is.
    pub(super) fn recorded(&self) -> Result<Recorded, String> {
        let schema: Option<u32> = self.value(Tree::Meta, SCHEMA_KEY)?;
        match schema {
            Some(SCHEMA) => {}
            Some(other) => {
                return Err(format!("its database says schema {other} where {SCHEMA} was expected"));
            }
            None => return Err("its database was not made by lockstep or has lost its beginning".to_owned()),
        }
        let marker_key = self.row(Tree::Meta, MARKER_KEY)?.and_then(|key| key.try_into().ok());
        let totals = self.row(Tree::Meta, TOTALS_KEY)?.and_then(|row| Totals::from_row(&row));
        let (Some(marker_key), Some((tally, transactions))) = (marker_key, totals) else {
            return Err("its database lacks the marker key or the totals".to_owned());
        };
        Ok(Recorded { tally, transactions, marker_key })
    }

    fn totals(&self) -> Result<Totals, String> {
        let mut totals = Totals::default();
        for tree in Tree::ALL.into_iter().filter(|tree| *tree != Tree::Meta) {
            for row in self.rows(tree, ..) {
                let (key, value) = row?;
                totals.tally.add(tree, &key, &value);
                match tree {
                    Tree::Mapping => totals.counts.mappings += 1,
                    Tree::Intent => {
                        let intent: Intent = codec::decode(self, tree, &key, &value)?;
                        totals.counts.outbox += 1;
                        totals.counts.dead += u64::from(is_dead(&intent));
                    }
                    Tree::Inbox => {
                        totals.counts.inbox += 1;
                        totals.last_inbox = inbox_number(&key).unwrap_or(totals.last_inbox);
                    }
                    _ => {}
                }
            }
        }
        Ok(totals)
    }
}

impl Database {
    /// Opens the database in a directory, or makes an empty one there. sled can panic on damaged files.
    pub(super) fn open(dir: &Path) -> Result<Self, String> {
        let dir = dir.to_owned();
        guarded(move || {
            let config = sled::Config::new()
                .path(&dir)
                .cache_capacity(CACHE_BYTES)
                .flush_every_ms(Some(flush_every_ms()));
            await_lock(&dir.join("db"));
            let db = config.open().map_err(|error| error.to_string())?;
            let trees = Tree::ALL.iter().map(|tree| db.open_tree(tree.name()));
            let trees = trees.collect::<Result<Vec<_>, _>>().map_err(|error| error.to_string())?;
            let file = File::options().read(true).write(true).open(dir.join("db"));
            let file = file.map_err(|error| format!("its data file `db` cannot be opened: {error}"))?;
            Ok(Self { db, trees: Trees(trees), file })
        })
    }

    /// Opens the database in a directory and reads it through.
    pub(super) fn open_checked(dir: &Path) -> Result<(Self, Contents), String> {
        let database = Self::open(dir)?;
        let trees = database.trees.clone();
        let contents = guarded(move || trees.contents())?;
        Ok((database, contents))
    }

    /// Opens the database in a directory and reads what it says of itself.
    pub(super) fn open_recorded(dir: &Path) -> Result<(Self, Recorded), String> {
        let database = Self::open(dir)?;
        let trees = database.trees.clone();
        let recorded = guarded(move || trees.recorded())?;
        Ok((database, recorded))
    }

    /// Writes what makes an empty database a store.
    pub(super) fn initialize(&self, marker_key: [u8; 32]) -> Result<(), String> {
        let mut plan = Plan::new(&self.trees, Totals::default());
        let schema = codec::encode(&SCHEMA)?.head;
        plan.rows.insert((Tree::Meta, SCHEMA_KEY.to_vec()), Some(schema));
        plan.rows.insert((Tree::Meta, MARKER_KEY.to_vec()), Some(marker_key.to_vec()));
        self.transact(&plan)?;
        self.sync()
    }

    /// Writes the rows of a plan and the new totals in one transaction. They are visible then, but not durable.
    pub(super) fn transact(&self, plan: &Plan<'_>) -> Result<(), String> {
        let mut batches: Vec<sled::Batch> = Tree::ALL.iter().map(|_| sled::Batch::default()).collect();
        for ((tree, key), value) in &plan.rows {
            match value {
                Some(value) => batches[*tree as usize].insert(&**key, &**value),
                None => batches[*tree as usize].remove(&**key),
            }
        }
        batches[Tree::Meta as usize].insert(TOTALS_KEY, plan.totals.to_row());
        self.trees
            .0
            .as_slice()
            .transaction(|trees| {
                for (tree, batch) in trees.iter().zip(&batches) {
                    tree.apply_batch(batch)?;
                }
                Ok(())
            })
            .map_err(|error: TransactionError<()>| match error {
                TransactionError::Storage(error) => error.to_string(),
                TransactionError::Abort(()) => "a transaction was aborted".to_owned(),
            })
    }

    /// Makes everything written so far survive a power cut.
    pub(super) fn sync(&self) -> Result<(), String> {
        self.db.flush().map_err(|error| error.to_string())?;
        self.file.sync_all().map_err(|error| format!("fsync of its data file failed: {error}"))
    }
}

fn flush_every_ms() -> u64 {
    // The power-cut tests let sled's thread meet every commit.
    #[cfg(test)]
    if let Some(ms) = super::power_cut_tests::flush_every_ms() {
        return ms;
    }
    FLUSH_EVERY_MS
}

/// Gives sled's lock on its data file a second to come free. sled lets it go by closing the file, and so a child that
/// this process forked at that moment holds it until it has started its own program.
#[expect(clippy::disallowed_methods, reason = "opening blocks anyway, and happens before anything else runs")]
fn await_lock(path: &Path) {
    let Ok(file) = File::open(path) else { return };
    for _ in 0..100 {
        if !matches!(file.try_lock(), Err(TryLockError::WouldBlock)) {
            // If even this fails, sled will say so.
            let _ = file.unlock();
            return;
        }
        thread::sleep(Duration::from_millis(10));
    }
}

/// Runs work that may panic on a thread of its own; a panic becomes an error and is not printed.
pub(super) fn guarded<T, F>(work: F) -> Result<T, String>
where
    T: Send + 'static,
    F: FnOnce() -> Result<T, String> + Send + 'static,
{
    static QUIET: Once = Once::new();
    QUIET.call_once(|| {
        let print = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if thread::current().name() != Some(OPENING_THREAD) {
                print(info);
            }
        }));
    });
    let thread = thread::Builder::new().name(OPENING_THREAD.to_owned()).spawn(work);
    let thread = thread.map_err(|error| format!("no thread could be started: {error}"))?;
    thread.join().unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
        Err(format!("sled panicked: {}", text.unwrap_or("without saying why")))
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
impl Trees {
    /// Replaces a row of the mappings without regard to the tally.
    pub(super) fn damage_for_test(&self, key: &[u8]) {
        self.tree(Tree::Mapping).insert(key, &b"?"[..]).unwrap();
    }
}
