//! Entra's v2.0 token endpoint with a secret, a certificate or a federated token (graph-security.md 1.2 to 1.5).

use async_trait::async_trait;
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use std::path::PathBuf;
use std::time::Duration;
use url::Url;

use super::assertion;
use super::cache::{Fetch, Fresh};
use super::client::{Http, describe};
use super::decode::{self, shorten};
use super::retry::parse_retry_after;
use super::token::TokenError;
use crate::http::secret::{SecretError, SecretRef, file_revision};

const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// What proves that we are the client.
pub(crate) enum Proof {
    /// A client secret.
    Secret(SecretRef),
    /// A certificate and its private key, both PEM.
    Certificate { certificate: PathBuf, key: SecretRef },
    /// A file with a token of a trusted issuer; it rotates, so it is read at each use.
    Federated(PathBuf),
}

/// The client credentials flow.
pub(crate) struct Entra {
    pub(crate) http: Http,
    /// The whole token endpoint.
    pub(crate) url: Url,
    pub(crate) client_id: String,
    pub(crate) scope: String,
    pub(crate) proof: Proof,
}

#[async_trait]
impl Fetch for Entra {
    async fn fetch(&self) -> Result<Fresh, TokenError> {
        let proof = self.proof_value()?;
        let mut form = vec![
            ("grant_type", "client_credentials"),
            ("client_id", self.client_id.as_str()),
            ("scope", self.scope.as_str()),
        ];
        match self.proof {
            Proof::Secret(_) => form.push(("client_secret", proof.expose_secret())),
            Proof::Certificate { .. } | Proof::Federated(_) => {
                form.push(("client_assertion_type", ASSERTION_TYPE));
                form.push(("client_assertion", proof.expose_secret()));
            }
        }
        let request = self.http.client().post(self.url.clone()).form(&form);
        exchange(&self.http, request, &[proof.expose_secret()]).await
    }

    fn revision(&self) -> u64 {
        match &self.proof {
            Proof::Secret(secret) => secret.revision(),
            Proof::Certificate { certificate, key } => {
                file_revision(certificate).rotate_left(1) ^ key.revision()
            }
            Proof::Federated(path) => file_revision(path),
        }
    }
}

impl Entra {
    fn proof_value(&self) -> Result<SecretString, TokenError> {
        match &self.proof {
            Proof::Secret(secret) => secret.resolve().map_err(|e| unresolved(&e)),
            Proof::Certificate { certificate, key } => {
                let key = key.resolve().map_err(|e| unresolved(&e))?;
                assertion::sign_now(certificate, &key, &self.client_id, self.url.as_str())
            }
            Proof::Federated(path) => {
                let token = SecretRef::File(path.clone()).resolve().map_err(|e| unresolved(&e))?;
                Ok(SecretString::from(token.expose_secret().trim()))
            }
        }
    }
}

pub(crate) fn unresolved(error: &SecretError) -> TokenError {
    TokenError::permanent(error.to_string(), "lockstep reads it again by itself")
}

/// Sends a token request and reads its answer. The secrets that were `sent` are cut out of whatever the remote says.
pub(crate) async fn exchange(
    http: &Http,
    request: reqwest::RequestBuilder,
    sent: &[&str],
) -> Result<Fresh, TokenError> {
    let unreachable = |e: &reqwest::Error| TokenError::transient(format!("token service: {}", describe(e)));
    let (client, request) = request.build_split();
    let request = request.map_err(|e| unreachable(&e))?;
    let response = http.execute(&client, request).await.map_err(|e| unreachable(&e))?;
    let status = response.status().as_u16();
    let header = |name: &str| response.headers().get(name).and_then(|v| v.to_str().ok()).map(str::to_owned);
    let (content_type, wait) = (header("content-type"), header("retry-after"));
    let body = http.read_body(response).await.map_err(|e| TokenError::transient(e.to_string()))?;
    if status == 200 {
        return fresh(&body);
    }
    let error = refusal(status, content_type.as_deref(), &body, sent);
    match wait.and_then(|w| parse_retry_after(&w, None)) {
        Some(wait) => Err(error.with_retry_after(wait)),
        None => Err(error),
    }
}

/// Reads a token answer. Numbers may come as strings, and App Service sends only `expires_on`.
pub(crate) fn fresh(body: &[u8]) -> Result<Fresh, TokenError> {
    let unusable = || TokenError::transient("the token service's answer is not a token");
    let value: Value = serde_json::from_slice(body).map_err(|_| unusable())?;
    let secret = value["access_token"].as_str().filter(|t| !t.is_empty()).ok_or_else(unusable)?;
    // A line break would break the header, and no real token holds one.
    if secret.bytes().any(|b| !b.is_ascii_graphic()) {
        return Err(unusable());
    }
    let lifetime = seconds(&value["expires_in"])
        .or_else(|| Some(seconds(&value["expires_on"])?.saturating_sub(epoch_now())))
        // Nothing said: short enough to do no harm.
        .unwrap_or(Duration::from_mins(5));
    // Already over by our clock, which may be wrong: without a little life every call would fetch a token.
    let lifetime = if lifetime.is_zero() { Duration::from_secs(30) } else { lifetime };
    Ok(Fresh { secret: SecretString::from(secret), lifetime, refresh_in: seconds(&value["refresh_in"]) })
}

