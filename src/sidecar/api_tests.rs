//! The local API over real HTTP: what adapters send, well meant or not.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::mailbox::StoreMailbox;
use super::{Service, description};
use crate::connectors::Audience;
use crate::connectors::sidecar::{
    Mailbox, SidecarListen, SidecarSettings, SidecarWebhook, TicketState, TicketWrite,
};
use crate::http::secret::SecretRef;
use crate::http::{ClientOptions, Http};
use crate::model::{Field, Native, SystemName};
use crate::store::MemoryStore;

const KEY: &str = "lockstep-0123456789abcdef0123456789abcdef";

/// A served mailbox with one ticket.
struct Rig {
    mailbox: StoreMailbox,
    base: String,
    stop: CancellationToken,
    served: tokio::task::JoinHandle<()>,
}

fn settings() -> SidecarSettings {
    SidecarSettings {
        name: SystemName::new("tickets").unwrap(),
        listen: SidecarListen::Tcp("127.0.0.1:0".parse().unwrap()),
        token: None,
        webhook: None,
        comments: Audience::Internal,
        keep: std::time::Duration::from_hours(24),
        mailbox: None,
    }
}

impl Rig {
    async fn start(settings: SidecarSettings) -> Self {
        let mailbox = StoreMailbox::open(&settings.name, Arc::new(MemoryStore::new())).unwrap();
        mailbox.open(KEY, TicketState::new("Phishing".into()), "about it".into()).await.unwrap();
        let service = Service::bind(&settings, mailbox.clone()).await.unwrap();
        let (base, stop) = (service.listener.to_string(), CancellationToken::new());
        let http = Http::new(&ClientOptions::default()).unwrap();
        let served = tokio::spawn(service.run(http, stop.clone()));
        Self { mailbox, base, stop, served }
    }

    async fn send(&self, method: &str, path: &str, body: impl Into<reqwest::Body>) -> (u16, Value) {
        let headers = [("content-type", "application/json")];
        self.send_with(method, path, &headers, body.into()).await
    }

    async fn send_with(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: reqwest::Body,
    ) -> (u16, Value) {
        let http = Http::new(&ClientOptions::default()).unwrap();
        let url = format!("{}{path}", self.base);
        let mut request = http.direct().request(method.parse().unwrap(), url).body(body);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = request.send().await.unwrap();
        let (status, text) = (answer.status().as_u16(), answer.text().await.unwrap());
        (status, serde_json::from_str(&text).unwrap_or(Value::Null))
    }

    async fn set(&self, field: Field, value: &str) {
        let revision = self.mailbox.ticket(KEY).await.unwrap().revision;
        let fields = [(field, Native::Text(value.to_owned()))].into();
        self.mailbox.update(KEY, revision, TicketWrite { fields, closing_note: None }).await.unwrap();
    }
}

fn ticket_path() -> String {
    format!("/v1/tickets/{KEY}")
}

