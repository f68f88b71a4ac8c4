//! What tables and their files mean.

use std::collections::BTreeSet;

use super::*;
use crate::model::{Classification, Determination, Severity, Status, Verdict};

const INCIDENT: RecordKind = RecordKind::Incident;

fn defender() -> Translation {
    Translation::builtin("defender").unwrap()
}

fn sentinel() -> Translation {
    Translation::builtin("sentinel").unwrap()
}

fn text(text: &str) -> Native {
    Native::Text(text.to_owned())
}

fn verdict(word: &str) -> Value {
    Value::Verdict(Verdict::try_from(word.to_owned()).unwrap())
}

#[test]
fn the_two_products_are_paired_as_microsofts_connector_pairs_them() {
    let (defender, sentinel) = (defender(), sentinel());
    let carried = |field, native: &str| match defender.read(INCIDENT, field, &text(native)) {
        Reading::Known(value) => sentinel.write(INCIDENT, &value).unwrap().to_string(),
        Reading::Unknown(text) => panic!("{text} is unknown"),
    };
    for (from, to) in
        [("active", "New"), ("inProgress", "Active"), ("resolved", "Closed"), ("awaitingAction", "Active")]
    {
        assert_eq!(carried(Field::Status, from), to);
    }
    for (from, to) in [
        ("unknown/unknown", "Undetermined"),
        ("truePositive/phishing", "TruePositive/SuspiciousActivity"),
        ("truePositive/unknown", "TruePositive/SuspiciousActivity"),
        ("falsePositive/notMalicious", "FalsePositive/InaccurateData"),
        ("falsePositive/malware", "FalsePositive/InaccurateData"),
        ("informationalExpectedActivity/confirmedActivity", "BenignPositive/SuspiciousButExpected"),
    ] {
        assert_eq!(carried(Field::Verdict, from), to);
    }
}

#[test]
fn a_verdict_without_determination_becomes_defenders_other() {
    let read = sentinel().read(INCIDENT, Field::Verdict, &text("TruePositive/SuspiciousActivity"));
    assert_eq!(read, Reading::Known(verdict("true-positive")));
    let write = |word| defender().write(INCIDENT, &verdict(word));
    assert_eq!(write("true-positive"), Some(text("truePositive/other")));
    assert_eq!(write("false-positive/incorrect-alert-logic"), Some(text("falsePositive/other")));
    assert_eq!(write("undetermined"), Some(text("unknown/unknown")));
}

#[test]
fn defender_is_never_written_what_it_retired_or_never_takes() {
    let defender = defender();
    let never = ["apt", "securityPersonnel", "unknownFutureValue", "redirected", "awaitingAction"];
    for (kind, field) in defender.carried() {
        for value in table::vocabulary(field) {
            let written = defender.write(kind, &value).unwrap().to_string();
            assert!(!never.iter().any(|word| written.contains(word)), "{value} is written as {written}");
        }
    }
}

#[test]
fn reading_is_total() {
    let sentinel = sentinel();
    let read = |field, native: &Native| sentinel.read(INCIDENT, field, native);
    assert_eq!(read(Field::Status, &text("Deferred")), Reading::Unknown("Deferred".to_owned()));
    assert_eq!(read(Field::Severity, &Native::Empty), Reading::Unknown("(none)".to_owned()));
    assert_eq!(read(Field::Status, &Native::Set(BTreeSet::new())), Reading::Unknown("[]".to_owned()));
    assert_eq!(read(Field::Title, &Native::Empty), Reading::Unknown("(none)".to_owned()));
    assert_eq!(read(Field::Verdict, &Native::Empty), Reading::Known(Value::Verdict(Verdict::UNDETERMINED)));
    assert_eq!(read(Field::Owner, &Native::Empty), Reading::Known(Value::Owner(None)));
    let alert = sentinel.read(RecordKind::Alert, Field::Status, &text("New"));
    assert_eq!(alert, Reading::Unknown("New".to_owned()));
    let severity = defender().read(INCIDENT, Field::Severity, &text("unknownFutureValue"));
    assert_eq!(severity, Reading::Unknown("unknownFutureValue".to_owned()));
}

