//! The one token that guards incident data.

use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use secrecy::ExposeSecret;
use sha2::{Digest, Sha256};

use super::AppState;

/// Lets a request through when no token is configured, or when it brings the right one.
pub(super) async fn require_token(State(state): State<AppState>, request: Request, next: Next) -> Response {
    let Some(reference) = &state.token else { return next.run(request).await };
    // Read at each request, so that a rotated file counts at once.
    let expected = match reference.resolve() {
        Ok(expected) => expected,
        Err(error) => {
            tracing::error!(%error, "the server's token cannot be read; nobody is let in");
            return (StatusCode::SERVICE_UNAVAILABLE, "the server's token cannot be read\n").into_response();
        }
    };
    match presented(request.headers()) {
        Some(token) if same(&token, expected.expose_secret()) => next.run(request).await,
        _ => refused(),
    }
}

fn refused() -> Response {
    let text = "a token is needed: Authorization: Bearer TOKEN, or the token as password\n";
    let challenge = [(header::WWW_AUTHENTICATE, "Basic realm=\"lockstep\", charset=\"UTF-8\"")];
    (StatusCode::UNAUTHORIZED, challenge, text).into_response()
}

/// The token of `Authorization`: a bearer token, or the password of a basic pair.
pub(crate) fn presented(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, rest) = value.split_once(' ')?;
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some(rest.trim().to_owned());
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let pair = String::from_utf8(STANDARD.decode(rest.trim()).ok()?).ok()?;
    pair.split_once(':').map(|(_, password)| password.to_owned())
}

/// Compares digests byte by byte without an early end, so that timing tells neither content nor length.
pub(crate) fn same(a: &str, b: &str) -> bool {
    let (a, b) = (Sha256::digest(a.as_bytes()), Sha256::digest(b.as_bytes()));
    a.iter().zip(b.iter()).fold(0, |difference, (x, y)| difference | (x ^ y)) == 0
}
