//! The routes of the local API. See `docs/sidecar.md`.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, QueryRejection};
use axum::extract::{DefaultBodyLimit, Path, Query, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::{get, post};
use percent_encoding::percent_decode_str;
use secrecy::ExposeSecret;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use utoipa::IntoParams;

use super::adapter_side::MailboxStatus;
use super::mailbox::StoreMailbox;
use super::message::{CommentView, TicketView};
use super::wire::{
    Acknowledged, Acknowledgement, Changes, CommentReport, Failure, TicketComments, TicketReport, Tickets,
};
use crate::connectors::sidecar::MailboxError;
use crate::http::secret::SecretRef;
use crate::server::auth;

/// Largest body, in bytes.
const MAX_BODY: usize = 256 * 1024;
/// Longest wait for messages, in seconds.
const MAX_WAIT: u64 = 60;
/// Requests that may wait for messages at the same time.
const MAX_WAITING: usize = 16;
/// Messages per page at most.
const MAX_MESSAGES: usize = 100;
/// Tickets per page at most.
const MAX_TICKETS: usize = 500;

/// What the routes need.
#[derive(Clone)]
pub(super) struct ApiState {
    mailbox: StoreMailbox,
    token: Option<SecretRef>,
    /// Whether browsers of this machine could reach it.
    tcp: bool,
    stop: CancellationToken,
    waiting: Arc<Semaphore>,
}

impl ApiState {
    pub(super) fn new(
        mailbox: StoreMailbox,
        token: Option<SecretRef>,
        tcp: bool,
        stop: CancellationToken,
    ) -> Self {
        Self { mailbox, token, tcp, stop, waiting: Arc::new(Semaphore::new(MAX_WAITING)) }
    }
}

pub(super) fn router(state: ApiState) -> Router {
    Router::new()
        .route("/v1/status", get(status))
        .route("/v1/openapi.json", get(openapi))
        .route("/v1/tickets", get(tickets))
        .route("/v1/tickets/{key}", get(ticket).put(report).delete(remove))
        .route("/v1/tickets/{key}/comments", get(comments).post(add_comment))
        .route("/v1/changes", get(changes))
        .route("/v1/changes/ack", post(acknowledge))
        .fallback(async || failed(StatusCode::NOT_FOUND, "there is nothing here; see GET /v1/openapi.json"))
        .method_not_allowed_fallback(async || {
            failed(StatusCode::METHOD_NOT_ALLOWED, "not with this method; see GET /v1/openapi.json")
        })
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .layer(middleware::from_fn_with_state(state.clone(), guard))
        .with_state(state)
}

/// Lets the adapter in and nobody else: not pages in a browser of this machine, which could otherwise reach a loopback
/// address by a name of their own, and with a token configured only who has it.
async fn guard(State(state): State<ApiState>, request: Request, next: Next) -> Response {
    let headers = request.headers();
    if headers.contains_key(header::ORIGIN) || (state.tcp && !names_this_machine(headers)) {
        return failed(
            StatusCode::FORBIDDEN,
            "this API is for the adapter on this machine, not for web pages",
        );
    }
    if let Some(reference) = &state.token {
        // Read at each request, so that a rotated file counts at once.
        let Ok(expected) = reference.resolve() else {
            tracing::error!(token = %reference, "the sidecar's token cannot be read; nobody is let in");
            return failed(StatusCode::SERVICE_UNAVAILABLE, "lockstep cannot read the token");
        };
        if !auth::presented(headers).is_some_and(|token| auth::same(&token, expected.expose_secret())) {
            let refusal = failed(StatusCode::UNAUTHORIZED, "a token is needed: Authorization: Bearer TOKEN");
            return ([(header::WWW_AUTHENTICATE, "Bearer")], refusal).into_response();
        }
    }
    // Else axum would answer it, and not in JSON.
    if percent_decode_str(request.uri().path()).decode_utf8().is_err() {
        return failed(StatusCode::BAD_REQUEST, "the address is not UTF-8");
    }
    next.run(request).await
}

fn names_this_machine(headers: &HeaderMap) -> bool {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    };
    ["localhost", "127.0.0.1", "[::1]"].contains(&name)
}

/// How the mailbox stands.
#[utoipa::path(get, path = "/v1/status", responses((status = 200, body = MailboxStatus)))]
pub(super) async fn status(State(state): State<ApiState>) -> Response {
    Json(state.mailbox.status().await).into_response()
}

/// This description.
#[utoipa::path(get, path = "/v1/openapi.json", responses((status = 200, description = "This description", content_type = "application/json")))]
pub(super) async fn openapi() -> Response {
    ([(header::CONTENT_TYPE, "application/json")], super::openapi::description()).into_response()
}

