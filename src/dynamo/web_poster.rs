//! Posts documents to URLs of others, with the same TLS and the same trusted certificates as the requests to AWS.

use super::certificates::{Bundle, system_connector};
use aws_smithy_runtime_api::client::http::{HttpConnector as _, SharedHttpConnector};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_types::body::SdkBody;

/// Posts documents. No error of it contains the URL, which may be a secret.
#[derive(Clone, Debug)]
pub struct WebPoster(SharedHttpConnector);

/// An answer, without its headers.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct WebAnswer {
    /// The status of HTTP.
    pub status: u16,
    /// The seconds after which another attempt makes sense, if the answer says so.
    pub retry_after: Option<String>,
}

impl WebPoster {
    /// One that trusts the certificates of the system.
    #[must_use]
    pub fn of_system() -> Self {
        Self::trusting(None)
    }

    pub(super) fn trusting(bundle: Option<&Bundle>) -> Self {
        Self(SharedHttpConnector::new(
            bundle.map_or_else(system_connector, Bundle::connector),
        ))
    }

    /// Posts a JSON document once. Answers the status; a redirect is not followed.
    ///
    /// # Errors
    /// The reason, if there is no answer.
    pub async fn post(&self, url: &str, document: String) -> Result<u16, String> {
        let headers = [("content-type".to_owned(), "application/json".to_owned())];
        let answer = self.post_with(url, headers, document.into_bytes()).await?;
        Ok(answer.status)
    }

    /// Posts a document once, with these headers. A redirect is not followed.
    ///
    /// # Errors
    /// The reason, if there is no answer.
    pub async fn post_with(
        &self,
        url: &str,
        headers: impl IntoIterator<Item = (String, String)>,
        document: Vec<u8>,
    ) -> Result<WebAnswer, String> {
        let mut request = HttpRequest::new(SdkBody::from(document));
        request
            .set_method("POST")
            .map_err(|_| "the method cannot be used".to_owned())?;
        request
            .set_uri(url)
            .map_err(|_| "the URL cannot be used".to_owned())?;
        for (name, value) in headers {
            let inserted = request.headers_mut().try_insert(name, value);
            inserted.map_err(|_| "a header cannot be used".to_owned())?;
        }
        let sent = self.0.call(request).await;
        let answer = sent.map_err(|error| {
            let reason = match () {
                () if error.is_timeout() => "no answer in time",
                () if error.is_io() => "no connection, or it broke off",
                () => "the request failed",
            };
            reason.to_owned()
        })?;
        Ok(WebAnswer {
            status: answer.status().as_u16(),
            retry_after: answer.headers().get("retry-after").map(str::to_owned),
        })
    }
}
