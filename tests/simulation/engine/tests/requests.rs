//! Random requests, in the forms that the product sends.

use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use serde_json::{Value as Json, json};

fn key(rng: &mut StdRng) -> Json {
    let sk = format!(
        "{}#{}",
        ["A", "B"][rng.random_range(0..2)],
        rng.random_range(0..3)
    );
    json!({ "pk": { "S": format!("p{}", rng.random_range(0..3)) }, "sk": { "S": sk } })
}

fn value(rng: &mut StdRng) -> Json {
    let number = *["1", "2", "10", "1.5", "-3", "100000000000000000001"]
        .choose(rng)
        .expect("some");
    match rng.random_range(0..9) {
        0 | 1 => json!({ "N": number }),
        2 | 3 => json!({ "S": *["1", "2", "a", "b", ""].choose(rng).expect("some") }),
        4 => json!({ "BOOL": rng.random::<bool>() }),
        5 => json!({ "SS": ["x", "y"] }),
        6 => json!({ "NS": [number, "7"] }),
        7 => json!({ "L": [{ "N": number }, { "NULL": true }] }),
        _ => json!({ "M": { "in": { "B": "AAEC" }, "n": { "N": number } } }),
    }
}

fn version(rng: &mut StdRng) -> Json {
    let digit = rng.random_range(0..12).to_string();
    match rng.random() {
        true => json!({ "N": digit }),
        false => json!({ "S": digit }),
    }
}

fn item(rng: &mut StdRng) -> Json {
    let mut item = key(rng);
    for (name, odds) in [
        ("at", 0.7),
        ("dynasplit:version", 0.4),
        ("dynasplit:deleted", 0.2),
    ] {
        if rng.random_bool(odds) {
            item[name] = version(rng);
        }
    }
    for name in ["a", "b"] {
        if rng.random_bool(0.5) {
            item[name] = value(rng);
        }
    }
    item
}

/// Conditions in the forms that the product sends, with random contents.
fn condition(rng: &mut StdRng, body: &mut Json) {
    let (mut names, mut values) = (json!({}), json!({}));
    let older = *["<", "<=", ">", ">="].choose(rng).expect("some");
    let text = match rng.random_range(0..7) {
        0 => return,
        1 => {
            names["#p"] = json!("pk");
            "attribute_not_exists(#p)".to_owned()
        }
        2 | 3 => {
            let v = version(rng);
            let kind = v.as_object().and_then(|v| v.keys().next()).cloned();
            names = json!({ "#p": "pk", "#v": "at", "#r": "dynasplit:version" });
            values = json!({ ":v": v, ":t": { "S": kind } });
            format!(
                "attribute_not_exists(#p) OR #v {older} :v OR #r {older} :v OR \
                 (NOT attribute_type(#v, :t) AND NOT attribute_type(#r, :t))"
            )
        }
        4 => {
            names = json!({ "#d": "dynasplit:deleted", "#a0": "at", "#a1": "a", "#n0": "dynasplit:version" });
            values = json!({ ":a0": version(rng), ":a1": value(rng) });
            "attribute_not_exists(#d) AND #a0 = :a0 AND #a1 = :a1 AND attribute_not_exists(#n0)".into()
        }
        5 => {
            names = json!({ "#t": "b" });
            values = json!({ ":t": value(rng), ":r": { "N": "1" } });
            "revision = :r OR #t = :t".into()
        }
        _ => {
            names["#d"] = json!("dynasplit:deleted");
            values[":d"] = version(rng);
            "attribute_exists(#d) AND NOT #d = :d".into()
        }
    };
    body["ConditionExpression"] = json!(text);
    body["ExpressionAttributeNames"] = names;
    if values.as_object().is_some_and(|values| !values.is_empty()) {
        body["ExpressionAttributeValues"] = values;
    }
    body["ReturnValuesOnConditionCheckFailure"] = json!("ALL_OLD");
}

fn insert(rng: &mut StdRng) -> Json {
    let item = item(rng);
    let members = item.as_object().expect("an item");
    let names: Vec<String> = members.keys().map(|name| format!("'{name}':?")).collect();
    let values: Vec<&Json> = members.values().collect();
    json!({ "Statement": format!("INSERT INTO \"tab\" VALUE {{{}}}", names.join(",")), "Parameters": values })
}

/// A random request: its operation and its body.
pub(super) fn request(rng: &mut StdRng) -> (&'static str, Json) {
    let (operation, mut body) = written_or_read(rng);
    if matches!(operation, "PutItem" | "DeleteItem" | "UpdateItem") && rng.random() {
        body["ReturnValues"] = json!(*["NONE", "ALL_OLD"].choose(rng).expect("some"));
    }
    (operation, body)
}

fn written_or_read(rng: &mut StdRng) -> (&'static str, Json) {
    let mut body = json!({ "TableName": "tab" });
    match rng.random_range(0..12) {
        0..4 => {
            body["Item"] = item(rng);
            condition(rng, &mut body);
            ("PutItem", body)
        }
        4 | 5 => {
            body["Key"] = key(rng);
            condition(rng, &mut body);
            ("DeleteItem", body)
        }
        6 => {
            body["Key"] = key(rng);
            body["UpdateExpression"] = json!("SET #a = :a, #b = :b REMOVE #r");
            body["ExpressionAttributeNames"] = json!({ "#a": "a", "#b": "b", "#r": "dynasplit:version" });
            body["ExpressionAttributeValues"] = json!({ ":a": value(rng), ":b": value(rng) });
            ("UpdateItem", body)
        }
        7 => {
            body["Key"] = key(rng);
            body["UpdateExpression"] = json!("SET #a = :a ADD revision :one");
            body["ExpressionAttributeNames"] = json!({ "#a": "a" });
            body["ExpressionAttributeValues"] = json!({ ":a": value(rng), ":one": { "N": "1" } });
            ("UpdateItem", body)
        }
        8 => {
            let statements = [insert(rng), insert(rng)];
            ("BatchExecuteStatement", json!({ "Statements": statements }))
        }
        9 => {
            let put = json!({ "PutRequest": { "Item": item(rng) } });
            let delete = json!({ "DeleteRequest": { "Key": key(rng) } });
            (
                "BatchWriteItem",
                json!({ "RequestItems": { "tab": [put, delete] } }),
            )
        }
        10 => {
            body["Key"] = key(rng);
            body["ConsistentRead"] = json!(true);
            ("GetItem", body)
        }
        _ => {
            body["KeyConditionExpression"] = json!("pk = :pk AND begins_with(sk, :prefix)");
            let prefix = *["A", "B#", "B"].choose(rng).expect("some");
            body["ExpressionAttributeValues"] = json!({ ":pk": key(rng)["pk"], ":prefix": { "S": prefix } });
            body["ConsistentRead"] = json!(true);
            ("Query", body)
        }
    }
}
