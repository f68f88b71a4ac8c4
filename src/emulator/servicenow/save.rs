//! Saves: what a form or the API sends, and the rules that stand between it and the record (`ticketing.md` 1.3 to 1.5).

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::answer::not_found;
use super::record::{BOOKKEEPING, COLUMNS, COMPUTED, Entry, Record, STEPS, is_closed, priority, stamp};
use super::settings::Process;
use super::{SYSTEM, ServiceNow, Versions};
use crate::emulator::clock::earlier;
use crate::emulator::desk::Surroundings;
use crate::emulator::ledger::{Actor, Change, What, changes, outcome};
use crate::emulator::wire::Refusal;

/// Texts that a column keeps, in characters; what is longer is cut off without a word.
const LIMITS: [(&str, usize); 5] = [
    ("short_description", 160),
    ("description", 4_000),
    ("close_notes", 4_000),
    ("correlation_id", 100),
    ("correlation_display", 100),
];

/// One save.
#[derive(Debug, Default, Clone)]
pub(super) struct Save {
    fields: BTreeMap<String, String>,
    /// Element and text of new journal entries.
    journal: Vec<(String, String)>,
    is_api: bool,
}

impl Save {
    /// What a request body asks for; values that are no texts are written as ones.
    pub(super) fn by_api(body: &Map<String, Value>) -> Self {
        let text = |value: &Value| match value {
            Value::String(text) => text.clone(),
            Value::Null => String::new(),
            other => other.to_string(),
        };
        let fields = body.iter().map(|(field, value)| (field.clone(), text(value))).collect();
        Self { is_api: true, ..Self::by_person(fields) }
    }

    /// What somebody enters into the form.
    pub(super) fn by_person(fields: BTreeMap<String, String>) -> Self {
        let (journal, fields) = fields
            .into_iter()
            .partition::<BTreeMap<_, _>, _>(|(field, _)| field == "work_notes" || field == "comments");
        let journal = journal.into_iter().filter(|(_, text)| !text.trim().is_empty()).collect();
        Self { fields, journal, is_api: false }
    }
}

/// 403, which stands for refusals by rules as well (`ticketing.md` 1.4).
fn rule(detail: impl Into<String>) -> Refusal {
    Refusal::new(403, "Operation Failed", detail)
}

impl ServiceNow {
    pub(super) fn knows(&self, field: &str) -> bool {
        COLUMNS.contains(&field) || self.settings.custom_fields.iter().any(|own| own == field)
    }

    /// A new record.
    pub(super) fn insert(
        &mut self,
        table: &str,
        save: Save,
        actor: &Actor,
        around: &mut Surroundings<'_>,
    ) -> Result<String, Refusal> {
        let mut record =
            Record { table: table.to_owned(), fields: BTreeMap::new(), journal: Vec::new(), hidden: false };
        for column in COLUMNS.iter().filter(|c| !matches!(**c, "work_notes" | "comments")) {
            record.set(column, "");
        }
        let id = self.next("ticket");
        let (prefix, first) = if table == "incident" { ("INC", "1") } else { ("SIR", "10") };
        let now = stamp(around.now);
        for (field, value) in [
            ("sys_id", id.clone()),
            ("number", format!("{prefix}{:07}", self.count)),
            ("state", first.to_owned()),
            ("impact", "3".to_owned()),
            ("urgency", "3".to_owned()),
            ("sys_created_on", now.clone()),
            ("sys_created_by", actor.as_str().to_owned()),
            ("sys_updated_on", now),
            ("sys_updated_by", actor.as_str().to_owned()),
            ("sys_mod_count", "0".to_owned()),
            ("reopen_count", "0".to_owned()),
        ] {
            record.set(field, value);
        }
        self.apply(&mut record, save, actor, around)?;
        self.check_unique(&record, None)?;
        around.note(SYSTEM, &id, actor, What::Created);
        self.records.push((id.clone(), Versions::new(around.now, record)));
        Ok(id)
    }

