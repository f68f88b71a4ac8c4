use std::collections::BTreeSet;

use serde_json::json;

use super::*;
use crate::connectors::testing::{Seen, Server, check, credential, http, spec};
use crate::http::ClientOptions;
use crate::model::{Comment, Field, Lifecycle, Native, RecordId};

pub(super) fn name() -> SystemName {
    SystemName::new("defender").unwrap()
}

pub(super) fn connector(server: &Server) -> Defender {
    Defender::new(&settings(server), &http(), None).unwrap()
}

pub(super) fn settings(server: &Server) -> DefenderSettings {
    settings_at(&server.url)
}

pub(super) fn settings_at(url: &Url) -> DefenderSettings {
    DefenderSettings {
        name: name(),
        tenant_id: "t".to_owned(),
        credential: credential(),
        authority_url: url.clone(),
        graph_url: url.clone(),
        scope: "s/.default".to_owned(),
        budget_factor: 1.0,
        settle: DefenderSettings::DEFAULT_SETTLE,
        overlap: DefenderSettings::DEFAULT_OVERLAP,
        hook: None,
    }
}

pub(super) fn incident(id: &str) -> Value {
    json!({
        "id": id, "tenantId": "11111111-2222-4333-8444-555555555555", "status": "inProgress",
        "incidentWebUrl": format!("https://security.example/incident2/{id}"), "redirectIncidentId": null,
        "displayName": "Multi-stage incident", "createdDateTime": "2026-11-02T08:15:30.4933333Z",
        "lastUpdateDateTime": "2026-11-02T09:01:12.21Z", "assignedTo": "SOC1@Example.org",
        "classification": "unknown", "determination": "unknown", "severity": "high",
        "customTags": ["vip", "lockstep:x", null], "systemTags": [], "lastModifiedBy": "soc1@example.org",
        "resolvingComment": null, "priorityScore": 71,
        "comments": [{"comment": "hello", "createdByDisplayName": "soc1", "createdDateTime": "2026-11-02T08:16:02.4626766Z"}],
    })
}

pub(super) fn alert(id: &str) -> Value {
    json!({
        "id": id, "incidentId": "4711", "status": "new", "severity": "low", "classification": "truePositive",
        "determination": null, "serviceSource": "microsoftSentinel", "title": "Odd", "assignedTo": null,
        "alertWebUrl": "https://security.example/alerts/1", "createdDateTime": "2026-11-02T08:15:30Z",
        "lastUpdateDateTime": "2026-11-02T08:15:30.1Z", "comments": [],
    })
}

fn read_incident(json: &Value) -> Snapshot {
    snapshot::snapshot(&name(), RecordKind::Incident, json, true).unwrap()
}

fn text(text: &str) -> Native {
    Native::Text(text.to_owned())
}

fn set(tags: &[&str]) -> Native {
    Native::Set(tags.iter().map(|tag| (*tag).to_owned()).collect())
}

fn patch(fields: &[(Field, Native)], note: Option<&str>) -> Patch {
    Patch { native: fields.iter().cloned().collect(), closing_comment: note.map(str::to_owned) }
}

pub(super) fn record(id: &str) -> RecordRef {
    RecordRef::incident(&name(), RecordId::new(id).unwrap())
}

fn asks_for_known_members(seen: &Seen) {
    assert_eq!(seen.headers["prefer"], "include-unknown-enum-members");
    assert!(seen.headers.contains_key("client-request-id"));
}

#[test]
fn an_incident_reads_as_stated() {
    let read = read_incident(&incident("4711"));
    assert_eq!(read.record.to_string(), "defender/incident/4711");
    assert_eq!(read.revision, "2026-11-02T09:01:12.21Z");
    let expected = [
        (Field::Status, text("inProgress")),
        (Field::Severity, text("high")),
        (Field::Verdict, Native::Empty),
        (Field::Owner, text("soc1@example.org")),
        (Field::Tags, set(&["vip"])),
        (Field::Title, text("Multi-stage incident")),
    ];
    assert_eq!(read.native, expected.into());
    assert!(matches!(&read.comments, Comments::Listed(list) if list[0].text == "hello"));
    assert_eq!(read.lifecycle, Lifecycle::Present);
    assert_eq!(read.modified_by.as_deref(), Some("soc1@example.org"));
    assert!(read.facts.created.is_some() && read.facts.url.is_some() && read.closing_comment.is_none());
}

