//! What a door does over real connections.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json as value};
use url::Url;

use super::testing::{Server, Tokens, door, door_over, door_with, http_within, json, raw_server};
use super::*;
use crate::http::secret::SecretRef;

fn read(url: &Url) -> Call {
    Call::get("things.list", "c", url.clone())
}

fn write(url: &Url) -> Call {
    Call::write("things.update", "c", Method::PATCH, url.clone(), value!({ "a": 1 }))
}

#[tokio::test]
async fn answer_carries_ids_date_and_etag() {
    let ok = json(200, r#"{"n":1}"#).with("request-id", "r-1").with("etag", "\"e\"");
    let server = Server::start([ok.with("date", "Mon, 02 Nov 2026 08:15:30 GMT")]).await;
    let door = door().with_request_ids(RequestIds::ARM);
    let answer = door.send(write(&server.url).header("if-match", "\"d\"")).await.unwrap();
    assert_eq!((answer.status, &answer.body), (200, &value!({ "n": 1 })));
    assert_eq!((answer.request_id.as_deref(), answer.etag.as_deref()), (Some("r-1"), Some("\"e\"")));
    assert_eq!(answer.date.unwrap().to_string(), "2026-11-02T08:15:30Z");
    let seen = &server.seen()[0];
    assert_eq!(seen.headers["x-ms-client-request-id"], answer.client_request_id);
    assert_eq!(seen.headers["x-ms-return-client-request-id"], "true");
    assert_eq!(
        (&seen.headers["authorization"], &seen.headers["if-match"]),
        (&"Bearer token-0".parse().unwrap(), &"\"d\"".parse().unwrap())
    );
    assert_eq!((seen.method.as_str(), &seen.body[..]), ("PATCH", &br#"{"a":1}"#[..]));
    assert!(seen.headers["user-agent"].to_str().unwrap().starts_with("lockstep/"));
}

#[tokio::test]
async fn reads_are_repeated_with_fresh_ids_and_writes_are_not() {
    let script = || [json(503, "{}"), json(500, "{}"), json(200, "{}")];
    let server = Server::start(script()).await;
    door().send(read(&server.url)).await.unwrap();
    let ids: std::collections::HashSet<_> =
        server.seen().iter().map(|s| s.headers["client-request-id"].clone()).collect();
    assert_eq!(ids.len(), 3);

    let server = Server::start(script()).await;
    let error = door().send(write(&server.url)).await.unwrap_err();
    assert!(matches!(error, CallError::Unknown { status: Some(503), .. }), "{error}");
    assert_eq!(server.seen().len(), 1);

    let server = Server::start([json(500, r#"{"error":{"code":"Boom","message":"m"}}"#)]).await;
    let error = door().send(read(&server.url)).await.unwrap_err();
    assert!(error.to_string().contains("Boom: m") && server.seen().len() == 3, "{error}");
}

#[tokio::test]
async fn a_write_whose_connection_breaks_is_unknown_and_was_sent_once() {
    let replies: [&[u8]; 3] = [b"", b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{", b"garbage\r\n\r\n"];
    for reply in replies {
        let (url, count) = raw_server(reply).await;
        let error = door().send(write(&url)).await.unwrap_err();
        assert!(matches!(error, CallError::Unknown { .. }), "{error}");
        assert!(error.to_string().contains("read the record before writing again"), "{error}");
        assert_eq!(count.load(Ordering::SeqCst), 1);
    }
    let (url, count) = raw_server(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{").await;
    let error = door().send(read(&url)).await.unwrap_err();
    assert!(matches!(error, CallError::Malformed { .. }), "{error}");
    assert_eq!(count.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn a_late_answer_to_a_write_is_unknown() {
    let server = Server::start([json(200, "{}").slow(Duration::from_secs(2))]).await;
    let http = http_within(Duration::from_millis(300));
    let door = door_over(http, Arc::new(Tokens::default()), Budgets::unlimited());
    let error = door.send(write(&server.url)).await.unwrap_err();
    assert!(matches!(error, CallError::Unknown { status: None, .. }), "{error}");
    assert!(error.to_string().contains("timed out") && server.seen().len() == 1, "{error}");
}

#[tokio::test]
async fn a_connection_that_went_stale_never_doubles_a_write() {
    // The server promises to keep the connection and hangs up.
    let (url, count) = raw_server(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}").await;
    let door = door();
    for sent in 1..20 {
        let before = count.load(Ordering::SeqCst);
        let outcome = door.send(write(&url)).await;
        let arrived = count.load(Ordering::SeqCst) - before;
        match outcome {
            Ok(_) => assert_eq!(arrived, 1, "write {sent}"),
            Err(CallError::Unknown { .. }) => assert!(arrived <= 1, "write {sent}"),
            Err(other) => panic!("{other}"),
        }
    }
}

#[tokio::test]
async fn no_connection_is_not_sent() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = Url::parse(&format!("http://{}/x", listener.local_addr().unwrap())).unwrap();
    drop(listener);
    for call in [read(&url), write(&url), write(&Url::parse("http://no-such-host.invalid/").unwrap())] {
        let error = door().send(call).await.unwrap_err();
        assert!(matches!(error, CallError::NotSent { cause: NotSentCause::Connect(_), .. }), "{error}");
    }
}

#[tokio::test]
async fn an_impossible_header_is_not_sent() {
    let server = Server::start([json(200, "{}")]).await;
    let error = door().send(write(&server.url).header("if-match", "a\nb")).await.unwrap_err();
    assert!(matches!(error, CallError::NotSent { cause: NotSentCause::Invalid(_), .. }), "{error}");
    assert!(server.seen().is_empty());
}

#[tokio::test]
async fn one_renewal_after_401() {
    let server = Server::start([json(401, "{}"), json(200, "{}")]).await;
    door().send(write(&server.url)).await.unwrap();
    let tokens: Vec<_> = server.seen().iter().map(|s| s.headers["authorization"].clone()).collect();
    assert_eq!(tokens, ["Bearer token-0", "Bearer token-1"]);

    let server =
        Server::start([json(401, r#"{"error":{"code":"InvalidAuthenticationToken","message":"no"}}"#)]).await;
    let error = door().send(read(&server.url)).await.unwrap_err();
    assert!(matches!(error, CallError::Denied { status: 401, .. }), "{error}");
    assert_eq!(server.seen().len(), 2);
}

#[tokio::test]
async fn the_same_password_is_not_tried_twice() {
    let server = Server::start([json(401, "{}")]).await;
    let cred = Credential::Basic { username: "u".into(), password: SecretRef::Inline("hunter2".into()) };
    let http = super::testing::http();
    let tokens = token_source(&cred, "", &server.url, "", &http).unwrap();
    let error = door_with(tokens, Budgets::unlimited()).send(read(&server.url)).await.unwrap_err();
    assert_eq!((error.kind(), server.seen().len()), ("denied", 1));
    assert!(!format!("{error} {error:?}").contains("hunter2"));
}

#[tokio::test]
async fn statuses_sort_into_kinds() {
    let kinds = [
        (400, "refused"),
        (403, "denied"),
        (404, "not-found"),
        (405, "refused"),
        (408, "unknown"),
        (409, "conflict"),
        (410, "not-found"),
        (412, "conflict"),
        (422, "refused"),
        (423, "conflict"),
        (429, "throttled"),
        (500, "unknown"),
        (504, "unknown"),
        (302, "refused"),
    ];
    for (status, kind) in kinds {
        let body = r#"{"error":{"code":"C","message":"why"}}"#;
        let server = Server::start([json(status, body).with("request-id", "r-9")]).await;
        let error = door().send(write(&server.url)).await.unwrap_err();
        assert_eq!((error.kind(), error.status()), (kind, Some(status)), "{error}");
        assert_eq!(error.request_ids().0, Some("r-9"));
        let text = error.to_string();
        assert!(text.starts_with("things.update of sys [request-id r-9, client-request-id "), "{text}");
        assert!(text.contains("why"), "{text}");
        assert_eq!(server.seen().len(), 1);
    }
}

#[tokio::test]
async fn unusable_answers() {
    let page = || json(200, "<html><title>Sign in</title>").with("content-type", "text/html");
    let big = json(200, &format!("\"{}\"", "x".repeat(2000)));
    for bad in [page(), big, json(200, "{\"a\":")] {
        let server = Server::start([bad]).await;
        let error = door().send(read(&server.url)).await.unwrap_err();
        assert!(matches!(error, CallError::Malformed { .. }), "{error}");
        assert_eq!(server.seen().len(), 1);
        let error = door().send(write(&server.url)).await.unwrap_err();
        assert!(matches!(error, CallError::Unknown { status: Some(200), .. }), "{error}");
        assert_eq!(server.seen().len(), 2);
    }
    let server = Server::start([json(204, "")]).await;
    assert_eq!(door().send(write(&server.url)).await.unwrap().body, Value::Null);
    let server = Server::start([page().with("x", "y")]).await;
    assert!(door().send(read(&server.url)).await.unwrap_err().to_string().contains("titled \"Sign in\""));
}

#[tokio::test]
async fn short_throttling_is_waited_out_by_reads_only() {
    let short = || json(429, "{}").with("retry-after", "0.05");
    let server = Server::start([short(), json(200, "{}")]).await;
    door().send(read(&server.url)).await.unwrap();
    let server = Server::start([short(), json(200, "{}")]).await;
    let error = door().send(write(&server.url)).await.unwrap_err();
    assert_eq!(error.retry_after(), Some(Duration::from_millis(50)));
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn how_long_throttling_is_waited_out_follows_the_priority() {
    let script = |wait| [json(429, "{}").with("retry-after", wait), json(200, "{}")];
    for (priority, wait, served) in [
        (Priority::Detail, "0.05", false),
        (Priority::Work, "0.05", true),
        (Priority::Work, "0.3", false),
        (Priority::Poll, "0.3", true),
        (Priority::Poll, "0.5", false),
    ] {
        let server = Server::start(script(wait)).await;
        let answer = door().send(read(&server.url).with_priority(priority)).await;
        assert_eq!(
            (answer.is_ok(), server.seen().len()),
            (served, 1 + usize::from(served)),
            "{priority:?} {wait}"
        );
        let advice = answer.err().and_then(|error| error.only_delayed());
        assert_eq!(advice.is_some(), !served, "{priority:?} {wait}");
    }
}

#[tokio::test]
async fn long_throttling_pauses_the_class() {
    let throttled = json(429, "{}").with("retry-after", "30");
    let server = Server::start([throttled, json(200, "{}")]).await;
    let door = door_with(
        Arc::new(Tokens::default()),
        Budgets::new(&[Budget { class: "c", per: Duration::from_secs(1), amount: 100, burst: 100 }], 1.0),
    );
    assert_eq!(door.budgets().left(), [("c", 100)]);
    let error = door.send(read(&server.url)).await.unwrap_err();
    assert!(
        matches!(error, CallError::Throttled { .. }) && error.retry_after() == Some(Duration::from_secs(30))
    );
    assert_eq!(door.budgets().left(), [("c", 0)]);
    let error = door.send(write(&server.url)).await.unwrap_err();
    assert!(matches!(error, CallError::NotSent { cause: NotSentCause::Budget("c"), .. }), "{error}");
    assert!(error.retry_after().unwrap() > Duration::from_secs(25));
    door.send(Call::get("other", "d", server.url.clone())).await.unwrap();
    assert_eq!(server.seen().len(), 2);
}

#[tokio::test]
async fn the_breaker_opens_and_closes_again() {
    let mut script = vec![json(503, "{}"); 5];
    script.push(json(200, "{}"));
    let server = Server::start(script).await;
    let door = door();
    for _ in 0..5 {
        assert_eq!(door.send(write(&server.url)).await.unwrap_err().kind(), "unknown");
    }
    let error = door.send(write(&server.url)).await.unwrap_err();
    assert!(matches!(&error, CallError::NotSent { cause: NotSentCause::Breaker(_), .. }), "{error}");
    assert!(error.is_held_back() && error.to_string().contains("(last: it answered 503)"), "{error}");
    assert_eq!(server.seen().len(), 5);
    tokio::time::sleep(error.retry_after().unwrap()).await;
    door.send(write(&server.url)).await.unwrap();
    door.send(write(&server.url)).await.unwrap();
}

#[tokio::test]
async fn redirects_are_followed_by_reads_within_the_origin_only() {
    let server = Server::start([json(307, "").with("location", "/y"), json(200, "{}")]).await;
    door().send(read(&server.url)).await.unwrap();
    assert_eq!(server.seen()[1].uri, "/y");
    let elsewhere = || json(307, "").with("location", "http://127.0.0.1:1/steal");
    let server = Server::start([elsewhere()]).await;
    let error = door().send(read(&server.url)).await.unwrap_err();
    assert!(error.kind() == "refused" && error.to_string().contains("redirected to"), "{error}");
    let server = Server::start([json(307, "").with("location", "/y")]).await;
    assert_eq!(door().send(write(&server.url)).await.unwrap_err().kind(), "refused");
    assert_eq!(server.seen().len(), 1);
}

#[derive(Default)]
struct Log(Mutex<Vec<String>>);

impl CallObserver for Log {
    fn call(&self, system: &str, operation: &'static str, outcome: &str, _elapsed: Duration) {
        self.0.lock().unwrap().push(format!("{system} {operation} {outcome}"));
    }
}

#[tokio::test]
async fn the_observer_hears_each_attempt() {
    let log = Arc::new(Log::default());
    let server = Server::start([json(503, "{}"), json(200, "{}")]).await;
    let door = door().with_observer(log.clone());
    door.send(read(&server.url)).await.unwrap();
    assert_eq!(*log.0.lock().unwrap(), ["sys things.list 503", "sys things.list 200"]);
}

#[tokio::test]
async fn a_moment_of_reset_stands_in_for_retry_after() {
    let throttled = json(429, "{}").with("date", "Mon, 02 Nov 2026 08:15:30 GMT");
    let server = Server::start([throttled.with("x-ratelimit-reset", "2026-11-02T08:16:00Z")]).await;
    let error = door().send(write(&server.url)).await.unwrap_err();
    assert!(matches!(error, CallError::Throttled { .. }), "{error}");
    assert_eq!(error.retry_after(), Some(Duration::from_secs(30)));
}
