use serde_json::{Value, json};

use super::*;
use crate::connectors::testing::{Server, check, credential, http, spec};
use crate::model::{Field, Lifecycle, Native, RecordId};

pub(super) const ID: &str = "0f7c3b9e-5f0e-4c55-9d1c-6a2c7b1f9a10";
const BASE: &str = "/root/subscriptions/sub/resourceGroups/rg/providers/Microsoft.OperationalInsights/workspaces/ws/providers/Microsoft.SecurityInsights/incidents";

pub(super) fn name() -> SystemName {
    SystemName::new("sentinel").unwrap()
}

pub(super) fn peer() -> SystemName {
    SystemName::new("defender").unwrap()
}

pub(super) fn connector(server: &Server) -> Sentinel {
    Sentinel::new(&settings_at(&server.url), &http(), None).unwrap()
}

pub(super) fn settings_at(url: &Url) -> SentinelSettings {
    SentinelSettings {
        name: name(),
        tenant_id: "t".to_owned(),
        subscription_id: "sub".to_owned(),
        resource_group: "rg".to_owned(),
        workspace: "ws".to_owned(),
        credential: credential(),
        authority_url: url.clone(),
        arm_url: url.clone(),
        scope: "s/.default".to_owned(),
        api_version: SentinelSettings::DEFAULT_API_VERSION.to_owned(),
        budget_factor: 1.0,
        settle: SentinelSettings::DEFAULT_SETTLE,
        overlap: SentinelSettings::DEFAULT_OVERLAP,
        hook: None,
        peer: Some(peer()),
    }
}

pub(super) fn incident() -> Value {
    json!({
        "id": format!("{BASE}/{ID}"), "name": ID.to_uppercase(), "type": "Microsoft.SecurityInsights/incidents",
        "etag": "\"a400d2c1\"",
        "properties": {
            "title": "Suspicious sign-in", "severity": "Medium", "status": "New", "description": "D",
            "owner": {"objectId": null, "email": null, "assignedTo": null, "userPrincipalName": null},
            "labels": [{"labelName": "vip", "labelType": "User"}, {"labelName": "lockstep:t", "labelType": "User"}],
            "firstActivityTimeUtc": "2026-09-01T07:10:03.1234567Z", "lastActivityTimeUtc": "2026-09-01T07:14:44Z",
            "createdTimeUtc": "2026-09-01T07:19:30.5538412Z", "lastModifiedTimeUtc": "2026-09-01T07:19:31.0021187Z",
            "incidentNumber": 4182, "incidentUrl": "https://portal.example/i", "providerName": "Microsoft XDR",
            "providerIncidentId": "90211", "relatedAnalyticRuleIds": [],
            "additionalData": {"alertsCount": 3, "commentsCount": 2, "alertProductNames": ["Microsoft Defender XDR"],
                "providerIncidentUrl": "https://security.example/incidents/90211"},
        },
    })
}

pub(super) fn closed() -> Value {
    let mut json = incident();
    let properties = json["properties"].as_object_mut().unwrap();
    let more = json!({"status": "Closed", "classification": "FalsePositive",
        "classificationReason": "InaccurateData", "classificationComment": "noise",
        "owner": {"objectId": "2046feea-040d-4a46-9e2b-91c2941bfa70", "email": "j@x.org", "userPrincipalName": "J@x.org", "assignedTo": null}});
    properties.extend(more.as_object().unwrap().clone());
    json
}

fn read(json: &Value) -> Snapshot {
    snapshot::incident(&name(), Some(&peer()), json, true).unwrap()
}

pub(super) fn record() -> RecordRef {
    RecordRef::incident(&name(), RecordId::new(ID).unwrap())
}

fn text(text: &str) -> Native {
    Native::Text(text.to_owned())
}

fn patch(fields: &[(Field, Native)], note: Option<&str>) -> Patch {
    Patch { native: fields.iter().cloned().collect(), closing_comment: note.map(str::to_owned) }
}

fn defender(kind: RecordKind, id: &str) -> RecordRef {
    RecordRef { system: peer(), kind, id: RecordId::new(id).unwrap() }
}

