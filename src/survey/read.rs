//! Reads the source: all of it, or a sample from places all over its key space.
//!
//! A table's first pages are one corner of it. A parallel scan cuts the key space into segments, so the
//! beginnings of many segments are a sample of everywhere.

use super::options::SurveyOptions;
use super::tally::Tally;
use super::view::Reading;
use crate::dynamo::{AdaptiveReadRate, Budget, Failure, retry_transient};
use crate::model::Item;
use crate::source::{Billing, Scan, ScanPage, SourceFacts};
use crate::worker::{RunError, Split};
use futures::StreamExt;
use futures::stream::FuturesOrdered;
use std::collections::VecDeque;
use tokio_util::sync::CancellationToken;

/// Pages that are read at once.
const AT_ONCE: usize = 4;
/// Items of a sample that are read from one place at a time.
const ITEMS_AT_A_PLACE: u64 = 50;
const MOST_PLACES: u64 = 100;
/// Bytes of a segment when everything is read, as in a backfill.
const SEGMENT_BYTES: u64 = 64 * 1024 * 1024;
const MOST_SEGMENTS: u64 = 10_000;
/// The part of the read units that were set for the source that a survey without a budget takes at most.
const OWN_SHARE: f64 = 0.5;

/// The place at which to continue reading.
struct Place {
    segment: u32,
    after: Option<Item>,
}

/// What was read.
pub(super) struct Read {
    pub items: u64,
    pub read_milliunits: u64,
    pub segments: u32,
    pub whole: bool,
}

/// Reads pages into the tally.
pub(super) async fn read(
    split: &Split,
    facts: &SourceFacts,
    options: &SurveyOptions,
    stop: &CancellationToken,
    progress: &impl Fn(u64),
    tally: &mut Tally<'_>,
) -> Result<Reading, RunError> {
    let scan = split.scan_source(false);
    let read = read_pages(scan, facts, options, stop, progress, |item| tally.add(&item)).await?;
    Ok(Reading {
        items: tally.items,
        bytes: tally.bytes,
        read_units: read.read_milliunits.div_ceil(1000),
        places: read.segments,
        whole: read.whole,
    })
}

/// Reads pages, and gives each item to `each`, in an order that depends on the table only.
pub(super) async fn read_pages(
    scan: Scan,
    facts: &SourceFacts,
    options: &SurveyOptions,
    stop: &CancellationToken,
    progress: &impl Fn(u64),
    mut each: impl FnMut(Item),
) -> Result<Read, RunError> {
    let wanted = if options.all {
        u64::MAX
    } else {
        options.sample.max(1)
    };
    let segments = if options.all {
        (facts.bytes / SEGMENT_BYTES).clamp(AT_ONCE as u64, MOST_SEGMENTS)
    } else {
        (wanted / ITEMS_AT_A_PLACE).clamp(1, MOST_PLACES)
    };
    let page_items = if options.all {
        None
    } else {
        Some(wanted.div_ceil(segments))
    };
    let scan = match page_items {
        Some(items) => scan.limited(u32::try_from(items).unwrap_or(u32::MAX)),
        None => scan,
    };
    let segments = u32::try_from(segments).unwrap_or(u32::MAX);
    let budget = Budget::new(options.read_units.or(own_units(facts)));
    let read_rate = AdaptiveReadRate::default();
    let mut waiting: VecDeque<Place> = (0..segments)
        .map(|segment| Place { segment, after: None })
        .collect();
    // Taken in the order of their places, so that two surveys of a quiet table have the same result.
    let mut under_way = FuturesOrdered::new();
    let (mut items, mut read_milliunits) = (0, 0);
    loop {
        let expected = (under_way.len() as u64 * page_items.unwrap_or(0)).saturating_add(items);
        if under_way.len() < AT_ONCE && expected < wanted {
            // Round robin: each segment is begun before any is gone on with.
            if let Some(place) = waiting.pop_front() {
                under_way.push_back(page(&scan, segments, place, &budget, &read_rate));
                continue;
            }
        }
        let read = tokio::select! {
            biased;
            () = stop.cancelled() => return Err(stopped()),
            read = under_way.next() => read,
        };
        let Some(read) = read else { break };
        let (segment, page) = read?;
        read_milliunits += page.read_milliunits;
        items += page.items.len() as u64;
        page.items.into_iter().for_each(&mut each);
        progress(items);
        if page.next.is_some() {
            waiting.push_back(Place {
                segment,
                after: page.next,
            });
        }
    }
    Ok(Read {
        items,
        read_milliunits,
        segments,
        whole: waiting.is_empty(),
    })
}

async fn page(
    scan: &Scan,
    segments: u32,
    place: Place,
    budget: &Budget,
    read_rate: &AdaptiveReadRate,
) -> Result<(u32, ScanPage), Failure> {
    budget.ready().await;
    let page = retry_transient(|| async {
        let turn = read_rate.ready(Some(place.segment)).await;
        let page = scan.page(place.segment, segments, place.after.as_ref()).await;
        match &page {
            Ok(page) => turn.answered(page.read_milliunits),
            Err(failure) => turn.failed(failure),
        }
        page
    })
    .await?;
    budget.pay(page.read_milliunits);
    Ok((place.segment, page))
}

/// The rate of a survey without a budget: the table's own users come first.
#[allow(clippy::cast_precision_loss)] // units a second
fn own_units(facts: &SourceFacts) -> Option<f64> {
    let set = match facts.billing {
        Billing::OnDemand => facts.throughput.most_reads? as f64,
        Billing::Provisioned { read, .. } => read as f64,
    };
    Some((set * OWN_SHARE).max(1.0))
}

fn stopped() -> RunError {
    RunError::Stopped(
        "reading the source was interrupted. Nothing was written: run the command again".to_owned(),
    )
}
