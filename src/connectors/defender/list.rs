//! Lists of changed incidents and alerts.

use jiff::Timestamp;
use serde_json::Value;

use super::paging::{Row, Walk};
use super::snapshot::snapshot;
use super::{Defender, collection};
use crate::connectors::stated::time;
use crate::connectors::text::shown;
use crate::connectors::{Malformed, Page, PageToken};
use crate::http::{Call, CallError, Priority};
use crate::model::RecordKind;

/// Incidents refuse more than 50 a page; alerts clamp somewhere above 500 (`graph-security.md` 2.2, 3.3).
fn page_size(kind: RecordKind) -> usize {
    if kind == RecordKind::Alert { 200 } else { 50 }
}

impl Defender {
    /// One page of changes, by time boundary.
    pub(super) async fn changes(
        &self,
        kind: RecordKind,
        since: Timestamp,
        page: Option<&PageToken>,
    ) -> Result<Page, CallError> {
        let (segment, operation) = (collection(kind), list_operation(kind));
        let walk = match page {
            None => Walk::new(since),
            Some(token) => serde_json::from_str(&token.0)
                .map_err(|e| self.endpoint.invalid(operation, format!("foreign page token: {e}")))?,
        };
        let top = walk.top(page_size(kind));
        let call = self.list_call(operation, segment, &walk, top)?;
        let answer = match self.endpoint.send(call).await {
            Ok(answer) => answer,
            Err(error) if error.is_too_large() => return self.smaller(kind, &walk, &error),
            Err(error) => return self.stepped_over(operation, &walk, error),
        };
        let rows = self.endpoint.values(operation, &answer)?;
        let mut result = Page { server_time: answer.date, ..Page::default() };
        for row in rows {
            match snapshot(&self.endpoint.system, kind, row, false) {
                Ok(read) => result.snapshots.push(read),
                Err(reason) => result.malformed.push(Malformed { id: id_of(row), reason }),
            }
        }
        // A next link means more even on a short page; its own `$skip` paging is not followed (2.2).
        let full = rows.len() >= top || answer.body["@odata.nextLink"].is_string();
        let marks: Vec<_> = rows.iter().map(mark).collect();
        result.next = self.token(operation, walk.next(&marks, full))?;
        Ok(result)
    }

    /// Every row of a list carries all its comments, up to 100 of 30,000 characters (2.1), so that a page can be larger
    /// than any answer may: it is asked for in smaller ones, and a record that is too large alone is passed over.
    fn smaller(&self, kind: RecordKind, walk: &Walk, error: &CallError) -> Result<Page, CallError> {
        let (next, stepped) = walk.smaller(page_size(kind));
        let reason = || {
            format!("the record after the first {} updated since {}: {error}", walk.skip(), walk.literal())
        };
        let malformed = if stepped { vec![Malformed { id: None, reason: reason() }] } else { Vec::new() };
        Ok(Page { malformed, next: self.token(list_operation(kind), Some(next))?, ..Page::default() })
    }

    /// An instant with more records than the service's `$skip` reaches must not hold up all later ones for ever:
    /// the walk goes on behind it, and the page says what was left out.
    fn stepped_over(
        &self,
        operation: &'static str,
        walk: &Walk,
        error: CallError,
    ) -> Result<Page, CallError> {
        let too_deep = matches!(error, CallError::Refused { status: 400, .. }) && walk.skip() > 0;
        let Some(next) = walk.beyond().filter(|_| too_deep) else { return Err(error) };
        let reason = format!(
            "records updated at {} beyond the first {} could not be listed: {error}",
            walk.literal(),
            walk.skip()
        );
        let malformed = vec![Malformed { id: None, reason }];
        Ok(Page { malformed, next: self.token(operation, Some(next))?, ..Page::default() })
    }

    fn token(&self, operation: &'static str, next: Option<Walk>) -> Result<Option<PageToken>, CallError> {
        let token = next.map(|walk| serde_json::to_string(&walk)).transpose();
        let token = token.map_err(|e| self.endpoint.invalid(operation, format!("page token: {e}")))?;
        Ok(token.map(PageToken))
    }

    fn list_call(
        &self,
        operation: &'static str,
        segment: &str,
        walk: &Walk,
        top: usize,
    ) -> Result<Call, CallError> {
        let filter = format!("lastUpdateDateTime ge {}", walk.literal());
        let (top, skip) = (top.to_string(), walk.skip().to_string());
        let mut query =
            vec![("$filter", filter.as_str()), ("$orderby", "lastUpdateDateTime asc"), ("$top", &top)];
        if walk.skip() > 0 {
            query.push(("$skip", &skip));
        }
        Ok(self.get(operation, &[segment], &query)?.with_priority(Priority::Poll))
    }
}

/// The name of the list operation in logs and metrics.
pub(super) fn list_operation(kind: RecordKind) -> &'static str {
    if kind == RecordKind::Alert { "alerts.list" } else { "incidents.list" }
}

fn mark(row: &Value) -> Row {
    let changed = row["lastUpdateDateTime"].as_str().and_then(|text| time(text).ok());
    Row { id: row["id"].as_str().map(str::to_owned), time: changed }
}

fn id_of(row: &Value) -> Option<String> {
    match &row["id"] {
        Value::String(id) => Some(shown(id)),
        Value::Number(id) => Some(id.to_string()),
        _ => None,
    }
}
