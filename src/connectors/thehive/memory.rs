//! What the connector remembers between calls. All of it can be lost: then it is asked for again.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;

use crate::model::RecordId;

/// Keys remembered before the memory begins anew.
const MAX_KEYS: usize = 100_000;

/// Which half of the changes a poll lists; the two take turns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(super) enum Half {
    /// Cases that were opened or edited.
    Cases,
    /// Comments, which need not move the case that they are on.
    Comments,
}

#[derive(Debug, Default)]
pub(super) struct Memory(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// The server's time up to which each half was listed to its end.
    cases: Option<Timestamp>,
    comments: Option<Timestamp>,
    last: Option<Half>,
    /// Comments handed over, with their time: the overlap brings them again.
    told: HashMap<String, Timestamp>,
    /// The case that each key leads to.
    homes: HashMap<String, RecordId>,
    /// lockstep's own login in lower case.
    account: Option<String>,
    /// The organisation that it acts in.
    organisation: Option<String>,
    /// A case of lockstep's that a list brought, and that lists must go on to show.
    witness: Option<RecordId>,
    /// Whether any of lockstep's cases was seen.
    saw_cases: bool,
    /// A case whose key did not arrive.
    keyless: Option<RecordId>,
}

impl Memory {
    /// The halves that this poll lists: the one whose turn it is, or both where one was never listed.
    pub(super) fn turn(&self) -> (Half, bool) {
        let state = self.lock();
        if state.cases.is_none() || state.comments.is_none() {
            return (Half::Cases, true);
        }
        let next = if state.last == Some(Half::Cases) { Half::Comments } else { Half::Cases };
        (next, false)
    }

    /// A half was listed to its end; `at` is the server's time at its first page.
    pub(super) fn listed(&self, half: Half, at: Option<Timestamp>) {
        let mut state = self.lock();
        state.last = Some(half);
        let through = match half {
            Half::Cases => &mut state.cases,
            Half::Comments => &mut state.comments,
        };
        *through = at.or(*through);
    }

    /// The server's time up to which everything was listed, if this half is through at `at`.
    pub(super) fn through(&self, half: Half, at: Option<Timestamp>) -> Option<Timestamp> {
        let state = self.lock();
        let other = match half {
            Half::Cases => state.comments,
            Half::Comments => state.cases,
        };
        // Nothing was listed yet: this cycle lists both, and begins with this page.
        other.map_or(at, |other| at.map(|at| at.min(other)))
    }

    pub(super) fn is_told(&self, comment: &str) -> bool {
        self.lock().told.contains_key(&comment.to_ascii_lowercase())
    }

    /// Comments were handed over; those from before `since` come no more.
    pub(super) fn told(&self, comments: impl IntoIterator<Item = (String, Timestamp)>, since: Timestamp) {
        let told = &mut self.lock().told;
        told.retain(|_, created| *created >= since);
        told.extend(comments.into_iter().map(|(id, created)| (id.to_ascii_lowercase(), created)));
    }

    /// The case that a key was last seen to lead to.
    pub(super) fn home(&self, key: &str) -> Option<RecordId> {
        self.lock().homes.get(key).cloned()
    }

    /// The key that leads to a case.
    pub(super) fn key_of(&self, case: &RecordId) -> Option<String> {
        self.lock().homes.iter().find(|(_, home)| *home == case).map(|(key, _)| key.clone())
    }

    pub(super) fn set_home(&self, key: &str, case: &RecordId) {
        let homes = &mut self.lock().homes;
        if homes.len() >= MAX_KEYS {
            homes.clear();
        }
        homes.insert(key.to_owned(), case.clone());
    }

    pub(super) fn account(&self) -> Option<String> {
        self.lock().account.clone()
    }

    pub(super) fn set_account(&self, login: &str) {
        self.lock().account = Some(login.trim().to_lowercase());
    }

    pub(super) fn organisation(&self) -> Option<String> {
        self.lock().organisation.clone()
    }

    pub(super) fn set_organisation(&self, name: &str) {
        self.lock().organisation = Some(name.to_owned());
    }

    pub(super) fn witness(&self) -> Option<RecordId> {
        self.lock().witness.clone()
    }

    pub(super) fn set_witness(&self, case: Option<RecordId>) {
        let mut state = self.lock();
        state.saw_cases |= case.is_some();
        state.witness = case;
    }

    pub(super) fn witness_if_none(&self, case: &RecordId) {
        let mut state = self.lock();
        state.saw_cases = true;
        state.witness.get_or_insert_with(|| case.clone());
    }

    /// Whether any of lockstep's cases was seen since the start.
    pub(super) fn saw_cases(&self) -> bool {
        self.lock().saw_cases
    }

    pub(super) fn set_saw_cases(&self) {
        self.lock().saw_cases = true;
    }

    pub(super) fn keyless(&self) -> Option<RecordId> {
        self.lock().keyless.clone()
    }

    pub(super) fn set_keyless(&self, case: Option<RecordId>) {
        self.lock().keyless = case;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
