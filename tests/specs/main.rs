//! The emulator's answers, asked over HTTP, against the publishers' own descriptions of the APIs.

#![allow(clippy::unwrap_used)]

mod jira;

use std::io::{Write as _, stderr};
use std::path::PathBuf;
use std::time::Duration;

use lockstep::emulator::{
    AlertSeed, Api, CLIENT_ID, CLIENT_SECRET, DefenderEdit, Emulator, EmulatorOptions, Entry, Fault,
    FaultKind, IncidentSeed, SentinelEdit, TENANT,
};
use serde_json::{Value, json};

/// A description from the folder beside the project; `None`, said aloud, where it is not there.
fn spec(name: &str) -> Option<Value> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/specs").join(name);
    let Ok(text) = std::fs::read_to_string(&path) else {
        let path = path.display();
        // Not `eprintln`, which is shown of failed tests only.
        let _ = writeln!(stderr(), "SKIPPED: {path} is not there, so answers were not checked against it");
        return None;
    };
    let mut value = serde_json::from_str(&text).unwrap();
    plain_json_schema(&mut value);
    Some(value)
}

/// Turns the `OpenAPI` words `nullable` and `discriminator` into plain JSON schema.
fn plain_json_schema(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(plain_json_schema),
        Value::Object(members) => {
            members.values_mut().for_each(plain_json_schema);
            // `format` says nothing here that the emulator's own tests do not say better.
            if members.get("format").is_some_and(Value::is_string) {
                members.remove("format");
            }
            if members.get("discriminator").is_some_and(|d| d.is_object() || d.is_string()) {
                members.remove("discriminator");
            }
            if members.remove("nullable") == Some(json!(true))
                && let Some(kind) = members.get("type").cloned()
            {
                // An empty "object or null" alternative in an anyOf only means "or null".
                let bare_object = kind == "object" && members.len() == 1;
                members.insert(
                    "type".to_owned(),
                    if bare_object { json!("null") } else { json!([kind, "null"]) },
                );
            }
        }
        _ => {}
    }
}

/// Without members that are null: real answers have them where the description allows none (`sentinel.md` 1.2).
fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(members) => members
            .into_iter()
            .filter(|(_, value)| !value.is_null())
            .map(|(name, value)| (name, without_nulls(value)))
            .collect(),
        Value::Array(items) => items.into_iter().map(without_nulls).collect(),
        other => other,
    }
}

/// Fails with every difference between an answer and a schema of the description.
fn check(spec: &Value, pointer: &str, answer: &Value) {
    let errors = differences(spec, pointer, answer);
    assert!(errors.is_empty(), "{pointer}\n{}\n{answer:#}", errors.join("\n"));
}

fn differences(spec: &Value, pointer: &str, answer: &Value) -> Vec<String> {
    let mut root = spec.clone();
    root["$ref"] = json!(pointer);
    let validator = jsonschema::validator_for(&root).unwrap();
    validator.iter_errors(answer).map(|error| format!("{}: {error}", error.instance_path())).collect()
}

#[test]
fn the_check_finds_what_does_not_fit() {
    let Some(graph) = spec("graph-security.openapi.json") else { return };
    let Some(sentinel) = spec("sentinel-incidents.swagger.json") else { return };
    let incident = format!("{GRAPH}incident");
    assert!(differences(&graph, &incident, &json!({"id": "1", "classification": null})).is_empty());
    for wrong in
        [json!({"id": 1}), json!({"status": "Active"}), json!({"classification": 7}), json!({"comments": {}})]
    {
        assert!(!differences(&graph, &incident, &wrong).is_empty(), "{wrong}");
    }
    let wrong = json!({"properties": {"title": "t", "severity": "High", "status": "resolved"}});
    assert!(!differences(&sentinel, "#/definitions/Incident", &wrong).is_empty());
}

struct Caller {
    emulator: Emulator,
    client: reqwest::Client,
    graph: String,
    arm: String,
}

