//! A sidecar has no service to ask: its tickets lie in lockstep's own mailbox. What answers is the adapter's webhook, or whatever
//! stands before it. What is no acknowledgement must not empty the mailbox.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use lockstep::emulator::{DefenderEdit, Emulator, EmulatorOptions, IncidentSeed};
use serde_json::Value;

use crate::support::{Base, pause, until};

/// What the adapter's address answers.
const ANSWERS: [(&str, &str); 4] = [
    ("html-200", "200 OK\r\nContent-Type: text/html; charset=utf-8"),
    ("html-404", "404 Not Found\r\nContent-Type: text/html"),
    ("anonymous", "401 Unauthorized\r\nContent-Type: application/json"),
    ("log-in redirect", "302 Found\r\nLocation: /log-in\r\nContent-Type: text/html"),
];
const TAKEN: &str = "204 No Content";

/// An adapter behind an address that may be somebody else's for a while.
#[derive(Debug, Default)]
struct Adapter {
    head: Mutex<String>,
    /// Type and id of the messages that it got.
    taken: Mutex<Vec<(String, String)>>,
    turned_away: Mutex<usize>,
}

impl Adapter {
    fn answers(&self, head: &str) {
        head.clone_into(&mut self.head.lock().unwrap());
    }

    fn count(&self, kind: &str) -> usize {
        self.taken.lock().unwrap().iter().filter(|(of, _)| of == kind).count()
    }

    fn serve(self: &Arc<Self>, listener: TcpListener) {
        let adapter = Arc::clone(self);
        // Ends with the process.
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                // A caller that goes away is the caller's concern.
                let _ = adapter.answer(stream);
            }
        });
    }

    fn answer(&self, mut stream: TcpStream) -> std::io::Result<()> {
        let mut reader = BufReader::new(stream.try_clone()?);
        let (mut first, mut length) = (String::new(), 0);
        reader.read_line(&mut first)?;
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line)? == 0 || line.trim().is_empty() {
                break;
            }
            if let Some((name, value)) =
                line.split_once(':').filter(|(n, _)| n.eq_ignore_ascii_case("content-length"))
            {
                length = value.trim().parse().unwrap_or_else(|_| panic!("{name} is no number"));
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        let head = self.head.lock().unwrap().clone();
        let head = if first.contains("/log-in") { ANSWERS[0].1.to_owned() } else { head };
        if head == TAKEN {
            let message: Value = serde_json::from_slice(&body).unwrap_or_default();
            let text = |name: &str| message[name].as_str().unwrap_or_default().to_owned();
            self.taken.lock().unwrap().push((text("type"), text("id")));
        } else {
            *self.turned_away.lock().unwrap() += 1;
        }
        write!(stream, "HTTP/1.1 {head}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
    }
}

/// How many messages wait, as the sidecar's own status tells.
fn waiting(api: SocketAddr) -> Option<u64> {
    let mut stream = TcpStream::connect(api).ok()?;
    write!(stream, "GET /v1/status HTTP/1.0\r\nHost: localhost\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let status: Value = serde_json::from_str(answer.split_once("\r\n\r\n")?.1).ok()?;
    status["pending"].as_u64()
}

#[test]
fn what_is_no_acknowledgement_empties_no_mailbox() {
    let mut failed = Vec::new();
    for (name, head) in ANSWERS {
        let wrong = cell(head);
        println!("sidecar / webhook / {name:<16} {}", if wrong.is_empty() { "ok" } else { "FAILED" });
        failed.extend(wrong.into_iter().map(|what| format!("sidecar / webhook / {name}: {what}")));
    }
    assert!(failed.is_empty(), "{failed:#?}");
}

fn cell(head: &str) -> Vec<String> {
    let adapter = Arc::new(Adapter::default());
    adapter.answers(TAKEN);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let hook = listener.local_addr().unwrap();
    adapter.serve(listener);
    let api = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let tickets = format!(
        "kind = \"sidecar\"\npoll = \"100ms\"\nlisten = \"{api}\"\n\
         webhook = {{ url = \"http://{hook}/hook\", secret = \"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\" }}"
    );
    let emulator = Emulator::start(EmulatorOptions::default()).unwrap();
    let mut base = Base::new(emulator, "create_in = [\"tickets\"]", Some(&tickets));
    let (defender, _) = base.emulator.add_linked(&IncidentSeed::default());
    base.start();
    until(&base, "the ticket is opened", || adapter.count("ticket.opened") == 1);
    adapter.answers(head);
    let edit = |edit| base.emulator.human_defender(defender, "ana@example.org", &edit).unwrap();
    edit(DefenderEdit::comment("isolated host7"));
    edit(DefenderEdit::resolve("truePositive", "phishing"));
    base.emulator.add_linked(&IncidentSeed::new("appeared meanwhile", "low", 1));
    until(&base, "the answer is met", || *adapter.turned_away.lock().unwrap() > 0);
    pause(Duration::from_millis(1_500));
    let mut wrong = Vec::new();
    if waiting(api).is_none_or(|waiting| waiting == 0) {
        wrong.push("nothing waits, although nothing was taken".to_owned());
    }
    adapter.answers(TAKEN);
    let all_taken = || {
        adapter.count("ticket.closed") >= 1 && adapter.count("ticket.opened") >= 2 && waiting(api) == Some(0)
    };
    for _ in 0..1_000 {
        if all_taken() || !wrong.is_empty() {
            break;
        }
        pause(Duration::from_millis(50));
    }
    let counts = ["ticket.opened", "ticket.closed", "ticket.commented"].map(|kind| adapter.count(kind));
    if counts != [2, 1, 1] {
        wrong.push(format!("opened, closed and commented {counts:?} times, not [2, 1, 1]"));
    }
    let taken = adapter.taken.lock().unwrap();
    if taken.iter().map(|(_, id)| id).collect::<BTreeSet<_>>().len() != taken.len() {
        wrong.push(format!("a message was taken twice: {taken:?}"));
    }
    wrong
}
