//! Writes and lists objects of a bucket: files for an import, and the journal beside them.

use super::bucket::Bucket;
use super::error::ExportError;
use super::object::{ListedObject, PutIf, StoredObject};
use crate::dynamo::{Failure, retry_transient};
use crate::fault;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::operation::list_objects_v2::ListObjectsV2Output;
use aws_sdk_s3::primitives::ByteStream;
use futures::StreamExt;
use std::path::Path;
use std::time::Duration;

const PUT: &str = "s3:PutObject";
const HEAD: &str = "s3:GetObject";
const LIST: &str = "s3:ListBucket";
const DELETE: &str = "s3:DeleteObject";
/// An upload that takes longer is given up, and sent again: 100 MB over a slow line.
const UPLOAD_TIME: Duration = Duration::from_secs(600);
/// Objects that are removed at the same time.
const REMOVED_AT_ONCE: usize = 16;
/// Of 1,000 objects each: twice as many as an import takes.
const MOST_PAGES: usize = 101;
/// What S3 says if the condition of a write does not hold.
const CONDITION: &str = "PreconditionFailed";
/// What it says if two conditional writes came at once. Nothing was written.
const CONFLICT: &str = "ConditionalRequestConflict";

impl Bucket {
    /// Reads a small object; `None` if there is none. Needs `s3:GetObject`, and `s3:ListBucket`, without which S3 does not say that an
    /// object does not exist.
    ///
    /// # Errors
    /// If it cannot be read, or is larger than `most` bytes.
    pub async fn stored(&self, key: &str, most: u64) -> Result<Option<StoredObject>, ExportError> {
        match self.read_with_etag(key, most).await {
            Ok((bytes, etag)) => Ok(Some(StoredObject { bytes, etag })),
            Err(error) if error.failure().is_some_and(|failure| failure.code == "NoSuchKey") => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Writes a small object, and returns its ETag; `None` if its condition does not hold. Needs `s3:PutObject`. If an answer is lost,
    /// the repetition may find that its own write changed the object.
    ///
    /// # Errors
    /// If it cannot be written.
    pub async fn put(&self, key: &str, bytes: &[u8], when: PutIf<'_>) -> Result<Option<String>, ExportError> {
        let body = || Ok(ByteStream::from(bytes.to_vec()));
        match self.put_body(key, when, body).await {
            Err(failure) if failure.code == CONDITION => Ok(None),
            put => put.map(Some).map_err(ExportError::of),
        }
    }

    /// Writes a file as an object, and returns its ETag. Needs `s3:PutObject`.
    ///
    /// # Errors
    /// If the file cannot be read, or the object not be written.
    pub async fn put_file(&self, key: &str, path: &Path) -> Result<String, ExportError> {
        // An object is small enough for memory. It is read for each attempt.
        let body = || {
            let bytes = std::fs::read(path).map_err(|error| self.unreadable(key, &error))?;
            Ok(ByteStream::from(bytes))
        };
        let put = self.put_body(key, PutIf::Always, body).await;
        put.map_err(ExportError::of)
    }

    fn unreadable(&self, key: &str, error: &std::io::Error) -> Failure {
        Failure::unusable(
            PUT,
            &self.object(key),
            format!("its file cannot be read: {error}"),
        )
    }

    async fn put_body(
        &self,
        key: &str,
        when: PutIf<'_>,
        body: impl Fn() -> Result<ByteStream, Failure>,
    ) -> Result<String, Failure> {
        let put = retry_transient(|| async {
            fault::before("s3.object").await?;
            let timeouts = TimeoutConfig::builder()
                .connect_timeout(Duration::from_secs(4))
                .operation_attempt_timeout(UPLOAD_TIME)
                .build();
            let request = self.client().put_object().bucket(self.name()).key(key);
            let request = match when {
                PutIf::Always => request,
                PutIf::Absent => request.if_none_match("*"),
                PutIf::Is(etag) => request.if_match(format!("\"{etag}\"")),
            };
            let sent = request
                .set_expected_bucket_owner(self.owner().map(str::to_owned))
                .body(body()?)
                .customize()
                .config_override(aws_sdk_s3::config::Builder::new().timeout_config(timeouts))
                .send()
                .await;
            fault::after("s3.object").await?;
            match sent {
                Ok(answer) => Ok(answer.e_tag().unwrap_or_default().trim_matches('"').to_owned()),
                Err(error) => Err(passing(self.failed(PUT, key, &error))),
            }
        });
        put.await
    }

    /// Writes an object that nobody else writes, and never over another one. Returns its ETag. Needs `s3:PutObject` and `s3:GetObject`.
    ///
    /// # Errors
    /// If it cannot be written.
    pub async fn put_new(&self, key: &str, bytes: &[u8]) -> Result<String, ExportError> {
        match self.put(key, bytes, PutIf::Absent).await? {
            Some(etag) => Ok(etag),
            // The answer to an earlier attempt was lost.
            None => self.etag(key).await,
        }
    }

    /// Copies an object within the bucket, if it still has this ETag. Returns the ETag of the copy; `None` if the object is another one
    /// now, or is gone. Needs `s3:GetObject` and `s3:PutObject`.
    ///
    /// # Errors
    /// If it cannot be copied.
    pub async fn copy(&self, key: &str, etag: &str, to: &str) -> Result<Option<String>, ExportError> {
        let copied = retry_transient(|| async {
            fault::before("s3.copy").await?;
            let request = self.client().copy_object().bucket(self.name()).key(to);
            let sent = request
                .copy_source(format!("{}/{}", self.name(), encoded(key)))
                .copy_source_if_match(format!("\"{etag}\""))
                .set_expected_bucket_owner(self.owner().map(str::to_owned))
                .set_expected_source_bucket_owner(self.owner().map(str::to_owned))
                .send()
                .await;
            fault::after("s3.copy").await?;
            sent.map_err(|error| passing(self.failed(PUT, to, &error)))
        });
        match copied.await {
            Ok(answer) => {
                let copy = answer.copy_object_result();
                let etag = copy.and_then(|copy| copy.e_tag()).unwrap_or_default();
                Ok(Some(etag.trim_matches('"').to_owned()))
            }
            Err(failure) if failure.code == CONDITION || failure.code == "NoSuchKey" => Ok(None),
            Err(failure) => Err(ExportError::of(failure)),
        }
    }

    /// The ETag of an object. Needs `s3:GetObject`.
    ///
    /// # Errors
    /// If there is none, or it may not be read.
    pub async fn etag(&self, key: &str) -> Result<String, ExportError> {
        let asked = retry_transient(|| async {
            let request = self.client().head_object().bucket(self.name()).key(key);
            let sent = request
                .set_expected_bucket_owner(self.owner().map(str::to_owned))
                .send()
                .await;
            sent.map_err(|error| self.failed(HEAD, key, &error))
        });
        let answer = asked.await.map_err(ExportError::of)?;
        Ok(answer.e_tag().unwrap_or_default().trim_matches('"').to_owned())
    }

    /// All objects whose keys begin with a prefix. Needs `s3:ListBucket`.
    ///
    /// # Errors
    /// If they cannot be listed, or are too many for an import.
    pub async fn list(&self, prefix: &str) -> Result<Vec<ListedObject>, ExportError> {
        let (mut found, mut next) = (Vec::new(), None);
        for _ in 0..MOST_PAGES {
            let page = self.page(prefix, (next.clone(), None)).await?;
            found.extend(page.contents().iter().map(|object| {
                ListedObject {
                    key: object.key().unwrap_or_default().to_owned(),
                    etag: object.e_tag().unwrap_or_default().trim_matches('"').to_owned(),
                    size: object
                        .size()
                        .and_then(|size| u64::try_from(size).ok())
                        .unwrap_or(0),
                }
            }));
            next = page.next_continuation_token;
            if next.is_none() {
                return Ok(found);
            }
        }
        Err(ExportError::TooMany {
            name: self.object(prefix),
            found: found.len(),
        })
    }

    /// A page of the objects whose keys begin with a prefix: the one of a token, or the one after a key.
    async fn page(
        &self,
        prefix: &str,
        (token, after): (Option<String>, Option<String>),
    ) -> Result<ListObjectsV2Output, ExportError> {
        let page = retry_transient(|| async {
            let request = self.client().list_objects_v2().bucket(self.name()).prefix(prefix);
            let sent = request
                .set_expected_bucket_owner(self.owner().map(str::to_owned))
                .set_continuation_token(token.clone())
                .set_start_after(after.clone())
                .send()
                .await;
            sent.map_err(|error| {
                let mut failure = self.failed(LIST, prefix, &error);
                failure.resource = format!("arn:aws:s3:::{}", self.name());
                failure
            })
        });
        page.await.map_err(ExportError::of)
    }

    /// Removes all objects whose keys begin with a prefix, however many there are. Objects that are written meanwhile may stay. Needs
    /// `s3:ListBucket` and `s3:DeleteObject`.
    ///
    /// # Errors
    /// If they cannot be listed or removed.
    pub async fn remove_all(&self, prefix: &str) -> Result<(), ExportError> {
        let mut after: Option<String> = None;
        loop {
            let page = self.page(prefix, (None, after.clone())).await?;
            let keys: Vec<String> = page
                .contents()
                .iter()
                .filter_map(|object| object.key().map(str::to_owned))
                .collect();
            let Some(last) = keys.last().cloned() else {
                return Ok(());
            };
            let removed: Vec<_> = keys.iter().map(|key| self.remove(key)).collect();
            let mut removed = futures::stream::iter(removed).buffer_unordered(REMOVED_AT_ONCE);
            while let Some(ended) = removed.next().await {
                ended?;
            }
            after = Some(last);
        }
    }

    /// Removes an object. One that does not exist is removed already.
    async fn remove(&self, key: &str) -> Result<(), ExportError> {
        let removed = retry_transient(|| async {
            fault::before("s3.delete").await?;
            let request = self.client().delete_object().bucket(self.name()).key(key);
            let sent = request
                .set_expected_bucket_owner(self.owner().map(str::to_owned))
                .send()
                .await;
            fault::after("s3.delete").await?;
            sent.map_err(|error| self.failed(DELETE, key, &error))
        });
        match removed.await {
            Err(failure) if failure.code != "NoSuchKey" => Err(ExportError::of(failure)),
            _ => Ok(()),
        }
    }

    /// The folders directly below a folder: beginnings of keys that end with a slash. Needs `s3:ListBucket`.
    ///
    /// # Errors
    /// If they cannot be listed.
    pub async fn folders(&self, prefix: &str) -> Result<Vec<String>, ExportError> {
        let (mut found, mut next) = (Vec::new(), None);
        loop {
            let page = retry_transient(|| async {
                let request = self.client().list_objects_v2().bucket(self.name()).prefix(prefix);
                let sent = request
                    .delimiter("/")
                    .set_expected_bucket_owner(self.owner().map(str::to_owned))
                    .set_continuation_token(next.clone())
                    .send()
                    .await;
                sent.map_err(|error| {
                    let mut failure = self.failed(LIST, prefix, &error);
                    failure.resource = format!("arn:aws:s3:::{}", self.name());
                    failure
                })
            });
            let page = page.await.map_err(ExportError::of)?;
            let folders = page.common_prefixes().iter();
            found.extend(folders.filter_map(|folder| folder.prefix().map(str::to_owned)));
            next = page.next_continuation_token;
            if next.is_none() {
                found.sort();
                return Ok(found);
            }
        }
    }
}

/// A conflict of two conditional writes passes: the next attempt sees who was first.
fn passing(mut failure: Failure) -> Failure {
    if failure.code == CONFLICT {
        failure.kind = crate::dynamo::FailureKind::Transient;
    }
    failure
}

/// A key as it stands in the header that names the source of a copy.
fn encoded(key: &str) -> String {
    let mut text = String::with_capacity(key.len());
    for byte in key.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' | b'/' => {
                text.push(char::from(byte))
            }
            other => text.push_str(&format!("%{other:02X}")),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::encoded;

    #[test]
    fn a_key_with_other_characters_is_encoded() {
        assert_eq!(encoded("a b/c=d~e.gz"), "a%20b/c%3Dd~e.gz");
    }
}
