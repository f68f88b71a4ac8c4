//! The raw layer: a TOML table that is read key by key, and complains about what nobody asked for.

use std::ops::Range;

use serde::Deserialize;
use toml::Spanned;
use toml::de::{DeTable, DeValue, ValueDeserializer};

use super::problem::Problems;
use crate::http::secret::SecretRef;

/// One table of the document. Each key that a reader asks for counts as known; [`Section::finish`] reports the rest.
pub(super) struct Section<'t> {
    problems: &'t Problems<'t>,
    /// How messages call it: `[store]`, `[[systems]] "defender"`.
    title: String,
    span: Range<usize>,
    entries: DeTable<'t>,
    known: Vec<&'static str>,
}

impl<'t> Section<'t> {
    /// The whole document; `None` when the text is no TOML, which is reported.
    pub(super) fn document(problems: &'t Problems<'t>, text: &'t str) -> Option<Self> {
        let (table, errors) = DeTable::parse_recoverable(text);
        for error in &errors {
            problems.error(error.span().unwrap_or(0..0), format!("not valid TOML: {}", error.message()));
        }
        let entries = errors.is_empty().then(|| table.into_inner())?;
        Some(Self { problems, title: "the file".into(), span: 0..0, entries, known: Vec::new() })
    }

    /// Reports a problem at a place of the document.
    pub(super) fn problem(&self, span: Range<usize>, message: impl Into<String>) {
        self.problems.error(span, message);
    }

    /// Reports something that works but deserves a look.
    pub(super) fn warning(&self, span: Range<usize>, message: impl Into<String>) {
        self.problems.warning(span, message);
    }

    /// Where the section begins.
    pub(super) fn span(&self) -> Range<usize> {
        self.span.clone()
    }

    /// How messages call the section.
    pub(super) fn title(&self) -> &str {
        &self.title
    }

    /// Renames the section in messages, once its name is known.
    pub(super) fn entitle(&mut self, title: String) {
        self.title = title;
    }

    /// Whether the key is written.
    pub(super) fn has(&self, key: &str) -> bool {
        self.entries.contains_key(key)
    }

