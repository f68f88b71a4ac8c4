use serde_json::{Value, json};

use super::sample::{SampleStore, bridge};
use super::*;
use crate::connectors::{Hook, HookProof};
use crate::engine::Hints;
use crate::model::{RecordId, RecordKind, SystemName};
use crate::telemetry::Metrics;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

const SECRET: &str = "hook-secret";
const SIGNATURE: &str = "x-hub-signature";
const SHARED: &str = "x-secret";
const DELIVERY: &str = "x-delivery";

/// A body names a ticket under `ticket`.
fn records(body: &Value) -> Vec<(RecordKind, RecordId)> {
    let id = body["ticket"].as_str().and_then(|id| RecordId::new(id).ok());
    id.into_iter().map(|id| (RecordKind::Ticket, id)).collect()
}

/// A server with two hooks: `signed` wants an HMAC, `shared` the secret itself.
struct Rig {
    base: String,
    hints: Hints,
    metrics: Metrics,
}

async fn start(secret: SecretRef) -> Rig {
    let (hints, metrics) = (Hints::default(), Metrics::local().unwrap());
    let hook = |proof| Hook { proof, secret: secret.clone(), records, delivery_id: Some(DELIVERY) };
    let name = |name: &str| SystemName::new(name).unwrap();
    let hooks = [
        (name("signed"), hook(HookProof::Hmac(SIGNATURE))),
        (name("shared"), hook(HookProof::Shared(SHARED))),
    ];
    let state = AppState {
        store: Arc::new(SampleStore::new()),
        telemetry: Telemetry::new(metrics.clone()),
        bridges: vec![bridge()],
        token: Some(SecretRef::Inline("admin".into())),
        hooks: Hooks::new(hooks, hints.clone()),
    };
    let listener = bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let base = format!("http://{}/hooks", listener.local_addr().unwrap());
    tokio::spawn(serve(listener, state, std::future::pending()));
    Rig { base, hints, metrics }
}

fn inline() -> SecretRef {
    SecretRef::Inline(SECRET.into())
}

impl Rig {
    async fn post(&self, system: &str, headers: &[(&str, &str)], body: &[u8]) -> u16 {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let mut request = client.post(format!("{}/{system}", self.base)).body(body.to_vec());
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.send().await.unwrap().status().as_u16()
    }

    async fn signed(&self, body: &[u8]) -> u16 {
        self.post("signed", &[(SIGNATURE, &signature(SECRET, body))], body).await
    }

    async fn shared(&self, delivery: &str, body: &[u8]) -> u16 {
        self.post("shared", &[(SHARED, SECRET), (DELIVERY, delivery)], body).await
    }

    fn counted(&self, line: &str) -> bool {
        self.metrics.text().unwrap().contains(line)
    }
}

fn signature(secret: &str, body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(body);
    mac.finalize().into_bytes().iter().fold("sha256=".to_owned(), |text, byte| format!("{text}{byte:02x}"))
}

fn body(id: &str) -> Vec<u8> {
    json!({ "ticket": id }).to_string().into_bytes()
}

