//! TheHive as callers see it.

use serde_json::{Value, json};

use super::super::faults::{Fault, FaultKind};
use super::super::ledger::{Actor, Api, System, What};
use super::super::testing::Caller;
use super::super::wire::Reply;

const KEY: &str = "lockstep-00aa";

struct Rig(Caller);

impl Rig {
    fn new() -> Self {
        Self(Caller::new())
    }

    fn send(&mut self, method: &str, path: &str, body: &Value) -> Reply {
        self.0.send_as("Bearer emulator-secret", method, &format!("/thehive/api/v1/{path}"), body)
    }

    fn query(&mut self, steps: &Value) -> Reply {
        self.send("POST", "query", &json!({"query": steps}))
    }

    fn set(&mut self, settings: &Value) {
        self.0.world.at_desk(System::TheHive, |desk, _| desk.set(settings)).unwrap();
    }

    fn person(&mut self, id: &str, edit: &Value) {
        let actor = Actor::Human("ana@example.org".to_owned());
        self.0.world.at_desk(System::TheHive, |desk, around| desk.edit(id, edit, &actor, around)).unwrap();
    }

    /// An alert and the case made of it.
    fn case(&mut self) -> (String, String) {
        let alert = self.send("POST", "alert", &alert());
        let alert = alert.value()["_id"].as_str().unwrap().to_owned();
        let case = self.send("POST", &format!("alert/{alert}/case"), &json!({}));
        assert_eq!(case.status, 201);
        (alert, case.value()["_id"].as_str().unwrap().to_owned())
    }
}

fn alert() -> Value {
    json!({"type": "lockstep", "source": "lockstep", "sourceRef": KEY, "title": "One", "description": "D",
           "tags": [KEY], "severity": 3})
}

#[test]
fn an_alert_is_unique_and_a_case_is_not() {
    let mut rig = Rig::new();
    let (alert_id, case) = rig.case();
    let again = rig.send("POST", "alert", &alert());
    assert_eq!((again.status, again.value()["type"].as_str()), (400, Some("CreateError")));
    assert!(again.value()["message"].as_str().unwrap().contains("already exists"));
    let twice = rig.send("POST", &format!("alert/{alert_id}/case"), &json!({}));
    assert_eq!(twice.status, 201, "older versions import an alert again");
    assert_ne!(twice.value()["_id"], case.as_str());
    rig.set(&json!({"promotes_twice": false}));
    assert_eq!(rig.send("POST", &format!("alert/{alert_id}/case"), &json!({})).status, 400);
    let long =
        json!({"type": "x".repeat(33), "source": "s", "sourceRef": "r", "title": "t", "description": "d"});
    assert_eq!(rig.send("POST", "alert", &long).status, 400);
}

#[test]
fn whoever_opens_a_case_has_it_and_a_patch_shows_nothing() {
    let mut rig = Rig::new();
    let (_, case) = rig.case();
    let before = rig.send("GET", &format!("case/{case}"), &Value::Null);
    assert_eq!(before.value()["assignee"], "lockstep");
    assert!(before.value().get("_updatedAt").is_none(), "absent until the first update");
    let patch = rig.send("PATCH", &format!("case/{case}"), &json!({"severity": 1, "addTags": ["vip"]}));
    assert_eq!((patch.status, patch.value()), (204, &Value::Null));
    rig.send("PATCH", &format!("case/{case}"), &json!({"severity": 1}));
    let last = rig.0.world.ledger.entries().last().unwrap().what.clone();
    assert_eq!(last, What::Ineffective, "nothing changed");
    for wrong in
        [json!({"severity": 5}), json!({"status": "Done"}), json!({"nonsense": 1}), json!({"title": " "})]
    {
        assert_eq!(rig.send("PATCH", &format!("case/{case}"), &wrong).status, 400, "{wrong}");
    }
    let nobody = rig.send("PATCH", &format!("case/{case}"), &json!({"assignee": "eve@elsewhere.example"}));
    assert_eq!(nobody.status, 404);
}

#[test]
fn closing_wants_mandatory_fields_and_reopening_a_permission() {
    let mut rig = Rig::new();
    let (_, case) = rig.case();
    let path = format!("case/{case}");
    rig.set(&json!({"mandatory_fields": ["unit"], "may_reopen": false}));
    assert_eq!(rig.send("PATCH", &path, &json!({"status": "TruePositive"})).status, 400);
    let fields = json!([{"name": "unit", "value": "SOC"}]);
    let close = json!({"status": "TruePositive", "customFields": fields});
    assert_eq!(rig.send("PATCH", &path, &close).status, 204);
    let closed = rig.send("GET", &path, &Value::Null).value().clone();
    assert_eq!((closed["stage"].as_str(), closed["closedDate"].is_i64()), (Some("Closed"), true));
    assert_eq!(rig.send("PATCH", &path, &json!({"status": "InProgress"})).status, 403);
    rig.person(&case, &json!({"status": "active"}));
    rig.0.advance(60.0);
    rig.person(&case, &json!({"status": "closed", "verdict": "false-positive"}));
    let again = rig.send("GET", &path, &Value::Null).value().clone();
    assert_eq!(again["closedDate"], closed["closedDate"], "the first closing");
    assert_ne!(again["endDate"], closed["endDate"], "the last");
}

