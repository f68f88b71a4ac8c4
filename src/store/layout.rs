//! The trees and their keys. Numbers are big-endian, so that the order of keys is the order of numbers.

use ring::digest;

use crate::model::{BridgeName, IntentId, MappingId, RecordKind, RecordRef, SystemName};

/// The version of trees, keys and values. A store with a higher one is refused.
pub(super) const SCHEMA: u32 = 1;

/// Names what the directory and the export hold, to tell them from somebody else's files.
pub(super) const FORMAT: &str = "lockstep store";

/// The key in [`Tree::Meta`] of the schema version.
pub(super) const SCHEMA_KEY: &[u8] = b"schema";

/// The key in [`Tree::Meta`] of the marker key.
pub(super) const MARKER_KEY: &[u8] = b"marker-key";

/// The key in [`Tree::Meta`] of what is recorded about all other rows.
pub(super) const TOTALS_KEY: &[u8] = b"totals";

/// Longer index keys are replaced by their digest; ids come from outside and know no bounds.
const INDEX_KEY_BYTES_MAX: usize = 256;

/// One key space.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Tree {
    /// Schema version, marker key, totals.
    Meta,
    /// Mapping id to mapping.
    Mapping,
    /// Bridge and record to mapping id.
    Index,
    /// Intent id to intent.
    Intent,
    /// Number to snapshot.
    Inbox,
    /// System and kind to cursor.
    Cursor,
    /// Mapping id and sequence number to audit entry.
    Audit,
    /// Pieces of values that are too large for one row.
    Chunk,
    /// Drawer and key to document. Last, since a piece's key holds the number of its tree.
    Document,
}

impl Tree {
    /// Every tree, in the order of the enum.
    pub(super) const ALL: [Self; 9] = [
        Self::Meta,
        Self::Mapping,
        Self::Index,
        Self::Intent,
        Self::Inbox,
        Self::Cursor,
        Self::Audit,
        Self::Chunk,
        Self::Document,
    ];

    /// Its name on disk and in messages.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Meta => "meta",
            Self::Mapping => "mapping",
            Self::Index => "index",
            Self::Intent => "intent",
            Self::Inbox => "inbox",
            Self::Cursor => "cursor",
            Self::Audit => "audit",
            Self::Chunk => "chunk",
            Self::Document => "document",
        }
    }
}

/// The key of a mapping; also the prefix of its intents and audit entries.
pub(super) fn mapping_key(id: MappingId) -> Vec<u8> {
    id.0.to_be_bytes().to_vec()
}

/// The key of an index entry.
pub(super) fn index_key(bridge: &BridgeName, record: &RecordRef) -> Vec<u8> {
    let key = format!("{bridge}\0{record}").into_bytes();
    if key.len() <= INDEX_KEY_BYTES_MAX {
        return key;
    }
    let mut digested = vec![0];
    digested.extend_from_slice(digest::digest(&digest::SHA256, &key).as_ref());
    digested
}

/// The key of an intent.
pub(super) fn intent_key(id: IntentId) -> Vec<u8> {
    [&id.mapping.0.to_be_bytes()[..], &id.number.to_be_bytes()[..]].concat()
}

/// The key of an inbox entry.
pub(super) fn inbox_key(number: u64) -> Vec<u8> {
    number.to_be_bytes().to_vec()
}

/// The number in an inbox key.
pub(super) fn inbox_number(key: &[u8]) -> Option<u64> {
    key.try_into().ok().map(u64::from_be_bytes)
}

/// The key of a cursor.
pub(super) fn cursor_key(system: &SystemName, kind: RecordKind) -> Vec<u8> {
    format!("{system}\0{}", kind.as_str()).into_bytes()
}

/// The key of a document; with an empty key the beginning of its drawer.
pub(super) fn document_key(drawer: &str, key: &str) -> Vec<u8> {
    format!("{drawer}\0{key}").into_bytes()
}

/// What follows all documents of a drawer.
pub(super) fn document_end(drawer: &str) -> Vec<u8> {
    format!("{drawer}\u{1}").into_bytes()
}

/// The key of an audit entry.
pub(super) fn audit_key(mapping: MappingId, sequence: u64) -> Vec<u8> {
    [mapping.0.to_be_bytes(), sequence.to_be_bytes()].concat()
}

/// The sequence number in an audit key.
pub(super) fn audit_sequence(key: &[u8]) -> Option<u64> {
    key.get(8..)?.try_into().ok().map(u64::from_be_bytes)
}

/// The key of one piece of the value at `key` of `tree`.
pub(super) fn chunk_key(tree: Tree, key: &[u8], piece: u32) -> Vec<u8> {
    [&[tree as u8], key, &piece.to_be_bytes()[..]].concat()
}

/// The tree name and key of the row that a chunk belongs to.
pub(super) fn chunk_owner(chunk: &[u8]) -> Option<(Tree, &[u8])> {
    let (tree, rest) = chunk.split_first()?;
    let tree = *Tree::ALL.get(usize::from(*tree))?;
    Some((tree, rest.get(..rest.len().checked_sub(4)?)?))
}
