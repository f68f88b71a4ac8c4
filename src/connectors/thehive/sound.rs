//! What TheHive's answers mean. Its errors are objects `{"type","message"}` (`ticketing.md` 4); a few more forms come
//! from the framework below it, which is open source.
//!
//! | it says | by |
//! | --- | --- |
//! | this case is not there | 404, type `NotFoundError`, and a message that names a case; also to who may not see it, so see `sight.rs` |
//! | this address is not there | 404, type `NotFound` |
//! | I do not know you, you may not | types `AuthenticationError` and `AuthorizationError`, with 401 and 403 |
//! | a part of it failed | 207, type `MultiError` |
//! | this field is wrong | 400, type `AttributeCheckingError`, with a list of `errors` that name fields |
//!
//! What does not look so is the word of something in front of it.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::connectors::sound::{Asked, Meaning, Sound, Unsound};
use crate::connectors::text::shown;
use crate::connectors::ticketing::is_log_in_page;
use crate::http::{Answer, CallError, Effect};

/// Examines them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Answers;

impl Sound for Answers {
    fn success(&self, asked: &Asked<'_>, answer: &Answer) -> Result<(), Unsound> {
        let body = &answer.body;
        if let Some((kind, message)) = error_of(body) {
            return Err(match denied(kind, message) {
                Some(what) => Unsound::Denied(what),
                None => {
                    Unsound::Failed(format!("it says success and means {}: {}", shown(kind), shown(message)))
                }
            });
        }
        let path: Vec<&str> = asked.url.path_segments().into_iter().flatten().collect();
        let has = |name: &str| body[name].as_str().is_some_and(|text| !text.trim().is_empty());
        let sound = match (asked.effect, path.as_slice()) {
            (_, [.., "query"]) => rows(body),
            (Effect::Read, [.., "case", id]) => is_case(body, id),
            (Effect::Read, [.., "user", _]) if !has("login") && !has("_id") => {
                Err("login is missing".to_owned())
            }
            // A change is answered with nothing, or with the case.
            (Effect::Write, [.., "case", id]) if body["_id"].is_string() => is_case(body, id),
            (Effect::Write, [.., "case", _]) => Ok(()),
            (Effect::Write, [.., "alert"]) if !has("sourceRef") => {
                Err("the answer shows no alert".to_owned())
            }
            (Effect::Write, [.., "comment"]) if !has("message") => {
                Err("the answer shows no comment".to_owned())
            }
            (Effect::Write, _) if !has("_id") => Err("the answer does not name what was made".to_owned()),
            _ => Ok(()),
        };
        sound.map_err(Unsound::Malformed)
    }

    fn refusal(&self, asked: &Asked<'_>, error: &CallError) -> Meaning {
        let body = error.evidence().and_then(|evidence| evidence.body.as_ref());
        let (own, status) = (body.and_then(error_of), error.status().unwrap_or_default());
        match (error, own) {
            (CallError::NotFound { .. }, Some(("NotFoundError", message)))
                if names_case(asked) && message.to_lowercase().contains("case") =>
            {
                Meaning::Gone
            }
            (_, Some((kind, message))) if status < 500 => {
                denied(kind, message).map_or(Meaning::AsStated, Meaning::Denied)
            }
            // Its API never redirects: this is the way to a log-in page, or to another address.
            (CallError::Refused { message, .. }, None) if (300..400).contains(&status) => Meaning::Denied(
                format!("{message}; does a log-in stand in front of TheHive, or is `url` another one?"),
            ),
            // Not the service's word, so nobody may conclude that the same request will be refused for good.
            (CallError::Refused { message, .. }, None) => {
                Meaning::Failed(format!("{message} (this is not TheHive's form of a refusal)"))
            }
            (CallError::Malformed { message, .. }, _) if is_log_in_page(message) => {
                Meaning::Denied(format!("{message}; log in again: renew the API key, or correct `url`"))
            }
            _ => Meaning::AsStated,
        }
    }
}

/// Type and words of an error. Cases, alerts and comments have ids, and errors none.
fn error_of(body: &Value) -> Option<(&str, &str)> {
    if !body["_id"].is_null() {
        return None;
    }
    let kind = body["type"].as_str()?;
    let words = body["message"].as_str().or_else(|| body["error"].as_str());
    match words {
        Some(words) => Some((kind, words)),
        None => body["errors"].is_array().then_some((kind, "some of its fields cannot be so")),
    }
}

