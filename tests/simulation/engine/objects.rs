//! S3 in memory: objects of buckets, with the conditions of writes, reads and copies, and the settings of a bucket.
//!
//! The members of a request have the names of S3's headers and parameters. What is answered has `Headers`, and `Bytes` in base64 or
//! `Xml`.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest, Md5};
use serde_json::{Value as Json, json};

use super::Engine;
use super::refusal::{Answer, Refusal};
use super::request::Request;

/// What operations of S3 begin with, as targets.
pub const S3: &str = "S3.";
/// The account of every bucket.
const ACCOUNT: &str = "111122223333";
/// A page of a list has so many keys, so that a few objects make many pages.
const LISTED_AT_ONCE: usize = 5;
const OWNER: &str = "x-amz-expected-bucket-owner";
const SOURCE_OWNER: &str = "x-amz-source-expected-bucket-owner";
const COPY_IF_MATCH: &str = "x-amz-copy-source-if-match";

/// An object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    pub bytes: Vec<u8>,
    pub etag: String,
}

impl Object {
    pub(super) fn of(bytes: Vec<u8>) -> Self {
        let sum = Md5::digest(&bytes);
        let etag = sum.iter().map(|byte| format!("{byte:02x}")).collect();
        Self { bytes, etag }
    }

    /// Its MD5 sum in base64.
    pub(super) fn sum(&self) -> String {
        STANDARD.encode(Md5::digest(&self.bytes))
    }

    fn quoted(&self) -> String {
        format!("\"{}\"", self.etag)
    }
}

/// The objects of a bucket, by their keys.
pub type Bucket = BTreeMap<String, Object>;

impl Engine {
    /// Makes a bucket.
    pub fn make_bucket(&mut self, name: &str) {
        self.buckets.insert(name.to_owned(), Bucket::new());
    }

    /// The objects whose keys begin so.
    pub fn objects(&self, bucket: &str, prefix: &str) -> Vec<(String, Vec<u8>)> {
        let objects = self.buckets.get(bucket).into_iter().flatten();
        let wanted = objects.filter(|(key, _)| key.starts_with(prefix));
        wanted
            .map(|(key, object)| (key.clone(), object.bytes.clone()))
            .collect()
    }

    /// Carries out a request of S3.
    pub(super) fn answer_of_objects(&mut self, operation: &str, body: &Json) -> Answer {
        let done = self.asked_for_objects(operation, body);
        done.unwrap_or_else(|refusal| {
            if let Refusal::Unsupported(what) = &refusal {
                self.unsupported.push(format!("S3, {operation}: {what}"));
            }
            refused(operation, &refusal)
        })
    }

    fn asked_for_objects(&mut self, operation: &str, body: &Json) -> Result<Answer, Refusal> {
        match operation {
            "PutObject" => self.put_object(body),
            "GetObject" => self.get_object(body),
            "HeadObject" => self.head_object(body),
            "CopyObject" => self.copy_object(body),
            "DeleteObject" => {
                let request = Request::of(body, &["Bucket", "Key", OWNER])?;
                let key = request.text("Key")?;
                self.owned(&request)?.remove(key);
                Ok(with_headers(json!({})))
            }
            "ListObjectsV2" => self.list_objects(body),
            "GetBucketLifecycleConfiguration" => {
                self.owned(&Request::of(body, &["Bucket", OWNER])?)?;
                Err(Refusal::service("NoSuchLifecycleConfiguration", "there is none"))
            }
            "GetBucketEncryption" => {
                self.owned(&Request::of(body, &["Bucket", OWNER])?)?;
                Ok(xml(
                    "<ServerSideEncryptionConfiguration><Rule><ApplyServerSideEncryptionByDefault>\
                     <SSEAlgorithm>AES256</SSEAlgorithm></ApplyServerSideEncryptionByDefault></Rule>\
                     </ServerSideEncryptionConfiguration>"
                        .into(),
                ))
            }
            other => Err(Refusal::unsupported(format!("the operation {other}"))),
        }
    }

