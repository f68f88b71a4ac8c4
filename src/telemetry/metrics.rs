//! The metrics, as Prometheus shows them: `lockstep_<noun>_<unit>[_total]`.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Gauge, Histogram, Meter, MeterProvider};
use opentelemetry_sdk::metrics::PeriodicReader;
use opentelemetry_sdk::metrics::SdkMeterProvider;
use opentelemetry_sdk::metrics::exporter::PushMetricExporter;
use prometheus::{Registry, TextEncoder};

use super::health::{CollectionState, CollectionView, Health};
use super::{Event, TelemetryError, export};
use crate::http::CallObserver;
use crate::model::{RecordKind, SystemName};
use crate::store::Counts;

/// Bounds of call durations, in seconds.
const CALL_SECONDS: &[f64] = &[0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];
/// Bounds of the time from an edit to its write elsewhere, in seconds.
const PROPAGATION_SECONDS: &[f64] =
    &[0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 900.0, 3600.0, 14400.0];

/// What a gauge shows of a collection, in seconds.
type Reading = fn(&CollectionView) -> Option<f64>;

/// The metrics of the process. Cheap to clone.
#[derive(Clone)]
pub struct Metrics(Arc<Inner>);

struct Inner {
    provider: SdkMeterProvider,
    registry: Registry,
    calls: Counter<u64>,
    call_seconds: Histogram<f64>,
    propagation: Histogram<f64>,
    polls: Counter<u64>,
    last_poll: Gauge<f64>,
    edits: Counter<u64>,
    comments: Counter<u64>,
    not_carried: Counter<u64>,
    hooks: Counter<u64>,
    hints: Counter<u64>,
    linked: Counter<u64>,
    writes: Counter<u64>,
    nothing_to_write: Counter<u64>,
    failed: Counter<u64>,
    dead: Counter<u64>,
    native_late: Counter<u64>,
    malformed: Counter<u64>,
    defects: Counter<u64>,
    store_failures: Counter<u64>,
    inbox_depth: Gauge<u64>,
    outbox_depth: Gauge<u64>,
    dead_letters: Gauge<u64>,
    mappings: Gauge<u64>,
    budget_left: Gauge<u64>,
    left: Counter<u64>,
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Metrics")
    }
}

impl Metrics {
    /// Metrics for `/metrics`, and for a collector where a reader pushes them there.
    pub(super) fn new<E: PushMetricExporter>(
        push: Option<PeriodicReader<E>>,
    ) -> Result<Self, TelemetryError> {
        let registry = Registry::new();
        let pull = opentelemetry_prometheus::exporter()
            .with_registry(registry.clone())
            .without_target_info()
            .scope_info_enabled(false)
            .build()
            .map_err(|error| TelemetryError::Metrics(error.to_string()))?;
        let mut builder = SdkMeterProvider::builder().with_reader(pull).with_resource(export::resource());
        if let Some(push) = push {
            builder = builder.with_reader(push);
        }
        let provider = builder.build();
        let meter = provider.meter("lockstep");
        Ok(Self(Arc::new(Inner::new(provider, registry, &meter))))
    }

    /// Metrics that are only pulled, for tests and for commands that run without a collector.
    pub fn local() -> Result<Self, TelemetryError> {
        Self::new::<opentelemetry_otlp::MetricExporter>(None)
    }

    /// All metrics in Prometheus' text format.
    pub fn text(&self) -> Result<String, TelemetryError> {
        TextEncoder::new()
            .encode_to_string(&self.0.registry.gather())
            .map_err(|error| TelemetryError::Metrics(error.to_string()))
    }

    pub(super) fn set_depths(&self, counts: Counts) {
        self.0.inbox_depth.record(counts.inbox, &[]);
        self.0.outbox_depth.record(counts.outbox, &[]);
        self.0.dead_letters.record(counts.dead, &[]);
        self.0.mappings.record(counts.mappings, &[]);
    }

    pub(super) fn set_budget(&self, system: &SystemName, class: &'static str, left: u32) {
        self.0.budget_left.record(u64::from(left), &[label("system", system), label("class", class)]);
    }

    /// Shows what only its reader's clock can tell, or changes without an event: asked for at each scrape and export.
    pub(super) fn observe(&self, health: &Health) {
        let meter = self.0.provider.meter("lockstep");
        let ready = health.clone();
        meter
            .u64_observable_gauge("lockstep.ready")
            .with_description("1 once every system was polled, while none denies and the store is open")
            .with_callback(move |gauge| gauge.observe(u64::from(ready.not_ready().is_empty()), &[]))
            .build();
        let denied = health.clone();
        meter
            .u64_observable_gauge("lockstep.denied")
            .with_description("1 while a system does not let lockstep list a collection")
            .with_callback(move |gauge| {
                for view in denied.collections() {
                    gauge.observe(u64::from(view.state == CollectionState::Denied), &place(&view));
                }
            })
            .build();
        let seconds: [(&'static str, &'static str, Reading); 2] = [
            ("lockstep.cursor.lag", "How far a cursor is behind our clock", |view| view.lag),
            (
                "lockstep.last.error.timestamp",
                "When listing a collection last failed for a reason of the system's (Unix time)",
                |view| view.last_error.as_ref().map(|error| unix_seconds(error.at)),
            ),
        ];
        for (name, what, reading) in seconds {
            let health = health.clone();
            meter
                .f64_observable_gauge(name)
                .with_unit("s")
                .with_description(what)
                .with_callback(move |gauge| {
                    for view in health.collections() {
                        if let Some(seconds) = reading(&view) {
                            gauge.observe(seconds, &place(&view));
                        }
                    }
                })
                .build();
        }
    }

