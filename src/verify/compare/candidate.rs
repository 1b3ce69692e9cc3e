//! Keys that differ at first sight, and the list of them that waits to be looked at again.

use super::block::{BlockFile, SpillDir};
use super::key_code::{decode_key, encode_key};
use super::settle::{Observation, Outcome, SettleRules, Settling};
use super::wire::{Reader, put_bytes, put_duration, put_len};
use crate::model::Key;
use crate::verify::compare::{KeyCodeError, VerifyError};
use std::time::Duration;

/// Colliding source keys that a candidate names; how many there are is counted beyond it. A key template
/// that drops its only varying part maps a whole table to one key.
pub const MAX_COLLISION_KEYS: usize = 16;

/// A key that differed when both sides were scanned. No mismatch yet: neither scan is a snapshot.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Candidate {
    /// The source says that the target should hold an item, and it does not.
    Missing {
        /// Key in the target.
        target_key: Key,
        /// Key in the source.
        source_key: Key,
    },
    /// The target holds an item that no scanned source item leads to.
    Extra {
        /// Key in the target.
        target_key: Key,
    },
    /// Both are there and are not equal, or one was seen with several contents.
    Different {
        /// Key in the target.
        target_key: Key,
        /// Key in the source.
        source_key: Key,
    },
    /// Several source items lead to one target key.
    Collision {
        /// Key in the target.
        target_key: Key,
        /// Keys in the source: at least two, at most [`crate::verify::compare::MAX_COLLISION_KEYS`].
        source_keys: Vec<Key>,
        /// How many there are in truth.
        sources: u64,
    },
}

impl Candidate {
    /// Key in the target.
    #[must_use]
    pub fn target_key(&self) -> &Key {
        match self {
            Self::Missing { target_key, .. }
            | Self::Extra { target_key }
            | Self::Different { target_key, .. }
            | Self::Collision { target_key, .. } => target_key,
        }
    }

    /// Keys in the source that lead to it; none is known of an extra.
    #[must_use]
    pub fn source_keys(&self) -> &[Key] {
        match self {
            Self::Extra { .. } => &[],
            Self::Missing { source_key, .. } | Self::Different { source_key, .. } => {
                std::slice::from_ref(source_key)
            }
            Self::Collision { source_keys, .. } => source_keys,
        }
    }

    fn encode(&self, key: &mut Vec<u8>, out: &mut Vec<u8>) -> Result<(), KeyCodeError> {
        let (tag, sources) = match self {
            Self::Missing { .. } => (0, 1),
            Self::Extra { .. } => (1, 0),
            Self::Different { .. } => (2, 1),
            Self::Collision { sources, .. } => (3, *sources),
        };
        out.push(tag);
        out.extend_from_slice(&sources.to_le_bytes());
        encode_key(self.target_key(), key)?;
        put_bytes(key, out);
        put_len(self.source_keys().len(), out);
        for source_key in self.source_keys() {
            encode_key(source_key, key)?;
            put_bytes(key, out);
        }
        Ok(())
    }

    fn decode(reader: &mut Reader<'_>) -> Option<Self> {
        let tag = reader.byte()?;
        let sources = u64::from_le_bytes(reader.array()?);
        let mut key = || decode_key(reader.bytes()?).ok();
        let target_key = key()?;
        let count = reader.len()?;
        let mut key = || decode_key(reader.bytes()?).ok();
        Some(match (tag, count) {
            (0, 1) => Self::Missing {
                target_key,
                source_key: key()?,
            },
            (1, 0) => Self::Extra { target_key },
            (2, 1) => Self::Different {
                target_key,
                source_key: key()?,
            },
            (3, 2..=crate::verify::compare::MAX_COLLISION_KEYS) => Self::Collision {
                target_key,
                source_keys: (0..count).map(|_| key()).collect::<Option<_>>()?,
                sources,
            },
            _ => return None,
        })
    }
}

/// A candidate with the result of its rechecks so far.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Pending {
    /// The candidate.
    pub candidate: Candidate,
    /// The result of the rechecks.
    pub settling: Settling,
    /// It is not worth a look before then (by [`super::Delivery::clock`]).
    pub due: Duration,
}

