//! The statement of a fence in the policy of a table: added, and removed again. Pure.

use super::principals::replication;
use serde_json::{Value as Json, json};

/// Most bytes of a policy, with its white space
/// ([considerations](https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/rbac-considerations.html)).
pub(super) const MOST_BYTES: usize = 20 * 1024;

/// Every action that writes items. The stars cover calls that are newer than this version, like `StartBulkPutItems`.
const WRITES: [&str; 7] = [
    "dynamodb:*PutItem*",
    "dynamodb:*UpdateItem*",
    "dynamodb:*DeleteItem*",
    "dynamodb:*WriteItem*",
    "dynamodb:PartiQLInsert",
    "dynamodb:PartiQLUpdate",
    "dynamodb:PartiQLDelete",
];

/// Which writes a fence denies, and to whom it does not.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Denied<'a> {
    /// ARN of the table.
    pub table_arn: &'a str,
    /// The split, and the service: they name the statement.
    pub split: &'a str,
    /// See `split`.
    pub service: &'a str,
    /// ARNs or patterns of principals that may write.
    pub exempt: &'a [String],
    /// Patterns of partition keys, as [`crate::plan::LeadingKeys`] has them; `None`: all keys.
    pub leading_keys: Option<&'a [String]>,
}

/// The name of the statement of a service. It holds only letters and digits, as IAM requires it.
pub(super) fn sid(split: &str, service: &str) -> String {
    let hash = blake3::hash(format!("{split}\0{service}").as_bytes()).to_hex();
    format!("DynasplitFence{}", &hash[..16])
}

/// The statement.
pub(super) fn statement(denied: &Denied<'_>) -> Json {
    let mut exempt = denied.exempt.to_vec();
    exempt.extend(replication(denied.table_arn));
    let mut condition = json!({ "ArnNotLike": { "aws:PrincipalArn": exempt } });
    if let Some(keys) = denied.leading_keys {
        // `ForAllValues` would let a batch pass that also holds a key of another service.
        condition["ForAnyValue:StringLike"] = json!({ "dynamodb:LeadingKeys": keys });
    }
    json!({
        "Sid": sid(denied.split, denied.service),
        "Effect": "Deny",
        "Principal": "*",
        "Action": WRITES,
        "Resource": denied.table_arn,
        "Condition": condition,
    })
}

/// Why a policy cannot be changed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum InvalidPolicy {
    NotUnderstood(String),
    TooLarge(usize),
}

/// The policy with the statement in it. A statement of the same name is replaced.
pub(super) fn with_statement(policy: Option<&str>, statement: &Json) -> Result<String, InvalidPolicy> {
    let mut document = match policy {
        None => json!({ "Version": "2012-10-17", "Statement": [] }),
        Some(text) => read(text)?,
    };
    let statements = statements(&mut document)?;
    statements.retain(|each| each.get("Sid") != statement.get("Sid"));
    statements.push(statement.clone());
    let text = document.to_string();
    if text.len() > MOST_BYTES {
        return Err(InvalidPolicy::TooLarge(text.len()));
    }
    Ok(text)
}

/// Whether the policy has exactly this statement.
pub(super) fn has_statement(policy: &str, statement: &Json) -> bool {
    let read = read(policy);
    read.is_ok_and(|mut document| statements(&mut document).is_ok_and(|list| list.contains(statement)))
}

/// A policy without a statement.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Without {
    /// It has no such statement.
    Unchanged,
    /// Nothing is left of it.
    Nothing,
    /// The rest.
    Rest(String),
}

/// The policy without the statement of this name. `before` is the policy from before the statement was added: if the rest
/// says the same, it is restored byte for byte.
pub(super) fn without_statement(
    policy: &str,
    name: &str,
    before: Option<&str>,
) -> Result<Without, InvalidPolicy> {
    let mut document = read(policy)?;
    let statements = statements(&mut document)?;
    let count = statements.len();
    statements.retain(|each| each.get("Sid").and_then(Json::as_str) != Some(name));
    if statements.len() == count {
        return Ok(Without::Unchanged);
    }
    let is_empty = statements.is_empty();
    if let Some(before) = before {
        let mut former = read(before)?;
        self::statements(&mut former)?;
        if former == document {
            return Ok(Without::Rest(before.to_owned()));
        }
    }
    Ok(if is_empty {
        Without::Nothing
    } else {
        Without::Rest(document.to_string())
    })
}

fn read(text: &str) -> Result<Json, InvalidPolicy> {
    serde_json::from_str(text).map_err(|error| InvalidPolicy::NotUnderstood(error.to_string()))
}

/// The statements, as a list: a policy may have a single one without a list.
fn statements(document: &mut Json) -> Result<&mut Vec<Json>, InvalidPolicy> {
    let none = || InvalidPolicy::NotUnderstood("it has no list of statements".to_owned());
    let list = document.get_mut("Statement").ok_or_else(none)?;
    if list.is_object() {
        *list = Json::Array(vec![list.take()]);
    }
    list.as_array_mut().ok_or_else(none)
}
