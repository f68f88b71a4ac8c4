//! What people do in Jira's own pages, in the common words of all ticket systems and a few of Jira's own.

use serde::Deserialize;
use serde_json::{Value, json};

use super::super::desk::{Surroundings, is_own_tag};
use super::super::graph::stated;
use super::super::ledger::{Actor, System, What};
use super::super::wire::{Body, Refusal, Reply};
use super::issue::Issue;
use super::workflow::{self, DONE};
use super::write::{PROJECTS, blank};
use super::{Jira, text};

/// What a person does; all of it may be left out.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[allow(clippy::option_option)] // absent, null and stated are three things
struct Edit {
    title: Option<String>,
    status: Option<String>,
    status_name: Option<String>,
    verdict: Option<String>,
    resolution: Option<String>,
    severity: Option<String>,
    #[serde(deserialize_with = "stated")]
    owner: Option<Option<String>>,
    tags: Option<Vec<String>>,
    labels: Option<Vec<String>>,
    /// A text, or a body in the form of the deployment.
    comment: Option<Value>,
    internal: bool,
    notes: Option<String>,
    key: Option<String>,
    project: Option<String>,
    archived: Option<bool>,
    delete: bool,
}

fn read(edit: &Value) -> Result<Edit, Refusal> {
    Edit::deserialize(edit).map_err(|e| Refusal::bad_request(e.to_string()))
}

/// The refusal in an answer.
fn told(reply: &Reply) -> Refusal {
    let what = match &reply.body {
        Body::Json(value) => value.to_string(),
        Body::Empty | Body::Raw(..) => String::new(),
    };
    Refusal::new(reply.status, "Refused", what)
}

impl Jira {
    pub(super) fn open_by(
        &mut self,
        seed: &Value,
        actor: &Actor,
        around: &mut Surroundings<'_>,
    ) -> Result<String, Refusal> {
        let edit = read(seed)?;
        let project = edit.project.as_deref().unwrap_or("SOC");
        if !PROJECTS.contains(&project) {
            return Err(Refusal::bad_request("there are the projects SOC and OPS"));
        }
        let mut issue = blank(project, "Task", around.now);
        issue.summary = edit.title.clone().unwrap_or_else(|| "An issue".to_owned());
        (issue.id, issue.number) = self.next_id(project);
        self.act(&mut issue, &edit)?;
        let id = issue.id;
        self.add(issue, actor, around);
        if let Some(comment) = &edit.comment {
            self.say(id, comment, edit.internal, actor, around)?;
        }
        Ok(id.to_string())
    }

    pub(super) fn edit_by(
        &mut self,
        id: &str,
        edit: &Value,
        actor: &Actor,
        around: &mut Surroundings<'_>,
    ) -> Result<(), Refusal> {
        let edit = read(edit)?;
        let id = self.id_of(id).map_err(|reply| told(&reply))?;
        if edit.delete {
            if let Some(kept) = self.issues.get_mut(&id) {
                kept.deleted = Some(around.now);
            }
            around.note(System::Jira, &id.to_string(), actor, What::Deleted);
            return Ok(());
        }
        let before = self.current(id).map_err(|reply| told(&reply))?;
        let mut issue = before.clone();
        self.act(&mut issue, &edit)?;
        if let Some(project) = edit.project.filter(|project| *project != issue.project) {
            if let Some(kept) = self.issues.get_mut(&id) {
                kept.former.push(before.key());
            }
            (_, issue.number) = self.next_id(&project);
            issue.project = project;
        }
        if let Some(notes) = edit.notes.as_ref().filter(|_| issue.is_done()) {
            issue.closing_note = Some(notes.clone());
            let body = text::rich(notes, self.settings.deployment);
            issue.comments.push(self.new_comment(actor, around.now, (body, false, Vec::new())));
        }
        if issue.plain() != before.plain() || issue.comments.len() != before.comments.len() {
            let kept = |kept: &mut Issue| {
                *kept = issue;
                Ok(())
            };
            self.change(id, actor, around, kept).map_err(|reply| told(&reply))?;
        }
        match &edit.comment {
            Some(comment) => self.say(id, comment, edit.internal, actor, around),
            None => Ok(()),
        }
    }

