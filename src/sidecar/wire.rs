//! What adapters send, and what of it is believed.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;

use super::held::Report;
use super::message::{CommentView, Message, TicketView};
use crate::connectors::sidecar::{MAX_TEXT, MAX_TITLE};
use crate::model::{Field, Native, Natives, Severity, Status, Verdict};

/// Longest id, name, address or tag, in characters.
const MAX_SHORT: usize = 400;
/// Tags of one ticket at most.
const MAX_TAGS: usize = 200;
/// Messages acknowledged with one request at most.
const MAX_ACK: usize = 1_000;

/// What the adapter sees of a ticket. What is absent (or null, but for `owner`) is not spoken of.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct TicketReport {
    /// Its name, on one line, at most 1000 characters.
    #[schema(min_length = 1, max_length = 1000, pattern = r"\S")]
    title: Option<String>,
    /// Where the work stands.
    status: Option<Status>,
    /// How bad it is.
    severity: Option<Severity>,
    /// `undetermined`, `true-positive`, `benign-positive` or `false-positive`, and behind a slash of which kind.
    #[schema(value_type = Option<String>, example = "true-positive/phishing")]
    verdict: Option<Verdict>,
    /// The account that works on it (a mail address); null for nobody.
    #[serde(default, deserialize_with = "stated")]
    #[schema(value_type = Option<String>)]
    owner: Option<Native>,
    /// All labels that people put on it. Labels that begin with `lockstep` are left out.
    #[schema(max_items = 200)]
    tags: Option<BTreeSet<String>>,
    /// The note of the close.
    #[schema(max_length = 30000)]
    closing_note: Option<String>,
    /// Its number in the ticketing software.
    #[schema(min_length = 1, max_length = 400, pattern = r"\S")]
    number: Option<String>,
    /// Its page for people.
    #[schema(min_length = 1, max_length = 400, pattern = r"\S")]
    url: Option<String>,
    /// Who changed it, for the history.
    #[schema(min_length = 1, max_length = 400, pattern = r"\S")]
    by: Option<String>,
    /// The revision whose state the software shows, if the adapter knows: everything that differs from it is then an
    /// edit. If the ticket has moved on, the answer is 409.
    revision: Option<u64>,
    /// The software's name of the event. The same name again changes nothing.
    #[schema(min_length = 1, max_length = 400, pattern = r"\S")]
    event_id: Option<String>,
    /// Fields that the software cannot take, and why. They are left to differ until lockstep or people change them.
    #[serde(default)]
    #[schema(value_type = Option<BTreeMap<String, String>>)]
    declined: Option<BTreeMap<Field, String>>,
}

/// A comment that was written in the ticketing software.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CommentReport {
    /// The software's name of it. The same name again is the same comment.
    #[schema(min_length = 1, max_length = 200, pattern = r"\S")]
    id: String,
    /// Who wrote it.
    #[schema(min_length = 1, max_length = 400, pattern = r"\S")]
    author: Option<String>,
    /// Its text, plain; at most 30000 UTF-16 units.
    #[schema(min_length = 1, max_length = 30000, pattern = r"\S")]
    text: String,
    /// Whether only those who work on the ticket may read it.
    #[serde(default)]
    internal: bool,
}

/// Messages that were carried out.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Acknowledgement {
    /// Their ids, at most 1000.
    #[schema(max_items = 1000)]
    pub(super) messages: Vec<String>,
}

/// What an acknowledgement brought.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Acknowledged {
    /// How many of the messages were open until now.
    pub(super) acknowledged: usize,
}

/// Messages to carry out, in order.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Changes {
    /// The messages, oldest first.
    pub(super) messages: Vec<Message>,
}

/// Tickets, in order of key.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Tickets {
    /// The tickets, without their descriptions.
    pub(super) tickets: Vec<TicketView>,
    /// What to give as `after` for the next page; null after the last one.
    pub(super) next: Option<String>,
}

/// Comments of a ticket.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct TicketComments {
    /// The comments, oldest first.
    pub(super) comments: Vec<CommentView>,
}

/// Why not.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Failure {
    /// What is wrong, and what to do.
    pub(super) error: String,
    /// With 409, the ticket as it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) ticket: Option<TicketView>,
}

/// An account as sent; null says nobody, other than not saying anything.
fn stated<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Native>, D::Error> {
    let owner = Option::<String>::deserialize(deserializer)?;
    Ok(Some(owner.filter(|owner| !owner.trim().is_empty()).map_or(Native::Empty, Native::Text)))
}

