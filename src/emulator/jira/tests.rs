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

const WRONG_PASSWORD: &str = "Basic bG9ja3N0ZXA6ZXhwaXJlZA==";

fn header<'a>(reply: &'a Reply, name: &str) -> Option<&'a str> {
    reply.headers.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str())
}

/// Status and body of what a caller is told who sees no project.
fn told(caller: &mut Caller, who: &str, version: &str, search: &str) -> Vec<(u16, Value)> {
    let id = open(caller, &json!({"title": "t"}));
    let calls = [
        ("GET", "myself".to_owned(), Value::Null),
        ("POST", search.to_owned(), json!({"jql": "labels = x AND updated >= 0"})),
        ("POST", search.to_owned(), json!({"jql": "labels = x AND (project = SOC OR labels = x)"})),
        ("GET", format!("issue/{id}"), Value::Null),
        ("POST", format!("issue/{id}/transitions"), json!({"transition": {"id": "41"}})),
        ("POST", "issue".to_owned(), json!({"fields": new_issue()})),
    ];
    let send = |(method, path, body): (&str, String, Value)| {
        let reply = caller.send_as(who, method, &format!("/jira/rest/api/{version}/{path}"), &body);
        (reply.status, reply.value().clone())
    };
    calls.map(send).to_vec()
}

#[test]
fn cloud_answers_a_stranger_as_if_nothing_were_there() {
    for (who, settings) in [(WRONG_PASSWORD, json!({})), (SERVICE_USER, json!({"anonymous": true}))] {
        let mut caller = caller(&settings);
        let told = told(&mut caller, who, "3", "search/jql");
        assert_eq!(
            told.iter().map(|(status, _)| *status).collect::<Vec<_>>(),
            [401, 200, 400, 404, 404, 400]
        );
        assert_eq!(told[1].1, json!({"issues": [], "isLast": true}));
        assert_eq!(
            told[2].1["errorMessages"],
            json!(["The value 'SOC' does not exist for the field 'project'."])
        );
        assert_eq!(told[5].1["errors"], json!({"project": "valid project is required"}));
        let reply = caller.send_as(who, "GET", "/jira/rest/api/3/issue/9", &Value::Null);
        assert_eq!(header(&reply, "x-seraph-loginreason"), Some("AUTHENTICATED_FAILED"));
        // As of an issue that was deleted.
        assert_eq!(reply.value(), &told[3].1);
        assert_eq!(caller.world.ledger.entries().len(), 1, "nothing was written but the issue itself");
    }
}

#[test]
fn who_lost_the_project_is_known_and_sees_nothing() {
    let mut cloud = caller(&json!({"project_lost": true}));
    let told_by_cloud = told(&mut cloud, SERVICE_USER, "3", "search/jql");
    assert_eq!(told_by_cloud.iter().map(|(s, _)| *s).collect::<Vec<_>>(), [200, 200, 400, 404, 404, 400]);
    let reply = send(&mut cloud, "GET", "3/issue/9", &json!(null));
    assert_eq!(header(&reply, "x-seraph-loginreason"), None);
    let mut center = caller(&json!({"project_lost": true, "deployment": "data-center"}));
    let told_by_center = told(&mut center, SERVICE_USER, "2", "search");
    assert_eq!(told_by_center.iter().map(|(s, _)| *s).collect::<Vec<_>>(), [200, 200, 400, 403, 403, 400]);
}

#[test]
fn data_center_tells_strangers_to_log_in() {
    let mut caller = caller(&json!({"anonymous": true, "deployment": "data-center"}));
    let told = told(&mut caller, SERVICE_USER, "2", "search");
    assert_eq!(told.iter().map(|(s, _)| *s).collect::<Vec<_>>(), [401, 200, 400, 401, 401, 400]);
    assert_eq!(told[1].1["total"], 0);
    let reply = send(&mut caller, "GET", "2/issue/9", &json!(null));
    assert_eq!(header(&reply, "x-ausername"), Some("anonymous"));
}

#[test]
fn a_blocked_close_is_hidden_or_refused_and_names_no_field() {
    let mut caller = caller(&json!({"blocked": "not-offered"}));
    let id = open(&mut caller, &json!({"title": "t"}));
    let path = format!("3/issue/{id}/transitions");
    let mut offers = |query: &str| {
        let reply = send(&mut caller, "GET", &format!("{path}{query}"), &json!(null));
        let rows = reply.value()["transitions"].as_array().cloned().unwrap_or_default();
        rows.iter().map(|row| (row["id"].clone(), row["isAvailable"].clone())).collect::<Vec<_>>()
    };
    assert!(!offers("").iter().any(|(id, _)| id == "41"));
    assert!(offers("?includeUnavailableTransitions=true").contains(&(json!("41"), json!(false))));
    let close = json!({"transition": {"id": "41"}, "fields": {"resolution": {"name": "Done"}}});
    assert_eq!(send(&mut caller, "POST", &path, &close).status, 400);
    caller.world.at_desk(System::Jira, |desk, _| desk.set(&json!({"blocked": "refused"}))).unwrap();
    let refused = send(&mut caller, "POST", &path, &close);
    assert_eq!((refused.status, &refused.value()["errors"]), (400, &json!({})));
    caller.world.at_desk(System::Jira, |desk, _| desk.set(&json!({"blocked": "off"}))).unwrap();
    assert_eq!(send(&mut caller, "POST", &path, &close).status, 204);
}

#[test]
fn metadata_can_leave_out_what_a_transition_demands() {
    let mut caller = caller(&json!({"hidden_fields": ["resolution"]}));
    let id = open(&mut caller, &json!({"title": "t"}));
    let path = format!("3/issue/{id}/transitions");
    let shown = send(&mut caller, "GET", &format!("{path}?expand=transitions.fields"), &json!(null));
    assert!(!shown.value().to_string().contains("\"resolution\""), "{}", shown.value());
    let bare = send(&mut caller, "POST", &path, &json!({"transition": {"id": "41"}}));
    assert_eq!(bare.value()["errors"], json!({"resolution": "resolution is required."}));
    let whole = json!({"transition": {"id": "41"}, "fields": {"resolution": {"name": "Done"}}});
    assert_eq!(send(&mut caller, "POST", &path, &whole).status, 204);
}
