//! The laws hold for the tables that come with the program, and find every planted fault.

use super::laws::{self, Law, Violation};
use super::table::vocabulary;
use super::{BUILTIN, Translation};
use crate::model::{Field, Value};

fn defender() -> Translation {
    Translation::builtin("defender").unwrap()
}

fn sentinel() -> Translation {
    Translation::builtin("sentinel").unwrap()
}

#[track_caller]
fn assert_lawful(found: &[Violation]) {
    assert!(found.is_empty(), "{}", found.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"));
}

#[test]
fn builtin_tables_obey_all_laws() {
    let (defender, sentinel) = (defender(), sentinel());
    assert_lawful(&laws::check_one(&defender));
    assert_lawful(&laws::check_one(&sentinel));
    assert_lawful(&laws::check(&defender, &sentinel));
    // Two of each: several workspaces and tenants in one bridge.
    assert_lawful(&laws::check_all(&[&defender, &sentinel, &defender, &sentinel]));
}

#[test]
fn the_table_of_the_sidecar_obeys_all_laws_beside_the_others() {
    let sidecar = Translation::builtin("sidecar").unwrap();
    assert_lawful(&laws::check_one(&sidecar));
    assert_lawful(&laws::check_all(&[&defender(), &sentinel(), &sidecar]));
}

#[test]
fn builtin_tables_obey_all_laws_beside_a_table_that_loses_nothing() {
    let full = full_table();
    assert_lawful(&laws::check_all(&[&full, &defender(), &sentinel()]));
}

#[test]
fn every_ticket_table_obeys_all_laws_beside_the_others() {
    for kind in ["servicenow", "servicenow-sir", "jira", "request-tracker", "rtir", "thehive", "sidecar"] {
        let table = Translation::builtin(kind).unwrap();
        assert_lawful(&laws::check_all(&[&defender(), &sentinel(), &table]));
    }
}

/// A ticket system that states our own words.
fn full_table() -> Translation {
    let own = |values: Vec<Value>| {
        let words = values.iter().map(|v| format!("\"{v}\"")).collect::<Vec<_>>();
        let entries = words.iter().map(|w| format!("{w} = {w}")).collect::<Vec<_>>().join(", ");
        format!("read = {{ {entries} }}\nwrite = {{ {entries} }}\nlegal = [{}]\n", words.join(", "))
    };
    let mut toml = "kind = \"full\"\n[ticket]\nowner = \"identity\"\n".to_owned();
    for field in [Field::Status, Field::Severity, Field::Verdict] {
        toml = format!("{toml}[ticket.{field}]\n{}", own(vocabulary(field)));
    }
    Translation::parse(&toml, "full.toml").unwrap()
}

// Planted faults: each edit of a builtin table breaks the named law.

fn planted(kind: &str, right: &str, wrong: &str) -> Translation {
    let (_, toml) = BUILTIN.iter().find(|(name, _)| *name == kind).unwrap();
    assert!(toml.contains(right), "{right} is not in the table of {kind}");
    Translation::parse(&toml.replace(right, wrong), "planted.toml").unwrap()
}

#[track_caller]
fn assert_broken(found: &[Violation], law: Law, words: &str) {
    let told = found.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
    assert!(
        found.iter().any(|v| v.law == law && v.explanation.contains(words)),
        "no {law:?} with {words} in:\n{told}"
    );
}

#[test]
fn a_value_without_write_entry_is_found() {
    let table = planted("sentinel", "\"benign-positive/*\" = \"BenignPositive/SuspiciousButExpected\"\n", "");
    assert_broken(&laws::check_one(&table), Law::Complete, "`benign-positive/security-testing` has no entry");
    let table = planted("defender", "write = { new = \"active\", ", "write = { ");
    assert_broken(&laws::check_one(&table), Law::Complete, "defender incident status: `new` has no entry");
}

#[test]
fn an_illegal_write_is_found() {
    let table = planted(
        "defender",
        "\"false-positive/*\" = \"falsePositive/other\"",
        "\"false-positive/*\" = \"falsePositive/apt\"",
    );
    assert_broken(
        &laws::check_one(&table),
        Law::Legal,
        "`falsePositive/apt`, which is not among the `legal`",
    );
}

#[test]
fn a_write_that_reads_as_something_else_is_found() {
    let table = planted(
        "sentinel",
        "read = { New = \"new\", Active = \"active\"",
        "read = { New = \"active\", Active = \"new\"",
    );
    assert_broken(
        &laws::check_one(&table),
        Law::Faithful,
        "`new` is written as `New`, but that reads as `active`",
    );
    assert_broken(&laws::check_one(&table), Law::Content, "changed by its own edit");
}

#[test]
fn a_write_that_cannot_be_read_is_found() {
    let table = planted("sentinel", "High = \"high\" }\nwrite", "Higher = \"high\" }\nwrite");
    assert_broken(&laws::check_one(&table), Law::Faithful, "`High`, which has no entry in `read`");
}

#[test]
fn an_invented_determination_is_found() {
    let entry = "\"true-positive/*\" = \"truePositive/other\"";
    let table = planted("defender", entry, "\"true-positive/*\" = \"truePositive/malware\"");
    assert_broken(&laws::check_one(&table), Law::Faithful, "reads as `true-positive/malware`");
    assert_broken(
        &laws::check_all(&[&table, &full_table()]),
        Law::Quiet,
        "would come back to the full ticket",
    );
}

#[test]
fn ping_pong_between_two_sound_tables_is_found() {
    // Severities of a system with three steps: `informational` comes back as `low`.
    let table = planted("sentinel", "informational = \"Informational\"", "informational = \"Low\"");
    assert_broken(
        &laws::check(&table, &defender()),
        Law::Quiet,
        "would come back to the defender incident as `low`",
    );
}

#[test]
fn ping_pong_through_a_third_table_is_found() {
    // Defender's `other` as a determination of its own overwrites Sentinel's finer reason.
    let read = "\"falsePositive/*\" = \"false-positive\"\n";
    let table =
        planted("defender", read, &format!("{read}\"falsePositive/other\" = \"false-positive/other\"\n"));
    let found = laws::check(&table, &sentinel());
    assert_broken(&found, Law::Quiet, "come back to the sentinel incident as `FalsePositive/InaccurateData`");
    let full = full_table();
    let found = laws::check_chain(&full, &sentinel(), &table);
    assert_broken(&found, Law::Quiet, "come back to the full ticket");
}

#[test]
fn a_fault_that_shows_between_two_tables_or_in_a_chain_of_three_only_is_found_among_all() {
    let (_, toml) = BUILTIN.iter().find(|(name, _)| *name == "defender").unwrap();
    let coarse = "\"true-positive/*\" = \"truePositive/other\"";
    let toml = toml.replace(coarse, "\"true-positive/*\" = \"truePositive/malware\"");
    let table =
        Translation::parse(&toml.replace("kind = \"defender\"", "kind = \"third\""), "third.toml").unwrap();
    let found = laws::check_all(&[&defender(), &sentinel(), &table]);
    let chain = |told: String| {
        told.contains("`truePositive/phishing` of the defender incident")
            && told.contains("is written to the sentinel incident")
            && told.contains("is written to the third incident as `truePositive/malware`")
    };
    assert!(found.iter().any(|violation| chain(violation.to_string())), "{found:#?}");
    assert_broken(&laws::check_all(&[&defender(), &table]), Law::Quiet, "would come back to the");
}
