//! Resource policies of tables, and what they deny. A change takes effect for each request at a time of its own, as on AWS.
//!
//! Of a policy's language, it knows what a fence uses: `Deny`, patterns of actions, `ArnNotLike` and the leading keys.

use serde_json::{Value as Json, json};

use super::refusal::{Answer, Refusal};
use super::request::Request;
use super::table::Table;
use super::{Arrival, Engine};

/// Most bytes of a policy.
const MOST_BYTES: usize = 20 * 1024;
/// Stands for the revision of a table without a policy.
const NO_POLICY: &str = "NO_POLICY";
/// The account of everybody.
const ACCOUNT: &str = "111122223333";

/// The policy of a table from a time on.
#[derive(Clone, Debug)]
pub struct PolicyChange {
    at_ms: u64,
    /// `None`: it has none any more.
    text: Option<String>,
}

/// The ARN of a role.
pub fn role_arn(name: &str) -> String {
    format!("arn:aws:iam::{ACCOUNT}:role/{name}")
}

impl Table {
    /// The policy, by the latest change or by the changes up to a time.
    fn policy(&self, as_of_ms: u64) -> Option<&str> {
        let known = self.policies.iter().rev();
        let mut known = known.filter(|change| change.at_ms <= as_of_ms);
        known.next()?.text.as_deref()
    }

    /// Changes so far are numbered.
    fn revision(&self) -> String {
        match self.policies.last() {
            Some(change) if change.text.is_some() => self.policies.len().to_string(),
            _ => NO_POLICY.to_owned(),
        }
    }
}

impl Engine {
    pub(super) fn get_policy(&mut self, at: Arrival, body: &Json) -> Result<Json, Refusal> {
        let request = Request::of(body, &["ResourceArn"])?;
        let table = self.usable(at, table_of(request.text("ResourceArn")?))?;
        match table.policy(u64::MAX) {
            Some(text) => Ok(json!({ "Policy": text, "RevisionId": table.revision() })),
            None => Err(other_policy()),
        }
    }

    pub(super) fn put_policy(&mut self, at: Arrival, body: &Json) -> Result<Json, Refusal> {
        let request = Request::of(body, &["ResourceArn", "Policy", "ExpectedRevisionId"])?;
        let text = request.text("Policy")?;
        if text.len() > MOST_BYTES || serde_json::from_str::<Json>(text).is_err() {
            return Err(Refusal::invalid("Invalid policy document"));
        }
        self.change_policy(at, &request, Some(text.to_owned()))
    }

    pub(super) fn delete_policy(&mut self, at: Arrival, body: &Json) -> Result<Json, Refusal> {
        let request = Request::of(body, &["ResourceArn", "ExpectedRevisionId"])?;
        self.change_policy(at, &request, None)
    }

    fn change_policy(
        &mut self,
        at: Arrival,
        request: &Request<'_>,
        text: Option<String>,
    ) -> Result<Json, Refusal> {
        let rest_ms = self.habits.policy_rest_ms;
        let table = self.usable(at, table_of(request.text("ResourceArn")?))?;
        if request.text("ExpectedRevisionId")? != table.revision() {
            return Err(other_policy());
        }
        let last_ms = table.policies.last().map_or(0, |change| change.at_ms);
        if at.now_ms < last_ms.saturating_add(rest_ms) {
            let message = "Subscriber limit exceeded: the resource policy was changed a moment ago";
            return Err(Refusal::service("LimitExceededException", message));
        }
        table.policies.push(PolicyChange {
            at_ms: at.now_ms,
            text,
        });
        Ok(
            match table.policies.last().and_then(|change| change.text.as_ref()) {
                Some(_) => json!({ "RevisionId": table.revision() }),
                None => json!({}),
            },
        )
    }

