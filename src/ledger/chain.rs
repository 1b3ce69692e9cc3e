//! The chain of a shard's objects.

use super::error::LedgerError;
use super::object::{Header, LedgerObject, name, place};
use crate::dynamo::blocking;
use crate::model::Position;
use crate::plan::LedgerPlace;
use crate::s3::{Bucket, PutIf};
use crate::state::LedgerState;
use crate::worker::Split;

/// Packed bytes of an object, at most.
const MOST_BYTES: u64 = 128 << 20;

/// What the headers of a shard's objects say of the shard.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct About {
    /// ARN of the stream.
    pub stream: String,
    /// The shard.
    pub shard: String,
    /// The shard that it continues.
    pub parent: Option<String>,
}

/// The objects of one shard.
#[derive(Clone, Debug)]
pub struct Chain {
    bucket: Bucket,
    /// The beginning of their keys.
    folder: String,
}

/// What became of an object that was to be appended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Appended {
    /// It was written.
    Written,
    /// There is one already that begins at this place: an own one whose answer was lost, or that of another process. It counts.
    Found(Box<Header>),
}

impl Chain {
    /// The chain of a shard; `None`: the split has no ledger, or the plan does not say where.
    #[must_use]
    pub fn of(split: &Split, about: &About) -> Option<Self> {
        let (place, state) = (split.plan.ledger.as_ref()?, split.ledger()?);
        Some(Self {
            bucket: bucket(split, place),
            folder: folder(place, state, about),
        })
    }

    /// The objects in a folder.
    pub(super) fn at(bucket: Bucket, folder: String) -> Self {
        Self { bucket, folder }
    }

    /// The object that begins at a place, as people name it.
    fn told(&self, from: &Position) -> String {
        let name = name(from).unwrap_or_default();
        format!("s3://{}/{}{name}", self.bucket.name(), self.folder)
    }

    /// Writes an object, unless there is one that begins at the same place. S3 keeps the first one.
    ///
    /// # Errors
    /// If it cannot be written, or the one that exists cannot be read.
    pub async fn append(&self, object: LedgerObject) -> Result<Appended, LedgerError> {
        let from = object.header.from.clone();
        let broken = |reason: String| LedgerError::Broken {
            name: self.told(&from),
            reason,
        };
        let Some(name) = name(&from) else {
            return Err(broken("nothing follows the end of a shard".into()));
        };
        let packed = blocking(move || object.pack())
            .await
            .map_err(|error| broken(format!("it could not be packed: {error}")))?
            .map_err(|error| broken(format!("it could not be packed: {error}")))?;
        let key = format!("{}{name}", self.folder);
        if self.bucket.put(&key, &packed, PutIf::Absent).await?.is_some() {
            return Ok(Appended::Written);
        }
        match self.read(&from).await? {
            Some(found) => Ok(Appended::Found(Box::new(found.header))),
            None => Err(broken(
                "S3 says that it exists, and does not show it: check that nothing removes objects of the ledger".into(),
            )),
        }
    }

    /// The places at which the objects begin, in order.
    ///
    /// # Errors
    /// If they cannot be listed.
    pub async fn list(&self) -> Result<Vec<Position>, LedgerError> {
        let listed = self.bucket.list(&self.folder).await?;
        let names = listed
            .iter()
            .filter_map(|object| object.key.strip_prefix(&self.folder));
        let mut places: Vec<Position> = names.filter_map(place).collect();
        places.sort();
        Ok(places)
    }

    /// The object that begins at a place; `None`: there is none.
    ///
    /// # Errors
    /// If it cannot be read, or is not what it should be.
    pub async fn read(&self, from: &Position) -> Result<Option<LedgerObject>, LedgerError> {
        let Some(name) = name(from) else { return Ok(None) };
        let key = format!("{}{name}", self.folder);
        let Some(stored) = self.bucket.stored(&key, MOST_BYTES).await? else {
            return Ok(None);
        };
        let broken = |reason: String| LedgerError::Broken {
            name: self.told(from),
            reason,
        };
        let unpacked = blocking(move || LedgerObject::unpack(&stored.bytes)).await;
        let object = unpacked
            .map_err(|error| broken(error.to_string()))?
            .map_err(broken)?;
        if object.header.from != *from {
            return Err(broken(format!(
                "its header says that it begins {}",
                object.header.from
            )));
        }
        if object.header.to < *from {
            return Err(broken(format!(
                "its header says that it ends {}",
                object.header.to
            )));
        }
        Ok(Some(object))
    }

    /// The object that has the records after a place. Its end is later than the place.
    ///
    /// # Errors
    /// If there is none, or it cannot be read.
    pub async fn holding(&self, position: &Position) -> Result<LedgerObject, LedgerError> {
        let begins = self.list().await?;
        let last = begins.iter().rfind(|begin| *begin <= position);
        let missing = || LedgerError::Broken {
            name: self.told(position),
            reason: format!("no object has the records of this shard {position}"),
        };
        let found = self.read(last.ok_or_else(missing)?).await?;
        found
            .filter(|object| object.header.to > *position)
            .ok_or_else(missing)
    }

    /// The object that follows another one.
    ///
    /// # Errors
    /// If there is none, or it cannot be read.
    pub async fn next(&self, header: &Header) -> Result<LedgerObject, LedgerError> {
        let found = self.read(&header.to).await?;
        found.ok_or_else(|| LedgerError::Broken {
            name: self.told(&header.to),
            reason: "the object that should follow the one before is missing".into(),
        })
    }
}

/// The bucket of a ledger.
pub(super) fn bucket(split: &Split, place: &LedgerPlace) -> Bucket {
    Bucket::new(&split.source, place.region.as_deref(), &place.bucket, None)
}

/// The folder of all ledgers of a table.
pub(super) fn table_folder(place: &LedgerPlace, table_id: &str) -> String {
    format!("{}{}/", place.prefix, plain(table_id))
}

/// The folder of a shard in one chain.
fn folder(place: &LedgerPlace, state: &LedgerState, about: &About) -> String {
    // The part that tells the streams of a table apart. The header has the whole ARN.
    let stream = about.stream.rsplit('/').next().unwrap_or(&about.stream);
    format!(
        "{}{}/{:014}/{}/",
        table_folder(place, &state.table_id),
        plain(stream),
        state.chain,
        plain(&about.shard)
    )
}

/// A name without characters that have a meaning in keys.
fn plain(name: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    name.chars().map(|c| if is_plain(c) { c } else { '-' }).collect()
}
