//! The unpleasant ways of the service, without a network.

use serde_json::{Value, json};

use super::super::faults::{Fault, FaultKind};
use super::super::ledger::{Api, System, What};
use super::super::testing;
use super::super::wire::Reply;
use super::super::world::World;
use super::*;

struct Caller(testing::Caller);

impl Caller {
    fn new() -> Self {
        Self(testing::Caller::new())
    }

    fn call(&mut self, method: &str, path: &str, etag: Option<&str>, body: &Value) -> Reply {
        self.0.headers = etag.map(|etag| ("if-match".to_owned(), etag.to_owned())).into_iter().collect();
        self.0.send_as("token emulator-secret", method, &format!("/request-tracker/REST/2.0{path}"), body)
    }

    fn get(&mut self, path: &str) -> Reply {
        self.call("GET", path, None, &Value::Null)
    }

    fn put(&mut self, body: &Value) -> Value {
        self.call("PUT", "/ticket/1", None, body).value().clone()
    }

    fn create(&mut self, body: &Value) -> Reply {
        let mut all = json!({"Queue": "SOC", "Subject": "s", "Content": "c", "ContentType": "text/plain"});
        all.as_object_mut().unwrap().extend(body.as_object().unwrap().clone());
        self.call("POST", "/ticket", None, &all)
    }

    fn set(&mut self, settings: &Value) {
        self.0.world.at_desk(System::RequestTracker, |desk, _| desk.set(settings)).unwrap();
    }

    fn edit(&mut self, id: &str, edit: &Value) {
        let actor = Actor::Human("ana@example.org".to_owned());
        self.0
            .world
            .at_desk(System::RequestTracker, |desk, around| desk.edit(id, edit, &actor, around))
            .unwrap();
    }

    fn count(&mut self, query: &str) -> Value {
        self.get(&format!("/tickets?query={query}")).value()["count"].clone()
    }
}

#[test]
fn keys_are_dropped_in_silence() {
    let mut caller = Caller::new();
    assert_eq!(caller.create(&json!({"CustomFields": {"Nope": "x"}})).status, 201);
    caller.set(&json!({"drop_fields": true}));
    assert_eq!(caller.create(&json!({"CustomFields": {"Lockstep Key": "lockstep-1"}})).status, 201);
    assert_eq!(caller.count("CF.{Lockstep Key} = 'lockstep-1'"), 0);
    assert_eq!(caller.count("CF.{Nope} = 'x'"), 0);
    assert_eq!(caller.get("/tickets?query=Nope = 'x'").status, 400);
}

#[test]
fn refusals_are_sentences() {
    let mut caller = Caller::new();
    caller.create(&json!({}));
    let said = caller.put(&json!({"Status": "bogus", "Subject": "t", "Owner": "ana@example.org"}));
    let expected = json!([
        "Ticket 1: That user does not exist",
        "Ticket 1: Status 'bogus' isn't a valid status for this ticket.",
        "Ticket 1: Subject changed from 's' to 't'",
    ]);
    assert_eq!(said, expected);
    assert_eq!(caller.put(&json!({"Status": "deleted"})), json!(["Ticket 1: Permission Denied"]));
    assert_eq!(caller.put(&json!({"Subject": "t", "Nope": 1})), json!([]));
    let last = caller.0.world.ledger.entries().last().unwrap().clone();
    assert_eq!(last.what, What::Ineffective);
    assert_eq!(caller.call("DELETE", "/ticket/1", None, &Value::Null).status, 500);
}

#[test]
fn conditions_hold_for_changes_and_never_for_comments() {
    let mut caller = Caller::new();
    caller.create(&json!({}));
    let etag = caller.get("/ticket/1").headers.iter().find(|(name, _)| *name == "etag").unwrap().1.clone();
    let change = |subject: &str| json!({"Subject": subject});
    assert_eq!(caller.call("PUT", "/ticket/1", Some(&etag), &change("a")).status, 200);
    assert_eq!(caller.call("PUT", "/ticket/1", Some(&etag), &change("b")).status, 412);
    caller.set(&json!({"lost_races": 1}));
    assert_eq!(caller.call("PUT", "/ticket/1", Some(&etag), &change("c")).status, 200);
    let comment = json!({"Content": "x", "ContentType": "text/plain"});
    assert_eq!(caller.call("POST", "/ticket/1/comment", Some("\"1\""), &comment).status, 412);
    assert_eq!(caller.call("POST", "/ticket/1/comment", Some("*"), &comment).status, 201);
}

