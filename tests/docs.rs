//! The documents against the program: commands, flags, metrics, paths and configurations that they name exist, and
//! what the program has is named.

#![allow(clippy::unwrap_used)]

#[path = "documents/emulators.rs"]
mod emulators;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::CommandFactory;
use jiff::Timestamp;
use lockstep::cli::Cli;
use lockstep::config::Config;
use lockstep::engine::{PollFailure, PollFailureKind};
use lockstep::http::CallObserver;
use lockstep::model::{Field, IntentId, MappingId, RecordKind, RecordRef, SystemName};
use lockstep::store::Counts;
use lockstep::telemetry::{Event, Metrics, Telemetry};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap()
}

/// Every document for people: its path and its text.
fn documents() -> Vec<(String, String)> {
    let mut names: Vec<String> = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"].map(str::to_owned).to_vec();
    for entry in fs::read_dir(root().join("docs")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|ending| ending == "md") {
            names.push(format!("docs/{}", path.file_name().unwrap().to_str().unwrap()));
        }
    }
    names.sort();
    names.into_iter().map(|name| (name.clone(), read(&name))).collect()
}

/// A fenced block: what stands behind its opening fence, and its lines.
fn fenced(text: &str) -> Vec<(String, String)> {
    let mut blocks: Vec<(String, String)> = Vec::new();
    let mut inside = false;
    for line in text.lines() {
        if let Some(kind) = line.strip_prefix("```") {
            inside = !inside;
            if inside {
                blocks.push((kind.trim().to_owned(), String::new()));
            }
        } else if inside {
            let block = blocks.last_mut().unwrap();
            block.1.push_str(line);
            block.1.push('\n');
        }
    }
    blocks
}

/// Text in single backticks, outside of fenced blocks.
fn inline(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut inside = false;
    for line in text.lines() {
        if line.starts_with("```") {
            inside = !inside;
        } else if !inside && !line.starts_with("    ") {
            found.extend(line.split('`').skip(1).step_by(2).map(str::to_owned));
        }
    }
    found
}

/// Lines of indented and fenced code.
fn code_lines(text: &str) -> Vec<String> {
    let indented = text.lines().filter_map(|line| line.strip_prefix("    ")).map(str::to_owned);
    let blocks =
        fenced(text).into_iter().filter(|(kind, _)| kind.is_empty() || kind == "sh" || kind == "text");
    let in_blocks: Vec<String> =
        blocks.flat_map(|(_, text)| text.lines().map(str::to_owned).collect::<Vec<_>>()).collect();
    indented.chain(in_blocks).collect()
}

/// Everything that is shown as `lockstep ...`, in backticks or as a line of code, without comments.
fn shown_commands(text: &str) -> Vec<String> {
    let lines = code_lines(text).into_iter().filter_map(|line| {
        let line = line.split(" #").next().unwrap_or_default().trim().trim_start_matches("$ ").to_owned();
        line.starts_with("lockstep ").then_some(line)
    });
    let spans = inline(text).into_iter().filter(|span| span.starts_with("lockstep "));
    // `lockstep mappings list | head` shows a pipe, `store export|import` a choice.
    lines.chain(spans).map(|shown| shown.split(" | ").next().unwrap_or_default().to_owned()).collect()
}

/// What is wrong with a shown command, if anything.
fn fault(shown: &str) -> Option<String> {
    let program = Cli::command();
    let mut command = &program;
    for word in shown.split_whitespace().skip(1) {
        if word.starts_with('-') {
            let flag = word.split('=').next().unwrap_or_default();
            if !has_flag(command, flag) && !has_flag(&program, flag) {
                return Some(format!("`{shown}`: no flag {flag}"));
            }
        } else if command.has_subcommands() {
            let choices: Vec<&str> = word.trim_end_matches([',', '.', ';']).split('|').collect();
            for choice in &choices {
                if command.find_subcommand(choice).is_none() {
                    return Some(format!("`{shown}`: no command {choice}"));
                }
            }
            command = command.find_subcommand(choices[0])?;
        }
    }
    None
}

fn has_flag(command: &clap::Command, flag: &str) -> bool {
    let own = |arg: &clap::Arg| {
        arg.get_long().is_some_and(|long| flag == format!("--{long}"))
            || arg.get_short().is_some_and(|short| flag == format!("-{short}"))
    };
    matches!(flag, "--help" | "-h" | "--version" | "-V") || command.get_arguments().any(own)
}

/// Every command that does something, such as `store export`.
fn leaves(command: &clap::Command, path: &str, found: &mut Vec<(String, clap::Command)>) {
    for sub in command.get_subcommands().filter(|sub| sub.get_name() != "help") {
        let path = format!("{path} {}", sub.get_name());
        if sub.has_subcommands() {
            leaves(sub, &path, found);
        } else {
            found.push((path, sub.clone()));
        }
    }
}

fn all_commands() -> Vec<(String, clap::Command)> {
    let mut found = Vec::new();
    leaves(&Cli::command(), "lockstep", &mut found);
    found
}

