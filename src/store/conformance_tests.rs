//! One suite for both stores, and what only one of them has.

use std::sync::Arc;

use futures_util::future::join_all;

use super::testing::*;
use super::*;
use crate::model::MappingState;

fn on_both(test: impl Fn(&dyn Store)) {
    let dir = tempfile::tempdir().unwrap();
    test(&MemoryStore::new());
    test(&*SledStore::open(dir.path().join("data")).unwrap());
}

#[test]
fn an_empty_store_answers() {
    on_both(|store| {
        assert_eq!(store.mapping(MappingId(1)), Ok(None));
        assert_eq!(store.find(&bridge(), &record(1)), Ok(None));
        assert_eq!(store.mappings(None, 10), Ok(vec![]));
        assert_eq!(store.intents(MappingId(1)), Ok(vec![]));
        assert_eq!(store.outbox(None, 10), Ok(vec![]));
        assert_eq!(store.inbox(None, 10), Ok(vec![]));
        assert_eq!(store.cursors(), Ok(BTreeMap::new()));
        assert_eq!(store.audit(MappingId(1)), Ok(vec![]));
        assert_eq!(store.counts(), Counts::default());
        commit(store, vec![]).unwrap();
    });
}

#[test]
fn mappings_are_found_by_their_records_and_listed_in_order() {
    on_both(|store| {
        commit(store, vec![put(mapping(300, [1, 2])), put(mapping(2, [3])), put(mapping(1, [4]))]).unwrap();
        assert_eq!(store.mapping(MappingId(300)), Ok(Some(mapping(300, [1, 2]))));
        assert_eq!(store.find(&bridge(), &record(2)), Ok(Some(MappingId(300))));
        assert_eq!(store.find(&BridgeName::new("other").unwrap(), &record(2)), Ok(None));
        let ids = |after, limit| -> Vec<u64> {
            store.mappings(after, limit).unwrap().iter().map(|mapping| mapping.id.0).collect()
        };
        assert_eq!(ids(None, 2), [1, 2]);
        assert_eq!(ids(Some(MappingId(2)), 2), [300]);
        assert_eq!(ids(Some(MappingId(300)), 2), [0; 0]);
        assert_eq!(store.counts().mappings, 3);
    });
}

#[test]
fn a_record_that_left_its_mapping_is_no_longer_found() {
    on_both(|store| {
        commit(store, vec![put(mapping(1, [1, 2]))]).unwrap();
        commit(store, vec![put(mapping(1, [2, 3]))]).unwrap();
        assert_eq!(store.find(&bridge(), &record(1)), Ok(None));
        assert_eq!(store.find(&bridge(), &record(3)), Ok(Some(MappingId(1))));
        assert_eq!(store.counts().mappings, 1);
    });
}

#[test]
fn a_merged_mapping_takes_no_record_from_a_live_one_in_either_order() {
    let merged = Mapping { state: MappingState::MergedInto(MappingId(2)), ..mapping(1, [1, 9]) };
    let orders = [
        vec![put(merged.clone()), put(mapping(2, [1, 2]))],
        vec![put(mapping(2, [1, 2])), put(merged.clone())],
    ];
    for order in orders {
        on_both(|store| {
            commit(store, vec![put(mapping(1, [1, 9]))]).unwrap();
            commit(store, order.clone()).unwrap();
            assert_eq!(store.find(&bridge(), &record(1)), Ok(Some(MappingId(2))));
            assert_eq!(store.find(&bridge(), &record(9)), Ok(Some(MappingId(1))), "nobody else has it");
            commit(store, vec![put(Mapping { members: vec![], ..merged.clone() })]).unwrap();
            assert_eq!(
                store.find(&bridge(), &record(1)),
                Ok(Some(MappingId(2))),
                "it is not the merged one's"
            );
            assert_eq!(store.find(&bridge(), &record(9)), Ok(None));
        });
    }
}

#[test]
fn intents_are_listed_oldest_first_and_dead_ones_counted() {
    on_both(|store| {
        let all = [intent(1, 300), intent(1, 2), intent(u64::MAX, 0), dead_intent(2, 1)];
        commit(store, all.into_iter().map(put_intent).collect()).unwrap();
        let numbers = |intents: Vec<Intent>| intents.iter().map(|i| i.id.number).collect::<Vec<_>>();
        assert_eq!(numbers(store.intents(MappingId(1)).unwrap()), [2, 300]);
        assert_eq!(numbers(store.intents(MappingId(u64::MAX)).unwrap()), [0]);
        assert_eq!(numbers(store.outbox(None, 2).unwrap()), [2, 300]);
        assert_eq!(numbers(store.outbox(Some(intent_id(1, 300)), 9).unwrap()), [1, 0]);
        assert_eq!((store.counts().outbox, store.counts().dead), (4, 1));

        let changes =
            vec![put_intent(intent(2, 1)), put_intent(dead_intent(1, 2)), put_intent(dead_intent(1, 300))];
        commit(store, changes).unwrap();
        assert_eq!((store.counts().outbox, store.counts().dead), (4, 2));
        commit(store, vec![Change::RemoveIntent(intent_id(1, 2)), Change::RemoveIntent(intent_id(7, 7))])
            .unwrap();
        assert_eq!((store.counts().outbox, store.counts().dead), (3, 1));
    });
}

