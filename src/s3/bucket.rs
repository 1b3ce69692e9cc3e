//! One bucket, and reads of its objects.

use super::error::{ExportError, OTHER_REGION};
use super::object::Part;
use crate::dynamo::{Failure, FailureKind, Tables, retry_transient};
use aws_sdk_s3::Client;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::operation::get_object::{GetObjectError, GetObjectOutput};
use std::time::Duration;

/// Bytes of one read: small enough that a slow connection delivers them in time, and that some dozen fit into memory.
const READ_BYTES: u64 = 4 << 20;
/// A read that takes longer is given up, and sent again.
const READ_TIME: Duration = Duration::from_secs(60);
const GET: &str = "s3:GetObject";
const REGION_HEADER: &str = "x-amz-bucket-region";

/// A bucket, with the client that reads it.
#[derive(Clone, Debug)]
pub struct Bucket {
    client: Client,
    name: String,
    /// The account that must own it, if it is known.
    owner: Option<String>,
}

impl Bucket {
    /// A bucket of this name, in a region that is not that of the tables if it is given. If `owner` is given, requests fail unless this
    /// account owns the bucket.
    #[must_use]
    pub fn new(tables: &Tables, region: Option<&str>, name: &str, owner: Option<String>) -> Self {
        Self {
            client: tables.objects_in(region),
            name: name.to_owned(),
            owner,
        }
    }

    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The account that must own it, if it is known.
    #[must_use]
    pub fn owner(&self) -> Option<&str> {
        self.owner.as_deref()
    }

    /// An object as people name it.
    pub(super) fn object(&self, key: &str) -> String {
        format!("s3://{}/{key}", self.name)
    }

    /// Reads an object up to a size.
    pub(super) async fn read(&self, key: &str, most: u64) -> Result<Vec<u8>, ExportError> {
        Ok(self.read_with_etag(key, most).await?.0)
    }

    /// Reads an object up to a size, with its ETag.
    pub(super) async fn read_with_etag(
        &self,
        key: &str,
        most: u64,
    ) -> Result<(Vec<u8>, String), ExportError> {
        let mut bytes = Vec::new();
        let mut etag: Option<String> = None;
        loop {
            let from = bytes.len() as u64;
            let part = retry_transient(|| self.part(key, from))
                .await
                .map_err(ExportError::of)?;
            if part.size > most {
                return Err(ExportError::TooLarge {
                    name: self.object(key),
                    most,
                });
            }
            if etag.as_ref().is_some_and(|first| *first != part.etag) {
                return Err(ExportError::Replaced {
                    name: self.object(key),
                });
            }
            bytes.extend_from_slice(&part.bytes);
            if bytes.len() as u64 >= part.size {
                return Ok((bytes, part.etag));
            }
            etag = Some(part.etag);
        }
    }

    /// Reads a part of an object that has this ETag: `len` bytes from a place on. Needs `s3:GetObject`.
    ///
    /// # Errors
    /// If it cannot be read, is another object, or has no such part.
    pub async fn range(&self, key: &str, etag: &str, from: u64, len: usize) -> Result<Vec<u8>, ExportError> {
        let mut bytes = Vec::with_capacity(len);
        while bytes.len() < len {
            let (at, most) = (from + bytes.len() as u64, (len - bytes.len()) as u64);
            let part = retry_transient(|| self.part_of(key, at, most.min(READ_BYTES))).await;
            let part = part.map_err(ExportError::of)?;
            if part.etag != etag {
                return Err(ExportError::Replaced {
                    name: self.object(key),
                });
            }
            bytes.extend_from_slice(&part.bytes);
            if part.bytes.is_empty() {
                let reason = "the object has fewer bytes than were written";
                return Err(ExportError::of(Failure::unusable(GET, &self.object(key), reason)));
            }
        }
        Ok(bytes)
    }

    /// Reads the next part of an object, in one request.
    pub(super) async fn part(&self, key: &str, from: u64) -> Result<Part, Failure> {
        self.part_of(key, from, READ_BYTES).await
    }