#[test]
fn verdicts_owners_and_unknown_words() {
    let mut json = incident("1");
    json["classification"] = "truePositive".into();
    json["determination"] = Value::Null;
    json["assignedTo"] = " ".into();
    json["status"] = "awaitingAction".into();
    json["severity"] = 7.into();
    json["customTags"] = "vip".into();
    let native = read_incident(&json).native;
    assert_eq!(native[&Field::Verdict], text("truePositive/unknown"));
    assert_eq!(native[&Field::Owner], Native::Empty);
    assert_eq!(native[&Field::Status], text("awaitingAction"));
    assert!(!native.contains_key(&Field::Severity) && !native.contains_key(&Field::Tags));
    json["classification"] = json!({});
    json.as_object_mut().unwrap().remove("assignedTo");
    let native = read_incident(&json).native;
    assert!(!native.contains_key(&Field::Verdict) && !native.contains_key(&Field::Owner));
}

/// Microsoft's connector brings over what was typed in Sentinel. The comment is told by what is stored, so that its
/// name does not depend on how it is read.
#[test]
fn a_comment_in_html_is_read_in_words() {
    let mut json = incident("1");
    json["comments"][0]["comment"] = "<p>host7 &amp; more</p>".into();
    let Comments::Listed(read) = read_incident(&json).comments else { panic!("not listed") };
    let created = read[0].created.unwrap().to_string();
    assert_eq!(read[0].text, "host7 & more");
    assert_eq!(read[0].key, CommentKey::from_content(None, &created, "<p>host7 &amp; more</p>"));
}

#[test]
fn a_list_with_something_unreadable_in_it_is_no_shorter_list() {
    for odd in [json!(7), json!({"x": 1}), json!(["vip"])] {
        let mut json = incident("1");
        json["customTags"] = json!(["vip", odd]);
        assert!(!read_incident(&json).native.contains_key(&Field::Tags), "{odd}");
    }
    let good = incident("1")["comments"][0].clone();
    let spoilt =
        [("comment", json!(4711)), ("createdDateTime", json!(4711)), ("createdDateTime", Value::Null)];
    let mut rows: Vec<_> = spoilt.into_iter().map(|(name, odd)| with(&good, name, odd)).collect();
    rows.extend([json!(7), json!({}), json!("hello")]);
    for odd in rows {
        let mut json = incident("1");
        json["comments"] = json!([good, odd]);
        assert_eq!(read_incident(&json).comments, Comments::Counted(0), "{odd}");
    }
}

#[test]
fn comments_that_say_nothing_are_none_and_the_others_keep_their_keys() {
    let good = incident("1")["comments"][0].clone();
    let mut json = incident("1");
    let renamed = with(&good, "createdByDisplayName", json!("Sam Q."));
    let retimed = with(&good, "createdDateTime", json!("2026-11-02T08:16:02.46267660Z"));
    json["comments"] = json!([null, with(&good, "comment", Value::Null), good, renamed, retimed]);
    let Comments::Listed(list) = read_incident(&json).comments else { panic!() };
    assert_eq!(list.len(), 3);
    assert!(list.iter().all(|comment| comment.key == list[0].key), "{list:?}");
}

fn with(json: &Value, name: &str, value: Value) -> Value {
    let mut changed = json.clone();
    changed[name] = value;
    changed
}

#[test]
fn a_merged_incident_says_where_it_went() {
    let mut json = incident("1");
    json["status"] = "redirected".into();
    assert_eq!(read_incident(&json).lifecycle, Lifecycle::Redirected { to: None });
    json["status"] = "resolved".into();
    json["redirectIncidentId"] = "2".into();
    assert_eq!(read_incident(&json).lifecycle, Lifecycle::Redirected { to: Some(record("2")) });
}

