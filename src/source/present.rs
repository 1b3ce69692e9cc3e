//! The identity of the source and the time by AWS's clock, in one answer.

use super::SourceError;
use crate::dynamo::{Failure, call_table};
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::interceptors::BeforeDeserializationInterceptorContextRef;
use aws_sdk_dynamodb::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_dynamodb::error::BoxError;
use aws_sdk_dynamodb::primitives::{DateTime, DateTimeFormat};
use std::sync::{Arc, Mutex, PoisonError};

const DESCRIBE: &str = "dynamodb:DescribeTable";

/// The source at a moment.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Present {
    /// Its ARN.
    pub arn: String,
    /// Its id; engines other than AWS may have none.
    pub id: Option<String>,
    /// The time by the clock of AWS, in milliseconds since 1970, rounded down to the second.
    pub at_ms: u64,
}

/// Asks who the source is, and what time it is there. The clock of this machine is not asked, because export times are AWS's.
///
/// # Errors
/// If the table is missing, may not be described, or the answer has no time.
pub async fn present(dynamodb: &Client, table: &str) -> Result<Present, SourceError> {
    let date = ReadDate::default();
    let answer = call_table(DESCRIBE, table, || {
        dynamodb
            .describe_table()
            .table_name(table)
            .customize()
            .interceptor(date.clone())
            .send()
    });
    let answer = answer.await.map_err(|failure| SourceError::of(failure, table))?;
    let description = answer.table();
    let at_ms = *date.0.lock().unwrap_or_else(PoisonError::into_inner);
    let unusable = |reason: &str| SourceError::from(Failure::unusable(DESCRIBE, table, reason));
    Ok(Present {
        arn: description
            .and_then(|found| found.table_arn())
            .ok_or_else(|| unusable("the answer has no ARN"))?
            .to_owned(),
        id: description.and_then(|found| found.table_id()).map(str::to_owned),
        at_ms: at_ms
            .ok_or_else(|| unusable("the answer has no Date header, so the time of the engine is unknown"))?,
    })
}

/// Keeps the time in the header of the last answer.
#[derive(Clone, Debug, Default)]
struct ReadDate(Arc<Mutex<Option<u64>>>);

impl Intercept for ReadDate {
    fn name(&self) -> &'static str {
        "ReadDate"
    }

    fn read_before_deserialization(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let header = context.response().headers().get("date");
        let date = header.and_then(|text| DateTime::from_str(text, DateTimeFormat::HttpDate).ok());
        let ms = date
            .and_then(|date| date.to_millis().ok())
            .and_then(|ms| u64::try_from(ms).ok());
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = ms;
        Ok(())
    }
}
