//! Webhooks: whole requests to `/hooks/{system}`, and the ids that bodies name.
//!
//! An input is a request line without version, headers and a body, as HTTP writes them:
//!
//! ```text
//! POST /hooks/jira
//! X-Hub-Signature: sha256=00
//!
//! {"issue":{"id":"10042"}}
//! ```

use std::sync::{Arc, LazyLock};

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderValue, Request, Response};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use tower::ServiceExt;

use super::block_on;
use super::script::head;
use super::systems::settings;
use crate::connectors::{Hook, HookProof, connect};
use crate::engine::Hints;
use crate::http::{ClientOptions, Http};
use crate::model::{RecordRef, SystemName};
use crate::server::{AppState, Hooks, router};
use crate::store::MemoryStore;
use crate::telemetry::{Metrics, Telemetry};

/// The secret that `systems.toml` gives all hooks.
const SECRET: &str = "hook";
/// Records that one delivery may name, and that a queue may hold for all.
const MOST_RECORDS: usize = 100;

/// The request as it is, which proves nothing, and with the proof that each system wants.
pub(super) fn hook(input: &[u8]) {
    let request = Raw::parse(input);
    let (status, named) = deliver(&request, None);
    assert!(!(200..300).contains(&status) || request.proves(), "{status} without a proof");
    assert!(named.is_empty() || request.proves(), "{named:?} without a proof");
    for (system, hook) in HOOKS.iter() {
        let (status, named) = deliver(&request, Some((system, hook)));
        assert!([202, 400, 413].contains(&status), "{system}: {status} with the proof");
        assert!(named.len() <= MOST_RECORDS, "{system}: {} records", named.len());
        for record in &named {
            check(record, system);
        }
    }
}

/// The hooks of all systems. Making a client takes longer than thousands of deliveries.
static HOOKS: LazyLock<Vec<(SystemName, Hook)>> = LazyLock::new(|| {
    let http = Http::new(&ClientOptions::default()).expect("a client can be made");
    let connectors = settings().map(|s| connect(s, &http, None).expect("the settings are sound"));
    connectors.filter_map(|c| Some((c.system().clone(), c.hook()?))).collect()
});

fn app(hints: &Hints) -> Router {
    static TELEMETRY: LazyLock<Telemetry> =
        LazyLock::new(|| Telemetry::new(Metrics::local().expect("metrics without a collector can be made")));
    let hooks = HOOKS.iter().cloned();
    router(AppState {
        store: Arc::new(MemoryStore::new()),
        telemetry: TELEMETRY.clone(),
        bridges: Vec::new(),
        token: Some(SECRET_TOKEN.clone()),
        hooks: Hooks::new(hooks, hints.clone()),
    })
}

static SECRET_TOKEN: LazyLock<crate::http::secret::SecretRef> =
    LazyLock::new(|| crate::http::secret::SecretRef::Inline("admin".into()));

/// The status, and the records that wait to be read after that.
fn deliver(raw: &Raw<'_>, prove: Option<(&SystemName, &Hook)>) -> (u16, Vec<String>) {
    let hints = Hints::default();
    let Some(mut request) = raw.request() else { return (400, Vec::new()) };
    if let Some((system, hook)) = prove {
        *request.method_mut() = axum::http::Method::POST;
        *request.uri_mut() = format!("/hooks/{system}").parse().expect("names of systems are plain");
        let (name, value) = match hook.proof {
            HookProof::Hmac(name) => (name, signature(raw.body)),
            HookProof::Shared(name) => (name, SECRET.to_owned()),
        };
        let value = HeaderValue::from_str(&value).expect("proofs are plain");
        request.headers_mut().insert(name, value);
    }
    let answer: Response<Body> = match block_on(app(&hints).oneshot(request)) {
        Ok(answer) => answer,
        Err(never) => match never {},
    };
    (answer.status().as_u16(), hints.waiting())
}

fn signature(body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).expect("keys of any length are taken");
    mac.update(body);
    let digest = mac.finalize().into_bytes();
    digest.iter().fold("sha256=".to_owned(), |text, byte| format!("{text}{byte:02x}"))
}

/// What a delivery names becomes part of an address.
fn check(record: &str, system: &SystemName) {
    let read: RecordRef = record.parse().expect("a waiting record reads back");
    assert_eq!((&read.system, read.to_string().as_str()), (system, record));
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'~');
    let id = read.id.as_str();
    assert!(id.len() <= 128 && id.bytes().all(plain), "{record} names no id");
}

/// A request as an input writes it.
pub(super) struct Raw<'i> {
    line: &'i [u8],
    headers: Vec<(axum::http::HeaderName, HeaderValue)>,
    pub(super) body: &'i [u8],
}

impl<'i> Raw<'i> {
    pub(super) fn parse(input: &'i [u8]) -> Self {
        let end = input.iter().position(|b| *b == b'\n').unwrap_or(input.len());
        let (headers, body) = head(&input[end..]);
        Self { line: &input[..end], headers, body }
    }

    /// The request, if its first line makes one.
    pub(super) fn request(&self) -> Option<Request<Body>> {
        let (method, target) = std::str::from_utf8(self.line).ok()?.split_once(' ')?;
        let mut request = Request::builder().method(method).uri(target);
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        request.body(Body::from(self.body.to_vec())).ok()
    }

    /// Whether the input itself holds a proof, or does not want in where one is needed.
    fn proves(&self) -> bool {
        let target = std::str::from_utf8(self.line).unwrap_or_default();
        !target.contains("/hooks/")
            || self.headers.iter().any(|(_, value)| {
                let value = value.to_str().unwrap_or_default();
                value.trim_start_matches("Bearer ") == SECRET || value == signature(self.body)
            })
    }
}