impl Pending {
    /// A candidate that was not looked at yet, and may be at once.
    #[must_use]
    pub fn new(candidate: Candidate) -> Self {
        Self {
            candidate,
            settling: Settling::default(),
            due: Duration::ZERO,
        }
    }

    /// Takes in a recheck. Where it says to wait, `due` is set.
    pub fn observe(&mut self, rules: &SettleRules, observation: &Observation) -> Outcome {
        let outcome = self.settling.observe(rules, observation);
        if let Outcome::Wait { due } = outcome {
            self.due = due;
        }
        outcome
    }

    fn encode(&self, key: &mut Vec<u8>, out: &mut Vec<u8>) -> Result<(), KeyCodeError> {
        self.candidate.encode(key, out)?;
        put_duration(self.due, out);
        self.settling.encode(out);
        Ok(())
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader(bytes);
        let pending = Self {
            candidate: Candidate::decode(&mut reader)?,
            due: reader.duration()?,
            settling: Settling::decode(&mut reader)?,
        };
        reader.0.is_empty().then_some(pending)
    }
}

/// Memory of a list of candidates before it goes to disk, and of its reader after.
const BLOCK_BYTES: usize = 256 * 1024;

/// Candidates for one round of rechecks: in memory while they are few, on disk beyond that. A round reads
/// one file and writes those that must wait to the next.
#[derive(Debug)]
pub struct CandidateFile {
    dir: SpillDir,
    block_bytes: usize,
    block: Vec<u8>,
    record: Vec<u8>,
    key: Vec<u8>,
    file: Option<BlockFile>,
    count: u64,
    earliest_due: Option<Duration>,
}

impl CandidateFile {
    /// An empty list. Nothing is created on disk before it is long.
    #[must_use]
    pub fn new(dir: SpillDir) -> Self {
        Self::with_blocks(dir, BLOCK_BYTES)
    }

    fn with_blocks(dir: SpillDir, block_bytes: usize) -> Self {
        Self {
            dir,
            block_bytes,
            block: Vec::new(),
            record: Vec::new(),
            key: Vec::new(),
            file: None,
            count: 0,
            earliest_due: None,
        }
    }

    /// Adds a candidate. Now and then this blocks.
    ///
    /// # Errors
    /// Where a temporary file cannot be written, or a key is none.
    pub fn push(&mut self, pending: &Pending) -> Result<(), VerifyError> {
        self.record.clear();
        pending.encode(&mut self.key, &mut self.record)?;
        put_bytes(&self.record, &mut self.block);
        self.count += 1;
        self.earliest_due = Some(self.earliest_due.map_or(pending.due, |due| due.min(pending.due)));
        if self.block.len() >= self.block_bytes {
            let file = match &mut self.file {
                Some(file) => file,
                none => none.insert(BlockFile::create(&self.dir)?),
            };
            file.append(&self.block)?;
            self.block.clear();
        }
        Ok(())
    }

    /// How many candidates are in it.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.count
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// When the first of them is worth a look.
    #[must_use]
    pub fn earliest_due(&self) -> Option<Duration> {
        self.earliest_due
    }

    /// Reads them back, in the order they were added.
    #[must_use]
    pub fn into_reader(self) -> CandidateReader {
        CandidateReader {
            dir: self.dir,
            file: self.file,
            next: 0,
            last: Some(self.block),
            block: Vec::new(),
            at: 0,
            left: self.count,
        }
    }
}

/// The candidates of a [`CandidateFile`]. Ends after an error; every candidate comes, or an error does.
#[derive(Debug)]
pub struct CandidateReader {
    dir: SpillDir,
    file: Option<BlockFile>,
    next: u64,
    /// The block that never went to disk.
    last: Option<Vec<u8>>,
    block: Vec<u8>,
    at: usize,
    left: u64,
}

impl CandidateReader {
    fn read(&mut self) -> Result<Pending, VerifyError> {
        if self.at == self.block.len() {
            self.at = 0;
            match &self.file {
                Some(file) if self.next < file.end() => {
                    self.next = file.read(self.next, file.end(), &mut self.block)?;
                }
                _ => self.block = self.last.take().unwrap_or_default(),
            }
        }
        let mut reader = Reader(&self.block[self.at..]);
        let pending = reader.bytes().and_then(Pending::decode);
        self.at = self.block.len() - reader.0.len();
        pending.ok_or_else(|| VerifyError::Damaged {
            dir: self.dir.path().to_owned(),
            what: "a candidate cannot be read back",
        })
    }
}

