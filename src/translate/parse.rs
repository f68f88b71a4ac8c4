//! From the text of a table to a [`Translation`], with errors that name line, column and the nearest known word.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

use super::Translation;
use super::table::{Rule, Words, has_words, vocabulary, write_words};
use crate::model::{Field, RecordKind, Value};

/// Why a table cannot be used: the place in its file, what is wrong there and what would be right.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct TranslationError {
    file: String,
    place: Option<(usize, usize)>,
    problem: String,
}

impl fmt::Display for TranslationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.place {
            Some((line, column)) => write!(f, "{}:{line}:{column}: {}", self.file, self.problem),
            None => write!(f, "{}: {}", self.file, self.problem),
        }
    }
}

impl TranslationError {
    pub(super) fn no_builtin(kind: &str, known: &[&str]) -> Self {
        let problem = format!("no table comes with the program{}", hint(kind, known));
        Self { file: format!("translation `{kind}`"), place: None, problem }
    }
}

/// What is wrong, and the bytes of the text it is about.
struct Fault {
    span: Range<usize>,
    problem: String,
}

type Parsed<T> = Result<T, Fault>;
type Item<'i> = Spanned<DeValue<'i>>;
type Rules = BTreeMap<(RecordKind, Field), Rule>;

const TOP_KEYS: [&str; 7] =
    ["kind", "verdict_only_when_closed", "status_in_steps", "opens_closed", "incident", "alert", "ticket"];
const WORD_KEYS: [&str; 5] = ["read", "write", "legal", "coarse", "vague"];
const IDENTITY: &str = "identity";
const AS_INCIDENT: &str = "as-incident";

/// Reads a whole file.
pub(super) fn translation(text: &str, file: &str) -> Result<Translation, TranslationError> {
    let parsed = DeTable::parse(text)
        .map_err(|error| Fault { span: error.span().unwrap_or(0..0), problem: error.message().to_owned() })
        .and_then(|top| document(top.get_ref()));
    parsed.map_err(|fault| TranslationError {
        file: file.to_owned(),
        place: Some(place(text, fault.span.start)),
        problem: fault.problem,
    })
}

/// Line and column (in characters), both from 1.
fn place(text: &str, at: usize) -> (usize, usize) {
    let before = text.get(..at).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |end| end + 1);
    (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
}

fn document(top: &DeTable<'_>) -> Parsed<Translation> {
    check_keys(top, &TOP_KEYS)?;
    let kind = top.get("kind").ok_or_else(|| Fault {
        span: 0..0,
        problem: "`kind` is missing; name the kind of system, such as `kind = \"sentinel\"`".to_owned(),
    })?;
    let flag = |key: &str| match top.get(key) {
        Some(item) => item.get_ref().as_bool().ok_or_else(|| wrong(item, "`true` or `false`")),
        None => Ok(false),
    };
    let mut rules = Rules::new();
    // The incident goes first: the others may refer to it.
    for record in [RecordKind::Incident, RecordKind::Alert, RecordKind::Ticket] {
        if let Some(item) = top.get(record.as_str()) {
            section(record, item, &mut rules)?;
        }
    }
    Ok(Translation {
        kind: text_of(kind)?.to_owned(),
        text: Arc::from(""),
        verdict_only_when_closed: flag("verdict_only_when_closed")?,
        status_in_steps: flag("status_in_steps")?,
        opens_closed: flag("opens_closed")?,
        rules,
    })
}

fn section(record: RecordKind, item: &Item<'_>, rules: &mut Rules) -> Parsed<()> {
    let fields = table_of(item)?;
    check_keys(fields, &Field::ALL.map(Field::as_str))?;
    for field in Field::ALL {
        if let Some(item) = fields.get(field.as_str()) {
            let rule = rule(record, field, item, rules)?;
            rules.insert((record, field), rule);
        }
    }
    Ok(())
}

fn rule(record: RecordKind, field: Field, item: &Item<'_>, rules: &Rules) -> Parsed<Rule> {
    let allowed = match (has_words(field), record) {
        (false, _) if field == Field::Title => "`\"identity\"` or `{ max = 255 }`",
        (false, _) => "`\"identity\"`",
        (true, RecordKind::Incident) => "a table with `read`, `write` and `legal`",
        (true, _) => "a table with `read`, `write` and `legal`, or `\"as-incident\"`",
    };
    match item.get_ref() {
        DeValue::String(word) if word == IDENTITY && !has_words(field) => Ok(Rule::Identity),
        DeValue::Table(table) if field == Field::Title => limit(table, item).map(Rule::Cut),
        DeValue::String(word)
            if word == AS_INCIDENT && has_words(field) && record != RecordKind::Incident =>
        {
            rules
                .get(&(RecordKind::Incident, field))
                .cloned()
                .ok_or_else(|| fault(item, format!("[incident] has no `{field}` to take over")))
        }
        DeValue::Table(_) if has_words(field) => words(field, item).map(Rule::Words),
        _ => Err(wrong(item, allowed)),
    }
}

