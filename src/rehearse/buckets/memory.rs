//! Objects of one bucket in memory, for the crate `s3s`, which speaks the protocol. The crate `s3s-fs` keeps objects in files; it is not
//! used here because it looks at the condition of a write before it writes, and names files after keys, so that a long key does not fit.

use futures::TryStreamExt;
use hyper::body::Bytes;
use md5::{Digest, Md5};
use s3s::dto::{
    CommonPrefix, CopyObjectInput, CopyObjectOutput, CopyObjectResult, CopySource, ETag, ETagCondition,
    GetObjectInput, GetObjectOutput, HeadObjectInput, HeadObjectOutput, ListObjectsV2Input,
    ListObjectsV2Output, Object, PutObjectInput, PutObjectOutput, StreamingBlob, Timestamp,
};
use s3s::{S3, S3Request, S3Response, S3Result, s3_error};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

/// Most objects of one answer, as with AWS.
const PAGE: usize = 1000;

/// See the module.
pub(super) struct MemoryStore {
    bucket: String,
    objects: Mutex<BTreeMap<String, Stored>>,
}

#[derive(Clone)]
struct Stored {
    bytes: Bytes,
    etag: String,
    modified: SystemTime,
}

impl Stored {
    fn new(bytes: Bytes) -> Self {
        let sum = Md5::digest(&bytes);
        Self {
            etag: sum.iter().map(|byte| format!("{byte:02x}")).collect(),
            bytes,
            modified: SystemTime::now(),
        }
    }

    fn tag(&self) -> ETag {
        ETag::Strong(self.etag.clone())
    }

    fn size(&self) -> i64 {
        i64::try_from(self.bytes.len()).unwrap_or(i64::MAX)
    }
}

/// Whether the condition of a write holds for what is there.
fn holds(condition: &ETagCondition, found: Option<&Stored>) -> bool {
    match (condition, found) {
        (_, None) => false,
        (ETagCondition::Any, Some(_)) => true,
        (ETagCondition::ETag(wanted), Some(found)) => found.tag().strong_cmp(wanted),
    }
}

impl MemoryStore {
    pub fn new(bucket: &str) -> Self {
        Self {
            bucket: bucket.to_owned(),
            objects: Mutex::default(),
        }
    }

    fn objects(&self, bucket: &str) -> S3Result<MutexGuard<'_, BTreeMap<String, Stored>>> {
        match bucket == self.bucket {
            true => Ok(self.objects.lock().unwrap_or_else(PoisonError::into_inner)),
            false => Err(s3_error!(NoSuchBucket)),
        }
    }

    fn object(&self, bucket: &str, key: &str) -> S3Result<Stored> {
        let found = self.objects(bucket)?.get(key).cloned();
        found.ok_or_else(|| s3_error!(NoSuchKey))
    }
}

#[async_trait::async_trait]
impl S3 for MemoryStore {
    async fn put_object(&self, req: S3Request<PutObjectInput>) -> S3Result<S3Response<PutObjectOutput>> {
        let input = req.input;
        let body = input.body.ok_or_else(|| s3_error!(IncompleteBody))?;
        let parts: Vec<Bytes> = body.try_collect().await.map_err(|_| s3_error!(IncompleteBody))?;
        let stored = Stored::new(parts.concat().into());
        // The condition and the write are one step.
        let mut objects = self.objects(&input.bucket)?;
        let found = objects.get(&input.key);
        let is_refused = input
            .if_none_match
            .as_ref()
            .is_some_and(|unwanted| holds(unwanted, found))
            || input
                .if_match
                .as_ref()
                .is_some_and(|wanted| !holds(wanted, found));
        if is_refused {
            return Err(s3_error!(PreconditionFailed));
        }
        let output = PutObjectOutput {
            e_tag: Some(stored.tag()),
            ..PutObjectOutput::default()
        };
        objects.insert(input.key, stored);
        Ok(S3Response::new(output))
    }

