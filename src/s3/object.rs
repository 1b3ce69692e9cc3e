//! Objects of a bucket, and what is known of them.

/// A part of an object.
#[derive(Clone, Debug)]
pub(super) struct Part {
    pub bytes: Vec<u8>,
    pub etag: String,
    /// The size of the whole object.
    pub size: u64,
    /// The object is not encrypted with a key of KMS, so that its ETag is its MD5 sum, unless it was written in several parts (then it is
    /// no sum at all).
    pub etag_is_sum: bool,
}

/// When an object may be written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PutIf<'a> {
    /// In any case.
    Always,
    /// If there is no object of this key.
    Absent,
    /// If the object has this ETag.
    Is(&'a str),
}

/// An object that was written before.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StoredObject {
    /// Its content.
    pub bytes: Vec<u8>,
    /// Its ETag.
    pub etag: String,
}

/// An object of a list.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ListedObject {
    /// Its key.
    pub key: String,
    /// Its ETag; empty if the server lists none. (AWS does.)
    pub etag: String,
    /// Its size in bytes.
    pub size: u64,
}
