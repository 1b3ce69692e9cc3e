//! The objects of an import: exactly those that were written for it.

use crate::s3::Bucket;
use crate::worker::RunError;
use std::collections::BTreeMap;

/// Most objects of one import.
pub const MOST_OBJECTS: usize = 50_000;

/// An object that an import reads.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ImportObject {
    /// Its ETag.
    pub etag: String,
    /// Its size.
    pub size: u64,
}

/// Refuses unless the objects below a prefix are exactly these, because an import takes whatever is there. Returns when it has looked at
/// each of them.
///
/// # Errors
/// If one is missing, is another one, or was not written by dynasplit; `anew` says how to get the objects again.
pub async fn refuse_other_objects(
    bucket: &Bucket,
    prefix: &str,
    expected: &BTreeMap<String, ImportObject>,
    anew: &str,
) -> Result<(), RunError> {
    let wrong = |key: &str, what: &str, next: &str| {
        Err(RunError::NotYet {
            what: format!("s3://{}/{key} {what}", bucket.name()),
            next: next.into(),
        })
    };
    let mut found = 0;
    for object in bucket.list(prefix).await? {
        let Some(known) = expected.get(&object.key) else {
            let next =
                "remove it, because an import takes every object of this folder, and run the command again";
            return wrong(&object.key, "was not written by this split", next);
        };
        let etag = match object.etag.is_empty() {
            true => bucket.etag(&object.key).await?,
            false => object.etag,
        };
        if (etag, object.size) != (known.etag.clone(), known.size) {
            return wrong(&object.key, "is not the object that dynasplit wrote", anew);
        }
        found += 1;
    }
    if found == expected.len() {
        return Ok(());
    }
    for key in expected.keys() {
        // Without the object, this is the error of S3.
        if bucket.etag(key).await.is_err() {
            return wrong(key, "was removed", anew);
        }
    }
    Err(RunError::Failed(format!(
        "S3 does not list every object below s3://{}/{prefix}",
        bucket.name()
    )))
}
