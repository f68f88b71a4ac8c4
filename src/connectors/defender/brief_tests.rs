use serde_json::json;

use super::tests::{alert, connector, incident, name, record};
use super::*;
use crate::connectors::testing::{Server, any_json, cases};
use crate::connectors::{Brief, HookProof};
use proptest::prelude::*;

fn evidence(kind: &str, more: &Value) -> Value {
    let mut evidence =
        json!({"@odata.type": format!("#microsoft.graph.security.{kind}"), "verdict": "unknown"});
    evidence.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    evidence
}

fn expanded() -> Value {
    let mut first = alert("da1_1");
    first["createdDateTime"] = "2026-11-02T08:20:00Z".into();
    first["productName"] = "Microsoft Defender for Endpoint".into();
    first["category"] = "Execution".into();
    first["categories"] = json!(["Execution", "Persistence"]);
    first["mitreTechniques"] = json!(["T1059.001", "T1059.001", null, 7]);
    first["evidence"] = json!([
        evidence(
            "userEvidence",
            &json!({"userAccount": {"userPrincipalName": "mallory@example.org", "accountName": "m"}})
        ),
        evidence(
            "UserEvidence",
            &json!({"userAccount": {"userPrincipalName": null, "domainName": "corp", "accountName": "eve"}})
        ),
        evidence("deviceEvidence", &json!({"deviceDnsName": "ws-0042.example.org", "hostName": "ws-0042"})),
        evidence("deviceEvidence", &json!({"deviceDnsName": "", "hostName": "WS-7"})),
        evidence("mailboxEvidence", &json!({"primaryAddress": "mallory@example.org"})),
        evidence("tomorrowsEvidence", &json!({"userAccount": {"userPrincipalName": "nobody@example.org"}})),
        7,
        null,
    ]);
    let mut second = alert("da2_2");
    second["title"] = "Earlier".into();
    second["category"] = "InitialAccess".into();
    let mut incident = incident("4711");
    incident["description"] = "D".into();
    incident["alerts"] = json!([first, second, null]);
    incident
}

#[tokio::test]
async fn a_brief_tells_of_alerts_and_their_evidence_in_one_call() {
    let server = Server::start([(200, expanded())]).await;
    let brief = connector(&server).brief(&record("4711")).await.unwrap().unwrap();
    assert_eq!(server.last().query, "$expand=alerts");
    let lists = [
        (&brief.products, vec!["microsoftSentinel", "Microsoft Defender for Endpoint"]),
        (&brief.tactics, vec!["InitialAccess", "Execution", "Persistence"]),
        (&brief.techniques, vec!["T1059.001"]),
        (&brief.users, vec!["mallory@example.org", "corp\\eve"]),
        (&brief.devices, vec!["ws-0042.example.org", "WS-7"]),
        (&brief.mailboxes, vec!["mallory@example.org"]),
    ];
    for (told, expected) in lists {
        assert_eq!(*told, expected);
    }
    let titles: Vec<&str> = brief.alerts.iter().map(|alert| alert.title.as_str()).collect();
    assert_eq!(titles, ["Earlier", "Odd"], "newest last");
    assert_eq!((brief.system.as_str(), brief.number.as_str()), ("defender", "4711"));
    assert_eq!(brief.created.as_deref(), Some("2026-11-02T08:15:30Z"));
    assert!(brief.url.is_some() && brief.description.as_deref() == Some("D") && !brief.incomplete);
}

#[tokio::test]
async fn an_incident_whose_alerts_cannot_be_expanded_is_told_alone() {
    let fail = (500, json!({"error": {"code": "InternalServerError", "message": ""}}));
    let server = Server::start([fail.clone(), fail.clone(), fail, (200, incident("4711"))]).await;
    let brief = connector(&server).brief(&record("4711")).await.unwrap().unwrap();
    assert!(brief.incomplete && brief.alerts.is_empty() && brief.title == "Multi-stage incident");
    assert_eq!(server.last().query, "");
    let server = Server::start([(404, json!({"error": {"code": "ResourceNotFound", "message": ""}}))]).await;
    assert!(connector(&server).brief(&record("1")).await.is_err());
    let alert = RecordRef { kind: RecordKind::Alert, ..record("a") };
    assert_eq!(connector(&server).brief(&alert).await.unwrap(), None);
}

#[test]
fn of_many_alerts_the_newest_are_told_and_the_others_counted() {
    let mut json = incident("1");
    json["alerts"] = (0..60)
        .map(|n| {
            let mut alert = alert(&n.to_string());
            alert["title"] = n.to_string().into();
            alert["createdDateTime"] = format!("2026-11-02T08:{n:02}:00Z").into();
            alert
        })
        .collect();
    let told = brief::brief(&name(), &json);
    assert_eq!((told.alerts.len(), told.more_alerts), (Brief::MAX_ALERTS, 10));
    assert_eq!((told.alerts[0].title.as_str(), told.alerts[49].title.as_str()), ("10", "59"));
}

#[tokio::test]
async fn a_hook_needs_a_configured_secret() {
    let server = Server::start([]).await;
    assert!(connector(&server).hook().is_none());
    let secret = SecretRef::Inline("s".into());
    let mut settings = super::tests::settings(&server);
    settings.hook = Some(secret);
    let defender = Defender::new(&settings, &crate::connectors::testing::http(), None).unwrap();
    let hook = defender.hook().unwrap();
    assert_eq!(hook.proof, HookProof::Shared("x-lockstep-hook-secret"));
    let named = (hook.records)(&json!({"incident": "4711"}));
    assert_eq!(named, [(RecordKind::Incident, record("4711").id)]);
}

proptest! {
    #![proptest_config(cases(500))]

    #[test]
    fn briefs_of_any_shape(json in any_json(), within in any_json()) {
        let _ = brief::brief(&name(), &json);
        let mut spoilt = incident("1");
        spoilt["alerts"] = json!([{ "evidence": [within], "categories": json }, json]);
        let told = brief::brief(&name(), &spoilt);
        prop_assert!(told.users.iter().chain(&told.tactics).all(|text| !text.trim().is_empty()));
    }
}
