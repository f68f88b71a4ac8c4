//! What the recorded process commits, and how the store must look after each commit. Both follow from the seed alone.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use ring::digest;
use serde_json::json;

use super::super::testing::*;
use super::super::*;

/// Mappings in use. Few of them, written often, so that sled gathers dead segments and uses them again.
const MAPPINGS: u64 = 40;

const DRAWERS: [&str; 3] = ["a", "a/b", "ab"];

/// Commit `n` of a history. Each moves the cursor, so that no two states are the same.
pub(super) fn commit_of(seed: u64, n: u64) -> Vec<Change> {
    let mut random = StdRng::seed_from_u64(seed ^ n.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let mut changes: Vec<Change> = (0..random.random_range(1..5)).map(|_| change(&mut random, n)).collect();
    changes.push(Change::PutCursor(
        system("defender"),
        RecordKind::Incident,
        time(i64::try_from(n).unwrap()),
    ));
    changes
}

fn change(random: &mut StdRng, n: u64) -> Change {
    let id = random.random_range(0..MAPPINGS);
    // Mostly small, sometimes in many pieces.
    let bytes = *[10, 400, 2_000, 9_000, 40_000].get(random.random_range(0..9)).unwrap_or(&100);
    let number = u32::try_from(n % 3).unwrap();
    match random.random_range(0..10) {
        0 => put(mapping(id, [id])),
        1 => put(mapping(id, 100 * id + 100..100 * id + 100 + random.random_range(1..25))),
        2 => put_intent(intent(id, number)),
        3 => put_intent(dead_intent(id, number)),
        4 => Change::RemoveIntent(intent_id(id, number)),
        5 => push(snapshot(id, bytes)),
        // Inbox numbers grow; the youngest ones are kept.
        6 => Change::RemoveInbox(random.random_range(0..n / 4 + 1)),
        7 => append(audit(id, i64::try_from(n).unwrap())),
        _ => put_document(DRAWERS[random.random_range(0..3)], &random.random_range(0..12).to_string(), bytes),
    }
}

/// Everything that a store answers, digested.
pub(super) fn digest_of(store: &dyn Store) -> Result<Vec<u8>, StoreError> {
    let mut context = digest::Context::new(&digest::SHA256);
    let mut add = |value: serde_json::Value| context.update(value.to_string().as_bytes());
    for mapping in store.mappings(None, usize::MAX)? {
        for (record, _) in mapping.names() {
            add(json!(store.find(&mapping.bridge, record)?));
        }
        add(json!(mapping));
    }
    add(json!(store.outbox(None, usize::MAX)?));
    add(json!(store.inbox(None, usize::MAX)?));
    store.cursors()?.into_iter().for_each(|((system, kind), at)| add(json!([system, kind, at])));
    for id in 0..MAPPINGS {
        add(json!(store.audit(MappingId(id))?));
    }
    for drawer in DRAWERS {
        add(json!(store.documents(drawer, None, usize::MAX)?));
    }
    let Counts { mappings, outbox, dead, inbox } = store.counts();
    add(json!([mappings, outbox, dead, inbox]));
    Ok(context.finish().as_ref().to_vec())
}

/// The digests after each number of commits. They come from the memory twin, which shares no code with the store on
/// disk; `openings` are the numbers of commits at which that one was opened again.
pub(super) fn digests(seed: u64, commits: u64, openings: &[u64]) -> Vec<Vec<u8>> {
    let store = MemoryStore::new();
    let mut digests = vec![digest_of(&store).unwrap()];
    for n in 0..commits {
        if openings.contains(&n) {
            store.crash();
        }
        commit(&store, commit_of(seed, n)).unwrap();
        digests.push(digest_of(&store).unwrap());
    }
    digests
}
