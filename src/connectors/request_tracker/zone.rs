//! In whose time zone the service reads the dates of a search (`ticketing.md` 3, F7).
//!
//! Dates in `TicketSQL` are read in the calling user's own zone. West of Greenwich a time in UTC is taken for a later
//! one, and changes are missed in silence. So before times are relied on, the newest ticket of the queue is looked up
//! by the exact second of its creation.

use std::sync::Mutex;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use super::{PER_PAGE, RequestTracker};
use crate::connectors::stated::time;
use crate::http::CallError;

/// How long a check holds: somebody may change the user's zone, or it may change by itself in summer.
const HOLDS: Duration = Duration::from_hours(1);

/// What to do about a zone that is not UTC.
pub(super) const WRONG: &str = "the service user's time zone is not UTC, so searches by time would miss changes; set \
                                its Timezone to UTC in Request Tracker (Admin, Users)";

/// When the zone was last found to be UTC.
#[derive(Debug, Default)]
pub(super) struct Checked(Mutex<Option<Instant>>);

/// What a look at the zone brings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Zone {
    /// Searches take times in UTC.
    Utc,
    /// They take them otherwise.
    Other,
    /// The queue has no ticket to try it on, and is one that this user sees; nothing can be missed yet either.
    Untried,
}

/// The only form of a time that the service reads exactly.
pub(super) fn sql(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%S").to_string()
}

impl RequestTracker {
    /// Whether times can be relied on. No call where that was found lately, else two.
    pub(super) async fn zone(&self) -> Result<Zone, CallError> {
        if self.zone.0.lock().is_ok_and(|checked| checked.is_some_and(|at| at.elapsed() < HOLDS)) {
            return Ok(Zone::Utc);
        }
        let found = self.try_zone().await?;
        if let (Zone::Utc, Ok(mut checked)) = (found, self.zone.0.lock()) {
            *checked = Some(Instant::now());
        }
        Ok(found)
    }

    async fn try_zone(&self) -> Result<Zone, CallError> {
        let operation = "time-zone.check";
        let before = self.sight.get().ticket;
        let Some((id, row, answer)) = self.newest(operation).await? else {
            self.sees_empty_queue(before).await?;
            return Ok(Zone::Untried);
        };
        let bad = |what: &str| self.endpoint.malformed(operation, &answer, what.to_owned());
        let created = row["Created"].as_str().and_then(|text| time(text).ok());
        let created = sql(created.ok_or_else(|| bad("a ticket without its time of creation"))?);
        let exact = format!("id = {id} AND Created >= '{created}' AND Created <= '{created}'");
        let answer = self.ask(operation, &["tickets"], &[("query", &exact), ("per_page", PER_PAGE)]).await?;
        Ok(if self.items(operation, &answer)?.is_empty() { Zone::Other } else { Zone::Utc })
    }
}
