//! Reads: a ticket, searches, the feed of transactions, history and texts.

use serde_json::{Value, json};

use super::super::versions::Versions;
use super::super::wire::{Body, Reply, Request};
use super::sql::{Query, Subject};
use super::ticket::{DELETED, Ticket, Transaction};
use super::{Outcome, RequestTracker, error, render};

impl RequestTracker {
    /// `GET /ticket/{id}`: after a merge the one merged into; a deleted one is still shown.
    pub(super) fn get(&self, request: &Request, id: &str, stale: bool, root: &str) -> Outcome {
        let found = id.parse().ok().and_then(|id| self.survivor(id));
        let Some(versions) = found else { return error(404, "Not Found") };
        if self.lacks("ShowTicket") {
            return error(403, "Forbidden");
        }
        let ticket = if stale { versions.previous() } else { versions.current() };
        let newest = self.newest(ticket.id);
        // A stale answer shows the state before the last change, and its revision with it.
        let revision = if stale { newest.saturating_sub(1) } else { newest };
        let updated = ticket.updated.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        let reply = Reply::json(200, self.full(ticket, request, root));
        Ok(reply.with("etag", format!("\"{revision}\"")).with("last-modified", updated))
    }

    /// `GET /tickets?query=`: neither deleted nor merged ones.
    pub(super) fn search(&self, request: &Request, root: &str) -> Outcome {
        let query = self.query(request)?;
        let there = self.tickets.values().map(Versions::current);
        let there = there.filter(|ticket| ticket.status != DELETED && ticket.merged_into.is_none());
        let there = there.filter(|_| !self.lacks("ShowTicket"));
        let mut found: Vec<&Ticket> =
            there.filter(|ticket| query.matches(&Subject::Ticket(ticket))).collect();
        match request.option("orderby") {
            Some("LastUpdated") => found.sort_by_key(|ticket| (ticket.updated, ticket.id)),
            Some("Created") => found.sort_by_key(|ticket| (ticket.created, ticket.id)),
            _ => {}
        }
        if request.option("order").is_some_and(|order| order.eq_ignore_ascii_case("desc")) {
            found.reverse();
        }
        let rows = found.into_iter().map(|ticket| self.row(ticket, request, root)).collect();
        Ok(Reply::json(200, render::page(request, rows, true)))
    }

    /// `GET /transactions?query=`: by rising number. What this user may not see is taken out of each page after it
    /// was cut, and nobody says how many there are.
    pub(super) fn feed(&self, request: &Request, stale: bool, root: &str) -> Outcome {
        let query = self.query(request)?;
        let queue =
            |t: &Transaction| self.tickets.get(&t.ticket).map(|versions| versions.current().queue.clone());
        let matching = self.written(stale).filter(|t| {
            let queue = queue(t).unwrap_or_default();
            query.matches(&Subject::Transaction(t, &queue))
        });
        Ok(Reply::json(200, self.lines(matching.collect(), request, root)))
    }

    /// `GET /ticket/{id}/history`; of a ticket that does not exist it is empty.
    pub(super) fn history(&self, request: &Request, id: &str, stale: bool, root: &str) -> Reply {
        let id = id.parse().map(|id| self.survivor_id(id)).unwrap_or_default();
        let own = self.written(stale).filter(|t| self.survivor_id(t.ticket) == id);
        Reply::json(200, self.lines(own.collect(), request, root))
    }

    /// All transactions, oldest first; in a stale answer each ticket lacks its last.
    fn written(&self, stale: bool) -> impl Iterator<Item = &Transaction> {
        let is_last =
            |t: &Transaction| !self.transactions.iter().any(|o| o.ticket == t.ticket && o.id > t.id);
        self.transactions.iter().filter(move |t| !stale || !is_last(t))
    }

    fn lines(&self, mut found: Vec<&Transaction>, request: &Request, root: &str) -> Value {
        if request.option("order").is_some_and(|order| order.eq_ignore_ascii_case("desc")) {
            found.reverse();
        }
        let (size, at) = render::paging(request);
        let cut = found.into_iter().skip((at - 1) * size).take(size);
        let rows: Vec<Value> =
            cut.filter(|t| self.is_visible(t)).map(|t| Self::line(t, request, root)).collect();
        json!({"count": rows.len(), "page": at, "per_page": size, "items": rows, "total": null, "pages": null})
    }

    /// `GET /transaction/{id}`. One that does not exist is an internal error.
    pub(super) fn transaction(&self, id: &str, root: &str) -> Outcome {
        let found = id.parse().ok().and_then(|id: u64| self.transactions.iter().find(|t| t.id == id));
        match found {
            None => error(500, "Internal Server Error"),
            Some(hidden) if !self.is_visible(hidden) => error(403, "Forbidden"),
            Some(own) => {
                let (ticket, by) = (own.ticket.to_string(), &own.creator);
                let body = json!({
                    "id": own.id, "Type": own.kind, "Created": own.created.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
                    "Object": render::reference(root, "ticket", &ticket), "Creator": render::reference(root, "user", by),
                });
                Ok(Reply::json(200, body))
            }
        }
    }

    /// `GET /transaction/{id}/attachments`. Those of a transaction that this user may not see are left out, with 200.
    pub(super) fn attachments(&self, request: &Request, id: &str, root: &str) -> Reply {
        let id: u64 = id.parse().unwrap_or_default();
        let Some(own) = self.transactions.iter().find(|t| t.id == id) else {
            // This one is not even JSON.
            let body = Body::Raw("text/plain", "Internal Server Error".to_owned());
            return Reply { status: 500, headers: Vec::new(), body };
        };
        let rows: Vec<Value> = own
            .content
            .iter()
            .filter(|_| self.is_visible(own))
            .map(|(kind, text)| {
                let mut row = render::reference(root, "attachment", &own.id.to_string());
                for name in render::wanted(request) {
                    row[name] = match name {
                        "Content" => text.as_str().into(),
                        "ContentType" => kind.as_str().into(),
                        "Filename" => "".into(),
                        "TransactionId" => own.id.to_string().into(),
                        _ => continue,
                    };
                }
                row
            })
            .collect();
        let count = rows.len();
        let (size, at) = render::paging(request);
        Reply::json(
            200,
            json!({"count": count, "page": at, "per_page": size, "items": rows, "total": null, "pages": null}),
        )
    }

    fn query(&self, request: &Request) -> Result<Query, (u16, String)> {
        let text = request.option("query").unwrap_or_default();
        Query::parse(text, &self.settings.fields, self.settings.zone_minutes).map_err(|what| (400, what))
    }
}
