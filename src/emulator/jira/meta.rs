//! What surrounds issues: the account, users, the project, permissions and screens.

use serde_json::{Value, json};

use super::super::desk::{Surroundings, USER};
use super::super::wire::{Reply, Request};
use super::issue::user;
use super::settings::Deployment;
use super::write::{PROJECTS, TYPES};
use super::{Jira, Outcome, base, refusal};

impl Jira {
    pub(super) fn meta(&mut self, request: &Request, path: &[&str], around: &Surroundings<'_>) -> Outcome {
        let base = base(around, &self.settings);
        let answer = match path {
            ["myself"] => user(USER, &self.settings, &base),
            ["user", "assignable", "search"] => self.assignable(request, &base)?,
            ["project", key] => self.project(key, &base)?,
            ["mypermissions"] => self.permissions(request)?,
            ["issue", "createmeta", key, "issuetypes"] if PROJECTS.contains(key) => {
                let rows: Vec<Value> = TYPES.iter().zip(10_001..).map(|(name, id)| json!({
                    "id": id.to_string(), "name": name, "subtask": false, "self": format!("{base}/issuetype/{id}"),
                })).collect();
                json!({"issueTypes": rows, "maxResults": 50, "startAt": 0, "total": rows.len()})
            }
            ["issue", "createmeta", key, "issuetypes", _] if PROJECTS.contains(key) => self.create_screen(),
            ["issue", id, "properties", name] => {
                let kept = self.find(id).ok_or_else(super::no_issue)?;
                let value = kept.versions.current().properties.get(*name);
                json!({"key": name, "value": value.ok_or_else(|| refusal(404, "The property does not exist."))?})
            }
            _ => return Err(refusal(404, "")),
        };
        Ok(Reply::json(200, answer))
    }

    /// Finds parts of names and addresses, too; hidden addresses are not shown.
    fn assignable(&mut self, request: &Request, base: &str) -> Result<Value, Reply> {
        let option = match self.settings.deployment {
            Deployment::Cloud => "query",
            Deployment::DataCenter => "username",
        };
        if request.option("issueKey").is_none() && request.option("project").is_none() {
            return Err(refusal(400, "You must specify a project or issue key."));
        }
        let wanted = request.option(option).unwrap_or_default().to_lowercase();
        let mut found = Vec::new();
        if self.knows(&wanted) {
            let other = format!("x{wanted}");
            self.knows(&other);
            found.push(user(&other, &self.settings, base));
            if self.settings.shared_emails.contains(&wanted) {
                // An account of its own but for the address.
                let mut admin = user(&format!("admin-{wanted}"), &self.settings, base);
                admin["emailAddress"] = wanted.as_str().into();
                found.push(admin);
            }
            found.push(user(&wanted, &self.settings, base));
        }
        Ok(Value::Array(found))
    }

    fn project(&self, key: &str, base: &str) -> Result<Value, Reply> {
        if !PROJECTS.contains(&key) {
            return Err(refusal(404, &format!("No project could be found with key '{key}'.")));
        }
        let kind = if self.settings.service_desk { "service_desk" } else { "software" };
        Ok(json!({"self": format!("{base}/project/{key}"), "id": "10000", "key": key, "name": key,
                  "projectTypeKey": kind, "archived": false, "simplified": false}))
    }

    fn permissions(&self, request: &Request) -> Result<Value, Reply> {
        let asked = request.option("permissions").unwrap_or_default();
        if asked.is_empty() {
            return Err(refusal(400, "The permissions query parameter is required."));
        }
        let of = |name: &str| {
            let has = match name {
                "TRANSITION_ISSUES" => self.settings.may_transition,
                "EDIT_ISSUES" => self.settings.may_edit,
                "ADD_COMMENTS" => self.settings.may_comment,
                "CREATE_ISSUES" => self.settings.may_create,
                _ => true,
            };
            let row =
                json!({"id": "10", "key": name, "name": name, "type": "PROJECT", "havePermission": has});
            (name.to_owned(), row)
        };
        let rows: serde_json::Map<String, Value> = asked.split(',').map(of).collect();
        Ok(json!({"permissions": rows}))
    }

    fn create_screen(&self) -> Value {
        let names = ["summary", "issuetype", "project", "description", "labels", "priority", "assignee"];
        let rows: Vec<Value> = names
            .iter()
            .filter(|name| !self.is_locked(name))
            .map(|name| {
                json!({"fieldId": name, "key": name, "name": name, "required": *name == "summary",
                               "hasDefaultValue": false, "operations": ["set"], "schema": {"type": "string"}})
            })
            .collect();
        json!({"fields": rows, "maxResults": 50, "startAt": 0, "total": rows.len()})
    }
}
