//! What people do in the form, in the words that all ticket systems share.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};

use super::answer::not_found;
use super::record::{Record, codes};
use super::save::Save;
use super::{SYSTEM, ServiceNow};
use crate::emulator::desk::Surroundings;
use crate::emulator::graph::stated;
use crate::emulator::ledger::{Actor, What};
use crate::emulator::wire::Refusal;

/// Severity by impact and urgency, worst first; the first of a word is the one that people enter.
const SEVERITIES: [(&str, &str, &str); 9] = [
    ("high", "1", "1"),
    ("high", "1", "2"),
    ("high", "2", "1"),
    ("medium", "2", "2"),
    ("medium", "1", "3"),
    ("medium", "3", "1"),
    ("low", "2", "3"),
    ("low", "3", "2"),
    ("informational", "3", "3"),
];

/// One edit in common words.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Edit {
    title: Option<String>,
    status: Option<String>,
    verdict: Option<String>,
    severity: Option<String>,
    // Stated to be null is another thing than not stated.
    #[serde(deserialize_with = "stated")]
    #[allow(clippy::option_option)]
    owner: Option<Option<String>>,
    /// Tickets here have none that people use.
    #[serde(rename = "tags")]
    _tags: Vec<String>,
    comment: Option<String>,
    /// Whether the comment is one for the caller.
    public: bool,
    notes: Option<String>,
    key: Option<String>,
    delete: bool,
    /// Whether access rules hide the ticket from the service user.
    hidden: Option<bool>,
    /// The native state.
    state: Option<String>,
    /// Any native fields.
    fields: BTreeMap<String, String>,
}

fn parse(edit: &Value) -> Result<Edit, Refusal> {
    serde_json::from_value(edit.clone()).map_err(|error| Refusal::bad_request(error.to_string()))
}

impl ServiceNow {
    pub(super) fn open_by_person(
        &mut self,
        seed: &Value,
        actor: &Actor,
        around: &mut Surroundings<'_>,
    ) -> Result<String, Refusal> {
        let edit = parse(seed)?;
        let table = self.settings.table.clone();
        let fields = self.fields_of(&edit, &table, None)?;
        let id = self.insert(&table, Save::by_person(fields), actor, around)?;
        self.hide(&id, edit.hidden);
        Ok(id)
    }

    pub(super) fn edit_by_person(
        &mut self,
        id: &str,
        edit: &Value,
        actor: &Actor,
        around: &mut Surroundings<'_>,
    ) -> Result<(), Refusal> {
        let edit = parse(edit)?;
        let current = self.find(id).ok_or_else(not_found)?.current().clone();
        if edit.delete {
            self.records.retain(|(own, _)| own != id);
            around.note(SYSTEM, id, actor, What::Deleted);
            return Ok(());
        }
        self.hide(id, edit.hidden);
        let fields = self.fields_of(&edit, &current.table, Some(&current))?;
        if fields.is_empty() {
            return Ok(());
        }
        self.update(id, Save::by_person(fields), actor, around)
    }

    fn hide(&mut self, id: &str, hidden: Option<bool>) {
        let found = self.records.iter_mut().find(|(own, _)| own == id);
        if let (Some((_, versions)), Some(hidden)) = (found, hidden) {
            let mut record = versions.current().clone();
            record.hidden = hidden;
            *versions = super::Versions::new(jiff::Timestamp::UNIX_EPOCH, record);
        }
    }

