//! Native values to ours and back: one table per kind of system, from `config/translations/*.toml`, and their laws.
//!
//! The head of `config/translations/defender.toml` explains the format to operators; [`laws`] proves that a set of
//! tables can never set two systems against each other.

pub mod laws;
mod parse;
mod table;

use std::collections::BTreeMap;
use std::sync::Arc;

pub use parse::TranslationError;

use crate::model::{Field, Native, RecordKind, Value};
use table::Rule;

/// The tables that come with the program: the kind of system, and the text of its file.
const BUILTIN: [(&str, &str); 9] = [
    ("defender", include_str!("../../config/translations/defender.toml")),
    ("sentinel", include_str!("../../config/translations/sentinel.toml")),
    ("servicenow", include_str!("../../config/translations/servicenow.toml")),
    ("servicenow-sir", include_str!("../../config/translations/servicenow-sir.toml")),
    ("jira", include_str!("../../config/translations/jira.toml")),
    ("request-tracker", include_str!("../../config/translations/request-tracker.toml")),
    ("rtir", include_str!("../../config/translations/rtir.toml")),
    ("thehive", include_str!("../../config/translations/thehive.toml")),
    ("sidecar", include_str!("../../config/translations/sidecar.toml")),
];

/// What a native value means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reading {
    /// In our vocabulary.
    Known(Value),
    /// The table does not know the value; it is left alone and reported.
    Unknown(String),
}

/// The table of one kind of system.
#[derive(Debug, Clone)]
pub struct Translation {
    kind: String,
    text: Arc<str>,
    verdict_only_when_closed: bool,
    status_in_steps: bool,
    opens_closed: bool,
    rules: BTreeMap<(RecordKind, Field), Rule>,
}

impl Translation {
    /// The table that comes with the program for a kind of system (`defender`, `sentinel`).
    pub fn builtin(kind: &str) -> Result<Self, TranslationError> {
        let found = BUILTIN.iter().find(|(name, _)| *name == kind);
        let (name, text) =
            found.ok_or_else(|| TranslationError::no_builtin(kind, &BUILTIN.map(|(k, _)| k)))?;
        Self::parse(text, &format!("config/translations/{name}.toml"))
    }

    /// A table from the text of its file; `file` is what errors call it.
    ///
    /// Checks form and words only. What the table says is checked by [`laws::check_one`].
    pub fn parse(text: &str, file: &str) -> Result<Self, TranslationError> {
        parse::translation(text, file).map(|table| Self { text: text.into(), ..table })
    }

    /// The kind of system whose table it is, such as `defender`.
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// The text it was read from.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The fields that records of a kind carry, by kind.
    pub fn carried(&self) -> impl Iterator<Item = (RecordKind, Field)> {
        self.rules.keys().copied()
    }

    /// What a native value of a field means. Total: values the table lacks are `Unknown`, and so is everything in a
    /// field that records of this kind do not carry.
    pub fn read(&self, kind: RecordKind, field: Field, native: &Native) -> Reading {
        let value = self.rules.get(&(kind, field)).and_then(|rule| rule.read(field, native));
        value.map_or_else(|| Reading::Unknown(native.to_string()), Reading::Known)
    }

    /// The preferred native value for ours; `None` where records of this kind do not carry the field. A blank title
    /// has none either: no service takes one.
    pub fn write(&self, kind: RecordKind, value: &Value) -> Option<Native> {
        self.rules.get(&(kind, value.field()))?.write(value)
    }

    /// Whether a record that states `current` needs no write to say `agreed`: it means what our own write would
    /// mean. A verdict without determination asks for the classification only, so any determination will do; owners
    /// are compared without regard to case.
    pub fn satisfies(&self, kind: RecordKind, current: &Native, agreed: &Value) -> bool {
        let Some(written) = self.write(kind, agreed) else { return true };
        let current = self.read(kind, agreed.field(), current);
        if planted!(ComparedInOurWords) {
            return current == Reading::Known(agreed.clone());
        }
        current == self.read(kind, agreed.field(), &written) || says_enough(&current, agreed)
    }

    /// Whether a native value of a field says nothing of its own when it comes with a close: there is none, or the system
    /// demands a word there, or sets one by itself, and this is the one that says least.
    pub fn is_vague(&self, kind: RecordKind, field: Field, native: &Native) -> bool {
        self.rules.get(&(kind, field)).is_none_or(|rule| rule.is_vague(native))
    }

    /// Whether the system is known to open its tickets closed. Elsewhere somebody has closed a new ticket that is closed.
    pub fn opens_closed(&self) -> bool {
        self.opens_closed
    }

    /// Whether the system states a verdict only while an incident is closed (Sentinel, `sentinel.md` 1.5).
    pub fn verdict_only_when_closed(&self) -> bool {
        self.verdict_only_when_closed
    }

    /// Whether the system's workflow may lead to a status over others only, so that one write is several requests. One
    /// that stops half way leaves a status that nobody wanted.
    pub fn status_in_steps(&self) -> bool {
        self.status_in_steps
    }
}

/// Whether a verdict was agreed without determination, and this reading is of its classification.
fn says_enough(current: &Reading, agreed: &Value) -> bool {
    match (current, agreed) {
        (Reading::Known(Value::Verdict(current)), Value::Verdict(agreed)) => {
            table::coarse(*current) == *agreed
        }
        _ => false,
    }
}

#[cfg(test)]
mod laws_tests;
#[cfg(test)]
mod tests;
