//! Managed identities: the metadata service of virtual machines, and App Service's local endpoint
//! (graph-security.md 1.4).

use async_trait::async_trait;
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use super::cache::{Fetch, Fresh};
use super::client::Http;
use super::credential::CredentialError;
use super::entra::exchange;
use super::token::TokenError;

const IMDS_HOST: &str = "http://169.254.169.254";
const IMDS_PATH: &str = "metadata/identity/oauth2/token";
const IMDS_VERSION: &str = "2018-02-01";
const APP_SERVICE_VERSION: &str = "2019-08-01";

/// A managed identity endpoint.
pub(crate) struct Identity {
    http: Http,
    url: Url,
    header: (&'static str, SecretString),
}

/// Looks up an environment variable; a parameter so that tests need not change the process.
pub(crate) type Env<'a> = &'a dyn Fn(&str) -> Option<String>;

impl Identity {
    /// Finds the endpoint: the configured one, App Service's, else the metadata service.
    pub(crate) fn detect(
        http: &Http,
        scope: &str,
        client_id: Option<&str>,
        endpoint: Option<&Url>,
        env: Env<'_>,
    ) -> Result<Self, CredentialError> {
        let metadata = ("metadata", SecretString::from("true"));
        let (mut url, version, header) = match (endpoint, env("IDENTITY_ENDPOINT"), env("IDENTITY_HEADER")) {
            (Some(url), _, _) => (url.clone(), IMDS_VERSION, metadata),
            (None, Some(_), _) if env("IMDS_ENDPOINT").is_some() => {
                return Err(CredentialError::Host("Azure Arc"));
            }
            (None, Some(_), _) if env("IDENTITY_SERVER_THUMBPRINT").is_some() => {
                return Err(CredentialError::Host("Service Fabric"));
            }
            (None, Some(url), Some(secret)) => {
                (parse("IDENTITY_ENDPOINT", &url)?, APP_SERVICE_VERSION, ("x-identity-header", secret.into()))
            }
            _ => (imds(env)?, IMDS_VERSION, metadata),
        };
        // The audience without its suffix, which only the v2.0 endpoint knows.
        let resource = scope.strip_suffix("/.default").unwrap_or(scope);
        url.query_pairs_mut().append_pair("api-version", version).append_pair("resource", resource);
        if let Some(id) = client_id {
            url.query_pairs_mut().append_pair("client_id", id);
        }
        Ok(Self { http: http.clone(), url, header })
    }
}

fn imds(env: Env<'_>) -> Result<Url, CredentialError> {
    const NAME: &str = "AZURE_POD_IDENTITY_AUTHORITY_HOST";
    let host = env(NAME).unwrap_or_else(|| IMDS_HOST.to_owned());
    parse(NAME, &format!("{}/{IMDS_PATH}", host.trim_end_matches('/')))
}

fn parse(name: &'static str, value: &str) -> Result<Url, CredentialError> {
    Url::parse(value).map_err(|e| CredentialError::EnvUrl { name, reason: e.to_string() })
}

#[async_trait]
impl Fetch for Identity {
    async fn fetch(&self) -> Result<Fresh, TokenError> {
        let (name, value) = &self.header;
        let request = self.http.direct().get(self.url.clone()).header(*name, value.expose_secret());
        let sent = if *name == "metadata" { "" } else { value.expose_secret() };
        exchange(&self.http, request, &[sent]).await.map_err(advise)
    }

    fn revision(&self) -> u64 {
        0
    }
}

/// Entra's advice does not fit here: there is no secret to mend.
fn advise(error: TokenError) -> TokenError {
    match error {
        TokenError::Permanent { code, message, retry_after, .. } => {
            let advice = "check that this host has the identity assigned, and its client_id";
            TokenError::Permanent { code, message, advice, retry_after }
        }
        transient @ TokenError::Transient { .. } => transient,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::http::ClientOptions;

    fn detect(vars: &[(&str, &str)], client_id: Option<&str>) -> Result<Identity, CredentialError> {
        let http = Http::new(&ClientOptions::default()).unwrap();
        let env = |name: &str| vars.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned());
        Identity::detect(&http, "https://graph.microsoft.com/.default", client_id, None, &env)
    }

    #[test]
    fn metadata_service_by_default() {
        let identity = detect(&[], Some("abc")).unwrap();
        let expected = "http://169.254.169.254/metadata/identity/oauth2/token?api-version=2018-02-01&resource=https%3A%2F%2Fgraph.microsoft.com&client_id=abc";
        assert_eq!(identity.url.as_str(), expected);
        let moved = detect(&[("AZURE_POD_IDENTITY_AUTHORITY_HOST", "http://127.0.0.1:99/")], None).unwrap();
        assert!(moved.url.as_str().starts_with("http://127.0.0.1:99/metadata/identity/oauth2/token?"));
    }

    #[test]
    fn app_service_when_its_variables_are_there() {
        let vars = [("IDENTITY_ENDPOINT", "http://127.0.0.1:4141/msi/token"), ("IDENTITY_HEADER", "h")];
        let identity = detect(&vars, None).unwrap();
        assert!(identity.url.as_str().starts_with("http://127.0.0.1:4141/msi/token?api-version=2019-08-01&"));
        assert_eq!(identity.header.0, "x-identity-header");
    }

    #[test]
    fn hosts_without_support_are_named() {
        let arc = detect(&[("IDENTITY_ENDPOINT", "http://localhost:40342"), ("IMDS_ENDPOINT", "x")], None);
        assert!(arc.err().unwrap().to_string().contains("Azure Arc"));
    }
}
