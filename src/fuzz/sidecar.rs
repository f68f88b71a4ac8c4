//! The sidecar's local API: requests of an adapter, or of somebody who pretends to be one.
//!
//! An input is a series of requests as in `hooks`, parted as in `script`. `$MESSAGE` stands for the id of the oldest
//! message that waits.

use std::borrow::Cow;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderValue, Method, Request, header};
use serde_json::Value;
use tower::ServiceExt;

use super::block_on;
use super::hooks::Raw;
use super::script::parted;
use crate::connectors::sidecar::{Mailbox, TicketState};
use crate::http::secret::SecretRef;
use crate::model::SystemName;
use crate::sidecar::{StoreMailbox, local_api};
use crate::store::MemoryStore;

const KEY: &str = "lockstep-0123456789abcdef0123456789abcdef";
const TOKEN: &str = "Bearer adapter";
/// Requests of one input.
const MOST_REQUESTS: usize = 20;
/// More than all tickets and messages of one input take.
const MOST_BYTES: usize = 64 * 1024 * 1024;

/// Each request without a token, which changes nothing, and with it; then a restart, which changes nothing either.
pub(super) fn sidecar(input: &[u8]) {
    block_on(async {
        let (store, name) = (Arc::new(MemoryStore::new()), SystemName::new("tickets").expect("a sound name"));
        let mailbox = StoreMailbox::open(&name, store.clone()).expect("an empty mailbox can be opened");
        let state = TicketState::new("Phishing".to_owned());
        mailbox.open(KEY, state, "about it".to_owned()).await.expect("a ticket can be opened");
        let api = router(mailbox);
        for part in parted(input).take(MOST_REQUESTS) {
            let part = with_message(&api, part).await;
            let raw = Raw::parse(&part);
            without_a_token(&api, &raw).await;
            with_the_token(&api, &raw).await;
        }
        let again = StoreMailbox::open(&name, store).expect("the mailbox can be opened again");
        assert_eq!(everything(&router(again)).await, everything(&api).await, "a restart changes the mailbox");
    });
}

fn router(mailbox: StoreMailbox) -> Router {
    local_api(mailbox, Some(SecretRef::Inline("adapter".into())))
}

async fn with_message<'i>(api: &Router, part: &'i [u8]) -> Cow<'i, [u8]> {
    let text = String::from_utf8_lossy(part);
    if !text.contains("$MESSAGE") {
        return Cow::Borrowed(part);
    }
    let waiting = &everything(api).await[1];
    let waiting: Value = serde_json::from_str(waiting).expect("answers are JSON");
    let id = waiting.pointer("/messages/0/id").and_then(Value::as_str).unwrap_or("none");
    Cow::Owned(text.replace("$MESSAGE", id).into_bytes())
}

async fn without_a_token(api: &Router, raw: &Raw<'_>) {
    let Some(mut request) = raw.request() else { return };
    if request.headers().get(header::AUTHORIZATION).is_some() {
        request.headers_mut().insert(header::AUTHORIZATION, HeaderValue::from_static("Bearer other"));
    }
    let before = everything(api).await;
    let (status, _) = answer(api, request).await;
    assert!(status == 401 || status == 403, "{status} without a token");
    assert_eq!(everything(api).await, before, "a request without a token changes something");
}

async fn with_the_token(api: &Router, raw: &Raw<'_>) {
    let Some(mut request) = raw.request() else { return };
    let is_read = request.method() == Method::GET || request.method() == Method::HEAD;
    request.headers_mut().insert(header::AUTHORIZATION, HeaderValue::from_static(TOKEN));
    request.headers_mut().insert(header::HOST, HeaderValue::from_static("localhost:8790"));
    let before = everything(api).await;
    let (status, body) = answer(api, request).await;
    assert!((200..500).contains(&status), "{status}: {}", String::from_utf8_lossy(&body));
    let is_json = serde_json::from_slice::<Value>(&body).is_ok();
    assert!(body.is_empty() || is_json, "{status}: no JSON: {}", String::from_utf8_lossy(&body));
    if is_read || status >= 400 {
        assert_eq!(everything(api).await, before, "{status}, and something changed");
    }
}

/// All tickets with their comments, and all messages.
async fn everything(api: &Router) -> Vec<String> {
    let mut all = Vec::new();
    let comments = format!("/v1/tickets/{KEY}/comments");
    for path in ["/v1/tickets", "/v1/changes", "/v1/status", &comments] {
        let request = Request::get(path)
            .header(header::AUTHORIZATION, TOKEN)
            .header(header::HOST, "localhost")
            .body(Body::empty());
        let (status, body) = answer(api, request.expect("the request is sound")).await;
        assert_eq!(status, 200, "{path}");
        all.push(String::from_utf8(body).expect("answers are text"));
    }
    all
}

async fn answer(api: &Router, request: Request<Body>) -> (u16, Vec<u8>) {
    let answer = match api.clone().oneshot(request).await {
        Ok(answer) => answer,
        Err(never) => match never {},
    };
    let status = answer.status().as_u16();
    let body = to_bytes(answer.into_body(), MOST_BYTES).await.expect("an answer has an end");
    (status, body.to_vec())
}
