//! The embedded engine behind it all, over HTTP with kept connections.

use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper::body::Bytes;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;

use super::answer::Answer;

/// The engine asks that a signature is there, and checks none.
const SIGNED: &str = "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/dynamodb/aws4_request, \
                      SignedHeaders=host, Signature=none";

/// A client for it. Used on the runtime of the server only, which owns its connections.
#[derive(Clone)]
pub struct Backend {
    client: Client<HttpConnector, Full<Bytes>>,
    endpoint: String,
}

impl Backend {
    /// For the engine at an endpoint.
    pub fn at(endpoint: &str) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        Self {
            client: Client::builder(TokioExecutor::new()).build(connector),
            endpoint: endpoint.to_owned(),
        }
    }

    /// Hands a request on.
    pub async fn send(&self, target: &str, body: Bytes) -> Result<Answer, String> {
        let request = Request::post(&self.endpoint)
            .header("content-type", super::answer::CONTENT_TYPE)
            .header("x-amz-target", target)
            .header("x-amz-date", "20260101T000000Z")
            .header("authorization", SIGNED)
            .body(Full::new(body))
            .map_err(|error| error.to_string())?;
        let response = self.client.request(request).await;
        let response = response.map_err(|error| format!("the embedded engine: {error}"))?;
        let status = response.status().as_u16();
        let body = response.into_body().collect().await;
        let body = body
            .map_err(|error| format!("the embedded engine: {error}"))?
            .to_bytes();
        Ok(Answer::with_status(status, body))
    }

    /// Asks it something of the Streams API, or of tables, that must succeed.
    pub async fn ask(&self, target: &str, body: &Value) -> Result<Value, String> {
        let answer = self.send(target, body.to_string().into()).await?;
        if answer.status == 200 {
            return serde_json::from_slice(&answer.body).map_err(|error| error.to_string());
        }
        Err(String::from_utf8_lossy(&answer.body).into_owned())
    }
}

/// As in `x-amz-target`.
pub fn tables(operation: &str) -> String {
    format!("DynamoDB_20120810.{operation}")
}

/// The same, of the Streams API.
pub fn streams(operation: &str) -> String {
    format!("DynamoDBStreams_20120810.{operation}")
}
