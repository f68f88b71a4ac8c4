//! The token endpoint: client credentials with a secret or a signed assertion (`graph-security.md` 1.2).

use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jiff::Timestamp;
use serde_json::{Value, json};
use uuid::Uuid;

use super::clock::later;
use super::options::EmulatorOptions;
use super::settings::LoginRefusal;
use super::wire::{Reply, Request};

/// The resource a token is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Audience {
    Graph,
    Arm,
}

/// A token that was issued.
#[derive(Debug, Clone)]
struct Issued {
    client_id: String,
    audience: Audience,
    expires: Timestamp,
}

/// Every token ever issued.
#[derive(Debug, Default)]
pub(super) struct Tokens {
    issued: HashMap<String, Issued>,
}

/// Whether a request's token opens an API.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Access {
    /// Yes, as this application.
    App(String),
    Missing,
    Expired,
    Invalid,
}

impl Tokens {
    fn issue(&mut self, client_id: &str, audience: Audience, expires: Timestamp) -> String {
        let token = format!("eyJ0eXAiOiJKV1QifQ.{}.emulated", Uuid::new_v4().simple());
        let issued = Issued { client_id: client_id.to_owned(), audience, expires };
        self.issued.insert(token.clone(), issued);
        token
    }

    /// Ends every token issued so far.
    pub(super) fn revoke(&mut self, now: Timestamp) {
        for issued in self.issued.values_mut() {
            issued.expires = issued.expires.min(now);
        }
    }

    /// Ends the token of one request.
    pub(super) fn expire(&mut self, request: &Request, now: Timestamp) {
        if let Some(issued) = bearer(request).and_then(|token| self.issued.get_mut(token)) {
            issued.expires = issued.expires.min(now);
        }
    }

    pub(super) fn access(&self, request: &Request, audience: Audience, now: Timestamp) -> Access {
        let Some(token) = bearer(request) else { return Access::Missing };
        match self.issued.get(token) {
            Some(issued) if issued.audience != audience => Access::Invalid,
            Some(issued) if issued.expires <= now => Access::Expired,
            Some(issued) => Access::App(issued.client_id.clone()),
            None => Access::Invalid,
        }
    }
}

/// The token of a request.
pub(super) fn bearer(request: &Request) -> Option<&str> {
    request.header("authorization")?.strip_prefix("Bearer ").filter(|token| !token.is_empty())
}

/// A refusal of the token endpoint.
struct Aadsts {
    status: u16,
    error: &'static str,
    code: u32,
    text: String,
}

impl Aadsts {
    fn new(status: u16, error: &'static str, code: u32, text: impl Into<String>) -> Self {
        Self { status, error, code, text: text.into() }
    }

    fn reply(&self, now: Timestamp) -> Reply {
        let (trace, correlation) = (Uuid::new_v4().to_string(), Uuid::new_v4().to_string());
        let timestamp = now.strftime("%Y-%m-%d %H:%M:%SZ").to_string();
        let description = format!(
            "AADSTS{}: {} Trace ID: {trace} Correlation ID: {correlation} Timestamp: {timestamp}",
            self.code, self.text
        );
        let body = json!({
            "error": self.error, "error_description": description, "error_codes": [self.code],
            "timestamp": timestamp, "trace_id": trace, "correlation_id": correlation,
            "error_uri": format!("https://login.microsoftonline.com/error?code={}", self.code),
        });
        Reply::json(self.status, body)
    }
}

/// Answers `POST /{tenant}/oauth2/v2.0/token`; `path` is what follows `/login`.
pub(super) fn token(
    tokens: &mut Tokens,
    (options, refuses): (&EmulatorOptions, LoginRefusal),
    request: &Request,
    path: &[String],
    (now, is_real_time): (Timestamp, bool),
) -> Reply {
    let granted = match lasting(refuses) {
        None => grant(options, request, path, is_real_time),
        Some(refusal) => Err(refusal),
    };
    match granted {
        Ok((client_id, audience)) => {
            let lifetime = options.token_lifetime;
            let token = tokens.issue(&client_id, audience, later(now, f64::from(lifetime)));
            let body = json!({
                "token_type": "Bearer", "expires_in": lifetime, "ext_expires_in": lifetime, "access_token": token,
            });
            Reply::json(200, body).with("cache-control", "no-store, no-cache").with("pragma", "no-cache")
        }
        Err(refusal) => refusal.reply(now),
    }
}

/// What everybody is refused with.
fn lasting(refuses: LoginRefusal) -> Option<Aadsts> {
    match refuses {
        LoginRefusal::None => None,
        LoginRefusal::SecretExpired => {
            let text = "The provided client secret keys for the application are expired.";
            Some(Aadsts::new(401, "invalid_client", 7_000_222, text))
        }
        LoginRefusal::AppRemoved => {
            let text = "The application was not found in the directory.";
            Some(Aadsts::new(400, "unauthorized_client", 700_016, text))
        }
        LoginRefusal::TenantGone => {
            Some(Aadsts::new(400, "invalid_request", 90002, "The tenant was not found."))
        }
    }
}