/// What to renew, where an error is about the caller.
fn denied(kind: &str, message: &str) -> Option<String> {
    let advice = match kind {
        "AuthenticationError" => "the API key does not count any more, or the account is locked; renew it",
        "AuthorizationError" | "Forbidden" => {
            "let the account be in the organisation, with a profile that has the permissions of docs/thehive.md"
        }
        _ => return None,
    };
    Some(format!("{}; {advice}", shown(message)))
}

/// Whether an address is a case's, or below one.
fn names_case(asked: &Asked<'_>) -> bool {
    let path: Vec<&str> = asked.url.path_segments().into_iter().flatten().collect();
    matches!(path.as_slice(), [.., "case", _] | [.., "case", _, "comment"])
}

fn is_case(body: &Value, id: &str) -> Result<(), String> {
    match body["_id"].as_str() {
        Some(own) if own == id => Ok(()),
        Some(own) => Err(format!("the answer is about {}", shown(own))),
        None => Err("this is no case: _id is missing".to_owned()),
    }
}

/// Rows of a query, each there once.
fn rows(body: &Value) -> Result<(), String> {
    let rows = body.as_array().ok_or("the answer to a query is no array; is the address right?")?;
    let ids: Vec<&str> = rows.iter().filter_map(|row| row["_id"].as_str()).collect();
    let once: BTreeSet<&&str> = ids.iter().collect();
    if once.len() < ids.len() { Err("the list brings one row twice".to_owned()) } else { Ok(()) }
}

