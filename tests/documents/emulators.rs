//! `docs/emulators.md` against the emulators' source: endpoints, faults, operations, settings, words of seeds and edits, and the
//! examples, which are carried out.

use std::collections::BTreeSet;
use std::process::Command;

use lockstep::emulator::{Emulator, EmulatorOptions, IncidentSeed};

use super::{fenced, read};

const DOCUMENT: &str = "docs/emulators.md";

type Names = BTreeSet<String>;

fn document() -> String {
    read(DOCUMENT)
}

fn agree(what: &str, written: &Names, coded: &Names) {
    assert!(!coded.is_empty(), "no {what} were found in the source: is the search broken?");
    let missing: Vec<_> = coded.difference(written).collect();
    let invented: Vec<_> = written.difference(coded).collect();
    assert!(missing.is_empty(), "{DOCUMENT} lacks these {what}: {missing:?}");
    assert!(invented.is_empty(), "{DOCUMENT} names {what} that there are not: {invented:?}");
}

/// What stands in single backticks.
fn spans(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// The part of a text between two words; to the end where the second does not come.
fn between<'a>(text: &'a str, begin: &str, end: &str) -> &'a str {
    let (_, rest) = text.split_once(begin).unwrap_or_else(|| panic!("there is no `{begin}`"));
    rest.split_once(end).map_or(rest, |(part, _)| part)
}

/// The rows of the first table behind a line, as cells.
fn table(text: &str, behind: &str) -> Vec<Vec<String>> {
    let (_, rest) = text.split_once(behind).unwrap_or_else(|| panic!("{DOCUMENT} has no `{behind}`"));
    let rows =
        rest.lines().skip_while(|line| !line.starts_with('|')).take_while(|line| line.starts_with('|'));
    let cells = |row: &str| row.trim_matches('|').split(" | ").map(|cell| cell.trim().to_owned()).collect();
    rows.skip(2).map(cells).collect()
}

/// The names in the first column of a table.
fn first_column(behind: &str) -> Names {
    let text = document();
    let rows = table(&text, behind);
    rows.iter().flat_map(|row| spans(&row[0]).map(str::to_owned).collect::<Vec<_>>()).collect()
}

/// A path with its parameters left unnamed.
fn nameless(path: &str) -> String {
    let segment = |s: &str| if s.starts_with('{') { "{}".to_owned() } else { s.to_owned() };
    path.split('/').map(segment).collect::<Vec<_>>().join("/")
}

/// The endpoints that the arms of a function match, such as `GET /control/state/{}`.
fn arms(function: &str, method: &str) -> Names {
    let mut found = Names::new();
    for line in function.lines() {
        let Some((pattern, _)) = line.split_once(" => ") else { continue };
        let mut method = method.to_owned();
        if let Some(own) = pattern.trim().strip_prefix("(\"") {
            own.split('"').next().unwrap().clone_into(&mut method);
        }
        for slice in pattern.split('[').skip(1).map(|rest| rest.split(']').next().unwrap()) {
            let segments: Vec<&str> = slice.split(", ").collect();
            if segments.first() == Some(&"..") {
                continue;
            }
            let segment =
                |s: &&str| s.strip_prefix('"').map_or("{}".to_owned(), |s| s.trim_matches('"').to_owned());
            let path: Vec<String> = segments.iter().map(segment).collect();
            found.insert(format!("{method} /control/{}", path.join("/")));
        }
    }
    found
}

#[test]
fn every_endpoint_of_the_control_interface_is_named_and_there_is_no_other() {
    let source = read("src/emulator/control.rs");
    let mut coded = Names::new();
    for (function, method) in
        [("control_get", "GET"), ("control_post", "POST"), ("control_edit", "POST"), ("control_other", "")]
    {
        coded.extend(arms(between(&source, &format!("fn {function}("), "\n    fn "), method));
    }
    let written =
        first_column("## The control interface").iter().map(|endpoint| nameless(endpoint)).collect();
    agree("endpoints", &written, &coded);
}

