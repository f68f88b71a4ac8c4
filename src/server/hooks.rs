//! `/hooks/{system}`: webhooks, taken as hints.
//!
//! A webhook proves where it comes from, and is believed no further: what it carries is not used, it only says which
//! record to read now. So a repeated, late or lying one costs a read at most. Whoever is not let in learns nothing: an
//! unknown system and one without a hook answer alike, and so do a wrong proof and a missing one.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::to_bytes;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Json, Response};
use bytes::Bytes;
use hmac::{Hmac, KeyInit, Mac};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::AppState;
use super::auth::same;
use crate::connectors::{Hook, HookProof};
use crate::engine::Hints;
use crate::http::{Budget, Budgets, Claim};
use crate::model::{RecordRef, SystemName};
use crate::telemetry::{Event, Telemetry};

/// Longest body, in bytes: a Sentinel incident with many entities stays below it.
const MAX_BODY: usize = 256 * 1024;
/// How long a body may take to arrive.
const PATIENCE: Duration = Duration::from_secs(10);
/// Records taken from one delivery.
const MAX_RECORDS: usize = 100;
/// Ids of deliveries remembered per system. A delivery that comes again after so many others costs a read.
const MAX_DELIVERIES: usize = 1024;
/// Deliveries that are taken per system: bursts of 100, then 20 a second.
const RATE: &[Budget] = &[Budget { class: "hooks", per: Duration::from_secs(1), amount: 20, burst: 100 }];

/// The hooks of all systems that have one. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Hooks {
    gates: Arc<BTreeMap<SystemName, Gate>>,
    hints: Hints,
}

/// The hook of one system.
struct Gate {
    hook: Hook,
    rate: Budgets,
    deliveries: Mutex<Deliveries>,
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gate").field("proof", &self.hook.proof).finish_non_exhaustive()
    }
}

impl Hooks {
    /// The hooks of these systems; what they name goes into the queue.
    pub fn new(hooks: impl IntoIterator<Item = (SystemName, Hook)>, hints: Hints) -> Self {
        let gate = |hook| Gate { hook, rate: Budgets::new(RATE, 1.0), deliveries: Mutex::default() };
        let gates = hooks.into_iter().map(|(system, hook)| (system, gate(hook))).collect();
        Self { gates: Arc::new(gates), hints }
    }
}

/// Why a delivery is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Refused {
    /// The body is too large.
    TooLarge,
    /// The body did not arrive.
    Broken,
    /// The secret cannot be read, so nothing can be proved.
    NoSecret,
    /// The proof is wrong or missing.
    Unproven,
    /// Too many.
    Limited,
    /// The body is no JSON.
    Unreadable,
}

impl Refused {
    fn status(self) -> StatusCode {
        match self {
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Broken => StatusCode::REQUEST_TIMEOUT,
            Self::NoSecret => StatusCode::SERVICE_UNAVAILABLE,
            Self::Unproven => StatusCode::UNAUTHORIZED,
            Self::Limited => StatusCode::TOO_MANY_REQUESTS,
            Self::Unreadable => StatusCode::BAD_REQUEST,
        }
    }

    /// The word for metrics.
    fn as_str(self) -> &'static str {
        match self {
            Self::TooLarge => "too-large",
            Self::Broken => "broken",
            Self::NoSecret => "no-secret",
            Self::Unproven => "unproven",
            Self::Limited => "limited",
            Self::Unreadable => "unreadable",
        }
    }
}

/// Takes a delivery: 202 at once, whatever becomes of it.
pub(super) async fn take(
    State(state): State<AppState>,
    Path(system): Path<String>,
    request: Request,
) -> Response {
    let hooks = &state.hooks;
    let named = SystemName::new(&system).ok();
    let Some((system, gate)) = named.and_then(|name| hooks.gates.get_key_value(&name)) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let taken = gate.admit(request).await;
    let outcome = match &taken {
        Ok(Some(_)) => "taken",
        Ok(None) => "repeated",
        Err(refused) => refused.as_str(),
    };
    state.telemetry.emit(&Event::HookCalled { system, outcome });
    match taken {
        Ok(body) => {
            let records = body.map_or(0, |body| name_records(hooks, system, gate, &body, &state.telemetry));
            (StatusCode::ACCEPTED, Json(json!({ "records": records }))).into_response()
        }
        Err(refused) => refused.status().into_response(),
    }
}

