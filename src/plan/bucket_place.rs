//! A folder of S3 that the plan names.

/// A folder of a bucket, where dynasplit writes objects.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BucketPlace {
    /// The bucket.
    pub bucket: String,
    /// The beginning of its keys: empty, or it ends with a slash.
    pub prefix: String,
    /// Its region, if it is not that of the source.
    pub region: Option<String>,
    /// The account that owns it, if it is not that of the source.
    pub owner: Option<String>,
}
