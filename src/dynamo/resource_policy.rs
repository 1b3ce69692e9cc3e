//! The resource policy of a table: read, replaced and removed, each only if it is still the one that was read.

use super::{Failure, FailureKind, Tables, retry_transient};
use crate::fault;

/// Stands for the revision of a table without a policy.
const NO_POLICY: &str = "NO_POLICY";
/// The code of a table without a policy, and of a policy with another revision than the expected one.
const NOT_FOUND: &str = "PolicyNotFoundException";

/// A policy that a table has.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ResourcePolicy {
    /// The document, byte for byte.
    pub text: String,
    /// Changes with each change of the document.
    pub revision: String,
}

/// What became of a change.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum PolicyChange {
    /// It was made. The new revision; none if the policy was removed.
    Made(Option<String>),
    /// The policy is another one than expected.
    OtherRevision,
    /// The table accepts no change yet: for 15 seconds after each change, or while it is updated.
    NotYet,
}

impl Tables {
    /// The policy of a table. It may be an old one: DynamoDB reads it without consistency.
    ///
    /// # Errors
    /// When the request fails.
    pub async fn resource_policy(&self, arn: &str) -> Result<Option<ResourcePolicy>, Failure> {
        let action = "dynamodb:GetResourcePolicy";
        let answer = retry_transient(|| async {
            let asked = self.control.get_resource_policy().resource_arn(arn).send().await;
            asked.map_err(|error| Failure::of(action, arn, &error))
        });
        match answer.await {
            Ok(answer) => match (answer.policy, answer.revision_id) {
                (Some(text), Some(revision)) => Ok(Some(ResourcePolicy { text, revision })),
                (None, _) => Ok(None),
                (Some(_), None) => Err(Failure::unusable(action, arn, "a policy without a revision")),
            },
            Err(failure) if failure.code == NOT_FOUND => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    /// Gives a table a policy, if its policy has the expected revision (none: if it has no policy).
    ///
    /// A request without an answer is repeated, and may then meet its own change: [`PolicyChange::OtherRevision`] says
    /// nothing about whose change it is.
    ///
    /// # Errors
    /// When the request fails, for example because the policy cannot be right.
    pub async fn put_resource_policy(
        &self,
        arn: &str,
        text: &str,
        expected: Option<&str>,
    ) -> Result<PolicyChange, Failure> {
        let sent = retry_transient(|| async {
            fault::before("fence.policy.put").await?;
            let put = self
                .control
                .put_resource_policy()
                .resource_arn(arn)
                .policy(text)
                .expected_revision_id(expected.unwrap_or(NO_POLICY));
            let sent = put.send().await;
            fault::after("fence.policy.put").await?;
            let sent = sent.map_err(|error| Failure::of("dynamodb:PutResourcePolicy", arn, &error));
            changed(sent.map(|answer| answer.revision_id))
        });
        sent.await
    }

    /// Removes the policy of a table, if it has the expected revision.
    ///
    /// # Errors
    /// When the request fails.
    pub async fn delete_resource_policy(&self, arn: &str, expected: &str) -> Result<PolicyChange, Failure> {
        let sent = retry_transient(|| async {
            fault::before("fence.policy.delete").await?;
            let delete = self.control.delete_resource_policy().resource_arn(arn);
            let sent = delete.expected_revision_id(expected).send().await;
            fault::after("fence.policy.delete").await?;
            let sent = sent.map_err(|error| Failure::of("dynamodb:DeleteResourcePolicy", arn, &error));
            changed(sent.map(|_| None))
        });
        sent.await
    }
}

/// Reads the answer to a change. What passes by itself is left to the repetition.
fn changed(sent: Result<Option<String>, Failure>) -> Result<PolicyChange, Failure> {
    match sent {
        Ok(revision) => Ok(PolicyChange::Made(revision)),
        Err(failure) if failure.code == NOT_FOUND => Ok(PolicyChange::OtherRevision),
        Err(failure) if failure.is_limit_of_changes() || failure.kind == FailureKind::InUse => {
            Ok(PolicyChange::NotYet)
        }
        Err(failure) => Err(failure),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dynamo::scripted::{Served, served};
    use crate::dynamo::{Clients, Endpoint, Timing};
    use serde_json::{Value, json};

    async fn tables(answers: Vec<(u16, Value)>) -> (Tables, crate::dynamo::scripted::Asked) {
        let Served { endpoint, asked, .. } = served(answers).await;
        let place = Endpoint {
            url: Some(endpoint),
            anonymous: true,
            ..Endpoint::default()
        };
        let clients = Clients::load(&place, Timing::LIVE).await.unwrap();
        (clients.at(None, None).await, asked)
    }

    fn refused(code: &str) -> (u16, Value) {
        (
            400,
            json!({ "__type": format!("com.amazonaws.dynamodb.v20120810#{code}"), "message": "no" }),
        )
    }

    #[tokio::test]
    async fn a_change_expects_the_policy_that_was_read() {
        let (tables, asked) = tables(vec![
            refused(NOT_FOUND),
            (200, json!({ "Policy": "{ }", "RevisionId": "7" })),
            (200, json!({ "RevisionId": "8" })),
            (200, json!({ "RevisionId": "9" })),
            (200, json!({})),
            refused(NOT_FOUND),
            refused("LimitExceededException"),
            refused("ResourceInUseException"),
        ])
        .await;
        assert_eq!(tables.resource_policy("arn:t").await.unwrap(), None);
        let policy = tables.resource_policy("arn:t").await.unwrap().unwrap();
        assert_eq!((policy.text.as_str(), policy.revision.as_str()), ("{ }", "7"));
        let made = |revision: &str| PolicyChange::Made(Some(revision.to_owned()));
        assert_eq!(
            tables.put_resource_policy("arn:t", "{}", None).await.unwrap(),
            made("8")
        );
        assert_eq!(
            tables
                .put_resource_policy("arn:t", "{}", Some("8"))
                .await
                .unwrap(),
            made("9")
        );
        assert_eq!(
            tables.delete_resource_policy("arn:t", "9").await.unwrap(),
            PolicyChange::Made(None)
        );
        let last = |expected| tables.put_resource_policy("arn:t", "{}", expected);
        assert_eq!(last(Some("1")).await.unwrap(), PolicyChange::OtherRevision);
        assert_eq!(last(Some("1")).await.unwrap(), PolicyChange::NotYet);
        assert_eq!(last(Some("1")).await.unwrap(), PolicyChange::NotYet);
        let asked = asked.lock().unwrap();
        let expected: Vec<&Value> = asked
            .iter()
            .map(|request| &request["ExpectedRevisionId"])
            .collect();
        assert_eq!(expected[2..5], [&json!("NO_POLICY"), &json!("8"), &json!("9")]);
        assert!(
            asked
                .iter()
                .all(|request| request.get("ConfirmRemoveSelfResourceAccess").is_none())
        );
    }

    #[tokio::test]
    async fn another_error_is_told() {
        let (tables, _) = tables(vec![
            refused("AccessDeniedException"),
            refused("ValidationException"),
        ])
        .await;
        let failure = tables.put_resource_policy("arn:t", "{}", None).await.unwrap_err();
        assert_eq!(failure.kind, FailureKind::Denied);
        let failure = tables.delete_resource_policy("arn:t", "1").await.unwrap_err();
        assert_eq!(failure.action, "dynamodb:DeleteResourcePolicy");
    }
}
