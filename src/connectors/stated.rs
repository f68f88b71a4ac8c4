//! What a remote record says of a property, and the few forms that both services share.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::OWN_TAG;
use super::text::shown;
use crate::model::{Native, RecordId};

/// A property as received. A value of the wrong type must not cost the rest of the record, and must not look like
/// an empty value either.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) enum Stated<T> {
    /// Not there.
    #[default]
    Absent,
    /// Of a type it should not have.
    Unreadable,
    /// Stated to be null.
    Null,
    /// Stated.
    Value(T),
}

impl<'de, T: DeserializeOwned> Deserialize<'de> for Stated<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(match Value::deserialize(deserializer)? {
            Value::Null => Self::Null,
            value => serde_json::from_value(value).map_or(Self::Unreadable, Self::Value),
        })
    }
}

impl<T> Stated<T> {
    /// The value, if one is stated.
    pub(super) fn value(&self) -> Option<&T> {
        match self {
            Self::Value(value) => Some(value),
            Self::Absent | Self::Unreadable | Self::Null => None,
        }
    }

    /// Whether the record says something of it, be it null.
    pub(super) fn is_stated(&self) -> bool {
        matches!(self, Self::Null | Self::Value(_))
    }

    /// Whether what it says cannot be understood.
    pub(super) fn is_unreadable(&self) -> bool {
        matches!(self, Self::Unreadable)
    }
}

impl<T> Stated<Vec<Stated<T>>> {
    /// The list, if all of it can be read: one without what cannot would look like a shorter list.
    pub(super) fn readable(&self) -> Option<&Vec<Stated<T>>> {
        self.value().filter(|list| !list.iter().any(Stated::is_unreadable))
    }
}

impl Stated<String> {
    /// The text, unless it is blank.
    pub(super) fn text(&self) -> Option<&str> {
        self.value().map(String::as_str).filter(|text| !text.trim().is_empty())
    }
}

/// An id: text, or a number in older answers.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(from = "TextOrNumber")]
pub(super) struct IdText(pub(super) String);

#[derive(Deserialize)]
#[serde(untagged)]
enum TextOrNumber {
    Text(String),
    Number(u64),
}

impl From<TextOrNumber> for IdText {
    fn from(id: TextOrNumber) -> Self {
        match id {
            TextOrNumber::Text(text) => Self(text),
            TextOrNumber::Number(number) => Self(number.to_string()),
        }
    }
}

impl Stated<IdText> {
    /// The id, unless it is blank.
    pub(super) fn id(&self) -> Option<&str> {
        self.value().map(|id| id.0.trim()).filter(|id| !id.is_empty())
    }
}

/// Longest id of a record, in bytes. Those of Microsoft's services have some forty.
const MAX_ID: usize = 200;

/// The id of a record: one word of plain characters, since it becomes part of addresses, of keys and of log lines.
pub(super) fn record_id(name: &str, text: Option<&str>) -> Result<RecordId, String> {
    let text = text.unwrap_or_default();
    let id = RecordId::new(text).map_err(|_| format!("{name} is missing"))?;
    let plain = id.as_str().len() <= MAX_ID && id.as_str().bytes().all(|b| b.is_ascii_graphic());
    if plain { Ok(id) } else { Err(format!("{name} is `{}`, which is no id", shown(text))) }
}

/// A time with any number of fraction digits and an offset (RFC 3339).
pub(super) fn time(text: &str) -> Result<Timestamp, String> {
    // The error repeats the text, at any length.
    let fail = |e: jiff::Error| format!("`{}` is no time: {}", shown(text), shown(&e.to_string()));
    let digits = |at: usize| text[at + 1..].bytes().take_while(u8::is_ascii_digit).count();
    match text.find('.') {
        // jiff reads nanoseconds and no more.
        Some(at) if digits(at) > 9 => {
            format!("{}{}", &text[..at + 10], &text[at + 1 + digits(at)..]).parse().map_err(fail)
        }
        _ => text.parse().map_err(fail),
    }
}

/// The time of a property that the record cannot do without.
pub(super) fn required_time(name: &str, stated: &Stated<String>) -> Result<Timestamp, String> {
    stated
        .text()
        .ok_or_else(|| format!("{name} is missing"))
        .and_then(|text| time(text).map_err(|e| format!("{name}: {e}")))
}

