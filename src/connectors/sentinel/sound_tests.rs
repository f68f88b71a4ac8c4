//! Operation by answer: what each means.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::sound::Answers;
use super::tests::{ID, incident};
use crate::connectors::microsoft::testing::{answer, error, judged, meant, refused};
use crate::connectors::testing::{any_json, cases};
use crate::http::CallError;

const WORKSPACE: &str = "/subscriptions/sub/resourceGroups/rg/providers/Microsoft.OperationalInsights/workspaces/ws/providers/Microsoft.SecurityInsights";
const COMMENT: &str = "4bb36b7b-26ff-4d1c-9cbe-0d8ab3da0014";

fn url(below: &str) -> String {
    format!("https://management.azure.com{WORKSPACE}/incidents{below}?api-version=2025-09-01")
}

fn comment() -> Value {
    json!({
        "id": format!("{WORKSPACE}/incidents/{ID}/comments/{COMMENT}"), "name": COMMENT,
        "properties": {"message": "m", "createdTimeUtc": "2026-09-01T00:00:00Z"},
    })
}

/// The operations with their addresses and an answer that is sound.
fn operations() -> Vec<(&'static str, String, Value)> {
    let own = url(&format!("/{ID}"));
    vec![
        ("incidents.list", url(""), json!({"value": [incident()]})),
        ("comments.list", url(&format!("/{ID}/comments")), json!({"value": [comment()]})),
        ("incident-alerts.list", url(&format!("/{ID}/alerts")), json!({"value": []})),
        ("incident-entities.list", url(&format!("/{ID}/entities")), json!({"entities": [], "metaData": []})),
        ("incidents.get", own.clone(), incident()),
        ("incidents.brief", own.clone(), incident()),
        ("incidents.update", own.clone(), incident()),
        ("incidents.create", own, incident()),
        ("comments.create", url(&format!("/{ID}/comments/{COMMENT}")), comment()),
    ]
}

#[test]
fn each_operation_takes_its_sound_answer_and_no_other() {
    let with = |body: &Value, name: &str, value: Value| {
        let mut body = body.clone();
        body[name] = value;
        body
    };
    let failed = json!({"code": "GatewayTimeout", "message": "no"});
    let denied = json!({"code": "AuthorizationFailed", "message": "no"});
    let batch = json!({"responses": [{"httpStatusCode": 429}]});
    for (operation, url, good) in operations() {
        let is = |body: Value| judged(&Answers, (operation, &url), &answer(200, body)).0;
        assert_eq!(is(good.clone()), "ok", "{operation}");
        assert_eq!(is(with(&good, "error", failed.clone())), "failed", "{operation}");
        assert_eq!(is(with(&good, "error", denied.clone())), "denied", "{operation}");
        assert_eq!(is(failed.clone()), "failed", "{operation}: without its envelope");
        assert_eq!(is(batch.clone()), "failed", "{operation}");
        for odd in
            [Value::Null, json!("ok"), json!([]), json!({}), json!({"Message": "An error has occurred."})]
        {
            assert_eq!(is(odd.clone()), "malformed", "{operation}: {odd}");
        }
        let silent = judged(&Answers, (operation, &url), &answer(204, Value::Null)).0;
        assert_eq!(silent, "malformed", "{operation}");
    }
}

#[test]
fn another_record_and_another_workspace_are_told() {
    let replaced = |body: &Value, from: &str, to: &str| -> Value {
        serde_json::from_str(&body.to_string().replace(from, to)).unwrap()
    };
    for (operation, url, good) in operations() {
        let is = |body: &Value| judged(&Answers, (operation, &url), &answer(200, body.clone())).0;
        let has_ids = good.to_string().contains("/workspaces/");
        let elsewhere = if has_ids { "malformed" } else { "ok" };
        assert_eq!(is(&replaced(&good, "workspaces/ws/", "workspaces/ws2/")), elsewhere, "{operation}");
        assert_eq!(is(&replaced(&good, "subscriptions/sub/", "subscriptions/x/")), elsewhere, "{operation}");
        // Ids are spelt in any case, and a resource group says no more than the rest.
        assert_eq!(is(&replaced(&good, "workspaces/ws/", "Workspaces/WS/")), "ok", "{operation}");
        assert_eq!(is(&replaced(&good, "resourceGroups/rg/", "resourcegroups/old/")), "ok", "{operation}");
        if good["name"].is_string() {
            let mut other = good.clone();
            other["name"] = "another".into();
            assert_eq!(is(&other), "malformed", "{operation}");
        }
        if operation == "comments.create" {
            assert_eq!(is(&replaced(&good, ID, "another")), "malformed", "on another incident");
        }
    }
}

