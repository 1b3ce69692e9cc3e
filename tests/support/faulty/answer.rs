//! Answers as AWS words them.

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::{Response, StatusCode};
use serde_json::{Value, json};

use super::call::Call;

/// Of requests and answers.
pub const CONTENT_TYPE: &str = "application/x-amz-json-1.0";

/// An answer.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    pub body: Bytes,
    content_type: &'static str,
}

impl Answer {
    pub fn with_status(status: u16, body: Bytes) -> Self {
        Self {
            status,
            body,
            content_type: CONTENT_TYPE,
        }
    }

    pub fn ok(body: &Value) -> Self {
        Self::with_status(200, body.to_string().into())
    }

    /// An error of the service itself.
    pub fn error(code: &str, message: &str) -> Self {
        let space = "com.amazonaws.dynamodb.v20120810";
        let body = json!({ "__type": format!("{space}#{code}"), "message": message });
        Self::with_status(400, body.to_string().into())
    }

    /// A server error of the service itself.
    pub fn server_error(status: u16) -> Self {
        let code = match status {
            503 => "ServiceUnavailable",
            _ => "InternalServerError",
        };
        Self {
            status,
            ..Self::error(
                code,
                "The request processing has failed because of an unknown error.",
            )
        }
    }

    /// What is behind us failed, which no test wants: told as a server error.
    pub fn failed(message: &str) -> Self {
        Self {
            status: 500,
            ..Self::error("InternalServerError", message)
        }
    }

    /// What something in between says.
    pub fn gateway(status: u16) -> Self {
        Self {
            status,
            body: Bytes::from_static(b"<html><body><h1>The server did not respond</h1></body></html>"),
            content_type: "text/html",
        }
    }

    /// What IAM says to somebody who may not do this.
    pub fn denied(call: &Call) -> Self {
        let action = format!("dynamodb:{}", call.operation);
        let resource = format!("arn:aws:dynamodb:us-east-1:111122223333:table/{}", call.table());
        let message = format!(
            "User: arn:aws:sts::111122223333:assumed-role/split/worker is not authorized to perform: {action} on \
             resource: {resource} because no identity-based policy allows the {action} action"
        );
        let body = json!({ "__type": "com.amazon.coral.service#AccessDeniedException", "Message": message });
        Self::with_status(400, body.to_string().into())
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// With the time of the engine, as in a header.
    pub fn into_response(self, date: &str) -> Response<Full<Bytes>> {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = Response::new(Full::new(self.body));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(
            "content-type",
            hyper::header::HeaderValue::from_static(self.content_type),
        );
        if let Ok(date) = hyper::header::HeaderValue::from_str(date) {
            headers.insert("date", date);
        }
        response
    }
}