impl Caller {
    #[expect(clippy::disallowed_methods, reason = "a plain client, to see what a plain client sees")]
    async fn new() -> Self {
        // Fails when another test was first, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let emulator = Emulator::start(EmulatorOptions::default()).unwrap();
        let client = reqwest::Client::new();
        let graph = token(&client, &emulator, "https://graph.microsoft.com/.default").await;
        let arm = token(&client, &emulator, "https://management.azure.com/.default").await;
        Self { emulator, client, graph, arm }
    }

    async fn send(&self, method: &str, url: &str, token: &str, body: Option<Value>) -> (u16, Value) {
        let request = self.client.request(method.parse().unwrap(), url).bearer_auth(token);
        let request = match &body {
            Some(body) => request.json(body),
            None => request,
        };
        let response = request.send().await.unwrap();
        (response.status().as_u16(), response.json().await.unwrap_or_default())
    }

    async fn security(&self, method: &str, path: &str, body: Option<Value>) -> (u16, Value) {
        let url = format!("{}/v1.0/security/{path}", self.emulator.graph_url());
        self.send(method, &url, &self.graph, body).await
    }

    async fn sentinel(&self, method: &str, path: &str, body: Option<Value>) -> (u16, Value) {
        let url = format!(
            "{}/subscriptions/22222222-3333-4444-8555-666666666666/resourceGroups/rg-soc/providers/\
             Microsoft.OperationalInsights/workspaces/law-soc/providers/Microsoft.SecurityInsights/{path}\
             ?api-version=2025-09-01",
            self.emulator.arm_url()
        );
        self.send(method, &url, &self.arm, body).await
    }
}

async fn token(client: &reqwest::Client, emulator: &Emulator, scope: &str) -> String {
    let form = [
        ("grant_type", "client_credentials"),
        ("client_id", CLIENT_ID),
        ("client_secret", CLIENT_SECRET),
        ("scope", scope),
    ];
    let url = format!("{}/{TENANT}/oauth2/v2.0/token", emulator.login_url());
    let answer: Value = client.post(url).form(&form).send().await.unwrap().json().await.unwrap();
    answer["access_token"].as_str().unwrap().to_owned()
}

const GRAPH: &str = "#/components/schemas/microsoft.graph.security.";

#[tokio::test]
async fn graph_answers_fit_the_description() {
    let Some(spec) = spec("graph-security.openapi.json") else { return };
    let caller = Caller::new().await;
    let alert = AlertSeed { service_source: "microsoftSentinel".to_owned(), ..AlertSeed::default() };
    let seed = IncidentSeed { alerts: vec![AlertSeed::default(), alert], ..IncidentSeed::default() };
    let id = caller.emulator.add_incident(&seed);

    let (status, list) = caller.security("GET", "incidents?$count=true&$expand=alerts", None).await;
    assert_eq!(status, 200);
    check(&spec, &format!("{GRAPH}incidentCollectionResponse"), &list);
    check(&spec, &format!("{GRAPH}incident"), &list["value"][0]);
    let (_, alerts) = caller.security("GET", "alerts_v2", None).await;
    check(&spec, &format!("{GRAPH}alertCollectionResponse"), &alerts);
    let alert = alerts["value"][0]["id"].as_str().unwrap();

    let resolve =
        json!({"status": "resolved", "classification": "truePositive", "determination": "phishing"});
    let (status, patched) = caller.security("PATCH", &format!("incidents/{id}"), Some(resolve)).await;
    assert_eq!(status, 200);
    check(&spec, &format!("{GRAPH}incident"), &patched);
    let (_, read) = caller.security("GET", &format!("alerts_v2/{alert}"), None).await;
    assert_eq!(read["status"], "resolved");
    check(&spec, &format!("{GRAPH}alert"), &read);

    let comment = json!({"comment": "hello"});
    let (status, comments) =
        caller.security("POST", &format!("incidents/{id}/comments"), Some(comment)).await;
    assert_eq!(status, 200);
    check(&spec, &format!("{GRAPH}alertComment"), &comments["value"][0]);

    let other = caller.emulator.add_incident(&IncidentSeed::default());
    caller.emulator.merge(other, id, "ana@example.org").unwrap();
    let (_, merged) = caller.security("GET", &format!("incidents/{other}"), None).await;
    assert_eq!(merged["redirectIncidentId"], id.to_string());
    check(&spec, &format!("{GRAPH}incident"), &merged);
}

