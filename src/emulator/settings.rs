//! Lasting imperfections: outages, lag, strictness, quota.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::ledger::{Api, System};
use super::oddity::Oddity;

/// Whether a whole system is down, and how that looks from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outage {
    /// It is up.
    #[default]
    Off,
    /// It answers 503 to everything.
    Refuse,
    /// It closes every connection.
    Drop,
}

/// Why the token endpoint issues no token any more (`graph-security.md` 1.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LoginRefusal {
    /// It issues them.
    #[default]
    None,
    /// The secret is past its end.
    SecretExpired,
    /// The application is not in the tenant any more.
    AppRemoved,
    /// The tenant is not there any more.
    TenantGone,
}

/// What of the path to a workspace is not there, so that everything below it answers 404 (`sentinel.md` 8.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Missing {
    /// All is there.
    #[default]
    Nothing,
    /// The subscription, as callers of another directory see it as well.
    Subscription,
    /// The resource group.
    ResourceGroup,
    /// The workspace.
    Workspace,
}

/// Lasting imperfections, per API where it says so. Part of the control API's `/control/settings`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
// Independent switches, not states of one thing.
#[allow(clippy::struct_excessive_bools)]
pub struct Settings {
    /// Outage of the token endpoint.
    pub login_outage: Outage,
    /// Outage of Graph.
    pub graph_outage: Outage,
    /// Outage of Sentinel.
    pub sentinel_outage: Outage,
    /// Outages of ticket systems, by name.
    pub ticketing_outage: BTreeMap<System, Outage>,
    /// Seconds until a change shows in Graph's lists. Reads by id are immediate.
    pub graph_list_lag: f64,
    /// Seconds until a change shows in Sentinel's list. Reads by id are immediate.
    pub sentinel_list_lag: f64,
    /// `$expand=alerts` answers 500, always, if the page's incidents have more alerts than this.
    pub expand_alerts_limit: Option<usize>,
    /// Seconds by which a resolved incident's alerts follow it.
    pub fan_out_delay: f64,
    /// Whether an illegal classification and determination pair in a Graph PATCH is accepted.
    pub accept_illegal_pairs: bool,
    /// Whether read-only properties in a Graph PATCH are ignored instead of refused.
    pub ignore_read_only: bool,
    /// Whether a Sentinel PUT of an existing incident needs the etag.
    pub require_etag: bool,
    /// Whether the service ties a workspace to the Defender portal: `providerName` is always `Microsoft XDR`.
    pub onboarded: bool,
    /// Rows that Graph's `$skip` reaches; further pages stay empty (`graph-security.md` 2.2).
    pub skip_ceiling: usize,
    /// Whether the published limits are kept (429 beyond them).
    pub quota: bool,
    /// Multiplies the published limits.
    pub quota_factor: f64,
    /// Why no tokens are issued. Those that were live on.
    pub login_refusal: LoginRefusal,
    /// Whether Graph does not know its caller any more: 401 to everything.
    pub graph_anonymous: bool,
    /// Whether the caller lost its application permissions: 403 to everything.
    pub graph_role_lost: bool,
    /// Whether the tenant has no active Defender: 401 with words of its own.
    pub graph_unprovisioned: bool,
    /// How Graph's answers are odd.
    pub graph_odd: Oddity,
    /// Properties that a PATCH of an incident or alert is refused for.
    pub graph_refuses: Vec<String>,
    /// Whether such a refusal names the property; the real one mostly does not (`graph-security.md` 5.3).
    pub graph_names_refused: bool,
    /// Whether Azure Resource Manager does not know its caller any more: 401 to everything.
    pub sentinel_anonymous: bool,
    /// Whether the caller's role lapsed: 403 to everything.
    pub sentinel_role_lost: bool,
    /// Whether the subscription moved to another directory: 401 with a code of its own.
    pub sentinel_directory_moved: bool,
    /// What of the path to the workspace is not there.
    pub sentinel_missing: Missing,
    /// How Sentinel's answers are odd.
    pub sentinel_odd: Oddity,
    /// Properties that a PUT of an existing incident is refused for, where it changes them.
    pub sentinel_refuses: Vec<String>,
    /// Whether such a refusal names the property.
    pub sentinel_names_refused: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            login_outage: Outage::Off,
            graph_outage: Outage::Off,
            sentinel_outage: Outage::Off,
            ticketing_outage: BTreeMap::new(),
            graph_list_lag: 0.0,
            sentinel_list_lag: 0.0,
            expand_alerts_limit: None,
            fan_out_delay: 0.0,
            accept_illegal_pairs: false,
            ignore_read_only: false,
            require_etag: false,
            onboarded: false,
            skip_ceiling: 10_000,
            quota: false,
            quota_factor: 1.0,
            login_refusal: LoginRefusal::None,
            graph_anonymous: false,
            graph_role_lost: false,
            graph_unprovisioned: false,
            graph_odd: Oddity::None,
            graph_refuses: Vec::new(),
            graph_names_refused: false,
            sentinel_anonymous: false,
            sentinel_role_lost: false,
            sentinel_directory_moved: false,
            sentinel_missing: Missing::Nothing,
            sentinel_odd: Oddity::None,
            sentinel_refuses: Vec::new(),
            sentinel_names_refused: true,
        }
    }
}

impl Settings {
    pub(super) fn outage(&self, api: Api) -> Outage {
        match api {
            Api::Login => self.login_outage,
            Api::Graph => self.graph_outage,
            Api::Sentinel => self.sentinel_outage,
            Api::ServiceNow | Api::Jira | Api::RequestTracker | Api::TheHive => {
                let outage = api.ticketing().and_then(|system| self.ticketing_outage.get(&system));
                outage.copied().unwrap_or_default()
            }
        }
    }
}

/// Settings with the members of a JSON object replaced.
pub(super) fn merged<T: Serialize + DeserializeOwned>(settings: &T, patch: &Value) -> Result<T, String> {
    let mut all = serde_json::to_value(settings).map_err(|error| error.to_string())?;
    let patch = patch.as_object().ok_or("settings are a JSON object")?;
    if let Some(all) = all.as_object_mut() {
        all.extend(patch.clone());
    }
    serde_json::from_value(all).map_err(|error| error.to_string())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn members_are_replaced_one_by_one() {
        let settings = Settings { quota: true, ..Settings::default() };
        let settings = merged(&settings, &json!({"graph_outage": "drop"})).unwrap();
        assert_eq!((settings.graph_outage, settings.quota), (Outage::Drop, true));
        assert!(merged(&settings, &json!({"graph_lag": 3})).unwrap_err().contains("graph_lag"));
    }
}
