//! The log: to stderr, as text for people or JSON for collectors.

use std::io::IsTerminal;

use opentelemetry::trace::TracerProvider;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry};

use super::TelemetryError;

/// What the log looks like.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// One line each, for people.
    #[default]
    Text,
    /// One JSON object each.
    Json,
}

/// How to log.
#[derive(Debug, Clone, Default)]
pub struct LogOptions {
    /// What it looks like.
    pub format: LogFormat,
    /// What is logged, such as `info` or `lockstep=debug,warn`; else `RUST_LOG` counts.
    pub filter: Option<String>,
    /// What is logged when neither says.
    pub fallback: String,
    /// Colours: `None` means on a terminal, unless `NO_COLOR` is set.
    pub colour: Option<bool>,
}

impl LogOptions {
    fn filter(&self) -> Result<EnvFilter, TelemetryError> {
        let from_env = || std::env::var("RUST_LOG").ok().filter(|filter| !filter.is_empty());
        let filter = self.filter.clone().or_else(from_env).unwrap_or_else(|| self.fallback.clone());
        EnvFilter::try_new(&filter)
            .map_err(|error| TelemetryError::Filter { filter, reason: error.to_string() })
    }

    fn colour(&self) -> bool {
        let allowed = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        self.colour.unwrap_or_else(|| allowed && std::io::stderr().is_terminal())
    }
}

/// Installs the subscriber of the process.
pub(super) fn set_up(options: &LogOptions, traces: Option<&SdkTracerProvider>) -> Result<(), TelemetryError> {
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let lines: Box<dyn Layer<Registry> + Send + Sync> = match options.format {
        LogFormat::Text => lines.compact().with_ansi(options.colour()).with_target(false).boxed(),
        LogFormat::Json => {
            lines.json().flatten_event(true).with_current_span(true).with_span_list(false).boxed()
        }
    };
    let spans =
        traces.map(|provider| tracing_opentelemetry::layer().with_tracer(provider.tracer("lockstep")));
    tracing_subscriber::registry()
        .with(lines)
        .with(spans)
        .with(options.filter()?)
        .try_init()
        .map_err(|error| TelemetryError::Twice(error.to_string()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_faulty_filter_is_named() {
        let options = LogOptions { filter: Some("lockstep=loud".into()), ..LogOptions::default() };
        let error = options.filter().unwrap_err().to_string();
        assert!(error.contains("lockstep=loud") && error.contains("use a level"), "{error}");
        assert!(LogOptions { filter: Some("lockstep=debug,warn".into()), ..options }.filter().is_ok());
    }
}
