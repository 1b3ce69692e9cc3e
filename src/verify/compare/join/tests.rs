//! Tests of the join of two sorted sides.

use super::*;
use crate::model::cases::cases;
use crate::model::{Key, Value};
use crate::verify::compare::key_code::encode_key;
use crate::verify::compare::{SortLimits, SpillDir};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

type SourceRow = (Key, Key, Digest);
type TargetRow = (Key, Digest);

fn key(n: u16) -> Key {
    Key {
        partition: Value::s(format!("k{n}")),
        // Some of the keys share a partition key, and some have no sort key.
        sort: (!n.is_multiple_of(3)).then(|| Value::B(n.to_be_bytes().to_vec())),
    }
}

fn digest(n: u16) -> Digest {
    Digest::of_bytes(&n.to_be_bytes())
}

fn encoded(key: &Key) -> Vec<u8> {
    let mut out = Vec::new();
    encode_key(key, &mut out).unwrap();
    out
}

fn compare(source: &[SourceRow], target: &[TargetRow], limits: SortLimits) -> (Vec<Candidate>, JoinCounts) {
    let mut join = start(source, target, limits);
    let candidates = join.by_ref().collect::<Result<_, _>>().unwrap();
    (candidates, join.counts().unwrap())
}

fn start(source: &[SourceRow], target: &[TargetRow], limits: SortLimits) -> Join {
    let mut source_side = SourceSide::new(SpillDir::default(), limits);
    let mut target_side = TargetSide::new(SpillDir::default(), limits);
    for (target_key, source_key, desired) in source {
        source_side.push(target_key, source_key, *desired).unwrap();
    }
    for (key, held) in target {
        target_side.push(key, *held).unwrap();
    }
    join(source_side, target_side).unwrap()
}

/// The same by maps in memory.
fn naive(source: &[SourceRow], target: &[TargetRow]) -> (Vec<Candidate>, JoinCounts) {
    let mut desired: BTreeMap<Vec<u8>, BTreeMap<Vec<u8>, BTreeSet<Digest>>> = BTreeMap::new();
    let mut held: BTreeMap<Vec<u8>, BTreeSet<Digest>> = BTreeMap::new();
    let mut keys: BTreeMap<Vec<u8>, Key> = BTreeMap::new();
    for (target_key, source_key, digest) in source {
        keys.insert(encoded(target_key), target_key.clone());
        keys.insert(encoded(source_key), source_key.clone());
        let sources = desired.entry(encoded(target_key)).or_default();
        sources.entry(encoded(source_key)).or_default().insert(*digest);
    }
    for (key, digest) in target {
        keys.insert(encoded(key), key.clone());
        held.entry(encoded(key)).or_default().insert(*digest);
    }
    let mut counts = JoinCounts {
        source_items: desired.values().map(|sources| sources.len() as u64).sum(),
        target_items: held.len() as u64,
        ..JoinCounts::default()
    };
    counts.repeats = (source.len() + target.len()) as u64 - counts.source_items - counts.target_items;
    let all: BTreeSet<_> = desired.keys().chain(held.keys()).cloned().collect();
    let mut candidates = Vec::new();
    for encoded_key in all {
        let target_key = keys[&encoded_key].clone();
        let held = held.get(&encoded_key);
        let Some(sources) = desired.get(&encoded_key) else {
            candidates.push(Candidate::Extra { target_key });
            continue;
        };
        let mut source_keys: Vec<_> = sources.keys().map(|key| keys[key].clone()).collect();
        if source_keys.len() > 1 {
            let sources = source_keys.len() as u64;
            source_keys.truncate(MAX_COLLISION_KEYS);
            candidates.push(Candidate::Collision {
                target_key,
                source_keys,
                sources,
            });
            continue;
        }
        let source_key = source_keys[0].clone();
        let digests = sources.values().next().unwrap();
        match held {
            None => candidates.push(Candidate::Missing {
                target_key,
                source_key,
            }),
            Some(held) if held == digests && held.len() == 1 => counts.equal += 1,
            Some(_) => candidates.push(Candidate::Different {
                target_key,
                source_key,
            }),
        }
    }
    counts.candidates = candidates.len() as u64;
    (candidates, counts)
}

/// Mostly a source with a correct copy, so that equal keys are as common as others.
fn tables() -> impl Strategy<Value = (Vec<SourceRow>, Vec<TargetRow>)> {
    let source = prop::collection::vec((0u16..60, 0u8..8, 0u8..12, 0u8..40), 0..150);
    let target = prop::collection::vec((0u16..70, 0u16..2), 0..30);
    (source, target, any::<u64>()).prop_map(|(source, strays, shuffle)| {
        let mut held = Vec::new();
        let source: Vec<_> = source
            .into_iter()
            .map(|(n, contents, collides, lost)| {
                // The contents follow the key, save for a few.
                let contents = digest(if contents == 0 { 200 } else { n });
                if lost > 2 {
                    held.push((key(n), if lost == 3 { digest(201) } else { contents }));
                }
                let source = if collides == 0 { key(100 + n) } else { key(n) };
                (key(n), source, contents)
            })
            .collect();
        held.extend(strays.into_iter().map(|(n, contents)| (key(n), digest(contents))));
        let middle = shuffle as usize % (held.len() + 1);
        held.rotate_left(middle);
        (source, held)
    })
}

