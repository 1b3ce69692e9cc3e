//! The join of both sides: one pass over two sorted streams, which names every key that differs.

use super::candidate::MAX_COLLISION_KEYS;
use super::entry::Entry;
use super::key_code::decode_key;
use super::merge::Sorted;
use crate::verify::compare::{Candidate, Digest, SourceSide, TargetSide, VerifyError};

/// The counts of the join.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct JoinCounts {
    /// Source items that the service should hold.
    pub source_items: u64,
    /// Live items that its target holds.
    pub target_items: u64,
    /// Keys that need no second look.
    pub equal: u64,
    /// Keys that differ, at first sight.
    pub candidates: u64,
    /// Entries that named a source or target item once more: a scan that was restarted.
    pub repeats: u64,
}

/// Sorts both sides and compares them. Blocks while it merges.
///
/// # Errors
/// Where a temporary file cannot be written, or is damaged.
pub fn join(source: SourceSide, target: TargetSide) -> Result<Join, VerifyError> {
    Ok(Join {
        source: source.finish()?,
        target: target.finish()?,
        key: Vec::new(),
        counts: JoinCounts::default(),
        state: State::Running,
    })
}

/// Every key that differs, in bounded memory. Blocks while it reads.
///
/// After an error it ends, and [`Join::counts`] stays `None`: the earlier keys are not a result.
#[derive(Debug)]
pub struct Join {
    source: Sorted,
    target: Sorted,
    /// The compared key.
    key: Vec<u8>,
    counts: JoinCounts,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Running,
    Complete,
    Failed,
}

/// The source's side of one target key.
#[derive(Default)]
struct Desired {
    /// Distinct source keys, the first of them.
    keys: Vec<Vec<u8>>,
    /// How many there are.
    sources: u64,
    digest: Option<Digest>,
    /// One item was seen with several contents.
    varies: bool,
}

impl Join {
    /// The counts; `None` before the comparison is complete.
    #[must_use]
    pub fn counts(&self) -> Option<JoinCounts> {
        (self.state == State::Complete).then_some(self.counts)
    }

    /// Compares up to the next key that differs.
    fn step(&mut self) -> Result<Option<Candidate>, VerifyError> {
        loop {
            let lowest = match (self.source.current(), self.target.current()) {
                (Some(a), Some(b)) => a.target.min(b.target),
                (Some(one), None) | (None, Some(one)) => one.target,
                (None, None) => return Ok(None),
            };
            self.key.clear();
            self.key.extend_from_slice(lowest);
            let desired = self.gather_source()?;
            let (held, varies) = self.gather_target()?;
            self.counts.source_items += desired.sources;
            self.counts.target_items += u64::from(held.is_some());
            if desired.sources == 1 && desired.digest == held && !desired.varies && !varies {
                self.counts.equal += 1;
                continue;
            }
            self.counts.candidates += 1;
            return self.candidate(&desired, held.is_some()).map(Some);
        }
    }

    fn gather_source(&mut self) -> Result<Desired, VerifyError> {
        let mut desired = Desired::default();
        let mut last = Vec::new();
        while let Some(entry) = at_key(&self.source, &self.key) {
            if desired.sources > 0 && entry.source == last {
                self.counts.repeats += 1;
                desired.varies |= desired.digest != Some(entry.digest);
            } else {
                desired.sources += 1;
                desired.digest = Some(entry.digest);
                last.clear();
                last.extend_from_slice(entry.source);
                if desired.keys.len() < MAX_COLLISION_KEYS {
                    desired.keys.push(last.clone());
                }
            }
            self.source.advance()?;
        }
        Ok(desired)
    }

    /// The digest held, and whether the item was seen with several contents.
    fn gather_target(&mut self) -> Result<(Option<Digest>, bool), VerifyError> {
        let (mut held, mut varies) = (None, false);
        while let Some(entry) = at_key(&self.target, &self.key) {
            if let Some(before) = held {
                self.counts.repeats += 1;
                varies |= before != entry.digest;
            }
            held = Some(entry.digest);
            self.target.advance()?;
        }
        Ok((held, varies))
    }

    fn candidate(&self, desired: &Desired, held: bool) -> Result<Candidate, VerifyError> {
        let target_key = decode_key(&self.key)?;
        Ok(match (desired.keys.as_slice(), held) {
            ([], _) => Candidate::Extra { target_key },
            ([source], false) => Candidate::Missing {
                target_key,
                source_key: decode_key(source)?,
            },
            ([source], true) => Candidate::Different {
                target_key,
                source_key: decode_key(source)?,
            },
            (several, _) => Candidate::Collision {
                target_key,
                source_keys: several
                    .iter()
                    .map(|key| decode_key(key))
                    .collect::<Result<_, _>>()?,
                sources: desired.sources,
            },
        })
    }
}

fn at_key<'a>(side: &'a Sorted, key: &[u8]) -> Option<Entry<'a>> {
    side.current().filter(|entry| entry.target == key)
}

impl Iterator for Join {
    type Item = Result<Candidate, VerifyError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.state != State::Running {
            return None;
        }
        match self.step() {
            Ok(Some(candidate)) => Some(Ok(candidate)),
            Ok(None) => {
                self.state = State::Complete;
                None
            }
            Err(error) => {
                self.state = State::Failed;
                Some(Err(error))
            }
        }
    }
}

#[cfg(test)]
mod tests;
