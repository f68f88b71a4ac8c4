//! The connector against the emulated instance, over real HTTP: changes, closes, comments, and what is dropped without
//! a word.

use serde_json::json;

use super::against_emulator_tests::{ANA, Rig, text};
use super::*;
use crate::connectors::Audience;
use crate::emulator::{FaultKind, What};
use crate::model::{Field, Native, Verdict};
use crate::translate::{Reading, Translation};

#[tokio::test]
async fn a_close_is_one_write_with_code_and_notes_and_a_reopening_another() {
    let rig =
        Rig::with(|s| s.close_fields = BTreeMap::from([("category".to_owned(), "security".to_owned())]));
    rig.set(&json!({"mandatory_on_close": ["category"]}));
    let made = rig.create(1).await.unwrap();
    let close = [(Field::Status, "6"), (Field::Verdict, "Known error")];
    let written = rig.update(&made.record, &close, Some("Closed in defender")).await.unwrap();
    assert_eq!(written.declined, []);
    let read = written.snapshot.unwrap();
    assert_eq!((text(&read, Field::Status), text(&read, Field::Verdict)), ("6".into(), "Known error".into()));
    let common = rig.shown(made.record.id.as_str())["common"].clone();
    assert_eq!((&common["status"], &common["verdict"]), (&json!("closed"), &json!("false-positive")));
    assert_eq!(common["closing_note"], "Closed in defender");
    assert_eq!(rig.writes(), 2);
    let reopened = rig.update(&made.record, &[(Field::Status, "2")], None).await.unwrap().snapshot.unwrap();
    assert_eq!(text(&reopened, Field::Status), "2");
    assert!(!reopened.native.contains_key(&Field::Verdict), "stated only while closed");
}

#[tokio::test]
async fn what_people_wrote_survives_a_close() {
    let rig = Rig::with(|s| s.close_fields = BTreeMap::from([("category".to_owned(), "default".to_owned())]));
    let made = rig.create(1).await.unwrap();
    rig.human(made.record.id.as_str(), &json!({"notes": "by Ana", "fields": {"category": "phishing"}}));
    let close = [(Field::Status, "6"), (Field::Verdict, "Solution provided")];
    rig.update(&made.record, &close, Some("by lockstep")).await.unwrap();
    let shown = rig.shown(made.record.id.as_str());
    assert_eq!((&shown["close_notes"], &shown["category"]), (&json!("by Ana"), &json!("phishing")));
}

#[tokio::test]
async fn a_refusal_by_data_policy_is_told_in_its_own_words() {
    let rig = Rig::new();
    rig.set(&json!({"mandatory_on_close": ["u_root_cause"], "custom_fields": ["u_root_cause"]}));
    let made = rig.create(1).await.unwrap();
    let close = [(Field::Status, "6"), (Field::Verdict, "Known error")];
    let error = rig.update(&made.record, &close, Some("n")).await.err().unwrap();
    assert!(matches!(error, CallError::Refused { status: 403, .. }), "{error}");
    assert!(error.to_string().contains("mandatory: u_root_cause"), "{error}");
}

#[tokio::test]
async fn a_closed_incident_is_not_reopened_and_the_auto_close_is_no_edit() {
    let rig = Rig::new();
    let made = rig.create(1).await.unwrap();
    rig.human(made.record.id.as_str(), &json!({"status": "closed", "verdict": "true-positive"}));
    rig.emulator.advance(8.0 * 86_400.0);
    let read = rig.connector.read(&made.record, Depth::Record).await.unwrap();
    assert_eq!(text(&read, Field::Status), "7");
    let table = Translation::builtin("servicenow").unwrap();
    let meaning = |state: &str| table.read(RecordKind::Ticket, Field::Status, &Native::text(Some(state)));
    assert_eq!(meaning("6"), meaning("7"));
    let error = rig.update(&made.record, &[(Field::Status, "2")], None).await.err().unwrap();
    assert!(
        matches!(error, CallError::Refused { .. }) && error.to_string().contains("new-ticket"),
        "{error}"
    );
}

