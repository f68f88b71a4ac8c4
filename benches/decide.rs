//! What deciding costs: an echo, a close, and a burst of versions of one record.

use std::collections::{BTreeMap, BTreeSet};
use std::hint::black_box;
use std::sync::Arc;

use criterion::{Criterion, criterion_group, criterion_main};
use jiff::Timestamp;
use lockstep::model::{
    BridgeName, Comments, Facts, Field, Lifecycle, Mapping, MappingId, Native, Natives, RecordRef, Snapshot,
    SystemName,
};
use lockstep::reconcile::{
    ClosingPolicy, Conflicts, Direction, Filter, MarkerKey, Observed, Policy, Rules, SystemPolicy, decide,
};
use lockstep::translate::Translation;

fn rules() -> Rules {
    let system = |kind: &str| SystemPolicy {
        name: SystemName::new(kind).expect("a valid name"),
        translation: Arc::new(Translation::builtin(kind).expect("a builtin table")),
    };
    let policy = Policy {
        bridge: BridgeName::new("corp").expect("a valid name"),
        systems: vec![system("defender"), system("sentinel")],
        native_sync: None,
        create_in: BTreeSet::new(),
        since: Timestamp::UNIX_EPOCH,
        filter: Filter::default(),
        fields: BTreeMap::new(),
        comments: Direction::Both,
        conflicts: Conflicts::CloseWins,
        closing: ClosingPolicy::default(),
    };
    Rules { policy, marker: MarkerKey::new([1; 32]) }
}

fn snapshot(record: &str, second: i64, status: &str, severity: &str) -> Snapshot {
    let record: RecordRef = record.parse().expect("a valid reference");
    let native = Natives::from([
        (Field::Status, Native::Text(status.to_owned())),
        (Field::Severity, Native::Text(severity.to_owned())),
        (Field::Owner, Native::Empty),
        (Field::Tags, Native::Set(BTreeSet::new())),
        (Field::Title, Native::Text("Mailbox rule hides mail".to_owned())),
    ]);
    let parent = (record.kind == lockstep::model::RecordKind::Alert)
        .then(|| "defender/incident/1".parse().expect("a valid reference"));
    Snapshot {
        record,
        revision: second.to_string(),
        modified: Timestamp::from_second(1_800_000_000 + second).expect("a valid time"),
        modified_by: Some("ana@example.org".to_owned()),
        fresh: true,
        native,
        closing_comment: None,
        comments: Comments::Listed(Vec::new()),
        lifecycle: Lifecycle::Present,
        links: Vec::new(),
        parent,
        facts: Facts::default(),
        raw: serde_json::Value::Null,
    }
}

/// Two incidents in agreement, and ten alerts.
fn mapping(rules: &Rules) -> Mapping {
    let root: RecordRef = "defender/incident/1".parse().expect("a valid reference");
    let id = MappingId::derive(&rules.policy.bridge, &root);
    let mut seen = vec![snapshot("defender/incident/1", 0, "active", "medium")];
    let mut twin = snapshot("sentinel/incident/g", 0, "New", "Medium");
    twin.links = vec![root];
    seen.push(twin);
    seen.extend((0..10).map(|n| snapshot(&format!("defender/alert/a{n}"), 0, "new", "medium")));
    let observed = Observed { snapshots: &seen, ..Observed::default() };
    decide(&Mapping::new(id, rules.policy.bridge.clone()), observed, rules).mapping
}

fn benches(criterion: &mut Criterion) {
    let rules = rules();
    let mapping = mapping(&rules);
    let echo = [snapshot("defender/incident/1", 1, "active", "medium")];
    let close = [snapshot("defender/incident/1", 1, "resolved", "medium")];
    let burst: Vec<Snapshot> = (1..=100)
        .map(|n| snapshot("defender/incident/1", n, if n % 2 == 0 { "active" } else { "inProgress" }, "high"))
        .collect();
    let cases: [(&str, &[Snapshot]); 3] = [("echo", &echo), ("close", &close), ("burst of 100", &burst)];
    let mut group = criterion.benchmark_group("decide, 2 incidents and 10 alerts");
    for (name, seen) in cases {
        let observed = Observed { snapshots: seen, ..Observed::default() };
        group.bench_function(name, |b| b.iter(|| decide(black_box(&mapping), observed, &rules)));
    }
    group.finish();
}

criterion_group!(all, benches);
criterion_main!(all);
