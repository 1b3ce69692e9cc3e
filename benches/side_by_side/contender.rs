//! Who copies, and one copy by each of them, measured.

use crate::args::Args;
use crate::host::{SOURCE, TARGETS};
use crate::peers::{Peer, Peers};
use crate::process::{self, Used};
use crate::product::{Order, Product};
use crate::stage::{Engine, Stage, target};
use crate::tally::Tally;
use crate::trouble::{Told, Tried, Trouble};
use serde::Serialize;
use std::fmt;

/// Somebody who copies a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Contender {
    /// The bare loop with one put for each item.
    FloorPut,
    /// The bare loop with batches.
    FloorBatch,
    /// The product, as it comes.
    Concurrent,
    /// The product where the engine takes no PartiQL: each item is written singly.
    Singly,
    /// The product in its other order.
    Bulk,
    /// Somebody else.
    Peer(Peer),
}

impl fmt::Display for Contender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::FloorPut => "bare loop, PutItem",
            Self::FloorBatch => "bare loop, BatchWriteItem",
            Self::Concurrent => "dynasplit, concurrent",
            Self::Singly => "dynasplit, concurrent, no PartiQL",
            Self::Bulk => "dynasplit, bulk",
            Self::Peer(peer) => peer.name(),
        })
    }
}

/// What a copy needs to know of the run.
#[derive(Clone, Debug)]
pub struct Kit {
    /// What the benchmark was asked for.
    pub args: Args,
    /// Others.
    pub peers: Peers,
    /// The binary's backfill can be told its order, so that there is a second one.
    pub knows_orders: bool,
}

impl Kit {
    /// The order beside the tail.
    pub fn concurrent(&self) -> Order {
        if self.knows_orders {
            Order::Concurrent
        } else {
            Order::Default
        }
    }
}

/// What one copy took. Units and requests are as the server counted them.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Copy {
    /// What the processes used.
    pub used: Used,
    /// What `replicate` used beside them.
    pub beside: Used,
    /// From the first page of the source to the last write of a target.
    pub copy_seconds: f64,
    /// Reads of the source and writes of the targets.
    pub requests: u64,
    /// All other requests: state, stream, tables, the sweep.
    pub other_requests: u64,
    /// Read units of the source, in thousandths.
    pub source_read_milliunits: u64,
    /// Other read units, in thousandths.
    pub other_read_milliunits: u64,
    /// Write units of the targets, in thousandths.
    pub target_write_milliunits: u64,
    /// Other write units, in thousandths.
    pub other_write_milliunits: u64,
    /// Items that were written to targets.
    pub written: u64,
    /// Writes of targets whose condition did not hold.
    pub refused: u64,
}

impl Contender {
    /// Copies a stage's source, and looks at the result.
    ///
    /// # Errors
    /// Where it fails, or the copy is not one.
    pub async fn copy(self, stage: &Stage, kit: &Kit) -> Tried<Copy> {
        stage.clear_targets(!self.is_product()).await?;
        let copy = match self {
            Self::FloorPut => Self::floor(stage, "put").await?,
            Self::FloorBatch => Self::floor(stage, "batch").await?,
            Self::Concurrent | Self::Singly => Self::product(stage, kit, kit.concurrent()).await?,
            Self::Bulk => Self::product(stage, kit, Order::Bulk).await?,
            Self::Peer(peer) => {
                stage.reset().await?;
                let ended = kit.peers.copy(peer, stage).await?;
                let used = ended.iter().map(|ended| ended.used);
                let used = used.reduce(after).told("a process")?;
                Copy::of(&stage.tally().await?, used, Used::default())
            }
        };
        stage.check_copy().await?;
        let items = stage.setting.items;
        if copy.written < items {
            return Err(Trouble::new(format!(
                "{self} wrote {} of {items} items",
                copy.written
            )));
        }
        Ok(copy)
    }

