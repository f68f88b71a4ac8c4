//! Export of traces and metrics to an OTLP collector (http/protobuf).

use std::fmt;
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry_otlp::{MetricExporter, Protocol, SpanExporter, WithExportConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::metrics::data::ResourceMetrics;
use opentelemetry_sdk::metrics::exporter::PushMetricExporter;
use opentelemetry_sdk::metrics::{PeriodicReader, Temporality};
use opentelemetry_sdk::trace::{SdkTracerProvider, SpanData};
use tokio::runtime::Handle;
use tokio_util::context::TokioContext;
use url::Url;

use super::TelemetryError;

/// How long the last export may take at exit.
pub(super) const LAST_EXPORT: Duration = Duration::from_secs(2);

/// The standard's own variable; where it is set the exporter reads it (and its relatives) itself.
const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";

/// Where to export to.
pub(super) struct Target {
    /// Base address from the configuration; `None` leaves it to the environment.
    base: Option<Url>,
}

impl Target {
    /// The collector to export to, if one is named.
    pub(super) fn find(configured: Option<&Url>) -> Option<Self> {
        // The exporter builds its own HTTP client, before any of ours. Fails when done already, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        if std::env::var(ENDPOINT).is_ok_and(|value| !value.is_empty()) {
            return Some(Self { base: None });
        }
        configured.map(|base| Self { base: Some(base.clone()) })
    }

    /// A provider of traces.
    pub(super) fn traces(&self) -> Result<SdkTracerProvider, TelemetryError> {
        let builder = SpanExporter::builder().with_http().with_protocol(Protocol::HttpBinary);
        let exporter = match self.address("traces") {
            Some(address) => builder.with_endpoint(address).build(),
            None => builder.build(),
        };
        let exporter = OnRuntime::new(exporter)?;
        Ok(SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource()).build())
    }

    /// A reader that pushes the metrics.
    pub(super) fn metrics(&self) -> Result<PeriodicReader<impl PushMetricExporter + use<>>, TelemetryError> {
        let builder = MetricExporter::builder().with_http().with_protocol(Protocol::HttpBinary);
        let exporter = match self.address("metrics") {
            Some(address) => builder.with_endpoint(address).build(),
            None => builder.build(),
        };
        Ok(PeriodicReader::builder(OnRuntime::new(exporter)?).build())
    }

    fn address(&self, signal: &str) -> Option<String> {
        let base = self.base.as_ref()?.as_str().trim_end_matches('/');
        Some(format!("{base}/v1/{signal}"))
    }
}

/// Who reports: `OTEL_SERVICE_NAME` and `OTEL_RESOURCE_ATTRIBUTES` count.
pub(super) fn resource() -> Resource {
    let version = KeyValue::new("service.version", env!("CARGO_PKG_VERSION"));
    let builder = Resource::builder().with_attribute(version);
    if std::env::var_os("OTEL_SERVICE_NAME").is_some() {
        return builder.build();
    }
    builder.with_service_name("lockstep").build()
}

/// An exporter whose futures run with tokio's context: the SDK polls them on threads of its own, where the HTTP client
/// would find no reactor.
struct OnRuntime<E> {
    exporter: E,
    runtime: Handle,
}

impl<E> OnRuntime<E> {
    fn new<B: fmt::Display>(built: Result<E, B>) -> Result<Self, TelemetryError> {
        let exporter = built.map_err(|error| TelemetryError::Otlp(error.to_string()))?;
        let runtime = Handle::try_current().map_err(|error| TelemetryError::Otlp(error.to_string()))?;
        Ok(Self { exporter, runtime })
    }
}

impl<E> fmt::Debug for OnRuntime<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OnRuntime")
    }
}

impl opentelemetry_sdk::trace::SpanExporter for OnRuntime<SpanExporter> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        TokioContext::new(self.exporter.export(batch), self.runtime.clone()).await
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}

impl PushMetricExporter for OnRuntime<MetricExporter> {
    async fn export(&self, metrics: &ResourceMetrics) -> OTelSdkResult {
        TokioContext::new(self.exporter.export(metrics), self.runtime.clone()).await
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn temporality(&self) -> Temporality {
        self.exporter.temporality()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::mpsc;

    use axum::Router;
    use axum::http::{HeaderMap, Uri};
    use opentelemetry::trace::{Tracer, TracerProvider};

    use super::*;
    use crate::model::SystemName;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn traces_and_metrics_reach_a_collector() {
        let (tell, told) = mpsc::channel();
        let collector = Router::new().fallback(async move |uri: Uri, headers: HeaderMap| {
            tell.send((uri.path().to_owned(), headers["content-type"].to_str().unwrap().to_owned())).unwrap();
        });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = Url::parse(&format!("http://{}/otlp", listener.local_addr().unwrap())).unwrap();
        let server = tokio::spawn(async move { axum::serve(listener, collector).await });
        let target = Target::find(Some(&base)).unwrap();
        let traces = target.traces().unwrap();
        traces.tracer("test").start("span");
        traces.force_flush().unwrap();
        let proto = "application/x-protobuf".to_owned();
        assert_eq!(
            told.recv_timeout(Duration::from_secs(10)).unwrap(),
            ("/otlp/v1/traces".into(), proto.clone())
        );
        let metrics = super::super::Metrics::new(Some(target.metrics().unwrap())).unwrap();
        metrics.set_budget(&SystemName::new("defender").unwrap(), "graph", 1);
        metrics.shutdown();
        assert_eq!(told.recv_timeout(Duration::from_secs(10)).unwrap(), ("/otlp/v1/metrics".into(), proto));
        server.abort();
    }
}
