//! Webhooks of the ticket systems: they wake, and carry nothing.

use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::TcpStream;

use hmac::{Hmac, KeyInit, Mac};
use serde_json::json;
use sha2::Sha256;

use crate::desks::{Desk, Proof};
use crate::rig::{BEN, Rig, Trio};

const SECRET: &str = "hook-secret";

/// A worker that polls once, at its start, and then not for an hour; with one incident and its ticket.
fn deaf(desk: &'static Desk) -> (Rig, Trio) {
    let mut rig = Rig::new(desk);
    let trio = rig.trio();
    rig.stop();
    let config = std::fs::read_to_string(rig.config()).unwrap();
    let config = config.replace("poll = \"100ms\"", &format!("poll = \"1h\"\nhook_secret = \"{SECRET}\""));
    std::fs::write(rig.config(), config).unwrap();
    rig.emulator.reset_calls();
    rig.start();
    // Four collections, each listed once.
    rig.until("it has polled", |rig| rig.list_calls() >= 4 && rig.is_idle());
    (rig, trio)
}

fn signature(secret: &str, body: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(body.as_bytes());
    mac.finalize().into_bytes().iter().fold("sha256=".to_owned(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

/// What the ticket system sends about a ticket; returns the status.
fn hook(rig: &Rig, secret: &str, id: &str) -> u16 {
    let body = rig.desk.hint.replace("ID", id);
    let proof = match rig.desk.proof {
        Proof::Secret(header) => format!("{header}: {secret}"),
        Proof::Signature => format!("X-Hub-Signature: {}", signature(secret, &body)),
    };
    let mut stream = TcpStream::connect(rig.server_url().trim_start_matches("http://")).unwrap();
    let head = format!("POST /hooks/tickets HTTP/1.0\r\nHost: localhost\r\n{proof}\r\n");
    write!(stream, "{head}Content-Length: {}\r\n\r\n{body}", body.len()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer.split(' ').nth(1).unwrap().parse().unwrap()
}

pub(crate) fn a_hint_brings_an_edit_without_any_poll(desk: &'static Desk) {
    let (rig, trio) = deaf(desk);
    let polls = rig.emulator.calls().get("graph/list-incidents").copied();
    rig.close_ticket(&trio.ticket, "true-positive");
    assert_eq!(hook(&rig, SECRET, &trio.ticket), 202);
    rig.until("the close arrives", |rig| rig.all_closed(&trio));
    rig.until("the worker rests", |rig| rig.is_idle());
    assert_eq!(
        rig.emulator.calls().get("graph/list-incidents").copied(),
        polls,
        "nothing was polled meanwhile"
    );
    assert_eq!((rig.defender_writes(trio.defender).len(), rig.sentinel_writes(&trio.sentinel).len()), (1, 1));
    assert_eq!(rig.ticket_edits(&trio.ticket).0, []);
}

pub(crate) fn lies_and_strangers_are_not_believed(desk: &'static Desk) {
    let (rig, trio) = deaf(desk);
    let seed = json!({"title": "Printer", "severity": "low"});
    let foreign = rig.emulator.open_ticket(desk.system, BEN, &seed).unwrap();
    rig.close_ticket(&foreign, "false-positive");
    assert_eq!(hook(&rig, "wrong", &trio.ticket), 401);
    assert_eq!(hook(&rig, SECRET, &foreign), 202, "what it names is looked up, not believed");
    assert_eq!(hook(&rig, SECRET, &trio.ticket), 202);
    assert_eq!(hook(&rig, SECRET, "../../0"), 202);
    let settled = |rig: &Rig| rig.get("/metrics").is_some_and(|m| m.contains("lockstep_hints_total"));
    rig.until("they are followed up", settled);
    rig.until("the worker rests", |rig| rig.is_idle());
    assert_eq!(rig.defender(trio.defender, "status"), "active");
    assert_eq!((rig.defender_writes(trio.defender), rig.ticket_edits(&trio.ticket).0), (vec![], vec![]));
    assert_eq!(rig.tickets().len(), 2);
}
