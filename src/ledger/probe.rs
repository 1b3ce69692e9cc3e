//! Whether a bucket can hold a ledger.

use super::chain::{bucket, table_folder};
use crate::plan::LedgerPlace;
use crate::s3::{BucketSettings, PutIf, Setting};
use crate::worker::{RunError, Split};
use serde::Serialize;

/// The object that shows whether the server knows conditions of writes. It stays.
const PROBE: &str = "conditions.txt";
const TEXT: &[u8] = b"dynasplit wrote this object to see whether the S3 server knows If-None-Match.\n";

/// What was found of the bucket of a ledger.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct LedgerBucket {
    /// The bucket and the beginning of the keys.
    pub place: String,
    /// What the bucket does with objects.
    pub settings: BucketSettings,
}

/// Writes a small object twice on the condition that there is none, and reads what the bucket does with objects. Changes nothing else.
///
/// # Errors
/// If the server ignores the condition, or the bucket cannot be written and read.
pub async fn probe(split: &Split, place: &LedgerPlace, table_id: &str) -> Result<LedgerBucket, RunError> {
    let bucket = bucket(split, place);
    let folder = table_folder(place, table_id);
    let key = format!("{folder}{PROBE}");
    let is_new = bucket.put(&key, TEXT, PutIf::Absent).await?.is_some();
    if is_new && bucket.put(&key, TEXT, PutIf::Absent).await?.is_some() {
        return Err(RunError::NotYet {
            what: format!(
                "the S3 server of {place} ignores the conditions of writes, so that two workers could overwrite each other's objects of \
                 the ledger"
            ),
            next: "use AWS, or a server that knows If-None-Match".into(),
        });
    }
    bucket.stored(&key, 1 << 20).await?;
    bucket.folders(&folder).await?;
    Ok(LedgerBucket {
        place: place.to_string(),
        settings: bucket.settings(&folder).await?,
    })
}

impl LedgerBucket {
    /// What a person should know, one sentence a line.
    #[must_use]
    pub fn notes(&self) -> Vec<String> {
        let removal = match &self.settings.removal {
            Setting::Absent => "no rule of the bucket removes objects of the ledger".to_owned(),
            Setting::Known(rules) => format!(
                "the bucket removes objects of the ledger: {rules}. A lane that is further behind than that loses records"
            ),
            Setting::Unknown(reason) => {
                format!("it is unknown whether a rule of the bucket removes objects of the ledger ({reason})")
            }
        };
        let encryption = match &self.settings.encryption {
            Setting::Absent => "the bucket names no encryption of its own".to_owned(),
            Setting::Known(how) => format!("new objects are encrypted by {how}"),
            Setting::Unknown(reason) => {
                format!("it is unknown how the bucket encrypts objects ({reason})")
            }
        };
        vec![
            format!("ledger {}: {removal}", self.place),
            format!("ledger {}: {encryption}", self.place),
        ]
    }
}
