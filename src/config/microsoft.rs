//! Defender and Sentinel: Entra credentials and Microsoft's clouds.

use toml::Spanned;

use super::cloud::{Cloud, known};
use super::credential::credential;
use super::parse;
use super::reader::Section;
use crate::connectors::SystemSettings;
use crate::connectors::defender::DefenderSettings;
use crate::connectors::sentinel::SentinelSettings;
use crate::http::Credential;
use crate::model::SystemName;

/// What both services' settings share.
struct Shared {
    credential: Credential,
    tenant_id: String,
    authority_url: url::Url,
    scope: String,
    settle: Option<std::time::Duration>,
    overlap: Option<std::time::Duration>,
    budget_factor: f64,
    hook: Option<crate::http::secret::SecretRef>,
}

pub(super) fn defender(section: &mut Section<'_>, name: &SystemName) -> Option<SystemSettings> {
    let cloud = cloud(section, Cloud::refuses_defender);
    let graph_url =
        section.get("graph_url", parse::url).map(Spanned::into_inner).or_else(|| known(cloud.graph()));
    let shared = shared(section, cloud, cloud.graph())?;
    Some(SystemSettings::Defender(DefenderSettings {
        name: name.clone(),
        tenant_id: shared.tenant_id,
        credential: shared.credential,
        authority_url: shared.authority_url,
        graph_url: graph_url?,
        scope: shared.scope,
        budget_factor: shared.budget_factor,
        settle: shared.settle.unwrap_or(DefenderSettings::DEFAULT_SETTLE),
        overlap: shared.overlap.unwrap_or(DefenderSettings::DEFAULT_OVERLAP),
        hook: shared.hook,
    }))
}

pub(super) fn sentinel(section: &mut Section<'_>, name: &SystemName) -> Option<SystemSettings> {
    let cloud = cloud(section, Cloud::refuses_sentinel);
    let arm_url = section.get("arm_url", parse::url).map(Spanned::into_inner).or_else(|| known(cloud.arm()));
    let subscription_id = section.require("subscription_id", parse::text);
    let resource_group = section.require("resource_group", parse::text);
    let workspace = section.require("workspace", parse::text);
    let api_version = section.get("api_version", parse::text);
    let shared = shared(section, cloud, cloud.arm())?;
    Some(SystemSettings::Sentinel(SentinelSettings {
        name: name.clone(),
        tenant_id: shared.tenant_id,
        subscription_id: subscription_id?.into_inner(),
        resource_group: resource_group?.into_inner(),
        workspace: workspace?.into_inner(),
        credential: shared.credential,
        authority_url: shared.authority_url,
        arm_url: arm_url?,
        scope: shared.scope,
        api_version: api_version
            .map_or_else(|| SentinelSettings::DEFAULT_API_VERSION.to_owned(), Spanned::into_inner),
        budget_factor: shared.budget_factor,
        settle: shared.settle.unwrap_or(SentinelSettings::DEFAULT_SETTLE),
        overlap: shared.overlap.unwrap_or(SentinelSettings::DEFAULT_OVERLAP),
        // Which Defender it mirrors shows only when all systems and bridges are known.
        peer: None,
        hook: shared.hook,
    }))
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

fn shared(section: &mut Section<'_>, cloud: Cloud, resource: &str) -> Option<Shared> {
    let credential = credential(section, CREDENTIALS, "managed-identity", Credential::secrets);
    let tenant_id = tenant(section, credential.as_ref());
    let authority_url = section
        .get("authority_url", parse::url)
        .map(Spanned::into_inner)
        .or_else(|| known(cloud.authority()));
    let scope = section.get("scope", parse::text).map(Spanned::into_inner);
    let settle = section.get("settle", parse::duration).map(Spanned::into_inner);
    let overlap = section.get("overlap", parse::duration).map(Spanned::into_inner);
    let budget_factor = section.get("budget_factor", parse::factor).map(Spanned::into_inner);
    let hook = section.secret("hook_secret");
    Some(Shared {
        credential: credential?,
        tenant_id: tenant_id.unwrap_or_default(),
        authority_url: authority_url?,
        scope: scope.unwrap_or_else(|| format!("{resource}/.default")),
        settle,
        overlap,
        budget_factor: budget_factor.unwrap_or(1.0),
        hook,
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
const CREDENTIALS: super::credential::Kinds = &[
    ("client-secret", &["client_id", "secret"], &[]),
    ("certificate", &["client_id", "certificate", "key"], &[]),
    ("workload-identity", &[], &["client_id", "token_file"]),
    ("managed-identity", &[], &["client_id", "endpoint"]),
    ("azure-cli", &[], &[]),
];
