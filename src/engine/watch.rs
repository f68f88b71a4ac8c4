//! Watching one collection of one system: what changed since the cursor. Pure; the shell makes the calls.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use jiff::{SignedDuration, Timestamp};

use crate::connectors::{Page, PageToken};
use crate::model::{RecordId, RecordKind, Snapshot, SystemName};
use crate::store::Change;

/// One collection being watched.
///
/// Guarantees: the cursor is the system's own clock, moves only when a cycle of pages is drained, and is stored only
/// in the commit that also holds what the last page brought; each list begins an overlap before it. What the overlap
/// brings again unchanged is dropped, and it moves on with the system's clock, so an idle system costs one list call
/// with nothing in it, and no commit.
#[derive(Debug)]
pub struct Watch {
    system: SystemName,
    kind: RecordKind,
    overlap: SignedDuration,
    /// `None` until the first cycle is drained.
    cursor: Option<Timestamp>,
    /// Where to begin without a cursor.
    since: Timestamp,
    /// Up to when this cycle has seen everything that the system's index shows: its clock at the first page, or the
    /// latest change.
    reached: Option<Timestamp>,
    /// Whether this cycle brought anything.
    stirred: bool,
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
        Self { system, kind, overlap, cursor, since, reached: None, stirred: false, seen: HashMap::new() }
    }

    /// Where the next list begins (the system's clock).
    pub fn since(&self) -> Timestamp {
        let from = self
            .cursor
            .filter(|_| !planted!(NoOverlap))
            .map(|cursor| cursor.checked_sub(self.overlap).unwrap_or(Timestamp::MIN))
            .or(self.cursor)
            .unwrap_or(self.since);
        from.max(self.since)
    }

    /// The cursor, once there is one.
    pub fn cursor(&self) -> Option<Timestamp> {
        self.cursor
    }

    /// Takes a page in.
    pub fn take(&mut self, page: Page) -> Taken {
        let mut changes = Vec::new();
        self.reached = self.reached.or(page.server_time);
        for snapshot in page.snapshots {
            // A record from the future must not carry the cursor past others.
            let time = page.server_time.map_or(snapshot.modified, |now| snapshot.modified.min(now));
            self.reached = self.reached.max(Some(time));
            if self.is_news(&snapshot) {
                changes.push(Change::PushInbox(Box::new(snapshot)));
            }
        }
        let news = changes.len();
        self.stirred |= news > 0;
        if page.next.is_none() || planted!(CursorMovedFirst) {
            changes.extend(self.finish());
        }
        Taken { changes, news, next: page.next }
    }

    /// A cycle that failed begins again; what it brought so far is in the inbox already.
    pub fn abandon(&mut self) {
        (self.reached, self.stirred) = (None, false);
    }

    fn is_news(&mut self, snapshot: &Snapshot) -> bool {
        let print = (snapshot.modified, fingerprint(snapshot));
        self.seen.insert(snapshot.record.id.clone(), print) != Some(print)
    }

    fn finish(&mut self) -> Option<Change> {
        let (reached, first) = (self.reached.take(), self.cursor.is_none());
        self.cursor = self.cursor.max(reached);
        let since = self.since();
        self.seen.retain(|_, (modified, _)| *modified >= since);
        let store = std::mem::take(&mut self.stirred) || first;
        self.cursor.filter(|_| store).map(|cursor| Change::PutCursor(self.system.clone(), self.kind, cursor))
    }
}

