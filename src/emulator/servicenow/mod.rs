//! ServiceNow's Table API with `incident` and `sn_si_incident` (`ticketing.md` 1 and 8), below `/servicenow`.
//!
//! The user is `lockstep` with the password `emulator-secret`; the OAuth client has the id `lockstep` and the same
//! secret, at `/oauth_token.do`. Every value is a text. By default, as in the base system: a bad part of a query is
//! dropped and the rest carried out; the limit counts rows before access rules hide them; closing without code and
//! notes is refused by data policy (403); a closed incident is not reopened; security incidents only go forward, step
//! by step; resolved incidents close by themselves after 7 days; `correlation_id` is not unique; the client
//! credentials grant is off; there is no rate rule; close code and notes stay on a reopened ticket; each table has a ticket
//! of somebody else's, which is no record of the control interface. [`settings::Settings`] names what else can be switched:
//!
//! * who calls: `anonymous` (401 and `X-Is-Logged-In: false`), `lost_role` (`hidden`, `filtered`, `bare`, `refused`,
//!   `no-table`), `front` (`sign-on`, `log-in-page`, `hibernating`, `hibernating-not-found`), `hidden_tables`,
//!   `hidden_fields`;
//! * failures behind a status of success: `cut_lists` (an error behind so many rows), `page_headers` (whether count and
//!   links come with it); the fault `malformed` with `error-body` has the same error without rows;
//! * refusals: `refused_fields`, named or not by `refusals_name_fields`; `blocked_close` (a close that has to wait for
//!   something); `mandatory_on_close`; `readonly_fields` (dropped without a word);
//! * what stays and what changes by itself: `cleared_on_reopen`, `rewritten_on_close`.
//!
//! `open` and `edit` take the common words (`title`, `status`, `verdict`, `severity`, `owner`, `comment`, `notes`,
//! `key`, `delete`; `tags` are ignored, tickets here have none) and of their own: `fields` (any, native), `public` (the
//! comment is one for the caller), `hidden` (access rules hide the ticket from the service user). An owner is entered
//! into the user directory if it is not there. Values are those of ServiceNow: a `sys_id` stands for a person.

mod answer;
mod people;
mod query;
mod read;
mod record;
mod save;
mod settings;
mod tokens;

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;

use std::collections::{BTreeMap, VecDeque};

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::clock::earlier;
use super::desk::{Desk, Surroundings, service_user};
use super::faults::Plan;
use super::ledger::Actor;
use super::settings::merged;
use super::versions::Versions;
use super::wire::{Refusal, Reply, Request};
use record::{Record, stamp};
use save::Save;
use settings::Settings;
use tokens::Tokens;

use super::ledger::System::ServiceNow as SYSTEM;

/// A write that was cut off and is carried out later.
#[derive(Debug)]
struct Late {
    due: Timestamp,
    table: String,
    id: Option<String>,
    body: Map<String, Value>,
}

/// The system.
#[derive(Debug, Default)]
pub(super) struct ServiceNow {
    settings: Settings,
    /// In the order in which they were created.
    records: Vec<(String, Versions<Record>)>,
    /// E-mails of the user directory by `sys_id`.
    users: BTreeMap<String, String>,
    tokens: Tokens,
    late: Vec<Late>,
    calls: VecDeque<Timestamp>,
    count: u64,
}

impl ServiceNow {
    fn find(&self, id: &str) -> Option<&Versions<Record>> {
        self.records.iter().find(|(own, _)| own == id).map(|(_, versions)| versions)
    }

    fn next(&mut self, what: &str) -> String {
        self.count += 1;
        record::sys_id(&format!("{what} {}", self.count))
    }

    /// The user's `sys_id`; entered if the directory should have the account.
    fn user(&mut self, mail: &str) -> String {
        let mail = mail.to_lowercase();
        let id = record::sys_id(&format!("user {mail}"));
        self.users.insert(id.clone(), mail);
        id
    }

    /// The 60 s cut: what was cut off is carried out after all.
    fn carry_out_late(&mut self, around: &mut Surroundings<'_>) {
        let now = around.now;
        let (due, waiting) = std::mem::take(&mut self.late).into_iter().partition(|late| late.due <= now);
        self.late = waiting;
        let due: Vec<Late> = due;
        for late in due {
            let (actor, save) = (service_user(), Save::by_api(&late.body));
            // Whoever sent it does not listen any more.
            let _ = match late.id {
                Some(id) => self.update(&id, save, &actor, around),
                None => self.insert(&late.table, save, &actor, around).map(|_| ()),
            };
        }
    }

