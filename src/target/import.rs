//! Imports: DynamoDB makes a table of the objects below a prefix. Requested, found again, and looked at.

use super::{TargetError, creation};
use crate::dynamo::{Failure, FailureKind, Poll, call_table};
use crate::fault;
use crate::model::{Compression, KeySchema};
use crate::plan::IndexKeys;
use crate::plan::spec::TableSpec;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{
    ImportStatus as SdkStatus, ImportTableDescription, InputCompressionType, InputFormat, S3BucketSource,
};
use std::time::Duration;

const IMPORT: &str = "dynamodb:ImportTable";
const DESCRIBE: &str = "dynamodb:DescribeImport";
const LIST: &str = "dynamodb:ListImports";
/// An account makes 50 imports at once. For so long, a place is waited for.
const LIMIT_PATIENCE: Duration = Duration::from_secs(300);
/// Of 25 imports each: DynamoDB forgets an import after 90 days.
const MOST_PAGES: usize = 400;

/// An import that is wanted.
#[derive(Clone, Copy, Debug)]
pub struct ImportRequest<'a> {
    /// The table.
    pub spec: &'a TableSpec,
    /// Its keys.
    pub keys: &'a KeySchema,
    /// Its indexes.
    pub indexes: &'a [IndexKeys],
    /// The objects: lines of DynamoDB JSON.
    pub from: ImportPlace<'a>,
    /// How each of them is compressed.
    pub compression: Compression,
    /// For eight hours, a second request with the same token asks for the same import.
    pub token: &'a str,
}

/// Where the objects of an import are.
#[derive(Clone, Copy, Debug)]
pub struct ImportPlace<'a> {
    /// The bucket.
    pub bucket: &'a str,
    /// The account that owns it, if it is known.
    pub owner: Option<&'a str>,
    /// What the keys of the objects begin with.
    pub prefix: &'a str,
}

/// How far an import is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ImportStatus {
    /// DynamoDB works on it.
    InProgress,
    /// It is complete.
    Completed,
    /// It ended in another way: the code and message of DynamoDB.
    Failed(String),
}

/// What DynamoDB says about an import.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DescribedImport {
    /// Its ARN.
    pub arn: String,
    /// How far it is.
    pub status: ImportStatus,
    /// The id of the table that it makes. No other table of the same name has it.
    pub table_id: Option<String>,
    /// The token of its request.
    pub token: Option<String>,
    /// Items that were read.
    pub processed_items: u64,
    /// Items that are in the table.
    pub imported_items: u64,
    /// Items that could not be imported.
    pub errors: u64,
    /// The log group of CloudWatch in which DynamoDB names these items.
    pub log_group: Option<String>,
}

/// Requests an import, and waits for a place if the account makes too many at once. Needs `dynamodb:ImportTable`, `s3:GetObject` and
/// `s3:ListBucket` on the bucket, and to write a log of CloudWatch.
///
/// # Errors
/// If DynamoDB refuses, for example because there is a table of that name.
pub async fn request_import(
    client: &Client,
    request: &ImportRequest<'_>,
) -> Result<DescribedImport, TargetError> {
    let table = &request.spec.name;
    let unbuilt = |error| Failure::unusable(IMPORT, table, error);
    let parameters =
        creation::import_parameters(request.spec, request.keys, request.indexes).map_err(unbuilt)?;
    let place = request.from;
    let source = S3BucketSource::builder()
        .s3_bucket(place.bucket)
        .set_s3_bucket_owner(place.owner.map(str::to_owned))
        .s3_key_prefix(place.prefix)
        .build()
        .map_err(unbuilt)?;
    let compression = match request.compression {
        Compression::Zstd => InputCompressionType::Zstd,
        Compression::Gzip => InputCompressionType::Gzip,
        Compression::None => InputCompressionType::None,
    };
    let mut poll = Poll::new(LIMIT_PATIENCE);
    loop {
        fault::before("import.request").await.map_err(Failure::from)?;
        let asked = call_table(IMPORT, table, || {
            client
                .import_table()
                .client_token(request.token)
                .s3_bucket_source(source.clone())
                .input_format(InputFormat::DynamodbJson)
                .input_compression_type(compression.clone())
                .table_creation_parameters(parameters.clone())
                .send()
        })
        .await;
        fault::after("import.request").await.map_err(Failure::from)?;
        match asked {
            Ok(answer) => return read(answer.import_table_description.as_ref(), IMPORT, table),
            Err(refused) if refused.is_limit_of_changes() && poll.pause().await => {}
            Err(refused) => return Err(refused_import(refused, place.bucket)),
        }
    }
}

