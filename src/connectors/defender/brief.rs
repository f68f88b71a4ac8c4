//! What an analyst wants to know of an incident: it and its alerts with their evidence, in one call.

use serde_json::Value;

use super::Defender;
use crate::connectors::briefing::{account_name, add, add_all, seconds, text, text_or_empty};
use crate::connectors::html;
use crate::connectors::{AlertBrief, Brief};
use crate::http::{CallError, Priority};
use crate::model::{RecordKind, RecordRef, SystemName};

impl Defender {
    /// The incident with its alerts. Expanding them fails for good on big incidents (`graph-security.md` section 7, item
    /// 3), so then the incident alone has to do.
    pub(super) async fn tell(&self, record: &RecordRef) -> Result<Option<Brief>, CallError> {
        if record.kind != RecordKind::Incident {
            return Ok(None);
        }
        let operation = "incidents.brief";
        let path = ["incidents", record.id.as_str()];
        let ask = |query: &[(&str, &str)]| {
            self.get(operation, &path, query).map(|call| call.with_priority(Priority::Detail))
        };
        let expanded = self.endpoint.send(ask(&[("$expand", "alerts")])?).await;
        let (answer, incomplete) = match expanded {
            Ok(answer) => (answer, false),
            Err(error) if matches!(error, CallError::Unknown { .. }) || error.is_too_large() => {
                tracing::debug!(%record, %error, "the alerts cannot be read along; the incident is read alone");
                (self.endpoint.send(ask(&[])?).await?, true)
            }
            Err(error) => return Err(error),
        };
        Ok(Some(Brief { incomplete, ..brief(&self.endpoint.system, &answer.body) }))
    }
}

/// Reads what is there; total on any JSON.
pub(super) fn brief(system: &SystemName, json: &Value) -> Brief {
    let mut brief = Brief {
        system: system.to_string(),
        number: text_or_empty(&json["id"]),
        title: text_or_empty(&json["displayName"]),
        severity: text_or_empty(&json["severity"]),
        url: text(&json["incidentWebUrl"]).map(str::to_owned),
        created: seconds(&json["createdDateTime"]),
        description: text(&json["description"]).map(html::words_of),
        ..Brief::default()
    };
    let mut alerts: Vec<&Value> =
        json["alerts"].as_array().into_iter().flatten().filter(|alert| alert.is_object()).collect();
    alerts.sort_by_key(|alert| seconds(&alert["createdDateTime"]));
    for alert in &alerts {
        add_alert(&mut brief, alert);
    }
    brief.more_alerts = alerts.len().saturating_sub(Brief::MAX_ALERTS);
    brief.alerts = alerts.iter().skip(brief.more_alerts).map(|alert| alert_brief(alert)).collect();
    brief
}

fn alert_brief(alert: &Value) -> AlertBrief {
    AlertBrief {
        title: text_or_empty(&alert["title"]),
        severity: text_or_empty(&alert["severity"]),
        product: product(alert).map(str::to_owned),
        url: text(&alert["alertWebUrl"]).map(str::to_owned),
    }
}

fn product(alert: &Value) -> Option<&str> {
    text(&alert["productName"]).or_else(|| text(&alert["serviceSource"]))
}

fn add_alert(brief: &mut Brief, alert: &Value) {
    add(&mut brief.products, product(alert));
    // `categories` is the newer property and holds what `category` says, too (`graph-security.md` 3.1).
    add_all(&mut brief.tactics, &alert["categories"]);
    if !alert["categories"].is_array() {
        add(&mut brief.tactics, text(&alert["category"]));
    }
    add_all(&mut brief.techniques, &alert["mitreTechniques"]);
    for evidence in alert["evidence"].as_array().into_iter().flatten() {
        add_evidence(brief, evidence);
    }
}

/// Type names are compared without regard to case; their spelling is not uniform (`graph-security.md` 3.4).
fn add_evidence(brief: &mut Brief, evidence: &Value) {
    let kind = text_or_empty(&evidence["@odata.type"]).to_ascii_lowercase();
    match kind.rsplit('.').next().unwrap_or_default() {
        "userevidence" => {
            let user = &evidence["userAccount"];
            let (domain, name) = (text(&user["domainName"]), text(&user["accountName"]));
            let shown = account_name(text(&user["userPrincipalName"]), domain, name);
            add(&mut brief.users, shown.as_deref());
        }
        "deviceevidence" => {
            let name = text(&evidence["deviceDnsName"]).or_else(|| text(&evidence["hostName"]));
            add(&mut brief.devices, name);
        }
        "mailboxevidence" => {
            let address = text(&evidence["primaryAddress"]).or_else(|| text(&evidence["upn"]));
            add(&mut brief.mailboxes, address);
        }
        _ => {}
    }
}
