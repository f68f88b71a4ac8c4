//! Hints by webhook: an edit travels without waiting for a poll, and nothing that a webhook says is believed.

use std::io::{Read, Write};
use std::net::TcpStream;

use lockstep::emulator::{DefenderEdit, EmulatorOptions, IncidentSeed, SentinelEdit, System};

use crate::rig::{Pair, Rig};

const SECRET: &str = "hook-secret";

/// A worker that polls once, at its start, and then not for an hour; with one pair that it knows.
fn deaf() -> (Rig, Pair) {
    let mut rig = Rig::with(EmulatorOptions::default(), "");
    let config = std::fs::read_to_string(rig.config()).unwrap();
    let config = config.replace("poll = \"100ms\"", &format!("poll = \"1h\"\nhook_secret = \"{SECRET}\""));
    assert!(config.contains("hook_secret"), "{config}");
    std::fs::write(rig.config(), config).unwrap();
    let pair = rig.pair();
    rig.start();
    rig.until("the pair is known", |rig| rig.gauge("lockstep_mappings") == Some(1.0) && rig.is_idle());
    (rig, pair)
}

/// Posts to a hook; returns the status.
fn post(rig: &Rig, system: &str, secret: &str, body: &str) -> u16 {
    let address = rig.server_url();
    let mut stream = TcpStream::connect(address.trim_start_matches("http://")).unwrap();
    write!(
        stream,
        "POST /hooks/{system} HTTP/1.0\r\nHost: localhost\r\nX-Lockstep-Hook-Secret: {secret}\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer.split(' ').nth(1).unwrap().parse().unwrap()
}

fn hint(rig: &Rig, system: &str, body: &str) {
    assert_eq!(post(rig, system, SECRET, body), 202, "{body}");
}

/// Waits until so many hints came to this end.
fn until_followed(rig: &Rig, system: &str, outcome: &str, count: u32) {
    let line = format!("lockstep_hints_total{{outcome=\"{outcome}\",system=\"{system}\"}} {count}");
    rig.until(&line, |rig| rig.get("/metrics").is_some_and(|metrics| metrics.contains(&line)));
}

#[test]
fn a_hint_carries_a_close_over_without_any_poll() {
    let (mut rig, pair) = deaf();
    let polls = rig.list_calls();
    let close = DefenderEdit::resolve("truePositive", "phishing").saying("User reported it");
    rig.emulator.human_defender(pair.defender, "ana@example.org", &close).unwrap();
    hint(&rig, "defender", &format!("{{\"incident\": \"{}\"}}", pair.defender));
    rig.until("the close arrives", |rig| rig.sentinel(&pair, "status") == "Closed");
    rig.until("the worker rests", |rig| rig.is_idle());
    let reopen = SentinelEdit::status("Active");
    rig.emulator.human_sentinel(&pair.sentinel, "ben@example.org", &reopen).unwrap();
    hint(&rig, "sentinel", &format!("{{\"object\": {{\"name\": \"{}\"}}}}", pair.sentinel.to_uppercase()));
    rig.until("the reopening arrives", |rig| rig.defender(&pair, "status") == "inProgress");
    rig.until("the worker rests", |rig| rig.is_idle());
    assert_eq!(rig.list_calls(), polls, "nothing was listed meanwhile");
    assert_eq!((rig.defender_writes(&pair).len(), rig.sentinel_writes(&pair).len()), (1, 1));
    assert_eq!(rig.stop(), Some(0));
}

#[test]
fn a_new_incident_is_taken_up_at_once() {
    let (rig, _) = deaf();
    let new = rig.emulator.add_incident(&IncidentSeed::new("New one", "high", 1));
    hint(&rig, "defender", &format!("{{\"incident\": {new}}}"));
    rig.until("it has a mapping", |rig| rig.gauge("lockstep_mappings") == Some(2.0));
}

#[test]
fn echoes_repetitions_and_lies_write_nothing() {
    let (rig, pair) = deaf();
    for secret in ["", "wrong", "hook-secret2"] {
        assert_eq!(post(&rig, "defender", secret, "{\"incident\": 1}"), 401);
    }
    assert_eq!(post(&rig, "elsewhere", SECRET, "{}"), 404);
    let known = format!("{{\"incident\": \"{}\", \"status\": \"resolved\"}}", pair.defender);
    hint(&rig, "defender", &known);
    until_followed(&rig, "defender", "nothing-new", 1);
    hint(&rig, "defender", "{\"incident\": \"999999\", \"alert\": \"da1_1\"}");
    until_followed(&rig, "defender", "nothing-new", 3);
    hint(&rig, "sentinel", "{\"incident\": \"../../../alertRules\"}");
    rig.until("the worker rests", |rig| rig.is_idle());
    for (system, id) in
        [(System::Defender, pair.defender.to_string()), (System::Sentinel, pair.sentinel.clone())]
    {
        assert_eq!(rig.writes(system, &id), [], "a hint is believed no further than its id");
    }
    assert_eq!(rig.gauge("lockstep_mappings"), Some(1.0));
}