    fn say(
        &mut self,
        id: u64,
        comment: &Value,
        internal: bool,
        actor: &Actor,
        around: &mut Surroundings<'_>,
    ) -> Result<(), Refusal> {
        let body = match comment {
            Value::String(words) => text::rich(words, self.settings.deployment),
            body => body.clone(),
        };
        let said = self.remark(id, actor, around, (body, internal, Vec::new()));
        said.map(drop).map_err(|reply| told(&reply))
    }

    /// All but comments, moves and deletions.
    fn act(&mut self, issue: &mut Issue, edit: &Edit) -> Result<(), Refusal> {
        if let Some(title) = &edit.title {
            issue.summary = super::fields::summary(&json!(title)).map_err(Refusal::bad_request)?;
        }
        if let Some(severity) = &edit.severity {
            priority(severity)?.clone_into(&mut issue.priority);
        }
        if let Some(owner) = &edit.owner {
            if let Some(mail) = owner.as_ref().filter(|mail| !self.knows(mail)) {
                return Err(Refusal::bad_request(format!("nobody has the address {mail}")));
            }
            issue.assignee.clone_from(owner);
        }
        if let Some(tags) = &edit.tags {
            issue.labels.retain(|label| is_own_tag(label));
            issue.labels.extend(tags.iter().cloned());
        }
        if let Some(labels) = &edit.labels {
            issue.labels = labels.iter().cloned().collect();
        }
        if let Some(key) = &edit.key {
            issue.labels.extend(["lockstep".to_owned(), key.clone()]);
        }
        if let Some(archived) = edit.archived {
            issue.archived = archived;
        }
        self.move_by_hand(issue, edit)
    }

    /// A person who closes fills the screen in; one who reopens leaves the resolution, unless the workflow clears it.
    fn move_by_hand(&self, issue: &mut Issue, edit: &Edit) -> Result<(), Refusal> {
        let resolution = match (&edit.resolution, edit.verdict.as_deref()) {
            (Some(name), _) => Some(name.clone()),
            (None, Some(verdict)) => Some(resolution(verdict)?.to_owned()),
            (None, None) => None,
        };
        if let Some(word) = edit.status_name.as_ref().or(edit.status.as_ref()) {
            let to = workflow::named(word);
            let to = to.ok_or_else(|| Refusal::bad_request(format!("there is no status {word}")))?;
            let was_done = issue.is_done();
            issue.status = to;
            if to == DONE && issue.resolution.is_none() {
                issue.resolution = Some("Done".to_owned());
            }
            if was_done && !issue.is_done() && self.settings.reopen_clears_resolution {
                issue.resolution = None;
            }
        }
        if let Some(name) = resolution {
            if !issue.is_done() {
                return Err(Refusal::bad_request("an open issue has no resolution"));
            }
            issue.resolution = Some(name);
        }
        Ok(())
    }
}

fn priority(severity: &str) -> Result<&'static str, Refusal> {
    match severity {
        "informational" => Ok("Lowest"),
        "low" => Ok("Low"),
        "medium" => Ok("Medium"),
        "high" => Ok("High"),
        other => Err(Refusal::bad_request(format!("there is no severity {other}"))),
    }
}

fn resolution(verdict: &str) -> Result<&'static str, Refusal> {
    match verdict {
        "true-positive" => Ok("True Positive"),
        "benign-positive" => Ok("Benign Positive"),
        "false-positive" => Ok("False Positive"),
        "undetermined" => Ok("Undetermined"),
        other => Err(Refusal::bad_request(format!("there is no verdict {other}"))),
    }
}
