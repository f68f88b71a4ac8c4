//! Comments and work notes: rows of the journal, which only ever grows (`ticketing.md` 1.7).

use std::collections::HashMap;

use jiff::Timestamp;
use serde_json::Value;

use super::list::{PAGE_SIZE, Place};
use super::query::{Query, literal, time};
use super::snapshot::{filled, stated};
use super::{ServiceNow, markup};
use crate::connectors::text::shown;
use crate::http::CallError;
use crate::model::{Comment, CommentKey, RecordRef};

/// The journal's table.
pub(super) const TABLE: &str = "sys_journal_field";
const FIELDS: &str = "sys_id,element,element_id,value,sys_created_on,sys_created_by";
/// Requests for one listing; 10,000 entries are more than a ticket should have.
const MOST_PAGES: usize = 100;

const LIST: &str = "comments.list";

impl ServiceNow {
    /// All comments and work notes of a ticket, oldest first. One that cannot be read is an error, and so is one that
    /// is counted but not shown: a look-up must not overlook a copy.
    pub(super) async fn comments(&self, record: &RecordRef) -> Result<Vec<Comment>, CallError> {
        let id = self.id(LIST, record)?;
        let (mut all, total) = self.entries(&[id], None).await?;
        let mut read = all.remove(id).unwrap_or_default();
        read.sort_by(|a, b| (a.created, a.key.as_str()).cmp(&(b.created, b.key.as_str())));
        if total.is_some_and(|total| total > read.len() as u64) {
            let what = format!(
                "{record}: {} of its comments are not shown to lockstep's user; let it read {TABLE}, work notes and \
                 comments",
                total.unwrap_or_default() - read.len() as u64
            );
            return Err(self.endpoint.to_mend(LIST, what));
        }
        Ok(read)
    }

    /// What was written on these tickets since, by ticket.
    pub(super) async fn news(
        &self,
        ids: &[&str],
        since: Timestamp,
    ) -> Result<HashMap<String, Vec<Comment>>, CallError> {
        Ok(self.entries(ids, Some(since)).await?.0)
    }

    /// Journal entries by ticket, and how many the instance counts.
    async fn entries(
        &self,
        ids: &[&str],
        since: Option<Timestamp>,
    ) -> Result<(HashMap<String, Vec<Comment>>, Option<u64>), CallError> {
        let mut found: HashMap<String, Vec<Comment>> = HashMap::new();
        let (mut place, mut total) = (Place::default(), None);
        let which = if let [id] = ids {
            format!("element_id={id}")
        } else {
            format!("element_idIN{}", ids.join(","))
        };
        let scope = format!("{which}^elementINcomments,work_notes");
        let begin = since.map_or(String::new(), |at| format!("^sys_created_on>={}", literal(at)));
        for page in 0..MOST_PAGES {
            let encoded = place.encoded(&scope, &begin, "sys_created_on");
            let limit = PAGE_SIZE.to_string();
            let query = Query { encoded: &encoded, fields: FIELDS, limit: &limit };
            let (rows, answer) = self.rows(LIST, TABLE, &query).await?;
            if page == 0 {
                total = answer.total_count;
            }
            for row in &rows {
                let (id, comment) =
                    entry(row, ids).map_err(|what| self.endpoint.malformed(LIST, &answer, what))?;
                let comments = found.entry(id.to_owned()).or_default();
                if comments.iter().all(|known| known.key != comment.key) {
                    comments.push(comment);
                }
            }
            let next = place.further(&rows, &answer, "sys_created_on");
            match next.map_err(|what| self.endpoint.malformed(LIST, &answer, what))? {
                Some(next) => place = next,
                None => return Ok((found, total)),
            }
        }
        let what = format!("more than {MOST_PAGES} pages of journal entries");
        Err(self.endpoint.invalid(LIST, what))
    }
}

/// Reads one entry, and which of the tickets it is about.
fn entry<'r>(row: &'r Value, ids: &[&str]) -> Result<(&'r str, Comment), String> {
    let id = filled(row, "element_id").filter(|id| ids.contains(id));
    let element = filled(row, "element").filter(|element| matches!(*element, "comments" | "work_notes"));
    let (Some(id), Some(_)) = (id, element) else {
        return Err("the journal brought entries of other records: its query was not understood".to_owned());
    };
    let key = filled(row, "sys_id").ok_or("a journal entry without sys_id")?;
    let what = |e: String| format!("journal entry {}: {e}", shown(key));
    let text = stated(row, "value").ok_or_else(|| what("value is missing".to_owned()))?;
    let created =
        filled(row, "sys_created_on").ok_or_else(|| what("sys_created_on is missing".to_owned()))?;
    let created = time(created).map_err(what)?;
    let comment = Comment {
        key: CommentKey::from_id(key),
        author: filled(row, "sys_created_by").map(str::to_owned),
        created: Some(created),
        text: markup::read(&text.replace("\r\n", "\n")),
    };
    Ok((id, comment))
}
