//! The published limits, counted in sliding windows of the emulator's time.

use std::collections::{HashMap, VecDeque};

use jiff::Timestamp;

use super::clock::earlier;
use super::ledger::Api;

/// Requests per window of seconds for an operation, where the publisher names a limit.
///
/// Graph: 150 a minute for all of `/security` (`graph-security.md` 5.1). Sentinel: per five minutes and
/// operation (`sentinel.md` 8.1).
fn limit(api: Api, operation: &str) -> Option<(&'static str, u32, f64)> {
    match (api, operation) {
        (Api::Graph, _) => Some(("graph", 150, 60.0)),
        (Api::Sentinel, "put-incident") => Some(("put-incident", 75, 300.0)),
        (Api::Sentinel, "put-comment") => Some(("put-comment", 75, 300.0)),
        (Api::Sentinel, "list-comments" | "get-comment") => Some(("get-comments", 100, 300.0)),
        (Api::Sentinel, "list-alerts") => Some(("list-alerts", 100, 300.0)),
        (Api::Sentinel, "list-entities") => Some(("list-entities", 100, 300.0)),
        (Api::Sentinel, "list-bookmarks") => Some(("list-bookmarks", 100, 300.0)),
        _ => None,
    }
}

/// Requests within the current windows.
#[derive(Debug, Default)]
pub(super) struct Quota {
    windows: HashMap<&'static str, VecDeque<Timestamp>>,
}

impl Quota {
    /// Counts a request. `Err` is the number of seconds after which the next may come. A refused request counts
    /// too, so that retrying early makes the wait longer, as both publishers say.
    pub(super) fn take(&mut self, api: Api, operation: &str, factor: f64, now: Timestamp) -> Result<(), u32> {
        let Some((key, requests, seconds)) = limit(api, operation) else { return Ok(()) };
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let allowed = (f64::from(requests) * factor).max(1.0) as usize;
        let window = self.windows.entry(key).or_default();
        let begin = earlier(now, seconds);
        while window.front().is_some_and(|at| *at <= begin) {
            window.pop_front();
        }
        window.push_back(now);
        if window.len() <= allowed {
            return Ok(());
        }
        let leaves = window[window.len() - allowed];
        let wait = leaves.as_second() - begin.as_second() + 1;
        Err(u32::try_from(wait.max(1)).unwrap_or(1))
    }

    pub(super) fn reset(&mut self) {
        self.windows.clear();
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::clock::later;
    use super::*;

    #[test]
    fn the_window_slides_and_refused_requests_count() {
        let mut quota = Quota::default();
        let start = Timestamp::UNIX_EPOCH;
        for _ in 0..75 {
            quota.take(Api::Sentinel, "put-incident", 1.0, start).unwrap();
        }
        assert_eq!(quota.take(Api::Sentinel, "put-incident", 1.0, later(start, 10.0)), Err(291));
        assert!(quota.take(Api::Sentinel, "put-comment", 1.0, start).is_ok(), "limits are per operation");
        assert!(quota.take(Api::Sentinel, "get-incident", 1.0, start).is_ok(), "no published limit");
        assert!(quota.take(Api::Sentinel, "put-incident", 1.0, later(start, 301.0)).is_ok());
    }
}
