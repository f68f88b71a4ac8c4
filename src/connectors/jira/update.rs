//! Changing an issue: fields by PUT, the status by transitions (`ticketing.md` 2.4).

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::Jira;
use super::refusal::{Complaint, is_refusal};
use super::snapshot::{DONE, Remark, comment, is_foreign_label, note_text};
use super::transition::Goal;
use crate::connectors::endpoint::after_a_step;
use crate::connectors::text::shown;
use crate::connectors::{Declined, Written};
use crate::http::{Answer, Call, CallError, Method};
use crate::model::{Field, Native, Patch, RecordRef, Snapshot};

pub(super) const UPDATE: &str = "tickets.update";
/// Characters of a summary.
const MAX_TITLE: usize = 255;
/// What a title must be to be a summary.
pub(super) const TITLE_FORM: &str = "a summary is one line of 1 to 255 characters";
/// Characters of a label.
const MAX_LABEL: usize = 255;

/// A PUT in the making.
#[derive(Debug, Default)]
struct Edit {
    /// `fields`: what is set.
    fields: Map<String, Value>,
    /// `update`: labels that come and go, so that nobody else's are touched.
    labels: Vec<Value>,
}

impl Edit {
    fn is_empty(&self) -> bool {
        self.fields.is_empty() && self.labels.is_empty()
    }

    fn body(&self) -> Value {
        let mut body = Map::new();
        if !self.fields.is_empty() {
            body.insert("fields".to_owned(), Value::Object(self.fields.clone()));
        }
        if !self.labels.is_empty() {
            body.insert("update".to_owned(), json!({"labels": self.labels}));
        }
        Value::Object(body)
    }
}

/// How far a change of an issue has come.
#[derive(Debug)]
pub(super) struct Progress {
    /// What it brought.
    pub(super) written: Written,
    /// Whether one of its requests was carried out.
    pub(super) began: bool,
    /// Whether the note of the close was said.
    pub(super) noted: bool,
}

impl Progress {
    /// A request was carried out.
    pub(super) fn took(&mut self, answer: Answer) {
        self.began = true;
        self.written.request_id = answer.request_id;
    }
}

impl Jira {
    /// At most one PUT and the transitions that the workflow demands, mostly one. A closed issue may not be editable,
    /// so a close goes last and a reopening first. The answers say nothing of the issue; one GET does.
    pub(super) async fn write(&self, current: &Snapshot, patch: &Patch) -> Result<Written, CallError> {
        self.id(UPDATE, &current.record)?;
        let mut progress = Progress { written: Written::new(None, None), began: false, noted: false };
        match self.steps(current, patch, &mut progress).await {
            Ok(()) => Ok(progress.written),
            Err(error) if progress.began => Err(after_a_step(error)),
            Err(error) => Err(error),
        }
    }

    async fn steps(
        &self,
        current: &Snapshot,
        patch: &Patch,
        progress: &mut Progress,
    ) -> Result<(), CallError> {
        let category = match patch.native.get(&Field::Status) {
            Some(Native::Text(category)) => Some(category.as_str()),
            _ => None,
        };
        let verdict = match patch.native.get(&Field::Verdict) {
            Some(Native::Text(verdict)) => Some(verdict.as_str()),
            _ => None,
        };
        let notes = self.notes(current).await?;
        let goal = category.map(|category| {
            let note = patch.closing_comment.as_deref().filter(|_| category == DONE);
            let note = note.filter(|note| !notes.iter().any(|said| note_text(said) == note_text(note)));
            Goal { category, verdict: verdict.filter(|_| category == DONE), note }
        });
        let closes = goal.as_ref().is_some_and(|goal| goal.category == DONE);
        if let Some(goal) = goal.as_ref().filter(|_| !closes) {
            self.move_to(current, goal, progress).await?;
        }
        match self.edit(current, patch, closes, progress).await {
            // Nothing was changed, and nothing named that could be left out. The close goes alone; what it leaves undone is
            // what the next read still lacks.
            Err(error) if closes && is_refusal(&error) => {
                tracing::warn!(record = %current.record, %error, "the other fields are refused; the close goes without them");
            }
            edited => edited?,
        }
        progress.written.snapshot = match goal.as_ref().filter(|_| closes) {
            Some(goal) => Some(self.move_to(current, goal, progress).await?),
            // The writes were made; a read that fails only means that another one must tell.
            None => self.get(&current.record).await.ok(),
        };
        let written = &mut progress.written;
        if let Some(read) = &written.snapshot {
            let shown = |field: &Field| read.native.get(field) == patch.native.get(field);
            written.declined.retain(|declined| !shown(&declined.field));
        }
        Ok(())
    }

