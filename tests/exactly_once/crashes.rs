//! The worker killed between any two steps of the protocol, and at random moments.

use std::time::Duration;

use lockstep::emulator::{DefenderEdit, SentinelEdit};
use lockstep::engine::CRASH_POINTS;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::rig::{Pair, Rig};
use crate::support::{comments, pause};

/// A close with a comment on one side; it must arrive once, whatever died in between.
fn close_and_comment(rig: &Rig, pair: &Pair, in_defender: bool) {
    if in_defender {
        let by = "ana@example.org";
        rig.emulator.human_defender(pair.defender, by, &DefenderEdit::comment("isolated host7")).unwrap();
        rig.emulator
            .human_defender(pair.defender, by, &DefenderEdit::resolve("truePositive", "malware"))
            .unwrap();
    } else {
        let by = "ben@example.org";
        rig.emulator.human_sentinel(&pair.sentinel, by, &SentinelEdit::comment("isolated host7")).unwrap();
        let close = SentinelEdit::close("TruePositive", Some("SuspiciousActivity"));
        rig.emulator.human_sentinel(&pair.sentinel, by, &close).unwrap();
    }
}

fn arrived_once(rig: &Rig, pair: &Pair, in_defender: bool, context: &str) {
    let (status, writes, back) = if in_defender {
        (rig.sentinel(pair, "status") == "Closed", rig.sentinel_writes(pair), rig.defender_writes(pair))
    } else {
        (rig.defender(pair, "status") == "resolved", rig.defender_writes(pair), rig.sentinel_writes(pair))
    };
    assert!(status, "{context}: the close was lost");
    assert_eq!(comments(&writes).len(), 1, "{context}: comments {writes:#?}");
    assert_eq!(writes.len(), 2, "{context}: one close and one comment, not {writes:#?}");
    assert_eq!(back, [], "{context}: nothing bounces back");
}

/// Kills at the n-th passing of each point, in one direction.
fn at_every_point(in_defender: bool) {
    for point in CRASH_POINTS {
        for nth in 1..=2 {
            let mut rig = Rig::new();
            let pair = rig.pair();
            rig.start();
            rig.quiet();
            rig.kill();
            close_and_comment(&rig, &pair, in_defender);
            rig.start_to_die(&format!("{point}:{nth}"));
            let died = rig.wait_for_death(Duration::from_secs(20));
            let context = format!("{point}:{nth}, defender first: {in_defender}");
            assert!(died || nth > 1, "{context}: the point was not reached");
            if died {
                rig.start();
            }
            rig.quiet();
            arrived_once(&rig, &pair, in_defender, &context);
        }
    }
}

#[test]
fn killed_at_every_point_with_a_close_in_defender() {
    at_every_point(true);
}

#[test]
fn killed_at_every_point_with_a_close_in_sentinel() {
    at_every_point(false);
}

/// One hundred kills at random moments while people go on working. `LOCKSTEP_SEED` replays the people; the moments
/// of the kills depend on the machine.
#[test]
fn a_hundred_kills_at_random_moments() {
    let seed = std::env::var("LOCKSTEP_SEED").ok().and_then(|s| s.parse().ok()).unwrap_or(7);
    println!("seed {seed}");
    let mut rng = StdRng::seed_from_u64(seed);
    let mut rig = Rig::new();
    let pairs: Vec<Pair> = (0..100).map(|_| rig.pair()).collect();
    rig.start();
    rig.quiet();
    rig.kill();
    for (n, pair) in pairs.iter().enumerate() {
        rig.start();
        pause(Duration::from_millis(rng.random_range(0..150)));
        close_and_comment(&rig, pair, n % 2 == 0);
        pause(Duration::from_millis(rng.random_range(0..400)));
        rig.kill();
    }
    rig.start();
    rig.quiet();
    for (n, pair) in pairs.iter().enumerate() {
        arrived_once(&rig, pair, n % 2 == 0, &format!("seed {seed}, pair {n}"));
    }
}

#[test]
fn a_polite_stop_finishes_what_is_under_way_and_exits_with_0() {
    let mut rig = Rig::new();
    let pair = rig.pair();
    rig.start();
    rig.quiet();
    close_and_comment(&rig, &pair, true);
    rig.until("the worker has begun", |rig| !rig.sentinel_writes(&pair).is_empty());
    assert_eq!(rig.stop(), Some(0));
    rig.start();
    rig.quiet();
    arrived_once(&rig, &pair, true, "after a stop");
}