fn words(field: Field, item: &Item<'_>) -> Parsed<Words> {
    let table = table_of(item)?;
    check_keys(table, &WORD_KEYS)?;
    let part = |key: &str| {
        table
            .get(key)
            .ok_or_else(|| fault(item, format!("`{field}` lacks `{key}`; see the head of defender.toml")))
    };
    let read = read_entries(field, part("read")?)?;
    Ok(Words {
        write: write_entries(field, part("write")?)?,
        legal: legal_entries(part("legal")?)?,
        coarse: table.get("coarse").map_or(Ok(BTreeSet::new()), coarse_entries(field))?,
        vague: table.get("vague").map_or(Ok(BTreeSet::new()), vague_entries(field, &read))?,
        read,
    })
}

/// The words that say nothing; each must be read as undetermined.
fn vague_entries(
    field: Field,
    read: &BTreeMap<String, Value>,
) -> impl Fn(&Item<'_>) -> Parsed<BTreeSet<String>> {
    move |item| {
        let words = legal_entries(item)?;
        match words.iter().find(|word| !read.get(*word).is_some_and(Value::is_empty)) {
            Some(_) if field != Field::Verdict => {
                Err(fault(item, format!("`vague` is for verdicts; a {field} always says something")))
            }
            Some(word) => {
                Err(fault(item, format!("`{word}` is not read as `undetermined`, so it says something")))
            }
            None => Ok(words),
        }
    }
}

fn read_entries(field: Field, item: &Item<'_>) -> Parsed<BTreeMap<String, Value>> {
    let values = vocabulary(field);
    let entry = |native: &Spanned<DeString<'_>>, ours: &Item<'_>| {
        let word = text_of(ours)?;
        let value = values.iter().find(|value| value.to_string() == word);
        let value = value.ok_or_else(|| {
            let known = values.iter().map(ToString::to_string).collect::<Vec<_>>();
            fault(ours, format!("`{word}` is no {field}{}", hint(word, &known)))
        })?;
        Ok((native.get_ref().to_string(), value.clone()))
    };
    table_of(item)?.iter().map(|(native, ours)| entry(native, ours)).collect()
}

fn write_entries(field: Field, item: &Item<'_>) -> Parsed<BTreeMap<String, String>> {
    let entries = table_of(item)?;
    check_keys(entries, &write_words(field))?;
    entries
        .iter()
        .map(|(ours, native)| Ok((ours.get_ref().to_string(), text_of(native)?.to_owned())))
        .collect()
}

/// `{ max = 255 }`: how many characters of a text a system keeps.
fn limit(table: &DeTable<'_>, item: &Item<'_>) -> Parsed<usize> {
    check_keys(table, &["max"])?;
    let max = table.get("max").and_then(|max| max.get_ref().as_integer());
    let max = max.and_then(|max| max.as_str().parse::<usize>().ok()).filter(|max| *max >= 10);
    max.ok_or_else(|| wrong(item, "`{ max = 255 }`, a number of at least 10"))
}

fn coarse_entries(field: Field) -> impl Fn(&Item<'_>) -> Parsed<BTreeSet<String>> {
    move |item| {
        let words = legal_entries(item)?;
        let known: Vec<String> = vocabulary(field).iter().map(ToString::to_string).collect();
        match words.iter().find(|word| !known.contains(word)) {
            Some(word) => Err(fault(item, format!("`{word}` is no {field}{}", hint(word, &known)))),
            None => Ok(words),
        }
    }
}

fn legal_entries(item: &Item<'_>) -> Parsed<BTreeSet<String>> {
    let list = item.get_ref().as_array().ok_or_else(|| wrong(item, "a list of texts"))?;
    list.iter().map(|native| text_of(native).map(str::to_owned)).collect()
}

fn check_keys<S: AsRef<str>>(table: &DeTable<'_>, known: &[S]) -> Parsed<()> {
    let stranger = table.keys().find(|key| !known.iter().any(|k| k.as_ref() == key.get_ref().as_ref()));
    stranger.map_or(Ok(()), |key| {
        let problem = format!("unknown key `{}`{}", key.get_ref(), hint(key.get_ref(), known));
        Err(Fault { span: key.span(), problem })
    })
}

fn table_of<'t, 'i>(item: &'t Item<'i>) -> Parsed<&'t DeTable<'i>> {
    item.get_ref().as_table().ok_or_else(|| wrong(item, "a table"))
}

fn text_of<'t>(item: &'t Item<'_>) -> Parsed<&'t str> {
    match item.get_ref().as_str() {
        Some(text) if !text.trim().is_empty() => Ok(text),
        _ => Err(wrong(item, "a text that is not blank")),
    }
}

fn wrong(item: &Item<'_>, wanted: &str) -> Fault {
    let found = match item.get_ref() {
        DeValue::String(text) => format!("`\"{text}\"`"),
        other => format!("this {}", other.type_str()),
    };
    fault(item, format!("{found} does not fit here; write {wanted}"))
}

fn fault(item: &Item<'_>, problem: String) -> Fault {
    Fault { span: item.span(), problem }
}

/// The nearest known word where one is near, otherwise the few that there are.
fn hint<S: AsRef<str>>(word: &str, known: &[S]) -> String {
    let near = known.iter().map(|k| (strsim::damerau_levenshtein(word, k.as_ref()), k.as_ref())).min();
    match near {
        Some((distance, nearest)) if distance * 2 <= nearest.chars().count() => {
            format!("; did you mean `{nearest}`?")
        }
        _ if known.len() <= 8 => {
            let all = known.iter().map(|k| format!("`{}`", k.as_ref())).collect::<Vec<_>>();
            format!("; known are {}", all.join(", "))
        }
        _ => String::new(),
    }
}
