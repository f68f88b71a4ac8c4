//! A system's words, read from the text of its table a second time: the judge shares no code with what it judges.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{Field, Native, RecordKind};

/// The words of one kind of record in one system.
#[derive(Debug, Clone, Default)]
pub(crate) struct Vocabulary {
    fields: BTreeMap<Field, Words>,
    /// Whether a verdict shows only while the record is closed.
    pub(crate) hides_verdict: bool,
    /// Whether a status may take several requests.
    pub(crate) in_steps: bool,
}

#[derive(Debug, Clone, Default)]
struct Words {
    read: BTreeMap<String, String>,
    write: BTreeMap<String, String>,
    legal: BTreeSet<String>,
    vague: BTreeSet<String>,
    max: Option<usize>,
    /// Free text, or a set of it.
    free: bool,
}

/// What no service takes, and what the services themselves set.
const NOT_FOR_PEOPLE: [&str; 2] = ["redirected", "awaitingAction"];

impl Vocabulary {
    /// Reads a table. What is not understood is left out, and so is never edited.
    pub(crate) fn read(table: &str, kind: RecordKind) -> Self {
        let Ok(table) = table.parse::<toml::Table>() else { return Self::default() };
        let says = |key: &str| table.get(key).and_then(toml::Value::as_bool).unwrap_or_default();
        let section = table.get(kind.as_str()).and_then(toml::Value::as_table);
        let fields = Field::ALL.into_iter().filter_map(|field| {
            let entry = section?.get(field.as_str())?;
            Some((field, words(entry)))
        });
        Self {
            fields: fields.collect(),
            hides_verdict: says("verdict_only_when_closed"),
            in_steps: says("status_in_steps"),
        }
    }

    /// Whether records carry a field.
    pub(crate) fn carries(&self, field: Field) -> bool {
        self.fields.contains_key(&field)
    }

    /// What a native value means, in a word; `None` for what the table does not know.
    pub(crate) fn meaning(&self, field: Field, native: &Native) -> Option<String> {
        let words = self.fields.get(&field)?;
        match (field, native) {
            (Field::Owner, Native::Empty) => Some(String::new()),
            (Field::Owner, Native::Text(name)) => Some(name.trim().to_lowercase()),
            (Field::Tags, Native::Set(tags)) => Some(tags.iter().cloned().collect::<Vec<_>>().join(" ")),
            (Field::Tags, Native::Empty) => Some(String::new()),
            (Field::Verdict, Native::Empty) => Some("undetermined".to_owned()),
            (_, Native::Text(text)) if words.free => Some(text.clone()),
            (_, Native::Text(text)) => entry(&words.read, text).cloned(),
            _ => None,
        }
    }

    /// What a word is written as; `None` where it cannot be written.
    pub(crate) fn native(&self, field: Field, word: &str) -> Option<Native> {
        let words = self.fields.get(&field)?;
        match field {
            Field::Owner => Some(Native::text(Some(word))),
            Field::Tags => Some(Native::Set(word.split_whitespace().map(str::to_owned).collect())),
            _ if words.free => Some(Native::Text(words.cut(word))),
            _ => entry(&words.write, word).cloned().map(Native::Text),
        }
    }

    /// Whether a record that says `native` says `word` as well as this system can.
    pub(crate) fn says(&self, field: Field, native: &Native, word: &str) -> bool {
        let Some(written) = self.native(field, word) else { return true };
        let (now, then) = (self.meaning(field, native), self.meaning(field, &written));
        let class = |word: &str| word.split('/').next().unwrap_or_default().to_owned();
        let open = field == Field::Verdict && !word.contains('/');
        now == then || open && now.as_deref().map(class) == Some(class(word))
    }

    /// Whether a verdict says nothing when it comes with a close.
    pub(crate) fn is_vague(&self, native: &Native) -> bool {
        let vague = self.fields.get(&Field::Verdict).map(|words| &words.vague);
        match native {
            Native::Text(text) => {
                let class = text.split('/').next().unwrap_or(text);
                vague.is_some_and(|vague| vague.contains(text) || vague.contains(&format!("{class}/*")))
            }
            Native::Empty | Native::Set(_) => true,
        }
    }

    /// The words that people can choose from, in native form; empty for free text.
    pub(crate) fn choices(&self, field: Field) -> Vec<Native> {
        let Some(words) = self.fields.get(&field) else { return Vec::new() };
        let plain = |text: &&String| !text.ends_with("/*") && !NOT_FOR_PEOPLE.contains(&text.as_str());
        let all: BTreeSet<&String> = words.read.keys().chain(&words.legal).filter(plain).collect();
        let known = all.into_iter().map(|text| Native::Text(text.clone()));
        // Graph's word for no verdict is stated as none.
        known.filter(|native| *native != Native::Text("unknown/unknown".to_owned())).collect()
    }

    /// A native status that means `new`, `active` or `closed`.
    pub(crate) fn status(&self, word: &str) -> Native {
        self.native(Field::Status, word).unwrap_or(Native::Empty)
    }

    /// Whether a record in this state is closed.
    pub(crate) fn is_closed(&self, native: &BTreeMap<Field, Native>) -> bool {
        let status = native.get(&Field::Status).and_then(|status| self.meaning(Field::Status, status));
        status.as_deref() == Some("closed")
    }
}

impl Words {
    fn cut(&self, text: &str) -> String {
        match self.max {
            Some(max) if text.chars().count() > max => {
                let head: String = text.chars().take(max.saturating_sub(1)).collect();
                format!("{}…", head.trim_end())
            }
            _ => text.to_owned(),
        }
    }
}

fn words(entry: &toml::Value) -> Words {
    let map = |key: &str| {
        let table = entry.get(key).and_then(toml::Value::as_table);
        let pairs = table.into_iter().flatten();
        pairs.filter_map(|(left, right)| Some((left.clone(), right.as_str()?.to_owned()))).collect()
    };
    let list = |key: &str| -> BTreeSet<String> {
        let array = entry.get(key).and_then(toml::Value::as_array);
        array.into_iter().flatten().filter_map(|word| word.as_str().map(str::to_owned)).collect()
    };
    let max = entry.get("max").and_then(toml::Value::as_integer).and_then(|max| usize::try_from(max).ok());
    Words {
        read: map("read"),
        write: map("write"),
        legal: list("legal"),
        vague: list("vague"),
        max,
        free: entry.as_str() == Some("identity") || max.is_some(),
    }
}

/// The entry of a text, or that of its first half with `/*`.
fn entry<'w>(words: &'w BTreeMap<String, String>, text: &str) -> Option<&'w String> {
    let class = text.split('/').next().unwrap_or(text);
    words.get(text).or_else(|| words.get(&format!("{class}/*")))
}
