//! Searches: what changed, and the issue with a key (`ticketing.md` 2.2). A search may lag behind by minutes.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::jql;
use super::sound::page_end;
use super::{Deployment, Jira, MARK};
use crate::connectors::text::shown;
use crate::connectors::{Malformed, Page, PageToken};
use crate::http::{Answer, Call, CallError, Priority};
use crate::model::{RecordRef, Snapshot};

/// Issues per page; with their comments more would be large and slow.
const PAGE_SIZE: usize = 50;
/// Pages of one list. More is taken for a loop.
const MAX_PAGES: usize = 1_000;

pub(super) const LIST: &str = "tickets.list";
pub(super) const FIND: &str = "tickets.find";

/// Where a list goes on.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Trail {
    /// Cloud: Jira's own token, which belongs to this query.
    #[serde(default)]
    token: Option<String>,
    /// The time from which the page reads, in epoch milliseconds.
    since: i64,
    /// Data Center: rows at exactly this time that were read already.
    #[serde(default)]
    start: usize,
    /// Pages so far.
    pages: usize,
}

impl Jira {
    /// One page of changed issues.
    pub(super) async fn changes(
        &self,
        since: Timestamp,
        page: Option<&PageToken>,
    ) -> Result<Page, CallError> {
        let trail = match page {
            None => Trail { since: since.as_millisecond(), ..Trail::default() },
            Some(token) => serde_json::from_str(&token.0)
                .map_err(|e| self.endpoint.invalid(LIST, format!("foreign page token: {e}")))?,
        };
        if trail.pages >= MAX_PAGES {
            return Err(self.endpoint.invalid(LIST, format!("more than {MAX_PAGES} pages")));
        }
        let me = self.me().await?;
        let from = Timestamp::from_millisecond(trail.since)
            .map_err(|e| self.endpoint.invalid(LIST, format!("foreign page token: {e}")))?;
        let query = jql::changed(&self.settings.project, self.settings.scope, from);
        let url = self.url(LIST, self.search_path(), &[])?;
        let body = self.ask(&query, &trail);
        let call = Call::query(LIST, "jira-post", url, Some(body)).with_priority(Priority::Poll);
        let answer = self.endpoint.send(call).await?;
        let mut result = Page { server_time: answer.date, ..Page::default() };
        let rows = self.rows(LIST, &answer)?;
        for row in rows {
            match self.snapshot(me, row, false) {
                Ok(read) => result.snapshots.push(read),
                Err(reason) => {
                    result.malformed.push(Malformed { id: row["id"].as_str().map(shown), reason });
                }
            }
        }
        let next = match self.settings.deployment {
            Deployment::Cloud => next_token(&trail, &answer.body),
            Deployment::DataCenter => Ok(next_start(&trail, &answer.body, rows.len(), &result.snapshots)),
        };
        let next = next.map_err(|what| self.endpoint.malformed(LIST, &answer, what))?;
        result.next = match next {
            Some(next) => Some(PageToken(
                serde_json::to_string(&next)
                    .map_err(|e| self.endpoint.invalid(LIST, format!("page token: {e}")))?,
            )),
            None => None,
        };
        Ok(result)
    }

    /// The oldest issue with a key. An issue without it in the answer means that the query was not honoured, and then
    /// the answer proves nothing (`ticketing.md` 0). `None` is the word of somebody who sees the project, since the query
    /// names it.
    pub(super) async fn find_by_key(&self, planned: &RecordRef) -> Result<Option<RecordRef>, CallError> {
        let key = planned.id.as_str();
        let Some(query) = jql::with_key(&self.settings.project, key) else {
            return Err(self.endpoint.invalid(FIND, format!("{planned}: this is no key of a ticket")));
        };
        let most = PAGE_SIZE.to_string();
        let asked = [("jql", query.as_str()), ("fields", "labels,created"), ("maxResults", &most)];
        let url = self.url(FIND, self.search_path(), &asked)?;
        let answer = self.endpoint.send(Call::get(FIND, "jira-get", url)).await?;
        let mut found: Option<(u64, RecordRef)> = None;
        for row in self.rows(FIND, &answer)? {
            let bad = |what: &str| self.endpoint.malformed(FIND, &answer, format!("{planned}: {what}"));
            let labels = row.pointer("/fields/labels").and_then(Value::as_array);
            if !labels.is_some_and(|labels| labels.iter().any(|label| label == key)) {
                return Err(bad("the search for the key brought an issue without it; it was not honoured"));
            }
            let id = row["id"].as_str().ok_or_else(|| bad("an issue without an id"))?;
            let number = id.parse().map_err(|_| bad("an issue whose id is no number"))?;
            let record = self.ticket(id).map_err(|what| bad(&what))?;
            // The ids of a site rise, and a copy that somebody made is younger.
            if found.as_ref().is_none_or(|(oldest, _)| number < *oldest) {
                found = Some((number, record));
            }
        }
        // A page can be empty although more follow, and only the last one proves that there is none.
        let is_cloud = self.settings.deployment == Deployment::Cloud;
        if found.is_none() && is_cloud && !matches!(page_end(&answer.body), Ok(None)) {
            let what = format!("{planned}: the search for the key shows nothing and says that there is more");
            return Err(self.endpoint.malformed(FIND, &answer, what));
        }
        Ok(found.map(|(_, record)| record))
    }

