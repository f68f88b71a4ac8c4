//! How a list of changes is walked without losing anything (`graph-security.md` 2.2, 2.3). Pure.
//!
//! Guarantees: on a list that is sorted by update time, every row that was there when the walk began is seen, in
//! the version it has when the last page is read, however rows are updated meanwhile; the walk ends as soon as
//! rows stop changing. An unsorted list is walked by `$skip` and loses nothing as long as its order holds.

use jiff::{RoundMode, Span, Timestamp, TimestampRound, Unit};
use serde::{Deserialize, Serialize};

/// How often one stretch is begun anew because rows moved under a `$skip`. After that the walk goes on unchecked,
/// since a service that reorders ties at will would hold it up for ever; the next poll's overlap helps.
const MAX_RESTARTS: u8 = 5;

/// What the walk needs to know of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Row {
    /// Its id, where it could be read.
    pub(super) id: Option<String>,
    /// Its update time, where it could be read.
    pub(super) time: Option<Timestamp>,
}

/// Where a walk stands: which page to ask for next.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Walk {
    /// Where the walk began.
    origin: Timestamp,
    /// Rows updated at or after this instant are asked for (whole milliseconds).
    bound: Timestamp,
    /// Rows to leave out; only used within one instant, or when the list is unsorted.
    skip: usize,
    /// The id of the last row seen: the page repeats it, unless rows moved.
    anchor: Option<String>,
    /// Whether the service was seen not to sort.
    unsorted: bool,
    restarts: u8,
    /// How often the page was quartered, since it was too large.
    quartered: u32,
    /// Whether the row before this page was too large, and stepped over.
    stepped: bool,
}

impl Walk {
    /// The first page of what changed at or after `since`.
    pub(super) fn new(since: Timestamp) -> Self {
        let origin = floor(since);
        let (unsorted, restarts, quartered, stepped) = (false, 0, 0, false);
        Self { origin, bound: origin, skip: 0, anchor: None, unsorted, restarts, quartered, stepped }
    }

    /// The bound as an `OData` literal. Updates tick at 1/300 s and are shown rounded to 100 ns, so that a bound
    /// in full precision could lie above the very instant it names; whole milliseconds lie below it and above
    /// the instant before.
    pub(super) fn literal(&self) -> String {
        format!("{:.3}", self.bound)
    }

    /// Rows to leave out.
    pub(super) fn skip(&self) -> usize {
        self.skip
    }

    /// Rows to ask for, of the most that a page may have.
    pub(super) fn top(&self, most: usize) -> usize {
        most.checked_shr(2 * self.quartered).unwrap_or(0).max(1)
    }

    /// This page was too large: a quarter of it, or what follows the one row that it was. The flag tells which.
    pub(super) fn smaller(&self, most: usize) -> (Self, bool) {
        if self.top(most) > 1 {
            return (Self { quartered: self.quartered + 1, ..self.clone() }, false);
        }
        (Self { skip: self.skip + 1, anchor: None, stepped: true, ..self.clone() }, true)
    }

    /// The next page after this one; `full` when the service may have more.
    pub(super) fn next(&self, rows: &[Row], full: bool) -> Option<Self> {
        let (quartered, stepped) = (self.quartered.saturating_sub(1), false);
        self.following(rows, full).map(|next| Self { quartered, stepped, ..next })
    }

    fn following(&self, rows: &[Row], full: bool) -> Option<Self> {
        if self.moved(rows) {
            return Some(Self { skip: 0, anchor: None, restarts: self.restarts + 1, ..self.clone() });
        }
        if rows.is_empty() && self.skip > 0 && !self.stepped {
            // Beyond some `$skip` the service is said to stop answering with rows (section 7, item 2).
            return self.beyond();
        }
        if rows.is_empty() || !full {
            return None;
        }
        let times: Vec<_> = rows.iter().filter_map(|row| row.time).collect();
        if self.unsorted {
            return Some(self.further(rows));
        }
        if !times.is_sorted() {
            // Earlier pages may only have looked sorted, so all of it is walked again.
            return Some(Self { unsorted: true, ..Self::new(self.origin) });
        }
        match times.last().map(|last| floor(*last)) {
            Some(bound) if bound > self.bound => {
                Some(Self { bound, skip: 0, anchor: None, restarts: 0, ..self.clone() })
            }
            _ => Some(self.further(rows)),
        }
    }

    /// Past this instant, where its rows cannot be listed any further; `None` when the list is unsorted.
    pub(super) fn beyond(&self) -> Option<Self> {
        let bound = self.bound.checked_add(Span::new().milliseconds(1)).ok()?;
        let next = Self { bound, skip: 0, anchor: None, restarts: 0, ..self.clone() };
        Some(next).filter(|next| !next.unsorted)
    }

    /// Whether rows before this page left or came since the last one, so that others slipped past the `$skip`.
    fn moved(&self, rows: &[Row]) -> bool {
        let first = rows.first().and_then(|row| row.id.as_ref());
        self.restarts < MAX_RESTARTS && self.anchor.is_some() && self.anchor.as_ref() != first
    }

    /// Past these rows, save the last one, by which the next page shows that nothing moved.
    fn further(&self, rows: &[Row]) -> Self {
        let anchor = rows.last().and_then(|row| row.id.clone()).filter(|_| rows.len() > 1);
        let step = if anchor.is_some() { rows.len() - 1 } else { rows.len() };
        Self { skip: self.skip + step, anchor, ..self.clone() }
    }
}

/// Down to whole milliseconds.
fn floor(time: Timestamp) -> Timestamp {
    let round = TimestampRound::new().smallest(Unit::Millisecond).mode(RoundMode::Floor);
    // Rounding down fails only at the very beginning of time.
    time.round(round).unwrap_or(time)
}
