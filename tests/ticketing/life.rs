//! The life of a ticket on a good day: opened once, followed in every field, closed and reopened from any side.

use std::fs;

use lockstep::emulator::{DefenderEdit, EmulatorOptions, IncidentSeed, NativeSync, SentinelEdit, What};
use serde_json::json;

use crate::desks::Desk;
use crate::rig::{ANA, BEN, LOCKSTEP, Rig};
use crate::support::comments;

pub(crate) fn opened_once_and_follows_every_field(desk: &'static Desk) {
    let mut rig = Rig::new(desk);
    let trio = rig.trio();
    let id = trio.ticket.as_str();
    assert_eq!(rig.ticket(id, "title"), "Mailbox rule hides mail");
    assert_eq!(rig.ticket(id, "severity"), "medium");
    assert_eq!(rig.ticket(id, "status"), "new");
    assert!(rig.ticket(id, "key").starts_with("lockstep-"), "{}", rig.ticket(id, "key"));
    let created =
        rig.emulator.ledger().into_iter().filter(|e| {
            e.system == desk.system && e.id == id && e.what == What::Created && e.actor == LOCKSTEP
        });
    assert_eq!(created.count(), 1);
    let edits = [
        (DefenderEdit::severity("high"), "severity", "high"),
        (DefenderEdit::title("Inbox rule deletes mail"), "title", "Inbox rule deletes mail"),
        (DefenderEdit::status("inProgress"), "status", "active"),
    ];
    for (edit, member, value) in edits {
        rig.in_defender(trio.defender, &edit);
        rig.until("the edit arrives at the ticket", |rig| rig.ticket(id, member) == value);
    }
    rig.quiet();
    let edits = [("severity", "low"), ("title", "Rule deletes mail")];
    for (member, value) in edits {
        let mut edit = json!({});
        edit[member] = value.into();
        rig.at_ticket(id, &edit);
        rig.until("the edit arrives at the incident", |rig| {
            let field = if member == "title" { "displayName" } else { member };
            rig.defender(trio.defender, field) == value
        });
    }
    rig.quiet();
    assert_eq!(rig.sentinel(&trio.sentinel, "title"), "Rule deletes mail");
    assert_eq!(rig.sentinel(&trio.sentinel, "severity"), "Low");
    assert_eq!((rig.defender_writes(trio.defender).len(), rig.ticket_edits(id).0.len()), (2, 3));
    assert_eq!(rig.tickets().len(), 1);
}

pub(crate) fn a_close_in_defender_closes_the_ticket_with_verdict_and_note(desk: &'static Desk) {
    let mut rig = Rig::new(desk);
    let trio = rig.trio();
    let close = DefenderEdit::resolve("falsePositive", "notMalicious").saying("Newsletter");
    rig.in_defender(trio.defender, &close);
    rig.until("all are closed", |rig| rig.all_closed(&trio));
    rig.quiet();
    let id = trio.ticket.as_str();
    assert!(rig.ticket(id, "verdict").starts_with("false-positive"), "{}", rig.ticket(id, "verdict"));
    let notes = format!("{}{:?}", rig.ticket(id, "closing_note"), rig.ticket_comments(id));
    assert!(notes.contains("Newsletter") && notes.contains(ANA), "{notes}");
    let (edits, comments) = rig.ticket_edits(id);
    assert!((1..=desk.close_writes).contains(&edits.len()), "{edits:#?}");
    assert!(comments.len() <= 1, "{comments:#?}");
    assert_eq!(rig.sentinel_writes(&trio.sentinel).len(), 1);
    assert_eq!(rig.defender_writes(trio.defender), [], "nothing bounces back");
}

