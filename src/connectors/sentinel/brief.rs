//! What an analyst wants to know of an incident. For one that mirrors a Defender incident, that one tells more, and the
//! incident alone is read here; of others the alerts and entities are asked for too, within budgets of their own.

use serde_json::Value;

use super::{Sentinel, snapshot};
use crate::connectors::briefing::{account_name, add, add_all, seconds, text, text_or_empty};
use crate::connectors::html;
use crate::connectors::{AlertBrief, Brief};
use crate::http::{Call, CallError, Priority};
use crate::model::{RecordKind, RecordRef, SystemName};

impl Sentinel {
    /// One call for an incident that mirrors a Defender one, else three. What its alerts and entities would tell does
    /// not hold up the rest.
    pub(super) async fn tell(&self, record: &RecordRef) -> Result<Option<Brief>, CallError> {
        if record.kind != RecordKind::Incident {
            return Ok(None);
        }
        let url = self.url("incidents.brief", &[record.id.as_str()], &[])?;
        let call = Call::get("incidents.brief", "arm-read", url).with_priority(Priority::Detail);
        let answer = self.endpoint.send(call).await?;
        let mut told = brief(&self.endpoint.system, &answer.body);
        if snapshot::is_mirror(&answer.body) {
            return Ok(Some(told));
        }
        match self.details(record).await {
            Ok((alerts, entities)) => {
                add_alerts(&mut told, &alerts);
                add_entities(&mut told, &entities);
            }
            // A limit only delays them.
            Err(error) if error.only_delayed().is_some() => return Err(error),
            Err(error) => {
                tracing::debug!(%record, %error, "alerts and entities cannot be read for a brief");
                told.incomplete = true;
            }
        }
        Ok(Some(told))
    }

    async fn details(&self, record: &RecordRef) -> Result<(Value, Value), CallError> {
        let alerts = self.ask("incident-alerts.list", record, "alerts").await?;
        Ok((alerts, self.ask("incident-entities.list", record, "entities").await?))
    }

    /// Lists what belongs to an incident; the budget's class is called after it.
    async fn ask(
        &self,
        operation: &'static str,
        record: &RecordRef,
        what: &'static str,
    ) -> Result<Value, CallError> {
        let url = self.url(operation, &[record.id.as_str(), what], &[])?;
        let call = Call::query(operation, what, url, None).with_priority(Priority::Detail);
        Ok(self.endpoint.send(call).await?.body)
    }
}

/// Reads the incident itself; total on any JSON.
pub(super) fn brief(system: &SystemName, json: &Value) -> Brief {
    let properties = &json["properties"];
    let additional = &properties["additionalData"];
    let number = properties["incidentNumber"].as_u64().map(|number| number.to_string());
    let url = text(&properties["incidentUrl"]).or_else(|| text(&additional["providerIncidentUrl"]));
    let mut brief = Brief {
        system: system.to_string(),
        number: number.unwrap_or_else(|| text_or_empty(&json["name"])),
        title: text_or_empty(&properties["title"]),
        severity: text_or_empty(&properties["severity"]),
        url: url.map(str::to_owned),
        created: seconds(&properties["createdTimeUtc"]),
        description: text(&properties["description"]).map(html::words_of),
        ..Brief::default()
    };
    add_all(&mut brief.products, &additional["alertProductNames"]);
    add_all(&mut brief.tactics, &additional["tactics"]);
    add_all(&mut brief.techniques, &additional["techniques"]);
    brief
}

/// Adds the alerts of an answer (`sentinel.md` 2.4).
pub(super) fn add_alerts(brief: &mut Brief, answer: &Value) {
    let alerts = answer["value"].as_array().into_iter().flatten().map(|alert| &alert["properties"]);
    let mut alerts: Vec<&Value> = alerts.filter(|alert| alert.is_object()).collect();
    alerts.sort_by_key(|alert| seconds(&alert["timeGenerated"]));
    brief.more_alerts = alerts.len().saturating_sub(Brief::MAX_ALERTS);
    for alert in &alerts {
        add_all(&mut brief.tactics, &alert["tactics"]);
        add(&mut brief.products, text(&alert["productName"]));
    }
    let shown = alerts.into_iter().skip(brief.more_alerts).map(|alert| AlertBrief {
        title: text_or_empty(&alert["alertDisplayName"]),
        severity: text_or_empty(&alert["severity"]),
        product: text(&alert["productName"]).map(str::to_owned),
        url: text(&alert["alertLink"]).map(str::to_owned),
    });
    brief.alerts = shown.collect();
}

/// Adds the entities of an answer that people ask for first (`sentinel.md` 2.5).
pub(super) fn add_entities(brief: &mut Brief, answer: &Value) {
    for entity in answer["entities"].as_array().into_iter().flatten() {
        let properties = &entity["properties"];
        match text_or_empty(&entity["kind"]).to_ascii_lowercase().as_str() {
            "account" => add(&mut brief.users, user(properties).as_deref()),
            "host" => {
                let (host, domain) = (text(&properties["hostName"]), text(&properties["dnsDomain"]));
                let whole =
                    host.map(|host| domain.map_or_else(|| host.to_owned(), |d| format!("{host}.{d}")));
                add(&mut brief.devices, whole.as_deref());
            }
            "mailbox" => {
                let address = text(&properties["mailboxPrimaryAddress"]).or_else(|| text(&properties["upn"]));
                add(&mut brief.mailboxes, address);
            }
            _ => {}
        }
    }
}

/// Accounts state their name and the suffix behind the `@` apart.
fn user(properties: &Value) -> Option<String> {
    let (name, suffix) = (text(&properties["accountName"]), text(&properties["upnSuffix"]));
    let principal = name.zip(suffix).map(|(name, suffix)| format!("{name}@{suffix}"));
    account_name(principal.as_deref(), text(&properties["ntDomain"]), name)
        .or_else(|| text(&properties["friendlyName"]).map(str::to_owned))
}
