//! Reads and writes of single issues (`ticketing.md` 2.3 to 2.6).

use serde_json::{Map, Value, json};

use super::super::desk::{Surroundings, service_user};
use super::super::ledger::Actor;
use super::super::wire::{Reply, Request};
use super::fields::{label_operation, not_on_screen};
use super::issue::{Issue, to_millis};
use super::settings::Blocked;
use super::workflow::{Transition, automate, offered};
use super::{Jira, Outcome, base, field_refusal, no_issue, refusal, text, wrong};

pub(super) const PROJECTS: [&str; 2] = ["SOC", "OPS"];
pub(super) const TYPES: [&str; 2] = ["Task", "Incident"];

/// The comma-separated words of an option.
pub(super) fn words(request: &Request, name: &str) -> Vec<String> {
    let option = request.option(name).unwrap_or_default();
    option.split(',').filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

/// A number of an option.
fn number(request: &Request, name: &str) -> Option<usize> {
    request.option(name).and_then(|text| text.parse().ok())
}

/// The body, which must be an object of known members.
fn body(request: &Request, known: &[&str]) -> Result<Map<String, Value>, Reply> {
    let Some(Value::Object(body)) = request.json() else {
        return Err(refusal(400, "There was an error parsing JSON. Check that your request body is valid."));
    };
    match body.keys().find(|name| !known.contains(&name.as_str())) {
        Some(name) => Err(refusal(400, &format!("Unrecognized field \"{name}\""))),
        None => Ok(body),
    }
}

/// Members of an object member of the body.
fn members(body: &Map<String, Value>, name: &str) -> Map<String, Value> {
    body.get(name).and_then(Value::as_object).cloned().unwrap_or_default()
}

impl Jira {
    pub(super) fn get(
        &mut self,
        request: &Request,
        id: &str,
        stale: bool,
        around: &Surroundings<'_>,
    ) -> Outcome {
        let kept = self.find(id).ok_or_else(no_issue)?;
        let issue = if stale { kept.versions.previous() } else { kept.versions.current() };
        let (fields, properties) = (words(request, "fields"), words(request, "properties"));
        Ok(Reply::json(200, issue.json(&fields, &properties, &self.settings, &base(around, &self.settings))))
    }

    pub(super) fn create(&mut self, request: &Request, around: &mut Surroundings<'_>) -> Outcome {
        let body = body(request, &["fields", "properties", "update", "transition", "historyMetadata"])?;
        let mut fields = members(&body, "fields");
        let project =
            fields.remove("project").and_then(|p| p["key"].as_str().map(str::to_owned)).unwrap_or_default();
        if !PROJECTS.contains(&project.as_str()) {
            return Err(wrong("project", "valid project is required"));
        }
        let kind = fields
            .remove("issuetype")
            .and_then(|t| t["name"].as_str().map(str::to_owned))
            .unwrap_or_default();
        if !TYPES.contains(&kind.as_str()) {
            return Err(wrong("issuetype", "Specify an issue type"));
        }
        if !fields.contains_key("summary") {
            return Err(wrong("summary", "You must specify a summary of the issue."));
        }
        if !self.settings.may_create {
            return Err(refusal(400, "You do not have permission to create issues in this project."));
        }
        let lacking = self.settings.required_on_create.iter().filter(|name| !fields.contains_key(*name));
        let lacking: Map<String, Value> =
            lacking.map(|name| (name.clone(), format!("{name} is required.").into())).collect();
        if !lacking.is_empty() {
            return Err(field_refusal(&lacking));
        }
        let mut issue = blank(&project, &kind, around.now);
        self.set_fields(&mut issue, &fields, true)?;
        for property in body.get("properties").and_then(Value::as_array).into_iter().flatten() {
            let key = property["key"].as_str().ok_or_else(|| refusal(400, "a property has no key"))?;
            issue.properties.insert(key.to_owned(), property["value"].clone());
        }
        if self.settings.strip_labels {
            issue.labels.clear();
        }
        (issue.id, issue.number) = self.next_id(&project);
        let answer = json!({"id": issue.id.to_string(), "key": issue.key(),
            "self": format!("{}/issue/{}", base(around, &self.settings), issue.id)});
        self.add(issue, &service_user(), around);
        Ok(Reply::json(201, answer))
    }

    pub(super) fn put(&mut self, request: &Request, id: &str, around: &mut Surroundings<'_>) -> Outcome {
        let body = body(request, &["fields", "properties", "update", "transition", "historyMetadata"])?;
        let id = self.id_of(id)?;
        self.may_write(id, around.now)?;
        let mut issue = self.current(id)?;
        if issue.archived {
            return Err(refusal(403, "The issue is archived."));
        }
        if self.settings.refuse_edits || self.settings.closed_readonly && issue.is_done() {
            return Err(refusal(
                400,
                "You are not allowed to edit this issue due to the current status in the workflow.",
            ));
        }
        if !self.settings.may_edit {
            // Who may not edit is told so of each field, as if it were on no screen.
            let named = members(&body, "fields").into_iter().chain(members(&body, "update"));
            return Err(field_refusal(
                &named.map(|(name, _)| (name.clone(), not_on_screen(&name).into())).collect(),
            ));
        }
        // A status here is ignored (`ticketing.md` 2.4).
        let mut fields = members(&body, "fields");
        fields.remove("status");
        self.set_fields(&mut issue, &fields, false)?;
        for (name, operations) in members(&body, "update") {
            if name != "labels" || self.is_locked("labels") {
                return Err(wrong(&name, &not_on_screen(&name)));
            }
            for operation in operations.as_array().into_iter().flatten() {
                label_operation(&mut issue, operation)?;
            }
        }
        self.change(id, &service_user(), around, |kept| {
            *kept = issue;
            Ok(())
        })?;
        Ok(Reply::empty(204))
    }

    pub(super) fn current(&self, id: u64) -> Result<Issue, Reply> {
        self.issues.get(&id).map(|kept| kept.versions.current().clone()).ok_or_else(no_issue)
    }

    pub(super) fn transitions(&self, request: &Request, id: &str, around: &Surroundings<'_>) -> Outcome {
        let issue = self.find(id).ok_or_else(no_issue)?.versions.current();
        let with_fields = request.option("expand").is_some_and(|e| e.contains("transitions.fields"));
        let base = base(around, &self.settings);
        let offers = offered(issue, &self.settings);
        let all = request.option("includeUnavailableTransitions") == Some("true");
        let shown = offers.iter().filter(|offer| all || offer.is_available(&self.settings));
        let rows: Vec<Value> = shown.map(|t| t.json(with_fields, &self.settings, &base)).collect();
        Ok(Reply::json(200, json!({"expand": "transitions", "transitions": rows})))
    }

    pub(super) fn transition(
        &mut self,
        request: &Request,
        id: &str,
        around: &mut Surroundings<'_>,
    ) -> Outcome {
        let body = body(request, &["fields", "properties", "update", "transition", "historyMetadata"])?;
        let id = self.id_of(id)?;
        self.may_write(id, around.now)?;
        let issue = self.current(id)?;
        let wanted = body.get("transition").and_then(|t| t["id"].as_str()).unwrap_or_default();
        let offers = offered(&issue, &self.settings);
        let can = |offer: &Transition| offer.id == wanted && offer.is_available(&self.settings);
        let Some(step) = offers.into_iter().find(can) else {
            let text = format!(
                "It seems that you have tried to perform a workflow operation ({wanted}) that is not \
                                valid for the current state of this issue ({}).",
                issue.key()
            );
            return Err(refusal(400, &text));
        };
        if self.settings.blocked == Blocked::Refused && step.closes() {
            return Err(refusal(400, "All sub-tasks must be closed before this issue can be closed."));
        }
        let settings = self.settings.clone();
        let has_screen = step.json(false, &settings, "")["hasScreen"] == true;
        let mut note = None;
        for (name, operations) in members(&body, "update") {
            if name != "comment" || !has_screen {
                return Err(wrong(&name, &not_on_screen(&name)));
            }
            let add = operations[0]["add"].clone();
            text::check(&add["body"], settings.deployment).map_err(|why| wrong("comment", &why))?;
            note = Some(self.new_comment(&service_user(), around.now, self.remark_parts(&add)));
        }
        let fields = members(&body, "fields");
        self.change(id, &service_user(), around, |issue| {
            step.perform(issue, &fields, &settings).map_err(|errors| field_refusal(&errors))?;
            if let Some(note) = note {
                issue.closing_note = issue.is_done().then(|| text::plain(&note.body));
                issue.comments.push(note);
            }
            Ok(())
        })?;
        let mut moved = self.current(id)?;
        if automate(&mut moved, &settings) {
            self.change(id, &Actor::Service, around, |issue| {
                *issue = moved;
                Ok(())
            })?;
        }
        Ok(Reply::empty(204))
    }

    pub(super) fn comments(
        &self,
        request: &Request,
        id: &str,
        stale: bool,
        around: &Surroundings<'_>,
    ) -> Outcome {
        let kept = self.find(id).ok_or_else(no_issue)?;
        let issue = if stale { kept.versions.previous() } else { kept.versions.current() };
        let start = number(request, "startAt").unwrap_or(0);
        let most = number(request, "maxResults").unwrap_or(50).min(self.settings.page_cap);
        let properties = request.option("expand").is_some_and(|e| e.contains("properties"));
        let base = base(around, &self.settings);
        let rows = issue.comments.iter().skip(start).take(most);
        let rows: Vec<Value> = rows.map(|c| c.json(issue.id, properties, &self.settings, &base)).collect();
        let total = issue.comments.len();
        Ok(Reply::json(200, json!({"startAt": start, "maxResults": most, "total": total, "comments": rows})))
    }

    pub(super) fn comment(&mut self, request: &Request, id: &str, around: &mut Surroundings<'_>) -> Outcome {
        let body = body(request, &["body", "properties", "visibility", "public"])?;
        let id = self.id_of(id)?;
        self.may_write(id, around.now)?;
        if self.current(id)?.archived {
            return Err(refusal(403, "The issue is archived."));
        }
        if !self.settings.may_comment {
            return Err(refusal(400, "You do not have the permission to comment on this issue."));
        }
        let given = Value::Object(body);
        text::check(&given["body"], self.settings.deployment).map_err(|why| wrong("comment", &why))?;
        let parts = self.remark_parts(&given);
        let written = self.remark(id, &service_user(), around, parts)?;
        Ok(Reply::json(201, written.json(id, false, &self.settings, &base(around, &self.settings))))
    }

    /// A comment's body, whether it is internal, and its properties.
    fn remark_parts(&self, given: &Value) -> (Value, bool, Vec<Value>) {
        let properties = given["properties"].as_array().cloned().unwrap_or_default();
        let asks =
            properties.iter().any(|p| p["key"] == "sd.public.comment" && p["value"]["internal"] == true);
        let internal = asks && self.settings.service_desk && !self.settings.ignore_internal;
        (given["body"].clone(), internal, properties)
    }
}

/// A new issue before its fields are set. The project's default puts nobody to it.
pub(super) fn blank(project: &str, kind: &str, now: jiff::Timestamp) -> Issue {
    Issue {
        id: 0,
        project: project.to_owned(),
        number: 0,
        kind: kind.to_owned(),
        summary: String::new(),
        description: Value::Null,
        status: super::workflow::TODO,
        resolution: None,
        priority: "Medium".to_owned(),
        assignee: None,
        labels: std::collections::BTreeSet::new(),
        custom: std::collections::BTreeMap::new(),
        properties: std::collections::BTreeMap::new(),
        comments: Vec::new(),
        created: to_millis(now),
        updated: to_millis(now),
        archived: false,
        closing_note: None,
    }
}
