//! Single answers, by script.

use secrecy::SecretString;
use serde_json::{Map, Value, json};
use url::Url;

use super::*;
use crate::connectors::testing::{Server, check, http, spec};
use crate::connectors::{Audience, TicketSystem};
use crate::http::Login;
use crate::http::secret::SecretRef;
use crate::model::{Field, Native, RecordId};

/// Settings of a Jira at this address, with the emulator's user.
pub(super) fn settings(url: &str) -> JiraSettings {
    let password = SecretRef::Inline(SecretString::from("emulator-secret".to_owned()));
    JiraSettings {
        system: TicketSystem {
            name: SystemName::new("tickets").unwrap(),
            url: Url::parse(url).unwrap(),
            login: Login::Basic { username: "lockstep".to_owned(), password },
            settle: JiraSettings::DEFAULT_SETTLE,
            overlap: JiraSettings::DEFAULT_OVERLAP,
            budget_factor: 1000.0,
            comments: Audience::Internal,
            hook: None,
        },
        deployment: Deployment::Cloud,
        project: "SOC".to_owned(),
        issue_type: "Task".to_owned(),
        scope: Scope::Project,
        service_desk: false,
        priority: true,
        verdict_field: None,
        default_resolution: None,
        statuses: std::collections::BTreeMap::new(),
        create_fields: Map::new(),
        close_fields: Map::new(),
        site_url: None,
        token_url: Url::parse(JiraSettings::DEFAULT_TOKEN_URL).unwrap(),
    }
}

pub(super) fn text(text: &str) -> Native {
    Native::Text(text.to_owned())
}

pub(super) fn patch(fields: &[(Field, Native)], note: Option<&str>) -> Patch {
    Patch { native: fields.iter().cloned().collect(), closing_comment: note.map(str::to_owned) }
}

fn connector(server: &Server) -> Jira {
    Jira::new(&settings(server.url.as_str()), &http(), None).unwrap()
}

pub(super) fn issue() -> Value {
    json!({
        "id": "10042", "key": "SOC-7", "self": "https://x/rest/api/3/issue/10042",
        "fields": {
            "summary": "Phishing", "labels": ["lockstep", "lockstep-00112233445566778899aabbccddeeff", "vip", "lockstep:x"],
            "status": {"id": "10002", "name": "Done", "statusCategory": {"id": 3, "key": "done"}},
            "resolution": {"id": "1", "name": "True Positive"}, "priority": {"id": "2", "name": "High"},
            "assignee": {"accountId": "5b1", "emailAddress": "Ana@Example.org", "displayName": "Ana"},
            "created": "2026-11-23T10:12:57.123+0100", "updated": "2026-11-23T11:00:00.456+0100",
            "comment": {"total": 1, "maxResults": 1, "startAt": 0, "comments": [{
                "id": "77", "author": {"accountId": "me", "displayName": "lockstep"}, "created": "2026-11-23T10:13:00.000+0100",
                "body": {"type": "doc", "version": 1, "content": [
                    {"type": "paragraph", "content": [{"type": "text", "text": "Closing note (lockstep): noise"}]}]},
            }]},
        },
        "properties": {"lockstep": {"key": "lockstep-ffffffffffffffffffffffffffffffff"}},
    })
}

pub(super) fn read(json: &Value) -> Result<Snapshot, String> {
    snapshot::issue(&settings("https://example.atlassian.net/"), Some("me"), json, true)
}

#[test]
fn an_issue_states_what_it_says() {
    let snapshot = read(&issue()).unwrap();
    let expected = [
        (Field::Status, text("done")),
        (Field::Severity, text("High")),
        (Field::Verdict, text("True Positive")),
        (Field::Owner, text("ana@example.org")),
        (Field::Tags, Native::Set(["vip".to_owned()].into())),
        (Field::Title, text("Phishing")),
    ];
    assert_eq!(snapshot.native, expected.into());
    assert_eq!(snapshot.modified, "2026-11-23T10:00:00.456Z".parse().unwrap());
    assert_eq!(snapshot.facts.created, Some("2026-11-23T09:12:57.123Z".parse().unwrap()));
    assert_eq!(snapshot.facts.url.as_deref(), Some("https://example.atlassian.net/browse/SOC-7"));
    assert_eq!(snapshot.planned_as.unwrap().id.as_str(), "lockstep-00112233445566778899aabbccddeeff");
    assert_eq!(snapshot.closing_comment, None);
    assert_eq!(snapshot.comments, Comments::Listed(Vec::new()));
}

