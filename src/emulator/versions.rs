//! A record with its recent past: what a lagging index or a stale read shows.

use jiff::Timestamp;

/// Old versions kept; older ones are forgotten first.
const KEPT: usize = 24;

/// A record and its recent versions.
#[derive(Debug, Clone)]
pub(super) struct Versions<T> {
    // Oldest first, never empty.
    versions: Vec<(Timestamp, T)>,
    forgotten: bool,
}

impl<T> Versions<T> {
    pub(super) fn new(at: Timestamp, first: T) -> Self {
        Self { versions: vec![(at, first)], forgotten: false }
    }

    pub(super) fn push(&mut self, at: Timestamp, next: T) {
        self.versions.push((at, next));
        if self.versions.len() > KEPT {
            self.versions.remove(0);
            self.forgotten = true;
        }
    }

    /// As it is.
    pub(super) fn current(&self) -> &T {
        &self.versions[self.versions.len() - 1].1
    }

    /// As it was before the last change.
    pub(super) fn previous(&self) -> &T {
        &self.versions[self.versions.len().saturating_sub(2)].1
    }

    /// As it was at an instant; none if it did not exist then.
    pub(super) fn as_of(&self, at: Timestamp) -> Option<&T> {
        let seen = self.versions.iter().rev().find(|(changed, _)| *changed <= at);
        seen.or_else(|| self.forgotten.then(|| &self.versions[0])).map(|(_, version)| version)
    }
}
