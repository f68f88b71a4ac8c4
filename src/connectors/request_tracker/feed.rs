//! Lists: the feed of transactions, which rises by id and also shows merges and deletions (`ticketing.md` 3).

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::comments::is_comment;
use super::key::{ROW, quoted};
use super::reaction::FIELDS;
use super::snapshot::{number, ticket};
use super::zone::{self, Zone, sql};
use super::{OWNER, PER_PAGE, RequestTracker};
use crate::connectors::stated::time;
use crate::connectors::text::shown;
use crate::connectors::{Malformed, Page, PageToken};
use crate::http::{Answer, CallError};
use crate::model::{Comment, Comments, RecordId, RecordRef, Snapshot};

const LIST: &str = "tickets.list";
/// How much older than asked for a row may be before the service is taken to have ignored the time.
const SLACK: SignedDuration = SignedDuration::from_hours(15);

/// Where a list goes on.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Place {
    /// Behind the transaction with this id. Ids rise strictly, so nothing is skipped when rows are added meanwhile.
    after: u64,
}

/// What a page of the feed says of one ticket.
#[derive(Debug, Default)]
struct News {
    /// Its newest transaction on the page.
    newest: u64,
    /// Its comments on the page.
    comments: Vec<Comment>,
    /// Whether it may be missing from a search: merged, deleted or moved into another queue.
    may_be_hidden: bool,
}