/// Which tickets.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct TicketWindow {
    /// Tickets with keys after this one; absent for the first page.
    after: Option<String>,
    /// Tickets of a page, at most 500.
    #[param(minimum = 1, maximum = 500)]
    limit: Option<usize>,
}

/// All tickets of the mailbox, in order of key: for an adapter that lost its own memory.
#[utoipa::path(get, path = "/v1/tickets", params(TicketWindow), responses((status = 200, body = Tickets), (status = 400, body = Failure)))]
pub(super) async fn tickets(
    State(state): State<ApiState>,
    window: Result<Query<TicketWindow>, QueryRejection>,
) -> Response {
    let window = match window {
        Ok(Query(window)) => window,
        Err(error) => return failed(StatusCode::BAD_REQUEST, error.body_text()),
    };
    let limit = match within("limit", window.limit.unwrap_or(MAX_TICKETS), 1..=MAX_TICKETS) {
        Ok(limit) => limit,
        Err(refusal) => return refusal.into_response(),
    };
    let tickets = state.mailbox.views(&window.after.unwrap_or_default(), limit).await;
    let next = tickets.last().filter(|_| tickets.len() == limit).map(|ticket| ticket.key.clone());
    Json(Tickets { tickets, next }).into_response()
}

/// A ticket with its description.
#[utoipa::path(get, path = "/v1/tickets/{key}", params(("key" = String, Path)), responses((status = 200, body = TicketView), (status = 404, body = Failure)))]
pub(super) async fn ticket(State(state): State<ApiState>, Path(key): Path<String>) -> Response {
    answer(state.mailbox.view(&key).await)
}

/// Reports what a ticket looks like in the ticketing software. Repeating a report changes nothing.
#[utoipa::path(
    put, path = "/v1/tickets/{key}", params(("key" = String, Path)), request_body = TicketReport,
    responses(
        (status = 200, description = "The ticket as it is now", body = TicketView),
        (status = 400, body = Failure), (status = 404, body = Failure),
        (status = 409, description = "The ticket moved on; it is in the answer", body = Failure),
        (status = 413, body = Failure), (status = 415, body = Failure)
    )
)]
pub(super) async fn report(
    State(state): State<ApiState>,
    Path(key): Path<String>,
    headers: HeaderMap,
    bytes: Result<Bytes, BytesRejection>,
) -> Response {
    let report = match body::<TicketReport>(&headers, bytes).and_then(|r| r.check().map_err(Refusal::bad)) {
        Ok(report) => report,
        Err(refusal) => return refusal.into_response(),
    };
    match state.mailbox.report(&key, report).await {
        Err(error @ MailboxError::Stale { .. }) => {
            let ticket = state.mailbox.view(&key).await.ok();
            (StatusCode::CONFLICT, Json(Failure { error: error.to_string(), ticket })).into_response()
        }
        other => answer(other),
    }
}

/// Reports that a ticket is not there any more. lockstep concludes nothing from that for the incident.
#[utoipa::path(delete, path = "/v1/tickets/{key}", params(("key" = String, Path)), responses((status = 204, description = "Noted"), (status = 404, body = Failure)))]
pub(super) async fn remove(State(state): State<ApiState>, Path(key): Path<String>) -> Response {
    match state.mailbox.remove(&key).await {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(error) => refused(&error),
    }
}

/// A ticket's comments, oldest first.
#[utoipa::path(get, path = "/v1/tickets/{key}/comments", params(("key" = String, Path)), responses((status = 200, body = TicketComments), (status = 404, body = Failure)))]
pub(super) async fn comments(State(state): State<ApiState>, Path(key): Path<String>) -> Response {
    answer(state.mailbox.comment_views(&key).await.map(|comments| TicketComments { comments }))
}

/// Reports a comment. The same id again is the same comment.
#[utoipa::path(
    post, path = "/v1/tickets/{key}/comments", params(("key" = String, Path)), request_body = CommentReport,
    responses(
        (status = 201, description = "Taken in", body = CommentView),
        (status = 200, description = "It was there already", body = CommentView),
        (status = 400, body = Failure), (status = 404, body = Failure), (status = 413, body = Failure),
        (status = 415, body = Failure)
    )
)]
pub(super) async fn add_comment(
    State(state): State<ApiState>,
    Path(key): Path<String>,
    headers: HeaderMap,
    bytes: Result<Bytes, BytesRejection>,
) -> Response {
    let comment = match body::<CommentReport>(&headers, bytes).and_then(|c| c.check().map_err(Refusal::bad)) {
        Ok(comment) => comment,
        Err(refusal) => return refusal.into_response(),
    };
    match state.mailbox.add_comment(&key, comment.clone()).await {
        Ok(new) => {
            let status = if new { StatusCode::CREATED } else { StatusCode::OK };
            (status, Json(comment)).into_response()
        }
        Err(error) => refused(&error),
    }
}

