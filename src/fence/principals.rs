//! Who a fence does not stop.

/// The caller of a policy's condition `aws:PrincipalArn`, as patterns; `None` if the ARN names no kind of caller that
/// is known. An ARN of STS does not show the path of its role, but an account has one role of a name.
#[must_use]
pub fn principal(caller: &str) -> Option<Vec<String>> {
    let parts: Vec<&str> = caller.splitn(6, ':').collect();
    let ["arn", partition, service, _, account, name] = parts[..] else {
        return None;
    };
    match (service, name.split_once('/')) {
        ("sts", Some(("assumed-role", rest))) => {
            let role = rest.split('/').next().filter(|role| !role.is_empty())?;
            let role = |path: &str| format!("arn:{partition}:iam::{account}:role/{path}{role}");
            Some(vec![role(""), role("*/")])
        }
        ("sts", Some(("federated-user", _))) | ("iam", Some(("user" | "role", _))) => {
            Some(vec![caller.to_owned()])
        }
        ("iam", None) if name == "root" => Some(vec![caller.to_owned()]),
        _ => None,
    }
}

/// The role by which DynamoDB replicates a global table. A fence that stops it breaks the table, after 20 hours for good.
pub(super) fn replication(table_arn: &str) -> Option<String> {
    let parts: Vec<&str> = table_arn.splitn(6, ':').collect();
    let ["arn", partition, "dynamodb", _, account, _] = parts[..] else {
        return None;
    };
    Some(format!(
        "arn:{partition}:iam::{account}:role/aws-service-role/replication.dynamodb.amazonaws.com/\
         AWSServiceRoleForDynamoDBReplication"
    ))
}