/// `DropAfter` to `drop-after`.
fn kebab(name: &str) -> String {
    let mut word = String::new();
    for (at, letter) in name.char_indices() {
        if letter.is_ascii_uppercase() && at > 0 {
            word.push('-');
        }
        word.push(letter.to_ascii_lowercase());
    }
    word
}

/// The variants of an enumeration.
fn variants(source: &str, name: &str) -> Names {
    let body = between(source, &format!("enum {name} {{"), "\n}");
    let is_variant =
        |line: &&str| line.starts_with("    ") && line[4..].starts_with(|c: char| c.is_ascii_uppercase());
    let word =
        |line: &str| line.trim().split(|c: char| !c.is_ascii_alphanumeric()).next().unwrap().to_owned();
    body.lines().filter(is_variant).map(|line| kebab(&word(line))).collect()
}

#[test]
fn every_kind_of_fault_is_named_and_there_is_no_other() {
    let (faults, malformed) = (read("src/emulator/faults.rs"), read("src/emulator/malformed.rs"));
    agree("faults", &first_column("<!-- kinds -->"), &variants(&faults, "FaultKind"));
    agree("spoilt answers", &first_column("<!-- ways -->"), &variants(&malformed, "Malformed"));
    let text = document();
    for (name, forms) in
        [("When", variants(&faults, "When")), ("RetryAfter", variants(&faults, "RetryAfter"))]
    {
        for form in forms {
            assert!(text.contains(&format!("\"{form}\"")), "{DOCUMENT} lacks `{form}` of {name}");
        }
    }
}

/// The names that the routes of an emulator give to operations.
fn operations(path: &str, function: &str) -> Names {
    let source = read(path);
    let body = between(&source, function, "\n    }\n");
    let quoted = |line: &str| -> Vec<String> {
        let arm = line.split(" => ").nth(1).unwrap_or(line);
        let is_name = |word: &&str| word.contains('-') || *word == "token";
        arm.split('"').skip(1).step_by(2).filter(is_name).map(str::to_owned).collect()
    };
    body.lines().flat_map(quoted).collect()
}

#[test]
fn every_operation_is_named_and_there_is_no_other() {
    let text = document();
    let written: Vec<Vec<String>> = table(&text, "<!-- operations -->");
    let of = |api: &str| -> Names {
        let row = written.iter().find(|row| row[0] == format!("`{api}`")).unwrap();
        spans(&row[1]).map(str::to_owned).collect()
    };
    let desk = "fn operation(&self";
    for (api, path, function) in [
        ("graph", "src/emulator/graph/route.rs", "fn operation(self)"),
        ("sentinel", "src/emulator/sentinel/mod.rs", "fn name(self)"),
        ("servicenow", "src/emulator/servicenow/mod.rs", desk),
        ("jira", "src/emulator/jira/mod.rs", desk),
        ("request-tracker", "src/emulator/request_tracker/mod.rs", desk),
        ("thehive", "src/emulator/thehive/mod.rs", desk),
    ] {
        let mut coded = operations(path, function);
        if api == "thehive" {
            coded.extend(operations("src/emulator/thehive/search.rs", "fn query_operation("));
        }
        agree(&format!("operations of {api}"), &of(api), &coded);
    }
}

/// The fields of a structure, as its source names them.
fn fields(path: &str, structure: &str) -> Names {
    let source = read(path);
    let body = between(&source, &format!("struct {structure} {{"), "\n}");
    let field = |line: &str| -> Option<String> {
        let line = line.strip_prefix("    ")?.trim_start_matches("pub(super) ").trim_start_matches("pub ");
        let name = line.split_once(": ")?.0;
        name.chars()
            .all(|c| c.is_ascii_lowercase() || c == '_')
            .then(|| name.trim_start_matches('_').to_owned())
    };
    body.lines().filter_map(field).collect()
}

