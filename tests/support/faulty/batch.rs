//! Batches of which some operations are left undone, told as AWS tells it.

use rand::Rng;
use rand::rngs::StdRng;
use serde_json::{Map, Value, json};

use super::answer::Answer;
use super::call::Call;

/// What is sent on, and what the answer says of the rest.
pub struct Halved {
    /// The request without what is left undone; none where nothing remains.
    pub rest: Option<Value>,
    undone: Undone,
    /// Operations left undone.
    pub count: u64,
}

enum Undone {
    /// By table, as they came; and the member of the answer that lists them.
    Items(&'static str, Map<String, Value>),
    /// Places of the statements, out of so many, each with its error.
    Statements(Vec<Option<Value>>),
}

/// Divides a batch; `None` for other requests.
pub fn halve(call: &Call, chance: &mut StdRng) -> Option<Halved> {
    let body = call.json();
    match call.operation.as_str() {
        "BatchWriteItem" => halve_items(body, "UnprocessedItems", chance),
        "BatchGetItem" => halve_items(body, "UnprocessedKeys", chance),
        "BatchExecuteStatement" => halve_statements(body, chance),
        _ => None,
    }
}

/// Which of `count` are left undone: at least one.
fn draw(count: usize, chance: &mut StdRng) -> Vec<bool> {
    let mut undone: Vec<bool> = (0..count).map(|_| chance.random()).collect();
    if count > 0 && !undone.contains(&true) {
        undone[chance.random_range(0..count)] = true;
    }
    undone
}

fn halve_items(mut body: Value, member: &'static str, chance: &mut StdRng) -> Option<Halved> {
    let tables = body.get_mut("RequestItems")?.as_object_mut()?;
    let (mut undone, mut count) = (Map::new(), 0);
    for (table, requests) in tables.iter_mut() {
        // A BatchGetItem lists keys inside an object that says how to read them.
        let in_keys = requests.get("Keys").is_some();
        let list = if in_keys {
            &mut requests["Keys"]
        } else {
            &mut *requests
        };
        let Value::Array(operations) = list.take() else {
            continue;
        };
        let mut drawn = draw(operations.len(), chance).into_iter();
        let (left, done): (Vec<_>, Vec<_>) = operations
            .into_iter()
            .partition(|_| drawn.next().unwrap_or(false));
        count += left.len() as u64;
        *list = Value::Array(done);
        if !left.is_empty() {
            let mut told = if in_keys { requests.clone() } else { Value::Null };
            if in_keys {
                told["Keys"] = Value::Array(left);
            } else {
                told = Value::Array(left);
            }
            undone.insert(table.clone(), told);
        }
    }
    tables.retain(|_, requests| {
        let list = requests.get("Keys").unwrap_or(requests);
        list.as_array().is_some_and(|list| !list.is_empty())
    });
    let rest = (!tables.is_empty()).then_some(());
    Some(Halved {
        rest: rest.map(|()| body),
        undone: Undone::Items(member, undone),
        count,
    })
}

fn halve_statements(mut body: Value, chance: &mut StdRng) -> Option<Halved> {
    let Value::Array(statements) = body.get_mut("Statements")?.take() else {
        return None;
    };
    let drawn = draw(statements.len(), chance);
    let mut errors = Vec::new();
    let mut done = Vec::new();
    for (statement, undone) in statements.into_iter().zip(drawn) {
        if undone {
            let (code, message) = [
                (
                    "ThrottlingError",
                    "Throughput exceeds the current capacity of your table or index.",
                ),
                (
                    "ProvisionedThroughputExceeded",
                    "The level of configured provisioned throughput was exceeded.",
                ),
                ("InternalServerError", "Internal server error"),
                (
                    "RequestLimitExceeded",
                    "Throughput exceeds the current throughput limit for your account.",
                ),
            ][chance.random_range(0..4)];
            errors.push(Some(json!({ "Error": { "Code": code, "Message": message } })));
        } else {
            errors.push(None);
            done.push(statement);
        }
    }
    let count = errors.iter().flatten().count() as u64;
    let rest = (!done.is_empty()).then(|| {
        body["Statements"] = Value::Array(done);
        body
    });
    Some(Halved {
        rest,
        undone: Undone::Statements(errors),
        count,
    })
}

impl Halved {
    /// The answer to the whole, from the answer to what was sent on.
    pub fn merged(self, answer: Option<Answer>) -> Answer {
        let mut body = match answer {
            Some(answer) if answer.status != 200 => return answer,
            Some(answer) => answer.json(),
            None => json!({}),
        };
        match self.undone {
            Undone::Items(member, undone) => {
                if member == "UnprocessedKeys" && body.get("Responses").is_none() {
                    body["Responses"] = json!({});
                }
                body[member] = Value::Object(undone);
            }
            Undone::Statements(errors) => {
                let done = body.get_mut("Responses").map(Value::take);
                let mut done = match done {
                    Some(Value::Array(done)) => done.into_iter(),
                    _ => Vec::new().into_iter(),
                };
                let all = errors
                    .into_iter()
                    .map(|error| error.or_else(|| done.next()).unwrap_or_else(|| json!({})));
                body["Responses"] = Value::Array(all.collect());
            }
        }
        Answer::ok(&body)
    }
}
