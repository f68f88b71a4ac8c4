//! `[[systems]]`: one configured product instance each.

use std::time::Duration;

use serde::Deserialize;
use toml::Spanned;
use toml::de::{DeValue, ValueDeserializer};
use url::Url;

use super::cloud::{Cloud, known};
use super::parse;
use super::reader::Section;
use crate::http::Credential;
use crate::model::SystemName;

/// The api-version of Sentinel's stable API that everything lockstep uses is in (`sentinel.md` 1.1).
const SENTINEL_API_VERSION: &str = "2025-09-01";

/// Kinds the configuration knows but this version cannot speak to.
const NOT_BUILT: &[&str] = &["servicenow", "jira", "request-tracker", "thehive", "sidecar"];

/// One configured product instance.
#[derive(Debug, Clone)]
pub struct System {
    /// Its name, unique in the configuration.
    pub name: SystemName,
    /// What it is, with the settings of its kind.
    pub kind: SystemKind,
    /// The Entra tenant; empty means `AZURE_TENANT_ID`.
    pub tenant_id: String,
    /// Pause between two polls. Default 15 s.
    pub poll: Duration,
    /// How long after a request of unknown outcome a read is certain to show it; the connector knows a default.
    pub settle: Option<Duration>,
    /// How far before the cursor a list begins again; the connector knows a default.
    pub overlap: Option<Duration>,
    /// How lockstep proves who it is.
    pub credential: Credential,
    /// Login host; `/{tenant}/oauth2/v2.0/token` is appended.
    pub authority_url: Url,
    /// The scope tokens are asked for, ending in `/.default`.
    pub scope: String,
    /// Multiplies the published limits. Default 1.
    pub budget_factor: f64,
}

/// What a system is.
#[derive(Debug, Clone)]
pub enum SystemKind {
    /// A Microsoft Defender XDR tenant.
    Defender(Defender),
    /// A Microsoft Sentinel workspace.
    Sentinel(Sentinel),
}

/// The settings of a Defender tenant.
#[derive(Debug, Clone)]
pub struct Defender {
    /// Root of Microsoft Graph; `/v1.0/security/...` is appended.
    pub graph_url: Url,
}

/// The settings of a Sentinel workspace.
#[derive(Debug, Clone)]
pub struct Sentinel {
    /// Root of Azure Resource Manager; `/subscriptions/...` is appended.
    pub arm_url: Url,
    /// Subscription id.
    pub subscription_id: String,
    /// Resource group.
    pub resource_group: String,
    /// Log Analytics workspace.
    pub workspace: String,
    /// The `api-version` of every request.
    pub api_version: String,
}

impl SystemKind {
    /// The word of the configuration, which also names the translation table.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Defender(_) => "defender",
            Self::Sentinel(_) => "sentinel",
        }
    }

    /// Why lockstep cannot create records there, if so (`graph-security.md` 2: no POST on incidents).
    pub(super) fn refuses_creation(&self) -> Option<&'static str> {
        matches!(self, Self::Defender(_)).then_some("Defender creates its incidents itself, its API cannot")
    }
}

/// A `[[systems]]` table. Its name counts even when the rest is faulty, so that bridges naming it are not blamed.
pub(super) struct Declared {
    pub(super) name: Option<Spanned<String>>,
    pub(super) system: Option<System>,
}

/// Reads all systems and reports names that are taken twice.
pub(super) fn read_all(sections: Vec<Section<'_>>) -> Vec<Declared> {
    let mut all: Vec<Declared> = Vec::new();
    for mut section in sections {
        let name = section.require("name", parse::name);
        if let Some(name) = &name {
            section.entitle(format!("[[systems]] \"{}\"", name.get_ref()));
            if all.iter().any(|other| other.name.as_ref().is_some_and(|n| n.get_ref() == name.get_ref())) {
                let message =
                    format!("two systems are called '{}'; give each a name of its own", name.get_ref());
                section.problem(name.span(), message);
            }
        }
        let system = read(section, name.as_ref().map(|name| name.get_ref().as_str()));
        all.push(Declared { name, system });
    }
    all
}

