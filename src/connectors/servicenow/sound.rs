//! What the answers of the Table API mean (`ticketing.md` 1.2, 1.4 and 1.8). A 200 can hold an error behind its rows, or
//! rows that access rules emptied; a 404 speaks of a record only in ServiceNow's own words; a caller whom the instance does
//! not know any more is sent to a log-in page.

use serde_json::{Map, Value};

use super::page;
use super::query::is_sys_id;
use crate::connectors::sound::{Asked, Meaning, Sound, Unsound};
use crate::connectors::text::shown;
use crate::http::{Answer, CallError, Effect};

/// Says `false` where the instance took the call for a stranger's.
const LOGGED_IN: &str = "x-is-logged-in";
/// What no ticket is without. A row that lacks one of them, though it was asked for, was emptied by access rules.
const NEVER_ABSENT: [&str; 3] = ["sys_id", "state", "sys_updated_on"];

/// Examines them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Answers;

impl Sound for Answers {
    fn success(&self, asked: &Asked<'_>, answer: &Answer) -> Result<(), Unsound> {
        if answer.header(LOGGED_IN) == Some("false") {
            return Err(Unsound::Denied(renew("the call was taken for a stranger's")));
        }
        if let Some(words) = failure(&answer.body) {
            return Err(if is_about_caller(&words) {
                Unsound::Denied(renew(&words))
            } else {
                Unsound::Failed(format!("the status says success, and the body: {words}"))
            });
        }
        match &answer.body["result"] {
            Value::Array(rows) if is_list(asked) => list(asked, rows, answer),
            Value::Object(record) if !is_list(asked) => one(asked, record, answer),
            _ if answer.body.is_null() => Err(Unsound::Malformed("the answer is empty".to_owned())),
            _ => Err(Unsound::Malformed(
                "the answer has no `result` of the right kind; is `url` the instance's root?".to_owned(),
            )),
        }
    }

    fn refusal(&self, asked: &Asked<'_>, error: &CallError) -> Meaning {
        let (words, reads) = (error.words(), asked.effect == Effect::Read);
        match error {
            CallError::NotFound { status: 404, .. } if record(asked).is_some() && is_no_record(error) => {
                Meaning::Gone
            }
            CallError::Denied { status: 401, .. } => Meaning::Denied(renew(words)),
            CallError::Denied { .. } if reads => Meaning::Denied(unreadable(asked, words)),
            CallError::Refused { status: 300..400, .. } if is_asleep(words) => {
                Meaning::Failed(words.to_owned())
            }
            CallError::Refused { status: 300..400, .. } => Meaning::Denied(renew(words)),
            CallError::Refused { .. } if is_about_table(words) => Meaning::Denied(unreadable(asked, words)),
            // What is wrong with a question is nothing that the record could be given up for.
            CallError::Refused { .. } if reads => Meaning::Failed(words.to_owned()),
            // A page in the place of an answer; a write that got one may have been carried out all the same.
            CallError::Malformed { .. } if is_log_in_page(words) => Meaning::Denied(renew(words)),
            _ => Meaning::AsStated,
        }
    }
}

fn is_list(asked: &Asked<'_>) -> bool {
    matches!(
        asked.operation,
        "tickets.list" | "tickets.find" | "comments.list" | "choices.list" | "people.list"
    )
}

/// The record that was asked for, where it was one.
fn record<'a>(asked: &Asked<'a>) -> Option<&'a str> {
    asked.url.path_segments()?.next_back().filter(|id| is_sys_id(id))
}

/// The table that was asked.
fn table<'a>(asked: &Asked<'a>) -> &'a str {
    let mut path = asked.url.path_segments().into_iter().flatten();
    path.by_ref().find(|segment| *segment == "table").and_then(|_| path.next()).unwrap_or("the table")
}

/// A parameter of the question.
fn parameter(asked: &Asked<'_>, name: &str) -> Option<String> {
    asked.url.query_pairs().find(|(own, _)| own == name).map(|(_, value)| value.into_owned())
}

/// The first of the fields that no ticket is without which a row lacks, though it was asked for.
fn lost<'f>(asked: &Asked<'_>, row: &Map<String, Value>) -> Option<&'f str> {
    let fields = parameter(asked, "sysparm_fields").unwrap_or_default();
    NEVER_ABSENT
        .into_iter()
        .filter(|field| fields.split(',').any(|asked| asked == *field))
        .find(|field| !row.contains_key(*field))
}

fn without(asked: &Asked<'_>, field: &str) -> Unsound {
    let table = table(asked);
    Unsound::Denied(format!(
        "{table} is shown without `{field}`: access rules hide it from lockstep's user; give back the role that reads \
         {table}"
    ))
}

