//! What one decision costs, on a mapping of two incidents and ten alerts: an echo, a close, a burst.

mod support;

use std::collections::BTreeSet;
use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use jiff::Timestamp;
use lockstep::model::{
    Comment, CommentKey, Comments, Facts, Field, Lifecycle, Mapping, MappingId, Native, RecordRef, Snapshot,
};
use lockstep::reconcile::{Decision, Observed, Rules, decide};

const ALERTS: usize = 10;

fn record(text: &str) -> RecordRef {
    text.parse().expect("a valid reference")
}

/// A record as read in this second of its life.
fn snapshot(name: &str, second: i64, status: &str, severity: &str, verdict: Option<&str>) -> Snapshot {
    let text = |text: &str| Native::text(Some(text));
    let native = [
        (Field::Status, text(status)),
        (Field::Severity, text(severity)),
        (Field::Verdict, Native::text(verdict)),
        (Field::Owner, text("ana@example.org")),
        (Field::Tags, Native::Set(BTreeSet::from(["vip".to_owned(), "mail".to_owned()]))),
        (Field::Title, text("Suspicious sign-in followed by a mailbox rule")),
    ];
    Snapshot {
        record: record(name),
        revision: second.to_string(),
        modified: Timestamp::from_second(1_800_000_000 + second).expect("a valid time"),
        modified_by: Some("ana@example.org".to_owned()),
        fresh: false,
        native: native.into(),
        hidden: std::collections::BTreeMap::new(),
        closing_comment: None,
        comments: Comments::Listed(Vec::new()),
        lifecycle: Lifecycle::Present,
        links: Vec::new(),
        parent: None,
        planned_as: None,
        facts: Facts::default(),
        raw: serde_json::Value::Null,
    }
}

fn defender(second: i64, status: &str, verdict: Option<&str>) -> Snapshot {
    snapshot("defender/incident/1", second, status, "high", verdict)
}

fn sentinel(second: i64, status: &str) -> Snapshot {
    let mut seen = snapshot("sentinel/incident/g", second, status, "High", None);
    seen.native.remove(&Field::Verdict);
    seen.links = vec![record("defender/incident/1")];
    seen.comments = Comments::Counted(0);
    seen
}

fn alert(number: usize) -> Snapshot {
    let mut seen = snapshot(&format!("defender/alert/da{number}_1"), 0, "new", "high", None);
    seen.native.remove(&Field::Tags);
    seen.parent = Some(record("defender/incident/1"));
    seen
}

fn see(mapping: &Mapping, snapshots: &[Snapshot], rules: &Rules) -> Decision {
    decide(mapping, Observed { snapshots, ..Observed::default() }, rules)
}

fn linked(rules: &Rules) -> Mapping {
    let incidents = [defender(0, "active", None), sentinel(0, "New")];
    let all: Vec<_> = incidents.into_iter().chain((0..ALERTS).map(alert)).collect();
    let id = MappingId::derive(&support::bridge(), &all[0].record);
    let decision = see(&Mapping::new(id, support::bridge()), &all, rules);
    assert_eq!((decision.mapping.members.len(), decision.wishes.len()), (2 + ALERTS, 0));
    decision.mapping
}

/// A hundred versions of one incident, each with another title and one more comment.
fn burst() -> Vec<Snapshot> {
    let version = |n: i64| {
        let mut seen = defender(n, "active", None);
        seen.native.insert(Field::Title, Native::Text(format!("Title {n}")));
        seen.comments = Comments::Listed((1..=n).map(comment).collect());
        seen
    };
    (1..=100).map(version).collect()
}

fn comment(number: i64) -> Comment {
    let text = format!("comment {number}");
    let created = Timestamp::from_second(1_800_000_000 + number).ok();
    Comment { key: CommentKey::from_content(None, &number.to_string(), &text), author: None, created, text }
}

fn benches(criterion: &mut Criterion) {
    let rules = support::rules();
    let mapping = linked(&rules);
    let echo = [defender(0, "active", None)];
    let close = [defender(5, "resolved", Some("truePositive/phishing"))];
    let burst = burst();
    assert_eq!(see(&mapping, &echo, &rules).mapping, mapping);
    assert_eq!(see(&mapping, &close, &rules).wishes.len(), 1, "the service closes the alerts itself");
    assert_eq!(see(&mapping, &burst, &rules).copies.len(), 100);
    let mut group = criterion.benchmark_group("decide");
    group.bench_function("echo", |b| b.iter(|| see(black_box(&mapping), black_box(&echo), &rules)));
    group.bench_function("close", |b| b.iter(|| see(black_box(&mapping), black_box(&close), &rules)));
    group.bench_function("burst_of_100", |b| b.iter(|| see(black_box(&mapping), black_box(&burst), &rules)));
    group.finish();
}

criterion_group!(all, benches);
criterion_main!(all);
