//! From Jira's JSON to snapshots.

use serde::Deserialize;
use serde_json::Value;

use super::wire::{WireComment, WireIssue, WireNamed, WireUser};
use super::{Deployment, JiraSettings, MARK, adf, wiki};
use crate::connectors::stated::{
    Stated, account, is_foreign_tag, optional_time, required, required_time, tags, time, unreadable,
};
use crate::connectors::text::shown;
use crate::connectors::ticketing::is_key;
use crate::model::{
    Comment, CommentKey, Comments, Facts, Field, Lifecycle, Native, Natives, RecordId, RecordRef, Snapshot,
    TICKET_KEY,
};

/// How the mark of a copied comment begins.
const COPY: &str = "[lockstep ";

/// The category of statuses in which an issue is closed.
pub(super) const DONE: &str = "done";

/// How the note begins that lockstep closes an issue with. Jira has no field for one, so it is a comment.
pub(super) const NOTE: &str = "Closing note (lockstep): ";

/// Whether a label is people's: neither `lockstep` nor a key nor another note of lockstep's.
pub(super) fn is_foreign_label(label: &str) -> bool {
    is_foreign_tag(label) && label != MARK && !label.starts_with(TICKET_KEY)
}

/// Reads an issue. `me` is the account that lockstep works as. The error says what is missing.
pub(super) fn issue(
    settings: &JiraSettings,
    me: Option<&str>,
    json: &Value,
    fresh: bool,
) -> Result<Snapshot, String> {
    let wire = WireIssue::deserialize(json).map_err(|e| unreadable("issue", &e))?;
    let id = wire.id.id().filter(|id| id.bytes().all(|b| b.is_ascii_digit())).ok_or("id is missing")?;
    let id = RecordId::new(id).map_err(|e| e.to_string())?;
    let fields = &wire.fields;
    let category = fields.status.value().and_then(|s| s.category());
    let category = category.ok_or("the status says no category")?;
    let modified = required_time("updated", &fields.updated)?;
    let record = RecordRef::ticket(&settings.system.name, id);
    let key = key(&wire);
    Ok(Snapshot {
        planned_as: key.map(|id| RecordRef::ticket(&settings.system.name, id)),
        record,
        revision: required("updated", &fields.updated)?.to_owned(),
        modified,
        modified_by: None,
        fresh,
        hidden: hidden(settings, &wire, json, category),
        native: natives(settings, &wire, json, category),
        // What people say when they close is a comment, and a note of ours is nobody's word.
        closing_comment: None,
        comments: comments_within(settings.deployment, me, &wire),
        lifecycle: Lifecycle::Present,
        links: Vec::new(),
        parent: None,
        facts: Facts {
            created: optional_time(&fields.created),
            url: wire.key.text().and_then(|key| page(settings, key)),
            ..Facts::default()
        },
        raw: json.clone(),
    })
}

/// What people open.
fn page(settings: &JiraSettings, key: &str) -> Option<String> {
    let mut url = settings.site_url.clone().unwrap_or_else(|| settings.system.url.clone());
    url.path_segments_mut().ok()?.pop_if_empty().extend(["browse", key]);
    Some(url.to_string())
}

fn natives(settings: &JiraSettings, wire: &WireIssue, json: &Value, category: &str) -> Natives {
    let fields = &wire.fields;
    let mut native = Natives::from([(Field::Status, Native::Text(category.to_owned()))]);
    if let Some(title) = fields.summary.text() {
        native.insert(Field::Title, Native::Text(title.to_owned()));
    }
    if settings.priority
        && let Some(priority) = fields.priority.value().and_then(|p| p.name.text())
    {
        native.insert(Field::Severity, Native::Text(priority.to_owned()));
    }
    native.extend(owner(&fields.assignee).map(|owner| (Field::Owner, owner)));
    if let Some(labels) = fields.labels.readable() {
        let people = labels.iter().filter_map(Stated::text).filter(|label| is_foreign_label(label));
        native.insert(Field::Tags, tags(people));
    }
    // A resolution stays when an issue is reopened, unless the workflow clears it (`ticketing.md` 2.4).
    if category == DONE {
        native.extend(verdict(settings, &fields.resolution, json).map(|verdict| (Field::Verdict, verdict)));
    }
    native
}

/// The resolution of an issue that is open: left over from an earlier close, and nobody's word.
fn hidden(settings: &JiraSettings, wire: &WireIssue, json: &Value, category: &str) -> Natives {
    let verdict = verdict(settings, &wire.fields.resolution, json).filter(|_| category != DONE);
    verdict.map(|verdict| (Field::Verdict, verdict)).into_iter().collect()
}

