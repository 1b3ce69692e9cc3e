//! Why a request is not carried out, as AWS words it, or because the engine does not know what it asks for.

use serde_json::{Value as Json, json};

/// What is answered.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// The body.
    pub body: Json,
}

/// A request that is not carried out.
#[derive(Clone, Debug, PartialEq)]
pub enum Refusal {
    /// An error of the service: its code, its message, and the item that a condition met.
    Service {
        code: &'static str,
        message: String,
        item: Option<Json>,
    },
    /// The engine does not know what is asked for. No run may meet this: the engine has to learn it.
    Unsupported(String),
}

impl Refusal {
    /// An error of the service.
    pub fn service(code: &'static str, message: impl Into<String>) -> Self {
        Self::Service {
            code,
            message: message.into(),
            item: None,
        }
    }

    /// The request can never be right.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::service("ValidationException", message)
    }

    /// There is no such table, stream or shard.
    pub fn missing(message: impl Into<String>) -> Self {
        Self::service("ResourceNotFoundException", message)
    }

    /// A condition was false.
    pub fn condition(item: Option<Json>) -> Self {
        Self::Service {
            code: "ConditionalCheckFailedException",
            message: "The conditional request failed".into(),
            item,
        }
    }

    /// The engine does not know this.
    pub fn unsupported(what: impl Into<String>) -> Self {
        Self::Unsupported(what.into())
    }

    /// As it is answered.
    pub fn answer(self) -> Answer {
        let (code, message, item) = match self {
            Self::Service { code, message, item } => (code, message, item),
            Self::Unsupported(what) => (
                "ValidationException",
                format!("the simulated engine does not know {what}"),
                None,
            ),
        };
        let mut body =
            json!({ "__type": format!("com.amazonaws.dynamodb.v20120810#{code}"), "message": message });
        if let Some(item) = item {
            body["Item"] = item;
        }
        Answer { status: 400, body }
    }
}

impl Answer {
    /// A request that was carried out.
    pub fn ok(body: Json) -> Self {
        Self { status: 200, body }
    }
}