fn grant(
    options: &EmulatorOptions,
    request: &Request,
    path: &[String],
    is_real_time: bool,
) -> Result<(String, Audience), Aadsts> {
    let tenant = path.first().map_or("", String::as_str);
    if !tenant.eq_ignore_ascii_case(&options.tenant_id) {
        return Err(Aadsts::new(400, "invalid_request", 90002, format!("Tenant '{tenant}' not found.")));
    }
    if path.get(1..).is_none_or(|rest| rest.join("/") != "oauth2/v2.0/token") {
        return Err(Aadsts::new(404, "invalid_request", 900_561, "The endpoint only accepts POST requests."));
    }
    let form: HashMap<String, String> = url::form_urlencoded::parse(&request.body).into_owned().collect();
    let field = |name: &str| form.get(name).map_or("", String::as_str);
    match field("grant_type") {
        "client_credentials" => {}
        "" => return Err(missing("grant_type")),
        other => {
            let text = format!("The app requested an unsupported grant type '{other}'.");
            return Err(Aadsts::new(400, "unsupported_grant_type", 70003, text));
        }
    }
    authenticated(options, request, &field, is_real_time)
}

/// The application, once its credential and the scope it asks for were looked at.
fn authenticated<'a>(
    options: &EmulatorOptions,
    request: &Request,
    field: &dyn Fn(&str) -> &'a str,
    is_real_time: bool,
) -> Result<(String, Audience), Aadsts> {
    let basic = basic(request);
    let (client_id, secret) = match &basic {
        Some((id, secret)) => (id.as_str(), secret.as_str()),
        None => (field("client_id"), field("client_secret")),
    };
    if client_id.is_empty() {
        return Err(Aadsts::new(
            400,
            "invalid_request",
            900_144,
            "The request body must contain 'client_id'.",
        ));
    }
    let Some(app) = options.apps.iter().find(|app| app.client_id.eq_ignore_ascii_case(client_id)) else {
        let text = format!("Application with identifier '{client_id}' was not found in the directory.");
        return Err(Aadsts::new(400, "unauthorized_client", 700_016, text));
    };
    let audience = audience(field("scope"))?;
    match (secret, field("client_assertion")) {
        ("", "") => return Err(Aadsts::new(401, "invalid_client", 7_000_218, "No credential was given.")),
        ("", assertion) => {
            check_assertion(field("client_assertion_type"), assertion, client_id, is_real_time)?;
        }
        (secret, _) if secret == app.secret => {}
        _ => return Err(Aadsts::new(401, "invalid_client", 7_000_215, "Invalid client secret provided.")),
    }
    Ok((app.client_id.clone(), audience))
}

fn missing(name: &str) -> Aadsts {
    let text = format!("The request body must contain the following parameter: '{name}'.");
    Aadsts::new(400, "invalid_request", 900_144, text)
}

/// HTTP Basic carries client id and secret, each percent-encoded.
fn basic(request: &Request) -> Option<(String, String)> {
    let encoded = request.header("authorization")?.strip_prefix("Basic ")?;
    let text = String::from_utf8(STANDARD.decode(encoded).ok()?).ok()?;
    let (id, secret) = text.split_once(':')?;
    let decode = |text: &str| percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned();
    Some((decode(id), decode(secret)))
}

fn audience(scope: &str) -> Result<Audience, Aadsts> {
    let Some(resource) = scope.strip_suffix("/.default") else {
        let text = format!("The provided value for the input parameter 'scope' is not valid: '{scope}'.");
        return Err(Aadsts::new(400, "invalid_scope", 70011, text));
    };
    if resource.contains("graph") {
        Ok(Audience::Graph)
    } else if resource.contains("management") {
        Ok(Audience::Arm)
    } else {
        let text = format!("The resource principal named {resource} was not found in the tenant.");
        Err(Aadsts::new(400, "invalid_resource", 500_011, text))
    }
}

/// Looks at the form of an assertion (own certificate, or an external issuer's token), not at its signature.
fn check_assertion(kind: &str, assertion: &str, client_id: &str, is_real_time: bool) -> Result<(), Aadsts> {
    let invalid =
        |text: &str| Aadsts::new(401, "invalid_client", 50027, format!("JWT token is invalid: {text}."));
    if kind != "urn:ietf:params:oauth:client-assertion-type:jwt-bearer" {
        return Err(missing("client_assertion_type"));
    }
    let parts: Vec<&str> = assertion.split('.').collect();
    let decode =
        |part: &str| -> Option<Value> { serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).ok()?).ok() };
    let [header, claims, signature] = parts[..] else { return Err(invalid("not three parts")) };
    let header = decode(header).ok_or_else(|| invalid("unreadable header"))?;
    let claims = decode(claims).ok_or_else(|| invalid("unreadable claims"))?;
    if signature.is_empty() || !matches!(header["alg"].as_str(), Some("PS256" | "RS256")) {
        return Err(Aadsts::new(401, "invalid_client", 700_027, "The assertion's signature is not valid."));
    }
    let now = Timestamp::now().as_second();
    if is_real_time && claims["exp"].as_i64().is_none_or(|exp| exp <= now) {
        let text = "Client assertion is not within its valid time range.";
        return Err(Aadsts::new(401, "invalid_client", 700_024, text));
    }
    if claims["iss"] == client_id {
        let has_thumbprint = header["x5t"].is_string() || header["x5t#S256"].is_string();
        let audience = claims["aud"].as_str().unwrap_or_default();
        return match () {
            () if claims["sub"] != client_id => Err(invalid("iss and sub differ")),
            () if !has_thumbprint => Err(invalid("no thumbprint of a certificate")),
            () if !audience.contains("/oauth2/v2.0/token") => Err(invalid("aud is not this endpoint")),
            () => Ok(()),
        };
    }
    let audience_fits = claims["aud"] == "api://AzureADTokenExchange"
        || claims["aud"].as_array().is_some_and(|all| all.contains(&json!("api://AzureADTokenExchange")));
    if !audience_fits || !claims["sub"].is_string() {
        let text = "No matching federated identity record found for presented assertion.";
        return Err(Aadsts::new(400, "invalid_request", 70021, text));
    }
    Ok(())
}
