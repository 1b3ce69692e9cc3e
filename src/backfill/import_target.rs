//! Where the items of a backfill in the import order go.

use crate::s3::Bucket;
use crate::state::ImportFolder;

/// Where the items of a backfill go before they are imported.
#[derive(Clone, Debug)]
pub(super) struct ImportTarget {
    pub bucket: Bucket,
    pub folder: ImportFolder,
}
