//! Roles and resource policies, which no engine of these tests has: policies are kept byte for byte, and changed only by who
//! knows their revision; a write that a `Deny` of the table's policy covers is refused.
//!
//! A caller is known by its access key. `AssumeRole` gives each role a key of its own, and every other key is that of a user.
//! Of a policy's language, it knows what a fence uses: `Deny`, patterns of actions, `ArnNotLike` and the leading keys.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard};

use serde_json::{Value, json};

use super::answer::Answer;
use super::call::Call;

/// The account of everybody.
const ACCOUNT: &str = "111122223333";
/// Most bytes of a policy.
const MOST_BYTES: usize = 20 * 1024;
/// Of a policy that the caller wants to make, and not to replace.
const NO_POLICY: &str = "NO_POLICY";

/// The policies and the roles of an engine.
#[derive(Default)]
pub struct Policies(Mutex<Inside>);

#[derive(Default)]
struct Inside {
    /// By table.
    policies: BTreeMap<String, Policy>,
    /// Changes so far.
    changes: u64,
    /// Roles by their access keys.
    roles: BTreeMap<String, String>,
    /// Roles that nobody may assume.
    unassumable: BTreeSet<String>,
    /// The partition key of each table.
    partitions: BTreeMap<String, String>,
    /// Writes that a policy refused.
    refused: u64,
}

struct Policy {
    text: String,
    revision: String,
}

/// A role of the account.
pub fn role_arn(name: &str) -> String {
    format!("arn:aws:iam::{ACCOUNT}:role/{name}")
}

impl Policies {
    /// The access key of a role.
    pub fn key_of(&self, role: &str) -> String {
        self.lock().key_of(role)
    }

    /// From now on, nobody may assume a role.
    pub fn forbid(&self, role: &str) {
        self.lock().unassumable.insert(role.to_owned());
    }

    /// The policy of a table.
    pub fn policy(&self, table: &str) -> Option<String> {
        self.lock().policies.get(table).map(|policy| policy.text.clone())
    }

    /// Somebody else gives a table a policy, whatever it had.
    pub fn set(&self, table: &str, text: &str) {
        self.lock().put(table, text);
    }

    /// How many writes were refused.
    pub fn refused(&self) -> u64 {
        self.lock().refused
    }

    fn lock(&self) -> MutexGuard<'_, Inside> {
        self.0.lock().expect("no thread panicked")
    }

    /// What is not the engine's to answer.
    pub(super) fn answer(&self, call: &Call) -> Option<Answer> {
        let mut inside = self.lock();
        match call.operation.as_str() {
            "" => inside.assume(&call.text()),
            "GetResourcePolicy" => Some(inside.get(&call.json())),
            "PutResourcePolicy" => Some(inside.change(&call.json(), true)),
            "DeleteResourcePolicy" => Some(inside.change(&call.json(), false)),
            "CreateTable" => {
                inside.note_key(&call.json());
                None
            }
            _ if call.writes() && !inside.policies.is_empty() => inside.refuse(call),
            _ => None,
        }
    }
}

impl Inside {
    fn key_of(&mut self, role: &str) -> String {
        let known = self.roles.iter().find(|(_, arn)| *arn == role);
        let key = known.map_or_else(
            || format!("ASIAROLE{:08}", self.roles.len()),
            |(key, _)| key.clone(),
        );
        self.roles.insert(key.clone(), role.to_owned());
        key
    }

    /// STS speaks the query protocol.
    fn assume(&mut self, form: &str) -> Option<Answer> {
        let field = |name: &str| {
            form.split('&')
                .find_map(|field| field.strip_prefix(name)?.strip_prefix('='))
        };
        if field("Action") != Some("AssumeRole") {
            return None;
        }
        let role = field("RoleArn")
            .unwrap_or_default()
            .replace("%3A", ":")
            .replace("%2F", "/");
        let space = "xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"";
        if self.unassumable.contains(&role) {
            let message = format!(
                "User: arn:aws:iam::{ACCOUNT}:user/test is not authorized to perform: sts:AssumeRole on resource: {role}"
            );
            let body = format!(
                "<ErrorResponse {space}><Error><Type>Sender</Type><Code>AccessDenied</Code><Message>{message}</Message></Error>\
                 <RequestId>1</RequestId></ErrorResponse>"
            );
            return Some(Answer::with_status(403, body.into()));
        }
        let key = self.key_of(&role);
        let body = format!(
            "<AssumeRoleResponse {space}><AssumeRoleResult><AssumedRoleUser><Arn>{role}</Arn><AssumedRoleId>id</AssumedRoleId>\
             </AssumedRoleUser><Credentials><AccessKeyId>{key}</AccessKeyId><SecretAccessKey>secret</SecretAccessKey>\
             <SessionToken>session</SessionToken><Expiration>2100-01-01T00:00:00Z</Expiration></Credentials></AssumeRoleResult>\
             <ResponseMetadata><RequestId>1</RequestId></ResponseMetadata></AssumeRoleResponse>"
        );
        Some(Answer::with_status(200, body.into()))
    }

    fn get(&self, body: &Value) -> Answer {
        match self.policies.get(table_of(body)) {
            Some(policy) => Answer::ok(&json!({ "Policy": policy.text, "RevisionId": policy.revision })),
            None => not_found(),
        }
    }