    async fn part_of(&self, key: &str, from: u64, most: u64) -> Result<Part, Failure> {
        let read = tokio::time::timeout(READ_TIME, Box::pin(self.part_at_any_time(key, from, most)));
        match read.await {
            Ok(part) => part,
            Err(_) => Err(Failure::timed_out_asking(GET, &self.object(key))),
        }
    }

    async fn part_at_any_time(&self, key: &str, from: u64, most: u64) -> Result<Part, Failure> {
        let request = self
            .client
            .get_object()
            .bucket(&self.name)
            .key(key)
            .range(format!("bytes={from}-{}", from + most - 1))
            .set_expected_bucket_owner(self.owner.clone());
        let answer = match request.send().await {
            Ok(answer) => answer,
            Err(error) => return self.empty_or_failed(key, from, &error),
        };
        let size = size(&answer, from);
        let etag = answer.e_tag().unwrap_or_default().trim_matches('"').to_owned();
        let etag_is_sum = answer.ssekms_key_id().is_none();
        let Some(size) = size else {
            let reason = "the answer is not the part of the object that was asked for";
            return Err(Failure::unusable(GET, &self.object(key), reason));
        };
        let body = answer.body.collect().await;
        let bytes = body
            .map_err(|error| Failure::cut_off(GET, &self.object(key), &error))?
            .to_vec();
        if bytes.is_empty() && from < size {
            return Err(Failure::unusable(
                GET,
                &self.object(key),
                "the answer has no bytes",
            ));
        }
        Ok(Part {
            bytes,
            etag,
            size,
            etag_is_sum,
        })
    }

    /// No part can be read of an object without bytes. That is no failure.
    fn empty_or_failed<R>(
        &self,
        key: &str,
        from: u64,
        error: &SdkError<GetObjectError, R>,
    ) -> Result<Part, Failure>
    where
        R: std::fmt::Debug + std::any::Any,
    {
        let failure = self.failed(GET, key, error);
        if failure.code == "InvalidRange" && from == 0 {
            return Ok(Part {
                bytes: Vec::new(),
                etag: String::new(),
                size: 0,
                etag_is_sum: false,
            });
        }
        Err(failure)
    }

    /// The failure of a request: it names what a permission is missing for, and the region of the bucket.
    pub(super) fn failed<E, R>(&self, action: &'static str, key: &str, error: &SdkError<E, R>) -> Failure
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
        R: std::fmt::Debug + std::any::Any,
    {
        let mut failure = Failure::of(action, self.object(key), error);
        if failure.kind == FailureKind::Denied && !failure.message.contains("to perform: ") {
            failure.resource = format!("arn:aws:s3:::{}/{key}", self.name);
        }
        let raw = error.raw_response().and_then(|raw| {
            (raw as &dyn std::any::Any).downcast_ref::<aws_sdk_s3::config::http::HttpResponse>()
        });
        let redirects = [
            "PermanentRedirect",
            "AuthorizationHeaderMalformed",
            "HTTP 301",
            "HTTP 307",
        ];
        if let Some(region) = raw.and_then(|raw| raw.headers().get(REGION_HEADER))
            && redirects.contains(&failure.code.as_str())
        {
            failure.message = format!("{OTHER_REGION}{region}");
        }
        failure
    }
}

/// The size of the whole object, by the answer to a read of a part. `None`: it is the answer to another question.
fn size(answer: &GetObjectOutput, from: u64) -> Option<u64> {
    let length = u64::try_from(answer.content_length()?).ok()?;
    match answer.content_range() {
        Some(range) => {
            let (part, size) = range.strip_prefix("bytes ")?.split_once('/')?;
            let (begin, _) = part.split_once('-')?;
            let size: u64 = size.parse().ok()?;
            let fits = begin.parse::<u64>() == Ok(from) && length <= READ_BYTES && from + length <= size;
            fits.then_some(size)
        }
        // A server that does not know ranges gives the whole object.
        None => Some(length).filter(|length| from == 0 && *length <= READ_BYTES),
    }
}