#[test]
fn an_open_incident_states_no_verdict() {
    let read = read(&incident());
    assert_eq!(read.record, record());
    assert_eq!(read.revision, "\"a400d2c1\"");
    let expected = [
        (Field::Status, text("New")),
        (Field::Severity, text("Medium")),
        (Field::Owner, Native::Empty),
        (Field::Tags, Native::Set(["vip".to_owned()].into())),
        (Field::Title, text("Suspicious sign-in")),
    ];
    assert_eq!(read.native, expected.into());
    assert_eq!(read.comments, Comments::Counted(2));
    assert_eq!(read.links, [defender(RecordKind::Incident, "90211")]);
    assert_eq!(read.facts.url.as_deref(), Some("https://security.example/incidents/90211"));
}

#[test]
fn a_closed_incident_states_verdict_and_note() {
    let mut json = closed();
    let first = read(&json);
    assert_eq!(first.native[&Field::Verdict], text("FalsePositive/InaccurateData"));
    assert_eq!(first.native[&Field::Owner], text("j@x.org"));
    assert_eq!(first.closing_comment.as_deref(), Some("noise"));
    json["properties"]["labels"] = json!([{"labelName": "redirected"}, {"labelName": " "}]);
    json["properties"]["classification"] = "Undetermined".into();
    json["properties"]["classificationReason"] = Value::Null;
    json["properties"].as_object_mut().unwrap().remove("additionalData");
    let merged = read(&json);
    assert_eq!(merged.lifecycle, Lifecycle::Redirected { to: None });
    assert_eq!(merged.native[&Field::Verdict], text("Undetermined"));
    assert_eq!(merged.native[&Field::Tags], Native::Set([].into()));
    assert_eq!(merged.comments, Comments::Counted(0));
}

#[test]
fn a_twin_is_told_by_more_than_the_providers_name() {
    let mut json = incident();
    json["properties"]["additionalData"] = Value::Null;
    assert_eq!(read(&json).links.len(), 1);
    json["properties"]["providerIncidentId"] = "4182".into();
    assert!(read(&json).links.is_empty());
    json["properties"]["additionalData"] = json!({"providerIncidentUrl": "https://x"});
    json["properties"]["providerName"] = "Azure Sentinel".into();
    assert!(read(&json).links.is_empty());
    assert!(snapshot::incident(&name(), None, &incident(), true).unwrap().links.is_empty());
}

#[test]
fn odd_values_cost_a_record_only_where_it_cannot_do_without() {
    let json = closed();
    for property in json["properties"].as_object().unwrap().keys() {
        for odd in [json!([]), json!({}), json!(-1), json!(true), json!(["\n", null, {}]), json!(" ")] {
            let mut changed = json.clone();
            changed["properties"][property] = odd;
            let failed = snapshot::incident(&name(), Some(&peer()), &changed, false).is_err();
            assert_eq!(failed, ["status", "lastModifiedTimeUtc"].contains(&property.as_str()), "{changed}");
        }
    }
    assert!(snapshot::incident(&name(), None, &json!({"name": "x", "properties": 7}), false).is_err());
}