    /// A change of a record; one that changes nothing is none.
    pub(super) fn update(
        &mut self,
        id: &str,
        save: Save,
        actor: &Actor,
        around: &mut Surroundings<'_>,
    ) -> Result<(), Refusal> {
        let before = self.find(id).ok_or_else(not_found)?.current().clone();
        let mut after = before.clone();
        self.apply(&mut after, save, actor, around)?;
        self.check_unique(&after, Some(id))?;
        let what = difference(&before, &after);
        let is_effective = what != What::Ineffective;
        around.note(SYSTEM, id, actor, what);
        if !is_effective {
            return Ok(());
        }
        let lag = if matches!(actor, Actor::App(_)) { 0.0 } else { self.settings.commit_lag };
        let at = stamp(earlier(around.now, lag)).max(before.get("sys_updated_on").to_owned());
        let count = before.get("sys_mod_count").parse::<u64>().unwrap_or(0) + 1;
        after.set("sys_updated_on", at);
        after.set("sys_updated_by", actor.as_str());
        after.set("sys_mod_count", count.to_string());
        let now = around.now;
        if let Some((_, versions)) = self.records.iter_mut().find(|(own, _)| own == id) {
            versions.push(now, after);
        }
        Ok(())
    }

    fn apply(
        &mut self,
        record: &mut Record,
        save: Save,
        actor: &Actor,
        around: &Surroundings<'_>,
    ) -> Result<(), Refusal> {
        let from = record.clone();
        self.check_refused(&from, &save)?;
        for (field, value) in &save.fields {
            let dropped = !self.knows(field)
                || COMPUTED.contains(&field.as_str())
                || save.is_api && self.settings.readonly_fields.contains(field);
            if !dropped {
                let limit = LIMITS.iter().find(|(column, _)| column == field).map_or(usize::MAX, |(_, n)| *n);
                record.set(field, value.chars().take(limit).collect::<String>());
            }
        }
        if save.is_api && self.settings.process == Process::Undone && is_jump(&from, record.get("state")) {
            record.set("state", from.get("state"));
        }
        if record.get("state") != from.get("state") {
            self.check_state(&from, record, save.is_api)?;
            settle_state(&from, record, actor, &stamp(around.now));
            self.follow_state(&from, record);
        }
        let computed = priority(record.get("impact"), record.get("urgency"));
        record.set("priority", computed);
        let state = record.get("state").to_owned();
        record.set("incident_state", state);
        let at = if matches!(actor, Actor::App(_)) {
            around.now
        } else {
            earlier(around.now, self.settings.commit_lag)
        };
        for (element, text) in save.journal {
            if !(save.is_api && self.settings.readonly_fields.contains(&element)) {
                let (sys_id, by) = (self.next("journal"), actor.as_str().to_owned());
                record.journal.push(Entry { sys_id, element, text, at, by });
            }
        }
        Ok(())
    }

    /// Rules that take a whole save with them because of one field.
    fn check_refused(&self, from: &Record, save: &Save) -> Result<(), Refusal> {
        let changes = |field: &&String| save.fields.get(*field).is_some_and(|value| value != from.get(field));
        let Some(field) = self.settings.refused_fields.iter().filter(|_| save.is_api).find(changes) else {
            return Ok(());
        };
        Err(rule(if self.settings.refusals_name_fields {
            let label = label(field);
            format!("Data Policy Exception: The following fields are read only: {label}")
        } else {
            let rule = super::record::sys_id("a rule");
            format!("Operation against file 'incident' was aborted by Business Rule 'Guard^{rule}'")
        }))
    }

    /// What rules make of a ticket that was closed or reopened.
    fn follow_state(&self, from: &Record, record: &mut Record) {
        if record.is_closed() && !from.is_closed() {
            for (field, value) in &self.settings.rewritten_on_close {
                record.set(field, value.as_str());
            }
        }
        if from.is_closed() && !record.is_closed() && self.settings.cleared_on_reopen {
            record.set("close_code", "");
            record.set("close_notes", "");
        }
    }

