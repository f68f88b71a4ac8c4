//! From changes to rows: what a commit writes, computed before the transaction so that its closure only puts.

use std::collections::BTreeMap;

use ring::digest;
use serde::{Deserialize, Serialize};

use super::codec::{self, Rows};
use super::database::Trees;
use super::layout::{
    Tree, audit_key, chunk_key, cursor_key, document_key, inbox_key, index_key, intent_key, mapping_key,
};
use super::{AUDIT_LIMIT, Change, Counts};
use crate::model::{AuditEntry, Intent, IntentId, IntentState, Mapping, MappingId, RecordKind, SystemName};

/// A cursor as stored; the key says the same, but the value is what is read.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct StoredCursor {
    pub(super) system: SystemName,
    pub(super) kind: RecordKind,
    pub(super) at: jiff::Timestamp,
}

/// A checksum over all rows outside [`Tree::Meta`] that does not depend on their order. sled skips a damaged message
/// in the middle of its log without a word, so old or missing rows would go unnoticed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Tally {
    /// How many rows there are.
    pub(super) rows: u64,
    /// The sum of the rows' digests, modulo 2^128.
    sum: u128,
}

impl Tally {
    /// Counts a row in.
    pub(super) fn add(&mut self, tree: Tree, key: &[u8], value: &[u8]) {
        self.rows = self.rows.wrapping_add(1);
        self.sum = self.sum.wrapping_add(row_digest(tree, key, value));
    }

    fn subtract(&mut self, tree: Tree, key: &[u8], value: &[u8]) {
        self.rows = self.rows.wrapping_sub(1);
        self.sum = self.sum.wrapping_sub(row_digest(tree, key, value));
    }
}

fn row_digest(tree: Tree, key: &[u8], value: &[u8]) -> u128 {
    let mut context = digest::Context::new(&digest::SHA256);
    context.update(&[tree as u8]);
    context.update(&(key.len() as u64).to_be_bytes());
    context.update(key);
    context.update(value);
    let digest = context.finish();
    digest.as_ref().first_chunk().map_or(0, |half| u128::from_be_bytes(*half))
}

/// What is kept in memory about all rows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Totals {
    pub(super) counts: Counts,
    pub(super) tally: Tally,
    /// The highest inbox number in use since the store was opened.
    pub(super) last_inbox: u64,
    /// How many transactions were written.
    pub(super) transactions: u64,
}

impl Totals {
    /// The row that every transaction writes: tally and number of transactions.
    pub(super) fn to_row(self) -> Vec<u8> {
        let Self { tally: Tally { rows, sum }, transactions, .. } = self;
        [&sum.to_be_bytes()[..], &rows.to_be_bytes(), &transactions.to_be_bytes()].concat()
    }

    /// Tally and number of transactions of such a row.
    pub(super) fn from_row(row: &[u8]) -> Option<(Tally, u64)> {
        let (sum, rest) = row.split_first_chunk()?;
        let (rows, transactions) = rest.split_first_chunk()?;
        let tally = Tally { rows: u64::from_be_bytes(*rows), sum: u128::from_be_bytes(*sum) };
        Some((tally, u64::from_be_bytes(transactions.try_into().ok()?)))
    }
}

/// The rows that a group of commits writes.
pub(super) struct Plan<'a> {
    trees: &'a Trees,
    /// What to put (`Some`) or remove (`None`); the last word per key.
    pub(super) rows: BTreeMap<(Tree, Vec<u8>), Option<Vec<u8>>>,
    /// The totals once the rows are written.
    pub(super) totals: Totals,
    /// First and next audit sequence number of the mappings touched.
    audits: BTreeMap<MappingId, (u64, u64)>,
}

impl Rows for Plan<'_> {
    type Error = String;

    fn row(&self, tree: Tree, key: &[u8]) -> Result<Option<Vec<u8>>, String> {
        match self.rows.get(&(tree, key.to_vec())) {
            Some(planned) => Ok(planned.clone()),
            None => self.trees.row(tree, key),
        }
    }
}

impl<'a> Plan<'a> {
    /// An empty plan on top of what the trees hold.
    pub(super) fn new(trees: &'a Trees, totals: Totals) -> Self {
        Self { trees, rows: BTreeMap::new(), totals, audits: BTreeMap::new() }
    }

    /// Adds one change, as if all earlier ones were written already.
    pub(super) fn change(&mut self, change: &Change) -> Result<(), String> {
        match change {
            Change::PutMapping(mapping) => self.put_mapping(mapping),
            Change::PutIntent(intent) => self.put_intent(intent),
            Change::RemoveIntent(id) => self.remove_intent(*id),
            Change::PushInbox(snapshot) => {
                self.totals.last_inbox += 1;
                self.totals.counts.inbox += 1;
                self.put(Tree::Inbox, inbox_key(self.totals.last_inbox), snapshot)
            }
            Change::RemoveInbox(number) => {
                let removed = self.remove(Tree::Inbox, inbox_key(*number))?;
                self.totals.counts.inbox -= u64::from(removed);
                Ok(())
            }
            Change::PutCursor(system, kind, at) => {
                let cursor = StoredCursor { system: system.clone(), kind: *kind, at: *at };
                self.put(Tree::Cursor, cursor_key(system, *kind), &cursor)
            }
            Change::Audit(entry) => self.append_audit(entry),
            Change::PutDocument(document) => {
                self.put(Tree::Document, document_key(&document.drawer, &document.key), document)
            }
            Change::RemoveDocument(drawer, key) => {
                self.remove(Tree::Document, document_key(drawer, key)).map(drop)
            }
        }
    }