    /// Takes a value out and marks its key as known.
    pub(super) fn take(&mut self, key: &'static str) -> Option<Spanned<DeValue<'t>>> {
        self.known.push(key);
        self.entries.remove(key)
    }

    /// An optional value. A value that does not parse is reported and counts as absent.
    pub(super) fn get<T>(
        &mut self,
        key: &'static str,
        parse: impl FnOnce(&DeValue<'_>) -> Result<T, String>,
    ) -> Option<Spanned<T>> {
        let value = self.take(key)?;
        match parse(value.get_ref()) {
            Ok(parsed) => Some(Spanned::new(value.span(), parsed)),
            Err(reason) => {
                self.problem(value.span(), format!("{key} in {}: {reason}", self.title));
                None
            }
        }
    }

    /// A value that must be there.
    pub(super) fn require<T>(
        &mut self,
        key: &'static str,
        parse: impl FnOnce(&DeValue<'_>) -> Result<T, String>,
    ) -> Option<Spanned<T>> {
        if !self.has(key) {
            self.known.push(key);
            let key = format!("'{key}'");
            self.missing(&key, "add it");
            return None;
        }
        self.get(key, parse)
    }

    /// Reports that something is not there.
    pub(super) fn missing(&self, what: &str, advice: &str) {
        self.problem(self.span(), format!("{} lacks {what}; {advice}", self.title));
    }

    /// A list of texts, each with its place. A list of anything else is reported.
    pub(super) fn texts(&mut self, key: &'static str) -> Option<Vec<Spanned<String>>> {
        let value = self.take(key)?;
        let span = value.span();
        let DeValue::Array(array) = value.into_inner() else {
            self.problem(
                span,
                format!("{key} in {}: must be a list of texts, such as [\"a\", \"b\"]", self.title),
            );
            return None;
        };
        let mut texts = Vec::new();
        for item in array {
            match item.get_ref().as_str() {
                Some(text) => texts.push(Spanned::new(item.span(), text.to_owned())),
                None => self.problem(item.span(), format!("{key} in {}: must hold texts only", self.title)),
            }
        }
        Some(texts)
    }

    /// A reference to a secret; one that stands in the file itself is warned about.
    pub(super) fn secret(&mut self, key: &'static str) -> Option<SecretRef> {
        let value = self.take(key)?;
        let span = value.span();
        let secret = secret(value).map_err(|reason| format!("{key} in {}: {reason}", self.title));
        match secret {
            Ok(secret) => {
                self.warn_if_inline(&span, key, &secret);
                Some(secret)
            }
            Err(message) => {
                self.problem(span, message);
                None
            }
        }
    }

    /// Warns when a secret stands in the file.
    pub(super) fn warn_if_inline(&self, span: &Range<usize>, what: &str, secret: &SecretRef) {
        if secret.is_inline() {
            let title = &self.title;
            self.warning(
                span.clone(),
                format!("{what} in {title} holds the secret itself; use {{ env = \"NAME\" }} or {{ file = \"PATH\" }}"),
            );
        }
    }

    /// A table within this one.
    pub(super) fn child(&mut self, key: &'static str) -> Option<Section<'t>> {
        let value = self.take(key)?;
        let title = self.child_title(key);
        self.table(value, title)
    }

    /// A list of tables, `[[key]]`.
    pub(super) fn children(&mut self, key: &'static str) -> Vec<Section<'t>> {
        let Some(value) = self.take(key) else { return Vec::new() };
        let span = value.span();
        let DeValue::Array(array) = value.into_inner() else {
            self.problem(
                span,
                format!("'{key}' must be a list of tables; write [[{key}]] with double brackets"),
            );
            return Vec::new();
        };
        array.into_iter().filter_map(|item| self.table(item, format!("[[{key}]]"))).collect()
    }

    fn table(&self, value: Spanned<DeValue<'t>>, title: String) -> Option<Section<'t>> {
        let span = value.span();
        let DeValue::Table(entries) = value.into_inner() else {
            self.problem(span, format!("{title} must be a table with keys and values"));
            return None;
        };
        Some(Section { problems: self.problems, title, span, entries, known: Vec::new() })
    }

    fn child_title(&self, key: &str) -> String {
        match self.title.as_str() {
            "the file" => format!("[{key}]"),
            parent => format!("'{key}' of {parent}"),
        }
    }

    /// Reports every key that nobody asked for, with the nearest known one.
    pub(super) fn finish(self) {
        for key in self.entries.keys() {
            let advice = match nearest(key.get_ref(), &self.known) {
                Some(near) => format!("did you mean '{near}'?"),
                None => format!("known here: {}", self.known.join(", ")),
            };
            self.problem(key.span(), format!("unknown key '{}' in {}; {advice}", key.get_ref(), self.title));
        }
    }
}

/// Parses a secret reference. Other types are refused here, since serde would quote the value in its message.
fn secret(value: Spanned<DeValue<'_>>) -> Result<SecretRef, String> {
    if !value.get_ref().is_str() && !value.get_ref().is_table() {
        return Err("must be { env = \"NAME\" }, { file = \"PATH\" } or a text".to_owned());
    }
    SecretRef::deserialize(ValueDeserializer::from(value)).map_err(|error| error.message().trim().to_owned())
}

/// The word that a mistyped one most likely means.
pub(super) fn nearest<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    let word = word.to_ascii_lowercase();
    let score = |candidate: &str| {
        // A key that was cut short (`tenant` for `tenant_id`) is near, however long the rest.
        let starts = candidate.starts_with(&word) || word.starts_with(candidate);
        if starts && word.len() >= 3 { 1.0 } else { strsim::jaro_winkler(&word, candidate) }
    };
    known
        .iter()
        .map(|candidate| (score(candidate), *candidate))
        .filter(|(score, _)| *score > 0.8)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, candidate)| candidate)
}