pub(crate) fn a_close_in_the_ticket_closes_the_incidents_and_the_alerts(desk: &'static Desk) {
    let mut rig = Rig::new(desk);
    let trio = rig.trio();
    rig.close_ticket(&trio.ticket, "true-positive");
    rig.until("all are closed", |rig| rig.all_closed(&trio));
    rig.quiet();
    assert_eq!(rig.defender(trio.defender, "classification"), "truePositive");
    assert_eq!(rig.sentinel(&trio.sentinel, "classification"), "TruePositive");
    let incident = rig.emulator.defender_incident(trio.defender).unwrap();
    for alert in incident["alerts"].as_array().unwrap() {
        assert_eq!(alert["status"], "resolved", "{alert:#}");
    }
    assert_eq!(rig.defender_writes(trio.defender).len(), 1, "{:#?}", rig.defender_writes(trio.defender));
    assert_eq!(rig.sentinel_writes(&trio.sentinel).len(), 1, "{:#?}", rig.sentinel_writes(&trio.sentinel));
    let (edits, copies) = rig.ticket_edits(&trio.ticket);
    assert_eq!((edits, copies), (vec![], vec![]), "nothing bounces back");
}

pub(crate) fn a_close_in_sentinel_closes_the_ticket(desk: &'static Desk) {
    let mut rig = Rig::new(desk);
    let trio = rig.trio();
    let close = SentinelEdit::close("BenignPositive", Some("SuspiciousButExpected")).saying("Pen test");
    rig.emulator.human_sentinel(&trio.sentinel, ANA, &close).unwrap();
    rig.until("all are closed", |rig| rig.all_closed(&trio));
    rig.quiet();
    assert!(rig.ticket(&trio.ticket, "verdict").starts_with("benign-positive"));
    assert!((1..=desk.close_writes).contains(&rig.ticket_edits(&trio.ticket).0.len()));
    assert_eq!((rig.defender_writes(trio.defender).len(), rig.sentinel_writes(&trio.sentinel).len()), (1, 0));
}

pub(crate) fn reopenings_travel_from_either_side(desk: &'static Desk) {
    let mut rig = Rig::new(desk);
    let trio = rig.trio();
    rig.in_defender(trio.defender, &DefenderEdit::resolve("truePositive", "malware"));
    rig.until("all are closed", |rig| rig.all_closed(&trio));
    rig.quiet();
    rig.at_ticket(&trio.ticket, &json!({"status": "active"}));
    rig.until("the ticket reopens them", |rig| {
        rig.defender(trio.defender, "status") == "inProgress"
            && rig.sentinel(&trio.sentinel, "status") == "Active"
    });
    rig.quiet();
    rig.close_ticket(&trio.ticket, "false-positive");
    rig.until("all are closed again", |rig| rig.all_closed(&trio));
    rig.quiet();
    assert_eq!(rig.defender(trio.defender, "classification"), "falsePositive");
    rig.in_defender(trio.defender, &DefenderEdit::status("inProgress"));
    rig.until("the incident reopens the ticket", |rig| rig.ticket(&trio.ticket, "status") == "active");
    rig.quiet();
    assert_eq!(rig.sentinel(&trio.sentinel, "status"), "Active");
    assert_eq!(rig.tickets().len(), 1);
}

pub(crate) fn comments_are_copied_once_each_way_and_never_back(desk: &'static Desk) {
    let mut rig = Rig::new(desk);
    let trio = rig.trio();
    rig.in_defender(trio.defender, &DefenderEdit::comment("isolated host7"));
    rig.at_ticket(&trio.ticket, &json!({"comment": "mail purged"}));
    rig.until("both arrive", |rig| {
        rig.ticket_edits(&trio.ticket).1.len() == 1
            && comments(&rig.defender_writes(trio.defender)).len() == 1
    });
    rig.quiet();
    let here = comments(&rig.defender_writes(trio.defender));
    assert!(here.len() == 1 && here[0].contains("mail purged") && here[0].contains("tickets"), "{here:?}");
    let there = comments(&rig.sentinel_writes(&trio.sentinel));
    assert_eq!(there.len(), 2, "{there:?}");
    let copies = comments(&rig.ticket_edits(&trio.ticket).1);
    assert!(
        copies.len() == 1 && copies[0].contains("isolated host7") && copies[0].contains(ANA),
        "{copies:?}"
    );
    let shown = rig.ticket_comments(&trio.ticket);
    let copy = shown.iter().find(|c| c["text"].as_str().unwrap().contains("isolated host7")).unwrap();
    assert!(copy["internal"] == true || !desk.has_internal_comments, "{copy}");
}

