//! From Graph's JSON to snapshots.

use serde::Deserialize;
use serde_json::Value;

use super::wire::{WireAlert, WireComment, WireIncident};
use crate::connectors::html;
use crate::connectors::stated::{
    Stated, account, is_foreign_tag, optional_time, record_id, required, required_time, tags, unreadable,
};
use crate::model::{
    Comment, CommentKey, Comments, Facts, Field, Lifecycle, Native, Natives, RecordKind, RecordRef, Snapshot,
    SystemName,
};

/// Reads a record of either kind. The error says what is missing.
pub(super) fn snapshot(
    system: &SystemName,
    kind: RecordKind,
    json: &Value,
    fresh: bool,
) -> Result<Snapshot, String> {
    match kind {
        RecordKind::Incident => incident(system, json, fresh),
        RecordKind::Alert => alert(system, json, fresh),
        RecordKind::Ticket => Err("Defender has no tickets".to_owned()),
    }
}

fn incident(system: &SystemName, json: &Value, fresh: bool) -> Result<Snapshot, String> {
    let wire = WireIncident::deserialize(json).map_err(|e| unreadable("incident", &e))?;
    let id = record_id("id", wire.id.id())?;
    let status = required("status", &wire.status)?.to_owned();
    let modified = required_time("lastUpdateDateTime", &wire.last_update_date_time)?;
    let lifecycle = lifecycle(system, &status, &wire);
    let mut native = common(&status, &wire.severity, &wire.assigned_to, &wire.display_name);
    put_verdict(&mut native, &wire.classification, &wire.determination);
    if let Some(custom) = wire.custom_tags.readable() {
        let people = custom.iter().filter_map(Stated::text).filter(|tag| is_foreign_tag(tag));
        native.insert(Field::Tags, tags(people));
    }
    let products = wire.alerts.value().into_iter().flatten();
    let products = products.filter_map(|a| a.value()?.service_source.text()).map(str::to_owned).collect();
    Ok(Snapshot {
        record: RecordRef::incident(system, id),
        revision: wire.last_update_date_time.text().unwrap_or_default().to_owned(),
        modified,
        modified_by: wire.last_modified_by.text().map(str::to_owned),
        fresh,
        hidden: Natives::new(),
        native,
        closing_comment: wire.resolving_comment.text().map(str::to_owned),
        comments: comments(&wire.comments),
        lifecycle,
        links: Vec::new(),
        parent: None,
        planned_as: None,
        facts: Facts {
            created: optional_time(&wire.created_date_time),
            url: wire.incident_web_url.text().map(str::to_owned),
            products,
            more_links: false,
            ..Facts::default()
        },
        raw: json.clone(),
    })
}

fn alert(system: &SystemName, json: &Value, fresh: bool) -> Result<Snapshot, String> {
    let wire = WireAlert::deserialize(json).map_err(|e| unreadable("alert", &e))?;
    let id = record_id("id", wire.id.id())?;
    let status = required("status", &wire.status)?;
    // An alert's times are nullable (3.1); one that was never updated still has its creation.
    let changed = match &wire.last_update_date_time {
        Stated::Null => &wire.created_date_time,
        stated => stated,
    };
    let modified = required_time("lastUpdateDateTime", changed)?;
    let mut native = common(status, &wire.severity, &wire.assigned_to, &wire.title);
    put_verdict(&mut native, &wire.classification, &wire.determination);
    let parent = record_id("incidentId", wire.incident_id.id()).ok();
    Ok(Snapshot {
        record: RecordRef::alert(system, id),
        revision: changed.text().unwrap_or_default().to_owned(),
        modified,
        modified_by: None,
        fresh,
        hidden: Natives::new(),
        native,
        closing_comment: None,
        comments: comments(&wire.comments),
        lifecycle: Lifecycle::Present,
        links: Vec::new(),
        parent: parent.map(|id| RecordRef::incident(system, id)),
        planned_as: None,
        facts: Facts {
            created: optional_time(&wire.created_date_time),
            url: wire.alert_web_url.text().map(str::to_owned),
            products: wire.service_source.text().map(str::to_owned).into_iter().collect(),
            more_links: false,
            ..Facts::default()
        },
        raw: json.clone(),
    })
}

/// A list of comments that is not there, or holds one that cannot be read, is not a shorter list: a look-up of our
/// own copy would wrongly find none, and an old comment would look like a new one.
pub(super) fn comments(stated: &Stated<Vec<Stated<WireComment>>>) -> Comments {
    let list = stated.readable().into_iter().flatten().filter_map(Stated::value);
    match list.filter_map(|wire| comment(wire).transpose()).collect::<Result<Vec<_>, _>>() {
        Ok(read) if stated.readable().is_some() => Comments::Listed(read),
        _ => Comments::Counted(0),
    }
}

/// A comment that cannot be read.
struct Unreadable;

/// A comment without text says nothing, and is none (2.1: the text is nullable, the time is not). Comments are told
/// apart by time and text; the author's name may change.
fn comment(wire: &WireComment) -> Result<Option<Comment>, Unreadable> {
    let created = optional_time(&wire.created_date_time).ok_or(Unreadable)?;
    let text = match &wire.comment {
        Stated::Value(text) => text,
        Stated::Null | Stated::Absent => return Ok(None),
        Stated::Unreadable => return Err(Unreadable),
    };
    Ok(Some(Comment {
        key: CommentKey::from_content(None, &created.to_string(), text),
        author: wire.created_by_display_name.text().map(str::to_owned),
        created: Some(created),
        // Microsoft's connector brings over what was typed in Sentinel, HTML and all.
        text: html::words_of(text),
    }))
}

/// What incidents and alerts have in common. Graph states null where there is nothing, so an absent property says
/// nothing and is left out.
fn common(
    status: &str,
    severity: &Stated<String>,
    owner: &Stated<String>,
    title: &Stated<String>,
) -> Natives {
    let mut native = Natives::from([(Field::Status, Native::Text(status.to_owned()))]);
    if let Some(severity) = severity.text() {
        native.insert(Field::Severity, Native::Text(severity.to_owned()));
    }
    if owner.is_stated() {
        native.insert(Field::Owner, account(owner.text()));
    }
    if title.is_stated() {
        native.insert(Field::Title, Native::text(title.text()));
    }
    native
}

/// New incidents say `unknown` and new alerts null where nobody judged yet (section 7, item 16).
fn put_verdict(native: &mut Natives, classification: &Stated<String>, determination: &Stated<String>) {
    if classification.is_unreadable() || determination.is_unreadable() {
        return;
    }
    let said = |stated: &Stated<String>| stated.text().unwrap_or("unknown").to_owned();
    let (class, det) = (said(classification), said(determination));
    let verdict = match (class.as_str(), det.as_str()) {
        ("unknown", "unknown") => Native::Empty,
        _ => Native::Text(format!("{class}/{det}")),
    };
    native.insert(Field::Verdict, verdict);
}

/// Merged away when it says so or names where it went (2.8); a chain is followed by whoever reads on.
fn lifecycle(system: &SystemName, status: &str, wire: &WireIncident) -> Lifecycle {
    let to = wire.redirect_incident_id.id();
    if status != "redirected" && to.is_none() {
        return Lifecycle::Present;
    }
    let to = record_id("redirectIncidentId", to).ok();
    Lifecycle::Redirected { to: to.map(|id| RecordRef::incident(system, id)) }
}