    /// How a policy refuses a write of somebody, if the policies of `as_of_ms` are in effect for this request.
    pub fn denial(&self, who: &str, operation: &str, body: &Json, as_of_ms: u64) -> Option<Answer> {
        let (action, tables) = asked(operation, body)?;
        let denied = tables.into_iter().find(|name| {
            let Some(table) = self.tables.get(name) else {
                return false;
            };
            let policy = table
                .policy(as_of_ms)
                .and_then(|text| serde_json::from_str(text).ok());
            let keys = leading_keys(table, body);
            policy.is_some_and(|policy: Json| {
                each(&policy["Statement"]).any(|statement| denies(statement, who, &action, &keys))
            })
        })?;
        let message = format!(
            "User: {who} is not authorized to perform: {action} on resource: \
             arn:aws:dynamodb:us-east-1:{ACCOUNT}:table/{denied} with an explicit deny in a resource-based policy"
        );
        Some(Refusal::service("AccessDeniedException", message).answer())
    }

    /// Whether a table has had a policy.
    pub fn has_policies(&self) -> bool {
        self.tables.values().any(|table| !table.policies.is_empty())
    }

    /// The policy of a table.
    pub fn policy_of(&self, table: &str) -> Option<&str> {
        self.tables.get(table)?.policy(u64::MAX)
    }
}

/// The action of a write, and the tables that it writes; nothing if it is none.
fn asked(operation: &str, body: &Json) -> Option<(String, Vec<String>)> {
    let named = |value: &Json| Vec::from_iter(value.as_str().map(str::to_owned));
    let (verb, tables) = match operation {
        "PutItem" | "UpdateItem" | "DeleteItem" => (operation, named(&body["TableName"])),
        "BatchWriteItem" => {
            let tables = body["RequestItems"].as_object()?;
            (operation, tables.keys().cloned().collect())
        }
        "ExecuteStatement" => {
            let statement = body["Statement"].as_str()?;
            let verb = match statement.split(' ').next()? {
                "INSERT" => "PartiQLInsert",
                "UPDATE" => "PartiQLUpdate",
                "DELETE" => "PartiQLDelete",
                _ => return None,
            };
            (
                verb,
                Vec::from_iter(statement.split('"').nth(1).map(str::to_owned)),
            )
        }
        _ => return None,
    };
    Some((format!("dynamodb:{verb}"), tables))
}

/// The partition keys that a request writes.
fn leading_keys(table: &Table, body: &Json) -> Vec<String> {
    let name = &table.partition.name;
    let mut items = vec![&body["Item"], &body["Key"]];
    for request in each(&body["RequestItems"][&table.name]) {
        items.extend([&request["PutRequest"]["Item"], &request["DeleteRequest"]["Key"]]);
    }
    let mut keys: Vec<String> = items.into_iter().filter_map(|item| text(&item[name])).collect();
    // The statements of these runs name the partition key first.
    keys.extend(text(&body["Parameters"][0]));
    keys
}

fn denies(statement: &Json, who: &str, action: &str, keys: &[String]) -> bool {
    let any_like = |patterns: &Json, text: &str| {
        each(patterns).any(|pattern| pattern.as_str().is_some_and(|pattern| is_like(pattern, text)))
    };
    let condition = &statement["Condition"];
    let exempt = &condition["ArnNotLike"]["aws:PrincipalArn"];
    let leading = &condition["ForAnyValue:StringLike"]["dynamodb:LeadingKeys"];
    statement["Effect"] == "Deny"
        && any_like(&statement["Action"], action)
        && !any_like(exempt, who)
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

/// The members of a list, or a single value.
fn each(value: &Json) -> impl Iterator<Item = &Json> {
    let (list, one) = match value {
        Json::Array(list) => (Some(list), None),
        Json::Null => (None, None),
        one => (None, Some(one)),
    };
    list.into_iter().flatten().chain(one)
}

fn text(value: &Json) -> Option<String> {
    value["S"].as_str().map(str::to_owned)
}

/// The table of a request about a policy.
fn table_of(arn: &str) -> &str {
    arn.rsplit_once("table/").map_or(arn, |(_, table)| table)
}

fn other_policy() -> Refusal {
    Refusal::service(
        "PolicyNotFoundException",
        "The operation tried to access a nonexistent resource-based policy.",
    )
}