#[tokio::test]
async fn an_owner_whom_nobody_knows_and_a_field_that_is_kept_are_declined() {
    let rig = Rig::new();
    let made = rig.create(1).await.unwrap();
    let fields = [(Field::Owner, "stranger@example.org"), (Field::Severity, "1/1")];
    let written = rig.update(&made.record, &fields, None).await.unwrap();
    assert_eq!(written.declined.iter().map(|d| d.field).collect::<Vec<_>>(), [Field::Owner]);
    let read = written.snapshot.unwrap();
    assert_eq!((text(&read, Field::Severity), text(&read, Field::Owner)), ("1/1".into(), ANA.into()));
    rig.set(&json!({"readonly_fields": ["assigned_to", "short_description"]}));
    let fields = [(Field::Owner, "bo@example.org"), (Field::Title, "T2"), (Field::Severity, "3/3")];
    let written = rig.update(&made.record, &fields, None).await.unwrap();
    let declined: Vec<Field> = written.declined.iter().map(|d| d.field).collect();
    assert_eq!(declined, [Field::Owner, Field::Title]);
    assert!(written.declined[0].reason.contains("ACL"));
    let cleared = rig.connector.read(&made.record, Depth::Record).await.unwrap();
    assert_eq!(text(&cleared, Field::Severity), "3/3");
    rig.set(&json!({"readonly_fields": []}));
    let patch = Patch { native: [(Field::Owner, Native::Empty)].into(), closing_comment: None };
    let written = rig.connector.update(&cleared, &patch).await.unwrap();
    assert_eq!(written.snapshot.unwrap().native[&Field::Owner], Native::Empty);
}

#[tokio::test]
async fn an_owner_with_two_accounts_is_left_out_and_told() {
    let rig = Rig::new();
    let made = rig.create(1).await.unwrap();
    rig.set(&json!({"shared_emails": ["bo@example.org"]}));
    let fields = [(Field::Owner, "bo@example.org"), (Field::Severity, "1/1")];
    let written = rig.update(&made.record, &fields, None).await.unwrap();
    let [declined] = &written.declined[..] else { panic!("{:?}", written.declined) };
    assert!(
        declined.reason.contains("2 active accounts") && !declined.reason.contains("bo@"),
        "{}",
        declined.reason
    );
    let read = written.snapshot.unwrap();
    assert_eq!((text(&read, Field::Severity), text(&read, Field::Owner)), ("1/1".into(), ANA.into()));
}

#[tokio::test]
async fn what_people_write_in_the_html_editor_is_read_in_words() {
    let rig = Rig::new();
    rig.set(&json!({"use_html": true}));
    let made = rig.create(1).await.unwrap();
    let id = made.record.id.as_str();
    rig.human(id, &json!({"comment": "1 < 2 & 3\nsecond", "public": true}));
    let entered = "[code]<p>Contained <strong>host7</strong>&nbsp;&amp; reset</p><ul><li>a</li></ul>[/code]";
    rig.human(id, &json!({"fields": {"work_notes": entered}}));
    let copy = "<p>&amp;</p> [code]x[/code]\n\n— Ana in defender [lockstep aa.bb]";
    rig.connector.comment(&made, &CommentKey::from_id("aa"), copy).await.unwrap();
    let read = rig.connector.read(&made.record, Depth::Comments).await.unwrap();
    let Comments::Listed(listed) = &read.comments else { panic!("{:?}", read.comments) };
    let mut said: Vec<&str> = listed.iter().map(|c| c.text.as_str()).collect();
    said.sort_unstable();
    assert_eq!(said, ["1 < 2 & 3\n\nsecond", copy, "Contained host7 & reset\n\na"]);
}

#[tokio::test]
async fn comments_are_appended_once_and_read_back_as_they_went() {
    let rig = Rig::new();
    let made = rig.create(1).await.unwrap();
    let body = "see [code]<b>x</b>[/code]\n\n— Ana in defender [lockstep aa.bb]";
    let key = CommentKey::from_id("aa");
    let written = rig.connector.comment(&made, &key, body).await.unwrap().snapshot.unwrap();
    let Comments::Listed(listed) = &written.comments else { panic!("{:?}", written.comments) };
    assert_eq!(listed.iter().map(|c| c.text.as_str()).collect::<Vec<_>>(), [body]);
    let shown = rig.shown(made.record.id.as_str());
    let comment = &shown["common"]["comments"][0];
    assert_eq!(comment["internal"], true);
    assert!(!comment["text"].as_str().unwrap().contains("[code]"));
    // The answer is lost: the journal tells.
    rig.fault("comment-ticket", FaultKind::DropAfter);
    assert!(matches!(rig.connector.comment(&made, &key, "two").await, Err(CallError::Unknown { .. })));
    let read = rig.connector.read(&made.record, Depth::Comments).await.unwrap();
    assert!(matches!(read.comments, Comments::Listed(all) if all.len() == 2));
    let commented = rig.emulator.ledger().iter().filter(|e| matches!(e.what, What::Commented { .. })).count();
    assert_eq!(commented, 2);
}