#[test]
fn an_alert_reads_with_its_incident() {
    let read = snapshot::snapshot(&name(), RecordKind::Alert, &alert("da1_1"), false).unwrap();
    assert_eq!(read.record.to_string(), "defender/alert/da1_1");
    assert_eq!(read.parent, Some(record("4711")));
    assert_eq!(read.native[&Field::Verdict], text("truePositive/unknown"));
    assert_eq!(read.native[&Field::Owner], Native::Empty);
    assert!(!read.native.contains_key(&Field::Tags));
    assert_eq!(read.facts.products, BTreeSet::from(["microsoftSentinel".to_owned()]));
}

#[tokio::test]
async fn a_list_keeps_the_good_rows_beside_the_bad_and_asks_by_time() {
    let mut headless = incident("2");
    headless["lastUpdateDateTime"] = "soon".into();
    let rows = json!([incident("1"), headless, 7, {"id": 9}, incident("1")]);
    let server = Server::start([(200, json!({ "value": rows }))]).await;
    let since = "2026-11-02T08:00:00.2966667Z".parse().unwrap();
    let page = connector(&server).list(RecordKind::Incident, since, None).await.unwrap();
    assert_eq!(page.snapshots.len(), 2);
    assert!(page.snapshots.iter().all(|s| !s.fresh) && page.next.is_none() && page.server_time.is_some());
    let bad: Vec<_> = page.malformed.iter().map(|m| m.id.as_deref()).collect();
    assert_eq!(bad, [Some("2"), None, Some("9")]);
    assert!(page.malformed[0].reason.contains("lastUpdateDateTime"), "{:?}", page.malformed);
    let seen = server.last();
    assert_eq!(seen.path, "/root/v1.0/security/incidents");
    assert_eq!(
        seen.query,
        "$filter=lastUpdateDateTime ge 2026-11-02T08:00:00.296Z&$orderby=lastUpdateDateTime asc&$top=50"
    );
    asks_for_known_members(&seen);
}

#[tokio::test]
async fn a_full_page_goes_on_at_its_last_instant_and_then_by_skip() {
    let rows: Vec<_> = (0..50).map(|n| incident(&n.to_string())).collect();
    let full = || (200, json!({ "value": rows }));
    let server =
        Server::start([full(), full(), (200, json!({"value": [incident("49"), incident("50")]}))]).await;
    let (connector, since) = (connector(&server), "2026-11-02T08:00:00Z".parse().unwrap());
    let mut page = connector.list(RecordKind::Incident, since, None).await.unwrap();
    let mut ids = BTreeSet::new();
    while let Some(next) = page.next.clone() {
        ids.extend(page.snapshots.into_iter().map(|s| s.record));
        page = connector.list(RecordKind::Incident, since, Some(&next)).await.unwrap();
    }
    ids.extend(page.snapshots.into_iter().map(|s| s.record));
    assert_eq!(ids.len(), 51);
    let queries: Vec<_> = server.seen().into_iter().map(|s| s.query).collect();
    assert!(queries[1].contains("ge 2026-11-02T09:01:12.210Z") && !queries[1].contains("$skip"));
    assert!(queries[2].ends_with("$skip=49"), "{queries:?}");
}

