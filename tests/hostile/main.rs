//! Bad answers: nothing panics, nothing is lost, nothing is written twice, and people are told.
//!
//! `lists` and `answers` run the real binary against emulators that spoil what they say; `server` runs connectors
//! against a server that says what no emulator would; `marks` reads what strangers may write into comments.

#![allow(clippy::unwrap_used)]

mod answers;
mod lists;
mod marks;
#[allow(dead_code)] // the harness of the other suite, of which this one uses a part
#[path = "../exactly_once/rig.rs"]
mod rig;
mod server;
#[path = "../support/mod.rs"]
mod support;

use rig::Rig;

/// The value of a counter, summed over its labels.
fn counted(rig: &Rig, name: &str) -> f64 {
    let metrics = rig.get("/metrics").unwrap_or_default();
    let of_name = metrics.lines().filter_map(|line| line.strip_prefix(name));
    of_name.filter_map(|rest| rest.rsplit_once(' ')?.1.parse::<f64>().ok()).sum()
}

/// A panic anywhere in the worker shows in its log, and as a defect.
fn assert_sound(rig: &Rig) {
    assert!(counted(rig, "lockstep_defects_total").abs() < 0.5, "a lane panicked:\n{}", rig.log());
    assert!(!rig.log().contains("panicked at"), "{}", rig.log());
}