    /// The job that closes what was resolved long enough ago (`ticketing.md` 1.4).
    fn auto_close(&mut self, around: &mut Surroundings<'_>) {
        if self.settings.autoclose_days <= 0.0 {
            return;
        }
        let before = stamp(earlier(around.now, self.settings.autoclose_days * 86_400.0));
        let basis = if self.settings.autoclose_by_update { "sys_updated_on" } else { "resolved_at" };
        let due = |record: &Record| {
            record.is_incident() && record.get("state") == "6" && record.get(basis) <= before.as_str()
        };
        let ids: Vec<String> = self
            .records
            .iter()
            .filter(|(_, versions)| due(versions.current()))
            .map(|(id, _)| id.clone())
            .collect();
        for id in ids {
            let save = Save::by_person([("state".to_owned(), "7".to_owned())].into());
            let _ = self.update(&id, save, &Actor::Service, around);
        }
    }
}

impl Desk for ServiceNow {
    /// A look-up by key is a list, and a comment an update, but for what they say.
    fn operation(&self, request: &Request, path: &[&str]) -> &'static str {
        match (request.method.as_str(), table_path(path)) {
            ("POST", None) if path == ["oauth_token.do"] => "token",
            ("GET", Some(("incident" | "sn_si_incident", None))) => {
                let query = request.option("sysparm_query").unwrap_or_default();
                if query.contains("sys_updated_on") { "list-tickets" } else { "find-ticket" }
            }
            ("GET", Some(("incident" | "sn_si_incident", Some(_)))) => "get-ticket",
            ("POST", Some((_, None))) => "create-ticket",
            ("PATCH" | "PUT", Some((_, Some(_)))) if is_comment(request) => "comment-ticket",
            ("PATCH" | "PUT", Some((_, Some(_)))) => "update-ticket",
            ("GET", Some(("sys_journal_field", None))) => "list-comments",
            ("GET", Some(("sys_choice", None))) => "list-choices",
            ("GET", Some(("sys_user" | "sys_user_group", None))) => "list-people",
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
        self.reply(request, path, plan, around)
    }

    fn failure(&self, status: u16) -> Reply {
        let (message, detail) = match status {
            429 => ("Rate limit exceeded", "Rate limit of 100 requests per hour for Table API exceeded"),
            503 => ("Service unavailable", "The instance is not available"),
            504 => ("Gateway timeout", "The instance did not answer in time"),
            _ => ("Operation Failed", "Transaction cancelled"),
        };
        answer::error(status, message, detail)
    }

    fn error_body(&self) -> Value {
        answer::cut_off(&[])
    }

    fn open(
        &mut self,
        seed: &Value,
        actor: &Actor,
        around: &mut Surroundings<'_>,
    ) -> Result<String, Refusal> {
        self.open_by_person(seed, actor, around)
    }

    fn edit(
        &mut self,
        id: &str,
        edit: &Value,
        actor: &Actor,
        around: &mut Surroundings<'_>,
    ) -> Result<(), Refusal> {
        self.edit_by_person(id, edit, actor, around)
    }

    fn ticket(&self, id: &str) -> Option<Value> {
        self.find(id).map(|versions| self.shown(versions.current()))
    }

    fn ids(&self) -> Vec<String> {
        self.records.iter().map(|(id, _)| id.clone()).collect()
    }

    fn set(&mut self, settings: &Value) -> Result<(), String> {
        self.settings = merged(&self.settings, settings)?;
        Ok(())
    }

    fn catch_up(&mut self, around: &mut Surroundings<'_>) {
        self.carry_out_late(around);
        self.auto_close(around);
    }
}

/// Table and id of a Table API path, both versions.
fn table_path<'p>(path: &[&'p str]) -> Option<(&'p str, Option<&'p str>)> {
    match path {
        ["api", "now", "table", rest @ ..] | ["api", "now", "v2", "table", rest @ ..] => match rest {
            [table] => Some((table, None)),
            [table, id] => Some((table, Some(id))),
            _ => None,
        },
        _ => None,
    }
}

fn is_comment(request: &Request) -> bool {
    let body = request.json();
    let fields = body.as_ref().and_then(Value::as_object);
    fields.is_some_and(|f| !f.is_empty() && f.keys().all(|k| k == "work_notes" || k == "comments"))
}