#[test]
fn an_agreed_verdict_without_determination_leaves_the_determination_alone() {
    let defender = defender();
    let phishing = text("truePositive/phishing");
    assert!(defender.satisfies(INCIDENT, &phishing, &verdict("true-positive")));
    assert!(!defender.satisfies(INCIDENT, &phishing, &verdict("false-positive")));
    assert!(!defender.satisfies(INCIDENT, &phishing, &verdict("true-positive/malware")));
    assert!(!defender.satisfies(INCIDENT, &text("truePositive/other"), &verdict("true-positive/malware")));
    assert!(!defender.satisfies(INCIDENT, &phishing, &verdict("undetermined")));
    assert!(defender.satisfies(INCIDENT, &Native::Empty, &verdict("undetermined")));
}

#[test]
fn a_coarse_target_is_satisfied_by_what_we_would_write() {
    let sentinel = sentinel();
    let stated = text("TruePositive/SuspiciousActivity");
    for value in Verdict::all().filter(|v| v.classification() == Classification::TruePositive) {
        assert!(sentinel.satisfies(INCIDENT, &stated, &Value::Verdict(value)), "{value}");
    }
    let logic = Verdict::new(Classification::FalsePositive, Determination::IncorrectAlertLogic).unwrap();
    assert!(!sentinel.satisfies(INCIDENT, &text("FalsePositive/InaccurateData"), &Value::Verdict(logic)));
}

#[test]
fn unknown_values_satisfy_nothing_that_can_be_written() {
    assert!(!defender().satisfies(INCIDENT, &text("unknown"), &Value::Severity(Severity::High)));
}

#[test]
fn owners_are_compared_without_regard_to_case() {
    let owner = Value::Owner(Some("alice@example.org".to_owned()));
    assert!(sentinel().satisfies(INCIDENT, &text("Alice@Example.ORG"), &owner));
    assert!(!sentinel().satisfies(INCIDENT, &Native::Empty, &owner));
    assert!(!sentinel().satisfies(INCIDENT, &text("bob@example.org"), &Value::Owner(None)));
    assert_eq!(sentinel().write(INCIDENT, &Value::Owner(None)), Some(Native::Empty));
}

#[test]
fn fields_a_record_does_not_carry_are_never_written() {
    let defender = defender();
    let tags = Value::Tags(BTreeSet::from(["ticket".to_owned()]));
    assert_eq!(defender.write(RecordKind::Alert, &tags), None);
    assert!(defender.satisfies(RecordKind::Alert, &Native::Empty, &tags));
    assert_eq!(defender.write(RecordKind::Alert, &Value::Severity(Severity::Low)), None);
    assert_eq!(defender.write(RecordKind::Alert, &Value::Status(Status::New)), Some(text("new")));
    assert_eq!(defender.write(INCIDENT, &Value::Title("  ".to_owned())), None);
    let phishing = verdict("true-positive/phishing");
    assert_eq!(defender.write(RecordKind::Alert, &phishing), defender.write(INCIDENT, &phishing));
}

#[test]
fn sentinel_states_verdicts_of_closed_incidents_only() {
    assert!(sentinel().verdict_only_when_closed());
    assert!(!defender().verdict_only_when_closed());
    assert_eq!(sentinel().write(INCIDENT, &verdict("undetermined")), Some(text("Undetermined")));
}

#[track_caller]
fn assert_refused(toml: &str, message: &str) {
    match Translation::parse(toml, "t.toml") {
        Ok(_) => panic!("accepted:\n{toml}"),
        Err(error) => assert_eq!(error.to_string(), message),
    }
}

#[test]
fn errors_name_the_place_and_the_nearest_word() {
    assert_refused(
        "kind = \"x\"\n[incidnt]\n",
        "t.toml:2:2: unknown key `incidnt`; did you mean `incident`?",
    );
    assert_refused(
        "kind = \"x\"\n[incident.status]\nread = { \"Öffen\" = \"nwe\" }\nwrite = {}\nlegal = []",
        "t.toml:3:20: `nwe` is no status; did you mean `new`?",
    );
    assert_refused(
        "kind = \"x\"\n[incident.status]\nread = {}\nwrite = { shut = \"Shut\" }\nlegal = []",
        "t.toml:4:11: unknown key `shut`; known are `new`, `active`, `closed`",
    );
    assert_refused(
        "kind = \"x\"\n[incident]\nowner = \"email\"\n",
        "t.toml:3:9: `\"email\"` does not fit here; write `\"identity\"`",
    );
    assert_refused(
        "kind = \"x\"\n[incident]\nverdict = \"as-incident\"\n",
        "t.toml:3:11: `\"as-incident\"` does not fit here; write a table with `read`, `write` and `legal`",
    );
    assert_refused(
        "kind = \"x\"\n[alert]\nverdict = \"as-incident\"\n",
        "t.toml:3:11: [incident] has no `verdict` to take over",
    );
    assert_refused(
        "kind = \"x\"\nverdict_only_when_closed = \"yes\"\n",
        "t.toml:2:28: `\"yes\"` does not fit here; write `true` or `false`",
    );
}

