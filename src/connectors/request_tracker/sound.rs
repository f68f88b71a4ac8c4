//! What Request Tracker's answers mean (seen on 5.0.3).
//!
//! | it says | by |
//! | --- | --- |
//! | this ticket is not there | 404 and `{"message":"Not Found"}` at the ticket's own address (a PUT has its own sentence) |
//! | I do not know you | 401 and `{"message":"Unauthorized"}`; at another address than its own also its log-in page |
//! | you may not | 403 and `{"message":"Forbidden"}`; 400 and `Permission Denied` at a comment; 200 and that sentence at a change |
//! | you see none of it | 200 and an empty list: nothing here can tell, see `sight.rs` |
//! | I failed | 5xx; a `message` and nothing else, whatever the status |
//!
//! Its refusals are objects with a `message` and nothing else. What does not look so is the word of something in front of it.

use std::collections::BTreeSet;

use serde_json::Value;

use super::snapshot::number;
use crate::connectors::sound::{Asked, Meaning, Sound, Unsound};
use crate::connectors::text::shown;
use crate::connectors::ticketing::is_log_in_page;
use crate::http::{Answer, CallError, Effect};

/// What it says where a right is missing.
pub(super) const PERMISSION_DENIED: &str = "Permission Denied";
/// How it says that a ticket is not there: to a GET, and to a PUT.
const NOT_THERE: [&str; 2] = ["Not Found", "Resource does not exist; use POST to create"];

/// Examines them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Answers;

/// What an operation is answered with.
enum Form {
    /// The ticket that the address names, or the one that it was merged into.
    Ticket,
    /// The queue that the address names.
    Queue,
    /// The version of the service.
    Version,
    /// A transaction.
    Transaction,
    /// A page of rows.
    Rows,
    /// The number of a new ticket.
    Opened,
    /// The sentences of a change.
    Sentences,
    /// The sentences of a comment, and where it is.
    Commented,
}

fn form(asked: &Asked<'_>) -> Form {
    let path: Vec<&str> = asked.url.path_segments().into_iter().flatten().collect();
    match (asked.effect, path.as_slice()) {
        (Effect::Write, [.., "comment" | "correspond"]) => Form::Commented,
        (Effect::Write, [.., "ticket"]) => Form::Opened,
        (Effect::Write, _) => Form::Sentences,
        (Effect::Read, [.., "ticket", _]) => Form::Ticket,
        (Effect::Read, [.., "queue", _]) => Form::Queue,
        (Effect::Read, [.., "transaction", _]) => Form::Transaction,
        (Effect::Read, [.., "rt"]) => Form::Version,
        (Effect::Read, _) => Form::Rows,
    }
}

impl Sound for Answers {
    fn success(&self, asked: &Asked<'_>, answer: &Answer) -> Result<(), Unsound> {
        let (body, malformed) = (&answer.body, |what: &str| Err(Unsound::Malformed(what.to_owned())));
        if let Some(message) = only_message(body) {
            return Err(match denied(message) {
                Some(what) => Unsound::Denied(what),
                None => Unsound::Failed(format!("it says success and means: {}", shown(message))),
            });
        }
        match form(asked) {
            Form::Ticket if number(&body["id"]).is_none() => malformed("this is no ticket: it has no number"),
            Form::Transaction if number(&body["id"]).is_none() => malformed("this is no transaction"),
            Form::Version if !body["Version"].is_string() => malformed("the answer states no Version"),
            Form::Queue => queue(asked, body).map_err(Unsound::Malformed),
            Form::Rows => rows(asked, body).map_err(Unsound::Malformed),
            Form::Opened if number(&body["id"]).is_none() => malformed("the answer does not name the ticket"),
            Form::Sentences | Form::Commented if !are_sentences(body) => {
                malformed("the answer is no list of sentences")
            }
            Form::Commented if !names_transaction(answer) => {
                malformed("the answer does not say where the comment is")
            }
            _ => Ok(()),
        }
    }

