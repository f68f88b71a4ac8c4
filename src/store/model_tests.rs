//! Random histories against a model: the memory twin, which shares no code with the store on disk but the contract.
//! Reopening is one of the transitions.

use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed};

use super::testing::*;
use super::*;
use crate::model::MappingState;

const MAPPINGS: u64 = 5;
const RECORDS: u64 = 6;
/// One is the beginning of another.
const DRAWERS: [&str; 3] = ["a", "a/b", "ab"];

#[derive(Debug, Clone)]
enum Step {
    Commit(Vec<Change>),
    Reopen,
}

fn change() -> impl Strategy<Value = Change> {
    let id = 0..MAPPINGS;
    prop_oneof![
        4 => (id.clone(), proptest::collection::btree_set(0..RECORDS, 0..4), proptest::option::of(id.clone()))
            .prop_map(|(id, records, into)| {
                let state = into.map_or(MappingState::Live, |into| MappingState::MergedInto(MappingId(into)));
                put(Mapping { state, ..mapping(id, records) })
            }),
        // Many members: a mapping that does not fit into one row, and shrinks again.
        1 => (id.clone(), 0..90_u64).prop_map(|(id, count)| put(mapping(id, 100 * id + 100..100 * id + 100 + count))),
        3 => (id.clone(), 0..3_u32).prop_map(|(id, number)| put_intent(intent(id, number))),
        2 => (id.clone(), 0..3_u32).prop_map(|(id, number)| put_intent(dead_intent(id, number))),
        2 => (id.clone(), 0..3_u32).prop_map(|(id, number)| Change::RemoveIntent(intent_id(id, number))),
        3 => (0..RECORDS, 0..20_000_usize).prop_map(|(number, bytes)| push(snapshot(number, bytes))),
        3 => (0..20_u64).prop_map(Change::RemoveInbox),
        1 => (0..2_u8, 0..50_i64).prop_map(|(kind, second)| {
            let kind = if kind == 0 { RecordKind::Incident } else { RecordKind::Ticket };
            Change::PutCursor(system("defender"), kind, time(second))
        }),
        3 => (id, 0..50_i64).prop_map(|(id, second)| append(audit(id, second))),
        3 => (0..3_u8, 0..4_u8, 0..9_000_usize)
            .prop_map(|(drawer, key, bytes)| put_document(DRAWERS[usize::from(drawer)], &key.to_string(), bytes)),
        2 => (0..3_u8, 0..4_u8)
            .prop_map(|(drawer, key)| Change::RemoveDocument(DRAWERS[usize::from(drawer)].into(), key.to_string())),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => proptest::collection::vec(change(), 0..8).prop_map(Step::Commit),
        1 => Just(Step::Reopen),
    ]
}

/// Every answer a store can give.
fn answers(store: &dyn Store) -> Result<impl PartialEq + std::fmt::Debug, StoreError> {
    let every =
        |read: &dyn Fn(u64) -> Result<String, StoreError>| (0..MAPPINGS).map(read).collect::<Vec<_>>();
    let found: Vec<_> =
        (0..100 * MAPPINGS + 200).map(|n| store.find(&bridge(), &record(n))).collect::<Result<_, _>>()?;
    Ok((
        (store.counts(), store.mappings(None, usize::MAX)?, store.outbox(None, usize::MAX)?),
        (store.inbox(None, usize::MAX)?, store.cursors()?, found),
        every(&|id| Ok(format!("{:?} {:?}", store.intents(MappingId(id))?, store.audit(MappingId(id))?))),
        (
            store.mappings(Some(MappingId(1)), 2)?,
            store.outbox(Some(intent_id(1, 1)), 2)?,
            store.inbox(Some(3), 2)?,
        ),
        (
            DRAWERS.map(|drawer| store.documents(drawer, None, usize::MAX)),
            DRAWERS.map(|drawer| store.documents(drawer, Some("1"), 2)),
            store.document("a", "2")?,
        ),
    ))
}

proptest! {
    #![proptest_config(Config {
        cases: 32,
        rng_seed: RngSeed::Fixed(seed()),
        failure_persistence: None,
        ..Config::default()
    })]

    #[test]
    fn both_stores_give_the_same_answers(steps in proptest::collection::vec(step(), 1..25)) {
        let dir = tempfile::tempdir().unwrap();
        let model = MemoryStore::new();
        let mut store = SledStore::open(dir.path()).unwrap();
        for step in steps {
            match step {
                Step::Commit(changes) => {
                    commit(&model, changes.clone()).unwrap();
                    commit(&*store, changes).unwrap();
                }
                Step::Reopen => {
                    model.crash();
                    drop(store);
                    store = SledStore::open(dir.path()).unwrap();
                }
            }
            prop_assert_eq!(answers(&model), answers(&*store));
            // Histories may put one record into two live mappings, or intents into none; nothing else may be wrong.
            let problems = store.verify().unwrap().problems;
            let of_the_history = |problem: &String| {
                ["is indexed to", "misses its index entry", "belongs to a mapping"].iter().any(|p| problem.contains(p))
            };
            prop_assert!(problems.iter().all(of_the_history), "{:?}", problems);
        }
    }
}
