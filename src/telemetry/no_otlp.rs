//! In place of the exporters for OpenTelemetry, in a build without them.

use crate::model::BuildPart;
use crate::web::Samples;
use std::time::Duration;
use tokio::runtime::Handle;
use tracing_subscriber::layer::Identity;

/// None can be made.
#[derive(Debug)]
pub(super) enum Meters {}

impl Meters {
    pub fn begin() -> Result<Self, String> {
        Err(missing())
    }

    pub fn interval(&self) -> Duration {
        match *self {}
    }

    pub fn show(&self, _: Samples) {
        match *self {}
    }

    pub async fn end(self) {
        match self {}
    }
}

/// None can be made.
#[derive(Debug)]
pub enum Tracing {}

impl Tracing {
    /// Fails.
    ///
    /// # Errors
    /// Always.
    pub fn begin(_: &Handle) -> Result<Self, String> {
        Err(missing())
    }

    /// Hands nothing on.
    pub fn layer(&self) -> Identity {
        match *self {}
    }

    /// Sends nothing.
    pub fn end(self) {
        match self {}
    }
}

fn missing() -> String {
    let needed = BuildPart::Otlp.needed();
    needed.map_or_else(|missing| missing.to_string(), |()| String::new())
}