    fn check_state(&self, from: &Record, to: &Record, is_api: bool) -> Result<(), Refusal> {
        let (old, new) = (from.get("state"), to.get("state"));
        if from.is_incident() && old == "7" {
            let text = "Operation against file 'incident' was aborted by Business Rule 'incident closed'";
            return Err(rule(text));
        }
        if is_api && self.settings.process == Process::Stateful && is_jump(from, new) {
            let text = format!("The process definition does not allow to go from state {old} to state {new}");
            return Err(rule(text));
        }
        if is_closed(&to.table, new) && !self.settings.blocked_close.is_empty() {
            let words = &self.settings.blocked_close;
            return Err(rule(format!(
                "Operation against file '{}' was aborted by Business Rule: {words}",
                to.table
            )));
        }
        if to.is_incident() && new == "3" && self.settings.hold_reason && to.get("hold_reason").is_empty() {
            return Err(rule("Data Policy Exception: The following fields are mandatory: On hold reason"));
        }
        if is_closed(&to.table, new) && self.settings.data_policy {
            let own = [("close_code", "Resolution code"), ("close_notes", "Resolution notes")];
            let more = self.settings.mandatory_on_close.iter().map(|field| (field.as_str(), field.as_str()));
            let missing: Vec<&str> = own
                .into_iter()
                .chain(more)
                .filter(|(field, _)| to.get(field).is_empty())
                .map(|(_, name)| name)
                .collect();
            if !missing.is_empty() {
                let names = missing.join(", ");
                return Err(rule(format!(
                    "Data Policy Exception: The following fields are mandatory: {names}"
                )));
            }
        }
        Ok(())
    }

    /// The database's own index, where the customer made one (`ticketing.md` 1.3).
    fn check_unique(&self, record: &Record, id: Option<&str>) -> Result<(), Refusal> {
        let Some(field) = &self.settings.unique_field else { return Ok(()) };
        let value = record.get(field);
        let same = |(own, versions): &(String, Versions<Record>)| {
            Some(own.as_str()) != id && versions.current().get(field) == value
        };
        if value.is_empty() || !self.records.iter().any(same) {
            return Ok(());
        }
        let text = format!(
            "Unique Key violation detected by database (Duplicate entry '{value}' for key '{field}')"
        );
        Err(rule(text))
    }
}

/// What people call a field.
fn label(field: &str) -> String {
    match field {
        "close_code" => "Resolution code".to_owned(),
        "close_notes" => "Resolution notes".to_owned(),
        _ => {
            let words = field.replace('_', " ");
            words.chars().take(1).flat_map(char::to_uppercase).chain(words.chars().skip(1)).collect()
        }
    }
}

/// Whether a security incident would do anything but the next step.
fn is_jump(from: &Record, to: &str) -> bool {
    let at = |state: &str| STEPS.iter().position(|step| *step == state);
    let next = at(from.get("state")).zip(at(to)).is_some_and(|(old, new)| new == old + 1);
    !from.is_incident() && from.get("state") != to && !next
}

/// What the rules of the base system fill in when the state changes.
fn settle_state(from: &Record, record: &mut Record, actor: &Actor, now: &str) {
    let closed = record.is_closed();
    let is_active = !closed || (record.is_incident() && record.get("state") == "6");
    record.set("active", if is_active { "true" } else { "false" });
    if closed && !from.is_closed() {
        record.set("resolved_at", now);
        record.set("resolved_by", actor.as_str());
    }
    if closed && record.get("state") != "6" {
        record.set("closed_at", now);
        record.set("closed_by", actor.as_str());
    }
    if from.is_closed() && !closed {
        let count = from.get("reopen_count").parse::<u32>().unwrap_or(0) + 1;
        record.set("reopen_count", count.to_string());
    }
    if record.get("state") != "3" && record.is_incident() {
        record.set("hold_reason", "");
    }
}

/// A comment alone is one; beside other changes it is one of them.
fn difference(before: &Record, after: &Record) -> What {
    let mut all = changes(&json!(before.fields), &json!(after.fields), &BOOKKEEPING);
    let new = &after.journal[before.journal.len()..];
    if let ([entry], true) = (new, all.is_empty()) {
        return What::Commented { comment: Some(entry.sys_id.clone()), text: entry.text.clone() };
    }
    all.extend(new.iter().map(|entry| Change {
        field: entry.element.clone(),
        old: Value::Null,
        new: json!(entry.text),
    }));
    outcome(all)
}
