//! The connector against a real Request Tracker, through the life of tickets.

use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use lockstep::connectors::request_tracker::{Lifecycles, RequestTrackerSettings};
use lockstep::connectors::{Audience, Connector, Depth, Opening, SystemSettings, TicketSystem, connect};
use lockstep::http::secret::SecretRef;
use lockstep::http::{CallError, ClientOptions, Http, Login};
use lockstep::model::{
    CommentKey, Comments, Field, Lifecycle, Native, Patch, RecordId, RecordKind, RecordRef, Snapshot,
    SystemName,
};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use url::Url;
use uuid::Uuid;

use super::{Real, client};

fn system() -> SystemName {
    SystemName::new("tickets").unwrap()
}

fn record(id: &str) -> RecordRef {
    RecordRef::ticket(&system(), RecordId::new(id).unwrap())
}

/// A key that no other test uses.
fn new_key() -> RecordRef {
    record(&format!("lockstep-{}", Uuid::new_v4().simple()))
}

fn connector_as(url: &str, token: &str) -> Arc<dyn Connector> {
    connector_with(url, token, Audience::Internal)
}

fn connector_with(url: &str, token: &str, comments: Audience) -> Arc<dyn Connector> {
    let settings = SystemSettings::RequestTracker(RequestTrackerSettings {
        system: TicketSystem {
            name: system(),
            url: Url::parse(url).unwrap(),
            login: Login::Token { token: SecretRef::Inline(token.to_owned().into()) },
            settle: Duration::from_secs(1),
            overlap: Duration::from_secs(1),
            budget_factor: 1.0,
            comments,
            hook: None,
        },
        queue: "SOC".to_owned(),
        key_field: RequestTrackerSettings::DEFAULT_KEY_FIELD.to_owned(),
        verdict_field: Some("Verdict".to_owned()),
        closing_field: Some("Closing Note".to_owned()),
        severity: true,
        lifecycle: Lifecycles::Default,
    });
    connect(&settings, &Http::new(&ClientOptions::default()).unwrap(), None).unwrap()
}

fn text(text: &str) -> Native {
    Native::Text(text.to_owned())
}

fn patch(fields: &[(Field, Native)]) -> Patch {
    Patch { native: fields.iter().cloned().collect(), closing_comment: None }
}

fn opening(title: &str) -> Opening {
    let fields =
        [(Field::Title, text(title)), (Field::Severity, text("75")), (Field::Owner, text("ana@rt.test"))];
    Opening {
        patch: patch(&fields),
        description: "<script>alert(1)</script> & more".to_owned(),
        origin: None,
    }
}

async fn open(connector: &dyn Connector, key: &RecordRef) -> Snapshot {
    let written = connector.create(key, &opening("Suspicious <b>sign-in</b>")).await.unwrap();
    assert!(written.declined.is_empty(), "{:?}", written.declined);
    written.snapshot.unwrap()
}

async fn update(connector: &dyn Connector, current: &Snapshot, fields: &[(Field, Native)]) -> Snapshot {
    let written = connector.update(current, &patch(fields)).await.unwrap();
    assert!(written.declined.is_empty(), "{:?}", written.declined);
    written.snapshot.unwrap()
}

async fn list(connector: &dyn Connector, since: Timestamp) -> Vec<Snapshot> {
    let (mut all, mut page) = (Vec::new(), None);
    loop {
        let listed = connector.list(RecordKind::Ticket, since, page.as_ref()).await.unwrap();
        assert!(listed.malformed.is_empty(), "{:?}", listed.malformed);
        all.extend(listed.snapshots);
        page = listed.next;
        if page.is_none() {
            return all;
        }
    }
}

/// What a person does in another program.
async fn by_hand(real: &Real, method: &str, path: &str, body: &Value) -> Value {
    let request = client().request(method.parse().unwrap(), format!("{}/REST/2.0{path}", real.url));
    let request = request.header("authorization", format!("token {}", real.ana)).json(body);
    let answer = request.send().await.unwrap();
    assert!(answer.status().is_success(), "{path}: {}", answer.status());
    serde_json::from_str(&answer.text().await.unwrap()).unwrap()
}

