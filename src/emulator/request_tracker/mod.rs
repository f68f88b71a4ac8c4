//! Request Tracker 5 behind REST 2.0: one queue, its tickets, and the feed of their transactions. What it does was
//! seen on the real thing (`real-servers.md` 1), and `tests/real` compares the two field by field.
//!
//! Root `/request-tracker`, then `/REST/2.0/...`. The service user is `lockstep` (`Authorization: token
//! emulator-secret`, or basic). Whatever is refused in a PUT is answered by 200 and a sentence.
//!
//! What it does by itself: a reply opens a ticket that is not active, a new one too, by a transaction of `RT_System`
//! in the same second. What it refuses for a while: a close of a ticket that depends on an open one, with 200 and a
//! sentence. How it treats who may not see tickets (`lacks`): searches, feed and histories answer 200 and nothing, a
//! creation and a comment still work, and only a read by number says 403.
//!
//! # Settings
//!
//! See [`Settings`]; the defaults are those of a queue that is set up as `docs/request-tracker.md` says, with the
//! mail records of a queue that notifies people.
//!
//! # Seeds and edits
//!
//! The common words (`title`, `status`, `verdict`, `severity`, `owner`, `comment`, `notes`, `key`, `delete`), and
//! `state` (any status), `priority`, `reply` (a public one), `html` (a comment written in the web editor),
//! `merge_into`, `queue` (moves it away), `depends_on` (a list of numbers). There are no tags.

mod actions;
mod edit;
mod feed;
mod people;
mod render;
mod sql;
mod ticket;

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::desk::{Desk, Surroundings, has_password, service_user};
use super::faults::{FaultKind, Plan, http_date};
use super::ledger::Actor;
use super::options::CLIENT_SECRET;
use super::settings::merged;
use super::versions::Versions;
use super::wire::{Refusal, Reply, Request};
use ticket::{Ticket, Transaction};

/// The queue lockstep works in.
const QUEUE: &str = "SOC";

/// Lasting imperfections.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
// Independent switches, not states of one thing.
#[allow(clippy::struct_excessive_bools)]
pub(super) struct Settings {
    /// The service user's time zone, in minutes east of Greenwich. Searches read dates in it.
    pub(super) zone_minutes: i64,
    /// The custom fields of the queue, in order; another name at a place is a renamed field, which keeps its values.
    pub(super) fields: Vec<String>,
    /// Whether custom fields in a write are dropped in silence, as without the right to set them.
    pub(super) drop_fields: bool,
    /// Domains whose every address is that of a user; the user's name is the part before the `@`.
    pub(super) domains: Vec<String>,
    /// Addresses that a second user has, too, as an import can leave them.
    pub(super) shared_emails: Vec<String>,
    /// Whether the service user may take a ticket from its owner (`ReassignTicket`).
    pub(super) reassign: bool,
    /// Whether notifications leave records of mail among a ticket's transactions.
    pub(super) mail_records: bool,
    /// Whether the service user may see those (`ShowOutgoingEmail`), so that they move the `ETag`. Where not, pages of
    /// the feed come short.
    pub(super) show_mail: bool,
    /// Whether the service user may see comments (`ShowTicketComments`).
    pub(super) show_comments: bool,
    /// So many stale `If-Match` headers pass, as they do when two writers meet.
    pub(super) lost_races: u32,
    /// The status of a new ticket and those there are; `deleted` needs a right that the service user lacks.
    pub(super) statuses: Vec<String>,
    /// Statuses that count as closed. A reply opens a ticket in one of them, and a new one.
    pub(super) inactive: Vec<String>,
    /// Whether the service user is not known any more: every call is answered 401.
    pub(super) anonymous: bool,
    /// Rights that the service user lacks: `ShowTicket`, `ShowTicketComments`, `SeeQueue`, `ModifyTicket`,
    /// `CommentOnTicket`, `ReplyToTicket`.
    pub(super) lacks: Vec<String>,
    /// Whether a scrip of the queue's own opens a ticket at each internal comment, too.
    pub(super) comment_opens: bool,
}

impl Default for Settings {
    fn default() -> Self {
        let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        Self {
            zone_minutes: 0,
            fields: texts(&["Lockstep Key", "Verdict", "Closing Note"]),
            drop_fields: false,
            domains: texts(&["example.org", "example.com"]),
            shared_emails: Vec::new(),
            reassign: true,
            mail_records: true,
            show_mail: false,
            show_comments: true,
            lost_races: 0,
            statuses: texts(&["new", "open", "stalled", "resolved", "rejected"]),
            inactive: texts(&["resolved", "rejected"]),
            anonymous: false,
            lacks: Vec::new(),
            comment_opens: false,
        }
    }
}

/// The system.
#[derive(Debug)]
pub(super) struct RequestTracker {
    settings: Settings,
    tickets: BTreeMap<u64, Versions<Ticket>>,
    transactions: Vec<Transaction>,
    last_transaction: u64,
}

impl Default for RequestTracker {
    fn default() -> Self {
        // Users, queues and fields took the first numbers.
        Self {
            settings: Settings::default(),
            tickets: BTreeMap::new(),
            transactions: Vec::new(),
            last_transaction: 40,
        }
    }
}

/// An answer of the API's own: status and sentence.
type Outcome = Result<Reply, (u16, String)>;

fn message(status: u16, text: &str) -> Reply {
    Reply::json(status, json!({ "message": text }))
}

