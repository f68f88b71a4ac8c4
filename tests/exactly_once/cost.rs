//! What it costs: counted in the emulator, never taken from the worker's word.

use lockstep::emulator::DefenderEdit;

use crate::rig::{Pair, Rig};

const LISTS: [&str; 3] = ["graph/list-incidents", "graph/list-alerts", "sentinel/list-incidents"];

#[test]
fn an_idle_worker_makes_one_list_call_per_collection_and_poll_however_many_mappings_there_are() {
    for mappings in [1, 60] {
        let mut rig = Rig::new();
        let _pairs: Vec<Pair> = (0..mappings).map(|_| rig.pair()).collect();
        rig.start();
        rig.quiet();
        // The overlap brings the seeded records again for a while; a page of them is one call all the same.
        rig.until("the overlap has passed", |rig| {
            rig.emulator.reset_calls();
            rig.until("a few polls", |rig| rig.list_calls() >= 30);
            let calls = rig.emulator.calls();
            calls["graph/list-incidents"].abs_diff(calls["graph/list-alerts"]) <= 1
        });
        rig.emulator.reset_calls();
        rig.until("many polls", |rig| rig.list_calls() >= 90);
        let calls = rig.emulator.calls();
        let others: u64 =
            calls.iter().filter(|(name, _)| !LISTS.contains(&name.as_str())).map(|(_, n)| n).sum();
        assert_eq!(others, 0, "{mappings} mappings: {calls:?}");
        assert!(
            calls["graph/list-incidents"].abs_diff(calls["graph/list-alerts"]) <= 1,
            "{mappings}: {calls:?}"
        );
    }
}

#[test]
fn a_propagated_close_costs_at_most_three_calls_beyond_the_shared_lists() {
    let mut rig = Rig::new();
    let pairs: Vec<Pair> = (0..10).map(|_| rig.pair()).collect();
    rig.start();
    rig.quiet();
    rig.emulator.reset_calls();
    for pair in &pairs {
        let close = DefenderEdit::resolve("truePositive", "malware").saying("Reimaged");
        rig.emulator.human_defender(pair.defender, "ana@example.org", &close).unwrap();
    }
    rig.until("all arrive", |rig| pairs.iter().all(|p| rig.sentinel(p, "status") == "Closed"));
    rig.quiet();
    let calls = rig.emulator.calls();
    let own: u64 = calls.iter().filter(|(name, _)| !LISTS.contains(&name.as_str())).map(|(_, n)| n).sum();
    assert!(own <= 3 * 10, "{calls:?}");
    assert_eq!(calls.get("sentinel/put-incident"), Some(&10), "{calls:?}");
}