impl TicketReport {
    /// What is believed of it. Errors name the property and what is wrong with it.
    pub(super) fn check(self) -> Result<Report, String> {
        let mut fields = Natives::new();
        let word = |text: &str| Native::Text(text.to_owned());
        if let Some(title) = &self.title {
            fields.insert(Field::Title, word(line("title", title, MAX_TITLE)?));
        }
        fields.extend(self.status.map(|status| (Field::Status, word(status.as_str()))));
        fields.extend(self.severity.map(|severity| (Field::Severity, word(severity.as_str()))));
        fields.extend(self.verdict.map(|verdict| (Field::Verdict, word(&verdict.to_string()))));
        if let Some(owner) = &self.owner {
            fields.insert(Field::Owner, account(owner)?);
        }
        if let Some(tags) = &self.tags {
            fields.insert(Field::Tags, labels(tags)?);
        }
        let short = |name: &'static str, value: &Option<String>| {
            value.as_deref().map(|text| line(name, text, MAX_SHORT).map(str::to_owned)).transpose()
        };
        let closing_note = self.closing_note.as_deref().map(|note| text("closing_note", note)).transpose()?;
        let mut declined = BTreeMap::new();
        for (field, reason) in self.declined.unwrap_or_default() {
            if field == Field::Status {
                return Err(
                    "declined: a status cannot be declined; leave its message unacknowledged".to_owned()
                );
            }
            declined.insert(field, line("declined", &reason, MAX_SHORT)?.to_owned());
        }
        Ok(Report {
            fields,
            closing_note: closing_note.map(str::to_owned),
            number: short("number", &self.number)?,
            url: short("url", &self.url)?,
            by: short("by", &self.by)?,
            revision: self.revision,
            event_id: short("event_id", &self.event_id)?,
            declined,
        })
    }
}

impl CommentReport {
    /// What is believed of it. Errors name the property and what is wrong with it.
    pub(super) fn check(self) -> Result<CommentView, String> {
        let id = line("id", &self.id, 200)?.to_owned();
        let author = self.author.as_deref().map(|author| line("author", author, MAX_SHORT)).transpose()?;
        if self.text.trim().is_empty() {
            return Err("text: must not be blank".to_owned());
        }
        let text = text("text", &self.text)?.to_owned();
        Ok(CommentView { id, author: author.map(str::to_owned), text, internal: self.internal })
    }
}

impl Acknowledgement {
    /// Its ids, if they are not too many.
    pub(super) fn check(self) -> Result<Vec<String>, String> {
        if self.messages.len() > MAX_ACK {
            return Err(format!("messages: at most {MAX_ACK} at a time"));
        }
        Ok(self.messages)
    }
}

/// One line that is not blank, trimmed.
fn line<'t>(name: &str, text: &'t str, limit: usize) -> Result<&'t str, String> {
    let text = text.trim();
    if text.is_empty() {
        return Err(format!("{name}: must not be blank"));
    }
    if text.chars().any(char::is_control) {
        return Err(format!("{name}: must be one line, without control characters"));
    }
    if text.chars().count() > limit {
        return Err(format!("{name}: at most {limit} characters"));
    }
    Ok(text)
}

/// Text of several lines.
fn text<'t>(name: &str, text: &'t str) -> Result<&'t str, String> {
    if text.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t')) {
        return Err(format!("{name}: must not hold control characters"));
    }
    if text.encode_utf16().count() > MAX_TEXT {
        return Err(format!("{name}: at most {MAX_TEXT} UTF-16 units"));
    }
    Ok(text)
}

fn account(owner: &Native) -> Result<Native, String> {
    match owner {
        Native::Text(owner) => Ok(Native::Text(line("owner", owner, MAX_SHORT)?.to_lowercase())),
        _ => Ok(Native::Empty),
    }
}

fn labels(tags: &BTreeSet<String>) -> Result<Native, String> {
    if tags.len() > MAX_TAGS {
        return Err(format!("tags: at most {MAX_TAGS}"));
    }
    let checked = tags.iter().map(|tag| line("tags", tag, MAX_SHORT).map(str::to_owned));
    let all: BTreeSet<String> = checked.collect::<Result<_, _>>()?;
    Ok(Native::Set(all.into_iter().filter(|tag| !is_own(tag)).collect()))
}

/// Whether a label is lockstep's own mark on a ticket.
fn is_own(tag: &str) -> bool {
    tag.strip_prefix("lockstep").is_some_and(|rest| rest.is_empty() || rest.starts_with(['-', ':']))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;
    use crate::connectors::sidecar::TicketState;

    /// Values that adapters may send for a property, right or wrong.
    fn value() -> impl Strategy<Value = Value> {
        prop_oneof![
            Just(Value::Null),
            any::<i64>().prop_map(Value::from),
            any::<String>().prop_map(Value::from),
            prop_oneof![Just("closed"), Just("high"), Just("true-positive/malware"), Just(" ")]
                .prop_map(Value::from),
            proptest::collection::vec("[ -~]{0,9}", 0..4).prop_map(Value::from),
            Just(serde_json::json!({ "owner": "no account" })),
        ]
    }

    const NAMES: [&str; 13] = [
        "title",
        "status",
        "severity",
        "verdict",
        "owner",
        "tags",
        "closing_note",
        "number",
        "url",
        "by",
        "revision",
        "event_id",
        "declined",
    ];

    proptest! {
        #[test]
        fn any_report_is_refused_or_fits_into_a_ticket(
            entries in proptest::collection::btree_map(proptest::sample::select(&NAMES[..]), value(), 0..8)
        ) {
            let body: serde_json::Map<String, Value> =
                entries.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
            let Ok(report) = serde_json::from_value::<TicketReport>(body.into()) else { return Ok(()) };
            let Ok(report) = report.check() else { return Ok(()) };
            let mut state = TicketState::new("t".to_owned());
            for (field, native) in &report.fields {
                state.set(*field, native).unwrap();
                let stored = state.natives();
                prop_assert_eq!(stored.get(field), Some(native), "what is stored is what was said");
            }
        }
    }
}
