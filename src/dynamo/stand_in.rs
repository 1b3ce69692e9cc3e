//! Between the clients of a rehearsal and its engine: answers in place of the engine, and changes its answers. A rehearsal shows with it
//! what its engine cannot do.

use super::Clock;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
    SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_runtime_api::http::StatusCode;
use aws_smithy_types::DateTime;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::byte_stream::ByteStream;
use aws_smithy_types::date_time::Format;
use futures::future::BoxFuture;
use serde_json::{Value, json};
use std::fmt;
use std::sync::Arc;

/// The header that names the operation of a request.
const TARGET: &str = "x-amz-target";

/// A request to the engine.
#[derive(Clone, Debug)]
pub struct AskedOfEngine {
    /// As in `PutItem`.
    pub operation: String,
    /// The body.
    pub body: Arc<str>,
    /// The engine itself.
    pub engine: RawEngine,
}

impl AskedOfEngine {
    /// The body, parsed.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_default()
    }

    /// Whether the request is for a table: alone, in a batch, in a statement, or in a transaction.
    #[must_use]
    pub fn names(&self, table: &str) -> bool {
        let body = self.json();
        let is_named = |body: &Value| body["TableName"] == table;
        let states = |statement: &Value| {
            let text = statement["Statement"].as_str();
            text.is_some_and(|text| text.contains(&format!("\"{table}\"")))
        };
        let each = |name: &str| body[name].as_array().cloned().unwrap_or_default();
        is_named(&body)
            || body["RequestItems"].get(table).is_some()
            || states(&body)
            || each("Statements").iter().any(states)
            || each("TransactStatements").iter().any(states)
            || each("TransactItems").iter().any(|item| {
                let mut operations = item.as_object().into_iter().flat_map(|item| item.values());
                operations.any(is_named)
            })
    }
}

/// An answer in place of the engine.
#[derive(Clone, Debug)]
pub struct EngineAnswer {
    /// The status of HTTP.
    pub status: u16,
    /// The body.
    pub body: Value,
}

impl EngineAnswer {
    /// A good one.
    #[must_use]
    pub fn ok(body: Value) -> Self {
        Self { status: 200, body }
    }

    /// An error of DynamoDB.
    #[must_use]
    pub fn error(code: &str, message: &str) -> Self {
        let space = "com.amazonaws.dynamodb.v20120810";
        Self {
            status: 400,
            body: json!({ "__type": format!("{space}#{code}"), "message": message }),
        }
    }
}

/// What stands between the clients and the engine.
pub trait StandIn: fmt::Debug + Send + Sync {
    /// Whether it looks at requests of this operation.
    fn wants(&self, operation: &str) -> bool;

    /// The answer to a request; `None`: the engine answers.
    fn answer<'a>(&'a self, asked: &'a AskedOfEngine) -> BoxFuture<'a, Option<EngineAnswer>>;

    /// Changes a good answer of the engine.
    fn change(&self, asked: &AskedOfEngine, answer: &mut Value);
}

/// An HTTP client whose requests pass a stand-in.
pub(super) fn around(stand_in: &Arc<dyn StandIn>, client: SharedHttpClient) -> SharedHttpClient {
    SharedHttpClient::new(StandInClient {
        stand_in: Arc::clone(stand_in),
        client,
    })
}

#[derive(Debug)]
struct StandInClient {
    stand_in: Arc<dyn StandIn>,
    client: SharedHttpClient,
}

impl HttpClient for StandInClient {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(StandInConnector {
            stand_in: Arc::clone(&self.stand_in),
            connector: self.client.http_connector(settings, components),
        })
    }
}

#[derive(Debug)]
struct StandInConnector {
    stand_in: Arc<dyn StandIn>,
    connector: SharedHttpConnector,
}