pub(crate) fn comments_from_before_the_ticket_are_carried(desk: &'static Desk) {
    let mut rig = Rig::new(desk);
    let (defender, _) = rig.pair();
    rig.in_defender(defender, &DefenderEdit::comment("user called"));
    rig.start();
    rig.until("the ticket is opened", |rig| rig.tickets().len() == 1);
    let id = rig.tickets()[0].clone();
    rig.until("the comment follows", |rig| rig.ticket_edits(&id).1.len() == 1);
    rig.quiet();
    let copies = comments(&rig.ticket_edits(&id).1);
    assert!(copies.len() == 1 && copies[0].contains("user called"), "{copies:?}");
}

pub(crate) fn a_burst_ends_in_the_last_state(desk: &'static Desk) {
    let mut rig = Rig::new(desk);
    let trio = rig.trio();
    for n in 0..20 {
        rig.in_defender(trio.defender, &DefenderEdit::title(&format!("Title {n}")));
    }
    rig.in_defender(trio.defender, &DefenderEdit::resolve("falsePositive", "notMalicious"));
    rig.until("all are closed", |rig| rig.all_closed(&trio));
    rig.quiet();
    let edits = rig.ticket_edits(&trio.ticket).0.len();
    assert!((1..=22).contains(&edits), "{edits}");
    assert_eq!(rig.defender_writes(trio.defender), []);
    assert_eq!(rig.sentinel(&trio.sentinel, "title"), "Title 19");
}

pub(crate) fn of_two_concurrent_edits_the_close_wins(desk: &'static Desk) {
    let mut rig = Rig::new(desk);
    let trio = rig.trio();
    rig.stop();
    rig.in_defender(trio.defender, &DefenderEdit::status("inProgress"));
    rig.close_ticket(&trio.ticket, "true-positive");
    rig.start();
    rig.until("the close wins", |rig| rig.all_closed(&trio));
    rig.quiet();
    assert_eq!(rig.ticket_edits(&trio.ticket).0, []);
    assert_eq!(rig.defender_writes(trio.defender).len(), 1);
}

pub(crate) fn an_incident_that_is_closed_already_opens_none(desk: &'static Desk) {
    let mut rig = Rig::new(desk);
    let (defender, _) = rig.pair();
    rig.in_defender(defender, &DefenderEdit::status("resolved"));
    rig.start();
    rig.until("it is mapped", |rig| rig.gauge("lockstep_mappings") == Some(1.0));
    rig.quiet();
    assert_eq!(rig.tickets(), [] as [String; 0]);
    rig.in_defender(defender, &DefenderEdit::status("inProgress"));
    rig.until("it goes on, and a ticket is opened", |rig| rig.tickets().len() == 1);
}

pub(crate) fn an_incident_below_the_filter_opens_none(desk: &'static Desk) {
    let options = EmulatorOptions::default();
    let mut rig = Rig::with(desk, options, "filter = { severity_at_least = \"high\" }");
    rig.pair();
    let (high, _) = rig.emulator.add_linked(&IncidentSeed::new("Ransomware", "high", 1));
    rig.start();
    rig.until("the other one gets a ticket", |rig| rig.tickets().len() == 1);
    rig.quiet();
    assert_eq!(rig.tickets().len(), 1);
    assert_eq!(rig.ticket(&rig.tickets()[0], "title"), "Ransomware");
    assert_eq!(rig.defender(high, "status"), "active");
}

pub(crate) fn a_reopening_can_mean_a_new_ticket(desk: &'static Desk) {
    let options = EmulatorOptions::default();
    let mut rig = Rig::with(desk, options, "closing = { reopen = \"new-ticket\" }");
    let trio = rig.trio();
    rig.in_defender(trio.defender, &DefenderEdit::resolve("truePositive", "malware"));
    rig.until("all are closed", |rig| rig.all_closed(&trio));
    rig.quiet();
    rig.in_defender(trio.defender, &DefenderEdit::status("inProgress"));
    rig.until("a second ticket is opened", |rig| rig.tickets().len() == 2);
    rig.quiet();
    assert_eq!(rig.ticket(&trio.ticket, "status"), "closed");
    let second = rig.tickets()[1].clone();
    rig.in_defender(trio.defender, &DefenderEdit::resolve("truePositive", "malware"));
    rig.until("it is closed", |rig| rig.ticket(&second, "status") == "closed");
    rig.quiet();
    assert_eq!(rig.tickets().len(), 2);
}