#[tokio::test]
async fn sentinel_answers_fit_the_description() {
    let Some(spec) = spec("sentinel-incidents.swagger.json") else { return };
    let caller = Caller::new().await;
    let (_, twin) = caller.emulator.add_linked(&IncidentSeed::new("Phishing", "high", 2));
    let edit = SentinelEdit::close("TruePositive", Some("SuspiciousActivity")).saying("done");
    caller.emulator.human_sentinel(&twin, "ana@example.org", &edit).unwrap();
    let comment = json!({"properties": {"message": "hello"}});
    let path = format!("incidents/{twin}/comments/4bb36b7b-26ff-4d1c-9cbe-0d8ab3da0014");
    let (status, comment) = caller.sentinel("PUT", &path, Some(comment)).await;
    assert_eq!(status, 201);
    check(&spec, "#/definitions/IncidentComment", &without_nulls(comment));
    let (_, comments) = caller.sentinel("GET", &format!("incidents/{twin}/comments"), None).await;
    check(&spec, "#/definitions/IncidentCommentList", &without_nulls(comments));
    let (_, alerts) = caller.sentinel("POST", &format!("incidents/{twin}/alerts"), None).await;
    assert_eq!(alerts["value"].as_array().unwrap().len(), 2);
    check(&spec, "#/definitions/IncidentAlertList", &without_nulls(alerts));

    let (_, read) = caller.sentinel("GET", &format!("incidents/{twin}"), None).await;
    assert!(read["properties"]["owner"]["objectId"].is_null());
    check(&spec, "#/definitions/Incident", &without_nulls(read));

    let body = json!({"properties": {"title": "t", "severity": "Low", "status": "New",
                      "owner": {"userPrincipalName": "ana@example.org"}, "labels": [{"labelName": "x"}]}});
    let name = "0f7c3b9e-5f0e-4c55-9d1c-6a2c7b1f9a10";
    let (status, made) = caller.sentinel("PUT", &format!("incidents/{name}"), Some(body)).await;
    assert_eq!(status, 201);
    check(&spec, "#/definitions/Incident", &without_nulls(made));
}

#[tokio::test]
async fn sentinel_takes_the_official_creation() {
    let Some(example) = spec("sentinel-examples/CreateIncident.json") else { return };
    let caller = Caller::new().await;
    let id = example["parameters"]["incidentId"].as_str().unwrap();
    let mut body = example["parameters"]["incident"].clone();
    if body.is_null() {
        body = example["parameters"]["body"].clone();
    }
    let (status, made) = caller.sentinel("PUT", &format!("incidents/{id}"), Some(body)).await;
    assert_eq!(status, 201);
    let official = &example["responses"]["201"]["body"];
    for (name, value) in official["properties"].as_object().unwrap() {
        let own = &made["properties"][name];
        assert!(
            !own.is_null() || value.is_null(),
            "the official answer has `{name}`, ours has not: {made:#}"
        );
        assert_eq!(std::mem::discriminant(own), std::mem::discriminant(value), "kind of `{name}`");
    }
}

