//! Tests of the division: the comparison of all ranges finds what one comparison of everything finds.

use super::*;
use crate::model::Value;
use crate::model::cases::cases;
use crate::verify::compare::{Candidate, JoinCounts, SortLimits, SourceSide, SpillDir, TargetSide, join};
use proptest::prelude::*;

type SourceRow = (u16, u16, u16);
type TargetRow = (u16, u16);

const LIMITS: SortLimits = SortLimits {
    memory_bytes: 500,
    fan_in: 2,
};

fn key(n: u16) -> Key {
    Key {
        partition: Value::s(format!("k{n}")),
        sort: (!n.is_multiple_of(3)).then(|| Value::B(n.to_be_bytes().to_vec())),
    }
}

fn digest(n: u16) -> Digest {
    Digest::of_bytes(&n.to_be_bytes())
}

fn sides() -> (SourceSide, TargetSide) {
    let dir = SpillDir::default;
    (SourceSide::new(dir(), LIMITS), TargetSide::new(dir(), LIMITS))
}

fn joined((source, target): (SourceSide, TargetSide)) -> (Vec<Candidate>, JoinCounts) {
    let mut join = join(source, target).unwrap();
    let candidates = join.by_ref().collect::<Result<_, _>>().unwrap();
    (candidates, join.counts().unwrap())
}

/// Blocks of a scan that has `most` bytes in memory at once.
fn blocks<T>(
    mut divider: Divider,
    rows: &[T],
    most: usize,
    push: impl Fn(&mut Divider, &T) -> Result<(), VerifyError>,
) -> Vec<DividedBlock> {
    let mut blocks = Vec::new();
    for row in rows {
        push(&mut divider, row).unwrap();
        if divider.bytes() >= most {
            blocks.extend(divider.take());
        }
    }
    blocks.extend(divider.take());
    assert!(divider.take().is_none());
    blocks
}

/// The span of a range.
fn span(block: &DividedBlock, range: u32) -> &[u8] {
    let (begin, end) = DividedBlock::place(&block.ends, range).unwrap();
    &block.bytes[begin as usize..end as usize]
}

proptest! {
    #![proptest_config(cases(100))]

    /// Two services, whose entries are in the same blocks of the source. Each of the target's scans has one service.
    #[test]
    fn all_ranges_together_find_what_one_comparison_finds(
        source in prop::collection::vec((0u16..30, 0u16..4, 0u16..3), 0..120),
        target in prop::collection::vec((0u16..30, 0u16..3), 0..80),
        count in 1u32..9,
        most in 1usize..2000,
    ) {
        let source_keys = |(key_of, other, _): &SourceRow| (key(*key_of), key(key_of * 7 + other));
        let ranges = KeyRanges::of(count);
        let of_source = blocks(Divider::new(Side::Source, ranges, 2), &source, most, |divider, row| {
            let (target, source) = source_keys(row);
            divider.push_source(usize::from(row.0 % 2), &target, &source, digest(row.2))
        });
        let of_target: Vec<_> = [0u16, 1].map(|service| {
            let rows: Vec<TargetRow> = target.iter().filter(|row| row.0 % 2 == service).copied().collect();
            blocks(Divider::new(Side::Target, ranges, 2), &rows, most, |divider, row| {
                divider.push_target(usize::from(service), &key(row.0), digest(row.1))
            })
        }).concat();
        for service in [0u16, 1] {
            let (mut all, mut expected) = (Vec::new(), Vec::new());
            let mut counts = JoinCounts::default();
            for range in 0..count {
                let mut sides = sides();
                for block in &of_source {
                    let span = Span::read(span(block, range), Side::Source, range, "a").unwrap();
                    sides.0.push_span(&span, service.into()).unwrap();
                }
                for block in &of_target {
                    let span = Span::read(span(block, range), Side::Target, range, "a").unwrap();
                    sides.1.push_span(&span, service.into()).unwrap();
                }
                let (found, part) = joined(sides);
                all.extend(found);
                counts.source_items += part.source_items;
                counts.target_items += part.target_items;
                counts.equal += part.equal;
                counts.candidates += part.candidates;
                counts.repeats += part.repeats;
            }
            let mut single = sides();
            for row in source.iter().filter(|row| row.0 % 2 == service) {
                let (target, source) = source_keys(row);
                single.0.push(&target, &source, digest(row.2)).unwrap();
            }
            for row in target.iter().filter(|row| row.0 % 2 == service) {
                single.1.push(&key(row.0), digest(row.1)).unwrap();
            }
            let (found, single_counts) = joined(single);
            expected.extend(found);
            let told = |candidate: &Candidate| format!("{candidate:?}");
            all.sort_by_key(told);
            expected.sort_by_key(told);
            prop_assert_eq!(all, expected);
            prop_assert_eq!(counts, single_counts);
        }
    }
}

fn one_block() -> DividedBlock {
    let mut divider = Divider::new(Side::Source, KeyRanges::of(3), 2);
    for n in 0..20 {
        let service = usize::from(n % 2);
        divider
            .push_source(service, &key(n), &key(n + 1), digest(n))
            .unwrap();
    }
    divider.take().unwrap()
}

fn read(bytes: &[u8], side: Side, range: u32) -> Result<usize, VerifyError> {
    let span = Span::read(bytes, side, range, "an object")?;
    let mut sides = sides();
    sides.0.push_span(&span, 0)?;
    sides.0.push_span(&span, 1)?;
    Ok(joined(sides).0.len())
}

#[test]
fn every_range_gets_some_of_many_keys() {
    let block = one_block();
    let found: Vec<usize> = (0..3)
        .map(|range| read(span(&block, range), Side::Source, range).unwrap())
        .collect();
    assert_eq!(found.iter().sum::<usize>(), 20);
    assert!(found.iter().all(|found| *found > 0), "{found:?}");
    assert_eq!(DividedBlock::place(&block.ends, 3), None);
}

#[test]
fn every_change_of_a_span_is_seen() {
    let block = one_block();
    let good = span(&block, 1);
    assert!(read(good, Side::Source, 1).is_ok());
    let is_damaged = |bytes: &[u8], side, range| {
        let error = read(bytes, side, range).unwrap_err();
        assert!(matches!(error, VerifyError::DamagedBlock { .. }), "{error}");
        assert!(error.to_string().contains("an object"), "{error}");
    };
    is_damaged(good, Side::Target, 1);
    is_damaged(good, Side::Source, 2);
    for byte in 0..good.len() {
        let mut bytes = good.to_vec();
        bytes[byte] ^= 1;
        is_damaged(&bytes, Side::Source, 1);
    }
    // Nothing at all is an empty span: the places of the spans are recorded elsewhere.
    for len in 1..good.len() {
        is_damaged(&good[..len], Side::Source, 1);
    }
}
