//! The one thread that writes. It takes all commits that wait, writes them as one transaction, syncs once, and only
//! then answers; the next transaction starts after the sync of the one before.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};
use std::thread::{self, JoinHandle};

use tokio::sync::{mpsc, oneshot};

use super::database::{Database, Trees};
use super::directory::{Witness, cannot};
use super::place::Place;
use super::plan::{Plan, Totals};
use super::{Change, Counts, StoreError};

/// The most commits that wait, and that are written together.
const GROUP_MAX: usize = 256;

/// One commit on its way.
pub(super) struct Request {
    pub(super) changes: Vec<Change>,
    pub(super) answer: oneshot::Sender<Result<(), StoreError>>,
}

/// What readers and the committer share.
pub(super) struct Shared {
    pub(super) dir: PathBuf,
    pub(super) trees: Trees,
    /// Held to write while a transaction is applied, so that a reader of several rows sees all of it or nothing.
    pub(super) counts: RwLock<Counts>,
    /// The first error; set once, and the end of all work.
    failure: OnceLock<StoreError>,
    place: Place,
    syncs: AtomicU64,
}

impl Shared {
    /// Of a store that was just opened in this directory.
    pub(super) fn new(dir: PathBuf, trees: Trees, counts: Counts) -> Result<Self, StoreError> {
        let place = Place::of(&dir).map_err(|error| cannot(&dir, "be looked at", &error))?;
        let (counts, failure, syncs) = (RwLock::new(counts), OnceLock::new(), AtomicU64::new(0));
        Ok(Self { dir, trees, counts, failure, place, syncs })
    }

    /// Refuses work after the first error.
    pub(super) fn check(&self) -> Result<(), StoreError> {
        self.failure.get().map_or(Ok(()), |failure| Err(failure.clone()))
    }

    /// Records an error and returns the one to report: the first.
    pub(super) fn fail(&self, why: &str) -> StoreError {
        let failure = self.failure.get_or_init(|| {
            StoreError(format!(
                "the store at {} failed: {why}. It takes no more work; look for a full disk or disk errors in the \
                 system's log, then start lockstep again: what was acknowledged is still there",
                self.dir.display()
            ))
        });
        failure.clone()
    }

    /// Notices that the store is not at its path any more. What is committed then is lost, so that is the end of all work.
    pub(super) fn in_place(&self) -> Result<(), StoreError> {
        self.check()?;
        self.place.check().map_err(|why| {
            let lost = || {
                StoreError(format!(
                    "the store at {} was removed or replaced while lockstep had it open: {why}. Nothing more is sent, \
                     since nothing can be remembered; put the directory back or import the last export, then start \
                     lockstep again (with an empty directory it finds its records again by the keys it left in them)",
                    self.dir.display()
                ))
            };
            self.failure.get_or_init(lost).clone()
        })
    }

    /// How often the data file was synced for commits.
    pub(super) fn syncs(&self) -> u64 {
        self.syncs.load(Ordering::Relaxed)
    }
}

/// Writes groups of changes and keeps the totals.
pub(super) struct Writer {
    database: Database,
    witness: Witness,
    totals: Totals,
    shared: Arc<Shared>,
}

impl Writer {
    pub(super) fn new(database: Database, witness: Witness, totals: Totals, shared: Arc<Shared>) -> Self {
        Self { database, witness, totals, shared }
    }

    /// Makes changes durable, all or none. After an error the writer must not be used again.
    pub(super) fn write<'a>(&mut self, changes: impl Iterator<Item = &'a Change>) -> Result<(), StoreError> {
        self.try_write(changes).map_err(|why| self.shared.fail(&why))?;
        // Last, so that what is acknowledged is at the path at that moment.
        self.shared.in_place()
    }

    fn try_write<'a>(&mut self, changes: impl Iterator<Item = &'a Change>) -> Result<(), String> {
        let mut plan = Plan::new(&self.database.trees, self.totals);
        for change in changes {
            plan.change(change)?;
        }
        if plan.rows.is_empty() {
            return Ok(());
        }
        plan.totals.transactions += 1;
        let totals = plan.totals;
        {
            let mut counts = self.shared.counts.write().unwrap_or_else(PoisonError::into_inner);
            self.database.transact(&plan)?;
            *counts = totals.counts;
        }
        self.totals = totals;
        self.database.sync()?;
        self.witness.record(totals.transactions)?;
        self.shared.syncs.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}

/// Starts the thread. It ends when all senders are gone and what they sent is written, or at the first error.
pub(super) fn start(writer: Writer) -> Result<(mpsc::Sender<Request>, JoinHandle<()>), StoreError> {
    let shared = Arc::clone(&writer.shared);
    let (sender, requests) = mpsc::channel(GROUP_MAX);
    let thread =
        thread::Builder::new().name("store-committer".to_owned()).spawn(move || run(writer, requests));
    thread.map(|thread| (sender, thread)).map_err(|error| shared.fail(&format!("no thread for it: {error}")))
}

fn run(mut writer: Writer, mut requests: mpsc::Receiver<Request>) {
    let mut group = Vec::new();
    while requests.blocking_recv_many(&mut group, GROUP_MAX) > 0 {
        let result = writer.write(group.iter().flat_map(|request| &request.changes));
        for request in group.drain(..) {
            // A caller that no longer waits needs no answer.
            let _ = request.answer.send(result.clone());
        }
        if let Err(error) = result {
            tracing::error!(%error, "the store stops");
            return;
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
impl Shared {
    /// Replaces a row of the mappings behind the committer's back.
    pub(super) fn damage_for_test(&self, key: &[u8]) {
        self.trees.damage_for_test(key);
    }
}
