//! A server that says what no emulator would: connectors must come back with an error, and never with a panic, an
//! endless wait or an empty record.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use futures_util::future::join_all;
use jiff::Timestamp;
use lockstep::connectors::defender::DefenderSettings;
use lockstep::connectors::sentinel::SentinelSettings;
use lockstep::connectors::{Connector, Depth, SystemSettings, connect};
use lockstep::http::secret::SecretRef;
use lockstep::http::{ClientOptions, Credential, Http};
use lockstep::model::{RecordKind, SystemName};
use secrecy::SecretString;
use url::Url;

/// Answers every request with the same bytes, and closes.
fn serve(answer: Vec<u8>) -> Url {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(stream) = stream else { return };
            // The peer may hang up before it has heard all of it.
            let _ = reply(stream, &answer);
        }
    });
    Url::parse(&url).unwrap()
}

fn reply(mut stream: TcpStream, answer: &[u8]) -> std::io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    let (mut seen, mut buffer) = (Vec::new(), [0; 4096]);
    while !seen.windows(4).any(|window| window == b"\r\n\r\n") {
        match stream.read(&mut buffer)? {
            0 => return Ok(()),
            read => seen.extend_from_slice(&buffer[..read]),
        }
    }
    stream.write_all(answer)
}

fn ok(body: &[u8]) -> Vec<u8> {
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

fn connectors(url: &Url) -> [std::sync::Arc<dyn Connector>; 2] {
    let credential = Credential::Basic {
        username: "u".to_owned(),
        password: SecretRef::Inline(SecretString::from("p".to_owned())),
    };
    let (tenant_id, scope) = ("t".to_owned(), "s/.default".to_owned());
    let defender = DefenderSettings {
        name: SystemName::new("defender").unwrap(),
        tenant_id: tenant_id.clone(),
        credential: credential.clone(),
        authority_url: url.clone(),
        graph_url: url.clone(),
        scope: scope.clone(),
        budget_factor: 1000.0,
        settle: DefenderSettings::DEFAULT_SETTLE,
        overlap: DefenderSettings::DEFAULT_OVERLAP,
        hook: None,
    };
    let sentinel = SentinelSettings {
        name: SystemName::new("sentinel").unwrap(),
        tenant_id,
        subscription_id: "s".to_owned(),
        resource_group: "g".to_owned(),
        workspace: "w".to_owned(),
        credential,
        authority_url: url.clone(),
        arm_url: url.clone(),
        scope,
        api_version: SentinelSettings::DEFAULT_API_VERSION.to_owned(),
        budget_factor: 1000.0,
        settle: SentinelSettings::DEFAULT_SETTLE,
        overlap: SentinelSettings::DEFAULT_OVERLAP,
        hook: None,
        peer: Some(SystemName::new("defender").unwrap()),
    };
    let options = ClientOptions { timeout: Duration::from_secs(5), ..ClientOptions::default() };
    let http = Http::new(&options).unwrap();
    let make = |settings| connect(&settings, &http, None).unwrap();
    [make(SystemSettings::Defender(defender)), make(SystemSettings::Sentinel(sentinel))]
}

/// Neither a list nor a read makes anything of this answer.
async fn is_refused(what: &str, answer: Vec<u8>) {
    let url = serve(answer);
    for connector in connectors(&url) {
        let system = connector.system().clone();
        let listed = connector.list(RecordKind::Incident, Timestamp::UNIX_EPOCH, None).await;
        assert!(listed.is_err(), "{what}: {system} listed {listed:?}");
        let record = format!("{system}/incident/1").parse().unwrap();
        let read = connector.read(&record, Depth::Comments).await;
        let error = read.expect_err(what).to_string();
        assert!(error.len() < 2_000 && !error.contains(['\u{1b}', '\n']), "{what}: {error}");
    }
}

#[tokio::test]
async fn bodies_that_are_no_answer() {
    let deep = "[".repeat(200_000);
    let cases: [(&str, &[u8]); 8] = [
        ("deeply nested", deep.as_bytes()),
        ("no UTF-8", b"{\"value\": [\"\xff\xfe\"]}"),
        ("a lone surrogate", br#"{"value": ["\ud800"]}"#),
        ("a number beyond all bounds", br#"{"value": 1e99999}"#),
        ("escapes for terminals", b"\x1b[2J\x1b[31mgone"),
        ("a list that is a map", br#"{"value": {"0": {}}}"#),
        ("nothing but an error", br#"{"error": {"code": "x", "message": "y"}}"#),
        ("a second document", br#"{"value": []} {"value": []}"#),
    ];
    join_all(cases.map(|(what, body)| is_refused(what, ok(body)))).await;
}

#[tokio::test]
async fn heads_that_are_no_answer() {
    let endless: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 18446744073709551615\r\n\r\n{}";
    let cases: [(&str, &[u8]); 8] = [
        ("no HTTP", b"SSH-2.0-OpenSSH_9.9\r\n"),
        ("nothing", b""),
        ("half a head", b"HTTP/1.1 200 OK\r\ncontent-ty"),
        ("a body that ends early", b"HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n{\"value\":[]"),
        ("a body that would never end", endless),
        ("a status that there is not", b"HTTP/1.1 999 Odd\r\ncontent-length: 2\r\n\r\n{}"),
        (
            "a redirect to elsewhere",
            b"HTTP/1.1 302 Found\r\nlocation: https://evil.example/\r\ncontent-length: 0\r\n\r\n",
        ),
        ("a redirect to itself", b"HTTP/1.1 302 Found\r\nlocation: /again\r\ncontent-length: 0\r\n\r\n"),
    ];
    let compressed = gzip_head(b"\x1f\x8b\x08\x00garbage");
    // Side by side, since reads are tried again after a while.
    join_all(cases.map(|(what, answer)| is_refused(what, answer.to_vec()))).await;
    is_refused("a compressed body", compressed).await;
}

fn gzip_head(body: &[u8]) -> Vec<u8> {
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-encoding: gzip\r\nconnection: close\r\n\
         content-length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

#[tokio::test]
async fn rows_that_are_no_records_are_passed_over_and_named() {
    let rows = r#"null, 7, "x", [], {}, [[{}]], true, {"id": null, "name": null}, {"id": {}, "name": []},
        {"id": "", "name": ""}, {"id": "..", "name": "..", "status": "active"},
        {"id": "1", "name": "1", "status": "active", "lastUpdateDateTime": "yesterday", "properties":
            {"status": "New", "lastModifiedTimeUtc": "9999-99-99T99:99:99Z"}},
        {"id": "2", "name": "2", "status": "active", "lastUpdateDateTime": "9999-12-31T23:59:59.9999999Z",
            "properties": {"status": "New", "lastModifiedTimeUtc": "-1-01-01T00:00:00Z"}},
        {"id": "3", "name": "3", "status": ["active"], "properties": {"status": {}}}"#;
    for connector in connectors(&serve(ok(format!(r#"{{"value": [{rows}]}}"#).as_bytes()))) {
        let page = connector.list(RecordKind::Incident, Timestamp::UNIX_EPOCH, None).await.unwrap();
        assert_eq!((page.snapshots.len(), page.malformed.len()), (0, 14), "{page:#?}");
        assert!(page.malformed.iter().all(|bad| !bad.reason.is_empty() && bad.reason.len() < 500));
    }
}

#[tokio::test]
async fn an_answer_about_another_record_is_refused() {
    let body = r#"{"id": "2", "name": "2", "status": "active", "lastUpdateDateTime": "2026-11-02T08:15:30Z",
        "comments": [], "properties": {"status": "New", "lastModifiedTimeUtc": "2026-11-02T08:15:30Z"}}"#;
    for connector in connectors(&serve(ok(body.as_bytes()))) {
        let record = format!("{}/incident/1", connector.system()).parse().unwrap();
        let error = connector.read(&record, Depth::Record).await.unwrap_err().to_string();
        assert!(error.contains("is about"), "{error}");
    }
}
