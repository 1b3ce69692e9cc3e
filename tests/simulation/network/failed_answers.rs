//! Answers of requests that go wrong, as AWS words them.

use rand::Rng;
use rand::rngs::StdRng;
use serde_json::{Value as Json, json};

use crate::engine::{Answer, error_of_objects};

/// A server error.
pub fn server_error(rng: &mut StdRng) -> Answer {
    let (status, code) = [(500, "InternalServerError"), (503, "ServiceUnavailable")][rng.random_range(0..2)];
    Answer {
        status,
        body: json!({ "__type": format!("com.amazonaws.dynamodb.v20120810#{code}"), "message": "It failed." }),
    }
}

/// A server error of S3.
pub fn server_error_of_objects(rng: &mut StdRng) -> Answer {
    let (status, code) = [(500, "InternalError"), (503, "ServiceUnavailable")][rng.random_range(0..2)];
    error_of_objects(status, code, "It failed.")
}

/// A request of S3 that comes too soon after others, or a conditional write beside another one.
pub fn slow_down(rng: &mut StdRng, request: &Json) -> Answer {
    let is_conditional = ["if-none-match", "if-match"]
        .iter()
        .any(|condition| request.get(*condition).is_some());
    if is_conditional && rng.random() {
        return error_of_objects(409, "ConditionalRequestConflict", "Another write is under way.");
    }
    error_of_objects(503, "SlowDown", "Please reduce your request rate.")
}

/// A request that is throttled, for this reason or one of those that fit.
pub fn throttled(rng: &mut StdRng, operation: &str, table: &str, reason: Option<&str>) -> Answer {
    let of_streams = matches!(operation, "GetRecords" | "GetShardIterator" | "DescribeStream");
    if of_streams {
        let body = json!({
            "__type": "com.amazonaws.dynamodb.v20120810#LimitExceededException",
            "message": "Rate exceeded",
        });
        return Answer { status: 400, body };
    }
    let is_read = matches!(operation, "GetItem" | "Query" | "Scan");
    let limits = [
        "ProvisionedThroughputExceeded",
        "AccountLimitExceeded",
        "KeyRangeThroughputExceeded",
        "MaxOnDemandThroughputExceeded",
    ];
    let drawn = format!(
        "Table{}{}",
        if is_read { "Read" } else { "Write" },
        limits[rng.random_range(0..limits.len())]
    );
    let reason = reason.unwrap_or(&drawn);
    let code = [
        "ProvisionedThroughputExceededException",
        "ThrottlingException",
        "RequestLimitExceeded",
    ][rng.random_range(0..3)];
    let resource = format!("arn:aws:dynamodb:us-east-1:111122223333:table/{table}");
    // The member of ThrottlingException begins with a small letter, unlike the others'.
    let member = if code == "ThrottlingException" {
        "throttlingReasons"
    } else {
        "ThrottlingReasons"
    };
    let mut body = json!({
        "__type": format!("com.amazonaws.dynamodb.v20120810#{code}"),
        "message": "Throughput exceeds the current capacity.",
    });
    body[member] = json!([{ "reason": reason, "resource": resource }]);
    Answer { status: 400, body }
}

/// The expired iterator of a stream.
pub fn expired() -> Answer {
    let body = json!({
        "__type": "com.amazonaws.dynamodb.v20120810#ExpiredIteratorException",
        "message": "Iterator expired",
    });
    Answer { status: 400, body }
}

/// A page of a stream without records, which goes on where it was.
pub fn empty_page(request: &Json) -> Answer {
    Answer::ok(json!({ "Records": [], "NextShardIterator": request["ShardIterator"] }))
}

/// A batch of which only a part is carried out.
pub struct Halved {
    /// What is carried out; nothing where all was left undone.
    pub done: Option<Json>,
    /// Which of the operations are left undone.
    undone: Vec<bool>,
    body: Json,
}

/// Divides a batch: at least one operation is left undone.
pub fn halve(rng: &mut StdRng, body: &Json) -> Halved {
    let operations: usize = lists(body).map(|(_, list)| list.len()).sum();
    let mut undone: Vec<bool> = (0..operations).map(|_| rng.random()).collect();
    if let Some(one) = undone.get_mut(rng.random_range(0..operations.max(1))) {
        *one = true;
    }
    let done = (undone.contains(&false)).then(|| chosen(body, &undone, false));
    Halved {
        done,
        undone,
        body: body.clone(),
    }
}

/// The lists of operations in a batch, by table; statements have one list without a table.
fn lists(body: &Json) -> impl Iterator<Item = (Option<&String>, &Vec<Json>)> {
    let by_table = body["RequestItems"].as_object().into_iter().flatten();
    let by_table = by_table.filter_map(|(table, list)| Some((Some(table), list.as_array()?)));
    by_table.chain(body["Statements"].as_array().map(|list| (None, list)))
}

/// The same batch with the operations that are left undone, or with the others.
fn chosen(body: &Json, undone: &[bool], wanted: bool) -> Json {
    let mut chosen = body.clone();
    let mut marks = undone.iter();
    for (table, list) in lists(body) {
        let kept: Vec<Json> = list
            .iter()
            .filter(|_| marks.next() == Some(&wanted))
            .cloned()
            .collect();
        match table {
            None => chosen["Statements"] = Json::Array(kept),
            Some(table) if !kept.is_empty() => chosen["RequestItems"][table] = Json::Array(kept),
            Some(table) => {
                if let Some(tables) = chosen["RequestItems"].as_object_mut() {
                    tables.remove(table);
                }
            }
        }
    }
    chosen
}

impl Halved {
    /// The answer to the whole batch, from the answer to the part that was carried out.
    pub fn merged(&self, rng: &mut StdRng, done: Option<Answer>) -> Answer {
        let mut body = match done {
            Some(answer) if answer.status != 200 => return answer,
            Some(answer) => answer.body,
            None => json!({}),
        };
        if self.body.get("RequestItems").is_some() {
            body["UnprocessedItems"] = chosen(&self.body, &self.undone, true)["RequestItems"].take();
            return Answer::ok(body);
        }
        let mut answers = match body["Responses"].take() {
            Json::Array(answers) => answers.into_iter(),
            _ => Vec::new().into_iter(),
        };
        let codes = [
            "ThrottlingError",
            "ProvisionedThroughputExceeded",
            "InternalServerError",
            "RequestLimitExceeded",
        ];
        let responses = self.undone.iter().map(|undone| {
            if *undone {
                let code = codes[rng.random_range(0..codes.len())];
                json!({ "Error": { "Code": code, "Message": "It was left undone." } })
            } else {
                answers.next().unwrap_or_else(|| json!({}))
            }
        });
        body["Responses"] = responses.collect();
        Answer::ok(body)
    }
}