#[tokio::test]
#[ignore = "needs a real Request Tracker: scripts/real-rt"]
async fn a_ticket_lives_from_its_opening_to_its_second_close() {
    let Some(real) = Real::find() else { return };
    let connector = connector_as(&real.url, &real.lockstep);
    let since = Timestamp::now().checked_sub(SignedDuration::from_secs(5)).unwrap();
    let key = new_key();
    assert_eq!(connector.find(&key, Depth::Record).await.unwrap(), None);
    let opened = open(&*connector, &key).await;
    assert_eq!(opened.planned_as.as_ref(), Some(&key));
    assert_eq!(opened.native[&Field::Status], text("new"));
    assert_eq!(opened.native[&Field::Severity], text("75"));
    assert_eq!(opened.native[&Field::Owner], text("ana@rt.test"));
    assert_eq!(opened.native[&Field::Verdict], Native::Empty);
    let found = connector.find(&key, Depth::Record).await.unwrap().unwrap();
    assert_eq!((&found.record, &found.revision), (&opened.record, &opened.revision));

    // A close with verdict and note in one write, a reopening, a second close that keeps the note.
    let close = [(Field::Status, text("resolved")), (Field::Verdict, text("true-positive/phishing"))];
    let close = Patch { closing_comment: Some("done".to_owned()), ..patch(&close) };
    let closed = connector.update(&found, &close).await.unwrap().snapshot.unwrap();
    assert_eq!(closed.native[&Field::Status], text("resolved"));
    assert_eq!(closed.native[&Field::Verdict], text("true-positive/phishing"));
    assert_eq!(closed.closing_comment.as_deref(), Some("done"));
    let stale = connector.update(&found, &patch(&[(Field::Title, text("stale"))])).await.unwrap_err();
    assert!(matches!(stale, CallError::Conflict { .. }), "{stale}");
    let reopened = update(&*connector, &closed, &[(Field::Status, text("open"))]).await;
    let again =
        Patch { closing_comment: Some("other".to_owned()), ..patch(&[(Field::Status, text("resolved"))]) };
    let closed = connector.update(&reopened, &again).await.unwrap().snapshot.unwrap();
    assert_eq!(closed.closing_comment.as_deref(), Some("done"));

    // Comments do not reopen, and come back word for word.
    let own = "copied\n\n  <b>&amp; '\"\\ 😀\n\n— ana in sentinel [lockstep abc.def]";
    connector.comment(&closed, &CommentKey::from_id("k"), own).await.unwrap();
    let id = opened.record.id.as_str();
    let theirs = json!({"Content": "<p>rich &amp; <b>poor</b></p>", "ContentType": "text/html"});
    by_hand(&real, "POST", &format!("/ticket/{id}/comment"), &theirs).await;
    let shown = connector.read(&opened.record, Depth::Comments).await.unwrap();
    assert_eq!(shown.native[&Field::Status], text("resolved"));
    let Comments::Listed(comments) = &shown.comments else { panic!() };
    assert_eq!(comments.iter().map(|c| c.text.as_str()).collect::<Vec<_>>(), [own, "rich & poor"]);
    assert_eq!(comments[1].author.as_deref(), Some("ana"));

    // The list says the same as the read, at the same revision.
    let listed = list(&*connector, since).await;
    let last = listed.iter().rfind(|s| s.record == opened.record).unwrap();
    assert_eq!(
        (&last.native, &last.revision, last.modified),
        (&shown.native, &shown.revision, shown.modified)
    );
    assert_eq!((&last.planned_as, &last.facts), (&shown.planned_as, &shown.facts));
    let Comments::Recent(recent) = &last.comments else { panic!() };
    assert_eq!(recent, comments);
}

