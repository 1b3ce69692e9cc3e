//! `replicate` at work: how fast it works off a backlog, and how long a write takes to reach its target.

use crate::args::Args;
use crate::host::TARGETS;
use crate::host::{MARK, SOURCE};
use crate::process::{Running, Used};
use crate::product::Product;
use crate::stage::{Engine, Setting, Stage};
use crate::tally::Tally;
use crate::trouble::{Told, Tried, Trouble};
use serde::Serialize;
use std::time::{Duration, Instant};

/// One backlog, worked off.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct CatchUp {
    /// Records, each of an item of its own.
    pub records: u64,
    /// From the first page of records to the last write of a target.
    pub seconds: f64,
    /// What `replicate` used, from its start to its end.
    pub used: Used,
    /// Writes of the target, and reads of the stream.
    pub requests: u64,
    /// Write units of the target, in thousandths.
    pub write_milliunits: u64,
}

/// A steady load, followed.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Lag {
    /// Writes of the source.
    pub writes: u64,
    /// Writes a second that were made.
    pub rate: f64,
    /// From the answer to each write of the source to the answer to its write of the target, in milliseconds, sorted.
    pub lags_ms: Vec<f64>,
}

/// Nothing takes longer.
const LIMIT: Duration = Duration::from_secs(900);
const LOOK: Duration = Duration::from_millis(200);

impl Lag {
    /// The lag that so much of the writes (0 to 1) did not exceed.
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        clippy::cast_sign_loss
    )] // few writes
    pub fn at(&self, share: f64) -> f64 {
        let last = self.lags_ms.len().saturating_sub(1);
        let place = (share * self.lags_ms.len() as f64).ceil() as usize;
        self.lags_ms
            .get(place.saturating_sub(1).min(last))
            .copied()
            .unwrap_or(f64::NAN)
    }
}

async fn stage(null_targets: bool) -> Tried<Stage> {
    Stage::set(Setting {
        null_targets,
        ..Setting::new(Engine::Embedded, 0, 1)
    })
    .await
}

/// Lets a backlog come up while nobody reads the stream, and works it off.
pub async fn catch_up(args: &Args, records: u64, null_targets: bool) -> Tried<CatchUp> {
    let stage = stage(null_targets).await?;
    let product = Product::on(&stage, args.lease_seconds)?;
    product.begin().await?.stop().await?;
    stage.put_items(0..records, &|_| None).await?;
    stage.reset().await?;
    let mut tail = product.start(&["replicate"])?;
    let tally = until_written(&stage, &mut tail, records).await?;
    let used = tail.stop().await?.used;
    let reads = tally.sum(|operation, _| operation == "GetRecords");
    let writes = tally.sum(|_, table| table.starts_with(TARGETS));
    #[allow(clippy::cast_precision_loss)] // microseconds of a benchmark
    let seconds = writes.last_us.saturating_sub(reads.first_us) as f64 / 1e6;
    Ok(CatchUp {
        records,
        seconds,
        used,
        requests: reads.requests + writes.requests,
        write_milliunits: writes.write_milliunits,
    })
}

async fn until_written(stage: &Stage, tail: &mut Running, records: u64) -> Tried<Tally> {
    let began = Instant::now();
    while began.elapsed() < LIMIT {
        let tally = stage.tally().await?;
        if tally.sum(|_, table| table.starts_with(TARGETS)).items >= records {
            return Ok(tally);
        }
        if tail.has_ended() {
            return Err(Trouble::new("replicate ended before the backlog did"));
        }
        tokio::time::sleep(LOOK).await;
    }
    Err(Trouble::new("the backlog is not worked off"))
}

/// Writes to the source at a steady rate, and sees when each write has come to the target.
pub async fn lag(args: &Args) -> Tried<Lag> {
    let stage = stage(false).await?;
    let product = Product::on(&stage, args.lease_seconds)?;
    let tail = product.begin().await?;
    stage.wire.command("trace").await?;
    let writes = args.load * args.load_seconds;
    let mut ticks =
        tokio::time::interval(Duration::from_secs(1) / u32::try_from(args.load.max(1)).unwrap_or(1));
    let began = Instant::now();
    for number in 0..writes {
        ticks.tick().await;
        stage.put_item(number, format!("{MARK}{number:08} ")).await?;
    }
    let rate = args.load as f64 * args.load_seconds as f64 / began.elapsed().as_secs_f64();
    let arrived = until_arrived(&stage).await?;
    tail.stop().await?;
    let mut lags_ms = arrived;
    lags_ms.sort_by(f64::total_cmp);
    Ok(Lag {
        writes,
        rate,
        lags_ms,
    })
}

async fn until_arrived(stage: &Stage) -> Tried<Vec<f64>> {
    let began = Instant::now();
    while began.elapsed() < LIMIT {
        let body = stage.wire.command("lags").await?;
        let lags: Option<Vec<Option<u64>>> = serde_json::from_slice(&body).told("lags")?;
        let lags = lags.told("a trace")?;
        #[allow(clippy::cast_precision_loss)] // microseconds of a benchmark
        let arrived: Option<Vec<f64>> = lags.iter().map(|lag| lag.map(|us| us as f64 / 1e3)).collect();
        if let Some(arrived) = arrived {
            return Ok(arrived);
        }
        tokio::time::sleep(LOOK).await;
    }
    Err(Trouble::new(format!(
        "some writes of {SOURCE} never came to the target"
    )))
}
