//! What alerts tell beside their state: tactics, techniques and evidence (`graph-security.md` 3.1, 3.4), and how both
//! services print it.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::super::clock::trimmed;

/// What an alert tells beside its state.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct AlertFacts {
    /// Tactics, in Defender's spelling.
    pub categories: Vec<String>,
    /// Techniques, such as `T1059.001`.
    pub mitre_techniques: Vec<String>,
    /// User principal names.
    pub users: Vec<String>,
    /// Devices, by DNS name.
    pub devices: Vec<String>,
    /// Addresses of mailboxes.
    pub mailboxes: Vec<String>,
}

impl Default for AlertFacts {
    fn default() -> Self {
        Self {
            categories: vec!["SuspiciousActivity".to_owned()],
            mitre_techniques: Vec::new(),
            users: vec!["mallory@example.org".to_owned()],
            devices: Vec::new(),
            mailboxes: Vec::new(),
        }
    }
}

impl AlertFacts {
    /// The members of an alert that Graph prints of it.
    pub(super) fn stated(&self, created: Timestamp) -> Map<String, Value> {
        let common = |kind: &str| {
            json!({
                "@odata.type": format!("#microsoft.graph.security.{kind}"), "createdDateTime": trimmed(created),
                "verdict": "unknown", "remediationStatus": "none", "remediationStatusDetails": null, "roles": [],
                "detailedRoles": [], "tags": [],
            })
        };
        let users = self.users.iter().map(|upn| {
            let (name, domain) = upn.split_once('@').unwrap_or((upn, ""));
            let mut evidence = common("userEvidence");
            evidence["userAccount"] = json!({
                "accountName": name, "domainName": domain.split('.').next(), "userSid": null,
                "azureAdUserId": null, "userPrincipalName": upn, "displayName": name,
            });
            evidence
        });
        let devices = self.devices.iter().map(|name| {
            let mut evidence = common("deviceEvidence");
            (evidence["deviceDnsName"], evidence["hostName"]) =
                (json!(name), json!(name.split('.').next().unwrap_or(name)));
            evidence
        });
        let mailboxes = self.mailboxes.iter().map(|address| {
            let mut evidence = common("mailboxEvidence");
            (evidence["primaryAddress"], evidence["upn"]) = (json!(address), json!(address));
            evidence
        });
        let evidence: Vec<Value> = users.chain(devices).chain(mailboxes).collect();
        Map::from_iter([
            ("category".to_owned(), json!(self.categories.first())),
            ("categories".to_owned(), json!(self.categories)),
            ("mitreTechniques".to_owned(), json!(self.mitre_techniques)),
            ("evidence".to_owned(), json!(evidence)),
        ])
    }

    /// The entities that Sentinel knows of it (`sentinel.md` 2.5): kind and properties.
    pub(in super::super) fn entities(&self) -> Vec<(&'static str, Value)> {
        let parts = |text: &str, at: char| {
            let (first, rest) = text.split_once(at).unwrap_or((text, ""));
            (first.to_owned(), rest.to_owned())
        };
        let users = self.users.iter().map(|upn| {
            let (name, suffix) = parts(upn, '@');
            ("Account", json!({ "accountName": name, "upnSuffix": suffix, "friendlyName": name }))
        });
        let devices = self.devices.iter().map(|dns| {
            let (host, domain) = parts(dns, '.');
            ("Host", json!({ "hostName": host, "dnsDomain": domain, "friendlyName": host }))
        });
        let mailboxes = self.mailboxes.iter().map(|address| {
            ("Mailbox", json!({ "mailboxPrimaryAddress": address, "upn": address, "friendlyName": address }))
        });
        users.chain(devices).chain(mailboxes).collect()
    }
}