pub(crate) fn a_lost_store_duplicates_nothing(desk: &'static Desk) {
    let mut rig = Rig::new(desk);
    let trio = rig.trio();
    rig.in_defender(trio.defender, &DefenderEdit::comment("isolated host7"));
    rig.until("it arrives", |rig| rig.ticket_edits(&trio.ticket).1.len() == 1);
    rig.quiet();
    let before = rig.emulator.ledger().len();
    rig.kill();
    fs::remove_dir_all(rig.dir.path().join("data")).unwrap();
    rig.start();
    rig.until("it is mapped again", |rig| {
        rig.get("/api/v1/mappings?limit=10")
            .is_some_and(|list| list.contains(&format!("ticket/{}", trio.ticket)))
    });
    rig.quiet();
    assert_eq!(rig.emulator.ledger().len(), before, "{:#?}", &rig.emulator.ledger()[before..]);
    rig.close_ticket(&trio.ticket, "true-positive");
    rig.until("and it works", |rig| rig.all_closed(&trio));
}

pub(crate) fn a_deleted_ticket_is_not_opened_again(desk: &'static Desk) {
    let mut rig = Rig::new(desk);
    let trio = rig.trio();
    rig.at_ticket(&trio.ticket, &json!({"delete": true}));
    rig.in_defender(trio.defender, &DefenderEdit::severity("high"));
    rig.until("the other side still gets it", |rig| rig.sentinel(&trio.sentinel, "severity") == "High");
    rig.until("the ticket is out", |rig| {
        rig.get("/api/v1/mappings?limit=10").is_some_and(|list| list.contains("gone"))
    });
    rig.quiet();
    assert_eq!(rig.tickets(), [] as [String; 0], "none is opened for it");
    assert_eq!(rig.defender(trio.defender, "status"), "active", "and it closes nothing");
}

pub(crate) fn a_copied_key_is_left_alone(desk: &'static Desk) {
    let mut rig = Rig::new(desk);
    let trio = rig.trio();
    let key = rig.ticket(&trio.ticket, "key");
    let seed = json!({"title": "Cloned", "severity": "low", "key": key});
    let copy = rig.emulator.open_ticket(desk.system, BEN, &seed).unwrap();
    rig.close_ticket(&copy, "false-positive");
    rig.until("it is seen", |rig| {
        rig.get("/api/v1/mappings?limit=10").is_some_and(|list| list.contains(&format!("ticket/{copy}")))
    });
    rig.quiet();
    assert_eq!(rig.defender(trio.defender, "status"), "active", "the copy closes nothing");
    rig.in_defender(trio.defender, &DefenderEdit::resolve("truePositive", "malware"));
    rig.until("the true one follows", |rig| rig.all_closed(&trio));
    rig.quiet();
    let touched = rig.ticket_writes(desk.system, &copy, LOCKSTEP);
    assert_eq!(touched, [], "what is not ours is not touched");
}

pub(crate) fn with_native_sync_on_the_ticket_is_written_once(desk: &'static Desk) {
    let options = EmulatorOptions { native_sync: NativeSync::on(0.2, 0.5), ..EmulatorOptions::default() };
    let bridge = "native_sync = [\"defender\", \"sentinel\"]\nnative_sync_deadline = \"4s\"";
    let mut rig = Rig::with(desk, options, bridge);
    let trio = rig.trio();
    rig.in_defender(trio.defender, &DefenderEdit::resolve("truePositive", "malware"));
    rig.until("all are closed", |rig| rig.all_closed(&trio));
    rig.quiet();
    assert!((1..=desk.close_writes).contains(&rig.ticket_edits(&trio.ticket).0.len()));
    assert_eq!((rig.defender_writes(trio.defender), rig.sentinel_writes(&trio.sentinel)), (vec![], vec![]));
    rig.at_ticket(&trio.ticket, &json!({"status": "active"}));
    rig.until("the ticket reopens both", |rig| {
        rig.defender(trio.defender, "status") == "inProgress"
            && rig.sentinel(&trio.sentinel, "status") == "Active"
    });
    rig.quiet();
    assert_eq!((rig.defender_writes(trio.defender).len(), rig.sentinel_writes(&trio.sentinel)), (1, vec![]));
}

