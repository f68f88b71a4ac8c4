//! What Request Tracker does by itself in answer to a write of ours, which is nobody's word.
//!
//! A scrip acts as `RT_System`, by a transaction of its own that follows the one which set it off, in the same
//! second: a reply opens a ticket that is not active (seen on 5.0.3), and a queue's own scrips do whatever they like.
//! The ticket itself does not tell: it names the one who set the scrip off as the last to change it. So it is the
//! transactions that are read, which the feed brings anyway; a read by number asks for them only where it shows a
//! field that we did not leave so.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::snapshot::number;
use super::write::step;
use super::{PER_PAGE, RequestTracker};
use crate::connectors::stated::time;
use crate::http::CallError;
use crate::model::{Field, Native, Natives, Snapshot};

/// What is asked of transactions.
pub(super) const FIELDS: &str = "Type,Field,OldValue,NewValue,Created,ObjectId,Creator";
/// The user as whom scrips act.
const SYSTEM: &str = "RT_System";
/// How long after a transaction a scrip's own may be stamped.
const AT_ONCE: SignedDuration = SignedDuration::from_secs(2);
/// Tickets remembered before the memory begins anew.
const MEMORY: usize = 2_000;

/// What became known of the transactions of tickets. All of it can be lost.
#[derive(Debug, Default)]
pub(super) struct Reactions(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// The name of lockstep's own user.
    account: Option<String>,
    tickets: HashMap<u64, Told>,
}

/// What the transactions of one ticket told so far.
#[derive(Debug, Default)]
struct Told {
    /// The newest that was looked at.
    through: u64,
    /// When that was ours, and nobody said anything since.
    ours: Option<Timestamp>,
    /// What the system set last by itself, in answer to us, and what was there before.
    by_itself: BTreeMap<String, String>,
    /// How we left the ticket when we wrote last.
    left: Option<Natives>,
}

impl Reactions {
    /// lockstep's own user by name; `certain` where an answer proves it.
    pub(super) fn set_account(&self, name: &str, certain: bool) {
        let account = &mut self.lock().account;
        if certain || account.is_none() {
            *account = Some(name.to_owned());
        }
    }

    /// Takes a transaction of a ticket into account. They come in rising order, and some of them again.
    pub(super) fn note(&self, ticket: u64, row: &Value) {
        let mut state = self.lock();
        let (Some(account), Some(id)) = (state.account.clone(), number(&row["id"])) else { return };
        let told = state.told(ticket);
        if id > told.through {
            told.through = id;
            told.take(&account, row);
        }
    }

    /// We wrote, and left the ticket so if nobody did anything else.
    pub(super) fn wrote(&self, ticket: u64, left: Natives) {
        self.lock().told(ticket).left = Some(left);
    }

    /// Whether a ticket shows something that we did not leave so, and whose doing that is was not looked at.
    fn is_open(&self, ticket: u64, read: &Snapshot) -> bool {
        let revision: u64 = read.revision.parse().unwrap_or_default();
        self.lock().tickets.get(&ticket).is_some_and(|told| {
            told.through < revision && told.left.as_ref().is_some_and(|left| *left != read.native)
        })
    }

    fn of(&self, ticket: u64) -> BTreeMap<String, String> {
        self.lock().tickets.get(&ticket).map(|told| told.by_itself.clone()).unwrap_or_default()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn told(&mut self, ticket: u64) -> &mut Told {
        if self.tickets.len() >= MEMORY && !self.tickets.contains_key(&ticket) {
            self.tickets.clear();
        }
        self.tickets.entry(ticket).or_default()
    }
}

impl Told {
    fn take(&mut self, account: &str, row: &Value) {
        let (creator, what) = (row["Creator"]["id"].as_str().unwrap_or_default(), what(row));
        let at = row["Created"].as_str().and_then(|text| time(text).ok());
        if creator == SYSTEM {
            let since = self.ours.zip(at).map(|(ours, at)| at.duration_since(ours));
            let in_answer = since.is_some_and(|since| since <= AT_ONCE);
            match what {
                Some(what) if in_answer => {
                    let before = row["OldValue"].as_str().unwrap_or_default();
                    self.by_itself.entry(what).or_insert_with(|| before.to_owned());
                }
                Some(what) => drop(self.by_itself.remove(&what)),
                // Mail that it sent.
                None => {}
            }
            return;
        }
        self.ours = at.filter(|_| creator == account);
        if let Some(what) = what {
            self.by_itself.remove(&what);
        }
    }
}

/// What a transaction sets: a member of the ticket, or a custom field by number.
fn what(row: &Value) -> Option<String> {
    let field = row["Field"].as_str().unwrap_or_default();
    match row["Type"].as_str().unwrap_or_default() {
        "Status" => Some("Status".to_owned()),
        "Set" => Some(field.to_owned()),
        "CustomField" => Some(format!("CF {field}")),
        _ => None,
    }
}

impl RequestTracker {
    /// Says of a ticket which fields the system set by itself, and what they said before. No call, unless it shows
    /// what we did not leave so before the feed told why.
    pub(super) async fn explained(&self, ticket: u64, mut read: Snapshot) -> Result<Snapshot, CallError> {
        if let Some(creator) = read.raw["Creator"]["id"].as_str().filter(|_| read.planned_as.is_some()) {
            self.reactions.set_account(creator, false);
        }
        if self.reactions.is_open(ticket, &read) {
            let operation = "history.list";
            let query = [("fields", FIELDS), ("orderby", "id"), ("order", "DESC"), ("per_page", PER_PAGE)];
            let answer = self.ask(operation, &["ticket", &ticket.to_string(), "history"], &query).await?;
            for row in self.items(operation, &answer)?.iter().rev() {
                self.reactions.note(ticket, row);
            }
        }
        self.explain(ticket, &mut read);
        Ok(read)
    }