    /// Cloud took its old search away (`ticketing.md` 2.2).
    fn search_path(&self) -> &'static [&'static str] {
        match self.settings.deployment {
            Deployment::Cloud => &["search", "jql"],
            Deployment::DataCenter => &["search"],
        }
    }

    /// The body of a list.
    fn ask(&self, query: &str, trail: &Trail) -> Value {
        let mut body = json!({"jql": query, "fields": self.settings.fields(), "maxResults": PAGE_SIZE});
        match (self.settings.deployment, &trail.token) {
            (Deployment::DataCenter, _) => body["startAt"] = trail.start.into(),
            (Deployment::Cloud, token) => {
                body["properties"] = json!([MARK]);
                if let Some(token) = token {
                    body["nextPageToken"] = token.as_str().into();
                }
            }
        }
        body
    }

    fn rows<'a>(&self, operation: &'static str, answer: &'a Answer) -> Result<&'a [Value], CallError> {
        let rows = answer.body["issues"].as_array().map(Vec::as_slice);
        rows.ok_or_else(|| {
            let what = "the search has no list of issues; is the address right?";
            self.endpoint.malformed(operation, answer, what.to_owned())
        })
    }
}

/// Cloud: the token of the next page. One that repeats itself would never end.
fn next_token(trail: &Trail, body: &Value) -> Result<Option<Trail>, String> {
    let Some(token) = page_end(body)? else { return Ok(None) };
    if trail.token.as_deref() == Some(token) {
        return Err("nextPageToken repeats itself".to_owned());
    }
    Ok(Some(Trail { token: Some(token.to_owned()), pages: trail.pages + 1, ..trail.clone() }))
}

/// Data Center: rows move while they are read, so a page does not begin at a number of rows but at the time of the
/// last one; only among rows of one time is counted.
fn next_start(trail: &Trail, body: &Value, rows: usize, read: &[Snapshot]) -> Option<Trail> {
    let total = body["total"].as_u64().and_then(|total| usize::try_from(total).ok());
    let is_last = total.is_some_and(|total| trail.start + rows >= total);
    if rows == 0 || is_last {
        return None;
    }
    let last = read.iter().map(|read| read.modified.as_millisecond()).max();
    let pages = trail.pages + 1;
    Some(match last.filter(|last| *last > trail.since) {
        Some(since) => Trail { since, start: 0, pages, token: None },
        None => Trail { start: trail.start + rows, pages, ..trail.clone() },
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_cloud_list_ends_and_never_turns_in_circles() {
        let first = Trail { since: 5, ..Trail::default() };
        let second = next_token(&first, &json!({"nextPageToken": "a"})).unwrap().unwrap();
        assert_eq!((second.token.as_deref(), second.pages), (Some("a"), 1));
        assert!(next_token(&second, &json!({"nextPageToken": "a"})).unwrap_err().contains("repeats"));
        assert_eq!(next_token(&second, &json!({"isLast": true})), Ok(None));
        for unclear in [
            json!({}),
            json!({"isLast": false}),
            json!({"isLast": true, "nextPageToken": "b"}),
            json!({"nextPageToken": 7}),
        ] {
            assert!(next_token(&second, &unclear).is_err(), "{unclear}");
        }
    }
}