/// The time of a harmless property.
pub(super) fn optional_time(stated: &Stated<String>) -> Option<Timestamp> {
    stated.text().and_then(|text| time(text).ok())
}

/// A text that the record cannot do without.
pub(super) fn required<'a>(name: &str, stated: &'a Stated<String>) -> Result<&'a str, String> {
    stated.text().ok_or_else(|| format!("{name} is missing"))
}

/// Why JSON is not even an object of the kind it should be.
pub(super) fn unreadable(what: &str, error: &serde_json::Error) -> String {
    format!("this is no {what}: {}", shown(&error.to_string()))
}

/// An account name in the form in which owners are compared: trimmed, lower case.
pub(super) fn account(text: Option<&str>) -> Native {
    Native::text(text.map(|name| name.trim().to_lowercase()).as_deref())
}

/// Whether a tag is people's, and not lockstep's own.
pub(super) fn is_foreign_tag(tag: &str) -> bool {
    !tag.trim().is_empty() && !tag.starts_with(OWN_TAG)
}

/// Tags as a set.
pub(super) fn tags<'a>(tags: impl IntoIterator<Item = &'a str>) -> Native {
    Native::Set(tags.into_iter().map(str::to_owned).collect::<BTreeSet<_>>())
}

/// The two parts of a verdict's native text; the second is `None` where it is empty.
pub(super) fn verdict_parts(native: &Native) -> Option<(&str, Option<&str>)> {
    let Native::Text(text) = native else { return None };
    let (first, second) = text.split_once('/').unwrap_or((text, ""));
    Some((first, Some(second).filter(|s| !s.is_empty())))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::connectors::testing::cases;

    #[test]
    fn times_have_any_number_of_digits() {
        let base: Timestamp = "2026-11-02T08:15:30Z".parse().unwrap();
        for (text, nanos) in [
            ("2026-11-02T08:15:30Z", 0),
            ("2026-11-02T08:15:30.1Z", 100_000_000),
            ("2026-11-02T08:15:30.4933333Z", 493_333_300),
            ("2026-11-02T08:15:30.123456789012Z", 123_456_789),
            ("2026-11-02T10:15:30.5+02:00", 500_000_000),
        ] {
            assert_eq!(time(text).unwrap().as_nanosecond() - base.as_nanosecond(), nanos, "{text}");
        }
        assert!(time("yesterday\n").unwrap_err().contains("`yesterday\\n`"));
        assert!(time("2026-11-02T08:15:30.").is_err());
        assert!(time("").is_err());
        assert!(time(&format!("2026-11-02T08:15:{}", "1".repeat(5_000))).unwrap_err().len() < 1_000);
    }

    #[test]
    fn an_id_is_one_word_of_plain_characters() {
        for id in ["4711", "da637551227677560813_-961444813", "b6c4a0a4-0f5c-4d6e-9e57-1f5a4b1f0c11", "a/b?"]
        {
            assert_eq!(record_id("id", Some(id)).unwrap().as_str(), id);
        }
        assert_eq!(record_id("id", None).unwrap_err(), "id is missing");
        for odd in ["4711\nERROR forged", "a b", "\u{202e}1", "\u{1b}[2J", &"7".repeat(201)] {
            let error = record_id("id", Some(odd)).unwrap_err();
            assert!(
                error.contains("no id") && !error.contains(char::is_control) && error.len() < 300,
                "{error}"
            );
        }
    }

    proptest! {
        #![proptest_config(cases(1_000))]

        #[test]
        fn times_of_any_text_are_read_or_refused(text in "[0-9TZ:.+ -]{0,40}|\\PC{0,20}") {
            if let Err(reason) = time(&text) {
                prop_assert!(reason.contains("is no time"));
            }
        }
    }

    #[test]
    fn wrong_types_cost_the_property_only() {
        let read = |json: &str| serde_json::from_str::<Stated<String>>(json).unwrap();
        assert_eq!(read("7"), Stated::Unreadable);
        assert_eq!(read("null"), Stated::Null);
        assert_eq!(read("\"x\""), Stated::Value("x".to_owned()));
        assert_eq!(serde_json::from_str::<Stated<IdText>>("14").unwrap().id(), Some("14"));
    }
}