#[tokio::test]
async fn a_page_that_is_too_large_is_asked_for_in_smaller_ones_and_a_record_too_large_alone_is_said() {
    let mut huge = incident("2");
    huge["description"] = "x".repeat(20_000).into();
    let page = |rows: &[&Value]| (200, json!({ "value": rows }));
    let all = page(&[&incident("1"), &huge, &incident("3")]);
    let alone = page(&[&huge]);
    let rest = page(&[&incident("3")]);
    let server = Server::start([all.clone(), all.clone(), all, alone, rest]).await;
    let small = Http::new(&ClientOptions { max_body: 10_000, ..ClientOptions::default() }).unwrap();
    let connector = Defender::new(&settings(&server), &small, None).unwrap();
    let since = "2026-11-02T08:00:00Z".parse().unwrap();
    let (mut page, mut told) = (Page::default(), Vec::new());
    for _ in 0..5 {
        page = connector.list(RecordKind::Incident, since, page.next.as_ref()).await.unwrap();
        told.append(&mut page.malformed);
    }
    assert_eq!(page.snapshots.len(), 1);
    assert!(told.len() == 1 && told[0].reason.contains("larger than 10000 bytes"), "{told:?}");
    let asked: Vec<_> =
        server.seen().iter().map(|s| s.query.split_once("$top=").unwrap().1.to_owned()).collect();
    assert_eq!(asked, ["50", "12", "3", "1", "1&$skip=1"]);
}

#[tokio::test]
async fn an_instant_too_deep_for_the_service_is_stepped_over_and_said() {
    let rows: Vec<_> = (0..50).map(|n| incident(&n.to_string())).collect();
    let too_deep = json!({"error": {"code": "", "message": "The limit for Skip query has been exceeded."}});
    let server =
        Server::start([(200, json!({ "value": rows })), (400, too_deep.clone()), (400, too_deep)]).await;
    let connector = connector(&server);
    let since = "2026-11-02T09:01:12.21Z".parse().unwrap();
    let first = connector.list(RecordKind::Incident, since, None).await.unwrap();
    let second = connector.list(RecordKind::Incident, since, first.next.as_ref()).await.unwrap();
    let reason = &second.malformed[0].reason;
    assert!(reason.contains("updated at 2026-11-02T09:01:12.210Z beyond the first 49"), "{reason}");
    let error = connector.list(RecordKind::Incident, since, second.next.as_ref()).await.unwrap_err();
    assert!(
        server.last().query.contains("ge 2026-11-02T09:01:12.211Z") && !server.last().query.contains("skip")
    );
    assert!(matches!(error, CallError::Refused { .. }), "{error}");
}

#[test]
fn odd_values_cost_a_record_only_where_it_cannot_do_without() {
    for (kind, json, needed) in [
        (RecordKind::Incident, incident("1"), ["id", "status", "lastUpdateDateTime"]),
        (RecordKind::Alert, alert("da1"), ["id", "status", "lastUpdateDateTime"]),
    ] {
        let read = |json: &Value| snapshot::snapshot(&name(), kind, json, false);
        for property in json.as_object().unwrap().keys() {
            for odd in [json!([]), json!({}), json!(-1), json!(true), json!(["\n", null, {}]), json!(" ")] {
                let mut changed = json.clone();
                changed[property] = odd;
                assert_eq!(
                    read(&changed).is_err(),
                    needed.contains(&property.as_str()),
                    "{property}: {changed}"
                );
            }
        }
    }
}

#[tokio::test]
async fn alerts_are_listed_by_two_hundred() {
    let server = Server::start([(200, json!({"value": [alert("da1_1")]})), (200, json!({"no": 1}))]).await;
    let (connector, since) = (connector(&server), "2026-11-02T08:00:00Z".parse().unwrap());
    let page = connector.list(RecordKind::Alert, since, None).await.unwrap();
    assert_eq!(page.snapshots.len(), 1);
    assert!(server.last().path.ends_with("/alerts_v2") && server.last().query.ends_with("$top=200"));
    let error = connector.list(RecordKind::Alert, since, None).await.unwrap_err();
    assert!(matches!(error, CallError::Malformed { .. }), "{error}");
    let token = PageToken("x".to_owned());
    assert!(connector.list(RecordKind::Alert, since, Some(&token)).await.is_err());
}

