//! Hints: records that a webhook named. A hint carries no state; it only says which record to read now.
//!
//! [`Hints`] is the bounded queue between the server and the worker. It coalesces: however often a record is named, one
//! read of it is under way and at most one more waits, since that one is certain to begin after the last hint.

use std::collections::{HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, Semaphore};
use tokio::task::JoinSet;

use crate::connectors::{Connector, Depth};
use crate::http::CallError;
use crate::model::{Comments, Mapping, RecordKind, RecordRef, Snapshot};
use crate::store::{Change, StoreError};

use super::crash;
use super::shell::Shell;

/// Records that wait at most. What is beyond is found by polling.
const MAX_WAITING: usize = 1024;
/// Records looked at at the same time, those included that wait for their second look.
const MAX_LOOKS: usize = 256;
/// Records read at the same time. The systems' budgets hold besides.
const MAX_READS: usize = 8;
/// Some systems call before their own transaction is visible (`ticketing.md` 4.4), so what shows nothing new is read once
/// more after this.
const SECOND_LOOK: Duration = Duration::from_secs(2);

/// What became of a hint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hinted {
    /// The record waits to be read.
    Queued,
    /// It waits already.
    Coalesced,
    /// Too many records wait; polling finds what changed.
    Dropped,
    /// The record was read, and what it says now is in the inbox.
    News,
    /// It was read, twice, and says what is known.
    NothingNew,
    /// No mapping has it, so it is not read.
    Unknown,
    /// It could not be read; polling tries again.
    Failed,
}

impl Hinted {
    /// The word for metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Coalesced => "coalesced",
            Self::Dropped => "dropped",
            Self::News => "news",
            Self::NothingNew => "nothing-new",
            Self::Unknown => "unknown-record",
            Self::Failed => "failed",
        }
    }
}

/// The queue of hints. Cheap to clone; all clones are the same queue.
#[derive(Debug, Clone, Default)]
pub struct Hints(Arc<Queue>);

#[derive(Debug, Default)]
struct Queue {
    state: Mutex<State>,
    grew: Notify,
}

#[derive(Debug, Default)]
struct State {
    /// In order of arrival, each once.
    waiting: VecDeque<RecordRef>,
    named: HashSet<RecordRef>,
    /// Being read. A record that is named meanwhile waits until that read has ended.
    reading: HashSet<RecordRef>,
}

impl Hints {
    /// Names a record. Never waits.
    pub fn push(&self, record: RecordRef) -> Hinted {
        let mut state = self.lock();
        if state.named.contains(&record) {
            return Hinted::Coalesced;
        }
        if state.waiting.len() >= MAX_WAITING {
            return Hinted::Dropped;
        }
        state.named.insert(record.clone());
        state.waiting.push_back(record);
        drop(state);
        self.0.grew.notify_one();
        Hinted::Queued
    }

    /// Takes the next record that is not being read.
    fn take(&self) -> Option<Reading> {
        let mut state = self.lock();
        let at = state.waiting.iter().position(|record| !state.reading.contains(record))?;
        let record = state.waiting.remove(at)?;
        state.named.remove(&record);
        state.reading.insert(record.clone());
        Some(Reading { hints: self.clone(), record })
    }

