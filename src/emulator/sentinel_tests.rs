//! Sentinel as callers see it.

use serde_json::{Value, json};

use super::faults::{Fault, FaultKind};
use super::graph::IncidentSeed;
use super::ledger::{Actor, What};
use super::options::{App, EmulatorOptions, SentinelRole};
use super::sentinel::{SentinelEdit, SentinelSeed};
use super::testing::{Caller, error, nothing};

const ID: &str = "0f7c3b9e-5f0e-4c55-9d1c-6a2c7b1f9a10";

fn body(properties: &Value) -> Value {
    json!({ "properties": properties })
}

fn put(caller: &mut Caller, body: &Value) -> super::wire::Reply {
    caller.sentinel("PUT", &format!("incidents/{ID}"), body)
}

fn minimal() -> Value {
    json!({"title": "One", "severity": "High", "status": "New"})
}

fn created() -> Caller {
    let mut caller = Caller::new();
    let mut properties = minimal();
    properties["owner"] = json!({"email": "ana@example.org"});
    properties["labels"] = json!([{"labelName": "snow", "labelType": "AutoAssigned"}]);
    properties["description"] = json!("text");
    assert_eq!(put(&mut caller, &body(&properties)).status, 201);
    caller
}

#[test]
fn creation_by_client_id_is_repeatable_and_replaces() {
    let mut caller = created();
    let first = caller.sentinel("GET", &format!("incidents/{}", ID.to_uppercase()), &nothing());
    let properties = &first.value()["properties"];
    assert_eq!(properties["owner"]["userPrincipalName"], "ana@example.org");
    assert_eq!(properties["labels"], json!([{"labelName": "snow", "labelType": "User"}]));
    assert_eq!(properties["providerName"], "Azure Sentinel");

    let second = put(&mut caller, &body(&minimal()));
    assert_eq!(second.status, 200);
    let properties = &second.value()["properties"];
    assert!(properties["owner"]["email"].is_null(), "a replace forgets what is not sent");
    assert_eq!(properties["labels"], json!([]));
    assert!(properties.get("description").is_none());
    assert_eq!(caller.world.sentinel.incidents.len(), 1);
}

#[test]
fn stale_etags_conflict_and_every_write_moves_them() {
    let mut caller = created();
    let old = caller.sentinel("GET", &format!("incidents/{ID}"), &nothing()).value().clone();
    let comment = json!({"properties": {"message": "hello"}});
    caller.sentinel("PUT", &format!("incidents/{ID}/comments/c1"), &comment);
    let reply = put(&mut caller, &old);
    assert_eq!(
        error(&reply),
        (409, "Conflict".into(), format!("Newer version of resource '{ID}' exists. Data was not saved"))
    );
    let fresh = caller.sentinel("GET", &format!("incidents/{ID}"), &nothing()).value().clone();
    assert!(
        fresh["properties"]["lastModifiedTimeUtc"].as_str()
            > old["properties"]["lastModifiedTimeUtc"].as_str(),
        "strictly later although the clock stands still"
    );
    assert_eq!(put(&mut caller, &fresh).status, 200, "read-only members may be sent back");
    assert_eq!(caller.world.ledger.entries().last().unwrap().what, What::Ineffective);

    let fresh = caller.sentinel("GET", &format!("incidents/{ID}"), &nothing()).value().clone();
    caller.world.faults.add(Fault::new(FaultKind::EtagMovesOn));
    let answer = put(&mut caller, &fresh).value().clone();
    assert_eq!(put(&mut caller, &answer).status, 409, "the answer's etag is stale already");
    caller.world.faults.add(Fault::new(FaultKind::StaleEtag));
    assert_eq!(put(&mut caller, &body(&minimal())).status, 409);
    assert_eq!(put(&mut caller, &body(&minimal())).status, 200, "without etag the last writer wins");
}