    /// The same with what the feed told.
    pub(super) fn explain(&self, ticket: u64, read: &mut Snapshot) {
        let set = self.reactions.of(ticket);
        let fields = read.raw["CustomFields"].as_array().into_iter().flatten();
        let verdict = fields.filter(|field| field["name"].as_str() == self.settings.verdict_field.as_deref());
        let verdict = verdict.filter_map(|field| number(&field["id"])).map(|id| format!("CF {id}")).next();
        let of = |(what, before): (&String, &String)| match what.as_str() {
            "Status" => Some((Field::Status, Native::Text(before.clone()))),
            "Subject" => Some((Field::Title, Native::Text(before.clone()))),
            "Priority" => Some((Field::Severity, Native::Text(step(before.parse().ok()?).to_owned()))),
            _ if verdict.as_ref() == Some(what) => Some((Field::Verdict, Native::text(Some(before)))),
            // Owners are told by number, and nobody knows whom it stands for.
            _ => None,
        };
        read.facts.before_reaction = set.iter().filter_map(of).collect();
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::json;

    use super::*;

    fn row(id: u64, kind: &str, creator: &str, second: u64) -> Value {
        let field = if kind == "Status" { "Status" } else { "" };
        json!({"id": id.to_string(), "Type": kind, "Field": field, "Creator": {"id": creator},
            "Created": format!("2026-11-24T08:00:{second:02}Z")})
    }

    /// Whether the status counts as set by itself after these.
    fn by_itself(rows: &[Value]) -> bool {
        let reactions = Reactions::default();
        reactions.set_account("lockstep", true);
        for row in rows {
            reactions.note(7, row);
        }
        reactions.of(7).contains_key("Status")
    }

    #[test]
    fn what_the_system_does_at_once_after_us_is_nobodys_word() {
        let (reply, mail) = (row(1, "Correspond", "lockstep", 1), row(2, "EmailRecord", "RT_System", 1));
        let opened = row(3, "Status", "RT_System", 1);
        assert!(by_itself(&[reply.clone(), mail.clone(), opened.clone()]));
        assert!(by_itself(&[reply.clone(), opened.clone(), reply.clone(), opened.clone()]), "told twice");
        let later = row(4, "Comment", "ana", 5);
        assert!(by_itself(&[reply.clone(), opened.clone(), later]), "her comment does not set it");
        // A person's reply is why; a person sets it after that; so do we; or a job of the night.
        let hers = row(1, "Correspond", "ana", 1);
        assert!(!by_itself(&[hers, opened.clone()]));
        assert!(!by_itself(&[reply.clone(), row(2, "Comment", "ana", 1), opened.clone()]));
        assert!(!by_itself(&[reply.clone(), opened.clone(), row(4, "Status", "ana", 1)]));
        assert!(!by_itself(&[reply.clone(), opened.clone(), row(4, "Status", "lockstep", 9)]));
        assert!(!by_itself(&[reply.clone(), row(3, "Status", "RT_System", 30)]));
        assert!(!by_itself(&[opened]));
    }

    #[test]
    fn nothing_is_said_while_nobody_knows_who_we_are() {
        let reactions = Reactions::default();
        reactions.note(7, &row(1, "Correspond", "lockstep", 1));
        reactions.note(7, &row(2, "Status", "RT_System", 1));
        assert!(reactions.of(7).is_empty());
    }
}
