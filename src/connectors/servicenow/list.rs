//! The list of changed tickets, page by page, so that nothing is skipped (`ticketing.md` 1.2).

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::ServiceNow;
use super::query::{Query, is_sys_id, literal, time};
use super::snapshot::{Reader, fields, filled, stated};
use crate::connectors::text::shown;
use crate::connectors::ticketing::is_key;
use crate::connectors::{Malformed, Page, PageToken};
use crate::http::{Answer, CallError};
use crate::model::{Comments, TICKET_KEY};

/// Rows per page: few enough that the ids of a page fit into the address of one journal request.
pub(super) const PAGE_SIZE: u64 = 100;
/// Pages of one list. More is taken for a loop.
const MOST_PAGES: u32 = 2_000;

/// The operation's name in logs and metrics.
pub(super) const LIST: &str = "tickets.list";

/// How far a listing has come. It goes on after the last row seen, by time and id; where a page showed no row although
/// more follow (the limit counts rows before access rules hide them), by offset from there.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Place {
    /// Time and id of the last row seen.
    after: Option<(String, String)>,
    /// Rows to skip from there.
    offset: u64,
    /// Pages so far.
    pages: u32,
}

impl Place {
    /// The query that goes on here. `scope` holds for every row, `begin` for the first page.
    pub(super) fn encoded(&self, scope: &str, begin: &str, by: &str) -> String {
        let order = format!("^ORDERBY{by}^ORDERBYsys_id");
        match &self.after {
            None => format!("{scope}{begin}{order}"),
            Some((at, id)) => format!("{scope}^{by}>{at}^NQ{scope}^{by}={at}^sys_id>{id}{order}"),
        }
    }

    /// The rows to skip, as the parameter wants it.
    pub(super) fn offset(&self) -> String {
        if self.offset == 0 { String::new() } else { self.offset.to_string() }
    }

    /// The next place, if more follows. The error tells of a listing that would go in circles.
    pub(super) fn further(&self, rows: &[Value], answer: &Answer, by: &str) -> Result<Option<Self>, String> {
        let Some(next) = next_offset(self.offset, rows.len(), answer) else { return Ok(None) };
        let pages = self.pages + 1;
        if pages >= MOST_PAGES {
            return Err(format!("more than {MOST_PAGES} pages"));
        }
        let seen = |row: &Value| {
            let (at, id) = (filled(row, by)?, filled(row, "sys_id")?);
            (time(at).is_ok() && is_sys_id(id)).then(|| (at.to_owned(), id.to_owned()))
        };
        match rows.iter().rev().find_map(seen) {
            Some(last) if self.after.as_ref().is_some_and(|after| last <= *after) => {
                Err(format!("the rows do not come in the order of {by} that was asked for"))
            }
            Some(last) => Ok(Some(Self { after: Some(last), offset: 0, pages })),
            None if next <= self.offset => Err("the next page is this one".to_owned()),
            None => Ok(Some(Self { after: self.after.clone(), offset: next, pages })),
        }
    }
}

/// The offset of the next page, by the service's own word: its `Link`, else its count. Where it says neither, a page
/// with rows may have another one behind it, and an empty one has not.
fn next_offset(offset: u64, rows: usize, answer: &Answer) -> Option<u64> {
    let own = offset.saturating_add(PAGE_SIZE);
    match (&answer.link, answer.total_count) {
        (Some(link), _) => {
            // Addresses may hold commas, so the one wanted is what stands in brackets before its name.
            let before = &link[..link.find("rel=\"next\"")?];
            let address = &before[before.rfind('<').unwrap_or(0)..];
            let asked = address.split_once("sysparm_offset=").map(|(_, rest)| rest);
            let digits =
                asked.map(|rest| rest.split(|c: char| !c.is_ascii_digit()).next().unwrap_or_default());
            Some(digits.and_then(|digits| digits.parse().ok()).unwrap_or(own))
        }
        (None, Some(total)) => (total > offset + rows as u64).then_some(own),
        (None, None) => (rows > 0).then_some(own),
    }
}

