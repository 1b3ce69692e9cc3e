//! The settings that live outside `DescribeTable`: TTL, point-in-time recovery, tags. Read here, and
//! (TTL aside) set here once the table exists.

use super::difference::unknown;
use super::ttl::{TtlState, ttl_state};
use super::{Pending, TargetError};
use crate::dynamo::{Failure, FailureKind, Poll, call_table, point_in_time_recovery};
use crate::fault;
use crate::plan::spec::TableSpec;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{PointInTimeRecoverySpecification, Tag};
use std::collections::BTreeMap;
use std::time::Duration;

/// For some time after a table was made, AWS answers that its backups are not there yet.
const RECOVERY_LIMIT: Duration = Duration::from_secs(300);
/// A table has 50 tags at most; a few pages are plenty.
const MAX_TAG_PAGES: usize = 20;

/// Something that was looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Observed<T> {
    /// The plan does not speak of it, so it was not looked at.
    Unasked,
    /// The engine does not have the operation that would show it.
    Unknown,
    /// Its value.
    Seen(T),
}

/// The settings outside the description.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Settings {
    pub ttl: TtlState,
    pub recovery: Observed<bool>,
    pub tags: Observed<BTreeMap<String, String>>,
}

/// Reads the settings that the plan names, and TTL in any case: it must be off while the split runs.
pub(super) async fn read(client: &Client, spec: &TableSpec, arn: &str) -> Result<Settings, TargetError> {
    Ok(Settings {
        ttl: ttl_state(client, &spec.name).await?,
        recovery: match spec.point_in_time_recovery {
            Some(_) => recovery(client, &spec.name).await?,
            None => Observed::Unasked,
        },
        tags: if spec.tags.is_empty() {
            Observed::Unasked
        } else {
            tags(client, &spec.name, arn).await?
        },
    })
}

async fn recovery(client: &Client, table: &str) -> Result<Observed<bool>, TargetError> {
    let asked = point_in_time_recovery(client, table).await;
    let asked = asked.map_err(|failure| TargetError::of(failure, table))?;
    Ok(asked.map_or(Observed::Unknown, Observed::Seen))
}

async fn tags(
    client: &Client,
    table: &str,
    arn: &str,
) -> Result<Observed<BTreeMap<String, String>>, TargetError> {
    let operation = "dynamodb:ListTagsOfResource";
    let mut found = BTreeMap::new();
    let mut next = None;
    for _ in 0..MAX_TAG_PAGES {
        let listed = call_table(operation, arn, || {
            let request = client.list_tags_of_resource().resource_arn(arn);
            request.set_next_token(next.clone()).send()
        });
        match listed.await {
            Ok(output) => {
                found.extend(
                    output
                        .tags()
                        .iter()
                        .map(|tag| (tag.key().to_owned(), tag.value().to_owned())),
                );
                next = output.next_token;
            }
            Err(failure) if failure.kind == FailureKind::Unsupported => return Ok(Observed::Unknown),
            Err(other) => return Err(TargetError::of(other, table)),
        }
        if next.is_none() {
            break;
        }
    }
    Ok(Observed::Seen(found))
}

/// Sets the missing settings. If the engine does not have the operation, it returns a note.
pub(super) async fn set(
    client: &Client,
    table: &str,
    arn: &str,
    pending: &Pending,
) -> Result<Option<String>, TargetError> {
    let (operation, outcome) = match pending {
        Pending::PointInTimeRecovery => ("UpdateContinuousBackups", enable_recovery(client, table).await?),
        Pending::Tags(tags) => ("TagResource", tag(client, table, arn, tags).await?),
    };
    match outcome {
        Ok(()) => Ok(None),
        Err(failure) if failure.kind == FailureKind::Unsupported => {
            Ok(Some(unknown(operation, &pending.to_string())))
        }
        Err(other) => Err(TargetError::of(other, table)),
    }
}

async fn enable_recovery(client: &Client, table: &str) -> Result<Result<(), Failure>, TargetError> {
    let operation = "dynamodb:UpdateContinuousBackups";
    let specification = PointInTimeRecoverySpecification::builder()
        .point_in_time_recovery_enabled(true)
        .build()
        .map_err(|error| Failure::unusable(operation, table, error))?;
    let mut poll = Poll::new(RECOVERY_LIMIT);
    loop {
        fault::moment("apply.recovery.before").await;
        let updated = call_table(operation, table, || {
            let request = client.update_continuous_backups().table_name(table);
            request
                .point_in_time_recovery_specification(specification.clone())
                .send()
        })
        .await;
        fault::moment("apply.recovery.after").await;
        let Err(refused) = updated else { return Ok(Ok(())) };
        let passes = refused.kind == FailureKind::InUse
            || refused.is_limit_of_changes()
            || refused.code == "ContinuousBackupsUnavailableException";
        if !passes || !poll.pause().await {
            return Ok(Err(refused));
        }
    }
}

async fn tag(
    client: &Client,
    table: &str,
    arn: &str,
    tags: &BTreeMap<String, String>,
) -> Result<Result<(), Failure>, TargetError> {
    let operation = "dynamodb:TagResource";
    let tags = sdk_tags(tags).map_err(|error| Failure::unusable(operation, table, error))?;
    fault::moment("apply.tags.before").await;
    let tagged = call_table(operation, arn, || {
        let request = client.tag_resource().resource_arn(arn);
        request.set_tags(Some(tags.clone())).send()
    })
    .await;
    fault::moment("apply.tags.after").await;
    Ok(tagged.map(|_| ()))
}

/// Tags as the SDK takes them.
pub(super) fn sdk_tags(
    tags: &BTreeMap<String, String>,
) -> Result<Vec<Tag>, aws_sdk_dynamodb::error::BuildError> {
    tags.iter()
        .map(|(key, value)| Tag::builder().key(key).value(value).build())
        .collect()
}