#[tokio::test]
#[ignore = "needs a real Request Tracker: scripts/real-rt"]
async fn refusals_in_sentences_are_seen() {
    let Some(real) = Real::find() else { return };
    let connector = connector_as(&real.url, &real.lockstep);
    let opened = open(&*connector, &new_key()).await;
    let bogus = patch(&[(Field::Status, text("bogus")), (Field::Title, text("t"))]);
    let partly = connector.update(&opened, &bogus).await.unwrap_err();
    assert!(matches!(partly, CallError::Unknown { .. }), "the title was changed: {partly}");
    let current = connector.read(&opened.record, Depth::Record).await.unwrap();
    assert_eq!(current.native[&Field::Title], text("t"));
    let refused = connector.update(&current, &patch(&[(Field::Status, text("bogus"))])).await.unwrap_err();
    assert!(matches!(refused, CallError::Refused { .. }), "{refused}");
    assert!(refused.to_string().contains("'bogus' isn't a valid status"), "{refused}");
    let unknown = patch(&[(Field::Owner, text("who@rt.nowhere"))]);
    assert_eq!(connector.update(&current, &unknown).await.unwrap().declined[0].field, Field::Owner);
    let nobody = update(&*connector, &current, &[(Field::Owner, Native::Empty)]).await;
    assert_eq!(nobody.native[&Field::Owner], Native::Empty);
    let missing = connector.read(&record("999999"), Depth::Record).await.unwrap_err();
    assert!(matches!(missing, CallError::Gone { .. }), "{missing}");
}

#[tokio::test]
#[ignore = "needs a real Request Tracker: scripts/real-rt"]
async fn merges_and_deletions_by_others_are_told() {
    let Some(real) = Real::find() else { return };
    let connector = connector_as(&real.url, &real.lockstep);
    let since = Timestamp::now().checked_sub(SignedDuration::from_secs(5)).unwrap();
    let (merged, into) =
        (open(&*connector, &new_key()).await.record, open(&*connector, &new_key()).await.record);
    let deleted = open(&*connector, &new_key()).await.record;
    let body = json!({"MergeInto": into.id.as_str().parse::<u64>().unwrap()});
    by_hand(&real, "PUT", &format!("/ticket/{}", merged.id), &body).await;
    by_hand(&real, "PUT", &format!("/ticket/{}", deleted.id), &json!({"Status": "deleted"})).await;
    let redirected = Lifecycle::Redirected { to: Some(into.clone()) };
    let listed = list(&*connector, since).await;
    for (record, lifecycle) in
        [(&merged, &redirected), (&into, &Lifecycle::Present), (&deleted, &Lifecycle::Gone)]
    {
        let shown = connector.read(record, Depth::Record).await.unwrap();
        assert_eq!((&shown.record, &shown.lifecycle), (record, lifecycle));
        let last = listed.iter().rfind(|s| s.record == *record).unwrap();
        assert_eq!(last.lifecycle, *lifecycle, "{record}");
    }
}

#[tokio::test]
#[ignore = "needs a real Request Tracker: scripts/real-rt"]
async fn a_dropped_key_stops_creations_and_a_wrong_zone_stops_lists() {
    let Some(real) = Real::find() else { return };
    let blind = connector_as(&real.url, &real.blind);
    let written = blind.create(&new_key(), &opening("keyless")).await.unwrap();
    assert_eq!(written.snapshot.unwrap().planned_as, None);
    let refused = blind.create(&new_key(), &opening("never opened")).await.unwrap_err();
    assert!(matches!(refused, CallError::Denied { .. }), "{refused}");
    let traveller = connector_as(&real.url, &real.traveller);
    let error = traveller.list(RecordKind::Ticket, Timestamp::now(), None).await.unwrap_err();
    assert!(matches!(error, CallError::Denied { .. }) && error.to_string().contains("UTC"), "{error}");
    let probes = connector_as(&real.url, &real.lockstep).probe().await;
    assert!(probes.iter().all(|probe| probe.result.is_ok()), "{probes:?}");
}