    /// The records that wait, oldest hint first.
    #[cfg(any(test, fuzzing))]
    pub(crate) fn waiting(&self) -> Vec<String> {
        self.lock().waiting.iter().map(ToString::to_string).collect()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A record that is being read, until this is dropped.
#[derive(Debug)]
struct Reading {
    hints: Hints,
    record: RecordRef,
}

impl Drop for Reading {
    fn drop(&mut self) {
        self.hints.lock().reading.remove(&self.record);
    }
}

/// Follows hints until the worker stops. Only a failing store ends it earlier.
pub(super) async fn follow(shell: Arc<Shell>, hints: Hints) -> Result<(), StoreError> {
    let (mut looks, reads) = (JoinSet::new(), Arc::new(Semaphore::new(MAX_READS)));
    loop {
        while looks.len() < MAX_LOOKS
            && let Some(reading) = hints.take()
        {
            let (shell, reads) = (Arc::clone(&shell), Arc::clone(&reads));
            looks.spawn(async move {
                let outcome = look(&shell, &reading.record, &reads).await?;
                shell.parts.report.hinted(&reading.record.system, outcome);
                Ok(())
            });
        }
        tokio::select! {
            () = shell.stop.cancelled() => return Ok(()),
            () = hints.0.grew.notified(), if looks.len() < MAX_LOOKS => {}
            // One that panicked is a defect of its connector, and the polls of that system tell of it.
            Some(ended) = looks.join_next() => ended.unwrap_or(Ok(()))?,
        }
    }
}

/// Reads a record, twice at most, and puts what is new into the inbox.
async fn look(shell: &Shell, record: &RecordRef, reads: &Semaphore) -> Result<Hinted, StoreError> {
    let first = look_once(shell, record, reads).await?;
    if first != Hinted::NothingNew {
        return Ok(first);
    }
    tokio::select! {
        () = shell.stop.cancelled() => Ok(Hinted::Failed),
        () = tokio::time::sleep(SECOND_LOOK) => look_once(shell, record, reads).await,
    }
}

/// Reads a record, and puts it into the inbox if it says something new.
pub(super) async fn look_once(
    shell: &Shell,
    record: &RecordRef,
    reads: &Semaphore,
) -> Result<Hinted, StoreError> {
    let is_ticket = record.kind == RecordKind::Ticket;
    let bridged = shell.parts.bridges.values().any(|rules| rules.policy.has(&record.system));
    let Some(connector) = shell.connector(&record.system).filter(|_| bridged) else {
        return Ok(Hinted::Unknown);
    };
    // Other people's tickets are none of our business, and a hint may name any.
    if is_ticket && mappings(shell, record)?.is_empty() {
        return Ok(Hinted::Unknown);
    }
    let read = tokio::select! {
        () = shell.stop.cancelled() => return Ok(Hinted::Failed),
        read = read(connector, record, reads) => read,
    };
    match read {
        Ok(snapshot) if is_news(&mappings(shell, record)?, record, &snapshot) => {
            take_in(shell, snapshot).await
        }
        Ok(_) | Err(CallError::Gone { .. }) => Ok(Hinted::NothingNew),
        Err(error) => {
            tracing::debug!(%record, %error, "a hint could not be followed; polling finds what changed");
            Ok(Hinted::Failed)
        }
    }
}

async fn read(
    connector: &Arc<dyn Connector>,
    record: &RecordRef,
    reads: &Semaphore,
) -> Result<Snapshot, CallError> {
    // It is never closed, so a permit comes.
    let _permit = reads.acquire().await;
    connector.read(record, Depth::Record).await
}

/// The mappings of a record, of all bridges.
fn mappings(shell: &Shell, record: &RecordRef) -> Result<Vec<Mapping>, StoreError> {
    let mut found = Vec::new();
    for bridge in shell.parts.bridges.keys() {
        if let Some(id) = shell.store().find(bridge, record)? {
            found.extend(shell.store().mapping(id)?);
        }
    }
    Ok(found)
}

/// Whether the record says something that a mapping has not acknowledged. One that none has may be taken up.
fn is_news(mappings: &[Mapping], record: &RecordRef, snapshot: &Snapshot) -> bool {
    let acknowledged = |mapping: &Mapping| {
        let base = mapping.member(record).and_then(|member| member.base.as_ref());
        base.is_some_and(|base| {
            let count = match &snapshot.comments {
                Comments::Counted(count) => *count,
                Comments::Listed(list) => u32::try_from(list.len()).unwrap_or(u32::MAX),
                Comments::Recent(_) | Comments::Untold => base.comment_count,
            };
            base.revision == snapshot.revision && count <= base.comment_count
        })
    };
    mappings.is_empty() || !mappings.iter().all(acknowledged)
}

async fn take_in(shell: &Shell, mut snapshot: Snapshot) -> Result<Hinted, StoreError> {
    // By the time it is decided over, it may be as old as a list's.
    snapshot.fresh = false;
    crash::point("inbox-before-commit");
    shell.store().commit(vec![Change::PushInbox(Box::new(snapshot))]).await?;
    crash::point("inbox-after-commit");
    shell.inbox_grew.notify_one();
    Ok(Hinted::News)
}
