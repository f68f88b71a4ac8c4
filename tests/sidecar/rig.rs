//! The real binary, the emulators, and an adapter with ticketing software behind it. Verdicts come from the emulators'
//! ledger and from what the adapter carried out.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::ops::{Deref, DerefMut};
use std::time::{Duration, Instant};

use lockstep::emulator::{Emulator, EmulatorOptions, Entry, IncidentSeed, System};
use serde_json::{Value, json};

use crate::support::{self, Base, PATIENCE, pause, text};

/// The stage with a sidecar called `tickets`.
pub(crate) struct Rig {
    base: Base,
    pub(crate) api: SocketAddr,
}

/// The adapter and its software: tickets by key, and every effect in order.
#[derive(Debug, Default)]
pub(crate) struct Adapter {
    pub(crate) tickets: BTreeMap<String, Value>,
    /// What was carried out: message type and message id.
    pub(crate) effects: Vec<(String, String)>,
    /// The ids carried out, which is how an adapter tells a repetition.
    carried_out: BTreeSet<String>,
    /// How often a message came again.
    pub(crate) repetitions: usize,
}

impl Deref for Rig {
    type Target = Base;

    fn deref(&self) -> &Base {
        &self.base
    }
}

impl DerefMut for Rig {
    fn deref_mut(&mut self) -> &mut Base {
        &mut self.base
    }
}

impl Rig {
    pub(crate) fn new() -> Self {
        let emulator = Emulator::start(EmulatorOptions::default()).unwrap();
        let api = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let tickets = format!("kind = \"sidecar\"\npoll = \"100ms\"\nlisten = \"{api}\"");
        Self { base: Base::new(emulator, "create_in = [\"tickets\"]", Some(&tickets)), api }
    }

    pub(crate) fn restart(&mut self) {
        self.kill();
        self.start();
    }

    /// One incident of both systems.
    pub(crate) fn incident(&self) -> (u64, String) {
        self.emulator.add_linked(&IncidentSeed::default())
    }

    /// One request to the sidecar API; `None` where nobody answers.
    pub(crate) fn call(&self, method: &str, path: &str, body: Option<&Value>) -> Option<(u16, Value)> {
        let body = body.map(Value::to_string).unwrap_or_default();
        let mut stream = TcpStream::connect(self.api).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(20))).ok()?;
        write!(
            stream,
            "{method} {path} HTTP/1.0\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
        .ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        let status = answer.get(9..12)?.parse().ok()?;
        let text = answer.split_once("\r\n\r\n")?.1;
        Some((status, serde_json::from_str(text).unwrap_or(Value::Null)))
    }

    /// A request that must be answered, however often it takes: lockstep may be starting.
    pub(crate) fn insist(&self, method: &str, path: &str, body: Option<&Value>) -> (u16, Value) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.call(method, path, body) {
                Some(answer) => return answer,
                None if Instant::now() > deadline => {
                    panic!("nobody answers {method} {path}: {}", self.log())
                }
                None => pause(Duration::from_millis(20)),
            }
        }
    }

    /// What a person does to a ticket in the software, reported.
    pub(crate) fn report(&self, key: &str, what: &Value) -> Value {
        let (status, view) = self.insist("PUT", &format!("/v1/tickets/{key}"), Some(what));
        assert_eq!(status, 200, "{view}");
        view
    }

    pub(crate) fn defender(&self, id: u64, field: &str) -> String {
        text(&self.emulator.defender_incident(id).unwrap()[field])
    }

    pub(crate) fn sentinel(&self, name: &str, field: &str) -> String {
        text(&self.emulator.sentinel_incident(name).unwrap()["properties"][field])
    }

    pub(crate) fn defender_writes(&self, id: u64) -> Vec<Entry> {
        self.writes(System::Defender, &id.to_string())
    }

    pub(crate) fn sentinel_writes(&self, name: &str) -> Vec<Entry> {
        self.writes(System::Sentinel, name)
    }

    /// Waits for something that must happen.
    pub(crate) fn until(&self, what: &str, mut happened: impl FnMut(&Self) -> bool) {
        support::until(self, what, || happened(self));
    }

    /// Lets the adapter work until nobody has anything left to do, and several fresh polls brought nothing.
    pub(crate) fn quiet(&self, adapter: &mut Adapter) {
        let (mut calm, mut last) = (0, (usize::MAX, 0));
        self.until("all is at rest", |rig| {
            let done = adapter.work(rig);
            let (polls, effects) = (rig.list_calls(), rig.emulator.ledger().len() + adapter.effects.len());
            if done != Some(0) || !rig.is_idle() || effects != last.0 {
                (calm, last) = (0, (effects, polls));
            } else if polls >= last.1 + 9 {
                calm += 1;
                last.1 = polls;
            }
            calm >= 2
        });
    }

    /// An incident with its ticket open everywhere, and the ticket's key.
    pub(crate) fn opened(&mut self, adapter: &mut Adapter) -> (u64, String, String) {
        let (defender, sentinel) = self.incident();
        self.start();
        self.quiet(adapter);
        let keys: Vec<&String> = adapter.tickets.keys().collect();
        assert_eq!(keys.len(), 1, "one ticket per incident: {:?}\n{}", adapter.effects, self.log());
        (defender, sentinel, keys[0].clone())
    }
}

impl Adapter {
    /// Carries out what waits, and acknowledges it. How much that was; `None` where lockstep does not answer.
    pub(crate) fn work(&mut self, rig: &Rig) -> Option<usize> {
        let messages = self.carry_out(rig)?;
        let ids: Vec<&Value> = messages.iter().map(|message| &message["id"]).collect();
        if !ids.is_empty() {
            rig.call("POST", "/v1/changes/ack", Some(&json!({ "messages": ids })))?;
        }
        Some(messages.len())
    }

    /// Carries out what waits, and dies before it can say so.
    pub(crate) fn carry_out(&mut self, rig: &Rig) -> Option<Vec<Value>> {
        let (_, found) = rig.call("GET", "/v1/changes", None)?;
        let messages = found["messages"].as_array()?.clone();
        for message in &messages {
            self.take(message);
        }
        Some(messages)
    }

    fn take(&mut self, message: &Value) {
        let id = text(&message["id"]);
        if !self.carried_out.insert(id.clone()) {
            self.repetitions += 1;
            return;
        }
        self.effects.push((text(&message["type"]), id));
        let wanted = &message["data"]["ticket"];
        let ticket = self.tickets.entry(text(&wanted["key"])).or_insert_with(|| json!({ "comments": [] }));
        for field in message["data"]["changed"].as_array().unwrap() {
            let field = field.as_str().unwrap();
            ticket[field] = wanted[field].clone();
        }
        ticket["closing_note"] = wanted["closing_note"].clone();
        if let Some(comment) = message["data"].get("comment") {
            ticket["comments"].as_array_mut().unwrap().push(comment.clone());
        }
    }

    /// How often something was carried out.
    pub(crate) fn count(&self, kind: &str) -> usize {
        self.effects.iter().filter(|(of, _)| of == kind).count()
    }
}
