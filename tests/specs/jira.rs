//! The emulated Jira's answers, asked over HTTP, against Atlassian's own description of the API.

use lockstep::emulator::{Emulator, EmulatorOptions, System};
use serde_json::{Value, json};

const SCHEMAS: &str = "#/components/schemas/";

fn spec() -> Option<Value> {
    super::spec("jira-cloud.openapi.json")
}

fn differences(spec: &Value, schema: &str, answer: &Value) -> Vec<String> {
    super::differences(spec, &format!("{SCHEMAS}{schema}"), answer)
}

fn check(spec: &Value, schema: &str, answer: &Value) {
    super::check(spec, &format!("{SCHEMAS}{schema}"), answer);
}

struct Caller {
    emulator: Emulator,
    client: reqwest::Client,
}

impl Caller {
    #[expect(clippy::disallowed_methods, reason = "a plain client, to see what a plain client sees")]
    fn new() -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let emulator = Emulator::start(EmulatorOptions::default()).unwrap();
        Self { emulator, client: reqwest::Client::new() }
    }

    async fn send(&self, method: &str, path: &str, body: Option<Value>) -> (u16, Value) {
        let url = format!("{}/rest/api/3/{path}", self.emulator.ticket_url(System::Jira));
        let request = self.client.request(method.parse().unwrap(), url);
        let request = request.basic_auth("lockstep", Some("emulator-secret"));
        let request = match &body {
            Some(body) => request.json(body),
            None => request,
        };
        let response = request.send().await.unwrap();
        (response.status().as_u16(), response.json().await.unwrap_or_default())
    }
}

#[test]
fn the_check_finds_what_does_not_fit() {
    let Some(spec) = spec() else { return };
    assert!(
        differences(&spec, "SearchAndReconcileResults", &json!({"issues": [], "isLast": true})).is_empty()
    );
    for wrong in [json!({"issues": {}}), json!({"total": 1}), json!({"nextPageToken": 7})] {
        assert!(!differences(&spec, "SearchAndReconcileResults", &wrong).is_empty(), "{wrong}");
    }
}

#[tokio::test]
async fn answers_fit_the_description() {
    let Some(spec) = spec() else { return };
    let caller = Caller::new();
    let document = json!({"type": "doc", "version": 1, "content": [
        {"type": "paragraph", "content": [{"type": "text", "text": "hello"}]}]});
    let fields = json!({"project": {"key": "SOC"}, "issuetype": {"name": "Task"}, "summary": "Phishing",
        "description": document, "labels": ["lockstep"]});
    let properties = json!([{"key": "lockstep", "value": {"key": "x"}}]);
    let (status, made) =
        caller.send("POST", "issue", Some(json!({"fields": fields, "properties": properties}))).await;
    assert_eq!(status, 201);
    check(&spec, "CreatedIssue", &made);
    let id = made["id"].as_str().unwrap();
    let edit = json!({"owner": "ana@example.org", "status": "active", "comment": "seen"});
    caller.emulator.human_ticket(System::Jira, id, "ben@example.org", &edit).unwrap();
    caller.emulator.advance(1.0);

    let (status, issue) = caller.send("GET", &format!("issue/{id}?properties=lockstep"), None).await;
    assert_eq!((status, &issue["properties"]["lockstep"]["key"]), (200, &json!("x")));
    check(&spec, "IssueBean", &issue);
    check(&spec, "StatusDetails", &issue["fields"]["status"]);
    check(&spec, "User", &issue["fields"]["assignee"]);
    check(&spec, "PageOfComments", &issue["fields"]["comment"]);

    let (_, transitions) =
        caller.send("GET", &format!("issue/{id}/transitions?expand=transitions.fields"), None).await;
    check(&spec, "Transitions", &transitions);
    let (status, comment) =
        caller.send("POST", &format!("issue/{id}/comment"), Some(json!({"body": document}))).await;
    assert_eq!(status, 201);
    check(&spec, "Comment", &comment);
    let (_, comments) = caller.send("GET", &format!("issue/{id}/comment"), None).await;
    assert_eq!(comments["total"], 2);
    check(&spec, "PageOfComments", &comments);

    let (_, me) = caller.send("GET", "myself", None).await;
    check(&spec, "User", &me);
    let (_, permissions) = caller.send("GET", "mypermissions?permissions=EDIT_ISSUES", None).await;
    check(&spec, "Permissions", &permissions);
}

#[tokio::test]
async fn searches_and_refusals_fit_the_description() {
    let Some(spec) = spec() else { return };
    let caller = Caller::new();
    for _ in 0..3 {
        caller.emulator.open_ticket(System::Jira, "ana@example.org", &json!({"title": "t"})).unwrap();
    }
    caller.emulator.advance(1.0);
    let ask =
        json!({"jql": "project = SOC ORDER BY updated", "maxResults": 2, "fields": ["summary", "status"]});
    let (status, page) = caller.send("POST", "search/jql", Some(ask)).await;
    assert_eq!((status, page["issues"].as_array().unwrap().len()), (200, 2));
    assert!(page["nextPageToken"].is_string());
    check(&spec, "SearchAndReconcileResults", &page);
    // Ids only, unless fields are asked for.
    let (_, page) = caller.send("POST", "search/jql", Some(json!({"jql": "project = SOC"}))).await;
    check(&spec, "SearchAndReconcileResults", &page);
    assert_eq!(page["issues"][0].as_object().unwrap().len(), 1);

    let refused = [
        ("POST", "search/jql", Some(json!({"jql": "ORDER BY updated"})), 400),
        ("POST", "search/jql", Some(json!({"jql": "labels ~ \"x\""})), 400),
        ("POST", "search", Some(json!({"jql": "project = SOC"})), 410),
        ("GET", "issue/9", None, 404),
        ("POST", "issue", Some(json!({"fields": {"project": {"key": "NO"}}})), 400),
    ];
    for (method, path, body, wanted) in refused {
        let (status, answer) = caller.send(method, path, body).await;
        assert_eq!(status, wanted, "{path}: {answer}");
        check(&spec, "ErrorCollection", &answer);
    }
}
