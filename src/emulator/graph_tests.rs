//! Graph as callers see it.

use serde_json::{Value, json};

use super::faults::{Fault, FaultKind, RetryAfter};
use super::graph::{AlertEdit, AlertSeed, DefenderEdit, IncidentSeed};
use super::ledger::{Actor, Api, Entry, What};
use super::options::{App, EmulatorOptions};
use super::testing::{Caller, error, nothing};

fn seeded(alerts: usize) -> (Caller, u64) {
    let mut caller = Caller::new();
    let id = caller.world.create_defender(&IncidentSeed::new("Phishing", "high", alerts));
    caller.advance(1.0);
    (caller, id)
}

fn patch(caller: &mut Caller, id: u64, body: &Value) -> super::wire::Reply {
    caller.security("PATCH", &format!("incidents/{id}"), body)
}

/// Effective entries after the seeds.
fn effective(caller: &Caller, skip: usize) -> Vec<Entry> {
    caller.world.ledger.entries().iter().skip(skip).filter(|entry| entry.is_effective()).cloned().collect()
}

#[test]
fn resolving_fans_out_in_one_tick() {
    let (mut caller, id) = seeded(2);
    let reply = patch(
        &mut caller,
        id,
        &json!({"status": "resolved", "classification": "truePositive", "determination": "phishing",
                "assignedTo": "ana@example.org"}),
    );
    assert_eq!(reply.status, 200);
    let app = super::options::CLIENT_ID;
    assert_eq!(reply.value()["lastModifiedBy"], format!("API-App:{app}"));
    let list = caller.security("GET", &format!("incidents/{id}?$expand=alerts"), &nothing());
    for alert in list.value()["alerts"].as_array().unwrap() {
        assert_eq!(alert["status"], "resolved");
        assert_eq!(alert["determination"], "phishing");
        assert_eq!(alert["assignedTo"], "ana@example.org");
        assert_eq!(alert["lastUpdateDateTime"], reply.value()["lastUpdateDateTime"]);
    }
    let entries = effective(&caller, 3);
    let actors: Vec<&str> = entries.iter().map(|entry| entry.actor.as_str()).collect();
    assert_eq!(actors, [app, "service", "service"]);
    assert_eq!(entries[0].new_value("status").unwrap(), "resolved");
}

#[test]
fn the_last_resolved_alert_resolves_the_incident_and_reopening_leaves_alerts() {
    let (mut caller, id) = seeded(2);
    let alerts = caller.world.defender.incident(id).unwrap().alerts.clone();
    for alert in &alerts {
        let body = json!({"status": "resolved"});
        assert_eq!(caller.security("PATCH", &format!("alerts_v2/{alert}"), &body).status, 200);
    }
    let reply = caller.security("GET", &format!("incidents/{id}"), &nothing());
    assert_eq!(reply.value()["status"], "resolved");
    assert_eq!(reply.value()["lastModifiedBy"], "Microsoft 365 Defender-IncidentCreation");
    assert!(reply.value()["resolvingComment"].as_str().unwrap().ends_with(&alerts[1]));

    assert_eq!(patch(&mut caller, id, &json!({"status": "active"})).status, 200);
    assert_eq!(caller.world.defender.alert(&alerts[0]).unwrap().status, "resolved");
}

#[test]
fn patches_are_checked() {
    let (mut caller, id) = seeded(1);
    for body in [
        json!({"classification": "truePositive", "determination": "confirmedUserActivity"}),
        json!({"classification": "TruePositive", "determination": "phishing"}),
        json!({"classification": "falsePositive", "determination": "phishing"}),
        json!({"classification": "truePositive"}),
        json!({"status": "unknownFutureValue"}),
        json!({"status": null}),
        json!({"customTags": "one"}),
        json!({"nonsense": 1}),
        json!([]),
    ] {
        let reply = patch(&mut caller, id, &body);
        assert_eq!((reply.status, error(&reply).1), (400, "InvalidRequestBody".to_owned()), "{body}");
    }
    for body in [json!({"lastUpdateDateTime": "x"}), json!({"comments": []}), json!({"comment": "x"})] {
        assert_eq!(error(&patch(&mut caller, id, &body)).1, "BadRequest", "{body}");
    }
    assert!(effective(&caller, 2).is_empty());
    assert_eq!(error(&patch(&mut caller, 1, &json!({"status": "active"}))).1, "ResourceNotFound");
}

#[test]
fn writes_without_effect_move_the_clock_but_are_told_apart() {
    let (mut caller, id) = seeded(1);
    let before = caller.world.defender.incident(id).unwrap().updated;
    assert_eq!(patch(&mut caller, id, &json!({"status": "active"})).status, 200);
    assert!(caller.world.defender.incident(id).unwrap().updated > before);
    assert_eq!(caller.world.ledger.entries().last().unwrap().what, What::Ineffective);
    assert_eq!(caller.world.ledger.counts()["graph/update-incident"], 1);
}

