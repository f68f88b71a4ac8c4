//! What people do, in the words common to all ticket systems.

use serde::Deserialize;
use serde_json::{Value, json};

use super::super::desk::{USER, is_own_tag};
use super::super::graph::stated;
use super::super::ledger::What;
use super::super::versions::Versions;
use super::super::wire::Refusal;
use super::record::{Case, date, stage};
use super::{Act, TheHive};

/// What a person does; everything is optional.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[allow(clippy::option_option)] // absent, null and stated are three things
struct Edit {
    title: Option<String>,
    status: Option<String>,
    verdict: Option<String>,
    severity: Option<String>,
    #[serde(deserialize_with = "stated")]
    owner: Option<Option<String>>,
    tags: Option<Vec<String>>,
    comment: Option<String>,
    notes: Option<String>,
    key: Option<String>,
    delete: bool,
    merge_into: Option<String>,
    native_status: Option<String>,
    untag: Vec<String>,
}

impl TheHive {
    pub(super) fn opened_by_person(
        &mut self,
        seed: &Value,
        act: &mut Act<'_, '_>,
    ) -> Result<String, Refusal> {
        let edit = read(seed)?;
        let mut case = self.blank(edit.title.as_deref().unwrap_or("Ticket"), act);
        case.assignee = Some(act.by());
        let case = applied(case, &edit)?;
        let id = case.id;
        self.cases.insert(id, Versions::new(act.now(), case));
        act.note(id, What::Created);
        if let Some(text) = &edit.comment {
            self.comment(&super::record::id(id), text, act)?;
        }
        Ok(super::record::id(id))
    }

    pub(super) fn edited_by_person(
        &mut self,
        id: &str,
        edit: &Value,
        act: &mut Act<'_, '_>,
    ) -> Result<(), Refusal> {
        let edit = read(edit)?;
        let before = self.case(id)?.clone();
        if let Some(other) = &edit.merge_into {
            return self.merge(before.id, other, act);
        }
        if edit.delete {
            self.delete(before.id, act);
            return Ok(());
        }
        let mut next = applied(before.clone(), &edit)?;
        if next.is_closed() && !before.is_closed() {
            for name in &self.settings.mandatory_fields {
                next.fields.entry(name.clone()).or_insert_with(|| json!("filled in"));
            }
        }
        if next != before {
            self.save(&before, next, act)?;
        }
        if let Some(text) = &edit.comment {
            self.comment(&super::record::id(before.id), text, act)?;
        }
        Ok(())
    }

    /// A case in the common words.
    pub(super) fn common(&self, case: &Case) -> Value {
        let comments: Vec<Value> = (self.comments.iter())
            .filter(|comment| comment.case == case.id)
            .map(|c| json!({"author": c.author, "text": shown(&c.text), "internal": true, "created": date(c.created)}))
            .collect();
        let verdict = match case.status.as_str() {
            "TruePositive" => json!("true-positive"),
            "FalsePositive" => json!("false-positive"),
            "Other" => json!("benign-positive"),
            "Indeterminate" | "Duplicated" => json!("undetermined"),
            _ => Value::Null,
        };
        let status = match stage(&case.status) {
            Some("Closed") => "closed",
            Some("InProgress") => "active",
            _ => "new",
        };
        let severity = ["low", "medium", "high", "high"];
        let severity = usize::try_from(case.severity - 1).ok().and_then(|at| severity.get(at));
        json!({
            "title": case.title, "status": status, "verdict": verdict, "severity": severity,
            "owner": case.assignee.as_deref().filter(|login| *login != USER),
            "tags": case.tags.iter().filter(|tag| !is_own_tag(tag)).collect::<Vec<_>>(),
            "key": case.tags.iter().find(|tag| tag.starts_with("lockstep-")),
            "closing_note": case.summary.as_deref().map(shown), "comments": comments,
        })
    }
}

fn read(edit: &Value) -> Result<Edit, Refusal> {
    Edit::deserialize(edit).map_err(|error| Refusal::bad_request(error.to_string()))
}

/// The case after the edit.
fn applied(mut case: Case, edit: &Edit) -> Result<Case, Refusal> {
    if let Some(title) = &edit.title {
        case.title.clone_from(title);
    }
    if let Some(word) = &edit.severity {
        case.severity = match word.as_str() {
            "informational" | "low" => 1,
            "medium" => 2,
            "high" => 3,
            other => return Err(Refusal::bad_request(format!("severity `{other}`"))),
        };
    }
    if let Some(owner) = &edit.owner {
        case.assignee.clone_from(owner);
    }
    if let Some(tags) = &edit.tags {
        case.tags.retain(|tag| is_own_tag(tag));
        case.tags.extend(tags.iter().cloned());
    }
    if let Some(key) = &edit.key {
        case.tags.push(key.clone());
    }
    case.tags.retain(|tag| !edit.untag.contains(tag));
    if let Some(notes) = &edit.notes {
        case.summary = Some(notes.clone());
    }
    if let Some(status) = status(&case, edit)? {
        case.status = status;
    }
    Ok(case)
}

/// The status value after the edit: a verdict is one only while the case is closed.
fn status(case: &Case, edit: &Edit) -> Result<Option<String>, Refusal> {
    if let Some(native) = &edit.native_status {
        return Ok(Some(native.clone()));
    }
    let closing = edit.status.as_deref().map_or(case.is_closed(), |status| status == "closed");
    let verdict = match edit.verdict.as_deref() {
        None => None,
        Some("true-positive") => Some("TruePositive"),
        Some("false-positive") => Some("FalsePositive"),
        Some("benign-positive") => Some("Other"),
        Some("undetermined") => Some("Indeterminate"),
        Some(other) => return Err(Refusal::bad_request(format!("verdict `{other}`"))),
    };
    Ok(match edit.status.as_deref() {
        Some("new") => Some("New".to_owned()),
        Some("active") => Some("InProgress".to_owned()),
        Some("closed") | None if closing => match (verdict, case.is_closed()) {
            (Some(verdict), _) => Some(verdict.to_owned()),
            (None, true) => None,
            (None, false) => Some("Indeterminate".to_owned()),
        },
        None => None,
        Some(other) => return Err(Refusal::bad_request(format!("status `{other}`"))),
    })
}

/// A text as people see it: Markdown's back-slashes do not show.
pub(super) fn shown(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        match rest.peek() {
            Some(next) if c == '\\' && next.is_ascii_punctuation() => out.extend(rest.next()),
            _ => out.push(c),
        }
    }
    out
}
