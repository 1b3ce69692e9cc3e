//! Tests of the simulated engine.

/// Random requests are sent to the simulated engine and to the embedded one. Both must give the same answers.
mod against_embedded;
/// Streams and scans behave as AWS documents them.
mod documented;
/// Resource policies, and records that are shown late.
mod fences;
/// S3, and imports of its objects.
mod objects;
/// Random requests in the forms that the product sends.
mod requests;

use serde_json::{Value as Json, json};

use super::{Arrival, Habits};

const HABITS: Habits = Habits {
    page_items: 1000,
    page_records: 1000,
    shards: 1,
    creation_ms: 0,
    policy_rest_ms: 0,
};
const NOW: Arrival = Arrival {
    now_ms: 1_000_000,
    stale_ms: 0,
};

fn create() -> Json {
    json!({
        "TableName": "tab",
        "BillingMode": "PAY_PER_REQUEST",
        "KeySchema": [
            { "AttributeName": "pk", "KeyType": "HASH" },
            { "AttributeName": "sk", "KeyType": "RANGE" },
        ],
        "AttributeDefinitions": [
            { "AttributeName": "pk", "AttributeType": "S" },
            { "AttributeName": "sk", "AttributeType": "S" },
        ],
        "StreamSpecification": { "StreamEnabled": true, "StreamViewType": "NEW_AND_OLD_IMAGES" },
    })
}