impl Iterator for CandidateReader {
    type Item = Result<Pending, VerifyError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let read = self.read();
        if read.is_err() {
            self.left = 0;
        }
        Some(read)
    }
}

#[cfg(test)]
mod tests {
    use super::super::key_code::tests::key;
    use super::*;
    use crate::model::cases::cases;
    use crate::verify::compare::settle::tests::observation;
    use crate::verify::compare::{Delivery, Desired, Digest, Expired};
    use proptest::prelude::*;

    fn candidate() -> impl Strategy<Value = Candidate> {
        let pair = || (key(), key());
        prop_oneof![
            key().prop_map(|target_key| Candidate::Extra { target_key }),
            pair().prop_map(|(target_key, source_key)| Candidate::Missing {
                target_key,
                source_key
            }),
            pair().prop_map(|(target_key, source_key)| Candidate::Different {
                target_key,
                source_key
            }),
            (key(), prop::collection::vec(key(), 2..16), 2u64..).prop_map(
                |(target_key, source_keys, sources)| Candidate::Collision {
                    target_key,
                    source_keys,
                    sources
                }
            ),
        ]
    }

    fn pending() -> impl Strategy<Value = Pending> {
        let rules = SettleRules::new(Duration::from_secs(10));
        (candidate(), prop::collection::vec(observation(), 0..12)).prop_map(move |(candidate, seen)| {
            let mut pending = Pending::new(candidate);
            for observation in &seen {
                pending.observe(&rules, observation);
            }
            pending
        })
    }

    proptest! {
        #![proptest_config(cases(50))]

        #[test]
        fn all_come_back_in_order(all in prop::collection::vec(pending(), 0..40), block_bytes in 1usize..2000) {
            let mut file = CandidateFile::with_blocks(SpillDir::default(), block_bytes);
            for pending in &all {
                file.push(pending).unwrap();
            }
            prop_assert_eq!(file.len(), all.len() as u64);
            prop_assert_eq!(file.is_empty(), all.is_empty());
            prop_assert_eq!(file.earliest_due(), all.iter().map(|pending| pending.due).min());
            let read: Vec<_> = file.into_reader().collect::<Result<_, _>>().unwrap();
            prop_assert_eq!(read, all);
        }
    }

    fn many(count: usize) -> CandidateFile {
        let mut file = CandidateFile::with_blocks(SpillDir::default(), 100);
        for n in 0..count {
            let target_key = Key {
                partition: crate::model::Value::s(n.to_string()),
                sort: None,
            };
            file.push(&Pending::new(Candidate::Extra { target_key })).unwrap();
        }
        file
    }

    #[test]
    fn a_cut_file_is_an_error_and_no_end() {
        let end = many(50).file.unwrap().end();
        for len in 0..end {
            let file = many(50);
            file.file
                .as_ref()
                .unwrap()
                .spoil(|file| file.set_len(len).unwrap());
            let read: Vec<_> = file.into_reader().collect();
            assert!(
                matches!(read.last(), Some(Err(VerifyError::Damaged { .. }))),
                "length {len}"
            );
        }
    }

    #[test]
    fn a_wait_sets_when_the_next_look_is_due() {
        let mut pending = many(1).into_reader().next().unwrap().unwrap();
        let observation = Observation {
            delivery: Delivery {
                up_to: Duration::from_secs(1),
                is_given_up: false,
            },
            began: Duration::from_secs(3),
            ended: Duration::from_secs(5),
            held: Some(Digest::of_bytes(b"x")),
            desired: Desired::Nothing,
            source: None,
            expired: Expired::default(),
        };
        let outcome = pending.observe(&SettleRules::new(Duration::from_secs(8)), &observation);
        let due = Duration::from_secs(6);
        assert_eq!(outcome, Outcome::Wait { due });
        assert_eq!(pending.due, due);
    }

    #[test]
    fn few_candidates_stay_in_memory() {
        let mut file = CandidateFile::new(SpillDir::at("/no/such/directory"));
        for pending in many(100).into_reader() {
            file.push(&pending.unwrap()).unwrap();
        }
        assert_eq!(file.into_reader().count(), 100);
    }
}