    /// Puts a policy, or deletes it, if it has the expected revision.
    fn change(&mut self, body: &Value, puts: bool) -> Answer {
        let table = table_of(body);
        let held = self
            .policies
            .get(table)
            .map_or(NO_POLICY, |policy| &policy.revision);
        if body["ExpectedRevisionId"]
            .as_str()
            .is_some_and(|expected| expected != held)
        {
            return not_found();
        }
        if !puts {
            self.policies.remove(table);
            self.changes += 1;
            return Answer::ok(&json!({ "RevisionId": self.changes.to_string() }));
        }
        let text = body["Policy"].as_str().unwrap_or_default();
        if text.len() > MOST_BYTES || serde_json::from_str::<Value>(text).is_err() {
            return Answer::error("ValidationException", "Invalid policy document");
        }
        Answer::ok(&json!({ "RevisionId": self.put(table, text) }))
    }

    fn put(&mut self, table: &str, text: &str) -> String {
        self.changes += 1;
        let revision = self.changes.to_string();
        let policy = Policy {
            text: text.to_owned(),
            revision: revision.clone(),
        };
        self.policies.insert(table.to_owned(), policy);
        revision
    }

    fn note_key(&mut self, body: &Value) {
        let schema = body["KeySchema"].as_array().into_iter().flatten();
        let partition = schema
            .filter(|key| key["KeyType"] == "HASH")
            .find_map(|key| key["AttributeName"].as_str());
        if let (Some(table), Some(partition)) = (body["TableName"].as_str(), partition) {
            self.partitions.insert(table.to_owned(), partition.to_owned());
        }
    }

    /// Refuses a write that a policy denies.
    fn refuse(&mut self, call: &Call) -> Option<Answer> {
        let user = || format!("arn:aws:iam::{ACCOUNT}:user/{}", call.access_key);
        let caller = self.roles.get(&call.access_key).cloned().unwrap_or_else(user);
        let (action, body) = (action(call), call.json());
        let denies = |table: &String| {
            let policy = self.policies.get(table)?;
            let keys = self.leading_keys(table, &body);
            let document: Value = serde_json::from_str(&policy.text).ok()?;
            let denies = statements(&document).any(|statement| denies(statement, &caller, &action, &keys));
            denies.then(|| table.clone())
        };
        let table = call.tables.iter().find_map(denies)?;
        self.refused += 1;
        let message = format!(
            "User: {caller} is not authorized to perform: {action} on resource: \
             arn:aws:dynamodb:us-east-1:000000000000:table/{table} with an explicit deny in a resource-based policy"
        );
        Some(Answer::error("AccessDeniedException", &message))
    }

    /// The partition keys that a request writes.
    fn leading_keys(&self, table: &str, body: &Value) -> Vec<String> {
        let Some(partition) = self.partitions.get(table) else {
            return Vec::new();
        };
        let mut items = vec![&body["Item"], &body["Key"]];
        for request in body["RequestItems"][table].as_array().into_iter().flatten() {
            items.extend([&request["PutRequest"]["Item"], &request["DeleteRequest"]["Key"]]);
        }
        let mut keys: Vec<String> = items
            .into_iter()
            .filter_map(|item| text(&item[partition]))
            .collect();
        // A statement of these tests names the partition key first.
        keys.extend(text(&body["Parameters"][0]));
        keys
    }
}

fn text(value: &Value) -> Option<String> {
    value["S"].as_str().map(str::to_owned)
}

/// The table of a request about a policy.
fn table_of(body: &Value) -> &str {
    let arn = body["ResourceArn"].as_str().unwrap_or_default();
    arn.rsplit_once("table/").map_or(arn, |(_, table)| table)
}

fn not_found() -> Answer {
    Answer::error(
        "PolicyNotFoundException",
        "The operation tried to access a nonexistent resource-based policy.",
    )
}

fn action(call: &Call) -> String {
    let statement = call.json()["Statement"].as_str().unwrap_or_default().to_owned();
    let verb = match statement.split(' ').next() {
        Some("INSERT") => "PartiQLInsert",
        Some("UPDATE") => "PartiQLUpdate",
        Some("DELETE") => "PartiQLDelete",
        _ => &call.operation,
    };
    format!("dynamodb:{verb}")
}

fn statements(document: &Value) -> impl Iterator<Item = &Value> {
    each(&document["Statement"])
}

/// The members of a list, or a single value.
fn each(value: &Value) -> impl Iterator<Item = &Value> {
    let (list, one) = match value {
        Value::Array(list) => (Some(list), None),
        Value::Null => (None, None),
        one => (None, Some(one)),
    };
    list.into_iter().flatten().chain(one)
}

fn denies(statement: &Value, caller: &str, action: &str, keys: &[String]) -> bool {
    let any_like = |patterns: &Value, text: &str| {
        each(patterns).any(|pattern| pattern.as_str().is_some_and(|pattern| is_like(pattern, text)))
    };
    let condition = &statement["Condition"];
    let exempt = &condition["ArnNotLike"]["aws:PrincipalArn"];
    let leading = &condition["ForAnyValue:StringLike"]["dynamodb:LeadingKeys"];
    statement["Effect"] == "Deny"
        && any_like(&statement["Action"], action)
        && !any_like(exempt, caller)
        && (leading.is_null() || keys.iter().any(|key| any_like(leading, key)))
}

/// Whether a text matches a pattern with stars.
fn is_like(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| text.strip_prefix(first)) else {
        return false;
    };
    let parts: Vec<&str> = parts.collect();
    let Some((last, middle)) = parts.split_last() else {
        return rest.is_empty();
    };
    for part in middle {
        let Some(at) = rest.find(part) else {
            return false;
        };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}
