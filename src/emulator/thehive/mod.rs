//! TheHive 5: alerts, cases and comments of one organisation (`ticketing.md` 4 and 8).
//!
//! What it does that a client gets wrong if it were kinder: cases have no key; an alert's (type, source, sourceRef)
//! is unique, but promoting one twice makes two cases; PATCH answers 204 and shows nothing; the search index lags
//! behind the database; a comment does not move the date of its case; whoever opens a case is its assignee; closing
//! is refused while mandatory custom fields are empty; reopening needs a permission; a merge makes a new case and the
//! old ones are gone; `closedDate` stays after a reopening; a case that the caller may not see is answered as one
//! that is not there; a part that failed is a success of 207 with a `MultiError`. [`Settings`] switches the rest.
//!
//! Seeds and edits of people are in the words common to all ticket systems (`title`, `status`, `verdict`, `severity`,
//! `owner`, `tags`, `comment`, `notes`, `key`, `delete`), and `merge_into` (an id), `native_status` (a status value)
//! and `untag` (a list of tags, lockstep's own among them).

mod edit;
mod query;
mod record;
mod search;
mod settings;
mod write;

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::desk::{Desk, Surroundings, USER, has_password, service_user};
use super::faults::{FaultKind, Plan, http_date};
use super::ledger::{Actor, System, What};
use super::login::bearer;
use super::options::CLIENT_SECRET;
use super::settings::merged;
use super::versions::Versions;
use super::wire::{Refusal, Reply, Request};
use record::{Alert, Case, Comment, number};
use search::query_operation;
use settings::Settings;

/// The system.
#[derive(Debug, Default)]
pub(super) struct TheHive {
    settings: Settings,
    cases: BTreeMap<u64, Versions<Case>>,
    alerts: BTreeMap<u64, Versions<Alert>>,
    comments: Vec<Comment>,
    last_id: u64,
    last_number: u64,
}

/// Who makes a write, and when.
struct Act<'a, 'b> {
    actor: &'a Actor,
    around: &'a mut Surroundings<'b>,
}

impl Act<'_, '_> {
    fn now(&self) -> Timestamp {
        self.around.now
    }

    fn by(&self) -> String {
        self.actor.as_str().to_owned()
    }

    fn note(&mut self, case: u64, what: What) {
        self.around.note(System::TheHive, &record::id(case), self.actor, what);
    }
}

impl TheHive {
    fn take_id(&mut self) -> u64 {
        // Ids of the graph database are far apart.
        self.last_id += 4_096;
        self.last_id
    }

    fn case(&self, id: &str) -> Result<&Case, Refusal> {
        let found = number(id).and_then(|number| self.cases.get(&number));
        // Cases may also be named by their number.
        let by_number = || self.cases.values().find(|case| case.current().number.to_string() == id);
        let case = found.or_else(by_number).map(Versions::current);
        case.ok_or_else(|| Refusal::new(404, "NotFoundError", format!("Case {id} not found")))
    }

    fn may_enter(&self, request: &Request) -> Result<(), Refusal> {
        let known = bearer(request) == Some(CLIENT_SECRET) || has_password(request);
        if self.settings.anonymous || !known {
            return Err(Refusal::new(401, "AuthenticationError", "Authentication failure"));
        }
        match request.header("x-organisation") {
            Some(name) if name != self.settings.organisation => {
                Err(Refusal::new(403, "AuthorizationError", format!("Unknown organisation {name}")))
            }
            _ => Ok(()),
        }
    }

    fn route(
        &mut self,
        request: &Request,
        path: &[&str],
        plan: &Plan,
        act: &mut Act<'_, '_>,
    ) -> Result<Reply, Refusal> {
        let stale = plan.is(&FaultKind::StaleRead);
        let in_sight =
            request.header("x-organisation").is_some() || self.settings.acts_in == self.settings.organisation;
        let lacks = |permission: &str| self.settings.lacks.iter().any(|own| own == permission);
        match (request.method.as_str(), path) {
            (_, ["api", "v1", "case" | "alert", id, ..]) if !in_sight => {
                let kind = if path[2] == "case" { "Case" } else { "Alert" };
                return Err(Refusal::new(404, "NotFoundError", format!("{kind} {id} not found")));
            }
            ("POST", ["api", "v1", "query"]) if !in_sight => return Ok(Reply::json(200, json!([]))),
            ("PATCH", _) if lacks("manageCase/update") => {
                return Err(Refusal::new(403, "AuthorizationError", "Operation not permitted"));
            }
            ("POST", [.., "comment"]) if lacks("manageComment") => {
                return Err(Refusal::new(403, "AuthorizationError", "Operation not permitted"));
            }
            _ => {}
        }
        match (request.method.as_str(), path) {
            ("POST", ["api", "v1", "query"]) => self.answer_query(&body(request)?, stale, act.now()),
            ("GET", ["api", "v1", "user", "current"]) => Ok(Reply::json(200, self.account(request))),
            ("GET", ["api", "v1", "case", id]) => {
                let id = self.case(id)?.id;
                let versions = self.cases.get(&id);
                let seen = versions.map(|v| if stale { v.previous() } else { v.current() });
                Ok(Reply::json(200, seen.map(Case::json).unwrap_or_default()))
            }
            ("PATCH", ["api", "v1", "case", id]) => {
                self.patch(id, &body(request)?, act)?;
                Ok(Reply::empty(204))
            }
            ("POST", ["api", "v1", "case", id, "comment"]) => {
                let body = body(request)?;
                let text = body["message"].as_str().filter(|text| !text.trim().is_empty());
                let text = text.ok_or_else(|| Refusal::bad_request("message is required"))?;
                let comment = self.comment(id, text, act)?;
                Ok(Reply::json(201, comment.json(false)))
            }
            ("POST", ["api", "v1", "alert"]) => {
                let alert = self.create_alert(&body(request)?, act)?;
                Ok(Reply::json(201, alert.json()))
            }
            ("POST", ["api", "v1", "alert", id, "case"]) => {
                let case = self.promote(id, &body(request)?, act)?;
                Ok(Reply::json(201, case.json()))
            }
            // The framework's word for an address, which is another one than for an object.
            _ => Err(Refusal::new(404, "NotFound", format!("/{}", path.join("/")))),
        }
    }