/// A list: rows that can be told apart, and as many as the service counts. Of people and choices nothing is concluded but
/// that a name is not known, so there it does not matter that some are hidden.
fn list(asked: &Asked<'_>, rows: &[Value], answer: &Answer) -> Result<(), Unsound> {
    if asked.operation == "people.list" {
        return Ok(());
    }
    let names_rows = parameter(asked, "sysparm_fields").is_some_and(|fields| fields.starts_with("sys_id,"));
    for row in rows {
        let Some(members) = row.as_object() else {
            return Err(Unsound::Malformed("a row is no record".to_owned()));
        };
        if let Some(field) = lost(asked, members) {
            return Err(without(asked, field));
        }
        // Nobody could say which record it is that was not read.
        let id = members.get("sys_id").and_then(Value::as_str).unwrap_or_default();
        if names_rows && id.trim().is_empty() {
            return Err(Unsound::Malformed("a row has no readable sys_id".to_owned()));
        }
    }
    let limit = parameter(asked, "sysparm_limit").and_then(|text| text.parse().ok()).unwrap_or(u64::MAX);
    page::examine(rows.len() as u64, limit, answer).map_err(|wrong| match wrong {
        page::Wrong::Hidden(hidden) => Unsound::Denied(format!(
            "{hidden} of the rows of {} that the service counts are not shown: lockstep's user may not read them, or the \
             answer was cut off; let it read every ticket that bears a key of lockstep's",
            table(asked)
        )),
        page::Wrong::Contradiction(what) => Unsound::Malformed(what),
    })
}

/// One record: the one that was asked for.
fn one(asked: &Asked<'_>, found: &Map<String, Value>, answer: &Answer) -> Result<(), Unsound> {
    let id = found.get("sys_id").and_then(Value::as_str);
    // A creation has no record in its address, and says where the new one is (`ticketing.md` 1.3).
    let made = || answer.header("location")?.rsplit('/').next().filter(|id| is_sys_id(id));
    match (id, record(asked).or_else(made)) {
        (Some(id), Some(wanted)) if id != wanted => {
            Err(Unsound::Malformed(format!("the answer is about {}, and not about {wanted}", shown(id))))
        }
        _ => lost(asked, found).map_or(Ok(()), |field| Err(without(asked, field))),
    }
}

/// The failure that a body tells, whatever the status: `{"error":{"message","detail"},"status":"failure"}`, also behind
/// rows that were found before it.
fn failure(body: &Value) -> Option<String> {
    let error = &body["error"];
    if error.is_null() && body["status"] != "failure" {
        return None;
    }
    let text = |of: &Value| of.as_str().filter(|text| !text.trim().is_empty()).map(shown);
    let parts: Vec<String> =
        [error, &error["message"], &error["detail"]].into_iter().filter_map(text).collect();
    Some(if parts.is_empty() { "failure".to_owned() } else { parts.join(": ") })
}

/// The 404 of a record: JSON with these words. A deleted record and a hidden one share it (`ticketing.md` 1.2).
fn is_no_record(error: &CallError) -> bool {
    error.evidence().is_some_and(|evidence| {
        let is_json = evidence.header("content-type").is_some_and(|kind| kind.contains("json"));
        let message = evidence.body.as_ref().and_then(|body| body["error"]["message"].as_str());
        is_json && message.is_some_and(|text| text.trim().eq_ignore_ascii_case("no record found"))
    })
}

fn has(words: &str, any: &[&str]) -> bool {
    let text = words.to_ascii_lowercase();
    any.iter().any(|part| text.contains(part))
}

/// Whether an error tells of who calls.
fn is_about_caller(words: &str) -> bool {
    has(words, &["not authenticated", "not authorized", "auth information", "insufficient rights"])
}

/// Whether a 400 speaks of the table or of the address, and not of what was asked for there.
fn is_about_table(words: &str) -> bool {
    has(words, &["invalid table", "does not represent any resource"])
}

/// Whether an instance that nobody used for long has been put to rest. It comes back by itself, or when somebody calls it.
fn is_asleep(words: &str) -> bool {
    has(words, &["hibernat"])
}

/// Whether a page wants somebody to sign in.
fn is_log_in_page(words: &str) -> bool {
    has(words, &["a web page"]) && has(words, &["log in", "login", "log-in", "sign in", "single sign-on"])
}

fn renew(words: &str) -> String {
    format!(
        "{words}; ServiceNow does not take lockstep's user for signed in: renew its password or OAuth client, or unlock the \
         user"
    )
}

fn unreadable(asked: &Asked<'_>, words: &str) -> String {
    let table = table(asked);
    format!(
        "{words}; lockstep's user cannot reach {table}: give it the role that reads {table}, or mend `url` and `table`"
    )
}

#[cfg(test)]
#[path = "sound_tests.rs"]
#[allow(clippy::unwrap_used)]
mod tests;
