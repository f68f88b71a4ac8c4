//! The connector against rules that refuse a part of a write, or make something else of it, over real HTTP: the close
//! arrives, and what does not is told.

use serde_json::json;

use super::against_emulator_tests::{ANA, Rig, opening, planned, text};
use super::*;
use crate::connectors::Declined;
use crate::model::{Field, Native};

const BO: &str = "bo@example.org";
const CLOSE: [(Field, &str); 2] = [(Field::Status, "6"), (Field::Verdict, "Known error")];

fn fields(declined: &[Declined]) -> Vec<Field> {
    declined.iter().map(|declined| declined.field).collect()
}

#[tokio::test]
async fn a_field_that_is_refused_by_name_is_left_and_the_close_arrives() {
    let rig = Rig::new();
    let made = rig.create(1).await.unwrap();
    rig.set(&json!({"refused_fields": ["assigned_to", "urgency"]}));
    let wanted = [&CLOSE[..], &[(Field::Owner, BO), (Field::Title, "T2"), (Field::Severity, "1/1")]].concat();
    let written = rig.update(&made.record, &wanted, Some("n")).await.unwrap();
    assert_eq!(fields(&written.declined), [Field::Owner, Field::Severity]);
    assert!(written.declined[0].reason.contains("read only: Assigned to"), "{:?}", written.declined);
    let read = written.snapshot.unwrap();
    assert_eq!((text(&read, Field::Status), text(&read, Field::Verdict)), ("6".into(), "Known error".into()));
    assert_eq!((text(&read, Field::Title), text(&read, Field::Owner)), ("T2".into(), ANA.into()));
    assert_eq!(text(&read, Field::Severity), "2/3", "both halves stay");
    assert_eq!(rig.writes(), 2, "one effective write for the close");
}

#[tokio::test]
async fn where_no_field_is_named_the_close_goes_first_and_each_other_by_itself() {
    let rig = Rig::new();
    let made = rig.create(1).await.unwrap();
    rig.set(&json!({"refused_fields": ["assigned_to"], "refusals_name_fields": false}));
    let wanted = [&CLOSE[..], &[(Field::Owner, BO), (Field::Title, "T2")]].concat();
    let written = rig.update(&made.record, &wanted, Some("n")).await.unwrap();
    assert_eq!(fields(&written.declined), [Field::Owner]);
    let read = written.snapshot.unwrap();
    assert_eq!((text(&read, Field::Status), text(&read, Field::Verdict)), ("6".into(), "Known error".into()));
    assert_eq!((text(&read, Field::Title), text(&read, Field::Owner)), ("T2".into(), ANA.into()));
    assert_eq!(rig.shown(made.record.id.as_str())["common"]["closing_note"], "n");
    assert_eq!(rig.writes(), 3, "the close, and the title");
}

#[tokio::test]
async fn a_refusal_of_all_is_one() {
    let rig = Rig::new();
    let made = rig.create(1).await.unwrap();
    // The one field there is, refused by name: nothing remains to be written.
    rig.set(&json!({"refused_fields": ["assigned_to"]}));
    let written = rig.update(&made.record, &[(Field::Owner, BO)], None).await.unwrap();
    assert_eq!(
        (fields(&written.declined), text(&written.snapshot.unwrap(), Field::Owner)),
        (vec![Field::Owner], ANA.into())
    );
    // Both are refused, and nobody says which.
    rig.set(&json!({"refused_fields": ["assigned_to", "short_description"], "refusals_name_fields": false}));
    let error =
        rig.update(&made.record, &[(Field::Owner, BO), (Field::Title, "T2")], None).await.err().unwrap();
    assert!(matches!(error, CallError::Refused { .. }), "{error}");
    // The status itself is refused: it is told, and never left.
    rig.set(&json!({"refused_fields": ["state"], "refusals_name_fields": true}));
    let error = rig.update(&made.record, &CLOSE, Some("n")).await.err().unwrap();
    assert!(matches!(error, CallError::Refused { .. }) && error.to_string().contains("State"), "{error}");
    assert_eq!(rig.writes(), 1);
}

#[tokio::test]
async fn what_a_refusal_asks_for_and_we_have_is_sent_once_more() {
    let rig =
        Rig::with(|s| s.close_fields = BTreeMap::from([("category".to_owned(), "security".to_owned())]));
    rig.set(&json!({"mandatory_on_close": ["category"]}));
    let made = rig.create(1).await.unwrap();
    let id = made.record.id.as_str();
    rig.human(id, &json!({"notes": "by Ana", "fields": {"category": "phishing"}}));
    let current = rig.connector.read(&made.record, Depth::Record).await.unwrap();
    // What the read showed is gone by the time of the close.
    rig.human(id, &json!({"notes": "", "fields": {"category": ""}}));
    let native = CLOSE.map(|(field, value)| (field, Native::text(Some(value)))).into();
    let patch = Patch { native, closing_comment: Some("by lockstep".to_owned()) };
    rig.connector.update(&current, &patch).await.unwrap();
    let shown = rig.shown(id);
    assert_eq!((&shown["close_notes"], &shown["category"]), (&json!("by lockstep"), &json!("security")));
}

