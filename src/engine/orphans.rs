//! Tickets that bear a key which no mapping knows.
//!
//! After a lost store a ticket may be listed before its incident, and it is not listed again before somebody changes it.
//! What it says now tells that change from what was there, so it is kept until its mapping begins.

use std::collections::BTreeMap;

use crate::model::{RecordRef, Snapshot};
use crate::store::{Change, Document, Store, StoreError};

use super::shell::Shell;

/// Where they are kept.
const DRAWER: &str = "engine/orphans";
/// How many are kept. Other installations' tickets bear such keys, too.
const MAX_ORPHANS: usize = 4096;
/// The longest name of a document, in bytes.
const MAX_NAME: usize = 300;

/// Tickets whose mapping may begin later.
#[derive(Default)]
pub(super) struct Orphans {
    by_key: BTreeMap<RecordRef, Snapshot>,
    /// How many mappings there were when they were last looked for.
    mappings: u64,
}

impl Orphans {
    /// Those that were kept before.
    pub(super) fn load(store: &dyn Store) -> Result<Self, StoreError> {
        let mut by_key = BTreeMap::new();
        for (name, value) in store.documents(DRAWER, None, MAX_ORPHANS)? {
            if let (Ok(key), Ok(snapshot)) = (name.parse(), serde_json::from_value(value)) {
                by_key.insert(key, snapshot);
            }
        }
        Ok(Self { by_key, mappings: 0 })
    }

    /// Keeps a ticket in mind, if it bears a key. Returns what is to be committed for that.
    pub(super) fn keep(&mut self, snapshot: &Snapshot) -> Option<Change> {
        let key = snapshot.planned_as.as_ref().filter(|_| !planted!(OrphansForgotten))?;
        let name = key.to_string();
        let full = self.by_key.len() >= MAX_ORPHANS && !self.by_key.contains_key(key);
        if full || name.len() > MAX_NAME {
            return None;
        }
        let value = serde_json::to_value(snapshot).ok()?;
        self.by_key.insert(key.clone(), snapshot.clone());
        Some(Change::PutDocument(Box::new(Document { drawer: DRAWER.to_owned(), key: name, value })))
    }

    /// Those whose mapping is there by now, to be routed again.
    pub(super) fn found(&mut self, shell: &Shell) -> Result<Vec<Change>, StoreError> {
        let mappings = shell.store().counts().mappings;
        if self.by_key.is_empty() || mappings == self.mappings {
            return Ok(Vec::new());
        }
        self.mappings = mappings;
        let mut found = Vec::new();
        for key in self.by_key.keys().cloned().collect::<Vec<_>>() {
            let known = shell.parts.bridges.keys().map(|bridge| shell.store().find(bridge, &key));
            if known.collect::<Result<Vec<_>, _>>()?.iter().any(Option::is_some) {
                found.push(Change::RemoveDocument(DRAWER.to_owned(), key.to_string()));
                found.extend(self.by_key.remove(&key).map(|snapshot| Change::PushInbox(Box::new(snapshot))));
            }
        }
        Ok(found)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::engine::testing::snapshot;

    fn bearing(key: &str) -> Snapshot {
        Snapshot { planned_as: Some(key.parse().unwrap()), ..snapshot("tickets/ticket/7", 1, "new") }
    }

    #[test]
    fn only_what_bears_a_key_of_a_bearable_length_is_kept() {
        let mut orphans = Orphans::default();
        assert!(orphans.keep(&snapshot("tickets/ticket/7", 1, "new")).is_none());
        let key = |length: usize| format!("tickets/ticket/{}", "k".repeat(length - "tickets/ticket/".len()));
        assert!(orphans.keep(&bearing(&key(MAX_NAME + 1))).is_none());
        let Some(Change::PutDocument(document)) = orphans.keep(&bearing(&key(MAX_NAME))) else { panic!() };
        assert_eq!((document.drawer.as_str(), document.key), (DRAWER, key(MAX_NAME)));
        assert_eq!(orphans.by_key.len(), 1);
    }

    #[test]
    fn what_is_kept_stays_current_when_there_is_no_more_room() {
        let mut orphans = Orphans::default();
        for n in 0..MAX_ORPHANS {
            assert!(orphans.keep(&bearing(&format!("tickets/ticket/{n}"))).is_some(), "{n}");
        }
        assert!(orphans.keep(&bearing("tickets/ticket/more")).is_none());
        assert!(orphans.keep(&bearing("tickets/ticket/0")).is_some());
    }
}
