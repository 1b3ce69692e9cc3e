//! The account and the caller, as STS reports them.

use super::{Clients, Failure};
use std::time::Duration;

/// Nothing waits longer for STS: a command works without its answer.
const LIMIT: Duration = Duration::from_secs(4);

/// Who a command is, for AWS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The account's number.
    pub account: String,
    /// ARN of the user or the role.
    pub arn: String,
}

impl Clients {
    /// Asks STS for the owner of the credentials; `None` if the engine is not AWS, because other engines have no
    /// accounts.
    ///
    /// # Errors
    /// Why it is unknown. The command can continue anyway.
    pub async fn caller(&self) -> Option<Result<Caller, Failure>> {
        if !self.endpoints().is_aws() && self.endpoints().sts.is_none() {
            return None;
        }
        let asked = self.sts().get_caller_identity().send();
        let action = "sts:GetCallerIdentity";
        Some(match tokio::time::timeout(LIMIT, asked).await {
            Ok(Ok(answer)) => Ok(Caller {
                account: answer.account.unwrap_or_default(),
                arn: answer.arn.unwrap_or_default(),
            }),
            Ok(Err(error)) => Err(Failure::of(action, "the caller", &error)),
            Err(_) => Err(Failure::timed_out_asking(action, "the caller")),
        })
    }
}
