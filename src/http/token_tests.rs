//! Token sources against a scripted token service.

use std::sync::Arc;
use std::time::Duration;

use secrecy::ExposeSecret;
use url::Url;

use super::testing::{Server, door_with, http, json};
use super::*;
use crate::http::secret::SecretRef;

const SCOPE: &str = "https://graph.microsoft.com/.default";

fn secret_credential(secret: SecretRef) -> Credential {
    Credential::ClientSecret { client_id: "client".into(), secret }
}

fn source(server: &Server, credential: &Credential) -> Arc<dyn TokenSource> {
    token_source(credential, "tenant", &server.url, SCOPE, &http()).unwrap()
}

fn inline(server: &Server) -> Arc<dyn TokenSource> {
    source(server, &secret_credential(SecretRef::Inline("hunter2".into())))
}

fn form(server: &Server, at: usize) -> Vec<(String, String)> {
    url::form_urlencoded::parse(&server.seen()[at].body).into_owned().collect()
}

fn field<'a>(form: &'a [(String, String)], name: &str) -> &'a str {
    form.iter().find(|(n, _)| n == name).map_or("", |(_, v)| v)
}

async fn sent(source: &dyn TokenSource) -> String {
    source.token().await.unwrap().authorization().expose_secret().to_owned()
}

