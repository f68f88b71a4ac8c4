//! What each answer of each operation means.

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Value, json};
use url::Url;

use super::*;
use crate::http::{CallSite, Evidence};

const ID: &str = "0123456789abcdef0123456789abcdef";
const OTHER: &str = "fedcba9876543210fedcba9876543210";
const FIELDS: &str = "sys_id,state,sys_updated_on";

/// Every operation, its effect, and whether it is about a record, a table of tickets, or another table.
const OPERATIONS: [(&str, Effect, &str); 9] = [
    ("tickets.list", Effect::Read, "incident"),
    ("tickets.find", Effect::Read, "incident"),
    ("comments.list", Effect::Read, "sys_journal_field"),
    ("choices.list", Effect::Read, "sys_choice"),
    ("people.list", Effect::Read, "sys_user"),
    ("tickets.get", Effect::Read, "incident/ID"),
    ("tickets.update", Effect::Write, "incident/ID"),
    ("comments.create", Effect::Write, "incident/ID"),
    ("tickets.create", Effect::Write, "incident"),
];

fn url(path: &str) -> Url {
    let path = path.replace("ID", ID);
    let query = format!("sysparm_limit=100&sysparm_fields={FIELDS}");
    Url::parse(&format!("https://x.example/api/now/table/{path}?{query}")).unwrap()
}

fn row(id: &str) -> Value {
    json!({"sys_id": id, "state": "2", "sys_updated_on": "2026-11-23 09:01:07"})
}

fn answer(body: Value, headers: &[(&'static str, &str)]) -> Answer {
    let mut all = HeaderMap::new();
    for (name, value) in headers {
        all.insert(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
    }
    let text = |name: &str| all.get(name).map(|value| value.to_str().unwrap().to_owned());
    Answer {
        status: 200,
        body,
        request_id: None,
        client_request_id: String::new(),
        date: None,
        etag: None,
        link: text("link"),
        total_count: text("x-total-count").and_then(|count| count.parse().ok()),
        headers: all,
    }
}

fn success(operation: &'static str, body: Value, headers: &[(&'static str, &str)]) -> &'static str {
    let (_, effect, path) = OPERATIONS.into_iter().find(|(name, ..)| *name == operation).unwrap();
    let url = url(path);
    match Answers.success(&Asked { operation, effect, url: &url }, &answer(body, headers)) {
        Ok(()) => "sound",
        Err(Unsound::Denied(_)) => "denied",
        Err(Unsound::Failed(_)) => "failed",
        Err(Unsound::Malformed(_)) => "malformed",
    }
}

fn is_one(operation: &str) -> bool {
    OPERATIONS.iter().any(|(name, _, path)| *name == operation && path.contains("ID"))
        || operation == "tickets.create"
}

#[test]
fn answers_of_success_that_are_none_in_any_operation() {
    let cut_off = |result: Value| {
        let words = "Transaction cancelled: maximum execution time exceeded";
        json!({"result": result, "error": {"message": words, "detail": "..."}, "status": "failure"})
    };
    let stranger = json!({
        "error": {"message": "User Not Authenticated", "detail": "Required to provide Auth information"},
        "status": "failure",
    });
    for (operation, ..) in OPERATIONS {
        let good = if is_one(operation) { row(ID) } else { json!([row(ID)]) };
        let whole = json!({"result": good});
        assert_eq!(success(operation, whole.clone(), &[]), "sound", "{operation}");
        assert_eq!(success(operation, whole.clone(), &[("x-is-logged-in", "true")]), "sound", "{operation}");
        assert_eq!(success(operation, whole, &[("x-is-logged-in", "false")]), "denied", "{operation}");
        for body in [Value::Null, json!("ok"), json!([]), json!({}), json!({"records": []})] {
            assert_eq!(success(operation, body.clone(), &[]), "malformed", "{operation} {body}");
        }
        let marks = [("x-total-count", "1"), ("link", "<https://x>;rel=\"first\"")];
        for headers in [&marks[..], &[]] {
            for rows in [json!([]), good.clone()] {
                assert_eq!(success(operation, cut_off(rows), headers), "failed", "{operation}");
            }
            assert_eq!(success(operation, stranger.clone(), headers), "denied", "{operation}");
        }
        assert_eq!(success(operation, json!({"result": good, "status": "failure"}), &[]), "failed");
        assert_eq!(success(operation, json!({"result": good, "error": "x"}), &[]), "failed", "{operation}");
    }
}

#[test]
fn a_record_is_the_one_that_was_asked_for_and_shows_its_fields() {
    for operation in ["tickets.get", "tickets.update", "comments.create"] {
        assert_eq!(success(operation, json!({"result": row(OTHER)}), &[]), "malformed", "{operation}");
    }
    for operation in ["tickets.get", "tickets.update", "comments.create", "tickets.create"] {
        assert_eq!(success(operation, json!({"result": [row(ID)]}), &[]), "malformed", "{operation}");
        for field in FIELDS.split(',') {
            let mut bare = row(ID);
            bare.as_object_mut().unwrap().remove(field);
            assert_eq!(success(operation, json!({"result": bare}), &[]), "denied", "{operation} {field}");
        }
    }
}

