//! The last things that happened, for the status page.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;

use super::Event;
use crate::model::MappingId;

/// How many are kept.
const KEPT: usize = 50;

/// Something that happened, in one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecentLine {
    /// When (UTC, our clock).
    pub at: Timestamp,
    /// The mapping it concerns.
    pub mapping: MappingId,
    /// What happened. Holds text from outside: escape it.
    pub text: String,
}

/// The last things that happened since the start. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Recent(Arc<Mutex<VecDeque<RecentLine>>>);

impl Recent {
    /// The lines, newest first.
    pub fn lines(&self) -> Vec<RecentLine> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().rev().cloned().collect()
    }

    pub(super) fn observe(&self, event: &Event<'_>) {
        let Some((mapping, text)) = line(event) else { return };
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.len() == KEPT {
            lines.pop_front();
        }
        lines.push_back(RecentLine { at: Timestamp::now(), mapping, text });
    }
}

fn line(event: &Event<'_>) -> Option<(MappingId, String)> {
    Some(match event {
        Event::Linked { mapping, record, how } => (*mapping, format!("{record} linked: {how}")),
        Event::Left { mapping, record, reason, .. } => (*mapping, format!("{record} left: {reason}")),
        Event::Edited { mapping, record, field, old, new, by } => {
            let by = by.map(|by| format!(" by {by}")).unwrap_or_default();
            (*mapping, format!("{record} edited{by}: {field} {old} → {new}"))
        }
        Event::Commented { mapping, record, by } => {
            let by = by.map(|by| format!(" by {by}")).unwrap_or_default();
            (*mapping, format!("{record} commented{by}"))
        }
        Event::NotCarried { mapping, record, what_of, value, reason } => {
            (*mapping, format!("{record}: {what_of} {value} was not carried over: {reason}"))
        }
        Event::Wrote { mapping, record, action, .. } => (*mapping, format!("{action} of {record} written")),
        Event::DeadLetter { record, intent, reason } => {
            (intent.mapping, format!("gave up on {record} ({intent}): {reason}"))
        }
        Event::NativeLate { mapping, record, .. } => (*mapping, format!("native sync of {record} is late")),
        _ => return None,
    })
}