#[test]
fn a_reply_reopens_and_a_comment_does_not() {
    let mut caller = Caller::new();
    caller.create(&json!({}));
    caller.put(&json!({"Status": "resolved"}));
    let text = json!({"Content": "x", "ContentType": "text/plain"});
    caller.call("POST", "/ticket/1/comment", None, &text);
    assert_eq!(caller.get("/ticket/1").value()["Status"], "resolved");
    caller.call("POST", "/ticket/1/correspond", None, &text);
    let ticket = caller.get("/ticket/1");
    assert_eq!(ticket.value()["Status"], "open");
    assert_ne!(ticket.value()["Resolved"], "1970-01-01T00:00:00Z", "the date survives");
    assert_eq!(caller.0.world.ledger.entries().last().unwrap().actor, "service");
}

#[test]
fn a_reply_opens_a_new_ticket_by_the_systems_own_hand() {
    let mut caller = Caller::new();
    caller.create(&json!({}));
    let text = json!({"Content": "x", "ContentType": "text/plain"});
    caller.call("POST", "/ticket/1/comment", None, &text);
    assert_eq!(caller.get("/ticket/1").value()["Status"], "new");
    caller.call("POST", "/ticket/1/correspond", None, &text);
    let ticket = caller.get("/ticket/1");
    assert_eq!(
        (&ticket.value()["Status"], &ticket.value()["LastUpdatedBy"]["id"]),
        (&json!("open"), &json!("lockstep"))
    );
    let history = caller.get("/ticket/1/history?fields=Type,OldValue,Creator");
    let last = history.value()["items"].as_array().unwrap().last().unwrap().clone();
    assert_eq!((&last["OldValue"], &last["Creator"]["id"]), (&json!("new"), &json!("RT_System")));
}

#[test]
fn a_ticket_is_closed_after_what_it_depends_on() {
    let mut caller = Caller::new();
    (0..2).for_each(|_| drop(caller.create(&json!({}))));
    assert_eq!(caller.put(&json!({"DependsOn": "2"})), json!(["Ticket 1 depends on Ticket 2."]));
    let said = caller.put(&json!({"Status": "resolved"}));
    assert_eq!(said, json!(["Ticket 1: That ticket has unresolved dependencies"]));
    caller.edit("2", &json!({"status": "closed"}));
    assert_eq!(
        caller.put(&json!({"Status": "resolved"})),
        json!(["Ticket 1: Status changed from 'new' to 'resolved'"])
    );
}

#[test]
fn who_may_not_see_tickets_is_shown_empty_lists() {
    let mut caller = Caller::new();
    caller.create(&json!({}));
    caller.set(&json!({"lacks": ["ShowTicket"]}));
    for path in ["/tickets?query=id = 1", "/transactions?query=id > 0", "/ticket/1/history"] {
        let reply = caller.get(path);
        assert_eq!((reply.status, &reply.value()["count"]), (200, &json!(0)), "{path}");
    }
    assert_eq!(caller.get("/ticket/1").status, 403);
    assert_eq!(caller.create(&json!({})).status, 201);
    caller.set(&json!({"lacks": [], "anonymous": true}));
    let reply = caller.get("/rt");
    assert_eq!((reply.status, reply.value()), (401, &json!({"message": "Unauthorized"})));
}

#[test]
fn merged_and_deleted_tickets_hide_from_searches() {
    let mut caller = Caller::new();
    for _ in 0..3 {
        caller.create(&json!({}));
    }
    caller.edit("2", &json!({"merge_into": 1}));
    caller.edit("3", &json!({"delete": true}));
    assert_eq!(caller.get("/ticket/2").value()["id"], 1);
    assert_eq!(caller.get("/ticket/3").value()["Status"], "deleted");
    assert_eq!(caller.count("id > 0"), 1);
    let feed = caller.get("/transactions?query=ObjectId > 1&fields=Type,Field,NewValue,ObjectId&orderby=id");
    let rows = feed.value()["items"].as_array().unwrap().clone();
    let told: Vec<(&str, &str)> =
        rows.iter().map(|row| (row["ObjectId"].as_str().unwrap(), row["Type"].as_str().unwrap())).collect();
    assert_eq!(told, [("2", "Create"), ("3", "Create"), ("2", "AddLink"), ("3", "Status")]);
    assert!(feed.value()["total"].is_null());
}

