//! Jira, Cloud or Data Center, for the operations that lockstep uses (`ticketing.md` 2 and 8).
//!
//! The prefix is `/jira`; below it are `/rest/api/3` (Cloud) or `/rest/api/2` (Data Center) and `/oauth/token`. The
//! service user is `lockstep` with the password, token or client secret `emulator-secret`; its name is also what the
//! ledger calls it. There are the projects `SOC` and `OPS` with the issue types `Task` and `Incident`, and every
//! address of `example.org` is somebody's.
//!
//! What is unpleasant: searches lag behind, bring ids only unless fields are asked for, cap their pages and refuse
//! queries without bounds; the old search of Cloud is gone; times have the offset of the account; labels hold no
//! spaces; transitions have misleading names, screens and required fields; the resolution stays when an issue is
//! reopened; writes to one issue are limited, and a 429 of Cloud says which limit it is about (`rate_limit_reason` for
//! those that faults bring: `jira-quota-global-based`, `jira-quota-tenant-based`, `jira-burst-based`,
//! `jira-per-issue-on-write` or null); a write without effect moves `updated` all the same. Who brings a wrong
//! password to Cloud is answered as a stranger, and told so by a header alone. An issue that was deleted and one that the
//! caller may not see are answered alike in Cloud; Data Center says which. A query that names a project which the caller
//! does not see is refused.
//!
//! The settings (`PATCH /control/jira/settings`, see [`settings`]) switch more on:
//!
//! - `anonymous`: every caller is a stranger; `project_lost`: the service user sees no project, and no header says so;
//! - `page_end`: how a search of Cloud says that it ends: `stated`, `unclear` (`isLast` is false, and there is no token),
//!   `silent` (neither), `both` (the last page has a token);
//! - `hidden_fields`: fields that transitions take and demand, and that their metadata leave out;
//! - `required_on_close` demands further fields, `off_closing_screen` takes some off the screen, `closing_screen` and
//!   `post_resolution` say what a close does without one, `reopen_clears_resolution` whether a resolution is left over on a
//!   reopened issue (it is);
//! - `blocked`: a close that cannot be made now, since sub-tasks are open: `not-offered` (a condition hides the transition)
//!   or `refused` (a validator refuses it in words that name no field);
//! - `locked_fields` are refused by name, `refuse_edits` refuses every edit and names nothing, `may_edit`, `may_comment`,
//!   `may_create` and `may_transition` take a permission away, `closed_readonly` refuses edits of closed issues;
//! - `required_on_create`: fields without which no issue can be opened.
//!
//! Seeds and edits take the common words of all ticket systems: `title`, `status`, `verdict`, `severity`, `owner`,
//! `tags`, `comment`, `notes`, `key`, `delete`; and of Jira's own: `status_name`, `resolution`, `labels` (all of them,
//! lockstep's included), `project` (a move: the key changes, the id stays), `archived`, `internal` (of a comment). In
//! Cloud a `comment` may be a document with nodes of any kind, in Data Center a text is markup; the edit is not checked.

mod fields;
mod issue;
mod jql;
mod meta;
mod person;
mod search;
mod settings;
mod store;
mod stranger;
mod text;
mod workflow;
mod write;

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;

use serde_json::{Value, json};

use super::desk::{Desk, Surroundings, USER};
use super::faults::{FaultKind, Plan, http_date};
use super::ledger::Actor;
use super::options::CLIENT_SECRET;
use super::settings::merged;
use super::wire::{Refusal, Reply, Request};
use settings::{Deployment, RateLimitReason, Settings};
pub(super) use store::Jira;
use stranger::{Caller, unauthenticated};

/// What an answer is: one that did something, or a refusal.
type Outcome = Result<Reply, Reply>;

/// A refusal in Jira's form.
fn refusal(status: u16, message: &str) -> Reply {
    let messages: Vec<&str> = [message].into_iter().filter(|m| !m.is_empty()).collect();
    Reply::json(status, json!({"errorMessages": messages, "errors": {}}))
}

/// A refusal by field.
fn field_refusal(errors: &serde_json::Map<String, Value>) -> Reply {
    Reply::json(400, json!({"errorMessages": [], "errors": errors}))
}

/// One field that is wrong.
fn wrong(field: &str, message: &str) -> Reply {
    field_refusal(&[(field.to_owned(), Value::from(message))].into_iter().collect())
}

fn no_issue() -> Reply {
    refusal(404, "Issue does not exist or you do not have permission to see it.")
}

impl Jira {
    /// A 429 that says which limit it is about. Only Cloud does.
    fn rate_limited(&self, reply: Reply, reason: Option<RateLimitReason>) -> Reply {
        match reason.filter(|_| self.settings.deployment == Deployment::Cloud) {
            Some(reason) => reply.with("ratelimit-reason", reason.as_str()),
            None => reply,
        }
    }