    /// The notes of earlier closes that came with the issue: a close that is tried again is not to repeat its own.
    async fn notes(&self, current: &Snapshot) -> Result<Vec<String>, CallError> {
        let (deployment, me) = (self.settings.deployment, self.me().await?);
        let rows = current.raw.pointer("/fields/comment/comments").and_then(Value::as_array);
        let remarks = rows.into_iter().flatten().filter_map(|row| comment(deployment, Some(me), row).ok());
        let note = |remark| match remark {
            Remark::Note(note) => Some(note),
            Remark::Comment(_) => None,
        };
        Ok(remarks.filter_map(note).collect())
    }

    /// The changed fields. One that is refused by name is left out and told; a refusal means that nothing was changed, so the
    /// rest can be sent again.
    async fn edit(
        &self,
        current: &Snapshot,
        patch: &Patch,
        closes: bool,
        progress: &mut Progress,
    ) -> Result<(), CallError> {
        let mut declined = Vec::new();
        let mut edit = self.edit_for(current, patch, closes, &mut declined).await?;
        while !edit.is_empty() {
            match self.put(UPDATE, &current.record, edit.body()).await {
                Ok(answer) => {
                    progress.took(answer);
                    break;
                }
                Err(error) => {
                    let complaint =
                        Complaint::behind(&error).filter(|_| matches!(error, CallError::Refused { .. }));
                    let Some(complaint) = complaint else { return Err(error) };
                    if !self.leave_out_of(&mut edit, &complaint, &mut declined) {
                        return Err(error);
                    }
                    // Who may not edit an issue is told of every field that it is on no screen.
                    if edit.is_empty() {
                        let at = ("issueId", self.id(UPDATE, &current.record)?);
                        let error = self.unless_lacking("EDIT_ISSUES", at, error).await;
                        if matches!(error, CallError::Denied { .. }) {
                            return Err(error);
                        }
                    }
                }
            }
        }
        progress.written.declined.extend(declined);
        Ok(())
    }

    fn leave_out_of(&self, edit: &mut Edit, complaint: &Complaint<'_>, declined: &mut Vec<Declined>) -> bool {
        let verdict = self.settings.verdict_field.as_deref().unwrap_or("resolution");
        let named = [
            (Field::Title, "summary"),
            (Field::Severity, "priority"),
            (Field::Owner, "assignee"),
            (Field::Tags, "labels"),
            (Field::Verdict, verdict),
        ];
        let before = declined.len();
        for (field, name) in named {
            let Some(why) = complaint.fields.get(name) else { continue };
            let had_labels = name == "labels" && !std::mem::take(&mut edit.labels).is_empty();
            if edit.fields.remove(name).is_some() || had_labels {
                declined.push(Declined { field, reason: format!("{name}: {}", shown(why)) });
            }
        }
        declined.len() > before
    }

    async fn edit_for(
        &self,
        current: &Snapshot,
        patch: &Patch,
        closes: bool,
        declined: &mut Vec<Declined>,
    ) -> Result<Edit, CallError> {
        let mut edit = Edit::default();
        let mut set = |name: &str, value: Value| edit.fields.insert(name.to_owned(), value);
        let mut labels = Vec::new();
        for (field, native) in &patch.native {
            let mut refuse = |reason: String| declined.push(Declined { field: *field, reason });
            match (field, native) {
                (Field::Title, Native::Text(text)) if plain_title(text) == *text => {
                    set("summary", text.as_str().into());
                }
                (Field::Title, Native::Text(_)) => {
                    refuse(TITLE_FORM.to_owned());
                }
                (Field::Severity, Native::Text(name)) => drop(set("priority", json!({"name": name}))),
                (Field::Owner, Native::Empty) => drop(set("assignee", self.nobody())),
                (Field::Owner, Native::Text(mail)) => {
                    let key = current.raw["key"].as_str().unwrap_or(current.record.id.as_str());
                    match self.assignee(mail, ("issueKey", key)).await? {
                        Ok(user) => drop(set("assignee", user)),
                        Err(reason) => refuse(reason),
                    }
                }
                (Field::Tags, Native::Set(_) | Native::Empty) => {
                    let wanted = match native {
                        Native::Set(tags) => tags.clone(),
                        _ => BTreeSet::new(),
                    };
                    let (fit, refused) = label_set(&wanted);
                    declined.extend(refused);
                    labels = label_changes(&current.raw, &fit);
                }
                (Field::Verdict, Native::Text(word)) => match &self.settings.verdict_field {
                    Some(name) => drop(set(name, json!({"value": word}))),
                    // With a close the resolution goes with the transition.
                    None if !closes => drop(set("resolution", json!({"name": word}))),
                    None => {}
                },
                _ => {}
            }
        }
        edit.labels = labels;
        Ok(edit)
    }

