//! Credentials as configured, and the token sources made from them.

use std::path::PathBuf;
use std::sync::Arc;

use secrecy::ExposeSecret;
use serde::{Deserialize, Deserializer};
use url::Url;

use super::azure_cli::AzureCli;
use super::cache::{Cached, Fetch};
use super::client::Http;
use super::entra::{Entra, Proof};
use super::identity::{Env, Identity};
use super::login::basic;
use super::token::TokenSource;
use crate::http::secret::SecretRef;

/// How lockstep proves who it is, `credential = { kind = "...", ... }`.
#[derive(Debug, Clone, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Credential {
    /// An app registration with a client secret.
    ClientSecret {
        /// Application (client) id.
        client_id: String,
        /// The secret's value, not its id.
        secret: SecretRef,
    },
    /// An app registration with a certificate.
    Certificate {
        /// Application (client) id.
        client_id: String,
        /// PEM file with the certificate.
        certificate: PathBuf,
        /// RSA private key, PEM: a path, a secret reference or the PEM text itself.
        #[serde(deserialize_with = "key_ref")]
        key: SecretRef,
    },
    /// A federated token from a file, as Kubernetes mounts it. Also needs a tenant.
    WorkloadIdentity {
        /// Application (client) id; else `AZURE_CLIENT_ID`.
        #[serde(default)]
        client_id: Option<String>,
        /// The token file; else `AZURE_FEDERATED_TOKEN_FILE`.
        #[serde(default)]
        token_file: Option<PathBuf>,
    },
    /// The identity of the Azure host that lockstep runs on.
    ManagedIdentity {
        /// Client id of a user-assigned identity; else the system-assigned one.
        #[serde(default)]
        client_id: Option<String>,
        /// Another endpoint than the host's own, for tests.
        #[serde(default, deserialize_with = "endpoint_url")]
        endpoint: Option<Url>,
    },
    /// Whoever is logged in to the Azure CLI.
    AzureCli {},
    /// User name and password, for ticket systems.
    Basic {
        /// User name; no colon in it.
        username: String,
        /// The password.
        password: SecretRef,
    },
}

/// Why no token source can be made of a credential.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CredentialError {
    /// A field is absent, and so is the environment variable that stands in for it.
    #[error("the credential needs {field}: set it in the configuration or as {variable}")]
    Missing {
        /// Name of the field.
        field: &'static str,
        /// Name of the variable.
        variable: &'static str,
    },
    /// A URL from the environment is unusable.
    #[error("environment variable {name} is not a URL: {reason}")]
    EnvUrl {
        /// Name of the variable.
        name: &'static str,
        /// What the parser said.
        reason: String,
    },
    /// The authority cannot carry a path.
    #[error(
        "authority_url cannot be extended by /tenant/oauth2/v2.0/token; give one like https://login.microsoftonline.com"
    )]
    Authority,
    /// A managed identity host whose protocol lockstep does not speak.
    #[error("managed identities on {0} are not supported; use a certificate or a workload identity there")]
    Host(&'static str),
    /// A colon would end the name early.
    #[error("the user name of a basic credential must not contain a colon")]
    UserName,
}

impl Credential {
    /// The secret references in it, for warnings about inline ones.
    pub fn secrets(&self) -> Vec<&SecretRef> {
        match self {
            Self::ClientSecret { secret, .. } => vec![secret],
            Self::Certificate { key, .. } => vec![key],
            Self::Basic { password, .. } => vec![password],
            Self::WorkloadIdentity { .. } | Self::ManagedIdentity { .. } | Self::AzureCli {} => Vec::new(),
        }
    }
}

/// A string is the PEM text when it looks like it, else a path.
fn key_ref<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SecretRef, D::Error> {
    Ok(match SecretRef::deserialize(deserializer)? {
        SecretRef::Inline(text) if !text.expose_secret().trim_start().starts_with("-----BEGIN") => {
            SecretRef::File(PathBuf::from(text.expose_secret()))
        }
        other => other,
    })
}

fn endpoint_url<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Url>, D::Error> {
    let text = String::deserialize(deserializer)?;
    Url::parse(&text).map(Some).map_err(|e| serde::de::Error::custom(format!("`{text}` is not a URL: {e}")))
}

/// Makes the token source of one system.
///
/// `authority_url` is the login host (the tenant and `/oauth2/v2.0/token` are appended), `resource_scope` ends
/// in `/.default`. An empty `tenant` is taken from `AZURE_TENANT_ID`. Nothing is sent yet.
pub fn token_source(
    cred: &Credential,
    tenant: &str,
    authority_url: &Url,
    resource_scope: &str,
    http: &Http,
) -> Result<Arc<dyn TokenSource>, CredentialError> {
    let env = |name: &str| std::env::var(name).ok().filter(|v| !v.is_empty());
    let fetch: Box<dyn Fetch> = match cred {
        Credential::Basic { username, password } => return basic(username, password),
        Credential::AzureCli {} => Box::new(AzureCli::new(tenant, resource_scope)),
        Credential::ManagedIdentity { client_id, endpoint } => {
            Box::new(Identity::detect(http, resource_scope, client_id.as_deref(), endpoint.as_ref(), &env)?)
        }
        Credential::ClientSecret { .. }
        | Credential::Certificate { .. }
        | Credential::WorkloadIdentity { .. } => {
            let (client_id, proof) = proof(cred, &env)?;
            let url = token_url(authority_url, tenant, &env)?;
            if url.scheme() == "http" && !is_loopback(&url) {
                tracing::warn!(
                    host = url.host_str(),
                    "the credential travels in clear: authority_url is not https"
                );
            }
            Box::new(Entra { http: http.clone(), url, client_id, scope: resource_scope.to_owned(), proof })
        }
    };
    Ok(Arc::new(Cached::new(fetch)))
}