#[tokio::test]
async fn twenty_callers_make_one_request() {
    let slow = json(200, r#"{"access_token":"abc","expires_in":3599}"#).slow(Duration::from_millis(50));
    let server = Server::start([slow]).await;
    let source = inline(&server);
    let callers = (0..20).map(|_| {
        let source = Arc::clone(&source);
        tokio::spawn(async move { source.token().await.unwrap().serial() })
    });
    for caller in callers.collect::<Vec<_>>() {
        assert_eq!(caller.await.unwrap(), 1);
    }
    assert_eq!(server.seen().len(), 1);
    assert_eq!(server.seen()[0].uri, "/x/tenant/oauth2/v2.0/token");
    let form = form(&server, 0);
    assert_eq!(field(&form, "client_secret"), "hunter2");
    assert_eq!((field(&form, "grant_type"), field(&form, "scope")), ("client_credentials", SCOPE));
}

#[tokio::test]
async fn a_permanent_failure_is_asked_once_until_the_file_changes() {
    let wrong = r#"{"error":"invalid_client","error_description":"AADSTS7000215: hunter2 is wrong","error_codes":[7000215]}"#;
    let server =
        Server::start([json(401, wrong), json(200, r#"{"access_token":"abc","expires_in":3599}"#)]).await;
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("secret");
    std::fs::write(&file, "hunter2").unwrap();
    let source = source(&server, &secret_credential(SecretRef::File(file.clone())));
    for _ in 0..3 {
        let error = source.token().await.unwrap_err();
        assert!(error.is_permanent() && error.retry_after().unwrap() > Duration::from_secs(29), "{error}");
        assert!(!format!("{error} {error:?}").contains("hunter2"));
        assert!(error.to_string().contains("invalid_client"), "{error}");
    }
    assert_eq!(server.seen().len(), 1);
    std::fs::write(&file, "the new secret").unwrap();
    assert_eq!(sent(&*source).await, "Bearer abc");
    assert_eq!(field(&form(&server, 1), "client_secret"), "the new secret");
}

#[tokio::test]
async fn early_renewal_survives_a_failing_token_service() {
    let first = json(200, r#"{"access_token":"one","expires_in":3600,"refresh_in":0.05}"#);
    let server = Server::start([first, json(503, "{}")]).await;
    let source = inline(&server);
    assert_eq!(sent(&*source).await, "Bearer one");
    tokio::time::sleep(Duration::from_millis(80)).await;
    assert_eq!(sent(&*source).await, "Bearer one");
    assert_eq!(sent(&*source).await, "Bearer one");
    assert_eq!(server.seen().len(), 2, "the failure cools down");
}

#[tokio::test]
async fn invalidation_drops_only_the_refused_token() {
    let server = Server::start([
        json(200, r#"{"access_token":"one","expires_in":3600}"#),
        json(200, r#"{"access_token":"two","expires_in":3600}"#),
    ])
    .await;
    let source = inline(&server);
    let first = source.token().await.unwrap();
    assert!(!format!("{first:?}").contains("one"));
    source.invalidate(&first);
    assert_eq!(sent(&*source).await, "Bearer two");
    source.invalidate(&first);
    assert_eq!(sent(&*source).await, "Bearer two");
    assert_eq!(server.seen().len(), 2);
}

#[tokio::test]
async fn federated_tokens_are_read_afresh() {
    let server = Server::start([json(200, r#"{"access_token":"a","expires_in":3600}"#)]).await;
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("token");
    let credential =
        Credential::WorkloadIdentity { client_id: Some("client".into()), token_file: Some(file.clone()) };
    let source = source(&server, &credential);
    for text in ["jwt-one\n", "jwt-the-second"] {
        std::fs::write(&file, text).unwrap();
        source.invalidate(&source.token().await.unwrap());
    }
    assert_eq!(field(&form(&server, 0), "client_assertion"), "jwt-one");
    assert_eq!(field(&form(&server, 1), "client_assertion"), "jwt-the-second");
    assert!(field(&form(&server, 0), "client_assertion_type").ends_with("jwt-bearer"));
}

#[tokio::test]
async fn certificates_are_asserted() {
    let server = Server::start([json(200, r#"{"access_token":"a","expires_in":3600}"#)]).await;
    let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/src/http/testdata");
    let credential = Credential::Certificate {
        client_id: "client".into(),
        certificate: format!("{dir}/cert.pem").into(),
        key: SecretRef::File(format!("{dir}/key.pem").into()),
    };
    source(&server, &credential).token().await.unwrap();
    assert_eq!(field(&form(&server, 0), "client_assertion").split('.').count(), 3);
    assert_eq!(field(&form(&server, 0), "client_secret"), "");
}

#[tokio::test]
async fn managed_identity_asks_its_endpoint() {
    let server =
        Server::start([json(200, r#"{"access_token":"a","expires_in":"86400","expires_on":"1"}"#)]).await;
    let endpoint = Some(server.url.clone());
    let credential = Credential::ManagedIdentity { client_id: None, endpoint };
    assert_eq!(sent(&*source(&server, &credential)).await, "Bearer a");
    let seen = &server.seen()[0];
    assert_eq!((seen.method.as_str(), &seen.headers["metadata"]), ("GET", &"true".parse().unwrap()));
    assert!(seen.uri.query().unwrap().contains("resource=https%3A%2F%2Fgraph.microsoft.com"));
}

#[tokio::test]
async fn without_a_token_nothing_is_sent() {
    let tokens =
        Server::start([json(400, r#"{"error":"unauthorized_client","error_description":"x"}"#)]).await;
    let system = Server::start([json(200, "{}")]).await;
    let door = door_with(inline(&tokens), Budgets::unlimited());
    let call = || Call::write("op", "c", Method::POST, system.url.clone(), serde_json::json!({}));
    let error = door.send(call()).await.unwrap_err();
    assert!(matches!(error, CallError::NotSent { cause: NotSentCause::Token(_), .. }), "{error}");
    assert!(error.retry_after().unwrap() >= Duration::from_secs(30));
    assert!(system.seen().is_empty());
    assert_eq!(error.request_ids(), (None, None));
}

#[tokio::test]
async fn an_unreachable_token_service_is_transient() {
    let url = Url::parse("http://127.0.0.1:1/").unwrap();
    let credential = secret_credential(SecretRef::Inline("hunter2".into()));
    let source = token_source(&credential, "t", &url, SCOPE, &http()).unwrap();
    let error = source.token().await.unwrap_err();
    assert!(!error.is_permanent() && error.retry_after().is_some(), "{error}");
    assert!(!format!("{error:?}").contains("hunter2"));
}

/// Collects what a subscriber writes.
#[derive(Clone, Default)]
struct Sink(Arc<std::sync::Mutex<Vec<u8>>>);

impl std::io::Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn logs_hold_no_secret_even_at_trace_level() {
    let sink = Sink::default();
    let writer = sink.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_span_events(tracing_subscriber::fmt::format::FmtSpan::FULL)
        .with_writer(move || writer.clone())
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let wrong = r#"{"error":"invalid_client","error_description":"hunter2"}"#;
    let tokens =
        Server::start([json(200, r#"{"access_token":"s3same","expires_in":3600}"#), json(401, wrong)]).await;
    let system = Server::start([json(200, "{}"), json(401, "{}")]).await;
    let door = door_with(inline(&tokens), Budgets::unlimited());
    let call =
        || Call::write("op", "c", Method::POST, system.url.clone(), serde_json::json!({"x": "private"}));
    door.send(call()).await.unwrap();
    door.send(call()).await.unwrap_err();
    let text = String::from_utf8(sink.0.lock().unwrap().clone()).unwrap();
    assert!(text.contains("invalid_client") && text.contains("client_request_id"), "{text}");
    for secret in ["hunter2", "s3same", "private"] {
        assert!(!text.contains(secret), "{secret} in {text}");
    }
}