/// Passes one request on, and breaks the connection instead of answering it.
async fn losing_proxy(real: &Real) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let to = Url::parse(&real.url).unwrap();
    let to = format!("{}:{}", to.host_str().unwrap(), to.port().unwrap());
    tokio::spawn(async move {
        loop {
            let (mut near, _) = listener.accept().await.unwrap();
            let to = to.clone();
            tokio::spawn(async move {
                let mut far = TcpStream::connect(to).await.unwrap();
                let (mut up, mut down) = (vec![0; 65_536], vec![0; 65_536]);
                loop {
                    let sent = near.read(&mut up).await.unwrap_or(0);
                    if sent == 0 {
                        return;
                    }
                    far.write_all(&up[..sent]).await.unwrap();
                    let is_creation = up.starts_with(b"POST /REST/2.0/ticket HTTP");
                    let got = far.read(&mut down).await.unwrap_or(0);
                    if is_creation || got == 0 {
                        return;
                    }
                    near.write_all(&down[..got]).await.unwrap();
                }
            });
        }
    });
    url
}

#[tokio::test]
#[ignore = "needs a real Request Tracker: scripts/real-rt"]
async fn a_lost_answer_and_a_restart_leave_one_ticket() {
    let Some(real) = Real::find() else { return };
    let key = new_key();
    let lossy = connector_as(&losing_proxy(&real).await, &real.lockstep);
    let lost = lossy
        .create(&key, &Opening { description: "short".to_owned(), ..opening("lost") })
        .await
        .unwrap_err();
    assert!(matches!(lost, CallError::Unknown { .. }), "{lost}");
    let restart = real.restart.clone();
    let status = tokio::task::spawn_blocking(move || Command::new(restart).status()).await.unwrap();
    assert!(status.unwrap().success());
    let connector = connector_as(&real.url, &real.lockstep);
    let found = connector.find(&key, Depth::Record).await.unwrap().unwrap();
    assert_eq!(found.planned_as, Some(key.clone()));
    let again = update(&*connector, &found, &[(Field::Status, text("open"))]).await;
    assert_eq!(again.native[&Field::Status], text("open"));
    let query = format!("CF.{{Lockstep Key}} = '{}'", key.id);
    let url = Url::parse_with_params(&format!("{}/REST/2.0/tickets", real.url), [("query", query)]).unwrap();
    let path = url.as_str().strip_prefix(&format!("{}/REST/2.0", real.url)).unwrap();
    assert_eq!(by_hand(&real, "GET", path, &Value::Null).await["count"], 1);
}

#[tokio::test]
#[ignore = "needs a real Request Tracker: scripts/real-rt"]
async fn a_public_comment_opens_nothing_and_what_the_system_does_by_itself_is_told() {
    let Some(real) = Real::find() else { return };
    let connector = connector_with(&real.url, &real.lockstep, Audience::Public);
    let since = Timestamp::now().checked_sub(SignedDuration::from_secs(5)).unwrap();
    let opened = open(&*connector, &new_key()).await;
    connector.comment(&opened, &CommentKey::from_id("a"), "nobody has begun").await.unwrap();
    let new = connector.read(&opened.record, Depth::Comments).await.unwrap();
    assert_eq!(new.native[&Field::Status], text("new"));
    let in_work = update(&*connector, &new, &[(Field::Status, text("open"))]).await;
    connector.comment(&in_work, &CommentKey::from_id("b"), "to the requestor").await.unwrap();
    let id = opened.record.id.as_str();
    let path = format!("/ticket/{id}/history?fields=Type&per_page=100&orderby=id");
    let history = by_hand(&real, "GET", &path, &Value::Null).await;
    let kinds: Vec<&str> =
        history["items"].as_array().unwrap().iter().filter_map(|t| t["Type"].as_str()).collect();
    assert!(kinds.contains(&"Comment") && kinds.contains(&"Correspond"), "{kinds:?}");

    // A reply that meets a close reopens the ticket, and that is nobody's word. A read before the list cannot tell: the
    // ticket looks as we left it.
    let in_work = connector.read(&opened.record, Depth::Record).await.unwrap();
    by_hand(&real, "PUT", &format!("/ticket/{id}"), &json!({"Status": "resolved"})).await;
    connector.comment(&in_work, &CommentKey::from_id("c"), "too late").await.unwrap();
    let listed = list(&*connector, since).await;
    let listed = listed.iter().rfind(|s| s.record == opened.record).unwrap();
    let seen = connector.read(&opened.record, Depth::Record).await.unwrap();
    for shown in [&seen, listed] {
        assert_eq!(shown.native[&Field::Status], text("open"));
        assert_eq!(shown.facts.before_reaction[&Field::Status], text("resolved"));
    }
    by_hand(&real, "PUT", &format!("/ticket/{id}"), &json!({"Status": "stalled"})).await;
    let listed = list(&*connector, since).await;
    assert!(listed.iter().rfind(|s| s.record == opened.record).unwrap().facts.before_reaction.is_empty());
}

