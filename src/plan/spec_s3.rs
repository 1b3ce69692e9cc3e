//! A folder of S3, as the plan file has it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A folder of a bucket.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct BucketSpec {
    /// Name of the bucket.
    pub bucket: String,
    /// What the keys of all objects begin with. Default: nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
    /// Region of the bucket, if it is not that of the source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// The account that owns the bucket, if it is not that of the source: 12 digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
}