#[tokio::test]
async fn a_close_that_waits_for_something_is_not_given_up() {
    let rig = Rig::new();
    let made = rig.create(1).await.unwrap();
    rig.set(&json!({"blocked_close": "Close all response tasks before closing the incident"}));
    let error = rig.update(&made.record, &CLOSE, Some("n")).await.err().unwrap();
    assert!(matches!(error, CallError::Blocked { .. }), "{error}");
    assert!(error.to_string().contains("response tasks"), "{error}");
    assert_eq!(rig.writes(), 1);
    rig.set(&json!({"blocked_close": ""}));
    rig.update(&made.record, &CLOSE, Some("n")).await.unwrap();
}

#[tokio::test]
async fn what_a_rule_makes_of_a_verdict_at_a_close_is_told() {
    let rig = Rig::new();
    rig.set(&json!({"rewritten_on_close": {"close_code": "Solution provided"}}));
    let made = rig.create(1).await.unwrap();
    let written = rig.update(&made.record, &CLOSE, Some("n")).await.unwrap();
    assert_eq!(fields(&written.declined), [Field::Verdict]);
    assert!(
        written.declined[0].reason.contains("made `Solution provided` in close_code"),
        "{:?}",
        written.declined
    );
    assert_eq!(text(&written.snapshot.unwrap(), Field::Status), "6");
}

#[tokio::test]
async fn a_code_that_is_left_over_is_hidden_and_known_again() {
    let left_over = |read: &Snapshot| read.hidden.get(&Field::Verdict).cloned();
    for (cleared, expected) in [(false, Native::text(Some("Known error"))), (true, Native::Empty)] {
        let rig = Rig::new();
        rig.set(&json!({"cleared_on_reopen": cleared}));
        let made = rig.create(1).await.unwrap();
        assert_eq!(left_over(&made), Some(Native::Empty));
        let closed = rig.update(&made.record, &CLOSE, Some("n")).await.unwrap().snapshot.unwrap();
        assert_eq!(left_over(&closed), None);
        let reopened =
            rig.update(&made.record, &[(Field::Status, "2")], None).await.unwrap().snapshot.unwrap();
        assert_eq!((left_over(&reopened), reopened.native.get(&Field::Verdict)), (Some(expected), None));
    }
    // It stands against the next verdict, since an access rule keeps it: nobody's edit.
    let rig = Rig::new();
    let made = rig.create(1).await.unwrap();
    rig.update(&made.record, &CLOSE, Some("n")).await.unwrap();
    rig.update(&made.record, &[(Field::Status, "2")], None).await.unwrap();
    rig.set(&json!({"readonly_fields": ["close_code"]}));
    let again = [(Field::Status, "6"), (Field::Verdict, "Solution provided")];
    let written = rig.update(&made.record, &again, None).await.unwrap();
    assert_eq!(fields(&written.declined), [Field::Verdict]);
    assert!(written.declined[0].reason.contains("kept what was there"), "{:?}", written.declined);
}

#[tokio::test]
async fn a_verdict_that_the_instance_has_no_code_for_takes_no_close_with_it() {
    let rig = Rig::new();
    let made = rig.create(1).await.unwrap();
    let close = [(Field::Status, "6"), (Field::Verdict, "No such code")];
    let error = rig.update(&made.record, &close, Some("n")).await.err().unwrap();
    assert!(matches!(error, CallError::Refused { .. }), "the close wants one: {error}");
    assert!(error.to_string().contains("`No such code` is no close code of incident"), "{error}");
    rig.set(&json!({"data_policy": false}));
    let written = rig.update(&made.record, &close, Some("n")).await.unwrap();
    assert_eq!(
        (fields(&written.declined), text(&written.snapshot.unwrap(), Field::Status)),
        (vec![Field::Verdict], "6".into())
    );
}

#[tokio::test]
async fn a_ticket_is_opened_without_what_a_rule_refuses() {
    for named in [true, false] {
        let rig = Rig::new();
        rig.set(&json!({"refused_fields": ["assigned_to"], "refusals_name_fields": named}));
        let written = rig.connector.create(&planned(1), &opening()).await.unwrap();
        let made = written.snapshot.unwrap();
        assert_eq!(made.planned_as, Some(planned(1)));
        assert!(fields(&written.declined).contains(&Field::Owner), "{:?}", written.declined);
        assert_eq!(rig.shown(made.record.id.as_str())["common"]["owner"], json!(null));
        assert_eq!((rig.writes(), rig.tickets()), (1, 1));
    }
    // What is configured is never left out, and neither is the key.
    for (field, named) in
        [("category", false), ("category", true), ("correlation_id", false), ("correlation_id", true)]
    {
        let rig =
            Rig::with(|s| s.create_fields = BTreeMap::from([("category".to_owned(), "security".to_owned())]));
        rig.set(&json!({"refused_fields": [field], "refusals_name_fields": named}));
        let error = rig.create(1).await.err().unwrap();
        assert!(matches!(error, CallError::Refused { .. }), "{error}");
        assert_eq!(rig.tickets(), 0);
    }
}
