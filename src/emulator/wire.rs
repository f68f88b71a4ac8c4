//! Requests and answers as plain values, so that everything behind the listener is ordinary functions.

use serde_json::{Value, json};
use uuid::Uuid;

/// One request, read completely.
#[derive(Debug, Clone)]
pub(super) struct Request {
    pub(super) method: String,
    /// The path, decoded, without empty segments.
    pub(super) path: Vec<String>,
    /// The query, decoded.
    pub(super) query: Vec<(String, String)>,
    /// Names in lower case.
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

impl Request {
    /// A request from its parts; `target` is path and query as sent.
    pub(super) fn new(method: &str, target: &str, headers: Vec<(String, String)>, body: Vec<u8>) -> Self {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let path = path
            .split('/')
            .filter(|segment| !segment.is_empty())
            .map(|segment| percent_encoding::percent_decode_str(segment).decode_utf8_lossy().into_owned())
            .collect();
        let query = url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        Self { method: method.to_owned(), path, query, headers, body }
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    /// A query option; names are matched as written.
    pub(super) fn option(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    /// The body as JSON; `None` where it is none, or not declared as JSON.
    pub(super) fn json(&self) -> Option<Value> {
        let declared = self.header("content-type").is_some_and(|text| text.contains("json"));
        declared.then(|| serde_json::from_slice(&self.body).ok()).flatten()
    }

    /// The whole address below a root, as a caller would write it, but unescaped.
    pub(super) fn address(&self, root: &str) -> String {
        let query: Vec<String> = self.query.iter().map(|(name, value)| format!("{name}={value}")).collect();
        format!("{root}/{}?{}", self.path.join("/"), query.join("&"))
    }

    /// The caller's trace id, or a new one.
    pub(super) fn client_request_id(&self) -> String {
        let own = self.header("client-request-id").or_else(|| self.header("x-ms-client-request-id"));
        own.map_or_else(|| Uuid::new_v4().to_string(), str::to_owned)
    }
}

/// What an answer carries.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Body {
    Empty,
    Json(Value),
    /// Anything else, with its content type.
    Raw(&'static str, String),
}

/// One answer.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: Body,
}

impl Reply {
    pub(super) fn json(status: u16, body: Value) -> Self {
        Self { status, headers: Vec::new(), body: Body::Json(body) }
    }

    pub(super) fn empty(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: Body::Empty }
    }

    pub(super) fn html(status: u16) -> Self {
        let page = format!(
            "<!DOCTYPE html><html><head><title>{status}</title></head><body><h2>Our services aren't available \
             right now</h2><p>Ref A: {}</p></body></html>",
            Uuid::new_v4()
        );
        Self { status, headers: Vec::new(), body: Body::Raw("text/html; charset=utf-8", page) }
    }

    pub(super) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// The JSON body; null where there is none.
    #[cfg(test)]
    pub(super) fn value(&self) -> &Value {
        match &self.body {
            Body::Json(value) => value,
            Body::Empty | Body::Raw(..) => &Value::Null,
        }
    }
}

/// A refusal: status, code and message. Each API wraps it in its own error shape.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) status: u16,
    pub(super) code: String,
    pub(super) message: String,
}

impl Refusal {
    pub(super) fn new(status: u16, code: &str, message: impl Into<String>) -> Self {
        Self { status, code: code.to_owned(), message: message.into() }
    }

    pub(super) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(400, "BadRequest", message)
    }

    /// The plain `{"error":{code,message}}` of Azure Resource Manager (`sentinel.md` 8.3).
    pub(super) fn reply(&self) -> Reply {
        Reply::json(self.status, json!({ "error": { "code": self.code, "message": self.message } }))
    }
}
