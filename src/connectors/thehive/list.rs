//! Changes since a time. Cases and comments are listed in turn, one query per poll: whether a comment moves the date of
//! its case is not published, so comments are asked for by themselves. What a cycle claims to have seen is the earlier
//! of the two.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::TheHive;
use super::alert;
use super::memory::Half;
use super::query::{filter, first, millis, rising, since};
use super::sight::touched;
use super::snapshot::{case_of, comment, keys};
use crate::connectors::text::{is_marked, shown};
use crate::connectors::{Malformed, Page, PageToken};
use crate::http::CallError;
use crate::model::{Comment, Comments, Lifecycle, Natives, RecordId, RecordRef, Snapshot};

/// The operation name in logs and metrics.
const LIST: &str = "tickets.list";
/// Rows per page.
const PAGE_SIZE: usize = 100;
/// Rows of one page where so many share one millisecond.
const MAX_PAGE_SIZE: usize = 6_400;
/// Cases asked for by id at once.
const IDS: usize = 50;

/// How a half is paged through. The first query has both dates in it and most often all there is; more than that is
/// taken date by date, each page beginning at the last date of the one before, so that rows that move meanwhile are
/// met again and never missed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Phase {
    Both,
    Updated,
    Created,
}

/// Where a list goes on.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Cursor {
    half: Half,
    /// Whether the comments follow in this cycle.
    both: bool,
    phase: Phase,
    /// Where the list began, and where this page begins, in milliseconds of the server's time.
    since: i64,
    from: i64,
    size: usize,
    /// The server's time at the half's first page.
    at: Option<Timestamp>,
}

impl Cursor {
    fn begin(half: Half, both: bool, since: i64) -> Self {
        let phase = if half == Half::Cases { Phase::Both } else { Phase::Created };
        Self { half, both, phase, since, from: since, size: PAGE_SIZE, at: None }
    }

    /// The next page of this half after one that ended at `last`, or `None`.
    fn after(&self, rows: usize, last: Option<i64>) -> Result<Option<Self>, String> {
        let full = rows >= self.size;
        let phase = |phase| Self { phase, from: self.since, size: PAGE_SIZE, ..self.clone() };
        match (self.phase, full) {
            (Phase::Both, true) => Ok(Some(phase(Phase::Updated))),
            (Phase::Updated, false) => Ok(Some(phase(Phase::Created))),
            (_, false) => Ok(None),
            (_, true) => match last.filter(|last| *last > self.from) {
                Some(last) => Ok(Some(Self { from: last, size: PAGE_SIZE, ..self.clone() })),
                // All of one millisecond: ask for more of it at once.
                None if self.size < MAX_PAGE_SIZE => Ok(Some(Self { size: self.size * 4, ..self.clone() })),
                None => {
                    Err(format!("more than {MAX_PAGE_SIZE} rows of one millisecond, or rows out of order"))
                }
            },
        }
    }

    fn steps(&self, or_witness: impl Fn(Value) -> Value) -> Vec<Value> {
        let (name, condition, order) = match (self.half, self.phase) {
            (Half::Comments, _) => ("listComment", since("_createdAt", self.from), vec!["_createdAt"]),
            (Half::Cases, Phase::Both) => {
                ("listCase", or_witness(touched(self.from)), vec!["_updatedAt", "_createdAt"])
            }
            (Half::Cases, Phase::Updated) => ("listCase", since("_updatedAt", self.from), vec!["_updatedAt"]),
            (Half::Cases, Phase::Created) => ("listCase", since("_createdAt", self.from), vec!["_createdAt"]),
        };
        let mut page = first(self.size);
        if self.half == Half::Comments {
            page["extraData"] = json!(["links"]);
        }
        vec![json!({"_name": name}), filter(condition), rising(&order), page]
    }

    /// The date by which a row stands where it stands.
    fn date(&self, row: &Value) -> Option<i64> {
        let own = row["_createdAt"].as_i64().or_else(|| row["createdAt"].as_i64());
        if self.phase == Phase::Updated { row["_updatedAt"].as_i64() } else { own }
    }
}

