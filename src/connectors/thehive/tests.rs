//! Reading answers of any form, and what leaves in requests.

use proptest::prelude::*;
use serde_json::json;

use super::snapshot::{case_of, is_own_tag};
use super::*;
use crate::connectors::testing::{any_json, cases, spoilt};
use crate::model::{Field, Native, RecordId};

fn system() -> SystemName {
    SystemName::new("hive").unwrap()
}

fn read(json: &Value) -> Result<Snapshot, String> {
    let base = Url::parse("https://hive.example/").unwrap();
    Reader { system: &system(), base: &base, account: "lockstep@example.org" }.case(json, true)
}

fn case() -> Value {
    json!({
        "_id": "~4096", "_type": "Case", "_createdAt": 1_793_000_000_500_i64, "_createdBy": "lockstep@example.org",
        "_updatedAt": 1_793_000_060_123_i64, "_updatedBy": "ana@example.org", "number": 7,
        "title": "Phishing", "severity": 4, "status": "TruePositive", "stage": "Closed", "summary": "Re-imaged",
        "assignee": "Ana@example.org",
        "tags": ["vip", "lockstep", "lockstep-000000000000000000000000000000ff", "lockstep:note", "lockstepping"], "customFields": [],
    })
}

#[test]
fn a_case_reads_with_its_key_and_without_our_tags() {
    let read = read(&case()).unwrap();
    let text = |text: &str| Native::Text(text.to_owned());
    let expected = [
        (Field::Status, text("Closed")),
        (Field::Severity, text("4")),
        (Field::Verdict, text("TruePositive")),
        (Field::Owner, text("ana@example.org")),
        (Field::Tags, Native::Set(["vip".to_owned(), "lockstepping".to_owned()].into())),
        (Field::Title, text("Phishing")),
    ];
    assert_eq!(read.native, expected.into());
    assert_eq!(
        read.planned_as,
        Some(RecordRef::ticket(
            &system(),
            RecordId::new("lockstep-000000000000000000000000000000ff").unwrap()
        ))
    );
    assert_eq!(read.modified.as_millisecond(), 1_793_000_060_123);
    assert_eq!(read.facts.created.unwrap().as_millisecond(), 1_793_000_000_500);
    assert_eq!(read.facts.url.as_deref(), Some("https://hive.example/cases/~4096/details"));
    assert_eq!(read.closing_comment.as_deref(), Some("Re-imaged"));
}

#[test]
fn what_was_never_updated_and_who_opened_it() {
    let mut json = case();
    json.as_object_mut().unwrap().remove("_updatedAt");
    json["assignee"] = "lockstep@example.org".into();
    json["stage"] = "InProgress".into();
    let opened = read(&json).unwrap();
    assert_eq!(opened.modified.as_millisecond(), 1_793_000_000_500);
    assert_eq!(opened.native[&Field::Owner], Native::Empty);
    assert!(!opened.native.contains_key(&Field::Verdict), "no verdict while it is open");
    json["_updatedAt"] = "soon".into();
    assert!(read(&json).unwrap_err().contains("_updatedAt"));
}

#[test]
fn odd_values_cost_a_case_only_where_it_cannot_do_without() {
    let json = case();
    for property in json.as_object().unwrap().keys() {
        let mut changed = json.clone();
        changed[property] = json!({"odd": [1]});
        let needed = ["_id", "_createdAt", "_updatedAt", "stage"].contains(&property.as_str());
        assert_eq!(read(&changed).is_err(), needed, "{property}");
    }
    let mut partly = case();
    partly["tags"] = json!(["vip", 7]);
    assert!(
        !read(&partly).unwrap().native.contains_key(&Field::Tags),
        "a shorter list would look like an edit"
    );
}

#[test]
fn own_tags_and_keys_are_told_from_others() {
    assert!(["lockstep", "lockstep-1", "lockstep:x"].iter().all(|tag| is_own_tag(tag)));
    assert!(["lock", "lockstepping", "Lockstep", ""].iter().all(|tag| !is_own_tag(tag)));
}

#[test]
fn a_comment_names_its_case_in_more_than_one_form() {
    let links = |links: Value| case_of(&json!({"extraData": {"links": links}}));
    assert_eq!(links(json!({"case": {"_id": "~1", "_type": "Case"}})).as_deref(), Some("~1"));
    assert_eq!(links(json!({"case": "~1"})).as_deref(), Some("~1"));
    assert_eq!(links(json!({"_id": "~1", "_type": "case"})).as_deref(), Some("~1"));
    assert_eq!(links(json!({"alert": {"_id": "~2", "_type": "Alert"}})), None);
    assert_eq!(links(json!({"case": {"_id": "../user"}})), None);
}

proptest! {
    #![proptest_config(cases(500))]

    #[test]
    fn answers_of_any_form_are_read_or_refused(json in prop_oneof![any_json(), spoilt(case())]) {
        if let Ok(snapshot) = read(&json) {
            prop_assert!(is_id(snapshot.record.id.as_str()));
        }
        let _ = (comment(&json), case_of(&json));
    }
}
