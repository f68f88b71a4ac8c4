//! Answers to judge, without a network.

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Value, json};
use url::Url;

use crate::connectors::sound::{Asked, Meaning, Sound, Unsound};
use crate::http::{Answer, CallError, CallSite, Effect, Evidence};

pub(in crate::connectors) fn answer(status: u16, body: Value) -> Answer {
    Answer {
        status,
        body,
        request_id: None,
        client_request_id: String::new(),
        date: None,
        etag: None,
        link: None,
        total_count: None,
        headers: HeaderMap::new(),
    }
}

/// What is made of a 2xx; `Ok`, `denied`, `failed` or `malformed`, and why.
pub(in crate::connectors) fn judged(
    sound: &dyn Sound,
    (operation, url): (&'static str, &str),
    answer: &Answer,
) -> (&'static str, String) {
    let url = Url::parse(url).unwrap();
    match sound.success(&Asked { operation, effect: Effect::Read, url: &url }, answer) {
        Ok(()) => ("ok", String::new()),
        Err(Unsound::Denied(why)) => ("denied", why),
        Err(Unsound::Failed(why)) => ("failed", why),
        Err(Unsound::Malformed(why)) => ("malformed", why),
    }
}

/// The error that the door makes of a refusal with this body.
pub(in crate::connectors) fn refused(status: u16, body: Option<Value>, location: Option<&str>) -> CallError {
    let text = |name: &str| {
        let stated = body.as_ref().and_then(|body| body["error"][name].as_str());
        stated.unwrap_or_default().to_owned()
    };
    let (code, message) = (text("code"), text("message"));
    let mut headers = HeaderMap::new();
    if let Some(to) = location {
        headers.insert(HeaderName::from_static("location"), HeaderValue::from_str(to).unwrap());
    }
    let mut site = Box::new(CallSite::new("s", "op"));
    site.evidence = Some(Box::new(Evidence { body, headers }));
    match status {
        401 | 403 => CallError::Denied { site, status, code, message },
        404 | 410 => CallError::NotFound { site, status, code, message },
        409 | 412 => CallError::Conflict { site, status, code, message },
        _ => CallError::Refused { site, status, code, message },
    }
}

/// A refusal in the shape of both services.
pub(in crate::connectors) fn error(status: u16, code: &str, message: &str) -> CallError {
    refused(status, Some(json!({"error": {"code": code, "message": message}})), None)
}

/// What is made of a refusal: `as stated`, `gone`, `denied` or `failed`.
pub(in crate::connectors) fn meant(
    sound: &dyn Sound,
    (operation, url): (&'static str, &str),
    error: &CallError,
) -> &'static str {
    let url = Url::parse(url).unwrap();
    match sound.refusal(&Asked { operation, effect: Effect::Read, url: &url }, error) {
        Meaning::AsStated => "as stated",
        Meaning::Gone => "gone",
        Meaning::Denied(_) => "denied",
        Meaning::Blocked(_) => "blocked",
        Meaning::Failed(_) => "failed",
    }
}