#[tokio::test]
async fn reads_encode_ids_and_refuse_answers_about_others() {
    let mut bare = incident("3");
    bare.as_object_mut().unwrap().remove("comments");
    let missing = json!({"error": {"code": "ResourceNotFound", "message": "not found"}});
    let answers = [(200, incident("a/b?")), (200, incident("2")), (200, bare), (404, missing)];
    let server = Server::start(answers).await;
    let connector = connector(&server);
    let read = connector.read(&record("a/b?"), Depth::Comments).await.unwrap();
    assert!(read.fresh);
    assert_eq!(server.last().path, "/root/v1.0/security/incidents/a%2Fb%3F");
    let other = connector.read(&record("1"), Depth::Record).await.unwrap_err();
    assert!(other.to_string().contains("the answer is about another record: `2`"), "{other}");
    let bare = connector.read(&record("3"), Depth::Comments).await.unwrap_err();
    assert!(bare.to_string().contains("no list of comments"), "{bare}");
    let gone = connector.read(&record("4"), Depth::Record).await.unwrap_err();
    assert!(matches!(gone, CallError::Gone { .. }));
    let before = server.seen().len();
    assert!(connector.read(&record(".."), Depth::Record).await.is_err());
    assert_eq!(server.seen().len(), before);
}

#[test]
fn a_patch_says_what_changes_and_no_more() {
    let current = read_incident(&incident("1"));
    let body = |fields: &[(Field, Native)], note| write::patch_body(&current, &patch(fields, note)).unwrap();
    let close = [(Field::Status, text("resolved")), (Field::Verdict, text("truePositive/malware"))];
    let closed = body(&close, Some("done"));
    assert_eq!(
        closed,
        json!({"status": "resolved", "classification": "truePositive", "determination": "malware", "resolvingComment": "done"})
    );
    let cleared =
        [(Field::Owner, Native::Empty), (Field::Verdict, Native::Empty), (Field::Tags, Native::Empty)];
    let cleared = body(&cleared, None);
    assert_eq!(
        cleared,
        json!({"assignedTo": null, "classification": "unknown", "determination": "unknown", "customTags": ["lockstep:x"]})
    );
    let rest = [
        (Field::Tags, set(&["b", "a"])),
        (Field::Title, text("T")),
        (Field::Severity, text("low")),
        (Field::Owner, text("a@b.c")),
    ];
    let rest = body(&rest, None);
    assert_eq!(rest["customTags"], json!(["lockstep:x", "a", "b"]));
    let long = body(&close, Some(&"x".repeat(40_000)));
    let note = long["resolvingComment"].as_str().unwrap();
    assert!(note.len() == 30_000 && note.ends_with("[cut here by lockstep]"));
    if let Some(graph) = spec("graph-security.openapi.json") {
        for body in [&closed, &cleared, &rest, &long] {
            check(&graph, "/components/schemas/microsoft.graph.security.incident", body);
        }
        check(&graph, "/components/schemas/microsoft.graph.security.alertComment", &write::comment_body("x"));
    }
}

#[test]
fn what_the_service_must_not_be_told_is_never_sent() {
    let current = read_incident(&incident("1"));
    for (field, value) in [
        (Field::Status, text("redirected")),
        (Field::Status, text("unknownFutureValue")),
        (Field::Status, text("awaitingAction")),
        (Field::Severity, text("unknownFutureValue")),
        (Field::Verdict, text("truePositive/unknownFutureValue")),
        (Field::Title, Native::Empty),
    ] {
        assert!(write::patch_body(&current, &patch(&[(field, value.clone())], None)).is_err(), "{value}");
    }
    assert!(write::patch_body(&current, &Patch::default()).is_err());
}

