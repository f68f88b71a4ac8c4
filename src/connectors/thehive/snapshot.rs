//! From TheHive's JSON to snapshots.

use serde::Deserialize;
use serde_json::Value;
use url::Url;

use super::markdown;
use super::wire::{WireCase, WireComment, date, is_id};
use crate::connectors::stated::{Stated, account, required, tags, unreadable};
use crate::connectors::text::shown;
use crate::connectors::ticketing::is_key;
use crate::model::{
    Comment, CommentKey, Comments, Facts, Field, Lifecycle, Native, Natives, RecordId, RecordRef, Snapshot,
    SystemName,
};

/// The stage of everything that is done.
pub(super) const CLOSED: &str = "Closed";
/// The tag of all cases that lockstep opened; their keys begin with it and a dash.
pub(super) const OWN: &str = "lockstep";

/// What reading a case needs to know.
#[derive(Clone, Copy)]
pub(super) struct Reader<'a> {
    pub(super) system: &'a SystemName,
    pub(super) base: &'a Url,
    /// lockstep's own login in lower case. TheHive assigns a case to whoever opens it, which says nothing.
    pub(super) account: &'a str,
}

/// Whether a tag is lockstep's own: never part of the field, kept by every write.
pub(super) fn is_own_tag(tag: &str) -> bool {
    tag.strip_prefix(OWN).is_some_and(|rest| rest.is_empty() || rest.starts_with(['-', ':']))
}

/// The keys among a case's tags.
pub(super) fn keys(json: &Value) -> Vec<&str> {
    let all = json["tags"].as_array().into_iter().flatten().filter_map(Value::as_str);
    all.filter(|tag| is_key(tag)).collect()
}

impl Reader<'_> {
    /// Reads a case. The error says what is missing. Comments are not part of a case.
    pub(super) fn case(&self, json: &Value, fresh: bool) -> Result<Snapshot, String> {
        let wire = WireCase::deserialize(json).map_err(|e| unreadable("case", &e))?;
        let id = required("_id", &wire.id)?.trim();
        if !is_id(id) {
            return Err(format!("`{}` is no id of a case", shown(id)));
        }
        let created = date(&wire.created_at).ok_or("_createdAt is missing")?;
        if wire.updated_at.is_unreadable() {
            return Err("_updatedAt is no date".to_owned());
        }
        let modified = date(&wire.updated_at).unwrap_or(created);
        let stage = required("stage", &wire.stage)?;
        let planned = keys(json).first().and_then(|key| RecordId::new(key).ok());
        Ok(Snapshot {
            record: RecordRef::ticket(self.system, RecordId::new(id).map_err(|e| e.to_string())?),
            revision: modified.as_millisecond().to_string(),
            modified,
            modified_by: wire.updated_by.text().map(str::to_owned),
            fresh,
            hidden: Natives::new(),
            native: self.natives(&wire, stage),
            closing_comment: wire.summary.text().map(markdown::plain),
            comments: Comments::Recent(Vec::new()),
            lifecycle: Lifecycle::Present,
            links: Vec::new(),
            parent: None,
            planned_as: planned.map(|key| RecordRef::ticket(self.system, key)),
            facts: Facts { created: Some(created), url: Some(self.page_of(id)), ..Facts::default() },
            raw: json.clone(),
        })
    }

    fn natives(&self, wire: &WireCase, stage: &str) -> Natives {
        let mut native = Natives::from([(Field::Status, Native::Text(stage.to_owned()))]);
        if let Some(severity) = wire.severity.value() {
            native.insert(Field::Severity, Native::Text(severity.to_string()));
        }
        if let Some(title) = wire.title.text() {
            native.insert(Field::Title, Native::Text(title.to_owned()));
        }
        if !wire.assignee.is_unreadable() {
            native.insert(Field::Owner, self.owner(&wire.assignee));
        }
        // Ours are always among them, so a case without tags is one whose tags were not told.
        if let Some(list) = wire.tags.readable() {
            let people = list.iter().filter_map(Stated::text).filter(|tag| !is_own_tag(tag));
            native.insert(Field::Tags, tags(people));
        }
        if let Some(status) = wire.status.text().filter(|_| stage == CLOSED) {
            native.insert(Field::Verdict, Native::Text(status.to_owned()));
        }
        native
    }

    fn owner(&self, assignee: &Stated<String>) -> Native {
        match account(assignee.text()) {
            Native::Text(login) if login == self.account => Native::Empty,
            owner => owner,
        }
    }

    /// Where people read it.
    fn page_of(&self, id: &str) -> String {
        let mut url = self.base.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(["cases", id, "details"]);
        }
        url.to_string()
    }
}

/// Reads one comment.
pub(super) fn comment(json: &Value) -> Result<Comment, String> {
    let wire = WireComment::deserialize(json).map_err(|e| unreadable("comment", &e))?;
    let id = wire.id.text().ok_or("a comment without an id")?;
    let bad = |what: &str| format!("comment {}: {what}", shown(id));
    let text = wire.message.value().ok_or_else(|| bad("message is missing"))?;
    let created = date(&wire.created_at).or_else(|| date(&wire.entity_created_at));
    let author = wire.created_by.text().or_else(|| wire.entity_created_by.text());
    Ok(Comment {
        key: CommentKey::from_id(id),
        author: author.map(str::to_owned),
        created: Some(created.ok_or_else(|| bad("createdAt is missing"))?),
        text: markdown::read(text),
    })
}

/// The case that a listed comment names under `extraData.links`; an alert's comment names none. The form is not
/// published, so a case is looked for wherever it may be.
pub(super) fn case_of(comment: &Value) -> Option<String> {
    let links = &comment["extraData"]["links"];
    let of = |object: &Value| {
        let is_case = object["_type"].as_str().is_none_or(|kind| kind.eq_ignore_ascii_case("case"));
        let id = object["_id"].as_str().or_else(|| object.as_str());
        id.filter(|id| is_case && is_id(id)).map(str::to_owned)
    };
    of(&links["case"]).or_else(|| links["_type"].is_string().then(|| of(links)).flatten())
}