    /// The native fields of an edit. A close fills in what it demands.
    fn fields_of(
        &mut self,
        edit: &Edit,
        table: &str,
        current: Option<&Record>,
    ) -> Result<BTreeMap<String, String>, Refusal> {
        let mut fields = BTreeMap::new();
        let mut set = |field: &str, value: &str| fields.insert(field.to_owned(), value.to_owned());
        let unknown = |what: &str, word: &str| Refusal::bad_request(format!("`{word}` is no {what}"));
        if let Some(word) = &edit.status {
            let states = if table == "incident" { ["1", "2", "6"] } else { ["10", "16", "3"] };
            let at = ["new", "active", "closed"].iter().position(|known| known == word);
            set("state", states[at.ok_or_else(|| unknown("status", word))?]);
            if word == "closed" {
                let lacks = |field: &str| current.is_none_or(|record| record.get(field).is_empty());
                if edit.verdict.is_none() && lacks("close_code") {
                    set("close_code", self.code(table, "undetermined").unwrap_or_default());
                }
                if edit.notes.is_none() && lacks("close_notes") {
                    set("close_notes", "done");
                }
            }
        }
        if let Some(word) = &edit.verdict {
            set("close_code", self.code(table, word).ok_or_else(|| unknown("verdict", word))?);
        }
        if let Some(word) = &edit.severity {
            let (_, impact, urgency) = SEVERITIES
                .iter()
                .find(|(known, _, _)| known == word)
                .ok_or_else(|| unknown("severity", word))?;
            set("impact", impact);
            set("urgency", urgency);
        }
        let comment = edit.comment.as_ref().map(|words| self.entered(words));
        for (field, value) in [
            ("short_description", &edit.title),
            ("close_notes", &edit.notes),
            ("correlation_id", &edit.key),
            ("state", &edit.state),
            (if edit.public { "comments" } else { "work_notes" }, &comment),
        ] {
            if let Some(value) = value {
                set(field, value);
            }
        }
        if let (Some(field), Some(key)) = (&self.settings.unique_field, &edit.key) {
            set(field, key);
        }
        if let Some(owner) = &edit.owner {
            let id = owner.as_deref().map_or_else(String::new, |mail| self.user(mail));
            fields.insert("assigned_to".to_owned(), id);
        }
        fields.extend(edit.fields.clone());
        Ok(fields)
    }

    /// What the journal keeps of the words that somebody enters into the form.
    fn entered(&self, words: &str) -> String {
        if !self.settings.use_html {
            return words.to_owned();
        }
        let escaped = words.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
        let paragraphs: Vec<String> = escaped.lines().map(|line| format!("<p>{line}</p>")).collect();
        format!("[code]{}[/code]", paragraphs.concat())
    }

    /// The value of the code that a common word stands for.
    fn code(&self, table: &str, word: &str) -> Option<&'static str> {
        let class = word.split('/').next().unwrap_or_default();
        codes(table, self.settings.codes)
            .iter()
            .find(|(_, _, known)| *known == class)
            .map(|(value, _, _)| *value)
    }

    /// A ticket in full, with the same in common words.
    pub(super) fn shown(&self, record: &Record) -> Value {
        let status = match (record.is_closed(), record.get("state")) {
            (true, _) => "closed",
            (false, "1" | "10") => "new",
            _ => "active",
        };
        let pair = (record.get("impact"), record.get("urgency"));
        let severity = SEVERITIES.iter().find(|(_, i, u)| (*i, *u) == pair).map(|(word, _, _)| *word);
        let known = codes(&record.table, self.settings.codes).iter();
        let verdict =
            known.clone().find(|(value, _, _)| *value == record.get("close_code")).map(|(_, _, word)| *word);
        let comments: Vec<Value> = record
            .journal
            .iter()
            .map(|entry| {
                let internal = entry.element == "work_notes";
                json!({"author": entry.by, "text": entry.text, "internal": internal})
            })
            .collect();
        let text = |field: &str| Some(record.get(field)).filter(|text| !text.is_empty());
        let mut shown = json!(record.fields);
        shown["comments"] = json!(comments);
        shown["common"] = json!({
            "status": status,
            "verdict": verdict.filter(|_| record.is_closed()),
            "severity": severity,
            "title": record.get("short_description"),
            "owner": self.users.get(record.get("assigned_to")),
            "tags": [],
            "key": text("correlation_id"),
            "closing_note": text("close_notes"),
            "comments": comments,
        });
        shown
    }
}