/// The members of a change that a refusal names, of those that may stay behind: a status cannot.
pub(super) fn named<'a>(error: &CallError, members: impl Iterator<Item = &'a String>) -> Vec<&'a str> {
    let body = error.evidence().and_then(|evidence| evidence.body.as_ref());
    let listed = body.into_iter().flat_map(|body| body["errors"].as_array().into_iter().flatten());
    let listed: Vec<&str> = listed.filter_map(|one| one["name"].as_str()).collect();
    let words = error.words().to_lowercase();
    let of_words = |name: &str| words.split(|c: char| !c.is_alphanumeric()).any(|word| word == name);
    let is_named = |member: &str| {
        let name = member.to_lowercase();
        let by_list =
            listed.iter().any(|one| one.rsplit('.').next().unwrap_or(one).eq_ignore_ascii_case(&name));
        let by_words = match member {
            "assignee" => of_words("assignee") || of_words("user"),
            "addTags" | "removeTags" => of_words("tags") || of_words("tag") || of_words(&name),
            _ => of_words(&name),
        };
        by_list || listed.is_empty() && by_words
    };
    let may_stay = |member: &&str| {
        ["title", "severity", "assignee", "addTags", "removeTags", "summary"].contains(member)
    };
    members.map(String::as_str).filter(may_stay).filter(|member| is_named(member)).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use reqwest::header::HeaderMap;
    use serde_json::json;
    use url::Url;

    use super::*;
    use crate::http::{CallSite, Evidence};

    fn url(below: &str) -> Url {
        Url::parse(&format!("https://hive.example.org/api/v1{below}")).unwrap()
    }

    fn judged(effect: Effect, below: &str, body: Value) -> Result<(), Unsound> {
        let (request_id, client_request_id, date, etag, link, total_count) = Default::default();
        let (status, headers) = (200, HeaderMap::new());
        let answer =
            Answer { status, body, request_id, client_request_id, date, etag, link, total_count, headers };
        Answers.success(&Asked { operation: "x", effect, url: &url(below) }, &answer)
    }

    #[test]
    fn what_a_sound_success_looks_like() {
        let (read, write) = (Effect::Read, Effect::Write);
        let (case, none) = (json!({"_id": "~1", "_type": "Case"}), Value::Null);
        for (effect, below, body) in [
            (read, "/query", json!([])),
            (read, "/query", json!([{"_id": "~1"}, {"_id": "~2"}, {"value": "New"}])),
            (read, "/case/~1", case.clone()),
            (read, "/user/current", json!({"login": "lockstep"})),
            (write, "/case/~1", none.clone()),
            (write, "/case/~1", case.clone()),
            (write, "/case/~1/comment", json!({"_id": "~3", "message": "type: x"})),
            (write, "/alert", json!({"_id": "~4", "type": "lockstep", "sourceRef": "k"})),
            (write, "/alert/~4/case", case.clone()),
        ] {
            assert_eq!(judged(effect, below, body), Ok(()), "{below}");
        }
        for (effect, below, body) in [
            (read, "/query", json!({})),
            (read, "/query", none.clone()),
            (read, "/query", json!([{"_id": "~1"}, {"_id": "~1"}])),
            (read, "/case/~1", json!({"_id": "~2"})),
            (read, "/case/~1", none.clone()),
            (read, "/user/current", json!({})),
            (write, "/case/~1", json!({"_id": "~2"})),
            (write, "/case/~1/comment", none.clone()),
            (write, "/alert", none.clone()),
            (write, "/alert/~4/case", none),
        ] {
            let found = judged(effect, below, body.clone());
            assert!(matches!(found, Err(Unsound::Malformed(_))), "{below} {body}: {found:?}");
        }
        for below in ["/query", "/case/~1", "/user/current"] {
            for failed in [
                json!({"type": "InternalError", "message": "x"}),
                json!({"type": "MultiError", "error": "x", "suberrors": []}),
            ] {
                assert!(matches!(judged(read, below, failed), Err(Unsound::Failed(_))), "{below}");
            }
            let denied = judged(read, below, json!({"type": "AuthenticationError", "message": "x"}));
            assert!(matches!(denied, Err(Unsound::Denied(_))), "{below}: {denied:?}");
        }
        let failed = judged(write, "/case/~1", json!({"type": "MultiError", "error": "x", "suberrors": []}));
        assert!(matches!(failed, Err(Unsound::Failed(_))), "{failed:?}");
    }

    fn refused(status: u16, body: Option<Value>, message: &str) -> CallError {
        let site = CallSite::new("hive", "x");
        let evidence = Some(Box::new(Evidence { body, ..Evidence::default() }));
        let (site, code, message) =
            (Box::new(CallSite { evidence, ..site }), String::new(), message.to_owned());
        match status {
            401 | 403 => CallError::Denied { site, status, code, message },
            404 => CallError::NotFound { site, status, code, message },
            _ => CallError::Refused { site, status, code, message },
        }
    }

    #[test]
    fn what_refusals_mean() {
        let meant = |below: &str, status: u16, body: Option<Value>| {
            Answers.refusal(
                &Asked { operation: "x", effect: Effect::Read, url: &url(below) },
                &refused(status, body, "words"),
            )
        };
        let says = |kind: &str, text: &str| Some(json!({"type": kind, "message": text}));
        assert_eq!(meant("/case/~1", 404, says("NotFoundError", "Case ~1 not found")), Meaning::Gone);
        assert_eq!(meant("/case/~1", 404, says("NotFoundError", "case not found")), Meaning::Gone);
        for (below, body) in [
            ("/case/~1", None),
            ("/case/~1", says("NotFound", "/api/v1/case/~1")),
            ("/case/~1", says("NotFoundError", "User eve not found")),
            ("/case/~1", Some(json!({"message": "Case not found"}))),
            ("/query", says("NotFoundError", "Case ~1 not found")),
            ("/alert/~1/case", says("NotFoundError", "Case template x not found")),
        ] {
            assert_eq!(meant(below, 404, body), Meaning::AsStated, "{below}");
        }
        for (status, kind) in
            [(401, "AuthenticationError"), (403, "AuthorizationError"), (400, "AuthorizationError")]
        {
            assert!(matches!(meant("/case/~1", status, says(kind, "x")), Meaning::Denied(_)), "{kind}");
        }
        assert_eq!(meant("/case/~1", 400, says("BadRequest", "x")), Meaning::AsStated);
        assert!(matches!(meant("/case/~1", 400, None), Meaning::Failed(_)));
        assert!(matches!(meant("/case/~1", 302, None), Meaning::Denied(_)));
    }

    #[test]
    fn a_refusal_names_the_field_that_it_is_about() {
        let members = ["title", "severity", "assignee", "addTags", "status"].map(str::to_owned);
        let of = |body: Option<Value>, message: &str| {
            named(&refused(400, body, message), members.iter())
                .into_iter()
                .map(str::to_owned)
                .collect::<Vec<_>>()
        };
        let list =
            json!({"type": "AttributeCheckingError", "errors": [{"name": "case.severity", "type": "x"}]});
        assert_eq!(of(Some(list), "a title"), ["severity"]);
        assert_eq!(of(None, "title cannot be set to \" \""), ["title"]);
        assert_eq!(of(None, "User eve not found"), ["assignee"]);
        assert_eq!(of(None, "Tag `x` is not allowed"), ["addTags"]);
        assert!(of(None, "status is not what it should be").is_empty());
        assert!(of(None, "Bad request").is_empty());
    }
}
