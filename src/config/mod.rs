//! Configuration: load, validate, secrets.
//!
//! Two layers: `reader` walks the TOML text and knows where each value stands; the other modules say what a value
//! must be and build the types the rest of the crate works with. All problems are reported together, each with its
//! line and column. Relative paths count from the working directory.

mod bridge;
mod cloud;
mod credential;
mod jira;
mod microsoft;
mod parse;
mod problem;
mod reader;
mod request_tracker;
mod servicenow;
mod sidecar;
mod system;
mod thehive;
mod ticketing;

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod config_tests;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use toml::Spanned;
use url::Url;

use crate::http::ClientOptions;
use crate::model::SystemName;
use crate::reconcile::Policy;

pub use cloud::Cloud;
pub use problem::{ConfigErrors, Problem};
pub use system::System;

use crate::http::secret::SecretRef;
use problem::Problems;
use reader::Section;

/// Everything lockstep is told: checked, with defaults filled in.
#[derive(Debug, Clone)]
pub struct Config {
    /// The file it was read from.
    pub file: PathBuf,
    /// `[store]`.
    pub store: StoreConfig,
    /// `[server]`; on loopback unless configured.
    pub server: ServerConfig,
    /// `[http]`, the client all systems share.
    pub http: ClientOptions,
    /// `[telemetry]`.
    pub telemetry: TelemetryConfig,
    /// `[[systems]]`, in the order written.
    pub systems: Vec<System>,
    /// `[[bridges]]`, in the order written.
    pub bridges: Vec<Policy>,
    /// What works but deserves a look: secrets in the file, tokens over plain http.
    pub warnings: Vec<Problem>,
}

/// `[store]`.
#[derive(Debug, Clone)]
pub struct StoreConfig {
    /// The folder of the store. Default `data`.
    pub path: PathBuf,
    /// The key of comment markers; else the store draws one. Setting it keeps markers valid over a lost store.
    pub marker_key: Option<SecretRef>,
}

/// `[server]`.
#[derive(Debug, Clone)]
pub struct ServerConfig {
    /// Where it listens. Default `127.0.0.1:8787`.
    pub listen: SocketAddr,
    /// The bearer token of `/api` and the status page; needed as soon as `listen` is not loopback.
    pub token: Option<SecretRef>,
}

/// `[telemetry]`.
#[derive(Debug, Clone, Default)]
pub struct TelemetryConfig {
    /// Base address of an OTLP collector that takes http/protobuf; `OTEL_EXPORTER_OTLP_ENDPOINT` goes first.
    pub otlp_endpoint: Option<Url>,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self { listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8787)), token: None }
    }
}

impl Config {
    /// Reads and checks the file.
    pub fn load(path: &Path) -> Result<Self, ConfigErrors> {
        let text = std::fs::read_to_string(path).map_err(|error| {
            ConfigErrors::new(vec![Problem {
                file: path.display().to_string(),
                position: None,
                message: format!("cannot be read ({error}); name the file with --config or LOCKSTEP_CONFIG"),
            }])
        })?;
        Self::parse(path, &text)
    }

    /// Checks a configuration text; `file` only names it in messages.
    pub fn parse(file: &Path, text: &str) -> Result<Self, ConfigErrors> {
        let problems = Problems::new(file.display().to_string(), text);
        let config = Section::document(&problems, text).map(|document| read(document, file));
        match (config, problems.finish()) {
            (Some(config), (errors, warnings)) if errors.is_empty() => Ok(Self { warnings, ..config }),
            (_, (errors, _)) => Err(ConfigErrors::new(errors)),
        }
    }

    /// The settings of a system.
    pub fn system(&self, name: &SystemName) -> Option<&System> {
        self.systems.iter().find(|system| system.name == *name)
    }

    /// Every secret reference with the place it belongs to, for `lockstep check`.
    pub fn secrets(&self) -> Vec<(String, &SecretRef)> {
        let own = [("server token", &self.server.token), ("store marker_key", &self.store.marker_key)];
        let own = own.into_iter().filter_map(|(what, secret)| Some((what.to_owned(), secret.as_ref()?)));
        let of_systems = self.systems.iter().flat_map(|system| {
            system.settings.secrets().into_iter().map(|s| (format!("credential of {}", system.name), s))
        });
        own.chain(of_systems).collect()
    }
}

/// Reads the whole document. What has a reported problem is left out.
fn read(mut document: Section<'_>, file: &Path) -> Config {
    let store = document.child("store").map_or_else(store_default, store);
    let server = document.child("server").map_or_else(ServerConfig::default, server);
    let http = document.child("http").map_or_else(ClientOptions::default, http);
    let telemetry = document.child("telemetry").map_or_else(TelemetryConfig::default, telemetry);
    let systems = system::read_all(document.children("systems"));
    let bridges = bridge::read_all(document.children("bridges"), &systems);
    if systems.is_empty() {
        document.missing(
            "[[systems]]",
            "name the Defender tenant and the Sentinel workspace to keep in agreement",
        );
    }
    if bridges.is_empty() {
        document.missing("[[bridges]]", "name the systems that are to be kept in agreement");
    }
    document.finish();
    let systems = systems.into_iter().filter_map(|declared| declared.system).collect();
    Config {
        file: file.to_owned(),
        store,
        server,
        http,
        telemetry,
        systems,
        bridges: bridges.into_iter().flatten().collect(),
        warnings: Vec::new(),
    }
}

fn store_default() -> StoreConfig {
    StoreConfig { path: PathBuf::from("data"), marker_key: None }
}

fn store(mut section: Section<'_>) -> StoreConfig {
    let defaults = store_default();
    let path = section.get("path", parse::path).map_or(defaults.path, Spanned::into_inner);
    let marker_key = section.secret("marker_key");
    section.finish();
    StoreConfig { path, marker_key }
}

fn server(mut section: Section<'_>) -> ServerConfig {
    let listen = section.get("listen", parse::listen);
    let has_token_key = section.has("token");
    let token = section.secret("token");
    if let Some(listen) = &listen
        && !listen.get_ref().ip().is_loopback()
        && !has_token_key
    {
        section.problem(
            listen.span(),
            format!(
                "listen is {}, which others can reach, and there is no token; add token = {{ env = \
                 \"LOCKSTEP_ADMIN_TOKEN\" }} or listen on 127.0.0.1",
                listen.get_ref()
            ),
        );
    }
    section.finish();
    ServerConfig { listen: listen.map_or(ServerConfig::default().listen, Spanned::into_inner), token }
}

fn http(mut section: Section<'_>) -> ClientOptions {
    let defaults = ClientOptions::default();
    let options = ClientOptions {
        timeout: section.get("timeout", parse::duration).map_or(defaults.timeout, Spanned::into_inner),
        connect_timeout: section
            .get("connect_timeout", parse::duration)
            .map_or(defaults.connect_timeout, Spanned::into_inner),
        extra_ca: section.get("extra_ca", parse::path).map(Spanned::into_inner),
        proxy: section.get("proxy", parse::url).map(Spanned::into_inner),
        ..defaults
    };
    section.finish();
    options
}

fn telemetry(mut section: Section<'_>) -> TelemetryConfig {
    let otlp_endpoint = section.get("otlp_endpoint", parse::url).map(Spanned::into_inner);
    section.finish();
    TelemetryConfig { otlp_endpoint }
}