#[test]
fn incomplete_and_broken_files_are_refused() {
    assert_refused(
        "",
        "t.toml:1:1: `kind` is missing; name the kind of system, such as `kind = \"sentinel\"`",
    );
    let error = Translation::parse("kind = \"x\"\n[incident.status]\nread = {}\n", "t.toml").unwrap_err();
    assert!(error.to_string().contains("`status` lacks `write`"), "{error}");
    let error = Translation::parse("kind = \"x\"\nkind = \"y\"\n", "t.toml").unwrap_err();
    assert!(error.to_string().starts_with("t.toml:2:1: "), "{error}");
}

#[test]
fn a_kind_without_table_is_told_what_there_is() {
    let error = Translation::builtin("sentinal").unwrap_err();
    assert!(error.to_string().ends_with("did you mean `sentinel`?"), "{error}");
}

#[test]
fn an_odd_key_or_value_is_told_what_would_be_right() {
    assert_refused(
        "kind = \"x\"\n[incident]\ntitle = \"x\"\n",
        "t.toml:3:9: `\"x\"` does not fit here; write `\"identity\"` or `{ max = 255 }`",
    );
    assert_refused(
        "kind = \"x\"\n[incident]\nowner = { max = 255 }\n",
        "t.toml:3:9: this table does not fit here; write `\"identity\"`",
    );
    assert_refused("kind = \" \"\n", "t.toml:1:8: `\" \"` does not fit here; write a text that is not blank");
    assert_refused(
        "kind = \"x\"\nincqqqqq = 1\n",
        "t.toml:2:1: unknown key `incqqqqq`; known are `kind`, `verdict_only_when_closed`, `status_in_steps`, \
         `opens_closed`, `incident`, `alert`, `ticket`",
    );
    assert_refused(
        "kind = \"x\"\n[incident.verdict]\nread = { a = \"q\" }\nwrite = {}\nlegal = []",
        "t.toml:3:14: `q` is no verdict",
    );
}

#[test]
fn tags_are_sets_both_ways_and_none_is_a_set_too() {
    let (one, none) = (BTreeSet::from(["One".to_owned()]), BTreeSet::new());
    let read = |native: &Native| sentinel().read(INCIDENT, Field::Tags, native);
    assert_eq!(read(&Native::Empty), Reading::Known(Value::Tags(none)));
    assert_eq!(read(&Native::Set(one.clone())), Reading::Known(Value::Tags(one.clone())));
    assert_eq!(sentinel().write(INCIDENT, &Value::Tags(one.clone())), Some(Native::Set(one)));
}

#[test]
fn a_title_that_just_fits_is_kept_whole() {
    let table = Translation::parse("kind = \"x\"\n[ticket]\ntitle = { max = 10 }\n", "t.toml").unwrap();
    let written = |title: &str| table.write(RecordKind::Ticket, &Value::Title(title.to_owned())).unwrap();
    assert_eq!(written("0123456789"), text("0123456789"));
    assert_eq!(written("0123456789a"), text("012345678…"));
    assert_eq!(written("01234567 9a"), text("01234567…"));
}

#[test]
fn a_status_is_reached_in_steps_where_the_table_says_so() {
    let steps = |kind: &str| Translation::builtin(kind).unwrap().status_in_steps();
    assert_eq!(["defender", "sentinel", "request-tracker", "jira"].map(steps), [false, false, false, true]);
}

#[test]
fn the_laws_are_tried_on_every_word_and_on_what_a_star_covers() {
    let samples = |field| sentinel().rules[&(INCIDENT, field)].samples(field);
    let tags = samples(Field::Tags);
    assert!(tags.iter().filter(|native| matches!(native, Native::Set(_))).count() > 1, "{tags:?}");
    let verdicts = samples(Field::Verdict);
    for word in ["TruePositive", "BenignPositive/InaccurateData", "FalsePositive/IncorrectAlertLogic"] {
        assert!(verdicts.contains(&text(word)), "{word} is not in {verdicts:?}");
    }
    assert!(!verdicts.contains(&text("TruePositive/*")), "no service says so");
}