impl ServiceNow {
    /// One page of changed tickets that carry a key of ours, with what was written on them since.
    pub(super) async fn changes(
        &self,
        since: Timestamp,
        page: Option<&PageToken>,
    ) -> Result<Page, CallError> {
        let place: Place = match page {
            None => Place::default(),
            Some(token) => serde_json::from_str(&token.0)
                .map_err(|e| self.endpoint.invalid(LIST, format!("foreign page token: {e}")))?,
        };
        let field = self.settings.look_up_field();
        let scope = format!("{field}STARTSWITH{TICKET_KEY}");
        let begin = format!("^sys_updated_on>={}", literal(since));
        let encoded = place.encoded(&scope, &begin, "sys_updated_on");
        let (fields, limit, offset) = (fields(&self.settings), PAGE_SIZE.to_string(), place.offset());
        let query = Query { encoded: &encoded, fields: &fields, limit: &limit, offset: &offset };
        let (rows, answer) = self.rows(LIST, self.settings.table.name(), &query).await?;
        self.only_ours(&rows, field)?;
        let mut result = self.read_rows(&rows, field, &answer).await?;
        self.add_news(&mut result, since).await?;
        let next = place.further(&rows, &answer, "sys_updated_on");
        if let Some(next) = next.map_err(|what| self.endpoint.malformed(LIST, &answer, what))? {
            let token = serde_json::to_string(&next)
                .map_err(|e| self.endpoint.invalid(LIST, format!("page token: {e}")))?;
            result.next = Some(PageToken(token));
        }
        Ok(result)
    }

    /// A dropped condition brings every ticket there is. (Equality on the service's side may ignore case.)
    fn only_ours(&self, rows: &[Value], field: &str) -> Result<(), CallError> {
        let begins =
            |key: &str| key.get(..TICKET_KEY.len()).is_some_and(|head| head.eq_ignore_ascii_case(TICKET_KEY));
        let foreign = rows.iter().filter(|row| row.is_object()).find(|row| match stated(row, field) {
            Some(key) => !begins(key),
            // A row that lost other things as well is malformed; one that only lacks the key shows no such field.
            None => filled(row, "sys_id").is_some() && filled(row, "sys_updated_on").is_some(),
        });
        let Some(foreign) = foreign else { return Ok(()) };
        let id = shown(filled(foreign, "sys_id").unwrap_or("(none)"));
        let what = format!(
            "the list brought ticket {id}, whose {field} holds no key of lockstep's: does the field exist, and may \
             lockstep's user read it?"
        );
        Err(self.endpoint.to_mend(LIST, what))
    }

    async fn read_rows(&self, rows: &[Value], field: &str, answer: &Answer) -> Result<Page, CallError> {
        let codes = self.codes_for(rows).await?;
        let reader = Reader { settings: &self.settings, codes: &codes };
        let mut result = Page { server_time: answer.date, ..Page::default() };
        for row in rows {
            match reader.ticket(row, false) {
                // A key that somebody made up is no key of ours.
                Ok(_) if !filled(row, field).is_some_and(is_key) => {}
                Ok(read) => result.snapshots.push(read),
                Err(reason) => {
                    result.malformed.push(Malformed { id: filled(row, "sys_id").map(shown), reason });
                }
            }
        }
        Ok(result)
    }

    /// One request for the journal of all tickets of a page, where there are any.
    async fn add_news(&self, page: &mut Page, since: Timestamp) -> Result<(), CallError> {
        let ids: Vec<String> = page.snapshots.iter().map(|read| read.record.id.as_str().to_owned()).collect();
        if ids.is_empty() {
            return Ok(());
        }
        let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
        let mut news = self.news(&ids, since).await?;
        for read in &mut page.snapshots {
            read.comments = Comments::Recent(news.remove(read.record.id.as_str()).unwrap_or_default());
        }
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn answer(link: Option<&str>, total_count: Option<u64>) -> Answer {
        Answer {
            status: 200,
            body: Value::Null,
            request_id: None,
            client_request_id: String::new(),
            date: None,
            etag: None,
            link: link.map(str::to_owned),
            total_count,
            headers: reqwest::header::HeaderMap::new(),
        }
    }

    #[test]
    fn the_next_page_is_where_the_service_says() {
        let next = "<https://h/t?a=b,c&sysparm_offset=0>;rel=\"first\",<https://h/t?sysparm_offset=40&a=b,c>; rel=\"next\"";
        assert_eq!(next_offset(0, 7, &answer(Some(next), Some(50))), Some(40));
        assert_eq!(next_offset(0, 7, &answer(Some("<https://h/t>;rel=\"last\""), Some(50))), None);
        for (offset, rows, total, expected) in [
            (0, 100, 250, Some(100)),
            (0, 40, 250, Some(100)),
            (0, 0, 10, Some(100)),
            (100, 0, 10, None),
            (0, 100, 100, None),
        ] {
            assert_eq!(next_offset(offset, rows, &answer(None, Some(total))), expected);
        }
        assert_eq!(next_offset(0, 0, &answer(None, None)), None);
        assert_eq!(next_offset(0, 1, &answer(None, None)), Some(100));
        assert_eq!(next_offset(u64::MAX, 1, &answer(None, None)), Some(u64::MAX));
    }
}
