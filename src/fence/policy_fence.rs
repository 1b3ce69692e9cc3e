//! A fence by a resource policy: prepared, raised and lifted.
//!
//! A caller saves the result of [`PolicyFence::prepare`] before it raises the fence, and the result of
//! [`PolicyFence::raise`] after it. So a later process can lift a fence that an earlier one raised, or was about to raise.

use super::error::FenceError;
use super::policy::{Denied, Without, has_statement, sid, statement, with_statement, without_statement};
use crate::dynamo::{PolicyChange, Poll, Tables, Timing};
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use std::time::Duration;

/// How long a change is tried.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PolicyTimes {
    /// A change of a policy blocks the next one for 15 seconds, and another command may change it, too.
    pub limit: Duration,
    /// A policy is read without consistency, and a request without an answer may land late. So a statement counts as gone
    /// when it was missing for this long.
    pub settled: Duration,
}

impl PolicyTimes {
    /// The same, for an engine that is not AWS: it is near, and consistent, so only a request that was given up may land late.
    #[must_use]
    pub fn near(timing: Timing) -> Self {
        Self {
            settled: timing.landed(),
            ..Self::default()
        }
    }
}

impl Default for PolicyTimes {
    fn default() -> Self {
        Self {
            limit: Duration::from_secs(90),
            settled: Duration::from_secs(20),
        }
    }
}

/// A policy as it was.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct Before {
    text: String,
    revision: String,
}

/// The fence of a table, and all that is needed to lift it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct PolicyFence {
    table_arn: String,
    sid: String,
    statement: Json,
    /// The policy of the table before; `None` if it had none.
    before: Option<Before>,
    /// The revision of the policy with the statement; `None` before it was raised.
    revision: Option<String>,
}

/// How a fence was lifted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Lifted {
    /// The policy is what it was before, byte for byte.
    Restored,
    /// Somebody else changed the policy meanwhile: only the statement of the fence was removed.
    Removed,
    /// It was not up.
    WasNotUp,
}

impl PolicyFence {
    /// Reads the policy of a table, and checks that the statement can be added. Changes nothing.
    ///
    /// # Errors
    /// If the policy cannot be read, cannot be added to, or would be too large.
    pub async fn prepare(tables: &Tables, denied: &Denied<'_>) -> Result<Self, FenceError> {
        let before = tables.resource_policy(denied.table_arn).await?;
        let statement = statement(denied);
        let text = before.as_ref().map(|policy| policy.text.as_str());
        with_statement(text, &statement).map_err(|invalid| invalid.of(denied.table_arn))?;
        Ok(Self {
            table_arn: denied.table_arn.to_owned(),
            sid: sid(denied.split, denied.service),
            statement,
            before: before.map(|policy| Before {
                text: policy.text,
                revision: policy.revision,
            }),
            revision: None,
        })
    }

    /// Puts the policy, if the table still has the policy that was read. Can be repeated after a crash.
    ///
    /// # Errors
    /// [`FenceError::Changed`] if it has another one: prepare again. Also if the table accepts no change.
    pub async fn raise(mut self, tables: &Tables, times: PolicyTimes) -> Result<Self, FenceError> {
        let before = self.before.as_ref();
        let text = with_statement(before.map(|policy| policy.text.as_str()), &self.statement)
            .map_err(|invalid| invalid.of(&self.table_arn))?;
        let expected = before.map(|policy| policy.revision.as_str());
        let mut poll = Poll::new(times.limit);
        loop {
            let put = tables.put_resource_policy(&self.table_arn, &text, expected);
            match put.await? {
                PolicyChange::Made(revision) => {
                    self.revision = revision;
                    return Ok(self);
                }
                PolicyChange::OtherRevision => {
                    let current = tables.resource_policy(&self.table_arn).await?;
                    match current {
                        // An earlier attempt of ours landed.
                        Some(policy)
                            if policy.text == text || has_statement(&policy.text, &self.statement) =>
                        {
                            self.revision = (policy.text == text).then_some(policy.revision);
                            return Ok(self);
                        }
                        // A stale read shows the policy that is expected.
                        current if current.as_ref().map(|policy| policy.revision.as_str()) == expected => {}
                        _ => return Err(self.changed()),
                    }
                }
                PolicyChange::NotYet => {}
            }
            if !poll.pause().await {
                return Err(self.busy(times));
            }
        }
    }

    /// Removes the statement. Where nobody else changed the policy, the table gets the former one back, byte for byte. Can
    /// be repeated, also for a fence that was only about to be raised.
    ///
    /// # Errors
    /// If the policy cannot be read or changed. The fence is then still up.
    pub async fn lift(&self, tables: &Tables, times: PolicyTimes) -> Result<Lifted, FenceError> {
        let mut poll = Poll::new(times.limit);
        // A read may be stale; a change that expects the revision of the fence is not.
        if let Some(revision) = &self.revision {
            loop {
                match self.restore(tables, revision).await? {
                    PolicyChange::Made(_) => return Ok(Lifted::Restored),
                    PolicyChange::OtherRevision => break,
                    PolicyChange::NotYet if !poll.pause().await => return Err(self.busy(times)),
                    PolicyChange::NotYet => {}
                }
            }
        }
        self.remove(tables, times, poll).await
    }

    async fn restore(&self, tables: &Tables, revision: &str) -> Result<PolicyChange, FenceError> {
        let arn = &self.table_arn;
        Ok(match &self.before {
            Some(before) => {
                tables
                    .put_resource_policy(arn, &before.text, Some(revision))
                    .await?
            }
            None => tables.delete_resource_policy(arn, revision).await?,
        })
    }

    /// Removes the statement from whatever policy the table has now.
    async fn remove(
        &self,
        tables: &Tables,
        times: PolicyTimes,
        mut poll: Poll,
    ) -> Result<Lifted, FenceError> {
        let arn = &self.table_arn;
        let mut missing = Poll::new(times.settled);
        let before = self.before.as_ref().map(|policy| policy.text.as_str());
        loop {
            let current = tables.resource_policy(arn).await?;
            let without = match &current {
                None => Without::Unchanged,
                Some(policy) => {
                    without_statement(&policy.text, &self.sid, before).map_err(|invalid| invalid.of(arn))?
                }
            };
            let (change, lifted) = match (current, without) {
                (None, _) | (_, Without::Unchanged) => {
                    if !missing.pause().await {
                        return Ok(Lifted::WasNotUp);
                    }
                    continue;
                }
                (Some(policy), Without::Nothing) => {
                    let lifted = if before.is_none() {
                        Lifted::Restored
                    } else {
                        Lifted::Removed
                    };
                    (
                        tables.delete_resource_policy(arn, &policy.revision).await?,
                        lifted,
                    )
                }
                (Some(policy), Without::Rest(text)) => {
                    let lifted = if before == Some(text.as_str()) {
                        Lifted::Restored
                    } else {
                        Lifted::Removed
                    };
                    (
                        tables
                            .put_resource_policy(arn, &text, Some(&policy.revision))
                            .await?,
                        lifted,
                    )
                }
            };
            match change {
                PolicyChange::Made(_) => return Ok(lifted),
                PolicyChange::OtherRevision | PolicyChange::NotYet => {}
            }
            missing = Poll::new(times.settled);
            if !poll.pause().await {
                return Err(self.busy(times));
            }
        }
    }

    fn changed(&self) -> FenceError {
        FenceError::Changed {
            table: self.table_arn.clone(),
        }
    }

    fn busy(&self, times: PolicyTimes) -> FenceError {
        FenceError::Busy {
            table: self.table_arn.clone(),
            seconds: times.limit.as_secs(),
        }
    }
}