#[test]
fn a_closing_note_is_told_by_its_author_too() {
    let mut json = issue();
    json["fields"]["comment"]["comments"][0]["author"]["accountId"] = "other".into();
    let snapshot = read(&json).unwrap();
    assert_eq!(snapshot.closing_comment, None);
    assert!(matches!(snapshot.comments, Comments::Listed(list) if list.len() == 1));
}

#[test]
fn what_is_left_over_on_an_open_issue_is_kept_and_not_stated() {
    let mut json = issue();
    assert!(read(&json).unwrap().hidden.is_empty());
    json["fields"]["status"] =
        json!({"id": "3", "name": "In Progress", "statusCategory": {"key": "indeterminate"}});
    let open = read(&json).unwrap();
    assert_eq!(open.native.get(&Field::Verdict), None);
    assert_eq!(open.hidden, [(Field::Verdict, text("True Positive"))].into());
    json["fields"]["resolution"] = Value::Null;
    assert_eq!(read(&json).unwrap().hidden, [(Field::Verdict, Native::Empty)].into());
    json["fields"].as_object_mut().unwrap().remove("resolution");
    assert!(read(&json).unwrap().hidden.is_empty());
}

#[test]
fn odd_values_cost_an_issue_only_where_it_cannot_do_without() {
    let json = issue();
    for field in json["fields"].as_object().unwrap().keys() {
        for odd in [json!([]), json!({}), json!(-1), json!(true), json!(["\n", null, {}]), json!(" ")] {
            let mut changed = json.clone();
            changed["fields"][field] = odd;
            let failed = read(&changed).is_err();
            assert_eq!(failed, ["status", "updated"].contains(&field.as_str()), "{changed}");
        }
    }
    for odd in [json!(null), json!("../x"), json!("")] {
        let mut changed = json.clone();
        changed["id"] = odd;
        assert!(read(&changed).is_err());
    }
}

#[tokio::test]
async fn a_list_asks_for_the_fields_and_goes_on_with_the_token() {
    let page = |more: Value| {
        let mut page = json!({"issues": [issue(), {"id": "1", "fields": {}}]});
        page.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        page
    };
    let server = Server::start([
        (200, json!({"accountId": "me"})),
        (200, page(json!({"nextPageToken": "abc", "isLast": false}))),
        (200, page(json!({"isLast": true}))),
    ])
    .await;
    let jira = connector(&server);
    let since = "2026-11-23T09:12:57.123Z".parse().unwrap();
    let first = jira.list(RecordKind::Ticket, since, None).await.unwrap();
    assert_eq!((first.snapshots.len(), first.malformed.len()), (1, 1));
    assert_eq!(first.malformed[0].id.as_deref(), Some("1"));
    let seen = server.last();
    assert_eq!(seen.path, "/root/rest/api/3/search/jql");
    assert!(seen.body["jql"].as_str().unwrap().contains("updated >= 1795425177123"));
    assert!(seen.body["fields"].as_array().unwrap().contains(&json!("comment")));
    let second = jira.list(RecordKind::Ticket, since, first.next.as_ref()).await.unwrap();
    assert_eq!(server.last().body["nextPageToken"], "abc");
    assert_eq!(second.next, None);
}

#[tokio::test]
async fn an_empty_page_that_is_not_the_last_proves_nothing() {
    let more = json!({"issues": [], "nextPageToken": "abc", "isLast": false});
    let server = Server::start([(200, more), (200, json!({"issues": [], "isLast": true}))]).await;
    let key = format!("lockstep-{}", "0a".repeat(16));
    let planned = RecordRef::ticket(&SystemName::new("tickets").unwrap(), RecordId::new(key).unwrap());
    let jira = connector(&server);
    let error = jira.find(&planned, Depth::Record).await.unwrap_err();
    assert!(matches!(error, CallError::Malformed { .. }), "{error}");
    assert_eq!(jira.find(&planned, Depth::Record).await.unwrap(), None);
}