#[test]
fn every_setting_is_named_and_there_is_no_other() {
    for (table, path) in [
        ("all", "src/emulator/settings.rs"),
        ("servicenow", "src/emulator/servicenow/settings.rs"),
        ("jira", "src/emulator/jira/settings.rs"),
        ("request-tracker", "src/emulator/request_tracker/mod.rs"),
        ("thehive", "src/emulator/thehive/settings.rs"),
    ] {
        let written = first_column(&format!("<!-- settings: {table} -->"));
        agree(&format!("settings of {table}"), &written, &fields(path, "Settings"));
    }
}

/// `resolving_comment` to `resolvingComment`.
fn camel(name: &str) -> String {
    let mut words = name.split('_');
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |all, word| all + &word[..1].to_ascii_uppercase() + &word[1..])
}

#[test]
fn every_word_of_seeds_and_edits_is_named_and_there_is_no_other() {
    let text = document();
    let rows = table(&text, "<!-- words -->");
    let written = |what: &str| -> Names {
        let row = rows.iter().find(|row| row[0].ends_with(what)).unwrap_or_else(|| panic!("no row `{what}`"));
        // A list in brackets explains the word before it.
        let mut names = row[1].clone();
        while let Some((before, rest)) = names.clone().split_once(" (") {
            names = format!("{before}{}", rest.split_once(')').map_or("", |(_, after)| after));
        }
        spans(&names).map(str::to_owned).collect()
    };
    let native =
        |path: &str, structure: &str| -> Names { fields(path, structure).iter().map(|n| camel(n)).collect() };
    let (seed, edit) = ("src/emulator/graph/seed.rs", "src/emulator/graph/edit.rs");
    agree("words", &written("seed of an incident of Defender"), &native(seed, "IncidentSeed"));
    agree("words", &written("seed of an alert"), &native(seed, "AlertSeed"));
    agree("words", &written("edit of an incident of Defender"), &native(edit, "DefenderEdit"));
    agree("words", &written("edit of an alert"), &native(edit, "AlertEdit"));
    agree(
        "words",
        &written("seed of an incident of Sentinel"),
        &native("src/emulator/sentinel/state.rs", "SentinelSeed"),
    );
    agree(
        "words",
        &written("edit of an incident of Sentinel"),
        &native("src/emulator/sentinel/edit.rs", "SentinelEdit"),
    );
    let common = written("every ticket system");
    let with_common = |what: &str| written(what).union(&common).cloned().collect::<Names>();
    agree("words", &with_common("ServiceNow"), &fields("src/emulator/servicenow/people.rs", "Edit"));
    agree("words", &with_common("Jira"), &fields("src/emulator/jira/person.rs", "Edit"));
    agree("words", &with_common("TheHive"), &fields("src/emulator/thehive/edit.rs", "Edit"));
    let tracker = read("src/emulator/request_tracker/edit.rs");
    let words =
        between(&tracker, "const WORDS", "];").split('"').skip(1).step_by(2).map(str::to_owned).collect();
    agree("words", &with_common("Request Tracker"), &words);
}

#[test]
fn every_example_of_the_emulators_works() {
    if !Command::new("curl").arg("--version").output().is_ok_and(|ran| ran.status.success()) {
        eprintln!("SKIPPED: there is no curl here, so the examples of {DOCUMENT} were not tried");
        return;
    }
    let emulator = Emulator::start(EmulatorOptions::default()).unwrap();
    let (defender, _) = emulator.add_linked(&IncidentSeed::default());
    assert_eq!(defender, 4711, "the examples name it");
    let mut count = 0;
    for (kind, block) in fenced(&document()).into_iter().filter(|(kind, _)| kind == "sh") {
        let block = block.replace("http://127.0.0.1:9000", &emulator.url());
        if !block.contains("curl ") {
            continue;
        }
        count += 1;
        let ran = Command::new("sh").args(["-ec", &block]).output().unwrap();
        let said = String::from_utf8_lossy(&ran.stdout).into_owned();
        assert!(ran.status.success(), "{kind}:\n{block}\n{said}");
    }
    assert!(count >= 7, "only {count} blocks of examples were found: is the search broken?");
    assert_eq!(emulator.tickets(lockstep::emulator::System::Jira).len(), 1);
    assert_eq!(emulator.defender_incident(4711).unwrap()["status"], "resolved");
}
