//! What a commit costs beside the least that durability can cost: one append and one fsync of the same bytes.
//!
//! Milliseconds depend on the disk; the printed ratios hardly do.

use std::fs::File;
use std::io::Write;
use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use futures_util::future::join_all;
use jiff::Timestamp;
use lockstep::model::{
    Action, BridgeName, Intent, IntentId, IntentState, Mapping, MappingId, Member, MemberState, RecordRef,
};
use lockstep::store::{Change, SledStore, Store};
use tokio::runtime::Runtime;

/// How many commits arrive together in the grouped case.
const GROUP: u64 = 64;

/// How many times each case is timed for the ratios.
const ROUNDS: usize = 300;

fn step(number: u64) -> Vec<Change> {
    let id = MappingId(number % 5_000);
    let record: RecordRef = format!("defender/incident/{}", id.0).parse().expect("a valid reference");
    let mut mapping = Mapping::new(id, BridgeName::new("corp").expect("a valid name"));
    mapping.members = vec![Member::new(record.clone(), MemberState::Linked)];
    let intent = Intent {
        id: IntentId { mapping: id, number: 0 },
        target: record,
        action: Action::Update { closing: true },
        state: IntentState::Planned,
        planned: Timestamp::UNIX_EPOCH,
        due: Timestamp::UNIX_EPOCH,
        attempts: 0,
        unreachable: 0,
        misses: 0,
        missed: None,
        overtaken: false,
        causes: vec!["alice@example.org: status in defender/incident/4711".to_owned()],
    };
    vec![Change::PutMapping(Box::new(mapping)), Change::PutIntent(Box::new(intent))]
}

/// The bytes that a step says, without any keys or pages.
fn bytes_of(step: &[Change]) -> Vec<u8> {
    let json = step.iter().map(|change| match change {
        Change::PutMapping(mapping) => serde_json::to_vec(mapping),
        Change::PutIntent(intent) => serde_json::to_vec(intent),
        _ => Ok(Vec::new()),
    });
    json.map(|json| json.expect("the model can be encoded")).collect::<Vec<_>>().concat()
}

struct Bench {
    _dir: tempfile::TempDir,
    runtime: Runtime,
    store: std::sync::Arc<SledStore>,
    file: File,
    number: u64,
}

impl Bench {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let store = SledStore::open(dir.path().join("data")).expect("a new store");
        let file = File::create(dir.path().join("plain")).expect("a new file");
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        Self { _dir: dir, runtime, store, file, number: 0 }
    }

    fn steps(&mut self, count: u64) -> Vec<Vec<Change>> {
        let first = self.number;
        self.number += count;
        (first..self.number).map(step).collect()
    }

    /// Commits this many steps at once and waits for all.
    fn commit(&mut self, count: u64) -> Duration {
        let steps = self.steps(count);
        let begun = Instant::now();
        let results = self.runtime.block_on(join_all(steps.into_iter().map(|step| self.store.commit(step))));
        let took = begun.elapsed();
        assert!(results.into_iter().all(|result| result.is_ok()));
        took
    }

    /// Appends the same bytes to a file and syncs it once.
    fn append(&mut self, count: u64) -> Duration {
        let bytes = self.steps(count).iter().map(|step| bytes_of(step)).collect::<Vec<_>>().concat();
        let begun = Instant::now();
        self.file.write_all(&bytes).and_then(|()| self.file.sync_all()).expect("a write");
        begun.elapsed()
    }
}

fn median(mut time: impl FnMut() -> Duration) -> Duration {
    let mut times: Vec<_> = (0..ROUNDS).map(|_| time()).collect();
    times.sort_unstable();
    times[ROUNDS / 2]
}

fn store(criterion: &mut Criterion) {
    let mut bench = Bench::new();
    for count in [1, GROUP] {
        let plain = median(|| bench.append(count));
        let commit = median(|| bench.commit(count));
        let ratio = commit.as_secs_f64() / plain.as_secs_f64();
        println!("{count} commits at once: {commit:?}, write + fsync alone: {plain:?}, ratio {ratio:.1}");
        let mut group = criterion.benchmark_group(format!("store/{count}"));
        group.throughput(Throughput::Elements(count));
        let custom = |rounds: u64, time: &mut dyn FnMut() -> Duration| (0..rounds).map(|_| time()).sum();
        group.bench_function("commit", |b| {
            b.iter_custom(|rounds| custom(rounds, &mut || bench.commit(count)));
        });
        group.bench_function("write_and_fsync", |b| {
            b.iter_custom(|rounds| custom(rounds, &mut || bench.append(count)));
        });
        group.finish();
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(20).measurement_time(Duration::from_secs(3));
    targets = store
}
criterion_main!(benches);
