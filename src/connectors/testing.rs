//! A server that answers by script and keeps what it saw, and the published schemas to check requests against.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use percent_encoding::percent_decode_str;
use secrecy::SecretString;
use serde_json::{Value, json};
use url::Url;

use crate::http::secret::SecretRef;
use crate::http::{ClientOptions, Credential, Http};

/// One request as the server saw it.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) method: Method,
    pub(super) path: String,
    /// Decoded.
    pub(super) query: String,
    pub(super) headers: HeaderMap,
    pub(super) body: Value,
}

#[derive(Clone, Default)]
struct Script {
    answers: Arc<Mutex<VecDeque<(u16, Value)>>>,
    seen: Arc<Mutex<Vec<Seen>>>,
}

/// Answers by script; a request beyond it gets a 418.
pub(super) struct Server {
    pub(super) url: Url,
    script: Script,
}

impl Server {
    pub(super) async fn start(answers: impl IntoIterator<Item = (u16, Value)>) -> Self {
        let script =
            Script { answers: Arc::new(Mutex::new(answers.into_iter().collect())), ..Script::default() };
        let app = Router::new().fallback(answer).with_state(script.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = Url::parse(&format!("http://{}/root", listener.local_addr().unwrap())).unwrap();
        tokio::spawn(async move { axum::serve(listener, app).await });
        Self { url, script }
    }

    pub(super) fn then(&self, status: u16, body: Value) {
        self.script.answers.lock().unwrap().push_back((status, body));
    }

    pub(super) fn seen(&self) -> Vec<Seen> {
        self.script.seen.lock().unwrap().clone()
    }

    pub(super) fn last(&self) -> Seen {
        self.seen().pop().unwrap()
    }
}

async fn answer(
    State(script): State<Script>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let query = percent_decode_str(uri.query().unwrap_or_default()).decode_utf8_lossy().into_owned();
    let body = serde_json::from_slice(&body).unwrap_or_default();
    script.seen.lock().unwrap().push(Seen { method, path: uri.path().to_owned(), query, headers, body });
    let next = script.answers.lock().unwrap().pop_front();
    let (status, body) = next.unwrap_or((418, json!({"error": {"code": "ScriptEnded", "message": ""}})));
    (StatusCode::from_u16(status).unwrap(), axum::Json(body)).into_response()
}

pub(super) fn http() -> Http {
    Http::new(&ClientOptions::default()).unwrap()
}

/// A credential that needs no token service.
pub(super) fn credential() -> Credential {
    let password = SecretRef::Inline(SecretString::from("p".to_owned()));
    Credential::Basic { username: "u".to_owned(), password }
}

/// A file of the published descriptions, or `None` with a loud line where they are not at hand.
pub(super) fn spec(file: &str) -> Option<Value> {
    let path = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/specs")).join(file);
    match std::fs::read(&path) {
        Ok(bytes) => Some(serde_json::from_slice(&bytes).unwrap()),
        Err(error) => {
            eprintln!("SKIPPED: {} cannot be read ({error}); nothing was checked", path.display());
            None
        }
    }
}

/// Checks a body against a schema that the document holds under `pointer` (`/components/schemas/x`). Unknown
/// properties and read-only ones count as faults too.
pub(super) fn check(document: &Value, pointer: &str, body: &Value) {
    let mut schema = document.clone();
    nullable(&mut schema);
    schema["$ref"] = format!("#{pointer}").into();
    let validator = jsonschema::options().with_draft(jsonschema::Draft::Draft201909).build(&schema).unwrap();
    let faults: Vec<_> = validator.iter_errors(body).map(|e| e.to_string()).collect();
    assert!(faults.is_empty(), "{pointer}: {faults:?} in {body}");
    let known = properties(document, pointer);
    for name in body.as_object().unwrap().keys() {
        let found = known.iter().find(|(known, _)| known == name);
        let (_, schema) = found.unwrap_or_else(|| panic!("{pointer} has no property {name}"));
        assert_ne!(schema["readOnly"], true, "{name} is read-only");
    }
}

/// The properties of a schema and of what it is composed of.
fn properties(document: &Value, pointer: &str) -> Vec<(String, Value)> {
    let mut found = Vec::new();
    let mut open = vec![document.pointer(pointer).unwrap().clone()];
    while let Some(schema) = open.pop() {
        if let Some(target) = schema["$ref"].as_str() {
            open.push(document.pointer(&target[1..]).unwrap().clone());
        }
        open.extend(schema["allOf"].as_array().into_iter().flatten().cloned());
        found.extend(
            schema["properties"].as_object().into_iter().flatten().map(|(k, v)| (k.clone(), v.clone())),
        );
    }
    found
}

/// `OpenAPI` 3.0 says `nullable`, which JSON Schema does not know.
fn nullable(schema: &mut Value) {
    match schema {
        Value::Object(map) => {
            if map.get("nullable") == Some(&Value::Bool(true))
                && map.get("type").is_some_and(Value::is_string)
            {
                let named = map["type"].clone();
                map.insert("type".to_owned(), json!([named, "null"]));
            }
            map.values_mut().for_each(nullable);
        }
        Value::Array(list) => list.iter_mut().for_each(nullable),
        _ => {}
    }
}
