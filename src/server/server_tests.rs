use std::time::Duration;

use serde_json::Value;

use super::sample::{SampleStore, bridge, defender};
use super::*;
use crate::engine::{PollFailure, PollFailureKind, Report};
use crate::model::{Field, MappingId, RecordKind, SystemName};
use crate::telemetry::{Event, Metrics};

/// A server over the sample store, and its address.
async fn start(token: Option<&str>) -> (String, Telemetry, tokio::task::JoinHandle<()>) {
    let telemetry = Telemetry::new(Metrics::local().unwrap());
    let state = AppState {
        store: Arc::new(SampleStore::new()),
        telemetry: telemetry.clone(),
        bridges: vec![bridge()],
        token: token.map(|token| SecretRef::Inline(token.into())),
        hooks: Hooks::default(),
    };
    let listener = bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let task = tokio::spawn(async move { serve(listener, state, std::future::pending()).await.unwrap() });
    (base, telemetry, task)
}

fn client() -> reqwest::Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().no_proxy().build().unwrap()
}

async fn get(url: String) -> (u16, String) {
    let answer = client().get(url).send().await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

#[tokio::test]
async fn readiness_follows_the_polls() {
    let (base, telemetry, _server) = start(None).await;
    let (status, body) = get(format!("{base}/readyz")).await;
    assert!(status == 503 && body.contains("nothing is watched yet"), "{body}");
    let (system, kind) = (SystemName::new("defender").unwrap(), RecordKind::Incident);
    telemetry.health().watch(&system, kind, Duration::from_secs(15));
    telemetry.emit(&Event::Polled { system: &system, kind, records: 0, elapsed: Duration::ZERO });
    assert_eq!(get(format!("{base}/readyz")).await, (200, r#"{"status":"ok"}"#.to_owned()));
    assert_eq!(get(format!("{base}/healthz")).await.0, 200);
    let (_, metrics) = get(format!("{base}/metrics")).await;
    assert!(metrics.contains("lockstep_ready 1") && metrics.contains("lockstep_dead_letters 1"), "{metrics}");
    telemetry.emit(&Event::StoreFailed { error: "disk full" });
    let (status, body) = get(format!("{base}/healthz")).await;
    assert!(status == 503 && body.contains("disk full"), "{body}");
}

#[tokio::test]
async fn a_denied_system_is_shown_everywhere_and_heals_by_itself() {
    let (base, telemetry, _server) = start(None).await;
    let (system, kind) = (SystemName::new("tickets").unwrap(), RecordKind::Ticket);
    telemetry.health().watch(&system, kind, Duration::from_secs(15));
    telemetry.polled(&system, kind, 0, Duration::ZERO, None);
    let message = "list of tickets: denied (401): the token expired".to_owned();
    telemetry.poll_failed(&system, kind, &PollFailure { kind: PollFailureKind::Denied, message }, 1);
    let shown = |page: &str| page.contains("denied since 20") && page.contains("the token expired");
    let (status, body) = get(format!("{base}/readyz")).await;
    assert!(status == 503 && shown(&body), "{body}");
    assert_eq!(get(format!("{base}/healthz")).await.0, 200, "a restart would mend nothing");
    let (_, page) = get(format!("{base}/")).await;
    assert!(shown(&page) && page.contains(r#"<strong class="bad">denied</strong>"#), "{page}");
    let (_, systems) = get(format!("{base}/api/v1/systems")).await;
    let systems: Value = serde_json::from_str(&systems).unwrap();
    assert_eq!((&systems[0]["state"], &systems[0]["failures"]), (&"denied".into(), &1.into()));
    assert!(systems[0]["last_error"]["message"].as_str().unwrap().contains("the token expired"));
    let (_, metrics) = get(format!("{base}/metrics")).await;
    let is = |text: &str, ready, denied| {
        let of = r#"{collection="ticket",system="tickets"}"#;
        text.contains(&format!("lockstep_ready {ready}"))
            && text.contains(&format!("lockstep_denied{of} {denied}"))
            && text.contains(&format!("lockstep_last_error_timestamp_seconds{of} "))
    };
    assert!(is(&metrics, 0, 1), "{metrics}");
    telemetry.polled(&system, kind, 0, Duration::ZERO, None);
    assert_eq!(get(format!("{base}/readyz")).await.0, 200);
    let (_, metrics) = get(format!("{base}/metrics")).await;
    assert!(is(&metrics, 1, 0), "{metrics}");
    let (_, page) = get(format!("{base}/")).await;
    assert!(page.contains("last error at 20") && !page.contains(">denied<"), "it is kept: {page}");
}

#[tokio::test]
async fn the_api_lists_shows_and_explains() {
    let (base, _, _server) = start(None).await;
    let (_, list) = get(format!("{base}/api/v1/mappings?limit=1")).await;
    let list: views::MappingList = serde_json::from_str(&list).unwrap();
    assert!(list.next.is_none() && list.mappings.len() == 1);
    let id = list.mappings[0].id;
    let (_, story) = get(format!("{base}/api/v1/mappings/{id}")).await;
    let story: views::MappingStory = serde_json::from_str(&story).unwrap();
    assert_eq!((story.audit.len(), story.intents.len()), (8, 1));
    let (_, explained) = get(format!("{base}/api/v1/records/defender/incident/4711/explain")).await;
    let explained: views::Explanation = serde_json::from_str(&explained).unwrap();
    assert_eq!((explained.record, &explained.mappings[0]), (defender(), &story));
    assert_eq!(story.mapping.agreed(Field::Status), "closed");
}

#[tokio::test]
async fn wrong_questions_get_a_reason() {
    let (base, _, _server) = start(None).await;
    for (path, expected, word) in [
        (format!("mappings/{}", MappingId(1)), 404, "no mapping"),
        ("mappings/xyz".to_owned(), 400, "16 hexadecimal digits"),
        ("mappings?after=xyz".to_owned(), 400, "16 hexadecimal digits"),
        ("records/defender/incident/1/explain".to_owned(), 404, "no bridge knows defender/incident/1"),
        ("records/defender/rumour/1/explain".to_owned(), 400, "is no record"),
    ] {
        let (status, body) = get(format!("{base}/api/v1/{path}")).await;
        let error = serde_json::from_str::<Value>(&body).unwrap()["error"].as_str().unwrap().to_owned();
        assert!(status == expected && error.contains(word), "{path}: {status} {error}");
    }
}

#[tokio::test]
async fn a_configured_token_is_asked_for() {
    let (base, _, _server) = start(Some("s3cret")).await;
    let (api, page) = (format!("{base}/api/v1/mappings"), format!("{base}/"));
    for url in [&api, &page] {
        assert_eq!(get(url.clone()).await.0, 401);
        let bearer = |token: &str| client().get(url).bearer_auth(token).send();
        assert_eq!(bearer("s3cret").await.unwrap().status(), 200);
        assert_eq!(bearer("s3cre").await.unwrap().status(), 401);
        let basic = client().get(url).basic_auth("anyone", Some("s3cret")).send().await.unwrap();
        assert_eq!(basic.status(), 200);
    }
    assert_eq!(get(format!("{base}/metrics")).await.0, 200);
}

#[tokio::test]
async fn the_page_escapes_what_comes_from_outside() {
    let (base, telemetry, _server) = start(None).await;
    telemetry.emit(&Event::Edited {
        mapping: MappingId(1),
        record: &defender(),
        field: Field::Title,
        old: "x",
        new: "<script>alert(1)</script>",
        by: None,
    });
    let answer = client().get(format!("{base}/")).send().await.unwrap();
    assert!(answer.headers()["content-security-policy"].to_str().unwrap().starts_with("default-src 'none'"));
    let body = answer.text().await.unwrap();
    assert!(body.contains("&lt;script&gt;alert(1)") && !body.contains("<script"), "{body}");
    assert!(body.contains("refused (400 BadRequest)") && body.contains("bridge corp"), "{body}");
}
