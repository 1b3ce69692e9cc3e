//! An HTTP client of the SDK, of one sender; and the sleep that the SDK's timeouts use.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_dynamodb::config::{AsyncSleep, Sleep};
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_runtime_api::http::StatusCode;
use aws_smithy_types::body::SdkBody;
use serde_json::Value as Json;

use super::{End, Network};
use crate::engine::Answer;
use crate::support::latch::Latch;

/// An HTTP client of the SDK, of one sender.
#[derive(Clone)]
pub struct Wire {
    network: Network,
    name: Arc<str>,
    suspended: Arc<Latch>,
}

impl Wire {
    /// Of somebody.
    pub fn new(network: Network, name: &str, suspended: Arc<Latch>) -> Self {
        Self {
            network,
            name: name.into(),
            suspended,
        }
    }
}

fn broken() -> ConnectorError {
    ConnectorError::io(std::io::Error::from(std::io::ErrorKind::ConnectionReset).into())
}

/// The timeouts of requests stand still with their sender, so that an answer that came meanwhile is seen.
impl AsyncSleep for Wire {
    fn sleep(&self, duration: Duration) -> Sleep {
        let suspended = Arc::clone(&self.suspended);
        Sleep::new(async move {
            tokio::time::sleep(duration).await;
            suspended.until(false).await;
        })
    }
}

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Wire({})", self.name)
    }
}

impl HttpClient for Wire {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for Wire {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let target = request
            .headers()
            .get("x-amz-target")
            .unwrap_or_default()
            .to_owned();
        let body = request.body().bytes().unwrap_or_default();
        let mut body: Json = serde_json::from_slice(body).unwrap_or_default();
        // The SDK writes members in a random order.
        body.sort_all_objects();
        let suspended = Arc::clone(&self.suspended);
        if suspended.is_set() {
            // Only a timer of the product can be here. Its request breaks, because a process that is suspended sends nothing.
            return HttpConnectorFuture::new(async move {
                suspended.until(false).await;
                Err(broken())
            });
        }
        let end = self.network.send(&self.name, target, body);
        HttpConnectorFuture::new(async move {
            let end = end.await;
            suspended.until(false).await;
            match end {
                Ok(End::Answer(answer)) => response(&answer),
                Ok(End::Broken) => Err(broken()),
                // It is never answered: the caller gives up.
                Err(_) => std::future::pending().await,
            }
        })
    }
}

fn response(answer: &Answer) -> Result<HttpResponse, ConnectorError> {
    let status =
        StatusCode::try_from(answer.status).map_err(|error| ConnectorError::other(error.into(), None))?;
    let mut response = HttpResponse::new(status, SdkBody::from(answer.body.to_string()));
    response
        .headers_mut()
        .insert("content-type", "application/x-amz-json-1.0");
    Ok(response)
}
