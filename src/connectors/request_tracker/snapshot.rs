//! From REST 2.0's JSON to snapshots.

use serde_json::Value;
use url::Url;

use super::people::NOBODY;
use super::{RequestTrackerSettings, write};
use crate::connectors::stated::{account, time};
use crate::connectors::ticketing::is_key;
use crate::model::{
    Comments, Facts, Field, Lifecycle, Native, Natives, RecordId, RecordRef, Snapshot, SystemName,
};

/// The status of a deleted ticket, which a read by number still shows and a search does not (`ticketing.md` 3).
const DELETED: &str = "deleted";

/// What reading a ticket depends on.
#[derive(Clone, Copy)]
pub(super) struct View<'a> {
    pub(super) system: &'a SystemName,
    pub(super) settings: &'a RequestTrackerSettings,
}

/// A number, which some answers give as text.
pub(super) fn number(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str()?.trim().parse().ok())
}

/// The revision in an `ETag`: the number of the newest transaction that this user may see (`real-servers.md` 1).
pub(super) fn revision(etag: &str) -> &str {
    etag.trim().trim_start_matches("W/").trim_matches('"')
}

/// Reads the answer to a GET of one ticket. After a merge the service answers with the ticket that was merged into.
pub(super) fn asked_for(
    view: &View<'_>,
    record: &RecordRef,
    json: &Value,
    etag: Option<&str>,
) -> Result<Snapshot, String> {
    let revision = etag.map(revision).filter(|text| !text.is_empty()).ok_or("the answer has no ETag")?;
    let mut read = ticket(view, json, revision, true)?;
    if read.record.id != record.id {
        let to = std::mem::replace(&mut read.record, record.clone());
        (read.native, read.closing_comment, read.planned_as) = (Natives::new(), None, None);
        read.lifecycle = Lifecycle::Redirected { to: Some(to) };
    }
    Ok(read)
}

/// Reads a ticket. The error says what is missing.
pub(super) fn ticket(view: &View<'_>, json: &Value, revision: &str, fresh: bool) -> Result<Snapshot, String> {
    let number = number(&json["id"]).ok_or("this is no ticket: it has no number")?;
    let id = RecordId::new(number.to_string()).map_err(|e| e.to_string())?;
    let status = json["Status"].as_str().filter(|text| !text.trim().is_empty()).ok_or("Status is missing")?;
    let modified = json["LastUpdated"].as_str().ok_or("LastUpdated is missing")?;
    let modified = time(modified).map_err(|e| format!("LastUpdated: {e}"))?;
    let settings = view.settings;
    let key = custom_field(json, &settings.key_field).flatten().filter(|key| is_key(key));
    let planned_as = key.and_then(|key| Some(RecordRef::ticket(view.system, RecordId::new(key).ok()?)));
    let note = settings.closing_field.as_deref().and_then(|field| custom_field(json, field).flatten());
    Ok(Snapshot {
        record: RecordRef::ticket(view.system, id),
        revision: revision.to_owned(),
        modified,
        modified_by: user(&json["LastUpdatedBy"]).map(str::to_owned),
        fresh,
        hidden: Natives::new(),
        native: natives(settings, json, status),
        closing_comment: note.map(str::to_owned),
        comments: Comments::Recent(Vec::new()),
        lifecycle: if status == DELETED { Lifecycle::Gone } else { Lifecycle::Present },
        links: Vec::new(),
        parent: None,
        planned_as,
        facts: Facts {
            created: json["Created"].as_str().and_then(|text| time(text).ok()),
            url: page(&settings.system.url, number),
            ..Facts::default()
        },
        raw: json.clone(),
    })
}

fn natives(settings: &RequestTrackerSettings, json: &Value, status: &str) -> Natives {
    let mut native = Natives::from([(Field::Status, Native::Text(status.to_owned()))]);
    if let Some(title) = json["Subject"].as_str().filter(|text| !text.trim().is_empty()) {
        native.insert(Field::Title, Native::Text(title.to_owned()));
    }
    if let Some(owner) = owner(&json["Owner"]) {
        native.insert(Field::Owner, owner);
    }
    let priority = json["Priority"].as_i64().or_else(|| json["Priority"].as_str()?.trim().parse().ok());
    if let (true, Some(priority)) = (settings.severity, priority) {
        native.insert(Field::Severity, Native::Text(write::step(priority).to_owned()));
    }
    let verdict = settings.verdict_field.as_deref().and_then(|field| custom_field(json, field));
    if let Some(verdict) = verdict {
        native.insert(Field::Verdict, Native::text(verdict.map(str::trim)));
    }
    native
}

/// An owner by e-mail address, as the other systems know people; by name where there is none. `Nobody` is nobody.
fn owner(json: &Value) -> Option<Native> {
    let name = user(json)?;
    if name == NOBODY {
        return Some(Native::Empty);
    }
    let address = json["EmailAddress"].as_str().filter(|text| !text.trim().is_empty());
    Some(account(address.or(Some(name))))
}

/// The user name of a reference to a user.
fn user(json: &Value) -> Option<&str> {
    json["id"].as_str().map(str::trim).filter(|name| !name.is_empty())
}

/// The first value of a custom field: `None` where the ticket has no such field (or this user may not see it), and
/// `Some(None)` where it is empty. A value that was deleted stays behind as null (seen on 5.0.3).
#[allow(clippy::option_option)]
pub(super) fn custom_field<'a>(json: &'a Value, name: &str) -> Option<Option<&'a str>> {
    let mut fields = json["CustomFields"].as_array()?.iter();
    let field = fields.find(|field| field["name"].as_str() == Some(name))?;
    let values = field["values"].as_array().into_iter().flatten();
    Some(values.filter_map(Value::as_str).find(|text| !text.trim().is_empty()))
}

/// The page for people.
fn page(root: &Url, number: u64) -> Option<String> {
    let mut url = root.clone();
    url.path_segments_mut().ok()?.pop_if_empty().extend(["Ticket", "Display.html"]);
    url.set_query(Some(&format!("id={number}")));
    Some(url.into())
}
