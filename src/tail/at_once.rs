//! The work of a batch, several items at a time.

use crate::flow::Stop;
use crate::model::Counters;
use futures::StreamExt;
use futures::stream::FuturesUnordered;

/// Writes that one lane has under way in one shard at most.
pub(super) const WRITES_AT_ONCE: u32 = 32;

/// Carries out the work of several items, [`WRITES_AT_ONCE`] of them at once.
pub(super) async fn at_once<F>(mut items: impl Iterator<Item = F>) -> Result<Counters, Stop>
where
    F: Future<Output = Result<Counters, Stop>>,
{
    let mut applied = FuturesUnordered::new();
    let (mut sum, mut stopped) = (Counters::default(), None);
    loop {
        while applied.len() < WRITES_AT_ONCE as usize
            && let Some(item) = items.next()
        {
            applied.push(item);
        }
        let Some(counters) = applied.next().await else {
            break;
        };
        match counters {
            Ok(counters) => sum.add(&counters),
            // The others are awaited: a request that is dropped without an answer could land after the writes of the next
            // owner.
            Err(stop) => {
                stopped.get_or_insert(stop);
            }
        }
    }
    stopped.map_or(Ok(sum), Err)
}
