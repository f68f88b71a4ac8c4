//! Logs, traces and metrics.
//!
//! Occurrences that people watch for are [`Event`]s: one `emit` writes the log line and counts, so that logs and
//! metrics cannot drift apart. Levels: ERROR asks an operator to act, WARN was recovered from, INFO is the day's work.

mod event;
mod export;
mod logs;
mod metrics;

use opentelemetry_sdk::trace::SdkTracerProvider;
use url::Url;

pub use event::Event;
pub use logs::{LogFormat, LogOptions};
pub use metrics::Metrics;

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

/// Where events go: the log and the metrics. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Telemetry {
    metrics: Metrics,
}

impl Telemetry {
    /// Over these metrics; logs go to whatever subscriber is set.
    pub fn new(metrics: Metrics) -> Self {
        Self { metrics }
    }

    /// The metrics.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Writes the log line of an event and counts it.
    pub fn emit(&self, event: &Event<'_>) {
        event.log();
        self.metrics.count(event);
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
