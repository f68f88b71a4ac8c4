//! The list of changed tickets, page by page, so that nothing is skipped (`ticketing.md` 1.2).

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::query::{is_sys_id, literal, time};
use super::snapshot::{Reader, filled, stated};
use super::witness::Shown;
use super::{ServiceNow, page};
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
/// The time that tickets are listed by.
const BY: &str = "sys_updated_on";

/// How far a listing has come. It goes on after the last row seen, by time and id.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Place {
    /// Time and id of the last row seen.
    after: Option<(String, String)>,
    /// Pages so far.
    pages: u32,
}

impl Place {
    /// The query that goes on here. `scope` holds for every row, `begin` for the first page.
    pub(super) fn encoded(&self, scope: &str, begin: &str, by: &str) -> String {
        format!("{}{}", self.condition(scope, begin, by), order(by))
    }

    fn condition(&self, scope: &str, begin: &str, by: &str) -> String {
        match &self.after {
            None => format!("{scope}{begin}"),
            Some((at, id)) => format!("{scope}^{by}>{at}^NQ{scope}^{by}={at}^sys_id>{id}"),
        }
    }

    /// Whether a row is one that the listing comes to here, rather than one that came before. `since` is where it began.
    fn comes_to(&self, row: &Value, since: &str, by: &str) -> bool {
        let (at, id) = (filled(row, by).unwrap_or_default(), filled(row, "sys_id").unwrap_or_default());
        match &self.after {
            None => at >= since,
            Some((last, seen)) => (at, id) > (last.as_str(), seen.as_str()),
        }
    }

    /// The next place, if more follows these rows. The error tells of a listing that would go in circles.
    pub(super) fn further(&self, rows: &[Value], answer: &Answer, by: &str) -> Result<Option<Self>, String> {
        if !page::more_follows(answer, !rows.is_empty()) {
            return Ok(None);
        }
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
            Some(last) => Ok(Some(Self { after: Some(last), pages })),
            None => Err("more rows follow, and none is shown to go on from".to_owned()),
        }
    }
}

/// By time, and by id among those of one second.
fn order(by: &str) -> String {
    format!("^ORDERBY{by}^ORDERBYsys_id")
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
        let (scope, since_text) = (format!("{field}STARTSWITH{TICKET_KEY}"), literal(since));
        let condition = place.condition(&scope, &format!("^{BY}>={since_text}"), BY);
        let shown = self.tickets(LIST, (&condition, &order(BY)), &PAGE_SIZE.to_string()).await?;
        let Shown { mut rows, witness, answer } = shown;
        let beside = |row: &Value| {
            let keyless = stated(row, field).is_some_and(|key| !begins_as_key(key));
            filled(row, "sys_id") == Some(&witness) && (keyless || !place.comes_to(row, &since_text, BY))
        };
        rows.retain(|row| !beside(row));
        self.only_ours(&rows, field)?;
        let mut result = self.read_rows(&rows, field, &answer).await?;
        self.add_news(&mut result, since).await?;
        let next = place.further(&rows, &answer, BY);
        if let Some(next) = next.map_err(|what| self.endpoint.malformed(LIST, &answer, what))? {
            let token = serde_json::to_string(&next)
                .map_err(|e| self.endpoint.invalid(LIST, format!("page token: {e}")))?;
            result.next = Some(PageToken(token));
        }
        if let Some(newest) = result.snapshots.last() {
            self.witness.keep(newest.record.id.as_str());
        }
        Ok(result)
    }

    /// A dropped condition brings every ticket there is. (Equality on the service's side may ignore case.)
    fn only_ours(&self, rows: &[Value], field: &str) -> Result<(), CallError> {
        let foreign = rows.iter().filter(|row| row.is_object()).find(|row| match stated(row, field) {
            Some(key) => !begins_as_key(key),
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

fn begins_as_key(key: &str) -> bool {
    key.get(..TICKET_KEY.len()).is_some_and(|head| head.eq_ignore_ascii_case(TICKET_KEY))
}
