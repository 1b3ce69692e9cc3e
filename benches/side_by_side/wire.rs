//! DynamoDB's wire protocol as the benchmark itself speaks it: raw JSON over kept connections.

use crate::trouble::{Told, Tried, Trouble};
use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper::body::Bytes;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;

/// Of requests and answers.
pub const CONTENT_TYPE: &str = "application/x-amz-json-1.0";
/// What the names of operations on tables begin with; streams have another.
pub const TABLES: &str = "DynamoDB_20120810.";
/// The engine asks that a signature is there, and checks none.
const SIGNED: &str = "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/dynamodb/aws4_request, \
                      SignedHeaders=host, Signature=none";

/// A client of a server that speaks it.
#[derive(Clone, Debug)]
pub struct Wire {
    client: Client<HttpConnector, Full<Bytes>>,
    endpoint: String,
}

impl Wire {
    /// For the server at an endpoint.
    pub fn to(endpoint: &str) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        Self {
            client: Client::builder(TokioExecutor::new()).build(connector),
            endpoint: endpoint.to_owned(),
        }
    }

    /// Where it is.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Sends a request, and answers its status and body. `target` is as in the header `x-amz-target`.
    pub async fn send(&self, target: &str, body: Bytes) -> Tried<(u16, Bytes)> {
        let request = Request::post(&self.endpoint)
            .header("content-type", CONTENT_TYPE)
            .header("x-amz-target", target)
            .header("x-amz-date", "20260101T000000Z")
            .header("authorization", SIGNED)
            .body(Full::new(body))
            .told("a request")?;
        let response = self.client.request(request).await.told("the engine")?;
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.told("the engine's answer")?;
        Ok((status, body.to_bytes()))
    }

    /// Asks for an operation on tables that must succeed.
    pub async fn ask(&self, operation: &str, body: &Value) -> Tried<Value> {
        self.ask_text(operation, body.to_string().into()).await
    }

    /// The same, with a body that is text already.
    pub async fn ask_text(&self, operation: &str, body: Bytes) -> Tried<Value> {
        let (status, body) = self.send(&format!("{TABLES}{operation}"), body).await?;
        if status != 200 {
            let text = String::from_utf8_lossy(&body);
            return Err(Trouble::new(format!(
                "{operation} is answered with {status}: {text}"
            )));
        }
        serde_json::from_slice(&body).told(operation)
    }

    /// Asks the server of the benchmark itself: see [`crate::host`].
    pub async fn command(&self, path: &str) -> Tried<Bytes> {
        let request = Request::post(format!("{}/bench/{path}", self.endpoint))
            .body(Full::default())
            .told("a command")?;
        let response = self.client.request(request).await.told(path)?;
        let status = response.status();
        let body = response.into_body().collect().await.told(path)?.to_bytes();
        if !status.is_success() {
            return Err(Trouble::new(format!("the server knows no '{path}'")));
        }
        Ok(body)
    }
}