impl RequestTracker {
    /// One page of what changed at or after `since`.
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
        let zone = self.zone().await?;
        if zone == Zone::Other {
            return Err(self.endpoint.to_mend(LIST, zone::WRONG.to_owned()));
        }
        let answer = self.feed(since, &place, zone).await?;
        if place.after == 0 && zone == Zone::Utc {
            self.check_sight(self.items(LIST, &answer)?, &answer).await?;
        }
        let mut result = Page { server_time: answer.date, ..Page::default() };
        let witnesses = self.sight.get();
        let is_news = |row: &&Value| !(witnesses.include(row) && is_before(row, since));
        let rows: Vec<&Value> = self.items(LIST, &answer)?.iter().filter(is_news).collect();
        let Some(last) = rows.last() else { return Ok(result) };
        let after = number(&last["id"]).filter(|last| *last > place.after).ok_or_else(|| {
            self.endpoint.malformed(LIST, &answer, "the transactions are not in rising order".to_owned())
        })?;
        if zone == Zone::Utc {
            self.check_age(&rows, since, &answer)?;
        }
        let news = self.news(&rows, &answer, &mut result).await?;
        self.look_up(news, &mut result).await?;
        // What this user may not see is left out of a page, so only an empty page is certainly the last.
        let next = serde_json::to_string(&Place { after });
        let next = next.map_err(|e| self.endpoint.invalid(LIST, format!("page token: {e}")))?;
        result.next = Some(PageToken(next));
        Ok(result)
    }

    async fn feed(&self, since: Timestamp, place: &Place, zone: Zone) -> Result<Answer, CallError> {
        // `TicketQueue` alone also matches transactions of queues and users with the number of a ticket.
        let mut query =
            format!("ObjectType = 'RT::Ticket' AND TicketQueue = {}", quoted(&self.settings.queue));
        if zone == Zone::Utc {
            let witnesses = if place.after == 0 { self.sight.get().in_feed() } else { String::new() };
            query = format!("{query} AND (Created >= '{}'{witnesses})", sql(since));
        }
        if place.after > 0 {
            query = format!("{query} AND id > {}", place.after);
        }
        let query = [("query", query.as_str()), ("orderby", "id"), ("order", "ASC"), ("per_page", PER_PAGE)];
        let query: Vec<_> = query.into_iter().chain([("fields", FIELDS)]).collect();
        self.ask(LIST, &["transactions"], &query).await
    }

    /// Whether the first page shows that this user still sees what the feed is about: some row of a ticket, and the
    /// internal comment that it was asked for.
    async fn check_sight(&self, rows: &[Value], answer: &Answer) -> Result<(), CallError> {
        let witnesses = self.sight.get();
        let is_full = rows.len().to_string() == PER_PAGE;
        if let Some(ticket) = witnesses.ticket.filter(|_| rows.is_empty()) {
            self.still_sees_tickets(LIST).await?;
            if self.sight.get().ticket == Some(ticket) {
                let what =
                    format!("the feed does not show that ticket {ticket} was opened, and a search shows it");
                return Err(self.endpoint.malformed(LIST, answer, what));
            }
        }
        match witnesses.comment {
            Some(comment) if rows.iter().any(|row| witnesses.is_comment(row)) => {
                self.sight.saw_comment(comment);
            }
            // It may be behind this page; the next poll asks again.
            Some(comment) if !is_full => self.still_sees_comments(comment).await?,
            _ => {}
        }
        Ok(())
    }

    /// A time that the service cannot read counts as 1970, and brings everything there ever was.
    fn check_age(&self, rows: &[&Value], since: Timestamp, answer: &Answer) -> Result<(), CallError> {
        let earliest = since.checked_sub(SLACK).unwrap_or(Timestamp::MIN);
        let created = rows.iter().filter_map(|row| time(row["Created"].as_str()?).ok());
        if created.into_iter().any(|at| at < earliest) {
            let what = format!("the service ignored that only changes since {since} were asked for");
            return Err(self.endpoint.malformed(LIST, answer, what));
        }
        Ok(())
    }

    async fn news(
        &self,
        rows: &[&Value],
        answer: &Answer,
        page: &mut Page,
    ) -> Result<BTreeMap<u64, News>, CallError> {
        let mut news: BTreeMap<u64, News> = BTreeMap::new();
        for row in rows {
            let (Some(id), Some(ticket)) = (number(&row["id"]), number(&row["ObjectId"])) else {
                let reason = "a transaction without its number or its ticket's".to_owned();
                page.malformed.push(Malformed { id: None, reason });
                continue;
            };
            let entry = news.entry(ticket).or_default();
            entry.newest = entry.newest.max(id);
            entry.may_be_hidden |= may_hide(row);
            self.reactions.note(ticket, row);
            if is_comment(row) {
                entry.comments.push(self.comment_of(row, answer).await?);
            }
        }
        Ok(news)
    }

    /// Reads the tickets that the feed names: all at once, and one by one those that a search does not show.
    async fn look_up(&self, news: BTreeMap<u64, News>, page: &mut Page) -> Result<(), CallError> {
        if news.is_empty() {
            return Ok(());
        }
        let operation = "tickets.get";
        let wanted: Vec<String> = news.keys().map(|id| format!("id = {id}")).collect();
        let wanted = wanted.join(" OR ");
        let query = [("query", wanted.as_str()), ("fields", ROW), ("per_page", PER_PAGE)];
        let query: Vec<_> = query.into_iter().chain(OWNER).collect();
        let answer = self.ask(operation, &["tickets"], &query).await?;
        let mut shown_ids = BTreeSet::new();
        for row in self.items(operation, &answer)? {
            let Some((id, told)) = number(&row["id"]).and_then(|id| Some((id, news.get(&id)?))) else {
                let id = Some(shown(&row["id"].to_string()));
                page.malformed.push(Malformed { id, reason: "this ticket was not asked for".to_owned() });
                continue;
            };
            shown_ids.insert(id);
            match ticket(&self.view(), row, &told.newest.to_string(), false) {
                Ok(mut read) => {
                    self.explain(id, &mut read);
                    page.snapshots.push(with_comments(read, told));
                }
                Err(reason) => page.malformed.push(Malformed { id: Some(id.to_string()), reason }),
            }
        }
        for (id, told) in news.iter().filter(|(id, told)| told.may_be_hidden && !shown_ids.contains(id)) {
            if let Some(read) = self.hidden(*id, page).await? {
                page.snapshots.push(with_comments(read, told));
            }
        }
        Ok(())
    }

    /// A ticket that a search does not show.
    async fn hidden(&self, id: u64, page: &mut Page) -> Result<Option<Snapshot>, CallError> {
        let record_id = RecordId::new(id.to_string());
        let record = record_id.map(|id| RecordRef::ticket(&self.endpoint.system, id));
        let record = record.map_err(|e| self.endpoint.invalid(LIST, e.to_string()))?;
        match self.get(&record).await {
            Ok(mut read) => {
                read.fresh = false;
                Ok(Some(read))
            }
            // Shredded meanwhile, or out of this user's sight: a read of the record will tell.
            Err(CallError::Gone { .. } | CallError::Denied { .. }) => Ok(None),
            Err(error @ CallError::Malformed { .. }) => {
                page.malformed.push(Malformed { id: Some(id.to_string()), reason: error.to_string() });
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}

/// Whether a row is from before a time, by the second.
fn is_before(row: &Value, since: Timestamp) -> bool {
    let created = row["Created"].as_str().and_then(|text| time(text).ok());
    created.is_some_and(|at| at.as_second() < since.as_second())
}

fn with_comments(mut read: Snapshot, told: &News) -> Snapshot {
    read.comments = Comments::Recent(told.comments.clone());
    read
}

/// Whether a transaction can take its ticket out of sight.
fn may_hide(row: &Value) -> bool {
    let text = |name: &str| row[name].as_str().unwrap_or_default();
    match text("Type") {
        "Status" => text("NewValue") == "deleted",
        "AddLink" => text("Field") == "MergedInto",
        "Set" => text("Field") == "Queue",
        _ => false,
    }
}
