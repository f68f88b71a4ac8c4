//! Tickets and transactions, and how both come about.

use jiff::Timestamp;

use super::super::desk::{Surroundings, USER};
use super::super::ledger::{Actor, System, What, changes, outcome};
use super::super::versions::Versions;
use super::RequestTracker;

/// The status of what was deleted.
pub(super) const DELETED: &str = "deleted";
/// The user that stands for nobody.
pub(super) const NOBODY: &str = "Nobody";

/// A ticket.
#[derive(Debug, Clone)]
pub(super) struct Ticket {
    pub(super) id: u64,
    pub(super) queue: String,
    pub(super) subject: String,
    pub(super) status: String,
    pub(super) priority: i64,
    /// A user's name.
    pub(super) owner: String,
    pub(super) creator: String,
    pub(super) created: Timestamp,
    pub(super) updated: Timestamp,
    pub(super) updated_by: String,
    pub(super) started: Option<Timestamp>,
    pub(super) resolved: Option<Timestamp>,
    /// By the place of the field in the queue. The inner `None` is what a deleted value leaves behind.
    #[allow(clippy::option_option)]
    pub(super) fields: Vec<Option<Option<String>>>,
    pub(super) merged_into: Option<u64>,
    /// The tickets that must be closed before it.
    pub(super) depends_on: Vec<u64>,
}

impl Ticket {
    /// The value of the field at a place.
    pub(super) fn field(&self, at: usize) -> Option<&str> {
        self.fields.get(at)?.as_ref()?.as_deref()
    }

    /// Sets the field at a place; `None` deletes its value.
    pub(super) fn set_field(&mut self, at: usize, value: Option<&str>) {
        if self.fields.len() <= at {
            self.fields.resize(at + 1, None);
        }
        self.fields[at] = Some(value.map(str::to_owned));
    }
}

/// One line of a ticket's history.
#[derive(Debug, Clone)]
pub(super) struct Transaction {
    pub(super) id: u64,
    /// The ticket as it was then; a merge leaves it so.
    pub(super) ticket: u64,
    pub(super) kind: &'static str,
    pub(super) field: String,
    pub(super) old: String,
    pub(super) new: String,
    pub(super) creator: String,
    pub(super) created: Timestamp,
    /// Content type and text, of comments and descriptions.
    pub(super) content: Option<(String, String)>,
}

/// What a transaction says.
pub(super) struct Line<'a>(
    pub(super) &'static str,
    pub(super) &'a str,
    pub(super) &'a str,
    pub(super) &'a str,
);

impl RequestTracker {
    /// Adds a transaction.
    pub(super) fn add(&mut self, ticket: u64, actor: &Actor, now: Timestamp, line: &Line<'_>) -> u64 {
        self.last_transaction += 1;
        let Line(kind, field, old, new) = *line;
        self.transactions.push(Transaction {
            id: self.last_transaction,
            ticket,
            kind,
            field: field.to_owned(),
            old: old.to_owned(),
            new: new.to_owned(),
            creator: user(actor),
            created: second(now),
            content: None,
        });
        self.last_transaction
    }

    /// The number of the newest transaction of a ticket that the service user may see: its `ETag`.
    pub(super) fn newest(&self, ticket: u64) -> u64 {
        let mut own = self.transactions.iter().rev().filter(|t| self.is_visible(t));
        own.find(|t| self.survivor_id(t.ticket) == ticket).map_or(0, |t| t.id)
    }

    pub(super) fn is_visible(&self, transaction: &Transaction) -> bool {
        match transaction.kind {
            _ if self.lacks("ShowTicket") => false,
            "Comment" => self.settings.show_comments && !self.lacks("ShowTicketComments"),
            "EmailRecord" | "CommentEmailRecord" => self.settings.show_mail,
            _ => true,
        }
    }

    pub(super) fn survivor_id(&self, ticket: u64) -> u64 {
        self.survivor(ticket).map_or(ticket, |found| found.current().id)
    }

    /// A new ticket's number; its transaction and its note in the ledger.
    pub(super) fn insert(
        &mut self,
        mut ticket: Ticket,
        content: String,
        actor: &Actor,
        around: &mut Surroundings<'_>,
    ) -> u64 {
        let id = self.tickets.last_key_value().map_or(1, |(last, _)| last + 1);
        ticket.id = id;
        self.tickets.insert(id, Versions::new(around.now, ticket));
        self.add(id, actor, around.now, &Line("Create", "", "", ""));
        if let Some(own) = self.transactions.last_mut() {
            own.content = Some(("text/plain".to_owned(), content));
        }
        // The groups of its watchers take numbers too.
        self.last_transaction += 4;
        around.note(System::RequestTracker, &id.to_string(), actor, What::Created);
        id
    }

    /// Stores a changed ticket, and notes what changed.
    pub(super) fn save(&mut self, mut next: Ticket, actor: &Actor, around: &mut Surroundings<'_>) {
        let Some(versions) = self.tickets.get_mut(&next.id) else { return };
        let (before, after) =
            (flat(versions.current(), &self.settings.fields), flat(&next, &self.settings.fields));
        let found = changes(&before, &after, &[]);
        let id = next.id.to_string();
        let deleted = next.status == DELETED && versions.current().status != DELETED;
        if !found.is_empty() {
            next.updated = second(around.now);
            // A scrip's change leaves the one who set it off as the last to change the ticket.
            if *actor != Actor::Service {
                next.updated_by = user(actor);
            }
            versions.push(around.now, next);
        }
        let what = if deleted { What::Deleted } else { outcome(found) };
        around.note(System::RequestTracker, &id, actor, what);
    }
}

/// What the ledger compares.
fn flat(ticket: &Ticket, fields: &[String]) -> serde_json::Value {
    let mut all = serde_json::Map::new();
    let mut put = |name: &str, value: serde_json::Value| all.insert(name.to_owned(), value);
    put("Queue", ticket.queue.as_str().into());
    put("Subject", ticket.subject.as_str().into());
    put("Status", ticket.status.as_str().into());
    put("Priority", ticket.priority.into());
    put("Owner", ticket.owner.as_str().into());
    put("MergedInto", ticket.merged_into.into());
    put("DependsOn", ticket.depends_on.clone().into());
    for (at, name) in fields.iter().enumerate() {
        put(name, ticket.field(at).into());
    }
    all.into()
}

/// The name of whoever acts.
pub(super) fn user(actor: &Actor) -> String {
    match actor {
        Actor::App(_) => USER.to_owned(),
        Actor::Human(by) => by.split('@').next().unwrap_or(by).to_owned(),
        Actor::NativeSync | Actor::Service => "RT_System".to_owned(),
    }
}

/// Whole seconds, as the database keeps them.
pub(super) fn second(at: Timestamp) -> Timestamp {
    Timestamp::from_second(at.as_second()).unwrap_or(at)
}

/// The number of a user, as histories name owners.
pub(super) fn user_number(name: &str) -> String {
    let number = if name == NOBODY {
        6
    } else {
        name.bytes().fold(20, |sum, byte| sum * 31 % 9_973 + u32::from(byte))
    };
    number.to_string()
}