/// Hands on what a body names. Returns how many records that are.
fn name_records(
    hooks: &Hooks,
    system: &SystemName,
    gate: &Gate,
    body: &Value,
    telemetry: &Telemetry,
) -> usize {
    let named = (gate.hook.records)(body).into_iter().take(MAX_RECORDS);
    let mut count = 0;
    for (kind, id) in named {
        count += 1;
        let hinted = hooks.hints.push(RecordRef { system: system.clone(), kind, id });
        telemetry.emit(&Event::HintFollowed { system, outcome: hinted.as_str() });
    }
    count
}

impl Gate {
    /// The body of a delivery that may be taken; `None` for one that was taken before.
    async fn admit(&self, request: Request) -> Result<Option<Value>, Refused> {
        let (parts, body) = request.into_parts();
        let body = tokio::time::timeout(PATIENCE, to_bytes(body, MAX_BODY)).await;
        // Who hangs up hears no answer, so what is left of errors is the size.
        let body: Bytes = body.map_err(|_| Refused::Broken)?.map_err(|_| Refused::TooLarge)?;
        self.proven(&parts.headers, &body)?;
        self.rate.take(&Claim::new(RATE[0].class), Duration::ZERO).await.map_err(|_| Refused::Limited)?;
        let json = serde_json::from_slice(&body).map_err(|_| Refused::Unreadable)?;
        let delivery = self.hook.delivery_id.and_then(|name| parts.headers.get(name));
        let repeated = delivery.is_some_and(|id| !self.is_first(id.as_bytes()));
        Ok((!repeated).then_some(json))
    }

    /// The secret is read at each delivery, so that a rotated file counts at once.
    fn proven(&self, headers: &HeaderMap, body: &[u8]) -> Result<(), Refused> {
        let (HookProof::Hmac(name) | HookProof::Shared(name)) = self.hook.proof;
        let proof = headers.get(name).and_then(|value| value.to_str().ok()).ok_or(Refused::Unproven)?;
        let secret = self.hook.secret.resolve().map_err(|error| {
            tracing::error!(%error, "the secret of a hook cannot be read; its webhooks are refused");
            Refused::NoSecret
        })?;
        let secret = secret.expose_secret();
        let is_proven = match self.hook.proof {
            HookProof::Hmac(_) => signed(proof, secret, body),
            HookProof::Shared(_) => same(bare(proof), bare(secret)),
        };
        if is_proven { Ok(()) } else { Err(Refused::Unproven) }
    }

    fn is_first(&self, delivery: &[u8]) -> bool {
        self.deliveries.lock().unwrap_or_else(PoisonError::into_inner).is_first(delivery)
    }
}

/// Who gives the secret as bearer token names the scheme, and may or may not have it in the configured secret, too.
fn bare(secret: &str) -> &str {
    secret.strip_prefix("Bearer ").unwrap_or(secret)
}

/// Whether a header is `sha256=` with the HMAC of the body. Compared without an early end.
fn signed(header: &str, secret: &str, body: &[u8]) -> bool {
    let Some(digest) = header.strip_prefix("sha256=").and_then(from_hex) else { return false };
    // HMAC takes keys of any length, so this cannot fail.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.as_bytes()) else { return false };
    mac.update(body);
    mac.verify_slice(&digest).is_ok()
}

fn from_hex(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    if text.len() != 64 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    for (byte, at) in bytes.iter_mut().zip((0..64).step_by(2)) {
        *byte = u8::from_str_radix(&text[at..at + 2], 16).ok()?;
    }
    Some(bytes)
}

/// The last deliveries, by digests of their ids.
#[derive(Default)]
struct Deliveries {
    order: VecDeque<[u8; 32]>,
    known: HashSet<[u8; 32]>,
}

impl Deliveries {
    /// Remembers a delivery; says whether it was new.
    fn is_first(&mut self, id: &[u8]) -> bool {
        let digest: [u8; 32] = Sha256::digest(id).into();
        if !self.known.insert(digest) {
            return false;
        }
        self.order.push_back(digest);
        if self.order.len() > MAX_DELIVERIES
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
        true
    }
}