#[test]
fn merges_do_not_go_round_and_edits_follow_them() {
    let mut caller = Caller::new();
    for _ in 0..2 {
        caller.create(&json!({}));
    }
    caller.edit("2", &json!({"merge_into": 1}));
    let said = caller.put(&json!({"MergeInto": 2}));
    assert_eq!(said, json!(["Can't merge a ticket into itself"]));
    caller.edit("2", &json!({"title": "through the merged one"}));
    assert_eq!(caller.get("/ticket/2").value()["id"], 1);
    assert_eq!(caller.get("/ticket/1").value()["Subject"], "through the merged one");
}

#[test]
fn comments_and_mail_show_to_those_with_the_right() {
    let mut caller = Caller::new();
    caller.create(&json!({}));
    caller.edit("1", &json!({"comment": "c"}));
    for (comments, mail, count) in [(true, false, 2), (true, true, 3), (false, false, 1)] {
        caller.set(&json!({"show_comments": comments, "show_mail": mail}));
        assert_eq!(caller.get("/ticket/1/history").value()["count"], count, "{comments} {mail}");
    }
}

#[test]
fn a_stale_read_shows_the_state_before() {
    let mut caller = Caller::new();
    caller.create(&json!({}));
    caller.put(&json!({"Subject": "t"}));
    let fault = Fault::new(FaultKind::StaleRead).on(Api::RequestTracker, "get-ticket");
    caller.0.world.faults.add(fault);
    assert_eq!(caller.get("/ticket/1").value()["Subject"], "s");
    assert_eq!(caller.get("/ticket/1").value()["Subject"], "t");
    for (operation, path) in
        [("list-comments", "/ticket/1/history"), ("list-tickets", "/transactions?query=id > 0")]
    {
        caller.0.world.faults.add(Fault::new(FaultKind::StaleRead).on(Api::RequestTracker, operation));
        assert_eq!(caller.get(path).value()["count"], 1, "without the last change");
        assert_eq!(caller.get(path).value()["count"], 2);
    }
}

#[test]
fn unknown_words_are_refused() {
    let mut caller = Caller::new();
    let actor = Actor::Human("ana".to_owned());
    let odd = json!({"colour": "red"});
    let refused =
        caller.0.world.at_desk(System::RequestTracker, |desk, around| desk.open(&odd, &actor, around));
    assert!(refused.unwrap_err().message.contains("colour"));
    let desk =
        |world: &mut World, settings: &Value| world.at_desk(System::RequestTracker, |d, _| d.set(settings));
    assert!(desk(&mut caller.0.world, &json!({"zone": 3})).unwrap_err().contains("zone"));
}

#[test]
fn tickets_are_shown_in_common_words() {
    let mut caller = Caller::new();
    let actor = Actor::Human("ana@example.org".to_owned());
    let seed = json!({"title": "t", "status": "closed", "verdict": "false-positive", "severity": "high",
        "owner": "bob@example.org", "notes": "done", "key": "lockstep-1", "comment": "c"});
    let id = caller
        .0
        .world
        .at_desk(System::RequestTracker, |desk, around| desk.open(&seed, &actor, around))
        .unwrap();
    let common = caller.0.world.desks[&System::RequestTracker].ticket(&id).unwrap()["common"].clone();
    let comment = common["comments"][0].clone();
    assert_eq!(
        (&comment["author"], &comment["text"], &comment["internal"]),
        (&json!("ana"), &json!("c"), &json!(true))
    );
    for (word, value) in seed.as_object().unwrap() {
        let shown = match word.as_str() {
            "comment" => continue,
            "notes" => &common["closing_note"],
            word => &common[word],
        };
        assert_eq!(shown, value, "{word}");
    }
}
