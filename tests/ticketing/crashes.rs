//! The worker killed between any two steps of the protocol, and at random moments.

use std::time::Duration;

use lockstep::emulator::DefenderEdit;
use lockstep::engine::CRASH_POINTS;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::json;

use crate::desks::Desk;
use crate::rig::{Rig, Trio};
use crate::support::{comments, pause};

pub(crate) fn killed_at_every_point_while_a_ticket_is_opened(desk: &'static Desk) {
    for point in CRASH_POINTS {
        let mut rig = Rig::new(desk);
        let (defender, _) = rig.pair();
        rig.start_to_die(point);
        let died = rig.wait_for_death(Duration::from_secs(20));
        assert!(died, "{point} was not reached");
        rig.start();
        rig.until("the ticket is opened", |rig| !rig.tickets().is_empty());
        rig.quiet();
        assert_eq!(rig.tickets().len(), 1, "{point}");
        let id = rig.tickets()[0].clone();
        rig.close_ticket(&id, "true-positive");
        rig.until("and it is linked", |rig| rig.defender(defender, "status") == "resolved");
    }
}

fn close_and_comment(rig: &Rig, trio: &Trio, in_defender: bool) {
    if in_defender {
        rig.in_defender(trio.defender, &DefenderEdit::comment("isolated host7"));
        rig.in_defender(trio.defender, &DefenderEdit::resolve("truePositive", "malware"));
    } else {
        rig.at_ticket(&trio.ticket, &json!({"comment": "isolated host7"}));
        rig.close_ticket(&trio.ticket, "true-positive");
    }
}

fn arrived_once(rig: &Rig, trio: &Trio, in_defender: bool, context: &str) {
    assert!(rig.all_closed(trio), "{context}: the close was lost");
    let (edits, copies) = rig.ticket_edits(&trio.ticket);
    let copies = comments(&copies).iter().filter(|t| t.contains("isolated host7")).count();
    let here = rig.defender_writes(trio.defender);
    let there = rig.sentinel_writes(&trio.sentinel);
    assert_eq!((comments(&there).len(), there.len()), (1, 2), "{context}: {there:#?}");
    if in_defender {
        assert_eq!(copies, 1, "{context}");
        assert!((1..=rig.desk.close_writes).contains(&edits.len()), "{context}: {edits:#?}");
        assert_eq!(here, [], "{context}: nothing bounces back");
    } else {
        assert_eq!((comments(&here).len(), here.len()), (1, 2), "{context}: {here:#?}");
        assert_eq!((edits, copies), (vec![], 0), "{context}: nothing bounces back");
    }
    assert_eq!(rig.tickets().len(), 1, "{context}");
}

fn at_every_point(desk: &'static Desk, in_defender: bool) {
    for point in CRASH_POINTS {
        for nth in 1..=2 {
            let mut rig = Rig::new(desk);
            let trio = rig.trio();
            rig.kill();
            close_and_comment(&rig, &trio, in_defender);
            rig.start_to_die(&format!("{point}:{nth}"));
            let died = rig.wait_for_death(Duration::from_secs(20));
            let context = format!("{point}:{nth}, defender first: {in_defender}");
            assert!(died || nth > 1, "{context}: the point was not reached");
            if died {
                rig.start();
            }
            rig.quiet();
            arrived_once(&rig, &trio, in_defender, &context);
        }
    }
}

pub(crate) fn killed_at_every_point_with_a_close_in_defender(desk: &'static Desk) {
    at_every_point(desk, true);
}

pub(crate) fn killed_at_every_point_with_a_close_in_the_ticket(desk: &'static Desk) {
    at_every_point(desk, false);
}

/// Kills at random moments while tickets are opened, closed and commented on. `LOCKSTEP_SEED` replays the people.
pub(crate) fn killed_at_random_moments(desk: &'static Desk) {
    let seed = std::env::var("LOCKSTEP_SEED").ok().and_then(|s| s.parse().ok()).unwrap_or(11);
    println!("seed {seed}");
    let mut rng = StdRng::seed_from_u64(seed);
    let mut rig = Rig::new(desk);
    let mut incidents = Vec::new();
    for n in 0..20 {
        rig.start();
        pause(Duration::from_millis(rng.random_range(0..200)));
        let (defender, sentinel) = rig.pair();
        rig.in_defender(defender, &DefenderEdit::title(&format!("Incident {n}")));
        incidents.push((defender, sentinel));
        pause(Duration::from_millis(rng.random_range(0..600)));
        rig.kill();
    }
    rig.start();
    rig.until("every ticket is opened", |rig| rig.tickets().len() >= 20);
    rig.quiet();
    assert_eq!(rig.tickets().len(), 20, "seed {seed}");
    let trios: Vec<Trio> = incidents
        .into_iter()
        .enumerate()
        .map(|(n, (defender, sentinel))| {
            let named = |id: &String| rig.ticket(id, "title") == format!("Incident {n}");
            let ticket =
                rig.tickets().into_iter().find(named).unwrap_or_else(|| panic!("incident {n}: no ticket"));
            Trio { defender, sentinel, ticket }
        })
        .collect();
    for (n, trio) in trios.iter().enumerate() {
        close_and_comment(&rig, trio, n % 2 == 0);
        pause(Duration::from_millis(rng.random_range(0..300)));
        rig.kill();
        rig.start();
    }
    rig.quiet();
    for (n, trio) in trios.iter().enumerate() {
        let context = format!("seed {seed}, incident {n}");
        assert!(rig.all_closed(trio), "{context}: the close was lost");
        let copies = comments(&rig.ticket_edits(&trio.ticket).1);
        let copies = copies.iter().filter(|t| t.contains("isolated host7")).count();
        assert_eq!(copies, usize::from(n % 2 == 0), "{context}");
        assert_eq!(comments(&rig.defender_writes(trio.defender)).len(), usize::from(n % 2 == 1), "{context}");
    }
}
