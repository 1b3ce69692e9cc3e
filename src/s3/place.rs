//! The place of an export, as a user names it.

use std::fmt;
use std::str::FromStr;

/// The folder that DynamoDB adds to the prefix of an export.
const DYNAMODB: &str = "AWSDynamoDB/";
const SUMMARY: &str = "manifest-summary.json";

/// A folder of a bucket.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Folder {
    /// The bucket.
    pub bucket: String,
    /// The beginning of its keys: empty, or it ends with a slash.
    pub prefix: String,
}

/// An export, as a user names it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ExportPlace {
    /// By its ARN.
    Arn(String),
    /// By the folder that contains its manifest.
    Folder(Folder),
}

/// Not a place of an export, or not a folder.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum PlaceError {
    /// Neither an ARN of an export nor a folder of one.
    #[error(
        "this is not an export: give its ARN (arn:aws:dynamodb:REGION:ACCOUNT:table/NAME/export/ID), or the folder of its manifest \
         (s3://BUCKET/PREFIX/AWSDynamoDB/ID/)"
    )]
    NotAnExport,
    /// Not a folder.
    #[error("this is not a folder of a bucket: write it as s3://BUCKET/PREFIX")]
    NotAFolder,
}

/// An account that may own a bucket; `None` for that of an engine which is not AWS.
#[must_use]
pub fn known_account(account: &str) -> Option<String> {
    let is_one = account.len() == 12 && account != "000000000000";
    is_one.then(|| account.to_owned())
}

impl Folder {
    /// The key of a file in this folder.
    #[must_use]
    pub fn key(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    /// Without its scheme: `BUCKET/PREFIX`.
    #[must_use]
    pub fn path(&self) -> String {
        format!("{}/{}", self.bucket, self.prefix)
    }

    /// The full key of a data file that a manifest in this folder names. A manifest names keys from the root of the bucket. So that an
    /// export can be read after somebody has copied it, only the part from the folder of DynamoDB on counts.
    #[must_use]
    pub fn resolve(&self, key: &str) -> String {
        match (self.prefix.rfind(DYNAMODB), key.rfind(DYNAMODB)) {
            (Some(root), Some(at)) => format!("{}{}", &self.prefix[..root], &key[at..]),
            _ => key.to_owned(),
        }
    }
}

impl fmt::Display for Folder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s3://{}/{}", self.bucket, self.prefix)
    }
}

impl FromStr for Folder {
    type Err = PlaceError;

    fn from_str(text: &str) -> Result<Self, PlaceError> {
        let path = text.strip_prefix("s3://").ok_or(PlaceError::NotAFolder)?;
        let (bucket, prefix) = path.split_once('/').unwrap_or((path, ""));
        if bucket.is_empty() || bucket.contains(char::is_whitespace) || prefix.starts_with('/') {
            return Err(PlaceError::NotAFolder);
        }
        let prefix = prefix.trim_end_matches('/');
        let slash = if prefix.is_empty() { "" } else { "/" };
        Ok(Self {
            bucket: bucket.to_owned(),
            prefix: format!("{prefix}{slash}"),
        })
    }
}

impl FromStr for ExportPlace {
    type Err = PlaceError;

    fn from_str(text: &str) -> Result<Self, PlaceError> {
        if text.starts_with("arn:") {
            let mut parts = text.split('/');
            let is_export = text.contains(":dynamodb:")
                && parts.next().is_some_and(|first| first.ends_with(":table"))
                && parts.nth(1) == Some("export")
                && parts.next().is_some_and(|id| !id.is_empty())
                && parts.next().is_none();
            return match is_export {
                true => Ok(Self::Arn(text.to_owned())),
                false => Err(PlaceError::NotAnExport),
            };
        }
        let folder = text.strip_suffix(SUMMARY).unwrap_or(text);
        let folder: Folder = folder.parse().map_err(|_| PlaceError::NotAnExport)?;
        let Some(at) = folder.prefix.rfind(DYNAMODB) else {
            return Err(PlaceError::NotAnExport);
        };
        let id = folder.prefix[at + DYNAMODB.len()..].trim_end_matches('/');
        if id.is_empty() || id.contains('/') {
            return Err(PlaceError::NotAnExport);
        }
        Ok(Self::Folder(folder))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_export_is_named_by_its_arn_or_its_folder() {
        let arn = "arn:aws:dynamodb:eu-central-1:123456789012:table/Live/export/01234567890123-a1b2c3d4";
        assert_eq!(arn.parse(), Ok(ExportPlace::Arn(arn.into())));
        for text in [
            "s3://mine/a/b/AWSDynamoDB/0123-abc/",
            "s3://mine/a/b/AWSDynamoDB/0123-abc",
            "s3://mine/a/b/AWSDynamoDB/0123-abc/manifest-summary.json",
        ] {
            let Ok(ExportPlace::Folder(folder)) = text.parse() else {
                panic!("{text}")
            };
            assert_eq!(folder.to_string(), "s3://mine/a/b/AWSDynamoDB/0123-abc/");
        }
        for wrong in [
            "s3://mine/a/b",
            "s3://mine/AWSDynamoDB/",
            "s3://mine/AWSDynamoDB/0123/data/",
            "https://mine/AWSDynamoDB/0123/",
            "arn:aws:dynamodb:eu-central-1:123456789012:table/Live",
            "arn:aws:dynamodb:eu-central-1:123456789012:table/Live/export/",
            "",
        ] {
            assert_eq!(
                wrong.parse::<ExportPlace>(),
                Err(PlaceError::NotAnExport),
                "{wrong}"
            );
        }
    }

    #[test]
    fn a_folder_may_be_the_whole_bucket() {
        let folder: Folder = "s3://mine".parse().unwrap();
        assert_eq!((folder.prefix.as_str(), folder.key("x")), ("", "x".to_owned()));
        assert_eq!("s3://mine/a/".parse::<Folder>().unwrap().key("x"), "a/x");
        assert!("s3:///a".parse::<Folder>().is_err() && "mine/a".parse::<Folder>().is_err());
    }

    #[test]
    fn the_files_of_a_copied_export_are_beside_its_manifest() {
        let folder: Folder = "s3://mine/copy/AWSDynamoDB/01".parse().unwrap();
        let expected = "copy/AWSDynamoDB/01/data/x.json.gz";
        assert_eq!(folder.resolve("AWSDynamoDB/01/data/x.json.gz"), expected);
        assert_eq!(folder.resolve("first/AWSDynamoDB/01/data/x.json.gz"), expected);
        assert_eq!(folder.resolve("elsewhere/x.json.gz"), "elsewhere/x.json.gz");
    }
}
