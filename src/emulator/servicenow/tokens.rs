//! Who may call: a password, or a token of `/oauth_token.do` (`ticketing.md` 1.1).

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::json;
use uuid::Uuid;

use super::settings::Settings;
use crate::emulator::clock::later;
use crate::emulator::desk::{USER, has_password};
use crate::emulator::login::bearer;
use crate::emulator::options::CLIENT_SECRET;
use crate::emulator::wire::{Reply, Request};

/// Access tokens with their end.
#[derive(Debug, Default)]
pub(super) struct Tokens(BTreeMap<String, Timestamp>);

impl Tokens {
    /// Whether a request proves that it comes from the service user.
    pub(super) fn admits(&self, request: &Request, now: Timestamp) -> bool {
        let end = bearer(request).and_then(|token| self.0.get(token));
        has_password(request) || end.is_some_and(|end| now < *end)
    }

    /// The token of a request counts as expired from now on.
    pub(super) fn expire(&mut self, request: &Request) {
        if let Some(token) = bearer(request) {
            self.0.remove(token);
        }
    }

    /// Answers a token request.
    pub(super) fn issue(&mut self, request: &Request, settings: &Settings, now: Timestamp) -> Reply {
        let form: BTreeMap<String, String> =
            url::form_urlencoded::parse(&request.body).into_owned().collect();
        let is = |name: &str, wanted: &str| form.get(name).is_some_and(|value| value == wanted);
        let refused = |status, error: &str, text: &str| {
            Reply::json(status, json!({"error": error, "error_description": text}))
        };
        if !(is("client_id", USER) && is("client_secret", CLIENT_SECRET)) {
            return refused(401, "invalid_client", "client_id or client_secret is wrong");
        }
        let with_user = is("grant_type", "password");
        match form.get("grant_type").map(String::as_str) {
            Some("password") if is("username", USER) && is("password", CLIENT_SECRET) => {}
            Some("password") => return refused(401, "access_denied", "access_denied"),
            Some("client_credentials") if settings.client_credentials => {}
            Some("client_credentials") => {
                return refused(401, "server_error", "the grant type client_credentials is not enabled");
            }
            _ => return refused(400, "unsupported_grant_type", "unsupported grant type"),
        }
        let token = Uuid::new_v4().simple().to_string();
        self.0.insert(token.clone(), later(now, settings.token_lifetime));
        #[allow(clippy::cast_possible_truncation)]
        let lifetime = settings.token_lifetime as i64;
        let mut body = json!({
            "access_token": token, "scope": "useraccount", "token_type": "Bearer", "expires_in": lifetime,
        });
        // Client credentials get none (`ticketing.md` 1.1).
        if with_user {
            body["refresh_token"] = json!(Uuid::new_v4().simple().to_string());
        }
        Reply::json(200, body)
    }
}