#[test]
fn every_command_that_a_document_shows_exists() {
    let mut faults = Vec::new();
    let mut count = 0;
    for (name, text) in documents() {
        for shown in shown_commands(&text) {
            count += 1;
            faults.extend(fault(&shown).map(|fault| format!("{name}: {fault}")));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert!(count > 40, "only {count} commands were found: is the search broken?");
    assert!(fault("lockstep store frobnicate").is_some() && fault("lockstep check --offline").is_some());
}

#[test]
fn every_flag_in_backticks_exists() {
    let commands = all_commands();
    let known =
        |flag: &str| has_flag(&Cli::command(), flag) || commands.iter().any(|(_, c)| has_flag(c, flag));
    for (name, text) in documents() {
        let mut spans = inline(&text);
        spans.retain(|span| span.starts_with("--"));
        for span in spans {
            let flag = span.split([' ', '=']).next().unwrap_or_default();
            assert!(known(flag), "{name} names {flag}, which no command has");
        }
    }
}

#[test]
fn every_command_is_in_the_operations_document() {
    let shown = shown_commands(&read("docs/operations.md"));
    for (path, command) in all_commands() {
        assert!(shown.iter().any(|shown| shown.starts_with(&path)), "docs/operations.md lacks `{path}`");
        for flag in command.get_arguments().filter_map(clap::Arg::get_long) {
            let named = read("docs/operations.md").contains(&format!("--{flag}"));
            assert!(named, "docs/operations.md lacks --{flag} of `{path}`");
        }
    }
}

/// The names of all metrics, as Prometheus shows them once everything has happened once.
fn metrics() -> BTreeSet<String> {
    let metrics = Metrics::local().unwrap();
    let telemetry = Telemetry::new(metrics.clone());
    let system = SystemName::new("defender").unwrap();
    let record: RecordRef = "sentinel/incident/1".parse().unwrap();
    let (mapping, kind) = (MappingId(7), RecordKind::Incident);
    let intent = IntentId { mapping, number: 0 };
    let failure = PollFailure { kind: PollFailureKind::Denied, message: String::new() };
    telemetry.health().watch(&system, kind, Duration::from_secs(15));
    for event in [
        Event::Polled { system: &system, kind, records: 1, elapsed: Duration::ZERO },
        Event::PollFailed { system: &system, kind, failure: &failure, consecutive: 1 },
        Event::Recovered { system: &system, kind, since: Timestamp::UNIX_EPOCH },
        Event::Malformed { system: &system, id: None, reason: "" },
        Event::HookCalled { system: &system, outcome: "" },
        Event::HintFollowed { system: &system, outcome: "" },
        Event::Linked { mapping, record: &record, how: "" },
        Event::Left { mapping, record: &record, state: "gone", reason: "" },
        Event::Edited { mapping, record: &record, field: Field::Status, old: "", new: "", by: None },
        Event::Commented { mapping, record: &record, by: None },
        Event::Agreed { mapping, field: Field::Status, value: "" },
        Event::NotCarried { mapping, record: &record, what_of: "", value: "", reason: "" },
        Event::Wrote {
            mapping,
            record: &record,
            action: "update",
            intent,
            request_id: None,
            propagation: Some((&system, Duration::from_secs(1))),
        },
        Event::NothingToWrite { mapping, record: &record, intent, reason: "" },
        Event::IntentFailed { record: &record, intent, error: "", next_try: None },
        Event::DeadLetter { record: &record, intent, reason: "" },
        Event::NativeLate { mapping, record: &record, fields: &[] },
        Event::Defect { mapping, what: "" },
        Event::StoreFailed { error: "" },
    ] {
        telemetry.emit(&event);
    }
    metrics.call("defender", "incidents.list", "200", Duration::ZERO);
    telemetry.set_depths(Counts::default());
    telemetry.set_cursor(&system, kind, Timestamp::UNIX_EPOCH);
    telemetry.set_budget(&system, "graph", 1);
    let text = metrics.text().unwrap();
    let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    types.filter_map(|line| line.split(' ').next()).map(str::to_owned).collect()
}

/// Words that begin like a metric, without the parts of a histogram.
fn metric_words(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let metrics = words.filter(|word| word.starts_with("lockstep_") && word.len() > "lockstep_".len());
    metrics.map(|word| word.trim_end_matches("_bucket").to_owned()).collect()
}

#[test]
fn documents_and_program_agree_on_the_metrics() {
    let known = metrics();
    let declared = read("src/telemetry/metrics.rs").matches("\"lockstep.").count();
    assert_eq!(known.len(), declared, "this test does not make every metric happen: {known:?}");
    for (name, text) in documents() {
        for word in metric_words(&text) {
            assert!(known.contains(&word), "{name} names {word}, which is no metric");
        }
    }
    let described = metric_words(&read("docs/operations.md"));
    let missing: Vec<_> = known.difference(&described).collect();
    assert!(missing.is_empty(), "docs/operations.md lacks {missing:?}");
}

#[test]
fn documents_and_program_agree_on_the_paths_of_the_server() {
    let sources: String = ["src/server/mod.rs", "src/server/api.rs"].iter().map(|path| read(path)).collect();
    let routed: BTreeSet<String> =
        sources.split(".route(\"").skip(1).map(|rest| rest.split('"').next().unwrap().to_owned()).collect();
    let operations = read("docs/operations.md");
    for path in &routed {
        assert!(operations.contains(&format!("`{path}`")), "docs/operations.md lacks {path}");
    }
    for (name, text) in documents() {
        for path in inline(&text)
            .iter()
            .filter(|span| span.starts_with("/api/v1/") || span.ends_with('z') && span.starts_with('/'))
        {
            assert!(routed.contains(path), "{name} names {path}, which the server does not have");
        }
    }
}

/// Puts a fragment over the example: tables are merged, a system or bridge goes over the one of its kind.
fn merge(base: &mut toml::Table, over: toml::Table) {
    for (key, value) in over {
        match (base.get_mut(&key), value) {
            (Some(toml::Value::Table(under)), toml::Value::Table(over)) => merge(under, over),
            (Some(toml::Value::Array(under)), toml::Value::Array(over))
                if over.iter().all(toml::Value::is_table) =>
            {
                for entry in over {
                    let toml::Value::Table(entry) = entry else { continue };
                    let place = under.iter_mut().find(|u| u.get("kind") == entry.get("kind")).unwrap();
                    merge(place.as_table_mut().unwrap(), entry);
                }
            }
            // A credential of another kind has other keys.
            (_, value) => drop(base.insert(key, value)),
        }
    }
}

fn over_the_example(fragment: &str) -> String {
    let mut example: toml::Table = read("config/lockstep.example.toml").parse().unwrap();
    let over: toml::Table = fragment.parse().unwrap();
    for entry in over.get("systems").and_then(toml::Value::as_array).into_iter().flatten() {
        for system in example["systems"].as_array_mut().unwrap() {
            if entry.get("credential").is_some() && system.get("kind") == entry.get("kind") {
                system.as_table_mut().unwrap().remove("credential");
            }
        }
    }
    merge(&mut example, over);
    toml::to_string(&example).unwrap()
}

#[test]
fn every_configuration_that_a_document_shows_is_valid() {
    let mut count = 0;
    for (name, text) in documents() {
        for (kind, block) in fenced(&text) {
            let text = match kind.as_str() {
                "toml" => block.clone(),
                "toml fragment" => over_the_example(&block),
                other => {
                    assert!(
                        !other.starts_with("toml"),
                        "{name}: ```{other} is neither `toml` nor `toml fragment`"
                    );
                    continue;
                }
            };
            count += 1;
            let parsed = Config::parse(Path::new(&name), &text);
            let config = parsed.unwrap_or_else(|errors| panic!("{name}:\n{block}\n{errors}"));
            assert!(config.warnings.is_empty(), "{name}: {:?}", config.warnings);
        }
    }
    assert!(count >= 6, "only {count} configurations were found: is the search broken?");
}

#[test]
fn every_key_of_the_example_is_in_the_configuration_document() {
    let document = read("docs/configuration.md");
    for line in read("config/lockstep.example.toml").lines() {
        let line = line.trim_start_matches("# ");
        let Some((key, _)) = line.split_once(" = ") else { continue };
        if key.chars().all(|c| c.is_ascii_lowercase() || c == '_') {
            assert!(document.contains(&format!("`{key}`")), "docs/configuration.md lacks `{key}`");
        }
    }
}

#[test]
fn links_between_documents_lead_somewhere() {
    for (name, text) in documents() {
        for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if target.starts_with("http") || target.starts_with('#') {
                continue;
            }
            let path = root().join(&name).parent().unwrap().join(target.split('#').next().unwrap());
            assert!(path.exists(), "{name} links to {target}, which is not there");
        }
    }
}

/// All Rust sources below a folder, as one text.
fn sources(folder: &Path) -> String {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let texts = entries.map(|path| match path.extension() {
        _ if path.is_dir() => sources(&path),
        Some(extension) if extension == "rs" => fs::read_to_string(&path).unwrap(),
        _ => String::new(),
    });
    texts.collect()
}

#[test]
fn every_test_that_the_failure_catalogue_names_exists() {
    let program = sources(&root().join("src")) + &sources(&root().join("tests"));
    let catalogue = read("docs/failure-catalogue.md");
    let rows = catalogue.lines().filter(|line| line.starts_with("| F"));
    let mut failures = 0;
    for row in rows {
        let tests = inline(row.trim_end_matches(" |").rsplit(" | ").next().unwrap());
        assert!(!tests.is_empty(), "no test: {row}");
        for name in tests {
            assert!(program.contains(&format!("fn {name}(")), "there is no test {name}: {row}");
        }
        failures += 1;
    }
    assert_eq!(failures, 30);
}