/// Nobody, or the e-mail; an account whose e-mail is hidden says nothing that could be compared.
fn owner(assignee: &Stated<WireUser>) -> Option<Native> {
    match assignee {
        Stated::Null => Some(Native::Empty),
        Stated::Value(user) => user.email_address.text().map(|mail| account(Some(mail))),
        Stated::Absent | Stated::Unreadable => None,
    }
}

fn verdict(settings: &JiraSettings, resolution: &Stated<WireNamed>, json: &Value) -> Option<Native> {
    let own;
    let stated = match &settings.verdict_field {
        None => resolution,
        Some(field) => {
            own = json["fields"]
                .get(field)
                .map_or(Stated::Absent, |value| Stated::deserialize(value).unwrap_or(Stated::Unreadable));
            &own
        }
    };
    match stated {
        Stated::Null => Some(Native::Empty),
        Stated::Value(named) => named.name.text().map(|name| Native::Text(name.to_owned())),
        Stated::Absent | Stated::Unreadable => None,
    }
}

/// The key that the issue was created with: the label, or, where somebody took that off, the property.
fn key(wire: &WireIssue) -> Option<RecordId> {
    let labels = wire.fields.labels.value().into_iter().flatten().filter_map(Stated::text);
    let property = wire.properties.value().and_then(|p| p.get(MARK)).and_then(|p| p["key"].as_str());
    let key = labels.chain(property).find(|text| is_key(text))?;
    RecordId::new(key).ok()
}

/// The comments that came with the issue: all of them, or how many there are.
fn comments_within(deployment: Deployment, me: Option<&str>, wire: &WireIssue) -> Comments {
    let Some(within) = wire.fields.comment.value() else { return Comments::Untold };
    let (Some(rows), Some(total)) = (within.comments.value(), within.total.value()) else {
        return Comments::Untold;
    };
    let read: Result<Vec<Remark>, String> = rows.iter().map(|row| comment(deployment, me, row)).collect();
    let Ok(read) = read else { return Comments::Untold };
    let here = read.len();
    let comments = without_notes(read);
    if u32::try_from(here).is_ok_and(|here| here == *total) {
        return Comments::Listed(comments);
    }
    let notes = u32::try_from(here - comments.len()).unwrap_or(0);
    Comments::Counted(total.saturating_sub(notes))
}

/// A comment, or the note that lockstep closed the issue with.
pub(super) enum Remark {
    /// Somebody's comment, or a copy that lockstep wrote.
    Comment(Comment),
    /// The note of a close.
    Note(String),
}

/// The comments without lockstep's own notes.
pub(super) fn without_notes(remarks: Vec<Remark>) -> Vec<Comment> {
    let comment = |remark| match remark {
        Remark::Comment(comment) => Some(comment),
        Remark::Note(_) => None,
    };
    remarks.into_iter().filter_map(comment).collect()
}

/// Reads one comment. Text and time are always stated: a comment that lost them must not pass for an empty new one.
pub(super) fn comment(deployment: Deployment, me: Option<&str>, json: &Value) -> Result<Remark, String> {
    let wire = WireComment::deserialize(json).map_err(|e| unreadable("comment", &e))?;
    let id = wire.id.id().ok_or("a comment without an id")?;
    let text = match (deployment, &wire.body) {
        (Deployment::Cloud, Value::Object(_)) => adf::to_text(&wire.body),
        (Deployment::DataCenter, Value::String(text)) => wiki::to_text(text),
        _ => return Err(format!("comment {}: body is missing", shown(id))),
    };
    let created = required("created", &wire.created).and_then(time);
    let created = created.map_err(|e| format!("comment {}: {e}", shown(id)))?;
    let author = wire.author.value();
    if let Some(note) = own_note(&text).filter(|_| me.is_some() && author.and_then(WireUser::account) == me) {
        return Ok(Remark::Note(note.to_owned()));
    }
    let author = author.and_then(|a| a.email_address.text().or(a.display_name.text()).or(a.account()));
    Ok(Remark::Comment(Comment {
        key: CommentKey::from_id(id),
        author: author.map(str::to_owned),
        created: Some(created),
        text,
    }))
}

/// The note within a comment that lockstep closed an issue with. The copy of a comment that only looks like one ends in
/// a mark, and stays a comment.
fn own_note(text: &str) -> Option<&str> {
    text.strip_prefix(NOTE).map(str::trim).filter(|note| !note.is_empty() && !note.contains(COPY))
}

/// The comment that a close goes with. Remote text: what would look like a mark in it is defused.
pub(super) fn note_text(note: &str) -> String {
    format!("{NOTE}{}", note.replace(COPY, "(lockstep "))
}