#[test]
fn documents_lie_in_their_drawer_in_the_order_of_their_keys() {
    on_both(|store| {
        let all = [("s", "b", 9_000), ("s", "a", 1), ("s/t", "c", 1), ("st", "", 1), ("s", "", 2)];
        commit(store, all.map(|(drawer, key, bytes)| put_document(drawer, key, bytes)).into()).unwrap();
        let keys = |drawer, after, limit| -> Vec<String> {
            store.documents(drawer, after, limit).unwrap().into_iter().map(|(key, _)| key).collect()
        };
        assert_eq!(keys("s", None, 9), ["", "a", "b"]);
        assert_eq!(keys("s", None, 2), ["", "a"]);
        assert_eq!(keys("s", Some("a"), 9), ["b"]);
        assert_eq!(keys("t", None, 9), [""; 0]);
        let text = |key| store.document("s", key).unwrap().map(|v| v["text"].as_str().unwrap().len());
        assert_eq!(text("b"), Some(9_000));
        commit(store, vec![put_document("s", "b", 3), Change::RemoveDocument("s".into(), "a".into())])
            .unwrap();
        assert_eq!((text("a"), text("b")), (None, Some(3)));
        commit(store, vec![Change::RemoveDocument("s".into(), "never".into())]).unwrap();
        assert_eq!(keys("s", None, 9), ["", "b"]);
    });
}

#[test]
fn the_inbox_is_numbered_upwards_and_never_anew() {
    on_both(|store| {
        commit(store, vec![push(snapshot(1, 10)), push(snapshot(2, 10))]).unwrap();
        let entries = store.inbox(None, 10).unwrap();
        assert_eq!(entries, [(1, snapshot(1, 10)), (2, snapshot(2, 10))]);
        commit(store, vec![Change::RemoveInbox(2), Change::RemoveInbox(77), push(snapshot(3, 10))]).unwrap();
        assert_eq!(store.inbox(Some(1), 10).unwrap(), [(3, snapshot(3, 10))]);
        assert_eq!(store.counts().inbox, 2);
    });
}

#[test]
fn the_raw_answer_is_never_stored() {
    on_both(|store| {
        let with_raw = Snapshot { raw: serde_json::json!({"secret": 1}), ..snapshot(1, 10) };
        commit(store, vec![push(with_raw)]).unwrap();
        assert_eq!(store.inbox(None, 1).unwrap()[0].1, snapshot(1, 10));
    });
}

#[test]
fn cursors_move() {
    on_both(|store| {
        let defender = system("defender");
        commit(store, vec![Change::PutCursor(defender.clone(), RecordKind::Incident, time(1))]).unwrap();
        let changes = vec![
            Change::PutCursor(defender.clone(), RecordKind::Incident, time(2)),
            Change::PutCursor(defender.clone(), RecordKind::Alert, time(1)),
        ];
        commit(store, changes).unwrap();
        let expected = BTreeMap::from([
            ((defender.clone(), RecordKind::Incident), time(2)),
            ((defender, RecordKind::Alert), time(1)),
        ]);
        assert_eq!(store.cursors(), Ok(expected));
    });
}

#[test]
fn the_audit_keeps_the_newest_entries_of_each_mapping() {
    on_both(|store| {
        commit(store, vec![append(audit(2, 0))]).unwrap();
        for part in 0..3_i64 {
            commit(store, (0..400).map(|second| append(audit(1, 400 * part + second))).collect()).unwrap();
        }
        let entries = store.audit(MappingId(1)).unwrap();
        assert_eq!(entries.len() as u64, AUDIT_LIMIT);
        assert_eq!((entries[0].at, entries[999].at), (time(200), time(1199)));
        assert_eq!(store.audit(MappingId(2)).unwrap(), [audit(2, 0)]);
    });
}

#[test]
fn values_of_every_size_are_kept() {
    on_both(|store| {
        let sizes = [0, 1_000, 3_000, 5_000, 100_000, 1 << 20];
        commit(store, sizes.iter().map(|size| push(snapshot(1, *size))).collect()).unwrap();
        for ((_, read), size) in store.inbox(None, 10).unwrap().into_iter().zip(sizes) {
            assert_eq!(read, snapshot(1, size));
        }
    });
}