    /// One PUT of an issue.
    pub(super) async fn put(
        &self,
        operation: &'static str,
        record: &RecordRef,
        body: Value,
    ) -> Result<Answer, CallError> {
        let id = self.id(operation, record)?;
        let url = self.url(operation, &["issue", id], &[])?;
        self.endpoint.send(Call::write(operation, "jira-put", Method::PUT, url, body).of_record(id)).await
    }
}

/// A title as a summary can hold it: one line.
pub(super) fn plain_title(title: &str) -> String {
    let line = title.split(['\n', '\r']).map(str::trim).filter(|part| !part.is_empty());
    let line = line.collect::<Vec<_>>().join(" ");
    let line: String = line.chars().take(MAX_TITLE).collect();
    if line.trim().is_empty() { "Security incident".to_owned() } else { line }
}

/// The tags that can be labels, and what is to be said of the others. One with a space is left out rather than spelt
/// anew: spelt anew it would come back as another tag.
pub(super) fn label_set(tags: &BTreeSet<String>) -> (Vec<String>, Option<Declined>) {
    let fits = |tag: &&String| !tag.contains(char::is_whitespace) && tag.chars().count() <= MAX_LABEL;
    let people = || tags.iter().filter(|tag| is_foreign_label(tag));
    let fit: Vec<String> = people().filter(fits).cloned().collect();
    let odd: Vec<String> = people().filter(|tag| !fits(tag)).map(|tag| shown(tag)).collect();
    let refused = (!odd.is_empty()).then(|| Declined {
        field: Field::Tags,
        reason: format!(
            "a label holds no spaces and {MAX_LABEL} characters at most, so these are left out: {}",
            odd.join(", ")
        ),
    });
    (fit, refused)
}

/// Which labels come and which go. lockstep's own stay, and so does what people add meanwhile.
fn label_changes(raw: &Value, wanted: &[String]) -> Vec<Value> {
    let has = raw.pointer("/fields/labels").and_then(Value::as_array);
    let has: Vec<&str> = has.into_iter().flatten().filter_map(Value::as_str).collect();
    let comes =
        wanted.iter().filter(|label| !has.contains(&label.as_str())).map(|label| json!({"add": label}));
    let goes = has.iter().filter(|label| is_foreign_label(label) && !wanted.iter().any(|w| w == *label));
    comes.chain(goes.map(|label| json!({"remove": label}))).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn labels_come_and_go_one_by_one() {
        let raw = json!({"fields": {"labels": ["lockstep", "lockstep-1", "lockstep:x", "old", "both"]}});
        let changes = label_changes(&raw, &["both".to_owned(), "new".to_owned()]);
        assert_eq!(changes, [json!({"add": "new"}), json!({"remove": "old"})]);
    }

    #[test]
    fn a_tag_with_a_space_is_left_out_and_told() {
        let tags = ["a b", "vip", "lockstep"].map(str::to_owned).into();
        let (fit, refused) = label_set(&tags);
        assert_eq!(fit, ["vip"]);
        assert!(refused.unwrap().reason.ends_with("left out: a b"));
        assert_eq!(label_set(&["x".to_owned()].into()).1, None);
        let (_, hostile) = label_set(&[format!("a\n\u{1b}[2J{}", "b".repeat(500))].into());
        let reason = hostile.unwrap().reason;
        assert!(!reason.contains(char::is_control) && reason.chars().count() < 250, "{reason:?}");
    }

    #[test]
    fn a_summary_is_one_line() {
        assert_eq!(plain_title("a\r\n b\n"), "a b");
        assert_eq!(plain_title(" \n "), "Security incident");
        assert_eq!(plain_title("plain"), "plain");
    }
}
