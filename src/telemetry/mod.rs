//! Metrics and traces for a collector of OpenTelemetry, and metrics in the embedded format of CloudWatch. A collector that does
//! not answer never holds a command up.

mod emf;
mod exporting;
#[cfg(feature = "otlp")]
mod http_client;
#[cfg(feature = "otlp")]
mod otlp;
#[cfg(not(feature = "otlp"))]
#[path = "no_otlp.rs"]
mod otlp;
mod settings;

pub use emf::{Namespace, NamespaceError};
pub use exporting::Exporting;
pub use otlp::Tracing;
pub use settings::{Settings, SettingsError};
