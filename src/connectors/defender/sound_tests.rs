//! Operation by answer: what each means.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::sound::Answers;
use super::tests::{alert, incident};
use crate::connectors::microsoft::testing::{answer, error, judged, meant, refused};
use crate::connectors::testing::{any_json, cases};
use crate::http::CallError;

const TENANT: &str = "11111111-2222-4333-8444-555555555555";
const ROOT: &str = "https://graph.microsoft.com/v1.0/security";

fn sound() -> Answers {
    Answers::of(TENANT)
}

/// The operations with their addresses and an answer that is sound.
fn operations() -> Vec<(&'static str, String, Value)> {
    let list = |row: Value| json!({"@odata.context": "c", "value": [row]});
    let comments = json!({"@odata.context": format!("{ROOT}/incidents('4711')/comments"), "value": []});
    vec![
        ("incidents.list", format!("{ROOT}/incidents?$filter=a%20ge%20b&$top=50"), list(incident("4711"))),
        ("alerts.list", format!("{ROOT}/alerts_v2?$top=200"), list(alert("da1_1"))),
        ("incidents.get", format!("{ROOT}/incidents/4711"), incident("4711")),
        ("alerts.get", format!("{ROOT}/alerts_v2/da1_1"), alert("DA1_1")),
        ("incidents.brief", format!("{ROOT}/incidents/4711?$expand=alerts"), incident("4711")),
        ("incidents.update", format!("{ROOT}/incidents/4711"), incident("4711")),
        ("alerts.update", format!("{ROOT}/alerts_v2/da1_1"), alert("da1_1")),
        ("comments.create", format!("{ROOT}/incidents/4711/comments"), comments),
    ]
}

fn is_list(operation: &str) -> bool {
    operation.rsplit('.').next() == Some("list")
}

#[test]
fn each_operation_takes_its_sound_answer_and_no_other() {
    let with = |body: &Value, name: &str, value: Value| {
        let mut body = body.clone();
        body[name] = value;
        body
    };
    let failed = json!({"code": "InternalServerError", "message": "no"});
    let denied = json!({"code": "InvalidAuthenticationToken", "message": "no"});
    let batch = json!({"responses": [{"id": "1", "status": 429}]});
    for (operation, url, good) in operations() {
        let is = |body: Value| judged(&sound(), (operation, &url), &answer(200, body)).0;
        assert_eq!(is(good.clone()), "ok", "{operation}");
        assert_eq!(is(with(&good, "error", failed.clone())), "failed", "{operation}");
        assert_eq!(is(with(&good, "error", denied.clone())), "denied", "{operation}");
        assert_eq!(is(json!({"error": failed})), "failed", "{operation}");
        assert_eq!(is(batch.clone()), "failed", "{operation}");
        for odd in
            [Value::Null, json!("ok"), json!([]), json!({}), json!({"Message": "An error has occurred."})]
        {
            assert_eq!(is(odd.clone()), "malformed", "{operation}: {odd}");
        }
        let silent = judged(&sound(), (operation, &url), &answer(204, Value::Null)).0;
        assert_eq!(silent, if is_list(operation) { "malformed" } else { "ok" }, "{operation}");
    }
}

#[test]
fn another_record_and_another_tenant_are_told() {
    let other = "99999999-2222-4333-8444-555555555555";
    for (operation, url, mut body) in operations() {
        if operation == "comments.create" {
            body["@odata.context"] = format!("{ROOT}/incidents('4712')/comments").into();
        } else if !is_list(operation) {
            body["id"] = "4712".into();
        }
        let (is, why) = judged(&sound(), (operation, &url), &answer(200, body.clone()));
        assert_eq!(is, if is_list(operation) { "ok" } else { "malformed" }, "{operation}: {why}");
    }
    let (mut row, list) = (incident("4711"), format!("{ROOT}/incidents"));
    row["tenantId"] = other.into();
    let one = judged(&sound(), ("incidents.get", &format!("{list}/4711")), &answer(200, row.clone()));
    assert!(one.0 == "denied" && one.1.contains(other) && one.1.contains("tenant_id"), "{one:?}");
    let page = answer(200, json!({"value": [incident("1"), row]}));
    assert_eq!(judged(&sound(), ("incidents.list", &list), &page).0, "denied");
    // A domain cannot be compared with an id.
    assert_eq!(judged(&Answers::of("contoso.com"), ("incidents.list", &list), &page).0, "ok");
}

