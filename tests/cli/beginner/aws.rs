//! As much of the AWS CLI as the tutorial uses. Its options are the fields of DynamoDB's requests, written with hyphens.

use crate::support::faulty::{Backend, tables};
use serde_json::{Map, Value, json};

/// The AWS CLI at an engine.
pub struct Aws {
    engine: Backend,
}

impl Aws {
    pub fn at(endpoint: &str) -> Self {
        Self {
            engine: Backend::at(endpoint),
        }
    }

    /// Deletes a table that an earlier run may have left.
    pub async fn delete(&self, table: &str) {
        let request = json!({ "TableName": table });
        let deleted = self.engine.ask(&tables("DeleteTable"), &request).await;
        if let Err(error) = deleted {
            assert!(error.contains("ResourceNotFound"), "{error}");
        }
    }

    /// Runs `dynamodb COMMAND OPTIONS`; answers what it prints.
    pub async fn run(&self, words: &[String], file: impl Fn(&str) -> String) -> Result<Value, String> {
        let [service, command, options @ ..] = words else {
            return Err("no command".into());
        };
        assert_eq!(service, "dynamodb");
        let (request, query) = request(options, file);
        let answer = self.engine.ask(&tables(&pascal(command)), &request).await?;
        Ok(match query {
            None => answer,
            Some(query) => select(&answer, &query),
        })
    }
}

/// The request that the options say, and the query of the answer.
fn request(options: &[String], file: impl Fn(&str) -> String) -> (Value, Option<String>) {
    let (mut fields, mut query) = (Map::new(), None);
    let mut at = 0;
    while at < options.len() {
        let name = options[at].strip_prefix("--").expect("an option");
        let end = (at + 1..options.len())
            .find(|next| options[*next].starts_with("--"))
            .unwrap_or(options.len());
        let values = &options[at + 1..end];
        match name {
            "query" => query = Some(values.join(" ")),
            "output" => assert_eq!(values, ["json"]),
            _ => {
                fields.insert(pascal(name), value(values, &file));
            }
        }
        at = end;
    }
    (Value::Object(fields), query)
}

/// JSON, a file of it, words like `Name=PK,Type=S`, or text.
fn value(values: &[String], file: impl Fn(&str) -> String) -> Value {
    let short = |text: &str| {
        let pairs = text.split(',').map(|pair| {
            let (name, value) = pair.split_once('=').expect("a short form");
            (name.to_owned(), Value::from(value))
        });
        Value::Object(pairs.collect())
    };
    match values {
        [one] if one.starts_with("file://") => {
            serde_json::from_str(&file(one.trim_start_matches("file://"))).unwrap()
        }
        [one] if one.starts_with('{') => serde_json::from_str(one).unwrap(),
        [one] if !one.contains(',') || one.contains(' ') => Value::from(one.as_str()),
        several => several.iter().map(|text| short(text)).collect(),
    }
}

/// `batch-write-item` as `BatchWriteItem`.
fn pascal(name: &str) -> String {
    let words = name.split('-').map(|word| {
        let (first, rest) = word.split_at(1);
        first.to_uppercase() + rest
    });
    words.collect()
}

/// A path, or `LIST[].[PATH, PATH]`.
fn select(answer: &Value, query: &str) -> Value {
    let Some((list, paths)) = query.split_once("[].[") else {
        return path(answer, query);
    };
    let paths: Vec<&str> = paths.trim_end_matches(']').split(',').map(str::trim).collect();
    let items = path(answer, list);
    let items = items.as_array().cloned().unwrap_or_default();
    items
        .iter()
        .map(|item| paths.iter().map(|found| path(item, found)).collect::<Value>())
        .collect()
}

fn path(from: &Value, names: &str) -> Value {
    names
        .split('.')
        .fold(from.clone(), |found, name| found[name].clone())
}