    fn refusal(&self, asked: &Asked<'_>, error: &CallError) -> Meaning {
        let body = error.evidence().and_then(|evidence| evidence.body.as_ref());
        let (own, status) = (body.and_then(only_message), error.status().unwrap_or_default());
        match (error, own) {
            (CallError::NotFound { .. }, Some(message))
                if NOT_THERE.contains(&message) && names_ticket(asked) =>
            {
                Meaning::Gone
            }
            (CallError::Denied { .. } | CallError::Refused { .. }, Some(message)) => {
                denied(message).map_or(Meaning::AsStated, Meaning::Denied)
            }
            // REST 2.0 never redirects: this is the way to a log-in page, or to another address.
            (CallError::Refused { message, .. }, None) if (300..400).contains(&status) => {
                Meaning::Denied(format!(
                    "{message}; does a log-in stand in front of Request Tracker, or is `url` another one?"
                ))
            }
            // Not the service's word, so nobody may conclude that the same request will be refused for good.
            (CallError::Refused { message, .. }, None) => {
                Meaning::Failed(format!("{message} (this is not Request Tracker's form of a refusal)"))
            }
            (CallError::Malformed { message, .. }, _) if is_log_in_page(message) => {
                Meaning::Denied(format!("{message}; log in again: renew the token, or correct `url`"))
            }
            _ => Meaning::AsStated,
        }
    }
}

/// The `message` of an object that holds nothing else, which is how the service refuses.
fn only_message(body: &Value) -> Option<&str> {
    let members = body.as_object().filter(|members| members.len() == 1)?;
    members.get("message")?.as_str()
}

/// What to renew, where a message is about the caller.
fn denied(message: &str) -> Option<String> {
    let advice = if message == "Unauthorized" {
        "the token or password does not count any more, or the user was disabled; make a new token (Settings, Auth Tokens)"
    } else if message == "Forbidden" || message == PERMISSION_DENIED || message.starts_with("No permission") {
        "grant the service user its rights on the queue again, ShowTicket and SeeQueue among them"
    } else {
        return None;
    };
    Some(format!("{}: {advice}", shown(message)))
}

fn names_ticket(asked: &Asked<'_>) -> bool {
    let mut path = asked.url.path_segments().into_iter().flatten().rev();
    let is_number = path.next().is_some_and(|last| last.parse::<u64>().is_ok());
    is_number && path.next() == Some("ticket")
}

fn are_sentences(body: &Value) -> bool {
    body.as_array().is_some_and(|list| list.iter().all(Value::is_string))
}

/// The number of the comment that was written.
pub(super) fn transaction_of(answer: &Answer) -> Option<u64> {
    let (_, number) = answer.header("location")?.rsplit_once("/transaction/")?;
    number.parse().ok()
}

fn names_transaction(answer: &Answer) -> bool {
    transaction_of(answer).is_some()
}

fn queue(asked: &Asked<'_>, body: &Value) -> Result<(), String> {
    let wanted = asked.url.path_segments().and_then(|mut path| path.next_back()).unwrap_or_default();
    let wanted = percent_encoding::percent_decode_str(wanted).decode_utf8_lossy();
    let is_it = |own: &str| own.to_lowercase() == wanted.to_lowercase();
    let by_number = number(&body["id"]).is_some_and(|id| is_it(&id.to_string()));
    match body["Name"].as_str() {
        Some(name) if is_it(name) || by_number => Ok(()),
        Some(name) => Err(format!("asked for queue {wanted}, got {}", shown(name))),
        None => Err("this is no queue: it has no Name".to_owned()),
    }
}

