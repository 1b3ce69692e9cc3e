//! Posts JSON documents to URLs of others, with the same TLS and the same trusted certificates as the requests to AWS.

use super::certificates::{Bundle, system_connector};
use aws_smithy_runtime_api::client::http::{HttpConnector as _, SharedHttpConnector};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_types::body::SdkBody;

/// Posts documents. No error of it contains the URL, which may be a secret.
#[derive(Clone, Debug)]
pub struct WebPoster(SharedHttpConnector);

impl WebPoster {
    pub(super) fn trusting(bundle: Option<&Bundle>) -> Self {
        Self(SharedHttpConnector::new(
            bundle.map_or_else(system_connector, Bundle::connector),
        ))
    }

    /// Posts a document once. Answers the status; a redirect is not followed.
    ///
    /// # Errors
    /// The reason, if there is no answer.
    pub async fn post(&self, url: &str, document: String) -> Result<u16, String> {
        let mut request = HttpRequest::new(SdkBody::from(document));
        let unusable = |_| "the URL cannot be used".to_owned();
        request.set_method("POST").map_err(unusable)?;
        request.set_uri(url).map_err(unusable)?;
        request.headers_mut().insert("content-type", "application/json");
        let sent = self.0.call(request).await;
        let answer = sent.map_err(|error| {
            let reason = match () {
                () if error.is_timeout() => "no answer in time",
                () if error.is_io() => "no connection, or it broke off",
                () => "the request failed",
            };
            reason.to_owned()
        })?;
        Ok(answer.status().as_u16())
    }
}
