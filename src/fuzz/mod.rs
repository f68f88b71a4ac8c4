//! Targets for fuzzing: the parsers of everything that comes from outside, fed with bytes, and judged by more than that
//! they do not panic. `docs/fuzzing.md` says how to run them.
//!
//! Compiled into the tests and by cargo-fuzz only; a build of the program has no trace of it. Two drivers share the list:
//! libFuzzer (`fuzz/`), and a seeded mutator that every run of the tests goes through (`replay_tests`).

mod copies;
mod files;
mod hooks;
mod http;
mod script;
mod sidecar;
mod systems;
mod texts;

#[cfg(test)]
mod mutate;
#[cfg(test)]
mod replay_tests;

/// One parser, or one road that input takes.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// Its name: of its corpus under `fuzz/corpus`, and of its libFuzzer program.
    pub name: &'static str,
    /// Feeds it; panics where something does not hold that must.
    pub run: fn(&[u8]),
}

macro_rules! targets {
    ($($name:literal => $run:path),* $(,)?) => {
        &[$(Target { name: $name, run: $run }),*]
    };
}

/// All targets.
pub const TARGETS: &[Target] = targets! {
    "defender" => systems::defender,
    "sentinel" => systems::sentinel,
    "servicenow" => systems::servicenow,
    "jira" => systems::jira,
    "request-tracker" => systems::request_tracker,
    "thehive" => systems::thehive,
    "answer" => http::answer,
    "token" => http::token,
    "hook" => hooks::hook,
    "sidecar" => sidecar::sidecar,
    "config" => files::config,
    "translation" => files::translation,
    "import" => files::import,
    "template" => texts::template,
    "marker" => texts::marker,
    "copies" => copies::copies,
};

/// Feeds one target.
///
/// # Panics
/// There is no such target, or something does not hold that must.
pub fn run(name: &str, input: &[u8]) {
    let target = TARGETS.iter().find(|target| target.name == name);
    (target.unwrap_or_else(|| panic!("there is no target {name}")).run)(input);
}

/// Whether a text can neither forge lines of a log nor turn a terminal around.
fn is_harmless(text: &str) -> bool {
    let reorders =
        |c| matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    !text.contains(|c: char| c.is_control() || reorders(c))
}

/// Asserts that a text for logs and operators is harmless, says something and has an end.
fn assert_message(text: &str) {
    assert!(!text.trim().is_empty(), "a message says nothing");
    assert!(text.chars().count() < 4_000, "a message of {} characters: {text}", text.chars().count());
    assert!(is_harmless(text), "a message holds control characters: {text:?}");
}

/// Runs a future to its end on a clock that does not wait.
fn block_on<F: Future>(future: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.expect("a runtime without I/O can always be made").block_on(future)
}