#[test]
fn long_resolving_comments_are_cut_without_a_word() {
    let (mut caller, id) = seeded(1);
    let reply = patch(&mut caller, id, &json!({"resolvingComment": "é".repeat(30_001)}));
    assert_eq!(reply.status, 200);
    assert_eq!(reply.value()["resolvingComment"].as_str().unwrap().chars().count(), 30_000);
}

#[test]
fn comments_take_one_object_and_answer_with_all() {
    let (mut caller, id) = seeded(1);
    let target = format!("incidents/{id}/comments");
    caller.security("POST", &target, &json!({"comment": "one"}));
    let reply = caller.security(
        "POST",
        &target,
        &json!({"@odata.type": "microsoft.graph.security.alertComment", "comment": "one"}),
    );
    assert_eq!(reply.value()["value"].as_array().unwrap().len(), 2);
    assert_eq!(reply.value()["value"][1]["createdByDisplayName"], "lockstep");
    let refused = caller.security("POST", &target, &json!([{"comment": "one"}]));
    assert_eq!(error(&refused), (400, "BadRequest".into(), "Empty Payload. JSON content expected.".into()));
    let texts = effective(&caller, 2).iter().filter(|e| matches!(e.what, What::Commented { .. })).count();
    assert_eq!(texts, 2);
}

#[test]
fn lists_page_by_fifty_and_refuse_more() {
    let mut caller = Caller::new();
    for n in 0..60 {
        caller.world.create_defender(&IncidentSeed::new(&format!("n{n}"), "low", 0));
    }
    let reply = caller.security("GET", "incidents?$top=51", &nothing());
    assert_eq!(
        error(&reply),
        (
            400,
            String::new(),
            "The query specified in the URI is not valid. The limit of '50' for Top query has been exceeded. \
             The value from the incoming request is '51'."
                .to_owned()
        )
    );
    let reply = caller.security("GET", "incidents?$top=50", &nothing());
    assert!(reply.value().get("@odata.nextLink").is_none());

    let reply = caller.security("GET", "incidents?$count=true&$filter=severity eq 'low'", &nothing());
    assert_eq!(reply.value()["@odata.count"], 60);
    let link = reply.value()["@odata.nextLink"].as_str().unwrap();
    assert!(link.contains("$skip=50") && link.contains("severity"), "{link}");
    let target = link.strip_prefix("http://emulator").unwrap().to_owned();
    let rest = caller.get(&target);
    assert_eq!(rest.value()["value"].as_array().unwrap().len(), 10);
    assert!(rest.value().get("@odata.nextLink").is_none());
}

#[test]
fn lists_filter_and_lag_while_reads_do_not() {
    let (mut caller, id) = seeded(1);
    caller.world.settings.graph_list_lag = 30.0;
    let list = "incidents?$filter=lastUpdateDateTime ge 2026-11-02T00:00:00Z and status ne 'resolved'\
                &$orderby=lastUpdateDateTime asc";
    assert_eq!(caller.security("GET", list, &nothing()).value()["value"], json!([]));
    caller.advance(30.0);
    patch(&mut caller, id, &json!({"status": "inProgress"}));
    assert_eq!(caller.security("GET", list, &nothing()).value()["value"][0]["status"], "active");
    let read = caller.security("GET", &format!("incidents/{id}"), &nothing());
    assert_eq!(read.value()["status"], "inProgress");
    caller.advance(30.0);
    assert_eq!(caller.security("GET", list, &nothing()).value()["value"][0]["status"], "inProgress");

    let refused = caller.security("GET", "incidents?$filter=displayName eq 'x'", &nothing());
    assert_eq!(
        error(&refused).2,
        "Invalid filter clause: Could not find a property named 'displayName' on type \
         'microsoft.graph.security.incident'."
    );
}

#[test]
fn merged_incidents_stay_readable_and_empty() {
    let (mut caller, a) = seeded(2);
    let b = caller.world.create_defender(&IncidentSeed::new("Other", "low", 1));
    let c = caller.world.create_defender(&IncidentSeed::new("Third", "low", 1));
    let by = Actor::Human("ana@example.org".into());
    caller.world.merge_defender(a, b, &by).unwrap();
    caller.world.merge_defender(b, c, &by).unwrap();
    let read = caller.security("GET", &format!("incidents/{a}?$expand=alerts"), &nothing());
    assert_eq!(read.value()["status"], "redirected");
    assert_eq!(read.value()["redirectIncidentId"], b.to_string());
    assert_eq!(read.value()["alerts"], json!([]));
    assert_eq!(caller.world.defender.incident(c).unwrap().alerts.len(), 4);
    assert!(caller.world.merge_defender(a, c, &by).is_err());
}