#[tokio::test]
async fn the_listener_cuts_connections_and_the_control_interface_works() {
    let caller = Caller::new().await;
    let root = caller.emulator.url();
    let control = |method: &'static str, path: &str, body: Option<Value>| {
        let url = format!("{root}/control/{path}");
        let client = caller.client.clone();
        async move {
            let request = client.request(method.parse().unwrap(), url);
            let request = match &body {
                Some(body) => request.json(body),
                None => request,
            };
            let response = request.send().await.unwrap();
            (response.status().as_u16(), response.json::<Value>().await.unwrap())
        }
    };
    let (_, made) = control("POST", "linked", Some(json!({"defender": {"displayName": "t"}}))).await;
    let id = made["defender"].as_str().unwrap();
    let fault =
        json!({"api": "graph", "operation": "update-incident", "when": {"next": 1}, "kind": "drop-after"});
    assert_eq!(control("POST", "faults", Some(fault)).await.0, 200);

    let url = format!("{}/v1.0/security/incidents/{id}", caller.emulator.graph_url());
    let body = json!({"status": "inProgress"});
    let unanswered = caller.client.patch(&url).bearer_auth(&caller.graph).json(&body).send().await;
    assert!(unanswered.is_err(), "no answer comes");
    let (_, ledger) = control("GET", "ledger?after=0", None).await;
    let ledger: Vec<Entry> = serde_json::from_value(ledger).unwrap();
    let last = ledger.last().unwrap();
    assert_eq!((last.new_value("status").unwrap(), last.actor.as_str()), (&json!("inProgress"), CLIENT_ID));
    assert_eq!(ledger, caller.emulator.ledger(), "the same from outside and inside");
    assert_eq!(caller.emulator.call_log().last().unwrap().status, 0);

    let edit = json!({"by": "ana@example.org", "edit": {"status": "Active", "owner": null}});
    let path = format!("sentinel/incidents/{}/edit", made["sentinel"].as_str().unwrap());
    assert_eq!(control("POST", &path, Some(edit)).await.0, 200);
    let wrong = json!({"edit": {"state": "Active"}});
    assert_eq!(control("POST", &path, Some(wrong)).await.0, 400, "typing errors are no edits");
    assert_eq!(control("PATCH", "settings", Some(json!({"graph_outage": "drop"}))).await.0, 200);
    assert!(caller.client.get(&url).bearer_auth(&caller.graph).send().await.is_err());
    assert_eq!(control("PATCH", "settings", Some(json!({"graph_outage": "refuse"}))).await.0, 200);
    assert_eq!(caller.security("GET", "incidents", None).await.0, 503);
    let (_, state) = control("GET", "state", None).await;
    assert_eq!(state["sentinel"][0]["properties"]["status"], "Active");
    let (_, sync) = control("PUT", "native-sync", Some(json!({"enabled": true, "delay": 1.0}))).await;
    assert_eq!(sync, json!({}));
    let (_, clock) = control("POST", "clock/advance", Some(json!({"seconds": 3600}))).await;
    assert!(clock["now"].is_string());
    let (_, counts) = control("GET", "calls", None).await;
    assert_eq!(counts["counts"]["graph/update-incident"], 1);
    caller.emulator.human_defender(id.parse().unwrap(), "ana", &DefenderEdit::status("active")).unwrap();
    caller.emulator.stop();
}

#[tokio::test]
async fn a_caller_that_gives_up_does_not_stop_its_write() {
    let caller = Caller::new().await;
    let id = caller.emulator.add_incident(&IncidentSeed::default());
    caller
        .emulator
        .add_fault(Fault::new(FaultKind::Latency { millis: 60 }).on(Api::Graph, "update-incident"));
    let url = format!("{}/v1.0/security/incidents/{id}", caller.emulator.graph_url());
    let request = caller.client.patch(url).bearer_auth(&caller.graph).json(&json!({"status": "inProgress"}));
    assert!(request.timeout(Duration::from_millis(20)).send().await.unwrap_err().is_timeout());
    let applied = async {
        while caller.emulator.ledger().last().unwrap().actor != CLIENT_ID {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), applied).await.unwrap();
}