fn read(mut section: Section<'_>, name: Option<&str>) -> Option<System> {
    let kind = section.require("kind", parse::text)?;
    match kind.get_ref().as_str() {
        "defender" => defender(section, name),
        "sentinel" => sentinel(section, name),
        word if NOT_BUILT.contains(&word) => {
            let message =
                format!("kind '{word}' is not built into this version of lockstep; remove this system");
            section.problem(kind.span(), message);
            None
        }
        _ => {
            let kinds: Vec<(&str, ())> =
                ["defender", "sentinel"].iter().chain(NOT_BUILT).map(|word| (*word, ())).collect();
            let written = DeValue::String(kind.get_ref().as_str().into());
            let reason = parse::word(&written, &kinds).err().unwrap_or_default();
            section.problem(kind.span(), format!("kind in {}: {reason}", section.title()));
            None
        }
    }
}

fn defender(mut section: Section<'_>, name: Option<&str>) -> Option<System> {
    let cloud = cloud(&mut section, Cloud::refuses_defender);
    let graph_url =
        section.get("graph_url", parse::url).map(Spanned::into_inner).or_else(|| known(cloud.graph()));
    let kind = graph_url.map(|graph_url| SystemKind::Defender(Defender { graph_url }));
    common(section, name, kind, cloud, cloud.graph())
}

fn sentinel(mut section: Section<'_>, name: Option<&str>) -> Option<System> {
    let cloud = cloud(&mut section, Cloud::refuses_sentinel);
    let arm_url = section.get("arm_url", parse::url).map(Spanned::into_inner).or_else(|| known(cloud.arm()));
    let subscription_id = section.require("subscription_id", parse::text);
    let resource_group = section.require("resource_group", parse::text);
    let workspace = section.require("workspace", parse::text);
    let api_version = section.get("api_version", parse::text);
    let kind = (|| {
        Some(SystemKind::Sentinel(Sentinel {
            arm_url: arm_url?,
            subscription_id: subscription_id?.into_inner(),
            resource_group: resource_group?.into_inner(),
            workspace: workspace?.into_inner(),
            api_version: api_version.map_or(SENTINEL_API_VERSION.to_owned(), Spanned::into_inner),
        }))
    })();
    common(section, name, kind, cloud, cloud.arm())
}

fn cloud(section: &mut Section<'_>, refuses: fn(Cloud) -> Option<&'static str>) -> Cloud {
    let Some(cloud) = section.get("cloud", |value| parse::word(value, Cloud::WORDS)) else {
        return Cloud::default();
    };
    if let Some(reason) = refuses(*cloud.get_ref()) {
        section.problem(cloud.span(), format!("{} cannot live in this cloud: {reason}", section.title()));
    }
    cloud.into_inner()
}

/// The keys that all kinds share.
fn common(
    mut section: Section<'_>,
    name: Option<&str>,
    kind: Option<SystemKind>,
    cloud: Cloud,
    resource: &str,
) -> Option<System> {
    let credential = credential(&mut section);
    let tenant_id = tenant(&mut section, credential.as_ref());
    let authority_url = section
        .get("authority_url", parse::url)
        .map(Spanned::into_inner)
        .or_else(|| known(cloud.authority()));
    let scope = section.get("scope", parse::text).map(Spanned::into_inner);
    let poll = section.get("poll", parse::duration).map(Spanned::into_inner);
    let settle = section.get("settle", parse::duration).map(Spanned::into_inner);
    let overlap = section.get("overlap", parse::duration).map(Spanned::into_inner);
    let budget_factor = section.get("budget_factor", parse::factor).map(Spanned::into_inner);
    section.finish();
    Some(System {
        name: SystemName::new(name?).ok()?,
        kind: kind?,
        tenant_id: tenant_id.unwrap_or_default(),
        poll: poll.unwrap_or(Duration::from_secs(15)),
        settle,
        overlap,
        credential: credential?,
        authority_url: authority_url?,
        scope: scope.unwrap_or_else(|| format!("{resource}/.default")),
        budget_factor: budget_factor.unwrap_or(1.0),
    })
}