#[test]
fn an_alert_takes_status_verdict_and_owner() {
    let current = snapshot::snapshot(&name(), RecordKind::Alert, &alert("da1"), true).unwrap();
    let fields = [
        (Field::Status, text("resolved")),
        (Field::Verdict, text("falsePositive/notMalicious")),
        (Field::Owner, text("a@b.c")),
        (Field::Title, text("left out")),
    ];
    let body = write::patch_body(&current, &patch(&fields, Some("left out"))).unwrap();
    assert_eq!(
        body,
        json!({"status": "resolved", "classification": "falsePositive", "determination": "notMalicious", "assignedTo": "a@b.c"})
    );
    assert!(write::patch_body(&current, &patch(&[(Field::Status, text("active"))], None)).is_err());
    assert!(write::patch_body(&current, &patch(&[(Field::Title, text("x"))], None)).is_err());
    if let Some(graph) = spec("graph-security.openapi.json") {
        check(&graph, "/components/schemas/microsoft.graph.security.alert", &body);
    }
}

#[tokio::test]
async fn a_write_brings_the_record_or_at_least_its_request() {
    let mut after = incident("1");
    after["status"] = "resolved".into();
    let server = Server::start([(200, after), (200, json!({})), (503, json!({}))]).await;
    let (connector, current) = (connector(&server), read_incident(&incident("1")));
    let close = patch(&[(Field::Status, text("resolved"))], None);
    let written = connector.update(&current, &close).await.unwrap();
    assert_eq!(written.snapshot.unwrap().native[&Field::Status], text("resolved"));
    let seen = server.last();
    assert_eq!((seen.method.as_str(), seen.body.clone()), ("PATCH", json!({"status": "resolved"})));
    asks_for_known_members(&seen);
    let nothing = connector.update(&current, &close).await.unwrap_err();
    assert!(matches!(nothing, CallError::Unknown { status: Some(200), .. }), "{nothing}");
    let lost = connector.update(&current, &close).await.unwrap_err();
    assert!(matches!(lost, CallError::Unknown { .. }) && server.seen().len() == 3, "{lost}");
    let refused =
        connector.create(&record("9"), &Opening { patch: close, ..Opening::default() }).await.unwrap_err();
    assert!(refused.to_string().contains("create_in") && server.seen().len() == 3, "{refused}");
}

#[tokio::test]
async fn a_comment_brings_the_whole_list() {
    let list = json!([{"comment": "hello", "createdByDisplayName": "soc1", "createdDateTime": "2026-11-02T08:16:02Z"},
        {"comment": "copy", "createdByDisplayName": "lockstep", "createdDateTime": "2026-11-02T08:17:02Z"}]);
    let server = Server::start([(200, json!({ "value": list })), (200, json!({}))]).await;
    let (connector, current) = (connector(&server), read_incident(&incident("1")));
    let key = CommentKey::from_id("k");
    let after = connector.comment(&current, &key, "copy").await.unwrap().snapshot.unwrap();
    let texts = |list: &[Comment]| list.iter().map(|c| c.text.clone()).collect::<Vec<_>>();
    assert!(matches!(&after.comments, Comments::Listed(list) if texts(list) == ["hello", "copy"]));
    assert_eq!((after.native, after.revision), (current.native.clone(), current.revision.clone()));
    let seen = server.last();
    assert_eq!(seen.path, "/root/v1.0/security/incidents/1/comments");
    assert_eq!(seen.body, json!({"@odata.type": "microsoft.graph.security.alertComment", "comment": "copy"}));
    let nothing = connector.comment(&current, &key, "copy").await.unwrap_err();
    assert!(matches!(nothing, CallError::Unknown { .. }), "{nothing}");
    assert!(!connector.chooses_comment_ids());
}

#[tokio::test]
async fn a_probe_names_the_missing_permission() {
    let denied = json!({"error": {"code": "Forbidden", "message": "Missing application roles."}});
    let server = Server::start([(200, json!({"value": []})), (403, denied)]).await;
    let probes = connector(&server).probe().await;
    let results: Vec<_> = probes.iter().map(|p| (p.what.as_str(), p.result.is_ok())).collect();
    assert_eq!(
        results,
        [("credential", true), ("list incidents", true), ("list alerts", false), ("write permission", true)]
    );
    assert!(probes[2].result.as_ref().unwrap_err().contains("SecurityAlert.Read.All"));
    assert!(server.seen().iter().all(|s| s.method == "GET"));
}