#[tokio::test]
async fn a_signed_body_is_taken_and_names_its_record() {
    let rig = start(inline()).await;
    assert_eq!(rig.signed(&body("1")).await, 202);
    assert_eq!(rig.hints.waiting(), ["signed/ticket/1"]);
    assert_eq!(rig.shared("d1", &body("2")).await, 202);
    assert_eq!(rig.hints.waiting(), ["signed/ticket/1", "shared/ticket/2"]);
    assert!(rig.counted(r#"lockstep_hooks_total{outcome="taken",system="signed"} 1"#));
    assert!(rig.counted(r#"lockstep_hints_total{outcome="queued",system="shared"} 1"#));
}

#[tokio::test]
async fn a_signature_is_right_or_wrong_and_nothing_between() {
    let rig = start(inline()).await;
    let (body, own) = (body("1"), signature(SECRET, &body("1")));
    let (upper, other) = (own.replace("sha256=", "SHA256="), signature("other", &body));
    let foreign = signature(SECRET, b"{}");
    let bare = own.trim_start_matches("sha256=").to_owned();
    for (what, proof) in [
        ("of another secret", other.as_str()),
        ("of another body", &foreign),
        ("cut short", &own[..own.len() - 2]),
        ("by one digit", &own[..own.len() - 1]),
        ("too long", &format!("{own}00")),
        ("no digits", &format!("sha256={}", "z".repeat(64))),
        ("without its scheme", &bare),
        ("of another scheme", &upper),
        ("empty", ""),
        ("the secret itself", SECRET),
    ] {
        assert_eq!(rig.post("signed", &[(SIGNATURE, proof)], &body).await, 401, "{what}");
    }
    assert_eq!(rig.post("signed", &[], &body).await, 401, "missing");
    assert_eq!(rig.post("signed", &[(SHARED, SECRET)], &body).await, 401, "another system's header");
    for secret in ["", "hook-secre", "hook-secret2", "HOOK-SECRET"] {
        assert_eq!(rig.post("shared", &[(SHARED, secret)], &body).await, 401, "{secret}");
    }
    assert!(rig.hints.waiting().is_empty());
    assert!(rig.counted(r#"lockstep_hooks_total{outcome="unproven",system="signed"} 12"#));
    assert_eq!(rig.post("shared", &[(SHARED, &format!("Bearer {SECRET}"))], &body).await, 202);
}

#[tokio::test]
async fn unknown_systems_and_other_methods_are_not_there() {
    let rig = start(inline()).await;
    for system in ["nobody", "%20", "signed/x", "..%2fsigned", "Signed"] {
        assert_eq!(rig.post(system, &[(SHARED, SECRET)], b"{}").await, 404, "{system}");
    }
    let answer = reqwest::Client::builder().no_proxy().build().unwrap();
    assert_eq!(answer.get(format!("{}/signed", rig.base)).send().await.unwrap().status(), 405);
}

#[tokio::test]
async fn a_delivery_that_comes_again_is_not_followed_again() {
    let rig = start(inline()).await;
    assert_eq!(rig.shared("d1", &body("1")).await, 202);
    assert_eq!(rig.shared("d1", &body("2")).await, 202);
    assert_eq!(rig.shared("d2", &body("3")).await, 202);
    assert_eq!(rig.hints.waiting(), ["shared/ticket/1", "shared/ticket/3"]);
    assert!(rig.counted(r#"lockstep_hooks_total{outcome="repeated",system="shared"} 1"#));
    assert_eq!(rig.post("shared", &[(SHARED, "x"), (DELIVERY, "d3")], &body("4")).await, 401);
    assert_eq!(rig.shared("d3", &body("4")).await, 202, "only what was proven is remembered");
    assert_eq!(rig.hints.waiting().len(), 3);
}

#[tokio::test]
async fn bodies_that_are_too_large_or_no_json_are_refused() {
    let rig = start(inline()).await;
    let large = [b"{\"ticket\": \"".as_slice(), &vec![b'x'; 256 * 1024], b"\"}"].concat();
    assert_eq!(rig.signed(&large).await, 413);
    for bad in [b"".as_slice(), b"{", b"\xff\xfe", "[".repeat(100_000).as_bytes()] {
        assert_eq!(rig.signed(bad).await, 400);
    }
    for odd in [json!(null), json!([]), json!({"ticket": 7}), json!({"ticket": ""}), json!("ticket")] {
        assert_eq!(rig.signed(odd.to_string().as_bytes()).await, 202, "{odd}");
    }
    assert!(rig.hints.waiting().is_empty());
}

#[tokio::test]
async fn a_flood_is_stemmed_per_system_and_leaves_the_others_alone() {
    let rig = start(inline()).await;
    let floods = (0..300).map(|n| {
        let rig = &rig;
        async move { rig.shared(&format!("d{n}"), &body(&n.to_string())).await }
    });
    let answers = futures_util::future::join_all(floods).await;
    let taken = answers.iter().filter(|status| **status == 202).count();
    assert!((100..300).contains(&taken), "{taken}");
    assert!(answers.iter().all(|status| matches!(status, 202 | 429)));
    assert_eq!(rig.signed(&body("1")).await, 202);
    assert_eq!(rig.post("shared", &[(SHARED, "wrong")], b"{}").await, 401, "strangers use up nobody's rate");
}

#[tokio::test]
async fn a_rotated_secret_counts_at_once_and_a_missing_one_lets_nobody_in() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("secret");
    std::fs::write(&path, "first").unwrap();
    let rig = start(SecretRef::File(path.clone())).await;
    let with = async |secret: &str| rig.post("shared", &[(SHARED, secret)], &body("1")).await;
    assert_eq!((with("first").await, with("second").await), (202, 401));
    std::fs::write(&path, "second").unwrap();
    assert_eq!((with("first").await, with("second").await), (401, 202));
    std::fs::remove_file(&path).unwrap();
    assert_eq!((with("second").await, with("").await), (503, 503));
}
