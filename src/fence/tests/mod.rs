//! Tests of the fence.

mod hooks;
mod policies;
mod policy_fences;
mod probes;

use crate::dynamo::scripted::{Asked, Served, served};
use crate::dynamo::{Clients, Endpoint, Tables, Timing};
use serde_json::{Value, json};

const ARN: &str = "arn:aws:dynamodb:eu-central-1:123456789012:table/Shop";
const TOOL: &str = "arn:aws:iam::123456789012:role/dynasplit";

/// Clients of an endpoint that gives these answers.
async fn tables(answers: Vec<(u16, Value)>) -> (Tables, Asked) {
    let Served { endpoint, asked, .. } = served(answers).await;
    let place = Endpoint {
        url: Some(endpoint),
        anonymous: true,
        ..Endpoint::default()
    };
    let clients = Clients::load(&place, Timing::LIVE).await.unwrap();
    (clients.at(None, None).await, asked)
}

/// An error as DynamoDB gives it.
fn refused(code: &str) -> (u16, Value) {
    let code = format!("com.amazonaws.dynamodb.v20120810#{code}");
    (400, json!({ "__type": code, "message": "no" }))
}