impl HttpConnector for StandInConnector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let target = request.headers().get(TARGET).unwrap_or_default();
        let operation = target.rsplit('.').next().unwrap_or_default().to_owned();
        let text = request.body().bytes().and_then(|body| str::from_utf8(body).ok());
        // Objects have no such header.
        let (false, true, Some(text)) = (operation.is_empty(), self.stand_in.wants(&operation), text) else {
            return self.connector.call(request);
        };
        let body: Arc<str> = text.into();
        let engine = RawEngine::of(&request, self.connector.clone());
        let (stand_in, connector) = (Arc::clone(&self.stand_in), self.connector.clone());
        HttpConnectorFuture::new(async move {
            let asked = AskedOfEngine {
                operation,
                body,
                engine,
            };
            if let Some(answer) = stand_in.answer(&asked).await {
                return answer.into_response();
            }
            let mut response = connector.call(request).await?;
            if response.status().as_u16() != 200 {
                return Ok(response);
            }
            let mut body = read(response.take_body()).await?;
            stand_in.change(&asked, &mut body);
            EngineAnswer::ok(body).into_response()
        })
    }
}

async fn read(body: SdkBody) -> Result<Value, ConnectorError> {
    let bytes = ByteStream::new(body).collect().await;
    let bytes = bytes.map_err(|error| ConnectorError::io(error.into()))?;
    serde_json::from_slice(&bytes.into_bytes()).map_err(|error| ConnectorError::other(error.into(), None))
}

impl EngineAnswer {
    fn into_response(self) -> Result<HttpResponse, ConnectorError> {
        let status = StatusCode::try_from(self.status);
        let status = status.map_err(|error| ConnectorError::other(error.into(), None))?;
        let mut response = HttpResponse::new(status, SdkBody::from(self.body.to_string()));
        response
            .headers_mut()
            .insert("content-type", "application/x-amz-json-1.0");
        // Some engines say no time, and each runs on this machine.
        let now = DateTime::from(Clock::SYSTEM.now()).fmt(Format::HttpDate);
        let now = now.map_err(|error| ConnectorError::other(error.into(), None))?;
        response.headers_mut().insert("date", now);
        Ok(response)
    }
}

/// The engine behind a stand-in. It is asked with the headers of the request that came, so it must be one that checks no signature, as
/// those of a rehearsal.
#[derive(Clone)]
pub struct RawEngine {
    connector: SharedHttpConnector,
    uri: String,
    headers: Vec<(String, String)>,
}

impl fmt::Debug for RawEngine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RawEngine")
    }
}

impl RawEngine {
    fn of(request: &HttpRequest, connector: SharedHttpConnector) -> Self {
        let headers = request.headers().iter();
        let own = headers.filter(|(name, _)| !["content-length", TARGET].contains(name));
        Self {
            connector,
            uri: request.uri().to_owned(),
            headers: own
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
        }
    }

    /// Asks the engine, which must answer well.
    ///
    /// # Errors
    /// With what it answered.
    pub async fn ask(&self, operation: &str, body: &Value) -> Result<Value, String> {
        let text = body.to_string();
        let mut request = HttpRequest::new(SdkBody::from(text.clone()));
        let unusable = |error: &dyn fmt::Display| error.to_string();
        request.set_method("POST").map_err(|error| unusable(&error))?;
        request
            .set_uri(self.uri.clone())
            .map_err(|error| unusable(&error))?;
        for (name, value) in &self.headers {
            request.headers_mut().insert(name.clone(), value.clone());
        }
        request
            .headers_mut()
            .insert(TARGET, format!("DynamoDB_20120810.{operation}"));
        request
            .headers_mut()
            .insert("content-length", text.len().to_string());
        let answered = self.connector.call(request).await;
        let mut response = answered.map_err(|error| unusable(&error))?;
        let status = response.status().as_u16();
        let body = read(response.take_body())
            .await
            .map_err(|error| unusable(&error))?;
        match status {
            200 => Ok(body),
            _ => Err(body.to_string()),
        }
    }
}
