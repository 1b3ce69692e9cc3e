//! The list of mismatches, in memory and in a file.

use crate::verify::compare::Mismatch;
use crate::worker::RunError;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// The mismatches: the first ones in memory, all of them in a file if one is named.
#[derive(Clone)]
pub(super) struct MismatchList {
    inner: Arc<Mutex<Inner>>,
}

struct Inner {
    limit: usize,
    services: BTreeMap<String, Kept>,
    file: Option<(PathBuf, BufWriter<File>)>,
}

/// The mismatches of one service in memory: never more than the limit of each.
#[derive(Default)]
struct Kept {
    faults: Vec<Mismatch>,
    expired: Vec<Mismatch>,
}

impl MismatchList {
    /// An empty list. The file is created at once, so that a wrong path is found out before anything is read. Blocks.
    pub fn open(limit: usize, path: Option<&Path>) -> Result<Self, RunError> {
        let create = |path: &Path| match File::create(path) {
            Ok(file) => Ok((path.to_owned(), BufWriter::new(file))),
            Err(source) => Err(failed(path, source)),
        };
        Ok(Self {
            inner: Arc::new(Mutex::new(Inner {
                limit,
                services: BTreeMap::new(),
                file: path.map(create).transpose()?,
            })),
        })
    }

    /// A list that only writes them to this file.
    pub fn into_file(file: File) -> Self {
        Self {
            inner: Arc::new(Mutex::new(Inner {
                limit: 0,
                services: BTreeMap::new(),
                file: Some((std::env::temp_dir(), BufWriter::new(file))),
            })),
        }
    }

    /// Adds one. Now and then this blocks.
    pub fn add(&self, mismatch: Mismatch) -> Result<(), RunError> {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let Inner {
            limit,
            services,
            file,
        } = &mut *inner;
        if let Some((path, file)) = file {
            let written = serde_json::to_writer(&mut *file, &mismatch).map_err(std::io::Error::from);
            let written = written.and_then(|()| file.write_all(b"\n"));
            written.map_err(|source| failed(path, source))?;
        }
        let service = services.entry(mismatch.service.clone()).or_default();
        let kept = if mismatch.class.is_fault() {
            &mut service.faults
        } else {
            &mut service.expired
        };
        if kept.len() < *limit {
            kept.push(mismatch);
        }
        Ok(())
    }

    /// Writes the rest to the file, and returns the mismatches in memory, service by service. Blocks.
    pub fn close(&self) -> Result<Vec<Mismatch>, RunError> {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((path, mut file)) = inner.file.take() {
            file.flush().map_err(|source| failed(&path, source))?;
        }
        let services = std::mem::take(&mut inner.services);
        Ok(shared(services.into_values().collect(), inner.limit))
    }
}

/// At most `limit` mismatches, grouped by service, and of each service faults first. No service takes the room that
/// another one needs, and expired items take none that a fault needs.
fn shared(services: Vec<Kept>, limit: usize) -> Vec<Mismatch> {
    let faults = shares(services.iter().map(|kept| kept.faults.len()), limit);
    let room = limit - faults.iter().sum::<usize>();
    let expired = shares(services.iter().map(|kept| kept.expired.len()), room);
    let mut shown = Vec::new();
    for ((mut kept, faults), expired) in services.into_iter().zip(faults).zip(expired) {
        kept.faults.sort_by_key(|mismatch| mismatch.class);
        shown.extend(kept.faults.into_iter().take(faults));
        shown.extend(kept.expired.into_iter().take(expired));
    }
    shown
}

/// The share of `room` of each: as much as it wants, if the others leave this much.
fn shares(wanted: impl Iterator<Item = usize>, room: usize) -> Vec<usize> {
    let wanted: Vec<usize> = wanted.collect();
    let mut shares = vec![0; wanted.len()];
    let mut order: Vec<usize> = (0..wanted.len()).collect();
    order.sort_by_key(|place| wanted[*place]);
    let mut left = room;
    for (served, place) in order.iter().enumerate() {
        let even = left / (order.len() - served);
        shares[*place] = wanted[*place].min(even);
        left -= shares[*place];
    }
    shares
}

fn failed(path: &Path, source: std::io::Error) -> RunError {
    RunError::List {
        path: path.to_owned(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Key, Value};
    use crate::verify::compare::MismatchClass;

    fn mismatch(service: &str, class: MismatchClass, number: usize) -> Mismatch {
        Mismatch {
            service: service.to_owned(),
            class,
            target_key: Key {
                partition: Value::s(number.to_string()),
                sort: None,
            },
            source_keys: Vec::new(),
        }
    }

    fn listed(limit: usize, all: &[Mismatch]) -> Vec<String> {
        let list = MismatchList::open(limit, None).unwrap();
        all.iter().for_each(|each| list.add(each.clone()).unwrap());
        let kept = list.close().unwrap();
        kept.iter()
            .map(|each| format!("{} {}", each.service, each.class.as_str()))
            .collect()
    }

    #[test]
    fn mismatches_are_grouped_by_service_and_class() {
        use MismatchClass::{Collision, Expired, Extra, Missing};
        let found = [
            mismatch("b", Extra, 1),
            mismatch("a", Expired, 2),
            mismatch("b", Missing, 3),
            mismatch("a", Collision, 4),
            mismatch("b", Extra, 5),
        ];
        assert_eq!(
            listed(100, &found),
            ["a collision", "a expired", "b missing", "b extra", "b extra"]
        );
        assert_eq!(
            listed(4, &found),
            ["a collision", "b missing", "b extra", "b extra"],
            "faults come first"
        );
    }

    #[test]
    fn a_service_with_many_mismatches_leaves_room_for_the_others() {
        let mut found: Vec<_> = (0..50)
            .map(|n| mismatch("many", MismatchClass::Missing, n))
            .collect();
        found.push(mismatch("one", MismatchClass::Extra, 1));
        let listed = listed(10, &found);
        assert_eq!(listed.len(), 10);
        assert_eq!(listed.last().map(String::as_str), Some("one extra"));
    }
}
