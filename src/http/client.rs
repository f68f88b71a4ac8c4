//! The HTTP client that all systems share: TLS, proxy, limits. It follows no redirect by itself.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use reqwest::{Certificate, Client, ClientBuilder, NoProxy, Proxy, redirect, retry};
use url::Url;

/// How long an idle connection is kept. Shorter than the idle limits of the services' front ends, because a
/// write into a connection that the server just closed has an unknown outcome.
const POOL_IDLE: Duration = Duration::from_secs(30);

/// Settings of the shared client.
#[derive(Clone)]
pub struct ClientOptions {
    /// Whole request, from connect to the last byte of the body. Default 30 s.
    pub timeout: Duration,
    /// DNS, TCP and TLS. Default 10 s.
    pub connect_timeout: Duration,
    /// Largest response body in bytes. Default 16 MiB.
    pub max_body: usize,
    /// PEM bundle of further roots, on top of the platform's.
    pub extra_ca: Option<PathBuf>,
    /// Proxy for all requests but those that `NO_PROXY` names. Without it the usual environment variables count.
    pub proxy: Option<Url>,
}

impl Default for ClientOptions {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(30),
            connect_timeout: Duration::from_secs(10),
            max_body: 16 * 1024 * 1024,
            extra_ca: None,
            proxy: None,
        }
    }
}

impl fmt::Debug for ClientOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A proxy URL may carry a password.
        let proxy = self.proxy.as_ref().and_then(Url::host_str);
        f.debug_struct("ClientOptions")
            .field("timeout", &self.timeout)
            .field("connect_timeout", &self.connect_timeout)
            .field("max_body", &self.max_body)
            .field("extra_ca", &self.extra_ca)
            .field("proxy_host", &proxy)
            .finish()
    }
}

/// Why the client could not be made.
#[derive(Debug, thiserror::Error)]
pub enum HttpSetupError {
    /// The extra CA file is unreadable or holds no certificate.
    #[error("extra CA file {path}: {reason}; give a PEM file with at least one certificate")]
    ExtraCa {
        /// The file as configured.
        path: PathBuf,
        /// What went wrong.
        reason: String,
    },
    /// The proxy URL is not usable.
    #[error("proxy {host}: {reason}; give a URL like http://proxy.example:3128")]
    Proxy {
        /// Host part only, the rest may hold a password.
        host: String,
        /// What went wrong.
        reason: String,
    },
    /// TLS could not be set up, most often for lack of root certificates.
    #[error("the HTTP client cannot be set up: {0}; check the system's CA bundle or set SSL_CERT_FILE")]
    Client(String),
}

/// Why a body could not be read to its end.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BodyError {
    /// More than the limit, in bytes.
    #[error("the answer is larger than {0} bytes")]
    TooLarge(usize),
    /// The connection ended or timed out within the body.
    #[error("the answer broke off: {0}")]
    Broken(String),
}

/// A cheap handle to the shared client.
#[derive(Clone)]
pub struct Http {
    client: Client,
    direct: Client,
    max_body: usize,
    #[cfg(any(test, fuzzing))]
    script: Option<Script>,
}

/// What answers in place of the network while targets are fuzzed.
#[cfg(any(test, fuzzing))]
pub(crate) type Script = std::sync::Arc<dyn Fn(&reqwest::Request) -> reqwest::Response + Send + Sync>;

impl fmt::Debug for Http {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Http").field("max_body", &self.max_body).finish_non_exhaustive()
    }
}

impl Http {
    /// Builds the client: rustls with ring, the platform's roots, no redirects, no hidden retries.
    pub fn new(options: &ClientOptions) -> Result<Self, HttpSetupError> {
        // Fails when a provider is installed already, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut builder = base(options);
        if let Some(path) = &options.extra_ca {
            builder = builder.tls_certs_merge(extra_roots(path)?);
        }
        if let Some(url) = &options.proxy {
            builder = builder.proxy(proxy(url)?);
        }
        let client = builder.build().map_err(|e| HttpSetupError::Client(describe(&e)))?;
        let direct = base(options).no_proxy().build().map_err(|e| HttpSetupError::Client(describe(&e)))?;
        Ok(Self {
            client,
            direct,
            max_body: options.max_body,
            #[cfg(any(test, fuzzing))]
            script: None,
        })
    }