/// The tenant: required where the token request names it; a host's own identity knows its tenant.
fn tenant(section: &mut Section<'_>, credential: Option<&Credential>) -> Option<String> {
    let named = matches!(credential, Some(Credential::ClientSecret { .. } | Credential::Certificate { .. }));
    let tenant =
        if named { section.require("tenant_id", parse::text) } else { section.get("tenant_id", parse::text) };
    tenant.map(Spanned::into_inner)
}

/// The credential kinds of Microsoft's services with their keys; the last list may be left out.
const CREDENTIALS: &[(&str, &[&str], &[&str])] = &[
    ("client-secret", &["client_id", "secret"], &[]),
    ("certificate", &["client_id", "certificate", "key"], &[]),
    ("workload-identity", &[], &["client_id", "token_file"]),
    ("managed-identity", &[], &["client_id", "endpoint"]),
    ("azure-cli", &[], &[]),
];

/// Reads `credential = { kind = ..., ... }`. Keys and types are checked here, for messages with a place and without
/// values; serde then builds it.
fn credential(section: &mut Section<'_>) -> Option<Credential> {
    let Some(value) = section.take("credential") else {
        section.missing("'credential'", "add one, such as credential = { kind = \"managed-identity\" }");
        return None;
    };
    let (span, whole) = (value.span(), value.clone());
    let DeValue::Table(table) = value.into_inner() else {
        section.problem(span, format!("credential in {} must be a table with a kind", section.title()));
        return None;
    };
    let kind = table.get("kind").and_then(|kind| kind.get_ref().as_str());
    let Some((_, required, optional)) = CREDENTIALS.iter().find(|(word, _, _)| Some(*word) == kind) else {
        let kinds: Vec<&str> = CREDENTIALS.iter().map(|(word, _, _)| *word).collect();
        let written = kind.map_or("has no kind".to_owned(), |kind| format!("is of kind '{kind}'"));
        let message = format!("credential in {} {written}; use one of {}", section.title(), kinds.join(", "));
        section.problem(span, message);
        return None;
    };
    let known: Vec<&str> = ["kind"].iter().chain(*required).chain(*optional).copied().collect();
    let sound = check_keys(section, &span, &table, required, &known);
    let built = sound.then(|| Credential::deserialize(ValueDeserializer::from(whole)))?;
    match built {
        Ok(credential) => {
            for secret in credential.secrets() {
                section.warn_if_inline(&span, "credential", secret);
            }
            Some(credential)
        }
        Err(error) => {
            section.problem(span, format!("credential in {}: {}", section.title(), error.message().trim()));
            None
        }
    }
}

fn check_keys(
    section: &Section<'_>,
    span: &std::ops::Range<usize>,
    table: &toml::de::DeTable<'_>,
    required: &[&str],
    known: &[&str],
) -> bool {
    let title = section.title();
    let mut sound = true;
    let mut wrong = |span: std::ops::Range<usize>, message: String| {
        section.problem(span, message);
        sound = false;
    };
    for (key, value) in table {
        let word = key.get_ref();
        if !known.contains(&word.as_ref()) {
            let advice = match super::reader::nearest(word, known) {
                Some(near) => format!("did you mean '{near}'?"),
                None => format!("known here: {}", known.join(", ")),
            };
            wrong(key.span(), format!("unknown key '{word}' in the credential of {title}; {advice}"));
        } else if !value.get_ref().is_str() && !value.get_ref().is_table() {
            wrong(value.span(), format!("'{word}' in the credential of {title} must be a text in quotes"));
        }
    }
    for key in required.iter().filter(|key| !table.contains_key(**key)) {
        wrong(span.clone(), format!("the credential of {title} lacks '{key}'; add it"));
    }
    sound
}
