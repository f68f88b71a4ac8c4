//! The command line as scripts see it: exit codes, streams, colours. Each test runs the real binary in a fresh folder.
#![allow(clippy::unwrap_used)]

use std::io::Read;
use std::path::Path;
use std::process::{Command, Output, Stdio};

const EXAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/config/lockstep.example.toml");

/// The program in a folder, with an environment that the test alone decides.
fn lockstep(dir: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lockstep"));
    command.args(args).current_dir(dir).env_clear();
    command
}

fn run(args: &[&str]) -> (Output, tempfile::TempDir) {
    let dir = tempfile::tempdir().unwrap();
    (lockstep(dir.path(), args).output().unwrap(), dir)
}

fn texts(output: &Output) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (text(&output.stdout), text(&output.stderr))
}

#[test]
fn usage_and_configuration_errors_exit_with_2() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("bad.toml"), "[store]\npaht = 'x'\n").unwrap();
    for args in [
        &["frobnicate"][..],
        &["explain", "nonsense", "--config", EXAMPLE],
        &["check", "--config", "absent.toml"],
        &["check", "--config", "bad.toml"],
        &["check", "--config", "bad.toml", "--format", "json"],
        &["run", "--config", "bad.toml"],
        &["run", "--config", EXAMPLE, "--log-level", "lockstep=loud"],
    ] {
        let output = lockstep(dir.path(), args).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{args:?}: {:?}", texts(&output));
    }
}

#[test]
fn every_problem_of_a_configuration_has_a_line_of_its_own() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("bad.toml"), "[store]\npaht = 'x'\n[sever]\n").unwrap();
    let output = lockstep(dir.path(), &["run"]).env("LOCKSTEP_CONFIG", "bad.toml").output().unwrap();
    let (out, err) = texts(&output);
    assert_eq!(out, "");
    assert!(err.contains("\nbad.toml:2:1: unknown key 'paht' in [store]; did you mean 'path'?\n"), "{err}");
    assert!(
        err.contains("\nbad.toml:3:2: unknown key 'sever' in the file; did you mean 'server'?\n"),
        "{err}"
    );
}

#[test]
fn the_check_tells_problems_by_code_and_as_json() {
    let (output, _dir) = run(&["check", "--config", EXAMPLE, "--format", "json"]);
    let (out, err) = texts(&output);
    assert_eq!((output.status.code(), err.as_str()), (Some(3), ""));
    let found: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(found["problems"], 2, "{out}");
    assert!(out.contains("environment variable DEFENDER_SECRET is not set"), "{out}");
}

#[test]
fn a_clean_check_exits_with_0_and_makes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let mut command = lockstep(dir.path(), &["check", "--config", EXAMPLE]);
    command.env("DEFENDER_SECRET", "s").env("AZURE_CLIENT_ID", "c").env("AZURE_FEDERATED_TOKEN_FILE", "t");
    let output = command.output().unwrap();
    let (out, err) = texts(&output);
    assert_eq!(output.status.code(), Some(0), "{out}{err}");
    assert!(out.ends_with("no problems\n") && !out.contains('\u{1b}'), "{out}");
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn colours_come_only_when_asked_for_in_a_pipe() {
    let (plain, _a) = run(&["check", "--config", EXAMPLE]);
    assert!(!plain.stdout.contains(&0x1b));
    let (coloured, _b) = run(&["check", "--config", EXAMPLE, "--color", "always"]);
    assert!(coloured.stdout.contains(&0x1b));
}

#[test]
fn without_store_and_worker_both_are_named() {
    let dir = tempfile::tempdir().unwrap();
    // A port that was free a moment ago, so that no worker of somebody else answers.
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let config = std::fs::read_to_string(EXAMPLE).unwrap().replace("127.0.0.1:8787", &free.to_string());
    std::fs::write(dir.path().join("lockstep.toml"), config).unwrap();
    let output = lockstep(dir.path(), &["mappings", "list"]).output().unwrap();
    let (_, err) = texts(&output);
    assert_eq!(output.status.code(), Some(1));
    assert!(err.contains("no store at data") && err.contains("nobody listens there"), "{err}");
    assert!(!dir.path().join("data").exists());
    let health = lockstep(dir.path(), &["healthcheck"]).output().unwrap();
    assert_eq!(health.status.code(), Some(1));
}

#[test]
fn a_webhook_secret_that_can_never_sign_keeps_the_worker_from_starting() {
    let dir = tempfile::tempdir().unwrap();
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/config/examples/sidecar.toml");
    let line = "listen = \"127.0.0.1:8790\"";
    let webhook =
        "webhook = { url = \"http://127.0.0.1:9/h\", secret = \"whsec_-_-_9r8GKYqrTwjUPD8ILPZIo2LaLaSw\" }";
    let config = std::fs::read_to_string(example).unwrap().replace(line, &format!("{line}\n{webhook}"));
    assert!(config.contains(webhook));
    std::fs::write(dir.path().join("lockstep.toml"), config).unwrap();
    let output = lockstep(dir.path(), &["run"]).output().unwrap();
    let (_, err) = texts(&output);
    assert_eq!(output.status.code(), Some(1), "{err}");
    assert!(err.contains("tickets: the webhook's secret is in the URL-safe form"), "{err}");
    let checked = lockstep(dir.path(), &["check"]).output().unwrap();
    let (found, _) = texts(&checked);
    assert!(checked.status.code() == Some(3) && found.contains("URL-safe form"), "{found}");
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let dir = tempfile::tempdir().unwrap();
    let mut child = lockstep(dir.path(), &["completions", "zsh"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let status = child.wait().unwrap();
    let mut err = String::new();
    child.stderr.take().unwrap().read_to_string(&mut err).unwrap();
    assert_eq!((status.code(), err.as_str()), (Some(0), ""));
}

#[test]
fn a_simulation_plays_our_bridges_or_those_of_a_configuration() {
    for config in [&[][..], &["--config", EXAMPLE]] {
        let args = [&["simulate", "--histories", "20", "--seed", "1", "--format", "json"], config].concat();
        let (output, _dir) = run(&args);
        let (out, err) = texts(&output);
        assert_eq!((output.status.code(), err.as_str()), (Some(0), ""), "{out}");
        let report: serde_json::Value = serde_json::from_str(&out).unwrap();
        assert_eq!((&report["histories"], &report["violations"]), (&20.into(), &0.into()), "{out}");
    }
}

#[test]
fn a_simulation_in_which_nothing_is_written_says_so() {
    let (output, _dir) = run(&["simulate", "--histories", "20", "--seed", "1", "--config", EXAMPLE]);
    let (out, _) = texts(&output);
    assert!(out.contains("lockstep wrote nothing: these bridges leave all to Microsoft's own sync"), "{out}");
}

#[test]
fn one_history_is_told_in_full_and_the_same_each_time() {
    let told = || texts(&run(&["simulate", "--histories", "1", "--seed", "4711"]).0).0;
    let (first, second) = (told(), told());
    let story = |text: &str| text.split("\n\n").next().unwrap().to_owned();
    assert_eq!(story(&first), story(&second));
    assert!(
        first.contains("everything rests") && first.contains("replay: lockstep simulate --seed 4711"),
        "{first}"
    );
    assert!(first.trim_end().ends_with("no violation"), "{first}");
}
