//! The check behind `lockstep store verify`: does everything in the store fit together?

use std::collections::{BTreeMap, BTreeSet};
use std::sync::PoisonError;

use serde::de::DeserializeOwned;

use super::codec::{self, Rows, hexadecimal};
use super::database::Trees;
use super::layout::{Tree, chunk_owner};
use super::plan::{StoredCursor, index_entries};
use super::{Counts, Document, SledStore, StoreError};
use crate::model::{AuditEntry, Intent, Mapping, MappingId, Snapshot};

/// What a check of the store found.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct Report {
    /// How many mappings were read.
    pub mappings: u64,
    /// How many intents were read.
    pub intents: u64,
    /// How many inbox entries were read.
    pub inbox: u64,
    /// How many cursors were read.
    pub cursors: u64,
    /// How many audit entries were read.
    pub audit: u64,
    /// How many documents were read.
    pub documents: u64,
    /// What does not fit, for people; empty if all is well.
    pub problems: Vec<String>,
}

impl SledStore {
    /// Reads everything and checks that every value decodes, that index and mappings agree, that intents belong to
    /// mappings, that no piece of a large value is left over, and that the counters are right. Commits wait meanwhile.
    ///
    /// Errors: the store failed before, or cannot be read at all. What is wrong inside it is in the report.
    pub fn verify(&self) -> Result<Report, StoreError> {
        self.shared.check()?;
        let counts = self.shared.counts.read().unwrap_or_else(PoisonError::into_inner);
        check(&self.shared.trees, *counts).map_err(|why| self.shared.fail(&why))
    }
}

pub(super) fn check(trees: &Trees, counts: Counts) -> Result<Report, String> {
    let mut report = Report::default();
    if let Err(why) = trees.contents().map(|contents| contents.totals.counts).and_then(|found| {
        if found == counts { Ok(()) } else { Err(format!("counters say {counts:?}, rows say {found:?}")) }
    }) {
        report.problems.push(why);
    }
    let mappings: Vec<Mapping> = read_all(trees, Tree::Mapping, &mut report.problems)?;
    let intents: Vec<Intent> = read_all(trees, Tree::Intent, &mut report.problems)?;
    report.mappings = mappings.len() as u64;
    report.intents = intents.len() as u64;
    report.inbox = read_all::<Snapshot>(trees, Tree::Inbox, &mut report.problems)?.len() as u64;
    report.cursors = read_all::<StoredCursor>(trees, Tree::Cursor, &mut report.problems)?.len() as u64;
    report.audit = read_all::<AuditEntry>(trees, Tree::Audit, &mut report.problems)?.len() as u64;
    report.documents = read_all::<Document>(trees, Tree::Document, &mut report.problems)?.len() as u64;

    let known: BTreeSet<MappingId> = mappings.iter().map(|mapping| mapping.id).collect();
    for intent in intents.iter().filter(|intent| !known.contains(&intent.id.mapping)) {
        report.problems.push(format!("intent {} belongs to a mapping that is not there", intent.id));
    }
    check_index(trees, &mappings, &mut report.problems)?;
    check_pieces(trees, &mut report.problems)?;
    Ok(report)
}

fn read_all<T: DeserializeOwned>(
    trees: &Trees,
    tree: Tree,
    problems: &mut Vec<String>,
) -> Result<Vec<T>, String> {
    let mut values = Vec::new();
    for row in trees.rows(tree, ..) {
        let (key, head) = row?;
        match codec::decode(trees, tree, &key, &head) {
            Ok(value) => values.push(value),
            Err(why) => problems.push(why),
        }
    }
    Ok(values)
}

fn check_index(trees: &Trees, mappings: &[Mapping], problems: &mut Vec<String>) -> Result<(), String> {
    let mut index = BTreeMap::new();
    for row in trees.rows(Tree::Index, ..) {
        let (key, head) = row?;
        match codec::decode::<MappingId, _>(trees, Tree::Index, &key, &head) {
            Ok(id) => drop(index.insert(key.to_vec(), id)),
            Err(why) => problems.push(why),
        }
    }
    let mut wanted = BTreeSet::new();
    for mapping in mappings {
        for (key, claimed) in index_entries(mapping) {
            match index.get(&key) {
                None => {
                    problems.push(format!("mapping {} misses its index entry {}", mapping.id, text(&key)));
                }
                Some(id) if *id != mapping.id && claimed => {
                    problems.push(format!(
                        "{} is a member of mapping {} but is indexed to {id}",
                        text(&key),
                        mapping.id
                    ));
                }
                Some(_) => {}
            }
            wanted.insert((key, mapping.id));
        }
    }
    for (key, id) in index {
        if !wanted.contains(&(key.clone(), id)) {
            problems.push(format!("{} is indexed to mapping {id}, which does not have it", text(&key)));
        }
    }
    Ok(())
}

fn check_pieces(trees: &Trees, problems: &mut Vec<String>) -> Result<(), String> {
    for row in trees.rows(Tree::Chunk, ..) {
        let (key, _) = row?;
        let owned = match chunk_owner(&key) {
            Some((tree, owner)) => trees.row(tree, owner)?.is_some(),
            None => false,
        };
        if !owned {
            problems.push(format!("row {} of `chunk` belongs to no value", hexadecimal(&key)));
        }
    }
    Ok(())
}

fn text(index_key: &[u8]) -> String {
    String::from_utf8_lossy(index_key).replace('\0', ": ")
}