#[tokio::test]
async fn a_list_follows_the_services_links_encoded_and_on_its_own_origin() {
    let server = Server::start([]).await;
    let raw =
        format!("{}?$filter=a ge 2026-01-01T00:00:00Z&$skipToken=a+b==", server.url.join(BASE).unwrap());
    server.then(200, json!({"value": [incident(), {"name": "x", "properties": {}}, []], "nextLink": raw}));
    server.then(200, json!({"value": [], "nextLink": raw}));
    let (connector, since) = (connector(&server), "2026-09-01T00:00:00Z".parse().unwrap());
    let page = connector.list(RecordKind::Incident, since, None).await.unwrap();
    assert_eq!((page.snapshots.len(), page.malformed.len()), (1, 2));
    assert_eq!(page.malformed[0].id.as_deref(), Some("x"));
    let first = server.last();
    assert_eq!(first.path, BASE);
    assert_eq!(
        first.query,
        "api-version=2025-09-01&$filter=properties/lastModifiedTimeUtc ge 2026-09-01T00:00:00.000Z\
         &$orderby=properties/lastModifiedTimeUtc asc&$top=200"
    );
    assert_eq!(first.headers["x-ms-return-client-request-id"], "true");
    let again = connector.list(RecordKind::Incident, since, page.next.as_ref()).await.unwrap_err();
    assert_eq!(server.last().query, "$filter=a ge 2026-01-01T00:00:00Z&$skipToken=a+b==");
    assert!(matches!(again, CallError::Malformed { .. }) && again.to_string().contains("repeats"), "{again}");
    server.then(200, json!({"value": [], "nextLink": format!("https://evil.example{BASE}")}));
    let foreign = connector.list(RecordKind::Incident, since, None).await.unwrap_err();
    assert!(foreign.to_string().contains("leads away from the configured arm_url"), "{foreign}");
    let token = PageToken(r#"{"link":"https://evil.example/x","seen":[]}"#.to_owned());
    assert!(connector.list(RecordKind::Incident, since, Some(&token)).await.is_err());
    assert_eq!(server.seen().len(), 3);
}

fn comment(id: &str) -> Value {
    json!({"name": id, "properties": {"message": "m", "createdTimeUtc": "2026-09-01T00:00:00Z", "author": {"name": "n"}}})
}

#[tokio::test]
async fn comments_are_read_to_the_last_page() {
    let server = Server::start([(200, incident())]).await;
    let link = format!("{}/{ID}/comments?$skipToken=2", server.url.join(BASE).unwrap());
    server.then(200, json!({"value": [comment("A1")], "nextLink": link}));
    server.then(200, json!({"value": [comment("b2")]}));
    let connector = connector(&server);
    let read = connector.read(&record(), Depth::Comments).await.unwrap();
    let Comments::Listed(list) = read.comments else { panic!() };
    assert_eq!(list.iter().map(|c| c.key.as_str()).collect::<Vec<_>>(), ["a1", "b2"]);
    assert_eq!(server.seen()[1].path, format!("{BASE}/{ID}/comments"));
    server.then(200, incident());
    server.then(200, json!({"value": [{"properties": {}}]}));
    let error = connector.read(&record(), Depth::Comments).await.unwrap_err();
    assert!(error.to_string().contains("comment without a name"), "{error}");
}

#[test]
fn labels_that_cannot_be_read_were_not_taken_off() {
    for odd in [json!("vip"), json!(7), json!({"labelName": 7}), json!([])] {
        let mut json = incident();
        json["properties"]["labels"] = json!([{"labelName": "vip"}, odd]);
        assert!(!read(&json).native.contains_key(&Field::Tags), "{odd}");
    }
    let mut json = incident();
    json["properties"]["labels"] = json!([{"labelName": "vip"}, null, {"labelName": null}]);
    assert_eq!(read(&json).native[&Field::Tags], Native::Set(["vip".to_owned()].into()));
}

#[test]
fn a_comment_that_lost_its_text_or_time_is_no_empty_one() {
    let good = json!({"name": "c", "properties": {"message": "m", "createdTimeUtc": "2026-09-01T00:00:00Z"}});
    assert!(snapshot::comment(&good).is_ok());
    for name in ["message", "createdTimeUtc"] {
        for odd in [json!(7), Value::Null, json!({})] {
            let mut spoilt = good.clone();
            spoilt["properties"][name] = odd;
            let error = snapshot::comment(&spoilt).unwrap_err();
            assert!(error.contains("comment c") && error.contains(name), "{error}");
        }
    }
}

#[tokio::test]
async fn a_standalone_incident_is_linked_by_its_alerts() {
    let mut standalone = incident();
    standalone["properties"]["providerName"] = "Azure Sentinel".into();
    standalone["properties"]["providerIncidentId"] = "4182".into();
    let alert =
        |product: &str, id: &str| json!({"properties": {"productName": product, "providerAlertId": id}});
    let alerts = json!({"value": [
        alert("Microsoft Defender for Endpoint", "da2"), alert("Microsoft Defender for Endpoint", "da1"),
        alert("Microsoft Defender for Cloud", "dc1"), alert("Microsoft Defender for Cloud Apps", "ca1"),
        alert("Azure Sentinel", "x"), alert("Microsoft Defender for Endpoint", "da1")]});
    let server = Server::start([(200, standalone), (200, alerts), (200, incident())]).await;
    let connector = connector(&server);
    let read = connector.read(&record(), Depth::Links).await.unwrap();
    let expected = ["ca1", "da1", "da2"].map(|id| defender(RecordKind::Alert, id));
    assert_eq!(read.links, expected);
    let seen = server.last();
    assert_eq!((seen.method.as_str(), seen.path), ("POST", format!("{BASE}/{ID}/alerts")));
    assert_eq!(connector.read(&record(), Depth::Links).await.unwrap().links.len(), 1);
    assert_eq!(server.seen().len(), 3);
}

#[test]
fn an_update_sends_all_that_can_be_written_and_its_etag() {
    let body =
        write::update_body(&read(&incident()), &patch(&[(Field::Severity, text("High"))], None)).unwrap();
    assert_eq!(
        body,
        json!({"etag": "\"a400d2c1\"", "properties": {
            "title": "Suspicious sign-in", "severity": "High", "status": "New", "description": "D", "owner": {},
            "labels": [{"labelName": "vip"}, {"labelName": "lockstep:t"}],
            "firstActivityTimeUtc": "2026-09-01T07:10:03.1234567Z", "lastActivityTimeUtc": "2026-09-01T07:14:44Z"}})
    );
    let close = [(Field::Status, text("Closed")), (Field::Verdict, text("TruePositive/SuspiciousActivity"))];
    let close = write::update_body(&read(&incident()), &patch(&close, Some("done"))).unwrap();
    let properties = &close["properties"];
    assert_eq!(properties["classification"], "TruePositive");
    assert_eq!(properties["classificationReason"], "SuspiciousActivity");
    assert_eq!(properties["classificationComment"], "done");
    if let Some(arm) = spec("sentinel-incidents.swagger.json") {
        for body in [&body, &close] {
            check(&arm, "/definitions/Incident", body);
            check(&arm, "/definitions/IncidentProperties", &body["properties"]);
        }
        check(&arm, "/definitions/IncidentComment", &write::comment_body("x"));
    }
}

#[test]
fn verdicts_go_with_closed_only() {
    let body = |json: &Value, fields: &[(Field, Native)]| {
        write::update_body(&read(json), &patch(fields, None)).unwrap()["properties"].clone()
    };
    let reopened = body(&closed(), &[(Field::Status, text("Active"))]);
    assert!(reopened.get("classification").is_none() && reopened.get("classificationComment").is_none());
    let kept = body(&closed(), &[(Field::Severity, text("Low"))]);
    assert_eq!(kept["classificationReason"], "InaccurateData");
    for native in [text("Undetermined/"), text("Undetermined"), Native::Empty] {
        let changed = body(&closed(), &[(Field::Verdict, native)]);
        assert_eq!(changed["classification"], "Undetermined");
        assert!(changed.get("classificationReason").is_none());
    }
    let bare = body(&incident(), &[(Field::Status, text("Closed"))]);
    assert_eq!(bare["classification"], "Undetermined");
    let open = body(&incident(), &[(Field::Verdict, text("TruePositive/SuspiciousActivity"))]);
    assert!(open.get("classification").is_none());
}

#[test]
fn owners_and_labels_are_replaced_with_care() {
    let body = |fields: &[(Field, Native)]| {
        write::update_body(&read(&closed()), &patch(fields, None)).unwrap()["properties"].clone()
    };
    assert_eq!(
        body(&[(Field::Owner, text("j@x.org"))])["owner"]["objectId"],
        "2046feea-040d-4a46-9e2b-91c2941bfa70"
    );
    assert_eq!(body(&[(Field::Owner, text("k@x.org"))])["owner"], json!({"userPrincipalName": "k@x.org"}));
    assert_eq!(body(&[(Field::Owner, Native::Empty)])["owner"], json!({}));
    let labels = body(&[(Field::Tags, Native::Set(["a".to_owned()].into()))])["labels"].clone();
    assert_eq!(labels, json!([{"labelName": "lockstep:t"}, {"labelName": "a"}]));
    assert_eq!(body(&[(Field::Tags, Native::Empty)])["labels"], json!([{"labelName": "lockstep:t"}]));
}

/// A group that an incident is assigned to.
fn group() -> Value {
    json!({"email": null, "userPrincipalName": null, "assignedTo": "SOC Tier 2",
        "objectId": "7d6a7e7a-0000-4000-8000-000000000777", "ownerType": "Group"})
}

#[test]
fn an_owner_that_is_no_account_is_not_stated_and_kept() {
    let owned = |owner: Value| {
        let mut json = incident();
        json["properties"]["owner"] = owner;
        json
    };
    let mut mailed = group();
    mailed["email"] = "soc@x.org".into();
    let no_account = [
        group(),
        mailed,
        json!({"assignedTo": "Ana"}),
        json!({"objectId": "2046feea-040d-4a46-9e2b-91c2941bfa70"}),
        json!({"userPrincipalName": 7}),
    ];
    for owner in no_account {
        let json = owned(owner.clone());
        let read = read(&json);
        assert!(!read.native.contains_key(&Field::Owner), "{owner}");
        let body = write::update_body(&read, &patch(&[(Field::Severity, text("High"))], None)).unwrap();
        let mut kept = owner;
        kept.as_object_mut().unwrap().retain(|_, value| !value.is_null());
        assert_eq!(body["properties"]["owner"], kept);
    }
    let unknown = json!({"objectId": null, "email": "", "assignedTo": " ", "ownerType": "Unknown"});
    for nobody in [unknown, json!({}), Value::Null] {
        assert_eq!(read(&owned(nobody)).native[&Field::Owner], Native::Empty);
    }
}

#[tokio::test]
async fn an_owner_without_a_principal_name_does_not_cost_the_update() {
    let server = Server::start([(200, closed()), (201, incident())]).await;
    let (connector, current) = (connector(&server), read(&incident()));
    let close = patch(&[(Field::Status, text("Closed")), (Field::Owner, text("soc tier 2"))], None);
    let written = connector.update(&current, &close).await.unwrap();
    assert_eq!(written.declined.iter().map(|d| d.field).collect::<Vec<_>>(), [Field::Owner]);
    assert_eq!(server.last().body["properties"]["status"], "Closed");
    assert_eq!(server.last().body["properties"]["owner"], json!({}));
    let only = patch(&[(Field::Owner, text("soc tier 2"))], None);
    let written = connector.update(&current, &only).await.unwrap();
    assert_eq!((written.declined.len(), written.snapshot, server.seen().len()), (1, Some(current), 1));
    let mut json = incident();
    json["properties"]["owner"] = group();
    let written =
        connector.update(&read(&json), &patch(&[(Field::Owner, text("k@x.org"))], None)).await.unwrap();
    assert_eq!((written.declined.len(), server.seen().len()), (1, 1), "a group is kept");
    let fields = [
        (Field::Title, text("T")),
        (Field::Severity, text("Low")),
        (Field::Status, text("New")),
        (Field::Owner, text("tier 2")),
    ];
    let opening = Opening { patch: patch(&fields, None), ..Opening::default() };
    let written = connector.create(&record(), &opening).await.unwrap();
    assert_eq!(written.declined.len(), 1);
    assert!(server.last().body["properties"].get("owner").is_none());
}

#[test]
fn a_comment_in_html_is_read_in_words() {
    let read = |message: &str| {
        let properties = json!({"message": message, "createdTimeUtc": "2026-09-01T07:19:30Z"});
        snapshot::comment(&json!({"name": "c1", "properties": properties})).unwrap().text
    };
    let report = "<h3>Report</h3><table><tr><td>host7</td><td><a href='https://x.example/1'>clean</a></td></tr></table>";
    assert_eq!(read(report), "Report\n\nhost7 | clean (https://x.example/1)");
    for plain in ["1 < 2 &amp; 3", "<script>alert(1)</script>", "<p>x</p> — ana in jira [lockstep 0a.0b]"] {
        assert_eq!(read(plain), plain);
    }
}

#[tokio::test]
async fn what_an_incident_had_already_is_sent_in_a_plainer_form_where_it_is_refused() {
    let refused = |text: &str| (400, json!({"error": {"code": "BadRequest", "message": text}}));
    let mut json = incident();
    json["properties"]["description"] = "d".repeat(6_000).into();
    let group = json!({"email": null, "userPrincipalName": null, "assignedTo": "SOC Tier 2",
        "objectId": "7d6a7e7a-0000-4000-8000-000000000777", "ownerType": "Group"});
    json["properties"]["owner"] = group;
    let server = Server::start([
        refused("'Description' must not exceed 5000 characters."),
        refused("The owner is no user."),
        (200, closed()),
    ])
    .await;
    let close = patch(&[(Field::Status, text("Closed"))], None);
    connector(&server).update(&read(&json), &close).await.unwrap();
    let seen = server.seen();
    let sent = |n: usize, name: &str| seen[n].body["properties"][name].clone();
    let whole = json!({"assignedTo": "SOC Tier 2", "objectId": "7d6a7e7a-0000-4000-8000-000000000777",
        "ownerType": "Group"});
    assert_eq!((sent(0, "owner"), sent(1, "owner")), (whole.clone(), whole), "a group goes back as it came");
    assert_eq!(sent(0, "description").as_str().unwrap().len(), 6_000);
    assert!(sent(2, "description").as_str().unwrap().len() == 5_000, "only where it must be");
    assert_eq!(sent(2, "owner"), json!({"objectId": "7d6a7e7a-0000-4000-8000-000000000777"}));
    assert_eq!(sent(2, "status"), "Closed");
}

#[test]
fn a_closed_incident_goes_back_with_the_reason_that_a_put_demands() {
    for (class, reason, expected) in [
        ("TruePositive", Value::Null, json!("SuspiciousActivity")),
        ("BenignPositive", Value::Null, json!("SuspiciousButExpected")),
        ("FalsePositive", Value::Null, json!("InaccurateData")),
        ("FalsePositive", json!("IncorrectAlertLogic"), json!("IncorrectAlertLogic")),
        ("Undetermined", json!("InaccurateData"), Value::Null),
        ("SomethingNew", Value::Null, Value::Null),
    ] {
        let mut json = closed();
        json["properties"]["classification"] = class.into();
        json["properties"]["classificationReason"] = reason;
        let body = write::update_body(&read(&json), &patch(&[(Field::Severity, text("Low"))], None)).unwrap();
        assert_eq!(body["properties"]["classificationReason"], expected, "{class}");
    }
}

#[tokio::test]
async fn a_stale_etag_is_a_conflict_and_a_write_leaves_once() {
    let stale = json!({"error": {"code": "Conflict", "message": "Newer version of resource exists"}});
    let server = Server::start([(409, stale), (200, closed()), (500, json!({}))]).await;
    let (connector, current) = (connector(&server), read(&incident()));
    let close = patch(&[(Field::Status, text("Closed"))], None);
    let error = connector.update(&current, &close).await.unwrap_err();
    assert!(matches!(error, CallError::Conflict { .. }), "{error}");
    let written = connector.update(&current, &close).await.unwrap().snapshot.unwrap();
    assert_eq!(written.native[&Field::Status], text("Closed"));
    assert_eq!((server.last().method.as_str(), server.last().path), ("PUT", format!("{BASE}/{ID}")));
    let lost = connector.update(&current, &close).await.unwrap_err();
    assert!(matches!(lost, CallError::Unknown { .. }) && server.seen().len() == 3, "{lost}");
    let alert = RecordRef::alert(&name(), RecordId::new("1").unwrap());
    let refused = connector.read(&alert, Depth::Record).await.unwrap_err();
    assert!(matches!(refused, CallError::NotSent { .. }) && server.seen().len() == 3, "{refused}");
}

#[tokio::test]
async fn a_creation_needs_the_essentials_and_carries_no_etag() {
    let server = Server::start([(201, incident())]).await;
    let connector = connector(&server);
    let some = [(Field::Title, text("T")), (Field::Severity, text("Low"))];
    let error = connector
        .create(&record(), &Opening { patch: patch(&some, None), ..Opening::default() })
        .await
        .unwrap_err();
    assert!(error.to_string().contains("without status"), "{error}");
    let all: Vec<_> =
        some.into_iter().chain([(Field::Status, text("New")), (Field::Owner, text("a@b.c"))]).collect();
    assert!(
        connector
            .create(&record(), &Opening { patch: patch(&all, None), ..Opening::default() })
            .await
            .unwrap()
            .snapshot
            .is_some()
    );
    let body = server.last().body;
    assert_eq!(
        body,
        json!({"properties": {"title": "T", "severity": "Low", "status": "New", "owner": {"userPrincipalName": "a@b.c"}}})
    );
    if let Some(arm) = spec("sentinel-incidents.swagger.json") {
        check(&arm, "/definitions/Incident", &body);
    }
}

#[tokio::test]
async fn a_comment_has_one_id_per_key() {
    let key = CommentKey::from_id("intent-7");
    let put = comment(super::comment_id(ID, &key).as_str());
    let server = Server::start([(201, put.clone()), (200, put), (200, incident())]).await;
    server.then(200, json!({"value": [comment("A1")]}));
    let (connector, current) = (connector(&server), read(&incident()));
    assert!(connector.comment(&current, &key, "text").await.unwrap().snapshot.is_none());
    let repeated = connector.comment(&current, &key, "text").await.unwrap().snapshot.unwrap();
    assert!(matches!(repeated.comments, Comments::Listed(all) if all.len() == 1), "it is no second one");
    let seen = server.seen();
    assert_eq!(seen[0].path, seen[1].path);
    let id = super::comment_id(current.record.id.as_str(), &key);
    assert_eq!(seen[0].path, format!("{BASE}/{ID}/comments/{}", id.as_str()));
    assert_eq!(seen[0].body, json!({"properties": {"message": "text"}}));
    assert_eq!(comment_id(&ID.to_uppercase(), &key), id);
    assert_ne!(comment_id("other", &key), id);
    let guid = CommentKey::from_id("4BB36B7B-26FF-4D1C-9CBE-0D8AB3DA0014");
    assert_eq!(comment_id(ID, &guid), guid);
}

#[test]
fn the_official_examples_are_understood() {
    let Some(list) = spec("sentinel-examples/GetIncidents.json") else { return };
    let json = &list["responses"]["200"]["body"]["value"][0];
    let read = read(json);
    assert_eq!(read.native[&Field::Verdict], text("FalsePositive/IncorrectAlertLogic"));
    assert_eq!(read.native[&Field::Owner], text("john@contoso.com"));
    assert_eq!(read.comments, Comments::Counted(3));
    assert!(read.links.is_empty() && !snapshot::is_standalone(json));
    // What the official example sends is what an update without changes sends, but for the resolved owner.
    let Some(create) = spec("sentinel-examples/CreateIncident.json") else { return };
    let sent = &create["parameters"]["incident"];
    let mut body = write::update_body(&read, &patch(&[(Field::Status, text("Closed"))], None)).unwrap();
    body["properties"]["owner"] = sent["properties"]["owner"].clone();
    body["properties"].as_object_mut().unwrap().remove("labels");
    assert_eq!(&body, sent);
    let Some(comments) = spec("sentinel-examples/comments/GetAllIncidentComments.json") else { return };
    let comment = snapshot::comment(&comments["responses"]["200"]["body"]["value"][0]).unwrap();
    assert_eq!((comment.text.as_str(), comment.author.as_deref()), ("Some message", Some("john doe")));
    let Some(alerts) = spec("sentinel-examples/GetAllIncidentAlerts.json") else { return };
    assert!(snapshot::alert_link(&alerts["responses"]["200"]["body"]["value"][0], &peer()).is_none());
}

#[tokio::test]
async fn a_probe_names_the_missing_role() {
    let denied = json!({"error": {"code": "AuthorizationFailed", "message": "no"}});
    let server = Server::start([(403, denied)]).await;
    let probes = connector(&server).probe().await;
    assert!(probes[1].result.as_ref().unwrap_err().contains("Microsoft Sentinel Responder"));
    assert!(probes[2].result.as_ref().unwrap().contains("not tried"));
    assert_eq!(connector(&server).budget_left().len(), 7);
}

#[tokio::test]
async fn an_incident_that_lockstep_makes_says_for_which_one_it_was_made() {
    let server = Server::start([(201, incident())]).await;
    let connector = connector(&server);
    let fields = [(Field::Title, text("T")), (Field::Severity, text("Low")), (Field::Status, text("New"))];
    let origin = Some("xdr/incident/4711".parse().unwrap());
    let opening = Opening { patch: patch(&fields, None), origin, ..Opening::default() };
    connector.create(&record(), &opening).await.unwrap();
    let body = server.last().body;
    assert_eq!(body["properties"]["labels"][0]["labelName"], "lockstep:for xdr/incident/4711", "{body}");
    let mut made = incident();
    made["properties"]["labels"] = body["properties"]["labels"].clone();
    // The fixture mirrors a Defender incident; what lockstep made does not.
    made["properties"]["providerName"] = "Azure Sentinel".into();
    let read = |peer: &str| {
        let peer = SystemName::new(peer).unwrap();
        snapshot::incident(&name(), Some(&peer), &made, true).unwrap().links
    };
    assert_eq!(read("xdr"), ["xdr/incident/4711".parse().unwrap()]);
    assert_eq!(read("another"), [], "a system that the bridge does not have is none of ours");
}
