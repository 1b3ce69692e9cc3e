//! Exports of the source in S3: found, checked and read, file by file. And objects that are written there for an import.
//!
//! The manifest names each file of an export with its checksum and its number of items. Nothing is read that the manifest does not
//! name, and nothing of a file is handed out before the file has been proven to be the one that DynamoDB wrote.

#[cfg(feature = "s3")]
mod bucket;
#[cfg(not(feature = "s3"))]
#[path = "no_bucket.rs"]
mod bucket;
mod bucket_settings;
mod describe;
mod error;
mod export;
mod file_reader;
mod manifest;
mod object;
#[cfg(feature = "s3")]
mod objects;
mod place;
mod request;

pub use bucket::Bucket;
pub use bucket_settings::{BucketSettings, Setting};
pub use describe::{DescribedExport, ExportStatus, describe_changes, describe_export};
pub use error::ExportError;
pub use export::Export;
pub use file_reader::{ExportLines, ExportPage, FileReader};
pub use manifest::{ExportWindow, FileEntry, Summary};
pub use object::{ListedObject, PutIf, StoredObject};
pub use place::{ExportPlace, Folder, PlaceError, known_account};
pub use request::{ExportRequest, request_changes, request_export};