impl TheHive {
    /// One page of changes: one query, and one more where it brought comments or keys not met before.
    pub(super) async fn changes(
        &self,
        since: Timestamp,
        page: Option<&PageToken>,
    ) -> Result<Page, CallError> {
        self.learn_account().await?;
        let mut cursor = match page {
            None => {
                let (half, both) = self.memory.turn();
                Cursor::begin(half, both, millis(since))
            }
            Some(token) => serde_json::from_str(&token.0)
                .map_err(|e| self.endpoint.invalid(LIST, format!("foreign page token: {e}")))?,
        };
        let (mut rows, answer) =
            self.query(LIST, &cursor.steps(|condition| self.or_witness(condition))).await?;
        let got = rows.len();
        if cursor.phase == Phase::Both {
            // A full page need not hold it; its rows show as much.
            if got < cursor.size
                && self.memory.witness().is_some()
                && !rows.iter().any(|row| self.is_witness(row))
            {
                self.still_sees(LIST).await?;
            }
            rows.retain(|row| !self.is_witness(row) || is_touched(row, cursor.from));
            self.saw_rows(&rows);
        }
        cursor.at = cursor.at.or(answer.date);
        let mut result = Page { server_time: self.memory.through(cursor.half, cursor.at), ..Page::default() };
        match cursor.half {
            Half::Cases => self.take_cases(&rows, &mut result).await?,
            Half::Comments => self.take_comments(&rows, since, &mut result).await?,
        }
        let last = rows.iter().filter_map(|row| cursor.date(row)).max();
        let next = cursor.after(got, last).map_err(|e| self.endpoint.malformed(LIST, &answer, e))?;
        result.next = self.next(&cursor, next)?;
        Ok(result)
    }

    /// The next page; at the end of a half it counts as listed.
    fn next(&self, cursor: &Cursor, next: Option<Cursor>) -> Result<Option<PageToken>, CallError> {
        let next = next.or_else(|| {
            self.memory.listed(cursor.half, cursor.at);
            let comments = cursor.both && cursor.half == Half::Cases;
            comments.then(|| Cursor::begin(Half::Comments, false, cursor.since))
        });
        let token = next.map(|next| serde_json::to_string(&next)).transpose();
        let token = token.map_err(|e| self.endpoint.invalid(LIST, format!("page token: {e}")))?;
        Ok(token.map(PageToken))
    }

    /// Cases as listed, and what became of those that they were merged from.
    async fn take_cases(&self, rows: &[Value], page: &mut Page) -> Result<(), CallError> {
        let mut read = Vec::new();
        for row in rows {
            match self.reader().case(row, false) {
                Ok(snapshot) => read.push(snapshot),
                Err(reason) => {
                    page.malformed.push(Malformed { id: row["_id"].as_str().map(shown), reason });
                }
            }
        }
        let merged = self.follow_merges(&read).await?;
        page.snapshots.extend(merged);
        page.snapshots.extend(read);
        Ok(())
    }

    /// A merge makes a new case with the tags of the old ones, which are gone (`ticketing.md` 4). Where a key was met
    /// in another case before, its alert tells whether it moved or was copied.
    async fn follow_merges(&self, read: &[Snapshot]) -> Result<Vec<Snapshot>, CallError> {
        let mut moved = Vec::new();
        for snapshot in read {
            for key in keys(&snapshot.raw) {
                match self.memory.home(key) {
                    None => self.memory.set_home(key, &snapshot.record.id),
                    Some(home) if home != snapshot.record.id => moved.push((key, home, snapshot)),
                    Some(_) => {}
                }
            }
        }
        let mut merged = Vec::new();
        for (key, home, snapshot) in moved {
            let alert = self.alert_of(LIST, key).await?;
            if alert::case_id(alert.as_ref()).is_none_or(|id| id != snapshot.record.id.as_str()) {
                continue; // a copy
            }
            self.memory.set_home(key, &snapshot.record.id);
            let old = RecordRef::ticket(self.endpoint_system(), home);
            // The copy may have been met first; then both are there.
            match self.get(&old).await {
                Ok(_) => {}
                Err(CallError::Gone { .. }) => merged.push(redirected(&old, snapshot)),
                Err(error) => return Err(error),
            }
        }
        Ok(merged)
    }