#[tokio::test]
#[ignore = "needs a real Request Tracker: scripts/real-rt"]
async fn a_close_waits_for_what_the_ticket_depends_on() {
    let Some(real) = Real::find() else { return };
    let connector = connector_as(&real.url, &real.lockstep);
    let (opened, other) = (open(&*connector, &new_key()).await, open(&*connector, &new_key()).await);
    let (id, needed) = (&opened.record.id, &other.record.id);
    by_hand(&real, "PUT", &format!("/ticket/{id}"), &json!({"DependsOn": needed.as_str()})).await;
    let current = connector.read(&opened.record, Depth::Record).await.unwrap();
    let close = patch(&[(Field::Status, text("resolved"))]);
    let blocked = connector.update(&current, &close).await.unwrap_err();
    assert!(matches!(blocked, CallError::Blocked { .. }), "{blocked}");
    by_hand(&real, "PUT", &format!("/ticket/{needed}"), &json!({"Status": "resolved"})).await;
    let closed = connector.update(&current, &close).await.unwrap().snapshot.unwrap();
    assert_eq!(closed.native[&Field::Status], text("resolved"));
}

#[tokio::test]
#[ignore = "needs a real Request Tracker: scripts/real-rt"]
async fn who_may_not_see_tickets_is_denied_and_opens_one_at_most() {
    let Some(real) = Real::find() else { return };
    let (connector, unseeing) =
        (connector_as(&real.url, &real.lockstep), connector_as(&real.url, &real.unseeing));
    let opened = open(&*connector, &new_key()).await;
    let error = unseeing.read(&opened.record, Depth::Record).await.unwrap_err();
    assert!(matches!(error, CallError::Denied { .. }) && error.to_string().contains("ShowTicket"), "{error}");
    assert!(unseeing.read(&opened.record, Depth::Comments).await.is_err());
    assert!(unseeing.create(&new_key(), &opening("out of sight")).await.unwrap().snapshot.is_none());
    let second = unseeing.create(&new_key(), &opening("never opened")).await.unwrap_err();
    assert!(matches!(second, CallError::Denied { .. }), "{second}");
    let nobody = connector_as(&real.url, "1-2-0123456789abcdef0123456789abcdef");
    let denied = nobody.list(RecordKind::Ticket, Timestamp::now(), None).await.unwrap_err();
    assert!(
        matches!(denied, CallError::Denied { .. }) && denied.to_string().contains("new token"),
        "{denied}"
    );
    // Another address of the same server leads to a page of its web interface.
    let elsewhere = connector_as(&format!("{}/nope", real.url), &real.lockstep);
    let error = elsewhere.read(&opened.record, Depth::Record).await.unwrap_err();
    assert!(matches!(error, CallError::Denied { .. } | CallError::Malformed { .. }), "{error}");
}
