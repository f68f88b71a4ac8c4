//! Watching one collection of one system: what changed since the cursor. Pure; the shell makes the calls.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use jiff::{SignedDuration, Timestamp};

use crate::connectors::{Page, PageToken};
use crate::model::{RecordId, RecordKind, Snapshot, SystemName};
use crate::store::Change;

/// One collection being watched.
///
/// Guarantees: the cursor is the collection's own time, moves only when a cycle of pages is drained, and only in the
/// commit that also stores what the last page brought; each list begins an overlap before it. What the overlap
/// brings again unchanged is dropped, so an idle system costs one list call and no commit.
#[derive(Debug)]
pub struct Watch {
    system: SystemName,
    kind: RecordKind,
    overlap: SignedDuration,
    /// `None` until the first cycle is drained.
    cursor: Option<Timestamp>,
    /// Where to begin without a cursor.
    since: Timestamp,
    /// Latest change in this cycle.
    latest: Option<Timestamp>,
    /// What the overlap may bring again, by record: time of change and fingerprint.
    seen: HashMap<RecordId, (Timestamp, u64)>,
}

/// What a page brought.
#[derive(Debug)]
pub struct Taken {
    /// To be committed whole.
    pub changes: Vec<Change>,
    /// How many records were new or changed.
    pub news: usize,
    /// The next page.
    pub next: Option<PageToken>,
}

impl Watch {
    /// A watch that goes on at a stored cursor, or begins at `since`.
    pub fn new(
        system: SystemName,
        kind: RecordKind,
        overlap: SignedDuration,
        cursor: Option<Timestamp>,
        since: Timestamp,
    ) -> Self {
        Self { system, kind, overlap, cursor, since, latest: None, seen: HashMap::new() }
    }

    /// Where the next list begins (the system's clock).
    pub fn since(&self) -> Timestamp {
        let from = self
            .cursor
            .map_or(self.since, |cursor| cursor.checked_sub(self.overlap).unwrap_or(Timestamp::MIN));
        from.max(self.since)
    }

    /// The cursor, once there is one.
    pub fn cursor(&self) -> Option<Timestamp> {
        self.cursor
    }

    /// Takes a page in.
    pub fn take(&mut self, page: Page) -> Taken {
        let mut changes = Vec::new();
        for snapshot in page.snapshots {
            // A record from the future must not carry the cursor past others.
            let time = page.server_time.map_or(snapshot.modified, |now| snapshot.modified.min(now));
            self.latest = self.latest.max(Some(time));
            if self.is_news(&snapshot) {
                changes.push(Change::PushInbox(Box::new(snapshot)));
            }
        }
        let news = changes.len();
        if page.next.is_none() {
            changes.extend(self.finish());
        }
        Taken { changes, news, next: page.next }
    }

    /// A cycle that failed begins again; what it brought so far is in the inbox already.
    pub fn abandon(&mut self) {
        self.latest = None;
    }

    fn is_news(&mut self, snapshot: &Snapshot) -> bool {
        let print = (snapshot.modified, fingerprint(snapshot));
        self.seen.insert(snapshot.record.id.clone(), print) != Some(print)
    }

    fn finish(&mut self) -> Option<Change> {
        let latest = self.latest.take();
        let moved = latest.filter(|latest| self.cursor.is_none_or(|cursor| *latest > cursor));
        self.cursor = moved.or(self.cursor);
        let since = self.since();
        self.seen.retain(|_, (modified, _)| *modified >= since);
        moved.map(|cursor| Change::PutCursor(self.system.clone(), self.kind, cursor))
    }
}

/// Tells versions of a record apart, even within one tick of its clock.
fn fingerprint(snapshot: &Snapshot) -> u64 {
    let mut hasher = DefaultHasher::new();
    snapshot.revision.hash(&mut hasher);
    format!("{:?}{:?}{:?}", snapshot.native, snapshot.lifecycle, snapshot.comments).hash(&mut hasher);
    hasher.finish()
}
