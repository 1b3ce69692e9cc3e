//! What a verify reads, against what it would cost to read the same items one by one.

use crate::contender::Kit;
use crate::host::SOURCE;
use crate::process::Used;
use crate::product::Product;
use crate::size::read_milliunits;
use crate::stage::Stage;
use crate::trouble::Tried;
use serde::Serialize;

/// One verify of a copy that is right.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Verified {
    /// Items of the source; the targets hold as many.
    pub items: u64,
    /// Read units of the source, in thousandths, as the server counted them.
    pub source_milliunits: u64,
    /// Read units of the targets.
    pub target_milliunits: u64,
    /// Read units of eventually consistent point reads of the same items, on both sides.
    pub point_milliunits: u64,
    /// What it used.
    pub used: Used,
}

impl Verified {
    /// Its read units, as a share of those of point reads.
    #[allow(clippy::cast_precision_loss)] // units of a benchmark
    pub fn share(&self) -> f64 {
        (self.source_milliunits + self.target_milliunits) as f64 / self.point_milliunits as f64
    }
}

/// Copies, and verifies.
pub async fn verify(stage: &Stage, kit: &Kit) -> Tried<Verified> {
    stage.clear_targets(false).await?;
    let product = Product::on(stage, kit.args.lease_seconds)?;
    let tail = product.begin().await?;
    product.succeed(&Product::backfill(kit.concurrent())).await?;
    stage.reset().await?;
    let ended = product.succeed(&["verify"]).await?;
    let tally = stage.tally().await?;
    tail.stop().await?;
    let is_read = |operation: &str| matches!(operation, "Scan" | "GetItem" | "BatchGetItem" | "Query");
    let source = tally.sum(|operation, table| is_read(operation) && table == SOURCE);
    let targets = tally.sum(|operation, table| is_read(operation) && table.starts_with(crate::host::TARGETS));
    let items = stage.setting.items;
    Ok(Verified {
        items,
        source_milliunits: source.read_milliunits,
        target_milliunits: targets.read_milliunits,
        point_milliunits: 2 * items * read_milliunits(crate::items::ITEM_BYTES, false),
        used: ended.used,
    })
}
