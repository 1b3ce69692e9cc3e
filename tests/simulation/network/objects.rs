//! Requests of S3 as the engine takes them, and its answers as the SDK reads them.

use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::http::StatusCode;
use aws_smithy_types::body::SdkBody;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value as Json, json};

use crate::engine::{Answer, S3};

/// Headers that the SDK adds by itself: who asks, and sums of the body.
const OF_THE_SDK: [&str; 12] = [
    "accept",
    "amz-sdk-invocation-id",
    "amz-sdk-request",
    "authorization",
    "content-length",
    "content-type",
    "host",
    "user-agent",
    "x-amz-checksum-mode",
    "x-amz-content-sha256",
    "x-amz-date",
    "x-amz-user-agent",
];
const SUMS: [&str; 2] = ["x-amz-checksum-", "x-amz-sdk-checksum-"];

/// The target and the body of a request of S3. Each header and parameter that is not the SDK's own is a member, so that the engine
/// refuses those that it does not know.
pub fn asked(request: &HttpRequest) -> (String, Json) {
    let uri = request.uri();
    let rest = uri.split_once("://").map_or(uri, |(_, rest)| rest);
    let path = rest.split_once('/').map_or("", |(_, path)| path);
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let (bucket, key) = path.split_once('/').unwrap_or((path, ""));
    let mut body = json!({ "Bucket": bucket });
    if !key.is_empty() {
        body["Key"] = json!(decoded(key));
    }
    for (name, value) in request.headers() {
        let is_own = OF_THE_SDK.contains(&name) || SUMS.iter().any(|sum| name.starts_with(sum));
        if !is_own {
            body[name] = json!(value);
        }
    }
    let mut asks_for = "";
    for parameter in query.split('&').filter(|parameter| !parameter.is_empty()) {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        match name {
            "x-id" => {}
            "lifecycle" | "encryption" if value.is_empty() => asks_for = name,
            _ => body[name] = json!(decoded(value)),
        }
    }
    let is_copy = body.get("x-amz-copy-source").is_some();
    let operation = match (request.method(), key.is_empty(), asks_for) {
        ("PUT", false, "") if is_copy => "CopyObject",
        ("PUT", false, "") => {
            // A body that is not in memory would be a stream, which no command sends.
            if let Some(bytes) = request.body().bytes() {
                body["Body"] = json!(STANDARD.encode(bytes));
            }
            "PutObject"
        }
        ("GET", false, "") => "GetObject",
        ("HEAD", false, "") => "HeadObject",
        ("DELETE", false, "") => "DeleteObject",
        ("GET", true, "") => "ListObjectsV2",
        ("GET", true, "lifecycle") => "GetBucketLifecycleConfiguration",
        ("GET", true, "encryption") => "GetBucketEncryption",
        (method, ..) => return (format!("{S3}{method} {uri}"), body),
    };
    body.sort_all_objects();
    (format!("{S3}{operation}"), body)
}

/// An answer of S3.
pub fn answered(answer: &Answer) -> Result<HttpResponse, ConnectorError> {
    let other = |error: Box<dyn std::error::Error + Send + Sync>| ConnectorError::other(error, None);
    let status = StatusCode::try_from(answer.status).map_err(|error| other(error.into()))?;
    let bytes = match answer.body["Bytes"].as_str() {
        Some(bytes) => STANDARD.decode(bytes).map_err(|error| other(error.into()))?,
        None => answer.body["Xml"].as_str().unwrap_or_default().into(),
    };
    let mut response = HttpResponse::new(status, SdkBody::from(bytes));
    let headers = answer.body["Headers"].as_object().into_iter().flatten();
    for (name, value) in headers {
        let value = value.as_str().unwrap_or_default().to_owned();
        response.headers_mut().insert(name.clone(), value);
    }
    Ok(response)
}

fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        let digits = [rest.clone().next(), rest.clone().nth(1)];
        let hex = match (byte, digits) {
            (b'%', [Some(high), Some(low)]) => {
                let digits = [char::from(high), char::from(low)];
                u8::from_str_radix(&String::from_iter(digits), 16).ok()
            }
            _ => None,
        };
        if hex.is_some() {
            rest.nth(1);
        }
        bytes.push(hex.unwrap_or(byte));
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[test]
fn keys_are_decoded() {
    assert_eq!(decoded("a%20b/c%3Dd%"), "a b/c=d%");
}
