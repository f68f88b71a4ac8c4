//! The worker killed between any two steps of the protocol, and at random moments.

use std::time::Duration;

use lockstep::emulator::DefenderEdit;
use lockstep::engine::CRASH_POINTS;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng};
use serde_json::json;

use crate::rig::{Adapter, Rig};
use crate::support::pause;

/// A ticket is opened, closed from Defender, and reopened from the ticket, with a death at this point each time.
fn dies_at(point: &str) {
    let (mut rig, mut adapter) = (Rig::new(), Adapter::default());
    let (defender, sentinel) = rig.incident();
    rig.start_to_die(point);
    assert!(
        rig.wait_for_death(Duration::from_secs(20)),
        "{point} was not reached while the ticket was opened"
    );
    rig.start();
    rig.quiet(&mut adapter);
    assert_eq!(
        adapter.effects.iter().map(|(kind, _)| kind.as_str()).collect::<Vec<_>>(),
        ["ticket.opened"],
        "{point}"
    );
    let key = adapter.tickets.keys().next().unwrap().clone();

    rig.kill();
    rig.emulator
        .human_defender(defender, "ana@example.org", &DefenderEdit::resolve("truePositive", "malware"))
        .unwrap();
    rig.start_to_die(point);
    assert!(rig.wait_for_death(Duration::from_secs(20)), "{point} was not reached during the close");
    rig.start();
    rig.quiet(&mut adapter);
    assert_eq!(adapter.tickets[&key]["status"], "closed", "{point}: the close was lost");
    assert_eq!(adapter.count("ticket.closed"), 1, "{point}: {:?}", adapter.effects);
    let before = rig.sentinel_writes(&sentinel).len();

    rig.report(&key, &json!({ "status": "active", "event_id": "reopened" }));
    rig.kill();
    rig.start_to_die(point);
    assert!(rig.wait_for_death(Duration::from_secs(20)), "{point} was not reached during the reopening");
    rig.start();
    rig.quiet(&mut adapter);
    assert_eq!(rig.defender(defender, "status"), "inProgress", "{point}: the reopening was lost");
    assert_eq!(rig.sentinel(&sentinel, "status"), "Active", "{point}: the reopening was lost");
    assert_eq!(rig.defender_writes(defender).len(), 1, "{point}: {:#?}", rig.defender_writes(defender));
    assert_eq!(rig.sentinel_writes(&sentinel).len(), before + 1, "{point}");
    assert_eq!(adapter.count("ticket.reopened"), 0, "{point}: nothing bounces back");
}

#[test]
fn killed_at_every_point_of_the_protocol() {
    for point in CRASH_POINTS {
        dies_at(point);
    }
}

/// Kills at random moments while people work on both sides. `LOCKSTEP_SEED` replays the people; the moments of the
/// kills depend on the machine.
#[test]
fn killed_at_random_moments() {
    let seed = std::env::var("LOCKSTEP_SEED").ok().and_then(|s| s.parse().ok()).unwrap_or(7);
    println!("seed {seed}");
    let mut rng = StdRng::seed_from_u64(seed);
    let (mut rig, mut adapter) = (Rig::new(), Adapter::default());
    let incidents: Vec<(u64, String)> = (0..20).map(|_| rig.incident()).collect();
    rig.start();
    rig.quiet(&mut adapter);
    assert_eq!(adapter.tickets.len(), incidents.len());
    let keys: Vec<String> = adapter.tickets.keys().cloned().collect();
    for (n, (defender, _)) in incidents.iter().enumerate() {
        pause(Duration::from_millis(rng.random_range(0..300)));
        if n % 2 == 0 {
            let close = DefenderEdit::resolve("truePositive", "malware");
            rig.emulator.human_defender(*defender, "ana@example.org", &close).unwrap();
        } else {
            // Whichever incident this ticket is of; its close is told in two ways, and twice.
            let own = json!({ "id": format!("c{n}"), "text": format!("remark {n}") });
            rig.insist("POST", &format!("/v1/tickets/{}/comments", keys[n]), Some(&own));
        }
        if rng.random_bool(0.5) {
            adapter.work(&rig);
        } else {
            adapter.carry_out(&rig);
        }
        pause(Duration::from_millis(rng.random_range(0..200)));
        rig.restart();
    }
    rig.quiet(&mut adapter);
    let closed = incidents.iter().step_by(2).count();
    assert_eq!(adapter.count("ticket.opened"), incidents.len());
    assert_eq!(adapter.count("ticket.closed"), closed, "{:?}", adapter.effects);
    let remarks: usize = incidents.iter().map(|(defender, _)| rig.defender_writes(*defender).len()).sum();
    assert_eq!(remarks, incidents.len() - closed, "each remark once in Defender");
    for (_, sentinel) in &incidents {
        let writes = rig.sentinel_writes(sentinel);
        assert!(writes.len() <= 3, "{writes:#?}");
    }
}