#[tokio::test]
async fn an_adapter_carries_a_ticket_from_its_opening_to_its_close() {
    let rig = Rig::start(settings()).await;
    let (status, found) = rig.send("GET", "/v1/changes?wait=5", "").await;
    let message = &found["messages"][0];
    assert_eq!((status, &message["type"]), (200, &json!("ticket.opened")));
    let ticket = &message["data"]["ticket"];
    assert_eq!((&ticket["key"], &ticket["title"]), (&json!(KEY), &json!("Phishing")));
    assert_eq!((&ticket["description"], &ticket["owner"]), (&json!("about it"), &Value::Null));
    let ids = json!({ "messages": [message["id"], "msg_unknown"] }).to_string();
    assert_eq!(rig.send("POST", "/v1/changes/ack", ids.clone()).await, (200, json!({ "acknowledged": 1 })));
    assert_eq!(rig.send("POST", "/v1/changes/ack", ids).await.1["acknowledged"], 0);
    let report = json!({
        "status": "closed", "verdict": "true-positive/phishing", "owner": "Ana@Example.org", "number": "INC7",
        "tags": ["vip", "lockstep-0123", "lockstep"], "closing_note": "Mails removed", "by": "ana", "severity": null,
    });
    let (status, view) = rig.send("PUT", &ticket_path(), report.to_string()).await;
    assert_eq!((status, &view["status"], &view["number"]), (200, &json!("closed"), &json!("INC7")));
    assert_eq!((&view["owner"], &view["tags"]), (&json!("ana@example.org"), &json!(["vip"])));
    let again = rig.send("PUT", &ticket_path(), report.to_string()).await.1;
    assert_eq!(again, view, "the same again changes nothing");
    let (_, nobody) = rig.send("PUT", &ticket_path(), r#"{"owner":null}"#).await;
    assert_eq!((&nobody["owner"], &nobody["status"]), (&Value::Null, &json!("closed")));
    assert_eq!(rig.send("GET", "/v1/status", "").await.1["pending"], 0);
    let (_, listed) = rig.send("GET", "/v1/tickets?limit=1", "").await;
    assert_eq!(listed["next"], KEY);
    assert_eq!(rig.send("GET", &format!("/v1/tickets?after={KEY}"), "").await.1["tickets"], json!([]));
    assert_eq!(rig.send("DELETE", &ticket_path(), "").await.0, 204);
    assert_eq!(rig.send("GET", &ticket_path(), "").await.1["gone"], true);
    assert_eq!(rig.send("PUT", &ticket_path(), "{}").await.1["gone"], false, "it is there after all");
}

#[tokio::test]
async fn a_stale_report_gets_the_ticket_as_it_is() {
    let rig = Rig::start(settings()).await;
    rig.set(Field::Status, "active").await;
    let (status, answer) = rig.send("PUT", &ticket_path(), r#"{"status":"closed","revision":1}"#).await;
    assert_eq!((status, &answer["ticket"]["revision"]), (409, &json!(2)));
    assert!(answer["error"].as_str().unwrap().contains("read it again"));
}

#[tokio::test]
async fn comments_are_posted_once() {
    let rig = Rig::start(settings()).await;
    let path = format!("{}/comments", ticket_path());
    let comment = json!({ "id": "7", "author": "ana", "text": "seen\nby me" }).to_string();
    assert_eq!(rig.send("POST", &path, comment.clone()).await.0, 201);
    assert_eq!(rig.send("POST", &path, comment).await.0, 200);
    assert_eq!(rig.send("POST", &path, r#"{"id":"7","text":"other"}"#).await.0, 400);
    let (_, all) = rig.send("GET", &path, "").await;
    assert_eq!(all["comments"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn hostile_requests_are_refused_with_a_reason_and_leave_no_trace() {
    let rig = Rig::start(settings()).await;
    let before = rig.mailbox.view(KEY).await.unwrap();
    let long = format!(r#"{{"title":"{}"}}"#, "x".repeat(1_001));
    let huge = format!(r#"{{"title":"{}"}}"#, "x".repeat(300_000));
    let note = json!({ "status": "closed", "closing_note": "😀".repeat(15_001) }).to_string();
    let tags = json!({ "tags": (0..201).map(|n| n.to_string()).collect::<Vec<_>>() }).to_string();
    let deep = format!("{{\"title\":{}1{}}}", "[".repeat(5_000), "]".repeat(5_000));
    for (body, expected, word) in [
        ("", 400, "EOF"),
        ("[]", 400, ""),
        ("{", 400, "EOF"),
        ("\u{feff}{}", 400, ""),
        (r#"{"status":"done"}"#, 400, "done"),
        (r#"{"status":7}"#, 400, "expected"),
        (r#"{"verdict":"true-positive/not-malicious"}"#, 400, "no verdict"),
        (r#"{"state":"closed"}"#, 400, "unknown field"),
        (r#"{"title":"a","title":"b"}"#, 400, "duplicate"),
        (r#"{"title":"  "}"#, 400, "blank"),
        (r#"{"title":"a\nb"}"#, 400, "one line"),
        (r#"{"title":"a\u0000b"}"#, 400, "one line"),
        (r#"{"tags":["a\u0007"]}"#, 400, "one line"),
        (r#"{"revision":-1}"#, 400, "invalid"),
        (r#"{"revision":1e99}"#, 400, ""),
        (r#"{"declined":{"status":"no"}}"#, 400, "cannot be declined"),
        (&long, 400, "1000 characters"),
        (&note, 400, "30000"),
        (&tags, 400, "at most 200"),
        (&deep, 400, ""),
        (&huge, 413, "limit"),
    ] {
        let (status, answer) = rig.send("PUT", &ticket_path(), body.to_owned()).await;
        let error = answer["error"].as_str().unwrap_or_else(|| panic!("{body:.60}: {status} {answer}"));
        assert!(status == expected && error.contains(word), "{body:.60}: {status} {error}");
    }
    for (method, path, expected) in [
        ("GET", "/v1/tickets/no-such", 404),
        ("GET", "/v1/tickets/%2e%2e%2f%00", 404),
        ("GET", "/v1/tickets/%ff", 400),
        ("GET", "/v1/changes?wait=-1", 400),
        ("GET", "/v1/changes?wait=61", 400),
        ("GET", "/v1/changes?limit=0", 400),
        ("GET", "/v1/tickets?limit=501", 400),
        ("GET", "/v1/changes?after=x", 400),
        ("GET", "/v1/changes?cursor=1", 400),
        ("PATCH", &*ticket_path(), 405),
        ("GET", "/", 404),
        ("POST", "/v1/tickets", 405),
    ] {
        let (status, answer) = rig.send(method, path, "").await;
        assert!(status == expected && answer["error"].is_string(), "{method} {path}: {status} {answer}");
    }
    assert_eq!(rig.mailbox.view(KEY).await.unwrap(), before);
}

#[tokio::test]
async fn web_pages_are_kept_out() {
    let rig = Rig::start(settings()).await;
    let json = ("content-type", "application/json");
    for (headers, expected) in [
        (vec![("content-type", "text/plain")], 415),
        (vec![], 415),
        (vec![json, ("origin", "https://evil.example")], 403),
        (vec![json, ("host", "evil.example")], 403),
        (vec![json, ("host", "localhost:1")], 200),
    ] {
        let (status, _) = rig.send_with("PUT", &ticket_path(), &headers, "{}".into()).await;
        assert_eq!(status, expected, "{headers:?}");
    }
}

#[tokio::test]
async fn a_configured_token_is_asked_for() {
    let rig =
        Rig::start(SidecarSettings { token: Some(SecretRef::Inline("s3cret".into())), ..settings() }).await;
    for (header, expected) in [("Bearer s3cret", 200), ("Bearer s3cre", 401), ("", 401)] {
        let headers = [("authorization", header)];
        assert_eq!(rig.send_with("GET", "/v1/status", &headers, "".into()).await.0, expected, "{header}");
    }
}

#[tokio::test]
async fn a_socket_serves_too_and_a_left_over_one_is_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("tickets.sock");
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    let rig = Rig::start(SidecarSettings { listen: SidecarListen::Unix(path.clone()), ..settings() }).await;
    let client = reqwest::Client::builder().unix_socket(path.clone()).build().unwrap();
    let answer = client.get("http://localhost/v1/status").send().await.unwrap();
    assert_eq!(answer.status(), 200);
    let taken = SidecarSettings { listen: SidecarListen::Unix(path.clone()), ..settings() };
    let refused = Service::bind(&taken, rig.mailbox.clone()).await.unwrap_err().to_string();
    assert!(refused.contains("tickets.sock") && refused.contains("another lockstep"), "{refused}");
    drop((client, answer));
    rig.stop.cancel();
    rig.served.await.unwrap();
    assert!(!path.exists());
}

#[tokio::test]
async fn a_stop_ends_a_long_poll_at_once() {
    let rig = Rig::start(settings()).await;
    let (_, found) = rig.send("GET", "/v1/changes", "").await;
    let ids = json!({ "messages": [found["messages"][0]["id"]] }).to_string();
    rig.send("POST", "/v1/changes/ack", ids).await;
    let (answer, ()) = tokio::join!(rig.send("GET", "/v1/changes?wait=60", ""), async {
        while rig.mailbox.0.latest.receiver_count() == 0 {
            tokio::task::yield_now().await;
        }
        rig.stop.cancel();
    });
    assert_eq!(answer, (200, json!({ "messages": [] })));
}

/// A receiver that fails as told, and keeps what it accepted: id and type.
#[derive(Clone, Default)]
struct Receiver {
    seen: Arc<std::sync::Mutex<Vec<(String, String)>>>,
    failures: Arc<AtomicUsize>,
}

#[allow(clippy::unused_async, reason = "handlers are asynchronous")]
async fn receive(
    State(receiver): State<Receiver>,
    headers: HeaderMap,
    axum::Json(message): axum::Json<Value>,
) -> StatusCode {
    assert!(headers["webhook-signature"].to_str().unwrap().starts_with("v1,"));
    assert_eq!(headers["webhook-id"].to_str().unwrap(), message["id"].as_str().unwrap());
    let count_down = |left: usize| left.checked_sub(1);
    if receiver.failures.fetch_update(Ordering::SeqCst, Ordering::SeqCst, count_down).is_ok() {
        return StatusCode::INTERNAL_SERVER_ERROR;
    }
    let text = |name: &str| message[name].as_str().unwrap().to_owned();
    receiver.seen.lock().unwrap().push((text("id"), text("type")));
    StatusCode::NO_CONTENT
}

#[tokio::test]
async fn webhooks_arrive_in_order_and_again_until_they_are_taken() {
    let receiver = Receiver { failures: Arc::new(AtomicUsize::new(2)), ..Receiver::default() };
    let router = axum::Router::new().fallback(receive).with_state(receiver.clone());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap()).parse().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    let secret = SecretRef::Inline("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".into());
    let rig =
        Rig::start(SidecarSettings { webhook: Some(SidecarWebhook { url, secret }), ..settings() }).await;
    rig.set(Field::Status, "active").await;
    rig.set(Field::Status, "closed").await;
    while rig.mailbox.status().await.pending > 0 {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let seen = receiver.seen.lock().unwrap().clone();
    let kinds: Vec<&str> = seen.iter().map(|(_, kind)| kind.as_str()).collect();
    assert_eq!(kinds, ["ticket.opened", "ticket.updated", "ticket.closed"]);
    assert_eq!(seen.iter().map(|(id, _)| id).collect::<BTreeSet<_>>().len(), 3);
}

#[tokio::test]
async fn the_description_is_the_committed_one_and_all_of_it_is_served() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/sidecar.openapi.json");
    if std::env::var_os("LOCKSTEP_BLESS").is_some() {
        std::fs::write(file, description()).unwrap();
    }
    let committed = std::fs::read_to_string(file).unwrap_or_default();
    assert!(
        committed == description(),
        "docs/sidecar.openapi.json is old; run this test with LOCKSTEP_BLESS=1"
    );
    let document: Value = serde_json::from_str(&committed).unwrap();
    let rig = Rig::start(settings()).await;
    for (path, operations) in document["paths"].as_object().unwrap() {
        for method in operations.as_object().unwrap().keys().filter(|m| *m != "parameters") {
            let (status, answer) = rig.send(&method.to_uppercase(), &path.replace("{key}", KEY), "{}").await;
            let unknown = answer["error"].as_str().is_some_and(|error| error.contains("openapi.json"));
            assert!(!unknown, "{method} {path}: {status} {answer}");
            assert!(
                document["paths"][path][method]["responses"].get(status.to_string()).is_some(),
                "{method} {path}: {status} is not described"
            );
        }
    }
}