#[tokio::test]
async fn an_answer_about_another_issue_is_unusable() {
    let mut other = issue();
    other["id"] = "10043".into();
    let server = Server::start([(200, json!({"accountId": "me"})), (200, other)]).await;
    let record = RecordRef::ticket(&SystemName::new("tickets").unwrap(), RecordId::new("10042").unwrap());
    let error = connector(&server).read(&record, Depth::Record).await.unwrap_err().to_string();
    assert!(error.contains("about the issue 10043, and 10042 was asked for"), "{error}");
}

#[test]
fn webhooks_prove_themselves_by_the_hub_signature() {
    let mut settings = settings("https://x.example");
    settings.system.hook = Some(SecretRef::Inline(SecretString::from("s".to_owned())));
    let hook = Jira::new(&settings, &http(), None).unwrap().hook().unwrap();
    assert_eq!(hook.proof, HookProof::Hmac("x-hub-signature"));
    assert_eq!(hook.delivery_id, Some("x-atlassian-webhook-identifier"));
}

/// Every body that the connector sends, against Atlassian's description.
#[tokio::test]
async fn requests_fit_the_description() {
    let Some(document) = spec("jira-cloud.openapi.json") else { return };
    let mut open = issue();
    open["fields"]["status"] = json!({"id": "10000", "name": "To Do", "statusCategory": {"key": "new"}});
    let resolution =
        json!({"required": true, "allowedValues": [{"name": "Done"}, {"name": "True Positive"}]});
    let step = json!({"id": "41", "name": "Finish", "hasScreen": true, "fields": {"resolution": resolution},
                      "to": {"id": "10002", "name": "Done", "statusCategory": {"key": "done"}}});
    let server = Server::start([
        (201, json!({"id": "10042", "key": "SOC-7"})),
        (200, json!({"accountId": "me"})),
        (200, open.clone()),
        (204, Value::Null),
        (200, json!({"transitions": [step]})),
        (204, Value::Null),
        (200, issue()),
        (201, json!({"id": "78"})),
        (200, json!({"issues": [], "isLast": true})),
    ])
    .await;
    let jira = connector(&server);
    let planned = RecordId::new("lockstep-00112233445566778899aabbccddeeff").unwrap();
    let planned = RecordRef::ticket(jira.system(), planned);
    let fields = [(Field::Title, text("Phishing")), (Field::Severity, text("High"))];
    let opening = Opening { patch: patch(&fields, None), description: "a\nb\n\nc".to_owned(), origin: None };
    let created = jira.create(&planned, &opening).await.unwrap().snapshot.unwrap();
    let close = [
        (Field::Status, text("done")),
        (Field::Verdict, text("True Positive")),
        (Field::Title, text("New")),
        (Field::Tags, Native::Set(["new".to_owned()].into())),
    ];
    let closed = jira.update(&created, &patch(&close, Some("noise"))).await.unwrap();
    assert_eq!(closed.declined, []);
    jira.comment(&created, &CommentKey::from_id("0a"), "x [lockstep a.b]").await.unwrap();
    jira.list(RecordKind::Ticket, Timestamp::UNIX_EPOCH, None).await.unwrap();

    let sent: Vec<Value> = server.seen().into_iter().map(|seen| seen.body).filter(|b| !b.is_null()).collect();
    let schemas = [
        "IssueUpdateDetails",
        "IssueUpdateDetails",
        "IssueUpdateDetails",
        "Comment",
        "SearchAndReconcileRequestBean",
    ];
    assert_eq!(sent.len(), schemas.len());
    for (body, schema) in sent.iter().zip(schemas) {
        check(&document, &format!("/components/schemas/{schema}"), body);
    }
    let fields = &sent[2]["fields"];
    assert_eq!(fields, &json!({"resolution": {"name": "True Positive"}}));
    assert_eq!(sent[1]["update"]["labels"], json!([{"add": "new"}, {"remove": "vip"}]));
}
