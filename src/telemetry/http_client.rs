//! The exporters' requests. The exporters run on threads of their own, so each request is handed to the runtime.

use crate::dynamo::WebPoster;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use std::pin::Pin;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio_util::task::AbortOnDropHandle;

/// If no variable says how long a request may take: the time of the specification.
const ATTEMPT: Duration = Duration::from_secs(10);

/// Sends requests to a collector.
#[derive(Clone, Debug)]
pub(super) struct CollectorClient {
    poster: WebPoster,
    runtime: Handle,
    attempt: Duration,
}

impl CollectorClient {
    /// For the runtime that is present.
    pub fn on(runtime: Handle) -> Self {
        let variable = std::env::var("OTEL_EXPORTER_OTLP_TIMEOUT").ok();
        let ms = variable.and_then(|text| text.parse().ok()).filter(|ms| *ms > 0);
        Self {
            poster: WebPoster::of_system(),
            runtime,
            attempt: ms.map_or(ATTEMPT, Duration::from_millis),
        }
    }

    async fn send(self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let (parts, body) = request.into_parts();
        let headers = parts.headers.iter().filter_map(|(name, value)| {
            let value = value.to_str().ok()?;
            Some((name.as_str().to_owned(), value.to_owned()))
        });
        let (url, headers) = (parts.uri.to_string(), headers.collect::<Vec<_>>());
        let posting = self.poster.post_with(&url, headers, body.to_vec());
        let answer = tokio::time::timeout(self.attempt, Box::pin(posting)).await??;
        let mut response = Response::builder().status(answer.status);
        if let Some(seconds) = answer.retry_after {
            response = response.header("retry-after", seconds);
        }
        Ok(response.body(Bytes::new())?)
    }
}

impl HttpClient for CollectorClient {
    fn send_bytes<'a, 'b>(
        &'a self,
        request: Request<Bytes>,
    ) -> Pin<Box<dyn Future<Output = Result<Response<Bytes>, HttpError>> + Send + 'b>>
    where
        'a: 'b,
        Self: 'b,
    {
        let sending = self.runtime.spawn(self.clone().send(request));
        Box::pin(async move { AbortOnDropHandle::new(sending).await? })
    }
}