#[test]
fn pages_that_contradict_themselves_are_none() {
    let asked = format!("{ROOT}/incidents?$filter=a%20ge%20b&$top=50");
    let rows = [incident("1"), incident("2")];
    let is = |body: Value| judged(&sound(), ("incidents.list", &asked), &answer(200, body)).0;
    let page = |link: Value| is(json!({"value": rows, "@odata.nextLink": link}));
    assert_eq!(page(json!(format!("{ROOT}/incidents?$filter=a ge b&$top=50&$skip=50"))), "ok");
    assert_eq!(page(json!("https://proxy.example/graph/v1.0/security/incidents?$skip=50")), "ok");
    // The same page again, in another spelling.
    assert_eq!(page(json!(format!("{ROOT}/incidents?$top=50&$filter=a ge b"))), "malformed");
    assert_eq!(page(json!(format!("{ROOT}/alerts_v2?$skip=50"))), "malformed");
    assert_eq!(page(json!("https://graph.microsoft.com/v1.0/other-tenant/incidents?$skip=50")), "malformed");
    assert_eq!(page(json!(7)), "malformed");
    let link = format!("{ROOT}/incidents?$skip=50");
    assert_eq!(is(json!({"value": [], "@odata.nextLink": link})), "malformed");
    assert_eq!(is(json!({"value": rows, "@odata.count": 2})), "ok");
    assert_eq!(is(json!({"value": rows, "@odata.count": 3, "@odata.nextLink": link})), "ok");
    for count in [json!(1), json!(3), json!("2"), json!(-1)] {
        assert_eq!(is(json!({"value": rows, "@odata.count": count})), "malformed", "{count}");
    }
}

#[test]
fn only_graphs_own_words_say_that_a_record_is_gone() {
    let missing = "Incident with id 4711 was not found.";
    for (operation, url, _) in operations() {
        let is = |error: &CallError| meant(&sound(), (operation, &url), error);
        let gone = if is_list(operation) { "as stated" } else { "gone" };
        assert_eq!(is(&error(404, "ResourceNotFound", missing)), gone, "{operation}");
        for other in [
            error(404, "UnknownError", ""),
            error(404, "NotFound", "The requested resource does not exist."),
            error(404, "", missing),
            error(404, "TenantNotFound", missing),
            refused(404, None, None),
            refused(404, Some(json!({"statusCode": 404, "message": "Resource not found"})), None),
        ] {
            assert_eq!(is(&other), "as stated", "{operation}: {other}");
        }
    }
    let get = ("incidents.get", &*format!("{ROOT}/incidents/4711"));
    assert_eq!(meant(&sound(), get, &error(404, "NotFound", missing)), "gone");
    assert_eq!(meant(&sound(), get, &error(404, "NotFound", "Incident 47112 was not found")), "as stated");
    assert_eq!(meant(&sound(), get, &error(400, "ResourceNotFound", missing)), "as stated");
}

#[test]
fn the_caller_is_meant_whatever_the_status() {
    for (operation, url, _) in operations() {
        let is = |error: &CallError| meant(&sound(), (operation, &url), error);
        for (status, code) in [
            (401, "InvalidAuthenticationToken"),
            (400, "InvalidAuthenticationToken"),
            (403, "Forbidden"),
            (404, "Authorization_IdentityNotFound"),
            (403, "Authorization_RequestDenied"),
        ] {
            assert_eq!(is(&error(status, code, "m")), "denied", "{operation}: {code}");
        }
        assert_eq!(is(&error(400, "InvalidRequestBody", "Request body is incorrect")), "as stated");
        let log_in = "https://login.microsoftonline.com/common/oauth2/authorize";
        assert_eq!(is(&refused(302, None, Some(log_in))), "denied");
        assert_eq!(is(&refused(301, None, Some("https://elsewhere.example/"))), "failed");
    }
}

proptest! {
    #![proptest_config(cases(500))]

    #[test]
    fn any_answer_is_judged(body in any_json(), status in 200_u16..600) {
        for (operation, url, _) in operations() {
            let _ = judged(&sound(), (operation, &url), &answer(status, body.clone()));
            let _ = judged(&sound(), (operation, &url), &answer(200, json!({"value": [body], "error": null})));
            let _ = meant(&sound(), (operation, &url), &refused(status, Some(body.clone()), None));
        }
    }
}
