//! Counts tombstones that no command needs.

use super::point_reader::PointReader;
use super::reads::interrupted;
use crate::dynamo::retry_transient;
use crate::model::TOMBSTONE_ATTRIBUTE;
use crate::source::Scan;
use crate::worker::{Budgets, RunError};
use tokio_util::sync::CancellationToken;

/// Counts the tombstones of a service's table by a consistent scan. Also returns the read units of the scan, in
/// thousandths.
pub(super) async fn tombstones(
    reader: &PointReader,
    budgets: &Budgets,
    stop: &CancellationToken,
) -> Result<(u64, u64), RunError> {
    let (service, tables) = (reader.service(), &reader.split.targets[reader.place]);
    let scan = Scan::new(
        tables.items.clone(),
        &service.table.name,
        service.keys.clone(),
        true,
    );
    let budget = budgets.reads(&service.name);
    let (mut count, mut used, mut after) = (0, 0, None);
    loop {
        budget.ready().await;
        let read = retry_transient(|| scan.page_where(0, 1, after.as_ref(), Some(TOMBSTONE_ATTRIBUTE)));
        let page = tokio::select! {
            biased;
            () = stop.cancelled() => return Err(interrupted()),
            page = read => page?,
        };
        budget.pay(page.read_milliunits);
        count += page.items.len() as u64;
        used += page.read_milliunits;
        after = page.next;
        if after.is_none() {
            return Ok((count, used));
        }
    }
}