#[test]
fn changes_of_one_commit_see_each_other() {
    on_both(|store| {
        let changes = vec![
            put(mapping(1, [1])),
            put(mapping(1, [2])),
            put_intent(dead_intent(1, 0)),
            put_intent(intent(1, 0)),
            push(snapshot(1, 9_000)),
            Change::RemoveInbox(1),
            put_intent(intent(1, 1)),
            Change::RemoveIntent(intent_id(1, 1)),
        ];
        commit(store, changes).unwrap();
        assert_eq!(store.find(&bridge(), &record(1)), Ok(None));
        assert_eq!(store.counts(), Counts { mappings: 1, outbox: 1, dead: 0, inbox: 0 });
    });
}

#[test]
fn memory_forgets_what_was_not_synced() {
    let store = MemoryStore::new();
    store.apply(vec![put(mapping(1, [1])), push(snapshot(1, 1))]).unwrap();
    store.sync().unwrap();
    store.apply(vec![put(mapping(2, [2])), Change::RemoveInbox(1), put_intent(dead_intent(1, 0))]).unwrap();
    assert_eq!(store.counts(), Counts { mappings: 2, outbox: 1, dead: 1, inbox: 0 });
    store.crash();
    assert_eq!(store.counts(), Counts { mappings: 1, outbox: 0, dead: 0, inbox: 1 });
    assert_eq!(store.find(&bridge(), &record(2)), Ok(None));
    store.sync().unwrap();
    assert_eq!(store.mapping(MappingId(2)), Ok(None), "a sync after the crash brings nothing back");
}

#[test]
fn memory_fails_on_demand_until_the_next_start() {
    let store = MemoryStore::new();
    store.fail("disk full");
    store.fail("later");
    assert!(commit(&store, vec![]).unwrap_err().0.ends_with("disk full"));
    store.crash();
    commit(&store, vec![]).unwrap();
}

#[test]
fn commits_that_arrive_together_share_a_sync() {
    let dir = tempfile::tempdir().unwrap();
    let store = SledStore::open(dir.path()).unwrap();
    let results = wait(join_all((0..200).map(|n| store.commit(vec![put(mapping(n, [n]))]))));
    assert!(results.into_iter().all(|result| result.is_ok()));
    assert_eq!(store.counts().mappings, 200);
    assert!(store.syncs() < 100, "{} syncs", store.syncs());
}

#[test]
fn every_commit_that_comes_alone_is_synced() {
    let dir = tempfile::tempdir().unwrap();
    let store = SledStore::open(dir.path()).unwrap();
    for n in 1..4 {
        commit(&*store, vec![put(mapping(n, [n]))]).unwrap();
        assert_eq!(store.syncs(), n);
    }
    commit(&*store, vec![]).unwrap();
    assert_eq!(store.syncs(), 3, "what changes nothing needs no sync");
}

#[test]
fn each_store_draws_a_marker_key_of_its_own_and_the_memory_twin_has_a_fixed_one() {
    let dirs = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let keys = dirs.each_ref().map(|dir| SledStore::open(dir.path()).unwrap().marker_key());
    assert_ne!(keys[0], keys[1]);
    assert_eq!(MemoryStore::new().marker_key(), *b"a fixed key of the memory store ");
}

#[test]
fn a_store_is_named_by_its_place() {
    let dir = tempfile::tempdir().unwrap();
    let store = SledStore::open(dir.path()).unwrap();
    let text = format!("{store:?}");
    assert!(
        text.starts_with("SledStore") && text.contains(dir.path().file_name().unwrap().to_str().unwrap())
    );
}

#[test]
fn everything_is_there_after_reopening() {
    let dir = tempfile::tempdir().unwrap();
    let store = SledStore::open(dir.path()).unwrap();
    let changes = vec![
        put(mapping(1, [1])),
        put_intent(dead_intent(1, 0)),
        push(snapshot(1, 50_000)),
        push(snapshot(2, 1)),
        Change::RemoveInbox(1),
        append(audit(1, 0)),
        Change::PutCursor(system("defender"), RecordKind::Incident, time(1)),
    ];
    commit(&*store, changes).unwrap();
    let (counts, key) = (store.counts(), store.marker_key());
    drop(store);
    let store = SledStore::open_existing(dir.path()).unwrap();
    assert_eq!((store.counts(), store.marker_key()), (counts, key));
    assert_eq!(store.find(&bridge(), &record(1)), Ok(Some(MappingId(1))));
    assert_eq!(store.intents(MappingId(1)), Ok(vec![dead_intent(1, 0)]));
    commit(&*store, vec![push(snapshot(3, 1)), append(audit(1, 1))]).unwrap();
    assert_eq!(store.inbox(None, 9), Ok(vec![(2, snapshot(2, 1)), (3, snapshot(3, 1))]));
    assert_eq!(store.audit(MappingId(1)), Ok(vec![audit(1, 0), audit(1, 1)]));
    assert_eq!(store.verify().unwrap().problems, [""; 0]);
}

