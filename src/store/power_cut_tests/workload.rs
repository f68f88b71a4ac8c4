//! What the recorded process commits, and how the store must look after each commit. Both follow from the seed alone.

use std::io::Write;
use std::ops::Range;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use ring::digest;

use super::super::testing::*;
use super::super::*;

/// Mappings in use. Few of them, written often, so that sled gathers dead segments and uses them again.
const MAPPINGS: u64 = 40;

const DRAWERS: [&str; 3] = ["a", "a/b", "ab"];

/// Commit `n` of a history. Each moves the cursor, so that no two states are the same.
pub(super) fn commit_of(seed: u64, n: u64) -> Vec<Change> {
    let mut random = StdRng::seed_from_u64(seed ^ n.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let mut changes: Vec<Change> = (0..random.random_range(1..5)).map(|_| change(&mut random, n)).collect();
    if n % 12 == 4 {
        // More than half a segment of sled's log, and larger than one with what is committed along with it: segments
        // die soon and are used again, and transactions begin in one and end in another.
        changes.push(put_document("a", "large", 400_000));
    }
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
    let bytes = *[400, 2_000, 9_000, 9_000, 40_000].get(random.random_range(0..30)).unwrap_or(&100);
    let number = u32::try_from(n % 3).unwrap();
    match random.random_range(0..10) {
        0 => put(mapping(id, [id])),
        1 => put(mapping(id, 100 * id + 100..100 * id + 100 + random.random_range(1..15))),
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
pub(super) fn digest_of(store: &dyn Store) -> Result<Digest, StoreError> {
    let mut said = Said(digest::Context::new(&digest::SHA256));
    for mapping in store.mappings(None, usize::MAX)? {
        for (record, _) in mapping.names() {
            said.add(&store.find(&mapping.bridge, record)?);
        }
        said.add(&mapping);
    }
    said.add(&store.outbox(None, usize::MAX)?);
    said.add(&store.inbox(None, usize::MAX)?);
    store.cursors()?.iter().for_each(|cursor| said.add(&cursor));
    for id in 0..MAPPINGS {
        said.add(&store.audit(MappingId(id))?);
    }
    for (key, value) in documents(store)? {
        said.add(&key);
        // Most of what there is to read; as JSON it would take half of the test's time.
        said.0.update(value["text"].as_str().unwrap_or_default().as_bytes());
    }
    let Counts { mappings, outbox, dead, inbox } = store.counts();
    said.add(&[mappings, outbox, dead, inbox]);
    Ok(said.0.finish().as_ref().to_vec())
}

fn documents(store: &dyn Store) -> Result<Vec<(String, serde_json::Value)>, StoreError> {
    let found: Result<Vec<_>, _> =
        DRAWERS.iter().map(|drawer| store.documents(drawer, None, usize::MAX)).collect();
    Ok(found?.into_iter().flatten().collect())
}

/// What all answers of a store come to.
pub(super) type Digest = Vec<u8>;

struct Said(digest::Context);

impl Said {
    fn add(&mut self, answer: &impl serde::Serialize) {
        serde_json::to_writer(self, answer).unwrap();
    }
}

impl Write for Said {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// The digests after each number of commits in this range, both ends included. They come from the memory twin, which
/// shares no code with the store on disk; `openings` are the numbers of commits at which that one was opened again.
pub(super) fn digests(seed: u64, range: Range<u64>, openings: &[u64]) -> Vec<Digest> {
    let store = MemoryStore::new();
    let mut digests = Vec::new();
    for n in 0..=range.end {
        if n >= range.start {
            digests.push(digest_of(&store).unwrap());
        }
        if openings.contains(&n) {
            store.crash();
        }
        commit(&store, commit_of(seed, n)).unwrap();
    }
    digests
}
