//! Metrics and traces by the protocol of OpenTelemetry (OTLP over HTTP). The exporters read the standard variables, and have
//! bounded queues and threads of their own.

use super::http_client::CollectorClient;
use crate::web::Samples;
use crate::web::metrics::{ALL, Metric, MetricKind};
use opentelemetry::KeyValue;
use opentelemetry::metrics::{AsyncInstrument, MeterProvider as _};
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::{MetricExporter, SpanExporter, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::metrics::{PeriodicReader, SdkMeterProvider};
use opentelemetry_sdk::trace::SdkTracerProvider;
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::Duration;
use tokio::runtime::Handle;
use tracing::Subscriber;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::registry::LookupSpan;

/// What the exporters have not sent within this time after the end of the command is lost.
const LAST: Duration = Duration::from_secs(2);
/// The target of all spans. Events (log lines) are no part of a trace.
const SPANS: &str = "dynasplit::span";
const NAME: &str = "dynasplit";

type Latest = Arc<Mutex<Samples>>;

/// The metrics that a collector gets.
#[derive(Debug)]
pub(super) struct Meters {
    provider: SdkMeterProvider,
    latest: Latest,
}

impl Meters {
    /// Starts the exporter.
    pub fn begin() -> Result<Self, String> {
        let exporter = MetricExporter::builder()
            .with_http()
            .with_http_client(CollectorClient::on(Handle::current()))
            .build()
            .map_err(|error| error.to_string())?;
        let provider = SdkMeterProvider::builder()
            .with_reader(PeriodicReader::builder(exporter).build())
            .with_resource(resource())
            .build();
        let latest = Latest::default();
        let meter = provider.meter(NAME);
        for metric in &ALL {
            let latest = Arc::clone(&latest);
            match metric.kind {
                MetricKind::Gauge => drop(
                    meter
                        .f64_observable_gauge(metric.name)
                        .with_unit(unit(metric))
                        .with_description(metric.help)
                        .with_callback(move |instrument| observe(&latest, metric, instrument))
                        .build(),
                ),
                MetricKind::Counter => drop(
                    meter
                        .f64_observable_counter(metric.name)
                        .with_unit(unit(metric))
                        .with_description(metric.help)
                        .with_callback(move |instrument| observe(&latest, metric, instrument))
                        .build(),
                ),
            }
        }
        Ok(Self { provider, latest })
    }

    /// How often a collector gets them.
    pub fn interval(&self) -> Duration {
        let variable = std::env::var("OTEL_METRIC_EXPORT_INTERVAL").ok();
        let ms = variable.and_then(|text| text.parse().ok()).filter(|ms| *ms > 0);
        ms.map_or(Duration::from_secs(60), Duration::from_millis)
    }

    /// The collector gets these next.
    pub fn show(&self, samples: Samples) {
        *self.latest.lock().unwrap_or_else(PoisonError::into_inner) = samples;
    }

    /// Sends the last ones.
    pub async fn end(self) {
        let ended = tokio::task::spawn_blocking(move || within(LAST, move || drop(self.provider.shutdown())));
        if let Err(error) = ended.await {
            tracing::debug!(%error, "the exporter of metrics did not end");
        }
    }
}

fn observe(latest: &Latest, metric: &Metric, instrument: &dyn AsyncInstrument<f64>) {
    let samples = latest.lock().unwrap_or_else(PoisonError::into_inner);
    for sample in samples.iter().filter(|sample| sample.metric.name == metric.name) {
        let labels: Vec<KeyValue> = sample
            .pairs()
            .map(|(name, value)| KeyValue::new(name, value.to_owned()))
            .collect();
        instrument.observe(sample.value, &labels);
    }
}

/// The unit, as the specification writes it.
fn unit(metric: &Metric) -> String {
    match metric.unit {
        "seconds" => "s".to_owned(),
        "0 or 1" | "1" => "1".to_owned(),
        other => format!("{{{}}}", other.replace(' ', "-")),
    }
}

/// Who reports. The variables say it first.
fn resource() -> Resource {
    let names = ["OTEL_SERVICE_NAME", "OTEL_RESOURCE_ATTRIBUTES"];
    let is_named = names.into_iter().any(|name| {
        let value = std::env::var(name).unwrap_or_default();
        value.contains("service.name") || name == "OTEL_SERVICE_NAME" && !value.is_empty()
    });
    let resource =
        Resource::builder().with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")));
    if is_named {
        resource.build()
    } else {
        resource.with_service_name(NAME).build()
    }
}

/// The traces that a collector gets.
#[derive(Debug)]
pub struct Tracing(SdkTracerProvider);

impl Tracing {
    /// Starts the exporter. `runtime` sends the requests.
    ///
    /// # Errors
    /// Why the collector cannot be used.
    pub fn begin(runtime: &Handle) -> Result<Self, String> {
        let exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(CollectorClient::on(runtime.clone()))
            .build()
            .map_err(|error| error.to_string())?;
        let provider = SdkTracerProvider::builder()
            .with_batch_exporter(exporter)
            .with_resource(resource())
            .build();
        Ok(Self(provider))
    }

    /// What hands the spans to the exporter.
    pub fn layer<S>(&self) -> impl Layer<S> + Send + Sync + use<S>
    where
        S: Subscriber + for<'a> LookupSpan<'a> + Send + Sync,
    {
        tracing_opentelemetry::layer()
            .with_tracer(self.0.tracer(NAME))
            .with_filter(filter_fn(|metadata| {
                metadata.is_span() && metadata.target() == SPANS
            }))
    }

    /// Sends the last ones. The runtime must still run.
    pub fn end(self) {
        within(LAST, move || drop(self.0.shutdown()));
    }
}

/// Does something on a thread of its own, and waits for it no longer than this.
fn within(time: Duration, work: impl FnOnce() + Send + 'static) {
    let (done, ended) = mpsc::channel();
    std::thread::spawn(move || {
        work();
        // Nobody waits any more if it took too long.
        let _ = done.send(());
    });
    if ended.recv_timeout(time).is_err() {
        tracing::debug!("the last metrics or traces were not sent in time");
    }
}