/// Client id and proof of the three credentials of the v2.0 endpoint.
fn proof(cred: &Credential, env: Env<'_>) -> Result<(String, Proof), CredentialError> {
    let missing = |field, variable| CredentialError::Missing { field, variable };
    Ok(match cred {
        Credential::ClientSecret { client_id, secret } => (client_id.clone(), Proof::Secret(secret.clone())),
        Credential::Certificate { client_id, certificate, key } => {
            (client_id.clone(), Proof::Certificate { certificate: certificate.clone(), key: key.clone() })
        }
        Credential::WorkloadIdentity { client_id, token_file } => {
            let id = client_id.clone().or_else(|| env("AZURE_CLIENT_ID"));
            let file = token_file.clone().or_else(|| env("AZURE_FEDERATED_TOKEN_FILE").map(PathBuf::from));
            let file = file.ok_or(missing("token_file", "AZURE_FEDERATED_TOKEN_FILE"))?;
            (id.ok_or(missing("client_id", "AZURE_CLIENT_ID"))?, Proof::Federated(file))
        }
        _ => return Err(CredentialError::Authority),
    })
}

fn token_url(authority: &Url, tenant: &str, env: Env<'_>) -> Result<Url, CredentialError> {
    let tenant = if tenant.is_empty() { env("AZURE_TENANT_ID") } else { Some(tenant.to_owned()) };
    let tenant =
        tenant.ok_or(CredentialError::Missing { field: "tenant_id", variable: "AZURE_TENANT_ID" })?;
    let mut url = authority.clone();
    url.path_segments_mut().map_err(|()| CredentialError::Authority)?.pop_if_empty().extend([
        tenant.as_str(),
        "oauth2",
        "v2.0",
        "token",
    ]);
    Ok(url)
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(ip)) => ip.is_loopback(),
        Some(url::Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn parse(text: &str) -> Result<Credential, String> {
        toml::from_str::<Credential>(text).map_err(|e| e.message().to_owned())
    }

    #[test]
    fn kinds_parse() {
        let secret = parse("kind='client-secret'\nclient_id='c'\nsecret={ env='S' }").unwrap();
        assert!(matches!(secret.secrets()[0], SecretRef::Env(_)));
        let by_path = parse("kind='certificate'\nclient_id='c'\ncertificate='c.pem'\nkey='k.pem'").unwrap();
        assert!(matches!(by_path.secrets()[0], SecretRef::File(p) if p.ends_with("k.pem")));
        let inline =
            parse("kind='certificate'\nclient_id='c'\ncertificate='c.pem'\nkey='-----BEGIN X'").unwrap();
        assert!(inline.secrets()[0].is_inline());
        parse("kind='azure-cli'").unwrap();
        parse("kind='workload-identity'").unwrap();
        parse("kind='managed-identity'\nendpoint='http://127.0.0.1:1/t'").unwrap();
        assert!(parse("kind='azure-cli'\nx=1").unwrap_err().contains('x'));
        assert!(parse("kind='client-secret'\nclient_id='c'\nsecrett='x'").unwrap_err().contains("secrett"));
    }

    #[test]
    fn debug_hides_inline_secrets() {
        let cred = parse("kind='basic'\nusername='u'\npassword='hunter2'").unwrap();
        assert!(!format!("{cred:?}").contains("hunter2"));
    }

    #[test]
    fn token_url_keeps_the_authority_path() {
        let none = |_: &str| None;
        let url = |a: &str| token_url(&Url::parse(a).unwrap(), "t", &none).unwrap().to_string();
        assert_eq!(url("http://127.0.0.1:9/login"), "http://127.0.0.1:9/login/t/oauth2/v2.0/token");
        assert_eq!(url("https://login.example/"), "https://login.example/t/oauth2/v2.0/token");
        let missing = token_url(&Url::parse("https://login.example").unwrap(), "", &none).unwrap_err();
        assert!(missing.to_string().contains("AZURE_TENANT_ID"));
    }

    #[test]
    fn workload_identity_takes_the_environment() {
        let env = |name: &str| match name {
            "AZURE_CLIENT_ID" => Some("from-env".to_owned()),
            "AZURE_FEDERATED_TOKEN_FILE" => Some("/var/run/token".to_owned()),
            _ => None,
        };
        let cred = Credential::WorkloadIdentity { client_id: None, token_file: None };
        let (id, proof_found) = proof(&cred, &env).unwrap();
        assert!(id == "from-env" && matches!(proof_found, Proof::Federated(p) if p.ends_with("token")));
        assert!(proof(&cred, &|_| None).is_err());
    }
}