    async fn copy_object(&self, req: S3Request<CopyObjectInput>) -> S3Result<S3Response<CopyObjectOutput>> {
        let input = req.input;
        let CopySource::Bucket { bucket, key, .. } = &input.copy_source else {
            return Err(s3_error!(NotImplemented));
        };
        let from = self.object(bucket, key)?;
        let condition = input.copy_source_if_match.as_ref();
        if condition.is_some_and(|wanted| !holds(wanted, Some(&from))) {
            return Err(s3_error!(PreconditionFailed));
        }
        let copy = Stored::new(from.bytes);
        let result = CopyObjectResult {
            e_tag: Some(copy.tag()),
            last_modified: Some(Timestamp::from(copy.modified)),
            ..CopyObjectResult::default()
        };
        self.objects(&input.bucket)?.insert(input.key, copy);
        Ok(S3Response::new(CopyObjectOutput {
            copy_object_result: Some(result),
            ..CopyObjectOutput::default()
        }))
    }

    async fn get_object(&self, req: S3Request<GetObjectInput>) -> S3Result<S3Response<GetObjectOutput>> {
        let found = self.object(&req.input.bucket, &req.input.key)?;
        let size = found.bytes.len() as u64;
        let (bytes, range) = match req.input.range {
            None => (found.bytes.clone(), None),
            Some(range) => {
                let within = range.check(size)?;
                let told = format!("bytes {}-{}/{size}", within.start, within.end - 1);
                let index = |at: u64| usize::try_from(at).unwrap_or(usize::MAX);
                let bytes = found.bytes.slice(index(within.start)..index(within.end));
                (bytes, Some(told))
            }
        };
        let length = i64::try_from(bytes.len()).unwrap_or(i64::MAX);
        Ok(S3Response::new(GetObjectOutput {
            body: Some(StreamingBlob::from(s3s::Body::from(bytes))),
            content_length: Some(length),
            content_range: range,
            e_tag: Some(found.tag()),
            last_modified: Some(Timestamp::from(found.modified)),
            ..GetObjectOutput::default()
        }))
    }

    async fn head_object(&self, req: S3Request<HeadObjectInput>) -> S3Result<S3Response<HeadObjectOutput>> {
        let found = self.object(&req.input.bucket, &req.input.key)?;
        Ok(S3Response::new(HeadObjectOutput {
            content_length: Some(found.size()),
            e_tag: Some(found.tag()),
            last_modified: Some(Timestamp::from(found.modified)),
            ..HeadObjectOutput::default()
        }))
    }

    async fn list_objects_v2(
        &self,
        req: S3Request<ListObjectsV2Input>,
    ) -> S3Result<S3Response<ListObjectsV2Output>> {
        let input = req.input;
        let prefix = input.prefix.clone().unwrap_or_default();
        let after = input
            .continuation_token
            .clone()
            .or(input.start_after)
            .unwrap_or_default();
        let objects = self.objects(&input.bucket)?;
        let (mut contents, mut folders, mut last) = (Vec::new(), BTreeSet::new(), None);
        let mut is_truncated = false;
        for (key, object) in objects.range(prefix.clone()..) {
            if !key.starts_with(&prefix) {
                break;
            }
            let folder = input.delimiter.as_ref().and_then(|delimiter| {
                let (name, _) = key[prefix.len()..].split_once(delimiter.as_str())?;
                Some(format!("{prefix}{name}{delimiter}"))
            });
            let place = folder.clone().unwrap_or_else(|| key.clone());
            if place <= after || folders.contains(&place) {
                continue;
            }
            if contents.len() + folders.len() == PAGE {
                is_truncated = true;
                break;
            }
            last = Some(place);
            match folder {
                Some(folder) => _ = folders.insert(folder),
                None => contents.push(Object {
                    key: Some(key.clone()),
                    size: Some(object.size()),
                    e_tag: Some(object.tag()),
                    last_modified: Some(Timestamp::from(object.modified)),
                    ..Object::default()
                }),
            }
        }
        let folders = folders.into_iter();
        let folders: Vec<CommonPrefix> = folders
            .map(|folder| CommonPrefix { prefix: Some(folder) })
            .collect();
        Ok(S3Response::new(ListObjectsV2Output {
            key_count: i32::try_from(contents.len() + folders.len()).ok(),
            contents: Some(contents),
            common_prefixes: Some(folders),
            prefix: input.prefix,
            delimiter: input.delimiter,
            is_truncated: Some(is_truncated),
            next_continuation_token: last.filter(|_| is_truncated),
            ..ListObjectsV2Output::default()
        }))
    }
}