fn epoch_now() -> Duration {
    Duration::from_secs(u64::try_from(jiff::Timestamp::now().as_second()).unwrap_or_default())
}

/// Seconds as number or string. Bounded, so that no later sum overflows.
fn seconds(value: &Value) -> Option<Duration> {
    let number = value.as_f64().or_else(|| value.as_str()?.trim().parse().ok())?;
    Duration::try_from_secs_f64(number.clamp(0.0, 1e11)).ok()
}

/// Sorts a refusal into permanent and transient (graph-security.md 1.2).
fn refusal(status: u16, content_type: Option<&str>, body: &[u8], sent: &[&str]) -> TokenError {
    let hidden = |text: &str| {
        let secrets = sent.iter().filter(|secret| !secret.is_empty());
        secrets.fold(text.to_owned(), |text, secret| text.replace(secret, "[redacted]"))
    };
    // Before anything is cut, where half a secret could be left; and after, where it was written with escapes.
    let decoded = decode::remote_error(content_type, hidden(&String::from_utf8_lossy(body)).as_bytes());
    let (code, said) = (hidden(&decoded.code), hidden(&decoded.message));
    let message = shorten(&format!("the token service answered {status}: {said}"));
    let busy = status == 429 || status == 408 || status >= 500 || code == "temporarily_unavailable";
    // Without an OAuth error code the answer is not the token service's own.
    if busy || code.is_empty() {
        return TokenError::transient(message);
    }
    TokenError::Permanent { advice: advice(body), code, message, retry_after: None }
}

/// What to do about an AADSTS code.
fn advice(body: &[u8]) -> &'static str {
    let value: Value = serde_json::from_slice(body).unwrap_or_default();
    match value["error_codes"][0].as_i64() {
        Some(7_000_215) => "give the secret's value (not its id) of this app registration",
        Some(7_000_222) => "the client secret expired: create a new one and store it",
        Some(700_016) => "check client_id and tenant_id: the app is not known in that tenant",
        Some(700_027) => "upload this certificate to the app registration, or use the key that belongs to it",
        Some(700_024) => "check this machine's clock, and that the federated token is renewed",
        Some(90_002 | 900_023) => "check tenant_id and the cloud",
        Some(500_011) => "check the cloud: this tenant does not have the requested service",
        Some(70_021 | 700_211 | 700_213) => "check issuer, subject and audience of the federated credential",
        Some(53_003) => "a conditional access policy blocks this workload: exempt it or its address",
        _ => "check client_id, tenant_id and the credential in the configuration",
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn answers_with_numbers_as_strings() {
        let token = fresh(br#"{"access_token":"t","expires_in":"3599","refresh_in":1800}"#).unwrap();
        assert_eq!((token.lifetime.as_secs(), token.refresh_in.unwrap().as_secs()), (3599, 1800));
        let on = format!(r#"{{"access_token":"t","expires_on":"{}"}}"#, epoch_now().as_secs() + 1000);
        assert!((998..=1000).contains(&fresh(on.as_bytes()).unwrap().lifetime.as_secs()));
        let over = fresh(br#"{"access_token":"t","expires_on":"1"}"#).unwrap();
        assert_eq!(over.lifetime.as_secs(), 30);
        assert_eq!(fresh(br#"{"access_token":"t"}"#).unwrap().lifetime.as_secs(), 300);
        for bad in [&b"<html>"[..], b"{}", br#"{"access_token":""}"#, br#"{"access_token":"a\nb"}"#] {
            assert!(fresh(bad).is_err());
        }
    }

    #[test]
    fn permanent_or_transient() {
        let json = Some("application/json");
        let wrong =
            br#"{"error":"invalid_client","error_description":"AADSTS7000222: old","error_codes":[7000222]}"#;
        let error = refusal(401, json, wrong, &["x-secret"]);
        assert!(error.is_permanent());
        assert!(error.to_string().contains("expired: create a new one"), "{error}");
        assert!(!refusal(503, json, wrong, &["x-secret"]).is_permanent());
        assert!(!refusal(400, json, br#"{"error":"temporarily_unavailable"}"#, &["x-secret"]).is_permanent());
        assert!(!refusal(403, Some("text/html"), b"<html>", &["x-secret"]).is_permanent());
    }

    #[test]
    fn an_echoed_secret_is_cut_out() {
        let body = br#"{"error":"invalid_client","error_description":"bad hunter2"}"#;
        assert!(!format!("{:?}", refusal(400, None, body, &["hunter2"])).contains("hunter2"));
        let as_code = br#"{"error":"hunter2","error_description":"no"}"#;
        assert!(!format!("{:?}", refusal(400, None, as_code, &["hunter2"])).contains("hunter2"));
        let at_the_cut = format!(r#"{{"error":"e","error_description":"{}hunter2"}}"#, "x".repeat(296));
        assert!(!format!("{:?}", refusal(400, None, at_the_cut.as_bytes(), &["hunter2"])).contains("hunt"));
    }
}
