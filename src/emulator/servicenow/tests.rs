//! What the emulator must not be kinder about than the real service.

use serde_json::{Value, json};

use super::*;
use crate::emulator::ledger::What;
use crate::emulator::testing::{Caller, SERVICE_USER};

struct Instance(Caller);

impl Instance {
    fn new(settings: &Value) -> Self {
        let mut instance = Self(Caller::new());
        instance.desk(|desk, _| desk.set(settings)).unwrap();
        instance
    }

    fn desk<T>(&mut self, act: impl FnOnce(&mut dyn Desk, &mut Surroundings<'_>) -> T) -> T {
        self.0.world.at_desk(SYSTEM, act)
    }

    fn send(&mut self, method: &str, target: &str, body: &Value) -> Reply {
        self.0.send_as(SERVICE_USER, method, &format!("/servicenow/api/now/table/{target}"), body)
    }

    fn rows(&mut self, target: &str) -> Vec<Value> {
        self.send("GET", target, &Value::Null).value()["result"].as_array().unwrap().clone()
    }

    fn open(&mut self, seed: &Value) -> String {
        self.desk(|desk, around| desk.open(seed, &Actor::Human("ana@example.org".to_owned()), around))
            .unwrap()
    }

    fn edit(&mut self, id: &str, edit: &Value) -> Result<(), Refusal> {
        self.desk(|desk, around| desk.edit(id, edit, &Actor::Human("ana@example.org".to_owned()), around))
    }
}

fn header<'r>(reply: &'r Reply, name: &str) -> Option<&'r str> {
    reply.headers.iter().find(|(own, _)| *own == name).map(|(_, value)| value.as_str())
}

#[test]
fn every_value_is_a_text_and_a_bad_part_of_a_query_is_dropped() {
    let mut it = Instance::new(&json!({}));
    it.open(&json!({"title": "a", "severity": "high"}));
    it.open(&json!({"title": "b"}));
    let rows = it.rows("incident?sysparm_query=short_description=a^nosuch=1");
    assert_eq!(rows.len(), 1);
    assert!(rows[0].as_object().unwrap().values().all(Value::is_string));
    assert_eq!((&rows[0]["priority"], &rows[0]["sys_mod_count"]), (&json!("1"), &json!("0")));
    assert_eq!(it.rows("incident?sysparm_query=nosuch=1").len(), 3, "all of them");
    it.desk(|desk, _| desk.set(&json!({"strict_queries": true}))).unwrap();
    assert_eq!(it.rows("incident?sysparm_query=nosuch=1").len(), 0);
    assert!(it.desk(|desk, _| desk.set(&json!({"nosuch": 1}))).is_err());
}

#[test]
fn the_limit_counts_rows_before_access_rules() {
    let mut it = Instance::new(&json!({}));
    for n in 0..5 {
        it.open(&json!({"title": n.to_string(), "hidden": n < 2}));
    }
    let target = "incident?sysparm_limit=2&sysparm_query=ORDERBYshort_description";
    let reply = it.send("GET", target, &Value::Null);
    assert_eq!(reply.value()["result"], json!([]));
    assert_eq!(header(&reply, "x-total-count"), Some("6"));
    assert!(header(&reply, "link").unwrap().contains("sysparm_offset=2>;rel=\"next\""));
    let last = it.send("GET", &format!("{target}&sysparm_offset=4"), &Value::Null);
    assert!(!header(&last, "link").unwrap().contains("rel=\"next\""));
}

#[test]
fn closing_demands_code_and_notes_and_closed_is_final() {
    let mut it = Instance::new(&json!({}));
    let id = it.open(&json!({"title": "a"}));
    let target = format!("incident/{id}");
    let refused = it.send("PATCH", &target, &json!({"state": "6"}));
    assert_eq!(refused.status, 403);
    let detail = refused.value()["error"]["detail"].as_str().unwrap();
    assert!(detail.contains("mandatory: Resolution code, Resolution notes"), "{detail}");
    let done =
        it.send("PATCH", &target, &json!({"state": "6", "close_code": "Known error", "close_notes": "n"}));
    assert_eq!((done.status, &done.value()["result"]["state"]), (200, &json!("6")));
    assert_eq!(it.send("PATCH", &target, &json!({"state": "2"})).status, 200);
    it.edit(&id, &json!({"state": "7"})).unwrap();
    assert_eq!(it.send("PATCH", &target, &json!({"state": "2"})).status, 403);
    assert_eq!(it.send("PATCH", &target, &json!({"state": "3"})).status, 403);
}

#[test]
fn a_write_that_changes_nothing_counts_nothing() {
    let mut it = Instance::new(&json!({"readonly_fields": ["impact"]}));
    let id = it.open(&json!({"title": "a"}));
    let reply =
        it.send("PATCH", &format!("incident/{id}"), &json!({"impact": "1", "short_description": "a"}));
    assert_eq!((reply.status, &reply.value()["result"]["sys_mod_count"]), (200, &json!("0")));
    assert!(!it.0.world.ledger.entries().last().unwrap().is_effective());
}