    /// The cases of comments that were not handed over yet, each with its comments.
    async fn take_comments(
        &self,
        rows: &[Value],
        since: Timestamp,
        page: &mut Page,
    ) -> Result<(), CallError> {
        let mut told = Vec::new();
        let mut news: BTreeMap<String, Vec<Comment>> = BTreeMap::new();
        for row in rows {
            let id = row["_id"].as_str().unwrap_or_default();
            match comment(row) {
                _ if self.memory.is_told(id) => {}
                Ok(read) => match case_of(row) {
                    Some(_) if self.is_own_copy(&read) => told.push((id.to_owned(), read.created)),
                    Some(case) => news.entry(case).or_default().push(read),
                    None => {
                        told.push((id.to_owned(), read.created));
                        if !row["extraData"]["links"].is_object() {
                            let reason = "the comment does not name its case (extraData.links)".to_owned();
                            page.malformed.push(Malformed { id: Some(shown(id)), reason });
                        }
                    }
                },
                Err(reason) => page.malformed.push(Malformed { id: Some(shown(id)), reason }),
            }
        }
        for snapshot in self.cases(&news.keys().cloned().collect::<Vec<_>>()).await? {
            let Some(comments) = news.remove(snapshot.record.id.as_str()) else { continue };
            told.extend(comments.iter().map(|c| (c.key.as_str().to_owned(), c.created)));
            page.snapshots.push(Snapshot { comments: Comments::Recent(comments), ..snapshot });
        }
        // A case that its index does not show yet is asked for again at the next turn.
        let told = told.into_iter().filter_map(|(id, created)| Some((id, created?)));
        self.memory.told(told, since);
        Ok(())
    }

    /// Copies that lockstep wrote are known already.
    fn is_own_copy(&self, comment: &Comment) -> bool {
        let own = comment.author.as_deref().is_some_and(|a| a.eq_ignore_ascii_case(&self.account()));
        own && is_marked(&comment.text)
    }

    async fn cases(&self, ids: &[String]) -> Result<Vec<Snapshot>, CallError> {
        let mut read = Vec::new();
        for ids in ids.chunks(IDS) {
            let any: Value = ids.iter().map(|id| json!({"_id": id})).collect();
            let steps = [json!({"_name": "listCase"}), filter(json!({"_or": any})), first(IDS * 2)];
            let (rows, _) = self.query(LIST, &steps).await?;
            read.extend(rows.iter().filter_map(|row| self.reader().case(row, false).ok()));
        }
        Ok(read)
    }
}

/// A case that was merged away, told by the case that it went into.
pub(super) fn redirected(old: &RecordRef, into: &Snapshot) -> Snapshot {
    Snapshot {
        record: old.clone(),
        native: Natives::new(),
        closing_comment: None,
        lifecycle: Lifecycle::Redirected { to: Some(into.record.clone()) },
        planned_as: None,
        comments: Comments::Recent(Vec::new()),
        ..into.clone()
    }
}

/// Whether a case changed, or was opened, at or after a time.
fn is_touched(row: &Value, from: i64) -> bool {
    ["_updatedAt", "_createdAt"].iter().any(|date| row[*date].as_i64().is_some_and(|at| at >= from))
}

/// The id as a record's.
pub(super) fn record_id(id: &str) -> Option<RecordId> {
    RecordId::new(id).ok()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn pages_begin_at_the_last_date_and_grow_over_ties() {
        let cases = Cursor::begin(Half::Cases, true, 1_000);
        assert!(cases.after(99, Some(5_000)).unwrap().is_none());
        let updated = cases.after(100, Some(5_000)).unwrap().unwrap();
        assert_eq!((updated.phase, updated.from), (Phase::Updated, 1_000));
        let further = updated.after(100, Some(5_000)).unwrap().unwrap();
        assert_eq!((further.phase, further.from), (Phase::Updated, 5_000));
        let tie = further.after(100, Some(5_000)).unwrap().unwrap();
        assert_eq!((tie.from, tie.size), (5_000, 400));
        let on = tie.after(400, Some(6_000)).unwrap().unwrap();
        assert_eq!((on.from, on.size), (6_000, 100));
        let created = on.after(3, Some(7_000)).unwrap().unwrap();
        assert_eq!((created.phase, created.from), (Phase::Created, 1_000));
        assert!(created.after(0, None).unwrap().is_none());
        let endless = Cursor { size: MAX_PAGE_SIZE, ..further };
        assert!(endless.after(MAX_PAGE_SIZE, Some(5_000)).is_err());
    }
}