#[test]
fn lists_lag_and_comments_do_not_move_their_case() {
    let mut rig = Rig::new();
    let list = json!([{"_name": "listCase"}]);
    let (_, case) = rig.case();
    assert_eq!(rig.query(&list).value(), &json!([]), "the index does not show it yet");
    rig.0.advance(1.0);
    assert_eq!(rig.query(&list).value().as_array().unwrap().len(), 1);
    let comment = rig.send("POST", &format!("case/{case}/comment"), &json!({"message": "hello"}));
    assert_eq!((comment.status, comment.value()["createdBy"].as_str()), (201, Some("lockstep")));
    let shown = rig.send("GET", &format!("case/{case}"), &Value::Null);
    assert!(shown.value().get("_updatedAt").is_none());
    rig.0.advance(1.0);
    let links =
        json!([{"_name": "listComment"}, {"_name": "page", "from": 0, "to": 9, "extraData": ["links"]}]);
    let listed = rig.query(&links).value().clone();
    assert_eq!(listed[0]["extraData"]["links"]["case"]["_id"], case.as_str());
    let plain = rig.query(&json!([{"_name": "getCase", "idOrName": case}, {"_name": "comments"}]));
    assert_eq!(plain.value()[0]["extraData"], json!({}));
    rig.0.world.faults.add(Fault::new(FaultKind::StaleRead).on(Api::TheHive, "list-comments"));
    let stale = rig.query(&json!([{"_name": "getCase", "idOrName": case}, {"_name": "comments"}]));
    assert_eq!(stale.value(), &json!([]));
    rig.set(&json!({"comment_moves_case": true}));
    rig.person(&case, &json!({"comment": "more"}));
    assert!(rig.send("GET", &format!("case/{case}"), &Value::Null).value()["_updatedAt"].is_i64());
}

#[test]
fn pages_are_no_longer_than_the_cap() {
    let mut rig = Rig::new();
    let (alert, _) = rig.case();
    rig.send("POST", &format!("alert/{alert}/case"), &json!({}));
    rig.0.advance(1.0);
    let page = json!([{"_name": "listCase"}, {"_name": "page", "from": 0, "to": 9}]);
    for (cap, count) in [(9, 2), (1, 1)] {
        rig.set(&json!({"page_cap": cap}));
        assert_eq!(rig.query(&page).value().as_array().map(Vec::len), Some(count));
    }
}

#[test]
fn a_merge_makes_a_new_case_and_a_deletion_frees_the_alert() {
    let mut rig = Rig::new();
    let (alert, case) = rig.case();
    let actor = Actor::Human("ben@example.org".to_owned());
    let seed = json!({"title": "Two", "tags": ["x"]});
    let opened = rig.0.world.at_desk(System::TheHive, |desk, around| desk.open(&seed, &actor, around));
    rig.person(&case, &json!({"merge_into": opened.unwrap()}));
    assert_eq!(rig.send("GET", &format!("case/{case}"), &Value::Null).status, 404);
    let found = rig.query(&json!([{"_name": "getAlert", "idOrName": format!("lockstep;lockstep;{KEY}")}]));
    let merged = found.value()[0]["caseId"].as_str().unwrap().to_owned();
    let shown = rig.send("GET", &format!("case/{merged}"), &Value::Null).value().clone();
    assert_eq!((shown["title"].as_str(), shown["tags"].clone()), (Some("One / Two"), json!([KEY, "x"])));
    rig.person(&merged, &json!({"delete": true}));
    let found = rig.query(&json!([{"_name": "getAlert", "idOrName": alert}]));
    assert!(found.value()[0].get("caseId").is_none());
}

#[test]
fn strangers_stay_outside_and_unknown_settings_are_errors() {
    let mut rig = Rig::new();
    assert_eq!(rig.0.get("/thehive/api/v1/user/current").status, 401);
    let wrong = rig.0.world.at_desk(System::TheHive, |desk, _| desk.set(&json!({"kind": true})));
    assert!(wrong.unwrap_err().contains("kind"));
}

#[test]
fn who_sees_nothing_is_told_that_there_is_nothing() {
    let mut rig = Rig::new();
    let (_, case) = rig.case();
    let list = json!([{"_name": "listCase"}, {"_name": "page", "from": 0, "to": 9}]);
    for settings in [json!({"acts_in": "other"}), json!({"acts_in": "soc", "index_empty": true})] {
        rig.set(&settings);
        assert_eq!(rig.query(&list).value(), &json!([]), "{settings}");
    }
    assert_eq!(rig.send("GET", &format!("case/{case}"), &Value::Null).status, 200, "by id from the database");
    rig.set(&json!({"acts_in": "other"}));
    let reply = rig.send("GET", &format!("case/{case}"), &Value::Null);
    let expected = json!({"type": "NotFoundError", "message": format!("Case {case} not found")});
    assert_eq!((reply.status, reply.value()), (404, &expected));
    rig.set(&json!({"anonymous": true}));
    assert_eq!(rig.send("GET", "user/current", &Value::Null).status, 401);
}

#[test]
fn a_member_may_be_refused_with_its_name_or_without() {
    let mut rig = Rig::new();
    let (_, case) = rig.case();
    rig.set(&json!({"refuses": ["title"]}));
    let change =
        |rig: &mut Rig| rig.send("PATCH", &format!("case/{case}"), &json!({"title": "x", "severity": 1}));
    let reply = change(&mut rig);
    assert_eq!((reply.status, &reply.value()["message"]), (400, &json!("title is not accepted")));
    rig.set(&json!({"names_refused": false}));
    assert_eq!(change(&mut rig).value()["message"], "the request is not accepted");
    rig.set(&json!({"lacks": ["manageCase/update"]}));
    assert_eq!(change(&mut rig).status, 403);
}