    pub(super) fn shutdown(&self) {
        let _ = self.0.provider.shutdown_with_timeout(export::LAST_EXPORT);
    }

    /// Counts an event.
    pub(super) fn count(&self, event: &Event<'_>) {
        let m = &self.0;
        match event {
            Event::Polled { system, kind, .. } => {
                m.last_poll.record(unix_seconds(Timestamp::now()), &collection(system, *kind));
                m.polled(system, *kind, "ok");
            }
            Event::PollFailed { system, kind, failure, .. } => {
                m.polled(system, *kind, failure.kind.as_str());
            }
            Event::Malformed { system, .. } => m.malformed.add(1, &[label("system", system)]),
            Event::HookCalled { system, outcome } => {
                m.hooks.add(1, &[label("system", system), label("outcome", outcome)]);
            }
            Event::HintFollowed { system, outcome } => {
                m.hints.add(1, &[label("system", system), label("outcome", outcome)]);
            }
            Event::Linked { record, .. } => m.linked.add(1, &[label("system", &record.system)]),
            Event::Edited { record, field, .. } => {
                m.edits.add(1, &[label("system", &record.system), label("field", field)]);
            }
            Event::Commented { record, .. } => m.comments.add(1, &[label("system", &record.system)]),
            Event::NotCarried { record, what_of, .. } => {
                m.not_carried.add(1, &[label("system", &record.system), label("field", what_of)]);
            }
            Event::Wrote { record, action, propagation, .. } => {
                m.writes.add(1, &[label("system", &record.system), label("action", action)]);
                if let Some((from, after)) = propagation {
                    let labels = [label("from", from), label("to", &record.system)];
                    m.propagation.record(after.as_secs_f64(), &labels);
                }
            }
            Event::NothingToWrite { record, .. } => {
                m.nothing_to_write.add(1, &[label("system", &record.system)]);
            }
            Event::IntentFailed { record, .. } => {
                m.failed.add(1, &[label("system", &record.system), label("kind", record.kind.as_str())]);
            }
            Event::DeadLetter { record, .. } => m.dead.add(1, &[label("system", &record.system)]),
            Event::NativeLate { record, .. } => m.native_late.add(1, &[label("system", &record.system)]),
            Event::Defect { .. } => m.defects.add(1, &[]),
            Event::StoreFailed { .. } => m.store_failures.add(1, &[]),
            Event::Left { record, state, .. } => {
                m.left.add(1, &[label("system", &record.system), label("reason", state)]);
            }
            Event::Agreed { .. } | Event::Recovered { .. } => {}
        }
    }
}

impl CallObserver for Metrics {
    fn call(&self, system: &str, operation: &'static str, outcome: &str, elapsed: Duration) {
        let labels = [label("system", system), label("operation", operation)];
        // The outcome stays out of the histogram: it would multiply its many series.
        self.0.call_seconds.record(elapsed.as_secs_f64(), &labels);
        let [system, operation] = labels;
        self.0.calls.add(1, &[system, operation, label("outcome", outcome)]);
    }
}