#[test]
fn bodies_are_checked() {
    let mut caller = Caller::new();
    let with = |name: &str, value: Value| {
        let mut properties = minimal();
        properties[name] = value;
        properties
    };
    for (properties, says) in [
        (with("title", json!("")), "'Title' must have a non-empty value"),
        (with("status", json!(null)), "status must not be empty."),
        (with("severity", json!("Critical")), "Error converting value"),
        (with("status", json!("active")), "Error converting value"),
        (with("labels", json!([{"labelName": " "}])), "'LabelName'"),
        (with("description", json!("x".repeat(5001))), "'Description'"),
        (with("status", json!("Closed")), "classification must not be empty"),
        (with("classification", json!("Undetermined")), "can only be set when"),
    ] {
        let reply = put(&mut caller, &body(&properties));
        let (status, code, message) = error(&reply);
        assert_eq!((status, code.as_str()), (400, "BadRequest"), "{properties}");
        assert!(message.contains(says), "{message}");
    }
    let close = |class: &str, reason: Option<&str>| {
        json!({"title": "t", "severity": "Low", "status": "Closed", "classification": class,
               "classificationReason": reason})
    };
    let reply = put(&mut caller, &body(&close("BenignPositive", None)));
    assert_eq!(error(&reply).2, "classification 'BenignPositive' must have classificationReason.");
    assert_eq!(put(&mut caller, &body(&close("Undetermined", Some("InaccurateData")))).status, 400);
    assert!(caller.world.sentinel.incidents.is_empty());
    assert_eq!(put(&mut caller, &body(&close("FalsePositive", Some("IncorrectAlertLogic")))).status, 201);
    let cleared = json!({"title": "t", "severity": "Low", "status": "Active", "classification": "",
                         "classificationReason": "", "classificationComment": ""});
    assert_eq!(put(&mut caller, &body(&cleared)).status, 200, "empty texts count as none");
}

#[test]
fn comments_are_idempotent_by_id_and_limited() {
    let mut caller = created();
    let target = |n: usize| format!("incidents/{ID}/comments/{n}");
    let message = |text: &str| json!({"properties": {"message": text}});
    assert_eq!(caller.sentinel("PUT", &target(0), &message("a")).status, 201);
    assert_eq!(caller.sentinel("PUT", &target(0), &message("a")).status, 200);
    assert_eq!(caller.world.ledger.entries().last().unwrap().what, What::Ineffective);
    assert_eq!(caller.sentinel("PUT", &target(1), &message(&"x".repeat(30_001))).status, 400);
    for n in 1..100 {
        assert_eq!(caller.sentinel("PUT", &target(n), &message("b")).status, 201);
    }
    assert_eq!(caller.sentinel("PUT", &target(100), &message("c")).status, 400);
    let page = caller.sentinel("GET", &format!("incidents/{ID}/comments"), &nothing());
    assert_eq!(page.value()["value"].as_array().unwrap().len(), 50);
    let link = page.value()["nextLink"].as_str().unwrap().replace("http://emulator", "");
    assert_eq!(caller.get(&link).value()["value"].as_array().unwrap().len(), 50);
}

#[test]
fn lists_filter_page_and_do_not_escape_the_link() {
    let mut caller = Caller::new();
    for n in 0..3 {
        caller.advance(1.0);
        caller.world.create_sentinel(&SentinelSeed::new(&format!("n{n}"), "Low"), &Actor::Service);
    }
    let list = "incidents?$top=2&$filter=properties/lastModifiedTimeUtc ge 2026-11-02T00:00:00.000Z and \
                (properties/status eq 'New' or properties/status eq 'Active')\
                &$orderby=properties/lastModifiedTimeUtc asc";
    let page = caller.sentinel("GET", list, &nothing());
    assert_eq!(page.value()["value"][0]["properties"]["title"], "n0");
    let link = page.value()["nextLink"].as_str().unwrap().to_owned();
    assert!(link.contains("$filter=properties/lastModifiedTimeUtc ge 2026"), "{link}");
    let target = link.replace("http://emulator", "").replace(' ', "%20").replace('\'', "%27");
    let rest = caller.get(&target);
    assert_eq!(rest.value()["value"].as_array().unwrap().len(), 1);
    assert!(rest.value().get("nextLink").is_none());
    for bad in [
        "incidents?$top=1001",
        "incidents?$top=0",
        "incidents?$filter=properties/providerIncidentId eq '1'",
        "incidents?$orderby=properties/nothing",
        "incidents?$skipToken=50",
        "incidents?$count=true",
    ] {
        assert_eq!(caller.sentinel("GET", bad, &nothing()).status, 400, "{bad}");
    }
    caller.world.settings.sentinel_list_lag = 1.5;
    let lagging = caller.sentinel("GET", "incidents", &nothing());
    assert_eq!(lagging.value()["value"].as_array().unwrap().len(), 1);
}

