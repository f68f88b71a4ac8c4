//! `credential = { kind = ..., ... }` of any system.

use serde::de::DeserializeOwned;
use toml::de::{DeValue, ValueDeserializer};

use super::reader::Section;
use crate::http::secret::SecretRef;

/// Kinds of credential: the word, the keys that must be there, and those that may.
pub(super) type Kinds = &'static [(&'static str, &'static [&'static str], &'static [&'static str])];

/// Reads `credential = { kind = ..., ... }`. Keys and types are checked here, for messages with a place and without
/// values; serde then builds it.
///
/// `example` is the kind that messages propose; `secrets` says which secrets a credential holds.
pub(super) fn credential<T: DeserializeOwned>(
    section: &mut Section<'_>,
    kinds: Kinds,
    example: &str,
    secrets: fn(&T) -> Vec<&SecretRef>,
) -> Option<T> {
    let Some(value) = section.take("credential") else {
        let advice = format!("add one, such as credential = {{ kind = \"{example}\" }}");
        section.missing("'credential'", &advice);
        return None;
    };
    let (span, whole) = (value.span(), value.clone());
    let DeValue::Table(table) = value.into_inner() else {
        section.problem(span, format!("credential in {} must be a table with a kind", section.title()));
        return None;
    };
    let kind = table.get("kind").and_then(|kind| kind.get_ref().as_str());
    let Some((_, required, optional)) = kinds.iter().find(|(word, _, _)| Some(*word) == kind) else {
        let words: Vec<&str> = kinds.iter().map(|(word, _, _)| *word).collect();
        let written = kind.map_or("has no kind".to_owned(), |kind| format!("is of kind '{kind}'"));
        let message = format!("credential in {} {written}; use one of {}", section.title(), words.join(", "));
        section.problem(span, message);
        return None;
    };
    let known: Vec<&str> = ["kind"].iter().chain(*required).chain(*optional).copied().collect();
    let sound = check_keys(section, &span, &table, required, &known);
    let built = sound.then(|| T::deserialize(ValueDeserializer::from(whole)))?;
    match built {
        Ok(credential) => {
            for secret in secrets(&credential) {
                section.warn_if_inline(&span, "credential", secret);
            }
            Some(credential)
        }
        Err(error) => {
            section.problem(span, format!("credential in {}: {}", section.title(), error.message().trim()));
            None
        }
    }
}

fn check_keys(
    section: &Section<'_>,
    span: &std::ops::Range<usize>,
    table: &toml::de::DeTable<'_>,
    required: &[&str],
    known: &[&str],
) -> bool {
    let title = section.title();
    let mut sound = true;
    let mut wrong = |span: std::ops::Range<usize>, message: String| {
        section.problem(span, message);
        sound = false;
    };
    for (key, value) in table {
        let word = key.get_ref();
        if !known.contains(&word.as_ref()) {
            let advice = match super::reader::nearest(word, known) {
                Some(near) => format!("did you mean '{near}'?"),
                None => format!("known here: {}", known.join(", ")),
            };
            wrong(key.span(), format!("unknown key '{word}' in the credential of {title}; {advice}"));
        } else if !value.get_ref().is_str() && !value.get_ref().is_table() {
            wrong(value.span(), format!("'{word}' in the credential of {title} must be a text in quotes"));
        }
    }
    for key in required.iter().filter(|key| !table.contains_key(**key)) {
        wrong(span.clone(), format!("the credential of {title} lacks '{key}'; add it"));
    }
    sound
}