impl Inner {
    fn new(provider: SdkMeterProvider, registry: Registry, meter: &Meter) -> Self {
        let counter =
            |name: &'static str, what: &'static str| meter.u64_counter(name).with_description(what).build();
        let gauge =
            |name: &'static str, what: &'static str| meter.u64_gauge(name).with_description(what).build();
        let seconds = |name: &'static str, what: &'static str| {
            meter.f64_gauge(name).with_unit("s").with_description(what).build()
        };
        let histogram = |name: &'static str, what: &'static str, bounds: &[f64]| {
            let builder = meter.f64_histogram(name).with_unit("s").with_description(what);
            builder.with_boundaries(bounds.to_vec()).build()
        };
        Self {
            calls: counter("lockstep.calls", "Requests to a system, by outcome"),
            call_seconds: histogram(
                "lockstep.call.duration",
                "Duration of requests to a system",
                CALL_SECONDS,
            ),
            propagation: histogram(
                "lockstep.propagation",
                "From an edit in one system to its write in another, by the edited system's clock",
                PROPAGATION_SECONDS,
            ),
            polls: counter("lockstep.polls", "Polls of a collection, by outcome"),
            last_poll: seconds(
                "lockstep.last.poll.timestamp",
                "When a collection was last polled successfully (Unix time)",
            ),
            edits: counter("lockstep.edits", "Edits by people and other programs"),
            comments: counter("lockstep.comments", "Comments by people and other programs"),
            not_carried: counter(
                "lockstep.not.carried",
                "Edits and comments that were not carried over, for a recorded reason",
            ),
            hooks: counter("lockstep.hooks", "Calls of webhooks, by outcome"),
            hints: counter("lockstep.hints", "Records that webhooks named, by what became of it"),
            linked: counter("lockstep.linked", "Records that joined a mapping"),
            writes: counter("lockstep.writes", "Writes that were applied"),
            nothing_to_write: counter("lockstep.nothing.to.write", "Intents whose record said so already"),
            failed: counter("lockstep.intents.failed", "Tries of an intent that failed, by kind of record"),
            dead: counter("lockstep.intents.dead", "Intents that were given up"),
            native_late: counter(
                "lockstep.native.sync.late",
                "Records that native sync did not bring along in time",
            ),
            malformed: counter("lockstep.malformed", "Records that could not be read"),
            defects: counter("lockstep.defects", "Panics while a mapping was in work"),
            store_failures: counter(
                "lockstep.store.failures",
                "Failures of the store; each stops the worker",
            ),
            inbox_depth: gauge("lockstep.inbox.depth", "Observed changes that wait for a decision"),
            outbox_depth: gauge("lockstep.outbox.depth", "Intents that wait, dead ones included"),
            dead_letters: gauge(
                "lockstep.dead.letters",
                "Intents that were given up and wait for an operator",
            ),
            mappings: gauge("lockstep.mappings", "Mappings in the store"),
            budget_left: gauge("lockstep.budget.left", "Requests that may leave at once"),
            left: counter("lockstep.records.left", "Records that left their mapping, by reason"),
            provider,
            registry,
        }
    }

    fn polled(&self, system: &SystemName, kind: RecordKind, outcome: &str) {
        let [system, collection] = collection(system, kind);
        self.polls.add(1, &[system, collection, label("outcome", outcome)]);
    }
}

fn collection(system: &SystemName, kind: RecordKind) -> [KeyValue; 2] {
    [label("system", system), label("collection", kind.as_str())]
}

fn place(view: &CollectionView) -> [KeyValue; 2] {
    collection(&view.system, view.kind)
}

#[allow(clippy::cast_precision_loss)] // milliseconds of our era fit
fn unix_seconds(at: Timestamp) -> f64 {
    at.as_millisecond() as f64 / 1000.0
}

fn label(key: &'static str, value: impl fmt::Display) -> KeyValue {
    KeyValue::new(key, value.to_string())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::model::{IntentId, MappingId, RecordRef};

    #[tokio::test(start_paused = true)]
    async fn events_show_up_under_their_prometheus_names() {
        let metrics = Metrics::local().unwrap();
        let telemetry = super::super::Telemetry::new(metrics.clone());
        let defender = SystemName::new("defender").unwrap();
        let record: RecordRef = "sentinel/incident/1".parse().unwrap();
        let mapping = MappingId(7);
        telemetry.emit(&Event::Polled {
            system: &defender,
            kind: RecordKind::Incident,
            records: 2,
            elapsed: Duration::from_millis(3),
        });
        telemetry.emit(&Event::Wrote {
            mapping,
            record: &record,
            action: "update",
            intent: IntentId { mapping, number: 0 },
            request_id: None,
            propagation: Some((&defender, Duration::from_secs(3))),
        });
        metrics.call("defender", "incidents.list", "200", Duration::from_millis(20));
        metrics.set_depths(Counts { mappings: 5, outbox: 2, dead: 1, inbox: 0 });
        telemetry.health().watch(&defender, RecordKind::Alert, Duration::from_secs(15));
        telemetry.health().set_cursor_lag(&defender, RecordKind::Alert, 1.5);
        metrics.set_budget(&defender, "graph", 9);
        let text = metrics.text().unwrap();
        for line in [
            r#"lockstep_polls_total{collection="incident",outcome="ok",system="defender"} 1"#,
            r#"lockstep_writes_total{action="update",system="sentinel"} 1"#,
            r#"lockstep_propagation_seconds_sum{from="defender",to="sentinel"} 3"#,
            r#"lockstep_propagation_seconds_bucket{from="defender",to="sentinel",le="5"} 1"#,
            r#"lockstep_calls_total{operation="incidents.list",outcome="200",system="defender"} 1"#,
            r#"lockstep_call_duration_seconds_count{operation="incidents.list",system="defender"} 1"#,
            r#"lockstep_cursor_lag_seconds{collection="alert",system="defender"} 1.5"#,
            r#"lockstep_denied{collection="alert",system="defender"} 0"#,
            r#"lockstep_budget_left{class="graph",system="defender"} 9"#,
            "lockstep_dead_letters 1",
            "lockstep_mappings 5",
            "lockstep_ready 0",
            "lockstep_last_poll_timestamp_seconds{",
        ] {
            assert!(text.contains(line), "no `{line}` in\n{text}");
        }
    }
}