/// Which messages.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct ChangeWindow {
    /// Only messages after this sequence number: for going on past some that cannot be carried out yet.
    after: Option<u64>,
    /// Messages of a page, at most 100.
    #[param(minimum = 1, maximum = 100)]
    limit: Option<usize>,
    /// Seconds to wait for a message where there is none, at most 60.
    #[param(minimum = 0, maximum = 60)]
    wait: Option<u64>,
}

/// The messages that are not acknowledged yet, oldest first. Reading them changes nothing.
#[utoipa::path(get, path = "/v1/changes", params(ChangeWindow), responses((status = 200, body = Changes), (status = 400, body = Failure), (status = 429, body = Failure)))]
pub(super) async fn changes(
    State(state): State<ApiState>,
    window: Result<Query<ChangeWindow>, QueryRejection>,
) -> Response {
    let window = match window {
        Ok(Query(window)) => window,
        Err(error) => return failed(StatusCode::BAD_REQUEST, error.body_text()),
    };
    let limit = within("limit", window.limit.unwrap_or(MAX_MESSAGES), 1..=MAX_MESSAGES);
    let (limit, wait) = match (limit, within("wait", window.wait.unwrap_or(0), 0..=MAX_WAIT)) {
        (Ok(limit), Ok(seconds)) => (limit, Duration::from_secs(seconds)),
        (Err(refusal), _) | (_, Err(refusal)) => return refusal.into_response(),
    };
    let Ok(_turn) = state.waiting.try_acquire() else {
        return failed(
            StatusCode::TOO_MANY_REQUESTS,
            "too many requests wait for changes already; one is enough",
        );
    };
    let found = tokio::select! {
        found = state.mailbox.await_pending(window.after.unwrap_or(0), limit, wait) => found,
        () = state.stop.cancelled() => Ok(Vec::new()),
    };
    answer(found.map(|messages| Changes { messages }))
}

/// Says that messages were carried out; they are not sent again. Saying it twice changes nothing.
#[utoipa::path(post, path = "/v1/changes/ack", request_body = Acknowledgement, responses((status = 200, body = Acknowledged), (status = 400, body = Failure), (status = 413, body = Failure), (status = 415, body = Failure)))]
pub(super) async fn acknowledge(
    State(state): State<ApiState>,
    headers: HeaderMap,
    bytes: Result<Bytes, BytesRejection>,
) -> Response {
    let ids = match body::<Acknowledgement>(&headers, bytes).and_then(|a| a.check().map_err(Refusal::bad)) {
        Ok(ids) => ids,
        Err(refusal) => return refusal.into_response(),
    };
    answer(state.mailbox.acknowledge(ids).await.map(|acknowledged| Acknowledged { acknowledged }))
}

/// A number of the query, if it is within what the description says.
fn within<T: PartialOrd + Display>(name: &str, value: T, range: RangeInclusive<T>) -> Result<T, Refusal> {
    if range.contains(&value) {
        return Ok(value);
    }
    Err(Refusal::bad(format!("{name}: must be from {} to {}, not {value}", range.start(), range.end())))
}

/// A JSON body. Another content type is refused, since web pages can send those without being asked.
fn body<T: DeserializeOwned>(
    headers: &HeaderMap,
    bytes: Result<Bytes, BytesRejection>,
) -> Result<T, Refusal> {
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("");
    let essence = content_type.split(';').next().unwrap_or("").trim();
    if !essence.eq_ignore_ascii_case("application/json") {
        let reason = "the body must be JSON: Content-Type: application/json";
        return Err(Refusal(StatusCode::UNSUPPORTED_MEDIA_TYPE, reason.to_owned()));
    }
    let bytes = bytes.map_err(|error| Refusal(error.status(), error.body_text()))?;
    serde_json::from_slice(&bytes).map_err(|error| Refusal::bad(error.to_string()))
}

fn answer<T: serde::Serialize>(result: Result<T, MailboxError>) -> Response {
    match result {
        Ok(value) => Json(value).into_response(),
        Err(error) => refused(&error),
    }
}

fn refused(error: &MailboxError) -> Response {
    let status = match error {
        MailboxError::Absent(_) => StatusCode::NOT_FOUND,
        MailboxError::Stale { .. } => StatusCode::CONFLICT,
        MailboxError::Invalid(_) => StatusCode::BAD_REQUEST,
        MailboxError::Full(_) | MailboxError::Unusable(_) => StatusCode::SERVICE_UNAVAILABLE,
    };
    failed(status, error.to_string())
}

/// Why a body is not taken.
struct Refusal(StatusCode, String);

impl Refusal {
    fn bad(reason: String) -> Self {
        Self(StatusCode::BAD_REQUEST, reason)
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        failed(self.0, self.1)
    }
}

fn failed(status: StatusCode, error: impl Into<String>) -> Response {
    (status, Json(Failure { error: error.into(), ticket: None })).into_response()
}