    /// The bucket of a request, if it belongs to the expected account.
    fn owned(&mut self, request: &Request<'_>) -> Result<&mut Bucket, Refusal> {
        for owner in [OWNER, SOURCE_OWNER] {
            if request.optional(owner).is_some_and(|owner| owner != ACCOUNT) {
                return Err(Refusal::service(
                    "AccessDenied",
                    "another account owns the bucket",
                ));
            }
        }
        let name = request.text("Bucket")?;
        let found = self.buckets.get_mut(name);
        found.ok_or_else(|| Refusal::service("NoSuchBucket", name))
    }

    fn put_object(&mut self, body: &Json) -> Result<Answer, Refusal> {
        let request = Request::of(
            body,
            &["Bucket", "Key", "Body", "if-none-match", "if-match", OWNER],
        )?;
        let bytes = STANDARD.decode(request.text("Body")?);
        let bytes = bytes.map_err(|error| Refusal::unsupported(format!("this body: {error}")))?;
        let key = request.text("Key")?;
        let bucket = self.owned(&request)?;
        let there = bucket.get(key);
        let holds = match (request.optional("if-none-match"), request.optional("if-match")) {
            (None, None) => true,
            (Some("*"), None) => there.is_none(),
            (None, Some(etag)) => there.is_some_and(|there| there.quoted() == etag),
            other => return Err(Refusal::unsupported(format!("the conditions {other:?}"))),
        };
        if !holds {
            return Err(Refusal::service(
                "PreconditionFailed",
                "At least one condition did not hold",
            ));
        }
        let object = Object::of(bytes);
        let etag = object.quoted();
        bucket.insert(key.to_owned(), object);
        Ok(with_headers(json!({ "etag": etag })))
    }

    fn get_object(&mut self, body: &Json) -> Result<Answer, Refusal> {
        let request = Request::of(body, &["Bucket", "Key", "range", OWNER])?;
        let object = self.object(&request)?;
        let size = object.bytes.len();
        let range = request.text("range")?;
        let bounds = range.strip_prefix("bytes=").and_then(|range| {
            let (first, last) = range.split_once('-')?;
            Some((first.parse::<usize>().ok()?, last.parse::<usize>().ok()?))
        });
        let (first, last) = bounds.ok_or_else(|| Refusal::unsupported(format!("the range {range}")))?;
        if first >= size {
            return Err(Refusal::service(
                "InvalidRange",
                "The requested range is not satisfiable",
            ));
        }
        let last = last.min(size - 1);
        let part = &object.bytes[first..=last];
        Ok(Answer {
            status: 206,
            body: json!({
                "Headers": {
                    "etag": object.quoted(),
                    "content-length": part.len().to_string(),
                    "content-range": format!("bytes {first}-{last}/{size}"),
                },
                "Bytes": STANDARD.encode(part),
            }),
        })
    }

    fn head_object(&mut self, body: &Json) -> Result<Answer, Refusal> {
        let request = Request::of(body, &["Bucket", "Key", OWNER])?;
        let object = self.object(&request)?;
        Ok(with_headers(json!({
            "etag": object.quoted(),
            "content-length": object.bytes.len().to_string(),
        })))
    }

    fn object(&mut self, request: &Request<'_>) -> Result<&Object, Refusal> {
        let key = request.text("Key")?;
        let found = self.owned(request)?.get(key);
        found.ok_or_else(|| Refusal::service("NoSuchKey", "The specified key does not exist."))
    }

    fn copy_object(&mut self, body: &Json) -> Result<Answer, Refusal> {
        let known = [
            "Bucket",
            "Key",
            "x-amz-copy-source",
            COPY_IF_MATCH,
            OWNER,
            SOURCE_OWNER,
        ];
        let request = Request::of(body, &known)?;
        let source = request.text("x-amz-copy-source")?;
        let (from, key) = source
            .split_once('/')
            .filter(|(_, key)| !key.contains('%'))
            .ok_or_else(|| Refusal::unsupported(format!("the source {source}")))?;
        if from != request.text("Bucket")? {
            return Err(Refusal::unsupported("copies between buckets"));
        }
        let to = request.text("Key")?;
        let bucket = self.owned(&request)?;
        let there = bucket.get(key).cloned();
        let object =
            there.ok_or_else(|| Refusal::service("NoSuchKey", "The specified key does not exist."))?;
        if object.quoted() != request.text(COPY_IF_MATCH)? {
            return Err(Refusal::service(
                "PreconditionFailed",
                "At least one condition did not hold",
            ));
        }
        let etag = object.quoted();
        bucket.insert(to.to_owned(), object);
        Ok(xml(format!(
            "<CopyObjectResult><ETag>{}</ETag></CopyObjectResult>",
            etag.replace('"', "&quot;")
        )))
    }