    /// The same client, answered by a script.
    #[cfg(any(test, fuzzing))]
    pub(crate) fn scripted(&self, script: Script) -> Self {
        Self { script: Some(script), ..self.clone() }
    }

    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    /// A client that no proxy applies to, for link-local endpoints (managed identity).
    pub(crate) fn direct(&self) -> &Client {
        &self.direct
    }

    /// Sends a request with one of the two clients.
    pub(crate) async fn execute(
        &self,
        client: &Client,
        request: reqwest::Request,
    ) -> reqwest::Result<reqwest::Response> {
        #[cfg(any(test, fuzzing))]
        if let Some(script) = &self.script {
            return Ok(script(&request));
        }
        client.execute(request).await
    }

    /// Reads a body chunk by chunk, and no further than the limit.
    pub(crate) async fn read_body(&self, mut response: reqwest::Response) -> Result<Bytes, BodyError> {
        let limit = self.max_body;
        if response.content_length().is_some_and(|n| n > limit as u64) {
            return Err(BodyError::TooLarge(limit));
        }
        let mut body = BytesMut::new();
        while let Some(chunk) = response.chunk().await.map_err(|e| BodyError::Broken(describe(&e)))? {
            if body.len() + chunk.len() > limit {
                return Err(BodyError::TooLarge(limit));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body.freeze())
    }
}

fn base(options: &ClientOptions) -> ClientBuilder {
    Client::builder()
        .user_agent(concat!("lockstep/", env!("CARGO_PKG_VERSION")))
        .timeout(options.timeout)
        .connect_timeout(options.connect_timeout)
        .pool_idle_timeout(POOL_IDLE)
        // A redirected write could be executed twice or turn into a GET; the door follows reads itself.
        .redirect(redirect::Policy::none())
        .referer(false)
        .retry(retry::never())
}

fn extra_roots(path: &Path) -> Result<Vec<Certificate>, HttpSetupError> {
    let fail = |reason: String| HttpSetupError::ExtraCa { path: path.to_owned(), reason };
    let pem = std::fs::read(path).map_err(|e| fail(e.to_string()))?;
    let roots = Certificate::from_pem_bundle(&pem).map_err(|e| fail(describe(&e)))?;
    if roots.is_empty() {
        return Err(fail("no certificate found".to_owned()));
    }
    Ok(roots)
}

fn proxy(url: &Url) -> Result<Proxy, HttpSetupError> {
    let host = url.host_str().unwrap_or("(no host)").to_owned();
    let proxy = Proxy::all(url.clone()).map_err(|e| HttpSetupError::Proxy { host, reason: describe(&e) })?;
    Ok(proxy.no_proxy(NoProxy::from_env()))
}

/// The chain of causes in one line, without the URL (it may carry a filter with personal data).
pub(crate) fn describe(error: &reqwest::Error) -> String {
    let mut text = kind_of(error).to_owned();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    super::decode::shorten(&text)
}

fn kind_of(error: &reqwest::Error) -> &'static str {
    if error.is_builder() {
        "the request cannot be built"
    } else if error.is_dns() {
        "name resolution failed"
    } else if error.is_connect() {
        "connecting failed"
    } else if error.is_timeout() {
        "timed out"
    } else if error.is_body() || error.is_decode() {
        "the body broke off"
    } else {
        "the connection failed"
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn debug_hides_the_proxy_password() {
        let options = ClientOptions {
            proxy: Some(Url::parse("http://user:hunter2@proxy.example:3128").unwrap()),
            ..ClientOptions::default()
        };
        let text = format!("{options:?}");
        assert!(text.contains("proxy.example") && !text.contains("hunter2"));
    }

    #[test]
    fn bad_ca_file_is_named() {
        let options = ClientOptions { extra_ca: Some("/no/such.pem".into()), ..ClientOptions::default() };
        let error = Http::new(&options).unwrap_err().to_string();
        assert!(error.contains("/no/such.pem"), "{error}");
        let data = concat!(env!("CARGO_MANIFEST_DIR"), "/src/http/testdata");
        let with =
            |file: &str| ClientOptions { extra_ca: Some(format!("{data}/{file}").into()), ..options.clone() };
        assert!(Http::new(&with("cert.pem")).is_ok());
        assert!(Http::new(&with("cert.x5t")).unwrap_err().to_string().contains("cert.x5t"));
    }
}