#[test]
fn journal_fields_read_empty_and_their_entries_have_a_table() {
    let mut it = Instance::new(&json!({}));
    let id = it.open(&json!({"title": "a"}));
    let reply = it.send("PATCH", &format!("incident/{id}"), &json!({"work_notes": "hello"}));
    assert!(reply.value()["result"].get("work_notes").is_none_or(|text| text == ""));
    let rows = it.rows(&format!("sys_journal_field?sysparm_query=element_id={id}"));
    assert_eq!((&rows[0]["value"], &rows[0]["sys_created_by"]), (&json!("hello"), &json!("lockstep")));
    assert!(matches!(it.0.world.ledger.entries().last().unwrap().what, What::Commented { .. }));
}

#[test]
fn resolved_incidents_close_by_themselves_from_either_basis() {
    for (by_update, state) in [(false, "7"), (true, "6")] {
        let mut it = Instance::new(&json!({"autoclose_by_update": by_update}));
        let id = it.open(&json!({"title": "a"}));
        it.edit(&id, &json!({"status": "closed"})).unwrap();
        it.0.advance(6.0 * 86_400.0);
        it.edit(&id, &json!({"comment": "still here"})).unwrap();
        it.0.advance(2.0 * 86_400.0);
        let reply = it.send("GET", &format!("incident/{id}"), &Value::Null);
        assert_eq!(reply.value()["result"]["state"], state, "by update: {by_update}");
    }
}

#[test]
fn fields_and_rules_can_be_switched() {
    let mut it = Instance::new(&json!({"hidden_fields": ["correlation_id"]}));
    let id = it.open(&json!({"title": "a", "key": "lockstep-1"}));
    let target = format!("incident/{id}");
    let shown = it.send("GET", &target, &Value::Null).value()["result"].clone();
    assert!(shown.get("correlation_id").is_none() && shown["short_description"] == "a", "{shown}");
    for (settings, change) in [
        (json!({"hold_reason": false}), json!({"state": "3"})),
        (json!({"data_policy": false}), json!({"state": "6"})),
    ] {
        assert_eq!(it.send("PATCH", &target, &change).status, 403, "{change}");
        it.desk(|desk, _| desk.set(&settings)).unwrap();
        assert_eq!(it.send("PATCH", &target, &change).status, 200, "{settings}");
    }
}

#[test]
fn what_a_column_cannot_hold_is_cut_off_in_silence() {
    let mut it = Instance::new(&json!({}));
    let body = json!({"short_description": "é".repeat(200), "correlation_id": "k".repeat(101)});
    let made = it.send("POST", "incident", &body);
    let shown = &made.value()["result"];
    assert_eq!((made.status, shown["short_description"].as_str().unwrap().chars().count()), (201, 160));
    assert_eq!(shown["correlation_id"], "k".repeat(100));
}

#[test]
fn a_change_without_an_id_opens_nothing() {
    let mut it = Instance::new(&json!({}));
    assert_eq!(it.send("PATCH", "incident", &json!({"short_description": "x"})).status, 405);
    assert_eq!(it.rows("incident").len(), 1, "somebody else's");
}

#[test]
fn the_rate_rule_counts_by_the_hour() {
    let mut it = Instance::new(&json!({"rate_per_hour": 2}));
    for _ in 0..2 {
        assert_eq!(it.send("GET", "incident", &Value::Null).status, 200);
    }
    let refused = it.send("GET", "incident", &Value::Null);
    assert_eq!(refused.status, 429);
    assert!(header(&refused, "retry-after").is_some() && header(&refused, "x-ratelimit-limit") == Some("2"));
    it.0.advance(3_600.0);
    assert_eq!(it.send("GET", "incident", &Value::Null).status, 200);
}

#[test]
fn display_values_are_local_and_values_are_utc() {
    let mut it = Instance::new(&json!({}));
    let id = it.open(&json!({"title": "a"}));
    let target = format!("incident/{id}?sysparm_fields=sys_created_on&sysparm_display_value=all");
    let shown = it.send("GET", &target, &Value::Null).value()["result"]["sys_created_on"].clone();
    assert_eq!(shown, json!({"display_value": "2026-11-02 00:15:30", "value": "2026-11-02 08:15:30"}));
}

#[test]
fn common_words_come_back() {
    for table in ["incident", "sn_si_incident"] {
        let mut it = Instance::new(&json!({"table": table}));
        let id = it.open(
            &json!({"title": "T", "severity": "medium", "owner": "bo@example.org", "key": "lockstep-1"}),
        );
        it.edit(&id, &json!({"status": "closed", "verdict": "false-positive", "notes": "n", "comment": "c"}))
            .unwrap();
        let common = it.desk(|desk, _| desk.ticket(&id)).unwrap()["common"].clone();
        let expected = json!({
            "status": "closed", "verdict": "false-positive", "severity": "medium", "title": "T",
            "owner": "bo@example.org", "tags": [], "key": "lockstep-1", "closing_note": "n",
            "comments": [{"author": "ana@example.org", "text": "c", "internal": true}],
        });
        assert_eq!(common, expected);
        it.edit(&id, &json!({"owner": null, "status": "active"})).unwrap();
        let common = it.desk(|desk, _| desk.ticket(&id)).unwrap()["common"].clone();
        assert_eq!(
            (&common["owner"], &common["verdict"], &common["status"]),
            (&json!(null), &json!(null), &json!("active"))
        );
        it.edit(&id, &json!({"delete": true})).unwrap();
        assert!(it.desk(|desk, _| desk.ids()).is_empty());
        assert!(it.edit(&id, &json!({"nosuch": 1})).is_err());
    }
}
