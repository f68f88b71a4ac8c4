//! `/api/v1`: read only, JSON.

use axum::Router;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Json, Response};
use axum::routing::get;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{AppState, views};
use crate::model::RecordRef;
use crate::store::StoreError;

/// Mappings of one page, unless asked for otherwise.
const DEFAULT_LIMIT: usize = 100;
/// Most mappings of one page.
const MAX_LIMIT: usize = 1000;

pub(super) fn routes() -> Router<AppState> {
    Router::new()
        .route("/api/v1/mappings", get(mappings))
        .route("/api/v1/mappings/{id}", get(mapping))
        .route("/api/v1/dead-letters", get(dead_letters))
        .route("/api/v1/systems", get(systems))
        .route("/api/v1/records/{system}/{kind}/{id}/explain", get(explain))
}

#[derive(Deserialize)]
struct Window {
    after: Option<String>,
    limit: Option<usize>,
}

async fn mappings(State(state): State<AppState>, Query(window): Query<Window>) -> Response {
    let after = match window.after.filter(|after| !after.is_empty()).map(|after| after.parse()).transpose() {
        Ok(after) => after,
        Err(message) => return failed(StatusCode::BAD_REQUEST, message),
    };
    let limit = window.limit.unwrap_or(DEFAULT_LIMIT).clamp(1, MAX_LIMIT);
    found(views::list(&*state.store, after, limit).map(Some), String::new)
}

async fn mapping(State(state): State<AppState>, Path(id): Path<String>) -> Response {
    match id.parse() {
        Ok(parsed) => found(views::story(&*state.store, parsed), || format!("there is no mapping {id}")),
        Err(message) => failed(StatusCode::BAD_REQUEST, message),
    }
}

async fn dead_letters(State(state): State<AppState>) -> Response {
    found(views::dead_letters(&*state.store, MAX_LIMIT).map(Some), String::new)
}

async fn systems(State(state): State<AppState>) -> Response {
    Json(state.telemetry.health().collections()).into_response()
}

async fn explain(
    State(state): State<AppState>,
    Path((system, kind, id)): Path<(String, String, String)>,
) -> Response {
    match format!("{system}/{kind}/{id}").parse::<RecordRef>() {
        Ok(record) => found(views::explain(&*state.store, &state.bridges, &record), || {
            format!("no bridge knows {record}; it may be older than `since`, filtered out, or not seen yet")
        }),
        Err(message) => failed(StatusCode::BAD_REQUEST, message),
    }
}

fn found<T: Serialize>(result: Result<Option<T>, StoreError>, absent: impl FnOnce() -> String) -> Response {
    match result {
        Ok(Some(view)) => Json(view).into_response(),
        Ok(None) => failed(StatusCode::NOT_FOUND, absent()),
        Err(error) => failed(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
    }
}

fn failed(status: StatusCode, message: impl Into<String>) -> Response {
    (status, Json(json!({ "error": message.into() }))).into_response()
}
