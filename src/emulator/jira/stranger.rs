//! What Jira answers to those who may not see the project: callers whom it does not know any more, and its own account after
//! it lost the project (`ticketing.md` 2.1, 2.2). Cloud says so of the log-in alone; everything else is empty or not there.

use serde_json::{Value, json};

use super::super::desk::{USER, has_password};
use super::super::login::bearer;
use super::super::options::CLIENT_SECRET;
use super::super::wire::{Reply, Request};
use super::issue::account;
use super::settings::Deployment;
use super::{Jira, Outcome, no_issue, refusal, wrong};

/// Who asks, as Jira sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Caller {
    /// The service user.
    Known,
    /// The service user, who may not see the projects.
    Shut,
    /// Nobody that Jira knows; Cloud answers all the same.
    Stranger,
    /// Somebody with a token or password that is refused outright.
    Refused,
}

impl Jira {
    pub(super) fn caller(&self, request: &Request) -> Caller {
        let is_cloud = self.settings.deployment == Deployment::Cloud;
        let is_known = |token: &str| {
            token == CLIENT_SECRET && !is_cloud || self.tokens.iter().any(|issued| issued == token)
        };
        let admitted = has_password(request) || bearer(request).is_some_and(is_known);
        match admitted {
            _ if self.settings.anonymous => Caller::Stranger,
            true if self.settings.project_lost => Caller::Shut,
            true => Caller::Known,
            // A password that is wrong makes a stranger of its owner in Cloud; a token is refused.
            false if is_cloud && bearer(request).is_none() => Caller::Stranger,
            false => Caller::Refused,
        }
    }

    /// The headers that say whom Jira takes the caller for.
    pub(super) fn with_caller(&self, reply: Reply, caller: Caller) -> Reply {
        match (self.settings.deployment, caller) {
            (_, Caller::Refused) => reply,
            (Deployment::Cloud, Caller::Stranger) => {
                reply.with("x-seraph-loginreason", "AUTHENTICATED_FAILED")
            }
            (Deployment::Cloud, _) => reply.with("x-aaccountid", account(USER)),
            (Deployment::DataCenter, Caller::Stranger) => reply.with("x-ausername", "anonymous"),
            (Deployment::DataCenter, _) => reply.with("x-seraph-loginreason", "OK").with("x-ausername", USER),
        }
    }

    /// The answer to a caller who sees no project. `rest` is the path below the version.
    pub(super) fn shut_out(&mut self, request: &Request, rest: &[&str], caller: Caller) -> Outcome {
        let cloud = self.settings.deployment == Deployment::Cloud;
        match (request.method.as_str(), rest) {
            ("GET", ["myself"]) => Err(unauthenticated()),
            (_, ["search", "jql"]) if cloud => {
                self.seen_search(request)?;
                Ok(Reply::json(200, json!({"issues": [], "isLast": true})))
            }
            (_, ["search"]) if !cloud => {
                self.seen_search(request)?;
                Ok(Reply::json(200, json!({"startAt": 0, "maxResults": 50, "total": 0, "issues": []})))
            }
            ("POST", ["issue"]) => Err(wrong("project", "valid project is required")),
            ("GET", ["mypermissions"]) if request.option("projectKey").is_none() => {
                let asked = request.option("permissions").unwrap_or_default();
                let row = |name: &str| (name.to_owned(), json!({"key": name, "havePermission": false}));
                let rows: serde_json::Map<String, Value> = asked.split(',').map(row).collect();
                Ok(Reply::json(200, json!({"permissions": rows})))
            }
            (_, ["issue", "createmeta", ..] | ["project", ..] | ["mypermissions"]) => Err(no_project()),
            (_, ["user", ..]) if request.option("project").is_some() => Err(no_project()),
            (_, ["issue" | "user", ..]) if cloud => Err(no_issue()),
            (_, ["issue" | "user", ..]) => Err(not_yours(caller)),
            _ => Err(refusal(404, "")),
        }
    }

    /// A search that names a project is refused; one that does not is answered with nothing.
    fn seen_search(&self, request: &Request) -> Result<(), Reply> {
        match self.project_asked_for(request)? {
            Some(project) => Err(no_such_project(&project)),
            None => Ok(()),
        }
    }
}

/// The refusal of a log-in.
pub(super) fn unauthenticated() -> Reply {
    refusal(401, "Client must be authenticated to access this resource.")
        .with("www-authenticate", "OAuth realm=\"jira\"")
}

/// The refusal of a query that names a project which the caller does not see.
pub(super) fn no_such_project(project: &str) -> Reply {
    refusal(400, &format!("The value '{project}' does not exist for the field 'project'."))
}

fn no_project() -> Reply {
    refusal(404, "No project could be found with key 'SOC'.")
}

/// Data Center tells strangers to log in, and others that they may not.
fn not_yours(caller: Caller) -> Reply {
    let denied = "You do not have the permission to see the specified issue.";
    if caller == Caller::Stranger {
        let messages = json!({"errorMessages": [denied, "Login Required"], "errors": {}});
        return Reply::json(401, messages).with("www-authenticate", "OAuth realm=\"jira\"");
    }
    refusal(403, denied)
}
