//! Values and helpers for the tests of this room.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use jiff::Timestamp;

use super::{Change, Document, Store, StoreError};
use crate::model::{
    Action, AuditEntry, AuditKind, Base, BridgeName, Comment, CommentKey, Comments, Facts, Field, Intent,
    IntentId, IntentState, Lifecycle, Mapping, MappingId, Member, MemberState, Native, Patch, RecordRef,
    Snapshot, SystemName,
};

pub(super) fn bridge() -> BridgeName {
    BridgeName::new("corp").unwrap()
}

pub(super) fn system(name: &str) -> SystemName {
    SystemName::new(name).unwrap()
}

pub(super) fn record(number: u64) -> RecordRef {
    format!("defender/incident/{number}").parse().unwrap()
}

pub(super) fn time(second: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + second).unwrap()
}

/// A mapping with these records as linked members.
pub(super) fn mapping(id: u64, records: impl IntoIterator<Item = u64>) -> Mapping {
    let mut mapping = Mapping::new(MappingId(id), bridge());
    mapping.members = records.into_iter().map(|number| member(record(number))).collect();
    mapping
}

fn member(record: RecordRef) -> Member {
    let base = Base {
        revision: "r1".into(),
        modified: time(0),
        native: BTreeMap::from([
            (Field::Status, Native::Text("active".into())),
            (Field::Owner, Native::Empty),
            (Field::Tags, Native::Set(BTreeSet::from(["a".to_owned()]))),
        ]),
        comments: BTreeSet::from([CommentKey::from_id("c1")]),
        hidden: crate::model::Natives::new(),
        comment_count: 1,
        linked_at: time(0),
        created: None,
        url: None,
    };
    Member { base: Some(base), ..Member::new(record, MemberState::Linked) }
}

pub(super) fn intent_id(mapping: u64, number: u32) -> IntentId {
    IntentId { mapping: MappingId(mapping), number }
}

pub(super) fn intent(mapping: u64, number: u32) -> Intent {
    Intent {
        id: intent_id(mapping, number),
        target: record(mapping),
        action: Action::Update { closing: true },
        state: IntentState::Planned,
        planned: time(i64::from(number)),
        due: time(i64::from(number)),
        attempts: 0,
        unreachable: 0,
        misses: 0,
        missed: None,
        overtaken: false,
        causes: vec!["alice@example.org: status in defender/incident/1".into()],
    }
}

pub(super) fn dead_intent(mapping: u64, number: u32) -> Intent {
    let state = IntentState::Dead { reason: "refused".into(), patch: Patch::default() };
    Intent { state, ..intent(mapping, number) }
}

/// A snapshot with one comment of this many bytes.
pub(super) fn snapshot(number: u64, comment_bytes: usize) -> Snapshot {
    let comment = Comment {
        key: CommentKey::from_id("c1"),
        author: Some("alice".into()),
        created: Some(time(1)),
        text: "x".repeat(comment_bytes),
    };
    Snapshot {
        record: record(number),
        revision: "r1".into(),
        modified: time(1),
        modified_by: None,
        fresh: true,
        hidden: crate::model::Natives::new(),
        native: BTreeMap::from([(Field::Status, Native::Text("active".into()))]),
        closing_comment: None,
        comments: Comments::Listed(vec![comment]),
        lifecycle: Lifecycle::Present,
        links: vec![record(number + 1)],
        parent: None,
        planned_as: None,
        facts: Facts::default(),
        raw: serde_json::Value::Null,
    }
}

pub(super) fn audit(mapping: u64, second: i64) -> AuditEntry {
    AuditEntry {
        at: time(second),
        mapping: MappingId(mapping),
        record: record(mapping),
        kind: AuditKind::Linked { how: format!("entry {second}") },
    }
}

pub(super) fn put(mapping: Mapping) -> Change {
    Change::PutMapping(Box::new(mapping))
}

pub(super) fn put_intent(intent: Intent) -> Change {
    Change::PutIntent(Box::new(intent))
}

pub(super) fn push(snapshot: Snapshot) -> Change {
    Change::PushInbox(Box::new(snapshot))
}

pub(super) fn append(entry: AuditEntry) -> Change {
    Change::Audit(Box::new(entry))
}

pub(super) fn put_document(drawer: &str, key: &str, bytes: usize) -> Change {
    let value = serde_json::json!({ "text": "x".repeat(bytes) });
    Change::PutDocument(Box::new(Document { drawer: drawer.to_owned(), key: key.to_owned(), value }))
}

/// Runs a future to its end.
pub(super) fn wait<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

pub(super) fn commit(store: &dyn Store, changes: Vec<Change>) -> Result<(), StoreError> {
    wait(store.commit(changes))
}

/// Every file below a directory with its bytes.
pub(super) fn files(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() {
            found.insert(format!("{name}/"), Vec::new());
            found.extend(files(&path).into_iter().map(|(inner, bytes)| (format!("{name}/{inner}"), bytes)));
        } else {
            found.insert(name, fs::read(path).unwrap());
        }
    }
    found
}

/// The seed of a test with random choices, printed so that a failure can be repeated with `LOCKSTEP_SEED`.
pub(super) fn seed() -> u64 {
    let seed = std::env::var("LOCKSTEP_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(20_261_124);
    eprintln!("LOCKSTEP_SEED={seed}");
    seed
}
