//! What the emulated Jira does, asked without a network.

use serde_json::{Value, json};

use crate::emulator::ledger::{Actor, System};
use crate::emulator::testing::{Caller, SERVICE_USER};
use crate::emulator::wire::Reply;

/// A caller as the service user.
fn caller(settings: &Value) -> Caller {
    let mut caller = Caller::new();
    caller.world.at_desk(System::Jira, |desk, _| desk.set(settings)).unwrap();
    caller
}

fn send(caller: &mut Caller, method: &str, path: &str, body: &Value) -> Reply {
    caller.send_as(SERVICE_USER, method, &format!("/jira/rest/api/{path}"), body)
}

fn open(caller: &mut Caller, seed: &Value) -> String {
    let actor = Actor::Human("ana@example.org".to_owned());
    caller.world.at_desk(System::Jira, |desk, around| desk.open(seed, &actor, around)).unwrap()
}

fn new_issue() -> Value {
    json!({"project": {"key": "SOC"}, "issuetype": {"name": "Task"}, "summary": "t"})
}

#[test]
fn refusals_name_the_field() {
    let mut caller = caller(&json!({}));
    let with = |field: &str, value: Value| {
        let mut fields = new_issue();
        fields[field] = value;
        json!({"fields": fields})
    };
    for (field, value) in [
        ("summary", json!("two\nlines")),
        ("labels", json!(["two words"])),
        ("priority", json!({"name": "Huge"})),
        ("resolution", json!({"name": "Done"})),
        ("description", json!("no document")),
        ("assignee", json!({"accountId": "nobody"})),
        ("project", json!({"key": "NO"})),
    ] {
        let reply = send(&mut caller, "POST", "3/issue", &with(field, value));
        assert_eq!(reply.status, 400);
        assert!(reply.value()["errors"][field].is_string(), "{}", reply.value());
    }
    assert_eq!(send(&mut caller, "POST", "3/issue", &json!({"fields": new_issue()})).status, 201);
}

#[test]
fn a_status_in_an_edit_is_ignored_and_an_idle_edit_moves_the_time() {
    let mut caller = caller(&json!({}));
    let id = open(&mut caller, &json!({"title": "t"}));
    let path = format!("3/issue/{id}");
    let before = send(&mut caller, "GET", &path, &json!(null)).value()["fields"]["updated"].clone();
    caller.advance(5.0);
    let edit = json!({"fields": {"status": {"name": "Done"}}});
    assert_eq!(send(&mut caller, "PUT", &path, &edit).status, 204);
    let after = send(&mut caller, "GET", &path, &json!(null));
    assert_eq!(after.value()["fields"]["status"]["name"], "To Do");
    assert_ne!(after.value()["fields"]["updated"], before);
    assert!(!caller.world.ledger.entries().last().unwrap().is_effective());
}

#[test]
fn times_bear_the_offset_of_the_account() {
    let mut caller = caller(&json!({"zone_hours": -5}));
    let id = open(&mut caller, &json!({}));
    let issue = send(&mut caller, "GET", &format!("3/issue/{id}"), &json!(null));
    assert_eq!(issue.value()["fields"]["created"], "2026-11-02T03:15:30.500-0500");
}

#[test]
fn the_service_user_alone_gets_in_and_the_old_search_is_gone() {
    let mut caller = caller(&json!({}));
    let stranger = caller.get("/jira/rest/api/3/myself");
    assert_eq!(stranger.status, 401);
    assert_eq!(send(&mut caller, "GET", "3/myself", &json!(null)).status, 200);
    assert_eq!(send(&mut caller, "GET", "3/search?jql=project%20%3D%20SOC", &json!(null)).status, 410);
    assert_eq!(send(&mut caller, "GET", "2/myself", &json!(null)).status, 404);
    let unknown = caller.world.at_desk(System::Jira, |desk, _| desk.set(&json!({"indexlag": 1})));
    assert!(unknown.unwrap_err().contains("indexlag"));
}

#[test]
fn people_close_and_reopen_in_common_words() {
    let mut caller = caller(&json!({}));
    let id = open(
        &mut caller,
        &json!({"title": "t", "severity": "low", "tags": ["a"], "owner": "ana@example.org"}),
    );
    let actor = Actor::Human("ana@example.org".to_owned());
    let mut edit = |edit: Value| {
        let done = caller.world.at_desk(System::Jira, |desk, around| desk.edit(&id, &edit, &actor, around));
        done.map(|()| {
            caller.world.desks[&System::Jira].ticket(&id).map_or(Value::Null, |t| t["common"].clone())
        })
    };
    assert!(edit(json!({"verdict": "true-positive"})).is_err(), "an open issue has no resolution");
    let closed = edit(json!({"status": "closed", "verdict": "false-positive", "notes": "noise"})).unwrap();
    assert_eq!((&closed["status"], &closed["verdict"]), (&json!("closed"), &json!("false-positive")));
    assert_eq!((&closed["closing_note"], &closed["owner"]), (&json!("noise"), &json!("ana@example.org")));
    let open = edit(json!({"status": "active", "owner": null, "comment": "again"})).unwrap();
    assert_eq!((&open["verdict"], &open["owner"]), (&Value::Null, &Value::Null));
    assert_eq!(open["comments"].as_array().unwrap().len(), 2);
    assert!(edit(json!({"state": "closed"})).is_err());
}

#[test]
fn closed_issues_can_refuse_edits_and_a_reopening_can_clear_the_resolution() {
    let mut caller = caller(&json!({"closed_readonly": true, "reopen_clears_resolution": true}));
    let id = open(&mut caller, &json!({"status": "closed", "verdict": "true-positive"}));
    let path = format!("3/issue/{id}");
    let edit = json!({"fields": {"summary": "x"}});
    assert_eq!(send(&mut caller, "PUT", &path, &edit).status, 400);
    let reopen = json!({"transition": {"id": "21"}});
    assert_eq!(send(&mut caller, "POST", &format!("{path}/transitions"), &reopen).status, 204);
    assert_eq!(send(&mut caller, "GET", &path, &json!(null)).value()["fields"]["resolution"], json!(null));
    assert_eq!(send(&mut caller, "PUT", &path, &edit).status, 204);
}

#[test]
fn the_key_before_a_move_still_leads_to_the_issue() {
    let mut caller = caller(&json!({}));
    let id = open(&mut caller, &json!({"title": "t"}));
    let former = send(&mut caller, "GET", &format!("3/issue/{id}"), &json!(null)).value()["key"].clone();
    let actor = Actor::Human("ana@example.org".to_owned());
    let edit = json!({"project": "OPS"});
    caller.world.at_desk(System::Jira, |desk, around| desk.edit(&id, &edit, &actor, around)).unwrap();
    let path = format!("3/issue/{}", former.as_str().unwrap());
    let found = send(&mut caller, "GET", &path, &json!(null));
    assert_eq!((&found.value()["id"], &found.value()["key"]), (&json!(id), &json!("OPS-1")));
}

#[test]
fn reconciled_issues_are_judged_fresh() {
    let mut caller = caller(&json!({"index_lag": 60.0}));
    let id: u64 = open(&mut caller, &json!({"title": "t"})).parse().unwrap();
    let ask = |ids: Value| json!({"jql": "project = SOC", "reconcileIssues": ids});
    let stale = send(&mut caller, "POST", "3/search/jql", &ask(json!([])));
    assert_eq!(stale.value()["issues"], json!([]));
    let fresh = send(&mut caller, "POST", "3/search/jql", &ask(json!([id])));
    assert_eq!(fresh.value()["issues"], json!([{"id": id.to_string()}]));
}
