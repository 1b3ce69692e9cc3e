//! An HTTP client of the SDK, of one sender; and the sleep that the SDK's timeouts use.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_sdk_dynamodb::config::{AsyncSleep, Sleep};
use aws_sdk_dynamodb::primitives::{DateTime, DateTimeFormat};
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_runtime_api::http::StatusCode;
use aws_smithy_types::body::SdkBody;
use aws_types::sdk_config::TimeSource;
use serde_json::Value as Json;

use super::{EPOCH_MS, End, Network, objects};
use crate::engine::{Answer, S3, role_arn};
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

/// Signatures and credentials have the time at which the simulation begins: nothing of the product depends on it.
impl TimeSource for Wire {
    fn now(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_millis(EPOCH_MS)
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
        if target.is_empty() && !is_form(&request) {
            let (target, body) = objects::asked(&request);
            return self.pass_on(String::new(), target, body);
        }
        let body = request.body().bytes().unwrap_or_default();
        if let Some(role) = assumed(body) {
            return HttpConnectorFuture::new(async move { credentials(&role) });
        }
        let signature = request.headers().get("authorization").unwrap_or_default();
        let who = caller(signature);
        let mut body: Json = serde_json::from_slice(body).unwrap_or_default();
        // The SDK writes members in a random order.
        body.sort_all_objects();
        self.pass_on(who, target, body)
    }
}

impl Wire {
    fn pass_on(&self, who: String, target: String, body: Json) -> HttpConnectorFuture {
        let suspended = Arc::clone(&self.suspended);
        if suspended.is_set() {
            // Only a timer of the product can be here. Its request breaks, because a process that is suspended sends nothing.
            return HttpConnectorFuture::new(async move {
                suspended.until(false).await;
                Err(broken())
            });
        }
        let is_of_objects = target.starts_with(S3);
        let end = self.network.send(&self.name, who, target, body);
        let network = self.network.clone();
        HttpConnectorFuture::new(async move {
            let end = end.await;
            suspended.until(false).await;
            match end {
                Ok(End::Answer(answer)) if is_of_objects => objects::answered(&answer),
                Ok(End::Answer(answer)) => response(&answer, network.time_ms()),
                Ok(End::Broken) => Err(broken()),
                // It is never answered: the caller gives up.
                Err(_) => std::future::pending().await,
            }
        })
    }
}

/// Whether a request is one of STS.
fn is_form(request: &HttpRequest) -> bool {
    request.headers().get("content-type") == Some("application/x-www-form-urlencoded")
}

/// The role that a request of STS asks for.
fn assumed(body: &[u8]) -> Option<String> {
    let form = std::str::from_utf8(body).ok()?;
    let field = |name: &str| {
        let mut fields = form.split('&');
        fields.find_map(|field| field.strip_prefix(name)?.strip_prefix('='))
    };
    if field("Action") != Some("AssumeRole") {
        return None;
    }
    Some(field("RoleArn")?.replace("%3A", ":").replace("%2F", "/"))
}

/// The credentials of a role: the access key is its name.
fn credentials(role: &str) -> Result<HttpResponse, ConnectorError> {
    let key = role.rsplit('/').next().unwrap_or_default();
    let body = format!(
        "<AssumeRoleResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><AssumeRoleResult><AssumedRoleUser>\
         <Arn>{role}</Arn><AssumedRoleId>id</AssumedRoleId></AssumedRoleUser><Credentials><AccessKeyId>{key}</AccessKeyId>\
         <SecretAccessKey>secret</SecretAccessKey><SessionToken>session</SessionToken>\
         <Expiration>2100-01-01T00:00:00Z</Expiration></Credentials></AssumeRoleResult><ResponseMetadata>\
         <RequestId>1</RequestId></ResponseMetadata></AssumeRoleResponse>"
    );
    let status = StatusCode::try_from(200).map_err(|error| ConnectorError::other(error.into(), None))?;
    let mut response = HttpResponse::new(status, SdkBody::from(body));
    response.headers_mut().insert("content-type", "text/xml");
    Ok(response)
}

/// Who signed a request.
fn caller(signature: &str) -> String {
    let key = signature.split_once("Credential=");
    let key = key
        .and_then(|(_, rest)| rest.split('/').next())
        .unwrap_or_default();
    role_arn(key)
}

/// The answer of DynamoDB, whose clock it shows.
fn response(answer: &Answer, now_ms: u64) -> Result<HttpResponse, ConnectorError> {
    let status =
        StatusCode::try_from(answer.status).map_err(|error| ConnectorError::other(error.into(), None))?;
    let mut response = HttpResponse::new(status, SdkBody::from(answer.body.to_string()));
    response
        .headers_mut()
        .insert("content-type", "application/x-amz-json-1.0");
    let now = DateTime::from_secs(i64::try_from(now_ms / 1000).unwrap_or(0));
    if let Ok(date) = now.fmt(DateTimeFormat::HttpDate) {
        response.headers_mut().insert("date", date);
    }
    Ok(response)
}