fn error<T>(status: u16, text: impl Into<String>) -> Result<T, (u16, String)> {
    Err((status, text.into()))
}

fn is_known(request: &Request) -> bool {
    let token = request.header("authorization").and_then(|header| header.strip_prefix("token "));
    has_password(request) || token == Some(CLIENT_SECRET)
}

impl Desk for RequestTracker {
    fn operation(&self, request: &Request, path: &[&str]) -> &'static str {
        match (request.method.as_str(), path) {
            ("GET", ["REST", "2.0", "transactions"]) => "list-tickets",
            ("GET", ["REST", "2.0", "tickets"]) => "find-ticket",
            ("POST", ["REST", "2.0", "ticket"]) => "create-ticket",
            ("GET", ["REST", "2.0", "ticket", _]) => "get-ticket",
            ("PUT", ["REST", "2.0", "ticket", _]) => "update-ticket",
            ("DELETE", ["REST", "2.0", "ticket", _]) => "delete-ticket",
            ("POST", ["REST", "2.0", "ticket", _, "comment" | "correspond"]) => "comment-ticket",
            ("GET", ["REST", "2.0", "ticket", _, "history"]) => "list-comments",
            ("GET", ["REST", "2.0", "transaction", _, "attachments"]) => "get-comment",
            ("GET", ["REST", "2.0", "transaction", _]) => "get-transaction",
            ("GET", ["REST", "2.0", "users"]) => "find-user",
            ("GET", ["REST", "2.0", "queue", _]) => "get-queue",
            ("GET", ["REST", "2.0", "rt"]) => "get-version",
            _ => "unknown",
        }
    }

    fn answer(
        &mut self,
        request: &Request,
        path: &[&str],
        plan: &Plan,
        around: &mut Surroundings<'_>,
    ) -> Reply {
        let root = format!("{}/request-tracker/REST/2.0", around.base_url);
        let now = around.now;
        let reply = if is_known(request) && !self.settings.anonymous {
            self.route(request, path, plan, around, &root)
        } else {
            error(401, "Unauthorized")
        };
        let reply = reply.unwrap_or_else(|(status, text)| message(status, &text));
        reply.with("date", http_date(now))
    }

    fn failure(&self, status: u16) -> Reply {
        match status {
            // Comes from what stands before it: Request Tracker itself has no limits.
            429 => message(429, "Too Many Requests"),
            500 => message(500, "Internal Server Error"),
            _ => Reply::html(status),
        }
    }

    fn open(
        &mut self,
        seed: &Value,
        actor: &Actor,
        around: &mut Surroundings<'_>,
    ) -> Result<String, Refusal> {
        self.open_by_hand(seed, actor, around)
    }

    fn edit(
        &mut self,
        id: &str,
        edit: &Value,
        actor: &Actor,
        around: &mut Surroundings<'_>,
    ) -> Result<(), Refusal> {
        self.edit_by_hand(id, edit, actor, around)
    }

    fn ticket(&self, id: &str) -> Option<Value> {
        self.shown(id.parse().ok()?)
    }

    fn ids(&self) -> Vec<String> {
        let there = self.tickets.iter().filter(|(_, ticket)| ticket.current().status != ticket::DELETED);
        there.map(|(id, _)| id.to_string()).collect()
    }

    fn set(&mut self, settings: &Value) -> Result<(), String> {
        self.settings = merged(&self.settings, settings)?;
        Ok(())
    }
}

impl RequestTracker {
    fn route(
        &mut self,
        request: &Request,
        path: &[&str],
        plan: &Plan,
        around: &mut Surroundings<'_>,
        root: &str,
    ) -> Outcome {
        let ["REST", "2.0", rest @ ..] = path else { return error(404, "Not Found") };
        let app = service_user();
        let stale = plan.is(&FaultKind::StaleRead);
        match (request.method.as_str(), rest) {
            ("GET", ["rt"]) => Ok(Reply::json(200, json!({"Version": "5.0.3+dfsg-3~deb12u6"}))),
            ("GET", ["queue", name]) => self.queue(name, root),
            ("GET", ["users"]) => self.users(request, root),
            ("GET", ["tickets"]) => self.search(request, root),
            ("GET", ["transactions"]) => self.feed(request, stale, root),
            ("GET", ["transaction", id, "attachments"]) => Ok(self.attachments(request, id, root)),
            ("GET", ["transaction", id]) => self.transaction(id, root),
            ("GET", ["ticket", id, "history"]) => Ok(self.history(request, id, stale, root)),
            ("GET", ["ticket", id]) => self.get(request, id, stale, root),
            ("POST", ["ticket"]) => self.create(request, &app, around, root),
            ("PUT", ["ticket", id]) => self.put(request, id, plan, &app, around),
            ("POST", ["ticket", id, way @ ("comment" | "correspond")]) => {
                self.remark(request, (id, way), &app, around)
            }
            // Without the right to delete this is no 403 (seen on 5.0.3).
            ("DELETE", ["ticket", _]) => error(500, "Internal Server Error"),
            _ => error(404, "Not Found"),
        }
    }

    /// Whether the service user lacks a right.
    fn lacks(&self, right: &str) -> bool {
        self.settings.lacks.iter().any(|own| own == right)
    }

    /// The ticket that a number leads to, merges included.
    fn survivor(&self, id: u64) -> Option<&Versions<Ticket>> {
        let found = self.tickets.get(&id)?;
        match found.current().merged_into {
            Some(into) => self.survivor(into),
            None => Some(found),
        }
    }
}