/// A page that agrees with itself, and with what was asked.
fn rows(asked: &Asked<'_>, body: &Value) -> Result<(), String> {
    let items = body["items"].as_array();
    let items = items.ok_or("the list has no `items`; is the address Request Tracker's root?")?;
    // Some of its numbers are written as 0.0.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "counts of rows")]
    let told = |name: &str| body[name].as_f64().map(|n| n as u64);
    let option = |name: &str| {
        let found = asked.url.query_pairs().find(|(own, _)| own == name);
        found.and_then(|(_, value)| value.parse::<u64>().ok())
    };
    let count = items.len() as u64;
    let (page, size) = (option("page").unwrap_or(1), option("per_page").unwrap_or(20));
    if told("count") != Some(count) {
        return Err(format!("the list says that it has {} rows, and has {count}", body["count"]));
    }
    if told("page") != Some(page) || count > size {
        return Err(format!(
            "asked for page {page} of {size} rows, got {count} rows of page {}",
            body["page"]
        ));
    }
    // Searches tell how many there are in all, the feed and histories do not.
    let expected = told("total").map(|total| total.saturating_sub((page - 1) * size).min(size));
    if expected.is_some_and(|expected| expected != count) {
        return Err(format!("the list says that there are {} rows, and has {count}", body["total"]));
    }
    let ids: BTreeSet<String> = items.iter().map(|row| row["id"].to_string()).collect();
    if ids.len() < items.len() {
        return Err("the list brings one row twice".to_owned());
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use reqwest::header::HeaderMap;
    use serde_json::json;
    use url::Url;

    use super::*;
    use crate::http::{CallSite, Evidence};

    const ROOT: &str = "https://rt.example.org/rt/REST/2.0";

    fn answer(body: Value, headers: HeaderMap) -> Answer {
        let (request_id, client_request_id, date, etag, link, total_count) = Default::default();
        Answer { status: 200, body, request_id, client_request_id, date, etag, link, total_count, headers }
    }

    fn judged(effect: Effect, below: &str, body: Value) -> Result<(), Unsound> {
        let url = Url::parse(&format!("{ROOT}{below}")).unwrap();
        let mut headers = HeaderMap::new();
        headers.insert("location", "/REST/2.0/transaction/85".parse().unwrap());
        Answers.success(&Asked { operation: "x", effect, url: &url }, &answer(body, headers))
    }

    #[test]
    fn what_a_sound_success_looks_like() {
        let page = |rows: Value, count: Value, total: Value| json!({"items": rows, "count": count, "page": 1, "per_page": 100, "total": total, "pages": null});
        let row = json!({"id": "7"});
        let (read, write) = (Effect::Read, Effect::Write);
        for (effect, below, body) in [
            (read, "/ticket/7", json!({"id": 7})),
            // Merged: whether that is true is asked elsewhere.
            (read, "/ticket/7", json!({"id": 9})),
            (read, "/queue/soc%20one", json!({"id": 3, "Name": "SOC one"})),
            (read, "/queue/3", json!({"id": "3", "Name": "SOC"})),
            (read, "/rt", json!({"Version": "5.0.3"})),
            (read, "/tickets?per_page=100", page(json!([row]), json!(1), json!(1))),
            (read, "/tickets?per_page=100", page(json!([]), json!(0), json!(0.0))),
            (read, "/transactions?per_page=100", page(json!([row]), json!(1), Value::Null)),
            (write, "/ticket/7", json!([])),
            (write, "/ticket/7", json!(["Ticket 7: done"])),
            (write, "/ticket", json!({"id": "7", "type": "ticket"})),
            (write, "/ticket/7/comment", json!(["Comments added"])),
        ] {
            assert_eq!(judged(effect, below, body), Ok(()), "{below}");
        }
        for (effect, below, body) in [
            (read, "/ticket/7", json!({})),
            (read, "/ticket/7", Value::Null),
            (read, "/queue/SOC", json!({"id": 3, "Name": "Helpdesk"})),
            (read, "/rt", json!([])),
            (read, "/tickets?per_page=100", page(json!([row]), json!(2), json!(2))),
            (read, "/tickets?per_page=100", page(json!([row]), json!(1), json!(2))),
            (read, "/tickets?per_page=100&page=2", page(json!([row]), json!(1), Value::Null)),
            (read, "/tickets?per_page=1", page(json!([row, {"id": "8"}]), json!(2), Value::Null)),
            (read, "/transactions?per_page=100", page(json!([row, row]), json!(2), Value::Null)),
            (read, "/transactions?per_page=100", json!({"items": {}})),
            (write, "/ticket/7", json!({"id": 7})),
            (write, "/ticket/7", json!([7])),
            (write, "/ticket", Value::Null),
            (write, "/ticket/7/comment", Value::Null),
        ] {
            let found = judged(effect, below, body.clone());
            assert!(matches!(found, Err(Unsound::Malformed(_))), "{below} {body}: {found:?}");
        }
        for below in ["/ticket/7", "/transactions", "/queue/SOC", "/ticket/7/history"] {
            let failed = judged(read, below, json!({"message": "Internal Server Error"}));
            assert!(matches!(failed, Err(Unsound::Failed(_))), "{below}: {failed:?}");
            let denied = judged(read, below, json!({"message": "Unauthorized"}));
            assert!(matches!(denied, Err(Unsound::Denied(_))), "{below}: {denied:?}");
        }
        let url = Url::parse(&format!("{ROOT}/ticket/7/comment")).unwrap();
        let nowhere = answer(json!(["Comments added"]), HeaderMap::new());
        let asked = Asked { operation: "comments.create", effect: write, url: &url };
        assert!(Answers.success(&asked, &nowhere).is_err());
    }

    fn meant(below: &str, status: u16, body: Option<Value>) -> Meaning {
        let url = Url::parse(&format!("{ROOT}{below}")).unwrap();
        let evidence = Some(Box::new(Evidence { body, ..Evidence::default() }));
        let site = Box::new(CallSite { evidence, ..CallSite::new("tickets", "x") });
        let (code, message) = (String::new(), "words".to_owned());
        let error = match status {
            401 | 403 => CallError::Denied { site, status, code, message },
            404 => CallError::NotFound { site, status, code, message },
            _ => CallError::Refused { site, status, code, message },
        };
        Answers.refusal(&Asked { operation: "x", effect: Effect::Read, url: &url }, &error)
    }

    #[test]
    fn what_refusals_mean() {
        let says = |text: &str| Some(json!({ "message": text }));
        assert_eq!(meant("/ticket/7", 404, says("Not Found")), Meaning::Gone);
        assert_eq!(meant("/ticket/7?fields=Owner", 404, says(NOT_THERE[1])), Meaning::Gone);
        // A page of a gateway, an address that does not exist, a queue, another's words.
        for (below, body) in [
            ("/ticket/7", None),
            ("/ticket/7", Some(json!({}))),
            ("/ticket/7", says("no healthy upstream")),
            ("/ticket/7", Some(json!({"message": "Not Found", "path": "/x"}))),
            ("/tickets", says("Not Found")),
            ("/queue/7", says("Not Found")),
            ("/ticket/7/history", says("Not Found")),
        ] {
            assert_eq!(meant(below, 404, body), Meaning::AsStated, "{below}");
        }
        for (status, text) in [
            (401, "Unauthorized"),
            (403, "Forbidden"),
            (400, PERMISSION_DENIED),
            (403, "No permission to create"),
        ] {
            let Meaning::Denied(words) = meant("/ticket/7/comment", status, says(text)) else {
                panic!("{text}")
            };
            assert!(words.starts_with(text), "{words}");
        }
        assert_eq!(meant("/ticket/7", 400, says("ContentType is a required field")), Meaning::AsStated);
        assert!(matches!(meant("/ticket/7", 400, None), Meaning::Failed(_)), "not its own form");
        assert!(matches!(meant("/ticket/7", 302, None), Meaning::Denied(_)));
    }

    #[test]
    fn a_log_in_page_is_no_malformed_answer() {
        let url = Url::parse(&format!("{ROOT}/transactions")).unwrap();
        let page = |title: &str| {
            let site = Box::new(CallSite::new("tickets", "tickets.list"));
            let message = format!("a web page titled \"{title}\"");
            let error = CallError::Malformed { site, status: 200, message, too_large: false };
            Answers.refusal(&Asked { operation: "tickets.list", effect: Effect::Read, url: &url }, &error)
        };
        assert!(
            matches!(page("Login"), Meaning::Denied(_))
                && matches!(page("Sign in to SOC"), Meaning::Denied(_))
        );
        assert_eq!(page("503 backend"), Meaning::AsStated);
    }
}