    fn put_mapping(&mut self, mapping: &Mapping) -> Result<(), String> {
        let key = mapping_key(mapping.id);
        let before: Option<Mapping> = codec::load(self, Tree::Mapping, &key)?;
        self.totals.counts.mappings += u64::from(before.is_none());
        self.put(Tree::Mapping, key, mapping)?;

        let wanted: BTreeMap<Vec<u8>, bool> = index_entries(mapping).collect();
        for key in
            before.iter().flat_map(index_entries).map(|(key, _)| key).filter(|key| !wanted.contains_key(key))
        {
            if self.indexed(&key)? == Some(mapping.id) {
                self.remove(Tree::Index, key)?;
            }
        }
        for (key, claimed) in wanted {
            if claimed || self.indexed(&key)?.is_none() {
                self.put(Tree::Index, key, &mapping.id)?;
            }
        }
        Ok(())
    }

    fn indexed(&self, key: &[u8]) -> Result<Option<MappingId>, String> {
        codec::load(self, Tree::Index, key)
    }

    fn put_intent(&mut self, intent: &Intent) -> Result<(), String> {
        let key = intent_key(intent.id);
        let before: Option<Intent> = codec::load(self, Tree::Intent, &key)?;
        let counts = &mut self.totals.counts;
        counts.outbox += u64::from(before.is_none());
        counts.dead -= u64::from(before.is_some_and(|before| is_dead(&before)));
        counts.dead += u64::from(is_dead(intent));
        self.put(Tree::Intent, key, intent)
    }

    fn remove_intent(&mut self, id: IntentId) -> Result<(), String> {
        let key = intent_key(id);
        let before: Option<Intent> = codec::load(self, Tree::Intent, &key)?;
        let Some(before) = before else { return Ok(()) };
        self.totals.counts.outbox -= 1;
        self.totals.counts.dead -= u64::from(is_dead(&before));
        self.remove(Tree::Intent, key)?;
        Ok(())
    }

    fn append_audit(&mut self, entry: &AuditEntry) -> Result<(), String> {
        let mapping = entry.mapping;
        let (mut first, next) = match self.audits.get(&mapping) {
            Some(bounds) => *bounds,
            None => self.trees.audit_bounds(mapping)?,
        };
        self.put(Tree::Audit, audit_key(mapping, next), entry)?;
        while next + 1 - first > AUDIT_LIMIT {
            self.remove(Tree::Audit, audit_key(mapping, first))?;
            first += 1;
        }
        self.audits.insert(mapping, (first, next + 1));
        Ok(())
    }

    fn put<T: Serialize>(&mut self, tree: Tree, key: Vec<u8>, value: &T) -> Result<(), String> {
        let encoded = codec::encode(value)?;
        let before = self.row(tree, &key)?.map_or(0, |head| codec::piece_count(&head));
        let after = u32::try_from(encoded.pieces.len()).unwrap_or(u32::MAX);
        for (piece, bytes) in (0..).zip(encoded.pieces) {
            self.set_row(Tree::Chunk, chunk_key(tree, &key, piece), Some(bytes))?;
        }
        for piece in after..before {
            self.set_row(Tree::Chunk, chunk_key(tree, &key, piece), None)?;
        }
        self.set_row(tree, key, Some(encoded.head))
    }

    /// Removes a value; whether there was one.
    fn remove(&mut self, tree: Tree, key: Vec<u8>) -> Result<bool, String> {
        let Some(head) = self.row(tree, &key)? else { return Ok(false) };
        for piece in 0..codec::piece_count(&head) {
            self.set_row(Tree::Chunk, chunk_key(tree, &key, piece), None)?;
        }
        self.set_row(tree, key, None)?;
        Ok(true)
    }

    /// The one place where rows enter the plan, so that the tally cannot miss one.
    fn set_row(&mut self, tree: Tree, key: Vec<u8>, value: Option<Vec<u8>>) -> Result<(), String> {
        if let Some(before) = self.row(tree, &key)? {
            self.totals.tally.subtract(tree, &key, &before);
        }
        if let Some(value) = &value {
            self.totals.tally.add(tree, &key, value);
        }
        self.rows.insert((tree, key), value);
        Ok(())
    }
}

/// Whether an intent counts as a dead letter.
pub(super) fn is_dead(intent: &Intent) -> bool {
    matches!(intent.state, IntentState::Dead { .. })
}

/// The index entries that a mapping wants, and whether it claims them or only takes what nobody else has.
pub(super) fn index_entries(mapping: &Mapping) -> impl Iterator<Item = (Vec<u8>, bool)> {
    mapping.names().map(|(record, claimed)| (index_key(&mapping.bridge, record), claimed))
}