    fn account(&self, request: &Request) -> Value {
        let organisation = request.header("x-organisation").unwrap_or(&self.settings.acts_in);
        let mut permissions = vec!["manageAlert/create", "manageCase/create", "manageCase/update"];
        if self.settings.may_reopen {
            permissions.push("manageCase/reopen");
        }
        json!({"_id": "~8", "_type": "User", "login": USER, "name": "lockstep", "profile": "lockstep",
               "permissions": permissions, "organisation": organisation})
    }
}

fn body(request: &Request) -> Result<Value, Refusal> {
    request.json().filter(Value::is_object).ok_or_else(|| Refusal::bad_request("the body is no JSON object"))
}

fn refused(refusal: &Refusal) -> Reply {
    Reply::json(refusal.status, json!({"type": refusal.code, "message": refusal.message}))
}

impl Desk for TheHive {
    fn operation(&self, request: &Request, path: &[&str]) -> &'static str {
        match (request.method.as_str(), path) {
            ("POST", ["api", "v1", "query"]) => query_operation(&request.json().unwrap_or_default()),
            ("GET", ["api", "v1", "user", _]) => "get-user",
            ("GET", ["api", "v1", "case", _]) => "get-ticket",
            ("PATCH", ["api", "v1", "case", _]) => "update-ticket",
            ("POST", ["api", "v1", "case", _, "comment"]) => "comment-ticket",
            ("POST", ["api", "v1", "alert"]) => "create-alert",
            ("POST", ["api", "v1", "alert", _, "case"]) => "create-ticket",
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
        let actor = service_user();
        let now = around.now;
        let mut act = Act { actor: &actor, around };
        let reply = match self.may_enter(request) {
            Ok(()) => self.route(request, path, plan, &mut act),
            Err(refusal) => Err(refusal),
        };
        reply.unwrap_or_else(|refusal| refused(&refusal)).with("date", http_date(now))
    }

    fn failure(&self, status: u16) -> Reply {
        let (kind, message) = match status {
            401 => ("AuthenticationError", "Authentication failure"),
            403 => ("AuthorizationError", "Your are not authorized"),
            404 => ("NotFoundError", "Not found"),
            429 => ("TooManyRequests", "Too many requests"),
            400..=499 => ("BadRequest", "Bad request"),
            _ => ("InternalError", "Internal error"),
        };
        Reply::json(status, json!({"type": kind, "message": message}))
    }

    /// A part that failed; `207` itself is a success.
    fn error_body(&self) -> Value {
        json!({"type": "MultiError", "error": "Internal error", "suberrors": []})
    }

    fn open(
        &mut self,
        seed: &Value,
        actor: &Actor,
        around: &mut Surroundings<'_>,
    ) -> Result<String, Refusal> {
        self.opened_by_person(seed, &mut Act { actor, around })
    }

    fn edit(
        &mut self,
        id: &str,
        edit: &Value,
        actor: &Actor,
        around: &mut Surroundings<'_>,
    ) -> Result<(), Refusal> {
        self.edited_by_person(id, edit, &mut Act { actor, around })
    }

    fn ticket(&self, id: &str) -> Option<Value> {
        let case = self.cases.get(&number(id)?)?.current();
        let mut json = case.json();
        json["common"] = self.common(case);
        json["comments"] = json["common"]["comments"].clone();
        Some(json)
    }

    fn ids(&self) -> Vec<String> {
        self.cases.keys().map(|number| record::id(*number)).collect()
    }

    fn set(&mut self, settings: &Value) -> Result<(), String> {
        self.settings = merged(&self.settings, settings)?;
        Ok(())
    }
}
