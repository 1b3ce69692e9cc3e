//! The ledger, as the plan file has it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A ledger of all changes of the source: where its objects are.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct LedgerSpec {
    /// The bucket.
    pub bucket: String,
    /// The beginning of the keys of its objects. Default: the name of the split.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
    /// Region of the bucket, if it is not the region of the source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
}