/// Tells versions of a record apart, even within one tick of its clock.
fn fingerprint(snapshot: &Snapshot) -> u64 {
    let mut hasher = DefaultHasher::new();
    snapshot.revision.hash(&mut hasher);
    format!("{:?}{:?}{:?}", snapshot.native, snapshot.lifecycle, snapshot.comments).hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Comments, Facts, Lifecycle, Natives, RecordRef};

    fn second(n: i64) -> Timestamp {
        Timestamp::from_second(1_000_000 + n).unwrap()
    }

    fn snapshot(id: &str, modified: i64) -> Snapshot {
        Snapshot {
            record: RecordRef::incident(&SystemName::new("s").unwrap(), RecordId::new(id).unwrap()),
            revision: modified.to_string(),
            modified: second(modified),
            modified_by: None,
            fresh: false,
            hidden: Natives::new(),
            native: Natives::new(),
            closing_comment: None,
            comments: Comments::Counted(0),
            lifecycle: Lifecycle::Present,
            links: Vec::new(),
            parent: None,
            planned_as: None,
            facts: Facts::default(),
            raw: serde_json::Value::Null,
        }
    }

    fn page(snapshots: Vec<Snapshot>, now: i64) -> Page {
        Page { snapshots, server_time: Some(second(now)), ..Page::default() }
    }

    fn watch() -> Watch {
        let system = SystemName::new("s").unwrap();
        Watch::new(system, RecordKind::Incident, SignedDuration::from_secs(10), None, second(-1000))
    }

    fn cursor(taken: &Taken) -> Option<Timestamp> {
        taken.changes.iter().find_map(|c| if let Change::PutCursor(_, _, at) = c { Some(*at) } else { None })
    }

    #[test]
    fn the_window_moves_on_with_the_systems_clock_even_when_nothing_happens() {
        let mut watch = watch();
        assert_eq!(watch.since(), second(-1000));
        let taken = watch.take(page(vec![snapshot("a", 0)], 5));
        assert_eq!((taken.news, cursor(&taken)), (1, Some(second(5))));
        assert_eq!(watch.since(), second(-5), "the overlap begins before the clock at the first page");
        let taken = watch.take(page(vec![snapshot("a", 0)], 60));
        assert_eq!((taken.news, taken.changes.len()), (0, 0), "nothing new, nothing stored");
        assert_eq!(watch.since(), second(50));
    }

    #[test]
    fn the_cursor_waits_for_the_last_page_and_a_broken_cycle_begins_again() {
        let mut watch = watch();
        let mut first = page(vec![snapshot("a", 1)], 5);
        first.next = Some(PageToken("2".to_owned()));
        assert_eq!(cursor(&watch.take(first)), None);
        watch.abandon();
        assert_eq!(watch.since(), second(-1000));
        assert!(cursor(&watch.take(page(vec![snapshot("b", 2)], 9))).is_some());
    }

    #[test]
    fn a_record_from_the_future_does_not_carry_the_cursor_away() {
        let mut watch = watch();
        watch.take(page(vec![snapshot("a", 100_000)], 5));
        assert_eq!(watch.cursor(), Some(second(5)));
    }

    #[test]
    fn another_version_within_the_same_tick_is_news() {
        let mut watch = watch();
        watch.take(page(vec![snapshot("a", 1)], 5));
        let mut other = snapshot("a", 1);
        other.comments = Comments::Counted(1);
        assert_eq!(watch.take(page(vec![other], 6)).news, 1);
    }
    #[test]
    fn the_cursor_is_stored_with_the_last_page_though_only_the_first_brought_news() {
        let mut watch = watch();
        watch.take(page(vec![], 5));
        let mut first = page(vec![snapshot("a", 20)], 30);
        first.next = Some(PageToken("2".to_owned()));
        assert_eq!(watch.take(first).news, 1);
        let last = watch.take(page(vec![], 31));
        assert_eq!((last.news, cursor(&last)), (0, Some(second(30))));
        let idle = watch.take(page(vec![], 60));
        assert_eq!(cursor(&idle), None, "an idle system costs no commit");
    }

    #[test]
    fn a_broken_cycle_leaves_nothing_of_its_time_behind() {
        let mut watch = watch();
        watch.take(page(vec![], 5));
        let mut first = page(vec![snapshot("a", 20)], 30);
        first.next = Some(PageToken("2".to_owned()));
        watch.take(first);
        watch.abandon();
        let again = watch.take(page(vec![snapshot("b", 40)], 50));
        assert_eq!(cursor(&again), Some(second(50)), "the clock at the first page of this cycle");
    }
}