    fn list_objects(&mut self, body: &Json) -> Result<Answer, Refusal> {
        let known = [
            "Bucket",
            "list-type",
            "prefix",
            "delimiter",
            "continuation-token",
            "start-after",
            OWNER,
        ];
        let request = Request::of(body, &known)?;
        let prefix = request.optional("prefix").unwrap_or_default().to_owned();
        let delimiter = request.optional("delimiter");
        let after = request.optional("continuation-token");
        let after = after.or(request.optional("start-after")).map(str::to_owned);
        let bucket = self.owned(&request)?;
        // An entry is an object, or a folder that stands for all keys with its beginning.
        let mut entries: BTreeMap<String, Option<&Object>> = BTreeMap::new();
        for (key, object) in bucket.iter().filter(|(key, _)| key.starts_with(&prefix)) {
            let folder = delimiter.and_then(|delimiter| {
                let (name, _) = key[prefix.len()..].split_once(delimiter)?;
                Some(format!("{prefix}{name}{delimiter}"))
            });
            match folder {
                Some(folder) => entries.insert(folder, None),
                None => entries.insert(key.clone(), Some(object)),
            };
        }
        let rest = entries
            .into_iter()
            .filter(|(key, _)| after.as_ref().is_none_or(|after| key > after));
        let rest: Vec<_> = rest.collect();
        let mut text = String::from("<ListBucketResult>");
        for (key, object) in rest.iter().take(LISTED_AT_ONCE) {
            text += &match object {
                None => format!("<CommonPrefixes><Prefix>{key}</Prefix></CommonPrefixes>"),
                Some(object) => format!(
                    "<Contents><Key>{key}</Key><ETag>&quot;{}&quot;</ETag><Size>{}</Size></Contents>",
                    object.etag,
                    object.bytes.len()
                ),
            };
        }
        if rest.len() > LISTED_AT_ONCE {
            let last = &rest[LISTED_AT_ONCE - 1].0;
            text += &format!("<NextContinuationToken>{last}</NextContinuationToken>");
        }
        text += "</ListBucketResult>";
        Ok(xml(text))
    }
}

fn with_headers(headers: Json) -> Answer {
    Answer::ok(json!({ "Headers": headers }))
}

fn xml(text: String) -> Answer {
    Answer::ok(json!({ "Xml": text }))
}

/// A refusal as S3 words it. The answer to `HEAD` has no body.
fn refused(operation: &str, refusal: &Refusal) -> Answer {
    let (code, message) = match refusal {
        Refusal::Service { code, message, .. } => (*code, message.as_str()),
        Refusal::Unsupported(what) => ("NotImplemented", what.as_str()),
    };
    let status = match code {
        "NoSuchKey"
        | "NoSuchBucket"
        | "NoSuchLifecycleConfiguration"
        | "ServerSideEncryptionConfigurationNotFoundError" => 404,
        "AccessDenied" => 403,
        "PreconditionFailed" => 412,
        "InvalidRange" => 416,
        "NotImplemented" => 501,
        _ => 400,
    };
    if operation == "HeadObject" {
        return Answer {
            status,
            body: json!({ "Xml": "" }),
        };
    }
    error_of_objects(status, code, message)
}

/// An error of S3.
pub fn error_of_objects(status: u16, code: &str, message: &str) -> Answer {
    let text = format!("<Error><Code>{code}</Code><Message>{message}</Message></Error>");
    Answer {
        status,
        body: json!({ "Xml": text }),
    }
}
