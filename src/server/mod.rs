//! Health, metrics, the read-only API and the status page.
//!
//! | path | what |
//! | --- | --- |
//! | `/healthz` | 200 while the worker makes progress, else 503 with the reasons |
//! | `/readyz` | 200 once every collection was polled successfully, else 503 with the reasons |
//! | `/metrics` | Prometheus text |
//! | `/hooks/{system}` | takes webhooks, as hints (see [`Hooks`]) |
//! | `/api/v1/...` | mappings and explanations as JSON (see [`views`]) |
//! | `/` | the status page |
//!
//! Where a token is configured, `/api` and the status page want it: as bearer token, or as password of any user name,
//! which is what browsers can send.

mod api;
pub(crate) mod auth;
mod hooks;
mod page;
pub mod views;

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod hooks_tests;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
pub(crate) mod sample;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod server_tests;

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware;
use axum::response::{IntoResponse, Json, Response};
use axum::routing::{get, post};
use serde_json::json;
use tokio::net::TcpListener;

pub use hooks::Hooks;

use crate::http::secret::SecretRef;
use crate::model::BridgeName;
use crate::store::Store;
use crate::telemetry::Telemetry;

/// What the server shows.
#[derive(Clone)]
pub struct AppState {
    /// The open store.
    pub store: Arc<dyn Store>,
    /// Metrics, health and the last events.
    pub telemetry: Telemetry,
    /// The bridges in which records are looked up.
    pub bridges: Vec<BridgeName>,
    /// The token of `/api` and the status page.
    pub token: Option<SecretRef>,
    /// What takes the webhooks.
    pub hooks: Hooks,
}

/// Why the server cannot run.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {source}; is another lockstep running? set listen in [server]")]
    Listen {
        /// The address as configured.
        address: SocketAddr,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// The server ended by itself.
    #[error("the server failed: {0}")]
    Serve(std::io::Error),
}

/// Takes the address. Done before the worker starts, so that a taken port is found at once.
pub async fn bind(address: SocketAddr) -> Result<TcpListener, ServerError> {
    TcpListener::bind(address).await.map_err(|source| ServerError::Listen { address, source })
}

/// Serves until `shutdown` resolves; requests in flight are answered first.
pub async fn serve(
    listener: TcpListener,
    state: AppState,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<(), ServerError> {
    axum::serve(listener, router(state)).with_graceful_shutdown(shutdown).await.map_err(ServerError::Serve)
}

/// The routes. Others can be merged to it.
pub fn router(state: AppState) -> Router {
    let guarded = api::routes()
        .route("/", get(page::status))
        .route_layer(middleware::from_fn_with_state(state.clone(), auth::require_token));
    Router::new()
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .route("/hooks/{system}", post(hooks::take))
        .merge(guarded)
        .layer(middleware::map_response(harden))
        .with_state(state)
}

async fn healthz(State(state): State<AppState>) -> Response {
    verdict("stalled", &state.telemetry.health().stalled())
}

async fn readyz(State(state): State<AppState>) -> Response {
    verdict("not ready", &state.telemetry.health().not_ready())
}

fn verdict(otherwise: &str, reasons: &[String]) -> Response {
    if reasons.is_empty() {
        return Json(json!({ "status": "ok" })).into_response();
    }
    (StatusCode::SERVICE_UNAVAILABLE, Json(json!({ "status": otherwise, "reasons": reasons })))
        .into_response()
}

async fn metrics(State(state): State<AppState>) -> Response {
    state.telemetry.set_depths(state.store.counts());
    match state.telemetry.metrics().text() {
        Ok(text) => {
            ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response()
        }
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

/// Incident data stays out of caches and frames, and nothing here may run scripts.
async fn harden(mut response: Response) -> Response {
    let policy = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; form-action 'none'";
    for (name, value) in [
        (header::CACHE_CONTROL, "no-store"),
        (header::CONTENT_SECURITY_POLICY, policy),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
    ] {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}
