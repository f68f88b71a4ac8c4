//! Logs, traces and metrics.
//!
//! Occurrences that people watch for are [`Event`]s: one `emit` writes the log line and counts, so that logs and
//! metrics cannot drift apart. Levels: ERROR asks an operator to act, WARN was recovered from, INFO is the day's work.

mod event;
mod export;
mod health;
mod logs;
mod metrics;
mod recent;
mod report;

use jiff::Timestamp;
use opentelemetry_sdk::trace::SdkTracerProvider;
use url::Url;

pub use event::Event;
pub use health::{CollectionState, CollectionView, Health, LastError};
pub use logs::{LogFormat, LogOptions};
pub use metrics::Metrics;
pub use recent::{Recent, RecentLine};

use crate::model::{RecordKind, SystemName};
use crate::store::Counts;

/// Why telemetry cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The filter of `--log-level` or `RUST_LOG` is faulty.
    #[error("log filter `{filter}`: {reason}; use a level such as `info`, or `lockstep=debug,warn`")]
    Filter {
        /// The filter as given.
        filter: String,
        /// What the parser said.
        reason: String,
    },
    /// The exporter to a collector cannot be built.
    #[error("OTLP export: {0}; check OTEL_EXPORTER_OTLP_ENDPOINT or otlp_endpoint in [telemetry]")]
    Otlp(String),
    /// The registry of metrics refused.
    #[error("metrics: {0}")]
    Metrics(String),
    /// Someone set up logging before.
    #[error("logging was set up twice: {0}")]
    Twice(String),
}

/// Where events go: the log, the metrics, and what `/healthz` and the status page show. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Telemetry {
    metrics: Metrics,
    health: Health,
    recent: Recent,
}

impl Telemetry {
    /// Over these metrics; logs go to whatever subscriber is set.
    pub fn new(metrics: Metrics) -> Self {
        let health = Health::default();
        metrics.observe(&health);
        Self { metrics, health, recent: Recent::default() }
    }

    /// The metrics; also the [`crate::http::CallObserver`] of the doors.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Whether the worker makes progress.
    pub fn health(&self) -> &Health {
        &self.health
    }

    /// The last things that happened.
    pub fn recent(&self) -> &Recent {
        &self.recent
    }

    /// Writes the log line of an event, counts it, and lets the status page know.
    pub fn emit(&self, event: &Event<'_>) {
        event.log();
        self.metrics.count(event);
        self.health.observe(event);
        self.recent.observe(event);
    }

    /// How much the store holds.
    pub fn set_depths(&self, counts: Counts) {
        self.metrics.set_depths(counts);
    }

    /// Where a cursor stands now, by the system's clock. From here on it falls behind as our clock goes on.
    pub fn set_cursor(&self, system: &SystemName, kind: RecordKind, cursor: Timestamp) {
        // Two clocks: a system ahead of ours would show a lag below zero.
        let lag = Timestamp::now().duration_since(cursor).as_secs_f64().max(0.0);
        self.health.set_cursor_lag(system, kind, lag);
    }

    /// Calls of a budget class that may leave at once.
    pub fn set_budget(&self, system: &SystemName, class: &'static str, left: u32) {
        self.metrics.set_budget(system, class, left);
        self.health.set_budget(system, class, left);
    }
}

/// Keeps the exporters alive; dropping it sends what is left, for at most a few seconds. Drop it within the runtime.
#[derive(Debug)]
pub struct Guard {
    telemetry: Telemetry,
    traces: Option<SdkTracerProvider>,
}

impl Guard {
    /// The handle to emit through.
    pub fn telemetry(&self) -> &Telemetry {
        &self.telemetry
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        // A collector that is down must not hold up the exit, and there is nobody left to tell.
        if let Some(traces) = &self.traces {
            let _ = traces.shutdown_with_timeout(export::LAST_EXPORT);
        }
        self.telemetry.metrics.shutdown();
    }
}

/// Sets up logging for the process, and export to an OTLP collector where one is named: by
/// `OTEL_EXPORTER_OTLP_ENDPOINT`, else by `otlp` (the base address). With export it must run within a tokio runtime.
pub fn init(options: &LogOptions, otlp: Option<&Url>) -> Result<Guard, TelemetryError> {
    let target = export::Target::find(otlp);
    let traces = target.as_ref().map(export::Target::traces).transpose()?;
    let metrics = Metrics::new(target.as_ref().map(export::Target::metrics).transpose()?)?;
    logs::set_up(options, traces.as_ref())?;
    Ok(Guard { telemetry: Telemetry::new(metrics), traces })
}
