//! Where the ledger of all changes is.

use std::fmt;

/// The place of the ledger.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LedgerPlace {
    /// The bucket.
    pub bucket: String,
    /// The beginning of the keys of its objects. It ends with a slash.
    pub prefix: String,
    /// Region of the bucket, if it is not the region of the source.
    pub region: Option<String>,
}

impl fmt::Display for LedgerPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s3://{}/{}", self.bucket, self.prefix)
    }
}