#[test]
fn a_list_shows_its_rows_and_all_of_them() {
    let lists = ["tickets.list", "tickets.find", "comments.list", "choices.list"];
    for operation in lists {
        let rows = |rows: Value, total: &str| {
            success(operation, json!({ "result": rows }), &[("x-total-count", total)])
        };
        assert_eq!(rows(json!([]), "0"), "sound", "{operation}");
        assert_eq!(rows(json!([]), "3"), "denied", "a role was lost: {operation}");
        assert_eq!(rows(json!([row(ID)]), "2"), "denied", "cut off, or hidden: {operation}");
        assert_eq!(rows(json!([row(ID), row(ID)]), "1"), "malformed", "{operation}");
        assert_eq!(rows(json!([{}]), "1"), "denied", "{operation}");
        assert_eq!(rows(json!(["x"]), "1"), "malformed", "{operation}");
        for id in [json!(null), json!(7), json!(" ")] {
            let mut odd = row(ID);
            odd["sys_id"] = id;
            assert_eq!(rows(json!([odd]), "1"), "malformed", "{operation}");
        }
    }
    let people = |rows: Value| success("people.list", json!({ "result": rows }), &[("x-total-count", "2")]);
    assert_eq!(
        (people(json!([])), people(json!([{}]))),
        ("sound", "sound"),
        "nobody is concluded to be gone"
    );
}

fn refusal(operation: &'static str, status: u16, kind: &str, body: &Value) -> &'static str {
    let (_, effect, path) = OPERATIONS.into_iter().find(|(name, ..)| *name == operation).unwrap();
    let url = url(path);
    let mut site = Box::new(CallSite::new("tickets", operation));
    let mut headers = HeaderMap::new();
    headers.insert("content-type", HeaderValue::from_str(kind).unwrap());
    site.evidence = Some(Box::new(Evidence { body: body.is_object().then(|| body.clone()), headers }));
    let text = |of: &Value| of.as_str().map(str::to_owned);
    let message = text(body).unwrap_or_else(|| {
        let parts = [&body["error"]["message"], &body["error"]["detail"]];
        parts.into_iter().filter_map(text).collect::<Vec<_>>().join(": ")
    });
    let code = String::new();
    let error = match status {
        200 => CallError::Malformed { site, status, message, too_large: false },
        401 | 403 => CallError::Denied { site, status, code, message },
        404 | 410 => CallError::NotFound { site, status, code, message },
        500.. => CallError::Unknown { site, status: Some(status), message, retry_after: None },
        _ => CallError::Refused { site, status, code, message },
    };
    match Answers.refusal(&Asked { operation, effect, url: &url }, &error) {
        Meaning::AsStated => "as stated",
        Meaning::Gone => "gone",
        Meaning::Denied(_) => "denied",
        Meaning::Blocked(_) => "blocked",
        Meaning::Failed(_) => "failed",
    }
}

const JSON: &str = "application/json;charset=UTF-8";
const HTML: &str = "text/html";

fn error(message: &str, detail: &str) -> Value {
    json!({"error": {"message": message, "detail": detail}, "status": "failure"})
}

#[test]
fn only_the_words_for_a_record_say_that_one_is_gone() {
    let gone = error("No Record found", "Record doesn't exist or ACL restricts the record retrieval");
    let page = json!("a web page titled \"404 page not found\"");
    let resting = json!("a web page titled \"Instance Hibernating page\"");
    for (operation, _, path) in OPERATIONS {
        let expected = if path.contains("ID") { "gone" } else { "as stated" };
        assert_eq!(refusal(operation, 404, JSON, &gone), expected, "{operation}");
        assert_eq!(refusal(operation, 404, HTML, &gone), "as stated", "{operation}");
        assert_eq!(refusal(operation, 410, JSON, &gone), "as stated", "{operation}");
        for other in [&page, &resting, &json!({}), &json!("Not Found"), &error("Not Found", "no such route")]
        {
            assert_eq!(refusal(operation, 404, JSON, other), "as stated", "{operation} {other}");
        }
    }
}

#[test]
fn who_calls_and_what_may_be_read_is_told_by_many_an_answer() {
    let read = |status, body: &Value| refusal("tickets.list", status, JSON, body);
    for (status, body, expected) in [
        (401, error("User Not Authenticated", "Required to provide Auth information"), "denied"),
        (403, error("User Not Authorized", "Failed API level ACL Validation"), "denied"),
        (400, error("Invalid table incident", ""), "denied"),
        (400, error("Requested URI does not represent any resource", "/api/now/x"), "denied"),
        (302, json!("redirected to https://login.example.org/saml, which is not followed"), "denied"),
        (
            302,
            json!("redirected to https://developer.servicenow.com/hibernating, which is not followed"),
            "failed",
        ),
        (200, json!("a web page titled \"Log in | ServiceNow\""), "denied"),
        (200, json!("a web page titled \"Instance Hibernating page\""), "as stated"),
        (200, json!("the answer is not JSON: log in"), "as stated"),
        (400, error("Invalid query", ""), "failed"),
        (503, error("Service unavailable", ""), "as stated"),
    ] {
        assert_eq!(read(status, &body), expected, "{status} {body}");
    }
    let write = |status, body: &Value| refusal("tickets.update", status, JSON, body);
    for (status, body, expected) in [
        (401, error("User Not Authenticated", ""), "denied"),
        (302, json!("redirected to https://login.example.org/saml, which is not followed"), "denied"),
        (400, error("Invalid table incident", ""), "denied"),
        (403, error("Operation Failed", "Data Policy Exception: x"), "as stated"),
        (400, error("Exception while reading request", ""), "as stated"),
    ] {
        assert_eq!(write(status, &body), expected, "{status} {body}");
    }
}