#[test]
fn pages_that_contradict_themselves_are_none() {
    let asked = url("") + "&$filter=a%20ge%20b";
    let is = |body: Value| judged(&Answers, ("incidents.list", &asked), &answer(200, body)).0;
    let page = |link: Value| is(json!({"value": [incident()], "nextLink": link}));
    assert_eq!(page(Value::Null), "ok");
    assert_eq!(page(json!("")), "ok");
    let raw = format!(
        "https://management.azure.com:443{WORKSPACE}/Incidents?api-version=2025-09-01&$filter=a ge b"
    );
    assert_eq!(page(json!(format!("{raw}&$skipToken=x=="))), "ok");
    assert_eq!(page(json!(raw)), "malformed", "the same again, unescaped");
    let other = raw.replace("/ws/", "/other/") + "&$skipToken=x";
    assert_eq!(page(json!(other)), "malformed");
    assert_eq!(page(json!(7)), "malformed");
    assert_eq!(is(json!({"value": [incident()], "count": 1})), "ok");
    assert_eq!(is(json!({"value": [incident()], "count": 2})), "malformed");
    assert_eq!(is(json!({"value": [incident()], "count": 0})), "malformed");
}

#[test]
fn only_words_about_the_incident_say_that_it_is_gone() {
    let missing = format!("Incident {ID} does not exist");
    let path = format!(
        "The Resource 'Microsoft.OperationalInsights/workspaces/ws/providers/Microsoft.SecurityInsights/incidents/{ID}' under resource group 'rg' was not found. For more details please go to https://aka.ms/ARMResourceNotFoundFix"
    );
    let workspace = path.replace(&format!("/providers/Microsoft.SecurityInsights/incidents/{ID}"), "");
    for (operation, url, _) in operations() {
        let is = |error: &CallError| meant(&Answers, (operation, &url), error);
        let of_record = operation.starts_with("incidents.") && operation != "incidents.list";
        let gone = if of_record { "gone" } else { "as stated" };
        for known in [
            error(404, "NotFound", &missing),
            error(404, "NotFound", "The incident was not found."),
            error(404, "ResourceNotFound", &path),
            error(404, "IncidentNotFound", &missing.to_uppercase()),
        ] {
            assert_eq!(is(&known), gone, "{operation}: {known}");
        }
        for other in [
            error(404, "ResourceGroupNotFound", "Resource group 'rg' could not be found."),
            error(404, "WorkspaceNotFound", &missing),
            error(404, "ParentResourceNotFound", "Parent resource 'ws' not found."),
            error(404, "ResourceNotFound", &workspace),
            error(404, "NotFound", "Workspace ws of the incident was not found"),
            error(404, "NotFound", "no such page"),
            error(404, "", &missing),
            refused(404, None, None),
            refused(404, Some(json!({"statusCode": 404, "message": "Resource not found"})), None),
        ] {
            assert_eq!(is(&other), "as stated", "{operation}: {other}");
        }
    }
}

#[test]
fn the_caller_is_meant_whatever_the_status() {
    for (operation, url, _) in operations() {
        let is = |error: &CallError| meant(&Answers, (operation, &url), error);
        for (status, code) in [
            (401, "InvalidAuthenticationToken"),
            (401, "InvalidAuthenticationTokenTenant"),
            (401, "ExpiredAuthenticationToken"),
            (403, "AuthorizationFailed"),
            (403, "LinkedAuthorizationFailed"),
            (404, "SubscriptionNotFound"),
            (409, "ReadOnlyDisabledSubscription"),
            (409, "ScopeLocked"),
            (400, "NoRegisteredProviderFound"),
            (404, "InvalidResourceType"),
        ] {
            assert_eq!(is(&error(status, code, "m")), "denied", "{operation}: {code}");
        }
        for (status, code) in [(409, "Conflict"), (400, "BadRequest"), (405, "UnsupportedApiVersion")] {
            assert_eq!(is(&error(status, code, "m")), "as stated", "{operation}: {code}");
        }
        assert_eq!(is(&refused(302, None, Some("https://proxy.example/saml?to=x"))), "denied");
        assert_eq!(is(&refused(307, None, Some("https://elsewhere.example/"))), "failed");
    }
}

proptest! {
    #![proptest_config(cases(500))]

    #[test]
    fn any_answer_is_judged(body in any_json(), status in 200_u16..600) {
        for (operation, url, _) in operations() {
            let _ = judged(&Answers, (operation, &url), &answer(status, body.clone()));
            let _ = judged(&Answers, (operation, &url), &answer(200, json!({"value": [body], "nextLink": body})));
            let _ = meant(&Answers, (operation, &url), &refused(status, Some(body.clone()), None));
        }
    }
}
