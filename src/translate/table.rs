//! The rule of one field: how its values are read and written.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{Classification, Determination, Field, Native, Severity, Status, Value, Verdict};

/// A word that no service has, to try laws on.
const STRANGER: &str = "somethingNew";

/// How one field of one kind of record is read and written.
#[derive(Debug, Clone)]
pub(super) enum Rule {
    /// Both sides state the same text or set of texts.
    Identity,
    /// The same text, but the system keeps no more than so many characters of it.
    Cut(usize),
    /// A table of words.
    Words(Words),
}

/// The words of one field, both ways. A left side ending in `/*` covers what has no entry of its own.
#[derive(Debug, Clone, Default)]
pub(super) struct Words {
    /// The service's words to our values.
    pub(super) read: BTreeMap<String, Value>,
    /// Our words to the service's.
    pub(super) write: BTreeMap<String, String>,
    /// What the service accepts.
    pub(super) legal: BTreeSet<String>,
    /// Our words for which the service has only a coarser one. Written, they read as another word, and that is known.
    pub(super) coarse: BTreeSet<String>,
    /// The service's words that say nothing where a close demands one, or brings one by itself.
    pub(super) vague: BTreeSet<String>,
}

impl Rule {
    /// What a native value means, where the rule knows it.
    pub(super) fn read(&self, field: Field, native: &Native) -> Option<Value> {
        match self {
            Self::Identity | Self::Cut(_) => read_identity(field, native),
            Self::Words(words) => words.read(field, native),
        }
    }

    /// Native values to try laws on: every one the rule names, every pair its `/*` entries cover, and strangers.
    pub(super) fn samples(&self, field: Field) -> BTreeSet<Native> {
        let texts =
            |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<BTreeSet<String>>();
        let mut samples: BTreeSet<Native> = match (self, field) {
            (Self::Words(words), _) => words.samples().into_iter().map(Native::Text).collect(),
            (_, Field::Tags) => [Native::Set(texts(&[])), Native::Set(texts(&["One", "two"]))].into(),
            _ => texts(&["Alice@Example.org", "alice@example.org"]).into_iter().map(Native::Text).collect(),
        };
        samples.extend([Native::Empty, Native::Text(STRANGER.to_owned())]);
        samples
    }

    /// Whether a value is knowingly written as a coarser one.
    pub(super) fn is_coarse(&self, value: &Value) -> bool {
        matches!(self, Self::Words(words) if words.coarse.contains(&value.to_string()))
    }

    /// Whether a native value says nothing of its own: there is none, or it stands for none where one is demanded.
    pub(super) fn is_vague(&self, native: &Native) -> bool {
        match (self, native) {
            (_, Native::Empty) => true,
            (Self::Words(words), Native::Text(text)) => {
                words.vague.contains(text) || words.vague.contains(&format!("{}/*", first_half(text)))
            }
            _ => false,
        }
    }

    /// The preferred native value for ours.
    pub(super) fn write(&self, value: &Value) -> Option<Native> {
        match self {
            Self::Identity => write_identity(value),
            Self::Cut(limit) => write_identity(value).map(|native| cut(native, *limit)),
            Self::Words(words) => look_up(&words.write, &value.to_string()).cloned().map(Native::Text),
        }
    }
}

impl Words {
    fn read(&self, field: Field, native: &Native) -> Option<Value> {
        match native {
            Native::Text(text) => look_up(&self.read, text).cloned(),
            Native::Empty if field == Field::Verdict => Some(Value::Verdict(Verdict::UNDETERMINED)),
            Native::Empty | Native::Set(_) => None,
        }
    }

    fn samples(&self) -> BTreeSet<String> {
        let named: Vec<&str> =
            self.read.keys().chain(self.write.values()).chain(&self.legal).map(String::as_str).collect();
        let halves: BTreeSet<&str> =
            named.iter().filter_map(|n| n.split_once('/')).map(|(_, half)| half).chain([STRANGER]).collect();
        let mut samples = BTreeSet::new();
        for name in named {
            if let Some(class) = name.strip_suffix("/*") {
                samples.insert(class.to_owned());
                samples.extend(halves.iter().filter(|h| **h != "*").map(|half| format!("{class}/{half}")));
            } else {
                samples.insert(name.to_owned());
            }
        }
        samples
    }
}

/// The entry of a text itself, or that of its first half with `/*`.
fn look_up<'t, T>(entries: &'t BTreeMap<String, T>, text: &str) -> Option<&'t T> {
    entries.get(text).or_else(|| entries.get(&format!("{}/*", first_half(text))))
}

fn first_half(text: &str) -> &str {
    text.split_once('/').map_or(text, |(first, _)| first)
}

/// The text, or as much of its beginning as fits, with a sign that it goes on.
fn cut(native: Native, limit: usize) -> Native {
    match native {
        Native::Text(text) if text.chars().count() > limit => {
            let head: String = text.chars().take(limit.saturating_sub(1)).collect();
            Native::Text(format!("{}…", head.trim_end()))
        }
        native => native,
    }
}

fn read_identity(field: Field, native: &Native) -> Option<Value> {
    match (field, native) {
        (Field::Owner, Native::Empty) => Some(Value::Owner(None)),
        (Field::Owner, Native::Text(name)) => Some(Value::Owner(Some(name.trim().to_lowercase()))),
        (Field::Tags, Native::Empty) => Some(Value::Tags(BTreeSet::new())),
        (Field::Tags, Native::Set(tags)) => Some(Value::Tags(tags.clone())),
        (Field::Title, Native::Text(title)) => Some(Value::Title(title.clone())),
        // No service takes a blank title, so one that reads so is a fault of the answer and nobody's edit.
        _ => None,
    }
}

fn write_identity(value: &Value) -> Option<Native> {
    match value {
        Value::Owner(name) => Some(Native::text(name.as_deref())),
        Value::Tags(tags) => Some(Native::Set(tags.clone())),
        Value::Title(title) if !title.trim().is_empty() => Some(Native::Text(title.clone())),
        _ => None,
    }
}

/// Whether a field's values are words of a table (status, severity, verdict) rather than free text.
pub(super) fn has_words(field: Field) -> bool {
    !vocabulary(field).is_empty()
}

/// Every value of a field in our vocabulary; empty for fields of free text.
pub(super) fn vocabulary(field: Field) -> Vec<Value> {
    match field {
        Field::Status => Status::ALL.iter().copied().map(Value::Status).collect(),
        Field::Severity => Severity::ALL.iter().copied().map(Value::Severity).collect(),
        Field::Verdict => Verdict::all().map(Value::Verdict).collect(),
        Field::Owner | Field::Tags | Field::Title => Vec::new(),
    }
}

/// The left sides that `write` may have: the words of the vocabulary, and `classification/*` for verdicts.
pub(super) fn write_words(field: Field) -> Vec<String> {
    let own = vocabulary(field).iter().map(ToString::to_string).collect::<Vec<_>>();
    let classes = Classification::ALL.iter().map(|class| format!("{class}/*"));
    if field == Field::Verdict { own.into_iter().chain(classes).collect() } else { own }
}

/// A verdict with its classification only.
pub(super) fn coarse(verdict: Verdict) -> Verdict {
    Verdict::new(verdict.classification(), Determination::Unspecified).unwrap_or(verdict)
}