#[test]
fn large_values_leave_no_unsynced_files_and_no_pieces_behind() {
    let dir = tempfile::tempdir().unwrap();
    let store = SledStore::open(dir.path()).unwrap();
    for _ in 0..3 {
        commit(&*store, (0..8).map(|n| push(snapshot(n, 1 << 20))).collect()).unwrap();
    }
    assert!(!files(dir.path()).keys().any(|name| name.starts_with("blobs/") && !name.ends_with('/')));
    commit(&*store, (1..=24).map(Change::RemoveInbox).collect()).unwrap();
    assert_eq!(store.verify().unwrap(), Report::default());
}

#[test]
fn the_first_error_ends_all_work() {
    let dir = tempfile::tempdir().unwrap();
    let store = SledStore::open(dir.path()).unwrap();
    commit(&*store, vec![put(mapping(1, [1]))]).unwrap();
    store.shared.damage_for_test(&1_u64.to_be_bytes());
    let first = store.mapping(MappingId(1)).unwrap_err();
    assert!(first.0.contains("row 0000000000000001 of `mapping` cannot be read"), "{first}");
    assert_eq!(store.mapping(MappingId(2)), Err(first.clone()));
    assert_eq!(commit(&*store, vec![]), Err(first.clone()));
    assert_eq!(store.verify(), Err(first));
}

#[test]
fn a_failed_commit_fails_all_that_wait_behind_it() {
    let dir = tempfile::tempdir().unwrap();
    let store = SledStore::open(dir.path()).unwrap();
    commit(&*store, vec![put(mapping(1, [1]))]).unwrap();
    store.shared.damage_for_test(&1_u64.to_be_bytes());
    let results = wait(join_all((1..100).map(|n| store.commit(vec![put(mapping(n, [n]))]))));
    let first = results[0].clone().unwrap_err();
    assert!(first.0.contains("takes no more work"), "{first}");
    assert!(results.iter().all(|result| *result == Err(first.clone())));
    assert_eq!(store.counts().mappings, 1);
    assert_eq!(store.outbox(None, 1), Err(first));
}

#[test]
fn a_commit_that_is_no_longer_awaited_still_takes_effect() {
    let dir = tempfile::tempdir().unwrap();
    let store = SledStore::open(dir.path()).unwrap();
    wait(async {
        let mut abandoned = store.commit(vec![put(mapping(1, [1]))]);
        assert!(futures_util::poll!(&mut abandoned).is_pending());
        drop(abandoned);
        store.commit(vec![put(mapping(2, [2]))]).await.unwrap();
    });
    assert_eq!(store.counts().mappings, 2);
}

#[test]
fn readers_never_see_half_a_commit() {
    let dir = tempfile::tempdir().unwrap();
    let store = SledStore::open(dir.path()).unwrap();
    commit(&*store, vec![put(mapping(1, [0]))]).unwrap();
    let writer = Arc::clone(&store);
    let thread = std::thread::spawn(move || {
        for n in 1..200 {
            let members = (0..=n % 50).map(|member| 100 * n + member);
            commit(&*writer, vec![put(mapping(1, members))]).unwrap();
        }
    });
    while !thread.is_finished() {
        let read = store.mapping(MappingId(1)).unwrap().unwrap();
        assert!(!read.members.is_empty());
    }
    thread.join().unwrap();
}

#[test]
fn the_check_names_what_does_not_fit() {
    let dir = tempfile::tempdir().unwrap();
    let store = SledStore::open(dir.path()).unwrap();
    let changes = vec![put(mapping(1, [1, 2])), put(mapping(2, [2])), put_intent(intent(9, 0))];
    commit(&*store, changes).unwrap();
    let report = store.verify().unwrap();
    assert_eq!((report.mappings, report.intents), (2, 1));
    assert_eq!(
        report.problems,
        [
            "intent 0000000000000009-0 belongs to a mapping that is not there",
            "corp: defender/incident/2 is a member of mapping 0000000000000001 but is indexed to 0000000000000002",
        ]
    );
    store.shared.damage_for_test(&1_u64.to_be_bytes());
    assert!(store.verify().unwrap().problems[0].contains("rows were written"));
}
