//! The token endpoint as callers see it.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use super::clock::Clock;
use super::faults::Plan;
use super::options::{CLIENT_ID, CLIENT_SECRET, EmulatorOptions};
use super::testing::token_request;
use super::wire::{Reply, Request};
use super::world::World;

const GRAPH: &str = "https://graph.microsoft.com/.default";

fn world() -> World {
    World::new(EmulatorOptions::default())
}

fn ask_with(request: &Request) -> Reply {
    world().answer(request, &Plan::default()).0
}

fn ask(client: &str, proof: &[(&str, &str)], scope: &str) -> Reply {
    let mut form = vec![("grant_type", "client_credentials"), ("client_id", client), ("scope", scope)];
    form.extend(proof);
    ask_with(&token_request(&form))
}

#[test]
fn secrets_are_checked() {
    let good = ask(CLIENT_ID, &[("client_secret", CLIENT_SECRET)], GRAPH);
    assert_eq!((good.status, &good.value()["expires_in"]), (200, &json!(3599)));
    for (client, secret, scope, status, error, code) in [
        (CLIENT_ID, "wrong", GRAPH, 401, "invalid_client", 7_000_215),
        ("nobody", CLIENT_SECRET, GRAPH, 400, "unauthorized_client", 700_016),
        (CLIENT_ID, CLIENT_SECRET, "https://graph.microsoft.com/User.Read", 400, "invalid_scope", 70_011),
        (CLIENT_ID, CLIENT_SECRET, "https://example.org/.default", 400, "invalid_resource", 500_011),
    ] {
        let reply = ask(client, &[("client_secret", secret)], scope);
        assert_eq!((reply.status, &reply.value()["error"]), (status, &json!(error)));
        assert_eq!(reply.value()["error_codes"], json!([code]));
        let text = reply.value()["error_description"].as_str().unwrap();
        assert!(text.starts_with(&format!("AADSTS{code}:")), "{text}");
    }
    let mut elsewhere = token_request(&[]);
    elsewhere.path[1] = "other".to_owned();
    assert_eq!(ask_with(&elsewhere).value()["error_codes"], json!([90_002]));
}

#[test]
fn basic_credentials_are_taken() {
    let mut request = token_request(&[("grant_type", "client_credentials"), ("scope", GRAPH)]);
    let encoded = STANDARD.encode(format!("{CLIENT_ID}:{CLIENT_SECRET}"));
    request.headers.push(("authorization".to_owned(), format!("Basic {encoded}")));
    assert_eq!(ask_with(&request).status, 200);
}

fn jwt(header: &Value, claims: &Value) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}.c2ln", part(header), part(claims))
}

fn assert_assertion(header: &Value, claims: &Value, status: u16) {
    let assertion = jwt(header, claims);
    let kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
    let proof = [("client_assertion_type", kind), ("client_assertion", assertion.as_str())];
    assert_eq!(ask(CLIENT_ID, &proof, GRAPH).status, status, "{header} {claims}");
}

#[test]
fn assertions_are_looked_at() {
    let soon = jiff::Timestamp::now().as_second() + 600;
    let own = json!({"alg": "PS256", "typ": "JWT", "x5t#S256": "abc"});
    let claims = |exp: i64| {
        json!({"iss": CLIENT_ID, "sub": CLIENT_ID, "exp": exp,
               "aud": "https://login.microsoftonline.com/t/oauth2/v2.0/token"})
    };
    assert_assertion(&own, &claims(soon), 200);
    assert_assertion(&own, &claims(soon - 700), 401);
    assert_assertion(&json!({"alg": "PS256"}), &claims(soon), 401);
    assert_assertion(&json!({"alg": "none", "x5t": "abc"}), &claims(soon), 401);
    let federated =
        |audience: &str| json!({"iss": "https://issuer", "sub": "pod", "exp": soon, "aud": [audience]});
    assert_assertion(&json!({"alg": "RS256"}), &federated("api://AzureADTokenExchange"), 200);
    assert_assertion(&json!({"alg": "RS256"}), &federated("something"), 400);
}

#[test]
fn revoked_tokens_are_expired() {
    let clock = Clock::Manual("2026-11-02T08:15:30Z".parse().unwrap());
    let mut caller = super::testing::Caller::with(EmulatorOptions { clock, ..EmulatorOptions::default() });
    assert_eq!(caller.security("GET", "incidents", &json!(null)).status, 200);
    let now = caller.world.instant;
    caller.world.tokens.revoke(now);
    assert_eq!(caller.security("GET", "incidents", &json!(null)).status, 401);
    let reply = caller.sentinel("GET", "incidents", &json!(null));
    assert_eq!(reply.value()["error"]["code"], "ExpiredAuthenticationToken");
}