proptest! {
    #![proptest_config(cases(300))]

    #[test]
    fn equals_a_comparison_in_memory(
        (source, target) in tables(),
        memory_bytes in prop_oneof![Just(0usize), 1usize..2000, Just(1 << 20)],
        fan_in in 0usize..5,
    ) {
        let limits = SortLimits { memory_bytes, fan_in };
        prop_assert_eq!(compare(&source, &target, limits), naive(&source, &target));
    }
}

#[test]
fn every_entry_a_run_of_its_own_takes_many_passes_and_no_more_files() {
    let source: Vec<_> = (0..250).map(|n| (key(n), key(n), digest(n))).collect();
    let target: Vec<_> = (0..250).rev().map(|n| (key(n), digest(n))).collect();
    let limits = SortLimits {
        memory_bytes: 0,
        fan_in: 2,
    };
    let (candidates, counts) = compare(&source, &target, limits);
    assert!(candidates.is_empty());
    assert_eq!(counts.equal, 250);
}

#[test]
fn a_whole_table_on_one_key_stays_small() {
    let source: Vec<_> = (0..200).map(|n| (key(0), key(n), digest(n))).collect();
    let (candidates, counts) = compare(&source, &[], SortLimits::default());
    assert_eq!(counts.source_items, 200);
    let [
        Candidate::Collision {
            source_keys, sources, ..
        },
    ] = candidates.as_slice()
    else {
        panic!("{candidates:?}");
    };
    assert_eq!((source_keys.len(), *sources), (MAX_COLLISION_KEYS, 200));
}

#[test]
fn small_tables_never_touch_the_disk() {
    let mut source = SourceSide::new(SpillDir::at("/no/such/directory"), SortLimits::default());
    let target = TargetSide::new(SpillDir::at("/no/such/directory"), SortLimits::default());
    source.push(&key(1), &key(1), digest(1)).unwrap();
    assert_eq!(join(source, target).unwrap().count(), 1);
}

#[test]
fn a_directory_that_is_missing_is_an_error() {
    let limits = SortLimits {
        memory_bytes: 0,
        fan_in: 2,
    };
    let mut source = SourceSide::new(SpillDir::at("/no/such/directory"), limits);
    source.push(&key(1), &key(1), digest(1)).unwrap();
    let error = source.push(&key(2), &key(2), digest(2)).unwrap_err().to_string();
    assert!(
        error.contains("/no/such/directory") && error.contains("TMPDIR"),
        "{error}"
    );
}

/// However a file is cut, and wherever it is spoiled, the join ends with an error: it never takes the place
/// for the end, and never says that it is complete.
#[test]
fn a_spoiled_file_is_an_error_and_no_end() {
    // Many short runs; then a few of several blocks each, so that the damage shows up amid the merge.
    spoil_everywhere(20, 300, 1);
    spoil_everywhere(2000, 20_000, 1499);
}

fn spoil_everywhere(entries: u16, memory_bytes: usize, step: usize) {
    use std::fs::File;
    use std::io::{Read, Seek, SeekFrom, Write};
    let limits = SortLimits {
        memory_bytes,
        fan_in: 64,
    };
    let spilled = || {
        let mut side = SourceSide::new(SpillDir::default(), limits);
        for n in 0..entries {
            side.push(&key(n), &key(n), digest(n)).unwrap();
        }
        side
    };
    let length = spilled().spilled_bytes();
    assert!(length > 0);
    for place in (0..length).step_by(step) {
        let cut = |file: &File| file.set_len(place).unwrap();
        let flip = |mut file: &File| {
            let mut old = [0];
            file.seek(SeekFrom::Start(place)).unwrap();
            file.read_exact(&mut old).unwrap();
            file.seek(SeekFrom::Start(place)).unwrap();
            file.write_all(&[old[0] ^ 0x80]).unwrap();
            file.seek(SeekFrom::Start(length)).unwrap();
        };
        for spoil in [&cut as &dyn Fn(&File), &flip] {
            let side = spilled();
            side.spoil(spoil);
            let error = match join(side, TargetSide::new(SpillDir::default(), limits)) {
                Ok(mut join) => {
                    let last = join.by_ref().last();
                    assert_eq!(join.counts(), None, "place {place}");
                    last.and_then(Result::err)
                }
                Err(error) => Some(error),
            };
            assert!(
                matches!(error, Some(VerifyError::Damaged { .. })),
                "place {place}: {error:?}"
            );
        }
    }
}
