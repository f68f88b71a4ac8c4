use serde_json::{Value, json};

use super::tests::{connector, incident, name, record};
use super::*;
use crate::connectors::testing::{Server, any_json, cases};
use proptest::prelude::*;

fn standalone() -> Value {
    let mut json = incident();
    let properties = &mut json["properties"];
    properties["providerName"] = "Azure Sentinel".into();
    properties["providerIncidentId"] = "4182".into();
    properties["additionalData"]["tactics"] = json!(["InitialAccess"]);
    json
}

fn alerts() -> Value {
    let alert = |title: &str, at: &str| {
        json!({"kind": "SecurityAlert", "properties": {"alertDisplayName": title, "severity": "Medium",
            "productName": "Azure Sentinel", "tactics": ["Impact"], "alertLink": "https://a.example/1", "timeGenerated": at}})
    };
    json!({"value": [alert("late", "2026-09-01T08:00:00Z"), alert("early", "2026-09-01T07:00:00Z"), null]})
}

fn entities() -> Value {
    let entity = |kind: &str, properties: Value| json!({"kind": kind, "properties": properties});
    json!({"metaData": [], "entities": [
        entity("Account", json!({"accountName": "mallory", "upnSuffix": "example.org"})),
        entity("account", json!({"accountName": "eve", "ntDomain": "corp"})),
        entity("Account", json!({"friendlyName": "svc"})),
        entity("Host", json!({"hostName": "ws-0042", "dnsDomain": "example.org"})),
        entity("Mailbox", json!({"mailboxPrimaryAddress": "mallory@example.org"})),
        entity("Ip", json!({"address": "192.0.2.1"})), null,
    ]})
}

#[tokio::test]
async fn an_incident_with_a_twin_costs_one_call() {
    let server = Server::start([(200, incident())]).await;
    let brief = connector(&server).brief(&record()).await.unwrap().unwrap();
    assert_eq!(server.seen().len(), 1);
    assert_eq!((brief.number.as_str(), brief.title.as_str()), ("4182", "Suspicious sign-in"));
    assert_eq!(
        (brief.url.as_deref(), brief.description.as_deref()),
        (Some("https://portal.example/i"), Some("D"))
    );
    assert_eq!(brief.products, ["Microsoft Defender XDR"]);
}

#[tokio::test]
async fn one_of_its_own_tells_of_alerts_and_entities() {
    let server = Server::start([(200, standalone()), (200, alerts()), (200, entities())]).await;
    let brief = connector(&server).brief(&record()).await.unwrap().unwrap();
    let seen = server.seen();
    assert!(seen[1].method == "POST" && seen[1].path.ends_with("/alerts"), "{}", seen[1].path);
    assert!(seen[2].method == "POST" && seen[2].path.ends_with("/entities"), "{}", seen[2].path);
    assert_eq!(brief.tactics, ["InitialAccess", "Impact"]);
    assert_eq!(brief.users, ["mallory@example.org", "corp\\eve", "svc"]);
    assert_eq!(brief.devices, ["ws-0042.example.org"]);
    assert_eq!(brief.mailboxes, ["mallory@example.org"]);
    let titles: Vec<&str> = brief.alerts.iter().map(|alert| alert.title.as_str()).collect();
    assert_eq!(titles, ["early", "late"]);
}

#[tokio::test]
async fn what_alerts_would_tell_does_not_hold_up_the_rest() {
    let denied = json!({"error": {"code": "AuthorizationFailed", "message": ""}});
    let server = Server::start([(200, standalone()), (403, denied)]).await;
    let brief = connector(&server).brief(&record()).await.unwrap().unwrap();
    assert!(brief.incomplete && brief.alerts.is_empty() && brief.title == "Suspicious sign-in");
}

proptest! {
    #![proptest_config(cases(500))]

    #[test]
    fn briefs_of_any_shape(json in any_json(), within in any_json()) {
        let mut told = brief::brief(&name(), &json);
        brief::add_alerts(&mut told, &json);
        brief::add_entities(&mut told, &json!({ "entities": [{ "kind": "Host", "properties": within }, json] }));
        prop_assert!(told.devices.iter().all(|text| !text.trim().is_empty()));
    }
}