#[test]
fn newer_members_hide_from_callers_that_do_not_ask() {
    let mut caller = Caller::new();
    let alert = AlertSeed { service_source: "microsoftSentinel".to_owned(), ..AlertSeed::default() };
    caller.world.create_defender(&IncidentSeed { alerts: vec![alert], ..IncidentSeed::default() });
    let source = |caller: &mut Caller| {
        caller.security("GET", "alerts_v2", &nothing()).value()["value"][0]["serviceSource"].clone()
    };
    assert_eq!(source(&mut caller), "unknownFutureValue");
    caller.headers = vec![("prefer".to_owned(), "include-unknown-enum-members".to_owned())];
    assert_eq!(source(&mut caller), "microsoftSentinel");
}

#[test]
fn tokens_and_roles_are_needed() {
    let app = App { graph_roles: vec!["User.Read.All".to_owned()], ..App::default() };
    let mut caller = Caller::with(EmulatorOptions { apps: vec![app], ..EmulatorOptions::default() });
    let reply = caller.security("GET", "incidents", &nothing());
    assert_eq!(
        error(&reply).2,
        "Missing application roles. API required roles: \
         SecurityIncident.Read.All,SecurityIncident.ReadWrite.All, application roles: User.Read.All."
    );
    caller.graph = caller.arm.clone();
    assert_eq!(error(&caller.security("GET", "incidents", &nothing())).0, 401);
    let (mut caller, _) = seeded(0);
    caller.advance(3600.0);
    let reply = caller.security("GET", "incidents", &nothing());
    assert_eq!(
        error(&reply),
        (
            401,
            "InvalidAuthenticationToken".into(),
            "Lifetime validation failed, the token is expired.".into()
        )
    );
    assert!(reply.headers.iter().any(|(name, _)| *name == "www-authenticate"));
}

#[test]
fn faults_before_and_after() {
    let (mut caller, id) = seeded(1);
    let status = json!({"status": "inProgress"});
    let fault = |kind| Fault::new(kind).on(Api::Graph, "update-incident");
    caller.world.faults.add(fault(FaultKind::Throttle { retry_after: RetryAfter::Decimal(2.128) }));
    caller.world.faults.add(fault(FaultKind::DropBefore));
    caller.world.faults.add(fault(FaultKind::ErrorAfter { status: 503 }));
    caller.world.faults.add(fault(FaultKind::DropAfter));
    caller.world.faults.add(fault(FaultKind::StalePatchBody));

    let reply = patch(&mut caller, id, &status);
    assert_eq!((reply.status, caller.cut), (429, false));
    assert!(reply.headers.contains(&("retry-after", "2.128".to_owned())));
    patch(&mut caller, id, &status);
    assert!(caller.cut && effective(&caller, 2).is_empty());
    assert_eq!(patch(&mut caller, id, &status).status, 503);
    assert_eq!(effective(&caller, 2).len(), 1, "applied although it said 503");
    patch(&mut caller, id, &json!({"status": "active"}));
    assert!(caller.cut);
    assert_eq!(effective(&caller, 2).len(), 2, "applied although no answer came");
    let stale = patch(&mut caller, id, &status);
    assert_eq!((stale.status, &stale.value()["status"]), (200, &json!("active")));
    assert_eq!(caller.world.ledger.counts()["graph/update-incident"], 5);
}

#[test]
fn stale_reads_and_big_expansions() {
    let (mut caller, id) = seeded(3);
    patch(&mut caller, id, &json!({"status": "inProgress"}));
    caller.world.faults.add(Fault::new(FaultKind::StaleRead));
    let target = format!("incidents/{id}");
    assert_eq!(caller.security("GET", &target, &nothing()).value()["status"], "active");
    assert_eq!(caller.security("GET", &target, &nothing()).value()["status"], "inProgress");
    caller.world.settings.expand_alerts_limit = Some(2);
    assert_eq!(caller.security("GET", "incidents?$expand=alerts", &nothing()).status, 500);
    assert_eq!(caller.security("GET", "incidents", &nothing()).status, 200);
}

#[test]
fn a_fan_out_may_lag() {
    let (mut caller, id) = seeded(1);
    caller.world.settings.fan_out_delay = 5.0;
    let by = Actor::Human("ana@example.org".into());
    caller.world.edit_defender(id, &DefenderEdit::resolve("truePositive", "malware"), &by).unwrap();
    let alert = caller.world.defender.incident(id).unwrap().alerts[0].clone();
    assert_eq!(caller.world.defender.alert(&alert).unwrap().status, "new");
    caller.advance(5.0);
    assert_eq!(caller.world.defender.alert(&alert).unwrap().status, "resolved");
    let refused = caller.world.edit_alert(&alert, &AlertEdit::resolve("truePositive", "notMalicious"), &by);
    assert_eq!(refused.unwrap_err().code, "InvalidRequestBody");
}