/// Asks DynamoDB about an import. Needs `dynamodb:DescribeImport`.
///
/// # Errors
/// If there is no such import, or it may not be described.
pub async fn describe_import(client: &Client, arn: &str) -> Result<DescribedImport, TargetError> {
    let described = call_table(DESCRIBE, arn, || client.describe_import().import_arn(arn).send()).await;
    match described {
        Ok(answer) => read(answer.import_table_description.as_ref(), DESCRIBE, arn),
        Err(failure) if failure.code == "ImportNotFoundException" => Err(TargetError::Import {
            failure: Box::new(failure),
            next: "check the region and the account (DynamoDB forgets an import after 90 days)".into(),
        }),
        Err(failure) => Err(failure.into()),
    }
}

/// Looks for the import that was requested with a token, because its answer was lost. Needs `dynamodb:ListImports` and
/// `dynamodb:DescribeImport`.
///
/// # Errors
/// If the imports may not be listed.
pub async fn find_import(
    client: &Client,
    from: ImportPlace<'_>,
    token: &str,
) -> Result<Option<DescribedImport>, TargetError> {
    let mut next = None;
    for _ in 0..MOST_PAGES {
        let listed = call_table(LIST, from.bucket, || {
            client.list_imports().set_next_token(next.clone()).send()
        });
        let page = listed.await?;
        for summary in page.import_summary_list.iter().flatten() {
            let source = summary.s3_bucket_source();
            let is_from_there = source.is_some_and(|source| {
                source.s3_bucket() == from.bucket && source.s3_key_prefix() == Some(from.prefix)
            });
            // An earlier attempt imported the same objects.
            if let Some(arn) = summary.import_arn.as_deref().filter(|_| is_from_there) {
                let described = describe_import(client, arn).await?;
                if described.token.as_deref() == Some(token) {
                    return Ok(Some(described));
                }
            }
        }
        next = page.next_token;
        if next.is_none() {
            return Ok(None);
        }
    }
    Ok(None)
}

/// How many imports of the account run in the region of this client. Needs `dynamodb:ListImports`.
///
/// # Errors
/// If the imports may not be listed.
pub async fn running_imports(client: &Client) -> Result<u64, TargetError> {
    let (mut running, mut next) = (0, None);
    for _ in 0..MOST_PAGES {
        let listed = call_table(LIST, "imports", || {
            client.list_imports().set_next_token(next.clone()).send()
        });
        let page = listed.await?;
        let imports = page.import_summary_list.iter().flatten();
        running += imports
            .filter(|import| import.import_status == Some(SdkStatus::InProgress))
            .count() as u64;
        next = page.next_token;
        if next.is_none() {
            break;
        }
    }
    Ok(running)
}

fn read(
    description: Option<&ImportTableDescription>,
    action: &'static str,
    resource: &str,
) -> Result<DescribedImport, TargetError> {
    let unusable = |reason: &str| TargetError::from(Failure::unusable(action, resource, reason));
    let description = description.ok_or_else(|| unusable("the answer has no description"))?;
    let arn = description.import_arn.as_deref();
    let count = |found: i64| u64::try_from(found).unwrap_or(0);
    Ok(DescribedImport {
        arn: arn.ok_or_else(|| unusable("the answer has no ARN"))?.to_owned(),
        status: match &description.import_status {
            Some(SdkStatus::Completed) => ImportStatus::Completed,
            Some(status @ (SdkStatus::Failed | SdkStatus::Cancelled | SdkStatus::Cancelling)) => {
                ImportStatus::Failed(format!(
                    "{}: {}",
                    description.failure_code().unwrap_or(status.as_str()),
                    description.failure_message().unwrap_or("no message")
                ))
            }
            _ => ImportStatus::InProgress,
        },
        table_id: description.table_id().map(str::to_owned),
        token: description.client_token().map(str::to_owned),
        processed_items: count(description.processed_item_count()),
        imported_items: count(description.imported_item_count()),
        errors: count(description.error_count()),
        log_group: description.cloud_watch_log_group_arn().map(str::to_owned),
    })
}

/// An import that DynamoDB refused, with the next step.
fn refused_import(failure: Failure, bucket: &str) -> TargetError {
    let next = match failure.kind {
        FailureKind::InUse => {
            "a table of this name exists, and an import makes a new one: delete that table if nobody needs it, or name another \
             table in the plan"
                .to_owned()
        }
        FailureKind::Invalid => format!(
            "check the bucket {bucket}: its region, and its owner (--bucket-owner) if it belongs to another account"
        ),
        _ if failure.code == "ImportConflictException" => {
            "wait until the other import of this table ends, and run the command again".to_owned()
        }
        _ if failure.is_limit_of_changes() => {
            "too many imports of this account run: wait until some end, and run the command again".to_owned()
        }
        _ => return failure.into(),
    };
    TargetError::Import {
        failure: Box::new(failure),
        next,
    }
}