    /// OAuth 2 client credentials.
    fn token(&mut self, request: &Request) -> Reply {
        let form: Vec<(String, String)> = url::form_urlencoded::parse(&request.body).into_owned().collect();
        let of = |name: &str| form.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str());
        let known = of("grant_type") == Some("client_credentials")
            && of("client_id") == Some(USER)
            && of("client_secret") == Some(CLIENT_SECRET);
        if !known {
            return Reply::json(401, json!({"error": "access_denied", "error_description": "Unauthorized"}));
        }
        let token = format!("emulated-{}", self.tokens.len() + 1);
        self.tokens.push(token.clone());
        Reply::json(200, json!({"access_token": token, "token_type": "Bearer", "expires_in": 3600}))
    }

    fn route(
        &mut self,
        request: &Request,
        path: &[&str],
        (plan, caller): (&Plan, Caller),
        around: &mut Surroundings<'_>,
    ) -> Outcome {
        let version = match self.settings.deployment {
            Deployment::Cloud => "3",
            Deployment::DataCenter => "2",
        };
        let ["rest", "api", v, rest @ ..] = path else { return Err(refusal(404, "")) };
        // Cloud still has version 2; lockstep does not use it, so it is no help here.
        if *v != version && *v != "latest" {
            return Err(refusal(404, ""));
        }
        let is_login = rest == ["myself"];
        if caller == Caller::Stranger || caller == Caller::Shut && !is_login {
            return self.shut_out(request, rest, caller);
        }
        match (request.method.as_str(), rest) {
            ("POST", ["issue"]) => self.create(request, around),
            ("GET", ["issue", id]) => self.get(request, id, plan.is(&FaultKind::StaleRead), around),
            ("PUT", ["issue", id]) => self.put(request, id, around),
            ("GET", ["issue", id, "transitions"]) => self.transitions(request, id, around),
            ("POST", ["issue", id, "transitions"]) => self.transition(request, id, around),
            ("GET", ["issue", id, "comment"]) => {
                self.comments(request, id, plan.is(&FaultKind::StaleRead), around)
            }
            ("POST", ["issue", id, "comment"]) => self.comment(request, id, around),
            ("GET" | "POST", ["search", "jql"]) if self.settings.deployment == Deployment::Cloud => {
                self.search_cloud(request, around)
            }
            ("GET" | "POST", ["search"]) => match self.settings.deployment {
                Deployment::DataCenter => self.search_data_center(request, around),
                Deployment::Cloud => Err(refusal(
                    410,
                    "The requested API has been removed. Please migrate to the /rest/api/3/search/jql API.",
                )),
            },
            ("GET", rest) => self.meta(request, rest, around),
            _ => Err(refusal(405, "")),
        }
    }
}

impl Desk for Jira {
    fn operation(&self, request: &Request, path: &[&str]) -> &'static str {
        let ["rest", "api", _, rest @ ..] = path else {
            return if path == ["oauth", "token"] { "token" } else { "unknown" };
        };
        match (request.method.as_str(), rest) {
            ("POST", ["issue"]) => "create-ticket",
            ("GET", ["issue", _]) => "get-ticket",
            ("PUT", ["issue", _]) | ("POST", ["issue", _, "transitions"]) => "update-ticket",
            ("GET", ["issue", _, "transitions"]) => "list-transitions",
            ("GET", ["issue", _, "comment"]) => "list-comments",
            ("POST", ["issue", _, "comment"]) => "comment-ticket",
            ("POST", ["search", "jql"] | ["search"]) => "list-tickets",
            ("GET", ["search", "jql"] | ["search"]) => "find-ticket",
            ("GET", ["myself"]) => "get-myself",
            ("GET", ["user", ..]) => "find-user",
            ("GET", _) => "read-meta",
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
        let date = http_date(around.now);
        if request.method == "POST" && path == ["oauth", "token"] {
            return self.token(request).with("date", date);
        }
        let caller = self.caller(request);
        let reply = match caller {
            Caller::Refused => unauthenticated(),
            _ => self.route(request, path, (plan, caller), around).unwrap_or_else(|refused| refused),
        };
        self.with_caller(reply, caller).with("date", date).with("x-arequestid", "0e2f6e3bb6b1a0b5")
    }

    fn failure(&self, status: u16) -> Reply {
        match status {
            // The edge in front of Jira answers these, and in HTML.
            502..=504 => Reply::html(status),
            429 => self.rate_limited(refusal(429, "Rate limit exceeded."), self.settings.rate_limit_reason),
            500 => refusal(500, "Internal server error"),
            status => refusal(status, "The request cannot be answered."),
        }
    }

    fn open(
        &mut self,
        seed: &Value,
        actor: &Actor,
        around: &mut Surroundings<'_>,
    ) -> Result<String, Refusal> {
        self.open_by(seed, actor, around)
    }

    fn edit(
        &mut self,
        id: &str,
        edit: &Value,
        actor: &Actor,
        around: &mut Surroundings<'_>,
    ) -> Result<(), Refusal> {
        self.edit_by(id, edit, actor, around)
    }

    fn ticket(&self, id: &str) -> Option<Value> {
        let issue = self.find(id)?.versions.current();
        let mut json = issue.json(&[], &["lockstep".to_owned()], &self.settings, "http://jira/rest/api/3");
        json["common"] = issue.common();
        Some(json)
    }

    fn ids(&self) -> Vec<String> {
        self.issues.iter().filter(|(_, kept)| kept.deleted.is_none()).map(|(id, _)| id.to_string()).collect()
    }

    fn set(&mut self, settings: &Value) -> Result<(), String> {
        self.settings = merged(&self.settings, settings)?;
        Ok(())
    }
}

/// The root of links in answers.
fn base(around: &Surroundings<'_>, settings: &Settings) -> String {
    let version = if settings.deployment == Deployment::Cloud { "3" } else { "2" };
    format!("{}/jira/rest/api/{version}", around.base_url)
}