#[test]
fn casing_differs_between_list_and_read() {
    let mut caller = created();
    let list = caller.sentinel("GET", "incidents", &nothing()).value()["value"][0].clone();
    let read = caller.sentinel("GET", &format!("incidents/{ID}"), &nothing()).value().clone();
    let (a, b) = (list["id"].as_str().unwrap(), read["id"].as_str().unwrap());
    assert!(a != b && a.eq_ignore_ascii_case(b));
    let shouted = caller.get(
        "/arm/SUBSCRIPTIONS/s/RESOURCEGROUPS/r/PROVIDERS/MICROSOFT.OPERATIONALINSIGHTS/WORKSPACES/w/PROVIDERS/\
         MICROSOFT.SECURITYINSIGHTS/INCIDENTS?api-version=2025-09-01",
    );
    assert_eq!(shouted.status, 200);
}

#[test]
fn alerts_are_listed_by_post_and_join_by_provider_id() {
    let mut caller = Caller::new();
    let (defender, twin) = caller.world.create_linked(&IncidentSeed::new("t", "high", 2));
    let alerts = caller.sentinel("POST", &format!("incidents/{twin}/alerts"), &nothing());
    let ids: Vec<&str> = alerts.value()["value"]
        .as_array()
        .unwrap()
        .iter()
        .map(|alert| alert["properties"]["providerAlertId"].as_str().unwrap())
        .collect();
    assert_eq!(ids, caller.world.defender.incident(defender).unwrap().alerts);
    assert_eq!(caller.sentinel("GET", &format!("incidents/{twin}/alerts"), &nothing()).status, 405);
    let read = caller.sentinel("GET", &format!("incidents/{twin}"), &nothing());
    assert_eq!(read.value()["properties"]["providerIncidentId"], defender.to_string());
    assert!(read.value()["properties"]["additionalData"]["providerIncidentUrl"].is_string());
}

#[test]
fn access_is_checked() {
    let app = App { sentinel_role: SentinelRole::Reader, ..App::default() };
    let mut caller = Caller::with(EmulatorOptions { apps: vec![app], ..EmulatorOptions::default() });
    assert_eq!(error(&put(&mut caller, &body(&minimal()))).1, "AuthorizationFailed");
    assert_eq!(caller.sentinel("GET", "incidents", &nothing()).status, 200);
    let bare = format!("{}/incidents", super::testing::WORKSPACE);
    assert_eq!(error(&caller.get(&bare)).1, "MissingApiVersionParameter");
    let mut caller = created();
    let gone = caller.sentinel("DELETE", &format!("incidents/{ID}"), &nothing());
    assert_eq!(error(&gone).1, "AuthorizationFailed", "a responder may not delete");
    assert_eq!(caller.sentinel("PUT", "incidents", &nothing()).status, 405);
}

#[test]
fn the_quota_counts_puts() {
    let mut caller = created();
    caller.world.settings.quota = true;
    let statuses: Vec<u16> = (0..76).map(|_| put(&mut caller, &body(&minimal())).status).collect();
    assert_eq!((statuses[74], statuses[75]), (200, 429));
    assert_eq!(caller.sentinel("GET", "incidents", &nothing()).status, 200);
    caller.advance(301.0);
    assert_eq!(put(&mut caller, &body(&minimal())).status, 200);
}

#[test]
fn people_close_and_reopen() {
    let mut caller = created();
    let by = Actor::Human("ana@example.org".into());
    let close = SentinelEdit::close("FalsePositive", Some("InaccurateData")).saying("noise");
    caller.world.edit_sentinel(ID, &close, &by).unwrap();
    assert!(caller.world.edit_sentinel(ID, &SentinelEdit::close("TruePositive", None), &by).is_err());
    caller.world.edit_sentinel(ID, &SentinelEdit::status("Active"), &by).unwrap();
    let incident = caller.world.sentinel.incident(ID).unwrap();
    assert_eq!((incident.classification.as_deref(), incident.closing_comment.as_deref()), (None, None));
    caller.world.edit_sentinel(ID, &SentinelEdit::comment("hello"), &by).unwrap();
    assert_eq!(caller.world.sentinel.incident(ID).unwrap().comments[0].author["email"], "ana@example.org");
}
