//! From rows of the table to snapshots.

use serde_json::Value;

use super::ServiceNowSettings;
use super::codes::Codes;
use super::key::CORRELATION;
use super::query::{is_sys_id, time};
use crate::connectors::stated::account;
use crate::connectors::text::shown;
use crate::connectors::ticketing::is_key;
use crate::model::{
    Comments, Facts, Field, Lifecycle, Native, Natives, RecordId, RecordRef, Snapshot, SystemName,
};

/// What every snapshot is made of.
const FIELDS: [&str; 15] = [
    "sys_id",
    "number",
    "state",
    "impact",
    "urgency",
    "short_description",
    "assigned_to",
    "assigned_to.email",
    "assigned_to.user_name",
    "close_code",
    "close_notes",
    "sys_created_on",
    "sys_updated_on",
    "sys_updated_by",
    "sys_mod_count",
];

/// The fields to ask for: those of a snapshot, the key, and what a close may send.
pub(super) fn fields(settings: &ServiceNowSettings) -> String {
    let own =
        settings.key_field.as_deref().into_iter().chain(settings.close_fields.keys().map(String::as_str));
    FIELDS.into_iter().chain([CORRELATION]).chain(own).collect::<Vec<_>>().join(",")
}

/// A value of a row: `None` where it is not stated, else a text that may be empty. References come bare, or with
/// their link where an instance does not exclude it.
pub(super) fn stated<'r>(row: &'r Value, field: &str) -> Option<&'r str> {
    match &row[field] {
        Value::String(text) => Some(text),
        Value::Object(reference) => reference.get("value").and_then(Value::as_str),
        _ => None,
    }
}

/// A value that is not blank.
pub(super) fn filled<'r>(row: &'r Value, field: &str) -> Option<&'r str> {
    stated(row, field).filter(|text| !text.trim().is_empty())
}

/// The key of ours that a ticket carries.
pub(super) fn key_of<'r>(settings: &ServiceNowSettings, row: &'r Value) -> Option<&'r str> {
    [settings.look_up_field(), CORRELATION].iter().find_map(|field| filled(row, field).filter(|k| is_key(k)))
}

/// Reads rows.
pub(super) struct Reader<'a> {
    pub(super) settings: &'a ServiceNowSettings,
    pub(super) codes: &'a Codes,
}

impl Reader<'_> {
    /// Reads a ticket. The error says what is missing.
    pub(super) fn ticket(&self, row: &Value, fresh: bool) -> Result<Snapshot, String> {
        let required = |field: &str| filled(row, field).ok_or_else(|| format!("{field} is missing"));
        let id = required("sys_id")?;
        let id = Some(id).filter(|id| is_sys_id(id)).ok_or_else(|| format!("sys_id is `{}`", shown(id)))?;
        let state = required("state")?;
        let modified = time(required("sys_updated_on")?).map_err(|e| format!("sys_updated_on: {e}"))?;
        let system = &self.settings.system.name;
        let count = filled(row, "sys_mod_count").unwrap_or_default();
        Ok(Snapshot {
            record: ticket(system, id)?,
            revision: format!("{count} {}", filled(row, "sys_updated_on").unwrap_or_default()),
            modified,
            modified_by: filled(row, "sys_updated_by").map(str::to_owned),
            fresh,
            hidden: Natives::new(),
            native: self.natives(row, state),
            closing_comment: filled(row, "close_notes").map(str::to_owned),
            // A list brings what was written since; a read by itself brings no news of comments.
            comments: Comments::Recent(Vec::new()),
            lifecycle: Lifecycle::Present,
            links: Vec::new(),
            parent: None,
            planned_as: key_of(self.settings, row).map(|key| ticket(system, key)).transpose()?,
            facts: Facts {
                created: filled(row, "sys_created_on").and_then(|text| time(text).ok()),
                url: self.link(id),
                ..Facts::default()
            },
            raw: row.clone(),
        })
    }

    fn natives(&self, row: &Value, state: &str) -> Natives {
        let mut native = Natives::from([(Field::Status, Native::Text(state.to_owned()))]);
        if let (Some(impact), Some(urgency)) = (filled(row, "impact"), filled(row, "urgency")) {
            native.insert(Field::Severity, Native::Text(format!("{impact}/{urgency}")));
        }
        if let Some(title) = filled(row, "short_description") {
            native.insert(Field::Title, Native::Text(title.to_owned()));
        }
        if let Some(owner) = owner(row) {
            native.insert(Field::Owner, owner);
        }
        if let Some(code) = stated(row, "close_code").filter(|_| self.settings.table.is_closed(state)) {
            native.insert(Field::Verdict, Native::text(Some(self.codes.label(code))));
        }
        native
    }

    /// The link for people.
    fn link(&self, id: &str) -> Option<String> {
        let mut url = self.settings.system.url.clone();
        let page = format!("{}.do", self.settings.table.name());
        url.path_segments_mut().ok()?.pop_if_empty().push(&page);
        url.set_query(Some(&format!("sys_id={id}")));
        Some(url.into())
    }
}

fn ticket(system: &SystemName, id: &str) -> Result<RecordRef, String> {
    RecordId::new(id).map(|id| RecordRef::ticket(system, id)).map_err(|e| e.to_string())
}

/// Whom the ticket is assigned to, by e-mail, else by user name. Somebody of whom neither can be read is not stated:
/// it must not look like nobody.
fn owner(row: &Value) -> Option<Native> {
    if stated(row, "assigned_to")?.is_empty() {
        return Some(Native::Empty);
    }
    let name = filled(row, "assigned_to.email").or_else(|| filled(row, "assigned_to.user_name"))?;
    Some(account(Some(name)))
}