pub(crate) fn an_idle_worker_makes_one_list_call_per_poll(desk: &'static Desk) {
    let mut rig = Rig::new(desk);
    rig.trio();
    let list = format!("{}/list-tickets", desk.system.as_str());
    let others = |rig: &Rig| -> u64 {
        let calls = rig.emulator.calls();
        let is_list =
            |name: &str| name == list || name.ends_with("list-incidents") || name == "graph/list-alerts";
        calls.iter().filter(|(name, _)| !is_list(name)).map(|(_, n)| n).sum()
    };
    // The overlap brings the ticket again for a while.
    rig.until("the overlap has passed", |rig| {
        rig.emulator.reset_calls();
        rig.until("a few polls", |rig| rig.list_calls() >= 40);
        others(rig) == 0
    });
    rig.emulator.reset_calls();
    rig.until("many polls", |rig| rig.list_calls() >= 120);
    let calls = rig.emulator.calls();
    assert_eq!(others(&rig), 0, "{calls:?}");
    assert!(calls[&list].abs_diff(calls["graph/list-alerts"]) <= 2, "{calls:?}");
}

pub(crate) fn a_propagated_close_costs_at_most_five_calls(desk: &'static Desk) {
    let mut rig = Rig::new(desk);
    let incidents: Vec<u64> = (0..10).map(|_| rig.pair().0).collect();
    rig.start();
    rig.until("all tickets are opened", |rig| rig.tickets().len() == 10);
    rig.quiet();
    rig.emulator.reset_calls();
    for id in &incidents {
        rig.in_defender(*id, &DefenderEdit::resolve("truePositive", "malware").saying("Reimaged"));
    }
    rig.until("all are closed", |rig| rig.tickets().iter().all(|t| rig.ticket(t, "status") == "closed"));
    // Counted at once: what the lists make of our own writes later is the cost of lists.
    let calls = rig.emulator.calls();
    let is_own = |name: &str| name.starts_with(desk.system.as_str()) && !name.ends_with("/list-tickets");
    let own: u64 = calls.iter().filter(|(name, _)| is_own(name)).map(|(_, n)| n).sum();
    println!("{}: {own} calls for ten closes: {calls:?}", desk.system.as_str());
    assert!(own <= 50, "{calls:?}");
}

pub(crate) fn what_attackers_write_stays_text(desk: &'static Desk) {
    let hostile = "=cmd|' /C calc'!A0 {{ 7*7 }} {% raw %} <img src=x onerror=alert(1)> [code]<b>x</b>[/code] {color:red}h1. \
                   [x|http://evil.example] ![i](http://evil.example/p.png) ^ORstate=1 OR 1=1 -- \u{202e}txt.exe";
    let mut rig = Rig::new(desk);
    let (defender, _) = rig.emulator.add_linked(&IncidentSeed::new(&hostile[..90], "high", 1));
    rig.in_defender(defender, &DefenderEdit::comment(hostile));
    rig.start();
    rig.until("the ticket is opened", |rig| rig.tickets().len() == 1);
    let id = rig.tickets()[0].clone();
    rig.until("the comment follows", |rig| rig.ticket_edits(&id).1.len() == 1);
    rig.quiet();
    let ticket = rig.emulator.ticket(desk.system, &id).unwrap();
    assert!(
        ticket["common"]["title"].as_str().unwrap().starts_with("=cmd|' /C calc'!A0 {{ 7*7 }}"),
        "{ticket:#}"
    );
    assert_eq!(rig.ticket_edits(&id).1.len(), 1, "its mark is still recognised");
    assert!(!ticket.to_string().contains("49 {% raw"), "no template ran");
    rig.close_ticket(&id, "false-positive");
    rig.until("and it closes", |rig| rig.defender(defender, "status") == "resolved");
}