#[tokio::test]
async fn a_journal_that_is_not_shown_is_an_error_and_no_empty_list() {
    let rig = Rig::new();
    let made = rig.create(1).await.unwrap();
    rig.set(&json!({"hidden_tables": ["sys_journal_field"]}));
    let written = rig.connector.comment(&made, &CommentKey::from_id("aa"), "one").await.unwrap();
    assert_eq!(written.snapshot.unwrap().comments, Comments::Untold);
    let error = rig.connector.read(&made.record, Depth::Comments).await.err().unwrap();
    assert!(matches!(error, CallError::Denied { .. }), "{error}");
}

#[tokio::test]
async fn public_comments_go_to_the_caller() {
    let rig = Rig::with(|s| s.system.comments = Audience::Public);
    let made = rig.create(1).await.unwrap();
    rig.connector.comment(&made, &CommentKey::from_id("aa"), "hello").await.unwrap();
    assert_eq!(rig.shown(made.record.id.as_str())["common"]["comments"][0]["internal"], false);
}

#[tokio::test]
async fn older_close_codes_are_written_and_read() {
    let rig = Rig::new();
    rig.set(&json!({"codes": "older"}));
    let made = rig.create(1).await.unwrap();
    let close = [(Field::Status, "6"), (Field::Verdict, "Solution provided")];
    let read = rig.update(&made.record, &close, Some("n")).await.unwrap().snapshot.unwrap();
    let table = Translation::builtin("servicenow").unwrap();
    let meaning = table.read(RecordKind::Ticket, Field::Verdict, &read.native[&Field::Verdict]);
    let meant = Verdict::try_from("true-positive".to_owned()).unwrap();
    assert_eq!(meaning, Reading::Known(crate::model::Value::Verdict(meant)));
}

#[tokio::test]
async fn security_incidents_are_led_to_their_close_step_by_step() {
    let rig = Rig::with(|s| s.table = Table::SecurityIncident);
    rig.set(&json!({"table": "sn_si_incident"}));
    let made = rig.create(1).await.unwrap();
    assert_eq!(text(&made, Field::Status), "10");
    let close = [(Field::Status, "3"), (Field::Verdict, "False positive")];
    let read = rig.update(&made.record, &close, Some("n")).await.unwrap().snapshot.unwrap();
    assert_eq!(
        (text(&read, Field::Status), text(&read, Field::Verdict)),
        ("3".into(), "False positive".into())
    );
    assert_eq!(rig.shown(made.record.id.as_str())["close_code"], "106", "the value behind the label");
    let error = rig.update(&made.record, &[(Field::Status, "16")], None).await.err().unwrap();
    assert!(matches!(error, CallError::Refused { .. }), "{error}");
    // With the open process the jump is one write.
    rig.set(&json!({"process": "open"}));
    let before = rig.writes();
    rig.update(&made.record, &[(Field::Status, "16")], None).await.unwrap();
    rig.update(&made.record, &close, None).await.unwrap();
    assert_eq!(rig.writes(), before + 2);
}

#[tokio::test]
async fn a_jump_that_is_undone_without_a_word_is_led_step_by_step_too() {
    let rig = Rig::with(|s| s.table = Table::SecurityIncident);
    rig.set(&json!({"table": "sn_si_incident", "process": "undone"}));
    let made = rig.create(1).await.unwrap();
    let close = [(Field::Status, "3"), (Field::Verdict, "Threat mitigated")];
    let read = rig.update(&made.record, &close, Some("n")).await.unwrap().snapshot.unwrap();
    assert_eq!(
        (text(&read, Field::Status), text(&read, Field::Verdict)),
        ("3".into(), "Threat mitigated".into())
    );
}

#[tokio::test]
async fn a_step_that_is_refused_behind_another_leaves_the_outcome_open() {
    let rig = Rig::with(|s| s.table = Table::SecurityIncident);
    rig.set(&json!({
        "table": "sn_si_incident", "mandatory_on_close": ["u_root_cause"], "custom_fields": ["u_root_cause"],
    }));
    let made = rig.create(1).await.unwrap();
    let close = [(Field::Status, "3"), (Field::Verdict, "False positive")];
    let error = rig.update(&made.record, &close, Some("n")).await.err().unwrap();
    assert!(matches!(error, CallError::Unknown { .. }), "{error}");
    assert!(error.to_string().contains("mandatory: u_root_cause"), "{error}");
    let read = rig.connector.read(&made.record, Depth::Record).await.unwrap();
    assert_eq!(text(&read, Field::Status), "100");
    // From there the close is the first step, and a refusal is what it is.
    let error = rig.update(&made.record, &close, Some("n")).await.err().unwrap();
    assert!(matches!(error, CallError::Refused { .. }), "{error}");
}