    async fn floor(stage: &Stage, writes: &str) -> Tried<Copy> {
        let program = std::env::current_exe().told("the benchmark's own program")?;
        let table = target(0);
        let words = [
            "floor",
            "--endpoint",
            stage.endpoint(),
            "--source",
            SOURCE,
            "--target",
            &table,
            "--writes",
            writes,
        ];
        stage.reset().await?;
        let ended = process::succeed(program, &words.map(str::to_owned), &[]).await?;
        Ok(Copy::of(&stage.tally().await?, ended.used, Used::default()))
    }

    async fn product(stage: &Stage, kit: &Kit, order: Order) -> Tried<Copy> {
        let product = Product::on(stage, kit.args.lease_seconds)?;
        let tail = product.begin().await?;
        stage.reset().await?;
        let ended = product.succeed(&Product::backfill(order)).await?;
        let tally = stage.tally().await?;
        let beside = tail.stop().await?.used;
        Ok(Copy::of(&tally, ended.used, beside))
    }

    /// Whether a server for it takes PartiQL.
    pub fn takes_partiql(self) -> bool {
        self != Self::Singly
    }

    /// Whether it is the product.
    pub fn is_product(self) -> bool {
        matches!(self, Self::Concurrent | Self::Singly | Self::Bulk)
    }

    /// Whether it is the product, or the floor under it.
    pub fn is_own(self) -> bool {
        !matches!(self, Self::Peer(_))
    }

    /// Whether a large copy by it takes minutes.
    pub fn is_slow(self) -> bool {
        matches!(self, Self::Peer(peer) if peer != Peer::Boto3Batch)
    }

    /// Those that are compared on an engine.
    pub fn all(engine: Engine, kit: &Kit) -> Vec<Self> {
        let mut all = vec![Self::FloorPut, Self::FloorBatch, Self::Concurrent];
        all.extend((engine == Engine::Null).then_some(Self::Singly));
        all.extend(kit.knows_orders.then_some(Self::Bulk));
        let others = [
            Peer::Boto3Batch,
            Peer::Boto3Conditional,
            Peer::Dynamodump,
            Peer::CopyDynamodbTable,
        ];
        let there = others.iter().filter(|peer| kit.peers.has(**peer));
        all.extend(there.map(|peer| Self::Peer(*peer)));
        all
    }
}

/// Two processes, one after the other.
fn after(one: Used, two: Used) -> Used {
    Used {
        cpu_seconds: one.cpu_seconds + two.cpu_seconds,
        peak_bytes: one.peak_bytes.max(two.peak_bytes),
        wall_seconds: one.wall_seconds + two.wall_seconds,
    }
}

impl Copy {
    fn of(tally: &Tally, used: Used, beside: Used) -> Self {
        const WRITES: [&str; 5] = [
            "PutItem",
            "BatchWriteItem",
            "BatchExecuteStatement",
            "UpdateItem",
            "DeleteItem",
        ];
        let is_read = |operation: &str, table: &str| operation == "Scan" && table == SOURCE;
        let is_write =
            |operation: &str, table: &str| WRITES.contains(&operation) && table.starts_with(TARGETS);
        let (reads, writes) = (tally.sum(is_read), tally.sum(is_write));
        let others = tally.sum(|operation, table| !is_read(operation, table) && !is_write(operation, table));
        #[allow(clippy::cast_precision_loss)] // microseconds of a benchmark
        let copy_seconds = writes.last_us.saturating_sub(reads.first_us) as f64 / 1e6;
        Self {
            used,
            beside,
            copy_seconds,
            requests: reads.requests + writes.requests,
            other_requests: others.requests,
            source_read_milliunits: reads.read_milliunits,
            other_read_milliunits: others.read_milliunits,
            target_write_milliunits: writes.write_milliunits,
            other_write_milliunits: others.write_milliunits,
            written: writes.items,
            refused: writes.refused,
        }
    }
}
